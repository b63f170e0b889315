/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Each sample is predicted several ways from decoded neighbours, two of them by adaptive filters
 * that also see the channels before; the predictions are blended by how well each did close by. */
#include "predict.h"

#include <pthread.h>
#include <string.h>

#include "core/clones.h"

enum { FRACTION = 4 /* bits of predictions behind the point */ };

/* 2^(24 - i / 2): the fourth power of eight levels an octave. */
static uint32_t closeness_weight[256];
static pthread_once_t weights_once = PTHREAD_ONCE_INIT;

static void make_weights(void)
{
    for (uint32_t i = 0; i < 256; i++)
        closeness_weight[i] = i < 48 ? (i & 1 ? 11863283u : 16777216u) >> i / 2 : 1;
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

static inline int signed_level(int32_t v, int n) /* -n .. n: 0, 1, 2-3, 4-7, ... in units */
{
    uint32_t a = (uint32_t)(v < 0 ? -v : v);
    int l = a ? log2_floor(a) + 1 : 0;

    l = l < n ? l : n;
    return v < 0 ? -l : l;
}

static inline int32_t *row_of(const aei_predictor *c, uint32_t ch, uint32_t y)
{
    return c->rows + (3 * ch + y % 3) * c->stride + AEI_PAD;
}

/* What lies beside a row is like its end. */
static inline void begin_row(int32_t *cur, const int32_t *up, int32_t *res, const int32_t *res_up,
                             int32_t *err, const int32_t *err_up)
{
    for (int i = 1; i <= AEI_PAD; i++) {
        cur[-i] = up[0];
        res[-i] = res_up[0];
        memcpy(err - i * N_PREDICTORS, err_up, N_PREDICTORS * sizeof(*err));
    }
}

static inline void end_row(int32_t *cur, int32_t *res, int32_t *err)
{
    for (int i = 0; i < AEI_PAD; i++) {
        cur[i] = cur[-1];
        res[i] = res[-1];
        memcpy(err + i * N_PREDICTORS, err - N_PREDICTORS, N_PREDICTORS * sizeof(*err));
    }
}

/* A row of one channel, and where in it the next sample stands: what is decoded there and above, by
 * how much (errors by predictor, residuals in 1/16) the predictions were wrong, and the same of up
 * to two channels before. */
typedef struct row {
    int32_t *cur, *up, *res, *res_up, *err, *err_up;
    const int32_t *upup;
    const int32_t *ref[2], *ref_up[2], *ref_res[2];
    uint32_t refs;
    int32_t lo16, hi16, step;
} row;

/* What is known of a sample before it is coded; with FRACTION bits, but for tap, base and P. */
typedef struct guess {
    int32_t tap[N_TAPS]; /* differences from base */
    int32_t p[N_PREDICTORS], before[2];
    int32_t base, blend, mu, P;
    int64_t energy; /* of the taps */
    uint32_t spread;
    int texture, level, level2, beside, k;
    density d[N_DENSITIES];
    int32_t *e0, *e1; /* mean errors where it is as active as here */
} guess;

AEI_INLINE row open_row(aei_predictor *c, const aei_geometry *g, uint32_t y, uint32_t ch)
{
    const size_t s = c->stride;
    row r = {.cur = row_of(c, ch, y),
             .up = row_of(c, ch, y + 2),
             .upup = row_of(c, ch, y + 1),
             .err = c->errors + ((2 * ch + (y & 1)) * s + AEI_PAD) * N_PREDICTORS,
             .err_up = c->errors + ((2 * ch + (~y & 1)) * s + AEI_PAD) * N_PREDICTORS,
             .res = c->residual + (2 * ch + (y & 1)) * s + AEI_PAD,
             .res_up = c->residual + (2 * ch + (~y & 1)) * s + AEI_PAD,
             .refs = ch < 2 ? ch : 2,
             .lo16 = g->lo[ch] * 16,
             .hi16 = g->hi[ch] * 16,
             .step = 2 * aei_row_bound(g->bound[ch], ch, y) + 1};

    for (uint32_t j = 0; j < r.refs; j++) {
        r.ref[j] = row_of(c, ch - 1 - j, y);
        r.ref_up[j] = row_of(c, ch - 1 - j, y + 2);
        r.ref_res[j] = c->residual + (2 * (ch - 1 - j) + (y & 1)) * s + AEI_PAD;
    }
    begin_row(r.cur, r.up, r.res, r.res_up, r.err, r.err_up);
    return r;
}

AEI_INLINE void step_on(row *r)
{
    r->cur++, r->up++, r->upup++, r->res++, r->res_up++;
    r->err += N_PREDICTORS, r->err_up += N_PREDICTORS;
    for (uint32_t j = 0; j < r->refs; j++)
        r->ref[j]++, r->ref_up[j]++, r->ref_res[j]++;
}

/* The neighbours as differences, for the filters. */
AEI_INLINE void gather(const row *r, guess *s)
{
    const int32_t *cur = r->cur, *up = r->up, *upup = r->upup;
    const int32_t base = s->base = (cur[-1] + up[0]) >> 1;
    int32_t *tap = s->tap;

    tap[0] = cur[-1] - base, tap[1] = up[-1] - base, tap[2] = up[1] - base, tap[3] = cur[-2] - base,
    tap[4] = upup[0] - base;
    tap[5] = upup[1] - base, tap[6] = up[-2] - base, tap[7] = up[2] - base,
    tap[8] = upup[-1] - base, tap[9] = cur[-3] - base;
    tap[10] = upup[2] - base, tap[11] = upup[-2] - base;
    for (uint32_t j = 0; j < r->refs; j++) {
        const int32_t *rc = r->ref[j], *ru = r->ref_up[j];
        int32_t rbase = (rc[-1] + ru[0]) >> 1;

        tap[12 + 6 * j] = rc[0] - rbase, tap[13 + 6 * j] = rc[-1] - rbase,
                     tap[14 + 6 * j] = ru[-1] - rbase;
        tap[15 + 6 * j] = ru[1] - rbase, tap[16 + 6 * j] = rc[1] - rbase,
                     tap[17 + 6 * j] = ru[2] - rbase;
        s->before[j] = r->ref_res[j][0];
    }
    s->energy = 64;
    for (int i = 0; i < N_TAPS; i++)
        s->energy += (int64_t)tap[i] * tap[i];
}

/* What each predictor says, the two filters being the tenth and the eleventh. */
AEI_INLINE void predict(const aei_channel *m, const row *r, guess *s)
{
    const int32_t W = r->cur[-1], N = r->up[0], NW = r->up[-1], NE = r->up[1], WW = r->cur[-2],
                  NN = r->upup[0], NNE = r->upup[1];
    int32_t *p = s->p;

    if (r->refs) {
        const int32_t *rc = r->ref[0], *ru = r->ref_up[0];

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
    p[8] = s->base + ((NE - NW) >> 2);
    p[9] = NE;
    p[15] = (W + N + NE + NW + 2) >> 2;
    for (int i = 0; i < N_PREDICTORS; i++)
        p[i] *= 16;
    for (int f = 0; f < N_FILTERS; f++) {
        int64_t dot = 0;

        for (int i = 0; i < N_TAPS; i++)
            dot += (int64_t)s->tap[i] * m->filters[f][i];
        dot = (dot >> 16) + s->base * 16;
        p[10 + f] = (int32_t)(dot < r->lo16 ? r->lo16 : dot > r->hi16 ? r->hi16 : dot);
    }
}

/* The predictors weighed by their errors close by, less what such a texture made them err by. */
AEI_INLINE void blend(const aei_channel *m, const row *r, guess *s)
{
    const int32_t *p = s->p, *err = r->err, *err_up = r->err_up;
    int32_t least = p[0], most = p[0], mu;
    int64_t weighted = 0, weights = 0;
    int closeness[N_PREDICTORS], best = 255;

    for (int i = 0; i < N_PREDICTORS; i++) {
        closeness[i] = fine_level(
            80 + (uint32_t)(err[i - N_PREDICTORS] + err_up[i] + err_up[i - N_PREDICTORS] +
                            err_up[i + N_PREDICTORS] + (err[i - 2 * N_PREDICTORS] >> 1)));
        best = closeness[i] < best ? closeness[i] : best;
        least = p[i] < least ? p[i] : least;
        most = p[i] > most ? p[i] : most;
    }
    for (int i = 0; i < N_PREDICTORS; i++) {
        int64_t weight = closeness_weight[closeness[i] - best];

        weighted += weight * p[i];
        weights += weight;
    }
    s->blend = (int32_t)(weighted / weights);
    s->spread = (uint32_t)(most - least);
    s->texture = (p[0] > s->blend) | (p[1] > s->blend) << 1 | (r->up[-1] * 16 > s->blend) << 2 |
                 (r->up[1] * 16 > s->blend) << 3 | (r->cur[-2] * 16 > s->blend) << 4 |
                 (r->upup[0] * 16 > s->blend) << 5 | (p[5] > s->blend) << 6 |
                 (p[6] > s->blend) << 7;
    mu = s->blend + m->bias[s->texture] / (m->bias_n[s->texture] + 4);
    s->mu = mu < r->lo16 ? r->lo16 : mu > r->hi16 ? r->hi16 : mu;
    s->P = (s->mu + 8) >> FRACTION;
}

/* How active it is here, and how wrong the channels before were: by that, densities as wide as
 * errors are on the average. */
AEI_INLINE void weigh(aei_channel *m, const row *r, guess *s)
{
    const int32_t *res = r->res, *res_up = r->res_up, *err = r->err, *err_up = r->err_up;
    uint32_t a = 2 * magnitude(res[-1]) + 2 * magnitude(res_up[0]) + magnitude(res_up[-1]) +
                 magnitude(res_up[1]) + magnitude(res[-2]) + (magnitude(res_up[2]) >> 1);
    uint32_t a2 = (uint32_t)(err[10 - N_PREDICTORS] + err_up[10]) * 2 +
                  (uint32_t)(err_up[10 - N_PREDICTORS] + err_up[10 + N_PREDICTORS]);
    int32_t s0, s1;

    s->beside = level_of(r->refs ? magnitude(s->before[0]) + (magnitude(s->before[1]) >> 1)
                                 : s->spread >> 2) /
                3;
    s->beside = s->beside < 15 ? s->beside : 15;
    s->level = level_of(a);
    s->level2 = level_of(a2);
    s->e0 = &m->mean_error[0][s->level][s->beside];
    s->e1 = &m->mean_error[1][s->level2][s->beside];
    s0 = *s->e0 >> 8;
    s1 = *s->e1 >> 8;
    s0 = s0 < 4 ? 4 : s0;
    s1 = s1 < 4 ? 4 : s1;
    s->d[0] = (density){.mean = s->mu - s->P * 16, .scale = (16384 << 12) / ((s0 * 185) >> 8 | 1)};
    s->d[1] = (density){.mean = s->p[10] - s->P * 16,
                        .scale = (16384 << 12) / ((s1 * 185) >> 8 | 1)};
    s->d[2] = (density){.mean = s->p[11] - s->P * 16, .scale = s->d[0].scale};
    s->k = s0 / r->step < 16 ? 0 : log2_floor((uint32_t)(s0 / r->step) >> 3);
}

/* The counters and weights that decide here. */
AEI_INLINE void find_contexts(aei_decider *c, uint32_t ch, const row *r, const guess *s)
{
    const int32_t *res = r->res, *res_up = r->res_up;
    unsigned slot[N_CONTEXTS], rw = (unsigned)level_of(magnitude(res[-1])) / 4;
    unsigned rn = (unsigned)level_of(magnitude(res_up[0])) / 4;
    int b0 = signed_level(s->before[0] / 16, 4) + 4, b1 = signed_level(s->before[1] / 16, 2) + 2;

    slot[0] = (unsigned)s->level * 16 + (unsigned)s->beside;
    slot[1] = (rw < 8 ? rw : 7) + 8 * (rn < 8 ? rn : 7) + 64 * (unsigned)s->beside;
    slot[2] = (unsigned)(b0 + 9 * b1 + 45 * (s->level / 4));
    slot[3] = (unsigned)s->texture + 256 * ((unsigned)s->level / 6);
    slot[4] = (unsigned)(signed_level(res[-1] / 16, 3) + 3 +
                         7 * (signed_level(res_up[0] / 16, 3) + 3) +
                         49 * (signed_level(res_up[1] / 16, 2) + 2) + 245 * (s->level / 12));
    slot[5] = (unsigned)(signed_level((s->p[10] - s->mu) / 8, 4) + 4 +
                         9 * (signed_level((s->p[11] - s->mu) / 8, 3) + 3) +
                         63 * (level_of(s->spread) / 4));
    slot[6] = (uint32_t)(r->cur[-1] - s->P) * 0x9e3779b1u +
              (uint32_t)(r->up[0] - s->P) * 0x85ebca77u +
              (uint32_t)(s->before[0] / 16) * 0xc2b2ae3du;
    slot[6] ^= slot[6] >> 15;
    for (unsigned i = 0; i < N_CONTEXTS; i++)
        c->slot[i] = c->counters[i][(slot[i] + ch * 0x2f1) % SLOTS];
    c->set0 = c->weights[0][ch * NODES];
    c->set1 = c->weights[1][(unsigned)(s->level / 6 < 7 ? s->level / 6 : 7) * NODES];
}

AEI_INLINE void learn(aei_channel *m, const row *r, const guess *s, int32_t value)
{
    int32_t *res = r->res;

    *res = value * 16 - s->mu;
    *s->e0 += ((int32_t)(magnitude(*res) << 8) - *s->e0) >> 6;
    *s->e1 += ((int32_t)(magnitude(value * 16 - s->p[10]) << 8) - *s->e1) >> 6;
    for (int i = 0; i < N_PREDICTORS; i++)
        r->err[i] = (int32_t)magnitude(value * 16 - s->p[i]);
    m->bias[s->texture] += value * 16 - s->blend;
    if (++m->bias_n[s->texture] > 128) {
        m->bias[s->texture] /= 2;
        m->bias_n[s->texture] /= 2;
    }
    for (int f = 0; f < N_FILTERS; f++) {
        int64_t factor = (int64_t)(value * 16 - s->p[10 + f]) * (f ? 1 << 18 : 1 << 13) / s->energy;

        for (int i = 0; i < N_TAPS; i++)
            m->filters[f][i] = (int32_t)((uint32_t)m->filters[f][i] +
                                         (uint32_t)((factor * s->tap[i]) >> 4));
    }
}

/* A row of one channel; v: its first value in the tile. False where the output has no room left. */
AEI_INLINE bool code_row(aei_predictor *c, const aei_geometry *g, bool decoding, uint32_t y,
                         uint32_t ch, int32_t *v)
{
    const uint32_t n = g->channels;
    const int32_t lo = g->lo[ch], hi = g->hi[ch];
    aei_channel *m = &c->channels[ch];
    row r = open_row(c, g, y, ch);

    for (uint32_t x = 0; x < g->width; x++, step_on(&r)) {
        guess s = {0};
        int32_t q = 0, value;

        gather(&r, &s);
        predict(m, &r, &s);
        blend(m, &r, &s);
        weigh(m, &r, &s);
        find_contexts(&c->decider, ch, &r, &s);
        if (!decoding) {
            int32_t t = v[x * n] - s.P + r.step / 2;

            q = t >= 0 ? t / r.step : -((-t + r.step - 1) / r.step);
        }
        q = code_difference(&c->decider, decoding, q, s.d, r.step, s.k);
        value = s.P + q * r.step;
        value = value < lo ? lo : value > hi ? hi : value;
        v[x * n] = *r.cur = value;
        if (!decoding && c->decider.out > c->decider.out_end)
            return false;
        learn(m, &r, &s, value);
    }
    end_row(r.cur, r.res, r.err);
    return true;
}

AEI_INLINE bool code_tile(aei_predictor *c, const aei_geometry *g, bool decoding, int32_t *values)
{
    for (uint32_t y = 0; y < g->height; y++)
        for (uint32_t ch = 0; ch < g->channels; ch++)
            if (!code_row(c, g, decoding, y, ch, values + (size_t)y * g->width * g->channels + ch))
                return false;
    return true;
}

AEI_CLONES bool aei_predictor_encode(aei_predictor *c, const aei_geometry *g, int32_t *values)
{
    return code_tile(c, g, false, values);
}

AEI_CLONES void aei_predictor_decode(aei_predictor *c, const aei_geometry *g, int32_t *values)
{
    code_tile(c, g, true, values);
}

/* ---- begin ---- */

void aei_predictor_clear(aei_predictor *c)
{
    ae_free(c->rows);
    ae_free(c->errors);
    ae_free(c->residual);
    c->rows = c->errors = c->residual = NULL;
    c->room = 0;
}

ae_status aei_predictor_reset(aei_predictor *c, const aei_geometry *g, ae_error *err)
{
    size_t rows;

    pthread_once(&weights_once, make_weights);
    c->stride = g->width + 2 * AEI_PAD;
    rows = c->stride * g->channels;
    if (rows > c->room) {
        aei_predictor_clear(c);
        c->rows = ae_alloc(3 * rows, sizeof(*c->rows));
        c->errors = ae_alloc(2 * rows * N_PREDICTORS, sizeof(*c->errors));
        c->residual = ae_alloc(2 * rows, sizeof(*c->residual));
        if (!c->rows || !c->errors || !c->residual) {
            aei_predictor_clear(c);
            return ae_fail(err, AE_ERR_NOMEM, "a tile of %u x %u", g->width, g->height);
        }
        c->room = rows;
    }
    memset(c->errors, 0, 2 * rows * N_PREDICTORS * sizeof(*c->errors));
    memset(c->residual, 0, 2 * rows * sizeof(*c->residual));
    memset(c->channels, 0, sizeof(c->channels));
    aei_decider_reset(&c->decider);
    for (unsigned ch = 0; ch < g->channels; ch++) {
        aei_channel *m = &c->channels[ch];
        int32_t middle = (g->lo[ch] + g->hi[ch] + 1) / 2;

        for (size_t i = 0; i < 3 * c->stride; i++)
            c->rows[3 * ch * c->stride + i] = middle;
        for (int i = 0; i < N_LEVELS; i++)
            for (int j = 0; j < 16; j++) {
                m->mean_error[0][i][j] = (int32_t)(level_middle(i) << 8) / 7;
                m->mean_error[1][i][j] = (int32_t)(level_middle(i) << 8) / 6;
            }
    }
    return AE_OK;
}
