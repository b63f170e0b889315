/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Trains the networks of a recipe by stochastic gradient descent. A batch is cut into shards, equal
 * parts that are computed by one thread each (trainer_shard.c), whatever the number of threads:
 * their gradients are summed in a fixed order and the parameters moved (trainer_update.c), so that
 * a run has the same bytes on any machine with the same kernels. */
#include "train/trainer_parts.h"
#include "core/rng.h"
#include "nn/exec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { JOB_FLOATS = 32768 }; /* parameters in one job of the update */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

void aei_trainer_free(aei_trainer *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; t->lanes && i < aei_pool_threads(t->pool); i++) {
        aei_run_free(t->lanes[i].run);
        aei_run_free(t->lanes[i].frozen);
        for (int k = 0; k < AEI_MAX_OUTPUTS; k++) {
            ae_free(t->lanes[i].values[k]);
            ae_free(t->lanes[i].gradients[k]);
        }
        for (int k = 0; k < AE_MAX_FROM; k++)
            ae_free(t->lanes[i].draws[k]);
    }
    for (uint32_t i = 0; t->shards && i < t->recipe->shards; i++)
        ae_free(t->shards[i].native);
    aei_objective_free(t->objective);
    for (uint32_t i = 0; t->matrices && i < t->n_params; i++)
        aei_muon_free(t->matrices[i].muon);
    ae_free(t->matrices);
    ae_free(t->updates);
    ae_free(t->trained);
    ae_free(t->state.skipped);
    aei_integer_free(t->integer);
    aei_weights_free(t->weights);
    aei_weights_free(t->frozen_weights);
    aei_plan_free(t->plan);
    aei_plan_free(t->frozen_plan);
    aei_joined_free(&t->joined);
    aei_pool_free(t->pool);
    ae_free(t->params);
    ae_free(t->state.value);
    ae_free(t->lanes);
    ae_free(t->shards);
    ae_free(t->prediction);
    ae_free(t->gradient);
    ae_free(t->blocks);
    ae_free(t->jobs);
    ae_free(t);
}

/* Networks joined, and the recipe's terms against them. */
static ae_status prepare_networks(aei_trainer *t, ae_error *err)
{
    const ae_recipe *r = t->recipe;
    ae_status st;

    if (!r->shards || r->batch % r->shards)
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "recipe %s: a batch of %u cannot be cut into %u equal shards", r->name,
                       r->batch, r->shards);
    if ((st = aei_join(r, &t->joined, err)) != AE_OK)
        return st;
    t->graph = &t->joined.graph;
    if ((st = ae_graph_params(t->graph, &t->params, &t->n_params, &t->state.n_floats, err)) !=
        AE_OK)
        return st;
    return aei_objective_create(r, &t->joined, t->params, t->n_params, &t->objective, err);
}

/* Cuts the parameters into blocks and these into jobs, always alike. */
/* Updates are of one size for all entries of a weight, those of a cosine transform span three
 * orders of magnitude: it stays as it is. */
static bool is_fixed(const aei_trainer *t, const ae_param *p)
{
    const ae_node *n = &t->graph->nodes[p->node];

    return n->op == AE_OP_CONV && (n->init == AE_INIT_DCT || n->init == AE_INIT_DCT_INVERSE);
}

static bool is_matrix(const aei_trainer *t, const ae_param *p)
{
    return t->recipe->optimizer == AE_MUON && aei_muon_wants(p) && !is_fixed(t, p);
}

static bool is_given(const aei_trainer *t, const ae_param *p)
{
    return t->graph->nodes[p->node].op == AE_OP_NORMALISE ||
           t->graph->nodes[p->node].op == AE_OP_DENORMALISE;
}

