/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Resampling by separable filters, as a table of weights for each output sample. */
#include "image/resize.h"

#include "core/clones.h"

#include <math.h>
#include <string.h>

static double cubic(double x)
{
    x = fabs(x);
    if (x <= 1)
        return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

static double sinc(double x)
{
    x *= 3.14159265358979323846;
    return x == 0 ? 1 : sin(x) / x;
}

static const double reach[] = {
    [AE_BICUBIC] = 2, [AE_LANCZOS] = 3, [AE_AREA] = 0.5, [AE_BILINEAR] = 1};

static double kernel(ae_filter filter, double x)
{
    switch (filter) {
    case AE_LANCZOS: return fabs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
    case AE_AREA: return x >= -0.5 && x < 0.5;
    case AE_BILINEAR: return fabs(x) < 1 ? 1 - fabs(x) : 0;
    default: return cubic(x);
    }
}

uint32_t aei_filter_taps(ae_filter filter, uint32_t n, uint32_t n_out)
{
    double scale = (double)n_out / n, width = 2 * reach[filter];

    return (uint32_t)ceil(scale < 1 ? width / scale : width) + 2;
}

int64_t aei_filter_weights(ae_filter filter, uint32_t n, uint32_t n_out, uint32_t x,
                           double *weights)
{
    double scale = (double)n_out / n, shrink = scale < 1 ? scale : 1, u = (x + 0.5) / scale - 0.5,
           sum = 0;
    int64_t first = (int64_t)floor(u - reach[filter] / shrink);
    uint32_t taps = aei_filter_taps(filter, n, n_out);

    for (uint32_t t = 0; t < taps; t++)
        sum += weights[t] = kernel(filter, shrink * (u - (double)(first + t)));
    for (uint32_t t = 0; t < taps; t++)
        weights[t] /= sum;
    return first;
}

uint32_t aei_mirror_whole(int64_t i, uint32_t n)
{
    int64_t period = 2 * (int64_t)n;

    i = (i % period + period) % period;
    return (uint32_t)(i < n ? i : period - 1 - i);
}

/* One addend of an output sample. Sums are made from the first tap on, in f32, whatever the
 * vectors. */
typedef struct tap {
    uint32_t at;
    float weight;
} tap;

/* sample x: taps first[x] to first[x + 1] */
typedef struct axis {
    const tap *taps;
    const uint32_t *first;
} axis;

enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float four __attribute__((vector_size(4 * sizeof(float))));

static axis plan_axis(ae_filter filter, uint32_t n, uint32_t n_out, tap *taps, uint32_t *first,
                      double *weights)
{
    uint32_t most = aei_filter_taps(filter, n, n_out), k = 0;

    for (uint32_t x = 0; x < n_out; x++) {
        int64_t at = aei_filter_weights(filter, n, n_out, x, weights);

        first[x] = k;
        for (uint32_t t = 0; t < most; t++)
            if (weights[t] != 0)
                taps[k++] = (tap){aei_mirror_whole(at + t, n), (float)weights[t]};
    }
    first[n_out] = k;
    return (axis){taps, first};
}

/* to = the weighted sum of rows of n floats. */
AEI_CLONES
static void sum_rows(float *restrict to, const float *restrict from, const tap *taps,
                     uint32_t n_taps, size_t n)
{
    enum { WIDTH = 4 * LANES };
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        lanes sum[4] = {{0}}, v[4];

        for (uint32_t t = 0; t < n_taps; t++) {
            memcpy(v, from + taps[t].at * n + i, sizeof(v));
            for (int k = 0; k < 4; k++)
                sum[k] += taps[t].weight * v[k];
        }
        memcpy(to + i, sum, sizeof(sum));
    }
    for (; i < n; i++) {
        float sum = 0;

        for (uint32_t t = 0; t < n_taps; t++)
            sum += taps[t].weight * from[taps[t].at * n + i];
        to[i] = sum;
    }
}

/* Likewise of columns, each of c x LANES floats: LANES rows of a picture side by side. */
AEI_CLONES
static void sum_columns(float *restrict to, const float *restrict from, const axis *a,
                        uint32_t n_out, uint32_t c)
{
    for (uint32_t x = 0; x < n_out; x++)
        for (uint32_t i = 0; i < c; i++) {
            lanes sum = {0}, v;

            for (uint32_t t = a->first[x]; t < a->first[x + 1]; t++) {
                memcpy(&v, from + ((size_t)a->taps[t].at * c + i) * LANES, sizeof(v));
                sum += a->taps[t].weight * v;
            }
            memcpy(to + ((size_t)x * c + i) * LANES, &sum, sizeof(sum));
        }
}

