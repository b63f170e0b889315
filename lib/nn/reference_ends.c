/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The definition of the operators of op_ends.c, as reference_ops.c has those of the others. */
#include <math.h>

#include "nn/reference.h"

static void softmax(const aei_ref_node *v, bool backward)
{
    uint32_t c = v->out.c;

    for (size_t i = 0; i < aei_ref_count(v->out); i += c) {
        double sum = 0, mean = 0;

        for (uint32_t k = 0; k < c; k++)
            sum += exp(v->x[0][i + k]);
        for (uint32_t k = 0; k < c; k++)
            mean += backward ? exp(v->x[0][i + k]) / sum * v->dy[i + k] : 0;
        for (uint32_t k = 0; k < c; k++) {
            double y = exp(v->x[0][i + k]) / sum;

            if (backward)
                v->dx[0][i + k] += y * (v->dy[i + k] - mean);
            else
                v->y[i + k] = y;
        }
    }
}

void aei_ref_softmax_forward(const aei_ref_node *v)
{
    softmax(v, false);
}

void aei_ref_softmax_backward(const aei_ref_node *v)
{
    softmax(v, true);
}

/* y = x / |x| along the channels, |x|^2 = sum x^2 + 1e-12. */
static double length_at(const aei_ref_node *v, size_t i)
{
    double sum = 1e-12;

    for (uint32_t k = 0; k < v->out.c; k++)
        sum += v->x[0][i + k] * v->x[0][i + k];
    return sqrt(sum);
}

void aei_ref_unit_forward(const aei_ref_node *v)
{
    for (size_t i = 0; i < aei_ref_count(v->out); i += v->out.c)
        for (uint32_t k = 0; k < v->out.c; k++)
            v->y[i + k] = v->x[0][i + k] / length_at(v, i);
}

void aei_ref_unit_backward(const aei_ref_node *v)
{
    for (size_t i = 0; i < aei_ref_count(v->out); i += v->out.c) {
        double length = length_at(v, i), along = 0;

        for (uint32_t k = 0; k < v->out.c; k++)
            along += v->x[0][i + k] / length * v->dy[i + k];
        for (uint32_t k = 0; k < v->out.c; k++)
            v->dx[0][i + k] += (v->dy[i + k] - v->x[0][i + k] / length * along) / length;
    }
}

void aei_ref_noise_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->y[k] = v->x[0][k] + (v->train ? (double)v->node->value * (double)v->draw[k] : 0);
}

void aei_ref_noise_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->dx[0][k] += v->dy[k];
}

void aei_ref_reverse_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->y[k] = v->x[0][k];
}

void aei_ref_reverse_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->dx[0][k] -= (double)v->node->value * v->dy[k];
}

void aei_ref_normal_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++) {
        double mean = v->mean[k % v->out.c], deviation = sqrt(v->variance[k % v->out.c] + 1e-12);

        v->y[k] = v->node->op == AE_OP_NORMALISE ? (v->x[0][k] - mean) / deviation
                                                 : v->x[0][k] * deviation + mean;
    }
}

void aei_ref_normal_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++) {
        double deviation = sqrt(v->variance[k % v->out.c] + 1e-12);

        v->dx[0][k] += v->node->op == AE_OP_NORMALISE ? v->dy[k] / deviation : v->dy[k] * deviation;
    }
    /* of those that share them the first node is the last to write */
    for (uint32_t c = 0; c < v->out.c; c++) {
        double mean = 0, variance = 0, n = (double)aei_ref_count(v->out) / v->out.c;

        for (size_t k = c; k < aei_ref_count(v->out); k += v->out.c)
            mean += v->x[0][k] / n;
        for (size_t k = c; k < aei_ref_count(v->out); k += v->out.c)
            variance += (v->x[0][k] - mean) * (v->x[0][k] - mean) / n;
        v->d_mean[c] = mean;
        v->d_variance[c] = variance;
    }
}

static void gather(const aei_ref_node *v, bool backward)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++) {
        double x = rint(v->x[0][k / v->out.c]);
        size_t row = x > 0 ? (size_t)fmin(x, v->node->factor - 1.0) : 0,
               place = row * v->out.c + k % v->out.c;

        if (backward)
            v->d_weight[place] += v->dy[k];
        else
            v->y[k] = v->weight[place];
    }
}

void aei_ref_gather_forward(const aei_ref_node *v)
{
    gather(v, false);
}

void aei_ref_gather_backward(const aei_ref_node *v)
{
    gather(v, true);
}

/* ---- recurrent layers ---- */

void aei_ref_argmax_forward(const aei_ref_node *v)
{
    uint32_t c = v->in[0].c;

    for (size_t k = 0; k < aei_ref_count(v->out); k++) {
        const double *x = v->x[0] + k * c;
        uint32_t best = 0;

        for (uint32_t i = 1; i < c; i++)
            best = x[i] > x[best] ? i : best;
        v->y[k] = best;
    }
}

/* What the largest is numbered does not change with a little of any. */
void aei_ref_argmax_backward(const aei_ref_node *v)
{
    (void)v;
}
