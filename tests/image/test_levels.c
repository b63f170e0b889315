/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "image/levels.h"

enum { S = 64, N = S * S };

static void check(const char *what, double found, double least, double most)
{
    if (!(found >= least && found <= most))
        fail_msg("%s is %g, not within %g and %g", what, found, least, most);
}

/* Small outputs stay, large ones approach the bound, nothing passes where the level is 0, whatever
 * the output. */
static void test_bound(void **state)
{
    const float level[] = {0.03f, 0.04f, 0.03f, 0.04f, 0, 0, 0, 0};
    float limit = 3 * sqrtf(0.03f * 0.03f + 0.04f * 0.04f * 2 / 3), v[12];

    (void)state;
    for (int i = 0; i < 12; i++)
        v[i] = (i % 2 ? -1.0f : 1.0f) * (i < 3 ? 0.02f : i < 6 ? 1e30f : i < 9 ? INFINITY : NAN);
    aei_bound(3, level, 2, v, 3, 4);
    for (int i = 0; i < 3; i++)
        check("a small change", (i % 2 ? -v[i] : v[i]), 0.01999, 0.0200001);
    for (int i = 3; i < 6; i++)
        check("a large change", (i % 2 ? -v[i] : v[i]), 0.99 * limit, 1.000001 * limit);
    for (int i = 6; i < 12; i++)
        assert_true(v[i] == 0);
}

/* Noise that grows with the brightness is found again, and told where it is. */
static void test_curve(void **state)
{
    float *clean = malloc(3 * N * sizeof(float)), *noisy = malloc(3 * N * sizeof(float)),
          *level = malloc(2 * N * sizeof(float));
    float *scratch = malloc(aei_level_scratch(S, S) * sizeof(float));
    aei_rng r = aei_rng_make(1, 2, 3);
    ae_noise noise;

    (void)state;
    for (int i = 0; i < N; i++)
        for (int c = 0; c < 3; c++) {
            float b = 0.1f + 0.8f * (float)(i / S) / (S - 1);

            clean[3 * i + c] = b;
            noisy[3 * i + c] = b + (0.01f + 0.05f * b) * aei_rng_normal(&r);
        }
    aei_level_measure(noisy, clean, S, S, 3, &noise, scratch);
    aei_level_map(&noise, noisy, S, S, 3, 2, level, scratch);
    for (int y = 4; y < S; y += S - 9) {
        double sigma = 0.01 + 0.05 * (0.1 + 0.8 * y / (S - 1)), sum[2] = {0};

        for (int x = 0; x < S; x++)
            for (int k = 0; k < 2; k++)
                sum[k] += (double)level[2 * (y * S + x) + k] / S;
        check("luminance", sum[0] / (sigma / sqrt(3)), 0.85, 1.2);
        check("chroma", sum[1] / sigma, 0.85, 1.2);
    }
    check("white", (double)noise.white / 255, 0.03, 0.04);
    noise.n_bins = 0;
    aei_level_map(&noise, noisy, S, S, 3, 1, level, scratch);
    assert_true(level[0] == noise.white / 255 && level[N - 1] == level[0]);
    free(clean);
    free(noisy);
    free(level);
    free(scratch);
}

/* A level depends on no more than AEI_LEVEL_REACH pixels around it: tiles rely on that. */
static void test_reach(void **state)
{
    float *image = calloc(N, sizeof(float)), *level = malloc(N * sizeof(float)),
          *other = malloc(N * sizeof(float));
    float *scratch = malloc(aei_level_scratch(S, S) * sizeof(float));
    ae_noise noise = {.n_bins = AE_NOISE_BINS};
    int touched = 0, at = S / 2;

    (void)state;
    for (int b = 0; b < AE_NOISE_BINS; b++)
        noise.luminance_at[b] = 1 + (float)b;
    aei_level_map(&noise, image, S, S, 1, 1, level, scratch);
    image[at * S + at] = 1;
    aei_level_map(&noise, image, S, S, 1, 1, other, scratch);
    for (int y = 0; y < S; y++)
        for (int x = 0; x < S; x++)
            if (level[y * S + x] != other[y * S + x]) {
                assert_true(abs(y - at) <= AEI_LEVEL_REACH && abs(x - at) <= AEI_LEVEL_REACH);
                touched++;
            }
    assert_int_equal(touched, (2 * AEI_LEVEL_REACH + 1) * (2 * AEI_LEVEL_REACH + 1));
    free(image);
    free(level);
    free(other);
    free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bound), cmocka_unit_test(test_curve),
                                       cmocka_unit_test(test_reach)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
