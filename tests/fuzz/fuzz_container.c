/* SPDX-License-Identifier: BSD-2-Clause
 *
 * .aec files: as they come and with their checksums put right, which no mutation would find.
 * Everything is listed, looked up, opened and decoded within small limits. */
#include <stdlib.h>
#include <string.h>

#include "container/frame.h"
#include "model/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { MOST_PIXELS = 128 };

static const ae_limits limits = {.max_pixels = 1 << 14, .max_edge = 4096, .max_meta = 1 << 16};

typedef struct memory {
    const uint8_t *data;
    size_t n;
} memory;

static size_t read_memory(void *opaque, uint64_t at, void *to, size_t n)
{
    const memory *m = opaque;

    if (at > m->n)
        return 0;
    n = n < m->n - at ? n : m->n - (size_t)at;
    memcpy(to, m->data + at, n);
    return n;
}

static ae_status read_tile(void *opaque, uint32_t index, const void **data, size_t *n,
                           ae_error *err)
{
    return ae_item_tile(opaque, AE_TILE_COLOURS, index, data, n, err);
}

static ae_status drop(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    (void)opaque;
    (void)rows;
    (void)n_rows;
    (void)err;
    return AE_OK;
}

static void note(void *opaque, uint32_t index, const char *why)
{
    (void)opaque;
    (void)index;
    if (!why)
        abort();
}

static void note_damage(void *opaque, uint64_t offset, const char *why)
{
    note(opaque, (uint32_t)offset, why);
}

/* `samples`: decode them, too, where they are few; fuzz_samples does little else. */
static void try_item(ae_container *c, const ae_item *item, bool samples)
{
    ae_samples_options options = {.control.threads = 1, .control.lost = note};
    ae_item_reader *r = NULL;
    ae_row_sink sink = {NULL, drop};
    uint8_t hash[16], *pixels;
    ae_meta meta;
    ae_item again;
    ae_error err;

    if (ae_container_find(c, item->name, &again, &err) == AE_OK)
        ae_item_clear(&again);
    if (ae_item_open(c, item, &r, &err) != AE_OK)
        return;
    ae_item_hash(r, hash);
    if (ae_item_meta(r, &limits, &meta, &err) == AE_OK)
        ae_meta_clear(&meta);
    if (!samples ||
        item->info.width * item->info.height * (item->packed ? item->packed : 1) > MOST_PIXELS) {
        ae_item_free(r);
        return;
    }
    if (item->packed && (pixels = malloc(ae_row_bytes(&item->info) * item->info.height)) != NULL) {
        if (ae_item_unpack(r, item->position, pixels, &err) == AE_OK && !ae_item_hash(r, hash))
            abort();
        free(pixels);
    } else if (item->coding == AE_ITEM_SAMPLES) {
        ae_tile_source source = {r, read_tile};

        if (item->info.kind == AE_KIND_TENSOR) {
            ae_arrays_options arrays = {.control.threads = 1, .control.lost = note};

            if (ae_arrays_decode(item, &arrays, &source, &sink, &err) != AE_OK && !err.message[0])
                abort();
        } else if (ae_samples_decode(&item->info, &options, &source, &sink, &err) != AE_OK &&
                   !err.message[0])
            abort();
    }
    ae_item_free(r);
}

static void try_file(const uint8_t *data, size_t n_bytes)
{
    memory m = {data, n_bytes};
    ae_bytes bytes = {&m, n_bytes, read_memory};
    ae_container *c = NULL;
    ae_item *items = NULL;
    size_t n = 0;
    ae_error err;

    if (ae_container_open(&bytes, &limits, &c, &err) != AE_OK)
        return;
    if (ae_container_check(c, NULL, note_damage, &err) != AE_OK)
        abort();
    if (ae_container_list(c, &items, &n, &err) == AE_OK) {
        ae_item_fields *fields = malloc((n + 1) * sizeof(*fields));

        if (fields && ae_container_fields(c, items, n, fields, &err) != AE_OK)
            abort();
        free(fields);
        for (size_t i = 0; i < n && i < 16; i++)
            try_item(c, &items[i], i < 2);
    }
    ae_items_free(items, n);
    ae_container_free(c);
}

/* Checksums of header, chunks and footers. */
static void seal(uint8_t *p, size_t n)
{
    aei_store32(p + 12, aei_crc32c(0, p, 12));
    for (size_t at = AEI_AEC_HEADER; n - at >= AEI_AEC_EXTRA;) {
        size_t length = aei_load32(p + at + 4);

        if (memcmp(p + at + 12, aei_aec_end, 4) == 0) {
            aei_store32(p + at + 8, aei_crc32c(0, p + at, 8));
            at += AEI_AEC_FOOTER;
            continue;
        }
        if (length > n - at - AEI_AEC_EXTRA)
            return;
        aei_store32(p + at + 8, aei_crc32c(0, p + at, 8));
        aei_store32(p + at + AEI_AEC_CHUNK + length, aei_crc32c(0, p + at + AEI_AEC_CHUNK, length));
        at += length + AEI_AEC_EXTRA;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    uint8_t *sealed;

    try_file(data, n_bytes);
    if (n_bytes < AEI_AEC_HEADER || !(sealed = malloc(n_bytes)))
        return 0;
    memcpy(sealed, data, n_bytes);
    seal(sealed, n_bytes);
    try_file(sealed, n_bytes);
    free(sealed);
    return 0;
}
