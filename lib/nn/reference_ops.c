/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every operator, forward and backward, written to be read: activations (n, y, x, c), sums in double, no cleverness. */
#include "nn/graph_check.h"
#include "nn/reference.h"

#include <math.h>
#include <string.h>

static const double EPSILON = 1e-5; /* of both normalisations */

/* Mass of the unit normal beyond x, and its density there. */
static double normal_upper(double x)
{
    return 0.5 * erfc(x * 0.70710678118654752440);
}

static double normal_density(double x)
{
    return 0.39894228040143267794 * exp(-0.5 * x * x);
}

static size_t at(ae_shape s, uint32_t n, uint32_t y, uint32_t x, uint32_t c)
{
    return (((size_t)n * s.h + y) * s.w + x) * s.c + c;
}

/* Where tap k of the window at `out` lies along one axis; false: in the padding. */
static bool tap(uint32_t out, uint32_t k, uint32_t stride, uint32_t dilation, uint32_t pad, uint32_t size, uint32_t *in)
{
    int64_t i = (int64_t)out * stride + (int64_t)k * dilation - pad;

    *in = (uint32_t)i;
    return i >= 0 && i < size;
}

static size_t dense_at(const aei_ref_node *v, uint32_t o, uint32_t i)
{
    uint32_t inputs = v->in[0].h * v->in[0].w * v->in[0].c;

    return v->node->transposed ? (size_t)i * v->out.c + o : (size_t)o * inputs + i;
}

/* y[o] = bias[o] + sum_i weight[o][i] x[i] for each picture; x flattened as (h, w, c). transposed: weight[i][o]. */
static void dense_forward(const aei_ref_node *v)
{
    uint32_t inputs = v->in[0].h * v->in[0].w * v->in[0].c, outputs = v->out.c;

    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t o = 0; o < outputs; o++) {
            double sum = v->bias ? v->bias[o] : 0;

            for (uint32_t i = 0; i < inputs; i++)
                sum += v->weight[dense_at(v, o, i)] * v->x[0][(size_t)n * inputs + i];
            v->y[(size_t)n * outputs + o] = sum;
        }
}

static void dense_backward(const aei_ref_node *v)
{
    uint32_t inputs = v->in[0].h * v->in[0].w * v->in[0].c, outputs = v->out.c;

    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t o = 0; o < outputs; o++) {
            double d = v->dy[(size_t)n * outputs + o];

            if (v->bias)
                v->d_bias[o] += d;
            for (uint32_t i = 0; i < inputs; i++) {
                v->dx[0][(size_t)n * inputs + i] += d * v->weight[dense_at(v, o, i)];
                v->d_weight[dense_at(v, o, i)] += d * v->x[0][(size_t)n * inputs + i];
            }
        }
}

/* weight (O, I / groups, KH, KW): y[o] at (oy, ox) = bias[o] + sum over (i, ky, kx) of
 * weight[o][i][ky][kx] x[i] at (oy stride + ky dilation - pad, ...), zero outside; i within the group of o. */
static void conv_forward(const aei_ref_node *v)
{
    const ae_node *p = v->node;
    ae_shape in = v->in[0], out = v->out;
    uint32_t per_in = in.c / p->groups, per_out = out.c / p->groups, iy, ix;

    for (uint32_t n = 0; n < out.n; n++)
        for (uint32_t oy = 0; oy < out.h; oy++)
            for (uint32_t ox = 0; ox < out.w; ox++)
                for (uint32_t o = 0; o < out.c; o++) {
                    uint32_t first = o / per_out * per_in;
                    double sum = v->bias ? v->bias[o] : 0;

                    for (uint32_t i = 0; i < per_in; i++)
                        for (uint32_t ky = 0; ky < p->kernel[0]; ky++)
                            for (uint32_t kx = 0; kx < p->kernel[1]; kx++)
                                if (tap(oy, ky, p->stride[0], p->dilation[0], aei_pad_before(p, 0), in.h, &iy) &&
                                    tap(ox, kx, p->stride[1], p->dilation[1], aei_pad_before(p, 1), in.w, &ix))
                                    sum += v->weight[(((size_t)o * per_in + i) * p->kernel[0] + ky) * p->kernel[1] + kx] *
                                           v->x[0][at(in, n, iy, ix, first + i)];
                    v->y[at(out, n, oy, ox, o)] = sum;
                }
}

