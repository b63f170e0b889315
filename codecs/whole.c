/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Row by row what libraries give and take as a whole picture. */
#include "whole.h"

#include <string.h>

#include "exif.h"
#include "ae/files.h"

ae_status aei_whole_file(ae_source *source, const ae_limits *limits, uint8_t **data,
                         size_t *n_bytes, ae_error *err)
{
    uint64_t size = ae_source_size(source);
    ae_status st = aei_check_memory(limits, size, err);

    *data = NULL;
    *n_bytes = (size_t)size;
    if (st != AE_OK)
        return st;
    if (!(*data = ae_alloc(*n_bytes, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a file of %zu bytes", *n_bytes);
    if (!ae_source_seek(source, 0) || ae_source_read(source, *data, *n_bytes) != *n_bytes) {
        ae_free(*data);
        *data = NULL;
        return ae_fail(err, AE_ERR_IO, "read error");
    }
    return AE_OK;
}

void *aei_whole_begin(ae_reader *reader, size_t n_bytes, void (*end)(void *more), ae_error *err)
{
    aei_whole *w = ae_alloc(1, sizeof(*w));

    if (!w || !(w->more = ae_alloc(1, n_bytes))) {
        ae_free(w);
        ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
        return NULL;
    }
    w->end = end;
    reader->state = w;
    return w->more;
}

static void end_more(aei_whole *w)
{
    if (w->more)
        w->end(w->more);
    ae_free(w->more);
    w->more = NULL;
}

void aei_whole_further(ae_reader *reader, uint64_t n)
{
    aei_further(reader, n);
    if (!n)
        end_more(reader->state);
}

ae_status aei_whole_create(ae_reader *reader, const ae_limits *limits, const ae_signal_info *info,
                           ae_error *err)
{
    size_t row_bytes = ae_row_bytes(info);
    aei_whole *w;
    ae_status st;

    if ((st = aei_check_size(limits, info->width, info->height, err)) != AE_OK ||
        (st = aei_check_memory(limits, info->height * row_bytes, err)) != AE_OK)
        return st;
    if (!reader->state && !(reader->state = ae_alloc(1, sizeof(*w))))
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
    w = reader->state;
    ae_free(w->pixels);
    if (!(w->pixels = ae_alloc(info->height, row_bytes)))
        return ae_fail(err, AE_ERR_NOMEM, "%llu x %llu pixels", (unsigned long long)info->width,
                       (unsigned long long)info->height);
    w->row_bytes = row_bytes;
    w->y = 0;
    reader->info = *info;
    return AE_OK;
}

ae_status aei_whole_turn(ae_reader *reader, unsigned orientation, ae_error *err)
{
    aei_whole *w = reader->state;
    ae_turner *turner;
    ae_status st;

    aei_forget_orientation(&reader->meta);
    if (orientation < 2)
        return AE_OK;
    if ((st = ae_turner_create(&reader->info, orientation, &turner, err)) != AE_OK)
        return st;
    ae_turner_write(turner, w->pixels, (uint32_t)reader->info.height);
    reader->info = *ae_turner_info(turner);
    w->row_bytes = ae_row_bytes(&reader->info);
    ae_turner_read(turner, 0, (uint32_t)reader->info.height, w->pixels);
    ae_turner_free(turner);
    ae_meta_resize(&reader->meta, reader->info.width, reader->info.height);
    return AE_OK;
}

ae_status aei_whole_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    aei_whole *w = reader->state;

    (void)err;
    memcpy(rows, w->pixels + w->y * w->row_bytes, n_rows * w->row_bytes);
    w->y += n_rows;
    return AE_OK;
}

void aei_whole_close(ae_reader *reader)
{
    aei_whole *w = reader->state;

    if (w) {
        end_more(w);
        ae_free(w->pixels);
    }
    ae_free(w);
    reader->state = NULL;
}

void aei_stretch(uint16_t *v, size_t n, unsigned bits)
{
    uint32_t most = (1u << bits) - 1;

    for (size_t i = 0; i < n; i++)
        v[i] = (uint16_t)(((v[i] > most ? most : v[i]) * (uint64_t)65535 + most / 2) / most);
}

void aei_reduce(uint16_t *v, size_t n, unsigned bits)
{
    uint32_t most = (1u << bits) - 1;

    for (size_t i = 0; i < n; i++)
        v[i] = (uint16_t)((v[i] * (uint64_t)most + 32767) / 65535);
}

ae_status aei_add_boxed_exif(ae_meta *meta, const uint8_t *box, size_t n_bytes, ae_error *err)
{
    size_t offset;

    if (n_bytes < 4)
        return AE_OK;
    offset = (size_t)box[0] << 24 | (size_t)box[1] << 16 | (size_t)box[2] << 8 | box[3];
    return offset > n_bytes - 4 ? AE_OK
                                : aei_add_exif(meta, box + 4 + offset, n_bytes - 4 - offset, err);
}

ae_status aei_add_cicp(ae_meta *meta, unsigned primaries, unsigned transfer, ae_error *err)
{
    enum { UNSPECIFIED = 2 };
    const uint8_t cicp[4] = {(uint8_t)primaries, (uint8_t)transfer, 0, 1}; /* RGB, full range */

    if (primaries > 255 || transfer > 255 || (primaries == UNSPECIFIED && transfer == UNSPECIFIED))
        return AE_OK;
    return aei_add_colour(meta, "cICP", cicp, sizeof(cicp), err);
}

/* ---- writing ---- */

ae_status aei_canvas_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const char *colours, const ae_write_options *options, ae_writer *writer,
                            ae_error *err)
{
    aei_canvas *c = ae_alloc(1, sizeof(*c));

    if (!c)
        return ae_fail(err, AE_ERR_NOMEM, "%s encoder", writer->codec->description);
    *c = (aei_canvas){.sink = sink,
                      .meta = meta,
                      .row_bytes = ae_row_bytes(info),
                      .lossless = options->lossless,
                      .quality = options->quality ? options->quality : 95};
    if (!options->quality && options->like && options->like->codec == writer->codec)
        c->lossless = c->lossless || strcmp(options->like->quality, "lossless") == 0;
    if (!(c->pixels = ae_alloc(info->height, c->row_bytes))) {
        ae_free(c);
        return ae_fail(err, AE_ERR_NOMEM, "%llu x %llu pixels", (unsigned long long)info->width,
                       (unsigned long long)info->height);
    }
    for (size_t i = 0; i < meta->n_items; i++)
        if (meta->items[i].kind >= AE_META_IPTC && meta->items[i].kind <= AE_META_DENSITY)
            aei_note(writer->note, meta->items[i].kind == AE_META_IPTC   ? "IPTC dropped"
                                   : meta->items[i].kind == AE_META_TEXT ? "text dropped"
                                                                         : "resolution dropped");
    aei_profile_for(meta, info, colours, &c->icc, &c->made, writer->note);
    writer->state = c;
    return AE_OK;
}

ae_status aei_canvas_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    aei_canvas *c = writer->state;

    (void)err;
    memcpy(c->pixels + c->y * c->row_bytes, rows, n_rows * c->row_bytes);
    c->y += n_rows;
    return AE_OK;
}

void aei_canvas_free(ae_writer *writer)
{
    aei_canvas *c = writer->state;

    if (c) {
        ae_free(c->pixels);
        ae_free(c->made);
    }
    ae_free(c);
    writer->state = NULL;
}
