/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/items.h"
#include "train/loader.h"

/* A data set made by formula: item i is 8-bit RGB, or of another kind where `sizes` says so. */
typedef struct fake {
    uint32_t h, w, c;
    ae_sample sample;
    size_t bad; /* this item cannot be read; SIZE_MAX: none */
    bool all_bad;
    atomic_int loads, warnings;
} fake;

static uint8_t fake_sample(size_t i, uint64_t y, uint64_t x, uint32_t c)
{
    return (uint8_t)(128 + 60 * sin(0.11 * (double)y + (double)i) +
                     50 * cos(0.07 * (double)x * (1 + c)) + (double)(i % 7));
}

static ae_status fake_load(void *opaque, size_t i, ae_signal_info *info, void **pixels,
                           ae_error *err)
{
    fake *f = opaque;
    size_t n = (size_t)f->h * f->w * f->c;

    atomic_fetch_add(&f->loads, 1);
    if (f->all_bad || i == f->bad)
        return ae_fail(err, AE_ERR_MALFORMED, "not a picture");
    *info = (ae_signal_info){.kind = AE_KIND_IMAGE,
                             .sample = f->sample,
                             .bits = 8,
                             .channels = f->c,
                             .width = f->w,
                             .height = f->h};
    *pixels = ae_alloc(n, ae_sample_bytes(f->sample));
    if (!*pixels)
        return ae_fail(err, AE_ERR_NOMEM, "fake picture");
    for (size_t k = 0; k < n; k++) {
        uint8_t v = fake_sample(i, k / f->c / f->w, k / f->c % f->w, (uint32_t)(k % f->c));

        if (f->sample == AE_U8)
            ((uint8_t *)*pixels)[k] = v;
        else if (f->sample == AE_U16)
            ((uint16_t *)*pixels)[k] = (uint16_t)(v * 257);
        else
            ((float *)*pixels)[k] = (float)v / 255.0f;
    }
    return AE_OK;
}

static const char *fake_name(void *opaque, size_t i)
{
    static _Thread_local char name[32];

    (void)opaque;
    snprintf(name, sizeof(name), "item%zu", i);
    return name;
}

static void fake_warning(void *opaque, const char *message)
{
    fake *f = opaque;

    assert_non_null(strstr(message, "not a picture"));
    atomic_fetch_add(&f->warnings, 1);
}

/* A recipe of one network with the inputs that the loader feeds. */
typedef struct setup {
    ae_recipe recipe;
    ae_node nodes[3];
    fake fake;
    ae_dataset data;
    aei_loader_config config;
} setup;

static setup *make_setup(uint32_t channels, uint32_t level_channels)
{
    setup *s = calloc(1, sizeof(*s));
    ae_recipe *r = &s->recipe;

    s->nodes[0] = (ae_node){.name = "image", .op = AE_OP_INPUT, .out = channels};
    s->nodes[1] = (ae_node){.name = "level", .op = AE_OP_INPUT, .out = level_channels};
    *r = (ae_recipe){.task = AE_TASK_DENOISE,
                     .residual = true,
                     .scale = 1,
                     .n_networks = 1,
                     .crop = 32,
                     .augment = true,
                     .scale_min = 1,
                     .scale_max = 1,
                     .n_filters = 1,
                     .filters = {AE_BICUBIC},
                     .n_corruptions = 1,
                     .batch = 6,
                     .holdout = 0.1f};
    r->networks[0].graph = (ae_graph){.nodes = s->nodes, .n_nodes = level_channels ? 2 : 1};
    r->corruptions[0] = (ae_corruption){.kind = AE_CORRUPT_GAUSSIAN,
                                        .min = 0,
                                        .max = 50,
                                        .probability = 1,
                                        .jitter_min = 1,
                                        .jitter_max = 1};
    s->fake = (fake){.h = 50, .w = 70, .c = 3, .sample = AE_U8, .bad = SIZE_MAX};
    s->data = (ae_dataset){.opaque = &s->fake, .n_items = 30, .load = fake_load, .name = fake_name};
    s->config = (aei_loader_config){.recipe = r,
                                    .data = &s->data,
                                    .seed = 3,
                                    .threads = 1,
                                    .opaque = &s->fake,
                                    .warning = fake_warning};
    return s;
}

static aei_loader *make_loader(const setup *s)
{
    aei_loader *l;
    ae_error err = {0};

    if (aei_loader_create(&s->config, &l, &err) != AE_OK)
        fail_msg("%s", err.message);
    return l;
}

