/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Strides, receptive fields and costs, each axis for itself.
 *
 * A pixel of a node covers num/den input pixels. The whole network repeats itself every S input
 * pixels, S being the least common multiple of all num, that is every period = S * den / num pixels
 * of a node. So for each phase 0 <= i < period we keep the first and the last input pixel, lo[i]
 * and hi[i], that pixel i depends on; pixel i + k * period then depends on lo[i] + k * S to hi[i] +
 * k * S. Every operator reads a window whose ends do not decrease with i, hence neither do lo and
 * hi, and the ends suffice. */
#include "nn/graph_field.h"

#include "nn/graph_check.h"

#include <string.h>

enum { MAX_STRIDE = 1024, MAX_FIELD = 1 << 16, MAX_PHASES = 1 << 20 };

/* num 0: depends on no input of free size */
typedef struct reach {
    uint32_t num, den, period, at;
} reach;

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t t = a % b;

        a = b;
        b = t;
    }
    return a;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Input pixels per pixel of node n over those of its input, as a fraction. */
static void step(const ae_node *n, int axis, uint32_t *up, uint32_t *down)
{
    *up = *down = 1;
    switch (n->op) {
    case AE_OP_CONV:
    case AE_OP_MAXPOOL:
    case AE_OP_AVGPOOL: *up = n->stride[axis]; break;
    case AE_OP_UNSHUFFLE: *up = n->factor; break;
    case AE_OP_DECONV: *down = n->stride[axis]; break;
    case AE_OP_NEAREST:
    case AE_OP_BILINEAR:
    case AE_OP_SHUFFLE: *down = n->factor; break;
    default: break;
    }
}

/* First and last pixel of its input that pixel i of node n reads. */
static void window(const ae_node *n, int axis, int64_t i, int64_t *first, int64_t *last)
{
    int64_t s = n->stride[axis], k = n->kernel[axis], p = aei_pad_before(n, axis), f = n->factor;

    *first = *last = i;
    switch (n->op) {
    case AE_OP_CONV:
    case AE_OP_MAXPOOL:
    case AE_OP_AVGPOOL:
        *first = i * s - p;
        *last = *first + (k - 1) * n->dilation[axis];
        break;
    case AE_OP_DECONV: /* i = j * s - p + tap, 0 <= tap < k */
        *first = floor_div(i + p - k + s, s);
        *last = floor_div(i + p, s);
        break;
    case AE_OP_UNSHUFFLE:
        *first = i * f;
        *last = i * f + f - 1;
        break;
    case AE_OP_SHIFT: *first = *last = i - !axis; break;
    case AE_OP_NEAREST:
    case AE_OP_SHUFFLE: *first = *last = floor_div(i, f); break;
    case AE_OP_BILINEAR: /* centre (i + 1/2) / f - 1/2 */
        *first = floor_div(2 * i + 1 - f, 2 * f);
        *last = -floor_div(-(2 * i + 1 - f), 2 * f);
        break;
    default: break;
    }
}

uint32_t aei_node_inputs(const ae_node *n, uint32_t to[AE_MAX_FROM + 1])
{
    uint32_t count = n->n_from;

    memcpy(to, n->from, count * sizeof(to[0]));
    if (n->add >= 0)
        to[count++] = (uint32_t)n->add;
    return count;
}

