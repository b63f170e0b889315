/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Losses between pictures and penalties on activations. Every call returns its share of the batch's loss and adds its gradient, so
 * that the shards of a batch sum to the mean over the batch. */
#ifndef AEI_LOSS_H
#define AEI_LOSS_H

#include "ae/recipe.h"

/* One shard. */
typedef struct aei_loss_view {
    ae_shape shape;
    const float *value, *target; /* N x H x W x C */
    const float *weight;         /* N x H x W, or NULL: all 1 */
    double total;                /* sum of the pixel weights of the whole batch */
    double share;                /* the shard's share of the batch */
    float *gradient;             /* by value, added to */
} aei_loss_view;

/* All kinds but AE_LOSS_PERCEPTUAL. Weighted mean over the batch's pixels, mean over channels; AE_LOSS_TV: mean of the absolute
 * horizontal and vertical differences, whatever the pixels' weights. */
double aei_loss_add(ae_loss_kind kind, double weight, const aei_loss_view *view);

/* L1 and L2: mean over all activations. KL_SPARSE: sum over channels of the divergence of the
 * channel's mean over the shard from `target`. */
double aei_penalty_add(const ae_penalty *penalty, double share, ae_shape shape, const float *value, float *gradient);

/* Sum of x in an order that does not depend on how the compiler vectorises. */
double aei_sum(const float *x, size_t n);
double aei_sum_squares(const float *x, size_t n);

/* Weighted mean over pixels and channels of the squared difference after clipping to [0, 1], of all of the shard. */
double aei_clipped_error(const aei_loss_view *view);

#endif
