/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rows of tiles pass through a ring: their entropy parts are decoded as far ahead as the synthesis
 * of the current row looks, and let go when it looks no longer. All threads work on the tiles of
 * one step, then on blocks of the synthesis. */
#include <string.h>

#include "core/lost.h"
#include "core/threads.h"
#include "latent/coder.h"
#include "latent/preview.h"

/* What the synthesis reads of a tile. */
typedef struct slot {
    uint8_t *bytes; /* its stream */
    size_t n_allocated, n_bytes;
    bool given;
    ae_error why;      /* not given, because of this */
    const char *lost;  /* why; NULL: all is well */
    int16_t **tensors; /* by crossing, dense with the tensor's pitch over the padded tile */
} slot;

typedef struct decoder {
    const aei_engine *engine;
    const aei_program *program;
    const ae_coder_picture *picture;
    const ae_decode_options *options;
    uint32_t width, height; /* padded */
    uint32_t n_x;           /* tiles in a row of the picture */
    uint32_t unit;          /* pixels that a sample of the result stands for along an edge */
    aei_rect region;        /* wanted samples */
    uint32_t first_x, end_x, first_y, end_y; /* tiles that are read */
    uint32_t ring;                           /* rows of tiles held */
    slot *slots;                             /* ring x (end_x - first_x) */
    aei_walk **walks;
    ae_status *statuses;
    ae_error *errors;
    uint32_t n_workers;
    uint32_t row;        /* of tiles, that the current step is about */
    aei_rect block_area; /* samples of this step of the synthesis */
    /* samples, edge, of a job of the synthesis: small ones where there would be too few */
    int32_t block;
    uint32_t n_block_x;
    uint8_t *band;
    size_t row_bytes;
    uint32_t out_planes;
} decoder;

static slot *slot_of(const decoder *d, uint32_t tx, uint32_t ty)
{
    return &d->slots[(size_t)(ty % d->ring) * (d->end_x - d->first_x) + (tx - d->first_x)];
}

static uint32_t padded_tile(const decoder *d, uint32_t n, uint32_t i)
{
    return aei_tile_size(aei_round_up(n, d->program->stride), i);
}

/* ---- the entropy part ---- */

static bool is_cancelled(const decoder *d)
{
    const ae_cancel *cancel = d->options->control.cancel;

    return cancel && cancel->requested;
}

static void decode_tile(void *context, uint32_t index, uint32_t thread)
{
    decoder *d = context;
    uint32_t tx = d->first_x + index, w = padded_tile(d, d->picture->width, tx),
             h = padded_tile(d, d->picture->height, d->row);
    const aei_engine *e = d->engine;
    slot *s = slot_of(d, tx, d->row);
    aei_rans_reader reader;
    aei_latents latents = {.reader = &reader};

    if (d->statuses[thread] != AE_OK || is_cancelled(d))
        return;
    s->lost = s->given ? NULL : s->why.message;
    if (s->given) {
        aei_rans_begin(&reader, s->bytes, s->n_bytes);
        d->statuses[thread] = aei_walk_entropy(d->walks[thread], w, h, &latents,
                                               &d->errors[thread]);
        if (d->statuses[thread] != AE_OK)
            return;
        s->lost = aei_rans_complete(&reader) ? NULL : "its stream is damaged";
    }
    for (uint32_t i = 0; i < e->n_crossings; i++) {
        const aei_op *op = &d->program->ops[e->crossings[i]];
        aei_view v = s->given ? aei_walk_crossing(d->walks[thread], i)
                              : (aei_view){.pitch = aei_pitch(op->channels)};
        size_t n = (size_t)(w / op->grid) * v.pitch;

        for (uint32_t y = 0; y < h / op->grid; y++)
            if (s->lost)
                memset(s->tensors[i] + y * n, 0, n * sizeof(int16_t));
            else
                memcpy(s->tensors[i] + y * n, aei_view_at(&v, 0, (int32_t)y), n * sizeof(int16_t));
    }
}

