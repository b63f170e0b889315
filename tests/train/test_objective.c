/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Losses and penalties against finite differences and values worked out by hand; optimisers and
 * schedule likewise. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "nn/losses.h"
#include "train/loss.h"
#include "train/muon.h"
#include "train/optimizer.h"
#include "train/pace.h"

enum { N = 2, H = 5, W = 3, C = 3, COUNT = N * H * W * C };

static void assert_near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.9g is not within %g of %.9g", a, tolerance, b);
}

static float value[COUNT], target[COUNT], weight[N * H * W], gradient[COUNT];

/* What is compared differs by at most a tenth, or by more than 1. */
static aei_loss_view make_view(bool weighted, bool far)
{
    aei_rng rng = aei_rng_make(7, weighted, 0);
    double total = 0;

    for (int i = 0; i < COUNT; i++) {
        /* no two within a step of each other */
        value[i] = 0.15f + 0.7f / COUNT * (float)(i * 37 % COUNT);
        /* clear of kinks */
        target[i] = value[i] + (i / C % 2 ? 0.05f : -0.05f) + aei_rng_range(&rng, -0.04f, 0.04f);
        if (far)
            target[i] += i / C % 2 ? 1 : -1;
        gradient[i] = 0;
    }
    for (int i = 0; i < N * H * W; i++) {
        weight[i] = i % 4 ? aei_rng_range(&rng, 0, 2) : 0;
        total += weight[i];
    }
    total = 2 * (weighted ? total : N * H * W);
    return (aei_loss_view){{N, H, W, C}, value, target,   weighted ? weight : NULL,
                           total,        0.5,   gradient, false};
}

/* The gradient that `view` received is that of the values which `loss` returns. */
static void check_gradient(double (*loss)(void *context), void *context)
{
    float got[COUNT];

    memcpy(got, gradient, sizeof(got));
    for (int i = 0; i < COUNT; i++) {
        const float old = value[i], step = 1e-3f;
        double up, down;

        value[i] = old + step;
        up = loss(context);
        value[i] = old - step;
        down = loss(context);
        value[i] = old;
        assert_near(got[i], (up - down) / (2.0 * step), 2e-4 * fabs((double)got[i]) + 2e-6);
    }
}

typedef struct loss_case {
    ae_loss_kind kind;
    aei_loss_view view;
} loss_case;

static double loss_value(void *context)
{
    loss_case *c = context;

    return aei_loss_add(c->kind, 1.5, &c->view);
}

static void test_loss_gradients(void **state)
{
#define KIND(number, ...) AE_LOSS_##number,
    const ae_loss_kind kinds[] = {AEI_SAMPLE_LOSSES(KIND) AE_LOSS_TV, AE_LOSS_LUMA, AE_LOSS_PSNR};

    (void)state;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
        for (int i = 0; i < (aei_loss_traits(kinds[k]) & AEI_SAMPLES ? 4 : 2); i++) {
            loss_case c = {kinds[k], make_view(i & 1, i & 2)};

            assert_true(loss_value(&c) > 0 || (i & 2)); /* far targets are no probabilities */
            check_gradient(loss_value, &c);
        }
    for (int weighted = 0; weighted < 2; weighted++) {
        loss_case c = {AE_LOSS_CROSS_ENTROPY, make_view(weighted, false)};

        assert_true(loss_value(&c) > 0);
        check_gradient(loss_value, &c);
    }
}

static void test_loss_values(void **state)
{
    float v[4] = {0.5f, 0.25f, 1, 0}, t[4] = {0, 0.25f, 0.5f, 1}, w[4] = {1, 0, 0, 3},
          g[4] = {NAN, NAN, NAN, NAN};
    aei_loss_view view = {{1, 2, 2, 1}, v, t, NULL, 4, 1, g, true};

    (void)state;
    assert_near(aei_loss_add(AE_LOSS_MSE, 1, &view), (0.25 + 0 + 0.25 + 1) / 4, 1e-7);
    assert_near(g[0], 2 * 0.5 / 4, 1e-7); /* a fresh gradient is written */
    view.fresh = false;
    assert_near(aei_loss_add(AE_LOSS_L1, 2, &view), 2 * (0.5 + 0 + 0.5 + 1) / 4, 1e-7);
    assert_near(g[0], 2 * 0.5 / 4 + 2.0 / 4, 1e-7); /* others add up */
    assert_near(aei_loss_add(AE_LOSS_CHARBONNIER, 1, &view),
                (2 * sqrt(0.25 + 1e-6) + 1e-3 + sqrt(1 + 1e-6)) / 4, 1e-6);
    assert_near(aei_loss_add(AE_LOSS_TV, 1, &view), (0.25 + 1 + 0.5 + 0.25) / 4, 1e-7);
    view.weight = w;
    assert_near(aei_loss_add(AE_LOSS_MSE, 1, &view), (0.25 + 3) / 4, 1e-7);
    v[0] = 1.5f; /* clipped for the score */
    assert_near(aei_clipped_error(&view), (1 + 3) / 4.0, 1e-7);
    v[0] = NAN;
    assert_true(isnan(aei_clipped_error(&view)));
    assert_true(isnan(aei_loss_add(AE_LOSS_CHARBONNIER, 1, &view)));
    assert_true(isnan(aei_loss_add(AE_LOSS_TV, 1, &view)));
}

