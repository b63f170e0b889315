/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers of 16 bits (IEEE 754 binary16) and back, rounded to nearest, ties to even. */
#ifndef AEI_HALF_H
#define AEI_HALF_H

#include <math.h>
#include <stdint.h>

static inline double aei_half_number(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double v = exponent == 31
                   ? (mantissa ? NAN : INFINITY)
                   : ldexp(exponent ? mantissa + 1024 : mantissa, (exponent ? exponent : 1) - 25);

    return h >> 15 ? -v : v;
}

static inline uint16_t aei_half_of(double v)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    int exponent;

    v = fabs(v);
    if (isnan(v))
        return sign | 0x7e00;
    if (v >= 65520)
        return sign | 0x7c00;
    frexp(v, &exponent);
    exponent = exponent - 1 < -14 ? -14 : exponent - 1;
    /* in steps of the last bit; carries run into the exponent by themselves */
    return (uint16_t)(sign + ((exponent + 14) << 10) + (int)rint(ldexp(v, 10 - exponent)));
}

#endif
