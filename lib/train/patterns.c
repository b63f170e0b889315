/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Kinds draw on a canvas, which may be a part of another: so windows hold charts and pages hold
 * halftones. Nothing is allocated; what needs a second pass (error diffusion, enlarged pixels)
 * works in place. */
#include "train/patterns.h"
#include "train/marks.h"

/* ---- the kinds ---- */

static void draw_checks(const canvas *k, aei_rng *r)
{
    int sh = small(r, 12), sw = chance(r, 0.7f) ? sh : small(r, 12), oy = below(r, 2 * sh),
        ox = below(r, 2 * sw);
    int brick = chance(r, 0.15f) ? below(r, 2 * sw) : 0, plaid = chance(r, 0.15f);
    colour a, b, c = any_colour(r);

    two_colours(r, &a, &b);
    for (int y = 0; y < k->h; y++)
        for (int x = 0; x < k->w; x++) {
            int i = (y + oy) / sh, j = (x + ox + i / 2 * brick) / sw;
            colour v = plaid         ? i & j & 1     ? c
                                       : (i | j) & 1 ? mix(a, b, 0.5f)
                                                     : a
                       : (i + j) & 1 ? b
                                     : a;

            memcpy(pixel(k, y, x), v.v, sizeof(v.v));
        }
}

static void draw_stripes(const canvas *k, aei_rng *r)
{
    int way = below(r, 4), n = chance(r, 0.7f) ? 2 : 2 + below(r, 4), shape = below(r, 3);
    float turn = way < 2    ? (float)way * TURN / 4
                 : way == 2 ? TURN / 8 * (float)(1 + 2 * below(r, 2))
                            : aei_rng_range(r, 0, TURN / 2);
    float period = (float)n * (way < 2 || chance(r, 0.3f)
                                   ? (float)small(r, 12)
                                   : 1 + 10 * aei_rng_float(r) * aei_rng_float(r));
    float sy = sinf(turn), sx = cosf(turn),
          phase = way < 2 ? (float)below(r, 16) + 0.25f : aei_rng_range(r, 0, period);
    float duty = chance(r, 0.6f) || way < 2 ? 0.5f : aei_rng_range(r, 0.15f, 0.85f);
    colour c[6];

    two_colours(r, &c[0], &c[1]);
    for (int i = 2; i < n; i++)
        c[i] = any_colour(r);
    if (way < 2) { /* along the axes, in whole pixels */
        sy = (float)way;
        sx = (float)!way;
        shape = shape == 1 ? 0 : shape;
    }
    if (period < 4 && shape == 2)
        period += 2;
    for (int y = 0; y < k->h; y++)
        for (int x = 0; x < k->w; x++) {
            float t = (sx * (float)x + sy * (float)y + phase) / period;
            colour v;

            t -= floorf(t);
            if (shape == 2)
                v = mix(c[0], c[1], 0.5f + 0.5f * sinf(TURN * t));
            else if (n > 2)
                v = c[least((int)(t * (float)n), n - 1)];
            else /* the distance inside the second stripe */
                v = mix(c[0], c[1], cover_of(fminf(t - (1 - duty), 1 - t) * period, shape == 0));
            memcpy(pixel(k, y, x), v.v, sizeof(v.v));
        }
}

static void draw_halftone(const canvas *k, aei_rng *r)
{
    int planes = chance(r, 0.35f) ? 3 : 1, kind = below(r, 3);
    float cell = chance(r, 0.4f) ? (float)(2 + small(r, 8)) : aei_rng_range(r, 2.5f, 10),
          first = aei_rng_range(r, 0, TURN / 4);
    bool hard = chance(r, 0.5f);
    colour a, b;

    two_colours(r, &a, &b);
    if (planes == 3)
        a = grey(1);
    if (chance(r, 0.3f))
        first = 0;
    paper(k, a);
    for (int i = 0; i < planes; i++) {
        float turn = first + (float)i * TURN / 12, sy = sinf(turn) / cell, sx = cosf(turn) / cell;
        tone t = draw_tone(r, k);

        for (int y = 0; y < k->h; y++)
            for (int x = 0; x < k->w; x++) {
                float u = sx * (float)x + sy * (float)y + 0.31f,
                      v = sx * (float)y - sy * (float)x + 0.17f;
                float value = tone_at(&t, k->h, k->w, y, x), du, dv, inside, cover;

                du = u - floorf(u) - 0.5f;
                dv = v - floorf(v) - 0.5f;
                if (kind == 0) /* round dots */
                    inside = (0.72f * sqrtf(value) - sqrtf(du * du + dv * dv)) * cell;
                else if (kind == 1) /* lines */
                    inside = (0.5f * value - fabsf(du)) * cell;
                else /* diamonds */
                    inside = (value - fabsf(du) - fabsf(dv)) * cell * 0.7f;
                cover = cover_of(inside, hard);
                if (planes == 3)
                    pixel(k, y, x)[i] *= 1 - cover;
                else
                    put(k, y, x, b, cover);
            }
    }
}

