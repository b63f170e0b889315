/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A lapped transform in whole numbers, as mdct.h describes it. The DCT-IV goes by a complex
 * transform between two rotations; sines and cosines come of one table, which integers compute, so
 * that no library's rounding gets in. */
#include "mdct.h"

#include <pthread.h>

#include "core/clones.h"

enum {
    QUARTER = 1 << (AEI_MDCT_UNIT - 1),
    BIG = 1 << AEI_MDCT_MOST,
    HALF_ROOT = 759250125, /* 2^30 / sqrt(2) */
    MOST_BUTTERFLIES = BIG / 8
};

static int32_t quarter[QUARTER + 1];
/* For each size, so that loops read them in order: of the rotations before and after, and of the
 * stages of the FFT. */
static int32_t turns[4][AEI_MDCT_MOST + 1][BIG / 2], stages[6][AEI_MDCT_MOST][MOST_BUTTERFLIES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

int32_t aei_mdct_cos(uint32_t i)
{
    i = i > 2 * QUARTER ? 4 * QUARTER - i : i;
    return i <= QUARTER ? quarter[i] : -quarter[2 * QUARTER - i];
}

static int32_t sine(uint32_t i)
{
    return aei_mdct_cos(i > QUARTER ? i - QUARTER : QUARTER - i);
}

/* By turning through pi / 2^14 again and again with 62 bits, of which the 8192 roundings cost at
 * most 14. */
static void make_tables(void)
{
    __extension__ typedef __int128 wide;
    const int64_t c1 = 0x3fffffec42c33745, s1 = 0x3243f6a35d6af; /* 2^62 cos, sin(pi / 2^14) */
    int64_t c = INT64_C(1) << 62, s = 0;

    for (int i = 0; i <= QUARTER; i++) {
        int64_t next = (int64_t)(((wide)c * c1 - (wide)s * s1) >> 62);

        quarter[i] = (int32_t)((c + (INT64_C(1) << 31)) >> 32);
        s = (int64_t)(((wide)c * s1 + (wide)s * c1) >> 62);
        c = next;
    }
    for (uint32_t l = AEI_MDCT_LEAST; l <= AEI_MDCT_MOST; l++) {
        for (uint32_t i = 0; i < 1u << (l - 1); i++) {
            turns[0][l][i] = aei_mdct_cos((4 * i + 1) << (AEI_MDCT_MOST - l));
            turns[1][l][i] = sine((4 * i + 1) << (AEI_MDCT_MOST - l));
            turns[2][l][i] = aei_mdct_cos(4 * i << (AEI_MDCT_MOST - l));
            turns[3][l][i] = sine(4 * i << (AEI_MDCT_MOST - l));
        }
    }
    for (uint32_t l = 2; l < AEI_MDCT_MOST; l++)
        for (uint32_t p = 0; p < 1u << (l - 2); p++)
            for (uint32_t k = 1; k < 4; k++) {
                /* of a turn of 2^15, below three quarters */
                uint32_t angle = (p * k) << (AEI_MDCT_UNIT + 1 - l);
                uint32_t back = angle > 2 * QUARTER ? angle - 2 * QUARTER : angle;
                int32_t sign = angle > 2 * QUARTER ? -1 : 1;

                stages[2 * k - 2][l][p] = sign * aei_mdct_cos(back);
                stages[2 * k - 1][l][p] = sign * sine(back);
            }
}

/* ---- numbers that wrap round ---- */

static inline int32_t add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t sub(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a - (uint32_t)b);
}

/* Halves go to the even neighbour, else they would add up to a click at the ends of a block. */
static inline int32_t half(int32_t a)
{
    return add(a, a >> 1 & 1) >> 1;
}

/* (a c + b s) / 2^shift, rounded likewise. Products are below 2^61. */
static inline int32_t turn(int32_t a, int32_t c, int32_t b, int32_t s, int shift)
{
    int64_t v = (int64_t)a * c + (int64_t)b * s;

    return (int32_t)((v + (INT64_C(1) << (shift - 1)) - 1 + (v >> shift & 1)) >> shift);
}

/* ---- the transform ---- */

/* One stage of Stockham's FFT with four points a butterfly, each of which halves: as a whole it
 * neither grows nor shrinks. */
