/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Running a plan: weights, forward, backward, and how long its layers take alone. */
#include <string.h>
#include <time.h>

#include "nn/plan.h"

/* ---- weights ---- */
static bool bind_weights(aei_weights *w)
{
    const aei_plan *p = w->plan;

    for (uint32_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].op->bind && !p->steps[i].op->bind(w, &p->steps[i]))
            return false;
    return true;
}

ae_status aei_weights_create(const aei_plan *plan, aei_weights **out, ae_error *err)
{
    aei_weights *w = ae_alloc(1, sizeof(*w));

    *out = NULL;
    if (w) {
        w->plan = plan;
        w->block = ae_alloc(plan->prepared_bytes, 1);
        w->scratch = ae_alloc(plan->scratch_bytes, 1);
        w->flat = ae_alloc(plan->n_floats, sizeof(float));
        w->memory = ae_alloc(plan->n_steps, sizeof(*w->memory));
    }
    if (!w || !w->block || !w->scratch || !w->flat || !w->memory ||
        dnnl_stream_create(&w->stream, aei_engine(), 0) != dnnl_success || !bind_weights(w)) {
        aei_weights_free(w);
        return ae_fail(err, AE_ERR_NOMEM, "weights of %zu parameters", plan->n_floats);
    }
    *out = w;
    return AE_OK;
}

void aei_weights_free(aei_weights *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; w->memory && i < w->plan->n_steps; i++)
        for (int k = 0; k < AEI_MAX_PRIMITIVES; k++)
            if (w->memory[i][k])
                dnnl_memory_destroy(w->memory[i][k]);
    if (w->stream)
        dnnl_stream_destroy(w->stream);
    ae_free(w->memory);
    ae_free(w->flat);
    ae_free(w->scratch);
    ae_free(w->block);
    ae_free(w);
}

uint32_t aei_weights_parts(const aei_weights *w)
{
    return w->plan->n_parts;
}

/* Parameter k of step i, where i is the first to use it: NULL otherwise. */
static const ae_param *own_param(const aei_plan *p, uint32_t i, uint32_t k)
{
    const ae_param *param = p->steps[i].param[k] < 0 ? NULL : &p->params[p->steps[i].param[k]];

    return param && param->node == i ? param : NULL;
}

/* The next step of a part, whose first one owns the parameters that the others share; n_steps after
 * the last. */
static uint32_t next_in_part(const aei_plan *p, uint32_t i)
{
    int32_t param = p->steps[i].param[0];

    if (!p->steps[i].shared)
        return p->n_steps;
    while (++i < p->n_steps && p->steps[i].param[0] != param)
        ;
    return i;
}

void aei_weights_set_part(aei_weights *w, const float *flat, uint32_t part)
{
    const aei_plan *p = w->plan;
    uint32_t owner = p->parts[part];

    aei_single_threaded();
    for (uint32_t k = 0; k < 4; k++) {
        const ae_param *param = own_param(p, owner, k);

        if (param && !p->steps[owner].op->prepare)
            memcpy(w->flat + param->offset, flat + param->offset, param->count * sizeof(float));
    }
    for (uint32_t i = owner; i < p->n_steps; i = next_in_part(p, i))
        if (p->steps[i].op->prepare)
            p->steps[i].op->prepare(w, &p->steps[i], flat);
}

void aei_weights_set(aei_weights *w, const float *flat)
{
    for (uint32_t part = 0; part < w->plan->n_parts; part++)
        aei_weights_set_part(w, flat, part);
}

/* ---- run ---- */
ae_status aei_run_create(const aei_plan *plan, aei_run **out, ae_error *err)
{
    aei_run *r = ae_alloc(1, sizeof(*r));

    *out = NULL;
    if (r) {
        r->plan = plan;
        r->block = ae_alloc(plan->workspace, 1);
        r->state = ae_alloc(plan->state_bytes, 1);
        r->memory = ae_alloc(plan->n_steps, sizeof(*r->memory));
        r->leads = ae_alloc(plan->n_steps, 2);
        r->live = r->leads ? r->leads + plan->n_steps : NULL;
    }
    if (!r || !r->block || !r->state || !r->memory || !r->leads ||
        dnnl_stream_create(&r->stream, aei_engine(), 0) != dnnl_success) {
        aei_run_free(r);
        return ae_fail(err, AE_ERR_NOMEM, "workspace of %zu bytes", plan->workspace);
    }
    *out = r;
    return AE_OK;
}

