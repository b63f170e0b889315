/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading TIFF: integer samples of 1 to 16 bits and 32-bit float; grey, palette, RGB, CMYK; strips by rows, tiles and separate
 * planes by bands. Descriptive entries travel as EXIF (exif.h). */
#include "tiff.h"

#include <string.h>

static ae_status unsupported(tiff_state *s, const char *what, unsigned value)
{
    return ae_fail(s->err, AE_ERR_UNSUPPORTED, "TIFF: %s %u is not supported", what, value);
}

static ae_status check_colour(tiff_state *s, ae_reader *reader)
{
    switch (s->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
        s->n_colours = 1;
        return AE_OK;
    case PHOTOMETRIC_PALETTE:
        s->n_colours = 1;
        if (s->bits > 8 || !TIFFGetField(s->tif, TIFFTAG_COLORMAP, &s->palette[0], &s->palette[1], &s->palette[2]))
            return aei_tiff_failed(s, "no palette");
        return AE_OK;
    case PHOTOMETRIC_RGB:
        s->n_colours = 3;
        return AE_OK;
    case PHOTOMETRIC_YCBCR:
        if (s->compression != COMPRESSION_JPEG)
            return unsupported(s, "YCbCr with compression", s->compression);
        TIFFSetField(s->tif, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        s->n_colours = 3;
        return AE_OK;
    case PHOTOMETRIC_SEPARATED:
        s->n_colours = 4;
        aei_note(reader->note, "CMYK converted to RGB");
        return AE_OK;
    default:
        return unsupported(s, "photometric interpretation", s->photometric);
    }
}

static ae_status read_fields(tiff_state *s, const ae_limits *limits, ae_reader *reader)
{
    uint32_t width = 0, height = 0, n_colours;
    uint16_t format, n_extra = 0, *extra = NULL;
    bool alpha;
    ae_sample sample;
    ae_status st;

    TIFFGetField(s->tif, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(s->tif, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_BITSPERSAMPLE, &s->bits);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_SAMPLESPERPIXEL, &s->samples);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_PLANARCONFIG, &s->planar);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_COMPRESSION, &s->compression);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_EXTRASAMPLES, &n_extra, &extra);
    if (!TIFFGetField(s->tif, TIFFTAG_PHOTOMETRIC, &s->photometric))
        s->photometric = s->samples < 3 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB;
    if ((st = aei_check_size(limits, width, height, s->err)) != AE_OK)
        return st;
    if (!TIFFIsCODECConfigured(s->compression) || s->compression == COMPRESSION_OJPEG)
        return unsupported(s, "compression", s->compression);
    if ((st = check_colour(s, reader)) != AE_OK)
        return st;
    if (s->samples < s->n_colours)
        return aei_tiff_failed(s, "too few samples per pixel");
    if (format == SAMPLEFORMAT_IEEEFP ? s->bits != 32 || s->n_colours == 4 : s->bits < 1 || s->bits > 16)
        return unsupported(s, "bits per sample", s->bits);
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID && format != SAMPLEFORMAT_IEEEFP)
        return unsupported(s, "sample format", format);

    /* Many programs store alpha without saying so. */
    alpha = s->samples > s->n_colours;
    s->premultiplied = alpha && n_extra && extra[0] == EXTRASAMPLE_ASSOCALPHA;
    if (s->samples > s->n_colours + 1u)
        aei_note(reader->note, "further channels dropped");
    if (s->premultiplied)
        aei_note(reader->note, "premultiplied alpha converted");
    n_colours = s->palette[0] || s->n_colours == 4 ? 3 : s->n_colours;
    sample = format == SAMPLEFORMAT_IEEEFP ? AE_F32 : s->bits > 8 ? AE_U16 : AE_U8;
    reader->info = aei_image_info(width, height, sample, n_colours + alpha);
    if (sample == AE_U16)
        reader->info.bits = s->bits;
    s->row_bytes = ae_row_bytes(&reader->info);
    s->simple = !s->palette[0] && !s->premultiplied && s->n_colours < 4 && s->photometric != PHOTOMETRIC_MINISWHITE &&
                s->samples == reader->info.channels && s->bits % 8 == 0;
    return AE_OK;
}

