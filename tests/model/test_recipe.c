/* SPDX-License-Identifier: BSD-2-Clause */
#include "ae/recipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "recipe: 1\nname: t\ntask: denoise\n"
#define NET(layers)                                                                                \
    "networks:\n  - name: n\n    inputs:\n      - {name: image, channels: 3}\n    "                \
    "layers:\n" layers
#define PLAIN "      - {op: conv, out: 3}\n"
#define GOOD HEAD NET(PLAIN)
#define TEXT(rows)                                                                                 \
    "recipe: 1\nname: t\ntask: autoencode\nnetworks:\n  - name: n\n    inputs:\n"                  \
    "      - {name: image, channels: 1, height: 8, width: 1}\n    layers:\n"                       \
    "      - {name: g, op: gather, factor: " #rows ", out: 1}\n"

static ae_recipe *parse(const char *text)
{
    ae_recipe *r;
    ae_error err = {0};

    if (ae_recipe_parse(text, strlen(text), "t", &r, &err) != AE_OK)
        fail_msg("%s", err.message);
    return r;
}

static void defaults(void **state)
{
    ae_recipe *r = parse(GOOD);

    (void)state;
    assert_string_equal(r->name, "t");
    assert_true(r->task == AE_TASK_DENOISE && !r->residual && r->scale == 1 && r->n_networks == 1);
    assert_true(r->crop == 128 && r->augment && r->scale_min == 1 && r->scale_max == 1 &&
                r->grey == 0 && r->clean == 0);
    assert_true(r->patterns == 0);
    assert_true(r->n_corruptions == 0 && !r->one_of && r->n_phases == 0);
    assert_true(r->n_terms == 1 && r->terms[0].kind == AE_LOSS_CHARBONNIER &&
                r->terms[0].weight == 1);
    assert_true(r->optimizer == AE_ADAMW && r->rate == 1e-3f && r->rate_end == 1e-6f &&
                r->beta1 == 0.9f && r->beta2 == 0.999f);
    assert_true(r->decay == 1e-4f && r->clip == 1 && r->ema == 0.999f && r->steps == 100000 &&
                r->warmup == 500);
    assert_true(r->batch == 16 && r->shards == 8 && r->validate_every == 1000 && r->patience == 0 &&
                r->holdout == 0.05f);
    const ae_node *n = &r->networks[0].graph.nodes[1];
    assert_string_equal(n->name, "conv.1");
    assert_string_equal(n->param, "conv.1");
    assert_true(n->op == AE_OP_CONV && n->kernel[0] == 3 && n->stride[1] == 1 && n->pad[0] == 1 &&
                n->groups == 1 && n->bias && n->out == 3);
    ae_recipe_free(r);
}

