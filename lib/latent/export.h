/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the export of a codec graph (doc/codec.md, ae_export), its encoder and its training share.
 */
#ifndef AEI_EXPORT_H
#define AEI_EXPORT_H

#include "ae/graph.h"

enum { AEI_MAX_SOURCES = AE_MAX_FROM };

/* Marks the nodes, n_nodes of them and false before, that decode: what the picture comes from, but
 * for the latents' analysis. */
void aei_export_decoder(const ae_graph *graph, bool *marks);
/* The nodes that latents are made from, crops of them looked through, in the order in which a
 * program of this graph counts them. */
ae_status aei_export_sources(const ae_graph *graph, uint32_t sources[AEI_MAX_SOURCES],
                             uint32_t *n_sources, ae_error *err);

/* For export.c. The node that prices what `quantise` node q makes; NULL: none does. */
const ae_node *aei_export_bits(const ae_graph *graph, const ae_node *q);
/* From *node through crops to what they are cut from, from channel *first on. */
void aei_export_look_through(const ae_graph *graph, uint32_t *node, uint32_t *first);
/* Marks what a decoder computes the marked nodes from. */
void aei_export_mark(const ae_graph *graph, bool *marks);
/* Whether n is the sum of the even and the odd positions of one latent, of which a decoder needs
 * nothing else: it is the later of the two, with the other standing at the other positions. */
bool aei_export_is_pair(const ae_graph *graph, const bool *decoder, const ae_node *n);
/* group[i]: nodes of the decoder that are added, joined or rearranged into one another, and so
 * share an exponent, lead to one of them, which aei_export_find says. */
void aei_export_group(const ae_graph *graph, const bool *decoder, uint32_t *group);
uint32_t aei_export_find(uint32_t *group, uint32_t node);

#endif
