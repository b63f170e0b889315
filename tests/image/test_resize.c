/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "image/resize.h"

/* Frozen from a direct transcription of imresize's weights into dense matrices (double precision).
 */
/* samples 0, 1, w-1, w, w*h/2, w*h-2, w*h-1 */
typedef struct known {
    uint32_t h, w;
    float v[7];
} known;
static const known KNOWN[] = {
    {3, 4, {0.2840181f, 0.7400096f, 0.435709f, 0.4955612f, 0.6832602f, 0.3100556f, 0.5082792f}},
    {12, 18, {-0.0445605f, -0.0334521f, 0.830498f, 0.0616577f, 0.266936f, 0.8233618f, 1.0468164f}},
    {2, 3, {0.4237052f, 0.6797805f, 0.4161439f, 0.4567886f, 0.4567886f, 0.4854047f, 0.4515104f}},
    {5, 7, {0.028872f, 0.4412158f, 0.670527f, 0.4651659f, 0.8509874f, 0.2470608f, 0.728864f}},
};

static void resize(const float *from, uint32_t h, uint32_t w, uint32_t c, float *to, uint32_t oh,
                   uint32_t ow)
{
    void *scratch = ae_alloc(aei_resize_scratch(h, w, c, oh, ow), 1);

    assert_non_null(scratch);
    aei_resize(AE_BICUBIC, from, h, w, c, to, oh, ow, scratch);
    ae_free(scratch);
}

static void as_imresize_does(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 3; c += 2)
        for (size_t t = 0; t < sizeof(KNOWN) / sizeof(KNOWN[0]); t++) {
            float from[6 * 9 * 3], to[12 * 18 * 3];
            uint32_t h = KNOWN[t].h, w = KNOWN[t].w,
                     at[7] = {0, 1, w - 1, w, w * h / 2, w * h - 2, w * h - 1};

            for (uint32_t i = 0; i < 54 * c; i++) {
                uint32_t y = i / c / 9, x = i / c % 9;

                from[i] = (float)((37 * y * y + 11 * x * x * x + 5 * x * y) % 101) / 100.0f +
                          (float)(i % c);
            }
            resize(from, 6, 9, c, to, h, w);
            for (uint32_t i = 0; i < 7; i++)
                for (uint32_t k = 0; k < c; k++)
                    assert_true(fabsf(to[at[i] * c + k] - (float)k - KNOWN[t].v[i]) < 2e-6f);
        }
}

static void rows_and_ramps(void **state)
{
    float ramp[4] = {1, 2, 3, 4}, step[2] = {0, 1}, flat[35], to[64];

    (void)state;
    resize(ramp, 1, 4, 1, to, 1, 2);
    assert_true(fabsf(to[0] - 1.4609375f) < 1e-6f && fabsf(to[1] - 3.5390625f) < 1e-6f);
    resize(step, 2, 1, 1, to, 4, 1);
    assert_true(fabsf(to[0] + 0.09375f) < 1e-6f && fabsf(to[1] - 0.203125f) < 1e-6f &&
                fabsf(to[3] - 1.09375f) < 1e-6f);
    for (int i = 0; i < 35; i++)
        flat[i] = 0.7f;
    resize(flat, 5, 7, 1, to, 8, 3);
    for (int i = 0; i < 24; i++)
        assert_true(fabsf(to[i] - 0.7f) < 1e-6f);
    resize(ramp, 2, 2, 1, to, 2, 2); /* the same size: nothing changes */
    for (int i = 0; i < 4; i++)
        assert_true(to[i] == ramp[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_imresize_does),
        cmocka_unit_test(rows_and_ramps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
