/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A picture as it is read for coding: converted, and made easy where nobody looks. */
#include <math.h>
#include <string.h>

#include "encoding.h"

enum { BAND = AE_CODER_TILE };
#define MOST_KEPT ((uint64_t)64 << 20)

bool compress_has_target(const compress_options *o)
{
    return o->target_size || o->target_bpp > 0 || o->target_psnr > 0 || o->target_bitrate > 0;
}

double compress_bound_of(const compress_options *o)
{
    if (compress_has_target(o))
        return o->coder ? -1 : 0;
    if (o->lossless || o->quality == 100)
        return 0;
    if (o->near_lossless >= 0)
        return o->near_lossless;
    /* at most 1: with any more, smooth pictures would be worse than by the network */
    return o->quality > COMPRESS_NETWORK_MAX
               ? (100.0 - o->quality) / (100 - COMPRESS_NETWORK_MAX - 1)
               : -1;
}

uint16_t compress_bound(const compress_options *o)
{
    return compress_has_target(o) ? 0 : (uint16_t)lround(3 * fmax(compress_bound_of(o), 0));
}

void compress_within(compressed *c, double bound)
{
    uint32_t full = c->info.sample == AE_U8 ? 255 : 65535;

    c->bound = (uint32_t)lround(bound * (AE_BOUND_ONE * full / 255));
    c->item.coding = AE_ITEM_SAMPLES;
    c->item.quality = (uint16_t)fmin(ceil(c->bound * 3.0 / AE_BOUND_ONE), 65535);
}

/* What does not take along how a picture is to be turned takes it turned. */
static ae_status turn(compressed *c, ae_error *err)
{
    return c->upright && c->reader.info.kind == AE_KIND_IMAGE
               ? ae_reader_turn_upright(&c->reader, err)
               : AE_OK;
}

static ae_status stand_at_picture(compressed *c, ae_error *err)
{
    ae_status st = ae_reader_picture(&c->reader, c->picture, err);

    return st == AE_OK ? turn(c, err) : st;
}

static ae_status open_sound(compressed *c, const compress_options *o, ae_error *err)
{
    ae_signal_info *info = &c->info;
    bool floats = c->reader.info.sample == AE_F32 || c->reader.info.sample == AE_F64;

    c->sound = true;
    *info = c->reader.info;
    info->width = 1;
    if (o->target_bpp > 0 || o->target_psnr > 0)
        return ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "is a sound: bits a pixel and dB to aim at are for pictures, --target-bitrate "
            "and --target-size for sounds");
    if (o->near_lossless >= 1 && floats)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "floating-point sound is kept without loss only: --near-lossless counts "
                       "steps of whole numbers");
    c->bound = o->near_lossless > 0 ? (uint32_t)o->near_lossless : 0;
    c->item = (ae_item){.info = *info, .quality = (uint16_t)c->bound, .tile = ae_sounds_tile(info)};
    if (!o->lossless && o->near_lossless < 0 && o->quality < 100) {
        c->item.coding = AE_ITEM_SPECTRA;
        c->item.block = ae_sounds_block(info, c->item.tile);
        c->item.quality = (uint16_t)(o->quality * AE_SOUNDS_QUALITY);
    }
    c->row_bytes = ae_row_bytes(info);
    if (!(c->hash = ae_sample_hash_create()))
        return ae_fail(err, AE_ERR_NOMEM, "a tile of sound");
    return AE_OK;
}

/* Bytes that a picture may take which is kept for the next time it is read. */
static uint64_t most_kept(void)
{
    uint64_t share = ae_memory_left() / 8;

    return share < MOST_KEPT ? share : MOST_KEPT;
}

