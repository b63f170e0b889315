/* SPDX-License-Identifier: BSD-2-Clause
 *
 * JPEG files of every kind, made by libjpeg directly. */
#include <stdlib.h>

#include "codec_util.h"

#include <jpeglib.h>

typedef struct jpeg_kind {
    J_COLOR_SPACE in, space;
    int quality, h, v; /* sampling of the first component */
    bool progressive, no_marker;
    int restart; /* rows of blocks */
} jpeg_kind;

static int channels_of(J_COLOR_SPACE space)
{
    return space == JCS_GRAYSCALE ? 1 : space == JCS_CMYK ? 4 : 3;
}

static file_bytes make_jpeg(const jpeg_kind *kind, uint32_t width, uint32_t height,
                            const uint8_t *pixels)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long n = 0;
    file_bytes file;

    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &data, &n);
    c.image_width = width;
    c.image_height = height;
    c.in_color_space = kind->in;
    c.input_components = channels_of(kind->in);
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, kind->space);
    jpeg_set_quality(&c, kind->quality, TRUE);
    c.comp_info[0].h_samp_factor = kind->h;
    c.comp_info[0].v_samp_factor = kind->v;
    for (int i = 1; i < c.num_components; i++)
        c.comp_info[i].h_samp_factor = c.comp_info[i].v_samp_factor = 1;
    if (c.num_components == 4) {
        c.comp_info[3].h_samp_factor = kind->h;
        c.comp_info[3].v_samp_factor = kind->v;
    }
    c.restart_in_rows = kind->restart;
    if (kind->progressive)
        jpeg_simple_progression(&c);
    if (kind->no_marker)
        c.write_Adobe_marker = FALSE;
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)pixels +
                       (size_t)c.next_scanline * width * (size_t)c.input_components;

        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    file = (file_bytes){ae_alloc(n, 1), n};
    assert_non_null(file.data);
    memcpy(file.data, data, n);
    free(data);
    return file;
}

/* What the header says. */
typedef struct tables {
    J_COLOR_SPACE space;
    int n_components, h[4], v[4];
    UINT16 values[4][DCTSIZE2];
} tables;

static tables read_tables(file_bytes file)
{
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    tables t = {0};

    c.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&c);
    jpeg_mem_src(&c, file.data, file.n_bytes);
    jpeg_read_header(&c, TRUE);
    t.space = c.jpeg_color_space;
    t.n_components = c.num_components;
    for (int i = 0; i < c.num_components; i++) {
        t.h[i] = c.comp_info[i].h_samp_factor;
        t.v[i] = c.comp_info[i].v_samp_factor;
        memcpy(t.values[i], c.quant_tbl_ptrs[c.comp_info[i].quant_tbl_no]->quantval,
               sizeof(t.values[i]));
    }
    jpeg_destroy_decompress(&c);
    return t;
}

/* libjpeg's own decoding at its default settings. */
static void decode_plainly(file_bytes file, uint8_t *pixels, size_t row_bytes)
{
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;

    c.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&c);
    jpeg_mem_src(&c, file.data, file.n_bytes);
    jpeg_read_header(&c, TRUE);
    jpeg_start_decompress(&c);
    while (c.output_scanline < c.output_height) {
        JSAMPROW row = pixels + c.output_scanline * row_bytes;

        jpeg_read_scanlines(&c, &row, 1);
    }
    jpeg_destroy_decompress(&c);
}

static void assert_near(const uint8_t *a, const uint8_t *b, size_t n, int tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (abs(a[i] - b[i]) > tolerance) {
            print_error("sample %zu: %d, expected %d +- %d\n", i, a[i], b[i], tolerance);
            fail();
        }
}

static const jpeg_kind kinds[] = {
    {JCS_GRAYSCALE, JCS_GRAYSCALE, 95, 1, 1, false, false, 0},
    {JCS_GRAYSCALE, JCS_GRAYSCALE, 95, 2, 2, true, false, 0},
    {JCS_RGB, JCS_YCbCr, 95, 1, 1, false, false, 0},
    {JCS_RGB, JCS_YCbCr, 92, 2, 2, false, false, 1},
    {JCS_RGB, JCS_YCbCr, 92, 2, 1, true, false, 0},
    {JCS_RGB, JCS_RGB, 95, 1, 1, false, false, 2},
};

