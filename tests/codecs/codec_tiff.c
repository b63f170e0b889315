/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TIFF files of every kind, made by libtiff directly. */
#include "codec_util.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <tiffio.h>

typedef struct tiff_kind {
    const char *mode;
    uint16_t bits, samples, photometric, format, compression;
    uint16_t extra; /* EXTRASAMPLES of the last sample */
    bool planes;
    uint32_t tile; /* edge; 0: strips */
    uint32_t rows; /* a strip */
    const char *note;
} tiff_kind;

enum { W = 37, H = 29, UINT = SAMPLEFORMAT_UINT, FLOAT = SAMPLEFORMAT_IEEEFP };

/* clang-format off */
static const tiff_kind kinds[] = {
    {"wl", 8, 3, PHOTOMETRIC_RGB, UINT, COMPRESSION_NONE, 0, false, 0, 4, ""},
    {"wb", 16, 3, PHOTOMETRIC_RGB, UINT, COMPRESSION_LZW, 0, false, 0, 29, ""},
    {"wl8", 16, 1, PHOTOMETRIC_MINISBLACK, UINT, COMPRESSION_ADOBE_DEFLATE, 0, false, 0, 7, ""},
    {"wl", 8, 4, PHOTOMETRIC_RGB, UINT, COMPRESSION_LZW, EXTRASAMPLE_UNASSALPHA, true, 0, 4, ""},
    {"wb", 16, 3, PHOTOMETRIC_RGB, UINT, COMPRESSION_NONE, 0, true, 0, 29, ""},
    {"wl", 8, 3, PHOTOMETRIC_RGB, UINT, COMPRESSION_PACKBITS, 0, false, 16, 0, ""},
    {"wb", 16, 4, PHOTOMETRIC_RGB, UINT, COMPRESSION_LZW, EXTRASAMPLE_UNSPECIFIED, true, 16, 0, ""},
    {"wl", 32, 3, PHOTOMETRIC_RGB, FLOAT, COMPRESSION_NONE, 0, false, 32, 0, ""},
    {"wb", 32, 1, PHOTOMETRIC_MINISBLACK, FLOAT, COMPRESSION_LZW, 0, false, 0, 3, ""},
    {"wl", 1, 1, PHOTOMETRIC_MINISWHITE, UINT, COMPRESSION_CCITTFAX4, 0, false, 0, 29, ""},
    {"wl", 1, 1, PHOTOMETRIC_MINISBLACK, UINT, COMPRESSION_NONE, 0, false, 16, 0, ""},
    {"wl", 4, 1, PHOTOMETRIC_MINISBLACK, UINT, COMPRESSION_NONE, 0, false, 0, 5, ""},
    {"wl", 12, 3, PHOTOMETRIC_RGB, UINT, COMPRESSION_NONE, 0, false, 0, 5, ""},
    {"wb", 16, 1, PHOTOMETRIC_MINISWHITE, UINT, COMPRESSION_NONE, 0, false, 0, 5, ""},
    {"wl", 8, 1, PHOTOMETRIC_PALETTE, UINT, COMPRESSION_LZW, 0, false, 0, 5, ""},
    {"wl", 2, 1, PHOTOMETRIC_PALETTE, UINT, COMPRESSION_NONE, 0, false, 0, 5, ""},
    {"wl", 8, 4, PHOTOMETRIC_SEPARATED, UINT, COMPRESSION_LZW, 0, false, 0, 5,
     "CMYK converted to RGB"},
    {"wb", 16, 4, PHOTOMETRIC_SEPARATED, UINT, COMPRESSION_NONE, 0, false, 16, 0,
     "CMYK converted to RGB"},
    {"wl", 8, 2, PHOTOMETRIC_MINISBLACK, UINT, COMPRESSION_NONE, EXTRASAMPLE_ASSOCALPHA, false, 0,
     5, "premultiplied alpha converted"},
    {"wl", 32, 4, PHOTOMETRIC_RGB, FLOAT, COMPRESSION_NONE, EXTRASAMPLE_ASSOCALPHA, false, 0, 5,
     "premultiplied alpha converted"},
};
/* clang-format on */

