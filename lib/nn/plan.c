/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Planning: the steps of a graph and which buffers live when. How tensors are stored is decided in
 * storage.c, where buffers lie in workspace.c. */
#include <stdio.h>
#include <string.h>

#include "nn/graph_trim.h"
#include "nn/live.h"
#include "nn/storage.h"

#define ROW(number, name, ...) [AE_OP_##number] = &aei_op_##name,
static const aei_operator *const operators[] = {AEI_OPS(ROW)};
#undef ROW

/* NULL: there is no such operator. */
static const aei_operator *operator_of(ae_op op)
{
    return (size_t)op < sizeof(operators) / sizeof(*operators) ? operators[op] : NULL;
}

/* ---- lifetimes ---- */
static uint32_t back(const aei_plan *p, uint32_t node)
{
    return 2 * p->n_steps - node;
}

static void mark_gradients(aei_plan *p)
{
    /* below: a parameter or a wanted input; above: an output */
    for (uint32_t i = 0; i < p->n_steps; i++) {
        aei_step *s = &p->steps[i];

        s->needs_grad = (s->op->backward_params && !p->config.refine) ||
                        (s->node->op == AE_OP_INPUT && p->config.input_gradients);
        for (uint32_t k = 0; k < s->node->n_from; k++)
            s->needs_grad |= p->steps[s->node->from[k]].needs_grad;
        if (s->node->add >= 0)
            s->needs_grad |= p->steps[s->node->add].needs_grad;
    }
}

static bool plan_values(aei_plan *p)
{
    uint32_t n = p->n_steps;
    bool train = p->config.train;

    for (uint32_t i = 0; i < n; i++) {
        aei_step *s = &p->steps[i];
        size_t bytes = s->chunk ? 0 : aei_tensor_bytes(&s->t);

        s->value = aei_span_new(p, bytes, i, train ? back(p, i) : i);
        if (s->value < 0)
            return false;
        if (aei_is_output(p, i) && p->buffers[s->value].last < n)
            p->buffers[s->value].last = n;
        if (s->split_act) {
            s->pre = aei_span_new(p, bytes, i, back(p, i));
            if (s->pre < 0)
                return false;
        }
        for (uint32_t k = 0; k < s->node->n_from; k++) {
            const aei_step *from = &p->steps[s->node->from[k]];
            aei_span *b = &p->buffers[from->value];

            b->last = b->last < i ? i : b->last;
            if (from->chunk) { /* read now */
                b = &p->buffers[p->steps[from->node->from[0]].value];
                b->last = b->last < i ? i : b->last;
            }
        }
        if (s->node->add >= 0) {
            aei_span *b = &p->buffers[p->steps[s->node->add].value];

            b->last = b->last < i ? i : b->last;
        }
    }
    return true;
}

/* At inference a residual sum whose addend is read for the last time happens in place. */
static void sum_in_place(aei_plan *p)
{
    for (uint32_t i = 0; i < p->n_steps; i++) {
        aei_step *s = &p->steps[i], *add = s->node->add >= 0 ? &p->steps[s->node->add] : NULL;
        bool also_input = false;

        if (!add || p->config.train)
            continue;
        for (uint32_t k = 0; k < s->node->n_from; k++)
            also_input |= p->steps[s->node->from[k]].value == add->value;
        if (also_input || p->buffers[add->value].last != i)
            continue;
        p->buffers[add->value].last = p->buffers[s->value].last;
        p->buffers[s->value].bytes = 0;
        s->value = add->value;
    }
}

/* The time at which the first gradient reaches node i, UINT32_MAX if none does: backward runs from
 * the last node, so the last user is the first. */
static uint32_t first_gradient(const aei_plan *p, uint32_t i)
{
    if (aei_is_output(p, i))
        return p->n_steps;
    for (uint32_t k = p->n_steps; k-- > i + 1;) {
        const aei_step *user = &p->steps[k];
        bool uses = user->node->add == (int32_t)i;

        for (uint32_t q = 0; q < user->node->n_from; q++)
            uses |= user->node->from[q] == i;
        if (uses && user->needs_grad)
            return back(p, k);
    }
    return UINT32_MAX;
}

