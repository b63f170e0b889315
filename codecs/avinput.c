/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How libavformat reaches the bytes of a source: by callbacks that read and seek, and by nothing
 * else. Formats that may name other files, as lists of streams do, are refused when they ask to
 * open one. */
#include <string.h>

#include "avsound.h"

static int input_read(void *opaque, uint8_t *to, int n)
{
    av_input *in = opaque;
    size_t got = ae_source_seek(in->source, in->at) ? ae_source_read(in->source, to, (size_t)n) : 0;

    in->at += got;
    return got ? (int)got : AVERROR_EOF;
}

static int64_t input_seek(void *opaque, int64_t offset, int whence)
{
    av_input *in = opaque;
    int64_t base = whence == SEEK_SET   ? 0
                   : whence == SEEK_CUR ? (int64_t)in->at
                                        : (int64_t)ae_source_size(in->source);

    if (whence & AVSEEK_SIZE)
        return (int64_t)ae_source_size(in->source);
    whence &= ~AVSEEK_FORCE;
    if (offset > INT64_MAX - base || base + offset < 0 ||
        (uint64_t)(base + offset) > ae_source_size(in->source))
        return -1;
    return (int64_t)(in->at = (uint64_t)(base + offset));
}

/* What a file names elsewhere is not opened. */
static int refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                       AVDictionary **options)
{
    (void)format;
    (void)io;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

void aei_av_input_close(av_input *in)
{
    AVIOContext *io = in->format ? in->format->pb : NULL;

    avformat_close_input(&in->format);
    if (io) {
        av_freep(&io->buffer);
        avio_context_free(&io);
    }
}

ae_status aei_av_failed(const ae_codec *codec, int code, ae_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE];

    if (code == AVERROR(ENOMEM))
        return ae_fail(err, AE_ERR_NOMEM, "%s", codec->description);
    av_strerror(code, text, sizeof(text));
    return ae_fail(err,
                   code == AVERROR_PATCHWELCOME || code == AVERROR_DECODER_NOT_FOUND
                       ? AE_ERR_UNSUPPORTED
                       : AE_ERR_MALFORMED,
                   "%s: %s", codec->description, text);
}

ae_status aei_av_input_begin(av_input *in, ae_source *source, const char *formats,
                             const ae_codec *codec, ae_error *err)
{
    uint8_t *buffer = av_malloc(AEI_AV_IO_BYTES);
    AVDictionary *options = NULL;
    AVIOContext *io;
    int code;

    *in = (av_input){.source = source};
    av_log_set_level(AV_LOG_QUIET);
    io = buffer ? avio_alloc_context(buffer, AEI_AV_IO_BYTES, 0, in, input_read, NULL, input_seek)
                : NULL;
    in->format = io ? avformat_alloc_context() : NULL;
    if (!in->format || av_dict_set(&options, "format_whitelist", formats, 0) < 0) {
        avformat_free_context(in->format);
        in->format = NULL;
        if (io)
            av_freep(&io->buffer);
        else
            av_free(buffer);
        avio_context_free(&io);
        return aei_av_failed(codec, AVERROR(ENOMEM), err);
    }
    in->format->pb = io;
    in->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    in->format->io_open = refuse_open;
    code = avformat_open_input(&in->format, NULL, NULL, &options);
    av_dict_free(&options);
    if (code < 0) { /* the context is gone, its input is not */
        av_freep(&io->buffer);
        avio_context_free(&io);
        return aei_av_failed(codec, code, err);
    }
    return AE_OK;
}

ae_status aei_av_input_open(av_input *in, ae_source *source, const ae_codec *codec, ae_error *err)
{
    static const char formats[] = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,mp3,avi,mpegts";
    ae_status st = aei_av_input_begin(in, source, formats, codec, err);
    int code;

    if (st != AE_OK)
        return st;
    if ((code = avformat_find_stream_info(in->format, NULL)) < 0) {
        aei_av_input_close(in);
        return aei_av_failed(codec, code, err);
    }
    return AE_OK;
}
