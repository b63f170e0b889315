/* SPDX-License-Identifier: BSD-2-Clause */
#include "image/quality.h"

#include <math.h>

enum { WINDOW = 11 };

static double byte_of(float v)
{
    return rint(255.0 * (v > 0 ? (v < 1 ? (double)v : 1) : 0));
}

double aei_psnr(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double d = byte_of(a[i]) - byte_of(b[i]);

        sum += d * d;
    }
    return sum > 0 ? 10 * log10(255.0 * 255.0 * (double)n / sum) : INFINITY;
}

static double luma(const float *p, uint32_t c)
{
    return c == 1 ? byte_of(p[0]) : 0.299 * byte_of(p[0]) + 0.587 * byte_of(p[1]) + 0.114 * byte_of(p[2]);
}

ae_status aei_ssim(const float *a, const float *b, uint32_t h, uint32_t w, uint32_t c, double *out, ae_error *err)
{
    enum { A, B, AA, BB, AB, MOMENTS };
    static const double C1 = 0.01 * 255 * 0.01 * 255, C2 = 0.03 * 255 * 0.03 * 255;
    size_t n = (size_t)h * w;
    double *rows, kernel[WINDOW], total = 0, sum = 0;

    if (h < WINDOW || w < WINDOW)
        return ae_fail(err, AE_ERR_ARGUMENT, "structural similarity of %u x %u pixels", w, h);
    rows = ae_alloc(n, MOMENTS * sizeof(*rows)); /* smoothed along rows: five moments at each pixel */
    if (!rows)
        return ae_fail(err, AE_ERR_NOMEM, "structural similarity of %u x %u pixels", w, h);
    for (int i = 0; i < WINDOW; i++)
        total += kernel[i] = exp(-(i - WINDOW / 2) * (i - WINDOW / 2) / (2 * 1.5 * 1.5));
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            double va = luma(a + ((size_t)y * w + x) * c, c), vb = luma(b + ((size_t)y * w + x) * c, c);
            double m[MOMENTS] = {va, vb, va * va, vb * vb, va * vb};

            for (uint32_t i = 0; i < WINDOW; i++)
                if (x >= i && x - i + WINDOW <= w)
                    for (int k = 0; k < MOMENTS; k++)
                        rows[((size_t)y * w + x - i) * MOMENTS + k] += kernel[i] / total * m[k];
        }
    for (uint32_t y = 0; y + WINDOW <= h; y++)
        for (uint32_t x = 0; x + WINDOW <= w; x++) {
            double m[MOMENTS] = {0};

            for (uint32_t i = 0; i < WINDOW; i++)
                for (int k = 0; k < MOMENTS; k++)
                    m[k] += kernel[i] / total * rows[((size_t)(y + i) * w + x) * MOMENTS + k];
            sum += (2 * m[A] * m[B] + C1) * (2 * (m[AB] - m[A] * m[B]) + C2) /
                   ((m[A] * m[A] + m[B] * m[B] + C1) * (m[AA] - m[A] * m[A] + m[BB] - m[B] * m[B] + C2));
        }
    *out = sum / ((double)(h - WINDOW + 1) * (w - WINDOW + 1));
    ae_free(rows);
    return AE_OK;
}
