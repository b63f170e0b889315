/* SPDX-License-Identifier: BSD-2-Clause
 *
 * JPEG through libjpeg-turbo, by rows; progressive pictures are held whole by the library. Data that libjpeg would patch up with
 * grey (a premature end, bad codes) are errors here. */
#include <setjmp.h>
#include <stdio.h> /* for jpeglib.h, which forgets it */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "adapter.h"
#include "ae/files.h"

enum { BUFFER_BYTES = 1 << 15, MAX_SCANS = 500, SEGMENT_MAX = 65533 };

static const char exif_head[] = "Exif\0";                               /* 6 bytes with its NUL */
static const char xmp_head[] = "http://ns.adobe.com/xap/1.0/";          /* and these with theirs */
static const char xmp_more_head[] = "http://ns.adobe.com/xmp/extension/";
static const char photoshop_head[] = "Photoshop 3.0";

/* Quantisation and sampling: what makes the quality class of a file. */
typedef struct jpeg_class {
    J_COLOR_SPACE space;
    int n_components;
    UINT16 tables[3][DCTSIZE2];
    int h[3], v[3];
    int ijg; /* the nearest of libjpeg's 1..100 */
} jpeg_class;

typedef struct jpeg_state {
    union {
        struct jpeg_common_struct common;
        struct jpeg_decompress_struct in;
        struct jpeg_compress_struct out;
    } c;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr from;
    struct jpeg_destination_mgr to;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    ae_error *err;    /* of the call in progress */
    ae_status status; /* first failure */
    ae_source *source;
    ae_sink *sink;
    jpeg_class quality;
    uint64_t charged; /* for the coefficients */
    bool started;
    bool ended;       /* the file ended without its end marker, which was put there */
    size_t row_bytes;
    uint8_t *cmyk;    /* one row */
    uint8_t buffer[BUFFER_BYTES];
} jpeg_state;

static ae_status status_of(int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY: return AE_ERR_NOMEM;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_NOT_COMPILED: return AE_ERR_UNSUPPORTED;
    default: return AE_ERR_MALFORMED;
    }
}

static void on_error(j_common_ptr c)
{
    jpeg_state *s = c->client_data;
    char text[JMSG_LENGTH_MAX];

    if (s->status == AE_OK) {
        c->err->format_message(c, text);
        s->status = ae_fail(s->err, status_of(c->err->msg_code), "JPEG: %s", text);
    }
    longjmp(s->jump, 1);
}

static void on_message(j_common_ptr c, int level)
{
    if (level >= 0)
        return;
    switch (c->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        on_error(c);
        break;
    default: /* stray bytes between segments and the like */
        break;
    }
}

static void init_errors(jpeg_state *s, ae_error *err)
{
    s->c.common.err = jpeg_std_error(&s->errors);
    s->errors.error_exit = on_error;
    s->errors.emit_message = on_message;
    s->c.common.client_data = s;
    s->err = err;
}

/* ---- reading ---- */

static void on_nothing(j_decompress_ptr in)
{
    (void)in;
}

static boolean on_fill(j_decompress_ptr in)
{
    jpeg_state *s = in->client_data;
    size_t n = ae_source_read(s->source, s->buffer, BUFFER_BYTES);

    if (n == 0) {
        /* Some cameras and programs leave the last two bytes out. Where more is missing, what reads them complains. */
        if (s->ended || !in->input_scan_number)
            ERREXIT(in, JERR_INPUT_EOF);
        s->ended = true;
        s->buffer[0] = 0xff;
        s->buffer[1] = JPEG_EOI;
        n = 2;
    }
    s->from.next_input_byte = s->buffer;
    s->from.bytes_in_buffer = n;
    return TRUE;
}

static void on_skip(j_decompress_ptr in, long n_bytes)
{
    jpeg_state *s = in->client_data;

    while (n_bytes > (long)s->from.bytes_in_buffer) {
        n_bytes -= (long)s->from.bytes_in_buffer;
        on_fill(in);
    }
    s->from.next_input_byte += n_bytes;
    s->from.bytes_in_buffer -= (size_t)n_bytes;
}

/* A small file may hold thousands of scans, each as expensive as the picture. */
static void on_progress(j_common_ptr c)
{
    jpeg_state *s = c->client_data;

    if (s->c.in.input_scan_number > MAX_SCANS) {
        s->status = ae_fail(s->err, AE_ERR_LIMIT, "JPEG: more than %d scans", MAX_SCANS);
        on_error(c);
    }
}