static aei_batch next(aei_loader *l)
{
    aei_batch b;
    ae_error err = {0};
    double waited = 0;

    if (aei_loader_next(l, &b, &waited, &err) != AE_OK)
        fail_msg("%s", err.message);
    return b;
}

static aei_batch validation(aei_loader *l, uint32_t i)
{
    aei_batch b;
    ae_error err = {0};

    if (aei_loader_validation(l, i, &b, &err) != AE_OK)
        fail_msg("%s", err.message);
    return b;
}

static void same_bytes(aei_loader *a, aei_loader *b, const setup *s, int steps)
{
    const ae_recipe *r = &s->recipe;
    size_t n = (size_t)r->batch * r->crop * r->crop, c = s->nodes[0].out;

    for (int i = 0; i < steps; i++) {
        aei_batch x = next(a), y = next(b);

        assert_memory_equal(x.inputs[0], y.inputs[0],
                            n / (r->scale * r->scale) * c * sizeof(float));
        if (r->networks[0].graph.n_nodes > 1)
            assert_memory_equal(x.inputs[1], y.inputs[1], n * s->nodes[1].out * sizeof(float));
        assert_memory_equal(x.target, y.target, n * c * sizeof(float));
    }
}

/* The same bytes from one thread and from three, with other orders of loading, and from the middle
 * on. */
static void threads_change_nothing(void **state)
{
    setup *s = make_setup(3, 1);
    aei_loader *a, *b;

    (void)state;
    s->recipe.scale_max = 1.5f;
    s->recipe.grey = 0.3f;
    s->recipe.clean = 0.2f;
    s->recipe.patterns = 0.4f;
    for (int small_cache = 0; small_cache < 2; small_cache++) {
        s->config.cache_bytes = small_cache ? 8 * 50 * 70 * 3 : 0;
        s->config.threads = 1;
        s->config.first_step = 0;
        a = make_loader(s);
        s->config.threads = 3;
        b = make_loader(s);
        same_bytes(a, b, s, 12);
        aei_loader_free(b);
        s->config.first_step = 12;
        b = make_loader(s);
        same_bytes(a, b, s, 5);
        aei_loader_free(a);
        aei_loader_free(b);
    }
    free(s);
}

/* Patterns take the place of their share of the crops, pixel for pixel and grey for grey networks;
 * all other samples stay what they were, to the byte, and so does validation. */
static void patterns_replace_crops(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 3; c += 2) {
        setup *s = make_setup(c, 1), *t = make_setup(c, 1);
        size_t n = 32 * 32 * c, replaced = 0, total = 0;
        aei_loader *plain, *mixed;
        aei_batch x, y;

        plain = make_loader(s);
        t->recipe.patterns = 0.3f;
        mixed = make_loader(t);
        for (int step = 0; step < 40; step++) {
            x = next(plain);
            y = next(mixed);
            for (uint32_t i = 0; i < x.n; i++, total++) {
                if (!memcmp(x.target + i * n, y.target + i * n, n * sizeof(float))) {
                    assert_memory_equal(x.inputs[0] + i * n, y.inputs[0] + i * n,
                                        n * sizeof(float));
                    continue;
                }
                replaced++;
                /* of 8 bits, though the crop was not scaled */
                for (size_t k = 0; c == 3 && k < n; k++)
                    assert_true(fabsf(255 * y.target[i * n + k] -
                                      rintf(255 * y.target[i * n + k])) < 1e-3f);
                for (size_t k = 0; k < n; k++)
                    assert_true(y.target[i * n + k] >= 0 && y.target[i * n + k] <= 1.000001f &&
                                isfinite(y.inputs[0][i * n + k]));
            }
        }
        assert_true(replaced > total / 5 && replaced < total * 2 / 5);
        x = validation(plain, 0);
        y = validation(mixed, 0);
        assert_memory_equal(x.target, y.target, x.n * n * sizeof(float));
        aei_loader_free(plain);
        aei_loader_free(mixed);
        free(s);
        free(t);
    }
}

static double deviation(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum / (double)n);
}

