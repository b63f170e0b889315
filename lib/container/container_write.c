/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing .aec: one pass. The index is kept in memory until the end. */
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "container_write.h"
#include "fields.h"
#include "model/format.h"
#include "samples.h"

static ae_status out_of_memory(ae_error *err)
{
    return ae_fail(err, AE_ERR_NOMEM, "container");
}

static ae_status put(ae_container_writer *w, const void *data, size_t n_bytes, ae_error *err)
{
    ae_status st = n_bytes ? w->sink->write(w->sink->opaque, data, n_bytes, err) : AE_OK;

    if (st == AE_OK)
        w->offset += n_bytes;
    return st;
}

/* The same, held without a frame and without the item's number, with which it begins. */
static ae_status hold_chunk(ae_container_writer *w, uint8_t type, const void *data, size_t n_bytes,
                            ae_error *err)
{
    aei_cursor c = {w->scratch.data, w->scratch.data + w->scratch.n_bytes, false};

    aei_take_number(&c);
    aei_put_u8(&w->held, type);
    aei_put_number(&w->held, (size_t)(c.end - c.at) + n_bytes);
    aei_put(&w->held, c.at, (size_t)(c.end - c.at));
    aei_put(&w->held, data, n_bytes);
    w->scratch.n_bytes = 0;
    return w->held.failed ? ae_fail(err, AE_ERR_NOMEM, "an item") : AE_OK;
}

ae_status aei_put_chunk(ae_container_writer *w, uint8_t type, const void *data, size_t n_bytes,
                        ae_error *err)
{
    uint8_t header[AEI_AEC_CHUNK], crc[4];
    uint64_t total = (uint64_t)w->scratch.n_bytes + n_bytes;
    ae_status st;

    if (w->scratch.failed)
        return out_of_memory(err);
    if (total > UINT32_MAX)
        return ae_fail(err, AE_ERR_LIMIT, "a chunk of %llu bytes", (unsigned long long)total);
    if (!w->sink)
        return hold_chunk(w, type, data, n_bytes, err);
    aei_make_chunk(header, type, (uint32_t)total);
    aei_store32(crc, aei_crc32c(aei_crc32c(0, w->scratch.data, w->scratch.n_bytes), data, n_bytes));
    if ((st = put(w, header, sizeof(header), err)) == AE_OK &&
        (st = put(w, w->scratch.data, w->scratch.n_bytes, err)) == AE_OK &&
        (st = put(w, data, n_bytes, err)) == AE_OK)
        st = put(w, crc, sizeof(crc), err);
    w->scratch.n_bytes = 0;
    return st;
}

/* ---- names ---- */

static uint64_t hash_name(const char *name)
{
    uint64_t h = 14695981039346656037u;

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211u;
    return h ^ h >> 32;
}

static size_t find_slot(const ae_container_writer *w, const char *name)
{
    size_t i = hash_name(name) & (w->n_names - 1);

    while (w->names[i] && strcmp(w->items[w->names[i] - 1].name, name) != 0)
        i = (i + 1) & (w->n_names - 1);
    return i;
}

bool ae_container_has_model(const ae_container_writer *w)
{
    return w->model != 0;
}

bool ae_container_has_name(const ae_container_writer *w, const char *name)
{
    return w->n_names && w->names[find_slot(w, name)];
}

static ae_status grow(ae_container_writer *w, ae_error *err)
{
    size_t capacity = 2 * w->capacity + 16, n_names = 64;
    ae_item *items = ae_realloc(w->items, w->n_items * sizeof(*items), capacity * sizeof(*items));
    uint32_t *names;

    if (!items)
        return out_of_memory(err);
    w->items = items;
    while (n_names < 2 * capacity)
        n_names *= 2;
    if (capacity > UINT32_MAX / 2 || !(names = ae_alloc(n_names, sizeof(*names))))
        return out_of_memory(err);
    w->capacity = capacity;
    ae_free(w->names);
    w->names = names;
    w->n_names = n_names;
    for (size_t i = 0; i < w->n_items; i++) {
        size_t slot = find_slot(w, w->items[i].name);

        w->names[slot] = w->names[slot] ? w->names[slot] : (uint32_t)i + 1;
    }
    return AE_OK;
}

