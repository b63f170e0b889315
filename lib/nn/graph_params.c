/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Parameters of graphs and their initial values. */
#include "core/rng.h"
#include "nn/acts.h"
#include "nn/graph_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FLOATS = 1 << 28 };

static void set_param(ae_param *p, const ae_graph *graph, uint32_t node, const char *what,
                      uint32_t n_dims, const uint32_t *dims)
{
    const ae_node *n = &graph->nodes[node];
    bool own = n->transposed && !strcmp(what, "bias");

    *p = (ae_param){.node = node, .n_dims = n_dims, .count = 1};
    snprintf(p->name, sizeof(p->name), "%s.%s", own ? n->name : n->param, what);
    for (uint32_t i = 0; i < n_dims; i++) {
        p->dims[i] = dims[i];
        p->count *= dims[i];
    }
}

ae_op aei_params_kind(const ae_node *n)
{
    return n->op == AE_OP_DENORMALISE               ? AE_OP_NORMALISE
           : n->op == AE_OP_DECONV && n->transposed ? AE_OP_CONV
                                                    : n->op;
}

/* The dimensions of tensor `which` of a node; returns how many. */
static uint32_t dims_of(const ae_node *n, ae_shape in, const char *which, uint32_t dims[4])
{
    bool recurrent = aei_op_is(n->op, AEI_RECURRENT), weight = !strcmp(which, "weight");
    uint32_t samples = in.h * in.w * in.c, groups = n->groups ? n->groups : 1;

    dims[0] = n->out; /* one number a channel */
    if (recurrent && !strcmp(which, "bias")) {
        dims[0] = 4 * n->out;
        return 1;
    }
    if (recurrent) {
        dims[0] = (n->op == AE_OP_LSTM ? 4 : 3) * n->out;
        dims[1] = weight ? in.c : n->out;
        return 2;
    }
    if (weight && aei_op_takes(n->op, AEI_BIT(FACTOR))) { /* a table */
        dims[0] = n->factor;
        dims[1] = n->out;
        return 2;
    }
    if (!weight || !aei_op_is(n->op, AEI_LAYER))
        return 1;
    dims[1] = in.c / groups;
    if (n->op == AE_OP_DENSE) {
        dims[0] = n->transposed ? samples : n->out;
        dims[1] = n->transposed ? n->out : samples;
        return 2;
    }
    if (n->op == AE_OP_DECONV) {
        dims[0] = in.c;
        dims[1] = n->out / groups;
    }
    dims[2] = n->kernel[0];
    dims[3] = n->kernel[1];
    return 4;
}

uint32_t aei_node_params(const ae_graph *graph, uint32_t node, ae_shape in, ae_param params[4])
{
    const ae_node *n = &graph->nodes[node];
    const aei_op_info *op = aei_op_info_of(n->op);
    uint32_t count = 0;

    for (uint32_t k = 0; op && k < 4 && op->params[k]; k++) {
        bool bias = !strcmp(op->params[k], "bias");
        uint32_t dims[4], n_dims;

        if (bias && (op->takes & AEI_BIT(BIAS)) && !n->bias)
            continue;
        n_dims = dims_of(n, in, op->params[k], dims);
        set_param(&params[count], graph, node, op->params[k], n_dims, dims);
        params[count].trainable = k < op->n_trained;
        params[count++].decay = (op->traits & AEI_MATRIX) && !bias;
    }
    return count;
}

static bool shared_above(const ae_graph *graph, uint32_t node)
{
    for (uint32_t i = 0; i < node; i++)
        if (aei_params_kind(&graph->nodes[i]) == aei_params_kind(&graph->nodes[node]) &&
            !strcmp(graph->nodes[i].param, graph->nodes[node].param))
            return true;
    return false;
}

