/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Is the noise that was found all there is? Patches from all over the picture go through the
 * network, which is told twice as much; what it takes from the flattest third of them is noise as
 * it is. Where that is more than was found the first look has been misled, by calm blocks that are
 * black or of another brightness; where luminance alone has more, texture is taken for noise.
 *
 * And is it noise at all? The network is told what was found, too, and what it takes, both times,
 * is described: how much of what was told where the picture is flat, where it is not; whether it is
 * like noise or like what is left. From that and from what quiet parts of the picture show
 * (quiet.h) a small network (look_net.h) tells which part of the levels is best told. */
#include "ae/denoise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/levels.h"
#include "image/look_net.h"
#include "image/quiet.h"
#include "image/secondlook.h"
#include "image/window.h"

enum {
    PATCH = 96,
    ACROSS = 4,
    BORDER = 12,
    BLOCK = 24,
    PER_PATCH = (PATCH - 2 * BORDER) / BLOCK,
    EDGE = ACROSS * PATCH,
    PIXELS = EDGE * EDGE,
    MAX_BLOCKS = ACROSS * ACROSS * PER_PATCH * PER_PATCH,
    LOOKED = AEI_LOOK_FEATURES - AEI_QUIET_FEATURES
};

static const float least_white = 2; /* below, what is taken is soft detail as often as noise */

/* The patches beside and below one another, and what the network makes of them. */
typedef struct mosaic {
    ae_signal_info info;
    uint32_t n_x, n_y;
    float *in, *out[2], *level, *scratch; /* out: told what was found, and twice that */
    float *to;
    uint64_t read, written;
} mosaic;

/* Squares of luminance and chroma: those told, and those taken by either. */
typedef struct block {
    float texture, found[2], taken[2][2];
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
    memcpy(m->to + m->written * n, rows, n_rows * n * sizeof(float));
    m->written += n_rows;
    return AE_OK;
}

/* Where patch i of n begins, along an edge. */
static uint64_t begins(uint64_t edge, uint32_t n, uint32_t i)
{
    return (edge * (2 * i + 1) / n - PATCH) / 2;
}

static ae_status gather(mosaic *m, aei_quiet *quiet, const ae_row_source *source,
                        const ae_cancel *cancel, ae_error *err)
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
        if (st == AE_OK)
            aei_quiet_row(quiet, row);
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

            differences(m->out[1] + 3 * at, NULL, left);
            for (int k = 0; k < 2; k++) {
                float told_here = 255 * m->level[2 * at + k];

                sum[k] += left[k];
                square[k] += left[k] * left[k];
                b.found[k] += told_here * told_here;
                differences(m->in + 3 * at, m->out[k] + 3 * at, taken);
                b.taken[k][0] += taken[0] * taken[0];
                b.taken[k][1] += 0.5f * (taken[1] * taken[1] + taken[2] * taken[2]);
            }
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

/* Those of the mosaic, the flattest first. */
static size_t measure_all(const mosaic *m, block blocks[MAX_BLOCKS])
{
    size_t n = 0;

    for (size_t y = 0; y < m->n_y * PER_PATCH; y++)
        for (size_t x = 0; x < m->n_x * PER_PATCH; x++) {
            size_t row = y / PER_PATCH * PATCH + BORDER + y % PER_PATCH * BLOCK;
            size_t column = x / PER_PATCH * PATCH + BORDER + x % PER_PATCH * BLOCK;

            blocks[n] = measure(m, row * (size_t)m->info.width + column);
            n += isfinite(blocks[n].texture + blocks[n].taken[0][0] + blocks[n].taken[0][1] +
                          blocks[n].taken[1][0] + blocks[n].taken[1][1]);
        }
    qsort(blocks, n, sizeof(*blocks), compare);
    return n;
}

/* Deviations that the network takes from n blocks when it is told twice as much, in parts of those
 * found. */
static void compare_flat(const block *blocks, size_t n, float taken[2])
{
    for (int k = 0; k < 2; k++) {
        double is = 0, was = 1e-9;

        for (size_t i = 0; i < n; i++) {
            is += (double)blocks[i].taken[1][k];
            was += (double)blocks[i].found[k];
        }
        taken[k] = (float)sqrt(is / was);
    }
}

/* Of what was taken from the patches' luminance and one colour difference, told k + 1 times as
 * much: how alike neighbours are, how alike it is to the edges that are left, how heavy its tails
 * are. */