static void conv_backward(const aei_ref_node *v)
{
    const ae_node *p = v->node;
    ae_shape in = v->in[0], out = v->out;
    uint32_t per_in = in.c / p->groups, per_out = out.c / p->groups, iy, ix;

    for (uint32_t n = 0; n < out.n; n++)
        for (uint32_t oy = 0; oy < out.h; oy++)
            for (uint32_t ox = 0; ox < out.w; ox++)
                for (uint32_t o = 0; o < out.c; o++) {
                    uint32_t first = o / per_out * per_in;
                    double d = v->dy[at(out, n, oy, ox, o)];

                    if (v->bias)
                        v->d_bias[o] += d;
                    for (uint32_t i = 0; i < per_in; i++)
                        for (uint32_t ky = 0; ky < p->kernel[0]; ky++)
                            for (uint32_t kx = 0; kx < p->kernel[1]; kx++)
                                if (tap(oy, ky, p->stride[0], p->dilation[0], aei_pad_before(p, 0), in.h, &iy) &&
                                    tap(ox, kx, p->stride[1], p->dilation[1], aei_pad_before(p, 1), in.w, &ix)) {
                                    size_t k = (((size_t)o * per_in + i) * p->kernel[0] + ky) * p->kernel[1] + kx;

                                    v->dx[0][at(in, n, iy, ix, first + i)] += d * v->weight[k];
                                    v->d_weight[k] += d * v->x[0][at(in, n, iy, ix, first + i)];
                                }
                }
}

/* weight (I, O / groups, KH, KW): x[i] at (iy, ix) times weight[i][o][ky][kx] is added to
 * y[o] at (iy stride + ky dilation - pad, ...), where that lies inside; o within the group of i. */
static void deconv_forward(const aei_ref_node *v)
{
    const ae_node *p = v->node;
    ae_shape in = v->in[0], out = v->out;
    uint32_t per_in = in.c / p->groups, per_out = out.c / p->groups, oy, ox;

    for (size_t k = 0; k < aei_ref_count(out); k++)
        v->y[k] = v->bias ? v->bias[k % out.c] : 0;
    for (uint32_t n = 0; n < in.n; n++)
        for (uint32_t iy = 0; iy < in.h; iy++)
            for (uint32_t ix = 0; ix < in.w; ix++)
                for (uint32_t i = 0; i < in.c; i++)
                    for (uint32_t o = 0; o < per_out; o++)
                        for (uint32_t ky = 0; ky < p->kernel[0]; ky++)
                            for (uint32_t kx = 0; kx < p->kernel[1]; kx++)
                                if (tap(iy, ky, p->stride[0], p->dilation[0], aei_pad_before(p, 0), out.h, &oy) &&
                                    tap(ix, kx, p->stride[1], p->dilation[1], aei_pad_before(p, 1), out.w, &ox))
                                    v->y[at(out, n, oy, ox, i / per_in * per_out + o)] +=
                                        v->weight[(((size_t)i * per_out + o) * p->kernel[0] + ky) * p->kernel[1] + kx] *
                                        v->x[0][at(in, n, iy, ix, i)];
}

static void deconv_backward(const aei_ref_node *v)
{
    const ae_node *p = v->node;
    ae_shape in = v->in[0], out = v->out;
    uint32_t per_in = in.c / p->groups, per_out = out.c / p->groups, oy, ox;

    if (v->bias)
        for (size_t k = 0; k < aei_ref_count(out); k++)
            v->d_bias[k % out.c] += v->dy[k];
    for (uint32_t n = 0; n < in.n; n++)
        for (uint32_t iy = 0; iy < in.h; iy++)
            for (uint32_t ix = 0; ix < in.w; ix++)
                for (uint32_t i = 0; i < in.c; i++)
                    for (uint32_t o = 0; o < per_out; o++)
                        for (uint32_t ky = 0; ky < p->kernel[0]; ky++)
                            for (uint32_t kx = 0; kx < p->kernel[1]; kx++)
                                if (tap(iy, ky, p->stride[0], p->dilation[0], aei_pad_before(p, 0), out.h, &oy) &&
                                    tap(ix, kx, p->stride[1], p->dilation[1], aei_pad_before(p, 1), out.w, &ox)) {
                                    size_t k = (((size_t)i * per_out + o) * p->kernel[0] + ky) * p->kernel[1] + kx;
                                    double d = v->dy[at(out, n, oy, ox, i / per_in * per_out + o)];

                                    v->dx[0][at(in, n, iy, ix, i)] += d * v->weight[k];
                                    v->d_weight[k] += d * v->x[0][at(in, n, iy, ix, i)];
                                }
}

/* How many of the taps of the window at `out` lie inside along one axis. */
static uint32_t taps_inside(uint32_t out, uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t size)
{
    uint32_t count = 0, in;

    for (uint32_t k = 0; k < kernel; k++)
        count += tap(out, k, stride, 1, pad, size, &in);
    return count;
}

