/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Coding by the network, and again, until all that it has coded keeps the word of its quality. */
#include <math.h>

#include "choose.h"

enum { IDENTITY = 32 /* bytes of the codec's, in the head and in the index */ };

/* All tiles turned out to be better off as samples. */
static void become_samples(compressed *c)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < c->n_tiles; i++)
        most = c->bounds[i] > most ? c->bounds[i] : most;
    c->by_tile = true;
    c->item.coding = AE_ITEM_SAMPLES;
    c->item.quality = (uint16_t)fmin(ceil(most * 3.0 / AE_BOUND_ONE), 65535);
}

void compress_forget_patches(compressed *c)
{
    for (uint32_t i = 0; i < c->n_tiles; i++) {
        ae_free(c->patches[i].data);
        c->patches[i] = (struct coded_tile){0};
        c->bounds[i] = 0;
    }
    c->by_tile = false;
}

/* Bytes of what was chosen. */
static ae_status count_chosen(compressed *c, uint32_t threads, uint64_t *n_bytes, ae_error *err)
{
    encoding e = {.c = c};
    ae_status st;

    if (c->item.coding == AE_ITEM_SAMPLES) {
        if ((st = compress_start_again(c, err)) == AE_OK)
            st = compress_samples(&e, threads, err);
    } else if ((st = compress_write_coded(&e, c->tiles, AE_TILE_COLOURS, err)) == AE_OK &&
               (st = compress_write_coded(&e, c->patches, AE_TILE_PATCH, err)) == AE_OK) {
        e.n_bytes += IDENTITY;
        st = compress_alpha(&e, threads, err);
    }
    *n_bytes = e.n_bytes;
    return st;
}

/* Tiles are judged by themselves, and without alpha; what they come to together may be more than
 * the whole without loss, or less than that by no more than odds. */
static ae_status prefer_lossless(compressed *c, const compress_options *o, uint32_t threads,
                                 double odds, ae_error *err)
{
    bool samples = c->item.coding == AE_ITEM_SAMPLES, suspect = c->info.alpha;
    encoding exact = {.c = c};
    uint64_t chosen;
    survey looks;
    ae_status st;

    for (uint32_t i = 0; i < c->n_tiles && !suspect && !samples; i++)
        suspect = compress_is_patched(c, i);
    if (!suspect || (st = count_chosen(c, threads, &chosen, err)) != AE_OK ||
        (st = choose_survey(c, o, threads, &looks, err)) != AE_OK || (double)chosen < looks.least)
        return suspect ? st : AE_OK;
    c->lossy = c->by_tile = false;
    if ((st = compress_start_again(c, err)) != AE_OK ||
        (st = compress_samples(&exact, threads, err)) != AE_OK)
        return st;
    if ((double)exact.n_bytes <= odds * (double)chosen) {
        compress_forget_patches(c);
        compress_within(c, 0);
        return AE_OK;
    }
    c->lossy = true;
    c->by_tile = samples;
    return compress_start_again(c, err); /* errors and hash are to be found anew */
}

/* Until what the network has coded keeps the word of its quality. */
ae_status compress_by_word(encoding *e, const compress_options *o, uint32_t threads, ae_error *err)
{
    compressed *c = e->c;
    double q = choose_drawn_q(promise_q(c->item.quality));
    uint32_t network, broken = 1;
    error_map map = {0};
    bool drawn;
    ae_status st;

    compress_forget_patches(c);
    c->lossy = true;
    st = choose_tiles(c, o, threads, &network, &drawn, err);
    if (drawn)
        c->item.quality = (uint16_t)promise_quality(q);
    while (st == AE_OK && network && broken) {
        if ((st = compress_start_again(c, err)) != AE_OK ||
            (st = compress_colours(e, o, threads, NULL, 1, err)) != AE_OK ||
            (st = error_map_open(&map, (uint32_t)c->info.width, (uint32_t)c->info.height,
                                 c->info.channels - c->info.alpha, err)) != AE_OK)
            break;
        e->map = &map;
        c->squares = c->samples = 0;
        if ((st = compress_compare(e, o, threads, err)) == AE_OK)
            st = choose_broken(c, o, threads, &map, &broken, err);
        network -= st == AE_OK ? broken : 0;
        error_map_close(&map);
    }
    e->map = NULL;
    error_map_close(&map);
    if (st == AE_OK && !network)
        become_samples(c);
    return st == AE_OK ? prefer_lossless(c, o, threads, drawn ? choose_drawn_odds(q) : 1, err) : st;
}
