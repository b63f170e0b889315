/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Patches over the rows that a network makes, a row of tiles at a time. */
#include "ae/archive.h"

#include <string.h>

enum { SHRINK = 8 /* of previews */ };

static uint32_t unit_of(const ae_patches *p)
{
    return p->preview ? SHRINK : 1;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The samples of a patch; that of a tile without samples is lost to the decoder, who leaves it
 * alone. */
static ae_status read_samples(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                              ae_error *err)
{
    ae_patches *p = opaque;
    uint32_t across = (uint32_t)((p->info.width + AE_CODER_TILE - 1) / AE_CODER_TILE);
    ae_status st;

    *data = NULL;
    *n_bytes = 0;
    if (!(p->flags[index % across - p->first] & AE_PATCH_SAMPLES))
        return AE_OK;
    if ((st = p->read(p->control.opaque, index, data, n_bytes, err)) == AE_OK) {
        *data = (const uint8_t *)*data + 1;
        --*n_bytes;
    }
    return st;
}

/* Tiles without samples are no loss. */
static void lose(void *opaque, uint32_t index, const char *why)
{
    ae_patches *p = opaque;
    uint32_t across = (uint32_t)((p->info.width + AE_CODER_TILE - 1) / AE_CODER_TILE);
    uint8_t *flags = &p->flags[index % across - p->first];

    if (!(*flags & AE_PATCH_SAMPLES))
        return;
    *flags = 0;
    if (p->control.lost)
        p->control.lost(p->control.opaque, index, why);
    else
        ae_fail(&p->damage, AE_ERR_MALFORMED, "a patch: %s", why);
}

static ae_status take_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    ae_patches *p = opaque;
    uint32_t unit = unit_of(p), width = least((uint32_t)p->info.width - p->first * AE_CODER_TILE,
                                              p->n_flags * AE_CODER_TILE);
    size_t n = (size_t)n_rows * ((width + unit - 1) / unit) * p->info.channels *
               ae_sample_bytes(p->info.sample);

    if (n > p->band_size - p->filled)
        return ae_fail(err, AE_ERR_INTERNAL, "more rows than a tile has");
    memcpy(p->band + p->filled, rows, n);
    p->filled += n;
    return AE_OK;
}

