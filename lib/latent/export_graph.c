/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What of a codec's graph a decoder needs. It has no analysis: a latent comes to it as symbols, and
 * of what the graph feeds the quantiser only the mean and the scale, which the symbols were coded
 * with, are computed again. Both are found backwards from the picture, by the nodes `bits` that
 * price what the nodes `quantise` make. */
#include "latent/export.h"

const ae_node *aei_export_bits(const ae_graph *g, const ae_node *q)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const ae_node *n = &g->nodes[i];

        if (n->op == AE_OP_BITS && n->from[0] == q->from[0] && n->from[1] == q->from[1] &&
            n->from[3] == q->from[2] && n->parity == q->parity)
            return n;
    }
    return NULL;
}

void aei_export_look_through(const ae_graph *g, uint32_t *node, uint32_t *first)
{
    for (*first = 0; g->nodes[*node].op == AE_OP_CROP && g->nodes[*node].act == AE_ACT_NONE;
         *node = g->nodes[*node].from[0])
        *first += g->nodes[*node].first;
}

/* What a decoder computes of a node from: of latents the mean and the scale. */
static uint32_t inputs_of(const ae_graph *g, const ae_node *n, uint32_t *in)
{
    uint32_t k = 0;

    if (n->op == AE_OP_QUANTISE) {
        const ae_node *bits = aei_export_bits(g, n);

        in[k++] = n->from[1];
        if (bits)
            in[k++] = bits->from[2];
        return k;
    }
    if (n->op == AE_OP_EMBED)
        return 0;
    for (; k < n->n_from; k++)
        in[k] = n->from[k];
    if (n->add >= 0)
        in[k++] = (uint32_t)n->add;
    return k;
}

void aei_export_mark(const ae_graph *g, bool *marks)
{
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        uint32_t in[AE_MAX_FROM + 1], n = marks[i] ? inputs_of(g, &g->nodes[i], in) : 0;

        while (n)
            marks[in[--n]] = true;
    }
}

void aei_export_decoder(const ae_graph *g, bool *marks)
{
    marks[g->outputs[0]] = true;
    aei_export_mark(g, marks);
}

ae_status aei_export_sources(const ae_graph *g, uint32_t sources[AEI_MAX_SOURCES],
                             uint32_t *n_sources, ae_error *err)
{
    bool *marks = ae_alloc(g->n_nodes, sizeof(*marks));
    ae_status st = marks ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "decoder program");

    *n_sources = 0;
    if (st == AE_OK)
        aei_export_decoder(g, marks);
    for (uint32_t i = 0; st == AE_OK && i < g->n_nodes; i++) {
        uint32_t node = g->nodes[i].from[0], first, k = 0;

        if (!marks[i] || g->nodes[i].op != AE_OP_QUANTISE)
            continue;
        aei_export_look_through(g, &node, &first);
        while (k < *n_sources && sources[k] != node)
            k++;
        if (k == AEI_MAX_SOURCES)
            st = ae_fail(err, AE_ERR_UNSUPPORTED, "latents of more than %d layers",
                         AEI_MAX_SOURCES);
        else if (k == *n_sources)
            sources[(*n_sources)++] = node;
    }
    if (st == AE_OK && !*n_sources)
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "the network quantises nothing: it is no codec");
    ae_free(marks);
    return st;
}

bool aei_export_is_pair(const ae_graph *g, const bool *decoder, const ae_node *n)
{
    const ae_node *a = &g->nodes[n->from[0]], *b = &g->nodes[n->from[1]];
    uint32_t later = n->from[0] > n->from[1] ? n->from[0] : n->from[1], n_users = 0;

    if (n->op != AE_OP_ADD || n->n_from != 2 || n->act != AE_ACT_NONE || a->op != AE_OP_QUANTISE ||
        b->op != AE_OP_QUANTISE || !a->parity || !b->parity || a->parity == b->parity)
        return false;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        uint32_t in[AE_MAX_FROM + 1], n_in = decoder[i] ? inputs_of(g, &g->nodes[i], in) : 0;

        while (n_in)
            n_users += in[--n_in] == later;
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        n_users += g->outputs[i] == later;
    return n_users == 1;
}

uint32_t aei_export_find(uint32_t *group, uint32_t i)
{
    while (group[i] != i)
        i = group[i] = group[group[i]];
    return i;
}

static void unite(uint32_t *group, uint32_t a, uint32_t b)
{
    group[aei_export_find(group, a)] = aei_export_find(group, b);
}

void aei_export_group(const ae_graph *g, const bool *decoder, uint32_t *group)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        group[i] = i;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const ae_node *n = &g->nodes[i];

        if (!decoder[i])
            continue;
        switch (n->op) {
        case AE_OP_QUANTISE: unite(group, i, n->from[1]); break;
        case AE_OP_ADD:
        case AE_OP_CONCAT:
        case AE_OP_CROP:
        case AE_OP_SHUFFLE:
        case AE_OP_ACT:
            for (uint32_t k = 0; k < n->n_from; k++)
                unite(group, i, n->from[k]);
            break;
        default: break;
        }
        if (n->add >= 0)
            unite(group, i, (uint32_t)n->add);
    }
}
