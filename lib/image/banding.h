/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Offsets that whole lines of a picture have, all rows or all columns: found by what the
 * differences of neighbouring lines have in common from one end to the other. */
#ifndef AEI_BANDING_H
#define AEI_BANDING_H

#include "ae/status.h"

typedef struct aei_banding aei_banding;

/* n lines of `channels` values. */
ae_status aei_banding_create(uint32_t n, uint32_t channels, aei_banding **out, ae_error *err);
void aei_banding_free(aei_banding *b);
/* Differences of a line to the one before it, on the scale of 0 to 255, in part 0 to
 * AEI_BANDING_PARTS - 1 of its length. */
enum { AEI_BANDING_PARTS = 4 };
void aei_banding_add(aei_banding *b, uint32_t line, uint32_t channel, uint32_t part,
                     float difference);
/* After all were added: the deviation of the offsets, 0 where there are none; *offsets: n *
 * channels of them, of the same scale, valid as long as b. */
float aei_banding_settle(aei_banding *b, const float **offsets);

#endif