static void test_kinds(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {9, 17}, {64, 40}};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (size_t k = 0; k < 3; k++) {
            ae_signal_info info = make_info(sizes[k][0], sizes[k][1], AE_U8,
                                            (uint32_t)channels_of(kinds[i].in));
            uint8_t *pixels = make_smooth(&info), *expected = make_smooth(&info), *first;
            size_t n = (size_t)info.height * ae_row_bytes(&info);
            file_bytes file = make_jpeg(&kinds[i], sizes[k][0], sizes[k][1], pixels);
            decoded d, d2;

            assert_ok(decode(file, NULL, (uint32_t)info.height, &d, &util_err));
            check_info(&d.reader.info, &info);
            assert_string_equal(d.reader.note, "");
            first = d.pixels;
            decode_plainly(file, expected, ae_row_bytes(&info));
            assert_memory_equal(first, expected, n);
            if (sizes[k][0] > 32)
                assert_near(first, pixels, n, 8);
            assert_ok(decode(file, NULL, 3, &d2, &util_err));
            assert_memory_equal(first, d2.pixels, n);
            decode_close(&d);
            decode_close(&d2);
            ae_free(file.data);
            ae_free(expected);
            ae_free(pixels);
        }
}

/* Ink on white paper: RGB is what is left of it, whichever way round the file has it. */
static void test_cmyk(void **state)
{
    enum { W = 24, H = 16 };

    (void)state;
    /* CMYK and YCCK with Adobe's marker: inverted; CMYK without */
    for (int kind = 0; kind < 3; kind++) {
        const jpeg_kind k = {JCS_CMYK, kind == 1 ? JCS_YCCK : JCS_CMYK, 100, 1, 1, false, kind == 2,
                             0};
        uint8_t ink[W * H * 4], stored[W * H * 4], rgb[W * H * 3];
        file_bytes file;
        decoded d;

        for (int i = 0; i < W * H; i++)
            for (int c = 0; c < 4; c++)
                ink[4 * i + c] = (uint8_t)(c == 3 ? i / W * 6 : (i % W * 5 + 40 * c) % 150);
        for (int i = 0; i < W * H; i++)
            for (int c = 0; c < 3; c++)
                rgb[3 * i + c] = (uint8_t)((255 - ink[4 * i + c]) * (255 - ink[4 * i + 3]) / 255);
        for (int i = 0; i < W * H * 4; i++)
            stored[i] = kind == 2 ? ink[i] : 255 - ink[i];
        file = make_jpeg(&k, W, H, stored);
        assert_ok(decode(file, NULL, 5, &d, &util_err));
        assert_string_equal(d.reader.note, "CMYK converted to RGB");
        assert_int_equal(d.reader.info.channels, 3);
        assert_near(d.pixels, rgb, sizeof(rgb), 8);
        decode_close(&d);
        ae_free(file.data);
    }
}

