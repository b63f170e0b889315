/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The picture is continued by mirroring, cut into tiles whose corners lie on multiples of the
 * network's stride, and each tile is computed from a window that is wider by the network's field on
 * all sides, which its layers trim as they go. All windows have one shape, hence one plan, and what
 * the network pads them with never reaches a kept pixel: so neither tile size nor threads can
 * change the result.
 *
 * Rows come through a ring that holds what two rows of tiles need, results leave through two bands
 * as high as a tile. There are no reader and writer threads: whoever is free does what is most
 * urgent, writing a finished band, computing a tile, or reading on. */
#include "image/tiles.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "core/threads.h"
#include "image/greys.h"
#include "model/session.h"

enum {
    DEFAULT_TILE = 640,
    LEAST_TILE = 32,
    SPLIT_TILE = 128,
    READ_ROWS = 64,
    MAX_EDGE = 1 << 30,
    BAND_BYTES = 1 << 27
};

typedef struct geometry {
    uint32_t width, height;
    uint32_t field; /* of the network and what it is fed with: a multiple of the stride */
    uint32_t tile_w, tile_h, n_x, n_y;
    uint32_t window_w, window_h;
    uint32_t ring_rows;
} geometry;

typedef struct worker {
    ae_session *session;
    float *image, *level, *net; /* a window's, its maps, a tile's */
    void *scratch;
    uint8_t *grey; /* aei_keep_grey's rows */
    double seconds;
} worker;

typedef struct engine {
    const aei_tiles *job;
    geometry g;
    aei_window_format format;
    uint32_t n_passes; /* colour through a network of one plane: a pass a channel */
    uint32_t level_channels, image_input, level_input;
    size_t row_bytes, result_bytes; /* of a row read, written */
    uint8_t *ring, *bands[2];       /* one thread needs one band */
    worker *workers;
    uint32_t n_workers;

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t change;
    uint32_t rows_read, rows_written;
    uint32_t next_tile, n_done; /* tiles */
    uint32_t low;               /* the first row of tiles that is not complete */
    uint32_t tiles_left[2];     /* of rows low and low + 1, by parity */
    bool reading, writing;
    ae_status status;
    ae_error error;
} engine;

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* other programs do not count */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- geometry ---- */

/* Cuts n pixels into equal tiles of at most `tile`, multiples of stride. */
static void cut_axis(uint32_t n, uint32_t tile, uint32_t stride, uint32_t *size, uint32_t *count)
{
    uint32_t units = ceil_div(n, stride), per_tile = ceil_div(tile, stride);

    per_tile = ceil_div(units, ceil_div(units, per_tile));
    *size = per_tile * stride;
    *count = ceil_div(units, per_tile);
}

static void cut(geometry *g, uint32_t tile, uint32_t most_rows, uint32_t threads, uint32_t stride)
{
    uint32_t tile_w = tile, tile_h = min_u32(tile, most_rows);

    cut_axis(g->width, tile_w, stride, &g->tile_w, &g->n_x);
    cut_axis(g->height, tile_h, stride, &g->tile_h, &g->n_y);
    /* Small pictures are cut further, to give each thread a tile. */
    while ((uint64_t)g->n_x * g->n_y < threads &&
           (g->tile_w > SPLIT_TILE || g->tile_h > SPLIT_TILE)) {
        if (g->tile_w >= g->tile_h)
            cut_axis(g->width, tile_w = g->tile_w / 2, stride, &g->tile_w, &g->n_x);
        else
            cut_axis(g->height, tile_h = g->tile_h / 2, stride, &g->tile_h, &g->n_y);
    }
    g->window_w = g->tile_w + 2 * g->field;
    g->window_h = g->tile_h + 2 * g->field;
    g->ring_rows = min_u32(g->height, 2 * g->tile_h + 2 * g->field);
}

