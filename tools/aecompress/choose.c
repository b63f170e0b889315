/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile is judged as a picture of its own: what the network makes of it at a quality, in bits and
 * error, against its samples. Where they win at one quality, they do at all above it: the network
 * is also tried at lower ones. */
#include "choose.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/options.h"

enum {
    FEW_COLOURS = 256, /* drawn, not photographed; of greys a fourth */
    N_BINS = 512,      /* of differences */
    FRAME = 18,        /* bytes of a chunk beside its payload */
    HEAD = 32,         /* bytes of the codec's identity, in the head and in the index */
    MOST_ERROR = 16,   /* of samples, of 255 */
    STEP = 10,         /* of -q, at which lower qualities are looked at */
    DRAWN_FURTHER = 20 /* of -q: an error of a drawing counts about four times */
};

/* ---- a tile by itself ---- */

typedef struct crop {
    ae_signal_info info; /* of colours alone */
    uint8_t *pixels;
    uint32_t read, compared; /* rows */
    error_map map;
    double *row;
    struct coded_tile coded;
} crop;

static ae_status read_crop(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    crop *c = opaque;
    size_t n = ae_row_bytes(&c->info);

    (void)err;
    memcpy(rows, c->pixels + c->read * n, n_rows * n);
    c->read += n_rows;
    return AE_OK;
}

