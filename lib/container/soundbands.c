/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The bits of a block of spectra: levels of bands, which of them have coefficients, and these.
 * What is expected of each comes of the blocks before and the bands below. What the decoder must
 * know is decided by code that coder and decoder share, so that they cannot come to differ. */
#include "soundbands.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "audio/mdct.h"
#include "core/clones.h"
#include "predict.h"

enum {
    BIG = 1 << AEI_BANDS_LARGEST,
    CONTEXTS = N_CONTEXTS,
    HALF_ROOT = 759250125, /* 2^30 / sqrt(2) */
    MOST_LEVEL = 112,      /* four an octave: of coefficients up to 2^28 */
    ONE = AEI_BANDS_ONE,
    LOG = AEI_BANDS_LOG,
    LEVEL = LOG / 4,  /* of a level */
    RATIOS = 48,      /* how loud a band is above its step, four an octave, from 2^-4 on */
    QUIET = -2 * LOG, /* bands that far below their step have no coefficients */
    MOST_MAGNITUDE = 1 << 18,
    HEAD_BYTES = 8 + AEI_BANDS_FILLS + 2
};

/* Sets of weights of the mixer. */
enum { SET_LEVEL = 0, SET_FLAG = 1, SET_COEFFICIENT = 2 };

typedef struct channel {
    uint8_t level[AEI_BANDS_MOST], coded[AEI_BANDS_MOST]; /* of this block */
    /* levels of the last two blocks, by this block's bands */
    uint8_t before[AEI_BANDS_MOST], earlier[AEI_BANDS_MOST];
    uint8_t coded_before[AEI_BANDS_MOST];
    uint8_t mags[BIG + 8]; /* of this block, behind 4 zeros */
    uint16_t around[BIG];  /* of the last block about each place of this one */
    bool fresh;            /* there was no block yet */
    uint32_t noise;
} channel;

struct aei_bands_coder {
    aei_decider decider;
    channel channels[AEI_BANDS_CHANNELS];
    uint8_t mid[AEI_BANDS_MOST], mid_before[AEI_BANDS_CHANNELS / 2][AEI_BANDS_MOST];
    int32_t level_error[3][2][16]; /* mean of |level - expected|, 1/4096 */
    int32_t mean0[16][16], mean1[RATIOS][8], mean2[N_LEVELS][4]; /* of magnitudes, 1/4096 */
    uint16_t count0[16][16], count1[RATIOS][8], count2[N_LEVELS][4];
    /* log2 of the samples of this block, of the one before, of a cell */
    uint32_t log2n, last, cell;
    uint32_t n; /* bands of this block */
    uint16_t starts[AEI_BANDS_MOST + 1], last_starts[AEI_BANDS_MOST + 1];
    uint32_t last_n;
    uint8_t *bytes;
    size_t room;

    /* encoding */
    double fill_sum[AEI_BANDS_FILLS], bias_sum[2];
    uint64_t fill_n[AEI_BANDS_FILLS], bias_n[2];
    float zero_bits[N_LEVELS], more_bits[N_LEVELS], first_bits[N_LEVELS]; /* by mean magnitude */
};

/* ---- numbers ---- */

static int32_t powers[LOG];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Powers of the 256th root of 2, in whole numbers. */
static void make_powers(void)
{
    __extension__ typedef unsigned __int128 wide;
    const uint64_t root = 0x402c6be96af2fb58; /* 2^62 2^(1/256) */
    uint64_t v = UINT64_C(1) << 62;

    for (int i = 0; i < LOG; i++) {
        powers[i] = (int32_t)((v + (UINT64_C(1) << 31)) >> 32);
        v = (uint64_t)((wide)v * root >> 62);
    }
}

int32_t aei_bands_power(uint32_t x)
{
    pthread_once(&once, make_powers);
    return powers[x % LOG];
}

/* log2 v, in 1/256 but rounded down to 1/32. */
static int32_t log_of(uint32_t v)
{
    int32_t e = log2_floor(v), i = 0;

    while (i < 31 && (uint64_t)v << 30 >= (uint64_t)(uint32_t)aei_bands_power(8 * ((uint32_t)i + 1))
                                              << e)
        i++;
    return e * LOG + 8 * i;
}

uint32_t aei_bands_of(const aei_bands_head *head, uint32_t log2n,
                      uint16_t starts[AEI_BANDS_MOST + 1])
{
    uint32_t n = 0, all = 1u << log2n, at = 0;

    while (at < all) {
        uint32_t width = at / head->divisor > head->least ? at / head->divisor : head->least;

        starts[n++] = (uint16_t)at;
        at = all - at < width + width / 2 || n == AEI_BANDS_MOST ? all : at + width;
    }
    starts[n] = (uint16_t)all;
    return n;
}

