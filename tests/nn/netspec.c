/* SPDX-License-Identifier: BSD-2-Clause */
#include "netspec.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "nn/acts.h"

static ae_act act_of(const char *name)
{
    for (int act = AE_ACT_NONE; strcmp(ae_act_name((ae_act)act), "?") != 0; act++)
        if (!strcmp(ae_act_name((ae_act)act), name))
            return (ae_act)act;
    fail_msg("netspec: \"%s\" unknown", name);
    return AE_ACT_NONE;
}

static ae_op op_of(const char *name)
{
    for (int op = AE_OP_INPUT; strcmp(ae_op_name((ae_op)op), "?") != 0; op++)
        if (!strcmp(ae_op_name((ae_op)op), name))
            return (ae_op)op;
    fail_msg("netspec: \"%s\" unknown", name);
    return AE_OP_ACT;
}

static void set_pair(uint32_t pair[2], const char *text)
{
    if (sscanf(text, "%ux%u", &pair[0], &pair[1]) == 1)
        pair[1] = pair[0];
}

static uint32_t set_list(uint32_t *list, char *text)
{
    uint32_t count = 0;

    for (char *s, *item = strtok_r(text, ",", &s); item && count < AE_MAX_FROM;
         item = strtok_r(NULL, ",", &s))
        list[count++] = (uint32_t)atoi(item);
    return count;
}

static void set_key(const ae_graph *graph, ae_node *node, const char *key, char *value,
                    bool *padded)
{
    const struct {
        const char *key;
        uint32_t *field;
    } numbers[] = {
        {"c", &node->out},       {"g", &node->groups}, {"f", &node->factor},
        {"first", &node->first}, {"h", &node->height}, {"w", &node->width},
    };
    const struct {
        const char *key;
        uint32_t *field;
    } pairs[] = {
        {"k", node->kernel},
        {"s", node->stride},
        {"d", node->dilation},
        {"p", node->pad},
    };

    if (!strcmp(key, "init")) {
        node->init = (ae_init)atoi(value);
        return;
    }
    if (!strcmp(key, "transposed")) {
        node->transposed = atoi(value) != 0;
        return;
    }
    if (!strcmp(key, "causal")) {
        node->causal = atoi(value) != 0;
        return;
    }
    if (!strcmp(key, "parity")) {
        node->parity = (ae_parity)atoi(value);
        return;
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (!strcmp(key, numbers[i].key)) {
            *numbers[i].field = (uint32_t)atoi(value);
            return;
        }
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
        if (!strcmp(key, pairs[i].key)) {
            set_pair(pairs[i].field, value);
            *padded |= *key == 'p';
            return;
        }
    if (!strcmp(key, "from"))
        node->n_from = set_list(node->from, value);
    else if (!strcmp(key, "add"))
        node->add = atoi(value);
    else if (!strcmp(key, "v"))
        node->value = (float)atof(value);
    else if (!strcmp(key, "slope"))
        node->slope = (float)atof(value);
    else if (!strcmp(key, "bias"))
        node->bias = atoi(value) != 0;
    else if (!strcmp(key, "act"))
        node->act = act_of(value);
    else if (!strcmp(key, "param"))
        strcpy(node->param, graph->nodes[atoi(value)].param);
    else
        fail_msg("netspec: key \"%s\" unknown", key);
}

ae_graph net_graph(const char *spec)
{
    ae_graph graph = {0};
    ae_error err = {0};
    char *text = strdup(spec), *s, *t;

    assert_non_null(text);
    graph.nodes = ae_alloc(64, sizeof(ae_node));
    assert_non_null(graph.nodes);
    for (char *line = strtok_r(text, ";", &s); line; line = strtok_r(NULL, ";", &s)) {
        uint32_t at = graph.n_nodes;
        ae_node *node = &graph.nodes[at];
        char *word = strtok_r(line, " ", &t);
        bool outputs = !strcmp(word, "outputs"), padded = false;

        assert_true(at < 64);
        *node = (ae_node){.add = -1,
                          .slope = 0.1f,
                          .factor = 2,
                          .groups = 1,
                          .kernel = {2, 2},
                          .dilation = {1, 1},
                          .bias = true};
        snprintf(node->name, sizeof(node->name), "n%u", at);
        strcpy(node->param, node->name);
        node->op = outputs ? AE_OP_ACT : op_of(word);
        if (node->op != AE_OP_INPUT) {
            node->n_from = 1;
            node->from[0] = at - 1;
        }
        if (node->op == AE_OP_CONV)
            node->kernel[0] = node->kernel[1] = 3;
        node->value = node->op == AE_OP_SCALE ? 1 : 0.5f;
        while ((word = strtok_r(NULL, " ", &t))) {
            char *value = strchr(word, '=');

            assert_non_null(value);
            *value++ = 0;
            set_key(&graph, node, word, value, &padded);
        }
        for (int i = 0; i < 2; i++) {
            if (!node->stride[i])
                node->stride[i] = node->op == AE_OP_CONV     ? 1
                                  : node->op == AE_OP_DECONV ? 2
                                                             : node->kernel[i];
            if (!padded && node->op == AE_OP_CONV)
                node->pad[i] = node->dilation[i] * (node->kernel[i] - 1) /
                               (node->causal && !i ? 1 : 2);
        }
        graph.n_nodes += !outputs;
        graph.n_outputs = 1;
        graph.outputs[0] = at;
        if (outputs) {
            graph.n_outputs = node->n_from;
            memcpy(graph.outputs, node->from, sizeof(node->from));
        }
    }
    free(text);
    if (ae_graph_check(&graph, &err) != AE_OK)
        fail_msg("%s: %s", spec, err.message);
    return graph;
}

bool net_has(const ae_graph *graph, ae_op op)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].op == op)
            return true;
    return false;
}

