/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds as tiles: cut from a stream of frames and put together again, as many tiles at a time as
 * there are threads. */
#include <string.h>

#include "core/threads.h"
#include "fetch.h"
#include "soundlossy.h"
#include "soundtile.h"

enum { TILE_BYTES = 1 << 22 /* of samples, at most */, LEAST_FRAMES = 4096 };

uint32_t ae_sounds_tile(const ae_signal_info *info)
{
    uint64_t frame = ae_row_bytes(info), tile = LEAST_FRAMES;

    while (tile < info->rate && tile < AEI_MODEL_MAX_FRAMES && 2 * tile * frame <= TILE_BYTES)
        tile *= 2;
    return (uint32_t)tile;
}

uint8_t ae_sounds_block(const ae_signal_info *info, uint32_t tile)
{
    return (uint8_t)aei_lossy_block(info, tile);
}

typedef struct slot {
    aei_sound_coder *coder;
    aei_lossy lossy;
    uint8_t *frames; /* of spectra behind the last ones of the tile before */
    uint32_t n;      /* frames */
    bool last;       /* of the sound */
    bool begin;      /* only its first cell is wanted */
    aei_buffer data;
    ae_error err;
    ae_status st;
} slot;

/* The tiles in hand. */
typedef struct tiles {
    ae_signal_info info;
    uint32_t bound;
    double quality;
    size_t frame_bytes;
    uint32_t overlap; /* frames before a tile that its slot has; 0: it needs none */
    aei_lossy_join join;
    uint8_t *joined; /* a tile's frames and overlap more */
    slot *slots;
    uint32_t n; /* threads */
    aei_pool *pool;
    const ae_cancel *cancel;
} tiles;

static void tiles_close(tiles *t)
{
    for (uint32_t i = 0; i < t->n && t->slots; i++) {
        aei_sound_coder_free(t->slots[i].coder);
        aei_lossy_close(&t->slots[i].lossy);
        ae_free(t->slots[i].frames);
        ae_free(t->slots[i].data.data);
    }
    ae_free(t->slots);
    ae_free(t->joined);
    aei_lossy_join_close(&t->join);
    aei_pool_free(t->pool);
}

static ae_status slot_open(tiles *t, slot *s, uint32_t tile, uint32_t block, ae_error *err)
{
    if (!(s->frames = ae_alloc((size_t)tile + t->overlap, t->frame_bytes)))
        return ae_fail(err, AE_ERR_NOMEM, "tiles of sound");
    if (block)
        return aei_lossy_open(&s->lossy, &t->info, block, tile, err);
    return (s->coder = aei_sound_coder_create()) ? AE_OK
                                                 : ae_fail(err, AE_ERR_NOMEM, "tiles of sound");
}

