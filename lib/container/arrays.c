/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Arrays as tiles of elements: cut from a stream of rows and put together again, as many tiles at a
 * time as there are threads. */
#include <string.h>

#include "arraytile.h"
#include "core/threads.h"
#include "fetch.h"

enum {
    LARGEST = 1 << 17, /* elements of a tile */
    MOST_TILES = 1 << 21,
    WORTH = 32 /* a tile is small where that costs at most one byte more in so many */
};

/* Of about that many elements: whole rows, where one does not have more. */
static uint32_t tile_of(const ae_signal_info *info, uint32_t n)
{
    return info->width >= n ? n : (uint32_t)(n / info->width * info->width);
}

/* Bytes that the elements take in tiles of that many. */
static ae_status try(aei_array_coder *c, const ae_item *item, const uint8_t *elements, uint32_t n,
                     uint32_t tile, uint8_t *copy, aei_buffer *data, size_t *n_bytes, ae_error *err)
{
    size_t each = ae_sample_bytes(item->info.sample);
    ae_status st = AE_OK;

    *n_bytes = 0;
    for (uint32_t at = 0, some; at < n && st == AE_OK; at += some) {
        some = n - at < tile ? n - at : tile;
        memcpy(copy, elements + at * each, some * each);
        st = aei_array_tile_encode(c, item, at, copy, some, data, err);
        *n_bytes += data->n_bytes;
    }
    return st;
}

ae_status ae_arrays_choose_tile(ae_item *item, const void *elements, uint32_t n, ae_error *err)
{
    static const uint32_t small[] = {1 << 12, 1 << 14};
    const ae_signal_info *info = &item->info;
    aei_array_coder *c = aei_array_coder_create();
    uint8_t *copy = ae_alloc(n, ae_sample_bytes(info->sample));
    aei_buffer data = {0};
    size_t whole = 0, parts;
    ae_status st = AE_OK;

    item->tile = tile_of(info, LARGEST);
    if (!c || !copy)
        st = ae_fail(err, AE_ERR_NOMEM, "tiles of an array");
    else if (n > small[0])
        st = try(c, item, elements, n, n, copy, &data, &whole, err);
    for (size_t i = 0; i < sizeof(small) / sizeof(*small) && n > small[i] && st == AE_OK; i++) {
        uint32_t tile = tile_of(info, small[i]);

        if (info->width * info->height / tile > MOST_TILES)
            continue;
        st = try(c, item, elements, n, tile, copy, &data, &parts, err);
        if (st == AE_OK && parts <= whole + whole / WORTH) {
            item->tile = tile;
            break;
        }
    }
    ae_free(data.data);
    ae_free(copy);
    aei_array_coder_free(c);
    return st;
}

typedef struct slot {
    aei_array_coder *coder;
    uint8_t *elements;
    uint64_t first;
    uint32_t n;
    aei_buffer data;
    ae_error err;
    ae_status st;
} slot;

/* The tiles in hand. */
typedef struct tiles {
    const ae_item *item;
    size_t each; /* bytes of an element */
    uint64_t n_elements;
    slot *slots;
    uint32_t n; /* threads */
    /* one that is not whole: read, and given out up to `at`, or put together up to there; */
    uint8_t *row;
    uint64_t at; /* in elements */
    aei_pool *pool;
    const ae_cancel *cancel;
} tiles;

static void tiles_close(tiles *t)
{
    for (uint32_t i = 0; i < t->n && t->slots; i++) {
        aei_array_coder_free(t->slots[i].coder);
        ae_free(t->slots[i].elements);
        ae_free(t->slots[i].data.data);
    }
    ae_free(t->slots);
    ae_free(t->row);
    aei_pool_free(t->pool);
}