/* The level is the deviation of what was added; clean and grey shares are what they say. */
static void levels_tell_the_truth(void **state)
{
    setup *s = make_setup(3, 2);
    size_t n = 32 * 32;
    int clean = 0, grey = 0, total = 0;
    aei_loader *l;

    (void)state;
    s->recipe.grey = 0.25f;
    s->recipe.clean = 0.25f;
    s->recipe.corruptions[0].min = 5;
    l = make_loader(s);
    for (int step = 0; step < 60; step++) {
        aei_batch b = next(l);

        assert_ptr_equal(b.base, b.inputs[0]);
        assert_null(b.weight);
        for (uint32_t k = 0; k < b.n; k++, total++) {
            const float *x = b.inputs[0] + k * n * 3, *t = b.target + k * n * 3,
                        *level = b.inputs[1] + k * n * 2;
            double d = deviation(x, t, n * 3), white = level[1] > 0 ? level[1] : level[0];
            bool is_grey = true;

            for (size_t i = 0; i < n; i++) {
                is_grey = is_grey && t[3 * i] == t[3 * i + 1] && t[3 * i] == t[3 * i + 2];
                assert_true(level[2 * i] == level[0] && level[2 * i + 1] == level[1]);
                assert_true(t[3 * i] >= 0 && t[3 * i] <= 1);
            }
            grey += is_grey;
            if (d == 0) {
                clean++;
                assert_true(level[0] == 0 && level[1] == 0);
                continue;
            }
            assert_true(white >= 5 / 255.0 && white <= 50 / 255.0);
            assert_true(fabs(d / white - 1) < (is_grey ? 0.12 : 0.07));
            assert_true(is_grey ? level[1] == 0 : fabs(level[0] * sqrt(3) / level[1] - 1) < 1e-5);
        }
    }
    assert_true(clean > total / 8 && clean < total * 3 / 8);
    assert_true(grey > total / 8 && grey < total * 3 / 8);
    aei_loader_free(l);
    free(s);
}

/* Camera noise: the level is what the difference measures, times a draw from the jitter. */
static void camera_levels(void **state)
{
    setup *s = make_setup(3, 2);
    size_t n = 32 * 32;
    aei_loader *l;

    (void)state;
    s->recipe.corruptions[0] = (ae_corruption){.kind = AE_CORRUPT_CAMERA,
                                               .min = 2,
                                               .max = 8,
                                               .probability = 1,
                                               .jitter_min = 0.8f,
                                               .jitter_max = 1.25f};
    l = make_loader(s);
    for (int step = 0; step < 20; step++) {
        aei_batch b = next(l);

        for (uint32_t k = 0; k < b.n; k++) {
            const float *x = b.inputs[0] + k * n * 3, *t = b.target + k * n * 3,
                        *level = b.inputs[1] + k * n * 2;
            double luminance = 0, all = 0;

            for (size_t i = 0; i < n; i++) {
                double d[3], y;

                for (int c = 0; c < 3; c++)
                    d[c] = (double)x[3 * i + c] - t[3 * i + c];
                y = (d[0] + d[1] + d[2]) / 3;
                luminance += y * y / n;
                all += (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]) / n;
            }
            assert_true(luminance > 0);
            assert_true(level[0] > 0.79 * sqrt(luminance) && level[0] < 1.26 * sqrt(luminance));
            assert_true(
                fabs(level[1] / level[0] / sqrt((all - 3 * luminance) / 2 / luminance) - 1) < 1e-3);
        }
    }
    aei_loader_free(l);
    free(s);
}

/* Salt and pepper, masks, JPEG and moves leave the target alone and do what they say to the
 * picture. */
