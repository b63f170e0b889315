/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Parts of graphs: what lies between some nodes, which become inputs, and others, which become
 * outputs. */
#include "nn/graph_extract.h"

#include <string.h>

enum { LEFT_OUT = 0, NEEDED = 1 };

static ae_status check_lists(const ae_graph *graph, const aei_part *part, ae_error *err)
{
    if (!part->n_to || part->n_to > AE_MAX_FROM || part->n_from > AE_MAX_FROM)
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "part of a network: from %u layers to %u, expected up to %d", part->n_from,
                       part->n_to, AE_MAX_FROM);
    for (uint32_t i = 0; i < part->n_from + part->n_to; i++)
        if ((i < part->n_from ? part->from[i] : part->to[i - part->n_from]) >= graph->n_nodes)
            return ae_fail(err, AE_ERR_ARGUMENT, "part of a network: from or to what is no layer");
    return AE_OK;
}

static bool is_given(const aei_part *part, uint32_t node)
{
    for (uint32_t i = 0; i < part->n_from; i++)
        if (part->from[i] == node)
            return true;
    return false;
}

/* Marks what the outputs depend on; what is given depends on nothing. */
static void mark(const ae_graph *graph, const aei_part *part, uint32_t *map)
{
    for (uint32_t i = 0; i < part->n_to; i++)
        map[part->to[i]] = NEEDED;
    for (uint32_t i = graph->n_nodes; i-- > 0;) {
        const ae_node *node = &graph->nodes[i];

        if (map[i] == LEFT_OUT || is_given(part, i))
            continue;
        for (uint32_t k = 0; k < node->n_from; k++)
            map[node->from[k]] = NEEDED;
        if (node->add >= 0)
            map[node->add] = NEEDED;
    }
}

/* Inputs, be they so already or given from now on, have the sizes that they have in the whole. */
static void make_input(ae_node *node, ae_shape shape)
{
    ae_node input = {
        .op = AE_OP_INPUT, .add = -1, .out = node->out, .height = shape.h, .width = shape.w};

    memcpy(input.name, node->name, sizeof(input.name));
    *node = input;
}

ae_status aei_graph_part(const ae_graph *graph, const aei_part *part, ae_graph *out,
                         uint32_t *node_map, ae_error *err)
{
    uint32_t *map = ae_alloc(graph->n_nodes, sizeof(*map));
    ae_status st;

    *out = (ae_graph){.nodes = ae_alloc(graph->n_nodes, sizeof(*out->nodes)),
                      .n_outputs = part->n_to};
    if (!map || !out->nodes) {
        st = ae_fail(err, AE_ERR_NOMEM, "part of a network of %u layers", graph->n_nodes);
        goto done;
    }
    if ((st = check_lists(graph, part, err)) != AE_OK)
        goto done;
    mark(graph, part, map);
    for (uint32_t i = 0; i < part->n_from; i++)
        if (map[part->from[i]] == LEFT_OUT) {
            st = ae_fail(err, AE_ERR_ARGUMENT, "layer %s: nothing that is wanted depends on it",
                         graph->nodes[part->from[i]].name);
            goto done;
        }
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        ae_node *node = &out->nodes[out->n_nodes];

        if (map[i] == LEFT_OUT) {
            map[i] = UINT32_MAX;
            continue;
        }
        *node = graph->nodes[i];
        if (part->shapes && (node->op == AE_OP_INPUT || is_given(part, i)))
            make_input(node, part->shapes[i]);
        /* begins as what may be left out; its values are there already */
        if (node->op == AE_OP_EMBED)
            node->init = AE_INIT_HE;
        for (uint32_t k = 0; k < node->n_from; k++)
            node->from[k] = map[node->from[k]];
        if (node->add >= 0)
            node->add = (int32_t)map[node->add];
        map[i] = out->n_nodes++;
    }
    for (uint32_t i = 0; i < part->n_to; i++)
        out->outputs[i] = map[part->to[i]];
    st = ae_graph_check(out, err);
    if (st == AE_OK && node_map)
        memcpy(node_map, map, graph->n_nodes * sizeof(*map));
done:
    if (st != AE_OK)
        ae_graph_free(out);
    ae_free(map);
    return st;
}

ae_status aei_graph_extract(const ae_graph *graph, const uint32_t *outputs, uint32_t n,
                            ae_graph *out, uint32_t *node_map, ae_error *err)
{
    aei_part part = {.to = outputs, .n_to = n};

    return aei_graph_part(graph, &part, out, node_map, err);
}

ae_status aei_graph_extract_values(const ae_graph *graph, const float *values, const ae_graph *part,
                                   float **to, ae_error *err)
{
    ae_param *all = NULL, *own = NULL;
    uint32_t n_all, n_own, k;
    size_t n_floats;
    ae_status st;

    *to = NULL;
    if ((st = ae_graph_params(graph, &all, &n_all, &n_floats, err)) != AE_OK ||
        (st = ae_graph_params(part, &own, &n_own, &n_floats, err)) != AE_OK)
        goto done;
    *to = ae_alloc(n_floats, sizeof(**to));
    if (!*to) {
        st = ae_fail(err, AE_ERR_NOMEM, "%zu parameters", n_floats);
        goto done;
    }
    for (uint32_t i = 0; i < n_own; i++) {
        for (k = 0; k < n_all && strcmp(all[k].name, own[i].name) != 0; k++)
            ;
        if (k == n_all || all[k].count != own[i].count) {
            st = ae_fail(err, AE_ERR_ARGUMENT, "parameters %s: not of this network", own[i].name);
            goto done;
        }
        memcpy(*to + own[i].offset, values + all[k].offset, own[i].count * sizeof(**to));
    }
done:
    if (st != AE_OK) {
        ae_free(*to);
        *to = NULL;
    }
    ae_free(all);
    ae_free(own);
    return st;
}
