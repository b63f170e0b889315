/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The quality for a size or a PSNR. What depends on no quality is computed once: the network's analysis, of a sample of tiles where
 * all are too many, and alpha. A quality then costs its entropy part, and a PSNR the decoder's work. */
#include <math.h>

#include "encoding.h"

enum {
    THIRDS_NETWORK = 100 - COMPRESS_NETWORK_MAX - 1,
    THIRDS_ALONE = 180, /* the coarsest bound without a network */
    GROWTH = 8,         /* bytes by which the index's numbers may grow with the tiles */
    MOST_TILES = 100,   /* whose latents are kept: 130 MB of the shipped codec */
    FEW_TILES = 8,      /* above twice as many the search begins with so many */
    QUICK_TRIALS = 8    /* from then on intervals are halved */
};

/* Where the search begins, as photographs are on average: logarithm of bits a pixel, and dB, by level. */
typedef struct line { double at_0, slope; } line;
static const line usual[2][2] = {{{-1.75, 0.0022}, {28, 0.0125}}, {{-2, 0.025}, {28, 0.15}}}; /* [without a network][PSNR] */

typedef struct search {
    compressed *c;
    const compress_options *o;
    uint32_t threads;
    bool psnr;
    double target;
    double frame, alpha;   /* bytes beside the colours' tiles */
    ae_analysis *analysis; /* NULL: from the picture each time */
    uint32_t every;        /* one tile in so many is coded */
    line guess;            /* of the measure, of a size its logarithm */
    int64_t tried;         /* the level last tried */
} search;

/* One scale of qualities: those of the network, then bounds on the error down to 0. */
static uint32_t most_levels(const compress_options *o)
{
    return o->coder ? AE_QUALITY_ONE + 1 + THIRDS_NETWORK : THIRDS_ALONE;
}

static void set_level(compressed *c, const compress_options *o, uint32_t level)
{
    uint32_t thirds = most_levels(o) - level;

    c->item.coding = o->coder && level <= AE_QUALITY_ONE ? AE_ITEM_NETWORK : AE_ITEM_SAMPLES;
    c->item.quality = (uint16_t)(c->item.coding == AE_ITEM_NETWORK ? level : thirds * (c->info.sample == AE_U8 ? 1 : 257));
}

static ae_status count_bytes(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    (void)data;
    (void)err;
    *(uint64_t *)opaque += n_bytes;
    return AE_OK;
}

/* The bytes of a file beside its tiles. */
static ae_status frame_bytes(compressed *c, const compress_options *o, const char *name, uint64_t *n_bytes, ae_error *err)
{
    ae_sink sink = {.opaque = n_bytes, .write = count_bytes};
    ae_container_writer *w = NULL;
    uint8_t hash[16] = {0};
    ae_status st;

    *n_bytes = 0;
    c->item.name = (char *)(uintptr_t)name;
    if ((st = ae_container_create(&sink, &w, err)) == AE_OK && (st = compress_model(o, w, err)) == AE_OK &&
        (st = ae_container_begin(w, &c->item, err)) == AE_OK && (st = compress_write_meta(c, o, w, err)) == AE_OK &&
        (st = ae_container_end(w, hash, err)) == AE_OK)
        st = ae_container_finish(w, err);
    ae_container_writer_free(w);
    return st;
}

/* Bytes of the file, or dB, at a level. */
static ae_status measure(search *s, int64_t level, double *value, ae_error *err)
{
    compressed *c = s->c;
    encoding e = {.c = c};
    ae_status st;

    set_level(c, s->o, (uint32_t)level);
    s->tried = level;
    if (c->item.coding == AE_ITEM_SAMPLES) {
        if ((st = compress_start_again(c, err)) == AE_OK)
            st = compress_samples(&e, s->threads, err);
        *value = s->frame + (double)e.n_bytes;
    } else {
        if ((st = s->analysis ? AE_OK : compress_start_again(c, err)) == AE_OK)
            st = compress_colours(&e, s->o, s->threads, s->analysis, s->every, err);
        *value = s->frame + s->alpha + (double)e.n_bytes / (st == AE_OK ? compress_share(c) : 1);
        if (st == AE_OK && s->psnr && (st = compress_start_again(c, err)) == AE_OK)
            st = compress_compare(&e, s->o, s->threads, err);
    }
    if (s->psnr)
        *value = c->squares > 0 ? 10 * log10(65025 * c->samples / c->squares) : 999;
    return st;
}

