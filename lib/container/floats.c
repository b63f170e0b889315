/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Floats without loss, as two planes of 16 bits; bits at the end that are 0 in all of a tile are
 * not coded. */
#include <string.h>

#include "floats.h"

enum { HALF = 16, FULL = 65535 };

/* How many bits at the end are 0 in all of them: 13 of half floats, all of small whole numbers. */
static unsigned trailing_zeros(const uint16_t *v, size_t n)
{
    uint32_t all = 0;

    for (size_t i = 0; i < n; i++)
        all |= v[i];
    return all ? (unsigned)__builtin_ctz(all) : HALF;
}

ae_status aei_floats_encode(aei_sample_coder *coder, aei_block t, uint16_t *v, aei_buffer *out,
                            ae_error *err)
{
    size_t n = (size_t)t.width * t.height * t.channels, n_coded;
    unsigned zeros = trailing_zeros(v + n, n);
    const uint8_t *coded;
    ae_status st;

    t.bound = 0;
    t.max = FULL;
    if ((st = aei_tile_encode(coder, &t, v, &coded, &n_coded, err)) != AE_OK)
        return st;
    out->n_bytes = 0;
    aei_put_number(out, n_coded);
    aei_put(out, coded, n_coded);
    aei_put_u8(out, zeros);
    if (zeros < HALF) {
        for (size_t i = 0; i < n; i++)
            v[n + i] = (uint16_t)(v[n + i] >> zeros);
        t.max = FULL >> zeros;
        if ((st = aei_tile_encode(coder, &t, v + n, &coded, &n_coded, err)) != AE_OK)
            return st;
        aei_put(out, coded, n_coded);
    }
    return out->failed ? ae_fail(err, AE_ERR_NOMEM, "a coded tile") : AE_OK;
}

ae_status aei_floats_decode(aei_sample_coder *coder, aei_block t, const void *data, size_t n_bytes,
                            uint16_t *v, ae_error *err)
{
    size_t n = (size_t)t.width * t.height * t.channels;
    const uint8_t *bytes = n_bytes ? data : (const void *)"", *high; /* NULL takes no offset */
    aei_cursor c = {bytes, bytes + n_bytes, false};
    uint64_t n_high = aei_take_number(&c);
    uint32_t zeros;
    ae_status st;

    high = aei_take(&c, n_high);
    zeros = aei_take_u8(&c);
    if (c.bad || zeros > HALF)
        return ae_fail(err, AE_ERR_MALFORMED, "a tile of floats that ends too early");
    t.bound = 0;
    t.max = FULL;
    if ((st = aei_tile_decode(coder, &t, high, (size_t)n_high, v, err)) != AE_OK)
        return st;
    if (zeros == HALF) {
        memset(v + n, 0, n * sizeof(*v));
        return AE_OK;
    }
    t.max = FULL >> zeros;
    if ((st = aei_tile_decode(coder, &t, c.at, (size_t)(c.end - c.at), v + n, err)) != AE_OK)
        return st;
    for (size_t i = 0; i < n; i++)
        v[n + i] = (uint16_t)(v[n + i] << zeros);
    return AE_OK;
}
