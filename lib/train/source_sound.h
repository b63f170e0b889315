/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Samples of sound: recordings of clean sound and of noise mixed on the fly (doc/sound.md). What a
 * sample holds follows from the generator given, that is from the run's seed, the step and the
 * sample's place in the batch. */
#ifndef AEI_SOURCE_SOUND_H
#define AEI_SOURCE_SOUND_H

#include "ae/train.h"
#include "core/rng.h"

typedef struct aei_source_sound aei_source_sound; /* shared by all threads */
typedef struct aei_mixer aei_mixer;               /* one thread's */

typedef struct aei_source_sound_config {
    const ae_recipe *recipe;
    const ae_dataset *clean, *noise, *rooms, *music; /* noise, rooms and music may be NULL */
    uint32_t frames;                                 /* of spectra a sample */
    uint64_t cache_bytes;
    void *opaque;
    void (*warning)(void *opaque, const char *message);
} aei_source_sound_config;

ae_status aei_source_sound_create(const aei_source_sound_config *config, aei_source_sound **out,
                                  ae_error *err);
void aei_source_sound_free(aei_source_sound *source);
ae_status aei_mixer_create(const aei_source_sound *source, aei_mixer **out, ae_error *err);
void aei_mixer_free(aei_mixer *mixer);

/* One sample: frames x bands of compressed magnitudes of the mixture, of the clean sound within it,
 * and of weights in the loss. held: of the recordings held out, or of all others. Recordings that
 * cannot be used are passed over; none usable is AE_ERR_MALFORMED. */
ae_status aei_source_sound_sample(aei_source_sound *source, aei_mixer *mixer, aei_rng *rng,
                                  bool held, float *image, float *target, float *weight,
                                  ae_error *err);
/* What the mixer's last sample was made of: the mixture and the clean sound in it, as samples at
 * the recipe's rate. Returns how many; they belong to the mixer. */
size_t aei_mixer_sounds(const aei_source_sound *source, const aei_mixer *mixer,
                        const float **mixture, const float **clean);
/* XXH3-64 over the names of all recordings, and how many there are. */
uint64_t aei_source_sound_fingerprint(const aei_source_sound *source, size_t *n_items);

#endif
