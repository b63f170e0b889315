/* SPDX-License-Identifier: BSD-2-Clause */
#include "train/trainer.h"
#include "train/contract.h"
#include "train/integer.h"
#include "train/loss.h"
#include "train/muon.h"
#include "train/optimizer.h"
#include "train/perceptual.h"
#include "core/clones.h"
#include "core/rng.h"
#include "image/levels.h"
#include "nn/exec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    JOB_FLOATS = 32768, /* parameters in one job of the update */
    CHUNK = 2048,       /* of them summed at a time: stays in the first cache */
    MAX_TAPS = 2 * AE_MAX_TERMS,
    MAX_OUTPUTS = AE_MAX_FROM + MAX_TAPS
};

/* A range of one parameter tensor. */
typedef struct block {
    size_t offset, count;
    bool trainable, decay;
    bool fixed;  /* never updated */
    bool given;  /* statistics of the data, measured in the beginning */
    bool matrix; /* updated as a whole, by Muon */
} block;

/* Blocks [first, last) and what summing them found. */
typedef struct job { uint32_t first, last; double squares, l1, l2; } job;

/* A parameter that is updated as a whole; muon is NULL where it is updated in blocks. */
typedef struct matrix { aei_muon *muon; ae_status status; ae_error message; } matrix;

typedef struct lane { /* one thread's */
    aei_run *run, *frozen;
    float *values[MAX_OUTPUTS], *gradients[MAX_OUTPUTS]; /* NULL where the objective does not look */
    ae_status bench_status;
    ae_error bench_error;
    double bench_seconds, bench_operations;
} lane;

typedef struct shard {
    float *native; /* its gradient in the kernels' layouts */
    double loss, error, psnr, bpp;
    ae_status status;
    ae_error message;
} shard;

struct aei_trainer {
    const ae_recipe *recipe;
    const ae_graph *graph;
    ae_param *params;
    uint32_t n_params;
    aei_state state;
    uint64_t seed;
    aei_pool *pool;
    aei_plan *plan, *frozen_plan;
    aei_weights *weights, *frozen_weights;
    aei_integer *integer; /* NULL: weights are used as they are */
    const float *used;    /* the parameters, perhaps rounded */
    uint32_t level_input, level_c;     /* with a bound: what it goes by */
    uint32_t n_inputs, n_taps, taps[MAX_TAPS];
    int32_t penalty_tap[AE_MAX_TERMS]; /* index of the penalty's output, -1: on the parameters */
    int32_t second_tap[AE_MAX_TERMS];  /* likewise of its second node */
    aei_contraction *contraction[AE_MAX_TERMS]; /* of the penalties jacobian */
    aei_perceptual *perceptual[AE_MAX_TERMS];
    lane *lanes;
    shard *shards;
    float *gradient; /* of the batch, flat */
    matrix *matrices; /* n_params of them */
    float *prediction;
    block *blocks;
    job *jobs;
    uint32_t n_jobs;
    double n_decaying;
    aei_step_times times;

    /* of the step in progress */
    const aei_batch *batch;
    uint64_t step;
    double total;
    double l1, l2; /* weights of the penalties on the parameters */
    aei_update update;
};

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
        for (int k = 0; k < MAX_OUTPUTS; k++) {
            ae_free(t->lanes[i].values[k]);
            ae_free(t->lanes[i].gradients[k]);
        }
    }
    for (uint32_t i = 0; t->shards && i < t->recipe->shards; i++)
        ae_free(t->shards[i].native);
    for (int i = 0; i < AE_MAX_TERMS; i++) {
        aei_perceptual_free(t->perceptual[i]);
        aei_contraction_free(t->contraction[i]);
    }
    for (uint32_t i = 0; t->matrices && i < t->n_params; i++)
        aei_muon_free(t->matrices[i].muon);
    ae_free(t->matrices);
    aei_integer_free(t->integer);
    aei_weights_free(t->weights);
    aei_weights_free(t->frozen_weights);
    aei_plan_free(t->plan);
    aei_plan_free(t->frozen_plan);
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

/* The activation behind the network's output, through nodes that only move samples. */
static ae_act last_act(const ae_graph *g)
{
    const ae_node *n = &g->nodes[g->outputs[0]];

    while (n->act == AE_ACT_NONE &&
           (n->op == AE_OP_RESHAPE || n->op == AE_OP_SHUFFLE || n->op == AE_OP_UNSHUFFLE || n->op == AE_OP_CROP))
        n = &g->nodes[n->from[0]];
    return n->act;
}

