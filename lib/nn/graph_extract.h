/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_GRAPH_EXTRACT_H
#define AEI_GRAPH_EXTRACT_H

#include "ae/graph.h"

/* The part of a checked graph that some of its nodes depend on, with these as outputs, checked; freed with ae_graph_free. node_map
 * (may be NULL): graph->n_nodes entries, the node's index in *out or UINT32_MAX where it is left out. On failure *out is empty. */
ae_status aei_graph_extract(const ae_graph *graph, const uint32_t *outputs, uint32_t n, ae_graph *out, uint32_t *node_map,
                            ae_error *err);
/* Takes the parameters of such a part out of those of the whole, both flat: tensors keep their names. *to: an ae_alloc array. */
ae_status aei_graph_extract_values(const ae_graph *graph, const float *values, const ae_graph *part, float **to, ae_error *err);

#endif
