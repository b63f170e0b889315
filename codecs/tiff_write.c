/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing TIFF by rows, in strips of about 256 KiB. */
#include "tiff.h"

#include <string.h>

void aei_tiff_accepts(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

/* The source's compression where it is lossless and at hand. */
static uint16_t choose_compression(const ae_reader *like, const ae_signal_info *info,
                                   uint16_t *predictor)
{
    bool tiff = like && like->codec && like->codec->read == aei_tiff_reader_read;
    const tiff_class *from = tiff ? aei_kept(like, like->codec, sizeof(*from)) : NULL;
    uint16_t compression = COMPRESSION_ADOBE_DEFLATE;

    *predictor = info->sample == AE_F32 ? PREDICTOR_FLOATINGPOINT : PREDICTOR_HORIZONTAL;
    if (from) {
        switch (from->compression) {
        case COMPRESSION_LZW:
        case COMPRESSION_ADOBE_DEFLATE:
            if (from->predictor == PREDICTOR_NONE)
                *predictor = PREDICTOR_NONE;
            compression = from->compression;
            break;
        case COMPRESSION_NONE:
        case COMPRESSION_PACKBITS: compression = from->compression; break;
        default: break;
        }
    }
    return compression;
}

static void set_resolution(TIFF *tif, const ae_meta *meta)
{
    uint32_t d[2];
    double inch[2];
    bool by_inch = true;

    if (!aei_get_density(meta, &d[0], &d[1]))
        return;
    for (int i = 0; i < 2; i++) {
        inch[i] = (double)(int64_t)(d[i] * 0.0254 + 0.5);
        by_inch = by_inch && (uint32_t)(inch[i] / 0.0254 + 0.5) == d[i];
    }
    TIFFSetField(tif, TIFFTAG_RESOLUTIONUNIT, by_inch ? RESUNIT_INCH : RESUNIT_CENTIMETER);
    TIFFSetField(tif, TIFFTAG_XRESOLUTION, by_inch ? inch[0] : d[0] / 100.0);
    TIFFSetField(tif, TIFFTAG_YRESOLUTION, by_inch ? inch[1] : d[1] / 100.0);
}

static void set_chromaticities(TIFF *tif, const ae_meta *meta)
{
    double xy[8];
    float f[8];

    if (!aei_get_chromaticities(meta, xy))
        return;
    for (int i = 0; i < 8; i++)
        f[i] = (float)xy[i];
    TIFFSetField(tif, TIFFTAG_WHITEPOINT, f);
    TIFFSetField(tif, TIFFTAG_PRIMARYCHROMATICITIES, f + 2);
}

/* Texts and orientation of an EXIF block as entries of the file's own directory. False where memory
 * is short. */
static bool set_description(TIFF *tif, const aei_ifd_view *exif)
{
    static const uint16_t texts[] = {TIFFTAG_IMAGEDESCRIPTION, TIFFTAG_MAKE,     TIFFTAG_MODEL,
                                     TIFFTAG_SOFTWARE,         TIFFTAG_DATETIME, TIFFTAG_ARTIST,
                                     TIFFTAG_HOSTCOMPUTER,     TIFFTAG_COPYRIGHT};
    aei_ifd_entry e;

    if (aei_ifd_find(exif, AEI_TAG_ORIENTATION, &e)) {
        uint64_t v = aei_ifd_number(exif, &e);

        if (v >= 1 && v <= 8)
            TIFFSetField(tif, TIFFTAG_ORIENTATION, (int)v);
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text;

        if (!aei_ifd_find(exif, texts[i], &e) || e.type != TIFF_ASCII || e.n_bytes > exif->n_bytes)
            continue;
        text = ae_alloc((size_t)e.n_bytes + 1, 1);
        if (!text)
            return false;
        if (aei_ifd_read(exif, &e, text, (size_t)e.n_bytes))
            TIFFSetField(tif, texts[i], text);
        ae_free(text);
    }
    return true;
}

static ae_status set_iptc(tiff_state *s, const ae_meta_item *item)
{
    size_t n = AEI_PHOTOSHOP_HEAD + item->n_bytes + (item->n_bytes & 1);
    uint8_t *resource = ae_alloc(n, 1);

    if (!resource)
        return ae_fail(s->err, AE_ERR_NOMEM, "IPTC");
    aei_photoshop_head(item->n_bytes, resource);
    memcpy(resource + AEI_PHOTOSHOP_HEAD, item->value, item->n_bytes);
    TIFFSetField(s->tif, TIFFTAG_PHOTOSHOP, (uint32_t)n, resource);
    ae_free(resource);
    return AE_OK;
}

static ae_status set_meta(tiff_state *s, const ae_meta *meta, ae_writer *writer)
{
    const ae_meta_item *exif = ae_meta_find(meta, AE_META_EXIF);
    aei_profile icc;
    uint8_t *made;
    aei_ifd_entry e;
    bool described = false;

    aei_profile_for(meta, &writer->info, "cHRM", &icc, &made, writer->note);
    if (icc.data)
        TIFFSetField(s->tif, TIFFTAG_ICCPROFILE, (uint32_t)icc.n_bytes, icc.data); /* copies it */
    ae_free(made);
    set_chromaticities(s->tif, meta);
    set_resolution(s->tif, meta);
    if (exif) {
        aei_ifd_view view = {.data = exif->value, .n_bytes = exif->n_bytes};

        s->exif = *exif;
        if (aei_ifd_view_open(&view)) {
            described = aei_ifd_find(&view, AEI_TAG_DESCRIPTION, &e);
            if (!set_description(s->tif, &view))
                return ae_fail(s->err, AE_ERR_NOMEM, "EXIF");
        }
    }
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];
        ae_status st;

        if (!item->n_bytes) {
            continue;
        } else if (item->kind == AE_META_XMP) {
            TIFFSetField(s->tif, TIFFTAG_XMLPACKET, (uint32_t)item->n_bytes, item->value);
        } else if (item->kind == AE_META_IPTC) {
            if ((st = set_iptc(s, item)) != AE_OK)
                return st;
        } else if (aei_is_text(item, "Comment") && !described) {
            TIFFSetField(s->tif, TIFFTAG_IMAGEDESCRIPTION, (const char *)item->value);
            described = true;
        } else if (item->kind == AE_META_TEXT) {
            aei_note(writer->note, "text other than a comment dropped");
        }
    }
    if (s->status != AE_OK) /* what libtiff does not take costs nothing but itself */
        aei_note(writer->note, "metadata that TIFF does not accept dropped");
    s->status = AE_OK;
    return AE_OK;
}

