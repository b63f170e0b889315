/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A number is expected by two filters that learn (normalised least mean squares over the
 * neighbours, in units of how much they change) and by the mean of its column; each gives a
 * logistic density, with a scale learnt for the level of activity, and so for every bit a
 * probability. Counters chosen by hashes of the neighbours and of the bits above give more, and so
 * does the number that followed when the last few were seen before. Weights that learn mix all of
 * them (logistic mixing: Mahoney 2005). Bits within which the densities are flat are counted by
 * their place alone. */
#include "arraymodel.h"

#include <string.h>

#include "core/clones.h"
#include "predict.h"

enum {
    HASHED = 11, /* contexts that are looked up by the bits above, too */
    SHAPES = 2,  /* and by what the densities say */
    INPUTS = 32, /* of the mixer: densities, contexts, match, a constant; padded */
    MATCH = N_DENSITIES + HASHED + SHAPES,
    ONE = MATCH + 1,
    LINE = 16, /* of counters: a check, and those of four bits */
    MOST_LINES = 1 << 14,
    LEAST_LINES = 1 << 6,
    RATIOS = 24, /* of what is left of a number to the scale of its density, in powers of two */
    MATCHES = 3, /* none, short, long */
    SETS = (RATIOS + 2) * MATCHES, /* of weights: by that, and two for numbers as a whole */
    TAPS = 20,
    FILTERS = 2,
    POSITIONS = 1 << 16, /* remembered of passages */
    LONG = 16,
    LEVELS = 256
};

/* What is learnt of a column. Means have 4 bits behind the point, and more of their own. */
typedef struct column {
    int32_t weights[FILTERS][TAPS]; /* 16 bits behind the point */
    uint64_t change;                /* of a number to what the filters begin with, 5 more bits; */
    uint64_t unit;                  /* the whole of that and 1, */
    int64_t inverse;                /* 2^28 / that without its last `shift` bits */
    uint32_t shift;
    uint64_t fast, slow; /* errors of the first filter, 3 and 7 more bits */
    int64_t mean;        /* 7 more bits */
    uint64_t away;       /* from it, 7 more bits */
    int64_t last[2];     /* errors */
} column;

struct aei_array_model {
    const aei_decision_tables *t;
    aei_decider coder; /* of which only the arithmetic coder is used */
    column columns[AEI_ARRAY_COLUMNS];
    uint64_t scales[FILTERS][LEVELS]; /* mean errors by level, 6 more bits */
    uint32_t lines[HASHED][MOST_LINES][LINE];
    uint32_t shapes[SHAPES][1 << 14];
    int32_t weights0[SETS][INPUTS], weights1[AEI_ARRAY_BITS + 1][INPUTS];
    uint32_t used[SETS];
    uint16_t flat[AEI_ARRAY_BITS][32], outside[LEVELS];
    uint32_t positions[POSITIONS]; /* behind passages of that hash */
    uint16_t good[2];              /* how often each of two neighbours was the number, of 65536 */
    uint32_t n_lines;              /* in use */
    uint8_t *bytes;
    size_t room;

    /* of the number in hand */
    uint32_t hashes[HASHED];
    uint32_t *line[HASHED];
    int64_t mean[N_DENSITIES];
    uint64_t scale[N_DENSITIES];
    uint32_t col, level;
    uint64_t expected; /* by a passage seen before, */
    uint32_t from;     /* where it stands, */
    uint32_t length;   /* and how many numbers agreed so far, 0: there is none */
    uint64_t candidate;
};

bool aei_array_shape_is_sound(const aei_array_shape *s)
{
    bool good = s->n >= 1 && s->n <= AEI_ARRAY_MAX_TILE && s->most >= 1 &&
                s->most < 1ull << AEI_ARRAY_BITS && s->columns >= 1 &&
                s->columns <= AEI_ARRAY_COLUMNS && s->stride[0] >= 1;

    for (int i = 0; i < 3; i++)
        good &= s->stride[i] <= UINT32_MAX;
    return good;
}

aei_array_model *aei_array_model_create(void)
{
    return ae_alloc(1, sizeof(aei_array_model));
}

void aei_array_model_free(aei_array_model *m)
{
    if (!m)
        return;
    ae_free(m->bytes);
    ae_free(m);
}

static inline uint32_t floor_log2(uint64_t v)
{
    return 63 - (uint32_t)__builtin_clzll(v | 1);
}

