/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Is the noise that was found all there is? Patches from all over the picture go through the
 * network, which is told twice as much; what it takes from the flattest third of them is noise as
 * it is. Where that is more than was found the first look has been misled, by calm blocks that are
 * black or of another brightness; where luminance alone has more, texture is taken for noise. */
#include "ae/denoise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/levels.h"
#include "image/window.h"

enum {
    PATCH = 96,
    ACROSS = 4,
    BORDER = 12,
    BLOCK = 24,
    PER_PATCH = (PATCH - 2 * BORDER) / BLOCK,
    EDGE = ACROSS * PATCH,
    PIXELS = EDGE * EDGE
};

static const float least_white = 2; /* below, what is taken is soft detail as often as noise */
static const float told = 2;

/* The patches beside and below one another, and what the network makes of them. */
typedef struct mosaic {
    ae_signal_info info;
    uint32_t n_x, n_y;
    float *in, *out, *level, *scratch;
    uint64_t read, written;
} mosaic;

typedef struct block {
    float texture, found[2], taken[2]; /* squares of luminance and chroma */
} block;

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    mosaic *m = opaque;
    size_t n = 3 * (size_t)m->info.width;

    (void)err;
    memcpy(rows, m->in + m->read * n, n_rows * n * sizeof(float));
    m->read += n_rows;
    return AE_OK;
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    mosaic *m = opaque;
    size_t n = 3 * (size_t)m->info.width;

    (void)err;
    memcpy(m->out + m->written * n, rows, n_rows * n * sizeof(float));
    m->written += n_rows;
    return AE_OK;
}

/* Where patch i of n begins, along an edge. */
static uint64_t begins(uint64_t edge, uint32_t n, uint32_t i)
{
    return (edge * (2 * i + 1) / n - PATCH) / 2;
}

