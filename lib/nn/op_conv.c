/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Running layers with weights, as conv_plan.c has prepared them. */
#include <string.h>

#include "nn/conv_layer.h"
#include "nn/live.h"

static const aei_conv *own(const aei_step *s)
{
    return s->own;
}

static bool ok(dnnl_status_t st)
{
    return st == dnnl_success;
}

/* Flat weights <-> plain padded ones. to_plain: plain = flat; otherwise flat += plain. Plain is [g]
 * O I H W with stored counts; for the expanded deconvolution O runs over (ky, kx, o). */
static void map_weights(const aei_plan *plan, const aei_step *s, float *plain, float *flat,
                        bool to_plain)
{
    const aei_tensor *src = &aei_conv_source(plan, s)->t, *dst = &s->t;
    bool dense = s->node->op == AE_OP_DENSE, deconv = s->node->op == AE_OP_DECONV;
    uint32_t g = aei_conv_groups(s), sg = aei_conv_stored_groups(plan, s);
    uint32_t n_i = dense ? src->shape.h * src->shape.w * src->shape.c : src->shape.c / g,
             n_o = dst->shape.c / g;
    uint32_t kk = dense ? 1 : s->node->kernel[0] * s->node->kernel[1];
    size_t plain_i = dense ? n_i : src->cp / sg, plain_o = dst->cp / sg;

    if (to_plain)
        memset(plain, 0, own(s)->plain_floats * sizeof(float));
    for (uint32_t q = 0; q < g; q++)
        for (uint32_t o = 0; o < n_o; o++)
            for (uint32_t i = 0; i < n_i; i++) {
                size_t so = g > 1 ? o : aei_stored(dst, o),
                       si = g > 1 || dense ? i : aei_stored(src, i);
                /* a deconvolution's flat tensor is I x O/g, oneDNN's plain one O x I */
                bool turned = deconv || (dense && s->node->transposed);
                size_t from = (turned ? ((size_t)q * n_i + i) * n_o + o
                                      : ((size_t)q * n_o + o) * n_i + i) *
                              kk;

                for (uint32_t k = 0; k < kk; k++) {
                    size_t to = own(s)->expand ? (k * plain_o + so) * plain_i + si
                                               : ((q * plain_o + so) * plain_i + si) * kk + k;

                    if (to_plain)
                        plain[to] = flat[from + k];
                    else
                        flat[from + k] += plain[to];
                }
            }
}

static void map_bias(const aei_step *s, float *stored, float *flat, bool to_stored)
{
    uint32_t copies = (uint32_t)(aei_conv_bias_floats(s) / s->t.cp);

    if (to_stored)
        memset(stored, 0, aei_conv_bias_floats(s) * sizeof(float));
    for (uint32_t o = 0; o < s->t.shape.c; o++) {
        size_t at = aei_stored(&s->t, o);
        float sum = 0;

        for (uint32_t k = 0; k < copies; k++)
            if (to_stored)
                stored[k * s->t.cp + at] = flat[o];
            else
                sum += stored[k * s->t.cp + at];
        if (!to_stored)
            flat[o] += sum;
    }
}

static uint8_t *side_space(const aei_run *run, const aei_step *s)
{
    return (uint8_t *)aei_at(run, AEI_SCRATCH) + own(s)->side;
}

/* Copies logical channels between a padded tensor and a packed one. */
static void pack(const aei_tensor *t, uint8_t *padded, uint8_t *packed, bool unpack)
{
    size_t n = aei_pixels(t), run = (size_t)t->shape.c * t->element,
           step = (size_t)t->cp * t->element;

    for (size_t i = 0; i < n; i++)
        if (unpack) {
            memcpy(padded + i * step, packed + i * run, run);
            memset(padded + i * step + run, 0, step - run);
        } else {
            memcpy(packed + i * run, padded + i * step, run);
        }
}

/* Expanded deconvolution: (y, x, (ky, kx, c)) <-> (y * k + ky, x * k + kx, c). */
static void spread(const aei_run *run, const aei_step *s, uint8_t *expanded, uint8_t *picture,
                   bool gather)
{
    ae_shape in = aei_conv_source(run->plan, s)->t.shape;
    uint32_t kh = s->node->kernel[0], kw = s->node->kernel[1];
    size_t row = (size_t)s->t.cp * kw * s->t.element;

    for (size_t y = 0; y < (size_t)in.n * in.h; y++)
        for (uint32_t ky = 0; ky < kh; ky++)
            for (uint32_t x = 0; x < in.w; x++) {
                uint8_t *e = expanded + ((y * in.w + x) * kh + ky) * row,
                        *p = picture + ((y * kh + ky) * in.w + x) * row;

                memcpy(gather ? e : p, gather ? p : e, row);
            }
}

