/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Filters on planes of a simulated camera's picture or noise. */
#ifndef AEI_CAMERAFILTER_H
#define AEI_CAMERAFILTER_H

#include <string.h>

#include "image/camera.h"

enum { AEI_CAMERA_RADIUS = 32 }; /* of a Gaussian, at most */

/* Index beyond the ends: wrapped round, or mirrored without repeating the end, which keeps the
 * mosaic's phase. */
static inline uint32_t aei_beyond_edge(int64_t i, uint32_t n, bool wrap)
{
    int64_t period = wrap ? n : 2 * (int64_t)n - 2;

    i = (i % period + period) % period;
    return (uint32_t)(i < n ? i : period - i);
}

/* Copies w floats between `margin` more on both sides. */
static inline void aei_pad_row(const float *from, uint32_t w, uint32_t margin, bool wrap, float *to)
{
    memcpy(to + margin, from, w * sizeof(*to));
    for (uint32_t i = 0; i < margin; i++) {
        to[i] = from[aei_beyond_edge((int64_t)i - margin, w, wrap)];
        to[margin + w + i] = from[aei_beyond_edge((int64_t)w + i, w, wrap)];
    }
}

/* Gaussian of the given deviation; `to` may be `from`. work: a plane and a padded row. */
void aei_camera_blur(const float *from, float *to, uint32_t h, uint32_t w, float deviation,
                     bool wrap, float *work);
/* Mean square; 16 partial sums, so that it vectorises and is the same everywhere. */
double aei_plane_power(const float *v, size_t n);
void aei_plane_combine(float *restrict a, float fa, const float *restrict b, float fb, size_t n);
void aei_plane_scale(float *v, float by, size_t n);
/* Factor that brings a mean square to `share`. */
float aei_plane_gain(double mean_square, double share);
void aei_camera_sharpen(const aei_camera *k, float *y, uint32_t h, uint32_t w, float *spare,
                        float *work);
/* What the camera's noise reduction leaves of the luminance: y is replaced. picture: luminance of
 * the clean photograph. */
void aei_camera_smooth(const aei_camera *k, const float *picture, float *y, uint32_t h, uint32_t w,
                       float *spare, float *work);
/* The same for the two planes of colour. */
void aei_camera_smooth_colour(const aei_camera *k, const float *picture, float *u, float *v,
                              uint32_t h, uint32_t w, float *spare_u, float *spare_v, float *work);
void aei_plane_set(float *restrict to, const float *restrict from, float weight, size_t n);

#endif
