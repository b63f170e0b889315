/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Conversion between rows of samples and the windows in f32 that networks compute on: edges are
 * mirrored, types of 8 and 16 bits and floats are widened on the way in, blended and rounded to
 * nearest even on the way out. */
#include "image/window.h"

#include <float.h>
#include <math.h>
#include <string.h>

uint64_t aei_mirror(int64_t y, uint64_t n)
{
    int64_t period = 2 * ((int64_t)n - 1);

    if (n == 1)
        return 0;
    y %= period;
    if (y < 0)
        y += period;
    return (uint64_t)(y < (int64_t)n ? y : period - y);
}

/* Pixels [x, x + n), all within the picture. */
static void load_inside(const aei_window_format *f, const void *row, uint64_t x, uint32_t n,
                        float *to)
{
    size_t step = f->channels, at = x * step + f->plane, planes = f->planes;
    float pixel = 0;

    if (planes == step) {
        ae_samples_to_f32(f->sample, (const uint8_t *)row + x * step * ae_sample_bytes(f->sample),
                          to, n * step);
    } else {
        size_t next = f->colours == 3 && planes == 3; /* 0: one sample fills all planes */

        for (size_t i = 0; i < n; i++, at += step)
            for (size_t c = 0; c < planes; c++) {
                size_t k = at + c * next;

                switch (f->sample) {
                case AE_U8: pixel = (float)((const uint8_t *)row)[k] / 255.0f; break;
                case AE_U16: pixel = (float)((const uint16_t *)row)[k] / 65535.0f; break;
                default: pixel = ((const float *)row)[k]; break;
                }
                to[i * planes + c] = pixel;
            }
    }
    if (f->sample == AE_F32)
        for (size_t i = 0; i < n * planes; i++)
            to[i] = isfinite(to[i]) ? to[i] : 0;
}

void aei_window_load(const aei_window_format *f, const void *row, int64_t x, uint32_t n, float *to)
{
    int64_t first = x > 0 ? x : 0, end = x + n < (int64_t)f->width ? x + n : (int64_t)f->width;
    size_t pixel = f->planes * sizeof(float);

    load_inside(f, row, (uint64_t)first, (uint32_t)(end - first), to + (first - x) * f->planes);
    for (int64_t i = first - 1; i >= x; i--) {
        int64_t from = (int64_t)aei_mirror(i, f->width);

        memcpy(to + (i - x) * f->planes, to + ((from < end ? from : end - 1) - x) * f->planes,
               pixel);
    }
    for (int64_t i = end; i < x + n; i++) {
        int64_t from = (int64_t)aei_mirror(i, f->width);

        memcpy(to + (i - x) * f->planes, to + ((from >= first ? from : first) - x) * f->planes,
               pixel);
    }
}

static inline float calm(float v, float slack)
{
    float over = fminf(v - 1 - slack, 1e9f), under = fminf(-v - slack, 1e9f);

    return over > 0    ? 1 + slack + over / (1 + 2 * over)
           : under > 0 ? -slack - under / (1 + 2 * under)
                       : v;
}

void aei_calm(float *values, size_t n, float slack)
{
    for (size_t i = 0; i < n; i++)
        values[i] = calm(values[i], slack);
}

float aei_correction(float value, float correction, float slack)
{
    float beyond = value > 1 + slack ? value - 1 - slack : value < -slack ? -value - slack : 0;

    if (!(beyond > 0))
        return correction;
    if (beyond > FLT_MAX / 4) /* infinity, too */
        return 0;
    return (correction < 0.25f ? correction > -0.25f ? correction : -0.25f : 0.25f) * (1 + beyond);
}

/* in + strength * (net * white [- in]), clipped to [0, white], rounded. Adding and taking away 1.5
 * * 2^23 rounds to nearest even, as rintf does, in instructions that every x86-64 has and that
 * vectorise. */
static inline float blend(float in, float net, float strength, float base, float white)
{
    float v = in + strength * (net * white - base * in);

    v = v > 0 ? v : 0;
    v = v < white ? v : white;
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

#define STORE(name, type, white)                                                                   \
    static void name(const type *in, const float *net, type *out, size_t n, float strength,        \
                     float base)                                                                   \
    {                                                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            out[i] = (type)(int32_t)blend(in[i], net[i], strength, base, white);                   \
    }

STORE(store_u8, uint8_t, 255.0f)
STORE(store_u16, uint16_t, 65535.0f)

static void store_f32(const float *in, const float *net, float *out, size_t n, float strength,
                      float base, float slack)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] +
                 aei_correction(in[i], strength * (net[i] - base * calm(in[i], slack)), slack);
}

static void store_samples(const aei_window_format *f, const void *row, const float *net, void *out,
                          size_t at, size_t n, float strength, float base)
{
    switch (f->sample) {
    case AE_U8:
        store_u8((const uint8_t *)row + at, net, (uint8_t *)out + at, n, strength, base);
        break;
    case AE_U16:
        store_u16((const uint16_t *)row + at, net, (uint16_t *)out + at, n, strength, base);
        break;
    default:
        store_f32((const float *)row + at, net, (float *)out + at, n, strength, base, f->slack);
        break;
    }
}

void aei_window_store(const aei_window_format *f, const void *row, const float *net, uint32_t x,
                      uint32_t n, float strength, bool residual, void *out)
{
    size_t step = f->channels, at = x * step + f->plane;
    float base = residual ? 0.0f : 1.0f;

    if (f->planes == step) {
        store_samples(f, row, net, out, at, n * step, strength, base);
    } else if (f->colours == f->planes || f->planes == 1) {
        for (size_t i = 0; i < n; i++, at += step)
            store_samples(f, row, net + i * f->planes, out, at, f->planes, strength, base);
    } else {
        for (size_t i = 0; i < n; i++, at += step) {
            float mean = (net[3 * i] + net[3 * i + 1] + net[3 * i + 2]) / 3.0f;

            store_samples(f, row, &mean, out, at, 1, strength, base);
        }
    }
}
