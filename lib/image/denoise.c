/* SPDX-License-Identifier: BSD-2-Clause */
#include "ae/denoise.h"

#include <string.h>

#include "image/tiles.h"

enum { COPY_ROWS = 64 };

/* Strength 0: the input's samples. */
static ae_status copy_rows(const ae_denoise_options *o, const ae_row_source *source, const ae_row_sink *sink, ae_error *err)
{
    size_t row_bytes = ae_row_bytes(&source->info);
    void *rows = ae_alloc(COPY_ROWS, row_bytes);
    ae_status st = rows ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "%d rows of %zu bytes", COPY_ROWS, row_bytes);

    for (uint64_t y = 0; st == AE_OK && y < source->info.height; y += COPY_ROWS) {
        uint32_t n = source->info.height - y < COPY_ROWS ? (uint32_t)(source->info.height - y) : COPY_ROWS;

        if (o->cancel && o->cancel->requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else if ((st = source->read(source->opaque, rows, n, err)) == AE_OK)
            st = sink->write(sink->opaque, rows, n, err);
        if (st == AE_OK && o->progress)
            o->progress(o->opaque, (double)(y + n) / (double)source->info.height);
    }
    ae_free(rows);
    return st;
}

static void store(const aei_tile *t)
{
    const ae_denoise_options *o = t->job->context;
    const aei_window_format *f = &t->format;
    size_t row_bytes = ae_row_bytes(&t->job->result), pixel = row_bytes / f->width;

    for (uint32_t i = 0; i < t->h; i++) {
        const uint8_t *in = aei_tile_row(t, t->y + i);
        uint8_t *out = t->band + i * row_bytes;

        if (f->colours != f->channels && !f->plane)
            memcpy(out + t->x * pixel, in + t->x * pixel, t->w * pixel);
        aei_window_store(f, in, t->net + (size_t)i * t->net_w * f->planes, t->x, t->w, o->strength,
                         ae_model_recipe(t->job->model)->residual, out);
    }
}

ae_status ae_denoise(const ae_model *model, const ae_denoise_options *options, const ae_row_source *source, const ae_row_sink *sink,
                     ae_run_stats *stats, ae_error *err)
{
    const ae_recipe *recipe = ae_model_recipe(model);
    const ae_graph *graph = ae_model_graph(model);
    int32_t level = ae_graph_find(graph, AE_INPUT_LEVEL);
    const ae_noise *noise = &options->noise;
    bool one = level >= 0 && graph->nodes[level].out == 1;
    const aei_tiles job = {
        .model = model, .source = source, .sink = sink, .result = source->info, .scale = 1,
        .level = {(one ? noise->white : noise->luminance) / 255.0f, noise->chroma / 255.0f},
        .precision = options->precision, .tile = options->tile, .threads = options->threads, .cancel = options->cancel,
        .opaque = options->opaque, .progress = options->progress, .context = options, .store = store,
    };

    if (stats)
        *stats = (ae_run_stats){0};
    if (!(options->strength >= 0 && options->strength <= 1))
        return ae_fail(err, AE_ERR_ARGUMENT, "strength %g is not between 0 and 1", (double)options->strength);
    if (recipe->task == AE_TASK_SUPERRES)
        return ae_fail(err, AE_ERR_MISMATCH, "model %s enlarges pictures, it does not denoise them", recipe->name);
    if (recipe->task == AE_TASK_COMPRESS)
        return ae_fail(err, AE_ERR_MISMATCH, "model %s compresses pictures, it does not denoise them", recipe->name);
    if (recipe->strength_max > 0)
        return ae_fail(err, AE_ERR_MISMATCH, "model %s is told how much to remove, not how strong the noise is", recipe->name);
    return options->strength == 0 ? copy_rows(options, source, sink, err) : aei_tiles_run(&job, stats, err);
}