void aei_run_free(aei_run *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; r->memory && i < r->plan->n_steps; i++)
        for (int k = 0; k < AEI_MEMORIES; k++)
            if (r->memory[i][k])
                dnnl_memory_destroy(r->memory[i][k]);
    if (r->stream)
        dnnl_stream_destroy(r->stream);
    ae_free(r->leads);
    ae_free(r->memory);
    ae_free(r->state);
    ae_free(r->block);
    ae_free(r);
}

void *aei_run_state(aei_run *r)
{
    return r->state;
}

static ae_status finish(aei_run *run, ae_error *err)
{
    dnnl_status_t st = run->status;

    dnnl_stream_wait(run->stream);
    run->status = dnnl_success;
    return st == dnnl_success
               ? AE_OK
               : ae_fail(err, st == dnnl_out_of_memory ? AE_ERR_NOMEM : AE_ERR_INTERNAL,
                         "oneDNN primitive failed with status %d", (int)st);
}

/* Dense f32 <-> stored tensor. */
static void import(const aei_tensor *t, const float *from, uint8_t *to)
{
    size_t n = aei_pixels(t), used = (size_t)t->shape.c * t->element,
           stride = (size_t)t->cp * t->element;

    if (t->cp == t->shape.c) {
        aei_from_f32(from, to, t->element, n * t->cp);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        aei_from_f32(from + i * t->shape.c, to + i * stride, t->element, t->shape.c);
        memset(to + i * stride + used, 0, stride - used);
    }
}

static void export(const aei_tensor *t, const uint8_t *from, float *to)
{
    size_t n = aei_pixels(t), stride = (size_t)t->cp * t->element;

    if (t->cp == t->shape.c)
        aei_to_f32(from, t->element, to, n * t->cp);
    else
        for (size_t i = 0; i < n; i++)
            aei_to_f32(from + i * stride, t->element, to + i * t->shape.c, t->shape.c);
}

ae_status aei_run_forward(aei_run *run, const aei_weights *weights, const float *const *inputs,
                          float *const *outputs, uint64_t seed, ae_error *err)
{
    const aei_plan *p = run->plan;
    uint32_t next_input = 0;

    aei_single_threaded();
    run->seed = seed;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const aei_step *s = &p->steps[i];

        if (s->node->op == AE_OP_INPUT)
            import(&s->t, inputs[next_input++], aei_target(run, s));
        else
            s->op->forward(run, weights, s);
        aei_act_forward(run, s);
    }
    for (uint32_t i = 0; i < p->n_outputs; i++)
        if (outputs && outputs[i])
            export(&p->steps[p->outputs[i]].t, aei_value(run, &p->steps[p->outputs[i]]),
                   outputs[i]);
    return finish(run, err);
}

/* Sends the gradient of step s into the gradient of node `to` by slot. */
static void send(aei_run *run, const aei_weights *weights, const aei_step *s, uint32_t slot,
                 uint32_t to, bool passes)
{
    const aei_step *target = &run->plan->steps[to];
    size_t n = aei_pixels(&target->t) * target->t.cp;

    if (!target->needs_grad || !run->leads[to])
        return;
    if (!run->live[s->index]) {
        if (!s->accumulate[slot] && target->grad != s->grad)
            memset(aei_grad(run, target), 0, aei_tensor_bytes(&target->t));
        return;
    }
    run->live[to] = 1;
    if (passes && s->accumulate[slot])
        aei_add_to(aei_grad(run, target), aei_grad(run, s), s->t.element, n);
    else if (passes && target->grad == s->grad)
        return;
    else if (passes)
        memcpy(aei_grad(run, target), aei_grad(run, s), aei_tensor_bytes(&target->t));
    else if (s->accumulate[slot]) {
        s->op->backward(run, weights, s, slot, aei_at(run, AEI_TEMP));
        aei_add_to(aei_grad(run, target), aei_at(run, AEI_TEMP), target->t.element, n);
    } else {
        s->op->backward(run, weights, s, slot, aei_grad(run, target));
    }
}