/* Two pixels of three classes: log(3) where nothing is known, and next to nothing where it is
 * certain. */
static void test_cross_entropy(void **state)
{
    float v[6] = {1, 1, 1, 0, 100, 0}, t[6] = {0, 1, 0, 0, 1, 0}, g[6];
    aei_loss_view view = {{1, 1, 2, 3}, v, t, NULL, 2, 1, g, true};

    (void)state;
    assert_near(aei_loss_add(AE_LOSS_CROSS_ENTROPY, 1, &view), log(3) / 2, 1e-6);
    assert_near(g[0], 1.0 / 6, 1e-6);
    assert_near(g[1], (1.0 / 3 - 1) / 2, 1e-6);
    assert_near(g[4], 0, 1e-6);
    v[0] = NAN;
    assert_true(isnan(aei_loss_add(AE_LOSS_CROSS_ENTROPY, 1, &view)));
    assert_true(isnan(aei_loss_add(AE_LOSS_BCE, 1, &view)));
    assert_true(isnan(aei_loss_add((ae_loss_kind)77, 1, &view)));
}

static double kl_value(void *context)
{
    static float unused[2][COUNT];
    const float *logvar = context;

    return aei_kl_normal_add(1.5, 0.5, (ae_shape){N, H, W, C}, value, logvar, unused[0], unused[1]);
}

static void test_kl_normal(void **state)
{
    static float logvar[COUNT], by_logvar[COUNT];
    const float zero[2] = {0, 0}, mean[2] = {2, 0}, wide[2] = {0, 1};
    float a[2] = {0}, b[2] = {0};

    (void)state;
    assert_near(aei_kl_normal_add(1, 1, (ae_shape){1, 1, 1, 2}, zero, zero, a, b), 0, 0);
    assert_near(aei_kl_normal_add(3, 0.5, (ae_shape){1, 1, 1, 2}, mean, wide, a, b),
                1.5 * (2 + (exp(1) - 2) / 2), 1e-6);
    assert_near(a[0], 3, 1e-6);
    assert_near(b[1], 0.75 * (exp(1) - 1), 1e-6);
    make_view(false, false);
    for (int i = 0; i < COUNT; i++)
        logvar[i] = 0.5f - value[i];
    aei_kl_normal_add(1.5, 0.5, (ae_shape){N, H, W, C}, value, logvar, gradient, by_logvar);
    check_gradient(kl_value, logvar);
    for (int i = 0; i < 5; i++) {
        float old = logvar[i];
        double up, down;

        logvar[i] = old + 1e-3f;
        up = kl_value(logvar);
        logvar[i] = old - 1e-3f;
        down = kl_value(logvar);
        logvar[i] = old;
        assert_near((double)by_logvar[i], (up - down) / 2e-3,
                    2e-4 * fabs((double)by_logvar[i]) + 2e-6);
    }
}

/* Two samples of one pixel in two shards' worth of batch: lambda is 1 at quality 0 and 100 at
 * quality 1, weighted w there. */
