/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading .aec: by footer and index, or where these are damaged by scanning for chunks. Every byte is a stranger's. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "frame.h"
#include "model/format.h"
#include "samples.h"

enum { WINDOW = 1 << 16, MAX_ITEMS = 1 << 26 };

typedef struct items {
    ae_item *all;
    size_t n, capacity;
} items;

struct ae_container {
    ae_bytes bytes;
    ae_limits limits;
    aei_tail tail;
    items scanned;       /* where there is no index to go by */
    bool by_scan;
    char complaint[504]; /* "": none */
};

struct ae_item_reader {
    const ae_container *container;
    ae_item item;
    uint32_t n_tiles;
    struct place { uint64_t offset; uint32_t n_bytes; } *tiles, *alpha; /* payloads; n_bytes 0: missing */
    struct place meta, hash, pack;
    uint8_t *buffer;
    size_t capacity;
};

static ae_status out_of_memory(ae_error *err)
{
    return ae_fail(err, AE_ERR_NOMEM, "container");
}

static void complain(ae_container *c, const char *text)
{
    if (!*c->complaint)
        snprintf(c->complaint, sizeof(c->complaint), "%s", text);
}

static bool read_at(const ae_container *c, uint64_t offset, void *to, size_t n_bytes)
{
    return offset <= c->bytes.size && n_bytes <= c->bytes.size - offset && c->bytes.read(c->bytes.opaque, offset, to, n_bytes) == n_bytes;
}

/* The header of the chunk at offset; false where none is, or where it runs past the end. */
static bool chunk_at(const ae_container *c, uint64_t offset, uint8_t *type, uint32_t *n_bytes)
{
    uint8_t header[AEI_AEC_CHUNK];

    return read_at(c, offset, header, sizeof(header)) && aei_parse_chunk(header, type, n_bytes) &&
           *n_bytes <= c->bytes.size - offset - AEI_AEC_CHUNK && 4 <= c->bytes.size - offset - AEI_AEC_CHUNK - *n_bytes;
}

/* A payload of n_bytes at offset into a buffer that grows, checked against the checksum that follows it. */
static ae_status load(const ae_container *c, uint64_t offset, uint32_t n_bytes, uint8_t **buffer, size_t *capacity, ae_error *err)
{
    if (n_bytes + 4ull > *capacity) {
        ae_free(*buffer);
        *capacity = 0;
        if (!(*buffer = ae_alloc(n_bytes + 4ull, 1)))
            return out_of_memory(err);
        *capacity = n_bytes + 4ull;
    }
    if (!read_at(c, offset, *buffer, n_bytes + 4ull))
        return ae_fail(err, AE_ERR_IO, "cannot read %u bytes at %llu", n_bytes, (unsigned long long)offset);
    if (aei_crc32c(0, *buffer, n_bytes) != aei_load32(*buffer + n_bytes))
        return ae_fail(err, AE_ERR_CHECKSUM, "the chunk at byte %llu is damaged", (unsigned long long)offset - AEI_AEC_CHUNK);
    return AE_OK;
}

/* The whole chunk of that type at offset. */
static ae_status load_chunk(const ae_container *c, uint64_t offset, uint8_t type, uint32_t most, uint8_t **buffer, size_t *capacity,
                            uint32_t *n_bytes, ae_error *err)
{
    uint8_t found;

    if (!chunk_at(c, offset, &found, n_bytes) || found != type)
        return ae_fail(err, AE_ERR_MALFORMED, "no chunk '%c' at byte %llu", type, (unsigned long long)offset);
    if (*n_bytes > most)
        return ae_fail(err, AE_ERR_LIMIT, "a chunk '%c' of %u bytes (at most %u)", type, *n_bytes, most);
    return load(c, offset + AEI_AEC_CHUNK, *n_bytes, buffer, capacity, err);
}

/* ---- items ---- */

void ae_item_clear(ae_item *item)
{
    ae_free(item->name);
    *item = (ae_item){0};
}

void ae_items_free(ae_item *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ae_free(all[i].name);
    ae_free(all);
}

static ae_status check_size(const ae_container *c, const ae_item *item, ae_error *err)
{
    uint64_t w = item->info.width, h = item->info.height;

    if (w > c->limits.max_edge || h > c->limits.max_edge)
        return ae_fail(err, AE_ERR_LIMIT, "an edge of %llu pixels exceeds max_edge (%llu)", (unsigned long long)(w > h ? w : h),
                       (unsigned long long)c->limits.max_edge);
    if (w * h > c->limits.max_pixels)
        return ae_fail(err, AE_ERR_LIMIT, "%llu x %llu pixels exceed max_pixels (%llu)", (unsigned long long)w, (unsigned long long)h,
                       (unsigned long long)c->limits.max_pixels);
    return AE_OK;
}

