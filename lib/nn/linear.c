/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Products of rows by a matrix as convolutions of single pixels: rows are laid out as a picture of
 * a width that training allows. */
#include "nn/linear.h"

/* of the picture that the rows are laid out as: below AEI_MAX_TRAINING_WIDTH */
enum { WIDTH = 128 };

static bool ok(dnnl_status_t st)
{
    return st == dnnl_success;
}

size_t aei_linear_rows(size_t rows)
{
    return rows <= 2 * WIDTH ? rows : (rows + WIDTH - 1) / WIDTH * WIDTH;
}

static void shape(dnnl_dims_t dims, size_t rows, uint32_t channels)
{
    size_t padded = aei_linear_rows(rows), width = rows <= 2 * WIDTH ? padded : WIDTH;

    dims[0] = (dnnl_dim_t)(padded / width);
    dims[1] = channels;
    dims[2] = 1;
    dims[3] = (dnnl_dim_t)width;
}

static bool make(aei_linear *l, int kind, size_t rows, dnnl_primitive_attr_t attr,
                 dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd)
{
    static const dnnl_dims_t one = {1, 1}, none = {0, 0};
    static const dnnl_query_t weights_of[] = {dnnl_query_weights_md, dnnl_query_weights_md,
                                              dnnl_query_diff_weights_md};
    dnnl_dims_t src, dst, weights = {l->out, l->in, 1, 1};
    dnnl_memory_desc_t any;
    dnnl_convolution_desc_t d;
    dnnl_status_t st;

    shape(src, rows, l->in);
    shape(dst, rows, l->out);
    if (!ok(dnnl_memory_desc_init_by_tag(&l->src[kind], 4, src, dnnl_f32, dnnl_nhwc)) ||
        !ok(dnnl_memory_desc_init_by_tag(&l->dst[kind], 4, dst, dnnl_f32, dnnl_nhwc)) ||
        !ok(dnnl_memory_desc_init_by_tag(&any, 4, weights, dnnl_f32, dnnl_format_tag_any)))
        return false;
    st = kind == AEI_LINEAR_FORWARD
             ? dnnl_convolution_forward_desc_init(&d, dnnl_forward_training,
                                                  dnnl_convolution_direct, &l->src[kind], &any,
                                                  NULL, &l->dst[kind], one, none, none)
         : kind == AEI_LINEAR_DATA
             ? dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &l->src[kind],
                                                        &any, &l->dst[kind], one, none, none)
             : dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct,
                                                           &l->src[kind], &any, NULL, &l->dst[kind],
                                                           one, none, none);
    if (!ok(st) || !ok(dnnl_primitive_desc_create(pd, &d, attr, aei_engine(), hint)) ||
        !ok(dnnl_primitive_create(&l->prim[kind], *pd)))
        return false;
    l->weights[kind] = *dnnl_primitive_desc_query_md(*pd, weights_of[kind], 0);
    l->pad[kind] = *dnnl_primitive_desc_query_md(*pd, dnnl_query_scratchpad_md, 0);
    if (dnnl_memory_desc_get_size(&l->pad[kind]) > l->pad_bytes)
        l->pad_bytes = dnnl_memory_desc_get_size(&l->pad[kind]);
    return true;
}

