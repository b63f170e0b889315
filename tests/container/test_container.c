/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The .aec container: round trips, damage at every byte, truncation at every byte, appending,
 * names, large indices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ae/container.h"

/* ---- files in memory ---- */

typedef struct file {
    ae_sink sink;
    uint8_t *data;
    size_t n, room, reads, read_bytes;
    size_t limit; /* the disk is full there; 0: never */
} file;

static ae_status file_write(void *opaque, const void *data, size_t n, ae_error *err)
{
    file *f = opaque;

    if (f->limit && f->n + n > f->limit)
        return ae_fail(err, AE_ERR_IO, "disk full");
    if (f->n + n > f->room) {
        f->room = 2 * f->room + n;
        f->data = realloc(f->data, f->room);
        assert_non_null(f->data);
    }
    memcpy(f->data + f->n, data, n);
    f->n += n;
    return AE_OK;
}

static void file_init(file *f)
{
    *f = (file){.sink = {.opaque = f, .write = file_write}};
}

static size_t file_read(void *opaque, uint64_t at, void *to, size_t n)
{
    file *f = opaque;

    f->reads++;
    f->read_bytes += n;
    if (at > f->n)
        return 0;
    n = n < f->n - at ? n : f->n - (size_t)at;
    memcpy(to, f->data + at, n);
    return n;
}

static ae_bytes bytes_of(file *f)
{
    return (ae_bytes){f, f->n, file_read};
}

static void ok(ae_status st, const ae_error *err)
{
    if (st != AE_OK)
        fail_msg("%s", err->message);
}

/* ---- pictures ---- */

typedef struct picture {
    ae_signal_info info;
    uint8_t *pixels;
    size_t n, at;
    ae_sample_hash *hash; /* of what decoding will give */
} picture;

static picture make_picture(uint32_t w, uint32_t h, uint32_t channels, ae_sample sample,
                            uint32_t seed)
{
    picture p = {.info = {.kind = AE_KIND_IMAGE,
                          .sample = sample,
                          .bits = 8 * (uint32_t)ae_sample_bytes(sample),
                          .channels = channels,
                          .alpha = channels == 2 || channels == 4,
                          .width = w,
                          .height = h}};

    p.n = ae_row_bytes(&p.info) * h;
    p.pixels = malloc(p.n);
    assert_non_null(p.pixels);
    for (size_t i = 0; i < p.n; i++) {
        seed = seed * 1664525 + 1013904223;
        p.pixels[i] = (uint8_t)((i / 7 + i / (w * channels) * 3) % 200 + (seed >> 28));
    }
    return p;
}

static ae_status read_picture(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    picture *p = opaque;
    size_t n = ae_row_bytes(&p->info) * n_rows;

    (void)err;
    memcpy(rows, p->pixels + p->at, n);
    p->at += n;
    return AE_OK;
}

static ae_status collect(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    picture *p = opaque;
    size_t n = ae_row_bytes(&p->info) * n_rows;

    (void)err;
    assert_true(p->at + n <= p->n);
    memcpy(p->pixels + p->at, rows, n);
    p->at += n;
    return AE_OK;
}

static ae_status write_tile(void *opaque, uint32_t index, const void *data, size_t n, ae_error *err)
{
    return ae_container_write_tile(opaque, AE_TILE_COLOURS, index, data, n, err);
}

static void add_decoded(void *opaque, const void *rows, uint32_t n_rows)
{
    picture *p = opaque;

    ae_sample_hash_add(p->hash, rows, n_rows * ae_row_bytes(&p->info));
}

static void write_picture(ae_container_writer *w, const char *name, picture *p, uint32_t tolerance,
                          ae_error *err)
{
    ae_item item = {.name = (char *)(uintptr_t)name,
                    .info = p->info,
                    .quality = (uint16_t)(3 * tolerance),
                    .orientation = 6};
    ae_row_source source = {p->info, p, read_picture};
    ae_tile_sink sink = {w, write_tile};
    ae_samples_options options = {.bound = AE_BOUND_ONE * tolerance,
                                  .decoded = add_decoded,
                                  .control = {2, NULL, p, NULL, NULL}};
    uint8_t digest[16];

    p->at = 0;
    p->hash = ae_sample_hash_create();
    ok(ae_container_begin(w, &item, err), err);
    ok(ae_samples_encode(&options, &source, &sink, err), err);
    ae_sample_hash_get(p->hash, digest);
    ae_sample_hash_free(p->hash);
    ok(ae_container_end(w, digest, err), err);
}

static ae_status read_tile(void *opaque, uint32_t index, const void **data, size_t *n,
                           ae_error *err)
{
    return ae_item_tile(opaque, AE_TILE_COLOURS, index, data, n, err);
}

typedef struct damaged_tile {
    const uint8_t *bytes;
    size_t n;
} damaged_tile;

static ae_status read_damaged(void *opaque, uint32_t index, const void **data, size_t *n,
                              ae_error *err)
{
    const damaged_tile *d = opaque;

    (void)index;
    (void)err;
    *data = d->bytes;
    *n = d->n;
    return AE_OK;
}

typedef struct losses {
    uint32_t n;
    bool lost[64];
} losses;

static void count_loss(void *opaque, uint32_t index, const char *why)
{
    losses *l = opaque;

    assert_non_null(why);
    assert_true(index < 64 && !l->lost[index]);
    l->lost[index] = true;
    l->n++;
}

/* The item as a picture; lost tiles are counted where l is not NULL. */
static ae_status read_item(const ae_container *c, const ae_item *item, ae_samples_options options,
                           losses *l, picture *out, ae_error *err)
{
    ae_item_reader *r = NULL;
    ae_row_sink sink = {out, collect};
    ae_tile_source source = {NULL, read_tile};
    ae_status st = ae_item_open(c, item, &r, err);

    *out = (picture){.info = item->info};
    if (st != AE_OK)
        return st;
    options.control.opaque = l;
    options.control.lost = l ? count_loss : NULL;
    if (options.region.width) {
        out->info.width = options.region.width;
        out->info.height = options.region.height;
    }
    if (options.preview) {
        out->info.width = (out->info.width + 7) / 8;
        out->info.height = (out->info.height + 7) / 8;
    }
    out->n = ae_row_bytes(&out->info) * out->info.height;
    out->pixels = malloc(out->n);
    assert_non_null(out->pixels);
    source.opaque = r;
    st = item->packed ? ae_item_unpack(r, item->position, out->pixels, err)
                      : ae_samples_decode(&item->info, &options, &source, &sink, err);
    ae_item_free(r);
    return st;
}