static void every_key(void **state)
{
    ae_recipe *r = parse(
        "recipe: 1\nname: all-of_it\nabout: \"what: it does\"\ntask: superres\nresidual: "
        "true\nscale: 2\n"
        "networks:\n"
        "  - name: a\n"
        "    inputs: [{name: image, channels: 4}, {name: level, channels: 2}]\n"
        "    layers:\n"
        "      - {op: concat, from: [image, level], name: both}\n"
        "      - {op: conv, out: 16, kernel: [3, 5], stride: 1, dilation: [2, 1], pad: same, "
        "groups: 2, act: leaky, slope: 0.2}\n"
        "      - {op: residual, name: res, repeat: 2, act: silu, init: zero, param: shared}\n"
        "      - {op: batchnorm}\n"
        "      - {op: maxpool}\n"
        "      - {op: deconv, out: 16, param: up}\n"
        "      - {op: conv, kernel: 3, groups: 16, add: res.1.a, init: identity, bias: false}\n"
        "      - {op: shuffle}\n"
        "    outputs: [previous, both]\n"
        "  - name: b\n"
        "    inputs: [{name: x, channels: 1, height: 8, width: 6}]\n"
        "    layers:\n"
        "      - {op: dense, out: 6, act: relu}\n"
        "      - {op: reshape, height: 1, width: 2, channels: 3}\n"
        "      - {op: crop, first: 1, out: 2}\n"
        "      - {op: dropout, value: 0.25}\n"
        "data: {crop: 64, augment: false, scale: [1.5, 2], grey: 0.5, clean: 1, patterns: 0.25}\n"
        "one_of: true\n"
        "corruption:\n"
        "  - {kind: camera, sigma: [1, 50], probability: 0.5, jitter: [0.8, 1.2]}\n"
        "  - {kind: jpeg, quality: [30, 95]}\n"
        "  - {kind: mask, fraction: [0, 1.0e-1]}\n"
        "loss:\n"
        "  - {kind: mse}\n"
        "  - {kind: perceptual, weight: 0.1, model: features, node: deep}\n"
        "penalties:\n"
        "  - {kind: kl_sparse, weight: 2, node: res, target: 0.05}\n"
        "  - {kind: l1, weight: 1e-5}\n"
        "train: {optimizer: sgd, rate: 0.1, rate_end: 0, beta1: 0.8, beta2: 0.9, decay: 0, clip: "
        "0, ema: 0, steps: 9, warmup: 1, "
        "batch: 12,\n"
        "  validate_every: 5, patience: 3, holdout: 0.5}\n");
    const ae_graph *g = &r->networks[0].graph;
    static const char *const names[] = {
        "image", "level",       "both",      "conv.2",   "res.1.a", "res.1",    "res.a",
        "res",   "batchnorm.5", "maxpool.6", "deconv.7", "conv.8",  "shuffle.9"};

    (void)state;
    assert_string_equal(r->about, "what: it does");
    assert_int_equal(g->n_nodes, 13);
    for (int i = 0; i < 13; i++)
        assert_string_equal(g->nodes[i].name, names[i]);
    assert_true(g->nodes[3].pad[0] == 2 && g->nodes[3].pad[1] == 2 && g->nodes[3].slope == 0.2f &&
                g->nodes[3].kernel[1] == 5);
    assert_true(g->nodes[4].act == AE_ACT_SILU && g->nodes[4].init == AE_INIT_HE &&
                g->nodes[4].add == -1 && g->nodes[4].slope == 0);
    assert_true(g->nodes[5].act == AE_ACT_NONE && g->nodes[5].init == AE_INIT_ZERO &&
                g->nodes[5].add == 3 && g->nodes[5].from[0] == 4);
    assert_true(g->nodes[7].add == 5 && g->nodes[6].from[0] == 5);
    assert_string_equal(g->nodes[6].param, "shared.a");
    assert_string_equal(g->nodes[7].param, "shared");
    assert_true(g->nodes[9].kernel[0] == 2 && g->nodes[9].stride[0] == 2 &&
                g->nodes[9].pad[0] == 0);
    assert_true(g->nodes[10].kernel[0] == 2 && g->nodes[10].stride[0] == 2);
    assert_true(g->nodes[11].add == 4 && g->nodes[11].groups == 16 && !g->nodes[11].bias &&
                g->nodes[11].out == 16);
    assert_true(g->n_outputs == 2 && g->outputs[0] == 12 && g->outputs[1] == 2);
    assert_true(r->networks[1].graph.nodes[4].value == 0.25f &&
                r->networks[1].graph.nodes[3].out == 2);
    assert_true(r->crop == 64 && !r->augment && r->scale_min == 1.5f && r->scale_max == 2 &&
                r->grey == 0.5f && r->clean == 1);
    assert_true(r->patterns == 0.25f);
    assert_true(r->one_of && r->n_corruptions == 3 && r->corruptions[0].kind == AE_CORRUPT_CAMERA &&
                r->corruptions[0].max == 50);
    assert_true(r->corruptions[0].probability == 0.5f && r->corruptions[0].jitter_min == 0.8f &&
                r->corruptions[2].max == 0.1f);
    assert_true(r->corruptions[1].jitter_max == 1 && r->corruptions[1].min == 30);
    assert_true(r->n_terms == 4 && r->terms[0].weight == 1 &&
                r->terms[1].kind == AE_LOSS_PERCEPTUAL);
    assert_true(r->terms[2].rho == 0.05f && r->terms[3].weight == 1e-5f && r->terms[3].on_weights);
    assert_true(r->optimizer == AE_SGD && r->rate == 0.1f && r->rate_end == 0 && r->beta1 == 0.8f &&
                r->ema == 0 && r->steps == 9);
    assert_true(r->batch == 12 && r->shards == 6 && r->patience == 3 && r->validate_every == 5 &&
                r->holdout == 0.5f);
    ae_recipe_free(r);
}

