/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Prediction in stages, as in the lossless coders of Monkey's Audio, OptimFROG, MPEG-4 ALS
 * (RLS-LMS) and Sac: least squares over the last samples of the channel and of the one before it;
 * then a cascade of normalised least-mean-squares filters, long to short, each of which predicts
 * what those before it left; then a sum of the stages with weights that learn, too. */
#include "soundmodel.h"

#include <string.h>

#include "core/clones.h"
#include "predict.h"
#include "soundleast.h"

enum {
    N_STAGES = 3,
    LONGEST = 256,
    CONTEXTS = 6,
    FRACTION = 4,   /* bits of predictions behind the point */
    HISTORY = 1024, /* of a filter: twice as many are held, so that they need not go round */
    N_MIXED = N_STAGES + 1,
    MOST_ERROR = 1 << 22 /* that means of errors take in, 1/16 */
};

static const uint32_t taps_of[N_STAGES] = {256, 32, 16};

/* Where the filters stand: the newest sample is history[at - 1]. Weights have 30 bits behind the
 * point, of which the filter uses 14. */
typedef struct filter {
    int16_t history[2 * HISTORY];
    int32_t weights[LONGEST];
    int64_t energy;
    int32_t out;
} filter;

typedef struct channel {
    aei_least least;
    filter filters[N_STAGES];
    int32_t mix[N_MIXED];        /* 16 bits behind the point */
    uint32_t fast, middle, slow; /* means of |residual|, 1/16, with 4, 6 and 8 further bits */
    int32_t last[2];             /* residuals, 1/16 */
    int32_t mean_error[3][N_LEVELS][16]; /* by activity; 1/4096 */
    int32_t *scaled;                     /* samples within +-2^22, behind AEI_LEAST_PAD zeros */
    int32_t lift;                        /* their shift to the left */
    int32_t shift; /* of what the filters see to the right, once an energy is known */
} channel;

struct aei_sound_model {
    aei_decider decider;
    channel *channels;
    uint32_t n_channels; /* for which there is room */
    int32_t *scaled;
    size_t room;
    uint8_t *bytes;
    size_t bytes_room;
};

aei_sound_model *aei_sound_model_create(void)
{
    return ae_alloc(1, sizeof(aei_sound_model));
}

void aei_sound_model_free(aei_sound_model *m)
{
    if (!m)
        return;
    ae_free(m->channels);
    ae_free(m->scaled);
    ae_free(m->bytes);
    ae_free(m);
}

bool aei_model_shape_is_sound(const aei_model_shape *s)
{
    return s->frames >= 1 && s->frames <= AEI_MODEL_MAX_FRAMES &&
           s->channels <= AEI_MODEL_CHANNELS && s->own >= 1 && s->own <= AEI_LEAST_OWN &&
           s->other <= AEI_LEAST_OTHER && s->block >= 8 && s->block <= 256 && s->memory <= 6 &&
           s->bound < 1u << AEI_MODEL_BITS;
}

static int bits_of(uint32_t v)
{
    return v ? 32 - __builtin_clz(v) : 0;
}

