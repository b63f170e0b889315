/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files of several pictures, pictures that EXIF turns, files that others write a little wrong. */
#define _GNU_SOURCE
#include <unistd.h>

#ifdef AEI_HAVE_AVIF
#include <avif/avif.h>
#endif
#ifdef AEI_HAVE_JXL
#include <jxl/encode.h>
#endif
#ifdef AEI_HAVE_HEIF
#include <libheif/heif.h>
#endif
#include <tiffio.h>
#include <webp/encode.h>
#include <webp/mux.h>
#include <zlib.h>

#include "codec_util.h"

enum { W = 5, H = 3 };

static file_bytes take_file(const char *path)
{
    file_bytes file;
    ae_source *source;

    assert_ok(ae_source_open(path, &source, &util_err));
    file.n_bytes = (size_t)ae_source_size(source);
    file.data = ae_alloc(file.n_bytes, 1);
    assert_int_equal(ae_source_read(source, file.data, file.n_bytes), file.n_bytes);
    ae_source_free(source);
    unlink(path);
    return file;
}

/* Pages of those kinds: 0 a page, 1 a thumbnail, 2 a page of several, 4 a mask. */
static file_bytes make_pages(const char *mode, const uint32_t *kinds, unsigned n)
{
    char path[64];
    TIFF *tif;

    snprintf(path, sizeof(path), "pages-%ld.tif", (long)getpid());
    tif = TIFFOpen(path, mode);
    assert_non_null(tif);
    for (unsigned i = 0; i < n; i++) {
        uint8_t row[W];

        memset(row, (int)(10 * i), sizeof(row));
        snprintf(path, sizeof(path), "page %u of all", i);
        TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION, path);
        TIFFSetField(tif, TIFFTAG_SUBFILETYPE, kinds[i]);
        TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, W);
        TIFFSetField(tif, TIFFTAG_IMAGELENGTH, 1);
        TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 8);
        TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
        TIFFWriteScanline(tif, row, 0, 0);
        TIFFWriteDirectory(tif);
    }
    TIFFClose(tif);
    snprintf(path, sizeof(path), "pages-%ld.tif", (long)getpid());
    return take_file(path);
}

static void check_picture(decoded *d, uint8_t first)
{
    ae_free(d->pixels);
    d->pixels = NULL;
    assert_ok(decode_pixels(d, 2, &util_err));
    assert_int_equal(((uint8_t *)d->pixels)[0], first);
}

/* Pictures whose first samples are those: in order, again, back, beyond the last, and opened at
 * each. */
static void check_pictures(file_bytes file, const uint8_t *first, uint32_t n)
{
    decoded d;
    ae_error err;

    assert_ok(decode_open(file, NULL, &d, &util_err));
    assert_int_equal(d.reader.n_further, n - 1);
    for (uint32_t k = 1; k <= n; k++)
        for (int again = 0; again < 2; again++) {
            assert_ok(ae_reader_picture(&d.reader, k, &util_err));
            assert_int_equal(d.reader.track, k);
            check_picture(&d, first[k - 1]);
        }
    assert_ok(ae_reader_picture(&d.reader, 1, &util_err));
    check_picture(&d, first[0]);
    assert_ok(ae_reader_picture(&d.reader, n, &util_err)); /* past some that nobody reads */
    check_picture(&d, first[n - 1]);
    assert_int_equal(ae_reader_picture(&d.reader, n + 1, &err), AE_ERR_ARGUMENT);
    assert_null(d.reader.codec);
    for (uint32_t k = 1; k <= n; k++) {
        assert_ok(ae_reader_open_track(d.source, NULL, k, &d.reader, &util_err));
        check_picture(&d, first[k - 1]);
        ae_reader_close(&d.reader);
    }
    decode_close(&d);
}

/* Metadata are those of the page. */
static void check_description(const ae_reader *reader, const char *text)
{
    const ae_meta_item *exif = ae_meta_find(&reader->meta, AE_META_EXIF);

    assert_int_equal(reader->meta.n_items, 1);
    assert_non_null(exif);
    assert_non_null(memmem(exif->value, exif->n_bytes, text, strlen(text)));
}