/* Largest, or mean, of the elements of each window that lie inside. */
static void pool(const aei_ref_node *v, bool backward)
{
    const ae_node *p = v->node;
    ae_shape in = v->in[0], out = v->out;
    bool max = p->op == AE_OP_MAXPOOL;
    uint32_t iy, ix;

    for (uint32_t n = 0; n < out.n; n++)
        for (uint32_t oy = 0; oy < out.h; oy++)
            for (uint32_t ox = 0; ox < out.w; ox++)
                for (uint32_t c = 0; c < out.c; c++) {
                    size_t o = at(out, n, oy, ox, c), best = SIZE_MAX;
                    uint32_t count = taps_inside(oy, p->kernel[0], p->stride[0], aei_pad_before(p, 0), in.h) *
                                     taps_inside(ox, p->kernel[1], p->stride[1], aei_pad_before(p, 1), in.w);
                    double mean = 0;

                    for (uint32_t ky = 0; ky < p->kernel[0]; ky++)
                        for (uint32_t kx = 0; kx < p->kernel[1]; kx++)
                            if (tap(oy, ky, p->stride[0], 1, aei_pad_before(p, 0), in.h, &iy) &&
                                tap(ox, kx, p->stride[1], 1, aei_pad_before(p, 1), in.w, &ix)) {
                                size_t i = at(in, n, iy, ix, c);

                                mean += v->x[0][i] / count;
                                if (best == SIZE_MAX || v->x[0][i] > v->x[0][best])
                                    best = i;
                                if (backward && !max)
                                    v->dx[0][i] += v->dy[o] / count;
                            }
                    if (!backward)
                        v->y[o] = max ? v->x[0][best] : mean;
                    else if (max)
                        v->dx[0][best] += v->dy[o];
                }
}

static void pool_forward(const aei_ref_node *v)
{
    pool(v, false);
}

static void pool_backward(const aei_ref_node *v)
{
    pool(v, true);
}

/* The two input rows (columns) that output row `out` lies between and the share of the second. Centres of pixels are at + 1/2:
 * source = (out + 1/2) / factor - 1/2, neighbours clamped to the edge. nearest: the one that covers it. */
static void between(const ae_node *p, uint32_t out, uint32_t size, uint32_t neighbour[2], double share[2])
{
    if (p->op == AE_OP_NEAREST) {
        neighbour[0] = neighbour[1] = out / p->factor;
        share[1] = 0;
    } else {
        double source = (out + 0.5) / p->factor - 0.5, low = floor(source);

        neighbour[0] = low < 0 ? 0 : (uint32_t)low;
        neighbour[1] = low + 1 > size - 1 ? size - 1 : (uint32_t)(low + 1);
        share[1] = source - low;
    }
    share[0] = 1 - share[1];
}

static void upsample(const aei_ref_node *v, bool backward)
{
    ae_shape in = v->in[0], out = v->out;
    uint32_t iy[2], ix[2];
    double sy[2], sx[2];

    for (uint32_t n = 0; n < out.n; n++)
        for (uint32_t oy = 0; oy < out.h; oy++)
            for (uint32_t ox = 0; ox < out.w; ox++)
                for (uint32_t c = 0; c < out.c; c++) {
                    size_t o = at(out, n, oy, ox, c);
                    double sum = 0;

                    between(v->node, oy, in.h, iy, sy);
                    between(v->node, ox, in.w, ix, sx);
                    for (int a = 0; a < 2; a++)
                        for (int b = 0; b < 2; b++) {
                            size_t i = at(in, n, iy[a], ix[b], c);

                            sum += sy[a] * sx[b] * v->x[0][i];
                            if (backward)
                                v->dx[0][i] += sy[a] * sx[b] * v->dy[o];
                        }
                    if (!backward)
                        v->y[o] = sum;
                }
}

static void upsample_forward(const aei_ref_node *v)
{
    upsample(v, false);
}

static void upsample_backward(const aei_ref_node *v)
{
    upsample(v, true);
}

/* ---- between data and network ---- */

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

static void softmax_forward(const aei_ref_node *v)
{
    softmax(v, false);
}

static void softmax_backward(const aei_ref_node *v)
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

static void unit_forward(const aei_ref_node *v)
{
    for (size_t i = 0; i < aei_ref_count(v->out); i += v->out.c)
        for (uint32_t k = 0; k < v->out.c; k++)
            v->y[i + k] = v->x[0][i + k] / length_at(v, i);
}

static void unit_backward(const aei_ref_node *v)
{
    for (size_t i = 0; i < aei_ref_count(v->out); i += v->out.c) {
        double length = length_at(v, i), along = 0;

        for (uint32_t k = 0; k < v->out.c; k++)
            along += v->x[0][i + k] / length * v->dy[i + k];
        for (uint32_t k = 0; k < v->out.c; k++)
            v->dx[0][i + k] += (v->dy[i + k] - v->x[0][i + k] / length * along) / length;
    }
}

static void noise_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->y[k] = v->x[0][k] + (v->train ? (double)v->node->value * (double)v->draw[k] : 0);
}

static void noise_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->dx[0][k] += v->dy[k];
}

static void reverse_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->y[k] = v->x[0][k];
}

static void reverse_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->dx[0][k] -= (double)v->node->value * v->dy[k];
}

static void normal_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++) {
        double mean = v->mean[k % v->out.c], deviation = sqrt(v->variance[k % v->out.c] + 1e-12);

        v->y[k] = v->node->op == AE_OP_NORMALISE ? (v->x[0][k] - mean) / deviation : v->x[0][k] * deviation + mean;
    }
}

