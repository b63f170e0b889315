/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All networks of a recipe as one graph: a later one is appended with its inputs led to layers of
 * those before, and one that is told from draws (an adversary's critic) twice, for codes and for
 * draws, with shared parameters. Names keep their network in front, by which parameters find their
 * way into the model and back. */
#include "train/join.h"

#include <stdio.h>
#include <string.h>

static ae_status name_of(char to[AE_NAME_MAX], const char *network, const char *between,
                         const char *layer, ae_error *err)
{
    if (snprintf(to, AE_NAME_MAX, "%s%s.%s", network, between, layer) >= AE_NAME_MAX)
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "network %s: its name and that of layer %s are longer than %d letters",
                       network, layer, AE_NAME_MAX - 1);
    return AE_OK;
}

static bool has_param(const ae_graph *g, const char *param)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op != AE_OP_INPUT && !strcmp(g->nodes[i].param, param))
            return true;
    return false;
}

/* Appends network k, its first inputs being the nodes `feeds`; `between` tells copies apart.
 * *output: where its first output is. */
static ae_status append(aei_joined *j, const ae_recipe *r, uint32_t k, const char *between,
                        const uint32_t *feeds, int32_t *output, ae_error *err)
{
    const ae_graph *from = &r->networks[k].graph;
    uint32_t n = j->graph.n_nodes, *at = ae_alloc(from->n_nodes, sizeof(*at)), *networks;
    ae_node *nodes;
    ae_status st = AE_OK;

    nodes = at ? ae_realloc(j->graph.nodes, n * sizeof(*nodes),
                            (n + from->n_nodes) * sizeof(*nodes))
               : NULL;
    if (nodes)
        j->graph.nodes = nodes;
    networks = nodes ? ae_realloc(j->network, n * sizeof(*networks),
                                  (n + from->n_nodes) * sizeof(*networks))
                     : NULL;
    if (!networks) {
        ae_free(at);
        return ae_fail(err, AE_ERR_NOMEM, "%u layers", n + from->n_nodes);
    }
    j->network = networks;
    for (uint32_t i = 0, input = 0; i < from->n_nodes && st == AE_OK; i++) {
        ae_node node = from->nodes[i];

        if (k && node.op == AE_OP_INPUT) {
            at[i] = feeds[input++];
            continue;
        }
        for (uint32_t s = 0; s < node.n_from; s++)
            node.from[s] = at[node.from[s]];
        if (node.add >= 0)
            node.add = (int32_t)at[node.add];
        if (k && (!strcmp(node.param, node.name) || !has_param(&r->networks[0].graph, node.param)))
            st = name_of(node.param, r->networks[k].name, "", from->nodes[i].param, err);
        if (k && st == AE_OK)
            st = name_of(node.name, r->networks[k].name, between, from->nodes[i].name, err);
        at[i] = j->graph.n_nodes;
        j->network[at[i]] = k;
        j->graph.nodes[j->graph.n_nodes++] = node;
    }
    *output = (int32_t)at[from->outputs[0]];
    ae_free(at);
    return st;
}

static ae_status add_draws(aei_joined *j, const ae_node *like, uint32_t network, uint32_t *at,
                           ae_error *err)
{
    uint32_t n = j->graph.n_nodes, *networks;
    ae_node *nodes = ae_realloc(j->graph.nodes, n * sizeof(*nodes), (n + 1) * sizeof(*nodes));

    if (nodes)
        j->graph.nodes = nodes;
    networks = nodes ? ae_realloc(j->network, n * sizeof(*networks), (n + 1) * sizeof(*networks))
                     : NULL;
    if (!networks)
        return ae_fail(err, AE_ERR_NOMEM, "%u layers", n + 1);
    j->network = networks;
    j->network[n] = network;
    nodes[n] = *like;
    snprintf(nodes[n].name, sizeof(nodes[n].name), "draws.%u", ++j->n_draws);
    snprintf(nodes[n].param, sizeof(nodes[n].param), "%s", nodes[n].name);
    *at = n;
    j->graph.n_nodes++;
    return AE_OK;
}

static uint32_t network_of(const ae_recipe *r, const char *name)
{
    uint32_t k = 0;

    while (k < r->n_networks && strcmp(r->networks[k].name, name) != 0)
        k++;
    return k;
}

/* The copies of a term's network, those of a term before where that has the same. */
static ae_status add_adversary(aei_joined *j, const ae_recipe *r, uint32_t term, ae_error *err)
{
    const ae_term *t = &r->terms[term];
    uint32_t k = network_of(r, t->by), draws, code;
    int32_t found = ae_graph_find(&j->graph, t->on);
    char between[16];
    ae_status st;

    for (uint32_t i = 0; i < term; i++)
        if (r->terms[i].kind == AE_LOSS_ADVERSARY && !strcmp(r->terms[i].by, t->by) &&
            !strcmp(r->terms[i].on, t->on)) {
            j->told[term] = j->told[i];
            j->drawn[term] = j->drawn[i];
            return AE_OK;
        }
    if (k == r->n_networks || found < 0)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "recipe %s: term %s: no network '%s', or no layer '%s'", r->name, t->name,
                       t->by, t->on);
    code = (uint32_t)found;
    snprintf(between, sizeof(between), "%.2u", term);
    if ((st = append(j, r, k, between, &code, &j->told[term], err)) != AE_OK ||
        (st = add_draws(j, &r->networks[k].graph.nodes[0], k, &draws, err)) != AE_OK)
        return st;
    snprintf(between, sizeof(between), "%.2u.d", term);
    return append(j, r, k, between, &draws, &j->drawn[term], err);
}

