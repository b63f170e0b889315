/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tiles: colour transforms, then prediction and coding (predict.h), or samples as they are where
 * that is shorter. */
#include "lossless.h"

#include <string.h>

#include "drawn.h"
#include "predict.h"

enum { SLACK = 1024 /* a sample never takes more bytes */ };

struct aei_sample_coder {
    aei_predictor predictor;
    aei_drawer *drawer; /* NULL: not needed yet */
    int32_t *values;    /* the tile */
    uint8_t *bytes;
    size_t room; /* samples */
};

/* ---- colour ---- */

enum { COLOUR_NONE, COLOUR_GREEN, COLOUR_YCOCG, N_COLOURS, DRAWN = 3, RAW = 0x80 };

static void to_colour(unsigned colour, int32_t *v)
{
    int32_t r = v[0], g = v[1], b = v[2], t;

    if (colour == COLOUR_GREEN) {
        v[0] = g, v[1] = r - g, v[2] = b - g;
    } else if (colour == COLOUR_YCOCG) {
        v[1] = r - b;
        t = b + (v[1] >> 1);
        v[2] = g - t;
        v[0] = t + (v[2] >> 1);
    } else {
        v[0] = g, v[1] = r;
    }
}

static void from_colour(unsigned colour, int32_t *v)
{
    int32_t a = v[0], b = v[1], c = v[2], t;

    if (colour == COLOUR_GREEN) {
        v[0] = a + b, v[1] = a, v[2] = a + c;
    } else if (colour == COLOUR_YCOCG) {
        t = a - (c >> 1);
        v[1] = c + t;
        v[2] = t - (b >> 1);
        v[0] = b + v[2];
    } else {
        v[0] = b, v[1] = a;
    }
}

/* About the bits that the gradients of a few rows would take. */
static uint64_t cost_of(unsigned colour, const aei_block *t, const uint16_t *samples)
{
    uint64_t cost = 0;

    for (uint32_t y = 1; y < t->height; y += 5)
        for (uint32_t x = 1; x < t->width; x++) {
            int32_t v[4][3];

            for (unsigned i = 0; i < 4; i++) {
                const uint16_t *s = samples +
                                    ((size_t)(y - (i >> 1)) * t->width + x - (i & 1)) * t->channels;

                for (unsigned j = 0; j < 3; j++)
                    v[i][j] = s[j];
                to_colour(colour, v[i]);
            }
            for (unsigned j = 0; j < 3; j++)
                cost += (uint64_t)level_of(
                    4 *
                    magnitude(v[0][j] - middle_of(v[1][j], v[2][j], v[1][j] + v[2][j] - v[3][j])));
        }
    return cost;
}

static bool all_are_grey(const aei_block *t, const uint16_t *samples)
{
    const uint16_t *end = samples + (size_t)t->width * t->height * t->channels;

    for (; samples < end; samples += t->channels)
        if (samples[0] != samples[1] || samples[1] != samples[2])
            return false;
    return true;
}

static unsigned choose_colour(const aei_block *t, const uint16_t *samples)
{
    unsigned best = COLOUR_NONE;
    uint64_t least = UINT64_MAX;

    if (t->channels < 3)
        return COLOUR_NONE;
    if (t->bound)
        return all_are_grey(t, samples) ? COLOUR_GREEN : COLOUR_NONE;
    for (unsigned colour = 0; colour < N_COLOURS; colour++) {
        uint64_t cost = cost_of(colour, t, samples);

        if (cost < least) {
            least = cost;
            best = colour;
        }
    }
    return best;
}

/* Differences of colours are never off, so that equal channels stay equal. */
static void set_geometry(aei_geometry *g, const aei_block *t, unsigned colour)
{
    *g = (aei_geometry){.width = t->width, .height = t->height, .channels = t->channels};
    for (unsigned ch = 0; ch < t->channels; ch++) {
        bool difference = colour != COLOUR_NONE && (ch == 1 || ch == 2),
             alpha = t->channels % 2 == 0 && ch + 1 == t->channels;

        g->lo[ch] = difference ? -(int32_t)t->max : 0;
        g->hi[ch] = (int32_t)t->max;
        g->bound[ch] = difference || alpha ? 0 : t->bound;
    }
}

/* ---- a tile ---- */

aei_sample_coder *aei_sample_coder_create(void)
{
    return ae_alloc(1, sizeof(aei_sample_coder));
}

static void free_buffers(aei_sample_coder *c)
{
    ae_free(c->values);
    ae_free(c->bytes);
    c->values = NULL;
    c->bytes = NULL;
    c->room = 0;
}

void aei_sample_coder_free(aei_sample_coder *c)
{
    if (!c)
        return;
    aei_predictor_clear(&c->predictor);
    aei_drawer_free(c->drawer);
    free_buffers(c);
    ae_free(c);
}

