/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Means of what is known go down a pyramid, each level half as large, until all is known; on the
 * way up what is not known takes the interpolated value of the level below (Gortler et al. 1996).
 */
#include "spread.h"

#include <string.h>

#include "ae/compress.h"

enum { EDGE = AE_CODER_TILE, LEVELS = 10, COLOURS = 3, PARTS = COLOURS + 1 /* and a weight */ };

struct spread {
    float *levels[LEVELS];
    uint32_t width, height;
};

spread *spread_create(void)
{
    spread *s = ae_alloc(1, sizeof(*s));

    for (int i = 0; s && i < LEVELS; i++) {
        size_t edge = EDGE >> i;

        if (!(s->levels[i] = ae_alloc(edge * edge, PARTS * sizeof(float)))) {
            spread_free(s);
            return NULL;
        }
    }
    return s;
}

void spread_free(spread *s)
{
    for (int i = 0; s && i < LEVELS; i++)
        ae_free(s->levels[i]);
    ae_free(s);
}

static uint32_t at_level(uint32_t n, int level)
{
    return ((n - 1) >> level) + 1;
}

static void shrink(const spread *s, int level)
{
    uint32_t w = at_level(s->width, level), h = at_level(s->height, level), half = (w + 1) / 2;
    float *to = s->levels[level + 1];

    memset(to, 0, (size_t)half * ((h + 1) / 2) * PARTS * sizeof(float));
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            const float *v = s->levels[level] + ((size_t)y * w + x) * PARTS;
            float *sum = to + ((size_t)(y / 2) * half + x / 2) * PARTS;

            for (int i = 0; i < PARTS; i++)
                sum[i] += i < COLOURS ? v[i] * v[COLOURS] : v[i];
        }
    for (size_t i = 0; i < (size_t)half * ((h + 1) / 2); i++, to += PARTS)
        if (to[COLOURS] > 0) {
            for (int k = 0; k < COLOURS; k++)
                to[k] /= to[COLOURS];
            to[COLOURS] = to[COLOURS] < 1 ? to[COLOURS] : 1;
        }
}

static void enlarge(const spread *s, int level)
{
    uint32_t w = at_level(s->width, level), h = at_level(s->height, level), half = (w + 1) / 2,
             rows = (h + 1) / 2;
    const float *from = s->levels[level + 1];

    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            float *v = s->levels[level] + ((size_t)y * w + x) * PARTS;
            uint32_t x0 = x / 2, y0 = y / 2,
                     x1 = x & 1 ? (x0 + 1 < half ? x0 + 1 : x0)
                          : x0  ? x0 - 1
                                : 0;
            uint32_t y1 = y & 1 ? (y0 + 1 < rows ? y0 + 1 : y0) : y0 ? y0 - 1 : 0;

            for (int k = 0; k < COLOURS && v[COLOURS] <= 0; k++)
                v[k] = (9 * from[((size_t)y0 * half + x0) * PARTS + k] +
                        3 * from[((size_t)y0 * half + x1) * PARTS + k] +
                        3 * from[((size_t)y1 * half + x0) * PARTS + k] +
                        from[((size_t)y1 * half + x1) * PARTS + k]) /
                       16;
        }
}

/* False where nothing is known. */
static bool solve(const spread *s)
{
    int level = 0;

    while (at_level(s->width, level) > 1 || at_level(s->height, level) > 1)
        shrink(s, level++);
    if (s->levels[level][COLOURS] <= 0)
        return false;
    while (level--)
        enlarge(s, level);
    return true;
}

static float get(const ae_signal_info *info, const uint8_t *pixel, uint32_t c)
{
    return info->sample == AE_U8 ? pixel[c] : (float)((const uint16_t *)(const void *)pixel)[c];
}

static void put(const ae_signal_info *info, uint8_t *pixel, uint32_t c, float v)
{
    if (info->sample == AE_U8)
        pixel[c] = (uint8_t)(v + 0.5f);
    else
        ((uint16_t *)(void *)pixel)[c] = (uint16_t)(v + 0.5f);
}

static void know(const ae_signal_info *info, float *v, const uint8_t *pixel)
{
    for (uint32_t c = 0; c < info->channels - info->alpha; c++)
        v[c] = get(info, pixel, c);
    v[COLOURS] = 1;
}

/* Grey in the middle where nothing is known. */
static void write_unknown(const spread *s, const ae_signal_info *info, uint8_t *rows, size_t stride,
                          bool known, bool all)
{
    size_t pixel = info->channels * ae_sample_bytes(info->sample);
    float middle = info->sample == AE_U8 ? 128 : 32896;

    for (uint32_t y = 0; y < s->height; y++)
        for (uint32_t x = 0; x < s->width; x++) {
            const float *v = s->levels[0] + ((size_t)y * s->width + x) * PARTS;

            for (uint32_t c = 0; c < info->channels - info->alpha && (all || v[COLOURS] <= 0); c++)
                put(info, rows + y * stride + x * pixel, c, known ? v[c] : middle);
        }
}

void spread_hidden(spread *s, const ae_signal_info *info, uint8_t *rows, size_t stride,
                   uint32_t width, uint32_t height)
{
    size_t pixel = info->channels * ae_sample_bytes(info->sample);
    bool any = false;

    s->width = width;
    s->height = height;
    memset(s->levels[0], 0, (size_t)width * height * PARTS * sizeof(float));
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            const uint8_t *from = rows + y * stride + x * pixel;

            if (get(info, from, info->channels - 1) > 0)
                know(info, s->levels[0] + ((size_t)y * width + x) * PARTS, from);
            else
                any = true;
        }
    if (any)
        write_unknown(s, info, rows, stride, solve(s), false);
}

void spread_over(spread *s, const ae_signal_info *info, uint8_t *rows, size_t stride,
                 uint32_t width, uint32_t height, const uint8_t *above, const uint8_t *left,
                 const uint8_t *right)
{
    size_t pixel = info->channels * ae_sample_bytes(info->sample);

    s->width = width;
    s->height = height;
    memset(s->levels[0], 0, (size_t)width * height * PARTS * sizeof(float));
    for (uint32_t x = 0; x < width && above; x++)
        know(info, s->levels[0] + x * PARTS, above + x * pixel);
    for (uint32_t y = 0; y < height; y++) {
        if (left)
            know(info, s->levels[0] + (size_t)y * width * PARTS, left + y * stride);
        if (right)
            know(info, s->levels[0] + ((size_t)y * width + width - 1) * PARTS, right + y * stride);
    }
    write_unknown(s, info, rows, stride, solve(s), true);
}
