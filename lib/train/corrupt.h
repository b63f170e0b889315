/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_CORRUPT_H
#define AEI_CORRUPT_H

#include "ae/recipe.h"
#include "core/rng.h"

/* What is to be corrupted and how. */
typedef struct aei_corrupt_job {
    const ae_recipe *recipe;
    aei_rng *rng;
    uint32_t h, w, c; /* interleaved, 1 or 3 channels */
    bool grey;        /* the channels are equal: so is their noise */
    /* validation: the middle of each range (25 of 255 for white noise that reaches so far) */
    bool fixed;
} aei_corrupt_job;

/* How strong the corruption came out, as the network is told: deviation per channel if it were
 * equal in all; of the luminance (R+G+B)/3; and of the colour differences (aei_deviation). 1.0 =
 * white. */
typedef struct aei_told {
    float white, luminance, chroma;
} aei_told;

/* Whether this recipe's corruptions go together and suit pictures of h x w pixels. */
ae_status aei_corrupt_check(const ae_recipe *recipe, uint32_t h, uint32_t w, ae_error *err);
size_t aei_corrupt_scratch(uint32_t h, uint32_t w); /* bytes */
/* noisy becomes the corrupted picture, clean what it should be cleaned to. */
void aei_corrupt(const aei_corrupt_job *job, float *clean, float *noisy, aei_told *told,
                 void *scratch);

/* Noisy-only training: replaces about one pixel in fifty, one in each 7 x 7 block, by a neighbour
 * at most 2 pixels away and sets its weight to 1, all others' to 0 (Noise2Void, Krull et al. 2019).
 */
void aei_blind_spots(aei_rng *rng, const float *noisy, uint32_t h, uint32_t w, uint32_t c,
                     float *masked, float *weight);

/* Deviations of the difference of two pictures of h x w pixels. */
aei_told aei_deviation(const float *a, const float *b, uint32_t n_pixels, uint32_t c);
/* Deviation of white noise in a picture, from the median of its finest diagonal differences. */
float aei_guess_white(const float *picture, uint32_t h, uint32_t w, uint32_t c, void *scratch);

#endif
