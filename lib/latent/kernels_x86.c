/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Convolutions in vectors: some pixels by some output channels are kept in registers; at each step
 * one pair of input samples of each pixel is broadcast and multiplied with the weights of all these
 * outputs. */
#include "latent/kernels.h"

#include <string.h>

typedef int make_iso_c_happy; /* elsewhere this file is empty */

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

static inline int32_t pair(const int16_t *p)
{
    int32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* The places of a group, as offsets; those beyond the end repeat the last one. */
typedef struct places {
    const int16_t *in[8];
    size_t add[8], out[8];
} places;

static inline void find_places(const aei_iconv_area *a, uint32_t i, uint32_t n, places *p)
{
    size_t line = i / a->width, place = i % a->width;

    for (uint32_t k = 0; k < n; k++) {
        size_t x = aei_iconv_column(a, line, place);

        p->in[k] = a->in + line * a->in_line + x * a->in_step;
        p->add[k] = line * a->add_line + x * a->add_step;
        p->out[k] = line * a->out_line + x * a->out_step;
        if (i + k + 1 < a->n && ++place == a->width) {
            place = 0;
            line++;
        }
    }
}

/* ---- 512 bits: 8 pixels by 32 outputs ---- */

#define DOT_BW(sum, a, w) _mm512_add_epi32(sum, _mm512_madd_epi16(a, w))
#define DOT_VNNI(sum, a, w) _mm512_dpwssd_epi32(sum, a, w)

#define CONV_512(NAME, TARGET, DOT)                                                                \
    __attribute__((target(TARGET))) static inline __m256i NAME##_result(                           \
        __m512i v, __m512i shifts, const int16_t *add, uint32_t leak, __m256i lo, __m256i hi)      \
    {                                                                                              \
        v = _mm512_srav_epi32(v, shifts);                                                          \
        if (add)                                                                                   \
            v = _mm512_add_epi32(v, _mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)add))); \
        if (leak == AEI_RELU)                                                                      \
            v = _mm512_max_epi32(v, _mm512_setzero_si512());                                       \
        else if (leak != AEI_NO_LEAK)                                                              \
            v = _mm512_max_epi32(                                                                  \
                v, _mm512_sra_epi32(_mm512_add_epi32(v, _mm512_set1_epi32(1 << (leak - 1))),       \
                                    _mm_cvtsi32_si128((int)leak)));                                \
        return _mm256_min_epi16(_mm256_max_epi16(_mm512_cvtsepi32_epi16(v), lo), hi);              \
    }                                                                                              \
                                                                                                   \
    __attribute__((target(TARGET))) void NAME(const aei_iconv *conv, const aei_iconv_area *area)   \
    {                                                                                              \
        const aei_op *op = conv->op;                                                               \
        __m256i lo = _mm256_set1_epi16((int16_t)op->lo), hi = _mm256_set1_epi16((int16_t)op->hi);  \
        uint32_t n_pairs = conv->n_pairs;                                                          \
                                                                                                   \
        for (uint32_t b = 0; b < conv->n_blocks; b++) {                                            \
            const int16_t *weights = conv->weights +                                               \
                                     (size_t)b * op->kernel * n_pairs * 2 * AEI_BLOCK;             \
            uint32_t first = b * AEI_BLOCK,                                                        \
                     n_out = op->channels - first < AEI_BLOCK ? op->channels - first : AEI_BLOCK;  \
            __m512i bias0 = _mm512_load_si512(conv->bias + first),                                 \
                    bias1 = _mm512_load_si512(conv->bias + first + 16);                            \
            __m512i shifts0 = _mm512_load_si512(conv->shifts + first),                             \
                    shifts1 = _mm512_load_si512(conv->shifts + first + 16);                        \
                                                                                                   \
            for (uint32_t i = 0; i < area->n; i += 8) {                                            \
                __m512i sum0[8], sum1[8];                                                          \
                const int16_t *w = weights;                                                        \
                places at;                                                                         \
                uint32_t n = area->n - i < 8 ? area->n - i : 8;                                    \
                                                                                                   \
                find_places(area, i, 8, &at);                                                      \
                _Pragma("GCC unroll 8") for (int k = 0; k < 8; k++)                                \
                {                                                                                  \
                    sum0[k] = bias0;                                                               \
                    sum1[k] = bias1;                                                               \
                }                                                                                  \
                for (uint32_t ky = 0; ky < op->kernel; ky++) {                                     \
                    const int16_t *p0 = at.in[0] + ky * area->in_row,                              \
                                  *p1 = at.in[1] + ky * area->in_row,                              \
                                  *p2 = at.in[2] + ky * area->in_row;                              \
                    const int16_t *p3 = at.in[3] + ky * area->in_row,                              \
                                  *p4 = at.in[4] + ky * area->in_row,                              \
                                  *p5 = at.in[5] + ky * area->in_row;                              \
                    const int16_t *p6 = at.in[6] + ky * area->in_row,                              \
                                  *p7 = at.in[7] + ky * area->in_row;                              \
                                                                                                   \
                    for (size_t k = 0; k < 2 * (size_t)n_pairs; k += 2, w += 2 * AEI_BLOCK) {      \
                        __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + AEI_BLOCK),  \
                                a;                                                                 \
                                                                                                   \
                        a = _mm512_set1_epi32(pair(p0 + k)), sum0[0] = DOT(sum0[0], a, w0),        \
                        sum1[0] = DOT(sum1[0], a, w1);                                             \
                        a = _mm512_set1_epi32(pair(p1 + k)), sum0[1] = DOT(sum0[1], a, w0),        \
                        sum1[1] = DOT(sum1[1], a, w1);                                             \
                        a = _mm512_set1_epi32(pair(p2 + k)), sum0[2] = DOT(sum0[2], a, w0),        \
                        sum1[2] = DOT(sum1[2], a, w1);                                             \
                        a = _mm512_set1_epi32(pair(p3 + k)), sum0[3] = DOT(sum0[3], a, w0),        \
                        sum1[3] = DOT(sum1[3], a, w1);                                             \
                        a = _mm512_set1_epi32(pair(p4 + k)), sum0[4] = DOT(sum0[4], a, w0),        \
                        sum1[4] = DOT(sum1[4], a, w1);                                             \
                        a = _mm512_set1_epi32(pair(p5 + k)), sum0[5] = DOT(sum0[5], a, w0),        \
                        sum1[5] = DOT(sum1[5], a, w1);                                             \
                        a = _mm512_set1_epi32(pair(p6 + k)), sum0[6] = DOT(sum0[6], a, w0),        \
                        sum1[6] = DOT(sum1[6], a, w1);                                             \
                        a = _mm512_set1_epi32(pair(p7 + k)), sum0[7] = DOT(sum0[7], a, w0),        \
                        sum1[7] = DOT(sum1[7], a, w1);                                             \
                    }                                                                              \
                }                                                                                  \
                _Pragma("GCC unroll 8") for (uint32_t k = 0; k < 8; k++)                           \
                {                                                                                  \
                    const int16_t *add = area->add ? area->add + at.add[k] + first : NULL;         \
                    int16_t *out = area->out + at.out[k] + first;                                  \
                    __m256i r0 = NAME##_result(sum0[k], shifts0, add, op->leak, lo, hi);           \
                    __m256i r1 = NAME##_result(sum1[k], shifts1, add ? add + 16 : NULL, op->leak,  \
                                               lo, hi);                                            \
                                                                                                   \
                    if (k < n && n_out == AEI_BLOCK) {                                             \
                        _mm256_storeu_si256((void *)out, r0);                                      \
                        _mm256_storeu_si256((void *)(out + 16), r1);                               \
                    } else if (k < n) {                                                            \
                        int16_t part[AEI_BLOCK];                                                   \
                                                                                                   \
                        _mm256_storeu_si256((void *)part, r0);                                     \
                        _mm256_storeu_si256((void *)(part + 16), r1);                              \
                        memcpy(out, part, n_out * sizeof(*out));                                   \
                    }                                                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

CONV_512(aei_iconv_avx512, "avx512f,avx512bw,avx512vl", DOT_BW)
CONV_512(aei_iconv_vnni, "avx512f,avx512bw,avx512vl,avx512vnni", DOT_VNNI)

/* ---- 256 bits: 6 pixels by 16 outputs ---- */

/* Eight results each of v and w, in order. */
__attribute__((target("avx2"))) static inline __m256i result_avx2(__m256i v, __m256i w,
                                                                  const int32_t *shifts,
                                                                  const int16_t *add, uint32_t leak,
                                                                  __m256i lo, __m256i hi)
{
    v = _mm256_srav_epi32(v, _mm256_load_si256((const void *)shifts));
    w = _mm256_srav_epi32(w, _mm256_load_si256((const void *)(shifts + 8)));
    if (add) {
        v = _mm256_add_epi32(v, _mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)add)));
        w = _mm256_add_epi32(w, _mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)(add + 8))));
    }
    if (leak == AEI_RELU) {
        v = _mm256_max_epi32(v, _mm256_setzero_si256());
        w = _mm256_max_epi32(w, _mm256_setzero_si256());
    } else if (leak != AEI_NO_LEAK) {
        __m256i half = _mm256_set1_epi32(1 << (leak - 1));
        __m128i count = _mm_cvtsi32_si128((int)leak);

        v = _mm256_max_epi32(v, _mm256_sra_epi32(_mm256_add_epi32(v, half), count));
        w = _mm256_max_epi32(w, _mm256_sra_epi32(_mm256_add_epi32(w, half), count));
    }
    v = _mm256_permute4x64_epi64(_mm256_packs_epi32(v, w), 0xd8);
    return _mm256_min_epi16(_mm256_max_epi16(v, lo), hi);
}

