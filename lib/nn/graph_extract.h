/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_GRAPH_EXTRACT_H
#define AEI_GRAPH_EXTRACT_H

#include "ae/graph.h"

typedef struct aei_part {
    /* nodes whose values are given: they become inputs; none where n_from is 0 */
    const uint32_t *from;
    uint32_t n_from;
    const uint32_t *to; /* nodes that become the outputs, in this order */
    uint32_t n_to;
    /* of the whole graph's nodes: inputs get the sizes that they have there. Needed with n_from;
     * NULL: as * they are */
    const ae_shape *shapes;
} aei_part;

/* The part of a checked graph that some of its nodes depend on, checked; freed with ae_graph_free.
 * Inputs of the graph that it depends on beside what is given stay inputs; all inputs stand in the
 * order of the graph. node_map (may be NULL): graph->n_nodes entries, the node's index in *out or
 * UINT32_MAX where it is left out. On failure *out is empty. */
ae_status aei_graph_part(const ae_graph *graph, const aei_part *part, ae_graph *out,
                         uint32_t *node_map, ae_error *err);
/* The same from the graph's inputs. */
ae_status aei_graph_extract(const ae_graph *graph, const uint32_t *outputs, uint32_t n,
                            ae_graph *out, uint32_t *node_map, ae_error *err);
/* Takes the parameters of such a part out of those of the whole, both flat: tensors keep their
 * names. *to: an ae_alloc array. */
ae_status aei_graph_extract_values(const ae_graph *graph, const float *values, const ae_graph *part,
                                   float **to, ae_error *err);

#endif
