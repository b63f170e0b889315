/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The frames of animations, through libavformat and libavcodec, which lay each over what its
 * predecessors have left. */
#include <string.h>

#include "avsound.h"
#include "libav.h"

struct aei_frames {
    av_input in;
    AVCodecContext *context;
    AVPacket *packet;
    AVFrame *frame;
    aei_av_picture picture;
    ae_limits limits;
    ae_signal_info info; /* of the one in hand */
    uint32_t n;          /* its number; 0: none yet */
};

void aei_frames_free(aei_frames *f)
{
    if (!f)
        return;
    av_frame_free(&f->frame);
    av_packet_free(&f->packet);
    avcodec_free_context(&f->context);
    aei_av_input_close(&f->in);
    ae_free(f->picture.pixels);
    ae_free(f);
}

ae_status aei_frames_open(ae_source *source, const char *format, const ae_codec *codec,
                          const ae_limits *limits, aei_frames **out, ae_error *err)
{
    aei_frames *f = ae_alloc(1, sizeof(*f));
    const AVCodec *decoder;
    int code = AVERROR(ENOMEM);
    ae_status st;

    *out = NULL;
    if (!f)
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", codec->description);
    f->limits = *limits;
    f->picture = (aei_av_picture){.limits = &f->limits, .codec = codec, .err = err};
    if ((st = aei_av_input_begin(&f->in, source, format, codec, err)) != AE_OK)
        goto failed;
    if (!f->in.format->nb_streams ||
        !(decoder = avcodec_find_decoder(f->in.format->streams[0]->codecpar->codec_id))) {
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "%s animations are not in this libavcodec",
                     codec->description);
        goto failed;
    }
    if (!(f->packet = av_packet_alloc()) || !(f->frame = av_frame_alloc()) ||
        !(f->context = aei_av_context(&f->picture, decoder)) ||
        (code = avcodec_parameters_to_context(f->context, f->in.format->streams[0]->codecpar)) <
            0 ||
        (code = avcodec_open2(f->context, decoder, NULL)) < 0) {
        st = aei_av_picture_failed(&f->picture, code);
        goto failed;
    }
    *out = f;
    return AE_OK;
failed:
    aei_frames_free(f);
    return st;
}

/* The next frame as libavcodec has it. What was charged for the one before is given back: no more
 * than two are held. */
static ae_status decode_next(aei_frames *f)
{
    int code;

    av_frame_unref(f->frame);
    aei_give(&f->picture.charged);
    while ((code = avcodec_receive_frame(f->context, f->frame)) == AVERROR(EAGAIN)) {
        if ((code = av_read_frame(f->in.format, f->packet)) == AVERROR_EOF)
            code = avcodec_send_packet(f->context, NULL);
        else if (code >= 0)
            code = avcodec_send_packet(f->context, f->packet);
        av_packet_unref(f->packet);
        if (code < 0)
            break;
    }
    if (code == AVERROR_EOF)
        return ae_fail(f->picture.err, AE_ERR_MALFORMED, "%s: truncated",
                       f->picture.codec->description);
    if (code >= 0 && (f->picture.damaged || f->frame->decode_error_flags ||
                      f->frame->flags & AV_FRAME_FLAG_CORRUPT))
        code = AVERROR_INVALIDDATA;
    return code < 0 ? aei_av_picture_failed(&f->picture, code) : AE_OK;
}

ae_status aei_frames_go(aei_frames *f, uint32_t n, ae_signal_info *info, ae_error *err)
{
    aei_av_picture *p = &f->picture;
    ae_status st = AE_OK;

    p->err = err;
    p->y = 0;
    if (f->n < n) {
        while (f->n < n && (st = decode_next(f)) == AE_OK)
            f->n++;
        ae_free(p->pixels);
        p->pixels = NULL;
        if (st == AE_OK)
            st = aei_av_convert(p, f->frame, &f->info);
    }
    *info = f->info;
    return st;
}

void aei_frames_read(aei_frames *f, void *rows, uint32_t n_rows)
{
    aei_av_picture *p = &f->picture;

    memcpy(rows, p->pixels + p->y * p->row_bytes, n_rows * p->row_bytes);
    p->y += n_rows;
}
