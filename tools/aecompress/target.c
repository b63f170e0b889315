/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The quality for a size or a PSNR. What depends on no quality is computed once: the network's
 * analysis, of a sample of tiles where all are too many, and alpha. A quality then costs its
 * entropy part, and a PSNR the decoder's work. */
#include <math.h>

#include "choose.h"

enum {
    IDENTITY = 32,    /* bytes of the codec's, in the head and in the index */
    MOST_TILES = 100, /* whose latents are kept: 130 MB of the shipped codec */
    FEW_TILES = 8,    /* above twice as many the search begins with so many */
    QUICK_TRIALS = 8  /* from then on intervals are halved */
};

/* Levels, from 0 to the best: qualities of the network, or bounds of the error of samples. And
 * where a search begins, as photographs are on average: logarithm of bits a pixel, and dB, by
 * level. */
typedef struct scale {
    bool network, word;
    int64_t most;
    struct line {
        double at_0, slope;
    } size, psnr;
} scale;
static const scale qualities = {true, false, AE_QUALITY_MOST, {-1.75, 0.0022}, {28, 0.0125}},
                   bounds = {false, false, 60 * AE_BOUND_ONE, {-2, 0.0016}, {28, 0.0094}},
                   words = {true,
                            true,
                            AE_QUALITY_ONE + COMPRESS_FURTHER,
                            {-1.75, 0.0022},
                            {28, 0.0125}},
                   /* where there is a network */
    near_bounds = {false, false, 5 * AE_BOUND_ONE, {1.1, 0.0045}, {39, 0.04}};

typedef struct search {
    compressed *c;
    const compress_options *o;
    uint32_t threads;
    bool psnr;
    double target;
    double frame, alpha;   /* bytes beside the colours' tiles */
    ae_analysis *analysis; /* NULL: from the picture each time */
    uint32_t every;        /* one tile in so many is coded */
    const scale *scale;
    struct line guess; /* of the measure, of a size its logarithm */
    int64_t tried;     /* the level last tried, -1 for none */
    bool compared;     /* at that level, hash and errors are what decoding gives */
} search;

static void set_level(const search *s, int64_t level)
{
    if (!s->scale->network) {
        compress_within(s->c, (double)(s->scale->most - level) / AE_BOUND_ONE);
        return;
    }
    s->c->item.coding = AE_ITEM_NETWORK;
    s->c->item.quality = (uint16_t)level;
}

static ae_status count_bytes(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    (void)data;
    (void)err;
    *(uint64_t *)opaque += n_bytes;
    return AE_OK;
}

/* The bytes of a file beside its tiles. */
static ae_status frame_bytes(compressed *c, const compress_options *o, const char *name,
                             uint64_t *n_bytes, ae_error *err)
{
    ae_sink sink = {.opaque = n_bytes, .write = count_bytes};
    ae_container_writer *w = NULL;
    uint8_t hash[16] = {0};
    ae_status st;

    *n_bytes = 0;
    c->item.name = (char *)(uintptr_t)name;
    if ((st = ae_container_create(&sink, &w, err)) == AE_OK &&
        (st = compress_model(o, w, err)) == AE_OK &&
        (st = ae_container_begin(w, &c->item, err)) == AE_OK &&
        (st = compress_write_meta(c, o, w, err)) == AE_OK &&
        (st = ae_container_end(w, hash, err)) == AE_OK)
        st = ae_container_finish(w, err);
    ae_container_writer_free(w);
    return st;
}

/* With so many of tiles: the length of the item, a number in the index, grows with them. */
static double file_bytes(const search *s, double tiles)
{
    double all = s->frame + tiles;

    all += all < 1 << 14 ? 1 : all < 1 << 21 ? 2 : all < 1 << 28 ? 3 : 4;
    return all - (s->o->coder && s->c->item.coding == AE_ITEM_SAMPLES ? IDENTITY : 0);
}

/* The same where tiles may become samples, all of them even. */
static ae_status measure_word(search *s, double *value, ae_error *err)
{
    compressed *c = s->c;
    encoding e = {.c = c};
    ae_status st = compress_by_word(&e, s->o, s->threads, err);

    e.n_bytes = 0;
    if (st == AE_OK && c->item.coding == AE_ITEM_SAMPLES) {
        if ((st = compress_start_again(c, err)) == AE_OK)
            st = compress_samples(&e, s->threads, err);
        *value = file_bytes(s, (double)e.n_bytes);
    } else if (st == AE_OK &&
               (st = compress_write_coded(&e, c->tiles, AE_TILE_COLOURS, err)) == AE_OK &&
               (st = compress_write_coded(&e, c->patches, AE_TILE_PATCH, err)) == AE_OK) {
        *value = file_bytes(s, s->alpha + (double)e.n_bytes);
    }
    if (st == AE_OK && s->psnr)
        *value = c->squares > 0 ? 10 * log10(65025 * c->samples / c->squares) : 999;
    return st;
}

