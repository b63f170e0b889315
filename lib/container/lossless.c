/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sample coding. Each sample is predicted several ways from decoded neighbours, two of them by adaptive filters that also see the
 * channels before; the predictions are blended by how well each did close by. The difference to the blend becomes a few binary
 * decisions (zero? sign, magnitude), whose probabilities come from logistic densities around the predictions and from counters
 * under several contexts, mixed in the logistic domain by weights that learn, and go to a binary arithmetic coder. */
#include "lossless.h"

#include <pthread.h>
#include <string.h>

#include "core/clones.h"

enum {
    PAD = 4,              /* samples beside a row */
    FRACTION = 4,         /* bits of predictions behind the point */
    N_PREDICTORS = 16,
    N_TAPS = 24,
    N_FILTERS = 2,
    N_CONTEXTS = 7,
    N_DENSITIES = 3,
    N_INPUTS = 12,        /* of the mixer: contexts, densities, a constant; padded */
    SLOTS = 2048,         /* of a context, each of NODES counters */
    NODES = 32,
    N_LEVELS = 96,        /* of activity, four an octave */
    N_TEXTURES = 256,
    STRETCH_MAX = 12 << 8,
    TAIL_MAX = 16 * 64,
    SLACK = 1024          /* a sample never takes more bytes */
};

typedef struct tables {
    uint32_t tail[2 * TAIL_MAX + 2];       /* 2^30 / (1 + e^x), x in 1/64 */
    uint16_t squash[2 * STRETCH_MAX + 1];  /* 2^16 / (1 + e^-x), x in 1/256 */
    int16_t stretch[4096], stretch_low[4096]; /* its inverse by the upper 12 bits, and below 1/16 by all */
    uint16_t rate[1024];
    uint32_t weight[256];
} tables;

/* What is learnt about one channel. */
typedef struct channel {
    int32_t filters[N_FILTERS][N_TAPS];
    int32_t mean_error[2][N_LEVELS][16]; /* |sample - prediction| by activity; 1/4096 */
    int32_t bias[N_TEXTURES], bias_n[N_TEXTURES];
} channel;

struct aei_sample_coder {
    const tables *t;
    channel channels[4];
    int32_t weights[2][256][N_INPUTS];
    uint32_t counters[N_CONTEXTS][SLOTS][NODES]; /* probability of 1 in 22 bits, count in 10 */

    int32_t *rows;     /* three rows of every channel */
    int32_t *errors;   /* two rows of N_PREDICTORS errors of every channel */
    int32_t *residual; /* two rows of 1/16 of every channel */
    int32_t *values;   /* the tile */
    uint8_t *bytes;
    size_t row_room, sample_room;

    /* binary arithmetic coder */
    uint32_t low, high, code;
    const uint8_t *in, *in_end;
    uint8_t *out, *out_end;

    /* of the sample in hand */
    uint32_t *slot[N_CONTEXTS];
    int32_t *set0, *set1;
};

static int log2_floor(uint32_t v)
{
    return 31 - __builtin_clz(v | 1);
}

/* Four levels an octave. */
static int level_of(uint32_t v)
{
    int e;

    if (v < 4)
        return (int)v;
    e = log2_floor(v);
    e = 4 * (e - 1) + (int)(v >> (e - 2) & 3);
    return e < N_LEVELS ? e : N_LEVELS - 1;
}

/* Eight levels an octave. */
static inline int fine_level(uint32_t v)
{
    int e = log2_floor(v | 8);

    return 8 * (e - 3) + (int)(v >> (e - 3) & (v < 8 ? 15 : 7)) + (v < 8 ? 0 : 8);
}

static uint32_t level_middle(int level)
{
    return level < 4 ? (uint32_t)level : (uint32_t)(4 + (level & 3)) << (level / 4 - 1);
}

