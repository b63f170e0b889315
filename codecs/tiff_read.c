/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading TIFF: integers of 1 to 32 bits, float of 16, 32 and 64; grey, palette, RGB, CMYK, YCbCr,
 * Lab, LogLuv; strips by rows, tiles and separate planes by bands. Descriptive entries travel as
 * EXIF (exif.h). */
#include "tiff.h"

#include <string.h>

static ae_status unsupported(tiff_state *s, const char *what, unsigned value)
{
    return ae_fail(s->err, AE_ERR_UNSUPPORTED, "TIFF: %s %u is not supported", what, value);
}

static ae_status check_colour(tiff_state *s, ae_reader *reader)
{
    char text[1024];

    switch (s->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK: s->n_colours = 1; return AE_OK;
    case PHOTOMETRIC_PALETTE:
        s->n_colours = 1;
        if (s->bits > 8 ||
            !TIFFGetField(s->tif, TIFFTAG_COLORMAP, &s->palette[0], &s->palette[1], &s->palette[2]))
            return aei_tiff_failed(s, "no palette");
        return AE_OK;
    case PHOTOMETRIC_RGB: s->n_colours = 3; return AE_OK;
    case PHOTOMETRIC_YCBCR:
        s->n_colours = 3;
        if (s->compression == COMPRESSION_JPEG)
            TIFFSetField(s->tif, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        else if (!TIFFRGBAImageOK(s->tif, text) || s->bits != 8)
            return unsupported(s, "YCbCr with bits per sample", s->bits);
        else
            s->whole_pixels = true;
        return AE_OK;
    case PHOTOMETRIC_SEPARATED:
        s->n_colours = 4;
        aei_note(reader->note, "CMYK converted to RGB");
        return AE_OK;
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
        s->n_colours = s->samples < 3 ? 1 : 3; /* grey: L alone */
        aei_note(reader->note, "Lab converted to sRGB");
        return s->bits == 8 || s->bits == 16 ? AE_OK
                                             : unsupported(s, "Lab with bits per sample", s->bits);
    case PHOTOMETRIC_LOGLUV:
    case PHOTOMETRIC_LOGL:
        if (s->compression != COMPRESSION_SGILOG && s->compression != COMPRESSION_SGILOG24)
            return unsupported(s, "LogLuv with compression", s->compression);
        s->n_colours = s->photometric == PHOTOMETRIC_LOGL ? 1 : 3;
        s->samples = (uint16_t)s->n_colours;
        s->bits = 32;
        s->format = SAMPLEFORMAT_IEEEFP; /* XYZ or Y */
        if (!TIFFSetField(s->tif, TIFFTAG_SGILOGDATAFMT, SGILOGDATAFMT_FLOAT))
            return aei_tiff_failed(s, "no LogLuv");
        aei_note(reader->note, s->n_colours == 1 ? "LogL converted to linear grey"
                                                 : "LogLuv converted to linear RGB");
        return AE_OK;
    default: return unsupported(s, "photometric interpretation", s->photometric);
    }
}

static ae_status check_format(tiff_state *s, ae_reader *reader)
{
    bool lab = s->photometric == PHOTOMETRIC_CIELAB || s->photometric == PHOTOMETRIC_ICCLAB;

    switch (s->format) {
    case SAMPLEFORMAT_IEEEFP:
        if ((s->bits != 16 && s->bits != 32 && s->bits != 64) || s->n_colours == 4 || s->palette[0])
            return unsupported(s, "floating-point bits per sample", s->bits);
        if (s->bits == 64)
            aei_note(reader->note, "64-bit floats rounded to 32 bits");
        s->sample = AE_F32;
        return AE_OK;
    case SAMPLEFORMAT_INT:
        if (lab) /* which is what it is */
            break;
        if ((s->bits != 8 && s->bits != 16 && s->bits != 32) || s->n_colours == 4 || s->palette[0])
            return unsupported(s, "signed bits per sample", s->bits);
        if (s->bits < 32)
            aei_note(reader->note, s->bits == 8 ? "signed samples raised by 128"
                                                : "signed samples raised by 32768");
        break;
    case SAMPLEFORMAT_UINT:
    case SAMPLEFORMAT_VOID: break;
    default: return unsupported(s, "sample format", s->format);
    }
    if (s->bits < 1 || s->bits > 32 || (s->bits > 16 && s->n_colours == 4))
        return unsupported(s, "bits per sample", s->bits);
    if (s->bits > 16)
        aei_note(reader->note, "integers of more than 16 bits converted to float");
    s->sample = s->bits > 16 ? AE_F32 : s->bits > 8 || lab ? AE_U16 : AE_U8;
    return AE_OK;
}

static ae_status read_fields(tiff_state *s, const ae_limits *limits, ae_reader *reader)
{
    uint32_t width = 0, height = 0, n_colours;
    uint16_t n_extra = 0, *extra = NULL;
    bool alpha;
    ae_status st;

    TIFFGetField(s->tif, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(s->tif, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_BITSPERSAMPLE, &s->bits);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_SAMPLESPERPIXEL, &s->samples);
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_SAMPLEFORMAT, &s->format);
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
    if ((st = check_format(s, reader)) != AE_OK)
        return st;

    /* Many programs store alpha without saying so. */
    alpha = s->samples > s->n_colours;
    s->premultiplied = alpha && n_extra && extra[0] == EXTRASAMPLE_ASSOCALPHA;
    if (s->samples > s->n_colours + 1u)
        aei_note(reader->note, "further channels dropped");
    if (s->premultiplied)
        aei_note(reader->note, "premultiplied alpha converted");
    n_colours = s->palette[0] || s->n_colours == 4 ? 3 : s->n_colours;
    reader->info = aei_image_info(width, height, s->sample, n_colours + alpha);
    if (s->sample == AE_U16 && s->bits > 8)
        reader->info.bits = s->bits;
    s->row_bytes = ae_row_bytes(&reader->info);
    s->simple = !s->palette[0] && !s->premultiplied && s->n_colours < 4 &&
                s->photometric != PHOTOMETRIC_MINISWHITE && s->samples == reader->info.channels &&
                s->bits == 8 * ae_sample_bytes(s->sample) && !aei_tiff_is_special(s);
    if (s->whole_pixels) {
        /* by bands, of which libtiff makes RGBA */
        if (s->samples != 3)
            return unsupported(s, "YCbCr with samples per pixel", s->samples);
        s->simple = true;
        s->planar = PLANARCONFIG_CONTIG;
    }
    return AE_OK;
}

