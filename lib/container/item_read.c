/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One item of a container: its tiles, metadata and samples. */
#include <string.h>

#include <zstd.h>

#include "read.h"
#include "samples.h"

struct ae_item_reader {
    const ae_container *container;
    ae_item item;
    uint32_t n_tiles;
    /* payloads; n_bytes 0: missing */
    struct place {
        uint64_t offset;
        uint32_t n_bytes;
    } * planes[AE_TILE_KINDS];
    struct place meta, hash;
    bool has_digest;
    uint8_t digest[16]; /* what the hash says */
    uint64_t end;       /* of its last chunk */
    uint32_t n_pack;    /* bytes of the pack, once it is in buffer */
    uint8_t pack_type;
    uint8_t *buffer;
    size_t capacity;
    uint8_t *unpacked;   /* the samples of all items of the pack, once they were asked for */
    uint32_t n_unpacked; /* so many items */
};

/* Where the payload of a chunk that belongs to the item lies; false where it belongs to another. */
static bool belongs(const ae_item_reader *r, uint64_t offset, uint32_t n_bytes, bool tile,
                    uint64_t *index, struct place *place)
{
    uint8_t head[20];
    size_t n = n_bytes < sizeof(head) ? n_bytes : sizeof(head);
    aei_cursor c = {head, head + n, false};

    if (!aei_read_at(r->container, offset, head, n) || aei_take_number(&c) != r->item.number)
        return false;
    *index = tile ? aei_take_number(&c) : 0;
    *place = (struct place){offset, n_bytes};
    return !c.bad;
}

/* Takes over where a tile lies. Of two chunks that claim to be it, one has a damaged number: the
 * one that is whole counts. */
static ae_status place_tile(ae_item_reader *r, struct place *tile, struct place found,
                            ae_error *err)
{
    ae_status st = AE_OK;
    ae_error why;

    if (tile->n_bytes && (st = aei_load(r->container, found.offset, found.n_bytes, &r->buffer,
                                        &r->capacity, &why)) == AE_ERR_NOMEM)
        return aei_out_of_memory(err);
    if (st == AE_OK)
        *tile = found;
    return AE_OK;
}

static ae_status walk(ae_item_reader *r, ae_error *err)
{
    const ae_container *c = r->container;
    uint64_t at = r->item.offset, end = at;
    aei_window window = {0};
    ae_status st = AE_OK;

    if (at <= c->bytes.size)
        end = r->item.span > c->bytes.size - at ? c->bytes.size : at + r->item.span;
    while (st == AE_OK && at < end) {
        uint8_t type;
        uint32_t n;
        uint64_t index;
        struct place place;
        bool own = at == r->item.offset;

        if (!aei_chunk_at(c, at, &type, &n)) {
            at = aei_next_chunk(c, at + 1, &window);
            continue;
        }
        /* the next item */
        if (at != r->item.offset && (type == AEI_CHUNK_HEAD || aei_is_pack(type)))
            break;
        if (type == AEI_CHUNK_TILE || type == AEI_CHUNK_ALPHA || type == AEI_CHUNK_PATCH) {
            struct place *tiles = r->planes[type == AEI_CHUNK_TILE    ? AE_TILE_COLOURS
                                            : type == AEI_CHUNK_ALPHA ? AE_TILE_ALPHA
                                                                      : AE_TILE_PATCH];

            own = belongs(r, at + AEI_AEC_CHUNK, n, true, &index, &place);
            if (own && n <= AEI_AEC_MAX_TILE && tiles && index < r->n_tiles)
                st = place_tile(r, &tiles[index], place, err);
        } else if (type == AEI_CHUNK_META || type == AEI_CHUNK_HASH) {
            own = belongs(r, at + AEI_AEC_CHUNK, n, false, &index, &place);
            if (own)
                *(type == AEI_CHUNK_META ? &r->meta : &r->hash) = place;
        } else if (type >= 'A' && type <= 'Z' && !strchr(AEI_CRITICAL_TYPES, type)) {
            st = ae_fail(err, AE_ERR_TOO_NEW,
                         "the item has a chunk '%c', which later versions read", type);
        }
        at += n + (uint64_t)AEI_AEC_EXTRA;
        r->end = own ? at : r->end;
    }
    ae_free(window.bytes);
    return st;
}

/* The payload behind the item's number, and the tile's. */
static ae_status load_place(ae_item_reader *r, const struct place *p, bool tile, aei_cursor *out,
                            ae_error *err)
{
    ae_status st = aei_load(r->container, p->offset, p->n_bytes, &r->buffer, &r->capacity, err);

    if (st != AE_OK)
        return st;
    *out = (aei_cursor){r->buffer, r->buffer + p->n_bytes, false};
    aei_take_number(out);
    if (tile)
        aei_take_number(out);
    return AE_OK;
}

