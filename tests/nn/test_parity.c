/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reference and executor against values of an independent implementation: parity/parity.bin,
 * written by parity/generate.py. */
#include "machine.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_TENSORS = 128, NAME = 64 };

/* Largest error over the largest magnitude of a tensor. */
static const double reference_tolerance = 1e-6, exec_tolerance = 1e-5;

typedef struct tensor {
    char name[NAME];
    uint32_t count;
    const uint8_t *data; /* little-endian f32 */
} tensor;

typedef struct reader {
    const uint8_t *at, *end;
} reader;

static const uint8_t *take(reader *r, size_t n)
{
    const uint8_t *p = r->at;

    assert_true(n <= (size_t)(r->end - r->at));
    r->at += n;
    return p;
}

static uint32_t take_u32(reader *r)
{
    const uint8_t *p = take(r, 4);

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void take_text(reader *r, char *to, size_t room)
{
    uint32_t n = take_u32(r);

    assert_true(n < room);
    memcpy(to, take(r, n), n);
    to[n] = 0;
}

/* Writes a tensor as doubles. */
static void load(const tensor *tensors, uint32_t n, const char *name, double *to, size_t count)
{
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(tensors[i].name, name)) {
            reader r = {tensors[i].data, tensors[i].data + (size_t)4 * tensors[i].count};

            assert_int_equal(tensors[i].count, count);
            for (size_t k = 0; k < count; k++) {
                union {
                    uint32_t u;
                    float f;
                } v = {take_u32(&r)};

                to[k] = (double)v.f;
            }
            return;
        }
    fail_msg("%s: no tensor %s", running, name);
}

static void load_indexed(const tensor *tensors, uint32_t n, const char *prefix, uint32_t i,
                         double *to, size_t count)
{
    char name[NAME];

    snprintf(name, sizeof(name), "%s%u", prefix, i);
    load(tensors, n, name, to, count);
}

static double *doubles(size_t n)
{
    double *to = ae_alloc(n, sizeof(double));

    assert_non_null(to);
    return to;
}

static uint32_t n_failed;

/* What the two found against the file. floor: the least magnitude that errors are compared with. */
static void compare(const char *what, const double *reference, const float *exec,
                    const double *expected, size_t n, double floor)
{
    double largest = 0, error;

    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(expected[i]));
    if (reference)
        for (size_t i = 0; i < n; i++)
            if (!(fabs(reference[i] - expected[i]) <= reference_tolerance * fmax(largest, floor))) {
                print_error("%s: %s: element %zu of the reference is %.9g, not %.9g\n", running,
                            what, i, reference[i], expected[i]);
                n_failed++;
                break;
            }
    if (exec && !((error = machine_error(exec, expected, n, false, floor)) <= exec_tolerance)) {
        print_error("%s: %s: error of the executor %.3g\n", running, what, error);
        n_failed++;
    }
}