static void check_item(const ae_container *c, const ae_item *item, const picture *want,
                       uint32_t tolerance)
{
    ae_sample_hash *hash;
    ae_item_reader *r;
    uint8_t digest[16], stored[16];
    ae_error err;
    picture got;

    ok(read_item(c, item, (ae_samples_options){.control.threads = 2}, NULL, &got, &err), &err);
    assert_int_equal(got.n, want->n);
    ok(ae_item_open(c, item, &r, &err), &err);
    assert_true(ae_item_hash(r, stored));
    ae_item_free(r);
    hash = ae_sample_hash_create();
    ae_sample_hash_add(hash, got.pixels, got.n);
    ae_sample_hash_get(hash, digest);
    ae_sample_hash_free(hash);
    assert_memory_equal(digest, stored, 16);
    if (!tolerance) {
        assert_memory_equal(got.pixels, want->pixels, want->n);
    } else {
        for (size_t i = 0; i < want->n; i++)
            assert_in_range(abs(got.pixels[i] - want->pixels[i]), 0, tolerance);
    }
    free(got.pixels);
}

static void test_round_trip(void **state)
{
    static const struct {
        uint32_t w, h, channels;
        ae_sample sample;
        uint32_t tolerance;
    } cases[] = {{1, 1, 1, AE_U8, 0},    {1, 1, 4, AE_U16, 0},    {3, 700, 2, AE_U8, 0},
                 {700, 3, 3, AE_U16, 0}, {513, 600, 3, AE_U8, 0}, {40, 30, 4, AE_U8, 0},
                 {100, 90, 3, AE_U8, 1}, {100, 90, 1, AE_U8, 7},  {60, 70, 4, AE_U8, 255},
                 {1, 1, 1, AE_F32, 0},   {520, 5, 4, AE_F32, 0},  {30, 20, 3, AE_F32, 0}};
    enum { N = sizeof(cases) / sizeof(*cases) };
    ae_container_writer *w;
    ae_container *c;
    ae_item *items;
    picture p[N];
    char name[20];
    size_t n;
    ae_error err;
    file f;

    (void)state;
    file_init(&f);
    ok(ae_container_create(&f.sink, &w, &err), &err);
    for (uint32_t i = 0; i < N; i++) {
        p[i] = make_picture(cases[i].w, cases[i].h, cases[i].channels, cases[i].sample, i);
        snprintf(name, sizeof(name), "dir/%u.png", N - i);
        write_picture(w, name, &p[i], cases[i].tolerance, &err);
    }
    ok(ae_container_finish(w, &err), &err);
    assert_int_equal(ae_container_written(w), f.n);
    ae_container_writer_free(w);

    ok(ae_container_open(&(ae_bytes){&f, f.n, file_read}, NULL, &c, &err), &err);
    assert_null(ae_container_complaint(c));
    ok(ae_container_list(c, &items, &n, &err), &err);
    assert_int_equal(n, N);
    for (uint32_t i = 0; i < N; i++) {
        ae_item one;

        snprintf(name, sizeof(name), "dir/%u.png", N - i);
        assert_string_equal(items[i].name, name);
        assert_int_equal(items[i].orientation, 6);
        check_item(c, &items[i], &p[i], cases[i].tolerance);
        ok(ae_container_find(c, name, &one, &err), &err);
        assert_int_equal(one.number, i);
        assert_int_equal(one.offset, items[i].offset);
        ae_item_clear(&one);
        free(p[i].pixels);
    }
    {
        ae_item one;

        assert_int_equal(ae_container_find(c, "dir/0.png", &one, &err), AE_ERR_ARGUMENT);
    }
    ae_items_free(items, n);
    ae_container_free(c);
    free(f.data);
}

/* Letters of a few colours on ground, here and there a ramp. */
static picture make_drawing(uint32_t w, uint32_t h, uint32_t channels, ae_sample sample,
                            uint32_t colours)
{
    picture p = make_picture(w, h, channels, sample, 1);

    for (size_t i = 0; i < (size_t)w * h; i++) {
        uint32_t x = (uint32_t)(i % w), y = (uint32_t)(i / w),
                 letter = (x / 6 * 7 + y / 9 * 13) % 11;
        uint32_t ink = letter * 0x9e3779b1u >> (x % 6 + y % 9) & 1 ? 1 + letter % (colours - 1) : 0;

        for (uint32_t ch = 0; ch < channels; ch++) {
            uint32_t v = (ink * 97 * (ch + 1) + (y % 50 == 7 ? x : 0)) % 256;

            if (sample == AE_U8)
                p.pixels[i * channels + ch] = (uint8_t)(colours == 2 ? 255 * ink : v);
            else
                ((uint16_t *)(void *)p.pixels)[i * channels + ch] = (uint16_t)(v * 251 + ink);
        }
    }
    return p;
}

/* Drawn tiles come back, take few bytes, and do no harm where they are damaged behind the checksum.
 */
