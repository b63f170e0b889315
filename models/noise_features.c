/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Examples for models/torch/noise_estimator.py and look.py: photographs and patterns with synthetic
 * noise, what is true of it and what the estimator sees.
 *
 *   noise_features N SEED PICTURE... > FILE
 *
 * Each line is a group of blocks of an example, deviations on the scale of 0..255: number of the
 * example, kind (0 clean, 1 camera, 2 white, 3 clean through a camera), whether a pattern,
 * channels, true luminance and chroma at the group's brightness, the deviation of white noise
 * before it was clipped; features.
 *
 *   noise_features MODEL.aem N SEED PICTURE... > FILE
 *
 * Each line is an example with weaker noise, as the second look sees it through a model: number,
 * kind, whether a pattern; luminance and chroma that the looks have found, and that are true; mean
 * squared errors of 0..255, of the input and of what the model makes of it, told .3, .6 and 1 times
 * what was found; features.
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
#include "image/secondlook.h"
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

/* An example: what noise is in it, and the picture without it. */
typedef struct example {
    uint64_t number;
    int kind;
    bool pattern;
    uint32_t channels;
    float white; /* deviation */
    ae_noise truth;
    float *clean, *noisy;
    uint8_t *bytes;
    void *scratch;
    rows at;
    ae_row_source source;
} example;

/* false: the picture cannot be read. */
static bool draw(example *e, uint64_t seed, float strongest, float grainy, char **paths,
                 uint32_t n_paths)
{
    aei_rng rng = aei_rng_make(seed, e->number, 0);
    const char *path = paths[aei_rng_below(&rng, n_paths)];
    uint32_t channels = aei_rng_float(&rng) < 0.12f ? 1 : 3;
    float draw = aei_rng_float(&rng),
          deviation = expf(aei_rng_range(&rng, logf(strongest / 120), logf(strongest))) / 255;
    float scale = aei_rng_range(&rng, -0.65f, 1.0f);
    size_t n_samples = (size_t)EDGE * EDGE * channels;

    e->channels = channels;
    e->pattern = aei_rng_float(&rng) < 0.15f;
    e->kind = draw > 0.42f ? 1 : draw > 0.24f ? 2 : draw > 0.12f ? 3 : 0;
    scale = scale < -0.25f ? expf(scale + 0.25f) : scale < 0 ? 1 : expf(scale);
    if (e->pattern)
        aei_pattern_draw(seed, e->number * 7 + aei_rng_below(&rng, AEI_PATTERN_KINDS), EDGE, EDGE,
                         e->clean);
    else if (!load_square(path, scale, &rng, e->clean))
        return false;
    if (e->pattern && e->kind == 3)
        e->kind = 0;
    for (size_t k = 0; channels == 1 && k < n_samples; k++)
        e->clean[k] = 0.299f * e->clean[3 * k] + 0.587f * e->clean[3 * k + 1] +
                      0.114f * e->clean[3 * k + 2];
    if (!e->pattern && channels == 3 && aei_rng_float(&rng) < grainy)
        add_grain(&rng, e->clean, channels, e->scratch);
    memcpy(e->noisy, e->clean, n_samples * sizeof(float));
    if (e->kind == 1 || e->kind == 3) {
        aei_camera camera;

        aei_camera_draw(&rng, &camera);
        camera.luminance = e->kind == 3 ? 0.01f / 255 : deviation;
        aei_camera_take(&camera, &rng, e->clean, e->noisy, EDGE, EDGE, channels, channels == 1,
                        e->scratch);
    } else if (e->kind == 2) {
        float tilt = aei_rng_float(&rng) < 0.25f ? aei_rng_range(&rng, -0.9f, 0.9f) : 0;

        e->kind = fabsf(tilt) > 0.15f ? 1 : 2; /* what a sensor without a mosaic makes */
        for (size_t k = 0; k < n_samples; k++)
            e->noisy[k] += deviation * 1.6f *
                           (e->kind == 2 ? 1 : 1 + tilt * (2 * e->clean[k] - 1)) *
                           aei_rng_normal(&rng);
    }
    ae_samples_from_f32(AE_U8, e->noisy, e->bytes, n_samples);
    ae_samples_to_f32(AE_U8, e->bytes, e->noisy, n_samples);
    if (e->kind == 0 || e->kind == 3)
        memcpy(e->clean, e->noisy, n_samples * sizeof(float));
    e->white = e->kind == 2 ? 255 * 1.6f * deviation : 0;
    aei_level_measure(e->noisy, e->clean, EDGE, EDGE, channels, &e->truth, e->scratch);
    e->at = (rows){e->bytes, (size_t)EDGE * channels};
    e->source = (ae_row_source){.info = {.kind = AE_KIND_IMAGE,
                                         .sample = AE_U8,
                                         .bits = 8,
                                         .channels = channels,
                                         .width = EDGE,
                                         .height = EDGE},
                                .opaque = &e->at,
                                .read = read_rows};
    return true;
}