static ae_status read_tile(decoder *d, uint32_t tx, const ae_tile_source *source, ae_error *err)
{
    slot *s = slot_of(d, tx, d->row);
    const void *data = NULL;
    size_t n = 0;
    ae_status st = source->read(source->opaque, d->row * d->n_x + tx, &data, &n, &s->why);

    s->given = st == AE_OK && data;
    s->n_bytes = s->given ? n : 0;
    if (st == AE_OK && !data)
        ae_fail(&s->why, AE_ERR_MALFORMED, "it is missing");
    /* damage costs the tile; what will not be otherwise for the next one costs the picture */
    if (aei_costs_item(&d->options->control, st))
        return ae_fail(err, st, "%s", s->why.message);
    if (!s->given || !n)
        return AE_OK;
    if (n > s->n_allocated) {
        ae_free(s->bytes);
        s->n_allocated = 0;
        s->bytes = ae_alloc(n, 1);
        if (!s->bytes)
            return ae_fail(err, AE_ERR_NOMEM, "a tile of %zu bytes", n);
        s->n_allocated = n;
    }
    memcpy(s->bytes, data, n);
    return AE_OK;
}

static ae_status gather_status(decoder *d, ae_error *err)
{
    for (uint32_t i = 0; i < d->n_workers; i++)
        if (d->statuses[i] != AE_OK) {
            if (err)
                *err = d->errors[i];
            return d->statuses[i];
        }
    return is_cancelled(d) ? ae_fail(err, AE_ERR_CANCELLED, "interrupted") : AE_OK;
}

static ae_status decode_row(decoder *d, uint32_t row, aei_pool *pool, const ae_tile_source *source,
                            ae_error *err)
{
    ae_status st = AE_OK;

    d->row = row;
    for (uint32_t tx = d->first_x; st == AE_OK && tx < d->end_x; tx++)
        st = read_tile(d, tx, source, err);
    if (st != AE_OK)
        return st;
    aei_pool_run(pool, d->end_x - d->first_x, decode_tile, d);
    if ((st = gather_status(d, err)) != AE_OK)
        return st;
    for (uint32_t tx = d->first_x; tx < d->end_x; tx++) {
        const char *why = slot_of(d, tx, row)->lost;

        if (why && !d->options->control.lost)
            return ae_fail(err, AE_ERR_MALFORMED, "tile %u: %s", row * d->n_x + tx, why);
        if (why)
            d->options->control.lost(d->options->control.opaque, row * d->n_x + tx, why);
    }
    return AE_OK;
}

/* ---- the synthesis ---- */

/* Fills a view of a crossing tensor from the tiles that it touches. */
static void fetch(void *context, uint32_t index, const aei_view *to)
{
    const decoder *d = context;
    const aei_op *op = &d->program->ops[d->engine->crossings[index]];
    int32_t grid = (int32_t)op->grid, per_tile = AE_CODER_TILE / grid, w = (int32_t)d->width / grid,
            h = (int32_t)d->height / grid;

    for (int32_t y = to->rect.y0; y < to->rect.y1; y++) {
        int16_t *out = aei_view_at(to, to->rect.x0, y);
        int32_t x = to->rect.x0;

        if (y < 0 || y >= h) {
            memset(out, 0, (size_t)(to->rect.x1 - to->rect.x0) * to->pitch * sizeof(*out));
            continue;
        }
        while (x < to->rect.x1) {
            int32_t tx = x / per_tile, end = x < 0                     ? 0
                                             : x >= w                  ? to->rect.x1
                                             : (tx + 1) * per_tile < w ? (tx + 1) * per_tile
                                                                       : w;
            size_t n;

            end = end < to->rect.x1 ? end : to->rect.x1;
            n = (size_t)(end - x) * to->pitch;
            if (x < 0 || x >= w) {
                memset(out, 0, n * sizeof(*out));
            } else {
                uint32_t tile_w = padded_tile(d, d->picture->width, (uint32_t)tx) / op->grid;
                const slot *s = slot_of(d, (uint32_t)tx, (uint32_t)(y / per_tile));

                memcpy(out,
                       s->tensors[index] +
                           ((size_t)(y % per_tile) * tile_w + (size_t)(x - tx * per_tile)) *
                               to->pitch,
                       n * sizeof(*out));
            }
            out += n;
            x = end;
        }
    }
}