static void test_rate_distortion(void **state)
{
    float v[2] = {0.5f, 0.25f}, t[2] = {0, 0}, g[2] = {NAN, NAN}, bits[2][2] = {{3, 4}, {1, 0}},
          d_bits[2][2] = {{0}}, quality[2] = {0.5f, 1};
    aei_loss_view view = {{2, 1, 1, 1}, v, t, NULL, 4, 0.5, g, true};
    aei_rate_view rate = {
        2, {{2, 1, 1, 1}, {2, 1, 1, 1}}, {bits[0], bits[1]}, {d_bits[0], d_bits[1]}, quality};
    ae_term loss = {
        .kind = AE_LOSS_RATE_DISTORTION, .weight = 2, .lambda_min = 1, .lambda_max = 100};
    double bpp, found = aei_rate_distortion(&loss, &view, &rate, &bpp), w = sqrt(0.1);

    (void)state;
    assert_near(bpp, 8 / 4.0, 1e-6);
    assert_near(found, 2 * (4 + 4 * w + 65025 * (10 * 0.25 + 100 * 0.0625 * w)) / 4, 1e-2);
    assert_near(g[0], 2 * 65025 * 10 * 2 * 0.5 / 4, 1e-2);
    assert_near(g[1], 2 * 65025 * 100 * 2 * 0.25 * w / 4, 1e-1);
    for (int i = 0; i < 4; i++)
        assert_near(d_bits[i / 2][i % 2], i % 2 ? 0.5 * w : 0.5, 1e-7);
}

/* Cutting a batch in two shards changes neither loss nor gradient. */
static void test_shards_add_up(void **state)
{
    aei_loss_view whole = make_view(true, false), half;
    float got[COUNT];
    double sum = 0, all;

    (void)state;
    whole.total /= 2;
    whole.share = 1;
    all = aei_loss_add(AE_LOSS_CHARBONNIER, 1, &whole) + aei_loss_add(AE_LOSS_TV, 1, &whole);
    memcpy(got, gradient, sizeof(got));
    memset(gradient, 0, sizeof(gradient));
    for (int i = 0; i < 2; i++) {
        half = (aei_loss_view){{1, H, W, C},
                               value + i * COUNT / 2,
                               target + i * COUNT / 2,
                               weight + i * H * W,
                               whole.total,
                               0.5,
                               gradient + i * COUNT / 2,
                               false};
        sum += aei_loss_add(AE_LOSS_CHARBONNIER, 1, &half) + aei_loss_add(AE_LOSS_TV, 1, &half);
    }
    assert_near(sum, all, 1e-9);
    for (int i = 0; i < COUNT; i++)
        assert_near(gradient[i], got[i], 1e-8);
}

static double sparse_value(void *context)
{
    return aei_kl_sparse_add(3, *(double *)context, 0.5, (ae_shape){N, H, W, C}, value, gradient);
}

static void test_kl_sparse(void **state)
{
    ae_shape one = {2, 1, 1, 1};
    float a[2] = {0.2f, 0.6f}, g[2] = {0};
    double rho = 0.1;

    (void)state;
    make_view(false, false);
    assert_true(sparse_value(&rho) > 0);
    check_gradient(sparse_value, &rho);
    assert_near(aei_kl_sparse_add(1, rho, 1, one, a, g),
                0.1 * log(0.1 / 0.4) + 0.9 * log(0.9 / 0.6), 1e-6);
    assert_near(g[1], (-0.1 / 0.4 + 0.9 / 0.6) / 2, 1e-6);
    a[0] = a[1] = 0.1f; /* the textbook's pair */
    assert_near(aei_kl_sparse_add(1, 0.05, 1, one, a, g), 0.016707, 1e-6);
    a[0] = NAN;
    assert_true(isnan(aei_kl_sparse_add(1, rho, 1, one, a, g)));
}

static float draws[COUNT], by_draw[COUNT];

static double adversary_value(void *context)
{
    return aei_adversary_add(1.5, 0.5, *(bool *)context, COUNT, value, draws, gradient, by_draw);
}

static void test_adversary(void **state)
{
    const float zero[2] = {0, 0}, sure[2] = {-50, 50};
    float a[2] = {0}, b[2] = {0};
    float got[COUNT];

    (void)state;
    for (int fool = 0; fool < 2; fool++) {
        bool aim = fool;

        make_view(false, false);
        for (int i = 0; i < COUNT; i++) {
            draws[i] = 2 * value[i] - 1;
            by_draw[i] = 0;
        }
        assert_true(adversary_value(&aim) > 0);
        memcpy(got, by_draw, sizeof(got));
        check_gradient(adversary_value, &aim);
        for (int i = 0; i < COUNT; i += 7) { /* and by the draws, which only the critic looks at */
            float old = draws[i];
            double up, down;

            draws[i] = old + 1e-2f;
            up = adversary_value(&aim);
            draws[i] = old - 1e-2f;
            down = adversary_value(&aim);
            draws[i] = old;
            assert_near(got[i], (up - down) / 2e-2, 1e-5);
        }
    }
    assert_near(aei_adversary_add(1, 1, false, 2, zero, zero, a, b), log(2), 1e-12);
    assert_near(aei_adversary_add(1, 1, false, 1, sure, sure + 1, a, b), 0, 1e-12);
    /* no overflow, and a gradient that pulls */
    assert_near(aei_adversary_add(1, 1, true, 1, sure, sure, a, b), 50, 1e-6);
    assert_near(a[0], 0.125 - 1, 1e-6);
}

