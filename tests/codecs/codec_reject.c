/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Damaged, truncated, mislabelled, enormous and foreign files: an error that says so, and never a
 * wrong access. */
#include <stdlib.h>
#include <unistd.h>

#include "codec_util.h"

static const char *const writable[] = {"png", "jpeg", "tiff", "webp", "pnm", "pam", "pfm", "bmp"};
enum { N_WRITABLE = sizeof(writable) / sizeof(writable[0]) };

static file_bytes make_file(const char *name, bool with_meta)
{
    ae_signal_info info = make_info(17, 9, AE_U8, 3);
    void *pixels = make_smooth(&info);
    ae_meta meta;
    file_bytes file;

    fill_meta(&meta, 3);
    assert_ok(encode(name, &info, pixels, with_meta ? &meta : NULL,
                     &(ae_write_options){.lossless = true}, 4, &file, NULL, &util_err));
    ae_meta_clear(&meta);
    ae_free(pixels);
    return file;
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_WRITABLE; i++) {
        file_bytes file = make_file(writable[i], true);
        bool jpeg = strcmp(writable[i], "jpeg") == 0; /* whose end marker may be missing */

        for (size_t n = 1; n < file.n_bytes - 2 * jpeg; n++) {
            uint8_t *exact = malloc(n); /* so that a sanitizer sees the first byte behind it */
            decoded d;
            ae_error err = {0};
            ae_status st;

            assert_non_null(exact);
            memcpy(exact, file.data, n);
            st = decode((file_bytes){exact, n}, NULL, 3, &d, &err);
            free(exact);
            /* the picture was whole */
            if (st == AE_OK && strstr(d.reader.note, "damaged metadata dropped")) {
                decode_close(&d);
                continue;
            }
            if (st == AE_OK) {
                print_error("%s is read when cut to %zu of %zu bytes\n", writable[i], n,
                            file.n_bytes);
                fail();
            }
            assert_int_equal(st, err.status);
            assert_true(st == AE_ERR_MALFORMED || st == AE_ERR_UNSUPPORTED);
        }
        ae_free(file.data);
    }
}

/* Any byte changed: an error or a picture. The limits keep it small. */
static void test_damaged(void **state)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    const ae_limits limits = {
        .max_pixels = 1 << 16, .max_edge = 4096, .max_memory = 1 << 22, .max_meta = 1 << 16};

    (void)state;
    for (size_t i = 0; i < N_WRITABLE; i++)
        for (int with_meta = 0; with_meta < 2; with_meta++) {
            file_bytes file = make_file(writable[i], with_meta);

            for (size_t k = 0; k < 3 * file.n_bytes; k++) {
                decoded d;
                ae_error err = {0};
                ae_status st;

                file.data[k / 3] ^= flips[k % 3];
                st = decode(file, &limits, 4, &d, &err);
                assert_int_equal(st, err.status);
                assert_true(st == AE_OK || err.message[0]);
                assert_int_not_equal(st, AE_ERR_INTERNAL);
                if (st == AE_OK)
                    decode_close(&d);
                file.data[k / 3] ^= flips[k % 3];
            }
            ae_free(file.data);
        }
}

static void test_limits(void **state)
{
    static const struct limit_case {
        ae_limits limits;
        const char *named;
    } cases[] = {
        {{.max_pixels = 17 * 9 - 1}, "max_pixels"},
        {{.max_edge = 16}, "max_edge"},
    };

    (void)state;
    for (size_t i = 0; i < N_WRITABLE; i++)
        for (size_t k = 0; k < 2; k++) {
            file_bytes file = make_file(writable[i], false);
            decoded d;
            ae_error err;

            assert_int_equal(decode(file, &cases[k].limits, 4, &d, &err), AE_ERR_LIMIT);
            assert_non_null(strstr(err.message, cases[k].named));
            ae_free(file.data);
        }
}

