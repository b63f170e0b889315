/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Codecs as graphs: how recipes say them, what they begin as, and taking a part of one. */
#include "netspec.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ae/recipe.h"
#include "core/rng.h"
#include "nn/graph_extract.h"

#define HEAD "recipe: 1\nname: t\ntask: compress\n"
#define LOSS "loss: [{kind: rate_distortion, lambda: [0.001, 0.1]}]\ndata: {crop: 16}\n"
#define INPUTS                                                                                     \
    "networks:\n  - name: n\n    inputs: [{name: image, channels: 3}, {name: quality, channels: "  \
    "1, height: 1, width: 1}]\n    "                                                               \
    "layers:\n"
#define ANALYSIS                                                                                   \
    "      - {name: pixels, op: unshuffle, factor: 2, from: [image]}\n"                            \
    "      - {name: y, op: conv, out: 48, kernel: 2, stride: 2, init: dct}\n"
#define STEP                                                                                       \
    "      - {name: step, op: embed, out: 40, factor: 3, value: -1, slope: -2, init: dct, first: " \
    "5, from: [quality]}\n"
#define LATENT                                                                                     \
    "      - {name: part, op: crop, first: 5, out: 40, from: [y]}\n"                               \
    "      - {name: zero, op: embed, out: 40, factor: 2, from: [quality]}\n"                       \
    "      - {name: q, op: quantise, parity: even, from: [part, zero, step]}\n"                    \
    "      - {name: b, op: bits, parity: odd, from: [part, zero, zero, step]}\n"
#define SYNTHESIS                                                                                  \
    "      - {name: back, op: conv, out: 48, kernel: 1, init: dct_inverse, from: [y]}\n"           \
    "      - {name: picture, op: shuffle, factor: 4}\n"
#define GOOD HEAD INPUTS ANALYSIS STEP LATENT SYNTHESIS "    outputs: [picture, b]\n" LOSS

static ae_recipe *parse(const char *text)
{
    ae_recipe *r;
    ae_error err = {0};

    if (ae_recipe_parse(text, strlen(text), "t", &r, &err) != AE_OK)
        fail_msg("%s", err.message);
    return r;
}

static void recipes(void **state)
{
    ae_recipe *r = parse(GOOD);
    const ae_graph *g = &r->networks[0].graph;
    const ae_node *step = &g->nodes[ae_graph_find(g, "step")],
                  *q = &g->nodes[ae_graph_find(g, "q")], *b = &g->nodes[ae_graph_find(g, "b")];

    (void)state;
    assert_int_equal(r->task, AE_TASK_COMPRESS);
    assert_true(r->terms[0].kind == AE_LOSS_RATE_DISTORTION && r->terms[0].lambda_min == 0.001f &&
                r->terms[0].lambda_max == 0.1f);
    assert_true(step->op == AE_OP_EMBED && step->factor == 3 && step->value == -1 &&
                step->slope == -2 && step->first == 5);
    assert_true(q->op == AE_OP_QUANTISE && q->parity == AE_PARITY_EVEN && q->out == 40);
    assert_true(b->op == AE_OP_BITS && b->parity == AE_PARITY_ODD && b->n_from == 4);
    assert_true(g->nodes[ae_graph_find(g, "y")].init == AE_INIT_DCT &&
                g->nodes[ae_graph_find(g, "back")].init == AE_INIT_DCT_INVERSE);
    assert_int_equal(g->stride, 8); /* blocks of 4, whose parity repeats after two */
    ae_recipe_free(r);
}