/* Scales of all nodes and their least common stride. */
static ae_status scales(const ae_graph *graph, int axis, reach *r, uint32_t *stride, int32_t *node,
                        ae_error *err)
{
    uint64_t total = 1, n_phases = 0;

    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const ae_node *n = &graph->nodes[i];
        uint32_t from[AE_MAX_FROM + 1], n_parents = aei_node_inputs(n, from), up, down;

        *node = (int32_t)i;
        if (n->op == AE_OP_INPUT && !(axis ? n->width : n->height))
            r[i].num = r[i].den = 1;
        step(n, axis, &up, &down);
        for (uint32_t k = 0; k < n_parents; k++) {
            uint64_t num = r[from[k]].num, den = r[from[k]].den, g;

            if (!num || (n->op == AE_OP_LAST && !axis) || (n->op == AE_OP_LAST && k))
                continue; /* one row, whatever the height */
            if (k < n->n_from) {
                num *= up;
                den *= down;
            }
            g = gcd(num, den);
            num /= g;
            den /= g;
            if (num > MAX_STRIDE || den > MAX_STRIDE)
                return ae_fail(err, AE_ERR_LIMIT, "layer %s: its scale is beyond 1/%d to %d",
                               n->name, MAX_STRIDE, MAX_STRIDE);
            if (r[i].num && (r[i].num != num || r[i].den != den))
                return ae_fail(
                    err, AE_ERR_MALFORMED,
                    "layer %s: inputs of different scale, 1/%g and 1/%g of the picture (%s)",
                    n->name, (double)r[i].num / r[i].den, (double)num / (double)den,
                    graph->nodes[from[k]].name);
            r[i].num = (uint32_t)num;
            r[i].den = (uint32_t)den;
        }
        if (r[i].num) {
            uint64_t repeat = (n->parity ? 2 : 1) * (uint64_t)r[i].num;

            repeat /= gcd(repeat, r[i].den);
            total = total / gcd(total, repeat) * repeat;
        }
        if (total > MAX_STRIDE)
            return ae_fail(err, AE_ERR_LIMIT, "layer %s: the network's stride is above %d", n->name,
                           MAX_STRIDE);
    }
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        if (!r[i].num)
            continue;
        r[i].period = (uint32_t)(total / r[i].num * r[i].den);
        r[i].at = (uint32_t)n_phases;
        n_phases += r[i].period;
        *node = (int32_t)i;
        if (n_phases > MAX_PHASES)
            return ae_fail(err, AE_ERR_LIMIT, "layer %s: too many layers of high resolution",
                           graph->nodes[i].name);
    }
    *stride = (uint32_t)total;
    return AE_OK;
}

static int64_t end(const reach *r, const int64_t *ends, int64_t i, uint32_t stride)
{
    int64_t k = floor_div(i, r->period);

    return ends[r->at + (i - k * r->period)] + k * stride;
}

static void propagate(const ae_graph *graph, int axis, const reach *r, uint32_t stride, int64_t *lo,
                      int64_t *hi)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const ae_node *n = &graph->nodes[i];
        uint32_t from[AE_MAX_FROM + 1], n_parents = aei_node_inputs(n, from);

        for (uint32_t p = 0; p < r[i].period; p++) {
            int64_t l = INT64_MAX, h = INT64_MIN, first, last;

            if (n->op == AE_OP_INPUT)
                l = h = p;
            for (uint32_t k = 0; k < n_parents; k++) {
                const reach *from_reach = &r[from[k]];

                if (!from_reach->num)
                    continue;
                first = last = p;
                if (k < n->n_from)
                    window(n, axis, p, &first, &last);
                first = end(from_reach, lo, first, stride);
                last = end(from_reach, hi, last, stride);
                l = first < l ? first : l;
                h = last > h ? last : h;
            }
            lo[r[i].at + p] = l;
            hi[r[i].at + p] = h;
        }
    }
}

/* Stride and reach of one axis, before and after a block of whole strides; density[i]: pixels of
 * node i per input pixel. */
