/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What patterns are drawn with: colours, strokes, discs, smooth tones, letters. For patterns.c
 * alone. */
#ifndef AEI_MARKS_H
#define AEI_MARKS_H

#include "core/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct canvas {
    float *at;
    size_t stride; /* floats a row */
    int h, w;
} canvas;

typedef struct colour {
    float v[3];
} colour;

#define TURN 6.2831853f

/* ---- draws ---- */

static inline int below(aei_rng *r, int n)
{
    return (int)aei_rng_below(r, (uint32_t)(n < 1 ? 1 : n));
}

static inline bool chance(aei_rng *r, float p)
{
    return aei_rng_float(r) < p;
}

/* Small numbers are likelier: what one pixel wide breaks is what ten wide does not. */
static inline int small(aei_rng *r, int most)
{
    float u = aei_rng_float(r);

    return 1 + (int)((float)most * u * u * u);
}

static inline colour grey(float v)
{
    return (colour){{v, v, v}};
}

static inline colour any_colour(aei_rng *r)
{
    colour c;

    switch (below(r, 5)) {
    case 0: return grey((float)below(r, 2));
    case 1: return grey(aei_rng_float(r));
    case 2: /* a corner of the cube */
        for (int i = 0; i < 3; i++)
            c.v[i] = (float)below(r, 2);
        return c;
    case 3: { /* between a corner and its grey */
        float s = aei_rng_float(r), g = aei_rng_float(r);

        for (int i = 0; i < 3; i++)
            c.v[i] = g + s * ((float)below(r, 2) - g);
        return c;
    }
    default:
        for (int i = 0; i < 3; i++)
            c.v[i] = aei_rng_float(r);
        return c;
    }
}

static inline colour mix(colour a, colour b, float t)
{
    for (int i = 0; i < 3; i++)
        a.v[i] += t * (b.v[i] - a.v[i]);
    return a;
}

static inline float contrast(colour a, colour b)
{
    return fabsf(a.v[0] - b.v[0]) + fabsf(a.v[1] - b.v[1]) + fabsf(a.v[2] - b.v[2]);
}

/* Paper and ink: often black and white, at times hard to tell apart. */
static inline void two_colours(aei_rng *r, colour *a, colour *b)
{
    int kind = below(r, 8);

    if (kind < 3) {
        *a = grey((float)(kind & 1));
        *b = grey((float)!(kind & 1));
        return;
    }
    *a = any_colour(r);
    if (kind == 3) {
        *b = mix(*a, any_colour(r), aei_rng_range(r, 0.02f, 0.3f));
        return;
    }
    for (int tries = 0; tries < 4; tries++) {
        *b = any_colour(r);
        if (contrast(*a, *b) > 0.6f)
            return;
    }
    *b = grey(a->v[1] > 0.5f ? 0 : 1);
}

/* ---- marks ---- */

static inline float *pixel(const canvas *k, int y, int x)
{
    return k->at + (size_t)y * k->stride + 3 * (size_t)x;
}

static inline void put(const canvas *k, int y, int x, colour c, float cover)
{
    if (y < 0 || x < 0 || y >= k->h || x >= k->w || !(cover > 0))
        return;
    float *p = pixel(k, y, x);

    cover = cover < 1 ? cover : 1;
    for (int i = 0; i < 3; i++)
        p[i] += cover * (c.v[i] - p[i]);
}

static inline int most(int a, int b)
{
    return a > b ? a : b;
}

static inline int least(int a, int b)
{
    return a < b ? a : b;
}

static inline void box(const canvas *k, int y, int x, int h, int w, colour c)
{
    for (int i = most(y, 0); i < least(y + h, k->h); i++)
        for (int j = most(x, 0); j < least(x + w, k->w); j++)
            memcpy(pixel(k, i, j), c.v, sizeof(c.v));
}

static inline void frame(const canvas *k, int y, int x, int h, int w, int edge, colour c)
{
    box(k, y, x, edge, w, c);
    box(k, y + h - edge, x, edge, w, c);
    box(k, y, x, h, edge, c);
    box(k, y, x + w - edge, h, edge, c);
}

static inline void paper(const canvas *k, colour c)
{
    box(k, 0, 0, k->h, k->w, c);
}

/* A part of a canvas; nothing (h or w 0) where it lies outside. */
static inline canvas part(const canvas *k, int y, int x, int h, int w)
{
    int y1 = least(y + h, k->h), x1 = least(x + w, k->w);

    y = most(y, 0);
    x = most(x, 0);
    if (y >= y1 || x >= x1)
        return (canvas){k->at, k->stride, 0, 0};
    return (canvas){pixel(k, y, x), k->stride, y1 - y, x1 - x};
}

static inline float clip01(float v)
{
    return v > 0 ? v < 1 ? v : 1 : 0;
}

/* How much of a pixel lies inside an edge that is `inside` pixels away from its centre. */
static inline float cover_of(float inside, bool hard)
{
    return hard ? (float)(inside > 0) : clip01(inside + 0.5f);
}

