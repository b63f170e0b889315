/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PNG through libpng: the adapter, and reading, by rows; interlaced pictures are held whole.
 *
 * Text and EXIF may stand behind the picture, where a writer that streams would learn of them too
 * late. So the chunks are walked first, and libpng is served the file in another order: what
 * precedes IDAT, what follows it, IDAT, IEND. */
#include <string.h>

#include "module.h"
#include "pngstate.h"

static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', 0x0d, 0x0a, 0x1a, 0x0a};

enum {
    DEFLATE_MOST = 1032, /* bytes that one of deflate's can become */
};

static void on_read(png_structp png, png_bytep to, png_size_t n_bytes)
{
    png_state *s = png_get_io_ptr(png);

    while (n_bytes) {
        span *sp = &s->spans[s->span];
        uint64_t n = sp->n_bytes - s->span_done;

        if (n == 0) {
            if (s->span == 3)
                png_error(png, "ends too early");
            s->span++;
            s->span_done = 0;
            continue;
        }
        if (n > n_bytes)
            n = n_bytes;
        if ((s->span_done == 0 && !ae_source_seek(s->source, sp->offset)) ||
            ae_source_read(s->source, to, (size_t)n) != n) {
            s->status = ae_fail(s->err, AE_ERR_IO, "read error");
            png_error(png, "read error");
        }
        s->span_done += n;
        to += n;
        n_bytes -= (size_t)n;
    }
}

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Finds the four spans and the picture's size. */
static ae_status walk_chunks(png_state *s, const ae_limits *limits, ae_reader *reader,
                             ae_error *err)
{
    uint64_t at = sizeof(signature), size = ae_source_size(s->source), first = 0, behind = 0;
    uint32_t n_frames = 0;
    uint8_t head[16];
    ae_status st;

    if (!ae_source_seek(s->source, 0) || ae_source_read(s->source, head, 8) != 8 ||
        memcmp(head, signature, 8) != 0)
        return ae_fail(err, AE_ERR_MALFORMED, "not a PNG file");
    for (;;) {
        uint64_t n;

        if (size - at < 12 || !ae_source_seek(s->source, at) ||
            ae_source_read(s->source, head, 8) != 8)
            return ae_fail(err, AE_ERR_MALFORMED, "PNG: truncated at byte %llu",
                           (unsigned long long)size);
        n = get_be32(head);
        if (n > size - at - 12)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "PNG: chunk of %llu bytes at byte %llu exceeds the file",
                           (unsigned long long)n, (unsigned long long)at);
        if (memcmp(head + 4, "CgBI", 4) == 0)
            return ae_fail(err, AE_ERR_UNSUPPORTED,
                           "PNG as it lies in iPhone programs (CgBI), which is none; convert it "
                           "with pngdefry or "
                           "pngcrush -revert-iphone-optimizations");
        if (at == sizeof(signature)) {
            if (memcmp(head + 4, "IHDR", 4) != 0 || n != 13 ||
                ae_source_read(s->source, head + 8, 8) != 8)
                return ae_fail(err, AE_ERR_MALFORMED, "PNG: no header");
            if ((st = aei_check_size(limits, get_be32(head + 8), get_be32(head + 12), err)) !=
                AE_OK)
                return st;
        } else if (memcmp(head + 4, "IDAT", 4) == 0) {
            if (!first)
                first = at;
            else if (behind)
                return ae_fail(err, AE_ERR_MALFORMED, "PNG: picture data in two places");
        } else if (first && !behind) {
            behind = at;
        } else if (!first && (st = aei_png_take_colour(s->source, head + 4, (uint32_t)n, limits,
                                                       reader, err)) != AE_OK) {
            return st;
        }
        if (memcmp(head + 4, "fcTL", 4) == 0) {
            s->alone |= first && !n_frames;
            n_frames++;
        }
        if (memcmp(head + 4, "IEND", 4) == 0)
            break;
        at += n + 12;
    }
    if (!first)
        return ae_fail(err, AE_ERR_MALFORMED, "PNG: no picture data");
    aei_further(reader, n_frames && !s->alone ? n_frames - 1 : n_frames);
    s->spans[0] = (span){0, first};
    s->spans[1] = (span){behind, at - behind};
    s->spans[2] = (span){first, behind - first};
    s->spans[3] = (span){at, 12};
    return AE_OK;
}

