/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_GRAPH_FIELD_H
#define AEI_GRAPH_FIELD_H

#include "ae/graph.h"

/* What one node costs, per pixel of the first input (fixed sizes: per item), and its height and
 * width over that input's where those are free, else 0. */
typedef struct aei_cost {
    double macs, rows, columns;
} aei_cost;

/* Fills stride, field and macs of a graph whose nodes have been checked. shapes: as from
 * aei_graph_infer with free sizes 0. costs: n_nodes entries, or NULL. */
ae_status aei_graph_measure(ae_graph *graph, const ae_shape *shapes, aei_cost *costs, int32_t *node,
                            ae_error *err);

/* The inputs of a node, the added one included: how many, and which. */
uint32_t aei_node_inputs(const ae_node *n, uint32_t to[AE_MAX_FROM + 1]);

/* How far beyond a block of whole strides, in strides, a node reads what its inputs are, so that
 * the outputs are right within the block; and a node's pixels a stride (0: of fixed size). Down,
 * then across. */
typedef struct aei_reads {
    uint32_t margin[2], period[2];
} aei_reads;

/* stride: of each axis. reads: n_nodes entries. */
ae_status aei_graph_reads(const ae_graph *graph, uint32_t stride[2], aei_reads *reads,
                          ae_error *err);

#endif