static ae_status append(items *l, const ae_item *item, const char *name, size_t n_name, ae_error *err)
{
    char *copy = ae_alloc(n_name + 1, 1);

    if (copy && l->n == l->capacity) {
        size_t capacity = 2 * l->capacity + 16;
        ae_item *all = capacity <= MAX_ITEMS ? ae_realloc(l->all, l->n * sizeof(*all), capacity * sizeof(*all)) : NULL;

        if (all) {
            l->all = all;
            l->capacity = capacity;
        }
    }
    if (!copy || l->n == l->capacity) {
        ae_free(copy);
        return out_of_memory(err);
    }
    memcpy(copy, name, n_name);
    l->all[l->n] = *item;
    l->all[l->n++].name = copy;
    return AE_OK;
}

static int by_number(const void *a, const void *b)
{
    const ae_item *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* ---- packs ---- */

typedef struct pack {
    ae_item like;          /* without name */
    aei_cursor names;      /* as they stand in the chunk */
    uint8_t hash[16];
    const uint8_t *coded;
    size_t n_coded;
} pack;

/* payload: whole and checked. */
static ae_status parse_pack(const ae_container *c, const uint8_t *payload, size_t n_bytes, pack *p, ae_error *err)
{
    aei_cursor at = {payload, payload + n_bytes, false};
    const uint8_t *hash;
    uint64_t n, bytes;
    ae_status st;

    *p = (pack){0};
    p->like.number = aei_take_number(&at);
    n = aei_take_number(&at);
    if ((st = aei_take_head(&at, &p->like, err)) != AE_OK || (st = check_size(c, &p->like, err)) != AE_OK)
        return st;
    bytes = p->like.info.width * p->like.info.height * p->like.info.channels * ae_sample_bytes(p->like.info.sample);
    if (n < 1 || bytes > AE_PACK_BYTES || n > AE_PACK_BYTES / bytes || p->like.coding != AE_ITEM_SAMPLES)
        return ae_fail(err, AE_ERR_MALFORMED, "a pack of %llu items", (unsigned long long)n);
    p->like.packed = (uint32_t)n;
    p->names.at = at.at;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t length = aei_take_number(&at);

        const uint8_t *name = aei_take(&at, length);

        if (length > AE_ITEM_MAX_NAME || (name && memchr(name, 0, (size_t)length)))
            at.bad = true;
    }
    p->names.end = at.at;
    if ((hash = aei_take(&at, 16)) != NULL)
        memcpy(p->hash, hash, 16);
    if (at.bad)
        return ae_fail(err, AE_ERR_MALFORMED, "a pack that ends too early");
    p->coded = at.at;
    p->n_coded = (size_t)(at.end - at.at);
    return AE_OK;
}

/* An entry that names a pack gets the rest from there. */
static ae_status complete(const ae_container *c, ae_item *item, ae_error *err)
{
    uint8_t *buffer = NULL;
    size_t capacity = 0;
    uint32_t n;
    pack p;
    ae_status st;

    if (!item->packed)
        return check_size(c, item, err);
    st = load_chunk(c, item->offset, AEI_PACK, 1 << 20, &buffer, &capacity, &n, err);
    if (st == AE_OK && (st = parse_pack(c, buffer, n, &p, err)) == AE_OK && item->position >= p.like.packed)
        st = ae_fail(err, AE_ERR_MALFORMED, "item %u of a pack of %u", item->position, p.like.packed);
    if (st == AE_OK) {
        ae_item own = p.like;

        own.name = item->name;
        own.position = item->position;
        own.number += item->position;
        own.offset = item->offset;
        own.span = n + AEI_AEC_EXTRA;
        *item = own;
    }
    ae_free(buffer);
    return st;
}

/* ---- index ---- */

typedef struct root {
    uint8_t *buffer;
    size_t capacity;
    uint64_t previous, next_number, model, n_items, n_pages;
    uint32_t chain;
    aei_cursor rest; /* entries, or pages */
} root;