static void normal_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++) {
        double deviation = sqrt(v->variance[k % v->out.c] + 1e-12);

        v->dx[0][k] += v->node->op == AE_OP_NORMALISE ? v->dy[k] / deviation : v->dy[k] * deviation;
    }
    for (uint32_t c = 0; c < v->out.c; c++) { /* of those that share them the first node is the last to write */
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
        size_t row = x > 0 ? (size_t)fmin(x, v->node->factor - 1.0) : 0, place = row * v->out.c + k % v->out.c;

        if (backward)
            v->d_weight[place] += v->dy[k];
        else
            v->y[k] = v->weight[place];
    }
}

static void gather_forward(const aei_ref_node *v)
{
    gather(v, false);
}

static void gather_backward(const aei_ref_node *v)
{
    gather(v, true);
}

/* ---- recurrent layers ---- */

static double sigmoid_of(double x)
{
    return 1 / (1 + exp(-x));
}

enum { MOST_UNITS = 256, MOST_STEPS = 64 };

/* One sequence: the states before each step and what its gates were. */
typedef struct sequence {
    double h[MOST_STEPS + 1][MOST_UNITS], c[MOST_STEPS + 1][MOST_UNITS], gate[MOST_STEPS][4][MOST_UNITS];
    double part[MOST_STEPS][MOST_UNITS]; /* gru: U h + c of its new value */
} sequence;

static double input_of(const aei_ref_node *v, uint32_t row, const double *x)
{
    double sum = 0;

    for (uint32_t i = 0; i < v->in[0].c; i++)
        sum += v->weight[(size_t)row * v->in[0].c + i] * x[i];
    return sum;
}

static double state_of(const aei_ref_node *v, uint32_t row, const double *h)
{
    double sum = 0;

    for (uint32_t i = 0; i < v->out.c; i++)
        sum += v->recurrent[(size_t)row * v->out.c + i] * h[i];
    return sum;
}

static double bias_of(const aei_ref_node *v, uint32_t row)
{
    return v->bias ? v->bias[row] : 0;
}

static void recur_forward(const aei_ref_node *v, uint32_t n, uint32_t column, sequence *s)
{
    uint32_t units = v->out.c;
    bool lstm = v->node->op == AE_OP_LSTM;

    memset(s, 0, sizeof(*s));
    for (uint32_t t = 0; t < v->out.h; t++) {
        const double *x = v->x[0] + at(v->in[0], n, t, column, 0), *h = s->h[t];

        for (uint32_t u = 0; u < units; u++) {
            double a[4];

            for (uint32_t g = 0; g < (lstm ? 4u : 2u); g++)
                a[g] = input_of(v, g * units + u, x) + state_of(v, g * units + u, h) + bias_of(v, g * units + u);
            if (lstm) {
                for (int g = 0; g < 4; g++)
                    s->gate[t][g][u] = g == 2 ? tanh(a[g]) : sigmoid_of(a[g]);
                s->c[t + 1][u] = s->gate[t][1][u] * s->c[t][u] + s->gate[t][0][u] * s->gate[t][2][u];
                s->h[t + 1][u] = s->gate[t][3][u] * tanh(s->c[t + 1][u]);
                continue;
            }
            s->gate[t][0][u] = sigmoid_of(a[0]);
            s->gate[t][1][u] = sigmoid_of(a[1]);
            s->part[t][u] = state_of(v, 2 * units + u, h) + bias_of(v, 3 * units + u);
            s->gate[t][2][u] =
                tanh(input_of(v, 2 * units + u, x) + bias_of(v, 2 * units + u) + s->gate[t][0][u] * s->part[t][u]);
            s->h[t + 1][u] = (1 - s->gate[t][1][u]) * s->gate[t][2][u] + s->gate[t][1][u] * h[u];
        }
    }
}

/* The gradient d by what gate row `row` is given through W (x) and U (h), each where it is not NULL. */
static void deliver(const aei_ref_node *v, uint32_t row, double d, const double *x, double *dx, const double *h, double *dh)
{
    for (uint32_t i = 0; x && i < v->in[0].c; i++) {
        dx[i] += d * v->weight[(size_t)row * v->in[0].c + i];
        v->d_weight[(size_t)row * v->in[0].c + i] += d * x[i];
    }
    for (uint32_t i = 0; h && i < v->out.c; i++) {
        dh[i] += d * v->recurrent[(size_t)row * v->out.c + i];
        v->d_recurrent[(size_t)row * v->out.c + i] += d * h[i];
    }
}

