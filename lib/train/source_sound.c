/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A mixture is drawn: pieces of clean recordings, in a room or not, through a path of some
 * bandwidth, and pieces of noise or other voices at a ratio to it. From the sum come what the
 * network sees and, from the clean part through the same path, its target, so that nothing is
 * learned but noise. doc/sound.md says what is drawn, and why. */
#include "train/source_sound.h"
#include "core/rank.h"
#include "audio/spectrum.h"
#include "train/items.h"
#include "train/mix.h"

#include <math.h>
#include <soxr.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { TRIES = 64 /* recordings in a row that cannot be used */ };

#define SEED_HELD UINT64_C(0x68656c64)

/* A set of recordings, in training and held out. */
typedef struct set {
    const ae_dataset *data;
    aei_items *items;
    size_t *order, n_held, n; /* the held ones come first */
} set;

struct aei_source_sound {
    const ae_recipe *recipe;
    ae_sound_features features;
    uint32_t frames;
    size_t samples;
    set clean, noise, rooms, music;
};

struct aei_mixer {
    aei_spectrum *spectrum;
    aei_mix *mix;
    float *speech, *noise, *other, *room; /* samples */
    float *raw;                           /* of an item, before its rate is changed */
    size_t raw_floats;
    float *bins_y, *bins_s, *power; /* a frame's */
    float *mixed, *clean, *common;  /* frames x bands */
    float *column;
};

/* ---- sets ---- */

static ae_status open_set(const aei_source_sound_config *c, const ae_dataset *data,
                          const char *what, set *to, ae_error *err)
{
    aei_rng rng = aei_rng_make(SEED_HELD, data ? data->n_items : 0, 0);
    ae_status st;

    if (!data || !data->n_items)
        return AE_OK;
    if ((st = aei_items_create(data, c->cache_bytes / 4, 1, 1, false, c->opaque, c->warning,
                               &to->items, err)) != AE_OK)
        return st;
    to->data = data;
    to->n = data->n_items;
    to->order = ae_alloc(to->n, sizeof(*to->order));
    if (!to->order)
        return ae_fail(err, AE_ERR_NOMEM, "order of %zu recordings of %s", to->n, what);
    for (size_t i = 0; i < to->n; i++) {
        size_t j = (size_t)(aei_rng_u64(&rng) % (i + 1));

        to->order[i] = to->order[j];
        to->order[j] = i;
    }
    to->n_held = (size_t)ceil((double)c->recipe->holdout * (double)to->n);
    to->n_held = to->n_held < to->n ? to->n_held : to->n - 1;
    return AE_OK;
}

void aei_source_sound_free(aei_source_sound *s)
{
    if (!s)
        return;
    for (set *t = &s->clean; t <= &s->music; t++) {
        aei_items_free(t->items);
        ae_free(t->order);
    }
    ae_free(s);
}

ae_status aei_source_sound_create(const aei_source_sound_config *c, aei_source_sound **out,
                                  ae_error *err)
{
    aei_source_sound *s = ae_alloc(1, sizeof(*s));
    const ae_sound_features *f = &c->recipe->sound;
    ae_status st;

    *out = NULL;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "recordings to mix");
    s->recipe = c->recipe;
    s->features = *f;
    s->frames = c->frames;
    s->samples = (size_t)((c->frames - 1) * lrintf(f->rate * f->hop)) +
                 2 * (size_t)lrintf(f->rate * f->window / 2);
    if ((st = open_set(c, c->clean, "clean sound", &s->clean, err)) != AE_OK ||
        (st = open_set(c, c->noise, "noise", &s->noise, err)) != AE_OK ||
        (st = open_set(c, c->rooms, "rooms", &s->rooms, err)) != AE_OK ||
        (st = open_set(c, c->music, "music", &s->music, err)) != AE_OK)
        goto done;
    if (!s->clean.n) {
        st = ae_fail(err, AE_ERR_MALFORMED, "no recordings of clean sound");
        goto done;
    }
    *out = s;
    s = NULL;
done:
    aei_source_sound_free(s);
    return st;
}

