/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A recording in blocks of frames of spectra: analysis, gains of the network, synthesis.
 *
 *   samples of a block and what overlaps from before   planar, (BLOCK - 1) hops and a window
 *   -> mean power of the channels in bands -> compressed magnitudes -> network -> gains of the
 *       bands
 *   -> the same spectra once more, each channel's, times the gains of the bins -> windows added up
 *
 * Spectra are computed twice rather than kept: they are three times as large as the samples, and
 * cost little beside the network. The network is causal along time; a live session carries what its
 * layers look back on from block to block, so that blocks of any height compute the same but for
 * rounding. */
#include "ae/sound.h"
#include "audio/hum.h"
#include "audio/spectrum.h"
#include "audio/steady.h"
#include "audio/tonal.h"

#include <math.h>
#include <string.h>

enum {
    BLOCK = 256,  /* frames of spectra at a time, in file mode */
    MOMENTS = 160 /* levels of moments from -140 dB on, one a dB */
};

/* Levels of the frames heard, for what the statistics say about noise. */
typedef struct moments {
    uint64_t count[MOMENTS], n;
} moments;

/* What is 26 dB down nobody hears beside speech, and the network's doubts do less harm there: of 30
 * pairs of VoiceBank-DEMAND STOI gains .004 and SI-SDR loses nothing. The level multiplies these
 * decibels, too. */
#define DEEPEST 0.05

struct ae_sound_denoiser {
    ae_sound_options options;
    ae_sound_features features;
    uint32_t channels, window, hop, bins, bands, block;
    double rate;
    aei_spectrum *spectrum;
    ae_session *session;
    uint32_t n_inputs, image;
    float *values, *place, *result; /* block x bands */
    aei_running_level level;
    aei_steady *steady;
    aei_tonal *tonal;
    float *least; /* block x bands: gains of tones */
    aei_hum *mains;
    float *hum;   /* block x bands: power */
    float *noise; /* mean power of the profile in each band, or NULL */

    size_t span;             /* samples of each channel that a block needs */
    float *in, *out;         /* channels x span */
    uint32_t have;           /* of the block's new samples */
    float *queue;            /* interleaved */
    size_t queued, queue_at; /* frames */
    float *bins_of, *power, *gains, *bin_gains, *bands_of;

    /* frames in, computed, out; computed ones from before the recording, to be dropped */
    uint64_t taken, made, given, skip;
    double energy_in, energy_out;
    uint64_t bad, first_bad;
    moments before, after;
};

void ae_sound_denoiser_free(ae_sound_denoiser *d)
{
    if (!d)
        return;
    ae_session_free(d->session);
    aei_spectrum_free(d->spectrum);
    aei_steady_free(d->steady);
    aei_tonal_free(d->tonal);
    ae_free(d->least);
    aei_hum_free(d->mains);
    ae_free(d->hum);
    ae_free(d->values);
    ae_free(d->place);
    ae_free(d->result);
    ae_free(d->noise);
    ae_free(d->in);
    ae_free(d->out);
    ae_free(d->queue);
    ae_free(d->bins_of);
    ae_free(d->power);
    ae_free(d->gains);
    ae_free(d->bin_gains);
    ae_free(d->bands_of);
    ae_free(d);
}

/* ---- levels ---- */

static void add_moment(moments *m, double mean_square)
{
    double db = 10 * log10(mean_square + 1e-14) + 140;

    m->count[db < 0 ? 0 : db >= MOMENTS ? MOMENTS - 1 : (uint32_t)db]++;
    m->n++;
}

/* The level below which this share of the moments lies. */
static double quantile(const moments *m, double share)
{
    double wanted = share * (double)m->n, below = 0;

    for (uint32_t i = 0; i < MOMENTS; i++) {
        double n = (double)m->count[i];

        if (n > 0 && below + n >= wanted)
            return i + (wanted - below) / n - 140;
        below += n;
    }
    return -140;
}

static double decibels(double energy, double n)
{
    return n > 0 ? fmax(10 * log10(energy / n + 1e-14), -140) : -140;
}