/* A header alone that promises more than anybody has: refused before memory is asked for. */
static void test_enormous(void **state)
{
    static const char *const pnm[] = {
        "P6\n4294967295 4294967295\n255\n", "P5 1048575 1048575 65535\n",
        "Pf 1000000 1000000 -1.0\n",
        "P7\nWIDTH 99999999999\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nENDHDR\n"};
    uint8_t idx[] = {0,    0,    8,    3,    0xff, 0xff, 0xff, 0xff,
                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    file_bytes png = make_file("png", false), bmp = make_file("bmp", false);
    decoded d;
    ae_status st;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        st = decode((file_bytes){(uint8_t *)pnm[i], strlen(pnm[i])}, NULL, 1, &d, NULL);
        assert_true(st == AE_ERR_LIMIT || st == AE_ERR_MALFORMED);
    }
    assert_int_equal(decode((file_bytes){idx, sizeof(idx)}, NULL, 1, &d, NULL), AE_ERR_LIMIT);
    memset(png.data + 16, 0x7f, 8); /* width and height; the limits are asked before the checksum */
    assert_int_equal(decode(png, NULL, 1, &d, NULL), AE_ERR_LIMIT);
    memcpy(bmp.data + 18, "\xff\xff\x0f\x00\xff\xff\x0f\x00", 8);
    st = decode(bmp, NULL, 1, &d, NULL);
    assert_true(st == AE_ERR_LIMIT || st == AE_ERR_MALFORMED);
    ae_free(png.data);
    ae_free(bmp.data);
}

static void test_zero_size(void **state)
{
    static const char *const files[] = {"P5\n0 3\n255\n", "P6 3 0 255\n", "Pf\n0 0\n-1.0\n"};
    file_bytes png = make_file("png", false);
    decoded d;
    ae_error err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            decode((file_bytes){(uint8_t *)files[i], strlen(files[i])}, NULL, 1, &d, &err),
            AE_ERR_MALFORMED);
        assert_non_null(strstr(err.message, "empty"));
    }
    memset(png.data + 16, 0, 4);
    assert_int_equal(decode(png, NULL, 1, &d, &err), AE_ERR_MALFORMED);
    assert_non_null(strstr(err.message, "empty"));
    ae_free(png.data);
}

static void test_bad_pnm(void **state)
{
    static const char *const files[] = {"P5\n3",
                                        "P5 3 3 0\n123456789",
                                        "P5 3 3 65536\n123456789123456789",
                                        "P5 -3 3 255\n",
                                        "P5 3x 3 255\n",
                                        "P2 2 2 255\n1 2 3",
                                        "P2 2 2 255\n1 2 3 x",
                                        "P1 2 2\n1 0 2 1",
                                        "PF 1 1 0\n123456789012",
                                        "PF 1 1 nan\n123456789012",
                                        "P7\nWIDTH 1\nENDHDR\n"};
    decoded d;

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (decode((file_bytes){(uint8_t *)files[i], strlen(files[i])}, NULL, 1, &d, NULL) !=
            AE_ERR_MALFORMED) {
            print_error("'%s' should be refused\n", files[i]);
            fail();
        }
}

/* Whether the library for that kind is there: then it is what finds nothing in the few bytes. */
static bool is_read(const char *named)
{
    const char *list = ""
#ifdef AEI_HAVE_AVIF
                       "AVIF "
#endif
#ifdef AEI_HAVE_HEIF
                       "HEIC "
#endif
#ifdef AEI_HAVE_JXL
                       "JPEG XL "
#endif
#ifdef AEI_HAVE_RAW
                       "CR3 CR2 RAF ORF RW2 DNG NEF ARW "
#endif
        ;

    return strstr(list, named);
}

