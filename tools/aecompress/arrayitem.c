/* SPDX-License-Identifier: BSD-2-Clause */
#include "arrayitem.h"

#include "common/arrays.h"
#include "common/progress.h"
#include "encoding.h"

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    return ae_reader_read(&((encoding *)opaque)->c->reader, rows, n_rows, err);
}

static ae_status write_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                            ae_error *err)
{
    const encoding *e = opaque;

    return ae_container_write_tile(e->writer, AE_TILE_COLOURS, index, data, n_bytes, err);
}

static void take_decoded(void *opaque, const void *elements, uint32_t n)
{
    const encoding *e = opaque;

    ae_sample_hash_add(e->c->hash, elements, n * ae_sample_bytes(e->c->info.sample));
}

static void show_progress(void *opaque, double done)
{
    const encoding *e = opaque;

    if (e->progress)
        cli_item_progress(e->progress, done,
                          done * (double)e->c->info.width * (double)e->c->info.height * 1e-6);
}

ae_status array_item(compressed *c, const compress_options *o, const cli_item *progress,
                     uint32_t threads, const char *name, ae_container_writer *writer, ae_error *err)
{
    encoding e = {.c = c, .progress = progress, .writer = writer};
    ae_arrays_options how = {.decoded = take_decoded,
                             .control = {threads, &cli_cancel, &e, show_progress, NULL}};
    ae_row_source source = {c->info, &e, read_rows};
    ae_tile_sink sink = {&e, write_tile};
    ae_status st;

    c->item.name = (char *)(uintptr_t)name; /* only read */
    if ((st = ae_container_begin(writer, &c->item, err)) != AE_OK ||
        (st = ae_container_write_fields(writer, &c->fields, 1, err)) != AE_OK ||
        (st = ae_arrays_encode(&c->item, &how, &source, &sink, err)) != AE_OK ||
        (st = compress_write_meta(c, o, writer, err)) != AE_OK)
        return st;
    ae_sample_hash_get(c->hash, c->digest);
    return ae_container_end(writer, c->digest, err);
}

void array_report(const compressed *c, cli_json *json, uint64_t n_bytes, uint64_t n_input)
{
    char text[ARRAY_TEXT];

    array_describe(&c->item, json);
    cli_json_string(json, "coding", array_coding(&c->item, text));
    cli_json_number(json, "input_bytes", (double)n_input);
    cli_json_number(json, "bytes", (double)n_bytes);
}
