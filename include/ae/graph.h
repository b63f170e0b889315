/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Networks as data: a list of nodes in the order in which they are computed. Recipes are parsed
 * into graphs, model files carry them, lib/nn runs and trains them. Tensors are N x H x W x C
 * (channels last); N is chosen at run time, H and W too unless an input fixes them. */
#ifndef AE_GRAPH_H
#define AE_GRAPH_H

#include "ae/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { AE_NAME_MAX = 48, AE_MAX_NODES = 1024, AE_MAX_FROM = 8 };

/* What a node computes. The values are written into model files. */
typedef enum ae_op {
    AE_OP_INPUT = 1,
    AE_OP_DENSE = 2,  /* fully connected over h*w*c in that order: 1 x 1 x out */
    AE_OP_CONV = 3,   /* zero padding */
    AE_OP_DECONV = 4, /* transposed convolution */
    AE_OP_MAXPOOL = 5,
    AE_OP_AVGPOOL = 6,  /* padding does not count */
    AE_OP_NEAREST = 7,  /* upsampling by `factor` */
    AE_OP_BILINEAR = 8, /* upsampling by `factor`, half-pixel centres, edges clamped */
    /* pixel shuffle: c*f*f -> c, input channel (c, dy, dx) in that order, as in Shi et al. 2016 */
    AE_OP_SHUFFLE = 9,
    AE_OP_UNSHUFFLE = 10, /* its inverse */
    AE_OP_CONCAT = 11,    /* along channels */
    AE_OP_ADD = 12,       /* of all inputs; one of h = w = 1 is broadcast */
    AE_OP_MUL = 13,       /* of two inputs, likewise (masks, gates) */
    AE_OP_SCALE = 14,     /* times a learned factor a channel, beginning at `value` */
    /* over n, h, w; running estimates at inference (momentum 0.1, epsilon 1e-5) */
    AE_OP_BATCHNORM = 15,
    AE_OP_LAYERNORM = 16, /* over c at each pixel, epsilon 1e-5 */
    AE_OP_DROPOUT = 17, /* with probability `value`, scaled by 1 / (1 - value), off at inference */
    AE_OP_ACT = 18,     /* the activation `act` alone */
    /* to height x width x out, the same number of samples; height 0: each row by itself */
    AE_OP_RESHAPE = 19,
    /* input 0 + exp(input 1 / 2) * a unit normal draw; input 0 alone at inference (mean, log
     * variance) */
    AE_OP_GAUSSIAN = 20,
    AE_OP_ROUND = 21, /* to nearest; the gradient passes straight through */
    /* channels [first, first + out); within plans also without pad rows and columns on both sides
     */
    AE_OP_CROP = 22,
    /* doc/codec.md. Those of the inputs behind the first that are 1 x 1 are broadcast. */
    /* row p * (factor - 1) of a learned table of `factor` rows, linearly interpolated: 1 x 1 x out
     * of a position p in 0..1 (1 x 1 x 1); row r begins at value + slope * r / (factor - 1) */
    AE_OP_EMBED = 23,
    /* of y, mean, log2 step: the nearest mean + step * integer; 0 where `parity` does not count */
    AE_OP_QUANTISE = 24,
    /* of y, mean, log2 scale, log2 step: what coding quantise's result costs; likewise */
    AE_OP_BITS = 25,
    /* Height is time. Each column by itself: to take all columns together, RESHAPE first. */
    /* gated recurrent unit of `out` channels, from a state of zeros (formulas:
     * lib/nn/op_recurrent.c) */
    AE_OP_GRU = 26,
    AE_OP_LSTM = 27, /* long short-term memory, likewise */
    /* the last row; with a second input, a mask of one channel, the last one above 1/2 (none:
     * zeros) */
    AE_OP_LAST = 28,
    /* the only row, `height` times, or as often as the second input has rows */
    AE_OP_REPEAT_TIME = 29,
    AE_OP_FLIP = 30,    /* the rows in reverse */
    AE_OP_SOFTMAX = 31, /* over the channels of each pixel; no activation */
    AE_OP_NOISE = 32,   /* plus normal draws of deviation `value`, off at inference */
    /* the same; its gradient is turned round, times `value` (Ganin et al. 2016) */
    AE_OP_REVERSE = 33,
    /* (x - mean) / deviation of each channel, statistics that are given, not learned; at first 0, 1
     */
    AE_OP_NORMALISE = 34,
    AE_OP_DENORMALISE = 35, /* back; shares them with the NORMALISE of the same `param` */
    /* row x (one channel, rounded, clamped) of a learned table of `factor` rows, at each pixel */
    AE_OP_GATHER = 36,
    AE_OP_UNIT = 37,   /* the channels of each pixel over their Euclidean length */
    AE_OP_SHIFT = 38,  /* each row in the place of the next one; zeros come first */
    AE_OP_ARGMAX = 39, /* the number of the largest channel of each pixel; passes no gradient */
} ae_op;

