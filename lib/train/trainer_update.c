/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From the gradients of all shards to new parameters: summed part by part, each part by one thread
 * through the shards in their order, collected from the kernels' layouts, penalised, measured for
 * clipping, and applied block by block or, by Muon, matrix by matrix. */
#include "train/trainer_parts.h"
#include "core/clones.h"
#include "nn/exec.h"

#include <math.h>

enum {
    SUM_PARTS = 8,
    CHUNK = 2048 /* parameters summed at a time: stays in the first cache */
};

/* Sums one part of the shards' gradients into the first one, always in the same order. */
AEI_CLONES static void sum_job(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    size_t n = aei_plan_native_floats(t->plan), end = n * (index + 1) / SUM_PARTS;

    (void)thread;
    for (size_t at = n * index / SUM_PARTS; at < end; at += CHUNK) {
        size_t m = end - at < CHUNK ? end - at : CHUNK;
        float *restrict g = t->shards[0].native + at;

        for (uint32_t s = 1; s < t->recipe->shards; s++) {
            const float *restrict other = t->shards[s].native + at;

            for (size_t i = 0; i < m; i++)
                g[i] += other[i];
        }
    }
}

static void collect_job(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;

    (void)thread;
    aei_weights_collect_part(t->weights, t->shards[0].native, t->gradient, index);
}

/* Adds the penalties on parameters to the flat gradient and measures it. */
static void penalty_job(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    aei_update_job *j = &t->jobs[index];

    (void)thread;
    j->squares = j->l1 = j->l2 = 0;
    for (uint32_t b = j->first; b < j->last; b++) {
        const aei_param_block *k = &t->blocks[b];

        for (size_t at = k->offset, end = k->offset + k->count; at < end; at += CHUNK) {
            size_t n = end - at < CHUNK ? end - at : CHUNK;
            float *restrict g = t->gradient + at;
            const float *restrict w = t->state.value + at;

            if (k->decay && t->l1 > 0) {
                float p = (float)(t->l1 / t->n_decaying);

                for (size_t i = 0; i < n; i++) {
                    g[i] += p * ((float)(w[i] > 0) - (float)(w[i] < 0));
                    j->l1 += fabsf(w[i]);
                }
            }
            if (k->decay && t->l2 > 0) {
                float p = (float)(2 * t->l2 / t->n_decaying);

                for (size_t i = 0; i < n; i++)
                    g[i] += p * w[i];
                j->l2 += aei_sum_squares(w, n);
            }
            if (k->trainable && !k->fixed && t->trains[k->param])
                j->squares += aei_sum_squares(g, n);
        }
    }
}

/* Of this step in the mean over the first steps; then the statistics stay. */
static float measured_share(const aei_trainer *t, uint32_t param)
{
    enum { MEASURED_STEPS = 100 };

    uint64_t n = t->state.n_updates - t->state.skipped[param];

    return n < MEASURED_STEPS ? 1 / (float)(n + 1) : 0;
}

static void update_job(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    const aei_update_job *j = &t->jobs[index];

    (void)thread;
    for (uint32_t b = j->first; b < j->last; b++) {
        const aei_param_block *k = &t->blocks[b];
        size_t at = k->offset;
        const float *g = t->gradient + at;
        float *value = t->state.value + at, *average = t->state.average + at;

        const aei_update *u = &t->updates[k->param];
        bool trains = t->trains[k->param];

        if (k->matrix && trains)
            continue;
        if (k->trainable && !k->fixed && trains) {
            aei_apply(u, k->decay, k->count, g, value, t->state.first + at, t->state.second + at,
                      average);
            continue;
        }
        float share = k->fixed || k->trainable || !trains ? 0
                      : k->given                          ? measured_share(t, k->param)
                                                          : 0.1f;

        /* running statistics; moving averages would lag behind what is given */
        for (size_t i = 0; i < k->count; i++) {
            if (share > 0)
                value[i] += share * (g[i] / (float)t->recipe->shards - value[i]);
            average[i] += (k->given ? 1 : u->average) * (value[i] - average[i]);
        }
    }
}

static void matrix_job(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    aei_matrix_update *m = &t->matrices[index];
    size_t at = t->params[index].offset;

    (void)thread;
    if (m->muon && t->trains[index])
        m->status = aei_muon_apply(m->muon, &t->updates[index], t->gradient + at,
                                   t->state.value + at, t->state.first + at, t->state.average + at,
                                   &m->message);
}

void aei_trainer_sum(aei_trainer *t, double *squares, double *l1, double *l2)
{
    aei_pool_run(t->pool, SUM_PARTS, sum_job, t);
    aei_pool_run(t->pool, aei_weights_parts(t->weights), collect_job, t);
    aei_objective_collect(t->objective, t->state.value, t->gradient);
    aei_pool_run(t->pool, t->n_jobs, penalty_job, t);
    *squares = *l1 = *l2 = 0;
    for (uint32_t i = 0; i < t->n_jobs; i++) {
        *squares += t->jobs[i].squares;
        *l1 += t->jobs[i].l1;
        *l2 += t->jobs[i].l2;
    }
}

ae_status aei_trainer_update(aei_trainer *t, ae_error *err)
{
    aei_pool_run(t->pool, t->n_jobs, update_job, t);
    aei_pool_run(t->pool, t->n_params, matrix_job, t);
    for (uint32_t i = 0; i < t->n_params; i++)
        if (t->matrices[i].status != AE_OK) {
            if (err)
                *err = t->matrices[i].message;
            return t->matrices[i].status;
        }
    return AE_OK;
}
