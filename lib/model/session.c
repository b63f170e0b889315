/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sessions: a model planned for one shape. Plan and prepared weights are shared by clones and counted. */
#include <stdatomic.h>
#include <string.h>

#include "model/session.h"
#include "nn/exec.h"

typedef struct shared_plan {
    atomic_uint users;
    aei_plan *plan;
    aei_weights *weights;
} shared_plan;

struct ae_session {
    shared_plan *shared;
    aei_run *run;
};

static void release(shared_plan *s)
{
    if (!s || atomic_fetch_sub(&s->users, 1) != 1)
        return;
    aei_weights_free(s->weights);
    aei_plan_free(s->plan);
    ae_free(s);
}

ae_status ae_session_create(const ae_model *model, uint32_t n, uint32_t h, uint32_t w, ae_precision precision, ae_session **out,
                            ae_error *err)
{
    return aei_session_create(model, n, h, w, 0, precision, out, err);
}

ae_status aei_session_create(const ae_model *model, uint32_t n, uint32_t h, uint32_t w, uint32_t trim, ae_precision precision,
                             ae_session **out, ae_error *err)
{
    aei_plan_config config = {.n = n, .h = h, .w = w, .trim = trim, .precision = ae_precision_resolve(precision)};
    shared_plan *s = ae_alloc(1, sizeof(*s));
    ae_session *session = ae_alloc(1, sizeof(*session));
    size_t n_values = 0;
    const float *values = ae_model_values(model, &n_values);
    ae_status st = AE_OK;

    *out = NULL;
    if (!s || !session) {
        ae_free(s);
        ae_free(session);
        return ae_fail(err, AE_ERR_NOMEM, "session");
    }
    atomic_store(&s->users, 1);
    session->shared = s;
    if ((st = aei_plan_create(ae_model_graph(model), &config, &s->plan, err)) != AE_OK ||
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

ae_shape ae_session_input_shape(const ae_session *session, uint32_t i)
{
    return aei_plan_input_shape(session->shared->plan, i);
}

ae_shape ae_session_output_shape(const ae_session *session, uint32_t i)
{
    return aei_plan_output_shape(session->shared->plan, i);
}

ae_status ae_session_run(ae_session *session, const float *const *inputs, float *const *outputs, ae_error *err)
{
    return aei_run_forward(session->run, session->shared->weights, inputs, outputs, 0, err);
}
