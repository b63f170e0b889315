/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Examples for models/torch/noise_estimator.py: photographs with synthetic noise, what is true of it and what the estimator sees.
 *   noise_features N SEED PICTURE... > FILE
 * Each line: kind (0 clean, 1 camera, 2 white), luminance, chroma (0..255 scale), features. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "image/camera.h"
#include "image/noise.h"
#include "registry.h"
#include "train/corrupt.h"

typedef struct rows { const uint8_t *at; size_t row; } rows;

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

    if (ae_source_open(path, &source, &err) == AE_OK && ae_reader_open(source, NULL, &reader, &err) == AE_OK && reader.info.channels == 3 &&
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

int main(int argc, char **argv)
{
    enum { MAX_EDGE = 640 };
    float *clean = ae_alloc((size_t)MAX_EDGE * MAX_EDGE * 3, sizeof(float)), *noisy = ae_alloc((size_t)MAX_EDGE * MAX_EDGE * 3, sizeof(float));
    uint8_t *bytes = ae_alloc((size_t)MAX_EDGE * MAX_EDGE, 3);
    void *scratch = ae_alloc(aei_camera_scratch(MAX_EDGE, MAX_EDGE), 1);
    uint64_t n = argc > 3 ? strtoull(argv[1], NULL, 10) : 0, seed = argc > 3 ? strtoull(argv[2], NULL, 10) : 0;

    if (argc < 4 || !clean || !noisy || !bytes || !scratch) {
        fprintf(stderr, "usage: noise_features N SEED PICTURE...\n");
        return 2;
    }
    for (uint64_t i = 0; i < n; i++) {
        aei_rng rng = aei_rng_make(seed, i, 0);
        uint32_t w, h, edge_w, edge_h, x0, y0;
        float *picture = load(argv[3 + aei_rng_below(&rng, (uint32_t)argc - 3)], &w, &h), features[AEI_NOISE_FEATURES];
        bool grey = aei_rng_float(&rng) < 0.25f;
        float kind = aei_rng_float(&rng), deviation = expf(aei_rng_range(&rng, logf(0.5f), logf(20))) / 255;
        ae_signal_info info = {.kind = AE_KIND_IMAGE, .sample = AE_U8, .bits = 8, .channels = grey ? 1 : 3};
        aei_told told;
        ae_error err;

        if (!picture)
            continue;
        /* even corners and sizes, as the mosaic wants */
        edge_w = (w < MAX_EDGE ? w : MAX_EDGE) / 2 * 2;
        edge_h = (h < MAX_EDGE ? h : MAX_EDGE) / 2 * 2;
        x0 = aei_rng_below(&rng, w - edge_w + 1);
        y0 = aei_rng_below(&rng, h - edge_h + 1);
        for (uint32_t y = 0; y < edge_h; y++)
            memcpy(clean + (size_t)y * edge_w * 3, picture + ((size_t)(y0 + y) * w + x0) * 3, (size_t)edge_w * 3 * sizeof(float));
        ae_free(picture);
        if (grey)
            for (size_t k = 0; k < (size_t)edge_w * edge_h; k++)
                clean[k] = 0.299f * clean[3 * k] + 0.587f * clean[3 * k + 1] + 0.114f * clean[3 * k + 2];
        memcpy(noisy, clean, (size_t)edge_w * edge_h * 3 * sizeof(float));
        if (kind > 0.35f) {
            aei_camera camera;

            aei_camera_draw(&rng, &camera);
            camera.luminance = deviation;
            aei_camera_take(&camera, &rng, clean, noisy, edge_h, edge_w, info.channels, grey, scratch);
        } else if (kind > 0.2f) {
            for (size_t k = 0; k < (size_t)edge_w * edge_h * info.channels; k++)
                noisy[k] += deviation * 3 * aei_rng_normal(&rng);
        }
        ae_samples_from_f32(AE_U8, noisy, bytes, (size_t)edge_w * edge_h * info.channels);
        told = aei_deviation(noisy, clean, edge_w * edge_h, info.channels);
        info.width = edge_w;
        info.height = edge_h;
        if (aei_noise_features(&(ae_row_source){.info = info, .opaque = &(rows){bytes, (size_t)edge_w * info.channels}, .read = read_rows}, NULL,
                               features, &err) != AE_OK)
            continue;
        printf("%d %.4f %.4f", kind > 0.35f ? 1 : kind > 0.2f ? 2 : 0, 255 * (double)told.luminance, 255 * (double)told.chroma);
        for (int k = 0; k < AEI_NOISE_FEATURES; k++)
            printf(" %.4f", (double)features[k]);
        printf("\n");
    }
    ae_free(scratch);
    ae_free(bytes);
    ae_free(noisy);
    ae_free(clean);
    return 0;
}
