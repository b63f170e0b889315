/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Metadata: what each format can hold comes back as it was, and what it cannot is said. */
#include "codec_util.h"

typedef struct format {
    const char *name;
    unsigned kept; /* bit of each ae_meta_kind */
    const char *note;
} format;

enum {
    ICC = 1 << AE_META_ICC,
    EXIF = 1 << AE_META_EXIF,
    XMP = 1 << AE_META_XMP,
    IPTC = 1 << AE_META_IPTC,
    TEXT = 1 << AE_META_TEXT,
    DENSITY = 1 << AE_META_DENSITY
};

static const format formats[] = {
    {"png", ICC | EXIF | XMP | IPTC | TEXT | DENSITY, ""},
    {"jpeg", ICC | EXIF | XMP | IPTC | TEXT | DENSITY, ""},
    {"tiff", ICC | XMP | IPTC | DENSITY, ""}, /* EXIF and comment: see below */
    {"webp", ICC | EXIF | XMP, "IPTC dropped, resolution dropped, text dropped"},
    {"bmp", DENSITY, "metadata dropped"},
    {"ppm", 0, "metadata dropped"},
};

static void test_survival(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        ae_signal_info info = make_info(19, 11, AE_U8, 3);
        void *pixels = make_smooth(&info);
        ae_meta meta;
        file_bytes file;
        decoded d;
        char note[160];

        fill_meta(&meta, 3);
        assert_ok(encode(formats[i].name, &info, pixels, &meta, NULL, 3, &file, note, &util_err));
        assert_string_equal(note, formats[i].note);
        assert_ok(decode_open(file, NULL, &d, &util_err)); /* complete before the first row */
        for (ae_meta_kind kind = AE_META_ICC; kind <= AE_META_DENSITY; kind++)
            if (formats[i].kept >> kind & 1)
                check_meta(&d.reader.meta, &meta, kind);
        assert_string_equal(d.reader.note, "");
        decode_close(&d);
        ae_free(file.data);
        ae_free(pixels);
        ae_meta_clear(&meta);
    }
}

/* A grey picture with a colour profile, and the reverse. */
static void test_unfitting_profile(void **state)
{
    static const char *const names[] = {"png", "jpeg", "tiff"};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (uint32_t channels = 1; channels <= 3; channels += 2) {
            ae_signal_info info = make_info(8, 8, AE_U8, channels);
            void *pixels = make_smooth(&info);
            ae_meta meta;
            file_bytes file;
            decoded d;
            char note[160];

            fill_meta(&meta, 4 - channels);
            assert_ok(encode(names[i], &info, pixels, &meta, NULL, 8, &file, note, &util_err));
            assert_non_null(strstr(note, "colour profile dropped"));
            assert_ok(decode_open(file, NULL, &d, &util_err));
            assert_null(ae_meta_find(&d.reader.meta, AE_META_ICC));
            decode_close(&d);
            ae_free(file.data);
            ae_meta_clear(&meta);

            fill_meta(&meta, channels);
            assert_ok(encode(names[i], &info, pixels, &meta, NULL, 8, &file, note, &util_err));
            assert_ok(decode_open(file, NULL, &d, &util_err));
            check_meta(&d.reader.meta, &meta, AE_META_ICC);
            decode_close(&d);
            ae_free(file.data);
            ae_meta_clear(&meta);
            ae_free(pixels);
        }
}

/* An EXIF block of both byte orders: orientation, maker, exposure 1/8000 s in the EXIF directory,
 * latitude in the GPS one. */