/* The index among the plan's outputs of the node so called, which becomes a tap; -1 where there is no name. */
static ae_status tap(aei_trainer *t, const char *name, int32_t *index, ae_error *err)
{
    int32_t node = name[0] ? ae_graph_find(t->graph, name) : -1;
    uint32_t k = 0;

    *index = -1;
    if (!name[0])
        return AE_OK;
    if (node < 0)
        return ae_fail(err, AE_ERR_MISMATCH, "recipe %s: penalty on node \"%s\", which does not exist", t->recipe->name, name);
    while (k < t->n_taps && t->taps[k] != (uint32_t)node)
        k++;
    if (k == t->n_taps)
        t->taps[t->n_taps++] = (uint32_t)node;
    *index = (int32_t)(t->graph->n_outputs + k);
    return AE_OK;
}

/* The recipe's terms against its graph: taps for the penalties on activations, probabilities where cross-entropy wants them. */
static ae_status check_objective(aei_trainer *t, ae_error *err)
{
    const ae_recipe *r = t->recipe;

    if (r->n_networks != 1)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "recipe %s: training %u networks together is not supported", r->name,
                       r->n_networks);
    if (!r->shards || r->batch % r->shards)
        return ae_fail(err, AE_ERR_ARGUMENT, "recipe %s: a batch of %u cannot be cut into %u equal shards", r->name, r->batch,
                       r->shards);
    for (uint32_t i = 0; i < r->n_losses; i++)
        if (r->losses[i].kind == AE_LOSS_BCE && (r->residual || last_act(t->graph) != AE_ACT_SIGMOID))
            return ae_fail(err, AE_ERR_MISMATCH,
                           "recipe %s: loss bce needs probabilities: end network with act: sigmoid, without residual", r->name);
    for (uint32_t i = 0; i < r->n_losses; i++)
        if (r->losses[i].kind == AE_LOSS_LUMA && t->graph->nodes[t->graph->outputs[0]].out != 3)
            return ae_fail(err, AE_ERR_MISMATCH, "recipe %s: loss luma is of pictures of 3 channels, the network makes %u", r->name,
                           t->graph->nodes[t->graph->outputs[0]].out);
    for (uint32_t i = 0; i < r->n_penalties; i++) {
        const ae_penalty *p = &r->penalties[i];
        ae_status st;

        if (p->kind == AE_PENALTY_KL_SPARSE && !(p->node[0] && p->target > 0 && p->target < 1))
            return ae_fail(err, AE_ERR_ARGUMENT, "recipe %s: penalty kl_sparse needs a node and a target between 0 and 1", r->name);
        if ((st = tap(t, p->node, &t->penalty_tap[i], err)) != AE_OK || (st = tap(t, p->logvar, &t->second_tap[i], err)) != AE_OK)
            return st;
        if (p->kind == AE_PENALTY_KL_NORMAL && (t->penalty_tap[i] < 0 || t->second_tap[i] < 0))
            return ae_fail(err, AE_ERR_ARGUMENT, "recipe %s: penalty kl_normal needs a node and a logvar", r->name);
    }
    return AE_OK;
}

/* Cuts the parameters into blocks and these into jobs, always alike. */
/* Updates are of one size for all entries of a weight, those of a cosine transform span three orders of magnitude: it stays as it
 * is. */
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
    return t->graph->nodes[p->node].op == AE_OP_NORMALISE || t->graph->nodes[p->node].op == AE_OP_DENORMALISE;
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
            t->blocks[k] = (block){p->offset + at, m, p->trainable, p->decay, is_fixed(t, p), is_given(t, p),
                                   is_matrix(t, p)};
            t->jobs[t->n_jobs - 1].last = k + 1;
            filled += m;
        }
    }
    return AE_OK;
}

static bool is_codec(const aei_trainer *t)
{
    return t->recipe->task == AE_TASK_COMPRESS;
}

