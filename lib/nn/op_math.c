/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operators that compute on single samples or channels: sums, products, scales, normalisation,
 * random nodes, rounding. They load a pixel's channels to f32, compute, and store. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "nn/plan.h"

/* Pixel i of a tensor as f32 in `to`, all stored channels. */
static void load(const aei_tensor *t, const void *data, size_t i, float *to)
{
    aei_to_f32((const uint8_t *)data + i * t->cp * t->element, t->element, to, t->cp);
}

static void store(const aei_tensor *t, void *data, size_t i, const float *from)
{
    aei_from_f32(from, (uint8_t *)data + i * t->cp * t->element, t->element, t->cp);
}

/* n-th row of f32 scratch, each of `width` floats. */
static float *scratch_row(const aei_run *run, uint32_t n, uint32_t width)
{
    return (float *)aei_at(run, AEI_SCRATCH) + (size_t)n * width;
}

/* Rows of stored channels that an operator's loops need. */
static ae_status plan_rows(aei_plan *plan, aei_step *s, ae_error *err)
{
    (void)err;
    for (int i = 0; i < 4; i++)
        s->native_floats += s->param[i] < 0 ? 0 : s->t.shape.c;
    aei_scratch(plan, (size_t)8 * s->t.cp * sizeof(float));
    return AE_OK;
}

static ae_status no_memory(const aei_step *s, ae_error *err)
{
    return ae_fail(err, AE_ERR_NOMEM, "layer '%s'", s->node->name);
}

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
    float *sum = scratch_row(run, 0, s->t.cp), *g = scratch_row(run, 1, s->t.cp),
          *o = scratch_row(run, 2, s->t.cp);
    size_t area = (size_t)s->t.shape.h * s->t.shape.w;

    for (size_t n = 0; n < t->shape.n; n++) {
        memset(sum, 0, s->t.cp * sizeof(float));
        for (size_t i = n * area; i < (n + 1) * area; i++) {
            load(&s->t, aei_grad(run, s), i, g);
            if (other)
                load(other_t, other, broadcast(&s->t, other_t, i), o);
            for (uint32_t c = 0; c < s->t.cp; c++)
                sum[c] += other ? g[c] * o[c] : g[c];
        }
        store(t, to, n, sum);
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
    .plan = plan_rows, .forward = add_forward, .backward = add_backward, .passes = true};

/* `one` times `other` (and `add`, where given), sample by sample; either may be broadcast over
 * `out`. */
static void multiply(const aei_run *run, const aei_tensor *out, const aei_tensor *one_t,
                     const void *one, const aei_tensor *other_t, const void *other, const void *add,
                     void *to)
{
    size_t n = aei_pixels(out);
    float *x = scratch_row(run, 0, out->cp), *y = scratch_row(run, 1, out->cp);

    if (!is_broadcast(out, one_t) && !is_broadcast(out, other_t) &&
        one_t->element == out->element && other_t->element == out->element) {
        aei_multiply(to, one, other, add, out->element, n * out->cp);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        load(one_t, one, broadcast(out, one_t, i), x);
        load(other_t, other, broadcast(out, other_t, i), y);
        for (uint32_t c = 0; c < out->cp; c++)
            x[c] *= y[c];
        if (add) {
            load(out, add, i, y);
            for (uint32_t c = 0; c < out->cp; c++)
                x[c] += y[c];
        }
        store(out, to, i, x);
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
    .plan = plan_rows, .forward = mul_forward, .backward = mul_backward};

/* ---- scale ---- */
static void scale_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    const float *k = aei_param(w, s, 0);
    float *x = scratch_row(run, 0, s->t.cp);

    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&f->t, aei_value(run, f), i, x);
        for (uint32_t c = 0; c < s->t.shape.c; c++)
            x[c] *= k[c];
        store(&s->t, aei_target(run, s), i, x);
    }
}

static void scale_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                           void *to)
{
    const float *k = aei_param(w, s, 0);
    float *g = scratch_row(run, 0, s->t.cp);

    (void)slot;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&s->t, aei_grad(run, s), i, g);
        for (uint32_t c = 0; c < s->t.shape.c; c++)
            g[c] *= k[c];
        store(&s->t, to, i, g);
    }
}

/* The gradient of parameter `which`, a value for each channel. */
static void deliver(const aei_step *s, uint32_t which, const float *sum, float *native)
{
    memcpy(native + which * s->t.shape.c, sum, s->t.shape.c * sizeof(float));
}