static void other_corruptions(void **state)
{
    static const ae_corrupt kinds[] = {AE_CORRUPT_SALT_PEPPER, AE_CORRUPT_MASK, AE_CORRUPT_JPEG,
                                       AE_CORRUPT_WARP};
    size_t n = 6 * 32 * 32;

    (void)state;
    for (int i = 0; i < 4; i++) {
        setup *s = make_setup(3, 1);
        size_t changed = 0, white = 0, black = 0;
        aei_loader *l;
        aei_batch b;

        s->recipe.corruptions[0] = (ae_corruption){.kind = kinds[i],
                                                   .min = 0.2f,
                                                   .max = 0.2f,
                                                   .probability = 1,
                                                   .jitter_min = 1,
                                                   .jitter_max = 1};
        if (kinds[i] == AE_CORRUPT_JPEG)
            s->recipe.corruptions[0].min = s->recipe.corruptions[0].max = 30;
        if (kinds[i] == AE_CORRUPT_WARP)
            s->recipe.corruptions[0].min = s->recipe.corruptions[0].max = 2;
        l = make_loader(s);
        b = next(l);
        for (size_t k = 0; k < n; k++) {
            changed += memcmp(b.inputs[0] + 3 * k, b.target + 3 * k, 3 * sizeof(float)) != 0;
            white += b.inputs[0][3 * k] == 1 && b.inputs[0][3 * k + 1] == 1;
            black += b.inputs[0][3 * k] == 0 && b.inputs[0][3 * k + 1] == 0;
        }
        if (kinds[i] == AE_CORRUPT_JPEG) {
            assert_true(changed > n / 2);
            assert_true(deviation(b.inputs[0], b.target, 3 * n) < 0.05);
        } else if (kinds[i] == AE_CORRUPT_WARP) {
            assert_true(changed > n / 2);
            assert_true(deviation(b.inputs[0], b.target, 3 * n) > 0.05);
        } else {
            assert_true(changed > n * 0.17 && changed < n * 0.23);
            assert_true(black > n * (kinds[i] == AE_CORRUPT_MASK ? 0.17 : 0.08));
            assert_true(kinds[i] == AE_CORRUPT_MASK ? white == 0 : white > n * 0.08);
        }
        assert_true(b.inputs[1][0] > 0);
        aei_loader_free(l);
        free(s);
    }
}

/* Crops are pieces of the items, turned in all eight ways, whatever the sample type. */
static void crops_come_from_the_pictures(void **state)
{
    static const ae_sample samples[] = {AE_U8, AE_U16, AE_F32};

    (void)state;
    for (int t = 0; t < 3; t++) {
        setup *s = make_setup(3, 0);
        int seen[8] = {0};
        aei_loader *l;

        s->fake.sample = samples[t];
        s->fake.h = 36;
        s->fake.w = 36;
        s->recipe.crop = 32;
        s->recipe.n_corruptions = 0;
        l = make_loader(s);
        for (int step = 0; step < 20; step++) {
            aei_batch b = next(l);

            for (uint32_t k = 0; k < b.n; k++) {
                const float *v = b.target + (size_t)k * 32 * 32 * 3;
                int found = -1;

                assert_memory_equal(v, b.inputs[0] + (size_t)k * 32 * 32 * 3,
                                    32 * 32 * 3 * sizeof(float));
                for (size_t i = 0; i < 30 && found < 0; i++)
                    for (int at = 0; at < 25 * 8 && found < 0; at++) {
                        bool equal = true;

                        for (uint32_t q = 0; q < 32 * 32 && equal; q++) {
                            uint32_t y = q / 32, x = q % 32, fy = at & 2 ? 31 - y : y,
                                     fx = at & 1 ? 31 - x : x;
                            uint32_t py = (uint32_t)at / 8 / 5 + (at & 4 ? fx : fy),
                                     px = (uint32_t)at / 8 % 5 + (at & 4 ? fy : fx);

                            for (uint32_t c = 0; c < 3; c++)
                                equal = equal &&
                                        fabsf(v[3 * q + c] -
                                              (float)fake_sample(i, py, px, c) / 255.0f) < 1e-6f;
                        }
                        if (equal)
                            found = at & 7;
                    }
                assert_true(found >= 0);
                seen[found]++;
            }
        }
        for (int i = 0; i < 8; i++)
            assert_true(seen[i] > 0);
        aei_loader_free(l);
        free(s);
    }
}

/* Pictures smaller than the crop are mirrored up to it; grey ones feed colour networks and the
 * other way round. */
static void small_and_grey_pictures(void **state)
{
    for (uint32_t c = 1; c <= 3; c += 2) {
        setup *s = make_setup(4 - c, 0);
        aei_loader *l;

        (void)state;
        s->fake.h = 20;
        s->fake.w = 17;
        s->fake.c = c;
        s->recipe.augment = false;
        s->recipe.n_corruptions = 0;
        l = make_loader(s);
        for (int step = 0; step < 3; step++) {
            aei_batch b = next(l);

            for (uint32_t k = 0; k < b.n; k++) {
                const float *v = b.target + (size_t)k * 32 * 32 * (4 - c);

                if (c == 1) {
                    for (int i = 0; i < 32 * 32; i++)
                        assert_true(v[3 * i] == v[3 * i + 1] && v[3 * i] == v[3 * i + 2]);
                    /* 6 rows are mirrored at the top, 7 columns at the left */
                    for (int i = 0; i < 6; i++)
                        assert_memory_equal(v + i * 96, v + (11 - i) * 96, 96 * sizeof(float));
                }
            }
        }
        aei_loader_free(l);
        free(s);
    }
}

