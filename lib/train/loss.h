/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Losses between samples and penalties on activations. Every call returns its share of the batch's
 * loss and adds its gradient, so that the shards of a batch sum to the mean over the batch. */
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
    bool fresh; /* there is none yet: losses of single samples, which come first, write it */
} aei_loss_view;

/* All kinds but AE_LOSS_PERCEPTUAL. Weighted mean over the batch's pixels, mean over channels;
 * AE_LOSS_TV: mean of the absolute horizontal and vertical differences, whatever the pixels'
 * weights. */
bool aei_loss_is_of_samples(ae_loss_kind kind);
double aei_loss_add(ae_loss_kind kind, double weight, const aei_loss_view *view);

/* What the other outputs of a codec say, of one shard. */
typedef struct aei_rate_view {
    uint32_t n;
    ae_shape shape[AE_MAX_FROM];
    const float *bits[AE_MAX_FROM];
    float *gradient[AE_MAX_FROM]; /* added to */
    const float *quality;         /* of each sample */
} aei_rate_view;
/* AE_LOSS_RATE_DISTORTION: mean over the samples of the batch; *bpp: the shard's share of the mean
 * bits a pixel. */
double aei_rate_distortion(const ae_term *loss, const aei_loss_view *view,
                           const aei_rate_view *rate, double *bpp);

/* KL_SPARSE: sum over channels of the divergence of the channel's mean over the shard from rho. */
double aei_kl_sparse_add(double weight, double rho, double share, ae_shape shape,
                         const float *value, float *gradient);

/* KL_NORMAL: summed over a sample, mean over the batch's samples. */
double aei_kl_normal_add(double weight, double share, ae_shape shape, const float *mean,
                         const float *logvar, float *by_mean, float *by_logvar);

/* ADVERSARY, n logits of codes and of draws each, mean over them. fool: cross-entropy of the codes
 * taken for draws; else that of codes and draws, each told for what it is, halved: log 2 where
 * nothing is known. */
double aei_adversary_add(double weight, double share, bool fool, size_t n, const float *code,
                         const float *draw, float *by_code, float *by_draw);

/* Cross-entropy of the classes that the labels of each pixel number, `each` a pixel, times its
 * weight, mean over the labels (view->total of the batch); negative: none. *hits: labels that are
 * the class of the largest logit. NaN where a label is beyond the classes. */
double aei_classes_add(double weight, const aei_loss_view *view, const float *label, size_t each,
                       double *hits);

/* Sum of x in an order that does not depend on how the compiler vectorises. */
double aei_sum(const float *x, size_t n);
double aei_sum_squares(const float *x, size_t n);

/* Weighted mean over pixels and channels of the squared difference after clipping to [0, 1], of all
 * of the shard. */
double aei_clipped_error(const aei_loss_view *view);
/* Of such an error, in dB, at most 100; NaN of NaN. */
double aei_decibels(double error);

#endif
