/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine.h"

#include <math.h>
#include <setjmp.h>

#include <cmocka.h>

enum { GUARD = 16 };

const char *running = "";

float *machine_buffer(size_t n)
{
    float *b = ae_alloc(n + GUARD, sizeof(float));

    assert_non_null(b);
    for (size_t i = 0; i < n + GUARD; i++)
        b[i] = NAN;
    for (size_t i = n; i < n + GUARD; i++)
        b[i] = 12345;
    return b;
}

void machine_buffer_free(float *b, size_t n)
{
    if (!b)
        return;
    for (size_t i = n; i < n + GUARD; i++)
        assert_true(b[i] == 12345);
    ae_free(b);
}

float *machine_floats(const double *from, size_t n)
{
    float *to = machine_buffer(n);

    for (size_t i = 0; i < n; i++)
        to[i] = (float)from[i];
    return to;
}

machine machine_make(const ae_graph *graph, const aei_plan_config *config, const double *flat)
{
    machine m = {0};
    ae_error err = {0};

    if (aei_plan_create(graph, config, &m.plan, &err) != AE_OK ||
        aei_weights_create(m.plan, &m.weights, &err) != AE_OK ||
        aei_run_create(m.plan, &m.run, &err) != AE_OK)
        fail_msg("%s: %s", running, err.message);
    m.n_inputs = aei_plan_n_inputs(m.plan);
    m.n_outputs = aei_plan_n_outputs(m.plan);
    assert_true(m.n_inputs <= AE_MAX_FROM && m.n_outputs <= MACHINE_OUTPUTS);
    assert_int_equal(m.n_outputs, graph->n_outputs + config->n_taps);
    m.n_floats = aei_plan_n_floats(m.plan);
    for (uint32_t i = 0; i < m.n_inputs; i++) {
        m.in_count[i] = aei_ref_count(aei_plan_input_shape(m.plan, i));
        m.inputs[i] = machine_buffer(m.in_count[i]);
        m.d_inputs[i] = machine_buffer(m.in_count[i]);
    }
    for (uint32_t i = 0; i < m.n_outputs; i++) {
        m.out_count[i] = aei_ref_count(aei_plan_output_shape(m.plan, i));
        m.outputs[i] = machine_buffer(m.out_count[i]);
    }
    m.flat = machine_floats(flat, m.n_floats);
    m.gradient = machine_buffer(m.n_floats);
    m.n_native = aei_plan_native_floats(m.plan);
    m.native = machine_buffer(m.n_native);
    aei_weights_set(m.weights, m.flat);
    return m;
}

void machine_free(machine *m)
{
    aei_run_free(m->run);
    aei_weights_free(m->weights);
    aei_plan_free(m->plan);
    for (uint32_t i = 0; i < m->n_inputs; i++) {
        machine_buffer_free(m->inputs[i], m->in_count[i]);
        machine_buffer_free(m->d_inputs[i], m->in_count[i]);
    }
    for (uint32_t i = 0; i < m->n_outputs; i++)
        machine_buffer_free(m->outputs[i], m->out_count[i]);
    machine_buffer_free(m->flat, m->n_floats);
    machine_buffer_free(m->gradient, m->n_floats);
    machine_buffer_free(m->native, m->n_native);
}

void machine_forward(machine *m, uint64_t seed)
{
    ae_error err = {0};

    if (aei_run_forward(m->run, m->weights, (const float *const *)m->inputs, m->outputs, seed,
                        &err) != AE_OK)
        fail_msg("%s: %s", running, err.message);
}

void machine_backward(machine *m, const float *const *d_outputs, bool d_inputs)
{
    ae_error err = {0};

    if (aei_run_backward(m->run, m->weights, d_outputs, m->native, d_inputs ? m->d_inputs : NULL,
                         &err) != AE_OK)
        fail_msg("%s: %s", running, err.message);
    aei_weights_collect(m->weights, m->native, m->gradient);
}

double machine_error(const float *found, const double *expected, size_t n, bool mean_square,
                     double floor)
{
    double largest = 0, scale = 0, square = 0, scale_square = 0;

    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)found[i] - expected[i]);

        if (!isfinite(e))
            return INFINITY;
        largest = fmax(largest, e);
        scale = fmax(scale, fabs(expected[i]));
        square += e * e / (double)n;
        scale_square += expected[i] * expected[i] / (double)n;
    }
    return mean_square ? sqrt(square) / fmax(sqrt(scale_square), floor)
                       : largest / fmax(scale, floor);
}