/* How the picture that the reader stands at is coded. */
static ae_status open_picture(compressed *c, const compress_options *o, ae_error *err)
{
    double bound = compress_bound_of(o);
    ae_signal_info *info = &c->info;

    *info = c->reader.info;
    if (o->target_bitrate > 0)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "is a picture: --target-bitrate is for sounds");
    /* floats are kept where nothing is lost */
    if (info->sample != AE_U8 && info->sample != AE_U16 && (bound != 0 || compress_has_target(o))) {
        info->sample = AE_U16;
        info->bits = 16;
    }
    c->row_bytes = ae_row_bytes(info);
    c->item = (ae_item){.info = *info,
                        .orientation = (uint8_t)ae_meta_orientation(&c->reader.meta)};
    if (bound < 0) {
        double beyond = fmax((double)o->quality - COMPRESS_TRAINED, 0);

        c->item.coding = AE_ITEM_NETWORK;
        c->item.quality = (uint16_t)lround(
            (o->quality - beyond) / COMPRESS_TRAINED * AE_QUALITY_ONE +
            beyond / (COMPRESS_NETWORK_MAX - COMPRESS_TRAINED) * COMPRESS_FURTHER);
        ae_coder_identity(o->coder, c->item.identity);
    } else {
        compress_within(c, bound);
    }
    if ((info->sample != c->reader.info.sample &&
         !(c->read_band = ae_alloc(BAND, ae_row_bytes(&c->reader.info)))) ||
        ((bound < 0 || c->item.quality || compress_has_target(o)) &&
         !(c->original = ae_alloc(BAND + 1, c->row_bytes))) ||
        !(c->hash = ae_sample_hash_create()))
        return ae_fail(err, AE_ERR_NOMEM, "a band of rows");
    c->n_tiles = ae_coder_tiles(
        &(ae_coder_picture){.width = (uint32_t)info->width, .height = (uint32_t)info->height});
    c->lossy = bound < 0;
    /* without memory for it, the picture is decoded each time */
    if (c->lossy && info->height <= most_kept() / c->row_bytes)
        c->kept = ae_alloc(info->height, c->row_bytes);
    if (c->lossy && (!(c->patches = ae_alloc(c->n_tiles, sizeof(*c->patches))) ||
                     !(c->bounds = ae_alloc(c->n_tiles, sizeof(*c->bounds)))))
        return ae_fail(err, AE_ERR_NOMEM, "%u tiles", c->n_tiles);
    if (!o->batch.json || !c->original)
        return AE_OK;
    if (!(c->luma = ae_alloc((size_t)info->width, 2 * sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "two rows");
    return ae_similarity_create((uint32_t)info->width, &c->similarity, err);
}

/* Whether columns of a table hold words, which the adapter says among the metadata. */
static bool has_words(const ae_meta *meta)
{
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *m = &meta->items[i];

        if (m->kind == AE_META_TEXT && strcmp(m->key, "Table") == 0)
            return strstr((char *)m->value, "\n-w") || strstr((char *)m->value, "\nqw");
    }
    return false;
}

static ae_status open_array(compressed *c, const compress_options *o, ae_error *err)
{
    const ae_signal_info *info = &c->reader.info;
    bool floats = info->sample == AE_F16 || info->sample == AE_F32 || info->sample == AE_F64;
    double steps = o->near_lossless > 0 ? floor(o->near_lossless) : 0;

    c->array = true;
    c->info = *info;
    c->item = (ae_item){.info = *info};
    if (compress_has_target(o))
        return ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "arrays are kept without loss or within an error: sizes and qualities to aim at "
            "are for pictures");
    if (steps > 0 && floats)
        return ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "--near-lossless counts steps of whole numbers; --max-error says by how much "
            "floats may differ");
    if (o->max_relative > 0 && !floats)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "--max-relative-error is for floats; --max-error says by how much whole "
                       "numbers may differ");
    if (o->max_relative > 0)
        c->item.quality = AE_ARRAY_RELATIVE;
    else if (info->sample != AE_BOOL &&
             (floats ? o->max_error > 0 : fmax(o->max_error, steps) >= 1))
        c->item.quality = AE_ARRAY_ABSOLUTE;
    if (c->item.quality)
        c->item.error = o->max_relative > 0 ? o->max_relative : fmax(o->max_error, steps);
    if (c->item.quality && has_words(&c->reader.meta))
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "a table with words is kept without loss: an error would exchange them");
    if (!ae_arrays_known(info))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "an array of a type or size that cannot be stored");
    c->row_bytes = ae_row_bytes(info);
    return (c->hash = ae_sample_hash_create()) ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "an array");
}

ae_status compress_open(compressed *c, const compress_options *o, const char *path, ae_error *err)
{
    ae_status st;

    *c = (compressed){
        .n_pictures = 1, .picture = 1, .upright = !(o->meta_kinds >> AE_META_EXIF & 1)};
    if ((st = ae_source_open(path, &c->source, err)) != AE_OK ||
        (st = ae_reader_open(c->source, &picture_limits, &c->reader, err)) != AE_OK)
        return st;
    if (c->reader.info.kind == AE_KIND_AUDIO)
        return open_sound(c, o, err);
    if (c->reader.info.kind == AE_KIND_TENSOR)
        return open_array(c, o, err);
    if (compress_bound_of(o) < 0 && !o->coder)
        return ae_fail(
            err, AE_ERR_ARGUMENT,
            "is a picture, not what its name says, and the codec for it was not looked for; "
            "--lossless needs none");
    if ((st = ae_reader_expect(&c->reader, AE_KIND_IMAGE, err)) != AE_OK ||
        (st = picture_count(&c->reader, o->first, true, &c->n_pictures, err)) != AE_OK ||
        (st = turn(c, err)) != AE_OK)
        return st;
    return open_picture(c, o, err);
}

void compress_free_tiles(struct coded_tile **tiles, uint32_t n)
{
    for (uint32_t i = 0; i < n && *tiles; i++)
        ae_free((*tiles)[i].data);
    ae_free(*tiles);
    *tiles = NULL;
}