static ae_status add_text(ae_meta *meta, const png_text *text, ae_error *err)
{
    size_t n = text->compression >= PNG_ITXT_COMPRESSION_NONE ? text->itxt_length
                                                              : text->text_length;
    ae_status st = AE_OK;

    if (strcmp(text->key, AEI_PNG_XMP) == 0)
        return ae_meta_add(meta, AE_META_XMP, NULL, text->text, n, err);
    if (aei_add_raw_profile(meta, text->key, text->text, &st, err))
        return st;
    return aei_add_text(meta, text->key, text->text, n, err);
}

static ae_status add_meta(png_state *s, ae_meta *meta, ae_error *err)
{
    ae_status st = AE_OK;
    png_bytep data;
    png_textp text;
    png_uint_32 n, x, y;
    int type, n_text;

    if (png_get_eXIf_1(s->png, s->info, &n, &data))
        st = aei_add_exif(meta, data, n, err);
    if (st == AE_OK && png_get_pHYs(s->png, s->info, &x, &y, &type) && type == PNG_RESOLUTION_METER)
        st = aei_add_density(meta, x, y, err);
    n_text = png_get_text(s->png, s->info, &text, NULL);
    for (int i = 0; i < n_text && st == AE_OK; i++)
        st = add_text(meta, &text[i], err);
    return st;
}

static uint32_t significant_bits(png_state *s, const ae_meta *meta)
{
    uint32_t depth = png_get_bit_depth(s->png, s->info), bits = depth;
    size_t n;
    const uint8_t *b = aei_find_colour(meta, "sBIT", &n);

    if (b)
        bits = png_get_color_type(s->png, s->info) & PNG_COLOR_MASK_COLOR && n > 1 ? b[1] : b[0];
    return depth == 16 && bits > 8 && bits < 16 ? bits : depth;
}

/* Header and metadata, and the transformations to 8 or 16 bits of 1 to 4 channels. */
static ae_status read_header(png_state *s, const ae_limits *limits, ae_reader *reader)
{
    png_structp png = s->png;
    png_infop info = s->info;

    if (setjmp(png_jmpbuf(png)))
        return s->status;
    png_set_read_fn(png, s, on_read);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* checked already */
    png_set_chunk_malloc_max(png, (png_alloc_size_t)limits->max_meta);
    aei_png_ignore_colour(png);
    s->max_meta = limits->max_meta;
    png_read_info(png, info);
    s->max_meta = 0;
    if (png_get_rowbytes(png, info) * (uint64_t)png_get_image_height(png, info) / DEFLATE_MOST >
        s->spans[2].n_bytes)
        png_error(png, "truncated"); /* before memory is taken for it */
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_valid(png, info, PNG_INFO_tRNS))
        png_set_tRNS_to_alpha(png);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (png_get_bit_depth(png, info) == 16)
        png_set_swap(png);
#endif
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    s->row_bytes = png_get_rowbytes(png, info);
    s->height = png_get_image_height(png, info);
    reader->info = aei_image_info(png_get_image_width(png, info), s->height,
                                  png_get_bit_depth(png, info) == 16 ? AE_U16 : AE_U8,
                                  png_get_channels(png, info));
    reader->info.bits = significant_bits(s, &reader->meta);
    if (s->row_bytes != ae_row_bytes(&reader->info))
        png_error(png, "unexpected layout");
    return s->status;
}

