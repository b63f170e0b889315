/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_PLANNER_H
#define AEI_PLANNER_H

/* FFTW makes and destroys plans of one thread at a time. */
void aei_planner_lock(void);
void aei_planner_unlock(void);

#endif
