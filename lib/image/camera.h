/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_CAMERA_H
#define AEI_CAMERA_H

#include "core/rng.h"
#include "image/jpegloss.h"

enum { AEI_CAMERA_MIN_EDGE = 8 };

/* A camera that takes a noisy photograph of a clean picture: the picture is brought back to linear
 * light and behind a colour filter mosaic, photon and read noise are added there, and both go
 * through demosaicing, colours and tone curve. What the camera's own noise reduction then does to
 * noise is done to the difference of the two: it is smoothed, colour far more than luminance,
 * weakened where the picture is flat, and a coarse part stays. Sharpening and JPEG follow; then
 * what people do: enlarging, a second JPEG.
 *
 * Luminance is (R+G+B)/3, colour the two orthonormal differences (R-B)/sqrt2 and (2G-R-B)/sqrt6. */
typedef struct aei_camera {
    float balance[3]; /* white balance gains */
    float mix[3][3];  /* camera colours to sRGB, rows sum to 1 */
    /* tone curve: power 1 / gamma with a linear toe, then an S of this strength */
    float gamma, toe, contrast;
    bool mosaic;     /* false: three full sensors, or a picture scaled down since */
    uint32_t phase;  /* of the mosaic: bit 0 x, bit 1 y */
    float gradient;  /* 0: bilinear demosaicing, 1: gradient-corrected (Malvar et al. 2004) */
    float read;      /* variance of read noise over that of photon noise at middle grey */
    float luminance; /* deviation wanted in the result, 1.0 = white */
    float colour;    /* deviation of the colour differences by that of luminance; 0: as it comes */
    float fine;      /* smoothing of luminance: deviation of the Gaussian in pixels; 0 none */
    /* what is left of the noise where the picture is flat; gradient that counts as half an edge */
    float keep, edge;
    float coarse, coarse_share;                     /* a second one and its share of the variance */
    float colour_fine, colour_coarse, colour_share; /* likewise for colour */
    float sharpen, radius;                          /* unsharp mask on luminance */
    /* no noise reduction: what falls below black or beyond white on the sensor stays there, and the
     * tone curve bends the noise; `fine` blurs the result, as scaling does; of the fields from
     * `colour` on only it and those below hold */
    bool raw;
    bool has_jpeg;
    aei_jpeg_loss jpeg;
    /* enlarged by so much since, from 1 on, and where the window lies in what there is: 0..1 */
    float zoom, at_y, at_x;
    bool again; /* saved as a JPEG once more at the end */
    aei_jpeg_loss second;
} aei_camera;

/* Draws a camera; `luminance` is the caller's to set. */
void aei_camera_draw(aei_rng *rng, aei_camera *camera);
/* clean: h x w x c (1 or 3, interleaved), becomes the noise-free photograph; noisy: the noisy one.
 * `grey`: the channels are equal and stay so. h, w at least AEI_CAMERA_MIN_EDGE. scratch:
 * aei_camera_scratch bytes. */
void aei_camera_take(const aei_camera *camera, aei_rng *rng, float *clean, float *noisy, uint32_t h,
                     uint32_t w, uint32_t c, bool grey, void *scratch);
size_t aei_camera_scratch(uint32_t h, uint32_t w);

#endif
