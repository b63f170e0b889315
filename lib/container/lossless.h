/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One tile of samples, without loss or with bounded error (doc/container.md, "Sample coding").
 * Whole numbers throughout: what is decoded is the same everywhere. */
#ifndef AEI_LOSSLESS_H
#define AEI_LOSSLESS_H

#include "ae/status.h"

typedef struct aei_block {
    uint32_t width, height; /* at least 1 */
    uint32_t channels;      /* 1..4, interleaved; the last of 2 and 4 is alpha */
    uint32_t max;           /* largest value of a sample, 1..65535 */
    uint32_t period;        /* rows of one of several pictures below each other; 0: it is one */
    uint32_t bound;         /* of errors, in 1/AE_BOUND_ONE; in alpha 0 */
} aei_block;

enum { AEI_TILE_MAX_SAMPLES = 512 * 512 * 4 };

/* Whether it looks like a drawing: equal neighbours, or few colours. */
bool aei_tile_is_drawn(const aei_block *tile, const uint16_t *samples);

/* What coding a tile needs; reusable, one for each thread. */
typedef struct aei_sample_coder aei_sample_coder;
aei_sample_coder *aei_sample_coder_create(void); /* NULL: out of memory */
void aei_sample_coder_free(aei_sample_coder *coder);

/* samples become what decoding will give. *bytes belongs to the coder and lives until its next use.
 */
ae_status aei_tile_encode(aei_sample_coder *coder, const aei_block *tile, uint16_t *samples,
                          const uint8_t **bytes, size_t *n_bytes, ae_error *err);
ae_status aei_tile_decode(aei_sample_coder *coder, const aei_block *tile, const uint8_t *bytes,
                          size_t n_bytes, uint16_t *samples, ae_error *err);

#endif
