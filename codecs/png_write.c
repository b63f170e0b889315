/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing PNG, by rows. Metadata stand before the picture, where a reader that streams learns of
 * them in time; text that is ASCII alone goes into tEXt, all other into iTXt. */
#include <string.h>
#include <zlib.h>

#include "pngstate.h"

/* The first sixteenth of a picture of LARGE bytes or more, or so much of it as a trial may hold, is
 * packed in two ways to see which suits. */
enum { LARGE = 1 << 18, MAX_TRIAL = 1 << 20 };

static void on_write(png_structp png, png_bytep data, png_size_t n_bytes)
{
    png_state *s = png_get_io_ptr(png);

    if (s->status == AE_OK)
        s->status = s->sink->write(s->sink->opaque, data, n_bytes, s->err);
    if (s->status != AE_OK)
        png_error(png, "write error");
}

static void on_flush(png_structp png)
{
    (void)png;
}

void aei_png_accepts(ae_signal_info *info, char note[160])
{
    if (info->sample == AE_U8 || info->sample == AE_U16)
        return;
    aei_note(note, "float samples rounded to 16 bits");
    info->sample = AE_U16;
    info->bits = 16;
}

static bool is_ascii(const ae_meta_item *item)
{
    for (size_t i = 0; i < item->n_bytes; i++)
        if (item->value[i] >= 0x80)
            return false;
    return true;
}

/* A keyword in UTF-8 as PNG wants it: Latin-1 of 1 to 79 bytes. False where that cannot be. */
static bool make_keyword(const char *key, char out[80])
{
    size_t n = 0;

    for (const uint8_t *p = (const uint8_t *)key; *p; p++) {
        uint8_t c = *p;

        if (c >= 0xc2 && c <= 0xc3 && (p[1] & 0xc0) == 0x80)
            c = (uint8_t)(c << 6 | (*++p & 0x3f));
        else if (c >= 0x80)
            return false;
        if (n == 79 || c < 32 || (c > 126 && c < 161))
            return false;
        out[n++] = (char)c;
    }
    out[n] = 0;
    return n > 0 && out[0] != ' ' && out[n - 1] != ' ' && !strstr(out, "  ");
}

static void write_text(png_state *s, const ae_meta_item *item, char note[160])
{
    char key[80];
    png_text text = {
        .key = key, .text = (char *)item->value, .lang = (char *)"", .lang_key = (char *)""};

    if (!make_keyword(item->kind == AE_META_XMP ? AEI_PNG_XMP : item->key, key) ||
        memchr(item->value, 0, item->n_bytes)) {
        aei_note(note,
                 item->kind == AE_META_XMP ? "XMP dropped" : "a text that PNG cannot hold dropped");
        return;
    }
    if (item->kind == AE_META_XMP || !is_ascii(item)) {
        text.compression = PNG_ITXT_COMPRESSION_NONE;
        text.itxt_length = item->n_bytes;
    } else {
        text.compression = item->n_bytes > 1024 ? PNG_TEXT_COMPRESSION_zTXt
                                                : PNG_TEXT_COMPRESSION_NONE;
        text.text_length = item->n_bytes;
    }
    png_set_text(s->png, s->info, &text, 1);
}

/* Before setjmp, since what is allocated here is to be freed. */
static ae_status add_iptc(png_state *s, const ae_meta *meta)
{
    const ae_meta_item *item = ae_meta_find(meta, AE_META_IPTC);

    if (item && !(s->iptc = aei_make_raw_iptc(item)))
        return ae_fail(s->err, AE_ERR_NOMEM, "IPTC");
    return AE_OK;
}

static void write_meta(png_state *s, const ae_meta *meta, ae_writer *writer)
{
    uint32_t x, y;

    if (aei_get_density(meta, &x, &y))
        png_set_pHYs(s->png, s->info, x, y, PNG_RESOLUTION_METER);
    for (size_t i = 0; i < meta->n_items; i++) {
        ae_meta_item *item = &meta->items[i];

        if (item->kind == AE_META_EXIF)
            png_set_eXIf_1(s->png, s->info, (png_uint_32)item->n_bytes, item->value);
        else if (item->kind == AE_META_XMP || item->kind == AE_META_TEXT)
            write_text(s, item, writer->note);
    }
    if (s->iptc) {
        png_text text = {.compression = PNG_TEXT_COMPRESSION_zTXt,
                         .key = (char *)"Raw profile type iptc",
                         .text = s->iptc};

        png_set_text(s->png, s->info, &text, 1);
    }
}

static void write_structure(png_state *s, const ae_signal_info *info, uint32_t height)
{
    static const int colour[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                 PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};

    png_set_write_fn(s->png, s, on_write, on_flush);
    png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_compression_buffer_size(s->png, 1 << 16);
    /* photographs: twice as fast as 4 with its lazy matching, and smaller */
    png_set_compression_level(s->png, 2);
    png_set_IHDR(s->png, s->info, (png_uint_32)info->width, height, info->sample == AE_U16 ? 16 : 8,
                 colour[info->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
}

static void take_rows_as_here(png_structp png, const ae_signal_info *info)
{
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && info->sample == AE_U16)
        png_set_swap(png);
}

static ae_status write_header(png_state *s, const ae_meta *meta, ae_writer *writer)
{
    const ae_signal_info *info = &writer->info;

    if (setjmp(png_jmpbuf(s->png)))
        return s->status;
    png_set_benign_errors(s->png, 1); /* metadata that it dislikes are left out, with a warning */
    write_structure(s, info, (png_uint_32)info->height);
    write_meta(s, meta, writer);
    png_write_info_before_PLTE(s->png, s->info);
    aei_png_write_colour(s->png, meta, &s->profile, info);
    png_write_info(s->png, s->info);
    take_rows_as_here(s->png, info);
    return s->status;
}

static ae_status open_libpng(png_state *s)
{
    s->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, s, aei_png_error, aei_png_warning, s,
                                       aei_png_malloc, aei_png_release);
    s->info = s->png ? png_create_info_struct(s->png) : NULL;
    return s->info ? AE_OK : ae_fail(s->err, AE_ERR_NOMEM, "PNG encoder");
}

