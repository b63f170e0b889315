/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds that no recording holds: the response of a room as decaying noise behind a direct path,
 * filters with drawn curves, noises from hiss and hum to clicks, and plain music. All of it is
 * drawn from one generator and applied by fast Fourier transforms of the whole sound. */
#include "train/mix.h"
#include "core/clones.h"
#include "core/fastmath.h"

#include <fftw3.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "core/planner.h"

struct aei_mix {
    float rate;
    size_t n, size; /* samples, of the transform */
    float *samples, *other, *curve;
    fftwf_complex *spectrum, *response;
    fftwf_plan forward, inverse;
};

void aei_mix_free(aei_mix *m)
{
    if (!m)
        return;
    aei_planner_lock();
    if (m->forward)
        fftwf_destroy_plan(m->forward);
    if (m->inverse)
        fftwf_destroy_plan(m->inverse);
    aei_planner_unlock();
    ae_free(m->samples);
    ae_free(m->other);
    ae_free(m->curve);
    ae_free(m->spectrum);
    ae_free(m->response);
    ae_free(m);
}

/* The next length without prime factors above 5. */
static size_t fast_size(size_t n)
{
    for (;; n++) {
        size_t rest = n;

        for (size_t p = 2; p <= 5; p++)
            while (rest % p == 0)
                rest /= p;
        if (rest == 1 && n % 2 == 0)
            return n;
    }
}

ae_status aei_mix_create(float rate, size_t n, aei_mix **out, ae_error *err)
{
    aei_mix *m = ae_alloc(1, sizeof(*m));
    ae_status st = AE_OK;

    *out = NULL;
    if (!m)
        return ae_fail(err, AE_ERR_NOMEM, "mixing of sound");
    m->rate = rate;
    m->n = n;
    m->size = fast_size(n + (size_t)rate);
    m->samples = ae_alloc(m->size, sizeof(float));
    m->other = ae_alloc(m->size, sizeof(float));
    m->curve = ae_alloc(m->size / 2 + 1, sizeof(float));
    m->spectrum = ae_alloc(m->size / 2 + 1, sizeof(fftwf_complex));
    m->response = ae_alloc(m->size / 2 + 1, sizeof(fftwf_complex));
    if (!m->samples || !m->other || !m->curve || !m->spectrum || !m->response) {
        st = ae_fail(err, AE_ERR_NOMEM, "mixing of %zu samples", n);
        goto done;
    }
    aei_planner_lock();
    m->forward = fftwf_plan_dft_r2c_1d((int)m->size, m->samples, m->spectrum, FFTW_ESTIMATE);
    m->inverse = fftwf_plan_dft_c2r_1d((int)m->size, m->spectrum, m->samples, FFTW_ESTIMATE);
    aei_planner_unlock();
    if (!m->forward || !m->inverse) {
        st = ae_fail(err, AE_ERR_NOMEM, "transforms of %zu samples", m->size);
        goto done;
    }
    *out = m;
    m = NULL;
done:
    aei_mix_free(m);
    return st;
}

size_t aei_mix_room(const aei_mix *m)
{
    return m->size - m->n;
}

void aei_path_draw(aei_rng *rng, float decibels, aei_path *path)
{
    float slope = aei_rng_range(rng, -0.5f, 0.5f) * decibels;

    for (int i = 0; i < 10; i++)
        path->gain[i] = slope * (float)(i - 5) / 5 + 0.5f * decibels * aei_rng_range(rng, -1, 1);
}

/* A path's gain at each bin. */
static void make_curve(aei_mix *m, const aei_path *path)
{
    double per_bin = m->rate / (double)m->size;
    size_t half = m->size / 2;

    for (size_t k = 0; k <= half; k++) {
        /* octaves above 40 Hz */
        float f = (float)(k * per_bin), at = f > 40 ? aei_log(f / 40) * 1.44269504f : 0, db, g;
        int i = (int)at < 8 ? (int)at : 8;

        at = at - (float)i < 1 ? at - (float)i : 1;
        db = path->gain[i] + at * (path->gain[i + 1] - path->gain[i]);
        g = aei_exp2(db * 0.166096405f);
        if (path->high > 0)
            g *= fminf(fmaxf((path->high - f) / (0.03f * path->high), 0), 1);
        if (path->low > 0)
            g *= fminf(f / path->low, 1) * fminf(f / path->low, 1);
        m->curve[k] = g;
    }
}

