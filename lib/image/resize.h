/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_RESIZE_H
#define AEI_RESIZE_H

#include "ae/recipe.h"

/* Resampling exactly as MATLAB's imresize: kernels (bicubic with a = -1/2) widened where the picture shrinks (antialiasing), edges
 * extended symmetrically. Pictures are interleaved h x w x c, dense; `from` and `to` may not overlap. `scratch` holds
 * aei_resize_scratch bytes and is aligned for floats and doubles. Edges at least 1. */
void aei_resize(ae_filter filter, const float *from, uint32_t h, uint32_t w, uint32_t c, float *to, uint32_t out_h, uint32_t out_w,
                void *scratch);
size_t aei_resize_scratch(uint32_t h, uint32_t w, uint32_t c, uint32_t out_h, uint32_t out_w); /* for any filter */

#endif
