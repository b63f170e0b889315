/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures as tiles of samples: cut from rows and put together again, a row of tiles at a time. */
#include "samples.h"

#include <string.h>
#include <xxhash.h>

#include "core/threads.h"
#include "fetch.h"
#include "floats.h"
#include "lossless.h"

enum { TILE = AE_CODER_TILE, PREVIEW = 8 };

/* ---- one tile ---- its data begin with a byte that tells the bits of its samples, and whether its
 * bound is not in thirds */

enum { FINE = 32, THIRD = AE_BOUND_ONE / 3 };

static uint32_t most(uint32_t bits)
{
    return (1u << bits) - 1;
}

/* Samples that were stretched to `full` from fewer bits, back to those: false where one was not. */
static bool reduce(uint16_t *v, size_t n, uint32_t bits, uint32_t full)
{
    uint32_t max = most(bits);

    for (size_t i = 0; i < n; i++) {
        uint32_t small = (v[i] * max + full / 2) / full;

        if ((small * full + max / 2) / max != v[i])
            return false;
    }
    for (size_t i = 0; i < n; i++)
        v[i] = (uint16_t)((v[i] * max + full / 2) / full);
    return true;
}

static void expand(uint16_t *v, size_t n, uint32_t bits, uint32_t full)
{
    uint32_t max = most(bits);

    for (size_t i = 0; i < n && max != full; i++)
        v[i] = (uint16_t)((v[i] * full + max / 2) / max);
}

static ae_status encode_as(aei_sample_coder *coder, uint32_t bits, const aei_block *t, uint16_t *v,
                           aei_buffer *out, ae_error *err)
{
    const uint8_t *coded;
    size_t n_coded;
    ae_status st = aei_tile_encode(coder, t, v, &coded, &n_coded, err);

    out->n_bytes = 0;
    if (st != AE_OK)
        return st;
    aei_put_u8(out, t->bound % THIRD ? bits | FINE : bits);
    aei_put_number(out, t->bound % THIRD ? t->bound : t->bound / THIRD);
    aei_put(out, coded, n_coded);
    return out->failed ? ae_fail(err, AE_ERR_NOMEM, "a coded tile") : AE_OK;
}

/* v becomes what decoding will give. Where few samples may err at all, or in drawings, losing
 * nothing may take fewer bytes: it has colour transforms, and knows colours. */
static ae_status encode(aei_sample_coder *coder, const ae_signal_info *info, aei_block t,
                        uint16_t *v, aei_buffer *out, ae_error *err)
{
    size_t n = (size_t)t.width * t.height * t.channels;
    uint32_t full = info->sample == AE_U8 ? 255 : 65535, bits = info->bits;
    aei_buffer lossless = {0};
    uint16_t *original = NULL;
    bool drawn = false;
    ae_status st = AE_OK;

    if (info->sample == AE_F32)
        return aei_floats_encode(coder, t, v, out, err);
    if (most(bits) == full || !reduce(v, n, bits, full))
        bits = info->sample == AE_U8 ? 8 : 16;
    t.max = most(bits);
    t.bound = (uint32_t)((uint64_t)(t.bound < AE_BOUND_ONE * full ? t.bound : AE_BOUND_ONE * full) *
                         t.max / full);
    if (t.bound && (t.bound < AE_BOUND_ONE || (drawn = aei_tile_is_drawn(&t, v)))) {
        aei_block exact = t;

        exact.bound = 0;
        if (!(original = ae_alloc(n, sizeof(*original))))
            return ae_fail(err, AE_ERR_NOMEM, "a tile");
        memcpy(original, v, n * sizeof(*original));
        st = encode_as(coder, bits, &exact, v, &lossless, err);
    }
    if (st == AE_OK)
        st = encode_as(coder, bits, &t, v, out, err);
    /* no error is worth something more in a drawing, where few bytes are to be saved by it */
    if (st == AE_OK && original &&
        4 * lossless.n_bytes <= (drawn && t.bound <= AE_BOUND_ONE ? 5u : 4u) * out->n_bytes) {
        out->n_bytes = 0;
        aei_put(out, lossless.data, lossless.n_bytes);
        memcpy(v, original, n * sizeof(*original));
    }
    expand(v, n, bits, full);
    ae_free(lossless.data);
    ae_free(original);
    return st;
}