int32_t aei_bands_step(const aei_bands_head *head, uint32_t level, uint32_t width)
{
    int32_t s = head->step + (int32_t)(head->gamma * LEVEL * level / ONE) +
                head->tilt * log_of(width) / ONE;
    /* else magnitudes would leave their range */
    int32_t least = (int32_t)(LEVEL * level) - 14 * LOG;

    s = s < least ? least : s;
    return s < 0 ? 0 : s > 27 * LOG ? 27 * LOG : s;
}

/* (v 2^(s/256)) / 2^down, within 2^28. */
static int32_t scaled(int32_t v, int32_t s, int down)
{
    int64_t x = (int64_t)v * powers[s % LOG]; /* 30 bits behind the point */
    int shift = 30 + down - s / LOG;

    x = shift > 0 ? (x + (INT64_C(1) << (shift - 1))) >> shift : x << -shift;
    return (int32_t)(x > 1 << 28 ? 1 << 28 : x < -(1 << 28) ? -(1 << 28) : x);
}

static uint32_t ratio_class(uint32_t level, int32_t step)
{
    int32_t r = (LEVEL * (int32_t)level - step + 4 * LOG) / LEVEL;

    return (uint32_t)(r < 0 ? 0 : r >= RATIOS ? RATIOS - 1 : r);
}

static uint32_t fill_class(uint32_t ratio)
{
    uint32_t c = ratio < 10 ? 0 : (ratio - 8) / 2;

    return c < AEI_BANDS_FILLS ? c : AEI_BANDS_FILLS - 1;
}

/* ---- what was learnt ---- */

aei_bands_coder *aei_bands_create(void)
{
    aei_bands_coder *k = ae_alloc(1, sizeof(aei_bands_coder));

    pthread_once(&once, make_powers);
    for (int i = 0; k && i < N_LEVELS; i++) {
        /* of a Laplacian of that mean, |x| up to 5/8 being 0 */
        double mean = (i < 4 ? i + 0.5 : ldexp(4 + (i & 3) + 0.5, i / 4 - 1)) / 64,
               fall = exp(-1 / fmax(mean, 0.02));

        k->zero_bits[i] = (float)-log2(1 - pow(fall, 0.625));
        k->first_bits[i] = (float)(1 - log2(pow(fall, 0.625)) - log2(1 - fall));
        k->more_bits[i] = (float)-log2(fall);
    }
    return k;
}

void aei_bands_free(aei_bands_coder *k)
{
    if (!k)
        return;
    ae_free(k->bytes);
    ae_free(k);
}

static void reset(aei_bands_coder *k, uint32_t channels)
{
    aei_decider_reset(&k->decider);
    for (unsigned i = 0; i < N_SETS; i++) {
        int32_t *w = k->decider.weights[0][i];

        for (unsigned j = 0; j < CONTEXTS; j++)
            w[j] = 65536 * 10 / 100;
        w[N_CONTEXTS] = w[N_CONTEXTS + 1] = w[N_CONTEXTS + 2] = 65536 * 20 / 100;
    }
    for (uint32_t c = 0; c < channels; c++) {
        channel *ch = &k->channels[c];

        memset(ch, 0, sizeof(*ch));
        ch->fresh = true;
        ch->noise = 1 + c;
    }
    memset(k->mid, 0, sizeof(k->mid));
    memset(k->mid_before, 0, sizeof(k->mid_before));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++)
            for (int l = 0; l < 16; l++)
                k->level_error[i][j][l] = 24 << 8;
    for (int a = 0; a < 16; a++)
        for (int b = 0; b < 16; b++) {
            k->mean0[a][b] = ((a * 3 + b * 3) << 8) + 256;
            k->count0[a][b] = 0;
        }
    for (int a = 0; a < RATIOS; a++)
        for (int b = 0; b < 8; b++) {
            /* 0.7 of the level */
            k->mean1[a][b] = (int32_t)((((uint32_t)powers[a % 4 * LEVEL] >> 20) << (a / 4)) >> 3) +
                             b * 512;
            k->count1[a][b] = 0;
        }
    for (int a = 0; a < N_LEVELS; a++)
        for (int b = 0; b < 4; b++) {
            k->mean2[a][b] = (int32_t)(a < 4 ? (uint32_t)a : (4u + (a & 3)) << (a / 4 - 1)) << 6;
            k->count2[a][b] = 0;
        }
    k->last_n = 0;
}