static ae_status plan_geometry(engine *e, uint32_t threads, ae_error *err)
{
    const ae_graph *graph = ae_model_graph(e->job->model);
    const ae_node *image = &graph->nodes[ae_graph_find(graph, AE_INPUT_IMAGE)];
    const ae_signal_info *info = &e->job->source->info;
    uint32_t tile = e->job->tile ? e->job->tile : DEFAULT_TILE, stride, least;
    size_t most_rows;

    if (!info->width || !info->height || info->width > MAX_EDGE || info->height > MAX_EDGE)
        return ae_fail(err, AE_ERR_ARGUMENT, "a picture of %llu x %llu pixels",
                       (unsigned long long)info->width, (unsigned long long)info->height);
    e->g.width = (uint32_t)info->width;
    e->g.height = (uint32_t)info->height;
    ae_graph_field(graph, &stride, &e->g.field);
    if (!stride) {
        if (image->width != e->g.width || image->height != e->g.height)
            return ae_fail(err, AE_ERR_MISMATCH,
                           "the model takes pictures of %u x %u pixels only, this one has %u x %u",
                           image->width, image->height, e->g.width, e->g.height);
        e->g.tile_w = e->g.window_w = e->g.width;
        e->g.tile_h = e->g.window_h = e->g.ring_rows = e->g.height;
        e->g.n_x = e->g.n_y = 1;
        return e->job->reach || e->job->margin
                   ? ae_fail(err, AE_ERR_UNSUPPORTED, "a model for pictures of one size only")
                   : AE_OK;
    }
    e->g.field += ceil_div(e->job->reach, stride) * stride;
    least = ceil_div(e->job->margin > AEI_GREY_REACH ? e->job->margin : AEI_GREY_REACH, stride) *
            stride;
    e->g.field = e->g.field > least ? e->g.field : least;
    tile = tile < LEAST_TILE ? LEAST_TILE : min_u32(tile, MAX_EDGE);
    /* pictures may be wide, and results wider */
    most_rows = BAND_BYTES / (e->result_bytes * e->job->scale);
    cut(&e->g, tile, most_rows > LEAST_TILE ? (uint32_t)most_rows : LEAST_TILE, threads, stride);
    return AE_OK;
}

/* ---- what the model asks for ---- */

static ae_status match_model(engine *e, ae_error *err)
{
    const ae_recipe *recipe = ae_model_recipe(e->job->model);
    const ae_graph *graph = ae_model_graph(e->job->model);
    const ae_signal_info *info = &e->job->source->info;
    uint32_t n_inputs = 0, planes = 0;

    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const ae_node *n = &graph->nodes[i];

        if (n->op != AE_OP_INPUT)
            continue;
        if (strcmp(n->name, AE_INPUT_IMAGE) == 0) {
            planes = n->out;
            e->image_input = n_inputs;
        } else if (strcmp(n->name, AE_INPUT_LEVEL) == 0) {
            e->level_channels = n->out;
            e->level_input = n_inputs;
        } else {
            return ae_fail(err, AE_ERR_UNSUPPORTED, "model %s wants an input '%s'", recipe->name,
                           n->name);
        }
        n_inputs++;
    }
    if ((planes != 1 && planes != 3) || e->level_channels > 2)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "model %s has %u picture and %u level channels, not 1 or 3 and 0 to 2",
                       recipe->name, planes, e->level_channels);
    if ((info->sample != AE_U8 && info->sample != AE_U16 && info->sample != AE_F32) ||
        info->channels < 1 || info->channels > 4 || info->alpha != (info->channels % 2 == 0))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "pictures of %u channels of this type",
                       info->channels);
    e->format = (aei_window_format){.sample = info->sample,
                                    .width = (uint32_t)info->width,
                                    .channels = info->channels,
                                    .colours = info->channels < 3 ? 1 : 3,
                                    .planes = planes,
                                    .slack = e->job->slack};
    e->n_passes = planes == 1 ? e->format.colours : 1;
    return AE_OK;
}

