/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Element-wise loops in f32 and bf16, written for the compiler's vectoriser and compiled for several instruction sets. Results are
 * the same under each: one operation an element, rounding to nearest even. */
#include <string.h>

#include "nn/plan.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default"), optimize("O3")))
#else
#define CLONES
#endif

static inline float widen(uint16_t h)
{
    union { uint32_t u; float f; } v = {(uint32_t)h << 16};

    return v.f;
}

static inline uint16_t narrow(float f)
{
    union { float f; uint32_t u; } v = {f};
    uint32_t rounded = v.u + 0x7fff + (v.u >> 16 & 1);

    /* NaN must survive: its payload could otherwise round up to infinity or wrap. */
    return (uint16_t)((v.u & 0x7fffffff) > 0x7f800000 ? v.u >> 16 | 64 : rounded >> 16);
}

CLONES static void widen_all(const uint16_t *restrict from, float *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = widen(from[i]);
}

CLONES static void narrow_all(const float *restrict from, uint16_t *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = narrow(from[i]);
}

CLONES static void add_f32(float *restrict to, const float *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

CLONES static void add_bf16(uint16_t *restrict to, const uint16_t *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = narrow(widen(to[i]) + widen(from[i]));
}

CLONES static void relu_f32(float *restrict g, const float *restrict y, float slope, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g[i] = y[i] > 0 ? g[i] : g[i] * slope;
}

CLONES static void relu_bf16(uint16_t *restrict g, const uint16_t *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g[i] = (int16_t)y[i] > 0 ? g[i] : 0;
}

CLONES static void leaky_bf16(uint16_t *restrict g, const uint16_t *restrict y, float slope, size_t n)
{
    for (size_t i = 0; i < n; i++)
        g[i] = (int16_t)y[i] > 0 ? g[i] : narrow(widen(g[i]) * slope);
}

void aei_to_f32(const void *from, uint32_t element, float *to, size_t n)
{
    if (element == 4)
        memcpy(to, from, n * 4);
    else
        widen_all(from, to, n);
}

void aei_from_f32(const float *from, void *to, uint32_t element, size_t n)
{
    if (element == 4)
        memcpy(to, from, n * 4);
    else
        narrow_all(from, to, n);
}

void aei_add_to(void *to, const void *from, uint32_t element, size_t n)
{
    if (element == 4)
        add_f32(to, from, n);
    else
        add_bf16(to, from, n);
}

void aei_relu_backward(void *grad, const void *value, uint32_t element, float slope, size_t n)
{
    if (element == 4)
        relu_f32(grad, value, slope, n);
    else if (slope == 0)
        relu_bf16(grad, value, n);
    else
        leaky_bf16(grad, value, slope, n);
}
