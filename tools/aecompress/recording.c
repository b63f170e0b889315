/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A recording is read once and coded tile by tile. Where a size or a rate is asked for, the whole
 * is coded at several qualities first: the logarithm of the size is nearly a line in the quality,
 * so that a secant search needs few trials. */
#include "recording.h"

#include <math.h>
#include <string.h>

#include "ae/mel.h"
#include "common/progress.h"
#include "encoding.h"

/* Compares a recording with what decoding gives, which comes later. */
typedef struct listener {
    ae_mel *mel;
    uint8_t *held; /* frames that were read and not compared yet */
    size_t n, room;
} listener;

static ae_status hold(const compressed *c, listener *l, const void *frames, uint32_t n,
                      ae_error *err)
{
    if (l->n + n > l->room) {
        size_t room = 2 * (l->n + n);
        uint8_t *held = ae_alloc(room, c->row_bytes);

        if (!held)
            return ae_fail(err, AE_ERR_NOMEM, "frames to compare");
        if (l->n)
            memcpy(held, l->held, l->n * c->row_bytes);
        ae_free(l->held);
        l->held = held;
        l->room = room;
    }
    memcpy(l->held + l->n * c->row_bytes, frames, n * c->row_bytes);
    l->n += n;
    return AE_OK;
}

static void listen(compressed *c, listener *l, const uint8_t *decoded, uint32_t n)
{
    enum { BLOCK = 2048 };
    float a[BLOCK], b[BLOCK];
    uint32_t channels = c->info.channels, most = BLOCK / channels;

    for (uint32_t at = 0, part; at < n; at += part) {
        part = n - at < most ? n - at : most;
        ae_samples_to_f32(c->info.sample, l->held + at * c->row_bytes, a, (size_t)part * channels);
        ae_samples_to_f32(c->info.sample, decoded + at * c->row_bytes, b, (size_t)part * channels);
        ae_mel_add(l->mel, a, b, part);
        for (uint32_t i = 0; i < part * channels; i++) {
            c->samples += (double)a[i] * a[i];
            c->squares += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        }
    }
    l->n -= n;
    memmove(l->held, l->held + n * c->row_bytes, l->n * c->row_bytes);
}

static ae_status read_frames(void *opaque, void *frames, uint32_t capacity, uint32_t *n,
                             ae_error *err)
{
    encoding *e = opaque;
    ae_status st = ae_reader_read_some(&e->c->reader, frames, capacity, n, err);

    return st == AE_OK && e->listener ? hold(e->c, e->listener, frames, *n, err) : st;
}

static ae_status write_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                            ae_error *err)
{
    const encoding *e = opaque;

    return ae_container_write_tile(e->writer, AE_TILE_COLOURS, index, data, n_bytes, err);
}

static void take_decoded(void *opaque, const void *frames, uint32_t n)
{
    encoding *e = opaque;

    ae_sample_hash_add(e->c->hash, frames, n * e->c->row_bytes);
    e->frames += n;
    if (e->listener)
        listen(e->c, e->listener, frames, n);
}

static void show_progress(void *opaque, double done)
{
    const encoding *e = opaque;

    if (e->progress)
        cli_item_progress_sound(e->progress, done, (double)e->frames / e->c->info.rate / 3600);
}

/* The item, from the first frame on. */
static ae_status write_item(encoding *e, const compress_options *o, uint32_t threads, ae_error *err)
{
    compressed *c = e->c;
    ae_sounds_options how = {.block = c->item.block,
                             .quality = c->item.quality / (double)AE_SOUNDS_QUALITY,
                             .bound = c->bound,
                             .decoded = take_decoded,
                             .control = {threads, &cli_cancel, e, show_progress, NULL}};
    ae_frame_source source = {c->info, e, read_frames};
    ae_tile_sink sink = {e, write_tile};
    ae_status st;

    if ((st = ae_container_begin(e->writer, &c->item, err)) != AE_OK ||
        (st = ae_container_write_fields(e->writer, &c->fields, 1, err)) != AE_OK ||
        (st = ae_sounds_encode(&how, &source, c->item.tile, &sink, &c->item.info.height, err)) !=
            AE_OK ||
        (st = compress_write_meta(c, o, e->writer, err)) != AE_OK)
        return st;
    ae_container_set_frames(e->writer, c->item.info.height);
    ae_sample_hash_get(c->hash, c->digest);
    return ae_container_end(e->writer, c->digest, err);
}

/* ---- the quality for a size ---- */

static ae_status count_bytes(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    (void)data;
    (void)err;
    *(uint64_t *)opaque += n_bytes;
    return AE_OK;
}