/* The mean m of what is in 1/4096, of which n were seen. */
static inline void learn(int32_t *m, uint16_t *n, int32_t v)
{
    int32_t rate = *n < 30 ? *n + 4 : 34;

    *m += ((v << 8) - *m) / rate;
    *n = (uint16_t)(*n + (*n < 30));
}

/* ---- a block ---- */

/* What the last block was, seen by the bands and places of this one. */
static void turn_to(aei_bands_coder *k, const aei_bands_head *head, uint32_t channels,
                    uint32_t log2n)
{
    uint32_t n = 1u << log2n, old = k->last_n;
    uint16_t *starts = k->starts;

    memcpy(k->last_starts, k->starts, sizeof(k->starts));
    k->n = aei_bands_of(head, log2n, starts);
    k->log2n = log2n;
    for (uint32_t c = 0; c < channels; c++) {
        channel *ch = &k->channels[c];
        uint8_t level[AEI_BANDS_MOST], before[AEI_BANDS_MOST], coded[AEI_BANDS_MOST];
        const uint8_t *m = ch->mags + 4;

        memcpy(level, ch->level, sizeof(level));
        memcpy(before, ch->before, sizeof(before));
        memcpy(coded, ch->coded, sizeof(coded));
        for (uint32_t b = 0, o = 0; b < k->n && old; b++) {
            uint32_t middle = (starts[b] + (uint32_t)starts[b + 1]) << k->last >> (log2n + 1);

            while (o + 1 < old && k->last_starts[o + 1] <= middle)
                o++;
            ch->before[b] = level[o];
            ch->earlier[b] = ch->fresh ? level[o] : before[o];
            ch->coded_before[b] = coded[o];
        }
        for (uint32_t i = 0; i < n && old; i++) {
            uint32_t at = log2n >= k->last ? i >> (log2n - k->last) : i << (k->last - log2n);

            ch->around[i] = (uint16_t)(m[(int32_t)at - 1] + 2 * m[at] + m[at + 1]);
            if (log2n < k->last)
                ch->around[i] = (uint16_t)(m[at] + 2 * (m[at] > m[at + 1] ? m[at] : m[at + 1]) +
                                           m[at + 1]);
        }
        ch->fresh = !old;
    }
    k->last = log2n;
    k->last_n = k->n;
}

static inline int32_t clip(int32_t v, int32_t most)
{
    return v < -most ? -most : v > most ? most : v;
}

static inline density density_of(int32_t mean, int32_t deviation)
{
    int32_t s = deviation >> 8 < 3 ? 3 : deviation >> 8;

    return (density){.mean = mean, .scale = (16384 << 12) / (int32_t)(((int64_t)s * 185) >> 8 | 1)};
}

static inline void choose_slots(aei_bands_coder *k, const uint32_t slot[CONTEXTS])
{
    for (unsigned i = 0; i < CONTEXTS; i++)
        k->decider.slot[i] = k->decider.counters[i][slot[i] % SLOTS];
}

/* The level that is cheapest for what it misses. */
static int32_t choose_level(double exact, int32_t expected, float lambda)
{
    int32_t nearest = (int32_t)lrint(exact), best = nearest;
    double least = INFINITY;

    for (int32_t e = nearest - 3; e <= nearest + 3; e++) {
        int32_t off = e > expected ? e - expected : expected - e;
        double cost = (e - exact) * (e - exact) + lambda * (off ? 1.7 + 0.9 * off : 0.8);

        if (e >= 1 && cost < least)
            least = cost, best = e;
    }
    return best < 1 ? 1 : best > MOST_LEVEL ? MOST_LEVEL : best;
}

