/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AVIF, HEIC, JPEG XL and camera raw, as far as their libraries are there. */
#include "codec_util.h"

#include <math.h>
#include <stdlib.h>

#ifdef AEI_HAVE_AVIF
#include <avif/avif.h>
#endif
#ifdef AEI_HAVE_HEIF
#include <libheif/heif.h>
#endif

enum { W = 37, H = 21 };

static const char *const formats[] = {
#ifdef AEI_HAVE_AVIF
    "avif",
#endif
#ifdef AEI_HAVE_JXL
    "jxl",
#endif
    NULL,
};

/* Noise of so many bits, stretched to the whole range. */
static uint16_t *make_bits(const ae_signal_info *info)
{
    uint16_t *v = make_noise(info, 4);
    uint32_t most = (1u << info->bits) - 1;

    for (size_t i = 0; i < info->width * info->height * info->channels; i++)
        v[i] = (uint16_t)(((v[i] & most) * (uint64_t)65535 + most / 2) / most);
    return v;
}

static void test_lossless(void **state)
{
    static const struct {
        ae_sample sample;
        uint32_t bits;
        const char *avif_note;
    } types[] = {{AE_U8, 8, ""},
                 {AE_U16, 10, ""},
                 {AE_U16, 12, ""},
                 {AE_U16, 16, "samples rounded to 12 bits"},
                 {AE_F32, 32, "float samples rounded to 12 bits"}};

    (void)state;
    for (const char *const *f = formats; *f; f++)
        for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++)
            for (uint32_t channels = 1; channels <= 4; channels++) {
                ae_signal_info info = make_info(W, H, types[t].sample, channels);
                bool jxl = strcmp(*f, "jxl") == 0, exact = jxl || !*types[t].avif_note;
                ae_write_options options = {.lossless = true};
                file_bytes file;
                decoded d;
                void *pixels;
                char note[160];

                info.bits = types[t].bits;
                pixels = info.sample == AE_U16 ? (void *)make_bits(&info) : make_noise(&info, 4);
                if (info.sample == AE_F32) /* noise is of all bit patterns */
                    for (size_t i = 0; i < W * H * channels; i++)
                        ((float *)pixels)[i] = (float)(int)(i * 7919 % 1000) / 300 - 0.5f;
                assert_ok(encode(*f, &info, pixels, NULL, &options, 3, &file, note, &util_err));
                assert_string_equal(note, jxl ? "" : types[t].avif_note);
                assert_ok(decode(file, NULL, 5, &d, &util_err));
                assert_string_equal(d.reader.note, "");
                assert_int_equal(d.reader.info.channels, channels);
                if (exact && memcmp(d.pixels, pixels, H * ae_row_bytes(&info)) != 0)
                    print_error("%s, %u bits, %u channels\n", *f, info.bits, channels);
                if (exact) {
                    check_info(&d.reader.info, &info);
                    assert_memory_equal(d.pixels, pixels, H * ae_row_bytes(&info));
                } else {
                    assert_int_equal(d.reader.info.bits, 12);
                    for (size_t i = 0; i < W * H * channels && info.sample == AE_U16; i++)
                        assert_in_range(abs(((uint16_t *)d.pixels)[i] - ((uint16_t *)pixels)[i]), 0,
                                        8);
                }
                decode_close(&d);
                ae_free(file.data);
                ae_free(pixels);
            }
}

/* Alpha is exact at any quality, or where libjxl is before 0.9 within its steps at that quality; by
 * itself libjxl blurs edges of masks, by 47 of 255 at quality 60. */
