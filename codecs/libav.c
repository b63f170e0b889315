/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading whatever still pictures libavcodec knows and no adapter of its own serves: BMP, GIF (its
 * first picture; those behind it: frames.c), JPEG 2000, OpenEXR (to float), QOI, Targa. Files and
 * pictures are held whole. Of metadata only BMP's density is read. */
#include <string.h>

#include <libavutil/intreadwrite.h>

#include "libav.h"

typedef struct libav_state {
    aei_av_picture picture; /* the first one */
    ae_source *source;
    aei_frames *frames; /* those behind it, once one was asked for */
    bool in_frames;
} libav_state;

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

/* Some decoders fill what is missing with whatever is there. So: is the format's end where it
 * should be? */
static bool is_complete(const AVPacket *packet, enum AVCodecID id, ae_reader *reader)
{
    static const uint8_t qoi_end[8] = {0, 0, 0, 0, 0, 0, 0, 1};
    const uint8_t *p = packet->data, *end = p + packet->size;
    unsigned n_pictures = 0;

    switch (id) {
    case AV_CODEC_ID_BMP: return aei_bmp_is_complete(p, (size_t)packet->size);
    case AV_CODEC_ID_QOI: return packet->size >= 22 && memcmp(end - 8, qoi_end, 8) == 0;
    case AV_CODEC_ID_GIF:
        if (!walk_gif(p, (size_t)packet->size, &n_pictures))
            return false;
        aei_further(reader, n_pictures ? n_pictures - 1 : 0);
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
    default: return true;
    }
}

/* The whole file as one packet: what all of these decoders take. */
static ae_status read_packet(aei_av_picture *s, ae_source *source, const ae_codec *codec,
                             AVPacket **out)
{
    uint64_t size = ae_source_size(source);
    AVPacket *packet;
    ae_status st = aei_check_memory(s->limits, size, s->err);

    *out = NULL;
    if (st != AE_OK)
        return st;
    if (size > INT32_MAX / 2)
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s of more than a gigabyte",
                       codec->description);
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

static ae_status decode_frame(aei_av_picture *s, ae_source *source, enum AVCodecID id,
                              AVFrame *frame, ae_reader *reader)
{
    const ae_codec *codec = reader->codec;
    const AVCodec *decoder = avcodec_find_decoder(id);
    AVCodecContext *context = NULL;
    AVPacket *packet = NULL;
    ae_status st;
    int code;

    if (!decoder)
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s is not in this libavcodec",
                       codec->description);
    if ((st = read_packet(s, source, codec, &packet)) != AE_OK)
        goto done;
    if (!is_complete(packet, id, reader)) {
        st = ae_fail(s->err, AE_ERR_MALFORMED, "%s: truncated", codec->description);
        goto done;
    }
    context = aei_av_context(s, decoder);
    if (!context) {
        st = aei_av_picture_failed(s, AVERROR(ENOMEM));
        goto done;
    }
    code = avcodec_open2(context, decoder, NULL);
    if (code >= 0)
        code = avcodec_send_packet(context, packet);
    if (code >= 0)
        code = avcodec_send_packet(context, NULL);
    if (code >= 0)
        code = avcodec_receive_frame(context, frame);
    if (code >= 0 &&
        (s->damaged || frame->decode_error_flags || frame->flags & AV_FRAME_FLAG_CORRUPT))
        code = AVERROR_INVALIDDATA;
    if (code < 0)
        st = aei_av_picture_failed(s, code);
done:
    avcodec_free_context(&context);
    av_packet_free(&packet);
    return st;
}

/* Targa of 16 bits a pixel may be grey and alpha, of which libavcodec makes the same words as of
 * 5-5-5 colours. */
static bool is_grey_alpha(ae_source *source)
{
    uint8_t head[18];

    return ae_source_seek(source, 0) &&
           ae_source_read(source, head, sizeof(head)) == sizeof(head) && (head[2] & 7) == 3 &&
           head[16] == 16;
}

static ae_status take_grey_alpha(aei_av_picture *s, const AVFrame *frame, ae_signal_info *info)
{
    *info = aei_image_info((uint64_t)frame->width, (uint64_t)frame->height, AE_U8, 2);
    s->row_bytes = ae_row_bytes(info);
    if (frame->format != AV_PIX_FMT_RGB555LE)
        return ae_fail(s->err, AE_ERR_UNSUPPORTED, "%s of grey and alpha", s->codec->description);
    s->pixels = ae_alloc(info->height, s->row_bytes);
    if (!s->pixels)
        return aei_av_picture_failed(s, AVERROR(ENOMEM));
    for (int y = 0; y < frame->height; y++)
        memcpy(s->pixels + (size_t)y * s->row_bytes,
               frame->data[0] + (ptrdiff_t)y * frame->linesize[0], s->row_bytes);
    return AE_OK;
}

static void libav_free_state(libav_state *s)
{
    if (!s)
        return;
    aei_frames_free(s->frames);
    ae_free(s->picture.pixels);
    ae_free(s);
}

static enum AVCodecID id_of(const ae_codec *codec)
{
    static const struct {
        const char *name;
        enum AVCodecID id;
    } all[] = {{"bmp", AV_CODEC_ID_BMP},      {"gif", AV_CODEC_ID_GIF}, {"exr", AV_CODEC_ID_EXR},
               {"jp2", AV_CODEC_ID_JPEG2000}, {"qoi", AV_CODEC_ID_QOI}, {"tga", AV_CODEC_ID_TARGA}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(codec->name, all[i].name) == 0)
            return all[i].id;
    return AV_CODEC_ID_NONE;
}

ae_status aei_av_still_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                            ae_error *err)
{
    enum AVCodecID id = id_of(reader->codec);
    libav_state *s = ae_alloc(1, sizeof(*s));
    aei_av_picture *p;
    AVFrame *frame = NULL;
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
    p = &s->picture;
    *p = (aei_av_picture){.limits = limits, .codec = reader->codec, .err = err};
    s->source = source;
    av_log_set_level(AV_LOG_QUIET);
    frame = av_frame_alloc();
    st = frame ? decode_frame(p, source, id, frame, reader)
               : aei_av_picture_failed(p, AVERROR(ENOMEM));
    if (st == AE_OK)
        st = id == AV_CODEC_ID_TARGA && is_grey_alpha(source)
                 ? take_grey_alpha(p, frame, &reader->info)
                 : aei_av_convert(p, frame, &reader->info);
    av_frame_free(&frame);
    aei_give(&p->charged);
    if (st == AE_OK && id == AV_CODEC_ID_BMP)
        st = aei_bmp_density(source, &reader->meta, err);
    if (st != AE_OK) {
        libav_free_state(s);
        return st;
    }
    reader->state = s;
    return AE_OK;
}

ae_status aei_av_still_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    libav_state *s = reader->state;
    aei_av_picture *p = &s->picture;

    (void)err;
    if (s->in_frames) {
        aei_frames_read(s->frames, rows, n_rows);
        return AE_OK;
    }
    memcpy(rows, p->pixels + p->y * p->row_bytes, n_rows * p->row_bytes);
    p->y += n_rows;
    return AE_OK;
}

void aei_av_still_close(ae_reader *reader)
{
    libav_free_state(reader->state);
}

ae_status aei_av_gif_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    libav_state *s = reader->state;
    ae_status st = AE_OK;

    if (!s->frames)
        st = aei_frames_open(s->source, "gif", reader->codec, &reader->limits, &s->frames, err);
    s->in_frames = true;
    return st == AE_OK ? aei_frames_go(s->frames, n, &reader->info, err) : st;
}