/* Padding of layers whose height is time. */
static void causal_padding(void **state)
{
    ae_recipe *r = parse(
        HEAD NET("      - {op: conv, out: 8, kernel: [4, 3], dilation: [3, 2], pad: causal}\n"
                 "      - {op: conv, kernel: [4, 1], stride: [2, 1], pad: [causal, 0]}\n"
                 "      - {op: avgpool, kernel: 2, stride: [1, 2], pad: causal}\n"
                 "      - {op: residual, kernel: [3, 1], dilation: [8, 1], pad: causal}\n"
                 "      - {op: deconv, out: 3, kernel: [4, 2], stride: 2, pad: causal}\n"));
    const ae_node *n = r->networks[0].graph.nodes;
    uint32_t before[2], after[2];

    (void)state;
    assert_true(n[1].causal && n[1].pad[0] == 9 && n[1].pad[1] == 2);
    assert_true(n[2].causal && n[2].pad[0] == 2 && n[2].pad[1] == 0);
    assert_true(n[3].causal && n[3].pad[0] == 1 && n[3].pad[1] == 0);
    assert_true(n[4].causal && n[4].pad[0] == 16 && n[5].causal && n[5].pad[0] == 16 &&
                n[5].add == 3);
    assert_true(n[6].causal && n[6].pad[0] == 2 && n[6].pad[1] == 0);
    ae_graph_reach(&r->networks[0].graph, before, after);
    assert_int_equal(after[0], 0);
    ae_recipe_free(r);
}

static void refuse_layers(const char *layers, const char *message)
{
    char text[2048];
    ae_recipe *r = NULL;
    ae_error err = {0};

    snprintf(text, sizeof(text), HEAD NET("%s"), layers);
    assert_int_equal(ae_recipe_parse(text, strlen(text), "t", &r, &err), AE_ERR_MALFORMED);
    if (!strstr(err.message, message))
        fail_msg("'%s' lacks '%s'", err.message, message);
}

/* Weights read the other way, beginnings, and layers between data and network. */
static void tied_weights(void **state)
{
    ae_recipe *r = parse(HEAD NET(
        "      - {op: normalise, param: data}\n"
        "      - {name: down, op: conv, out: 8, kernel: 2, stride: 2, pad: 0, init: orthogonal}\n"
        "      - {name: code, op: noise, value: 0.1}\n"
        "      - {op: deconv, out: 3, param: down, transpose: true}\n"
        "      - {op: denormalise, param: data}\n"));
    const ae_graph *g = &r->networks[0].graph;
    ae_param *params;
    uint32_t n_params;
    size_t n;
    float *values;

    (void)state;
    assert_int_equal(ae_graph_params(g, &params, &n_params, &n, NULL), AE_OK);
    assert_int_equal(n_params, 5);
    assert_string_equal(params[1].name, "data.variance");
    assert_string_equal(params[2].name, "down.weight");
    assert_string_equal(params[4].name, "deconv.4.bias");
    assert_true(g->nodes[4].transposed && params[4].count == 3 && !params[0].trainable);
    values = ae_alloc(n, sizeof(*values));
    assert_non_null(values);
    assert_int_equal(ae_graph_init(g, 3, values, NULL), AE_OK);
    assert_true(values[params[0].offset] == 0 && values[params[1].offset] == 1);
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 8; b++) {
            const float *w = values + params[2].offset;
            double dot = 0;

            for (int k = 0; k < 12; k++)
                dot += (double)w[a * 12 + k] * w[b * 12 + k];
            assert_true(dot > (a == b) - 1e-6 && dot < (a == b) + 1e-6);
        }
    ae_free(values);
    ae_free(params);
    ae_recipe_free(r);
    refuse_layers("      - {op: conv, out: 8}\n      - {op: deconv, out: 3, transpose: true}\n",
                  "transpose: 'param' names");
    refuse_layers(
        "      - {op: conv, out: 8}\n      - {op: deconv, out: 3, param: w, transpose: true}\n",
        "no layer above has the parameters w");
    refuse_layers("      - {op: conv, out: 8, param: w}\n      - {op: deconv, out: 3, param: w, "
                  "transpose: true}\n",
                  "differs in shape");
    refuse_layers("      - {op: gru, out: 3, init: identity}\n", "impossible init");
    refuse_layers("      - {op: gather, out: 3, factor: 4}\n", "gather reads one number");
    refuse_layers("      - {op: softmax, act: relu}\n", "softmax has no activation");
    refuse_layers("      - {op: noise}\n", "key 'value' is missing");
    refuse_layers("      - {op: conv, gate_act: clip}\n", "'gate_act' belongs to a gate");
}

