/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Graphs: what makes one whole. Shapes are in graph_shape.c, parameters in graph_params.c,
 * receptive fields in graph_field.c. */
#include "nn/acts.h"
#include "nn/graph_check.h"
#include "nn/graph_field.h"
#include "nn/ops.h"

#include <math.h>
#include <string.h>

int32_t ae_graph_find(const ae_graph *graph, const char *name)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (!strcmp(graph->nodes[i].name, name))
            return (int32_t)i;
    return -1;
}

void ae_graph_free(ae_graph *graph)
{
    if (!graph)
        return;
    ae_free(graph->nodes);
    *graph = (ae_graph){0};
}

void ae_graph_field(const ae_graph *graph, uint32_t *stride, uint32_t *field)
{
    *stride = graph->stride;
    *field = graph->field;
}

void ae_graph_reach(const ae_graph *graph, uint32_t before[2], uint32_t after[2])
{
    memcpy(before, graph->before, sizeof(graph->before));
    memcpy(after, graph->after, sizeof(graph->after));
}

double ae_graph_macs(const ae_graph *graph, bool *per_item)
{
    *per_item = !graph->stride;
    return graph->macs;
}

/* ---- fields of single nodes ---- */

static ae_status check_window(ae_node *n, ae_error *err)
{
    bool pool = !aei_op_is(n->op, AEI_LAYER);

    for (int a = 0; a < 2; a++) {
        if (!n->stride[a])
            n->stride[a] = pool ? n->kernel[a] : 1;
        if (!n->dilation[a])
            n->dilation[a] = 1;
        if (!n->kernel[a] || n->kernel[a] > AEI_MAX_KERNEL)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: kernel %u, expected 1 to %d", n->name,
                           n->kernel[a], AEI_MAX_KERNEL);
        if (n->stride[a] > AEI_MAX_KERNEL || n->dilation[a] > AEI_MAX_KERNEL)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: stride or dilation above %d", n->name,
                           AEI_MAX_KERNEL);
        if (n->pad[a] > AEI_MAX_KERNEL * AEI_MAX_KERNEL ||
            (n->op != AE_OP_CONV && n->pad[a] >= n->kernel[a]))
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: pad %u is too large for kernel %u",
                           n->name, n->pad[a], n->kernel[a]);
        if (n->op != AE_OP_CONV && n->dilation[a] != 1)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: %s has no dilation", n->name,
                           ae_op_name(n->op));
        if (n->op == AE_OP_DECONV && n->kernel[a] < n->stride[a])
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: kernel %u leaves holes at stride %u",
                           n->name, n->kernel[a], n->stride[a]);
    }
    return AE_OK;
}

