/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_GRAPH_TRIM_H
#define AEI_GRAPH_TRIM_H

#include "ae/graph.h"

/* The same network for inputs of h x w whose outermost `trim` pixels, a multiple of its stride,
 * only surround what is wanted: its outputs are without them, the same within, and layers compute
 * no more around than later ones read. For ae_graph_shapes, not to be checked again. Its nodes
 * belong to *out. */
ae_status aei_graph_trim(const ae_graph *graph, uint32_t h, uint32_t w, uint32_t trim,
                         ae_graph *out, ae_error *err);

#endif
