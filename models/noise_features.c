/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Examples for models/torch/noise_estimator.py: photographs with synthetic noise, what is true of it, what the estimator sees, and
 * what MODEL leaves of the noise when told more or less of it. noise_features MODEL N SEED PICTURE... > FILE Each line, deviations
 * on the scale of 0..255: kind (0 clean, 1 camera, 2 white, 3 clean through a camera), channels, true luminance and chroma; errors
 * in luminance and chroma before; N_TOLD times luminance and chroma that the model was told, and the errors after; features.
 *
 * Photographs are enlarged up to e times or made smaller: fine grain in them may be as soft as it is at a camera's full resolution.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "image/camera.h"
#include "image/noise.h"
#include "image/resize.h"
#include "registry.h"
#include "train/corrupt.h"

enum { EDGE = 512, CORE = 192 /* of what is denoised */, N_TOLD = 5 };

typedef struct rows { uint8_t *at; size_t row; } rows;

static ae_status read_rows(void *opaque, void *to, uint32_t n, ae_error *err)
{
    rows *r = opaque;

    (void)err;
    memcpy(to, r->at, n * r->row);
    r->at += n * r->row;
    return AE_OK;
}

static ae_status write_rows(void *opaque, const void *from, uint32_t n, ae_error *err)
{
    rows *r = opaque;

    (void)err;
    memcpy(r->at, from, n * r->row);
    r->at += n * r->row;
    return AE_OK;
}

static ae_signal_info square(uint32_t edge, uint32_t channels)
{
    return (ae_signal_info){.kind = AE_KIND_IMAGE, .sample = AE_U8, .bits = 8, .channels = channels, .width = edge, .height = edge};
}

/* A picture whole as f32 RGB, or NULL. */
static float *load(const char *path, uint32_t *w, uint32_t *h)
{
    ae_error err;
    ae_source *source = NULL;
    ae_reader reader = {0};
    void *pixels = NULL;
    float *samples = NULL;

    if (ae_source_open(path, &source, &err) == AE_OK && ae_reader_open(source, NULL, &reader, &err) == AE_OK &&
        reader.info.channels == 3 && ae_reader_read_all(&reader, &pixels, &err) == AE_OK) {
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
            memcpy(from + (size_t)y * edge * 3, picture + ((size_t)(y0 + y) * w + x0) * 3, (size_t)edge * 3 * sizeof(float));
        aei_resize(AE_BICUBIC, from, edge, edge, 3, to, EDGE, EDGE, scratch);
        for (size_t i = 0; i < (size_t)EDGE * EDGE * 3; i++)
            to[i] = fminf(fmaxf(to[i], 0), 1);
    }
    ae_free(scratch);
    ae_free(from);
    ae_free(picture);
    return from && scratch;
}

static void cut_core(const uint8_t *from, size_t pixel, uint8_t *to)
{
    size_t margin = (EDGE - CORE) / 2;

    for (size_t y = 0; y < CORE; y++)
        memcpy(to + y * CORE * pixel, from + ((margin + y) * EDGE + margin) * pixel, CORE * pixel);
}

static void print_told(aei_told told)
{
    printf(" %.4f %.4f", 255 * (double)told.luminance, 255 * (double)told.chroma);
}

/* Denoises the core with less and more than the truth. */
static bool print_errors(const ae_model *model, const uint8_t *noisy, const float *clean, uint32_t channels, aei_told truth)
{
    static const float times[N_TOLD] = {0.5f, 0.85f, 1.25f, 1.8f, 3};
    static uint8_t in[CORE * CORE * 3], out[CORE * CORE * 3];
    static float target[CORE * CORE * 3], result[CORE * CORE * 3];
    const size_t n = (size_t)CORE * CORE * channels, row = (size_t)CORE * channels;

    cut_core(noisy, channels, in);
    cut_core((const uint8_t *)clean, channels * sizeof(float), (uint8_t *)target);
    ae_samples_to_f32(AE_U8, in, result, n);
    print_told(aei_deviation(result, target, CORE * CORE, channels));
    for (int i = 0; i < N_TOLD; i++) {
        aei_told told = {.luminance = times[i] * fmaxf(truth.luminance, 1 / 255.0f),
                         .chroma = times[i] * fmaxf(truth.chroma, 1 / 255.0f)};
        ae_denoise_options how = {.strength = 1, .threads = 1};
        ae_error err;

        if (channels == 1)
            told.chroma = 0;
        how.noise = (ae_noise){.luminance = 255 * told.luminance, .chroma = 255 * told.chroma};
        if (ae_denoise(model, &how, &(ae_row_source){.info = square(CORE, channels), .opaque = &(rows){in, row}, .read = read_rows},
                       &(ae_row_sink){.opaque = &(rows){out, row}, .write = write_rows}, NULL, &err) != AE_OK) {
            fprintf(stderr, "noise_features: %s\n", err.message);
            return false;
        }
        ae_samples_to_f32(AE_U8, out, result, n);
        print_told(told);
        print_told(aei_deviation(result, target, CORE * CORE, channels));
    }
    return true;
}

