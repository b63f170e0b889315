/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a denoising network is told of the noise, and how far it may go by it. Noise of cameras
 * follows the brightness: the level at a pixel is read from a curve over the brightness about it.
 */
#ifndef AEI_LEVELS_H
#define AEI_LEVELS_H

#include "ae/denoise.h"
#include "ae/recipe.h"

enum { AEI_LEVEL_REACH = 4 }; /* how far from a pixel its level is read */

/* Level maps of h x w pixels of c channels (1 or 3, interleaved, `stride` pixels to the next row):
 * level_c (1: white, 2: luminance and chroma) deviations a pixel, dense, 1.0 = white. Pixels beyond
 * the edge count as the edge's. scratch: aei_level_scratch. */
void aei_level_map(const ae_noise *noise, const float *image, uint32_t h, uint32_t w, uint32_t c,
                   uint32_t level_c, float *level, float *scratch);
size_t aei_level_scratch(uint32_t h, uint32_t w); /* floats */

/* The curve of what `noisy` adds to `clean`, for want of pixels smoothed over the brightness: what
 * an estimator could find out. */
void aei_level_measure(const float *noisy, const float *clean, uint32_t h, uint32_t w, uint32_t c,
                       ae_noise *noise, float *scratch);

/* The bound, in deviations told, on what a network of this recipe may change: the recipe's own, or
 * where it names none that for networks which learned noise alone; 0: none. */
float aei_bound_of(const ae_recipe *recipe);
/* output becomes L s(output / L) for each of n pixels of c channels: s(x) = x / (1 + x^8)^(1/8),
 * and L `bound` times the deviation of a channel as the pixel's levels make it. Where L is 0, so is
 * the output. */
void aei_bound(float bound, const float *level, uint32_t level_c, float *output, uint32_t c,
               size_t n);
/* Multiplies the gradient by the derivative. value: base + what aei_bound made of the output. */
void aei_bound_back(float bound, const float *level, uint32_t level_c, const float *value,
                    const float *base, float *gradient, uint32_t c, size_t n);

#endif