/* Network k, which is fed by layers before; those of adversaries come with their terms. */
static ae_status add_network(aei_joined *j, const ae_recipe *r, uint32_t k, ae_error *err)
{
    const ae_network *n = &r->networks[k];
    uint32_t feeds[AE_MAX_FROM];
    bool critic = false;

    for (uint32_t i = 0; i < r->n_terms; i++)
        critic = critic ||
                 (r->terms[i].kind == AE_LOSS_ADVERSARY && !strcmp(r->terms[i].by, n->name));
    if (critic)
        return AE_OK;
    for (uint32_t i = 0, input = 0; i < n->graph.n_nodes; i++) {
        int32_t found;

        if (n->graph.nodes[i].op != AE_OP_INPUT)
            continue;
        found = n->from[input][0] ? ae_graph_find(&j->graph, n->from[input]) : -1;
        if (found < 0)
            return ae_fail(
                err, AE_ERR_UNSUPPORTED,
                "recipe %s: nothing feeds input '%s' of network %s: give it 'from', a layer, "
                "or name the network in a term adversary",
                r->name, n->graph.nodes[i].name, n->name);
        feeds[input++] = (uint32_t)found;
    }
    return append(j, r, k, "", feeds, &(int32_t){0}, err);
}

ae_status aei_join(const ae_recipe *r, aei_joined *j, ae_error *err)
{
    const ae_graph *first = &r->networks[0].graph;
    ae_status st;

    *j = (aei_joined){0};
    for (int i = 0; i < AE_MAX_TERMS; i++)
        j->told[i] = j->drawn[i] = -1;
    st = append(j, r, 0, "", NULL, &(int32_t){0}, err);
    j->graph.n_outputs = first->n_outputs;
    memcpy(j->graph.outputs, first->outputs, sizeof(first->outputs));
    for (uint32_t k = 1; st == AE_OK && k < r->n_networks; k++)
        st = add_network(j, r, k, err);
    for (uint32_t i = 0; st == AE_OK && i < r->n_terms; i++)
        if (r->terms[i].kind == AE_LOSS_ADVERSARY)
            st = add_adversary(j, r, i, err);
    if (st == AE_OK)
        st = ae_graph_check(&j->graph, err);
    if (st != AE_OK)
        aei_joined_free(j);
    return st;
}

/* The parameter of the joined graph that network k calls so. */
static const ae_param *find_param(const ae_recipe *r, uint32_t k, const ae_param *params,
                                  uint32_t n_params, const char *name)
{
    char own[sizeof(params->name) + AE_NAME_MAX];

    snprintf(own, sizeof(own), "%s.%s", r->networks[k].name, name);
    for (uint32_t i = 0; k && i < n_params; i++)
        if (!strcmp(params[i].name, own))
            return &params[i];
    for (uint32_t i = 0; i < n_params; i++)
        if (!strcmp(params[i].name, name))
            return &params[i];
    return NULL;
}

/* Copies all networks' parameters: to the model where `flat` is read only, else from it. */
static ae_status copy_values(const ae_recipe *r, const ae_param *params, uint32_t n_params,
                             float *flat, float *model, bool to_model, size_t *n, ae_error *err)
{
    *n = 0;
    for (uint32_t k = 0; k < r->n_networks; k++) {
        ae_param *own;
        uint32_t n_own;
        size_t n_floats;
        ae_status st = ae_graph_params(&r->networks[k].graph, &own, &n_own, &n_floats, err);

        for (uint32_t i = 0; st == AE_OK && model && i < n_own; i++) {
            const ae_param *p = find_param(r, k, params, n_params, own[i].name);
            float *there = model + *n + own[i].offset;

            if (!p || p->count != own[i].count)
                st = ae_fail(err, AE_ERR_MISMATCH, "recipe %s: parameter %s of network %s", r->name,
                             own[i].name, r->networks[k].name);
            else
                memcpy(to_model ? there : flat + p->offset, to_model ? flat + p->offset : there,
                       p->count * sizeof(float));
        }
        ae_free(own);
        if (st != AE_OK)
            return st;
        *n += n_floats;
    }
    return AE_OK;
}

ae_status aei_joined_to_model(const ae_recipe *r, const ae_param *params, uint32_t n_params,
                              const float *flat, float **out, size_t *n, ae_error *err)
{
    ae_status st = copy_values(r, params, n_params, NULL, NULL, true, n, err);

    *out = NULL;
    if (st != AE_OK)
        return st;
    *out = ae_alloc(*n, sizeof(float));
    if (!*out)
        return ae_fail(err, AE_ERR_NOMEM, "%zu parameters", *n);
    return copy_values(r, params, n_params, (float *)flat, *out, true, n, err);
}

ae_status aei_joined_from_model(const ae_recipe *r, const ae_param *params, uint32_t n_params,
                                const float *model, float *flat, ae_error *err)
{
    return copy_values(r, params, n_params, flat, (float *)model, false, &(size_t){0}, err);
}

void aei_joined_free(aei_joined *j)
{
    ae_graph_free(&j->graph);
    ae_free(j->network);
    *j = (aei_joined){0};
}