AEI_INLINE void code_level(aei_bands_coder *k, bool decoding, uint32_t c, uint32_t b, double exact,
                           float lambda)
{
    channel *ch = &k->channels[c];
    const channel *other = c & 1 ? ch - 1 : NULL;
    int32_t d1 = !ch->fresh && b > 0 ? ch->level[b - 1] - ch->before[b - 1] : 0;
    int32_t d2 = !ch->fresh && b > 1 ? ch->level[b - 2] - ch->before[b - 2] : 0;
    int32_t od = other && !other->fresh ? other->level[b] - other->before[b] : 0;
    int32_t last = ch->fresh ? b ? ch->level[b - 1] : other ? other->level[0] : 40 : ch->before[b];
    int32_t earlier = ch->fresh ? last : ch->earlier[b], left = b ? ch->level[b - 1] : last;
    int32_t means[3] = {12 * last + 4 * earlier + 7 * d1 + 2 * d2 + 5 * od,
                        8 * last + 8 * earlier + 4 * od, 11 * last + 5 * left};
    uint32_t short_one = k->log2n < k->cell, where = b / 4 < 15 ? b / 4 : 15, slot[CONTEXTS];
    int32_t expected = (means[0] + 8) >> 4, q = 0;
    density d[N_DENSITIES];

    expected = expected < 0 ? 0 : expected > MOST_LEVEL ? MOST_LEVEL : expected;
    for (int i = 0; i < 3; i++)
        d[i] = density_of(means[i] - 16 * expected, k->level_error[i][ch->fresh][where]);
    slot[0] = b + 64 * ch->fresh + 128 * short_one;
    slot[1] = (uint32_t)(clip(d1, 7) + 8 + 16 * (clip(d2, 3) + 4)) + 128;
    slot[2] = (uint32_t)(clip(last - earlier, 7) + 8 + 16 * (clip(d1 / 2, 3) + 4));
    slot[3] = other ? (uint32_t)(clip(od, 7) + 8 + 16 * (clip(d1 / 2, 3) + 4)) + 256 : 255;
    slot[4] = (uint32_t)(clip(left - last, 15) + 16 + 32 * (last < 8 ? last : 8));
    slot[5] = (ch->coded_before[b]) + 2 * (b ? ch->coded[b - 1] : 0u) + 4 * where;
    slot[6] = 1200 + (uint32_t)(clip(od, 3) + 3) + 8 * c;
    choose_slots(k, slot);
    k->decider.set0 = k->decider.weights[0][(SET_LEVEL + 4 * (c & 1)) * NODES];
    k->decider.set1 = k->decider.weights[1][SET_LEVEL * NODES];
    if (!decoding)
        q = (exact > 0 ? choose_level(exact, expected, lambda) : 0) - expected;
    q = expected + code_difference(&k->decider, decoding, q, d, 1, 0);
    q = q < 0 ? 0 : q > MOST_LEVEL ? MOST_LEVEL : q;
    ch->level[b] = (uint8_t)q;
    for (int i = 0; i < 3; i++) {
        int32_t *e = &k->level_error[i][ch->fresh][where];

        *e += ((int32_t)(magnitude(16 * q - means[i]) << 8) - *e) / 24;
    }
}

AEI_INLINE bool code_flag(aei_bands_coder *k, bool decoding, bool bit, uint32_t p, unsigned node,
                          const uint32_t slot[CONTEXTS])
{
    uint32_t all[N_DENSITIES] = {p, p, p};

    choose_slots(k, slot);
    k->decider.set0 = k->decider.weights[0][SET_FLAG * NODES];
    k->decider.set1 = k->decider.weights[1][SET_FLAG * NODES];
    return decide_by(&k->decider, decoding, bit, node, all, CONTEXTS);
}

AEI_INLINE bool code_coded(aei_bands_coder *k, bool decoding, uint32_t c, uint32_t b,
                           uint32_t ratio, bool bit)
{
    const channel *ch = &k->channels[c];
    uint32_t left = b ? ch->coded[b - 1] : 1, before = ch->coded_before[b],
             beside = c & 1 ? k->channels[c - 1].coded[b] : 2;
    uint32_t near = left + 2 * before + 4 * beside;
    const uint32_t slot[CONTEXTS] = {ratio + 64 * before + 128,
                                     ratio / 4 + 16 * near + 256,
                                     b + 64 * near,
                                     near + 16 * (k->log2n & 15),
                                     ratio / 2 + 32 * (b / 4) + 512,
                                     ratio + 64 * left + 256,
                                     1100 + near};

    return code_flag(k, decoding, bit, squash(k->decider.t, ((int32_t)ratio - 16) * 96), 1, slot);
}

AEI_INLINE bool code_mid(aei_bands_coder *k, bool decoding, uint32_t pair, uint32_t b, bool bit)
{
    uint32_t left = b ? k->mid[b - 1] : 0, before = k->mid_before[pair][b],
             near = left + 2 * before;
    const uint32_t slot[CONTEXTS] = {near + 1024,
                                     b + 64 * before + 1024,
                                     b + 64 * near + 1024,
                                     near + 1024,
                                     1024 + left,
                                     1024 + before,
                                     1024};

    return code_flag(k, decoding, bit, before ? 50000 : 16000, 2, slot);
}

/* ---- coefficients ---- */

static inline uint32_t small(uint32_t v)
{
    return v < 4 ? v : v < 6 ? 4 : v < 9 ? 5 : v < 14 ? 6 : 7;
}

static inline uint32_t medium(uint32_t v)
{
    return v < 8    ? v
           : v < 10 ? 8
           : v < 13 ? 9
           : v < 17 ? 10
           : v < 24 ? 11
           : v < 34 ? 12
           : v < 50 ? 13
           : v < 90 ? 14
                    : 15;
}