static void recur_backward(const aei_ref_node *v, uint32_t n, uint32_t column, const sequence *s)
{
    uint32_t units = v->out.c;
    bool lstm = v->node->op == AE_OP_LSTM;
    double by_h[MOST_UNITS] = {0}, by_c[MOST_UNITS] = {0};

    for (uint32_t t = v->out.h; t-- > 0;) {
        const double *x = v->x[0] + at(v->in[0], n, t, column, 0), *h = s->h[t];
        double *dx = v->dx[0] + at(v->in[0], n, t, column, 0), next[MOST_UNITS] = {0};

        for (uint32_t u = 0; u < units; u++) {
            double d = by_h[u] + v->dy[at(v->out, n, t, column, u)], a[4], gate[4];

            for (int g = 0; g < 4; g++)
                gate[g] = s->gate[t][g][u];
            if (lstm) {
                double c = tanh(s->c[t + 1][u]), dc = by_c[u] + d * gate[3] * (1 - c * c);

                a[0] = dc * gate[2] * gate[0] * (1 - gate[0]);
                a[1] = dc * s->c[t][u] * gate[1] * (1 - gate[1]);
                a[2] = dc * gate[0] * (1 - gate[2] * gate[2]);
                a[3] = d * c * gate[3] * (1 - gate[3]);
                by_c[u] = dc * gate[1];
                for (uint32_t g = 0; g < 4; g++) {
                    deliver(v, g * units + u, a[g], x, dx, h, next);
                    if (v->bias)
                        v->d_bias[g * units + u] += a[g];
                }
                continue;
            }
            a[2] = d * (1 - gate[1]) * (1 - gate[2] * gate[2]);
            a[0] = a[2] * s->part[t][u] * gate[0] * (1 - gate[0]);
            a[1] = d * (h[u] - gate[2]) * gate[1] * (1 - gate[1]);
            a[3] = a[2] * gate[0];
            deliver(v, u, a[0], x, dx, h, next);
            deliver(v, units + u, a[1], x, dx, h, next);
            deliver(v, 2 * units + u, a[2], x, dx, NULL, NULL);
            deliver(v, 2 * units + u, a[3], NULL, NULL, h, next);
            next[u] += d * gate[1];
            for (uint32_t g = 0; g < 4 && v->bias; g++)
                v->d_bias[g * units + u] += a[g];
        }
        memcpy(by_h, next, sizeof(by_h));
    }
}

static void recur(const aei_ref_node *v, bool backward)
{
    sequence *s = ae_alloc(1, sizeof(*s));

    for (uint32_t n = 0; s && v->out.h <= MOST_STEPS && v->out.c <= MOST_UNITS && n < v->out.n; n++)
        for (uint32_t x = 0; x < v->out.w; x++) {
            recur_forward(v, n, x, s);
            for (uint32_t t = 0; t < v->out.h && !backward; t++)
                memcpy(v->y + at(v->out, n, t, x, 0), s->h[t + 1], v->out.c * sizeof(double));
            if (backward)
                recur_backward(v, n, x, s);
        }
    ae_free(s);
}

static void recurrent_forward(const aei_ref_node *v)
{
    recur(v, false);
}

static void recurrent_backward(const aei_ref_node *v)
{
    recur(v, true);
}

/* The row that `last` takes of sample n, SIZE_MAX: none. */
static size_t last_row(const aei_ref_node *v, uint32_t n)
{
    for (size_t y = v->in[0].h; y-- > 0;)
        if (v->node->n_from < 2 || v->x[1][n * v->in[1].h + y] > 0.5)
            return y;
    return SIZE_MAX;
}

static void rows_in_time(const aei_ref_node *v, bool backward)
{
    size_t row = (size_t)v->out.w * v->out.c;

    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++) {
            size_t from = v->node->op == AE_OP_LAST ? last_row(v, n) : v->node->op == AE_OP_FLIP ? v->out.h - 1 - y : 0;

            for (size_t i = 0; i < row; i++) {
                size_t a = ((size_t)n * v->out.h + y) * row + i, b = ((size_t)n * v->in[0].h + from) * row + i;

                if (!backward)
                    v->y[a] = from == SIZE_MAX ? 0 : v->x[0][b];
                else if (from != SIZE_MAX)
                    v->dx[0][b] += v->dy[a];
            }
        }
}

static void time_forward(const aei_ref_node *v)
{
    rows_in_time(v, false);
}

static void time_backward(const aei_ref_node *v)
{
    rows_in_time(v, true);
}

/* Operators that only move samples: the input element (of input *from) that output element (n, y, x, c) is. */
static size_t source(const aei_ref_node *v, uint32_t n, uint32_t y, uint32_t x, uint32_t c, uint32_t *from)
{
    const ae_node *p = v->node;
    uint32_t f = p->factor;

    *from = 0;
    switch (p->op) {
    case AE_OP_SHUFFLE: /* y[y][x][c] = x[y / f][x / f][(c, y % f, x % f)] */
        return at(v->in[0], n, y / f, x / f, (c * f + y % f) * f + x % f);
    case AE_OP_UNSHUFFLE: /* y[y][x][(c, dy, dx)] = x[y f + dy][x f + dx][c] */
        return at(v->in[0], n, y * f + c / f % f, x * f + c % f, c / (f * f));
    case AE_OP_CONCAT:
        for (; c >= v->in[*from].c; ++*from)
            c -= v->in[*from].c;
        return at(v->in[*from], n, y, x, c);
    case AE_OP_CROP:
        return at(v->in[0], n, y, x, p->first + c);
    default: /* reshape: the same order */
        return at(v->out, n, y, x, c);
    }
}