static bool valid_name(const char *name)
{
    size_t n = strnlen(name, AE_NAME_MAX);

    if (!n || n == AE_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return true;
}

static ae_status check_node(ae_graph *graph, uint32_t index, ae_error *err)
{
    ae_node *n = &graph->nodes[index];
    const aei_op_info *op = aei_op_info_of(n->op);
    int32_t same;

    if (!valid_name(n->name))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %u: names have 1 to %d letters, digits, '_', '-', '.'", index,
                       AE_NAME_MAX - 1);
    same = ae_graph_find(graph, n->name);
    if (same >= 0 && (uint32_t)same != index)
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: a layer above has the same name", n->name);
    if (!n->param[0])
        memcpy(n->param, n->name, sizeof(n->param));
    if (!valid_name(n->param))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: bad name of parameters", n->name);
    if (!op)
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: unknown operator %d", n->name, (int)n->op);
    if (!aei_act_info_of(n->act))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: unknown activation %d", n->name,
                       (int)n->act);
    if (n->n_from < op->from[0] || n->n_from > op->from[1])
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: %s reads %u to %u layers, not %u", n->name,
                       op->name, op->from[0], op->from[1], n->n_from);
    for (uint32_t i = 0; i < n->n_from; i++)
        if (n->from[i] >= index)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "layer %s: reads a layer that does not stand above it (a cycle?)",
                           n->name);
    for (uint32_t i = n->n_from; i < AE_MAX_FROM; i++)
        n->from[i] = 0;
    if (n->add >= (int32_t)index)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: adds a layer that does not stand above it (a cycle?)", n->name);
    if (n->add >= 0 && !aei_op_takes(n->op, AEI_BIT(ADD)))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: only conv, deconv, dense and mul take 'add'", n->name);
    if (!isfinite(n->value) || !isfinite(n->slope))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: value or slope is not a finite number",
                       n->name);
    if (n->op == AE_OP_DROPOUT && !(n->value >= 0 && n->value < 1))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: dropout %g, expected 0 to below 1",
                       n->name, (double)n->value);
    if ((unsigned)n->init > AE_INIT_ORTHOGONAL ||
        (n->init >= AE_INIT_XAVIER && !(op->traits & AEI_MATRIX)) ||
        (n->init > AE_INIT_ZERO && n->init < AE_INIT_XAVIER && n->op != AE_OP_CONV &&
         !(n->op == AE_OP_EMBED && n->init == AE_INIT_DCT)))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: impossible init", n->name);
    if (op->factor[1] && (n->factor < op->factor[0] || n->factor > op->factor[1]))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: factor %u, expected %u to %u", n->name,
                       n->factor, op->factor[0], op->factor[1]);
    if (n->op == AE_OP_NOISE && n->value < 0)
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: noise of deviation %g", n->name,
                       (double)n->value);
    if (n->transposed && !aei_op_takes(n->op, AEI_BIT(TRANSPOSE)))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: only dense and deconv read a weight the other way", n->name);
    if ((op->traits & AEI_NO_ACT) && n->act != AE_ACT_NONE)
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: %s has no activation", n->name,
                       ae_op_name(n->op));
    if ((unsigned)n->parity > AE_PARITY_ODD || (n->parity && !aei_op_takes(n->op, AEI_BIT(PARITY))))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: only quantise and bits have a parity: all, even or odd", n->name);
    if ((n->op == AE_OP_INPUT || n->op == AE_OP_RESHAPE || n->op == AE_OP_REPEAT_TIME) &&
        (n->height > AEI_MAX_EDGE || n->width > AEI_MAX_EDGE))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: height or width above %d", n->name,
                       AEI_MAX_EDGE);
    if (n->op == AE_OP_RESHAPE && !n->width)
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: reshape needs a width", n->name);
    if (n->op == AE_OP_REPEAT_TIME && (n->n_from == 1) != (n->height > 0))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: repeat_time needs a height, or a layer whose height it takes",
                       n->name);
    if (n->causal && !aei_has_window(n->op))
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: %s has no padding to be causal", n->name,
                       ae_op_name(n->op));
    if (aei_has_window(n->op))
        return check_window(n, err);
    return AE_OK;
}

static ae_status check_transform(const ae_node *n, uint32_t c, ae_error *err)
{
    bool inverse = n->init == AE_INIT_DCT_INVERSE, whole = true;
    uint32_t samples = inverse ? n->out : c * n->kernel[0] * n->kernel[1];

    for (int a = 0; a < 2; a++)
        whole = whole && n->kernel[a] == n->kernel[0] && n->stride[a] == n->kernel[a] &&
                n->dilation[a] == 1 && !n->pad[a];
    if (!whole || n->groups != 1 || !n->bias || (inverse && n->kernel[0] != 1))
        return ae_fail(
            err, AE_ERR_MALFORMED,
            "layer %s: init dct wants kernel = stride, dct_inverse kernel 1, no padding, a bias",
            n->name);
    if (n->kernel[0] > 64 || !aei_dct_planes(samples) || (inverse ? c : n->out) > samples)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "layer %s: init dct on %u samples a block, expected n x n or 3 x n x n, n "
                       "up to 64, and at "
                       "least as many as components",
                       n->name, samples);
    return AE_OK;
}

/* Whether what begins as the cosine transform can. c: channels of its input. */
static ae_status check_dct(const ae_graph *graph, uint32_t index, uint32_t c, ae_error *err)
{
    const ae_node *n = &graph->nodes[index];

    if (n->op == AE_OP_EMBED && n->init == AE_INIT_DCT) {
        int32_t transform = aei_dct_above(graph, index);

        if (transform < 0 || n->first >= graph->nodes[transform].out ||
            n->out > graph->nodes[transform].out - n->first)
            return ae_fail(
                err, AE_ERR_MALFORMED,
                "layer %s: no convolution above it begins as dct with components %u to %u", n->name,
                n->first, n->first + n->out);
        return AE_OK;
    }
    return n->init == AE_INIT_DCT || n->init == AE_INIT_DCT_INVERSE ? check_transform(n, c, err)
                                                                    : AE_OK;
}

