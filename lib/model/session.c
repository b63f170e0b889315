/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sessions: a model planned for one shape. Plan and prepared weights are shared by clones and
 * counted. */
#include <stdatomic.h>
#include <string.h>

#include "model/session.h"
#include "nn/exec.h"
#include "nn/graph_extract.h"

typedef struct shared_plan {
    atomic_uint users;
    ae_graph part; /* empty: the model's graph */
    aei_plan *plan;
    aei_weights *weights;
} shared_plan;

struct ae_session {
    shared_plan *shared;
    const ae_graph *graph;
    aei_run *run;
};

static void release(shared_plan *s)
{
    if (!s || atomic_fetch_sub(&s->users, 1) != 1)
        return;
    aei_weights_free(s->weights);
    aei_plan_free(s->plan);
    ae_graph_free(&s->part);
    ae_free(s);
}

ae_status ae_session_create(const ae_model *model, uint32_t n, uint32_t h, uint32_t w,
                            ae_precision precision, ae_session **out, ae_error *err)
{
    return aei_session_create(model, n, h, w, 0, precision, out, err);
}

/* A session with a plan of its own; values: of the graph, or of the part where there is one, which
 * moves into the session. */
static ae_status create(const ae_graph *graph, ae_graph *part, const float *values,
                        const aei_plan_config *config, ae_session **out, ae_error *err)
{
    shared_plan *s = ae_alloc(1, sizeof(*s));
    ae_session *session = ae_alloc(1, sizeof(*session));
    ae_status st;

    *out = NULL;
    if (!s || !session) {
        ae_free(s);
        ae_free(session);
        return ae_fail(err, AE_ERR_NOMEM, "session");
    }
    atomic_store(&s->users, 1);
    session->shared = s;
    session->graph = graph;
    if (part) {
        s->part = *part;
        *part = (ae_graph){0};
        session->graph = &s->part;
    }
    if ((st = aei_plan_create(session->graph, config, &s->plan, err)) != AE_OK ||
        (st = aei_weights_create(s->plan, &s->weights, err)) != AE_OK ||
        (st = aei_run_create(s->plan, &session->run, err)) != AE_OK)
        goto done;
    aei_weights_set(s->weights, values);
    *out = session;
    session = NULL;
done:
    ae_session_free(session);
    return st;
}

ae_status aei_session_create(const ae_model *model, uint32_t n, uint32_t h, uint32_t w,
                             uint32_t trim, ae_precision precision, ae_session **out, ae_error *err)
{
    aei_plan_config config = {
        .n = n, .h = h, .w = w, .trim = trim, .precision = ae_precision_resolve(precision)};
    size_t n_values;

    return create(ae_model_graph(model), NULL, ae_model_values(model, &n_values), &config, out,
                  err);
}

static ae_status find_layers(const ae_graph *g, const char *const *names, uint32_t n, uint32_t *to,
                             ae_error *err)
{
    if (n > AE_MAX_FROM)
        return ae_fail(err, AE_ERR_ARGUMENT, "a session from or to %u layers, expected up to %d", n,
                       AE_MAX_FROM);
    for (uint32_t i = 0; i < n; i++) {
        int32_t found = ae_graph_find(g, names[i]);

        if (found < 0)
            return ae_fail(err, AE_ERR_ARGUMENT, "the network has no layer '%.60s'", names[i]);
        to[i] = (uint32_t)found;
    }
    return AE_OK;
}

