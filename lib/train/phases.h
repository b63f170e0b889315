/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which phase of a recipe a step belongs to. */
#ifndef AEI_PHASES_H
#define AEI_PHASES_H

#include "ae/recipe.h"

typedef struct aei_moment {
    uint32_t phase;       /* 0 of recipes without phases */
    uint64_t step, steps; /* how far its schedule is, which phases that take turns share */
    float rate;           /* of learning */
} aei_moment;

/* The run has `steps` in all; phases are longer or shorter in proportion where the recipe has
 * another number. count: of the steps taken, by which turns go; `step` itself unless the clock
 * decides. */
aei_moment aei_moment_of(const ae_recipe *recipe, uint64_t step, uint64_t steps, uint64_t count);
/* Weight of a term then: 0 where its phase leaves it out. */
float aei_term_weight(const ae_recipe *recipe, uint32_t term, const aei_moment *moment);
/* Whether it is part of what validation measures; labels: those there are, or NULL. */
bool aei_term_is_evaluated(const ae_term *term, const float *labels);
/* Whether a phase trains a node of the joined graph, of network number `network`. */
bool aei_phase_trains(const ae_recipe *recipe, uint32_t phase, uint32_t network,
                      const ae_node *node);

#endif
