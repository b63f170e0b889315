/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A picture's tiles pass by rows of tiles, from which threads take one after another: each is cut
 * out, judged (trial.h), and gets a patch where its samples win. */
#include "choose.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/options.h"
#include "trial.h"

enum {
    FRAME = 18, /* bytes of a chunk beside its payload */
    HEAD = 32   /* bytes of the codec's identity, in the head and in the index */
};

typedef struct band {
    trial_job job;
    const uint8_t *rows; /* of a row of tiles */
    uint32_t ty, n_rows, across;
    const bool *wanted; /* by tile of the row */
    atomic_uint next;
    pthread_mutex_t mutex; /* of what follows */
    uint32_t drawn;        /* tiles */
    ae_status st;
    ae_error err;
} band;

static ae_status open_crop(trial_crop *c, const band *b, uint32_t tx, ae_error *err)
{
    const ae_signal_info *info = &b->job.c->info;
    uint64_t left = info->width - (uint64_t)tx * AE_CODER_TILE;
    size_t sample = ae_sample_bytes(info->sample), whole = info->channels * sample, some, n;

    *c = (trial_crop){.info = *info};
    c->info.width = left < AE_CODER_TILE ? left : AE_CODER_TILE;
    c->info.height = b->n_rows;
    c->info.channels -= info->alpha;
    c->info.alpha = false;
    some = c->info.channels * sample;
    n = (size_t)c->info.width;
    c->pixels = ae_alloc(b->n_rows, ae_row_bytes(&c->info));
    c->row = ae_alloc(n, sizeof(*c->row));
    if (!c->pixels || !c->row)
        return ae_fail(err, AE_ERR_NOMEM, "a tile");
    for (uint32_t y = 0; y < b->n_rows; y++) {
        const uint8_t *from = b->rows + y * b->job.c->row_bytes +
                              (size_t)tx * AE_CODER_TILE * whole;

        if (some == whole)
            memcpy(c->pixels + y * n * some, from, n * some);
        for (size_t x = 0; x < n && some < whole; x++)
            memcpy(c->pixels + (y * n + x) * some, from + x * whole, some);
    }
    return error_map_open(&c->map, (uint32_t)n, b->n_rows, c->info.channels, err);
}

static void close_crop(trial_crop *c)
{
    error_map_close(&c->map);
    ae_free(c->coded.data);
    ae_free(c->pixels);
    ae_free(c->row);
}

static ae_status choose_tile(band *b, uint32_t tx, ae_error *err)
{
    compressed *all = b->job.c;
    size_t index = (size_t)b->ty * b->across + tx;
    trial_job own = b->job;
    bool samples = false, grey;
    uint32_t bound = 0;
    trial_crop c;
    ae_status st = open_crop(&c, b, tx, err);

    if (st == AE_OK) {
        grey = trial_is_grey(&c);
        st = trial_judge(&own, &c, grey, &samples, &bound, err);
        pthread_mutex_lock(&b->mutex);
        b->drawn += own.drawn;
        pthread_mutex_unlock(&b->mutex);
    }
    if (st == AE_OK && samples) {
        ae_free(all->patches[index].data);
        all->patches[index] = c.coded;
        all->bounds[index] = bound;
        c.coded = (struct coded_tile){0};
    } else if (st == AE_OK && grey && !all->patches[index].data) {
        if ((all->patches[index].data = ae_alloc(1, 1))) {
            all->patches[index].data[0] = AE_PATCH_GREY;
            all->patches[index].n = 1;
        } else {
            st = ae_fail(err, AE_ERR_NOMEM, "a tile");
        }
    }
    close_crop(&c);
    return st;
}

static void *work(void *opaque)
{
    band *b = opaque;
    uint32_t tx;

    while ((tx = atomic_fetch_add(&b->next, 1)) < b->across) {
        ae_error err;
        ae_status st = !b->wanted || b->wanted[tx] ? choose_tile(b, tx, &err) : AE_OK;

        if (st == AE_OK)
            continue;
        pthread_mutex_lock(&b->mutex);
        b->st = st;
        b->err = err;
        pthread_mutex_unlock(&b->mutex);
        break;
    }
    return NULL;
}

