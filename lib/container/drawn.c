/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A pixel is first compared with the colours around it, each of which is told to be its own or not;
 * where none is, its samples follow bit by bit. Every decision is predicted by counters, one for
 * each of several surroundings, which a mixer of weights joins (logistic mixing: Mahoney 2005), and
 * what comes out is refined by how often the like came true. */
#include "drawn.h"

#include <string.h>

#include "core/clones.h"

enum {
    CONTEXTS = 16,
    PADDED = 32, /* inputs of the mixer: contexts, a constant */
    SLOT_BITS = 16,
    LEAST_BITS = 9,
    ROWS = 9, /* kept, this one included */
    PAD = 16, /* pixels beside a row */
    CANDIDATES = 6,
    DEPTHS = 16,
    SETS0 = CANDIDATES + 1 + 4 * DEPTHS,
    SETS1 = 64,
    REFINED = 1 << 10,
    STEPS = 33,                 /* of a probability's logit where it is refined */
    SAID = 1 << (SLOT_BITS - 2) /* surroundings whose last pixel is known */
};

struct aei_drawer {
    const aei_decision_tables *t;
    uint32_t counters[CONTEXTS][1 << SLOT_BITS]; /* probability of 1 in 22 bits, count in 10 */
    uint8_t checks[CONTEXTS][1 << SLOT_BITS];
    int32_t weights0[SETS0][PADDED], weights1[SETS1][PADDED];
    uint32_t used0[SETS0];
    uint16_t refined[2][REFINED][STEPS];
    uint64_t said[2][SAID];
    uint64_t *rows;
    size_t room;
    uint32_t bits; /* of a slot's number, in use */
    uint32_t hashes[CONTEXTS];
};

aei_drawer *aei_drawer_create(void)
{
    return ae_alloc(1, sizeof(aei_drawer));
}

void aei_drawer_free(aei_drawer *d)
{
    if (!d)
        return;
    ae_free(d->rows);
    ae_free(d);
}

static bool reset(aei_drawer *d, const aei_decider *coder, const aei_drawing *g)
{
    size_t n = ROWS * ((size_t)g->width + 2 * PAD);

    if (n > d->room) {
        ae_free(d->rows);
        d->room = 0;
        if (!(d->rows = ae_alloc(n, sizeof(*d->rows))))
            return false;
        d->room = n;
    }
    memset(d->rows, 0, n * sizeof(*d->rows));
    d->t = coder->t;
    /* as many as the pixels can fill, since all are cleared for every tile */
    d->bits = (uint32_t)log2_floor(g->width * g->height) + 4;
    d->bits = d->bits < LEAST_BITS ? LEAST_BITS : d->bits > SLOT_BITS ? SLOT_BITS : d->bits;
    for (int i = 0; i < CONTEXTS; i++) {
        memset(d->counters[i], 0, sizeof(d->counters[i]) >> (SLOT_BITS - d->bits));
        memset(d->checks[i], 0, sizeof(d->checks[i]) >> (SLOT_BITS - d->bits));
    }
    memset(d->used0, 0, sizeof(d->used0));
    for (int i = 0; i < 2; i++)
        memset(d->said[i], 0, sizeof(d->said[i]) >> (SLOT_BITS - d->bits));
    for (int i = 0; i < SETS0; i++)
        for (int j = 0; j < PADDED; j++)
            d->weights0[i][j] = j < CONTEXTS ? 65536 * 16 / 100 : 0;
    memset(d->weights1, 0, sizeof(d->weights1));
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < REFINED; i++)
            for (int j = 0; j < STEPS; j++)
                d->refined[k][i][j] = d->t->squash[j * (2 * STRETCH_MAX / (STEPS - 1))];
    return true;
}

/* ---- one decision ---- */

static inline uint32_t mix(uint32_t a, uint32_t b)
{
    a = (a ^ b) * 0x9e3779b1u;
    return a ^ a >> 15;
}