static ae_status open_root(const ae_container *c, uint64_t offset, root *r, ae_error *err)
{
    uint32_t n;
    uint64_t chain;
    ae_status st = load_chunk(c, offset, AEI_INDEX, AEI_AEC_MAX_ROOT, &r->buffer, &r->capacity, &n, err);

    if (st != AE_OK)
        return st;
    r->rest = (aei_cursor){r->buffer, r->buffer + n, false};
    r->previous = aei_take_number(&r->rest);
    chain = aei_take_number(&r->rest);
    r->next_number = aei_take_number(&r->rest);
    r->model = aei_take_number(&r->rest);
    r->n_items = aei_take_number(&r->rest);
    r->n_pages = aei_take_number(&r->rest);
    if (r->rest.bad || chain < 1 || chain > AEI_AEC_MAX_CHAIN || (chain > 1) != (r->previous != 0) || r->previous >= offset)
        return ae_fail(err, AE_ERR_MALFORMED, "the index at byte %llu is damaged", (unsigned long long)offset);
    r->chain = (uint32_t)chain;
    return AE_OK;
}

typedef struct page { uint64_t offset, n_bytes, n_name; const uint8_t *name; } page;

static bool take_page(aei_cursor *c, page *p)
{
    p->offset = aei_take_number(c);
    p->n_bytes = aei_take_number(c);
    p->n_name = aei_take_number(c);
    p->name = aei_take(c, p->n_name);
    return p->name && p->n_bytes <= AEI_AEC_MAX_PAGE;
}

/* What entries are for: all are collected, or one name is looked for. */
typedef struct search {
    items *into;
    const char *name;  /* NULL: all */
    ae_item found;     /* its name NULL: not found */
} search;

static ae_status go_through(const ae_container *c, aei_cursor entries, search *s, ae_error *err)
{
    char name[AE_ITEM_MAX_NAME + 1] = "";
    ae_item item;
    ae_status st = AE_OK;

    while (entries.at < entries.end && st == AE_OK) {
        if ((st = aei_take_entry(&entries, name, &item, err)) != AE_OK)
            break;
        /* an entry has at least five bytes, so more of them are not in the file but in pages read twice */
        if (!s->name && s->into->n > c->bytes.size / 5)
            st = ae_fail(err, AE_ERR_MALFORMED, "an index of more entries than the file has room for");
        else if (!s->name)
            st = append(s->into, &item, name, strlen(name), err);
        else if (strcmp(name, s->name) == 0 && !(s->found.name)) {
            s->found = item;
            s->found.name = ae_strdup(name);
            st = s->found.name ? complete(c, &s->found, err) : out_of_memory(err);
        }
    }
    return st;
}

static ae_status search_page(const ae_container *c, const page *p, search *s, ae_error *err)
{
    uint8_t *buffer = NULL;
    size_t capacity = 0;
    uint32_t n;
    ae_status st = load_chunk(c, p->offset, AEI_PAGE, AEI_AEC_MAX_PAGE, &buffer, &capacity, &n, err);

    if (st == AE_OK)
        st = go_through(c, (aei_cursor){buffer, buffer + n, false}, s, err);
    ae_free(buffer);
    return st;
}

static ae_status search_root(const ae_container *c, const root *r, search *s, ae_error *err)
{
    aei_cursor at = r->rest;
    page p, best = {0};
    uint64_t last = 0;
    ae_status st = AE_OK;

    if (!r->n_pages)
        return go_through(c, at, s, err);
    for (uint64_t i = 0; i < r->n_pages && st == AE_OK; i++) {
        if (!take_page(&at, &p) || p.offset <= last)
            return ae_fail(err, AE_ERR_MALFORMED, "a damaged index");
        last = p.offset;
        if (!s->name) {
            st = search_page(c, &p, s, err);
        } else {
            size_t n = strlen(s->name), least = n < p.n_name ? n : (size_t)p.n_name;
            int order = memcmp(p.name, s->name, least);

            if (order > 0 || (order == 0 && p.n_name > n))
                break;
            best = p;
        }
    }
    return s->name && best.name && st == AE_OK ? search_page(c, &best, s, err) : st;
}

static ae_status search_chain(const ae_container *c, search *s, ae_error *err)
{
    uint64_t offset = c->tail.root;
    ae_status st = AE_OK;

    while (offset && st == AE_OK && !s->found.name) {
        root r = {0};

        st = open_root(c, offset, &r, err);
        if (st == AE_OK)
            st = search_root(c, &r, s, err);
        offset = r.previous;
        ae_free(r.buffer);
    }
    return st;
}

/* ---- scanning ---- */