/* What the objective reads of the outputs: the prediction, a codec's bits, and the tapped nodes. */
static ae_status prepare_lane(aei_trainer *t, lane *l, ae_error *err)
{
    ae_status st;

    for (uint32_t k = 0; k < t->graph->n_outputs + t->n_taps; k++) {
        size_t n = count(aei_plan_output_shape(t->plan, k));

        if (k && k < t->graph->n_outputs && !is_codec(t))
            continue;
        l->values[k] = ae_alloc(n, sizeof(float));
        l->gradients[k] = ae_alloc(n, sizeof(float));
        if (!l->values[k] || !l->gradients[k])
            return ae_fail(err, AE_ERR_NOMEM, "training: %zu outputs", n);
    }
    if ((st = aei_run_create(t->plan, &l->run, err)) != AE_OK)
        return st;
    return aei_run_create(t->frozen_plan, &l->frozen, err);
}

static ae_status prepare_plans(aei_trainer *t, uint32_t h, uint32_t w, ae_precision precision, ae_error *err)
{
    aei_plan_config config = {.n = t->recipe->batch / t->recipe->shards,
                              .h = h,
                              .w = w,
                              .precision = precision,
                              .train = true,
                              .taps = t->taps,
                              .n_taps = t->n_taps};
    ae_status st;

    if ((st = aei_plan_create(t->graph, &config, &t->plan, err)) != AE_OK)
        return st;
    config.train = false;
    config.n_taps = 0;
    if (is_codec(t)) /* bf16 costs pictures of high quality a part of it */
        config.precision = AE_PRECISION_F32;
    if ((st = aei_plan_create(t->graph, &config, &t->frozen_plan, err)) != AE_OK ||
        (st = aei_weights_create(t->plan, &t->weights, err)) != AE_OK ||
        (st = aei_weights_create(t->frozen_plan, &t->frozen_weights, err)) != AE_OK)
        return st;
    t->n_inputs = aei_plan_n_inputs(t->plan);
    if (t->n_inputs > AE_MAX_FROM)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "recipe %s: %u inputs, at most %d can be fed", t->recipe->name, t->n_inputs,
                       AE_MAX_FROM);
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

static ae_status prepare_memory(aei_trainer *t, uint32_t n_threads, ae_precision precision, ae_error *err)
{
    const ae_recipe *r = t->recipe;
    ae_shape picture = aei_plan_output_shape(t->plan, 0);
    size_t n = t->state.n_floats;
    ae_status st;

    if ((st = aei_pool_create(n_threads, &t->pool, err)) != AE_OK ||
        (r->integer && (st = aei_integer_create(t->graph, t->params, t->n_params, &t->integer, err)) != AE_OK))
        return st;
    t->lanes = ae_alloc(n_threads, sizeof(*t->lanes));
    t->shards = ae_alloc(r->shards, sizeof(*t->shards));
    t->prediction = ae_alloc(count(picture), r->shards * sizeof(float));
    t->gradient = ae_alloc(n, sizeof(float));
    t->matrices = ae_alloc(t->n_params, sizeof(*t->matrices));
    t->state.value = ae_alloc(n, 4 * sizeof(float));
    if (!t->lanes || !t->shards || !t->prediction || !t->gradient || !t->matrices || !t->state.value)
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
        if (is_matrix(t, &t->params[i]) && (st = aei_muon_create(&t->params[i], precision, &t->matrices[i].muon, err)) != AE_OK)
            return st;
    for (uint32_t i = 0; i < r->n_losses; i++)
        if (r->losses[i].kind == AE_LOSS_PERCEPTUAL &&
            (st = aei_perceptual_create(&r->losses[i], picture, precision, n_threads, &t->perceptual[i], err)) != AE_OK)
            return st;
    return AE_OK;
}

