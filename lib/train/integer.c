/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rounds the weights of a codec's decoder as its export will: each output's to multiples of a power
 * of two, the finest at which neither a weight nor their sum leaves the range of the integers that
 * decode. */
#include "train/integer.h"
#include "latent/export.h"

#include <math.h>
#include <string.h>

enum { FINEST = 24, MOST = 32767 };
/* the export's 2^31 over its widest activations', and room for the bias */
static const double most_summed = 1e5;

struct aei_integer {
    const ae_param *params;
    uint32_t n_params;
    bool *rounds; /* by parameter */
    const float *from;
    float *to;
};

void aei_integer_free(aei_integer *t)
{
    if (!t)
        return;
    ae_free(t->rounds);
    ae_free(t->to);
    ae_free(t);
}

ae_status aei_integer_create(const ae_graph *g, const ae_param *params, uint32_t n_params,
                             aei_integer **out, ae_error *err)
{
    aei_integer *t = *out = ae_alloc(1, sizeof(*t));
    bool *decodes = ae_alloc(g->n_nodes, sizeof(*decodes));
    size_t n = n_params ? params[n_params - 1].offset + params[n_params - 1].count : 0;

    if (t) {
        *t = (aei_integer){params, n_params, ae_alloc(n_params, sizeof(bool)), NULL,
                           ae_alloc(n, sizeof(float))};
        if (decodes && t->rounds && t->to) {
            aei_export_decoder(g, decodes);
            for (uint32_t i = 0; i < n_params; i++)
                t->rounds[i] = params[i].decay && decodes[params[i].node] &&
                               g->nodes[params[i].node].op == AE_OP_CONV;
            ae_free(decodes);
            return AE_OK;
        }
    }
    aei_integer_free(t);
    ae_free(decodes);
    *out = NULL;
    return ae_fail(err, AE_ERR_NOMEM, "training: %zu rounded parameters", n);
}

static void round_output(const float *restrict w, size_t n, float *restrict to)
{
    double largest = 0, sum = 0;
    float up, down;
    int k = FINEST;

    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)w[i]));
        sum += fabs((double)w[i]);
    }
    while (k > -FINEST && (ldexp(largest, k) > MOST || ldexp(sum, k) > most_summed))
        k--;
    up = ldexpf(1, k);
    down = ldexpf(1, -k);
    for (size_t i = 0; i < n; i++)
        to[i] = rintf(w[i] * up) * down;
}

static void round_job(void *context, uint32_t index, uint32_t thread)
{
    const aei_integer *t = context;
    const ae_param *p = &t->params[index];
    size_t n = p->count / p->dims[0];

    (void)thread;
    if (!t->rounds[index])
        memcpy(t->to + p->offset, t->from + p->offset, p->count * sizeof(float));
    for (uint32_t o = 0; t->rounds[index] && o < p->dims[0]; o++)
        round_output(t->from + p->offset + o * n, n, t->to + p->offset + o * n);
}

const float *aei_integer_round(aei_integer *t, aei_pool *pool, const float *values)
{
    t->from = values;
    aei_pool_run(pool, t->n_params, round_job, t);
    return t->to;
}
