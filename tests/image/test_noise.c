/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The estimator on made pictures: white and coarse noise of known deviation, clean gradients,
 * texture, grey, depths, odd sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "ae/denoise.h"
#include "train/patterns.h"
#include "core/rng.h"
#include "image/quiet.h"

typedef struct picture {
    ae_signal_info info;
    float *samples; /* 1.0 = white */
    uint8_t *pixels;
    uint64_t at;
} picture;

static ae_status read_rows(void *opaque, void *rows, uint32_t n, ae_error *err)
{
    picture *p = opaque;
    size_t bytes = ae_row_bytes(&p->info);

    (void)err;
    assert_true(p->at + n <= p->info.height);
    memcpy(rows, p->pixels + p->at * bytes, n * bytes);
    p->at += n;
    return AE_OK;
}

/* Slopes, a few edges and a corner of texture, neither black nor white. */
static picture make_picture(uint32_t w, uint32_t h, uint32_t channels, ae_sample sample)
{
    picture p = {.info = {.kind = AE_KIND_IMAGE,
                          .sample = sample,
                          .bits = 8 * (uint32_t)ae_sample_bytes(sample),
                          .channels = channels,
                          .alpha = channels % 2 == 0,
                          .width = w,
                          .height = h}};
    size_t n = (size_t)w * h * channels;

    p.samples = ae_alloc(n, sizeof(float));
    p.pixels = ae_alloc(n, ae_sample_bytes(sample));
    assert_true(p.samples && p.pixels);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (uint32_t c = 0; c < channels; c++) {
                float v = 0.4f + 0.1f * (float)c * (float)y / (float)h +
                          0.2f * sinf((float)x * 0.013f + (float)y * 0.007f);

                if ((x / 150 + y / 90) % 3 == 0)
                    v *= 0.7f;
                if (x * 3 < w && y * 3 < h)
                    v += 0.1f * sinf((float)x * 1.1f) * sinf((float)y * 0.9f);
                p.samples[((size_t)y * w + x) * channels + c] = v;
            }
    return p;
}

/* Adds noise of this deviation (0..255), averaged over `grain` neighbours in a row and in a column.
 */
static void add_noise(picture *p, float sigma, int grain)
{
    size_t w = (size_t)p->info.width, h = (size_t)p->info.height, channels = p->info.channels,
           n = w * h * channels;
    float *noise = ae_alloc(n, sizeof(float)), *rows = ae_alloc(n, sizeof(float));
    aei_rng rng = aei_rng_make(1, n, (uint64_t)grain);

    assert_true(noise && rows);
    aei_rng_normals(&rng, noise, n);
    for (size_t y = 0; y < h; y++)
        for (size_t i = 0; i < w * channels; i++)
            for (int k = 0; k < grain; k++)
                rows[y * w * channels + i] +=
                    noise[y * w * channels + (i + (size_t)k * channels) % (w * channels)];
    for (size_t y = 0; y < h; y++)
        for (size_t i = 0; i < w * channels; i++) {
            float sum = 0;

            for (int k = 0; k < grain; k++)
                sum += rows[(y + (size_t)k) % h * w * channels + i];
            p->samples[y * w * channels + i] += sum * sigma / 255 / (float)grain;
        }
    ae_free(noise);
    ae_free(rows);
}

static ae_noise estimate(picture *p)
{
    ae_row_source source = {p->info, p, read_rows};
    ae_noise noise;

    ae_samples_from_f32(p->info.sample, p->samples, p->pixels,
                        (size_t)(p->info.width * p->info.height * p->info.channels));
    p->at = 0;
    assert_int_equal(ae_noise_estimate(&source, NULL, &noise, NULL), AE_OK);
    assert_int_equal(p->at, p->info.height);
    return noise;
}

static void free_picture(picture *p)
{
    ae_free(p->samples);
    ae_free(p->pixels);
}

static void check(const char *what, float found, float low, float high)
{
    if (!(found >= low && found <= high))
        fail_msg("%s: %.2f is not within %.2f to %.2f", what, (double)found, (double)low,
                 (double)high);
}