ae_status ae_graph_params(const ae_graph *graph, ae_param **params, uint32_t *n_params,
                          size_t *n_floats, ae_error *err)
{
    ae_shape *shapes = ae_alloc(graph->n_nodes, sizeof(*shapes));
    ae_param *list = NULL;
    uint32_t count = 0;
    uint64_t total = 0;
    int32_t node;
    ae_status st = AE_OK;

    *params = NULL;
    *n_params = 0;
    *n_floats = 0;
    list = ae_alloc(graph->n_nodes, 4 * sizeof(*list));
    if (!shapes || !list) {
        st = ae_fail(err, AE_ERR_NOMEM, "parameters of %u layers", graph->n_nodes);
        goto done;
    }
    if ((st = aei_graph_infer(graph, 1, 0, 0, shapes, &node, err)) != AE_OK)
        goto done;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        uint32_t n = aei_node_params(graph, i, shapes[graph->nodes[i].from[0]], list + count);

        if (n > 1 && graph->nodes[i].transposed) /* a bias of its own */
            list[count] = list[count + 1], n = 1;
        else if (!n || shared_above(graph, i))
            continue;
        for (uint32_t k = 0; k < n; k++) {
            list[count + k].offset = total;
            total += list[count + k].count;
            if (list[count + k].count > MAX_FLOATS || total > MAX_FLOATS) {
                st = ae_fail(err, AE_ERR_LIMIT, "layer %s: the network has more than %d parameters",
                             graph->nodes[i].name, MAX_FLOATS);
                goto done;
            }
        }
        count += n;
    }
    *params = list;
    *n_params = count;
    *n_floats = (size_t)total;
    list = NULL;
done:
    ae_free(list);
    ae_free(shapes);
    return st;
}

/* Nearly normal, of unit variance: twelve 16-bit uniforms summed. Integers and one exact scaling,
 * so that every machine draws the same, which logf and cosf do not promise. */
static float unit_draw(aei_rng *rng)
{
    int32_t sum = 0;

    for (int i = 0; i < 3; i++) {
        uint64_t u = aei_rng_u64(rng);

        sum += (int32_t)(u & 0xffff) + (int32_t)(u >> 16 & 0xffff) + (int32_t)(u >> 32 & 0xffff) +
               (int32_t)(u >> 48);
    }
    return ((float)sum - 12 * 32767.5f) * 0x1p-16f;
}

/* ---- the cosine transform, doc/codec.md ---- */

enum { MAX_BLOCK = 64 };

typedef struct component {
    uint32_t order;
    uint8_t plane, u, v;
} component;

static uint32_t square_root(uint32_t samples)
{
    uint32_t n = 0;

    while (n <= MAX_BLOCK && n * n < samples)
        n++;
    return n <= MAX_BLOCK && n * n == samples ? n : 0;
}

uint32_t aei_dct_planes(uint32_t samples)
{
    return !samples                                       ? 0
           : samples % 3 == 0 && square_root(samples / 3) ? 3
           : square_root(samples)                         ? 1
                                                          : 0;
}

static int by_energy(const void *a, const void *b)
{
    const component *x = a, *y = b;

    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    if (x->plane != y->plane)
        return x->plane < y->plane ? -1 : 1;
    return x->u != y->u ? x->u - y->u : x->v - y->v;
}

/* Components of a block of `planes` x n x n samples in falling order of their expected energy. */
static component *list_components(uint32_t planes, uint32_t n)
{
    static const uint32_t weight[] = {1, 5, 13};
    component *list = ae_alloc((size_t)planes * n * n, sizeof(*list)), *to = list;

    for (uint32_t p = 0; list && p < planes; p++)
        for (uint32_t u = 0; u < n; u++)
            for (uint32_t v = 0; v < n; v++)
                *to++ = (component){weight[p] * (1 + u * u + v * v), (uint8_t)p, (uint8_t)u,
                                    (uint8_t)v};
    if (list)
        qsort(list, (size_t)planes * n * n, sizeof(*list), by_energy);
    return list;
}

int32_t aei_dct_above(const ae_graph *graph, uint32_t node)
{
    for (uint32_t i = 0; i < node; i++)
        if (graph->nodes[i].op == AE_OP_CONV && graph->nodes[i].init == AE_INIT_DCT)
            return (int32_t)i;
    return -1;
}

/* One over the usual size of a component: what makes its deviation about one. */
static double gain(const component *k)
{
    return pow(k->order, 0.75) / 2;
}

static double cosine(uint32_t n, uint32_t u, uint32_t i)
{
    return sqrt((u ? 2.0 : 1.0) / n) * cos((2 * i + 1) * u * 3.14159265358979323846 / (2 * n));
}