/* Decides between rows and bands and takes the buffers. */
static ae_status plan_reading(tiff_state *s, const ae_limits *limits, const ae_signal_info *info)
{
    uint32_t rows = 0;
    uint64_t row_bits = (uint64_t)info->width * s->samples * s->bits, band;
    tmsize_t tile_bytes = 0;
    ae_status st;

    if (s->whole_pixels) {
        TIFFGetField(s->tif, TIFFTAG_TILEWIDTH, &s->tile_width);
        TIFFGetFieldDefaulted(
            s->tif, TIFFIsTiled(s->tif) ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP, &rows);
        s->tile_width = TIFFIsTiled(s->tif) ? s->tile_width : 0;
        if (!rows || (TIFFIsTiled(s->tif) && !s->tile_width))
            return aei_tiff_failed(s, "tiles or strips without a size");
        s->band_rows = TIFFIsTiled(s->tif) || rows < info->height ? rows : (uint32_t)info->height;
        tile_bytes = (tmsize_t)(4 * (uint64_t)(s->tile_width ? s->tile_width : info->width) *
                                s->band_rows);
    } else if (TIFFIsTiled(s->tif)) {
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
    /* A tile may be larger than the picture, but not by more than its edges explain. */
    if ((uint64_t)tile_bytes > (1 << 24) &&
        (uint64_t)tile_bytes / 16 > (row_bits + 7) / 8 * info->height)
        return ae_fail(s->err, AE_ERR_LIMIT,
                       "TIFF: tiles of %lld bytes for a picture of %llu x %llu",
                       (long long)tile_bytes, (unsigned long long)info->width,
                       (unsigned long long)info->height);
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
        return ae_fail(s->err, AE_ERR_NOMEM, "TIFF: a band of %llu bytes",
                       (unsigned long long)band);
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

static bool has_entry(const tiff_state *s, uint16_t tag)
{
    aei_ifd_view view = {.source = s->source};
    aei_ifd_entry e;

    return aei_ifd_view_open(&view) && aei_ifd_find(&view, tag, &e);
}

static ae_status add_entry(tiff_state *s, ae_meta_kind kind, uint16_t tag, uint64_t max_bytes,
                           ae_reader *reader)
{
    const aei_ifd_view *view = &s->pages;
    aei_ifd_entry e;
    uint8_t *value;
    size_t n;
    ae_status st = AE_OK;

    if (!view->first || !aei_ifd_find(view, tag, &e) || !e.n_bytes)
        return AE_OK;
    if (e.at > view->n_bytes || e.n_bytes > view->n_bytes - e.at) {
        aei_note(reader->note, AEI_DAMAGED_META);
        return AE_OK;
    }
    if (e.n_bytes > max_bytes)
        return ae_fail(s->err, AE_ERR_LIMIT, "TIFF: %llu bytes of metadata exceed max_meta (%llu)",
                       (unsigned long long)e.n_bytes, (unsigned long long)max_bytes);
    n = (size_t)e.n_bytes;
    value = ae_alloc(n, 1);
    if (!value)
        return ae_fail(s->err, AE_ERR_NOMEM, "metadata of %zu bytes", n);
    if (aei_ifd_read(view, &e, value, n)) {
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
        st = aei_exif_extract(s->source, s->pages.first, limits->max_meta, reader, s->err);
    if (st == AE_OK && TIFFGetField(s->tif, TIFFTAG_WHITEPOINT, &white) &&
        TIFFGetField(s->tif, TIFFTAG_PRIMARYCHROMATICITIES, &primaries)) {
        for (int i = 0; i < 8; i++)
            xy[i] = (double)(i < 2 ? white[i] : primaries[i - 2]);
        st = aei_add_chromaticities(&reader->meta, xy, s->err);
    } else if (TIFFGetField(s->tif, TIFFTAG_WHITEPOINT, &white)) {
        aei_note(reader->note, "white point without primaries dropped");
    }
    if (has_entry(s, TIFFTAG_TRANSFERFUNCTION))
        aei_note(reader->note, "transfer function dropped");
    TIFFGetFieldDefaulted(s->tif, TIFFTAG_RESOLUTIONUNIT, &unit);
    per_metre = unit == RESUNIT_INCH ? 1 / 0.0254 : unit == RESUNIT_CENTIMETER ? 100 : 0;
    if (st == AE_OK && TIFFGetField(s->tif, TIFFTAG_XRESOLUTION, &x) &&
        TIFFGetField(s->tif, TIFFTAG_YRESOLUTION, &y))
        st = aei_add_density(&reader->meta, (double)x * per_metre, (double)y * per_metre, s->err);
    return st;
}

/* All about the picture whose directory is in hand. */
static ae_status begin_page(tiff_state *s, const ae_limits *limits, ae_reader *reader)
{
    const TIFFCodec *scheme;
    ae_status st;

    if ((st = read_fields(s, limits, reader)) != AE_OK ||
        (st = plan_reading(s, limits, &reader->info)) != AE_OK ||
        (st = add_meta(s, limits, reader)) != AE_OK)
        return st;
    s->predictor = PREDICTOR_NONE;
    if (s->compression == COMPRESSION_LZW || s->compression == COMPRESSION_ADOBE_DEFLATE ||
        s->compression == COMPRESSION_DEFLATE)
        TIFFGetField(s->tif, TIFFTAG_PREDICTOR, &s->predictor);
    if ((scheme = TIFFFindCODEC(s->compression)))
        snprintf(reader->quality, sizeof(reader->quality), "%s", scheme->name);
    st = aei_keep(reader, &(tiff_class){s->compression, s->predictor}, sizeof(tiff_class), s->err);
    s->status = AE_OK;
    return st;
}

/* The metadata are this page's, not the first one's. */
ae_status aei_tiff_reader_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    tiff_state *s = reader->state;
    ae_error complaint = {0};
    ae_status st;

    s->err = &complaint;
    s->status = AE_OK;
    while (s->page < n && s->pages.first) {
        s->pages.first = aei_ifd_next(&s->pages, s->pages.first, &s->steps);
        s->page++;
    }
    ae_free(s->raw);
    ae_free(s->tile);
    *s = (tiff_state){.tif = s->tif,
                      .err = &complaint,
                      .at = s->at,
                      .size = s->size,
                      .source = s->source,
                      .spool = s->spool,
                      .pages = s->pages,
                      .page = s->page,
                      .steps = s->steps};
    ae_meta_clear(&reader->meta);
    reader->note[0] = reader->quality[0] = 0;
    if (!s->pages.first || !TIFFSetSubDirectory(s->tif, s->pages.first))
        st = aei_tiff_failed(s, "a page is damaged");
    else
        st = begin_page(s, &reader->limits, reader);
    if (st != AE_OK && err)
        *err = complaint;
    return st;
}

static uint64_t count_further(const aei_ifd_view *pages)
{
    unsigned steps = AEI_IFD_STEPS;
    uint64_t n = 0;

    for (uint64_t at = pages->first; at && (at = aei_ifd_next(pages, at, &steps)) != 0;)
        n++;
    return n;
}

ae_status aei_tiff_reader_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                               ae_error *err)
{
    tiff_state *s = ae_alloc(1, sizeof(*s));
    ae_error complaint = {0}; /* may turn out to be harmless */
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
    s->pages.source = source;
    if (!aei_ifd_view_open(&s->pages))
        s->pages.first = 0;
    s->page = 1;
    s->steps = AEI_IFD_STEPS;
    if ((st = begin_page(s, limits, reader)) != AE_OK)
        goto failed;
    aei_further(reader, count_further(&s->pages));
    reader->state = s;
    return AE_OK;
failed:
    if (err)
        *err = complaint;
    aei_tiff_free(s);
    return st;
}

/* One band of rows through libtiff's own conversion to RGBA, whose rows come from the bottom. */
static ae_status read_pixels(tiff_state *s, const ae_signal_info *info)
{
    uint32_t rows = (uint32_t)(info->height - s->y < s->band_rows ? info->height - s->y
                                                                  : s->band_rows);
    uint32_t width = s->tile_width ? s->tile_width : (uint32_t)info->width;
    uint32_t *raster = (uint32_t *)(void *)s->tile;

    for (uint64_t x0 = 0; x0 < info->width; x0 += width) {
        uint32_t n = (uint32_t)(info->width - x0 < width ? info->width - x0 : width);
        bool good = s->tile_width
                        ? TIFFReadRGBATileExt(s->tif, (uint32_t)x0, (uint32_t)s->y, raster, 1)
                        : TIFFReadRGBAStripExt(s->tif, (uint32_t)s->y, raster, 1);

        if (!good || s->status != AE_OK)
            return aei_tiff_failed(s, "truncated");
        for (uint32_t y = 0; y < rows; y++) {
            const uint32_t *from = raster +
                                   (size_t)((s->tile_width ? s->band_rows : rows) - 1 - y) * width;
            uint8_t *to = s->raw + y * s->raw_bytes + 3 * x0;

            for (uint32_t x = 0; x < n; x++, to += 3) {
                to[0] = (uint8_t)TIFFGetR(from[x]);
                to[1] = (uint8_t)TIFFGetG(from[x]);
                to[2] = (uint8_t)TIFFGetB(from[x]);
            }
        }
    }
    return AE_OK;
}

/* One band of rows, all planes, into raw. */
static ae_status read_band(tiff_state *s, const ae_signal_info *info)
{
    uint32_t planes = s->planar == PLANARCONFIG_SEPARATE ? s->samples : 1,
             per_plane = s->samples / planes;
    /* where bits % 8 == 0 */
    size_t pixel = (size_t)s->bits * s->samples / 8, part = (size_t)s->bits * per_plane / 8;
    uint32_t rows = (uint32_t)(info->height - s->y < s->band_rows ? info->height - s->y
                                                                  : s->band_rows);
    uint32_t width = s->tile_width ? s->tile_width : (uint32_t)info->width;
    size_t tile_row = s->tile_width ? (size_t)TIFFTileRowSize(s->tif)
                                    : (size_t)((uint64_t)width * per_plane * s->bits / 8);

    for (uint32_t p = 0; p < planes; p++)
        for (uint64_t x = 0; x < info->width; x += width) {
            uint32_t n = (uint32_t)(info->width - x < width ? info->width - x : width);
            tmsize_t got;

            if (s->tile_width)
                got = TIFFReadTile(s->tif, s->tile, (uint32_t)x, (uint32_t)s->y, 0, (uint16_t)p);
            else
                got = TIFFReadEncodedStrip(
                    s->tif, TIFFComputeStrip(s->tif, (uint32_t)s->y, (uint16_t)p), s->tile, -1);
            if (got < (tmsize_t)(tile_row * rows))
                return aei_tiff_failed(s, "truncated");
            for (uint32_t y = 0; y < rows; y++) {
                const uint8_t *from = s->tile + y * tile_row;
                uint8_t *to = s->raw + y * s->raw_bytes;

                if (planes == 1) {
                    memcpy(to + x * s->samples * s->bits / 8, from,
                           ((size_t)n * s->samples * s->bits + 7) / 8);
                    continue;
                }
                for (uint32_t i = 0; i < n; i++)
                    memcpy(to + (x + i) * pixel + p * part, from + i * part, part);
            }
        }
    return AE_OK;
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
            if (s->y % s->band_rows == 0 &&
                (s->whole_pixels ? read_pixels(s, &reader->info) : read_band(s, &reader->info)) !=
                    AE_OK)
                return s->status;
            raw += s->y % s->band_rows * s->raw_bytes;
        }
        if (s->status != AE_OK) /* damage that libtiff patched up */
            return s->status;
        aei_tiff_unpack(s, raw, &reader->info, (uint8_t *)rows + i * s->row_bytes);
    }
    return s->status;
}

void aei_tiff_reader_close(ae_reader *reader)
{
    aei_tiff_free(reader->state);
}

int aei_tiff_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 8 && (memcmp(head, "II*\0", 4) == 0 || memcmp(head, "MM\0*", 4) == 0 ||
                            memcmp(head, "II+\0", 4) == 0 || memcmp(head, "MM\0+", 4) == 0)
               ? 80
               : 0;
}
