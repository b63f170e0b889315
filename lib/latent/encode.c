/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The analysis of each tile is run on a window wider by its field, the picture continued by
 * mirroring; from there on the encoder walks the decoder's program. Tiles of a row are done by all
 * threads, then handed over in order. Between the two halves latents may be kept. */
#include <math.h>
#include <string.h>

#include "core/threads.h"
#include "image/window.h"
#include "latent/refine.h"
#include "nn/exec.h"

typedef struct stream {
    uint8_t *bytes;
    size_t n_allocated, n_bytes;
} stream;

typedef struct worker {
    aei_run *run;
    aei_walk *walk;
    aei_rans_writer writer;
    float *window;
    float *made[AEI_MAX_SOURCES]; /* of the window */
    float *kept[AEI_MAX_SOURCES]; /* of the tile */
    ae_status status;
    ae_error error;
} worker;

struct ae_analysis {
    const ae_coder *coder;
    uint32_t width, height;
    float *(*tiles)[AEI_MAX_SOURCES]; /* NULL: not kept */
    size_t n_tiles;
    uint32_t every; /* one in so many is */
};

typedef struct encoder {
    const ae_coder *coder;
    const ae_encode_options *options;
    ae_analysis *into;       /* latents are kept there and not coded */
    const ae_analysis *from; /* they are there already */
    uint32_t every;          /* of `into` or `from` one tile in so many is wanted */
    aei_window_format format;
    uint32_t width, height, n_x, n_y;
    uint32_t window_w, window_h;
    aei_plan *plan;
    aei_weights *weights;
    worker *workers;
    uint32_t n_workers;
    uint8_t *band; /* rows band_first .. rows_read - 1 */
    size_t row_bytes, n_band;
    uint32_t band_first, rows_read;
    uint32_t row;    /* of tiles */
    stream *streams; /* of that row */
} encoder;

static void load_window(const encoder *e, uint32_t tx, float *to)
{
    int64_t x = (int64_t)tx * AE_CODER_TILE - e->coder->field,
            y = (int64_t)e->row * AE_CODER_TILE - e->coder->field;

    for (uint32_t i = 0; i < e->window_h; i++) {
        uint64_t from = aei_mirror(y + i, e->height);

        /* what is beyond the band is beyond the picture's mirror image and far from its pixels */
        from = from < e->band_first ? e->band_first : from < e->rows_read ? from : e->rows_read - 1;
        aei_window_load(&e->format, e->band + (size_t)(from - e->band_first) * e->row_bytes, x,
                        e->window_w, to + (size_t)i * e->window_w * e->format.planes);
    }
}

static uint32_t padded_tile(const encoder *e, uint32_t n, uint32_t i)
{
    return aei_round_up(aei_tile_size(n, i), e->coder->engine->program->stride);
}

/* The tile's part of what the analysis made of the window. */
static void keep(const encoder *e, const worker *k, uint32_t source, uint32_t tx, float *to)
{
    ae_shape s = aei_plan_output_shape(e->plan, source);
    uint32_t grid = e->window_w / s.w, at = e->coder->field / grid,
             w = padded_tile(e, e->width, tx) / grid, h = padded_tile(e, e->height, e->row) / grid;

    for (uint32_t y = 0; y < h; y++)
        memcpy(to + (size_t)y * w * s.c, k->made[source] + ((size_t)(y + at) * s.w + at) * s.c,
               (size_t)w * s.c * sizeof(float));
}

static ae_status analyse_tile(encoder *e, worker *k, uint32_t tx, float *const *to, ae_error *err)
{
    const ae_coder *c = e->coder;
    float quality = fminf((float)e->options->quality / AE_QUALITY_ONE, 1);
    const float *inputs[2] = {NULL, NULL};
    ae_status st;

    for (uint32_t i = 0, n = 0; i < c->analysis.n_nodes; i++)
        if (c->analysis.nodes[i].op == AE_OP_INPUT && n < 2)
            inputs[n++] = strcmp(c->analysis.nodes[i].name, AE_INPUT_IMAGE) ? &quality : k->window;
    load_window(e, tx, k->window);
    if ((st = aei_run_forward(k->run, e->weights, inputs, k->made, 0, err)) != AE_OK)
        return st;
    for (uint32_t i = 0; i < c->analysis.n_outputs; i++)
        keep(e, k, i, tx, to[i]);
    return AE_OK;
}