static void move(const aei_ref_node *v, bool backward)
{
    uint32_t from;

    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++)
            for (uint32_t x = 0; x < v->out.w; x++)
                for (uint32_t c = 0; c < v->out.c; c++) {
                    size_t o = at(v->out, n, y, x, c), i = source(v, n, y, x, c, &from);

                    if (backward)
                        v->dx[from][i] += v->dy[o];
                    else
                        v->y[o] = v->x[from][i];
                }
}

static void move_forward(const aei_ref_node *v)
{
    move(v, false);
}

static void move_backward(const aei_ref_node *v)
{
    move(v, true);
}

/* The element of input `from` that meets output element (n, y, x, c); inputs of 1 x 1 meet all of a picture. */
static size_t broadcast(const aei_ref_node *v, uint32_t from, uint32_t n, uint32_t y, uint32_t x, uint32_t c)
{
    bool one = v->in[from].h == 1 && v->in[from].w == 1;

    return at(v->in[from], n, one ? 0 : y, one ? 0 : x, c);
}

static void combine(const aei_ref_node *v, bool backward)
{
    bool mul = v->node->op == AE_OP_MUL;

    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++)
            for (uint32_t x = 0; x < v->out.w; x++)
                for (uint32_t c = 0; c < v->out.c; c++) {
                    size_t o = at(v->out, n, y, x, c);

                    if (!backward)
                        v->y[o] = mul ? 1 : 0;
                    for (uint32_t f = 0; f < v->node->n_from; f++) {
                        size_t i = broadcast(v, f, n, y, x, c);

                        if (!backward && mul)
                            v->y[o] *= v->x[f][i];
                        else if (!backward)
                            v->y[o] += v->x[f][i];
                        else if (mul) /* two inputs: times the other one */
                            v->dx[f][i] += v->dy[o] * v->x[1 - f][broadcast(v, 1 - f, n, y, x, c)];
                        else
                            v->dx[f][i] += v->dy[o];
                    }
                }
}

static void combine_forward(const aei_ref_node *v)
{
    combine(v, false);
}

static void combine_backward(const aei_ref_node *v)
{
    combine(v, true);
}

static void scale_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->y[k] = v->weight[k % v->out.c] * v->x[0][k];
}

static void scale_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++) {
        v->dx[0][k] += v->weight[k % v->out.c] * v->dy[k];
        v->d_weight[k % v->out.c] += v->x[0][k] * v->dy[k];
    }
}

/* Mean and biased variance of `count` elements x[0], x[step], ... */
static void moments(const double *x, size_t count, size_t step, double *mean, double *var)
{
    *mean = *var = 0;
    for (size_t k = 0; k < count; k++)
        *mean += x[k * step] / (double)count;
    for (size_t k = 0; k < count; k++)
        *var += (x[k * step] - *mean) * (x[k * step] - *mean) / (double)count;
}

/* Gradient through z = (x - mean(x)) / sqrt(var(x) + epsilon) over `count` elements:
 * dx = (dz - mean(dz) - z mean(dz z)) / sqrt(var + epsilon), where dz = dy weight. weight and d_weight advance by step_weight. */
static void normalise_backward(const double *x, const double *dy, size_t count, size_t step, const double *weight, double *d_weight,
                               double *d_bias, size_t step_weight, double *dx)
{
    double mean, var, mean_dz = 0, mean_dz_z = 0;

    moments(x, count, step, &mean, &var);
    for (size_t k = 0; k < count; k++) {
        double z = (x[k * step] - mean) / sqrt(var + EPSILON), dz = dy[k * step] * weight[k * step_weight];

        mean_dz += dz / (double)count;
        mean_dz_z += dz * z / (double)count;
        d_weight[k * step_weight] += dy[k * step] * z;
        d_bias[k * step_weight] += dy[k * step];
    }
    for (size_t k = 0; k < count; k++) {
        double z = (x[k * step] - mean) / sqrt(var + EPSILON), dz = dy[k * step] * weight[k * step_weight];

        dx[k * step] += (dz - mean_dz - z * mean_dz_z) / sqrt(var + EPSILON);
    }
}

/* For each channel over (n, y, x): y = weight (x - mean) / sqrt(var + epsilon) + bias. */
static void batchnorm_forward(const aei_ref_node *v)
{
    size_t count = (size_t)v->out.n * v->out.h * v->out.w, step = v->out.c;

    for (size_t c = 0; c < v->out.c; c++) {
        double mean, var;

        moments(v->x[0] + c, count, step, &mean, &var);
        if (!v->train) {
            mean = v->mean[c];
            var = v->variance[c];
        }
        for (size_t k = c; k < count * step; k += step)
            v->y[k] = v->weight[c] * (v->x[0][k] - mean) / sqrt(var + EPSILON) + v->bias[c];
    }
}