/* The hold-out is the same for every seed and run, is not trained on, and has the noise that is
 * asked for. */
static void validation_is_fixed(void **state)
{
    setup *s = make_setup(3, 1);
    size_t n = (size_t)6 * 32 * 32 * 3;
    float *first = malloc(n * sizeof(*first));
    aei_loader *l;

    (void)state;
    s->recipe.grey = s->recipe.clean = 0.5f;
    l = make_loader(s);
    assert_int_equal(aei_loader_n_validation(l), 2); /* three items, four crops each */
    memcpy(first, validation(l, 1).inputs[0], n * sizeof(*first));
    next(l);
    assert_memory_equal(validation(l, 1).inputs[0], first, n * sizeof(*first));
    for (uint32_t i = 0; i < 2; i++) {
        aei_batch b = validation(l, i);

        assert_true(fabs(deviation(b.inputs[0], b.target, n) * 255 - 25) < 0.5);
        assert_true(b.inputs[1][0] == 25.0f / 255.0f);
    }
    aei_loader_free(l);
    s->config.seed = 99;
    s->config.threads = 2;
    l = make_loader(s);
    assert_memory_equal(validation(l, 1).inputs[0], first, n * sizeof(*first));
    aei_loader_free(l);
    s->recipe.crop = 16; /* more of them fit beside each other: five each */
    l = make_loader(s);
    assert_int_equal(aei_loader_n_validation(l), 3);
    aei_loader_free(l);
    free(first);
    free(s);
}

/* An unreadable item is warned of once and replaced; one usable item is enough; none is an error.
 */
static void unusable_items(void **state)
{
    setup *s = make_setup(3, 1);
    aei_loader *l;
    ae_error err = {0};
    size_t n;

    (void)state;
    s->fake.bad = 4;
    l = make_loader(s);
    for (int i = 0; i < 60; i++)
        next(l);
    assert_int_equal(s->fake.warnings, 1);
    assert_int_equal(s->fake.loads, 30); /* each once */
    aei_loader_free(l);

    s->data.n_items = 1;
    l = make_loader(s);
    next(l);
    assert_int_equal(aei_loader_n_validation(l), 1);
    aei_loader_fingerprint(l, &n);
    assert_int_equal(n, 1);
    aei_loader_free(l);

    s->fake.all_bad = true;
    assert_int_equal(aei_loader_create(&s->config, &l, &err), AE_ERR_MALFORMED);
    assert_null(l);
    s->data.n_items = 0;
    assert_int_equal(aei_loader_create(&s->config, &l, &err), AE_ERR_MALFORMED);
    free(s);
}

/* What does not fit is let go, and every item gets its turn. */
static void memory_is_bounded(void **state)
{
    setup *s = make_setup(3, 0);
    aei_items *items;
    const aei_picture *p;
    ae_error err = {0};
    uint64_t one = 50 * 70 * 3;
    aei_loader *l;

    (void)state;
    assert_int_equal(aei_items_create(&s->data, 3 * one, 16, 16, false, NULL, NULL, &items, &err),
                     AE_OK);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(aei_items_get(items, i % 10, &p, &err), AE_OK);
        aei_items_put(items, i % 10);
        assert_true(aei_items_bytes(items) <= 3 * one);
    }
    assert_int_equal(s->fake.loads, 30);
    assert_int_equal(aei_items_get(items, 8, &p, &err), AE_OK); /* still here */
    aei_items_put(items, 8);
    assert_int_equal(s->fake.loads, 30);
    aei_items_free(items);

    /* 6 crops a step: a window of 8 of 27 items moves on by one in some 11 steps */
    s->fake.loads = 0;
    s->config.cache_bytes = 10 * one;
    l = make_loader(s);
    for (int i = 0; i < 640; i++)
        next(l);
    assert_true(s->fake.loads > 55 && s->fake.loads < 110);
    aei_loader_free(l);
    free(s);
}