bool net_is_random(const ae_graph *graph)
{
    return net_has(graph, AE_OP_BATCHNORM) || net_has(graph, AE_OP_DROPOUT) ||
           net_has(graph, AE_OP_GAUSSIAN) || net_has(graph, AE_OP_BITS) ||
           net_has(graph, AE_OP_NOISE);
}

/* Distance of the largest element of each window to the next smaller one, the least over all
 * windows. */
static double pool_clearance(const aei_ref_node *v)
{
    const ae_node *p = v->node;
    double least = INFINITY;

    for (size_t o = 0; o < aei_ref_count(v->out); o++) {
        size_t c = o % v->out.c, ox = o / v->out.c % v->out.w,
               oy = o / v->out.c / v->out.w % v->out.h;
        size_t n = o / v->out.c / v->out.w / v->out.h;

        for (uint32_t k = 0; k < p->kernel[0] * p->kernel[1]; k++) {
            int64_t y = (int64_t)(oy * p->stride[0] + k / p->kernel[1]) - p->pad[0];
            int64_t x = (int64_t)(ox * p->stride[1] + k % p->kernel[1]) - p->pad[1];

            if (y >= 0 && y < v->in[0].h && x >= 0 && x < v->in[0].w) {
                double gap =
                    v->y[o] -
                    v->x[0]
                        [((n * v->in[0].h + (size_t)y) * v->in[0].w + (size_t)x) * v->in[0].c + c];

                if (gap > 0) /* equals are the element itself, or alike by construction */
                    least = fmin(least, gap);
            }
        }
    }
    return least;
}

/* How near element k of a quantisation comes to a half, in steps. */
static double rounding_clearance(const aei_ref_node *v, size_t k)
{
    size_t c = v->out.c, picture = k / c / v->out.w / v->out.h;
    size_t mean = v->in[1].h * v->in[1].w == v->out.h * v->out.w ? k : picture * c + k % c;
    size_t step = v->in[2].h * v->in[2].w == v->out.h * v->out.w ? k : picture * c + k % c;
    double w = (v->x[0][k] - v->x[1][mean]) / exp2(v->x[2][step]);

    return 0.5 - fabs(remainder(w, 1));
}

/* Of the largest over the one after it. */
static double lead(const double *x, uint32_t n)
{
    double first = -INFINITY, second = -INFINITY;

    for (uint32_t i = 0; i < n; i++) {
        second = fmax(second, fmin(first, x[i]));
        first = fmax(first, x[i]);
    }
    return first - second;
}

/* How near the values of a run come to a kink. */
static double clearance(const aei_ref *ref)
{
    double least = INFINITY;

    for (uint32_t i = 0; i < ref->n_nodes; i++) {
        const aei_ref_node *v = &ref->nodes[i];

        if (v->node->op == AE_OP_MAXPOOL)
            least = fmin(least, pool_clearance(v));
        for (size_t k = 0; k < aei_ref_count(v->out); k++) {
            for (int side = 0; side < 2; side++) /* no kink is NAN, which fmin passes over */
                least = fmin(least, fabs(v->y[k] - aei_act_info_of(v->node->act)->kinks[side]));
            if (v->node->op == AE_OP_ROUND)
                least = fmin(least, 0.5 - fabs(v->x[0][k] - v->y[k]));
            if (v->node->op == AE_OP_GATHER)
                least = fmin(least, 0.5 - fabs(remainder(v->x[0][k / v->out.c], 1)));
            if (v->node->op == AE_OP_ARGMAX)
                least = fmin(least, lead(v->x[0] + k * v->in[0].c, v->in[0].c));
            if (v->node->op == AE_OP_QUANTISE)
                least = fmin(least, rounding_clearance(v, k));
            if (v->node->op == AE_OP_EMBED)
                least = fmin(least,
                             fabs(remainder(v->x[0][k / v->out.c] * (v->node->factor - 1), 1)));
        }
    }
    return least;
}

