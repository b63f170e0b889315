/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Normalisation, over a batch (Ioffe and Szegedy 2015) and over the channels of each pixel (Ba et
 * al. 2016). Both subtract a mean, divide by a deviation and apply a weight and a bias to each
 * channel; backward, the gradient loses its own mean and what of it goes along with the output,
 * since these change the statistics. */
#include <math.h>
#include <string.h>

#include "nn/rows.h"

/* ---- batch normalisation ---- y = (x - mean) / sqrt(var + eps) * weight + bias
 * aux: mean and 1 / sqrt(var + eps), then var, as f32. Parameters: weight, bias, mean, var. */
static const float norm_epsilon = 1e-5f;

static ae_status batchnorm_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    s->aux = aei_span_new(plan, (size_t)3 * s->t.cp * sizeof(float), s->index,
                          plan->config.train ? 2 * plan->n_steps - s->index : s->index);
    if (s->aux < 0)
        return aei_no_memory(s, err);
    return aei_plan_rows(plan, s, err);
}

static void batchnorm_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    const float *weight = aei_param(w, s, 0), *bias = aei_param(w, s, 1);
    uint32_t cp = s->t.cp, c = s->t.shape.c;
    float *mean = aei_at(run, s->aux), *inverse = mean + cp, *var = mean + 2 * cp,
          *x = aei_scratch_row(run, 0, cp);
    size_t n = aei_pixels(&s->t);

    if (run->plan->config.train) {
        memset(mean, 0, (size_t)3 * cp * sizeof(float));
        for (size_t i = 0; i < n; i++) {
            aei_load_pixel(&f->t, aei_value(run, f), i, x);
            for (uint32_t k = 0; k < c; k++)
                mean[k] += x[k];
        }
        for (uint32_t k = 0; k < c; k++)
            mean[k] /= (float)n;
        for (size_t i = 0; i < n; i++) {
            aei_load_pixel(&f->t, aei_value(run, f), i, x);
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
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 0; k < c; k++)
            x[k] = (x[k] - mean[k]) * inverse[k] * weight[k] + bias[k];
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

/* sum_g, sum_gx: sums of the gradient and of gradient times normalised input. */
static void batchnorm_sums(aei_run *run, const aei_step *s, float *sum_g, float *sum_gx)
{
    const aei_step *f = aei_from(run, s, 0);
    uint32_t cp = s->t.cp;
    float *mean = aei_at(run, s->aux), *inverse = mean + cp, *x = aei_scratch_row(run, 0, cp),
          *g = aei_scratch_row(run, 1, cp);

    memset(sum_g, 0, cp * sizeof(float));
    memset(sum_gx, 0, cp * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
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
    float *mean = aei_at(run, s->aux), *inverse = mean + cp, *x = aei_scratch_row(run, 0, cp),
          *g = aei_scratch_row(run, 1, cp);
    float *sum_g = aei_scratch_row(run, 2, cp), *sum_gx = aei_scratch_row(run, 3, cp);
    size_t n = aei_pixels(&s->t);

    batchnorm_sums(run, s, sum_g, sum_gx);
    for (size_t i = 0; i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        for (uint32_t k = 0; k < s->t.shape.c; k++)
            g[k] = weight[k] * inverse[k] *
                   (g[k] - (sum_g[k] + (x[k] - mean[k]) * inverse[k] * sum_gx[k]) / (float)n);
        for (uint32_t k = s->t.shape.c; k < cp; k++)
            g[k] = 0;
        aei_store_pixel(&f->t, to, i, g);
    }
}

static void batchnorm_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    float *sum_g = aei_scratch_row(run, 2, s->t.cp), *sum_gx = aei_scratch_row(run, 3, s->t.cp),
          *mean = aei_at(run, s->aux);

    (void)w;
    batchnorm_sums(run, s, sum_g, sum_gx);
    aei_deliver(s, 0, sum_gx, native);
    aei_deliver(s, 1, sum_g, native);
    aei_deliver(s, 2, mean, native);
    aei_deliver(s, 3, mean + 2 * s->t.cp, native);
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
    float *x = aei_scratch_row(run, 0, s->t.cp), mean, inverse;

    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        pixel_moments(x, c, &mean, &inverse);
        for (uint32_t k = 0; k < c; k++)
            x[k] = (x[k] - mean) * inverse * weight[k] + bias[k];
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

static void layernorm_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                               void *to)
{
    const aei_step *f = aei_from(run, s, slot);
    const float *weight = aei_param(w, s, 0);
    uint32_t c = s->t.shape.c;
    float *x = aei_scratch_row(run, 0, s->t.cp), *g = aei_scratch_row(run, 1, s->t.cp), mean,
          inverse;

    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        float sum_g = 0, sum_gx = 0;

        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
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
        aei_store_pixel(&f->t, to, i, g);
    }
}

static void layernorm_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    const aei_step *f = aei_from(run, s, 0);
    uint32_t c = s->t.shape.c, cp = s->t.cp;
    float *x = aei_scratch_row(run, 0, cp), *g = aei_scratch_row(run, 1, cp), mean, inverse;
    float *sum_g = aei_scratch_row(run, 2, cp), *sum_gx = aei_scratch_row(run, 3, cp);

    (void)w;
    memset(sum_g, 0, (size_t)2 * cp * sizeof(float));
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        pixel_moments(x, c, &mean, &inverse);
        for (uint32_t k = 0; k < c; k++) {
            sum_g[k] += g[k];
            sum_gx[k] += g[k] * (x[k] - mean) * inverse;
        }
    }
    aei_deliver(s, 0, sum_gx, native);
    aei_deliver(s, 1, sum_g, native);
}

const aei_operator aei_op_layernorm = {.plan = aei_plan_rows,
                                       .forward = layernorm_forward,
                                       .backward = layernorm_backward,
                                       .backward_params = layernorm_params};