AEI_INLINE int decide_drawn(aei_drawer *d, aei_decider *coder, bool decoding, int bit,
                            uint32_t node, unsigned set0, unsigned set1, unsigned refine)
{
    const aei_decision_tables *t = d->t;
    int32_t x[PADDED] = {0}, *w0 = d->weights0[set0], *w1 = d->weights1[set1], error, logit, at,
            rest, rate;
    uint32_t *slot[CONTEXTS], p, p0, p1;
    uint16_t *r0, *r1;
    int64_t dot = 0;

    for (int i = 0; i < CONTEXTS; i++) {
        uint32_t h = mix(d->hashes[i], node), place = h >> (32 - d->bits), check = h & 255, v;

        slot[i] = &d->counters[i][place];
        if (d->checks[i][place] != check) {
            d->checks[i][place] = (uint8_t)check;
            *slot[i] = 0;
        }
        v = *slot[i];
        x[i] = v & 1023 ? stretch(t, v >> 16) : 0;
    }
    x[CONTEXTS] = 256;
    for (int i = 0; i < PADDED; i++)
        dot += (int64_t)x[i] * (w0[i] + w1[i]);
    dot >>= 16;
    logit = (int32_t)(dot < -STRETCH_MAX ? -STRETCH_MAX : dot > STRETCH_MAX ? STRETCH_MAX : dot);
    p0 = t->squash[logit + STRETCH_MAX];

    /* refined between two steps of the logit */
    at = (logit + STRETCH_MAX) * (STEPS - 1);
    rest = at % (2 * STRETCH_MAX);
    at /= 2 * STRETCH_MAX;
    r0 = &d->refined[0][refine % REFINED][at];
    r1 = &d->refined[1][(d->hashes[2] ^ node) % REFINED][at];
    if (at == STEPS - 1) {
        p1 = (uint32_t)(r0[0] + r1[0]) / 2;
    } else {
        p1 = (uint32_t)(((uint64_t)(r0[0] + r1[0]) * (uint32_t)(2 * STRETCH_MAX - rest) +
                         (uint64_t)(r0[1] + r1[1]) * (uint32_t)rest) /
                        (4 * STRETCH_MAX));
    }
    p = (p0 + 3 * p1) / 4;
    p = p < 1 ? 1 : p > 65535 ? 65535 : p;
    bit = code_bit(coder, decoding, bit, p);

    /* learn */
    error = (int32_t)((uint32_t)bit << 16) - (int32_t)p0;
    rate = d->used0[set0] < 1024 ? 11 - (int32_t)(d->used0[set0] >> 7) : 3;
    d->used0[set0]++;
    for (int i = 0; i < PADDED; i++) {
        int32_t step = (int32_t)(((int64_t)x[i] * error * rate) >> 17);

        w0[i] = (int32_t)((uint32_t)w0[i] + (uint32_t)step);
        w1[i] = (int32_t)((uint32_t)w1[i] + (uint32_t)(step >> 1));
    }
    for (int i = 0; i < CONTEXTS; i++) {
        uint32_t n = *slot[i] & 1023, v = n ? *slot[i] >> 10 : 1u << 21;
        int32_t target = bit ? (1 << 22) - 1 : 0;

        v = (uint32_t)((int32_t)v + (int32_t)(((int64_t)(target - (int32_t)v) * t->rate[n]) >> 16));
        *slot[i] = v << 10 | (n < 250 ? n + 1 : n);
    }
    for (int i = 0; i < 2; i++) {
        uint16_t *r = (i ? r1 : r0) + (rest > STRETCH_MAX && at < STEPS - 1);

        *r = (uint16_t)(*r + (((bit ? 65535 : 0) - *r) >> 6));
    }
    return bit;
}

/* ---- pixels ---- */

static inline uint32_t fold(uint64_t colour)
{
    return (uint32_t)((colour * 0x9e3779b97f4a7c15u) >> 32);
}

static inline uint32_t run_of(const uint64_t *p, int step, uint64_t colour, uint32_t most)
{
    uint32_t n = 0;

    while (n < most && p[(int)n * step] == colour)
        n++;
    return n < 4 ? n : n < 6 ? 4 : n < 9 ? 5 : n < 13 ? 6 : 7;
}

