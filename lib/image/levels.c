/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Maps of noise levels for denoising networks, and the bound on what they may change: brightness is
 * smoothed by boxes, a level is looked up on the curve of the noise at that brightness, and changes
 * are limited to so many of it. */
#include "image/levels.h"

#include <math.h>
#include <string.h>

#include "core/clones.h"

/* of networks that learned without: their corrections beyond are mistakes, seldom */
static const float default_bound = 4;

/* ---- brightness about each pixel ---- */

enum { BOX = 2 }; /* taken twice */

/* Mean over 2 BOX + 1 rows of w floats, whose edges repeat; rows of `from` are `stride` floats
 * apart. */
AEI_CLONES static void smooth_down(const float *restrict from, uint32_t h, uint32_t w,
                                   float *restrict to)
{
    for (int64_t y = 0; y < h; y++) {
        float *restrict out = to + (size_t)y * w;

        memset(out, 0, w * sizeof(*out));
        for (int64_t k = y - BOX; k <= y + BOX; k++) {
            const float *restrict in = from + (size_t)(k < 0 ? 0 : k < h ? k : (int64_t)h - 1) * w;

            for (uint32_t x = 0; x < w; x++)
                out[x] += in[x];
        }
        for (uint32_t x = 0; x < w; x++)
            out[x] *= 1.0f / (2 * BOX + 1);
    }
}

AEI_CLONES static void smooth_along(const float *restrict from, uint32_t h, uint32_t w,
                                    float *restrict to)
{
    for (uint32_t y = 0; y < h; y++, from += w, to += w) {
        for (int64_t x = 0; x < w; x++) {
            float sum = 0;

            if (x >= BOX && x + BOX < w)
                sum = from[x - 2] + from[x - 1] + from[x] + from[x + 1] + from[x + 2];
            else
                for (int64_t k = x - BOX; k <= x + BOX; k++)
                    sum += from[k < 0 ? 0 : k < w ? k : (int64_t)w - 1];
            to[x] = sum * (1.0f / (2 * BOX + 1));
        }
    }
}

/* Mean of the channels within 0..1, smoothed; the first plane of scratch. */
AEI_CLONES static void brightness(const float *restrict image, uint32_t h, uint32_t w, uint32_t c,
                                  float *restrict scratch)
{
    size_t n = (size_t)h * w;

    for (size_t i = 0; i < n; i++) {
        float v = c == 3 ? (image[3 * i] + image[3 * i + 1] + image[3 * i + 2]) * (1.0f / 3)
                         : image[i];

        v = v > 0 ? v : 0;
        scratch[i] = v < 1 ? v : 1;
    }
    for (int pass = 0; pass < 2; pass++) {
        smooth_along(scratch, h, w, scratch + n);
        smooth_down(scratch + n, h, w, scratch);
    }
}

size_t aei_level_scratch(uint32_t h, uint32_t w)
{
    return 2 * (size_t)h * w;
}

/* ---- maps ---- */

void aei_level_map(const ae_noise *noise, const float *image, uint32_t h, uint32_t w, uint32_t c,
                   uint32_t level_c, float *level, float *scratch)
{
    size_t n = (size_t)h * w;
    float curve[2][AE_NOISE_BINS + 1];

    if (!noise->n_bins) {
        for (size_t i = 0; i < n; i++) {
            level[level_c * i] = (level_c == 1 ? noise->white : noise->luminance) / 255.0f;
            if (level_c == 2)
                level[2 * i + 1] = noise->chroma / 255.0f;
        }
        return;
    }
    for (int b = 0; b <= AE_NOISE_BINS; b++) {
        int k = b < AE_NOISE_BINS ? b : AE_NOISE_BINS - 1;
        float y = noise->luminance_at[k] / 255.0f, u = noise->chroma_at[k] / 255.0f;

        curve[0][b] = level_c == 1 ? sqrtf(y * y + u * u * (2 / 3.0f)) : y;
        curve[1][b] = u;
    }
    brightness(image, h, w, c, scratch);
    for (size_t i = 0; i < n; i++) {
        float at = scratch[i] * (AE_NOISE_BINS - 1);
        int b = (int)at;
        float t = at - (float)b;

        for (uint32_t k = 0; k < level_c; k++)
            level[level_c * i + k] = curve[k][b] + t * (curve[k][b + 1] - curve[k][b]);
    }
}