/* The low resolution is the shrunken picture, whatever lies around the crop. */
static void superres_pairs(void **state)
{
    setup *s = make_setup(3, 0);
    aei_loader *l;

    (void)state;
    s->recipe.task = AE_TASK_SUPERRES;
    s->recipe.scale = 2;
    s->recipe.n_corruptions = 0;
    l = make_loader(s);
    for (int step = 0; step < 5; step++) {
        aei_batch b = next(l);
        double sum = 0;

        for (size_t k = 0; k < b.n; k++)
            for (size_t i = 0; i < 16 * 16 * 3; i++) {
                size_t y = i / 48, x = i / 3 % 16, c = i % 3;
                const float *t = b.target + k * 32 * 32 * 3 + (2 * y * 32 + 2 * x) * 3 + c;
                double mean = 0.25 * ((double)t[0] + t[3] + t[96] + t[99]);

                sum += fabs(mean - b.inputs[0][k * 16 * 16 * 3 + i]);
            }
        /* smooth pictures: near the mean of the four */
        assert_true(sum / (b.n * 16 * 16 * 3) < 0.004);
        assert_true(deviation(b.base, b.target, (size_t)b.n * 32 * 32 * 3) < 0.01);
        assert_true(deviation(b.base, b.target, (size_t)b.n * 32 * 32 * 3) > 0);
    }
    aei_loader_free(l);
    free(s);
}

static void area_filter(void **state)
{
    setup *s = make_setup(3, 0);
    aei_loader *l;
    aei_batch b;

    (void)state;
    s->recipe.task = AE_TASK_SUPERRES;
    s->recipe.scale = 2;
    s->recipe.n_corruptions = 0;
    s->recipe.filters[0] = AE_AREA;
    l = make_loader(s);
    b = next(l);
    for (size_t i = 0; i < (size_t)b.n * 16 * 16 * 3; i++) {
        size_t k = i / 768, y = i / 48 % 16, x = i / 3 % 16;
        const float *t = b.target + k * 32 * 32 * 3 + (2 * y * 32 + 2 * x) * 3 + i % 3;

        assert_true(fabsf(0.25f * (t[0] + t[3] + t[96] + t[99]) - b.inputs[0][i]) <=
                    0.5f / 255 + 1e-5f);
        /* 8 bits */
        assert_true(fabsf(255 * b.inputs[0][i] - rintf(255 * b.inputs[0][i])) <= 1e-4f);
    }
    aei_loader_free(l);
    free(s);
}

/* A loader and what it reads: its threads go on after the first batch, so none shares a recipe. */
typedef struct strong {
    setup *setup;
    aei_loader *loader;
    aei_batch batch;
} strong;

/* The first batch with this strength. */
static strong with_strength(uint32_t scale, uint32_t n_corruptions, float min, float max)
{
    strong g = {.setup = make_setup(3, 1)};
    ae_recipe *r = &g.setup->recipe;

    r->task = scale > 1 ? AE_TASK_SUPERRES : AE_TASK_DENOISE;
    r->scale = scale;
    r->corruptions[0].kind = AE_CORRUPT_JPEG;
    r->corruptions[0].min = r->corruptions[0].max = 10;
    r->n_corruptions = n_corruptions;
    r->strength_min = min;
    r->strength_max = max;
    g.loader = make_loader(g.setup);
    g.batch = next(g.loader);
    return g;
}

/* The target keeps what the level says: in between it lies between clean and corrupted. */
static void strength(void **state)
{
    (void)state;
    for (uint32_t scale = 1; scale <= 2; scale++) {
        strong made[4] = {with_strength(scale, 1, 1, 16), with_strength(scale, 1, 0.25f, 0.25f),
                          with_strength(scale, 1, 0, 1e-9f), with_strength(scale, 0, 0, 1e-9f)};
        aei_batch all = made[0].batch, quarter = made[1].batch, none = made[2].batch,
                  calm = made[3].batch;
        double kept = 0;

        for (size_t i = 0; i < 6 * 32 * 32 * 3; i++) {
            assert_true(fabsf(quarter.target[i] - 0.25f * all.target[i] - 0.75f * none.target[i]) <=
                        1e-5f);
            assert_true(fabsf(none.base[i] - none.target[i] - calm.base[i] + calm.target[i]) <=
                        1e-5f);
            kept += fabsf(none.target[i] - all.target[i]);
        }
        assert_true(kept > 6 * 32 * 32 * 3 * 0.002);
        assert_true(all.inputs[1][5] == 1 && quarter.inputs[1][5] == 0.25f &&
                    fabsf(none.inputs[1][5]) <= 1e-6f);
        for (int i = 0; i < 4; i++) {
            aei_loader_free(made[i].loader);
            free(made[i].setup);
        }
    }
}