static inline int32_t sample(int32_t v, int32_t white, uint32_t shift)
{
    return aei_saturate((v * white + (1 << (shift - 1))) >> shift, 0, white);
}

/* n pixels of a view as samples. A grey picture takes the mean of three planes. */
static void store(const decoder *d, const int16_t *from, uint32_t pitch, uint32_t n, uint8_t *to)
{
    const aei_op *out = &d->program->ops[d->program->n_ops - 1];
    uint32_t made = out->channels, planes = d->out_planes;

    for (uint32_t i = 0; i < n; i++, from += pitch)
        for (uint32_t c = 0; c < planes; c++) {
            int32_t v = planes == made ? from[c]
                                       : ((from[0] + from[1] + from[2]) * 21845 + (1 << 15)) >> 16;
            size_t at = (size_t)i * planes + c;

            switch (d->picture->sample) {
            case AE_U8: to[at] = (uint8_t)sample(v, 255, out->shift); break;
            case AE_U16:
                ((uint16_t *)(void *)to)[at] = (uint16_t)sample(v, 65535, out->shift);
                break;
            default: ((float *)(void *)to)[at] = (float)v / (float)(1 << out->shift); break;
            }
        }
}

static void synthesise(void *context, uint32_t index, uint32_t thread)
{
    decoder *d = context;
    int32_t x = d->block_area.x0 / d->block * d->block + (int32_t)(index % d->n_block_x) * d->block;
    int32_t y = d->block_area.y0 / d->block * d->block + (int32_t)(index / d->n_block_x) * d->block;
    aei_rect r = {x > d->block_area.x0 ? x : d->block_area.x0,
                  y > d->block_area.y0 ? y : d->block_area.y0,
                  x + d->block < d->block_area.x1 ? x + d->block : d->block_area.x1,
                  y + d->block < d->block_area.y1 ? y + d->block : d->block_area.y1};
    aei_view picture;

    if (d->statuses[thread] != AE_OK || is_cancelled(d))
        return;
    d->statuses[thread] = aei_walk_synthesis(d->walks[thread], d->width, d->height, r, fetch, d,
                                             &picture, &d->errors[thread]);
    if (d->statuses[thread] != AE_OK)
        return;
    for (y = r.y0; y < r.y1; y++)
        store(d, aei_view_at(&picture, r.x0, y), picture.pitch, (uint32_t)(r.x1 - r.x0),
              d->band + (size_t)(y - d->block_area.y0) * d->row_bytes +
                  (size_t)(r.x0 - d->region.x0) * d->out_planes *
                      ae_sample_bytes(d->picture->sample));
}

static ae_status synthesise_row(decoder *d, uint32_t row, aei_pool *pool, const ae_row_sink *sink,
                                ae_error *err)
{
    int32_t tile = AE_CODER_TILE / (int32_t)d->unit, y0 = (int32_t)row * tile, y1 = y0 + tile;
    aei_rect *a = &d->block_area;
    ae_status st;

    *a = (aei_rect){d->region.x0, y0 > d->region.y0 ? y0 : d->region.y0, d->region.x1,
                    y1 < d->region.y1 ? y1 : d->region.y1};
    d->n_block_x = (uint32_t)((a->x1 + d->block - 1) / d->block - a->x0 / d->block);
    aei_pool_run(pool,
                 d->n_block_x * (uint32_t)((a->y1 + d->block - 1) / d->block - a->y0 / d->block),
                 synthesise, d);
    if ((st = gather_status(d, err)) != AE_OK)
        return st;
    return sink->write(sink->opaque, d->band, (uint32_t)(a->y1 - a->y0), err);
}

/* ---- all of it ---- */

