/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A binomial filter of five numbers stands for the Gaussian of deviation one, along rows and then
 * along columns. */
#include "common/misfit.h"

#include <math.h>

enum { PICTURE = 8, REACH = 2 };

static const float binomial[2 * REACH + 1] = {1 / 16.0f, 4 / 16.0f, 6 / 16.0f, 4 / 16.0f,
                                              1 / 16.0f};

/* n numbers a `step` apart; nothing lies beyond the ends. */
static void smooth(const float *from, float *to, uint32_t n, size_t step)
{
    for (uint32_t i = 0; i < n; i++) {
        float sum = 0;

        for (int k = -REACH; k <= REACH; k++)
            if ((int64_t)i + k >= 0 && (int64_t)i + k < n)
                sum += binomial[k + REACH] * from[(size_t)((int64_t)i + k) * step];
        to[i * step] = sum;
    }
}

static double mean_square(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum / (double)n;
}

double misfit(const float *item, const float *made, ae_shape s, float *scratch)
{
    size_t n = (size_t)s.h * s.w * s.c, row = (size_t)s.w * s.c;
    float *difference = scratch, *smoothed = scratch + n;
    double size;

    for (size_t i = 0; i < n; i++)
        difference[i] = item[i] - made[i];
    if (s.h < PICTURE || s.w < PICTURE)
        return mean_square(difference, n);
    for (uint32_t y = 0; y < s.h; y++)
        for (uint32_t c = 0; c < s.c; c++)
            smooth(difference + y * row + c, smoothed + y * row + c, s.w, s.c);
    for (size_t x = 0; x < row; x++)
        smooth(smoothed + x, difference + x, s.h, row);
    size = sqrt(0.5 * (mean_square(item, n) + mean_square(made, n)));
    return mean_square(difference, n) / fmax(size, 1e-6);
}
