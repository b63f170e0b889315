/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The executor against the reference, forward and backward, on all cases in f32 and, where the CPU
 * has it, bf16; then what it promises beside values: repeatable bytes, the same for every batch
 * size, tile and thread; failed allocations survived. */
#include "machine.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "nn/acts.h"

/* Tolerances, forward and backward. f32: largest error over the largest magnitude of the tensor.
 * bf16 (8 bits of mantissa, 2^-9 a rounding): root mean square of the error over that of the
 * tensor. Its values near a kink choose the other side, one in some hundred, and take the other
 * derivative. A network has the largest of its operators and activations. */
typedef struct allowance {
    double forward, backward;
} allowance;

static allowance allowed_for(const ae_graph *graph, bool bf16)
{
    allowance t = bf16 ? (allowance){0.015, 0.04} : (allowance){2e-6, 5e-6};

    for (uint32_t i = 0; i < graph->n_nodes && bf16; i++) {
        const ae_node *n = &graph->nodes[i];

        if (n->op == AE_OP_QUANTISE || n->op == AE_OP_BITS)
            t = (allowance){0.25, 0.25};
        else if (n->op == AE_OP_ROUND)
            t = (allowance){0.15, 0.15};
        else if (isfinite(aei_act_info_of(n->act)->kinks[0]) || n->op == AE_OP_MAXPOOL)
            t.backward = fmax(t.backward, 0.2);
    }
    return t;
}

/* ---- values ---- */

typedef struct tally {
    uint32_t failed;
    double worst[2]; /* error over tolerance: forward, backward */
    char where[2][256];
} tally;

static void judge(tally *t, int back, const char *what, double error, double tolerance)
{
    if (!(error <= tolerance)) {
        print_error("%s: %s: error %.3g, allowed %.3g\n", running, what, error, tolerance);
        t->failed++;
    }
    if (error / tolerance > t->worst[back]) {
        t->worst[back] = error / tolerance;
        snprintf(t->where[back], sizeof(t->where[back]), "%s: %s: %.2g", running, what, error);
    }
}

static void judge_outputs(tally *t, const char *what, const machine *m, const aei_ref *ref,
                          const uint32_t *nodes, bool bf16, double tolerance)
{
    for (uint32_t i = 0; i < m->n_outputs; i++) {
        char text[64];

        snprintf(text, sizeof(text), "%s, value of n%u", what, nodes[i]);
        judge(t, 0, text,
              machine_error(m->outputs[i], ref->nodes[nodes[i]].value, m->out_count[i], bf16, 1e-3),
              tolerance);
    }
}

static void judge_gradients(tally *t, const char *what, const machine *m, const test_net *net,
                            bool d_inputs, bool bf16, double tolerance)
{
    char text[64 + AE_NAME_MAX];
    /* gradients that cancel (a bias under a normalisation) are measured by the others */
    double floor = 0;

    for (size_t k = 0; k < net->n_floats; k++)
        floor = fmax(floor, 0.05 * fabs(net->gradient[k]));
    for (uint32_t i = 0; i < net->n_params; i++) {
        const ae_param *p = &net->params[i];

        snprintf(text, sizeof(text), "%s, gradient of %s", what, p->name);
        judge(t, 1, text,
              machine_error(m->gradient + p->offset, net->gradient + p->offset, p->count, bf16,
                            floor),
              tolerance);
    }
    for (uint32_t i = 0, k = 0; d_inputs && i < net->graph.n_nodes; i++)
        if (net->graph.nodes[i].op == AE_OP_INPUT) {
            snprintf(text, sizeof(text), "%s, gradient of input %u", what, k);
            judge(t, 1, text,
                  machine_error(m->d_inputs[k], net->ref->nodes[i].dy, m->in_count[k], bf16, 1e-3),
                  tolerance);
            k++;
        }
}

static void set_inputs(machine *m, const test_net *net)
{
    for (uint32_t i = 0; i < m->n_inputs; i++)
        for (size_t k = 0; k < m->in_count[i]; k++)
            m->inputs[i][k] = (float)net->inputs[i][k];
}

/* Up to four nodes between inputs and outputs, so that fused and skipped values are asked for. */
static uint32_t choose_taps(const ae_graph *graph, uint32_t *taps)
{
    uint32_t n = 0;

    for (uint32_t i = graph->n_nodes; i-- > 0 && n < 4;) {
        bool is_output = false;

        for (uint32_t k = 0; k < graph->n_outputs; k++)
            is_output |= graph->outputs[k] == i;
        if (!is_output && graph->nodes[i].op != AE_OP_INPUT)
            taps[n++] = i;
    }
    return n;
}

