/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading JPEG by rows; progressive pictures are held whole by the library. */
#include "jpeg.h"

#include <stdlib.h>
#include <string.h>

#include <jerror.h>

#include "ae/files.h"

enum { MAX_SCANS = 500 };

static void on_nothing(j_decompress_ptr in)
{
    (void)in;
}

static boolean on_fill(j_decompress_ptr in)
{
    jpeg_state *s = in->client_data;
    size_t n = ae_source_read(s->source, s->buffer, AEI_JPEG_BUFFER);

    if (n == 0) {
        /* Some cameras and programs leave the last two bytes out. Where more is missing, what reads
         * them complains. */
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
        aei_jpeg_error(c);
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
        if (starts_with(m, AEI_JPEG_EXIF, sizeof(AEI_JPEG_EXIF)))
            return aei_add_exif(meta, m->data, n, err);
        if (starts_with(m, AEI_JPEG_XMP, sizeof(AEI_JPEG_XMP)) && !ae_meta_find(meta, AE_META_XMP))
            return ae_meta_add(meta, AE_META_XMP, NULL, m->data + sizeof(AEI_JPEG_XMP),
                               n - sizeof(AEI_JPEG_XMP), err);
        if (starts_with(m, AEI_JPEG_XMP_MORE, sizeof(AEI_JPEG_XMP_MORE)))
            aei_note(reader->note, "extended XMP dropped");
    } else if (m->marker == JPEG_APP0 + 2) {
        if (starts_with(m, "MPF", 4))
            aei_note(reader->note, "further pictures dropped");
    } else if (m->marker == JPEG_APP0 + 13) {
        if (starts_with(m, AEI_JPEG_PHOTOSHOP, sizeof(AEI_JPEG_PHOTOSHOP)))
            return aei_add_photoshop(meta, m->data + sizeof(AEI_JPEG_PHOTOSHOP),
                                     n - sizeof(AEI_JPEG_PHOTOSHOP), err);
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
        return ae_fail(err, AE_ERR_LIMIT, "JPEG: %llu bytes of metadata exceed max_meta (%llu)",
                       (unsigned long long)n_bytes, (unsigned long long)limits->max_meta);
    for (jpeg_saved_marker_ptr m = s->c.in.marker_list; m && st == AE_OK; m = m->next)
        st = add_marker(m, reader, err);
    if (st == AE_OK && s->c.in.saw_JFIF_marker)
        st = aei_add_density(&reader->meta, s->c.in.X_density * unit, s->c.in.Y_density * unit,
                             err);
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
        snprintf(reader->quality, sizeof(reader->quality), "quality %d, sampling %dx%d,%dx%d,%dx%d",
                 q->ijg, q->h[0], q->v[0], q->h[1], q->v[1], q->h[2], q->v[2]);
}

/* What libjpeg holds of a picture that comes in several scans. */
static uint64_t coefficient_bytes(const struct jpeg_decompress_struct *in)
{
    uint64_t n = 0;

    for (int i = 0; i < in->num_components; i++)
        n += (uint64_t)in->comp_info[i].width_in_blocks * in->comp_info[i].height_in_blocks *
             sizeof(JBLOCK);
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
    s->from = (struct jpeg_source_mgr){.init_source = on_nothing,
                                       .fill_input_buffer = on_fill,
                                       .skip_input_data = on_skip,
                                       .resync_to_restart = jpeg_resync_to_restart,
                                       .term_source = on_nothing};
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
    case JCS_GRAYSCALE: in->out_color_space = JCS_GRAYSCALE; break;
    case JCS_YCbCr:
    case JCS_RGB: in->out_color_space = JCS_RGB; break;
    case JCS_CMYK:
    case JCS_YCCK:
        in->out_color_space = JCS_CMYK;
        aei_note(reader->note, "CMYK converted to RGB");
        break;
    default:
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "JPEG of %d components", in->num_components);
    }
    if (jpeg_has_multiple_scans(in) && (st = aei_charge(&s->charged, limits, coefficient_bytes(in),
                                                        reader->codec, s->err)) != AE_OK)
        return st;
    reader->info = aei_image_info(in->image_width, in->image_height, AE_U8,
                                  in->out_color_space == JCS_GRAYSCALE ? 1 : 3);
    s->row_bytes = ae_row_bytes(&reader->info);
    describe_class(s, reader);
    if ((st = add_meta(s, limits, reader, s->err)) != AE_OK)
        return st;
    return add_icc(s, &reader->meta, s->err);
}

ae_status aei_jpeg_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                        ae_error *err)
{
    jpeg_state *s = ae_alloc(1, sizeof(*s));
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "JPEG decoder");
    s->source = source;
    aei_jpeg_begin(s, err);
    st = read_header(s, limits, reader);
    if (st == AE_OK && s->c.in.out_color_space == JCS_CMYK) {
        s->cmyk = ae_alloc(s->c.in.image_width, 4);
        if (!s->cmyk)
            st = ae_fail(err, AE_ERR_NOMEM, "a row of %u pixels", s->c.in.image_width);
    }
    if (st == AE_OK)
        st = aei_keep(reader, &s->quality, sizeof(s->quality), err);
    if (st != AE_OK) {
        aei_jpeg_free(s);
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

ae_status aei_jpeg_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    jpeg_state *s = reader->state;

    s->err = err;
    return read_rows(s, rows, n_rows);
}

void aei_jpeg_close(ae_reader *reader)
{
    aei_jpeg_free(reader->state);
}

int aei_jpeg_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 3 && head[0] == 0xff && head[1] == 0xd8 && head[2] == 0xff ? 100 : 0;
}

/* What a reader keeps, where it makes sense. */
const jpeg_class *aei_jpeg_class(const ae_reader *reader)
{
    bool own = reader && reader->codec && reader->codec->read == aei_jpeg_read;
    const jpeg_class *q = own ? aei_kept(reader, reader->codec, sizeof(*q)) : NULL;

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

bool ae_reader_quantisation(const ae_reader *reader, uint16_t table[64], int *quality)
{
    const jpeg_class *q = aei_jpeg_class(reader);

    if (!q || !q->n_components || (q->space != JCS_YCbCr && q->space != JCS_GRAYSCALE))
        return false;
    for (int i = 0; i < DCTSIZE2; i++)
        table[i] = q->tables[0][i];
    *quality = q->ijg;
    return true;
}
