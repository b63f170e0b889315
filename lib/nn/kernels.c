/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Element-wise loops in f32 and bf16, written for the compiler's vectoriser and compiled for
 * several instruction sets. Results are the same under each, rounded to nearest even; only the
 * conversions of AVX-512 BF16 take denormal numbers for zero. */
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "nn/plan.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default"), optimize("O3")))
#else
#define CLONES
#endif

static inline float widen(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } v = {(uint32_t)h << 16};

    return v.f;
}

static inline uint16_t narrow(float f)
{
    union {
        float f;
        uint32_t u;
    } v = {f};
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

/* to may be add: the pragma says that no element is read after another was written. */
CLONES static void multiply_f32(float *to, const float *a, const float *b, const float *add,
                                size_t n)
{
    if (!add) {
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++)
            to[i] = a[i] * b[i];
        return;
    }
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++)
        to[i] = a[i] * b[i] + add[i];
}

CLONES static void sigmoid_f32(float *to, const float *g, const float *y, const float *other,
                               size_t n)
{
    if (!other) {
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++)
            to[i] = g[i] * y[i] * (1 - y[i]);
        return;
    }
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++)
        to[i] = g[i] * y[i] * (1 - y[i]) * other[i];
}

/* Loops over bf16: to = EXPRESSION of a, b, c from the three other blocks; each may be `to` itself.
 * Where the processor has no instruction for them, conversions are most of the work. */
#if defined(__x86_64__) && defined(__GNUC__)
#define NATIVE __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

NATIVE static inline __m512 load16(const uint16_t *from)
{
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16));
}

#define BF16_NATIVE(name, expression)                                                              \
    NATIVE static size_t name##_native(uint16_t *to, const uint16_t *x, const uint16_t *y,         \
                                       const uint16_t *z, size_t n)                                \
    {                                                                                              \
        size_t i = 0;                                                                              \
                                                                                                   \
        for (; i + 32 <= n; i += 32) {                                                             \
            __m512 half[2];                                                                        \
                                                                                                   \
            for (int k = 0; k < 2; k++) {                                                          \
                __m512 a = load16(x + i + 16 * k), b = load16(y + i + 16 * k),                     \
                       c = load16(z + i + 16 * k);                                                 \
                                                                                                   \
                (void)c;                                                                           \
                half[k] = expression;                                                              \
            }                                                                                      \
            _mm512_storeu_si512(to + i, (__m512i)_mm512_cvtne2ps_pbh(half[1], half[0]));           \
        }                                                                                          \
        return i;                                                                                  \
    }

static bool has_native(void)
{
    return dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core_bf16;
}
#else
#define BF16_NATIVE(name, expression)                                                              \
    static size_t name##_native(uint16_t *to, const uint16_t *x, const uint16_t *y,                \
                                const uint16_t *z, size_t n)                                       \
    {                                                                                              \
        return (void)to, (void)x, (void)y, (void)z, (void)n, 0;                                    \
    }

static bool has_native(void)
{
    return false;
}
#endif

#define BF16_LOOP(name, expression)                                                                \
    BF16_NATIVE(name, expression)                                                                  \
    CLONES static void name(uint16_t *to, const uint16_t *x, const uint16_t *y, const uint16_t *z, \
                            size_t n)                                                              \
    {                                                                                              \
        size_t i = has_native() ? name##_native(to, x, y, z, n) : 0;                               \
                                                                                                   \
        _Pragma("GCC ivdep") for (; i < n; i++)                                                    \
        {                                                                                          \
            float a = widen(x[i]), b = widen(y[i]), c = widen(z[i]);                               \
                                                                                                   \
            (void)c;                                                                               \
            to[i] = narrow(expression);                                                            \
        }                                                                                          \
    }

