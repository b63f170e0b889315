/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing them. A file made from one of the same container keeps all that is not the track: video,
 * subtitles, other sounds, covers, chapters and tags are copied as they stand. They are not held
 * meanwhile: the writer reads the input once more, in step with the sound that it is given. */
#include <math.h>
#include <string.h>

#include <libavutil/opt.h>

#include "avsound.h"

enum { SPEECH_KBPS = 128 };

typedef struct av_writer {
    aei_spool spool;
    uint64_t at;
    ae_status status;
    ae_error error;
    AVFormatContext *format;
    AVIOContext *io;
    AVCodecContext *encoder;
    AVFrame *frame;
    AVPacket *packet;
    int n_in_frame, track; /* of the output */
    int64_t sent;          /* frames to the encoder */
    int late; /* frames by which the coder is late where the container cannot say so: */
    int drop; /* as many are left out at the beginning, so that the rest stays in its place */
    int64_t start;
    /* copying from the av_input */
    av_input in;
    AVPacket *other;
    bool has_other, others_ended;
    int *places; /* of the input's streams in the output, -1: none */
} av_writer;

typedef struct av_container {
    const char *codec, *muxer;
    enum AVCodecID usual; /* coder of sound where there is nothing to follow */
} av_container;

static const av_container *container_of_codec(const ae_codec *codec)
{
    static const av_container all[] = {
        {"m4a", "ipod", AV_CODEC_ID_AAC},   {"mp4", "mp4", AV_CODEC_ID_AAC},
        {"mov", "mov", AV_CODEC_ID_AAC},    {"mkv", "matroska", AV_CODEC_ID_OPUS},
        {"webm", "webm", AV_CODEC_ID_OPUS}, {"wma", "asf", AV_CODEC_ID_WMAV2},
        {"avi", "avi", AV_CODEC_ID_MP3},    {"aac", "adts", AV_CODEC_ID_AAC},
        {"ts", "mpegts", AV_CODEC_ID_AAC},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!strcmp(all[i].codec, codec->name))
            return &all[i];
    return NULL;
}

static int sink_write(void *opaque, uint8_t *data, int n)
{
    av_writer *s = opaque;

    if (s->status == AE_OK)
        s->status = aei_spool_write(&s->spool, data, (size_t)n, &s->error);
    s->at += (uint64_t)n;
    return s->status == AE_OK ? n : AVERROR(EIO);
}

static int64_t sink_seek(void *opaque, int64_t offset, int whence)
{
    av_writer *s = opaque;

    if (whence != SEEK_SET || offset < 0)
        return -1;
    if (s->status == AE_OK)
        s->status = aei_spool_seek(&s->spool, (uint64_t)offset, &s->error);
    s->at = (uint64_t)offset;
    return s->status == AE_OK ? offset : -1;
}

static void free_writer(av_writer *s)
{
    avcodec_free_context(&s->encoder);
    av_frame_free(&s->frame);
    av_packet_free(&s->packet);
    av_packet_free(&s->other);
    avformat_free_context(s->format);
    if (s->io) {
        av_freep(&s->io->buffer);
        avio_context_free(&s->io);
    }
    aei_av_input_close(&s->in);
    aei_spool_close(&s->spool);
    ae_free(s->places);
    ae_free(s);
}

static ae_status writer_failed(av_writer *s, const ae_writer *writer, int code, ae_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE];

    if (s->status != AE_OK) {
        if (err)
            *err = s->error;
        return s->status;
    }
    av_strerror(code, text, sizeof(text));
    return ae_fail(err, code == AVERROR(ENOMEM) ? AE_ERR_NOMEM : AE_ERR_UNSUPPORTED, "%s: %s",
                   writer->codec->description, text);
}

static bool is_lossless(enum AVCodecID id)
{
    const AVCodecDescriptor *d = avcodec_descriptor_get(id);

    return d && d->props & AV_CODEC_PROP_LOSSLESS && !(d->props & AV_CODEC_PROP_LOSSY);
}

/* The coder of the input's track, or what the container usually holds. */
static const AVCodec *find_encoder(const av_container *c, const av_class *like)
{
    enum AVCodecID id = like ? like->id : c->usual;
    const AVCodec *encoder = id == AV_CODEC_ID_OPUS     ? avcodec_find_encoder_by_name("libopus")
                             : id == AV_CODEC_ID_VORBIS ? avcodec_find_encoder_by_name("libvorbis")
                                                        : avcodec_find_encoder(id);

    return encoder && !(encoder->capabilities & AV_CODEC_CAP_EXPERIMENTAL) ? encoder
           : id == c->usual                                                ? NULL
                            : avcodec_find_encoder(c->usual);
}