static ae_status tiles_open(tiles *t, const ae_item *item, const ae_control *control,
                            uint64_t n_elements, ae_error *err)
{
    uint32_t threads = control->threads ? control->threads : aei_cpu_count();
    uint64_t most;
    ae_status st = AE_OK;

    *t = (tiles){
        .item = item, .each = ae_sample_bytes(item->info.sample), .cancel = control->cancel};
    if (!ae_arrays_known(&item->info) || !item->tile || item->tile > AEI_ARRAY_MAX_TILE ||
        !aei_tiles_believed(item))
        return ae_fail(err, AE_ERR_ARGUMENT, "an array that cannot be stored");
    t->n_elements = item->info.width * item->info.height;
    most = n_elements / item->tile + 2;
    threads = threads < most ? threads : (uint32_t)most;
    if (!(t->slots = ae_alloc(threads, sizeof(*t->slots))) ||
        !(t->row = ae_alloc((size_t)item->info.width, t->each)))
        st = ae_fail(err, AE_ERR_NOMEM, "tiles of an array");
    t->n = threads;
    for (uint32_t i = 0; i < threads && st == AE_OK; i++)
        if (!(t->slots[i].coder = aei_array_coder_create()) ||
            !(t->slots[i].elements = ae_alloc(
                  item->tile < t->n_elements ? item->tile : (size_t)t->n_elements, t->each)))
            st = ae_fail(err, AE_ERR_NOMEM, "tiles of an array");
    if (st == AE_OK)
        st = aei_pool_create(threads, &t->pool, err);
    if (st != AE_OK)
        tiles_close(t);
    return st;
}

static bool cancelled(const tiles *t)
{
    return t->cancel && t->cancel->requested;
}

/* Where the tile begins at an element, and how many it has. */
static void place(const tiles *t, slot *s, uint64_t first)
{
    s->first = first;
    s->n = t->n_elements - first < t->item->tile ? (uint32_t)(t->n_elements - first)
                                                 : t->item->tile;
}

/* ---- encoding ---- */

/* Whole rows go to the tile, those that it has no room for by t->row. */
static ae_status fill(tiles *t, slot *s, const ae_row_source *source, ae_error *err)
{
    const uint64_t width = t->item->info.width;
    uint32_t done = 0;

    while (done < s->n) {
        uint8_t *to = s->elements + done * t->each;
        uint64_t n = s->n - done;
        ae_status st;

        if (t->at) { /* of a row that has begun */
            n = n < width - t->at ? n : width - t->at;
            memcpy(to, t->row + t->at * t->each, (size_t)n * t->each);
            t->at = t->at + n < width ? t->at + n : 0;
        } else if (n >= width) {
            if ((st = source->read(source->opaque, to, (uint32_t)(n / width), err)) != AE_OK)
                return st;
            n -= n % width;
        } else {
            if ((st = source->read(source->opaque, t->row, 1, err)) != AE_OK)
                return st;
            memcpy(to, t->row, (size_t)n * t->each);
            t->at = n;
        }
        done += (uint32_t)n;
    }
    return AE_OK;
}

static void encode_one(void *context, uint32_t i, uint32_t thread)
{
    tiles *t = context;
    slot *s = &t->slots[i];

    (void)thread;
    s->st = cancelled(t) ? ae_fail(&s->err, AE_ERR_CANCELLED, "interrupted")
                         : aei_array_tile_encode(s->coder, t->item, s->first, s->elements, s->n,
                                                 &s->data, &s->err);
}

ae_status ae_arrays_encode(const ae_item *item, const ae_arrays_options *o,
                           const ae_row_source *source, const ae_tile_sink *sink, ae_error *err)
{
    uint64_t at = 0;
    uint32_t index = 0;
    tiles t;
    ae_status st = tiles_open(&t, item, &o->control, item->info.width * item->info.height, err);

    if (st != AE_OK)
        return st;
    while (at < t.n_elements && st == AE_OK) {
        uint32_t n = 0;

        for (; n < t.n && at < t.n_elements && st == AE_OK; at += t.slots[n++].n) {
            place(&t, &t.slots[n], at);
            st = fill(&t, &t.slots[n], source, err);
        }
        if (st != AE_OK)
            break;
        aei_pool_run(t.pool, n, encode_one, &t);
        for (uint32_t i = 0; i < n && st == AE_OK; i++) {
            slot *s = &t.slots[i];

            if (s->st != AE_OK)
                st = ae_fail(err, s->st, "%s", s->err.message);
            else if ((st = sink->write(sink->opaque, index++, s->data.data, s->data.n_bytes,
                                       err)) == AE_OK &&
                     o->decoded)
                o->decoded(o->control.opaque, s->elements, s->n);
        }
        if (st == AE_OK && o->control.progress)
            o->control.progress(o->control.opaque, (double)at / (double)t.n_elements);
    }
    tiles_close(&t);
    return st;
}

