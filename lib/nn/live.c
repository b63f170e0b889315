/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A recording that is computed in blocks of rows gives what it gives in one piece if every layer
 * finds before a block what it would find there in the piece. Layers that look back keep the last
 * rows of their input for that: as many as their padding has. A block's height is a multiple of
 * what the layers' strides want, so that each block begins at the same phase of it. */
#include "nn/live.h"

#include "nn/graph_check.h"

#include <string.h>

static size_t row_bytes(const aei_tensor *t)
{
    return (size_t)t->shape.w * t->cp * t->element;
}

static ae_status look_ahead(const aei_step *s, ae_error *err)
{
    return ae_fail(err, AE_ERR_UNSUPPORTED,
                   "layer %s: %s looks at what comes later, or at all there is: not in time",
                   s->node->name, ae_op_name(s->node->op));
}

static ae_status uneven(const aei_step *s, uint32_t rows, uint32_t stride, ae_error *err)
{
    return ae_fail(err, AE_ERR_ARGUMENT, "layer %s: blocks of %u rows, expected a multiple of %u",
                   s->node->name, rows, stride);
}

static ae_status look_of_window(aei_step *s, const aei_tensor *in, ae_error *err)
{
    const ae_node *n = s->node;
    uint32_t reach = n->dilation[0] * (n->kernel[0] - 1), before = aei_pad_before(n, 0),
             stride = n->stride[0];

    if (in->shape.h % stride)
        return uneven(s, in->shape.h, stride, err);
    if (reach > before + stride - 1 || s->t.shape.h != in->shape.h / stride)
        return look_ahead(s, err);
    s->look = before;
    return AE_OK;
}

/* A row is spread over kernel rows of the result from stride times its place on. */
static ae_status look_of_deconv(aei_step *s, const aei_tensor *in, ae_error *err)
{
    const ae_node *n = s->node;

    if (aei_pad_before(n, 0) || s->t.shape.h != in->shape.h * n->stride[0])
        return look_ahead(s, err);
    s->look = (n->kernel[0] - 1) / n->stride[0];
    return AE_OK;
}

ae_status aei_live_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    const aei_tensor *in = s->node->n_from ? &plan->steps[s->node->from[0]].t : NULL;
    ae_status st = AE_OK;

    switch (s->node->op) {
    case AE_OP_CONV:
    case AE_OP_MAXPOOL:
    case AE_OP_AVGPOOL: st = look_of_window(s, in, err); break;
    case AE_OP_DECONV: st = look_of_deconv(s, in, err); break;
    case AE_OP_DENSE:
    case AE_OP_RESHAPE:
        if (s->node->op == AE_OP_RESHAPE && !s->node->height)
            break;
        if (in->shape.h > 1 || s->t.shape.h > 1)
            st = look_ahead(s, err);
        break;
    case AE_OP_QUANTISE:
    case AE_OP_BITS:
        if (s->node->parity && s->t.shape.h % 2)
            st = uneven(s, s->t.shape.h, 2, err);
        break;
    default:
        if (aei_op_is(s->node->op, AEI_LOOKS_AHEAD))
            st = look_ahead(s, err);
        break;
    }
    if (st == AE_OK && s->look) {
        s->state = plan->state_bytes;
        plan->state_bytes += (in->shape.n * s->look * row_bytes(in) + 63) / 64 * 64;
    }
    return st;
}

size_t aei_live_room(const aei_plan *plan, const aei_step *s)
{
    const aei_tensor *in = &plan->steps[s->node->from[0]].t;

    return s->look ? (size_t)in->shape.n * (s->look + in->shape.h) * row_bytes(in) : 0;
}

uint32_t aei_live_join(aei_run *run, const aei_step *s, uint8_t *room)
{
    const aei_step *from = aei_from(run, s, 0);
    size_t row = row_bytes(&from->t), h = from->t.shape.h;
    const uint8_t *value = aei_value(run, from);
    uint8_t *kept = run->state + s->state;
    uint32_t *seen = (uint32_t *)run->state + s->index, there = *seen;

    for (size_t n = 0; n < from->t.shape.n;
         n++, kept += s->look * row, room += (s->look + h) * row) {
        memcpy(room, kept, s->look * row);
        memcpy(room + s->look * row, value + n * h * row, h * row);
        memcpy(kept, room + h * row, s->look * row);
    }
    *seen = there + h < s->look ? there + (uint32_t)h : s->look;
    return there;
}
