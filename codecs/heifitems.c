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

/* What the entries of a file come to. */
typedef struct counts {
    uint32_t pictures, parts;
    uint32_t grids[64]; /* numbers of those that consist of tiles */
    size_t n_grids;
} counts;

/* Entries that are pictures and not hidden. */
static void count_entries(boxes list, counts *c)
{
    char type[4];
    boxes entry;

    take(&list, take(&list, 4) >> 24 ? 4 : 2); /* how many: all that are there */
    while (next_box(&list, type, &entry)) {
        uint64_t head = take(&entry, 4);
        uint32_t number;
        bool grid;

        if (memcmp(type, "infe", 4) != 0 || head >> 24 < 2 || head & 1)
            continue;
        number = (uint32_t)take(&entry, head >> 24 == 2 ? 2 : 4);
        take(&entry, 2); /* how it is protected */
        if (entry.n < 4)
            continue;
        grid = memcmp(entry.at, "grid", 4) == 0;
        c->pictures += grid || memcmp(entry.at, "av01", 4) == 0;
        if (grid && c->n_grids < sizeof(c->grids) / sizeof(*c->grids))
            c->grids[c->n_grids++] = number;
    }
}

/* Of them, those that belong to another: alpha, depth, thumbnails, tiles that are not hidden. */
static void count_parts(boxes references, counts *c)
{
    size_t width = take(&references, 4) >> 24 ? 4 : 2;
    char type[4];
    boxes one;

    while (next_box(&references, type, &one)) {
        bool tiles = memcmp(type, "dimg", 4) == 0;
        uint64_t from = take(&one, width), n = take(&one, 2);

        if (memcmp(type, "auxl", 4) == 0 || memcmp(type, "thmb", 4) == 0)
            c->parts++;
        for (size_t i = 0; tiles && i < c->n_grids; i++)
            c->parts += c->grids[i] == from ? (uint32_t)n : 0;
    }
}

uint32_t aei_heif_pictures(ae_source *source)
{
    enum { MOST = 1 << 18 };
    uint8_t *data = ae_alloc(MOST, 1);
    counts c = {0};
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
            count_entries(inner, &c);
        else if (memcmp(type, "iref", 4) == 0)
            count_parts(inner, &c);
    }
    ae_source_seek(source, 0);
    ae_free(data);
    return c.pictures > c.parts ? c.pictures - c.parts : 0;
}