/* The next place at or behind offset where a chunk may begin; the end of the file where there is none. */
static uint64_t next_sync(const ae_container *c, uint64_t offset, uint8_t *window)
{
    while (offset < c->bytes.size) {
        uint64_t left = c->bytes.size - offset;
        size_t n = left < WINDOW ? (size_t)left : WINDOW;
        const uint8_t *found;

        if (n < AEI_AEC_EXTRA || !read_at(c, offset, window, n))
            break;
        found = memmem(window, n, aei_aec_sync, sizeof(aei_aec_sync));
        if (found)
            return offset + (uint64_t)(found - window);
        offset += n - (sizeof(aei_aec_sync) - 1);
    }
    return c->bytes.size;
}

static ae_status scan_head(ae_container *c, uint64_t offset, const uint8_t *payload, uint32_t n, ae_error *err)
{
    aei_cursor at = {payload, payload + n, false};
    ae_item item = {.offset = offset};
    ae_error why;
    ae_status st;

    item.number = aei_take_number(&at);
    if ((st = aei_take_head(&at, &item, &why)) != AE_OK || (st = check_size(c, &item, &why)) != AE_OK ||
        at.end - at.at > AE_ITEM_MAX_NAME || memchr(at.at, 0, (size_t)(at.end - at.at))) {
        complain(c, "the head of an item is damaged");
        return AE_OK;
    }
    return append(&c->scanned, &item, (const char *)at.at, (size_t)(at.end - at.at), err);
}

static ae_status scan_pack(ae_container *c, uint64_t offset, const uint8_t *payload, uint32_t n, ae_error *err)
{
    ae_error why;
    pack p;
    ae_status st = parse_pack(c, payload, n, &p, &why);

    if (st != AE_OK) {
        complain(c, "a pack of items is damaged");
        return AE_OK;
    }
    for (uint32_t i = 0; i < p.like.packed && st == AE_OK; i++) {
        ae_item item = p.like;
        size_t length = (size_t)aei_take_number(&p.names);
        const char *name = (const char *)aei_take(&p.names, length);

        item.offset = offset;
        item.span = n + AEI_AEC_EXTRA;
        item.position = i;
        item.number += i;
        st = append(&c->scanned, &item, name, length, err);
    }
    return st;
}

/* Finds heads, packs and the model from there on. */
static ae_status scan(ae_container *c, uint64_t at, ae_error *err)
{
    uint8_t *window = ae_alloc(WINDOW, 1), *buffer = NULL;
    size_t capacity = 0;
    ae_status st = window ? AE_OK : out_of_memory(err);

    while (st == AE_OK && at < c->bytes.size) {
        uint8_t type;
        uint32_t n;

        if (!chunk_at(c, at, &type, &n)) {
            at = next_sync(c, at + 1, window);
            continue;
        }
        if (type == AEI_HEAD || type == AEI_PACK) {
            if (n > 1 << 20 || (st = load(c, at + AEI_AEC_CHUNK, n, &buffer, &capacity, err)) == AE_ERR_CHECKSUM) {
                complain(c, type == AEI_HEAD ? "the head of an item is damaged" : "a pack of items is damaged");
                st = AE_OK;
            } else if (st == AE_OK) {
                st = type == AEI_HEAD ? scan_head(c, at, buffer, n, err) : scan_pack(c, at, buffer, n, err);
            }
        } else if (type == AEI_MODEL && !c->tail.model) {
            c->tail.model = at;
        }
        at += n + (uint64_t)AEI_AEC_EXTRA;
    }
    for (size_t i = 0; i < c->scanned.n; i++) /* up to the next item */
        if (!c->scanned.all[i].packed) {
            uint64_t end = i + 1 < c->scanned.n ? c->scanned.all[i + 1].offset : c->bytes.size;

            c->scanned.all[i].span = end - c->scanned.all[i].offset;
        }
    ae_free(buffer);
    ae_free(window);
    return st;
}

/* ---- opening ---- */

static bool is_footer(const uint8_t footer[AEI_AEC_FOOTER])
{
    return memcmp(footer + 12, aei_aec_end, 4) == 0 && aei_crc32c(0, footer, 8) == aei_load32(footer + 8);
}

