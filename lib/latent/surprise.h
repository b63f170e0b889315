/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The network says how widely each latent is spread before any of its channel, or of the channels
 * beside it, is known. What has been decoded since tells how far it was off, and the next one's
 * distribution moves by that: the ratio of magnitudes that came to those that were expected, with a
 * prior that speaks for the network where little was seen. Those of the channels before at this
 * position and of the positions before in this channel fade with their age; those of this channel
 * at four positions around are remembered in 16 bits. All in integers, the same for encoder and
 * decoder (doc/exact-decoder.md). */
#ifndef AEI_SURPRISE_H
#define AEI_SURPRISE_H

#include <stdint.h>

enum {
    AEI_MAGNITUDE_ONE = 1 << 12, /* magnitudes are in 1/4096 ... */
    AEI_MOST_MAGNITUDE = 4095,   /* ... and above this are taken for it */
    AEI_FADES = 5,               /* by a thirty-second a step */
    AEI_REMEMBERED = 6           /* bits that are forgotten */
};

typedef struct aei_surprise {
    uint32_t came, expected;
} aei_surprise;

typedef struct aei_remembered {
    uint16_t came, expected;
} aei_remembered;

static inline void aei_surprise_add(aei_surprise *s, uint32_t came, uint32_t expected)
{
    s->came += came - (s->came >> AEI_FADES);
    s->expected += expected - (s->expected >> AEI_FADES);
}

static inline uint16_t aei_remember(uint32_t magnitude)
{
    return (uint16_t)(magnitude >> AEI_REMEMBERED < UINT16_MAX ? magnitude >> AEI_REMEMBERED
                                                               : UINT16_MAX);
}

/* log2 x in 1/256, straight between powers of two; x > 0. */
static inline int32_t aei_log2_256(uint32_t x)
{
    uint32_t n = 31 - (uint32_t)__builtin_clz(x);

    return (int32_t)(n << 8 | (x << (31 - n) >> 23 & 255));
}

/* By how many distributions, of eight an octave, the next one moves: three quarters of the way.
 * `around` is the sum of what is remembered of four positions. */
static inline int32_t aei_surprise_shift(const aei_surprise *beside, const aei_surprise *before,
                                         const aei_surprise *around)
{
    uint32_t prior = 5 * AEI_MAGNITUDE_ONE;

    return (6 * (aei_log2_256(prior + beside->came + before->came +
                              (around->came << AEI_REMEMBERED)) -
                 aei_log2_256(prior + beside->expected + before->expected +
                              (around->expected << AEI_REMEMBERED))) +
            128) >>
           8;
}

#endif
