/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the terms of a recipe are computed on. Each term is bound once to outputs and taps of the
 * joined graph; for a shard, its value and its gradient by each of them are added to what the
 * network's run is given back, weights and warm-up included. */
#include "train/objective.h"
#include "train/contract.h"
#include "train/perceptual.h"
#include "image/levels.h"

#include <math.h>
#include <string.h>

/* One term, ready: where among outputs and taps its layers are, -1: no such layer. */
typedef struct part {
    int32_t on, to, mask, second; /* second: log variance, or the logits of draws */
    bool ids;                     /* the target numbers classes: bytes or words of text */
    aei_contraction *contraction;
    aei_perceptual *perceptual;
    float *constant; /* a shard's target, all the same number */
} part;

struct aei_objective {
    const ae_recipe *recipe;
    const aei_joined *joined;
    const aei_plan *plan;
    uint32_t n_taps, taps[AEI_MAX_TAPS];
    bool wants[AEI_MAX_OUTPUTS];
    part parts[AE_MAX_TERMS];
    int32_t classes;

    /* of the batch in progress */
    const float *weight;
    const aei_batch *batch;
    double labelled, numbered; /* pixels of the target that number a class */
};

static size_t count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

void aei_objective_free(aei_objective *o)
{
    if (!o)
        return;
    for (int i = 0; i < AE_MAX_TERMS; i++) {
        aei_contraction_free(o->parts[i].contraction);
        aei_perceptual_free(o->parts[i].perceptual);
        ae_free(o->parts[i].constant);
    }
    ae_free(o);
}

const uint32_t *aei_objective_taps(const aei_objective *o, uint32_t *n)
{
    *n = o->n_taps;
    return o->taps;
}

bool aei_objective_wants(const aei_objective *o, uint32_t k)
{
    return o->wants[k];
}

bool aei_objective_moves(const aei_objective *o, uint32_t k)
{
    bool moves = false;

    for (uint32_t i = 0; i < o->recipe->n_terms; i++)
        moves |= o->weight[i] > 0 && !o->recipe->terms[i].on_weights &&
                 ((o->parts[i].on < 0 && k == 0) || o->parts[i].on == (int32_t)k ||
                  o->parts[i].second == (int32_t)k);
    return moves;
}

int32_t aei_objective_classes(const aei_objective *o)
{
    return o->classes;
}

double aei_objective_labelled(const aei_objective *o)
{
    return o->labelled;
}

/* ---- terms against the graph ---- */

/* The activation behind a node, through nodes that only move samples. */
static ae_act last_act(const ae_graph *g, uint32_t node)
{
    const ae_node *n = &g->nodes[node];

    while (n->act == AE_ACT_NONE && (n->op == AE_OP_RESHAPE || n->op == AE_OP_SHUFFLE ||
                                     n->op == AE_OP_UNSHUFFLE || n->op == AE_OP_CROP))
        n = &g->nodes[n->from[0]];
    return n->act;
}

static int32_t tap_node(aei_objective *o, uint32_t node, bool wants)
{
    uint32_t k = 0, n_outputs = o->joined->graph.n_outputs;

    while (k < o->n_taps && o->taps[k] != node)
        k++;
    if (k == o->n_taps)
        o->taps[o->n_taps++] = node;
    o->wants[n_outputs + k] |= wants;
    return (int32_t)(n_outputs + k);
}

/* Where the values of the layer so called come out; -1 where there is no name. */
static ae_status tap(aei_objective *o, const ae_term *t, const char *name, bool wants,
                     int32_t *index, ae_error *err)
{
    int32_t node = name[0] ? ae_graph_find(&o->joined->graph, name) : -1;

    *index = -1;
    if (!name[0])
        return AE_OK;
    if (node < 0)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "recipe %s: term %s on layer \"%s\", which does not exist", o->recipe->name,
                       t->name, name);
    *index = tap_node(o, (uint32_t)node, wants);
    return AE_OK;
}

