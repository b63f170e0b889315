/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Spectra of sound as bits (doc/container.md, "Lossy sound"): for each block the level of every
 * band, which bands have coefficients, and these in steps that follow the levels; all else is noise
 * of the right level. Decided by the coder that samples have, too. */
#ifndef AEI_SOUNDBANDS_H
#define AEI_SOUNDBANDS_H

#include "frame.h"

enum {
    AEI_BANDS_MOST = 64,  /* of a block */
    AEI_BANDS_SPLITS = 3, /* a cell is 1, 2, 4 or 8 blocks: log2 of that is up to */
    AEI_BANDS_BLOCKS = 1 << AEI_BANDS_SPLITS,
    AEI_BANDS_LEAST = 7, /* log2 of the samples of a cell */
    AEI_BANDS_LARGEST = 12,
    AEI_BANDS_FILLS = 8,
    AEI_BANDS_CHANNELS = 32,
    AEI_BANDS_ONE = 32, /* of most numbers in a head */
    AEI_BANDS_LOG = 256 /* of a logarithm of 2 */
};

/* What a tile says before its bits. Logarithms are of 2, in 1/256. */
typedef struct aei_bands_head {
    int8_t lift; /* coefficients and samples count in 2^(lift - 21) of full scale */
    /* a band is as wide as its begin / divisor, and at least so many coefficients */
    uint8_t least, divisor;
    int16_t step; /* log2 of the step where level and width say nothing */
    /* how much of a level's, of a width's logarithm goes into its step, in 1/32 */
    uint8_t gamma, tilt;
    uint8_t gain; /* of bands that are noise, in 1/32 */
    /* noise among coefficients, in 1/64 of the step, by how loud the band is above it */
    uint8_t fill[AEI_BANDS_FILLS];
    uint8_t bias[2]; /* by how much in 1/64 of a step magnitudes of 1, of more are smaller */
} aei_bands_head;

/* Where bands begin in a block of 2^log2n, n + 1 places; returns n. */
uint32_t aei_bands_of(const aei_bands_head *head, uint32_t log2n,
                      uint16_t starts[AEI_BANDS_MOST + 1]);
/* log2 of the step of a band so wide at that level. */
int32_t aei_bands_step(const aei_bands_head *head, uint32_t level, uint32_t width);
/* 2^((x mod 256) / 256) 2^30. */
int32_t aei_bands_power(uint32_t x);

/* How an encoder wants it. */
typedef struct aei_bands_plan {
    uint8_t *splits; /* of each cell */
    /* of each cell, block, pair of channels, band (of AEI_BANDS_MOST): whether that is mid and side
     */
    uint8_t *mid;
    float lambda;       /* squares of steps that a bit is worth */
    float level_lambda; /* squares of levels that a bit is worth, of bands that are noise */
} aei_bands_plan;

typedef struct aei_bands_coder aei_bands_coder;
aei_bands_coder *aei_bands_create(void); /* NULL: out of memory */
void aei_bands_free(aei_bands_coder *coder);

/* coefficients: of each channel cells << log2n of them. Encoding completes *head by what it
 * measures (fill, bias), and appends head and bits to out. With pairs told to be mid and side the
 * coefficients are changed into these. */
ae_status aei_bands_encode(aei_bands_coder *coder, aei_bands_head *head, uint32_t channels,
                           uint32_t cells, uint32_t log2n, const aei_bands_plan *plan,
                           int32_t *const *coefficients, aei_buffer *out, ae_error *err);
/* splits: of each cell. */
ae_status aei_bands_decode(aei_bands_coder *coder, const void *data, size_t n_bytes,
                           uint32_t channels, uint32_t cells, uint32_t log2n, aei_bands_head *head,
                           uint8_t *splits, int32_t *const *coefficients, ae_error *err);

#endif
