/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AVIF through libavif: 8, 10 and 12 bits. Pictures come upright: what turns them in the file is
 * applied. */
#include <string.h>

#include <avif/avif.h>

#include "exif.h"
#include "ae/files.h"
#include "module.h"
#include "whole.h"

static ae_status avif_failed(avifResult result, ae_error *err)
{
    return ae_fail(err,
                   result == AVIF_RESULT_OUT_OF_MEMORY        ? AE_ERR_NOMEM
                   : result == AVIF_RESULT_NO_CODEC_AVAILABLE ? AE_ERR_UNSUPPORTED
                   : result == AVIF_RESULT_NOT_IMPLEMENTED    ? AE_ERR_UNSUPPORTED
                   : result == AVIF_RESULT_UNSUPPORTED_DEPTH  ? AE_ERR_UNSUPPORTED
                                                              : AE_ERR_MALFORMED,
                   "AVIF: %s", avifResultToString(result));
}

/* Rotation and mirroring of HEIF as the orientation of EXIF that says the same. */
static unsigned orientation_of(const avifImage *image)
{
    /* by angle; not, up-down, left-right */
    static const uint8_t turned[4][3] = {{1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}};
    unsigned angle = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle & 3 : 0;

    return turned[angle]
                 [image->transformFlags & AVIF_TRANSFORM_IMIR ? 1 + (image->imir.mode & 1) : 0];
}

static void set_orientation(avifImage *image, unsigned orientation)
{
    static const uint8_t angles[9] = {0, 0, 0, 2, 0, 1, 3, 3, 1},
                         mirrors[9] = {0, 0, 2, 0, 1, 1, 0, 1, 0};

    image->transformFlags &= ~(avifTransformFlags)(AVIF_TRANSFORM_IROT | AVIF_TRANSFORM_IMIR);
    if (angles[orientation])
        image->transformFlags |= AVIF_TRANSFORM_IROT;
    if (mirrors[orientation])
        image->transformFlags |= AVIF_TRANSFORM_IMIR;
    image->irot.angle = angles[orientation];
    image->imir.mode = mirrors[orientation] == 2;
}

static ae_status add_meta(const avifImage *image, ae_reader *reader, ae_error *err)
{
    ae_meta *meta = &reader->meta;
    ae_status st = AE_OK;

    if (image->icc.size)
        st = ae_meta_add(meta, AE_META_ICC, NULL, image->icc.data, image->icc.size, err);
    if (st == AE_OK && image->exif.size)
        st = aei_add_exif(meta, image->exif.data, image->exif.size, err);
    if (st == AE_OK && image->xmp.size)
        st = ae_meta_add(meta, AE_META_XMP, NULL, image->xmp.data, image->xmp.size, err);
    if (st == AE_OK)
        st = aei_add_cicp(meta, image->colorPrimaries, image->transferCharacteristics, err);
    return st;
}

/* Grey samples are the plane itself, of the full range or of the video's. */
static void take_grey(const avifImage *image, const ae_signal_info *info, uint8_t *out)
{
    bool wide = image->depth > 8, limited = image->yuvRange == AVIF_RANGE_LIMITED;
    int64_t low = limited ? 16 << (image->depth - 8) : 0,
            span = limited ? 219 << (image->depth - 8) : (1 << image->depth) - 1;
    int64_t most = (1 << image->depth) - 1, full = wide ? 65535 : 255;

    for (uint32_t y = 0; y < image->height; y++)
        for (uint32_t x = 0; x < image->width; x++)
            for (uint32_t c = 0; c < info->channels; c++) {
                const uint8_t *row = c ? image->alphaPlane + (size_t)y * image->alphaRowBytes
                                       : image->yuvPlanes[0] + (size_t)y * image->yuvRowBytes[0];
                int64_t v = wide ? ((const uint16_t *)(const void *)row)[x] : row[x],
                        range = c ? most : span;

                v = v - (c ? 0 : low);
                v = ((v < 0 ? 0 : v > range ? range : v) * full + range / 2) / range;
                if (wide)
                    ((uint16_t *)(void *)
                         out)[((size_t)y * image->width + x) * info->channels + c] = (uint16_t)v;
                else
                    out[((size_t)y * image->width + x) * info->channels + c] = (uint8_t)v;
            }
}