void ae_sound_stats_get(const ae_sound_denoiser *d, ae_sound_stats *s)
{
    double n = (double)d->taken * d->channels;

    *s = (ae_sound_stats){
        .seconds = (double)d->taken / d->rate,
        .level_in_db = decibels(d->energy_in, n),
        .level_out_db = decibels(d->energy_out, n),
        .noise_db = quantile(&d->before, 0.1),
        .snr_before_db = quantile(&d->before, 0.95) - quantile(&d->before, 0.1),
        .snr_after_db = quantile(&d->after, 0.95) - quantile(&d->after, 0.1),
        .bad_samples = d->bad,
        .first_bad = d->first_bad,
    };
}

/* ---- a block ---- */

static void channel_power(ae_sound_denoiser *d, const float *samples, float weight, bool fresh)
{
    aei_spectrum_forward(d->spectrum, samples, d->bins_of);
    for (uint32_t k = 0; k < d->bins; k++) {
        float re = d->bins_of[2 * k], im = d->bins_of[2 * k + 1], p = weight * (re * re + im * im);

        d->power[k] = fresh ? p : d->power[k] + p;
    }
}

/* Mean power over the channels, in bands, of a frame that begins at `at` of planes of `span`
 * samples; hum: hears it, or NULL. */
static void band_power(ae_sound_denoiser *d, const float *planes, size_t span, size_t at,
                       float *bands, aei_hum *hum)
{
    for (uint32_t c = 0; c < d->channels; c++) {
        channel_power(d, planes + c * span + at, 1.0f / (float)d->channels, !c);
        if (hum)
            aei_hum_hear(hum, c, d->bins_of);
    }
    aei_spectrum_to_bands(d->spectrum, d->power, bands);
}

static ae_status run_network(ae_sound_denoiser *d, ae_error *err)
{
    const float *inputs[AE_MAX_FROM] = {0};
    float *outputs[AE_MAX_FROM] = {d->result};

    for (uint32_t i = 0; i < d->n_inputs; i++)
        inputs[i] = i == d->image ? d->values : d->place;
    return ae_session_run(d->session, inputs, outputs, err);
}

/* The network's gain, and what the options make of it. */
static float network_gain(const ae_sound_denoiser *d, float out, float in)
{
    double g = in > 1e-9f ? fmin(fmax(out / in, 0), 1) : 0;

    return (float)fmax(pow(g, 1 / d->features.power), DEEPEST);
}

static float final_gain(const ae_sound_denoiser *d, double g, float power, float noise)
{
    double floor_gain = 0;

    g = pow(g, d->options.level);
    if (d->noise)
        g = fmin(g, sqrt(fmax(0, 1 - d->options.level * noise / (power + 1e-30))));
    if (d->options.max_attenuation > 0)
        floor_gain = pow(10, -d->options.max_attenuation / 20);
    g = fmax(g, floor_gain);
    return (float)(1 - d->options.strength * (1 - g));
}

/* What subtraction of twice the hum leaves: the power of harmonics that share a bin goes up and
 * down. */
static float without_hum(float gain, float power, float hum)
{
    float rest = hum > 0 ? 1 - 2 * hum / (power + 1e-30f) : 1;

    return rest < 1 ? fminf(gain, fmaxf(sqrtf(fmaxf(rest, 0)), DEEPEST)) : gain;
}

static ae_status find_gains(ae_sound_denoiser *d, ae_error *err)
{
    uint32_t w = d->bands;
    ae_status st;

    for (uint32_t i = 0; i < d->block; i++) {
        float *bands = d->bands_of + (size_t)i * w;

        band_power(d, d->in, d->span, (size_t)i * d->hop, bands, d->mains);
        aei_hum_find(d->mains, d->spectrum, d->power, d->hum + (size_t)i * w);
        aei_tonal_find(d->tonal, d->spectrum, d->power, d->in + (size_t)i * d->hop, d->channels,
                       d->span, d->least + (size_t)i * w);
        aei_sound_compress(&d->features, &d->level, bands, d->values + (size_t)i * w);
    }
    if ((st = run_network(d, err)) != AE_OK)
        return st;
    for (uint32_t i = 0; i < d->block; i++) {
        const float *power = d->bands_of + (size_t)i * w, *out = d->result + (size_t)i * w,
                    *in = d->values + (size_t)i * w, *least = d->least + (size_t)i * w,
                    *hum = d->hum + (size_t)i * w;
        float *gains = d->gains + (size_t)i * w;

        for (uint32_t b = 0; b < w; b++)
            gains[b] = network_gain(d, out[b], in[b]);
        if (!d->options.keep_steady)
            aei_steady_bound(d->steady, power, gains);
        for (uint32_t b = 0; b < w; b++) {
            float g = fmaxf(gains[b], least[b]);

            if (!d->options.keep_steady)
                g = without_hum(g, power[b], hum[b]);
            gains[b] = final_gain(d, g, power[b], d->noise ? d->noise[b] : 0);
        }
    }
    return AE_OK;
}