/* Component at sample (c, i, j) of the block. */
static double basis(const component *k, uint32_t planes, uint32_t n, uint32_t c, uint32_t i,
                    uint32_t j)
{
    static const double colour[3][3] = {{1, 1, 1}, {1, 0, -1}, {-1, 2, -1}}, square[] = {3, 2, 6};
    double shade = planes == 3 ? colour[k->plane][c] / sqrt(square[k->plane]) : 1;

    return shade * cosine(n, k->u, i) * cosine(n, k->v, j);
}

static ae_status init_dct(const ae_node *node, const ae_param *p, float *w, ae_error *err)
{
    bool inverse = node->init == AE_INIT_DCT_INVERSE;
    uint32_t in = p->dims[1], k = p->dims[2], samples = inverse ? node->out : in * k * k,
             planes = aei_dct_planes(samples);
    uint32_t n = square_root(samples / planes), f = n / k;
    component *list = list_components(planes, n);

    if (!list)
        return ae_fail(err, AE_ERR_NOMEM, "%u components", samples);
    for (uint32_t o = 0; o < node->out; o++)
        for (uint32_t c = 0; c < in; c++)
            for (uint32_t ky = 0; ky < k; ky++)
                for (uint32_t kx = 0; kx < k; kx++) {
                    float *to = &w[(((size_t)o * in + c) * k + ky) * k + kx];

                    if (inverse)
                        *to = (float)(basis(&list[c], planes, n, o / (n * n), o / n % n, o % n) /
                                      gain(&list[c]));
                    else
                        *to = (float)(basis(&list[o], planes, n, c / (f * f), f * ky + c / f % f,
                                            f * kx + c % f) *
                                      gain(&list[o]));
                }
    ae_free(list);
    return AE_OK;
}

/* Rows made orthonormal to those before by Gram and Schmidt, twice for accuracy; where there are
 * more rows than columns the columns are. In double, with sums in order and square roots, which
 * round alike everywhere. */
static ae_status init_orthogonal(const ae_param *p, uint32_t gates, bool rectified, aei_rng *rng,
                                 float *w, ae_error *err)
{
    size_t rows = p->dims[0] / gates, columns = p->count / p->dims[0],
           n = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
    double *v = ae_alloc(n * length, sizeof(*v)), gain = rectified ? sqrt(2) : 1;

    if (!v)
        return ae_fail(err, AE_ERR_NOMEM, "parameters %s", p->name);
    for (uint32_t g = 0; g < gates; g++, w += rows * columns) {
        for (size_t i = 0; i < n * length; i++)
            v[i] = (double)unit_draw(rng);
        for (size_t i = 0; i < n; i++) {
            double *row = v + i * length, square = 0;

            for (size_t k = 0; k < 2 * i; k++) {
                const double *other = v + k % i * length;
                double dot = 0;

                for (size_t q = 0; q < length; q++)
                    dot += row[q] * other[q];
                for (size_t q = 0; q < length; q++)
                    row[q] -= dot * other[q];
            }
            for (size_t q = 0; q < length; q++)
                square += row[q] * row[q];
            for (size_t q = 0; q < length; q++)
                row[q] /= sqrt(square);
        }
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++)
                w[r * columns + c] = (float)(gain * (rows < columns ? v[r * length + c]
                                                                    : v[c * length + r]));
    }
    ae_free(v);
    return AE_OK;
}

static ae_status init_weight(const ae_node *n, const ae_param *p, aei_rng *rng, float *w,
                             ae_error *err)
{
    bool recurrent = aei_op_is(n->op, AEI_RECURRENT),
         rectified = !recurrent && aei_act_info_of(n->act)->rectifier;
    double fan_in = (double)(p->count / p->dims[0]);
    float deviation;

    if (n->init == AE_INIT_ZERO)
        return AE_OK;
    if (n->init == AE_INIT_DCT || n->init == AE_INIT_DCT_INVERSE)
        return init_dct(n, p, w, err);
    if (n->init == AE_INIT_IDENTITY) {
        uint32_t per_group = p->dims[1], area = p->dims[2] * p->dims[3];
        uint32_t centre = (p->dims[2] - 1) / 2 * p->dims[3] + (p->dims[3] - 1) / 2;

        for (uint32_t o = 0; o < n->out; o++) {
            uint32_t first = o / (n->out / n->groups) * per_group;

            if (o >= first && o - first < per_group)
                w[((size_t)o * per_group + (o - first)) * area + centre] = 1;
        }
        return AE_OK;
    }
    if (n->op == AE_OP_DECONV) /* on average so many weights meet in an output */
        fan_in = (double)p->dims[0] / n->groups * p->dims[2] * p->dims[3] / n->stride[0] /
                 n->stride[1];
    if (n->init == AE_INIT_ORTHOGONAL)
        return init_orthogonal(p, recurrent ? p->dims[0] / n->out : 1, rectified, rng, w, err);
    /* a convolution's output goes to as many taps as it comes from */
    if (n->init == AE_INIT_XAVIER)
        fan_in = (fan_in +
                  fan_in / p->dims[1] * p->dims[0] / (recurrent ? p->dims[0] / n->out : 1)) /
                 2;
    deviation = (float)sqrt((rectified && n->init != AE_INIT_XAVIER ? 2 : 1) / fan_in);
    for (size_t i = 0; i < p->count; i++)
        w[i] = deviation * unit_draw(rng);
    return AE_OK;
}

