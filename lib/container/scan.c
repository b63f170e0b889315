/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Going through a file chunk by chunk: to find items without an index, and to check them all. */
#include <string.h>

#include "read.h"

static ae_status scan_head(ae_container *c, uint64_t offset, ae_error *err)
{
    char name[AE_ITEM_MAX_NAME + 1];
    ae_item item;
    ae_error why;

    if (aei_load_head(c, offset, &item, name, &why) == AE_OK)
        return aei_items_append(&c->scanned, &item, name, strlen(name), err);
    aei_complain(c, "the head of an item is damaged");
    return AE_OK;
}

/* How long a sound is at least: its length may not have been known when its head was written. */
static ae_status scan_tile(ae_container *c, uint64_t offset, uint32_t n, uint8_t **buffer,
                           size_t *capacity, ae_error *err)
{
    ae_item *item = c->scanned.n ? &c->scanned.all[c->scanned.n - 1] : NULL;
    aei_cursor at;
    uint64_t number, index, frames;
    ae_status st;
    ae_error why;

    if (!item || item->packed || item->info.kind != AE_KIND_AUDIO || n > AEI_AEC_MAX_TILE)
        return AE_OK;
    if ((st = aei_load(c, offset + AEI_AEC_CHUNK, n, buffer, capacity, &why)) != AE_OK)
        return st == AE_ERR_NOMEM ? aei_out_of_memory(err) : AE_OK;
    at = (aei_cursor){*buffer, *buffer + n, false};
    number = aei_take_number(&at);
    index = aei_take_number(&at);
    frames = aei_sound_tile_frames(at.at, (size_t)(at.end - at.at));
    if (!at.bad && number == item->number && frames && frames <= item->tile &&
        index < AEI_AEC_MAX_SOUND_TILES && index * item->tile + frames > item->info.height)
        item->info.height = index * item->tile + frames;
    return AE_OK;
}

static ae_status scan_pack(ae_container *c, uint64_t offset, uint8_t type, const uint8_t *payload,
                           uint32_t n, ae_error *err)
{
    char name[AE_ITEM_MAX_NAME + 1] = "";
    ae_error why;
    aei_pack p;
    ae_status st = aei_pack_parse(c, type, payload, n, &p, &why);

    if (st != AE_OK) {
        aei_complain(c, "a pack of items is damaged");
        return AE_OK;
    }
    for (uint32_t i = 0; i < p.like.packed && st == AE_OK; i++) {
        ae_item item = p.like;

        if (!aei_pack_name(&p, name))
            return ae_fail(err, AE_ERR_INTERNAL, "a pack whose names have changed");
        item.offset = offset;
        item.span = n + AEI_AEC_EXTRA;
        item.position = i;
        item.number += i;
        if ((c->n_names += strlen(name)) >
            AEI_AEC_MAX_NAMES + AEI_AEC_MAX_EXPANSION * c->bytes.size)
            st = ae_fail(err, AE_ERR_LIMIT,
                         "packs whose names are more than %d times as long as the file",
                         AEI_AEC_MAX_EXPANSION);
        else
            st = aei_items_append(&c->scanned, &item, name, strlen(name), err);
    }
    return st;
}

ae_status aei_scan(ae_container *c, uint64_t at, ae_error *err)
{
    uint8_t *buffer = NULL, header[AEI_AEC_CHUNK];
    aei_window window = {0};
    size_t capacity = 0;
    ae_status st = AE_OK;

    while (st == AE_OK && at < c->bytes.size) {
        uint8_t type;
        uint32_t n;

        if (!aei_chunk_at(c, at, &type, &n)) {
            if (aei_read_at(c, at, header, sizeof(header)) && aei_parse_chunk(header, &type, &n))
                c->needs = at + n + AEI_AEC_EXTRA;
            at = aei_next_chunk(c, at + 1, &window);
            continue;
        }
        if (type == AEI_CHUNK_HEAD) {
            st = scan_head(c, at, err);
        } else if (aei_is_pack(type)) {
            if (n > AEI_AEC_MAX_PACK || (st = aei_load(c, at + AEI_AEC_CHUNK, n, &buffer, &capacity,
                                                       err)) == AE_ERR_CHECKSUM) {
                aei_complain(c, "a pack of items is damaged");
                st = AE_OK;
            } else if (st == AE_OK) {
                st = scan_pack(c, at, type, buffer, n, err);
            }
        } else if (type == AEI_CHUNK_TILE) {
            st = scan_tile(c, at, n, &buffer, &capacity, err);
        } else if (type == AEI_CHUNK_MODEL && !c->tail.model) {
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
    ae_free(window.bytes);
    return st;
}

ae_status ae_container_check(const ae_container *c, void *opaque,
                             void (*damaged)(void *opaque, uint64_t offset, const char *why),
                             ae_error *err)
{
    uint8_t *buffer = NULL, footer[AEI_AEC_FOOTER];
    aei_window window = {0};
    size_t capacity = 0;
    uint64_t at = AEI_AEC_HEADER;
    ae_status st = AE_OK;

    while (st == AE_OK && at < c->bytes.size) {
        uint8_t type;
        uint32_t n;
        ae_error why;

        if (aei_read_at(c, at, footer, sizeof(footer)) && aei_is_footer(footer)) {
            at += sizeof(footer);
        } else if (!aei_chunk_at(c, at, &type, &n)) {
            damaged(opaque, at, "no whole chunk or footer");
            at = aei_next_chunk(c, at + 1, &window);
        } else {
            if (n > AEI_AEC_MAX_MODEL ||
                (st = aei_load(c, at + AEI_AEC_CHUNK, n, &buffer, &capacity, &why)) != AE_OK) {
                if (st != AE_ERR_IO)
                    damaged(opaque, at,
                            n > AEI_AEC_MAX_MODEL ? "a chunk that is too large" : why.message);
                st = st == AE_ERR_NOMEM ? aei_out_of_memory(err) : AE_OK;
            } else if (type >= 'A' && type <= 'Z' && !strchr(AEI_CRITICAL_TYPES, type)) {
                damaged(opaque, at, "a critical chunk of a later version");
            }
            at += n + (uint64_t)AEI_AEC_EXTRA;
        }
    }
    ae_free(buffer);
    ae_free(window.bytes);
    return aei_settle(c, st, err);
}