static ae_status check_part(aei_objective *o, uint32_t i, ae_error *err)
{
    const ae_recipe *r = o->recipe;
    const ae_graph *g = &o->joined->graph;
    const ae_term *t = &r->terms[i];
    part *p = &o->parts[i];
    uint32_t on = g->outputs[0];
    ae_status st;

    if ((st = tap(o, t, t->kind == AE_LOSS_ADVERSARY ? "" : t->on, true, &p->on, err)) != AE_OK ||
        (st = tap(o, t, t->to, false, &p->to, err)) != AE_OK ||
        (st = tap(o, t, t->mask, false, &p->mask, err)) != AE_OK ||
        (st = tap(o, t, t->logvar, true, &p->second, err)) != AE_OK)
        return st;
    if (p->on >= 0)
        on = (uint32_t)ae_graph_find(g, t->on);
    if (t->kind == AE_LOSS_ADVERSARY) {
        p->on = tap_node(o, (uint32_t)o->joined->told[i], true);
        p->second = tap_node(o, (uint32_t)o->joined->drawn[i], true);
    }
    if (t->kind == AE_LOSS_BCE && ((p->on < 0 && r->residual) || last_act(g, on) != AE_ACT_SIGMOID))
        return ae_fail(err, AE_ERR_MISMATCH,
                       "recipe %s: loss bce needs probabilities: end network with act: sigmoid, "
                       "without residual",
                       r->name);
    if (t->kind == AE_LOSS_LUMA && g->nodes[on].out != 3)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "recipe %s: loss luma is of pictures of 3 channels, the network makes %u",
                       r->name, g->nodes[on].out);
    if (t->kind == AE_LOSS_CROSS_ENTROPY && t->against == AE_AGAINST_LABEL)
        o->classes = (int32_t)i;
    o->wants[0] |= p->on < 0 && !t->on_weights;
    return AE_OK;
}

ae_status aei_objective_create(const ae_recipe *recipe, const aei_joined *joined,
                               const ae_param *params, uint32_t n_params, aei_objective **out,
                               ae_error *err)
{
    aei_objective *o = ae_alloc(1, sizeof(*o));
    ae_status st = AE_OK;

    *out = NULL;
    if (!o)
        return ae_fail(err, AE_ERR_NOMEM, "training");
    o->recipe = recipe;
    o->joined = joined;
    o->classes = -1;
    for (uint32_t i = 0; st == AE_OK && i < recipe->n_terms; i++) {
        st = check_part(o, i, err);
        if (st == AE_OK && recipe->terms[i].kind == AE_LOSS_JACOBIAN)
            st = aei_contraction_create(&joined->graph, params, n_params, recipe->terms[i].on,
                                        recipe->shards, &o->parts[i].contraction, err);
    }
    if (st == AE_OK)
        *out = o;
    else
        aei_objective_free(o);
    return st;
}

static ae_shape shape_of(const aei_objective *o, int32_t k)
{
    return aei_plan_output_shape(o->plan, k < 0 ? 0 : (uint32_t)k);
}

static ae_status prepare_part(aei_objective *o, uint32_t i, ae_error *err)
{
    const ae_term *t = &o->recipe->terms[i];
    part *p = &o->parts[i];
    ae_shape on = shape_of(o, p->on), picture = shape_of(o, -1), mask = shape_of(o, p->mask);
    size_t n = count(on), other = p->to >= 0                        ? count(shape_of(o, p->to))
                                  : t->against == AE_AGAINST_TARGET ? count(picture)
                                                                    : n;
    bool classes = t->kind == AE_LOSS_CROSS_ENTROPY && t->against == AE_AGAINST_LABEL,
         words = o->recipe->text == AE_TEXT_WORDS;
    uint32_t numbers = words ? AE_WORDS : 256;

    if (t->on_weights)
        return AE_OK;
    p->ids = t->kind == AE_LOSS_CROSS_ENTROPY && t->against == AE_AGAINST_TARGET && p->on >= 0 &&
             picture.c == 1 && on.c > 1 && on.w == picture.w &&
             (on.h == picture.h || (o->recipe->text && on.h == 1));
    if (p->ids && o->recipe->text && on.c < numbers)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "recipe %s: term %s: %s has %u channels, expected %u, one a %s",
                       o->recipe->name, t->name, t->on, on.c, numbers, words ? "word" : "byte");
    if (t->kind == AE_LOSS_KL_NORMAL && n != count(shape_of(o, p->second)))
        return ae_fail(err, AE_ERR_MISMATCH, "recipe %s: term %s: %s and %s are not of one size",
                       o->recipe->name, t->name, t->on, t->logvar);
    if (p->on >= 0 && aei_loss_is_of_samples(t->kind) && n != other && !p->ids)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "recipe %s: term %s: %s is not of the size of what it is held against",
                       o->recipe->name, t->name, t->on);
    if (p->mask >= 0 && (mask.c != 1 || mask.h != on.h || mask.w != on.w))
        return ae_fail(err, AE_ERR_MISMATCH,
                       "recipe %s: term %s: the mask %s is %u x %u x %u, expected %u x %u x 1",
                       o->recipe->name, t->name, t->mask, mask.h, mask.w, mask.c, on.h, on.w);
    if (classes && (on.h != 1 || on.w != 1))
        return ae_fail(
            err, AE_ERR_MISMATCH,
            "recipe %s: term %s: %s is %u x %u x %u, expected 1 x 1 and a channel a class",
            o->recipe->name, t->name, t->on, on.h, on.w, on.c);
    if (t->against == AE_AGAINST_NUMBER) {
        p->constant = ae_alloc(n, sizeof(float));
        if (!p->constant)
            return ae_fail(err, AE_ERR_NOMEM, "term %s", t->name);
        for (size_t k = 0; k < n; k++)
            p->constant[k] = t->number;
    }
    return AE_OK;
}