ae_status aei_add_item(ae_container_writer *w, const ae_item *item, const char *name, bool old,
                       ae_error *err)
{
    ae_status st = AE_OK;
    char *copy;
    size_t slot;

    if (w->n_items == w->capacity && (st = grow(w, err)) != AE_OK)
        return st;
    slot = find_slot(w, name);
    if (w->names[slot] && !old)
        return ae_fail(err, AE_ERR_ARGUMENT, "there is an item %s already", name);
    if (!(copy = ae_strdup(name)))
        return out_of_memory(err);
    w->items[w->n_items] = *item;
    w->items[w->n_items++].name = copy;
    w->names[slot] = w->names[slot] ? w->names[slot] : (uint32_t)w->n_items;
    return st;
}

/* ---- begin ---- */

static ae_status create(ae_sink *sink, ae_container_writer **out, ae_error *err)
{
    ae_container_writer *w = *out = ae_alloc(1, sizeof(*w));

    if (!w)
        return out_of_memory(err);
    w->sink = sink;
    return AE_OK;
}

ae_status ae_container_create(ae_sink *sink, ae_container_writer **out, ae_error *err)
{
    uint8_t header[AEI_AEC_HEADER] = {0};
    ae_status st = create(sink, out, err);

    if (st != AE_OK)
        return st;
    memcpy(header, aei_aec_magic, sizeof(aei_aec_magic));
    header[8] = AEI_AEC_VERSION;
    aei_store32(header + 12, aei_crc32c(0, header, 12));
    if ((st = put(*out, header, sizeof(header), err)) != AE_OK) {
        ae_container_writer_free(*out);
        *out = NULL;
        return st;
    }
    (*out)->first = (*out)->offset;
    return st;
}

/* Takes over an item that no index names, if it was ended: with its hash, or all of its tiles. */
static ae_status recover(ae_container_writer *w, const ae_container *old, const ae_item *item,
                         ae_error *err)
{
    aei_item_whole state = {
        .end = item->offset + item->span, .whole = true, .some = true, .ended = true};
    ae_item_reader *r = NULL;
    ae_item own = *item;
    ae_error why;
    ae_status st = AE_OK;

    if (!item->packed && (st = ae_item_open(old, item, &r, &why)) == AE_OK)
        st = aei_item_state(r, &state, &why);
    ae_item_free(r);
    if (st == AE_ERR_NOMEM || st == AE_ERR_IO)
        return ae_fail(err, st, "%s", why.message);
    if (item->packed && aei_fields_at(old, item) == state.end)
        state.end = aei_chunk_end(old, state.end);
    state.whole &= st == AE_OK; /* of a later version: it stays as it is */
    if (!state.whole && !(state.ended && state.some))
        return AE_OK;
    own.span = item->packed ? item->span : state.end - item->offset;
    if ((st = aei_add_item(w, &own, item->name, true, err)) != AE_OK)
        return st;
    w->recovered[w->n_recovered++] = state.whole;
    w->offset = state.end > w->offset ? state.end : w->offset;
    w->next_number = item->number >= w->next_number ? item->number + 1 : w->next_number;
    return AE_OK;
}