/* Of what the coder takes, the type that holds the samples: that of their kind, else the widest. */
static enum AVSampleFormat choose_samples(const AVCodec *encoder, ae_sample sample)
{
    static const enum AVSampleFormat types[] = {
        [AE_S8] = AV_SAMPLE_FMT_U8,   [AE_S16] = AV_SAMPLE_FMT_S16, [AE_S24] = AV_SAMPLE_FMT_S32,
        [AE_S32] = AV_SAMPLE_FMT_S32, [AE_F32] = AV_SAMPLE_FMT_FLT, [AE_F64] = AV_SAMPLE_FMT_DBL};
    enum AVSampleFormat best = AV_SAMPLE_FMT_NONE;

    for (const enum AVSampleFormat *f = encoder->sample_fmts; f && *f != AV_SAMPLE_FMT_NONE; f++) {
        enum AVSampleFormat packed = av_get_packed_sample_fmt(*f);

        if (packed == types[sample])
            return *f;
        if (packed == AV_SAMPLE_FMT_FLT || best == AV_SAMPLE_FMT_NONE ||
            (packed == AV_SAMPLE_FMT_S32 && av_get_packed_sample_fmt(best) == AV_SAMPLE_FMT_S16))
            best = *f;
    }
    return best;
}

static AVCodecContext *make_context(const av_writer *s, const AVCodec *encoder,
                                    const ae_signal_info *info)
{
    AVCodecContext *c = avcodec_alloc_context3(encoder);

    if (!c)
        return NULL;
    c->sample_rate = (int)info->rate;
    c->time_base = (AVRational){1, (int)info->rate};
    c->sample_fmt = choose_samples(encoder, info->sample);
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_BITEXACT |
                (s->format->oformat->flags & AVFMT_GLOBALHEADER ? AV_CODEC_FLAG_GLOBAL_HEADER : 0);
    if (info->sample == AE_S24)
        c->bits_per_raw_sample = 24;
    if (!info->layout || av_channel_layout_from_mask(&c->ch_layout, info->layout) < 0 ||
        c->ch_layout.nb_channels != (int)info->channels)
        av_channel_layout_default(&c->ch_layout, (int)info->channels);
    return c;
}

static ae_status open_encoder(av_writer *s, const ae_writer *writer, const av_class *like,
                              const ae_write_options *options, ae_error *err)
{
    const ae_signal_info *info = &writer->info;
    const AVCodec *encoder = find_encoder(container_of_codec(writer->codec), like);
    double kbps = 0;
    int code;

    if (!encoder)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s: no coder of sound for it",
                       writer->codec->description);
    if (!options->quality && like && options->like->quality[0])
        (void)sscanf(options->like->quality, "%lf", &kbps);
    if (!(kbps > 0))
        kbps = options->quality ? 16 * pow(2, options->quality / 25.0) * info->channels
                                : SPEECH_KBPS * info->channels;
    /* Coders have an upper limit that depends on rate and channels and that nothing tells. */
    for (code = -1; code < 0 && kbps >= 4; kbps *= 0.7) {
        AVCodecContext *c = s->encoder;

        if (!c && !(c = s->encoder = make_context(s, encoder, info)))
            return writer_failed(s, writer, AVERROR(ENOMEM), err);
        if (!is_lossless(encoder->id))
            c->bit_rate = (int64_t)(kbps * 1000);
        if ((code = avcodec_open2(c, encoder, NULL)) < 0)
            avcodec_free_context(&s->encoder);
    }
    if (code < 0)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "%s (%s) cannot hold %u channels at %g Hz (--format names another)",
                       writer->codec->description, encoder->name, info->channels, info->rate);
    return AE_OK;
}

static ae_status open_frame(av_writer *s, const ae_writer *writer, ae_error *err)
{
    int size = s->encoder->frame_size > 0 &&
                       !(s->encoder->codec->capabilities & AV_CODEC_CAP_VARIABLE_FRAME_SIZE)
                   ? s->encoder->frame_size
                   : 1024;
    int code = AVERROR(ENOMEM);

    s->frame = av_frame_alloc();
    s->packet = av_packet_alloc();
    s->other = av_packet_alloc();
    if (s->frame && s->packet && s->other) {
        s->frame->nb_samples = size;
        s->frame->format = s->encoder->sample_fmt;
        s->frame->sample_rate = s->encoder->sample_rate;
        if ((code = av_channel_layout_copy(&s->frame->ch_layout, &s->encoder->ch_layout)) >= 0)
            code = av_frame_get_buffer(s->frame, 0);
    }
    return code < 0 ? writer_failed(s, writer, code, err) : AE_OK;
}