/* Output gradients of the caller, summed where an output is named twice. */
static void seed_gradients(aei_run *run, const float *const *d_outputs)
{
    const aei_plan *p = run->plan;

    for (uint32_t i = 0; i < p->n_outputs; i++) {
        const aei_step *s = &p->steps[p->outputs[i]];
        bool again = false;

        if (!s->needs_grad)
            continue;
        run->live[s->index] |= d_outputs[i] != NULL;
        for (uint32_t k = 0; k < i; k++)
            again |= p->outputs[k] == p->outputs[i];
        if (!d_outputs[i] && !again)
            memset(aei_grad(run, s), 0, aei_tensor_bytes(&s->t));
        else if (d_outputs[i] && !again)
            import(&s->t, d_outputs[i], aei_grad(run, s));
        else if (d_outputs[i]) {
            import(&s->t, d_outputs[i], aei_at(run, AEI_TEMP));
            aei_add_to(aei_grad(run, s), aei_at(run, AEI_TEMP), s->t.element,
                       aei_pixels(&s->t) * s->t.cp);
        }
    }
}

void aei_run_trains(aei_run *run, const bool *trains)
{
    run->trains = trains;
}

static bool has_trained(const aei_run *run, const aei_step *s)
{
    bool any = !run->trains;

    for (uint32_t k = 0; k < 4 && !any; k++)
        any = s->param[k] >= 0 && run->trains[s->param[k]];
    return any;
}

/* Which steps backward must visit: where all train, those that have a gradient at all. */
static void find_leading(aei_run *run)
{
    const aei_plan *p = run->plan;

    memset(run->live, 0, p->n_steps);
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const aei_step *s = &p->steps[i];

        run->leads[i] = has_trained(run, s);
        for (uint32_t k = 0; k < s->node->n_from; k++)
            run->leads[i] |= run->leads[s->node->from[k]];
        if (s->node->add >= 0)
            run->leads[i] |= run->leads[s->node->add];
    }
}

static void params_backward(aei_run *run, const aei_weights *weights, const aei_step *s,
                            float *native)
{
    bool statistics = false;

    for (uint32_t k = 0; k < 4; k++)
        statistics |= s->param[k] >= 0 && !run->plan->params[s->param[k]].trainable;
    if (run->live[s->index] || statistics)
        s->op->backward_params(run, weights, s, native);
    else
        memset(native, 0, s->native_floats * sizeof(*native));
}

ae_status aei_run_backward(aei_run *run, const aei_weights *weights, const float *const *d_outputs,
                           float *native, float *const *d_inputs, ae_error *err)
{
    const aei_plan *p = run->plan;

    aei_single_threaded();
    find_leading(run);
    seed_gradients(run, d_outputs);
    for (uint32_t i = p->n_steps; i-- > 0;) {
        const aei_step *s = &p->steps[i];

        if (!s->needs_grad || !run->leads[i])
            continue;
        if (run->live[i])
            aei_act_backward(run, s);
        if (s->op->backward_params && native && has_trained(run, s))
            params_backward(run, weights, s, native + s->native);
        for (uint32_t k = 0; k < s->node->n_from; k++)
            send(run, weights, s, k, s->node->from[k],
                 s->op->passes &&
                     aei_tensor_bytes(&p->steps[s->node->from[k]].t) == aei_tensor_bytes(&s->t));
        if (s->node->add >= 0)
            send(run, weights, s, s->node->n_from, (uint32_t)s->node->add, true);
    }
    for (uint32_t i = 0; i < p->n_inputs; i++)
        if (d_inputs && d_inputs[i]) {
            const aei_step *s = &p->steps[p->inputs[i]];

            if (s->needs_grad)
                export(&s->t, aei_grad(run, s), d_inputs[i]);
            else
                memset(d_inputs[i], 0, aei_pixels(&s->t) * s->t.shape.c * sizeof(float));
        }
    return finish(run, err);
}