/* About one pixel in fifty carries weight; the others are what the target is. */
static void noisy_only(void **state)
{
    setup *s = make_setup(3, 1);
    aei_loader *l;
    size_t marked = 0, changed = 0, n;

    (void)state;
    s->config.noisy_only = true;
    l = make_loader(s);
    for (int step = 0; step < 5; step++) {
        aei_batch b = next(l);

        n = (size_t)b.n * 32 * 32;
        for (size_t i = 0; i < n; i++) {
            bool equal = !memcmp(b.inputs[0] + 3 * i, b.target + 3 * i, 3 * sizeof(float));

            assert_true(b.weight[i] == 0 || b.weight[i] == 1);
            assert_true(equal || b.weight[i] == 1);
            marked += b.weight[i] == 1;
            changed += !equal;
        }
    }
    n *= 5;
    assert_true((double)marked / (double)n > 0.015 && (double)marked / (double)n < 0.03);
    assert_true(changed > marked / 2);
    aei_loader_free(l);
    free(s);
}

/* The picture with noise of deviation 12 that depends on the place. Item 4 is of another size. */
static ae_status noisy_load(void *opaque, size_t i, ae_signal_info *info, void **pixels,
                            ae_error *err)
{
    fake other = {.h = 50, .w = 70, .c = 3, .sample = AE_U8, .bad = SIZE_MAX};
    uint32_t draw = (uint32_t)i * 977 + 1;
    ae_status st;

    (void)opaque;
    other.w -= i == 4;
    st = fake_load(&other, i, info, pixels, err);
    for (size_t k = 0; st == AE_OK && k < (size_t)other.h * other.w * 3; k++) {
        draw = draw * 1664525 + 1013904223;
        /* never beyond 0..255 */
        ((uint8_t *)*pixels)[k] = (uint8_t)(((uint8_t *)*pixels)[k] + (draw >> 31 ? 12 : -12));
    }
    return st;
}

static void count_warning(void *opaque, const char *message)
{
    assert_non_null(strstr(message, "69 x 50"));
    atomic_fetch_add(&((fake *)opaque)->warnings, 1);
}

/* The same piece of both, nothing else done to it, and a level that comes of what is found in the
 * noisy one. */
static void pairs(void **state)
{
    setup *s = make_setup(3, 2);
    ae_dataset noisy = {.n_items = 30, .load = noisy_load, .name = fake_name};
    aei_loader *l;
    aei_batch b;
    ae_error err;

    (void)state;
    s->recipe.scale_max = 2;
    s->config.noisy = &noisy;
    s->config.warning = count_warning;
    l = make_loader(s);
    for (int step = 0; step < 20; step++) {
        b = next(l);
        for (size_t i = 0; i < (size_t)b.n * 32 * 32; i++) {
            for (size_t c = 0; c < 3; c++)
                assert_true(fabsf(fabsf(b.inputs[0][3 * i + c] - b.target[3 * i + c]) -
                                  12 / 255.0f) <= 1e-6f);
            /* white noise of 12 is told as 12 / sqrt 3 and 12; estimates err, and training tells
             * about that much */
            assert_true(b.inputs[1][2 * i] > 3 / 255.0f && b.inputs[1][2 * i] < 14 / 255.0f);
            assert_true(b.inputs[1][2 * i + 1] > 6 / 255.0f &&
                        b.inputs[1][2 * i + 1] < 20 / 255.0f);
        }
    }
    assert_true(atomic_load(&s->fake.warnings) <= 1);
    aei_loader_free(l);
    noisy.n_items = 29;
    assert_int_equal(aei_loader_create(&s->config, &l, &err), AE_ERR_MISMATCH);
    noisy.n_items = 30;
    s->recipe.task = AE_TASK_COMPRESS;
    assert_int_equal(aei_loader_create(&s->config, &l, &err), AE_ERR_UNSUPPORTED);
    free(s);
}