static ae_status measure_axis(const ae_graph *graph, int axis, double *density, uint32_t *stride,
                              uint32_t reach_to[2], int32_t *node, ae_error *err)
{
    reach *r = ae_alloc(graph->n_nodes, sizeof(*r));
    int64_t *lo = NULL, *hi, farthest[2] = {0, 0};
    size_t n_phases = 0;
    ae_status st = AE_OK;

    if (!r)
        return ae_fail(err, AE_ERR_NOMEM, "scales of %u layers", graph->n_nodes);
    if ((st = scales(graph, axis, r, stride, node, err)) != AE_OK)
        goto done;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        n_phases += r[i].period;
        density[i] = r[i].num ? (double)r[i].den / r[i].num : 0;
    }
    lo = ae_alloc(n_phases, 2 * sizeof(*lo));
    if (!lo) {
        st = ae_fail(err, AE_ERR_NOMEM, "receptive fields of %u layers", graph->n_nodes);
        goto done;
    }
    hi = lo + n_phases;
    propagate(graph, axis, r, *stride, lo, hi);
    for (uint32_t o = 0; o < graph->n_outputs; o++) {
        const reach *out = &r[graph->outputs[o]];

        for (uint32_t p = 0; p < out->period; p++) {
            int64_t before = -lo[out->at + p], after = hi[out->at + p] - (*stride - 1);

            farthest[0] = before > farthest[0] ? before : farthest[0];
            farthest[1] = after > farthest[1] ? after : farthest[1];
        }
    }
    if (farthest[0] > MAX_FIELD || farthest[1] > MAX_FIELD) {
        *node = -1;
        st = ae_fail(err, AE_ERR_LIMIT, "the receptive field reaches farther than %d pixels",
                     MAX_FIELD);
        goto done;
    }
    for (int k = 0; k < 2; k++)
        reach_to[k] = (uint32_t)farthest[k];
done:
    ae_free(lo);
    ae_free(r);
    return st;
}

/* Strides that pixels first to last of a node reach beyond its first `period` ones, on the farther
 * side. */
static uint32_t strides_beyond(int64_t first, int64_t last, uint32_t period)
{
    int64_t before = -floor_div(first, period), after = floor_div(last, period);

    before = before > after ? before : after;
    return before > 0 ? (uint32_t)before : 0;
}

static ae_status read_axis(const ae_graph *graph, int axis, uint32_t *stride, aei_reads *reads,
                           ae_error *err)
{
    reach *r = ae_alloc(graph->n_nodes, sizeof(*r));
    /* the first and last pixel of each node that must be right */
    int64_t *lo = ae_alloc(graph->n_nodes, 2 * sizeof(*lo)), *hi;
    int32_t node;
    ae_status st;

    if (!r || !lo) {
        st = ae_fail(err, AE_ERR_NOMEM, "receptive fields of %u layers", graph->n_nodes);
        goto done;
    }
    if ((st = scales(graph, axis, r, stride, &node, err)) != AE_OK)
        goto done;
    hi = lo + graph->n_nodes;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        /* of outputs, a stride; of others no less, which the margin of whole strides holds */
        hi[i] = r[i].period - 1;
    for (uint32_t i = graph->n_nodes; i-- > 0;) {
        const ae_node *n = &graph->nodes[i];
        uint32_t from[AE_MAX_FROM + 1], n_from = aei_node_inputs(n, from);

        reads[i].period[axis] = r[i].period;
        reads[i].margin[axis] = r[i].period ? strides_beyond(lo[i], hi[i], r[i].period) : 0;
        for (uint32_t k = 0; k < n_from && r[i].period; k++) {
            int64_t first = lo[i], last = hi[i], unused;
            uint32_t period = r[from[k]].period, beyond;

            if (!period)
                continue;
            if (k < n->n_from) {
                window(n, axis, lo[i], &first, &unused);
                window(n, axis, hi[i], &unused, &last);
            }
            lo[from[k]] = first < lo[from[k]] ? first : lo[from[k]];
            hi[from[k]] = last > hi[from[k]] ? last : hi[from[k]];
            beyond = strides_beyond(first, last, period);
            reads[i].margin[axis] = beyond > reads[i].margin[axis] ? beyond : reads[i].margin[axis];
        }
    }
done:
    ae_free(lo);
    ae_free(r);
    return st;
}

ae_status aei_graph_reads(const ae_graph *graph, uint32_t stride[2], aei_reads *reads,
                          ae_error *err)
{
    ae_status st = AE_OK;

    memset(reads, 0, graph->n_nodes * sizeof(*reads));
    for (int axis = 0; axis < 2 && st == AE_OK; axis++)
        st = read_axis(graph, axis, &stride[axis], reads, err);
    return st;
}