/* What belongs to one picture. */
static void close_picture(compressed *c)
{
    compress_free_tiles(&c->tiles, c->n_tiles);
    compress_free_tiles(&c->patches, c->n_tiles);
    ae_free(c->bounds);
    ae_sample_hash_free(c->hash);
    ae_similarity_free(c->similarity);
    spread_free(c->spread);
    ae_free(c->band);
    ae_free(c->above);
    ae_free(c->luma);
    ae_free(c->read_band);
    ae_free(c->kept);
    ae_free(c->original);
    *c = (compressed){.source = c->source,
                      .reader = c->reader,
                      .upright = c->upright,
                      .n_pictures = c->n_pictures,
                      .picture = c->picture,
                      .fields = c->fields};
}

ae_status compress_picture(compressed *c, const compress_options *o, uint32_t n, ae_error *err)
{
    ae_status st;

    close_picture(c);
    c->picture = n;
    st = stand_at_picture(c, err);
    return st == AE_OK ? open_picture(c, o, err) : st;
}

void compress_close(compressed *c)
{
    close_picture(c);
    ae_reader_close(&c->reader);
    ae_source_free(c->source);
}

/* Rows from the file. */
static ae_status decode(compressed *c, void *rows, uint32_t n_rows, ae_error *err)
{
    ae_status st = AE_OK;

    if (!c->read_band)
        return ae_reader_read(&c->reader, rows, n_rows, err);
    for (uint32_t done = 0, n; done < n_rows && st == AE_OK; done += n) {
        n = n_rows - done < BAND ? n_rows - done : BAND;
        if ((st = ae_reader_read(&c->reader, c->read_band, n, err)) == AE_OK)
            ae_rows_convert(&c->reader.info, c->read_band, &c->info,
                            (uint8_t *)rows + done * c->row_bytes, n);
    }
    return st;
}

/* Rows as the file has them: those that were kept, then from the file. */
static ae_status read_file(compressed *c, void *rows, uint32_t n_rows, ae_error *err)
{
    uint64_t there = c->kept_rows - c->kept_at;
    uint32_t n = there < n_rows ? (uint32_t)there : n_rows;
    uint8_t *behind = (uint8_t *)rows + n * c->row_bytes;
    ae_status st = AE_OK;

    if (!c->kept)
        return decode(c, rows, n_rows, err);
    memcpy(rows, c->kept + c->kept_at * c->row_bytes, n * c->row_bytes);
    if (n < n_rows && (st = decode(c, behind, n_rows - n, err)) == AE_OK) {
        memcpy(c->kept + c->kept_rows * c->row_bytes, behind, (n_rows - n) * c->row_bytes);
        c->kept_rows += n_rows - n;
    }
    c->kept_at += st == AE_OK ? n_rows : 0;
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
                ty && !compress_is_patched(c, index - across) ? c->above + (size_t)tx * BAND * pixel
                                                              : NULL,
                tx && !compress_is_patched(c, index - 1) ? at - pixel : NULL,
                tx + 1 < across && !compress_is_patched(c, index + 1) ? at + BAND * pixel : NULL);
}

static ae_status fill_band(compressed *c, ae_error *err)
{
    uint32_t across = (uint32_t)((c->info.width + BAND - 1) / BAND),
             ty = (uint32_t)(c->band_y / BAND);
    uint64_t left = c->info.height - c->band_y;
    size_t pixel = c->row_bytes / (size_t)c->info.width;
    ae_status st;

    if (!c->spread && (!(c->spread = spread_create()) || !(c->above = ae_alloc(1, c->row_bytes)) ||
                       !(c->band = ae_alloc(c->info.height < BAND ? (size_t)c->info.height : BAND,
                                            c->row_bytes))))
        return ae_fail(err, AE_ERR_NOMEM, "a row of tiles");
    c->band_rows = left < BAND ? (uint32_t)left : BAND;
    c->band_at = 0;
    if ((st = read_file(c, c->band, c->band_rows, err)) != AE_OK)
        return st;
    for (uint32_t tx = 0; tx < across; tx++) {
        uint32_t width = tx + 1 < across ? BAND : (uint32_t)c->info.width - tx * BAND;

        if (c->info.alpha)
            spread_hidden(c->spread, &c->info, c->band + (size_t)tx * BAND * pixel, c->row_bytes,
                          width, c->band_rows);
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
        memcpy((uint8_t *)rows + done * c->row_bytes, c->band + c->band_at * c->row_bytes,
               n * c->row_bytes);
        c->band_at += n;
    }
    return st;
}

ae_status compress_read_again(compressed *c, ae_error *err)
{
    c->flat = false;
    c->band_rows = c->band_at = 0;
    c->band_y = 0;
    c->kept_at = 0;
    return c->kept ? AE_OK : stand_at_picture(c, err);
}
