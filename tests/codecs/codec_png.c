/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PNG files of every kind, made by libpng directly. */
#include <stdlib.h>

#include "codec_util.h"

#include <png.h>

typedef struct png_kind {
    int depth, colour;
    bool transparent; /* tRNS */
    bool late_meta;   /* text and EXIF behind the picture */
} png_kind;

enum { W = 13, H = 11 };

static void on_write(png_structp png, png_bytep data, png_size_t n)
{
    ae_memory_output *m = png_get_io_ptr(png);

    assert_ok(m->sink.write(m, data, n, &util_err));
}

static void on_flush(png_structp png)
{
    (void)png;
}

static const png_color palette[4] = {{10, 20, 30}, {200, 100, 50}, {0, 255, 0}, {90, 90, 90}};
static const png_byte palette_alpha[2] = {0, 128};

/* packed: one sample a byte (two, big-endian, for depth 16). */
static file_bytes make_png(const png_kind *kind, bool interlaced, const uint8_t *packed,
                           size_t row_bytes)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png), end = png_create_info_struct(png);
    const uint8_t *rows[H];
    ae_memory_output memory;
    png_text text = {
        .compression = PNG_TEXT_COMPRESSION_NONE, .key = (char *)"Late", .text = (char *)"caf\xe9"};
    uint8_t exif[8] = {'I', 'I', 42, 0, 8, 0, 0, 0};
    png_color_16 key = {.red = 1, .green = 2, .blue = 3, .gray = 1};

    ae_memory_output_init(&memory);
    if (setjmp(png_jmpbuf(png)))
        fail();
    png_set_write_fn(png, &memory, on_write, on_flush);
    png_set_IHDR(png, info, W, H, kind->depth, kind->colour,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (kind->colour == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, kind->depth == 1 ? 2 : 4);
    if (kind->transparent)
        png_set_tRNS(png, info, palette_alpha, 2, &key);
    png_write_info(png, info);
    if (kind->depth < 8)
        png_set_packing(png);
    for (int y = 0; y < H; y++)
        rows[y] = packed + (size_t)y * row_bytes;
    png_write_image(png, (png_bytepp)rows);
    if (kind->late_meta) {
        png_set_text(png, end, &text, 1);
        png_set_eXIf_1(png, end, sizeof(exif), exif);
    }
    png_write_end(png, end);
    png_destroy_info_struct(png, &end);
    png_destroy_write_struct(&png, &info);
    return (file_bytes){memory.data, memory.n_bytes};
}

static const png_kind kinds[] = {
    {1, PNG_COLOR_TYPE_GRAY, false, true},        {2, PNG_COLOR_TYPE_GRAY, false, false},
    {4, PNG_COLOR_TYPE_GRAY, true, false},        {8, PNG_COLOR_TYPE_GRAY, true, false},
    {16, PNG_COLOR_TYPE_GRAY, true, false},       {8, PNG_COLOR_TYPE_GRAY_ALPHA, false, false},
    {16, PNG_COLOR_TYPE_GRAY_ALPHA, false, true}, {1, PNG_COLOR_TYPE_PALETTE, false, false},
    {2, PNG_COLOR_TYPE_PALETTE, true, true},      {4, PNG_COLOR_TYPE_PALETTE, false, false},
    {8, PNG_COLOR_TYPE_PALETTE, true, false},     {8, PNG_COLOR_TYPE_RGB, false, true},
    {16, PNG_COLOR_TYPE_RGB, false, false},       {8, PNG_COLOR_TYPE_RGB, true, false},
    {16, PNG_COLOR_TYPE_RGB, true, false},        {8, PNG_COLOR_TYPE_RGB_ALPHA, false, false},
    {16, PNG_COLOR_TYPE_RGB_ALPHA, false, false},
};

static unsigned file_channels(const png_kind *k)
{
    return (k->colour & PNG_COLOR_MASK_COLOR && k->colour != PNG_COLOR_TYPE_PALETTE ? 3 : 1) +
           !!(k->colour & PNG_COLOR_MASK_ALPHA);
}