static ae_status take_pixels(const avifImage *image, ae_reader *reader, ae_error *err)
{
    aei_whole *w = reader->state;
    avifRGBImage rgb;
    avifResult result;

    if (image->yuvFormat == AVIF_PIXEL_FORMAT_YUV400) {
        take_grey(image, &reader->info, w->pixels);
        return AE_OK;
    }
    avifRGBImageSetDefaults(&rgb, image);
    rgb.format = reader->info.alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    rgb.pixels = w->pixels;
    rgb.rowBytes = (uint32_t)w->row_bytes;
    if ((result = avifImageYUVToRGB(image, &rgb)) != AVIF_RESULT_OK)
        return avif_failed(result, err);
    if (reader->info.sample == AE_U16)
        aei_stretch((uint16_t *)(void *)w->pixels,
                    (size_t)image->width * image->height * reader->info.channels, image->depth);
    return AE_OK;
}

/* What pictures are read with. */
typedef struct avif_file {
    avifDecoder *decoder;
    uint8_t *data;
    uint64_t charged; /* for the decoder */
} avif_file;

static void end_file(void *opaque)
{
    avif_file *f = opaque;

    if (f->decoder)
        avifDecoderDestroy(f->decoder);
    aei_give(&f->charged);
    ae_free(f->data);
}

static ae_status begin_file(avif_file *f, ae_source *source, ae_reader *reader, ae_error *err)
{
    size_t n;
    uint64_t bytes;
    avifResult result;
    ae_status st = aei_whole_file(source, &reader->limits, &f->data, &n, err);

    if (st != AE_OK)
        return st;
    if (!(f->decoder = avifDecoderCreate()) ||
        avifDecoderSetIOMemory(f->decoder, f->data, n) != AVIF_RESULT_OK)
        return ae_fail(err, AE_ERR_NOMEM, "AVIF decoder");
    f->decoder->strictFlags = AVIF_STRICT_DISABLED;
    f->decoder->maxThreads = 1;
    if ((result = avifDecoderParse(f->decoder)) != AVIF_RESULT_OK)
        return avif_failed(result, err);
    /* later frames are made of earlier ones, up to eight of which are held */
    bytes = (f->decoder->imageCount > 1 ? 64 : 16) * (uint64_t)f->decoder->image->width *
            f->decoder->image->height;
    st = aei_check_size(&reader->limits, f->decoder->image->width, f->decoder->image->height, err);
    return st == AE_OK ? aei_charge(&f->charged, &reader->limits, bytes, reader->codec, err) : st;
}

static ae_status decode(avif_file *f, uint32_t n, ae_reader *reader, ae_error *err)
{
    avifResult result = avifDecoderNthImage(f->decoder, n - 1);
    const avifImage *image = f->decoder->image;
    ae_signal_info info;
    bool grey;
    ae_status st;

    if (result != AVIF_RESULT_OK)
        return avif_failed(result, err);
    grey = image->yuvFormat == AVIF_PIXEL_FORMAT_YUV400;
    info = aei_image_info(image->width, image->height, image->depth > 8 ? AE_U16 : AE_U8,
                          (grey ? 1u : 3u) + (image->alphaPlane ? 1 : 0));
    if (info.sample == AE_U16)
        info.bits = image->depth;
    if ((st = aei_whole_create(reader, &reader->limits, &info, err)) != AE_OK ||
        (st = take_pixels(image, reader, err)) != AE_OK)
        return st;
    return aei_whole_turn(reader, orientation_of(image), err);
}