static tables shared_tables;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    tables *t = &shared_tables;
    __extension__ typedef unsigned __int128 wide;
    const uint64_t one = 1ull << 62, factor = 0x3fc01ff557ff778e; /* e^(-1/256) 2^62 */
    uint64_t power = one;                                           /* e^(-i/256) 2^62 */
    int at = 0;

    for (int i = 0; i <= TAIL_MAX * 4; i++) {
        if (i <= STRETCH_MAX) {
            uint32_t p = (uint32_t)(((wide)power << 16) / (one + power));

            t->squash[STRETCH_MAX - i] = (uint16_t)(p ? p : 1);
            t->squash[STRETCH_MAX + i] = (uint16_t)(65536 - (p ? p : 1));
        }
        if (i % 4 == 0) {
            uint32_t p = (uint32_t)(((wide)power << 30) / (one + power));

            t->tail[TAIL_MAX + i / 4] = p;
            t->tail[TAIL_MAX - i / 4] = (1u << 30) - p;
        }
        power = (uint64_t)((wide)power * factor >> 62);
    }
    t->tail[2 * TAIL_MAX + 1] = t->tail[2 * TAIL_MAX];
    for (uint32_t i = 0; i < 4096; i++) {
        while (at < 2 * STRETCH_MAX && t->squash[at] < 16 * i + 8)
            at++;
        t->stretch[i] = (int16_t)(at - STRETCH_MAX);
    }
    at = 0;
    for (uint32_t i = 0; i < 4096; i++) {
        while (at < 2 * STRETCH_MAX && t->squash[at] < i)
            at++;
        t->stretch_low[i] = (int16_t)(at - STRETCH_MAX);
    }
    for (uint32_t i = 0; i < 1024; i++)
        t->rate[i] = (uint16_t)(131072 / (2 * i + 3));
    /* 2^(24 - i / 2): the fourth power of eight levels an octave */
    for (uint32_t i = 0; i < 256; i++)
        t->weight[i] = i < 48 ? (i & 1 ? 11863283u : 16777216u) >> i / 2 : 1;
}

static inline int stretch(const tables *t, uint32_t p)
{
    return p < 4096 ? t->stretch_low[p] : p >= 65536 - 4096 ? -t->stretch_low[65536 - p > 4095 ? 4095 : 65536 - p] : t->stretch[p >> 4];
}

static inline uint32_t squash(const tables *t, int64_t x)
{
    return t->squash[x < -STRETCH_MAX ? 0 : x > STRETCH_MAX ? 2 * STRETCH_MAX : x + STRETCH_MAX];
}

/* ---- binary arithmetic coding: p is the probability of 1, in 1..65535 ---- */

static inline __attribute__((always_inline)) int code_bit(aei_sample_coder *c, bool decoding, int bit, uint32_t p)
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
static inline uint32_t beyond(const tables *t, const density *d, int32_t bound, int direction)
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

/* One decision: mixes, codes, learns. p: what the densities say. */
static inline __attribute__((always_inline)) int decide(aei_sample_coder *c, bool decoding, int bit, unsigned node, const uint32_t p[N_DENSITIES])
{
    const tables *t = c->t;
    int32_t x[N_INPUTS] = {0}, *w0 = c->set0 + node * N_INPUTS, *w1 = c->set1 + node * N_INPUTS;
    int64_t dot = 0;
    uint32_t mixed;
    int32_t error;

    for (int i = 0; i < N_DENSITIES; i++)
        x[N_CONTEXTS + i] = stretch(t, p[i]);
    for (int i = 0; i < N_CONTEXTS; i++) {
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
        uint32_t step = (uint32_t)((x[i] * error) >> 16); /* modulo 2^32: damaged data may drive weights anywhere */

        w0[i] = (int32_t)((uint32_t)w0[i] + step);
        w1[i] = (int32_t)((uint32_t)w1[i] + step);
    }
    for (int i = 0; i < N_CONTEXTS; i++) {
        uint32_t *counter = &c->slot[i][node], n = *counter & 1023, v = *counter >> 10;
        int32_t target = bit ? (1 << 22) - 1 : 0;

        v = (uint32_t)((int32_t)v + (int32_t)(((int64_t)(target - (int32_t)v) * t->rate[n]) >> 16));
        *counter = v << 10 | (n < 500 ? n + 1 : n);
    }
    return bit;
}

/* The low bits of a magnitude after the first two: by the first density alone. */
static inline __attribute__((always_inline)) void split(const tables *t, const density *d, int32_t bound, int direction, uint32_t p[N_DENSITIES], uint32_t *at)
{
    for (int i = 0; i < N_DENSITIES; i++) {
        at[i] = beyond(t, &d[i], bound, direction);
        p[i] = ratio(at[i] - d[i].at, d[i].near - d[i].at);
    }
}

