/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every operator, forward and backward, written to be read: activations (n, y, x, c), sums in
 * double, no cleverness. */
#include "nn/graph_check.h"
#include "nn/reference.h"

#include <math.h>
#include <string.h>

static const double EPSILON = 1e-5; /* of both normalisations */

/* Where tap k of the window at `out` lies along one axis; false: in the padding. */
static bool tap(uint32_t out, uint32_t k, uint32_t stride, uint32_t dilation, uint32_t pad,
                uint32_t size, uint32_t *in)
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

/* y[o] = bias[o] + sum_i weight[o][i] x[i] for each picture; x flattened as (h, w, c). transposed:
 * weight[i][o]. */
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
 * weight[o][i][ky][kx] x[i] at (oy stride + ky dilation - pad, ...), zero outside; i within the
 * group of o. */
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
                                if (tap(oy, ky, p->stride[0], p->dilation[0], aei_pad_before(p, 0),
                                        in.h, &iy) &&
                                    tap(ox, kx, p->stride[1], p->dilation[1], aei_pad_before(p, 1),
                                        in.w, &ix))
                                    sum +=
                                        v->weight[(((size_t)o * per_in + i) * p->kernel[0] + ky) *
                                                      p->kernel[1] +
                                                  kx] *
                                        v->x[0][aei_ref_at(in, n, iy, ix, first + i)];
                    v->y[aei_ref_at(out, n, oy, ox, o)] = sum;
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
                    double d = v->dy[aei_ref_at(out, n, oy, ox, o)];

                    if (v->bias)
                        v->d_bias[o] += d;
                    for (uint32_t i = 0; i < per_in; i++)
                        for (uint32_t ky = 0; ky < p->kernel[0]; ky++)
                            for (uint32_t kx = 0; kx < p->kernel[1]; kx++)
                                if (tap(oy, ky, p->stride[0], p->dilation[0], aei_pad_before(p, 0),
                                        in.h, &iy) &&
                                    tap(ox, kx, p->stride[1], p->dilation[1], aei_pad_before(p, 1),
                                        in.w, &ix)) {
                                    size_t k = (((size_t)o * per_in + i) * p->kernel[0] + ky) *
                                                   p->kernel[1] +
                                               kx;

                                    v->dx[0][aei_ref_at(in, n, iy, ix, first + i)] += d *
                                                                                      v->weight[k];
                                    v->d_weight[k] += d *
                                                      v->x[0][aei_ref_at(in, n, iy, ix, first + i)];
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
                                if (tap(iy, ky, p->stride[0], p->dilation[0], aei_pad_before(p, 0),
                                        out.h, &oy) &&
                                    tap(ix, kx, p->stride[1], p->dilation[1], aei_pad_before(p, 1),
                                        out.w, &ox))
                                    v->y[aei_ref_at(out, n, oy, ox, i / per_in * per_out + o)] +=
                                        v->weight[(((size_t)i * per_out + o) * p->kernel[0] + ky) *
                                                      p->kernel[1] +
                                                  kx] *
                                        v->x[0][aei_ref_at(in, n, iy, ix, i)];
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
                                if (tap(iy, ky, p->stride[0], p->dilation[0], aei_pad_before(p, 0),
                                        out.h, &oy) &&
                                    tap(ix, kx, p->stride[1], p->dilation[1], aei_pad_before(p, 1),
                                        out.w, &ox)) {
                                    size_t k = (((size_t)i * per_out + o) * p->kernel[0] + ky) *
                                                   p->kernel[1] +
                                               kx;
                                    double d =
                                        v->dy[aei_ref_at(out, n, oy, ox, i / per_in * per_out + o)];

                                    v->dx[0][aei_ref_at(in, n, iy, ix, i)] += d * v->weight[k];
                                    v->d_weight[k] += d * v->x[0][aei_ref_at(in, n, iy, ix, i)];
                                }
}