static void test_drawings(void **state)
{
    static const struct {
        uint32_t w, h, channels;
        ae_sample sample;
        uint32_t colours;
    } cases[] = {{1, 1, 1, AE_U8, 2},   {200, 90, 1, AE_U8, 2}, {160, 90, 3, AE_U8, 4},
                 {90, 60, 4, AE_U8, 9}, {90, 60, 2, AE_U8, 5},  {90, 60, 4, AE_U16, 4},
                 {5, 700, 3, AE_U8, 3}, {600, 20, 1, AE_U16, 7}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        picture p = make_drawing(cases[i].w, cases[i].h, cases[i].channels, cases[i].sample,
                                 cases[i].colours),
                got;
        ae_samples_options o = {.control.threads = 1};
        ae_container_writer *w;
        ae_item_reader *r;
        ae_container *c;
        ae_item item;
        ae_error err;
        file f;

        file_init(&f);
        ok(ae_container_create(&f.sink, &w, &err), &err);
        write_picture(w, "a", &p, 0, &err);
        ok(ae_container_finish(w, &err), &err);
        ae_container_writer_free(w);
        assert_true(p.n < 1000 || f.n < p.n / 7);
        ok(ae_container_open(&(ae_bytes){&f, f.n, file_read}, NULL, &c, &err), &err);
        ok(ae_container_find(c, "a", &item, &err), &err);
        check_item(c, &item, &p, 0);
        ok(ae_item_open(c, &item, &r, &err), &err);
        for (uint32_t k = 0; k < 40; k++) {
            const void *data;
            size_t n, at;
            uint8_t *bytes;
            damaged_tile d;

            ok(ae_item_tile(r, AE_TILE_COLOURS, 0, &data, &n, &err), &err);
            bytes = malloc(n);
            memcpy(bytes, data, n);
            at = (k * 7919u + 2) % n;
            bytes[at] = (uint8_t)(bytes[at] ^ (1 << k % 8));
            d = (damaged_tile){bytes, k % 5 ? n : at};
            got = (picture){.info = item.info, .n = p.n, .pixels = malloc(p.n)};
            (void)!ae_samples_decode(&item.info, &o, &(ae_tile_source){&d, read_damaged},
                                     &(ae_row_sink){&got, collect}, &err);
            free(got.pixels);
            free(bytes);
        }
        ae_item_free(r);
        ae_item_clear(&item);
        ae_container_free(c);
        free(f.data);
        free(p.pixels);
    }
}

static void test_regions(void **state)
{
    static const uint32_t regions[][4] = {
        {0, 0, 1, 1}, {511, 0, 2, 600}, {600, 550, 100, 50}, {5, 511, 690, 2}, {0, 0, 700, 600}};
    picture p = make_picture(700, 600, 3, AE_U8, 9), got;
    ae_container_writer *w;
    ae_container *c;
    ae_item item;
    ae_error err;
    file f;

    (void)state;
    file_init(&f);
    ok(ae_container_create(&f.sink, &w, &err), &err);
    write_picture(w, "", &p, 0, &err);
    ok(ae_container_finish(w, &err), &err);
    ae_container_writer_free(w);
    ok(ae_container_open(&(ae_bytes){&f, f.n, file_read}, NULL, &c, &err), &err);
    ok(ae_container_find(c, "", &item, &err), &err);
    for (size_t i = 0; i < sizeof(regions) / sizeof(*regions); i++) {
        const uint32_t *r = regions[i];

        ok(read_item(c, &item, (ae_samples_options){.region = {r[0], r[1], r[2], r[3]}}, NULL, &got,
                     &err),
           &err);
        for (uint32_t y = 0; y < r[3]; y++)
            assert_memory_equal(got.pixels + y * r[2] * 3, p.pixels + ((r[1] + y) * 700 + r[0]) * 3,
                                r[2] * 3);
        free(got.pixels);
    }
    assert_int_equal(
        read_item(c, &item, (ae_samples_options){.region = {600, 0, 101, 1}}, NULL, &got, &err),
        AE_ERR_ARGUMENT);
    free(got.pixels);

    ok(read_item(c, &item, (ae_samples_options){.preview = true}, NULL, &got, &err), &err);
    assert_int_equal(got.info.width, 88);
    for (uint32_t y = 0; y < 75; y++)
        for (uint32_t x = 0; x < 88; x++) {
            uint32_t sum = 0, n = 0;

            for (uint32_t j = 8 * y; j < 8 * y + 8; j++)
                for (uint32_t k = 8 * x; k < 8 * x + 8 && k < 700; k++, n++)
                    sum += p.pixels[(j * 700 + k) * 3 + 1];
            assert_int_equal(got.pixels[(y * 88 + x) * 3 + 1], (sum + n / 2) / n);
        }
    free(got.pixels);
    ae_item_clear(&item);
    ae_container_free(c);
    free(p.pixels);
    free(f.data);
}

/* ---- damage ---- */

/* Three items, one of three tiles, one with metadata, and a pack of five. */
static void write_sample(file *f, picture p[3], picture *small)
{
    static const char *const names[] = {"s/0", "s/1", "s/2", "s/3", "s/4"};
    ae_item like = {0};
    ae_meta meta = {0};
    ae_container_writer *w;
    picture copy;
    ae_error err;

    file_init(f);
    p[0] = make_picture(1030, 1, 1, AE_U8, 1);
    p[1] = make_picture(9, 8, 4, AE_U8, 2);
    p[2] = make_picture(20, 10, 3, AE_U16, 3);
    *small = make_picture(4, 20, 1, AE_U8, 4);
    for (uint32_t i = 0; i < p[0].n; i++)
        p[0].pixels[i] = (uint8_t)(i / 100 * 20);
    ok(ae_container_create(&f->sink, &w, &err), &err);
    write_picture(w, "a", &p[0], 0, &err);
    like.name = (char *)(uintptr_t) "b";
    like.info = p[1].info;
    ok(ae_container_begin(w, &like, &err), &err);
    ok(ae_meta_add(&meta, AE_META_TEXT, "Comment", "hello", 5, &err), &err);
    ok(ae_container_write_meta(w, &meta, &err), &err);
    ae_meta_clear(&meta);
    p[1].at = 0;
    ok(ae_samples_encode(&(ae_samples_options){.control.threads = 1},
                         &(ae_row_source){p[1].info, &p[1], read_picture},
                         &(ae_tile_sink){w, write_tile}, &err),
       &err);
    ok(ae_container_end(w, NULL, &err), &err);
    copy = make_picture(4, 20, 1, AE_U8, 4);
    like.info = small->info;
    like.info.height = 4;
    ok(ae_container_write_pack(w, &like, names, 5, copy.pixels, &err), &err);
    free(copy.pixels);
    write_picture(w, "c", &p[2], 0, &err);
    ok(ae_container_finish(w, &err), &err);
    ae_container_writer_free(w);
}

