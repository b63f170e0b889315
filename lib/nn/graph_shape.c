/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shapes of nodes from those of what they read; a free height or width, which may be any, is 0 all
 * the way. */
#include "nn/graph_check.h"

static bool same_size(ae_shape a, ae_shape b)
{
    return (a.h == b.h || !a.h || !b.h) && (a.w == b.w || !a.w || !b.w);
}

/* One axis of a windowed node; 0 stays 0. *bad is set where nothing is left. */
static uint32_t window_size(const ae_node *n, int axis, uint32_t size, bool *bad)
{
    int64_t s = n->stride[axis], k = n->kernel[axis],
            p = (int64_t)aei_pad_before(n, axis) + aei_pad_after(n, axis), out;

    if (!size)
        return 0;
    if (n->op == AE_OP_DECONV) {
        out = (size - 1) * s + k - p;
    } else {
        out = size + p - ((k - 1) * n->dilation[axis] + 1);
        out = out < 0 ? 0 : out / s + 1;
    }
    *bad |= out < 1 || out > AEI_MAX_EDGE;
    return *bad ? 1 : (uint32_t)out;
}

/* Each row by itself, or all of it. */
static ae_status reshape(const ae_node *n, ae_shape in, ae_shape *out, ae_error *err)
{
    if (!n->height) {
        if (!in.w)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: reshape needs inputs of fixed width",
                           n->name);
        if ((uint64_t)in.w * in.c != (uint64_t)n->width * n->out)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "layer %s: rows of %u x %u samples do not fit %u x %u", n->name, in.w,
                           in.c, n->width, n->out);
        out->w = n->width;
        return AE_OK;
    }
    if (!in.h || !in.w)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: reshape needs inputs of fixed height and width", n->name);
    if ((uint64_t)in.h * in.w * in.c != (uint64_t)n->height * n->width * n->out)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: %u x %u x %u samples do not fit %u x %u x %u", n->name, in.h,
                       in.w, in.c, n->height, n->width, n->out);
    out->h = n->height;
    out->w = n->width;
    return AE_OK;
}

/* Inputs of one size, but for those that are broadcast. *out: the first. */
static ae_status join(const ae_graph *graph, const ae_node *n, const ae_shape *shapes,
                      ae_shape *out, ae_error *err)
{
    for (uint32_t i = 1; i < n->n_from; i++) {
        ae_shape other = shapes[n->from[i]];
        bool either = aei_op_is(n->op, AEI_SPREAD_FIRST), spread = aei_op_is(n->op, AEI_SPREAD);

        if (spread && other.h == 1 && other.w == 1)
            continue;
        if (either && out->h == 1 && out->w == 1) {
            *out = other;
            continue;
        }
        if (!same_size(*out, other))
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: inputs of %u x %u and %u x %u (%s)",
                           n->name, out->h, out->w, other.h, other.w,
                           graph->nodes[n->from[i]].name);
        out->h = out->h && other.h ? out->h : 0;
        out->w = out->w && other.w ? out->w : 0;
    }
    return AE_OK;
}

/* What a shape must be like whatever the operator. */
static ae_status check_shape(const ae_graph *graph, const ae_node *n, ae_shape out,
                             const ae_shape *shapes, ae_error *err)
{
    if (n->add >= 0 && !same_size(out, shapes[n->add]))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: is %u x %u, the added %s is %u x %u",
                       n->name, out.h, out.w, graph->nodes[n->add].name, shapes[n->add].h,
                       shapes[n->add].w);
    if (out.n && out.h && out.w && (uint64_t)out.h * out.w > (UINT64_C(1) << 40) / out.c / out.n)
        return ae_fail(err, AE_ERR_LIMIT, "layer %s: %u x %u x %u x %u samples are more than 2^40",
                       n->name, out.n, out.h, out.w, out.c);
    return AE_OK;
}