static void test_lossy_alpha(void **state)
{
    static const uint32_t bits[] = {8, 10};

    (void)state;
    for (const char *const *f = formats; *f; f++)
        for (uint32_t c = 0; c < 12; c++) {
            uint32_t channels = c & 1 ? 4 : 2, depth = bits[c >> 1 & 1];
            ae_write_options options = {.quality = (int[]){5, 60, 95}[c >> 2]};
            ae_signal_info info = make_info(W, H, depth == 8 ? AE_U8 : AE_U16, channels);
            size_t size, n = W * H * channels;
            double worst = 0;
            file_bytes file;
            decoded d;
            void *pixels;

            info.bits = depth;
            pixels = depth == 8 ? make_noise(&info, 4) : (void *)make_bits(&info);
            size = ae_row_bytes(&info) / (W * channels);
            for (size_t i = channels - 1; i < n / 2; i += channels) /* a mask, then noise */
                memset((uint8_t *)pixels + i * size, i % 7 < 3 ? 0 : 255, size);
            assert_ok(encode(*f, &info, pixels, NULL, &options, 3, &file, NULL, &util_err));
            assert_ok(decode(file, NULL, 5, &d, &util_err));
            check_info(&d.reader.info, &info);
            for (size_t i = channels - 1; i < n; i += channels) {
                double e = depth == 8
                               ? ((uint8_t *)d.pixels)[i] - ((uint8_t *)pixels)[i]
                               : (((uint16_t *)d.pixels)[i] - ((uint16_t *)pixels)[i]) / 257.0;
                worst = fmax(worst, fabs(e));
            }
            assert_true(worst <= (strcmp(*f, "jxl") == 0 ? (double[]){16, 2, 0}[c >> 2] : 0));
            decode_close(&d);
            ae_free(file.data);
            ae_free(pixels);
        }
}

static void test_lossy(void **state)
{
    (void)state;
    for (const char *const *f = formats; *f; f++) {
        ae_signal_info info = make_info(96, 80, AE_U8, 3);
        uint8_t *pixels = make_smooth(&info);
        uint32_t seed = 1;
        size_t last = SIZE_MAX;

        /* grey noise: of coloured one little is seen, and kept */
        for (size_t i = 0; i < 96 * 80; i++) {
            uint32_t noise = next_random(&seed) & 31;

            for (size_t k = 0; k < 3; k++)
                pixels[3 * i + k] = (uint8_t)(pixels[3 * i + k] / 2 + noise);
        }
        for (int quality = 95; quality >= 35; quality -= 30) {
            ae_write_options options = {.quality = quality};
            double squares = 0;
            file_bytes file;
            decoded d;

            assert_ok(encode(*f, &info, pixels, NULL, &options, 80, &file, NULL, &util_err));
            if (file.n_bytes >= last)
                print_error("%s at %d: %zu bytes after %zu\n", *f, quality, file.n_bytes, last);
            assert_true(file.n_bytes < last);
            last = file.n_bytes;
            assert_ok(decode(file, NULL, 80, &d, &util_err));
            for (size_t i = 0; i < 96 * 80 * 3; i++)
                squares += pow((double)((uint8_t *)d.pixels)[i] - (double)pixels[i], 2);
            if (!(sqrt(squares / (96 * 80 * 3)) <= (quality == 95 ? 4 : 15)))
                print_error("%s at %d: errs by %g\n", *f, quality, sqrt(squares / (96 * 80 * 3)));
            assert_true(sqrt(squares / (96 * 80 * 3)) <= (quality == 95 ? 4 : 15));
            decode_close(&d);
            ae_free(file.data);
        }
        ae_free(pixels);
    }
}

/* Profile, EXIF and XMP to the byte; the picture as it is to be seen, of which EXIF then says so.
 */