static uint16_t palette[3][256];

/* Samples as numbers, one array for the whole file. */
static void fill_samples(const tiff_kind *k, double *v)
{
    uint32_t seed = 7, max = k->bits == 32 ? 0 : (1u << k->bits) - 1;

    for (int i = 0; i < W * H * k->samples; i++) {
        uint32_t r = next_random(&seed);

        v[i] = k->format == FLOAT ? (double)((float)r / 8388608.0f - 0.5f) : r & max;
        if (k->extra == EXTRASAMPLE_ASSOCALPHA && i % k->samples == k->samples - 1) {
            v[i] = k->format == FLOAT ? 0.5 * (double)(i / k->samples % 3) : v[i];
            for (int c = 1; c < k->samples; c++) /* colour no more than alpha */
                v[i - c] = v[i - c] > v[i] ? v[i] : v[i - c];
        }
    }
}

static void put_sample(const tiff_kind *k, uint8_t *row, size_t i, double v)
{
    if (k->format == FLOAT)
        ((float *)row)[i] = (float)v;
    else if (k->bits == 16)
        ((uint16_t *)row)[i] = (uint16_t)v;
    else
        for (int b = 0; b < k->bits; b++) {
            size_t at = i * k->bits + (size_t)b;

            if ((unsigned)v >> (k->bits - 1 - b) & 1)
                row[at / 8] |= (uint8_t)(0x80 >> at % 8);
        }
}

static file_bytes make_tiff(const tiff_kind *k, const double *v, uint16_t orientation)
{
    char path[] = "/tmp/aetiffXXXXXX";
    int fd = mkstemp(path);
    TIFF *tif = TIFFFdOpen(fd, path, k->mode);
    unsigned planes = k->planes ? k->samples : 1, per_plane = k->samples / planes;
    uint8_t buffer[64 * 64 * 16];
    ae_source *source;
    file_bytes file;

    assert_non_null(tif);
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, W);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, H);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, k->bits);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, k->samples);
    TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, k->format);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, k->photometric);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, k->compression);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG,
                 k->planes ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    TIFFSetField(tif, TIFFTAG_ORIENTATION, orientation);
    if (k->samples == 2 || (k->samples == 4 && k->photometric == PHOTOMETRIC_RGB))
        TIFFSetField(tif, TIFFTAG_EXTRASAMPLES, 1, &k->extra);
    if (k->photometric == PHOTOMETRIC_PALETTE)
        TIFFSetField(tif, TIFFTAG_COLORMAP, palette[0], palette[1], palette[2]);
    if (k->tile) {
        TIFFSetField(tif, TIFFTAG_TILEWIDTH, k->tile);
        TIFFSetField(tif, TIFFTAG_TILELENGTH, k->tile);
    } else {
        TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, k->rows);
    }
    for (unsigned p = 0; p < planes; p++)
        if (k->tile) {
            for (uint32_t y0 = 0; y0 < H; y0 += k->tile)
                for (uint32_t x0 = 0; x0 < W; x0 += k->tile) {
                    memset(buffer, 0, sizeof(buffer));
                    for (uint32_t y = y0; y < y0 + k->tile && y < H; y++)
                        for (uint32_t x = x0; x < x0 + k->tile && x < W; x++)
                            for (unsigned c = 0; c < per_plane; c++)
                                put_sample(k, buffer + (y - y0) * (size_t)TIFFTileRowSize(tif),
                                           (x - x0) * per_plane + c,
                                           v[(y * W + x) * k->samples + p + c]);
                    assert_true(TIFFWriteTile(tif, buffer, x0, y0, 0, (uint16_t)p) > 0);
                }
        } else {
            for (uint32_t y = 0; y < H; y++) {
                memset(buffer, 0, sizeof(buffer));
                for (uint32_t x = 0; x < W; x++)
                    for (unsigned c = 0; c < per_plane; c++)
                        put_sample(k, buffer, x * per_plane + c,
                                   v[(y * W + x) * k->samples + p + c]);
                assert_int_equal(TIFFWriteScanline(tif, buffer, y, (uint16_t)p), 1);
            }
        }
    TIFFClose(tif);
    assert_ok(ae_source_open(path, &source, &util_err));
    file.n_bytes = (size_t)ae_source_size(source);
    file.data = ae_alloc(file.n_bytes, 1);
    assert_non_null(file.data);
    assert_int_equal(ae_source_read(source, file.data, file.n_bytes), file.n_bytes);
    ae_source_free(source);
    unlink(path);
    return file;
}

