/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds as tiles: cut from a stream of frames and put together again, as many tiles at a time as there are threads. */
#include <string.h>

#include "core/threads.h"
#include "soundtile.h"

enum { TILE_BYTES = 1 << 22 /* of samples, at most */, LEAST_FRAMES = 4096 };

uint32_t ae_sounds_tile(const ae_signal_info *info)
{
    uint64_t frame = ae_row_bytes(info), tile = LEAST_FRAMES;

    while (tile < info->rate && tile < AEI_MODEL_MAX_FRAMES && 2 * tile * frame <= TILE_BYTES)
        tile *= 2;
    return (uint32_t)tile;
}

typedef struct slot {
    aei_sound_coder *coder;
    uint8_t *frames;
    uint32_t n; /* frames */
    aei_buffer data;
    ae_error err;
    ae_status st;
} slot;

/* The tiles in hand. */
typedef struct tiles {
    ae_signal_info info;
    uint32_t bound;
    size_t frame_bytes;
    slot *slots;
    uint32_t n; /* threads */
    aei_pool *pool;
    const ae_cancel *cancel;
} tiles;

static void tiles_close(tiles *t)
{
    for (uint32_t i = 0; i < t->n && t->slots; i++) {
        aei_sound_coder_free(t->slots[i].coder);
        ae_free(t->slots[i].frames);
        ae_free(t->slots[i].data.data);
    }
    ae_free(t->slots);
    aei_pool_free(t->pool);
}

static ae_status tiles_open(tiles *t, const ae_signal_info *info, uint32_t tile, const ae_sounds_options *o, uint64_t most,
                            ae_error *err)
{
    uint32_t threads = o->control.threads ? o->control.threads : aei_cpu_count();
    ae_status st = AE_OK;

    *t = (tiles){.info = *info, .bound = o->bound, .cancel = o->control.cancel};
    if (!aei_sound_known(info) || !tile || tile > AEI_MODEL_MAX_FRAMES)
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "sound of a type that cannot be stored (whole numbers of 8 to 32 bits, floats; up to "
                       "%d channels)",
                       AEI_MODEL_CHANNELS);
    t->info.width = 1;
    t->frame_bytes = ae_row_bytes(&t->info);
    threads = threads < most ? threads : most ? (uint32_t)most : 1;
    if (!(t->slots = ae_alloc(threads, sizeof(*t->slots))))
        return ae_fail(err, AE_ERR_NOMEM, "tiles of sound");
    t->n = threads;
    for (uint32_t i = 0; i < threads && st == AE_OK; i++)
        if (!(t->slots[i].coder = aei_sound_coder_create()) || !(t->slots[i].frames = ae_alloc(tile, t->frame_bytes)))
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
static ae_status fill(const tiles *t, slot *s, uint32_t tile, const ae_frame_source *source, bool *end, ae_error *err)
{
    s->n = 0;
    while (s->n < tile && !*end) {
        uint32_t n = 0;
        ae_status st = source->read(source->opaque, s->frames + s->n * t->frame_bytes, tile - s->n, &n, err);

        if (st != AE_OK)
            return st;
        *end = !n;
        s->n += n;
    }
    return AE_OK;
}

static void encode_one(void *context, uint32_t i, uint32_t thread)
{
    tiles *t = context;
    slot *s = &t->slots[i];

    (void)thread;
    s->st = cancelled(t) ? ae_fail(&s->err, AE_ERR_CANCELLED, "interrupted")
                         : aei_sound_tile_encode(s->coder, &t->info, t->bound, s->frames, s->n, &s->data, &s->err);
}