/* The network sees as far beyond the tile as the next tile's latents tell on its pixels. */
static ae_status refine_tile(encoder *e, worker *k, uint32_t tx, float *const *targets,
                             ae_error *err)
{
    static const uint32_t rounds[] = {2, 4, 9, 18};
    const ae_coder *c = e->coder;
    int32_t field = (int32_t)c->field, w = (int32_t)padded_tile(e, e->width, tx),
            h = (int32_t)padded_tile(e, e->height, e->row);
    int32_t around = (int32_t)aei_round_up(aei_engine_reach(c->engine), c->engine->program->stride);
    aei_refining job = {.quality = e->options->quality,
                        .effort = e->options->effort,
                        .rounds = rounds[e->options->effort - AE_EFFORT_REFINES],
                        .precision = e->options->precision,
                        .walk = k->walk,
                        .targets = targets,
                        .sources = k->made,
                        .picture = k->window,
                        .source_w = e->window_w,
                        .tile = {field, field, field + w, field + h},
                        .visible_w = aei_tile_size(e->width, tx),
                        .visible_h = aei_tile_size(e->height, e->row)};

    around = around < field ? around : field;
    job.seen = (aei_rect){field - (tx ? around : 0), field - (e->row ? around : 0),
                          field + w + (tx + 1 < e->n_x ? around : 0),
                          field + h + (e->row + 1 < e->n_y ? around : 0)};
    return aei_refine(c, &job, err);
}

static ae_status code_tile(encoder *e, worker *k, uint32_t tx, float *const *sources, ae_error *err)
{
    aei_latents latents = {.sources = (const float *const *)sources,
                           .n_channels = e->coder->source_channels,
                           .writer = &k->writer,
                           .effort = e->options->effort,
                           .visible_w = aei_tile_size(e->width, tx),
                           .visible_h = aei_tile_size(e->height, e->row)};
    stream *s = &e->streams[tx];
    ae_status st;

    aei_walk_quality(k->walk, e->options->quality);
    if ((st = aei_walk_entropy(k->walk, padded_tile(e, e->width, tx),
                               padded_tile(e, e->height, e->row), &latents, err)) != AE_OK)
        return st;
    return aei_rans_finish(&k->writer, &s->bytes, &s->n_allocated, &s->n_bytes, err);
}

/* Whether a tile is among one in so many: they lie scattered as a lattice. */
static bool on_lattice(uint32_t tx, uint32_t ty, uint32_t every)
{
    return (tx + (uint64_t)ty * (every * 2 / 5 + 1)) % every == 0;
}

/* Memory for a tile's latents, where they are to be kept. */
static ae_status place_tile(const encoder *e, uint32_t tx, float **to, ae_error *err)
{
    uint32_t w = padded_tile(e, e->width, tx), h = padded_tile(e, e->height, e->row);

    for (uint32_t s = 0; s < e->coder->analysis.n_outputs && on_lattice(tx, e->row, e->every);
         s++) {
        ae_shape shape = aei_plan_output_shape(e->plan, s);
        uint32_t grid = e->window_w / shape.w;

        if (!(to[s] = ae_alloc((size_t)(w / grid) * (h / grid), shape.c * sizeof(float))))
            return ae_fail(err, AE_ERR_NOMEM, "latents of %u x %u pixels", w, h);
    }
    return AE_OK;
}

static ae_status encode_tile(encoder *e, worker *k, uint32_t tx, ae_error *err)
{
    size_t index = (size_t)e->row * e->n_x + tx;
    float **latents = e->from ? e->from->tiles[index] : e->into ? e->into->tiles[index] : k->kept;
    ae_status st = AE_OK;

    e->streams[tx].n_bytes = 0;
    if (e->from && !on_lattice(tx, e->row, e->every))
        return AE_OK;
    if (e->into)
        st = place_tile(e, tx, latents, err);
    if (st == AE_OK && !e->from && latents[0])
        st = analyse_tile(e, k, tx, latents, err);
    if (st == AE_OK && !e->from && !e->into && e->options->effort >= AE_EFFORT_REFINES)
        st = refine_tile(e, k, tx, latents, err);
    return st == AE_OK && !e->into && latents[0] ? code_tile(e, k, tx, latents, err) : st;
}

