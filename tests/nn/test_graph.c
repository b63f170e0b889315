/* SPDX-License-Identifier: BSD-2-Clause */
#include "nn/graph_trim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* Graphs are built by a tiny helper: each node reads the previous one unless told otherwise. */
typedef struct builder {
    ae_node nodes[32];
    ae_graph graph;
} builder;

static ae_node *put(builder *b, ae_op op, const char *name)
{
    uint32_t i = b->graph.n_nodes++;
    ae_node *n = &b->nodes[i];

    n->op = op;
    n->add = -1;
    if (name)
        snprintf(n->name, sizeof(n->name), "%s", name);
    else
        snprintf(n->name, sizeof(n->name), "n%u", i);
    if (op != AE_OP_INPUT) {
        n->n_from = 1;
        n->from[0] = i - 1;
    }
    b->graph.nodes = b->nodes;
    b->graph.n_outputs = 1;
    b->graph.outputs[0] = i;
    return n;
}

static ae_node *put_input(builder *b, uint32_t channels, uint32_t h, uint32_t w)
{
    ae_node *n = put(b, AE_OP_INPUT, NULL);

    n->out = channels;
    n->height = h;
    n->width = w;
    return n;
}

static ae_node *put_window(builder *b, ae_op op, uint32_t out, uint32_t kernel, uint32_t stride,
                           uint32_t pad)
{
    ae_node *n = put(b, op, NULL);

    n->out = out;
    n->kernel[0] = n->kernel[1] = kernel;
    n->stride[0] = n->stride[1] = stride;
    n->pad[0] = n->pad[1] = pad;
    n->bias = true;
    return n;
}

static ae_node *put_factor(builder *b, ae_op op, uint32_t factor)
{
    ae_node *n = put(b, op, NULL);

    n->factor = factor;
    return n;
}

static ae_node *put_join(builder *b, ae_op op, uint32_t other)
{
    ae_node *n = put(b, op, NULL);

    n->from[n->n_from++] = other;
    return n;
}

static void check_ok(builder *b)
{
    ae_error err = {0};

    if (ae_graph_check(&b->graph, &err) != AE_OK)
        fail_msg("%s", err.message);
}

static void check_fails(builder *b, ae_status status, const char *fragment)
{
    ae_error err = {0};

    assert_int_equal(ae_graph_check(&b->graph, &err), status);
    assert_int_equal(err.status, status);
    if (!strstr(err.message, fragment))
        fail_msg("'%s' lacks '%s'", err.message, fragment);
}

/* ---- the field, against sets of dependencies followed pixel by pixel along one axis ---- */

enum { LENGTH = 360, REACH = 8 * LENGTH };
typedef struct span {
    int lo, hi;
} span; /* lo > hi: nothing */