static void check_case(const char *spec, uint32_t n, uint32_t h, uint32_t w, const tensor *tensors,
                       uint32_t n_tensors)
{
    test_net net = net_make(spec, n, h, w, 1, 0); /* its values are replaced */
    aei_plan_config config = {.n = n,
                              .h = h,
                              .w = w,
                              .precision = AE_PRECISION_F32,
                              .train = true,
                              .input_gradients = true};
    double *expected, floor = 0;
    float *d_outputs[MACHINE_OUTPUTS] = {0};
    machine m;
    size_t room = net.n_floats + 1;

    for (uint32_t i = 0; i < net.graph.n_nodes; i++)
        room = aei_ref_count(net.ref->nodes[i].out) > room ? aei_ref_count(net.ref->nodes[i].out)
                                                           : room;
    expected = doubles(room);
    for (uint32_t i = 0; i < net.n_params; i++)
        load(tensors, n_tensors, net.params[i].name, net.flat + net.params[i].offset,
             net.params[i].count);
    m = machine_make(&net.graph, &config, net.flat);
    for (uint32_t i = 0; i < m.n_inputs; i++) {
        load_indexed(tensors, n_tensors, "in", i, net.inputs[i], m.in_count[i]);
        for (size_t k = 0; k < m.in_count[i]; k++)
            m.inputs[i][k] = (float)net.inputs[i][k];
    }
    for (uint32_t i = 0; i < m.n_outputs; i++) {
        load_indexed(tensors, n_tensors, "dout", i, net.d_values[net.graph.outputs[i]],
                     m.out_count[i]);
        d_outputs[i] = machine_floats(net.d_values[net.graph.outputs[i]], m.out_count[i]);
    }

    /* training, forward and backward */
    aei_ref_forward(net.ref, net.flat, (const double *const *)net.inputs, true, 0);
    aei_ref_backward(net.ref, (const double *const *)net.d_values, net.gradient);
    machine_forward(&m, 0);
    machine_backward(&m, (const float *const *)d_outputs, true);
    for (uint32_t i = 0; i < m.n_outputs; i++) {
        load_indexed(tensors, n_tensors, "out", i, expected, m.out_count[i]);
        compare("output", net.ref->nodes[net.graph.outputs[i]].value, m.outputs[i], expected,
                m.out_count[i], 0);
        machine_buffer_free(d_outputs[i], m.out_count[i]);
    }
    for (uint32_t i = 0; i < net.n_params; i++) {
        const ae_param *p = &net.params[i];
        char name[NAME + 2];

        snprintf(name, sizeof(name), "d %s", p->name);
        load(tensors, n_tensors, name, expected, p->count);
        for (size_t k = 0; k < p->count; k++)
            floor = fmax(floor, 0.05 * fabs(expected[k]));
        compare(name, net.gradient + p->offset, m.gradient + p->offset, expected, p->count, floor);
    }
    for (uint32_t i = 0, k = 0; i < net.graph.n_nodes; i++)
        if (net.graph.nodes[i].op == AE_OP_INPUT) {
            load_indexed(tensors, n_tensors, "din", k, expected, m.in_count[k]);
            compare("gradient of an input", net.ref->nodes[i].dy, m.d_inputs[k], expected,
                    m.in_count[k], 1e-6);
            k++;
        }
    machine_free(&m);

    /* inference */
    config.train = config.input_gradients = false;
    m = machine_make(&net.graph, &config, net.flat);
    for (uint32_t i = 0; i < m.n_inputs; i++)
        for (size_t k = 0; k < m.in_count[i]; k++)
            m.inputs[i][k] = (float)net.inputs[i][k];
    aei_ref_forward(net.ref, net.flat, (const double *const *)net.inputs, false, 0);
    machine_forward(&m, 0);
    for (uint32_t i = 0; i < m.n_outputs; i++) {
        load_indexed(tensors, n_tensors, "eval", i, expected, m.out_count[i]);
        compare("output at inference", net.ref->nodes[net.graph.outputs[i]].value, m.outputs[i],
                expected, m.out_count[i], 0);
    }
    machine_free(&m);
    ae_free(expected);
    net_free(&net);
}

static const char *path;

static void test_parity(void **state)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = ae_alloc(1 << 20, 1);
    tensor *tensors = ae_alloc(MAX_TENSORS, sizeof(*tensors));
    reader r = {data, data};
    uint32_t n_cases;

    (void)state;
    assert_non_null(file);
    assert_non_null(data);
    assert_non_null(tensors);
    r.end += fread(data, 1, 1 << 20, file);
    fclose(file);
    n_cases = take_u32(&r);
    assert_in_range(n_cases, 12, 1000);
    for (uint32_t c = 0; c < n_cases; c++) {
        char spec[512];
        uint32_t n, h, w, n_tensors;

        take_text(&r, spec, sizeof(spec));
        n = take_u32(&r);
        h = take_u32(&r);
        w = take_u32(&r);
        n_tensors = take_u32(&r);
        assert_in_range(n_tensors, 1, MAX_TENSORS);
        for (uint32_t i = 0; i < n_tensors; i++) {
            take_text(&r, tensors[i].name, NAME);
            tensors[i].count = take_u32(&r);
            tensors[i].data = take(&r, (size_t)4 * tensors[i].count);
        }
        running = spec;
        check_case(spec, n, h, w, tensors, n_tensors);
    }
    assert_true(r.at == r.end);
    assert_int_equal(n_failed, 0);
    ae_free(tensors);
    ae_free(data);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parity)};

    path = argc > 1 ? argv[1] : "parity.bin";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