static ae_status decode(aei_sample_coder *coder, const ae_signal_info *info, aei_block t,
                        const void *data, size_t n_bytes, uint16_t *v, ae_error *err)
{
    const uint8_t *bytes = n_bytes ? data : (const void *)""; /* NULL takes no offset */
    aei_cursor c = {bytes, bytes + n_bytes, false};
    uint32_t first = aei_take_u8(&c), bits = first & ~(uint32_t)FINE;
    uint64_t bound = aei_take_number(&c), one = first & FINE ? AE_BOUND_ONE : 3;
    ae_status st;

    if (info->sample == AE_F32)
        return aei_floats_decode(coder, t, data, n_bytes, v, err);
    if (c.bad || bits < 1 || bits > (info->sample == AE_U8 ? 8u : 16u) || bound > one * most(bits))
        return ae_fail(err, AE_ERR_MALFORMED, "samples of %u bits in a tile", bits);
    t.max = most(bits);
    t.bound = (uint32_t)bound * (first & FINE ? 1 : THIRD);
    if ((st = aei_tile_decode(coder, &t, c.at, (size_t)(c.end - c.at), v, err)) == AE_OK)
        expand(v, (size_t)t.width * t.height * t.channels, bits,
               info->sample == AE_U8 ? 255 : 65535);
    return st;
}

/* ---- a row of tiles ---- */

/* What a tile's samples take as values: of floats two halves, all upper ones first. */
static size_t value_bytes(const ae_signal_info *info)
{
    return (info->sample == AE_F32 ? 2 : 1) * sizeof(uint16_t);
}

typedef struct slot {
    aei_buffer data;
    ae_error err;
    ae_status st;
    bool wanted;
} slot;

typedef struct band {
    ae_signal_info info;  /* of the rows */
    uint32_t first, used; /* channels of a sample that are coded */
    uint32_t bound;
    const uint32_t *bounds; /* of the tiles in hand; NULL: all have `bound` */
    size_t row_bytes;
    uint32_t rows;       /* of this band */
    uint32_t x, n_tiles; /* of the tiles in hand, x in tiles */
    uint8_t *pixels;     /* rows of info */
    slot *slots;
    aei_pool *pool;
    aei_sample_coder **coders; /* one for each thread */
    uint16_t **values;
    uint32_t n_threads;
    const ae_cancel *cancel;
} band;

static void band_close(band *b)
{
    for (uint32_t i = 0; i < b->n_tiles && b->slots; i++)
        ae_free(b->slots[i].data.data);
    for (uint32_t i = 0; i < b->n_threads; i++) {
        if (b->coders)
            aei_sample_coder_free(b->coders[i]);
        if (b->values)
            ae_free(b->values[i]);
    }
    ae_free(b->coders);
    ae_free(b->values);
    ae_free(b->slots);
    ae_free(b->pixels);
    aei_pool_free(b->pool);
}

