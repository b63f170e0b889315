/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the export of a codec graph (doc/codec.md, ae_export), its encoder and its training share. */
#ifndef AEI_EXPORT_H
#define AEI_EXPORT_H

#include "ae/graph.h"

enum { AEI_MAX_SOURCES = AE_MAX_FROM };

/* Marks the nodes, n_nodes of them and false before, that decode: what the picture comes from, but for the latents' analysis. */
void aei_export_decoder(const ae_graph *graph, bool *marks);
/* The nodes that latents are made from, crops of them looked through, in the order in which a program of this graph counts them. */
ae_status aei_export_sources(const ae_graph *graph, uint32_t sources[AEI_MAX_SOURCES], uint32_t *n_sources, ae_error *err);

#endif