/* What can be read must be right. Returns the number of whole tiles and packed items read;
 * *reported: something was said. */
static uint32_t read_what_is_left(file *f, const picture p[3], const picture *small, bool *reported)
{
    ae_bytes bytes = bytes_of(f);
    ae_container *c = NULL;
    ae_item *items = NULL;
    uint32_t whole = 0;
    size_t n = 0;
    ae_error err;

    *reported = true;
    if (ae_container_open(&bytes, NULL, &c, &err) != AE_OK)
        return 0;
    *reported = ae_container_complaint(c) != NULL;
    if (ae_container_list(c, &items, &n, &err) != AE_OK) {
        *reported = true;
        n = 0;
    }
    *reported |= n != 8;
    for (size_t i = 0; i < n; i++) {
        const picture *want = items[i].name[0] == 's' ? small : &p[items[i].name[0] - 'a'];
        losses l = {0};
        picture got;

        if (read_item(c, &items[i], (ae_samples_options){.control.threads = 1}, &l, &got, &err) !=
            AE_OK) {
            *reported = true;
        } else if (items[i].packed) {
            assert_memory_equal(got.pixels, small->pixels + 16 * (items[i].name[2] - '0'), 16);
            whole++;
        } else {
            uint32_t across = (uint32_t)(want->info.width + 511) / 512,
                     tiles = across * (uint32_t)((want->info.height + 511) / 512);

            assert_int_equal(got.n, want->n);
            *reported |= l.n > 0;
            whole += tiles - l.n;
            for (uint32_t y = 0; y < want->info.height; y++)
                for (uint32_t x = 0; x < want->info.width; x++) {
                    size_t bytes_each = ae_row_bytes(&want->info) / want->info.width,
                           at = y * ae_row_bytes(&want->info) + x * bytes_each;

                    if (!l.lost[y / 512 * across + x / 512])
                        assert_int_equal(memcmp(got.pixels + at, want->pixels + at, bytes_each), 0);
                }
        }
        free(got.pixels);
    }
    ae_items_free(items, n);
    ae_container_free(c);
    return whole;
}

static void note_damage(void *opaque, uint64_t offset, const char *why)
{
    (void)offset;
    assert_non_null(why);
    ++*(uint32_t *)opaque;
}

static void test_flips(void **state)
{
    picture p[3], small;
    file f;

    (void)state;
    write_sample(&f, p, &small);
    for (size_t i = 0; i <= f.n; i++) {
        bool reported;
        uint32_t whole, damaged = 0;
        ae_container *c = NULL;
        ae_error err;
        ae_bytes bytes = bytes_of(&f);

        if (i < f.n)
            f.data[i] ^= (uint8_t)(1 << i % 8);
        whole = read_what_is_left(&f, p, &small, &reported);
        if (ae_container_open(&bytes, NULL, &c, &err) == AE_OK) {
            ok(ae_container_check(c, &damaged, note_damage, &err), &err);
            reported |= damaged > 0;
        }
        ae_container_free(c);
        if (reported != (i < f.n))
            fail_msg("byte %zu of %zu: %s", i, f.n,
                     reported ? "a sound file is called damaged" : "damage is not reported");
        /* a pack lost takes its five items along, anything else one tile; an unreadable version
         * takes all */
        if (i >= 16 && whole < 10 - 5)
            fail_msg("byte %zu of %zu: only %u tiles left", i, f.n, whole);
        if (i < f.n)
            f.data[i] ^= (uint8_t)(1 << i % 8);
    }
    for (int i = 0; i < 3; i++)
        free(p[i].pixels);
    free(small.pixels);
    free(f.data);
}

/* A short file tells of its only item in one place, the head: it is found in spite of a wrong byte
 * there, whichever, by its name, in a list and where the index is lost, too; and that is told. */
static void test_short(void **state)
{
    picture p = make_picture(40, 30, 3, AE_U8, 5);
    ae_container_writer *w;
    ae_error err;
    size_t end;
    file f;

    (void)state;
    file_init(&f);
    ok(ae_container_create(&f.sink, &w, &err), &err);
    write_picture(w, "a name", &p, 0, &err);
    ok(ae_container_finish(w, &err), &err);
    ae_container_writer_free(w);
    assert_int_equal(f.data[f.n - 21], 0); /* no pages, and nothing behind that */
    end = 16 + 16 + f.data[20];
    for (size_t i = 16; i <= end; i++) {
        for (int lost = 0; lost < 2; lost++) {
            uint8_t was = f.data[i], change = (uint8_t)(1 + 37 * i % 255);
            uint32_t damaged = 0;
            ae_item *items = NULL, one = {0};
            ae_container *c = NULL;
            ae_bytes bytes = bytes_of(&f);
            size_t n = 0;

            f.data[i] ^= i < end ? change : 0;
            bytes.size -= lost ? 1 : 0;
            /* by scanning a wrong header of a chunk is passed over */
            if (lost && i < 28)
                goto next;
            ok(ae_container_open(&bytes, NULL, &c, &err), &err);
            ok(ae_container_list(c, &items, &n, &err), &err);
            assert_int_equal(n, 1);
            ok(ae_container_find(c, "a name", &one, &err), &err);
            check_item(c, &one, &p, 0);
            ok(ae_container_check(c, &damaged, note_damage, &err), &err);
            assert_true(lost || (damaged > 0) == (i < end));
            ae_item_clear(&one);
        next:
            f.data[i] = was;
            ae_items_free(items, n);
            ae_container_free(c);
        }
    }
    free(p.pixels);
    free(f.data);
}

/* Chunks that are whole before the cut: their tiles must come back. */
static uint32_t whole_before(const file *f, size_t end)
{
    uint32_t n = 0;

    for (size_t at = 16; at + 16 <= end;) {
        uint32_t length = (uint32_t)f->data[at + 4] | (uint32_t)f->data[at + 5] << 8;

        if (at + 16 + length > end)
            break;
        n += f->data[at + 3] == 'T' ? 1 : f->data[at + 3] == 'N' ? 5 : 0;
        at += 16 + length;
    }
    return n;
}

