/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_THREADS_H
#define AEI_THREADS_H

#include "ae/status.h"

/* A pool of n_threads - 1 workers; the caller is the last. */
typedef struct aei_pool aei_pool;
ae_status aei_pool_create(uint32_t n_threads, aei_pool **out, ae_error *err);
void aei_pool_free(aei_pool *pool); /* NULL is fine */
uint32_t aei_pool_threads(const aei_pool *pool);
/* Runs job(context, index, thread) for every index below n_jobs, index order not defined, thread <
 * n_threads; returns when all are done. Not reentrant: one thread at a time calls it. */
void aei_pool_run(aei_pool *pool, uint32_t n_jobs,
                  void (*job)(void *context, uint32_t index, uint32_t thread), void *context);

uint32_t aei_cpu_count(void); /* processors this process may use, at least 1 */

#endif