static void check_training(tally *t, const net_case *c, uint32_t n, ae_precision precision,
                           bool tapped)
{
    bool bf16 = precision == AE_PRECISION_BF16;
    test_net net = net_make(c->spec, n, c->h, c->w, 7 * n, bf16 ? NET_ROUND_BF16 : 0);
    allowance tol = allowed_for(&net.graph, bf16);
    uint32_t nodes[MACHINE_OUTPUTS], *taps = nodes + net.graph.n_outputs;
    float *d_outputs[MACHINE_OUTPUTS] = {0};
    aei_plan_config config = {.n = n,
                              .h = c->h,
                              .w = c->w,
                              .precision = precision,
                              .train = true,
                              .input_gradients = !tapped,
                              .taps = taps};
    const char *what = tapped ? "training with taps" : "training";
    machine m;

    memcpy(nodes, net.graph.outputs, net.graph.n_outputs * sizeof(*nodes));
    if (tapped) {
        config.n_taps = choose_taps(&net.graph, taps);
        for (uint32_t i = 0; i < config.n_taps; i++) {
            size_t count = aei_ref_count(net.ref->nodes[taps[i]].out);
            aei_rng rng = aei_rng_make(n, i, 3);

            net.d_values[taps[i]] = ae_alloc(count, sizeof(double));
            assert_non_null(net.d_values[taps[i]]);
            for (size_t k = 0; k < count; k++)
                net.d_values[taps[i]][k] = (double)aei_rng_range(&rng, -1, 1);
        }
        aei_ref_backward(net.ref, (const double *const *)net.d_values, net.gradient);
    }
    m = machine_make(&net.graph, &config, net.flat);
    assert_int_equal(m.n_floats, net.n_floats);
    set_inputs(&m, &net);
    for (uint32_t i = 0; i < m.n_outputs; i++) {
        bool again = false; /* a node listed twice: the second gradient stays NULL */

        for (uint32_t k = 0; k < i; k++)
            again |= nodes[k] == nodes[i];
        if (!again)
            d_outputs[i] = machine_floats(net.d_values[nodes[i]], m.out_count[i]);
    }
    machine_forward(&m, net.seed);
    judge_outputs(t, what, &m, net.ref, nodes, bf16, tol.forward);
    machine_backward(&m, (const float *const *)d_outputs, !tapped);
    judge_gradients(t, what, &m, &net, !tapped, bf16, tol.backward);
    for (uint32_t i = 0; i < m.n_outputs; i++)
        machine_buffer_free(d_outputs[i], m.out_count[i]);
    machine_free(&m);
    net_free(&net);
}

static void check_inference(tally *t, const net_case *c, uint32_t n, ae_precision precision,
                            bool tapped)
{
    bool bf16 = precision == AE_PRECISION_BF16;
    test_net net = net_make(c->spec, n, c->h, c->w, 7 * n, bf16 ? NET_ROUND_BF16 : 0);
    allowance tol = allowed_for(&net.graph, bf16);
    uint32_t nodes[MACHINE_OUTPUTS], *taps = nodes + net.graph.n_outputs;
    aei_plan_config config = {.n = n, .h = c->h, .w = c->w, .precision = precision, .taps = taps};
    machine m;

    memcpy(nodes, net.graph.outputs, net.graph.n_outputs * sizeof(*nodes));
    config.n_taps = tapped ? choose_taps(&net.graph, taps) : 0;
    aei_ref_forward(net.ref, net.flat, (const double *const *)net.inputs, false, 0);
    m = machine_make(&net.graph, &config, net.flat);
    set_inputs(&m, &net);
    machine_forward(&m, net.seed);
    judge_outputs(t, tapped ? "inference with taps" : "inference", &m, net.ref, nodes, bf16,
                  tol.forward);
    machine_free(&m);
    net_free(&net);
}

static void check_all(ae_precision precision)
{
    tally t = {0};

    for (const net_case *c = net_all_cases(); running = c->name, c->name; c++)
        for (uint32_t n = 1; n <= 3; n += 2)
            for (int tapped = 0; tapped < 2; tapped++) {
                check_training(&t, c, n, precision, tapped);
                check_inference(&t, c, n, precision, tapped);
            }
    print_message("nearest to its tolerance (forward): %s, %.0f %%\n", t.where[0],
                  100 * t.worst[0]);
    print_message("nearest to its tolerance (backward): %s, %.0f %%\n", t.where[1],
                  100 * t.worst[1]);
    assert_int_equal(t.failed, 0);
}

