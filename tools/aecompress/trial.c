/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile is judged as a picture of its own: what the network makes of it at a quality, in bits and
 * error, against its samples. Where they win at one quality, they do at all above it: the network
 * is also tried at lower ones. */
#include "trial.h"

#include <math.h>
#include <string.h>

#include "common/options.h"

enum {
    FEW_COLOURS = 256, /* drawn, not photographed; of greys a fourth */
    FEW_SHARE = 8,     /* colours are kept where so many pixels share one */
    N_BINS = 512,      /* of differences */
    N_BOUNDS = 5,      /* errors of samples, of 255, are powers of two */
    STEP = 10,         /* of -q, at which lower qualities are looked at */
    DRAWN_FURTHER = 20 /* of -q: an error of a drawing counts about four times */
};

static ae_status read_crop(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    trial_crop *c = opaque;
    size_t n = ae_row_bytes(&c->info);

    (void)err;
    memcpy(rows, c->pixels + c->read * n, n_rows * n);
    c->read += n_rows;
    return AE_OK;
}

static ae_status take_coded(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                            ae_error *err)
{
    trial_crop *c = opaque;

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
    trial_crop *c = opaque;

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
static int level_of(const trial_crop *c, size_t i)
{
    return c->info.sample == AE_U8 ? c->pixels[i]
                                   : ((const uint16_t *)(const void *)c->pixels)[i] >> 8;
}

static void compare_rows(void *opaque, const void *rows, uint32_t n_rows)
{
    trial_crop *c = opaque;
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

bool trial_is_grey(const trial_crop *c)
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

static uint64_t colour_at(const trial_crop *c, size_t i)
{
    uint64_t colour = 0;

    for (uint32_t ch = 0; ch < c->info.channels; ch++)
        colour = colour << 16 |
                 (c->info.sample == AE_U8
                      ? c->pixels[i * c->info.channels + ch]
                      : ((const uint16_t *)(const void *)c->pixels)[i * c->info.channels + ch]);
    return colour;
}

/* How many colours there are, where they are no more than what speaks for a drawing; else 0. */
static size_t count_few(const trial_crop *c, bool grey)
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
            return 0;
        seen[at] = colour;
    }
    return found;
}

/* A guess at the bits that a pixel takes without loss, and the share of pixels that are just as a
 * neighbour. */
static double guess_rate(const trial_crop *c, double *equal)
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

typedef struct result {
    double bits;
    tile_error error;
} result;

static void begin_trial(trial_crop *c)
{
    c->read = c->compared = 0;
    c->map.y = 0;
    c->map.tiles[0] = (tile_error){0};
}

static ae_status try_network(const trial_job *j, trial_crop *c, double q, result *r, ae_error *err)
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
static ae_status try_samples(trial_crop *c, uint32_t bound, result *r, ae_error *err)
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

/* Samples of a tile, without loss and within errors of 1, 2, 4, 8 and 16: what they take, of those
 * that were asked for. */
typedef struct sampled {
    struct coded_tile coded; /* without loss */
    result exact, bounded[N_BOUNDS];
    bool known[N_BOUNDS];
} sampled;

static uint32_t bound_of(const trial_crop *c, int i)
{
    return (AE_BOUND_ONE * (c->info.sample == AE_U8 ? 1 : 257)) << i;
}

/* An error may be the better choice where it saves a fifth, up to what makes errors as large as the
 * network makes elsewhere, e (e + 1) / 3. All above the least are tried, too: what was best at a
 * lower quality is among them. What has few colours keeps them. *best: of `bounded`; -1: none. */