static ae_status avif_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                           ae_error *err)
{
    avif_file *f = aei_whole_begin(reader, sizeof(*f), end_file, err);
    const avifImage *image;
    ae_status st;

    (void)limits; /* the reader's */
    if (!f)
        return AE_ERR_NOMEM;
    if ((st = begin_file(f, source, reader, err)) != AE_OK ||
        (st = add_meta(f->decoder->image, reader, err)) != AE_OK ||
        (st = decode(f, 1, reader, err)) != AE_OK) {
        aei_whole_close(reader);
        return st;
    }
    image = f->decoder->image;
    if (image->transformFlags & AVIF_TRANSFORM_CLAP)
        aei_note(reader->note, "crop dropped");
    if (image->matrixCoefficients == AVIF_MATRIX_COEFFICIENTS_IDENTITY)
        snprintf(reader->quality, sizeof(reader->quality), "lossless");
    aei_whole_further(reader, (uint64_t)f->decoder->imageCount - 1);
    return AE_OK;
}

static ae_status avif_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    return decode(((aei_whole *)reader->state)->more, n, reader, err);
}

/* ---- writing ---- */

static bool is_exif(const ae_meta_item *item)
{
    return aei_ifd_view_open(&(aei_ifd_view){.data = item->value, .n_bytes = item->n_bytes});
}

/* The numbers of the metadata where the encoder takes them, which fails at others. */
static const uint8_t *usable_cicp(const ae_meta *meta)
{
    size_t n;
    const uint8_t *p = aei_find_colour(meta, "cICP", &n);

    return p && p[0] && p[0] <= 22 && p[1] && p[1] <= 18 && p[3] == 1 ? p : NULL;
}

static ae_status avif_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                             const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    if (info->width > 65536 || info->height > 65536)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "AVIF holds at most 65536 pixels along an edge");
    for (size_t i = 0; i < meta->n_items; i++)
        if (meta->items[i].kind == AE_META_EXIF && !is_exif(&meta->items[i]))
            aei_note(writer->note, "EXIF dropped (damaged)");
    return aei_canvas_create(sink, info, meta, usable_cicp(meta) ? "cICP sRGB" : "sRGB", options,
                             writer, err);
}

static void set_meta(avifImage *image, const aei_canvas *c)
{
    const ae_meta_item *exif = ae_meta_find(c->meta, AE_META_EXIF),
                       *xmp = ae_meta_find(c->meta, AE_META_XMP);
    const uint8_t *cicp = usable_cicp(c->meta);

    image->colorPrimaries = c->icc.n_bytes && !cicp ? AVIF_COLOR_PRIMARIES_UNSPECIFIED
                                                    : AVIF_COLOR_PRIMARIES_BT709;
    image->transferCharacteristics = c->icc.n_bytes && !cicp
                                         ? AVIF_TRANSFER_CHARACTERISTICS_UNSPECIFIED
                                         : AVIF_TRANSFER_CHARACTERISTICS_SRGB;
    if (cicp) {
        image->colorPrimaries = cicp[0];
        image->transferCharacteristics = cicp[1];
    }
    if (c->icc.n_bytes)
        avifImageSetProfileICC(image, c->icc.data, c->icc.n_bytes);
    if (exif && is_exif(exif)) /* the encoder fails at others */
        avifImageSetMetadataExif(image, exif->value, exif->n_bytes);
    if (xmp)
        avifImageSetMetadataXMP(image, xmp->value, xmp->n_bytes);
    set_orientation(image, ae_meta_orientation(c->meta));
}

static void put_grey(avifImage *image, const ae_signal_info *info, const uint8_t *pixels)
{
    bool wide = image->depth > 8;

    for (uint32_t y = 0; y < image->height; y++)
        for (uint32_t x = 0; x < image->width; x++)
            for (uint32_t c = 0; c < info->channels; c++) {
                uint8_t *row = c ? image->alphaPlane + (size_t)y * image->alphaRowBytes
                                 : image->yuvPlanes[0] + (size_t)y * image->yuvRowBytes[0];
                size_t at = ((size_t)y * image->width + x) * info->channels + c;

                if (wide)
                    ((uint16_t *)(void *)row)[x] = ((const uint16_t *)(const void *)pixels)[at];
                else
                    row[x] = pixels[at];
            }
}