/* A matrix of rows x n floats, at strides of their own, to its transpose. */
static void transpose(const float *from, size_t stride, uint32_t rows, size_t n, float *to,
                      size_t to_stride)
{
    uint32_t r = 0;

    for (; r + 4 <= rows; r += 4) {
        const float *f = from + r * stride;
        size_t k = 0;

        for (; k + 4 <= n; k += 4) {
            four a, b, c, d, e, g, h, j;

            memcpy(&a, f + k, sizeof(a));
            memcpy(&b, f + stride + k, sizeof(b));
            memcpy(&c, f + 2 * stride + k, sizeof(c));
            memcpy(&d, f + 3 * stride + k, sizeof(d));
            e = __builtin_shufflevector(a, b, 0, 4, 1, 5);
            g = __builtin_shufflevector(c, d, 0, 4, 1, 5);
            h = __builtin_shufflevector(a, b, 2, 6, 3, 7);
            j = __builtin_shufflevector(c, d, 2, 6, 3, 7);
            a = __builtin_shufflevector(e, g, 0, 1, 4, 5);
            b = __builtin_shufflevector(e, g, 2, 3, 6, 7);
            c = __builtin_shufflevector(h, j, 0, 1, 4, 5);
            d = __builtin_shufflevector(h, j, 2, 3, 6, 7);
            memcpy(to + k * to_stride + r, &a, sizeof(a));
            memcpy(to + (k + 1) * to_stride + r, &b, sizeof(b));
            memcpy(to + (k + 2) * to_stride + r, &c, sizeof(c));
            memcpy(to + (k + 3) * to_stride + r, &d, sizeof(d));
        }
        for (; k < n; k++)
            for (uint32_t i = 0; i < 4; i++)
                to[k * to_stride + r + i] = f[i * stride + k];
    }
    for (; r < rows; r++)
        for (size_t k = 0; k < n; k++)
            to[k * to_stride + r] = from[r * stride + k];
}

size_t aei_resize_scratch(uint32_t h, uint32_t w, uint32_t c, uint32_t out_h, uint32_t out_w)
{
    size_t down = aei_filter_taps(AE_LANCZOS, h, out_h),
           along = aei_filter_taps(AE_LANCZOS, w, out_w);
    size_t addends = out_h * down + out_w * along, ends = (size_t)out_h + out_w + 2;
    size_t floats = ((size_t)out_h * w + LANES * ((size_t)w + out_w)) * c;

    return (down + along) * sizeof(double) + addends * sizeof(tap) + ends * sizeof(uint32_t) +
           floats * sizeof(float);
}

void aei_resize(ae_filter filter, const float *from, uint32_t h, uint32_t w, uint32_t c, float *to,
                uint32_t out_h, uint32_t out_w, void *scratch)
{
    uint32_t down = aei_filter_taps(filter, h, out_h), along = aei_filter_taps(filter, w, out_w);
    double *weights = scratch;
    tap *y_taps = (tap *)(weights + down + along), *x_taps = y_taps + (size_t)out_h * down;
    uint32_t *y_first = (uint32_t *)(x_taps + (size_t)out_w * along),
             *x_first = y_first + out_h + 1;
    float *low = (float *)(x_first + out_w + 1), *columns = low + (size_t)out_h * w * c,
          *sums = columns + (size_t)LANES * w * c;
    axis y = plan_axis(filter, h, out_h, y_taps, y_first, weights),
         x = plan_axis(filter, w, out_w, x_taps, x_first, weights);

    for (uint32_t r = 0; r < out_h; r++)
        sum_rows(low + (size_t)r * w * c, from, y.taps + y.first[r], y.first[r + 1] - y.first[r],
                 (size_t)w * c);
    for (uint32_t r = 0; r < out_h; r += LANES) {
        uint32_t rows = out_h - r < LANES ? out_h - r : LANES;

        memset(columns, 0, rows < LANES ? (size_t)LANES * w * c * sizeof(*columns) : 0);
        transpose(low + (size_t)r * w * c, (size_t)w * c, rows, (size_t)w * c, columns, LANES);
        sum_columns(sums, columns, &x, out_w, c);
        /* in blocks that stay in the cache */
        for (size_t k = 0; k < (size_t)out_w * c; k += LANES) {
            size_t n = (size_t)out_w * c - k < LANES ? (size_t)out_w * c - k : LANES;

            transpose(sums + k * LANES, LANES, (uint32_t)n, rows, to + r * (size_t)out_w * c + k,
                      (size_t)out_w * c);
        }
    }
}