void aei_weights_collect_part(aei_weights *w, float *native, float *flat, uint32_t part)
{
    const aei_plan *p = w->plan;
    uint32_t owner = p->parts[part];

    aei_single_threaded();
    for (uint32_t i = owner; i < p->n_steps; i = next_in_part(p, i))
        /* a step that shares a weight may have a bias of its own */
        for (uint32_t k = 0; k < 4; k++) {
            const ae_param *param = own_param(p, i, k);
            bool (*overwrites)(const aei_step *) = p->steps[i].op->overwrites;

            if (param && !(k == 0 && overwrites && overwrites(&p->steps[i])))
                memset(flat + param->offset, 0, param->count * sizeof(float));
        }
    for (uint32_t i = owner; i < p->n_steps; i = next_in_part(p, i)) {
        const aei_step *s = &p->steps[i];

        if (!s->needs_grad || !s->op->backward_params)
            continue;
        if (s->op->collect) {
            s->op->collect(w, s, native + s->native, flat);
            continue;
        }
        const float *from = native + s->native;

        for (uint32_t k = 0; k < 4 && s->param[k] >= 0; k++) {
            const ae_param *param = &p->params[s->param[k]];

            for (size_t q = 0; q < param->count && (param->trainable || i == owner); q++)
                /* statistics are not summed over the nodes that share them */
                flat[param->offset + q] += from[q];
            from += param->count;
        }
    }
}

void aei_weights_collect(aei_weights *w, float *native, float *flat)
{
    for (uint32_t part = 0; part < w->plan->n_parts; part++)
        aei_weights_collect_part(w, native, flat, part);
}

/* ---- bench ---- */

/* Processor time, so that other programs do not count. */
static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Adds the least of its times, and its operations; nothing where there is no primitive of this
 * kind. */
static void time_layer(aei_run *run, const aei_weights *w, const aei_step *s, int kind,
                       float *native, int repeats, double *seconds, double *operations)
{
    double best = 1e30, done = 0;

    for (int i = -1; i < repeats; i++) { /* the first touches its memory */
        double t = now();

        done = s->op->bench(run, w, s, kind, native);
        if (!(done > 0))
            return;
        t = now() - t;
        best = i >= 0 && t < best ? t : best;
    }
    *seconds += best;
    *operations += done;
}

ae_status aei_plan_bench(const aei_plan *plan, int repeats, double *seconds, double *operations,
                         ae_error *err)
{
    aei_run *run = NULL;
    aei_weights *w = NULL;
    float *values = ae_alloc(plan->n_floats, sizeof(float));
    float *native = ae_alloc(plan->native_floats, sizeof(float));
    ae_status st = AE_OK;

    aei_single_threaded();
    *seconds = *operations = 0;
    if (!values || !native)
        st = ae_fail(err, AE_ERR_NOMEM, "benchmark of %zu parameters", plan->n_floats);
    if (st == AE_OK && (st = ae_graph_init(plan->graph, 1, values, err)) == AE_OK &&
        (st = aei_weights_create(plan, &w, err)) == AE_OK &&
        (st = aei_run_create(plan, &run, err)) == AE_OK) {
        aei_weights_set(w, values);
        for (uint32_t i = 0; i < plan->n_steps; i++) {
            const aei_step *s = &plan->steps[i];

            for (int kind = 0; kind < 3 && s->op->bench; kind++)
                time_layer(run, w, s, kind, native + s->native, repeats, seconds, operations);
        }
        st = finish(run, err);
    }
    aei_run_free(run);
    aei_weights_free(w);
    ae_free(native);
    ae_free(values);
    return st;
}
