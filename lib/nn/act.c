/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Activations, as acts.c lists them. Those whose derivative follows from their output are fused
 * into the layer before and differentiated from it; the others keep their input when training. */
#include "nn/plan.h"

enum { PIECE = 256 };

dnnl_alg_kind_t aei_act_kind(ae_act act, float slope, float *alpha, float *beta)
{
    const aei_act_info *info = aei_act_info_of(act);

    *alpha = info->takes_slope ? slope : info->alpha;
    *beta = info->beta;
    return (dnnl_alg_kind_t)info->kind;
}

ae_status aei_act_plan(aei_plan *plan, aei_step *step, ae_error *err)
{
    dnnl_dims_t dims = {(dnnl_dim_t)(aei_pixels(&step->t) * step->t.cp)};
    dnnl_data_type_t type = step->t.element == 4 ? dnnl_f32 : dnnl_bf16;
    dnnl_eltwise_desc_t desc;
    dnnl_primitive_desc_t forward = NULL, backward = NULL;
    float alpha, beta;
    dnnl_alg_kind_t kind = aei_act_kind(step->node->act, step->node->slope, &alpha, &beta);
    bool ok;

    if (!kind || step->fused_act)
        return AE_OK;
    ok = dnnl_memory_desc_init_by_tag(&step->act_md, 1, dims, type, dnnl_a) == dnnl_success &&
         dnnl_eltwise_forward_desc_init(
             &desc, plan->config.train ? dnnl_forward_training : dnnl_forward_inference, kind,
             &step->act_md, alpha, beta) == dnnl_success &&
         dnnl_primitive_desc_create(&forward, &desc, NULL, aei_engine(), NULL) == dnnl_success &&
         dnnl_primitive_create(&step->act_prim, forward) == dnnl_success;
    if (ok && step->split_act)
        ok = dnnl_eltwise_backward_desc_init(&desc, kind, &step->act_md, &step->act_md, alpha,
                                             beta) == dnnl_success &&
             dnnl_primitive_desc_create(&backward, &desc, NULL, aei_engine(), forward) ==
                 dnnl_success &&
             dnnl_primitive_create(&step->act_back_prim, backward) == dnnl_success;
    dnnl_primitive_desc_destroy(forward);
    dnnl_primitive_desc_destroy(backward);
    return ok ? AE_OK
              : ae_fail(err, AE_ERR_UNSUPPORTED, "layer '%s': oneDNN has no such activation here",
                        step->node->name);
}

/* What oneDNN does not know: by its definition, in double. */
static void define_forward(aei_run *run, const aei_step *step, const aei_act_info *act)
{
    const uint8_t *from = aei_target(run, step);
    uint8_t *to = aei_value(run, step);
    size_t n = aei_pixels(&step->t) * step->t.cp;
    uint32_t element = step->t.element;
    float x[PIECE];

    for (size_t i = 0; i < n; i += PIECE) {
        size_t m = n - i < PIECE ? n - i : PIECE;

        aei_to_f32(from + i * element, element, x, m);
        for (size_t k = 0; k < m; k++)
            x[k] = (float)act->value((double)x[k], (double)step->node->slope);
        aei_from_f32(x, to + i * element, element, m);
    }
}

void aei_act_forward(aei_run *run, const aei_step *step)
{
    const dnnl_memory_desc_t *md = &step->act_md;
    const aei_act_info *act = aei_act_info_of(step->node->act);
    dnnl_exec_arg_t args[2];

    if (act->value && !act->kind)
        define_forward(run, step, act);
    if (!step->act_prim)
        return;
    args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC,
                                aei_memory(run, step, AEI_MEM_ACT, md, aei_target(run, step))};
    args[1] = (dnnl_exec_arg_t){DNNL_ARG_DST,
                                aei_memory(run, step, AEI_MEM_ACT + 1, md, aei_value(run, step))};
    aei_execute(run, step->act_prim, 2, args);
}

/* Gradients times the derivative, which follows from the value, or else from what the activation
 * was given. */
static void piecewise_backward(const aei_step *step, const aei_act_info *act, const uint8_t *from,
                               bool by_value, uint8_t *grad)
{
    size_t n = aei_pixels(&step->t) * step->t.cp;
    uint32_t element = step->t.element;
    float y[PIECE], d[PIECE];

    for (size_t i = 0; i < n; i += PIECE) {
        size_t m = n - i < PIECE ? n - i : PIECE;

        aei_to_f32(from + i * element, element, y, m);
        aei_to_f32(grad + i * element, element, d, m);
        for (size_t k = 0; k < m; k++)
            d[k] *= by_value ? act->by_value(y[k])
                             : (float)act->derivative((double)y[k], (double)step->node->slope);
        aei_from_f32(d, grad + i * element, element, m);
    }
}

void aei_act_backward(aei_run *run, const aei_step *step)
{
    const aei_act_info *act = aei_act_info_of(step->node->act);
    uint8_t *grad = aei_grad(run, step);
    size_t n = aei_pixels(&step->t) * step->t.cp;
    uint32_t element = step->t.element;

    if (!act->value || step->gates)
        return;
    if (step->act_back_prim) {
        dnnl_memory_t d = aei_memory(run, step, AEI_MEM_ACT + 2, &step->act_md, grad);
        /* clang-format off */
        dnnl_exec_arg_t args[] = {
            {DNNL_ARG_SRC,
             aei_memory(run, step, AEI_MEM_ACT, &step->act_md, aei_at(run, step->pre))},
            {DNNL_ARG_DIFF_DST, d},
            {DNNL_ARG_DIFF_SRC, d},
        };
        /* clang-format on */

        aei_execute(run, step->act_back_prim, 3, args);
    } else if (step->split_act) {
        piecewise_backward(step, act, aei_at(run, step->pre), false, grad);
    } else if (act->from == AEI_FROM_SIGN) {
        aei_relu_backward(grad, aei_value(run, step), element,
                          act->takes_slope ? step->node->slope : 0, n);
    } else if (act->from == AEI_FROM_SIGMOID) {
        aei_sigmoid_backward(grad, grad, aei_value(run, step), NULL, element, n);
    } else if (act->from == AEI_FROM_RANGE) {
        aei_clip_backward(grad, grad, aei_value(run, step), NULL, element, n);
    } else {
        piecewise_backward(step, act, aei_value(run, step), true, grad);
    }
}