/* The number of steps of `step` that a sample lies from the prediction. */
static inline __attribute__((always_inline)) int32_t code_difference(aei_sample_coder *c, bool decoding, int32_t q, density d[N_DENSITIES], int32_t step, int k)
{
    const tables *t = c->t;
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
        bit = i < 2 ? decide(c, decoding, m >= next, nodes + 7 + (unsigned)i, p) : code_bit(c, decoding, m >= next, p[0]);
        if (bit)
            base = next;
        for (int j = 0; j < N_DENSITIES; j++)
            *(bit ? &d[j].near : &d[j].at) = at[j];
    }
    return direction * (base + 1);
}

/* ---- prediction ---- */

static inline int32_t middle_of(int32_t a, int32_t b, int32_t c)
{
    int32_t least = a < b ? a : b, most = a < b ? b : a;

    return c < least ? least : c > most ? most : c;
}

static inline int signed_level(int32_t v, int n) /* -n .. n: 0, 1, 2-3, 4-7, ... in units */
{
    uint32_t a = (uint32_t)(v < 0 ? -v : v);
    int l = a ? log2_floor(a) + 1 : 0;

    l = l < n ? l : n;
    return v < 0 ? -l : l;
}

typedef struct geometry {
    uint32_t width, channels;
    size_t stride; /* of a row of one channel */
    int32_t lo[4], hi[4];
    uint32_t thirds[4];
} geometry;

static inline uint32_t magnitude(int32_t v)
{
    return (uint32_t)(v < 0 ? -v : v);
}

static inline int32_t *row_of(const aei_sample_coder *c, const geometry *g, uint32_t ch, uint32_t y)
{
    return c->rows + (3 * ch + y % 3) * g->stride + PAD;
}

/* What lies beside a row is like its end. */
static inline void begin_row(int32_t *cur, const int32_t *up, int32_t *res, const int32_t *res_up, int32_t *err, const int32_t *err_up)
{
    for (int i = 1; i <= PAD; i++) {
        cur[-i] = up[0];
        res[-i] = res_up[0];
        memcpy(err - i * N_PREDICTORS, err_up, N_PREDICTORS * sizeof(*err));
    }
}

static inline void end_row(int32_t *cur, int32_t *res, int32_t *err)
{
    for (int i = 0; i < PAD; i++) {
        cur[i] = cur[-1];
        res[i] = res[-1];
        memcpy(err + i * N_PREDICTORS, err - N_PREDICTORS, N_PREDICTORS * sizeof(*err));
    }
}