/* What smooth pictures repeat are runs of small differences, and strings that were the same by
 * chance cost more than they save: looking for runs alone makes what was enlarged or cleaned up to
 * a fifth smaller, in less time. What is drawn or woven repeats strings. */
static void look_for_runs(png_structp png)
{
    png_set_compression_strategy(png, Z_RLE);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_AVG | PNG_FILTER_PAETH);
}

static ae_status count_bytes(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    (void)data;
    (void)err;
    *(uint64_t *)opaque += n_bytes;
    return AE_OK;
}

static ae_status write_rows(png_state *s, const uint8_t *rows, uint64_t n_rows)
{
    if (s->status != AE_OK || setjmp(png_jmpbuf(s->png)))
        return s->status;
    for (uint64_t y = 0; y < n_rows; y++)
        png_write_row(s->png, rows + y * s->row_bytes);
    return s->status;
}

static ae_status end_file(png_state *s)
{
    if (s->status != AE_OK || setjmp(png_jmpbuf(s->png)))
        return s->status;
    png_write_end(s->png, NULL);
    return s->status;
}

static ae_status begin_trial(png_state *t, const ae_signal_info *info, uint32_t height, bool runs)
{
    if (setjmp(png_jmpbuf(t->png)))
        return t->status;
    write_structure(t, info, height);
    png_write_info(t->png, t->info);
    take_rows_as_here(t->png, info);
    if (runs)
        look_for_runs(t->png);
    return t->status;
}

/* How many bytes the rows that are held back take by themselves. */
static ae_status try_rows(const png_state *s, const ae_signal_info *info, bool runs,
                          uint64_t *n_bytes)
{
    ae_sink counter = {.opaque = n_bytes, .write = count_bytes};
    png_state *t = ae_alloc(1, sizeof(*t));
    ae_status st;

    *n_bytes = 0;
    if (!t)
        return ae_fail(s->err, AE_ERR_NOMEM, "PNG encoder");
    *t = (png_state){.sink = &counter, .err = s->err, .row_bytes = s->row_bytes};
    if ((st = open_libpng(t)) == AE_OK &&
        (st = begin_trial(t, info, (uint32_t)s->row, runs)) == AE_OK &&
        (st = write_rows(t, s->whole, s->row)) == AE_OK)
        st = end_file(t);
    aei_png_free_state(t);
    return st;
}

/* Writes the rows that were held back in the way that makes them smaller, as all that follow. */
static ae_status release_rows(png_state *s, const ae_signal_info *info)
{
    uint64_t strings, runs;
    ae_status st;

    if ((st = try_rows(s, info, false, &strings)) == AE_OK &&
        (st = try_rows(s, info, true, &runs)) == AE_OK) {
        if (runs < strings)
            look_for_runs(s->png);
        st = write_rows(s, s->whole, s->row);
    }
    ae_free(s->whole);
    s->whole = NULL;
    return st;
}

ae_status aei_png_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                         const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    png_state *s;
    ae_status st;

    (void)options;
    if (info->width > PNG_UINT_31_MAX || info->height > PNG_UINT_31_MAX)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "PNG holds at most 2^31 - 1 pixels along an edge");
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "PNG encoder");
    s->sink = sink;
    s->err = err;
    s->row_bytes = ae_row_bytes(info);
    st = open_libpng(s);
    if (st == AE_OK)
        st = add_iptc(s, meta);
    if (st == AE_OK)
        st = aei_png_pack_profile(meta, writer, &s->profile, err);
    if (st == AE_OK)
        st = write_header(s, meta, writer);
    s->height = info->height / 16;
    if (s->height > MAX_TRIAL / s->row_bytes)
        s->height = MAX_TRIAL / s->row_bytes;
    if (st == AE_OK && info->height * s->row_bytes >= LARGE && s->height > 0) {
        s->whole = ae_alloc(s->height, s->row_bytes);
        st = s->whole ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "rows of a PNG");
    }
    if (st != AE_OK) {
        aei_png_free_state(s);
        return st;
    }
    if (s->damaged_meta)
        aei_note(writer->note, "metadata that PNG does not accept dropped");
    writer->state = s;
    return AE_OK;
}

ae_status aei_png_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    png_state *s = writer->state;
    const uint8_t *p = rows;
    uint32_t n_held = 0;

    s->err = err;
    if (s->whole) {
        n_held = n_rows < s->height - s->row ? n_rows : (uint32_t)(s->height - s->row);
        memcpy(s->whole + s->row * s->row_bytes, p, n_held * s->row_bytes);
        s->row += n_held;
        if (s->row == s->height && s->status == AE_OK)
            s->status = release_rows(s, &writer->info);
    }
    return write_rows(s, p + n_held * s->row_bytes, n_rows - n_held);
}

ae_status aei_png_finish(ae_writer *writer, ae_error *err)
{
    png_state *s = writer->state;
    ae_status st;

    s->err = err;
    st = end_file(s);
    aei_png_free_state(s);
    return st;
}

void aei_png_abandon(ae_writer *writer)
{
    aei_png_free_state(writer->state);
}