ae_status ae_container_append(ae_container *old, ae_sink *sink, ae_container_writer **out,
                              uint64_t *offset, ae_error *err)
{
    const aei_tail *tail = aei_container_tail(old);
    ae_container_writer *w = NULL;
    ae_item *items = NULL;
    size_t n = 0;
    ae_status st;

    if ((st = create(sink, &w, err)) != AE_OK ||
        (st = ae_container_list(old, &items, &n, err)) != AE_OK)
        goto done;
    if (n && !(w->recovered = ae_alloc(n, sizeof(*w->recovered)))) {
        st = out_of_memory(err);
        goto done;
    }
    w->offset = tail->root    ? tail->end
                : tail->model ? aei_chunk_end(old, tail->model)
                              : AEI_AEC_HEADER;
    w->next_number = tail->next_number;
    w->model = tail->model;
    if (tail->chain && tail->chain < AEI_AEC_MAX_CHAIN) {
        w->previous = tail->root;
        w->chain = tail->chain;
    }
    for (size_t i = 0; i < n && st == AE_OK; i++)
        if (tail->root && items[i].offset < tail->end) {
            st = aei_add_item(w, &items[i], items[i].name, true, err);
            w->n_old++;
        }
    for (size_t i = 0; i < n && st == AE_OK; i++)
        if (!tail->root || items[i].offset >= tail->end)
            st = recover(w, old, &items[i], err);
    *offset = w->offset;
done:
    ae_items_free(items, n);
    if (st != AE_OK) {
        ae_container_writer_free(w);
        w = NULL;
    }
    *out = w;
    return st;
}

bool ae_container_recovered(const ae_container_writer *w, size_t i, const char **name, bool *whole)
{
    if (i >= w->n_recovered)
        return false;
    *name = w->items[w->n_old + i].name;
    *whole = w->recovered[i];
    return true;
}

void ae_container_writer_free(ae_container_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_items; i++)
        ae_free(w->items[i].name);
    ae_free(w->items);
    ae_free(w->names);
    ae_free(w->recovered);
    ae_free(w->scratch.data);
    ae_free(w->held.data);
    ae_free(w);
}

uint64_t ae_container_next(const ae_container_writer *w)
{
    return w->next_number;
}

uint64_t ae_container_written(const ae_container_writer *w)
{
    return w->offset;
}

ae_status ae_container_write_model(ae_container_writer *w, const void *program, size_t n_bytes,
                                   ae_error *err)
{
    ae_status st;

    if (w->model || w->open || w->next_number)
        return ae_fail(err, AE_ERR_ARGUMENT, "a model comes once, before the items");
    if (n_bytes > AEI_AEC_MAX_MODEL)
        return ae_fail(err, AE_ERR_LIMIT, "a model of %zu bytes", n_bytes);
    w->model = w->offset;
    st = aei_put_chunk(w, AEI_CHUNK_MODEL, program, n_bytes, err);
    w->first = w->offset;
    return st;
}

/* ---- items ---- */

ae_status ae_container_begin(ae_container_writer *w, const ae_item *item, ae_error *err)
{
    ae_item own = *item, again;
    const char *name = item->name ? item->name : "";
    aei_cursor c;
    ae_status st;

    if (w->open)
        return ae_fail(err, AE_ERR_ARGUMENT, "an item within an item");
    if (*name && !ae_item_name_is_safe(name))
        return ae_fail(err, AE_ERR_ARGUMENT, "%s is no name for an item", name);
    own.number = w->next_number;
    own.offset = w->offset;
    own.packed = 0;
    aei_put_number(&w->scratch, own.number);
    aei_put_head(&w->scratch, &own);
    if (w->scratch.failed)
        return out_of_memory(err);
    c = (aei_cursor){w->scratch.data, w->scratch.data + w->scratch.n_bytes, false};
    aei_take_number(&c);
    if ((st = aei_take_head(&c, &again, err)) != AE_OK ||
        (st = aei_add_item(w, &own, name, false, err)) != AE_OK) {
        w->scratch.n_bytes = 0;
        return st;
    }
    w->next_number++;
    w->open = true;
    return aei_put_chunk(w, AEI_CHUNK_HEAD, name, strlen(name), err);
}

