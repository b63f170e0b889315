/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tiles of 32-bit floats without loss (doc/container.md, "Sample coding"): two tiles of whole
 * numbers, the halves of their bits. */
#ifndef AEI_FLOATS_H
#define AEI_FLOATS_H

#include "frame.h"
#include "lossless.h"

/* A float as its upper half, ordered as numbers are (what is below 0 has its bits turned over), and
 * its lower one. */
static inline void aei_float_split(float f, uint16_t *high, uint16_t *low)
{
    uint32_t u;

    memcpy(&u, &f, 4);
    *high = (uint16_t)(u >> 31 ? ~u >> 16 : u >> 16 | 0x8000);
    *low = (uint16_t)u;
}

static inline float aei_float_join(uint16_t high, uint16_t low)
{
    uint32_t u = (uint32_t)(high >> 15 ? high & 0x7fff : high ^ 0xffff) << 16 | low;
    float f;

    memcpy(&f, &u, 4);
    return f;
}

/* v: the upper halves of all samples of the tile, then the lower ones, which encoding changes. out
 * is emptied first. */
ae_status aei_floats_encode(aei_sample_coder *coder, aei_block tile, uint16_t *v, aei_buffer *out,
                            ae_error *err);
ae_status aei_floats_decode(aei_sample_coder *coder, aei_block tile, const void *data,
                            size_t n_bytes, uint16_t *v, ae_error *err);

#endif