__attribute__((target("avx2"))) void aei_iconv_avx2(const aei_iconv *conv,
                                                    const aei_iconv_area *area)
{
    const aei_op *op = conv->op;
    __m256i lo = _mm256_set1_epi16((int16_t)op->lo), hi = _mm256_set1_epi16((int16_t)op->hi);
    uint32_t n_pairs = conv->n_pairs;

    for (uint32_t first = 0; first < op->channels; first += 16) {
        const int16_t *weights = conv->weights +
                                 (size_t)(first / AEI_BLOCK) * op->kernel * n_pairs * 2 *
                                     AEI_BLOCK +
                                 first % AEI_BLOCK * 2;
        uint32_t n_out = op->channels - first < 16 ? op->channels - first : 16;

        for (uint32_t i = 0; i < area->n; i += 6) {
            __m256i sum0[6], sum1[6];
            const int16_t *w = weights;
            places at;
            uint32_t n = area->n - i < 6 ? area->n - i : 6;

            find_places(area, i, 6, &at);
#pragma GCC unroll 6
            for (int k = 0; k < 6; k++) {
                sum0[k] = _mm256_load_si256((const void *)(conv->bias + first));
                sum1[k] = _mm256_load_si256((const void *)(conv->bias + first + 8));
            }
            for (uint32_t ky = 0; ky < op->kernel; ky++) {
                const int16_t *p0 = at.in[0] + ky * area->in_row,
                              *p1 = at.in[1] + ky * area->in_row,
                              *p2 = at.in[2] + ky * area->in_row;
                const int16_t *p3 = at.in[3] + ky * area->in_row,
                              *p4 = at.in[4] + ky * area->in_row,
                              *p5 = at.in[5] + ky * area->in_row;

#define STEP(K, P)                                                                                 \
    a = _mm256_set1_epi32(pair(P + k));                                                            \
    sum0[K] = _mm256_add_epi32(sum0[K], _mm256_madd_epi16(a, w0));                                 \
    sum1[K] = _mm256_add_epi32(sum1[K], _mm256_madd_epi16(a, w1))
                for (size_t k = 0; k < 2 * (size_t)n_pairs; k += 2, w += 2 * AEI_BLOCK) {
                    __m256i w0 = _mm256_load_si256((const void *)w),
                            w1 = _mm256_load_si256((const void *)(w + 16)), a;

                    STEP(0, p0);
                    STEP(1, p1);
                    STEP(2, p2);
                    STEP(3, p3);
                    STEP(4, p4);
                    STEP(5, p5);
                }
#undef STEP
            }
#pragma GCC unroll 6
            for (uint32_t k = 0; k < 6; k++) {
                const int16_t *add = area->add ? area->add + at.add[k] + first : NULL;
                int16_t *out = area->out + at.out[k] + first;
                __m256i r = result_avx2(sum0[k], sum1[k], conv->shifts + first, add, op->leak, lo,
                                        hi);

                if (k < n && n_out == 16) {
                    _mm256_storeu_si256((void *)out, r);
                } else if (k < n) {
                    int16_t part[16];

                    _mm256_storeu_si256((void *)part, r);
                    memcpy(out, part, n_out * sizeof(*out));
                }
            }
        }
    }
}

#endif
