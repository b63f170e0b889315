/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Hum and buzz of the mains: what repeats as the mains do, for seconds, under whatever else sounds.
 *
 * A sound of harmonics of 50 (60) Hz is the same 40 (50) ms later, which is longer than a window:
 * what the spectra of two such moments have in common is hum, noise has nothing in common then. It
 * is measured where bins are near their least power of the last seconds, in the pauses of all else.
 * The mains are never off by more than .4 %, and no note of an instrument in tune lies so near to
 * their first two harmonics: a drone's periods slip from moment to moment and are left alone. */
#ifndef AEI_HUM_H
#define AEI_HUM_H

#include "audio/spectrum.h"

typedef struct aei_hum aei_hum;

ae_status aei_hum_create(const ae_sound_features *features, double rate, uint32_t channels,
                         aei_hum **out, ae_error *err);
void aei_hum_free(aei_hum *h); /* NULL is fine */
/* A frame: the spectrum of each channel, in order; then the power of hum in each band, 0 where
 * there is none, from the mean power of the bins over the channels. */
void aei_hum_hear(aei_hum *h, uint32_t channel, const float *spectrum);
void aei_hum_find(aei_hum *h, const aei_spectrum *spectrum, const float *power, float *bands);

#endif