static void test_metadata(void **state)
{
    (void)state;
    for (const char *const *f = formats; *f; f++)
        for (unsigned orientation = 1; orientation <= 8; orientation++) {
            ae_signal_info info = make_info(W, H, AE_U8, 3);
            uint8_t *pixels = make_noise(&info, 9);
            ae_write_options options = {.lossless = true};
            ae_meta meta, want;
            ae_turner *turner;
            uint8_t *upright = ae_alloc(W * H, 3);
            file_bytes file;
            decoded d;
            char note[160];

            fill_meta(&meta, 3);
            for (size_t i = 0; i < meta.n_items; i++)
                if (meta.items[i].kind == AE_META_EXIF)
                    meta.items[i].value[30] = (uint8_t)orientation;
            assert_int_equal(ae_meta_orientation(&meta), orientation);
            assert_ok(encode(*f, &info, pixels, &meta, &options, H, &file, note, &util_err));
            assert_string_equal(note, "IPTC dropped, resolution dropped, text dropped");
            assert_ok(decode(file, NULL, 2, &d, &util_err));
            want = (ae_meta){0};
            assert_ok(ae_meta_copy(&meta, &want, &util_err));
            for (size_t i = 0; i < want.n_items; i++)
                if (want.items[i].kind == AE_META_EXIF)
                    want.items[i].value[30] = 1;
            check_meta(&d.reader.meta, &want, AE_META_ICC);
            check_meta(&d.reader.meta, &want, AE_META_EXIF);
            check_meta(&d.reader.meta, &want, AE_META_XMP);
            assert_ok(ae_turner_create(&info, orientation, &turner, &util_err));
            ae_turner_write(turner, pixels, H);
            assert_int_equal(d.reader.info.width, ae_turner_info(turner)->width);
            ae_turner_read(turner, 0, (uint32_t)d.reader.info.height, upright);
            assert_memory_equal(d.pixels, upright, W * H * 3);
            ae_turner_free(turner);
            decode_close(&d);
            ae_free(upright);
            ae_free(file.data);
            ae_free(pixels);
            ae_meta_clear(&meta);
            ae_meta_clear(&want);
        }
}

/* Wide colours by their numbers; in JPEG XL, which makes a profile of them, too, also by gamma and
 * primaries. */
static void test_colour(void **state)
{
    static const struct {
        const char *value;
        size_t n;
        bool jxl_only;
    } items[] = {
        {"cICP\x09\x10\0\x01", 8, false},
        {"cICP\x0c\x0d\0\x01", 8, false},
        {"gAMA\0\0\xc3\x50", 8, true},
        {"cHRM\0\0\x7a\x26\0\0\x80\x84\0\x01\x14\x90\0\0\x72\x10\0\0\x42\x68\0\x01\x37\x78\0\0\x33"
         "\x2c\0\0\x11\xf8",
         36, true},
    };

    (void)state;
    for (const char *const *f = formats; *f; f++)
        for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++) {
            bool jxl = strcmp(*f, "jxl") == 0, found = false;
            ae_signal_info info = make_info(W, H, AE_U8, 3);
            uint8_t *pixels = make_noise(&info, 9);
            ae_meta meta = {0};
            file_bytes file;
            decoded d;
            char note[160];

            assert_ok(
                ae_meta_add(&meta, AE_META_COLOUR, NULL, items[i].value, items[i].n, &util_err));
            assert_ok(encode(*f, &info, pixels, &meta, &(ae_write_options){.lossless = true}, H,
                             &file, note, &util_err));
            assert_int_equal(!*note, jxl || !items[i].jxl_only);
            assert_ok(decode(file, NULL, H, &d, &util_err));
            assert_memory_equal(d.pixels, pixels, W * H * 3);
            for (size_t k = 0; k < d.reader.meta.n_items; k++)
                found = found ||
                        (d.reader.meta.items[k].n_bytes == items[i].n &&
                         memcmp(d.reader.meta.items[k].value, items[i].value, items[i].n) == 0);
            assert_int_equal(found, jxl || !items[i].jxl_only);
            decode_close(&d);
            ae_free(file.data);
            ae_free(pixels);
            ae_meta_clear(&meta);
        }
}