static ae_status tiles_open(tiles *t, const ae_signal_info *info, uint32_t tile,
                            const ae_sounds_options *o, uint64_t most, ae_error *err)
{
    uint32_t threads = o->control.threads ? o->control.threads : aei_cpu_count();
    ae_status st = AE_OK;

    *t = (tiles){
        .info = *info, .bound = o->bound, .quality = o->quality, .cancel = o->control.cancel};
    if (!aei_sound_known(info) || !tile || tile > AEI_MODEL_MAX_FRAMES)
        return ae_fail(
            err, AE_ERR_ARGUMENT,
            "sound of a type that cannot be stored (whole numbers of 8 to 32 bits, floats; up to "
            "%d channels)",
            AEI_MODEL_CHANNELS);
    if (o->block && !aei_lossy_fits(info, o->block, tile))
        return ae_fail(err, AE_ERR_ARGUMENT, "cells of 2^%u frames in tiles of %u", o->block, tile);
    t->overlap = o->block ? aei_lossy_overlap(o->block) : 0;
    t->info.width = 1;
    t->frame_bytes = ae_row_bytes(&t->info);
    threads = threads < most ? threads : most ? (uint32_t)most : 1;
    if (!(t->slots = ae_alloc(threads, sizeof(*t->slots))))
        return ae_fail(err, AE_ERR_NOMEM, "tiles of sound");
    t->n = threads;
    for (uint32_t i = 0; i < threads && st == AE_OK; i++)
        st = slot_open(t, &t->slots[i], tile, o->block, err);
    if (st == AE_OK && o->block)
        st = aei_lossy_join_open(&t->join, &t->slots[0].lossy, err);
    if (st == AE_OK && o->block &&
        !(t->joined = ae_alloc((size_t)tile + (2u << o->block), t->frame_bytes)))
        st = ae_fail(err, AE_ERR_NOMEM, "tiles of sound");
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

/* ---- encoding ---- */

/* A whole tile, unless the sound ends. */
static ae_status fill(const tiles *t, uint8_t *frames, uint32_t tile, const ae_frame_source *source,
                      uint32_t *n, ae_error *err)
{
    uint32_t part = 1;

    for (*n = 0; *n < tile && part; *n += part) {
        ae_status st = source->read(source->opaque, frames + *n * t->frame_bytes, tile - *n, &part,
                                    err);

        if (st != AE_OK)
            return st;
    }
    return AE_OK;
}

/* Frames that were read ahead: only then is it known which tile is the last. */
typedef struct ahead {
    uint8_t *frames; /* overlap from before, then the tile */
    uint32_t n;
} ahead;

/* Gives the slot the tile that was read ahead, and reads the next one; n becomes 0 where there was
 * none. */
static ae_status next_tile(const tiles *t, slot *s, ahead *a, uint32_t tile,
                           const ae_frame_source *source, ae_error *err)
{
    size_t before = t->overlap * t->frame_bytes;
    uint8_t *frames = s->frames;
    ae_status st = AE_OK;

    s->frames = a->frames;
    s->n = a->n;
    a->frames = frames;
    memcpy(a->frames, s->frames + s->n * t->frame_bytes, before);
    a->n = 0;
    if (s->n == tile)
        st = fill(t, a->frames + before, tile, source, &a->n, err);
    s->last = !a->n;
    return st;
}

static void encode_one(void *context, uint32_t i, uint32_t thread)
{
    tiles *t = context;
    slot *s = &t->slots[i];

    (void)thread;
    if (cancelled(t))
        s->st = ae_fail(&s->err, AE_ERR_CANCELLED, "interrupted");
    else if (t->overlap)
        s->st = aei_lossy_encode(&s->lossy, t->quality, s->frames, s->n, s->last, &s->data,
                                 &s->err);
    else
        s->st = aei_sound_tile_encode(s->coder, &t->info, t->bound, s->frames, s->n, SIZE_MAX,
                                      &s->data, &s->err);
}

/* What decoding will give, as far as it is known: of spectra up to where the next tile matters. */
static void tell(tiles *t, slot *s, const ae_sounds_options *o, uint64_t *told, uint64_t known)
{
    uint32_t n = s->n;

    if (t->overlap) {
        n = aei_lossy_join_take(&t->join, &s->lossy, t->joined);
        n = n < known - *told ? n : (uint32_t)(known - *told);
    }
    if (o->decoded)
        o->decoded(o->control.opaque, t->overlap ? t->joined : s->frames, n);
    *told += n;
}

ae_status ae_sounds_encode(const ae_sounds_options *o, const ae_frame_source *source, uint32_t tile,
                           const ae_tile_sink *sink, uint64_t *n_frames, ae_error *err)
{
    const ae_signal_info *info = &source->info;
    uint64_t index = 0, told = 0;
    ahead a = {0};
    tiles t;
    ae_status st = tiles_open(&t, info, tile, o,
                              info->height ? (info->height + tile - 1) / tile : UINT64_MAX, err);

    *n_frames = 0;
    if (st != AE_OK)
        return st;
    if (!(a.frames = ae_alloc((size_t)tile + t.overlap, t.frame_bytes)))
        st = ae_fail(err, AE_ERR_NOMEM, "tiles of sound");
    if (st == AE_OK) {
        memset(a.frames, 0, t.overlap * t.frame_bytes);
        st = fill(&t, a.frames + t.overlap * t.frame_bytes, tile, source, &a.n, err);
    }
    while (st == AE_OK && a.n) {
        uint32_t n = 0;

        while (st == AE_OK && n < t.n && a.n)
            st = next_tile(&t, &t.slots[n++], &a, tile, source, err);
        if (st != AE_OK)
            break;
        aei_pool_run(t.pool, n, encode_one, &t);
        for (uint32_t i = 0; i < n && st == AE_OK; i++, index++) {
            slot *s = &t.slots[i];

            *n_frames += s->n;
            if (s->st != AE_OK)
                st = ae_fail(err, s->st, "%s", s->err.message);
            else if (index >= AEI_AEC_MAX_SOUND_TILES)
                st = ae_fail(err, AE_ERR_LIMIT, "a sound of more than %d tiles",
                             AEI_AEC_MAX_SOUND_TILES);
            else if (t.overlap)
                st = aei_lossy_settle(&s->lossy, !t.join.running || t.join.plain, s->frames,
                                      &s->data, err);
            if (st == AE_OK && (st = sink->write(sink->opaque, (uint32_t)index, s->data.data,
                                                 s->data.n_bytes, err)) == AE_OK)
                tell(&t, s, o, &told, *n_frames);
        }
        if (st == AE_OK && o->control.progress)
            o->control.progress(o->control.opaque, info->height > *n_frames
                                                       ? (double)*n_frames / (double)info->height
                                                       : !a.n);
    }
    ae_free(a.frames);
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
    if (t->overlap) {
        if (s->st == AE_OK)
            s->st = aei_lossy_decode(&s->lossy, s->data.data, s->data.n_bytes, s->n, s->last,
                                     s->begin, &s->err);
        if (s->st != AE_OK)
            aei_lossy_lose(&s->lossy, s->n, s->last, s->begin);
        return;
    }
    if (s->st == AE_OK)
        s->st = aei_sound_tile_decode(s->coder, &t->info, s->data.data, s->data.n_bytes, s->frames,
                                      s->n, &s->err);
    if (s->st != AE_OK)
        memset(s->frames, 0, s->n * t->frame_bytes); /* silence */
}

/* Passes on those of n frames from place `at` of the sound on that are in [first, end). */
static ae_status pass_on(const tiles *t, const ae_row_sink *sink, const uint8_t *frames,
                         uint64_t at, uint32_t n, uint64_t first, uint64_t end, ae_error *err)
{
    uint64_t from = at < first ? first - at : 0, to = at + n > end ? end > at ? end - at : 0 : n;

    return from < to ? sink->write(sink->opaque, frames + from * t->frame_bytes,
                                   (uint32_t)(to - from), err)
                     : AE_OK;
}

ae_status ae_sounds_decode(const ae_signal_info *info, uint32_t tile, const ae_sounds_options *o,
                           const ae_tile_source *source, const ae_row_sink *sink, ae_error *err)
{
    uint64_t first = o->n_frames ? o->first : 0, end, at, until;
    uint64_t frames = o->n_frames ? o->n_frames : info->height;
    tiles t;
    ae_status st;

    if (first > info->height || frames > info->height - first)
        return ae_fail(err, AE_ERR_ARGUMENT, "frames beyond the end of the sound, which has %llu",
                       (unsigned long long)info->height);
    end = first + frames;
    if ((st = tiles_open(&t, info, tile, o, tile ? frames / tile + 2 : 1, err)) != AE_OK)
        return st;
    /* the last frames of a tile need the next one, too */
    until = end + t.overlap < info->height ? end + t.overlap : info->height;
    for (at = first - first % tile; at < until && st == AE_OK;) {
        uint64_t begin = at;
        uint32_t n = 0;

        if (cancelled(&t))
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        for (; n < t.n && at < until && st == AE_OK; n++, at += tile) {
            slot *s = &t.slots[n];

            s->n = info->height - at < tile ? (uint32_t)(info->height - at) : tile;
            s->last = info->height - at <= tile;
            s->begin = at >= end;
            st = aei_fetch_tile(source, (uint32_t)(at / tile), &o->control, &s->data, &s->st,
                                &s->err, err);
        }
        if (st != AE_OK)
            break;
        aei_pool_run(t.pool, n, decode_one, &t);
        for (uint32_t i = 0; i < n && st == AE_OK; i++, begin += tile) {
            slot *s = &t.slots[i];

            if (aei_costs_item(&o->control, s->st))
                st = ae_fail(err, s->st, "%s", s->err.message);
            else if (s->st != AE_OK)
                o->control.lost(o->control.opaque, (uint32_t)(begin / tile), s->err.message);
            if (st == AE_OK && t.overlap) {
                uint64_t place = t.join.running ? begin - t.overlap : begin;
                uint32_t joined = aei_lossy_join_take(&t.join, &s->lossy, t.joined);

                st = pass_on(&t, sink, t.joined, place, joined, first, end, err);
            } else if (st == AE_OK) {
                st = pass_on(&t, sink, s->frames, begin, s->n, first, end, err);
            }
        }
        if (st == AE_OK && o->control.progress)
            o->control.progress(o->control.opaque,
                                at < end ? (double)(at - first) / (double)frames : 1);
    }
    tiles_close(&t);
    return st;
}