/* The pixel on a scale where full is 1. */
static unsigned expect(const tiff_kind *k, const double *v, double out[4])
{
    double max = k->format == FLOAT ? 1 : (double)((1u << k->bits) - 1),
           alpha = v[k->samples - 1] / max;
    unsigned n = k->samples;

    if (k->photometric == PHOTOMETRIC_PALETTE) {
        for (int c = 0; c < 3; c++)
            out[c] = (palette[c][(int)v[0]] >> 8) / 255.0;
        return 3;
    }
    if (k->photometric == PHOTOMETRIC_SEPARATED) {
        for (int c = 0; c < 3; c++)
            out[c] = (1 - v[c] / max) * (1 - v[3] / max);
        return 3;
    }
    for (unsigned c = 0; c < n; c++) {
        out[c] = k->photometric == PHOTOMETRIC_MINISWHITE ? 1 - v[c] / max : v[c] / max;
        if (k->extra == EXTRASAMPLE_ASSOCALPHA && c < n - 1 && (alpha > 0 || k->format != FLOAT))
            out[c] = alpha > 0 ? out[c] / alpha : 0;
    }
    return n;
}

static void test_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const tiff_kind *k = &kinds[i];
        double v[W * H * 4], out[4];
        bool inexact = k->photometric == PHOTOMETRIC_SEPARATED ||
                       k->extra == EXTRASAMPLE_ASSOCALPHA;
        file_bytes file;
        decoded d, d2;

        fill_samples(k, v);
        file = make_tiff(k, v, 1);
        assert_ok(decode(file, NULL, H, &d, &util_err));
        assert_string_equal(d.reader.note, k->note);
        assert_int_equal(d.reader.info.sample, k->format == FLOAT ? AE_F32
                                               : k->bits > 8      ? AE_U16
                                                                  : AE_U8);
        assert_int_equal(d.reader.info.bits, k->bits < 8 ? 8 : k->bits);
        for (int p = 0; p < W * H; p++) {
            unsigned n = expect(k, v + p * k->samples, out);

            assert_int_equal(d.reader.info.channels, n);
            for (unsigned c = 0; c < n; c++) {
                size_t at = (size_t)p * n + c;
                double full = k->format == FLOAT ? 1 : k->bits > 8 ? 65535 : 255;
                double got = k->format == FLOAT ? (double)((float *)d.pixels)[at]
                             : k->bits > 8      ? ((uint16_t *)d.pixels)[at]
                                                : ((uint8_t *)d.pixels)[at];

                if (!(fabs(got - out[c] * full) <= (k->format == FLOAT ? 1e-6
                                                    : inexact          ? 1.6
                                                                       : 0.51))) {
                    print_error("kind %zu, pixel %d, channel %u: %g, expected %g\n", i, p, c, got,
                                out[c] * full);
                    fail();
                }
            }
        }
        assert_ok(decode(file, NULL, 3, &d2, &util_err));
        assert_memory_equal(d.pixels, d2.pixels, H * ae_row_bytes(&d.reader.info));
        decode_close(&d2);
        decode_close(&d);
        ae_free(file.data);
    }
}

