/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Least squares over what was decoded so far: the best linear prediction of a channel of sound from
 * its own last samples and from those of the channel before it, found anew for every block. Whole
 * numbers throughout: the same everywhere. */
#ifndef AEI_SOUNDLEAST_H
#define AEI_SOUNDLEAST_H

#include "ae/status.h"

enum {
    AEI_LEAST_OWN = 32,   /* at most, of its own */
    AEI_LEAST_OTHER = 16, /* of the other channel's */
    AEI_LEAST_ALL = AEI_LEAST_OWN + AEI_LEAST_OTHER,
    AEI_LEAST_BITS = 22,  /* samples are within +-2^22 */
    AEI_LEAST_POINT = 20, /* bits of weights behind the point */
    AEI_LEAST_PAD = 64    /* samples before the first, zeros */
};

typedef struct aei_least {
    /* other[t - delay] is the newest that is known of the other when own[t] is predicted */
    uint32_t n_own, n_other, delay;
    uint32_t memory; /* sums fall by 1 / 2^memory a block */
    /* sums of products of own[t - i], own[t - j] */
    int64_t own[AEI_LEAST_OWN + 1][AEI_LEAST_OWN + 1];
    int64_t cross[AEI_LEAST_OWN + 1][AEI_LEAST_OTHER]; /* of own[t - i], other[t - delay - j] */
    int64_t other[AEI_LEAST_OTHER][AEI_LEAST_OTHER];
    int64_t a[AEI_LEAST_ALL][AEI_LEAST_ALL], d[AEI_LEAST_ALL]; /* while solving */
    int32_t weights[AEI_LEAST_ALL]; /* of the last own samples, then of the other's; newest first */
} aei_least;

void aei_least_reset(aei_least *l, uint32_t n_own, uint32_t n_other, uint32_t delay,
                     uint32_t memory);
/* Takes in samples first .. first + n - 1, n at most 256, and finds new weights. Both channels have
 * AEI_LEAST_PAD zeros before sample 0; other may be NULL where n_other is 0. */
void aei_least_update(aei_least *l, const int32_t *own, const int32_t *other, uint32_t first,
                      uint32_t n);

#endif