static span joined(span a, span b)
{
    if (a.lo > a.hi)
        return b;
    if (b.lo > b.hi)
        return a;
    return (span){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

static span at(const span *s, int n, int i)
{
    return i >= 0 && i < n ? s[i] : (span){1, 0};
}

static int simulate(const ae_graph *g, int axis, uint32_t stride)
{
    static span all[32][REACH];
    ae_shape shapes[32];
    int farthest = 0;

    assert_int_equal(ae_graph_shapes(g, 1, LENGTH, LENGTH, shapes, NULL), AE_OK);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const ae_node *n = &g->nodes[i];
        int size = (int)(axis ? shapes[i].w : shapes[i].h), s = (int)n->stride[axis],
            f = (int)n->factor;

        assert_true(size <= REACH);
        for (int p = 0; p < size; p++) {
            span d = {1, 0};

            for (uint32_t k = 0; k < n->n_from; k++) {
                const span *in = all[n->from[k]];
                int length = (int)(axis ? shapes[n->from[k]].w : shapes[n->from[k]].h);

                if (n->op == AE_OP_CONV || n->op == AE_OP_MAXPOOL || n->op == AE_OP_AVGPOOL) {
                    for (int t = 0; t < (int)n->kernel[axis]; t++)
                        d = joined(d, at(in, length,
                                         p * s - (int)n->pad[axis] + t * (int)n->dilation[axis]));
                } else if (n->op == AE_OP_DECONV) {
                    for (int j = 0; j < length; j++)
                        if (p >= j * s - (int)n->pad[axis] &&
                            p < j * s - (int)n->pad[axis] + (int)n->kernel[axis])
                            d = joined(d, in[j]);
                } else if (n->op == AE_OP_NEAREST || n->op == AE_OP_SHUFFLE) {
                    d = at(in, length, p / f);
                } else if (n->op == AE_OP_UNSHUFFLE) {
                    for (int t = 0; t < f; t++)
                        d = joined(d, in[p * f + t]);
                } else if (n->op == AE_OP_BILINEAR) {
                    double centre = (p + 0.5) / f - 0.5;

                    d = joined(at(in, length, (int)floor(centre)),
                               at(in, length, (int)ceil(centre)));
                } else {
                    d = joined(d, at(in, length, p));
                }
            }
            if (n->op == AE_OP_INPUT)
                d = (span){p, p};
            if (n->add >= 0)
                d = joined(d, all[n->add][p]);
            all[i][p] = d;
        }
    }
    /* a block in the middle, far from the borders */
    for (uint32_t o = 0; o < g->n_outputs; o++) {
        int size = (int)(axis ? shapes[g->outputs[o]].w : shapes[g->outputs[o]].h);
        int block = LENGTH / 2 / (int)stride * (int)stride;

        for (int p = 0; p < size; p++) {
            int where = (int)((int64_t)p * LENGTH / size), before, after;
            span d = all[g->outputs[o]][p];

            if (where < block || where >= block + (int)stride || d.lo > d.hi)
                continue;
            before = block - d.lo;
            after = d.hi - (block + (int)stride - 1);
            farthest = before > farthest ? before : farthest;
            farthest = after > farthest ? after : farthest;
        }
    }
    return farthest;
}

static void check_field(builder *b, uint32_t want_stride)
{
    uint32_t stride, field;
    int v, h, want;

    check_ok(b);
    ae_graph_field(&b->graph, &stride, &field);
    assert_int_equal(stride, want_stride);
    v = simulate(&b->graph, 0, stride);
    h = simulate(&b->graph, 1, stride);
    want = ((v > h ? v : h) + (int)stride - 1) / (int)stride * (int)stride;
    assert_int_equal(field, want);
}

/* Of layers that only look back: exactly how far, and nothing ahead. */
static void reach_of_causal_layers(void **state)
{
    builder b = {0};
    uint32_t before[2], after[2], stride, field;
    ae_node *n;

    (void)state;
    put_input(&b, 3, 0, 0);
    n = put_window(&b, AE_OP_CONV, 8, 3, 1, 4);
    n->causal = true;
    n->dilation[0] = 2;
    n->pad[1] = 1;
    check_ok(&b);
    ae_graph_reach(&b.graph, before, after);
    assert_true(before[0] == 4 && after[0] == 0 && before[1] == 1 && after[1] == 1);
    n = put_window(&b, AE_OP_CONV, 8, 4, 2, 1); /* rows 2 i - 2 to 2 i + 1 */
    n->causal = true;
    n->pad[0] = 2;
    check_ok(&b);
    ae_graph_reach(&b.graph, before, after);
    ae_graph_field(&b.graph, &stride, &field);
    assert_true(before[0] == 6 && after[0] == 0 && before[1] == 2 && after[1] == 2 && stride == 2 &&
                field == 6);
    /* row i reads rows (i - 2) / 2 to i / 2, rounded down */
    n = put_window(&b, AE_OP_DECONV, 3, 4, 2, 1);
    n->causal = true;
    n->pad[0] = 2;
    check_ok(&b);
    ae_graph_reach(&b.graph, before, after);
    assert_true(before[0] == 8 && after[0] == 0);
    n = put_window(&b, AE_OP_CONV, 3, 3, 1, 1);
    check_ok(&b);
    ae_graph_reach(&b.graph, before, after);
    assert_true(before[0] == 10 && after[0] == 2);
    put(&b, AE_OP_ACT, NULL)->causal = true;
    check_fails(&b, AE_ERR_MALFORMED, "has no padding to be causal");
}

static void reach_of_a_shift(void **state)
{
    builder b = {0};
    uint32_t before[2], after[2];

    (void)state;
    put_input(&b, 3, 0, 0);
    put_window(&b, AE_OP_CONV, 8, 3, 1, 1);
    put(&b, AE_OP_SHIFT, NULL);
    put(&b, AE_OP_SHIFT, NULL);
    check_ok(&b);
    ae_graph_reach(&b.graph, before, after);
    assert_true(before[0] == 3 && after[0] == 0 && before[1] == 1 && after[1] == 1);
}

static void field_of_plain_layers(void **state)
{
    builder b = {0};

    (void)state;
    put_input(&b, 3, 0, 0);
    check_field(&b, 1);
    put_window(&b, AE_OP_CONV, 8, 3, 1, 1);
    check_field(&b, 1);
    put_window(&b, AE_OP_CONV, 8, 5, 1, 6)->dilation[0] = 3;
    b.nodes[2].dilation[1] = 3;
    check_field(&b, 1);
    put_window(&b, AE_OP_CONV, 8, 1, 1, 0);
    check_field(&b, 1);
    assert_int_equal(b.graph.field, 7);
}

static void field_of_one_sided_windows(void **state)
{
    builder b = {0}, c = {0};

    (void)state;
    put_input(&b, 4, 0, 0);
    put_window(&b, AE_OP_CONV, 4, 2, 1, 0); /* reads forward only */
    check_field(&b, 1);
    assert_int_equal(b.graph.field, 1);
    put_input(&c, 4, 0, 0);
    ae_node *n = put_window(&c, AE_OP_CONV, 4, 3, 1, 1);
    n->kernel[1] = 7;
    n->pad[1] = 3;
    check_field(&c, 1);
    assert_int_equal(c.graph.field, 3);
}

static void field_of_u_shapes(void **state)
{
    static const ae_op ups[] = {AE_OP_NEAREST, AE_OP_BILINEAR};
    builder b = {0};

    (void)state;
    put_input(&b, 4, 0, 0);
    put_factor(&b, AE_OP_UNSHUFFLE, 2);
    put_window(&b, AE_OP_CONV, 8, 3, 1, 1);
    uint32_t skip = b.graph.n_nodes - 1;
    put_window(&b, AE_OP_CONV, 8, 2, 2, 0);
    put_window(&b, AE_OP_CONV, 8, 3, 1, 1);
    put_window(&b, AE_OP_CONV, 32, 3, 1, 1)->add = -1;
    put_factor(&b, AE_OP_SHUFFLE, 2);
    put_join(&b, AE_OP_ADD, skip);
    put_window(&b, AE_OP_CONV, 4, 3, 1, 1);
    put_factor(&b, AE_OP_SHUFFLE, 2);
    check_field(&b, 4);
    for (int u = 0; u < 2; u++) {
        builder c = {0};

        put_input(&c, 4, 0, 0);
        put_window(&c, AE_OP_MAXPOOL, 0, 3, 2, 1);
        put_window(&c, AE_OP_CONV, 8, 3, 2, 1);
        put_window(&c, AE_OP_AVGPOOL, 0, 3, 3, 0);
        put_window(&c, AE_OP_CONV, 8, 3, 1, 1);
        put_factor(&c, ups[u], 3);
        put_window(&c, AE_OP_DECONV, 8, 4, 2, 1);
        put_factor(&c, ups[u], 2);
        put_join(&c, AE_OP_CONCAT, 0);
        check_field(&c, 12);
    }
}

static void field_of_enlargers(void **state)
{
    static const ae_op ups[] = {AE_OP_NEAREST, AE_OP_BILINEAR, AE_OP_SHUFFLE};

    (void)state;
    for (int u = 0; u < 3; u++)
        for (uint32_t factor = 2; factor <= 3; factor++) {
            builder b = {0};

            put_input(&b, 36, 0, 0);
            put_window(&b, AE_OP_CONV, 36, 3, 1, 1);
            put_window(&b, AE_OP_CONV, 144, 2, 2, 0);
            put_factor(&b, ups[u], 2);
            put_factor(&b, ups[u], factor);
            ae_node *n = put_window(&b, AE_OP_CONV, 1, 3, 1, 1);
            n->add = -1;
            check_field(&b, 2);
        }
}

static void field_of_deconvolutions(void **state)
{
    (void)state;
    for (uint32_t kernel = 2; kernel <= 6; kernel += 2) {
        builder b = {0};

        put_input(&b, 4, 0, 0);
        put_window(&b, AE_OP_CONV, 4, 2, 2, 0);
        put_window(&b, AE_OP_DECONV, 4, kernel, 2, kernel / 2 - 1);
        put_join(&b, AE_OP_ADD, 0);
        check_field(&b, 2);
    }
}

/* ---- costs and parameters ---- */

static void costs_per_pixel_and_item(void **state)
{
    builder b = {0}, c = {0};
    bool per_item;

    (void)state;
    put_input(&b, 3, 0, 0);
    put_factor(&b, AE_OP_UNSHUFFLE, 2);
    put_window(&b, AE_OP_CONV, 32, 3, 1, 1);
    put_window(&b, AE_OP_DECONV, 3, 2, 2, 0);
    check_ok(&b);
    assert_true(fabs(ae_graph_macs(&b.graph, &per_item) - (12 * 9 * 32 / 4.0 + 32 * 4 * 3 / 4.0)) <
                1e-9);
    assert_false(per_item);
    put_input(&c, 1, 28, 20);
    put_window(&c, AE_OP_CONV, 4, 3, 1, 0);
    put(&c, AE_OP_DENSE, "code")->out = 10;
    check_ok(&c);
    assert_true(fabs(ae_graph_macs(&c.graph, &per_item) - (26 * 18 * 9 * 4 + 26 * 18 * 4 * 10)) <
                1e-9);
    assert_true(per_item);
    assert_int_equal(c.graph.field, 0);
    assert_int_equal(c.graph.stride, 0);
}

static void parameters_in_order(void **state)
{
    builder b = {0};
    ae_param *p;
    uint32_t n;
    size_t floats;
    float values[4096], again[4096];
    double sum = 0;

    (void)state;
    put_input(&b, 4, 0, 0);
    ae_node *first = put_window(&b, AE_OP_CONV, 8, 3, 1, 1);
    first->groups = 2;
    first->act = AE_ACT_RELU;
    put(&b, AE_OP_BATCHNORM, "norm");
    put_window(&b, AE_OP_CONV, 8, 3, 1, 1)->bias = false;
    put_window(&b, AE_OP_CONV, 8, 3, 1, 1)->bias = false;
    snprintf(b.nodes[4].param, sizeof(b.nodes[4].param), "n3");
    put(&b, AE_OP_SCALE, NULL)->value = 0.5f;
    put_window(&b, AE_OP_DECONV, 6, 2, 2, 0)->groups = 2;
    check_ok(&b);
    assert_int_equal(ae_graph_params(&b.graph, &p, &n, &floats, NULL), AE_OK);
    static const char *const names[] = {"n1.weight", "n1.bias",       "norm.weight", "norm.bias",
                                        "norm.mean", "norm.variance", "n3.weight",   "n5.weight",
                                        "n6.weight", "n6.bias"};
    static const size_t counts[] = {8 * 2 * 9, 8, 8, 8, 8, 8, 8 * 8 * 9, 8, 8 * 3 * 4, 6};
    assert_int_equal(n, 10);
    for (uint32_t i = 0, offset = 0; i < n; i++) {
        assert_string_equal(p[i].name, names[i]);
        assert_int_equal(p[i].count, counts[i]);
        assert_int_equal(p[i].offset, offset);
        assert_int_equal(p[i].trainable, i != 4 && i != 5);
        assert_int_equal(p[i].decay, i == 0 || i == 6 || i == 8);
        offset += (uint32_t)p[i].count;
    }
    assert_true(floats <= 4096);
    assert_int_equal(ae_graph_init(&b.graph, 7, values, NULL), AE_OK);
    assert_int_equal(ae_graph_init(&b.graph, 7, again, NULL), AE_OK);
    assert_memory_equal(values, again, floats * sizeof(float));
    for (size_t i = 0; i < p[6].count; i++)
        sum += (double)values[p[6].offset + i] * values[p[6].offset + i];
    assert_true(fabs(sum / (double)p[6].count * 72 - 1) < 0.15); /* 1 / fan-in */
    assert_true(values[p[7].offset] == 0.5f && values[p[5].offset] == 1 &&
                values[p[4].offset] == 0 && values[p[1].offset] == 0);
    assert_int_equal(ae_graph_init(&b.graph, 8, again, NULL), AE_OK);
    assert_memory_not_equal(values, again, p[0].count * sizeof(float));
    ae_free(p);
}

static void identity_is_the_identity(void **state)
{
    (void)state;
    for (uint32_t groups = 1; groups <= 6; groups += groups) {
        builder b = {0};
        float values[6 * 6 * 9 + 6];

        put_input(&b, groups == 4 ? 4 : 6, 0, 0);
        ae_node *n = put_window(&b, AE_OP_CONV, 0, 3, 1, 1);
        n->init = AE_INIT_IDENTITY;
        n->groups = groups == 4 ? 4 : groups;
        check_ok(&b);
        assert_int_equal(ae_graph_init(&b.graph, 1, values, NULL), AE_OK);
        uint32_t c = n->out, per_group = c / n->groups;
        for (uint32_t o = 0; o < c; o++)
            for (uint32_t i = 0; i < per_group; i++)
                for (uint32_t t = 0; t < 9; t++)
                    assert_true(values[(o * per_group + i) * 9 + t] ==
                                (t == 4 && o / per_group * per_group + i == o ? 1 : 0));
    }
}

/* ---- refusals ---- */

static void impossible_graphs(void **state)
{
    (void)state;
    {
        builder b = {0};
        check_fails(&b, AE_ERR_MALFORMED, "0 layers");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put(&b, AE_OP_DENSE, "code")->out = 4;
        check_fails(&b, AE_ERR_MALFORMED, "layer code: dense needs inputs of fixed height");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put_factor(&b, AE_OP_SHUFFLE, 2);
        check_fails(&b, AE_ERR_MALFORMED, "3 channels are not a multiple of 4");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put_window(&b, AE_OP_CONV, 4, 3, 1, 1);
        put_join(&b, AE_OP_ADD, 0);
        check_fails(&b, AE_ERR_MALFORMED, "n1 has 4 channels, n0 has 3");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put_window(&b, AE_OP_CONV, 3, 3, 2, 1);
        put_join(&b, AE_OP_ADD, 0);
        check_fails(&b, AE_ERR_MALFORMED, "layer n2: inputs of different scale");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put_window(&b, AE_OP_CONV, 3, 3, 1, 0);
        put_join(&b, AE_OP_ADD, 0);
        check_fails(&b, AE_ERR_MALFORMED, "layer n2: inputs of");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put(&b, AE_OP_ACT, NULL)->from[0] = 1;
        check_fails(&b, AE_ERR_MALFORMED, "cycle");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put_window(&b, AE_OP_CONV, 3, 3, 1, 1)->add = 1;
        check_fails(&b, AE_ERR_MALFORMED, "cycle");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put(&b, AE_OP_ACT, "n0");
        check_fails(&b, AE_ERR_MALFORMED, "same name");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        put_window(&b, AE_OP_CONV, 3, 11, 1, 0);
        check_fails(&b, AE_ERR_MALFORMED, "impossible shape");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        put_window(&b, AE_OP_CONV, 3, 0, 1, 0);
        check_fails(&b, AE_ERR_MALFORMED, "kernel 0");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        put_window(&b, AE_OP_DECONV, 3, 1, 2, 0);
        check_fails(&b, AE_ERR_MALFORMED, "holes");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        put_window(&b, AE_OP_CONV, 4, 3, 1, 1)->groups = 2;
        check_fails(&b, AE_ERR_MALFORMED, "2 groups");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        put(&b, AE_OP_DROPOUT, NULL)->value = NAN;
        check_fails(&b, AE_ERR_MALFORMED, "finite");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        put(&b, AE_OP_DROPOUT, NULL)->value = 1;
        check_fails(&b, AE_ERR_MALFORMED, "dropout 1");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        ae_node *n = put(&b, AE_OP_RESHAPE, NULL);
        n->height = n->width = 7;
        n->out = 4;
        check_fails(&b, AE_ERR_MALFORMED, "8 x 8 x 3 samples do not fit 7 x 7 x 4");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        ae_node *n = put(&b, AE_OP_CROP, NULL);
        n->first = 2;
        n->out = 2;
        check_fails(&b, AE_ERR_MALFORMED, "channels 2 to 4 of 3");
    }
    {
        builder b = {0};
        put_input(&b, 3, 8, 8);
        put_input(&b, 3, 0, 0);
        put_join(&b, AE_OP_CONCAT, 0);
        check_fails(&b, AE_ERR_MALFORMED, "input n1: has no fixed size");
    }
    {
        builder b = {0};
        put_input(&b, 4, 0, 0);
        for (int i = 0; i < 11; i++)
            put_window(&b, AE_OP_MAXPOOL, 0, 2, 2, 0);
        check_fails(&b, AE_ERR_LIMIT, "scale");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        put_window(&b, AE_OP_CONV, 8, 3, 1, 1);
        put_window(&b, AE_OP_CONV, 8, 3, 1, 1);
        memcpy(b.nodes[2].param, "n1", 3);
        check_fails(&b, AE_ERR_MALFORMED, "shares the parameters n1 with n1");
    }
    {
        builder b = {0};
        put_input(&b, 3, 0, 0);
        b.nodes[0].op = (ae_op)99;
        check_fails(&b, AE_ERR_MALFORMED, "unknown operator 99");
    }
}

static void sizes_that_do_not_fit(void **state)
{
    builder b = {0};
    ae_shape shapes[2];
    ae_error err = {0};

    (void)state;
    put_input(&b, 3, 0, 0);
    put_factor(&b, AE_OP_UNSHUFFLE, 2);
    check_ok(&b);
    assert_int_equal(ae_graph_shapes(&b.graph, 2, 6, 10, shapes, NULL), AE_OK);
    assert_true(shapes[1].n == 2 && shapes[1].h == 3 && shapes[1].w == 5 && shapes[1].c == 12);
    assert_int_equal(ae_graph_shapes(&b.graph, 1, 7, 10, shapes, &err), AE_ERR_MALFORMED);
    assert_non_null(strstr(err.message, "7 x 10 is not a multiple of 2"));
    assert_int_equal(ae_graph_shapes(&b.graph, 1, 0, 10, shapes, &err), AE_ERR_ARGUMENT);
    assert_int_equal(ae_graph_shapes(&b.graph, 1, UINT32_MAX, 10, shapes, &err), AE_ERR_ARGUMENT);
}

/* Twelve convolutions, the first added to the last: each is computed with at most two rows more
 * around than what follows reads. */
static void trimmed_layers_are_small(void **state)
{
    enum { DEPTH = 12, KEPT = 20 };
    uint32_t size = KEPT + 2 * DEPTH, layer = 0;
    ae_shape shapes[64];
    ae_graph trimmed;
    builder b = {0};

    (void)state;
    put_input(&b, 3, 0, 0);
    for (int i = 0; i < DEPTH; i++)
        put_window(&b, AE_OP_CONV, 8, 3, 1, 1);
    b.nodes[DEPTH].add = 1;
    check_ok(&b);
    assert_int_equal(aei_graph_trim(&b.graph, size, size, DEPTH, &trimmed, NULL), AE_OK);
    assert_true(trimmed.n_nodes <= 64);
    assert_int_equal(ae_graph_shapes(&trimmed, 1, size, size, shapes, NULL), AE_OK);
    for (uint32_t i = 0; i < trimmed.n_nodes; i++)
        if (trimmed.nodes[i].op == AE_OP_CONV) {
            uint32_t least = KEPT + 2 * (DEPTH - layer++);

            assert_in_range(shapes[i].h, least, least + 2);
            assert_int_equal(shapes[i].w, shapes[i].h);
        }
    assert_int_equal(layer, DEPTH);
    assert_int_equal(shapes[trimmed.outputs[0]].h, KEPT);
    ae_graph_free(&trimmed);
    assert_int_equal(aei_graph_trim(&b.graph, size, 2 * DEPTH, DEPTH, &trimmed, NULL),
                     AE_ERR_ARGUMENT);
    b.nodes[1].pad[0] = b.nodes[1].pad[1] = 0;
    b.nodes[DEPTH].add = -1;
    check_ok(&b);
    assert_int_equal(aei_graph_trim(&b.graph, size, size, DEPTH, &trimmed, NULL), AE_ERR_MISMATCH);
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        builder b = {0};
        ae_param *p = NULL;
        uint32_t count;
        size_t floats;
        ae_status st;

        put_input(&b, 3, 0, 0);
        put_window(&b, AE_OP_CONV, 8, 3, 2, 1);
        ae_alloc_fail_at(n);
        st = ae_graph_check(&b.graph, NULL);
        if (st == AE_OK)
            st = ae_graph_params(&b.graph, &p, &count, &floats, NULL);
        ae_alloc_fail_at(0);
        ae_free(p);
        if (st == AE_OK) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(st, AE_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reach_of_a_shift),         cmocka_unit_test(reach_of_causal_layers),
        cmocka_unit_test(field_of_plain_layers),    cmocka_unit_test(field_of_one_sided_windows),
        cmocka_unit_test(field_of_u_shapes),        cmocka_unit_test(field_of_enlargers),
        cmocka_unit_test(field_of_deconvolutions),  cmocka_unit_test(costs_per_pixel_and_item),
        cmocka_unit_test(parameters_in_order),      cmocka_unit_test(identity_is_the_identity),
        cmocka_unit_test(impossible_graphs),        cmocka_unit_test(sizes_that_do_not_fit),
        cmocka_unit_test(trimmed_layers_are_small), cmocka_unit_test(every_allocation_fails_once),
    };

    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