static void describe_taken(const mosaic *m, int k, float out[4])
{
    double square[2] = {0}, beside[2] = {0}, fourth = 0, edges = 0, both = 0, count = 0;
    size_t w = (size_t)m->info.width;

    for (size_t y = 0; y < (size_t)m->info.height; y++)
        for (size_t x = 0; x < w; x++) {
            size_t at = y * w + x, next[2] = {at + 1, at + w};
            float here[3], left[3], other[3], beyond[3], edge = 0;

            if (y % PATCH < BORDER || y % PATCH >= PATCH - BORDER || x % PATCH < BORDER ||
                x % PATCH >= PATCH - BORDER)
                continue;
            differences(m->in + 3 * at, m->out[k] + 3 * at, here);
            differences(m->out[k] + 3 * at, NULL, left);
            for (int d = 0; d < 2; d++) {
                differences(m->in + 3 * next[d], m->out[k] + 3 * next[d], other);
                beside[0] += 0.5 * (double)(here[0] * other[0]);
                beside[1] += 0.5 * (double)(here[1] * other[1]);
                differences(m->out[k] + 3 * next[d], NULL, other);
                differences(m->out[k] + 3 * (2 * at - next[d]), NULL, beyond);
                edge += 2 * left[0] - other[0] - beyond[0];
            }
            count++;
            square[0] += (double)(here[0] * here[0]);
            square[1] += (double)(here[1] * here[1]);
            fourth += (double)(here[0] * here[0]) * (double)(here[0] * here[0]);
            edges += (double)(edge * edge);
            both += (double)(edge * here[0]);
        }
    out[0] = (float)(beside[0] / (square[0] + 1));
    out[1] = (float)(beside[1] / (square[1] + 1));
    out[2] = (float)(both / sqrt(edges * square[0] + 1));
    out[3] = logf((float)(fourth * count / (square[0] * square[0] + 1)) + 1);
}

static void describe(const mosaic *m, const block *blocks, size_t n,
                     float features[AEI_LOOK_FEATURES])
{
    static const size_t sixths[] = {0, 1, 2, 4, 6};
    double all[2] = {0};
    float *to = features;

    for (int g = 0; g < 4; g++) {
        size_t from = n * sixths[g] / 6, end = n * sixths[g + 1] / 6;
        double found[2] = {1e-9, 1e-9}, taken[2][2] = {{0}}, texture = 0;
        float count = (float)(end > from ? end - from : 1) * BLOCK * BLOCK;

        for (size_t i = from; i < end; i++) {
            for (int k = 0; k < 2; k++) {
                found[k] += (double)blocks[i].found[k];
                taken[0][k] += (double)blocks[i].taken[0][k];
                taken[1][k] += (double)blocks[i].taken[1][k];
                all[k] += (double)blocks[i].found[k];
            }
            texture += (double)blocks[i].texture;
        }
        for (int k = 0; k < 4; k++)
            *to++ = logf((sqrtf((float)taken[k / 2][k % 2] / count) + 0.1f) /
                         (sqrtf((float)found[k % 2] / count) + 0.1f));
        *to++ = logf((float)texture * BLOCK * BLOCK / count + 0.1f);
    }
    for (int k = 0; k < 2; k++) {
        *to++ = logf(sqrtf((float)all[k] / (float)(n * BLOCK * BLOCK)) + 0.3f);
        describe_taken(m, k, to);
        to += 4;
    }
}

static float ramp(float x, float from, float to)
{
    return x <= from ? 0 : x >= to ? 1 : (x - from) / (to - from);
}

void aei_scale_levels(ae_noise *noise, float y, float c)
{
    noise->luminance *= y;
    noise->chroma *= c;
    noise->white = sqrtf(noise->luminance * noise->luminance +
                         noise->chroma * noise->chroma * (2 / 3.0f));
    for (uint32_t i = 0; i < noise->n_bins; i++) {
        noise->luminance_at[i] *= y;
        noise->chroma_at[i] *= c;
    }
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
    aei_scale_levels(noise, y, c);
}

/* The part of the levels that is best told. */
static float judge(const float features[AEI_LOOK_FEATURES])
{
    float out = look_net_bias2[0];

    for (size_t h = 0; h < LOOK_NET_HIDDEN; h++) {
        float sum = look_net_bias1[h];

        for (size_t i = 0; i < LOOK_NET_IN; i++) {
            float v = (features[i] - look_net_mean[i]) * look_net_scale[i];

            sum += look_net_weight1[h * LOOK_NET_IN + i] * (v < 4 ? v > -4 ? v : -4 : 4);
        }
        out += look_net_weight2[h] * fmaxf(sum, 0);
    }
    /* a small part wins next to nothing, and most of the levels win less than all of them */
    return ramp(1 / (1 + expf(-out)), 0.4f, 0.8f);
}