uint64_t aei_source_sound_fingerprint(const aei_source_sound *s, size_t *n_items)
{
    uint64_t hash = 0;

    *n_items = 0;
    for (const set *t = &s->clean; t <= &s->music; t++)
        for (size_t i = 0; i < t->n; i++, ++*n_items) {
            const char *name = t->data->name(t->data->opaque, i);

            hash = XXH3_64bits_withSeed(name, strlen(name), hash);
        }
    return hash;
}

void aei_mixer_free(aei_mixer *m)
{
    if (!m)
        return;
    aei_spectrum_free(m->spectrum);
    aei_mix_free(m->mix);
    ae_free(m->speech);
    ae_free(m->noise);
    ae_free(m->other);
    ae_free(m->room);
    ae_free(m->raw);
    ae_free(m->bins_y);
    ae_free(m->bins_s);
    ae_free(m->power);
    ae_free(m->mixed);
    ae_free(m->clean);
    ae_free(m->common);
    ae_free(m->column);
    ae_free(m);
}

ae_status aei_mixer_create(const aei_source_sound *s, aei_mixer **out, ae_error *err)
{
    aei_mixer *m = ae_alloc(1, sizeof(*m));
    size_t cells = (size_t)s->frames * s->features.bands, bins;
    ae_status st;

    *out = NULL;
    if (!m)
        return ae_fail(err, AE_ERR_NOMEM, "mixing");
    if ((st = aei_spectrum_create(&s->features, s->features.rate, &m->spectrum, err)) != AE_OK ||
        (st = aei_mix_create(s->features.rate, s->samples, &m->mix, err)) != AE_OK)
        goto done;
    bins = aei_spectrum_bins(m->spectrum);
    m->speech = ae_alloc(s->samples, sizeof(float));
    m->noise = ae_alloc(s->samples, sizeof(float));
    m->other = ae_alloc(s->samples, sizeof(float));
    m->room = ae_alloc(aei_mix_room(m->mix), sizeof(float));
    m->bins_y = ae_alloc(bins, 2 * sizeof(float));
    m->bins_s = ae_alloc(bins, 2 * sizeof(float));
    m->power = ae_alloc(bins, sizeof(float));
    m->mixed = ae_alloc(cells, sizeof(float));
    m->clean = ae_alloc(cells, sizeof(float));
    m->common = ae_alloc(cells, sizeof(float));
    m->column = ae_alloc(s->frames, sizeof(float));
    if (!m->speech || !m->noise || !m->other || !m->room || !m->bins_y || !m->bins_s || !m->power ||
        !m->mixed || !m->clean || !m->common || !m->column) {
        st = ae_fail(err, AE_ERR_NOMEM, "mixing of %zu samples", s->samples);
        goto done;
    }
    *out = m;
    m = NULL;
done:
    aei_mixer_free(m);
    return st;
}

/* ---- pieces of recordings ---- */

/* Up to `frames` of them from `first` on as one channel of floats. */
static ae_status read_raw(aei_mixer *m, const aei_picture *p, size_t first, size_t frames,
                          ae_error *err)
{
    size_t c = p->info.channels, row = ae_row_bytes(&p->info);

    if (m->raw_floats < frames * c) {
        ae_free(m->raw);
        m->raw_floats = 0;
        m->raw = ae_alloc(frames * c, sizeof(float));
        if (!m->raw)
            return ae_fail(err, AE_ERR_NOMEM, "%zu frames", frames);
        m->raw_floats = frames * c;
    }
    ae_samples_to_f32(p->info.sample, (const uint8_t *)p->pixels + first * row, m->raw, frames * c);
    for (size_t i = 0; i < frames && c > 1; i++) {
        float sum = 0;

        for (size_t k = 0; k < c; k++)
            sum += m->raw[i * c + k];
        m->raw[i] = sum / (float)c;
    }
    return AE_OK;
}

