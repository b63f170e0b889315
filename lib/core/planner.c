/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/planner.h"

#include <pthread.h>

static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

void aei_planner_lock(void)
{
    pthread_mutex_lock(&planner);
}

void aei_planner_unlock(void)
{
    pthread_mutex_unlock(&planner);
}
