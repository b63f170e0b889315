/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Floats of sound as whole numbers in a scale that a tile has, with what these do not say: bits
 * below their last, and samples that are no such numbers (doc/container.md, "Sounds"). Every bit
 * comes back. */
#ifndef AEI_SOUNDFLOATS_H
#define AEI_SOUNDFLOATS_H

#include "frame.h"

typedef struct aei_float_tile {
    int32_t scale;      /* a sample is a whole number times 2^-scale, and more */
    uint64_t n_odd;     /* samples that are told apart: */
    aei_cursor odd;     /* for each how many lie between, and its pattern */
    const uint8_t *low; /* bits below the whole numbers; NULL: all are 0 */
    size_t n_low;
} aei_float_tile;

/* Bits as they are, the first in the lowest of a byte. */
typedef struct aei_bit_writer {
    aei_buffer *to;
    uint32_t held, n;
} aei_bit_writer;
void aei_put_bits(aei_bit_writer *b, uint64_t v, uint32_t n); /* n up to 64 */
void aei_end_bits(aei_bit_writer *b);
/* n bits from the at-th on; zeros behind the end. */
uint64_t aei_get_bits(const uint8_t *bytes, size_t n_bytes, uint64_t at, uint32_t n);

/* samples: interleaved f32 or f64. values: by channel, frames each. False where that does not help;
 * out may then hold anything. */
bool aei_floats_to_whole(const ae_signal_info *info, const void *samples, uint32_t frames,
                         int32_t *values, aei_buffer *out);
ae_status aei_floats_take(const ae_signal_info *info, uint32_t frames, aei_cursor *at,
                          aei_float_tile *out, ae_error *err);
ae_status aei_floats_from_whole(const ae_signal_info *info, const aei_float_tile *f,
                                const int32_t *values, uint32_t frames, void *samples,
                                ae_error *err);

#endif