/* Up to n samples, at the recipe's rate and `speed` times as fast, from anywhere in the item. */
static ae_status cut_item(const aei_source_sound *s, aei_mixer *m, const aei_picture *p,
                          aei_rng *rng, float speed, bool whole, float *to, size_t n, size_t *got,
                          ae_error *err)
{
    double from = p->info.rate * speed, rate = s->features.rate;
    size_t need = (size_t)((double)n * from / rate) + 64, have = (size_t)p->info.height, first = 0;
    float draw = aei_rng_float(rng);
    ae_status st;

    if (have > need && !whole)
        first = (size_t)(draw * (float)(have - need));
    need = have - first < need ? have - first : need;
    if ((st = read_raw(m, p, first, need, err)) != AE_OK)
        return st;
    if (from == rate) {
        *got = need < n ? need : n;
        memcpy(to, m->raw, *got * sizeof(float));
    } else {
        soxr_quality_spec_t quality = soxr_quality_spec(SOXR_LQ, 0);
        soxr_error_t e = soxr_oneshot(from, rate, 1, m->raw, need, NULL, to, n, got, NULL, &quality,
                                      NULL);

        if (e)
            return ae_fail(err, AE_ERR_NOMEM, "resampling from %g to %g: %s", from, rate,
                           soxr_strerror(e));
    }
    return AE_OK;
}

/* A piece of any recording of the set; *got 0 where the set is empty. */
static ae_status cut(const aei_source_sound *s, aei_mixer *m, const set *t, aei_rng *rng, bool held,
                     float speed, bool whole, float *to, size_t n, size_t *got, ae_error *err)
{
    size_t base = held && t->n_held ? 0 : t->n_held,
           count = held && t->n_held ? t->n_held : t->n - t->n_held;
    uint64_t draw = aei_rng_u64(rng);
    ae_status st = AE_ERR_MALFORMED;

    *got = 0;
    if (!t->n)
        return AE_OK;
    for (size_t tries = 0; tries < TRIES && st == AE_ERR_MALFORMED; tries++) {
        size_t i = t->order[base + (draw + tries) % count];
        const aei_picture *p;

        if ((st = aei_items_get(t->items, i, &p, err)) == AE_OK) {
            st = cut_item(s, m, p, rng, speed, whole, to, n, got, err);
            aei_items_put(t->items, i);
        }
    }
    return st;
}

static void gain(float *v, size_t n, double by)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(by * v[i]);
}

static void add(float *to, const float *v, size_t n, double by)
{
    for (size_t i = 0; i < n; i++)
        to[i] += (float)(by * v[i]);
}

/* Ends that do not click. */
static void fade(float *v, size_t n, size_t over)
{
    for (size_t i = 0; i < over && 2 * i < n; i++) {
        float k = (float)i / (float)over;

        v[i] *= k;
        v[n - 1 - i] *= k;
    }
}

/* Pieces of one set after another until n samples are full, with pauses up to so many seconds; each
 * as loud. */
static ae_status fill(const aei_source_sound *s, aei_mixer *m, const set *t, aei_rng *rng,
                      bool held, float pauses, float *to, size_t n, ae_error *err)
{
    float speed = aei_rng_float(rng) < s->features.speed ? aei_rng_range(rng, 0.85f, 1.18f) : 1,
          rate = s->features.rate;
    size_t at = pauses > 0 && aei_rng_float(rng) < 0.4f
                    ? (size_t)(rate * pauses * aei_rng_float(rng))
                    : 0,
           got;

    memset(to, 0, n * sizeof(float));
    while (at < n) {
        double power;
        ae_status st = cut(s, m, t, rng, held, speed, false, to + at, n - at, &got, err);

        if (st != AE_OK)
            return st;
        if (got < (size_t)(0.01f * rate))
            got = n - at < (size_t)(0.01f * rate) ? n - at : (size_t)(0.01f * rate);
        power = aei_mix_active_power(to + at, got, rate);
        if (power > 1e-12)
            gain(to + at, got, 0.1 / sqrt(power));
        fade(to + at, got, (size_t)(0.01f * rate));
        at += got + (size_t)(rate * pauses * aei_rng_float(rng));
    }
    return AE_OK;
}

/* ---- a mixture ---- */

