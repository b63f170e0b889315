/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Steps of coding one picture. By the network it is read once for the colours, once for alpha, and
 * once beside what decoding gives. */
#include <string.h>

#include "choose.h"
#include "ae/archive.h"

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    return compress_read(((encoding *)opaque)->c, rows, n_rows, err);
}

/* At most BAND rows, which are kept. */
static ae_status read_and_keep(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    compressed *c = ((encoding *)opaque)->c;
    ae_status st = read_rows(opaque, rows, n_rows, err);

    if (st == AE_OK && c->original)
        memcpy(c->original, rows, n_rows * c->row_bytes);
    return st;
}

static float sample_at(const compressed *c, const void *rows, size_t at)
{
    return c->info.sample == AE_U8 ? (float)((const uint8_t *)rows)[at]
                                   : (float)((const uint16_t *)rows)[at] / 257;
}

static void take_luma(const compressed *c, const void *row, float *to)
{
    uint32_t channels = c->info.channels;

    for (size_t x = 0; x < (size_t)c->info.width; x++)
        to[x] = channels < 3 ? sample_at(c, row, x * channels)
                             : 0.299f * sample_at(c, row, x * channels) +
                                   0.587f * sample_at(c, row, x * channels + 1) +
                                   0.114f * sample_at(c, row, x * channels + 2);
}

/* Alpha left out. squares: of every pixel, summed over its colours; may be NULL. */
static void compare(compressed *c, const void *decoded, const void *original, uint32_t n_rows,
                    double *squares)
{
    size_t n = n_rows * (size_t)c->info.width;
    uint32_t channels = c->info.channels, colours = channels - c->info.alpha;

    for (size_t i = 0; i < n; i++) {
        double sum = 0;

        for (uint32_t ch = 0; ch < colours; ch++) {
            double difference = (double)sample_at(c, decoded, i * channels + ch) -
                                (double)sample_at(c, original, i * channels + ch);

            sum += difference * difference;
        }
        c->squares += sum;
        if (squares)
            squares[i] = sum;
    }
    c->samples += (double)n * colours;
    for (uint32_t y = 0; c->similarity && y < n_rows; y++) {
        take_luma(c, (const uint8_t *)decoded + y * c->row_bytes, c->luma);
        take_luma(c, (const uint8_t *)original + y * c->row_bytes, c->luma + c->info.width);
        ae_similarity_add(c->similarity, c->luma, c->luma + c->info.width);
    }
}

static void take_decoded(void *opaque, const void *rows, uint32_t n_rows)
{
    compressed *c = ((encoding *)opaque)->c;

    ae_sample_hash_add(c->hash, rows, n_rows * c->row_bytes);
    if (c->original)
        compare(c, rows, c->original, n_rows, NULL);
}

static ae_status write_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                            ae_error *err)
{
    encoding *e = opaque;

    e->n_bytes += n_bytes + 18 + (index >= 128);
    return !e->writer ? AE_OK
                      : ae_container_write_tile(e->writer, e->kind, index, data, n_bytes, err);
}

static void show_progress(void *opaque, double done)
{
    const encoding *e = opaque;

    if (e->progress)
        cli_item_progress(e->progress, done,
                          done * (double)e->c->info.width * (double)e->c->info.height * 1e-6);
}

ae_status compress_write_meta(const compressed *c, const compress_options *o,
                              ae_container_writer *writer, ae_error *err)
{
    ae_meta kept = {0};
    ae_status st = AE_OK;

    for (size_t i = 0; i < c->reader.meta.n_items && st == AE_OK; i++) {
        const ae_meta_item *m = &c->reader.meta.items[i];

        if (o->meta_kinds >> m->kind & 1)
            st = ae_meta_add(&kept, m->kind, m->key, m->value, m->n_bytes, err);
    }
    if (st == AE_OK)
        st = ae_container_write_meta(writer, &kept, err);
    ae_meta_clear(&kept);
    return st;
}