static void test_classes(void **state)
{
    float v[6] = {1, 1, 1, 0, 100, 0}, g[6] = {0}, label[2] = {1, 1};
    aei_loss_view view = {{2, 1, 1, 3}, v, NULL, NULL, 2, 1, g, false};
    double hits;

    (void)state;
    v[1] = 2;
    assert_near(aei_classes_add(1, &view, label, 1, &hits), log(2 * exp(-1) + 1) / 2, 1e-6);
    assert_near(hits, 2, 0);
    assert_near(g[0], exp(1) / (2 * exp(1) + exp(2)) / 2, 1e-6);
    label[1] = -1; /* is not known, and does not count */
    view.total = 1;
    assert_near(aei_classes_add(1, &view, label, 1, &hits), log(2 * exp(-1) + 1), 1e-6);
    assert_near(hits, 1, 0);
    label[0] = 3;
    assert_true(isnan(aei_classes_add(1, &view, label, 1, &hits)));
    label[0] = 0;
    v[2] = NAN;
    assert_true(isnan(aei_classes_add(1, &view, label, 1, &hits)));
}

/* Several labels of one pixel are as many pixels of the same logits. */
static void test_bag_of_classes(void **state)
{
    enum { EACH = 4 };
    float label[2 * EACH] = {2, -1, 0, 2, -1, 1, -1, -1}, v[2 * C] = {1, -2, .5f, 0, 3, -1},
                    g[2 * C] = {0}, wide[2 * EACH * C], by[2 * EACH * C] = {0};
    aei_loss_view bags = {{2, 1, 1, C}, v, NULL, NULL, 4, 1, g, false},
                  pixels = {{2, EACH, 1, C}, wide, NULL, NULL, 4, 1, by, false};
    double hits, found;

    (void)state;
    for (size_t i = 0; i < 2 * EACH; i++)
        memcpy(wide + i * C, v + i / EACH * C, C * sizeof(float));
    found = aei_classes_add(1.5, &pixels, label, 1, &hits);
    assert_near(aei_classes_add(1.5, &bags, label, EACH, &hits), found, 1e-6);
    assert_near(hits, 2, 0);
    for (size_t i = 0; i < 2 * EACH * C; i++)
        g[i / (EACH * C) * C + i % C] -= by[i];
    for (size_t i = 0; i < 2 * C; i++)
        assert_near(g[i], 0, 1e-6);
}

typedef struct class_case {
    aei_loss_view view;
    float label[N * H * W];
} class_case;

static double class_value(void *context)
{
    class_case *c = context;

    return aei_classes_add(1.5, &c->view, c->label, 1, &(double){0});
}

/* A class for each pixel, some not known, with weights and without. */
static void test_class_gradients(void **state)
{
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        class_case c = {make_view(weighted, false), {0}};

        for (int i = 0; i < N * H * W; i++)
            c.label[i] = (float)(i % 4 - 1);
        assert_true(class_value(&c) > 0);
        check_gradient(class_value, &c);
    }
}

static void test_sums(void **state)
{
    float x[19];

    (void)state;
    for (int i = 0; i < 19; i++)
        x[i] = (float)(i + 1);
    assert_near(aei_sum(x, 19), 190, 0);
    assert_near(aei_sum_squares(x, 19), 2470, 0);
    x[18] = INFINITY;
    assert_true(isinf(aei_sum_squares(x, 19)));
    x[3] = 1e30f;
    assert_true(isfinite(aei_sum_squares(x, 18))); /* large is not infinite */
}

static void test_schedule(void **state)
{
    ae_recipe r = {.rate = 1e-3f, .rate_end = 1e-5f, .warmup = 10};

    (void)state;
    assert_near(aei_rate(&r, 0, 1000), 1e-4, 1e-9);
    assert_near(aei_rate(&r, 9, 1000), 1e-3, 1e-9);
    assert_near(aei_rate(&r, 10, 1000), 1e-3, 1e-9);
    assert_near(aei_rate(&r, 505, 1000), (1e-3 + 1e-5) / 2, 1e-9);
    assert_near(aei_rate(&r, 1000, 1000), 1e-5, 1e-9);
    /* a short schedule shortens the warm-up to two steps */
    assert_near(aei_rate(&r, 1, 20), 1e-3, 1e-9);
    assert_near(aei_rate(&r, 0, 1), 1e-3, 1e-9);
}