static ae_status plan(decoder *d, ae_error *err)
{
    const ae_decode_options *o = d->options;
    const ae_coder_picture *p = d->picture;
    uint32_t reach = aei_engine_reach(d->engine),
             rows = (reach + AE_CODER_TILE - 1) / AE_CODER_TILE;
    ae_region r = o->region.width ? o->region : (ae_region){0, 0, p->width, p->height};
    uint32_t x = r.x, y = r.y, w = r.width, h = r.height, first_x, first_y, end_x, end_y;

    if (!w || !h || x >= p->width || y >= p->height || w > p->width - x || h > p->height - y)
        return ae_fail(err, AE_ERR_ARGUMENT, "region %u x %u at %u, %u of a picture of %u x %u", w,
                       h, x, y, p->width, p->height);
    if (o->quality > AE_QUALITY_MOST)
        return ae_fail(err, AE_ERR_ARGUMENT, "quality %u of 0..%d", o->quality, AE_QUALITY_MOST);
    d->region = (aei_rect){(int32_t)(x / d->unit), (int32_t)(y / d->unit),
                           (int32_t)(x / d->unit + (w + d->unit - 1) / d->unit),
                           (int32_t)(y / d->unit + (h + d->unit - 1) / d->unit)};
    d->width = aei_round_up(p->width, d->program->stride);
    d->height = aei_round_up(p->height, d->program->stride);
    d->n_x = aei_tiles_along(p->width);
    /* reach counts from whole blocks of a stride: convolutions with strides look from those */
    first_x = x / d->program->stride * d->program->stride;
    first_y = y / d->program->stride * d->program->stride;
    end_x = aei_round_up(x + w, d->program->stride) + reach;
    end_y = aei_round_up(y + h, d->program->stride) + reach;
    d->first_x = first_x > reach ? (first_x - reach) / AE_CODER_TILE : 0;
    d->first_y = first_y > reach ? (first_y - reach) / AE_CODER_TILE : 0;
    d->end_x = aei_tiles_along(p->width < end_x ? p->width : end_x);
    d->end_y = aei_tiles_along(p->height < end_y ? p->height : end_y);
    d->ring = 2 * rows + 1 < d->end_y - d->first_y ? 2 * rows + 1 : d->end_y - d->first_y;
    d->row_bytes = (size_t)(d->region.x1 - d->region.x0) * d->out_planes *
                   ae_sample_bytes(p->sample);
    return AE_OK;
}

static ae_status allocate(decoder *d, ae_error *err)
{
    const aei_engine *e = d->engine;
    size_t n_slots = (size_t)d->ring * (d->end_x - d->first_x),
           n_rows = (size_t)(d->region.y1 - d->region.y0);
    bool complete;
    ae_status st;

    d->n_workers = d->options->control.threads ? d->options->control.threads : aei_cpu_count();
    d->n_workers = d->n_workers < 1024 ? d->n_workers : 1024;
    d->block = (int32_t)((d->n_workers > d->end_x - d->first_x ? AEI_LEAST_BLOCK : AE_CODER_TILE) /
                         d->unit);
    d->slots = ae_alloc(n_slots, sizeof(*d->slots));
    d->walks = ae_alloc(d->n_workers, sizeof(*d->walks));
    d->statuses = ae_alloc(d->n_workers, sizeof(*d->statuses));
    d->errors = ae_alloc(d->n_workers, sizeof(*d->errors));
    d->band = ae_alloc(n_rows < AE_CODER_TILE ? n_rows : AE_CODER_TILE, d->row_bytes);
    complete = d->slots && d->walks && d->statuses && d->errors && d->band;
    for (size_t i = 0; complete && i < n_slots; i++) {
        complete = (d->slots[i].tensors = ae_alloc(e->n_crossings, sizeof(int16_t *))) != NULL;
        for (uint32_t k = 0; complete && k < e->n_crossings; k++) {
            const aei_op *op = &d->program->ops[e->crossings[k]];
            size_t w = d->width < AE_CODER_TILE ? d->width : AE_CODER_TILE;
            size_t h = d->height < AE_CODER_TILE ? d->height : AE_CODER_TILE;
            size_t n = w / op->grid * (h / op->grid);

            complete = (d->slots[i].tensors[k] = ae_alloc(n, aei_pitch(op->channels) *
                                                                 sizeof(int16_t))) != NULL;
        }
    }
    if (!complete)
        return ae_fail(err, AE_ERR_NOMEM, "%zu tiles", n_slots);
    for (uint32_t i = 0; i < d->n_workers; i++) {
        if ((st = aei_walk_create(e, &d->walks[i], err)) != AE_OK)
            return st;
        aei_walk_quality(d->walks[i], d->options->quality);
        aei_walk_cancel(d->walks[i], d->options->control.cancel);
    }
    return AE_OK;
}

