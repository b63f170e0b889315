/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The analysis of each tile is run on a window wider by its field, the picture continued by mirroring; from there on the encoder walks
 * the decoder's program. Tiles of a row are done by all threads, then handed over in order. */
#include <string.h>

#include "core/threads.h"
#include "image/window.h"
#include "latent/coder.h"
#include "nn/exec.h"

typedef struct stream { uint8_t *bytes; size_t n_allocated, n_bytes; } stream;

typedef struct worker {
    aei_run *run;
    aei_walk *walk;
    aei_rans_writer writer;
    float *window;
    float *made[AEI_MAX_SOURCES];  /* of the window */
    float *kept[AEI_MAX_SOURCES];  /* of the tile */
    ae_status status;
    ae_error error;
} worker;

typedef struct encoder {
    const ae_coder *coder;
    const ae_encode_options *options;
    aei_window_format format;
    uint32_t width, height, n_x, n_y;
    uint32_t window_w, window_h;
    aei_plan *plan;
    aei_weights *weights;
    worker *workers;
    uint32_t n_workers;
    uint8_t *band;                 /* rows band_first .. rows_read - 1 */
    size_t row_bytes, n_band;
    uint32_t band_first, rows_read;
    uint32_t row;                  /* of tiles */
    stream *streams;               /* of that row */
} encoder;

static void load_window(const encoder *e, uint32_t tx, float *to)
{
    int64_t x = (int64_t)tx * AE_CODER_TILE - e->coder->field, y = (int64_t)e->row * AE_CODER_TILE - e->coder->field;

    for (uint32_t i = 0; i < e->window_h; i++) {
        uint64_t from = aei_mirror(y + i, e->height);

        /* what is beyond the band is beyond the picture's mirror image and far from its pixels */
        from = from < e->band_first ? e->band_first : from < e->rows_read ? from : e->rows_read - 1;
        aei_window_load(&e->format, e->band + (size_t)(from - e->band_first) * e->row_bytes, x, e->window_w,
                        to + (size_t)i * e->window_w * e->format.planes);
    }
}

/* The tile's part of what the analysis made of the window. */
static void keep(const encoder *e, worker *k, uint32_t source, uint32_t tile_w, uint32_t tile_h)
{
    ae_shape s = aei_plan_output_shape(e->plan, source);
    uint32_t grid = e->window_w / s.w, at = e->coder->field / grid, w = tile_w / grid;

    for (uint32_t y = 0; y < tile_h / grid; y++)
        memcpy(k->kept[source] + (size_t)y * w * s.c, k->made[source] + ((size_t)(y + at) * s.w + at) * s.c, (size_t)w * s.c * sizeof(float));
}

static ae_status encode_tile(encoder *e, worker *k, uint32_t tx, ae_error *err)
{
    const ae_coder *c = e->coder;
    uint32_t stride = c->engine->program->stride;
    aei_latents latents = {.sources = (const float *const *)k->kept, .n_channels = c->source_channels, .writer = &k->writer,
                           .effort = e->options->effort, .visible_w = aei_tile_size(e->width, tx), .visible_h = aei_tile_size(e->height, e->row)};
    uint32_t tile_w = aei_round_up(latents.visible_w, stride), tile_h = aei_round_up(latents.visible_h, stride);
    float quality = (float)e->options->quality / AE_QUALITY_ONE;
    const float *inputs[2] = {NULL, NULL};
    stream *s = &e->streams[tx];
    ae_status st;

    for (uint32_t i = 0, n = 0; i < c->analysis.n_nodes; i++)
        if (c->analysis.nodes[i].op == AE_OP_INPUT && n < 2)
            inputs[n++] = strcmp(c->analysis.nodes[i].name, AE_INPUT_IMAGE) ? &quality : k->window;
    load_window(e, tx, k->window);
    if ((st = aei_run_forward(k->run, e->weights, inputs, k->made, 0, err)) != AE_OK)
        return st;
    for (uint32_t i = 0; i < c->analysis.n_outputs; i++)
        keep(e, k, i, tile_w, tile_h);
    aei_walk_quality(k->walk, e->options->quality);
    if ((st = aei_walk_entropy(k->walk, tile_w, tile_h, &latents, err)) != AE_OK)
        return st;
    return aei_rans_finish(&k->writer, &s->bytes, &s->n_allocated, &s->n_bytes, err);
}

static void job(void *context, uint32_t index, uint32_t thread)
{
    encoder *e = context;
    worker *k = &e->workers[thread];

    if (k->status == AE_OK && !(e->options->cancel && e->options->cancel->requested))
        k->status = encode_tile(e, k, index, &k->error);
}

/* Rows that the next row of tiles needs; those behind it are let go. */
static ae_status read_rows(encoder *e, const ae_row_source *source, ae_error *err)
{
    uint64_t first = (uint64_t)e->row * AE_CODER_TILE, end = first + AE_CODER_TILE + e->coder->field;
    ae_status st;

    first = first > e->coder->field ? first - e->coder->field : 0;
    end = end < e->height ? end : e->height;
    if (first > e->band_first) {
        memmove(e->band, e->band + (first - e->band_first) * e->row_bytes, (e->rows_read - first) * e->row_bytes);
        e->band_first = (uint32_t)first;
    }
    if (end == e->rows_read)
        return AE_OK;
    st = source->read(source->opaque, e->band + (e->rows_read - e->band_first) * e->row_bytes, (uint32_t)end - e->rows_read, err);
    e->rows_read = (uint32_t)end;
    return st;
}