static dnnl_memory_t packed_source(aei_run *run, const aei_step *s)
{
    const aei_step *from = aei_from(run, s, 0);
    void *src = aei_value(run, from);

    if (s->node->op == AE_OP_DENSE && from->t.cp != from->t.shape.c) {
        pack(&from->t, src, side_space(run, s), false);
        src = side_space(run, s);
    } else if (s->look) {
        aei_live_join(run, s, side_space(run, s));
        src = side_space(run, s);
    }
    return aei_memory(run, s, AEI_MEM_SRC, &own(s)->src_md, src);
}

static dnnl_memory_t pad_memory(aei_run *run, const aei_step *s, int kind)
{
    return aei_memory(run, s, AEI_MEM_PAD + kind, &own(s)->pad_md[kind], aei_at(run, AEI_SCRATCH));
}

static void forward_primitive(aei_run *run, const aei_weights *w, const aei_step *s,
                              dnnl_memory_t src, void *dst)
{
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, src},
        {DNNL_ARG_DST, aei_memory(run, s, AEI_MEM_DST, &own(s)->dst_md, dst)},
        {DNNL_ARG_WEIGHTS, w->memory[s->index][AEI_BOUND_FORWARD]},
        {DNNL_ARG_SCRATCHPAD, pad_memory(run, s, 0)},
        {DNNL_ARG_BIAS, w->memory[s->index][AEI_BOUND_BIAS]},
    };

    aei_execute(run, own(s)->prim[0], s->node->bias && !aei_conv_is_bare(s) ? 5 : 4, args);
}

static void data_primitive(aei_run *run, const aei_weights *w, const aei_step *s,
                           dnnl_memory_t d_dst, void *d_src)
{
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_DIFF_DST, d_dst},
        {DNNL_ARG_DIFF_SRC, aei_memory(run, s, AEI_MEM_DIFF_SRC, &own(s)->src_md, d_src)},
        {DNNL_ARG_WEIGHTS, w->memory[s->index][AEI_BOUND_DATA]},
        {DNNL_ARG_SCRATCHPAD, pad_memory(run, s, 1)},
    };

    aei_execute(run, own(s)->prim[1], 4, args);
}

static void weights_gradient(aei_run *run, const aei_step *s, dnnl_memory_t src,
                             dnnl_memory_t d_dst, float *native)
{
    /* clang-format off */
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, src},
        {DNNL_ARG_DIFF_DST, d_dst},
        {DNNL_ARG_DIFF_WEIGHTS,
         aei_memory(run, s, AEI_MEM_DIFF_WEIGHTS, &own(s)->diff_weights_md, native)},
        {DNNL_ARG_SCRATCHPAD, pad_memory(run, s, 2)},
        {DNNL_ARG_DIFF_BIAS,
         aei_memory(run, s, AEI_MEM_DIFF_BIAS, &own(s)->bias_md, native + own(s)->native_bias)},
    };
    /* clang-format on */
    void *x = NULL, *dy = NULL;

    if (own(s)->wgrad.n) {
        dnnl_memory_get_data_handle(src, &x);
        dnnl_memory_get_data_handle(d_dst, &dy);
        aei_wgrad_run(&own(s)->wgrad, x, dy, native,
                      s->node->bias ? native + own(s)->native_bias : NULL,
                      aei_at(run, AEI_SCRATCH));
        return;
    }
    aei_execute(run, own(s)->prim[2], s->node->bias && !aei_conv_is_bare(s) ? 5 : 4, args);
}

static void conv_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    void *target = aei_target(run, s), *dst = own(s)->expand ? side_space(run, s) : target;

    if (s->chunk)
        return; /* its product will ask for it */
    if (s->node->add >= 0) {
        const void *add = aei_value(run, &run->plan->steps[s->node->add]);

        if (add != target)
            memcpy(target, add, aei_tensor_bytes(&s->t));
    }
    forward_primitive(run, w, s, packed_source(run, s), dst);
    if (own(s)->expand)
        spread(run, s, dst, target, false);
    if (s->node->bias && aei_conv_is_bare(s))
        aei_add_row(target, (const float *)(w->block + own(s)->bias_offset), s->t.element,
                    aei_pixels(&s->t), s->t.cp);
}

const void *aei_conv_chunk(aei_run *run, const aei_weights *w, const aei_step *s, size_t first)
{
    const aei_step *from = aei_from(run, s, 0);
    uint8_t *src = (uint8_t *)aei_value(run, from) + first * from->t.cp * from->t.element;

    forward_primitive(run, w, s, aei_memory(run, s, AEI_MEM_SRC, &own(s)->src_md, src),
                      side_space(run, s));
    return side_space(run, s);
}

/* The gradient as the primitives read it. */
static dnnl_memory_t output_gradient(aei_run *run, const aei_step *s)
{
    void *grad = aei_grad(run, s);

    if (own(s)->expand) {
        spread(run, s, side_space(run, s), grad, true);
        grad = side_space(run, s);
    }
    return aei_memory(run, s, AEI_MEM_DIFF_DST, &own(s)->dst_md, grad);
}