static ae_status prepare(aei_sound_model *m, const aei_model_shape *s, ae_error *err)
{
    size_t each = (size_t)s->frames + AEI_LEAST_PAD, n = each * s->channels;

    if (n > m->room) {
        ae_free(m->scaled);
        m->room = 0;
        if (!(m->scaled = ae_alloc(n, sizeof(*m->scaled))))
            return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
        m->room = n;
    }
    if (s->channels > m->n_channels) {
        ae_free(m->channels);
        m->n_channels = 0;
        if (!(m->channels = ae_alloc(s->channels, sizeof(*m->channels))))
            return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
        m->n_channels = s->channels;
    }
    aei_decider_reset(&m->decider);
    for (uint32_t c = 0; c < s->channels; c++) {
        channel *ch = &m->channels[c];
        uint32_t most = magnitude(s->lo[c]) > magnitude(s->hi[c]) ? magnitude(s->lo[c])
                                                                  : magnitude(s->hi[c]);

        memset(ch, 0, sizeof(*ch));
        aei_least_reset(&ch->least, s->own, s->channels > 1 ? s->other : 0, c == 0, s->memory);
        ch->scaled = m->scaled + c * each + AEI_LEAST_PAD;
        memset(ch->scaled - AEI_LEAST_PAD, 0, AEI_LEAST_PAD * sizeof(*ch->scaled));
        ch->lift = AEI_LEAST_BITS - bits_of(most);
        ch->shift = bits_of(most) + FRACTION > 15 ? bits_of(most) + FRACTION - 15 : 0;
        for (unsigned i = 0; i < N_MIXED; i++)
            ch->mix[i] = 65536;
        for (int i = 0; i < N_LEVELS; i++)
            for (int j = 0; j < 16; j++)
                for (int k = 0; k < 3; k++)
                    ch->mean_error[k][i][j] =
                        (int32_t)((i < 4 ? (uint32_t)i : (4u + (i & 3)) << (i / 4 - 1)) << 8) / 4;
    }
    return AE_OK;
}

/* ---- prediction ---- */