static ae_status fill(avifImage *image, const ae_signal_info *info, aei_canvas *c, ae_error *err)
{
    avifRGBImage rgb;
    avifResult result;

    if (info->sample == AE_U16)
        aei_reduce((uint16_t *)(void *)c->pixels,
                   (size_t)(info->width * info->height) * info->channels, image->depth);
    if (info->channels < 3) {
        avifImageAllocatePlanes(image, info->alpha ? AVIF_PLANES_ALL : AVIF_PLANES_YUV);
        if (!image->yuvPlanes[0] || (info->alpha && !image->alphaPlane))
            return ae_fail(err, AE_ERR_NOMEM, "AVIF encoder");
        put_grey(image, info, c->pixels);
        return AE_OK;
    }
    avifRGBImageSetDefaults(&rgb, image);
    rgb.format = info->alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    rgb.pixels = c->pixels;
    rgb.rowBytes = (uint32_t)c->row_bytes;
    result = avifImageRGBToYUV(image, &rgb);
    return result == AVIF_RESULT_OK ? AE_OK : avif_failed(result, err);
}

static ae_status avif_finish(ae_writer *writer, ae_error *err)
{
    enum { SPEED = 6 };
    aei_canvas *c = writer->state;
    const ae_signal_info *info = &writer->info;
    int worst = c->lossless ? 0 : (100 - c->quality) * AVIF_QUANTIZER_WORST_QUALITY / 100;
    avifImage *image = avifImageCreate(
        (uint32_t)info->width, (uint32_t)info->height, info->sample == AE_U16 ? info->bits : 8,
        info->channels < 3 ? AVIF_PIXEL_FORMAT_YUV400 : AVIF_PIXEL_FORMAT_YUV444);
    avifEncoder *encoder = avifEncoderCreate();
    avifRWData file = AVIF_DATA_EMPTY;
    avifResult result;
    ae_status st;

    if (!image || !encoder) {
        st = ae_fail(err, AE_ERR_NOMEM, "AVIF encoder");
        goto done;
    }
    set_meta(image, c);
    image->yuvRange = AVIF_RANGE_FULL;
    image->matrixCoefficients = c->lossless && info->channels >= 3
                                    ? AVIF_MATRIX_COEFFICIENTS_IDENTITY
                                    : AVIF_MATRIX_COEFFICIENTS_BT601;
    if ((st = fill(image, info, c, err)) != AE_OK)
        goto done;
    ae_free(c->pixels);
    c->pixels = NULL;
    encoder->maxThreads = 1;
    encoder->speed = SPEED;
    encoder->minQuantizer = worst;
    encoder->maxQuantizer = worst;
    encoder->minQuantizerAlpha = encoder->maxQuantizerAlpha = AVIF_QUANTIZER_LOSSLESS;
    result = avifEncoderWrite(encoder, image, &file);
    st = result == AVIF_RESULT_OK ? c->sink->write(c->sink->opaque, file.data, file.size, err)
                                  : avif_failed(result, err);
done:
    avifRWDataFree(&file);
    if (encoder)
        avifEncoderDestroy(encoder);
    if (image)
        avifImageDestroy(image);
    aei_canvas_free(writer);
    return st;
}

static const ae_codec codecs[] = {{
                                      .name = "avif",
                                      .open = avif_open,
                                      .read = aei_whole_read,
                                      .close = aei_whole_close,
                                      .picture = avif_picture,
                                      .create = avif_create,
                                      .write = aei_canvas_write,
                                      .finish = avif_finish,
                                      .abandon = aei_canvas_free,
                                  },
                                  {0}};

AEI_MODULE aei_module_avif = {AE_VERSION, codecs};