static void test_f32(void **state)
{
    (void)state;
    check_all(AE_PRECISION_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    if (ae_precision_resolve(AE_PRECISION_BF16) != AE_PRECISION_BF16)
        skip();
    check_all(AE_PRECISION_BF16);
}

/* ---- bytes ---- */

static uint32_t n_different;

static void expect_same(const char *what, const float *a, const float *b, size_t n)
{
    if (memcmp(a, b, n * sizeof(float)) != 0) {
        print_error("%s: %s: not the same bytes\n", running, what);
        n_different++;
    }
}

/* Runs a check in every precision that the CPU has. */
static void for_precisions(void (*check)(const net_case *c, ae_precision precision))
{
    ae_precision last = ae_precision_resolve(AE_PRECISION_BF16);

    n_different = 0;
    for (ae_precision p = AE_PRECISION_F32; p <= last; p++)
        for (const net_case *c = net_all_cases(); running = c->name, c->name; c++)
            check(c, p);
    assert_int_equal(n_different, 0);
}

/* A used run with weights set twice gives what a fresh one gives: nothing is left over from before.
 */
static void check_repeats(const net_case *c, ae_precision precision)
{
    test_net net = net_make(c->spec, 2, c->h, c->w, 5, NET_ROUND_BF16);
    aei_plan_config config = {.n = 2,
                              .h = c->h,
                              .w = c->w,
                              .precision = precision,
                              .train = true,
                              .input_gradients = true};
    machine m[2];
    float *d_outputs[MACHINE_OUTPUTS] = {0};

    for (int i = 0; i < 2; i++) {
        m[i] = machine_make(&net.graph, &config, net.flat);
        for (uint32_t k = 0; k < m[i].n_outputs; k++)
            if (!d_outputs[k])
                d_outputs[k] = machine_floats(net.d_values[net.graph.outputs[k]],
                                              m[i].out_count[k]);
        if (i) { /* other inputs, weights and seed first */
            for (uint32_t k = 0; k < m[i].n_inputs; k++)
                for (size_t j = 0; j < m[i].in_count[k]; j++)
                    m[i].inputs[k][j] = (float)(j % 7) - 3;
            for (size_t j = 0; j < m[i].n_floats; j++)
                m[i].flat[j] = -m[i].flat[j];
            aei_weights_set(m[i].weights, m[i].flat);
            machine_forward(&m[i], 99);
            machine_backward(&m[i], (const float *const *)d_outputs, true);
            for (size_t j = 0; j < m[i].n_floats; j++)
                m[i].flat[j] = -m[i].flat[j];
            aei_weights_set(m[i].weights, m[i].flat);
        }
        set_inputs(&m[i], &net);
        machine_forward(&m[i], net.seed);
        machine_backward(&m[i], (const float *const *)d_outputs, true);
    }
    for (uint32_t k = 0; k < m[0].n_outputs; k++)
        expect_same("outputs of two runs", m[0].outputs[k], m[1].outputs[k], m[0].out_count[k]);
    expect_same("gradients of two runs", m[0].gradient, m[1].gradient, m[0].n_floats);
    for (uint32_t k = 0; k < m[0].n_inputs; k++)
        expect_same("input gradients of two runs", m[0].d_inputs[k], m[1].d_inputs[k],
                    m[0].in_count[k]);
    for (uint32_t k = 0; k < m[0].n_outputs; k++)
        machine_buffer_free(d_outputs[k], m[0].out_count[k]);
    machine_free(&m[0]);
    machine_free(&m[1]);
    net_free(&net);
}

static void test_repeats(void **state)
{
    (void)state;
    for_precisions(check_repeats);
}

/* Native gradients of two runs may be added up before they are collected: 3 times the first and the
 * second as it is. */
static void check_collecting(const net_case *c, ae_precision precision)
{
    test_net net = net_make(c->spec, 1, c->h, c->w, 5, NET_ROUND_BF16);
    aei_plan_config config = {.n = 1, .h = c->h, .w = c->w, .precision = precision, .train = true};
    machine m = machine_make(&net.graph, &config, net.flat);
    float *d_outputs[MACHINE_OUTPUTS] = {0}, *sum = ae_alloc(m.n_native, sizeof(float)),
          *found = machine_buffer(m.n_floats);
    double *expected = ae_alloc(m.n_floats, sizeof(double)), error;

    assert_non_null(sum);
    assert_non_null(expected);
    for (uint32_t k = 0; k < m.n_outputs; k++)
        d_outputs[k] = machine_floats(net.d_values[net.graph.outputs[k]], m.out_count[k]);
    set_inputs(&m, &net);
    for (int i = 0; i < 2; i++) {
        float factor = i ? 1 : 3;

        machine_forward(&m, (uint64_t)i);
        if (aei_run_backward(m.run, m.weights, (const float *const *)d_outputs, m.native, NULL,
                             NULL) != AE_OK)
            fail_msg("%s: backward", running);
        for (size_t k = 0; k < m.n_native; k++)
            sum[k] += factor * m.native[k];
        aei_weights_collect(m.weights, m.native, m.gradient); /* may use m.native up */
        for (size_t k = 0; k < m.n_floats; k++)
            expected[k] += (double)(factor * m.gradient[k]);
        for (uint32_t k = 0; k < m.n_inputs; k++)
            for (size_t j = 0; j < m.in_count[k]; j++)
                m.inputs[k][j] = 1 - m.inputs[k][j];
    }
    aei_weights_collect(m.weights, sum, found);
    error = machine_error(found, expected, m.n_floats, false, 1e-6);
    if (!(error <= 1e-5))
        fail_msg("%s: error of a collected sum %.3g", running, error);
    for (uint32_t k = 0; k < m.n_outputs; k++)
        machine_buffer_free(d_outputs[k], m.out_count[k]);
    machine_buffer_free(found, m.n_floats);
    ae_free(sum);
    ae_free(expected);
    machine_free(&m);
    net_free(&net);
}

static void test_collecting(void **state)
{
    (void)state;
    for_precisions(check_collecting);
}

/* exec.h: whether a network's result may not depend on batch size and place. */
static bool is_place_free(const ae_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const ae_node *n = &graph->nodes[i];
        uint32_t channels = n->n_from ? graph->nodes[n->from[0]].out : 0;
        bool whole = n->kernel[0] == n->stride[0] && n->kernel[1] == n->stride[1] && !n->pad[0] &&
                     !n->pad[1] && n->groups == 1;

        if (n->op == AE_OP_DENSE || (n->op == AE_OP_DECONV && !(whole && n->add < 0)) ||
            (n->op == AE_OP_CONV && n->groups > 1 &&
             !(n->groups == channels && n->groups == n->out)))
            return false;
    }
    return true;
}

