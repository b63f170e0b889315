/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What samples mean goes along or is named, and whatever metadata are like, they never cost the
 * picture. */
#include <zlib.h>

#include "codec_util.h"

enum { W = 9, H = 7 };

static const char *const writers[] = {"png", "jpeg", "tiff", "webp", "bmp", "ppm", "pam", "pfm"};
enum { N_WRITERS = sizeof(writers) / sizeof(*writers) };

static void add(ae_meta *meta, ae_meta_kind kind, const char *key, const void *value, size_t n)
{
    assert_ok(ae_meta_add(meta, kind, key, value, n, &util_err));
}

/* Writes the picture in every format and reads it again; without loss the samples are to be the
 * same. */
static void check_writers(const ae_meta *meta, bool dropped)
{
    ae_signal_info info = make_info(W, H, AE_U8, 3);
    uint8_t *pixels = make_noise(&info, 5);

    for (size_t i = 0; i < N_WRITERS; i++) {
        ae_write_options options = {.lossless = true};
        file_bytes file;
        decoded d;
        char note[160];

        assert_ok(encode(writers[i], &info, pixels, meta, &options, 2, &file, note, &util_err));
        assert_ok(decode(file, NULL, H, &d, &util_err));
        assert_int_equal(d.reader.info.width, W);
        if (strcmp(writers[i], "jpeg") != 0 && d.reader.info.sample == AE_U8)
            assert_memory_equal(d.pixels, pixels, W * H * 3);
        if (dropped && i < 4)
            assert_non_null(strstr(note, "dropped"));
        if (dropped)
            assert_null(ae_meta_find(&d.reader.meta, AE_META_ICC));
        decode_close(&d);
        ae_free(file.data);
    }
    ae_free(pixels);
}

typedef struct odd {
    size_t cut;       /* bytes left, 0: all */
    size_t pad;       /* bytes more */
    size_t at;        /* where `text` is put */
    const char *text; /* 4 bytes */
    bool dropped;
} odd;

static void test_odd_profiles(void **state)
{
    static const odd odds[] = {
        {0, 0, 0, NULL, false},
        {0, 1, 0, NULL, false}, /* longer than it says */
        {0, 100000, 0, NULL, false},
        {0, 0, 4, "HP  ", false},               /* by whom */
        {0, 0, 8, "\x09\x99\0\0", false},       /* of no version */
        {0, 0, 12, "what", false},              /* of no class */
        {0, 0, 20, "Odd ", false},              /* of no space between */
        {0, 0, 64, "\0\0\0\x7f", false},        /* of no intent */
        {0, 0, 68, "\0\0\0\0", false},          /* of another white */
        {0, 0, 128, "\xff\xff\xff\xff", false}, /* of more tags than bytes */
        {0, 0, 136, "\xff\xff\xff\xff", false}, /* whose tag lies elsewhere */
        {0, 0, 0, "\0\0\xff\xff", true},        /* shorter than it says */
        {0, 0, 0, "\0\0\0\x10", true},
        {200, 0, 0, NULL, true},
        {127, 0, 0, NULL, true},
        {1, 0, 0, NULL, true},
        {0, 0, 16, "CMYK", true},
        {0, 0, 16, "GRAY", true},
        {0, 0, 16, "Lab ", true},
        {0, 0, 36, "none", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(odds) / sizeof(*odds); i++) {
        const odd *o = &odds[i];
        ae_meta good, meta = {0};
        const ae_meta_item *icc;
        size_t n;
        uint8_t *p;

        fill_meta(&good, 3);
        icc = ae_meta_find(&good, AE_META_ICC);
        n = o->cut ? o->cut : icc->n_bytes + o->pad;
        p = ae_alloc(n, 1);
        memcpy(p, icc->value, n < icc->n_bytes ? n : icc->n_bytes);
        if (o->text)
            memcpy(p + o->at, o->text, 4);
        add(&meta, AE_META_ICC, NULL, p, n);
        check_writers(&meta, o->dropped);
        ae_free(p);
        ae_meta_clear(&meta);
        ae_meta_clear(&good);
    }
}

/* What PNG is given comes back to the byte, whatever libpng thinks of it: here of a profile that
 * says it is sRGB and is not. */
static void test_profile_as_it_is(void **state)
{
    ae_signal_info info = make_info(W, H, AE_U8, 3);
    uint8_t *pixels = make_noise(&info, 5);
    ae_meta good, meta = {0};
    const ae_meta_item *icc;
    file_bytes file;
    decoded d;
    char note[160];

    (void)state;
    fill_meta(&good, 3);
    icc = ae_meta_find(&good, AE_META_ICC);
    memcpy(icc->value + 64, "\0\0\0\x7f", 4);
    memcpy(icc->value + 68, "\0\0\0\0", 4);
    add(&meta, AE_META_ICC, NULL, icc->value, icc->n_bytes);
    assert_ok(encode("png", &info, pixels, &meta, NULL, H, &file, note, &util_err));
    assert_string_equal(note, "");
    assert_ok(decode(file, NULL, H, &d, &util_err));
    check_meta(&d.reader.meta, &meta, AE_META_ICC);
    assert_string_equal(d.reader.note, "");
    decode_close(&d);
    ae_free(file.data);
    ae_free(pixels);
    ae_meta_clear(&meta);
    ae_meta_clear(&good);
}

static void test_odd_texts(void **state)
{
    static const char *const keys[] = {
        "",
        " ",
        "a  b",
        " a",
        "a ",
        "\n",
        "\x01",
        "K\xc3\xb6",
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901",
        "Comment",
        "Raw profile type exif",
        "XML:com.adobe.xmp"};
    static const struct {
        const char *text;
        size_t n;
    } values[] = {{"", 0},         {"\0\0", 2},     {"a\0b", 3},
                  {"\xff\xfe", 2}, {"\n\t\x01", 3}, {"plain", 5}};
    ae_meta meta = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        for (size_t k = 0; k < sizeof(values) / sizeof(*values); k++)
            add(&meta, AE_META_TEXT, keys[i], values[k].text, values[k].n);
    check_writers(&meta, false);
    ae_meta_clear(&meta);
}

static void test_odd_blobs(void **state)
{
    static const ae_meta_kind blobs[] = {AE_META_EXIF, AE_META_XMP, AE_META_IPTC, AE_META_DENSITY,
                                         AE_META_COLOUR};
    uint32_t seed = 11;
    char noise[300];

    (void)state;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)next_random(&seed);
    for (size_t n = 0; n < sizeof(noise); n += n < 20 ? 1 : 50)
        for (size_t k = 0; k < sizeof(blobs) / sizeof(*blobs); k++) {
            ae_meta meta = {0};

            add(&meta, blobs[k], NULL, noise, n);
            if (blobs[k] == AE_META_EXIF && n >= 8) /* begins as it should */
                memcpy(meta.items[0].value, "MM\0*\0\0\0\x08", 8);
            check_writers(&meta, false);
            ae_meta_clear(&meta);
        }
}