/* The samples that a block completes go into the queue. */
static ae_status run_block(ae_sound_denoiser *d, ae_error *err)
{
    size_t n = (size_t)d->block * d->hop, keep = d->span - n, drop;
    ae_status st;

    if (d->options.control.cancel && d->options.control.cancel->requested)
        return ae_fail(err, AE_ERR_CANCELLED, "sound: stopped");
    if ((st = find_gains(d, err)) != AE_OK)
        return st;
    for (uint32_t i = 0; i < d->block; i++) {
        aei_spectrum_to_bins(d->spectrum, d->gains + (size_t)i * d->bands, d->bin_gains);
        for (uint32_t c = 0; c < d->channels; c++) {
            size_t at = c * d->span + (size_t)i * d->hop;

            aei_spectrum_forward(d->spectrum, d->in + at, d->bins_of);
            for (uint32_t k = 0; k < d->bins; k++) {
                d->bins_of[2 * k] *= d->bin_gains[k];
                d->bins_of[2 * k + 1] *= d->bin_gains[k];
            }
            aei_spectrum_add_inverse(d->spectrum, d->bins_of, d->out + at);
        }
    }
    drop = d->skip < n ? (size_t)d->skip : n;
    for (size_t i = drop; i < n; i++)
        for (uint32_t c = 0; c < d->channels; c++)
            d->queue[(d->queued + i - drop) * d->channels + c] = d->out[c * d->span + i];
    d->skip -= drop;
    d->queued += n - drop;
    d->made += n - drop;
    for (uint32_t c = 0; c < d->channels; c++) {
        float *in = d->in + c * d->span, *out = d->out + c * d->span;

        memmove(in, in + n, keep * sizeof(*in));
        memmove(out, out + n, keep * sizeof(*out));
        memset(out + keep, 0, n * sizeof(*out));
    }
    d->have = 0;
    return AE_OK;
}

/* ---- streaming ---- */

/* Of interleaved frames, by hops, for the statistics. */
static void hear(ae_sound_denoiser *d, moments *m, double *energy, const float *frames, size_t n)
{
    for (size_t at = 0; at < n; at += d->hop) {
        size_t count = (n - at < d->hop ? n - at : d->hop) * d->channels;
        double sum = 0;

        for (size_t i = 0; i < count; i++) {
            double v = frames[at * d->channels + i];

            sum += v * v;
        }
        *energy += sum;
        add_moment(m, sum / (double)count);
    }
}

static void give(ae_sound_denoiser *d, float *out, size_t most, size_t *written)
{
    size_t n = d->queued < most ? d->queued : most;

    memcpy(out + *written * d->channels, d->queue, n * d->channels * sizeof(*out));
    memmove(d->queue, d->queue + n * d->channels, (d->queued - n) * d->channels * sizeof(*out));
    hear(d, &d->after, &d->energy_out, out + *written * d->channels, n);
    d->queued -= n;
    d->given += n;
    *written += n;
}

size_t ae_sound_room(const ae_sound_denoiser *d, size_t frames)
{
    return d->options.live ? frames : frames + d->queued + (size_t)d->block * d->hop;
}

/* Up to `frames` frames (NULL: silence) into the block. */
static void take(ae_sound_denoiser *d, const float *in, size_t frames)
{
    size_t at = d->span - (size_t)d->block * d->hop + d->have;

    for (uint32_t c = 0; c < d->channels; c++)
        for (size_t i = 0; i < frames; i++) {
            float v = in ? in[i * d->channels + c] : 0;

            d->in[c * d->span + at + i] = isfinite(v) ? v : 0;
        }
    d->have += (uint32_t)frames;
}

static void count_input(ae_sound_denoiser *d, const float *in, size_t frames)
{
    bool clean = true;

    for (size_t i = 0; i < frames * d->channels; i++)
        if (!isfinite(in[i])) {
            if (!d->bad++)
                d->first_bad = d->taken + i / d->channels;
            clean = false;
        }
    if (clean)
        hear(d, &d->before, &d->energy_in, in, frames);
    d->taken += frames;
}