AEI_CLONES static void multiply(size_t n, float *restrict a, const float *restrict b)
{
    for (size_t k = 0; k < n; k++) {
        float re = a[2 * k] * b[2 * k] - a[2 * k + 1] * b[2 * k + 1],
              im = a[2 * k] * b[2 * k + 1] + a[2 * k + 1] * b[2 * k];

        a[2 * k] = re;
        a[2 * k + 1] = im;
    }
}

AEI_CLONES static void scale(size_t n, float *restrict a, const float *restrict gain, float k)
{
    for (size_t i = 0; i < n; i++) {
        a[2 * i] *= k * gain[i];
        a[2 * i + 1] *= k * gain[i];
    }
}

void aei_mix_pass(aei_mix *m, const aei_path *path, float *samples)
{
    size_t bins = m->size / 2 + 1;

    memcpy(m->samples, samples, m->n * sizeof(float));
    memset(m->samples + m->n, 0, (m->size - m->n) * sizeof(float));
    fftwf_execute(m->forward);
    if (path->room) {
        size_t n = path->n_room < m->size - m->n ? path->n_room : m->size - m->n;

        memcpy(m->other, path->room, n * sizeof(float));
        memset(m->other + n, 0, (m->size - n) * sizeof(float));
        fftwf_execute_dft_r2c(m->forward, m->other, m->response);
        multiply(bins, (float *)m->spectrum, (const float *)m->response);
    }
    make_curve(m, path);
    scale(bins, (float *)m->spectrum, m->curve, 1 / (float)m->size);
    fftwf_execute(m->inverse);
    memcpy(samples, m->samples, m->n * sizeof(float));
}

size_t aei_mix_room_draw(aei_rng *rng, float rate, float *room, size_t most)
{
    float seconds = aei_rng_range(rng, 0.1f, 0.7f), early = aei_rng_range(rng, 0.001f, 0.02f);
    float ratio = powf(10, aei_rng_range(rng, -14, 2) / 20), keep = expf(-6.9f / (seconds * rate)),
          level = 1;
    size_t n = (size_t)(0.8f * seconds * rate), first = (size_t)(early * rate);
    double energy = 0;

    n = n < most ? n : most;
    first = first < n ? first : n;
    aei_rng_normals(rng, room, n);
    memset(room, 0, first * sizeof(float));
    for (size_t i = first; i < n; i++, level *= keep) {
        room[i] *= level;
        energy += room[i] * room[i];
    }
    for (size_t i = first; energy > 0 && i < n; i++)
        room[i] *= ratio / (float)sqrt(energy);
    room[0] = 1;
    return n;
}

double aei_mix_power(const float *samples, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)samples[i] * samples[i];
    return n ? sum / (double)n : 0;
}

double aei_mix_active_power(const float *samples, size_t n, float rate)
{
    size_t step = (size_t)(0.02f * rate), active = 0;
    double loudest = 0, sum = 0;

    for (size_t at = 0; at + step <= n; at += step)
        loudest = fmax(loudest, aei_mix_power(samples + at, step));
    for (size_t at = 0; at + step <= n; at += step) {
        double p = aei_mix_power(samples + at, step);

        if (p > 1e-3 * loudest) {
            sum += p;
            active++;
        }
    }
    return active ? sum / (double)active : 0;
}

/* Swells and ebbs a few times a second or more slowly. */
static void swell(const aei_mix *m, aei_rng *rng, float *samples)
{
    float depth = aei_rng_range(rng, 0.2f, 0.9f), at = aei_rng_range(rng, 0, 6.28f),
          f = 0.2f * powf(60, aei_rng_float(rng));
    float wander = aei_rng_range(rng, 0.3f, 1), step = 6.2831853f * f / m->rate, drift = 1;

    for (size_t i = 0; i < m->n; i++) {
        if (i % 4800 == 0)
            drift = 1 + wander * (aei_rng_float(rng) - 0.5f);
        at += step * drift;
        samples[i] *= 1 + depth * sinf(at);
    }
}