/* The last whole footer whose index is whole, at the very end or, where an append broke off, before it. */
static ae_status find_tail(ae_container *c, ae_error *err)
{
    uint64_t end = c->bytes.size;
    uint8_t *window = ae_alloc(WINDOW, 1);
    ae_status st = window ? AE_OK : out_of_memory(err);

    while (st == AE_OK && end >= AEI_AEC_HEADER + AEI_AEC_FOOTER) {
        size_t n = end == c->bytes.size ? AEI_AEC_FOOTER : end < WINDOW ? (size_t)end : WINDOW; /* it is at the end as a rule */

        if (!read_at(c, end - n, window, n))
            break;
        for (size_t i = n; i >= AEI_AEC_FOOTER; i--) {
            const uint8_t *footer = window + i - AEI_AEC_FOOTER;
            root r = {0};
            ae_error why;

            if (memcmp(footer + 12, aei_aec_end, 4) != 0 || !is_footer(footer))
                continue;
            st = open_root(c, aei_load64(footer), &r, &why);
            if (st == AE_OK)
                c->tail = (aei_tail){end - n + i, aei_load64(footer), r.next_number, r.model, r.chain};
            ae_free(r.buffer);
            if (st == AE_OK)
                goto done;
            if (st == AE_ERR_NOMEM) {
                ae_fail(err, st, "%s", why.message);
                goto done;
            }
            st = AE_OK;
        }
        if (end == n)
            break;
        end -= n - (AEI_AEC_FOOTER - 1);
    }
done:
    ae_free(window);
    return st;
}

static ae_status open_container(ae_container *c, ae_error *err)
{
    uint8_t header[AEI_AEC_HEADER];
    ae_status st;

    if (!read_at(c, 0, header, sizeof(header)) || memcmp(header, aei_aec_magic, sizeof(aei_aec_magic)) != 0) {
        uint8_t type;
        uint32_t n;

        /* a file whose first bytes are damaged, but which has a chunk where the first one belongs */
        if (!chunk_at(c, AEI_AEC_HEADER, &type, &n))
            return ae_fail(err, AE_ERR_MALFORMED, "is no .aec file");
        complain(c, "the header of the file is damaged");
    } else if (aei_crc32c(0, header, 12) != aei_load32(header + 12)) {
        complain(c, "the header of the file is damaged");
    } else if (header[8] > AEI_AEC_VERSION || aei_load16(header + 10)) {
        return ae_fail(err, AE_ERR_TOO_NEW, "version %u of the format (features %04x), known is %u", header[8], aei_load16(header + 10),
                       AEI_AEC_VERSION);
    }
    if ((st = find_tail(c, err)) != AE_OK)
        return st;
    if (!c->tail.root) {
        complain(c, "it ends too early or its index is damaged");
        c->by_scan = true;
        return scan(c, AEI_AEC_HEADER, err);
    }
    if (c->tail.end < c->bytes.size) {
        complain(c, "it ends too early, or an append broke off");
        return scan(c, c->tail.end, err);
    }
    return AE_OK;
}

ae_status ae_container_open(const ae_bytes *bytes, const ae_limits *limits, ae_container **out, ae_error *err)
{
    ae_container *c = ae_alloc(1, sizeof(*c));
    ae_status st;

    *out = NULL;
    if (!c)
        return out_of_memory(err);
    c->bytes = *bytes;
    c->limits = ae_limits_resolve(limits);
    if ((st = open_container(c, err)) != AE_OK) {
        ae_container_free(c);
        return st;
    }
    *out = c;
    return AE_OK;
}

void ae_container_free(ae_container *c)
{
    if (!c)
        return;
    ae_items_free(c->scanned.all, c->scanned.n);
    ae_free(c);
}

const char *ae_container_complaint(const ae_container *c)
{
    return *c->complaint ? c->complaint : NULL;
}

const aei_tail *aei_container_tail(const ae_container *c)
{
    return &c->tail;
}

ae_status ae_container_list(ae_container *c, ae_item **out, size_t *n_items, ae_error *err)
{
    items all = {0};
    search s = {.into = &all};
    size_t kept = 0;
    ae_error why;
    ae_status st = AE_OK;

    *out = NULL;
    *n_items = 0;
    for (size_t i = 0; i < c->scanned.n && st == AE_OK; i++)
        st = append(&all, &c->scanned.all[i], c->scanned.all[i].name, strlen(c->scanned.all[i].name), err);
    if (st == AE_OK && !c->by_scan)
        st = search_chain(c, &s, err);
    /* one look at each pack, whose items follow each other in the order of their names or nearly so */
    for (size_t i = 0; i < all.n && st == AE_OK && !c->by_scan; i++) {
        ae_item *item = &all.all[i], *before = kept ? &all.all[kept - 1] : NULL;

        if (item->packed && before && before->packed && before->offset == item->offset && item->position < before->packed) {
            ae_item own = *before;

            own.name = item->name;
            own.number = before->number - before->position + item->position;
            own.position = item->position;
            *item = own;
        } else if ((st = complete(c, item, &why)) != AE_OK) {
            complain(c, why.message);
            ae_item_clear(item);
            if (st == AE_ERR_NOMEM)
                return ae_items_free(all.all, all.n), out_of_memory(err);
            st = AE_OK;
            continue;
        }
        if (kept++ != i) {
            all.all[kept - 1] = *item;
            item->name = NULL;
        }
    }
    if (st == AE_OK && !c->by_scan)
        all.n = kept;
    if (st != AE_OK) {
        ae_items_free(all.all, all.n);
        return st;
    }
    if (all.n)
        qsort(all.all, all.n, sizeof(*all.all), by_number);
    *out = all.all;
    *n_items = all.n;
    return AE_OK;
}