static float bayer(int y, int x, int bits)
{
    int v = 0;

    for (int i = 0; i < bits; i++) {
        int b = bits - 1 - i;

        v |= (((x ^ y) >> i & 1) << (2 * b + 1)) | ((y >> i & 1) << (2 * b));
    }
    return ((float)v + 0.5f) / (float)(1 << (2 * bits));
}

/* Shares of the error in sixteenths or eighths: rows below, columns from -2 on. */
static void diffuse(const canvas *k, int levels, int kind)
{
    static const float shares[3][3][5] = {
        /* Floyd and Steinberg 1976 */
        {{0, 0, 0, 7 / 16.0f, 0}, {0, 3 / 16.0f, 5 / 16.0f, 1 / 16.0f, 0}},
        /* Atkinson */
        {{0, 0, 0, 1 / 8.0f, 1 / 8.0f}, {0, 1 / 8.0f, 1 / 8.0f, 1 / 8.0f}, {0, 0, 1 / 8.0f}},
        {{0, 0, 0, 2 / 4.0f, 0}, {0, 1 / 4.0f, 1 / 4.0f}}, /* Sierra, lite */
    };

    for (int y = 0; y < k->h; y++)
        for (int x = 0; x < k->w; x++)
            for (int c = 0; c < 3; c++) {
                float *p = pixel(k, y, x) + c, old = *p, error;

                *p = clip01(rintf(old * (float)(levels - 1)) / (float)(levels - 1));
                error = old - *p;
                for (int dy = 0; dy < 3 && y + dy < k->h; dy++)
                    for (int dx = -2; dx <= 2; dx++)
                        if (shares[kind][dy][dx + 2] > 0 && x + dx >= 0 && x + dx < k->w)
                            pixel(k, y + dy, x + dx)[c] += error * shares[kind][dy][dx + 2];
            }
}

static void draw_dither(const canvas *k, aei_rng *r)
{
    int levels = chance(r, 0.6f) ? 2 : 3 + below(r, 4), kind = below(r, 6),
        zoom = chance(r, 0.12f) ? 2 + below(r, 2) : 1;
    bool in_colour = chance(r, 0.4f), inked = !in_colour && chance(r, 0.4f);
    tone t[3];
    colour a, b;

    two_colours(r, &a, &b);
    for (int c = 0; c < 3; c++)
        t[c] = c && !in_colour ? t[0] : draw_tone(r, k);
    for (int y = 0; y < k->h; y++)
        for (int x = 0; x < k->w; x++)
            for (int c = 0; c < 3; c++) {
                float v = tone_at(&t[c], k->h, k->w, y, x);

                if (kind < 3)
                    v = clip01(floorf(v * (float)(levels - 1) + bayer(y, x, 1 + kind)) /
                               (float)(levels - 1));
                pixel(k, y, x)[c] = v;
            }
    if (kind >= 3)
        diffuse(k, levels, kind - 3);
    for (int y = 0; y < k->h && inked; y++)
        for (int x = 0; x < k->w; x++) {
            colour v = mix(a, b, pixel(k, y, x)[0]);

            memcpy(pixel(k, y, x), v.v, sizeof(v.v));
        }
    enlarge(k, zoom);
}

