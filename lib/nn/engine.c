/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All of oneDNN that knows no layer: the one engine of the process, which is made when it is first
 * asked for, handles of memory, reorders, and the execution of primitives. Handles are made once a
 * step and bound anew where the data have moved, since making one costs more than a small layer. */
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

static bool ok(dnnl_status_t st)
{
    return st == dnnl_success;
}

bool aei_reorder_create(const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                        dnnl_memory_desc_t *pad, dnnl_primitive_t *out)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = NULL;
    bool good = ok(dnnl_primitive_attr_create(&attr)) &&
                ok(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)) &&
                ok(dnnl_reorder_primitive_desc_create(&pd, from, aei_engine(), to, aei_engine(),
                                                      attr)) &&
                ok(dnnl_primitive_create(out, pd));

    if (good) {
        const dnnl_memory_desc_t *needs = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md,
                                                                       0);

        if (dnnl_memory_desc_get_size(needs) > dnnl_memory_desc_get_size(pad))
            *pad = *needs;
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
    return good;
}

void aei_reorder(const aei_weights *w, dnnl_primitive_t prim, const dnnl_memory_desc_t *from_md,
                 void *from, const dnnl_memory_desc_t *to_md, void *to,
                 const dnnl_memory_desc_t *pad, size_t pad_offset)
{
    dnnl_memory_t a = NULL, b = NULL, p = NULL;

    if (ok(dnnl_memory_create(&a, from_md, aei_engine(), from)) &&
        ok(dnnl_memory_create(&b, to_md, aei_engine(), to)) &&
        ok(dnnl_memory_create(&p, pad, aei_engine(), w->scratch + pad_offset))) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, a}, {DNNL_ARG_TO, b}, {DNNL_ARG_SCRATCHPAD, p}};

        dnnl_primitive_execute(prim, w->stream, 3, args);
        dnnl_stream_wait(w->stream);
    }
    dnnl_memory_destroy(a);
    dnnl_memory_destroy(b);
    dnnl_memory_destroy(p);
}
