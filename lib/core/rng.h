/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random numbers: xoshiro256** (Blackman and Vigna 2018) seeded by splitmix64. A generator is made
 * for each purpose from the run's seed and the indices of what it is for (step, sample), so that
 * draws do not depend on threads or order. */
#ifndef AEI_RNG_H
#define AEI_RNG_H

#include <math.h>
#include <stdint.h>

typedef struct aei_rng {
    uint64_t s[4];
} aei_rng;

static inline uint64_t aei_mix64(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline aei_rng aei_rng_make(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t x = aei_mix64(aei_mix64(aei_mix64(seed) ^ a) ^ b);
    aei_rng r;

    for (int i = 0; i < 4; i++)
        r.s[i] = x = aei_mix64(x);
    return r;
}

static inline uint64_t aei_rng_u64(aei_rng *r)
{
    uint64_t *s = r->s, t = s[1] << 17, v = s[1] * 5;

    v = ((v << 7) | (v >> 57)) * 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return v;
}

/* Uniform in [0, 1), 24 bits. */
static inline float aei_rng_float(aei_rng *r)
{
    return (float)(aei_rng_u64(r) >> 40) * 0x1p-24f;
}

static inline float aei_rng_range(aei_rng *r, float lo, float hi)
{
    return lo + (hi - lo) * aei_rng_float(r);
}

/* Uniform in [0, n), n > 0 (multiply-shift; the bias is below n / 2^32). */
static inline uint32_t aei_rng_below(aei_rng *r, uint32_t n)
{
    return (uint32_t)(((aei_rng_u64(r) >> 32) * n) >> 32);
}

/* Fills with unit normals, the same on every machine. */
void aei_rng_normals(aei_rng *r, float *to, uint64_t n);

static inline float aei_rng_normal(aei_rng *r)
{
    float v;

    aei_rng_normals(r, &v, 1);
    return v;
}

#endif