static inline int32_t clip16(int64_t v)
{
    return (int32_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

static inline int32_t filter_predict(filter *f, uint32_t at, uint32_t taps)
{
    const int16_t *h = f->history + at - taps;
    uint32_t sum = 0;

    for (uint32_t i = 0; i < taps; i++)
        sum += (uint32_t)((int32_t)h[i] * (int16_t)(f->weights[i] >> 16));
    return f->out = (int32_t)sum >> 14;
}

/* left: what the filter was to predict. */
static inline void filter_learn(filter *f, uint32_t at, uint32_t taps, int32_t left, int rate)
{
    int16_t *h = f->history + at - taps;
    int64_t g = (int64_t)(left - f->out) * ((int64_t)1 << rate) / (f->energy + 256);
    int32_t factor = clip16(g);

    for (uint32_t i = 0; i < taps; i++)
        f->weights[i] = (int32_t)((uint32_t)f->weights[i] +
                                  (uint32_t)(((int32_t)h[i] * factor) >> 4));
    f->energy += (int64_t)left * left - (int64_t)h[0] * h[0];
    h[taps] = (int16_t)left;
}

static inline void turn(filter *f, uint32_t taps)
{
    memcpy(f->history, f->history + 2 * HISTORY - taps, taps * sizeof(*f->history));
}

/* ---- one difference ---- */

/* q: how many steps the sample lies from the prediction. The first decisions split what the
 * densities say in about equal parts. */
AEI_INLINE int32_t code_steps(aei_decider *c, bool decoding, int32_t q, density d[N_DENSITIES],
                              int32_t step, int k)
{
    const aei_decision_tables *t = c->t;
    uint32_t p[N_DENSITIES], up[N_DENSITIES], down[N_DENSITIES], at[N_DENSITIES];
    int32_t m = 0, base = 0, half = step * 8, origin = 0;
    unsigned nodes = k ? 12 : 2;
    int direction, bits = k;

    if (!k) {
        for (int i = 0; i < N_DENSITIES; i++) {
            up[i] = beyond(t, &d[i], half, 1);
            down[i] = beyond(t, &d[i], -half, -1);
            p[i] = ratio((1u << 30) - up[i] - down[i], 1u << 30);
        }
        if (decide_by(c, decoding, q == 0, 0, p, CONTEXTS))
            return 0;
        for (int i = 0; i < N_DENSITIES; i++)
            p[i] = ratio(up[i], up[i] + down[i]);
        origin = 1;
    } else {
        for (int i = 0; i < N_DENSITIES; i++) {
            up[i] = beyond(t, &d[i], -half, 1);
            down[i] = (1u << 30) - up[i];
            p[i] = ratio(up[i], 1u << 30);
        }
    }
    direction = decide_by(c, decoding, q >= 0, 1, p, CONTEXTS) ? 1 : -1;
    if (!decoding)
        m = direction > 0 ? q - origin : -q - 1;
    for (int i = 0; i < N_DENSITIES; i++) {
        d[i].near = direction > 0 ? up[i] : down[i];
        d[i].at = 0;
    }
    /* magnitude m begins at m = 0; its edge towards the prediction lies at (2 (m + first) - 1) half
     */
    int32_t first = direction > 0 ? origin : 1;
#define EDGE(m) (direction * half * (2 * ((m) + first) - 1))
    for (unsigned i = 0;; i++) {
        int32_t next = base + (1 << bits);

        split(t, d, EDGE(next), direction, p, at);
        if (bits >= AEI_MODEL_BITS + 1 ||
            !decide_by(c, decoding, m >= next, nodes + (i < 9 ? i : 9), p, CONTEXTS))
            break;
        for (int j = 0; j < N_DENSITIES; j++)
            d[j].near = at[j];
        base = next;
        bits += i >= 2;
    }
    for (int i = 0; i < N_DENSITIES; i++)
        d[i].at = at[i];
    for (int i = 0; bits > 0; i++) {
        int32_t next = base + (1 << --bits);
        int bit;

        if (i >= 4) { /* within so little a density is flat */
            bit = code_bit(c, decoding, m >= next, 32768);
        } else if (i >= 2) {
            at[0] = beyond(t, &d[0], EDGE(next), direction);
            bit = code_bit(c, decoding, m >= next, ratio(at[0] - d[0].at, d[0].near - d[0].at));
            *(bit ? &d[0].near : &d[0].at) = at[0];
        } else {
            split(t, d, EDGE(next), direction, p, at);
            bit = decide_by(c, decoding, m >= next, nodes + 10 + (unsigned)i, p, CONTEXTS);
            for (int j = 0; j < N_DENSITIES; j++)
                *(bit ? &d[j].near : &d[j].at) = at[j];
        }
        if (bit)
            base = next;
    }
#undef EDGE
    return direction > 0 ? base + origin : -base - 1;
}

/* ---- a tile ---- */

static inline int level16(uint32_t v)
{
    int level = level_of(v) / 3;

    return level < 15 ? level : 15;
}

AEI_INLINE bool code_sample(aei_sound_model *m, const aei_model_shape *s, bool decoding, uint32_t t,
                            uint32_t at, uint32_t c, int32_t *values)
{
    channel *ch = &m->channels[c];
    const channel *before = c ? ch - 1 : s->channels > 1 ? ch + 1 : NULL;
    const int32_t step = 2 * (int32_t)s->bound + 1, lo = s->lo[c], hi = s->hi[c];
    const int32_t *x = ch->scaled + t;
    int32_t p0, sums[N_MIXED], mu, P, q = 0, value, left, r, off, off0;
    int64_t sum = 0, mixed = 0;
    density d[N_DENSITIES];
    int level, level2, level3, beside, k;

    for (uint32_t i = 0; i < ch->least.n_own; i++)
        sum += (int64_t)ch->least.weights[i] * x[-1 - (int32_t)i];
    if (ch->least.n_other) {
        const int32_t *y = before->scaled + t - ch->least.delay;
        const int32_t *w = ch->least.weights + ch->least.n_own;

        for (uint32_t i = 0; i < ch->least.n_other; i++)
            sum += (int64_t)w[i] * y[-(int32_t)i];
    }
    sum >>= AEI_LEAST_POINT + ch->lift - FRACTION;
    p0 = (int32_t)(sum < (int64_t)lo * 16   ? (int64_t)lo * 16
                   : sum > (int64_t)hi * 16 ? (int64_t)hi * 16
                                            : sum);
    sums[0] = p0;
    for (unsigned i = 0; i < N_STAGES; i++) {
        int32_t out = filter_predict(&ch->filters[i], at, taps_of[i]);

        sums[i + 1] = (int32_t)((uint32_t)out << ch->shift);
    }
    mixed = p0;
    for (unsigned i = 1; i < N_MIXED; i++)
        mixed += (int64_t)sums[i] * ch->mix[i] >> 16;
    mu = (int32_t)(mixed < (int64_t)lo * 16   ? (int64_t)lo * 16
                   : mixed > (int64_t)hi * 16 ? (int64_t)hi * 16
                                              : mixed);
    P = (mu + 8) >> FRACTION;

    /* how active it is here */
    beside = before ? level16(magnitude(before->last[0]) * 16 / ((before->middle >> 6) + 1)) : 0;
    level = level_of(ch->fast >> 2);
    level2 = level_of(ch->middle >> 4);
    level3 = level_of(ch->slow >> 6);

    int rel = level - level3 + 8;
    rel = rel < 0 ? 0 : rel > 15 ? 15 : rel;
    int32_t *e0 = &ch->mean_error[0][level2][beside], *e1 = &ch->mean_error[1][level2][rel],
            *e2 = &ch->mean_error[2][level][rel];
    int32_t s0 = *e0 >> 8, s1 = *e1 >> 8, s2 = *e2 >> 8;

    s0 = s0 < 4 ? 4 : s0;
    s1 = s1 < 4 ? 4 : s1;
    s2 = s2 < 4 ? 4 : s2;
    d[0] = (density){.mean = mu - P * 16,
                     .scale = (16384 << 12) / (int32_t)(((int64_t)s0 * 185) >> 8 | 1)};
    d[1] = (density){.mean = mu - P * 16,
                     .scale = (16384 << 12) / (int32_t)(((int64_t)s1 * 185) >> 8 | 1)};
    d[2] = (density){.mean = p0 - P * 16,
                     .scale = (16384 << 12) / (int32_t)(((int64_t)s2 * 185) >> 8 | 1)};
    k = (s0 / step) < 20 ? 0 : log2_floor((uint32_t)(s0 / step) / 10);

    unsigned slot[CONTEXTS];
    int l0 = level_of(magnitude(ch->last[0])) / 3, l1 = level_of(magnitude(ch->last[1])) / 3;

    slot[0] = (unsigned)(level2 * 16 + beside);
    slot[1] = (unsigned)((l0 < 31 ? l0 : 31) * 32 + (l1 < 31 ? l1 : 31));
    slot[2] = (unsigned)(level3 * 16 + rel);
    slot[3] = (unsigned)((before && before->last[0] > 0) + 2 * beside + 32 * (level2 / 3));
    slot[4] = (unsigned)(level * 16 + (beside & 12) + (ch->last[0] > 0) + 2 * (ch->last[1] > 0));
    slot[5] = (unsigned)(level_of(magnitude(p0 - mu)) / 2 * 2 + (p0 > mu)) +
              64u * (unsigned)(level2 / 4);
    for (unsigned i = 0; i < CONTEXTS; i++)
        m->decider.slot[i] = m->decider.counters[i][(slot[i] + c * 0x2f1) % SLOTS];
    m->decider.set0 = m->decider.weights[0][(c < 2 ? c : 1) * NODES];
    m->decider.set1 = m->decider.weights[1][(unsigned)(level2 / 8 < 7 ? level2 / 8 : 7) * NODES];

    if (!decoding) {
        off = values[t] - P + step / 2;
        q = off >= 0 ? off / step : -((-off + step - 1) / step);
    }
    q = code_steps(&m->decider, decoding, q, d, step, k);
    value = (int32_t)((int64_t)P + (int64_t)q * step < lo   ? lo
                      : (int64_t)P + (int64_t)q * step > hi ? hi
                                                            : P + q * step);
    values[t] = value;
    ch->scaled[t] = ch->lift >= 0 ? value * (1 << ch->lift) : value >> -ch->lift;

    /* learn */
    r = value * 16 - mu;
    ch->last[1] = ch->last[0];
    ch->last[0] = r;
    off = (int32_t)(magnitude(r) < MOST_ERROR ? magnitude(r) : MOST_ERROR);
    off0 = (int32_t)(magnitude(value * 16 - p0) < MOST_ERROR ? magnitude(value * 16 - p0)
                                                             : MOST_ERROR);
    ch->fast = (uint32_t)((int32_t)ch->fast + ((off << 4) - (int32_t)ch->fast) / 4);
    ch->middle = (uint32_t)((int32_t)ch->middle + ((off << 6) - (int32_t)ch->middle) / 16);
    ch->slow = (uint32_t)((int32_t)ch->slow + ((off << 8) - (int32_t)ch->slow) / 128);
    *e0 += ((off << 8) - *e0) >> 6;
    *e1 += ((off << 8) - *e1) >> 6;
    *e2 += ((off0 << 8) - *e2) >> 6;
    left = clip16((value * 16 - p0) >> ch->shift);
    for (unsigned i = 0; i < N_STAGES; i++) {
        static const int rates[] = {27, 27, 26};
        int32_t out = ch->filters[i].out;

        filter_learn(&ch->filters[i], at, taps_of[i], left, rates[i]);
        left = clip16(left - out);
    }
    return decoding || m->decider.out <= m->decider.out_end;
}

AEI_INLINE bool code_tile(aei_sound_model *m, const aei_model_shape *s, bool decoding,
                          int32_t *values)
{
    uint32_t at = LONGEST, since = 0;

    for (uint32_t t = 0; t < s->frames; t++) {
        for (uint32_t c = 0; c < s->channels; c++)
            if (!code_sample(m, s, decoding, t, at, c, values + (size_t)c * s->frames))
                return false;
        if (++since == s->block)
            since = 0;
        if (!since)
            for (uint32_t c = 0; c < s->channels; c++) {
                channel *ch = &m->channels[c];
                const int32_t *other = s->channels < 2 ? NULL : c ? ch[-1].scaled : ch[1].scaled;

                aei_least_update(&ch->least, ch->scaled, other, t + 1 - s->block, s->block);
            }
        if (++at == 2 * HISTORY) {
            for (uint32_t c = 0; c < s->channels; c++)
                for (unsigned i = 0; i < N_STAGES; i++)
                    turn(&m->channels[c].filters[i], LONGEST);
            at = LONGEST;
        }
    }
    return true;
}

AEI_CLONES static bool encode_tile(aei_sound_model *m, const aei_model_shape *s, int32_t *values)
{
    return code_tile(m, s, false, values);
}

AEI_CLONES static void decode_tile(aei_sound_model *m, const aei_model_shape *s, int32_t *values)
{
    code_tile(m, s, true, values);
}

enum { SLACK = 4096 /* a moment of all channels never takes more bytes */ };

ae_status aei_sound_model_encode(aei_sound_model *m, const aei_model_shape *s, int32_t *values,
                                 size_t most, const uint8_t **bytes, size_t *n_bytes, ae_error *err)
{
    ae_status st = prepare(m, s, err);

    *n_bytes = 0;
    if (st != AE_OK)
        return st;
    if (most + SLACK > m->bytes_room) {
        ae_free(m->bytes);
        m->bytes_room = 0;
        if (!(m->bytes = ae_alloc(most + SLACK, 1)))
            return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
        m->bytes_room = most + SLACK;
    }
    m->decider.out = m->bytes;
    m->decider.out_end = m->bytes + most;
    *bytes = m->bytes;
    if (encode_tile(m, s, values))
        *n_bytes = (size_t)(aei_decider_end(&m->decider, m->bytes) - m->bytes);
    return AE_OK;
}

ae_status aei_sound_model_decode(aei_sound_model *m, const aei_model_shape *s, const uint8_t *bytes,
                                 size_t n_bytes, int32_t *values, ae_error *err)
{
    ae_status st = prepare(m, s, err);

    if (st != AE_OK)
        return st;
    aei_decider_begin(&m->decider, bytes, n_bytes);
    decode_tile(m, s, values);
    return AE_OK;
}