/* Each picture of a batch gives the bytes that it gives alone. */
static void check_batches(const net_case *c, ae_precision precision)
{
    test_net net = net_make(c->spec, 3, c->h, c->w, 5, NET_ROUND_BF16);
    aei_plan_config config = {.n = 3, .h = c->h, .w = c->w, .precision = precision};
    machine all, one;

    if (is_place_free(&net.graph)) {
        all = machine_make(&net.graph, &config, net.flat);
        config.n = 1;
        one = machine_make(&net.graph, &config, net.flat);
        set_inputs(&all, &net);
        machine_forward(&all, 0);
        for (uint32_t n = 0; n < 3; n++) {
            for (uint32_t k = 0; k < all.n_inputs; k++)
                memcpy(one.inputs[k], all.inputs[k] + n * one.in_count[k],
                       one.in_count[k] * sizeof(float));
            machine_forward(&one, 0);
            for (uint32_t k = 0; k < all.n_outputs; k++)
                expect_same("one of a batch", all.outputs[k] + n * one.out_count[k], one.outputs[k],
                            one.out_count[k]);
        }
        machine_free(&all);
        machine_free(&one);
    }
    net_free(&net);
}

static void test_batches(void **state)
{
    (void)state;
    for_precisions(check_batches);
}

/* Whether a part of the input gives a part of the output: its size is free, and no row depends on
 * all. */
static bool has_tiles(const ae_graph *graph)
{
    uint32_t before[2], after[2];

    ae_graph_reach(graph, before, after);
    return !graph->nodes[0].height && !graph->nodes[0].width && before[0] < UINT32_MAX &&
           after[0] < UINT32_MAX;
}

typedef struct rectangle {
    uint32_t y, x, h, w;
} rectangle;

/* Copies a rectangle of one picture out. */
static void cut(const float *from, ae_shape shape, rectangle r, float *to)
{
    size_t row = (size_t)r.w * shape.c;

    for (uint32_t y = 0; y < r.h; y++)
        memcpy(to + y * row, from + ((size_t)(r.y + y) * shape.w + r.x) * shape.c,
               row * sizeof(float));
}

/* The core of a tile, with as much around it as the graph says it depends on, gives the bytes that
 * the whole picture has there. */
static void check_tile(const test_net *net, machine *whole, aei_plan_config config, rectangle core,
                       uint32_t field)
{
    rectangle tile = {core.y > field ? core.y - field : 0, core.x > field ? core.x - field : 0, 0,
                      0};
    uint32_t h = config.h, w = config.w;
    machine part;

    tile.h = (core.y + core.h + field < h ? core.y + core.h + field : h) - tile.y;
    tile.w = (core.x + core.w + field < w ? core.x + core.w + field : w) - tile.x;
    config.h = tile.h;
    config.w = tile.w;
    part = machine_make(&net->graph, &config, net->flat);
    for (uint32_t k = 0; k < part.n_inputs; k++)
        if (part.in_count[k] == whole->in_count[k]) /* of fixed size, broadcast */
            memcpy(part.inputs[k], whole->inputs[k], part.in_count[k] * sizeof(float));
        else
            cut(whole->inputs[k], aei_plan_input_shape(whole->plan, k), tile, part.inputs[k]);
    machine_forward(&part, 0);
    for (uint32_t k = 0; k < part.n_outputs; k++) {
        ae_shape shape = aei_plan_output_shape(whole->plan, k),
                 small = aei_plan_output_shape(part.plan, k);
        /* where the core lies in the output, and within the tile's output */
        rectangle r = {core.y * shape.h / h, core.x * shape.w / w, core.h * shape.h / h,
                       core.w * shape.w / w},
                  s = r;
        float *a, *b;

        if (small.h * h != shape.h * tile.h || small.w * w != shape.w * tile.w)
            continue; /* unpadded: the output's size is no fixed share of the input's */
        s.y -= tile.y * shape.h / h;
        s.x -= tile.x * shape.w / w;
        a = machine_buffer((size_t)r.h * r.w * shape.c);
        b = machine_buffer((size_t)r.h * r.w * shape.c);
        cut(whole->outputs[k], shape, r, a);
        cut(part.outputs[k], small, s, b);
        expect_same("a tile", a, b, (size_t)r.h * r.w * shape.c);
        machine_buffer_free(a, (size_t)r.h * r.w * shape.c);
        machine_buffer_free(b, (size_t)r.h * r.w * shape.c);
    }
    machine_free(&part);
}