static ae_status check_output(const engine *e, const ae_session *s, ae_error *err)
{
    ae_shape out = ae_session_output_shape(s, 0);

    if (out.n != 1 || out.h != e->g.tile_h * e->job->scale ||
        out.w != e->g.tile_w * e->job->scale || out.c != e->format.planes)
        return ae_fail(
            err, AE_ERR_MISMATCH,
            "the model makes %u x %u x %u of pictures of %u x %u x %u (width, height, channels)",
            out.w, out.h, out.c, e->g.tile_w, e->g.tile_h, e->format.planes);
    return AE_OK;
}

/* ---- buffers and sessions ---- */

static ae_status allocate(engine *e, uint32_t threads, ae_error *err)
{
    const aei_tiles *job = e->job;
    size_t pixels = (size_t)e->g.window_w * e->g.window_h,
           more = job->scratch ? job->scratch(job, e->g.window_w, e->g.window_h) : 0;
    uint32_t n_bands;
    bool complete;
    ae_status st;

    e->n_workers = (uint64_t)e->g.n_x * e->g.n_y < threads ? e->g.n_x * e->g.n_y : threads;
    n_bands = e->g.n_y > 1 && e->n_workers > 1 ? 2 : 1;
    e->workers = ae_alloc(e->n_workers, sizeof(*e->workers));
    e->ring = ae_alloc(e->g.ring_rows, e->row_bytes);
    for (uint32_t i = 0; i < n_bands; i++)
        e->bands[i] = ae_alloc((size_t)min_u32(e->g.tile_h, e->g.height) * job->scale,
                               e->result_bytes);
    complete = e->workers && e->ring && e->bands[0] && (n_bands == 1 || e->bands[1]);
    for (uint32_t i = 0; complete && i < e->n_workers; i++) {
        worker *w = &e->workers[i];

        st = i ? ae_session_clone(e->workers[0].session, &w->session, err)
               : aei_session_create(job->model, 1, e->g.window_h, e->g.window_w, e->g.field,
                                    job->precision, &w->session, err);
        if (st == AE_OK && !i)
            st = check_output(e, w->session, err);
        if (st != AE_OK)
            return st;
        w->image = ae_alloc(pixels, e->format.planes * sizeof(float));
        w->net = ae_alloc((size_t)e->g.tile_w * e->g.tile_h * job->scale,
                          job->scale * e->format.planes * sizeof(float));
        w->level = ae_alloc(pixels, (e->level_channels + !e->level_channels) * sizeof(float));
        w->scratch = ae_alloc(more + 1, 1);
        w->grey = ae_alloc(e->g.tile_w, 1);
        complete = w->image && w->level && w->net && w->scratch && w->grey;
        for (size_t k = 0; complete && k < pixels * e->level_channels; k++)
            w->level[k] = job->level[k % e->level_channels];
    }
    if (!complete)
        return ae_fail(err, AE_ERR_NOMEM, "windows of %u x %u pixels for %u threads", e->g.window_w,
                       e->g.window_h, e->n_workers);
    return AE_OK;
}

static void release(engine *e)
{
    for (uint32_t i = 0; e->workers && i < e->n_workers; i++) {
        ae_session_free(e->workers[i].session);
        ae_free(e->workers[i].image);
        ae_free(e->workers[i].level);
        ae_free(e->workers[i].net);
        ae_free(e->workers[i].scratch);
        ae_free(e->workers[i].grey);
    }
    ae_free(e->workers);
    ae_free(e->ring);
    ae_free(e->bands[0]);
    ae_free(e->bands[1]);
}

/* ---- one tile ---- */

const uint8_t *aei_tile_row(const aei_tile *t, int64_t y)
{
    const ae_signal_info *info = &t->job->source->info;
    /* what lies beyond reaches no kept pixel */
    int64_t last = (int64_t)info->height - 1 + t->margin;

    return t->ring +
           aei_mirror(y < last ? y : last, info->height) % t->ring_rows * ae_row_bytes(info);
}

static uint8_t *band_of(const engine *e, uint32_t ty)
{
    return e->bands[e->bands[1] ? ty % 2 : 0];
}