/* Channels of node `index`; fills its derived fields. */
static ae_status check_channels(ae_graph *graph, uint32_t index, ae_error *err)
{
    ae_node *n = &graph->nodes[index];
    uint32_t c = n->n_from ? graph->nodes[n->from[0]].out : 0, ff = n->factor * n->factor;
    uint64_t sum = 0;
    ae_status st;

    switch (n->op) {
    case AE_OP_CONV:
        if (!n->out)
            n->out = c;
        break;
    case AE_OP_INPUT:
    case AE_OP_DENSE:
    case AE_OP_DECONV:
    case AE_OP_RESHAPE:
    case AE_OP_GRU:
    case AE_OP_LSTM: break;
    case AE_OP_LAST:
        if (n->n_from == 2 && graph->nodes[n->from[1]].out != 1)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: a mask of %u channels, expected 1",
                           n->name, graph->nodes[n->from[1]].out);
        n->out = c;
        break;
    case AE_OP_REPEAT_TIME: n->out = c; break;
    case AE_OP_ARGMAX: n->out = 1; break;
    case AE_OP_EMBED:
    case AE_OP_GATHER:
        if (c != 1)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: %s reads one number, not %u channels",
                           n->name, ae_op_name(n->op), c);
        break;
    case AE_OP_CROP:
        if (n->pad[0] || n->pad[1])
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: crop takes channels, not pixels",
                           n->name);
        if (!n->out || n->first >= c || n->out > c - n->first)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: channels %u to %u of %u", n->name,
                           n->first, n->first + n->out, c);
        break;
    case AE_OP_CONCAT:
        for (uint32_t i = 0; i < n->n_from; i++)
            sum += graph->nodes[n->from[i]].out;
        n->out = sum > AEI_MAX_CHANNELS ? 0 : (uint32_t)sum;
        break;
    case AE_OP_SHUFFLE:
        if (c % ff)
            return ae_fail(err, AE_ERR_MALFORMED, "layer %s: %u channels are not a multiple of %u",
                           n->name, c, ff);
        n->out = c / ff;
        break;
    case AE_OP_UNSHUFFLE: n->out = c > AEI_MAX_CHANNELS / ff ? 0 : c * ff; break;
    default:
        n->out = c;
        for (uint32_t i = 1; i < n->n_from; i++)
            if (graph->nodes[n->from[i]].out != c)
                return ae_fail(err, AE_ERR_MALFORMED, "layer %s: %s has %u channels, %s has %u",
                               n->name, graph->nodes[n->from[0]].name, c,
                               graph->nodes[n->from[i]].name, graph->nodes[n->from[i]].out);
    }
    if (!n->out || n->out > AEI_MAX_CHANNELS)
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: channels missing, or not in 1 to %d",
                       n->name, AEI_MAX_CHANNELS);
    if (n->op == AE_OP_CONV || n->op == AE_OP_DECONV) {
        if (!n->groups)
            n->groups = 1;
        if (c % n->groups || n->out % n->groups)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "layer %s: %u groups do not divide %u and %u channels", n->name,
                           n->groups, c, n->out);
    }
    if ((st = check_dct(graph, index, c, err)) != AE_OK)
        return st;
    if (n->add >= 0 && graph->nodes[n->add].out != n->out)
        return ae_fail(err, AE_ERR_MALFORMED, "layer %s: has %u channels, the added %s has %u",
                       n->name, n->out, graph->nodes[n->add].name, graph->nodes[n->add].out);
    return AE_OK;
}

/* ---- the whole ---- */