ae_status ae_sound_process(ae_sound_denoiser *d, const float *in, size_t frames, float *out,
                           size_t capacity, size_t *written, ae_error *err)
{
    size_t block = (size_t)d->block * d->hop;

    *written = 0;
    if (capacity < ae_sound_room(d, frames))
        return ae_fail(err, AE_ERR_ARGUMENT, "room for %zu frames of sound, expected %zu", capacity,
                       ae_sound_room(d, frames));
    while (frames) {
        size_t n = block - d->have < frames ? block - d->have : frames;
        ae_status st;

        count_input(d, in, n);
        take(d, in, n);
        in += n * d->channels;
        frames -= n;
        if (d->options.live) {
            if (d->have == block && (st = run_block(d, err)) != AE_OK)
                return st;
            give(d, out, n, written);
        } else if (d->have == block) {
            if ((st = run_block(d, err)) != AE_OK)
                return st;
            give(d, out, SIZE_MAX, written);
        }
    }
    return AE_OK;
}

ae_status ae_sound_finish(ae_sound_denoiser *d, float *out, size_t capacity, size_t *written,
                          ae_error *err)
{
    uint64_t total = d->taken + ae_sound_latency(d);

    *written = 0;
    while (*written < capacity && d->given < total) {
        size_t left = (size_t)(total - d->given), room = capacity - *written;

        if (!d->queued) {
            ae_status st;

            take(d, NULL, (size_t)d->block * d->hop - d->have);
            if ((st = run_block(d, err)) != AE_OK)
                return st;
        }
        give(d, out, left < room ? left : room, written);
    }
    return AE_OK;
}

size_t ae_sound_latency(const ae_sound_denoiser *d)
{
    return d->options.live ? d->window : 0;
}

/* ---- making ---- */

static ae_status read_profile(ae_sound_denoiser *d, ae_error *err)
{
    const ae_sound_options *o = &d->options;
    float *planes;
    size_t n = 0;

    if (!o->profile)
        return AE_OK;
    if (o->profile_frames < d->window)
        return ae_fail(err, AE_ERR_ARGUMENT, "a noise profile of %zu frames, expected at least %u",
                       o->profile_frames, d->window);
    d->noise = ae_alloc(d->bands, sizeof(float));
    planes = ae_alloc(d->window, d->channels * sizeof(float));
    if (!d->noise || !planes) {
        ae_free(planes);
        return ae_fail(err, AE_ERR_NOMEM, "noise profile");
    }
    for (size_t at = 0; at + d->window <= o->profile_frames; at += d->hop, n++) {
        for (uint32_t c = 0; c < d->channels; c++)
            for (uint32_t i = 0; i < d->window; i++) {
                float v = o->profile[(at + i) * d->channels + c];

                planes[c * d->window + i] = isfinite(v) ? v : 0;
            }
        band_power(d, planes, d->window, 0, d->bands_of, NULL);
        for (uint32_t b = 0; b < d->bands; b++)
            d->noise[b] += d->bands_of[b];
    }
    for (uint32_t b = 0; b < d->bands; b++)
        d->noise[b] /= (float)n;
    ae_free(planes);
    d->options.profile = NULL; /* the caller may free it */
    return AE_OK;
}

static ae_status plan_network(ae_sound_denoiser *d, const ae_model *model, ae_error *err)
{
    const ae_graph *g = ae_model_graph(model);
    /* f32: what is left of noise lies far below what is taken away, and live and file mode agree.
     */
    ae_session_options o = {
        .n = 1, .h = d->block, .w = d->bands, .precision = AE_PRECISION_F32, .live = true};
    ae_status st = ae_session_open(model, &o, &d->session, err);

    if (st != AE_OK)
        return st;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i].op != AE_OP_INPUT)
            continue;
        if (!strcmp(g->nodes[i].name, AE_INPUT_IMAGE))
            d->image = d->n_inputs;
        d->n_inputs++;
    }
    d->values = ae_alloc(d->block, d->bands * sizeof(float));
    d->result = ae_alloc(d->block, d->bands * sizeof(float));
    d->place = ae_alloc(d->block, d->bands * sizeof(float));
    if (!d->values || !d->result || !d->place)
        return ae_fail(err, AE_ERR_NOMEM, "%u rows of %u bands", d->block, d->bands);
    for (uint32_t i = 0; i < d->block; i++)
        aei_sound_place(d->bands, d->place + (size_t)i * d->bands);
    return AE_OK;
}