/* Metadata that are no good never cost the picture, and files that are cut are errors. */
static void test_odd(void **state)
{
    (void)state;
    for (const char *const *f = formats; *f; f++) {
        ae_signal_info info = make_info(W, H, AE_U8, 3);
        uint8_t *pixels = make_noise(&info, 9);
        ae_meta meta = {0};
        file_bytes file;
        decoded d;
        ae_error err;

        assert_ok(ae_meta_add(&meta, AE_META_EXIF, NULL, "none", 4, &util_err));
        assert_ok(ae_meta_add(&meta, AE_META_XMP, NULL, "\0\xff", 2, &util_err));
        assert_ok(ae_meta_add(&meta, AE_META_COLOUR, NULL, "cICP\xff\xff\x07\x09", 8, &util_err));
        assert_ok(encode(*f, &info, pixels, &meta, &(ae_write_options){.lossless = true}, H, &file,
                         NULL, &util_err));
        assert_ok(decode(file, NULL, H, &d, &util_err));
        assert_memory_equal(d.pixels, pixels, W * H * 3);
        decode_close(&d);
        ae_meta_clear(&meta);
        for (size_t n = 30; n + 1 < file.n_bytes; n += n / 6) {
            ae_status st = decode((file_bytes){file.data, n}, NULL, H, &d, &err);

            assert_true(st == AE_ERR_MALFORMED || st == AE_ERR_UNSUPPORTED);
        }
        assert_int_equal(decode_open(file, &(ae_limits){.max_pixels = W * H - 1}, &d, &err),
                         AE_ERR_LIMIT);
        assert_int_equal(decode_open(file, &(ae_limits){.max_memory = 2000}, &d, &err),
                         AE_ERR_LIMIT);
        ae_free(file.data);
        ae_free(pixels);
    }
}

#ifdef AEI_HAVE_AVIF
/* Tiles are part of one picture, also where the file does not hide them. */
static void test_avif_tiles(void **state)
{
    enum { SIDE = 64, DARK = 40, STEP = 50 };
    avifEncoder *encoder = avifEncoderCreate();
    avifRWData data = AVIF_DATA_EMPTY;
    const avifImage *tiles[2];
    unsigned shown = 0;
    decoded d;

    (void)state;
    encoder->speed = 10;
    encoder->minQuantizer = encoder->maxQuantizer = AVIF_QUANTIZER_LOSSLESS;
    for (int i = 0; i < 2; i++) {
        avifImage *image = avifImageCreate(SIDE, SIDE, 8, AVIF_PIXEL_FORMAT_YUV400);

        image->yuvRange = AVIF_RANGE_FULL;
        avifImageAllocatePlanes(image, AVIF_PLANES_YUV);
        memset(image->yuvPlanes[0], DARK + STEP * i, (size_t)SIDE * image->yuvRowBytes[0]);
        tiles[i] = image;
    }
    assert_int_equal(avifEncoderAddImageGrid(encoder, 1, 2, tiles, AVIF_ADD_IMAGE_FLAG_SINGLE),
                     AVIF_RESULT_OK);
    assert_int_equal(avifEncoderFinish(encoder, &data), AVIF_RESULT_OK);
    avifEncoderDestroy(encoder);
    for (size_t i = 0; i + 8 < data.size; i++)
        if (memcmp(data.data + i, "infe", 4) == 0) {
            shown += data.data[i + 7] & 1;
            data.data[i + 7] &= 0xfe;
        }
    assert_int_equal(shown, 2);
    assert_ok(decode_open((file_bytes){data.data, data.size}, NULL, &d, &util_err));
    assert_string_equal(d.reader.codec->name, "avif");
    assert_int_equal(d.reader.n_further, 0);
    assert_int_equal(d.reader.info.height, 2 * SIDE);
    assert_ok(decode_pixels(&d, 2 * SIDE, &util_err));
    assert_int_equal(((uint8_t *)d.pixels)[0], DARK);
    assert_int_equal(((uint8_t *)d.pixels)[2 * SIDE * SIDE - 1], DARK + STEP);
    decode_close(&d);
    avifRWDataFree(&data);
    avifImageDestroy((avifImage *)tiles[0]);
    avifImageDestroy((avifImage *)tiles[1]);
}
#endif

#ifdef AEI_HAVE_HEIF
static struct heif_error take_bytes(struct heif_context *context, const void *data, size_t n,
                                    void *opaque)
{
    ae_memory_output *m = opaque;

    (void)context;
    assert_ok(m->sink.write(m, data, n, &util_err));
    return (struct heif_error){heif_error_Ok, heif_suberror_Unspecified, "Ok"};
}

