/* SPDX-License-Identifier: BSD-2-Clause */
#include "train/muon.h"
#include "core/clones.h"
#include "nn/matmul.h"
#include "nn/plan.h"
#include "train/loss.h"

#include <math.h>

enum { ROUNDS = 5, LEAST = 16 };
#define MOMENTUM 0.95f
/* Jordan's quintic drives all singular values to about 1 in ROUNDS rounds. */
static const float quintic[3] = {3.4445f, -4.7750f, 2.0315f};

struct aei_muon {
    uint32_t rows, columns; /* of the parameter */
    uint32_t low, high;     /* the lesser and the larger of them: x is low x high */
    uint32_t element;       /* bytes of an operand of the products */
    aei_matmul *gram, *square, *product;
    float *x, *y, *a, *b;
    void *narrow_x, *narrow_a; /* the operands; in f32 x and a themselves */
};

bool aei_muon_wants(const ae_param *p)
{
    return p->trainable && p->decay && p->n_dims > 1 && p->dims[0] >= LEAST && p->count / p->dims[0] >= LEAST;
}

ae_status aei_muon_create(const ae_param *p, ae_precision precision, aei_muon **out, ae_error *err)
{
    aei_muon *t = *out = ae_alloc(1, sizeof(*t));
    size_t n = p->count;
    ae_status st;

    if (!t)
        return ae_fail(err, AE_ERR_NOMEM, "the update of %s", p->name);
    t->rows = p->dims[0];
    t->columns = (uint32_t)(n / t->rows);
    t->low = t->rows < t->columns ? t->rows : t->columns;
    t->high = t->rows + t->columns - t->low;
    t->element = precision == AE_PRECISION_BF16 ? 2 : 4;
    t->x = ae_alloc(n, sizeof(float));
    t->y = ae_alloc(n, sizeof(float));
    t->a = ae_alloc((size_t)t->low * t->low, sizeof(float));
    t->b = ae_alloc((size_t)t->low * t->low, sizeof(float));
    t->narrow_x = t->element == 4 ? t->x : ae_alloc(n, t->element);
    t->narrow_a = t->element == 4 ? t->a : ae_alloc((size_t)t->low * t->low, t->element);
    if (!t->x || !t->y || !t->a || !t->b || !t->narrow_x || !t->narrow_a)
        st = ae_fail(err, AE_ERR_NOMEM, "the update of %s, %u x %u", p->name, t->rows, t->columns);
    else if ((st = aei_matmul_create(t->low, t->high, t->low, true, precision, &t->gram, err)) == AE_OK &&
             (st = aei_matmul_create(t->low, t->low, t->low, false, precision, &t->square, err)) == AE_OK)
        st = aei_matmul_create(t->low, t->low, t->high, false, precision, &t->product, err);
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
    if (t->narrow_x != t->x)
        ae_free(t->narrow_x);
    if (t->narrow_a != t->a)
        ae_free(t->narrow_a);
    ae_free(t->x);
    ae_free(t->y);
    ae_free(t->a);
    ae_free(t->b);
    ae_free(t);
}

/* to = p to + q from */
AEI_CLONES static void blend(size_t n, float p, float q, const float *restrict from, float *restrict to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = p * to[i] + q * from[i];
}

/* The momentum and where it leads (Nesterov); returns the sum of squares of the latter. */
static double accumulate(size_t n, float scale, const float *restrict gradient, float *restrict momentum, float *restrict lead)
{
    blend(n, MOMENTUM, (1 - MOMENTUM) * scale, gradient, momentum);
    for (size_t i = 0; i < n; i++)
        lead[i] = MOMENTUM * momentum[i] + (1 - MOMENTUM) * scale * gradient[i];
    return aei_sum_squares(lead, n);
}

static void transpose(uint32_t rows, uint32_t columns, const float *restrict from, float *restrict to)
{
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t k = 0; k < columns; k++)
            to[(size_t)k * rows + i] = from[(size_t)i * columns + k];
}

/* An operand of the products; in f32 it is the matrix itself. */
static void narrow(const aei_muon *t, const float *from, void *to, size_t n)
{
    if (to != from)
        aei_from_f32(from, to, t->element, n);
}

/* x <- p x + q (x xᵀ) x + r (x xᵀ)² x, some times. */
static bool orthogonalise(aei_muon *t)
{
    size_t n = (size_t)t->low * t->high, square = (size_t)t->low * t->low;

    for (int round = 0; round < ROUNDS; round++) {
        narrow(t, t->x, t->narrow_x, n);
        if (!aei_matmul_run(t->gram, t->narrow_x, t->narrow_x, t->a))
            return false;
        narrow(t, t->a, t->narrow_a, square);
        if (!aei_matmul_run(t->square, t->narrow_a, t->narrow_a, t->b))
            return false;
        blend(square, quintic[1], quintic[2], t->b, t->a);
        narrow(t, t->a, t->narrow_a, square);
        if (!aei_matmul_run(t->product, t->narrow_a, t->narrow_x, t->y))
            return false;
        blend(n, quintic[0], 1, t->y, t->x);
    }
    return true;
}

AEI_CLONES static void move(const aei_update *u, float step, size_t n, const float *restrict direction, float *restrict value,
                            float *restrict average)
{
    float keep = 1 - u->rate * u->decay, a = u->average;

    for (size_t i = 0; i < n; i++) {
        float w = keep * value[i] - step * direction[i];

        value[i] = w;
        average[i] += a * (w - average[i]);
    }
}

ae_status aei_muon_apply(aei_muon *t, const aei_update *u, const float *gradient, float *value, float *momentum, float *average,
                         ae_error *err)
{
    size_t n = (size_t)t->rows * t->columns;
    bool turned = t->rows > t->columns;
    float *lead = turned ? t->y : t->x;
    float factor = (float)(1 / (sqrt(accumulate(n, u->scale, gradient, momentum, lead)) + 1e-30));

    if (turned)
        transpose(t->rows, t->columns, t->y, t->x);
    for (size_t i = 0; i < n; i++)
        t->x[i] *= factor;
    if (!orthogonalise(t))
        return ae_fail(err, AE_ERR_NOMEM, "oneDNN could not multiply matrices of %u x %u", t->low, t->high);
    if (turned)
        transpose(t->columns, t->rows, t->x, t->y);
    move(u, u->rate * 0.2f * sqrtf((float)t->high), n, turned ? t->y : t->x, value, average);
    return AE_OK;
}