/* What a pixel of the file, samples as they stand there, is expected to become. */
static unsigned expect(const png_kind *k, const unsigned *in, unsigned out[4])
{
    unsigned max = (1u << k->depth) - 1, full = k->depth == 16 ? 65535 : 255, n = file_channels(k);
    bool keyed;

    if (k->colour == PNG_COLOR_TYPE_PALETTE) {
        out[0] = palette[in[0]].red;
        out[1] = palette[in[0]].green;
        out[2] = palette[in[0]].blue;
        out[3] = in[0] < 2 ? palette_alpha[in[0]] : 255;
        return 3 + k->transparent;
    }
    keyed = n == 1 ? in[0] == 1 : in[0] == 1 && in[1] == 2 && in[2] == 3;
    for (unsigned c = 0; c < n; c++)
        out[c] = in[c] * (full / max);
    if (k->transparent)
        out[n] = keyed ? 0 : full;
    return n + k->transparent;
}

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
        const png_kind *k = &kinds[i / 2];
        unsigned n = file_channels(k), wide = k->depth == 16,
                 limit = k->colour == PNG_COLOR_TYPE_PALETTE ? 4 : 1u << k->depth;
        uint8_t packed[W * H * 8];
        unsigned in[W * H * 4], out[4];
        uint32_t seed = 1;
        file_bytes file;
        decoded d, d2;

        for (unsigned p = 0; p < W * H * n; p++) {
            /* the transparent colour among them */
            in[p] = p % 50 < n ? p % 50 + 1 : next_random(&seed);
            in[p] %= k->depth == 1 ? 2 : limit;
            packed[p << wide] = (uint8_t)(wide ? in[p] >> 8 : in[p]);
            if (wide)
                packed[2 * p + 1] = (uint8_t)in[p];
        }
        file = make_png(k, i % 2, packed, (size_t)W * n << wide);
        assert_ok(decode(file, NULL, H, &d, &util_err));
        assert_int_equal(d.reader.info.sample, wide ? AE_U16 : AE_U8);
        assert_int_equal(d.reader.info.bits, wide ? 16 : 8);
        for (unsigned p = 0; p < W * H; p++) {
            unsigned m = expect(k, in + p * n, out);

            assert_int_equal(d.reader.info.channels, m);
            for (unsigned c = 0; c < m; c++)
                assert_int_equal(wide ? ((uint16_t *)d.pixels)[p * m + c]
                                      : ((uint8_t *)d.pixels)[p * m + c],
                                 out[c]);
        }
        assert_ok(decode(file, NULL, 2, &d2, &util_err));
        assert_memory_equal(d.pixels, d2.pixels, H * ae_row_bytes(&d.reader.info));
        decode_close(&d2);
        decode_close(&d);
        if (k->late_meta) {
            assert_ok(decode_open(file, NULL, &d, &util_err)); /* there before the first row */
            assert_non_null(ae_meta_find(&d.reader.meta, AE_META_EXIF));
            assert_string_equal(find_text(&d.reader.meta, "Late")->value, "caf\xc3\xa9");
            decode_close(&d);
        }
        ae_free(file.data);
    }
}

/* Gamma and primaries of the source stay with the picture. */
static void test_colour_kept(void **state)
{
    ae_signal_info info = make_info(W, H, AE_U8, 3);
    uint8_t *pixels = make_noise(&info, 1);
    file_bytes file = make_png(&kinds[11], false, pixels, W * 3), out;
    uint8_t *with = ae_alloc(file.n_bytes + 16, 1);
    /* 1.0 */
    static const uint8_t gama[16] = {0, 0, 0,    4,    'g',  'A',  'M',  'A',
                                     0, 1, 0x86, 0xa0, 0x31, 0xe8, 0x96, 0x5f};
    ae_write_options options = {0};
    decoded d;
    bool found = false;

    (void)state;
    memcpy(with, file.data, 33);
    memcpy(with + 33, gama, 16);
    memcpy(with + 49, file.data + 33, file.n_bytes - 33);
    assert_ok(decode((file_bytes){with, file.n_bytes + 16}, NULL, H, &d, &util_err));
    options.like = &d.reader;
    assert_ok(encode("png", &info, pixels, &d.reader.meta, &options, H, &out, NULL, &util_err));
    for (size_t i = 0; i + 16 < out.n_bytes; i++)
        found = found || memcmp(out.data + i, gama, 16) == 0;
    assert_true(found);
    decode_close(&d);
    ae_free(with);
    ae_free(out.data);
    ae_free(file.data);
    ae_free(pixels);
}

/* libpng's own choice, at the level of the adapter. */
static size_t plain_size(const ae_signal_info *info, const uint8_t *pixels)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop head = png_create_info_struct(png);
    ae_memory_output memory;
    size_t n_bytes;

    ae_memory_output_init(&memory);
    if (setjmp(png_jmpbuf(png)))
        fail();
    png_set_write_fn(png, &memory, on_write, on_flush);
    png_set_compression_level(png, 2);
    png_set_IHDR(png, head, (png_uint_32)info->width, (png_uint_32)info->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, 0, 0);
    png_write_info(png, head);
    for (uint64_t y = 0; y < info->height; y++)
        png_write_row(png, pixels + y * ae_row_bytes(info));
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &head);
    n_bytes = memory.n_bytes;
    ae_free(memory.data);
    return n_bytes;
}

/* Strings that repeat stay found where there are any, and cost nothing where there are none. */
static void test_packing(void **state)
{
    enum { EDGE = 384, CELL = 48 };
    ae_signal_info info = make_info(EDGE, EDGE, AE_U8, 3);
    uint8_t *cloth = make_noise(&info, 1), *soft = make_noise(&info, 2);

    (void)state;
    for (int i = 0; i < EDGE * EDGE * 3; i++) {
        int x = i / 3 % EDGE, y = i / 3 / EDGE;

        cloth[i] = cloth[((y % CELL) * EDGE + x % CELL) * 3 + i % 3];
        soft[i] = (uint8_t)(x / 4 + y / 3 + __builtin_popcount(soft[i] & 63));
    }
    for (uint32_t band = 1; band <= EDGE; band += 127)
        for (int k = 0; k < 2; k++) {
            const uint8_t *pixels = k ? soft : cloth;
            size_t plain = plain_size(&info, pixels);
            file_bytes file;
            decoded d;

            assert_ok(
                encode("png", &info, pixels, NULL, NULL, band, &file, (char[160]){0}, &util_err));
            if (k)
                assert_in_range(file.n_bytes, 1, plain * 24 / 25);
            else
                assert_in_range(file.n_bytes, 1, plain + plain / 100);
            assert_ok(decode(file, NULL, EDGE, &d, &util_err));
            assert_memory_equal(d.pixels, pixels, EDGE * EDGE * 3);
            decode_close(&d);
            ae_free(file.data);
        }
    ae_free(cloth);
    ae_free(soft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds),
                                       cmocka_unit_test(test_colour_kept),
                                       cmocka_unit_test(test_packing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