ae_status ae_container_write_tile(ae_container_writer *w, ae_tile_kind kind, uint32_t index,
                                  const void *data, size_t n_bytes, ae_error *err)
{
    static const uint8_t types[] = {[AE_TILE_COLOURS] = AEI_CHUNK_TILE,
                                    [AE_TILE_ALPHA] = AEI_CHUNK_ALPHA,
                                    [AE_TILE_PATCH] = AEI_CHUNK_PATCH};

    if (!w->open)
        return ae_fail(err, AE_ERR_ARGUMENT, "a tile outside an item");
    aei_put_number(&w->scratch, w->items[w->n_items - 1].number);
    aei_put_number(&w->scratch, index);
    return aei_put_chunk(w, types[kind], data, n_bytes, err);
}

ae_status ae_container_write_meta(ae_container_writer *w, const ae_meta *meta, ae_error *err)
{
    aei_buffer plain = {0};
    uint8_t *packed = NULL;
    size_t room, n;
    ae_status st;

    if (!meta->n_items)
        return AE_OK;
    if (!w->open)
        return ae_fail(err, AE_ERR_ARGUMENT, "metadata outside an item");
    if (meta->n_items > AEI_AEC_MAX_META)
        return ae_fail(err, AE_ERR_LIMIT, "%zu entries of metadata, the limit is %d", meta->n_items,
                       AEI_AEC_MAX_META);
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];
        size_t n_key = item->key ? strlen(item->key) : 0;

        aei_put_u8(&plain, item->kind);
        aei_put_number(&plain, n_key);
        aei_put(&plain, item->key, n_key);
        aei_put_number(&plain, item->n_bytes);
        aei_put(&plain, item->value, item->n_bytes);
    }
    room = ZSTD_compressBound(plain.n_bytes);
    packed = ae_alloc(room, 1);
    aei_put_number(&w->scratch, w->items[w->n_items - 1].number);
    if (plain.failed || !packed) {
        st = out_of_memory(err);
        goto done;
    }
    n = ZSTD_compress(packed, room, plain.data, plain.n_bytes, 9);
    if (!ZSTD_isError(n) && n < plain.n_bytes && plain.n_bytes <= aei_meta_believed(n)) {
        aei_put_number(&w->scratch, plain.n_bytes);
        st = aei_put_chunk(w, AEI_CHUNK_META, packed, n, err);
    } else {
        aei_put_number(&w->scratch, 0);
        st = aei_put_chunk(w, AEI_CHUNK_META, plain.data, plain.n_bytes, err);
    }
done:
    w->scratch.n_bytes = 0;
    ae_free(packed);
    ae_free(plain.data);
    return st;
}

ae_status ae_container_write_fields(ae_container_writer *w, const ae_item_fields *fields,
                                    uint32_t n, ae_error *err)
{
    if (w->open ? n != 1 : !n || n > w->next_number)
        return ae_fail(err, AE_ERR_ARGUMENT, "fields of %u items", n);
    aei_put_number(&w->scratch, w->open ? w->items[w->n_items - 1].number : w->next_number - n);
    if (aei_put_fields(&w->scratch, fields, n) || w->scratch.failed)
        return aei_put_chunk(w, AEI_CHUNK_FIELDS, NULL, 0, err);
    w->scratch.n_bytes = 0;
    return AE_OK;
}

void ae_container_set_frames(ae_container_writer *w, uint64_t frames)
{
    if (w->open && w->items[w->n_items - 1].info.kind == AE_KIND_AUDIO)
        w->items[w->n_items - 1].info.height = frames;
}

ae_status ae_container_end(ae_container_writer *w, const uint8_t hash[16], ae_error *err)
{
    ae_item *item = w->n_items ? &w->items[w->n_items - 1] : NULL;
    ae_status st = AE_OK;

    if (!w->open)
        return ae_fail(err, AE_ERR_ARGUMENT, "no item to end");
    if (hash) {
        aei_put_number(&w->scratch, item->number);
        st = aei_put_chunk(w, AEI_CHUNK_HASH, hash, 16, err);
    }
    item->span = w->offset - item->offset;
    w->open = false;
    return st;
}

