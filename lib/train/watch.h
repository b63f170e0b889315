/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_WATCH_H
#define AEI_WATCH_H

#include "ae/graph.h"
#include "ae/model.h"

/* What a look at a network's layers found. */
typedef struct aei_ailing {
    uint32_t node;
    bool exploded; /* else it died: */
    /* so many of its channels let no gradient through, whatever comes in */
    uint32_t n_dead, n_units;
    double size; /* root of the mean square of its values; NaN: they are not finite */
} aei_ailing;

/* Runs a graph with these parameters on n samples of h x w pixels and tells of every layer, but
 * those marked in `known` (n_nodes of them, set for what is told), most of whose units are dead, or
 * whose values are far beyond its inputs'. Few positions say nothing of dead units. inputs: as of
 * aei_run_forward, n samples or more. */
ae_status aei_watch(const ae_graph *graph, ae_precision precision, uint32_t n, uint32_t h,
                    uint32_t w, const float *values, const float *const *inputs, bool *known,
                    void *opaque, void (*tell)(void *opaque, const aei_ailing *what),
                    ae_error *err);

#endif
