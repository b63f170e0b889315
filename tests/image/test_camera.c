/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/camera.h"

enum { S = 128, LAGS = 5 };
static const int LAG[LAGS] = {1, 2, 3, 4, 8};

typedef struct bench {
    float clean[S * S * 3], noisy[S * S * 3], y[S * S], u[S * S], v[S * S];
    void *scratch;
} bench;

static bench *make_bench(void)
{
    bench *b = calloc(1, sizeof(*b));

    b->scratch = ae_alloc(aei_camera_scratch(S, S), 1);
    assert_non_null(b->scratch);
    return b;
}

static void free_bench(bench *b)
{
    ae_free(b->scratch);
    free(b);
}

/* Shading under patches of other brightness, in colours that differ from picture to picture. */
static void paint(float *to, uint32_t seed)
{
    aei_rng r = aei_rng_make(seed, 1, 2);
    float base[3], patch[S / 8 * S / 8], tilt = aei_rng_range(&r, 0.1f, 0.3f);

    for (int c = 0; c < 3; c++)
        base[c] = aei_rng_range(&r, 0.2f, 0.5f);
    for (int i = 0; i < S / 8 * S / 8; i++)
        patch[i] = aei_rng_below(&r, 3) ? 0 : aei_rng_range(&r, 0, 0.2f);
    for (int y = 0; y < S; y++)
        for (int x = 0; x < S; x++)
            for (int c = 0; c < 3; c++)
                to[(y * S + x) * 3 + c] = base[c] + tilt * (float)(x + y) / (2 * S) +
                                          patch[y / 8 * (S / 8) + x / 8];
}

static void take(bench *b, const aei_camera *k, uint64_t seed, bool grey)
{
    aei_rng r = aei_rng_make(seed, 3, 4);

    aei_camera_take(k, &r, b->clean, b->noisy, S, S, 3, grey, b->scratch);
    for (int i = 0; i < S * S; i++) {
        float d[3];

        for (int c = 0; c < 3; c++)
            d[c] = b->noisy[3 * i + c] - b->clean[3 * i + c];
        b->y[i] = (d[0] + d[1] + d[2]) / 3;
        b->u[i] = (d[0] - d[2]) / sqrtf(2);
        b->v[i] = (2 * d[1] - d[0] - d[2]) / sqrtf(6);
    }
}

