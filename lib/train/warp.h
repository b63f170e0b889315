/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_WARP_H
#define AEI_WARP_H

#include "core/rng.h"

/* Replaces a picture by what an affine map makes of it: moved along and across by normal draws of
 * the deviation `amount`, in pixels, and turned, scaled and sheared so that the middles of its
 * edges move by as much again. Read bilinearly; outside the edge goes on. scratch: h * w * c
 * floats. */
void aei_warp(aei_rng *rng, float *picture, uint32_t h, uint32_t w, uint32_t c, float amount,
              float *scratch);

#endif