bool aei_linear_plan(aei_plan *plan, aei_linear *l, uint32_t in, uint32_t out,
                     const size_t rows[AEI_LINEAR_KINDS])
{
    dnnl_primitive_desc_t pd[AEI_LINEAR_KINDS] = {NULL};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_dims_t dims = {out, in, 1, 1};
    bool good;

    *l = (aei_linear){.in = in, .out = out};
    good = ok(dnnl_primitive_attr_create(&attr)) &&
           ok(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user)) &&
           ok(dnnl_memory_desc_init_by_tag(&l->plain, 4, dims, dnnl_f32, dnnl_abcd));
    for (int kind = 0; kind < AEI_LINEAR_KINDS && good; kind++)
        if (rows[kind])
            good = make(l, kind, rows[kind], attr, pd[0], &pd[kind]);
    for (int kind = 0; kind < AEI_LINEAR_WEIGHTS && good; kind++)
        if (rows[kind]) {
            l->prepared[kind] = plan->prepared_bytes;
            plan->prepared_bytes += (dnnl_memory_desc_get_size(&l->weights[kind]) + 63) / 64 * 64;
            good = aei_reorder_create(&l->plain, &l->weights[kind], &l->pack_pad, &l->pack[kind]);
        }
    if (good && rows[AEI_LINEAR_WEIGHTS]) {
        l->native_floats = (dnnl_memory_desc_get_size(&l->weights[AEI_LINEAR_WEIGHTS]) + 63) / 64 *
                           16;
        good = aei_reorder_create(&l->weights[AEI_LINEAR_WEIGHTS], &l->plain, &l->pack_pad,
                                  &l->unpack);
    }
    l->pad_bytes = (l->pad_bytes + 63) / 64 * 64;
    l->pad_offset = plan->scratch_bytes;
    plan->scratch_bytes += (dnnl_memory_desc_get_size(&l->pack_pad) + 63) / 64 * 64;
    for (int kind = 0; kind < AEI_LINEAR_KINDS; kind++)
        dnnl_primitive_desc_destroy(pd[kind]);
    dnnl_primitive_attr_destroy(attr);
    return good;
}

void aei_linear_free(aei_linear *l)
{
    dnnl_primitive_t all[] = {l->prim[0], l->prim[1], l->prim[2],
                              l->pack[0], l->pack[1], l->unpack};

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (all[i])
            dnnl_primitive_destroy(all[i]);
}

void aei_linear_prepare(const aei_weights *w, const aei_linear *l, float *plain)
{
    for (int kind = 0; kind < AEI_LINEAR_WEIGHTS; kind++)
        if (l->pack[kind])
            aei_reorder(w, l->pack[kind], &l->plain, plain, &l->weights[kind],
                        w->block + l->prepared[kind], &l->pack_pad, l->pad_offset);
}

void aei_linear_unpack(const aei_weights *w, const aei_linear *l, float *native, float *plain)
{
    aei_reorder(w, l->unpack, &l->weights[AEI_LINEAR_WEIGHTS], native, &l->plain, plain,
                &l->pack_pad, l->pad_offset);
}

static void latch(aei_run *run, dnnl_status_t st)
{
    if (run->status == dnnl_success)
        run->status = st;
}

aei_product aei_product_begin(aei_run *run, const aei_weights *w, const aei_linear *l, int kind,
                              void *pad)
{
    aei_product p = {.run = run, .l = l, .kind = kind};
    void *weights = kind == AEI_LINEAR_WEIGHTS ? NULL : w->block + l->prepared[kind];

    latch(run, dnnl_memory_create(&p.src, &l->src[kind], aei_engine(), NULL));
    latch(run, dnnl_memory_create(&p.dst, &l->dst[kind], aei_engine(), NULL));
    latch(run, dnnl_memory_create(&p.weights, &l->weights[kind], aei_engine(), weights));
    latch(run, dnnl_memory_create(&p.pad, &l->pad[kind], aei_engine(), pad));
    return p;
}

void aei_product_run(aei_product *p, float *x, float *y, float *native)
{
    static const int names[AEI_LINEAR_KINDS][3] = {
        {DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_WEIGHTS},
        {DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS},
        {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS}};
    const int *name = names[p->kind];
    dnnl_exec_arg_t args[] = {
        {name[0], p->src}, {name[1], p->dst}, {name[2], p->weights}, {DNNL_ARG_SCRATCHPAD, p->pad}};

    if (p->run->status != dnnl_success)
        return;
    latch(p->run, dnnl_memory_set_data_handle(p->src, x));
    latch(p->run, dnnl_memory_set_data_handle(p->dst, y));
    if (p->kind == AEI_LINEAR_WEIGHTS)
        latch(p->run, dnnl_memory_set_data_handle(p->weights, native));
    aei_execute(p->run, p->l->prim[p->kind], 4, args);
}

void aei_product_end(aei_product *p)
{
    dnnl_memory_destroy(p->src);
    dnnl_memory_destroy(p->dst);
    dnnl_memory_destroy(p->weights);
    dnnl_memory_destroy(p->pad);
}