static ae_status prepare(aei_sample_coder *c, const aei_block *t, const aei_geometry *g,
                         ae_error *err)
{
    size_t n = (size_t)t->width * t->height * t->channels;

    if (n > c->room) {
        free_buffers(c);
        c->values = ae_alloc(n, sizeof(*c->values));
        c->bytes = ae_alloc(2 * n + SLACK, 2); /* for two ways of coding it */
        if (!c->values || !c->bytes) {
            free_buffers(c);
            return ae_fail(err, AE_ERR_NOMEM, "a tile of %u x %u", t->width, t->height);
        }
        c->room = n;
    }
    return aei_predictor_reset(&c->predictor, g, err);
}

static ae_status check(const aei_block *t, ae_error *err)
{
    uint64_t n = (uint64_t)t->width * t->height * t->channels;

    if (!t->width || !t->height || t->channels < 1 || t->channels > 4 ||
        t->width > AEI_TILE_MAX_SAMPLES || t->height > AEI_TILE_MAX_SAMPLES ||
        n > AEI_TILE_MAX_SAMPLES || t->max < 1 || t->max > 65535 ||
        t->bound > AE_BOUND_ONE * t->max)
        return ae_fail(err, AE_ERR_MALFORMED, "a tile of %u x %u x %u samples up to %u", t->width,
                       t->height, t->channels, t->max);
    return AE_OK;
}

static size_t pack_raw(const aei_block *t, const uint16_t *samples, size_t n, uint8_t *to)
{
    *to++ = RAW;
    for (size_t i = 0; i < n; i++) {
        *to++ = (uint8_t)samples[i];
        if (t->max > 255)
            *to++ = (uint8_t)(samples[i] >> 8);
    }
    return 1 + n * (t->max > 255 ? 2 : 1);
}

/* Shares of pixels that are just as a neighbour: of what may be drawn, and of what surely is. */
static const double SOME_EQUAL = 0.45, MOST_EQUAL = 0.9;

/* The share of pixels that are just as the one before or above. */
static double share_of_equals(const aei_block *t, const uint16_t *samples)
{
    size_t pixel = t->channels * sizeof(*samples), equal = 0, n = 0;

    for (uint32_t y = 1; y < t->height; y += 3)
        for (uint32_t x = 1; x < t->width; x++, n++) {
            const uint16_t *v = samples + ((size_t)y * t->width + x) * t->channels;

            equal += memcmp(v, v - t->channels, pixel) == 0 ||
                     memcmp(v, v - (size_t)t->width * t->channels, pixel) == 0;
        }
    return n ? (double)equal / (double)n : 1;
}

static bool has_few_colours(const aei_block *t, const uint16_t *samples)
{
    enum { PLACES = 512, MOST = 256 };
    uint64_t seen[PLACES] = {0}, last = UINT64_MAX;
    size_t found = 0, most = t->channels < 3 ? MOST / 4 : MOST;

    for (size_t i = 0; i < (size_t)t->width * t->height; i++) {
        uint64_t colour = 0;
        size_t at;

        for (uint32_t ch = 0; ch < t->channels; ch++)
            colour = colour << 16 | samples[i * t->channels + ch];
        if (colour++ == last)
            continue;
        last = colour - 1;
        at = (size_t)(colour * 0x9e3779b97f4a7c15u >> 55);
        while (seen[at] && seen[at] != colour)
            at = (at + 1) % PLACES;
        if (!seen[at] && ++found > most)
            return false;
        seen[at] = colour;
    }
    return true;
}

bool aei_tile_is_drawn(const aei_block *t, const uint16_t *samples)
{
    return share_of_equals(t, samples) > SOME_EQUAL || has_few_colours(t, samples);
}

/* The tile as a drawing, into the second half of c->bytes; 0 where it takes more than `most` bytes.
 */
static size_t draw(aei_sample_coder *c, const aei_block *t, const uint16_t *samples, size_t most)
{
    aei_drawing g = {t->width, t->height, t->channels, t->max, t->period};
    aei_decider *d = &c->predictor.decider;
    uint8_t *first = c->bytes + 2 * c->room + SLACK;

    if (most < 2 || (!c->drawer && !(c->drawer = aei_drawer_create())))
        return 0;
    aei_decider_reset(d);
    *first = DRAWN;
    d->out = first + 1;
    d->out_end = first + most - 1;
    if (!aei_drawing_encode(c->drawer, d, &g, samples))
        return 0;
    return (size_t)(aei_decider_end(d, first + 1) - first);
}

