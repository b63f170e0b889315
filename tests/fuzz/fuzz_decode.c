/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ae_decode over random programs and pictures of several tiles, some of them lost or damaged:
 * regions, previews, alone and by several threads, against the same part of the plain whole. */
#include "../latent/random_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum { MOST_TILES = 16 };

/* What a run may cost, so that many can be made. */
static const double most_macs = 3e7;

typedef struct picture {
    uint32_t w, h, n_x, n_tiles;
    uint8_t *tiles[MOST_TILES];
    size_t n[MOST_TILES];
    uint8_t *rows; /* what is being decoded */
    size_t at, room;
} picture;

static ae_status read_tile(void *opaque, uint32_t index, const void **data, size_t *n,
                           ae_error *err)
{
    picture *p = opaque;

    if (!p->tiles[index] && index % 2)
        return ae_fail(err, AE_ERR_CHECKSUM, "damaged");
    *data = p->tiles[index];
    *n = p->n[index];
    return AE_OK;
}

static ae_status take_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    picture *p = opaque;
    size_t n = p->room / (p->h ? p->h : 1) * n_rows;

    (void)err;
    if (n > p->room - p->at)
        abort();
    memcpy(p->rows + p->at, rows, n);
    p->at += n;
    return AE_OK;
}

static void lose(void *opaque, uint32_t index, const char *why)
{
    const picture *p = opaque;

    if (index >= p->n_tiles || !*why)
        abort();
}

/* Decodes into an array of w x h; free it. */
static uint8_t *decode(const ae_coder *coder, picture *p, ae_decode_options o, uint32_t w,
                       uint32_t h)
{
    ae_coder_picture what = {p->w, p->h, 1, AE_U8, 8};
    picture to = *p;
    ae_tile_source source = {p, read_tile};
    ae_row_sink sink = {&to, take_rows};

    to.h = h;
    to.room = (size_t)w * h;
    to.at = 0;
    if (!(to.rows = malloc(to.room)))
        abort();
    o.control.opaque = p;
    o.control.lost = lose;
    if (ae_decode(coder, &what, &o, &source, &sink, NULL) != AE_OK || to.at != to.room)
        abort();
    return to.rows;
}

/* A part of w x h at x, y of `all`, which is `pitch` wide, must be `part`. */
static void compare(const uint8_t *part, const uint8_t *all, uint32_t pitch, uint32_t x, uint32_t y,
                    uint32_t w, uint32_t h)
{
    for (uint32_t i = 0; i < h; i++)
        if (memcmp(part + (size_t)i * w, all + (size_t)(y + i) * pitch + x, w) != 0)
            abort();
}

static void try_parts(random_program *r, const ae_coder *coder, picture *p, uint32_t quality)
{
    ae_decode_options o = {.quality = quality, .control.threads = 1};
    uint8_t *all = decode(coder, p, o, p->w, p->h), *small, *part;
    uint32_t small_w = (p->w + 7) / 8, small_h = (p->h + 7) / 8;

    o.preview = true;
    small = decode(coder, p, o, small_w, small_h);
    for (int i = 0; i < 4; i++) {
        o.region.x = (uint32_t)aei_rng_below(&r->rng, p->w);
        o.region.y = (uint32_t)aei_rng_below(&r->rng, p->h);
        o.region.width = 1 + aei_rng_below(&r->rng, p->w - o.region.x);
        o.region.height = 1 + aei_rng_below(&r->rng, p->h - o.region.y);
        if (i == 1) { /* all columns, or all rows */
            o.region.x = 0;
            o.region.width = p->w;
        } else if (i == 2) {
            o.region.y = 0;
            o.region.height = p->h;
        }
        o.control.threads = 1 + aei_rng_below(&r->rng, 3);
        o.preview = false;
        part = decode(coder, p, o, o.region.width, o.region.height);
        compare(part, all, p->w, o.region.x, o.region.y, o.region.width, o.region.height);
        free(part);
        o.preview = true;
        part = decode(coder, p, o, (o.region.width + 7) / 8, (o.region.height + 7) / 8);
        compare(part, small, small_w, o.region.x / 8, o.region.y / 8, (o.region.width + 7) / 8,
                (o.region.height + 7) / 8);
        free(part);
    }
    free(small);
    free(all);
}

/* Streams for all tiles; some are then lost, cut or flipped. */
static void make_tiles(random_program *r, const ae_coder *coder, picture *p, uint32_t quality)
{
    const aei_engine *engine = coder->engine;
    uint32_t stride = engine->program->stride;
    aei_walk *walk;

    if (aei_walk_create(engine, &walk, NULL) != AE_OK)
        abort();
    aei_walk_quality(walk, quality);
    for (uint32_t i = 0; i < p->n_tiles; i++) {
        uint32_t fate = aei_rng_below(&r->rng, 16);

        p->tiles[i] = random_stream(
            r, engine, walk, aei_tile_size(aei_round_up(p->w, stride), i % p->n_x),
            aei_tile_size(aei_round_up(p->h, stride), i / p->n_x), &p->n[i]);
        if (fate == 0) {
            ae_free(p->tiles[i]);
            p->tiles[i] = NULL;
        } else if (fate == 1 && p->n[i] > 20) {
            p->n[i] = aei_rng_below(&r->rng, (uint32_t)p->n[i]);
        } else if (fate == 2) {
            p->tiles[i][aei_rng_below(&r->rng, (uint32_t)p->n[i])] ^= 16;
        }
    }
    aei_walk_free(walk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static random_program r;
    uint32_t quality, stride;
    size_t n_program;
    ae_coder *coder = NULL;
    picture p = {0};
    uint8_t *program;
    double area;

    if (n_bytes < 8 || n_bytes > 4096 || !random_make(&r, data, n_bytes))
        return 0;
    program = random_pack(&r, &n_program);
    /* sums that may overflow, too large */
    if (ae_coder_open_program(program, n_program, &coder, NULL) != AE_OK) {
        ae_free(program);
        return 0;
    }
    ae_free(program);
    quality = aei_rng_below(&r.rng, AE_QUALITY_MOST + 1);
    p.w = 1 + aei_rng_below(&r.rng, 40);
    p.h = 1 + aei_rng_below(&r.rng, 40);
    switch (aei_rng_below(&r.rng, 4)) {
    case 0: p.w += aei_rng_below(&r.rng, 1700); break;
    case 1: p.h += aei_rng_below(&r.rng, 1700); break;
    case 2:
        p.w += aei_rng_below(&r.rng, 1100);
        p.h += aei_rng_below(&r.rng, 600);
        break;
    default: break;
    }
    p.n_x = aei_tiles_along(p.w);
    p.n_tiles = p.n_x * aei_tiles_along(p.h);
    stride = coder->engine->program->stride;
    area = (double)aei_round_up(p.w, stride) * aei_round_up(p.h, stride);
    if (coder->engine->program->macs * area <= most_macs) {
        make_tiles(&r, coder, &p, quality);
        try_parts(&r, coder, &p, quality);
    }
    for (uint32_t i = 0; i < p.n_tiles; i++)
        ae_free(p.tiles[i]);
    ae_coder_free(coder);
    return 0;
}
