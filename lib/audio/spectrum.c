/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Short-time Fourier analysis and synthesis with roots of Hann windows, weighed so that what is not
 * changed comes out as it went in, and the bands of a recipe as sums over bins with overlapping
 * triangles. */
#include "audio/spectrum.h"
#include "core/planner.h"
#include "core/clones.h"
#include "core/fastmath.h"

#include <fftw3.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

/* Compressed magnitudes this far below full scale are as good as silence: below the least dither of
 * 16 bits. */
#define SILENCE 1e-7

struct aei_spectrum {
    uint32_t n, hop, bins, bands;
    float *analysis, *synthesis; /* windows */
    float *frame;                /* n */
    uint32_t *band;              /* of each bin: it lies between this and the next */
    float *share;                /* of the next one */
    float *norm;                 /* of each band: 1 / sum of its shares, 0 where empty */
    fftwf_plan forward, inverse;
};

void aei_spectrum_free(aei_spectrum *s)
{
    if (!s)
        return;
    aei_planner_lock();
    if (s->forward)
        fftwf_destroy_plan(s->forward);
    if (s->inverse)
        fftwf_destroy_plan(s->inverse);
    aei_planner_unlock();
    ae_free(s->analysis);
    ae_free(s->synthesis);
    ae_free(s->frame);
    ae_free(s->band);
    ae_free(s->share);
    ae_free(s->norm);
    ae_free(s);
}

/* Roots of Hann windows. Their squares, a hop apart, do not add up to one for every ratio of window
 * to hop: the synthesis makes up for it. */
static void make_windows(aei_spectrum *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        s->analysis[i] = (float)sin(M_PI * (i + 0.5) / s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        double sum = 0;

        for (uint32_t k = i % s->hop; k < s->n; k += s->hop)
            sum += (double)s->analysis[k] * s->analysis[k];
        s->synthesis[i] = (float)(s->analysis[i] / sum);
    }
}

/* The factor by which bands grow, so that the last one's centre is at `top` bins. */
static double growth(uint32_t linear, uint32_t bands, double top)
{
    double lo = 0.01, hi = 2;

    for (int i = 0; i < 100; i++) {
        double r = (lo + hi) / 2, at = linear - 1, width = 1;

        for (uint32_t b = linear; b < bands; b++)
            at += width *= r;
        *(at < top ? &lo : &hi) = r;
    }
    return (lo + hi) / 2;
}

static ae_status place_bands(aei_spectrum *s, const ae_sound_features *f, double rate,
                             ae_error *err)
{
    double top = f->rate / 2 * f->window, r = growth(f->linear, f->bands, top), width = 1,
           per_bin = rate / s->n * f->window;
    double *centre = ae_alloc(f->bands, sizeof(*centre));
    uint32_t b = 0;

    if (!centre)
        return ae_fail(err, AE_ERR_NOMEM, "%u bands", f->bands);
    for (uint32_t i = 0; i < f->bands; i++)
        centre[i] = i < f->linear ? i : centre[i - 1] + (width *= r);
    for (uint32_t k = 0; k < s->bins; k++) {
        double at = k * per_bin;

        while (b + 2 < f->bands && centre[b + 1] <= at)
            b++;
        s->band[k] = b;
        s->share[k] = (float)fmin(fmax((at - centre[b]) / (centre[b + 1] - centre[b]), 0), 1);
        s->norm[b] += 1 - s->share[k];
        s->norm[b + 1] += s->share[k];
    }
    for (uint32_t i = 0; i < f->bands; i++)
        s->norm[i] = s->norm[i] > 0 ? 1 / s->norm[i] : 0;
    ae_free(centre);
    return AE_OK;
}

ae_status aei_spectrum_create(const ae_sound_features *f, double rate, aei_spectrum **out,
                              ae_error *err)
{
    aei_spectrum *s = ae_alloc(1, sizeof(*s));
    float *spectrum = NULL;
    ae_status st = AE_OK;

    *out = NULL;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "spectrum");
    s->n = 2 * (uint32_t)lrint(rate * f->window / 2);
    s->hop = (uint32_t)lrint(rate * f->hop);
    s->bands = f->bands;
    if (!s->hop || s->n < s->hop || s->n < 8) {
        st = ae_fail(err, AE_ERR_ARGUMENT, "windows of %u samples every %u at a rate of %g", s->n,
                     s->hop, rate);
        goto done;
    }
    s->bins = s->n / 2 + 1;
    s->analysis = ae_alloc(s->n, sizeof(float));
    s->synthesis = ae_alloc(s->n, sizeof(float));
    s->frame = ae_alloc(s->n, sizeof(float));
    s->band = ae_alloc(s->bins, sizeof(*s->band));
    s->share = ae_alloc(s->bins, sizeof(float));
    s->norm = ae_alloc(f->bands, sizeof(float));
    spectrum = ae_alloc(s->bins, 2 * sizeof(float));
    if (!s->analysis || !s->synthesis || !s->frame || !s->band || !s->share || !s->norm ||
        !spectrum) {
        st = ae_fail(err, AE_ERR_NOMEM, "spectra of %u bins", s->bins);
        goto done;
    }
    make_windows(s);
    if ((st = place_bands(s, f, rate, err)) != AE_OK)
        goto done;
    /* Estimated plans are the same in every run, measured ones, and with them the last bits of
     * results, are not. */
    aei_planner_lock();
    s->forward = fftwf_plan_dft_r2c_1d((int)s->n, s->frame, (fftwf_complex *)spectrum,
                                       FFTW_ESTIMATE);
    s->inverse = fftwf_plan_dft_c2r_1d((int)s->n, (fftwf_complex *)spectrum, s->frame,
                                       FFTW_ESTIMATE);
    aei_planner_unlock();
    if (!s->forward || !s->inverse) {
        st = ae_fail(err, AE_ERR_NOMEM, "transforms of %u samples", s->n);
        goto done;
    }
    *out = s;
    s = NULL;