static void draw_text(const canvas *k, aei_rng *r)
{
    colour a, b;
    float margin = aei_rng_range(r, 0, 12), y;
    font f;

    two_colours(r, &a, &b);
    paper(k, a);
    f = draw_font(r, chance(r, 0.7f) ? 2.5f : 8, b);
    for (y = margin - aei_rng_float(r) * 4 * f.size; y < (float)k->h;) {
        float x = f.hard ? rintf(margin) : margin, end = (float)k->w - margin;

        if (f.hard)
            y = rintf(y);
        if (chance(r, 0.12f)) { /* a heading, a blank, a paragraph of another colour or face */
            f = draw_font(r, chance(r, 0.8f) ? 2.5f : 5, chance(r, 0.5f) ? b : any_colour(r));
            y += 4 * f.size;
        }
        if (chance(r, 0.06f))
            box(k, (int)(y - f.size), 0, (int)(9 * f.size), k->w, mix(a, any_colour(r), 0.3f));
        words(k, r, &f, y, x, chance(r, 0.2f) ? end * aei_rng_float(r) : end);
        y += (chance(r, 0.5f) ? 10 : 9) * f.size;
    }
    if (chance(r, 0.15f)) /* terminals reverse */
        for (int i = 0; i < k->h; i++)
            for (int c = 0; c < 3 * k->w / 2; c++)
                pixel(k, i, 0)[c] = 1 - pixel(k, i, 0)[c];
}

static void draw_chart(const canvas *k, aei_rng *r)
{
    int left = 8 + below(r, 16), bottom = k->h - 6 - below(r, 14), top = 4 + below(r, 12),
        right = k->w - 3 - below(r, 10);
    int step = 6 + below(r, 24), kind = below(r, 5), n = 2 + below(r, 5);
    bool hard = chance(r, 0.4f);
    colour ground = chance(r, 0.7f) ? grey(1) : any_colour(r),
           ink = grey(ground.v[1] > 0.5f ? 0.1f : 0.9f);
    colour grid = mix(ground, ink, aei_rng_range(r, 0.05f, 0.3f));
    font f = draw_font(r, 1.4f, ink);

    paper(k, ground);
    if (chance(r, 0.7f)) {
        for (int y = bottom; y > top; y -= step)
            box(k, y, left, 1, right - left, grid);
        for (int x = left; x < right && chance(r, 0.95f); x += step)
            box(k, top, x, bottom - top, 1, grid);
    }
    for (int s = 0; s < n; s++) {
        colour c = any_colour(r), fill = mix(ground, c, 0.3f);
        float level = aei_rng_float(r), pen = aei_rng_range(r, 0.8f, 3), last_y = 0, last_x = 0;

        if (kind == 4) { /* a pie: sectors one over the other */
            float cy = (float)(top + bottom) / 2, cx = (float)(left + right) / 2;
            float radius = 0.45f * (float)least(bottom - top, right - left);
            float from = TURN * (float)s / (float)n + level, half = TURN / (float)n;

            for (int y = most(top, 0); y < least(bottom, k->h); y++)
                for (int x = most(left, 0); x < least(right, k->w); x++) {
                    float dy = (float)y - cy, dx = (float)x - cx, angle = atan2f(dy, dx) - from;

                    angle -= TURN * floorf(angle / TURN);
                    if (angle < half)
                        put(k, y, x, c, cover_of(radius - hypotf(dy, dx), hard));
                }
            continue;
        }
        for (int i = 0, x = left + 1; x < right; i++) {
            int wide = kind == 0 ? most(2, step / 2) : kind == 3 ? 3 : most(1, step / 3);
            float y;

            level = clip01(level + aei_rng_range(r, -0.2f, 0.2f));
            y = (float)bottom - level * (float)(bottom - top);
            if (kind == 0) { /* bars, the series beside each other */
                if (i % n == s)
                    box(k, (int)y, x, bottom - (int)y, wide - (chance(r, 0.5f) ? 1 : 0), c);
            } else if (kind == 3) { /* points */
                disc(k, y, (float)x, pen, 0, hard, c);
            } else if (i) { /* lines, with what is below them filled where kind is 2 */
                stroke(k, last_y, last_x, y, (float)x, pen, hard, c);
                for (int j = (int)last_x; kind == 2 && j < x; j++) {
                    int from = (int)(last_y +
                                     (y - last_y) * ((float)j - last_x) / ((float)x - last_x) +
                                     pen);

                    box(k, from, j, bottom - from, 1, fill);
                }
            }
            last_y = y;
            last_x = (float)x;
            x += wide;
        }
    }
    box(k, bottom, left, 1, right - left, ink);
    box(k, top, left, bottom - top, 1, ink);
    for (int y = bottom; y > top; y -= step)
        words(k, r, &f, (float)y - 3 * f.size, 1, (float)left);
    words(k, r, &f, 1, (float)left, (float)right * aei_rng_range(r, 0.3f, 1));
}

