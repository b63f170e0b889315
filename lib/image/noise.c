/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How noisy is a picture, at which brightness? Second differences do not see slopes; what is left
 * of them in the calmest blocks is noise, unless nothing in the picture is calm. Noise from a
 * camera is coarse and its grain says how the calm blocks are to be read, so energies are taken
 * along rows, columns and both, of luminance and of two colour differences, at four scales; of
 * each, some low quantiles over blocks are kept. Fur, cloth and leaves are grainy all over and have
 * no calm blocks. What gives them away is that their grain has a direction and that its colour
 * follows its brightness: signs of that are averaged over the calmest blocks and over all. Noise
 * depends on the brightness alone, so blocks of similar brightness are summarised together, beside
 * all of them: what one group has and the others have not is texture. A small network, trained on
 * photographs and patterns with synthetic noise by models/torch/noise_estimator.py, turns the
 * summaries into deviations; another one knows white noise when it sees it.
 *
 * Pictures that no camera took are known by their levels: noise fills all between the darkest and
 * the brightest of a block, drawing leaves most of them out; and by their spectra, if these are of
 * lines nearly everywhere (artificial.h).
 *
 * Blocks lie on a fixed grid, at most MAX_BLOCKS of them spread over the picture: the same whoever
 * reads the rows. */
#include "ae/denoise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clones.h"
#include "image/artificial.h"
#include "image/noise.h"
#include "image/noise_net.h"
#include "image/window.h"

enum {
    EDGE = AEI_BLOCK_EDGE,
    SCALES = 4,
    MAX_BLOCKS = 4096,
    /* scale, luminance or colour, along one direction (the lesser of two) or both */
    N_ENERGIES = 4 * SCALES,
    N_QUANTILES = 4,
    N_SIGNS = 2 * SCALES + 1, /* scale: direction, likeness of colour to luminance; brightness */
    LEAST_BLOCKS = 4,
    GROUP_BLOCKS = 12 /* are summarised apart, not fewer */
};

_Static_assert(AEI_NOISE_SUMMARY == N_ENERGIES * N_QUANTILES + 2 * (N_SIGNS + 1),
               "quantiles, and signs of calm and of all blocks");

static const float least_noise = 0.35f; /* what rounding makes; below, nothing is told */
/* deviation below which white noise is not told from a camera's */
static const float least_white = 3;
/* logarithm of the odds from which on it is believed: grey, where less can tell it, and in colour
 */
static const float sure_white[2] = {0, 1.2f};
/* share of drawn blocks beyond which a picture is taken for drawn */
static const float most_drawn = 0.5f;
static const float most_lines = 0.85f; /* likewise of those whose spectra are of lines */
static const double quantiles[N_QUANTILES] = {0.05, 0.15, 0.3, 0.5};

typedef struct block {
    float energy[N_ENERGIES];
    float sign[N_SIGNS];
    float calm;    /* the less the calmer */
    float clipped; /* share of the samples that are black or white: no noise is seen there */
    bool blank;    /* black or white all over: it says nothing */
    bool drawn;    /* no camera made this */
    bool lines;
    size_t number; /* settles the order of equals */
} block;

/* Second differences of a square, dense: along rows, along columns, along both. */
typedef struct differences {
    float along[3][EDGE * EDGE];
} differences;

AEI_CLONES static void differ(const float *restrict p, size_t edge, differences *restrict d)
{
    size_t inner = edge - 2;
    float *h = d->along[0], *v = d->along[1], *both = d->along[2];

    for (size_t y = 0; y < edge; y++)
        for (size_t x = 0; x < inner; x++)
            h[y * inner + x] = p[y * edge + x] - 2 * p[y * edge + x + 1] + p[y * edge + x + 2];
    for (size_t i = 0; i < inner * edge; i++)
        v[i] = p[i] - 2 * p[i + edge] + p[i + 2 * edge];
    for (size_t i = 0; i < inner * inner; i++)
        both[i] = h[i] - 2 * h[i + inner] + h[i + 2 * inner];
}