static int copy_stream(AVStream *to, const AVStream *from, const AVOutputFormat *format)
{
    unsigned int tag;
    int code = avcodec_parameters_copy(to->codecpar, from->codecpar);

    if (format->codec_tag && !av_codec_get_tag2(format->codec_tag, from->codecpar->codec_id, &tag))
        to->codecpar->codec_tag = 0;
    else if (format->codec_tag && av_codec_get_id(format->codec_tag, from->codecpar->codec_tag) !=
                                      from->codecpar->codec_id)
        to->codecpar->codec_tag = 0;
    to->time_base = from->time_base;
    to->sample_aspect_ratio = from->sample_aspect_ratio;
    to->avg_frame_rate = from->avg_frame_rate;
    to->r_frame_rate = from->r_frame_rate;
    for (int i = 0; i < from->nb_side_data && code >= 0; i++) {
        uint8_t *data = av_stream_new_side_data(to, from->side_data[i].type,
                                                from->side_data[i].size);

        if (data)
            memcpy(data, from->side_data[i].data, from->side_data[i].size);
        else
            code = AVERROR(ENOMEM);
    }
    return code;
}

static int copy_chapters(AVFormatContext *to, const AVFormatContext *from)
{
    if (from->nb_chapters == 0)
        return 0;
    to->chapters = av_calloc(from->nb_chapters, sizeof(*to->chapters));
    if (!to->chapters)
        return AVERROR(ENOMEM);
    for (unsigned i = 0; i < from->nb_chapters; i++) {
        AVChapter *c = av_mallocz(sizeof(*c));

        if (!c)
            return AVERROR(ENOMEM);
        *c = (AVChapter){.id = from->chapters[i]->id,
                         .time_base = from->chapters[i]->time_base,
                         .start = from->chapters[i]->start,
                         .end = from->chapters[i]->end};
        to->chapters[to->nb_chapters++] = c;
        if (av_dict_copy(&c->metadata, from->chapters[i]->metadata, 0) < 0)
            return AVERROR(ENOMEM);
    }
    return 0;
}

/* All streams of the input in their order, the track among them with its new parameters. */
static int add_streams(av_writer *s, const av_class *like)
{
    const AVFormatContext *from = like ? s->in.format : NULL;
    int code = 0;

    for (unsigned i = 0; i < (from ? from->nb_streams : 1) && code >= 0; i++) {
        AVStream *stream = avformat_new_stream(s->format, NULL);
        bool track = !from || i == like->track;

        if (!stream)
            return AVERROR(ENOMEM);
        if (from)
            s->places[i] = stream->index;
        if (track) {
            s->track = stream->index;
            stream->time_base = s->encoder->time_base;
            code = avcodec_parameters_from_context(stream->codecpar, s->encoder);
        } else {
            code = copy_stream(stream, from->streams[i], s->format->oformat);
        }
        if (from) {
            stream->disposition = from->streams[i]->disposition;
            stream->id = from->streams[i]->id;
            if (code >= 0)
                code = av_dict_copy(&stream->metadata, from->streams[i]->metadata, 0);
        }
        /* of the coder that was there before */
        if (track)
            av_dict_set(&stream->metadata, "encoder", NULL, 0);
    }
    if (code >= 0 && from && (code = av_dict_copy(&s->format->metadata, from->metadata, 0)) >= 0)
        code = copy_chapters(s->format, from);
    return code;
}