/* ---- decoding ---- */

static void decode_one(void *context, uint32_t i, uint32_t thread)
{
    tiles *t = context;
    slot *s = &t->slots[i];

    (void)thread;
    if (s->st == AE_OK && cancelled(t))
        s->st = ae_fail(&s->err, AE_ERR_CANCELLED, "interrupted");
    if (s->st == AE_OK)
        s->st = aei_array_tile_decode(s->coder, t->item, s->first, s->data.data, s->data.n_bytes,
                                      s->elements, s->n, &s->err);
    if (s->st != AE_OK) {
        ae_sample type = t->item->info.sample;
        bool is_float = type == AE_F16 || type == AE_F32 || type == AE_F64;

        memset(s->elements, is_float ? 0xff : 0, s->n * t->each); /* all bits set are no number */
    }
}

/* Elements as they follow each other, in whole rows. */
static ae_status give_out(tiles *t, const uint8_t *elements, uint64_t n, const ae_row_sink *sink,
                          ae_error *err)
{
    const uint64_t width = t->item->info.width;

    while (n) {
        uint64_t some = n;
        ae_status st = AE_OK;

        if (t->at || n < width) {
            some = n < width - t->at ? n : width - t->at;
            memcpy(t->row + t->at * t->each, elements, (size_t)some * t->each);
            t->at += some;
            if (t->at == width) {
                st = sink->write(sink->opaque, t->row, 1, err);
                t->at = 0;
            }
        } else {
            some -= n % width;
            st = sink->write(sink->opaque, elements, (uint32_t)(some / width), err);
        }
        if (st != AE_OK)
            return st;
        elements += some * t->each;
        n -= some;
    }
    return AE_OK;
}

ae_status ae_arrays_decode(const ae_item *item, const ae_arrays_options *o,
                           const ae_tile_source *source, const ae_row_sink *sink, ae_error *err)
{
    const ae_signal_info *info = &item->info;
    uint64_t first = o->n_rows ? o->first : 0, rows = o->n_rows ? o->n_rows : info->height, end, at;
    tiles t;
    ae_status st;

    if (first > info->height || rows > info->height - first)
        return ae_fail(err, AE_ERR_ARGUMENT, "rows beyond the end of the array, which has %llu",
                       (unsigned long long)info->height);
    if ((st = tiles_open(&t, item, &o->control, rows * info->width, err)) != AE_OK)
        return st;
    first *= info->width;
    end = first + rows * info->width;
    for (at = first - first % item->tile; at < end && st == AE_OK;) {
        uint32_t n = 0;

        if (cancelled(&t))
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        for (; n < t.n && at < end && st == AE_OK; at += t.slots[n++].n) {
            place(&t, &t.slots[n], at);
            st = aei_fetch_tile(source, (uint32_t)(at / item->tile), &o->control, &t.slots[n].data,
                                &t.slots[n].st, &t.slots[n].err, err);
        }
        if (st != AE_OK)
            break;
        aei_pool_run(t.pool, n, decode_one, &t);
        for (uint32_t i = 0; i < n && st == AE_OK; i++) {
            slot *s = &t.slots[i];
            uint64_t from = s->first < first ? first - s->first : 0,
                     to = end - s->first < s->n ? end - s->first : s->n;

            if (aei_costs_item(&o->control, s->st))
                st = ae_fail(err, s->st, "%s", s->err.message);
            else if (s->st != AE_OK)
                o->control.lost(o->control.opaque, (uint32_t)(s->first / item->tile),
                                s->err.message);
            if (st == AE_OK)
                st = give_out(&t, s->elements + from * t.each, to - from, sink, err);
        }
        if (st == AE_OK && o->control.progress)
            o->control.progress(o->control.opaque,
                                at < end ? (double)(at - first) / (double)(end - first) : 1);
    }
    tiles_close(&t);
    return st;
}