/* The size of q, and its sign. Half a step each side of 0, and an eighth more, is 0. */
AEI_INLINE int32_t code_value(aei_decider *c, bool decoding, int32_t q, density d[N_DENSITIES])
{
    const aei_decision_tables *t = c->t;
    uint32_t p[N_DENSITIES], at[N_DENSITIES];
    int32_t m = (int32_t)magnitude(q) - 1, base = 0;
    int negative, bits = 0;

    for (int i = 0; i < N_DENSITIES; i++) {
        d[i].near = beyond(t, &d[i], 10, 1);
        d[i].at = 0;
        p[i] = ratio((1u << 30) - 2 * d[i].near, 1u << 30);
    }
    if (decide_by(c, decoding, q == 0, 0, p, CONTEXTS))
        return 0;
    negative = code_bit(c, decoding, q < 0, 32768);
    for (unsigned i = 0;; i++) {
        int32_t next = base + (1 << bits);

        split(t, d, 16 * next + 8, 1, p, at);
        if (next >= MOST_MAGNITUDE ||
            !decide_by(c, decoding, m >= next, 1 + (i < 15 ? i : 15), p, CONTEXTS))
            break;
        for (int j = 0; j < N_DENSITIES; j++)
            d[j].near = at[j];
        base = next;
        bits += i >= 7;
    }
    for (int i = 0; i < N_DENSITIES; i++)
        d[i].at = at[i];
    while (bits > 0) {
        int32_t next = base + (1 << --bits);
        int bit;

        at[0] = beyond(t, &d[0], 16 * next + 8, 1);
        bit = code_bit(c, decoding, m >= next, ratio(at[0] - d[0].at, d[0].near - d[0].at));
        *(bit ? &d[0].near : &d[0].at) = at[0];
        if (bit)
            base = next;
    }
    return negative ? -base - 1 : base + 1;
}

/* The magnitude of least cost: distance in squares of the step, and bits. */
static inline int32_t choose_magnitude(const aei_bands_coder *k, float x, uint32_t level,
                                       float lambda)
{
    int32_t near = (int32_t)(x + 0.5f), best;
    float least, cost;

    if (!near)
        return 0;
    best = near;
    least = (x - (float)near) * (x - (float)near) +
            lambda * (k->first_bits[level] + (float)(near - 1) * k->more_bits[level]);
    if (near > 1) {
        cost = (x - (float)near + 1) * (x - (float)near + 1) +
               lambda * (k->first_bits[level] + (float)(near - 2) * k->more_bits[level]);
        if (cost < least)
            least = cost, best = near - 1;
    }
    cost = x * x + lambda * k->zero_bits[level];
    return cost < least ? 0 : best;
}