static void test_quality_kept(void **state)
{
    static const jpeg_kind sources[] = {
        {JCS_RGB, JCS_YCbCr, 37, 2, 1, false, false, 0},
        {JCS_RGB, JCS_YCbCr, 88, 2, 2, true, false, 0},
        {JCS_RGB, JCS_RGB, 70, 1, 1, false, false, 0},
        {JCS_GRAYSCALE, JCS_GRAYSCALE, 64, 1, 1, false, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        ae_signal_info info = make_info(40, 24, AE_U8, (uint32_t)channels_of(sources[i].in));
        void *pixels = make_smooth(&info);
        file_bytes file = make_jpeg(&sources[i], 40, 24, pixels), out;
        tables a = read_tables(file), b;
        ae_write_options options = {0};
        char expected[16];
        decoded d;

        assert_ok(decode(file, NULL, 24, &d, &util_err));
        snprintf(expected, sizeof(expected), "quality %d", sources[i].quality);
        assert_memory_equal(d.reader.quality, expected, strlen(expected));
        options.like = &d.reader;
        assert_ok(encode("jpeg", &info, d.pixels, NULL, &options, 7, &out, NULL, &util_err));
        b = read_tables(out);
        assert_memory_equal(&a, &b, sizeof(a));
        ae_free(out.data);

        options.quality = 81; /* told: the tables change, the sampling stays */
        assert_ok(encode("jpeg", &info, d.pixels, NULL, &options, 7, &out, NULL, &util_err));
        b = read_tables(out);
        assert_int_equal(b.values[0][0], 6); /* 16 * 38 / 100, rounded */
        assert_memory_equal(a.h, b.h, sizeof(a.h));
        assert_memory_equal(a.v, b.v, sizeof(a.v));
        ae_free(out.data);
        decode_close(&d);
        ae_free(file.data);
        ae_free(pixels);
    }
}

/* Tables that no quality setting makes. */
static void test_odd_tables_kept(void **state)
{
    ae_signal_info info = make_info(16, 16, AE_U8, 3);
    void *pixels = make_smooth(&info);
    file_bytes file = make_jpeg(&kinds[2], 16, 16, pixels), out;
    ae_write_options options = {0};
    tables a, b;
    decoded d;

    (void)state;
    for (size_t i = 0; i + 4 + 65 < file.n_bytes; i++)
        if (file.data[i] == 0xff && file.data[i + 1] == 0xdb)
            for (size_t k = 0; k < 64; k++)
                file.data[i + 5 + k] = (uint8_t)(3 + (k * 37 + i) % 90);
    a = read_tables(file);
    assert_memory_not_equal(a.values[0], a.values[1], sizeof(a.values[0]));
    assert_ok(decode(file, NULL, 16, &d, &util_err));
    options.like = &d.reader;
    assert_ok(encode("jpeg", &info, d.pixels, NULL, &options, 16, &out, NULL, &util_err));
    b = read_tables(out);
    assert_memory_equal(&a, &b, sizeof(a));
    decode_close(&d);
    ae_free(out.data);
    ae_free(file.data);
    ae_free(pixels);
}

static void test_default_quality(void **state)
{
    ae_signal_info info = make_info(16, 16, AE_U8, 3);
    void *pixels = make_smooth(&info);
    file_bytes file = make_jpeg(&(jpeg_kind){JCS_RGB, JCS_YCbCr, 95, 1, 1, false, false, 0}, 16, 16,
                                pixels),
               out;
    tables a = read_tables(file), b;

    (void)state;
    assert_ok(encode("jpeg", &info, pixels, NULL, NULL, 16, &out, NULL, &util_err));
    b = read_tables(out);
    assert_memory_equal(&a, &b, sizeof(a));
    ae_free(out.data);
    ae_free(file.data);
    ae_free(pixels);
}

/* No grey areas: wherever the data end, that is an error. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        ae_signal_info info = make_info(64, 48, AE_U8, (uint32_t)channels_of(kinds[i].in));
        void *pixels = make_noise(&info, 8);
        file_bytes file = make_jpeg(&kinds[i], 64, 48, pixels);
        decoded d;

        for (size_t n = 1; n + 4 < file.n_bytes; n += 1 + n / 40) {
            uint8_t saved[2] = {file.data[n], file.data[n + 1]};
            ae_status st = decode((file_bytes){file.data, n}, NULL, 16, &d, &util_err);

            assert_true(st == AE_ERR_MALFORMED || (n < 3 && st == AE_ERR_UNSUPPORTED));
            /* And with an end marker put there, which libjpeg is content with. */
            file.data[n] = 0xff;
            file.data[n + 1] = 0xd9;
            if (n > 700)
                assert_int_equal(decode((file_bytes){file.data, n + 2}, NULL, 16, &d, &util_err),
                                 AE_ERR_MALFORMED);
            memcpy(file.data + n, saved, 2);
        }
        ae_free(file.data);
        ae_free(pixels);
    }
}

/* A kilobyte of scans over a large picture. */
static void test_many_scans(void **state)
{
    enum { SCANS = 600 };
    static const uint8_t scan[] = {0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0xff, 0xd9};
    ae_signal_info info = make_info(64, 64, AE_U8, 1);
    void *pixels = make_smooth(&info);
    file_bytes file = make_jpeg(
                   &(jpeg_kind){JCS_GRAYSCALE, JCS_GRAYSCALE, 50, 1, 1, true, false, 0}, 64, 64,
                   pixels),
               big;
    size_t at = 0, n;
    decoded d;
    ae_error err;

    (void)state;
    while (!(file.data[at] == 0xff && file.data[at + 1] == 0xda))
        at++;
    for (n = at + 10; !(file.data[n] == 0xff && file.data[n + 1] != 0); n++)
        ; /* the end of the first scan */
    n -= at;
    big = (file_bytes){ae_alloc(at + SCANS * n + sizeof(scan), 1), at + SCANS * n + 2};
    assert_non_null(big.data);
    memcpy(big.data, file.data, at);
    for (int i = 0; i < SCANS; i++)
        memcpy(big.data + at + (size_t)i * n, file.data + at, n);
    memcpy(big.data + at + SCANS * n, "\xff\xd9", 2);
    assert_int_equal(decode(big, NULL, 64, &d, &err), AE_ERR_LIMIT);
    assert_string_equal(err.message, "JPEG: more than 500 scans");
    ae_free(big.data);
    ae_free(file.data);
    ae_free(pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),           cmocka_unit_test(test_cmyk),
        cmocka_unit_test(test_quality_kept),    cmocka_unit_test(test_odd_tables_kept),
        cmocka_unit_test(test_default_quality), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_many_scans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
