/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The reference's backward against central differences of its forward, in double precision. */
#include "netspec.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

/* The scalar whose gradient backward computes: sum over outputs of <d_values, values>. */
static double loss(test_net *net, const double *flat, const double *const *inputs)
{
    double sum = 0;

    aei_ref_forward(net->ref, flat, inputs, true, net->seed);
    for (uint32_t i = 0; i < net->graph.n_nodes; i++)
        for (size_t k = 0; net->d_values[i] && k < aei_ref_count(net->ref->nodes[i].out); k++)
            sum += net->d_values[i][k] * net->ref->nodes[i].value[k];
    return sum;
}

/* All that can be varied, as one list of pieces: inputs and trainable parameters. */
typedef struct piece {
    char name[AE_NAME_MAX + 16];
    double *value;
    const double *gradient;
    size_t count;
} piece;

static uint32_t pieces_of(test_net *net, piece *pieces, uint32_t max)
{
    uint32_t n = 0;

    for (uint32_t i = 0, k = 0; i < net->graph.n_nodes; i++)
        if (net->graph.nodes[i].op == AE_OP_INPUT && n < max) {
            pieces[n] = (piece){"", net->inputs[k++], net->ref->nodes[i].dy,
                                aei_ref_count(net->ref->nodes[i].out)};
            strcpy(pieces[n++].name, net->graph.nodes[i].name);
        }
    for (uint32_t i = 0; i < net->n_params && n < max; i++)
        if (net->params[i].trainable) {
            const ae_param *p = &net->params[i];

            pieces[n] = (piece){"", net->flat + p->offset, net->gradient + p->offset, p->count};
            strcpy(pieces[n++].name, p->name);
        }
    return n;
}

/* Moves `count` values along direction * step, takes the difference quotient, moves back. */
static double quotient(test_net *net, double *value, const double *direction, size_t count,
                       double step, double *scratch)
{
    double up, down;

    memcpy(scratch, value, count * sizeof(double));
    for (size_t k = 0; k < count; k++)
        value[k] = scratch[k] + direction[k] * step;
    up = loss(net, net->flat, (const double *const *)net->inputs);
    for (size_t k = 0; k < count; k++)
        value[k] = scratch[k] - direction[k] * step;
    down = loss(net, net->flat, (const double *const *)net->inputs);
    memcpy(value, scratch, count * sizeof(double));
    return (up - down) / (2 * step);
}

/* For each tensor: two random directions of unit length over all of it and four single elements.
 * The tolerance is 1e-5 of the gradient's root mean square (which the derivative along any unit
 * direction is comparable with), above the quotient's own rounding. */
static uint32_t check_gradients(const char *name, test_net *net)
{
    piece pieces[64];
    uint32_t n_pieces = pieces_of(net, pieces, 64), failed = 0;
    aei_rng rng = aei_rng_make(net->seed, 0, 2);

    assert_in_range(n_pieces, 1, 63);
    for (uint32_t i = 0; i < n_pieces; i++) {
        piece *p = &pieces[i];
        double *direction = ae_alloc(p->count, sizeof(double)),
               *scratch = ae_alloc(p->count, sizeof(double));
        double mean_square = 0;

        assert_non_null(direction);
        assert_non_null(scratch);
        for (size_t k = 0; k < p->count; k++)
            mean_square += p->gradient[k] * p->gradient[k] / (double)p->count;
        for (int try = 0; try < 6; try++) {
            double expected = 0, found;

            memset(direction, 0, p->count * sizeof(double));
            if (try < 2)
                for (size_t k = 0; k < p->count; k++)
                    direction[k] = (aei_rng_below(&rng, 2) ? 1 : -1) / sqrt((double)p->count);
            else
                direction[aei_rng_below(&rng, (uint32_t)p->count)] = 1;
            for (size_t k = 0; k < p->count; k++)
                expected += direction[k] * p->gradient[k];
            found = quotient(net, p->value, direction, p->count, 1e-6, scratch);
            if (!(fabs(found - expected) <= 1e-5 * sqrt(mean_square) + 1e-6)) {
                print_error("%s: %s try %d: backward %.10g, differences %.10g\n", name, p->name,
                            try, expected, found);
                failed++;
            }
        }
        ae_free(direction);
        ae_free(scratch);
    }
    return failed;
}

static void test_gradients(void **state)
{
    uint32_t failed = 0;

    (void)state;
    for (const net_case *c = net_all_cases(); c->name; c++)
        /* whose gradients are not those of their values: below */
        if (!strstr(c->spec, "round") && !strstr(c->spec, "quantise") &&
            !strstr(c->spec, "reverse")) {
            test_net net = net_make(c->spec, 2, c->h, c->w, 100, 0);

            failed += check_gradients(c->name, &net);
            net_free(&net);
        }
    assert_int_equal(failed, 0);
}