/* A row of one channel; v: its first value in the tile. False where the output has no room left. */
static inline __attribute__((always_inline)) bool code_row(aei_sample_coder *c, const geometry *g, bool decoding, uint32_t y, uint32_t ch, int32_t *v)
{
    const uint32_t n = g->channels;
    const size_t s = g->stride;
    const int32_t lo = g->lo[ch], hi = g->hi[ch], lo16 = lo * 16, hi16 = hi * 16;
    const int32_t step = 2 * (int32_t)((g->thirds[ch] + (ch + y) % 3) / 3) + 1;
    channel *m = &c->channels[ch];
    int32_t *cur = row_of(c, g, ch, y), *up = row_of(c, g, ch, y + 2);
    const int32_t *upup = row_of(c, g, ch, y + 1);
    int32_t *err = c->errors + ((2 * ch + (y & 1)) * s + PAD) * N_PREDICTORS;
    int32_t *err_up = c->errors + ((2 * ch + (~y & 1)) * s + PAD) * N_PREDICTORS;
    int32_t *res = c->residual + (2 * ch + (y & 1)) * s + PAD, *res_up = c->residual + (2 * ch + (~y & 1)) * s + PAD;
    const int32_t *ref[2] = {0}, *ref_up[2] = {0}, *ref_res[2] = {0};
    const uint32_t refs = ch < 2 ? ch : 2;

    for (uint32_t j = 0; j < refs; j++) {
        ref[j] = row_of(c, g, ch - 1 - j, y);
        ref_up[j] = row_of(c, g, ch - 1 - j, y + 2);
        ref_res[j] = c->residual + (2 * (ch - 1 - j) + (y & 1)) * s + PAD;
    }
    begin_row(cur, up, res, res_up, err, err_up);
    for (uint32_t x = 0; x < g->width; x++, cur++, up++, upup++, res++, res_up++, err += N_PREDICTORS, err_up += N_PREDICTORS) {
        const int32_t W = cur[-1], N = up[0], NW = up[-1], NE = up[1], WW = cur[-2], NN = upup[0], NNE = upup[1];
        int32_t tap[N_TAPS] = {0}, p[N_PREDICTORS] = {0}, base = (W + N) >> 1, blend, mu, least, most, P, q = 0, value, r, before[2] = {0};
        int64_t energy = 64, weighted = 0, weights = 0;
        density d[N_DENSITIES];
        uint32_t a, a2, spread;
        int level, level2, texture, k, beside, closeness[N_PREDICTORS], best = 255;

        tap[0] = W - base, tap[1] = NW - base, tap[2] = NE - base, tap[3] = WW - base, tap[4] = NN - base, tap[5] = NNE - base;
        tap[6] = up[-2] - base, tap[7] = up[2] - base, tap[8] = upup[-1] - base, tap[9] = cur[-3] - base, tap[10] = upup[2] - base;
        tap[11] = upup[-2] - base;
        for (uint32_t j = 0; j < refs; j++) {
            const int32_t *rc = ref[j] + x, *ru = ref_up[j] + x;
            int32_t rbase = (rc[-1] + ru[0]) >> 1;

            tap[12 + 6 * j] = rc[0] - rbase, tap[13 + 6 * j] = rc[-1] - rbase, tap[14 + 6 * j] = ru[-1] - rbase;
            tap[15 + 6 * j] = ru[1] - rbase, tap[16 + 6 * j] = rc[1] - rbase, tap[17 + 6 * j] = ru[2] - rbase;
            before[j] = ref_res[j][x];
        }
        if (refs) {
            const int32_t *rc = ref[0] + x, *ru = ref_up[0] + x;

            p[12] = W + rc[0] - rc[-1];
            p[13] = N + rc[0] - ru[0];
            p[14] = W + N - NW + rc[0] - rc[-1] - ru[0] + ru[-1];
        } else {
            p[12] = (W + NE) >> 1;
            p[13] = W + ((NE - NW) >> 1);
            p[14] = N + W - NW + ((NE - NNE - N + NN) >> 1);
        }
        p[0] = W;
        p[1] = N;
        p[2] = W + N - NW;
        p[3] = N + NE - NNE;
        p[4] = W + NE - N;
        p[5] = 2 * N - NN;
        p[6] = 2 * W - WW;
        p[7] = middle_of(W, N, W + N - NW);
        p[8] = base + ((NE - NW) >> 2);
        p[9] = NE;
        p[15] = (W + N + NE + NW + 2) >> 2;
        for (int i = 0; i < N_PREDICTORS; i++)
            p[i] *= 16;
        for (int i = 0; i < N_TAPS; i++)
            energy += (int64_t)tap[i] * tap[i];
        for (int f = 0; f < N_FILTERS; f++) {
            int64_t dot = 0;

            for (int i = 0; i < N_TAPS; i++)
                dot += (int64_t)tap[i] * m->filters[f][i];
            dot = (dot >> 16) + base * 16;
            p[10 + f] = (int32_t)(dot < lo16 ? lo16 : dot > hi16 ? hi16 : dot);
        }

        /* blend by the errors close by */
        least = most = p[0];
        for (int i = 0; i < N_PREDICTORS; i++) {
            closeness[i] = fine_level(80 + (uint32_t)(err[i - N_PREDICTORS] + err_up[i] + err_up[i - N_PREDICTORS] + err_up[i + N_PREDICTORS] +
                                                      (err[i - 2 * N_PREDICTORS] >> 1)));
            best = closeness[i] < best ? closeness[i] : best;
            least = p[i] < least ? p[i] : least;
            most = p[i] > most ? p[i] : most;
        }
        for (int i = 0; i < N_PREDICTORS; i++) {
            int64_t weight = c->t->weight[closeness[i] - best];

            weighted += weight * p[i];
            weights += weight;
        }
        blend = (int32_t)(weighted / weights);
        spread = (uint32_t)(most - least);
        texture = (p[0] > blend) | (p[1] > blend) << 1 | (NW * 16 > blend) << 2 | (NE * 16 > blend) << 3 | (WW * 16 > blend) << 4 |
                  (NN * 16 > blend) << 5 | (p[5] > blend) << 6 | (p[6] > blend) << 7;
        mu = blend + m->bias[texture] / (m->bias_n[texture] + 4);
        mu = mu < lo16 ? lo16 : mu > hi16 ? hi16 : mu;
        P = (mu + 8) >> FRACTION;

        /* how active it is here, and how wrong the channels before were */
        a = 2 * magnitude(res[-1]) + 2 * magnitude(res_up[0]) + magnitude(res_up[-1]) + magnitude(res_up[1]) + magnitude(res[-2]) +
            (magnitude(res_up[2]) >> 1);
        beside = level_of(refs ? magnitude(before[0]) + (magnitude(before[1]) >> 1) : spread >> 2) / 3;
        beside = beside < 15 ? beside : 15;
        a2 = (uint32_t)(err[10 - N_PREDICTORS] + err_up[10]) * 2 + (uint32_t)(err_up[10 - N_PREDICTORS] + err_up[10 + N_PREDICTORS]);
        level = level_of(a);
        level2 = level_of(a2);

        int32_t *e0 = &m->mean_error[0][level][beside], *e1 = &m->mean_error[1][level2][beside];
        int32_t s0 = *e0 >> 8, s1 = *e1 >> 8;

        s0 = s0 < 4 ? 4 : s0;
        s1 = s1 < 4 ? 4 : s1;
        d[0] = (density){.mean = mu - P * 16, .scale = (16384 << 12) / ((s0 * 185) >> 8 | 1)};
        d[1] = (density){.mean = p[10] - P * 16, .scale = (16384 << 12) / ((s1 * 185) >> 8 | 1)};
        d[2] = (density){.mean = p[11] - P * 16, .scale = d[0].scale};
        k = s0 / step < 16 ? 0 : log2_floor((uint32_t)(s0 / step) >> 3);

        /* contexts */
        unsigned slot[N_CONTEXTS], rw = (unsigned)level_of(magnitude(res[-1])) / 4, rn = (unsigned)level_of(magnitude(res_up[0])) / 4;
        int b0 = signed_level(before[0] / 16, 4) + 4, b1 = signed_level(before[1] / 16, 2) + 2;

        slot[0] = (unsigned)level * 16 + (unsigned)beside;
        slot[1] = (rw < 8 ? rw : 7) + 8 * (rn < 8 ? rn : 7) + 64 * (unsigned)beside;
        slot[2] = (unsigned)(b0 + 9 * b1 + 45 * (level / 4));
        slot[3] = (unsigned)texture + 256 * ((unsigned)level / 6);
        slot[4] = (unsigned)(signed_level(res[-1] / 16, 3) + 3 + 7 * (signed_level(res_up[0] / 16, 3) + 3) +
                             49 * (signed_level(res_up[1] / 16, 2) + 2) + 245 * (level / 12));
        slot[5] = (unsigned)(signed_level((p[10] - mu) / 8, 4) + 4 + 9 * (signed_level((p[11] - mu) / 8, 3) + 3) +
                             63 * (level_of(spread) / 4));
        slot[6] = (uint32_t)(W - P) * 0x9e3779b1u + (uint32_t)(N - P) * 0x85ebca77u + (uint32_t)(before[0] / 16) * 0xc2b2ae3du;
        slot[6] ^= slot[6] >> 15;
        for (unsigned i = 0; i < N_CONTEXTS; i++)
            c->slot[i] = c->counters[i][(slot[i] + ch * 0x2f1) % SLOTS];
        c->set0 = c->weights[0][ch * NODES];
        c->set1 = c->weights[1][(unsigned)(level / 6 < 7 ? level / 6 : 7) * NODES];

        if (!decoding) {
            int32_t t = v[x * n] - P + step / 2;

            q = t >= 0 ? t / step : -((-t + step - 1) / step);
        }
        q = code_difference(c, decoding, q, d, step, k);
        value = P + q * step;
        value = value < lo ? lo : value > hi ? hi : value;
        v[x * n] = *cur = value;
        if (!decoding && c->out > c->out_end)
            return false;

        /* learn */
        *res = r = value * 16 - mu;
        *e0 += ((int32_t)(magnitude(r) << 8) - *e0) >> 6;
        *e1 += ((int32_t)(magnitude(value * 16 - p[10]) << 8) - *e1) >> 6;
        for (int i = 0; i < N_PREDICTORS; i++)
            err[i] = (int32_t)magnitude(value * 16 - p[i]);
        m->bias[texture] += value * 16 - blend;
        if (++m->bias_n[texture] > 128) {
            m->bias[texture] /= 2;
            m->bias_n[texture] /= 2;
        }
        for (int f = 0; f < N_FILTERS; f++) {
            int64_t factor = (int64_t)(value * 16 - p[10 + f]) * (f ? 1 << 18 : 1 << 13) / energy;

            for (int i = 0; i < N_TAPS; i++)
                m->filters[f][i] = (int32_t)((uint32_t)m->filters[f][i] + (uint32_t)((factor * tap[i]) >> 4));
        }
    }
    end_row(cur, res, err);
    return true;
}

