/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Elementary functions as polynomials (Cephes, Moshier 1989) of correctly rounded operations only:
 * the same numbers on every machine, and loops over them vectorise. Relative errors below 3e-7; no
 * special cases. */
#ifndef AEI_FASTMATH_H
#define AEI_FASTMATH_H

#include <stdint.h>

typedef union aei_bits {
    float f;
    int32_t i;
} aei_bits;

/* Natural logarithm of a positive normal number. */
static inline float aei_log(float v)
{
    aei_bits u = {v}, m;
    int32_t shifted = u.i - 0x3f3504f3; /* v = 2^e * (1 + x), x in [sqrt(1/2) - 1, sqrt(2) - 1) */
    float e = (float)(shifted >> 23), x, z, y;

    m.i = (shifted & 0x7fffff) + 0x3f3504f3;
    x = m.f - 1.0f;
    z = x * x;
    y = 7.0376836292e-2f;
    y = y * x - 1.1514610310e-1f;
    y = y * x + 1.1676998740e-1f;
    y = y * x - 1.2420140846e-1f;
    y = y * x + 1.4249322787e-1f;
    y = y * x - 1.6668057665e-1f;
    y = y * x + 2.0000714765e-1f;
    y = y * x - 2.4999993993e-1f;
    y = y * x + 3.3333331174e-1f;
    y = y * x * z - 2.12194440e-4f * e - 0.5f * z;
    return x + y + 0.693359375f * e;
}

/* Nearest integer, ties to even, for |v| < 2^22. */
static inline float aei_round(float v)
{
    return (v + 12582912.0f) - 12582912.0f;
}

/* 2^v, -125 < v < 127. */
static inline float aei_exp2(float v)
{
    float n = aei_round(v), x = v - n, y;
    aei_bits scale;

    y = 1.535336188319500e-4f;
    y = y * x + 1.339887440266574e-3f;
    y = y * x + 9.618437357674640e-3f;
    y = y * x + 5.550332471162809e-2f;
    y = y * x + 2.402264791363012e-1f;
    y = y * x + 6.931472028550421e-1f;
    y = y * x + 1.0f;
    scale.i = ((int32_t)n + 127) << 23;
    return y * scale.f;
}

/* v to the power p, v positive. */
static inline float aei_pow(float v, float p)
{
    return aei_exp2(p * 1.44269504088896341f * aei_log(v));
}

#endif
