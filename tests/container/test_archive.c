/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Items of stored files through ae/archive.h: parts are parts of the whole, and whatever allocation
 * fails is reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "ae/archive.h"

static ae_archive *open_golden(const char *name, ae_item **items, size_t *n)
{
    char path[512];
    ae_archive *a;
    int file;

    snprintf(path, sizeof(path), GOLDEN "/%s.aec", name);
    file = open(path, O_RDONLY);
    assert_true(file >= 0);
    assert_int_equal(ae_archive_open_descriptor(file, NULL, &a, NULL), AE_OK);
    close(file);
    assert_int_equal(ae_container_list(ae_archive_container(a), items, n, NULL), AE_OK);
    return a;
}

static const char *const names[] = {"version1-archive", "version1-array", "version1-sound",
                                    "version1-sound-spectra", "version1-rgba16"};

static void parts(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        ae_item *items;
        size_t n;
        ae_archive *a = open_golden(names[k], &items, &n);

        for (size_t i = 0; i < n; i++) {
            const ae_signal_info *info = &items[i].info;
            size_t row = ae_row_bytes(info), all = row * info->height;
            bool picture = info->kind == AE_KIND_IMAGE;
            uint32_t w = (uint32_t)info->width, h = (uint32_t)info->height;
            ae_archive_options part = {.first = 1, .n_frames = h - 2},
                               behind = {.first = h, .region = {.x = w, .width = 1, .height = 1}};
            uint8_t *whole = ae_alloc(all, 1), *some = ae_alloc(all, 1);

            if (picture)
                part.region = (ae_region){0, 1, w, h - 2};
            assert_int_equal(ae_archive_read(a, &items[i], NULL, whole, all, NULL), AE_OK);
            assert_int_equal(ae_archive_read(a, &items[i], &part, some, row * (h - 2), NULL),
                             AE_OK);
            assert_memory_equal(some, whole + row, row * (h - 2));
            assert_int_equal(ae_archive_read(a, &items[i], &part, some, all, NULL),
                             AE_ERR_ARGUMENT);
            assert_int_equal(ae_archive_decode(a, &items[i], &behind, NULL, NULL, NULL),
                             AE_ERR_ARGUMENT);
            ae_free(whole);
            ae_free(some);
        }
        ae_items_free(items, n);
        ae_archive_free(a);
    }
}

static ae_status read_all(int file, uint32_t *n_read)
{
    ae_archive *a = NULL;
    ae_item *items = NULL;
    size_t n = 0;
    ae_error err;
    ae_status st = ae_archive_open_descriptor(file, NULL, &a, &err);

    assert_true((st == AE_OK) == (a != NULL));
    if (st == AE_OK)
        st = ae_container_list(ae_archive_container(a), &items, &n, &err);
    for (size_t i = 0; i < n && st == AE_OK; i++) {
        bool checked;

        st = ae_archive_decode(a, &items[i], NULL, NULL, &checked, &err);
        *n_read += st == AE_OK;
        assert_true(st == AE_OK || !checked);
    }
    assert_true(st == AE_OK || err.message[0]);
    ae_items_free(items, n);
    ae_archive_free(a);
    return st;
}

static void allocations(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        char path[512];
        ae_status st = AE_ERR_NOMEM;
        uint32_t n_read = 0;
        int file;

        snprintf(path, sizeof(path), GOLDEN "/%s.aec", names[k]);
        file = open(path, O_RDONLY);
        for (uint64_t nth = 1; st != AE_OK; nth++) {
            n_read = 0;
            ae_alloc_fail_at(nth);
            st = read_all(file, &n_read);
            ae_alloc_fail_at(0);
            assert_true(st == AE_OK || st == AE_ERR_NOMEM);
        }
        assert_true(n_read > 0);
        close(file);
    }
}

/* What is no regular file, and what is no archive. */
static void refusals(void **state)
{
    ae_archive *a;
    ae_error err;
    int ends[2], source = open(__FILE__, O_RDONLY);

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ae_archive_open_descriptor(ends[0], NULL, &a, &err), AE_ERR_IO);
    assert_null(a);
    assert_int_equal(ae_archive_open_descriptor(-1, NULL, &a, &err), AE_ERR_IO);
    if (source >= 0)
        assert_int_not_equal(ae_archive_open_descriptor(source, NULL, &a, &err), AE_OK);
    assert_null(a);
    for (int i = 0; i < 2; i++)
        close(ends[i]);
    close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),
        cmocka_unit_test(allocations),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