/* Decides between rows and bands and takes the buffers. */
static ae_status plan_reading(tiff_state *s, const ae_limits *limits, const ae_signal_info *info)
{
    uint32_t rows = 0;
    uint64_t row_bits = (uint64_t)info->width * s->samples * s->bits, band;
    tmsize_t tile_bytes = 0;
    ae_status st;

    if (TIFFIsTiled(s->tif)) {
        TIFFGetField(s->tif, TIFFTAG_TILEWIDTH, &s->tile_width);
        TIFFGetField(s->tif, TIFFTAG_TILELENGTH, &s->tile_height);
        if (!s->tile_width || !s->tile_height)
            return aei_tiff_failed(s, "tiles without a size");
        s->band_rows = s->tile_height;
        tile_bytes = TIFFTileSize(s->tif);
    } else if (s->planar == PLANARCONFIG_SEPARATE && s->samples > 1) {
        TIFFGetFieldDefaulted(s->tif, TIFFTAG_ROWSPERSTRIP, &rows);
        s->band_rows = rows && rows < info->height ? rows : (uint32_t)info->height;
        tile_bytes = TIFFStripSize(s->tif);
    } else if (TIFFScanlineSize(s->tif) < (tmsize_t)((row_bits + 7) / 8)) {
        return aei_tiff_failed(s, "short rows");
    }
    if (s->band_rows && (uint64_t)s->bits * (s->tile_width ? s->tile_width : 8) % 8)
        return unsupported(s, "tiles or planes with bits per sample", s->bits);
    if (s->band_rows && s->planar == PLANARCONFIG_SEPARATE && s->bits % 8)
        return unsupported(s, "separate planes with bits per sample", s->bits);
    if (s->band_rows && tile_bytes <= 0)
        return aei_tiff_failed(s, "tiles or strips without a size");
    s->raw_bytes = (size_t)((row_bits + 7) / 8);
    if (s->band_rows == 0) {
        tmsize_t line = TIFFScanlineSize(s->tif); /* may be more in odd files */

        s->raw_bytes = line > (tmsize_t)s->raw_bytes ? (size_t)line : s->raw_bytes;
    }
    if (__builtin_mul_overflow((uint64_t)s->raw_bytes, s->band_rows ? s->band_rows : 1, &band) ||
        (st = aei_check_memory(limits, band + (uint64_t)tile_bytes, s->err)) != AE_OK)
        return ae_fail(s->err, AE_ERR_LIMIT, "TIFF: tiles or strips exceed max_memory");
    s->raw = ae_alloc(band, 1);
    s->tile = tile_bytes ? ae_alloc((size_t)tile_bytes, 1) : NULL;
    if (!s->raw || (tile_bytes && !s->tile))
        return ae_fail(s->err, AE_ERR_NOMEM, "TIFF: a band of %llu bytes", (unsigned long long)band);
    return AE_OK;
}

/* IIM records end where the next marker is none; files pad them to four bytes. */
static size_t iptc_length(const uint8_t *p, size_t n)
{
    size_t at = 0;

    while (n - at >= 5 && p[at] == 0x1c) {
        size_t length = (size_t)p[at + 3] << 8 | p[at + 4];

        if (length & 0x8000 || length > n - at - 5)
            return n;
        at += 5 + length;
    }
    return at;
}

static ae_status add_entry(tiff_state *s, ae_meta_kind kind, uint16_t tag, uint64_t max_bytes, ae_reader *reader)
{
    aei_ifd_view view = {.source = s->source};
    aei_ifd_entry e;
    uint8_t *value;
    size_t n;
    ae_status st = AE_OK;

    if (!aei_ifd_view_open(&view) || !aei_ifd_find(&view, tag, &e) || !e.n_bytes)
        return AE_OK;
    if (e.at > view.n_bytes || e.n_bytes > view.n_bytes - e.at) {
        aei_note(reader->note, AEI_DAMAGED_META);
        return AE_OK;
    }
    if (e.n_bytes > max_bytes)
        return ae_fail(s->err, AE_ERR_LIMIT, "TIFF: %llu bytes of metadata exceed max_meta (%llu)", (unsigned long long)e.n_bytes,
                       (unsigned long long)max_bytes);
    n = (size_t)e.n_bytes;
    value = ae_alloc(n, 1);
    if (!value)
        return ae_fail(s->err, AE_ERR_NOMEM, "metadata of %zu bytes", n);
    if (aei_ifd_read(&view, &e, value, n)) {
        if (tag == TIFFTAG_PHOTOSHOP)
            st = aei_add_photoshop(&reader->meta, value, n, s->err);
        else if (kind != AE_META_IPTC || (n = iptc_length(value, n)) > 0)
            st = ae_meta_add(&reader->meta, kind, NULL, value, n, s->err);
    }
    ae_free(value);
    return st;
}