static ae_status run_tile(engine *e, worker *w, uint32_t tx, uint32_t ty, ae_error *err)
{
    const geometry *g = &e->g;
    const aei_tiles *job = e->job;
    uint32_t planes = e->format.planes;
    aei_tile t = {.job = job,
                  .format = e->format,
                  .x = tx * g->tile_w,
                  .y = ty * g->tile_h,
                  .window_w = g->window_w,
                  .window_h = g->window_h,
                  .margin = g->field,
                  .net = w->net,
                  .net_w = g->tile_w * job->scale,
                  .level = w->level,
                  .level_channels = e->level_channels,
                  .scratch = w->scratch,
                  .band = band_of(e, ty),
                  .ring = e->ring,
                  .ring_rows = g->ring_rows};
    const float *inputs[2];
    float *outputs[AE_MAX_FROM] = {w->net};

    t.w = min_u32(g->tile_w, g->width - t.x);
    t.h = min_u32(g->tile_h, g->height - t.y);
    t.image = w->image + ((size_t)g->field * g->window_w + g->field) * planes;
    inputs[e->image_input] = w->image;
    if (e->level_channels)
        inputs[e->level_input] = w->level;
    for (t.format.plane = 0; t.format.plane < e->n_passes; t.format.plane++) {
        double start;
        ae_status st;

        for (uint32_t i = 0; i < g->window_h; i++)
            aei_window_load(&t.format, aei_tile_row(&t, (int64_t)t.y + i - g->field),
                            (int64_t)t.x - g->field, g->window_w,
                            w->image + (size_t)i * g->window_w * planes);
        if (job->load)
            job->load(&t);
        start = seconds_now();
        if ((st = ae_session_run(w->session, inputs, outputs, err)) != AE_OK)
            return st;
        w->seconds += seconds_now() - start;
        if (planes == 3)
            aei_keep_grey(&t, w->grey);
        job->store(&t);
    }
    return AE_OK;
}

/* ---- who does what ---- */

static uint32_t rows_needed(const engine *e, uint32_t ty)
{
    uint64_t end = (uint64_t)(ty + 1) * e->g.tile_h + e->g.field;

    return end < e->g.height ? (uint32_t)end : e->g.height;
}

/* The rows of tiles whose input has come and whose output has a band: low and perhaps the next. */
static uint32_t tiles_ready(const engine *e)
{
    uint32_t ready = 0;

    for (uint32_t ty = e->low; ty < e->g.n_y && ty < e->low + 2; ty++)
        if (rows_needed(e, ty) <= e->rows_read &&
            (ty < 2 || (uint64_t)(ty - 1) * e->g.tile_h <= e->rows_written))
            ready = (ty + 1) * e->g.n_x;
        else
            break;
    return ready > e->next_tile ? ready - e->next_tile : 0;
}

/* Consecutive rows that may be read now. */
static uint32_t rows_readable(const engine *e)
{
    uint64_t y = (uint64_t)e->low * e->g.tile_h;
    uint64_t first = y > e->g.field ? y - e->g.field : 0, end = first + e->g.ring_rows;
    uint32_t n = READ_ROWS;

    if (e->reading)
        return 0;
    n = min_u32(n, e->g.height - e->rows_read);
    n = min_u32(n, e->g.ring_rows - e->rows_read % e->g.ring_rows);
    return end < e->rows_read ? 0 : (uint32_t)(n < end - e->rows_read ? n : end - e->rows_read);
}

static bool band_complete(const engine *e)
{
    return !e->writing && e->rows_written < e->g.height && e->rows_written / e->g.tile_h < e->low;
}

static void settle(engine *e, ae_status st, const ae_error *err)
{
    if (st != AE_OK && e->status == AE_OK) {
        e->status = st;
        e->error = *err;
    }
    pthread_cond_broadcast(&e->change);
}

/* These three are called and left with the mutex held. */

static void do_write(engine *e)
{
    uint32_t ty = e->rows_written / e->g.tile_h,
             n = min_u32(e->g.tile_h, e->g.height - e->rows_written);
    ae_error err = {0};
    ae_status st;

    e->writing = true;
    pthread_mutex_unlock(&e->mutex);
    st = e->job->sink->write(e->job->sink->opaque, band_of(e, ty), n * e->job->scale, &err);
    pthread_mutex_lock(&e->mutex);
    e->writing = false;
    e->rows_written += n;
    settle(e, st, &err);
}