ae_status ae_container_find(const ae_container *c, const char *name, ae_item *out, ae_error *err)
{
    search s = {.name = name};
    ae_status st = AE_OK;

    *out = (ae_item){0};
    for (size_t i = 0; i < c->scanned.n && !s.found.name; i++)
        if (strcmp(c->scanned.all[i].name, name) == 0) {
            s.found = c->scanned.all[i];
            if (!(s.found.name = ae_strdup(name)))
                return out_of_memory(err);
        }
    if (!c->by_scan)
        st = search_chain(c, &s, err);
    if (st == AE_OK && !s.found.name)
        st = ae_fail(err, AE_ERR_ARGUMENT, "there is no item %s", name);
    if (st != AE_OK)
        ae_item_clear(&s.found);
    *out = s.found;
    return st;
}

ae_status ae_container_model(const ae_container *c, void **program, size_t *n_bytes, ae_error *err)
{
    uint8_t *buffer = NULL;
    size_t capacity = 0;
    uint32_t n = 0;
    ae_status st;

    *program = NULL;
    if (!c->tail.model)
        return ae_fail(err, AE_ERR_ARGUMENT, "no model is embedded");
    st = load_chunk(c, c->tail.model, AEI_MODEL, AEI_AEC_MAX_MODEL, &buffer, &capacity, &n, err);
    if (st != AE_OK)
        ae_free(buffer);
    else
        *program = buffer;
    *n_bytes = n;
    return st;
}

ae_status ae_container_check(const ae_container *c, void *opaque, void (*damaged)(void *opaque, uint64_t offset, const char *why),
                             ae_error *err)
{
    uint8_t *window = ae_alloc(WINDOW, 1), *buffer = NULL, footer[AEI_AEC_FOOTER];
    size_t capacity = 0;
    uint64_t at = AEI_AEC_HEADER;
    ae_status st = window ? AE_OK : out_of_memory(err);

    while (st == AE_OK && at < c->bytes.size) {
        uint8_t type;
        uint32_t n;
        ae_error why;

        if (read_at(c, at, footer, sizeof(footer)) && is_footer(footer)) {
            at += sizeof(footer);
        } else if (!chunk_at(c, at, &type, &n)) {
            damaged(opaque, at, "no whole chunk or footer");
            at = next_sync(c, at + 1, window);
        } else {
            if (n > AEI_AEC_MAX_MODEL || (st = load(c, at + AEI_AEC_CHUNK, n, &buffer, &capacity, &why)) != AE_OK) {
                damaged(opaque, at, n > AEI_AEC_MAX_MODEL ? "a chunk that is too large" : why.message);
                st = st == AE_ERR_NOMEM ? out_of_memory(err) : AE_OK;
            } else if (type >= 'A' && type <= 'Z' && !strchr("HTAPMI", type)) {
                damaged(opaque, at, "a critical chunk of a later version");
            }
            at += n + (uint64_t)AEI_AEC_EXTRA;
        }
    }
    ae_free(buffer);
    ae_free(window);
    return st;
}

/* ---- one item ---- */

/* Where the payload of a chunk that belongs to the item lies; false where it belongs to another. */
static bool belongs(const ae_item_reader *r, uint64_t offset, uint32_t n_bytes, bool tile, uint64_t *index, struct place *place)
{
    uint8_t head[20];
    size_t n = n_bytes < sizeof(head) ? n_bytes : sizeof(head);
    aei_cursor c = {head, head + n, false};

    if (!read_at(r->container, offset, head, n) || aei_take_number(&c) != r->item.number)
        return false;
    *index = tile ? aei_take_number(&c) : 0;
    *place = (struct place){offset, n_bytes};
    return !c.bad;
}