static ae_status work_in_threads(band *b, uint32_t threads, ae_error *err)
{
    uint32_t n = threads < b->across ? threads : b->across, started = 0;
    pthread_t *others = ae_alloc(n, sizeof(*others));

    b->next = 0;
    b->job.threads = threads / n;
    while (others && started + 1 < n && pthread_create(&others[started], NULL, work, b) == 0)
        started++;
    work(b);
    while (started)
        pthread_join(others[--started], NULL);
    ae_free(others);
    return b->st == AE_OK ? AE_OK : ae_fail(err, b->st, "%s", b->err.message);
}

/* broken: by tile; NULL: all are looked at for the first time. */
static ae_status choose(compressed *c, const compress_options *o, uint32_t threads,
                        const bool *broken, survey *asked, uint32_t *drawn, ae_error *err)
{
    uint32_t across = (uint32_t)((c->info.width + AE_CODER_TILE - 1) / AE_CODER_TILE);
    band b = {.job = {.c = c,
                      .o = o,
                      .q = promise_q(c->item.quality),
                      .broken = broken,
                      .head = 8 * (c->n_tiles > 1 ? -FRAME - 1.0 : HEAD)},
              .across = across,
              .mutex = PTHREAD_MUTEX_INITIALIZER};
    uint8_t *rows = ae_alloc(
        AE_CODER_TILE < c->info.height ? AE_CODER_TILE : (size_t)c->info.height, c->row_bytes);
    ae_status st = rows ? compress_read_again(c, err)
                        : ae_fail(err, AE_ERR_NOMEM, "a row of tiles");

    b.rows = rows;
    b.job.survey = asked;
    b.job.mutex = &b.mutex;
    threads = threads ? threads : 1;
    for (uint64_t y = 0; y < c->info.height && st == AE_OK; y += AE_CODER_TILE, b.ty++) {
        b.n_rows = c->info.height - y < AE_CODER_TILE ? (uint32_t)(c->info.height - y)
                                                      : AE_CODER_TILE;
        b.wanted = broken ? broken + (size_t)b.ty * across : NULL;
        if (cli_cancel.requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else if ((st = compress_read(c, rows, b.n_rows, err)) == AE_OK)
            st = work_in_threads(&b, threads, err);
    }
    ae_free(rows);
    *drawn = b.drawn;
    return st;
}

ae_status choose_survey(compressed *c, const compress_options *o, uint32_t threads, survey *out,
                        ae_error *err)
{
    uint32_t drawn;

    *out = (survey){0};
    return choose(c, o, threads, NULL, out, &drawn, err);
}

ae_status choose_tiles(compressed *c, const compress_options *o, uint32_t threads,
                       uint32_t *network, bool *drawn, ae_error *err)
{
    uint32_t n_drawn;
    ae_status st = choose(c, o, threads, NULL, NULL, &n_drawn, err);

    *drawn = n_drawn == c->n_tiles;
    *network = 0;
    for (uint32_t i = 0; i < c->n_tiles; i++)
        *network += !compress_is_patched(c, i);
    return st;
}

static bool is_broken(const compressed *c, const error_map *map, uint32_t i)
{
    uint32_t w = (uint32_t)c->info.width - i % map->across * AE_CODER_TILE;
    uint32_t h = (uint32_t)c->info.height - i / map->across * AE_CODER_TILE;
    double pixels = (double)(w < AE_CODER_TILE ? w : AE_CODER_TILE) *
                    (h < AE_CODER_TILE ? h : AE_CODER_TILE);

    return !compress_is_patched(c, i) &&
           !promise_is_kept(promise_q(c->item.quality), &map->tiles[i], pixels * map->channels);
}

bool choose_is_kept(const compressed *c, const error_map *map)
{
    for (uint32_t i = 0; i < c->n_tiles; i++)
        if (is_broken(c, map, i))
            return false;
    return true;
}

ae_status choose_broken(compressed *c, const compress_options *o, uint32_t threads,
                        const error_map *map, uint32_t *n, ae_error *err)
{
    bool *broken = ae_alloc(c->n_tiles, sizeof(*broken));
    uint32_t drawn;
    ae_status st = broken ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a map of tiles");

    *n = 0;
    for (uint32_t i = 0; i < c->n_tiles && st == AE_OK; i++)
        if (is_broken(c, map, i))
            broken[i] = ++*n;
    if (st == AE_OK && *n)
        st = choose(c, o, threads, broken, NULL, &drawn, err);
    ae_free(broken);
    return st;
}