static ae_status cut_blocks(aei_trainer *t, ae_error *err)
{
    uint32_t n = 0, k = 0;
    size_t filled = 0;

    for (uint32_t i = 0; i < t->n_params; i++)
        n += (uint32_t)((t->params[i].count + JOB_FLOATS - 1) / JOB_FLOATS);
    t->blocks = ae_alloc(n, sizeof(*t->blocks));
    t->jobs = ae_alloc((size_t)n + 1, sizeof(*t->jobs));
    if (!t->blocks || !t->jobs)
        return ae_fail(err, AE_ERR_NOMEM, "training: %u parameter blocks", n);
    t->n_jobs = n > 0;
    for (uint32_t i = 0; i < t->n_params; i++) {
        const ae_param *p = &t->params[i];

        if (p->decay)
            t->n_decaying += (double)p->count;
        for (size_t at = 0; at < p->count; at += JOB_FLOATS, k++) {
            size_t m = p->count - at < JOB_FLOATS ? p->count - at : JOB_FLOATS;

            if (filled && filled + m > JOB_FLOATS) {
                t->jobs[t->n_jobs++].first = k;
                filled = 0;
            }
            t->blocks[k] = (aei_param_block){
                p->offset + at, m, i, p->trainable, p->decay, is_fixed(t, p), is_given(t, p),
                is_matrix(t, p)};
            t->jobs[t->n_jobs - 1].last = k + 1;
            filled += m;
        }
    }
    return AE_OK;
}

/* What the objective reads of the outputs: the prediction, a codec's bits, and the tapped nodes. */
static ae_status prepare_lane(aei_trainer *t, aei_train_lane *l, ae_error *err)
{
    ae_status st;

    for (uint32_t k = 0; k < t->n_values; k++) {
        size_t n = count(aei_plan_output_shape(t->plan, k));
        bool wants = aei_trains_codec(t) || aei_objective_wants(t->objective, k);

        if (k && k < t->graph->n_outputs && !aei_trains_codec(t))
            continue;
        l->values[k] = ae_alloc(n, sizeof(float));
        l->gradients[k] = wants ? ae_alloc(n, sizeof(float)) : NULL;
        if (!l->values[k] || (wants && !l->gradients[k]))
            return ae_fail(err, AE_ERR_NOMEM, "training: %zu outputs", n);
    }
    for (uint32_t i = t->n_fed; i < t->n_inputs; i++)
        if (!(l->draws[i] = ae_alloc(count(aei_plan_input_shape(t->plan, i)), sizeof(float))))
            return ae_fail(err, AE_ERR_NOMEM, "training: draws");
    if ((st = aei_run_create(t->plan, &l->run, err)) != AE_OK)
        return st;
    return aei_run_create(t->frozen_plan, &l->frozen, err);
}

static ae_status prepare_plans(aei_trainer *t, uint32_t h, uint32_t w, ae_precision precision,
                               ae_error *err)
{
    uint32_t n_taps;
    const uint32_t *taps = aei_objective_taps(t->objective, &n_taps);
    aei_plan_config config = {.n = t->recipe->batch / t->recipe->shards,
                              .h = h,
                              .w = w,
                              .precision = precision,
                              .train = true,
                              .taps = taps,
                              .n_taps = n_taps};
    ae_status st;

    t->n_values = t->graph->n_outputs + n_taps;
    if ((st = aei_plan_create(t->graph, &config, &t->plan, err)) != AE_OK)
        return st;
    config.train = false;
    config.draws = true;
    if (aei_trains_codec(t)) /* bf16 costs pictures of high quality a part of it */
        config.precision = AE_PRECISION_F32;
    if ((st = aei_plan_create(t->graph, &config, &t->frozen_plan, err)) != AE_OK ||
        (st = aei_weights_create(t->plan, &t->weights, err)) != AE_OK ||
        (st = aei_weights_create(t->frozen_plan, &t->frozen_weights, err)) != AE_OK)
        return st;
    t->n_inputs = aei_plan_n_inputs(t->plan);
    t->n_fed = t->n_inputs - t->joined.n_draws;
    if (t->n_inputs > AE_MAX_FROM)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "recipe %s: %u inputs, at most %d can be fed",
                       t->recipe->name, t->n_inputs, AE_MAX_FROM);
    for (uint32_t i = 0, k = 0; i < t->graph->n_nodes; i++)
        if (t->graph->nodes[i].op == AE_OP_INPUT) {
            if (!strcmp(t->graph->nodes[i].name, AE_INPUT_LEVEL)) {
                t->level_input = k;
                t->level_c = t->graph->nodes[i].out;
            }
            k++;
        }
    return AE_OK;
}

