/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Examples for models/torch/noise_estimator.py: photographs and patterns with synthetic noise, what
 * is true of it and what the estimator sees. noise_features N SEED PICTURE... > FILE   Each line is
 * a group of blocks of an example, deviations on the scale of 0..255: number of the example, kind
 * (0 clean, 1 camera, 2 white, 3 clean through a camera), whether a pattern, channels, true
 * luminance and chroma at the group's brightness, the deviation of white noise before it was
 * clipped; features.
 *
 * Photographs are enlarged up to e times or made smaller: fine grain in them may be as soft as it
 * is at a camera's full resolution. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "image/camera.h"
#include "image/levels.h"
#include "image/noise.h"
#include "image/resize.h"
#include "ae/files.h"
#include "train/patterns.h"

enum { EDGE = 512 };

typedef struct rows {
    uint8_t *at;
    size_t row;
} rows;

static ae_status read_rows(void *opaque, void *to, uint32_t n, ae_error *err)
{
    rows *r = opaque;

    (void)err;
    memcpy(to, r->at, n * r->row);
    r->at += n * r->row;
    return AE_OK;
}

/* A picture whole as f32 RGB, or NULL. */
static float *load(const char *path, uint32_t *w, uint32_t *h)
{
    ae_error err;
    ae_source *source = NULL;
    ae_reader reader = {0};
    void *pixels = NULL;
    float *samples = NULL;

    if (ae_source_open(path, &source, &err) == AE_OK &&
        ae_reader_open(source, NULL, &reader, &err) == AE_OK && reader.info.channels == 3 &&
        ae_reader_read_all(&reader, &pixels, &err) == AE_OK) {
        *w = (uint32_t)reader.info.width;
        *h = (uint32_t)reader.info.height;
        samples = ae_alloc((size_t)*w * *h * 3, sizeof(float));
        if (samples)
            ae_samples_to_f32(reader.info.sample, pixels, samples, (size_t)*w * *h * 3);
    }
    ae_free(pixels);
    ae_reader_close(&reader);
    ae_source_free(source);
    return samples;
}

/* A square of a picture, enlarged or made smaller to EDGE. */
static bool load_square(const char *path, float scale, aei_rng *rng, float *to)
{
    uint32_t w, h, edge = (uint32_t)(EDGE / scale + 0.5f), x0, y0;
    float *picture = load(path, &w, &h), *from = NULL;
    void *scratch = NULL;

    if (picture) {
        edge = edge < w ? edge : w;
        edge = edge < h ? edge : h;
        from = ae_alloc((size_t)edge * edge * 3, sizeof(float));
        scratch = ae_alloc(aei_resize_scratch(edge, edge, 3, EDGE, EDGE), 1);
    }
    if (from && scratch) {
        x0 = aei_rng_below(rng, w - edge + 1);
        y0 = aei_rng_below(rng, h - edge + 1);
        for (uint32_t y = 0; y < edge; y++)
            memcpy(from + (size_t)y * edge * 3, picture + ((size_t)(y0 + y) * w + x0) * 3,
                   (size_t)edge * 3 * sizeof(float));
        aei_resize(AE_BICUBIC, from, edge, edge, 3, to, EDGE, EDGE, scratch);
        for (size_t i = 0; i < (size_t)EDGE * EDGE * 3; i++)
            to[i] = fminf(fmaxf(to[i], 0), 1);
    }
    ae_free(scratch);
    ae_free(from);
    ae_free(picture);
    return from && scratch;
}

/* Sand, grass, cloth: grain of a random depth and softness all over, that follows the brightness of
 * all channels alike. scratch: 2 planes. */
static void add_grain(aei_rng *rng, float *picture, uint32_t channels, float *scratch)
{
    const size_t n = (size_t)EDGE * EDGE;
    float depth = expf(aei_rng_range(rng, logf(0.015f), logf(0.25f))),
          soft = aei_rng_range(rng, -0.15f, 0.33f), of[3];
    float *grain = scratch, *other = scratch + n;

    for (int c = 0; c < 3; c++)
        of[c] = depth * aei_rng_range(rng, 0.8f, 1.2f);
    soft = soft > 0 ? soft : 0;
    aei_rng_normals(rng, grain, n);
    for (size_t i = 0; i < n; i++)
        other[i] = (1 - 2 * soft) * grain[i] +
                   soft * (grain[i ? i - 1 : i] + grain[i + 1 < n ? i + 1 : i]);
    for (size_t i = 0; i < n; i++)
        grain[i] = (1 - 2 * soft) * other[i] +
                   soft * (other[i >= EDGE ? i - EDGE : i] + other[i + EDGE < n ? i + EDGE : i]);
    for (size_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < channels; c++) {
            float *v = &picture[i * channels + c];

            *v = fminf(fmaxf(*v * (1 + of[c] * grain[i]), 0), 1);
        }
}

