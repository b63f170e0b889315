/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Short-time spectra at any rate, and the bands that networks see of them.
 *
 * A window lasts as long at every rate, so that a bin is as wide: what a network learned at one
 * rate holds at all. The bands of a recipe stand on bins as far as `linear` goes; above, each is
 * wider than the last by one factor, up to half of the recipe's rate. A bin between the centres of
 * two bands belongs to both, by its distance; so do its gains. Bins above the last band follow that
 * one, bands above half of the recording's rate are empty. */
#ifndef AEI_SPECTRUM_H
#define AEI_SPECTRUM_H

#include "ae/recipe.h"

typedef struct aei_spectrum aei_spectrum;

/* One thread's. */
ae_status aei_spectrum_create(const ae_sound_features *features, double rate, aei_spectrum **out,
                              ae_error *err);
void aei_spectrum_free(aei_spectrum *s);             /* NULL is fine */
uint32_t aei_spectrum_window(const aei_spectrum *s); /* samples */
uint32_t aei_spectrum_hop(const aei_spectrum *s);
uint32_t aei_spectrum_bins(const aei_spectrum *s);

/* How many bins a band stands for; 0: empty. */
float aei_spectrum_width(const aei_spectrum *s, uint32_t band);

/* Spectrum of a window of samples: real and imaginary part of each bin; a sine of amplitude 1 on a
 * bin has absolute value 1. */
void aei_spectrum_forward(aei_spectrum *s, const float *samples, float *spectrum);
/* Adds what a spectrum (which is overwritten) contributes to a window of samples. Windows a hop
 * apart add up to the signal. */
void aei_spectrum_add_inverse(aei_spectrum *s, float *spectrum, float *samples);

/* Mean of a quantity of the bins over each band; 0 where a band is empty. */
void aei_spectrum_to_bands(const aei_spectrum *s, const float *bins, float *bands);
/* The greatest of the bins that a band shares in; 0 where it is empty. */
void aei_spectrum_cover(const aei_spectrum *s, const float *bins, float *bands);
void aei_spectrum_to_bins(const aei_spectrum *s, const float *bands, float *bins);

/* What networks see: magnitudes of bands to a power, over their running mean, which follows the
 * recording's level. */
typedef struct aei_running_level {
    double sum, weight;
} aei_running_level; /* begins as zeros */
/* power: mean square of each band; values: may be the same array. Returns what the compressed
 * magnitudes were divided by. */
float aei_sound_compress(const ae_sound_features *features, aei_running_level *level,
                         const float *power, float *values);

/* Of each band, from -1 to 1: what the network's input `place` is fed with. */
void aei_sound_place(uint32_t n_bands, float *place);

#endif