static ae_status prepare_memory(aei_trainer *t, uint32_t n_threads, ae_precision precision,
                                ae_error *err)
{
    const ae_recipe *r = t->recipe;
    ae_shape picture = aei_plan_output_shape(t->plan, 0);
    size_t n = t->state.n_floats;
    ae_status st;

    if ((st = aei_pool_create(n_threads, &t->pool, err)) != AE_OK ||
        (r->integer &&
         (st = aei_integer_create(t->graph, t->params, t->n_params, &t->integer, err)) != AE_OK))
        return st;
    t->lanes = ae_alloc(n_threads, sizeof(*t->lanes));
    t->shards = ae_alloc(r->shards, sizeof(*t->shards));
    t->prediction = ae_alloc(count(picture), r->shards * sizeof(float));
    t->gradient = ae_alloc(n, sizeof(float));
    t->matrices = ae_alloc(t->n_params, sizeof(*t->matrices));
    t->updates = ae_alloc(t->n_params, sizeof(*t->updates));
    t->trained = ae_alloc(t->n_params, (r->n_phases ? r->n_phases : 1) * sizeof(*t->trained));
    t->state.skipped = ae_alloc(t->n_params, sizeof(*t->state.skipped));
    t->state.n_skipped = r->n_phases ? t->n_params : 0;
    t->state.value = ae_alloc(n, 4 * sizeof(float));
    if (!t->lanes || !t->shards || !t->prediction || !t->gradient || !t->matrices || !t->updates ||
        !t->trained || !t->state.skipped || !t->state.value)
        return ae_fail(err, AE_ERR_NOMEM, "training: %zu parameters", n);
    t->state.first = t->state.value + n;
    t->state.second = t->state.first + n;
    t->state.average = t->state.second + n;
    for (uint32_t i = 0; i < n_threads; i++)
        if ((st = prepare_lane(t, &t->lanes[i], err)) != AE_OK)
            return st;
    for (uint32_t i = 0; i < r->shards; i++)
        if (!(t->shards[i].native = ae_alloc(aei_plan_native_floats(t->plan), sizeof(float))))
            return ae_fail(err, AE_ERR_NOMEM, "training: gradient %u of %u", i + 1, r->shards);
    for (uint32_t i = 0; i < t->n_params; i++)
        if (is_matrix(t, &t->params[i]) &&
            (st = aei_muon_create(&t->params[i], precision, &t->matrices[i].muon, err)) != AE_OK)
            return st;
    for (uint32_t k = 0; k < (r->n_phases ? r->n_phases : 1); k++)
        for (uint32_t i = 0; i < t->n_params; i++)
            t->trained[k * t->n_params + i] = aei_phase_trains(
                r, k, t->joined.network[t->params[i].node], &t->graph->nodes[t->params[i].node]);
    return aei_objective_prepare(t->objective, t->plan, precision, n_threads, err);
}

ae_status aei_trainer_create(const ae_recipe *recipe, uint32_t h, uint32_t w,
                             ae_precision precision, uint32_t n_threads, uint64_t seed,
                             aei_trainer **out, ae_error *err)
{
    aei_trainer *t = ae_alloc(1, sizeof(*t));
    ae_status st;

    *out = NULL;
    if (!t)
        return ae_fail(err, AE_ERR_NOMEM, "training");
    t->recipe = recipe;
    t->seed = seed;
    if (n_threads > recipe->shards)
        n_threads = recipe->shards;
    if ((st = prepare_networks(t, err)) != AE_OK || (st = cut_blocks(t, err)) != AE_OK ||
        (st = prepare_plans(t, h, w, precision, err)) != AE_OK ||
        (st = prepare_memory(t, n_threads, precision, err)) != AE_OK ||
        (st = ae_graph_init(t->graph, seed, t->state.value, err)) != AE_OK) {
        aei_trainer_free(t);
        return st;
    }
    aei_trainer_at(t, &(aei_moment){.steps = 1, .step = UINT64_MAX - 1});
    memcpy(t->state.average, t->state.value, t->state.n_floats * sizeof(float));
    aei_trainer_refresh(t);
    *out = t;
    return AE_OK;
}

const ae_param *aei_trainer_params(const aei_trainer *t, uint32_t *n_params)
{
    *n_params = t->n_params;
    return t->params;
}

ae_status aei_trainer_labels(const aei_trainer *t, const ae_dataset *data, ae_error *err)
{
    for (uint32_t k = 0; data->labels && k < t->recipe->n_terms; k++) {
        const ae_term *term = &t->recipe->terms[k];
        int32_t on = term->on[0] ? ae_graph_find(t->graph, term->on)
                                 : (int32_t)t->graph->outputs[0];
        uint32_t classes = on < 0 ? 0 : t->graph->nodes[on].out;

        for (size_t i = 0; term->against == AE_AGAINST_LABEL && i < data->n_items; i++)
            if (data->labels[i] >= (float)classes)
                return ae_fail(err, AE_ERR_MISMATCH,
                               "item %zu has label %.0f, term %s has %u classes, 0 to %u", i,
                               (double)data->labels[i], term->name, classes, classes - 1);
    }
    return AE_OK;
}