/* One that is damaged is none. */
static void load_hash(ae_item_reader *r)
{
    aei_cursor c;

    if (!r->hash.n_bytes || r->hash.n_bytes > 64 ||
        load_place(r, &r->hash, false, &c, NULL) != AE_OK || c.end - c.at != 16)
        return;
    memcpy(r->digest, c.at, sizeof(r->digest));
    r->has_digest = true;
}

static bool may_have(const ae_item *item, int plane)
{
    return plane == AE_TILE_COLOURS ||
           (item->coding == AE_ITEM_NETWORK && (plane == AE_TILE_PATCH || item->info.alpha));
}

ae_status ae_item_open(const ae_container *container, const ae_item *item, ae_item_reader **out,
                       ae_error *err)
{
    ae_item_reader *r = ae_alloc(1, sizeof(*r));
    ae_status st = AE_OK;

    *out = NULL;
    if (!r)
        return aei_out_of_memory(err);
    r->container = container;
    r->item = *item;
    r->item.name = NULL;
    if (!item->packed) {
        r->n_tiles = aei_item_tiles(item);
        for (int i = 0; i < AE_TILE_KINDS && st == AE_OK; i++)
            if (may_have(item, i) && !(r->planes[i] = ae_alloc(r->n_tiles, sizeof(*r->planes[i]))))
                st = aei_out_of_memory(err);
        if (st == AE_OK)
            st = walk(r, err);
        if (st == AE_OK)
            load_hash(r);
    }
    if ((st = aei_settle(container, st, err)) != AE_OK) {
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
    for (int i = 0; i < AE_TILE_KINDS; i++)
        ae_free(r->planes[i]);
    ae_free(r->buffer);
    ae_free(r->unpacked);
    ae_free(r);
}

ae_status ae_item_tile(ae_item_reader *r, ae_tile_kind kind, uint32_t index, const void **data,
                       size_t *n_bytes, ae_error *err)
{
    struct place *tiles = r->planes[kind];
    aei_cursor c;
    ae_status st;

    *data = NULL;
    *n_bytes = 0;
    if (!tiles || index >= r->n_tiles)
        return ae_fail(err, AE_ERR_ARGUMENT, "no tile %u", index);
    if (!tiles[index].n_bytes && kind == AE_TILE_PATCH)
        return AE_OK;
    if (!tiles[index].n_bytes && r->container->needs)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "tile %u lies beyond the end of the file, at byte %llu of at least %llu",
                       index, (unsigned long long)r->container->bytes.size,
                       (unsigned long long)r->container->needs);
    if (!tiles[index].n_bytes)
        return ae_fail(err, AE_ERR_MALFORMED, "tile %u is missing", index);
    if ((st = aei_settle(r->container, load_place(r, &tiles[index], true, &c, err), err)) != AE_OK)
        return st;
    *data = c.at;
    *n_bytes = (size_t)(c.end - c.at);
    return AE_OK;
}

ae_status aei_item_state(ae_item_reader *r, aei_item_whole *out, ae_error *err)
{
    *out = (aei_item_whole){.end = r->end, .ended = r->hash.n_bytes > 0, .whole = true};
    for (int k = 0; k < AE_TILE_KINDS; k++)
        for (uint32_t i = 0; r->planes[k] && i < r->n_tiles; i++) {
            const void *data;
            size_t n;
            ae_error why;
            ae_status st = ae_item_tile(r, (ae_tile_kind)k, i, &data, &n, &why);

            if (st == AE_ERR_NOMEM || st == AE_ERR_IO)
                return ae_fail(err, st, "%s", why.message);
            out->whole &= st == AE_OK;
            out->some |= st == AE_OK && data;
        }
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
        bool keyed;

        n = aei_take_number(&c);
        value = aei_take(&c, n);
        if (c.bad || n_key >= sizeof(name))
            return ae_fail(err, AE_ERR_MALFORMED, "damaged metadata");
        if (meta->n_items == AEI_AEC_MAX_META)
            return ae_fail(err, AE_ERR_LIMIT, "more entries of metadata than the limit, %d",
                           AEI_AEC_MAX_META);
        memcpy(name, key, (size_t)n_key);
        keyed = kind == AE_META_TEXT || kind == AE_META_TAG || kind == AE_META_CHUNK;
        if (kind >= AE_META_ICC && kind <= AE_META_CHUNK && !memchr(name, 0, (size_t)n_key) &&
            (n_key || !keyed))
            st = ae_meta_add(meta, (ae_meta_kind)kind, keyed ? name : NULL, value, (size_t)n, err);
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
        return ae_fail(err, AE_ERR_LIMIT, "%u bytes of metadata exceed max_meta (%llu)",
                       r->meta.n_bytes, (unsigned long long)most);
    if ((st = aei_settle(r->container, load_place(r, &r->meta, false, &c, err), err)) != AE_OK)
        return st;
    n = aei_take_number(&c);
    if (n > most)
        return ae_fail(err, AE_ERR_LIMIT, "%llu bytes of metadata exceed max_meta (%llu)",
                       (unsigned long long)n, (unsigned long long)most);
    if (n > aei_meta_believed((size_t)(c.end - c.at)))
        return ae_fail(
            err, AE_ERR_LIMIT,
            "%llu bytes of metadata in %zu exceed the limit of 256 KiB and 256 times that",
            (unsigned long long)n, (size_t)(c.end - c.at));
    if (n && !(plain = ae_alloc((size_t)n, 1)))
        return aei_out_of_memory(err);
    if (!n)
        st = parse_meta(c.at, (size_t)(c.end - c.at), meta, err);
    else if (ZSTD_decompress(plain, (size_t)n, c.at, (size_t)(c.end - c.at)) != n)
        st = ae_fail(err, AE_ERR_MALFORMED, "damaged metadata");
    else
        st = parse_meta(plain, (size_t)n, meta, err);
    if (st != AE_OK)
        ae_meta_clear(meta);
    ae_free(plain);
    return st;
}

