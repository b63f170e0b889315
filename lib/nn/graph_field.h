/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_GRAPH_FIELD_H
#define AEI_GRAPH_FIELD_H

#include "ae/graph.h"

/* What one node costs, per pixel of the first input (fixed sizes: per item), and its height and width over that input's where
 * those are free, else 0. */
typedef struct aei_cost { double macs, rows, columns; } aei_cost;

/* Fills stride, field and macs of a graph whose nodes have been checked. shapes: as from aei_graph_infer with free sizes 0.
 * costs: n_nodes entries, or NULL. */
ae_status aei_graph_measure(ae_graph *graph, const ae_shape *shapes, aei_cost *costs, int32_t *node, ae_error *err);

#endif