void ae_container_drop(ae_container_writer *w)
{
    if (!w->open)
        return;
    /* the last one put in, so that no other name was placed behind it */
    w->names[find_slot(w, w->items[w->n_items - 1].name)] = 0;
    ae_free(w->items[--w->n_items].name);
    w->scratch.n_bytes = 0;
    w->open = false;
}

static ae_status check_pack(const ae_item *like, uint32_t n, ae_signal_info *all, size_t *n_bytes,
                            ae_error *err)
{
    *all = like->info;
    all->height *= n;
    *n_bytes = ae_row_bytes(all) * all->height;
    if (!all->height || like->info.kind != AE_KIND_IMAGE || like->coding != AE_ITEM_SAMPLES ||
        like->info.height > AE_PACK_BYTES || *n_bytes > AE_PACK_BYTES)
        return ae_fail(err, AE_ERR_ARGUMENT, "no pack: %u items, %zu bytes", n, *n_bytes);
    return AE_OK;
}

ae_status ae_pack(const ae_item *like, uint32_t n, void *samples, ae_packed *out, ae_error *err)
{
    aei_buffer coded = {0};
    ae_signal_info all;
    size_t n_bytes;
    ae_status st = check_pack(like, n, &all, &n_bytes, err);

    *out = (ae_packed){0};
    if (st != AE_OK)
        return st;
    if ((st = aei_samples_pack(&all, (uint32_t)like->info.height, like->quality, samples, &coded,
                               err)) != AE_OK) {
        ae_free(coded.data);
        return st;
    }
    *out = (ae_packed){.data = coded.data, .n_bytes = coded.n_bytes};
    aei_digest(samples, n_bytes, out->hash);
    return AE_OK;
}

ae_status ae_container_write_packed(ae_container_writer *w, const ae_item *like,
                                    const char *const *names, uint32_t n_names,
                                    const ae_packed *packed, ae_error *err)
{
    ae_item item = *like;
    ae_signal_info all;
    size_t n_bytes;
    ae_status st = check_pack(like, n_names, &all, &n_bytes, err);

    if (st == AE_OK && w->open)
        st = ae_fail(err, AE_ERR_ARGUMENT, "a pack within an item");
    if (st != AE_OK)
        return st;
    item.number = w->next_number;
    item.offset = w->offset;
    item.packed = n_names;
    for (item.position = 0; item.position < n_names && st == AE_OK; item.position++, item.number++)
        if (ae_item_name_is_safe(names[item.position]))
            st = aei_add_item(w, &item, names[item.position], false, err);
        else
            st = ae_fail(err, AE_ERR_ARGUMENT, "%s is no name for an item", names[item.position]);
    aei_put_number(&w->scratch, w->next_number);
    aei_put_number(&w->scratch, n_names);
    aei_put_head(&w->scratch, &item);
    for (uint32_t i = 0; i < n_names; i++)
        aei_put_name(&w->scratch, i ? names[i - 1] : "", names[i]);
    aei_put(&w->scratch, packed->hash, sizeof(packed->hash));
    if (st == AE_OK)
        st = aei_put_chunk(w, AEI_CHUNK_NAMED_PACK, packed->data, packed->n_bytes, err);
    w->next_number += n_names;
    w->scratch.n_bytes = 0;
    return st;
}

ae_status ae_container_write_pack(ae_container_writer *w, const ae_item *like,
                                  const char *const *names, uint32_t n_names, void *samples,
                                  ae_error *err)
{
    ae_packed packed;
    ae_status st = ae_pack(like, n_names, samples, &packed, err);

    if (st == AE_OK)
        st = ae_container_write_packed(w, like, names, n_names, &packed, err);
    ae_free(packed.data);
    return st;
}