static void test_white_noise(void **state)
{
    static const float sigmas[] = {3, 6, 12, 25, 50};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        picture p = make_picture(500, 400, 3, AE_U8);
        ae_noise noise;
        float s = sigmas[i];

        add_noise(&p, s, 1);
        noise = estimate(&p);
        check("white", noise.white, 0.85f * s, 1.6f * s);
        if (s >= 6) {
            assert_true(noise.is_white && noise.n_bins == 0);
            check("white, known to be", noise.white, 0.93f * s, 1.07f * s);
        }
        check("luminance", noise.luminance, 0.8f * s * 0.577f, 1.65f * s * 0.577f);
        check("chroma", noise.chroma, 0.8f * s, 1.6f * s);
        free_picture(&p);
    }
}

/* What a camera's demosaicking makes of noise: second differences alone would see a fraction of it.
 */
static void test_coarse_noise(void **state)
{
    (void)state;
    for (int grain = 2; grain <= 3; grain++) {
        picture p = make_picture(500, 400, 3, AE_U8);

        add_noise(&p, 10, grain);
        check("coarse luminance", estimate(&p).luminance, 0.5f * 5.77f, 1.5f * 5.77f);
        free_picture(&p);
    }
}

static void test_clean(void **state)
{
    picture p = make_picture(500, 400, 3, AE_U8);
    ae_noise noise = estimate(&p);

    (void)state;
    check("clean luminance", noise.luminance, 0, 1.6f);
    check("clean chroma", noise.chroma, 0, 1.6f);
    memset(p.samples, 0, 500 * 400 * 3 * sizeof(float));
    noise = estimate(&p);
    check("black", noise.white, 0, 0.5f);
    free_picture(&p);
}

/* Brown fur all over, hairs five pixels long: its grain has a direction and one colour, so it is
 * not taken for noise. */
static void test_texture(void **state)
{
    enum { W = 500, H = 400, HAIR = 5 };
    static const float colour[3] = {1.3f, 1, 0.7f};
    picture p = make_picture(W, H, 3, AE_U8);
    aei_rng rng = aei_rng_make(5, 0, 0);
    float *grain = ae_alloc(W * H + HAIR, sizeof(float));

    (void)state;
    assert_non_null(grain);
    aei_rng_normals(&rng, grain, W * H + HAIR);
    for (size_t i = 0; i < W * H; i++) {
        float hair = 0;

        for (size_t k = 0; k < HAIR; k++)
            hair += grain[i + k];
        for (size_t c = 0; c < 3; c++)
            p.samples[3 * i + c] += colour[c] * hair * 10 / 255 / sqrtf(HAIR);
    }
    check("luminance of fur", estimate(&p).luminance, 0, 2);
    ae_free(grain);
    free_picture(&p);
}

/* Noise that grows with the brightness, as on a sensor: found for what it is at either end. */
static void test_curve(void **state)
{
    enum { W = 512, H = 384 };
    picture p = make_picture(W, H, 3, AE_U8);
    aei_rng rng = aei_rng_make(7, 0, 0);
    ae_noise noise;

    (void)state;
    for (size_t i = 0; i < W * H; i++) {
        float v = 0.15f + 0.7f * (float)(i % W) / W;

        for (size_t c = 0; c < 3; c++)
            p.samples[3 * i + c] = v + (2 + 20 * v) / 255 * aei_rng_normal(&rng);
    }
    noise = estimate(&p);
    assert_int_equal(noise.n_bins, AE_NOISE_BINS);
    assert_false(noise.is_white);
    check("chroma where dark", noise.chroma_at[3], 0.6f * 6, 1.6f * 6);
    check("chroma where bright", noise.chroma_at[12], 0.5f * 18, 1.5f * 18);
    check("bright by dark", noise.luminance_at[12] / noise.luminance_at[3], 1.5f, 5);
    free_picture(&p);
}

/* Pictures that no camera took have no noise at all: checks, stripes in colour, dither, one colour.
 */
