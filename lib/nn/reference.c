/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Walks a graph in double, node by node, by the definitions of reference_ops.c. */
#include "nn/reference.h"

#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "nn/acts.h"

static double activate(const ae_node *node, double x)
{
    const aei_act_info *info = aei_act_info_of(node->act);

    return info->value ? info->value(x, (double)node->slope) : x;
}

static double derivative(const ae_node *node, double x)
{
    const aei_act_info *info = aei_act_info_of(node->act);

    return info->value ? info->derivative(x, (double)node->slope) : 1;
}

/* Offset of the tensor PARAM.suffix; SIZE_MAX: there is none. */
static size_t find(const ae_param *params, uint32_t n_params, const ae_node *node,
                   const char *suffix)
{
    char name[AE_NAME_MAX + 16];

    bool own = !node->param[0] || (node->transposed && !strcmp(suffix, "bias"));

    snprintf(name, sizeof(name), "%s.%s", own ? node->name : node->param, suffix);
    for (uint32_t i = 0; i < n_params; i++)
        if (!strcmp(params[i].name, name))
            return params[i].offset;
    return SIZE_MAX;
}

ae_status aei_ref_create(const ae_graph *graph, uint32_t n, uint32_t h, uint32_t w, aei_ref **out,
                         ae_error *err)
{
    ae_status st = AE_ERR_NOMEM;
    aei_ref *ref = NULL;
    ae_shape *shapes = NULL;
    ae_param *params = NULL;
    uint32_t n_params;

    *out = NULL;
    if (!(ref = ae_alloc(1, sizeof(*ref))) ||
        !(shapes = ae_alloc(graph->n_nodes, sizeof(*shapes))) ||
        !(ref->nodes = ae_alloc(graph->n_nodes, sizeof(*ref->nodes)))) {
        ae_fail(err, st, "reference of %u nodes", graph->n_nodes);
        goto done;
    }
    ref->graph = graph;
    ref->n_nodes = graph->n_nodes;
    if ((st = ae_graph_shapes(graph, n, h, w, shapes, err)) != AE_OK ||
        (st = ae_graph_params(graph, &params, &n_params, &ref->n_floats, err)) != AE_OK)
        goto done;

    for (uint32_t i = 0; i < ref->n_nodes; i++) {
        aei_ref_node *v = &ref->nodes[i];
        size_t count = aei_ref_count(shapes[i]);

        v->node = &graph->nodes[i];
        if (v->node->op != AE_OP_INPUT && !aei_ref_op_of(v->node->op)) {
            st = ae_fail(err, AE_ERR_UNSUPPORTED, "reference has no operator %s",
                         ae_op_name(v->node->op));
            goto done;
        }
        v->out = shapes[i];
        if (!(v->y = ae_alloc(count, sizeof(double))) ||
            !(v->dy = ae_alloc(count, sizeof(double))) ||
            !(v->value = ae_alloc(count, sizeof(double))) ||
            !(v->d_value = ae_alloc(count, sizeof(double))) ||
            !(v->draw = ae_alloc(count, sizeof(float)))) {
            st = ae_fail(err, AE_ERR_NOMEM, "reference node of %zu samples", count);
            goto done;
        }
        for (uint32_t f = 0; f < v->node->n_from; f++) {
            v->in[f] = shapes[v->node->from[f]];
            v->x[f] = ref->nodes[v->node->from[f]].value;
            v->dx[f] = ref->nodes[v->node->from[f]].d_value;
        }
        v->weight_at = find(params, n_params, v->node, "weight");
        v->recurrent_at = find(params, n_params, v->node, "recurrent");
        v->bias_at = find(params, n_params, v->node, "bias");
        v->mean_at = find(params, n_params, v->node, "mean");
        v->variance_at = find(params, n_params, v->node, "variance");
        ref->n_inputs += v->node->op == AE_OP_INPUT;
    }
    *out = ref;
    ref = NULL;
done:
    aei_ref_free(ref);
    ae_free(shapes);
    ae_free(params);
    return st;
}

