/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whatever a denoiser does between the two ends, the luminance of each block of the file changes
 * within the share of its steps. */
#include "picture.h"

#include "ae/denoise.h"

static void make_table(uint16_t table[64])
{
    for (int i = 0; i < 64; i++)
        table[i] = (uint16_t)(10 + 3 * (i / 8 + i % 8));
}

static double luma(const uint8_t *p, uint32_t channels)
{
    return channels == 1 ? p[0] : 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

/* p's pixels, changed by noise of this deviation, to p->result; read and written in pieces of so
 * many rows. */
static void run(picture *p, float deviation, uint32_t piece, uint8_t *changed)
{
    uint16_t table[64];
    ae_row_source source = {p->info, p, read_rows}, rows;
    ae_row_sink sink = {p, write_rows}, result;
    ae_deblock *d;
    size_t bytes = ae_row_bytes(&p->info);
    aei_rng rng = aei_rng_make(4, 0, 0);
    uint64_t ahead = 0;

    make_table(table);
    p->rows_read = p->rows_written = 0;
    assert_int_equal(ae_deblock_create(table, &source, &sink, &rows, &result, &d, NULL), AE_OK);
    for (uint64_t y = 0; y < p->info.height; y += piece) {
        uint32_t n = (uint32_t)(p->info.height - y < piece ? p->info.height - y : piece);

        /* a denoiser looks ahead */
        while (ahead < p->info.height && ahead < y + 3 * (uint64_t)piece) {
            uint32_t more = (uint32_t)(p->info.height - ahead < 5 ? p->info.height - ahead : 5);

            assert_int_equal(rows.read(rows.opaque, changed + ahead * bytes, more, NULL), AE_OK);
            assert_memory_equal(changed + ahead * bytes, p->pixels + ahead * bytes, more * bytes);
            ahead += more;
        }
        for (size_t i = y * bytes; i < (y + n) * bytes; i++)
            changed[i] = (uint8_t)rintf(
                fminf(fmaxf((float)changed[i] + deviation * aei_rng_normal(&rng), 0), 255));
        assert_int_equal(result.write(result.opaque, changed + y * bytes, n, NULL), AE_OK);
    }
    assert_int_equal(p->rows_written, p->info.height);
    ae_deblock_free(d);
}

/* A picture in the middle greys, which no change takes beyond black or white. */
static picture make_grey(uint32_t w, uint32_t h, uint32_t channels)
{
    picture p = make_picture(w, h, channels, AE_U8);

    for (size_t i = 0; i < (size_t)w * h * channels; i++)
        p.pixels[i] = (uint8_t)(90 + p.pixels[i] / 4);
    return p;
}

static void test_held(void **state)
{
    static const uint32_t sizes[][2] = {{64, 40}, {29, 43}, {8, 8}, {3, 5}, {200, 1}, {1, 17}};
    uint16_t table[64];

    (void)state;
    make_table(table);
    for (size_t k = 0; k < 12; k++) {
        uint32_t w = sizes[k / 2][0], h = sizes[k / 2][1], c = k % 2 ? 3 : 1;
        picture p = make_grey(w, h, c);
        uint8_t *changed = ae_alloc((size_t)w * h, c), *once = ae_alloc((size_t)w * h, c);
        bool held_back = false;

        run(&p, 20, 16, changed);
        memcpy(once, p.result, (size_t)w * h * c);
        for (uint32_t y = 0; y + 8 <= h; y += 8) /* whole blocks */
            for (uint32_t x = 0; x + 8 <= w; x += 8)
                for (int f = 0; f < 64; f++) {
                    double sum = 0, was = 0, scale = sqrt((f / 8 ? 2 : 1) * (f % 8 ? 2 : 1)) / 8;

                    for (uint32_t i = 0; i < 64; i++) {
                        size_t at = ((size_t)(y + i / 8) * w + x + i % 8) * c;
                        double wave = scale * cos(M_PI * (f / 8) * (2 * (i / 8) + 1) / 16);

                        wave *= cos(M_PI * (f % 8) * (2 * (i % 8) + 1) / 16);

                        sum += wave * (luma(p.result + at, c) - luma(p.pixels + at, c));
                        was += wave * (luma(changed + at, c) - luma(p.pixels + at, c));
                    }
                    assert_true(fabs(sum) <= 0.25 * table[f] + 1.5); /* samples are rounded */
                    held_back = held_back || fabs(was) > 0.5 * table[f];
                }
        assert_true(held_back || w < 8 || h < 8);
        for (uint32_t piece = 1; piece < 40; piece += 12) {
            run(&p, 20, piece, changed);
            assert_memory_equal(once, p.result, (size_t)w * h * c);
        }
        free_picture(&p);
        ae_free(changed);
        ae_free(once);
    }
}

/* Small changes pass to the byte. */
static void test_small_changes(void **state)
{
    picture p = make_grey(50, 30, 3);
    uint8_t *changed = ae_alloc(50 * 30, 3);

    (void)state;
    run(&p, 0.4f, 16, changed);
    assert_memory_equal(changed, p.result, 50 * 30 * 3);
    assert_memory_not_equal(p.pixels, p.result, 50 * 30 * 3);
    free_picture(&p);
    ae_free(changed);
}

static void test_levels(void **state)
{
    uint16_t coarse[64], fine[64];
    picture p = make_picture(9, 9, 3, AE_U16);
    ae_row_source source = {p.info, &p, read_rows}, rows;
    ae_row_sink sink = {&p, write_rows}, result;
    ae_deblock *d;

    (void)state;
    make_table(coarse);
    for (int i = 0; i < 64; i++)
        fine[i] = 1;
    assert_true(ae_deblock_level(coarse) > 8 && ae_deblock_level(coarse) < 16);
    assert_true(ae_deblock_level(fine) > 1 && ae_deblock_level(fine) < 5);
    assert_int_equal(ae_deblock_create(coarse, &source, &sink, &rows, &result, &d, NULL),
                     AE_ERR_UNSUPPORTED);
    assert_null(d);
    free_picture(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_held),
                                       cmocka_unit_test(test_small_changes),
                                       cmocka_unit_test(test_levels)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