static inline __attribute__((always_inline)) bool code_tile(aei_sample_coder *c, const geometry *g, uint32_t height, bool decoding)
{
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t ch = 0; ch < g->channels; ch++)
            if (!code_row(c, g, decoding, y, ch, c->values + (size_t)y * g->width * g->channels + ch))
                return false;
    return true;
}

AEI_CLONES static bool encode_values(aei_sample_coder *c, const geometry *g, uint32_t height)
{
    return code_tile(c, g, height, false);
}

AEI_CLONES static void decode_values(aei_sample_coder *c, const geometry *g, uint32_t height)
{
    code_tile(c, g, height, true);
}

/* ---- colour ---- */

enum { COLOUR_NONE, COLOUR_GREEN, COLOUR_YCOCG, N_COLOURS, RAW = 0x80 };

static void to_colour(unsigned colour, int32_t *v)
{
    int32_t r = v[0], g = v[1], b = v[2], t;

    if (colour == COLOUR_GREEN) {
        v[0] = g, v[1] = r - g, v[2] = b - g;
    } else if (colour == COLOUR_YCOCG) {
        v[1] = r - b;
        t = b + (v[1] >> 1);
        v[2] = g - t;
        v[0] = t + (v[2] >> 1);
    } else {
        v[0] = g, v[1] = r;
    }
}