static void check_tiles(const net_case *c, ae_precision precision)
{
    ae_graph graph = net_graph(c->spec);
    uint32_t stride, field;

    ae_graph_field(&graph, &stride, &field);
    if (stride && has_tiles(&graph) && is_place_free(&graph)) {
        uint32_t u = stride * ((15 + stride) / stride); /* 16, or what comes next */
        aei_plan_config config = {.n = 1, .h = 4 * u, .w = 5 * u, .precision = precision};
        const rectangle cores[] = {{u, 2 * u, u, u},
                                   {0, u, 2 * u, 2 * u},
                                   {3 * u, 4 * u, u, u},
                                   {u + stride, u, 2 * u, stride}};
        /* its parameters; the picture is larger */
        test_net net = net_make(c->spec, 1, c->h, c->w, 5, NET_ROUND_BF16);
        machine whole = machine_make(&net.graph, &config, net.flat);
        aei_rng rng = aei_rng_make(5, 0, 4);

        for (uint32_t k = 0; k < whole.n_inputs; k++)
            aei_rng_normals(&rng, whole.inputs[k], whole.in_count[k]);
        machine_forward(&whole, 0);
        for (size_t i = 0; i < sizeof(cores) / sizeof(*cores); i++)
            check_tile(&net, &whole, config, cores[i], field);
        machine_free(&whole);
        net_free(&net);
    }
    ae_graph_free(&graph);
}

static void test_tiles(void **state)
{
    (void)state;
    for_precisions(check_tiles);
}

/* Trimmed, a window gives the bytes that it gives in full, without its margin. */
static void check_trim(const net_case *c, ae_precision precision)
{
    ae_graph graph = net_graph(c->spec);
    uint32_t stride, field;

    ae_graph_field(&graph, &stride, &field);
    if (stride && has_tiles(&graph) && is_place_free(&graph)) {
        uint32_t u = stride * ((15 + stride) / stride), trim = field + stride;
        aei_plan_config config = {
            .n = 2, .h = 2 * trim + u, .w = 2 * trim + 2 * u, .precision = precision};
        test_net net = net_make(c->spec, 1, c->h, c->w, 5, NET_ROUND_BF16);
        machine whole = machine_make(&net.graph, &config, net.flat);
        aei_rng rng = aei_rng_make(5, 0, 4);
        bool steady = true;
        machine part;

        for (uint32_t k = 0; k < whole.n_outputs; k++) {
            ae_shape shape = aei_plan_output_shape(whole.plan, k);

            steady = steady && (uint64_t)shape.h * config.w == (uint64_t)shape.w * config.h &&
                     shape.h * u % config.h == 0;
        }
        if (steady) {
            config.trim = trim;
            part = machine_make(&net.graph, &config, net.flat);
            for (uint32_t k = 0; k < whole.n_inputs; k++) {
                aei_rng_normals(&rng, whole.inputs[k], whole.in_count[k]);
                memcpy(part.inputs[k], whole.inputs[k], whole.in_count[k] * sizeof(float));
            }
            machine_forward(&whole, 0);
            machine_forward(&part, 0);
            for (uint32_t k = 0; k < part.n_outputs; k++) {
                ae_shape shape = aei_plan_output_shape(whole.plan, k),
                         inner = aei_plan_output_shape(part.plan, k);
                rectangle r = {(shape.h - inner.h) / 2, (shape.w - inner.w) / 2, inner.h, inner.w};
                size_t count = (size_t)inner.h * inner.w * inner.c;
                float *a = machine_buffer(count);

                assert_int_equal(inner.h * config.h, shape.h * u);
                assert_int_equal(inner.w * config.w, shape.w * 2 * u);
                for (uint32_t i = 0; i < 2; i++) {
                    cut(whole.outputs[k] + i * (size_t)shape.h * shape.w * shape.c, shape, r, a);
                    expect_same("a trimmed window", a, part.outputs[k] + i * count, count);
                }
                machine_buffer_free(a, count);
            }
            machine_free(&part);
        }
        machine_free(&whole);
        net_free(&net);
    }
    ae_graph_free(&graph);
}