/* Sum of products at a distance, both ways; distance 0: of squares. */
static double product(const float *v, int lag)
{
    double sum = 0;

    for (int y = 0; y + lag < S; y++)
        for (int x = 0; x + lag < S; x++)
            sum += 0.5 * v[y * S + x] * ((double)v[y * S + x + lag] + v[(y + lag) * S + x]);
    return sum / (S - lag) / (S - lag);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* What comes out of the camera, before anyone enlarges it or saves it again. */
static void draw(aei_rng *r, aei_camera *k)
{
    aei_camera_draw(r, k);
    k->zoom = 1;
    k->again = false;
}

/* One that smooths. */
static void draw_smoothing(aei_rng *r, aei_camera *k)
{
    do
        draw(r, k);
    while (k->raw);
}

static void within(const char *what, double v, double lo, double hi)
{
    if (!(v >= lo && v <= hi))
        fail_msg("%s is %g, not within %g and %g", what, v, lo, hi);
}

/* Cameras as drawn against what was measured on real pairs: medians of the correlations .62 .23 .13
 * .11 .05 of luminance and .91 .80 .66 .53 .21 of colour at distances 1 2 3 4 8, colour .65 times
 * as strong as luminance; and widely spread. */
static void noise_is_as_cameras_leave_it(void **state)
{
    enum { N = 301 };
    static double ly[LAGS][N], lc[LAGS][N], ratio[N], hit[N];
    static const double Y[LAGS][2] = {
        {0.42, 0.68}, {0.12, 0.32}, {0.06, 0.24}, {0.05, 0.2}, {0, 0.1}};
    static const double C[LAGS][2] = {
        {0.82, 0.95}, {0.65, 0.86}, {0.5, 0.75}, {0.38, 0.62}, {0.1, 0.35}};
    bench *b = make_bench();

    (void)state;
    for (int i = 0; i < N; i++) {
        aei_rng r = aei_rng_make(11, (uint64_t)i, 0);
        aei_camera k;
        double y, c;

        draw_smoothing(&r, &k);
        k.luminance = 4 / 255.0f;
        paint(b->clean, (uint32_t)i);
        take(b, &k, (uint64_t)i, false);
        y = product(b->y, 0);
        c = product(b->u, 0) + product(b->v, 0);
        for (int l = 0; l < LAGS; l++) {
            ly[l][i] = product(b->y, LAG[l]) / y;
            lc[l][i] = (product(b->u, LAG[l]) + product(b->v, LAG[l])) / c;
        }
        ratio[i] = sqrt(c / 2 / y);
        hit[i] = sqrt(y) / k.luminance;
    }
    for (int l = 0; l < LAGS; l++) {
        qsort(ly[l], N, sizeof(double), by_value);
        qsort(lc[l], N, sizeof(double), by_value);
        print_message("distance %d: luminance %.2f (%.2f to %.2f), colour %.2f (%.2f to %.2f)\n",
                      LAG[l], ly[l][N / 2], ly[l][N / 10], ly[l][N - 1 - N / 10], lc[l][N / 2],
                      lc[l][N / 10], lc[l][N - 1 - N / 10]);
        within("median correlation of luminance", ly[l][N / 2], Y[l][0], Y[l][1]);
        within("median correlation of colour", lc[l][N / 2], C[l][0], C[l][1]);
    }
    within("spread of luminance at 1", ly[0][N - 1 - N / 10] - ly[0][N / 10], 0.3, 1);
    qsort(ratio, N, sizeof(double), by_value);
    qsort(hit, N, sizeof(double), by_value);
    within("colour by luminance", ratio[N / 2], 0.5, 0.8);
    within("deviation by the one asked for", hit[N / 2], 0.95, 1.05);
    within("a low one", hit[N / 10], 0.8, 1.05);
    within("a high one", hit[N - 1 - N / 10], 1, 1.4);
    free_bench(b);
}

/* Without JPEG and clipping the deviations are the ones asked for. */
static void deviations_are_exact(void **state)
{
    bench *b = make_bench();

    (void)state;
    for (int i = 0; i < 8; i++) {
        aei_rng r = aei_rng_make(12, (uint64_t)i, 0);
        aei_camera k;
        double y;

        draw_smoothing(&r, &k);
        k.luminance = 6 / 255.0f;
        k.has_jpeg = false;
        paint(b->clean, (uint32_t)i);
        take(b, &k, 5, false);
        y = product(b->y, 0);
        within("luminance", sqrt(y) / k.luminance, 0.99, 1.01);
        within("colour", sqrt((product(b->u, 0) + product(b->v, 0)) / 2 / y) / k.colour, 0.97,
               1.03);
    }
    free_bench(b);
}

/* Without noise reduction: as strong as asked for at middle brightness and fine; at black the
 * sensor clips it. */
static void raw_noise_is_clipped(void **state)
{
    bench *b = make_bench();

    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        aei_rng r = aei_rng_make(16, i, 0);
        double y, least = 1, mean = 0;
        aei_camera k;

        draw(&r, &k);
        k.raw = k.mosaic = true;
        k.fine = k.sharpen = 0;
        k.has_jpeg = false;
        k.luminance = 8 / 255.0f;
        for (int j = 0; j < S * S * 3; j++)
            b->clean[j] = 0.5f;
        take(b, &k, i, false);
        y = product(b->y, 0);
        within("luminance", sqrt(y) / k.luminance, 0.9, 1.1);
        within("colour by luminance", sqrt((product(b->u, 0) + product(b->v, 0)) / 2 / y), 0.8, 4);
        within("correlation of luminance", product(b->y, 4) / y, -0.05, 0.05);
        k.luminance = 30 / 255.0f;
        for (int j = 0; j < S * S * 3; j++)
            b->clean[j] = 0;
        take(b, &k, i, false);
        for (int j = 0; j < S * S; j++) {
            least = b->y[j] < least ? b->y[j] : least;
            mean += b->y[j] / (S * S);
        }
        within("what is darker than black", least, -1e-6, 1e-6);
        within("black, brightened by noise", mean, 0.005, 0.25);
    }
    free_bench(b);
}

/* Photon noise: the same tone curve, brighter linear light is noisier; the slope of the curve is in
 * it. */
static void noise_depends_on_the_signal(void **state)
{
    bench *b = make_bench();
    aei_rng r = aei_rng_make(1, 1, 1);
    aei_camera k;
    double dark = 0, bright = 0;

    (void)state;
    draw(&r, &k);
    k.has_jpeg = k.mosaic = false;
    k.fine = k.colour_fine = k.coarse_share = k.colour_share = k.sharpen = k.contrast = 0;
    k.keep = 1;
    k.gamma = 1; /* no curve at all */
    k.read = 0;
    k.luminance = 3 / 255.0f;
    for (int i = 0; i < S * S * 3; i++)
        b->clean[i] = i / 3 % S < S / 2 ? 0.1f : 0.4f;
    take(b, &k, 9, true);
    for (int i = 0; i < S * S; i++)
        *(i % S < S / 2 ? &dark : &bright) += (double)b->y[i] * b->y[i];
    within("variance of the brighter half by the darker", bright / dark, 3.6, 4.4);
    free_bench(b);
}