static void add_hum(const aei_mix *m, aei_rng *rng, float *samples, float amplitude)
{
    float f = aei_rng_float(rng) < 0.5f
                  ? (aei_rng_float(rng) < 0.5f ? 50 : 60) * aei_rng_range(rng, 0.998f, 1.002f)
                  : 60 * powf(16, aei_rng_float(rng));
    float fall = aei_rng_range(rng, 0.3f, 1.6f);
    uint32_t harmonics = 1 + aei_rng_below(rng, 24);

    for (uint32_t k = 1; k <= harmonics && k * f < 0.45f * m->rate; k++) {
        double step = 2 * M_PI * k * f / m->rate, phase = 2 * M_PI * aei_rng_float(rng),
               c = cos(step), s = sin(step);
        double re = cos(phase), im = sin(phase), a = amplitude * pow(k, -fall) * aei_rng_float(rng);

        /* a phasor that turns: rounding grows too slowly to matter over seconds */
        for (size_t i = 0; i < m->n; i++) {
            double t = re * c - im * s;

            im = re * s + im * c;
            re = t;
            samples[i] += (float)(a * re);
        }
    }
}

/* Clicks, keys, knocks: bursts of noise that die away within 1 to 60 ms. */
static void add_bursts(const aei_mix *m, aei_rng *rng, float *samples, float amplitude)
{
    uint32_t n = 1 + aei_rng_below(rng, 24);

    for (uint32_t k = 0; k < n; k++) {
        size_t at = aei_rng_below(rng, (uint32_t)m->n),
               length = (size_t)(m->rate * 0.001f * powf(60, aei_rng_float(rng)));
        float a = amplitude * aei_rng_range(rng, 0.2f, 1), keep = expf(-5 / (float)length);

        for (size_t i = at; i < at + length && i < m->n; i++, a *= keep)
            samples[i] += a * 2 * (aei_rng_float(rng) - 0.5f);
    }
}

void aei_mix_noise(aei_mix *m, aei_rng *rng, float *samples)
{
    aei_path path = {0};
    /* dB an octave: brown -6, pink -3, white 0 */
    float slope = aei_rng_range(rng, -7, 2), kind = aei_rng_float(rng);

    aei_rng_normals(rng, samples, m->n);
    aei_path_draw(rng, aei_rng_float(rng) < 0.5f ? 0 : 8, &path);
    for (int i = 0; i < 10; i++)
        path.gain[i] += slope * (float)(i - 5);
    if (kind < 0.25f)
        add_bursts(m, rng, samples, 20 * powf(10, aei_rng_float(rng)));
    aei_mix_pass(m, &path, samples);
    if (aei_rng_float(rng) < 0.3f)
        swell(m, rng, samples);
    if (kind > 0.6f)
        add_hum(m, rng, samples,
                3 * (float)sqrt(aei_mix_power(samples, m->n)) * aei_rng_float(rng));
}

/* ---- music ---- */

/* How all notes of a voice sound. */
typedef struct instrument {
    float fall, odd, attack, decay, hold, vibrato, rate;
    uint32_t partials;
} instrument;

static instrument draw_instrument(aei_rng *rng)
{
    instrument v;

    v.fall = aei_rng_range(rng, 0.4f, 2.2f);
    v.odd = aei_rng_float(rng) < 0.2f ? 0.1f : 1; /* of even partials: reeds have few */
    v.attack = 0.002f * powf(40, aei_rng_float(rng));
    v.decay = 0.1f * powf(30, aei_rng_float(rng));
    v.hold = aei_rng_float(rng) < 0.5f ? 0 : aei_rng_range(rng, 0.3f, 1); /* plucked or blown */
    v.vibrato = aei_rng_float(rng) < 0.4f ? aei_rng_range(rng, 0.001f, 0.01f) : 0;
    v.rate = aei_rng_range(rng, 4, 7);
    v.partials = 2 + aei_rng_below(rng, 18);
    return v;
}

