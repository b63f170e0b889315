/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The network says how widely each latent is spread before any of its channel, or of the channels
 * beside it, is known. What has been decoded since tells how far it was off, and the next one's
 * distribution moves by that: the ratio of magnitudes that came to those that were expected, both
 * with weights that fade with their age, and with a prior that speaks for the network where little
 * was seen. All in integers, the same for encoder and decoder (doc/exact-decoder.md). */
#ifndef AEI_SURPRISE_H
#define AEI_SURPRISE_H

#include <stdint.h>

enum {
    AEI_MAGNITUDE_ONE = 1 << 12, /* magnitudes are in 1/4096 ... */
    AEI_MOST_MAGNITUDE = 4095,   /* ... and above this are taken for it */
    AEI_BESIDE = 3,              /* channels fade by an eighth a step, ... */
    AEI_BEFORE = 5               /* ... positions by a thirty-second */
};

typedef struct aei_surprise {
    uint32_t came, expected;
} aei_surprise;

static inline void aei_surprise_add(aei_surprise *s, uint32_t came, uint32_t expected, int fade)
{
    s->came += came - (s->came >> fade);
    s->expected += expected - (s->expected >> fade);
}

/* log2 x in 1/256, straight between powers of two; x > 0. */
static inline int32_t aei_log2_256(uint32_t x)
{
    uint32_t n = 31 - (uint32_t)__builtin_clz(x);

    return (int32_t)(n << 8 | (x << (31 - n) >> 23 & 255));
}

/* By how many distributions, of eight an octave, the next one moves: five eighths of the way. */
static inline int32_t aei_surprise_shift(const aei_surprise *beside, const aei_surprise *before)
{
    uint32_t prior = 3 * AEI_MAGNITUDE_ONE;

    return (5 * (aei_log2_256(prior + 2 * beside->came + before->came) -
                 aei_log2_256(prior + 2 * beside->expected + before->expected)) +
            128) >>
           8;
}

#endif