/* Buffers of gradients, and which writes are not the first. Where a sum passes its own gradient on
 * as the first one of an addend, both are one buffer: the sum is done with it by then. */
static bool plan_gradients(aei_plan *p)
{
    uint8_t *reached = ae_alloc(p->n_steps, 1);
    bool good = reached;

    for (uint32_t i = 0; i < p->n_outputs && good; i++)
        reached[p->outputs[i]] = 1;
    for (uint32_t i = p->n_steps; i-- > 0 && good;) {
        aei_step *s = &p->steps[i];
        /* inputs' are read at the end */
        uint32_t first = first_gradient(p, i), last = back(p, s->node->op == AE_OP_INPUT ? 0 : i);

        s->needs_grad = s->needs_grad && first != UINT32_MAX;
        if (!s->needs_grad)
            continue;
        if (s->grad < 0)
            s->grad = aei_span_new(p, aei_tensor_bytes(&s->t), first, last);
        else
            p->buffers[s->grad].last = last;
        good = s->grad >= 0;
        for (uint32_t k = 0; k <= s->node->n_from && good; k++) {
            bool sum = k == s->node->n_from;
            int32_t to = sum ? s->node->add : (int32_t)s->node->from[k];
            aei_step *t = to < 0 ? NULL : &p->steps[to];

            if (!t || !t->needs_grad)
                continue;
            s->accumulate[k] = reached[to];
            if (!reached[to] &&
                (sum || (s->op->passes && k + 1 == s->node->n_from && s->node->add < 0)) &&
                aei_tensor_bytes(&t->t) == aei_tensor_bytes(&s->t))
                t->grad = s->grad;
            if (reached[to])
                aei_span_grow(p, AEI_TEMP, aei_tensor_bytes(&t->t));
            reached[to] = 1;
        }
    }
    ae_free(reached);
    return good;
}

static bool plan_lifetimes(aei_plan *p)
{
    mark_gradients(p);
    aei_storage_gates(p);
    if (!plan_values(p))
        return false;
    sum_in_place(p);
    return !p->config.train || plan_gradients(p);
}

static void find_params(aei_plan *p, aei_step *s)
{
    const char *const *names = aei_op_info_of(s->node->op)->params;

    for (int k = 0; k < 4; k++) {
        char name[sizeof(p->params[0].name)];

        s->param[k] = -1;
        if (!names[k])
            continue;
        snprintf(name, sizeof(name), "%s.%s",
                 s->node->transposed && k ? s->node->name : s->node->param, names[k]);
        for (uint32_t i = 0; i < p->n_params; i++)
            if (!strcmp(p->params[i].name, name))
                s->param[k] = (int32_t)i;
    }
}

/* Which steps share parameters, and which come first of those that do. */
static void find_owners(aei_plan *p)
{
    for (uint32_t i = 0; i < p->n_steps; i++) {
        aei_step *s = &p->steps[i];
        uint32_t owner = s->param[0] < 0 ? 0 : p->params[s->param[0]].node;

        if (s->param[0] < 0)
            continue;
        if (owner == i)
            p->parts[p->n_parts++] = i;
        else
            s->shared = p->steps[owner].shared = true;
    }
}

/* Charges for a layer's primitives before oneDNN makes them: for their code above all, of which one
 * of 3 x 3 has up to this much in each direction. Their scratchpads are in the workspace. */
static ae_status charge_primitives(aei_plan *p, const aei_step *s, ae_error *err)
{
    enum { CODE_BYTES = 1 << 19 };
    uint64_t n_bytes = p->config.train ? 3 * CODE_BYTES : CODE_BYTES;
    char what[128];
    ae_status st;

    if (!s->op->free)
        return AE_OK;
    snprintf(what, sizeof(what), "layer '%.80s': code for it", s->node->name);
    if ((st = ae_memory_take(n_bytes, what, err)) == AE_OK)
        p->charged += n_bytes;
    return st;
}

