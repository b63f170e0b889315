/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is kept of items beside what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ae/container.h"

enum { N_PACK = 300, N_ITEMS = N_PACK + 2, ROOM = 1 << 16 };

typedef struct file {
    ae_sink sink;
    size_t n;
    uint8_t data[ROOM];
} file;

static ae_status file_write(void *opaque, const void *data, size_t n, ae_error *err)
{
    file *f = opaque;

    if (n > ROOM - f->n)
        return ae_fail(err, AE_ERR_IO, "full");
    memcpy(f->data + f->n, data, n);
    f->n += n;
    return AE_OK;
}

static size_t file_read(void *opaque, uint64_t at, void *to, size_t n)
{
    const file *f = opaque;
    size_t left = at < f->n ? f->n - (size_t)at : 0;

    n = n < left ? n : left;
    memcpy(to, f->data + at, n);
    return n;
}

static ae_item_fields expected(uint64_t number)
{
    if (number == 1 || number % 5 == 0)
        return (ae_item_fields){0};
    return (ae_item_fields){.has_changed = true,
                            .changed = number % 2 ? -(int64_t)number * 100000
                                                  : 981173106 + (int64_t)number,
                            .mode = 0400 + (uint32_t)number % 64};
}

static void write_item(ae_container_writer *w, const char *name, uint64_t number)
{
    ae_item item = {.name = (char *)(uintptr_t)name,
                    .info = {.kind = AE_KIND_IMAGE,
                             .sample = AE_U8,
                             .bits = 8,
                             .channels = 1,
                             .width = 2,
                             .height = 1}};
    static const uint8_t tile[] = {8, 0, 0x80, 10, 20};
    ae_item_fields fields = expected(number);
    ae_error err;

    assert_int_equal(ae_container_begin(w, &item, &err), AE_OK);
    assert_int_equal(ae_container_write_fields(w, &fields, 2, &err), AE_ERR_ARGUMENT);
    assert_int_equal(ae_container_write_fields(w, &fields, 1, &err), AE_OK);
    assert_int_equal(ae_container_write_tile(w, AE_TILE_COLOURS, 0, tile, sizeof(tile), &err),
                     AE_OK);
    assert_int_equal(ae_container_end(w, NULL, &err), AE_OK);
}

/* Two items and a pack. Returns how long the file is before its index. */
static size_t make(file *f)
{
    ae_item like = {.info = {.kind = AE_KIND_IMAGE,
                             .sample = AE_U8,
                             .bits = 8,
                             .channels = 1,
                             .width = 4,
                             .height = 1}};
    ae_container_writer *w;
    char texts[N_PACK][16];
    const char *names[N_PACK];
    ae_item_fields fields[N_PACK];
    uint8_t samples[N_PACK * 4];
    ae_error err;
    size_t n;

    *f = (file){.sink = {.opaque = f, .write = file_write}};
    assert_int_equal(ae_container_create(&f->sink, &w, &err), AE_OK);
    write_item(w, "a", 0);
    write_item(w, "b", 1);
    for (unsigned i = 0; i < N_PACK; i++) {
        snprintf(texts[i], sizeof(texts[i]), "p/%u", i);
        names[i] = texts[i];
        fields[i] = expected(2 + i);
        memset(samples + 4 * i, (int)(i % 7), 4);
    }
    assert_int_equal(ae_container_write_pack(w, &like, names, N_PACK, samples, &err), AE_OK);
    assert_int_equal(ae_container_write_fields(w, fields, N_PACK, &err), AE_OK);
    n = f->n;
    assert_int_equal(ae_container_finish(w, &err), AE_OK);
    ae_container_writer_free(w);
    return n;
}

/* damaged: of the pack nothing is told */
static void check(file *f, bool damaged)
{
    ae_bytes bytes = {f, f->n, file_read};
    ae_container *c;
    ae_item *items;
    ae_item_fields fields[N_ITEMS + 1];
    size_t n;
    ae_error err;

    assert_int_equal(ae_container_open(&bytes, NULL, &c, &err), AE_OK);
    assert_int_equal(ae_container_list(c, &items, &n, &err), AE_OK);
    assert_true(n == N_ITEMS || n == N_ITEMS + 1);
    assert_int_equal(ae_container_fields(c, items, n, fields, &err), AE_OK);
    for (size_t i = 0; i < n; i++) {
        ae_item_fields want = damaged && i >= 2 ? (ae_item_fields){0} : expected(i);

        assert_int_equal(fields[i].has_changed, want.has_changed);
        assert_int_equal(fields[i].changed, want.changed);
        assert_int_equal(fields[i].mode, want.mode);
    }
    ae_items_free(items, n);
    ae_container_free(c);
}

static void test_fields(void **state)
{
    static file f;
    size_t end = make(&f), whole = f.n;

    (void)state;
    check(&f, false);
    f.n = end; /* by scanning */
    check(&f, false);
    f.n = whole;
    f.data[end - 6] ^= 1;
    check(&f, true);
}

/* An append that broke off behind the pack: the next one takes its fields over with it. */
static void test_recovered(void **state)
{
    static file f;
    ae_container_writer *w;
    ae_container *c;
    uint64_t offset;
    ae_error err;

    (void)state;
    f.n = make(&f);
    assert_int_equal(ae_container_open(&(ae_bytes){&f, f.n, file_read}, NULL, &c, &err), AE_OK);
    assert_int_equal(ae_container_append(c, &f.sink, &w, &offset, &err), AE_OK);
    assert_int_equal(offset, f.n);
    ae_container_free(c);
    write_item(w, "z", N_ITEMS);
    assert_int_equal(ae_container_finish(w, &err), AE_OK);
    ae_container_writer_free(w);
    check(&f, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fields),
                                       cmocka_unit_test(test_recovered)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