ae_status aei_trainer_create(const ae_recipe *recipe, uint32_t h, uint32_t w, ae_precision precision, uint32_t n_threads,
                             uint64_t seed, aei_trainer **out, ae_error *err)
{
    aei_trainer *t = ae_alloc(1, sizeof(*t));
    ae_status st;

    *out = NULL;
    if (!t)
        return ae_fail(err, AE_ERR_NOMEM, "training");
    t->recipe = recipe;
    t->graph = &recipe->networks[0].graph;
    t->seed = seed;
    if (n_threads > recipe->shards)
        n_threads = recipe->shards;
    if ((st = check_objective(t, err)) != AE_OK ||
        (st = ae_graph_params(t->graph, &t->params, &t->n_params, &t->state.n_floats, err)) != AE_OK ||
        (st = cut_blocks(t, err)) != AE_OK || (st = prepare_plans(t, h, w, precision, err)) != AE_OK ||
        (st = prepare_memory(t, n_threads, precision, err)) != AE_OK ||
        (st = ae_graph_init(t->graph, seed, t->state.value, err)) != AE_OK) {
        aei_trainer_free(t);
        return st;
    }
    for (uint32_t i = 0; i < recipe->n_penalties; i++) {
        const ae_penalty *p = &recipe->penalties[i];

        if (t->second_tap[i] >= 0 && count(aei_plan_output_shape(t->plan, (uint32_t)t->penalty_tap[i])) !=
                                         count(aei_plan_output_shape(t->plan, (uint32_t)t->second_tap[i]))) {
            st = ae_fail(err, AE_ERR_MISMATCH, "recipe %s: penalty kl_normal: %s and %s are not of one size", recipe->name, p->node,
                         p->logvar);
            aei_trainer_free(t);
            return st;
        }
        if (p->kind == AE_PENALTY_JACOBIAN && (st = aei_contraction_create(t->graph, t->params, t->n_params, p, recipe->shards,
                                                                           &t->contraction[i], err)) != AE_OK) {
            aei_trainer_free(t);
            return st;
        }
        if (t->penalty_tap[i] < 0)
            *(p->kind == AE_PENALTY_L1 ? &t->l1 : &t->l2) += p->weight;
    }
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

/* ---- one shard ---- */

static void find_inputs(const aei_trainer *t, uint32_t index, const float **inputs)
{
    for (uint32_t i = 0; i < t->n_inputs; i++)
        inputs[i] = t->batch->inputs[i] + index * count(aei_plan_input_shape(t->plan, i));
}

/* What the shard's samples were told of the noise; only with a bound. */
static const float *levels_of(const aei_trainer *t, uint32_t index)
{
    return t->batch->inputs[t->level_input] + index * count(aei_plan_input_shape(t->plan, t->level_input));
}

AEI_CLONES static void add(size_t n, const float *restrict from, float *restrict to)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

/* The network's output becomes the prediction. */
static aei_loss_view view_shard(const aei_trainer *t, uint32_t index, float *output, float *gradient)
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

static double codec_loss(const aei_trainer *t, uint32_t index, const lane *l, const aei_loss_view *view, double *bpp)
{
    aei_rate_view rate = {.n = t->graph->n_outputs - 1, .quality = t->batch->quality + index * view->shape.n};

    for (uint32_t k = 0; k < rate.n; k++) {
        rate.shape[k] = aei_plan_output_shape(t->plan, k + 1);
        rate.bits[k] = l->values[k + 1];
        rate.gradient[k] = l->gradients[k + 1];
    }
    return aei_rate_distortion(&t->recipe->losses[0], view, &rate, bpp);
}

static ae_status objective(aei_trainer *t, uint32_t index, uint32_t thread, double *loss, ae_error *err)
{
    const ae_recipe *r = t->recipe;
    lane *l = &t->lanes[thread];
    aei_loss_view view = view_shard(t, index, l->values[0], l->gradients[0]);

    view.fresh = r->n_losses && aei_loss_is_of_samples(r->losses[0].kind);
    for (int k = view.fresh; k < MAX_OUTPUTS; k++)
        if (l->gradients[k])
            memset(l->gradients[k], 0, count(aei_plan_output_shape(t->plan, (uint32_t)k)) * sizeof(float));
    *loss = 0;
    for (uint32_t i = 0; i < r->n_losses; i++) {
        ae_status st;

        if (is_codec(t))
            *loss += codec_loss(t, index, l, &view, &(double){0});
        else if (!t->perceptual[i])
            *loss += aei_loss_add(r->losses[i].kind, r->losses[i].weight, &view);
        else if ((st = aei_perceptual_add(t->perceptual[i], thread, r->losses[i].weight, &view, loss, err)) != AE_OK)
            return st;
        view.fresh = false;
    }
    if (r->bound > 0)
        aei_bound_back(r->bound, levels_of(t, index), t->level_c, view.value, t->batch->base + index * count(view.shape),
                       view.gradient, view.shape.c, count(view.shape) / view.shape.c);
    for (uint32_t i = 0; i < r->n_penalties; i++) {
        int32_t k = t->penalty_tap[i], second = t->second_tap[i];

        if (t->contraction[i])
            *loss += aei_contraction_add(t->contraction[i], index, view.share, aei_plan_output_shape(t->plan, (uint32_t)k),
                                         l->values[k], l->gradients[k]);
        else if (k >= 0 && second >= 0)
            *loss += aei_kl_normal_add(r->penalties[i].weight, view.share, aei_plan_output_shape(t->plan, (uint32_t)k),
                                       l->values[k], l->values[second], l->gradients[k], l->gradients[second]);
        else if (k >= 0)
            *loss += aei_penalty_add(&r->penalties[i], view.share, aei_plan_output_shape(t->plan, (uint32_t)k), l->values[k],
                                     l->gradients[k]);
    }
    return AE_OK;
}

static void train_shard(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    lane *l = &t->lanes[thread];
    shard *s = &t->shards[index];
    const float *inputs[AE_MAX_FROM], *d_outputs[MAX_OUTPUTS];
    uint64_t seed = aei_mix64(aei_mix64(t->seed ^ t->step) ^ index);

    find_inputs(t, index, inputs);
    for (int k = 0; k < MAX_OUTPUTS; k++)
        d_outputs[k] = l->gradients[k];
    s->status = aei_run_forward(l->run, t->weights, inputs, l->values, seed, &s->message);
    if (s->status == AE_OK)
        s->status = objective(t, index, thread, &s->loss, &s->message);
    if (s->status == AE_OK)
        s->status = aei_run_backward(l->run, t->weights, d_outputs, s->native, NULL, &s->message);
}

static void evaluate_shard(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    lane *l = &t->lanes[thread];
    shard *s = &t->shards[index];
    const float *inputs[AE_MAX_FROM];
    float *outputs[AE_MAX_FROM] = {t->prediction + index * count(aei_plan_output_shape(t->plan, 0))};
    aei_loss_view view;

    for (uint32_t k = 1; k < t->graph->n_outputs; k++)
        outputs[k] = l->values[k];

    find_inputs(t, index, inputs);
    s->status = aei_run_forward(l->frozen, t->frozen_weights, inputs, outputs, 0, &s->message);
    if (s->status != AE_OK)
        return;
    view = view_shard(t, index, outputs[0], l->gradients[0]);
    s->error = aei_clipped_error(&view);
    s->loss = s->psnr = s->bpp = 0;
    if (is_codec(t)) {
        size_t n = count(view.shape) / view.shape.n;

        s->loss = codec_loss(t, index, l, &view, &s->bpp);
        view.total = (double)view.shape.h * view.shape.w;
        for (uint32_t samples = view.shape.n, i = 0; i < samples; i++, view.value += n, view.target += n) {
            view.shape.n = 1;
            s->psnr += aei_decibels(aei_clipped_error(&view)) / t->recipe->batch;
        }
        return;
    }
    for (uint32_t i = 0; i < t->recipe->n_losses; i++)
        s->loss += aei_loss_add(t->recipe->losses[i].kind, t->recipe->losses[i].weight, &view);
}

/* Runs all shards of a batch; the first failure counts. */
static ae_status run_shards(aei_trainer *t, const aei_batch *batch, void (*run)(void *, uint32_t, uint32_t), ae_error *err)
{
    const ae_recipe *r = t->recipe;
    size_t pixels = count(aei_trainer_picture(t)) / aei_trainer_picture(t).c;

    t->batch = batch;
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

/* ---- sum and update ---- */

enum { SUM_PARTS = 8 };

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
    job *j = &t->jobs[index];

    (void)thread;
    j->squares = j->l1 = j->l2 = 0;
    for (uint32_t b = j->first; b < j->last; b++) {
        const block *k = &t->blocks[b];

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
            if (k->trainable && !k->fixed)
                j->squares += aei_sum_squares(g, n);
        }
    }
}