static ae_status plan_steps(aei_plan *p, ae_error *err)
{
    ae_status st = AE_OK;
    ae_shape *shapes = ae_alloc(p->n_steps, sizeof(*shapes));
    const aei_plan_config *c = &p->config;

    if (!shapes) {
        st = ae_fail(err, AE_ERR_NOMEM, "plan of %u layers", p->n_steps);
        goto done;
    }
    if ((st = ae_graph_shapes(p->graph, c->n, c->h, c->w, shapes, err)) != AE_OK)
        goto done;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        aei_step *s = &p->steps[i];

        s->node = &p->graph->nodes[i];
        s->index = i;
        s->origin = p->mixed.origin ? p->mixed.origin[i] : i;
        s->op = operator_of(s->node->op);
        if (!s->op || !aei_act_info_of(s->node->act)) {
            st = ae_fail(err, AE_ERR_ARGUMENT, "layer %s: unknown operator %d or activation %d",
                         s->node->name, (int)s->node->op, (int)s->node->act);
            goto done;
        }
        s->t.shape = shapes[i];
        s->t.element = c->precision == AE_PRECISION_BF16 && !(p->mixed.wide && p->mixed.wide[i])
                           ? 2
                           : 4;
        s->value = s->grad = s->pre = s->aux = AEI_NO_BUFFER;
        s->split_act = c->train && aei_act_keeps_input(s->node->act, s->node->slope);
        s->fused_act = s->op->fuses_act && !s->split_act && aei_act_info_of(s->node->act)->kind;
        find_params(p, s);
        if (s->node->op == AE_OP_INPUT && p->n_inputs < AE_MAX_FROM)
            p->inputs[p->n_inputs++] = i;
    }
    find_owners(p);
    if (!aei_storage_choose(p) || !plan_lifetimes(p)) {
        st = ae_fail(err, AE_ERR_NOMEM, "plan of %u layers", p->n_steps);
        goto done;
    }
    p->state_bytes = (p->n_steps * sizeof(uint32_t) + 63) / 64 * 64;
    for (uint32_t i = 0; i < p->n_steps && st == AE_OK; i++) {
        aei_step *s = &p->steps[i];

        if (c->live)
            st = aei_live_plan(p, s, err);
        if (st == AE_OK)
            st = charge_primitives(p, s, err);
        if (st == AE_OK && s->op->plan)
            st = s->op->plan(p, s, err);
        if (st == AE_OK)
            st = aei_act_plan(p, s, err);
        s->native = p->native_floats;
        p->native_floats += (s->native_floats + 15) / 16 * 16;
    }
    if (st == AE_OK && !aei_workspace_place(p))
        st = ae_fail(err, AE_ERR_NOMEM, "plan of %u layers", p->n_steps);
done:
    ae_free(shapes);
    return st;
}

