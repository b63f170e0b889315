/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands between data and a network: normalisation by the data's statistics and back, rows of
 * a table by number, probabilities of classes and the likeliest one; and what only training sees:
 * reversed gradients. */
#include <math.h>
#include <string.h>

#include "nn/rows.h"

static ae_status plan_rows(aei_plan *plan, aei_step *s, ae_error *err)
{
    (void)err;
    aei_scratch(plan, (size_t)4 * s->t.cp * sizeof(float));
    return AE_OK;
}

/* ---- softmax ---- over the channels of each pixel */
static void softmax_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    float *x = aei_scratch_row(run, 0, s->t.cp);
    uint32_t c = s->t.shape.c;

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        float most = -INFINITY, sum = 0;

        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 0; k < c; k++)
            most = x[k] > most ? x[k] : most;
        for (uint32_t k = 0; k < c; k++)
            sum += x[k] = expf(x[k] - most);
        for (uint32_t k = 0; k < c; k++)
            x[k] /= sum;
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

static void softmax_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                             void *to)
{
    float *y = aei_scratch_row(run, 0, s->t.cp), *g = aei_scratch_row(run, 1, s->t.cp);
    uint32_t c = s->t.shape.c;

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        float sum = 0;

        aei_load_pixel(&s->t, aei_value(run, s), i, y);
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        for (uint32_t k = 0; k < c; k++)
            sum += y[k] * g[k];
        for (uint32_t k = 0; k < c; k++)
            g[k] = y[k] * (g[k] - sum);
        memset(g + c, 0, (s->t.cp - c) * sizeof(float));
        aei_store_pixel(&aei_from(run, s, slot)->t, to, i, g);
    }
}

const aei_operator aei_op_softmax = {
    .plan = plan_rows, .forward = softmax_forward, .backward = softmax_backward};

/* ---- unit ---- y = x / |x| at each pixel; of zeros zeros */
static float length_of(const float *x, uint32_t c)
{
    float sum = 1e-12f; /* of the square, so that there is a derivative at zero, too */

    for (uint32_t k = 0; k < c; k++)
        sum += x[k] * x[k];
    return sqrtf(sum);
}

static void unit_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    float *x = aei_scratch_row(run, 0, s->t.cp);

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        float length;

        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        length = length_of(x, s->t.shape.c);
        for (uint32_t k = 0; k < s->t.cp; k++)
            x[k] /= length;
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

/* (g - y (y g)) / |x| */
static void unit_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                          void *to)
{
    const aei_step *f = aei_from(run, s, slot);
    float *x = aei_scratch_row(run, 0, s->t.cp), *g = aei_scratch_row(run, 1, s->t.cp);
    uint32_t c = s->t.shape.c;

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        float length, along = 0;

        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        length = length_of(x, c);
        for (uint32_t k = 0; k < c; k++)
            along += x[k] * g[k];
        for (uint32_t k = 0; k < c; k++)
            g[k] = (g[k] - x[k] * along / (length * length)) / length;
        memset(g + c, 0, (s->t.cp - c) * sizeof(float));
        aei_store_pixel(&f->t, to, i, g);
    }
}

const aei_operator aei_op_unit = {
    .plan = plan_rows, .forward = unit_forward, .backward = unit_backward};

/* ---- reverse ---- */
static void reverse_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    (void)w;
    memcpy(aei_target(run, s), aei_value(run, aei_from(run, s, 0)), aei_tensor_bytes(&s->t));
}

static void reverse_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                             void *to)
{
    float *g = aei_scratch_row(run, 0, s->t.cp);

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        for (uint32_t k = 0; k < s->t.cp; k++)
            g[k] *= -s->node->value;
        aei_store_pixel(&aei_from(run, s, slot)->t, to, i, g);
    }
}

const aei_operator aei_op_reverse = {
    .plan = plan_rows, .forward = reverse_forward, .backward = reverse_backward};

/* ---- normalise, denormalise ---- (x - mean) / deviation and back, by statistics that are given,
 * not learned */
static ae_status normal_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    s->native_floats = (size_t)2 * s->t.shape.c;
    return plan_rows(plan, s, err);
}

/* y = scale x + shift. */
static void affine_of(const aei_run *run, const aei_weights *w, const aei_step *s, float *scale,
                      float *shift)
{
    const float *mean = aei_param(w, s, 0), *variance = aei_param(w, s, 1);

    (void)run;
    memset(scale, 0, s->t.cp * sizeof(float));
    memset(shift, 0, s->t.cp * sizeof(float));
    for (uint32_t k = 0; k < s->t.shape.c; k++) {
        float deviation = sqrtf(variance[k] + 1e-12f); /* of what never changes: no division by 0 */

        scale[k] = s->node->op == AE_OP_NORMALISE ? 1 / deviation : deviation;
        shift[k] = s->node->op == AE_OP_NORMALISE ? -mean[k] / deviation : mean[k];
    }
}