/* In eight parts, so that it vectorises and is the same everywhere. */
AEI_CLONES static float dot(const float *a, const float *b, size_t n)
{
    float part[8] = {0}, sum = 0;

    for (size_t i = 0; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            part[k] += a[i + k] * b[i + k];
    for (size_t i = n / 8 * 8; i < n; i++)
        sum += a[i] * b[i];
    for (size_t k = 0; k < 8; k++)
        sum += part[k];
    return sum;
}

/* d: of luminance and two colour differences. Energies are scaled to the variance of white noise.
 */
static void measure(const differences d[3], size_t edge, float energy[4], float sign[2])
{
    size_t inner = edge - 2, n[3] = {edge * inner, edge * inner, inner * inner};
    float e[3][3], likeness = 0, most;

    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++)
            e[k][i] = dot(d[k].along[i], d[k].along[i], n[i]) / (float)((i < 2 ? 6 : 36) * n[i]);
    energy[0] = fminf(e[0][0], e[0][1]);
    energy[1] = e[0][2];
    energy[2] = 0.5f * fminf(e[1][0] + e[2][0], e[1][1] + e[2][1]);
    energy[3] = 0.5f * (e[1][2] + e[2][2]);

    sign[0] = logf((fmaxf(e[0][0], e[0][1]) + 0.1f) / (energy[0] + 0.1f));
    for (int k = 1; k < 3; k++) {
        float both = (dot(d[0].along[0], d[k].along[0], n[0]) +
                      dot(d[0].along[1], d[k].along[1], n[1])) /
                     (float)(6 * n[0]);

        likeness += both * both;
    }
    most = (e[0][0] + e[0][1]) * (e[1][0] + e[1][1] + e[2][0] + e[2][1]);
    sign[1] = sqrtf(fminf(likeness / (most + 1e-9f), 1));
}

/* Averages squares of four; in place. */
static void halve(float *p, size_t edge)
{
    for (size_t y = 0; y < edge / 2; y++)
        for (size_t x = 0; x < edge / 2; x++) {
            const float *q = p + 2 * y * edge + 2 * x;

            p[y * (edge / 2) + x] = 0.25f * (q[0] + q[1] + q[edge] + q[edge + 1]);
        }
}

/* planes: luminance and, unless they are grey, two colour differences; overwritten. */
static void measure_block(float planes[3][EDGE * EDGE], bool grey, block *b)
{
    differences d[3] = {{{{0}}}};
    float brightness = 0;

    for (size_t i = 0; i < EDGE * EDGE; i++)
        brightness += planes[0][i];
    b->calm = 0;
    for (int scale = 0; scale < SCALES; scale++) {
        for (int k = 0; k < (grey ? 1 : 3); k++) {
            differ(planes[k], EDGE >> scale, &d[k]);
            halve(planes[k], EDGE >> scale);
        }
        measure(d, EDGE >> scale, b->energy + 4 * scale, b->sign + 2 * scale);
        b->calm += logf(b->energy[4 * scale + 1] + 0.06f);
    }
    b->sign[N_SIGNS - 1] = brightness / (64 * EDGE * EDGE);
}