/* Of this step in the mean over the first steps; then the statistics stay. */
static float measured_share(const aei_trainer *t)
{
    enum { MEASURED_STEPS = 100 };

    return t->state.n_updates < MEASURED_STEPS ? 1 / (float)(t->state.n_updates + 1) : 0;
}

static void update_job(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    const job *j = &t->jobs[index];

    (void)thread;
    for (uint32_t b = j->first; b < j->last; b++) {
        const block *k = &t->blocks[b];
        size_t at = k->offset;
        const float *g = t->gradient + at;
        float *value = t->state.value + at, *average = t->state.average + at;

        if (k->matrix)
            continue;
        if (k->trainable && !k->fixed) {
            aei_apply(&t->update, k->decay, k->count, g, value, t->state.first + at, t->state.second + at, average);
            continue;
        }
        float share = k->fixed ? 0 : k->given ? measured_share(t) : 0.1f;

        for (size_t i = 0; i < k->count; i++) { /* running statistics; moving averages would lag behind what is given */
            if (share > 0)
                value[i] += share * (g[i] / (float)t->recipe->shards - value[i]);
            average[i] += (k->given ? 1 : t->update.average) * (value[i] - average[i]);
        }
    }
}

static void matrix_job(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    matrix *m = &t->matrices[index];
    size_t at = t->params[index].offset;

    (void)thread;
    if (m->muon)
        m->status = aei_muon_apply(m->muon, &t->update, t->gradient + at, t->state.value + at, t->state.first + at,
                                   t->state.average + at, &m->message);
}