/* Nodes that name the same parameters must agree about them. */
static ae_status check_sharing(const ae_graph *graph, const ae_shape *shapes, int32_t *node,
                               ae_error *err)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        ae_param mine[4], theirs[4];
        uint32_t n = aei_node_params(graph, i, shapes[graph->nodes[i].from[0]], mine);
        bool turned = graph->nodes[i].transposed, found = false;

        for (uint32_t j = 0; n && j < i; j++) {
            bool same;

            if (turned && graph->nodes[i].bias &&
                !strcmp(graph->nodes[j].param, graph->nodes[i].name)) {
                *node = (int32_t)i;
                return ae_fail(err, AE_ERR_MALFORMED,
                               "layer %s: its bias would be that of layer %s", graph->nodes[i].name,
                               graph->nodes[j].name);
            }
            if (strcmp(graph->nodes[i].param, graph->nodes[j].param) != 0)
                continue;
            if (!aei_node_params(graph, j, shapes[graph->nodes[j].from[0]], theirs))
                continue;
            same = aei_params_kind(&graph->nodes[i]) == aei_params_kind(&graph->nodes[j]) &&
                   (turned || graph->nodes[j].transposed ||
                    graph->nodes[i].bias == graph->nodes[j].bias) &&
                   !memcmp(mine[0].dims, theirs[0].dims, sizeof(mine[0].dims));
            if (!same) {
                *node = (int32_t)i;
                return ae_fail(err, AE_ERR_MALFORMED,
                               "layer %s: shares the parameters %s with %s but differs in shape",
                               graph->nodes[i].name, graph->nodes[i].param, graph->nodes[j].name);
            }
            found = true;
            break;
        }
        if (turned && !found) {
            *node = (int32_t)i;
            return ae_fail(err, AE_ERR_MALFORMED,
                           "layer %s: no layer above has the parameters %s to read the other way",
                           graph->nodes[i].name, graph->nodes[i].param);
        }
    }
    return AE_OK;
}

/* Either all inputs have free height or the first has not; likewise width. */
static ae_status check_inputs(const ae_graph *graph, int32_t *node, ae_error *err)
{
    const ae_node *first = NULL;

    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const ae_node *n = &graph->nodes[i];

        if (n->op != AE_OP_INPUT)
            continue;
        if (!first)
            first = n;
        if ((first->height && !n->height) || (first->width && !n->width)) {
            *node = (int32_t)i;
            return ae_fail(err, AE_ERR_MALFORMED, "input %s: has no fixed size, but %s has",
                           n->name, first->name);
        }
    }
    return first ? AE_OK : ae_fail(err, AE_ERR_MALFORMED, "a network needs an input");
}

ae_status aei_graph_check(ae_graph *graph, int32_t *node, ae_error *err)
{
    ae_shape *shapes = NULL;
    ae_param *params = NULL;
    uint32_t n_params;
    size_t n_floats;
    ae_status st = AE_OK;

    *node = -1;
    if (!graph->n_nodes || graph->n_nodes > AE_MAX_NODES)
        return ae_fail(err, AE_ERR_MALFORMED, "a network of %u layers, expected 1 to %d",
                       graph->n_nodes, AE_MAX_NODES);
    if (!graph->n_outputs || graph->n_outputs > AE_MAX_FROM)
        return ae_fail(err, AE_ERR_MALFORMED, "a network of %u outputs, expected 1 to %d",
                       graph->n_outputs, AE_MAX_FROM);
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] >= graph->n_nodes)
            return ae_fail(err, AE_ERR_MALFORMED, "output %u is not a layer", i);
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if ((st = check_node(graph, i, err)) != AE_OK ||
            (st = check_channels(graph, i, err)) != AE_OK) {
            *node = (int32_t)i;
            return st;
        }
    if ((st = check_inputs(graph, node, err)) != AE_OK)
        return st;
    shapes = ae_alloc(graph->n_nodes, sizeof(*shapes));
    if (!shapes)
        return ae_fail(err, AE_ERR_NOMEM, "shapes of %u layers", graph->n_nodes);
    if ((st = aei_graph_infer(graph, 1, 0, 0, shapes, node, err)) != AE_OK ||
        (st = check_sharing(graph, shapes, node, err)) != AE_OK ||
        (st = aei_graph_measure(graph, shapes, NULL, node, err)) != AE_OK)
        goto done;
    /* A size that leaves something everywhere: what does not fit together there fits nowhere. */
    uint32_t trial = 2 * graph->field + 64;
    if (graph->stride)
        trial = (trial + graph->stride - 1) / graph->stride * graph->stride;
    if ((st = aei_graph_infer(graph, 1, trial, trial, shapes, node, err)) == AE_OK)
        st = ae_graph_params(graph, &params, &n_params, &n_floats, err); /* not too many of them */
done:
    ae_free(params);
    ae_free(shapes);
    return st;
}

ae_status ae_graph_check(ae_graph *graph, ae_error *err)
{
    int32_t node;

    return aei_graph_check(graph, &node, err);
}