static ae_status set_fields(tiff_state *s, const ae_write_options *options,
                            const ae_signal_info *info)
{
    uint16_t predictor, compression = choose_compression(options->like, info, &predictor),
                        extra = EXTRASAMPLE_UNASSALPHA;
    uint64_t rows = (1 << 18) / s->row_bytes;
    TIFF *tif = s->tif;

    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, (uint32_t)info->width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, (uint32_t)info->height);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 8 * (int)ae_sample_bytes(info->sample));
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, (int)info->channels);
    TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT,
                 info->sample == AE_F32 ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC,
                 info->channels < 3 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    if (info->alpha)
        TIFFSetField(tif, TIFFTAG_EXTRASAMPLES, 1, &extra);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, compression);
    if (compression == COMPRESSION_LZW || compression == COMPRESSION_ADOBE_DEFLATE)
        TIFFSetField(tif, TIFFTAG_PREDICTOR, predictor);
    TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP,
                 (uint32_t)(rows < 1              ? 1
                            : rows > info->height ? info->height
                                                  : rows));
    return s->status;
}

ae_status aei_tiff_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                          const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    const ae_meta_item *exif = ae_meta_find(meta, AE_META_EXIF);
    char mode[4] = "wl";
    ae_error complaint = {0};
    tiff_state *s;
    ae_status st;

    if (info->width > UINT32_MAX || info->height > UINT32_MAX)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "TIFF holds at most 2^32 - 1 pixels along an edge");
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "TIFF encoder");
    s->spool.fd = -1;
    s->err = err;
    s->row_bytes = ae_row_bytes(info);
    s->raw = ae_alloc(s->row_bytes, 1);
    if (!s->raw) {
        st = ae_fail(err, AE_ERR_NOMEM, "a row of %zu bytes", s->row_bytes);
        goto failed;
    }
    if ((st = aei_spool_open(&s->spool, sink, true, err)) != AE_OK)
        goto failed;
    /* EXIF is copied as it is, so its byte order is the file's. */
    if (exif && exif->n_bytes && exif->value[0] == 'M')
        mode[1] = 'b';
    if (info->height > (UINT64_C(4000) << 20) / s->row_bytes)
        mode[2] = '8';
    aei_tiff_open(s, mode, UINT64_MAX);
    if (!s->tif) {
        st = aei_tiff_failed(s, "no memory");
        goto failed;
    }
    if ((st = set_fields(s, options, info)) != AE_OK)
        goto failed;
    s->err = &complaint; /* may turn out to be harmless */
    st = set_meta(s, meta, writer);
    s->err = err;
    if (st != AE_OK) {
        ae_fail(err, st, "%s", complaint.message);
        goto failed;
    }
    if (mode[2] && exif) {
        aei_note(writer->note, "EXIF reduced to its first directory");
        s->exif = (ae_meta_item){0};
    }
    writer->state = s;
    return AE_OK;
