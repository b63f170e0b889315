/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading whatever still pictures libavcodec knows and no adapter of its own serves: BMP, GIF (its first picture), JPEG 2000,
 * OpenEXR (to float), QOI, Targa. Files and pictures are held whole. Of metadata only BMP's density is read. */
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "adapter.h"

typedef struct libav_state {
    const ae_limits *limits; /* while opening */
    ae_error *err;
    ae_status status;        /* of the limits */
    const ae_codec *codec;
    uint64_t charged;        /* for frames, while opening */
    bool damaged;
    uint8_t *pixels;
    size_t row_bytes;
    uint64_t y;
} libav_state;

static ae_status av_failed(libav_state *s, const ae_codec *codec, int code)
{
    char text[AV_ERROR_MAX_STRING_SIZE];

    if (s->status != AE_OK)
        return s->status;
    if (code == AVERROR(ENOMEM))
        return ae_fail(s->err, AE_ERR_NOMEM, "%s decoder", codec->description);
    av_strerror(code, text, sizeof(text));
    return ae_fail(s->err, code == AVERROR_PATCHWELCOME ? AE_ERR_UNSUPPORTED : AE_ERR_MALFORMED, "%s: %s", codec->description,
                   text);
}

/* Decoders ask for their picture's memory here before they fill it. */
static int on_buffer(AVCodecContext *context, AVFrame *frame, int flags)
{
    libav_state *s = context->opaque;
    int bytes = av_image_get_buffer_size(frame->format, frame->width, frame->height, 1);

    if (s->status == AE_OK)
        s->status = aei_check_size(s->limits, (uint64_t)context->width, (uint64_t)context->height, s->err);
    if (s->status == AE_OK)
        s->status = bytes < 0 ? ae_fail(s->err, AE_ERR_LIMIT, "the picture is too large")
                              : aei_charge(&s->charged, s->limits, 2 * (uint64_t)bytes, s->codec, s->err);
    return s->status == AE_OK ? avcodec_default_get_buffer2(context, frame, flags) : AVERROR(ENOMEM);
}

/* OpenEXR and JPEG 2000 are decoded in independent parts, and failing ones are left black unless they are noticed here. */
static int on_execute(AVCodecContext *context, int (*part)(AVCodecContext *, void *, int, int), void *arg, int *results, int n)
{
    libav_state *s = context->opaque;

    for (int i = 0; i < n; i++) {
        int code = part(context, arg, i, 0);

        if (results)
            results[i] = code;
        s->damaged = s->damaged || code < 0;
    }
    return 0;
}

/* Whether a GIF reaches its trailer, and how many pictures come before. */
static bool walk_gif(const uint8_t *p, size_t n, unsigned *n_pictures)
{
    size_t at = 13;

    if (n > 10 && p[10] & 0x80)
        at += (size_t)6 << (p[10] & 7);
    while (at < n && p[at] != 0x3b) {
        if (p[at] == 0x2c && n - at > 10) {
            size_t colours = p[at + 9] & 0x80 ? (size_t)6 << (p[at + 9] & 7) : 0;

            at += 11 + colours; /* descriptor, palette, code size */
            ++*n_pictures;
        } else if (p[at] == 0x21) {
            at += 2;
        } else {
            return false;
        }
        while (at < n && p[at])
            at += (size_t)p[at] + 1;
        at++;
    }
    return at < n;
}

/* Some decoders fill what is missing with whatever is there. So: is the format's end where it should be? */
static bool is_complete(const AVPacket *packet, enum AVCodecID id, ae_reader *reader)
{
    static const uint8_t qoi_end[8] = {0, 0, 0, 0, 0, 0, 0, 1};
    const uint8_t *p = packet->data, *end = p + packet->size;
    unsigned n_pictures = 0;

    switch (id) {
    case AV_CODEC_ID_BMP:
        return aei_bmp_is_complete(p, (size_t)packet->size);
    case AV_CODEC_ID_QOI:
        return packet->size >= 22 && memcmp(end - 8, qoi_end, 8) == 0;
    case AV_CODEC_ID_GIF:
        if (!walk_gif(p, (size_t)packet->size, &n_pictures))
            return false;
        aei_further(reader, n_pictures ? n_pictures - 1 : 0, "frames");
        return true;
    case AV_CODEC_ID_JPEG2000:
        /* Boxes of length, type and content; a length of 0 is up to the end of the file. */
        while (end - p >= 8 && p[0] != 0xff) {
            uint64_t n = AV_RB32(p), head = 8;

            if (n == 1 && end - p >= 16)
                n = AV_RB64(p + 8), head = 16;
            if (n == 0)
                n = (uint64_t)(end - p);
            if (n < head || n > (uint64_t)(end - p))
                return false;
            if (memcmp(p + 4, "jp2c", 4) == 0)
                end = p + n;
            p += memcmp(p + 4, "jp2c", 4) == 0 ? head : n;
        }
        return end - p >= 4 && end[-2] == 0xff && end[-1] == 0xd9;
    default:
        return true;
    }
}

