/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is known of every operator: one row each, which checker, describer, recipe reader, planner
 * and reference read. Beside its row an operator has a number (ae/graph.h), a way to be run
 * (op_*.c), a definition (reference_ops.c) and a twin in PyTorch. */
#ifndef AEI_OPS_H
#define AEI_OPS_H

#include "ae/graph.h"

enum { AEI_MAX_CHANNELS = 1 << 16 };

/* What recipes say of a layer. */
typedef enum aei_key {
    AEI_KEY_OP,
    AEI_KEY_NAME,
    AEI_KEY_FROM,
    AEI_KEY_PARAM,
    AEI_KEY_ACT,
    AEI_KEY_SLOPE,
    AEI_KEY_ADD,
    AEI_KEY_REPEAT,
    AEI_KEY_OUT,
    AEI_KEY_KERNEL,
    AEI_KEY_STRIDE,
    AEI_KEY_DILATION,
    AEI_KEY_PAD,
    AEI_KEY_GROUPS,
    AEI_KEY_FACTOR,
    AEI_KEY_FIRST,
    AEI_KEY_HEIGHT,
    AEI_KEY_WIDTH,
    AEI_KEY_CHANNELS,
    AEI_KEY_VALUE,
    AEI_KEY_BIAS,
    AEI_KEY_INIT,
    AEI_KEY_PARITY,
    AEI_KEY_GATE,
    AEI_KEY_GATE_ACT,
    AEI_KEY_TRANSPOSE,
    AEI_N_KEYS
} aei_key;

#define AEI_BIT(key) (UINT64_C(1) << AEI_KEY_##key)
/* Sets of keys: what all layers take; what those with a window do; what those with weights do. */
#define AEI_ALL_TAKE                                                                               \
    (AEI_BIT(OP) | AEI_BIT(NAME) | AEI_BIT(FROM) | AEI_BIT(ACT) | AEI_BIT(SLOPE) | AEI_BIT(REPEAT))
#define AEI_WINDOW (AEI_BIT(KERNEL) | AEI_BIT(STRIDE) | AEI_BIT(PAD))
#define AEI_WEIGHTS (AEI_BIT(PARAM) | AEI_BIT(ADD) | AEI_BIT(OUT) | AEI_BIT(BIAS) | AEI_BIT(INIT))
#define AEI_CELL (AEI_BIT(PARAM) | AEI_BIT(OUT) | AEI_BIT(BIAS) | AEI_BIT(INIT))

enum {
    /* dense or convolution: a matrix, a bias, and what is added before the activation */
    AEI_LAYER = 1 << 0,
    AEI_RECURRENT = 1 << 1, /* matrices, too */
    AEI_MATRIX = AEI_LAYER | AEI_RECURRENT,
    AEI_ELEMENTWISE = 1 << 2, /* inputs and output have the same stored channels ... */
    AEI_FIRST_ALONE = 1 << 3, /* ... the first input, that is: the others lend a mask or a height */
    AEI_NO_ACT = 1 << 4,      /* takes no activation */
    AEI_ALL_BEFORE = 1 << 5,  /* a row depends on all rows before it */
    AEI_ALL_AFTER = 1 << 6,   /* and on all after it */
    /* looks at other rows, or at all there is, and keeps nothing: not computed in time */
    AEI_LOOKS_AHEAD = 1 << 7,
    AEI_ANY_TYPE = 1 << 8,     /* in a plan of bf16 its inputs may be f32, each for itself */
    AEI_SPREAD = 1 << 9,       /* inputs behind the first that are 1 x 1 are broadcast */
    AEI_SPREAD_FIRST = 1 << 10 /* the first, too */
};

typedef struct aei_op_info {
    const char *name;      /* in recipes */
    uint8_t from[2];       /* the fewest and the most nodes that it reads */
    uint64_t takes, needs; /* keys beside those that all take */
    uint32_t traits;
    uint32_t factor[2]; /* the least and greatest `factor`; 0, 0: it has none */
    float value;        /* `value` where a recipe gives none */
    /* its tensors in the order of ae_graph_params; a bias where the node has one, if it takes that
     */
    const char *params[4];
    uint8_t n_trained; /* so many of them; the others are statistics */
} aei_op_info;