/* The nearest number of 8 significant bits. */
static double to_bf16(double x)
{
    int exponent;
    double mantissa = frexp(x, &exponent);

    return ldexp(rint(mantissa * 256), exponent - 8);
}

/* Normals, exact in f32 (in bf16 where wanted). */
static void fill(aei_rng *rng, double *to, size_t n, double mean, double deviation, int flags)
{
    for (size_t i = 0; i < n; i++) {
        double x = (double)(float)(mean + deviation * (double)aei_rng_normal(rng));

        to[i] = flags & NET_ROUND_BF16 ? to_bf16(x) : x;
    }
}

static void draw_values(test_net *net, uint64_t try, int flags)
{
    aei_rng rng = aei_rng_make(net->seed, try, 1);

    for (uint32_t i = 0; i < net->n_params; i++) {
        const ae_param *p = &net->params[i];
        const ae_node *node = &net->graph.nodes[p->node];
        bool vector = p->n_dims == 1;
        double fan_in = node->op == AE_OP_DECONV ? (double)p->dims[0] / 4
                        : vector                 ? 1
                                                 : (double)(p->count / p->dims[0]);

        if (strstr(p->name, ".variance"))
            for (size_t k = 0; k < p->count; k++)
                net->flat[p->offset + k] = (double)aei_rng_range(&rng, 0.5f, 2);
        else if (vector)
            fill(&rng, net->flat + p->offset, p->count, strstr(p->name, ".weight") ? 1 : 0, 0.25,
                 flags);
        else
            fill(&rng, net->flat + p->offset, p->count, 0, 1 / sqrt(fan_in), flags);
    }
    for (uint32_t i = 0, k = 0; i < net->graph.n_nodes; i++)
        if (net->graph.nodes[i].op == AE_OP_INPUT)
            fill(&rng, net->inputs[k++], aei_ref_count(net->ref->nodes[i].out), 0.25, 1, flags);
    for (uint32_t i = 0; i < net->graph.n_nodes; i++)
        if (net->d_values[i])
            fill(&rng, net->d_values[i], aei_ref_count(net->ref->nodes[i].out), 0, 1, flags);
}

test_net net_make(const char *spec, uint32_t n, uint32_t h, uint32_t w, uint64_t seed, int flags)
{
    test_net net = {.seed = seed, .graph = net_graph(spec)};
    ae_error err = {0};
    double clear = 0;

    if (aei_ref_create(&net.graph, n, h, w, &net.ref, &err) != AE_OK ||
        ae_graph_params(&net.graph, &net.params, &net.n_params, &net.n_floats, &err) != AE_OK)
        fail_msg("%s: %s", spec, err.message);
    net.flat = ae_alloc(net.n_floats, sizeof(double));
    net.gradient = ae_alloc(net.n_floats, sizeof(double));
    net.d_values = ae_alloc(net.graph.n_nodes, sizeof(double *));
    assert_non_null(net.flat);
    assert_non_null(net.gradient);
    assert_non_null(net.d_values);
    for (uint32_t i = 0; i < net.graph.n_nodes; i++)
        if (net.graph.nodes[i].op == AE_OP_INPUT) {
            assert_true(net.n_inputs < AE_MAX_FROM);
            net.inputs[net.n_inputs++] = ae_alloc(aei_ref_count(net.ref->nodes[i].out),
                                                  sizeof(double));
        }
    for (uint32_t i = 0; i < net.graph.n_outputs; i++)
        if (!net.d_values[net.graph.outputs[i]])
            net.d_values[net.graph.outputs[i]] = ae_alloc(
                aei_ref_count(net.ref->nodes[net.graph.outputs[i]].out), sizeof(double));
    for (uint64_t try = 0; !(clear > 1e-5); try++) {
        assert_true(try < 200);
        draw_values(&net, try, flags);
        aei_ref_forward(net.ref, net.flat, (const double *const *)net.inputs, true, seed);
        clear = flags & NET_ROUND_BF16 ? INFINITY : clearance(net.ref);
    }
    aei_ref_backward(net.ref, (const double *const *)net.d_values, net.gradient);
    return net;
}

void net_free(test_net *net)
{
    for (uint32_t i = 0; i < net->graph.n_nodes; i++)
        ae_free(net->d_values[i]);
    for (uint32_t i = 0; i < net->n_inputs; i++)
        ae_free(net->inputs[i]);
    ae_free(net->d_values);
    ae_free(net->flat);
    ae_free(net->gradient);
    ae_free(net->params);
    aei_ref_free(net->ref);
    ae_graph_free(&net->graph);
}
