/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whistles, sirens, beeps, bird song and test tones are not noise, though a network that learned
 * from speech takes them for it: a bound from below on the gains of bands where all that sounds is
 * one tone or a few, and nothing louder sounded lately.
 *
 * A tone that holds still is a narrow peak of a window's spectrum, far above what is beside it; one
 * that glides is so in windows a quarter as long. Harmonics of mains lie too close for peaks to
 * stand alone, and noise is never so narrow. */
#ifndef AEI_TONAL_H
#define AEI_TONAL_H

#include "audio/spectrum.h"

typedef struct aei_tonal aei_tonal;

ae_status aei_tonal_create(const ae_sound_features *features, double rate, aei_tonal **out,
                           ae_error *err);
void aei_tonal_free(aei_tonal *t); /* NULL is fine */
/* A frame: power of its bins, and its samples, of each channel `span` after the one before. Writes
 * the least gain of each band. spectrum: that of the power. */
void aei_tonal_find(aei_tonal *t, const aei_spectrum *spectrum, const float *power,
                    const float *samples, uint32_t channels, size_t span, float *least);

#endif