ae_status aei_objective_prepare(aei_objective *o, const aei_plan *plan, ae_precision precision,
                                uint32_t n_threads, ae_error *err)
{
    ae_status st = AE_OK;

    o->plan = plan;
    for (uint32_t i = 0; st == AE_OK && i < o->recipe->n_terms; i++) {
        st = prepare_part(o, i, err);
        if (st == AE_OK && o->recipe->terms[i].kind == AE_LOSS_PERCEPTUAL)
            st = aei_perceptual_create(&o->recipe->terms[i], shape_of(o, -1), precision, n_threads,
                                       &o->parts[i].perceptual, err);
    }
    return st;
}

/* ---- a batch ---- */

static double count_numbers(const aei_batch *batch, ae_shape s)
{
    double n = 0;

    for (size_t i = 0; i < (size_t)batch->n * s.h * s.w; i++)
        n += batch->target[i] >= 0;
    return n;
}

void aei_objective_begin(aei_objective *o, const float *weight, const aei_batch *batch,
                         const float *parameters)
{
    o->weight = weight;
    o->batch = batch;
    o->labelled = 0;
    o->numbered = 0;
    for (uint32_t i = 0; batch->label && i < batch->n; i++)
        o->labelled += batch->label[i] >= 0;
    for (uint32_t i = 0; i < o->recipe->n_terms; i++)
        if (o->parts[i].ids && !(o->numbered > 0))
            o->numbered = count_numbers(batch, shape_of(o, -1));
    for (uint32_t i = 0; i < o->recipe->n_terms; i++)
        if (o->parts[i].contraction)
            aei_contraction_begin(o->parts[i].contraction, weight[i], parameters);
}

void aei_objective_collect(const aei_objective *o, const float *parameters, float *gradient)
{
    for (uint32_t i = 0; i < o->recipe->n_terms; i++)
        if (o->parts[i].contraction && o->weight[i] > 0)
            aei_contraction_collect(o->parts[i].contraction, parameters, gradient);
}

/* What a term that compares samples looks at. */
static aei_loss_view view_part(const aei_objective *o, uint32_t i, const aei_shard_view *s)
{
    const part *p = &o->parts[i];
    aei_loss_view v = s->prediction;
    size_t n;

    if (p->on >= 0) {
        v.shape = shape_of(o, p->on);
        v.value = s->values[p->on];
        v.gradient = s->gradients[p->on];
        v.weight = NULL;
        v.fresh = false;
        v.total = (double)v.shape.n * v.shape.h * v.shape.w * o->recipe->shards;
    }
    n = count(v.shape);
    if (p->constant)
        v.target = p->constant;
    else if (p->to >= 0)
        v.target = s->values[p->to];
    else if (p->on >= 0)
        v.target = o->batch->target + s->index * (p->ids ? count(shape_of(o, -1)) : n);
    if (p->mask >= 0)
        v.weight = s->values[p->mask];
    return v;
}