static void test_heic(void **state)
{
    struct heif_context *context = heif_context_alloc();
    struct heif_encoder *encoder = NULL;
    struct heif_image *image;
    struct heif_image_handle *handle;
    struct heif_writer writer = {1, take_bytes};
    ae_signal_info info = make_info(64, 48, AE_U8, 3);
    uint8_t *pixels = make_smooth(&info), *to;
    static const uint8_t exif[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3,
                                   0,   1,   0,  0, 0, 6, 0, 0, 0, 0, 0,    0, 0};
    ae_memory_output m;
    int stride;
    double squares = 0;
    decoded d;

    (void)state;
    if (heif_context_get_encoder_for_format(context, heif_compression_HEVC, &encoder).code !=
        heif_error_Ok) {
        heif_context_free(context);
        ae_free(pixels);
        skip(); /* libheif can only read */
    }
    assert_int_equal(
        heif_image_create(64, 48, heif_colorspace_RGB, heif_chroma_interleaved_RGB, &image).code,
        heif_error_Ok);
    assert_int_equal(heif_image_add_plane(image, heif_channel_interleaved, 64, 48, 8).code,
                     heif_error_Ok);
    to = heif_image_get_plane(image, heif_channel_interleaved, &stride);
    for (int y = 0; y < 48; y++)
        memcpy(to + y * stride, pixels + y * 192, 192);
    heif_encoder_set_lossy_quality(encoder, 95);
    assert_int_equal(heif_context_encode_image(context, image, encoder, NULL, &handle).code,
                     heif_error_Ok);
    assert_int_equal(heif_context_add_exif_metadata(context, handle, exif, sizeof(exif)).code,
                     heif_error_Ok);
    heif_image_handle_release(handle);
    heif_image_release(image);
    heif_encoder_release(encoder);
    ae_memory_output_init(&m);
    assert_int_equal(heif_context_write(context, &writer, &m).code, heif_error_Ok);
    heif_context_free(context);

    assert_ok(decode((file_bytes){m.data, m.n_bytes}, NULL, 7, &d, &util_err));
    assert_string_equal(d.reader.codec->name, "heic");
    assert_int_equal(d.reader.info.width, 64);
    assert_int_equal(d.reader.info.channels, 3);
    /* the file's own turns are applied, of which it has none */
    assert_int_equal(ae_meta_orientation(&d.reader.meta), 1);
    for (size_t i = 0; i < 64 * 48 * 3; i++)
        squares += pow((double)((uint8_t *)d.pixels)[i] - (double)pixels[i], 2);
    assert_true(sqrt(squares / (64 * 48 * 3)) <= 4);
    decode_close(&d);
    for (size_t n = 30; n < m.n_bytes; n += n / 4) {
        ae_error err;
        ae_status st = decode((file_bytes){m.data, n}, NULL, 7, &d, &err);

        assert_true(st == AE_ERR_MALFORMED || st == AE_ERR_UNSUPPORTED);
    }
    ae_free(m.data);
    ae_free(pixels);
}
#endif

#ifdef AEI_HAVE_RAW
/* A digital negative of one flat colour as a red, green, green, blue mosaic of 12 bits, the light
 * of which is a grey card's under the white balance that it tells. */