static ae_status draw_room(const aei_source_sound *s, aei_mixer *m, aei_rng *rng, bool held,
                           aei_path *path, ae_error *err)
{
    size_t most = aei_mix_room(m->mix), peak = 0, got = 0,
           lead = (size_t)(0.001f * s->features.rate);
    ae_status st;

    if (s->rooms.n && aei_rng_float(rng) < 0.6f) {
        double energy = 0;

        if ((st = cut(s, m, &s->rooms, rng, held, 1, true, m->room, most, &got, err)) != AE_OK)
            return st;
        for (size_t i = 0; i < got; i++) {
            peak = fabsf(m->room[i]) > fabsf(m->room[peak]) ? i : peak;
            energy += m->room[i] * m->room[i];
        }
        peak = peak > lead ? peak - lead : 0; /* sound arrives at once */
        memmove(m->room, m->room + peak, (got - peak) * sizeof(float));
        got -= peak;
        if (energy > 0)
            gain(m->room, got, 1 / sqrt(energy));
    } else {
        got = aei_mix_room_draw(rng, s->features.rate, m->room, most);
    }
    path->room = m->room;
    path->n_room = got;
    return AE_OK;
}

/* Half of the usual rates above all. Most speech was recorded at 16 kHz, most noise was not: where
 * noise is not cut off at 8 kHz as often as speech is, networks learn that what is cut off there is
 * speech. */
static const float limits[] = {3400, 3800, 4000, 4000,  5500,  7000,  7600,  8000,
                               8000, 8000, 8000, 11025, 12000, 15000, 16000, 20000};

/* What both speech and noise went through: the recording's own limits. */
static void draw_limits(const aei_source_sound *s, aei_rng *rng, aei_path *path)
{
    float high = limits[aei_rng_below(rng, sizeof(limits) / sizeof(limits[0]))],
          low = aei_rng_range(rng, 60, 300);
    bool limited = aei_rng_float(rng) < s->features.limits;

    path->high = limited ? high : 0;
    path->low = aei_rng_float(rng) < 0.2f ? low : 0;
}

static ae_status draw_clean(const aei_source_sound *s, aei_mixer *m, aei_rng *rng, bool held,
                            const aei_path *common, bool music, ae_error *err)
{
    aei_path path = {0};
    ae_status st = AE_OK;

    if (music && (!s->music.n || aei_rng_float(rng) < 0.6f))
        aei_mix_music(m->mix, rng, m->speech);
    else
        st = fill(s, m, music ? &s->music : &s->clean, rng, held, music ? 0 : 0.8f, m->speech,
                  s->samples, err);
    if (st != AE_OK)
        return st;
    path.high = common->high;
    path.low = common->low;
    if (aei_rng_float(rng) < s->features.filters) {
        aei_path_draw(rng, 8, &path);
        path.high = common->high;
        path.low = common->low;
    }
    if (aei_rng_float(rng) < s->features.rooms &&
        (st = draw_room(s, m, rng, held, &path, err)) != AE_OK)
        return st;
    if (path.high > 0 || path.low > 0 || path.room || path.gain[0] != 0)
        aei_mix_pass(m->mix, &path, m->speech);
    return AE_OK;
}

/* Many voices. */
static ae_status draw_babble(const aei_source_sound *s, aei_mixer *m, aei_rng *rng, bool held,
                             float *to, ae_error *err)
{
    uint32_t n = 3 + aei_rng_below(rng, 6);

    memset(to, 0, s->samples * sizeof(float));
    for (uint32_t k = 0; k < n; k++) {
        size_t got;
        double power;
        ae_status st = cut(s, m, &s->clean, rng, held, aei_rng_range(rng, 0.85f, 1.2f), false,
                           m->other, s->samples, &got, err);

        if (st != AE_OK)
            return st;
        power = aei_mix_power(m->other, got);
        if (power > 0) {
            size_t at = aei_rng_below(rng, (uint32_t)s->samples);

            for (size_t i = 0; i < got; i++)
                to[(at + i) % s->samples] += (float)(m->other[i] / sqrt(power));
        }
    }
    return AE_OK;
}