/* Fixed-size networks take items whole. */
static void whole_items(void **state)
{
    setup *s = make_setup(1, 0);
    aei_loader *l;
    aei_batch b;

    (void)state;
    s->fake.h = s->fake.w = 8;
    s->fake.c = 1;
    s->nodes[0].height = s->nodes[0].width = 8;
    s->recipe.task = AE_TASK_AUTOENCODE;
    s->recipe.residual = s->recipe.augment = false;
    s->recipe.n_corruptions = 0;
    s->data.n_items = 1;
    l = make_loader(s);
    b = next(l);
    assert_null(b.base);
    for (uint32_t i = 0; i < 64; i++)
        assert_true(fabsf(b.target[i] - (float)fake_sample(0, i / 8, i % 8, 0) / 255.0f) < 1e-6f);
    aei_loader_free(l);
    free(s);
}

/* In training a batch's qualities are evenly spread from a point of its own, in validation over the
 * whole set. */
static void qualities(void **state)
{
    setup *s = make_setup(3, 1);
    aei_loader *l;
    double mean = 0, first = 0;
    uint32_t k = 0;

    (void)state;
    s->nodes[1] = (ae_node){
        .name = "quality", .op = AE_OP_INPUT, .out = 1, .height = 1, .width = 1};
    s->recipe.task = AE_TASK_COMPRESS;
    s->recipe.residual = false;
    s->recipe.n_corruptions = 0;
    l = make_loader(s);
    for (int i = 0; i < 200; i++) {
        aei_batch b = next(l);

        assert_ptr_equal(b.quality, b.inputs[1]);
        assert_memory_equal(b.inputs[0], b.target, (size_t)6 * 32 * 32 * 3 * sizeof(float));
        for (int j = 0; j < 6; j++) {
            float apart = b.quality[j] - b.quality[0];

            assert_true(b.quality[j] >= 0 && b.quality[j] < 1);
            assert_true(fabsf(apart - roundf(apart) - ((float)j / 6 - roundf((float)j / 6))) <
                            1e-5f ||
                        j == 3);
        }
        mean += (double)b.quality[2] / 200;
        first += pow((double)b.quality[0] - 0.5, 2) / 200;
    }
    assert_true(fabs(mean - 0.5) < 0.08 && fabs(first - 1.0 / 12) < 0.03);
    for (uint32_t i = 0; i < aei_loader_n_validation(l); i++) {
        aei_batch b = validation(l, i);

        for (int j = 0; j < 6 && k < 12; j++, k++)
            assert_true(fabsf(b.quality[j] - ((float)k + 0.5f) / 12) < 1e-6f);
    }
    assert_int_equal(k, 12); /* 3 items of 30 are held out, 4 crops of each */
    aei_loader_free(l);
    s->config.noisy_only = true;
    assert_int_equal(aei_loader_create(&s->config, &l, NULL), AE_ERR_UNSUPPORTED);
    free(s);
}

/* Every allocation of a loader's life fails once; nothing leaks and the next try succeeds. */
static void allocations_fail(void **state)
{
    setup *s = make_setup(3, 1);
    int failures = 0;
    bool done = false;

    (void)state;
    s->recipe.task = AE_TASK_SUPERRES;
    s->recipe.scale = 2;
    for (uint64_t n = 1; !done; n++) {
        aei_loader *l = NULL;
        aei_batch b;
        ae_error err = {0};
        ae_status st;

        ae_alloc_fail_at(n);
        st = aei_loader_create(&s->config, &l, &err);
        for (int i = 0; i < 3 && st == AE_OK; i++)
            st = aei_loader_next(l, &b, NULL, &err);
        if (st == AE_OK)
            st = aei_loader_validation(l, 0, &b, &err);
        ae_alloc_fail_at(0);
        aei_loader_free(l);
        assert_true(st == AE_OK || st == AE_ERR_NOMEM);
        failures += st == AE_ERR_NOMEM;
        done = st == AE_OK && n > 200;
    }
    assert_true(failures > 30);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(patterns_replace_crops),
        cmocka_unit_test(levels_tell_the_truth),
        cmocka_unit_test(camera_levels),
        cmocka_unit_test(other_corruptions),
        cmocka_unit_test(crops_come_from_the_pictures),
        cmocka_unit_test(small_and_grey_pictures),
        cmocka_unit_test(validation_is_fixed),
        cmocka_unit_test(unusable_items),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(superres_pairs),
        cmocka_unit_test(area_filter),
        cmocka_unit_test(strength),
        cmocka_unit_test(noisy_only),
        cmocka_unit_test(pairs),
        cmocka_unit_test(qualities),
        cmocka_unit_test(whole_items),
        cmocka_unit_test(allocations_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