static ae_status infer_node(const ae_graph *graph, uint32_t index, ae_shape free_shape,
                            ae_shape *shapes, ae_error *err)
{
    const ae_node *n = &graph->nodes[index];
    ae_shape in = n->n_from ? shapes[n->from[0]] : free_shape, out = in;
    bool bad = false;
    ae_status st;

    switch (n->op) {
    case AE_OP_INPUT:
        out.h = n->height ? n->height : in.h;
        out.w = n->width ? n->width : in.w;
        break;
    case AE_OP_DENSE:
        if (!in.h || !in.w)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "layer %s: dense needs inputs of fixed height and width", n->name);
        if ((uint64_t)in.h * in.w > (1 << 28) / in.c)
            return ae_fail(err, AE_ERR_LIMIT, "layer %s: %u x %u x %u samples under a dense layer",
                           n->name, in.h, in.w, in.c);
        out.h = out.w = 1;
        break;
    case AE_OP_CONV:
    case AE_OP_DECONV:
    case AE_OP_MAXPOOL:
    case AE_OP_AVGPOOL:
        out.h = window_size(n, 0, in.h, &bad);
        out.w = window_size(n, 1, in.w, &bad);
        break;
    case AE_OP_NEAREST:
    case AE_OP_BILINEAR:
    case AE_OP_SHUFFLE:
        bad = in.h > AEI_MAX_EDGE / n->factor || in.w > AEI_MAX_EDGE / n->factor;
        out.h = in.h * n->factor;
        out.w = in.w * n->factor;
        break;
    case AE_OP_UNSHUFFLE:
        if (in.h % n->factor || in.w % n->factor)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: %u x %u is not a multiple of %u",
                           n->name, in.h, in.w, n->factor);
        out.h = in.h / n->factor;
        out.w = in.w / n->factor;
        break;
    case AE_OP_CROP:
        out.h = in.h ? in.h - 2 * n->pad[0] : 0;
        out.w = in.w ? in.w - 2 * n->pad[1] : 0;
        break;
    case AE_OP_EMBED:
        if (in.h != 1 || in.w != 1)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: embed reads one number, not %u x %u",
                           n->name, in.h, in.w);
        break;
    case AE_OP_LAST:
        if (n->n_from == 2 && (shapes[n->from[1]].w != 1 ||
                               !same_size(in, (ae_shape){0, shapes[n->from[1]].h, in.w, 0})))
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: a mask of %u x %u for %u rows",
                           n->name, shapes[n->from[1]].h, shapes[n->from[1]].w, in.h);
        out.h = 1;
        break;
    case AE_OP_REPEAT_TIME:
        if (in.h != 1)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: repeat_time reads one row, not %u",
                           n->name, in.h);
        out.h = n->height ? n->height : shapes[n->from[1]].h;
        break;
    case AE_OP_RESHAPE:
        if ((st = reshape(n, in, &out, err)) != AE_OK)
            return st;
        break;
    default:
        if ((st = join(graph, n, shapes, &out, err)) != AE_OK)
            return st;
    }
    if (bad)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: impossible shape, %s of an input of %u x %u", n->name,
                       ae_op_name(n->op), in.h, in.w);
    out.c = n->out;
    shapes[index] = out;
    return check_shape(graph, n, out, shapes, err);
}

ae_status aei_graph_infer(const ae_graph *graph, uint32_t n, uint32_t h, uint32_t w,
                          ae_shape *shapes, int32_t *node, ae_error *err)
{
    ae_status st;

    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if ((st = infer_node(graph, i, (ae_shape){n, h, w, 0}, shapes, err)) != AE_OK) {
            *node = (int32_t)i;
            return st;
        }
    return AE_OK;
}

ae_status ae_graph_shapes(const ae_graph *graph, uint32_t n, uint32_t h, uint32_t w,
                          ae_shape *shapes, ae_error *err)
{
    bool open_h = false, open_w = false;
    int32_t node;

    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].op == AE_OP_INPUT) {
            open_h |= !graph->nodes[i].height;
            open_w |= !graph->nodes[i].width;
        }
    if (!n || (open_h && !h) || (open_w && !w) || h > AEI_MAX_EDGE || w > AEI_MAX_EDGE)
        return ae_fail(err, AE_ERR_ARGUMENT, "%u inputs of %u x %u", n, h, w);
    return aei_graph_infer(graph, n, h, w, shapes, &node, err);
}
