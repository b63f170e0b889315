/* SPDX-License-Identifier: BSD-2-Clause
 *
 * WebP through libwebp and libwebpmux. The format is made for whole pictures: files and pixels are
 * held in memory. */
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include "adapter.h"

typedef struct webp_state {
    bool lossless;
    WebPAnimDecoder *animation; /* reading: of an animation */
    uint32_t frame;             /* of it, in pixels; 0: none */
    uint64_t charged;           /* for its canvases */
    uint8_t *file;              /* reading; NULL once decoded, unless it is an animation */
    size_t n_bytes;
    uint8_t *pixels;
    size_t row_bytes;
    uint64_t y;
    ae_sink *sink; /* writing */
    int quality;
    aei_profile icc;
    uint8_t *made; /* the profile, where it was made for this format */
    const ae_meta *meta;
} webp_state;

static void webp_free_state(webp_state *s)
{
    if (!s)
        return;
    WebPAnimDecoderDelete(s->animation);
    aei_give(&s->charged);
    ae_free(s->file);
    ae_free(s->pixels);
    ae_free(s->made);
    ae_free(s);
}

/* ---- reading ---- */

static ae_status add_chunk(WebPMux *mux, const char fourcc[4], ae_meta_kind kind, ae_meta *meta,
                           ae_error *err)
{
    WebPData chunk;

    if (WebPMuxGetChunk(mux, fourcc, &chunk) != WEBP_MUX_OK || !chunk.size)
        return AE_OK;
    if (kind == AE_META_EXIF)
        return aei_add_exif(meta, chunk.bytes, chunk.size, err);
    return ae_meta_add(meta, kind, NULL, chunk.bytes, chunk.size, err);
}

static ae_status add_meta(webp_state *s, ae_reader *reader, ae_error *err)
{
    WebPData file = {s->file, s->n_bytes};
    WebPMux *mux = WebPMuxCreate(&file, 0);
    ae_status st;

    if (!mux) {
        aei_note(reader->note, AEI_DAMAGED_META);
        return AE_OK;
    }
    st = add_chunk(mux, "ICCP", AE_META_ICC, &reader->meta, err);
    if (st == AE_OK)
        st = add_chunk(mux, "EXIF", AE_META_EXIF, &reader->meta, err);
    if (st == AE_OK)
        st = add_chunk(mux, "XMP ", AE_META_XMP, &reader->meta, err);
    WebPMuxDelete(mux);
    return st;
}

static ae_status open_animation(webp_state *s, ae_reader *reader, ae_error *err)
{
    WebPAnimDecoderOptions options;
    WebPData file = {s->file, s->n_bytes};
    WebPAnimInfo found;
    ae_status st = aei_charge(&s->charged, NULL, 8 * reader->info.width * reader->info.height,
                              &aei_codec_webp, err);

    if (st != AE_OK)
        return st;
    if (!WebPAnimDecoderOptionsInit(&options))
        return ae_fail(err, AE_ERR_INTERNAL, "libwebp of another version");
    options.color_mode = MODE_RGBA;
    options.use_threads = 0;
    s->animation = WebPAnimDecoderNew(&file, &options);
    if (!s->animation || !WebPAnimDecoderGetInfo(s->animation, &found) || !found.frame_count ||
        found.canvas_width != reader->info.width || found.canvas_height != reader->info.height)
        return ae_fail(err, AE_ERR_MALFORMED, "WebP: damaged animation");
    aei_further(reader, found.frame_count - 1);
    reader->info.channels = 4;
    reader->info.alpha = true;
    s->row_bytes = ae_row_bytes(&reader->info);
    return AE_OK;
}

static ae_status webp_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                           ae_error *err)
{
    webp_state *s = ae_alloc(1, sizeof(*s));
    uint64_t size = ae_source_size(source);
    WebPBitstreamFeatures features;
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "WebP decoder");
    if ((st = aei_check_memory(limits, size, err)) != AE_OK)
        goto failed;
    s->n_bytes = (size_t)size;
    s->file = ae_alloc(s->n_bytes, 1);
    if (!s->file) {
        st = ae_fail(err, AE_ERR_NOMEM, "a file of %llu bytes", (unsigned long long)size);
        goto failed;
    }
    if (ae_source_read(source, s->file, s->n_bytes) != s->n_bytes) {
        st = ae_fail(err, AE_ERR_IO, "read error");
        goto failed;
    }
    /* What lies behind the picture would otherwise be missed silently. */
    if (s->n_bytes < 12 || (size_t)s->file[4] + ((size_t)s->file[5] << 8) +
                                   ((size_t)s->file[6] << 16) + ((size_t)s->file[7] << 24) >
                               s->n_bytes - 8) {
        st = ae_fail(err, AE_ERR_MALFORMED, "WebP: truncated");
        goto failed;
    }
    if (WebPGetFeatures(s->file, s->n_bytes, &features) != VP8_STATUS_OK) {
        st = ae_fail(err, AE_ERR_MALFORMED, "WebP: damaged header");
        goto failed;
    }
    if ((st = aei_check_size(limits, (uint64_t)features.width, (uint64_t)features.height, err)) !=
        AE_OK)
        goto failed;
    reader->info = aei_image_info((uint64_t)features.width, (uint64_t)features.height, AE_U8,
                                  features.has_alpha ? 4 : 3);
    s->row_bytes = ae_row_bytes(&reader->info);
    if ((st = aei_check_memory(
             limits, size + (features.has_animation ? 4 : 1) * reader->info.height * s->row_bytes,
             err)) != AE_OK)
        goto failed;
    s->lossless = features.format == 2;
    if (features.has_animation && (st = open_animation(s, reader, err)) != AE_OK)
        goto failed;
    snprintf(reader->quality, sizeof(reader->quality), "%s", s->lossless ? "lossless" : "");
    if ((st = add_meta(s, reader, err)) != AE_OK)
        goto failed;
    reader->state = s;
    return AE_OK;
