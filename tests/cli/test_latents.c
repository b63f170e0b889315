/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What tools compute of latents: principal axes, misfits, what is normal, and its record. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/axes.h"
#include "common/misfit.h"
#include "common/normal.h"

static float noise(uint32_t *seed)
{
    float sum = 0;

    for (int k = 0; k < 12; k++) {
        *seed = *seed * 1664525u + 1013904223u;
        sum += (float)(*seed >> 8) * 0x1p-24f;
    }
    return sum - 6;
}

/* n rows of `width` normal numbers, of deviation 1, 1/2, 1/3 ... along (1, 1, 0 ...), (1, -1, 0
 * ...) and the other axes. */
static matrix make_rows(size_t n, size_t width)
{
    matrix m;
    uint32_t seed = 7;

    assert_int_equal(matrix_create(n, width, &m, NULL), AE_OK);
    for (size_t i = 0; i < n; i++) {
        float *x = m.values + i * width, a, b;

        for (size_t k = 0; k < width; k++)
            x[k] = noise(&seed) / (float)(k + 1);
        a = x[0];
        b = x[1];
        x[0] = (a + b) * 0.70710678f + 5;
        x[1] = (a - b) * 0.70710678f;
    }
    return m;
}

static void axes_are_those_of_the_data(void **state)
{
    matrix m = make_rows(4000, 5), wide = make_rows(50, 300);
    axes a;
    double place[300];

    (void)state;
    assert_int_equal(axes_find(&m, &a, NULL), AE_OK);
    for (size_t k = 0; k < 5; k++)
        assert_true(fabs(a.variance[k] * (double)((k + 1) * (k + 1)) - 1) < 0.1);
    assert_true(fabs(a.axis[0]) > 0.69 && fabs(a.axis[0] - a.axis[1]) < 0.05);
    assert_true(fabs(a.mean[0] - 5) < 0.1);
    axes_place(&a, (const float[5]){6, 1, 0, 0, 0}, place);
    assert_true(fabs(fabs(place[0]) - sqrt(2)) < 0.1 && fabs(place[1]) < 0.1);
    axes_free(&a);
    assert_int_equal(axes_find(&wide, &a, NULL), AE_OK);
    assert_true(a.own);
    axes_place(&a, wide.values, place);
    assert_true(fabs(place[9] + a.mean[9] - (double)wide.values[9]) < 1e-6);
    axes_free(&a);
    matrix_free(&m);
    matrix_free(&wide);
}

static void misfits(void **state)
{
    static float item[400], made[400], scratch[800];
    const ae_shape row = {1, 1, 400, 1}, picture = {1, 20, 20, 1};
    double stroke, edge;

    (void)state;
    for (int i = 0; i < 400; i++) {
        item[i] = 0.5f;
        made[i] = i % 2 ? 0.6f : 0.4f;
    }
    assert_true(fabs(misfit(item, made, row, scratch) - 0.01) < 1e-6);
    edge = misfit(item, made, picture, scratch);
    for (int i = 0; i < 400; i++)
        made[i] = i / 20 < 10 ? 0.6f : 0.4f;
    stroke = misfit(item, made, picture, scratch);
    assert_true(stroke > 10 * edge); /* of the same mean square */
    for (int i = 0; i < 400; i++) {
        item[i] = 2 * item[i];
        made[i] = item[i] + (i / 20 < 10 ? 0.1f : -0.1f);
    }
    /* there is twice as much of it */
    assert_true(fabs(misfit(item, made, picture, scratch) / stroke - 0.5) < 0.02);
    memset(item, 0, sizeof(item));
    memset(made, 0, sizeof(made));
    assert_true(misfit(item, made, picture, scratch) == 0);
}

static void what_is_normal(void **state)
{
    matrix m = make_rows(2000, 3);
    float errors[2000];
    double work[3], usual = 0;
    normal_record n, back;
    uint8_t *bytes;
    size_t n_bytes;

    (void)state;
    for (int i = 0; i < 2000; i++)
        errors[i] = 0.01f * (float)(i % 100 + 1);
    assert_int_equal(normal_learn("code", &m, errors, &n, NULL), AE_OK);
    assert_true(fabs(n.error - 0.505) < 1e-3);
    for (size_t i = 0; i < m.n; i++)
        usual += normal_score(&n, NORMAL_LATENT, m.values + 3 * i, 0, work) / (double)m.n;
    assert_true(fabs(usual - 1) < 0.02);
    assert_true(fabs(normal_threshold(&n, NORMAL_ERROR, 0.9) - 0.9 / 0.505) < 0.03);
    assert_true(fabs(normal_threshold(&n, NORMAL_ERROR, 1) - 1 / 0.505) < 1e-3);
    /* as far from the mean along an axis of small variance is farther */
    assert_true(normal_score(&n, NORMAL_LATENT, (const float[3]){5, 0, 1}, 0, work) >
                3 * normal_score(&n, NORMAL_LATENT, (const float[3]){5.707f, 0.707f, 0}, 0, work));
    assert_int_equal(normal_pack(&n, &bytes, &n_bytes, NULL), AE_OK);
    assert_int_equal(normal_unpack(bytes, n_bytes, &back, NULL), AE_OK);
    assert_memory_equal(back.quantiles, n.quantiles, sizeof(n.quantiles));
    assert_memory_equal(back.mean, n.mean, (3 + 6) * sizeof(float));
    normal_free(&back);
    for (size_t cut = 0; cut < n_bytes; cut++)
        assert_int_equal(normal_unpack(bytes, cut, &back, NULL), AE_ERR_MALFORMED);
    for (size_t i = 0; i < 16; i++) {
        bytes[i] ^= 0x40;
        assert_int_not_equal(normal_unpack(bytes, n_bytes, &back, NULL), AE_OK);
        bytes[i] ^= 0x40;
    }
    memset(bytes + n_bytes - 4, 0xff, 4); /* the last number is none */
    assert_int_equal(normal_unpack(bytes, n_bytes, &back, NULL), AE_ERR_MALFORMED);
    ae_free(bytes);
    normal_free(&n);
    m.values[4] = NAN;
    assert_int_equal(normal_learn("code", &m, errors, &n, NULL), AE_ERR_ARGUMENT);
    matrix_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_are_those_of_the_data),
        cmocka_unit_test(misfits),
        cmocka_unit_test(what_is_normal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
