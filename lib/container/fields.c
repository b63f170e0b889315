/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is kept of items beside what they hold: a chunk of tagged fields behind the head of an item,
 * or behind a pack. */
#include "fields.h"

#include <string.h>

#include <zstd.h>

enum { FIELD_CHANGED = 1, FIELD_MODE = 2, FIELD_LABEL = 3, MODE_BITS = 0777, MAX_FIELDS = 1 << 24 };

static uint64_t fold(int64_t v)
{
    return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

static int64_t unfold(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

static void put_field(aei_buffer *b, uint8_t tag, uint64_t value)
{
    aei_buffer number = {0};

    aei_put_number(&number, value);
    aei_put_u8(b, tag);
    aei_put_number(b, number.n_bytes);
    aei_put(b, number.data, number.n_bytes);
    b->failed |= number.failed;
    ae_free(number.data);
}

static void put_item(aei_buffer *b, const ae_item_fields *f)
{
    aei_buffer own = {0};

    if (f->has_changed)
        put_field(&own, FIELD_CHANGED, fold(f->changed));
    if (f->mode)
        put_field(&own, FIELD_MODE, f->mode);
    if (*f->label) {
        size_t n = strnlen(f->label, AE_LABEL_BYTES - 1);

        aei_put_u8(&own, FIELD_LABEL);
        aei_put_number(&own, n);
        aei_put(&own, f->label, n);
    }
    aei_put_number(b, own.n_bytes);
    aei_put(b, own.data, own.n_bytes);
    b->failed |= own.failed;
    ae_free(own.data);
}

/* Tags that are not known are left out. */
static void take_item(aei_cursor *c, ae_item_fields *f)
{
    uint64_t n = aei_take_number(c);
    const uint8_t *all = aei_take(c, n);
    aei_cursor own = {all, all ? all + n : all, false};

    while (!c->bad && own.at < own.end) {
        uint32_t tag = aei_take_u8(&own);
        uint64_t length = aei_take_number(&own), number;
        const uint8_t *value = aei_take(&own, length);
        aei_cursor v = {value, value ? value + length : value, false};

        c->bad |= own.bad;
        if (!own.bad && tag == FIELD_LABEL) {
            c->bad |= length >= AE_LABEL_BYTES || memchr(value, 0, (size_t)length);
            if (!c->bad)
                memcpy(f->label, value, (size_t)length);
            continue;
        }
        if (own.bad || (tag != FIELD_CHANGED && tag != FIELD_MODE))
            continue;
        number = aei_take_number(&v);
        c->bad |= v.bad;
        if (tag == FIELD_MODE) {
            f->mode = number & MODE_BITS;
        } else {
            f->has_changed = true;
            f->changed = unfold(number);
        }
    }
}

bool aei_put_fields(aei_buffer *b, const ae_item_fields *fields, uint32_t n)
{
    aei_buffer plain = {0};
    uint8_t *packed = NULL;
    bool any = false;
    size_t room, size;

    for (uint32_t i = 0; i < n; i++) {
        any |= fields[i].has_changed || fields[i].mode || *fields[i].label;
        put_item(&plain, &fields[i]);
    }
    if (any && !plain.failed) {
        room = ZSTD_compressBound(plain.n_bytes);
        packed = ae_alloc(room, 1);
        size = packed ? ZSTD_compress(packed, room, plain.data, plain.n_bytes, 9) : 0;
        plain.failed |= !packed;
        aei_put_number(b, n);
        if (packed && !ZSTD_isError(size) && size < plain.n_bytes &&
            plain.n_bytes <= aei_meta_believed(size)) {
            aei_put_number(b, plain.n_bytes);
            aei_put(b, packed, size);
        } else {
            aei_put_number(b, 0);
            aei_put(b, plain.data, plain.n_bytes);
        }
    }
    b->failed |= plain.failed;
    ae_free(packed);
    ae_free(plain.data);
    return any;
}

uint64_t aei_fields_at(const ae_container *c, const ae_item *item)
{
    uint64_t at = item->offset;
    uint8_t type;
    uint32_t n;

    if (!aei_chunk_at(c, at, &type, &n) ||
        (item->packed ? !aei_is_pack(type) : type != AEI_CHUNK_HEAD))
        return 0;
    at += n + (uint64_t)AEI_AEC_EXTRA;
    return aei_chunk_at(c, at, &type, &n) && type == AEI_CHUNK_FIELDS ? at : 0;
}

/* Those of one item, or of all of a pack; what is damaged tells nothing. AE_ERR_NOMEM only. */
static ae_status load(const ae_container *c, const ae_item *item, uint32_t count,
                      ae_item_fields *out, ae_error *err)
{
    uint64_t at = aei_fields_at(c, item), n_plain, number, told;
    uint8_t *buffer = NULL, *plain = NULL;
    size_t capacity = 0;
    uint32_t n = 0;
    aei_cursor cursor;
    ae_error why;
    ae_status st = at ? aei_load_chunk(c, at, AEI_CHUNK_FIELDS, MAX_FIELDS, &buffer, &capacity, &n,
                                       &why)
                      : AE_ERR_ARGUMENT;

    memset(out, 0, count * sizeof(*out));
    if (st != AE_OK)
        goto done;
    cursor = (aei_cursor){buffer, buffer + n, false};
    number = aei_take_number(&cursor);
    told = aei_take_number(&cursor);
    n_plain = aei_take_number(&cursor);
    st = cursor.bad || number != item->number - (item->packed ? item->position : 0) ||
                 told != count || n_plain > aei_meta_believed((size_t)(cursor.end - cursor.at))
             ? AE_ERR_MALFORMED
             : AE_OK;
    if (st == AE_OK && n_plain) {
        if (!(plain = ae_alloc((size_t)n_plain, 1)))
            st = AE_ERR_NOMEM;
        else if (ZSTD_decompress(plain, (size_t)n_plain, cursor.at,
                                 (size_t)(cursor.end - cursor.at)) != n_plain)
            st = AE_ERR_MALFORMED;
        cursor = (aei_cursor){plain, plain ? plain + n_plain : NULL, false};
    }
    for (uint32_t i = 0; i < count && st == AE_OK; i++) {
        take_item(&cursor, &out[i]);
        st = cursor.bad ? AE_ERR_MALFORMED : AE_OK;
    }
    if (st != AE_OK)
        memset(out, 0, count * sizeof(*out));
done:
    ae_free(buffer);
    ae_free(plain);
    return st == AE_ERR_NOMEM ? aei_out_of_memory(err) : AE_OK;
}

ae_status ae_container_fields(const ae_container *c, const ae_item *items, size_t n,
                              ae_item_fields *out, ae_error *err)
{
    ae_item_fields *pack = NULL; /* of the pack at `of` */
    uint64_t of = 0;
    ae_status st = AE_OK;

    for (size_t i = 0; i < n && st == AE_OK; i++) {
        const ae_item *item = &items[i];

        if (!item->packed) {
            st = load(c, item, 1, &out[i], err);
            continue;
        }
        if (!pack || of != item->offset) {
            ae_free(pack);
            of = item->offset;
            st = (pack = ae_alloc(item->packed, sizeof(*pack)))
                     ? load(c, item, item->packed, pack, err)
                     : aei_out_of_memory(err);
        }
        if (st == AE_OK)
            out[i] = pack[item->position];
    }
    ae_free(pack);
    return aei_settle(c, st, err);
}
