/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is known of every kind of term: one row each, which the reader of recipes, training and the
 * tests read, and PyTorch's twin too (models/torch/recipe.py). A loss of single samples is defined
 * by its row alone: beside it are a number (ae/recipe.h), a line in models/torch/objective.py and
 * one in doc/recipe.md. Others are computed in train/loss.c and bound in train/objective.c. */
#ifndef AEI_LOSSES_H
#define AEI_LOSSES_H

#include "ae/recipe.h"
#include "core/fastmath.h"

#include <math.h>

enum {
    AEI_COMPARES = 1 << 0, /* values with others, sample by sample: knows `to` */
    AEI_SAMPLES = 1 << 1,  /* each sample for itself: knows `mask` and `over`, too */
    AEI_OF_LAYER = 1 << 2, /* what a layer does, held against nothing */
    AEI_OF_OUTPUT = 1 << 3 /* the network's output and nothing else */
};

/* Cross-entropy of probability p, kept off 0 and 1; NaN stays NaN. */
static inline float aei_bce_probability(float p)
{
    float low = p < 1e-6f ? 1e-6f : p;

    return low > 1 - 1e-6f ? 1 - 1e-6f : low;
}

static inline float aei_bce(float p, float t)
{
    float q = aei_bce_probability(p), e = -(t * aei_log(q) + (1 - t) * aei_log(1 - q));

    return q == q ? e : q;
}

static inline float aei_bce_slope(float p, float t)
{
    float q = aei_bce_probability(p);

    return (q - t) / (q * (1 - q));
}

/* X(number, name, traits). */
/* clang-format off */
#define AEI_LOSSES(X) \
    X(TV, tv, 0) \
    X(PERCEPTUAL, perceptual, AEI_OF_OUTPUT) \
    X(RATE_DISTORTION, rate_distortion, AEI_OF_OUTPUT) \
    X(LUMA, luma, AEI_COMPARES) \
    X(PSNR, psnr, AEI_COMPARES) \
    X(CROSS_ENTROPY, cross_entropy, AEI_COMPARES | AEI_SAMPLES) \
    X(KL_SPARSE, kl_sparse, AEI_OF_LAYER) \
    X(KL_NORMAL, kl_normal, AEI_OF_LAYER) \
    X(JACOBIAN, jacobian, AEI_OF_LAYER) \
    X(ADVERSARY, adversary, AEI_OF_LAYER)
/* clang-format on */

/* X(number, name, value, derivative by the prediction): of prediction p and target t, d being p -
 * t. They compare, sample by sample, and are computed in vectors: no branches, and of functions
 * only those that vectorise. */
/* clang-format off */
#define AEI_SAMPLE_LOSSES(X) \
    X(MSE, mse, d * d, 2 * d) \
    X(L1, l1, fabsf(d), (float)(d > 0) - (float)(d < 0)) \
    X(CHARBONNIER, charbonnier, sqrtf(d * d + 1e-6f), d / sqrtf(d * d + 1e-6f)) \
    X(BCE, bce, aei_bce(p, t), aei_bce_slope(p, t)) \
    X(HUBER, huber, fabsf(d) <= 1 ? 0.5f * d * d : fabsf(d) - 0.5f, d > 1 ? 1 : d < -1 ? -1 : d)
/* clang-format on */

/* 0: there is no such loss, or it has none. */
static inline uint32_t aei_loss_traits(ae_loss_kind kind)
{
/* clang-format off */
#define OTHER(number, name, traits) \
    case AE_LOSS_##number: return traits;
/* clang-format on */
/* clang-format off */
#define SAMPLE(number, name, value, slope) \
    case AE_LOSS_##number: return AEI_COMPARES | AEI_SAMPLES;
    /* clang-format on */
    switch (kind) {
        AEI_SAMPLE_LOSSES(SAMPLE)
        AEI_LOSSES(OTHER)
    }
#undef OTHER
#undef SAMPLE
    return 0;
}

#endif
