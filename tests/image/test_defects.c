/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Broken pixels and banding: found and mended where they are, to the byte untouched where they are
 * not. */
#include "picture.h"

#include "ae/denoise.h"
#include "train/patterns.h"

enum { W = 240, H = 200 };

/* A wall in uneven light with grain, of 8 or 16 bits or f32. */
static picture make_wall(ae_sample sample, uint32_t channels, uint64_t seed)
{
    picture p = make_picture(W, H, channels, sample);
    aei_rng rng = aei_rng_make(seed, 1, 2);

    for (size_t i = 0; i < (size_t)W * H * channels; i++) {
        float y = (float)(i / channels / W), x = (float)(i / channels % W);
        float v = 0.45f + 0.2f * sinf(0.02f * x + 0.013f * y) + 0.1f * sinf(0.11f * x - 0.07f * y) +
                  0.012f * aei_rng_normal(&rng);

        ae_samples_from_f32(sample, &v, p.pixels + i * ae_sample_bytes(sample), 1);
    }
    return p;
}

static void add(picture *p, size_t at, float to, bool set)
{
    size_t bytes = ae_sample_bytes(p->info.sample);
    float v;

    ae_samples_to_f32(p->info.sample, p->pixels + at * bytes, &v, 1);
    v = set ? to : v + to;
    ae_samples_from_f32(p->info.sample, &v, p->pixels + at * bytes, 1);
}

static double distance(const picture *p, const uint8_t *a, const uint8_t *b)
{
    size_t bytes = ae_sample_bytes(p->info.sample);
    double sum = 0, n = (double)(p->info.width * p->info.height) * p->info.channels;

    for (size_t i = 0; i < (size_t)n; i++) {
        float x, y;

        ae_samples_to_f32(p->info.sample, a + i * bytes, &x, 1);
        ae_samples_to_f32(p->info.sample, b + i * bytes, &y, 1);
        sum += ((double)x - y) * ((double)x - y);
    }
    return 255 * sqrt(sum / n);
}

/* Looks at p in pieces of some rows and leaves the mended rows, fetched in others, in p->result. */
static ae_defects_found mend(picture *p, uint32_t piece)
{
    ae_row_source source = {p->info, p, read_rows}, mended;
    ae_defects *d;
    ae_defects_found found;
    size_t bytes = ae_row_bytes(&p->info);

    assert_int_equal(ae_defects_create(&p->info, &d, NULL), AE_OK);
    for (uint64_t y = 0; y < p->info.height; y += piece)
        ae_defects_look(d, p->pixels + y * bytes,
                        (uint32_t)(p->info.height - y < piece ? p->info.height - y : piece));
    found = ae_defects_settle(d);
    p->rows_read = 0;
    assert_int_equal(ae_defects_mend(d, &source, &mended, NULL), AE_OK);
    for (uint64_t y = 0; y < p->info.height; y += piece)
        assert_int_equal(
            mended.read(mended.opaque, p->result + y * bytes,
                        (uint32_t)(p->info.height - y < piece ? p->info.height - y : piece), NULL),
            AE_OK);
    assert_int_equal(p->rows_read, p->info.height);
    ae_defects_free(d);
    return found;
}

static void test_pixels(void **state)
{
    static const ae_sample samples[] = {AE_U8, AE_U16, AE_F32, AE_U8};

    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        uint32_t channels = k == 3 ? 1 : k == 1 ? 4 : 3, n_broken = 14;
        picture p = make_wall(samples[k], channels, k), truth = make_wall(samples[k], channels, k);
        size_t pixel = channels * ae_sample_bytes(samples[k]), n_changed = 0;
        aei_rng rng = aei_rng_make(5, k, 0);
        ae_defects_found found;
        uint8_t *once;
        double before;

        for (uint32_t i = 0; i < n_broken; i++) { /* some in all channels, some in one */
            size_t at = (size_t)(10 + 13 * i) * W + 5 + aei_rng_below(&rng, W - 10);

            for (uint32_t c = 0; c < (channels == 4 ? 3 : channels); c++)
                if (i % 3 || c == i % channels)
                    add(&p, at * channels + c, i % 2 ? 1 : 0, true);
        }
        before = distance(&p, p.pixels, truth.pixels);
        found = mend(&p, 7);
        assert_true(found.pixels >= n_broken - 1 && found.pixels <= n_broken && found.rows == 0 &&
                    found.columns == 0);
        assert_true(distance(&p, p.result, truth.pixels) < before / 4);
        for (size_t i = 0; i < (size_t)W * H; i++)
            n_changed += memcmp(p.pixels + i * pixel, p.result + i * pixel, pixel) != 0;
        assert_true(n_changed == found.pixels);
        once = ae_alloc(H, ae_row_bytes(&p.info));
        memcpy(once, p.result, H * ae_row_bytes(&p.info));
        mend(&p, 64);
        assert_memory_equal(once, p.result, H * ae_row_bytes(&p.info));
        ae_free(once);
        free_picture(&p);
        free_picture(&truth);
    }
}