/* The block whose corner is at column x of EDGE rows of samples, 1.0 = white. */
static void load_block(const float *pixels, size_t width, size_t x, int n_colours,
                       float planes[3][EDGE * EDGE], block *b)
{
    uint32_t histogram[3][256] = {{0}}, of_pixels[EDGE * EDGE] = {0};
    bool inside[EDGE * EDGE] = {false};
    size_t n_clipped = 0, n_equal = 0;
    uint32_t range = 0;
    bool both = false, full = false, known = true;

    for (size_t y = 0; y < EDGE; y++) {
        const float *row = pixels + (y * width + x) * (size_t)n_colours;

        for (size_t i = 1; i < EDGE; i++) {
            const float *a = row + (i - 1) * (size_t)n_colours, *next = a + n_colours;

            n_equal += a[0] == next[0] && (n_colours == 1 || (a[1] == next[1] && a[2] == next[2]));
        }

        for (size_t i = 0; i < (size_t)(EDGE * n_colours); i++) {
            float v = row[i] > 0 ? row[i] < 1 ? row[i] : 1 : 0;
            size_t pixel = y * EDGE + i / (size_t)n_colours;

            of_pixels[pixel] = of_pixels[pixel] << 8 | (uint32_t)(255 * v + 0.5f);
            inside[pixel] = inside[pixel] || (row[i] > 0 && row[i] < 1);
            n_clipped += row[i] <= 1 / 255.0f || row[i] >= 254 / 255.0f;
            histogram[i % (size_t)n_colours][(int)(255 * v + 0.5f)]++;
        }
        for (size_t i = 0; i < EDGE; i++) {
            size_t at = y * EDGE + i;

            if (n_colours == 1) {
                planes[0][at] = 255 * row[i];
            } else {
                float r = 255 * row[3 * i], g = 255 * row[3 * i + 1], blue = 255 * row[3 * i + 2];

                planes[0][at] = (r + g + blue) * (1 / 3.0f);
                planes[1][at] = (r - blue) * 0.70710678f;
                planes[2][at] = (r - 2 * g + blue) * 0.40824829f;
            }
        }
    }
    b->clipped = (float)n_clipped / (float)(EDGE * EDGE * n_colours);
    for (int c = 0; c < n_colours; c++) {
        float share = aei_filled(histogram[c], &range);

        full = full || share >= 0.34f;
        known = known && share >= 0;
        both = both || (histogram[c][0] > EDGE * EDGE / 10 && histogram[c][255] > EDGE * EDGE / 10);
    }
    for (size_t i = 0; i < EDGE * EDGE; i++)
        of_pixels[i] = inside[i] ? of_pixels[i] : UINT32_MAX;
    /* black and white side by side; or high contrast, and yet neighbours or many pixels that are
     * the same to the last bit */
    b->drawn = (!full && (known || range >= 6)) || both ||
               (range >= 64 &&
                (n_equal > EDGE * EDGE / 5 || aei_most_frequent(of_pixels) > EDGE * EDGE / 5));
    b->blank = n_clipped == (size_t)(EDGE * EDGE * n_colours) && range == 0;
}

typedef struct scan {
    const ae_row_source *source;
    uint32_t step;     /* every step-th block of every step-th row of blocks */
    uint32_t n_x, n_y; /* blocks */
    uint32_t width;    /* of a row of floats: at least EDGE */
    uint8_t *rows;
    float *pixels; /* EDGE rows */
    aei_lines *lines;
    block *blocks;
    size_t n_blocks;
} scan;

static ae_status prepare(scan *s, ae_error *err)
{
    const ae_signal_info *info = &s->source->info;
    size_t row_bytes = ae_row_bytes(info), n;

    if (!info->width || !info->height || !row_bytes || info->width > UINT32_MAX / 4 ||
        info->height > UINT32_MAX / 4 || info->channels < 1 || info->channels > 4 ||
        (info->sample != AE_U8 && info->sample != AE_U16 && info->sample != AE_F32))
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "no noise can be estimated in %llu x %llu x %u samples of this type",
                       (unsigned long long)info->width, (unsigned long long)info->height,
                       info->channels);
    s->width = info->width < EDGE ? EDGE : (uint32_t)info->width;
    s->n_x = s->width / EDGE;
    s->n_y = info->height < EDGE ? 1 : (uint32_t)(info->height / EDGE);
    for (s->step = 1;; s->step++) {
        n = (size_t)((s->n_x + s->step - 1) / s->step) * ((s->n_y + s->step - 1) / s->step);
        if (n <= MAX_BLOCKS)
            break;
    }
    s->rows = ae_alloc(EDGE, row_bytes);
    s->pixels = ae_alloc((size_t)s->width * EDGE, 3 * sizeof(float));
    s->blocks = ae_alloc(n, sizeof(*s->blocks));
    if (!s->rows || !s->pixels || !s->blocks)
        return ae_fail(err, AE_ERR_NOMEM, "%d rows of %u pixels", EDGE, s->width);
    return aei_lines_create(&s->lines, err);
}