static ae_status gather(mosaic *m, const ae_row_source *source, const ae_cancel *cancel,
                        ae_error *err)
{
    const ae_signal_info *info = &source->info;
    aei_window_format format = {.sample = info->sample,
                                .width = (uint32_t)info->width,
                                .channels = info->channels,
                                .colours = 3,
                                .planes = 3};
    uint8_t *row = ae_alloc(1, ae_row_bytes(info));
    ae_status st = row ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a row");

    for (uint64_t y = 0; y < info->height && st == AE_OK; y++) {
        if (cancel && cancel->requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else
            st = source->read(source->opaque, row, 1, err);
        for (uint32_t j = 0; j < m->n_y && st == AE_OK; j++) {
            uint64_t first = begins(info->height, m->n_y, j);

            for (uint32_t i = 0; i < m->n_x && y >= first && y - first < PATCH; i++)
                aei_window_load(&format, row, (int64_t)begins(info->width, m->n_x, i), PATCH,
                                m->in +
                                    3 * ((j * PATCH + (size_t)(y - first)) * (size_t)m->info.width +
                                         i * PATCH));
        }
    }
    ae_free(row);
    return st;
}

/* Of 0..255: luminance and both colour differences of a pixel, or of what was taken from one. */
static void differences(const float *p, const float *less, float out[3])
{
    float r = 255 * (p[0] - (less ? less[0] : 0)), g = 255 * (p[1] - (less ? less[1] : 0)),
          b = 255 * (p[2] - (less ? less[2] : 0));

    out[0] = (r + g + b) * (1 / 3.0f);
    out[1] = (r - b) * 0.70710678f;
    out[2] = (r - 2 * g + b) * 0.40824829f;
}

static block measure(const mosaic *m, size_t corner)
{
    float sum[2] = {0}, square[2] = {0}, n = BLOCK * BLOCK;
    block b = {0};

    for (size_t y = 0; y < BLOCK; y++)
        for (size_t x = 0; x < BLOCK; x++) {
            size_t at = corner + y * (size_t)m->info.width + x;
            float left[3], taken[3];

            differences(m->out + 3 * at, NULL, left);
            differences(m->in + 3 * at, m->out + 3 * at, taken);
            for (int k = 0; k < 2; k++) {
                float told_here = 255 * m->level[2 * at + k];

                sum[k] += left[k];
                square[k] += left[k] * left[k];
                b.found[k] += told_here * told_here;
            }
            b.taken[0] += taken[0] * taken[0];
            b.taken[1] += 0.5f * (taken[1] * taken[1] + taken[2] * taken[2]);
        }
    for (int k = 0; k < 2; k++)
        b.texture += sqrtf(fmaxf(square[k] / n - sum[k] / n * (sum[k] / n), 0)) /
                     (sqrtf(b.found[k] / n) + 0.3f);
    return b;
}

static int compare(const void *a, const void *b)
{
    float x = ((const block *)a)->texture, y = ((const block *)b)->texture;

    return (x > y) - (x < y);
}

/* Deviations taken from the flattest third, in parts of those found; *texture: how much is left in
 * the flattest sixth, likewise. */
static void compare_flat(const mosaic *m, float taken[2], float *texture)
{
    block blocks[ACROSS * ACROSS * PER_PATCH * PER_PATCH];
    size_t n = 0;

    for (size_t y = 0; y < m->n_y * PER_PATCH; y++)
        for (size_t x = 0; x < m->n_x * PER_PATCH; x++) {
            size_t row = y / PER_PATCH * PATCH + BORDER + y % PER_PATCH * BLOCK;
            size_t column = x / PER_PATCH * PATCH + BORDER + x % PER_PATCH * BLOCK;

            blocks[n] = measure(m, row * (size_t)m->info.width + column);
            n += isfinite(blocks[n].texture + blocks[n].taken[0] + blocks[n].taken[1]);
        }
    taken[0] = taken[1] = *texture = 0;
    if (!n) /* NaN all over */
        return;
    qsort(blocks, n, sizeof(*blocks), compare);
    *texture = blocks[n / 6].texture;
    for (int k = 0; k < 2; k++) {
        double is = 0, was = 1e-9;

        for (size_t i = 0; i < (n + 2) / 3; i++) {
            is += (double)blocks[i].taken[k];
            was += (double)blocks[i].found[k];
        }
        taken[k] = (float)sqrt(is / was);
    }
}

static float ramp(float x, float from, float to)
{
    return x <= from ? 0 : x >= to ? 1 : (x - from) / (to - from);
}

/* Where a camera smooths, less is taken than was found, and texture holds more of the noise than
 * flat parts do: a little more than was found is there. Real noise has its colours, too. Where
 * nothing at all is flat, neither look is sure of anything. */
static void settle(const float taken[2], float texture, ae_noise *noise)
{
    float wild = ramp(texture, 2.6f, 3.2f),
          less = 1 - 0.3f * wild * (1 - ramp(taken[0], 0.65f, 0.75f));
    float ratio = taken[0] / fmaxf(taken[1], 0.01f);
    float grain = ramp(taken[0], 0.95f, 1.1f) * ramp(ratio, 1.2f, 1.35f);
    float agree = (1 - wild) * ramp(taken[0], 0.65f, 0.75f) * (1 - ramp(ratio, 1.4f, 1.6f));
    /* cameras spare colour no smoothing */
    float smoothed = 1 - ramp(noise->chroma / fmaxf(noise->luminance, 0.01f), 0.95f, 1.1f);
    float some = 1 + 0.2f * smoothed * (1 - ramp(fminf(taken[0], taken[1]), 0.87f, 0.93f));
    float y = 1 + agree * (fminf(fmaxf(some, taken[0] * taken[0]), 1.6f) - 1);
    float c = 1 + (1 - wild) * fmaxf(smoothed, ramp(taken[0], 0.7f, 0.85f)) *
                      (fminf(fmaxf(taken[1], 1), 1.5f) - 1);

    y += grain * (0.8f - y);
    y *= less;
    c *= less;
    noise->luminance *= y;
    noise->chroma *= c;
    noise->white = sqrtf(noise->luminance * noise->luminance +
                         noise->chroma * noise->chroma * (2 / 3.0f));
    for (uint32_t i = 0; i < noise->n_bins; i++) {
        noise->luminance_at[i] *= y;
        noise->chroma_at[i] *= c;
    }
}

static bool knows_cameras(const ae_recipe *r)
{
    for (uint32_t i = 0; i < r->n_corruptions; i++)
        if (r->corruptions[i].kind == AE_CORRUPT_CAMERA)
            return true;
    return false;
}

ae_status ae_noise_look_again(const ae_model *model, const ae_row_source *source,
                              ae_precision precision, const ae_control *control, ae_noise *noise,
                              ae_error *err)
{
    ae_denoise_options options = {
        .noise = *noise,
        .strength = 1,
        .precision = precision,
        .control = {.threads = control->threads, .cancel = control->cancel}};
    uint64_t n_x = source->info.width / PATCH, n_y = source->info.height / PATCH;
    mosaic m = {.n_x = n_x < ACROSS ? (uint32_t)n_x : ACROSS,
                .n_y = n_y < ACROSS ? (uint32_t)n_y : ACROSS};
    ae_row_source rows;
    ae_row_sink sink = {&m, write_rows};
    float taken[2], texture;
    ae_status st;

    if (!n_x || !n_y || source->info.channels < 3 || !knows_cameras(ae_model_recipe(model)) ||
        noise->is_white || !noise->n_bins || noise->white < least_white)
        return AE_OK;
    m.info = (ae_signal_info){.kind = AE_KIND_IMAGE,
                              .sample = AE_F32,
                              .bits = 32,
                              .channels = 3,
                              .width = m.n_x * PATCH,
                              .height = m.n_y * PATCH};
    rows = (ae_row_source){m.info, &m, read_rows};
    options.noise.luminance *= told;
    options.noise.chroma *= told;
    options.noise.white *= told;
    for (uint32_t i = 0; i < noise->n_bins; i++) {
        options.noise.luminance_at[i] *= told;
        options.noise.chroma_at[i] *= told;
    }
    m.in = ae_alloc(PIXELS, 3 * sizeof(float));
    m.out = ae_alloc(PIXELS, 3 * sizeof(float));
    m.level = ae_alloc(PIXELS, 2 * sizeof(float));
    m.scratch = ae_alloc(aei_level_scratch(EDGE, EDGE), sizeof(float));
    st = m.in && m.out && m.level && m.scratch ? gather(&m, source, control->cancel, err)
                                               : ae_fail(err, AE_ERR_NOMEM, "%d pixels", PIXELS);
    if (st == AE_OK && (st = ae_denoise(model, &options, &rows, &sink, NULL, err)) == AE_OK) {
        aei_level_map(noise, m.in, (uint32_t)m.info.height, (uint32_t)m.info.width, 3, 2, m.level,
                      m.scratch);
        compare_flat(&m, taken, &texture);
        settle(taken, texture, noise);
    }
    ae_free(m.in);
    ae_free(m.out);
    ae_free(m.level);
    ae_free(m.scratch);
    return st;
}
