/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile is computed from a window that is wider by the network's field. The first layers need all
 * of it, the last hardly any: so the margin is cut off on the way. Every node keeps a margin of
 * whole strides, which leaves its pixels where they are in the stride. */
#include "nn/graph_trim.h"

#include "nn/graph_check.h"
#include "nn/graph_field.h"

#include <string.h>

/* To cut is to copy, for a layer that then computes this many per cent fewer pixels. */
enum { WORTH = 6 };

typedef struct place {
    uint32_t at;                 /* the node in the new graph */
    uint32_t margin[2];          /* it is computed with, in strides */
    uint32_t cut, cut_margin[2]; /* the last that it was cut to; cut 0: not yet */
    uint32_t readers;
} place;

typedef struct builder {
    const ae_graph *from;
    ae_graph *to;
    ae_shape *shapes; /* of whole windows */
    aei_reads *reads;
    place *places;
    uint32_t trim[2]; /* in strides */
} builder;

static bool is_free(const builder *b, uint32_t node)
{
    return b->reads[node].period[0] || b->reads[node].period[1];
}

static bool equal(const uint32_t a[2], const uint32_t b[2])
{
    return a[0] == b[0] && a[1] == b[1];
}

/* Node i without what lies beyond this margin. */
static uint32_t cut_to(builder *b, uint32_t i, const uint32_t margin[2])
{
    place *p = &b->places[i];
    ae_node n = {
        .op = AE_OP_CROP, .n_from = 1, .from = {p->at}, .add = -1, .out = b->from->nodes[i].out};

    if (!is_free(b, i) || equal(p->margin, margin))
        return p->at;
    if (p->cut && equal(p->cut_margin, margin))
        return p->cut;
    memcpy(n.name, b->from->nodes[i].name, sizeof(n.name));
    for (int a = 0; a < 2; a++) {
        n.pad[a] = (p->margin[a] - margin[a]) * b->reads[i].period[a];
        p->cut_margin[a] = margin[a];
    }
    p->cut = b->to->n_nodes++;
    b->to->nodes[p->cut] = n;
    return p->cut;
}

static double pixels(const builder *b, uint32_t node, const uint32_t margin[2])
{
    const uint32_t *period = b->reads[node].period;

    return (double)(b->shapes[node].h - 2 * (b->trim[0] - margin[0]) * period[0]) *
           (b->shapes[node].w - 2 * (b->trim[1] - margin[1]) * period[1]);
}

/* Layers are where it pays; those of single pixels only where nothing else reads their input, which
 * would be cut as well. */
static bool may_cut(const builder *b, const ae_node *n)
{
    return (n->op == AE_OP_CONV || n->op == AE_OP_DECONV) &&
           (n->kernel[0] * n->kernel[1] > 1 || b->places[n->from[0]].readers == 1);
}

/* The margin of node i: the least of those that it reads, or what it needs of them. */
static void choose_margin(builder *b, uint32_t i, const uint32_t *from, uint32_t n_from)
{
    uint32_t *margin = b->places[i].margin;

    memcpy(margin, b->trim, sizeof(b->trim));
    for (uint32_t k = 0; k < n_from; k++)
        for (int a = 0; a < 2; a++)
            if (is_free(b, from[k]) && b->places[from[k]].margin[a] < margin[a])
                margin[a] = b->places[from[k]].margin[a];
    if (may_cut(b, &b->from->nodes[i]) &&
        pixels(b, i, margin) * 100 > pixels(b, i, b->reads[i].margin) * (100 + WORTH))
        memcpy(margin, b->reads[i].margin, sizeof(b->trim));
}

static void add_node(builder *b, uint32_t i)
{
    ae_node n = b->from->nodes[i];
    uint32_t from[AE_MAX_FROM + 1], n_from = aei_node_inputs(&n, from);

    choose_margin(b, i, from, n_from);
    for (uint32_t k = 0; k < n.n_from; k++)
        n.from[k] = cut_to(b, n.from[k], b->places[i].margin);
    if (n.add >= 0)
        n.add = (int32_t)cut_to(b, (uint32_t)n.add, b->places[i].margin);
    b->places[i].at = b->to->n_nodes++;
    b->to->nodes[b->places[i].at] = n;
}