static ae_status classes(const aei_objective *o, uint32_t i, const aei_shard_view *s,
                         aei_loss_view *v, double *value, double *hits, ae_error *err)
{
    if (!o->batch->label)
        return ae_fail(err, AE_ERR_ARGUMENT, "recipe %s: term %s needs the labels of the data",
                       o->recipe->name, o->recipe->terms[i].name);
    v->total = o->labelled;
    *value = aei_classes_add(o->weight[i], v, o->batch->label + s->index * v->shape.n, 1, hits);
    return AE_OK;
}

static ae_status add_part(aei_objective *o, uint32_t i, const aei_shard_view *s,
                          aei_loss_view *prediction, double *value, double *hits, ae_error *err)
{
    const ae_term *t = &o->recipe->terms[i];
    const part *p = &o->parts[i];
    double weight = o->weight[i], share = s->prediction.share;
    aei_loss_view v;

    switch (t->kind) {
    case AE_LOSS_PERCEPTUAL:
        return aei_perceptual_add(p->perceptual, s->thread, (float)weight, prediction, value, err);
    case AE_LOSS_KL_SPARSE:
        *value = aei_kl_sparse_add(weight, (double)t->rho, share, shape_of(o, p->on),
                                   s->values[p->on], s->gradients[p->on]);
        return AE_OK;
    case AE_LOSS_KL_NORMAL:
        *value = aei_kl_normal_add(weight, share, shape_of(o, p->on), s->values[p->on],
                                   s->values[p->second], s->gradients[p->on],
                                   s->gradients[p->second]);
        return AE_OK;
    case AE_LOSS_JACOBIAN:
        *value = aei_contraction_add(p->contraction, s->index, share, shape_of(o, p->on),
                                     s->values[p->on], s->gradients[p->on]);
        return AE_OK;
    case AE_LOSS_ADVERSARY:
        *value = aei_adversary_add(weight, share, t->fool, count(shape_of(o, p->on)),
                                   s->values[p->on], s->values[p->second], s->gradients[p->on],
                                   s->gradients[p->second]);
        return AE_OK;
    default: break;
    }
    v = view_part(o, i, s);
    if (p->on < 0)
        v.fresh = prediction->fresh;
    if (t->against == AE_AGAINST_LABEL)
        return classes(o, i, s, &v, value, hits, err);
    if (p->ids) {
        v.total = o->numbered;
        *value = aei_classes_add(t->sum ? weight * o->numbered / o->batch->n : weight, &v, v.target,
                                 shape_of(o, -1).h / v.shape.h, &(double){0});
        return AE_OK;
    }
    if (t->sum)
        weight *= (double)(t->kind == AE_LOSS_CROSS_ENTROPY ? v.shape.h * v.shape.w
                                                            : count(v.shape) / v.shape.n);
    *value = aei_loss_add(t->kind, weight, &v);
    return AE_OK;
}

ae_status aei_objective_add(aei_objective *o, const aei_shard_view *s, double *terms, double *hits,
                            ae_error *err)
{
    const ae_recipe *r = o->recipe;
    aei_loss_view prediction = s->prediction;
    uint32_t first = 0;

    *hits = 0;
    while (first < r->n_terms &&
           (o->weight[first] <= 0 || o->parts[first].on >= 0 || r->terms[first].on_weights))
        first++;
    /* The first loss of single samples writes where others add. */
    prediction.fresh = first < r->n_terms && aei_loss_is_of_samples(r->terms[first].kind);
    for (uint32_t k = prediction.fresh; k < AEI_MAX_OUTPUTS; k++)
        if (o->wants[k])
            memset(s->gradients[k], 0, count(shape_of(o, (int32_t)k)) * sizeof(float));
    for (int layers = 0; layers < 2; layers++) { /* terms on the prediction, then those on layers */
        for (uint32_t i = 0; i < r->n_terms; i++) {
            ae_status st;

            if ((o->parts[i].on >= 0) != layers || r->terms[i].on_weights)
                continue;
            terms[i] = 0;
            if (o->weight[i] <= 0)
                continue;
            if ((st = add_part(o, i, s, &prediction, &terms[i], hits, err)) != AE_OK)
                return st;
            prediction.fresh = prediction.fresh && layers;
        }
        if (!layers && r->bound > 0)
            aei_bound_back(r->bound, s->levels, s->level_c, prediction.value,
                           o->batch->base + s->index * count(prediction.shape), prediction.gradient,
                           prediction.shape.c, count(prediction.shape) / prediction.shape.c);
    }
    return AE_OK;
}