ae_status aei_plan_create(const ae_graph *graph, const aei_plan_config *config, aei_plan **out,
                          ae_error *err)
{
    ae_status st;
    aei_plan *p = ae_alloc(1, sizeof(*p));

    *out = NULL;
    aei_single_threaded();
    if (!p)
        return ae_fail(err, AE_ERR_NOMEM, "plan");
    p->graph = graph;
    p->config = *config;
    p->prepared_bytes = AEI_MARGIN;
    if (config->live && (config->train || config->trim)) {
        aei_plan_free(p);
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "only inference goes on from run to run, of whole inputs");
    }
    if (config->trim) {
        if (config->train || config->n_taps)
            st = ae_fail(err, AE_ERR_ARGUMENT, "only inference trims");
        else
            st = aei_graph_trim(graph, config->h, config->w, config->trim, &p->trimmed, err);
        if (st != AE_OK) {
            aei_plan_free(p);
            return st;
        }
        p->graph = graph = &p->trimmed;
    }
    if (config->precision == AE_PRECISION_BF16 && aei_mixed_wanted(graph)) {
        if ((st = aei_mixed_create(graph, &p->mixed, err)) != AE_OK) {
            aei_plan_free(p);
            return st;
        }
        p->graph = graph = &p->mixed.graph;
    }
    p->n_steps = graph->n_nodes;
    p->steps = ae_alloc(graph->n_nodes, sizeof(*p->steps));
    p->parts = ae_alloc(graph->n_nodes, sizeof(*p->parts));
    if (!aei_engine())
        st = ae_fail(err, AE_ERR_INTERNAL, "oneDNN does not start");
    else if (!p->steps || !p->parts || aei_span_new(p, 64, 0, UINT32_MAX) != AEI_SCRATCH ||
             aei_span_new(p, 0, 0, UINT32_MAX) != AEI_TEMP)
        st = ae_fail(err, AE_ERR_NOMEM, "plan of %u layers", graph->n_nodes);
    else if (graph->n_outputs + config->n_taps > sizeof(p->outputs) / sizeof(*p->outputs))
        st = ae_fail(err, AE_ERR_ARGUMENT, "%u outputs and taps",
                     graph->n_outputs + config->n_taps);
    else
        st = ae_graph_params(graph, &p->params, &p->n_params, &p->n_floats, err);
    if (st == AE_OK) {
        for (uint32_t i = 0; i < graph->n_outputs; i++)
            p->outputs[p->n_outputs++] = graph->outputs[i];
        for (uint32_t i = 0; i < config->n_taps; i++)
            p->outputs[p->n_outputs++] = p->mixed.map ? p->mixed.map[config->taps[i]]
                                                      : config->taps[i];
        st = plan_steps(p, err);
    }
    if (st != AE_OK) {
        aei_plan_free(p);
        return st;
    }
    *out = p;
    return AE_OK;
}

void aei_plan_free(aei_plan *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->n_steps && p->steps; i++) {
        aei_step *s = &p->steps[i];

        if (s->act_prim)
            dnnl_primitive_destroy(s->act_prim);
        if (s->act_back_prim)
            dnnl_primitive_destroy(s->act_back_prim);
        if (s->op && s->op->free)
            s->op->free(s);
    }
    ae_memory_give(p->charged);
    ae_free(p->steps);
    ae_free(p->parts);
    ae_free(p->params);
    ae_free(p->buffers);
    aei_mixed_free(&p->mixed);
    ae_graph_free(&p->trimmed);
    ae_free(p);
}

uint32_t aei_plan_n_inputs(const aei_plan *p)
{
    return p->n_inputs;
}

uint32_t aei_plan_n_outputs(const aei_plan *p)
{
    return p->n_outputs;
}

ae_shape aei_plan_input_shape(const aei_plan *p, uint32_t i)
{
    return p->steps[p->inputs[i]].t.shape;
}

ae_shape aei_plan_output_shape(const aei_plan *p, uint32_t i)
{
    return p->steps[p->outputs[i]].t.shape;
}

size_t aei_plan_workspace(const aei_plan *p)
{
    return p->workspace;
}

size_t aei_plan_n_floats(const aei_plan *p)
{
    return p->n_floats;
}

size_t aei_plan_state(const aei_plan *p)
{
    return p->config.live ? p->state_bytes : 0;
}

bool aei_plan_continues(const aei_plan *p, const aei_plan *q)
{
    bool same = p->config.live && q->config.live && p->n_steps == q->n_steps &&
                p->state_bytes == q->state_bytes;

    for (uint32_t i = 0; i < p->n_steps && same; i++) {
        const aei_step *a = &p->steps[i], *b = &q->steps[i];

        same = a->node->op == b->node->op && !strcmp(a->node->name, b->node->name) &&
               a->look == b->look && a->state == b->state && a->t.cp == b->t.cp &&
               a->t.element == b->t.element && a->t.shape.n == b->t.shape.n &&
               a->t.shape.w == b->t.shape.w;
    }
    return same;
}

size_t aei_plan_native_floats(const aei_plan *p)
{
    return p->native_floats;
}