failed:
    webp_free_state(s);
    return st;
}

/* Goes on to the n-th frame, each on its canvas. */
static ae_status decode_frames(webp_state *s, const ae_signal_info *info, uint32_t n, ae_error *err)
{
    uint8_t *canvas = NULL;
    int timestamp;

    if (!s->pixels && !(s->pixels = ae_alloc(info->height, s->row_bytes)))
        return ae_fail(err, AE_ERR_NOMEM, "%llu x %llu pixels", (unsigned long long)info->width,
                       (unsigned long long)info->height);
    for (bool going = s->frame < n; going; going = s->frame < n && canvas) {
        if (!WebPAnimDecoderGetNext(s->animation, &canvas, &timestamp))
            canvas = NULL;
        else
            s->frame++;
    }
    s->y = 0;
    if (canvas)
        memcpy(s->pixels, canvas, (size_t)info->height * s->row_bytes);
    return s->frame == n ? AE_OK : ae_fail(err, AE_ERR_MALFORMED, "WebP: damaged");
}

static ae_status decode(webp_state *s, const ae_signal_info *info, ae_error *err)
{
    WebPDecoderConfig config;
    uint64_t charged = 0; /* what libwebp takes beside the pixels */
    VP8StatusCode code;
    ae_status st;

    if (!s->file)
        return ae_fail(err, AE_ERR_MALFORMED, "WebP: decoding failed before");
    s->pixels = ae_alloc(info->height, s->row_bytes);
    if (!s->pixels || !WebPInitDecoderConfig(&config))
        return ae_fail(err, AE_ERR_NOMEM, "%llu x %llu pixels", (unsigned long long)info->width,
                       (unsigned long long)info->height);
    config.output.colorspace = info->alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = s->pixels;
    config.output.u.RGBA.stride = (int)s->row_bytes;
    config.output.u.RGBA.size = (size_t)info->height * s->row_bytes;
    if ((st = aei_charge(&charged, NULL, 4 * info->width * info->height, &aei_codec_webp, err)) !=
        AE_OK)
        return st;
    code = WebPDecode(s->file, s->n_bytes, &config);
    aei_give(&charged);
    WebPFreeDecBuffer(&config.output);
    ae_free(s->file);
    s->file = NULL;
    if (code == VP8_STATUS_OK)
        return AE_OK;
    ae_free(s->pixels);
    s->pixels = NULL;
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return ae_fail(err, AE_ERR_NOMEM, "WebP decoder");
    return ae_fail(err, AE_ERR_MALFORMED, "WebP: %s",
                   code == VP8_STATUS_NOT_ENOUGH_DATA ? "truncated" : "damaged");
}

static ae_status webp_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    webp_state *s = reader->state;
    ae_status st;

    if (s->animation && !s->frame && (st = decode_frames(s, &reader->info, 1, err)) != AE_OK)
        return st;
    if (!s->pixels && (st = decode(s, &reader->info, err)) != AE_OK)
        return st;
    memcpy(rows, s->pixels + s->y * s->row_bytes, n_rows * s->row_bytes);
    s->y += n_rows;
    return AE_OK;
}

static ae_status webp_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    return decode_frames(reader->state, &reader->info, n, err);
}

static void webp_close(ae_reader *reader)
{
    webp_free_state(reader->state);
}

static int webp_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 12 && memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBP", 4) == 0 ? 100
                                                                                             : 0;
}

/* ---- writing ---- */

static void webp_accepts(ae_signal_info *info, char note[160])
{
    if (info->sample != AE_U8)
        aei_note(note, "samples rounded to 8 bits");
    info->sample = AE_U8;
    info->bits = 8;
    info->channels = info->alpha ? 4 : 3;
}