static inline void measure(column *c)
{
    c->unit = (c->change >> 9) + 1;
    c->shift = floor_log2(c->unit) > 16 ? floor_log2(c->unit) - 16 : 0;
    c->inverse = (1 << 28) / (int64_t)(c->unit >> c->shift);
}

static void reset(aei_array_model *m, const aei_array_shape *s)
{
    aei_decider_reset(&m->coder);
    m->t = m->coder.t;
    m->n_lines = LEAST_LINES;
    while (m->n_lines < MOST_LINES && m->n_lines < s->n)
        m->n_lines *= 2;
    memset(m->columns, 0, s->columns * sizeof(*m->columns));
    for (uint32_t i = 0; i < s->columns; i++) {
        m->columns[i].mean = (int64_t)(s->most / 2) << 11;
        m->columns[i].away = (s->most / 4 + 1) << 11;
        m->columns[i].change = (s->most / 16 + 1) << 9;
        measure(&m->columns[i]);
    }
    for (int f = 0; f < FILTERS; f++)
        for (int i = 0; i < LEVELS; i++)
            m->scales[f][i] = (i < 4 ? (uint64_t)i : (uint64_t)(4 + (i & 3)) << (i / 4 - 1)) << 6;
    for (int i = 0; i < HASHED; i++)
        memset(m->lines[i], 0, m->n_lines * sizeof(*m->lines[i]));
    memset(m->shapes, 0, sizeof(m->shapes));
    for (uint32_t i = 0; i < SETS; i++)
        for (int j = 0; j < INPUTS; j++)
            m->weights0[i][j] = j < N_DENSITIES ? 65536 * 20 / 100
                                : j < MATCH     ? 65536 * 14 / 100
                                : j == MATCH    ? 65536 / 2
                                                : 0;
    memset(m->weights1, 0, sizeof(m->weights1));
    memset(m->used, 0, sizeof(m->used));
    for (int i = 0; i < AEI_ARRAY_BITS; i++)
        for (int j = 0; j < 32; j++)
            m->flat[i][j] = 32768;
    for (int i = 0; i < LEVELS; i++)
        m->outside[i] = 65535 / 64;
    memset(m->positions, 0, sizeof(m->positions));
    m->good[0] = m->good[1] = 0;
    m->length = 0;
}

/* ---- neighbours ---- */

/* The number so far before place i of the tile; what lies before the tile is taken for the nearest
 * that is there. */
static inline uint64_t back(const uint64_t *v, uint32_t i, uint64_t distance, uint64_t instead)
{
    return distance - 1 < i ? v[i - distance] : instead;
}

static inline uint32_t mixed(uint32_t a, uint64_t b)
{
    a = (a ^ (uint32_t)b ^ (uint32_t)(b >> 32) * 0x85ebca6bu) * 0x9e3779b1u;
    return a ^ a >> 15;
}

static inline int32_t clipped(int64_t v, int32_t most)
{
    return (int32_t)(v < -most ? -most : v > most ? most : v);
}

/* Four levels an octave. */
static inline uint32_t level_wide(uint64_t v)
{
    uint32_t e;

    if (v < 4)
        return (uint32_t)v;
    e = floor_log2(v);
    e = 4 * (e - 1) + (uint32_t)(v >> (e - 2) & 3);
    return e < LEVELS ? e : LEVELS - 1;
}

/* v in 1/256 of a column's unit. */
static inline int32_t in_units(int64_t v, const column *c)
{
    return clipped((int64_t)clipped(v >> c->shift, 1 << 24) * 256 * c->inverse >> 28, 32767);
}

typedef struct around {
    uint64_t W, WW, N, NW, NE, NN, Z, B, B2;
    int32_t taps[TAPS];
    int64_t base, energy;
} around;

