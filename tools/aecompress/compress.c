/* SPDX-License-Identifier: BSD-2-Clause */
#include "compress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/aecfile.h"
#include "choose.h"
#include "common/patches.h"
#include "common/progress.h"

enum { BAND = AE_CODER_TILE };

/* ---- opening ---- */

bool compress_has_target(const compress_options *o)
{
    return o->target_size || o->target_bpp > 0 || o->target_psnr > 0;
}

/* What samples may err by, of 255, 0 for nothing; -1: the network's business. */
static double bound_of(const compress_options *o)
{
    if (compress_has_target(o))
        return o->coder ? -1 : 0;
    if (o->lossless || o->quality == 100)
        return 0;
    if (o->near_lossless >= 0)
        return o->near_lossless;
    /* at most 1: with any more, smooth pictures would be worse than by the network */
    return o->quality > COMPRESS_NETWORK_MAX ? (100.0 - o->quality) / (100 - COMPRESS_NETWORK_MAX - 1) : -1;
}

uint16_t compress_bound(const compress_options *o)
{
    return compress_has_target(o) ? 0 : (uint16_t)lround(3 * fmax(bound_of(o), 0));
}

void compress_within(compressed *c, double bound)
{
    uint32_t full = c->info.sample == AE_U8 ? 255 : 65535;

    c->bound = (uint32_t)lround(bound * (AE_BOUND_ONE * full / 255));
    c->item.coding = AE_ITEM_SAMPLES;
    c->item.quality = (uint16_t)fmin(ceil(c->bound * 3.0 / AE_BOUND_ONE), 65535);
}

/* What does not take along how a picture is to be turned takes it turned. */
static ae_status open_reader(compressed *c, ae_error *err)
{
    ae_status st = ae_reader_open(c->source, &picture_limits, &c->reader, err);

    return st == AE_OK && c->upright ? ae_reader_turn_upright(&c->reader, err) : st;
}