static void job(void *context, uint32_t index, uint32_t thread)
{
    encoder *e = context;
    worker *k = &e->workers[thread];

    if (k->status == AE_OK &&
        !(e->options->control.cancel && e->options->control.cancel->requested))
        k->status = encode_tile(e, k, index, &k->error);
}

/* Rows that the next row of tiles needs; those behind it are let go. */
static ae_status read_rows(encoder *e, const ae_row_source *source, ae_error *err)
{
    uint64_t first = (uint64_t)e->row * AE_CODER_TILE,
             end = first + AE_CODER_TILE + e->coder->field;
    ae_status st;

    first = first > e->coder->field ? first - e->coder->field : 0;
    end = end < e->height ? end : e->height;
    if (first > e->band_first) {
        memmove(e->band, e->band + (first - e->band_first) * e->row_bytes,
                (e->rows_read - first) * e->row_bytes);
        e->band_first = (uint32_t)first;
    }
    if (end == e->rows_read)
        return AE_OK;
    st = source->read(source->opaque, e->band + (e->rows_read - e->band_first) * e->row_bytes,
                      (uint32_t)end - e->rows_read, err);
    e->rows_read = (uint32_t)end;
    return st;
}

static ae_status prepare_analysis(encoder *e, ae_error *err)
{
    const ae_coder *c = e->coder;
    uint32_t n_rows = AE_CODER_TILE + 2 * c->field;
    aei_plan_config config = {.n = 1, .precision = ae_precision_resolve(e->options->precision)};
    ae_status st;

    e->window_w = config.w = padded_tile(e, e->width, 0) + 2 * c->field;
    e->window_h = config.h = padded_tile(e, e->height, 0) + 2 * c->field;
    if ((st = aei_plan_create(&c->analysis, &config, &e->plan, err)) != AE_OK ||
        (st = aei_weights_create(e->plan, &e->weights, err)) != AE_OK)
        return st;
    aei_weights_set(e->weights, c->values);
    e->band = ae_alloc(n_rows < e->height ? n_rows : e->height, e->row_bytes);
    return e->band ? AE_OK
                   : ae_fail(err, AE_ERR_NOMEM, "%u rows of %zu bytes", n_rows, e->row_bytes);
}

static ae_status prepare_worker(encoder *e, worker *k, ae_error *err)
{
    const ae_coder *c = e->coder;
    bool complete = e->from || (k->window = ae_alloc((size_t)e->window_w * e->window_h,
                                                     c->planes * sizeof(float))) != NULL;
    ae_status st;

    for (uint32_t s = 0; s < c->analysis.n_outputs && !e->from; s++) {
        ae_shape shape = aei_plan_output_shape(e->plan, s);

        k->made[s] = ae_alloc((size_t)shape.h * shape.w, shape.c * sizeof(float));
        k->kept[s] = e->into ? NULL : ae_alloc((size_t)shape.h * shape.w, shape.c * sizeof(float));
        complete = complete && k->made[s] && (e->into || k->kept[s]);
    }
    if (!complete)
        return ae_fail(err, AE_ERR_NOMEM, "windows of %u x %u pixels for %u threads", e->window_w,
                       e->window_h, e->n_workers);
    if (!e->from && (st = aei_run_create(e->plan, &k->run, err)) != AE_OK)
        return st;
    return e->into ? AE_OK : aei_walk_create(c->engine, &k->walk, err);
}

static ae_status prepare(encoder *e, ae_error *err)
{
    ae_status st;

    e->n_workers = e->options->control.threads ? e->options->control.threads : aei_cpu_count();
    e->n_workers = e->n_workers < e->n_x ? e->n_workers : e->n_x;
    if (!e->from && (st = prepare_analysis(e, err)) != AE_OK)
        return st;
    e->streams = ae_alloc(e->n_x, sizeof(*e->streams));
    e->workers = ae_alloc(e->n_workers, sizeof(*e->workers));
    if (!e->streams || !e->workers)
        return ae_fail(err, AE_ERR_NOMEM, "%u threads", e->n_workers);
    for (uint32_t i = 0; i < e->n_workers; i++)
        if ((st = prepare_worker(e, &e->workers[i], err)) != AE_OK)
            return st;
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
    if (st == AE_OK && e->options->control.cancel && e->options->control.cancel->requested)
        st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
    for (uint32_t i = 0; st == AE_OK && i < e->n_x; i++)
        if (e->streams[i].n_bytes)
            st = sink->write(sink->opaque, e->row * e->n_x + i, e->streams[i].bytes,
                             e->streams[i].n_bytes, err);
    if (st == AE_OK && e->options->control.progress)
        e->options->control.progress(e->options->control.opaque, (e->row + 1.0) / e->n_y);
    return st;
}

