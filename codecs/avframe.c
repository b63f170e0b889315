/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames of libavcodec: held to limits while they are decoded, then turned into rows. */
#include <string.h>

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

#include "libav.h"

ae_status aei_av_picture_failed(aei_av_picture *s, int code)
{
    const ae_codec *codec = s->codec;
    char text[AV_ERROR_MAX_STRING_SIZE];

    if (s->status != AE_OK)
        return s->status;
    if (code == AVERROR(ENOMEM))
        return ae_fail(s->err, AE_ERR_NOMEM, "%s decoder", codec->description);
    av_strerror(code, text, sizeof(text));
    return ae_fail(s->err, code == AVERROR_PATCHWELCOME ? AE_ERR_UNSUPPORTED : AE_ERR_MALFORMED,
                   "%s: %s", codec->description, text);
}

/* Decoders ask for their picture's memory here before they fill it. */
static int on_buffer(AVCodecContext *context, AVFrame *frame, int flags)
{
    aei_av_picture *s = context->opaque;
    int bytes = av_image_get_buffer_size(frame->format, frame->width, frame->height, 1);

    if (s->status == AE_OK)
        s->status = aei_check_size(s->limits, (uint64_t)context->width, (uint64_t)context->height,
                                   s->err);
    if (s->status == AE_OK)
        s->status = bytes < 0
                        ? ae_fail(s->err, AE_ERR_LIMIT, "the picture is too large")
                        : aei_charge(&s->charged, s->limits, 2 * (uint64_t)bytes, s->codec, s->err);
    return s->status == AE_OK ? avcodec_default_get_buffer2(context, frame, flags)
                              : AVERROR(ENOMEM);
}

/* OpenEXR and JPEG 2000 are decoded in independent parts, and failing ones are left black unless
 * they are noticed here. */
static int on_execute(AVCodecContext *context, int (*part)(AVCodecContext *, void *, int, int),
                      void *arg, int *results, int n)
{
    aei_av_picture *s = context->opaque;

    for (int i = 0; i < n; i++) {
        int code = part(context, arg, i, 0);

        if (results)
            results[i] = code;
        s->damaged = s->damaged || code < 0;
    }
    return 0;
}

AVCodecContext *aei_av_context(aei_av_picture *s, const AVCodec *decoder)
{
    AVCodecContext *context = avcodec_alloc_context3(decoder);

    if (!context)
        return NULL;
    context->opaque = s;
    context->get_buffer2 = on_buffer;
    context->execute2 = on_execute;
    context->thread_count = 1;
    context->err_recognition = AV_EF_EXPLODE;
    return context;
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

static bool scale_frame(const AVFrame *frame, const ae_signal_info *info, uint8_t *out,
                        size_t row_bytes)
{
    static const enum AVPixelFormat formats[2][5] = {
        {AV_PIX_FMT_NONE, AV_PIX_FMT_GRAY8, AV_PIX_FMT_YA8, AV_PIX_FMT_RGB24, AV_PIX_FMT_RGBA},
        {AV_PIX_FMT_NONE, AV_PIX_FMT_GRAY16, AV_PIX_FMT_YA16, AV_PIX_FMT_RGB48, AV_PIX_FMT_RGBA64},
    };
    struct SwsContext *scaler = sws_getContext(
        frame->width, frame->height, frame->format, frame->width, frame->height,
        formats[info->sample == AE_U16][info->channels],
        SWS_POINT | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL,
        NULL, NULL);
    uint8_t *const to[4] = {out};
    const int to_row[4] = {(int)row_bytes};
    bool good = scaler && sws_scale(scaler, (const uint8_t *const *)frame->data, frame->linesize, 0,
                                    frame->height, to, to_row) == frame->height;

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

ae_status aei_av_convert(aei_av_picture *s, const AVFrame *frame, ae_signal_info *info)
{
    const ae_codec *codec = s->codec;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(frame->format);
    bool is_float, palette;
    uint32_t channels;

    if (!d || frame->width <= 0 || frame->height <= 0)
        return aei_av_picture_failed(s, AVERROR_INVALIDDATA);
    is_float = d->flags & AV_PIX_FMT_FLAG_FLOAT;
    palette = d->flags & AV_PIX_FMT_FLAG_PAL;
    channels = palette ? palette_channels(frame)
                       : (d->nb_components >= 3 ? 3u : 1u) + !!(d->flags & AV_PIX_FMT_FLAG_ALPHA);
    if (is_float && frame->format != AV_PIX_FMT_GBRPF32 && frame->format != AV_PIX_FMT_GBRAPF32 &&
        frame->format != AV_PIX_FMT_GRAYF32)
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s with samples of type %s", codec->description,
                       d->name);
    *info = aei_image_info((uint64_t)frame->width, (uint64_t)frame->height,
                           is_float               ? AE_F32
                           : d->comp[0].depth > 8 ? AE_U16
                                                  : AE_U8,
                           channels);
    if (info->sample == AE_U16)
        info->bits = (uint32_t)d->comp[0].depth;
    s->row_bytes = ae_row_bytes(info);
    s->pixels = ae_alloc(info->height, s->row_bytes);
    if (!s->pixels)
        return aei_av_picture_failed(s, AVERROR(ENOMEM));
    if (is_float)
        interleave_float(frame, info, (float *)s->pixels);
    else if (palette)
        look_up(frame, info, s->pixels);
    else if (!scale_frame(frame, info, s->pixels, s->row_bytes))
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s with pixels of type %s", codec->description,
                       d->name);
    if (info->sample == AE_U8 && channels == 4 && !palette) {
        drop_opaque_alpha(info, s->pixels);
        s->row_bytes = ae_row_bytes(info);
    }
    return AE_OK;
}