static size_t make_exif(uint8_t e[256], bool big_endian)
{
    size_t n = 0;

#define PUT(bytes, v)                                                                              \
    do {                                                                                           \
        for (unsigned k_ = 0; k_ < (bytes); k_++)                                                  \
            e[n + k_] = (uint8_t)((uint32_t)(v) >> 8 * (big_endian ? (bytes)-1 - k_ : k_));        \
        n += (bytes);                                                                              \
    } while (0)
#define ENTRY(tag, type, count, value)                                                             \
    do {                                                                                           \
        PUT(2, tag);                                                                               \
        PUT(2, type);                                                                              \
        PUT(4, count);                                                                             \
        if ((type) == 3) {                                                                         \
            PUT(2, value);                                                                         \
            PUT(2, 0);                                                                             \
        } else {                                                                                   \
            PUT(4, value);                                                                         \
        }                                                                                          \
    } while (0)
    memset(e, 0, 256);
    memcpy(e, big_endian ? "MM" : "II", 2);
    n = 2;
    PUT(2, 42);
    PUT(4, 8);
    PUT(2, 4); /* at 8 */
    ENTRY(0x010f, 2, 6, 62);
    ENTRY(0x0112, 3, 1, 6);
    ENTRY(0x8769, 4, 1, 68);
    ENTRY(0x8825, 4, 1, 106);
    PUT(4, 0);
    memcpy(e + 62, "Maker", 6);
    n = 68;
    PUT(2, 2);
    ENTRY(0x829a, 5, 1, 98);
    ENTRY(0xa001, 3, 1, 1);
    PUT(4, 0);
    n = 98;
    PUT(4, 1);
    PUT(4, 8000);
    PUT(2, 1); /* at 106 */
    ENTRY(0x0002, 5, 3, 124);
    PUT(4, 0);
    n = 124;
    for (uint32_t i = 0; i < 3; i++) {
        PUT(4, 48 + i);
        PUT(4, 1 + 99 * (i == 2));
    }
#undef ENTRY
#undef PUT
    return n;
}

/* Through TIFF, where EXIF lies among the file's own entries. */
static void test_exif_in_tiff(void **state)
{
    (void)state;
    for (int big_endian = 0; big_endian < 2; big_endian++) {
        ae_signal_info info = make_info(31, 5, AE_U16, 3);
        uint16_t *pixels = make_noise(&info, 1);
        uint8_t exif[256];
        ae_meta meta = {0};
        ae_write_options options = {0};
        size_t n = make_exif(exif, big_endian);
        file_bytes file, again;
        decoded d, d2;

        assert_int_equal(n, 148);
        assert_ok(ae_meta_add(&meta, AE_META_EXIF, NULL, exif, n, &util_err));
        assert_ok(encode("tiff", &info, pixels, &meta, NULL, 2, &file, NULL, &util_err));
        assert_memory_equal(file.data, exif, 2);
        assert_ok(decode(file, NULL, 5, &d, &util_err));
        /* to the byte, the layout above being the one that is written */
        check_meta(&d.reader.meta, &meta, AE_META_EXIF);
        assert_memory_equal(d.pixels, pixels, 31 * 5 * 6);
        options.like = &d.reader;
        assert_ok(
            encode("tiff", &info, pixels, &d.reader.meta, &options, 5, &again, NULL, &util_err));
        assert_int_equal(again.n_bytes, file.n_bytes);
        assert_memory_equal(again.data, file.data, file.n_bytes);
        ae_free(again.data);

        /* On to JPEG and back. */
        assert_ok(
            encode("jpeg", &info, pixels, &d.reader.meta, &options, 5, &again, NULL, &util_err));
        assert_ok(decode_open(again, NULL, &d2, &util_err));
        check_meta(&d2.reader.meta, &meta, AE_META_EXIF);
        decode_close(&d2);
        ae_free(again.data);
        decode_close(&d);
        ae_free(file.data);
        ae_meta_clear(&meta);
        ae_free(pixels);
    }
}

/* Pointers that lead nowhere, in circles, or to huge values are left out; the rest stays. */
static void test_damaged_exif(void **state)
{
    ae_signal_info info = make_info(4, 4, AE_U8, 1);
    uint8_t pixels[16] = {0}, exif[256];
    size_t n = make_exif(exif, false);

    (void)state;
    for (size_t i = 8; i < n; i++)
        for (unsigned k = 0; k < 3; k++) {
            static const uint8_t values[] = {0, 0x7f, 0xff};
            uint8_t damaged[256];
            ae_meta meta = {0};
            file_bytes file;
            decoded d;

            memcpy(damaged, exif, n);
            damaged[i] = values[k];
            assert_ok(ae_meta_add(&meta, AE_META_EXIF, NULL, damaged, n, &util_err));
            assert_ok(encode("tiff", &info, pixels, &meta, NULL, 4, &file, NULL, &util_err));
            assert_ok(decode(file, NULL, 4, &d, &util_err));
            decode_close(&d);
            ae_free(file.data);
            ae_meta_clear(&meta);
        }
}

