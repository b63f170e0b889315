/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Muon in products of matrices: the momentum is scaled to a norm of at most 1 and brought near its
 * orthogonal factor by a few odd polynomials of itself, with the smaller of the two Gram matrices,
 * in bf16 where the run is. */
#include "train/muon.h"
#include "core/clones.h"
#include "nn/matmul.h"
#include "nn/plan.h"
#include "train/loss.h"

#include <math.h>

enum { ROUNDS = 4, LEAST = 16, CHUNK = 2048 /* floats that stay in the first cache */ };
#define MOMENTUM 0.95f
/* Factors of x, x^3, x^5: together they bring all singular values in 0.003..1 as close to 1 as can
 * be, to 0.8..1.2. */
static const float quintics[ROUNDS][3] = {{8.3837f, -24.7659f, 18.3571f},
                                          {4.0434f, -3.0114f, 0.5695f},
                                          {3.5056f, -2.6267f, 0.5257f},
                                          {2.4901f, -1.8343f, 0.4368f}};
#define SLACK 1.02f /* for what rounding adds to the largest singular value */

struct aei_muon {
    uint32_t rows, columns, low; /* of the parameter, and the lesser of them */
    uint32_t element;            /* bytes of an operand of the products, f32 or bf16 */
    aei_matmul *gram, *square, *product;
    float *a, *b;
    void *x, *y, *p; /* operands: the matrix, the next one, the polynomial of the gram matrix */
};

bool aei_muon_wants(const ae_param *p)
{
    return p->trainable && p->decay && p->n_dims > 1 && p->dims[0] >= LEAST &&
           p->count / p->dims[0] >= LEAST;
}

ae_status aei_muon_create(const ae_param *p, ae_precision precision, aei_muon **out, ae_error *err)
{
    aei_muon *t = *out = ae_alloc(1, sizeof(*t));
    size_t n = p->count;
    bool wide;
    ae_status st;

    if (!t)
        return ae_fail(err, AE_ERR_NOMEM, "the update of %s", p->name);
    t->rows = p->dims[0];
    t->columns = (uint32_t)(n / t->rows);
    wide = t->rows <= t->columns;
    t->low = wide ? t->rows : t->columns;
    t->element = precision == AE_PRECISION_BF16 ? 2 : 4;
    t->a = ae_alloc((size_t)t->low * t->low, sizeof(float));
    t->b = ae_alloc((size_t)t->low * t->low, sizeof(float));
    t->x = ae_alloc(n, t->element);
    t->y = ae_alloc(n, t->element);
    t->p = ae_alloc((size_t)t->low * t->low, t->element);
    if (!t->a || !t->b || !t->x || !t->y || !t->p)
        st = ae_fail(err, AE_ERR_NOMEM, "the update of %s, %u x %u", p->name, t->rows, t->columns);
    else if ((st = aei_matmul_create(t->low, wide ? t->columns : t->rows, t->low,
                                     wide ? AEI_B_TURNED : AEI_A_TURNED, precision,
                                     AE_PRECISION_F32, &t->gram, err)) == AE_OK &&
             (st = aei_matmul_create(t->low, t->low, t->low, AEI_AS_IS, precision, AE_PRECISION_F32,
                                     &t->square, err)) == AE_OK)
        st = aei_matmul_create(t->rows, t->low, t->columns, AEI_AS_IS, precision, precision,
                               &t->product, err);
    if (st != AE_OK) {
        aei_muon_free(t);
        *out = NULL;
    }
    return st;
}

void aei_muon_free(aei_muon *t)
{
    if (!t)
        return;
    aei_matmul_free(t->gram);
    aei_matmul_free(t->square);
    aei_matmul_free(t->product);
    ae_free(t->a);
    ae_free(t->b);
    ae_free(t->x);
    ae_free(t->y);
    ae_free(t->p);
    ae_free(t);
}

static size_t chunk(size_t n, size_t at)
{
    return n - at < CHUNK ? n - at : CHUNK;
}

/* The momentum and where it leads (Nesterov). */
AEI_CLONES static void lead(size_t n, float scale, const float *restrict gradient,
                            float *restrict momentum, float *restrict to)
{
    float rest = (1 - MOMENTUM) * scale;

    for (size_t i = 0; i < n; i++) {
        float m = MOMENTUM * momentum[i] + rest * gradient[i];

        momentum[i] = m;
        to[i] = MOMENTUM * m + rest * gradient[i];
    }
}

AEI_CLONES static void multiply(size_t n, float factor, float *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

/* a <- q a + r b */
AEI_CLONES static void blend(size_t n, float q, float r, float *restrict a, const float *restrict b)
{
    for (size_t i = 0; i < n; i++)
        a[i] = q * a[i] + r * b[i];
}

/* x <- (p + q g + r g²) x with g = x xᵀ, some times; where x is tall x (p + q g + r g²) with
 * g = xᵀ x, which is the same. The norm of the first g bounds the singular values far more
 * tightly than that of x: it takes the place of a round. */
static bool orthogonalise(aei_muon *t)
{
    size_t square = (size_t)t->low * t->low;
    bool wide = t->rows <= t->columns;

    for (int round = 0; round < ROUNDS; round++) {
        const float *k = quintics[round];
        void *next = t->y;
        float v = 1;

        if (!aei_matmul_run(t->gram, t->x, t->x, t->a))
            return false;
        if (round == 0) { /* the floor is for gradients of 0 */
            v = (float)(1 / (SLACK * sqrt(fmax(1e-30, sqrt(aei_sum_squares(t->a, square))))));
            multiply(square, v * v, t->a);
        }
        aei_from_f32(t->a, t->p, t->element, square);
        if (!aei_matmul_run(t->square, t->p, t->p, t->b))
            return false;
        blend(square, k[1] * v, k[2] * v, t->a, t->b);
        for (uint32_t i = 0; i < t->low; i++)
            t->a[(size_t)i * t->low + i] += k[0] * v;
        aei_from_f32(t->a, t->p, t->element, square);
        if (!aei_matmul_run(t->product, wide ? t->p : t->x, wide ? t->x : t->p, next))
            return false;
        t->y = t->x;
        t->x = next;
    }
    return true;
}

AEI_CLONES static void move(const aei_update *u, float step, size_t n,
                            const float *restrict direction, float *restrict value,
                            float *restrict average)
{
    float keep = 1 - u->rate * u->decay, a = u->average;

    for (size_t i = 0; i < n; i++) {
        float w = keep * value[i] - step * direction[i];

        value[i] = w;
        average[i] += a * (w - average[i]);
    }
}

ae_status aei_muon_apply(aei_muon *t, const aei_update *u, const float *gradient, float *value,
                         float *momentum, float *average, ae_error *err)
{
    size_t n = (size_t)t->rows * t->columns;
    float step = u->rate * 0.2f * sqrtf((float)(t->rows + t->columns - t->low)), direction[CHUNK];

    for (size_t i = 0; i < n; i += CHUNK) {
        lead(chunk(n, i), u->scale, gradient + i, momentum + i, direction);
        aei_from_f32(direction, (uint8_t *)t->x + i * t->element, t->element, chunk(n, i));
    }
    if (!orthogonalise(t))
        return ae_fail(err, AE_ERR_NOMEM, "oneDNN could not multiply matrices of %u x %u", t->rows,
                       t->columns);
    for (size_t i = 0; i < n; i += CHUNK) {
        aei_to_f32((uint8_t *)t->x + i * t->element, t->element, direction, chunk(n, i));
        move(u, step, chunk(n, i), direction, value + i, average + i);
    }
    return AE_OK;
}
