/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pace of a run: how far through its schedule a step is, by count or by the clock, and the
 * learning rate there. */
#ifndef AEI_PACE_H
#define AEI_PACE_H

#include "ae/recipe.h"

typedef struct aei_pace {
    const ae_recipe *recipe;
    uint64_t steps; /* at most */
    double limit;   /* seconds in which the whole schedule must fit; 0: any time */
    double reserve; /* seconds of those for what comes after the last step */
    bool trained;   /* it goes on from a trained network, which a high rate would only undo */
    double rate;    /* the highest; 0: the recipe's */
} aei_pace;

/* 0..1: how much of the schedule is over when `step` steps and `seconds` have passed, whichever
 * says more. */
double aei_pace_share(const aei_pace *pace, uint64_t step, double seconds);
/* How many steps it will be. */
uint64_t aei_pace_steps(const aei_pace *pace, uint64_t step, double seconds);
/* The rate of step `step`. Without a limit: aei_rate of the steps. Within one: a rise over a tenth
 * of the time, or over the recipe's warm-up where that is shorter, then a cosine down to rate_end
 * at the end. Trained networks get the recipe's rate times the square root of what share of the
 * recipe's own steps they are going to take. */
float aei_pace_rate(const aei_pace *pace, uint64_t step, double seconds);

#endif