static void test_truncation(void **state)
{
    picture p[3], small;
    size_t n;
    file f;

    (void)state;
    write_sample(&f, p, &small);
    n = f.n;
    assert_int_equal(whole_before(&f, n), 10);
    for (size_t i = 0; i < n; i++) {
        bool reported;
        uint32_t whole;

        f.n = i;
        whole = read_what_is_left(&f, p, &small, &reported);
        if (!reported || whole != whole_before(&f, i))
            fail_msg("cut to %zu of %zu bytes: %u tiles instead of %u, %sreported", i, n, whole,
                     whole_before(&f, i), reported ? "" : "not ");
    }
    for (int i = 0; i < 3; i++)
        free(p[i].pixels);
    free(small.pixels);
    free(f.data);
}

/* ---- interrupts ---- */

static ae_status read_and_stop(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    (void)err;
    memset(rows, 7, 30 * (size_t)n_rows);
    ((ae_cancel *)opaque)->requested = 1;
    return AE_OK;
}

static ae_status refuse_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                             ae_error *err)
{
    (void)opaque;
    (void)index;
    (void)data;
    (void)n_bytes;
    return ae_fail(err, AE_ERR_INTERNAL, "a tile after the interrupt");
}

static ae_status stop_and_give(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                               ae_error *err)
{
    (void)index;
    (void)err;
    ((ae_cancel *)opaque)->requested = 1;
    *data = "\10\0\200"; /* plain samples would follow */
    *n_bytes = 3;
    return AE_OK;
}

/* Within a row of tiles, too, since one may take long. */
static void test_interrupts(void **state)
{
    ae_cancel cancel = {0};
    ae_samples_options o = {
        .control.threads = 1, .control.cancel = &cancel, .control.lost = count_loss};
    picture p = make_picture(30, 20, 1, AE_U8, 1), to = {.info = p.info};
    ae_row_source rows = {p.info, &cancel, read_and_stop};
    ae_tile_sink tiles = {NULL, refuse_tile};
    ae_tile_source source = {&cancel, stop_and_give};
    ae_row_sink sink = {&to, collect};
    ae_error err;

    (void)state;
    assert_int_equal(ae_samples_encode(&o, &rows, &tiles, &err), AE_ERR_CANCELLED);
    cancel.requested = 0;
    assert_int_equal(ae_samples_decode(&p.info, &o, &source, &sink, &err), AE_ERR_CANCELLED);
    free(p.pixels);
}

/* ---- recovery ---- */

/* Whatever becomes of the indices and of a tile, an append loses no item that was ended. */
static void test_recovery(void **state)
{
    picture p = make_picture(700, 20, 1, AE_U8, 6);
    ae_container_writer *w;
    ae_container *c;
    ae_bytes bytes;
    ae_error err;
    uint64_t offset;
    const char *name;
    bool whole;
    size_t end, n;
    ae_item *items;
    file f;

    (void)state;
    file_init(&f);
    ok(ae_container_create(&f.sink, &w, &err), &err);
    write_picture(w, "a", &p, 0, &err);
    write_picture(w, "b", &p, 0, &err);
    end = f.n;
    ok(ae_container_interrupt(w, &err), &err);
    ae_container_writer_free(w);
    bytes = bytes_of(&f);
    ok(ae_container_open(&bytes, NULL, &c, &err), &err);
    assert_true(ae_container_unfinished(c));
    assert_null(ae_container_complaint(c));
    ae_container_free(c);
    f.data[f.n - 3] ^= 1;   /* the only footer */
    f.data[end - 100] ^= 1; /* within the second tile of b */
    bytes = bytes_of(&f);
    ok(ae_container_open(&bytes, NULL, &c, &err), &err);
    assert_true(ae_container_unfinished(c));
    ok(ae_container_append(c, &f.sink, &w, &offset, &err), &err);
    ae_container_free(c);
    assert_int_equal(offset, end);
    assert_true(ae_container_recovered(w, 0, &name, &whole) && whole && strcmp(name, "a") == 0);
    assert_true(ae_container_recovered(w, 1, &name, &whole) && !whole && strcmp(name, "b") == 0);
    assert_false(ae_container_recovered(w, 2, &name, &whole));
    f.n = offset;
    write_picture(w, "c", &p, 0, &err);
    ok(ae_container_finish(w, &err), &err);
    ae_container_writer_free(w);
    bytes = bytes_of(&f);
    ok(ae_container_open(&bytes, NULL, &c, &err), &err);
    assert_null(ae_container_complaint(c));
    assert_false(ae_container_unfinished(c));
    ok(ae_container_list(c, &items, &n, &err), &err);
    assert_int_equal(n, 3);
    check_item(c, &items[0], &p, 0);
    check_item(c, &items[2], &p, 0);
    ae_items_free(items, n);
    ae_container_free(c);
    free(p.pixels);
    free(f.data);
}

/* ---- appending ---- */