static ae_status keep_rows(void *opaque, const void *from, uint32_t n, ae_error *err)
{
    rows *r = opaque;

    (void)err;
    memcpy(r->at, from, n * r->row);
    r->at += n * r->row;
    return AE_OK;
}

/* Of 0..255. */
static double error_of(const uint8_t *bytes, const float *clean, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double d = (double)bytes[i] - 255 * (double)clean[i];

        sum += d * d;
    }
    return sum / (double)n;
}

/* What the second look sees, and what may be won. */
static ae_status print_look(example *e, const ae_model *model, ae_error *err)
{
    static const float parts[] = {0.3f, 0.6f, 1};
    const size_t n = (size_t)EDGE * EDGE * e->channels;
    uint8_t *out = ae_alloc(n, 1);
    ae_control control = {.threads = 1};
    float features[AEI_LOOK_FEATURES];
    ae_noise found;
    float doubt = 0;
    ae_status st = out ? ae_noise_estimate(&e->source, NULL, &found, err)
                       : ae_fail(err, AE_ERR_NOMEM, "%zu samples", n);

    e->at.at = e->bytes;
    if (st == AE_OK)
        st = aei_noise_look(model, &e->source, AE_PRECISION_AUTO, &control, &found, &doubt,
                            features, err);
    if (st == AE_OK && doubt > 0)
        printf("%llu %d %d %.4f %.4f %.4f %.4f %.4f", (unsigned long long)e->number, e->kind,
               e->pattern, (double)found.luminance, (double)found.chroma,
               (double)e->truth.luminance, (double)e->truth.chroma,
               error_of(e->bytes, e->clean, n));
    for (size_t i = 0; st == AE_OK && doubt > 0 && i < 3; i++) {
        rows result = {out, e->at.row};
        ae_row_sink sink = {&result, keep_rows};
        ae_denoise_options options = {.noise = found, .strength = 1, .control = control};

        e->at.at = e->bytes;
        aei_scale_levels(&options.noise, parts[i], parts[i]);
        st = ae_denoise(model, &options, &e->source, &sink, NULL, err);
        printf(" %.4f", error_of(out, e->clean, n));
    }
    for (int k = 0; st == AE_OK && doubt > 0 && k < AEI_LOOK_FEATURES; k++)
        printf(" %.4f%s", (double)features[k], k + 1 < AEI_LOOK_FEATURES ? "" : "\n");
    ae_free(out);
    return st;
}

int main(int argc, char **argv)
{
    const size_t n = (size_t)EDGE * EDGE * 3;
    int first = argc > 1 && strstr(argv[1], ".aem") ? 2 : 1;
    example e = {.clean = ae_alloc(n, sizeof(float)),
                 .noisy = ae_alloc(n, sizeof(float)),
                 .bytes = ae_alloc(n, 1),
                 .scratch = ae_alloc(aei_camera_scratch(EDGE, EDGE), 1)};
    ae_model *model = NULL;
    ae_error err = {0};
    bool fine = argc > first + 2 && e.clean && e.noisy && e.bytes && e.scratch;
    uint64_t n_examples = fine ? strtoull(argv[first], NULL, 10) : 0;

    if (!fine)
        fprintf(stderr, "usage: noise_features [MODEL.aem] N SEED PICTURE...\n");
    else if (first == 2 && ae_model_open(argv[1], NULL, &model, &err) != AE_OK)
        fine = false;
    for (uint64_t i = 0; fine && i < n_examples; i++) {
        aei_noise_groups groups;

        e.number = i;
        if (!draw(&e, strtoull(argv[first + 1], NULL, 10), model ? 12 : 60, model ? 0.1f : 0.25f,
                  argv + first + 2, (uint32_t)(argc - first - 2)))
            continue;
        if (model)
            fine = print_look(&e, model, &err) == AE_OK;
        else if ((fine = aei_noise_measure(&e.source, NULL, &groups, &err) == AE_OK))
            print_groups(i, e.kind, e.pattern, e.channels, &groups, &e.truth, e.white);
    }
    if (err.message[0])
        fprintf(stderr, "noise_features: %s\n", err.message);
    ae_model_free(model);
    ae_free(e.scratch);
    ae_free(e.bytes);
    ae_free(e.noisy);
    ae_free(e.clean);
    return fine ? 0 : 2;
}