/* ---- the index ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ae_item *)a)->name, ((const ae_item *)b)->name);
}

static ae_status put_pages(ae_container_writer *w, const ae_item *items, size_t n, aei_buffer *root,
                           ae_error *err)
{
    uint64_t n_pages = 0;
    aei_buffer pages = {0};
    ae_status st = AE_OK;

    for (size_t i = 0; i < n && st == AE_OK; n_pages++) {
        const char *previous = "";
        uint64_t offset = w->offset;
        size_t first = i;

        for (; i < n && w->scratch.n_bytes < AEI_AEC_PAGE && !w->scratch.failed; i++) {
            aei_put_entry(&w->scratch, previous, &items[i]);
            previous = items[i].name;
        }
        if (!first && i == n) { /* few enough to stand in the root */
            aei_put_number(root, 0);
            aei_put(root, w->scratch.data, w->scratch.n_bytes);
            w->scratch.n_bytes = 0;
            goto done;
        }
        aei_put_number(&pages, offset);
        aei_put_number(&pages, w->scratch.n_bytes);
        aei_put_number(&pages, strlen(items[first].name));
        aei_put(&pages, items[first].name, strlen(items[first].name));
        st = aei_put_chunk(w, AEI_CHUNK_PAGE, NULL, 0, err);
    }
    aei_put_number(root, n_pages);
    aei_put(root, pages.data, pages.n_bytes);
    root->failed |= pages.failed;
done:
    ae_free(pages.data);
    return st;
}

/* Whether the head of the one item says all that the index would: in a file of a few tiles a copy
 * of it costs more than it saves where the head is damaged. */
static bool head_tells(const ae_container_writer *w)
{
    const ae_item *item = w->items;

    return w->n_items == 1 && !item->packed && item->info.kind == AE_KIND_IMAGE &&
           aei_item_tiles(item) <= AEI_AEC_SHORT && item->offset == w->first &&
           item->offset + item->span == w->offset;
}

static ae_status finish(ae_container_writer *w, bool unfinished, ae_error *err)
{
    ae_item *items = w->items + (w->previous ? w->n_old : 0);
    size_t n = w->n_items - (w->previous ? w->n_old : 0);
    uint8_t footer[AEI_AEC_FOOTER];
    aei_buffer root = {0};
    ae_status st = AE_OK;

    if (w->open)
        return ae_fail(err, AE_ERR_ARGUMENT, "the last item has not ended");
    if (n)
        qsort(items, n, sizeof(*items), by_name);
    w->n_names = 0; /* the order is gone */
    aei_put_number(&root, w->previous);
    aei_put_number(&root, w->chain + 1);
    aei_put_number(&root, w->next_number);
    aei_put_number(&root, w->model);
    aei_put_number(&root, n);
    if (head_tells(w))
        aei_put_number(&root, 0);
    else if ((st = put_pages(w, items, n, &root, err)) != AE_OK)
        goto done;
    aei_store64(footer, w->offset);
    aei_store32(footer + 8, aei_crc32c(0, footer, 8));
    memcpy(footer + 12, aei_aec_end, 4);
    if (root.failed)
        st = out_of_memory(err);
    else if (root.n_bytes > AEI_AEC_MAX_ROOT)
        st = ae_fail(err, AE_ERR_LIMIT, "an index of %zu bytes", root.n_bytes);
    else
        st = aei_put_chunk(w, AEI_CHUNK_INDEX, root.data, root.n_bytes, err);
    if (st == AE_OK && unfinished)
        st = aei_put_chunk(w, AEI_CHUNK_UNFINISHED, NULL, 0, err);
    if (st == AE_OK)
        st = put(w, footer, sizeof(footer), err);
done:
    ae_free(root.data);
    return st;
}

ae_status ae_container_finish(ae_container_writer *w, ae_error *err)
{
    return finish(w, false, err);
}

ae_status ae_container_interrupt(ae_container_writer *w, ae_error *err)
{
    return finish(w, true, err);
}