/* LZW stays LZW, and orientation and byte order go along. */
static void test_class_kept(void **state)
{
    const tiff_kind *k = &kinds[1];
    double v[W * H * 4];
    file_bytes file, out;
    ae_write_options options = {0};
    const ae_meta_item *exif;
    decoded d, d2;

    (void)state;
    fill_samples(k, v);
    file = make_tiff(k, v, 6);
    assert_ok(decode(file, NULL, H, &d, &util_err));
    exif = ae_meta_find(&d.reader.meta, AE_META_EXIF);
    assert_non_null(exif);
    options.like = &d.reader;
    assert_ok(encode("tiff", &d.reader.info, d.pixels, &d.reader.meta, &options, 5, &out, NULL,
                     &util_err));
    assert_memory_equal(out.data, "MM", 2);
    assert_ok(decode(out, NULL, 4, &d2, &util_err));
    assert_memory_equal(d.pixels, d2.pixels, H * ae_row_bytes(&d.reader.info));
    check_meta(&d2.reader.meta, &d.reader.meta, AE_META_EXIF);
    assert_string_equal(d2.reader.quality, "LZW");
    decode_close(&d2);
    decode_close(&d);
    ae_free(out.data);
    ae_free(file.data);
}

/* One strip of one row and so many samples a pixel, from the bytes as the machine has them. */
static file_bytes make_row(const char *mode, uint16_t bits, uint16_t format, uint16_t photometric,
                           uint16_t compression, uint16_t samples, uint32_t width, uint32_t height,
                           const void *data, size_t n_bytes)
{
    char path[64];
    TIFF *tif;
    file_bytes file;
    ae_source *source;

    snprintf(path, sizeof(path), "row-%ld.tif", (long)getpid());
    tif = TIFFOpen(path, mode);
    assert_non_null(tif);
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, samples);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, photometric);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, compression);
    TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, height);
    if (compression != COMPRESSION_SGILOG) { /* which has its own */
        TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, bits);
        TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, format);
    }
    if (photometric == PHOTOMETRIC_YCBCR)
        TIFFSetField(tif, TIFFTAG_YCBCRSUBSAMPLING, 2, 2);
    if (compression == COMPRESSION_SGILOG)
        TIFFSetField(tif, TIFFTAG_SGILOGDATAFMT, SGILOGDATAFMT_FLOAT);
    {
        void *copy = ae_alloc(n_bytes, 1); /* libtiff swaps in place */

        memcpy(copy, data, n_bytes);
        assert_true(TIFFWriteEncodedStrip(tif, 0, copy, (tmsize_t)n_bytes) > 0);
        ae_free(copy);
    }
    TIFFClose(tif);
    assert_ok(ae_source_open(path, &source, &util_err));
    file.n_bytes = (size_t)ae_source_size(source);
    file.data = ae_alloc(file.n_bytes, 1);
    assert_int_equal(ae_source_read(source, file.data, file.n_bytes), file.n_bytes);
    ae_source_free(source);
    unlink(path);
    return file;
}