/* What the estimator saw of one example, and the truth at each group's brightness. */
static void print_groups(uint64_t example, int kind, bool pattern, uint32_t channels,
                         const aei_noise_groups *groups, const ae_noise *truth, float white)
{
    for (uint32_t g = 0; g < groups->n; g++) {
        float at = fminf(fmaxf(groups->brightness[g], 0), 1) * (AE_NOISE_BINS - 1);
        int b = at < AE_NOISE_BINS - 2 ? (int)at : AE_NOISE_BINS - 2;
        float t = at - (float)b;

        printf("%llu %d %d %u %.4f %.4f %.4f", (unsigned long long)example, kind, pattern, channels,
               (double)(truth->luminance_at[b] +
                        t * (truth->luminance_at[b + 1] - truth->luminance_at[b])),
               (double)(truth->chroma_at[b] + t * (truth->chroma_at[b + 1] - truth->chroma_at[b])),
               (double)white);
        for (int k = 0; k < AEI_NOISE_FEATURES; k++)
            printf(" %.4f", (double)groups->features[g][k]);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    const size_t n = (size_t)EDGE * EDGE * 3;
    float *clean = ae_alloc(n, sizeof(float)), *noisy = ae_alloc(n, sizeof(float));
    uint8_t *bytes = ae_alloc(n, 1);
    void *scratch = ae_alloc(aei_camera_scratch(EDGE, EDGE), 1);
    ae_error err = {0};
    bool fine = argc > 3 && clean && noisy && bytes && scratch;
    uint64_t n_examples = fine ? strtoull(argv[1], NULL, 10) : 0;

    if (!fine)
        fprintf(stderr, "usage: noise_features N SEED PICTURE...\n");
    for (uint64_t i = 0; fine && i < n_examples; i++) {
        aei_rng rng = aei_rng_make(strtoull(argv[2], NULL, 10), i, 0);
        const char *path = argv[3 + aei_rng_below(&rng, (uint32_t)argc - 3)];
        uint32_t channels = aei_rng_float(&rng) < 0.12f ? 1 : 3;
        float draw = aei_rng_float(&rng),
              deviation = expf(aei_rng_range(&rng, logf(0.5f), logf(60))) / 255;
        float scale = aei_rng_range(&rng, -0.65f, 1.0f);
        bool pattern = aei_rng_float(&rng) < 0.15f;
        int kind = draw > 0.42f ? 1 : draw > 0.24f ? 2 : draw > 0.12f ? 3 : 0;
        ae_signal_info info = {.kind = AE_KIND_IMAGE,
                               .sample = AE_U8,
                               .bits = 8,
                               .channels = channels,
                               .width = EDGE,
                               .height = EDGE};
        size_t n_samples = (size_t)EDGE * EDGE * channels;
        aei_noise_groups groups;
        ae_noise truth;

        scale = scale < -0.25f ? expf(scale + 0.25f) : scale < 0 ? 1 : expf(scale);
        if (pattern)
            aei_pattern_draw(strtoull(argv[2], NULL, 10),
                             i * 7 + aei_rng_below(&rng, AEI_PATTERN_KINDS), EDGE, EDGE, clean);
        else if (!load_square(path, scale, &rng, clean))
            continue;
        if (pattern && kind == 3)
            kind = 0;
        for (size_t k = 0; channels == 1 && k < n_samples; k++)
            clean[k] = 0.299f * clean[3 * k] + 0.587f * clean[3 * k + 1] +
                       0.114f * clean[3 * k + 2];
        if (!pattern && channels == 3 && aei_rng_float(&rng) < 0.25f)
            add_grain(&rng, clean, channels, scratch);
        memcpy(noisy, clean, n_samples * sizeof(float));
        if (kind == 1 || kind == 3) {
            aei_camera camera;

            aei_camera_draw(&rng, &camera);
            camera.luminance = kind == 3 ? 0.01f / 255 : deviation;
            aei_camera_take(&camera, &rng, clean, noisy, EDGE, EDGE, channels, channels == 1,
                            scratch);
        } else if (kind == 2) {
            float tilt = aei_rng_float(&rng) < 0.25f ? aei_rng_range(&rng, -0.9f, 0.9f) : 0;

            kind = fabsf(tilt) > 0.15f ? 1 : 2; /* what a sensor without a mosaic makes */
            for (size_t k = 0; k < n_samples; k++)
                noisy[k] += deviation * 1.6f * (kind == 2 ? 1 : 1 + tilt * (2 * clean[k] - 1)) *
                            aei_rng_normal(&rng);
        }
        ae_samples_from_f32(AE_U8, noisy, bytes, n_samples);
        ae_samples_to_f32(AE_U8, bytes, noisy, n_samples);
        if (kind == 0 || kind == 3)
            memcpy(clean, noisy, n_samples * sizeof(float));
        aei_level_measure(noisy, clean, EDGE, EDGE, channels, &truth, scratch);
        fine = aei_noise_measure(&(ae_row_source){.info = info,
                                                  .opaque = &(rows){bytes, (size_t)EDGE * channels},
                                                  .read = read_rows},
                                 NULL, &groups, &err) == AE_OK;
        if (fine)
            print_groups(i, kind, pattern, channels, &groups, &truth,
                         kind == 2 ? 255 * 1.6f * deviation : 0);
        else
            fprintf(stderr, "noise_features: %s\n", err.message);
    }
    ae_free(scratch);
    ae_free(bytes);
    ae_free(noisy);
    ae_free(clean);
    return fine ? 0 : 2;
}