/* Gates as the nodes they stand for. */
static void gates(void **state)
{
    ae_recipe *r = parse("recipe: 1\nname: gates\ntask: denoise\n" NET(
        "      - {name: a, op: conv, out: 16, act: relu, gate: last, param: p}\n"
        "      - {name: b, op: residual, gate: last}\n"
        "      - {name: c, op: residual, gate: all, param: q}\n"
        "      - {name: d, op: conv, gate: all, gate_act: clip, add: a}\n"
        "      - {op: conv, out: 3}\n"));
    static const char *const names[] = {"image", "a.y", "a.g",   "a",     "b.a", "b.y",
                                        "b.g",   "b",   "c.a.y", "c.a.g", "c.a", "c.y",
                                        "c.g",   "c",   "d.y",   "d.g",   "d"};
    const ae_graph *g = &r->networks[0].graph;

    (void)state;
    assert_int_equal(g->n_nodes, 18);
    for (int i = 0; i < 17; i++)
        assert_string_equal(g->nodes[i].name, names[i]);
    assert_true(g->nodes[1].act == AE_ACT_RELU && g->nodes[1].add == -1);
    assert_true(g->nodes[2].op == AE_OP_CONV && g->nodes[2].act == AE_ACT_SIGMOID &&
                g->nodes[2].kernel[0] == 1);
    assert_true(g->nodes[15].op == AE_OP_CONV && g->nodes[15].act == AE_ACT_CLIP &&
                g->nodes[15].init == AE_INIT_ZERO);
    assert_int_equal(g->nodes[2].out, 16);
    assert_true(g->nodes[3].op == AE_OP_MUL && g->nodes[3].from[0] == 1 &&
                g->nodes[3].from[1] == 2 && g->nodes[3].add == -1);
    assert_true(g->nodes[7].op == AE_OP_MUL && g->nodes[7].add == 3 &&
                g->nodes[5].act == AE_ACT_NONE && g->nodes[4].from[0] == 3);
    assert_true(g->nodes[13].add == 7 && g->nodes[11].from[0] == 10 && g->nodes[8].from[0] == 7 &&
                g->nodes[16].add == 3);
    assert_string_equal(g->nodes[1].param, "p.y");
    assert_string_equal(g->nodes[9].param, "q.a.g");
    ae_recipe_free(r);
}

