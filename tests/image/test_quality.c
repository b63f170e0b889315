/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image/quality.h"

enum { H = 24, W = 30 };

static double formula(int y, int x, int c, int s)
{
    return (7 * y * y + 3 * x * y * s + 5 * x * (c + 1) + s * 11) % (97 + c) / 100.0;
}

static float a[H * W * 3], b[H * W * 3];

static int paint(void **state)
{
    (void)state;
    for (int i = 0; i < H * W * 3; i++) {
        int y = i / 3 / W, x = i / 3 % W, c = i % 3;

        a[i] = (float)formula(y, x, c, 1);
        b[i] = (float)(formula(y, x, c, 1) * 0.8 + 0.2 * formula(y, x, c, 2));
    }
    return 0;
}

/* Expected values from an independent computation with plain two-dimensional sums. */
static void psnr_is_known(void **state)
{
    float out[3] = {-4, 0.5f, 7}, in[3] = {0, 128 / 255.0f, 1};

    (void)state;
    assert_true(fabs(aei_psnr(a, b, H * W * 3) - 22.0169) < 0.01);
    assert_true(isinf(aei_psnr(a, a, H * W * 3)));
    assert_true(isinf(aei_psnr(out, in, 3))); /* clipped, rounded */
    out[0] = 1 / 255.0f;
    assert_true(fabs(aei_psnr(out, in, 3) - 10 * log10(255.0 * 255 * 3)) < 1e-9);
}

static void ssim_is_known(void **state)
{
    static float x[H * W], y[H * W];
    double v = 0;
    ae_error err;

    (void)state;
    for (int i = 0; i < H * W; i++) {
        x[i] = a[3 * i];
        y[i] = b[3 * i];
    }
    assert_int_equal(aei_ssim(a, b, H, W, 3, &v, &err), AE_OK);
    assert_true(fabs(v - 0.954893) < 1e-3);
    assert_int_equal(aei_ssim(x, y, H, W, 1, &v, &err), AE_OK);
    assert_true(fabs(v - 0.953554) < 1e-3);
    assert_int_equal(aei_ssim(a, a, H, W, 3, &v, &err), AE_OK);
    assert_true(fabs(v - 1) < 1e-12);
    assert_int_equal(aei_ssim(a, b, 10, W, 3, &v, &err), AE_ERR_ARGUMENT);
    ae_alloc_fail_at(1);
    assert_int_equal(aei_ssim(a, b, H, W, 3, &v, &err), AE_ERR_NOMEM);
    ae_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(psnr_is_known),
        cmocka_unit_test(ssim_is_known),
    };

    return cmocka_run_group_tests(tests, paint, NULL);
}