ae_status compress_open(compressed *c, const compress_options *o, const char *path, ae_error *err)
{
    double bound = bound_of(o);
    ae_signal_info *info = &c->info;
    ae_status st;

    *c = (compressed){0};
    c->upright = !(o->meta_kinds >> AE_META_EXIF & 1);
    if ((st = ae_source_open(path, &c->source, err)) != AE_OK || (st = open_reader(c, err)) != AE_OK)
        return st;
    *info = c->reader.info;
    if ((st = ae_reader_expect(&c->reader, AE_KIND_IMAGE, err)) != AE_OK ||
        (st = picture_check_first(&c->reader, o->first, err)) != AE_OK)
        return st;
    /* floats are kept where nothing is lost */
    if (info->sample != AE_U8 && info->sample != AE_U16 && (bound != 0 || compress_has_target(o))) {
        info->sample = AE_U16;
        info->bits = 16;
    }
    c->row_bytes = ae_row_bytes(info);
    c->item = (ae_item){.info = *info, .orientation = (uint8_t)ae_meta_orientation(&c->reader.meta)};
    if (bound < 0) {
        double beyond = fmax((double)o->quality - COMPRESS_TRAINED, 0);

        c->item.coding = AE_ITEM_NETWORK;
        c->item.quality = (uint16_t)lround((o->quality - beyond) / COMPRESS_TRAINED * AE_QUALITY_ONE +
                                           beyond / (COMPRESS_NETWORK_MAX - COMPRESS_TRAINED) * COMPRESS_FURTHER);
        ae_coder_identity(o->coder, c->item.identity);
    } else {
        compress_within(c, bound);
    }
    if ((info->sample != c->reader.info.sample && !(c->read_band = ae_alloc(BAND, ae_row_bytes(&c->reader.info)))) ||
        ((bound < 0 || c->item.quality || compress_has_target(o)) && !(c->original = ae_alloc(BAND + 1, c->row_bytes))) ||
        !(c->hash = ae_sample_hash_create()))
        return ae_fail(err, AE_ERR_NOMEM, "a band of rows");
    c->n_tiles = ae_coder_tiles(&(ae_coder_picture){.width = (uint32_t)info->width, .height = (uint32_t)info->height});
    c->lossy = bound < 0;
    if (c->lossy && (!(c->patches = ae_alloc(c->n_tiles, sizeof(*c->patches))) ||
                     !(c->bounds = ae_alloc(c->n_tiles, sizeof(*c->bounds)))))
        return ae_fail(err, AE_ERR_NOMEM, "%u tiles", c->n_tiles);
    if (!o->batch.json || !c->original)
        return AE_OK;
    if (!(c->luma = ae_alloc((size_t)info->width, 2 * sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "two rows");
    return ae_similarity_create((uint32_t)info->width, &c->similarity, err);
}

static void free_tiles(struct coded_tile **tiles, uint32_t n)
{
    for (uint32_t i = 0; i < n && *tiles; i++)
        ae_free((*tiles)[i].data);
    ae_free(*tiles);
    *tiles = NULL;
}

int compress_load(compress_options *o)
{
    const char *name = o->model ? o->model : "codec";
    char path[4096];
    ae_error err;

    if (!compress_has_target(o) && bound_of(o) >= 0)
        return CLI_GO_ON;
    if (ae_model_find(name, path, sizeof(path), &err) == AE_OK && ae_model_open(path, NULL, &o->loaded, &err) == AE_OK &&
        ae_coder_open(o->loaded, &o->coder, &err) == AE_OK)
        return CLI_GO_ON;
    if (compress_has_target(o) && !o->model)
        return CLI_GO_ON; /* what needs none may do */
    cli_message("the codec %s: %s; --lossless, --near-lossless and -q 91 and above need none", name, err.message);
    return CLI_FAILED;
}

void compress_close(compressed *c)
{
    free_tiles(&c->tiles, c->n_tiles);
    free_tiles(&c->patches, c->n_tiles);
    ae_free(c->bounds);
    ae_sample_hash_free(c->hash);
    ae_similarity_free(c->similarity);
    spread_free(c->spread);
    ae_free(c->band);
    ae_free(c->above);
    ae_free(c->luma);
    ae_free(c->read_band);
    ae_free(c->original);
    ae_reader_close(&c->reader);
    ae_source_free(c->source);
}

/* ---- one item ---- */

/* Rows as the file has them. */
static ae_status read_file(compressed *c, void *rows, uint32_t n_rows, ae_error *err)
{
    ae_status st = AE_OK;

    if (!c->read_band)
        return ae_reader_read(&c->reader, rows, n_rows, err);
    for (uint32_t done = 0, n; done < n_rows && st == AE_OK; done += n) {
        n = n_rows - done < BAND ? n_rows - done : BAND;
        if ((st = ae_reader_read(&c->reader, c->read_band, n, err)) == AE_OK)
            ae_rows_convert(&c->reader.info, c->read_band, &c->info, (uint8_t *)rows + done * c->row_bytes, n);
    }
    return st;
}

bool compress_is_patched(const compressed *c, uint32_t index)
{
    return c->patches[index].n && c->patches[index].data[0] & AE_PATCH_SAMPLES;
}

/* What the network need not see goes over from what it does see on both sides and above. */
static void flatten(compressed *c, uint32_t ty, uint32_t tx, uint32_t across, uint32_t width)
{
    size_t pixel = c->row_bytes / (size_t)c->info.width;
    uint32_t index = ty * across + tx;
    uint8_t *at = c->band + (size_t)tx * BAND * pixel;

    spread_over(c->spread, &c->info, at, c->row_bytes, width, c->band_rows,
                ty && !compress_is_patched(c, index - across) ? c->above + (size_t)tx * BAND * pixel : NULL,
                tx && !compress_is_patched(c, index - 1) ? at - pixel : NULL,
                tx + 1 < across && !compress_is_patched(c, index + 1) ? at + BAND * pixel : NULL);
}

static ae_status fill_band(compressed *c, ae_error *err)
{
    uint32_t across = (uint32_t)((c->info.width + BAND - 1) / BAND), ty = (uint32_t)(c->band_y / BAND);
    uint64_t left = c->info.height - c->band_y;
    size_t pixel = c->row_bytes / (size_t)c->info.width;
    ae_status st;

    if (!c->spread && (!(c->spread = spread_create()) || !(c->above = ae_alloc(1, c->row_bytes)) ||
                       !(c->band = ae_alloc(c->info.height < BAND ? (size_t)c->info.height : BAND, c->row_bytes))))
        return ae_fail(err, AE_ERR_NOMEM, "a row of tiles");
    c->band_rows = left < BAND ? (uint32_t)left : BAND;
    c->band_at = 0;
    if ((st = read_file(c, c->band, c->band_rows, err)) != AE_OK)
        return st;
    for (uint32_t tx = 0; tx < across; tx++) {
        uint32_t width = tx + 1 < across ? BAND : (uint32_t)c->info.width - tx * BAND;

        if (c->info.alpha)
            spread_hidden(c->spread, &c->info, c->band + (size_t)tx * BAND * pixel, c->row_bytes, width, c->band_rows);
        if (c->flat && compress_is_patched(c, ty * across + tx))
            flatten(c, ty, tx, across, width);
    }
    memcpy(c->above, c->band + (c->band_rows - 1) * c->row_bytes, c->row_bytes);
    c->band_y += c->band_rows;
    return AE_OK;
}

ae_status compress_read(compressed *c, void *rows, uint32_t n_rows, ae_error *err)
{
    ae_status st = AE_OK;

    if (!c->lossy || (!c->info.alpha && !c->flat))
        return read_file(c, rows, n_rows, err);
    for (uint32_t done = 0, n; done < n_rows; done += n) {
        if (c->band_at == c->band_rows && (st = fill_band(c, err)) != AE_OK)
            return st;
        n = c->band_rows - c->band_at < n_rows - done ? c->band_rows - c->band_at : n_rows - done;
        memcpy((uint8_t *)rows + done * c->row_bytes, c->band + c->band_at * c->row_bytes, n * c->row_bytes);
        c->band_at += n;
    }
    return st;
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    return compress_read(((encoding *)opaque)->c, rows, n_rows, err);
}

/* At most BAND rows, which are kept. */
static ae_status read_and_keep(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    compressed *c = ((encoding *)opaque)->c;
    ae_status st = read_rows(opaque, rows, n_rows, err);

    if (st == AE_OK && c->original)
        memcpy(c->original, rows, n_rows * c->row_bytes);
    return st;
}

static float sample_at(const compressed *c, const void *rows, size_t at)
{
    return c->info.sample == AE_U8 ? (float)((const uint8_t *)rows)[at] : (float)((const uint16_t *)rows)[at] / 257;
}

static void take_luma(const compressed *c, const void *row, float *to)
{
    uint32_t channels = c->info.channels;

    for (size_t x = 0; x < (size_t)c->info.width; x++)
        to[x] = channels < 3 ? sample_at(c, row, x * channels)
                             : 0.299f * sample_at(c, row, x * channels) + 0.587f * sample_at(c, row, x * channels + 1) +
                                   0.114f * sample_at(c, row, x * channels + 2);
}

/* Alpha left out. squares: of every pixel, summed over its colours; may be NULL. */
static void compare(compressed *c, const void *decoded, const void *original, uint32_t n_rows, double *squares)
{
    size_t n = n_rows * (size_t)c->info.width;
    uint32_t channels = c->info.channels, colours = channels - c->info.alpha;

    for (size_t i = 0; i < n; i++) {
        double sum = 0;

        for (uint32_t ch = 0; ch < colours; ch++) {
            double difference =
                (double)sample_at(c, decoded, i * channels + ch) - (double)sample_at(c, original, i * channels + ch);

            sum += difference * difference;
        }
        c->squares += sum;
        if (squares)
            squares[i] = sum;
    }
    c->samples += (double)n * colours;
    for (uint32_t y = 0; c->similarity && y < n_rows; y++) {
        take_luma(c, (const uint8_t *)decoded + y * c->row_bytes, c->luma);
        take_luma(c, (const uint8_t *)original + y * c->row_bytes, c->luma + c->info.width);
        ae_similarity_add(c->similarity, c->luma, c->luma + c->info.width);
    }
}

static void take_decoded(void *opaque, const void *rows, uint32_t n_rows)
{
    compressed *c = ((encoding *)opaque)->c;

    ae_sample_hash_add(c->hash, rows, n_rows * c->row_bytes);
    if (c->original)
        compare(c, rows, c->original, n_rows, NULL);
}

static ae_status write_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes, ae_error *err)
{
    encoding *e = opaque;

    e->n_bytes += n_bytes + 18 + (index >= 128);
    return !e->writer ? AE_OK : ae_container_write_tile(e->writer, e->kind, index, data, n_bytes, err);
}

static void show_progress(void *opaque, double done)
{
    const encoding *e = opaque;

    if (e->progress)
        cli_item_progress(e->progress, done, done * (double)e->c->info.width * (double)e->c->info.height * 1e-6);
}

ae_status compress_write_meta(const compressed *c, const compress_options *o, ae_container_writer *writer, ae_error *err)
{
    ae_meta kept = {0};
    ae_status st = AE_OK;

    for (size_t i = 0; i < c->reader.meta.n_items && st == AE_OK; i++) {
        const ae_meta_item *m = &c->reader.meta.items[i];

        if (o->meta_kinds >> m->kind & 1)
            st = ae_meta_add(&kept, m->kind, m->key, m->value, m->n_bytes, err);
    }
    if (st == AE_OK)
        st = ae_container_write_meta(writer, &kept, err);
    ae_meta_clear(&kept);
    return st;
}

/* ---- by the network ---- the picture is read once for the colours, once for alpha, and once beside what decoding gives */

ae_status compress_read_again(compressed *c, ae_error *err)
{
    c->flat = false;
    c->band_rows = c->band_at = 0;
    c->band_y = 0;
    ae_reader_close(&c->reader);
    return open_reader(c, err);
}

ae_status compress_start_again(compressed *c, ae_error *err)
{
    ae_status st = AE_OK;

    ae_sample_hash_free(c->hash);
    c->squares = c->samples = 0;
    if (!(c->hash = ae_sample_hash_create()))
        return ae_fail(err, AE_ERR_NOMEM, "a hash");
    if (c->similarity) {
        ae_similarity_free(c->similarity);
        st = ae_similarity_create((uint32_t)c->info.width, &c->similarity, err);
    }
    return st == AE_OK ? compress_read_again(c, err) : st;
}

static ae_status keep_tile(void *opaque, uint32_t index, const void *data, size_t n_bytes, ae_error *err)
{
    compressed *c = ((encoding *)opaque)->c;
    ae_status st = write_tile(opaque, index, data, n_bytes, err);

    if (st != AE_OK)
        return st;
    if (!(c->tiles[index].data = ae_alloc(n_bytes + 1, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a coded tile");
    memcpy(c->tiles[index].data, data, n_bytes);
    c->tiles[index].n = n_bytes;
    return AE_OK;
}

static ae_status get_tile(void *opaque, uint32_t index, const void **data, size_t *n_bytes, ae_error *err)
{
    compressed *c = ((encoding *)opaque)->c;

    (void)err;
    *data = c->tiles[index].data;
    *n_bytes = c->tiles[index].n;
    return AE_OK;
}

static ae_status get_patch(void *opaque, uint32_t index, const void **data, size_t *n_bytes, ae_error *err)
{
    compressed *c = ((encoding *)opaque)->c;

    (void)err;
    *data = c->patches[index].n ? c->patches[index].data : NULL;
    *n_bytes = c->patches[index].n;
    return AE_OK;
}

/* Colours as decoded beside the picture as read: alpha goes from here to there. */
static ae_status take_colours(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    encoding *e = opaque;
    compressed *c = e->c;
    size_t sample = ae_sample_bytes(c->info.sample), whole = sample * c->info.channels,
           colours = whole - (c->info.alpha ? sample : 0);
    size_t width = (size_t)c->info.width;

    for (uint32_t y = 0; y < n_rows; y++) {
        uint8_t *original = c->original, *joined = c->original + c->row_bytes;
        ae_status st = read_and_keep(opaque, joined, 1, err);

        memcpy(e->made, (const uint8_t *)rows + y * width * colours, width * colours);
        if (st != AE_OK || (st = patches_apply(e->patches, e->made, 1, err)) != AE_OK)
            return st;
        for (size_t x = 0; x < width; x++)
            memcpy(joined + x * whole, e->made + x * colours, colours);
        ae_sample_hash_add(c->hash, joined, c->row_bytes);
        compare(c, joined, original, 1, e->squares);
        if (e->map)
            error_map_add(e->map, e->squares);
    }
    return AE_OK;
}

static ae_coder_picture picture_of(const compressed *c)
{
    return (ae_coder_picture){(uint32_t)c->info.width, (uint32_t)c->info.height, c->info.channels < 3 ? 1 : 3, c->info.sample,
                              c->info.bits};
}

ae_status compress_analyse(encoding *e, const compress_options *o, uint32_t threads, uint32_t most_tiles, ae_analysis **out,
                           ae_error *err)
{
    ae_encode_options encode = {.effort = o->effort, .threads = threads, .cancel = &cli_cancel};
    ae_row_source source = {e->c->info, e, read_rows};
    ae_status st = compress_read_again(e->c, err);

    return st == AE_OK ? ae_analyse(o->coder, &encode, &source, most_tiles, out, err) : st;
}

ae_status compress_colours(encoding *e, const compress_options *o, uint32_t threads, const ae_analysis *analysis, uint32_t every,
                           ae_error *err)
{
    compressed *c = e->c;
    ae_encode_options encode = {.quality = c->item.quality,
                                .effort = o->effort,
                                .threads = threads,
                                .cancel = &cli_cancel,
                                .opaque = e,
                                .progress = show_progress};
    ae_row_source source = {c->info, e, read_rows};
    ae_tile_sink keep = {e, keep_tile};

    free_tiles(&c->tiles, c->n_tiles);
    for (uint32_t i = 0; i < c->n_tiles && !c->flat; i++)
        c->flat = compress_is_patched(c, i);
    if (!(c->tiles = ae_alloc(c->n_tiles, sizeof(*c->tiles))))
        return ae_fail(err, AE_ERR_NOMEM, "coded tiles");
    return analysis ? ae_encode_analysis(analysis, &encode, every, &keep, err) : ae_encode(o->coder, &encode, &source, &keep, err);
}

double compress_share(const compressed *c)
{
    uint32_t width = (uint32_t)c->info.width, height = (uint32_t)c->info.height, n_x = (width + AE_CODER_TILE - 1) / AE_CODER_TILE;
    double pixels = 0;

    for (uint32_t i = 0; i < c->n_tiles; i++) {
        uint32_t w = width - i % n_x * AE_CODER_TILE, h = height - i / n_x * AE_CODER_TILE;

        if (c->tiles[i].data)
            pixels += (double)(w < AE_CODER_TILE ? w : AE_CODER_TILE) * (h < AE_CODER_TILE ? h : AE_CODER_TILE);
    }
    return pixels / ((double)width * height);
}

ae_status compress_alpha(encoding *e, uint32_t threads, ae_error *err)
{
    ae_samples_options alpha = {.threads = threads, .alpha_only = true, .cancel = &cli_cancel};
    ae_row_source source = {e->c->info, e, read_rows};
    ae_tile_sink sink = {e, write_tile};
    ae_status st;

    if (!e->c->info.alpha)
        return AE_OK;
    e->kind = AE_TILE_ALPHA;
    return (st = compress_read_again(e->c, err)) == AE_OK ? ae_samples_encode(&alpha, &source, &sink, err) : st;
}

ae_status compress_compare(encoding *e, const compress_options *o, uint32_t threads, ae_error *err)
{
    ae_coder_picture picture = picture_of(e->c);
    ae_decode_options decode = {.quality = e->c->item.quality, .threads = threads, .cancel = &cli_cancel};
    ae_tile_source tiles = {e, get_tile};
    ae_row_sink colours = {e, take_colours};
    patches over = {.info = e->c->info, .threads = threads, .cancel = &cli_cancel, .opaque = e, .read = get_patch};
    ae_status st = compress_read_again(e->c, err);

    over.info.channels = picture.planes;
    over.info.alpha = false;
    e->patches = &over;
    e->made = ae_alloc(1, ae_row_bytes(&over.info));
    e->squares = ae_alloc((size_t)e->c->info.width, sizeof(*e->squares));
    if (st == AE_OK)
        st = e->made && e->squares ? ae_decode(o->coder, &picture, &decode, &tiles, &colours, err)
                                   : ae_fail(err, AE_ERR_NOMEM, "a row");
    patches_clear(&over);
    ae_free(e->made);
    ae_free(e->squares);
    e->patches = NULL;
    return st;
}

ae_status compress_samples(encoding *e, uint32_t threads, ae_error *err)
{
    ae_samples_options options = {.bound = e->c->bound, .bounds = e->c->by_tile ? e->c->bounds : NULL, .threads = threads,
                                  .cancel = &cli_cancel, .opaque = e,
                                  .progress = show_progress, .decoded = take_decoded};
    ae_row_source source = {e->c->info, e, read_and_keep};
    ae_tile_sink sink = {e, write_tile};

    return ae_samples_encode(&options, &source, &sink, err);
}

ae_status compress_write_coded(encoding *e, const struct coded_tile *tiles, ae_tile_kind kind, ae_error *err)
{
    ae_status st = AE_OK;

    e->kind = kind;
    for (uint32_t i = 0; i < e->c->n_tiles && st == AE_OK; i++)
        if (tiles[i].n)
            st = write_tile(e, i, tiles[i].data, tiles[i].n, err);
    return st;
}

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

/* Until what the network has coded keeps the word of its quality. */
ae_status compress_by_word(encoding *e, const compress_options *o, uint32_t threads, ae_error *err)
{
    compressed *c = e->c;
    uint32_t network, broken = 1;
    error_map map = {0};
    ae_status st;

    compress_forget_patches(c);
    st = choose_tiles(c, o, threads, &network, err);

    while (st == AE_OK && network && broken) {
        if ((st = compress_start_again(c, err)) != AE_OK || (st = compress_colours(e, o, threads, NULL, 1, err)) != AE_OK ||
            (st = error_map_open(&map, (uint32_t)c->info.width, (uint32_t)c->info.height, c->info.channels - c->info.alpha, err)) !=
                AE_OK)
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
    return st;
}

static ae_status write_network(encoding *e, const compress_options *o, uint32_t threads, ae_error *err)
{
    compressed *c = e->c;
    ae_status st;

    if (!(c->samples > 0) && (st = compress_compare(e, o, threads, err)) != AE_OK)
        return st;
    if ((st = compress_write_coded(e, c->tiles, AE_TILE_COLOURS, err)) != AE_OK ||
        (st = compress_write_coded(e, c->patches, AE_TILE_PATCH, err)) != AE_OK)
        return st;
    return compress_alpha(e, threads, err);
}

ae_status compress_item(compressed *c, const compress_options *o, const cli_item *progress, uint32_t threads, const char *name,
                        ae_container_writer *writer, ae_error *err)
{
    encoding e = {.c = c, .progress = progress};
    bool coded = false;
    ae_status st = AE_OK;

    if (compress_has_target(o))
        st = target_choose(c, o, threads, name, &coded, err);
    else if (c->item.coding == AE_ITEM_NETWORK)
        st = compress_by_word(&e, o, threads, err);
    if (st != AE_OK)
        return st;
    e.writer = writer;
    c->item.name = (char *)(uintptr_t)name; /* only read */
    if ((st = ae_container_begin(writer, &c->item, err)) != AE_OK)
        return st;
    if (c->item.coding == AE_ITEM_NETWORK)
        st = write_network(&e, o, threads, err);
    else if (!c->lossy || (st = compress_start_again(c, err)) == AE_OK)
        st = compress_samples(&e, threads, err);
    if (st != AE_OK || (st = compress_write_meta(c, o, writer, err)) != AE_OK)
        return st;
    ae_sample_hash_get(c->hash, c->digest);
    return ae_container_end(writer, c->digest, err);
}

void compress_report(const compressed *c, const compress_options *o, cli_json *json, uint64_t n_bytes, uint64_t n_input)
{
    double pixels = (double)c->info.width * (double)c->info.height;

    (void)o;
    cli_json_number(json, "width", (double)c->info.width);
    cli_json_number(json, "height", (double)c->info.height);
    cli_json_number(json, "channels", c->info.channels);
    cli_json_string(json, "coding", c->item.coding == AE_ITEM_NETWORK ? "network" : c->item.quality ? "near-lossless" : "lossless");
    cli_json_number(json, "input_bytes", (double)n_input);
    cli_json_number(json, "bytes", (double)n_bytes);
    cli_json_number(json, "bpp", 8 * (double)n_bytes / pixels);
    cli_json_number(json, "psnr", c->squares > 0 ? 10 * log10(255.0 * 255.0 * c->samples / c->squares) : INFINITY);
    cli_json_number(json, "ms_ssim", c->squares <= 0 ? 1 : c->similarity ? ae_similarity_value(c->similarity) : NAN);
}

ae_status compress_model(const compress_options *o, ae_container_writer *writer, ae_error *err)
{
    const void *program;
    size_t n;

    if (!o->embed || !o->coder)
        return AE_OK;
    program = ae_coder_program(o->coder, &n);
    return ae_container_write_model(writer, program, n, err);
}

/* ---- one file ---- */

ae_status compress_verify(int fd, uint64_t first, const compress_options *o, uint32_t threads, ae_error *err)
{
    aecfile_options options = {.model = o->model, .threads = threads};
    ae_item *items = NULL;
    size_t n = 0;
    aecfile f;
    ae_status st = aecfile_open_descriptor(&f, fd, err);

    if (st == AE_OK && ae_container_complaint(f.container))
        st = ae_fail(err, AE_ERR_MALFORMED, "%s", ae_container_complaint(f.container));
    if (st == AE_OK)
        st = ae_container_list(f.container, &items, &n, err);
    for (size_t i = 0; i < n && st == AE_OK; i++) {
        bool checked = false;

        if (items[i].number >= first && (st = aecfile_decode(&f, &items[i], &options, NULL, &checked, err)) == AE_OK && !checked)
            st = ae_fail(err, AE_ERR_INTERNAL, "%s has no hash", items[i].name);
    }
    ae_items_free(items, n);
    aecfile_close(&f);
    return st == AE_OK || st == AE_ERR_CANCELLED ? st : picture_name_file("verifying", st, err);
}

/* The name an item gets that is alone in its file. */
static const char *own_name(const char *input)
{
    const char *slash = strrchr(input, '/'), *base = slash ? slash + 1 : input;

    return strcmp(input, "-") != 0 && ae_item_name_is_safe(base) ? base : "";
}

ae_status compress_file(void *opaque, const cli_item *item, ae_error *err)
{
    const compress_options *o = opaque;
    ae_container_writer *writer = NULL;
    ae_output *output = NULL;
    bool standard = strcmp(item->output, "-") == 0;
    uint64_t n_bytes = 0;
    compressed c;
    ae_status st = compress_open(&c, o, item->input, err);

    if (st != AE_OK)
        goto done;
    if ((st = ae_output_open(item->output, standard ? NULL : item->input, picture_output_flags(&o->batch), &output, err)) !=
            AE_OK ||
        (st = ae_container_create(ae_output_sink(output), &writer, err)) != AE_OK) {
        st = picture_name_file(item->output, st, err);
        goto done;
    }
    if ((st = compress_model(o, writer, err)) != AE_OK ||
        (st = compress_item(&c, o, item, item->threads, own_name(item->input), writer, err)) != AE_OK ||
        (st = ae_container_finish(writer, err)) != AE_OK)
        goto done;
    n_bytes = ae_container_written(writer);
    /* before it takes the place of what was there */
    if (o->verify && ae_output_descriptor(output) >= 0 &&
        ((st = ae_output_flush(output, err)) != AE_OK ||
         (st = compress_verify(ae_output_descriptor(output), 0, o, item->threads, err)) != AE_OK))
        goto done;
    st = picture_name_file(item->output, ae_output_commit(output, err), err);
    output = NULL;
    if (st != AE_OK)
        goto done;
    if (*c.reader.note)
        cli_item_note(item, "%s", c.reader.note);
    if (c.reader.info.sample != c.info.sample)
        cli_item_note(item, "floating-point samples rounded to 16 bits, within 0 and 1");
    cli_item_progress(item, 1, (double)c.info.width * (double)c.info.height * 1e-6);
    compress_report(&c, o, item->json, n_bytes, ae_source_size(c.source));
    if (o->batch.verbose)
        cli_item_note(item, "%llu x %llu, %llu -> %llu bytes, %.3f bits a pixel", (unsigned long long)c.info.width,
                      (unsigned long long)c.info.height, (unsigned long long)ae_source_size(c.source), (unsigned long long)n_bytes,
                      8 * (double)n_bytes / ((double)c.info.width * (double)c.info.height));
done:
    ae_container_writer_free(writer);
    ae_output_discard(output);
    compress_close(&c);
    return st;
}