/* Samples that are none of the signal's own types. */
static void test_other_numbers(void **state)
{
    static const uint16_t half[] = {0, 0x3c00, 0x3800, 0xbc00, 0x7bff, 1, 0x7c00, 0x83ff};
    static const double doubles[] = {0.1, -2, 1e30};
    static const int8_t s8[] = {-128, -1, 0, 127};
    static const int16_t s16[] = {-32768, -1, 0, 32767};
    static const int32_t s32[] = {-INT32_MAX, 0, INT32_MAX};
    static const uint32_t u32[] = {0, UINT32_MAX, 1u << 31, 1};
    static const struct {
        uint16_t bits, format;
        const void *data;
        uint32_t n;
        ae_sample sample;
        double want[8], err;
    } cases[] = {
        {16,
         FLOAT,
         half,
         8,
         AE_F32,
         {0, 1, 0.5, -1, 65504, 0x1p-24, (double)INFINITY, -1023 * 0x1p-24},
         0},
        {64, FLOAT, doubles, 3, AE_F32, {0.1f, -2, 1e30f}, 0},
        {8, SAMPLEFORMAT_INT, s8, 4, AE_U8, {0, 127, 128, 255}, 0},
        {16, SAMPLEFORMAT_INT, s16, 4, AE_U16, {0, 32767, 32768, 65535}, 0},
        {32, SAMPLEFORMAT_INT, s32, 3, AE_F32, {-1, 0, 1}, 0},
        {32, UINT, u32, 4, AE_F32, {0, 1, 0.5, 0x1p-32}, 1e-9},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            uint16_t bits = cases[i].bits;
            file_bytes file;
            decoded d;

            file = make_row(big_endian ? "wb" : "wl", bits, cases[i].format, PHOTOMETRIC_MINISBLACK,
                            COMPRESSION_ADOBE_DEFLATE, 1, cases[i].n, 1, cases[i].data,
                            (size_t)cases[i].n * bits / 8);
            assert_ok(decode(file, NULL, 1, &d, &util_err));
            assert_int_equal(d.reader.info.sample, cases[i].sample);
            for (uint32_t k = 0; k < cases[i].n; k++) {
                double got = cases[i].sample == AE_F32   ? (double)((float *)d.pixels)[k]
                             : cases[i].sample == AE_U16 ? ((uint16_t *)d.pixels)[k]
                                                         : ((uint8_t *)d.pixels)[k];

                if (!(got == cases[i].want[k] || fabs(got - cases[i].want[k]) <= cases[i].err)) {
                    print_error("case %zu, sample %u: %g, expected %g\n", i, k, got,
                                cases[i].want[k]);
                    fail();
                }
            }
            decode_close(&d);
            ae_free(file.data);
        }
}