static bool knows_cameras(const ae_recipe *r)
{
    for (uint32_t i = 0; i < r->n_corruptions; i++)
        if (r->corruptions[i].kind == AE_CORRUPT_CAMERA)
            return true;
    return false;
}

/* What the network makes of the patches, told what was found and twice that. */
static ae_status look(mosaic *m, const ae_model *model, ae_precision precision,
                      const ae_control *control, const ae_noise *noise, ae_error *err)
{
    ae_row_source rows = {m->info, m, read_rows};
    ae_row_sink sink = {m, write_rows};
    ae_denoise_options options = {
        .noise = *noise,
        .strength = 1,
        .precision = precision,
        .control = {.threads = control->threads, .cancel = control->cancel}};
    ae_status st = AE_OK;

    for (int k = 0; k < 2 && st == AE_OK; k++) {
        m->to = m->out[k];
        m->read = m->written = 0;
        st = ae_denoise(model, &options, &rows, &sink, NULL, err);
        aei_scale_levels(&options.noise, 2, 2);
    }
    return st;
}

ae_status aei_noise_look(const ae_model *model, const ae_row_source *source, ae_precision precision,
                         const ae_control *control, ae_noise *noise, float *doubt,
                         float features[AEI_LOOK_FEATURES], ae_error *err)
{
    uint64_t n_x = source->info.width / PATCH, n_y = source->info.height / PATCH;
    mosaic m = {.n_x = n_x < ACROSS ? (uint32_t)n_x : ACROSS,
                .n_y = n_y < ACROSS ? (uint32_t)n_y : ACROSS};
    aei_quiet *quiet = NULL;
    block blocks[MAX_BLOCKS];
    size_t n = 0;
    ae_status st;

    *doubt = 0;
    if (!n_x || !n_y || source->info.channels < 3 || !knows_cameras(ae_model_recipe(model)) ||
        noise->is_white || !noise->n_bins || noise->white <= 0)
        return AE_OK;
    m.info = (ae_signal_info){.kind = AE_KIND_IMAGE,
                              .sample = AE_F32,
                              .bits = 32,
                              .channels = 3,
                              .width = m.n_x * PATCH,
                              .height = m.n_y * PATCH};
    m.in = ae_alloc(PIXELS, 3 * sizeof(float));
    m.out[0] = ae_alloc(PIXELS, 3 * sizeof(float));
    m.out[1] = ae_alloc(PIXELS, 3 * sizeof(float));
    m.level = ae_alloc(PIXELS, 2 * sizeof(float));
    m.scratch = ae_alloc(aei_level_scratch(EDGE, EDGE), sizeof(float));
    st = m.in && m.out[0] && m.out[1] && m.level && m.scratch
             ? aei_quiet_create(&quiet, &source->info, err)
             : ae_fail(err, AE_ERR_NOMEM, "%d pixels", PIXELS);
    if (st == AE_OK)
        st = gather(&m, quiet, source, control->cancel, err);
    if (st == AE_OK) {
        *doubt = aei_quiet_unsmoothed(quiet, noise);
        st = look(&m, model, precision, control, noise, err);
    }
    if (st == AE_OK) {
        aei_level_map(noise, m.in, (uint32_t)m.info.height, (uint32_t)m.info.width, 3, 2, m.level,
                      m.scratch);
        n = measure_all(&m, blocks);
    }
    if (n) { /* else NaN all over */
        describe(&m, blocks, n, features);
        if (noise->white >= least_white) {
            float taken[2];

            compare_flat(blocks, (n + 2) / 3, taken);
            settle(taken, blocks[n / 6].texture, noise);
        }
        aei_quiet_bound(quiet, *doubt, noise, features + LOOKED);
    } else {
        *doubt = 0;
    }
    aei_quiet_free(quiet);
    ae_free(m.in);
    ae_free(m.out[0]);
    ae_free(m.out[1]);
    ae_free(m.level);
    ae_free(m.scratch);
    return st;
}

ae_status ae_noise_look_again(const ae_model *model, const ae_row_source *source,
                              ae_precision precision, const ae_control *control, ae_noise *noise,
                              ae_error *err)
{
    float features[AEI_LOOK_FEATURES], doubt;
    ae_status st = aei_noise_look(model, source, precision, control, noise, &doubt, features, err);

    if (st == AE_OK && doubt > 0) {
        float part;

        doubt *= 1 - ramp(noise->white, 10, 14); /* what is strong is noise */
        /* nothing but film is so much quieter in its colours */
        doubt *= ramp(noise->chroma / fmaxf(noise->luminance, 0.01f), 0.25f, 0.45f);
        part = 1 - doubt + doubt * judge(features);
        aei_scale_levels(noise, part, part);
    }
    return st;
}
