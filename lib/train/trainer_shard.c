/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One shard of a batch: forward through the network, the objective's value and gradient by what
 * comes out and by what its terms tap, and backward, by one thread in memory of its own. Random
 * nodes draw by the step and the shard, so that neither the thread nor the order matters. */
#include "train/trainer_parts.h"
#include "core/clones.h"
#include "core/rng.h"
#include "image/levels.h"
#include "nn/exec.h"

#include <math.h>
#include <string.h>

#define SEED_EVALUATED UINT64_C(0x6576616c75617465) /* of draws in evaluation, beside steps */

static size_t count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

static void find_inputs(const aei_trainer *t, uint32_t index, aei_train_lane *l, uint64_t seed,
                        const float **inputs)
{
    for (uint32_t i = 0; i < t->n_inputs; i++) {
        size_t n = count(aei_plan_input_shape(t->plan, i));
        aei_rng rng;

        if (i < t->n_fed) {
            inputs[i] = t->batch->inputs[i] + index * n;
            continue;
        }
        rng = aei_rng_make(seed, i, index);
        aei_rng_normals(&rng, l->draws[i], n);
        inputs[i] = l->draws[i];
    }
}

/* What the shard's samples were told of the noise; only with a bound. */
static const float *levels_of(const aei_trainer *t, uint32_t index)
{
    return t->batch->inputs[t->level_input] +
           index * count(aei_plan_input_shape(t->plan, t->level_input));
}

AEI_CLONES static void add(size_t n, const float *restrict from, float *restrict to)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

/* The network's output becomes the prediction. */
static aei_loss_view view_shard(const aei_trainer *t, uint32_t index, float *output,
                                float *gradient)
{
    ae_shape s = aei_plan_output_shape(t->plan, 0);
    size_t n = count(s);

    if (t->recipe->bound > 0)
        aei_bound(t->recipe->bound, levels_of(t, index), t->level_c, output, s.c, n / s.c);
    if (t->batch->base)
        add(n, t->batch->base + index * n, output);
    return (aei_loss_view){
        .shape = s,
        .value = output,
        .target = t->batch->target + index * n,
        .weight = t->batch->weight ? t->batch->weight + index * (n / s.c) : NULL,
        .total = t->total,
        .share = 1.0 / t->recipe->shards,
        .gradient = gradient,
    };
}

static double codec_loss(const aei_trainer *t, uint32_t index, const aei_train_lane *l,
                         const aei_loss_view *view, double *bpp)
{
    aei_rate_view rate = {.n = t->graph->n_outputs - 1,
                          .quality = t->batch->quality + index * view->shape.n};

    for (uint32_t k = 0; k < rate.n; k++) {
        rate.shape[k] = aei_plan_output_shape(t->plan, k + 1);
        rate.bits[k] = l->values[k + 1];
        rate.gradient[k] = l->gradients[k + 1];
    }
    return aei_rate_distortion(&t->recipe->terms[0], view, &rate, bpp);
}

static ae_status objective(aei_trainer *t, uint32_t index, uint32_t thread,
                           const aei_loss_view *prediction, ae_error *err)
{
    aei_train_lane *l = &t->lanes[thread];
    aei_train_shard *s = &t->shards[index];
    aei_shard_view view = {index, thread, l->values, l->gradients, *prediction, NULL, t->level_c};

    if (t->recipe->bound > 0)
        view.levels = levels_of(t, index);
    return aei_objective_add(t->objective, &view, s->terms, &s->hits, err);
}

void aei_shard_train(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    aei_train_lane *l = &t->lanes[thread];
    aei_train_shard *s = &t->shards[index];
    const float *inputs[AE_MAX_FROM], *d_outputs[AEI_MAX_OUTPUTS];
    uint64_t seed = aei_mix64(aei_mix64(t->seed ^ t->step) ^ index);
    aei_loss_view view;

    find_inputs(t, index, l, seed, inputs);
    for (int k = 0; k < AEI_MAX_OUTPUTS; k++)
        d_outputs[k] = l->gradients[k];
    s->status = aei_run_forward(l->run, t->weights, inputs, l->values, seed, &s->message);
    if (s->status != AE_OK)
        return;
    view = view_shard(t, index, l->values[0], l->gradients[0]);
    if (aei_trains_codec(t)) {
        for (uint32_t k = 1; k < t->n_values; k++)
            memset(l->gradients[k], 0, count(aei_plan_output_shape(t->plan, k)) * sizeof(float));
        memset(l->gradients[0], 0, count(view.shape) * sizeof(float));
        s->terms[0] = codec_loss(t, index, l, &view, &(double){0});
    } else {
        s->status = objective(t, index, thread, &view, &s->message);
        for (uint32_t k = 0; k < t->n_values; k++)
            if (!aei_objective_moves(t->objective, k))
                d_outputs[k] = NULL;
    }
    aei_run_trains(l->run, t->recipe->n_phases ? t->trains : NULL);
    if (s->status == AE_OK)
        s->status = aei_run_backward(l->run, t->weights, d_outputs, s->native, NULL, &s->message);
}

void aei_shard_evaluate(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    aei_train_lane *l = &t->lanes[thread];
    aei_train_shard *s = &t->shards[index];
    const float *inputs[AE_MAX_FROM];
    float *own = l->values[0];
    aei_loss_view view;

    find_inputs(t, index, l, SEED_EVALUATED, inputs);
    l->values[0] = t->prediction + index * count(aei_plan_output_shape(t->plan, 0));
    s->status = aei_run_forward(l->frozen, t->frozen_weights, inputs, l->values,
                                t->drawn ? aei_mix64(t->drawn ^ aei_mix64(index)) | 1 : 0,
                                &s->message);
    if (s->status != AE_OK)
        goto done;
    view = view_shard(t, index, l->values[0], l->gradients[0]);
    s->error = aei_clipped_error(&view);
    s->psnr = s->bpp = 0;
    if (aei_trains_codec(t)) {
        size_t n = count(view.shape) / view.shape.n;

        s->terms[0] = codec_loss(t, index, l, &view, &s->bpp);
        view.total = (double)view.shape.h * view.shape.w;
        for (uint32_t samples = view.shape.n, i = 0; i < samples;
             i++, view.value += n, view.target += n) {
            view.shape.n = 1;
            s->psnr += aei_decibels(aei_clipped_error(&view)) / t->recipe->batch;
        }
    } else {
        s->status = objective(t, index, thread, &view, &s->message);
    }
done:
    l->values[0] = own;
}
