/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Coding a difference as binary decisions (doc/container.md, "Sample coding"): logistic densities
 * and adaptive counters give probabilities, weights that learn mix them, and a binary arithmetic
 * coder takes the result. All of it is inlined into the loop over samples, which is compiled for
 * several processors. */
#ifndef AEI_DECISION_H
#define AEI_DECISION_H

#include "ae/status.h"

#define AEI_INLINE static inline __attribute__((always_inline))

enum {
    N_CONTEXTS = 7,
    N_DENSITIES = 3,
    N_INPUTS = 12, /* of the mixer: contexts, densities, a constant; padded */
    N_SETS = 256,  /* of the mixer's weights */
    SLOTS = 2048,  /* of a context, each of NODES counters */
    NODES = 32,
    STRETCH_MAX = 12 << 8,
    TAIL_MAX = 16 * 64
};

typedef struct aei_decision_tables {
    uint32_t tail[2 * TAIL_MAX + 2];      /* 2^30 / (1 + e^x), x in 1/64 */
    uint16_t squash[2 * STRETCH_MAX + 1]; /* 2^16 / (1 + e^-x), x in 1/256 */
    /* its inverse by the upper 12 bits, and below 1/16 by all */
    int16_t stretch[4096], stretch_low[4096];
    uint16_t rate[1024];
} aei_decision_tables;

typedef struct aei_decider {
    const aei_decision_tables *t;
    int32_t weights[2][N_SETS][N_INPUTS];
    uint32_t counters[N_CONTEXTS][SLOTS][NODES]; /* probability of 1 in 22 bits, count in 10 */

    /* binary arithmetic coder */
    uint32_t low, high, code;
    const uint8_t *in, *in_end;
    uint8_t *out, *out_end;

    /* of the sample in hand */
    uint32_t *slot[N_CONTEXTS];
    int32_t *set0, *set1;
} aei_decider;

/* Forgets what was learnt. To encode, out and out_end are then to be set; to decode,
 * aei_decider_begin does the like. */
void aei_decider_reset(aei_decider *d);
void aei_decider_begin(aei_decider *d, const uint8_t *bytes, size_t n_bytes);
/* Completes what was encoded from `first` on and returns its end. */
uint8_t *aei_decider_end(aei_decider *d, const uint8_t *first);

static inline int log2_floor(uint32_t v)
{
    return 31 - __builtin_clz(v | 1);
}

static inline int stretch(const aei_decision_tables *t, uint32_t p)
{
    if (p < 4096)
        return t->stretch_low[p];
    return p >= 65536 - 4096 ? -t->stretch_low[65536 - p > 4095 ? 4095 : 65536 - p]
                             : t->stretch[p >> 4];
}

static inline uint32_t squash(const aei_decision_tables *t, int64_t x)
{
    return t->squash[x < -STRETCH_MAX ? 0 : x > STRETCH_MAX ? 2 * STRETCH_MAX : x + STRETCH_MAX];
}

/* ---- binary arithmetic coding: p is the probability of 1, in 1..65535 ---- */

AEI_INLINE int code_bit(aei_decider *c, bool decoding, int bit, uint32_t p)
{
    uint32_t middle = c->low + (uint32_t)((uint64_t)(c->high - c->low) * p >> 16);

    if (decoding)
        bit = c->code <= middle;
    if (bit)
        c->high = middle;
    else
        c->low = middle + 1;
    while (((c->low ^ c->high) & 0xff000000) == 0) {
        if (decoding)
            c->code = c->code << 8 | (c->in < c->in_end ? *c->in : 0), c->in += c->in < c->in_end;
        else
            *c->out++ = (uint8_t)(c->high >> 24);
        c->low <<= 8;
        c->high = c->high << 8 | 255;
    }
    return bit;
}

/* ---- densities ---- */

typedef struct density {
    int32_t mean;      /* relative to the prediction coded against, 1/16 */
    int32_t scale;     /* 65536 * 1024 / (deviation in 1/16) */
    uint32_t near, at; /* probability beyond the nearer and the farther end of what is left */
} density;

/* 2^30 times the probability of lying beyond `bound` in the direction told. */
static inline uint32_t beyond(const aei_decision_tables *t, const density *d, int32_t bound,
                              int direction)
{
    int64_t x = ((int64_t)(direction > 0 ? bound - d->mean : d->mean - bound) * d->scale) >> 12;
    uint32_t i, f;

    x = x < -TAIL_MAX * 256 ? -TAIL_MAX * 256 : x > TAIL_MAX * 256 ? TAIL_MAX * 256 : x;
    x += TAIL_MAX * 256;
    i = (uint32_t)(x >> 8);
    f = (uint32_t)(x & 255);
    return t->tail[i] - (uint32_t)((uint64_t)(t->tail[i] - t->tail[i + 1]) * f >> 8);
}

static inline uint32_t ratio(uint32_t part, uint32_t whole)
{
    uint32_t p = (uint32_t)(((uint64_t)part + 32) * 65536 / ((uint64_t)whole + 64));

    return p < 1 ? 1 : p > 65535 ? 65535 : p;
}

/* One decision: mixes, codes, learns. p: what the densities say; by the first n_contexts contexts.
 */