ae_status compress_start_again(compressed *c, ae_error *err)
{
    ae_status st = AE_OK;

    ae_sample_hash_free(c->hash);
    c->squares = c->samples = 0;
    if (!(c->hash = ae_sample_hash_create()))
        return ae_fail(err, AE_ERR_NOMEM, "a hash");
    if (c->similarity) {
        ae_similarity_free(c->similarity);
        st = ae_similarity_create((uint32_t)c->info.width, &c->similarity, err);
    }
    return st == AE_OK ? compress_read_again(c, err) : st;
}

static ae_status keep_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                           ae_error *err)
{
    compressed *c = ((encoding *)opaque)->c;
    ae_status st = write_tile(opaque, index, data, n_bytes, err);

    if (st != AE_OK)
        return st;
    if (!(c->tiles[index].data = ae_alloc(n_bytes + 1, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a coded tile");
    memcpy(c->tiles[index].data, data, n_bytes);
    c->tiles[index].n = n_bytes;
    return AE_OK;
}

static ae_status get_tile(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                          ae_error *err)
{
    compressed *c = ((encoding *)opaque)->c;

    (void)err;
    *data = c->tiles[index].data;
    *n_bytes = c->tiles[index].n;
    return AE_OK;
}

static ae_status get_patch(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                           ae_error *err)
{
    compressed *c = ((encoding *)opaque)->c;

    (void)err;
    *data = c->patches[index].n ? c->patches[index].data : NULL;
    *n_bytes = c->patches[index].n;
    return AE_OK;
}

/* Colours as decoded beside the picture as read: alpha goes from here to there. */
static ae_status take_colours(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    encoding *e = opaque;
    compressed *c = e->c;
    size_t sample = ae_sample_bytes(c->info.sample), whole = sample * c->info.channels,
           colours = whole - (c->info.alpha ? sample : 0);
    size_t width = (size_t)c->info.width;

    for (uint32_t y = 0; y < n_rows; y++) {
        uint8_t *original = c->original, *joined = c->original + c->row_bytes;
        ae_status st = read_and_keep(opaque, joined, 1, err);

        memcpy(e->made, (const uint8_t *)rows + y * width * colours, width * colours);
        if (st != AE_OK || (st = ae_patches_apply(e->patches, e->made, 1, err)) != AE_OK)
            return st;
        for (size_t x = 0; x < width; x++)
            memcpy(joined + x * whole, e->made + x * colours, colours);
        ae_sample_hash_add(c->hash, joined, c->row_bytes);
        compare(c, joined, original, 1, e->squares);
        if (e->map)
            error_map_add(e->map, e->squares);
    }
    return AE_OK;
}

static ae_coder_picture picture_of(const compressed *c)
{
    return (ae_coder_picture){(uint32_t)c->info.width, (uint32_t)c->info.height,
                              c->info.channels < 3 ? 1 : 3, c->info.sample, c->info.bits};
}

ae_status compress_analyse(encoding *e, const compress_options *o, uint32_t threads,
                           uint32_t most_tiles, ae_analysis **out, ae_error *err)
{
    ae_encode_options encode = {
        .effort = o->effort, .control.threads = threads, .control.cancel = &cli_cancel};
    ae_row_source source = {e->c->info, e, read_rows};
    ae_status st = compress_read_again(e->c, err);

    return st == AE_OK ? ae_analyse(o->coder, &encode, &source, most_tiles, out, err) : st;
}

ae_status compress_colours(encoding *e, const compress_options *o, uint32_t threads,
                           const ae_analysis *analysis, uint32_t every, ae_error *err)
{
    compressed *c = e->c;
    ae_encode_options encode = {.quality = c->item.quality,
                                .effort = o->effort,
                                .control = {threads, &cli_cancel, e, show_progress, NULL}};
    ae_row_source source = {c->info, e, read_rows};
    ae_tile_sink keep = {e, keep_tile};

    compress_free_tiles(&c->tiles, c->n_tiles);
    for (uint32_t i = 0; i < c->n_tiles && !c->flat; i++)
        c->flat = compress_is_patched(c, i);
    if (!(c->tiles = ae_alloc(c->n_tiles, sizeof(*c->tiles))))
        return ae_fail(err, AE_ERR_NOMEM, "coded tiles");
    return analysis ? ae_encode_analysis(analysis, &encode, every, &keep, err)
                    : ae_encode(o->coder, &encode, &source, &keep, err);
}

double compress_share(const compressed *c)
{
    uint32_t width = (uint32_t)c->info.width, height = (uint32_t)c->info.height,
             n_x = (width + AE_CODER_TILE - 1) / AE_CODER_TILE;
    double pixels = 0;

    for (uint32_t i = 0; i < c->n_tiles; i++) {
        uint32_t w = width - i % n_x * AE_CODER_TILE, h = height - i / n_x * AE_CODER_TILE;

        if (c->tiles[i].data)
            pixels += (double)(w < AE_CODER_TILE ? w : AE_CODER_TILE) *
                      (h < AE_CODER_TILE ? h : AE_CODER_TILE);
    }
    return pixels / ((double)width * height);
}

ae_status compress_alpha(encoding *e, uint32_t threads, ae_error *err)
{
    ae_samples_options alpha = {
        .control.threads = threads, .alpha_only = true, .control.cancel = &cli_cancel};
    ae_row_source source = {e->c->info, e, read_rows};
    ae_tile_sink sink = {e, write_tile};
    ae_status st;

    if (!e->c->info.alpha)
        return AE_OK;
    e->kind = AE_TILE_ALPHA;
    return (st = compress_read_again(e->c, err)) == AE_OK
               ? ae_samples_encode(&alpha, &source, &sink, err)
               : st;
}

ae_status compress_compare(encoding *e, const compress_options *o, uint32_t threads, ae_error *err)
{
    ae_coder_picture picture = picture_of(e->c);
    ae_decode_options decode = {
        .quality = e->c->item.quality, .control.threads = threads, .control.cancel = &cli_cancel};
    ae_tile_source tiles = {e, get_tile};
    ae_row_sink colours = {e, take_colours};
    ae_patches over = {
        .info = e->c->info, .control = {threads, &cli_cancel, e, NULL, NULL}, .read = get_patch};
    ae_status st = compress_read_again(e->c, err);

    over.info.channels = picture.planes;
    over.info.alpha = false;
    e->patches = &over;
    e->made = ae_alloc(1, ae_row_bytes(&over.info));
    e->squares = ae_alloc((size_t)e->c->info.width, sizeof(*e->squares));
    if (st == AE_OK)
        st = e->made && e->squares ? ae_decode(o->coder, &picture, &decode, &tiles, &colours, err)
                                   : ae_fail(err, AE_ERR_NOMEM, "a row");
    ae_patches_clear(&over);
    ae_free(e->made);
    ae_free(e->squares);
    e->patches = NULL;
    return st;
}

ae_status compress_samples(encoding *e, uint32_t threads, ae_error *err)
{
    ae_samples_options options = {.bound = e->c->bound,
                                  .bounds = e->c->by_tile ? e->c->bounds : NULL,
                                  .decoded = take_decoded,
                                  .control = {threads, &cli_cancel, e, show_progress, NULL}};
    ae_row_source source = {e->c->info, e, read_and_keep};
    ae_tile_sink sink = {e, write_tile};

    return ae_samples_encode(&options, &source, &sink, err);
}

ae_status compress_write_coded(encoding *e, const struct coded_tile *tiles, ae_tile_kind kind,
                               ae_error *err)
{
    ae_status st = AE_OK;

    e->kind = kind;
    for (uint32_t i = 0; i < e->c->n_tiles && st == AE_OK; i++)
        if (tiles[i].n)
            st = write_tile(e, i, tiles[i].data, tiles[i].n, err);
    return st;
}

ae_status compress_model(const compress_options *o, ae_container_writer *writer, ae_error *err)
{
    const void *program;
    size_t n;

    if (!o->embed || !o->coder)
        return AE_OK;
    program = ae_coder_program(o->coder, &n);
    return ae_container_write_model(writer, program, n, err);
}
