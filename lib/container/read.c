/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The reader's ground: bytes, chunks and packs. */
#define _GNU_SOURCE
#include "read.h"

#include <stdio.h>
#include <string.h>

enum { MAX_ITEMS = 1 << 26 };

ae_status aei_out_of_memory(ae_error *err)
{
    return ae_fail(err, AE_ERR_NOMEM, "container");
}

void aei_complain(ae_container *c, const char *text)
{
    if (!*c->complaint)
        snprintf(c->complaint, sizeof(c->complaint), "%s", text);
}

bool aei_read_at(const ae_container *c, uint64_t offset, void *to, size_t n_bytes)
{
    if (offset > c->bytes.size || n_bytes > c->bytes.size - offset)
        return false;
    if (c->bytes.read(c->bytes.opaque, offset, to, n_bytes) == n_bytes)
        return true;
    *c->unread = true;
    return false;
}

ae_status aei_settle(const ae_container *c, ae_status st, ae_error *err)
{
    bool failed = *c->unread;

    *c->unread = false;
    return failed && st != AE_ERR_NOMEM && st != AE_ERR_CANCELLED
               ? ae_fail(err, AE_ERR_IO, "read error")
               : st;
}

bool aei_chunk_at(const ae_container *c, uint64_t offset, uint8_t *type, uint32_t *n_bytes)
{
    uint8_t header[AEI_AEC_CHUNK];

    return aei_read_at(c, offset, header, sizeof(header)) &&
           aei_parse_chunk(header, type, n_bytes) &&
           *n_bytes <= c->bytes.size - offset - AEI_AEC_CHUNK &&
           4 <= c->bytes.size - offset - AEI_AEC_CHUNK - *n_bytes;
}

uint64_t aei_chunk_end(const ae_container *c, uint64_t offset)
{
    uint8_t type;
    uint32_t n;

    return aei_chunk_at(c, offset, &type, &n) ? offset + n + AEI_AEC_EXTRA : offset;
}

ae_status aei_load(const ae_container *c, uint64_t offset, uint32_t n_bytes, uint8_t **buffer,
                   size_t *capacity, ae_error *err)
{
    if (n_bytes + 4ull > *capacity) {
        ae_free(*buffer);
        *capacity = 0;
        if (!(*buffer = ae_alloc(n_bytes + 4ull, 1)))
            return aei_out_of_memory(err);
        *capacity = n_bytes + 4ull;
    }
    if (!aei_read_at(c, offset, *buffer, n_bytes + 4ull))
        return ae_fail(err, AE_ERR_IO, "cannot read %u bytes at %llu", n_bytes,
                       (unsigned long long)offset);
    if (aei_crc32c(0, *buffer, n_bytes) != aei_load32(*buffer + n_bytes))
        return ae_fail(err, AE_ERR_CHECKSUM, "the chunk at byte %llu is damaged",
                       (unsigned long long)offset - AEI_AEC_CHUNK);
    return AE_OK;
}

ae_status aei_load_chunk(const ae_container *c, uint64_t offset, uint8_t type, uint32_t most,
                         uint8_t **buffer, size_t *capacity, uint32_t *n_bytes, ae_error *err)
{
    uint8_t found;

    if (!aei_chunk_at(c, offset, &found, n_bytes) || found != type)
        return ae_fail(err, AE_ERR_MALFORMED, "no chunk '%c' at byte %llu", type,
                       (unsigned long long)offset);
    if (*n_bytes > most)
        return ae_fail(err, AE_ERR_LIMIT, "a chunk '%c' of %u bytes (at most %u)", type, *n_bytes,
                       most);
    return aei_load(c, offset + AEI_AEC_CHUNK, *n_bytes, buffer, capacity, err);
}