static void scale_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    const aei_step *f = aei_from(run, s, 0);
    float *g = scratch_row(run, 0, s->t.cp), *x = scratch_row(run, 1, s->t.cp),
          *sum = scratch_row(run, 2, s->t.cp);

    (void)w;
    memset(sum, 0, s->t.cp * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&s->t, aei_grad(run, s), i, g);
        load(&f->t, aei_value(run, f), i, x);
        for (uint32_t c = 0; c < s->t.shape.c; c++)
            sum[c] += g[c] * x[c];
    }
    deliver(s, 0, sum, native);
}

const aei_operator aei_op_scale = {.plan = plan_rows,
                                   .forward = scale_forward,
                                   .backward = scale_backward,
                                   .backward_params = scale_params};

/* ---- batch normalisation ---- y = (x - mean) / sqrt(var + eps) * weight + bias
 * aux: mean and 1 / sqrt(var + eps), then var, as f32. Parameters: weight, bias, mean, var. */
static const float norm_epsilon = 1e-5f;

static ae_status batchnorm_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    s->aux = aei_span_new(plan, (size_t)3 * s->t.cp * sizeof(float), s->index,
                          plan->config.train ? 2 * plan->n_steps - s->index : s->index);
    if (s->aux < 0)
        return no_memory(s, err);
    return plan_rows(plan, s, err);
}

static void batchnorm_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    const float *weight = aei_param(w, s, 0), *bias = aei_param(w, s, 1);
    uint32_t cp = s->t.cp, c = s->t.shape.c;
    float *mean = aei_at(run, s->aux), *inverse = mean + cp, *var = mean + 2 * cp,
          *x = scratch_row(run, 0, cp);
    size_t n = aei_pixels(&s->t);

    if (run->plan->config.train) {
        memset(mean, 0, (size_t)3 * cp * sizeof(float));
        for (size_t i = 0; i < n; i++) {
            load(&f->t, aei_value(run, f), i, x);
            for (uint32_t k = 0; k < c; k++)
                mean[k] += x[k];
        }
        for (uint32_t k = 0; k < c; k++)
            mean[k] /= (float)n;
        for (size_t i = 0; i < n; i++) {
            load(&f->t, aei_value(run, f), i, x);
            for (uint32_t k = 0; k < c; k++)
                var[k] += (x[k] - mean[k]) * (x[k] - mean[k]);
        }
        for (uint32_t k = 0; k < c; k++)
            var[k] /= (float)n;
    } else {
        memcpy(mean, aei_param(w, s, 2), c * sizeof(float));
        memcpy(var, aei_param(w, s, 3), c * sizeof(float));
    }
    for (uint32_t k = 0; k < c; k++)
        inverse[k] = 1 / sqrtf(var[k] + norm_epsilon);
    for (size_t i = 0; i < n; i++) {
        load(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 0; k < c; k++)
            x[k] = (x[k] - mean[k]) * inverse[k] * weight[k] + bias[k];
        store(&s->t, aei_target(run, s), i, x);
    }
}

/* sum_g, sum_gx: sums of the gradient and of gradient times normalised input. */
static void batchnorm_sums(aei_run *run, const aei_step *s, float *sum_g, float *sum_gx)
{
    const aei_step *f = aei_from(run, s, 0);
    uint32_t cp = s->t.cp;
    float *mean = aei_at(run, s->aux), *inverse = mean + cp, *x = scratch_row(run, 0, cp),
          *g = scratch_row(run, 1, cp);

    memset(sum_g, 0, cp * sizeof(float));
    memset(sum_gx, 0, cp * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&f->t, aei_value(run, f), i, x);
        load(&s->t, aei_grad(run, s), i, g);
        for (uint32_t k = 0; k < s->t.shape.c; k++) {
            sum_g[k] += g[k];
            sum_gx[k] += g[k] * (x[k] - mean[k]) * inverse[k];
        }
    }
}