static ae_status prepare(encoder *e, ae_error *err)
{
    const ae_coder *c = e->coder;
    uint32_t stride = c->engine->program->stride, n_rows = AE_CODER_TILE + 2 * c->field;
    aei_plan_config config = {.n = 1, .precision = ae_precision_resolve(e->options->precision)};
    ae_status st;

    e->window_w = config.w = aei_round_up(aei_tile_size(e->width, 0), stride) + 2 * c->field;
    e->window_h = config.h = aei_round_up(aei_tile_size(e->height, 0), stride) + 2 * c->field;
    e->n_workers = e->options->threads ? e->options->threads : aei_cpu_count();
    e->n_workers = e->n_workers < e->n_x ? e->n_workers : e->n_x;
    if ((st = aei_plan_create(&c->analysis, &config, &e->plan, err)) != AE_OK || (st = aei_weights_create(e->plan, &e->weights, err)) != AE_OK)
        return st;
    aei_weights_set(e->weights, c->values);
    e->band = ae_alloc(n_rows < e->height ? n_rows : e->height, e->row_bytes);
    e->streams = ae_alloc(e->n_x, sizeof(*e->streams));
    e->workers = ae_alloc(e->n_workers, sizeof(*e->workers));
    if (!e->band || !e->streams || !e->workers)
        return ae_fail(err, AE_ERR_NOMEM, "%u rows of %zu bytes", n_rows, e->row_bytes);
    for (uint32_t i = 0; i < e->n_workers; i++) {
        worker *k = &e->workers[i];
        bool complete = (k->window = ae_alloc((size_t)e->window_w * e->window_h, c->planes * sizeof(float))) != NULL;

        for (uint32_t s = 0; s < c->analysis.n_outputs; s++) {
            ae_shape shape = aei_plan_output_shape(e->plan, s);

            k->made[s] = ae_alloc((size_t)shape.h * shape.w, shape.c * sizeof(float));
            k->kept[s] = ae_alloc((size_t)shape.h * shape.w, shape.c * sizeof(float));
            complete = complete && k->made[s] && k->kept[s];
        }
        if (!complete)
            return ae_fail(err, AE_ERR_NOMEM, "windows of %u x %u pixels for %u threads", e->window_w, e->window_h, e->n_workers);
        if ((st = aei_run_create(e->plan, &k->run, err)) != AE_OK || (st = aei_walk_create(c->engine, &k->walk, err)) != AE_OK)
            return st;
    }
    return AE_OK;
}

static void release(encoder *e)
{
    for (uint32_t i = 0; e->workers && i < e->n_workers; i++) {
        worker *k = &e->workers[i];

        aei_run_free(k->run);
        aei_walk_free(k->walk);
        aei_rans_writer_free(&k->writer);
        ae_free(k->window);
        for (uint32_t s = 0; s < AEI_MAX_SOURCES; s++) {
            ae_free(k->made[s]);
            ae_free(k->kept[s]);
        }
    }
    for (uint32_t i = 0; e->streams && i < e->n_x; i++)
        ae_free(e->streams[i].bytes);
    ae_free(e->workers);
    ae_free(e->streams);
    ae_free(e->band);
    aei_weights_free(e->weights);
    aei_plan_free(e->plan);
}

static ae_status encode_row(encoder *e, aei_pool *pool, const ae_tile_sink *sink, ae_error *err)
{
    ae_status st = AE_OK;

    aei_pool_run(pool, e->n_x, job, e);
    for (uint32_t i = 0; st == AE_OK && i < e->n_workers; i++)
        if ((st = e->workers[i].status) != AE_OK && err)
            *err = e->workers[i].error;
    if (st == AE_OK && e->options->cancel && e->options->cancel->requested)
        st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
    for (uint32_t i = 0; st == AE_OK && i < e->n_x; i++)
        st = sink->write(sink->opaque, e->row * e->n_x + i, e->streams[i].bytes, e->streams[i].n_bytes, err);
    if (st == AE_OK && e->options->progress)
        e->options->progress(e->options->opaque, (e->row + 1.0) / e->n_y);
    return st;
}

ae_status ae_encode(const ae_coder *coder, const ae_encode_options *options, const ae_row_source *source, const ae_tile_sink *sink, ae_error *err)
{
    const ae_signal_info *info = &source->info;
    uint32_t colours = info->channels - info->alpha;
    encoder e = {.coder = coder, .options = options, .row_bytes = ae_row_bytes(info)};
    aei_pool *pool = NULL;
    ae_status st;

    if (!coder->encodes)
        return ae_fail(err, AE_ERR_ARGUMENT, "a decoder program alone cannot encode");
    if (options->quality > AE_QUALITY_ONE || options->effort > 9)
        return ae_fail(err, AE_ERR_ARGUMENT, "quality %u of 0..%d, effort %u of 1..9", options->quality, AE_QUALITY_ONE, options->effort);
    if ((st = aei_coder_check_picture(coder, info->width, info->height, colours, info->sample, err)) != AE_OK)
        return st;
    e.width = (uint32_t)info->width;
    e.height = (uint32_t)info->height;
    e.n_x = aei_tiles_along(e.width);
    e.n_y = aei_tiles_along(e.height);
    e.format = (aei_window_format){.sample = info->sample, .width = e.width, .channels = info->channels, .colours = colours, .planes = coder->planes};
    if ((st = prepare(&e, err)) == AE_OK && (st = aei_pool_create(e.n_workers, &pool, err)) == AE_OK)
        for (e.row = 0; st == AE_OK && e.row < e.n_y; e.row++)
            if ((st = read_rows(&e, source, err)) == AE_OK)
                st = encode_row(&e, pool, sink, err);
    aei_pool_free(pool);
    release(&e);
    return st;
}