void aei_trainer_at(aei_trainer *t, const aei_moment *moment)
{
    const ae_recipe *r = t->recipe;

    t->moment = *moment;
    t->trains = t->trained + (size_t)moment->phase * t->n_params;
    t->l1 = t->l2 = 0;
    for (uint32_t i = 0; i < r->n_terms; i++) {
        t->weight[i] = aei_term_weight(r, i, moment);
        if (r->terms[i].on_weights)
            *(r->terms[i].kind == AE_LOSS_L1 ? &t->l1 : &t->l2) += t->weight[i];
    }
}

aei_state *aei_trainer_state(aei_trainer *t)
{
    return &t->state;
}

static void set_job(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;

    (void)thread;
    aei_weights_set_part(t->weights, t->used, index);
}

static const float *as_used(aei_trainer *t, const float *values)
{
    return t->integer ? aei_integer_round(t->integer, t->pool, values) : values;
}

void aei_trainer_refresh(aei_trainer *t)
{
    t->used = as_used(t, t->state.value);
    aei_pool_run(t->pool, aei_weights_parts(t->weights), set_job, t);
}

aei_step_times aei_trainer_times(const aei_trainer *t)
{
    return t->times;
}

ae_shape aei_trainer_picture(const aei_trainer *t)
{
    ae_shape s = aei_plan_output_shape(t->plan, 0);

    s.n = t->recipe->batch;
    return s;
}

ae_shape aei_trainer_input(const aei_trainer *t, uint32_t i)
{
    ae_shape s = aei_plan_input_shape(t->plan, i);

    s.n = t->recipe->batch;
    return s;
}

/* ---- a batch ---- */

/* Runs all shards of a batch; the first failure counts. */
static ae_status run_shards(aei_trainer *t, const aei_batch *batch, const float *weight,
                            const float *parameters, void (*run)(void *, uint32_t, uint32_t),
                            ae_error *err)
{
    const ae_recipe *r = t->recipe;
    size_t pixels = count(aei_trainer_picture(t)) / aei_trainer_picture(t).c;

    t->batch = batch;
    aei_objective_begin(t->objective, weight, batch, parameters);
    t->total = batch->weight ? aei_sum(batch->weight, pixels) : (double)pixels;
    aei_pool_run(t->pool, r->shards, run, t);
    for (uint32_t i = 0; i < r->shards; i++)
        if (t->shards[i].status != AE_OK) {
            if (err)
                *err = t->shards[i].message;
            return t->shards[i].status;
        }
    return AE_OK;
}

/* Backward runs from the last layer to the first: the last faulty tensor is where it began. */
static void name_fault(const aei_trainer *t, double loss, char *fault, size_t n_fault)
{
    if (!isfinite(loss)) {
        snprintf(fault, n_fault, "the loss is not finite");
        return;
    }
    for (uint32_t i = t->n_params; i-- > 0;) {
        const ae_param *p = &t->params[i];

        if (p->trainable && !isfinite(aei_sum_squares(t->gradient + p->offset, p->count))) {
            snprintf(fault, n_fault, "the gradient of %s (layer %s) is not finite", p->name,
                     t->graph->nodes[p->node].name);
            return;
        }
    }
    snprintf(fault, n_fault, "the gradient is not finite");
}