static void from_colour(unsigned colour, int32_t *v)
{
    int32_t a = v[0], b = v[1], c = v[2], t;

    if (colour == COLOUR_GREEN) {
        v[0] = a + b, v[1] = a, v[2] = a + c;
    } else if (colour == COLOUR_YCOCG) {
        t = a - (c >> 1);
        v[1] = c + t;
        v[2] = t - (b >> 1);
        v[0] = b + v[2];
    } else {
        v[0] = b, v[1] = a;
    }
}

/* About the bits that the gradients of a few rows would take. */
static uint64_t cost_of(unsigned colour, const aei_tile *t, const uint16_t *samples)
{
    uint64_t cost = 0;

    for (uint32_t y = 1; y < t->height; y += 5)
        for (uint32_t x = 1; x < t->width; x++) {
            int32_t v[4][3];

            for (unsigned i = 0; i < 4; i++) {
                const uint16_t *s = samples + ((size_t)(y - (i >> 1)) * t->width + x - (i & 1)) * t->channels;

                for (unsigned j = 0; j < 3; j++)
                    v[i][j] = s[j];
                to_colour(colour, v[i]);
            }
            for (unsigned j = 0; j < 3; j++)
                cost += (uint64_t)level_of(4 * magnitude(v[0][j] - middle_of(v[1][j], v[2][j], v[1][j] + v[2][j] - v[3][j])));
        }
    return cost;
}

static unsigned choose_colour(const aei_tile *t, const uint16_t *samples)
{
    unsigned best = COLOUR_NONE;
    uint64_t least = UINT64_MAX;

    if (t->channels < 3 || t->thirds)
        return COLOUR_NONE;
    for (unsigned colour = 0; colour < N_COLOURS; colour++) {
        uint64_t cost = cost_of(colour, t, samples);

        if (cost < least) {
            least = cost;
            best = colour;
        }
    }
    return best;
}

