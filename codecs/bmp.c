/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BMP's density, and writing it: 8-bit grey as a palette, 24-bit colour, 32 bits with alpha; rows
 * from the bottom up, padded to four bytes. */
#include <string.h>

#include "adapter.h"

typedef struct bmp_state {
    aei_spool spool;
    uint64_t pixels_at, y, height;
    size_t row_bytes;
    uint8_t *row;
} bmp_state;

void aei_bmp_accepts(ae_signal_info *info, char note[160])
{
    if (info->sample != AE_U8)
        aei_note(note, "samples rounded to 8 bits");
    info->sample = AE_U8;
    info->bits = 8;
    if (info->channels == 2)
        info->channels = 4;
}

static void bmp_free_state(bmp_state *s)
{
    if (!s)
        return;
    aei_spool_close(&s->spool);
    ae_free(s->row);
    ae_free(s);
}

static void put_le(uint8_t *p, unsigned n_bytes, uint64_t v)
{
    for (unsigned i = 0; i < n_bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_le(const uint8_t *p, unsigned n_bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < n_bytes; i++)
        v |= (uint32_t)p[i] << 8 * i;
    return v;
}

bool aei_bmp_is_complete(const uint8_t *file, size_t n_bytes)
{
    bool old = n_bytes >= 26 && file[14] == 12;
    uint64_t row, rows;
    int64_t height;

    if (n_bytes < (old ? 26 : 54))
        return false;
    if (!old && get_le(file + 30, 4) != 0 && get_le(file + 30, 4) != 3)
        return true;
    height = old ? (int64_t)get_le(file + 20, 2) : (int32_t)get_le(file + 22, 4);
    row = ((uint64_t)get_le(file + 18, old ? 2 : 4) * get_le(file + (old ? 24 : 28), 2) + 31) / 32 *
          4;
    rows = (uint64_t)(height < 0 ? -height : height);
    return row == 0 || (rows <= n_bytes / row && get_le(file + 10, 4) + row * rows <= n_bytes);
}

ae_status aei_bmp_density(ae_source *source, ae_meta *meta, ae_error *err)
{
    uint8_t head[46];

    if (!ae_source_seek(source, 0) || ae_source_read(source, head, sizeof(head)) != sizeof(head) ||
        head[14] < 40)
        return AE_OK; /* the oldest header has none */
    return aei_add_density(meta, get_le(head + 38, 4), get_le(head + 42, 4), err);
}

/* File header, then the 40 bytes that everybody reads; alpha needs the 108 that name the channels.
 * Returns its length. */
static size_t make_header(const bmp_state *s, const ae_signal_info *info, const ae_meta *meta,
                          uint8_t head[1200])
{
    size_t dib = info->alpha ? 108 : 40, colours = info->channels == 1 ? 256 : 0,
           n = 14 + dib + 4 * colours;
    uint64_t n_pixels = s->height * s->row_bytes;
    uint32_t x, y;

    memset(head, 0, 1200);
    memcpy(head, "BM", 2);
    put_le(head + 2, 4, n + n_pixels);
    put_le(head + 10, 4, n);
    put_le(head + 14, 4, dib);
    put_le(head + 18, 4, info->width);
    put_le(head + 22, 4, info->height);
    put_le(head + 26, 2, 1);
    put_le(head + 28, 2, 8 * info->channels);
    put_le(head + 30, 4, info->alpha ? 3 : 0);
    put_le(head + 34, 4, n_pixels);
    if (aei_get_density(meta, &x, &y)) {
        put_le(head + 38, 4, x);
        put_le(head + 42, 4, y);
    }
    put_le(head + 46, 4, colours);
    if (info->alpha) {
        for (unsigned c = 0; c < 4; c++)
            put_le(head + 54 + 4 * c, 4, UINT64_C(0xff) << (c < 3 ? 16 - 8 * c : 24));
        memcpy(head + 70, "BGRs", 4); /* sRGB */
    }
    for (size_t i = 0; i < colours; i++)
        memset(head + 54 + 4 * i, (int)i, 3);
    return n;
}

ae_status aei_bmp_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                         const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    bmp_state *s;
    uint8_t head[1200];
    ae_status st;

    (void)options;
    if (info->width > INT32_MAX || info->height > INT32_MAX ||
        info->height > (UINT32_MAX - 1200) / (ae_row_bytes(info) + 3))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "BMP holds at most 4 GiB");
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "BMP encoder");
    s->spool.fd = -1;
    s->height = info->height;
    s->row_bytes = (ae_row_bytes(info) + 3) & ~(size_t)3;
    s->row = ae_alloc(s->row_bytes, 1);
    st = s->row ? aei_spool_open(&s->spool, sink, true, err)
                : ae_fail(err, AE_ERR_NOMEM, "a row of %zu bytes", s->row_bytes);
    s->pixels_at = make_header(s, info, meta, head);
    if (st == AE_OK)
        st = aei_spool_write(&s->spool, head, (size_t)s->pixels_at, err);
    if (st != AE_OK) {
        bmp_free_state(s);
        return st;
    }
    aei_note_dropped(meta, 1u << AE_META_DENSITY, writer->note);
    writer->state = s;
    return AE_OK;
}

ae_status aei_bmp_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    bmp_state *s = writer->state;
    uint32_t channels = writer->info.channels;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < n_rows && st == AE_OK; i++, s->y++) {
        const uint8_t *from = (const uint8_t *)rows + i * ae_row_bytes(&writer->info);

        memcpy(s->row, from, ae_row_bytes(&writer->info));
        for (uint64_t x = 0; channels >= 3 && x < writer->info.width; x++) {
            s->row[x * channels] = from[x * channels + 2];
            s->row[x * channels + 2] = from[x * channels];
        }
        st = aei_spool_seek(&s->spool, s->pixels_at + (s->height - 1 - s->y) * s->row_bytes, err);
        if (st == AE_OK)
            st = aei_spool_write(&s->spool, s->row, s->row_bytes, err);
    }
    return st;
}

ae_status aei_bmp_finish(ae_writer *writer, ae_error *err)
{
    bmp_state *s = writer->state;
    ae_status st = aei_spool_finish(&s->spool, err);

    bmp_free_state(s);
    return st;
}

void aei_bmp_abandon(ae_writer *writer)
{
    bmp_free_state(writer->state);
}