/* Whether a node is as large as its scale says: not behind convolutions without padding. */
static bool is_steady(const builder *b, uint32_t i, const uint32_t size[2],
                      const uint32_t stride[2])
{
    uint64_t h = b->shapes[i].h, w = b->shapes[i].w;
    const uint32_t *period = b->reads[i].period;

    return (!period[0] || h * stride[0] == (uint64_t)size[0] * period[0]) &&
           (!period[1] || w * stride[1] == (uint64_t)size[1] * period[1]);
}

ae_status aei_graph_trim(const ae_graph *g, uint32_t h, uint32_t w, uint32_t trim, ae_graph *out,
                         ae_error *err)
{
    builder b = {.from = g,
                 .to = out,
                 .shapes = ae_alloc(g->n_nodes, sizeof(*b.shapes)),
                 .reads = ae_alloc(g->n_nodes, sizeof(*b.reads)),
                 .places = ae_alloc(g->n_nodes, sizeof(*b.places))};
    uint32_t stride[2], size[2] = {h, w}, most = g->n_nodes + g->n_outputs;
    bool steady = true;
    ae_status st = AE_OK;

    *out = (ae_graph){.n_outputs = g->n_outputs};
    for (uint32_t i = 0; i < g->n_nodes; i++)
        most += g->nodes[i].n_from + 1;
    out->nodes = ae_alloc(most, sizeof(*out->nodes));
    if (!b.shapes || !b.reads || !b.places || !out->nodes) {
        st = ae_fail(err, AE_ERR_NOMEM, "plan of %u layers", g->n_nodes);
        goto done;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (aei_op_is(g->nodes[i].op, AEI_ALL_BEFORE)) {
            st = ae_fail(err, AE_ERR_UNSUPPORTED,
                         "layer %s: %s depends on all rows, so that nothing can be cut into tiles",
                         g->nodes[i].name, ae_op_name(g->nodes[i].op));
            goto done;
        }
    if ((st = ae_graph_shapes(g, 1, h, w, b.shapes, err)) != AE_OK ||
        (st = aei_graph_reads(g, stride, b.reads, err)) != AE_OK)
        goto done;
    for (int a = 0; a < 2; a++) {
        b.trim[a] = stride[a] ? trim / stride[a] : 0;
        if (stride[a] && (trim % stride[a] || size[a] <= 2 * (uint64_t)trim))
            st = ae_fail(err, AE_ERR_ARGUMENT, "%u pixels trimmed off %u, stride %u", trim, size[a],
                         stride[a]);
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        uint32_t from[AE_MAX_FROM + 1], n_from = aei_node_inputs(&g->nodes[i], from);

        for (uint32_t k = 0; k < n_from; k++)
            b.places[from[k]].readers++;
        steady = steady && is_steady(&b, i, size, stride);
    }
    /* then outputs alone are cut, where they are as large as they should be */
    for (uint32_t i = 0; i < g->n_nodes && !steady; i++)
        memcpy(b.reads[i].margin, b.trim, sizeof(b.trim));
    for (uint32_t i = 0; i < g->n_nodes && st == AE_OK; i++)
        add_node(&b, i);
    for (uint32_t i = 0; i < g->n_outputs && st == AE_OK; i++) {
        if (!is_steady(&b, g->outputs[i], size, stride))
            st = ae_fail(err, AE_ERR_MISMATCH,
                         "layer %s: %u x %u of a picture of %u x %u, no fixed share of it",
                         g->nodes[g->outputs[i]].name, b.shapes[g->outputs[i]].w,
                         b.shapes[g->outputs[i]].h, w, h);
        out->outputs[i] = cut_to(&b, g->outputs[i], (const uint32_t[2]){0, 0});
    }
done:
    if (st != AE_OK)
        ae_graph_free(out);
    ae_free(b.shapes);
    ae_free(b.reads);
    ae_free(b.places);
    return st;
}