static inline void look(const aei_array_model *m, const aei_array_shape *s, const uint64_t *v,
                        uint32_t i, around *a)
{
    const uint64_t w = s->stride[0], n = s->stride[1], z = s->stride[2];
    const column *c = &m->columns[m->col];
    int k = 0;

    a->W = back(v, i, w, i ? v[i - 1] : s->most / 2);
    a->WW = back(v, i, 2 * w, a->W);
    a->N = n ? back(v, i, n, a->W) : a->WW;
    a->NW = n ? back(v, i, n + w, a->N) : back(v, i, 3 * w, a->WW);
    a->NE = n ? back(v, i, n - w, a->N) : back(v, i, 4 * w, a->NW);
    a->NN = n ? back(v, i, 2 * n, a->N) : back(v, i, 5 * w, a->NE);
    a->Z = z ? back(v, i, z, a->N) : n ? a->NN : a->NW;
    a->B = i ? v[i - 1] : 0;
    a->B2 = i > 1 ? v[i - 2] : 0;
    a->base = n ? (int64_t)(a->W + a->N) / 2 : (int64_t)a->W;
#define TAP(value) a->taps[k++] = in_units((int64_t)(value)-a->base, c)
    TAP(a->W);
    TAP(a->WW);
    TAP(a->N);
    TAP(a->NW);
    TAP(a->NE);
    TAP(a->NN);
    if (n) {
        TAP(back(v, i, n + 2 * w, a->NW));
        TAP(back(v, i, n - 2 * w, a->NE));
        TAP(back(v, i, 3 * w, a->WW));
        TAP(back(v, i, 2 * n - w, a->NN));
    } else {
        for (uint64_t j = 6; j < 10; j++)
            TAP(back(v, i, j * w, a->W));
    }
    if (z) {
        TAP(a->Z);
        TAP(back(v, i, z - w, a->Z));
        TAP(back(v, i, z + w, a->Z));
        TAP(back(v, i, z - n, a->Z));
    } else if (!n) {
        for (uint64_t j = 10; j < 14; j++)
            TAP(back(v, i, j * w, a->W));
    }
#undef TAP
    /* how much the columns before have changed */
    for (uint32_t j = 1; s->columns > 1 && j < 7 && k < TAPS; j++) {
        uint32_t other = m->col >= j ? m->col - j : m->col + s->columns - j;

        if (j < s->columns && j + w <= i)
            a->taps[k++] = in_units((int64_t)v[i - j] - (int64_t)v[i - j - w], &m->columns[other]);
    }
    while (k < TAPS)
        a->taps[k++] = 0;
    a->energy = 1 << 12;
    for (int j = 0; j < TAPS; j++)
        a->energy += (int64_t)a->taps[j] * a->taps[j];
}

/* ---- one decision ---- */

/* 2^30 times the probability of a number above the edge below `number`. */
static inline uint32_t above(const aei_array_model *m, int d, uint64_t number)
{
    int64_t x = (int64_t)(number << 4) - 8 - m->mean[d], most = (int64_t)TAIL_MAX << 8;
    uint64_t scale = m->scale[d];
    int e = (int)floor_log2(scale) - 20;
    uint32_t i, f;

    if (e > 0) {
        x >>= e;
        scale >>= e;
    }
    x = x < -(1ll << 36) ? -(1ll << 36) : x > 1ll << 36 ? 1ll << 36 : x;
    x = x * (int64_t)((16384u << 12) / ((scale * 185) >> 8 | 1)) >> 12;
    x = (x < -most ? -most : x > most ? most : x) + most;
    i = (uint32_t)(x >> 8);
    f = (uint32_t)(x & 255);
    return m->t->tail[i] - (uint32_t)((uint64_t)(m->t->tail[i] - m->t->tail[i + 1]) * f >> 8);
}

static inline void learn(uint32_t *counter, const aei_decision_tables *t, int bit, uint32_t limit)
{
    uint32_t n = *counter & 1023, v = n ? *counter >> 10 : 1u << 21;
    int32_t target = bit ? (1 << 22) - 1 : 0;

    v = (uint32_t)((int32_t)v + (int32_t)(((int64_t)(target - (int32_t)v) * t->rate[n]) >> 16));
    *counter = v << 10 | (n < limit ? n + 1 : n);
}

/* p: what the densities say. node: of the lines in hand. said: the bit that a passage seen before
 * expects, or -1. */
