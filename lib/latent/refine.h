/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Latents of a tile, bettered for the picture at hand: iterative shrinkage (Daubechies, Defrise and
 * De Mol 2004) with the entropy coder as the shrinkage. Symbols are chosen for targets, at first
 * what the analysis made; the gradient of errors and of what the latents tell about one another, at
 * what the decoder will see, says where better targets lie. */
#ifndef AEI_REFINE_H
#define AEI_REFINE_H

#include "latent/coder.h"

typedef struct aei_refining {
    uint32_t quality, effort, rounds;
    ae_precision precision;
    aei_walk *walk;        /* of that quality */
    float *const *targets; /* by source: the tile's, dense, changed */
    float *const *sources; /* of a window of the picture, rows source_w pixels wide */
    const float *picture;  /* the same window */
    uint32_t source_w;
    /* what the network is run on, in pixels of the window: multiples of the stride ... */
    aei_rect seen;
    aei_rect tile;                 /* ... the tile in it, too ... */
    uint32_t visible_w, visible_h; /* ... and how much of that belongs to the picture */
} aei_refining;

ae_status aei_refine(const ae_coder *coder, const aei_refining *job, ae_error *err);

#endif