static void batchnorm_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                               void *to)
{
    const aei_step *f = aei_from(run, s, slot);
    const float *weight = aei_param(w, s, 0);
    uint32_t cp = s->t.cp;
    float *mean = aei_at(run, s->aux), *inverse = mean + cp, *x = scratch_row(run, 0, cp),
          *g = scratch_row(run, 1, cp);
    float *sum_g = scratch_row(run, 2, cp), *sum_gx = scratch_row(run, 3, cp);
    size_t n = aei_pixels(&s->t);

    batchnorm_sums(run, s, sum_g, sum_gx);
    for (size_t i = 0; i < n; i++) {
        load(&f->t, aei_value(run, f), i, x);
        load(&s->t, aei_grad(run, s), i, g);
        for (uint32_t k = 0; k < s->t.shape.c; k++)
            g[k] = weight[k] * inverse[k] *
                   (g[k] - (sum_g[k] + (x[k] - mean[k]) * inverse[k] * sum_gx[k]) / (float)n);
        for (uint32_t k = s->t.shape.c; k < cp; k++)
            g[k] = 0;
        store(&f->t, to, i, g);
    }
}

static void batchnorm_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    float *sum_g = scratch_row(run, 2, s->t.cp), *sum_gx = scratch_row(run, 3, s->t.cp),
          *mean = aei_at(run, s->aux);

    (void)w;
    batchnorm_sums(run, s, sum_g, sum_gx);
    deliver(s, 0, sum_gx, native);
    deliver(s, 1, sum_g, native);
    deliver(s, 2, mean, native);
    deliver(s, 3, mean + 2 * s->t.cp, native);
}

const aei_operator aei_op_batchnorm = {.plan = batchnorm_plan,
                                       .forward = batchnorm_forward,
                                       .backward = batchnorm_backward,
                                       .backward_params = batchnorm_params};

/* ---- layer normalisation ---- the same over the channels of each pixel */
static void pixel_moments(const float *x, uint32_t c, float *mean, float *inverse)
{
    float m = 0, v = 0;

    for (uint32_t k = 0; k < c; k++)
        m += x[k];
    m /= (float)c;
    for (uint32_t k = 0; k < c; k++)
        v += (x[k] - m) * (x[k] - m);
    *mean = m;
    *inverse = 1 / sqrtf(v / (float)c + norm_epsilon);
}

static void layernorm_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    const float *weight = aei_param(w, s, 0), *bias = aei_param(w, s, 1);
    uint32_t c = s->t.shape.c;
    float *x = scratch_row(run, 0, s->t.cp), mean, inverse;

    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&f->t, aei_value(run, f), i, x);
        pixel_moments(x, c, &mean, &inverse);
        for (uint32_t k = 0; k < c; k++)
            x[k] = (x[k] - mean) * inverse * weight[k] + bias[k];
        store(&s->t, aei_target(run, s), i, x);
    }
}

static void layernorm_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                               void *to)
{
    const aei_step *f = aei_from(run, s, slot);
    const float *weight = aei_param(w, s, 0);
    uint32_t c = s->t.shape.c;
    float *x = scratch_row(run, 0, s->t.cp), *g = scratch_row(run, 1, s->t.cp), mean, inverse;

    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        float sum_g = 0, sum_gx = 0;

        load(&f->t, aei_value(run, f), i, x);
        load(&s->t, aei_grad(run, s), i, g);
        pixel_moments(x, c, &mean, &inverse);
        for (uint32_t k = 0; k < c; k++) {
            x[k] = (x[k] - mean) * inverse;
            g[k] *= weight[k];
            sum_g += g[k];
            sum_gx += g[k] * x[k];
        }
        for (uint32_t k = 0; k < c; k++)
            g[k] = inverse * (g[k] - (sum_g + x[k] * sum_gx) / (float)c);
        for (uint32_t k = c; k < s->t.cp; k++)
            g[k] = 0;
        store(&f->t, to, i, g);
    }
}

static void layernorm_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    const aei_step *f = aei_from(run, s, 0);
    uint32_t c = s->t.shape.c, cp = s->t.cp;
    float *x = scratch_row(run, 0, cp), *g = scratch_row(run, 1, cp), mean, inverse;
    float *sum_g = scratch_row(run, 2, cp), *sum_gx = scratch_row(run, 3, cp);

    (void)w;
    memset(sum_g, 0, (size_t)2 * cp * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&f->t, aei_value(run, f), i, x);
        load(&s->t, aei_grad(run, s), i, g);
        pixel_moments(x, c, &mean, &inverse);
        for (uint32_t k = 0; k < c; k++) {
            sum_g[k] += g[k];
            sum_gx[k] += g[k] * (x[k] - mean) * inverse;
        }
    }
    deliver(s, 0, sum_gx, native);
    deliver(s, 1, sum_g, native);
}