failed:
    aei_tiff_free(s);
    return st;
}

ae_status aei_tiff_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    tiff_state *s = writer->state;

    s->err = err;
    for (uint32_t i = 0; i < n_rows && s->status == AE_OK; i++, s->y++) {
        /* libtiff swaps and predicts in place */
        memcpy(s->raw, (const uint8_t *)rows + i * s->row_bytes, s->row_bytes);
        if (TIFFWriteScanline(s->tif, s->raw, (uint32_t)s->y, 0) < 0)
            return aei_tiff_failed(s, "cannot be written");
    }
    return s->status;
}

/* The EXIF and GPS directories go behind the strips, where libtiff is told to point. */
static ae_status write_exif(tiff_state *s)
{
    static const uint16_t pointers[] = {AEI_TAG_EXIF, AEI_TAG_GPS};
    aei_ifd_view view = {.data = s->exif.value, .n_bytes = s->exif.n_bytes};
    ae_status st = AE_OK;

    if (!s->exif.value || !aei_ifd_view_open(&view))
        return AE_OK;
    if (!TIFFFlushData(s->tif))
        return aei_tiff_failed(s, "cannot be written");
    for (int i = 0; i < 2 && st == AE_OK; i++) {
        aei_bytes out = {0};
        uint64_t at = s->size + (s->size & 1);

        if (aei_exif_directory(&view, pointers[i], at, &out)) {
            if ((s->size & 1 && !aei_tiff_append(s, "", 1)) ||
                !aei_tiff_append(s, out.data, out.n_bytes))
                st = aei_tiff_failed(s, "cannot be written");
            TIFFSetField(s->tif, pointers[i], at);
        } else if (out.failed) {
            st = ae_fail(s->err, AE_ERR_NOMEM, "EXIF");
        }
        ae_free(out.data);
    }
    return st;
}

ae_status aei_tiff_finish(ae_writer *writer, ae_error *err)
{
    tiff_state *s = writer->state;
    ae_status st = s->status;

    s->err = err;
    if (st == AE_OK)
        st = write_exif(s);
    if (st == AE_OK && (!TIFFFlush(s->tif) || s->status != AE_OK))
        st = aei_tiff_failed(s, "cannot be written");
    if (st == AE_OK)
        st = aei_spool_finish(&s->spool, err);
    aei_tiff_free(s);
    return st;
}

void aei_tiff_abandon(ae_writer *writer)
{
    aei_tiff_free(writer->state);
}