void aei_level_measure(const float *noisy, const float *clean, uint32_t h, uint32_t w, uint32_t c,
                       ae_noise *noise, float *scratch)
{
    double luminance[AE_NOISE_BINS] = {0}, colour[AE_NOISE_BINS] = {0}, count[AE_NOISE_BINS] = {0},
           all[3] = {0};
    size_t n = (size_t)h * w;

    *noise = (ae_noise){.n_bins = AE_NOISE_BINS, .confidence = 1};
    brightness(noisy, h, w, c, scratch);
    for (size_t i = 0; i < n; i++) {
        int b = (int)(scratch[i] * (AE_NOISE_BINS - 1) + 0.5f);
        float y = 0, squares = 0;

        for (uint32_t k = 0; k < c; k++) {
            float d = noisy[c * i + k] - clean[c * i + k];

            y += d;
            squares += d * d;
        }
        y /= (float)c;
        luminance[b] += (double)(y * y);
        /* of either of two differences */
        colour[b] += (double)(0.5f * (squares - (float)c * y * y));
        count[b]++;
    }
    for (int b = 0; b < AE_NOISE_BINS; b++) {
        all[0] += luminance[b];
        all[1] += colour[b];
        all[2] += count[b];
    }
    for (int b = 0; b < AE_NOISE_BINS; b++) {
        double share = 1e-4, y = share * all[0] / all[2], u = share * all[1] / all[2];

        for (int k = 0; k < AE_NOISE_BINS; k++) {
            double weight = exp(-(b - k) * (b - k)) / all[2];

            share += weight * count[k];
            y += weight * luminance[k];
            u += weight * colour[k];
        }
        noise->luminance_at[b] = 255 * (float)sqrt(y / share);
        noise->chroma_at[b] = 255 * (float)sqrt(u > 0 ? u / share : 0);
    }
    noise->luminance = 255 * (float)sqrt(all[0] / all[2]);
    noise->chroma = 255 * (float)sqrt(all[1] > 0 ? all[1] / all[2] : 0);
    noise->white = sqrtf(noise->luminance * noise->luminance +
                         noise->chroma * noise->chroma * (2 / 3.0f));
}

/* ---- the bound ---- */

float aei_bound_of(const ae_recipe *r)
{
    bool noise = r->task == AE_TASK_DENOISE && r->residual && r->n_corruptions &&
                 r->strength_max <= 0 && ae_graph_find(&r->networks[0].graph, AE_INPUT_LEVEL) >= 0;

    for (uint32_t i = 0; i < r->n_corruptions; i++)
        noise = noise && (r->corruptions[i].kind == AE_CORRUPT_GAUSSIAN ||
                          r->corruptions[i].kind == AE_CORRUPT_CAMERA);
    return r->bound > 0 ? r->bound : noise ? default_bound : 0;
}

/* Of a channel; 0 stays exactly 0. */
static inline float limit(float bound, const float *level, uint32_t level_c)
{
    float y = level[0], u = level_c == 2 ? level[1] : 0;

    return level_c == 1 ? bound * y : bound * sqrtf(y * y + u * u * (2 / 3.0f));
}

AEI_CLONES void aei_bound(float bound, const float *restrict level, uint32_t level_c,
                          float *restrict output, uint32_t c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float most = limit(bound, level + level_c * i, level_c), per = most > 0 ? 1 / most : 0;

        for (uint32_t k = 0; k < c; k++) {
            float o = output[c * i + k], x = fabsf(o) * per, p, root;

            x = x < 1e4f ? x : 1e4f; /* its eighth power is finite; NaN, too */
            p = x * x;
            p *= p;
            p *= p;
            root = sqrtf(sqrtf(sqrtf(1 + p)));
            output[c * i + k] = copysignf(most * x / root, o);
        }
    }
}

AEI_CLONES void aei_bound_back(float bound, const float *restrict level, uint32_t level_c,
                               const float *restrict value, const float *restrict base,
                               float *restrict gradient, uint32_t c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float most = limit(bound, level + level_c * i, level_c), per = most > 0 ? 1 / most : 0;

        for (uint32_t k = 0; k < c; k++) {
            float y = (value[c * i + k] - base[c * i + k]) * per, p, rest;

            p = y * y;
            p *= p;
            p *= p;
            rest = most > 0 && p < 1 ? 1 - p : 0; /* 1 / (1 + x^8) */
            gradient[c * i + k] *= rest * sqrtf(sqrtf(sqrtf(rest)));
        }
    }
}