static void conv_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                          void *to)
{
    const aei_step *from = aei_from(run, s, slot);
    bool packed = s->node->op == AE_OP_DENSE && from->t.cp != from->t.shape.c;

    data_primitive(run, w, s, output_gradient(run, s), packed ? (void *)side_space(run, s) : to);
    if (packed)
        pack(&from->t, to, side_space(run, s), true);
}

static void conv_backward_params(aei_run *run, const aei_weights *w, const aei_step *s,
                                 float *native)
{
    (void)w;
    weights_gradient(run, s, packed_source(run, s), output_gradient(run, s), native);
    if (s->node->bias && aei_conv_is_bare(s))
        aei_sum_rows(aei_grad(run, s), s->t.element, aei_pixels(&s->t), s->t.cp,
                     native + own(s)->native_bias);
}

static double conv_bench(aei_run *run, const aei_weights *w, const aei_step *s, int kind,
                         float *native)
{
    const aei_conv *l = own(s);
    const aei_step *from = aei_from(run, s, 0);
    bool dense = s->node->op == AE_OP_DENSE;
    void *dst = l->expand ? side_space(run, s) : aei_target(run, s);
    void *src = dense && from->t.cp != from->t.shape.c ? side_space(run, s) : aei_value(run, from);
    dnnl_memory_t src_memory = aei_memory(run, s, AEI_MEM_SRC, &l->src_md, src), d_dst;
    double taps = dense ? 1 : (double)s->node->kernel[0] * s->node->kernel[1];
    double pixels = (double)aei_pixels(s->node->op == AE_OP_CONV ? &s->t : &from->t);

    if (!l->prim[kind] && !(kind == 2 && l->wgrad.n))
        return 0;
    if (kind == 0) {
        forward_primitive(run, w, s, src_memory, dst);
    } else {
        d_dst = aei_memory(run, s, AEI_MEM_DIFF_DST, &l->dst_md,
                           l->expand ? dst : aei_grad(run, s));
        if (kind == 1)
            data_primitive(run, w, s, d_dst,
                           src == aei_value(run, from) ? aei_grad(run, from) : src);
        else
            weights_gradient(run, s, src_memory, d_dst, native);
    }
    return 2 * pixels * taps * from->t.shape.c * s->t.shape.c / aei_conv_groups(s);
}

static bool conv_overwrites(const aei_step *s)
{
    return s->needs_grad && own(s)->direct && !s->shared;
}

static void conv_collect(const aei_weights *w, const aei_step *s, float *native, float *flat)
{
    const ae_param *params = w->plan->params;
    const aei_conv *l = own(s);
    float *to = flat + params[s->param[0]].offset,
          *plain = conv_overwrites(s) ? to : (float *)(w->scratch + l->plain_offset);

    aei_reorder(w, l->reorder_out, &l->diff_weights_md, native, &l->plain_md, plain,
                &l->reorder_pad, l->pad_offset);
    if (plain != to && l->direct)
        aei_add_to(to, plain, sizeof(float), l->plain_floats);
    else if (plain != to)
        map_weights(w->plan, s, plain, to, false);
    if (s->node->bias)
        map_bias(s, native + l->native_bias, flat + params[s->param[1]].offset, false);
}

static void conv_prepare(const aei_weights *w, const aei_step *s, const float *flat)
{
    const ae_param *params = w->plan->params;
    /* only read: to_plain */
    const aei_conv *l = own(s);
    float *from = (float *)flat + params[s->param[0]].offset,
          *plain = l->direct ? from : (float *)(w->scratch + l->plain_offset);

    if (!l->direct)
        map_weights(w->plan, s, plain, from, true);
    for (int i = 0; i < 2; i++)
        if (l->reorder_in[i])
            aei_reorder(w, l->reorder_in[i], &l->plain_md, plain, &l->weights[i].md,
                        w->block + l->weights[i].offset, &l->reorder_pad, l->pad_offset);
    if (s->node->bias)
        map_bias(s, (float *)(w->block + l->bias_offset),
                 (float *)flat + params[s->param[1]].offset, true);
}

static bool conv_bind(aei_weights *w, const aei_step *s)
{
    const aei_conv *l = own(s);
    dnnl_memory_t *to = w->memory[s->index];
    bool good = ok(dnnl_memory_create(&to[AEI_BOUND_BIAS], &l->bias_md, aei_engine(),
                                      w->block + l->bias_offset));

    for (int k = 0; k < 2 && good; k++)
        if (l->reorder_in[k])
            good = ok(dnnl_memory_create(&to[k], &l->weights[k].md, aei_engine(),
                                         w->block + l->weights[k].offset));
    return good;
}

#define LAYER                                                                                      \
    {                                                                                              \
        .plan = aei_conv_plan, .forward = conv_forward, .backward = conv_backward,                 \
        .backward_params = conv_backward_params, .prepare = conv_prepare, .bind = conv_bind,       \
        .free = aei_conv_free, .collect = conv_collect, .overwrites = conv_overwrites,             \
        .bench = conv_bench, .fuses_act = true                                                     \
    }
const aei_operator aei_op_conv = LAYER, aei_op_dense = LAYER, aei_op_deconv = LAYER;