done:
    ae_free(spectrum);
    aei_spectrum_free(s);
    return st;
}

uint32_t aei_spectrum_window(const aei_spectrum *s)
{
    return s->n;
}

uint32_t aei_spectrum_hop(const aei_spectrum *s)
{
    return s->hop;
}

uint32_t aei_spectrum_bins(const aei_spectrum *s)
{
    return s->bins;
}

float aei_spectrum_width(const aei_spectrum *s, uint32_t band)
{
    return s->norm[band] > 0 ? 1 / s->norm[band] : 0;
}

AEI_CLONES static void times(size_t n, const float *restrict a, const float *restrict b, float k,
                             float *restrict to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = k * a[i] * b[i];
}

AEI_CLONES static void add_times(size_t n, const float *restrict a, const float *restrict b,
                                 float k, float *restrict to)
{
    for (size_t i = 0; i < n; i++)
        to[i] += k * a[i] * b[i];
}

/* The window's mean is 2 / pi; half of a sine's amplitude is at its negative frequency. */
#define SCALE ((float)M_PI)

void aei_spectrum_forward(aei_spectrum *s, const float *samples, float *spectrum)
{
    times(s->n, samples, s->analysis, SCALE / (float)s->n, s->frame);
    fftwf_execute_dft_r2c(s->forward, s->frame, (fftwf_complex *)spectrum);
}

void aei_spectrum_add_inverse(aei_spectrum *s, float *spectrum, float *samples)
{
    fftwf_execute_dft_c2r(s->inverse, (fftwf_complex *)spectrum, s->frame);
    add_times(s->n, s->frame, s->synthesis, 1 / SCALE, samples);
}

void aei_spectrum_to_bands(const aei_spectrum *s, const float *bins, float *bands)
{
    memset(bands, 0, s->bands * sizeof(*bands));
    for (uint32_t k = 0; k < s->bins; k++) {
        float *to = bands + s->band[k], above = bins[k] * s->share[k];

        to[0] += bins[k] - above;
        to[1] += above;
    }
    for (uint32_t b = 0; b < s->bands; b++)
        bands[b] *= s->norm[b];
}

void aei_spectrum_cover(const aei_spectrum *s, const float *bins, float *bands)
{
    memset(bands, 0, s->bands * sizeof(*bands));
    for (uint32_t k = 0; k < s->bins; k++) {
        float *b = bands + s->band[k];

        if (s->share[k] < 1)
            b[0] = fmaxf(b[0], bins[k]);
        if (s->share[k] > 0)
            b[1] = fmaxf(b[1], bins[k]);
    }
}

void aei_spectrum_to_bins(const aei_spectrum *s, const float *bands, float *bins)
{
    for (uint32_t k = 0; k < s->bins; k++) {
        const float *from = bands + s->band[k];

        bins[k] = from[0] + s->share[k] * (from[1] - from[0]);
    }
}

AEI_CLONES static void compress(uint32_t n, const float *power, float exponent, float *values)
{
    for (uint32_t i = 0; i < n; i++)
        values[i] = aei_pow(power[i] + 1e-30f, exponent);
}

float aei_sound_compress(const ae_sound_features *f, aei_running_level *level, const float *power,
                         float *values)
{
    double sum = 0, keep = 1 - f->hop / f->memory;
    float divisor;

    compress(f->bands, power, f->power / 2, values);
    for (uint32_t b = 0; b < f->bands; b++)
        sum += values[b];
    level->sum = keep * level->sum + sum / f->bands;
    level->weight = keep * level->weight + 1;
    /* A moment far above what came before, as the first sound after silence, counts at once. */
    divisor = (float)(fmax(level->sum / level->weight, 0.3 * sum / f->bands) +
                      pow(SILENCE, f->power));
    for (uint32_t b = 0; b < f->bands; b++)
        values[b] /= divisor;
    return divisor;
}

void aei_sound_place(uint32_t n_bands, float *place)
{
    for (uint32_t b = 0; b < n_bands; b++)
        place[b] = 2 * (float)b / (float)(n_bands - 1) - 1;
}