/* Measures the blocks of EDGE rows, or of n_rows < EDGE continued by mirroring. */
static void scan_band(scan *s, uint32_t n_rows)
{
    const ae_signal_info *info = &s->source->info;
    uint32_t colours = info->channels < 3 ? 1 : 3;
    aei_window_format format = {.sample = info->sample,
                                .width = (uint32_t)info->width,
                                .channels = info->channels,
                                .colours = colours,
                                .planes = colours};
    float planes[3][EDGE * EDGE];

    for (uint32_t y = 0; y < EDGE; y++)
        aei_window_load(&format, s->rows + aei_mirror(y, n_rows) * ae_row_bytes(info), 0, s->width,
                        s->pixels + (size_t)y * s->width * colours);
    for (uint32_t i = 0; i < s->n_x; i += s->step) {
        block *b = &s->blocks[s->n_blocks++];

        load_block(s->pixels, s->width, (size_t)i * EDGE, (int)colours, planes, b);
        b->number = s->n_blocks;
        b->lines = b->drawn || aei_lines_seen(s->lines, planes[0]);
        measure_block(planes, colours == 1, b);
    }
}

static ae_status read_bands(scan *s, const ae_cancel *cancel, ae_error *err)
{
    uint64_t height = s->source->info.height;
    ae_status st = AE_OK;

    for (uint64_t y = 0; y < height && st == AE_OK; y += EDGE) {
        uint32_t n = height - y < EDGE ? (uint32_t)(height - y) : EDGE;
        uint64_t i = y / EDGE;

        if (cancel && cancel->requested)
            return ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        st = s->source->read(s->source->opaque, s->rows, n, err);
        if (st == AE_OK && i < s->n_y && i % s->step == 0)
            scan_band(s, n);
    }
    return st;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static int compare_clipped(const void *a, const void *b)
{
    const block *x = a, *y = b;
    int by = compare_floats(&x->clipped, &y->clipped);

    return by ? by : (x->number > y->number) - (x->number < y->number);
}

static int compare_brightness(const void *a, const void *b)
{
    const block *x = a, *y = b;
    int by = compare_floats(&x->sign[N_SIGNS - 1], &y->sign[N_SIGNS - 1]);

    return by ? by : (x->number > y->number) - (x->number < y->number);
}

static int compare_calm(const void *a, const void *b)
{
    const block *x = a, *y = b;
    int by = compare_floats(&x->calm, &y->calm);

    return by ? by : (x->number > y->number) - (x->number < y->number);
}

/* Moves the blocks to look at to the front: those hardly clipped, or the least clipped ones where
 * these are too few. */
static size_t choose_blocks(scan *s)
{
    size_t n = 0, least = s->n_blocks / 20 > LEAST_BLOCKS ? s->n_blocks / 20 : LEAST_BLOCKS;

    qsort(s->blocks, s->n_blocks, sizeof(*s->blocks), compare_clipped);
    while (n < s->n_blocks && s->blocks[n].clipped <= 0.05f)
        n++;
    if (n < least)
        n = s->n_blocks / 10 > LEAST_BLOCKS ? s->n_blocks / 10 : LEAST_BLOCKS;
    return n < s->n_blocks ? n : s->n_blocks;
}

static void layer(const float *weights, const float *bias, const float *in, size_t n_in, float *out,
                  size_t n_out, bool relu)
{
    for (size_t o = 0; o < n_out; o++) {
        float sum = bias[o];

        for (size_t i = 0; i < n_in; i++)
            sum += weights[o * n_in + i] * in[i];
        out[o] = relu && sum < 0 ? 0 : sum;
    }
}

/* Means of each sign, and how the brightness spreads. */
static void average_signs(const block *blocks, size_t n, float mean[N_SIGNS + 1])
{
    double square = 0;

    for (size_t k = 0; k < N_SIGNS; k++) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += (double)blocks[i].sign[k];
        mean[k] = (float)(sum / (double)n);
    }
    for (size_t i = 0; i < n; i++) {
        double off = (double)blocks[i].sign[N_SIGNS - 1] - (double)mean[N_SIGNS - 1];

        square += off * off;
    }
    mean[N_SIGNS] = (float)sqrt(square / (double)n);
}

/* Logarithms of low quantiles of each energy over n blocks, then signs of the calmest sixth and of
 * all. values: n + 1 floats. */