/* Symmetric small pictures of few colours: sprites, icons, tiles. */
static void sprite(const canvas *k, aei_rng *r, int y, int x, int size, const colour *palette,
                   int n, bool ground)
{
    int half = (size + 1) / 2, mine = 2 + below(r, n - 1);

    for (int i = 0; i < size; i++)
        for (int j = 0; j < half; j++) {
            int which = chance(r, 0.55f) ? 1 + below(r, mine - 1) : 0;

            if (!which && !ground)
                continue;
            put(k, y + i, x + j, palette[which], 1);
            put(k, y + i, x + size - 1 - j, palette[which], 1);
        }
}

static void draw_pixel_art(const canvas *k, aei_rng *r)
{
    int zoom = 1 + below(r, 6), tile = 4 << below(r, 3), n = 3 + below(r, 10),
        kinds = 1 + below(r, 5);
    uint64_t map = aei_rng_u64(r), shapes = aei_rng_u64(r);
    canvas inner = {k->at, k->stride, (k->h + zoom - 1) / zoom, (k->w + zoom - 1) / zoom};
    colour palette[12];

    for (int i = 0; i < n; i++)
        palette[i] = any_colour(r);
    paper(&inner, palette[0]);
    for (int y = 0; y < inner.h && chance(r, 0.97f); y += tile)
        for (int x = 0; x < inner.w; x += tile) {
            aei_rng at = aei_rng_make(map, (uint64_t)(y / tile / 2), (uint64_t)(x / tile / 3)),
                    shape;
            int which = below(&at, kinds);

            shape = aei_rng_make(shapes, (uint64_t)which, 0);
            if (which == 0)
                box(&inner, y, x, tile, tile, palette[below(&shape, n)]);
            else
                sprite(&inner, &shape, y, x, tile, palette + below(&shape, 2), n - 1, true);
        }
    for (int i = below(r, 8); i > 0; i--)
        sprite(&inner, r, below(r, inner.h), below(r, inner.w), 6 + below(r, 12), palette, n,
               false);
    enlarge(k, zoom);
}

static void draw_line_art(const canvas *k, aei_rng *r)
{
    int kind = below(r, 6);
    bool hard = chance(r, 0.4f);
    float cy = aei_rng_float(r) * (float)k->h, cx = aei_rng_float(r) * (float)k->w,
          pen = aei_rng_range(r, 0.8f, 3);
    float fine = aei_rng_range(r, 0.3f, 1.2f) / (float)most(k->h, k->w),
          spokes = (float)(6 + below(r, 60));
    float gap = aei_rng_range(r, 2, 14);
    colour a, b;

    two_colours(r, &a, &b);
    paper(k, a);
    if (kind < 3) { /* a zone plate, rings, a star */
        for (int y = 0; y < k->h; y++)
            for (int x = 0; x < k->w; x++) {
                float dy = (float)y - cy, dx = (float)x - cx, v;

                if (kind == 0)
                    v = 0.5f + 0.5f * cosf(TURN / 4 * fine * (dy * dy + dx * dx));
                else if (kind == 1)
                    v = 0.5f + 0.5f * cosf(TURN / gap * hypotf(dy, dx));
                else
                    v = 0.5f + 0.5f * cosf(spokes * atan2f(dy, dx));
                put(k, y, x, b, hard ? (float)(v > 0.5f) : v);
            }
        return;
    }
    if (kind == 3) { /* hatching, crossed: it beats */
        for (int i = 0; i < 2; i++) {
            float turn = aei_rng_range(r, 0, TURN / 2), sy = sinf(turn), sx = cosf(turn);

            for (int y = 0; y < k->h; y++)
                for (int x = 0; x < k->w; x++) {
                    float t = (sx * (float)x + sy * (float)y) / gap;

                    put(k, y, x, b, cover_of(pen / 2 - fabsf(t - rintf(t)) * gap, hard));
                }
            gap *= aei_rng_range(r, 0.9f, 1.1f);
        }
        return;
    }
    for (int i = 3 + below(r, 14); i > 0; i--) { /* curves, polygons and circles */
        float p[8], y0, x0;

        for (int j = 0; j < 8; j++)
            p[j] = aei_rng_range(r, -0.1f, 1.1f) * (float)(j & 1 ? k->w : k->h);
        if (chance(r, 0.25f))
            b = any_colour(r);
        if (kind == 5 && chance(r, 0.5f)) {
            disc(k, p[0], p[1], fabsf(p[2]) / 3, chance(r, 0.8f) ? pen : 0, hard, b);
            continue;
        }
        y0 = p[0];
        x0 = p[1];
        for (int s = 1, n = kind == 4 ? 24 : 1; s <= n; s++) {
            float t = (float)s / (float)n, u = 1 - t;
            float y1 = u * u * u * p[0] + 3 * u * u * t * p[2] + 3 * u * t * t * p[4] +
                       t * t * t * p[6];
            float x1 = u * u * u * p[1] + 3 * u * u * t * p[3] + 3 * u * t * t * p[5] +
                       t * t * t * p[7];

            stroke(k, y0, x0, y1, x1, pen, hard, b);
            y0 = y1;
            x0 = x1;
        }
    }
}