static void test_trim(void **state)
{
    (void)state;
    for_precisions(check_trim);
}

/* Copies `rows` rows of every picture between a tensor and one of more rows, from row `at` of that
 * on. */
static void copy_rows(float *some, ae_shape shape, float *all, uint32_t all_rows, uint32_t at,
                      bool out_of_all)
{
    size_t row = (size_t)shape.w * shape.c, block = shape.h * row;

    for (uint32_t n = 0; n < shape.n; n++) {
        float *a = some + n * block, *b = all + ((size_t)n * all_rows + at) * row;

        memcpy(out_of_all ? a : b, out_of_all ? b : a, block * sizeof(float));
    }
}

static const uint32_t live_blocks[] = {1, 1, 2, 1}; /* in turn, by two machines */
enum { LIVE_TOTAL = 5 };

/* One pass over `whole`'s inputs in blocks of u and 2 u rows; to: outputs as whole has them. */
static void run_live(const machine *whole, machine m[2], uint32_t u, float **to)
{
    uint32_t at = 0;

    memset(aei_run_state(m[0].run), 0, aei_plan_state(m[0].plan));
    for (size_t i = 0; i < sizeof(live_blocks) / sizeof(*live_blocks); i++) {
        machine *now = &m[live_blocks[i] - 1], *before = i ? &m[live_blocks[i - 1] - 1] : now;

        if (now != before)
            memcpy(aei_run_state(now->run), aei_run_state(before->run), aei_plan_state(now->plan));
        for (uint32_t k = 0; k < now->n_inputs; k++) {
            ae_shape all = aei_plan_input_shape(whole->plan, k),
                     some = aei_plan_input_shape(now->plan, k);

            copy_rows(now->inputs[k], some, whole->inputs[k], all.h, all.h == some.h ? 0 : at,
                      true);
        }
        machine_forward(now, 0);
        for (uint32_t k = 0; k < now->n_outputs; k++) {
            ae_shape all = aei_plan_output_shape(whole->plan, k),
                     some = aei_plan_output_shape(now->plan, k);

            copy_rows(now->outputs[k], some, to[k], all.h,
                      (uint32_t)((uint64_t)at * all.h / (LIVE_TOTAL * u)), false);
        }
        at += live_blocks[i] * u;
    }
    assert_int_equal(at, LIVE_TOTAL * u);
}

static uint32_t n_live;

/* A network that only looks back gives in blocks what it gives in one piece, and the same bytes
 * again. */
static void check_live(const net_case *c, ae_precision precision)
{
    ae_graph graph = net_graph(c->spec);
    uint32_t stride, field, u;
    aei_plan_config config = {.n = 2, .precision = precision, .live = true};
    aei_plan *plan = NULL;
    ae_error err = {0};
    ae_status st = AE_OK;

    ae_graph_field(&graph, &stride, &field);
    if (!stride) {
        ae_graph_free(&graph);
        return;
    }
    config.h = u = stride * ((2 + stride) / stride);
    config.w = stride * ((c->w + stride) / stride);
    if ((st = aei_plan_create(&graph, &config, &plan, &err)) == AE_OK) {
        test_net net = net_make(c->spec, 1, c->h, c->w, 5, NET_ROUND_BF16);
        float *once[MACHINE_OUTPUTS], *twice[MACHINE_OUTPUTS];
        machine m[2], whole;
        aei_rng rng = aei_rng_make(5, 0, 4);

        aei_plan_free(plan);
        n_live++;
        for (uint32_t i = 0; i < 2; i++, config.h += u)
            m[i] = machine_make(&net.graph, &config, net.flat);
        assert_true(aei_plan_continues(m[0].plan, m[1].plan));
        config.h = LIVE_TOTAL * u;
        config.live = false;
        whole = machine_make(&net.graph, &config, net.flat);
        assert_false(aei_plan_continues(whole.plan, m[1].plan));
        for (uint32_t k = 0; k < whole.n_inputs; k++)
            aei_rng_normals(&rng, whole.inputs[k], whole.in_count[k]);
        machine_forward(&whole, 0);
        for (uint32_t k = 0; k < whole.n_outputs; k++) {
            once[k] = machine_buffer(whole.out_count[k]);
            twice[k] = machine_buffer(whole.out_count[k]);
        }
        run_live(&whole, m, u, once);
        run_live(&whole, m, u, twice);
        for (uint32_t k = 0; k < whole.n_outputs; k++) {
            bool bf16 = precision == AE_PRECISION_BF16;
            double *expected = ae_alloc(whole.out_count[k], sizeof(*expected)), error;

            assert_non_null(expected);
            for (size_t i = 0; i < whole.out_count[k]; i++)
                expected[i] = (double)whole.outputs[k][i];
            error = machine_error(once[k], expected, whole.out_count[k], bf16, 1e-3);
            if (!(error <= (bf16 ? 0.01 : 5e-6)))
                fail_msg("%s: error of output %u in blocks %.3g", running, k, error);
            expect_same("blocks again", once[k], twice[k], whole.out_count[k]);
            machine_buffer_free(once[k], whole.out_count[k]);
            machine_buffer_free(twice[k], whole.out_count[k]);
            ae_free(expected);
        }
        for (uint32_t i = 0; i < 2; i++)
            machine_free(&m[i]);
        machine_free(&whole);
        net_free(&net);
    } else {
        bool refused = st == AE_ERR_UNSUPPORTED && strstr(err.message, "looks at what comes later");

        /* nothing is left of a block */
        if (!refused && !(st == AE_ERR_MALFORMED && strstr(err.message, "impossible shape")))
            fail_msg("%s: %s", running, err.message);
    }
    ae_graph_free(&graph);
}

