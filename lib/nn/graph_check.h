/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_GRAPH_CHECK_H
#define AEI_GRAPH_CHECK_H

#include "nn/ops.h"

enum { AEI_MAX_KERNEL = 1 << 10, AEI_MAX_EDGE = 1 << 24 };

/* Rows or columns of padding (DECONV: cut off) on either side of a window's axis. */
static inline uint32_t aei_pad_before(const ae_node *n, int axis)
{
    return n->causal && !axis && n->op == AE_OP_DECONV ? 0 : n->pad[axis];
}

static inline uint32_t aei_pad_after(const ae_node *n, int axis)
{
    return n->causal && !axis && n->op != AE_OP_DECONV ? 0 : n->pad[axis];
}

/* ae_graph_check; on failure *node is the node at fault, -1 if none in particular. */
ae_status aei_graph_check(ae_graph *graph, int32_t *node, ae_error *err);
/* Shapes as ae_graph_shapes gives them, but h, w = 0 stand for "any": what follows from them is 0
 * in the result too. */
ae_status aei_graph_infer(const ae_graph *graph, uint32_t n, uint32_t h, uint32_t w,
                          ae_shape *shapes, int32_t *node, ae_error *err);
/* The operator that owns parameters of a node's kind: nodes of one kind may share them. */
ae_op aei_params_kind(const ae_node *n);
/* The tensors of one node, without offsets; returns how many (at most 4). in: shape of its first
 * input. */
uint32_t aei_node_params(const ae_graph *graph, uint32_t node, ae_shape in, ae_param params[4]);
/* 3 or 1: colour planes of a block of so many samples whose planes are square; 0: no such block, or
 * n above 64. */
uint32_t aei_dct_planes(uint32_t samples);
/* The first convolution above a node that begins as the cosine transform; -1: none. */
int32_t aei_dct_above(const ae_graph *graph, uint32_t node);

#endif