/* How many of the taps of the window at `out` lie inside along one axis. */
static uint32_t taps_inside(uint32_t out, uint32_t kernel, uint32_t stride, uint32_t pad,
                            uint32_t size)
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
                    size_t o = aei_ref_at(out, n, oy, ox, c), best = SIZE_MAX;
                    uint32_t count = taps_inside(oy, p->kernel[0], p->stride[0],
                                                 aei_pad_before(p, 0), in.h) *
                                     taps_inside(ox, p->kernel[1], p->stride[1],
                                                 aei_pad_before(p, 1), in.w);
                    double mean = 0;

                    for (uint32_t ky = 0; ky < p->kernel[0]; ky++)
                        for (uint32_t kx = 0; kx < p->kernel[1]; kx++)
                            if (tap(oy, ky, p->stride[0], 1, aei_pad_before(p, 0), in.h, &iy) &&
                                tap(ox, kx, p->stride[1], 1, aei_pad_before(p, 1), in.w, &ix)) {
                                size_t i = aei_ref_at(in, n, iy, ix, c);

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

/* The two input rows (columns) that output row `out` lies between and the share of the second.
 * Centres of pixels are at + 1/2: source = (out + 1/2) / factor - 1/2, neighbours clamped to the
 * edge. nearest: the one that covers it. */
static void between(const ae_node *p, uint32_t out, uint32_t size, uint32_t neighbour[2],
                    double share[2])
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
                    size_t o = aei_ref_at(out, n, oy, ox, c);
                    double sum = 0;

                    between(v->node, oy, in.h, iy, sy);
                    between(v->node, ox, in.w, ix, sx);
                    for (int a = 0; a < 2; a++)
                        for (int b = 0; b < 2; b++) {
                            size_t i = aei_ref_at(in, n, iy[a], ix[b], c);

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

/* Operators that only move samples: the input element (of input *from) that output element (n, y,
 * x, c) is. */
static size_t source(const aei_ref_node *v, uint32_t n, uint32_t y, uint32_t x, uint32_t c,
                     uint32_t *from)
{
    const ae_node *p = v->node;
    uint32_t f = p->factor;

    *from = 0;
    switch (p->op) {
    case AE_OP_SHUFFLE: /* y[y][x][c] = x[y / f][x / f][(c, y % f, x % f)] */
        return aei_ref_at(v->in[0], n, y / f, x / f, (c * f + y % f) * f + x % f);
    case AE_OP_UNSHUFFLE: /* y[y][x][(c, dy, dx)] = x[y f + dy][x f + dx][c] */
        return aei_ref_at(v->in[0], n, y * f + c / f % f, x * f + c % f, c / (f * f));
    case AE_OP_CONCAT:
        for (; c >= v->in[*from].c; ++*from)
            c -= v->in[*from].c;
        return aei_ref_at(v->in[*from], n, y, x, c);
    case AE_OP_CROP: return aei_ref_at(v->in[0], n, y, x, p->first + c);
    default: /* reshape: the same order */ return aei_ref_at(v->out, n, y, x, c);
    }
}

static void move(const aei_ref_node *v, bool backward)
{
    uint32_t from;

    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++)
            for (uint32_t x = 0; x < v->out.w; x++)
                for (uint32_t c = 0; c < v->out.c; c++) {
                    size_t o = aei_ref_at(v->out, n, y, x, c), i = source(v, n, y, x, c, &from);

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

static void combine(const aei_ref_node *v, bool backward)
{
    bool mul = v->node->op == AE_OP_MUL;

    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++)
            for (uint32_t x = 0; x < v->out.w; x++)
                for (uint32_t c = 0; c < v->out.c; c++) {
                    size_t o = aei_ref_at(v->out, n, y, x, c);

                    if (!backward)
                        v->y[o] = mul ? 1 : 0;
                    for (uint32_t f = 0; f < v->node->n_from; f++) {
                        size_t i = aei_ref_broadcast(v, f, n, y, x, c);

                        if (!backward && mul)
                            v->y[o] *= v->x[f][i];
                        else if (!backward)
                            v->y[o] += v->x[f][i];
                        else if (mul) /* two inputs: times the other one */
                            v->dx[f][i] += v->dy[o] *
                                           v->x[1 - f][aei_ref_broadcast(v, 1 - f, n, y, x, c)];
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

/* Gradient through z = (x - mean(x)) / sqrt(var(x) + epsilon) over `count` elements: dx = (dz -
 * mean(dz) - z mean(dz z)) / sqrt(var + epsilon), where dz = dy weight. weight and d_weight advance
 * by step_weight. */
static void normalise_backward(const double *x, const double *dy, size_t count, size_t step,
                               const double *weight, double *d_weight, double *d_bias,
                               size_t step_weight, double *dx)
{
    double mean, var, mean_dz = 0, mean_dz_z = 0;

    moments(x, count, step, &mean, &var);
    for (size_t k = 0; k < count; k++) {
        double z = (x[k * step] - mean) / sqrt(var + EPSILON),
               dz = dy[k * step] * weight[k * step_weight];

        mean_dz += dz / (double)count;
        mean_dz_z += dz * z / (double)count;
        d_weight[k * step_weight] += dy[k * step] * z;
        d_bias[k * step_weight] += dy[k * step];
    }
    for (size_t k = 0; k < count; k++) {
        double z = (x[k * step] - mean) / sqrt(var + EPSILON),
               dz = dy[k * step] * weight[k * step_weight];

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
        normalise_backward(v->x[0] + c, v->dy + c, count, step, v->weight + c, v->d_weight + c,
                           v->d_bias + c, 0, v->dx[0] + c);
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
        normalise_backward(v->x[0] + k, v->dy + k, v->out.c, 1, v->weight, v->d_weight, v->d_bias,
                           1, v->dx[0] + k);
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

#define BOTH(kind)                                                                                 \
    {                                                                                              \
        kind##_forward, kind##_backward                                                            \
    }

static const aei_ref_op definitions[] = {
    [AE_OP_DENSE] = BOTH(dense),
    [AE_OP_CONV] = BOTH(conv),
    [AE_OP_DECONV] = BOTH(deconv),
    [AE_OP_MAXPOOL] = BOTH(pool),
    [AE_OP_AVGPOOL] = BOTH(pool),
    [AE_OP_NEAREST] = BOTH(upsample),
    [AE_OP_BILINEAR] = BOTH(upsample),
    [AE_OP_SHUFFLE] = BOTH(move),
    [AE_OP_UNSHUFFLE] = BOTH(move),
    [AE_OP_CONCAT] = BOTH(move),
    [AE_OP_RESHAPE] = BOTH(move),
    [AE_OP_CROP] = BOTH(move),
    [AE_OP_ADD] = BOTH(combine),
    [AE_OP_MUL] = BOTH(combine),
    [AE_OP_SCALE] = BOTH(scale),
    [AE_OP_BATCHNORM] = BOTH(batchnorm),
    [AE_OP_LAYERNORM] = BOTH(layernorm),
    [AE_OP_DROPOUT] = BOTH(dropout),
    [AE_OP_GAUSSIAN] = BOTH(gaussian),
    [AE_OP_NOISE] = BOTH(aei_ref_noise),
    [AE_OP_ACT] = BOTH(copy),
    [AE_OP_ROUND] = BOTH(copy),
    [AE_OP_REVERSE] = BOTH(aei_ref_reverse),
    [AE_OP_EMBED] = BOTH(aei_ref_embed),
    [AE_OP_QUANTISE] = BOTH(aei_ref_quantise),
    [AE_OP_BITS] = BOTH(aei_ref_bits),
    [AE_OP_GATHER] = BOTH(aei_ref_gather),
    [AE_OP_GRU] = BOTH(aei_ref_recurrent),
    [AE_OP_LSTM] = BOTH(aei_ref_recurrent),
    [AE_OP_LAST] = BOTH(aei_ref_time),
    [AE_OP_REPEAT_TIME] = BOTH(aei_ref_time),
    [AE_OP_FLIP] = BOTH(aei_ref_time),
    [AE_OP_SOFTMAX] = BOTH(aei_ref_softmax),
    [AE_OP_UNIT] = BOTH(aei_ref_unit),
    [AE_OP_SHIFT] = BOTH(aei_ref_time),
    [AE_OP_ARGMAX] = BOTH(aei_ref_argmax),
    [AE_OP_NORMALISE] = BOTH(aei_ref_normal),
    [AE_OP_DENORMALISE] = BOTH(aei_ref_normal),
};

const aei_ref_op *aei_ref_op_of(ae_op op)
{
    return (size_t)op < sizeof(definitions) / sizeof(*definitions) && definitions[op].forward
               ? &definitions[op]
               : NULL;
}