static void test_append(void **state)
{
    picture p = make_picture(12, 11, 3, AE_U8, 5);
    ae_container_writer *w;
    ae_error err;
    file f;

    (void)state;
    file_init(&f);
    ok(ae_container_create(&f.sink, &w, &err), &err);
    write_picture(w, "0", &p, 0, &err);
    ok(ae_container_finish(w, &err), &err);
    ae_container_writer_free(w);
    for (uint32_t i = 1; i < 25; i++) {
        size_t before = f.n;
        ae_container *c;
        ae_item *items, one;
        size_t n;
        uint64_t offset;
        char name[8];

        /* the first breaks off within its second item; the other goes on with what is whole */
        for (int attempt = 0; attempt < 2; attempt++) {
            ae_bytes bytes = bytes_of(&f);
            const char *found;
            bool whole;

            ok(ae_container_open(&bytes, NULL, &c, &err), &err);
            ok(ae_container_append(c, &f.sink, &w, &offset, &err), &err);
            assert_false(ae_container_unfinished(c));
            ae_container_free(c);
            assert_int_equal(offset, before);
            assert_true(ae_container_has_name(w, "0"));
            f.n = offset;
            snprintf(name, sizeof(name), "%u", i);
            assert_int_equal(ae_container_recovered(w, 0, &found, &whole), attempt);
            if (attempt) {
                assert_string_equal(found, name);
                assert_true(whole);
                assert_false(ae_container_recovered(w, 1, &found, &whole));
                ok(ae_container_finish(w, &err), &err);
            } else {
                write_picture(w, name, &p, 0, &err);
                before = f.n;
                ok(ae_container_begin(
                       w, &(ae_item){.name = (char *)(uintptr_t) "half", .info = p.info}, &err),
                   &err);
            }
            ae_container_writer_free(w);
            bytes = bytes_of(&f);
            ok(ae_container_open(&bytes, NULL, &c, &err), &err);
            assert_int_equal(ae_container_complaint(c) == NULL, attempt);
            ok(ae_container_list(c, &items, &n, &err), &err);
            assert_int_equal(n, i + 1 + !attempt); /* what was begun is found by scanning */
            for (size_t k = 0; k <= i; k++) {
                assert_int_equal(items[k].number, k);
                check_item(c, &items[k], &p, 0);
                ok(ae_container_find(c, items[k].name, &one, &err), &err);
                ae_item_clear(&one);
            }
            ae_items_free(items, n);
            ae_container_free(c);
        }
    }
    free(p.pixels);
    free(f.data);
}

/* ---- names ---- */

static void test_names(void **state)
{
    static const char *const bad[] = {"/a",   "..", "../a", "a/..",     "a/../b", ".",   "a/./b",
                                      "a//b", "a/", "a\nb", "a\033[2J", "a\\b",   "\177"};
    static const char *const good[] = {"a",   "a/b", "..a",     "a..",
                                       "...", "a b", ".hidden", "\303\251.png"};
    picture p = make_picture(2, 2, 1, AE_U8, 1);
    ae_container_writer *w;
    ae_error err;
    file f;

    (void)state;
    file_init(&f);
    ok(ae_container_create(&f.sink, &w, &err), &err);
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(ae_item_name_is_safe(good[i]));
        write_picture(w, good[i], &p, 0, &err);
        assert_int_equal(
            ae_container_begin(w, &(ae_item){.name = (char *)(uintptr_t)good[i], .info = p.info},
                               &err),
            AE_ERR_ARGUMENT);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(ae_item_name_is_safe(bad[i]));
        assert_int_equal(
            ae_container_begin(w, &(ae_item){.name = (char *)(uintptr_t)bad[i], .info = p.info},
                               &err),
            AE_ERR_ARGUMENT);
    }
    ae_container_writer_free(w);
    free(p.pixels);
    free(f.data);
}

/* What was held is in the file as if it had been written there. */
static void test_held(void **state)
{
    enum { MANY = 140 /* beyond numbers of one byte */ };
    picture p = make_picture(9, 5, 3, AE_U8, 7);
    ae_container_writer *w[2], *held = NULL;
    ae_error err;
    file f[2];

    (void)state;
    for (int k = 0; k < 2; k++) {
        file_init(&f[k]);
        ok(ae_container_create(&f[k].sink, &w[k], &err), &err);
    }
    for (int i = 0; i < MANY; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%d", i);
        write_picture(w[0], name, &p, 0, &err);
        ok(ae_container_hold(&held, &err), &err);
        write_picture(held, name, &p, 0, &err);
        ok(ae_container_write_held(w[1], held, &err), &err);
        assert_int_equal(ae_container_write_held(w[1], held, &err), AE_ERR_ARGUMENT);
        ae_container_writer_free(held);
    }
    ok(ae_container_hold(&held, &err), &err);
    assert_int_equal(ae_container_write_held(w[1], held, &err), AE_ERR_ARGUMENT);
    ok(ae_container_begin(held, &(ae_item){.name = "x", .info = p.info}, &err), &err);
    assert_int_equal(ae_container_write_held(w[1], held, &err), AE_ERR_ARGUMENT);
    ae_container_writer_free(held);
    for (int k = 0; k < 2; k++) {
        ok(ae_container_finish(w[k], &err), &err);
        ae_container_writer_free(w[k]);
    }
    assert_int_equal(f[0].n, f[1].n);
    assert_memory_equal(f[0].data, f[1].data, f[0].n);
    free(f[0].data);
    free(f[1].data);
    free(p.pixels);
}

/* ---- many items ---- */

static void test_many(void **state)
{
    enum { N = 100000, A_PACK = 200 };
    uint8_t pixels[A_PACK * 16];
    const char *names[A_PACK];
    char text[A_PACK][40];
    ae_item like = {.info = {.kind = AE_KIND_IMAGE,
                             .sample = AE_U8,
                             .bits = 8,
                             .channels = 1,
                             .width = 4,
                             .height = 4}};
    ae_container_writer *w;
    ae_container *c;
    ae_bytes bytes;
    ae_item one;
    ae_error err;
    file f;

    (void)state;
    file_init(&f);
    ok(ae_container_create(&f.sink, &w, &err), &err);
    for (uint32_t i = 0; i < N; i += A_PACK) {
        for (uint32_t j = 0; j < A_PACK; j++) {
            names[j] = text[j];
            snprintf(text[j], sizeof(text[j]), "class-%u/picture-%06u.png", (i + j) / 1000, i + j);
        }
        memset(pixels, (int)(i / A_PACK % 256), sizeof(pixels));
        ok(ae_container_write_pack(w, &like, names, A_PACK, pixels, &err), &err);
    }
    ok(ae_container_finish(w, &err), &err);
    ae_container_writer_free(w);
    print_message("%.2f bytes an item, its name included\n", (double)f.n / N);
    assert_true((double)f.n / N <= 20); /* names stand in pack and index, without what they share */

    for (uint32_t i = 0; i < N; i += 7919) {
        ae_item_reader *r;
        uint8_t got[16];

        f.reads = f.read_bytes = 0;
        bytes = bytes_of(&f);
        ok(ae_container_open(&bytes, NULL, &c, &err), &err);
        snprintf(text[0], sizeof(text[0]), "class-%u/picture-%06u.png", i / 1000, i);
        ok(ae_container_find(c, text[0], &one, &err), &err);
        ok(ae_item_open(c, &one, &r, &err), &err);
        ok(ae_item_unpack(r, one.position, got, &err), &err);
        assert_int_equal(one.number, i);
        assert_int_equal(got[5], i / A_PACK % 256);
        if (f.read_bytes > 65536)
            fail_msg("%zu bytes read in %zu pieces", f.read_bytes, f.reads);
        ae_item_free(r);
        ae_item_clear(&one);
        ae_container_free(c);
    }
    print_message("%zu bytes in %zu reads for one of %d\n", f.read_bytes, f.reads, N);
    free(f.data);
}

