/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Products of two matrices over oneDNN, whose operands lie as they are or transposed. A primitive,
 * its memory and its scratch are made once for a shape and used at each step, as the optimiser
 * needs it (train/muon.c). */
#include "nn/matmul.h"
#include "nn/exec.h"
#include "nn/plan.h"

enum { A, B, C, PAD, N_MEMORIES };

struct aei_matmul {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    dnnl_memory_t memory[N_MEMORIES];
    void *pad;
};

static bool ok(dnnl_status_t st)
{
    return st == dnnl_success;
}

static bool prepare(aei_matmul *t, const dnnl_memory_desc_t md[3])
{
    dnnl_matmul_desc_t desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    bool good = ok(dnnl_primitive_attr_create(&attr)) &&
                ok(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)) &&
                ok(dnnl_matmul_desc_init(&desc, &md[A], &md[B], NULL, &md[C])) &&
                ok(dnnl_primitive_desc_create(&pd, &desc, attr, aei_engine(), NULL)) &&
                ok(dnnl_primitive_create(&t->primitive, pd)) &&
                ok(dnnl_stream_create(&t->stream, aei_engine(), dnnl_stream_default_flags));

    for (int i = 0; good && i < PAD; i++)
        good = ok(dnnl_memory_create(&t->memory[i], &md[i], aei_engine(), NULL));
    if (good) {
        const dnnl_memory_desc_t *pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md,
                                                                     0);

        t->pad = ae_alloc(dnnl_memory_desc_get_size(pad) + 64, 1);
        good = t->pad && ok(dnnl_memory_create(&t->memory[PAD], pad, aei_engine(),
                                               (uint8_t *)t->pad + 64 - (uintptr_t)t->pad % 64));
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
    return good;
}

static dnnl_data_type_t data_type(ae_precision precision)
{
    return precision == AE_PRECISION_BF16 ? dnnl_bf16 : dnnl_f32;
}

ae_status aei_matmul_create(uint32_t m, uint32_t k, uint32_t n, aei_turned turned,
                            ae_precision from, ae_precision to, aei_matmul **out, ae_error *err)
{
    bool a_turned = turned == AEI_A_TURNED, b_turned = turned == AEI_B_TURNED;
    dnnl_dims_t a = {m, k}, a_step = {a_turned ? 1 : k, a_turned ? m : 1};
    dnnl_dims_t b = {k, n}, b_step = {b_turned ? 1 : n, b_turned ? k : 1}, c = {m, n},
                c_step = {n, 1};
    dnnl_memory_desc_t md[3];
    aei_matmul *t = *out = ae_alloc(1, sizeof(*t));

    aei_single_threaded();
    if (t && ok(dnnl_memory_desc_init_by_strides(&md[A], 2, a, data_type(from), a_step)) &&
        ok(dnnl_memory_desc_init_by_strides(&md[B], 2, b, data_type(from), b_step)) &&
        ok(dnnl_memory_desc_init_by_strides(&md[C], 2, c, data_type(to), c_step)) && prepare(t, md))
        return AE_OK;
    aei_matmul_free(t);
    *out = NULL;
    return ae_fail(err, AE_ERR_NOMEM, "a product of matrices, %u x %u by %u x %u", m, k, k, n);
}

void aei_matmul_free(aei_matmul *t)
{
    if (!t)
        return;
    for (int i = 0; i < N_MEMORIES; i++)
        dnnl_memory_destroy(t->memory[i]);
    dnnl_primitive_destroy(t->primitive);
    dnnl_stream_destroy(t->stream);
    ae_free(t->pad);
    ae_free(t);
}

bool aei_matmul_run(aei_matmul *t, const void *a, const void *b, void *c)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, t->memory[A]},
                              {DNNL_ARG_WEIGHTS, t->memory[B]},
                              {DNNL_ARG_DST, t->memory[C]},
                              {DNNL_ARG_SCRATCHPAD, t->memory[PAD]}};

    return ok(dnnl_memory_set_data_handle(t->memory[A], (void *)(uintptr_t)a)) &&
           ok(dnnl_memory_set_data_handle(t->memory[B], (void *)(uintptr_t)b)) &&
           ok(dnnl_memory_set_data_handle(t->memory[C], c)) &&
           ok(dnnl_primitive_execute(t->primitive, t->stream, 4, args)) &&
           ok(dnnl_stream_wait(t->stream));
}