/* The highest level that is small enough and near the target, or the lowest whose PSNR is enough, into *level; -1, or the number of
 * levels + 1, where there is none. Between two trials the measure is taken for straight, in logarithms of a size. */
static ae_status seek(search *s, int64_t *level, ae_error *err)
{
    int64_t most = most_levels(s->o), top = s->o->coder ? AE_QUALITY_ONE : most, low = -1, high = most + 1;
    double aim = s->psnr ? s->target + 0.025 : log(0.988 * s->target), at_low = 0, at_high = 0, value, at;
    int64_t next = (int64_t)fmin(fmax((aim - s->guess.at_0) / s->guess.slope, 0), (double)top);
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
        if (s->psnr ? next == high && value < s->target + 0.05 : next == low && value > 0.975 * s->target)
            break;
        next = (int64_t)lrint(fmin(fmax((aim - s->guess.at_0) / s->guess.slope, -1), (double)most + 1));
        if (trial >= QUICK_TRIALS || low >= top)
            next = low + (high - low) / 2;
        next = low < top && next > top ? top : next; /* the network's best before anything above */
        next = next <= low ? low + 1 : next >= high ? high - 1 : next;
    }
    *level = s->psnr ? high : low;
    return AE_OK;
}

/* What a sample of the tiles says of a size is where the search in all of them begins. */
static ae_status choose(search *s, int64_t *level, ae_error *err)
{
    encoding e = {.c = s->c};
    uint32_t n_tiles;
    bool lasts; /* the analysis serves to the end; it does not where latents are refined for a quality */
    ae_status st;

    if (!s->o->coder)
        return seek(s, level, err);
    if ((st = compress_alpha(&e, s->threads, err)) != AE_OK)
        return st;
    s->alpha = (double)e.n_bytes;
    if ((st = compress_analyse(&e, s->o, s->threads, MOST_TILES, &s->analysis, err)) != AE_OK)
        return st;
    lasts = ae_analysis_complete(s->analysis) && s->o->effort < AE_EFFORT_REFINES;
    n_tiles = ae_coder_tiles(&(ae_coder_picture){.width = (uint32_t)s->c->info.width, .height = (uint32_t)s->c->info.height});
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

ae_status target_choose(compressed *c, const compress_options *o, uint32_t threads, const char *name, bool *coded, ae_error *err)
{
    double pixels = (double)c->info.width * (double)c->info.height, value;
    search s = {.c = c, .o = o, .threads = threads, .psnr = o->target_psnr > 0,
                .target = o->target_psnr > 0      ? o->target_psnr
                          : o->target_bpp > 0     ? o->target_bpp * pixels / 8
                          : o->target_percent > 0 ? o->target_percent / 100 * (double)ae_source_size(c->source)
                                                  : (double)o->target_bytes};
    uint64_t frame;
    int64_t level = -1;
    ae_status st;

    s.guess = usual[!o->coder][s.psnr];
    s.guess.at_0 += s.psnr ? 0 : log(pixels / 8);
    if ((st = frame_bytes(c, o, name, &frame, err)) != AE_OK)
        return st;
    s.frame = (double)(frame + GROWTH);
    st = choose(&s, &level, err);
    if (st == AE_OK && (level < 0 || level > most_levels(o)))
        st = ae_fail(err, AE_ERR_LIMIT, s.psnr ? "no quality reaches %.2f dB" : "no quality makes it as small as %.0f bytes",
                     s.target);
    if (st == AE_OK)
        set_level(c, o, (uint32_t)level);
    *coded = st == AE_OK && c->item.coding == AE_ITEM_NETWORK;
    if (*coded && s.tried != level)
        st = measure(&s, level, &value, err);
    if (st == AE_OK && !s.psnr)
        st = compress_start_again(c, err); /* nothing was compared that counts */
    ae_analysis_free(s.analysis);
    return st;
}
