/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Activations: their definitions in double, and what is known of each. */
#include "nn/acts.h"

#include <dnnl.h>
#include <math.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Standard normal distribution and density. */
static double normal_cdf(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

static double normal_pdf(double x)
{
    return 0.39894228040143267794 * exp(-0.5 * x * x);
}

static double leaky(double x, double slope)
{
    return x > 0 ? x : x * slope;
}

static double leaky_derivative(double x, double slope)
{
    return x > 0 ? 1 : slope;
}

static double relu(double x, double slope)
{
    (void)slope;
    return x > 0 ? x : 0;
}

static double relu_derivative(double x, double slope)
{
    (void)slope;
    return x > 0 ? 1 : 0;
}

static double logistic(double x, double slope)
{
    (void)slope;
    return sigmoid(x);
}

static double logistic_derivative(double x, double slope)
{
    double s = sigmoid(x);

    (void)slope;
    return s * (1 - s);
}

static double hyperbolic(double x, double slope)
{
    (void)slope;
    return tanh(x);
}

static double hyperbolic_derivative(double x, double slope)
{
    double t = tanh(x);

    (void)slope;
    return 1 - t * t;
}

static float hyperbolic_by_value(float y)
{
    return 1 - y * y;
}

static double softplus(double x, double slope)
{
    (void)slope;
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static float softplus_by_value(float y)
{
    return -expm1f(-y);
}

static double silu(double x, double slope)
{
    (void)slope;
    return x * sigmoid(x);
}

static double silu_derivative(double x, double slope)
{
    double s = sigmoid(x);

    (void)slope;
    return s + x * s * (1 - s);
}

static double gelu(double x, double slope)
{
    (void)slope;
    return x * normal_cdf(x);
}

static double gelu_derivative(double x, double slope)
{
    (void)slope;
    return normal_cdf(x) + x * normal_pdf(x);
}

static double clip(double x, double slope)
{
    (void)slope;
    return fmin(fmax(x, 0), 1);
}

static double clip_derivative(double x, double slope)
{
    (void)slope;
    return x > 0 && x < 1 ? 1 : 0;
}

static double softsign(double x, double slope)
{
    (void)slope;
    return x / (1 + fabs(x));
}

static double softsign_derivative(double x, double slope)
{
    (void)slope;
    return 1 / ((1 + fabs(x)) * (1 + fabs(x)));
}

#define NOWHERE                                                                                    \
    {                                                                                              \
        NAN, NAN                                                                                   \
    }

static const aei_act_info table[] = {
    [AE_ACT_NONE] = {"none", .kinks = NOWHERE},
    [AE_ACT_RELU] = {"relu", relu, relu_derivative, .kind = dnnl_eltwise_relu,
                     .from = AEI_FROM_SIGN, .rectifier = true},
    [AE_ACT_LEAKY] = {"leaky", leaky, leaky_derivative, .kind = dnnl_eltwise_relu,
                      .takes_slope = true, .from = AEI_FROM_SIGN, .rectifier = true},
    [AE_ACT_SIGMOID] = {"sigmoid", logistic, logistic_derivative, .kind = dnnl_eltwise_logistic,
                        .from = AEI_FROM_SIGMOID, .kinks = NOWHERE},
    [AE_ACT_TANH] = {"tanh", hyperbolic, hyperbolic_derivative, .kind = dnnl_eltwise_tanh,
                     .from = AEI_FROM_VALUE, .by_value = hyperbolic_by_value, .kinks = NOWHERE},
    [AE_ACT_SOFTPLUS] = {"softplus", softplus, logistic, .kind = dnnl_eltwise_soft_relu, .alpha = 1,
                         .from = AEI_FROM_VALUE, .by_value = softplus_by_value, .kinks = NOWHERE},
    [AE_ACT_SILU] = {"silu", silu, silu_derivative, .kind = dnnl_eltwise_swish, .alpha = 1,
                     .rectifier = true, .kinks = NOWHERE},
    [AE_ACT_GELU] = {"gelu", gelu, gelu_derivative, .kind = dnnl_eltwise_gelu_erf,
                     .rectifier = true, .kinks = NOWHERE},
    [AE_ACT_CLIP] = {"clip", clip, clip_derivative, .kind = dnnl_eltwise_clip_v2, .beta = 1,
                     .from = AEI_FROM_RANGE, .kinks = {0, 1}},
    [AE_ACT_SOFTSIGN] = {"softsign", softsign, softsign_derivative, .kinks = NOWHERE},
};

const aei_act_info *aei_act_info_of(ae_act act)
{
    return (size_t)act < sizeof(table) / sizeof(*table) && table[act].name ? &table[act] : NULL;
}

const char *ae_act_name(ae_act act)
{
    const aei_act_info *info = aei_act_info_of(act);

    return info ? info->name : "?";
}

bool aei_act_keeps_input(ae_act act, float slope)
{
    const aei_act_info *info = aei_act_info_of(act);

    return info && info->value &&
           (info->from == AEI_FROM_INPUT || (info->takes_slope && slope < 0));
}