static void refusals(void **state)
{
#define WITH(layer)                                                                                \
    HEAD INPUTS ANALYSIS STEP LATENT SYNTHESIS layer "    outputs: [picture, b]\n" LOSS
    static const struct {
        const char *text, *message;
    } bad[] = {
        {WITH("      - {op: embed, out: 3, factor: 1, from: [quality]}\n"),
         "factor 1, expected 2 to 64"},
        {WITH("      - {op: embed, out: 3, factor: 2, from: [image]}\n"),
         "embed reads one number, not 3 channels"},
        {WITH("      - {op: embed, out: 3, from: [quality]}\n"),
         "layer embed: key 'factor' is missing"},
        {WITH("      - {op: embed, out: 3, factor: 2, act: relu, from: [quality]}\n"),
         "embed has no activation"},
        {WITH("      - {op: embed, out: 48, first: 1, factor: 2, init: dct, from: [quality]}\n"),
         "begins as dct with components 1 to 49"},
        {WITH("      - {op: embed, out: 3, factor: 2, init: identity, from: [quality]}\n"),
         "impossible init"},
        {WITH("      - {op: quantise, from: [part, zero]}\n"),
         "quantise reads 3 to 3 layers, not 2"},
        {WITH("      - {op: quantise, from: [zero, part, step]}\n"), "inputs of 1 x 1"},
        {WITH("      - {op: bits, from: [y, zero, zero, step]}\n"),
         "y has 48 channels, zero has 40"},
        {WITH("      - {op: conv, parity: odd}\n"), "a layer conv has no key 'parity'"},
        {WITH("      - {op: quantise, parity: none, from: [part, zero, step]}\n"), "parity"},
        {WITH("      - {op: conv, out: 3, kernel: 3, init: dct, from: [image]}\n"),
         "init dct wants kernel = stride"},
        {WITH("      - {op: conv, out: 4, kernel: 1, init: dct, from: [image]}\n"),
         "init dct on 3 samples a block"},
        {WITH("      - {op: conv, out: 8, kernel: 1, init: dct_inverse, from: [image]}\n"),
         "init dct on 8 samples a block"},
        {WITH("      - {op: dense, out: 3, init: dct}\n"), "impossible init"},
        {WITH("      - {op: act, act: relu, slope: 0.1}\n"),
         "'slope' belongs to act: leaky and to embed"},
        {WITH("      - {op: act, act: leaky, slope: -0.1}\n"), "slope: expected 0 to 1"},
        {HEAD INPUTS ANALYSIS STEP LATENT SYNTHESIS "    outputs: [picture]\n" LOSS,
         "outputs of op bits after the picture"},
        {HEAD INPUTS ANALYSIS STEP LATENT SYNTHESIS "    outputs: [picture, q]\n" LOSS,
         "output q is no layer of op bits"},
        {HEAD INPUTS ANALYSIS STEP LATENT SYNTHESIS "    outputs: [picture, b]\n",
         "rate_distortion belongs to task compress"},
        {HEAD "residual: true\n" INPUTS ANALYSIS STEP LATENT SYNTHESIS
              "    outputs: [picture, b]\n" LOSS,
         "not residual"},
        {HEAD INPUTS ANALYSIS STEP LATENT SYNTHESIS
         "    outputs: [picture, b]\nloss: [{kind: rate_distortion}]\n",
         "'lambda' belongs to"},
        {"recipe: 1\nname: t\ntask: denoise\nnetworks:\n  - name: n\n    inputs: [{name: image, "
         "channels: 3}]\n    layers:\n"
         "      - {op: conv}\n" LOSS,
         "rate_distortion belongs to task compress"},
        {"recipe: 1\nname: t\ntask: denoise\n" INPUTS ANALYSIS SYNTHESIS,
         "reads 'image' and 'level'"},
    };
    ae_recipe *r;
    ae_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        err = (ae_error){0};
        assert_int_equal(ae_recipe_parse(bad[i].text, strlen(bad[i].text), "t", &r, &err),
                         AE_ERR_MALFORMED);
        if (!strstr(err.message, bad[i].message))
            fail_msg("case %zu: '%s' lacks '%s'", i, err.message, bad[i].message);
    }
}

static double *initial(const ae_graph *g, size_t *n)
{
    ae_param *params;
    uint32_t n_params;
    float *f;
    double *d;

    assert_int_equal(ae_graph_params(g, &params, &n_params, n, NULL), AE_OK);
    f = ae_alloc(*n, sizeof(*f));
    d = ae_alloc(*n, sizeof(*d));
    assert_true(f && d);
    assert_int_equal(ae_graph_init(g, 1, f, NULL), AE_OK);
    for (size_t i = 0; i < *n; i++)
        d[i] = (double)f[i];
    ae_free(f);
    ae_free(params);
    return d;
}

/* The transform is orthonormal but for its gains: all components give the picture back. The gains
 * are the table's. */
