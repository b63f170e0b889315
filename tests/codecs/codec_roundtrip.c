/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What lossless formats hold comes back bit for bit, whatever the size and however the rows are
 * banded. */
#include "codec_util.h"

typedef struct format {
    const char *name;
    ae_sample sample;
    unsigned channels; /* bit c: c channels */
} format;

static const format formats[] = {
    {"png", AE_U8, 0x1e},  {"png", AE_U16, 0x1e}, {"pnm", AE_U8, 0x1e},   {"pnm", AE_U16, 0x1e},
    {"pgm", AE_U8, 0x02},  {"ppm", AE_U16, 0x08}, {"pam", AE_U8, 0x1e},   {"pam", AE_U16, 0x1e},
    {"pfm", AE_F32, 0x0a}, {"tiff", AE_U8, 0x1e}, {"tiff", AE_U16, 0x1e}, {"tiff", AE_F32, 0x1e},
    {"bmp", AE_U8, 0x1a},
};
static const uint32_t sizes[][2] = {{1, 1}, {3, 5}, {17, 9}, {1, 40}, {300, 2}};

static void roundtrip(const format *f, uint32_t channels, const uint32_t size[2])
{
    ae_signal_info info = make_info(size[0], size[1], f->sample, channels);
    size_t n_bytes = (size_t)info.height * ae_row_bytes(&info);
    void *pixels = make_noise(&info, channels * 77 + size[0]);
    file_bytes file, whole;
    decoded d;
    char note[160];

    assert_ok(encode(f->name, &info, pixels, NULL, NULL, 1, &file, note, &util_err));
    assert_string_equal(note, "");
    assert_ok(encode(f->name, &info, pixels, NULL, NULL, size[1], &whole, note, &util_err));
    assert_int_equal(file.n_bytes, whole.n_bytes);
    assert_memory_equal(file.data, whole.data, file.n_bytes);
    for (uint32_t band = 1; band <= size[1]; band += 1 + size[1] / 3) {
        assert_ok(decode(file, NULL, band, &d, &util_err));
        check_info(&d.reader.info, &info);
        assert_memory_equal(d.pixels, pixels, n_bytes);
        decode_close(&d);
    }
    ae_free(file.data);
    ae_free(whole.data);
    ae_free(pixels);
}

static void test_lossless(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        for (uint32_t c = 1; c <= 4; c++)
            for (size_t k = 0; formats[i].channels >> c & 1 && k < sizeof(sizes) / sizeof(sizes[0]);
                 k++)
                roundtrip(&formats[i], c, sizes[k]);
}

/* Ten significant bits stay ten. */
static void test_bits(void **state)
{
    static const char *const names[] = {"png", "pnm", "pam"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ae_signal_info info = make_info(64, 16, AE_U16, 3);
        uint16_t *pixels = make_noise(&info, 5);
        file_bytes file;
        decoded d;

        info.bits = 10;
        for (size_t k = 0; k < 64 * 16 * 3; k++)
            pixels[k] = (uint16_t)(((pixels[k] >> 6) * 65535u + 511) / 1023);
        assert_ok(encode(names[i], &info, pixels, NULL, NULL, 5, &file, NULL, &util_err));
        assert_ok(decode(file, NULL, 3, &d, &util_err));
        assert_int_equal(d.reader.info.bits, 10);
        assert_memory_equal(d.pixels, pixels, 64 * 16 * 3 * 2);
        decode_close(&d);
        ae_free(file.data);
        ae_free(pixels);
    }
}

static void test_convert(void **state)
{
    ae_signal_info u8 = make_info(256, 1, AE_U8, 1), u16 = make_info(256, 1, AE_U16, 3),
                   rgba = make_info(2, 1, AE_U8, 4), rgb = make_info(2, 1, AE_U8, 3),
                   grey = make_info(2, 1, AE_U8, 1);
    const uint8_t in[8] = {100, 150, 200, 255, 10, 20, 30, 0},
                  on_white[6] = {100, 150, 200, 255, 255, 255};
    uint8_t bytes[256], back[256], out[8];
    uint16_t words[3 * 256];

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    ae_rows_convert(&u8, bytes, &u16, words, 1);
    for (unsigned i = 0; i < 3 * 256; i++)
        assert_int_equal(words[i], i / 3 * 257);
    u16 = make_info(256, 1, AE_U16, 1);
    for (unsigned i = 0; i < 256; i++)
        words[i] = (uint16_t)(i * 257 + (i < 255 ? 128 : 0)); /* just below the middle */
    ae_rows_convert(&u16, words, &u8, back, 1);
    assert_memory_equal(bytes, back, 256);
    ae_rows_convert(&rgba, in, &rgb, out, 1);
    assert_memory_equal(out, on_white, 6);
    ae_rows_convert(&rgb, on_white, &grey, out, 1);
    assert_int_equal(out[0], 141); /* 0.299 * 100 + 0.587 * 150 + 0.114 * 200 */
    assert_int_equal(out[1], 255);
}

/* Samples that the format lacks are converted, and that is said. */
static void test_encoder_converts(void **state)
{
    ae_signal_info info = make_info(7, 6, AE_F32, 2);
    float *pixels = make_noise(&info, 9);
    file_bytes file;
    decoded d;
    char note[160];

    (void)state;
    assert_ok(encode("png", &info, pixels, NULL, NULL, 4, &file, note, &util_err));
    assert_string_equal(note, "float samples rounded to 16 bits");
    assert_ok(decode(file, NULL, 6, &d, &util_err));
    assert_int_equal(d.reader.info.sample, AE_U16);
    assert_int_equal(d.reader.info.channels, 2);
    for (size_t i = 0; i < 7 * 6 * 2; i++) {
        float v = pixels[i] < 0 ? 0 : pixels[i] > 1 ? 1 : pixels[i];

        assert_int_equal(((uint16_t *)d.pixels)[i], (int)(v * 65535.0f + 0.5f));
    }
    decode_close(&d);
    ae_free(file.data);
    ae_free(pixels);
}

static void test_encoder_counts_rows(void **state)
{
    ae_signal_info info = make_info(4, 4, AE_U8, 3);
    uint8_t pixels[4 * 5 * 3] = {0};
    ae_memory_output memory;
    ae_encoder encoder;

    (void)state;
    ae_memory_output_init(&memory);
    assert_ok(ae_encoder_open(ae_codec_for_name("png"), &memory.sink, &info, NULL, NULL, &encoder,
                              &util_err));
    assert_int_equal(ae_encoder_write(&encoder, pixels, 5, NULL), AE_ERR_ARGUMENT);
    assert_ok(ae_encoder_write(&encoder, pixels, 3, &util_err));
    assert_int_equal(ae_encoder_finish(&encoder, NULL), AE_ERR_ARGUMENT);
    ae_free(memory.data);
    info.channels = 7;
    assert_int_equal(
        ae_encoder_open(ae_codec_for_name("png"), &memory.sink, &info, NULL, NULL, &encoder, NULL),
        AE_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lossless),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_encoder_converts),
        cmocka_unit_test(test_encoder_counts_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