ae_status ae_session_open(const ae_model *model, const ae_session_options *o, ae_session **out,
                          ae_error *err)
{
    aei_plan_config config = {.n = o->n,
                              .h = o->h,
                              .w = o->w,
                              .precision = ae_precision_resolve(o->precision),
                              .live = o->live};
    const ae_graph *whole = ae_model_graph(model);
    uint32_t from[AE_MAX_FROM], to[AE_MAX_FROM];
    aei_part wanted = {from, o->n_from, o->n_to ? to : whole->outputs,
                       o->n_to ? o->n_to : whole->n_outputs, NULL};
    size_t n_values;
    const float *values = ae_model_values(model, &n_values);
    float *own = NULL;
    ae_graph part = {0};
    ae_shape *shapes = NULL;
    ae_status st;

    *out = NULL;
    if (!o->n_from && !o->n_to)
        return create(whole, NULL, values, &config, out, err);
    if ((st = find_layers(whole, o->from, o->n_from, from, err)) != AE_OK ||
        (st = find_layers(whole, o->to, o->n_to, to, err)) != AE_OK)
        return st;
    wanted.shapes = shapes = ae_alloc(whole->n_nodes, sizeof(*shapes));
    if (!shapes)
        return ae_fail(err, AE_ERR_NOMEM, "shapes of %u layers", whole->n_nodes);
    if ((st = ae_graph_shapes(whole, o->n, o->h, o->w, shapes, err)) == AE_OK &&
        (st = aei_graph_part(whole, &wanted, &part, NULL, err)) == AE_OK &&
        (st = aei_graph_extract_values(whole, values, &part, &own, err)) == AE_OK)
        st = create(whole, &part, own, &config, out, err);
    ae_graph_free(&part);
    ae_free(own);
    ae_free(shapes);
    return st;
}

void ae_session_rewind(ae_session *session)
{
    memset(aei_run_state(session->run), 0, aei_plan_state(session->shared->plan));
}

ae_status ae_session_continue(ae_session *session, const ae_session *other, ae_error *err)
{
    const aei_plan *a = session->shared->plan, *b = other->shared->plan;

    if (!aei_plan_continues(a, b))
        return ae_fail(
            err, AE_ERR_ARGUMENT,
            "a session cannot go on where one of another network, part, width or precision is");
    memcpy(aei_run_state(session->run), aei_run_state(other->run), aei_plan_state(a));
    return AE_OK;
}

ae_status ae_session_clone(const ae_session *session, ae_session **out, ae_error *err)
{
    ae_session *copy = ae_alloc(1, sizeof(*copy));
    ae_status st;

    *out = NULL;
    if (!copy)
        return ae_fail(err, AE_ERR_NOMEM, "session");
    if ((st = aei_run_create(session->shared->plan, &copy->run, err)) != AE_OK) {
        ae_free(copy);
        return st;
    }
    copy->shared = session->shared;
    copy->graph = session->graph;
    atomic_fetch_add(&copy->shared->users, 1);
    *out = copy;
    return AE_OK;
}

void ae_session_free(ae_session *session)
{
    if (!session)
        return;
    aei_run_free(session->run);
    release(session->shared);
    ae_free(session);
}

size_t ae_session_bytes(const ae_session *session)
{
    return aei_plan_workspace(session->shared->plan);
}

uint32_t ae_session_n_inputs(const ae_session *session)
{
    return aei_plan_n_inputs(session->shared->plan);
}

uint32_t ae_session_n_outputs(const ae_session *session)
{
    return aei_plan_n_outputs(session->shared->plan);
}

const char *ae_session_input_name(const ae_session *session, uint32_t i)
{
    const ae_graph *g = session->graph;

    for (uint32_t k = 0; k < g->n_nodes; k++)
        if (g->nodes[k].op == AE_OP_INPUT && !i--)
            return g->nodes[k].name;
    return "";
}

ae_shape ae_session_input_shape(const ae_session *session, uint32_t i)
{
    return aei_plan_input_shape(session->shared->plan, i);
}

ae_shape ae_session_output_shape(const ae_session *session, uint32_t i)
{
    return aei_plan_output_shape(session->shared->plan, i);
}

ae_status ae_session_run(ae_session *session, const float *const *inputs, float *const *outputs,
                         ae_error *err)
{
    return aei_run_forward(session->run, session->shared->weights, inputs, outputs, 0, err);
}
