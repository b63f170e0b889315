/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is known of every activation. A new one is a number in ae/graph.h and a row in acts.c:
 * everything else follows from that, where oneDNN does not know it by computing its definition.
 * PyTorch's twin is the function of its name in torch.nn.functional. */
#ifndef AEI_ACTS_H
#define AEI_ACTS_H

#include "ae/graph.h"

/* What the derivative is computed from. */
typedef enum aei_act_from {
    AEI_FROM_INPUT,   /* what the activation was given, which training keeps */
    AEI_FROM_SIGN,    /* the sign of its value: 1 or `slope`, for slopes that keep the sign */
    AEI_FROM_SIGMOID, /* value * (1 - value) */
    AEI_FROM_RANGE,   /* 1 where its value lies between 0 and 1, else 0 */
    AEI_FROM_VALUE    /* its value, by `by_value` */
} aei_act_from;

typedef struct aei_act_info {
    const char *name; /* in recipes */
    /* the definition; NULL: identity */
    double (*value)(double x, double slope), (*derivative)(double x, double slope);
    int kind;          /* oneDNN's, a dnnl_alg_kind_t; 0: it has none */
    float alpha, beta; /* its parameters, where the first is not the node's `slope` */
    bool takes_slope;
    aei_act_from from;
    float (*by_value)(float y);
    bool rectifier;  /* half of what comes is suppressed: weights before it begin larger */
    double kinks[2]; /* where the derivative jumps, both the same if at one place; NAN: nowhere */
} aei_act_info;

/* NULL: there is no such activation. */
const aei_act_info *aei_act_info_of(ae_act act);
/* Whether training must keep what this activation is given. */
bool aei_act_keeps_input(ae_act act, float slope);

#endif
