/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The contractive penalty (Rifai et al. 2011): the squared Frobenius norm of the Jacobian of a
 * dense layer by its input, summed over a sample, mean over samples. Exact: with f the derivative
 * of the activation it is the sum over units of f^2 |W_unit|^2. */
#ifndef AEI_CONTRACT_H
#define AEI_CONTRACT_H

#include "ae/recipe.h"

typedef struct aei_contraction aei_contraction;

/* params: of the graph. The node is a dense layer without activation or with sigmoid, tanh or relu;
 * else AE_ERR_MISMATCH. */
ae_status aei_contraction_create(const ae_graph *graph, const ae_param *params, uint32_t n_params,
                                 const char *node, uint32_t n_shards, aei_contraction **out,
                                 ae_error *err);
void aei_contraction_free(aei_contraction *c); /* NULL is fine */
/* Before the shards of a step: the parameters. */
void aei_contraction_begin(aei_contraction *c, double weight, const float *values);
/* One shard, `share` of the batch: its part of the loss; adds the gradient by the layer's values.
 * Shards may run at a time. */
double aei_contraction_add(aei_contraction *c, uint32_t shard, double share, ae_shape shape,
                           const float *value, float *gradient);
/* After all shards: adds the gradient by the layer's weight to the flat one. */
void aei_contraction_collect(const aei_contraction *c, const float *values, float *gradient);

#endif