static ae_status png_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    png_state *s = ae_alloc(1, sizeof(*s));
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "PNG decoder");
    s->source = source;
    s->err = err;
    if ((st = walk_chunks(s, limits, reader, err)) != AE_OK)
        goto failed;
    s->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, s, aei_png_error, aei_png_warning, s,
                                      aei_png_malloc, aei_png_release);
    s->info = s->png ? png_create_info_struct(s->png) : NULL;
    if (!s->info) {
        st = ae_fail(err, AE_ERR_NOMEM, "PNG decoder");
        goto failed;
    }
    if ((st = read_header(s, limits, reader)) != AE_OK)
        goto failed;
    if (png_get_interlace_type(s->png, s->info) != PNG_INTERLACE_NONE &&
        (st = aei_check_memory(limits, s->height * s->row_bytes, err)) != AE_OK)
        goto failed;
    if ((st = add_meta(s, &reader->meta, err)) != AE_OK)
        goto failed;
    if (s->damaged_meta)
        aei_note(reader->note, AEI_DAMAGED_META);
    reader->state = s;
    return AE_OK;
failed:
    aei_png_free_state(s);
    return st;
}

static ae_status read_rows(png_state *s, uint8_t *rows, uint32_t n_rows)
{
    if (setjmp(png_jmpbuf(s->png)))
        return s->status;
    if (s->whole && s->row == 0)
        for (int passes = 7; passes; passes--)
            for (uint64_t y = 0; y < s->height; y++)
                png_read_row(s->png, s->whole + y * s->row_bytes, NULL);
    if (s->whole)
        memcpy(rows, s->whole + s->row * s->row_bytes, n_rows * s->row_bytes);
    for (uint32_t y = 0; !s->whole && y < n_rows; y++)
        png_read_row(s->png, rows + y * s->row_bytes, NULL);
    s->row += n_rows;
    if (s->row == s->height)
        png_read_end(s->png, NULL); /* checks the rest */
    return s->status;
}

static ae_status png_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    png_state *s = reader->state;

    if (s->frames.state)
        return aei_codec_apng.read(&s->frames, rows, n_rows, err);
    s->err = err;
    if (s->status == AE_OK && !s->whole &&
        png_get_interlace_type(s->png, s->info) != PNG_INTERLACE_NONE) {
        s->whole = ae_alloc(s->height, s->row_bytes);
        if (!s->whole)
            s->status = ae_fail(err, AE_ERR_NOMEM, "%llu rows of %zu bytes",
                                (unsigned long long)s->height, s->row_bytes);
    }
    return s->status == AE_OK ? read_rows(s, rows, n_rows) : s->status;
}

/* A frame, by libavcodec; the file's metadata are those of all of them. */
static ae_status png_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    png_state *s = reader->state;
    uint32_t bits = reader->info.bits;
    ae_sample sample = reader->info.sample;
    ae_status st = AE_OK;

    if (!s->frames.state) {
        s->frames.codec = &aei_codec_apng;
        st = aei_codec_apng.open(s->source, &reader->limits, &s->frames, err);
    }
    if (st == AE_OK) {
        st = aei_codec_apng.picture(&s->frames, s->alone ? n - 1 : n, err);
        reader->info = s->frames.info;
    }
    if (reader->info.sample == sample)
        reader->info.bits = bits;
    return st;
}

static void png_close(ae_reader *reader)
{
    aei_png_free_state(reader->state);
}

static int png_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 8 && memcmp(head, signature, 8) == 0 ? 100 : 0;
}

static const char *const suffixes[] = {"png", "apng", NULL};

const ae_codec aei_codec_png = {
    .name = "png",
    .description = "Portable Network Graphics",
    .suffixes = suffixes,
    .kind = AE_KIND_IMAGE,
    .probe = png_probe,
    .open = png_open,
    .read = png_read,
    .close = png_close,
    .picture = png_picture,
    .accepts = aei_png_accepts,
    .create = aei_png_create,
    .write = aei_png_write,
    .finish = aei_png_finish,
    .abandon = aei_png_abandon,
};