/* A camera without noise, mosaic, sharpening and JPEG gives back the picture. */
static void pictures_survive(void **state)
{
    bench *b = make_bench();
    float *before = malloc(sizeof(b->clean));

    (void)state;
    for (int i = 0; i < 20; i++) {
        aei_rng r = aei_rng_make(13, (uint64_t)i, 0);
        aei_camera k;
        bool grey = i % 4 == 3;

        draw(&r, &k);
        k.luminance = 0;
        k.has_jpeg = k.mosaic = false;
        k.sharpen = 0;
        paint(b->clean, (uint32_t)i);
        for (int j = 0; grey && j < S * S * 3; j++)
            b->clean[j] = b->clean[j - j % 3];
        memcpy(before, b->clean, sizeof(b->clean));
        take(b, &k, 1, grey);
        for (int j = 0; j < S * S * 3; j++) {
            assert_true(fabsf(b->clean[j] - before[j]) < 1e-4f);
            assert_true(fabsf(b->noisy[j] - b->clean[j]) <= 0.5f / 255 + 1e-4f);
        }
    }
    free(before);
    free_bench(b);
}

/* Demosaicing keeps flat colours exactly and smooth ones nearly, in each phase of the mosaic. */
static void demosaicing_keeps_flat_colours(void **state)
{
    bench *b = make_bench();

    (void)state;
    for (uint32_t i = 0; i < 12; i++) {
        static const float colour[3] = {0.5f, 0.3f, 0.6f};
        aei_rng r = aei_rng_make(14, i, 0);
        aei_camera k;

        draw(&r, &k);
        k.luminance = 0;
        k.has_jpeg = false;
        k.mosaic = true;
        k.phase = i % 4;
        k.gradient = (float)(i / 4) * 0.5f;
        k.sharpen = 0.5f;
        for (int j = 0; j < S * S * 3; j++)
            b->clean[j] = colour[j % 3];
        take(b, &k, 1, false);
        for (int j = 0; j < S * S * 3; j++)
            assert_true(fabsf(b->clean[j] - colour[j % 3]) < 1e-4f);
    }
    free_bench(b);
}

/* Equal channels stay equal, and a single channel is the same as three of it. */
static void grey_stays_grey(void **state)
{
    bench *b = make_bench();
    static float clean[S * S], noisy[S * S];

    (void)state;
    for (int i = 0; i < 10; i++) {
        aei_rng r = aei_rng_make(15, (uint64_t)i, 0), again;
        aei_camera k;

        draw_smoothing(&r, &k);
        k.luminance = 5 / 255.0f;
        paint(b->clean, (uint32_t)i);
        for (int j = 0; j < S * S * 3; j++)
            b->clean[j] = b->clean[j - j % 3];
        for (int j = 0; j < S * S; j++)
            clean[j] = b->clean[3 * j];
        take(b, &k, 2, true);
        again = aei_rng_make(2, 3, 4);
        aei_camera_take(&k, &again, clean, noisy, S, S, 1, false, b->scratch);
        for (int j = 0; j < S * S; j++) {
            assert_true(b->noisy[3 * j] == b->noisy[3 * j + 1] &&
                        b->noisy[3 * j] == b->noisy[3 * j + 2]);
            assert_true(fabsf(noisy[j] - b->noisy[3 * j]) < 1e-6f &&
                        fabsf(clean[j] - b->clean[3 * j]) < 1e-6f);
        }
        within("deviation", sqrt(product(b->y, 0)) * 255, 3, 7);
    }
    free_bench(b);
}

/* Odd sizes down to the smallest stay inside their buffers (run under a sanitizer) and give finite
 * samples. */
static void odd_sizes(void **state)
{
    static const uint32_t size[][2] = {{8, 8}, {9, 31}, {33, 17}, {64, 8}, {47, 129}};

    (void)state;
    for (uint32_t i = 0; i < 30; i++) {
        uint32_t h = size[i % 5][0], w = size[i % 5][1];
        aei_rng r = aei_rng_make(16, i, 0);
        float *clean = ae_alloc((size_t)h * w * 3, sizeof(float)),
              *noisy = ae_alloc((size_t)h * w * 3, sizeof(float));
        void *scratch = ae_alloc(aei_camera_scratch(h, w), 1);
        aei_camera k;

        assert_true(clean && noisy && scratch);
        for (uint32_t j = 0; j < h * w * 3; j++)
            clean[j] = aei_rng_float(&r) * 1.2f - 0.1f;
        draw(&r, &k);
        k.luminance = 0.05f;
        aei_camera_take(&k, &r, clean, noisy, h, w, 3, false, scratch);
        for (uint32_t j = 0; j < h * w * 3; j++)
            assert_true(clean[j] >= 0 && clean[j] <= 1 && noisy[j] >= 0 && noisy[j] <= 1);
        ae_free(clean);
        ae_free(noisy);
        ae_free(scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_is_as_cameras_leave_it),
        cmocka_unit_test(deviations_are_exact),
        cmocka_unit_test(raw_noise_is_clipped),
        cmocka_unit_test(noise_depends_on_the_signal),
        cmocka_unit_test(pictures_survive),
        cmocka_unit_test(demosaicing_keeps_flat_colours),
        cmocka_unit_test(grey_stays_grey),
        cmocka_unit_test(odd_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
