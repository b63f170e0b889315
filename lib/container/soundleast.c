/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The normal equations of a linear prediction (the covariance method), with a memory that fades. Of
 * a block's sums of products only those of the newest samples are added up; the sum for lags i + 1,
 * j + 1 is that for i, j, one sample earlier. They are solved by Cholesky's method without roots,
 * in fixed point with 128 bits between. */
#include "soundleast.h"

#include <string.h>

#include "core/clones.h"

__extension__ typedef __int128 wide;

enum {
    SCALE = 55, /* the largest sum is brought to 2^54 .. 2^55 */
    POINT = 32, /* bits of factors behind the point */
    MOST = 46,  /* factors are within +-2^46, twice what follows from RIDGE */
    RIDGE = 27  /* what is added to sums of squares: their largest / 2^27 */
};

void aei_least_reset(aei_least *l, uint32_t n_own, uint32_t n_other, uint32_t delay,
                     uint32_t memory)
{
    memset(l, 0, sizeof(*l));
    l->n_own = n_own;
    l->n_other = n_other;
    l->delay = delay;
    l->memory = memory;
}

static inline int64_t product(int32_t a, int32_t b)
{
    return (int64_t)a * b;
}

static inline void fade(int64_t *sum, uint32_t memory, int64_t block)
{
    *sum += block - (*sum >> memory);
}

static inline int64_t dot(const int32_t *a, const int32_t *b, uint32_t n)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += product(a[i], b[i]);
    return sum;
}

/* One kind of sums: s[i][j] of a[t - i] b[t - j] over the block that begins at a and b. `both`: a
 * is b, so that s[j][i] = s[i][j]. */
static inline void take(int64_t *s, uint32_t stride, uint32_t rows, uint32_t columns, bool both,
                        uint32_t memory, const int32_t *a, const int32_t *b, uint32_t n)
{
    int64_t above[AEI_LEAST_OWN + 1], row[AEI_LEAST_OWN + 1];

    for (uint32_t i = 0; i < rows; i++) {
        const int32_t *ai = a - i;

        for (uint32_t j = both ? i : 0; j < columns; j++) {
            row[j] = i && j ? above[j - 1] + product(ai[0], b[-(int32_t)j]) -
                                  product(ai[n], b[(int32_t)n - (int32_t)j])
                            : dot(ai, b - j, n);
            fade(&s[i * stride + j], memory, row[j]);
        }
        memcpy(above, row, sizeof(row));
    }
}

static inline int64_t limit(wide v, int bits)
{
    const wide most = (wide)1 << bits;

    return (int64_t)(v < -most ? -most : v > most ? most : v);
}

/* The sum of products of the i-th and the j-th of the samples that predict; j = -1: of the
 * predicted one. */
static int64_t entry(const aei_least *l, uint32_t i, int32_t j)
{
    uint32_t n = l->n_own, i1 = i + 1, j1 = (uint32_t)(j + 1);

    if (i < n && j1 <= n)
        return i1 < j1 ? l->own[i1][j1] : l->own[j1][i1];
    if (i < n)
        return l->cross[i1][j1 - 1 - n];
    if (j1 <= n)
        return l->cross[j1][i - n];
    i -= n;
    j1 -= n + 1;
    return i < j1 ? l->other[i][j1] : l->other[j1][i];
}

static void solve(aei_least *l)
{
    const uint32_t n = l->n_own + l->n_other;
    int64_t z[AEI_LEAST_ALL], inverse[AEI_LEAST_ALL], w[AEI_LEAST_ALL], v[AEI_LEAST_ALL],
        most = l->own[0][0], ridge;
    int shift;

    for (uint32_t i = 0; i < n; i++)
        most = entry(l, i, (int32_t)i) > most ? entry(l, i, (int32_t)i) : most;
    if (most <= 0) {
        memset(l->weights, 0, sizeof(l->weights));
        return;
    }
    /* sums have at most 58 bits: to the right by 3 at most */
    shift = SCALE - 64 + __builtin_clzll((uint64_t)most);
    ridge = (int64_t)1 << (SCALE - RIDGE);
#define SCALED(v) (shift >= 0 ? (int64_t)((uint64_t)(v) << shift) : (v) >> -shift)
    for (uint32_t i = 0; i < n; i++) {
        wide sum;

        for (uint32_t j = 0; j < i; j++) {
            sum = 0;
            for (uint32_t k = 0; k < j; k++)
                sum += (wide)l->a[j][k] * v[k];
            v[j] = limit((wide)SCALED(entry(l, i, (int32_t)j)) - (sum >> POINT), SCALE + 1);
        }
        sum = 0;
        for (uint32_t j = 0; j < i; j++) {
            l->a[i][j] = limit((wide)v[j] * inverse[j] >> (SCALE + 1), MOST);
            sum += (wide)l->a[i][j] * v[j];
        }
        l->d[i] = limit((wide)SCALED(entry(l, i, (int32_t)i)) + ridge - (sum >> POINT), SCALE + 1);
        l->d[i] = l->d[i] < ridge ? ridge : l->d[i];
        inverse[i] = (int64_t)(((wide)1 << (SCALE + 1 + POINT)) / l->d[i]);
        sum = 0;
        for (uint32_t j = 0; j < i; j++)
            sum += (wide)l->a[i][j] * z[j];
        z[i] = limit((wide)SCALED(entry(l, i, -1)) - (sum >> POINT), SCALE + 1);
    }
#undef SCALED
    for (uint32_t i = n; i-- > 0;) {
        wide sum = 0;

        for (uint32_t k = i + 1; k < n; k++)
            sum += (wide)l->a[k][i] * w[k];
        w[i] = limit(((wide)z[i] * inverse[i] >> (SCALE + 1)) - (sum >> POINT), MOST);
        l->weights[i] = (int32_t)limit(w[i] >> (POINT - AEI_LEAST_POINT), 27);
    }
}

AEI_CLONES void aei_least_update(aei_least *l, const int32_t *own, const int32_t *other,
                                 uint32_t first, uint32_t n)
{
    own += first;
    take(&l->own[0][0], AEI_LEAST_OWN + 1, l->n_own + 1, l->n_own + 1, true, l->memory, own, own,
         n);
    if (l->n_other) {
        other += (int32_t)first - (int32_t)l->delay;
        take(&l->cross[0][0], AEI_LEAST_OTHER, l->n_own + 1, l->n_other, false, l->memory, own,
             other, n);
        take(&l->other[0][0], AEI_LEAST_OTHER, l->n_other, l->n_other, true, l->memory, other,
             other, n);
    }
    solve(l);
}