AEI_INLINE int decide_by(aei_decider *c, bool decoding, int bit, unsigned node,
                         const uint32_t p[N_DENSITIES], int n_contexts)
{
    const aei_decision_tables *t = c->t;
    int32_t x[N_INPUTS] = {0}, *w0 = c->set0 + node * N_INPUTS, *w1 = c->set1 + node * N_INPUTS;
    int64_t dot = 0;
    uint32_t mixed;
    int32_t error;

    for (int i = 0; i < N_DENSITIES; i++)
        x[N_CONTEXTS + i] = stretch(t, p[i]);
    for (int i = 0; i < n_contexts; i++) {
        uint32_t *counter = &c->slot[i][node];

        if ((*counter & 1023) == 0)
            *counter = p[0] << 16 | 1;
        x[i] = stretch(t, *counter >> 16);
    }
    x[N_CONTEXTS + N_DENSITIES] = 256;
    for (int i = 0; i < N_INPUTS; i++)
        dot += x[i] * ((int64_t)w0[i] + w1[i]);
    mixed = squash(t, dot >> 16);
    bit = code_bit(c, decoding, bit, mixed);
    error = (int32_t)((uint32_t)bit << 16) - (int32_t)mixed;
    for (int i = 0; i < N_INPUTS; i++) {
        /* modulo 2^32: damaged data may drive weights anywhere */
        uint32_t step = (uint32_t)((x[i] * error) >> 16);

        w0[i] = (int32_t)((uint32_t)w0[i] + step);
        w1[i] = (int32_t)((uint32_t)w1[i] + step);
    }
    for (int i = 0; i < n_contexts; i++) {
        uint32_t *counter = &c->slot[i][node], n = *counter & 1023, v = *counter >> 10;
        int32_t target = bit ? (1 << 22) - 1 : 0;

        v = (uint32_t)((int32_t)v + (int32_t)(((int64_t)(target - (int32_t)v) * t->rate[n]) >> 16));
        *counter = v << 10 | (n < 500 ? n + 1 : n);
    }
    return bit;
}

AEI_INLINE int decide(aei_decider *c, bool decoding, int bit, unsigned node,
                      const uint32_t p[N_DENSITIES])
{
    return decide_by(c, decoding, bit, node, p, N_CONTEXTS);
}

/* The probability p, by each density, of lying beyond `bound` among what is left; at: beyond it
 * among all. */
AEI_INLINE void split(const aei_decision_tables *t, const density *d, int32_t bound, int direction,
                      uint32_t p[N_DENSITIES], uint32_t *at)
{
    for (int i = 0; i < N_DENSITIES; i++) {
        at[i] = beyond(t, &d[i], bound, direction);
        p[i] = ratio(at[i] - d[i].at, d[i].near - d[i].at);
    }
}

/* The number of steps of `step` that a sample lies from the prediction. */
AEI_INLINE int32_t code_difference(aei_decider *c, bool decoding, int32_t q, density d[N_DENSITIES],
                                   int32_t step, int k)
{
    const aei_decision_tables *t = c->t;
    uint32_t p[N_DENSITIES], up[N_DENSITIES], down[N_DENSITIES], at[N_DENSITIES];
    int32_t m = 0, base = 0, half = step * 8;
    unsigned nodes = 2 + 10 * (k < 2 ? (unsigned)k : 2);
    int direction, bits = k;

    for (int i = 0; i < N_DENSITIES; i++) {
        up[i] = beyond(t, &d[i], half, 1);
        down[i] = beyond(t, &d[i], -half, -1);
        p[i] = ratio((1u << 30) - up[i] - down[i], 1u << 30);
    }
    if (decide(c, decoding, q == 0, 0, p))
        return 0;
    for (int i = 0; i < N_DENSITIES; i++)
        p[i] = ratio(up[i], up[i] + down[i]);
    direction = decide(c, decoding, q > 0, 1, p) ? 1 : -1;
    if (!decoding)
        m = (direction > 0 ? q : -q) - 1;
    for (int i = 0; i < N_DENSITIES; i++) {
        d[i].near = direction > 0 ? up[i] : down[i];
        d[i].at = 0;
    }
    for (unsigned i = 0;; i++) {
        int32_t next = base + (1 << bits);

        split(t, d, direction * half * (2 * next + 1), direction, p, at);
        if (bits > 16 || !decide(c, decoding, m >= next, nodes + (i < 6 ? i : 6), p))
            break;
        for (int j = 0; j < N_DENSITIES; j++)
            d[j].near = at[j];
        base = next;
        bits += i >= 5;
    }
    for (int i = 0; i < N_DENSITIES; i++)
        d[i].at = at[i];
    for (int i = 0; bits > 0; i++) {
        int32_t next = base + (1 << --bits);
        int bit;

        split(t, d, direction * half * (2 * next + 1), direction, p, at);
        /* the low bits of a magnitude after the first two: by the first density alone */
        bit = i < 2 ? decide(c, decoding, m >= next, nodes + 7 + (unsigned)i, p)
                    : code_bit(c, decoding, m >= next, p[0]);
        if (bit)
            base = next;
        for (int j = 0; j < N_DENSITIES; j++)
            *(bit ? &d[j].near : &d[j].at) = at[j];
    }
    return direction * (base + 1);
}

#endif