static void set_geometry(geometry *g, const aei_tile *t, unsigned colour)
{
    *g = (geometry){.width = t->width, .channels = t->channels, .stride = t->width + 2 * PAD};
    for (unsigned ch = 0; ch < t->channels; ch++) {
        g->lo[ch] = colour != COLOUR_NONE && (ch == 1 || ch == 2) ? -(int32_t)t->max : 0;
        g->hi[ch] = (int32_t)t->max;
        g->thirds[ch] = t->channels % 2 == 0 && ch + 1 == t->channels ? 0 : t->thirds;
    }
}

/* ---- a tile ---- */

aei_sample_coder *aei_sample_coder_create(void)
{
    aei_sample_coder *c = ae_alloc(1, sizeof(*c));

    pthread_once(&tables_once, make_tables);
    if (c)
        c->t = &shared_tables;
    return c;
}

static void free_buffers(aei_sample_coder *c)
{
    ae_free(c->rows);
    ae_free(c->errors);
    ae_free(c->residual);
    ae_free(c->values);
    ae_free(c->bytes);
    c->rows = c->errors = c->residual = c->values = NULL;
    c->bytes = NULL;
    c->row_room = c->sample_room = 0;
}

void aei_sample_coder_free(aei_sample_coder *c)
{
    if (!c)
        return;
    free_buffers(c);
    ae_free(c);
}

/* Room for the tile, and a model that has learnt nothing. */
static ae_status prepare(aei_sample_coder *c, const aei_tile *t, const geometry *g, ae_error *err)
{
    size_t n = (size_t)t->width * t->height * t->channels, rows = g->stride * t->channels;

    if (n > c->sample_room || rows > c->row_room) {
        free_buffers(c);
        c->rows = ae_alloc(3 * rows, sizeof(*c->rows));
        c->errors = ae_alloc(2 * rows * N_PREDICTORS, sizeof(*c->errors));
        c->residual = ae_alloc(2 * rows, sizeof(*c->residual));
        c->values = ae_alloc(n, sizeof(*c->values));
        c->bytes = ae_alloc(2 * n + SLACK, 1);
        if (!c->rows || !c->errors || !c->residual || !c->values || !c->bytes) {
            free_buffers(c);
            return ae_fail(err, AE_ERR_NOMEM, "a tile of %u x %u", t->width, t->height);
        }
        c->sample_room = n;
        c->row_room = rows;
    }
    memset(c->errors, 0, 2 * rows * N_PREDICTORS * sizeof(*c->errors));
    memset(c->residual, 0, 2 * rows * sizeof(*c->residual));
    memset(c->channels, 0, sizeof(c->channels));
    memset(c->counters, 0, sizeof(c->counters));
    for (unsigned ch = 0; ch < t->channels; ch++) {
        channel *m = &c->channels[ch];
        int32_t middle = (g->lo[ch] + g->hi[ch] + 1) / 2;

        for (size_t i = 0; i < 3 * g->stride; i++)
            c->rows[3 * ch * g->stride + i] = middle;
        for (int i = 0; i < N_LEVELS; i++)
            for (int j = 0; j < 16; j++) {
                m->mean_error[0][i][j] = (int32_t)(level_middle(i) << 8) / 7;
                m->mean_error[1][i][j] = (int32_t)(level_middle(i) << 8) / 6;
            }
    }
    for (unsigned i = 0; i < 256; i++) {
        for (unsigned j = 0; j < N_INPUTS; j++)
            c->weights[0][i][j] = c->weights[1][i][j] = 0;
        for (unsigned j = 0; j < N_CONTEXTS; j++)
            c->weights[0][i][j] = 65536 * 12 / 100;
        c->weights[0][i][N_CONTEXTS] = 65536 * 20 / 100;
        c->weights[0][i][N_CONTEXTS + 1] = 65536 * 10 / 100;
        c->weights[0][i][N_CONTEXTS + 2] = 65536 * 10 / 100;
    }
    c->low = 0;
    c->high = UINT32_MAX;
    return AE_OK;
}

static ae_status check(const aei_tile *t, ae_error *err)
{
    uint64_t n = (uint64_t)t->width * t->height * t->channels;

    if (!t->width || !t->height || t->channels < 1 || t->channels > 4 || t->width > AEI_TILE_MAX_SAMPLES || t->height > AEI_TILE_MAX_SAMPLES ||
        n > AEI_TILE_MAX_SAMPLES || t->max < 1 || t->max > 65535 || t->thirds > 3 * t->max)
        return ae_fail(err, AE_ERR_MALFORMED, "a tile of %u x %u x %u samples up to %u", t->width, t->height, t->channels, t->max);
    return AE_OK;
}