static void test_live(void **state)
{
    (void)state;
    n_live = 0;
    for_precisions(check_live);
    assert_true(n_live >= 30); /* those of single pixels, and the causal ones */
}

/* ---- threads, allocations, arguments ---- */

static void *run_often(void *argument)
{
    machine *m = argument;
    ae_error err = {0};

    for (int i = 0; i < 20; i++)
        if (aei_run_forward(m->run, m->weights, (const float *const *)m->inputs, m->outputs, 0,
                            &err) != AE_OK)
            return m;
    return NULL;
}

/* Two threads share a plan and its weights. */
static void test_threads(void **state)
{
    test_net net = net_make(
        "input c=3; unshuffle; conv c=32 act=relu; conv c=32 add=2; conv c=12; shuffle", 1, 32, 48,
        5, 0);
    aei_plan_config config = {.n = 1, .h = 32, .w = 48, .precision = AE_PRECISION_F32};
    machine first = machine_make(&net.graph, &config, net.flat), second = first;
    pthread_t threads[2];
    void *result;

    (void)state;
    running = "threads";
    assert_int_equal(aei_run_create(first.plan, &second.run, NULL), AE_OK);
    second.outputs[0] = machine_buffer(second.out_count[0]);
    set_inputs(&first, &net);
    assert_int_equal(pthread_create(&threads[0], NULL, run_often, &first), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, run_often, &second), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    assert_true(isfinite(first.outputs[0][0]));
    assert_memory_equal(first.outputs[0], second.outputs[0], first.out_count[0] * sizeof(float));
    aei_run_free(second.run);
    machine_buffer_free(second.outputs[0], second.out_count[0]);
    machine_free(&first);
    net_free(&net);
}

/* Every allocation fails once. */
static void fail_allocations(aei_plan_config config)
{
    ae_graph graph = net_graph(
        "input c=3; conv c=16 act=silu; batchnorm; maxpool; deconv c=16; dropout; add from=1,4;"
        "conv c=3 add=0");
    ae_status st = AE_ERR_NOMEM;
    uint64_t nth;

    for (nth = 1; st == AE_ERR_NOMEM && nth < 10000; nth++) {
        aei_plan *plan = NULL;
        aei_weights *weights = NULL;
        aei_run *run = NULL;
        ae_error err = {0};

        ae_alloc_fail_at(nth);
        if ((st = aei_plan_create(&graph, &config, &plan, &err)) == AE_OK &&
            (st = aei_weights_create(plan, &weights, &err)) == AE_OK)
            st = aei_run_create(plan, &run, &err);
        ae_alloc_fail_at(0);
        if (st != AE_OK) {
            assert_null(run);
            assert_int_equal(err.status, st);
        }
        aei_run_free(run);
        aei_weights_free(weights);
        aei_plan_free(plan);
    }
    assert_int_equal(st, AE_OK);
    assert_true(nth > 5);
    ae_graph_free(&graph);
}

static void test_allocations(void **state)
{
    (void)state;
    fail_allocations((aei_plan_config){.n = 2,
                                       .h = 4,
                                       .w = 6,
                                       .precision = AE_PRECISION_F32,
                                       .train = true,
                                       .input_gradients = true});
    fail_allocations(
        (aei_plan_config){.n = 1, .h = 24, .w = 26, .trim = 8, .precision = AE_PRECISION_F32});
}

/* The layers timed alone: time and operations of all three passes. */
static void test_bench(void **state)
{
    ae_graph graph = net_graph("input c=16; conv c=32 act=relu; conv c=16");
    aei_plan_config config = {.n = 2, .h = 16, .w = 16, .precision = AE_PRECISION_F32};
    double seconds, operations[2];
    bool per_item;

    (void)state;
    for (int train = 0; train < 2; train++) {
        aei_plan *plan = NULL;

        config.train = config.input_gradients = train;
        assert_int_equal(aei_plan_create(&graph, &config, &plan, NULL), AE_OK);
        assert_int_equal(aei_plan_bench(plan, 2, &seconds, &operations[train], NULL), AE_OK);
        assert_true(seconds > 0 && seconds < 10);
        aei_plan_free(plan);
    }
    assert_true(fabs(operations[0] - 2 * 2 * 16 * 16 * ae_graph_macs(&graph, &per_item)) < 1);
    assert_true(fabs(operations[1] - 3 * operations[0]) < 1);
    ae_graph_free(&graph);
}

