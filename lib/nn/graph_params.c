/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Parameters of graphs and their initial values. */
#include "core/rng.h"
#include "nn/graph_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FLOATS = 1 << 28 };

static void set_param(ae_param *p, const ae_graph *graph, uint32_t node, const char *what, uint32_t n_dims, const uint32_t *dims)
{
    *p = (ae_param){.node = node, .n_dims = n_dims, .count = 1, .trainable = true};
    snprintf(p->name, sizeof(p->name), "%s.%s", graph->nodes[node].param, what);
    for (uint32_t i = 0; i < n_dims; i++) {
        p->dims[i] = dims[i];
        p->count *= dims[i];
    }
}

uint32_t aei_node_params(const ae_graph *graph, uint32_t node, ae_shape in, ae_param params[4])
{
    const ae_node *n = &graph->nodes[node];
    uint32_t conv[4] = {n->out, n->groups ? in.c / n->groups : 0, n->kernel[0], n->kernel[1]};
    uint32_t deconv[4] = {in.c, n->groups ? n->out / n->groups : 0, n->kernel[0], n->kernel[1]};
    uint32_t dense[2] = {n->out, in.h * in.w * in.c}, channels[1] = {n->out}, count = 1;

    switch (n->op) {
    case AE_OP_CONV: set_param(&params[0], graph, node, "weight", 4, conv); break;
    case AE_OP_DECONV: set_param(&params[0], graph, node, "weight", 4, deconv); break;
    case AE_OP_DENSE: set_param(&params[0], graph, node, "weight", 2, dense); break;
    case AE_OP_SCALE: set_param(&params[0], graph, node, "weight", 1, channels); return 1;
    case AE_OP_BATCHNORM:
    case AE_OP_LAYERNORM:
        set_param(&params[0], graph, node, "weight", 1, channels);
        set_param(&params[1], graph, node, "bias", 1, channels);
        if (n->op == AE_OP_LAYERNORM)
            return 2;
        set_param(&params[2], graph, node, "mean", 1, channels);
        set_param(&params[3], graph, node, "variance", 1, channels);
        params[2].trainable = params[3].trainable = false;
        return 4;
    default: return 0;
    }
    params[0].decay = true;
    if (n->bias)
        set_param(&params[count++], graph, node, "bias", 1, channels);
    return count;
}

static bool shared_above(const ae_graph *graph, uint32_t node)
{
    for (uint32_t i = 0; i < node; i++)
        if (graph->nodes[i].op == graph->nodes[node].op && !strcmp(graph->nodes[i].param, graph->nodes[node].param))
            return true;
    return false;
}

ae_status ae_graph_params(const ae_graph *graph, ae_param **params, uint32_t *n_params, size_t *n_floats, ae_error *err)
{
    ae_shape *shapes = ae_alloc(graph->n_nodes, sizeof(*shapes));
    ae_param *list = NULL;
    uint32_t count = 0;
    uint64_t total = 0;
    int32_t node;
    ae_status st = AE_OK;

    *params = NULL;
    *n_params = 0;
    *n_floats = 0;
    list = ae_alloc(graph->n_nodes, 4 * sizeof(*list));
    if (!shapes || !list) {
        st = ae_fail(err, AE_ERR_NOMEM, "parameters of %u layers", graph->n_nodes);
        goto done;
    }
    if ((st = aei_graph_infer(graph, 1, 0, 0, shapes, &node, err)) != AE_OK)
        goto done;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        uint32_t n = aei_node_params(graph, i, shapes[graph->nodes[i].from[0]], list + count);

        if (!n || shared_above(graph, i))
            continue;
        for (uint32_t k = 0; k < n; k++) {
            list[count + k].offset = total;
            total += list[count + k].count;
            if (list[count + k].count > MAX_FLOATS || total > MAX_FLOATS) {
                st = ae_fail(err, AE_ERR_LIMIT, "layer %s: the network has more than %d parameters", graph->nodes[i].name, MAX_FLOATS);
                goto done;
            }
        }
        count += n;
    }
    *params = list;
    *n_params = count;
    *n_floats = (size_t)total;
    list = NULL;
done:
    ae_free(list);
    ae_free(shapes);
    return st;
}

/* Nearly normal, of unit variance: twelve 16-bit uniforms summed. Integers and one exact scaling, so that every machine draws the same,
 * which logf and cosf do not promise. */
static float unit_draw(aei_rng *rng)
{
    int32_t sum = 0;

    for (int i = 0; i < 3; i++) {
        uint64_t u = aei_rng_u64(rng);

        sum += (int32_t)(u & 0xffff) + (int32_t)(u >> 16 & 0xffff) + (int32_t)(u >> 32 & 0xffff) + (int32_t)(u >> 48);
    }
    return ((float)sum - 12 * 32767.5f) * 0x1p-16f;
}

static void init_weight(const ae_node *n, const ae_param *p, aei_rng *rng, float *w)
{
    bool rectified = n->act == AE_ACT_RELU || n->act == AE_ACT_LEAKY || n->act == AE_ACT_SILU || n->act == AE_ACT_GELU;
    double fan_in = (double)(p->count / p->dims[0]);
    float deviation;

    if (n->init == AE_INIT_ZERO)
        return;
    if (n->init == AE_INIT_IDENTITY) {
        uint32_t per_group = p->dims[1], area = p->dims[2] * p->dims[3];
        uint32_t centre = (p->dims[2] - 1) / 2 * p->dims[3] + (p->dims[3] - 1) / 2;

        for (uint32_t o = 0; o < n->out; o++) {
            uint32_t first = o / (n->out / n->groups) * per_group;

            if (o >= first && o - first < per_group)
                w[((size_t)o * per_group + (o - first)) * area + centre] = 1;
        }
        return;
    }
    if (n->op == AE_OP_DECONV) /* on average so many weights meet in an output */
        fan_in = (double)p->dims[0] / n->groups * p->dims[2] * p->dims[3] / n->stride[0] / n->stride[1];
    deviation = (float)sqrt((rectified ? 2 : 1) / fan_in);
    for (size_t i = 0; i < p->count; i++)
        w[i] = deviation * unit_draw(rng);
}

ae_status ae_graph_init(const ae_graph *graph, uint64_t seed, float *values, ae_error *err)
{
    ae_param *params;
    uint32_t n_params;
    size_t n_floats;
    ae_status st = ae_graph_params(graph, &params, &n_params, &n_floats, err);

    if (st != AE_OK)
        return st;
    for (uint32_t i = 0; i < n_params; i++) {
        const ae_param *p = &params[i];
        const ae_node *n = &graph->nodes[p->node];
        const char *what = strrchr(p->name, '.') + 1;
        float *to = values + p->offset, fill = 0;
        aei_rng rng = aei_rng_make(seed, i, 0);

        if (!strcmp(what, "variance") || (!p->decay && !strcmp(what, "weight")))
            fill = n->op == AE_OP_SCALE ? n->value : 1;
        for (size_t k = 0; k < p->count; k++)
            to[k] = fill;
        if (p->decay)
            init_weight(n, p, &rng, to);
    }
    ae_free(params);
    return AE_OK;
}