static ae_status take_coded(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                            ae_error *err)
{
    crop *c = opaque;

    (void)index;
    ae_free(c->coded.data);
    if (!(c->coded.data = ae_alloc(n_bytes + 1, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a coded tile");
    c->coded.data[0] = AE_PATCH_SAMPLES;
    memcpy(c->coded.data + 1, data, n_bytes);
    c->coded.n = n_bytes + 1;
    return AE_OK;
}

static ae_status give_coded(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                            ae_error *err)
{
    crop *c = opaque;

    (void)index;
    (void)err;
    *data = c->coded.data + 1;
    *n_bytes = c->coded.n - 1;
    return AE_OK;
}

static double sample_of(const ae_signal_info *info, const void *rows, size_t i)
{
    return info->sample == AE_U8 ? ((const uint8_t *)rows)[i] : ((const uint16_t *)rows)[i] / 257.0;
}

/* Of 8 bits. */
static int level_of(const crop *c, size_t i)
{
    return c->info.sample == AE_U8 ? c->pixels[i]
                                   : ((const uint16_t *)(const void *)c->pixels)[i] >> 8;
}

static void compare_rows(void *opaque, const void *rows, uint32_t n_rows)
{
    crop *c = opaque;
    size_t w = (size_t)c->info.width, n = ae_row_bytes(&c->info);

    for (uint32_t y = 0; y < n_rows; y++, c->compared++) {
        for (size_t x = 0; x < w; x++) {
            c->row[x] = 0;
            for (uint32_t ch = 0; ch < c->info.channels; ch++) {
                size_t i = x * c->info.channels + ch;
                double e = sample_of(&c->info, (const uint8_t *)rows + y * n, i) -
                           sample_of(&c->info, c->pixels + c->compared * n, i);

                c->row[x] += e * e;
            }
        }
        error_map_add(&c->map, c->row);
    }
}

static ae_status compare_sink(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    (void)err;
    compare_rows(opaque, rows, n_rows);
    return AE_OK;
}

/* Whether the three channels are equal everywhere: that makes the crop grey. */
static bool is_grey(const crop *c)
{
    size_t n = (size_t)(c->info.width * c->info.height);

    for (size_t i = 0; i < n && c->info.channels == 3; i++)
        if (c->info.sample == AE_U8) {
            const uint8_t *v = c->pixels + 3 * i;

            if (v[0] != v[1] || v[1] != v[2])
                return false;
        } else {
            const uint16_t *v = (const uint16_t *)(const void *)c->pixels + 3 * i;

            if (v[0] != v[1] || v[1] != v[2])
                return false;
        }
    return c->info.channels == 3;
}

/* ---- drawn or photographed ---- */

static double entropy(const uint32_t *bins)
{
    double total = 0, bits = 0;

    for (int i = 0; i < N_BINS; i++)
        total += bins[i];
    for (int i = 0; i < N_BINS; i++)
        if (bins[i])
            bits -= bins[i] * log2(bins[i] / total);
    return total > 0 ? bits / total : 0;
}

static uint64_t colour_at(const crop *c, size_t i)
{
    uint64_t colour = 0;

    for (uint32_t ch = 0; ch < c->info.channels; ch++)
        colour = colour << 16 |
                 (c->info.sample == AE_U8
                      ? c->pixels[i * c->info.channels + ch]
                      : ((const uint16_t *)(const void *)c->pixels)[i * c->info.channels + ch]);
    return colour;
}

static bool has_few_colours(const crop *c, bool grey)
{
    enum { SLOTS = 1024 };
    uint64_t seen[SLOTS] = {0}, last = UINT64_MAX;
    size_t n = (size_t)(c->info.width * c->info.height),
           most = grey || c->info.channels == 1 ? FEW_COLOURS / 4 : FEW_COLOURS, found = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t colour = colour_at(c, i) + 1;
        size_t at = (size_t)(colour * 0x9e3779b97f4a7c15u >> 54);

        if (colour == last)
            continue;
        last = colour;
        while (seen[at] && seen[at] != colour)
            at = (at + 1) % SLOTS;
        if (!seen[at] && ++found > most)
            return false;
        seen[at] = colour;
    }
    return true;
}

/* A guess at the bits that a pixel takes without loss, and the share of pixels that are just as a
 * neighbour. */
static double guess_rate(const crop *c, double *equal)
{
    uint32_t bins[3][N_BINS] = {{0}}, channels = c->info.channels, w = (uint32_t)c->info.width;
    size_t n = 0, same = 0, sample = ae_sample_bytes(c->info.sample);
    double rate = 0;

    for (uint32_t y = 1; y < c->info.height; y += 4)
        for (uint32_t x = 1; x < w; x++, n++) {
            size_t at = ((size_t)y * w + x) * channels;
            int green = 0;

            for (uint32_t i = 0; i < channels; i++) {
                size_t ch = at + (channels == 3 ? (i + 1) % 3 : i), up = ch - (size_t)w * channels;
                int here = level_of(c, ch), west = level_of(c, ch - channels),
                    north = level_of(c, up);
                int slope = west + north - level_of(c, up - channels),
                    low = west < north ? west : north, high = west + north - low;
                int d = here - (slope < low ? low : slope > high ? high : slope);

                bins[i][(unsigned)(d - (i ? green : 0)) % N_BINS]++;
                green = i ? green : d;
            }
            same += memcmp(c->pixels + at * sample, c->pixels + (at - channels) * sample,
                           channels * sample) == 0 ||
                    memcmp(c->pixels + at * sample,
                           c->pixels + (at - (size_t)w * channels) * sample,
                           channels * sample) == 0;
        }
    for (uint32_t i = 0; i < channels; i++)
        rate += entropy(bins[i]);
    *equal = n ? (double)same / (double)n : 1;
    return rate;
}

/* From this share of pixels on that are just as a neighbour; or below so many bits a pixel without
 * loss, which no noise leaves, where the guess is below so many. */
static const double DRAWN = 0.5, SMOOTH = 1, MAYBE_SMOOTH = 2.1;

/* ---- trials ---- */

typedef struct job {
    compressed *c;
    const compress_options *o;
    uint32_t threads; /* of a trial */
    double q, head;   /* head: bits that the network takes beside its tile, and samples do not */
    survey *survey;   /* not NULL: nothing more is asked; shared, with `mutex` */
    pthread_mutex_t *mutex;
    bool broken; /* the network has coded it and broken its word */
    /* colours; more than that speaks for a drawing, which is held to choose_drawn_q */
    bool few, drawn;
} job;

typedef struct result {
    double bits;
    tile_error error;
} result;

static void begin_trial(crop *c)
{
    c->read = c->compared = 0;
    c->map.y = 0;
    c->map.tiles[0] = (tile_error){0};
}

static ae_status try_network(const job *j, crop *c, double q, result *r, ae_error *err)
{
    ae_encode_options encode = {.quality = promise_quality(q),
                                .effort = j->o->effort < AE_EFFORT_REFINES ? j->o->effort
                                                                           : AE_EFFORT_CHOOSES,
                                .control.threads = j->threads,
                                .control.cancel = &cli_cancel};
    ae_decode_options decode = {
        .quality = encode.quality, .control.threads = j->threads, .control.cancel = &cli_cancel};
    ae_coder_picture picture = {(uint32_t)c->info.width, (uint32_t)c->info.height, c->info.channels,
                                c->info.sample, c->info.bits};
    ae_row_source source = {c->info, c, read_crop};
    ae_tile_source coded = {c, give_coded};
    ae_tile_sink sink = {c, take_coded};
    ae_row_sink rows = {c, compare_sink};
    ae_status st;

    begin_trial(c);
    if ((st = ae_encode(j->o->coder, &encode, &source, &sink, err)) != AE_OK ||
        (st = ae_decode(j->o->coder, &picture, &decode, &coded, &rows, err)) != AE_OK)
        return st;
    *r = (result){8.0 * (double)(c->coded.n - 1) + j->head, c->map.tiles[0]};
    return AE_OK;
}

/* Leaves the samples in c->coded. */
static ae_status try_samples(crop *c, uint32_t bound, result *r, ae_error *err)
{
    ae_samples_options options = {
        .bound = bound, .decoded = compare_rows, .control = {1, &cli_cancel, c, NULL, NULL}};
    ae_row_source source = {c->info, c, read_crop};
    ae_tile_sink sink = {c, take_coded};
    ae_status st;

    begin_trial(c);
    if ((st = ae_samples_encode(&options, &source, &sink, err)) != AE_OK)
        return st;
    *r = (result){8.0 * (double)(c->coded.n - 1), c->map.tiles[0]};
    return AE_OK;
}

static double cost(const result *r, double q, uint32_t channels)
{
    return r->bits + promise_price(q) * r->error.squares / channels;
}

/* Samples without loss lie in c->coded; where they are costly, an error of 1, 2, 4, 8 or 16 may be
 * the better choice, up to what makes errors as large as the network makes elsewhere, e (e + 1) /
 * 3. All above the least are tried, too: what was best at a lower quality is among them. What has
 * few colours keeps them. */
static ae_status choose_bound(const job *j, crop *c, const result *exact, uint32_t *bound,
                              ae_error *err)
{
    uint32_t one = AE_BOUND_ONE * (c->info.sample == AE_U8 ? 1 : 257);
    double best = exact->bits, pixels = (double)(c->info.width * c->info.height);
    ae_status st = AE_OK;

    *bound = 0;
    if (j->few || exact->bits < promise_usual_rate(j->q) * pixels)
        return AE_OK;
    for (uint32_t e = MOST_ERROR; e && e * (e + 1) > 1.5 * promise_usual_error(j->q) && st == AE_OK;
         e /= 2) {
        struct coded_tile kept = c->coded;
        double is = INFINITY;
        result r;

        c->coded = (struct coded_tile){0};
        if ((st = try_samples(c, e * one, &r, err)) == AE_OK && r.bits < 0.8 * exact->bits)
            is = cost(&r, j->q, c->info.channels);
        if (is < best) {
            best = is;
            *bound = e * one;
        } else {
            struct coded_tile swap = c->coded;

            c->coded = kept;
            kept = swap;
        }
        ae_free(kept.data);
    }
    return st;
}

/* Photographs are worth few bits more without any loss than with little: nobody sees it. In
 * drawings everybody does. */
static const double ODDS = 1.15;

double choose_drawn_odds(double q)
{
    return 1 + q / 60;
}

double choose_drawn_q(double q)
{
    return fmax(q, fmin(q + fmin(q, DRAWN_FURTHER), COMPRESS_TRAINED));
}

/* Whether the network at q is no match for samples. *near: not by far. */
static ae_status loses(const job *j, crop *c, double q, const result *exact, bool *lost, bool *near,
                       ae_error *err)
{
    double samples = (double)(c->info.width * c->info.height * c->info.channels), is;
    struct coded_tile kept = c->coded;
    tile_error doubled;
    result r;
    ae_status st;

    c->coded = (struct coded_tile){0};
    st = try_network(j, c, q, &r, err);
    ae_free(c->coded.data);
    c->coded = kept;
    if (st != AE_OK)
        return st;
    is = cost(&r, q, c->info.channels);
    doubled = (tile_error){2 * r.error.squares, 2 * r.error.worst};
    *lost = exact->bits <=
                (j->drawn ? fmax(is, choose_drawn_odds(q) * r.bits) : fmin(is, ODDS * r.bits)) ||
            !promise_is_kept(q, &r.error, samples);
    *near = exact->bits <= 3 * is || !promise_is_kept(q, &doubled, samples);
    return AE_OK;
}

/* *samples: whether that is how the tile is coded; then it lies in c->coded, within *bound. */
static ae_status judge(job *j, crop *c, bool grey, bool *samples, uint32_t *bound, ae_error *err)
{
    double pixels = (double)(c->info.width * c->info.height), equal, rate = guess_rate(c, &equal);
    bool lost = j->broken, near = true;
    result exact;
    ae_status st;

    *samples = false;
    if (j->survey) {
        bool drawn = has_few_colours(c, grey) || equal > DRAWN;

        pthread_mutex_lock(j->mutex);
        j->survey->drawn += drawn;
        j->survey->least += drawn ? 0 : rate * pixels / 16;
        pthread_mutex_unlock(j->mutex);
        return AE_OK;
    }
    j->few = has_few_colours(c, grey);
    j->drawn = j->few || equal > DRAWN;
    if (!j->broken && !j->drawn && rate > fmax(1.5 * promise_usual_rate(j->q), MAYBE_SMOOTH))
        return AE_OK;
    if ((st = try_samples(c, 0, &exact, err)) != AE_OK)
        return st;
    j->drawn = j->drawn || exact.bits < SMOOTH * pixels;
    if (j->drawn)
        j->q = choose_drawn_q(j->q);
    lost = lost || exact.bits < 0.25 * promise_usual_rate(j->q) * pixels;
    if (!lost && (st = loses(j, c, j->q, &exact, &lost, &near, err)) != AE_OK)
        return st;
    for (double q = (ceil(j->q / STEP) - 1) * STEP; q >= 0 && near && !lost; q -= STEP) {
        bool nearby;

        if ((st = loses(j, c, q, &exact, &lost, &nearby, err)) != AE_OK)
            return st;
    }
    *samples = lost;
    return lost ? choose_bound(j, c, &exact, bound, err) : AE_OK;
}

/* ---- all tiles ---- */

typedef struct band {
    job job;
    const uint8_t *rows; /* of a row of tiles */
    uint32_t ty, n_rows, across;
    const bool *wanted; /* by tile of the row */
    atomic_uint next;
    pthread_mutex_t mutex; /* of what follows */
    uint32_t drawn;        /* tiles */
    ae_status st;
    ae_error err;
} band;

static ae_status open_crop(crop *c, const band *b, uint32_t tx, ae_error *err)
{
    const ae_signal_info *info = &b->job.c->info;
    uint64_t left = info->width - (uint64_t)tx * AE_CODER_TILE;
    size_t sample = ae_sample_bytes(info->sample), whole = info->channels * sample, some, n;

    *c = (crop){.info = *info};
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

static void close_crop(crop *c)
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
    job own = b->job;
    bool samples = false, grey;
    uint32_t bound = 0;
    crop c;
    ae_status st = open_crop(&c, b, tx, err);

    if (st == AE_OK) {
        grey = is_grey(&c);
        st = judge(&own, &c, grey, &samples, &bound, err);
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