/* Recognised by content, with the name of a converter where they cannot be read. */
static void test_foreign(void **state)
{
    static const struct foreign {
        const char *head;
        size_t n_bytes;
        const char *named, *converter;
    } files[] = {
        {"\0\0\0\x18"
         "ftypheic\0\0\0\0mif1heic",
         24, "HEIC", "heif-convert"},
        {"\0\0\0\x18"
         "ftypmif1\0\0\0\0mif1avif",
         24, "AVIF", "heif-convert"},
        {"\0\0\0\x18"
         "ftypcrx \0\0\0\x01"
         "crx isom",
         24, "CR3", "darktable-cli"},
        {"II*\0\x10\0\0\0CR\x02\0\0\0\0\0", 16, "CR2", "rawtherapee-cli"},
        {"FUJIFILMCCD-RAW 0201", 20, "RAF", "dcraw"},
        {"IIRO\x08\0\0\0\0\0\0\0", 12, "ORF", "darktable-cli"},
        {"IIU\0\x18\0\0\0\0\0\0\0", 12, "RW2", "darktable-cli"},
        {"\xff\x0a\xfa\x1f\x01\x90", 6, "JPEG XL", "djxl"},
        /* one entry: DNG version */
        {"II*\0\x08\0\0\0\x01\0\x12\xc6\x01\0\x04\0\0\0\x01\x04\0\0\0\0\0\0", 26, "DNG",
         "darktable-cli"},
        /* a preview, make NIKON at 50, further directories */
        {"II*"
         "\0\x08\0\0\0\x03\0\xfe\0\x04\0\x01\0\0\0\x01\0\0\0\x0f\x01\x02\0\x06\0\0\0\x32\0\0\0\x4a"
         "\x01\x04\0\x01\0\0\0\0\0\0\0\0\0"
         "\0\0"
         "NIKON",
         56, "NEF", "darktable-cli"},
        {"MM\0*"
         "\0\0\0\x08\0\x03\0\xfe\0\x04\0\0\0\x01\0\0\0\x01\x01\x0f\0\x02\0\0\0\x05\0\0\0\x32\x01"
         "\x4a\0\x04\0\0\0\x01\0\0\0\0\0\0\0"
         "\0"
         "SONY\0",
         56, "ARW", "darktable-cli"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        decoded d;
        ae_error err = {0};

        assert_int_not_equal(
            decode((file_bytes){(uint8_t *)files[i].head, files[i].n_bytes}, NULL, 1, &d, &err),
            AE_OK);
        assert_true(err.status == AE_ERR_UNSUPPORTED || err.status == AE_ERR_MALFORMED);
        if (!strstr(err.message, files[i].named) ||
            (!is_read(files[i].named) && !strstr(err.message, files[i].converter))) {
            print_error("%s: %s\n", files[i].named, err.message);
            fail();
        }
    }
}

static ae_status open_named(const char *suffix, file_bytes file, char name[16], ae_error *err)
{
    char path[64] = "/tmp/aerejectXXXXXX", named[80];
    int fd = mkstemp(path);
    ae_source *source;
    ae_reader reader;
    ae_status st;

    assert_true(fd >= 0 && write(fd, file.data, file.n_bytes) == (ssize_t)file.n_bytes);
    close(fd);
    snprintf(named, sizeof(named), "%s.%s", path, suffix);
    assert_int_equal(rename(path, named), 0);
    assert_ok(ae_source_open(named, &source, &util_err));
    st = ae_reader_open(source, NULL, &reader, err);
    snprintf(name, 16, "%s", st == AE_OK ? reader.codec->name : "");
    ae_reader_close(&reader);
    ae_source_free(source);
    unlink(named);
    return st;
}

/* Content wins; the suffix speaks where the content does not, and where a raw file begins with a
 * TIFF picture. */
static void test_mislabelled(void **state)
{
    file_bytes png = make_file("png", false), tiff = make_file("tiff", false);
    char name[16];
    ae_error err;

    (void)state;
    assert_ok(open_named("jpg", png, name, &util_err));
    assert_string_equal(name, "png");
    assert_ok(open_named("xyz", tiff, name, &util_err));
    assert_string_equal(name, "tiff");
    assert_int_equal(open_named("NEF", tiff, name, &err), AE_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "camera raw"));
    assert_int_equal(open_named("png", (file_bytes){(uint8_t *)"hello, world", 12}, name, &err),
                     AE_ERR_MALFORMED);
    assert_string_equal(err.message, "not a PNG file");
    assert_int_equal(open_named("jpg", (file_bytes){(uint8_t *)"hello, world", 12}, name, &err),
                     AE_ERR_MALFORMED);
    assert_int_equal(open_named("txt", (file_bytes){(uint8_t *)"hello, world", 12}, name, &err),
                     AE_ERR_UNSUPPORTED);
    assert_int_not_equal(
        open_named("heic", (file_bytes){(uint8_t *)"hello, world", 12}, name, &err), AE_OK);
    ae_free(png.data);
    ae_free(tiff.data);
}

/* An animated WebP without a frame: an extended header with the animation bit and a canvas of 1 x
 * 1. */
static void test_animation(void **state)
{
    static const char file[] =
        "RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0ANIM\x06\0\0\0\0\0\0\0\0\0";
    decoded d;
    ae_error err;

    (void)state;
    assert_int_equal(decode((file_bytes){(uint8_t *)file, 44}, NULL, 1, &d, &err),
                     AE_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_enormous),
        cmocka_unit_test(test_zero_size), cmocka_unit_test(test_bad_pnm),
        cmocka_unit_test(test_foreign),   cmocka_unit_test(test_mislabelled),
        cmocka_unit_test(test_animation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