static ae_status begin(av_writer *s, ae_writer *writer, const ae_meta *meta,
                       const ae_write_options *options, const av_class *like, ae_error *err)
{
    uint8_t *buffer = av_malloc(AEI_AV_IO_BYTES);
    ae_status st;
    int code;

    s->io = buffer ? avio_alloc_context(buffer, AEI_AV_IO_BYTES, 1, s, NULL, sink_write, sink_seek)
                   : NULL;
    if (!s->io) {
        av_free(buffer);
        return writer_failed(s, writer, AVERROR(ENOMEM), err);
    }
    if ((code = avformat_alloc_output_context2(&s->format, NULL,
                                               container_of_codec(writer->codec)->muxer, NULL)) < 0)
        return writer_failed(s, writer, code, err);
    s->format->pb = s->io;
    s->format->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    if (like) {
        if ((st = aei_av_input_open(&s->in, options->like->source, writer->codec, err)) != AE_OK)
            return st;
        if (s->in.format->nb_streams != like->n_streams || like->track >= like->n_streams)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "%s: another number of streams at the second reading",
                           writer->codec->description);
        if (!(s->places = ae_alloc(s->in.format->nb_streams, sizeof(*s->places))))
            return writer_failed(s, writer, AVERROR(ENOMEM), err);
        s->start = like->start;
    }
    if ((st = open_encoder(s, writer, like, options, err)) != AE_OK ||
        (st = open_frame(s, writer, err)) != AE_OK)
        return st;
    if ((code = add_streams(s, like)) >= 0 && !like)
        for (size_t i = 0; i < meta->n_items && code >= 0; i++)
            if (meta->items[i].kind == AE_META_TAG)
                code = av_dict_set(
                    &s->format->metadata,
                    strcmp(meta->items[i].key, "TRACKNUMBER") == 0 ? "track" : meta->items[i].key,
                    (const char *)meta->items[i].value, 0);
    /* The usual thousandths of a second would cut the sound short or fill it up. */
    if (code >= 0 && av_opt_find(s->format->priv_data, "movie_timescale", NULL, 0, 0))
        code = av_opt_set_int(s->format->priv_data, "movie_timescale", (int64_t)writer->info.rate,
                              0);
    if (code >= 0)
        code = avformat_write_header(s->format, NULL);
    if (code >= 0 && like && s->encoder->codec_id != like->id) {
        char text[80];

        snprintf(text, sizeof(text), "sound coded as %s", avcodec_get_name(s->encoder->codec_id));
        aei_note(writer->note, text);
    }
    if (strstr("adts avi", s->format->oformat->name))
        s->drop = s->late = s->encoder->initial_padding;
    return code < 0 ? writer_failed(s, writer, code, err) : AE_OK;
}

ae_status aei_av_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                        const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    const ae_reader *from = options->like;
    bool same = from && from->codec &&
                container_of_codec(from->codec) == container_of_codec(writer->codec);
    av_writer *s;
    ae_status st;

    if (info->rate != floor(info->rate) || info->rate > INT32_MAX)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s cannot hold a rate of %g Hz",
                       writer->codec->description, info->rate);
    if (!(s = ae_alloc(1, sizeof(*s))))
        return ae_fail(err, AE_ERR_NOMEM, "%s encoder", writer->codec->description);
    av_log_set_level(AV_LOG_QUIET);
    if ((st = aei_spool_open(&s->spool, sink, true, err)) == AE_OK)
        st = begin(s, writer, meta, options,
                   same ? aei_kept(from, from->codec, sizeof(av_class)) : NULL, err);
    if (st != AE_OK) {
        free_writer(s);
        return st;
    }
    if (!same)
        aei_sound_dropped(SOUND_AV, meta, writer->note);
    writer->state = s;
    return AE_OK;
}

static int put_packet(av_writer *s, AVPacket *packet, const AVRational *time_base, int place)
{
    av_packet_rescale_ts(packet, *time_base, s->format->streams[place]->time_base);
    packet->stream_index = place;
    packet->pos = -1;
    return av_interleaved_write_frame(s->format, packet);
}

/* What the other streams have before that moment of the sound. */
static int copy_others(av_writer *s, double seconds)
{
    int code = 0;

    while (s->in.format && !s->others_ended && code >= 0) {
        const AVStream *from;
        int64_t at;

        if (!s->has_other) {
            code = av_read_frame(s->in.format, s->other);
            if (code == AVERROR_EOF)
                s->others_ended = true;
            if (code < 0)
                return code == AVERROR_EOF ? 0 : code;
            s->has_other = true;
        }
        from = s->in.format->streams[s->other->stream_index];
        at = s->other->dts != AV_NOPTS_VALUE ? s->other->dts : s->other->pts;
        if (from->disposition & AV_DISPOSITION_ATTACHED_PIC && at == AV_NOPTS_VALUE)
            s->other->pts = s->other->dts = at = 0;
        if ((unsigned)s->other->stream_index >= s->in.format->nb_streams ||
            s->places[s->other->stream_index] == s->track) {
            av_packet_unref(s->other);
        } else {
            if (at != AV_NOPTS_VALUE && (double)at * av_q2d(from->time_base) > seconds)
                return 0;
            code = put_packet(s, s->other, &from->time_base, s->places[s->other->stream_index]);
        }
        s->has_other = false;
    }
    return code;
}