static void release(decoder *d)
{
    for (size_t i = 0; d->slots && i < (size_t)d->ring * (d->end_x - d->first_x); i++) {
        for (uint32_t k = 0; d->slots[i].tensors && k < d->engine->n_crossings; k++)
            ae_free(d->slots[i].tensors[k]);
        ae_free(d->slots[i].tensors);
        ae_free(d->slots[i].bytes);
    }
    for (uint32_t i = 0; d->walks && i < d->n_workers; i++)
        aei_walk_free(d->walks[i]);
    ae_free(d->slots);
    ae_free(d->walks);
    ae_free(d->statuses);
    ae_free(d->errors);
    ae_free(d->band);
}

static ae_status decode(const aei_engine *engine, const ae_coder_picture *picture,
                        const ae_decode_options *options, const ae_tile_source *source,
                        const ae_row_sink *sink, ae_error *err)
{
    const aei_program *program = engine->program;
    decoder d = {.engine = engine,
                 .program = program,
                 .picture = picture,
                 .options = options,
                 .out_planes = picture->planes,
                 .unit = program->ops[program->n_ops - 1].grid};
    uint32_t reach = aei_engine_reach(engine), tile = AE_CODER_TILE / d.unit, decoded, first, row,
             last;
    aei_pool *pool = NULL;
    ae_status st;

    if ((st = plan(&d, err)) != AE_OK)
        return st;
    if ((st = allocate(&d, err)) != AE_OK ||
        (st = aei_pool_create(d.n_workers, &pool, err)) != AE_OK)
        goto done;
    decoded = d.first_y;
    first = (uint32_t)d.region.y0 / tile;
    last = ((uint32_t)d.region.y1 + tile - 1) / tile;
    for (row = first; st == AE_OK && row < last; row++) {
        while (st == AE_OK && decoded < d.end_y &&
               (uint64_t)decoded * AE_CODER_TILE < (uint64_t)(row + 1) * AE_CODER_TILE + reach)
            st = decode_row(&d, decoded++, pool, source, err);
        if (st == AE_OK)
            st = synthesise_row(&d, row, pool, sink, err);
        if (st == AE_OK && options->control.progress)
            options->control.progress(options->control.opaque,
                                      (row + 1.0 - first) / (last - first));
    }
done:
    aei_pool_free(pool);
    release(&d);
    return st;
}

/* ---- previews of programs that have no map for them: means of 8 x 8 pixels ---- */

typedef struct shrinker {
    const ae_coder_picture *picture;
    const ae_row_sink *sink;
    uint32_t width, height, y; /* of the large picture */
    double *sums;
    uint8_t *row;
} shrinker;

static double get(ae_sample sample, const void *row, size_t i)
{
    if (sample == AE_U8)
        return ((const uint8_t *)row)[i];
    return sample == AE_U16 ? ((const uint16_t *)row)[i] : (double)((const float *)row)[i];
}