AEI_INLINE bool code_samples(aei_drawer *d, aei_decider *coder, bool decoding, const aei_drawing *g,
                             uint64_t *colour, const uint64_t *cur, const uint64_t *up,
                             uint32_t place, uint32_t surroundings)
{
    uint32_t bits = (uint32_t)log2_floor(g->max) + 1, done = 0;
    uint64_t made = 0;

    for (uint32_t ch = 0; ch < g->channels; ch++) {
        uint32_t shift = 16 * ch, W = (uint32_t)(cur[-1] >> shift) & 65535,
                 N = (uint32_t)(up[0] >> shift) & 65535;
        uint32_t NW = (uint32_t)(up[-1] >> shift) & 65535, NE = (uint32_t)(up[1] >> shift) & 65535;
        uint32_t WW = (uint32_t)(cur[-2] >> shift) & 65535, value = 0,
                 low = bits > 4 ? bits - 4 : 0, mid = bits > 6 ? bits - 6 : 0;
        int32_t plane = (int32_t)(W + N - NW), mean = (int32_t)(W + NE) / 2;
        uint32_t base = ch << 24 | 0x40000000u;

        plane = plane < 0 ? 0 : plane > (int32_t)g->max ? (int32_t)g->max : plane;
        d->hashes[0] = base;
        d->hashes[1] = mix(base + 1, W);
        d->hashes[2] = mix(base + 2, N);
        d->hashes[3] = mix(mix(base + 3, W >> mid), N >> mid);
        d->hashes[4] = mix(base + 4, (uint32_t)plane);
        d->hashes[5] = mix(base + 5, done);
        d->hashes[6] = mix(mix(base + 6, done), W);
        d->hashes[7] = mix(base + 7, place);
        d->hashes[8] = mix(mix(base + 8, (W >> low) << 12 | (N >> low) << 8),
                           (NE >> low) << 4 | NW >> low);
        d->hashes[9] = mix(mix(base + 9, fold(cur[-1])), mix(fold(up[0]), done));
        d->hashes[10] = mix(mix(base + 10, surroundings), done);
        d->hashes[11] = mix(base + 11, (uint32_t)mean);
        d->hashes[12] = mix(mix(base + 12, NE), W);
        d->hashes[13] = mix(mix(base + 13, W >> low), WW >> low);
        d->hashes[14] = mix(mix(base + 14, place), W >> low << 8 | N >> low);
        d->hashes[15] = mix(mix(base + 15, (uint32_t)plane >> 2), done);
        for (uint32_t i = 0; i < bits; i++) {
            uint32_t next = bits - 1 - i;
            int bit = decoding ? 0 : (int)(*colour >> (shift + next) & 1);
            unsigned depth = i < DEPTHS ? i : DEPTHS - 1;

            bit = decide_drawn(d, coder, decoding, bit, 1u << i | value,
                               CANDIDATES + 1 + ch * DEPTHS + depth, 32 + (W >> low) % 16,
                               (ch * DEPTHS + depth) | 128);
            value = value << 1 | (uint32_t)bit;
        }
        if (value > g->max)
            return false;
        made |= (uint64_t)value << shift;
        done = mix(done + 1, value);
    }
    *colour = made;
    return true;
}

