/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_RESIZE_H
#define AEI_RESIZE_H

#include "ae/recipe.h"

/* Resampling exactly as MATLAB's imresize: kernels (bicubic with a = -1/2) widened where the
 * picture shrinks (antialiasing), edges extended symmetrically. Pictures are interleaved h x w x c,
 * dense; `from` and `to` may not overlap. `scratch` holds aei_resize_scratch bytes and is aligned
 * for floats and doubles. Edges at least 1. */
void aei_resize(ae_filter filter, const float *from, uint32_t h, uint32_t w, uint32_t c, float *to,
                uint32_t out_h, uint32_t out_w, void *scratch);
/* for any filter */
size_t aei_resize_scratch(uint32_t h, uint32_t w, uint32_t c, uint32_t out_h, uint32_t out_w);

/* The filter along one axis: pixel x of n_out is the sum of `taps` of n pixels, from `first`
 * (returned) on, each mirrored and times its weight. */
uint32_t aei_filter_taps(ae_filter filter, uint32_t n, uint32_t n_out);
int64_t aei_filter_weights(ae_filter filter, uint32_t n, uint32_t n_out, uint32_t x,
                           double *weights);
uint32_t aei_mirror_whole(int64_t i, uint32_t n); /* ... a b c | c b a | a b c ... */

#endif
