/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A lapped transform in whole numbers (doc/exact-decoder.md, "The transform of sound"): rotations
 * across the borders of blocks and a DCT-IV of each block. Both are orthogonal, so that the way
 * back is the same two steps in the other order. All arithmetic is on integers of a stated width
 * and wraps round: the same on every machine, whatever the data. */
#ifndef AEI_MDCT_H
#define AEI_MDCT_H

#include <stdint.h>

enum {
    AEI_MDCT_LEAST = 4, /* log2 of the samples of a block */
    AEI_MDCT_MOST = 12,
    AEI_MDCT_UNIT = 14, /* angles count in pi / 2^14 */
    AEI_MDCT_POINT = 30 /* bits of cosines behind the point */
};

/* 2^30 cos(pi i / 2^14), rounded; i up to 2^14, after any call of what follows. */
int32_t aei_mdct_cos(uint32_t i);

/* The DCT-IV of x, 2^log2n samples; work: as many. It is its own inverse, up to rounding. */
void aei_mdct_dct4(int32_t *x, int32_t *work, uint32_t log2n);

/* Rotates the 2^log2n samples about the border: border[-1 - j] and border[j] for each j below half
 * of them. Forward what belongs to the two blocks is told apart; back it is put together. */
void aei_mdct_lap(int32_t *border, uint32_t log2n);
void aei_mdct_unlap(int32_t *border, uint32_t log2n);

#endif