/* ---- metadata ---- */

static void test_meta(void **state)
{
    picture p = make_picture(5, 5, 3, AE_U8, 5);
    ae_item item = {.name = (char *)(uintptr_t) "x", .info = p.info}, one;
    static uint8_t large[20000];
    ae_meta meta = {0}, back;
    ae_container_writer *w;
    ae_item_reader *r;
    ae_container *c;
    ae_error err;
    file f;

    (void)state;
    file_init(&f);
    ok(ae_meta_add(&meta, AE_META_ICC, NULL, large, sizeof(large), &err), &err);
    ok(ae_meta_add(&meta, AE_META_EXIF, NULL, "II*\0", 4, &err), &err);
    ok(ae_meta_add(&meta, AE_META_TEXT, "Author", "me", 2, &err), &err);
    ok(ae_meta_add(&meta, AE_META_TEXT, "Empty", "", 0, &err), &err);
    ok(ae_container_create(&f.sink, &w, &err), &err);
    ok(ae_container_begin(w, &item, &err), &err);
    ok(ae_container_write_meta(w, &meta, &err), &err);
    ok(ae_container_end(w, NULL, &err), &err);
    ok(ae_container_finish(w, &err), &err);
    ae_container_writer_free(w);
    ok(ae_container_open(&(ae_bytes){&f, f.n, file_read}, NULL, &c, &err), &err);
    ok(ae_container_find(c, "x", &one, &err), &err);
    ok(ae_item_open(c, &one, &r, &err), &err);
    assert_int_equal(ae_item_meta(r, &(ae_limits){.max_meta = 100}, &back, &err), AE_ERR_LIMIT);
    ok(ae_item_meta(r, NULL, &back, &err), &err);
    assert_int_equal(back.n_items, meta.n_items);
    for (size_t i = 0; i < meta.n_items; i++) {
        assert_int_equal(back.items[i].kind, meta.items[i].kind);
        assert_int_equal(back.items[i].n_bytes, meta.items[i].n_bytes);
        assert_memory_equal(back.items[i].value, meta.items[i].value, meta.items[i].n_bytes);
        if (meta.items[i].key)
            assert_string_equal(back.items[i].key, meta.items[i].key);
    }
    ae_meta_clear(&meta);
    ae_meta_clear(&back);
    ae_item_free(r);
    ae_item_clear(&one);
    ae_container_free(c);
    free(p.pixels);
    free(f.data);
}

typedef struct kept {
    uint8_t *data;
    size_t n;
} kept;

static ae_status keep_tile(void *opaque, uint32_t index, const void *data, size_t n, ae_error *err)
{
    kept *k = opaque;

    (void)err;
    assert_int_equal(index, 0);
    k->data = malloc(n);
    assert_non_null(k->data);
    k->n = n;
    memcpy(k->data, data, n);
    return AE_OK;
}

static ae_status give_tile(void *opaque, uint32_t index, const void **data, size_t *n,
                           ae_error *err)
{
    const kept *k = opaque;

    (void)index;
    (void)err;
    *data = k->data;
    *n = k->n;
    return AE_OK;
}

/* Bounds of any 1/48: no row errs by more than it may, and what more it may err saves bytes. */
static void test_bounds(void **state)
{
    static const uint32_t bounds[] = {0, 12, 16, 40, 48, 90, 144};
    picture p = make_picture(60, 100, 3, AE_U8, 9);
    size_t last = SIZE_MAX;

    (void)state;
    for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
        ae_samples_options options = {.bound = bounds[i], .control.threads = 1};
        kept k = {NULL, 0};
        picture got = {.info = p.info, .n = p.n, .pixels = malloc(p.n)};
        ae_row_source source = {p.info, &p, read_picture};
        ae_tile_sink tiles = {&k, keep_tile};
        ae_tile_source coded = {&k, give_tile};
        ae_row_sink sink = {&got, collect};
        ae_error err;

        p.at = 0;
        ok(ae_samples_encode(&options, &source, &tiles, &err), &err);
        ok(ae_samples_decode(&p.info, &options, &coded, &sink, &err), &err);
        assert_int_equal(k.data[0], bounds[i] % 16 ? 8 | 32 : 8);
        assert_true(k.n < last);
        last = k.n;
        for (uint32_t at = 0; at < p.n; at++) {
            static const uint32_t coded_as[3] = {1, 0, 2}; /* green comes first */
            uint32_t y = at / 180, c = coded_as[at % 3];

            assert_in_range(abs(got.pixels[at] - p.pixels[at]), 0,
                            (bounds[i] + 16 * ((c + y) % 3) + y / 3 * 7 % 16) / 48);
        }
        free(got.pixels);
        free(k.data);
    }
    free(p.pixels);
}

/* Equal channels come back equal, whatever they may be off by; each is within the bound that the
 * first one coded has. */