static ae_status draw_one_noise(const aei_source_sound *s, aei_mixer *m, aei_rng *rng, bool held,
                                float *to, ae_error *err)
{
    float kind = aei_rng_float(rng);

    if (!s->noise.n || kind < s->features.synthetic) {
        aei_mix_noise(m->mix, rng, to);
        return AE_OK;
    }
    if (kind < s->features.synthetic + s->features.babble)
        return draw_babble(s, m, rng, held, to, err);
    return fill(s, m, &s->noise, rng, held, 0, to, s->samples, err);
}

static ae_status draw_noise(const aei_source_sound *s, aei_mixer *m, aei_rng *rng, bool held,
                            const aei_path *common, ae_error *err)
{
    aei_path path = {0};
    ae_status st = draw_one_noise(s, m, rng, held, m->noise, err);

    if (st != AE_OK)
        return st;
    if (aei_rng_float(rng) < 0.25f) {
        double power = aei_mix_power(m->noise, s->samples), more;
        float db = aei_rng_range(rng, -12, 6);

        if (s->noise.n) {
            if ((st = fill(s, m, &s->noise, rng, held, 0, m->other, s->samples, err)) != AE_OK)
                return st;
        } else {
            aei_mix_noise(m->mix, rng, m->other);
        }
        more = aei_mix_power(m->other, s->samples);
        if (more > 0)
            add(m->noise, m->other, s->samples, sqrt(power / more) * pow(10, db / 20));
    }
    if (aei_rng_float(rng) < s->features.filters)
        aei_path_draw(rng, 8, &path);
    path.high = common->high;
    path.low = common->low;
    if (path.high > 0 || path.low > 0 || path.gain[0] != 0)
        aei_mix_pass(m->mix, &path, m->noise);
    return AE_OK;
}

/* ---- what the network sees ---- */

/* Recordings called clean hiss. What is there all the time, far below the rest, is no part of what
 * shall be learned: by the tenth of power in each band over which the quietest tenth of
 * exponentially distributed power lies. */
static void remove_hiss(const aei_source_sound *s, aei_mixer *m)
{
    uint32_t w = s->features.bands, n = s->frames;

    for (uint32_t b = 0; b < w; b++) {
        double mean = 0;
        float hiss;

        for (uint32_t i = 0; i < n; i++) {
            m->column[i] = m->clean[(size_t)i * w + b];
            mean += m->column[i];
        }
        hiss = aei_select_rank(m->column, n, n / 10) / 0.105f;
        hiss = 1.5f * fminf(hiss, (float)(mean / n * 0.003));
        for (uint32_t i = 0; i < n; i++) {
            float *p = &m->clean[(size_t)i * w + b];

            m->common[(size_t)i * w + b] *= *p > hiss ? 1 - hiss / *p : 0;
            *p = *p > hiss ? *p - hiss : 0;
        }
    }
}

/* Of the first n bins; the others are as empty as they are at a lower rate. */
static void frame_power(aei_mixer *m, uint32_t n, const float *a, const float *b, float *bands)
{
    for (uint32_t k = 0; k < n; k++)
        m->power[k] = a[2 * k] * b[2 * k] + a[2 * k + 1] * b[2 * k + 1];
    memset(m->power + n, 0, (aei_spectrum_bins(m->spectrum) - n) * sizeof(*m->power));
    aei_spectrum_to_bands(m->spectrum, m->power, bands);
}

/* m->noise holds the mixture by now, of which `bins` are seen. The target lies between the clean
 * magnitude and what of it is in phase with the mixture, whose phase the output will have. */