/* Read once. */
static ae_status load_pack(ae_item_reader *r, aei_pack *p, ae_error *err)
{
    uint32_t n;
    ae_status st;

    if (!r->n_pack) {
        st = aei_load_pack(r->container, r->item.offset, &r->pack_type, &r->buffer, &r->capacity,
                           &n, err);
        st = aei_settle(r->container, st, err);
        if (st != AE_OK)
            return st;
        r->n_pack = n;
    }
    return aei_pack_parse(r->container, r->pack_type, r->buffer, r->n_pack, p, err);
}

bool ae_item_hash(ae_item_reader *r, uint8_t hash[16])
{
    aei_pack p;

    if (r->item.packed) {
        if (load_pack(r, &p, NULL) != AE_OK)
            return false;
        memcpy(hash, p.hash, 16);
        return true;
    }
    memcpy(hash, r->digest, 16);
    return r->has_digest;
}

ae_status ae_item_packed(ae_item_reader *r, ae_packed *out, ae_error *err)
{
    aei_pack p;
    ae_status st = r->item.packed ? load_pack(r, &p, err)
                                  : ae_fail(err, AE_ERR_ARGUMENT, "not a packed item");

    *out = (ae_packed){0};
    if (st != AE_OK)
        return st;
    *out = (ae_packed){.data = (void *)(uintptr_t)p.coded, .n_bytes = p.n_coded};
    memcpy(out->hash, p.hash, sizeof(out->hash));
    return AE_OK;
}

static bool same_type(const ae_signal_info *a, const ae_signal_info *b)
{
    return a->sample == b->sample && a->bits == b->bits && a->channels == b->channels &&
           a->width == b->width && a->height == b->height;
}

static ae_status unpack_all(ae_item_reader *r, ae_error *err)
{
    ae_signal_info all;
    uint8_t *whole, hash[16];
    size_t n;
    aei_pack p;
    ae_status st = load_pack(r, &p, err);

    if (st != AE_OK)
        return st;
    if (!same_type(&p.like.info, &r->item.info))
        return ae_fail(err, AE_ERR_MALFORMED, "a pack that does not hold what the index says");
    all = p.like.info;
    all.height *= p.like.packed;
    n = ae_row_bytes(&all) * all.height;
    if (!(whole = ae_alloc(n, 1)))
        return aei_out_of_memory(err);
    if ((st = aei_samples_unpack(&all, (uint32_t)p.like.info.height, p.coded, p.n_coded, whole,
                                 err)) == AE_OK) {
        aei_digest(whole, n, hash);
        if (memcmp(hash, p.hash, 16) != 0)
            st = ae_fail(err, AE_ERR_CHECKSUM,
                         "a pack whose samples are not those that were stored");
    }
    if (st != AE_OK) {
        ae_free(whole);
        return st;
    }
    r->unpacked = whole;
    r->n_unpacked = p.like.packed;
    return AE_OK;
}

ae_status ae_item_unpack(ae_item_reader *r, uint32_t position, void *samples, ae_error *err)
{
    size_t n = ae_row_bytes(&r->item.info) * r->item.info.height;
    ae_status st;

    if (!r->item.packed)
        return ae_fail(err, AE_ERR_ARGUMENT, "not a packed item");
    if (!r->unpacked && (st = unpack_all(r, err)) != AE_OK)
        return st;
    if (position >= r->n_unpacked)
        return ae_fail(err, AE_ERR_MALFORMED, "item %u of a pack of %u", position, r->n_unpacked);
    memcpy(samples, r->unpacked + position * n, n);
    return AE_OK;
}