typedef enum ae_act {
    AE_ACT_NONE = 0,
    AE_ACT_RELU = 1,
    AE_ACT_LEAKY = 2, /* slope `slope` below zero */
    AE_ACT_SIGMOID = 3,
    AE_ACT_TANH = 4,
    AE_ACT_SOFTPLUS = 5,
    AE_ACT_SILU = 6,
    AE_ACT_GELU = 7,    /* exact, with erf */
    AE_ACT_CLIP = 8,    /* min(max(x, 0), 1); a bias before it begins at 1/2 */
    AE_ACT_SOFTSIGN = 9 /* x / (1 + |x|) */
} ae_act;

typedef enum ae_init {
    AE_INIT_HE = 0, /* normal, variance 2 / fan-in (1 / fan-in where no rectifier follows) */
    AE_INIT_ZERO = 1,
    AE_INIT_IDENTITY = 2, /* convolution: a centred unit tap from channel i to channel i */
    /* convolution with kernel = stride: the cosine transform of blocks (doc/codec.md); embed: plus
     * log2 of the sizes of its components from `first` on */
    AE_INIT_DCT = 3,
    AE_INIT_DCT_INVERSE = 4, /* 1 x 1 convolution before a shuffle: back */
    AE_INIT_XAVIER = 5,      /* normal, variance 2 / (fan-in + fan-out) (Glorot and Bengio 2010) */
    /* rows or columns of the matrix of outputs (gates apart) by the rest orthonormal, times sqrt 2
     * before a rectifier (Saxe et al. 2014) */
    AE_INIT_ORTHOGONAL = 6
} ae_init;

/* Which positions of a node count, by (row + column) mod 2. */
typedef enum ae_parity { AE_PARITY_ALL = 0, AE_PARITY_EVEN = 1, AE_PARITY_ODD = 2 } ae_parity;

/* One node: out = act(op(in...) + add). Every node may have an activation; conv, deconv and dense
 * have a bias unless told otherwise and may add the output of another node of the same shape before
 * the activation (the residual sum, fused). */
typedef struct ae_node {
    char name[AE_NAME_MAX]; /* unique in the graph */
    /* tensors are named PARAM.weight, PARAM.bias, ...; nodes naming the same one share them */
    char param[AE_NAME_MAX];
    ae_op op;
    uint32_t n_from;
    uint32_t from[AE_MAX_FROM]; /* earlier nodes */
    int32_t add;                /* earlier node or -1 */
    ae_act act;
    float slope;
    uint32_t out;       /* output channels; derived where the op decides them */
    uint32_t kernel[2]; /* height, width */
    uint32_t stride[2];
    uint32_t dilation[2]; /* 1: dense */
    uint32_t pad[2]; /* on both sides; recipes default to "same": dilation * (kernel - 1) / 2 */
    /* height is time: pad[0] rows come before the first and none after the last; DECONV: pad[0]
     * rows are * cut off the end and none off the beginning */
    bool causal;
    uint32_t groups; /* groups == channels: depthwise */
    uint32_t factor;
    uint32_t first;
    uint32_t height, width; /* INPUT: 0 where free; RESHAPE: the target; REPEAT_TIME: how often */
    float value;
    bool bias;
    /* DENSE, DECONV: the weight is that of the DENSE, the CONV above with the same `param`, read
     * the * other way; the bias is one's own, NAME.bias */
    bool transposed;
    ae_init init;
    ae_parity parity; /* QUANTISE, BITS */
} ae_node;

