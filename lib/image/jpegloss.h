/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_JPEGLOSS_H
#define AEI_JPEGLOSS_H

#include "ae/status.h"

typedef struct aei_jpeg_loss {
    int quality;       /* 1..100, scaling the tables of the standard's annex K as libjpeg does */
    bool halve_chroma; /* 4:2:0 */
    /* 0..15: where the picture's corner lies within a block (of 16 x 16 with halved chroma) */
    uint32_t y, x;
} aei_jpeg_loss;

/* What coding and decoding a picture of h x w pixels and c = 1 or 3 interleaved channels does to
 * it, entropy coding left out. The picture is clipped and rounded to 8 bits before and after.
 * scratch: aei_jpeg_loss_scratch bytes. */
void aei_jpeg_lose(const aei_jpeg_loss *loss, float *picture, uint32_t h, uint32_t w, uint32_t c,
                   void *scratch);
size_t aei_jpeg_loss_scratch(uint32_t h, uint32_t w);

/* The mean of a table's ten steps of the lowest frequencies, row by row. */
float aei_jpeg_low_steps(const uint16_t table[64]);

#endif