static size_t pack_raw(const aei_tile *t, const uint16_t *samples, size_t n, uint8_t *to)
{
    *to++ = RAW;
    for (size_t i = 0; i < n; i++) {
        *to++ = (uint8_t)samples[i];
        if (t->max > 255)
            *to++ = (uint8_t)(samples[i] >> 8);
    }
    return 1 + n * (t->max > 255 ? 2 : 1);
}

ae_status aei_tile_encode(aei_sample_coder *c, const aei_tile *t, uint16_t *samples, const uint8_t **bytes, size_t *n_bytes, ae_error *err)
{
    size_t n = (size_t)t->width * t->height * t->channels;
    geometry g;
    unsigned colour;
    ae_status st = check(t, err);

    if (st != AE_OK)
        return st;
    colour = choose_colour(t, samples);
    set_geometry(&g, t, colour);
    if ((st = prepare(c, t, &g, err)) != AE_OK)
        return st;
    for (size_t i = 0; i < n; i++)
        c->values[i] = samples[i];
    for (size_t i = 0; t->channels >= 3 && i < n; i += t->channels)
        to_colour(colour, c->values + i);
    *bytes = c->bytes;
    c->out = c->bytes;
    c->out_end = c->bytes + n * (t->max > 255 ? 2 : 1);
    *c->out++ = (uint8_t)colour;
    if (!encode_values(c, &g, t->height)) {
        *n_bytes = pack_raw(t, samples, n, c->bytes);
        return AE_OK;
    }
    /* The shortest number in low .. high, the bytes behind it being zero. */
    if (c->low)
        *c->out++ = (uint8_t)((c->low >> 24) + 1);
    while (c->out > c->bytes + 1 && !c->out[-1])
        c->out--;
    *n_bytes = (size_t)(c->out - c->bytes);
    for (size_t i = 0; i < n && t->thirds && t->channels >= 3; i += t->channels)
        from_colour(colour, c->values + i);
    for (size_t i = 0; i < n && t->thirds; i++)
        samples[i] = (uint16_t)c->values[i];
    return AE_OK;
}

ae_status aei_tile_decode(aei_sample_coder *c, const aei_tile *t, const uint8_t *bytes, size_t n_bytes, uint16_t *samples, ae_error *err)
{
    size_t n = (size_t)t->width * t->height * t->channels;
    geometry g;
    ae_status st = check(t, err);

    if (st != AE_OK)
        return st;
    if (!n_bytes || (bytes[0] >= N_COLOURS && bytes[0] != RAW))
        return ae_fail(err, AE_ERR_MALFORMED, "sample data of an unknown kind");
    if (bytes[0] == RAW) {
        if (n_bytes != 1 + n * (t->max > 255 ? 2 : 1))
            return ae_fail(err, AE_ERR_MALFORMED, "plain samples: %zu bytes for %zu samples", n_bytes, n);
        for (size_t i = 0; i < n; i++) {
            uint32_t v = t->max > 255 ? (uint32_t)(bytes[1 + 2 * i] | bytes[2 + 2 * i] << 8) : bytes[1 + i];

            if (v > t->max)
                return ae_fail(err, AE_ERR_MALFORMED, "a sample of %u, more than %u", v, t->max);
            samples[i] = (uint16_t)v;
        }
        return AE_OK;
    }
    set_geometry(&g, t, bytes[0]);
    if ((st = prepare(c, t, &g, err)) != AE_OK)
        return st;
    c->in = bytes + 1;
    c->in_end = bytes + n_bytes;
    for (int i = 0; i < 4; i++)
        c->code = c->code << 8 | (c->in < c->in_end ? *c->in++ : 0u);
    decode_values(c, &g, t->height);
    for (size_t i = 0; t->channels >= 3 && i < n; i += t->channels)
        from_colour(bytes[0], c->values + i);
    for (size_t i = 0; i < n; i++) {
        if (c->values[i] < 0 || c->values[i] > (int32_t)t->max)
            return ae_fail(err, AE_ERR_MALFORMED, "damaged sample data");
        samples[i] = (uint16_t)c->values[i];
    }
    return AE_OK;
}