static void begins_as_cosines(void **state)
{
    enum { H = 8, W = 12, COUNT = H * W * 3 };
    ae_recipe *r = parse(GOOD);
    const ae_graph *g = &r->networks[0].graph;
    aei_ref *ref;
    double image[COUNT], quality = 0.75, *flat, grey[COUNT];
    const double *inputs[] = {image, &quality}, *y, *picture, *step;
    aei_rng rng = aei_rng_make(1, 2, 3);
    size_t n;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        image[i] = (double)aei_rng_float(&rng);
        grey[i] = 1;
    }
    flat = initial(g, &n);
    assert_int_equal(aei_ref_create(g, 1, H, W, &ref, NULL), AE_OK);
    y = ref->nodes[ae_graph_find(g, "y")].value;
    picture = ref->nodes[ae_graph_find(g, "picture")].value;
    step = ref->nodes[ae_graph_find(g, "step")].value;
    aei_ref_forward(ref, flat, inputs, false, 0);
    for (int i = 0; i < COUNT; i++)
        if (!(fabs(picture[i] - image[i]) < 1e-6))
            fail_msg("sample %d: %g instead of %g", i, picture[i], image[i]);
    /* component 0 is the mean of 48 samples, of gain 1/2; second in order are (0, 0, 1) and (0, 1,
     * 0), 1 + 1 */
    inputs[0] = grey;
    aei_ref_forward(ref, flat, inputs, false, 0);
    for (int i = 0; i < COUNT / 48; i++)
        for (int k = 0; k < 48; k++)
            assert_true(fabs(y[48 * i + k] - (k ? 0 : 0.5 * sqrt(48) * 0.5)) < 1e-6);
    /* component 5 is the sixth of 1, 2 (0 1), 2 (1 0), 3 (1 1), 5 (0 2), 5 (2 0), 5 of the second
     * plane, ... */
    assert_true(fabs(step[0] - (-1 - 2 * 0.75 + log2(pow(5, 0.75) / 2))) < 1e-6);
    assert_true(fabs(step[1] - (-1 - 2 * 0.75 + log2(pow(5, 0.75) / 2))) < 1e-6);
    aei_ref_free(ref);
    ae_free(flat);
    ae_recipe_free(r);
}

/* Values worked out by hand. */
static void bits_and_steps(void **state)
{
    test_net net = net_make("input c=1; input c=1; input c=1; input c=1; quantise from=0,1,3; bits "
                            "from=0,1,2,3; outputs from=4,5",
                            1, 1, 5, 1, 0);
    const double y[] = {3.3, -0.1, 1, 60, 0.8}, mean[] = {0.5, 0, 1, 0, 0.8},
                 scale[] = {1, 0, -9, 0, 20}, step[] = {1, 0, 0, 0, 1};
    const double *inputs[] = {y, mean, scale, step};
    const double quantised[] = {2.5, 0, 1, 60, 0.8};
    const double bits[] = {-log2(0.5 * (erfc(0.5 / sqrt(2)) - erfc(1.5 / sqrt(2)))),
                           -log2(1 - erfc(0.5 / sqrt(2))), -log2(1 - erfc(0.5 / 0.11 / sqrt(2))),
                           24, 15 + log2(sqrt(2 * acos(-1)))};

    (void)state;
    aei_ref_forward(net.ref, net.flat, inputs, false, 0);
    for (int i = 0; i < 5; i++) {
        assert_true(fabs(net.ref->nodes[4].value[i] - quantised[i]) < 1e-12);
        if (!(fabs(net.ref->nodes[5].value[i] - bits[i]) < 1e-6))
            fail_msg("%d: %.9g bits instead of %.9g", i, net.ref->nodes[5].value[i], bits[i]);
    }
    net_free(&net);
}

/* Gradients where something is clamped or rounded: none to the mean of quantise, none that pushes a
 * clamped scale further out, the slope of a clamped mass over that mass. */