static ae_status band_open(band *b, const ae_signal_info *info, const ae_samples_options *o,
                           uint32_t n_tiles, ae_error *err)
{
    uint32_t threads = o->control.threads ? o->control.threads : aei_cpu_count();
    uint64_t rows = info->height < TILE ? info->height : TILE,
             across = info->width < TILE ? info->width : TILE;
    ae_status st;

    *b = (band){.info = *info,
                .first = o->alpha_only ? info->channels - 1 : 0,
                .used = o->alpha_only ? 1 : info->channels,
                .bound = o->bound,
                .row_bytes = ae_row_bytes(info),
                .n_tiles = n_tiles,
                .cancel = o->control.cancel};
    threads = threads < n_tiles ? threads : n_tiles;
    if (!aei_samples_known(info) || (info->sample == AE_F32 && o->bound) || info->channels < 1 ||
        info->channels > 4 || !info->width || !info->height || info->width > UINT32_MAX ||
        info->height > UINT32_MAX)
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "samples of a type that cannot be stored (8, 16 bits, float without loss; 1 "
                       "to 4 channels)");
    b->pixels = ae_alloc(rows, b->row_bytes);
    b->slots = ae_alloc(n_tiles, sizeof(*b->slots));
    b->coders = ae_alloc(threads, sizeof(*b->coders));
    b->values = ae_alloc(threads, sizeof(*b->values));
    b->n_threads = b->coders && b->values ? threads : 0;
    if (!b->pixels || !b->slots || !b->n_threads)
        goto nomem;
    for (uint32_t i = 0; i < threads; i++) {
        b->coders[i] = aei_sample_coder_create();
        b->values[i] = ae_alloc((size_t)(rows * across), b->used * value_bytes(info));
        if (!b->coders[i] || !b->values[i])
            goto nomem;
    }
    if ((st = aei_pool_create(threads, &b->pool, err)) != AE_OK)
        band_close(b);
    return st;
nomem:
    band_close(b);
    return ae_fail(err, AE_ERR_NOMEM, "a row of tiles of %llu x %llu",
                   (unsigned long long)info->width, (unsigned long long)rows);
}

static aei_block tile_of(const band *b, uint32_t i)
{
    uint64_t left = b->info.width - (uint64_t)(b->x + i) * TILE;

    return (aei_block){.width = left < TILE ? (uint32_t)left : TILE,
                       .height = b->rows,
                       .channels = b->used,
                       .bound = b->bounds ? b->bounds[i] : b->bound};
}

/* Between the rows and a tile's values. */
static void move_tile(const band *b, uint32_t i, const aei_block *t, uint16_t *v, bool from_rows)
{
    uint32_t channels = b->info.channels;
    size_t n = (size_t)t->width * t->height * t->channels;

    for (uint32_t y = 0; y < t->height; y++) {
        uint8_t *row = b->pixels + y * b->row_bytes;
        size_t at = (size_t)(b->x + i) * TILE * channels + b->first;

        for (uint32_t x = 0; x < t->width; x++, at += channels)
            for (uint32_t ch = 0; ch < b->used; ch++, v++) {
                if (b->info.sample == AE_U8) {
                    if (from_rows)
                        *v = row[at + ch];
                    else
                        row[at + ch] = (uint8_t)*v;
                } else if (b->info.sample == AE_F32) {
                    float *f = (float *)(void *)row + at + ch;

                    if (from_rows)
                        aei_float_split(*f, v, v + n);
                    else
                        *f = aei_float_join(*v, v[n]);
                } else if (from_rows) {
                    *v = ((uint16_t *)(void *)row)[at + ch];
                } else {
                    ((uint16_t *)(void *)row)[at + ch] = *v;
                }
            }
    }
}

static bool cancelled(const band *b)
{
    return b->cancel && b->cancel->requested;
}

/* Of a tile that nobody waits for any more. */
static bool gives_up(const band *b, slot *s)
{
    bool stop = cancelled(b);

    if (stop)
        s->st = ae_fail(&s->err, AE_ERR_CANCELLED, "interrupted");
    return stop;
}

static void encode_one(void *context, uint32_t i, uint32_t thread)
{
    band *b = context;
    slot *s = &b->slots[i];
    aei_block t = tile_of(b, i);

    if (gives_up(b, s))
        return;
    move_tile(b, i, &t, b->values[thread], true);
    s->st = encode(b->coders[thread], &b->info, t, b->values[thread], &s->data, &s->err);
    if (s->st == AE_OK && t.bound)
        move_tile(b, i, &t, b->values[thread], false);
}