static void test_tiff_meta(void **state)
{
    file_bytes file = make_pages("wl", (const uint32_t[]){2, 1, 2}, 3);
    decoded d;

    (void)state;
    assert_ok(decode_open(file, NULL, &d, &util_err));
    check_description(&d.reader, "page 0 of all");
    assert_ok(ae_reader_picture(&d.reader, 2, &util_err));
    check_description(&d.reader, "page 2 of all");
    decode_close(&d);
    ae_free(file.data);
}

static void test_tiff_pages(void **state)
{
    static const struct {
        uint32_t kinds[4];
        unsigned n, further;
    } cases[] = {
        {{0}, 1, 0}, {{0, 0}, 2, 1}, {{2, 2, 2}, 3, 2}, {{0, 1, 1, 1}, 4, 0}, {{0, 4, 5, 2}, 4, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (int k = 0; k < 3; k++) {
            static const char *const modes[] = {"wl", "wb", "wl8"};
            file_bytes file = make_pages(modes[k], cases[i].kinds, cases[i].n);
            decoded d;

            assert_ok(decode(file, NULL, 1, &d, &util_err));
            assert_int_equal(d.reader.n_further, cases[i].further);
            assert_int_equal(((uint8_t *)d.pixels)[0], 0);
            decode_close(&d);
            check_pictures(file,
                           i == 4 ? (const uint8_t[]){0, 30} : (const uint8_t[]){0, 10, 20, 30},
                           cases[i].further + 1);
            ae_free(file.data);
        }
}

/* A page that is followed by itself, and so on, is counted for a while. */
static void test_tiff_circle(void **state)
{
    static const uint8_t file[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 6, 0, 0, 1, 3, 0, 1, 0, 0, 0, 1, 0,
                                   0, 0, 1, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 0, 1, 0, 0, 0,
                                   8, 0, 0, 0, 6, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x11, 1, 4, 0, 1,
                                   0, 0, 0, 0, 0, 0, 0, 0x17, 1, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0,
                                   /* a second directory, without entries, that leads to itself */
                                   86, 0, 0, 0, 0, 0, 86, 0, 0, 0};
    decoded d;

    (void)state;
    assert_ok(
        decode_open((file_bytes){(uint8_t *)(uintptr_t)file, sizeof(file)}, NULL, &d, &util_err));
    decode_close(&d);
}

static void put_chunk(ae_memory_output *m, const char *type, const void *data, size_t n)
{
    uint32_t crc = (uint32_t)crc32(crc32(0, (const Bytef *)type, 4), data ? data : type, (uInt)n);
    uint8_t head[8] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    const uint8_t tail[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                             (uint8_t)crc};

    memcpy(head + 4, type, 4);
    assert_ok(m->sink.write(m, head, 8, &util_err));
    if (n)
        assert_ok(m->sink.write(m, data, n, &util_err));
    assert_ok(m->sink.write(m, tail, 4, &util_err));
}

static void test_apng(void **state)
{
    static const uint8_t header[13] = {0, 0, 0, 1, 0, 0, 0, 1, 8}, control[8] = {0, 0, 0, 3};
    uint8_t frame[26] = {[7] = 1, [11] = 1};

    (void)state;
    for (unsigned i = 0; i < 8; i++) { /* the picture that is no frame is there in the last four */
        bool alone = i > 3;
        unsigned n_frames = i % 4;
        uint8_t pixel[64] = {0};
        ae_memory_output m;
        uLongf n;
        decoded d;

        ae_memory_output_init(&m);
        assert_ok(m.sink.write(&m, "\x89PNG\r\n\x1a\n", 8, &util_err));
        put_chunk(&m, "IHDR", header, 13);
        put_chunk(&m, "acTL", control, 8);
        frame[3] = pixel[3] = 0;
        for (unsigned k = 0; k < n_frames + alone || !k; k++) {
            const uint8_t row[2] = {0, (uint8_t)(7 + k)};

            n = sizeof(pixel) - 4;
            assert_int_equal(compress(pixel + 4, &n, row, 2), Z_OK);
            if (k || (!alone && n_frames)) {
                put_chunk(&m, "fcTL", frame, 26);
                pixel[3] = ++frame[3];
                frame[3] += k > 0;
            }
            put_chunk(&m, k ? "fdAT" : "IDAT", pixel + 4 * !k, n + 4 * !!k);
        }
        put_chunk(&m, "IEND", NULL, 0);
        assert_ok(decode((file_bytes){m.data, m.n_bytes}, NULL, 1, &d, &util_err));
        assert_int_equal(d.reader.n_further, alone ? n_frames : n_frames > 1 ? n_frames - 1 : 0);
        assert_int_equal(((uint8_t *)d.pixels)[0], 7);
        check_pictures((file_bytes){m.data, m.n_bytes}, (const uint8_t[]){7, 8, 9, 10},
                       d.reader.n_further + 1);
        decode_close(&d);
        ae_free(m.data);
    }
}

/* What Xcode makes of PNG begins with another chunk, and says so here. */
static void test_iphone_png(void **state)
{
    static const uint8_t header[13] = {0, 0, 0, 1, 0, 0, 0, 1, 8};
    ae_memory_output m;
    ae_error err;
    decoded d;

    (void)state;
    ae_memory_output_init(&m);
    assert_ok(m.sink.write(&m, "\x89PNG\r\n\x1a\n", 8, &util_err));
    put_chunk(&m, "CgBI", "\x50\0\x20\6", 4);
    put_chunk(&m, "IHDR", header, 13);
    put_chunk(&m, "IDAT", "none", 4);
    put_chunk(&m, "IEND", NULL, 0);
    assert_int_equal(decode_open((file_bytes){m.data, m.n_bytes}, NULL, &d, &err),
                     AE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "iPhone"));
    ae_free(m.data);
}

static void test_webp_animation(void **state)
{
    WebPAnimEncoder *encoder = WebPAnimEncoderNew(W, H, NULL);
    uint8_t pixels[2][W * H * 4];
    WebPConfig config;
    WebPData data = {0};
    decoded d;

    (void)state;
    assert_non_null(encoder);
    assert_true(WebPConfigInit(&config));
    config.lossless = config.exact = 1;
    for (int i = 0; i < 2; i++) {
        WebPPicture picture;

        memset(pixels[i], 50 + i, sizeof(pixels[i]));
        pixels[i][5] = 200;
        assert_true(WebPPictureInit(&picture));
        picture.use_argb = 1;
        picture.width = W;
        picture.height = H;
        assert_true(WebPPictureImportRGBA(&picture, pixels[i], W * 4));
        assert_true(WebPAnimEncoderAdd(encoder, &picture, 100 * i, &config));
        WebPPictureFree(&picture);
    }
    assert_true(WebPAnimEncoderAdd(encoder, NULL, 200, NULL));
    assert_true(WebPAnimEncoderAssemble(encoder, &data));
    WebPAnimEncoderDelete(encoder);
    assert_ok(
        decode((file_bytes){(uint8_t *)(uintptr_t)data.bytes, data.size}, NULL, 2, &d, &util_err));
    assert_int_equal(d.reader.n_further, 1);
    assert_int_equal(d.reader.info.channels, 4);
    assert_memory_equal(d.pixels, pixels[0], sizeof(pixels[0]));
    check_pictures((file_bytes){(uint8_t *)(uintptr_t)data.bytes, data.size},
                   (const uint8_t[]){50, 51}, 2);
    decode_close(&d);
    WebPDataClear(&data);
}

#ifdef AEI_HAVE_AVIF
/* Frames that are all of one grey but for the last pixel, which stays. */
static void test_avif_sequence(void **state)
{
    avifEncoder *encoder = avifEncoderCreate();
    avifRWData data = AVIF_DATA_EMPTY;

    (void)state;
    encoder->speed = 10;
    encoder->minQuantizer = encoder->maxQuantizer = AVIF_QUANTIZER_LOSSLESS;
    for (int i = 0; i < 3; i++) {
        avifImage *image = avifImageCreate(W, H, 8, AVIF_PIXEL_FORMAT_YUV400);

        image->yuvRange = AVIF_RANGE_FULL;
        avifImageAllocatePlanes(image, AVIF_PLANES_YUV);
        for (int y = 0; y < H; y++)
            memset(image->yuvPlanes[0] + (size_t)y * image->yuvRowBytes[0], 10 + 30 * i, W);
        image->yuvPlanes[0][(H - 1) * image->yuvRowBytes[0] + W - 1] = 200;
        assert_int_equal(avifEncoderAddImage(encoder, image, 1, AVIF_ADD_IMAGE_FLAG_NONE),
                         AVIF_RESULT_OK);
        avifImageDestroy(image);
    }
    assert_int_equal(avifEncoderFinish(encoder, &data), AVIF_RESULT_OK);
    avifEncoderDestroy(encoder);
    check_pictures((file_bytes){data.data, data.size}, (const uint8_t[]){10, 40, 70}, 3);
    avifRWDataFree(&data);
}
#endif

#ifdef AEI_HAVE_JXL
/* The second frame is one pixel, laid over the first. */
static void test_jxl_animation(void **state)
{
    JxlPixelFormat format = {1, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 0};
    JxlEncoder *encoder = JxlEncoderCreate(NULL);
    JxlEncoderFrameSettings *settings = JxlEncoderFrameSettingsCreate(encoder, NULL);
    JxlColorEncoding grey;
    JxlBasicInfo basic;
    uint8_t buffer[1 << 14], *next = buffer;
    size_t left = sizeof(buffer);
    file_bytes file = {buffer, 0};
    decoded d;

    (void)state;
    JxlEncoderInitBasicInfo(&basic);
    basic.xsize = W;
    basic.ysize = H;
    basic.bits_per_sample = 8;
    basic.num_color_channels = 1;
    basic.uses_original_profile = JXL_TRUE;
    basic.have_animation = JXL_TRUE;
    basic.animation.tps_numerator = basic.animation.tps_denominator = 1;
    assert_int_equal(JxlEncoderSetBasicInfo(encoder, &basic), JXL_ENC_SUCCESS);
    JxlColorEncodingSetToSRGB(&grey, JXL_TRUE);
    assert_int_equal(JxlEncoderSetColorEncoding(encoder, &grey), JXL_ENC_SUCCESS);
    assert_int_equal(JxlEncoderSetFrameLossless(settings, JXL_TRUE), JXL_ENC_SUCCESS);
    for (int i = 0; i < 3; i++) {
        uint8_t pixels[W * H];
        JxlFrameHeader header;

        memset(pixels, 10 + 30 * i, sizeof(pixels));
        JxlEncoderInitFrameHeader(&header);
        header.duration = 1;
        header.layer_info.save_as_reference = 1;
        if (i == 1) {
            header.layer_info.have_crop = JXL_TRUE;
            header.layer_info.xsize = header.layer_info.ysize = 1;
            header.layer_info.blend_info.source = 1;
        }
        assert_int_equal(JxlEncoderSetFrameHeader(settings, &header), JXL_ENC_SUCCESS);
        assert_int_equal(JxlEncoderAddImageFrame(settings, &format, pixels, i == 1 ? 1 : W * H),
                         JXL_ENC_SUCCESS);
    }
    JxlEncoderCloseInput(encoder);
    assert_int_equal(JxlEncoderProcessOutput(encoder, &next, &left), JXL_ENC_SUCCESS);
    file.n_bytes = (size_t)(next - buffer);
    JxlEncoderDestroy(encoder);
    check_pictures(file, (const uint8_t[]){10, 40, 70}, 3);
    assert_ok(decode_open(file, NULL, &d, &util_err));
    assert_ok(ae_reader_picture(&d.reader, 2, &util_err));
    assert_ok(decode_pixels(&d, 2, &util_err));
    assert_int_equal(((uint8_t *)d.pixels)[0], 40);
    assert_int_equal(((uint8_t *)d.pixels)[1], 10);
    decode_close(&d);
    file.n_bytes -= 4; /* of the last frame */
    assert_ok(decode_open(file, NULL, &d, &util_err));
    assert_int_equal(ae_reader_picture(&d.reader, 3, &(ae_error){0}), AE_ERR_MALFORMED);
    decode_close(&d);
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

/* Pictures of two sizes, the second of which is the primary one, or none but a thumbnail. */
static void check_heif_pictures(enum heif_compression_format format)
{
    static const uint8_t exif[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    struct heif_context *context = heif_context_alloc();
    struct heif_encoder *encoder = NULL;
    struct heif_writer writer = {1, take_bytes};
    ae_memory_output m;
    decoded d;

    if (heif_context_get_encoder_for_format(context, format, &encoder).code != heif_error_Ok) {
        heif_context_free(context);
        skip(); /* libheif can only read */
    }
    heif_encoder_set_lossless(encoder, 1);
    for (int i = 0; i < 3; i++) {
        int side = 64 + 16 * i, stride;
        struct heif_image_handle *handle, *thumbnail;
        struct heif_image *image;
        uint8_t *to;

        assert_int_equal(heif_image_create(side, side, heif_colorspace_monochrome,
                                           heif_chroma_monochrome, &image)
                             .code,
                         heif_error_Ok);
        assert_int_equal(heif_image_add_plane(image, heif_channel_Y, side, side, 8).code,
                         heif_error_Ok);
        to = heif_image_get_plane(image, heif_channel_Y, &stride);
        memset(to, 50 * (i + 1), (size_t)(stride * side));
        assert_int_equal(heif_context_encode_image(context, image, encoder, NULL, &handle).code,
                         heif_error_Ok);
        if (i == 1)
            assert_int_equal(heif_context_set_primary_image(context, handle).code, heif_error_Ok);
        if (i == 2) {
            assert_int_equal(
                heif_context_add_exif_metadata(context, handle, exif, sizeof(exif)).code,
                heif_error_Ok);
            heif_context_encode_thumbnail(context, image, handle, encoder, NULL, 32, &thumbnail);
            heif_image_handle_release(thumbnail);
        }
        heif_image_handle_release(handle);
        heif_image_release(image);
    }
    heif_encoder_release(encoder);
    ae_memory_output_init(&m);
    assert_int_equal(heif_context_write(context, &writer, &m).code, heif_error_Ok);
    heif_context_free(context);
    check_pictures((file_bytes){m.data, m.n_bytes}, (const uint8_t[]){100, 50, 150}, 3);
    assert_ok(decode_open((file_bytes){m.data, m.n_bytes}, NULL, &d, &util_err));
    for (uint32_t k = 1; k <= 3; k++) {
        assert_ok(ae_reader_picture(&d.reader, k, &util_err));
        assert_int_equal(d.reader.info.width, k == 1 ? 80 : k == 2 ? 64 : 96);
        assert_int_equal(!ae_meta_find(&d.reader.meta, AE_META_EXIF), k < 3);
    }
    decode_close(&d);
    memcpy((uint8_t *)memmem(m.data, m.n_bytes, "pitm", 4) + 8,
           (uint8_t *)memmem(m.data, m.n_bytes, "thmb", 4) + 4, 2);
    check_pictures((file_bytes){m.data, m.n_bytes}, (const uint8_t[]){50, 100, 150}, 3);
    ae_free(m.data);
}

static void test_heic_pictures(void **state)
{
    (void)state;
    check_heif_pictures(heif_compression_HEVC);
}

#ifdef AEI_HAVE_AVIF
static void test_avif_pictures(void **state)
{
    (void)state;
    check_heif_pictures(heif_compression_AV1);
}
#endif
#endif

/* Where the pixel at x, y of the picture as stored is seen, by the standard's words: which edges
 * its row 0 and column 0 are. */
static void seen_at(unsigned orientation, uint32_t x, uint32_t y, uint32_t *sx, uint32_t *sy)
{
    static const char edges[9][3] = {"tl", "tl", "tr", "br", "bl", "lt", "rt", "rb", "lb"};
    const char *e = edges[orientation];

    *sx = *sy = 0;
    for (int i = 0; i < 2; i++) {
        uint32_t v = i ? x : y, last = i ? W - 1 : H - 1;

        if (e[i] == 't')
            *sy = v;
        else if (e[i] == 'b')
            *sy = last - v;
        else if (e[i] == 'l')
            *sx = v;
        else
            *sx = last - v;
    }
}

static void test_upright(void **state)
{
    (void)state;
    for (unsigned orientation = 0; orientation <= 8; orientation++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            uint8_t exif[26] = {
                'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, (uint8_t)orientation};
            static const uint8_t big[19] = {'M', 'M',  0, 42, 0, 0, 0, 8, 0, 1,
                                            1,   0x12, 0, 3,  0, 0, 0, 1, 0};
            ae_signal_info info = make_info(W, H, AE_U16, 3);
            uint16_t *pixels = make_noise(&info, 2);
            ae_meta meta = {0};
            file_bytes file;
            decoded d;

            if (big_endian) {
                memcpy(exif, big, 19);
                exif[19] = (uint8_t)orientation;
            }
            assert_ok(ae_meta_add(&meta, AE_META_EXIF, NULL, exif, sizeof(exif), &util_err));
            assert_ok(encode("png", &info, pixels, &meta, NULL, H, &file, NULL, &util_err));
            assert_ok(decode_open(file, NULL, &d, &util_err));
            assert_int_equal(ae_meta_orientation(&d.reader.meta), orientation);
            assert_ok(ae_reader_turn_upright(&d.reader, &util_err));
            assert_int_equal(ae_meta_orientation(&d.reader.meta), orientation ? 1 : 0);
            assert_ok(decode_pixels(&d, 2, &util_err));
            assert_int_equal(d.reader.info.width, orientation >= 5 ? H : W);
            assert_int_equal(d.reader.info.height, orientation >= 5 ? W : H);
            for (uint32_t y = 0; y < H; y++)
                for (uint32_t x = 0; x < W; x++) {
                    uint32_t sx, sy;

                    seen_at(orientation, x, y, &sx, &sy);
                    assert_memory_equal((uint16_t *)d.pixels + 3 * (sy * d.reader.info.width + sx),
                                        pixels + 3 * (y * W + x), 6);
                }
            decode_close(&d);
            ae_free(file.data);
            ae_free(pixels);
            ae_meta_clear(&meta);
        }
}

/* Only the marker may be missing. */
static void test_jpeg_without_end(void **state)
{
    ae_signal_info info = make_info(40, 30, AE_U8, 3);
    uint8_t *pixels = make_noise(&info, 3);
    file_bytes file;
    decoded whole, cut;

    (void)state;
    assert_ok(encode("jpeg", &info, pixels, NULL, NULL, 4, &file, NULL, &util_err));
    assert_ok(decode(file, NULL, 30, &whole, &util_err));
    for (size_t less = 1; less <= 2; less++) {
        assert_ok(decode((file_bytes){file.data, file.n_bytes - less}, NULL, 7, &cut, &util_err));
        assert_memory_equal(whole.pixels, cut.pixels, 40 * 30 * 3);
        decode_close(&cut);
    }
    for (size_t less = 4; less < 200; less += 7)
        assert_int_equal(
            decode((file_bytes){file.data, file.n_bytes - less}, NULL, 7, &cut, &util_err),
            AE_ERR_MALFORMED);
    decode_close(&whole);
    ae_free(file.data);
    ae_free(pixels);
}

/* 16 bits a pixel of the grey kind, plain and run by run, from the bottom and from the top. */
static void test_grey_alpha_tga(void **state)
{
    static const uint8_t pixels[2 * 4] = {10, 255, 20, 128, 20, 128, 40, 0};

    (void)state;
    for (int runs = 0; runs < 2; runs++)
        for (int top = 0; top < 2; top++) {
            uint8_t file[18 + 16] = {
                0, 0,  runs ? 11 : 3,          0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1,
                0, 16, (uint8_t)(8 | top << 5)};
            static const uint8_t coded[] = {0, 10, 255, 0x81, 20, 128, 0, 40, 0};
            decoded d;

            memcpy(file + 18, runs ? coded : pixels, runs ? sizeof(coded) : sizeof(pixels));
            assert_ok(decode((file_bytes){file, 18 + (runs ? sizeof(coded) : sizeof(pixels))}, NULL,
                             1, &d, &util_err));
            assert_int_equal(d.reader.info.channels, 2);
            assert_true(d.reader.info.alpha);
            assert_memory_equal(d.pixels, pixels, sizeof(pixels));
            decode_close(&d);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiff_pages),       cmocka_unit_test(test_tiff_meta),
        cmocka_unit_test(test_tiff_circle),      cmocka_unit_test(test_apng),
        cmocka_unit_test(test_webp_animation),   cmocka_unit_test(test_upright),
        cmocka_unit_test(test_jpeg_without_end), cmocka_unit_test(test_grey_alpha_tga),
        cmocka_unit_test(test_iphone_png),
#ifdef AEI_HAVE_AVIF
        cmocka_unit_test(test_avif_sequence),
#endif
#ifdef AEI_HAVE_HEIF
        cmocka_unit_test(test_heic_pictures),    cmocka_unit_test(test_avif_pictures),
#endif
#ifdef AEI_HAVE_JXL
        cmocka_unit_test(test_jxl_animation),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