static void batchnorm_backward(const aei_ref_node *v)
{
    size_t count = (size_t)v->out.n * v->out.h * v->out.w, step = v->out.c;

    for (size_t c = 0; c < v->out.c; c++) {
        moments(v->x[0] + c, count, step, &v->d_mean[c], &v->d_variance[c]);
        normalise_backward(v->x[0] + c, v->dy + c, count, step, v->weight + c, v->d_weight + c, v->d_bias + c, 0, v->dx[0] + c);
    }
}

/* For each pixel over c: y[c] = weight[c] (x[c] - mean) / sqrt(var + epsilon) + bias[c]. */
static void layernorm_forward(const aei_ref_node *v)
{
    size_t channels = v->out.c;

    for (size_t k = 0; k < aei_ref_count(v->out); k += channels) {
        double mean, var;

        moments(v->x[0] + k, channels, 1, &mean, &var);
        for (size_t c = 0; c < channels; c++)
            v->y[k + c] = v->weight[c] * (v->x[0][k + c] - mean) / sqrt(var + EPSILON) + v->bias[c];
    }
}

static void layernorm_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k += v->out.c)
        normalise_backward(v->x[0] + k, v->dy + k, v->out.c, 1, v->weight, v->d_weight, v->d_bias, 1, v->dx[0] + k);
}

static void dropout_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->y[k] = v->train ? v->x[0][k] * v->draw[k] / (1 - (double)v->node->value) : v->x[0][k];
}

static void dropout_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->dx[0][k] += v->dy[k] * v->draw[k] / (1 - (double)v->node->value);
}

/* y = mean + exp(log variance / 2) draw */
static void gaussian_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->y[k] = v->x[0][k] + (v->train ? exp(v->x[1][k] / 2) * v->draw[k] : 0);
}

static void gaussian_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++) {
        v->dx[0][k] += v->dy[k];
        v->dx[1][k] += v->dy[k] * exp(v->x[1][k] / 2) / 2 * v->draw[k];
    }
}

static void copy_forward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->y[k] = v->node->op == AE_OP_ROUND ? nearbyint(v->x[0][k]) : v->x[0][k];
}

/* act: its derivative is in dy already; round: straight through */
static void copy_backward(const aei_ref_node *v)
{
    for (size_t k = 0; k < aei_ref_count(v->out); k++)
        v->dx[0][k] += v->dy[k];
}

/* ---- codecs, doc/codec.md ---- */

static const double LEAST_SCALE = 0.11, MOST_SCALE = 32768, LEAST_MASS = 0x1p-24;

/* Where position p of a table lies: row *low and the share of the next one. */
static double table_place(const aei_ref_node *v, double p, uint32_t *low)
{
    double at = fmin(fmax(p, 0), 1) * (v->node->factor - 1);

    *low = at < v->node->factor - 2 ? (uint32_t)at : v->node->factor - 2;
    return at - *low;
}

static void embed_forward(const aei_ref_node *v)
{
    for (size_t k = 0, c = v->out.c; k < aei_ref_count(v->out); k++) {
        uint32_t low;
        double share = table_place(v, v->x[0][k / c], &low);

        v->y[k] = v->weight[low * c + k % c] * (1 - share) + v->weight[(low + 1) * c + k % c] * share;
    }
}

static void embed_backward(const aei_ref_node *v)
{
    for (size_t k = 0, c = v->out.c; k < aei_ref_count(v->out); k++) {
        uint32_t low;
        double p = v->x[0][k / c], share = table_place(v, p, &low);

        v->d_weight[low * c + k % c] += v->dy[k] * (1 - share);
        v->d_weight[(low + 1) * c + k % c] += v->dy[k] * share;
        if (p >= 0 && p <= 1)
            v->dx[0][k / c] += v->dy[k] * (v->node->factor - 1) * (v->weight[(low + 1) * c + k % c] - v->weight[low * c + k % c]);
    }
}

/* y at the nearest mean + step * integer; the gradient passes straight through to y. */
static void quantise(const aei_ref_node *v, bool backward)
{
    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++)
            for (uint32_t x = 0; x < v->out.w; x++)
                for (uint32_t c = 0; c < v->out.c; c++) {
                    size_t o = at(v->out, n, y, x, c), m = broadcast(v, 1, n, y, x, c), q = broadcast(v, 2, n, y, x, c);
                    double mean = v->x[1][m], step = exp2(v->x[2][q]), w = (v->x[0][o] - mean) / step;
                    bool counts = aei_ref_counts(v->node->parity, y, x);

                    if (!backward) {
                        v->y[o] = counts ? mean + step * nearbyint(w) : 0;
                    } else if (counts) {
                        v->dx[0][o] += v->dy[o];
                        v->dx[2][q] += v->dy[o] * (nearbyint(w) - w) * step * log(2);
                    }
                }
}