static int encode(av_writer *s, AVFrame *frame)
{
    int code = avcodec_send_frame(s->encoder, frame);

    while (code >= 0) {
        code = avcodec_receive_packet(s->encoder, s->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return 0;
        if (code >= 0 &&
            (code = copy_others(s, (double)s->packet->dts / s->encoder->sample_rate)) >= 0)
            code = put_packet(s, s->packet, &s->encoder->time_base, s->track);
    }
    return code;
}

static int send_frame(av_writer *s)
{
    int code, size = s->frame->nb_samples;

    s->frame->nb_samples = s->n_in_frame;
    s->frame->pts = s->start + s->sent;
    s->sent += s->n_in_frame;
    s->n_in_frame = 0;
    code = encode(s, s->frame);
    s->frame->nb_samples = size;
    return code < 0 ? code : av_frame_make_writable(s->frame);
}

/* One sample as the coder takes it. */
static void store(enum AVSampleFormat type, ae_sample sample, const uint8_t *from, uint8_t *to)
{
    ae_sample as = type == AV_SAMPLE_FMT_U8    ? AE_S8
                   : type == AV_SAMPLE_FMT_S16 ? AE_S16
                   : type == AV_SAMPLE_FMT_S32 ? AE_S32
                   : type == AV_SAMPLE_FMT_DBL ? AE_F64
                                               : AE_F32;

    if (as == sample) {
        memcpy(to, from, ae_sample_bytes(as));
    } else if (as == AE_S32 && sample == AE_S24) {
        uint32_t v = (uint32_t)from[0] << 8 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 24;

        memcpy(to, &v, 4);
    } else {
        float v;

        ae_samples_to_f32(sample, from, &v, 1);
        ae_samples_from_f32(as, &v, to, 1);
    }
    if (as == AE_S8)
        *to ^= 0x80;
}

ae_status aei_av_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    av_writer *s = writer->state;
    const ae_signal_info *info = &writer->info;
    enum AVSampleFormat type = av_get_packed_sample_fmt(s->encoder->sample_fmt);
    bool planar = av_sample_fmt_is_planar(s->encoder->sample_fmt);
    size_t bytes = (size_t)av_get_bytes_per_sample(type),
           from_bytes = ae_sample_bytes(info->sample);
    uint32_t left_out = (uint32_t)s->drop < n_rows ? (uint32_t)s->drop : n_rows;
    const uint8_t *from = (const uint8_t *)rows + left_out * ae_row_bytes(info);

    s->drop -= (int)left_out;
    for (uint32_t i = left_out; i < n_rows; i++) {
        for (uint32_t c = 0; c < info->channels; c++, from += from_bytes)
            store(type, info->sample, from,
                  planar
                      ? s->frame->extended_data[c] + (size_t)s->n_in_frame * bytes
                      : s->frame->data[0] + ((size_t)s->n_in_frame * info->channels + c) * bytes);
        if (++s->n_in_frame == s->frame->nb_samples) {
            int code = send_frame(s);

            if (code < 0)
                return writer_failed(s, writer, code, err);
        }
    }
    return AE_OK;
}

ae_status aei_av_finish(ae_writer *writer, ae_error *err)
{
    av_writer *s = writer->state;
    static const uint8_t silence[AEI_AV_CHANNELS * sizeof(double)];
    int code;
    ae_status st = AE_OK;

    for (s->drop = 0; s->late > 0 && st == AE_OK; s->late--)
        st = aei_av_write(writer, silence, 1, err);
    if (st != AE_OK) {
        free_writer(s);
        writer->state = NULL;
        return st;
    }
    code = s->n_in_frame ? send_frame(s) : 0;

    if (code >= 0)
        code = encode(s, NULL);
    if (code >= 0)
        code = copy_others(s, INFINITY);
    if (code >= 0)
        code = av_write_trailer(s->format);
    avio_flush(s->io);
    if (code < 0 || s->status != AE_OK)
        st = writer_failed(s, writer, code, err);
    else
        st = aei_spool_finish(&s->spool, err);
    free_writer(s);
    writer->state = NULL;
    return st;
}

void aei_av_abandon(ae_writer *writer)
{
    free_writer(writer->state);
}
