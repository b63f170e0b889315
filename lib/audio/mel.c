/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Energies in mel bands (O'Shaughnessy's formula, 1987) under windows of three lengths, 2048 frames
 * the longest, of both recordings; the distance is the mean difference of their logarithms. Three
 * lengths, because a long window does not see that an onset is smeared, and a short one does not
 * see tones. */
#include "ae/mel.h"

#include <math.h>
#include <string.h>

#include <fftw3.h>

#include "core/planner.h"

enum { WINDOWS = 3, LONGEST = 2048, STEP = 128 /* frames between windows of the shortest */ };

typedef struct band {
    uint32_t from, to; /* bins */
    float weights[LONGEST / 2 + 1];
} band;

typedef struct window {
    uint32_t n, n_bands;
    float *shape;
    band *bands;
    fftwf_plan plan;
    double sum; /* of differences, in dB */
    double count;
} window;

struct ae_mel {
    uint32_t channels, n; /* n: of the frames of a step */
    uint64_t frames;      /* in whole steps */
    window windows[WINDOWS];
    float *past[2]; /* the last LONGEST frames of each channel, and room for a step */
    float *in;
    fftwf_complex *out;
};

static double mel_of(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

static double hertz_of(double mel)
{
    return 700 * (pow(10, mel / 2595) - 1);
}

/* Triangles, each from the centre of the band below to that of the band above. */
static void make_bands(window *w, double rate)
{
    double step = mel_of(rate / 2) / (w->n_bands + 1);

    for (uint32_t b = 0; b < w->n_bands; b++) {
        double low = hertz_of(step * b), middle = hertz_of(step * (b + 1)),
               high = hertz_of(step * (b + 2));
        band *t = &w->bands[b];

        for (uint32_t i = 0; i <= w->n / 2; i++) {
            double f = i * rate / w->n,
                   v = fmin((f - low) / (middle - low), (high - f) / (high - middle));

            t->weights[i] = (float)fmax(v, 0);
            if (v > 0) {
                t->from = t->to ? t->from : i;
                t->to = i + 1;
            }
        }
    }
}

static bool open_window(ae_mel *m, window *w, uint32_t n, double rate)
{
    w->n = n;
    w->n_bands = n * 5 / 128;
    w->shape = ae_alloc(n, sizeof(float));
    w->bands = ae_alloc(w->n_bands, sizeof(band));
    aei_planner_lock();
    w->plan = fftwf_plan_dft_r2c_1d((int)n, m->in, m->out, FFTW_ESTIMATE);
    aei_planner_unlock();
    if (!w->shape || !w->bands || !w->plan)
        return false;
    for (uint32_t i = 0; i < n; i++) /* the sum of squares is 1 */
        w->shape[i] = (float)(sqrt(8 / 3.0 / n) * (0.5 - 0.5 * cos(2 * M_PI * i / n)));
    make_bands(w, rate);
    return true;
}

ae_status ae_mel_create(double rate, uint32_t channels, ae_mel **out, ae_error *err)
{
    ae_mel *m = ae_alloc(1, sizeof(*m));
    bool good = m != NULL;

    if (m) {
        m->channels = channels;
        m->in = fftwf_alloc_real(LONGEST);
        m->out = fftwf_alloc_complex(LONGEST / 2 + 1);
        m->past[0] = ae_alloc((size_t)channels * LONGEST, sizeof(float));
        m->past[1] = ae_alloc((size_t)channels * LONGEST, sizeof(float));
        good = m->in && m->out && m->past[0] && m->past[1];
    }
    for (int k = 0; k < WINDOWS && good; k++)
        good = open_window(m, &m->windows[k], 512u << k, rate);
    if (!good) {
        ae_mel_free(m);
        return ae_fail(err, AE_ERR_NOMEM, "mel bands");
    }
    *out = m;
    return AE_OK;
}

void ae_mel_free(ae_mel *m)
{
    if (!m)
        return;
    aei_planner_lock();
    for (int k = 0; k < WINDOWS; k++)
        if (m->windows[k].plan)
            fftwf_destroy_plan(m->windows[k].plan);
    aei_planner_unlock();
    for (int k = 0; k < WINDOWS; k++) {
        ae_free(m->windows[k].shape);
        ae_free(m->windows[k].bands);
    }
    ae_free(m->past[0]);
    ae_free(m->past[1]);
    fftwf_free(m->in);
    fftwf_free(m->out);
    ae_free(m);
}

static void energies_of(ae_mel *m, const window *w, const float *past, double *energies)
{
    for (uint32_t i = 0; i < w->n; i++)
        m->in[i] = past[LONGEST - w->n + i] * w->shape[i];
    fftwf_execute_dft_r2c(w->plan, m->in, m->out);
    for (uint32_t b = 0; b < w->n_bands; b++) {
        const band *t = &w->bands[b];
        double sum = 0;

        for (uint32_t i = t->from; i < t->to; i++)
            sum += (double)t->weights[i] *
                   (m->out[i][0] * m->out[i][0] + m->out[i][1] * m->out[i][1]);
        energies[b] = 10 * log10(sum + 1e-10);
    }
}

static void take_step(ae_mel *m)
{
    double a[LONGEST * 5 / 128], b[LONGEST * 5 / 128];

    m->frames += STEP;
    for (int k = 0; k < WINDOWS; k++) {
        window *w = &m->windows[k];

        if (m->frames < w->n || (m->frames - w->n) % (w->n / 4))
            continue;
        for (uint32_t c = 0; c < m->channels; c++) {
            energies_of(m, w, m->past[0] + (size_t)c * LONGEST, a);
            energies_of(m, w, m->past[1] + (size_t)c * LONGEST, b);
            for (uint32_t i = 0; i < w->n_bands; i++)
                w->sum += fabs(a[i] - b[i]);
            w->count += w->n_bands;
        }
    }
}

void ae_mel_add(ae_mel *m, const float *a, const float *b, size_t n)
{
    for (size_t t = 0; t < n; t++) {
        for (uint32_t c = 0; c < m->channels; c++)
            for (int i = 0; i < 2; i++) {
                float *past = m->past[i] + (size_t)c * LONGEST;

                if (!m->n)
                    memmove(past, past + STEP, (LONGEST - STEP) * sizeof(*past));
                past[LONGEST - STEP + m->n] = (i ? b : a)[t * m->channels + c];
            }
        if (++m->n == STEP) {
            m->n = 0;
            take_step(m);
        }
    }
}

double ae_mel_value(const ae_mel *m)
{
    double sum = 0;

    for (int k = 0; k < WINDOWS; k++)
        sum += m->windows[k].sum / m->windows[k].count / WINDOWS;
    return sum; /* NAN where a window has seen nothing */
}