static void test_equal_channels(void **state)
{
    (void)state;
    for (uint32_t channels = 3; channels <= 4; channels++)
        for (ae_sample sample = AE_U8; sample <= AE_U16;
             sample = sample == AE_U8 ? AE_U16 : sample + 1) {
            picture p = make_picture(60, 100, channels, sample, 5);
            size_t bytes = ae_sample_bytes(sample), most = sample == AE_U8 ? 7 : 7 * 257;
            ae_samples_options options = {.bound = AE_BOUND_ONE * (uint32_t)most,
                                          .control.threads = 1};
            kept k = {NULL, 0};
            picture got = {.info = p.info, .n = p.n, .pixels = malloc(p.n)};
            ae_row_source source = {p.info, &p, read_picture};
            ae_tile_sink tiles = {&k, keep_tile};
            ae_tile_source coded = {&k, give_tile};
            ae_row_sink sink = {&got, collect};
            size_t off = 0;
            ae_error err;

            for (size_t i = 0; i < 60 * 100; i++)
                for (size_t c = 1; c < 3; c++)
                    memcpy(p.pixels + (channels * i + c) * bytes, p.pixels + channels * i * bytes,
                           bytes);
            p.at = 0;
            ok(ae_samples_encode(&options, &source, &tiles, &err), &err);
            ok(ae_samples_decode(&p.info, &options, &coded, &sink, &err), &err);
            for (size_t i = 0; i < 60 * 100; i++) {
                const uint8_t *v = got.pixels + channels * i * bytes,
                              *was = p.pixels + channels * i * bytes;
                int is = bytes == 1 ? *v : *(const uint16_t *)(const void *)v;
                int had = bytes == 1 ? *was : *(const uint16_t *)(const void *)was;

                assert_memory_equal(v, v + bytes, bytes);
                assert_memory_equal(v, v + 2 * bytes, bytes);
                if (channels == 4)
                    assert_memory_equal(v + 3 * bytes, was + 3 * bytes, bytes);
                assert_in_range(abs(is - had), 0, most);
                off += is != had;
            }
            assert_true(off > 1000);
            free(got.pixels);
            free(k.data);
            free(p.pixels);
        }
}

/* Floats keep every bit, also of what is no number; what is lost is 0, previews are means, and no
 * error can be asked for. */
static void test_floats(void **state)
{
    static const uint32_t bits[] = {0,          0x80000000, 1,          0x80000001,
                                    0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345,
                                    0x7f800001, 0x3f800000, 0xbf800000, 0x7f7fffff,
                                    0xff7fffff, 0x38800000, 0x00ffffff, 0x47000000};
    enum { W = 600, H = 16, N = sizeof(bits) / sizeof(*bits) };

    (void)state;
    for (int kind = 0; kind < 3; kind++) { /* odd ones; of few bits; whole numbers */
        picture p = make_picture(W, H, 1, AE_F32, 3), got;
        float *v = (float *)(void *)p.pixels;
        ae_item like = {.info = p.info}, item;
        const char *name = "packed";
        ae_container_writer *w;
        ae_container *c;
        losses l = {0};
        ae_error err;
        file f;
        size_t n_plain;

        for (uint32_t i = 0; i < W * H; i++) {
            if (kind == 0)
                memcpy(&v[i], &bits[i * 7 / 3 % N], 4);
            else
                v[i] = kind == 1 ? -0.5f + (float)(i % W) / 1024 : (float)(i % 100);
        }
        file_init(&f);
        ok(ae_container_create(&f.sink, &w, &err), &err);
        write_picture(w, "plain", &p, 0, &err);
        n_plain = f.n;
        ok(ae_container_write_pack(w, &like, &name, 1, p.pixels, &err), &err);
        ok(ae_container_finish(w, &err), &err);
        ae_container_writer_free(w);
        assert_true(kind == 0 || n_plain < p.n / 8); /* the lower halves take next to nothing */
        ok(ae_container_open(&(ae_bytes){&f, f.n, file_read}, NULL, &c, &err), &err);
        for (int packed = 0; packed < 2; packed++) {
            ok(ae_container_find(c, packed ? "packed" : "plain", &item, &err), &err);
            check_item(c, &item, &p, 0);
            ae_item_clear(&item);
        }
        ok(ae_container_find(c, "plain", &item, &err), &err);
        ok(read_item(c, &item, (ae_samples_options){.region = {500, 3, 50, 2}}, NULL, &got, &err),
           &err);
        assert_memory_equal(got.pixels + 50 * 4, v + 4 * W + 500, 50 * 4);
        free(got.pixels);
        if (kind) {
            double sum = 0;

            for (uint32_t i = 0; i < 64; i++)
                sum += (double)v[i / 8 * W + i % 8];
            ok(read_item(c, &item, (ae_samples_options){.preview = true}, NULL, &got, &err), &err);
            assert_true(*(float *)(void *)got.pixels == (float)(sum / 64));
            free(got.pixels);
        }
        /* a flipped bit in the first tile's data */
        f.data[n_plain / 3] ^= 1;
        ok(read_item(c, &item, (ae_samples_options){0}, &l, &got, &err), &err);
        assert_int_equal(l.n, 1);
        assert_true(((float *)(void *)got.pixels)[l.lost[0] ? 0 : W - 1] == 0);
        assert_memory_equal(got.pixels + 4 * (l.lost[0] ? W - 1 : 0), v + (l.lost[0] ? W - 1 : 0),
                            4);
        free(got.pixels);
        ae_item_clear(&item);
        ae_container_free(c);
        {
            ae_samples_options within = {.bound = AE_BOUND_ONE};
            ae_row_source source = {p.info, &p, read_picture};

            assert_int_equal(ae_samples_encode(&within, &source, &(ae_tile_sink){NULL, NULL}, &err),
                             AE_ERR_ARGUMENT);
        }
        free(f.data);
        free(p.pixels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_drawings),
        cmocka_unit_test(test_regions),    cmocka_unit_test(test_flips),
        cmocka_unit_test(test_truncation), cmocka_unit_test(test_append),
        cmocka_unit_test(test_recovery),   cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_held),
        cmocka_unit_test(test_many),       cmocka_unit_test(test_meta),
        cmocka_unit_test(test_bounds),     cmocka_unit_test(test_equal_channels),
        cmocka_unit_test(test_floats),     cmocka_unit_test(test_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