/* A stroke with round ends; x to the right, y down, pixel centres at whole numbers. */
static inline void stroke(const canvas *k, float y0, float x0, float y1, float x1, float width,
                          bool hard, colour c)
{
    float half = width / 2, dy = y1 - y0, dx = x1 - x0, length = dy * dy + dx * dx,
          reach = half + 1;
    int top = most((int)floorf(fminf(y0, y1) - reach), 0),
        bottom = least((int)ceilf(fmaxf(y0, y1) + reach), k->h - 1);
    int left = most((int)floorf(fminf(x0, x1) - reach), 0),
        right = least((int)ceilf(fmaxf(x0, x1) + reach), k->w - 1);

    if (hard && half < 0.5f) { /* a pen of one pixel leaves no gaps */
        int n = (int)ceilf(fmaxf(fabsf(dy), fabsf(dx)));

        for (int i = 0; i <= n; i++) {
            float t = n ? (float)i / (float)n : 0;

            put(k, (int)rintf(y0 + t * dy), (int)rintf(x0 + t * dx), c, 1);
        }
        return;
    }
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            float py = (float)y - y0, px = (float)x - x0,
                  t = length > 0 ? clip01((py * dy + px * dx) / length) : 0;
            float ey = py - t * dy, ex = px - t * dx;

            put(k, y, x, c, cover_of(half - sqrtf(ey * ey + ex * ex), hard));
        }
}

/* A disc, or its rim where `rim` > 0. */
static inline void disc(const canvas *k, float cy, float cx, float radius, float rim, bool hard,
                        colour c)
{
    int top = most((int)floorf(cy - radius - 1), 0),
        bottom = least((int)ceilf(cy + radius + 1), k->h - 1);
    int left = most((int)floorf(cx - radius - 1), 0),
        right = least((int)ceilf(cx + radius + 1), k->w - 1);

    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            float d = radius - hypotf((float)y - cy, (float)x - cx);

            put(k, y, x, c, cover_of(rim > 0 ? fminf(d, rim - d) : d, hard));
        }
}

/* Pixels become squares of z x z. From the end, so that nothing is read after it was overwritten.
 */
static inline void enlarge(const canvas *k, int z)
{
    for (int y = k->h - 1; y >= 0 && z > 1; y--)
        for (int x = k->w - 1; x >= 0; x--)
            memmove(pixel(k, y, x), pixel(k, y / z, x / z), 3 * sizeof(float));
}

/* ---- tones: what is smooth, for halftones, dither and gradients ---- */

typedef struct tone {
    float base, gy, gx, by, bx, reach, blob, wave, fy, fx;
} tone;

static inline tone draw_tone(aei_rng *r, const canvas *k)
{
    float turn = aei_rng_range(r, 0, TURN), size = (float)most(k->h, k->w),
          steep = aei_rng_range(r, 0, 1.4f);
    tone t = {.base = aei_rng_range(r, 0.1f, 0.9f),
              .gy = steep * sinf(turn) / size,
              .gx = steep * cosf(turn) / size,
              .by = aei_rng_float(r) * (float)k->h,
              .bx = aei_rng_float(r) * (float)k->w,
              .reach = size * aei_rng_range(r, 0.1f, 0.6f),
              .blob = aei_rng_range(r, -1, 1)};

    if (chance(r, 0.3f)) {
        t.wave = aei_rng_range(r, 0.05f, 0.3f);
        t.fy = aei_rng_range(r, 0, 0.3f);
        t.fx = aei_rng_range(r, 0, 0.3f);
    }
    if (chance(r, 0.15f)) /* an even tint */
        t.gy = t.gx = t.blob = t.wave = 0;
    return t;
}

static inline float tone_at(const tone *t, int h, int w, int y, int x)
{
    float dy = ((float)y - t->by) / t->reach, dx = ((float)x - t->bx) / t->reach,
          d = dy * dy + dx * dx;
    float v = t->base + t->gy * ((float)y - (float)h / 2) + t->gx * ((float)x - (float)w / 2);

    if (d < 4)
        v += t->blob * (1 - d / 4) * (1 - d / 4);
    if (t->wave > 0)
        v += t->wave * sinf(t->fy * (float)y + t->fx * (float)x);
    return clip01(v);
}

/* ---- letters: strokes on a grid of 5 x 9, columns and rows as digits, rows down from 0, the base
 * line at 6 ---- */