static void refusals(void **state)
{
    static const struct {
        const char *text;
        ae_status status;
        const char *message;
    } bad[] = {
        {"", AE_ERR_MALFORMED, "t: empty"},
        {"- 1\n", AE_ERR_MALFORMED, "line 1: recipe: expected keys and values"},
        {"a: [\n", AE_ERR_MALFORMED, "not YAML"},
        {"a: b: c\n", AE_ERR_MALFORMED, "not YAML"},
        {"recipe: 2\nnonsense: 1\n", AE_ERR_TOO_NEW,
         "recipe grammar 2, this program knows up to 1"},
        {"recipe: 0\n", AE_ERR_MALFORMED, "line 1: recipe: 0 is not in 1"},
        {"recipe: one\n", AE_ERR_MALFORMED, "line 1: recipe: expected a whole number, found one"},
        {"recipe: '1'\n", AE_ERR_MALFORMED, "recipe: expected a whole number"},
        {"recipe: 1.5\n", AE_ERR_MALFORMED, "recipe: expected a whole number"},
        {"recipe: 010\n", AE_ERR_MALFORMED, "recipe: expected a whole number"},
        {"recipe: 1\nname: t\ntask: denoise\n", AE_ERR_MALFORMED,
         "line 1: recipe: key 'networks' is missing"},
        {GOOD "colour: red\n", AE_ERR_MALFORMED, "t: line 10: recipe: unknown key 'colour'"},
        {GOOD "name: again\n", AE_ERR_MALFORMED, "line 10: key 'name' occurs twice"},
        {GOOD "data: {crop: 128, rotate: true}\n", AE_ERR_MALFORMED,
         "line 10: data: unknown key 'rotate'"},
        {GOOD "data: {augment: yes}\n", AE_ERR_MALFORMED, "augment: expected true or false"},
        {GOOD "data: {crop: -4}\n", AE_ERR_MALFORMED, "crop: -4 is not in 8 to 4096"},
        {GOOD "data: {scale: 2}\n", AE_ERR_MALFORMED, "scale: expected [lowest, highest]"},
        {GOOD "data: {scale: [2, 1]}\n", AE_ERR_MALFORMED, "scale: 2 is above 1"},
        {GOOD "data: {grey: .nan}\n", AE_ERR_MALFORMED, "grey: expected a number, found .nan"},
        {GOOD "data: {grey: 1e999}\n", AE_ERR_MALFORMED, "grey: expected a number"},
        {GOOD "data: {grey: 0x1p-3}\n", AE_ERR_MALFORMED, "grey: expected a number"},
        {GOOD "data: {grey: 0.1234567890123456}\n", AE_ERR_MALFORMED, "grey: expected a number"},
        {GOOD "data: {filters: [area]}\n", AE_ERR_MALFORMED,
         "line 10: filters: only with task superres"},
        {GOOD "data: {filters: []}\n", AE_ERR_MALFORMED, "filters: empty"},
        {GOOD "data: {filters: [sharp]}\n", AE_ERR_MALFORMED, "filters: "},
        {GOOD "bound: 5\n", AE_ERR_MALFORMED, "bound: only with task denoise"},
        {GOOD "data: {curve: true}\n", AE_ERR_MALFORMED, "curve: only with task denoise"},
        {GOOD "data: {strength: [0, 1]}\n", AE_ERR_MALFORMED,
         "strength is told to an input 'level' of one channel"},
        {GOOD "data: {columns: 4}\n", AE_ERR_MALFORMED, "columns: only with task autoencode and"},
        {GOOD "data: {columns: 0}\n", AE_ERR_MALFORMED, "columns: 0 is not in 1 to 65536"},
        {GOOD "data: {text: bytes}\n", AE_ERR_MALFORMED, "text: only with task autoencode and"},
        {GOOD "data: {text: letters}\n", AE_ERR_MALFORMED,
         "text: 'letters' is none of bytes, lines, words"},
        {TEXT(255) "data: {text: lines}\n", AE_ERR_MALFORMED,
         "layer g has rows for 255 numbers, expected factor: 256, one a byte"},
        {TEXT(256) "data: {text: words}\n", AE_ERR_MALFORMED,
         "layer g has rows for 256 numbers, expected factor: 8192, one a word"},
        {HEAD
         "networks: [{name: n, inputs: [{name: image, channels: 1, height: 1, width: columns}],"
         " layers: [{op: act, act: relu}]}]\n",
         AE_ERR_MALFORMED, "width: expected a whole number, found columns"},
        {GOOD "data: 7\n", AE_ERR_MALFORMED, "data: expected keys and values"},
        {GOOD "corruption: {kind: gaussian}\n", AE_ERR_MALFORMED, "corruption: expected a list"},
        {GOOD "corruption:\n  - {kind: rain}\n", AE_ERR_MALFORMED,
         "line 11: kind: 'rain' is none of gaussian, camera"},
        {GOOD "corruption:\n  - {kind: gaussian}\n", AE_ERR_MALFORMED,
         "line 11: corruption gaussian: key 'sigma' is missing"},
        {GOOD "corruption:\n  - {kind: jpeg, quality: [1, 2], sigma: [1, 2]}\n", AE_ERR_MALFORMED,
         "key 'sigma' is unknown"},
        {GOOD "loss: []\n", AE_ERR_MALFORMED, "loss: empty"},
        {GOOD "loss: [{kind: perceptual}]\n", AE_ERR_MALFORMED,
         "'model' and 'node' belong to kind perceptual"},
        {GOOD "loss: [{kind: l1, node: x}]\n", AE_ERR_MALFORMED,
         "'model' and 'node' belong to kind perceptual"},
        {GOOD "loss: [{kind: l1}, {kind: l1}, {kind: l1}, {kind: l1}, {kind: l1}, {kind: l1}, "
              "{kind: l1}, {kind: l1}, {kind: l1}]\n",
         AE_ERR_MALFORMED, "loss: 9 entries, at most 8"},
        {GOOD "penalties: [{kind: l1}]\n", AE_ERR_MALFORMED, "penalty: key 'weight' is missing"},
        {GOOD "penalties: [{kind: l1, weight: 1, node: code}]\n", AE_ERR_MALFORMED,
         "network n has no layer 'code'"},
        {GOOD "penalties: [{kind: jacobian, weight: 1}]\n", AE_ERR_MALFORMED,
         "penalty jacobian needs 'node'"},
        {GOOD "penalties: [{kind: kl_normal, weight: 1, node: image}]\n", AE_ERR_MALFORMED,
         "which needs 'node', the mean, and"},
        {GOOD "penalties: [{kind: l1, weight: 1, node: image, logvar: image}]\n", AE_ERR_MALFORMED,
         "'logvar' belongs to kind"},
        {GOOD "penalties: [{kind: kl_normal, weight: 1, node: image, logvar: x}]\n",
         AE_ERR_MALFORMED, "no layer 'x'"},
        {GOOD "penalties: [{kind: kl_sparse, weight: 1, node: image}]\n", AE_ERR_MALFORMED,
         "needs 'target' and 'node'"},
        {GOOD "terms: [{kind: mse}]\nloss: [{kind: mse}]\n", AE_ERR_MALFORMED,
         "terms take the place of 'loss'"},
        {GOOD "terms: []\n", AE_ERR_MALFORMED, "terms: empty"},
        {GOOD "terms: [{kind: mse}, {kind: mse}]\n", AE_ERR_MALFORMED, "two are called 'mse'"},
        {GOOD "terms: [{kind: mse, on: image}]\n", AE_ERR_MALFORMED, "on layer image needs 'to'"},
        {GOOD "terms: [{kind: mse, on: code, to: 0}]\n", AE_ERR_MALFORMED, "no layer 'code'"},
        {GOOD "terms: [{kind: mse, to: label}]\n", AE_ERR_MALFORMED, "labels are classes"},
        {GOOD "terms: [{kind: mse, to: 1e12}]\n", AE_ERR_MALFORMED, "to: 1e+12 is not in"},
        {GOOD "terms: [{kind: tv, over: sum}]\n", AE_ERR_MALFORMED,
         "term tv has no 'to', 'over' and 'mask'"},
        {GOOD "terms: [{kind: bce, on: weights}]\n", AE_ERR_MALFORMED,
         "term on weights: mse or l1 alone"},
        {GOOD "terms: [{kind: jacobian}]\n", AE_ERR_MALFORMED, "term jacobian needs 'on'"},
        {GOOD "terms: [{kind: kl_sparse, on: image}]\n", AE_ERR_MALFORMED,
         "'rho' belongs to kind kl_sparse"},
        {GOOD "terms: [{kind: adversary, on: image}]\n", AE_ERR_MALFORMED,
         "'by', a network, and 'aim' belong to"},
        {GOOD "terms: [{kind: adversary, on: image, by: n}]\n", AE_ERR_MALFORMED,
         "there is no other network 'n'"},
        {GOOD "terms: [{kind: mse}]\nphases: []\n", AE_ERR_MALFORMED, "phases: empty"},
        {GOOD "phases: [{terms: [charbonnier]}]\n", AE_ERR_MALFORMED,
         "phase: key 'steps' is missing"},
        {GOOD "phases: [{terms: [mse], steps: 1}]\n", AE_ERR_MALFORMED, "no term is called 'mse'"},
        {GOOD "phases: [{terms: [], steps: 1}]\n", AE_ERR_MALFORMED, "phase: 'terms' is empty"},
        {GOOD "phases: [{terms: [charbonnier], steps: 1, train: [nobody]}]\n", AE_ERR_MALFORMED,
         "'nobody' is no network"},
        {GOOD "phases: [{terms: [charbonnier], steps: 1}]\ntrain: {steps: 5}\n", AE_ERR_MALFORMED,
         "the steps are theirs"},
        {HEAD "networks: [{name: n, inputs: [{name: image, channels: 1, from: x}], layers: [{op: "
              "conv}]}]\n",
         AE_ERR_MALFORMED, "no network before has a layer 'x'"},
        {GOOD "train: {batch: 10, shards: 4}\n", AE_ERR_MALFORMED,
         "a batch of 10 cannot be cut into 4"},
        {GOOD "train: {learning_rate: 1}\n", AE_ERR_MALFORMED,
         "train: unknown key 'learning_rate'"},
        {GOOD "a: &x 1\n", AE_ERR_MALFORMED, "line 10: anchors and aliases"},
        {GOOD "a: *x\n", AE_ERR_MALFORMED, "line 10: anchors and aliases"},
        {GOOD "a: !!python/object:os.system 1\n", AE_ERR_MALFORMED, "line 10: tags"},
        {GOOD "? [a]\n: b\n", AE_ERR_MALFORMED, "a key must be a word"},
        {GOOD "about: \"a\\0b\"\n", AE_ERR_MALFORMED, "line 10: a control character"},
        {GOOD "about: \"a\\e[31m\"\n", AE_ERR_MALFORMED, "line 10: a control character"},
        {GOOD "---\na: 1\n", AE_ERR_MALFORMED, "line 10: a second document"},
        {GOOD "a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", AE_ERR_MALFORMED,
         "line 10: nested deeper than 16"},
        {"recipe: 1\nname: ../t\n", AE_ERR_MALFORMED, "line 2: name: '../t' is not a name"},
        {"recipe: 1\nname: 0123456789012345678901234567890123456789012345678\n", AE_ERR_MALFORMED,
         "name: longer than 47"},
        {HEAD "networks: []\n", AE_ERR_MALFORMED, "line 4: networks: empty"},
        {HEAD "networks: [{name: n, inputs: [], layers: []}]\n", AE_ERR_MALFORMED, "inputs: empty"},
        {HEAD NET("      - {op: conv, out: 3, colour: 1}\n"), AE_ERR_MALFORMED,
         "line 9: layer: unknown key 'colour'"},
        {HEAD NET("      - {op: conv, out: 3, factor: 2}\n"), AE_ERR_MALFORMED,
         "line 9: a layer conv has no key 'factor'"},
        {HEAD NET("      - {op: convolution}\n"), AE_ERR_MALFORMED,
         "line 9: op: 'convolution' is none of dense"},
        {HEAD NET("      - {out: 3}\n"), AE_ERR_MALFORMED, "layer: key 'op' is missing"},
        {HEAD NET("      - {op: deconv}\n"), AE_ERR_MALFORMED,
         "layer deconv: key 'out' is missing"},
        {HEAD NET(PLAIN
                  "      - {op: add, from: [previous, later]}\n      - {name: later, op: conv}\n"),
         AE_ERR_MALFORMED, "line 10: no layer 'later' stands above (a cycle"},
        {HEAD NET("      - {name: self, op: conv, out: 3, add: self}\n"), AE_ERR_MALFORMED,
         "line 9: no layer 'self' stands above"},
        {HEAD NET("      - {op: shuffle, factor: 2}\n"), AE_ERR_MALFORMED,
         "line 9: layer shuffle.1: 3 channels are not a multiple of 4"},
        {HEAD NET("      - {op: dense, out: 3}\n"), AE_ERR_MALFORMED,
         "line 9: layer dense.1: dense needs inputs of fixed"},
        {HEAD NET("      - {op: conv, out: 4}\n"), AE_ERR_MALFORMED,
         "the first network makes 66 x 66 x 4, expected 66 x 66 x 3"},
        {HEAD NET("      - {op: conv, out: 3, stride: 2}\n"), AE_ERR_MALFORMED,
         "the first network makes"},
        {HEAD NET("      - {op: conv, kernel: [3, 3, 3]}\n"), AE_ERR_MALFORMED,
         "kernel: expected a number or two"},
        {HEAD NET("      - {op: deconv, out: 3, pad: same}\n"), AE_ERR_MALFORMED,
         "pad: expected a whole number, found same"},
        {HEAD NET("      - {op: conv, slope: 0.1}\n"), AE_ERR_MALFORMED,
         "'slope' belongs to act: leaky"},
        {HEAD NET("      - {op: conv, repeat: 700}\n      - {op: conv, repeat: 700}\n"),
         AE_ERR_MALFORMED, "more than 1024 layers"},
        {HEAD NET("      - {op: conv, out: 65536, kernel: 1024}\n"), AE_ERR_LIMIT, "parameters"},
        {HEAD NET("      - {op: conv, kernel: 1023, dilation: 1024}\n"), AE_ERR_LIMIT,
         "receptive field"},
        {HEAD NET("      - {op: unshuffle, factor: 3}\n      - {op: shuffle, factor: 3}\n"),
         AE_ERR_MALFORMED, "crop 128 is not a multiple of the network's stride 3"},
        {HEAD NET("      - {name: image, op: conv}\n"), AE_ERR_MALFORMED,
         "line 9: layer image: a layer above has the same name"},
        {HEAD NET("      - {op: residual, from: [image, image]}\n"), AE_ERR_MALFORMED,
         "residual reads one layer"},
        {GOOD "  - name: n\n    inputs: [{name: a, channels: 1}]\n    layers: [{op: conv}]\n",
         AE_ERR_MALFORMED, "a network above is called 'n'"},
        {HEAD "networks: [{name: n, inputs: [{name: x, channels: 1}], layers: [{op: conv}]}]\n",
         AE_ERR_MALFORMED, "input x: the first network"},
        {HEAD "networks: [{name: n, inputs: [{name: image, channels: 1}, {name: level, channels: "
              "1}], layers: [{op: conv}]}]\n",
         AE_ERR_MALFORMED, "with 2 inputs the first layer needs 'from'"},
        {"recipe: 1\nname: t\ntask: superres\n" NET(PLAIN), AE_ERR_MALFORMED,
         "scale: 2 to 4 with task superres"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ae_recipe *r = (ae_recipe *)&r;
        ae_error err = {0};
        ae_status st = ae_recipe_parse(bad[i].text, strlen(bad[i].text), "t", &r, &err);

        if (st != bad[i].status || !strstr(err.message, bad[i].message))
            fail_msg("case %zu: status %d, '%s'; expected %d, '%s'", i, st, err.message,
                     bad[i].status, bad[i].message);
        assert_null(r);
    }
}

static void oversized(void **state)
{
    size_t n = (1 << 20) + 1;
    char *text = malloc(n);
    ae_recipe *r;
    ae_error err = {0};

    (void)state;
    memset(text, '#', n);
    assert_int_equal(ae_recipe_parse(text, n, NULL, &r, &err), AE_ERR_LIMIT);
    for (size_t i = 0; i < n; i++)
        text[i] = "[,"[i % 2];
    assert_int_not_equal(ae_recipe_parse(text, n - 1, NULL, &r, &err), AE_OK);
    memset(text, '-', n);
    for (size_t i = 1; i < n; i += 2)
        text[i] = '\n';
    assert_int_not_equal(ae_recipe_parse(text, n - 1, NULL, &r, &err), AE_OK);
    free(text);
}

static void files(void **state)
{
    ae_recipe *r;
    ae_error err = {0};
    char *text;

    (void)state;
    assert_int_equal(
        ae_recipe_load(AE_BUILD_MODELS "/recipes/balanced.yaml", NULL, &r, &text, &err), AE_OK);
    assert_string_equal(r->name, "balanced");
    assert_true(!strncmp(text, "recipe: 1\n", 10) && text[strlen(text) - 1] == '\n');
    ae_free(text);
    ae_recipe_free(r);
    assert_int_equal(ae_recipe_load(AE_BUILD_MODELS, NULL, &r, &text, &err), AE_ERR_IO);
    assert_string_equal(err.message, AE_BUILD_MODELS ": is a directory");
    assert_int_equal(ae_recipe_load(AE_BUILD_MODELS "/absent.yaml", NULL, &r, NULL, &err),
                     AE_ERR_IO);
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(ae_recipe_load("/dev/null", NULL, &r, NULL, &err), AE_ERR_IO);
    assert_int_equal(ae_recipe_load(AE_BUILD_MODELS "/recipes/balanced.yaml",
                                    &(ae_limits){.max_file = 20}, &r, NULL, &err),
                     AE_ERR_LIMIT);
    assert_non_null(strstr(err.message, "max_file"));
    assert_null(r);
}

static void every_allocation_fails_once(void **state)
{
    static const char text[] = GOOD "loss: [{kind: l1}]\n";

    (void)state;
    for (uint64_t n = 1;; n++) {
        ae_recipe *r = NULL;
        ae_status st;

        ae_alloc_fail_at(n);
        st = ae_recipe_parse(text, sizeof(text) - 1, NULL, &r, NULL);
        ae_alloc_fail_at(0);
        ae_recipe_free(r);
        if (st == AE_OK) {
            assert_true(n > 8);
            break;
        }
        assert_int_equal(st, AE_ERR_NOMEM);
        assert_null(r);
    }
}

#define SOUND(keys, input)                                                                         \
    "recipe: 1\nname: t\ntask: denoise\nsound: " keys "\nnetworks:\n  - name: n\n    inputs:\n"    \
    "      - {name: image, channels: 1, width: 32}\n" input                                        \
    "    layers:\n      - {op: conv, from: [image], out: 1}\n"

static void test_sound(void **state)
{
    ae_recipe *r = parse(SOUND("{bands: 32, linear: 16, rate: 16000, snr: [-5.5, 40], music: 0.5}",
                               "      - {name: place, channels: 1, width: 32}\n"));
    static const char *const bad[] = {
        SOUND("{bands: 32}", ""),
        SOUND("{bands: 32, linear: 32}", ""),
        SOUND("{bands: 64, linear: 16}", ""),
        SOUND("{bands: 32, linear: 16, hop: 0.02}", ""),
        SOUND("{bands: 32, linear: 16, snr: [5, -5]}", ""),
        SOUND("{bands: 32, linear: 16, loud: 1}", ""),
        SOUND("{bands: 32, linear: 16}", "      - {name: level, channels: 1}\n"),
        SOUND("{bands: 32, linear: 16}\nresidual: true", ""),
        SOUND("{bands: 32, linear: 16}\ncorruption: [{kind: jpeg, quality: "
              "[1, 2]}]",
              "")};

    (void)state;
    assert_true(r->sound.bands == 32 && r->sound.linear == 16 && r->sound.rate == 16000 &&
                r->sound.snr_min == -5.5f);
    assert_true(r->sound.snr_max == 40 && r->sound.music == 0.5f && r->sound.window == 0.032f &&
                r->sound.power == 0.3f);
    ae_recipe_free(r);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ae_error error = {0};

        assert_int_equal(ae_recipe_parse(bad[i], strlen(bad[i]), NULL, &r, &error),
                         AE_ERR_MALFORMED);
        if (!strstr(error.message, "sound") && !strstr(error.message, "snr") &&
            !strstr(error.message, "input"))
            fail_msg("%zu: %s", i, error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),   cmocka_unit_test(defaults),
        cmocka_unit_test(every_key),    cmocka_unit_test(causal_padding),
        cmocka_unit_test(tied_weights), cmocka_unit_test(gates),
        cmocka_unit_test(refusals),     cmocka_unit_test(oversized),
        cmocka_unit_test(files),        cmocka_unit_test(every_allocation_fails_once),
    };

    return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