/* Bytes of the file, or dB, at a level. */
static ae_status measure(search *s, int64_t level, double *value, ae_error *err)
{
    compressed *c = s->c;
    encoding e = {.c = c};
    ae_status st;

    set_level(s, level);
    s->tried = level;
    s->compared = false;
    if (s->scale->word)
        return measure_word(s, value, err);
    if (c->item.coding == AE_ITEM_SAMPLES) {
        c->by_tile = false;
        if ((st = compress_start_again(c, err)) == AE_OK)
            st = compress_samples(&e, s->threads, err);
        *value = file_bytes(s, (double)e.n_bytes);
    } else {
        if ((st = s->analysis ? AE_OK : compress_start_again(c, err)) == AE_OK)
            st = compress_colours(&e, s->o, s->threads, s->analysis, s->every, err);
        *value = file_bytes(s,
                            s->alpha + (double)e.n_bytes / (st == AE_OK ? compress_share(c) : 1));
        if (st == AE_OK && s->psnr && (st = compress_start_again(c, err)) == AE_OK)
            st = compress_compare(&e, s->o, s->threads, err);
    }
    if (s->psnr)
        *value = c->squares > 0 ? 10 * log10(65025 * c->samples / c->squares) : 999;
    return st;
}

/* The highest level that is small enough and near the target, or the lowest whose PSNR is enough,
 * into *level; -1, or the number of levels, where there is none. Between two trials the measure is
 * taken for straight, in logarithms of a size. */
static ae_status seek(search *s, int64_t *level, ae_error *err)
{
    int64_t most = s->scale->most, low = -1, high = most + 1;
    double aim = s->psnr ? s->target + 0.025 : log(0.988 * s->target), at_low = 0, at_high = 0,
           value, at;
    int64_t next = (int64_t)fmin(fmax((aim - s->guess.at_0) / s->guess.slope, 0), (double)most);
    ae_status st;

    for (int trial = 0; high - low > 1; trial++) {
        if ((st = measure(s, next, &value, err)) != AE_OK)
            return st;
        at = s->psnr ? value : log(value);
        if (s->psnr ? value >= s->target : value > s->target) {
            high = next;
            at_high = at;
        } else {
            low = next;
            at_low = at;
        }
        if (low >= 0 && high <= most && at_high > at_low)
            s->guess.slope = fmax((at_high - at_low) / (double)(high - low), s->guess.slope / 8);
        s->guess.at_0 = at - s->guess.slope * (double)next;
        if (s->psnr ? next == high && value < s->target + 0.05
                    : next == low && value > 0.975 * s->target)
            break;
        next = (int64_t)lrint(
            fmin(fmax((aim - s->guess.at_0) / s->guess.slope, -1), (double)most + 1));
        if (trial >= QUICK_TRIALS)
            next = low + (high - low) / 2;
        next = next <= low ? low + 1 : next >= high ? high - 1 : next;
    }
    *level = s->psnr ? high : low;
    return AE_OK;
}

static void take_scale(search *s, const scale *new)
{
    double pixels = (double)s->c->info.width * (double)s->c->info.height;

    s->scale = new;
    s->guess = s->psnr ? new->psnr : new->size;
    s->guess.at_0 += s->psnr ? 0 : log(pixels / 8);
    s->tried = -1;
}

/* What a sample of the tiles says of a size is where the search in all of them begins. */
static ae_status seek_quality(search *s, int64_t *level, ae_error *err)
{
    encoding e = {.c = s->c};
    uint32_t n_tiles;
    /* the analysis serves to the end; it does not where latents are refined for a quality */
    bool lasts;
    ae_status st;

    take_scale(s, &qualities);
    if ((st = compress_alpha(&e, s->threads, err)) != AE_OK)
        return st;
    s->alpha = (double)e.n_bytes;
    if ((st = compress_analyse(&e, s->o, s->threads, MOST_TILES, &s->analysis, err)) != AE_OK)
        return st;
    lasts = ae_analysis_complete(s->analysis) && s->o->effort < AE_EFFORT_REFINES;
    n_tiles = ae_coder_tiles(&(ae_coder_picture){.width = (uint32_t)s->c->info.width,
                                                 .height = (uint32_t)s->c->info.height});
    s->every = n_tiles < FEW_TILES ? 1 : n_tiles / FEW_TILES;
    if (!s->psnr && (!lasts || s->every > 1) && (st = seek(s, level, err)) != AE_OK)
        return st;
    s->every = 1;
    if (!lasts) {
        ae_analysis_free(s->analysis);
        s->analysis = NULL;
    }
    return seek(s, level, err);
}

static bool is_found(const search *s, int64_t level)
{
    return level >= 0 && level <= s->scale->most;
}

/* Where there is something drawn, or the network fails. A size that is too small for the word is
 * met without. */
static ae_status seek_word(search *s, int64_t *level, ae_error *err)
{
    encoding e = {.c = s->c};
    survey looks;
    ae_status st;

    take_scale(s, &words);
    if ((st = compress_alpha(&e, s->threads, err)) != AE_OK)
        return st;
    s->alpha = (double)e.n_bytes;
    if ((st = seek(s, level, err)) != AE_OK || s->psnr || *level >= 0)
        return st;
    compress_forget_patches(s->c);
    return (st = choose_survey(s->c, s->o, s->threads, &looks, err)) == AE_OK
               ? seek_quality(s, level, err)
               : st;
}