AEI_INLINE int decide_number(aei_array_model *m, bool decoding, int bit, unsigned node,
                             const uint32_t p[N_DENSITIES], unsigned ratio_level, unsigned depth,
                             int said, bool first)
{
    const aei_decision_tables *t = m->t;
    unsigned match = said < 0 ? 0 : m->length < LONG ? 1 : 2;
    unsigned set = (first ? RATIOS + ratio_level : ratio_level) * MATCHES + match;
    int32_t x[INPUTS] = {0}, *w0 = m->weights0[set], *w1 = m->weights1[depth], error, rate;
    uint32_t *counters[HASHED + SHAPES], final;
    int64_t dot = 0;

    for (int i = 0; i < N_DENSITIES; i++)
        x[i] = stretch(t, p[i]);
    for (int i = 0; i < HASHED; i++)
        counters[i] = &m->line[i][node];
    counters[HASHED] = &m->shapes[0][(unsigned)((x[0] + STRETCH_MAX) >> 7) % 64 << 8 |
                                     (first ? 31 : ratio_level) << 3 | (m->level >> 3 & 7)];
    counters[HASHED + 1] = &m->shapes[1][(unsigned)((x[1] + STRETCH_MAX) >> 8) % 32 << 9 |
                                         (first ? 31 : ratio_level) << 4 | (m->col & 15)];
    for (int i = 0; i < HASHED + SHAPES; i++)
        x[N_DENSITIES + i] = *counters[i] & 1023 ? stretch(t, *counters[i] >> 16) : 0;
    if (said >= 0) {
        int32_t sure = 256 * (int32_t)(m->length < 32 ? 2 + m->length / 4 : 10);

        x[MATCH] = said ? sure : -sure;
    }
    x[ONE] = 256;
    for (int i = 0; i < INPUTS; i++)
        dot += (int64_t)x[i] * (w0[i] + w1[i]);
    final = squash(t, dot >> 16);
    bit = code_bit(&m->coder, decoding, bit, final);
    error = (int32_t)((uint32_t)bit << 16) - (int32_t) final;
    rate = m->used[set] < 1024 ? 11 - (int32_t)(m->used[set] >> 7) : 3;
    m->used[set]++;
    for (int i = 0; i < INPUTS; i++) {
        int32_t step = (int32_t)(((int64_t)x[i] * error * rate) >> 17);

        w0[i] = (int32_t)((uint32_t)w0[i] + (uint32_t)step);
        w1[i] = (int32_t)((uint32_t)w1[i] + (uint32_t)(step >> 1));
    }
    for (int i = 0; i < HASHED + SHAPES; i++)
        learn(counters[i], t, bit, i < HASHED ? 250 : 1000);
    return bit;
}

/* The lines of counters for the next four bits. */
static inline void find_lines(aei_array_model *m, uint32_t place, uint64_t above_it)
{
    for (uint32_t i = 0; i < HASHED; i++) {
        uint32_t h = mixed(mixed(m->hashes[i] + place, above_it), i), check = h | 1, *line;

        line = m->lines[i][(h * 0x2c1b3c6du >> 7) & (m->n_lines - 1)];
        if (*line != check) {
            memset(line, 0, LINE * sizeof(*line));
            *line = check;
        }
        m->line[i] = line;
    }
}

/* A decision that is not worth more than a counter. */
AEI_INLINE int decide_simply(aei_array_model *m, bool decoding, int bit, uint16_t *counter)
{
    bit = code_bit(&m->coder, decoding, bit,
                   *counter < 32      ? 32
                   : *counter > 65503 ? 65503
                                      : *counter);
    *counter = (uint16_t)(*counter + (((bit ? 65535 : 0) - *counter) >> 7));
    return bit;
}

/* Of the 2^bits numbers from `start` on, none above `most`. */
AEI_INLINE uint64_t code_bits(aei_array_model *m, bool decoding, uint64_t v, uint64_t start,
                              uint64_t most, uint32_t bits, bool window)
{
    uint32_t low[N_DENSITIES], high[N_DENSITIES], middle[N_DENSITIES], p[N_DENSITIES];
    uint32_t narrow = floor_log2(m->scale[0] < m->scale[1] ? m->scale[0] : m->scale[1]);
    uint64_t made = start;
    unsigned node = 1, at = 0;
    bool agrees = m->length > 0 && m->expected >= start && (m->expected - start) >> bits == 0;

    for (int d = 0; d < N_DENSITIES; d++) {
        low[d] = above(m, d, start);
        high[d] = above(m, d, most + 1);
    }
    for (uint32_t i = bits; i-- > 0;) {
        uint64_t next = made + (1ull << i);
        uint32_t left = i + 5; /* log2 of the numbers left, in 1/16 */
        unsigned ratio_level = left + 8 > narrow ? left + 8 - narrow : 0;
        int bit = v >= next;

        if (next > most) /* 0 it is */
            continue;
        agrees = agrees && m->expected >= made && m->expected - made < 2ull << i;
        if (ratio_level < 5 && i + 12 < bits && !agrees) { /* densities are flat */
            bit = decide_simply(m, decoding, bit, &m->flat[i][m->col & 31]);
        } else {
            if (!at)
                find_lines(m, i, (made - start) >> (i + 1));
            for (int d = 0; d < N_DENSITIES; d++) {
                middle[d] = above(m, d, next);
                p[d] = ratio(middle[d] - high[d], low[d] - high[d]);
            }
            bit = decide_number(m, decoding, bit, node, p,
                                ratio_level < RATIOS ? ratio_level : RATIOS - 1,
                                window ? bits - i : i, agrees ? m->expected >= next : -1, false);
            node = node << 1 | (unsigned)bit;
            if (++at == 4) {
                at = 0;
                node = 1;
            }
            for (int d = 0; d < N_DENSITIES; d++)
                *(bit ? &low[d] : &high[d]) = middle[d];
        }
        made += (uint64_t)bit << i;
    }
    return made;
}