static ae_status add_meta(tiff_state *s, const ae_limits *limits, ae_reader *reader)
{
    ae_status st = AE_OK;
    float x, y, *white, *primaries;
    uint16_t unit;
    double per_metre, xy[8];

    if (s->n_colours < 4)
        st = add_entry(s, AE_META_ICC, TIFFTAG_ICCPROFILE, limits->max_meta, reader);
    if (st == AE_OK)
        st = add_entry(s, AE_META_XMP, TIFFTAG_XMLPACKET, limits->max_meta, reader);
    if (st == AE_OK)
        st = add_entry(s, AE_META_IPTC, TIFFTAG_RICHTIFFIPTC, limits->max_meta, reader);
    if (st == AE_OK)
        st = add_entry(s, AE_META_IPTC, TIFFTAG_PHOTOSHOP, limits->max_meta, reader);
    if (st == AE_OK)
        st = aei_exif_extract(s->source, limits->max_meta, reader, s->err);
    if (st == AE_OK && TIFFGetField(s->tif, TIFFTAG_WHITEPOINT, &white) &&
        TIFFGetField(s->tif, TIFFTAG_PRIMARYCHROMATICITIES, &primaries)) {
        for (int i = 0; i < 8; i++)
            xy[i] = (double)(i < 2 ? white[i] : primaries[i - 2]);
        st = aei_add_chromaticities(&reader->meta, xy, s->err);
    }
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_RESOLUTIONUNIT, &unit);
    per_metre = unit == RESUNIT_INCH ? 1 / 0.0254 : unit == RESUNIT_CENTIMETER ? 100 : 0;
    if (st == AE_OK && TIFFGetField(s->tif, TIFFTAG_XRESOLUTION, &x) && TIFFGetField(s->tif, TIFFTAG_YRESOLUTION, &y))
        st = aei_add_density(&reader->meta, (double)x * per_metre, (double)y * per_metre, s->err);
    return st;
}

ae_status aei_tiff_reader_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    tiff_state *s = ae_alloc(1, sizeof(*s));
    ae_error complaint = {0}; /* may turn out to be harmless */
    const TIFFCodec *scheme;
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "TIFF decoder");
    s->spool.fd = -1;
    s->source = source;
    s->size = ae_source_size(source);
    s->err = &complaint;
    aei_tiff_open(s, "rm", limits->max_memory);
    if (!s->tif) {
        st = aei_tiff_failed(s, "no memory or not a TIFF file");
        goto failed;
    }
    if ((st = read_fields(s, limits, reader)) != AE_OK || (st = plan_reading(s, limits, &reader->info)) != AE_OK ||
        (st = add_meta(s, limits, reader)) != AE_OK)
        goto failed;
    s->predictor = PREDICTOR_NONE;
    if (s->compression == COMPRESSION_LZW || s->compression == COMPRESSION_ADOBE_DEFLATE || s->compression == COMPRESSION_DEFLATE)
        TIFFGetField(s->tif, TIFFTAG_PREDICTOR, &s->predictor);
    if ((scheme = TIFFFindCODEC(s->compression)))
        snprintf(reader->quality, sizeof(reader->quality), "%s", scheme->name);
    aei_further(reader, aei_ifd_further(source), "pages");
    s->status = AE_OK;
    reader->state = s;
    return AE_OK;
failed:
    if (err)
        *err = complaint;
    aei_tiff_free(s);
    return st;
}

/* One band of rows, all planes, into raw. */
static ae_status read_band(tiff_state *s, const ae_signal_info *info)
{
    uint32_t planes = s->planar == PLANARCONFIG_SEPARATE ? s->samples : 1, per_plane = s->samples / planes;
    size_t pixel = (size_t)s->bits * s->samples / 8, part = (size_t)s->bits * per_plane / 8; /* where bits % 8 == 0 */
    uint32_t rows = (uint32_t)(info->height - s->y < s->band_rows ? info->height - s->y : s->band_rows);
    uint32_t width = s->tile_width ? s->tile_width : (uint32_t)info->width;
    size_t tile_row = s->tile_width ? (size_t)TIFFTileRowSize(s->tif) : (size_t)((uint64_t)width * per_plane * s->bits / 8);

    for (uint32_t p = 0; p < planes; p++)
        for (uint64_t x = 0; x < info->width; x += width) {
            uint32_t n = (uint32_t)(info->width - x < width ? info->width - x : width);
            tmsize_t got;

            if (s->tile_width)
                got = TIFFReadTile(s->tif, s->tile, (uint32_t)x, (uint32_t)s->y, 0, (uint16_t)p);
            else
                got = TIFFReadEncodedStrip(s->tif, TIFFComputeStrip(s->tif, (uint32_t)s->y, (uint16_t)p), s->tile, -1);
            if (got < (tmsize_t)(tile_row * rows))
                return aei_tiff_failed(s, "truncated");
            for (uint32_t y = 0; y < rows; y++) {
                const uint8_t *from = s->tile + y * tile_row;
                uint8_t *to = s->raw + y * s->raw_bytes;

                if (planes == 1) {
                    memcpy(to + x * s->samples * s->bits / 8, from, ((size_t)n * s->samples * s->bits + 7) / 8);
                    continue;
                }
                for (uint32_t i = 0; i < n; i++)
                    memcpy(to + (x + i) * pixel + p * part, from + i * part, part);
            }
        }
    return AE_OK;
}