ae_status aei_tile_encode(aei_sample_coder *c, const aei_block *t, uint16_t *samples,
                          const uint8_t **bytes, size_t *n_bytes, ae_error *err)
{
    aei_decider *d = &c->predictor.decider;
    size_t n = (size_t)t->width * t->height * t->channels, drawn = 0,
           raw = n * (t->max > 255 ? 2 : 1);
    bool coded = false;
    aei_geometry g;
    unsigned colour;
    ae_status st = check(t, err);

    if (st != AE_OK)
        return st;
    colour = choose_colour(t, samples);
    set_geometry(&g, t, colour);
    if ((st = prepare(c, t, &g, err)) != AE_OK)
        return st;
    for (size_t i = 0; i < n; i++)
        c->values[i] = samples[i];
    for (size_t i = 0; t->channels >= 3 && i < n; i += t->channels)
        to_colour(colour, c->values + i);
    *bytes = c->bytes;
    if (!t->bound && aei_tile_is_drawn(t, samples)) {
        drawn = draw(c, t, samples, raw);
        if ((st = aei_predictor_reset(&c->predictor, &g, err)) != AE_OK)
            return st;
    }
    if (!drawn || share_of_equals(t, samples) < MOST_EQUAL) {
        c->bytes[0] = (uint8_t)colour;
        d->out = c->bytes + 1;
        d->out_end = c->bytes + raw;
        coded = aei_predictor_encode(&c->predictor, &g, c->values);
        *n_bytes = coded ? (size_t)(aei_decider_end(d, c->bytes + 1) - c->bytes) : 0;
    }
    if (drawn && (!coded || drawn < *n_bytes)) {
        *bytes = c->bytes + 2 * c->room + SLACK;
        *n_bytes = drawn;
        return AE_OK;
    }
    if (!coded) {
        *n_bytes = pack_raw(t, samples, n, c->bytes);
        return AE_OK;
    }
    for (size_t i = 0; i < n && t->bound && t->channels >= 3; i += t->channels)
        from_colour(colour, c->values + i);
    for (size_t i = 0; i < n && t->bound; i++)
        samples[i] = (uint16_t)c->values[i];
    return AE_OK;
}

ae_status aei_tile_decode(aei_sample_coder *c, const aei_block *t, const uint8_t *bytes,
                          size_t n_bytes, uint16_t *samples, ae_error *err)
{
    size_t n = (size_t)t->width * t->height * t->channels;
    aei_geometry g;
    ae_status st = check(t, err);

    if (st != AE_OK)
        return st;
    if (!n_bytes || (bytes[0] > DRAWN && bytes[0] != RAW))
        return ae_fail(err, n_bytes ? AE_ERR_TOO_NEW : AE_ERR_MALFORMED,
                       "sample data of an unknown kind");
    if (bytes[0] == RAW) {
        if (n_bytes != 1 + n * (t->max > 255 ? 2 : 1))
            return ae_fail(err, AE_ERR_MALFORMED, "plain samples: %zu bytes for %zu samples",
                           n_bytes, n);
        for (size_t i = 0; i < n; i++) {
            uint32_t v = t->max > 255 ? (uint32_t)(bytes[1 + 2 * i] | bytes[2 + 2 * i] << 8)
                                      : bytes[1 + i];

            if (v > t->max)
                return ae_fail(err, AE_ERR_MALFORMED, "a sample of %u, more than %u", v, t->max);
            samples[i] = (uint16_t)v;
        }
        return AE_OK;
    }
    if (bytes[0] == DRAWN) {
        aei_drawing drawing = {t->width, t->height, t->channels, t->max, t->period};

        if (!c->drawer && !(c->drawer = aei_drawer_create()))
            return ae_fail(err, AE_ERR_NOMEM, "a tile of %u x %u", t->width, t->height);
        aei_decider_reset(&c->predictor.decider);
        aei_decider_begin(&c->predictor.decider, bytes + 1, n_bytes - 1);
        if (!aei_drawing_decode(c->drawer, &c->predictor.decider, &drawing, samples))
            return ae_fail(err, AE_ERR_MALFORMED, "damaged sample data");
        return AE_OK;
    }
    set_geometry(&g, t, bytes[0]);
    if ((st = prepare(c, t, &g, err)) != AE_OK)
        return st;
    aei_decider_begin(&c->predictor.decider, bytes + 1, n_bytes - 1);
    aei_predictor_decode(&c->predictor, &g, c->values);
    for (size_t i = 0; t->channels >= 3 && i < n; i += t->channels)
        from_colour(bytes[0], c->values + i);
    for (size_t i = 0; i < n; i++) {
        if (c->values[i] < 0 || c->values[i] > (int32_t)t->max)
            return ae_fail(err, AE_ERR_MALFORMED, "damaged sample data");
        samples[i] = (uint16_t)c->values[i];
    }
    return AE_OK;
}
