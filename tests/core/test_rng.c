/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.8g, expected %.8g +- %g", value, expected, tolerance);
}

/* Moments, tails and independence of neighbours, each within five deviations of what so many true
 * normals would give. */
static void normals_are_normal(void **state)
{
    enum { N = 1 << 22, BLOCK = 1 << 12 };
    float *z = malloc(BLOCK * sizeof(*z));
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, lag1 = 0, lag128 = 0, beyond[3] = {0}, n = N;
    aei_rng r = aei_rng_make(7, 8, 9);

    (void)state;
    for (int b = 0; b < N / BLOCK; b++) {
        aei_rng_normals(&r, z, BLOCK);
        for (int i = 0; i < BLOCK; i++) {
            double x = z[i];

            m1 += x;
            m2 += x * x;
            m3 += x * x * x;
            m4 += x * x * x * x;
            lag1 += x * z[(i + 1) % BLOCK];
            lag128 += x * x * z[(i + 128) % BLOCK] * z[(i + 128) % BLOCK];
            beyond[0] += fabs(x) > 2;
            beyond[1] += fabs(x) > 3;
            beyond[2] += fabs(x) > 4;
        }
    }
    near(m1 / n, 0, 5 / sqrt(n));
    near(m2 / n, 1, 5 * sqrt(2 / n));
    near(m3 / n, 0, 5 * sqrt(15 / n));
    near(m4 / n, 3, 5 * sqrt(96 / n));
    near(lag1 / n, 0, 5 / sqrt(n));
    near(lag128 / n, 1, 5 * sqrt(8 / n));
    near(beyond[0] / n, 4.55003e-2, 5 * sqrt(4.55e-2 / n));
    near(beyond[1] / n, 2.69980e-3, 5 * sqrt(2.70e-3 / n));
    near(beyond[2] / n, 6.33425e-5, 5 * sqrt(6.33e-5 / n));
    free(z);
}

/* The polynomials against libm: every value lies where the exact formula puts it. */
static void normals_follow_the_formula(void **state)
{
    enum { N = 256 };
    aei_rng r = aei_rng_make(1, 2, 3), same = r;
    float z[N];

    (void)state;
    aei_rng_normals(&r, z, N);
    for (int i = 0; i < N / 2; i++) {
        uint64_t u = aei_rng_u64(&same);
        double radius = sqrt(-2 * log(((double)((uint32_t)u >> 1) + 0.5) / 2147483648.0));

        near(hypot(z[i], z[N / 2 + i]), radius, 2e-6 * (1 + radius));
    }
}

/* Short runs give what they say and write nothing beyond. */
static void normals_of_any_length(void **state)
{
    for (int n = 0; n < 600; n += n < 20 ? 1 : 37) {
        aei_rng r = aei_rng_make(5, (uint64_t)n, 0);
        float z[601];

        (void)state;
        for (int i = 0; i < 601; i++)
            z[i] = 1e9f;
        aei_rng_normals(&r, z, (uint64_t)n);
        for (int i = 0; i < 601; i++)
            assert_true(i < n ? fabsf(z[i]) < 7 : z[i] == 1e9f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normals_are_normal),
        cmocka_unit_test(normals_follow_the_formula),
        cmocka_unit_test(normals_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