static void summarise(block *blocks, size_t n, float *values, float summary[AEI_NOISE_SUMMARY])
{
    size_t n_calm = n / 6 > LEAST_BLOCKS ? n / 6 : LEAST_BLOCKS;
    float *signs = summary + N_ENERGIES * N_QUANTILES;

    for (size_t k = 0; k < N_ENERGIES; k++) {
        for (size_t i = 0; i < n; i++)
            values[i] = blocks[i].energy[k];
        qsort(values, n, sizeof(*values), compare_floats);
        for (size_t q = 0; q < N_QUANTILES; q++) {
            double at = quantiles[q] * (double)(n - 1);
            size_t i = (size_t)at;
            float next = values[i + 1 < n ? i + 1 : i];
            float v = values[i] + (float)(at - (double)i) * (next - values[i]);

            summary[k * N_QUANTILES + q] = logf(sqrtf(v) + 0.25f);
        }
    }
    qsort(blocks, n, sizeof(*blocks), compare_calm);
    average_signs(blocks, n_calm < n ? n_calm : n, signs);
    average_signs(blocks, n, signs + N_SIGNS + 1);
}

/* Of blocks that say anything. *lines: of those that are drawn or of lines. */
static float drawn_share(const block *blocks, size_t n, float *lines)
{
    size_t drawn = 0, blank = 0, n_lines = 0;

    for (size_t i = 0; i < n; i++) {
        drawn += blocks[i].drawn && !blocks[i].blank;
        n_lines += blocks[i].lines && !blocks[i].blank;
        blank += blocks[i].blank;
    }
    *lines = blank < n ? (float)n_lines / (float)(n - blank) : 1;
    return blank < n ? (float)drawn / (float)(n - blank) : 1;
}

static ae_status group(scan *s, aei_noise_groups *out, ae_error *err)
{
    float *values = ae_alloc(s->n_blocks + 1, sizeof(*values)), all[AEI_NOISE_SUMMARY], lines;
    size_t n, seen = 0;

    if (!values)
        return ae_fail(err, AE_ERR_NOMEM, "%zu blocks", s->n_blocks);
    out->drawn = drawn_share(s->blocks, s->n_blocks, &out->lines);
    for (size_t i = 0; i < s->n_blocks; i++)
        seen += !s->blocks[i].drawn && s->blocks[i].clipped <= 0.05f;
    out->seen = (float)seen / (float)s->n_blocks;
    n = choose_blocks(s);
    summarise(s->blocks, n, values, all);
    qsort(s->blocks, n, sizeof(*s->blocks), compare_brightness);
    out->n = n < 2 * GROUP_BLOCKS ? 1 : (uint32_t)(n / GROUP_BLOCKS);
    out->n = out->n < AEI_NOISE_GROUPS ? out->n : AEI_NOISE_GROUPS;
    for (uint32_t g = 0; g < out->n; g++) {
        block *first = s->blocks + n * g / out->n;
        size_t n_group = n * (g + 1) / out->n - n * g / out->n;
        float *to = out->features[g];

        summarise(first, n_group, values, to);
        out->brightness[g] = to[AEI_NOISE_SUMMARY - 2] * (64 / 255.0f);
        memcpy(to + AEI_NOISE_SUMMARY, all, sizeof(all));
        to[2 * AEI_NOISE_SUMMARY] = drawn_share(first, n_group, &lines);
        to[2 * AEI_NOISE_SUMMARY + 1] = out->drawn;
    }
    ae_free(values);
    return AE_OK;
}

ae_status aei_noise_measure(const ae_row_source *source, const ae_cancel *cancel,
                            aei_noise_groups *out, ae_error *err)
{
    scan s = {.source = source};
    ae_status st;

    *out = (aei_noise_groups){0};
    if ((st = prepare(&s, err)) == AE_OK && (st = read_bands(&s, cancel, err)) == AE_OK)
        st = group(&s, out, err);
    ae_free(s.rows);
    ae_free(s.pixels);
    ae_free(s.blocks);
    aei_lines_free(s.lines);
    return st;
}

static void standardise(const float features[AEI_NOISE_FEATURES], float in[NOISE_NET_IN])
{
    for (size_t i = 0; i < NOISE_NET_IN; i++) {
        float v = (features[i] - noise_net_mean[i]) * noise_net_scale[i];

        in[i] = v < 4 ? (v > -4 ? v : -4) : 4;
    }
}