static void clamped_gradients(void **state)
{
    test_net net = net_make("input c=1; input c=1; input c=1; input c=1; quantise from=0,1,3; bits "
                            "from=0,1,2,3; outputs from=4,5",
                            1, 1, 2, 1, 0);
    const double y[] = {0.3, 9}, zero[] = {0, 0}, scale[] = {-9, 0}, step[] = {1, 0},
                 one[] = {1, 1}, minus[] = {-1, -1};
    const double *inputs[] = {y, zero, scale, step}, *d[6] = {[4] = one};
    double w = 0.15, far, noise;

    (void)state;
    aei_ref_forward(net.ref, net.flat, inputs, true, 7);
    aei_ref_backward(net.ref, d, net.gradient);
    assert_true(net.ref->nodes[0].dy[0] == 1 && net.ref->nodes[1].dy[0] == 0);
    assert_true(fabs(net.ref->nodes[3].dy[0] - (0 - w) * 2 * log(2)) < 1e-12);
    d[4] = NULL;
    d[5] = one;
    noise = (double)net.ref->nodes[5].draw[1];
    aei_ref_backward(net.ref, d, net.gradient);
    assert_true(net.ref->nodes[2].dy[0] == 0); /* narrower would be cheaper */
    far = 8.5 + noise;
    assert_true(fabs(net.ref->nodes[5].value[1] - 24) < 1e-12);
    assert_true(fabs(net.ref->nodes[0].dy[1] /
                         (exp(-far * far / 2) / sqrt(2 * acos(-1)) * 0x1p24 / log(2)) -
                     1) < 1e-3);
    d[5] = minus;
    aei_ref_backward(net.ref, d, net.gradient);
    assert_true(net.ref->nodes[2].dy[0] < 0); /* back inside it may */
    net_free(&net);
}

/* A part computes what the whole does. */
static void extraction(void **state)
{
    enum { H = 8, W = 16 };
    ae_recipe *r = parse(GOOD);
    ae_graph *g = &r->networks[0].graph, part;
    uint32_t outputs[] = {(uint32_t)ae_graph_find(g, "picture"), (uint32_t)ae_graph_find(g, "y")},
             map[32];
    size_t n;
    double *flat = initial(g, &n), image[H * W * 3], quality = 0.5;
    float *values = ae_alloc(n, sizeof(*values)), *taken;
    const double *inputs[] = {image, &quality};
    aei_ref *whole, *small;
    ae_error err = {0};

    (void)state;
    assert_true(values && g->n_nodes <= 32);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(flat[i] += 0.01 * (double)(i % 7));
    for (int i = 0; i < H * W * 3; i++)
        image[i] = sin(i * 0.7);
    if (aei_graph_extract(g, outputs, 2, &part, map, &err) != AE_OK ||
        aei_graph_extract_values(g, values, &part, &taken, &err) != AE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(part.n_nodes, 5);
    assert_true(part.n_outputs == 2 && part.outputs[0] == 4 && part.outputs[1] == 2);
    assert_true(map[outputs[0]] == 4 && map[ae_graph_find(g, "quality")] == UINT32_MAX);
    assert_int_equal(part.stride, 4); /* nothing with a parity is left */
    assert_int_equal(aei_ref_create(g, 1, H, W, &whole, NULL), AE_OK);
    assert_int_equal(aei_ref_create(&part, 1, H, W, &small, NULL), AE_OK);
    aei_ref_forward(whole, flat, inputs, false, 0);
    for (size_t i = 0; i < small->n_floats; i++)
        flat[i] = (double)taken[i];
    aei_ref_forward(small, flat, inputs, false, 0);
    for (int i = 0; i < 2; i++) {
        const aei_ref_node *a = &whole->nodes[outputs[i]], *b = &small->nodes[part.outputs[i]];

        assert_int_equal(aei_ref_count(a->out), aei_ref_count(b->out));
        for (size_t k = 0; k < aei_ref_count(a->out); k++)
            assert_true(fabs(a->value[k] - b->value[k]) < 1e-5);
    }
    ae_graph_free(&part);
    outputs[0] = g->n_nodes;
    assert_int_equal(aei_graph_extract(g, outputs, 1, &part, NULL, &err), AE_ERR_ARGUMENT);
    for (uint64_t k = 1; k < 4; k++) {
        outputs[0] = 0;
        ae_alloc_fail_at(k);
        assert_int_equal(aei_graph_extract(g, outputs, 1, &part, NULL, &err), AE_ERR_NOMEM);
        ae_alloc_fail_at(0);
    }
    aei_ref_free(whole);
    aei_ref_free(small);
    ae_free(taken);
    ae_free(values);
    ae_free(flat);
    ae_recipe_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recipes),           cmocka_unit_test(refusals),
        cmocka_unit_test(begins_as_cosines), cmocka_unit_test(bits_and_steps),
        cmocka_unit_test(clamped_gradients), cmocka_unit_test(extraction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
