/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every allocation that an adapter makes through ae_alloc fails once: an error, and (under a leak
 * checker) nothing left. */
#include "codec_util.h"

static const char *const names[] = {"png", "jpeg", "tiff", "webp", "pnm", "pfm", "bmp"};

/* Reading: succeeds only whole. */
static void test_reading(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ae_signal_info info = make_info(17, 9, AE_U8, 3);
        void *pixels = make_smooth(&info);
        ae_meta meta;
        file_bytes file;
        decoded whole, d;
        ae_status st = AE_ERR_NOMEM;
        uint64_t n = 0;

        fill_meta(&meta, 3);
        assert_ok(encode(names[i], &info, pixels, &meta, NULL, 4, &file, NULL, &util_err));
        assert_ok(decode(file, NULL, 9, &whole, &util_err));
        while (st != AE_OK) {
            ae_error err = {0};

            ae_alloc_fail_at(++n);
            st = decode(file, NULL, 4, &d, &err);
            ae_alloc_fail_at(0);
            assert_true(st == AE_OK || st == AE_ERR_NOMEM);
            assert_int_equal(st, err.status);
        }
        assert_true(n > 3);
        assert_int_equal(d.reader.meta.n_items, whole.reader.meta.n_items);
        assert_memory_equal(d.pixels, whole.pixels, 9 * ae_row_bytes(&d.reader.info));
        decode_close(&d);
        decode_close(&whole);
        ae_free(file.data);
        ae_meta_clear(&meta);
        ae_free(pixels);
    }
}

static void test_writing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ae_signal_info info = make_info(17, 9, AE_U16, 4); /* converted by most */
        void *pixels = make_smooth(&info);
        ae_meta meta;
        file_bytes whole, file;
        ae_status st = AE_ERR_NOMEM;
        uint64_t n = 0;

        fill_meta(&meta, 3);
        assert_ok(encode(names[i], &info, pixels, &meta, NULL, 4, &whole, NULL, &util_err));
        while (st != AE_OK) {
            ae_error err = {0};

            ae_alloc_fail_at(++n);
            st = encode(names[i], &info, pixels, &meta, NULL, 4, &file, NULL, &err);
            ae_alloc_fail_at(0);
            assert_true(st == AE_OK || st == AE_ERR_NOMEM);
            assert_int_equal(st, err.status);
        }
        assert_true(n > 2);
        assert_int_equal(file.n_bytes, whole.n_bytes);
        assert_memory_equal(file.data, whole.data, whole.n_bytes);
        ae_free(file.data);
        ae_free(whole.data);
        ae_meta_clear(&meta);
        ae_free(pixels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reading),
                                       cmocka_unit_test(test_writing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