/* Colours that are not RGB: white, black and the red of sRGB. */
static void test_other_colours(void **state)
{
    static const uint8_t lab8[] = {255, 0, 0, 0, 0, 0, 138, 81, 70},
                         icc8[] = {255, 128, 128, 0, 128, 128, 138, 209, 198};
    static const uint16_t lab16[] = {65535, 0, 0, 0, 0, 0, 35577, 20687, 17892};
    static const uint8_t ycc[] = {255, 255, 255, 255, 128, 128, 0,  0,  0,
                                  0,   128, 128, 76,  76,  76,  76, 85, 255};
    static const float xyz[] = {0.9505f, 1, 1.089f, 0, 0, 0, 0.4124f, 0.2126f, 0.0193f};
    static const struct {
        uint16_t bits, format, photometric, compression;
        const void *data;
        size_t n_bytes;
        uint32_t height;
        const char *note;
        double err; /* of 1 */
    } cases[] = {
        {8, UINT, PHOTOMETRIC_CIELAB, COMPRESSION_LZW, lab8, 9, 1, "Lab converted to sRGB", 0.015},
        {16, UINT, PHOTOMETRIC_CIELAB, COMPRESSION_NONE, lab16, 18, 1, "Lab converted to sRGB",
         0.005},
        {8, UINT, PHOTOMETRIC_ICCLAB, COMPRESSION_NONE, icc8, 9, 1, "Lab converted to sRGB", 0.015},
        {8, UINT, PHOTOMETRIC_YCBCR, COMPRESSION_LZW, ycc, 18, 2, "", 0.01},
        {32, FLOAT, PHOTOMETRIC_LOGLUV, COMPRESSION_SGILOG, xyz, 36, 1,
         "LogLuv converted to linear RGB", 0.02},
    };
    static const double want[3][3] = {{1, 1, 1}, {0, 0, 0}, {1, 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            uint32_t wide = cases[i].height; /* the pixels of 4:2:0 are two wide and two high */
            /* libtiff swaps what it should encode */
            bool swaps = cases[i].compression == COMPRESSION_SGILOG;
            file_bytes file = make_row(big_endian && !swaps ? "wb" : "wl", cases[i].bits,
                                       cases[i].format, cases[i].photometric, cases[i].compression,
                                       3, 3 * wide, cases[i].height, cases[i].data,
                                       cases[i].n_bytes);
            decoded d;

            assert_ok(decode(file, NULL, 1, &d, &util_err));
            assert_string_equal(d.reader.note, cases[i].note);
            assert_int_equal(d.reader.info.channels, 3);
            for (uint32_t y = 0; y < cases[i].height; y++)
                for (uint32_t x = 0; x < 9 * wide; x++) {
                    size_t at = y * 9 * wide + x;
                    double got = d.reader.info.sample == AE_F32 ? (double)((float *)d.pixels)[at]
                                 : d.reader.info.sample == AE_U16
                                     ? ((uint16_t *)d.pixels)[at] / 65535.0
                                     : ((uint8_t *)d.pixels)[at] / 255.0;

                    if (!(fabs(got - want[x / (3 * wide)][x % 3]) <= cases[i].err)) {
                        print_error("case %zu, %s, sample %u: %g\n", i,
                                    big_endian ? "big-endian" : "little-endian", x, got);
                        fail();
                    }
                }
            decode_close(&d);
            ae_free(file.data);
        }
}

/* A tile of 4 GB for one pixel. */
static void test_huge_tile(void **state)
{
    static const struct {
        uint16_t tag, type;
        uint32_t value;
    } entries[] = {{256, 4, 1}, {257, 4, 1},     {258, 3, 8},     {259, 3, 8}, {262, 3, 1},
                   {277, 3, 1}, {322, 4, 65520}, {323, 4, 64000}, {324, 4, 8}, {325, 4, 8}};
    uint8_t file[8 + 2 + 12 * 10 + 4] = {'I', 'I', 42, 0, 8, 0, 0, 0, 10};
    decoded d;
    ae_error err;

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        uint8_t *e = file + 10 + 12 * i;

        e[0] = (uint8_t)entries[i].tag, e[1] = (uint8_t)(entries[i].tag >> 8),
        e[2] = (uint8_t)entries[i].type, e[4] = 1;
        for (unsigned k = 0; k < 4; k++)
            e[8 + k] = (uint8_t)(entries[i].value >> 8 * k);
    }
    assert_int_equal(decode_open((file_bytes){file, sizeof(file)}, NULL, &d, &err), AE_ERR_LIMIT);
    assert_non_null(strstr(err.message, "tiles of 4193280000 bytes for a picture of 1 x 1"));
}

static void test_unsupported(void **state)
{
    /* clang-format off */
    static const tiff_kind bad[] = {
        {"wl", 8, 3, PHOTOMETRIC_ITULAB, UINT, COMPRESSION_NONE, 0, false, 0, 4,
         "photometric interpretation 10"},
        {"wl", 32, 1, PHOTOMETRIC_MINISBLACK, SAMPLEFORMAT_COMPLEXINT, COMPRESSION_NONE, 0, false,
         0, 4, "sample format 5"},
        {"wl", 12, 1, PHOTOMETRIC_MINISBLACK, SAMPLEFORMAT_INT, COMPRESSION_NONE, 0, false, 0, 4,
         "signed bits per sample 12"},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        double v[W * H * 4] = {0};
        file_bytes file = make_tiff(&bad[i], v, 1);
        decoded d;
        ae_error err;

        assert_int_equal(decode(file, NULL, H, &d, &err), AE_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, bad[i].note));
        ae_free(file.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),         cmocka_unit_test(test_class_kept),
        cmocka_unit_test(test_other_numbers), cmocka_unit_test(test_other_colours),
        cmocka_unit_test(test_huge_tile),     cmocka_unit_test(test_unsupported)};
    uint32_t seed = 3;

    for (int i = 0; i < 3 * 256; i++)
        palette[i / 256][i % 256] = (uint16_t)next_random(&seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