/* Whether the number is this one. */
AEI_INLINE int decide_equal(aei_array_model *m, const aei_array_shape *s, bool decoding, uint64_t v,
                            uint64_t candidate, unsigned which)
{
    uint32_t p[N_DENSITIES];

    for (int d = 0; d < N_DENSITIES; d++)
        p[d] = ratio(above(m, d, candidate) - above(m, d, candidate + 1),
                     above(m, d, 0) - above(m, d, s->most + 1));
    find_lines(m, 254 + which, s->window || which ? 0 : candidate);
    return decide_number(m, decoding, v == candidate, 1, p, which, AEI_ARRAY_BITS,
                         m->length ? m->expected == candidate : -1, true);
}

AEI_INLINE uint64_t code_number(aei_array_model *m, const aei_array_shape *s, bool decoding,
                                uint64_t v)
{
    const uint32_t bits = floor_log2(s->most) + 1;
    uint32_t some;
    uint64_t start, middle = (uint64_t)m->mean[0] >> 4;

    if (s->equal && bits > 1 && decide_equal(m, s, decoding, v, m->candidate, 0))
        return m->candidate;
    if (s->common <= s->most && !(s->equal && bits > 1 && s->common == m->candidate) &&
        decide_equal(m, s, decoding, v, s->common, 1))
        return s->common;
    some = floor_log2(m->scale[0]) + 2;
    some = some < 4 ? 4 : some;
    if (!s->window || some >= bits)
        return code_bits(m, decoding, v, 0, s->most, bits, false);
    start = middle > 1ull << (some - 1) ? middle - (1ull << (some - 1)) : 0;
    start = s->most - start < 1ull << some ? s->most - (1ull << some) + 1 : start;
    if (decide_simply(m, decoding, v < start || (v - start) >> some, &m->outside[m->level]))
        return code_bits(m, decoding, v, 0, s->most, bits, false);
    return code_bits(m, decoding, v, start, start + (1ull << some) - 1, some, true);
}

/* ---- a number ---- */

/* How many numbers before a and b agree, up to `most`. */
static uint32_t agreement(const uint64_t *v, uint32_t a, uint32_t b, uint32_t most)
{
    uint32_t n = 0;

    while (n < most && n < b && v[a - 1 - n] == v[b - 1 - n])
        n++;
    return n;
}

static inline void recall(aei_array_model *m, const aei_array_shape *s, const uint64_t *v,
                          uint32_t i)
{
    uint32_t least = 24 / (floor_log2(s->most) + 1) + 2, h = 0, *slot;

    if (i < least)
        return;
    if (m->length && v[i - 1] == m->expected) { /* still the same passage */
        m->length++;
        m->from++;
    } else {
        m->length = 0;
    }
    for (uint32_t k = 1; k <= least; k++)
        h = mixed(h, v[i - k]);
    slot = &m->positions[h % POSITIONS];
    if (!m->length && *slot) {
        m->length = agreement(v, i, *slot, 32);
        m->length = m->length >= least ? m->length : 0;
        m->from = *slot;
    }
    *slot = i;
    if (m->length)
        m->expected = v[m->from];
}

static inline uint64_t size_of(int64_t v)
{
    return (uint64_t)(v < 0 ? -v : v);
}

