/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The schedule and the update of parameters: one fused pass over value, moments and moving average. */
#ifndef AEI_OPTIMIZER_H
#define AEI_OPTIMIZER_H

#include "ae/recipe.h"

/* Learning rate of a step: linear rise over the warm-up (at most a tenth of the schedule), then a cosine to rate_end. */
float aei_rate(const ae_recipe *recipe, uint64_t step, uint64_t steps);
float aei_rate_between(float rate, float rate_end, uint64_t warmup, uint64_t step, uint64_t steps);

/* Constants of one update, the same for all parameters. */
typedef struct aei_update {
    ae_optimizer kind;
    float rate, scale;           /* of the gradient (clipping) */
    float beta1, beta2, unbias1, unbias2;
    float decay;                 /* applied where aei_apply is told so */
    float average;               /* the share of the new value in the moving average; 1: no averaging */
} aei_update;

/* n_updates: how many were applied before this one. */
aei_update aei_update_make(const ae_recipe *recipe, float rate, float scale, uint64_t n_updates);
/* second is not touched by SGD and may then be NULL. */
void aei_apply(const aei_update *update, bool decay, size_t n, const float *gradient, float *value, float *first, float *second,
               float *average);

#endif
