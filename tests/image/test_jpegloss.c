/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/jpegloss.h"

/* The standard's tables again, luminance only, for the plain transform below. */
static const int TABLE[64] = {16,  11,  10,  16,  24, 40, 51,  61,  12,  12,  14,  19,  26,
                              58,  60,  55,  14,  13, 16, 24,  40,  57,  69,  56,  14,  17,
                              22,  29,  51,  87,  80, 62, 18,  22,  37,  56,  68,  109, 103,
                              77,  24,  35,  55,  64, 81, 104, 113, 92,  49,  64,  78,  87,
                              103, 121, 120, 101, 72, 92, 95,  98,  112, 100, 103, 99};

static double basis(int k, int x)
{
    return (k ? 0.5 : sqrt(0.125)) * cos((2 * x + 1) * k * 3.14159265358979323846 / 16);
}

/* One grey block by the definition, in double precision. */
static void lose_block(const float *from, int quality, double *to)
{
    double c[64] = {0};
    int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;

    for (int i = 0; i < 64; i++) {
        int q = (TABLE[i] * scale + 50) / 100;

        for (int j = 0; j < 64; j++)
            c[i] += basis(i / 8, j / 8) * basis(i % 8, j % 8) * (rint((double)from[j] * 255) - 128);
        q = q < 1 ? 1 : q > 255 ? 255 : q;
        c[i] = rint(c[i] / q) * q;
    }
    for (int j = 0; j < 64; j++) {
        to[j] = 128;
        for (int i = 0; i < 64; i++)
            to[j] += basis(i / 8, j / 8) * basis(i % 8, j % 8) * c[i];
        to[j] = fmin(255, fmax(0, rint(to[j]))) / 255;
    }
}

static float sample(int y, int x, int c)
{
    return 0.5f + 0.3f * sinf(0.3f * (float)y + (float)c) * cosf(0.2f * (float)x) +
           0.02f * (float)((x * 7 + y * 13) % 5);
}

static void as_the_standard_says(void **state)
{
    static const int quality[] = {10, 50, 75, 95};
    float picture[32 * 24], block[64];
    void *scratch = ae_alloc(aei_jpeg_loss_scratch(32, 24), 1);
    double expected[64];

    (void)state;
    for (int q = 0; q < 4; q++) {
        aei_jpeg_loss loss = {.quality = quality[q]};
        int off[2] = {0};

        for (int i = 0; i < 32 * 24; i++)
            picture[i] = sample(i / 24, i % 24, 0);
        aei_jpeg_lose(&loss, picture, 32, 24, 1, scratch);
        for (int b = 0; b < 12; b++) {
            for (int i = 0; i < 64; i++)
                block[i] = sample(b / 3 * 8 + i / 8, b % 3 * 8 + i % 8, 0);
            lose_block(block, quality[q], expected);
            for (int i = 0; i < 64; i++)
                off[!(fabs(picture[(b / 3 * 8 + i / 8) * 24 + b % 3 * 8 + i % 8] - expected[i]) <
                      1e-5)]++;
        }
        /* a coefficient or sample half way between two values may fall to either */
        assert_true(off[1] < 32);
    }
    ae_free(scratch);
}

/* The block grid moves with the offset; a flat picture stays as it is; loss falls with quality. */
static void grids_and_qualities(void **state)
{
    enum { H = 37, W = 50 };
    static float before[H * W * 3], a[H * W * 3], b[H * W * 3];
    void *scratch = ae_alloc(aei_jpeg_loss_scratch(H, W), 1);
    double last = 1;

    (void)state;
    for (int i = 0; i < H * W * 3; i++)
        before[i] = sample(i / 3 / W, i / 3 % W, i % 3);
    for (int half = 0; half < 2; half++) {
        last = 1;
        for (int quality = 20; quality <= 100; quality += 20) {
            aei_jpeg_loss loss = {.quality = quality, .halve_chroma = half};
            double sum = 0;

            memcpy(a, before, sizeof(a));
            aei_jpeg_lose(&loss, a, H, W, 3, scratch);
            for (int i = 0; i < H * W * 3; i++)
                sum += ((double)a[i] - before[i]) * ((double)a[i] - before[i]);
            assert_true(sum < last * H * W * 3);
            last = sum / (H * W * 3);
            memcpy(b, before, sizeof(b));
            loss.y = 3;
            aei_jpeg_lose(&loss, b, H, W, 3, scratch);
            assert_true(memcmp(a, b, sizeof(a)) != 0);
        }
        assert_true(last < (half ? 1e-4 : 1.5e-5));
    }
    for (int i = 0; i < H * W * 3; i++)
        a[i] = 128 / 255.0f;
    aei_jpeg_lose(&(aei_jpeg_loss){.quality = 30, .halve_chroma = true, .y = 5, .x = 11}, a, H, W,
                  3, scratch);
    for (int i = 0; i < H * W * 3; i++)
        assert_true(fabsf(a[i] - 128 / 255.0f) < 1e-6f);
    ae_free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_standard_says),
        cmocka_unit_test(grids_and_qualities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
