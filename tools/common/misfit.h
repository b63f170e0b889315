/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MISFIT_H
#define MISFIT_H

#include "ae/graph.h"

/* How badly a reconstruction fits its item, both of `shape` (n: 1): for rows of numbers the mean
 * squared difference. In pictures, 8 pixels or more along both edges, the difference is smoothed
 * first (deviation of one pixel), since at edges that are slightly off it changes its sign from
 * pixel to pixel, while a stroke too many or too few is of one sign; and what comes is relative to
 * the size of item and reconstruction, since who shows more has more edges. scratch: numbers of an
 * item, twice. */
double misfit(const float *item, const float *made, ae_shape shape, float *scratch);

#endif