static ae_status webp_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                             const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    webp_state *s;

    if (info->width > WEBP_MAX_DIMENSION || info->height > WEBP_MAX_DIMENSION)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "WebP holds at most %d pixels along an edge",
                       WEBP_MAX_DIMENSION);
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "WebP encoder");
    s->row_bytes = ae_row_bytes(info);
    s->pixels = ae_alloc(info->height, s->row_bytes);
    if (!s->pixels) {
        webp_free_state(s);
        return ae_fail(err, AE_ERR_NOMEM, "%llu x %llu pixels", (unsigned long long)info->width,
                       (unsigned long long)info->height);
    }
    s->sink = sink;
    s->meta = meta;
    aei_profile_for(meta, info, "", &s->icc, &s->made, writer->note);
    s->quality = options->quality ? options->quality : 95;
    s->lossless = options->lossless;
    if (!options->quality && options->like && options->like->codec == &aei_codec_webp)
        s->lossless = s->lossless || strcmp(options->like->quality, "lossless") == 0;
    for (size_t i = 0; i < meta->n_items; i++)
        if (meta->items[i].kind >= AE_META_IPTC && meta->items[i].kind <= AE_META_DENSITY)
            aei_note(writer->note, meta->items[i].kind == AE_META_IPTC   ? "IPTC dropped"
                                   : meta->items[i].kind == AE_META_TEXT ? "text dropped"
                                                                         : "resolution dropped");
    writer->state = s;
    return AE_OK;
}

static ae_status webp_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    webp_state *s = writer->state;

    (void)err;
    memcpy(s->pixels + s->y * s->row_bytes, rows, n_rows * s->row_bytes);
    s->y += n_rows;
    return AE_OK;
}

static ae_status encode(webp_state *s, const ae_signal_info *info, WebPMemoryWriter *out,
                        ae_error *err)
{
    WebPConfig config;
    WebPPicture picture;
    ae_status st = AE_OK;

    if (!WebPConfigInit(&config) || !WebPPictureInit(&picture))
        return ae_fail(err, AE_ERR_INTERNAL, "libwebp of another version");
    config.lossless = s->lossless;
    config.exact = 1;                                      /* also where alpha is 0 */
    config.quality = s->lossless ? 50 : (float)s->quality; /* effort where lossless */
    picture.use_argb = s->lossless;
    picture.width = (int)info->width;
    picture.height = (int)info->height;
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = out;
    if (!(info->alpha ? WebPPictureImportRGBA(&picture, s->pixels, (int)s->row_bytes)
                      : WebPPictureImportRGB(&picture, s->pixels, (int)s->row_bytes))) {
        st = ae_fail(err, AE_ERR_NOMEM, "WebP encoder");
        goto done;
    }
    ae_free(s->pixels);
    s->pixels = NULL;
    if (!WebPEncode(&config, &picture))
        st = picture.error_code == VP8_ENC_ERROR_OUT_OF_MEMORY
                 ? ae_fail(err, AE_ERR_NOMEM, "WebP encoder")
                 : ae_fail(err, AE_ERR_INTERNAL, "WebP encoder: error %d", picture.error_code);
done:
    WebPPictureFree(&picture);
    return st;
}

static bool set_chunk(WebPMux *mux, const char fourcc[4], const uint8_t *bytes, size_t n_bytes)
{
    WebPData data = {bytes, n_bytes};

    return !data.size || WebPMuxSetChunk(mux, fourcc, &data, 0) == WEBP_MUX_OK;
}

static ae_status webp_finish(ae_writer *writer, ae_error *err)
{
    webp_state *s = writer->state;
    const ae_meta_item *exif = ae_meta_find(s->meta, AE_META_EXIF),
                       *xmp = ae_meta_find(s->meta, AE_META_XMP);
    WebPMemoryWriter out;
    WebPMux *mux = NULL;
    WebPData file = {0};
    ae_status st;

    WebPMemoryWriterInit(&out);
    if ((st = encode(s, &writer->info, &out, err)) != AE_OK)
        goto done;
    file = (WebPData){out.mem, out.size};
    mux = WebPMuxNew();
    if (!mux || WebPMuxSetImage(mux, &file, 0) != WEBP_MUX_OK ||
        !set_chunk(mux, "ICCP", s->icc.data, s->icc.n_bytes) ||
        (exif && !set_chunk(mux, "EXIF", exif->value, exif->n_bytes)) ||
        (xmp && !set_chunk(mux, "XMP ", xmp->value, xmp->n_bytes))) {
        file = (WebPData){0};
        st = ae_fail(err, AE_ERR_NOMEM, "WebP file");
        goto done;
    }
    file = (WebPData){0};
    if (WebPMuxAssemble(mux, &file) != WEBP_MUX_OK)
        st = ae_fail(err, AE_ERR_NOMEM, "WebP file");
    else
        st = s->sink->write(s->sink->opaque, file.bytes, file.size, err);
done:
    WebPDataClear(&file);
    WebPMuxDelete(mux);
    WebPMemoryWriterClear(&out);
    webp_free_state(s);
    return st;
}

static void webp_abandon(ae_writer *writer)
{
    webp_free_state(writer->state);
}

static const char *const suffixes[] = {"webp", NULL};

const ae_codec aei_codec_webp = {
    .name = "webp",
    .description = "WebP",
    .suffixes = suffixes,
    .kind = AE_KIND_IMAGE,
    .probe = webp_probe,
    .open = webp_open,
    .read = webp_read,
    .close = webp_close,
    .picture = webp_picture,
    .accepts = webp_accepts,
    .create = webp_create,
    .write = webp_write,
    .finish = webp_finish,
    .abandon = webp_abandon,
};