/* What may repeat: the numbers around. */
static inline void hash_numbers(aei_array_model *m, const aei_array_shape *s, const around *a,
                                int64_t made, uint32_t in_row, uint32_t in_item)
{
    const uint32_t bits = floor_log2(s->most) + 1, coarse = bits > 6 ? bits - 6 : 0;
    uint32_t expected = (uint32_t)(made >> 4 >> (bits > 8 ? bits - 8 : 0)), *h = m->hashes;

    h[0] = mixed(1 + m->col, in_row);
    h[1] = mixed(2 + m->col, a->W);
    h[2] = mixed(3 + m->col, a->N);
    h[3] = mixed(mixed(4 + m->col, a->W), a->N);
    h[4] = mixed(mixed(mixed(mixed(5 + m->col, a->W), a->N), a->NW), a->NE);
    h[5] = mixed(mixed(6 + m->col, s->columns > 1 ? a->B : a->Z), a->W);
    h[6] = mixed(
        mixed(mixed(7 + m->col, (a->W >> coarse) << 12 | (a->N >> coarse) << 6 | a->NW >> coarse),
              a->NE >> coarse),
        a->Z >> coarse);
    h[7] = mixed(mixed(mixed(8, in_item), a->W >> coarse), a->N >> coarse);
    h[8] = mixed(9 + m->col, expected);
    h[9] = mixed(mixed(10 + m->col, (uint64_t)made >> 4), expected);
    h[10] = s->columns > 1 ? mixed(mixed(11 + m->col, a->B), a->B2)
                           : mixed(mixed(mixed(11, a->Z), a->N), in_item);
}

/* An error, in powers of two of what is usual and with its sign. */
static inline uint32_t signed_size(int64_t v, uint64_t usual)
{
    uint64_t size = size_of(v) * 4 / (usual | 1);
    uint32_t level = size ? floor_log2(size) + 1 : 0;

    return (level < 7 ? level : 7) * 2 + (v > 0);
}

/* What may repeat: how wrong the filters are. */
static inline void hash_errors(aei_array_model *m, const aei_array_shape *s,
                               const int64_t made[FILTERS], const uint32_t levels[FILTERS],
                               uint32_t in_row)
{
    const column *c = &m->columns[m->col],
                 *before = &m->columns[m->col ? m->col - 1 : s->columns - 1];
    const column *second = &m->columns[m->col > 1 ? m->col - 2 : 0];
    uint64_t usual = (c->slow >> 7) + 1;
    uint32_t last = signed_size(c->last[0], usual), last2 = signed_size(c->last[1], usual),
             *h = m->hashes;
    uint32_t beside = signed_size(before->last[0], (before->slow >> 7) + 1),
             apart = signed_size(made[1] - made[0], usual);

    h[0] = mixed(1 + m->col, levels[0]);
    h[1] = mixed(mixed(2, levels[1] / 2), last);
    h[2] = mixed(mixed(3, last), last2);
    h[3] = mixed(mixed(4, beside), levels[0] / 4);
    h[4] = mixed(mixed(5, apart), levels[0] / 4);
    h[5] = mixed(mixed(6, signed_size(m->mean[2] - made[0], usual)), levels[0] / 4);
    h[6] = mixed(mixed(7, in_row), levels[1] / 8);
    h[7] = mixed(mixed(8, beside), signed_size(second->last[0], (second->slow >> 7) + 1));
    h[8] = mixed(9 + m->col, levels[1]);
    h[9] = mixed(mixed(10, (uint64_t)made[0] & 255), m->col);
    h[10] = mixed(mixed(11 + m->col, beside), last);
}