static void test_bands(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        ae_sample sample = k == 1 ? AE_U16 : AE_U8;
        picture p = make_wall(sample, 3, 9), truth = make_wall(sample, 3, 9);
        aei_rng rng = aei_rng_make(11, (uint64_t)k, 0);
        float offsets[W];
        ae_defects_found found;
        double before;

        aei_rng_normals(&rng, offsets, W);
        for (size_t i = 0; i < (size_t)3 * W * H; i++)
            add(&p, i, offsets[k == 2 ? i / 3 % W : i / 3 / W] * 3 / 255, false);
        before = distance(&p, p.pixels, truth.pixels);
        assert_true(before > 2.4 && before < 3.6);
        found = mend(&p, 16);
        assert_true(fabsf((k == 2 ? found.columns : found.rows) - 3) < 0.7f &&
                    (k == 2 ? found.rows : found.columns) == 0);
        assert_true(found.pixels == 0);
        assert_true(distance(&p, p.result, truth.pixels) < before / 2);
        free_picture(&p);
        free_picture(&truth);
    }
}

static void untouched(picture *p)
{
    ae_defects_found found = mend(p, 32);

    assert_true(found.pixels == 0 && found.rows == 0 && found.columns == 0);
    assert_memory_equal(p->pixels, p->result, p->info.height * ae_row_bytes(&p->info));
}

/* Nothing is found in noise, in what was drawn, among stars, in small and in odd pictures. */
static void test_left_alone(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {3, 200}, {200, 4}, {33, 32}};
    picture p = make_wall(AE_U8, 3, 4), letters = make_picture(192, 192, 3, AE_U8);
    float *rgb = ae_alloc((size_t)W * H, 3 * sizeof(float));
    aei_rng rng = aei_rng_make(1, 2, 3);

    (void)state;
    untouched(&p);
    for (uint64_t i = 0; i < 100; i++) {
        aei_pattern_draw(2, i, H, W, rgb);
        ae_samples_from_f32(AE_U8, rgb, p.pixels, (size_t)3 * W * H);
        untouched(&p);
    }
    /* letters on black have tips of a pixel */
    aei_pattern_draw(2, 56, 192, 192, rgb);
    ae_samples_from_f32(AE_U8, rgb, letters.pixels, (size_t)3 * 192 * 192);
    untouched(&letters);
    /* stars, some no larger than a pixel, over a night sky */
    for (size_t i = 0; i < (size_t)3 * W * H; i++) {
        float v = 0.03f + 0.008f * aei_rng_normal(&rng);

        ae_samples_from_f32(AE_U8, &v, p.pixels + i, 1);
    }
    for (size_t k = 0; k < 30; k++) {
        size_t at = 3 * ((size_t)(20 + aei_rng_below(&rng, H - 40)) * W + 20 +
                         aei_rng_below(&rng, W - 40));
        float light = aei_rng_range(&rng, 0.3f, 1);

        for (size_t c = 0; c < 3; c++) {
            add(&p, at + c, light * (1 - 0.1f * (float)c), true);
            if (k % 2)
                add(&p, at + 3 + c, light * 0.4f, true);
        }
    }
    untouched(&p);
    free_picture(&letters);
    free_picture(&p);
    for (size_t k = 0; k < 4; k++) {
        p = make_picture(sizes[k][0], sizes[k][1], 3, AE_F32);
        untouched(&p);
        free_picture(&p);
    }
    ae_free(rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pixels), cmocka_unit_test(test_bands),
                                       cmocka_unit_test(test_left_alone)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
