/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Entropy coding of latents: range asymmetric numeral systems (Duda 2013; Giesen 2014), two states
 * in turn. */
#include "latent/rans.h"

#include <math.h>
#include <string.h>

#include "latent/surprise.h"
#include "model/format.h"

static uint32_t size_of(const aei_scale *s, uint32_t k)
{
    return (k < s->n ? s->start[k + 1] : 65536u) - s->start[k];
}

/* Each symbol counts as the middle of its values, the escape as none. */
static uint32_t expected(const aei_scale *s)
{
    uint64_t sum = 0, most = AEI_MOST_MAGNITUDE * AEI_MAGNITUDE_ONE;

    for (uint32_t k = 0; k < s->n; k++) {
        int64_t twice = ((int64_t)s->first + k) * (2 << s->raw) + (1 << s->raw) - 1;

        sum += (uint64_t)(twice < 0 ? -twice : twice) * size_of(s, k);
    }
    sum = sum * AEI_MAGNITUDE_ONE >> 17;
    return (uint32_t)(sum < most ? sum : most);
}

ae_status aei_rans_tables_make(const aei_scale *scales, uint32_t n_scales, aei_rans_tables *out,
                               ae_error *err)
{
    out->scales = scales;
    out->begin = ae_alloc(n_scales, sizeof(*out->begin));
    out->expected = ae_alloc(n_scales, sizeof(*out->expected));
    if (!out->begin || !out->expected)
        return ae_fail(err, AE_ERR_NOMEM, "tables of %u distributions", n_scales);
    for (uint32_t i = 0; i < n_scales; i++)
        for (uint32_t j = 0, k = 0; j < 256; j++) {
            while (k < scales[i].n && scales[i].start[k + 1] <= 256 * j)
                k++;
            out->begin[i][j] = (uint16_t)k;
        }
    for (uint32_t i = 0; i < n_scales; i++)
        out->expected[i] = expected(&scales[i]);
    return AE_OK;
}

void aei_rans_tables_free(aei_rans_tables *tables)
{
    ae_free(tables->begin);
    ae_free(tables->expected);
    *tables = (aei_rans_tables){0};
}

/* ---- reading ---- */

void aei_rans_begin(aei_rans_reader *r, const void *data, size_t n_bytes)
{
    const uint8_t *p = data;

    *r = (aei_rans_reader){.bad = n_bytes < AEI_RANS_HEAD || n_bytes % 4};
    if (!r->bad) {
        r->at = p + AEI_RANS_HEAD;
        r->end = p + n_bytes;
    }
    for (int i = 0; i < AEI_RANS_LANES; i++) {
        r->state[i] = r->bad ? AEI_RANS_LOW : aei_load64(p + 8 * i);
        r->bad |= r->state[i] < AEI_RANS_LOW;
    }
}

bool aei_rans_complete(const aei_rans_reader *r)
{
    return !r->bad && r->at == r->end && r->state[0] == AEI_RANS_LOW && r->state[1] == AEI_RANS_LOW;
}

/* ---- writing ---- */

static void note(aei_rans_writer *w, uint32_t start, uint32_t size)
{
    w->events[w->n_events] = start | (size - 1) << 16;
    w->lanes[w->n_events++] = (uint8_t)w->lane;
}

static void note_bits(aei_rans_writer *w, uint32_t v, uint32_t n_bits)
{
    if (n_bits)
        note(w, (v & ((1u << n_bits) - 1)) << (16 - n_bits), 1u << (16 - n_bits));
}

static uint32_t bit_length(uint32_t v)
{
    return 32 - (uint32_t)__builtin_clz(v);
}

/* Steps from the nearest symbol to k, which is none. */
static uint32_t beyond(const aei_scale *s, int32_t k)
{
    return (uint32_t)(k < 0 ? -k : k - (int32_t)s->n + 1);
}

ae_status aei_rans_put(aei_rans_writer *w, const aei_scale *s, int32_t value, ae_error *err)
{
    int32_t k = (value >> s->raw) - s->first;

    if (w->n_allocated - w->n_events < 5) {
        size_t n = w->n_allocated ? 2 * w->n_allocated : 1 << 16;
        uint32_t *events = ae_realloc(w->events, w->n_allocated * sizeof(*events),
                                      n * sizeof(*events));
        uint8_t *lanes;

        if (events)
            w->events = events;
        lanes = events ? ae_realloc(w->lanes, w->n_allocated, n) : NULL;
        if (!lanes)
            return ae_fail(err, AE_ERR_NOMEM, "%zu symbols", n);
        w->lanes = lanes;
        w->n_allocated = n;
    }
    if (k < 0 || k >= (int32_t)s->n) {
        uint32_t n_bits = bit_length(beyond(s, k)) - 1;

        note(w, s->start[s->n], size_of(s, s->n));
        note_bits(w, k < 0, 1);
        note_bits(w, n_bits, 4);
        note_bits(w, beyond(s, k), n_bits);
    } else {
        note(w, s->start[k], size_of(s, (uint32_t)k));
    }
    note_bits(w, (uint32_t)value, s->raw);
    w->lane ^= 1;
    return AE_OK;
}

double aei_rans_cost(const aei_scale *s, int32_t value)
{
    int32_t k = (value >> s->raw) - s->first;

    if (k < 0 || k >= (int32_t)s->n)
        return 16 - log2(size_of(s, s->n)) + 4 + bit_length(beyond(s, k)) + s->raw;
    return 16 - log2(size_of(s, (uint32_t)k)) + s->raw;
}

ae_status aei_rans_finish(aei_rans_writer *w, uint8_t **bytes, size_t *n_allocated, size_t *n_bytes,
                          ae_error *err)
{
    uint64_t state[AEI_RANS_LANES] = {AEI_RANS_LOW, AEI_RANS_LOW};
    size_t most = AEI_RANS_HEAD + 4 * w->n_events, at; /* a symbol makes at most one word */
    uint8_t *grown;

    if (most > *n_allocated) {
        if (!(grown = ae_realloc(*bytes, *n_allocated, most)))
            return ae_fail(err, AE_ERR_NOMEM, "a stream of %zu symbols", w->n_events);
        *bytes = grown;
        *n_allocated = most;
    }
    at = most;
    for (size_t i = w->n_events; i--;) {
        uint32_t start = w->events[i] & 0xffff;
        uint64_t size = (w->events[i] >> 16) + 1, *x = &state[w->lanes[i]];

        if (size < 65536 && *x >= size << 48) {
            aei_store32(*bytes + (at -= 4), (uint32_t)*x);
            *x >>= 32;
        }
        *x = (*x / size) << 16 | (*x % size + start);
    }
    for (int i = 0; i < AEI_RANS_LANES; i++)
        aei_store64(*bytes + 8 * i, state[i]);
    *n_bytes = AEI_RANS_HEAD + most - at;
    memmove(*bytes + AEI_RANS_HEAD, *bytes + at, most - at);
    w->n_events = 0;
    w->lane = 0;
    return AE_OK;
}

void aei_rans_writer_free(aei_rans_writer *w)
{
    ae_free(w->events);
    ae_free(w->lanes);
    *w = (aei_rans_writer){0};
}
