/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How alike the noise of neighbouring pixels is, for the warning that a camera has smoothed it: in
 * the calmest blocks a plane is taken off, and the covariance of what is left with its right and
 * lower neighbours is held against its power. */
#include "train/coarse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* one of so many blocks is taken */
enum { BLOCK = 16, MOST_PICTURES = 8, MOST_BLOCKS = 4096, CALM = 10 };

/* A block without its plane: the power of what is left, and its covariance with the right and the
 * lower neighbour. */
typedef struct block {
    float power, beside;
} block;

static float sample(const ae_signal_info *info, const void *pixels, size_t i)
{
    return info->sample == AE_U8    ? (float)((const uint8_t *)pixels)[i] / 255
           : info->sample == AE_U16 ? (float)((const uint16_t *)pixels)[i] / 65535
                                    : ((const float *)pixels)[i];
}

/* Luminance, or the difference of red and blue. False where a sample is black, white or no number:
 * that is clipped or drawn. */
static bool cut(const ae_signal_info *info, const void *pixels, size_t y0, size_t x0, bool colour,
                float *z)
{
    uint32_t c = info->channels;

    for (size_t y = 0; y < BLOCK; y++)
        for (size_t x = 0; x < BLOCK; x++) {
            size_t at = ((y0 + y) * (size_t)info->width + x0 + x) * c;
            float r = sample(info, pixels, at), g = c < 3 ? r : sample(info, pixels, at + 1),
                  b = c < 3 ? r : sample(info, pixels, at + 2);

            if (!(fminf(r, fminf(g, b)) > 0.01f && fmaxf(r, fmaxf(g, b)) < 0.99f))
                return false;
            z[y * BLOCK + x] = colour ? r - b : (r + g + b) / 3;
        }
    return true;
}

static block judge(float *z)
{
    float mean = 0, across = 0, down = 0, squares = 0, power = 0, beside = 0,
          half = 0.5f * (BLOCK - 1);

    for (int i = 0; i < BLOCK * BLOCK; i++) {
        float x = (float)(i % BLOCK) - half, y = (float)(i / BLOCK) - half;

        mean += z[i] / (BLOCK * BLOCK);
        across += x * z[i];
        down += y * z[i];
        squares += x * x;
    }
    for (int i = 0; i < BLOCK * BLOCK; i++)
        z[i] -= mean + (across * ((float)(i % BLOCK) - half) + down * ((float)(i / BLOCK) - half)) /
                           squares;
    for (int y = 0; y < BLOCK; y++)
        for (int x = 0; x < BLOCK; x++) {
            const float *p = z + y * BLOCK + x;

            power += *p * *p / (BLOCK * BLOCK);
            beside += ((x + 1 < BLOCK ? p[0] * p[1] : 0) + (y + 1 < BLOCK ? p[0] * p[BLOCK] : 0)) /
                      (2 * BLOCK * (BLOCK - 1));
        }
    return (block){power, beside};
}

static int by_power(const void *a, const void *b)
{
    float x = ((const block *)a)->power, y = ((const block *)b)->power;

    return (x > y) - (x < y);
}

/* Blocks with no noise at all say nothing, and the calmest of the others least of what is in the
 * picture. */
static double likeness(block *blocks, size_t n)
{
    double power = 0, beside = 0;

    qsort(blocks, n, sizeof(*blocks), by_power);
    for (size_t i = 0; i < (n + CALM - 1) / CALM; i++) {
        power += (double)blocks[i].power;
        beside += (double)blocks[i].beside;
    }
    return power > 0 ? beside / power : NAN;
}

static double judge_picture(const ae_signal_info *info, const void *pixels, bool colour,
                            block *blocks)
{
    size_t rows = (size_t)info->height / BLOCK, columns = (size_t)info->width / BLOCK;
    size_t every = rows * columns / MOST_BLOCKS + 1, n = 0;
    float z[BLOCK * BLOCK];

    for (size_t i = 0; i < rows * columns; i += every)
        if (cut(info, pixels, i / columns * BLOCK, i % columns * BLOCK, colour, z)) {
            blocks[n] = judge(z);
            n += blocks[n].power > 1e-7f; /* a deviation of 0.08 of 255: less is rounding */
        }
    return likeness(blocks, n);
}

ae_status aei_noise_coarseness(const ae_dataset *data, double *coarseness, ae_error *err)
{
    block *blocks = ae_alloc(MOST_BLOCKS, sizeof(*blocks));
    size_t every = data->n_items / MOST_PICTURES + 1;
    double sum[2] = {0};
    uint32_t n[2] = {0};

    *coarseness = NAN;
    if (!blocks)
        return ae_fail(err, AE_ERR_NOMEM, "training: %d blocks", MOST_BLOCKS);
    for (size_t i = 0; i < data->n_items; i += every) {
        ae_signal_info info = {0};
        void *pixels = NULL;

        if (data->load(data->opaque, i, &info, &pixels, NULL) != AE_OK)
            continue; /* the loader says so when it comes to it */
        for (int colour = 0; colour < (info.channels < 3 ? 1 : 2); colour++) {
            double found = judge_picture(&info, pixels, colour, blocks);

            if (isfinite(found)) {
                sum[colour] += found;
                n[colour]++;
            }
        }
        ae_free(pixels);
    }
    ae_free(blocks);
    for (int colour = 0; colour < 2; colour++)
        if (n[colour])
            *coarseness = fmax(isnan(*coarseness) ? -1 : *coarseness, sum[colour] / n[colour]);
    return AE_OK;
}