static void test_pace(void **state)
{
    ae_recipe r = {.rate = 1e-3f, .rate_end = 1e-6f, .warmup = 10, .steps = 1000};
    aei_pace p = {.recipe = &r, .steps = 1000},
             q = {.recipe = &r, .steps = 1000, .limit = 110, .reserve = 10};

    (void)state;
    for (uint64_t step = 0; step < 1000; step += 37)
        /* no clock where there is no limit */
        assert_true(aei_pace_rate(&p, step, 1e6) == aei_rate(&r, step, 1000));
    assert_near(aei_pace_share(&q, 50, 50), 0.5, 1e-12);
    assert_int_equal(aei_pace_steps(&q, 50, 50), 100);
    assert_near(aei_pace_rate(&q, 0, 0), 1e-4, 1e-7);
    assert_near(aei_pace_rate(&q, 4, 5), 5e-4 * 0.5 * (1 + cos(0.05 * 3.14159265)), 1e-6);
    assert_near(aei_pace_rate(&q, 50, 50), (1e-3 + 1e-6) / 2, 1e-9);
    assert_near(aei_pace_rate(&q, 99, 99.999), 1e-6, 1e-9);
    /* the recipe's steps end it where they take less time */
    assert_near(aei_pace_share(&q, 1000, 20), 1, 0);
    assert_int_equal(aei_pace_steps(&q, 900, 20), 1000);
    q.limit = 5; /* less than what comes after the last step */
    assert_near(aei_pace_share(&q, 0, 0.1), 1, 0);
    p.trained = true; /* as long as the recipe says: its rate; a quarter: half of it */
    assert_true(aei_pace_rate(&p, 500, 0) == aei_rate(&r, 500, 1000));
    p.steps = 250;
    assert_near(aei_pace_rate(&p, 10, 0), 5e-4, 1e-9);
    p.rate = 2e-3;
    assert_near(aei_pace_rate(&p, 10, 0), 2e-3, 1e-9);
}

/* Each comes down to the bottom of a bowl, of which it sees noisy slopes, and its average with it;
 * without decay or with little. */
static void test_optimizers_arrive(void **state)
{
#define NAME(number, ...) AE_##number,
    const ae_optimizer all[] = {AEI_OPTIMIZERS(NAME)};

    (void)state;
    for (size_t k = 0; k < sizeof(all) / sizeof(*all); k++)
        for (int decay = 0; decay < 2; decay++) {
            ae_recipe r = {.optimizer = all[k],
                           .rate = 0.02f,
                           .beta1 = 0.9f,
                           .beta2 = 0.99f,
                           .decay = 1e-4f,
                           .ema = 0.9f};
            float w[3] = {2, -3, 0.3f}, m[3] = {0}, v[3] = {0}, e[3] = {2, -3, 0.3f};
            aei_rng rng = aei_rng_make(k, 0, 0);

            for (uint64_t step = 0; step < 1000; step++) {
                aei_update u = aei_update_make(&r, aei_rate(&r, step, 1000), 0.5f, step);
                float g[3];

                for (int i = 0; i < 3; i++)
                    g[i] = 2 * (w[i] - 0.3f) + aei_rng_range(&rng, -0.1f, 0.1f);
                aei_apply(&u, decay, 3, g, w, m, v, e);
            }
            for (int i = 0; i < 3; i++) {
                assert_near(w[i], 0.3, 0.01);
                assert_near(e[i], w[i], 0.01);
            }
        }
}

