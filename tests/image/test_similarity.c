/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ae/similarity.h"

enum { H = 183, W = 201, WINDOW = 11 };

typedef struct picture {
    uint32_t h, w;
    double v[H * W];
} picture;

static picture a, b, half[2];
static float rows[2][W];

static double formula(int y, int x, int s)
{
    return (7 * y * y + 3 * x * y * s + 5 * x + s * 11) % 97 * 2.5;
}

static int paint(void **state)
{
    (void)state;
    a.h = b.h = H;
    a.w = b.w = W;
    for (int i = 0; i < H * W; i++) {
        a.v[i] = 0.5 * formula(i / W, i % W, 1) + 0.5 * formula(i / W / 40, i % W / 40, 1);
        b.v[i] = 0.8 * a.v[i] + 0.2 * formula(i / W / 9, i % W / 9, 2);
    }
    return 0;
}

/* The definition, with plain two-dimensional sums: mean contrast and structure, times luminance
 * where that is wanted. */
static double similarity_at(const picture *p, const picture *q, int luminance)
{
    double kernel[WINDOW], total = 0, sum = 0;
    uint32_t n = 0;

    for (int i = 0; i < WINDOW; i++)
        total += kernel[i] = exp(-(i - 5) * (i - 5) / 4.5);
    for (uint32_t y = 0; y + WINDOW <= p->h; y++)
        for (uint32_t x = 0; x + WINDOW <= p->w; x++, n++) {
            double m[5] = {0}, c1 = 2.55 * 2.55, c2 = 7.65 * 7.65;

            for (uint32_t i = 0; i < WINDOW * WINDOW; i++) {
                size_t at = (y + i / WINDOW) * p->w + x + i % WINDOW;
                double weight = kernel[i / WINDOW] * kernel[i % WINDOW] / total / total,
                       u = p->v[at], v = q->v[at], d[5] = {u, v, u * u, v * v, u * v};

                for (int k = 0; k < 5; k++)
                    m[k] += weight * d[k];
            }
            sum += (2 * (m[4] - m[0] * m[1]) + c2) /
                   (m[2] - m[0] * m[0] + m[3] - m[1] * m[1] + c2) *
                   (luminance ? (2 * m[0] * m[1] + c1) / (m[0] * m[0] + m[1] * m[1] + c1) : 1);
        }
    return sum / n;
}

static void halve(const picture *p, picture *to)
{
    uint32_t w = p->w;

    to->h = p->h / 2;
    to->w = w / 2;
    for (uint32_t i = 0; i < to->h * to->w; i++) {
        const double *v = p->v + i / to->w * 2 * w + i % to->w * 2;

        /* read before it is overwritten, where p is to */
        to->v[i] = (v[0] + v[1] + v[w] + v[w + 1]) / 4;
    }
}

static double measured(const picture *p, const picture *q, uint32_t h, uint32_t w)
{
    ae_similarity *s = NULL;
    double value;

    assert_int_equal(ae_similarity_create(w, &s, NULL), AE_OK);
    for (uint32_t y = 0; y < h; y++) {
        for (uint32_t x = 0; x < w; x++) {
            rows[0][x] = (float)p->v[y * W + x];
            rows[1][x] = (float)q->v[y * W + x];
        }
        ae_similarity_add(s, rows[0], rows[1]);
    }
    value = ae_similarity_value(s);
    ae_similarity_free(s);
    return value;
}

static void like_the_definition(void **state)
{
    static const double weights[5] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    const picture *p = &a, *q = &b;
    double product = 1;

    (void)state;
    for (int k = 0; k < 5; k++) {
        product *= pow(similarity_at(p, q, k == 4), weights[k]);
        halve(p, &half[0]);
        halve(q, &half[1]);
        p = &half[0];
        q = &half[1];
    }
    assert_true(product > 0.2 && product < 0.99);
    assert_true(fabs(measured(&a, &b, H, W) - product) < 1e-5);
    assert_true(fabs(measured(&a, &a, H, W) - 1) < 1e-6);
}

static void small(void **state)
{
    ae_similarity *s = NULL;

    (void)state;
    assert_true(isnan(measured(&a, &b, AE_SIMILARITY_LEAST, AE_SIMILARITY_LEAST - 1)));
    assert_true(isnan(measured(&a, &b, AE_SIMILARITY_LEAST - 1, AE_SIMILARITY_LEAST)));
    assert_false(isnan(measured(&a, &b, AE_SIMILARITY_LEAST, AE_SIMILARITY_LEAST)));
    for (int nth = 1; nth <= 2; nth++) {
        ae_alloc_fail_at((uint64_t)nth);
        assert_int_equal(ae_similarity_create(W, &s, NULL), AE_ERR_NOMEM);
        ae_alloc_fail_at(0);
        assert_null(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(like_the_definition),
        cmocka_unit_test(small),
    };

    return cmocka_run_group_tests(tests, paint, NULL);
}
