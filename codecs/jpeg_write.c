/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing JPEG, with the quantisation and the sampling of the file that it is made from. */
#include "jpeg.h"

#include <string.h>

#include <jerror.h>

static void on_start(j_compress_ptr out)
{
    jpeg_state *s = out->client_data;

    s->to.next_output_byte = s->buffer;
    s->to.free_in_buffer = AEI_JPEG_BUFFER;
}

static void flush(jpeg_state *s, size_t n_bytes)
{
    if (s->status == AE_OK)
        s->status = s->sink->write(s->sink->opaque, s->buffer, n_bytes, s->err);
    if (s->status != AE_OK)
        aei_jpeg_error(&s->c.common);
    on_start(&s->c.out);
}

static boolean on_full(j_compress_ptr out)
{
    flush(out->client_data, AEI_JPEG_BUFFER);
    return TRUE;
}

static void on_end(j_compress_ptr out)
{
    jpeg_state *s = out->client_data;

    flush(s, AEI_JPEG_BUFFER - s->to.free_in_buffer);
}

void aei_jpeg_accepts(ae_signal_info *info, char note[160])
{
    if (info->alpha)
        aei_note(note, "alpha laid on white");
    if (info->sample != AE_U8)
        aei_note(note, "samples rounded to 8 bits");
    info->channels = info->channels < 3 ? 1 : 3;
    info->alpha = false;
    info->sample = AE_U8;
    info->bits = 8;
}

/* The class of the file that this one is made from, where it can be had for such pictures. */
static const jpeg_class *class_of(const ae_reader *like, int n_components)
{
    const jpeg_class *q = aei_jpeg_class(like);
    int blocks = 0, h = 1, v = 1;

    if (!q || q->n_components != n_components || q->space == JCS_CMYK)
        return NULL;
    for (int i = 0; i < n_components; i++) {
        blocks += q->h[i] * q->v[i];
        h = q->h[i] > h ? q->h[i] : h;
        v = q->v[i] > v ? q->v[i] : v;
    }
    for (int i = 0; i < n_components; i++)
        if (h % q->h[i] || v % q->v[i])
            return NULL; /* libjpeg does not write these */
    return n_components == 1 || blocks <= C_MAX_BLOCKS_IN_MCU ? q : NULL;
}

static void set_tables(struct jpeg_compress_struct *out, const jpeg_class *q)
{
    int n_tables = 0;

    for (int i = 0; i < q->n_components; i++) {
        int t = 0;

        while (t < n_tables &&
               memcmp(out->quant_tbl_ptrs[t]->quantval, q->tables[i], sizeof(q->tables[i])) != 0)
            t++;
        if (t == n_tables) {
            if (!out->quant_tbl_ptrs[t])
                out->quant_tbl_ptrs[t] = jpeg_alloc_quant_table((j_common_ptr)out);
            memcpy(out->quant_tbl_ptrs[t]->quantval, q->tables[i], sizeof(q->tables[i]));
            out->quant_tbl_ptrs[t]->sent_table = FALSE;
            n_tables++;
        }
        out->comp_info[i].quant_tbl_no = t;
    }
}

static void set_quality(struct jpeg_compress_struct *out, const ae_write_options *options)
{
    const jpeg_class *q = class_of(options->like, out->input_components),
                     *any = aei_jpeg_class(options->like);
    int quality = options->quality;

    if (q && (q->space == JCS_RGB || q->space == JCS_GRAYSCALE))
        jpeg_set_colorspace(out, q->space);
    if (!quality && any)
        quality = any->ijg;
    jpeg_set_quality(out, quality ? quality : 95, TRUE);
    for (int i = 0; i < out->num_components; i++) {
        out->comp_info[i].h_samp_factor = q && out->num_components == 3 ? q->h[i] : 1;
        out->comp_info[i].v_samp_factor = q && out->num_components == 3 ? q->v[i] : 1;
    }
    if (q && !options->quality)
        set_tables(out, q);
    out->dct_method = JDCT_ISLOW;
}

static void set_density(struct jpeg_compress_struct *out, const ae_meta *meta)
{
    uint32_t d[2];
    UINT16 v[2];
    bool metric;

    if (!aei_get_density(meta, &d[0], &d[1]))
        return;
    metric = d[0] % 100 == 0 && d[1] % 100 == 0;
    for (int i = 0; i < 2; i++) {
        double x = metric ? d[i] / 100 : d[i] * 0.0254 + 0.5;

        if (!(x >= 1 && x < 65536))
            return;
        v[i] = (UINT16)x;
    }
    out->density_unit = metric ? 2 : 1;
    out->X_density = v[0];
    out->Y_density = v[1];
}

/* A marker of head, with its closing NUL, and body. */
static void write_segment(jpeg_state *s, int marker, const void *head, size_t n_head,
                          const void *body, size_t n_body)
{
    const uint8_t *p = body;

    jpeg_write_m_header(&s->c.out, marker, (unsigned int)(n_head + n_body));
    for (size_t i = 0; i < n_head; i++)
        jpeg_write_m_byte(&s->c.out, ((const uint8_t *)head)[i]);
    for (size_t i = 0; i < n_body; i++)
        jpeg_write_m_byte(&s->c.out, p[i]);
}