/* The whole file as one packet: what all of these decoders take. */
static ae_status read_packet(libav_state *s, ae_source *source, const ae_codec *codec, AVPacket **out)
{
    uint64_t size = ae_source_size(source);
    AVPacket *packet;
    ae_status st = aei_check_memory(s->limits, size, s->err);

    *out = NULL;
    if (st != AE_OK)
        return st;
    if (size > INT32_MAX / 2)
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s of more than a gigabyte", codec->description);
    packet = av_packet_alloc();
    if (!packet || av_new_packet(packet, (int)size) < 0) {
        av_packet_free(&packet);
        return ae_fail(s->err, AE_ERR_NOMEM, "a file of %llu bytes", (unsigned long long)size);
    }
    *out = packet;
    if (ae_source_read(source, packet->data, (size_t)size) != size)
        return ae_fail(s->err, AE_ERR_IO, "read error");
    return AE_OK;
}

static ae_status decode_frame(libav_state *s, ae_source *source, enum AVCodecID id, AVFrame *frame, ae_reader *reader)
{
    const ae_codec *codec = reader->codec;
    const AVCodec *decoder = avcodec_find_decoder(id);
    AVCodecContext *context = NULL;
    AVPacket *packet = NULL;
    ae_status st;
    int code;

    if (!decoder)
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s is not in this libavcodec", codec->description);
    if ((st = read_packet(s, source, codec, &packet)) != AE_OK)
        goto done;
    if (!is_complete(packet, id, reader)) {
        st = ae_fail(s->err, AE_ERR_MALFORMED, "%s: truncated", codec->description);
        goto done;
    }
    context = avcodec_alloc_context3(decoder);
    if (!context) {
        st = av_failed(s, codec, AVERROR(ENOMEM));
        goto done;
    }
    context->opaque = s;
    context->get_buffer2 = on_buffer;
    context->execute2 = on_execute;
    context->thread_count = 1;
    context->err_recognition = AV_EF_EXPLODE;
    code = avcodec_open2(context, decoder, NULL);
    if (code >= 0)
        code = avcodec_send_packet(context, packet);
    if (code >= 0)
        code = avcodec_send_packet(context, NULL);
    if (code >= 0)
        code = avcodec_receive_frame(context, frame);
    if (code >= 0 && (s->damaged || frame->decode_error_flags || frame->flags & AV_FRAME_FLAG_CORRUPT))
        code = AVERROR_INVALIDDATA;
    if (code < 0)
        st = av_failed(s, codec, code);
done:
    avcodec_free_context(&context);
    av_packet_free(&packet);
    return st;
}

/* Planar float in the order G, B, R, A. */
static void interleave_float(const AVFrame *frame, const ae_signal_info *info, float *out)
{
    static const int planes[2][4] = {{0}, {2, 0, 1, 3}};

    for (uint64_t y = 0; y < info->height; y++)
        for (uint32_t c = 0; c < info->channels; c++) {
            int p = planes[info->channels >= 3][c];
            const float *from = (const float *)(frame->data[p] + (ptrdiff_t)y * frame->linesize[p]);

            for (uint64_t x = 0; x < info->width; x++)
                out[(y * info->width + x) * info->channels + c] = from[x];
        }
}

static bool scale_frame(const AVFrame *frame, const ae_signal_info *info, uint8_t *out, size_t row_bytes)
{
    static const enum AVPixelFormat formats[2][5] = {
        {AV_PIX_FMT_NONE, AV_PIX_FMT_GRAY8, AV_PIX_FMT_YA8, AV_PIX_FMT_RGB24, AV_PIX_FMT_RGBA},
        {AV_PIX_FMT_NONE, AV_PIX_FMT_GRAY16, AV_PIX_FMT_YA16, AV_PIX_FMT_RGB48, AV_PIX_FMT_RGBA64},
    };
    struct SwsContext *scaler =
        sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height,
                       formats[info->sample == AE_U16][info->channels],
                       SWS_POINT | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    uint8_t *const to[4] = {out};
    const int to_row[4] = {(int)row_bytes};
    bool good = scaler && sws_scale(scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, to, to_row) ==
                              frame->height;

    sws_freeContext(scaler);
    return good;
}