/* MACs of one node along axes whose sizes are counted in `rows` and `columns`. */
static double macs_of(const ae_graph *g, uint32_t i, const ae_shape *shapes, double rows,
                      double columns)
{
    const ae_node *n = &g->nodes[i];
    double in_channels = shapes[n->from[0]].c;

    switch (n->op) {
    case AE_OP_CONV:
    case AE_OP_DECONV:
        return rows * columns * n->kernel[0] * n->kernel[1] * in_channels / n->groups * n->out;
    case AE_OP_GRU: return rows * columns * 3 * (in_channels + n->out) * n->out;
    case AE_OP_LSTM: return rows * columns * 4 * (in_channels + n->out) * n->out;
    case AE_OP_DENSE:
        return (double)shapes[n->from[0]].h * shapes[n->from[0]].w * in_channels * n->out;
    default: return 0;
    }
}

ae_status aei_graph_measure(ae_graph *graph, const ae_shape *shapes, aei_cost *costs, int32_t *node,
                            ae_error *err)
{
    uint32_t stride[2] = {1, 1}, far[2][2] = {{0, 0}, {0, 0}}, first = 0;
    double *down = ae_alloc(graph->n_nodes, 2 * sizeof(*down)), *across, share = 1;
    const ae_node *input;
    ae_status st = AE_OK;

    if (!down)
        return ae_fail(err, AE_ERR_NOMEM, "costs of %u layers", graph->n_nodes);
    across = down + graph->n_nodes;
    while (graph->nodes[first].op != AE_OP_INPUT)
        first++;
    input = &graph->nodes[first];
    if (!input->height &&
        (st = measure_axis(graph, 0, down, &stride[0], far[0], node, err)) != AE_OK)
        goto done;
    if (!input->width &&
        (st = measure_axis(graph, 1, across, &stride[1], far[1], node, err)) != AE_OK)
        goto done;
    graph->stride = graph->field = 0;
    for (int a = 0; a < 2; a++) {
        graph->before[a] = far[a][0];
        graph->after[a] = far[a][1];
    }
    for (uint32_t i = 0; i < graph->n_nodes && !input->height; i++) {
        ae_op op = graph->nodes[i].op;

        if (aei_op_is(op, AEI_ALL_BEFORE))
            graph->before[0] = UINT32_MAX;
        if (aei_op_is(op, AEI_ALL_AFTER))
            graph->after[0] = UINT32_MAX;
    }
    if (!input->height || !input->width) {
        graph->stride = stride[0] / (uint32_t)gcd(stride[0], stride[1]) * stride[1];
        for (int i = 0; i < 4; i++)
            graph->field = far[i / 2][i % 2] > graph->field ? far[i / 2][i % 2] : graph->field;
        graph->field = (graph->field + graph->stride - 1) / graph->stride * graph->stride;
        share = input->height ? 1.0 / input->height : input->width ? 1.0 / input->width : 1;
    }
    /* Along a free axis sizes count per input pixel, so that what stems from inputs of fixed size
     * alone costs nothing; along a fixed one in full, where both kinds occur divided by its size.
     */
    graph->macs = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        /* its inputs meet every weight once */
        uint32_t at = graph->nodes[i].op == AE_OP_DECONV ? graph->nodes[i].from[0] : i;
        double rows = input->height ? shapes[at].h : down[at],
               columns = input->width ? shapes[at].w : across[at];
        double macs = graph->nodes[i].op == AE_OP_DENSE && graph->stride
                          ? 0
                          : share * macs_of(graph, i, shapes, rows, columns);

        graph->macs += macs;
        if (costs)
            costs[i] = (aei_cost){macs, input->height ? 0 : down[i], input->width ? 0 : across[i]};
    }
done:
    ae_free(down);
    return st;
}
