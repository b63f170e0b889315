/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/corrupt.h"
#include "train/warp.h"

enum { S = 64, N = S * S };

static float scene(uint32_t i)
{
    return 0.5f + 0.3f * sinf(0.05f * (float)(i % S)) * cosf(0.04f * (float)(i / S));
}

static void deviations(void **state)
{
    static float a[N * 3], b[N * 3];
    aei_told t;

    (void)state;
    for (int i = 0; i < N * 3; i++) {
        a[i] = scene((uint32_t)i / 3);
        b[i] = a[i] + (i / 3 % 2 ? 0.1f : -0.1f); /* luminance alone */
    }
    t = aei_deviation(b, a, N, 3);
    assert_true(fabsf(t.white - 0.1f) < 1e-6f && fabsf(t.luminance - 0.1f) < 1e-6f &&
                t.chroma < 1e-3f);
    /* (R - B) / sqrt 2 alone: deviation 0.2 there, none along the other difference */
    for (int i = 0; i < N * 3; i++)
        b[i] = a[i] + (i % 3 == 1   ? 0
                       : i % 3 == 0 ? 0.2f / sqrtf(2)
                                    : -0.2f / sqrtf(2)) *
                          (i / 3 % 2 ? 1.0f : -1.0f);
    t = aei_deviation(b, a, N, 3);
    assert_true(t.luminance < 1e-6f && fabsf(t.chroma - 0.2f / sqrtf(2)) < 1e-6f);
    t = aei_deviation(b, a, N, 1);
    assert_true(t.luminance == t.white && t.chroma < 1e-6f);
}

static void white_noise_is_found(void **state)
{
    static float clean[N * 3], noisy[N * 3];
    float *scratch = ae_alloc(N * 3, sizeof(float));

    (void)state;
    for (uint32_t c = 1; c <= 3; c += 2)
        for (int i = 1; i < 6; i++) {
            aei_rng r = aei_rng_make(1, (uint64_t)i, c);
            float sigma = 0.03f * (float)i;

            for (uint32_t k = 0; k < N * c; k++) {
                clean[k] = scene(k / c);
                noisy[k] = clean[k] + sigma * aei_rng_normal(&r);
            }
            assert_true(fabsf(aei_guess_white(noisy, S, S, c, scratch) / sigma - 1) < 0.12f);
            assert_true(aei_guess_white(clean, S, S, c, scratch) < 0.002f);
        }
    ae_free(scratch);
}

/* Each 7 x 7 block has at most one marked pixel, whose value is that of a neighbour at most two
 * away. */
static void blind_spots(void **state)
{
    enum { H = 33, W = 40 };
    static float noisy[H * W], masked[H * W], weight[H * W];
    aei_rng r = aei_rng_make(5, 5, 5);
    int marked = 0;

    (void)state;
    for (int i = 0; i < H * W; i++)
        noisy[i] = (float)i;
    for (int round = 0; round < 50; round++) {
        int in_block[5][6] = {{0}};

        aei_blind_spots(&r, noisy, H, W, 1, masked, weight);
        for (int i = 0; i < H * W; i++) {
            int from = (int)masked[i];

            if (weight[i] == 0) {
                assert_true(masked[i] == noisy[i]);
                continue;
            }
            marked++;
            assert_int_equal(++in_block[i / W / 7][i % W / 7], 1);
            assert_true(abs(from / W - i / W) <= 2 && abs(from % W - i % W) <= 2);
            assert_true(from != i);
        }
    }
    assert_true(marked > 50 * H * W / 49 * 9 / 10 && marked < 50 * 5 * 6);
}

static void misfits_are_refused(void **state)
{
    static ae_recipe r;
    ae_error err;

    (void)state;
    r.n_corruptions = 2;
    r.corruptions[0].kind = AE_CORRUPT_CAMERA;
    r.corruptions[1].kind = AE_CORRUPT_JPEG;
    assert_int_equal(aei_corrupt_check(&r, 16, 16, &err), AE_OK);
    assert_int_equal(aei_corrupt_check(&r, 16, 1, &err), AE_ERR_UNSUPPORTED);
    r.corruptions[0].kind = AE_CORRUPT_JPEG;
    r.corruptions[1].kind = AE_CORRUPT_CAMERA;
    assert_int_equal(aei_corrupt_check(&r, 16, 16, &err), AE_ERR_UNSUPPORTED);
    r.one_of = true;
    assert_int_equal(aei_corrupt_check(&r, 16, 16, &err), AE_OK);
    r.task = AE_TASK_SUPERRES;
    assert_int_equal(aei_corrupt_check(&r, 16, 16, &err), AE_ERR_UNSUPPORTED);
}

/* A bright spot in the middle moves by the deviation asked for; nothing brightens. */
static void warps_move(void **state)
{
    static float picture[N], before[N], scratch[N];
    aei_rng rng = aei_rng_make(3, 0, 0);
    double squares = 0;

    (void)state;
    for (int round = 0; round < 300; round++) {
        double x = 0, y = 0, sum = 0;

        for (uint32_t i = 0; i < N; i++)
            picture[i] = expf(-0.125f * (((float)(i % S) - 31.5f) * ((float)(i % S) - 31.5f) +
                                         ((float)(i / S) - 31.5f) * ((float)(i / S) - 31.5f)));
        aei_warp(&rng, picture, S, S, 1, 3, scratch);
        for (uint32_t i = 0; i < N; i++) {
            assert_true(picture[i] >= 0 && picture[i] <= 1);
            sum += (double)picture[i];
            x += (double)picture[i] * ((double)(i % S) - 31.5);
            y += (double)picture[i] * ((double)(i / S) - 31.5);
        }
        squares += (x * x + y * y) / (sum * sum) / 600;
    }
    assert_true(sqrt(squares) > 2.6 && sqrt(squares) < 3.5);
    memcpy(before, picture, sizeof(before));
    aei_warp(&rng, picture, S, S, 1, 0, scratch);
    assert_memory_equal(before, picture, sizeof(before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deviations),          cmocka_unit_test(white_noise_is_found),
        cmocka_unit_test(blind_spots),         cmocka_unit_test(warps_move),
        cmocka_unit_test(misfits_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