/* The picture is centred at 1/2. */
static void init_bias(const ae_node *n, const float *weight, size_t per_output, float *bias)
{
    for (uint32_t o = 0; o < n->out; o++) {
        double sum = 0;

        for (size_t k = 0; k < per_output; k++)
            sum += (double)weight[o * per_output + k];
        bias[o] = n->init == AE_INIT_DCT ? (float)(-0.5 * sum) : 0.5f;
    }
}

static ae_status init_table(const ae_graph *graph, uint32_t node, float *w, ae_error *err)
{
    const ae_node *n = &graph->nodes[node];
    component *list = NULL;

    if (n->init == AE_INIT_DCT) {
        const ae_node *conv = &graph->nodes[aei_dct_above(graph, node)];
        uint32_t samples = graph->nodes[conv->from[0]].out * conv->kernel[0] * conv->kernel[1],
                 planes = aei_dct_planes(samples);

        list = list_components(planes, square_root(samples / planes));
        if (!list)
            return ae_fail(err, AE_ERR_NOMEM, "%u components", samples);
    }
    for (uint32_t r = 0; r < n->factor; r++)
        for (uint32_t c = 0; c < n->out; c++)
            w[(size_t)r * n->out + c] = (float)((double)n->value +
                                                (double)n->slope * r / (n->factor - 1) +
                                                (list ? log2(gain(&list[n->first + c])) : 0));
    ae_free(list);
    return AE_OK;
}

ae_status ae_graph_init(const ae_graph *graph, uint64_t seed, float *values, ae_error *err)
{
    ae_param *params;
    uint32_t n_params;
    size_t n_floats;
    ae_status st = ae_graph_params(graph, &params, &n_params, &n_floats, err);

    if (st != AE_OK)
        return st;
    for (uint32_t i = 0; st == AE_OK && i < n_params; i++) {
        const ae_param *p = &params[i];
        const ae_node *n = &graph->nodes[p->node];
        const char *what = strrchr(p->name, '.') + 1;
        float *to = values + p->offset, fill = 0;
        aei_rng rng = aei_rng_make(seed, i, 0);

        if (!strcmp(what, "variance") || (!p->decay && !strcmp(what, "weight")))
            fill = n->op == AE_OP_SCALE ? n->value : 1;
        for (size_t k = 0; k < p->count; k++)
            to[k] = fill;
        if (n->op == AE_OP_GATHER)
            for (size_t k = 0; k < p->count; k++)
                to[k] = unit_draw(&rng);
        else if (p->decay)
            st = init_weight(n, p, &rng, to, err);
        else if (n->op == AE_OP_EMBED)
            st = init_table(graph, p->node, to, err);
        /* what there is is kept at first (Gers et al. 2000) */
        else if (!strcmp(what, "bias") && n->op == AE_OP_LSTM)
            for (uint32_t k = n->out; k < 2 * n->out; k++)
                to[k] = 1;
        else if (!strcmp(what, "bias") &&
                 (n->init == AE_INIT_DCT || n->init == AE_INIT_DCT_INVERSE))
            init_bias(n, values + p[-1].offset, p[-1].count / n->out, to);
        else if (!strcmp(what, "bias") && n->act == AE_ACT_CLIP)
            for (size_t k = 0; k < p->count; k++)
                to[k] = 0.5f;
    }
    ae_free(params);
    return st;
}