/* Zeros, in place of what is lost. */
static void clear_values(const ae_signal_info *info, uint16_t *v, size_t n)
{
    memset(v, 0, n * value_bytes(info));
    for (size_t i = 0; i < n && info->sample == AE_F32; i++)
        aei_float_split(0, &v[i], &v[n + i]);
}

static void decode_one(void *context, uint32_t i, uint32_t thread)
{
    band *b = context;
    slot *s = &b->slots[i];
    aei_block t = tile_of(b, i);

    if (!s->wanted || gives_up(b, s))
        return;
    if (s->st == AE_OK)
        s->st = decode(b->coders[thread], &b->info, t, s->data.data, s->data.n_bytes,
                       b->values[thread], &s->err);
    if (s->st != AE_OK)
        clear_values(&b->info, b->values[thread], (size_t)t.width * t.height * t.channels);
    move_tile(b, i, &t, b->values[thread], false);
}

static uint32_t tiles_across(const ae_signal_info *info)
{
    return (uint32_t)((info->width + TILE - 1) / TILE);
}

ae_status ae_samples_encode(const ae_samples_options *options, const ae_row_source *source,
                            const ae_tile_sink *sink, ae_error *err)
{
    const ae_signal_info *info = &source->info;
    uint32_t across = tiles_across(info);
    band b;
    ae_status st = band_open(&b, info, options, across, err);

    if (st != AE_OK)
        return st;
    for (uint64_t y = 0; y < info->height && st == AE_OK; y += TILE) {
        b.rows = info->height - y < TILE ? (uint32_t)(info->height - y) : TILE;
        b.bounds = options->bounds ? options->bounds + y / TILE * across : NULL;
        if (cancelled(&b))
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else
            st = source->read(source->opaque, b.pixels, b.rows, err);
        if (st != AE_OK)
            break;
        aei_pool_run(b.pool, across, encode_one, &b);
        for (uint32_t i = 0; i < across && st == AE_OK; i++) {
            const slot *s = &b.slots[i];

            st = s->st == AE_OK ? sink->write(sink->opaque, (uint32_t)(y / TILE) * across + i,
                                              s->data.data, s->data.n_bytes, err)
                                : ae_fail(err, s->st, "%s", s->err.message);
        }
        if (st == AE_OK && options->decoded)
            options->decoded(options->control.opaque, b.pixels, b.rows);
        if (st == AE_OK && options->control.progress)
            options->control.progress(options->control.opaque,
                                      (double)(y + b.rows) / (double)info->height);
    }
    band_close(&b);
    return st;
}

/* Fetches the tiles of a row; damage becomes the slot's own failure. */
static ae_status fetch(band *b, uint32_t first, const ae_samples_options *o,
                       const ae_tile_source *source, ae_error *err)
{
    for (uint32_t i = 0; i < b->n_tiles; i++) {
        slot *s = &b->slots[i];
        ae_status st;

        s->wanted = true;
        st = aei_fetch_tile(source, first + i, &o->control, &s->data, &s->st, &s->err, err);
        if (st != AE_OK)
            return st;
    }
    return AE_OK;
}

static void shrink_floats(const band *b, uint32_t y, uint32_t rows, uint64_t x0, uint64_t width,
                          float *out)
{
    uint32_t channels = b->info.channels;

    for (uint64_t x = 0; x < width; x += PREVIEW)
        for (uint32_t ch = 0; ch < channels; ch++) {
            double sum = 0;
            uint64_t n = 0;

            for (uint32_t j = 0; j < rows; j++)
                for (uint64_t i = x; i < x + PREVIEW && i < width; i++, n++)
                    sum += (double)((
                        const float *)(const void *)(b->pixels +
                                                     (y + j) *
                                                         b->row_bytes))[(x0 + i) * channels + ch];
            out[(size_t)(x / PREVIEW) * channels + ch] = (float)(sum / (double)n);
        }
}