static bool starts_with(jpeg_saved_marker_ptr m, const char *head, size_t n)
{
    return m->data_length >= n && memcmp(m->data, head, n) == 0;
}

static ae_status add_marker(jpeg_saved_marker_ptr m, ae_reader *reader, ae_error *err)
{
    ae_meta *meta = &reader->meta;
    size_t n = m->data_length;

    if (m->marker == JPEG_APP0 + 1) {
        if (starts_with(m, exif_head, sizeof(exif_head)))
            return aei_add_exif(meta, m->data, n, err);
        if (starts_with(m, xmp_head, sizeof(xmp_head)) && !ae_meta_find(meta, AE_META_XMP))
            return ae_meta_add(meta, AE_META_XMP, NULL, m->data + sizeof(xmp_head), n - sizeof(xmp_head), err);
        if (starts_with(m, xmp_more_head, sizeof(xmp_more_head)))
            aei_note(reader->note, "extended XMP dropped");
    } else if (m->marker == JPEG_APP0 + 2) {
        if (starts_with(m, "MPF", 4))
            aei_note(reader->note, "further pictures dropped");
    } else if (m->marker == JPEG_APP0 + 13) {
        if (starts_with(m, photoshop_head, sizeof(photoshop_head)))
            return aei_add_photoshop(meta, m->data + sizeof(photoshop_head), n - sizeof(photoshop_head), err);
    } else if (m->marker == JPEG_COM) {
        while (n && !m->data[n - 1])
            n--;
        return n ? aei_add_text(meta, "Comment", m->data, n, err) : AE_OK;
    }
    return AE_OK;
}

static ae_status add_meta(jpeg_state *s, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    uint64_t n_bytes = 0;
    ae_status st = AE_OK;
    double unit = s->c.in.density_unit == 1 ? 1 / 0.0254 : s->c.in.density_unit == 2 ? 100 : 0;

    for (jpeg_saved_marker_ptr m = s->c.in.marker_list; m; m = m->next)
        n_bytes += m->data_length;
    if (n_bytes > limits->max_meta)
        return ae_fail(err, AE_ERR_LIMIT, "JPEG: %llu bytes of metadata exceed max_meta (%llu)", (unsigned long long)n_bytes,
                       (unsigned long long)limits->max_meta);
    for (jpeg_saved_marker_ptr m = s->c.in.marker_list; m && st == AE_OK; m = m->next)
        st = add_marker(m, reader, err);
    if (st == AE_OK && s->c.in.saw_JFIF_marker)
        st = aei_add_density(&reader->meta, s->c.in.X_density * unit, s->c.in.Y_density * unit, err);
    return st;
}

/* A profile of CMYK samples does not describe the RGB that they become. */
static ae_status add_icc(jpeg_state *s, ae_meta *meta, ae_error *err)
{
    JOCTET *icc = NULL;
    unsigned int n;
    ae_status st = AE_OK;

    if (s->c.in.num_components != 4 && jpeg_read_icc_profile(&s->c.in, &icc, &n))
        st = ae_meta_add(meta, AE_META_ICC, NULL, icc, n, err);
    free(icc);
    return st;
}

/* The IJG quality whose luminance table is nearest. */
static int nearest_quality(jpeg_state *s, const UINT16 *table)
{
    struct jpeg_compress_struct scratch = {.err = &s->errors, .client_data = s};
    int best = 0;
    long best_distance = -1;

    jpeg_create_compress(&scratch);
    for (int q = 1; q <= 100; q++) {
        long distance = 0;

        jpeg_set_quality(&scratch, q, FALSE);
        for (int i = 0; i < DCTSIZE2; i++)
            distance += labs((long)scratch.quant_tbl_ptrs[0]->quantval[i] - (long)table[i]);
        if (best_distance < 0 || distance <= best_distance) {
            best = q;
            best_distance = distance;
        }
    }
    jpeg_destroy_compress(&scratch);
    return best;
}

/* Damaged tables decode to nonsense, but encoding divides by them. */
static bool has_zero(const JQUANT_TBL *table)
{
    for (int i = 0; i < DCTSIZE2; i++)
        if (!table->quantval[i])
            return true;
    return false;
}