void aei_ref_free(aei_ref *ref)
{
    if (!ref)
        return;
    for (uint32_t i = 0; ref->nodes && i < ref->n_nodes; i++) {
        ae_free(ref->nodes[i].y);
        ae_free(ref->nodes[i].dy);
        ae_free(ref->nodes[i].value);
        ae_free(ref->nodes[i].d_value);
        ae_free(ref->nodes[i].draw);
    }
    ae_free(ref->nodes);
    ae_free(ref);
}

static const double *slice(const double *flat, size_t offset)
{
    return offset == SIZE_MAX ? NULL : flat + offset;
}

void aei_ref_forward(aei_ref *ref, const double *flat, const double *const *inputs, bool train,
                     uint64_t seed)
{
    uint32_t input = 0;

    for (uint32_t i = 0; i < ref->n_nodes; i++) {
        aei_ref_node *v = &ref->nodes[i];
        size_t count = aei_ref_count(v->out);
        aei_rng rng = aei_rng_make(seed, i, 0);

        v->train = train;
        v->weight = slice(flat, v->weight_at);
        v->recurrent = slice(flat, v->recurrent_at);
        v->bias = slice(flat, v->bias_at);
        v->mean = slice(flat, v->mean_at);
        v->variance = slice(flat, v->variance_at);
        if (v->node->op == AE_OP_DROPOUT)
            for (size_t k = 0; k < count; k++)
                v->draw[k] = aei_rng_float(&rng) >= v->node->value;
        if (v->node->op == AE_OP_GAUSSIAN)
            aei_rng_normals(&rng, v->draw, count);
        if (v->node->op == AE_OP_NOISE)
            for (size_t k = 0; k < count; k += v->out.c)
                aei_rng_normals(&rng, v->draw + k, v->out.c);
        if (v->node->op == AE_OP_BITS)
            for (size_t k = 0, c = v->out.c; k < count; k++)
                if (aei_ref_counts(v->node->parity, k / c / v->out.w % v->out.h, k / c % v->out.w))
                    v->draw[k] = aei_rng_float(&rng) - 0.5f;

        if (v->node->op == AE_OP_INPUT)
            memcpy(v->y, inputs[input++], count * sizeof(double));
        else
            aei_ref_op_of(v->node->op)->forward(v);
        for (size_t k = 0; k < count; k++) {
            if (v->node->add >= 0)
                v->y[k] += ref->nodes[v->node->add].value[k];
            v->value[k] = activate(v->node, v->y[k]);
        }
    }
}

void aei_ref_backward(aei_ref *ref, const double *const *d_values, double *gradient)
{
    memset(gradient, 0, ref->n_floats * sizeof(double));
    for (uint32_t i = 0; i < ref->n_nodes; i++) {
        aei_ref_node *v = &ref->nodes[i];

        for (size_t k = 0; k < aei_ref_count(v->out); k++)
            v->d_value[k] = d_values[i] ? d_values[i][k] : 0;
        /* non-NULL exactly where the parameter is */
        v->d_weight = v->weight ? gradient + v->weight_at : NULL;
        v->d_recurrent = v->recurrent ? gradient + v->recurrent_at : NULL;
        v->d_bias = v->bias ? gradient + v->bias_at : NULL;
        v->d_mean = v->mean ? gradient + v->mean_at : NULL;
        v->d_variance = v->variance ? gradient + v->variance_at : NULL;
    }
    for (uint32_t i = ref->n_nodes; i-- > 0;) {
        aei_ref_node *v = &ref->nodes[i];

        for (size_t k = 0; k < aei_ref_count(v->out); k++) {
            v->dy[k] = v->d_value[k] * derivative(v->node, v->y[k]);
            if (v->node->add >= 0)
                ref->nodes[v->node->add].d_value[k] += v->dy[k];
        }
        if (v->node->op != AE_OP_INPUT)
            aei_ref_op_of(v->node->op)->backward(v);
    }
}