/* Sums of 64 samples and their means are exact in double; integer means round halves upward. */
static ae_status shrink(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    shrinker *s = opaque;
    uint32_t planes = s->picture->planes, n = (s->width + 7) / 8 * planes;
    ae_status st = AE_OK;

    for (uint32_t k = 0; st == AE_OK && k < n_rows; k++) {
        const uint8_t *row = (const uint8_t *)rows +
                             (size_t)k * s->width * planes * ae_sample_bytes(s->picture->sample);

        for (uint32_t x = 0; x < s->width; x++)
            for (uint32_t c = 0; c < planes; c++)
                s->sums[x / 8 * planes + c] += get(s->picture->sample, row, (size_t)x * planes + c);
        s->y++;
        if (s->y % 8 && s->y < s->height)
            continue;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t columns = s->width - i / planes * 8 < 8 ? s->width - i / planes * 8 : 8,
                     area = columns * ((s->y - 1) % 8 + 1);
            double mean = s->sums[i] / area;

            switch (s->picture->sample) {
            case AE_U8: s->row[i] = (uint8_t)(mean + 0.5); break;
            case AE_U16: ((uint16_t *)(void *)s->row)[i] = (uint16_t)(mean + 0.5); break;
            default: ((float *)(void *)s->row)[i] = (float)mean; break;
            }
            s->sums[i] = 0;
        }
        st = s->sink->write(s->sink->opaque, s->row, 1, err);
    }
    return st;
}

/* The beginning of the squares that n pixels from x on become, and how many pixels of a picture's
 * edge they cover: as many squares as n has. What lies outside is refused later. */
static uint32_t along_squares(uint32_t x, uint32_t n, uint32_t edge, uint32_t *covered)
{
    uint32_t begin = x / AEI_PREVIEW * AEI_PREVIEW;

    if (x >= edge || n > edge - x) {
        *covered = n;
        return x;
    }
    *covered = aei_round_up(n, AEI_PREVIEW) < edge - begin ? aei_round_up(n, AEI_PREVIEW)
                                                           : edge - begin;
    return begin;
}

static ae_status decode_and_shrink(const aei_engine *engine, const ae_coder_picture *picture,
                                   const ae_decode_options *options, const ae_tile_source *source,
                                   const ae_row_sink *sink, ae_error *err)
{
    shrinker s = {.picture = picture, .sink = sink};
    ae_row_sink through = {.opaque = &s, .write = shrink};
    ae_decode_options whole = *options; /* squares, counted from the picture's corner */
    ae_status st;

    if (whole.region.width) {
        whole.region.x = along_squares(options->region.x, options->region.width, picture->width,
                                       &whole.region.width);
        whole.region.y = along_squares(options->region.y, options->region.height, picture->height,
                                       &whole.region.height);
    }
    s.width = whole.region.width ? whole.region.width : picture->width;
    s.height = whole.region.width ? whole.region.height : picture->height;
    s.sums = ae_alloc((size_t)s.width / 8 + 1, picture->planes * sizeof(*s.sums));
    s.row = ae_alloc((size_t)s.width / 8 + 1, picture->planes * sizeof(float));
    st = s.sums && s.row ? decode(engine, picture, &whole, source, &through, err)
                         : ae_fail(err, AE_ERR_NOMEM, "a row of %u pixels", s.width);
    ae_free(s.sums);
    ae_free(s.row);
    return st;
}

ae_status ae_decode(const ae_coder *coder, const ae_coder_picture *picture,
                    const ae_decode_options *options, const ae_tile_source *source,
                    const ae_row_sink *sink, ae_error *err)
{
    aei_program *program = NULL;
    aei_engine *engine;
    ae_status st = aei_coder_check_picture(coder, picture->width, picture->height, picture->planes,
                                           picture->sample, err);

    if (st != AE_OK)
        return st;
    if (!options->preview)
        return decode(coder->engine, picture, options, source, sink, err);
    if ((st = aei_preview_program(coder->engine->program, &program, err)) != AE_OK)
        return st;
    if (!program)
        return decode_and_shrink(coder->engine, picture, options, source, sink, err);
    if ((st = aei_engine_create(program, aei_cpu_best(), &engine, err)) != AE_OK)
        return st;
    st = decode(engine, picture, options, source, sink, err);
    aei_engine_free(engine);
    return st;
}
