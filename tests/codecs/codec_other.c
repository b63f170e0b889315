/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What only libavcodec reads, from files that its encoders make, and the small formats of our own:
 * WebP, GIF, IDX, text PNM. */
#include <libavcodec/avcodec.h>

#include "codec_util.h"

enum { W = 23, H = 14 };

/* Encodes W x H interleaved samples (planar float for GBRPF32). */
static file_bytes make_file(enum AVCodecID id, enum AVPixelFormat format, const void *pixels,
                            size_t pixel_bytes)
{
    const AVCodec *codec = avcodec_find_encoder(id);
    AVCodecContext *c = avcodec_alloc_context3(codec);
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    file_bytes file;

    assert_non_null(codec);
    c->width = frame->width = W;
    c->height = frame->height = H;
    c->pix_fmt = format;
    frame->format = format;
    c->time_base = (AVRational){1, 1};
    assert_int_equal(avcodec_open2(c, codec, NULL), 0);
    assert_int_equal(av_frame_get_buffer(frame, 0), 0);
    for (int y = 0; y < H; y++) {
        if (format == AV_PIX_FMT_GBRPF32) {
            for (int x = 0; x < W; x++)
                for (int p = 0; p < 3; p++)
                    ((float *)(void *)(frame->data[p] + y * frame->linesize[p]))[x] = ((
                        const float *)pixels)[(y * W + x) * 3 + (p + 1) % 3];
            continue;
        }
        memcpy(frame->data[0] + y * frame->linesize[0],
               (const uint8_t *)pixels + (size_t)y * W * pixel_bytes, W * pixel_bytes);
    }
    assert_int_equal(avcodec_send_frame(c, frame), 0);
    assert_int_equal(avcodec_send_frame(c, NULL), 0);
    assert_int_equal(avcodec_receive_packet(c, packet), 0);
    file = (file_bytes){ae_alloc((size_t)packet->size, 1), (size_t)packet->size};
    assert_non_null(file.data);
    memcpy(file.data, packet->data, file.n_bytes);
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&c);
    return file;
}

static void reject_cuts(file_bytes file, size_t spare)
{
    for (size_t n = 12; n + spare < file.n_bytes; n += 1 + n / 50) {
        decoded d;
        ae_status st = decode((file_bytes){file.data, n}, NULL, 3, &d, &util_err);

        if (st != AE_ERR_MALFORMED && st != AE_ERR_UNSUPPORTED) {
            print_error("%zu of %zu bytes are read\n", n, file.n_bytes);
            fail();
        }
    }
}

static void test_lossless(void **state)
{
    static const struct kind {
        enum AVCodecID id;
        enum AVPixelFormat format;
        const char *name;
        ae_sample sample;
        uint32_t channels;
    } kinds[] = {
        {AV_CODEC_ID_QOI, AV_PIX_FMT_RGB24, "qoi", AE_U8, 3},
        {AV_CODEC_ID_QOI, AV_PIX_FMT_RGBA, "qoi", AE_U8, 4},
        {AV_CODEC_ID_TARGA, AV_PIX_FMT_GRAY8, "tga", AE_U8, 1},
        {AV_CODEC_ID_EXR, AV_PIX_FMT_GBRPF32, "exr", AE_F32, 3},
        {AV_CODEC_ID_SGI, AV_PIX_FMT_RGB24, NULL, AE_U8, 3}, /* not among the formats here */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        ae_signal_info info = make_info(W, H, kinds[i].sample, kinds[i].channels);
        void *pixels = make_noise(&info, 2);
        file_bytes file = make_file(kinds[i].id, kinds[i].format, pixels, kinds[i].channels);
        decoded d;

        if (!kinds[i].name) {
            assert_int_equal(decode(file, NULL, 3, &d, NULL), AE_ERR_UNSUPPORTED);
        } else {
            assert_ok(decode(file, NULL, 3, &d, &util_err));
            assert_string_equal(d.reader.codec->name, kinds[i].name);
            check_info(&d.reader.info, &info);
            assert_memory_equal(d.pixels, pixels, H * ae_row_bytes(&info));
            decode_close(&d);
            assert_int_equal(decode(file, &(ae_limits){.max_pixels = 20}, 3, &d, &util_err),
                             AE_ERR_LIMIT);
            /* its footer need not be there */
            reject_cuts(file, kinds[i].id == AV_CODEC_ID_TARGA ? 26 : 0);
        }
        ae_free(file.data);
        ae_free(pixels);
    }
}