/* clang-format off */
#define AEI_OPS(X) \
    X(INPUT, input, .from = {0, 0}) \
    X(DENSE, dense, .from = {1, 1}, .takes = AEI_WEIGHTS | AEI_BIT(TRANSPOSE), \
      .needs = AEI_BIT(OUT), .traits = AEI_LAYER, .params = {"weight", "bias"}, .n_trained = 2) \
    X(CONV, conv, .from = {1, 1}, \
      .takes = AEI_WEIGHTS | AEI_WINDOW | AEI_BIT(DILATION) | AEI_BIT(GROUPS) | AEI_BIT(GATE) | \
      AEI_BIT(GATE_ACT), .traits = AEI_LAYER, .params = {"weight", "bias"}, .n_trained = 2) \
    X(DECONV, deconv, .from = {1, 1}, \
      .takes = AEI_WEIGHTS | AEI_WINDOW | AEI_BIT(GROUPS) | AEI_BIT(TRANSPOSE), \
      .needs = AEI_BIT(OUT), .traits = AEI_LAYER, .params = {"weight", "bias"}, .n_trained = 2) \
    X(MAXPOOL, maxpool, .from = {1, 1}, .takes = AEI_WINDOW, .traits = AEI_ELEMENTWISE) \
    X(AVGPOOL, avgpool, .from = {1, 1}, .takes = AEI_WINDOW, .traits = AEI_ELEMENTWISE) \
    X(NEAREST, nearest, .from = {1, 1}, .takes = AEI_BIT(FACTOR), .traits = AEI_ELEMENTWISE, \
      .factor = {1, 64}) \
    X(BILINEAR, bilinear, .from = {1, 1}, .takes = AEI_BIT(FACTOR), \
      .traits = AEI_ELEMENTWISE | AEI_LOOKS_AHEAD, .factor = {1, 64}) \
    X(SHUFFLE, shuffle, .from = {1, 1}, .takes = AEI_BIT(FACTOR), .factor = {1, 64}) \
    X(UNSHUFFLE, unshuffle, .from = {1, 1}, .takes = AEI_BIT(FACTOR), .factor = {1, 64}) \
    X(CONCAT, concat, .from = {2, AE_MAX_FROM}, .needs = AEI_BIT(FROM)) \
    X(ADD, add, .from = {2, AE_MAX_FROM}, .needs = AEI_BIT(FROM), \
      .traits = AEI_ELEMENTWISE | AEI_SPREAD | AEI_SPREAD_FIRST) \
    X(MUL, mul, .from = {2, 2}, .takes = AEI_BIT(ADD), .needs = AEI_BIT(FROM), \
      .traits = AEI_ELEMENTWISE | AEI_SPREAD | AEI_SPREAD_FIRST) \
    X(SCALE, scale, .from = {1, 1}, .takes = AEI_BIT(VALUE) | AEI_BIT(PARAM), \
      .traits = AEI_ELEMENTWISE, .value = 1, .params = {"weight"}, .n_trained = 1) \
    X(BATCHNORM, batchnorm, .from = {1, 1}, .takes = AEI_BIT(PARAM), .traits = AEI_ELEMENTWISE, \
      .params = {"weight", "bias", "mean", "variance"}, .n_trained = 2) \
    X(LAYERNORM, layernorm, .from = {1, 1}, .takes = AEI_BIT(PARAM), .traits = AEI_ELEMENTWISE, \
      .params = {"weight", "bias"}, .n_trained = 2) \
    X(DROPOUT, dropout, .from = {1, 1}, .takes = AEI_BIT(VALUE), .traits = AEI_ELEMENTWISE, \
      .value = 0.5f) \
    X(ACT, act, .from = {1, 1}, .needs = AEI_BIT(ACT), .traits = AEI_ELEMENTWISE) \
    X(RESHAPE, reshape, .from = {1, 1}, .takes = AEI_BIT(HEIGHT), \
      .needs = AEI_BIT(WIDTH) | AEI_BIT(CHANNELS)) \
    X(GAUSSIAN, gaussian, .from = {2, 2}, .needs = AEI_BIT(FROM), .traits = AEI_ELEMENTWISE) \
    X(ROUND, round, .from = {1, 1}, .traits = AEI_ELEMENTWISE) \
    X(CROP, crop, .from = {1, 1}, .takes = AEI_BIT(FIRST), .needs = AEI_BIT(OUT)) \
    X(EMBED, embed, .from = {1, 1}, \
      .takes = AEI_BIT(VALUE) | AEI_BIT(PARAM) | AEI_BIT(FIRST) | AEI_BIT(INIT), \
      .needs = AEI_BIT(OUT) | AEI_BIT(FACTOR), .traits = AEI_NO_ACT | AEI_ANY_TYPE, \
      .factor = {2, 64}, .params = {"weight"}, .n_trained = 1) \
    X(QUANTISE, quantise, .from = {3, 3}, .takes = AEI_BIT(PARITY), .needs = AEI_BIT(FROM), \
      .traits = AEI_ELEMENTWISE | AEI_NO_ACT | AEI_ANY_TYPE | AEI_SPREAD) \
    X(BITS, bits, .from = {4, 4}, .takes = AEI_BIT(PARITY), .needs = AEI_BIT(FROM), \
      .traits = AEI_ELEMENTWISE | AEI_NO_ACT | AEI_ANY_TYPE | AEI_SPREAD) \
    X(GRU, gru, .from = {1, 1}, .takes = AEI_CELL, .needs = AEI_BIT(OUT), \
      .traits = AEI_RECURRENT | AEI_ALL_BEFORE, .params = {"weight", "recurrent", "bias"}, \
      .n_trained = 3) \
    X(LSTM, lstm, .from = {1, 1}, .takes = AEI_CELL, .needs = AEI_BIT(OUT), \
      .traits = AEI_RECURRENT | AEI_ALL_BEFORE, .params = {"weight", "recurrent", "bias"}, \
      .n_trained = 3) \
    X(LAST, last, .from = {1, 2}, \
      .traits = AEI_ELEMENTWISE | AEI_FIRST_ALONE | AEI_ALL_BEFORE | AEI_ALL_AFTER | \
      AEI_LOOKS_AHEAD) \
    X(REPEAT_TIME, repeat_time, .from = {1, 2}, .takes = AEI_BIT(HEIGHT), \
      .traits = AEI_ELEMENTWISE | AEI_FIRST_ALONE | AEI_LOOKS_AHEAD) \
    X(FLIP, flip, .from = {1, 1}, \
      .traits = AEI_ELEMENTWISE | AEI_ALL_BEFORE | AEI_ALL_AFTER | AEI_LOOKS_AHEAD) \
    X(SOFTMAX, softmax, .from = {1, 1}, .traits = AEI_ELEMENTWISE | AEI_NO_ACT) \
    X(NOISE, noise, .from = {1, 1}, .needs = AEI_BIT(VALUE), .traits = AEI_ELEMENTWISE) \
    X(REVERSE, reverse, .from = {1, 1}, .takes = AEI_BIT(VALUE), .traits = AEI_ELEMENTWISE, \
      .value = 1) \
    X(NORMALISE, normalise, .from = {1, 1}, .takes = AEI_BIT(PARAM), .traits = AEI_ELEMENTWISE, \
      .params = {"mean", "variance"}) \
    X(DENORMALISE, denormalise, .from = {1, 1}, .takes = AEI_BIT(PARAM), \
      .traits = AEI_ELEMENTWISE, .params = {"mean", "variance"}) \
    X(GATHER, gather, .from = {1, 1}, .takes = AEI_BIT(PARAM), \
      .needs = AEI_BIT(OUT) | AEI_BIT(FACTOR), .traits = AEI_ANY_TYPE, \
      .factor = {1, AEI_MAX_CHANNELS}, .params = {"weight"}, .n_trained = 1) \
    X(UNIT, unit, .from = {1, 1}, .traits = AEI_ELEMENTWISE) \
    X(SHIFT, shift, .from = {1, 1}, .traits = AEI_ELEMENTWISE | AEI_LOOKS_AHEAD) \
    X(ARGMAX, argmax, .from = {1, 1}, .traits = AEI_NO_ACT)
/* clang-format on */

/* NULL: there is no such operator. */
const aei_op_info *aei_op_info_of(ae_op op);

static inline bool aei_op_is(ae_op op, uint32_t traits)
{
    const aei_op_info *info = aei_op_info_of(op);

    return info && (info->traits & traits);
}

/* Whether recipes may give an operator this key (AEI_BIT). */
static inline bool aei_op_takes(ae_op op, uint64_t key)
{
    const aei_op_info *info = aei_op_info_of(op);

    return info && ((info->takes | info->needs) & key);
}

static inline bool aei_has_window(ae_op op)
{
    return aei_op_takes(op, AEI_BIT(KERNEL));
}

#endif
