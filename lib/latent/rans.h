/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Interleaved range ANS (Duda 2013; Giesen 2014): two lanes of 64-bit states that symbols take in
 * turn, frequencies in 1/65536, 32-bit words. A stream is both states, little-endian, then the
 * words in the order in which they are read. Reading it to its end leaves both lanes at
 * AEI_RANS_LOW and no word over, whatever else is damage. */
#ifndef AEI_RANS_H
#define AEI_RANS_H

#include "latent/program.h"

#define AEI_RANS_LOW (UINT64_C(1) << 32)
enum { AEI_RANS_LANES = 2, AEI_RANS_HEAD = 8 * AEI_RANS_LANES };

typedef struct aei_rans_reader {
    uint64_t state[AEI_RANS_LANES];
    const uint8_t *at, *end;
    uint32_t lane;
    bool bad;
} aei_rans_reader;

/* Tables for reading: where to begin the search for the symbol of a slot, and what to expect. */
typedef struct aei_rans_tables {
    const aei_scale *scales;
    uint16_t (*begin)[256]; /* for each distribution: the symbol of slot 256 * i */
    uint32_t *expected;     /* for each: the mean of magnitudes (latent/surprise.h) */
} aei_rans_tables;
ae_status aei_rans_tables_make(const aei_scale *scales, uint32_t n_scales, aei_rans_tables *out,
                               ae_error *err);
void aei_rans_tables_free(aei_rans_tables *tables);

/* A short stream reads as zeros and is bad. */
void aei_rans_begin(aei_rans_reader *r, const void *data, size_t n_bytes);
bool aei_rans_complete(const aei_rans_reader *r);

/* The state after taking the symbol [start, start + size) off it. */
static inline void aei_rans_advance(aei_rans_reader *r, uint32_t lane, uint32_t start,
                                    uint32_t size)
{
    uint64_t x = r->state[lane];

    x = (x >> 16) * size + (x & 0xffff) - start;
    if (x < AEI_RANS_LOW) {
        uint32_t word = 0;

        if (r->end - r->at >= 4) {
            word = (uint32_t)r->at[0] | (uint32_t)r->at[1] << 8 | (uint32_t)r->at[2] << 16 |
                   (uint32_t)r->at[3] << 24;
            r->at += 4;
        } else {
            r->bad = true;
        }
        x = x << 32 | word;
    }
    r->state[lane] = x;
}

static inline uint32_t aei_rans_bits(aei_rans_reader *r, uint32_t lane, uint32_t n_bits)
{
    uint32_t v = (uint32_t)(r->state[lane] & 0xffff) >> (16 - n_bits);

    aei_rans_advance(r, lane, v << (16 - n_bits), 1u << (16 - n_bits));
    return v;
}

/* How far beyond the symbols: a sign, the number of bits, these bits. Kept within what 16 bits
 * hold, whatever the stream says. */
static inline int32_t aei_rans_escaped(aei_rans_reader *r, const aei_scale *s, uint32_t lane)
{
    bool below = aei_rans_bits(r, lane, 1);
    uint32_t n_bits = aei_rans_bits(r, lane, 4);
    int32_t beyond = (int32_t)((1u << n_bits) + (n_bits ? aei_rans_bits(r, lane, n_bits) : 0));
    int32_t v = below ? s->first - beyond : s->first + (int32_t)s->n - 1 + beyond,
            most = 1 << (15 - s->raw);

    return aei_saturate(v, -most, most - 1);
}

/* The next value, of distribution `index`. */
static inline int32_t aei_rans_get(aei_rans_reader *r, const aei_rans_tables *tables,
                                   uint32_t index)
{
    const aei_scale *s = &tables->scales[index];
    uint32_t lane = r->lane, slot = (uint32_t)(r->state[lane] & 0xffff),
             k = tables->begin[index][slot >> 8];
    int32_t v;

    r->lane = lane ^ 1;
    while (k < s->n && s->start[k + 1] <= slot)
        k++;
    aei_rans_advance(r, lane, s->start[k], (k < s->n ? s->start[k + 1] : 65536u) - s->start[k]);
    v = s->first + (int32_t)k;
    if (k == s->n)
        v = aei_rans_escaped(r, s, lane);
    return s->raw ? v * (1 << s->raw) + (int32_t)aei_rans_bits(r, lane, s->raw) : v;
}

/* Writing: symbols are noted in the order in which they will be read and coded backwards at the
 * end. */
typedef struct aei_rans_writer {
    uint32_t *events; /* start | (size - 1) << 16 */
    uint8_t *lanes;
    size_t n_events, n_allocated;
    uint32_t lane;
} aei_rans_writer;
/* value: -32768..32767. */
ae_status aei_rans_put(aei_rans_writer *w, const aei_scale *scale, int32_t value, ae_error *err);
/* Makes the stream in *bytes (ae_alloc, n_allocated; grown as need be) and empties the writer for
 * the next. */
ae_status aei_rans_finish(aei_rans_writer *w, uint8_t **bytes, size_t *n_allocated, size_t *n_bytes,
                          ae_error *err);
void aei_rans_writer_free(aei_rans_writer *w);
/* What a value costs, in bits. */
double aei_rans_cost(const aei_scale *scale, int32_t value);

#endif
