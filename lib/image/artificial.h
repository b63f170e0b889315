/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signs that no camera made a square of a picture: levels that noise would fill are left out, one
 * colour comes again and again, the spectrum is of lines. */
#ifndef AEI_ARTIFICIAL_H
#define AEI_ARTIFICIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "ae/status.h"

enum { AEI_BLOCK_EDGE = 32 };

/* How many levels between the 2nd and the 98th hundredth of the samples occur, of those that there
 * are: noise fills them, drawing does not. Below 0 where there are too few to tell, 0 where all are
 * one. *range: how far these are apart, if that is more. */
float aei_filled(const uint32_t histogram[256], uint32_t *range);

/* How often the most frequent colour occurs, but for those of which every channel is clipped. */
uint32_t aei_most_frequent(const uint32_t colours[AEI_BLOCK_EDGE * AEI_BLOCK_EDGE]);

/* Halftones, stripes and rings of any softness fill all levels, as noise does, but of each ring of
 * frequencies only few hold anything. */
typedef struct aei_lines aei_lines;
ae_status aei_lines_create(aei_lines **out, ae_error *err);
void aei_lines_free(aei_lines *lines);
/* Of a square of samples: noise has hardly ever as many frequencies that hold next to nothing. */
bool aei_lines_seen(aei_lines *lines, const float *square);

#endif
