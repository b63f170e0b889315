/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is known of every optimiser: one row each, which the reader of recipes, training and the
 * tests read, and PyTorch's twin too (models/torch/recipe.py). Beside its row and its update it has
 * a number (ae/recipe.h), a line in models/torch/trainer.py and one in doc/recipe.md. */
#ifndef AEI_OPTIMIZERS_H
#define AEI_OPTIMIZERS_H

#include "ae/recipe.h"

#include <math.h>

/* Constants of one update, the same for all parameters. */
typedef struct aei_update {
    ae_optimizer kind;
    float rate, scale; /* of the gradient (clipping) */
    float beta1, beta2, unbias1, unbias2;
    float decay;   /* applied where aei_apply is told so */
    float average; /* the share of the new value in the moving average; 1: no averaging */
} aei_update;

/* One step along moments m and v; `decay` shrinks the value itself. */
static inline float aei_update_adamw(const aei_update *u, float decay, float g, float w, float *m,
                                     float *v)
{
    *m = u->beta1 * *m + (1 - u->beta1) * g;
    *v = u->beta2 * *v + (1 - u->beta2) * g * g;
    return w - u->rate * (*m * u->unbias1 / (sqrtf(*v * u->unbias2) + 1e-8f) + decay * w);
}

/* Here it is a gradient. */
static inline float aei_update_adam(const aei_update *u, float decay, float g, float w, float *m,
                                    float *v)
{
    return aei_update_adamw(u, 0, g + decay * w, w, m, v);
}

static inline float aei_update_sgd(const aei_update *u, float decay, float g, float w, float *m,
                                   float *v)
{
    (void)v;
    *m = u->beta1 * *m + g + decay * w;
    return w - u->rate * *m;
}

/* Only the sign of the moment counts, mixed with the gradient that comes (Chen et al. 2023). */
static inline float aei_update_lion(const aei_update *u, float decay, float g, float w, float *m,
                                    float *v)
{
    float mixed = u->beta1 * *m + (1 - u->beta1) * g;

    (void)v;
    *m = u->beta2 * *m + (1 - u->beta2) * g;
    return w - u->rate * ((float)(mixed > 0) - (float)(mixed < 0) + decay * w);
}

/* X(number, name, moments that it keeps, update of one value w from its gradient g). muon: of what
 * is no matrix (train/muon.h). */
/* clang-format off */
#define AEI_OPTIMIZERS(X) \
    X(ADAMW, adamw, 2, aei_update_adamw) \
    X(ADAM, adam, 2, aei_update_adam) \
    X(SGD, sgd, 1, aei_update_sgd) \
    X(MUON, muon, 2, aei_update_adamw) \
    X(LION, lion, 1, aei_update_lion)
/* clang-format on */

#endif