static void quantise_forward(const aei_ref_node *v)
{
    quantise(v, false);
}

static void quantise_backward(const aei_ref_node *v)
{
    quantise(v, true);
}

/* -log2 of the mass of N(0, s) between |x| - 1/2 and |x| + 1/2, all in steps. */
static void bits(const aei_ref_node *v, bool backward)
{
    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++)
            for (uint32_t x = 0; x < v->out.w; x++)
                for (uint32_t c = 0; c < v->out.c; c++) {
                    size_t o = at(v->out, n, y, x, c), i[4] = {o};
                    double in[4], step, w, t, scale, s, a, b, mass, by_t, by_scale;

                    for (uint32_t f = 0; f < 4; f++)
                        in[f] = v->x[f][i[f] = broadcast(v, f, n, y, x, c)];
                    step = exp2(in[3]);
                    w = (in[0] - in[1]) / step;
                    t = v->train ? w + (double)v->draw[o] : nearbyint(w);
                    scale = exp2(in[2]) / step;
                    s = fmin(fmax(scale, LEAST_SCALE), MOST_SCALE);
                    a = (fabs(t) - 0.5) / s;
                    b = (fabs(t) + 0.5) / s;
                    mass = fmax(normal_upper(a) - normal_upper(b), LEAST_MASS);
                    if (!aei_ref_counts(v->node->parity, y, x)) {
                        v->y[o] = 0;
                        continue;
                    }
                    if (!backward) {
                        v->y[o] = -log2(mass);
                        continue;
                    }
                    by_t = v->dy[o] * (normal_density(a) - normal_density(b)) / (mass * s * log(2)) * (t > 0 ? 1 : -1);
                    by_scale = v->dy[o] * (b * normal_density(b) - a * normal_density(a)) / mass; /* by log2 of it */
                    if ((scale < LEAST_SCALE && by_scale > 0) || (scale > MOST_SCALE && by_scale < 0))
                        by_scale = 0;
                    v->dx[0][i[0]] += by_t / step;
                    v->dx[1][i[1]] -= by_t / step;
                    v->dx[2][i[2]] += by_scale;
                    v->dx[3][i[3]] -= by_t * w * log(2) + by_scale;
                }
}

static void bits_forward(const aei_ref_node *v)
{
    bits(v, false);
}

static void bits_backward(const aei_ref_node *v)
{
    bits(v, true);
}

#define BOTH(kind) {kind##_forward, kind##_backward}

static const aei_ref_op definitions[] = {
    [AE_OP_DENSE] = BOTH(dense), [AE_OP_CONV] = BOTH(conv), [AE_OP_DECONV] = BOTH(deconv),
    [AE_OP_MAXPOOL] = BOTH(pool), [AE_OP_AVGPOOL] = BOTH(pool),
    [AE_OP_NEAREST] = BOTH(upsample), [AE_OP_BILINEAR] = BOTH(upsample),
    [AE_OP_SHUFFLE] = BOTH(move), [AE_OP_UNSHUFFLE] = BOTH(move), [AE_OP_CONCAT] = BOTH(move), [AE_OP_RESHAPE] = BOTH(move),
    [AE_OP_CROP] = BOTH(move),
    [AE_OP_ADD] = BOTH(combine), [AE_OP_MUL] = BOTH(combine), [AE_OP_SCALE] = BOTH(scale),
    [AE_OP_BATCHNORM] = BOTH(batchnorm), [AE_OP_LAYERNORM] = BOTH(layernorm),
    [AE_OP_DROPOUT] = BOTH(dropout), [AE_OP_GAUSSIAN] = BOTH(gaussian), [AE_OP_NOISE] = BOTH(noise),
    [AE_OP_ACT] = BOTH(copy), [AE_OP_ROUND] = BOTH(copy), [AE_OP_REVERSE] = BOTH(reverse),
    [AE_OP_EMBED] = BOTH(embed), [AE_OP_QUANTISE] = BOTH(quantise), [AE_OP_BITS] = BOTH(bits), [AE_OP_GATHER] = BOTH(gather),
    [AE_OP_GRU] = BOTH(recurrent), [AE_OP_LSTM] = BOTH(recurrent),
    [AE_OP_LAST] = BOTH(time), [AE_OP_REPEAT_TIME] = BOTH(time), [AE_OP_FLIP] = BOTH(time),
    [AE_OP_SOFTMAX] = BOTH(softmax), [AE_OP_UNIT] = BOTH(unit), [AE_OP_NORMALISE] = BOTH(normal), [AE_OP_DENORMALISE] = BOTH(normal),
};

const aei_ref_op *aei_ref_op_of(ae_op op)
{
    return (size_t)op < sizeof(definitions) / sizeof(*definitions) && definitions[op].forward ? &definitions[op] : NULL;
}