/* Means of up to 8 rows into out. */
static void shrink(const band *b, uint32_t y, uint32_t rows, uint64_t x0, uint64_t width,
                   uint8_t *out)
{
    uint32_t channels = b->info.channels;

    if (b->info.sample == AE_F32) {
        shrink_floats(b, y, rows, x0, width, (float *)(void *)out);
        return;
    }
    for (uint64_t x = 0; x < width; x += PREVIEW)
        for (uint32_t ch = 0; ch < channels; ch++) {
            uint64_t sum = 0, n = 0;
            size_t at = (size_t)(x / PREVIEW) * channels + ch;

            for (uint32_t j = 0; j < rows; j++)
                for (uint64_t i = x; i < x + PREVIEW && i < width; i++, n++) {
                    const uint8_t *row = b->pixels + (y + j) * b->row_bytes;
                    size_t from = (size_t)(x0 + i) * channels + ch;

                    sum += b->info.sample == AE_U8 ? row[from]
                                                   : ((const uint16_t *)(const void *)row)[from];
                }
            if (b->info.sample == AE_U8)
                out[at] = (uint8_t)((sum + n / 2) / n);
            else
                ((uint16_t *)(void *)out)[at] = (uint16_t)((sum + n / 2) / n);
        }
}

ae_status ae_samples_decode(const ae_signal_info *info, const ae_samples_options *o,
                            const ae_tile_source *source, const ae_row_sink *sink, ae_error *err)
{
    ae_region r = o->region;
    uint64_t x0 = r.width ? r.x : 0, y0 = r.width ? r.y : 0, w = r.width ? r.width : info->width;
    uint64_t h = r.width ? r.height : info->height;
    uint32_t across = tiles_across(info), first = (uint32_t)(x0 / TILE);
    size_t sample = ae_sample_bytes(info->sample) * info->channels;
    uint8_t *rows = NULL;
    band b;
    ae_status st;

    if (!w || !h || x0 > info->width || w > info->width - x0 || y0 > info->height ||
        h > info->height - y0)
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "a region outside the picture, which has %llu x %llu pixels",
                       (unsigned long long)info->width, (unsigned long long)info->height);
    if ((st = band_open(&b, info, o, (uint32_t)((x0 + w - 1) / TILE) - first + 1, err)) != AE_OK)
        return st;
    b.x = first;
    if (!(rows = ae_alloc((size_t)w * sample, TILE)))
        st = ae_fail(err, AE_ERR_NOMEM, "a row of tiles");
    for (uint64_t ty = y0 / TILE; ty * TILE < y0 + h && st == AE_OK; ty++) {
        uint64_t top = ty * TILE, begin = y0 > top ? y0 - top : 0,
                 end = y0 + h - top < TILE ? y0 + h - top : TILE;
        uint32_t n = 0;

        b.rows = info->height - top < TILE ? (uint32_t)(info->height - top) : TILE;
        if (cancelled(&b))
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else
            st = fetch(&b, (uint32_t)ty * across + first, o, source, err);
        if (st != AE_OK)
            break;
        aei_pool_run(b.pool, b.n_tiles, decode_one, &b);
        for (uint32_t i = 0; i < b.n_tiles && st == AE_OK; i++) {
            const slot *s = &b.slots[i];

            if (s->st != AE_OK && s->st != AE_ERR_CANCELLED && o->control.lost)
                o->control.lost(o->control.opaque, (uint32_t)ty * across + first + i,
                                s->err.message);
            else if (s->st != AE_OK)
                st = ae_fail(err, s->st, "%s", s->err.message);
        }
        /* previews count their squares from the top of the region: tiles are whole numbers of them
         * where it begins on one */
        for (uint64_t y = begin; y < end; n++)
            if (o->preview) {
                uint32_t few = end - y < PREVIEW ? (uint32_t)(end - y) : PREVIEW;

                shrink(&b, (uint32_t)y, few, x0, w,
                       rows + n * ((w + PREVIEW - 1) / PREVIEW) * sample);
                y += few;
            } else {
                memcpy(rows + n * w * sample, b.pixels + y * b.row_bytes + x0 * sample,
                       (size_t)w * sample);
                y++;
            }
        if (st == AE_OK)
            st = sink->write(sink->opaque, rows, n, err);
        if (st == AE_OK && o->control.progress)
            o->control.progress(o->control.opaque, (double)(top + end - y0) / (double)h);
    }
    ae_free(rows);
    band_close(&b);
    return st;
}