static void describe_class(jpeg_state *s, ae_reader *reader)
{
    jpeg_class *q = &s->quality;

    q->space = s->c.in.jpeg_color_space;
    q->n_components = s->c.in.num_components < 3 ? 1 : 3; /* the fourth is black */
    for (int i = 0; i < q->n_components; i++) {
        const jpeg_component_info *comp = &s->c.in.comp_info[i];
        const JQUANT_TBL *table = s->c.in.quant_tbl_ptrs[comp->quant_tbl_no & 3];

        if (!table || has_zero(table)) {
            q->n_components = 0;
            return;
        }
        memcpy(q->tables[i], table->quantval, sizeof(q->tables[i]));
        q->h[i] = comp->h_samp_factor;
        q->v[i] = comp->v_samp_factor;
    }
    q->ijg = nearest_quality(s, q->tables[0]);
    if (q->n_components == 1)
        snprintf(reader->quality, sizeof(reader->quality), "quality %d", q->ijg);
    else
        snprintf(reader->quality, sizeof(reader->quality), "quality %d, sampling %dx%d,%dx%d,%dx%d", q->ijg, q->h[0], q->v[0],
                 q->h[1], q->v[1], q->h[2], q->v[2]);
}

/* What libjpeg holds of a picture that comes in several scans. */
static uint64_t coefficient_bytes(const struct jpeg_decompress_struct *in)
{
    uint64_t n = 0;

    for (int i = 0; i < in->num_components; i++)
        n += (uint64_t)in->comp_info[i].width_in_blocks * in->comp_info[i].height_in_blocks * sizeof(JBLOCK);
    return n;
}

static ae_status read_header(jpeg_state *s, const ae_limits *limits, ae_reader *reader)
{
    struct jpeg_decompress_struct *in = &s->c.in;
    ae_status st;

    if (setjmp(s->jump))
        return s->status;
    jpeg_create_decompress(in);
    in->src = &s->from;
    s->from = (struct jpeg_source_mgr){.init_source = on_nothing, .fill_input_buffer = on_fill, .skip_input_data = on_skip,
                                       .resync_to_restart = jpeg_resync_to_restart, .term_source = on_nothing};
    in->progress = &s->progress;
    s->progress.progress_monitor = on_progress;
    for (int app = 1; app <= 13; app++)
        if (app <= 2 || app == 13)
            jpeg_save_markers(in, JPEG_APP0 + app, 0xffff);
    jpeg_save_markers(in, JPEG_COM, 0xffff);
    jpeg_read_header(in, TRUE);
    if ((st = aei_check_size(limits, in->image_width, in->image_height, s->err)) != AE_OK)
        return st;
    switch (in->jpeg_color_space) {
    case JCS_GRAYSCALE:
        in->out_color_space = JCS_GRAYSCALE;
        break;
    case JCS_YCbCr:
    case JCS_RGB:
        in->out_color_space = JCS_RGB;
        break;
    case JCS_CMYK:
    case JCS_YCCK:
        in->out_color_space = JCS_CMYK;
        aei_note(reader->note, "CMYK converted to RGB");
        break;
    default:
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "JPEG of %d components", in->num_components);
    }
    if (jpeg_has_multiple_scans(in) &&
        (st = aei_charge(&s->charged, limits, coefficient_bytes(in), reader->codec, s->err)) != AE_OK)
        return st;
    reader->info = aei_image_info(in->image_width, in->image_height, AE_U8, in->out_color_space == JCS_GRAYSCALE ? 1 : 3);
    s->row_bytes = ae_row_bytes(&reader->info);
    describe_class(s, reader);
    if ((st = add_meta(s, limits, reader, s->err)) != AE_OK)
        return st;
    return add_icc(s, &reader->meta, s->err);
}

static void jpeg_free_state(jpeg_state *s)
{
    if (!s)
        return;
    jpeg_destroy(&s->c.common);
    aei_give(&s->charged);
    ae_free(s->cmyk);
    ae_free(s);
}

static ae_status jpeg_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    jpeg_state *s = ae_alloc(1, sizeof(*s));
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "JPEG decoder");
    s->source = source;
    init_errors(s, err);
    st = read_header(s, limits, reader);
    if (st == AE_OK && s->c.in.out_color_space == JCS_CMYK) {
        s->cmyk = ae_alloc(s->c.in.image_width, 4);
        if (!s->cmyk)
            st = ae_fail(err, AE_ERR_NOMEM, "a row of %u pixels", s->c.in.image_width);
    }
    if (st == AE_OK)
        st = aei_keep(reader, &s->quality, sizeof(s->quality), err);
    if (st != AE_OK) {
        jpeg_free_state(s);
        return st;
    }
    reader->state = s;
    return AE_OK;
}

