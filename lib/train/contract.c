/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The contractive penalty and its gradients by the layer's values and its weights, unit by unit in
 * a fixed order. */
#include "train/contract.h"

#include <stdio.h>
#include <string.h>

struct aei_contraction {
    ae_act act;
    double weight;
    size_t at; /* the layer's weight in the flat parameters */
    uint32_t units, inputs, n_shards;
    double *norms; /* of each unit's weights, squared */
    double *sums;  /* of each shard and unit: what multiplies its weights in their gradient */
};

ae_status aei_contraction_create(const ae_graph *graph, const ae_param *params, uint32_t n_params,
                                 const char *node, uint32_t n_shards, aei_contraction **out,
                                 ae_error *err)
{
    int32_t found = ae_graph_find(graph, node);
    const ae_node *n = found < 0 ? NULL : &graph->nodes[found];
    char name[sizeof(params->name)];
    aei_contraction *c;

    *out = NULL;
    if (!n || n->op != AE_OP_DENSE || n->transposed ||
        (n->act != AE_ACT_NONE && n->act != AE_ACT_SIGMOID && n->act != AE_ACT_TANH &&
         n->act != AE_ACT_RELU))
        return ae_fail(
            err, AE_ERR_MISMATCH,
            "penalty jacobian: %s is no dense layer with act none, sigmoid, tanh or relu", node);
    snprintf(name, sizeof(name), "%s.weight", n->param);
    c = ae_alloc(1, sizeof(*c));
    if (!c)
        return ae_fail(err, AE_ERR_NOMEM, "penalty jacobian");
    c->act = n->act;
    c->n_shards = n_shards;
    for (uint32_t i = 0; i < n_params; i++)
        if (!strcmp(params[i].name, name)) {
            c->at = params[i].offset;
            c->units = params[i].dims[0];
            c->inputs = params[i].dims[1];
        }
    c->norms = ae_alloc(c->units, sizeof(*c->norms));
    c->sums = ae_alloc((size_t)c->units * n_shards, sizeof(*c->sums));
    if (!c->norms || !c->sums) {
        ae_status st = ae_fail(err, AE_ERR_NOMEM, "penalty jacobian of %u units", c->units);

        aei_contraction_free(c);
        return st;
    }
    *out = c;
    return AE_OK;
}

void aei_contraction_free(aei_contraction *c)
{
    if (!c)
        return;
    ae_free(c->norms);
    ae_free(c->sums);
    ae_free(c);
}

void aei_contraction_begin(aei_contraction *c, double weight, const float *values)
{
    c->weight = weight;
    for (uint32_t u = 0; u < c->units; u++) {
        const float *w = values + c->at + (size_t)u * c->inputs;

        c->norms[u] = 0;
        for (uint32_t i = 0; i < c->inputs; i++)
            c->norms[u] += (double)w[i] * (double)w[i];
    }
}

/* The activation's derivative where its result is h, and the derivative of that by h. */
static double slope(ae_act act, double h, double *by_h)
{
    switch (act) {
    case AE_ACT_SIGMOID: *by_h = 1 - 2 * h; return h * (1 - h);
    case AE_ACT_TANH: *by_h = -2 * h; return 1 - h * h;
    case AE_ACT_RELU: *by_h = 0; return h > 0;
    default: *by_h = 0; return 1;
    }
}

double aei_contraction_add(aei_contraction *c, uint32_t shard, double share, ae_shape s,
                           const float *value, float *gradient)
{
    double *sums = c->sums + (size_t)shard * c->units, k = c->weight * share / s.n, sum = 0;

    memset(sums, 0, c->units * sizeof(*sums));
    for (uint32_t n = 0; n < s.n; n++)
        for (uint32_t u = 0; u < c->units; u++) {
            size_t i = (size_t)n * c->units + u;
            double by_h, f = slope(c->act, (double)value[i], &by_h);

            sum += f * f * c->norms[u];
            sums[u] += 2 * k * f * f;
            gradient[i] += (float)(2 * k * f * by_h * c->norms[u]);
        }
    return k * sum;
}

void aei_contraction_collect(const aei_contraction *c, const float *values, float *gradient)
{
    for (uint32_t u = 0; u < c->units; u++) {
        size_t at = c->at + (size_t)u * c->inputs;
        double factor = 0;

        for (uint32_t s = 0; s < c->n_shards; s++)
            factor += c->sums[(size_t)s * c->units + u];
        for (uint32_t i = 0; i < c->inputs; i++)
            gradient[at + i] += (float)(factor * (double)values[at + i]);
    }
}