/* Two updates of one value by each optimiser, worked out by hand. */
static void test_optimizers(void **state)
{
    ae_recipe r = {
        .optimizer = AE_ADAMW, .beta1 = 0.9f, .beta2 = 0.99f, .decay = 0.1f, .ema = 0.5f};
    float w = 1, m = 0, v = 0, e = 1, g = 0.5f;
    aei_update u = aei_update_make(&r, 0.01f, 1, 0);

    (void)state;
    aei_apply(&u, true, 1, &g, &w, &m, &v, &e);
    assert_near(w, 1 - 0.01 * (1 + 0.1), 1e-6); /* the first step of Adam is the rate itself */
    assert_near(e, 1 + 0.9 * (w - 1), 1e-6);    /* the average is young: 1 - min(0.5, 1/10) */
    g = -1;
    u = aei_update_make(&r, 0.01f, 0.5f, 1);
    aei_apply(&u, false, 1, &g, &w, &m, &v, &e);
    assert_near(m, 0.9 * 0.05 - 0.1 * 0.5, 1e-7);
    assert_near(v, 0.99 * 0.0025 + 0.01 * 0.25, 1e-7);
    assert_near(w, 0.989 - 0.01 * (m / (1 - 0.81)) / sqrt(v / (1 - 0.9801)), 1e-6);

    r.optimizer = AE_ADAM; /* decay joins the gradient */
    w = 1, m = v = 0, g = 0.5f;
    u = aei_update_make(&r, 0.01f, 1, 0);
    aei_apply(&u, true, 1, &g, &w, &m, &v, &e);
    assert_near(m, 0.1 * 0.6, 1e-7);
    assert_near(w, 0.99, 1e-6);

    r.optimizer = AE_SGD;
    w = 1, m = 0, g = 0.5f;
    u = aei_update_make(&r, 0.1f, 1, 0);
    aei_apply(&u, false, 1, &g, &w, &m, NULL, &e);
    assert_near(w, 0.95, 1e-6);
    aei_apply(&u, false, 1, &g, &w, &m, NULL, &e);
    assert_near(w, 0.95 - 0.1 * (0.45 + 0.5), 1e-6);
}

/* A gradient that is diagonal has itself, with ones, as its orthogonal factor; the polynomials end
 * between 0.8 and 1.2, but for the rounding of bf16. */
static void check_muon(uint32_t rows, uint32_t columns, ae_precision precision)
{
    enum { MOST = 48 * 20 };
    ae_param p = {.name = "w",
                  .n_dims = 4,
                  .dims = {rows, columns / 4, 2, 2},
                  .count = rows * columns,
                  .trainable = true,
                  .decay = true};
    static float g[MOST], w[MOST], m[MOST], average[MOST];
    uint32_t low = rows < columns ? rows : columns, high = rows + columns - low;
    aei_update u = {.rate = 0.1f, .scale = 0.5f, .decay = 0.5f, .average = 0.25f};
    float unit = 0.1f * 0.2f * sqrtf((float)high);
    aei_muon *muon;

    assert_int_equal(aei_muon_create(&p, precision, &muon, NULL), AE_OK);
    for (uint32_t i = 0; i < rows * columns; i++) {
        bool diagonal = i / columns == i % columns;

        g[i] = diagonal ? 2 - (float)(i % columns) / (float)low : 0;
        w[i] = m[i] = average[i] = 1;
        m[i] = diagonal ? 0.1f : 0;
    }
    assert_int_equal(aei_muon_apply(muon, &u, g, w, m, average, NULL), AE_OK);
    for (uint32_t i = 0; i < rows * columns; i++) {
        bool diagonal = i / columns == i % columns;
        double moved = (1 - 0.1 * 0.5 - w[i]) / unit;

        assert_near(moved, diagonal ? 1 : 0, diagonal ? 0.25 : 0.01);
        assert_near(average[i], 1 + 0.25 * (w[i] - 1), 1e-6);
        assert_near(m[i], diagonal ? 0.95 * 0.1 + 0.05 * 0.5 * g[i] : 0, 1e-6);
    }
    aei_muon_free(muon);
}

static void test_muon(void **state)
{
    ae_param p = {.n_dims = 2, .dims = {16, 15}, .count = 240, .trainable = true, .decay = true};

    (void)state;
    assert_false(aei_muon_wants(&p));
    p.dims[1] = 16, p.count = 256;
    assert_true(aei_muon_wants(&p));
    check_muon(20, 48, AE_PRECISION_F32);
    check_muon(48, 20, AE_PRECISION_F32);
    check_muon(20, 48, ae_precision_resolve(AE_PRECISION_BF16));
    check_muon(48, 20, ae_precision_resolve(AE_PRECISION_BF16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_gradients),
        cmocka_unit_test(test_loss_values),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_class_gradients),
        cmocka_unit_test(test_kl_normal),
        cmocka_unit_test(test_rate_distortion),
        cmocka_unit_test(test_shards_add_up),
        cmocka_unit_test(test_kl_sparse),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_adversary),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_bag_of_classes),
        cmocka_unit_test(test_muon),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_optimizers),
        cmocka_unit_test(test_optimizers_arrive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
