/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The first rows are read ahead, since the size of tiles is chosen by what they look like; after
 * that an array passes through like a recording. */
#include "arrayitem.h"

#include <string.h>

#include "common/arrays.h"
#include "common/progress.h"
#include "encoding.h"

/* The first rows, by which the size of tiles is chosen, then the others. */
typedef struct rows_ahead {
    ae_reader *reader;
    uint8_t *rows;
    uint32_t n, given;
} rows_ahead;

static ae_status read_ahead(rows_ahead *a, ae_item *item, ae_error *err)
{
    uint64_t width = item->info.width, n = width < AE_ARRAYS_TRIAL ? AE_ARRAYS_TRIAL / width : 1;
    ae_status st;

    a->n = (uint32_t)(n < item->info.height ? n : item->info.height);
    if (!(a->rows = ae_alloc(a->n, ae_row_bytes(&item->info))))
        return ae_fail(err, AE_ERR_NOMEM, "rows of an array");
    n = a->n * width < AE_ARRAYS_TRIAL ? a->n * width : AE_ARRAYS_TRIAL;
    if ((st = ae_reader_read(a->reader, a->rows, a->n, err)) != AE_OK)
        return st;
    return ae_arrays_choose_tile(item, a->rows, (uint32_t)n, err);
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    rows_ahead *a = opaque;
    size_t each = ae_row_bytes(&a->reader->info);
    uint32_t n = n_rows < a->n - a->given ? n_rows : a->n - a->given;

    memcpy(rows, a->rows + a->given * each, n * each);
    a->given += n;
    return n == n_rows ? AE_OK
                       : ae_reader_read(a->reader, (uint8_t *)rows + n * each, n_rows - n, err);
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
    rows_ahead ahead = {.reader = &c->reader};
    ae_row_source source = {c->info, &ahead, read_rows};
    ae_tile_sink sink = {&e, write_tile};
    ae_status st;

    c->item.name = (char *)(uintptr_t)name; /* only read */
    if ((st = read_ahead(&ahead, &c->item, err)) == AE_OK &&
        (st = ae_container_begin(writer, &c->item, err)) == AE_OK &&
        (st = ae_container_write_fields(writer, &c->fields, 1, err)) == AE_OK &&
        (st = ae_arrays_encode(&c->item, &how, &source, &sink, err)) == AE_OK)
        st = compress_write_meta(c, o, writer, err);
    ae_free(ahead.rows);
    if (st != AE_OK)
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