/* The patches of a row of tiles. */
static ae_status load(ae_patches *p, uint32_t row, ae_error *err)
{
    uint32_t across = (uint32_t)((p->info.width + AE_CODER_TILE - 1) / AE_CODER_TILE),
             unit = unit_of(p);
    ae_region r = p->region;
    uint32_t end = r.width ? (r.x + r.width + AE_CODER_TILE - 1) / AE_CODER_TILE : across, width,
             rows, any = 0;
    ae_samples_options options = {
        .region.y = row * AE_CODER_TILE,
        .preview = p->preview,
        .control = {p->control.threads, p->control.cancel, p, NULL, lose}};
    ae_tile_source source = {p, read_samples};
    ae_row_sink sink = {p, take_rows};
    ae_error why;
    ae_status st;

    p->first = p->region.width ? p->region.x / AE_CODER_TILE : 0;
    p->row = row;
    if (!p->flags && !(p->flags = ae_alloc(end - p->first, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a row of tiles");
    p->n_flags = end - p->first;
    for (uint32_t i = 0; i < p->n_flags; i++) {
        uint32_t index = row * across + p->first + i;
        const void *data = NULL;
        size_t n = 0;

        p->flags[i] = 0;
        if ((st = p->read(p->control.opaque, index, &data, &n, &why)) == AE_OK && data) {
            uint8_t flags = n ? *(const uint8_t *)data : 0;

            if (!n || !flags || flags > (AE_PATCH_GREY | AE_PATCH_SAMPLES) ||
                (flags & AE_PATCH_GREY && p->info.channels != 3))
                st = ae_fail(&why,
                             n && flags > (AE_PATCH_GREY | AE_PATCH_SAMPLES) ? AE_ERR_TOO_NEW
                                                                             : AE_ERR_MALFORMED,
                             "a patch of an unknown kind");
            else
                any |= p->flags[i] = flags;
        }
        if (st == AE_ERR_NOMEM || (st != AE_OK && !p->control.lost))
            return ae_fail(err, st, "%s", why.message);
        if (st != AE_OK)
            p->control.lost(p->control.opaque, index, why.message);
    }
    if (!(any & AE_PATCH_SAMPLES))
        return AE_OK;
    options.region.x = p->first * AE_CODER_TILE;
    options.region.width = width = least((uint32_t)p->info.width - options.region.x,
                                         p->n_flags * AE_CODER_TILE);
    options.region.height = rows = least((uint32_t)p->info.height - options.region.y,
                                         AE_CODER_TILE);
    p->band_size = (size_t)((width + unit - 1) / unit) * ((rows + unit - 1) / unit) *
                   p->info.channels * ae_sample_bytes(p->info.sample);
    p->filled = 0;
    ae_free(p->band);
    if (!(p->band = ae_alloc(p->band_size, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a row of tiles");
    p->damage = (ae_error){0};
    if ((st = ae_samples_decode(&p->info, &options, &source, &sink, err)) == AE_OK &&
        p->damage.status != AE_OK)
        st = ae_fail(err, p->damage.status, "%s", p->damage.message);
    return st;
}

static void make_grey(const ae_patches *p, uint8_t *row, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (p->info.sample == AE_U8) {
            uint8_t *v = row + 3 * (size_t)i;

            v[0] = v[1] = v[2] = (uint8_t)((v[0] + v[1] + v[2] + 1) / 3);
        } else {
            uint16_t *v = (uint16_t *)(void *)row + 3 * (size_t)i;

            v[0] = v[1] = v[2] = (uint16_t)((v[0] + v[1] + v[2] + 1) / 3);
        }
}

ae_status ae_patches_apply(ae_patches *p, void *rows, uint32_t n_rows, ae_error *err)
{
    uint32_t unit = unit_of(p), tile = AE_CODER_TILE / unit, x0 = p->region.x / unit,
             y0 = p->region.y / unit;
    uint32_t width = ((p->region.width ? p->region.width : (uint32_t)p->info.width) + unit - 1) /
                     unit;
    size_t pixel = p->info.channels * ae_sample_bytes(p->info.sample);

    for (uint32_t i = 0; i < n_rows; i++) {
        uint64_t y = y0 + p->done++;
        uint8_t *row = (uint8_t *)rows + (size_t)i * width * pixel;
        ae_status st;

        if ((!p->n_flags || y / tile != p->row) &&
            (st = load(p, (uint32_t)(y / tile), err)) != AE_OK)
            return st;
        for (uint32_t k = 0; k < p->n_flags; k++) {
            uint32_t left = (p->first + k) * tile, from = left > x0 ? left : x0,
                     end = least(left + tile, x0 + width);

            if (p->flags[k] & AE_PATCH_SAMPLES) {
                size_t across = (least((uint32_t)p->info.width - p->first * AE_CODER_TILE,
                                       p->n_flags * AE_CODER_TILE) +
                                 unit - 1) /
                                unit;

                end = least(end, p->first * tile + (uint32_t)across);
                memcpy(row + (from - x0) * pixel,
                       p->band + ((size_t)(y % tile) * across + from - p->first * tile) * pixel,
                       (end - from) * pixel);
            }
            if (p->flags[k] & AE_PATCH_GREY)
                make_grey(p, row + (from - x0) * pixel, end - from);
        }
    }
    return AE_OK;
}

void ae_patches_clear(ae_patches *p)
{
    ae_free(p->band);
    ae_free(p->flags);
    p->band = p->flags = NULL;
    p->n_flags = 0;
    p->done = 0;
}
