/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random nodes: dropout, noise, and draws from a normal distribution whose mean and variance the
 * network gives. Draws follow from seed, step and place alone, so that a run can be repeated with
 * any number of threads. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "nn/rows.h"

/* aux keeps the draws, one f32 for each logical sample, in order. */
static ae_status random_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    if (plan->config.train || (plan->config.draws && s->node->op == AE_OP_GAUSSIAN)) {
        s->aux = aei_span_new(plan, aei_pixels(&s->t) * s->t.shape.c * sizeof(float), s->index,
                              plan->config.train ? 2 * plan->n_steps - s->index : s->index);
        if (s->aux < 0)
            return aei_no_memory(s, err);
    }
    return aei_plan_rows(plan, s, err);
}

static void dropout_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    float *x = aei_scratch_row(run, 0, s->t.cp), *keep, p = s->node->value;
    aei_rng rng = aei_rng_make(run->seed, s->origin, 0);
    uint32_t c = s->t.shape.c;

    (void)w;
    if (!run->plan->config.train) {
        memcpy(aei_target(run, s), aei_value(run, f), aei_tensor_bytes(&s->t));
        return;
    }
    keep = aei_at(run, s->aux);
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        for (uint32_t k = 0; k < c; k++) {
            keep[i * c + k] = aei_rng_float(&rng) >= p ? 1 / (1 - p) : 0;
            x[k] *= keep[i * c + k];
        }
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

static void dropout_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                             void *to)
{
    const float *keep = aei_at(run, s->aux);
    float *g = aei_scratch_row(run, 0, s->t.cp);
    uint32_t c = s->t.shape.c;

    (void)w;
    (void)slot;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        for (uint32_t k = 0; k < c; k++)
            g[k] *= keep[i * c + k];
        aei_store_pixel(&s->t, to, i, g);
    }
}

const aei_operator aei_op_dropout = {
    .plan = random_plan, .forward = dropout_forward, .backward = dropout_backward};

static void noise_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    float *x = aei_scratch_row(run, 0, s->t.cp), *draw = aei_scratch_row(run, 1, s->t.cp),
          sigma = s->node->value;
    aei_rng rng = aei_rng_make(run->seed, s->origin, 0);
    uint32_t c = s->t.shape.c;

    (void)w;
    if (!run->plan->config.train) {
        memcpy(aei_target(run, s), aei_value(run, f), aei_tensor_bytes(&s->t));
        return;
    }
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&f->t, aei_value(run, f), i, x);
        aei_rng_normals(&rng, draw, c);
        for (uint32_t k = 0; k < c; k++)
            x[k] += sigma * draw[k];
        aei_store_pixel(&s->t, aei_target(run, s), i, x);
    }
}

static void pass_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                          void *to)
{
    (void)w;
    (void)slot;
    memcpy(to, aei_grad(run, s), aei_tensor_bytes(&s->t));
}

const aei_operator aei_op_noise = {
    .plan = aei_plan_rows, .forward = noise_forward, .backward = pass_backward, .passes = true};

/* mean + exp(log variance / 2) * draw (Kingma and Welling 2014) */
static void gaussian_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *mean = aei_from(run, s, 0), *logvar = aei_from(run, s, 1);
    float *m = aei_scratch_row(run, 0, s->t.cp), *v = aei_scratch_row(run, 1, s->t.cp), *draw;
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
        aei_load_pixel(&mean->t, aei_value(run, mean), i, m);
        aei_load_pixel(&logvar->t, aei_value(run, logvar), i, v);
        for (uint32_t k = 0; k < c; k++)
            m[k] += expf(v[k] / 2) * draw[i * c + k];
        aei_store_pixel(&s->t, aei_target(run, s), i, m);
    }
}

static void gaussian_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                              void *to)
{
    const aei_step *logvar = aei_from(run, s, 1);
    const float *draw = aei_at(run, s->aux);
    float *g = aei_scratch_row(run, 0, s->t.cp), *v = aei_scratch_row(run, 1, s->t.cp);
    uint32_t c = s->t.shape.c;

    (void)w;
    for (size_t i = 0, n = aei_pixels(&s->t); i < n; i++) {
        aei_load_pixel(&s->t, aei_grad(run, s), i, g);
        if (slot) {
            aei_load_pixel(&logvar->t, aei_value(run, logvar), i, v);
            for (uint32_t k = 0; k < c; k++)
                g[k] *= expf(v[k] / 2) / 2 * draw[i * c + k];
        }
        aei_store_pixel(&s->t, to, i, g);
    }
}

const aei_operator aei_op_gaussian = {
    .plan = random_plan, .forward = gaussian_forward, .backward = gaussian_backward};
