/* SPDX-License-Identifier: BSD-2-Clause */
#include "audio/hum.h"

#include <math.h>
#include <string.h>

enum {
    MAINS = 2,
    PARTS = 8, /* of the time that is looked back on for the least power */
    LEAST_HARMONICS = 3
};

static const double mains_of[MAINS] = {50, 60}, /* Hz */
    later_of[MAINS] = {0.04, 0.05};             /* seconds: whole periods */

#define TAU 6.28318531f
#define LOOK_BACK 4.0    /* seconds */
#define SMOOTH 0.06      /* of power: some frames, since harmonics that share a bin beat */
#define FOLLOW 0.7       /* of what two moments have in common */
#define FORGET 8.0       /* after which hum that is no more heard counts for nothing */
#define NEAR 3.0f        /* times the least power */
#define OFF 0.004f       /* that the mains may be off, of their frequency */
#define MOST_TUNED 700.0 /* Hz: below, it is measured how far they are, above phases wrap */
#define ALIKE 0.8f       /* of the power in common: a harmonic, for that */
#define SAME 0.75f       /* and in phase: of hum */
#define PHASE 0.15f      /* radians that the lowest harmonic may be off */
/* Of all hum: a lowest harmonic, any harmonic. */
#define LOWEST_SHARE 0.01f
#define SHARE 0.001f

typedef struct mains {
    uint32_t later;  /* frames */
    float turns;     /* of a harmonic of 1 Hz in that time, radians */
    float *harmonic; /* of each bin: frequency of the nearest one */
    float *common;   /* of each bin, complex: what it was, conjugate, times what it is, smoothed */
    float *level;    /* and the power of both */
    float *found;    /* of each bin: power of hum */
    float sure;
} mains;

struct aei_hum {
    mains mains[MAINS];
    uint32_t bins, channels, room, at; /* room: frames that are held */
    uint32_t waits;                    /* frames until powers mean something */
    float *past;                       /* room x channels x bins, complex */
    float *now, *then;                 /* power of bins */
    float *smooth, *least, *bound;     /* least: PARTS x bins, a ring */
    float *hum;
    uint32_t part, frames, part_frames;
    float follow_power, follow, forget;
};

void aei_hum_free(aei_hum *h)
{
    if (!h)
        return;
    for (int i = 0; i < MAINS; i++) {
        ae_free(h->mains[i].harmonic);
        ae_free(h->mains[i].common);
        ae_free(h->mains[i].level);
        ae_free(h->mains[i].found);
    }
    ae_free(h->past);
    ae_free(h->now);
    ae_free(h->then);
    ae_free(h->smooth);
    ae_free(h->least);
    ae_free(h->bound);
    ae_free(h->hum);
    ae_free(h);
}

static bool open_mains(aei_hum *h, mains *m, double hertz, double bin)
{
    m->harmonic = ae_alloc(h->bins, sizeof(float));
    m->common = ae_alloc(h->bins, 2 * sizeof(float));
    m->level = ae_alloc(h->bins, sizeof(float));
    m->found = ae_alloc(h->bins, sizeof(float));
    for (uint32_t k = 0; k < h->bins && m->harmonic; k++)
        m->harmonic[k] = (float)(hertz * fmax(round(k * bin / hertz), 1));
    return m->harmonic && m->common && m->level && m->found;
}

ae_status aei_hum_create(const ae_sound_features *features, double rate, uint32_t channels,
                         aei_hum **out, ae_error *err)
{
    double hop = (double)lrint(rate * features->hop) / rate;
    aei_hum *h = ae_alloc(1, sizeof(*h));
    bool good = true;

    *out = NULL;
    if (!h)
        return ae_fail(err, AE_ERR_NOMEM, "hum");
    h->bins = (uint32_t)lrint(rate * features->window / 2) + 1;
    h->channels = channels;
    h->part_frames = (uint32_t)fmax(lrint(LOOK_BACK / PARTS / hop), 1);
    h->waits = (uint32_t)lrint(8 * SMOOTH / hop);
    h->follow_power = (float)(1 - exp(-hop / SMOOTH));
    h->follow = (float)(1 - exp(-hop / FOLLOW));
    h->forget = (float)(1 - exp(-hop / FORGET));
    for (int i = 0; i < MAINS; i++) {
        mains *m = &h->mains[i];

        m->later = (uint32_t)fmax(lrint(later_of[i] / hop), 1);
        m->turns = (float)(TAU * m->later * hop);
        h->room = m->later + 1 > h->room ? m->later + 1 : h->room;
        good = open_mains(h, m, mains_of[i], rate / (2 * (h->bins - 1))) && good;
    }
    h->past = ae_alloc((size_t)h->room * channels * h->bins, 2 * sizeof(float));
    h->now = ae_alloc(h->bins, sizeof(float));
    h->then = ae_alloc(h->bins, sizeof(float));
    h->smooth = ae_alloc(h->bins, sizeof(float));
    h->least = ae_alloc(h->bins, PARTS * sizeof(float));
    h->bound = ae_alloc(h->bins, sizeof(float));
    h->hum = ae_alloc(h->bins, sizeof(float));
    if (!good || !h->past || !h->now || !h->then || !h->smooth || !h->least || !h->bound ||
        !h->hum) {
        aei_hum_free(h);
        return ae_fail(err, AE_ERR_NOMEM, "hum of %u channels", channels);
    }
    for (uint32_t i = 0; i < PARTS * h->bins; i++)
        h->least[i] = INFINITY;
    *out = h;
    return AE_OK;
}