int main(int argc, char **argv)
{
    const size_t n = (size_t)EDGE * EDGE * 3;
    float *clean = ae_alloc(n, sizeof(float)), *noisy = ae_alloc(n, sizeof(float));
    uint8_t *bytes = ae_alloc(n, 1);
    void *scratch = ae_alloc(aei_camera_scratch(EDGE, EDGE), 1);
    ae_model *model = NULL;
    ae_error err = {0};
    bool fine = argc > 4 && clean && noisy && bytes && scratch && ae_model_open(argv[1], NULL, &model, &err) == AE_OK;
    uint64_t n_examples = fine ? strtoull(argv[2], NULL, 10) : 0;

    if (!fine)
        fprintf(stderr, "%s\nusage: noise_features MODEL N SEED PICTURE...\n", err.message);
    for (uint64_t i = 0; fine && i < n_examples; i++) {
        aei_rng rng = aei_rng_make(strtoull(argv[3], NULL, 10), i, 0);
        const char *path = argv[4 + aei_rng_below(&rng, (uint32_t)argc - 4)];
        uint32_t channels = aei_rng_float(&rng) < 0.12f ? 1 : 3;
        float draw = aei_rng_float(&rng), deviation = expf(aei_rng_range(&rng, logf(0.5f), logf(20))) / 255,
              features[AEI_NOISE_FEATURES];
        float scale = aei_rng_range(&rng, -0.45f, 1.0f);
        int kind = draw > 0.3f ? 1 : draw > 0.2f ? 2 : draw > 0.1f ? 3 : 0;
        size_t n_samples = (size_t)EDGE * EDGE * channels;
        aei_told told;

        scale = scale < -0.25f ? expf(scale + 0.25f) : scale < 0 ? 1 : expf(scale);
        if (!load_square(path, scale, &rng, clean))
            continue;
        for (size_t k = 0; channels == 1 && k < n_samples; k++)
            clean[k] = 0.299f * clean[3 * k] + 0.587f * clean[3 * k + 1] + 0.114f * clean[3 * k + 2];
        memcpy(noisy, clean, n_samples * sizeof(float));
        if (kind == 1 || kind == 3) {
            aei_camera camera;

            aei_camera_draw(&rng, &camera);
            camera.luminance = kind == 3 ? 0.01f / 255 : deviation;
            aei_camera_take(&camera, &rng, clean, noisy, EDGE, EDGE, channels, channels == 1, scratch);
        } else if (kind == 2) {
            for (size_t k = 0; k < n_samples; k++)
                noisy[k] += deviation * 3 * aei_rng_normal(&rng);
        }
        ae_samples_from_f32(AE_U8, noisy, bytes, n_samples);
        ae_samples_to_f32(AE_U8, bytes, noisy, n_samples);
        if (kind == 0 || kind == 3)
            memcpy(clean, noisy, n_samples * sizeof(float));
        told = aei_deviation(noisy, clean, EDGE * EDGE, channels);
        fine = aei_noise_features(&(ae_row_source){.info = square(EDGE, channels),
                                                   .opaque = &(rows){bytes, (size_t)EDGE * channels},
                                                   .read = read_rows},
                                  NULL, features, &err) == AE_OK;
        if (!fine)
            break;
        printf("%d %u", kind, channels);
        print_told(told);
        fine = print_errors(model, bytes, clean, channels, told);
        for (int k = 0; k < AEI_NOISE_FEATURES; k++)
            printf(" %.4f", (double)features[k]);
        printf("\n");
    }
    ae_model_free(model);
    ae_free(scratch);
    ae_free(bytes);
    ae_free(noisy);
    ae_free(clean);
    return fine ? 0 : 2;
}
