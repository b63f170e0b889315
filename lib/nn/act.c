/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Activations. Those whose derivative follows from their output are fused into the layer before and differentiated from it; SiLU,
 * GELU and rectifiers of negative slope keep their input when training. */
#include <math.h>
#include <string.h>

#include "nn/plan.h"

dnnl_alg_kind_t aei_act_kind(ae_act act, float slope, float *alpha)
{
    *alpha = 0;
    switch (act) {
    case AE_ACT_RELU: return dnnl_eltwise_relu;
    case AE_ACT_LEAKY: *alpha = slope; return dnnl_eltwise_relu;
    case AE_ACT_SIGMOID: return dnnl_eltwise_logistic;
    case AE_ACT_TANH: return dnnl_eltwise_tanh;
    case AE_ACT_SOFTPLUS: *alpha = 1; return dnnl_eltwise_soft_relu;
    case AE_ACT_SILU: *alpha = 1; return dnnl_eltwise_swish;
    case AE_ACT_GELU: return dnnl_eltwise_gelu_erf;
    case AE_ACT_NONE: break;
    }
    return dnnl_alg_kind_undef;
}

ae_status aei_act_plan(aei_plan *plan, aei_step *step, ae_error *err)
{
    dnnl_dims_t dims = {(dnnl_dim_t)(aei_pixels(&step->t) * step->t.cp)};
    dnnl_data_type_t type = step->t.element == 4 ? dnnl_f32 : dnnl_bf16;
    dnnl_eltwise_desc_t desc;
    dnnl_primitive_desc_t forward = NULL, backward = NULL;
    float alpha;
    dnnl_alg_kind_t kind = aei_act_kind(step->node->act, step->node->slope, &alpha);
    bool ok;

    if (step->node->act == AE_ACT_NONE || (step->op->fuses_act && !step->split_act))
        return AE_OK;
    ok = dnnl_memory_desc_init_by_tag(&step->act_md, 1, dims, type, dnnl_a) == dnnl_success &&
         dnnl_eltwise_forward_desc_init(&desc, plan->config.train ? dnnl_forward_training : dnnl_forward_inference, kind,
                                        &step->act_md, alpha, 0) == dnnl_success &&
         dnnl_primitive_desc_create(&forward, &desc, NULL, aei_engine(), NULL) == dnnl_success &&
         dnnl_primitive_create(&step->act_prim, forward) == dnnl_success;
    if (ok && step->split_act)
        ok = dnnl_eltwise_backward_desc_init(&desc, kind, &step->act_md, &step->act_md, alpha, 0) == dnnl_success &&
             dnnl_primitive_desc_create(&backward, &desc, NULL, aei_engine(), forward) == dnnl_success &&
             dnnl_primitive_create(&step->act_back_prim, backward) == dnnl_success;
    dnnl_primitive_desc_destroy(forward);
    dnnl_primitive_desc_destroy(backward);
    return ok ? AE_OK : ae_fail(err, AE_ERR_UNSUPPORTED, "layer '%s': oneDNN has no such activation here", step->node->name);
}

void aei_act_forward(aei_run *run, const aei_step *step)
{
    const dnnl_memory_desc_t *md = &step->act_md;
    dnnl_exec_arg_t args[2];

    if (!step->act_prim)
        return;
    args[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, aei_memory(run, step, AEI_MEM_ACT, md, aei_target(run, step))};
    args[1] = (dnnl_exec_arg_t){DNNL_ARG_DST, aei_memory(run, step, AEI_MEM_ACT + 1, md, aei_value(run, step))};
    aei_execute(run, step->act_prim, 2, args);
}

/* d times the derivative of the activation whose output is y. */
static float from_output(ae_act act, float y, float d)
{
    switch (act) {
    case AE_ACT_TANH: return d * (1 - y * y);
    case AE_ACT_SOFTPLUS: return d * -expm1f(-y);
    default: return d;
    }
}

void aei_act_backward(aei_run *run, const aei_step *step)
{
    ae_act act = step->node->act;
    uint8_t *grad = aei_grad(run, step);
    size_t n = aei_pixels(&step->t) * step->t.cp;
    uint32_t element = step->t.element;

    if (act == AE_ACT_NONE || step->gates)
        return;
    if (step->split_act) {
        dnnl_memory_t d = aei_memory(run, step, AEI_MEM_ACT + 2, &step->act_md, grad);
        dnnl_exec_arg_t args[] = {
            {DNNL_ARG_SRC, aei_memory(run, step, AEI_MEM_ACT, &step->act_md, aei_at(run, step->pre))},
            {DNNL_ARG_DIFF_DST, d},
            {DNNL_ARG_DIFF_SRC, d},
        };

        aei_execute(run, step->act_back_prim, 3, args);
    } else if (act == AE_ACT_RELU || act == AE_ACT_LEAKY) {
        aei_relu_backward(grad, aei_value(run, step), element, act == AE_ACT_LEAKY ? step->node->slope : 0, n);
    } else if (act == AE_ACT_SIGMOID) {
        aei_sigmoid_backward(grad, grad, aei_value(run, step), NULL, element, n);
    } else {
        const uint8_t *value = aei_value(run, step);
        float y[256], d[256];

        for (size_t i = 0; i < n; i += 256) {
            size_t m = n - i < 256 ? n - i : 256;

            aei_to_f32(value + i * element, element, y, m);
            aei_to_f32(grad + i * element, element, d, m);
            for (size_t k = 0; k < m; k++)
                d[k] = from_output(act, y[k], d[k]);
            aei_from_f32(d, grad + i * element, element, m);
        }
    }
}