/* source: NULL where the latents are there. */
static ae_status run(encoder *e, const ae_row_source *source, const ae_tile_sink *sink,
                     ae_error *err)
{
    aei_pool *pool = NULL;
    ae_status st;

    if (!e->coder->encodes)
        return ae_fail(err, AE_ERR_ARGUMENT, "a decoder program alone cannot encode");
    if (e->options->quality > AE_QUALITY_MOST || e->options->effort > 9)
        return ae_fail(err, AE_ERR_ARGUMENT, "quality %u of 0..%d, effort %u of 1..9",
                       e->options->quality, AE_QUALITY_MOST, e->options->effort);
    if (source) {
        const ae_signal_info *info = &source->info;
        uint32_t colours = info->channels - info->alpha;

        if ((st = aei_coder_check_picture(e->coder, info->width, info->height, colours,
                                          info->sample, err)) != AE_OK)
            return st;
        e->row_bytes = ae_row_bytes(info);
        e->width = (uint32_t)info->width;
        e->height = (uint32_t)info->height;
        e->format = (aei_window_format){.sample = info->sample,
                                        .width = e->width,
                                        .channels = info->channels,
                                        .colours = colours,
                                        .planes = e->coder->planes};
    }
    e->n_x = aei_tiles_along(e->width);
    e->n_y = aei_tiles_along(e->height);
    if ((st = prepare(e, err)) == AE_OK &&
        (st = aei_pool_create(e->n_workers, &pool, err)) == AE_OK)
        for (e->row = 0; st == AE_OK && e->row < e->n_y; e->row++)
            if (!source || (st = read_rows(e, source, err)) == AE_OK)
                st = encode_row(e, pool, sink, err);
    aei_pool_free(pool);
    release(e);
    return st;
}

ae_status ae_encode(const ae_coder *coder, const ae_encode_options *options,
                    const ae_row_source *source, const ae_tile_sink *sink, ae_error *err)
{
    encoder e = {.coder = coder, .options = options};

    return run(&e, source, sink, err);
}

/* ---- in two halves ---- */

void ae_analysis_free(ae_analysis *a)
{
    if (!a)
        return;
    for (size_t i = 0; a->tiles && i < a->n_tiles; i++)
        for (uint32_t s = 0; s < AEI_MAX_SOURCES; s++)
            ae_free(a->tiles[i][s]);
    ae_free(a->tiles);
    ae_free(a);
}

ae_status ae_analyse(const ae_coder *coder, const ae_encode_options *options,
                     const ae_row_source *source, uint32_t most_tiles, ae_analysis **out,
                     ae_error *err)
{
    uint32_t width = (uint32_t)source->info.width, height = (uint32_t)source->info.height;
    ae_analysis *a = ae_alloc(1, sizeof(*a));
    encoder e = {.coder = coder, .options = options, .into = a};
    ae_status st = AE_OK;

    *out = NULL;
    if (a) {
        *a = (ae_analysis){.coder = coder,
                           .width = width,
                           .height = height,
                           .n_tiles = (size_t)aei_tiles_along(width) * aei_tiles_along(height)};
        a->every = e.every = (uint32_t)((a->n_tiles + most_tiles - 1) / most_tiles);
        a->tiles = ae_alloc(a->n_tiles, sizeof(*a->tiles));
    }
    if (!a || !a->tiles)
        st = ae_fail(err, AE_ERR_NOMEM, "an analysis");
    if (st == AE_OK)
        st = run(&e, source, NULL, err);
    if (st != AE_OK)
        ae_analysis_free(a);
    else
        *out = a;
    return st;
}

bool ae_analysis_complete(const ae_analysis *a)
{
    return a->every == 1;
}

ae_status ae_encode_analysis(const ae_analysis *a, const ae_encode_options *options, uint32_t every,
                             const ae_tile_sink *sink, ae_error *err)
{
    encoder e = {.coder = a->coder,
                 .options = options,
                 .from = a,
                 .width = a->width,
                 .height = a->height,
                 .every = a->every > 1 ? a->every : every};

    return run(&e, NULL, sink, err);
}