static void make_features(const aei_source_sound *s, aei_mixer *m, uint32_t bins, float *image,
                          float *target, float *weight)
{
    uint32_t w = s->features.bands, hop = aei_spectrum_hop(m->spectrum);
    aei_running_level level = {0};

    for (uint32_t i = 0; i < s->frames; i++) {
        size_t at = (size_t)i * w;

        aei_spectrum_forward(m->spectrum, m->noise + (size_t)i * hop, m->bins_y);
        aei_spectrum_forward(m->spectrum, m->speech + (size_t)i * hop, m->bins_s);
        frame_power(m, bins, m->bins_y, m->bins_y, m->mixed + at);
        frame_power(m, bins, m->bins_s, m->bins_s, m->clean + at);
        frame_power(m, bins, m->bins_y, m->bins_s, m->common + at);
    }
    remove_hiss(s, m);
    for (uint32_t i = 0; i < s->frames; i++) {
        size_t at = (size_t)i * w;
        float divisor = aei_sound_compress(&s->features, &level, m->mixed + at, image + at);

        for (uint32_t b = 0; b < w; b++) {
            float clean = sqrtf(m->clean[at + b]), mixed = sqrtf(m->mixed[at + b]);
            float in_phase = mixed > 0 ? fminf(fmaxf(m->common[at + b] / mixed, 0), clean) : 0;
            float t = powf(0.75f * clean + 0.25f * in_phase + 1e-15f, s->features.power) / divisor;

            target[at + b] = t = fminf(t, image[at + b]);
            weight[at + b] = 0.5f + fminf(t, 4);
        }
    }
}

ae_status aei_source_sound_sample(aei_source_sound *s, aei_mixer *m, aei_rng *rng, bool held,
                                  float *image, float *target, float *weight, ae_error *err)
{
    const ae_sound_features *f = &s->features;
    float kind = aei_rng_float(rng), snr = aei_rng_range(rng, f->snr_min, f->snr_max),
          clip = aei_rng_range(rng, 0, 8);
    float level = aei_rng_range(rng, f->level_min, f->level_max), unclean = aei_rng_float(rng),
          rounded = aei_rng_float(rng);
    bool clipped = aei_rng_float(rng) < f->clipped, silent = kind < f->silent;
    bool music = !silent && kind < f->silent + f->music;
    bool resampled = aei_rng_float(rng) < 0.5f;
    uint32_t bins = aei_spectrum_bins(m->spectrum);
    aei_path common = {0};
    double speech, noise, peak = 0;
    ae_status st;

    draw_limits(s, rng, &common);
    if (resampled && common.high > 0 && common.high < f->rate / 2)
        bins = (uint32_t)(common.high * f->window) + 1;
    if ((st = draw_clean(s, m, rng, held, &common, music, err)) != AE_OK ||
        (st = draw_noise(s, m, rng, held, &common, err)) != AE_OK)
        return st;
    speech = aei_mix_active_power(m->speech, s->samples, f->rate);
    noise = aei_mix_power(m->noise, s->samples);
    if (music)
        snr = 20 + fabsf(snr);
    if (silent || !(speech > 1e-12)) {
        memset(m->speech, 0, s->samples * sizeof(float));
        gain(m->noise, s->samples, noise > 0 ? 0.1 / sqrt(noise) : 0);
    } else {
        bool clean = unclean < s->recipe->clean || (music && unclean < 0.7f);

        gain(m->speech, s->samples, 0.1 / sqrt(speech));
        gain(m->noise, s->samples,
             clean || !(noise > 0) ? 0 : 0.1 / sqrt(noise) * pow(10, -snr / 20));
        add(m->noise, m->speech, s->samples, 1);
    }
    for (size_t i = 0; i < s->samples; i++)
        peak = fmax(peak, fabs(m->noise[i]));
    if (clipped && peak > 0) {
        float most = (float)(peak * pow(10, -clip / 20));

        for (size_t i = 0; i < s->samples; i++)
            m->noise[i] = fminf(fmaxf(m->noise[i], -most), most);
    }
    if (rounded < 0.25f) { /* to 16 bits at that level */
        float k = 32768 * powf(10, level / 20) * 10;

        for (size_t i = 0; i < s->samples; i++)
            m->noise[i] = rintf(k * m->noise[i]) / k;
    }
    make_features(s, m, bins, image, target, weight);
    return AE_OK;
}

size_t aei_mixer_sounds(const aei_source_sound *s, const aei_mixer *m, const float **mixture,
                        const float **clean)
{
    *mixture = m->noise;
    *clean = m->speech;
    return s->samples;
}