typedef struct ae_graph {
    ae_node *nodes;
    uint32_t n_nodes;
    uint32_t n_outputs;
    uint32_t outputs[AE_MAX_FROM]; /* node indices */
    /* filled by ae_graph_check, read through ae_graph_field and ae_graph_macs */
    uint32_t stride, field;
    uint32_t before[2], after[2];
    double macs;
} ae_graph;

typedef struct ae_shape {
    uint32_t n, h, w, c;
} ae_shape;

AE_API const char *ae_op_name(ae_op op);    /* "conv", as in recipes; "?" for unknown values */
AE_API const char *ae_act_name(ae_act act); /* "relu"; "none" */

/* Checks the whole graph (references, channels, kernels, no free height under a dense layer ...)
 * and fills what is derived: `out` where the op decides it or it is 0 under a convolution (as many
 * as the input), `param` where it is empty (the name), groups, stride and dilation where 0 (1;
 * pooling: the kernel). Errors name the node. Must succeed before any call below. */
AE_API AE_NODISCARD ae_status ae_graph_check(ae_graph *graph, ae_error *err);
/* Shapes of all nodes for inputs of n pictures of h x w (inputs with a fixed size keep theirs).
 * shapes: n_nodes entries. */
AE_API AE_NODISCARD ae_status ae_graph_shapes(const ae_graph *graph, uint32_t n, uint32_t h,
                                              uint32_t w, ae_shape *shapes, ae_error *err);
AE_API int32_t ae_graph_find(const ae_graph *graph, const char *name); /* -1: no such node */
AE_API void ae_graph_free(ae_graph *graph); /* frees the nodes, zeroes *graph */

/* Heights and widths must be multiples of *stride. A block of pixels whose edges lie on multiples
 * of *stride depends on input pixels at most *field outside it in either direction (exact one-sided
 * receptive field, rounded up to a multiple of *stride): what a tile needs as its halo. Both 0
 * where the size is fixed. */
AE_API void ae_graph_field(const ae_graph *graph, uint32_t *stride, uint32_t *field);
/* The same exactly, side by side: rows above and columns left of such a block, before[0] and
 * before[1], and below and right of it. Where nothing looks ahead in time after[0] is 0;
 * UINT32_MAX: without end (recurrent layers; LAST, FLIP). */
AE_API void ae_graph_reach(const ae_graph *graph, uint32_t before[2], uint32_t after[2]);
/* Multiply-accumulates of all layers with weights, per pixel of the first input (for fixed sizes:
 * per item). */
AE_API double ae_graph_macs(const ae_graph *graph, bool *per_item);

/* The parameters, in one flat f32 array in the order listed here: node by node at their first use,
 * weight (factors of a norm or a scale too), recurrent, bias, then mean and variance of a
 * batchnorm. */
typedef struct ae_param {
    char name[AE_NAME_MAX + 16]; /* "top.weight" */
    uint32_t node;               /* the first node that uses it */
    uint32_t n_dims;
    /* conv O,I/groups,KH,KW; deconv I,O/groups,KH,KW; dense O,I; embed rows,O; others C; gru * and
     * lstm weight GO,I, recurrent GO,O, bias 4O, of G = 3 or 4 gates */
    uint32_t dims[4];
    size_t offset, count; /* in floats */
    bool trainable;       /* false: running mean and variance */
    bool decay;           /* weights, which weight penalties act on */
} ae_param;
/* *params is an ae_alloc array owned by the caller. */
AE_API AE_NODISCARD ae_status ae_graph_params(const ae_graph *graph, ae_param **params,
                                              uint32_t *n_params, size_t *n_floats, ae_error *err);
/* Initial values, the same for the same seed on every machine. */
AE_API AE_NODISCARD ae_status ae_graph_init(const ae_graph *graph, uint64_t seed, float *values,
                                            ae_error *err);

#ifdef __cplusplus
}
#endif
#endif