const aei_operator aei_op_layernorm = {.plan = plan_rows,
                                       .forward = layernorm_forward,
                                       .backward = layernorm_backward,
                                       .backward_params = layernorm_params};

/* ---- random nodes ---- aux keeps the draws, one f32 for each logical sample, in order */
static ae_status random_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    if (plan->config.train || (plan->config.draws && s->node->op == AE_OP_GAUSSIAN)) {
        s->aux = aei_span_new(plan, aei_pixels(&s->t) * s->t.shape.c * sizeof(float), s->index,
                              plan->config.train ? 2 * plan->n_steps - s->index : s->index);
        if (s->aux < 0)
            return no_memory(s, err);
    }
    return plan_rows(plan, s, err);
}

static void dropout_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    float *x = scratch_row(run, 0, s->t.cp), *keep, p = s->node->value;
    aei_rng rng = aei_rng_make(run->seed, s->origin, 0);
    uint32_t c = s->t.shape.c;

    (void)w;
    if (!run->plan->config.train) {
        memcpy(aei_target(run, s), aei_value(run, f), aei_tensor_bytes(&s->t));
        return;
    }
    keep = aei_at(run, s->aux);
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 0; k < c; k++) {
            keep[i * c + k] = aei_rng_float(&rng) >= p ? 1 / (1 - p) : 0;
            x[k] *= keep[i * c + k];
        }
        store(&s->t, aei_target(run, s), i, x);
    }
}

static void dropout_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                             void *to)
{
    const float *keep = aei_at(run, s->aux);
    float *g = scratch_row(run, 0, s->t.cp);
    uint32_t c = s->t.shape.c;

    (void)w;
    (void)slot;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&s->t, aei_grad(run, s), i, g);
        for (uint32_t k = 0; k < c; k++)
            g[k] *= keep[i * c + k];
        store(&s->t, to, i, g);
    }
}

const aei_operator aei_op_dropout = {
    .plan = random_plan, .forward = dropout_forward, .backward = dropout_backward};

/* mean + exp(log variance / 2) * draw (Kingma and Welling 2014) */
static void gaussian_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *mean = aei_from(run, s, 0), *logvar = aei_from(run, s, 1);
    float *m = scratch_row(run, 0, s->t.cp), *v = scratch_row(run, 1, s->t.cp), *draw;
    aei_rng rng = aei_rng_make(run->seed, s->origin, 0);
    uint32_t c = s->t.shape.c;
    size_t n = aei_pixels(&s->t);

    (void)w;
    if (!run->plan->config.train && !(run->plan->config.draws && run->seed)) {
        memcpy(aei_target(run, s), aei_value(run, mean), aei_tensor_bytes(&s->t));
        return;
    }
    draw = aei_at(run, s->aux);
    aei_rng_normals(&rng, draw, n * c);
    for (size_t i = 0; i < n; i++) {
        load(&mean->t, aei_value(run, mean), i, m);
        load(&logvar->t, aei_value(run, logvar), i, v);
        for (uint32_t k = 0; k < c; k++)
            m[k] += expf(v[k] / 2) * draw[i * c + k];
        store(&s->t, aei_target(run, s), i, m);
    }
}

static void gaussian_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                              void *to)
{
    const aei_step *logvar = aei_from(run, s, 1);
    const float *draw = aei_at(run, s->aux);
    float *g = scratch_row(run, 0, s->t.cp), *v = scratch_row(run, 1, s->t.cp);
    uint32_t c = s->t.shape.c;

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&s->t, aei_grad(run, s), i, g);
        if (slot) {
            load(&logvar->t, aei_value(run, logvar), i, v);
            for (uint32_t k = 0; k < c; k++)
                g[k] *= expf(v[k] / 2) / 2 * draw[i * c + k];
        }
        store(&s->t, to, i, g);
    }
}

const aei_operator aei_op_gaussian = {
    .plan = random_plan, .forward = gaussian_forward, .backward = gaussian_backward};

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
    float *x = scratch_row(run, 0, s->t.cp);

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        load(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 0; k < s->t.cp; k++)
            x[k] = rintf(x[k]);
        store(&s->t, aei_target(run, s), i, x);
    }
}

const aei_operator aei_op_round = {
    .plan = plan_rows, .forward = round_forward, .backward = pass_backward, .passes = true};