static ae_status update(aei_trainer *t, ae_error *err)
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
            snprintf(fault, n_fault, "the gradient of %s (layer %s) is not finite", p->name, t->graph->nodes[p->node].name);
            return;
        }
    }
    snprintf(fault, n_fault, "the gradient is not finite");
}

ae_status aei_trainer_step(aei_trainer *t, const aei_batch *batch, uint64_t step, float rate, aei_step_result *result,
                           ae_error *err)
{
    const ae_recipe *r = t->recipe;
    double start = now(), summed, updated, squares = 0, l1 = 0, l2 = 0, scale = 1;
    ae_status st;

    *result = (aei_step_result){0};
    t->step = step;
    for (uint32_t i = 0; i < r->n_penalties; i++)
        if (t->contraction[i])
            aei_contraction_begin(t->contraction[i], t->state.value);
    if ((st = run_shards(t, batch, train_shard, err)) != AE_OK)
        return st;
    summed = now();
    t->times.shards += summed - start;
    aei_pool_run(t->pool, SUM_PARTS, sum_job, t);
    aei_pool_run(t->pool, aei_weights_parts(t->weights), collect_job, t);
    for (uint32_t i = 0; i < r->n_penalties; i++)
        if (t->contraction[i])
            aei_contraction_collect(t->contraction[i], t->state.value, t->gradient);
    aei_pool_run(t->pool, t->n_jobs, penalty_job, t);
    for (uint32_t i = 0; i < t->n_jobs; i++) {
        squares += t->jobs[i].squares;
        l1 += t->jobs[i].l1;
        l2 += t->jobs[i].l2;
    }
    for (uint32_t i = 0; i < r->shards; i++)
        result->loss += t->shards[i].loss;
    if (t->n_decaying > 0)
        result->loss += (t->l1 * l1 + t->l2 * l2) / t->n_decaying;
    result->gradient_norm = sqrt(squares);
    result->applied = isfinite(result->loss) && isfinite(squares);
    if (!result->applied) {
        name_fault(t, result->loss, result->fault, sizeof(result->fault));
        return AE_OK;
    }
    if (r->clip > 0 && result->gradient_norm > r->clip)
        scale = r->clip / result->gradient_norm;
    t->update = aei_update_make(r, rate, (float)scale, t->state.n_updates);
    if ((st = update(t, err)) != AE_OK)
        return st;
    t->state.n_updates++;
    updated = now();
    t->times.update += updated - summed;
    aei_trainer_refresh(t);
    t->times.weights += now() - updated;
    return AE_OK;
}

/* ---- evaluation ---- */

void aei_trainer_freeze(aei_trainer *t, const float *values)
{
    aei_weights_set(t->frozen_weights, as_used(t, values));
}

ae_status aei_trainer_evaluate(aei_trainer *t, const aei_batch *batch, aei_evaluation *out, ae_error *err)
{
    ae_status st = run_shards(t, batch, evaluate_shard, err);

    if (st != AE_OK)
        return st;
    *out = (aei_evaluation){.prediction = t->prediction};
    for (uint32_t i = 0; i < t->recipe->shards; i++) {
        out->error += t->shards[i].error;
        out->loss += t->shards[i].loss;
        out->psnr += t->shards[i].psnr;
        out->bpp += t->shards[i].bpp;
    }
    return AE_OK;
}

/* ---- measuring ---- */

static void bench_lane(void *context, uint32_t index, uint32_t thread)
{
    aei_trainer *t = context;
    lane *l = &t->lanes[index];

    (void)thread;
    l->bench_status = aei_plan_bench(t->plan, 1, &l->bench_seconds, &l->bench_operations, &l->bench_error);
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
