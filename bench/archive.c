/* SPDX-License-Identifier: BSD-2-Clause
 *
 * archive: what a container costs. Bytes beside the coded data of a picture of one megapixel and of
 * packed items, and time and bytes read to reach one item of 100,000 in a file: opening it, finding
 * the name, reading the coded pack; and decoding that. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ae/container.h"

enum { N = 100000, A_PACK = 83, EDGE = 28, TRIALS = 200 };

typedef struct disk {
    ae_sink sink;
    FILE *f;
    uint64_t n_read;
} disk;

static ae_status write_disk(void *opaque, const void *data, size_t n, ae_error *err)
{
    return fwrite(data, 1, n, ((disk *)opaque)->f) == n ? AE_OK
                                                        : ae_fail(err, AE_ERR_IO, "write error");
}

static size_t read_disk(void *opaque, uint64_t offset, void *to, size_t n)
{
    disk *d = opaque;
    ssize_t got = pread(fileno(d->f), to, n, (off_t)offset);

    d->n_read += n;
    return got > 0 ? (size_t)got : 0;
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ae_status frame(uint32_t width, uint32_t height, ae_error *err)
{
    static const uint8_t coded[1] = {0}, hash[16] = {0};
    disk d = {.sink = {.opaque = &d, .write = write_disk}, .f = tmpfile()};
    ae_item item = {.name = "photograph.jpg",
                    .coding = AE_ITEM_NETWORK,
                    .info = {.kind = AE_KIND_IMAGE,
                             .sample = AE_U8,
                             .bits = 8,
                             .channels = 3,
                             .width = width,
                             .height = height}};
    uint32_t tiles = (width + 511) / 512 * ((height + 511) / 512);
    ae_container_writer *w = NULL;
    ae_status st = d.f ? ae_container_create(&d.sink, &w, err)
                       : ae_fail(err, AE_ERR_IO, "no temporary file");

    if (st == AE_OK)
        st = ae_container_begin(w, &item, err);
    for (uint32_t i = 0; i < tiles && st == AE_OK; i++)
        st = ae_container_write_tile(w, AE_TILE_COLOURS, i, coded, sizeof(coded), err);
    if (st == AE_OK && (st = ae_container_end(w, hash, err)) == AE_OK &&
        (st = ae_container_finish(w, err)) == AE_OK) {
        double n = (double)(ae_container_written(w) - tiles);

        printf("%u x %u, %u tiles: %.0f bytes beside them, %.2f %% at 0.25 bits a pixel\n", width,
               height, tiles, n, 100 * n * 8 / (0.25 * width * height));
    }
    ae_container_writer_free(w);
    if (d.f)
        fclose(d.f);
    return st;
}

static void name_item(uint32_t i, const char *pattern, char text[48])
{
    snprintf(text, 48, pattern, i / 1000, i); /* one of those below */
}

static ae_status write_items(disk *d, const char *pattern, ae_error *err)
{
    static uint8_t pixels[A_PACK * EDGE * EDGE];
    static char text[A_PACK][48];
    const ae_item like = {.info = {.kind = AE_KIND_IMAGE,
                                   .sample = AE_U8,
                                   .bits = 8,
                                   .channels = 1,
                                   .width = EDGE,
                                   .height = EDGE}};
    const char *names[A_PACK];
    ae_packed packed = {0};
    ae_container_writer *w = NULL;
    size_t n_coded = 0;
    ae_status st = ae_container_create(&d->sink, &w, err);

    for (uint32_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i * i / 97 % 61);
    for (uint32_t i = 0; i < N && st == AE_OK; i += A_PACK) {
        uint32_t n = N - i < A_PACK ? N - i : A_PACK;

        for (uint32_t j = 0; j < n; j++) {
            name_item(i + j, pattern, text[j]);
            names[j] = text[j];
        }
        if (!packed.data || n < A_PACK) { /* what is in the packs does not matter here */
            ae_free(packed.data);
            st = ae_pack(&like, n, pixels, &packed, err);
        }
        n_coded += packed.n_bytes;
        if (st == AE_OK)
            st = ae_container_write_packed(w, &like, names, n, &packed, err);
    }
    if (st == AE_OK && (st = ae_container_finish(w, err)) == AE_OK)
        printf("%d packed items called like %s: %.1f bytes each beside coded samples, the names "
               "included\n",
               N, text[0], (double)(ae_container_written(w) - n_coded) / N);
    if (st == AE_OK && fflush(d->f) != 0)
        st = ae_fail(err, AE_ERR_IO, "write error");
    ae_free(packed.data);
    ae_container_writer_free(w);
    return st;
}

static ae_status reach(disk *d, const char *pattern, ae_error *err)
{
    ae_bytes bytes = {d, (uint64_t)ftell(d->f), read_disk};
    double best[2] = {1, 1}, decoding = 1;
    uint64_t most = 0;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < TRIALS && st == AE_OK; i++) {
        double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), now;
        uint8_t samples[EDGE * EDGE], hash[16];
        ae_container *c = NULL;
        ae_item_reader *r = NULL;
        ae_item item = {0};
        char name[48];

        d->n_read = 0;
        name_item(i * 7919 % N, pattern, name);
        if ((st = ae_container_open(&bytes, NULL, &c, err)) == AE_OK &&
            (st = ae_container_find(c, name, &item, err)) == AE_OK &&
            (st = ae_item_open(c, &item, &r, err)) == AE_OK && !ae_item_hash(r, hash))
            st = ae_fail(err, AE_ERR_MALFORMED, "a pack cannot be read");
        now = seconds(CLOCK_PROCESS_CPUTIME_ID);
        best[0] = now - cpu < best[0] ? now - cpu : best[0];
        wall = seconds(CLOCK_MONOTONIC) - wall;
        best[1] = wall < best[1] ? wall : best[1];
        most = d->n_read > most ? d->n_read : most;
        if (st == AE_OK && i < 5 &&
            (st = ae_item_unpack(r, item.position, samples, err)) == AE_OK) {
            cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - now;
            decoding = cpu < decoding ? cpu : decoding;
        }
        ae_item_free(r);
        ae_item_clear(&item);
        ae_container_free(c);
    }
    if (st == AE_OK)
        printf("one of %d: %.3f ms of processor, %.3f ms at best, at most %.1f KiB read; %.1f ms "
               "more to decode its pack\n",
               N, 1e3 * best[0], 1e3 * best[1], (double)most / 1024, 1e3 * decoding);
    return st;
}

int main(void)
{
    static const char *const patterns[] = {"class-%u/picture-%06u.png", "images-%02u/%06u"};
    ae_error err = {0};
    ae_status st = frame(1024, 1024, &err);

    if (st == AE_OK)
        st = frame(1224, 816, &err);
    for (int i = 0; i < 2 && st == AE_OK; i++) {
        disk d = {.sink = {.opaque = &d, .write = write_disk}, .f = tmpfile()};

        st = d.f ? write_items(&d, patterns[i], &err)
                 : ae_fail(&err, AE_ERR_IO, "no temporary file");
        if (st == AE_OK)
            st = reach(&d, patterns[i], &err);
        if (d.f)
            fclose(d.f);
    }
    if (st != AE_OK)
        fprintf(stderr, "archive: %s\n", err.message);
    return st != AE_OK;
}