/* Descriptions other than profiles, which become one where that can be. */
#ifdef AEI_HAVE_LCMS
#define MADE "cICP became a profile,"
#define MADE_TOO MADE
#else
#define MADE "cICP dropped, gAMA dropped,"
#define MADE_TOO MADE " cHRM dropped,"
#endif
static void test_descriptions(void **state)
{
    static const struct {
        const char *value;
        size_t n;
    } items[] = {
        {"cICP\x09\x10\0\x01", 8},
        {"gAMA\0\x01\x86\xa0", 8},
        {"cHRM\0\0\x7a\x26\0\0\x80\x84\0\x01\x14\x90\0\0\x72\x10\0\0\x42\x68\0\x01\x37\x78\0\0\x33"
         "\x2c\0\0\x11\xf8",
         36},
        {"sBIT\x05\x06\x05", 7},
        {"mDCV"
         "0123456789abcdefghijklmn",
         28},
        {"cLLI"
         "01234567",
         12},
    };
    static const struct {
        const char *format, *note;
    } formats[] = {
        {"png", ""},
        {"tiff", MADE " sBIT dropped, mDCV dropped, cLLI dropped"},
        {"jpeg", MADE_TOO " sBIT dropped, mDCV dropped, cLLI dropped"},
        {"webp", MADE_TOO " sBIT dropped, mDCV dropped, cLLI dropped"},
        {"ppm",
         "cICP dropped, gAMA dropped, cHRM dropped, sBIT dropped, mDCV dropped, cLLI dropped"},
    };
    ae_signal_info info = make_info(W, H, AE_U8, 3);
    uint8_t *pixels = make_noise(&info, 5);
    ae_meta meta = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++)
        add(&meta, AE_META_COLOUR, NULL, items[i].value, items[i].n);
    for (size_t f = 0; f < sizeof(formats) / sizeof(*formats); f++) {
        file_bytes file;
        decoded d;
        char note[160];

        assert_ok(encode(formats[f].format, &info, pixels, &meta, NULL, H, &file, note, &util_err));
        assert_string_equal(note, formats[f].note);
        assert_ok(decode_open(file, NULL, &d, &util_err));
        for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++) {
            bool found = false;

            for (size_t k = 0; k < d.reader.meta.n_items; k++)
                found = found ||
                        (d.reader.meta.items[k].n_bytes == items[i].n &&
                         memcmp(d.reader.meta.items[k].value, items[i].value, items[i].n) == 0);
            /* in TIFF, white point and primaries */
            assert_int_equal(found, f == 0 || (f == 1 && i == 2));
        }
        decode_close(&d);
        ae_free(file.data);
    }
    ae_meta_clear(&meta);

    /* Significant bits of three channels are none of one. */
    info = make_info(W, H, AE_U8, 1);
    add(&meta, AE_META_COLOUR, NULL, "sBIT\x05\x06\x05", 7);
    {
        file_bytes file;
        char note[160];

        assert_ok(encode("png", &info, pixels, &meta, NULL, H, &file, note, &util_err));
        assert_string_equal(note, "sBIT dropped");
        ae_free(file.data);
    }
    info = make_info(W, H, AE_U8, 3);
    ae_meta_clear(&meta);

    /* What says no more than that it is usual is not named. */
    add(&meta, AE_META_COLOUR, NULL, "sRGB\0", 5);
    add(&meta, AE_META_COLOUR, NULL, "gAMA\0\0\xb1\x8f", 8);
    add(&meta, AE_META_COLOUR, NULL, "sBIT\x08\x08\x08", 7);
    for (size_t f = 0; f < N_WRITERS; f++) {
        file_bytes file;
        char note[160];

        assert_ok(encode(writers[f], &info, pixels, &meta, NULL, H, &file, note, &util_err));
        assert_string_equal(note, "");
        ae_free(file.data);
    }
    ae_meta_clear(&meta);
    ae_free(pixels);
}

