/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The schedule and the update of parameters: one fused pass over value, moments and moving average.
 */
#ifndef AEI_OPTIMIZER_H
#define AEI_OPTIMIZER_H

#include "nn/optimizers.h"

/* Learning rate of a step: linear rise over the warm-up (at most a tenth of the schedule), then a
 * cosine to rate_end. */
float aei_rate(const ae_recipe *recipe, uint64_t step, uint64_t steps);
float aei_rate_between(float rate, float rate_end, uint64_t warmup, uint64_t step, uint64_t steps);

/* n_updates: how many were applied before this one. */
aei_update aei_update_make(const ae_recipe *recipe, float rate, float scale, uint64_t n_updates);
/* second may be NULL where the optimiser keeps one moment. */
void aei_apply(const aei_update *update, bool decay, size_t n, const float *gradient, float *value,
               float *first, float *second, float *average);

#endif
