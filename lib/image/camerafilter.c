/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a camera's own noise reduction does, on planes: Gaussians, a share of a coarser one that
 * stays, less where the picture is flat; all brought back to the deviation that is wanted. */
#include "image/camerafilter.h"

#include "core/clones.h"
#include "core/fastmath.h"

#include <math.h>
#include <string.h>

AEI_CLONES
static void add_pair(float *restrict to, const float *restrict a, const float *restrict b,
                     float weight, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += weight * (a[i] + b[i]);
}

AEI_CLONES
void aei_plane_set(float *restrict to, const float *restrict from, float weight, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = weight * from[i];
}

/* Gaussian of the given deviation; `to` may be `from`. work: a plane and a padded row. */
void aei_camera_blur(const float *from, float *to, uint32_t h, uint32_t w, float deviation,
                     bool wrap, float *work)
{
    float kernel[AEI_CAMERA_RADIUS + 1], sum = 0, *row = work + (size_t)h * w;
    uint32_t radius = (uint32_t)(3 * deviation) + 1;

    if (!(deviation > 0.05f)) {
        memmove(to, from, (size_t)h * w * sizeof(*to));
        return;
    }
    if (radius > AEI_CAMERA_RADIUS)
        radius = AEI_CAMERA_RADIUS;
    for (uint32_t i = 0; i <= radius; i++) {
        float x = (float)i / deviation, e = -0.72134752f * x * x;

        kernel[i] = aei_exp2(e > -100 ? e : -100);
        sum += i ? 2 * kernel[i] : kernel[i];
    }
    for (uint32_t i = 0; i <= radius; i++)
        kernel[i] /= sum;
    for (uint32_t y = 0; y < h; y++) {
        float *out = work + (size_t)y * w;

        aei_pad_row(from + (size_t)y * w, w, radius, wrap, row);
        aei_plane_set(out, row + radius, kernel[0], w);
        for (uint32_t i = 1; i <= radius; i++)
            add_pair(out, row + radius - i, row + radius + i, kernel[i], w);
    }
    for (uint32_t y = 0; y < h; y++) {
        float *out = to + (size_t)y * w;

        aei_plane_set(out, work + (size_t)y * w, kernel[0], w);
        for (uint32_t i = 1; i <= radius; i++)
            add_pair(out, work + (size_t)aei_beyond_edge((int64_t)y - i, h, wrap) * w,
                     work + (size_t)aei_beyond_edge((int64_t)y + i, h, wrap) * w, kernel[i], w);
    }
}

/* Mean square; 16 partial sums, so that it vectorises and is the same everywhere. */
AEI_CLONES
double aei_plane_power(const float *v, size_t n)
{
    float part[16] = {0};
    double sum = 0;
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        for (size_t k = 0; k < 16; k++)
            part[k] += v[i + k] * v[i + k];
    for (; i < n; i++)
        sum += (double)v[i] * v[i];
    for (size_t k = 0; k < 16; k++)
        sum += part[k];
    return sum / (double)n;
}

AEI_CLONES
void aei_plane_combine(float *restrict a, float fa, const float *restrict b, float fb, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] = fa * a[i] + fb * b[i];
}

AEI_CLONES
void aei_plane_scale(float *v, float by, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] *= by;
}

/* Factor that brings a mean square to `share`. */
float aei_plane_gain(double mean_square, double share)
{
    return mean_square > 1e-30 ? (float)sqrt(share / mean_square) : 0;
}

/* Noise is reduced to `keep` where the picture is flat, and stays where it has edges. */
AEI_CLONES
static void reduce_row(const float *restrict up, const float *restrict here,
                       const float *restrict down, float keep, float scale, float *restrict noise,
                       size_t w)
{
    for (size_t x = 1; x + 1 < w; x++) {
        float dx = here[x + 1] - here[x - 1], dy = down[x] - up[x], g = dx * dx + dy * dy;

        noise[x] *= keep + (1 - keep) * g / (g + scale * scale);
    }
    noise[0] *= keep;
    noise[w - 1] *= keep;
}

static void reduce(float *noise, const float *picture, uint32_t h, uint32_t w, float keep,
                   float edge)
{
    for (uint32_t y = 0; y < h && keep < 1; y++) {
        const float *here = picture + (size_t)y * w;

        reduce_row(y ? here - w : here, here, y + 1 < h ? here + w : here, keep, edge,
                   noise + (size_t)y * w, w);
    }
}

void aei_camera_sharpen(const aei_camera *k, float *y, uint32_t h, uint32_t w, float *spare,
                        float *work)
{
    if (k->sharpen > 0) {
        aei_camera_blur(y, spare, h, w, k->radius, true, work);
        aei_plane_combine(y, 1 + k->sharpen, spare, -k->sharpen, (size_t)h * w);
    }
}

/* What the camera's noise reduction leaves of the luminance: y is replaced. picture: luminance of
 * the clean photograph. */
void aei_camera_smooth(const aei_camera *k, const float *picture, float *y, uint32_t h, uint32_t w,
                       float *spare, float *work)
{
    size_t n = (size_t)h * w;

    if (k->coarse_share > 0)
        aei_camera_blur(y, spare, h, w, k->coarse, true, work);
    aei_camera_blur(y, y, h, w, k->fine, true, work);
    reduce(y, picture, h, w, k->keep, k->edge);
    if (k->coarse_share > 0)
        aei_plane_combine(y, aei_plane_gain(aei_plane_power(y, n), 1 - k->coarse_share), spare,
                          aei_plane_gain(aei_plane_power(spare, n), k->coarse_share), n);
    aei_camera_sharpen(k, y, h, w, spare, work);
    aei_plane_scale(y, aei_plane_gain(aei_plane_power(y, n), (double)k->luminance * k->luminance),
                    n);
}

/* The same for the two planes of colour. */
void aei_camera_smooth_colour(const aei_camera *k, const float *picture, float *u, float *v,
                              uint32_t h, uint32_t w, float *spare_u, float *spare_v, float *work)
{
    size_t n = (size_t)h * w;
    float *plane[2] = {u, v}, *coarse[2] = {spare_u, spare_v},
          wider = k->colour_coarse * k->colour_coarse, fine, rough;
    double wanted = (double)k->luminance * k->colour;

    wider -= k->colour_fine * k->colour_fine;
    for (int i = 0; i < 2; i++) {
        reduce(plane[i], picture, h, w, sqrtf(k->keep), k->edge); /* edges differ less */
        aei_camera_blur(plane[i], plane[i], h, w, k->colour_fine, true, work);
        if (k->colour_share > 0)
            aei_camera_blur(plane[i], coarse[i], h, w, sqrtf(wider > 0 ? wider : 0), true, work);
    }
    if (k->colour_share > 0) {
        fine = aei_plane_gain(aei_plane_power(u, n) + aei_plane_power(v, n), 1 - k->colour_share);
        rough = aei_plane_gain(aei_plane_power(coarse[0], n) + aei_plane_power(coarse[1], n),
                               k->colour_share);
        for (int i = 0; i < 2; i++)
            aei_plane_combine(plane[i], fine, coarse[i], rough, n);
    }
    fine = aei_plane_gain(aei_plane_power(u, n) + aei_plane_power(v, n), 2 * wanted * wanted);
    aei_plane_scale(u, fine, n);
    aei_plane_scale(v, fine, n);
}