/* What of grey, colour and alpha the entries of a palette (native ARGB) make use of. */
static uint32_t palette_channels(const AVFrame *frame)
{
    const uint32_t *palette = (const uint32_t *)frame->data[1];
    bool colour = false, alpha = false;

    for (int y = 0; y < frame->height; y++)
        for (int x = 0; x < frame->width; x++) {
            uint32_t v = palette[frame->data[0][(ptrdiff_t)y * frame->linesize[0] + x]];

            colour = colour || (v >> 16 & 255) != (v & 255) || (v >> 8 & 255) != (v & 255);
            alpha = alpha || v >> 24 != 255;
        }
    return (colour ? 3 : 1) + alpha;
}

static void look_up(const AVFrame *frame, const ae_signal_info *info, uint8_t *out)
{
    const uint32_t *palette = (const uint32_t *)frame->data[1];

    for (int y = 0; y < frame->height; y++)
        for (int x = 0; x < frame->width; x++) {
            uint32_t v = palette[frame->data[0][(ptrdiff_t)y * frame->linesize[0] + x]];

            for (int shift = info->channels < 3 ? 0 : 16; shift >= 0; shift -= 8)
                *out++ = (uint8_t)(v >> shift);
            if (info->alpha)
                *out++ = (uint8_t)(v >> 24);
        }
}

/* Formats that always have room for alpha seldom use it. */
static void drop_opaque_alpha(ae_signal_info *info, uint8_t *pixels)
{
    size_t n = (size_t)(info->width * info->height);

    for (size_t i = 0; i < n; i++)
        if (pixels[4 * i + 3] != 255)
            return;
    for (size_t i = 0; i < n; i++)
        memmove(pixels + 3 * i, pixels + 4 * i, 3);
    info->channels = 3;
    info->alpha = false;
}

/* Targa of 16 bits a pixel may be grey and alpha, of which libavcodec makes the same words as of 5-5-5 colours. */
static bool is_grey_alpha(ae_source *source)
{
    uint8_t head[18];

    return ae_source_seek(source, 0) && ae_source_read(source, head, sizeof(head)) == sizeof(head) && (head[2] & 7) == 3 &&
           head[16] == 16;
}

static ae_status take_grey_alpha(libav_state *s, const AVFrame *frame, const ae_codec *codec, ae_signal_info *info)
{
    *info = aei_image_info((uint64_t)frame->width, (uint64_t)frame->height, AE_U8, 2);
    s->row_bytes = ae_row_bytes(info);
    if (frame->format != AV_PIX_FMT_RGB555LE)
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s of grey and alpha", codec->description);
    s->pixels = ae_alloc(info->height, s->row_bytes);
    if (!s->pixels)
        return av_failed(s, codec, AVERROR(ENOMEM));
    for (int y = 0; y < frame->height; y++)
        memcpy(s->pixels + (size_t)y * s->row_bytes, frame->data[0] + (ptrdiff_t)y * frame->linesize[0], s->row_bytes);
    return AE_OK;
}

static ae_status convert_frame(libav_state *s, const AVFrame *frame, const ae_codec *codec, ae_signal_info *info)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(frame->format);
    bool is_float, palette;
    uint32_t channels;

    if (!d || frame->width <= 0 || frame->height <= 0)
        return av_failed(s, codec, AVERROR_INVALIDDATA);
    is_float = d->flags & AV_PIX_FMT_FLAG_FLOAT;
    palette = d->flags & AV_PIX_FMT_FLAG_PAL;
    channels = palette ? palette_channels(frame) : (d->nb_components >= 3 ? 3u : 1u) + !!(d->flags & AV_PIX_FMT_FLAG_ALPHA);
    if (is_float && frame->format != AV_PIX_FMT_GBRPF32 && frame->format != AV_PIX_FMT_GBRAPF32 &&
        frame->format != AV_PIX_FMT_GRAYF32)
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s with samples of type %s", codec->description, d->name);
    *info = aei_image_info((uint64_t)frame->width, (uint64_t)frame->height,
                           is_float ? AE_F32 : d->comp[0].depth > 8 ? AE_U16 : AE_U8, channels);
    if (info->sample == AE_U16)
        info->bits = (uint32_t)d->comp[0].depth;
    s->row_bytes = ae_row_bytes(info);
    s->pixels = ae_alloc(info->height, s->row_bytes);
    if (!s->pixels)
        return av_failed(s, codec, AVERROR(ENOMEM));
    if (is_float)
        interleave_float(frame, info, (float *)s->pixels);
    else if (palette)
        look_up(frame, info, s->pixels);
    else if (!scale_frame(frame, info, s->pixels, s->row_bytes))
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s with pixels of type %s", codec->description, d->name);
    if (info->sample == AE_U8 && channels == 4 && !palette) {
        drop_opaque_alpha(info, s->pixels);
        s->row_bytes = ae_row_bytes(info);
    }
    return AE_OK;
}

