/* SPDX-License-Identifier: BSD-2-Clause */
#include "audio/tonal.h"

#include <math.h>
#include <string.h>

enum {
    NOTES = 4,  /* held at a time */
    REACH = 2,  /* bins to both sides of a peak that belong to it */
    VALLEY = 4, /* and how far off its surroundings begin */
    SHORTER = 4,
    PIECES = 3 /* short windows in a frame */
};

#define LOWEST 150.0       /* Hz: below, what is narrow rumbles */
#define LOWEST_GLIDE 375.0 /* of short windows, whose bins are wider */
#define ABOVE 50.0f        /* a peak over its surroundings */
#define FAINT 0.01f        /* of a frame's power: peaks below are not looked for */
/* Shares of tones in the power of a frame from which on they are kept a little, and whole. */
#define SOME 0.93f
#define ALL 0.98f
#define MEMORY 2.0 /* seconds */
#define LOUD 0.03f /* of the mean power of these */

struct aei_tonal {
    aei_spectrum *shorter;
    uint32_t bins, lowest, lowest_glide;
    float *rest, *kept; /* of each bin: power, least gain */
    float *spectrum, *power;
    float mean, follow;
};

void aei_tonal_free(aei_tonal *t)
{
    if (!t)
        return;
    aei_spectrum_free(t->shorter);
    ae_free(t->rest);
    ae_free(t->kept);
    ae_free(t->spectrum);
    ae_free(t->power);
    ae_free(t);
}

ae_status aei_tonal_create(const ae_sound_features *features, double rate, aei_tonal **out,
                           ae_error *err)
{
    ae_sound_features f = *features;
    aei_tonal *t = ae_alloc(1, sizeof(*t));
    ae_status st;

    *out = NULL;
    if (!t)
        return ae_fail(err, AE_ERR_NOMEM, "what is tonal");
    t->bins = (uint32_t)lrint(rate * f.window / 2) + 1;
    t->lowest = (uint32_t)ceil(LOWEST * f.window);
    t->follow = (float)(1 - exp(-f.hop / MEMORY));
    f.window /= SHORTER;
    f.hop = f.window / 2;
    t->lowest_glide = (uint32_t)ceil(LOWEST_GLIDE * f.window);
    if ((st = aei_spectrum_create(&f, rate, &t->shorter, err)) != AE_OK) {
        aei_tonal_free(t);
        return st;
    }
    t->rest = ae_alloc(t->bins, sizeof(float));
    t->kept = ae_alloc(t->bins, sizeof(float));
    t->spectrum = ae_alloc(aei_spectrum_bins(t->shorter), 2 * sizeof(float));
    t->power = ae_alloc(aei_spectrum_bins(t->shorter), sizeof(float));
    if (!t->rest || !t->kept || !t->spectrum || !t->power) {
        st = ae_fail(err, AE_ERR_NOMEM, "what is tonal in %u bins", t->bins);
        aei_tonal_free(t);
        return st;
    }
    *out = t;
    return AE_OK;
}

static float sum_of(const float *x, int32_t n, int32_t from, int32_t to)
{
    float sum = 0;

    for (int32_t i = from < 0 ? 0 : from; i <= to && i < n; i++)
        sum += x[i];
    return sum;
}

static int32_t greatest(const float *x, uint32_t from, uint32_t n)
{
    uint32_t at = from < n ? from : n - 1;

    for (uint32_t i = at + 1; i < n; i++)
        at = x[i] > x[at] ? i : at;
    return (int32_t)at;
}

/* How sure a share of the power is. */
static float certainty(float tones, float total)
{
    return fminf(fmaxf((tones / (total + 1e-30f) - SOME) / (ALL - SOME), 0), 1);
}

static void keep(aei_tonal *t, double from, double to, float gain)
{
    int32_t first = (int32_t)floor(from), last = (int32_t)ceil(to);

    for (int32_t i = first < 0 ? 0 : first; i <= last && i < (int32_t)t->bins; i++)
        t->kept[i] = fmaxf(t->kept[i], gain);
}

/* Tones that hold still. */
static void find_held(aei_tonal *t, const float *power, float total)
{
    int32_t n = (int32_t)t->bins, peaks[NOTES], found = 0;
    float tones = 0, gain;

    memcpy(t->rest, power, t->bins * sizeof(float));
    while (found < NOTES) {
        int32_t at = greatest(t->rest, t->lowest, t->bins);
        float most = t->rest[at], below = sum_of(power, n, at - VALLEY - 1, at - VALLEY),
              above = sum_of(power, n, at + VALLEY, at + VALLEY + 1);

        if (most < FAINT * total || ABOVE * fmaxf(below, above) > 2 * most)
            break;
        tones += sum_of(t->rest, n, at - REACH, at + REACH);
        for (int32_t i = at < REACH ? 0 : at - REACH; i <= at + REACH && i < n; i++)
            t->rest[i] = 0;
        peaks[found++] = at;
    }
    gain = certainty(tones, total);
    for (int32_t i = 0; i < found && gain > 0; i++)
        keep(t, peaks[i] - REACH - 1, peaks[i] + REACH + 1, gain);
}

/* One tone that moves. */
static void find_gliding(aei_tonal *t, const float *samples, uint32_t channels, size_t span)
{
    uint32_t n = aei_spectrum_bins(t->shorter), size = aei_spectrum_window(t->shorter);
    int32_t at[PIECES];
    float tones = 0, total = 0, gain;

    for (uint32_t p = 0; p < PIECES; p++) {
        memset(t->power, 0, n * sizeof(float));
        for (uint32_t c = 0; c < channels; c++) {
            aei_spectrum_forward(t->shorter, samples + c * span + size / 2 + (size_t)p * size,
                                 t->spectrum);
            for (uint32_t k = 0; k < n; k++)
                t->power[k] += t->spectrum[2 * k] * t->spectrum[2 * k] +
                               t->spectrum[2 * k + 1] * t->spectrum[2 * k + 1];
        }
        at[p] = greatest(t->power, t->lowest_glide, n);
        tones += sum_of(t->power, (int32_t)n, at[p] - REACH, at[p] + REACH);
        total += sum_of(t->power, (int32_t)n, 0, (int32_t)n);
    }
    gain = certainty(tones, total);
    for (uint32_t p = 0; p < PIECES && gain > 0; p++)
        keep(t, SHORTER * (at[p] - REACH - 0.5), SHORTER * (at[p] + REACH + 0.5), gain);
}

void aei_tonal_find(aei_tonal *t, const aei_spectrum *spectrum, const float *power,
                    const float *samples, uint32_t channels, size_t span, float *least)
{
    float total = sum_of(power, (int32_t)t->bins, 0, (int32_t)t->bins);

    memset(t->kept, 0, t->bins * sizeof(float));
    if (total > LOUD * t->mean) {
        find_held(t, power, total);
        find_gliding(t, samples, channels, span);
    }
    t->mean += t->follow * (total - t->mean);
    aei_spectrum_cover(spectrum, t->kept, least);
}