static const char *const glyphs[] = {"062046 1434",
                                     "00063645443303 003041423303",
                                     "41301001051636 3645",
                                     "0006264521 2100",
                                     "4000064603 0333",
                                     "40000603 0333",
                                     "4130100105163645434323",
                                     "0006 4046 0343",
                                     "2026 1030 1636",
                                     "40453616 1605",
                                     "0006 4003 0346",
                                     "000646",
                                     "0600234046",
                                     "06004640",
                                     "1030414536160501 0110",
                                     "060030414233 3303",
                                     "10304145361605 0501 0110 3446",
                                     "060030414233 33030 2346",
                                     "413010010213334445361605",
                                     "0040 2026",
                                     "00051636 364540",
                                     "002640",
                                     "0016233640",
                                     "0046 4006",
                                     "002340 2326",
                                     "00400646",
                                     "12324346 4315040516364544",
                                     "0006 0413324345361605",
                                     "4332130405163645",
                                     "4046 4433120405163645",
                                     "0444433212040516363645",
                                     "31201116 0232",
                                     "4442 424748 3818 0807 4332130405163645",
                                     "0006 0413324346",
                                     "2226 2020",
                                     "3238281807 3030",
                                     "0006 4204 0446",
                                     "1016263",
                                     "0206 0413222326 2313324346",
                                     "0206 0413324346",
                                     "123243453616050313",
                                     "0208 04133243453616",
                                     "4248 4433120405163645",
                                     "0206 04133242",
                                     "433212031344454536 1605",
                                     "10152636 0232",
                                     "0205163645 4246",
                                     "022642",
                                     "02162436 3642",
                                     "0246 4206",
                                     "0226 42261808",
                                     "02420646",
                                     "1030414536160501 0110 4105",
                                     "011026 2600 0646",
                                     "0110304142060646",
                                     "0110304142332344 4445361605",
                                     "30044446 3036",
                                     "4000033343453616",
                                     "4010010516364534330",
                                     "0040162",
                                     "103041423313 1303040516364544331 3020102 0110",
                                     "46304130100102133342",
                                     "2626",
                                     "2526 1728",
                                     "2024 2626",
                                     "0343",
                                     "4006",
                                     "2022 3032",
                                     "2323 2626",
                                     "3011021415263",
                                     "1031424435261",
                                     "0343 2125",
                                     "0242 0444",
                                     "1016 3036 0242 0444",
                                     "002046",
                                     "0646"};
enum { N_GLYPHS = sizeof(glyphs) / sizeof(glyphs[0]) };

typedef struct font {
    float size, wide, slant, weight; /* pixels of a grid's row; columns against rows; */
    bool hard, serif, monospaced;
    colour ink;
} font;

static inline font draw_font(aei_rng *r, float most_size, colour ink)
{
    font f = {.size = aei_rng_range(r, 0.9f, most_size),
              .wide = aei_rng_range(r, 0.7f, 1.3f),
              .hard = chance(r, 0.35f),
              .serif = chance(r, 0.25f),
              .monospaced = chance(r, 0.4f),
              .ink = ink};

    if (chance(r, 0.25f))
        f.slant = aei_rng_range(r, 0.1f, 0.4f);
    if (f.hard) /* pixels of a terminal's letters */
        f.size = rintf(f.size), f.wide = 1, f.slant = 0;
    f.weight = fmaxf(0.8f, f.size * aei_rng_range(r, 0.5f, 1.3f));
    if (f.hard)
        f.weight = f.size < 2 ? 0.9f : rintf(f.weight);
    return f;
}

static inline void letter(const canvas *k, const font *f, int which, float y, float x)
{
    float from_y = 0, from_x = 0;
    bool down = false;

    for (const char *p = glyphs[which]; p[0]; p++) {
        if (p[0] == ' ' || p[1] == ' ' || !p[1]) {
            down = false;
            continue;
        }
        float gy = y + (float)(p[1] - '0') * f->size;
        float gx = x +
                   ((float)(p[0] - '0') * f->wide + (float)(6 - (p[1] - '0')) * f->slant) * f->size;

        if (down || p[2] == ' ' || !p[2])
            stroke(k, down ? from_y : gy, down ? from_x : gx, gy, gx, f->weight, f->hard, f->ink);
        if (f->serif && (!down || p[2] == ' ' || !p[2]))
            stroke(k, gy, gx - f->size, gy, gx + f->size, 0.6f * f->weight, f->hard, f->ink);
        from_y = gy;
        from_x = gx;
        down = true;
        p++;
    }
}

/* A line of words from x on, as far as `end`; where it came to. */
static inline float words(const canvas *k, aei_rng *r, const font *f, float y, float x, float end)
{
    int left = 1 + below(r, 9);
    bool capitals = chance(r, 0.15f), numbers = chance(r, 0.15f);

    while (x + 6 * f->size * f->wide < end) {
        int which = numbers            ? 52 + below(r, 10)
                    : chance(r, 0.05f) ? 62 + below(r, N_GLYPHS - 62)
                                       : below(r, 26);

        if (left-- == 0) {
            left = 1 + below(r, 9);
            x += 4 * f->size * f->wide;
            numbers = chance(r, 0.1f);
            continue;
        }
        if (!numbers && which < 26 && !capitals)
            which += 26;
        letter(k, f, which, y, x);
        x += (f->monospaced || !strchr("2123", glyphs[which][0]) ? 6 : 5) * f->size * f->wide;
    }
    return x;
}

#endif