AEI_INLINE bool code_one(aei_array_model *m, const aei_array_shape *s, bool decoding, uint64_t *v,
                         uint32_t i, uint64_t place)
{
    const int64_t top = (int64_t)s->most << 4;
    uint64_t row = s->stride[1] ? s->stride[1] : s->stride[0],
             item = s->stride[2] ? s->stride[2] : row;
    int64_t made[FILTERS];
    column *c;
    around a;
    uint32_t levels[FILTERS], in_row, in_item;
    uint64_t number;

    m->col = (uint32_t)(place % s->columns);
    c = &m->columns[m->col];
    in_row = (uint32_t)(place % row);
    in_item = (uint32_t)(place % item);
    look(m, s, v, i, &a);
    recall(m, s, v, i);
    for (int f = 0; f < FILTERS; f++) {
        int64_t dot = 0, sum;

        for (int k = 0; k < TAPS; k++)
            dot += (int64_t)a.taps[k] * c->weights[f][k];
        sum = a.base * 16 + (clipped(dot >> 16, 32767) * (int64_t)c->unit >> 4);
        made[f] = m->mean[f] = sum < 0 ? 0 : sum > top ? top : sum;
    }
    levels[0] = level_wide((c->fast >> 3) + (c->slow >> 8));
    levels[1] = level_wide((c->slow >> 7) + size_of(c->last[0]) / 2);
    m->level = levels[0];
    for (int f = 0; f < FILTERS; f++) {
        uint64_t scale = m->scales[f][levels[f]] >> 6;

        m->scale[f] = scale < 3 ? 3 : scale;
    }
    m->mean[2] = c->mean >> 7;
    m->scale[2] = (c->away >> 7) < 3 ? 3 : c->away >> 7;

    if (s->window)
        hash_errors(m, s, made, levels, in_row);
    else
        hash_numbers(m, s, &a, made[0], in_row, in_item);
    m->candidate = m->length ? m->expected : m->good[0] >= m->good[1] ? a.W : a.N;
    number = code_number(m, s, decoding, v[i]);
    v[i] = number;

    /* learn */
    m->good[0] = (uint16_t)(m->good[0] + (((number == a.W ? 65535 : 0) - m->good[0]) >> 6));
    m->good[1] = (uint16_t)(m->good[1] + (((number == a.N ? 65535 : 0) - m->good[1]) >> 6));

    int64_t exact = (int64_t)number * 16, error = exact - made[0], changed = exact - a.base * 16,
            away = exact - (c->mean >> 7);
    uint64_t size = size_of(error);

    for (int f = 0; f < FILTERS; f++) {
        int64_t e = exact - made[f];
        uint64_t *scale = &m->scales[f][levels[f]];
        int64_t factor = in_units(e, c) * ((int64_t)1 << (f ? 28 : 24)) / a.energy / 16;

        *scale += size_of(e) - (*scale >> 6);
        for (int k = 0; k < TAPS; k++)
            c->weights[f][k] = clipped(c->weights[f][k] + ((factor * a.taps[k]) >> 16), 1 << 22);
    }
    c->last[1] = c->last[0];
    c->last[0] = error;
    c->fast = c->fast - (c->fast >> 2) + (size << 1);
    c->slow = c->slow - (c->slow >> 5) + (size << 2);
    c->change = c->change - (c->change >> 5) + size_of(changed);
    c->mean += away;
    c->away = c->away - (c->away >> 7) + size_of(away);
    measure(c);
    return decoding || m->coder.out <= m->coder.out_end;
}

AEI_CLONES static bool encode_tile(aei_array_model *m, const aei_array_shape *s, uint64_t *values)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (!code_one(m, s, false, values, i, s->first + i))
            return false;
    return true;
}

AEI_CLONES static void decode_tile(aei_array_model *m, const aei_array_shape *s, uint64_t *values)
{
    for (uint32_t i = 0; i < s->n; i++)
        code_one(m, s, true, values, i, s->first + i);
}

enum { SLACK = 1024 /* a number never takes more bytes */ };

ae_status aei_array_model_encode(aei_array_model *m, const aei_array_shape *s,
                                 const uint64_t *values, size_t most, const uint8_t **bytes,
                                 size_t *n_bytes, ae_error *err)
{
    *n_bytes = 0;
    if (most + SLACK > m->room) {
        ae_free(m->bytes);
        m->room = 0;
        if (!(m->bytes = ae_alloc(most + SLACK, 1)))
            return ae_fail(err, AE_ERR_NOMEM, "a tile of an array");
        m->room = most + SLACK;
    }
    reset(m, s);
    m->coder.out = m->bytes;
    m->coder.out_end = m->bytes + most;
    *bytes = m->bytes;
    if (encode_tile(m, s, (uint64_t *)(uintptr_t)values)) /* they become what they are */
        *n_bytes = (size_t)(aei_decider_end(&m->coder, m->bytes) - m->bytes);
    return AE_OK;
}

void aei_array_model_decode(aei_array_model *m, const aei_array_shape *s, const uint8_t *bytes,
                            size_t n_bytes, uint64_t *values)
{
    reset(m, s);
    aei_decider_begin(&m->coder, bytes, n_bytes);
    decode_tile(m, s, values);
}