/* The deviation of white noise, if that is what all groups together look like; else 0. */
static float judge_white(const aei_noise_groups *groups, bool colour)
{
    float in[NOISE_NET_IN], a[NOISE_WHITE_HIDDEN], b[2], odds = 0, deviation = 0;

    for (uint32_t g = 0; g < groups->n; g++) {
        standardise(groups->features[g], in);
        layer(noise_white_weight1, noise_white_bias1, in, NOISE_NET_IN, a, NOISE_WHITE_HIDDEN,
              true);
        layer(noise_white_weight2, noise_white_bias2, a, NOISE_WHITE_HIDDEN, b, 2, false);
        odds += b[0] / (float)groups->n;
        deviation += b[1] / (float)groups->n;
    }
    deviation = expf(fminf(deviation, 5)) - 0.5f;
    /* strong noise in grey pictures is clipped, and then looks less white; but no camera's grey is
     * as strong */
    if (!colour)
        odds += 0.55f * fminf(fmaxf((deviation - 30) / 15, 0), 1);
    return odds >= sure_white[colour] && deviation >= least_white ? deviation : 0;
}

/* Deviations that the network finds in a group; its outputs are log(deviation + 0.5). */
static void judge(const float features[AEI_NOISE_FEATURES], float found[2])
{
    float in[NOISE_NET_IN], a[NOISE_NET_HIDDEN], b[NOISE_NET_HIDDEN];

    standardise(features, in);
    layer(noise_net_weight1, noise_net_bias1, in, NOISE_NET_IN, a, NOISE_NET_HIDDEN, true);
    layer(noise_net_weight2, noise_net_bias2, a, NOISE_NET_HIDDEN, b, NOISE_NET_HIDDEN, true);
    layer(noise_net_weight3, noise_net_bias3, b, NOISE_NET_HIDDEN, found, 2, false);
    for (int k = 0; k < 2; k++) {
        found[k] = fmaxf(0, expf(fminf(found[k], 5)) - 0.5f);
        if (found[k] < least_noise)
            found[k] = 0;
    }
}

/* From the groups' brightnesses to the curve's: linear between, constant beyond. */
static void draw_curve(const aei_noise_groups *groups, const float *found, float *curve)
{
    for (int i = 0; i < AE_NOISE_BINS; i++) {
        float at = (float)i / (AE_NOISE_BINS - 1), t;
        uint32_t g = 0;

        while (g + 1 < groups->n && groups->brightness[g + 1] < at)
            g++;
        t = g + 1 < groups->n ? (at - groups->brightness[g]) /
                                    (groups->brightness[g + 1] - groups->brightness[g] + 1e-6f)
                              : 0;
        t = t > 0 ? (t < 1 ? t : 1) : 0;
        curve[i] = found[2 * g] + (g + 1 < groups->n ? t * (found[2 * (g + 1)] - found[2 * g]) : 0);
    }
}

ae_status ae_noise_estimate(const ae_row_source *source, const ae_cancel *cancel, ae_noise *out,
                            ae_error *err)
{
    float found[AEI_NOISE_GROUPS][2], square[2] = {0};
    aei_noise_groups groups;
    ae_status st = aei_noise_measure(source, cancel, &groups, err);

    *out = (ae_noise){0};
    if (st != AE_OK)
        return st;
    out->confidence = fmaxf(fmaxf(groups.drawn, groups.lines), groups.seen);
    if (groups.drawn > most_drawn || groups.lines > most_lines)
        return AE_OK;
    out->white = judge_white(&groups, source->info.channels >= 3);
    out->is_white = out->white > 0;
    if (out->is_white) {
        out->luminance = source->info.channels < 3 ? out->white : out->white * sqrtf(1 / 3.0f);
        out->chroma = source->info.channels < 3 ? 0 : out->white;
        return AE_OK;
    }
    for (uint32_t g = 0; g < groups.n; g++) {
        judge(groups.features[g], found[g]);
        if (source->info.channels < 3)
            found[g][1] = 0;
        for (int k = 0; k < 2; k++)
            square[k] += found[g][k] * found[g][k] / (float)groups.n;
    }
    out->n_bins = AE_NOISE_BINS;
    draw_curve(&groups, &found[0][0], out->luminance_at);
    draw_curve(&groups, &found[0][1], out->chroma_at);
    out->luminance = sqrtf(square[0]);
    out->chroma = sqrtf(square[1]);
    out->white = sqrtf(square[0] + square[1] * (2 / 3.0f));
    return AE_OK;
}