ae_status ae_sounds_encode(const ae_sounds_options *o, const ae_frame_source *source, uint32_t tile, const ae_tile_sink *sink,
                           uint64_t *n_frames, ae_error *err)
{
    const ae_signal_info *info = &source->info;
    uint64_t index = 0;
    bool end = false;
    tiles t;
    ae_status st = tiles_open(&t, info, tile, o, info->height ? (info->height + tile - 1) / tile : UINT64_MAX, err);

    *n_frames = 0;
    if (st != AE_OK)
        return st;
    while (st == AE_OK && !end) {
        uint32_t n = 0;

        while (st == AE_OK && n < t.n && !end)
            if ((st = fill(&t, &t.slots[n], tile, source, &end, err)) == AE_OK && t.slots[n].n)
                n++;
        if (st != AE_OK)
            break;
        aei_pool_run(t.pool, n, encode_one, &t);
        for (uint32_t i = 0; i < n && st == AE_OK; i++, index++) {
            slot *s = &t.slots[i];

            if (s->st != AE_OK)
                st = ae_fail(err, s->st, "%s", s->err.message);
            else if (index >= AEI_AEC_MAX_SOUND_TILES)
                st = ae_fail(err, AE_ERR_LIMIT, "a sound of more than %d tiles", AEI_AEC_MAX_SOUND_TILES);
            else if ((st = sink->write(sink->opaque, (uint32_t)index, s->data.data, s->data.n_bytes, err)) == AE_OK && o->decoded)
                o->decoded(o->control.opaque, s->frames, s->n);
            *n_frames += s->n;
        }
        if (st == AE_OK && o->control.progress)
            o->control.progress(o->control.opaque, info->height > *n_frames ? (double)*n_frames / (double)info->height : end);
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
        s->st = aei_sound_tile_decode(s->coder, &t->info, s->data.data, s->data.n_bytes, s->frames, s->n, &s->err);
    if (s->st != AE_OK)
        memset(s->frames, 0, s->n * t->frame_bytes); /* silence */
}

/* Failures that are no damage. */
static bool is_fatal(ae_status st)
{
    return st == AE_ERR_NOMEM || st == AE_ERR_CANCELLED || st == AE_ERR_TOO_NEW || st == AE_ERR_IO;
}

static ae_status fetch(slot *s, uint32_t index, const ae_sounds_options *o, const ae_tile_source *source, ae_error *err)
{
    const void *data = NULL;
    size_t n = 0;

    s->data.n_bytes = 0;
    s->st = source->read(source->opaque, index, &data, &n, &s->err);
    if (s->st == AE_OK && !data)
        s->st = ae_fail(&s->err, AE_ERR_MALFORMED, "tile %u is lost", index);
    if (s->st == AE_OK)
        aei_put(&s->data, data, n);
    if (s->data.failed)
        return ae_fail(err, AE_ERR_NOMEM, "a coded tile");
    return s->st != AE_OK && (is_fatal(s->st) || !o->control.lost) ? ae_fail(err, s->st, "%s", s->err.message) : AE_OK;
}

ae_status ae_sounds_decode(const ae_signal_info *info, uint32_t tile, const ae_sounds_options *o, const ae_tile_source *source,
                           const ae_row_sink *sink, ae_error *err)
{
    uint64_t first = o->n_frames ? o->first : 0, end, at;
    uint64_t frames = o->n_frames ? o->n_frames : info->height;
    tiles t;
    ae_status st;

    if (first > info->height || frames > info->height - first)
        return ae_fail(err, AE_ERR_ARGUMENT, "frames beyond the end of the sound, which has %llu",
                       (unsigned long long)info->height);
    end = first + frames;
    if ((st = tiles_open(&t, info, tile, o, tile ? frames / tile + 2 : 1, err)) != AE_OK)
        return st;
    for (at = first - first % tile; at < end && st == AE_OK;) {
        uint64_t begin = at;
        uint32_t n = 0;

        if (cancelled(&t))
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        for (; n < t.n && at < end && st == AE_OK; n++, at += tile) {
            t.slots[n].n = info->height - at < tile ? (uint32_t)(info->height - at) : tile;
            st = fetch(&t.slots[n], (uint32_t)(at / tile), o, source, err);
        }
        if (st != AE_OK)
            break;
        aei_pool_run(t.pool, n, decode_one, &t);
        for (uint32_t i = 0; i < n && st == AE_OK; i++, begin += tile) {
            slot *s = &t.slots[i];
            uint64_t from = begin < first ? first - begin : 0, to = end - begin < s->n ? end - begin : s->n;

            if (s->st != AE_OK && (is_fatal(s->st) || !o->control.lost))
                st = ae_fail(err, s->st, "%s", s->err.message);
            else if (s->st != AE_OK)
                o->control.lost(o->control.opaque, (uint32_t)(begin / tile), s->err.message);
            if (st == AE_OK)
                st = sink->write(sink->opaque, s->frames + from * t.frame_bytes, (uint32_t)(to - from), err);
        }
        if (st == AE_OK && o->control.progress)
            o->control.progress(o->control.opaque, at < end ? (double)(at - first) / (double)frames : 1);
    }
    tiles_close(&t);
    return st;
}