/* ---- packs ---- */

static void copy_values(const ae_signal_info *info, void *samples, uint16_t *v, size_t n,
                        bool to_values)
{
    for (size_t i = 0; i < n && info->sample == AE_U8; i++) {
        if (to_values)
            v[i] = ((uint8_t *)samples)[i];
        else
            ((uint8_t *)samples)[i] = (uint8_t)v[i];
    }
    for (size_t i = 0; i < n && info->sample == AE_F32; i++) {
        if (to_values)
            aei_float_split(((float *)samples)[i], &v[i], &v[n + i]);
        else
            ((float *)samples)[i] = aei_float_join(v[i], v[n + i]);
    }
    if (info->sample == AE_U16)
        memcpy(to_values ? (void *)v : samples, to_values ? samples : v, 2 * n);
}

static ae_status small_tile(const ae_signal_info *info, uint32_t period, uint32_t bound,
                            void *samples, aei_buffer *out, const void *data, size_t n_bytes,
                            ae_error *err)
{
    aei_block t = {.width = (uint32_t)info->width,
                   .height = (uint32_t)info->height,
                   .channels = info->channels,
                   .period = period,
                   .bound = bound};
    size_t n = (size_t)t.width * t.height * t.channels;
    aei_sample_coder *coder = aei_sample_coder_create();
    uint16_t *v = ae_alloc(n, value_bytes(info));
    ae_status st;

    if (!coder || !v) {
        st = ae_fail(err, AE_ERR_NOMEM, "a pack of items");
        goto done;
    }
    copy_values(info, samples, v, n, true);
    st = out ? encode(coder, info, t, v, out, err) : decode(coder, info, t, data, n_bytes, v, err);
    /* where nothing is lost they are as they were */
    if (st == AE_OK && !(out && info->sample == AE_F32))
        copy_values(info, samples, v, n, false);
done:
    ae_free(v);
    aei_sample_coder_free(coder);
    return st;
}

ae_status aei_samples_pack(const ae_signal_info *info, uint32_t period, uint32_t thirds,
                           void *samples, aei_buffer *out, ae_error *err)
{
    return small_tile(info, period, THIRD * thirds, samples, out, NULL, 0, err);
}

ae_status aei_samples_unpack(const ae_signal_info *info, uint32_t period, const void *data,
                             size_t n_bytes, void *samples, ae_error *err)
{
    return small_tile(info, period, 0, samples, NULL, data, n_bytes, err);
}

/* ---- hash ---- */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "port me: samples are hashed as little-endian");

struct ae_sample_hash {
    XXH3_state_t *state;
};

ae_sample_hash *ae_sample_hash_create(void)
{
    ae_sample_hash *h = ae_alloc(1, sizeof(*h));

    if (h && !(h->state = XXH3_createState())) {
        ae_free(h);
        return NULL;
    }
    if (h)
        XXH3_128bits_reset(h->state);
    return h;
}

void ae_sample_hash_add(ae_sample_hash *h, const void *rows, size_t n_bytes)
{
    XXH3_128bits_update(h->state, rows, n_bytes);
}

void ae_sample_hash_get(const ae_sample_hash *h, uint8_t digest[16])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(h->state));
    memcpy(digest, canonical.digest, 16);
}

void ae_sample_hash_free(ae_sample_hash *h)
{
    if (!h)
        return;
    XXH3_freeState(h->state);
    ae_free(h);
}