static ae_status walk(ae_item_reader *r, ae_error *err)
{
    const ae_container *c = r->container;
    uint64_t at = r->item.offset, end = at;
    uint8_t *window = ae_alloc(WINDOW, 1);
    ae_status st = window ? AE_OK : out_of_memory(err);

    if (at <= c->bytes.size)
        end = r->item.span > c->bytes.size - at ? c->bytes.size : at + r->item.span;
    while (st == AE_OK && at < end) {
        uint8_t type;
        uint32_t n;
        uint64_t index;
        struct place place;

        if (!chunk_at(c, at, &type, &n)) {
            at = next_sync(c, at + 1, window);
            continue;
        }
        if (type == AEI_TILE || type == AEI_ALPHA) {
            struct place *tiles = type == AEI_TILE ? r->tiles : r->alpha;

            if (n <= AEI_AEC_MAX_TILE && belongs(r, at + AEI_AEC_CHUNK, n, true, &index, &place) && tiles && index < r->n_tiles)
                tiles[index] = place;
        } else if (type == AEI_META || type == AEI_HASH) {
            if (belongs(r, at + AEI_AEC_CHUNK, n, false, &index, &place))
                *(type == AEI_META ? &r->meta : &r->hash) = place;
        } else if (type >= 'A' && type <= 'Z' && !strchr("HTAPMI", type)) {
            st = ae_fail(err, AE_ERR_TOO_NEW, "the item has a chunk '%c', which later versions read", type);
        }
        at += n + (uint64_t)AEI_AEC_EXTRA;
    }
    ae_free(window);
    return st;
}

ae_status ae_item_open(const ae_container *container, const ae_item *item, ae_item_reader **out, ae_error *err)
{
    ae_item_reader *r = ae_alloc(1, sizeof(*r));
    ae_status st = AE_OK;

    *out = NULL;
    if (!r)
        return out_of_memory(err);
    r->container = container;
    r->item = *item;
    r->item.name = NULL;
    if (!item->packed) {
        r->n_tiles = aei_item_tiles(item);
        r->tiles = ae_alloc(r->n_tiles, sizeof(*r->tiles));
        if (item->coding == AE_ITEM_NETWORK && item->info.alpha)
            r->alpha = ae_alloc(r->n_tiles, sizeof(*r->alpha));
        if (!r->tiles || (item->coding == AE_ITEM_NETWORK && item->info.alpha && !r->alpha))
            st = out_of_memory(err);
        else
            st = walk(r, err);
    }
    if (st != AE_OK) {
        ae_item_free(r);
        return st;
    }
    *out = r;
    return AE_OK;
}

void ae_item_free(ae_item_reader *r)
{
    if (!r)
        return;
    ae_free(r->tiles);
    ae_free(r->alpha);
    ae_free(r->buffer);
    ae_free(r);
}

/* The payload behind the item's number, and the tile's. */
static ae_status load_place(ae_item_reader *r, const struct place *p, bool tile, aei_cursor *out, ae_error *err)
{
    ae_status st = load(r->container, p->offset, p->n_bytes, &r->buffer, &r->capacity, err);

    if (st != AE_OK)
        return st;
    *out = (aei_cursor){r->buffer, r->buffer + p->n_bytes, false};
    aei_take_number(out);
    if (tile)
        aei_take_number(out);
    return AE_OK;
}

ae_status ae_item_tile(ae_item_reader *r, bool alpha, uint32_t index, const void **data, size_t *n_bytes, ae_error *err)
{
    struct place *tiles = alpha ? r->alpha : r->tiles;
    aei_cursor c;
    ae_status st;

    *data = NULL;
    *n_bytes = 0;
    if (!tiles || index >= r->n_tiles)
        return ae_fail(err, AE_ERR_ARGUMENT, "no tile %u", index);
    if (!tiles[index].n_bytes)
        return ae_fail(err, AE_ERR_MALFORMED, "tile %u is missing", index);
    if ((st = load_place(r, &tiles[index], true, &c, err)) != AE_OK)
        return st;
    *data = c.at;
    *n_bytes = (size_t)(c.end - c.at);
    return AE_OK;
}

static ae_status parse_meta(const uint8_t *plain, size_t n_bytes, ae_meta *meta, ae_error *err)
{
    aei_cursor c = {plain, plain + n_bytes, false};
    ae_status st = AE_OK;

    while (c.at < c.end && st == AE_OK) {
        uint32_t kind = aei_take_u8(&c);
        uint64_t n_key = aei_take_number(&c), n;
        const uint8_t *key = aei_take(&c, n_key), *value;
        char name[256] = "";

        n = aei_take_number(&c);
        value = aei_take(&c, n);
        if (c.bad || n_key >= sizeof(name))
            return ae_fail(err, AE_ERR_MALFORMED, "damaged metadata");
        memcpy(name, key, (size_t)n_key);
        if (kind >= AE_META_ICC && kind <= AE_META_DENSITY && !memchr(name, 0, (size_t)n_key) && (n_key || kind != AE_META_TEXT))
            st = ae_meta_add(meta, (ae_meta_kind)kind, kind == AE_META_TEXT ? name : NULL, value, (size_t)n, err);
    }
    return st;
}