ae_status aei_trainer_step(aei_trainer *t, const aei_batch *batch, uint64_t step, float rate,
                           aei_step_result *result, ae_error *err)
{
    const ae_recipe *r = t->recipe;
    double start = now(), summed, updated, squares, l1, l2, scale = 1;
    ae_status st;

    *result = (aei_step_result){0};
    t->step = step;
    if ((st = run_shards(t, batch, t->weight, t->state.value, aei_shard_train, err)) != AE_OK)
        return st;
    summed = now();
    t->times.shards += summed - start;
    aei_trainer_sum(t, &squares, &l1, &l2);
    for (uint32_t k = 0; k < r->n_terms; k++) {
        const ae_term *term = &r->terms[k];

        for (uint32_t i = 0; i < r->shards && !term->on_weights; i++)
            result->terms[k] += t->shards[i].terms[k];
        if (term->on_weights && t->n_decaying > 0)
            result->terms[k] = t->weight[k] * (term->kind == AE_LOSS_L1 ? l1 : l2) / t->n_decaying;
        result->loss += result->terms[k];
        result->terms[k] = t->weight[k] > 0 ? result->terms[k] / t->weight[k] : NAN;
    }
    result->gradient_norm = sqrt(squares);
    result->applied = isfinite(result->loss) && isfinite(squares);
    if (!result->applied) {
        name_fault(t, result->loss, result->fault, sizeof(result->fault));
        return AE_OK;
    }
    if (r->clip > 0 && result->gradient_norm > r->clip)
        scale = r->clip / result->gradient_norm;
    for (uint32_t i = 0; i < t->n_params; i++)
        t->updates[i] = i && t->state.skipped[i] == t->state.skipped[i - 1]
                            ? t->updates[i - 1]
                            : aei_update_make(r, rate, (float)scale,
                                              t->state.n_updates - t->state.skipped[i]);
    if ((st = aei_trainer_update(t, err)) != AE_OK)
        return st;
    t->state.n_updates++;
    for (uint32_t i = 0; i < t->n_params; i++)
        t->state.skipped[i] += !t->trains[i];
    updated = now();
    t->times.update += updated - summed;
    aei_trainer_refresh(t);
    t->times.weights += now() - updated;
    return AE_OK;
}

/* ---- evaluation ---- */

void aei_trainer_freeze(aei_trainer *t, const float *values)
{
    t->frozen = as_used(t, values);
    aei_weights_set(t->frozen_weights, t->frozen);
}

void aei_trainer_draw(aei_trainer *t, uint64_t seed)
{
    t->drawn = seed;
}

ae_status aei_trainer_evaluate(aei_trainer *t, const aei_batch *batch, aei_evaluation *out,
                               ae_error *err)
{
    const ae_recipe *r = t->recipe;
    float weight[AE_MAX_TERMS];
    uint32_t last = r->n_phases ? r->phases[r->n_phases - 1].terms : UINT32_MAX;
    ae_status st;

    for (uint32_t k = 0; k < r->n_terms; k++)
        weight[k] = aei_term_is_evaluated(&r->terms[k], batch->label) ? r->terms[k].weight : 0;
    if ((st = run_shards(t, batch, weight, t->frozen, aei_shard_evaluate, err)) != AE_OK)
        return st;
    *out = (aei_evaluation){.prediction = t->prediction, .hit_share = NAN};
    for (uint32_t i = 0; i < r->shards; i++) {
        out->error += t->shards[i].error;
        out->psnr += t->shards[i].psnr;
        out->bpp += t->shards[i].bpp;
    }
    for (uint32_t k = 0; k < r->n_terms; k++) {
        for (uint32_t i = 0; i < r->shards && weight[k] > 0; i++)
            out->terms[k] += t->shards[i].terms[k];
        if (last >> k & 1)
            out->loss += out->terms[k];
        out->terms[k] = weight[k] > 0 ? out->terms[k] / weight[k] : NAN;
    }
    if (aei_objective_classes(t->objective) >= 0 && aei_objective_labelled(t->objective) > 0) {
        out->hit_share = 0;
        for (uint32_t i = 0; i < r->shards; i++)
            out->hit_share += t->shards[i].hits / aei_objective_labelled(t->objective);
    }
    return AE_OK;
}

/* ---- measuring ---- */

static void bench_lane(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    aei_train_lane *l = &t->lanes[index];

    (void)thread;
    l->bench_status = aei_plan_bench(t->plan, 1, &l->bench_seconds, &l->bench_operations,
                                     &l->bench_error);
}

ae_status aei_trainer_bench(aei_trainer *t, double *seconds, double *operations, ae_error *err)
{
    uint32_t n = aei_pool_threads(t->pool), shards = t->recipe->shards;

    *seconds = 0;
    aei_pool_run(t->pool, n, bench_lane, t);
    for (uint32_t i = 0; i < n; i++) {
        if (t->lanes[i].bench_status != AE_OK) {
            if (err)
                *err = t->lanes[i].bench_error;
            return t->lanes[i].bench_status;
        }
        *seconds += t->lanes[i].bench_seconds / n;
    }
    *seconds *= (shards + n - 1) / n;
    *operations = t->lanes[0].bench_operations * shards;
    return AE_OK;
}