static float *moment(const aei_hum *h, uint32_t before, uint32_t channel)
{
    uint32_t at = (h->at + h->room - before) % h->room;

    return h->past + 2 * (size_t)h->bins * ((size_t)at * h->channels + channel);
}

void aei_hum_hear(aei_hum *h, uint32_t channel, const float *spectrum)
{
    memcpy(moment(h, 0, channel), spectrum, 2 * h->bins * sizeof(float));
}

/* The power up to which a bin is taken to be in a pause. */
static void follow_least(aei_hum *h, const float *power)
{
    float *least;

    if (h->frames == h->part_frames) {
        h->part = (h->part + 1) % PARTS;
        h->frames = 0;
    }
    least = h->least + (size_t)h->part * h->bins;
    for (uint32_t k = 0; k < h->bins; k++) {
        float p = h->smooth[k] += h->follow_power * (power[k] - h->smooth[k]);

        least[k] = !h->frames || p < least[k] ? p : least[k];
        h->bound[k] = INFINITY;
    }
    h->frames += !h->waits;
    for (uint32_t i = 0; i < PARTS * h->bins; i++)
        h->bound[i % h->bins] = fminf(h->bound[i % h->bins], NEAR * h->least[i]);
}

static void compare(aei_hum *h, mains *m)
{
    for (uint32_t k = 0; k < h->bins; k++) {
        float re = 0, im = 0, now = 0, then = 0, weight = 1 / (float)h->channels;

        for (uint32_t c = 0; c < h->channels; c++) {
            const float *x = moment(h, 0, c) + 2 * k, *y = moment(h, m->later, c) + 2 * k;

            re += x[0] * y[0] + x[1] * y[1];
            im += x[1] * y[0] - x[0] * y[1];
            now += x[0] * x[0] + x[1] * x[1];
            then += y[0] * y[0] + y[1] * y[1];
        }
        if (fmaxf(now, then) * weight > h->bound[k])
            continue;
        if (m->level[k] > h->bound[k]) /* that was no pause */
            m->common[2 * k] = m->common[2 * k + 1] = m->level[k] = 0;
        m->common[2 * k] += h->follow * (re * weight - m->common[2 * k]);
        m->common[2 * k + 1] += h->follow * (im * weight - m->common[2 * k + 1]);
        m->level[k] += h->follow * ((now + then) * weight / 2 - m->level[k]);
    }
}

/* How far a bin's phase is from that of its harmonic where the mains are off by so much. */
static float slip(const mains *m, uint32_t k, float off)
{
    float expected = m->turns * m->harmonic[k] * (1 + off),
          angle = atan2f(m->common[2 * k + 1], m->common[2 * k]) - expected;

    return angle - TAU * rintf(angle / TAU);
}

/* How far the mains are off, of their frequency. */
static float tune(const mains *m, uint32_t bins)
{
    float sum = 0, weight = 0;

    for (uint32_t k = 1; k < bins && m->harmonic[k] <= MOST_TUNED; k++) {
        float size = hypotf(m->common[2 * k], m->common[2 * k + 1]), f = m->turns * m->harmonic[k];

        if (size > ALIKE * m->level[k]) {
            sum += size * f * slip(m, k, 0);
            weight += size * f * f;
        }
    }
    return weight > 0 ? sum / weight : 0;
}

/* The power of hum in each bin, and whether it is of these mains. */
static bool is_hum(mains *m, uint32_t bins, float lowest)
{
    float off = tune(m, bins), total = 0, last = 0;
    uint32_t harmonics = 0;
    bool low = false;

    for (uint32_t k = 0; k < bins; k++) {
        float size = hypotf(m->common[2 * k], m->common[2 * k + 1]);

        m->found[k] = fmaxf(size * cosf(slip(m, k, off)), 0);
        total += m->found[k];
    }
    for (uint32_t k = 1; k < bins; k++) {
        bool same = m->found[k] > fmaxf(SAME * m->level[k], SHARE * total);

        harmonics += same && m->harmonic[k] > last;
        last = same ? m->harmonic[k] : last;
        low = low || (same && m->harmonic[k] <= 2 * lowest && m->found[k] > LOWEST_SHARE * total &&
                      fabsf(slip(m, k, off)) < PHASE);
    }
    return low && harmonics >= LEAST_HARMONICS && fabsf(off) < OFF;
}

void aei_hum_find(aei_hum *h, const aei_spectrum *spectrum, const float *power, float *bands)
{
    follow_least(h, power);
    memset(h->hum, 0, h->bins * sizeof(float));
    for (int i = 0; i < MAINS && !h->waits; i++) {
        mains *m = &h->mains[i];
        bool found;
        float share;

        compare(h, m);
        found = is_hum(m, h->bins, (float)mains_of[i]);
        m->sure += found ? h->follow * (1 - m->sure) : -h->forget * m->sure;
        share = fminf(fmaxf((m->sure - 0.5f) / 0.3f, 0), 1);
        for (uint32_t k = 0; k < h->bins && share > 0; k++)
            h->hum[k] = fmaxf(h->hum[k], share * m->found[k]);
    }
    h->waits -= h->waits > 0;
    h->at = (h->at + 1) % h->room;
    aei_spectrum_to_bands(spectrum, h->hum, bands);
}