/* Bytes of a file of the item at a quality; the recording is read anew. */
static ae_status trial(compressed *c, const compress_options *o, uint32_t threads, uint16_t quality,
                       uint64_t *n_bytes, ae_error *err)
{
    ae_sink sink = {.opaque = n_bytes, .write = count_bytes};
    encoding e = {.c = c};
    ae_status st;

    *n_bytes = 0;
    c->item.quality = quality;
    if ((st = compress_start_again(c, err)) == AE_OK &&
        (st = ae_container_create(&sink, &e.writer, err)) == AE_OK &&
        (st = write_item(&e, o, threads, err)) == AE_OK)
        st = ae_container_finish(e.writer, err);
    ae_container_writer_free(e.writer);
    return st;
}

/* The best quality of at most so many bytes. Logarithms of sizes are near to lines, so that few
 * trials are enough. */
static ae_status choose_quality(compressed *c, const compress_options *o, uint32_t threads,
                                ae_error *err)
{
    double lo = 0, hi = RECORDING_BEST * AE_SOUNDS_QUALITY, lo_size = NAN, hi_size = NAN,
           want = NAN, q = hi / 2;
    uint64_t n_bytes = 0;
    ae_status st = AE_OK;

    for (int i = 0; i < 14; i++) {
        if ((st = trial(c, o, threads, (uint16_t)lrint(q), &n_bytes, err)) != AE_OK)
            return st;
        if (!i) {
            double bytes = o->target_bitrate > 0 ? o->target_bitrate * 125 * recording_seconds(c)
                           : o->target_percent > 0
                               ? o->target_percent / 100 * (double)ae_source_size(c->source)
                               : (double)o->target_bytes;

            want = log(fmax(bytes, 1));
        }
        if (log((double)n_bytes) <= want)
            lo = q, lo_size = log((double)n_bytes);
        else
            hi = q, hi_size = log((double)n_bytes);
        if (want - lo_size < 0.01 || hi - lo <= 1)
            break;
        /* by the line between what is known on both sides, kept off its ends; towards the ends
         * until both are known */
        q = isnan(hi_size) ? (i < 2 ? (lo + hi) / 2 : hi)
            : isnan(lo_size)
                ? (i < 2 ? (lo + hi) / 2 : lo)
                : lo + (hi - lo) *
                           fmin(fmax((want - 0.005 - lo_size) / (hi_size - lo_size), 0.04), 0.96);
        if (lrint(q) == lrint(lo) && !isnan(lo_size))
            break;
    }
    c->item.quality = (uint16_t)lrint(lo);
    return compress_start_again(c, err);
}

ae_status recording_item(compressed *c, const compress_options *o, const cli_item *progress,
                         uint32_t threads, const char *name, ae_container_writer *writer,
                         ae_error *err)
{
    encoding e = {.c = c, .progress = progress, .writer = writer};
    listener l = {0};
    ae_status st = AE_OK;

    c->item.name = (char *)(uintptr_t)name; /* only read */
    if (c->item.coding == AE_ITEM_SPECTRA && compress_has_target(o))
        st = choose_quality(c, o, threads, err);
    c->squares = c->samples = 0;
    c->mel = NAN;
    if (st == AE_OK && o->batch.json && (c->item.coding == AE_ITEM_SPECTRA || c->bound) &&
        (st = ae_mel_create(c->info.rate, c->info.channels, &l.mel, err)) == AE_OK)
        e.listener = &l;
    if (st == AE_OK && (st = write_item(&e, o, threads, err)) == AE_OK && e.listener)
        c->mel = ae_mel_value(l.mel);
    ae_mel_free(l.mel);
    ae_free(l.held);
    return st;
}

double recording_seconds(const compressed *c)
{
    return (double)c->item.info.height / c->info.rate;
}

void recording_report(const compressed *c, cli_json *json, uint64_t n_bytes, uint64_t n_input)
{
    double duration = recording_seconds(c);

    cli_json_number(json, "frames", (double)c->item.info.height);
    cli_json_number(json, "duration", duration);
    cli_json_number(json, "rate", c->info.rate);
    cli_json_number(json, "channels", c->info.channels);
    cli_json_number(json, "bits", c->info.bits);
    cli_json_string(json, "coding",
                    c->item.block ? "spectra"
                    : c->bound    ? "near-lossless"
                                  : "lossless");
    cli_json_number(json, "input_bytes", (double)n_input);
    cli_json_number(json, "bytes", (double)n_bytes);
    if (c->samples > 0) {
        cli_json_number(json, "snr",
                        c->squares > 0 ? 10 * log10(c->samples / c->squares) : INFINITY);
        cli_json_number(json, "mel_distance", c->mel);
    }
    cli_json_number(json, "kbps", duration > 0 ? 8e-3 * (double)n_bytes / duration : NAN);
}