/* Adobe's files hold the ink inverted. */
static void cmyk_row(const uint8_t *in, uint8_t *out, size_t n, bool inverted)
{
    unsigned flip = inverted ? 0 : 255;

    for (size_t i = 0; i < n; i++, in += 4, out += 3)
        for (int c = 0; c < 3; c++)
            out[c] = (uint8_t)(((in[c] ^ flip) * (in[3] ^ flip) + 127) / 255);
}

/* Whether all scans of a progressive picture have been there: every coefficient to its last bit. */
static bool has_all_scans(const struct jpeg_decompress_struct *in)
{
    for (int i = 0; in->progressive_mode && in->coef_bits && i < in->num_components; i++)
        for (int k = 0; k < DCTSIZE2; k++)
            if (in->coef_bits[i][k] != 0)
                return false;
    return true;
}

static ae_status read_rows(jpeg_state *s, uint8_t *rows, uint32_t n_rows)
{
    struct jpeg_decompress_struct *in = &s->c.in;

    if (s->status != AE_OK || setjmp(s->jump))
        return s->status;
    if (!s->started) {
        jpeg_start_decompress(in);
        s->started = true;
        if (s->ended && !has_all_scans(in))
            return s->status = ae_fail(s->err, AE_ERR_MALFORMED, "JPEG: ends before its last scan");
    }
    for (uint32_t y = 0; y < n_rows; y++) {
        JSAMPROW row = s->cmyk ? s->cmyk : rows + y * s->row_bytes;

        jpeg_read_scanlines(in, &row, 1);
        if (s->cmyk)
            cmyk_row(s->cmyk, rows + y * s->row_bytes, in->image_width, in->saw_Adobe_marker);
    }
    return AE_OK;
}

static ae_status jpeg_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    jpeg_state *s = reader->state;

    s->err = err;
    return read_rows(s, rows, n_rows);
}

static void jpeg_close(ae_reader *reader)
{
    jpeg_free_state(reader->state);
}

static int jpeg_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 3 && head[0] == 0xff && head[1] == 0xd8 && head[2] == 0xff ? 100 : 0;
}

/* ---- writing ---- */

static void on_start(j_compress_ptr out)
{
    jpeg_state *s = out->client_data;

    s->to.next_output_byte = s->buffer;
    s->to.free_in_buffer = BUFFER_BYTES;
}

static void flush(jpeg_state *s, size_t n_bytes)
{
    if (s->status == AE_OK)
        s->status = s->sink->write(s->sink->opaque, s->buffer, n_bytes, s->err);
    if (s->status != AE_OK)
        on_error(&s->c.common);
    on_start(&s->c.out);
}

static boolean on_full(j_compress_ptr out)
{
    flush(out->client_data, BUFFER_BYTES);
    return TRUE;
}

static void on_end(j_compress_ptr out)
{
    jpeg_state *s = out->client_data;

    flush(s, BUFFER_BYTES - s->to.free_in_buffer);
}

static void jpeg_accepts(ae_signal_info *info, char note[160])
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

/* What a reader keeps, where it makes sense. */
static const jpeg_class *kept_class(const ae_reader *reader)
{
    const jpeg_class *q = aei_kept(reader, &aei_codec_jpeg, sizeof(*q));

    if (!q || q->n_components < 0 || q->n_components > 3 || q->ijg < 0 || q->ijg > 100)
        return NULL;
    for (int i = 0; i < q->n_components; i++) {
        if (q->h[i] < 1 || q->h[i] > MAX_SAMP_FACTOR || q->v[i] < 1 || q->v[i] > MAX_SAMP_FACTOR)
            return NULL;
        for (int k = 0; k < DCTSIZE2; k++)
            if (!q->tables[i][k])
                return NULL; /* coding divides by them */
    }
    return q;
}

/* The class of the file that this one is made from, where it can be had for such pictures. */
static const jpeg_class *class_of(const ae_reader *like, int n_components)
{
    const jpeg_class *q = kept_class(like);
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

        while (t < n_tables && memcmp(out->quant_tbl_ptrs[t]->quantval, q->tables[i], sizeof(q->tables[i])) != 0)
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
    const jpeg_class *q = class_of(options->like, out->input_components), *any = kept_class(options->like);
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
static void write_segment(jpeg_state *s, int marker, const void *head, size_t n_head, const void *body, size_t n_body)
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
    uint8_t head[sizeof(photoshop_head) + AEI_PHOTOSHOP_HEAD];

    if (sizeof(head) + item->n_bytes + 1 > SEGMENT_MAX) {
        aei_note(note, "IPTC dropped (too long)");
        return;
    }
    memcpy(head, photoshop_head, sizeof(photoshop_head));
    aei_photoshop_head(item->n_bytes, head + sizeof(photoshop_head));
    write_segment(s, JPEG_APP0 + 13, head, sizeof(head), item->value, item->n_bytes + (item->n_bytes & 1));
}