AEI_INLINE void code_band(aei_bands_coder *k, bool decoding, uint32_t c, uint32_t b, int32_t step,
                          uint32_t ratio, int32_t *x, const aei_bands_plan *plan)
{
    channel *ch = &k->channels[c];
    uint8_t *mags = ch->mags + 4;
    const uint8_t *beside = c & 1 ? k->channels[c - 1].mags + 4 : NULL;
    const uint32_t fill = fill_class(ratio), from = k->starts[b], to = k->starts[b + 1];
    const float inverse = decoding ? 0 : (float)exp2(-step / (double)LOG);
    const uint32_t short_one = k->log2n < k->cell;

    k->decider.set1 = k->decider.weights[1][(ratio / 8) * NODES];
    for (uint32_t i = from; i < to; i++) {
        uint32_t a1 = mags[(int32_t)i - 1], a2 = mags[(int32_t)i - 2], w = ch->around[i];
        uint32_t o = beside ? 2u * beside[i] + beside[(int32_t)i - 1] + beside[i + 1] : 0;
        uint32_t far = a1 + a2 + mags[(int32_t)i - 3] + mags[(int32_t)i - 4];
        uint32_t own = 2 * a1 + a2, all = 8 * own + 5 * w + (beside ? 3 * o : 0) + 4 * far;
        uint32_t A = medium(own), W = medium(w),
                 O = beside ? o < 2   ? o
                              : o < 5 ? 2
                                      : 3
                            : 0,
                 F = small(far), l2;
        uint32_t slot[CONTEXTS];
        int32_t *m0 = &k->mean0[A][W], *m1 = &k->mean1[ratio][F], *m2, s, q = 0, v;
        density d[N_DENSITIES];

        l2 = (uint32_t)level_of(all + (uint32_t)(k->mean1[ratio][0] >> 8) * 4);
        m2 = &k->mean2[l2][O];
        s = (*m0 + *m1 + 2 * *m2) >> 2;
        d[0] = density_of(0, s);
        d[1] = density_of(0, *m2);
        d[2] = density_of(0, *m1);
        slot[0] = A + 16 * W + 256 * (beside ? 1 + O : 0);
        slot[1] = ratio + 64 * (small(a1) + 8 * (w < 1 ? 0 : w < 4 ? 1 : 2));
        slot[2] = b + 64 * small(own) + 512 * (w < 1 ? 0 : w < 3 ? 1 : 2);
        slot[3] = beside ? small(o) + 8 * small(beside[i]) + 64 * small(all / 16) : 1000 + l2;
        slot[4] = F + 8 * ratio + 512 * (W / 4);
        slot[5] = l2 + 128 * (a1 < 3 ? a1 : 3) + 512 * short_one;
        slot[6] = 3 * small(a1) + small(a2) + 64 * W + 1024 * short_one;
        choose_slots(k, slot);
        k->decider.set0 = k->decider.weights[0][(SET_COEFFICIENT + (c & 1)) * NODES];
        if (!decoding) {
            float target = fabsf((float)x[i] * inverse);

            q = choose_magnitude(k, target < MOST_MAGNITUDE / 2 ? target : MOST_MAGNITUDE / 2,
                                 (uint32_t)level_of((uint32_t)(s >> 6)), plan->lambda);
            if (!q) {
                k->fill_sum[fill] += (double)target * target;
                k->fill_n[fill]++;
            } else {
                k->bias_sum[q > 1] += q - (double)target;
                k->bias_n[q > 1]++;
            }
            q = x[i] < 0 ? -q : q;
        }
        q = code_value(&k->decider, decoding, q, d);
        if (decoding)
            x[i] = q;
        v = (int32_t)magnitude(q);
        mags[i] = (uint8_t)(v < 255 ? v : 255);
        v = v < 4096 ? v * 16 : 65536;
        learn(m0, &k->count0[A][W], v);
        learn(m1, &k->count1[ratio][F], v);
        learn(m2, &k->count2[l2][O], v);
    }
}

/* ---- back to coefficients ---- */

/* Noise is of random sign. */
static inline int32_t noisy(channel *ch, int32_t v)
{
    ch->noise = ch->noise * 1664525 + 1013904223;
    return ch->noise >> 31 ? -v : v;
}

static void restore_band(const aei_bands_coder *k, channel *ch, const aei_bands_head *head,
                         uint32_t b, int32_t step, int32_t *x)
{
    uint32_t from = k->starts[b], to = k->starts[b + 1];

    if (ch->coded[b]) {
        int32_t none = scaled(head->fill[fill_class(ratio_class(ch->level[b], step))], step, 6);

        for (uint32_t i = from; i < to; i++) {
            int32_t m = (int32_t)magnitude(x[i]), v = 64 * m - head->bias[m > 1];

            x[i] = !m ? noisy(ch, none) : x[i] < 0 ? -scaled(v, step, 6) : scaled(v, step, 6);
        }
    } else {
        int32_t v = ch->level[b] ? scaled(head->gain, LEVEL * ch->level[b], 5) : 0;

        for (uint32_t i = from; i < to; i++)
            x[i] = noisy(ch, v);
    }
}

static void turn_pair(int32_t *x, int32_t *y, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        int64_t sum = (int64_t)x[i] + y[i], difference = (int64_t)x[i] - y[i];

        x[i] = (int32_t)((sum * HALF_ROOT + (1 << 29)) >> 30);
        y[i] = (int32_t)((difference * HALF_ROOT + (1 << 29)) >> 30);
    }
}

/* ---- a tile ---- */

static double exact_level(const int32_t *x, uint32_t from, uint32_t to)
{
    double sum = 0;

    for (uint32_t i = from; i < to; i++)
        sum += (double)x[i] * x[i];
    sum /= to - from;
    return sum < 0.5 ? 0 : fmax(2 * log2(sum), 0.5);
}

/* Whether coefficients are worth their bits, which are guessed without neighbours. */
static bool worth_coding(const aei_bands_coder *k, const int32_t *x, uint32_t from, uint32_t to,
                         int32_t step, uint32_t ratio, float lambda)
{
    uint32_t level = (uint32_t)level_of((uint32_t)(k->mean1[ratio][2] >> 6));
    float inverse = (float)exp2(-step / (double)LOG), gain = 0;

    for (uint32_t i = from; i < to; i++) {
        float v = fabsf((float)x[i] * inverse);
        int32_t q = choose_magnitude(k, fminf(v, MOST_MAGNITUDE / 2), level, lambda);

        if (q)
            gain += v * v - (v - (float)q) * (v - (float)q) -
                    lambda * (k->first_bits[level] + (float)(q - 1) * k->more_bits[level] -
                              k->zero_bits[level]);
        gain -= lambda * k->zero_bits[level] * 0.5f;
    }
    return gain > 0;
}

