/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Mixed precision. In a plan of bf16 the transforms of a codec (doc/codec.md) compute in f32: where
 * a picture is rebuilt to a thousandth, eight bits of a weight make an error that is the same
 * everywhere, which training would then mend in the wrong place. "Wide", that is f32, are these
 * layers, all that leads to them from the inputs or another layer, and what is computed from wide
 * values, until the next layer; and the numbers of rows in tables, of which bf16 tells 256 apart. A
 * cast, which is an activation that does nothing, stands where a reader wants the other type. */
#include "nn/mixed.h"

#include "nn/ops.h"

#include <string.h>

static bool is_layer(const ae_node *n)
{
    return aei_op_is(n->op, AEI_LAYER);
}

static bool is_transform(const ae_node *n)
{
    return n->op == AE_OP_CONV && (n->init == AE_INIT_DCT || n->init == AE_INIT_DCT_INVERSE);
}

/* Operators whose inputs may be of any type, each for itself. */
static bool reads_any(const ae_node *n)
{
    return aei_op_is(n->op, AEI_ANY_TYPE);
}

/* Whether all that read a node read any type; false where nothing does. */
static bool read_by_any(const ae_graph *g, uint32_t node)
{
    bool read = false;

    for (uint32_t i = node + 1; i < g->n_nodes; i++) {
        const ae_node *n = &g->nodes[i];

        for (uint32_t k = 0; k < n->n_from; k++)
            if (n->from[k] == node) {
                if (!reads_any(n))
                    return false;
                read = true;
            }
    }
    return read;
}

static void choose(const ae_graph *g, uint8_t *wide)
{
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        const ae_node *n = &g->nodes[i];

        if (is_transform(n) || n->op == AE_OP_BITS ||
            ((n->op == AE_OP_INPUT || n->op == AE_OP_EMBED) && read_by_any(g, i)))
            wide[i] = 1;
        if (is_transform(n) ? !is_layer(&g->nodes[n->from[0]])
                            : wide[i] && !is_layer(n) && !reads_any(n))
            for (uint32_t k = 0; k < n->n_from; k++)
                if (!is_layer(&g->nodes[n->from[k]]))
                    wide[n->from[k]] = 1;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const ae_node *n = &g->nodes[i];

        if (is_layer(n)) {
            wide[i] |= n->add >= 0 && wide[n->add];
            continue;
        }
        for (uint32_t k = 0; k < n->n_from && !(reads_any(n) && (k || n->op == AE_OP_EMBED ||
                                                                 n->op == AE_OP_GATHER));
             k++)
            wide[i] |= wide[n->from[k]];
    }
}

typedef struct builder {
    aei_mixed *to;
    uint32_t *cast; /* of each node of *to, 0: none yet */
} builder;

static uint32_t put(builder *b, const ae_node *node, uint32_t origin, bool wide)
{
    uint32_t i = b->to->graph.n_nodes++;

    b->to->graph.nodes[i] = *node;
    b->to->origin[i] = origin;
    b->to->wide[i] = wide;
    return i;
}

/* Node i of *to, or its value in the other type. */
static uint32_t as(builder *b, uint32_t i, bool wide)
{
    ae_node cast = {.op = AE_OP_ACT, .add = -1, .n_from = 1, .from = {i}};

    if (b->to->wide[i] == wide)
        return i;
    if (!b->cast[i]) {
        cast.out = b->to->graph.nodes[i].out;
        b->cast[i] = put(b, &cast, b->to->origin[i], wide);
    }
    return b->cast[i];
}

static void add_node(builder *b, const ae_graph *g, uint32_t i, const uint8_t *wide)
{
    uint32_t *map = b->to->map;
    ae_node n = g->nodes[i], sum = {.op = AE_OP_ADD,
                                    .n_from = 2,
                                    .add = -1,
                                    .act = n.act,
                                    .slope = n.slope,
                                    .out = n.out};
    bool layer = is_layer(&n), narrow = layer && !is_transform(&n);

    for (uint32_t k = 0; k < n.n_from; k++)
        n.from[k] = reads_any(&n) ? map[n.from[k]]
                                  : as(b, map[n.from[k]], narrow ? false : wide[i]);
    if (narrow && wide[i]) { /* a sum with what is wide, after the layer */
        sum.from[0] = map[n.add];
        n.add = -1;
        n.act = AE_ACT_NONE;
        sum.from[1] = as(b, put(b, &n, i, false), true);
        map[i] = put(b, &sum, i, true);
        return;
    }
    if (n.add >= 0)
        n.add = (int32_t)as(b, map[n.add], wide[i]);
    map[i] = put(b, &n, i, wide[i]);
}

ae_status aei_mixed_create(const ae_graph *g, aei_mixed *to, ae_error *err)
{
    enum { MOST = 4 }; /* nodes for one: the layer, its cast, the sum, the cast of that */
    uint8_t *wide = ae_alloc(g->n_nodes, 1);
    builder b = {to, ae_alloc((size_t)MOST * g->n_nodes, sizeof(uint32_t))};
    ae_status st = AE_OK;

    *to = (aei_mixed){
        .map = ae_alloc(g->n_nodes, sizeof(*to->map)),
        .origin = ae_alloc((size_t)MOST * g->n_nodes, sizeof(*to->origin)),
        .wide = ae_alloc((size_t)MOST * g->n_nodes, 1),
        .graph = {.nodes = ae_alloc((size_t)MOST * g->n_nodes, sizeof(*to->graph.nodes)),
                  .n_outputs = g->n_outputs},
    };
    if (!wide || !b.cast || !to->map || !to->origin || !to->wide || !to->graph.nodes) {
        st = ae_fail(err, AE_ERR_NOMEM, "plan of %u layers", g->n_nodes);
        aei_mixed_free(to);
        goto done;
    }
    choose(g, wide);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        add_node(&b, g, i, wide);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        to->graph.outputs[i] = to->map[g->outputs[i]];
done:
    ae_free(b.cast);
    ae_free(wide);
    return st;
}

bool aei_mixed_wanted(const ae_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (is_transform(&graph->nodes[i]) || graph->nodes[i].op == AE_OP_GATHER)
            return true;
    return false;
}

void aei_mixed_free(aei_mixed *m)
{
    ae_graph_free(&m->graph);
    ae_free(m->map);
    ae_free(m->origin);
    ae_free(m->wide);
    *m = (aei_mixed){0};
}
