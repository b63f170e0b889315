/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A layer with weights as it is prepared: shared by its planning (conv_plan.c) and its running
 * (op_conv.c). */
#ifndef AEI_CONV_LAYER_H
#define AEI_CONV_LAYER_H

#include "nn/plan.h"
#include "nn/wgrad.h"

/* A tensor prepared for a kernel: an offset into the weights' block. */
typedef struct aei_prepared {
    size_t offset, bytes;
    dnnl_memory_desc_t md;
} aei_prepared;

/* Primitives: forward, backward by data, backward by weights. */
typedef struct aei_conv {
    dnnl_primitive_t prim[AEI_MAX_PRIMITIVES];
    dnnl_memory_desc_t src_md, dst_md, bias_md, diff_weights_md;
    dnnl_memory_desc_t plain_md;                   /* f32, O x I x H x W (with groups), padded */
    dnnl_memory_desc_t pad_md[AEI_MAX_PRIMITIVES]; /* scratchpads */
    aei_wgrad wgrad;         /* .n > 0: takes the place of the primitive of gradients by weights */
    aei_prepared weights[2]; /* for forward, for backward by data */
    size_t bias_offset;
    dnnl_primitive_t reorder_in[2], reorder_out;
    bool direct; /* the flat weights are the plain ones: no padding or permutation between */
    bool expand; /* deconvolution with kernel = stride: a 1x1 convolution and a copy */
    size_t plain_floats;
    dnnl_memory_desc_t reorder_pad;  /* the largest of its reorders' scratchpads */
    size_t plain_offset, pad_offset; /* in the weights' scratch */
    size_t native_bias; /* where the gradient of its bias lies among those of its parameters */
    size_t side;        /* where in the scratch its copies lie */
} aei_conv;

enum { AEI_BOUND_FORWARD, AEI_BOUND_DATA, AEI_BOUND_BIAS }; /* handles of its parameters */

static inline aei_conv *aei_conv_of(const aei_step *step)
{
    return step->own;
}

static inline const aei_step *aei_conv_source(const aei_plan *plan, const aei_step *step)
{
    return &plan->steps[step->node->from[0]];
}

static inline uint32_t aei_conv_groups(const aei_step *step)
{
    /* fully connected layers have no such number */
    return step->node->groups ? step->node->groups : 1;
}

/* Stored groups: depthwise layers have as many as stored channels. */
static inline uint32_t aei_conv_stored_groups(const aei_plan *plan, const aei_step *step)
{
    uint32_t groups = aei_conv_groups(step);

    return groups > 1 && groups == aei_conv_source(plan, step)->t.shape.c &&
                   groups == step->t.shape.c
               ? step->t.cp
               : groups;
}

/* oneDNN's own transposed convolution: what follows it, oneDNN would compute number by number, in
 * a hundred times the convolution's time, so bias and activation are added behind it. */
static inline bool aei_conv_is_bare(const aei_step *step)
{
    return step->node->op == AE_OP_DECONV && !aei_conv_of(step)->expand;
}

/* Bias, stored count: repeated for each tap of an expanded deconvolution. */
static inline size_t aei_conv_bias_floats(const aei_step *step)
{
    return (size_t)step->t.cp *
           (aei_conv_of(step)->expand ? step->node->kernel[0] * step->node->kernel[1] : 1);
}

ae_status aei_conv_plan(aei_plan *plan, aei_step *step, ae_error *err);
void aei_conv_free(aei_step *step);

#endif
