/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operators that compute on single samples: sums, products, scales, activations by themselves,
 * rounding. Rounding has the gradient of the identity (Bengio et al. 2013). */
#include <math.h>
#include <string.h>

#include "nn/rows.h"

/* Pixel of input `t` that corresponds to pixel i of the output: itself, or the picture's only one.
 */
static size_t broadcast(const aei_tensor *out, const aei_tensor *t, size_t i)
{
    return t->shape.h * t->shape.w == out->shape.h * out->shape.w
               ? i
               : i / ((size_t)out->shape.h * out->shape.w);
}

static bool is_broadcast(const aei_tensor *out, const aei_tensor *t)
{
    return t->shape.h * t->shape.w != out->shape.h * out->shape.w;
}

/* ---- add, mul ---- */
static void add_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    uint8_t *to = aei_target(run, s);
    size_t n = aei_pixels(&s->t);

    (void)w;
    for (uint32_t k = 0; k < s->node->n_from; k++) {
        const aei_step *f = aei_from(run, s, k);
        const uint8_t *from = aei_value(run, f);

        if (is_broadcast(&s->t, &f->t)) {
            size_t row = (size_t)s->t.cp * s->t.element;

            for (size_t i = 0; i < n; i++)
                if (k)
                    aei_add_to(to + i * row, from + broadcast(&s->t, &f->t, i) * row, s->t.element,
                               s->t.cp);
                else
                    memcpy(to + i * row, from + broadcast(&s->t, &f->t, i) * row, row);
        } else if (k) {
            aei_add_to(to, from, s->t.element, n * s->t.cp);
        } else {
            memcpy(to, from, aei_tensor_bytes(&s->t));
        }
    }
}

/* Sums the gradient over the pixels that share one broadcast input pixel, each multiplied by
 * `other` where given. */
static void reduce_broadcast(const aei_run *run, const aei_step *s, const aei_tensor *t,
                             const aei_tensor *other_t, const void *other, void *to)
{
    float *sum = aei_scratch_row(run, 0, s->t.cp), *g = aei_scratch_row(run, 1, s->t.cp),
          *o = aei_scratch_row(run, 2, s->t.cp);
    size_t area = (size_t)s->t.shape.h * s->t.shape.w;

    for (size_t n = 0; n < t->shape.n; n++) {
        memset(sum, 0, s->t.cp * sizeof(float));
        for (size_t i = n * area; i < (n + 1) * area; i++) {
            aei_load_pixel(&s->t, aei_grad(run, s), i, g);
            if (other)
                aei_load_pixel(other_t, other, broadcast(&s->t, other_t, i), o);
            for (uint32_t c = 0; c < s->t.cp; c++)
                sum[c] += other ? g[c] * o[c] : g[c];
        }
        aei_store_pixel(t, to, n, sum);
    }
}

static void add_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                         void *to)
{
    const aei_tensor *t = &aei_from(run, s, slot)->t;

    (void)w;
    if (is_broadcast(&s->t, t))
        reduce_broadcast(run, s, t, NULL, NULL, to);
    else
        memcpy(to, aei_grad(run, s), aei_tensor_bytes(t));
}

const aei_operator aei_op_add = {
    .plan = aei_plan_rows, .forward = add_forward, .backward = add_backward, .passes = true};

/* `one` times `other` (and `add`, where given), sample by sample; either may be broadcast over
 * `out`. */
static void multiply(const aei_run *run, const aei_tensor *out, const aei_tensor *one_t,
                     const void *one, const aei_tensor *other_t, const void *other, const void *add,
                     void *to)
{
    size_t n = aei_pixels(out);
    float *x = aei_scratch_row(run, 0, out->cp), *y = aei_scratch_row(run, 1, out->cp);

    if (!is_broadcast(out, one_t) && !is_broadcast(out, other_t) &&
        one_t->element == out->element && other_t->element == out->element) {
        aei_multiply(to, one, other, add, out->element, n * out->cp);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        aei_load_pixel(one_t, one, broadcast(out, one_t, i), x);
        aei_load_pixel(other_t, other, broadcast(out, other_t, i), y);
        for (uint32_t c = 0; c < out->cp; c++)
            x[c] *= y[c];
        if (add) {
            aei_load_pixel(out, add, i, y);
            for (uint32_t c = 0; c < out->cp; c++)
                x[c] += y[c];
        }
        aei_store_pixel(out, to, i, x);
    }
}

/* The product of `other` and a gate that is computed piece by piece; the last piece begins early
 * enough to be a whole one. */