BF16_LOOP(add_bf16, a + b)
BF16_LOOP(multiply_bf16, a *b)
BF16_LOOP(multiply_add_bf16, a *b + c)
BF16_LOOP(sigmoid_bf16, a *b *(1.0f - b))
BF16_LOOP(gate_bf16, a *b *(1.0f - b) * c)

CLONES static void clip_f32(float *to, const float *g, const float *y, const float *other, size_t n)
{
    if (!other) {
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++)
            to[i] = y[i] > 0 && y[i] < 1 ? g[i] : 0;
        return;
    }
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++)
        to[i] = y[i] > 0 && y[i] < 1 ? g[i] * other[i] : 0;
}

/* What lies between 0 and 1 has bits between theirs. */
CLONES static void clip_bf16(uint16_t *to, const uint16_t *g, const uint16_t *y,
                             const uint16_t *other, size_t n)
{
    enum { ONE = 0x3f80 };

    if (!other) {
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++)
            to[i] = (uint16_t)(y[i] - 1) < ONE - 1 ? g[i] : 0;
        return;
    }
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++)
        to[i] = (uint16_t)(y[i] - 1) < ONE - 1 ? narrow(widen(g[i]) * widen(other[i])) : 0;
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

CLONES static void leaky_bf16(uint16_t *restrict g, const uint16_t *restrict y, float slope,
                              size_t n)
{
    for (size_t i = 0; i < n; i++)
        g[i] = (int16_t)y[i] > 0 ? g[i] : narrow(widen(g[i]) * slope);
}

CLONES static void add_row_f32(float *restrict to, const float *restrict row, size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++, to += n)
        for (size_t i = 0; i < n; i++)
            to[i] += row[i];
}

CLONES static void add_row_bf16(uint16_t *restrict to, const float *restrict row, size_t rows,
                                size_t n)
{
    for (size_t r = 0; r < rows; r++, to += n)
        for (size_t i = 0; i < n; i++)
            to[i] = narrow(widen(to[i]) + row[i]);
}

CLONES static void sum_rows_f32(const float *restrict from, float *restrict sum, size_t rows,
                                size_t n)
{
    for (size_t r = 0; r < rows; r++, from += n)
        for (size_t i = 0; i < n; i++)
            sum[i] += from[i];
}

CLONES static void sum_rows_bf16(const uint16_t *restrict from, float *restrict sum, size_t rows,
                                 size_t n)
{
    for (size_t r = 0; r < rows; r++, from += n)
        for (size_t i = 0; i < n; i++)
            sum[i] += widen(from[i]);
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
        add_bf16(to, to, from, to, n);
}

void aei_multiply(void *to, const void *a, const void *b, const void *add, uint32_t element,
                  size_t n)
{
    if (element == 4)
        multiply_f32(to, a, b, add, n);
    else
        (add ? multiply_add_bf16 : multiply_bf16)(to, a, b, add ? add : a, n);
}

void aei_sigmoid_backward(void *to, const void *grad, const void *value, const void *other,
                          uint32_t element, size_t n)
{
    if (element == 4)
        sigmoid_f32(to, grad, value, other, n);
    else
        (other ? gate_bf16 : sigmoid_bf16)(to, grad, value, other ? other : grad, n);
}

void aei_clip_backward(void *to, const void *grad, const void *value, const void *other,
                       uint32_t element, size_t n)
{
    if (element == 4)
        clip_f32(to, grad, value, other, n);
    else
        clip_bf16(to, grad, value, other, n);
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

void aei_add_row(void *to, const float *row, uint32_t element, size_t rows, size_t n)
{
    if (element == 4)
        add_row_f32(to, row, rows, n);
    else
        add_row_bf16(to, row, rows, n);
}

void aei_sum_rows(const void *from, uint32_t element, size_t rows, size_t n, float *sum)
{
    memset(sum, 0, n * sizeof(*sum));
    if (element == 4)
        sum_rows_f32(from, sum, rows, n);
    else
        sum_rows_bf16(from, sum, rows, n);
}