/* A note of frequency f from sample `at` on, for `n` samples. */
static void add_note(const aei_mix *m, aei_rng *rng, const instrument *v, float f, float amplitude,
                     size_t at, size_t n, float *to)
{
    size_t last = at + n < m->n ? at + n : m->n;
    float stretch = aei_rng_range(rng, 0, 2e-4f);

    for (uint32_t k = 1; k <= v->partials && f * (float)k < 0.45f * m->rate; k++) {
        double w = 2 * M_PI * f * k * sqrt(1 + stretch * k * k) / m->rate,
               phase = 2 * M_PI * aei_rng_float(rng);
        float a = amplitude * powf((float)k, -v->fall) * (k % 2 ? 1 : v->odd) *
                  aei_rng_range(rng, 0.4f, 1);
        float envelope = 0, rise = 1 / (v->attack * m->rate),
              sink = expf(-1 / (v->decay * m->rate / sqrtf((float)k)));
        float level = 1, re = (float)cos(phase), im = (float)sin(phase), c = 1, s = 0;

        for (size_t i = at; i < last; i++) {
            float t = re;

            if ((i - at) % 64 == 0) { /* a phasor whose speed follows the vibrato */
                double now = w * (1 + v->vibrato *
                                          sin(2 * M_PI * v->rate * (double)(i - at) / m->rate));

                c = (float)cos(now);
                s = (float)sin(now);
            }
            re = re * c - im * s;
            im = im * c + t * s;
            envelope = fminf(envelope + rise, 1);
            level = v->hold + (level - v->hold) * sink;
            to[i] += a * envelope * level * im * fminf((float)(last - i) * rise, 1);
        }
    }
}

static void add_drum(const aei_mix *m, aei_rng *rng, float amplitude, size_t at, float *to)
{
    bool low = aei_rng_float(rng) < 0.5f;
    float seconds = aei_rng_range(rng, 0.03f, 0.2f), keep = expf(-1 / (seconds * m->rate)),
          f = aei_rng_range(rng, 50, 110);
    size_t last = at + (size_t)(4 * seconds * m->rate);
    double phase = 0;

    for (size_t i = at; i < last && i < m->n; i++, amplitude *= keep) {
        phase += 2 * M_PI * f * (1 + 2 * (double)amplitude) / m->rate;
        to[i] += amplitude * (low ? (float)sin(phase) : aei_rng_float(rng) - 0.5f);
    }
}

void aei_mix_music(aei_mix *m, aei_rng *rng, float *samples)
{
    static const uint8_t scale_steps[7] = {0, 2, 4, 5, 7, 9, 11};
    uint32_t voices = 1 + aei_rng_below(rng, 3), mode = aei_rng_below(rng, 7);
    float base = 55 * powf(2, aei_rng_float(rng)), beat = m->rate * aei_rng_range(rng, 0.15f, 0.6f);
    bool drums = aei_rng_float(rng) < 0.3f;

    memset(samples, 0, m->n * sizeof(*samples));
    for (uint32_t v = 0; v < voices; v++) {
        instrument sound = draw_instrument(rng);
        uint32_t octave = aei_rng_below(rng, 4), chord = aei_rng_float(rng) < 0.4f ? 3 : 1;
        float amplitude = aei_rng_range(rng, 0.2f, 1) / (float)chord,
              at = -beat * aei_rng_float(rng);

        while (at < (float)m->n) {
            float beats = 0.5f * (float)(1 + aei_rng_below(rng, 6));
            uint32_t step = aei_rng_below(rng, 10);
            size_t first = at > 0 ? (size_t)at : 0, end = (size_t)(at + beats * beat * 1.05f);

            for (uint32_t c = 0; c < chord && aei_rng_float(rng) > 0.1f && end > first; c++) {
                uint32_t s = mode + step + 2 * c;
                float semitones = 12 * (float)(octave + s / 7) + scale_steps[s % 7];

                add_note(m, rng, &sound, base * powf(2, semitones / 12), amplitude, first,
                         end - first, samples);
            }
            at += beats * beat;
        }
    }
    for (float at = beat * aei_rng_float(rng); drums && at < (float)m->n;
         at += beat * (aei_rng_float(rng) < 0.5f ? 0.5f : 1))
        add_drum(m, rng, aei_rng_range(rng, 0.2f, 1), (size_t)at, samples);
}