static void gradient(const canvas *k, aei_rng *r, colour a, colour b)
{
    float turn = chance(r, 0.5f) ? TURN / 4 * (float)below(r, 4) : aei_rng_range(r, 0, TURN),
          sy = sinf(turn), sx = cosf(turn);
    float cy = aei_rng_float(r) * (float)k->h, cx = aei_rng_float(r) * (float)k->w;
    float size = fmaxf(1, fabsf(sy) * (float)k->h + fabsf(sx) * (float)k->w);
    bool radial = chance(r, 0.3f);

    for (int y = 0; y < k->h; y++)
        for (int x = 0; x < k->w; x++) {
            float dy = (float)y - cy, dx = (float)x - cx,
                  t = radial ? hypotf(dy, dx) / size : 0.5f + (sy * dy + sx * dx) / size;
            colour v = mix(a, b, clip01(t));

            memcpy(pixel(k, y, x), v.v, sizeof(v.v));
        }
}

/* One colour, few of them with hard edges, test bars, gradients. */
static void draw_flat(const canvas *k, aei_rng *r)
{
    int kind = below(r, 6);
    bool hard = chance(r, 0.6f);
    colour a, b;

    two_colours(r, &a, &b);
    paper(k, a);
    if (kind == 0)
        return;
    if (kind == 1) { /* bars and steps */
        int n = 2 + below(r, 14), down = below(r, 2), ramp = below(r, 2);

        for (int i = 0; i < n; i++) {
            colour c = ramp ? mix(a, b, (float)i / (float)(n - 1)) : any_colour(r);

            if (down)
                box(k, i * k->h / n, 0, k->h / n + 1, k->w, c);
            else
                box(k, 0, i * k->w / n, k->h, k->w / n + 1, c);
        }
        return;
    }
    if (kind == 2 || kind == 3)
        gradient(k, r, a, b);
    for (int i = kind == 2 ? 0 : 1 + below(r, 10); i > 0; i--) {
        float y = aei_rng_float(r) * (float)k->h, x = aei_rng_float(r) * (float)k->w,
              size = aei_rng_float(r) * (float)k->h / 2;
        colour c = any_colour(r);

        switch (below(r, 3)) {
        case 0: box(k, (int)y, (int)x, 1 + (int)size, 1 + below(r, k->w / 2), c); break;
        case 1: disc(k, y, x, size, 0, hard, c); break;
        default:
            stroke(k, y, x, aei_rng_float(r) * (float)k->h, aei_rng_float(r) * (float)k->w,
                   2 + size, hard, c);
        }
    }
}

/* What a window shows: another kind's picture. */
static void content(const canvas *k, aei_rng *r)
{
    static void (*const kinds[])(const canvas *, aei_rng *) = {
        draw_text, draw_chart, draw_dither, draw_pixel_art, draw_flat, draw_checks, draw_halftone};

    if (k->h > 8 && k->w > 8)
        kinds[below(r, 7)](k, r);
}

