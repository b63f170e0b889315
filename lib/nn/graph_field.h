/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_GRAPH_FIELD_H
#define AEI_GRAPH_FIELD_H

#include "ae/graph.h"

/* Fills stride, field and macs of a graph whose nodes have been checked. shapes: as from aei_graph_infer with free sizes 0. */
ae_status aei_graph_measure(ae_graph *graph, const ae_shape *shapes, int32_t *node, ae_error *err);

#endif