static file_bytes make_dng(uint32_t width, uint32_t height, unsigned orientation)
{
    enum { N = 21, AT = 8 + 2 + 12 * N + 4 };
    static const int32_t matrix[18] = {32405, 10000, -15371, 10000, -4985, 10000, -9693, 10000,
                                       18760, 10000, 416, 10000,
                                       /* XYZ to a camera with sRGB's primaries */
                                       556, 10000, -2040, 10000, 10572, 10000};
    static const uint32_t neutral[6] = {1, 2, 1, 1, 1, 4};
    uint32_t pixels_at = AT + 72 + 24 + 8;
    const struct {
        uint16_t tag, type;
        uint32_t n, v;
    } e[N] = {{254, 4, 1, 0},
              {256, 4, 1, width},
              {257, 4, 1, height},
              {258, 3, 1, 16},
              {259, 3, 1, 1},
              {262, 3, 1, 32803},
              {271, 2, 4, 'a' | 'b' << 8 | 'c' << 16},
              {272, 2, 4, 'd' | 'e' << 8 | 'f' << 16},
              {273, 4, 1, pixels_at},
              {274, 3, 1, orientation},
              {277, 3, 1, 1},
              {278, 4, 1, height},
              {279, 4, 1, width * height * 2},
              {284, 3, 1, 1},
              {33421, 3, 2, 2 | 2 << 16},
              {33422, 1, 4, 0 | 1 << 8 | 1 << 16 | 2 << 24},
              {50706, 1, 4, 1 | 4 << 8},
              {50708, 2, 4, 'x' | 'y' << 8 | 'z' << 16},
              {50717, 3, 1, 4095},
              {50721, 10, 9, AT},
              {50728, 5, 3, AT + 72}};
    file_bytes file = {ae_alloc(pixels_at + width * height * 2, 1), pixels_at + width * height * 2};
    uint8_t *p = file.data;

    assert_non_null(p);
    memcpy(p, "II*\0\x08\0\0\0", 8);
    p[8] = N;
    for (size_t i = 0; i < N; i++) {
        memcpy(p + 10 + 12 * i, &e[i].tag, 2);
        memcpy(p + 12 + 12 * i, &e[i].type, 2);
        memcpy(p + 14 + 12 * i, &e[i].n, 4);
        memcpy(p + 18 + 12 * i, &e[i].v, 4);
    }
    memcpy(p + AT, matrix, sizeof(matrix));
    memcpy(p + AT + 72, neutral, sizeof(neutral));
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            /* as the neutral colour is */
            static const uint16_t mosaic[4] = {1000, 2000, 2000, 500};
            uint16_t v = mosaic[(y & 1) * 2 + (x & 1)];

            memcpy(p + pixels_at + 2 * (y * width + x), &v, 2);
        }
    return file;
}

static void test_raw(void **state)
{
    (void)state;
    for (unsigned orientation = 1; orientation <= 6; orientation += 5) {
        file_bytes file = make_dng(64, 48, orientation);
        decoded d;
        ae_error err;

        assert_ok(decode(file, NULL, 5, &d, &util_err));
        assert_string_equal(d.reader.codec->name, "raw");
        assert_string_equal(d.reader.note, "developed to linear light");
        assert_int_equal(d.reader.info.width > d.reader.info.height, orientation == 1);
        assert_int_equal(d.reader.info.channels, 3);
        assert_int_equal(d.reader.info.sample, AE_U16);
        assert_int_equal(ae_meta_orientation(&d.reader.meta), 1);
        for (uint32_t c = 0; c < 3; c++) { /* grey, as light and not as a curve has it */
            size_t middle = (d.reader.info.height / 2 * d.reader.info.width +
                             d.reader.info.width / 2) *
                            3;

            assert_in_range(((uint16_t *)d.pixels)[middle + c], 65535 * 2000 / 4095 - 1500,
                            65535 * 2000 / 4095 + 1500);
        }
        decode_close(&d);
        assert_int_not_equal(decode((file_bytes){file.data, file.n_bytes / 2}, NULL, 5, &d, &err),
                             AE_OK);
        ae_free(file.data);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lossless),    cmocka_unit_test(test_lossy),
        cmocka_unit_test(test_lossy_alpha), cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_colour),      cmocka_unit_test(test_odd),
#ifdef AEI_HAVE_AVIF
        cmocka_unit_test(test_avif_tiles),
#endif
#ifdef AEI_HAVE_HEIF
        cmocka_unit_test(test_heic),
#endif
#ifdef AEI_HAVE_RAW
        cmocka_unit_test(test_raw),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
