/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Work shared by threads: each takes the next index until none is left. Which thread does which
 * job is left to chance; jobs write to places of their own, so that results do not depend on it. */
#define _GNU_SOURCE
#include "core/threads.h"

#include <pthread.h>
#include <sched.h>

struct aei_pool {
    pthread_mutex_t mutex;
    pthread_cond_t start, finish;
    pthread_t *threads;
    uint32_t n_threads, n_started; /* n_started workers exist */
    uint64_t generation;
    uint32_t n_jobs, next, running;
    void (*job)(void *, uint32_t, uint32_t);
    void *context;
    bool stop;
};

typedef struct worker {
    aei_pool *pool;
    uint32_t index;
} worker;

/* Takes jobs until none is left. Called and left with the mutex held. */
static void take_jobs(aei_pool *p, uint32_t thread)
{
    while (p->next < p->n_jobs) {
        uint32_t i = p->next++;

        p->running++;
        pthread_mutex_unlock(&p->mutex);
        p->job(p->context, i, thread);
        pthread_mutex_lock(&p->mutex);
        p->running--;
    }
}

static void *worker_main(void *argument)
{
    worker w = *(worker *)argument;
    uint64_t seen = 0;

    ae_free(argument);
    pthread_mutex_lock(&w.pool->mutex);
    while (!w.pool->stop) {
        if (w.pool->generation == seen) {
            pthread_cond_wait(&w.pool->start, &w.pool->mutex);
            continue;
        }
        seen = w.pool->generation;
        take_jobs(w.pool, w.index);
        if (!w.pool->running)
            pthread_cond_signal(&w.pool->finish);
    }
    pthread_mutex_unlock(&w.pool->mutex);
    return NULL;
}

ae_status aei_pool_create(uint32_t n_threads, aei_pool **out, ae_error *err)
{
    aei_pool *p = ae_alloc(1, sizeof(*p));

    *out = NULL;
    if (!p)
        return ae_fail(err, AE_ERR_NOMEM, "thread pool");
    p->n_threads = n_threads ? n_threads : 1;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->start, NULL);
    pthread_cond_init(&p->finish, NULL);
    p->threads = ae_alloc(p->n_threads, sizeof(*p->threads));
    while (p->threads && p->n_started + 1 < p->n_threads) {
        worker *w = ae_alloc(1, sizeof(*w));

        if (!w)
            break;
        *w = (worker){p, p->n_started};
        if (pthread_create(&p->threads[p->n_started], NULL, worker_main, w)) {
            ae_free(w);
            break;
        }
        p->n_started++;
    }
    if (p->n_started + 1 < p->n_threads) {
        ae_status st = ae_fail(err, AE_ERR_NOMEM, "thread pool: could not start thread %u of %u",
                               p->n_started + 1, p->n_threads);

        aei_pool_free(p);
        return st;
    }
    *out = p;
    return AE_OK;
}

void aei_pool_free(aei_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_cond_broadcast(&p->start);
    pthread_mutex_unlock(&p->mutex);
    for (uint32_t i = 0; i < p->n_started; i++)
        pthread_join(p->threads[i], NULL);
    pthread_mutex_destroy(&p->mutex);
    pthread_cond_destroy(&p->start);
    pthread_cond_destroy(&p->finish);
    ae_free(p->threads);
    ae_free(p);
}

uint32_t aei_pool_threads(const aei_pool *p)
{
    return p->n_threads;
}

void aei_pool_run(aei_pool *p, uint32_t n_jobs, void (*job)(void *, uint32_t, uint32_t),
                  void *context)
{
    pthread_mutex_lock(&p->mutex);
    p->job = job;
    p->context = context;
    p->n_jobs = n_jobs;
    p->next = 0;
    p->generation++;
    pthread_cond_broadcast(&p->start);
    take_jobs(p, p->n_threads - 1);
    while (p->running)
        pthread_cond_wait(&p->finish, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
}

uint32_t aei_cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return n > 0 ? (uint32_t)n : 1;
}