static void test_reverse(void **state)
{
    test_net net = net_make("input c=2; reverse v=0.5", 1, 2, 2, 1, 0);

    (void)state;
    for (int k = 0; k < 8; k++) {
        assert_true(net.ref->nodes[1].value[k] == net.inputs[0][k]);
        assert_true(net.ref->nodes[0].d_value[k] == -0.5 * net.d_values[1][k]);
    }
    net_free(&net);
}

static void test_round(void **state)
{
    test_net net = net_make("input c=2; round", 1, 2, 2, 1, 0);
    const double x[] = {-1.5, -0.5, -0.4, 0.5, 1.5, 2.5, 2.51, 7}, y[] = {-2, 0, 0, 0, 2, 2, 3, 7};
    const double *inputs[] = {x};

    (void)state;
    aei_ref_forward(net.ref, net.flat, inputs, true, 0);
    aei_ref_backward(net.ref, (const double *const *)net.d_values, net.gradient);
    for (int k = 0; k < 8; k++) {
        assert_true(net.ref->nodes[1].value[k] == y[k]);
        assert_true(net.ref->nodes[0].d_value[k] == net.d_values[1][k]);
    }
    net_free(&net);
}

/* One pixel of (c, dy, dx) becomes c planes of 2 x 2. */
static void test_shuffle_order(void **state)
{
    test_net net = net_make("input c=8; shuffle; unshuffle", 1, 1, 1, 1, 0);
    const double x[] = {0, 1, 10, 11, 100, 101, 110, 111}, y[] = {0, 100, 1, 101, 10, 110, 11, 111};
    const double *inputs[] = {x};

    (void)state;
    aei_ref_forward(net.ref, net.flat, inputs, false, 0);
    assert_memory_equal(net.ref->nodes[1].value, y, sizeof(y));
    assert_memory_equal(net.ref->nodes[2].value, x, sizeof(x));
    net_free(&net);
}

static void test_bilinear(void **state)
{
    test_net net = net_make("input c=1; bilinear", 1, 1, 2, 1, 0);
    const double x[] = {0, 4}, y[] = {0, 1, 3, 4, 0, 1, 3, 4};
    const double *inputs[] = {x};

    (void)state;
    aei_ref_forward(net.ref, net.flat, inputs, false, 0);
    assert_memory_equal(net.ref->nodes[1].value, y, sizeof(y));
    net_free(&net);
}

/* Draws depend on seed and node, and only training has them. */
static void test_random_nodes(void **state)
{
    enum { COUNT = 2 * 16 * 16 * 17 };
    test_net net = net_make(
        "input c=17; input c=17; dropout from=0 v=0.25; gaussian from=0,1; outputs from=2,3", 2, 16,
        16, 9, 0);
    const double *x = net.inputs[0], *log_variance = net.inputs[1];
    const double *dropped = net.ref->nodes[2].value, *drawn = net.ref->nodes[3].value;
    double kept = 0, mean = 0, square = 0;
    aei_rng rng = aei_rng_make(9, 2, 0);

    (void)state;
    for (int k = 0; k < COUNT; k++) {
        bool keep = aei_rng_float(&rng) >= 0.25f;
        double z = (drawn[k] - x[k]) / exp(log_variance[k] / 2);

        assert_true(dropped[k] == (keep ? x[k] / 0.75 : 0));
        kept += keep;
        mean += z / COUNT;
        square += z * z / COUNT;
    }
    assert_true(fabs(kept / COUNT - 0.75) < 0.02);
    assert_true(fabs(mean) < 0.04);
    assert_true(fabs(square - 1) < 0.05);
    aei_ref_forward(net.ref, net.flat, (const double *const *)net.inputs, false, 9);
    assert_memory_equal(dropped, x, COUNT * sizeof(double));
    assert_memory_equal(drawn, x, COUNT * sizeof(double));
    net_free(&net);
}

/* Two pictures of one pixel: 1 and 4. */
static void test_batch_statistics(void **state)
{
    test_net net = net_make("input c=1; batchnorm", 2, 1, 1, 1, 0);
    /* weight, bias, running mean and variance */
    const double x[] = {1, 4}, flat[] = {2, 0.5, 3, 16};
    const double *inputs[] = {x};
    double *y = net.ref->nodes[1].value;

    (void)state;
    assert_int_equal(net.n_floats, 4);
    aei_ref_forward(net.ref, flat, inputs, true, 0);
    assert_true(fabs(y[0] - -1.5) < 1e-4 && fabs(y[1] - 2.5) < 1e-4);
    aei_ref_backward(net.ref, (const double *const *)net.d_values, net.gradient);
    assert_true(net.gradient[2] == 2.5 && net.gradient[3] == 2.25);
    aei_ref_forward(net.ref, flat, inputs, false, 0);
    assert_true(fabs(y[0] - -0.5) < 1e-4 && fabs(y[1] - 1) < 1e-4);
    net_free(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),        cmocka_unit_test(test_round),
        cmocka_unit_test(test_shuffle_order),    cmocka_unit_test(test_reverse),
        cmocka_unit_test(test_bilinear),         cmocka_unit_test(test_random_nodes),
        cmocka_unit_test(test_batch_statistics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
