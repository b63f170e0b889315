/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Each sample is predicted several ways from decoded neighbours, two of them by adaptive filters that also see the channels before;
 * the predictions are blended by how well each did close by. */
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
static inline void begin_row(int32_t *cur, const int32_t *up, int32_t *res, const int32_t *res_up, int32_t *err,
                             const int32_t *err_up)
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

/* A row of one channel; v: its first value in the tile. False where the output has no room left. */
AEI_INLINE bool code_row(aei_predictor *c, const aei_geometry *g, bool decoding, uint32_t y, uint32_t ch, int32_t *v)
{
    const uint32_t n = g->channels;
    const size_t s = c->stride;
    const int32_t lo = g->lo[ch], hi = g->hi[ch], lo16 = lo * 16, hi16 = hi * 16;
    const int32_t step = 2 * aei_row_bound(g->bound[ch], ch, y) + 1;
    aei_channel *m = &c->channels[ch];
    int32_t *cur = row_of(c, ch, y), *up = row_of(c, ch, y + 2);
    const int32_t *upup = row_of(c, ch, y + 1);
    int32_t *err = c->errors + ((2 * ch + (y & 1)) * s + AEI_PAD) * N_PREDICTORS;
    int32_t *err_up = c->errors + ((2 * ch + (~y & 1)) * s + AEI_PAD) * N_PREDICTORS;
    int32_t *res = c->residual + (2 * ch + (y & 1)) * s + AEI_PAD, *res_up = c->residual + (2 * ch + (~y & 1)) * s + AEI_PAD;
    const int32_t *ref[2] = {0}, *ref_up[2] = {0}, *ref_res[2] = {0};
    const uint32_t refs = ch < 2 ? ch : 2;

    for (uint32_t j = 0; j < refs; j++) {
        ref[j] = row_of(c, ch - 1 - j, y);
        ref_up[j] = row_of(c, ch - 1 - j, y + 2);
        ref_res[j] = c->residual + (2 * (ch - 1 - j) + (y & 1)) * s + AEI_PAD;
    }
    begin_row(cur, up, res, res_up, err, err_up);
    for (uint32_t x = 0; x < g->width; x++, cur++, up++, upup++, res++, res_up++, err += N_PREDICTORS, err_up += N_PREDICTORS) {
        const int32_t W = cur[-1], N = up[0], NW = up[-1], NE = up[1], WW = cur[-2], NN = upup[0], NNE = upup[1];
        int32_t tap[N_TAPS] = {0}, p[N_PREDICTORS] = {0}, before[2] = {0}, base = (W + N) >> 1;
        int32_t blend, mu, least, most, P, q = 0, value, r;
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
            closeness[i] = fine_level(80 + (uint32_t)(err[i - N_PREDICTORS] + err_up[i] + err_up[i - N_PREDICTORS] +
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
        blend = (int32_t)(weighted / weights);
        spread = (uint32_t)(most - least);
        texture = (p[0] > blend) | (p[1] > blend) << 1 | (NW * 16 > blend) << 2 | (NE * 16 > blend) << 3 | (WW * 16 > blend) << 4 |
                  (NN * 16 > blend) << 5 | (p[5] > blend) << 6 | (p[6] > blend) << 7;
        mu = blend + m->bias[texture] / (m->bias_n[texture] + 4);
        mu = mu < lo16 ? lo16 : mu > hi16 ? hi16 : mu;
        P = (mu + 8) >> FRACTION;

        /* how active it is here, and how wrong the channels before were */
        a = 2 * magnitude(res[-1]) + 2 * magnitude(res_up[0]) + magnitude(res_up[-1]) + magnitude(res_up[1]) +
            magnitude(res[-2]) + (magnitude(res_up[2]) >> 1);
        beside = level_of(refs ? magnitude(before[0]) + (magnitude(before[1]) >> 1) : spread >> 2) / 3;
        beside = beside < 15 ? beside : 15;
        a2 = (uint32_t)(err[10 - N_PREDICTORS] + err_up[10]) * 2 +
             (uint32_t)(err_up[10 - N_PREDICTORS] + err_up[10 + N_PREDICTORS]);
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
        unsigned slot[N_CONTEXTS], rw = (unsigned)level_of(magnitude(res[-1])) / 4;
        unsigned rn = (unsigned)level_of(magnitude(res_up[0])) / 4;
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
            c->decider.slot[i] = c->decider.counters[i][(slot[i] + ch * 0x2f1) % SLOTS];
        c->decider.set0 = c->decider.weights[0][ch * NODES];
        c->decider.set1 = c->decider.weights[1][(unsigned)(level / 6 < 7 ? level / 6 : 7) * NODES];

        if (!decoding) {
            int32_t t = v[x * n] - P + step / 2;

            q = t >= 0 ? t / step : -((-t + step - 1) / step);
        }
        q = code_difference(&c->decider, decoding, q, d, step, k);
        value = P + q * step;
        value = value < lo ? lo : value > hi ? hi : value;
        v[x * n] = *cur = value;
        if (!decoding && c->decider.out > c->decider.out_end)
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