/* Of the parameters that train the gradients are those of all; of others nothing is computed. Where
 * no gradient comes they are zero. */
static void test_training_parts(void **state)
{
    test_net net = net_make("input c=16; conv c=32 act=relu; conv c=16", 2, 8, 8, 5,
                            NET_ROUND_BF16);
    aei_plan_config config = {.n = 2, .h = 8, .w = 8, .train = true};
    machine m = machine_make(&net.graph, &config, net.flat);
    const float *whole[] = {m.outputs[0]}, *none[] = {NULL};
    static const bool trains[] = {false, false, true, true};
    size_t first = 16 * 32 * 9 + 32; /* parameters of the layer that stays */
    float *all = machine_buffer(m.n_floats);

    (void)state;
    for (int part = 0; part < 3; part++) {
        aei_run_trains(m.run, part ? trains : NULL);
        set_inputs(&m, &net);
        machine_forward(&m, 0);
        for (size_t i = 0; i < m.n_native; i++)
            m.native[i] = 7;
        assert_int_equal(
            aei_run_backward(m.run, m.weights, part < 2 ? whole : none, m.native, NULL, NULL),
            AE_OK);
        aei_weights_collect(m.weights, m.native, m.gradient);
        for (size_t i = 0; i < m.n_floats && part; i++) {
            float expected = i < first ? 7 : part == 1 ? all[i] : 0;

            assert_memory_equal(&m.gradient[i], &expected, sizeof(expected));
        }
        if (!part)
            memcpy(all, m.gradient, m.n_floats * sizeof(*all));
    }
    machine_buffer_free(all, m.n_floats);
    machine_free(&m);
    net_free(&net);
}

static double bench_of(const char *spec, ae_precision precision)
{
    ae_graph graph = net_graph(spec);
    aei_plan_config config = {.n = 4, .h = 14, .w = 14, .precision = precision};
    aei_plan *plan = NULL;
    double seconds, operations;

    assert_int_equal(aei_plan_create(&graph, &config, &plan, NULL), AE_OK);
    assert_int_equal(aei_plan_bench(plan, 4, &seconds, &operations, NULL), AE_OK);
    aei_plan_free(plan);
    ae_graph_free(&graph);
    return seconds;
}

/* Bias and activation are no part of oneDNN's transposed convolution, whose time they would make
 * twenty to three hundred times as long. */
static void test_bare_deconv(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        ae_precision precision = bf16 ? AE_PRECISION_BF16 : AE_PRECISION_F32;
        double ratio = INFINITY;

        if (bf16 && ae_precision_resolve(precision) != precision)
            continue;
        for (int attempt = 0; attempt < 5 && ratio > 5; attempt++) /* beside others' work */
            ratio = bench_of("input c=32; deconv c=16 k=4 s=2 p=1 act=sigmoid", precision) /
                    bench_of("input c=32; deconv c=16 k=4 s=2 p=1 bias=0", precision);
        assert_true(ratio < 5);
    }
}

/* What oneDNN makes for layers, hundreds of kilobytes each, is charged before it is made. */
static void test_code_budget(void **state)
{
    enum { LAYERS = 60, ROOM = 1 << 24 };
    char spec[LAYERS * 12 + 16] = "input c=1";
    aei_plan_config config = {.n = 1, .h = 4, .w = 4};
    aei_plan *plan;
    ae_graph graph;
    ae_error err = {0};

    (void)state;
    for (int i = 0; i < LAYERS; i++)
        snprintf(spec + strlen(spec), 13, "; conv c=%d", 1 + i % 9);
    graph = net_graph(spec);
    ae_memory_limit(INT64_MAX);
    ae_memory_limit(INT64_MAX - ae_memory_left() + ROOM);
    assert_int_equal(aei_plan_create(&graph, &config, &plan, &err), AE_ERR_LIMIT);
    assert_non_null(strstr(err.message, "code for it"));
    assert_int_equal(ae_memory_left(), ROOM); /* all is given back */
    ae_memory_limit(0);
    ae_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),         cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_repeats),     cmocka_unit_test(test_batches),
        cmocka_unit_test(test_tiles),       cmocka_unit_test(test_trim),
        cmocka_unit_test(test_live),        cmocka_unit_test(test_collecting),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_bench),
        cmocka_unit_test(test_bare_deconv), cmocka_unit_test(test_training_parts),
        cmocka_unit_test(test_allocations), cmocka_unit_test(test_code_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