/* Whether the network's quality that was found keeps its word everywhere. */
static ae_status keeps_word(search *s, int64_t level, bool *kept, ae_error *err)
{
    compressed *c = s->c;
    error_map map = {0};
    encoding e = {.c = c, .map = &map};
    double value;
    ae_status st = AE_OK;

    *kept = true;
    if (!is_found(s, level))
        return AE_OK;
    set_level(s, level);
    if ((s->tried != level && (st = measure(s, level, &value, err)) != AE_OK) ||
        (st = compress_start_again(c, err)) != AE_OK)
        return st;
    if ((st = error_map_open(&map, (uint32_t)c->info.width, (uint32_t)c->info.height,
                             c->info.channels - c->info.alpha, err)) == AE_OK &&
        (st = compress_compare(&e, s->o, s->threads, err)) == AE_OK)
        *kept = s->compared = choose_is_kept(c, &map);
    error_map_close(&map);
    return st;
}

/* Size or PSNR, whichever the target is not; the better of two levels has the lesser or the larger
 * one. */
static ae_status measure_other(search *s, int64_t level, double *value, ae_error *err)
{
    ae_status st;

    s->psnr = !s->psnr;
    st = measure(s, level, value, err);
    s->psnr = !s->psnr;
    return st;
}

/* Bounded errors may cost less than the network's qualities where those go far beyond what it was
 * trained for. */
static ae_status choose(search *s, int64_t *level, ae_error *err)
{
    int64_t quality = -1;
    double of_quality = 0, of_bound = 0;
    const scale *found_in;
    bool found, kept = true;
    survey looks;
    ae_status st;

    if (!s->o->coder) {
        take_scale(s, &bounds);
        return seek(s, level, err);
    }
    if ((st = choose_survey(s->c, s->o, s->threads, &looks, err)) != AE_OK)
        return st;
    if (!s->psnr && looks.least <= s->target) { /* nothing is better than no loss */
        take_scale(s, &near_bounds);
        *level = s->scale->most;
        if ((st = measure(s, *level, &of_bound, err)) != AE_OK || of_bound <= s->target)
            return st;
    }
    if (!looks.drawn && ((st = seek_quality(s, &quality, err)) != AE_OK ||
                         (st = keeps_word(s, quality, &kept, err)) != AE_OK))
        return st;
    if ((looks.drawn || !kept) && (st = seek_word(s, &quality, err)) != AE_OK)
        return st;
    *level = quality;
    if (s->scale->word ? quality < s->scale->most : quality <= AE_QUALITY_ONE + COMPRESS_FURTHER)
        return AE_OK;
    found_in = s->scale;
    if ((found = is_found(s, quality)) &&
        (st = measure_other(s, quality, &of_quality, err)) != AE_OK)
        return st;
    take_scale(s, &near_bounds);
    if ((st = seek(s, level, err)) != AE_OK || !found)
        return st;
    if (is_found(s, *level) && (st = measure_other(s, *level, &of_bound, err)) != AE_OK)
        return st;
    if (!is_found(s, *level) || (s->psnr ? of_quality <= of_bound : of_quality >= of_bound)) {
        take_scale(s, found_in);
        *level = quality;
    }
    return AE_OK;
}

ae_status target_choose(compressed *c, const compress_options *o, uint32_t threads,
                        const char *name, bool *coded, ae_error *err)
{
    double pixels = (double)c->info.width * (double)c->info.height, value;
    search s = {.c = c,
                .o = o,
                .threads = threads,
                .psnr = o->target_psnr > 0,
                .target = o->target_psnr > 0  ? o->target_psnr
                          : o->target_bpp > 0 ? o->target_bpp * pixels / 8
                          : o->target_percent > 0
                              ? o->target_percent / 100 * (double)ae_source_size(c->source) /
                                    c->n_pictures
                              : (double)o->target_bytes / c->n_pictures};
    uint64_t frame;
    int64_t level = -1;
    ae_status st;

    if ((st = frame_bytes(c, o, name, &frame, err)) != AE_OK)
        return st;
    s.frame = (double)frame;
    st = choose(&s, &level, err);
    if (st == AE_OK && !is_found(&s, level))
        st = ae_fail(err, AE_ERR_LIMIT,
                     s.psnr ? "no quality reaches %.2f dB"
                            : "no quality makes it as small as %.0f bytes",
                     s.target);
    if (st == AE_OK && s.scale->network && s.tried != level)
        st = measure(&s, level, &value, err);
    else if (st == AE_OK && !s.scale->word)
        set_level(&s, level);
    *coded = st == AE_OK && c->item.coding == AE_ITEM_NETWORK;
    if (st == AE_OK && !s.psnr && !s.compared)
        st = compress_start_again(c, err); /* nothing was compared that counts */
    ae_analysis_free(s.analysis);
    return st;
}
