/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Distributions for values that a network calls normal with a deviation out of a row, fitted to
 * what occurred. */
#ifndef AEI_FIT_H
#define AEI_FIT_H

#include "latent/program.h"

enum { AEI_MIXED = 6, AEI_COUNTED = 2048 };

/* Each is a mixture of normals whose deviations are its own times these. */
extern const double aei_fit_ratios[AEI_MIXED];

/* how often a magnitude occurred; the last: itself and all above */
typedef uint32_t aei_counts[AEI_COUNTED];
typedef double aei_weights_of[AEI_MIXED]; /* sum 1 */

/* The deviation of distribution i is least * 2^(i / per_octave). What was seen too seldom stays
 * near the normal. */
void aei_fit(aei_counts *counts, double least, uint32_t per_octave, uint32_t n,
             aei_weights_of *weights);
/* The distributions as tables; weights NULL: normals. scales[i].start point into *starts
 * (ae_alloc). */
ae_status aei_fit_tables(aei_weights_of *weights, double least, uint32_t per_octave, uint32_t n,
                         aei_scale *scales, uint16_t **starts, ae_error *err);

#endif