/* JPEG 2000 is lossy as libavcodec writes it. */
static void test_jpeg2000(void **state)
{
    ae_signal_info info = make_info(W, H, AE_U8, 3);
    uint8_t *pixels = make_smooth(&info);
    file_bytes file = make_file(AV_CODEC_ID_JPEG2000, AV_PIX_FMT_RGB24, pixels, 3);
    decoded d;

    (void)state;
    assert_ok(decode(file, NULL, 3, &d, &util_err));
    assert_string_equal(d.reader.codec->name, "jp2");
    check_info(&d.reader.info, &info);
    for (size_t i = 0; i < W * H * 3; i++)
        assert_in_range(((uint8_t *)d.pixels)[i], pixels[i] < 12 ? 0 : pixels[i] - 12,
                        pixels[i] + 12);
    decode_close(&d);
    reject_cuts(file, 0);
    ae_free(file.data);
    ae_free(pixels);
}

/* Two by one, four colours, the second transparent or not. */
static void test_gif(void **state)
{
    uint8_t gif[] = {'G',  'I', 'F', '8', '9', 'a', 2,    0,    1, 0,   0x81, 0, 0,
                     1,    2,   3,   200, 100, 50,  9,    9,    9, 0,   0,    0, 0x21,
                     0xf9, 4,   0,   0,   0,   1,   0,    0x2c, 0, 0,   0,    0, 2,
                     0,    1,   0,   0,   2,   2,   0x44, 0x0a, 0, 0x3b};
    uint8_t two[2 * sizeof(gif) - 26]; /* the picture again */
    static const uint8_t rgb[] = {1, 2, 3, 200, 100, 50}, rgba[] = {1, 2, 3, 255};
    decoded d;

    (void)state;
    assert_ok(decode((file_bytes){gif, sizeof(gif)}, NULL, 1, &d, &util_err));
    assert_int_equal(d.reader.info.channels, 3);
    assert_memory_equal(d.pixels, rgb, 6);
    decode_close(&d);
    reject_cuts((file_bytes){gif, sizeof(gif)}, 0);
    gif[28] = 1; /* colour 1 is transparent */
    assert_ok(decode((file_bytes){gif, sizeof(gif)}, NULL, 1, &d, &util_err));
    assert_int_equal(d.reader.info.channels, 4);
    assert_memory_equal(d.pixels, rgba, 4);
    assert_int_equal(((uint8_t *)d.pixels)[7], 0);
    assert_string_equal(d.reader.note, "");
    decode_close(&d);
    memcpy(two, gif, sizeof(gif) - 1);
    memcpy(two + sizeof(gif) - 1, gif + 25, sizeof(gif) - 25);
    assert_ok(decode((file_bytes){two, sizeof(two)}, NULL, 1, &d, &util_err));
    assert_int_equal(d.reader.n_further, 1);
    assert_ok(ae_reader_picture(&d.reader, 2, &util_err));
    ae_free(d.pixels);
    d.pixels = NULL;
    assert_ok(decode_pixels(&d, 1, &util_err));
    /* the second pixel is transparent in both, and shows nothing */
    assert_memory_equal(d.pixels, rgba, 4);
    assert_int_equal(((uint8_t *)d.pixels)[7], 0);
    decode_close(&d);
}

static void test_webp(void **state)
{
    (void)state;
    for (uint32_t channels = 3; channels <= 4; channels++) {
        ae_signal_info info = make_info(W, H, AE_U8, channels);
        uint8_t *pixels = make_noise(&info, 2), *smooth = make_smooth(&info);
        ae_write_options options = {.lossless = true};
        file_bytes file, again;
        decoded d, d2;
        double error = 0;

        assert_ok(encode("webp", &info, pixels, NULL, &options, 3, &file, NULL, &util_err));
        assert_ok(decode(file, NULL, 5, &d, &util_err));
        check_info(&d.reader.info, &info);
        assert_memory_equal(d.pixels, pixels, H * ae_row_bytes(&info));

        /* lossless like its source */
        options = (ae_write_options){.like = &d.reader};
        assert_ok(encode("webp", &info, pixels, NULL, &options, 3, &again, NULL, &util_err));
        assert_int_equal(again.n_bytes, file.n_bytes);
        assert_memory_equal(again.data, file.data, file.n_bytes);
        decode_close(&d);
        ae_free(again.data);
        ae_free(file.data);

        /* lossy */
        assert_ok(encode("webp", &info, smooth, NULL, NULL, 3, &file, NULL, &util_err));
        assert_ok(decode(file, NULL, 5, &d, &util_err));
        for (size_t i = 0; i < W * H * channels; i++) {
            double e = (double)((uint8_t *)d.pixels)[i] - smooth[i];

            error += e * e;
        }
        assert_true(error > 0 && error / (W * H * channels) < 20);
        options = (ae_write_options){.quality = 5};
        assert_ok(encode("webp", &info, smooth, NULL, &options, 3, &again, NULL, &util_err));
        assert_true(again.n_bytes < file.n_bytes);
        assert_ok(decode(again, NULL, 5, &d2, &util_err));
        decode_close(&d2);
        decode_close(&d);
        ae_free(again.data);
        ae_free(file.data);
        ae_free(smooth);
        ae_free(pixels);
    }
}