/* ---- files that are made to be costly ---- */

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

/* A picture of one pixel with so many chunks of that type, each a stream of so many bytes behind
 * `head`. */
static file_bytes make_bomb(const char *type, const void *head, size_t n_head, unsigned count,
                            size_t n_plain)
{
    static const uint8_t header[13] = {0, 0, 0, 1, 0, 0, 0, 1, 8};
    uint8_t pixel[64], *plain = ae_alloc(n_plain, 1), *data;
    uLongf n = compressBound((uLong)n_plain), n_pixel = sizeof(pixel);
    ae_memory_output m;

    ae_memory_output_init(&m);
    assert_ok(m.sink.write(&m, "\x89PNG\r\n\x1a\n", 8, &util_err));
    put_chunk(&m, "IHDR", header, 13);
    memset(plain, 'a', n_plain);
    data = ae_alloc(n_head + n, 1);
    memcpy(data, head, n_head);
    assert_int_equal(compress2(data + n_head, &n, plain, (uLong)n_plain, 9), Z_OK);
    for (unsigned i = 0; i < count; i++)
        put_chunk(&m, type, data, n_head + n);
    assert_int_equal(compress(pixel, &n_pixel, (const Bytef *)"\0\0", 2), Z_OK);
    put_chunk(&m, "IDAT", pixel, n_pixel);
    put_chunk(&m, "IEND", NULL, 0);
    ae_free(plain);
    ae_free(data);
    return (file_bytes){m.data, m.n_bytes};
}

static void test_bombs(void **state)
{
    static const struct {
        const char *type, *head;
        size_t n_head;
        unsigned count;
        size_t n;
        ae_status st;
    } bombs[] = {
        {"zTXt", "key\0\0", 5, 3, 100 << 10, AE_OK},
        {"zTXt", "key\0\0", 5, 30, 1 << 20, AE_ERR_LIMIT},
        {"iTXt", "key\0\1\0\0\0", 8, 30, 1 << 20, AE_ERR_LIMIT},
        {"iCCP", "name\0\0", 6, 1, 4 << 20, AE_ERR_LIMIT},
        /* of which the first counts, and is no profile */
        {"iCCP", "name\0\0", 6, 30, 1 << 20, AE_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bombs) / sizeof(*bombs); i++) {
        file_bytes file = make_bomb(bombs[i].type, bombs[i].head, bombs[i].n_head, bombs[i].count,
                                    bombs[i].n);
        ae_status st;
        decoded d = {0};
        ae_error err = {0};

        assert_true(file.n_bytes < 64 << 10);
        st = decode_open(file, &(ae_limits){.max_meta = 2 << 20}, &d, &err);
        assert_int_equal(st, bombs[i].st);
        if (st == AE_OK)
            decode_close(&d);
        else
            assert_non_null(strstr(err.message, "max_meta"));
        ae_free(file.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd_profiles), cmocka_unit_test(test_profile_as_it_is),
        cmocka_unit_test(test_odd_texts),    cmocka_unit_test(test_odd_blobs),
        cmocka_unit_test(test_descriptions), cmocka_unit_test(test_bombs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