AEI_INLINE bool code_drawing(aei_drawer *d, aei_decider *coder, bool decoding, const aei_drawing *g,
                             uint16_t *samples)
{
    size_t stride = (size_t)g->width + 2 * PAD;
    uint32_t said = (1u << (d->bits - 2)) - 1;

    for (uint32_t y = 0; y < g->height; y++) {
        uint64_t *row[ROWS];

        for (uint32_t i = 0; i < ROWS; i++)
            row[i] = d->rows + (y + ROWS - i) % ROWS * stride + PAD;
        for (int i = 1; i <= PAD; i++)
            row[0][-i] = row[1][0];
        for (uint32_t x = 0; x < g->width; x++) {
            uint64_t *cur = row[0] + x, *up = row[1] + x, *up2 = row[2] + x, *up3 = row[3] + x,
                     colour = 0;
            uint64_t W = cur[-1], N = up[0], NW = up[-1], NE = up[1], WW = cur[-2], NN = up2[0],
                     tried[CANDIDATES], order[10];
            uint32_t w = fold(W), n = fold(N), nw = fold(NW), ne = fold(NE), ww = fold(WW),
                     nn = fold(NN), h, large, huge;
            uint32_t medium, n_tried = 0, place = g->period ? x << 16 | y % g->period : 0, pattern,
                             ahead, *hash = d->hashes;
            uint16_t *s = samples + ((size_t)y * g->width + x) * g->channels;
            bool hit = false;

            for (uint32_t ch = 0; ch < g->channels && !decoding; ch++)
                colour |= (uint64_t)s[ch] << 16 * ch;
            pattern = (W == N) | (W == NW) << 1 | (N == NW) << 2 | (N == NE) << 3 | (W == NE) << 4 |
                      (W == WW) << 5 | (N == NN) << 6;
            ahead = run_of(up, 1, N, 13) | run_of(cur - 1, -1, W, 13) << 3;
            hash[0] = pattern | ahead << 8;
            hash[1] = mix(mix(1, w), n);
            hash[2] = h = mix(mix(mix(mix(2, w), n), nw), ne);
            hash[3] = h = medium = mix(mix(h + 3, ww), nn);
            h = mix(mix(mix(mix(h + 4, fold(cur[-3])), fold(up[-2])), fold(up[2])), fold(up2[-1]));
            hash[4] = h = mix(h, fold(up2[1]));
            h = mix(mix(mix(mix(h + 5, fold(cur[-4])), fold(up[-3])), fold(up[3])), fold(up2[-2]));
            hash[5] = large = mix(h, fold(up2[2]));
            h = mix(mix(mix(mix(large + 6, fold(cur[-5])), fold(up[-4])), fold(up[4])),
                    fold(up2[-3]));
            h = mix(mix(mix(mix(h, fold(up2[3])), fold(up3[0])), fold(up3[-1])), fold(up3[1]));
            hash[6] = huge = mix(mix(h, fold(cur[-6])), fold(up[5]));
            hash[7] = mix(mix(mix(mix(mix(7, w), ww), fold(cur[-3])), fold(cur[-4])),
                          mix(fold(cur[-5]), fold(cur[-6])));
            hash[8] = mix(mix(mix(mix(mix(8, n), nn), fold(up3[0])), fold(row[4][x])), w);
            hash[9] = mix(mix(9, ahead), mix(w, n));
            hash[10] = mix(mix(mix(mix(mix(10, n), ne), fold(up[2])), fold(up[3])),
                           mix(mix(fold(up[4]), fold(up[5])), w));
            hash[11] = mix(mix(mix(11, fold(cur[-8])), fold(row[8][x])), mix(w, n));
            hash[12] = mix(mix(mix(12, fold(cur[-4])), fold(row[4][x])), mix(w, n));
            hash[13] = mix(mix(13, place), mix(w, n));
            hash[14] = mix(mix(mix(14, fold(up2[1])), mix(nn, fold(up2[-1]))),
                           mix(mix(w, n), mix(nw, ne)));
            hash[15] = mix(mix(mix(mix(15, w), nw), mix(fold(up[-2]), fold(up2[-2]))),
                           mix(fold(cur[-3]), ww));

            order[0] = W, order[1] = N, order[2] = NW, order[3] = NE,
            order[4] = d->said[0][huge & said];
            order[5] = d->said[1][medium & said], order[6] = WW, order[7] = NN, order[8] = up[2],
            order[9] = up[-2];
            for (int i = 0; i < 10 && n_tried < CANDIDATES && !hit; i++) {
                bool known = false;

                for (uint32_t k = 0; k < n_tried; k++)
                    known |= tried[k] == order[i];
                if (known)
                    continue;
                hit = decide_drawn(d, coder, decoding, colour == order[i], n_tried, n_tried,
                                   pattern & 31, pattern | n_tried << 7);
                if (hit)
                    colour = order[i];
                tried[n_tried++] = order[i];
                if (g->max == 1 && g->channels == 1 && !hit) { /* there is only one other */
                    colour = order[i] ^ 1;
                    hit = true;
                }
            }
            if (!hit && !code_samples(d, coder, decoding, g, &colour, cur, up, place, large))
                return false;
            *cur = colour;
            d->said[0][huge & said] = d->said[1][medium & said] = colour;
            for (uint32_t ch = 0; ch < g->channels && decoding; ch++)
                s[ch] = (uint16_t)(colour >> 16 * ch);
            if (!decoding && coder->out > coder->out_end)
                return false;
        }
        for (int i = 0; i < PAD; i++)
            row[0][g->width + (uint32_t)i] = row[0][g->width - 1];
    }
    return true;
}

AEI_CLONES bool aei_drawing_encode(aei_drawer *d, aei_decider *coder, const aei_drawing *g,
                                   const uint16_t *samples)
{
    return reset(d, coder, g) && code_drawing(d, coder, false, g, (uint16_t *)(uintptr_t)samples);
}

AEI_CLONES bool aei_drawing_decode(aei_drawer *d, aei_decider *coder, const aei_drawing *g,
                                   uint16_t *samples)
{
    return reset(d, coder, g) && code_drawing(d, coder, true, g, samples);
}