static void write_iptc(jpeg_state *s, const ae_meta_item *item, char note[160])
{
    uint8_t head[sizeof(AEI_JPEG_PHOTOSHOP) + AEI_PHOTOSHOP_HEAD];

    if (sizeof(head) + item->n_bytes + 1 > AEI_JPEG_SEGMENT) {
        aei_note(note, "IPTC dropped (too long)");
        return;
    }
    memcpy(head, AEI_JPEG_PHOTOSHOP, sizeof(AEI_JPEG_PHOTOSHOP));
    aei_photoshop_head(item->n_bytes, head + sizeof(AEI_JPEG_PHOTOSHOP));
    write_segment(s, JPEG_APP0 + 13, head, sizeof(head), item->value,
                  item->n_bytes + (item->n_bytes & 1));
}

static void write_meta(jpeg_state *s, const ae_meta *meta, ae_writer *writer)
{
    aei_profile icc;
    uint8_t *made;

    /* EXIF readers expect theirs first. */
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (item->kind != AE_META_EXIF)
            continue;
        if (item->n_bytes + sizeof(AEI_JPEG_EXIF) > AEI_JPEG_SEGMENT)
            aei_note(writer->note, "EXIF dropped (too long)");
        else
            write_segment(s, JPEG_APP0 + 1, AEI_JPEG_EXIF, sizeof(AEI_JPEG_EXIF), item->value,
                          item->n_bytes);
    }
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (item->kind == AE_META_XMP && item->n_bytes + sizeof(AEI_JPEG_XMP) > AEI_JPEG_SEGMENT)
            aei_note(writer->note, "XMP dropped (too long)");
        else if (item->kind == AE_META_XMP)
            write_segment(s, JPEG_APP0 + 1, AEI_JPEG_XMP, sizeof(AEI_JPEG_XMP), item->value,
                          item->n_bytes);
        else if (item->kind == AE_META_IPTC)
            write_iptc(s, item, writer->note);
        else if (aei_is_text(item, "Comment") && item->n_bytes <= AEI_JPEG_SEGMENT)
            write_segment(s, JPEG_COM, NULL, 0, item->value, item->n_bytes);
        else if (item->kind == AE_META_TEXT)
            aei_note(writer->note, "text other than a comment dropped");
    }
    aei_profile_for(meta, &writer->info, "", &icc, &made, writer->note);
    if (icc.data)
        jpeg_write_icc_profile(&s->c.out, icc.data, (unsigned int)icc.n_bytes);
    ae_free(made);
}

static ae_status start(jpeg_state *s, const ae_signal_info *info, const ae_meta *meta,
                       const ae_write_options *options, ae_writer *writer)
{
    struct jpeg_compress_struct *out = &s->c.out;

    if (setjmp(s->jump))
        return s->status;
    jpeg_create_compress(out);
    s->to = (struct jpeg_destination_mgr){
        .init_destination = on_start, .empty_output_buffer = on_full, .term_destination = on_end};
    out->dest = &s->to;
    out->image_width = (JDIMENSION)info->width;
    out->image_height = (JDIMENSION)info->height;
    out->input_components = (int)info->channels;
    out->in_color_space = info->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(out);
    set_quality(out, options);
    set_density(out, meta);
    jpeg_start_compress(out, TRUE);
    write_meta(s, meta, writer);
    return AE_OK;
}

ae_status aei_jpeg_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                          const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    jpeg_state *s;
    ae_status st;

    if (info->width > JPEG_MAX_DIMENSION || info->height > JPEG_MAX_DIMENSION)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "JPEG holds at most %ld pixels along an edge",
                       JPEG_MAX_DIMENSION);
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "JPEG encoder");
    s->sink = sink;
    s->row_bytes = ae_row_bytes(info);
    aei_jpeg_begin(s, err);
    if ((st = start(s, info, meta, options, writer)) != AE_OK) {
        aei_jpeg_free(s);
        return st;
    }
    writer->state = s;
    return AE_OK;
}

ae_status aei_jpeg_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    jpeg_state *s = writer->state;

    s->err = err;
    if (s->status != AE_OK || setjmp(s->jump))
        return s->status;
    for (uint32_t y = 0; y < n_rows; y++) {
        JSAMPROW row = (JSAMPROW)rows + y * s->row_bytes;

        jpeg_write_scanlines(&s->c.out, &row, 1);
    }
    return AE_OK;
}

static ae_status finish_file(jpeg_state *s)
{
    if (s->status != AE_OK || setjmp(s->jump))
        return s->status;
    jpeg_finish_compress(&s->c.out);
    return AE_OK;
}

ae_status aei_jpeg_finish(ae_writer *writer, ae_error *err)
{
    jpeg_state *s = writer->state;
    ae_status st;

    s->err = err;
    st = finish_file(s);
    aei_jpeg_free(s);
    return st;
}

void aei_jpeg_abandon(ae_writer *writer)
{
    aei_jpeg_free(writer->state);
}