ae_status ae_item_meta(ae_item_reader *r, const ae_limits *limits, ae_meta *meta, ae_error *err)
{
    uint64_t most = ae_limits_resolve(limits).max_meta, n;
    uint8_t *plain = NULL;
    aei_cursor c;
    ae_status st;

    *meta = (ae_meta){0};
    if (!r->meta.n_bytes)
        return AE_OK;
    if (r->meta.n_bytes > most)
        return ae_fail(err, AE_ERR_LIMIT, "%u bytes of metadata exceed max_meta (%llu)", r->meta.n_bytes, (unsigned long long)most);
    if ((st = load_place(r, &r->meta, false, &c, err)) != AE_OK)
        return st;
    n = aei_take_number(&c);
    if (!n)
        return parse_meta(c.at, (size_t)(c.end - c.at), meta, err);
    if (n > most)
        return ae_fail(err, AE_ERR_LIMIT, "%llu bytes of metadata exceed max_meta (%llu)", (unsigned long long)n, (unsigned long long)most);
    if (!(plain = ae_alloc((size_t)n, 1)))
        return out_of_memory(err);
    if (ZSTD_decompress(plain, (size_t)n, c.at, (size_t)(c.end - c.at)) != n)
        st = ae_fail(err, AE_ERR_MALFORMED, "damaged metadata");
    else
        st = parse_meta(plain, (size_t)n, meta, err);
    if (st != AE_OK)
        ae_meta_clear(meta);
    ae_free(plain);
    return st;
}

bool ae_item_hash(ae_item_reader *r, uint8_t hash[16])
{
    aei_cursor c;

    if (r->item.packed) {
        uint32_t n;
        pack p;

        if (load_chunk(r->container, r->item.offset, AEI_PACK, 1 << 20, &r->buffer, &r->capacity, &n, NULL) != AE_OK ||
            parse_pack(r->container, r->buffer, n, &p, NULL) != AE_OK)
            return false;
        memcpy(hash, p.hash, 16);
        return true;
    }
    if (!r->hash.n_bytes || r->hash.n_bytes > 64 || load_place(r, &r->hash, false, &c, NULL) != AE_OK || c.end - c.at != 16)
        return false;
    memcpy(hash, c.at, 16);
    return true;
}

static bool same_type(const ae_signal_info *a, const ae_signal_info *b)
{
    return a->sample == b->sample && a->bits == b->bits && a->channels == b->channels && a->width == b->width && a->height == b->height;
}

ae_status ae_item_unpack(ae_item_reader *r, void *samples, ae_error *err)
{
    ae_signal_info all;
    uint8_t *whole = NULL, hash[16];
    size_t n_item, n_all;
    uint32_t n;
    pack p;
    ae_status st;

    if (!r->item.packed)
        return ae_fail(err, AE_ERR_ARGUMENT, "not a packed item");
    if ((st = load_chunk(r->container, r->item.offset, AEI_PACK, 1 << 20, &r->buffer, &r->capacity, &n, err)) != AE_OK ||
        (st = parse_pack(r->container, r->buffer, n, &p, err)) != AE_OK)
        return st;
    all = p.like.info;
    all.height *= p.like.packed;
    n_item = ae_row_bytes(&p.like.info) * p.like.info.height;
    n_all = n_item * p.like.packed;
    if (!same_type(&p.like.info, &r->item.info) || r->item.position >= p.like.packed)
        return ae_fail(err, AE_ERR_MALFORMED, "a pack that does not hold what the index says");
    if (!(whole = ae_alloc(n_all, 1)))
        return out_of_memory(err);
    if ((st = aei_samples_unpack(&all, p.coded, p.n_coded, whole, err)) == AE_OK) {
        aei_digest(whole, n_all, hash);
        if (memcmp(hash, p.hash, 16) != 0)
            st = ae_fail(err, AE_ERR_CHECKSUM, "a pack whose samples are not those that were stored");
        memcpy(samples, whole + r->item.position * n_item, n_item);
    }
    ae_free(whole);
    return st;
}
