/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/patterns.h"

static float *draw(uint64_t seed, uint64_t index, uint32_t h, uint32_t w)
{
    float *rgb = malloc(3 * sizeof(float) * h * w);

    assert_non_null(rgb);
    memset(rgb, 0xff, 3 * sizeof(float) * h * w); /* NaN: what is not drawn is seen */
    aei_pattern_draw(seed, index, h, w, rgb);
    return rgb;
}

/* Bytes of a picture, whatever its size. */
static void whole_bytes(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {1, 97}, {70, 2}, {9, 9}, {33, 47}, {128, 96}};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
        for (uint64_t i = 0; i < 300; i++) {
            uint32_t h = sizes[s][0], w = sizes[s][1];
            float *rgb = draw(7, i, h, w);

            for (size_t k = 0; k < 3 * (size_t)h * w; k++)
                assert_true(rgb[k] >= 0 && rgb[k] <= 1 &&
                            fabsf(255 * rgb[k] - rintf(255 * rgb[k])) < 1e-4f);
            free(rgb);
        }
}

/* The same numbers draw the same picture; another seed or index another one, but for what is flat.
 */
static void repeatable(void **state)
{
    size_t n = 3 * 64 * 64 * sizeof(float);
    int same_seed = 0, same_index = 0;

    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        float *a = draw(1, i, 64, 64), *b = draw(1, i, 64, 64), *c = draw(2, i, 64, 64);
        float *d = draw(1, i + AEI_PATTERN_KINDS, 64, 64);

        assert_memory_equal(a, b, n);
        same_seed += !memcmp(a, c, n);
        same_index += !memcmp(a, d, n);
        free(a);
        free(b);
        free(c);
        free(d);
    }
    assert_true(same_seed <= 3 && same_index <= 3);
}

/* Every kind has contrast from pixel to pixel, which photographs lack: what they are drawn for.
 * Flat colours come, too. */
static void kinds(void **state)
{
    (void)state;
    for (uint64_t kind = 0; kind < AEI_PATTERN_KINDS; kind++) {
        int steep = 0;

        for (uint64_t k = 0; k < kind; k++)
            assert_string_not_equal(aei_pattern_name(k), aei_pattern_name(kind));
        assert_string_equal(aei_pattern_name(kind), aei_pattern_name(kind + AEI_PATTERN_KINDS));
        for (uint64_t i = 0; i < 20; i++) {
            float *rgb = draw(3, kind + i * AEI_PATTERN_KINDS, 64, 64), largest = 0;

            for (size_t k = 3; k < 3 * 64 * 64; k++)
                if (k % (3 * 64) >= 3)
                    largest = fmaxf(largest, fabsf(rgb[k] - rgb[k - 3]));
            steep += largest > 0.25f;
            free(rgb);
        }
        assert_true(steep >= 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_bytes), cmocka_unit_test(repeatable),
                                       cmocka_unit_test(kinds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
