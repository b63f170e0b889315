/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What mixtures of sound are made of: rooms, filters and noises that no recording holds. Everything
 * follows from the generator given; sound is filtered as a whole, by one long transform. */
#ifndef AEI_MIX_H
#define AEI_MIX_H

#include "ae/status.h"
#include "core/rng.h"

/* One thread's transform of `n` samples with room for what follows them. */
typedef struct aei_mix aei_mix;
ae_status aei_mix_create(float rate, size_t n, aei_mix **out, ae_error *err);
void aei_mix_free(aei_mix *mix);
size_t aei_mix_room(const aei_mix *mix); /* samples that an impulse response may have at most */

/* What a recording went through on its way. */
typedef struct aei_path {
    float gain[10];    /* dB at 10 frequencies a factor apart, from 40 Hz on; between them a line */
    float low, high;   /* Hz: nothing passes outside; high 0: no limit */
    const float *room; /* an impulse response, or NULL */
    size_t n_room;
} aei_path;

/* random gains within +- decibels */
void aei_path_draw(aei_rng *rng, float decibels, aei_path *path);
void aei_mix_pass(aei_mix *mix, const aei_path *path, float *samples); /* n samples, in place */

/* A room that nobody measured: the direct sound and a decaying tail. Returns its length, at most
 * `most`. */
size_t aei_mix_room_draw(aei_rng *rng, float rate, float *room, size_t most);

/* Noises: of any colour, perhaps swelling; with hum, clicks and bursts. */
void aei_mix_noise(aei_mix *mix, aei_rng *rng, float *samples);

/* Something like music: notes of harmonics on a scale, alone and in chords, perhaps with drums. */
void aei_mix_music(aei_mix *mix, aei_rng *rng, float *samples);

/* Mean square of the samples, and of the louder ones of stretches of 20 ms: within 30 dB of the
 * loudest. */
double aei_mix_power(const float *samples, size_t n);
double aei_mix_active_power(const float *samples, size_t n, float rate);

#endif