static void draw_interface(const canvas *k, aei_rng *r)
{
    colour ground = any_colour(r),
           face = chance(r, 0.6f) ? grey(aei_rng_range(r, 0.75f, 1)) : any_colour(r);
    colour accent = any_colour(r);
    colour ink = grey(face.v[1] > 0.5f ? 0 : 1), light = mix(face, grey(1), 0.6f),
           dark = mix(face, grey(0), 0.5f);
    font f = draw_font(r, 1.6f, ink);
    int row = (int)(11 * f.size), backdrop = below(r, 3);
    canvas inside;

    paper(k, ground);
    if (backdrop == 1)
        draw_checks(k, r);
    else if (backdrop == 2)
        gradient(k, r, ground, any_colour(r));
    for (int n = 1 + below(r, 4); n > 0; n--) {
        int h = 20 + below(r, most(8, k->h - 20)), w = 30 + below(r, most(8, k->w - 30));
        int y = below(r, k->h) - h / 3, x = below(r, k->w) - w / 3;
        font title = f;

        title.ink = grey(accent.v[1] > 0.5f ? 0 : 1);
        box(k, y, x, h, w, face);
        frame(k, y, x, h, w, 1, chance(r, 0.5f) ? ink : dark);
        inside = part(k, y + 2, x + 2, row, w - 4);
        gradient(&inside, r, accent, chance(r, 0.5f) ? accent : any_colour(r));
        words(&inside, r, &title, 2 * f.size, 4, (float)w * 0.6f);
        for (int i = 0; i < 3; i++)
            frame(&inside, 2, w - 6 - (i + 1) * (row - 2), row - 4, row - 4, 1, title.ink);
        if (chance(r, 0.4f)) {
            inside = part(k, y + row + 4, x + 3, h - row - 7, w - 6);
            content(&inside, r);
            continue;
        }
        for (int line = y + row + 4; line + row < y + h; line += row + 1) {
            int kind = below(r, 5), at = x + 4;

            if (kind == 0) { /* a button with its edges, lit from above */
                int wide = least(w - 10, 20 + below(r, 40));

                box(k, line, at, row, wide, light);
                box(k, line + row - 1, at, 1, wide, dark);
                box(k, line, at + wide - 1, row, 1, dark);
                inside = part(k, line, at, row, wide);
                words(&inside, r, &f, 2 * f.size, 4, (float)wide - 2);
                continue;
            }
            if (kind == 1) { /* a box to tick */
                frame(k, line + 1, at, row - 3, row - 3, 1, ink);
                if (chance(r, 0.5f))
                    box(k, line + 3, at + 2, row - 7, row - 7, accent);
                at += row + 2;
            } else if (kind == 2) { /* selected */
                box(k, line, x + 1, row, w - 2, mix(face, accent, 0.4f));
            } else if (kind == 3) { /* an icon */
                colour palette[4] = {face, accent, ink, any_colour(r)};

                sprite(k, r, line, at, most(4, row - 1), palette, 4, false);
                at += row + 2;
            }
            inside = part(k, line, x + 1, row, w - 2);
            words(&inside, r, &f, 2 * f.size, (float)(at - x),
                  (float)(w - 6) * aei_rng_range(r, 0.4f, 1));
        }
    }
}

/* ---- */

static const struct kind {
    const char *name;
    void (*draw)(const canvas *k, aei_rng *r);
} kinds[AEI_PATTERN_KINDS] = {
    {"checks", draw_checks},       {"stripes", draw_stripes},     {"halftone", draw_halftone},
    {"dither", draw_dither},       {"text", draw_text},           {"chart", draw_chart},
    {"interface", draw_interface}, {"pixel-art", draw_pixel_art}, {"line-art", draw_line_art},
    {"flat", draw_flat},
};

const char *aei_pattern_name(uint64_t index)
{
    return kinds[index % AEI_PATTERN_KINDS].name;
}

void aei_pattern_draw(uint64_t seed, uint64_t index, uint32_t height, uint32_t width, float *rgb)
{
    aei_rng rng = aei_rng_make(seed, UINT64_C(0x7061747465726e), index);
    canvas k = {rgb, 3 * (size_t)width, (int)height, (int)width};
    size_t n = 3 * (size_t)height * width;

    kinds[index % AEI_PATTERN_KINDS].draw(&k, &rng);
    for (size_t i = 0; i < n; i++)
        rgb[i] = rintf(255 * clip01(rgb[i])) / 255;
}