AEI_INLINE bool code_channel(aei_bands_coder *k, bool decoding, const aei_bands_head *head,
                             uint32_t c, int32_t *x, const aei_bands_plan *plan)
{
    channel *ch = &k->channels[c];

    for (uint32_t b = 0; b < k->n; b++)
        code_level(k, decoding, c, b, decoding ? 0 : exact_level(x, k->starts[b], k->starts[b + 1]),
                   decoding ? 0 : plan->level_lambda);
    memset(ch->mags, 0, sizeof(ch->mags));
    for (uint32_t b = 0; b < k->n; b++) {
        uint32_t width = (uint32_t)k->starts[b + 1] - k->starts[b];
        int32_t step = aei_bands_step(head, ch->level[b], width);
        uint32_t ratio = ratio_class(ch->level[b], step);
        bool coded = false;

        if (ch->level[b] && LEVEL * ch->level[b] - step > QUIET) {
            if (!decoding)
                coded = worth_coding(k, x, k->starts[b], k->starts[b + 1], step, ratio,
                                     plan->lambda);
            coded = code_coded(k, decoding, c, b, ratio, coded);
        }
        ch->coded[b] = coded;
        if (coded)
            code_band(k, decoding, c, b, step, ratio, x, plan);
        if (decoding)
            restore_band(k, ch, head, b, step, x);
        if (!decoding && k->decider.out > k->decider.out_end)
            return false;
    }
    return true;
}

AEI_INLINE bool code_block(aei_bands_coder *k, bool decoding, const aei_bands_head *head,
                           uint32_t channels, int32_t *const *x, size_t at, const uint8_t *mid,
                           const aei_bands_plan *plan)
{
    for (uint32_t c = 0; c < channels; c++) {
        bool paired = (c | 1) < channels;

        if (paired && !(c & 1)) {
            for (uint32_t b = 0; b < k->n; b++)
                k->mid[b] = code_mid(k, decoding, c / 2, b,
                                     !decoding && mid[c / 2 * AEI_BANDS_MOST + b]);
            for (uint32_t b = 0; b < k->n && !decoding; b++)
                if (k->mid[b])
                    turn_pair(x[c] + at, x[c + 1] + at, k->starts[b], k->starts[b + 1]);
        }
        if (!code_channel(k, decoding, head, c, x[c] + at, plan))
            return false;
        if (paired && c & 1) {
            for (uint32_t b = 0; b < k->n && decoding; b++)
                if (k->mid[b])
                    turn_pair(x[c - 1] + at, x[c] + at, k->starts[b], k->starts[b + 1]);
            memcpy(k->mid_before[c / 2], k->mid, sizeof(k->mid));
        }
    }
    return true;
}

static uint32_t code_split(aei_bands_coder *k, bool decoding, uint32_t split, uint32_t last)
{
    const uint32_t slot[CONTEXTS] = {1500 + last, 1500, 1500, 1500, 1500, 1500, 1500};
    uint32_t i = 0;

    while (i < AEI_BANDS_SPLITS && code_flag(k, decoding, split > i, 16384, 3 + i, slot))
        i++;
    return i;
}

AEI_INLINE bool code_cells(aei_bands_coder *k, bool decoding, const aei_bands_head *head,
                           uint32_t channels, uint32_t cells, uint32_t log2n, uint8_t *splits,
                           int32_t *const *x, const aei_bands_plan *plan)
{
    uint32_t pairs = channels / 2;

    k->cell = log2n;
    for (uint32_t i = 0; i < cells; i++) {
        splits[i] = (uint8_t)code_split(k, decoding, splits[i], i ? splits[i - 1] : 0);
        for (uint32_t j = 0; j < 1u << splits[i]; j++) {
            size_t at = ((size_t)i << log2n) + ((size_t)j << (log2n - splits[i]));

            turn_to(k, head, channels, log2n - splits[i]);
            if (!code_block(k, decoding, head, channels, x, at,
                            decoding ? NULL
                                     : plan->mid + ((size_t)i * AEI_BANDS_BLOCKS + j) * pairs *
                                                       AEI_BANDS_MOST,
                            plan))
                return false;
        }
    }
    return true;
}