/* Profiles and packets longer than one JPEG segment. */
static void test_long_items(void **state)
{
    ae_signal_info info = make_info(8, 8, AE_U8, 3);
    void *pixels = make_smooth(&info);
    ae_meta meta, more = {0};
    uint8_t *blob = ae_alloc(200000, 1);
    const ae_meta_item *icc;
    file_bytes file;
    decoded d;
    char note[160];

    (void)state;
    fill_meta(&meta, 3);
    icc = ae_meta_find(&meta, AE_META_ICC);
    memcpy(blob, icc->value, icc->n_bytes);
    for (size_t i = icc->n_bytes; i < 200000; i++)
        blob[i] = (uint8_t)(i * 7 >> 3);
    memcpy(blob, "\0\x03\x0d\x40", 4); /* its length */
    assert_ok(ae_meta_add(&more, AE_META_ICC, NULL, blob, 200000, &util_err));
    memset(blob, 'x', 200000);
    assert_ok(ae_meta_add(&more, AE_META_XMP, NULL, blob, 200000, &util_err));
    memcpy(blob, "II*\0\x08\0\0\0", 8);
    assert_ok(ae_meta_add(&more, AE_META_EXIF, NULL, blob, 200000, &util_err));
    assert_ok(ae_meta_add(&more, AE_META_IPTC, NULL, blob, 200000, &util_err));
    assert_ok(encode("jpeg", &info, pixels, &more, NULL, 8, &file, note, &util_err));
    assert_string_equal(note,
                        "EXIF dropped (too long), XMP dropped (too long), IPTC dropped (too long)");
    assert_ok(decode_open(file, NULL, &d, &util_err));
    check_meta(&d.reader.meta, &more, AE_META_ICC);
    assert_int_equal(d.reader.meta.n_items, 1);
    decode_close(&d);
    assert_int_equal(decode_open(file, &(ae_limits){.max_meta = 199999}, &d, &util_err),
                     AE_ERR_LIMIT);
    ae_free(file.data);
    ae_meta_clear(&meta);
    ae_meta_clear(&more);
    ae_free(blob);
    ae_free(pixels);
}

/* Several texts, and keys that PNG does not allow. */
static void test_png_texts(void **state)
{
    ae_signal_info info = make_info(8, 8, AE_U8, 3);
    void *pixels = make_smooth(&info);
    ae_meta meta = {0};
    char text[3000], note[160];
    file_bytes file;
    decoded d;

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_ok(ae_meta_add(&meta, AE_META_TEXT, "Title", "one", 3, &util_err));
    assert_ok(ae_meta_add(&meta, AE_META_TEXT, "Long", text, sizeof(text), &util_err));
    assert_ok(ae_meta_add(&meta, AE_META_TEXT,
                          "Gr\xc3\xb6\xc3\x9f"
                          "e",
                          "\xe2\x82\xac 5", 5, &util_err));
    assert_ok(ae_meta_add(&meta, AE_META_TEXT, "\xe2\x82\xac", "euro", 4, &util_err));
    assert_ok(encode("png", &info, pixels, &meta, NULL, 8, &file, note, &util_err));
    assert_string_equal(note, "a text that PNG cannot hold dropped");
    assert_ok(decode_open(file, NULL, &d, &util_err));
    assert_int_equal(d.reader.meta.n_items, 3);
    assert_int_equal(find_text(&d.reader.meta, "Long")->n_bytes, sizeof(text));
    assert_string_equal(find_text(&d.reader.meta, "Gr\xc3\xb6\xc3\x9f"
                                                  "e")
                            ->value,
                        "\xe2\x82\xac 5");
    decode_close(&d);
    ae_free(file.data);
    ae_meta_clear(&meta);
    ae_free(pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_survival),     cmocka_unit_test(test_unfitting_profile),
        cmocka_unit_test(test_exif_in_tiff), cmocka_unit_test(test_damaged_exif),
        cmocka_unit_test(test_long_items),   cmocka_unit_test(test_png_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