static void test_drawn(void **state)
{
    enum { S = 200 };
    static const uint8_t bayer[4] = {0, 2, 3, 1};

    (void)state;
    for (int kind = 0; kind < 4; kind++)
        for (uint32_t channels = 1; channels <= 3; channels += 2) {
            picture p = make_picture(S, S, channels, AE_U8);
            ae_noise noise;

            for (size_t i = 0; i < S * S; i++)
                for (size_t c = 0; c < channels; c++) {
                    size_t x = i % S, y = i / S,
                           level = 6 * x / S + (4 * x * 6 / S % 4 > bayer[y % 2 * 2 + x % 2]);

                    p.samples[channels * i + c] = kind == 0   ? (float)((x + y) % 2)
                                                  : kind == 1 ? (float)((x / 2 + c) % 3) / 3 + 0.1f
                                                  : kind == 2 ? (float)level / 7
                                                              : 0.3f + 0.1f * (float)c;
                }
            noise = estimate(&p);
            assert_true(noise.luminance == 0 && noise.chroma == 0 && noise.white == 0 &&
                        noise.confidence > 0.9f);
            free_picture(&p);
        }
}

/* Soft halftones, stripes and rings fill all levels, and checks of hardly any contrast have too few
 * to tell: they have no noise either. */
static void test_soft_patterns(void **state)
{
    enum { S = 192 };
    static const uint64_t drawn[][2] = {{5, 82}, {7, 22}, {7, 51}, {9, 48}, {2, 38}, {9, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(drawn) / sizeof(drawn[0]); i++) {
        picture p = make_picture(S, S, 3, AE_U8);

        aei_pattern_draw(drawn[i][0], drawn[i][1], S, S, p.samples);
        assert_true(estimate(&p).white == 0);
        free_picture(&p);
    }
}

static void test_grey_and_depths(void **state)
{
    picture p = make_picture(500, 400, 1, AE_U8);
    ae_noise noise;

    (void)state;
    add_noise(&p, 12, 1);
    noise = estimate(&p);
    check("grey luminance", noise.luminance, 9, 18);
    assert_true(noise.chroma == 0);
    assert_true(noise.white == noise.luminance);
    free_picture(&p);

    /* clipped, too */
    p = make_picture(500, 400, 1, AE_U8);
    add_noise(&p, 55, 1);
    noise = estimate(&p);
    assert_true(noise.is_white);
    check("strong and grey", noise.white, 48, 62);
    free_picture(&p);

    for (ae_sample s = AE_U8; s <= AE_F32; s = s == AE_U8 ? AE_U16 : s == AE_U16 ? AE_F32 : s + 1) {
        p = make_picture(500, 400, 4, s);
        add_noise(&p, 12, 1);
        if (s == AE_F32)
            p.samples[4 * 1234] = NAN;
        check("depth", estimate(&p).white, 10, 18);
        free_picture(&p);
    }
}

typedef struct map {
    const picture *p;
    const ae_noise *noise;
    uint64_t y;
} map;

/* Rows of a picture that is flat along them: what is told hangs on the brightness, whichever strip
 * a row came in. */
static ae_status check_map(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    map *m = opaque;
    const uint8_t *v = rows;
    double h = (double)m->p->info.height;

    (void)err;
    for (uint32_t y = 0; y < n_rows; y++, m->y++)
        for (size_t x = 0; x < m->p->info.width; x++, v += 3)
            assert_true(v[0] == 4 * 8 && !v[2] &&
                        /* at the edges the smoothing shows */
                        fabs(v[1] - 4 * (2 + 6 * (double)m->y / h)) <= 1 + 24 * 3 / h);
    return AE_OK;
}

static void test_map(void **state)
{
    static const uint32_t heights[] = {1, 5, 63, 64, 66, 128, 192, 321};
    ae_noise noise = {.n_bins = AE_NOISE_BINS};

    (void)state;
    for (int i = 0; i < AE_NOISE_BINS; i++) {
        noise.luminance_at[i] = 2 + 6 * (float)i / (AE_NOISE_BINS - 1);
        noise.chroma_at[i] = 8;
    }
    for (size_t i = 0; i < sizeof(heights) / sizeof(*heights); i++) {
        picture p = make_picture(37, heights[i], 3, AE_F32);
        ae_row_source source = {p.info, &p, read_rows};
        map m = {&p, &noise, 0};
        ae_row_sink sink = {&m, check_map};

        for (size_t k = 0; k < 37 * 3 * (size_t)heights[i]; k++)
            p.samples[k] = (float)(k / (37 * 3)) / (float)heights[i];
        ae_samples_from_f32(AE_F32, p.samples, p.pixels, 37 * 3 * (size_t)heights[i]);
        assert_int_equal(ae_noise_map(&source, &noise, &sink, NULL, NULL), AE_OK);
        assert_int_equal(m.y, heights[i]);
        free_picture(&p);
    }
}

static ae_noise look_again(const ae_model *m, picture *p, ae_noise noise)
{
    ae_row_source source = {p->info, p, read_rows};
    ae_control control = {.threads = 2};

    p->at = 0;
    assert_int_equal(ae_noise_look_again(m, &source, AE_PRECISION_F32, &control, &noise, NULL),
                     AE_OK);
    return noise;
}

/* Told a part of a camera's noise, or all of it, or more than there is; noise that is grey
 * or white is left as it is found, and its rows unread. */
static void test_second_look(void **state)
{
    picture p = make_picture(420, 300, 3, AE_F32), small = make_picture(80, 200, 3, AE_U8),
            grey = make_picture(200, 200, 1, AE_U8), clean = make_picture(420, 300, 3, AE_U8);
    ae_noise found = {.luminance = 4, .chroma = 7, .white = 7, .n_bins = AE_NOISE_BINS}, again,
             weak = {.luminance = 1.8f, .chroma = 2, .white = 2.4f};
    ae_model *m = NULL;
    char path[4096];
    ae_error err;

    (void)state;
    if (ae_model_find("photo", path, sizeof(path), &err) != AE_OK ||
        ae_model_open(path, NULL, &m, &err) != AE_OK)
        fail_msg("%s", err.message);
    add_noise(&p, 11, 2); /* luminance 6.4 */
    p.samples[4321] = NAN;
    ae_samples_from_f32(AE_F32, p.samples, p.pixels, 420 * 300 * 3);
    for (int i = 0; i < AE_NOISE_BINS; i++) {
        found.luminance_at[i] = 4.5f;
        found.chroma_at[i] = 7.7f;
    }
    again = look_again(m, &p, found);
    assert_int_equal(p.at, p.info.height);
    check("part of it", again.luminance_at[7] / found.luminance_at[7], 1.3f, 1.7f);
    check("part of its colours", again.chroma_at[7] / found.chroma_at[7], 1.2f, 1.6f);
    for (int i = 0; i < AE_NOISE_BINS; i++) {
        found.luminance_at[i] = 6.4f;
        found.chroma_at[i] = 11;
    }
    again = look_again(m, &p, found);
    check("all of it", again.luminance_at[7] / found.luminance_at[7], 0.9f, 1.25f);
    check("all of its colours", again.chroma_at[7] / found.chroma_at[7], 0.9f, 1.1f);
    weak.n_bins = AE_NOISE_BINS;
    for (int i = 0; i < AE_NOISE_BINS; i++) {
        weak.luminance_at[i] = 1.8f;
        weak.chroma_at[i] = 2;
    }
    add_noise(&clean, 1.3f, 1);
    ae_samples_from_f32(AE_U8, clean.samples, clean.pixels, 420 * 300 * 3);
    check("more than there is", look_again(m, &clean, weak).white, 0, 1.8f);
    assert_true(look_again(m, &small, found).white == 7 && !small.at);
    assert_true(look_again(m, &grey, found).white == 7 && !grey.at);
    found.is_white = true;
    assert_true(look_again(m, &p, found).white == 7 && !p.at);
    ae_model_free(m);
    free_picture(&p);
    free_picture(&small);
    free_picture(&clean);
    free_picture(&grey);
}

static float bounded(picture *p, float told, float *chroma, float *unsmoothed)
{
    ae_noise noise = {.luminance = told, .chroma = told, .white = told, .n_bins = AE_NOISE_BINS};
    float features[AEI_QUIET_FEATURES];
    aei_quiet *quiet;

    for (int i = 0; i < AE_NOISE_BINS; i++)
        noise.luminance_at[i] = noise.chroma_at[i] = told;
    assert_int_equal(aei_quiet_create(&quiet, &p->info, NULL), AE_OK);
    for (uint64_t y = 0; y < p->info.height; y++)
        aei_quiet_row(quiet, p->pixels + y * ae_row_bytes(&p->info));
    *unsmoothed = aei_quiet_unsmoothed(quiet, &noise);
    aei_quiet_bound(quiet, *unsmoothed, &noise, features);
    for (int i = 0; i < AEI_QUIET_FEATURES; i++)
        assert_true(isfinite(features[i]));
    aei_quiet_free(quiet);
    *chroma = noise.chroma;
    return noise.luminance;
}

/* Grain of film, which has no colour, is noise nonetheless. */
static void test_film(void **state)
{
    picture film = make_picture(420, 300, 3, AE_U8), grain = make_picture(420, 300, 1, AE_U8),
            without = make_picture(420, 300, 1, AE_U8);
    ae_noise found = {.luminance = 3, .chroma = 0.3f, .white = 3, .n_bins = AE_NOISE_BINS};
    ae_model *m = NULL;
    char path[4096];

    (void)state;
    assert_int_equal(ae_model_find("photo", path, sizeof(path), NULL), AE_OK);
    assert_int_equal(ae_model_open(path, NULL, &m, NULL), AE_OK);
    add_noise(&grain, 10, 2); /* 5 */
    for (size_t i = 0; i < 420 * 300 * 3; i++)
        film.samples[i] += grain.samples[i / 3] - without.samples[i / 3];
    ae_samples_from_f32(AE_U8, film.samples, film.pixels, 420 * 300 * 3);
    for (int i = 0; i < AE_NOISE_BINS; i++) {
        found.luminance_at[i] = 3;
        found.chroma_at[i] = 0.3f;
    }
    check("film", look_again(m, &film, found).luminance, 2.9f, 8);
    ae_model_free(m);
    free_picture(&film);
    free_picture(&grain);
    free_picture(&without);
}

/* Noise that is told for too much comes down to what quiet parts have of it; where these have no
 * colour, a camera has smoothed them, and they say nothing. */
static void test_quiet_parts(void **state)
{
    picture p = make_picture(420, 300, 3, AE_U8), grey = make_picture(420, 300, 3, AE_U8),
            small = make_picture(40, 40, 3, AE_U8);
    float chroma, unsmoothed;

    (void)state;
    add_noise(&p, 2, 1); /* luminance 1.2 */
    ae_samples_from_f32(AE_U8, p.samples, p.pixels, 420 * 300 * 3);
    check("luminance", bounded(&p, 2.5f, &chroma, &unsmoothed), 1, 1.4f);
    check("chroma", chroma, 1.6f, 2.2f);
    check("unsmoothed", unsmoothed, 1, 1);
    check("less than there is", bounded(&p, 0.8f, &chroma, &unsmoothed), 0.8f, 0.8f);
    for (size_t i = 0; i < 420 * 300 * 3; i++)
        grey.pixels[i] = p.pixels[i / 3 * 3 + 1];
    check("smoothed", bounded(&grey, 3, &chroma, &unsmoothed), 3, 3);
    check("smoothed", unsmoothed, 0, 0);
    check("too small", bounded(&small, 3, &chroma, &unsmoothed), 3, 3);
    free_picture(&p);
    free_picture(&grey);
    free_picture(&small);
}

static void test_odd_sizes(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {7, 5}, {31, 200}, {200, 3}, {33, 65}};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        picture p = make_picture(sizes[i][0], sizes[i][1], 3, AE_U8);

        check("tiny", estimate(&p).white, 0, 60);
        free_picture(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_white_noise), cmocka_unit_test(test_coarse_noise),
        cmocka_unit_test(test_clean),       cmocka_unit_test(test_curve),
        cmocka_unit_test(test_drawn),       cmocka_unit_test(test_soft_patterns),
        cmocka_unit_test(test_texture),     cmocka_unit_test(test_grey_and_depths),
        cmocka_unit_test(test_odd_sizes),   cmocka_unit_test(test_map),
        cmocka_unit_test(test_second_look), cmocka_unit_test(test_quiet_parts),
        cmocka_unit_test(test_film),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