ae_status aei_load_head(const ae_container *c, uint64_t offset, ae_item *item, char *name,
                        ae_error *err)
{
    enum { MOST = 10 + AEI_AEC_MAX_HEAD + AE_ITEM_MAX_NAME };
    uint8_t header[AEI_AEC_CHUNK], payload[MOST + 4], type = 0;
    uint32_t n = 0;
    aei_cursor at = {payload, payload, false};
    ae_status st;

    if (!aei_read_at(c, offset, header, sizeof(header)) || !aei_mend(header, 8) ||
        !aei_parse_chunk(header, &type, &n) || type != AEI_CHUNK_HEAD || n > MOST ||
        !aei_read_at(c, offset + AEI_AEC_CHUNK, payload, n + 4ull) || !aei_mend(payload, n))
        return ae_fail(err, AE_ERR_CHECKSUM, "the head of an item is damaged");
    at.end = payload + n;
    *item = (ae_item){.number = aei_take_number(&at), .offset = offset};
    if ((st = aei_take_head(&at, item, err)) != AE_OK ||
        (st = aei_check_item_size(c, item, err)) != AE_OK)
        return st;
    n = (uint32_t)(at.end - at.at);
    if (n > AE_ITEM_MAX_NAME || memchr(at.at, 0, n))
        return ae_fail(err, AE_ERR_MALFORMED, "the head of an item is damaged");
    memcpy(name, at.at, n);
    name[n] = 0;
    return AE_OK;
}

uint64_t aei_next_chunk(const ae_container *c, uint64_t offset, aei_window *w)
{
    if (!w->bytes && !(w->bytes = ae_alloc(AEI_AEC_WINDOW, 1)))
        return c->bytes.size;
    while (offset <= c->bytes.size && c->bytes.size - offset >= AEI_AEC_EXTRA) {
        uint64_t left = c->bytes.size - offset, end;
        const uint8_t *from, *found;
        uint8_t type;
        uint32_t n;

        if (offset < w->at || offset + AEI_AEC_CHUNK > w->at + w->n) {
            w->at = offset;
            w->n = left < AEI_AEC_WINDOW ? (size_t)left : AEI_AEC_WINDOW;
            if (!aei_read_at(c, offset, w->bytes, w->n))
                break;
        }
        end = w->at + w->n;
        from = w->bytes + (offset - w->at);
        found = memmem(from, (size_t)(end - offset), aei_aec_sync, sizeof(aei_aec_sync));
        if (!found) {
            offset = end - (sizeof(aei_aec_sync) - 1);
            continue;
        }
        offset += (uint64_t)(found - from);
        if (offset + AEI_AEC_CHUNK > end) /* its rest comes with the next window, or does not */
            continue;
        if (aei_parse_chunk(found, &type, &n))
            return offset;
        offset++;
    }
    w->n = 0;
    return c->bytes.size;
}