static void do_read(engine *e, uint32_t n)
{
    uint8_t *to = e->ring + e->rows_read % e->g.ring_rows * e->row_bytes;
    ae_error err = {0};
    ae_status st;

    e->reading = true;
    pthread_mutex_unlock(&e->mutex);
    st = e->job->source->read(e->job->source->opaque, to, n, &err);
    pthread_mutex_lock(&e->mutex);
    e->reading = false;
    e->rows_read += n;
    settle(e, st, &err);
}

static void do_tile(engine *e, worker *w)
{
    uint32_t tx = e->next_tile % e->g.n_x, ty = e->next_tile / e->g.n_x;
    ae_error err = {0};
    ae_status st;

    e->next_tile++;
    pthread_mutex_unlock(&e->mutex);
    st = run_tile(e, w, tx, ty, &err);
    pthread_mutex_lock(&e->mutex);
    e->tiles_left[ty % 2]--;
    e->n_done++;
    if (e->job->control.progress)
        e->job->control.progress(e->job->control.opaque, e->n_done / ((double)e->g.n_x * e->g.n_y));
    while (e->low < e->g.n_y && !e->tiles_left[e->low % 2]) {
        e->tiles_left[e->low % 2] = e->g.n_x; /* for row low + 2 */
        e->low++;
    }
    settle(e, st, &err);
}

static void work(void *context, uint32_t index, uint32_t thread)
{
    engine *e = context;

    (void)thread;
    pthread_mutex_lock(&e->mutex);
    while (e->status == AE_OK && e->rows_written < e->g.height) {
        uint32_t ready = tiles_ready(e), readable = rows_readable(e);

        if (e->job->control.cancel && e->job->control.cancel->requested) {
            ae_error err;

            settle(e, ae_fail(&err, AE_ERR_CANCELLED, "interrupted"), &err);
        } else if (band_complete(e)) {
            do_write(e);
        } else if (ready && (ready > e->n_workers || !readable)) {
            do_tile(e, &e->workers[index]);
        } else if (readable) {
            do_read(e, readable);
        } else {
            pthread_cond_wait(&e->change, &e->mutex);
        }
    }
    pthread_mutex_unlock(&e->mutex);
}

static ae_status run_engine(engine *e, ae_error *err)
{
    aei_pool *pool;
    ae_status st = aei_pool_create(e->n_workers, &pool, err);

    if (st != AE_OK)
        return st;
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->change, NULL);
    e->tiles_left[0] = e->tiles_left[1] = e->g.n_x;
    aei_pool_run(pool, e->n_workers, work, e);
    aei_pool_free(pool);
    pthread_cond_destroy(&e->change);
    pthread_mutex_destroy(&e->mutex);
    if (e->status != AE_OK && err)
        *err = e->error;
    return e->status;
}

ae_status aei_tiles_run(const aei_tiles *job, ae_run_stats *stats, ae_error *err)
{
    engine e = {.job = job,
                .row_bytes = ae_row_bytes(&job->source->info),
                .result_bytes = ae_row_bytes(&job->result)};
    uint32_t threads = job->control.threads ? job->control.threads : aei_cpu_count();
    ae_status st;

    if (!e.row_bytes || !e.result_bytes)
        return ae_fail(err, AE_ERR_LIMIT, "rows of %llu pixels",
                       (unsigned long long)job->source->info.width);
    if ((st = match_model(&e, err)) != AE_OK || (st = plan_geometry(&e, threads, err)) != AE_OK)
        return st;
    if ((st = allocate(&e, threads, err)) == AE_OK)
        st = run_engine(&e, err);
    if (stats) {
        *stats = (ae_run_stats){.network_pixels = (double)e.g.width * e.g.height};
        for (uint32_t i = 0; e.workers && i < e.n_workers; i++)
            stats->network_seconds += e.workers[i].seconds;
    }
    release(&e);
    return st;
}
