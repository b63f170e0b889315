/* SPDX-License-Identifier: BSD-2-Clause */
#include "recording.h"

#include <math.h>
#include <string.h>

#include "common/progress.h"
#include "encoding.h"

static ae_status read_frames(void *opaque, void *frames, uint32_t capacity, uint32_t *n, ae_error *err)
{
    return ae_reader_read_some(&((encoding *)opaque)->c->reader, frames, capacity, n, err);
}

static ae_status write_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes, ae_error *err)
{
    const encoding *e = opaque;

    return ae_container_write_tile(e->writer, AE_TILE_COLOURS, index, data, n_bytes, err);
}

static void take_decoded(void *opaque, const void *frames, uint32_t n)
{
    encoding *e = opaque;

    ae_sample_hash_add(e->c->hash, frames, n * e->c->row_bytes);
    e->frames += n;
}

static void show_progress(void *opaque, double done)
{
    const encoding *e = opaque;

    if (e->progress)
        cli_item_progress_sound(e->progress, done, (double)e->frames / e->c->info.rate / 3600);
}

ae_status recording_item(compressed *c, const compress_options *o, const cli_item *progress, uint32_t threads, const char *name,
                         ae_container_writer *writer, ae_error *err)
{
    encoding e = {.c = c, .progress = progress, .writer = writer};
    ae_sounds_options how = {.bound = c->bound, .decoded = take_decoded,
                             .control = {threads, &cli_cancel, &e, show_progress, NULL}};
    ae_frame_source source = {c->info, &e, read_frames};
    ae_tile_sink sink = {&e, write_tile};
    ae_status st;

    c->item.name = (char *)(uintptr_t)name; /* only read */
    if ((st = ae_container_begin(writer, &c->item, err)) != AE_OK ||
        (st = ae_container_write_fields(writer, &c->fields, 1, err)) != AE_OK ||
        (st = ae_sounds_encode(&how, &source, c->item.tile, &sink, &c->item.info.height, err)) != AE_OK ||
        (st = compress_write_meta(c, o, writer, err)) != AE_OK)
        return st;
    ae_container_set_frames(writer, c->item.info.height);
    ae_sample_hash_get(c->hash, c->digest);
    return ae_container_end(writer, c->digest, err);
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
    cli_json_string(json, "coding", c->bound ? "near-lossless" : "lossless");
    cli_json_number(json, "input_bytes", (double)n_input);
    cli_json_number(json, "bytes", (double)n_bytes);
    cli_json_number(json, "kbps", duration > 0 ? 8e-3 * (double)n_bytes / duration : NAN);
}