bool aei_is_footer(const uint8_t footer[AEI_AEC_FOOTER])
{
    return memcmp(footer + 12, aei_aec_end, 4) == 0 &&
           aei_crc32c(0, footer, 8) == aei_load32(footer + 8);
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

ae_status aei_check_item_size(const ae_container *c, const ae_item *item, ae_error *err)
{
    uint64_t w = item->info.width, h = item->info.height;

    if (item->info.kind == AE_KIND_AUDIO)
        return AE_OK; /* a tile at a time is in memory, and heads have their own limit */
    if (w > c->limits.max_edge || h > c->limits.max_edge)
        return ae_fail(err, AE_ERR_LIMIT, "an edge of %llu pixels exceeds max_edge (%llu)",
                       (unsigned long long)(w > h ? w : h), (unsigned long long)c->limits.max_edge);
    if (w * h > c->limits.max_pixels)
        return ae_fail(err, AE_ERR_LIMIT, "%llu x %llu pixels exceed max_pixels (%llu)",
                       (unsigned long long)w, (unsigned long long)h,
                       (unsigned long long)c->limits.max_pixels);
    return AE_OK;
}

ae_status aei_items_append(aei_item_list *l, const ae_item *item, const char *name, size_t n_name,
                           ae_error *err)
{
    char *copy = ae_alloc(n_name + 1, 1);

    if (copy && l->n == l->capacity) {
        size_t capacity = 2 * l->capacity + 16;
        ae_item *all = capacity <= MAX_ITEMS
                           ? ae_realloc(l->all, l->n * sizeof(*all), capacity * sizeof(*all))
                           : NULL;

        if (all) {
            l->all = all;
            l->capacity = capacity;
        }
    }
    if (!copy || l->n == l->capacity) {
        ae_free(copy);
        return aei_out_of_memory(err);
    }
    memcpy(copy, name, n_name);
    l->all[l->n] = *item;
    l->all[l->n++].name = copy;
    return AE_OK;
}

ae_status aei_pack_head(const ae_container *c, aei_cursor *at, ae_item *like, ae_error *err)
{
    uint64_t n, bytes;
    ae_status st;

    *like = (ae_item){.number = aei_take_number(at)};
    n = aei_take_number(at);
    if ((st = aei_take_head(at, like, err)) != AE_OK ||
        (st = aei_check_item_size(c, like, err)) != AE_OK)
        return st;
    bytes = like->info.width * like->info.height * like->info.channels *
            ae_sample_bytes(like->info.sample);
    if (n < 1 || !bytes || bytes > AE_PACK_BYTES || n > AE_PACK_BYTES / bytes ||
        like->coding != AE_ITEM_SAMPLES || like->info.kind != AE_KIND_IMAGE)
        return ae_fail(err, AE_ERR_MALFORMED, "a pack of %llu items", (unsigned long long)n);
    like->packed = (uint32_t)n;
    return AE_OK;
}

ae_status aei_load_pack(const ae_container *c, uint64_t offset, uint8_t *type, uint8_t **buffer,
                        size_t *capacity, uint32_t *n_bytes, ae_error *err)
{
    if (!aei_chunk_at(c, offset, type, n_bytes) || !aei_is_pack(*type))
        return ae_fail(err, AE_ERR_MALFORMED, "no pack at byte %llu", (unsigned long long)offset);
    return aei_load_chunk(c, offset, *type, AEI_AEC_MAX_PACK, buffer, capacity, n_bytes, err);
}

bool aei_pack_name(aei_pack *p, char *name)
{
    uint64_t length;
    const uint8_t *text;

    if (p->shared)
        return aei_take_name(&p->names, name);
    length = aei_take_number(&p->names);
    text = aei_take(&p->names, length);
    if (p->names.bad || length > AE_ITEM_MAX_NAME || memchr(text, 0, (size_t)length))
        return false;
    memcpy(name, text, (size_t)length);
    name[length] = 0;
    return true;
}

ae_status aei_pack_parse(const ae_container *c, uint8_t type, const uint8_t *payload,
                         size_t n_bytes, aei_pack *p, ae_error *err)
{
    char name[AE_ITEM_MAX_NAME + 1] = "";
    aei_cursor at = {payload, payload + n_bytes, false}, names;
    const uint8_t *hash;
    ae_status st;

    *p = (aei_pack){0};
    if ((st = aei_pack_head(c, &at, &p->like, err)) != AE_OK)
        return st;
    p->shared = type == AEI_CHUNK_NAMED_PACK;
    p->names = names = at;
    for (uint32_t i = 0; i < p->like.packed && !at.bad; i++)
        at.bad = !aei_pack_name(p, name);
    at.at = p->names.at;
    p->names = (aei_cursor){names.at, at.at, false};
    if ((hash = aei_take(&at, 16)) != NULL)
        memcpy(p->hash, hash, 16);
    if (at.bad)
        return ae_fail(err, AE_ERR_MALFORMED, "a pack that ends too early");
    p->coded = at.at;
    p->n_coded = (size_t)(at.end - at.at);
    return AE_OK;
}
