/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Live plans: height is time, and what is computed goes on from run to run. */
#ifndef AEI_LIVE_H
#define AEI_LIVE_H

#include "nn/plan.h"

/* How many rows of its input a step keeps for the next run, and where; what looks ahead or mixes
 * times is refused. */
ae_status aei_live_plan(aei_plan *plan, aei_step *step, ae_error *err);
/* Bytes of aei_live_join. */
size_t aei_live_room(const aei_plan *plan, const aei_step *step);
/* Writes the rows that were kept and those of this run to `room`, N x (look + H) x W x Cp, and
 * keeps the last ones for the next. Returns how many of the kept rows there have been: in the
 * beginning there are none, and zeros stand for them. */
uint32_t aei_live_join(aei_run *run, const aei_step *step, uint8_t *room);

#endif
