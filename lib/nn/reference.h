/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The definition of every operator: a plain interpreter of graphs in double precision, which the
 * executor (exec.h) is tested against. Slow; used by tests only.
 *
 * Random nodes: node number i of the graph draws from r = aei_rng_make(seed, i, 0) for its whole N
 * x H x W x C tensor, channels last, one element after another in that order, padding channels not
 * counted.
 *   dropout   keeps an element iff aei_rng_float(&r) >= value, one draw an element
 *   gaussian  unit normals from one aei_rng_normals(&r, to, n * h * w * c)
 *   noise     unit normals from one aei_rng_normals(&r, to, c) a pixel
 *   bits      aei_rng_float(&r) - 1/2, one draw an element of the positions that its parity counts
 * Ties: max pooling takes the first of equals in (y, x) order; round takes the even neighbour. The
 * derivative of relu and leaky at 0 is that of the negative side. */
#ifndef AEI_REFERENCE_H
#define AEI_REFERENCE_H

#include "ae/graph.h"

/* One node with what it reads and writes: all an operator needs. Everything is dense N x H x W x C.
 */
typedef struct aei_ref_node {
    const ae_node *node;
    ae_shape in[AE_MAX_FROM], out;
    const double *x[AE_MAX_FROM]; /* values of the nodes read */
    double *dx[AE_MAX_FROM];      /* their gradients, added to */
    double *y, *dy;               /* op(x...) + add, before the activation */
    double *value, *d_value;      /* act(y) */
    float *draw;                  /* random nodes: the factor 0 or 1, the normals, or the noise */
    /* offsets in the flat parameters; SIZE_MAX: none */
    size_t weight_at, recurrent_at, bias_at, mean_at, variance_at;
    const double *weight, *recurrent, *bias, *mean, *variance; /* NULL: none */
    /* added to; d_mean, d_variance: statistics of the batch */
    double *d_weight, *d_recurrent, *d_bias, *d_mean, *d_variance;
    bool train;
} aei_ref_node;

typedef struct aei_ref {
    const ae_graph *graph;
    uint32_t n_nodes, n_inputs;
    size_t n_floats; /* of the flat parameters */
    aei_ref_node *nodes;
} aei_ref;

/* The graph must have passed ae_graph_check and outlive *out. */
ae_status aei_ref_create(const ae_graph *graph, uint32_t n, uint32_t h, uint32_t w, aei_ref **out,
                         ae_error *err);
void aei_ref_free(aei_ref *ref); /* NULL is fine */

/* flat: order of ae_graph_params; inputs: one array for each input node in graph order. Fills
 * nodes[i].value of all nodes. train: batch statistics and random nodes. */
void aei_ref_forward(aei_ref *ref, const double *flat, const double *const *inputs, bool train,
                     uint64_t seed);
/* After aei_ref_forward in training mode, whose parameters are read again. d_values[i]: the loss's
 * direct gradient by node i's value (NULL: none), n_nodes entries. gradient: flat, overwritten; the
 * entries of running means and variances receive the mean and biased variance of the batch (of the
 * first node where several share them). Gradients of all nodes remain: nodes[i].d_value by the
 * value, nodes[i].dy by what its activation is given (for input nodes: by the input). */
void aei_ref_backward(aei_ref *ref, const double *const *d_values, double *gradient);

/* In reference_ops.c. forward writes y; backward adds to dx[] and d_weight ... from dy. */
typedef struct aei_ref_op {
    void (*forward)(const aei_ref_node *v);
    void (*backward)(const aei_ref_node *v);
} aei_ref_op;
#define AEI_REF_BOTH(kind)                                                                         \
    void aei_ref_##kind##_forward(const aei_ref_node *v);                                          \
    void aei_ref_##kind##_backward(const aei_ref_node *v);
AEI_REF_BOTH(recurrent)
AEI_REF_BOTH(time) /* reference_time.c */
AEI_REF_BOTH(embed)
AEI_REF_BOTH(quantise)
AEI_REF_BOTH(bits) /* reference_codec.c */
AEI_REF_BOTH(softmax)
AEI_REF_BOTH(unit)
AEI_REF_BOTH(noise)
AEI_REF_BOTH(reverse)
AEI_REF_BOTH(normal)
AEI_REF_BOTH(gather) /* reference_ends.c */
AEI_REF_BOTH(argmax)
#undef AEI_REF_BOTH
/* NULL: there is no such operator. */
const aei_ref_op *aei_ref_op_of(ae_op op);

/* Whether position (y, x) counts at a node of this parity. */
static inline bool aei_ref_counts(ae_parity parity, size_t y, size_t x)
{
    return !parity || (y + x) % 2 == (parity == AE_PARITY_ODD);
}

static inline size_t aei_ref_count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

static inline size_t aei_ref_at(ae_shape s, uint32_t n, uint32_t y, uint32_t x, uint32_t c)
{
    return (((size_t)n * s.h + y) * s.w + x) * s.c + c;
}

/* The element of input `from` that meets output element (n, y, x, c); inputs of 1 x 1 meet all of a
 * picture. */
static inline size_t aei_ref_broadcast(const aei_ref_node *v, uint32_t from, uint32_t n, uint32_t y,
                                       uint32_t x, uint32_t c)
{
    bool one = v->in[from].h == 1 && v->in[from].w == 1;

    return aei_ref_at(v->in[from], n, one ? 0 : y, one ? 0 : x, c);
}

#endif