static void libav_free_state(libav_state *s)
{
    if (s)
        ae_free(s->pixels);
    ae_free(s);
}

static ae_status libav_open(ae_source *source, const ae_limits *limits, ae_reader *reader, enum AVCodecID id, ae_error *err)
{
    libav_state *s = ae_alloc(1, sizeof(*s));
    AVFrame *frame = NULL;
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
    s->limits = limits;
    s->codec = reader->codec;
    s->err = err;
    av_log_set_level(AV_LOG_QUIET);
    frame = av_frame_alloc();
    st = frame ? decode_frame(s, source, id, frame, reader) : av_failed(s, reader->codec, AVERROR(ENOMEM));
    if (st == AE_OK)
        st = id == AV_CODEC_ID_TARGA && is_grey_alpha(source) ? take_grey_alpha(s, frame, reader->codec, &reader->info)
                                                              : convert_frame(s, frame, reader->codec, &reader->info);
    av_frame_free(&frame);
    aei_give(&s->charged);
    if (st == AE_OK && id == AV_CODEC_ID_BMP)
        st = aei_bmp_density(source, &reader->meta, err);
    if (st != AE_OK) {
        libav_free_state(s);
        return st;
    }
    reader->state = s;
    return AE_OK;
}

static ae_status libav_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    libav_state *s = reader->state;

    (void)err;
    memcpy(rows, s->pixels + s->y * s->row_bytes, n_rows * s->row_bytes);
    s->y += n_rows;
    return AE_OK;
}

static void libav_close(ae_reader *reader)
{
    libav_free_state(reader->state);
}

/* ---- the formats ---- */

static int bmp_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 18 && memcmp(head, "BM", 2) == 0 && head[14] >= 12 && head[14] <= 124 && !head[15] && !head[16] ? 80 : 0;
}

static int gif_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 6 && (memcmp(head, "GIF87a", 6) == 0 || memcmp(head, "GIF89a", 6) == 0) ? 100 : 0;
}

static int jp2_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 12 && (memcmp(head + 4, "jP  \r\n\x87\n", 8) == 0 || memcmp(head, "\xff\x4f\xff\x51", 4) == 0) ? 100 : 0;
}

static int exr_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 4 && memcmp(head, "\x76\x2f\x31\x01", 4) == 0 ? 100 : 0;
}

static int qoi_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 14 && memcmp(head, "qoif", 4) == 0 ? 100 : 0;
}

/* Targa has no signature, only fields with few good values. */
static int tga_probe(const uint8_t *head, size_t n_bytes)
{
    unsigned type = n_bytes >= 18 ? head[2] & ~8u : 0, depth = n_bytes >= 18 ? head[16] : 0;

    return type >= 1 && type <= 3 && head[2] <= 11 && head[1] == (type == 1) &&
                   (depth == 8 || depth == 16 || depth == 24 || depth == 32) && (head[12] || head[13]) && (head[14] || head[15]) &&
                   !(head[17] & 0xc0)
               ? 10
               : 0;
}

#define LIBAV_CODEC(symbol, text, id, list, ...)                                                                                \
    static ae_status symbol##_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)               \
    {                                                                                                                           \
        return libav_open(source, limits, reader, id, err);                                                                    \
    }                                                                                                                           \
    static const char *const symbol##_suffixes[] = {list, NULL};                                                               \
    const ae_codec aei_codec_##symbol = {.name = #symbol,                                                                       \
                                         .description = text,                                                                   \
                                         .suffixes = symbol##_suffixes,                                                         \
                                         .kind = AE_KIND_IMAGE,                                                                 \
                                         .probe = symbol##_probe,                                                               \
                                         .open = symbol##_open,                                                                 \
                                         .read = libav_read,                                                                    \
                                         .close = libav_close,                                                                  \
                                         __VA_ARGS__}

LIBAV_CODEC(bmp, "BMP", AV_CODEC_ID_BMP, "bmp", .accepts = aei_bmp_accepts, .create = aei_bmp_create, .write = aei_bmp_write,
            .finish = aei_bmp_finish, .abandon = aei_bmp_abandon);
LIBAV_CODEC(gif, "GIF", AV_CODEC_ID_GIF, "gif", .create = NULL);
LIBAV_CODEC(jp2, "JPEG 2000", AV_CODEC_ID_JPEG2000, "jp2", .create = NULL);
LIBAV_CODEC(exr, "OpenEXR", AV_CODEC_ID_EXR, "exr", .create = NULL);
LIBAV_CODEC(qoi, "QOI", AV_CODEC_ID_QOI, "qoi", .create = NULL);
LIBAV_CODEC(tga, "Targa", AV_CODEC_ID_TARGA, "tga", .create = NULL);
