/* SPDX-License-Identifier: BSD-2-Clause */
#include "nn/graph_extract.h"

#include <string.h>

enum { LEFT_OUT = 0, NEEDED = 1 };

ae_status aei_graph_extract(const ae_graph *graph, const uint32_t *outputs, uint32_t n, ae_graph *out, uint32_t *node_map,
                            ae_error *err)
{
    uint32_t *map = ae_alloc(graph->n_nodes, sizeof(*map));
    ae_status st;

    *out = (ae_graph){.nodes = ae_alloc(graph->n_nodes, sizeof(*out->nodes)), .n_outputs = n};
    if (!map || !out->nodes) {
        st = ae_fail(err, AE_ERR_NOMEM, "part of a network of %u layers", graph->n_nodes);
        goto done;
    }
    for (uint32_t i = 0; i < n; i++)
        if (n > AE_MAX_FROM || outputs[i] >= graph->n_nodes) {
            st = ae_fail(err, AE_ERR_ARGUMENT, "part of a network: %u outputs, or one that is no layer", n);
            goto done;
        }
    for (uint32_t i = 0; i < n; i++)
        map[outputs[i]] = NEEDED;
    for (uint32_t i = graph->n_nodes; i-- > 0;) {
        const ae_node *node = &graph->nodes[i];

        if (map[i] == LEFT_OUT)
            continue;
        for (uint32_t k = 0; k < node->n_from; k++)
            map[node->from[k]] = NEEDED;
        if (node->add >= 0)
            map[node->add] = NEEDED;
    }
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        ae_node *node = &out->nodes[out->n_nodes];

        if (map[i] == LEFT_OUT) {
            map[i] = UINT32_MAX;
            continue;
        }
        *node = graph->nodes[i];
        for (uint32_t k = 0; k < node->n_from; k++)
            node->from[k] = map[node->from[k]];
        if (node->add >= 0)
            node->add = (int32_t)map[node->add];
        map[i] = out->n_nodes++;
    }
    for (uint32_t i = 0; i < n; i++)
        out->outputs[i] = map[outputs[i]];
    st = ae_graph_check(out, err);
    if (st == AE_OK && node_map)
        memcpy(node_map, map, graph->n_nodes * sizeof(*map));
done:
    if (st != AE_OK)
        ae_graph_free(out);
    ae_free(map);
    return st;
}

ae_status aei_graph_extract_values(const ae_graph *graph, const float *values, const ae_graph *part, float **to, ae_error *err)
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