static void write_meta(jpeg_state *s, const ae_meta *meta, ae_writer *writer)
{
    aei_profile icc;
    bool profile = aei_fitting_icc(meta, &writer->info, &icc, writer->note);

    /* EXIF readers expect theirs first. */
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (item->kind != AE_META_EXIF)
            continue;
        if (item->n_bytes + sizeof(exif_head) > SEGMENT_MAX)
            aei_note(writer->note, "EXIF dropped (too long)");
        else
            write_segment(s, JPEG_APP0 + 1, exif_head, sizeof(exif_head), item->value, item->n_bytes);
    }
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (item->kind == AE_META_XMP && item->n_bytes + sizeof(xmp_head) > SEGMENT_MAX)
            aei_note(writer->note, "XMP dropped (too long)");
        else if (item->kind == AE_META_XMP)
            write_segment(s, JPEG_APP0 + 1, xmp_head, sizeof(xmp_head), item->value, item->n_bytes);
        else if (item->kind == AE_META_IPTC)
            write_iptc(s, item, writer->note);
        else if (aei_is_text(item, "Comment") && item->n_bytes <= SEGMENT_MAX)
            write_segment(s, JPEG_COM, NULL, 0, item->value, item->n_bytes);
        else if (item->kind == AE_META_TEXT)
            aei_note(writer->note, "text other than a comment dropped");
    }
    if (profile)
        jpeg_write_icc_profile(&s->c.out, icc.data, (unsigned int)icc.n_bytes);
    aei_note_colours(meta, "", profile, writer->note);
}

static ae_status start(jpeg_state *s, const ae_signal_info *info, const ae_meta *meta, const ae_write_options *options,
                       ae_writer *writer)
{
    struct jpeg_compress_struct *out = &s->c.out;

    if (setjmp(s->jump))
        return s->status;
    jpeg_create_compress(out);
    s->to = (struct jpeg_destination_mgr){.init_destination = on_start, .empty_output_buffer = on_full, .term_destination = on_end};
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

static ae_status jpeg_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta, const ae_write_options *options,
                             ae_writer *writer, ae_error *err)
{
    jpeg_state *s;
    ae_status st;

    if (info->width > JPEG_MAX_DIMENSION || info->height > JPEG_MAX_DIMENSION)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "JPEG holds at most %ld pixels along an edge", JPEG_MAX_DIMENSION);
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "JPEG encoder");
    s->sink = sink;
    s->row_bytes = ae_row_bytes(info);
    init_errors(s, err);
    if ((st = start(s, info, meta, options, writer)) != AE_OK) {
        jpeg_free_state(s);
        return st;
    }
    writer->state = s;
    return AE_OK;
}

static ae_status jpeg_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
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

static ae_status jpeg_finish(ae_writer *writer, ae_error *err)
{
    jpeg_state *s = writer->state;
    ae_status st;

    s->err = err;
    st = finish_file(s);
    jpeg_free_state(s);
    return st;
}

static void jpeg_abandon(ae_writer *writer)
{
    jpeg_free_state(writer->state);
}

static const char *const suffixes[] = {"jpg", "jpeg", "jpe", "jfif", NULL};

bool ae_reader_quantisation(const ae_reader *reader, uint16_t table[64], int *quality)
{
    const jpeg_class *q = kept_class(reader);

    if (!q || !q->n_components || (q->space != JCS_YCbCr && q->space != JCS_GRAYSCALE))
        return false;
    for (int i = 0; i < DCTSIZE2; i++)
        table[i] = q->tables[0][i];
    *quality = q->ijg;
    return true;
}

const ae_codec aei_codec_jpeg = {
    .name = "jpeg",
    .description = "JPEG",
    .suffixes = suffixes,
    .kind = AE_KIND_IMAGE,
    .probe = jpeg_probe,
    .open = jpeg_open,
    .read = jpeg_read,
    .close = jpeg_close,
    .accepts = jpeg_accepts,
    .create = jpeg_create,
    .write = jpeg_write,
    .finish = jpeg_finish,
    .abandon = jpeg_abandon,
};
