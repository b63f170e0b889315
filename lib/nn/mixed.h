/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_MIXED_H
#define AEI_MIXED_H

#include "ae/graph.h"

/* A graph with its casts. Nodes that were not in the original have neither name nor parameters of
 * their own. */
typedef struct aei_mixed {
    ae_graph graph;   /* not to be checked again */
    uint32_t *map;    /* for each node of the original its place here */
    uint32_t *origin; /* and back */
    uint8_t *wide;    /* of each node here: f32 in a plan of bf16 */
} aei_mixed;

/* whether any part of it computes in f32 at any precision */
bool aei_mixed_wanted(const ae_graph *graph);
ae_status aei_mixed_create(const ae_graph *graph, aei_mixed *out, ae_error *err);
void aei_mixed_free(aei_mixed *mixed); /* an empty one is fine */

#endif