static void multiply_gate(aei_run *run, const aei_weights *w, const aei_step *s,
                          const aei_step *gate, const uint8_t *other, const uint8_t *add)
{
    size_t n = aei_pixels(&s->t), row = (size_t)s->t.cp * s->t.element;

    for (size_t i = 0; i < n; i += gate->chunk) {
        size_t first = i + gate->chunk <= n ? i : n - gate->chunk,
               m = n - i < gate->chunk ? n - i : gate->chunk;
        const uint8_t *piece = aei_conv_chunk(run, w, gate, first);

        aei_multiply((uint8_t *)aei_target(run, s) + i * row, other + i * row,
                     piece + (i - first) * row, add ? add + i * row : NULL, s->t.element,
                     m * s->t.cp);
    }
}

static void mul_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *a = aei_from(run, s, 0), *b = aei_from(run, s, 1);
    const void *add = s->node->add < 0 ? NULL : aei_value(run, &run->plan->steps[s->node->add]);

    if (a->chunk || b->chunk) {
        multiply_gate(run, w, s, a->chunk ? a : b, aei_value(run, a->chunk ? b : a), add);
        return;
    }
    multiply(run, &s->t, &a->t, aei_value(run, a), &b->t, aei_value(run, b), add,
             aei_target(run, s));
}

static void mul_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                         void *to)
{
    const aei_step *from = aei_from(run, s, slot), *other = aei_from(run, s, 1 - slot);
    const aei_tensor *t = &from->t;

    (void)w;
    if (from->gates)
        (from->node->act == AE_ACT_CLIP ? aei_clip_backward : aei_sigmoid_backward)(
            to, aei_grad(run, s), aei_value(run, from), aei_value(run, other), t->element,
            aei_pixels(t) * t->cp);
    else if (is_broadcast(&s->t, t))
        reduce_broadcast(run, s, t, &other->t, aei_value(run, other), to);
    else
        multiply(run, t, &s->t, aei_grad(run, s), &other->t, aei_value(run, other), NULL, to);
}

const aei_operator aei_op_mul = {
    .plan = aei_plan_rows, .forward = mul_forward, .backward = mul_backward};

/* ---- scale ---- */
static void scale_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    const float *k = aei_param(w, s, 0);
    float *x = aei_scratch_row(run, 0, s->t.cp);

    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        for (uint32_t c = 0; c < s->t.shape.c; c++)
            x[c] *= k[c];
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

static void scale_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                           void *to)
{
    const float *k = aei_param(w, s, 0);
    float *g = aei_scratch_row(run, 0, s->t.cp);

    (void)slot;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        for (uint32_t c = 0; c < s->t.shape.c; c++)
            g[c] *= k[c];
        aei_store_pixel(&s->t, to, i, g);
    }
}

static void scale_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    const aei_step *f = aei_from(run, s, 0);
    float *g = aei_scratch_row(run, 0, s->t.cp), *x = aei_scratch_row(run, 1, s->t.cp),
          *sum = aei_scratch_row(run, 2, s->t.cp);

    (void)w;
    memset(sum, 0, s->t.cp * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        for (uint32_t c = 0; c < s->t.shape.c; c++)
            sum[c] += g[c] * x[c];
    }
    aei_deliver(s, 0, sum, native);
}

const aei_operator aei_op_scale = {.plan = aei_plan_rows,
                                   .forward = scale_forward,
                                   .backward = scale_backward,
                                   .backward_params = scale_params};

/* ---- act alone, round ---- */

/* Copies samples into another tensor of the same shape, which may be of the other type. */
static void convert(const aei_tensor *a, const void *from, const aei_tensor *b, void *to)
{
    size_t n = aei_pixels(a) * a->cp;

    if (a->element == b->element)
        memcpy(to, from, aei_tensor_bytes(a));
    else if (b->element == 4)
        aei_to_f32(from, a->element, to, n);
    else
        aei_from_f32(from, to, b->element, n);
}

static void act_only_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);

    (void)w;
    convert(&f->t, aei_value(run, f), &s->t, aei_target(run, s));
}

static void pass_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                          void *to)
{
    (void)w;
    convert(&s->t, aei_grad(run, s), &aei_from(run, s, slot)->t, to);
}

const aei_operator aei_op_act = {
    .forward = act_only_forward, .backward = pass_backward, .passes = true};

static void round_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    float *x = aei_scratch_row(run, 0, s->t.cp);

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 0; k < s->t.cp; k++)
            x[k] = rintf(x[k]);
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

const aei_operator aei_op_round = {
    .plan = aei_plan_rows, .forward = round_forward, .backward = pass_backward, .passes = true};