static ae_status choose_bound(const trial_job *j, trial_crop *c, double q, sampled *s, int *best,
                              double *is, ae_error *err)
{
    double pixels = (double)(c->info.width * c->info.height);
    ae_status st = AE_OK;

    *best = -1;
    *is = s->exact.bits;
    if (j->few || s->exact.bits < promise_usual_rate(q) * pixels)
        return AE_OK;
    for (int i = N_BOUNDS; i-- && (2 << i) * ((1 << i) + 1) > 3 * promise_usual_error(q);) {
        double here;

        if (!s->known[i] && (st = try_samples(c, bound_of(c, i), &s->bounded[i], err)) != AE_OK)
            return st;
        s->known[i] = true;
        here = cost(&s->bounded[i], q, c->info.channels);
        if (s->bounded[i].bits < 0.8 * s->exact.bits && here < *is) {
            *is = here;
            *best = i;
        }
    }
    return AE_OK;
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
static ae_status loses(const trial_job *j, trial_crop *c, double q, sampled *s, bool *lost,
                       bool *near, ae_error *err)
{
    double samples = (double)(c->info.width * c->info.height * c->info.channels), is, other;
    tile_error doubled;
    int best;
    result r;
    ae_status st = try_network(j, c, q, &r, err);

    if (st != AE_OK)
        return st;
    is = cost(&r, q, c->info.channels);
    doubled = (tile_error){2 * r.error.squares, 2 * r.error.worst};
    *lost = s->exact.bits <=
                (j->drawn ? fmax(is, choose_drawn_odds(q) * r.bits) : fmin(is, ODDS * r.bits)) ||
            !promise_is_kept(q, &r.error, samples);
    *near = s->exact.bits <= 3 * is || !promise_is_kept(q, &doubled, samples);
    if (j->drawn && *near && !*lost && (st = choose_bound(j, c, q, s, &best, &other, err)) == AE_OK)
        *lost = best >= 0 && other <= is && s->bounded[best].error.squares <= r.error.squares;
    return st;
}

/* Whether samples win at j->q or below, and within which bound. */
static ae_status judge_samples(const trial_job *j, trial_crop *c, bool lost, sampled *s,
                               bool *samples, uint32_t *bound, ae_error *err)
{
    bool near = true, nearby;
    ae_status st = AE_OK;
    double is;
    int best;

    if (!lost)
        st = loses(j, c, j->q, s, &lost, &near, err);
    for (double q = (ceil(j->q / STEP) - 1) * STEP; st == AE_OK && q >= 0 && near && !lost;
         q -= STEP)
        st = loses(j, c, q, s, &lost, &nearby, err);
    if (st != AE_OK || !lost || (st = choose_bound(j, c, j->q, s, &best, &is, err)) != AE_OK)
        return st;
    *samples = true;
    *bound = best < 0 ? 0 : bound_of(c, best);
    if (best >= 0)
        return try_samples(c, *bound, &s->bounded[best], err);
    ae_free(c->coded.data);
    c->coded = s->coded;
    s->coded = (struct coded_tile){0};
    return AE_OK;
}

ae_status trial_judge(trial_job *j, trial_crop *c, bool grey, bool *samples, uint32_t *bound,
                      ae_error *err)
{
    double pixels = (double)(c->info.width * c->info.height), equal, rate = guess_rate(c, &equal);
    sampled s = {0};
    size_t colours;
    ae_status st;

    *samples = false;
    if (j->survey) {
        bool drawn = count_few(c, grey) || equal > DRAWN;

        pthread_mutex_lock(j->mutex);
        j->survey->drawn += drawn;
        j->survey->least += drawn ? 0 : rate * pixels / 16;
        pthread_mutex_unlock(j->mutex);
        return AE_OK;
    }
    colours = count_few(c, grey);
    j->few = colours && colours * FEW_SHARE <= pixels;
    j->drawn = colours || equal > DRAWN;
    if (!j->broken && !j->drawn && rate > fmax(1.5 * promise_usual_rate(j->q), MAYBE_SMOOTH))
        return AE_OK;
    if ((st = try_samples(c, 0, &s.exact, err)) != AE_OK)
        return st;
    s.coded = c->coded;
    c->coded = (struct coded_tile){0};
    j->drawn = j->drawn || s.exact.bits < SMOOTH * pixels;
    if (j->drawn)
        j->q = choose_drawn_q(j->q);
    st = judge_samples(j, c, j->broken || s.exact.bits < 0.25 * promise_usual_rate(j->q) * pixels,
                       &s, samples, bound, err);
    ae_free(s.coded.data);
    return st;
}
