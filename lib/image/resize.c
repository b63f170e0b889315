/* SPDX-License-Identifier: BSD-2-Clause */
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

static const double reach[] = {[AE_BICUBIC] = 2, [AE_LANCZOS] = 3, [AE_AREA] = 0.5, [AE_BILINEAR] = 1};

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

int64_t aei_filter_weights(ae_filter filter, uint32_t n, uint32_t n_out, uint32_t x, double *weights)
{
    double scale = (double)n_out / n, shrink = scale < 1 ? scale : 1, u = (x + 0.5) / scale - 0.5, sum = 0;
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

AEI_CLONES
static void add_row(float *restrict to, const float *restrict from, float weight, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += weight * from[i];
}

/* Resamples n rows of `length` floats to n_out. */
static void resample_rows(ae_filter filter, const float *from, uint32_t n, size_t length, float *to, uint32_t n_out, double *weights)
{
    uint32_t taps = aei_filter_taps(filter, n, n_out);

    memset(to, 0, n_out * length * sizeof(*to));
    for (uint32_t x = 0; x < n_out; x++) {
        int64_t first = aei_filter_weights(filter, n, n_out, x, weights);

        for (uint32_t t = 0; t < taps; t++)
            if (weights[t] != 0)
                add_row(to + x * length, from + aei_mirror_whole(first + t, n) * length, (float)weights[t], length);
    }
}

/* h x w pixels to w x h, in blocks that stay in the cache. */
static void transpose(const float *from, uint32_t h, uint32_t w, uint32_t c, float *to)
{
    enum { BLOCK = 32 };

    for (uint32_t y0 = 0; y0 < h; y0 += BLOCK)
        for (uint32_t x0 = 0; x0 < w; x0 += BLOCK)
            for (uint32_t x = x0; x < w && x < x0 + BLOCK; x++)
                for (uint32_t y = y0; y < h && y < y0 + BLOCK; y++)
                    for (uint32_t i = 0; i < c; i++)
                        to[((size_t)x * h + y) * c + i] = from[((size_t)y * w + x) * c + i];
}

static uint32_t most_taps(ae_filter filter, uint32_t h, uint32_t w, uint32_t out_h, uint32_t out_w)
{
    uint32_t down = aei_filter_taps(filter, h, out_h), along = aei_filter_taps(filter, w, out_w);

    return down > along ? down : along;
}

size_t aei_resize_scratch(uint32_t h, uint32_t w, uint32_t c, uint32_t out_h, uint32_t out_w)
{
    uint32_t taps = most_taps(AE_LANCZOS, h, w, out_h, out_w), widest = w > out_w ? w : out_w;

    return taps * sizeof(double) + 2 * (size_t)out_h * widest * c * sizeof(float);
}

void aei_resize(ae_filter filter, const float *from, uint32_t h, uint32_t w, uint32_t c, float *to, uint32_t out_h, uint32_t out_w,
                void *scratch)
{
    uint32_t widest = w > out_w ? w : out_w;
    double *weights = scratch;
    float *a = (float *)(weights + most_taps(filter, h, w, out_h, out_w)), *b = a + (size_t)out_h * widest * c;

    resample_rows(filter, from, h, (size_t)w * c, a, out_h, weights);
    transpose(a, out_h, w, c, b);
    resample_rows(filter, b, w, (size_t)out_h * c, a, out_w, weights);
    transpose(a, out_w, out_h, c, to);
}
