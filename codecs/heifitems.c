/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How many pictures a file of HEIF's kind lists, from its boxes alone. */
#include <string.h>

#include "adapter.h"

/* Bytes of a box that are left. */
typedef struct boxes {
    const uint8_t *at;
    size_t n;
} boxes;

static uint64_t take(boxes *b, size_t n)
{
    uint64_t v = 0;

    n = n < b->n ? n : b->n;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | b->at[i];
    b->at += n;
    b->n -= n;
    return v;
}

/* The next box within; false at the end and where it is longer than what is around it. */
static bool next_box(boxes *in, char type[4], boxes *out)
{
    uint64_t size;

    if (in->n < 8)
        return false;
    size = take(in, 4);
    memcpy(type, in->at, 4);
    take(in, 4);
    if (size < 8 || size - 8 > in->n)
        return false;
    *out = (boxes){in->at, (size_t)size - 8};
    in->at += size - 8;
    in->n -= size - 8;
    return true;
}

/* Entries that are pictures and not hidden. */
static uint32_t count_entries(boxes list)
{
    uint32_t n = 0;
    char type[4];
    boxes entry;

    take(&list, take(&list, 4) >> 24 ? 4 : 2); /* how many: all that are there */
    while (next_box(&list, type, &entry)) {
        uint64_t head = take(&entry, 4);

        if (memcmp(type, "infe", 4) != 0 || head >> 24 < 2 || head & 1)
            continue;
        take(&entry, head >> 24 == 2 ? 4 : 6); /* its number, and how it is protected */
        n += entry.n >= 4 && (memcmp(entry.at, "av01", 4) == 0 || memcmp(entry.at, "grid", 4) == 0);
    }
    return n;
}

/* Of them, those that belong to another: alpha, depth, thumbnails. */
static uint32_t count_parts(boxes references)
{
    uint32_t n = 0;
    char type[4];
    boxes one;

    take(&references, 4);
    while (next_box(&references, type, &one))
        n += memcmp(type, "auxl", 4) == 0 || memcmp(type, "thmb", 4) == 0;
    return n;
}

uint32_t aei_heif_pictures(ae_source *source)
{
    enum { MOST = 1 << 18 };
    uint8_t *data = ae_alloc(MOST, 1);
    uint32_t entries = 0, parts = 0;
    bool found = false;
    char type[4];
    boxes file, meta, inner;

    if (!data)
        return 0;
    file = (boxes){data, ae_source_seek(source, 0) ? ae_source_read(source, data, MOST) : 0};
    while (!found && next_box(&file, type, &meta))
        found = memcmp(type, "meta", 4) == 0 && take(&meta, 4) == 0;
    while (found && next_box(&meta, type, &inner)) {
        if (memcmp(type, "iinf", 4) == 0)
            entries = count_entries(inner);
        else if (memcmp(type, "iref", 4) == 0)
            parts = count_parts(inner);
    }
    ae_source_seek(source, 0);
    ae_free(data);
    return entries > parts ? entries - parts : 0;
}
