/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_STORAGE_H
#define AEI_STORAGE_H

#include "nn/plan.h"

/* Stored channels and their order for all steps, whose shapes are known; false when out of memory.
 */
bool aei_storage_choose(aei_plan *plan);
/* Products of a layer and its gate (aei_step: gates, chunk). */
void aei_storage_gates(aei_plan *plan);

static inline bool aei_is_output(const aei_plan *plan, uint32_t node)
{
    for (uint32_t i = 0; i < plan->n_outputs; i++)
        if (plan->outputs[i] == node)
            return true;
    return false;
}

#endif