static inline __attribute__((always_inline)) void
stage(const int32_t *xr, const int32_t *xi, int32_t *yr, int32_t *yi, uint32_t l, uint32_t s)
{
    uint32_t m = 1u << (l - 2);

    for (uint32_t p = 0; p < m; p++) {
        const int32_t c1 = stages[0][l][p], s1 = stages[1][l][p], c2 = stages[2][l][p],
                      s2 = stages[3][l][p];
        const int32_t c3 = stages[4][l][p], s3 = stages[5][l][p];
        const int32_t *ar = xr + s * p, *ai = xi + s * p;
        int32_t *br = yr + 4 * s * p, *bi = yi + 4 * s * p;

        for (uint32_t q = 0; q < s; q++) {
            int32_t sum_r = add(ar[q], ar[q + 2 * s * m]), sum_i = add(ai[q], ai[q + 2 * s * m]);
            int32_t dif_r = sub(ar[q], ar[q + 2 * s * m]), dif_i = sub(ai[q], ai[q + 2 * s * m]);
            int32_t odd_r = add(ar[q + s * m], ar[q + 3 * s * m]),
                    odd_i = add(ai[q + s * m], ai[q + 3 * s * m]);
            int32_t out_r = sub(ar[q + s * m], ar[q + 3 * s * m]),
                    out_i = sub(ai[q + s * m], ai[q + 3 * s * m]);
            int32_t r1 = add(dif_r, out_i), i1 = sub(dif_i, out_r), r2 = sub(sum_r, odd_r),
                    i2 = sub(sum_i, odd_i);
            int32_t r3 = sub(dif_r, out_i), i3 = add(dif_i, out_r);

            br[q] = half(add(sum_r, odd_r));
            bi[q] = half(add(sum_i, odd_i));
            br[q + s] = turn(r1, c1, i1, s1, AEI_MDCT_POINT + 1);
            bi[q + s] = turn(i1, c1, r1, -s1, AEI_MDCT_POINT + 1);
            br[q + 2 * s] = turn(r2, c2, i2, s2, AEI_MDCT_POINT + 1);
            bi[q + 2 * s] = turn(i2, c2, r2, -s2, AEI_MDCT_POINT + 1);
            br[q + 3 * s] = turn(r3, c3, i3, s3, AEI_MDCT_POINT + 1);
            bi[q + 3 * s] = turn(i3, c3, r3, -s3, AEI_MDCT_POINT + 1);
        }
    }
}

AEI_CLONES static void dct4(int32_t *x, int32_t *work, uint32_t log2n)
{
    uint32_t n = 1u << log2n, m = n / 2, l = log2n - 1, s = 1;
    const int32_t *c = turns[0][log2n], *d = turns[1][log2n], *e = turns[2][log2n],
                  *f = turns[3][log2n];
    int32_t *ar = work, *ai = work + m, *br = x, *bi = x + m, *swap;

    for (uint32_t i = 0; i < m; i++) {
        ar[i] = turn(x[2 * i], c[i], x[n - 1 - 2 * i], d[i], AEI_MDCT_POINT);
        ai[i] = turn(x[n - 1 - 2 * i], c[i], x[2 * i], -d[i], AEI_MDCT_POINT);
    }
    for (; l >= 2; l -= 2, s *= 4) {
        switch (s) { /* the width of inner loops is worth knowing */
        case 1: stage(ar, ai, br, bi, l, 1); break;
        case 4: stage(ar, ai, br, bi, l, 4); break;
        case 16: stage(ar, ai, br, bi, l, 16); break;
        default: stage(ar, ai, br, bi, l, s);
        }
        swap = ar, ar = br, br = swap;
        swap = ai, ai = bi, bi = swap;
    }
    if (l == 1) {
        for (uint32_t q = 0; q < s; q++) {
            br[q] = turn(ar[q], HALF_ROOT, ar[q + s], HALF_ROOT, AEI_MDCT_POINT);
            bi[q] = turn(ai[q], HALF_ROOT, ai[q + s], HALF_ROOT, AEI_MDCT_POINT);
            br[q + s] = turn(ar[q], HALF_ROOT, ar[q + s], -HALF_ROOT, AEI_MDCT_POINT);
            bi[q + s] = turn(ai[q], HALF_ROOT, ai[q + s], -HALF_ROOT, AEI_MDCT_POINT);
        }
        ar = br, ai = bi;
    }
    if (ar == x) { /* the last rotation goes to the other place */
        for (uint32_t i = 0; i < n; i++)
            work[i] = x[i];
        ar = work, ai = work + m;
    }
    for (uint32_t i = 0; i < m; i++) {
        x[2 * i] = turn(ar[i], e[i], ai[i], f[i], AEI_MDCT_POINT);
        x[n - 1 - 2 * i] = turn(ar[i], f[i], ai[i], -e[i], AEI_MDCT_POINT);
    }
}

void aei_mdct_dct4(int32_t *x, int32_t *work, uint32_t log2n)
{
    pthread_once(&once, make_tables);
    dct4(x, work, log2n);
}

AEI_CLONES static void rotate(int32_t *border, uint32_t log2n, int32_t direction)
{
    uint32_t n = 1u << log2n, shift = AEI_MDCT_MOST - log2n;

    for (uint32_t j = 0; j < n / 2; j++) {
        uint32_t angle = (2 * j + 1) << shift;
        int32_t c = quarter[QUARTER / 2 - angle], s = direction * quarter[QUARTER / 2 + angle];
        int32_t before = border[-1 - (int32_t)j], behind = border[j];

        border[-1 - (int32_t)j] = turn(before, c, behind, -s, AEI_MDCT_POINT);
        border[j] = turn(behind, c, before, s, AEI_MDCT_POINT);
    }
}

void aei_mdct_lap(int32_t *border, uint32_t log2n)
{
    pthread_once(&once, make_tables);
    rotate(border, log2n, 1);
}

void aei_mdct_unlap(int32_t *border, uint32_t log2n)
{
    pthread_once(&once, make_tables);
    rotate(border, log2n, -1);
}