static void test_idx(void **state)
{
    uint8_t idx[16 + 3 * 2 * 4] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 4};
    decoded d;

    (void)state;
    for (unsigned i = 16; i < sizeof(idx); i++)
        idx[i] = (uint8_t)i;
    assert_ok(decode((file_bytes){idx, sizeof(idx)}, NULL, 2, &d, &util_err));
    assert_int_equal(d.reader.info.kind, AE_KIND_TENSOR);
    assert_int_equal(d.reader.info.height, 3);
    assert_int_equal(d.reader.info.width, 8);
    assert_int_equal(d.reader.info.channels, 1);
    assert_memory_equal(d.pixels, idx + 16, 24);
    decode_close(&d);
    assert_int_equal(decode((file_bytes){idx, sizeof(idx) - 1}, NULL, 2, &d, NULL),
                     AE_ERR_MALFORMED);
    idx[2] = 10;
    assert_int_equal(decode((file_bytes){idx, sizeof(idx)}, NULL, 2, &d, NULL), AE_ERR_UNSUPPORTED);
}

/* The forms of Netpbm that are only read. */
static void test_text_pnm(void **state)
{
    static const struct text {
        const char *file;
        uint32_t width, channels, bits;
        ae_sample sample;
        uint16_t first, last;
    } files[] = {
        {"P1 # comment\n3 1\n1 0\n#more\n1", 3, 1, 8, AE_U8, 0, 0},
        {"P1 3 1 010", 3, 1, 8, AE_U8, 255, 255},
        {"P4 3 1\n\x40", 3, 1, 8, AE_U8, 255, 255},
        {"P2\n# c\n2 1 3\n1 3", 2, 1, 8, AE_U8, 85, 255},
        {"P2 2 1 1023 0 512", 2, 1, 10, AE_U16, 0, 32800},
        {"P3 1 1 255 1 2 3", 1, 3, 8, AE_U8, 1, 3},
        {"P5 2 1 100\n\x32\x64", 2, 1, 8, AE_U8, 128, 255},
        {"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\nAB", 1, 2,
         8, AE_U8, 'A', 'B'},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        file_bytes file = {(uint8_t *)files[i].file, strlen(files[i].file)};
        size_t last = files[i].width * files[i].channels - 1;
        decoded d;

        assert_ok(decode(file, NULL, 1, &d, &util_err));
        assert_int_equal(d.reader.info.width, files[i].width);
        assert_int_equal(d.reader.info.channels, files[i].channels);
        assert_int_equal(d.reader.info.sample, files[i].sample);
        assert_int_equal(d.reader.info.bits, files[i].bits);
        assert_int_equal(files[i].sample == AE_U16 ? ((uint16_t *)d.pixels)[0]
                                                   : ((uint8_t *)d.pixels)[0],
                         files[i].first);
        assert_int_equal(files[i].sample == AE_U16 ? ((uint16_t *)d.pixels)[last]
                                                   : ((uint8_t *)d.pixels)[last],
                         files[i].last);
        decode_close(&d);
    }
}

/* Big-endian samples, lower row first. */
static void test_big_endian_pfm(void **state)
{
    static const uint8_t file[] = {'P',  'f',  '\n', '1', ' ', '2',  '\n', '1', '.', '0',
                                   '\n', 0x3f, 0x80, 0,   0,   0xc0, 0,    0,   0};
    decoded d;

    (void)state;
    assert_ok(decode((file_bytes){(uint8_t *)file, sizeof(file)}, NULL, 1, &d, &util_err));
    assert_true(((float *)d.pixels)[0] == -2.0f && ((float *)d.pixels)[1] == 1.0f);
    decode_close(&d);
    assert_int_equal(decode((file_bytes){(uint8_t *)file, sizeof(file) - 3}, NULL, 1, &d, NULL),
                     AE_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lossless),
        cmocka_unit_test(test_jpeg2000),
        cmocka_unit_test(test_gif),
        cmocka_unit_test(test_webp),
        cmocka_unit_test(test_idx),
        cmocka_unit_test(test_text_pnm),
        cmocka_unit_test(test_big_endian_pfm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