AEI_CLONES static bool encode_cells(aei_bands_coder *k, const aei_bands_head *head,
                                    uint32_t channels, uint32_t cells, uint32_t log2n,
                                    int32_t *const *x, const aei_bands_plan *plan)
{
    return code_cells(k, false, head, channels, cells, log2n, plan->splits, x, plan);
}

AEI_CLONES static void decode_cells(aei_bands_coder *k, const aei_bands_head *head,
                                    uint32_t channels, uint32_t cells, uint32_t log2n,
                                    uint8_t *splits, int32_t *const *x)
{
    code_cells(k, true, head, channels, cells, log2n, splits, x, NULL);
}

static void put_head(aei_buffer *out, const aei_bands_head *h)
{
    aei_put_u8(out, (uint8_t)h->lift);
    aei_put_u8(out, h->least);
    aei_put_u8(out, h->divisor);
    aei_put_u8(out, (uint16_t)h->step & 255);
    aei_put_u8(out, (uint16_t)h->step >> 8);
    aei_put_u8(out, h->gamma);
    aei_put_u8(out, h->tilt);
    aei_put_u8(out, h->gain);
    aei_put(out, h->fill, sizeof(h->fill));
    aei_put(out, h->bias, sizeof(h->bias));
}

static bool take_head(aei_cursor *at, aei_bands_head *h)
{
    const uint8_t *p = aei_take(at, HEAD_BYTES);

    if (!p)
        return false;
    h->lift = (int8_t)p[0];
    h->least = p[1];
    h->divisor = p[2];
    h->step = (int16_t)(p[3] | p[4] << 8);
    h->gamma = p[5];
    h->tilt = p[6];
    h->gain = p[7];
    memcpy(h->fill, p + 8, sizeof(h->fill));
    memcpy(h->bias, p + 8 + sizeof(h->fill), sizeof(h->bias));
    return h->least >= 1 && h->divisor >= 1;
}

enum { SLACK = 4096 /* a band never takes more bytes at once */ };

ae_status aei_bands_encode(aei_bands_coder *k, aei_bands_head *head, uint32_t channels,
                           uint32_t cells, uint32_t log2n, const aei_bands_plan *plan,
                           int32_t *const *x, aei_buffer *out, ae_error *err)
{
    size_t most = ((size_t)cells << log2n) * channels * 4 + SLACK;

    if (most > k->room) {
        ae_free(k->bytes);
        k->room = 0;
        if (!(k->bytes = ae_alloc(most + ((size_t)8 << AEI_BANDS_LARGEST), 1)))
            return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
        k->room = most;
    }
    reset(k, channels);
    memset(k->fill_sum, 0, sizeof(k->fill_sum));
    memset(k->fill_n, 0, sizeof(k->fill_n));
    memset(k->bias_sum, 0, sizeof(k->bias_sum));
    memset(k->bias_n, 0, sizeof(k->bias_n));
    k->decider.out = k->bytes;
    k->decider.out_end = k->bytes + most;
    if (!encode_cells(k, head, channels, cells, log2n, x, plan))
        return ae_fail(err, AE_ERR_LIMIT,
                       "a tile of sound that takes more than 32 bits a coefficient");
    for (int i = 0; i < AEI_BANDS_FILLS; i++)
        head->fill[i] = (uint8_t)(k->fill_n[i] ? lrint(2.0 * head->gain *
                                                       sqrt(k->fill_sum[i] / (double)k->fill_n[i]))
                                               : 0);
    for (int i = 0; i < 2; i++)
        head->bias[i] = (uint8_t)(k->bias_n[i] ? lrint(fmax(0, fmin(63, 64 * k->bias_sum[i] /
                                                                            (double)k->bias_n[i])))
                                               : 0);
    put_head(out, head);
    aei_put(out, k->bytes, (size_t)(aei_decider_end(&k->decider, k->bytes) - k->bytes));
    return out->failed ? ae_fail(err, AE_ERR_NOMEM, "a coded tile") : AE_OK;
}

ae_status aei_bands_decode(aei_bands_coder *k, const void *data, size_t n_bytes, uint32_t channels,
                           uint32_t cells, uint32_t log2n, aei_bands_head *head, uint8_t *splits,
                           int32_t *const *x, ae_error *err)
{
    const uint8_t *bytes = n_bytes ? data : (const void *)"";
    aei_cursor at = {bytes, bytes + n_bytes, false};

    if (!take_head(&at, head))
        return ae_fail(err, AE_ERR_MALFORMED, "the head of a tile of spectra contradicts itself");
    reset(k, channels);
    memset(splits, 0, cells);
    aei_decider_begin(&k->decider, at.at, (size_t)(at.end - at.at));
    decode_cells(k, head, channels, cells, log2n, splits, x);
    return AE_OK;
}