static uint32_t get_sample(const tiff_state *s, const uint8_t *raw, size_t i)
{
    uint64_t at = (uint64_t)i * s->bits;
    uint32_t v = 0;

    if (s->bits == 8)
        return raw[i];
    if (s->bits == 16)
        return ((const uint16_t *)raw)[i];
    for (unsigned k = 0; k < s->bits; k++, at++)
        v = v << 1 | (raw[at / 8] >> (7 - at % 8) & 1);
    return v;
}

/* One pixel of integer samples, stretched to 8 or 16 bits; straight alpha. */
static void unpack_pixel(const tiff_state *s, const uint8_t *raw, size_t x, const ae_signal_info *info, uint32_t out[4])
{
    uint32_t max = (1u << s->bits) - 1, full = info->sample == AE_U16 ? 65535 : 255, v[5] = {0};

    for (uint32_t c = 0; c < s->n_colours + info->alpha; c++) {
        uint32_t sample = get_sample(s, raw, x * s->samples + c);

        v[c] = s->palette[0] && c == 0 ? sample : (sample * full + max / 2) / max;
    }
    if (s->palette[0]) {
        for (int c = 0; c < 3; c++)
            out[c] = s->palette[c][v[0]] >> 8;
    } else if (s->n_colours == 4) {
        for (int c = 0; c < 3; c++)
            out[c] = (uint32_t)(((uint64_t)(full - v[c]) * (full - v[3]) + full / 2) / full);
    } else {
        for (uint32_t c = 0; c < s->n_colours; c++)
            out[c] = s->photometric == PHOTOMETRIC_MINISWHITE ? full - v[c] : v[c];
    }
    if (info->alpha)
        out[info->channels - 1] = v[s->n_colours];
    for (uint32_t c = 0; s->premultiplied && c + 1 < info->channels; c++) {
        uint32_t a = out[info->channels - 1];

        out[c] = a == 0 ? 0 : out[c] >= a ? full : (uint32_t)(((uint64_t)out[c] * full + a / 2) / a);
    }
}

static void unpack_float(const tiff_state *s, const float *raw, size_t x, const ae_signal_info *info, float *out)
{
    for (uint32_t c = 0; c < info->channels; c++) {
        float v = raw[x * s->samples + c], a = info->alpha ? raw[x * s->samples + s->n_colours] : 1;

        if (c < s->n_colours && s->photometric == PHOTOMETRIC_MINISWHITE)
            v = 1 - v;
        out[c] = c < s->n_colours && s->premultiplied && a > 0 ? v / a : v;
    }
}

static void unpack_row(const tiff_state *s, const uint8_t *raw, const ae_signal_info *info, uint8_t *row)
{
    if (s->simple) {
        memcpy(row, raw, s->row_bytes);
        return;
    }
    for (size_t x = 0; x < info->width; x++) {
        uint32_t v[4];

        if (info->sample == AE_F32) {
            unpack_float(s, (const float *)raw, x, info, (float *)row + x * info->channels);
            continue;
        }
        unpack_pixel(s, raw, x, info, v);
        for (uint32_t c = 0; c < info->channels; c++)
            if (info->sample == AE_U16)
                ((uint16_t *)row)[x * info->channels + c] = (uint16_t)v[c];
            else
                row[x * info->channels + c] = (uint8_t)v[c];
    }
}

ae_status aei_tiff_reader_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    tiff_state *s = reader->state;

    s->err = err;
    for (uint32_t i = 0; i < n_rows && s->status == AE_OK; i++, s->y++) {
        const uint8_t *raw = s->raw;

        if (!s->band_rows) {
            if (TIFFReadScanline(s->tif, s->raw, (uint32_t)s->y, 0) < 0)
                return aei_tiff_failed(s, "truncated");
        } else {
            if (s->y % s->band_rows == 0 && read_band(s, &reader->info) != AE_OK)
                return s->status;
            raw += s->y % s->band_rows * s->raw_bytes;
        }
        if (s->status != AE_OK) /* damage that libtiff patched up */
            return s->status;
        unpack_row(s, raw, &reader->info, (uint8_t *)rows + i * s->row_bytes);
    }
    return s->status;
}

void aei_tiff_reader_close(ae_reader *reader)
{
    aei_tiff_free(reader->state);
}

int aei_tiff_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 8 && (memcmp(head, "II*\0", 4) == 0 || memcmp(head, "MM\0*", 4) == 0 || memcmp(head, "II+\0", 4) == 0 ||
                            memcmp(head, "MM\0+", 4) == 0)
               ? 80 : 0;
}