static ae_status check(const ae_model *model, double rate, uint32_t channels,
                       const ae_sound_options *o, ae_error *err)
{
    if (!ae_model_recipe(model)->sound.bands)
        return ae_fail(err, AE_ERR_MISMATCH, "model %s is not of sound",
                       ae_model_recipe(model)->name);
    if (!(rate >= AE_SOUND_MIN_RATE && rate <= AE_SOUND_MAX_RATE))
        return ae_fail(err, AE_ERR_ARGUMENT, "a rate of %g frames a second, expected %g to %g",
                       rate, AE_SOUND_MIN_RATE, AE_SOUND_MAX_RATE);
    if (!channels || channels > AE_SOUND_MAX_CHANNELS)
        return ae_fail(err, AE_ERR_ARGUMENT, "%u channels, expected 1 to %d", channels,
                       AE_SOUND_MAX_CHANNELS);
    if (!(o->strength >= 0 && o->strength <= 1) || !(o->max_attenuation >= 0) ||
        !(o->level > 0 && o->level <= 16))
        return ae_fail(
            err, AE_ERR_ARGUMENT,
            "strength %g, attenuation %g dB, level %g: expected 0 to 1, 0 or more, above 0 to 16",
            o->strength, o->max_attenuation, o->level);
    return AE_OK;
}

ae_status ae_sound_denoiser_new(const ae_model *model, double rate, uint32_t channels,
                                const ae_sound_options *options, ae_sound_denoiser **out,
                                ae_error *err)
{
    ae_sound_options o = options ? *options : (ae_sound_options){.strength = 1, .level = 1};
    ae_sound_denoiser *d = NULL;
    ae_status st = check(model, rate, channels, &o, err);

    *out = NULL;
    if (st != AE_OK)
        return st;
    d = ae_alloc(1, sizeof(*d));
    if (!d)
        return ae_fail(err, AE_ERR_NOMEM, "sound denoiser");
    d->options = o;
    d->features = ae_model_recipe(model)->sound;
    d->channels = channels;
    d->rate = rate;
    d->bands = d->features.bands;
    d->block = o.live ? 1 : BLOCK;
    if ((st = aei_spectrum_create(&d->features, rate, &d->spectrum, err)) != AE_OK ||
        (st = aei_steady_create(d->spectrum, d->bands, d->features.hop, DEEPEST, &d->steady,
                                err)) != AE_OK ||
        (st = aei_tonal_create(&d->features, rate, &d->tonal, err)) != AE_OK ||
        (st = aei_hum_create(&d->features, rate, channels, &d->mains, err)) != AE_OK ||
        (st = plan_network(d, model, err)) != AE_OK)
        goto done;
    d->window = aei_spectrum_window(d->spectrum);
    d->hop = aei_spectrum_hop(d->spectrum);
    d->bins = aei_spectrum_bins(d->spectrum);
    d->skip = d->window - d->hop;
    d->span = d->skip + (size_t)d->block * d->hop;
    d->in = ae_alloc(d->span, channels * sizeof(float));
    d->out = ae_alloc(d->span, channels * sizeof(float));
    d->queue = ae_alloc((size_t)d->block * d->hop + 2 * d->window, channels * sizeof(float));
    d->bins_of = ae_alloc(d->bins, 2 * sizeof(float));
    d->power = ae_alloc(d->bins, sizeof(float));
    d->bin_gains = ae_alloc(d->bins, sizeof(float));
    d->gains = ae_alloc(d->block, d->bands * sizeof(float));
    d->least = ae_alloc(d->block, d->bands * sizeof(float));
    d->hum = ae_alloc(d->block, d->bands * sizeof(float));
    d->bands_of = ae_alloc(d->block, d->bands * sizeof(float));
    if (!d->in || !d->out || !d->queue || !d->bins_of || !d->power || !d->bin_gains || !d->gains ||
        !d->least || !d->hum || !d->bands_of) {
        st = ae_fail(err, AE_ERR_NOMEM, "sound denoiser of %u channels", channels);
        goto done;
    }
    if (o.live)
        d->queued = d->window;
    st = read_profile(d, err);
    if (st != AE_OK)
        goto done;
    *out = d;
    d = NULL;
done:
    ae_sound_denoiser_free(d);
    return st;
}
