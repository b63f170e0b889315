/* SPDX-License-Identifier: BSD-2-Clause
 *
 * oneDNN's engine, handles of memory, and the execution of primitives. */
#include <omp.h>
#include <pthread.h>

#include "nn/plan.h"

static dnnl_engine_t engine;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void make_engine(void)
{
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
}

dnnl_engine_t aei_engine(void)
{
    pthread_once(&engine_once, make_engine);
    return engine;
}

void aei_single_threaded(void)
{
    omp_set_num_threads(1);
}

dnnl_memory_t aei_memory(aei_run *run, const aei_step *step, int which,
                         const dnnl_memory_desc_t *md, void *data)
{
    dnnl_memory_t *m = &run->memory[step->index][which];
    void *bound = NULL;
    dnnl_status_t st = dnnl_success;

    if (!*m)
        st = dnnl_memory_create(m, md, aei_engine(), data);
    else if (dnnl_memory_get_data_handle(*m, &bound) != dnnl_success || bound != data)
        st = dnnl_memory_set_data_handle(*m, data);
    if (st != dnnl_success && run->status == dnnl_success)
        run->status = st;
    return *m;
}

void aei_execute(aei_run *run, dnnl_primitive_t prim, int n, const dnnl_exec_arg_t *args)
{
    dnnl_status_t st = run->status == dnnl_success
                           ? dnnl_primitive_execute(prim, run->stream, n, args)
                           : dnnl_success;

    if (st != dnnl_success)
        run->status = st;
}
