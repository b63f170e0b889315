/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A picture freed of noise, tile by tile (tiles.h): what was found of the noise is held to what the
 * network has learned and drawn as maps beside the picture (levels.h), and what the network changes
 * is bounded by it. At strength 0 rows are passed on as they are. */
#include "ae/denoise.h"

#include <math.h>
#include <string.h>

#include "image/levels.h"
#include "image/tiles.h"

enum { COPY_ROWS = 64 };

/* Strength 0: the input's samples. */
static ae_status copy_rows(const ae_denoise_options *o, const ae_row_source *source,
                           const ae_row_sink *sink, ae_error *err)
{
    size_t row_bytes = ae_row_bytes(&source->info);
    void *rows = ae_alloc(COPY_ROWS, row_bytes);
    ae_status st = rows ? AE_OK
                        : ae_fail(err, AE_ERR_NOMEM, "%d rows of %zu bytes", COPY_ROWS, row_bytes);

    for (uint64_t y = 0; st == AE_OK && y < source->info.height; y += COPY_ROWS) {
        uint32_t n = source->info.height - y < COPY_ROWS ? (uint32_t)(source->info.height - y)
                                                         : COPY_ROWS;

        if (o->control.cancel && o->control.cancel->requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else if ((st = source->read(source->opaque, rows, n, err)) == AE_OK)
            st = sink->write(sink->opaque, rows, n, err);
        if (st == AE_OK && o->control.progress)
            o->control.progress(o->control.opaque, (double)(y + n) / (double)source->info.height);
    }
    ae_free(rows);
    return st;
}

/* What the tiles' functions are given. */
typedef struct denoiser {
    const ae_denoise_options *options;
    ae_noise noise;
    float bound;
} denoiser;

/* What was found stays within what the network learned: told of more it would do less. */
static ae_noise learned(const ae_recipe *r, const ae_noise *noise)
{
    const float root3 = 1.7320508f;
    float luminance = 0, chroma = 0;
    ae_noise within = *noise;

    for (uint32_t i = 0; i < r->n_corruptions; i++) {
        const ae_corruption *k = &r->corruptions[i];
        float most = k->max * (k->jitter_max > 1 ? k->jitter_max : 1),
              y = k->kind == AE_CORRUPT_CAMERA ? most : most / root3;

        if (k->kind != AE_CORRUPT_CAMERA && k->kind != AE_CORRUPT_GAUSSIAN)
            return within;
        luminance = y > luminance ? y : luminance;
        chroma = luminance * root3;
    }
    for (uint32_t i = 0; luminance > 0 && i < noise->n_bins; i++) {
        within.luminance_at[i] = fminf(within.luminance_at[i], luminance);
        within.chroma_at[i] = fminf(within.chroma_at[i], chroma);
    }
    if (noise->is_white && luminance > 0) {
        float share = fminf(1, chroma / fmaxf(noise->white, 1));

        within.luminance *= share;
        within.chroma *= share;
        within.white *= share;
    }
    return within;
}

/* Five deviations of the noisiest channel: networks learned noise that reaches beyond black and
 * white. */
static float slack_of(const ae_noise *noise)
{
    float most = fmaxf(noise->white, fmaxf(1.7320508f * noise->luminance, noise->chroma));

    for (uint32_t i = 0; i < noise->n_bins; i++)
        most = fmaxf(most, fmaxf(1.7320508f * noise->luminance_at[i], noise->chroma_at[i]));
    return 5 * most / 255;
}

static size_t level_scratch(const aei_tiles *job, uint32_t window_w, uint32_t window_h)
{
    return ((const denoiser *)job->context)->noise.n_bins
               ? aei_level_scratch(window_h, window_w) * sizeof(float)
               : 0;
}

static void load(const aei_tile *t)
{
    const denoiser *d = t->job->context;
    uint32_t planes = t->format.planes;
    float *window = t->image - ((size_t)t->margin * t->window_w + t->margin) * planes;

    if (t->format.sample == AE_F32)
        aei_calm(window, (size_t)t->window_w * t->window_h * planes, t->format.slack);
    if (t->level_channels)
        aei_level_map(&d->noise, window, t->window_h, t->window_w, planes, t->level_channels,
                      t->level, t->scratch);
}

static void store(const aei_tile *t)
{
    const denoiser *d = t->job->context;
    const ae_denoise_options *o = d->options;
    const aei_window_format *f = &t->format;
    size_t row_bytes = ae_row_bytes(&t->job->result), pixel = row_bytes / f->width;

    for (uint32_t i = 0; i < t->h; i++) {
        const uint8_t *in = aei_tile_row(t, t->y + i);
        uint8_t *out = t->band + i * row_bytes;

        if (d->bound > 0)
            aei_bound(
                d->bound,
                t->level + ((size_t)(t->margin + i) * t->window_w + t->margin) * t->level_channels,
                t->level_channels, t->net + (size_t)i * t->net_w * f->planes, f->planes, t->w);
        if (f->colours != f->channels && !f->plane)
            memcpy(out + t->x * pixel, in + t->x * pixel, t->w * pixel);
        aei_window_store(f, in, t->net + (size_t)i * t->net_w * f->planes, t->x, t->w, o->strength,
                         ae_model_recipe(t->job->model)->residual, out);
    }
}

ae_status ae_denoise(const ae_model *model, const ae_denoise_options *options,
                     const ae_row_source *source, const ae_row_sink *sink, ae_run_stats *stats,
                     ae_error *err)
{
    const ae_recipe *recipe = ae_model_recipe(model);
    const denoiser d = {options, learned(recipe, &options->noise), aei_bound_of(recipe)};
    const aei_tiles job = {
        .model = model,
        .source = source,
        .sink = sink,
        .result = source->info,
        .scale = 1,
        /* to a network of one size the whole picture is there anyway */
        .reach = options->noise.n_bins && ae_model_graph(model)->stride ? AEI_LEVEL_REACH : 0,
        .precision = options->precision,
        .tile = options->tile,
        .control = options->control,
        .context = &d,
        .slack = slack_of(&options->noise),
        .scratch = level_scratch,
        .load = load,
        .store = store,
    };

    if (stats)
        *stats = (ae_run_stats){0};
    if (!(options->strength >= 0 && options->strength <= 1))
        return ae_fail(err, AE_ERR_ARGUMENT, "strength %g is not between 0 and 1",
                       (double)options->strength);
    if (recipe->task == AE_TASK_SUPERRES)
        return ae_fail(err, AE_ERR_MISMATCH, "model %s enlarges pictures, it does not denoise them",
                       recipe->name);
    if (recipe->task == AE_TASK_COMPRESS)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "model %s compresses pictures, it does not denoise them", recipe->name);
    if (recipe->strength_max > 0)
        return ae_fail(err, AE_ERR_MISMATCH,
                       "model %s is told how much to remove, not how strong the noise is",
                       recipe->name);
    return options->strength == 0 ? copy_rows(options, source, sink, err)
                                  : aei_tiles_run(&job, stats, err);
}