static void normal_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    float *x = aei_scratch_row(run, 0, s->t.cp), *scale = aei_scratch_row(run, 1, s->t.cp),
          *shift = aei_scratch_row(run, 2, s->t.cp);

    affine_of(run, w, s, scale, shift);
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 0; k < s->t.cp; k++)
            x[k] = x[k] * scale[k] + shift[k];
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

static void normal_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                            void *to)
{
    float *g = aei_scratch_row(run, 0, s->t.cp), *scale = aei_scratch_row(run, 1, s->t.cp),
          *shift = aei_scratch_row(run, 2, s->t.cp);

    affine_of(run, w, s, scale, shift);
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        for (uint32_t k = 0; k < s->t.cp; k++)
            g[k] *= scale[k];
        aei_store_pixel(&aei_from(run, s, slot)->t, to, i, g);
    }
}

/* The batch's own statistics, of what is normal and of what is to be: for whoever measures them. */
static void normal_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    const aei_step *f = aei_from(run, s, 0);
    float *x = aei_scratch_row(run, 0, s->t.cp), *mean = aei_scratch_row(run, 1, s->t.cp),
          *variance = aei_scratch_row(run, 2, s->t.cp);
    uint32_t c = s->t.shape.c;
    size_t n = aei_pixels(&s->t);

    (void)w;
    memset(mean, 0, (size_t)2 * s->t.cp * sizeof(float));
    for (int pass = 0; pass < 2; pass++) {
        float *to = pass ? variance : mean;

        for (size_t i = 0; i < n; i++) {
            aei_load_pixel(&f->t, aei_value(run, f), i, x);
            for (uint32_t k = 0; k < c; k++)
                to[k] += pass ? (x[k] - mean[k]) * (x[k] - mean[k]) : x[k];
        }
        for (uint32_t k = 0; k < c; k++)
            to[k] /= (float)n;
    }
    memcpy(native, mean, c * sizeof(float));
    memcpy(native + c, variance, c * sizeof(float));
}

#define NORMAL                                                                                     \
    {                                                                                              \
        .plan = normal_plan, .forward = normal_forward, .backward = normal_backward,               \
        .backward_params = normal_params                                                           \
    }
const aei_operator aei_op_normalise = NORMAL, aei_op_denormalise = NORMAL;

/* ---- gather ---- a row of a learned table by its number, the nearest where there is no such row
 */
static ae_status gather_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    s->native_floats = (size_t)s->node->factor * s->node->out;
    return plan_rows(plan, s, err);
}

static size_t number_at(const aei_run *run, const aei_step *s, size_t i)
{
    const aei_step *f = aei_from(run, s, 0);
    float x, most = (float)(s->node->factor - 1);

    aei_to_f32((const uint8_t *)aei_value(run, f) + i * f->t.cp * f->t.element, f->t.element, &x,
               1);
    return (size_t)lrintf(fminf(fmaxf(x, 0), most)); /* NaN: 0 */
}

static void gather_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    float *y = aei_scratch_row(run, 0, s->t.cp);
    uint32_t c = s->t.shape.c;

    memset(y, 0, s->t.cp * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        memcpy(y, aei_param(w, s, 0) + number_at(run, s, i) * c, c * sizeof(float));
        aei_store_pixel(&s->t, aei_target(run, s), i, y);
    }
}

static void no_gradient(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                        void *to)
{
    (void)w;
    memset(to, 0, aei_tensor_bytes(&aei_from(run, s, slot)->t));
}

static void gather_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    float *g = aei_scratch_row(run, 0, s->t.cp);
    uint32_t c = s->t.shape.c;

    (void)w;
    memset(native, 0, s->native_floats * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        aei_add_to(native + number_at(run, s, i) * c, g, sizeof(float), c);
    }
}

const aei_operator aei_op_gather = {.plan = gather_plan,
                                    .forward = gather_forward,
                                    .backward = no_gradient,
                                    .backward_params = gather_params};

/* ---- argmax ---- the first of the largest; of NaN: 0 */
static ae_status argmax_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    (void)err;
    aei_scratch(plan, (size_t)(plan->steps[s->node->from[0]].t.cp + s->t.cp) * sizeof(float));
    return AE_OK;
}

static void argmax_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    float *y = aei_scratch_row(run, 0, s->t.cp), *x = y + s->t.cp;

    (void)w;
    memset(y, 0, s->t.cp * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        uint32_t best = 0;

        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 1; k < f->t.shape.c; k++)
            best = x[k] > x[best] ? k : best;
        y[0] = (float)best;
        aei_store_pixel(&s->t, aei_target(run, s), i, y);
    }
}

const aei_operator aei_op_argmax = {
    .plan = argmax_plan, .forward = argmax_forward, .backward = no_gradient};
