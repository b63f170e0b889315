/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds that libsndfile does not know, through libavformat and libavcodec: the tracks of MP4, Matroska, ASF and their like. A file
 * made from one of the same container keeps all that is not the track: video, subtitles, other sounds, covers, chapters and tags
 * are copied as they stand. They are not held meanwhile: the writer reads the input once more, in step with the sound that it is
 * given. */
#include <math.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#include "soundfile.h"

enum { IO_BYTES = 1 << 15, MAX_CHANNELS = 1024, SPEECH_KBPS = 128 };
#define MAX_GAP 60.0 /* seconds of silence that stand for what is missing between two frames */
#define LEAST_GAP 0.05

/* What is behind an AVIOContext: each has its own place in the source. */
typedef struct input {
    ae_source *source;
    uint64_t at;
    AVFormatContext *format;
} input;

/* What a writer takes over: the coder of one stream among others. */
typedef struct av_class {
    uint32_t n_streams, track;
    enum AVCodecID id;
    int64_t start; /* of the first sample, in frames */
} av_class;

typedef struct av_reader {
    input in;
    int track; /* index of the stream */
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    int used;         /* samples of the frame that have been given */
    uint64_t silence; /* frames to come before the next */
    uint64_t produced;
    int64_t start;                 /* of the first sample, in frames; INT64_MIN: not yet known */
    double last_seconds, promised; /* where packets end; the length that the container states */
    bool ended;
    bool packed24; /* three bytes of four */
    uint64_t most; /* frames that the container says there are, 0: none; what follows only fills the last packet */
} av_reader;

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
    int late;              /* frames by which the coder is late where the container cannot say so: */
    int drop;              /* as many are left out at the beginning, so that the rest stays in its place */
    int64_t start;
    /* copying from the input */
    input in;
    AVPacket *other;
    bool has_other, others_ended;
    int *places; /* of the input's streams in the output, -1: none */
} av_writer;

typedef struct av_container {
    const char *muxer;
    enum AVCodecID usual; /* coder of sound where there is nothing to follow */
} av_container;

static const av_container *container_of_codec(const ae_codec *codec);

/* ---- files ---- */

static int input_read(void *opaque, uint8_t *to, int n)
{
    input *in = opaque;
    size_t got = ae_source_seek(in->source, in->at) ? ae_source_read(in->source, to, (size_t)n) : 0;

    in->at += got;
    return got ? (int)got : AVERROR_EOF;
}

static int64_t input_seek(void *opaque, int64_t offset, int whence)
{
    input *in = opaque;
    int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)in->at : (int64_t)ae_source_size(in->source);

    if (whence & AVSEEK_SIZE)
        return (int64_t)ae_source_size(in->source);
    whence &= ~AVSEEK_FORCE;
    if (offset > INT64_MAX - base || base + offset < 0 || (uint64_t)(base + offset) > ae_source_size(in->source))
        return -1;
    return (int64_t)(in->at = (uint64_t)(base + offset));
}

/* What a file names elsewhere is not opened. */
static int refuse_open(AVFormatContext *format, AVIOContext **io, const char *url, int flags, AVDictionary **options)
{
    (void)format;
    (void)io;
    (void)url;
    (void)flags;
    (void)options;
    return AVERROR(EPERM);
}

static void input_close(input *in)
{
    AVIOContext *io = in->format ? in->format->pb : NULL;

    avformat_close_input(&in->format);
    if (io) {
        av_freep(&io->buffer);
        avio_context_free(&io);
    }
}

static ae_status av_failed(const ae_codec *codec, int code, ae_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE];

    if (code == AVERROR(ENOMEM))
        return ae_fail(err, AE_ERR_NOMEM, "%s", codec->description);
    av_strerror(code, text, sizeof(text));
    return ae_fail(err, code == AVERROR_PATCHWELCOME || code == AVERROR_DECODER_NOT_FOUND ? AE_ERR_UNSUPPORTED : AE_ERR_MALFORMED,
                   "%s: %s", codec->description, text);
}

static ae_status input_open(input *in, ae_source *source, const ae_codec *codec, ae_error *err)
{
    uint8_t *buffer = av_malloc(IO_BYTES);
    AVDictionary *options = NULL;
    AVIOContext *io;
    int code;

    *in = (input){.source = source};
    av_log_set_level(AV_LOG_QUIET);
    io = buffer ? avio_alloc_context(buffer, IO_BYTES, 0, in, input_read, NULL, input_seek) : NULL;
    in->format = io ? avformat_alloc_context() : NULL;
    if (!in->format ||
        av_dict_set(&options, "format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,aac,mp3,avi,mpegts", 0) < 0) {
        avformat_free_context(in->format);
        in->format = NULL;
        if (io)
            av_freep(&io->buffer);
        else
            av_free(buffer);
        avio_context_free(&io);
        return av_failed(codec, AVERROR(ENOMEM), err);
    }
    in->format->pb = io;
    in->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    in->format->io_open = refuse_open;
    code = avformat_open_input(&in->format, NULL, NULL, &options);
    av_dict_free(&options);
    if (code < 0) { /* the context is gone, its input is not */
        av_freep(&io->buffer);
        avio_context_free(&io);
        return av_failed(codec, code, err);
    }
    if ((code = avformat_find_stream_info(in->format, NULL)) < 0) {
        input_close(in);
        return av_failed(codec, code, err);
    }
    return AE_OK;
}

/* ---- reading ---- */

static void free_reader(av_reader *s)
{
    if (!s)
        return;
    avcodec_free_context(&s->decoder);
    av_packet_free(&s->packet);
    av_frame_free(&s->frame);
    input_close(&s->in);
    ae_free(s);
}

/* The track-th sound from 1 on; 0: the first. */
static ae_status choose_track(av_reader *s, ae_reader *reader, ae_error *err)
{
    const AVFormatContext *f = s->in.format;
    uint32_t n = 0, wanted = reader->track ? reader->track : 1;
    char text[80];

    s->track = -1;
    for (unsigned i = 0; i < f->nb_streams; i++)
        if (f->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO && ++n == wanted)
            s->track = (int)i;
    if (!n)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s without a sound", reader->codec->description);
    if (s->track < 0)
        return ae_fail(err, AE_ERR_ARGUMENT, "there is no track %u: %u sounds", wanted, n);
    if (n > 1 && !reader->track) {
        snprintf(text, sizeof(text), "the first of %u sounds (--track N takes another)", n);
        aei_note(reader->note, text);
    }
    return AE_OK;
}

static ae_sample sample_of(const AVCodecContext *decoder, bool *packed24)
{
    *packed24 = false;
    switch (av_get_packed_sample_fmt(decoder->sample_fmt)) {
    case AV_SAMPLE_FMT_U8:
        return AE_S8;
    case AV_SAMPLE_FMT_S16:
        return AE_S16;
    case AV_SAMPLE_FMT_S32:
        *packed24 = decoder->bits_per_raw_sample > 0 && decoder->bits_per_raw_sample <= 24;
        return *packed24 ? AE_S24 : AE_S32;
    case AV_SAMPLE_FMT_DBL:
        return AE_F64;
    default:
        return AE_F32;
    }
}

static ae_status open_decoder(av_reader *s, const ae_codec *codec, ae_error *err)
{
    AVStream *stream = s->in.format->streams[s->track];
    const AVCodec *decoder = avcodec_find_decoder(stream->codecpar->codec_id);
    int code;

    if (!decoder)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s: no decoder for %s", codec->description,
                       avcodec_get_name(stream->codecpar->codec_id));
    s->decoder = avcodec_alloc_context3(decoder);
    s->packet = av_packet_alloc();
    s->frame = av_frame_alloc();
    if (!s->decoder || !s->packet || !s->frame)
        return av_failed(codec, AVERROR(ENOMEM), err);
    if ((code = avcodec_parameters_to_context(s->decoder, stream->codecpar)) < 0)
        return av_failed(codec, code, err);
    s->decoder->pkt_timebase = stream->time_base;
    s->decoder->thread_count = 1;
    return (code = avcodec_open2(s->decoder, decoder, NULL)) < 0 ? av_failed(codec, code, err) : AE_OK;
}

/* The next frame into s->frame; *ended at the end. */
static ae_status decode(av_reader *s, const ae_codec *codec, ae_error *err)
{
    for (;;) {
        int code = avcodec_receive_frame(s->decoder, s->frame);

        if (code >= 0) {
            s->used = 0;
            return AE_OK;
        }
        if (code == AVERROR_EOF) {
            s->ended = true;
            return AE_OK;
        }
        if (code != AVERROR(EAGAIN))
            return av_failed(codec, code, err);
        do {
            av_packet_unref(s->packet);
            code = av_read_frame(s->in.format, s->packet);
            if (code >= 0) {
                const AVStream *stream = s->in.format->streams[s->packet->stream_index];
                int64_t end = s->packet->pts == AV_NOPTS_VALUE ? 0 : s->packet->pts + s->packet->duration;

                s->last_seconds = fmax(s->last_seconds, (double)end * av_q2d(stream->time_base));
            }
        } while (code >= 0 && s->packet->stream_index != s->track);
        if (code < 0 && code != AVERROR_EOF)
            return av_failed(codec, code, err);
        if (code >= 0 && s->packet->flags & AV_PKT_FLAG_CORRUPT)
            return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated or damaged after %.1f s", codec->description,
                           (double)s->produced / s->decoder->sample_rate);
        code = avcodec_send_packet(s->decoder, code < 0 ? NULL : s->packet);
        if (code < 0 && code != AVERROR_EOF && code != AVERROR(EAGAIN))
            return av_failed(codec, code, err);
    }
}

/* Where the frame lies in time: silence stands for a gap before it, so that sound and picture stay together. */
static void find_gap(av_reader *s)
{
    const AVStream *stream = s->in.format->streams[s->track];
    int64_t at = s->frame->best_effort_timestamp;
    double gap;

    if (at == AV_NOPTS_VALUE)
        return;
    at = av_rescale_q(at, stream->time_base, (AVRational){1, s->decoder->sample_rate});
    if (s->start == INT64_MIN)
        s->start = at;
    gap = (double)(at - s->start - (int64_t)s->produced) / s->decoder->sample_rate;
    if (gap > LEAST_GAP && gap < MAX_GAP && (double)(at - s->start) / s->decoder->sample_rate < s->promised + 1)
        s->silence = (uint64_t)(at - s->start) - s->produced;
}

/* As FLAC stores pictures: kind (3: of the front), type, no description, measures that decoders find out, data. */
static ae_status add_cover(const AVStream *stream, ae_meta *meta, ae_error *err)
{
    const char *type = stream->codecpar->codec_id == AV_CODEC_ID_PNG     ? "image/png"
                       : stream->codecpar->codec_id == AV_CODEC_ID_MJPEG ? "image/jpeg"
                                                                         : NULL;
    size_t n = stream->attached_pic.size > 0 ? (size_t)stream->attached_pic.size : 0, n_type = type ? strlen(type) : 0;
    uint8_t *block;
    ae_status st;

    if (!type || !n)
        return AE_OK;
    if (!(block = ae_alloc(32 + n_type + n, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a cover of %zu bytes", n);
    block[3] = 3;
    block[7] = (uint8_t)n_type;
    memcpy(block + 8, type, n_type);
    for (int i = 0; i < 4; i++)
        block[28 + n_type + (size_t)i] = (uint8_t)(n >> 8 * (3 - i));
    memcpy(block + 32 + n_type, stream->attached_pic.data, n);
    st = ae_meta_add(meta, AE_META_COVER, NULL, block, 32 + n_type + n, err);
    ae_free(block);
    return st;
}

static ae_status read_tags(const AVFormatContext *f, int track, ae_meta *meta, ae_error *err)
{
    static const char *const names[][2] = {{"track", "TRACKNUMBER"},  {"disc", "DISCNUMBER"}, {"album_artist", "ALBUMARTIST"},
                                           {"encoder", ""},           {"major_brand", ""},    {"minor_version", ""},
                                           {"compatible_brands", ""}, {"creation_time", ""},  {"handler_name", ""},
                                           {"vendor_id", ""}};
    const AVDictionaryEntry *e = NULL;
    ae_status st = AE_OK;

    while (st == AE_OK && (e = av_dict_get(f->metadata, "", e, AV_DICT_IGNORE_SUFFIX)) != NULL) {
        char name[64];
        size_t n = strlen(e->key);
        bool skip = n >= sizeof(name);

        snprintf(name, sizeof(name), "%s", e->key);
        for (char *c = name; *c; c++)
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (strcmp(e->key, names[i][0]) == 0) {
                snprintf(name, sizeof(name), "%s", names[i][1]);
                skip = !*name;
            }
        if (!skip)
            st = aei_add_tag(meta, name, e->value, strlen(e->value), err);
    }
    for (unsigned i = 0; i < f->nb_streams && st == AE_OK; i++)
        if (f->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC)
            st = add_cover(f->streams[i], meta, err);
    /* What else there is is named, so that writers of other formats can say that they leave it out. */
    for (unsigned i = 0; i < f->nb_streams && st == AE_OK; i++) {
        const AVCodecParameters *p = f->streams[i]->codecpar;
        const char *kind = av_get_media_type_string(p->codec_type);
        char text[80];

        if ((int)i == track || f->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC)
            continue;
        snprintf(text, sizeof(text), "AV %s %s", kind ? kind : "stream", avcodec_get_name(p->codec_id));
        st = ae_meta_add(meta, AE_META_CHUNK, text, "", 0, err);
    }
    return st;
}

static ae_status av_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    av_reader *s = ae_alloc(1, sizeof(*s));
    const AVStream *stream;
    av_class class;
    ae_status st;

    (void)limits;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
    s->start = INT64_MIN;
    if ((st = input_open(&s->in, source, reader->codec, err)) != AE_OK || (st = choose_track(s, reader, err)) != AE_OK ||
        (st = open_decoder(s, reader->codec, err)) != AE_OK || (st = decode(s, reader->codec, err)) != AE_OK)
        goto failed;
    if (s->decoder->ch_layout.nb_channels < 1 || s->decoder->ch_layout.nb_channels > MAX_CHANNELS || s->decoder->sample_rate < 1) {
        st = ae_fail(err, AE_ERR_MALFORMED, "%s: impossible: %d channels at %d Hz", reader->codec->description,
                     s->decoder->ch_layout.nb_channels, s->decoder->sample_rate);
        goto failed;
    }
    stream = s->in.format->streams[s->track];
    reader->info = (ae_signal_info){.kind = AE_KIND_AUDIO,
                                    .sample = sample_of(s->decoder, &s->packed24),
                                    .channels = (uint32_t)s->decoder->ch_layout.nb_channels,
                                    .width = 1,
                                    .rate = s->decoder->sample_rate};
    reader->info.bits = 8 * (uint32_t)ae_sample_bytes(reader->info.sample);
    if (s->decoder->ch_layout.order == AV_CHANNEL_ORDER_NATIVE)
        reader->info.layout = s->decoder->ch_layout.u.mask;
    if (stream->duration > 0)
        reader->info.height = (uint64_t)fmax((double)stream->duration * av_q2d(stream->time_base) * reader->info.rate, 0);
    else if (s->in.format->duration > 0)
        reader->info.height = (uint64_t)((double)s->in.format->duration / AV_TIME_BASE * reader->info.rate);
    if (stream->duration > 0 && strstr(s->in.format->iformat->name, "mp4"))
        s->most = reader->info.height;
    if (stream->codecpar->bit_rate > 0)
        snprintf(reader->quality, sizeof(reader->quality), "%g kbit/s", (double)stream->codecpar->bit_rate * 1e-3);
    s->promised = s->in.format->duration > 0 ? (double)s->in.format->duration / AV_TIME_BASE : INFINITY;
    if (!s->ended)
        find_gap(s);
    class = (av_class){s->in.format->nb_streams, (uint32_t)s->track, stream->codecpar->codec_id,
                       s->start == INT64_MIN ? 0 : s->start};
    if ((st = read_tags(s->in.format, s->track, &reader->meta, err)) != AE_OK ||
        (st = aei_keep(reader, &class, sizeof(class), err)) != AE_OK)
        goto failed;
    reader->state = s;
    return AE_OK;
failed:
    free_reader(s);
    return st;
}

/* MP3 is written by libsndfile, whose decoder speaks its mind on stderr about files that are damaged. */
ae_status aei_mp3_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    sound_layout layout = {0};
    ae_status st = aei_sound_meta(source, SOUND_MPEG, limits, &reader->meta, &layout, reader->note, err);

    return st == AE_OK ? av_open(source, limits, reader, err) : st;
}

static void give(const av_reader *s, const ae_signal_info *info, uint8_t *to, int n)
{
    bool planar = av_sample_fmt_is_planar((enum AVSampleFormat)s->frame->format);
    size_t from_bytes = (size_t)av_get_bytes_per_sample((enum AVSampleFormat)s->frame->format),
           bytes = ae_sample_bytes(info->sample);

    for (int i = s->used; i < s->used + n; i++)
        for (uint32_t c = 0; c < info->channels; c++, to += bytes) {
            const uint8_t *from = planar ? s->frame->extended_data[c] + (size_t)i * from_bytes
                                         : s->frame->data[0] + ((size_t)i * info->channels + c) * from_bytes;

            if (s->packed24) { /* in the upper three bytes of this machine's integer */
                uint32_t v;

                memcpy(&v, from, 4);
                for (int k = 0; k < 3; k++)
                    to[k] = (uint8_t)(v >> 8 * (k + 1));
            } else {
                memcpy(to, from, bytes);
                if (info->sample == AE_S8)
                    *to ^= 0x80;
            }
        }
}

/* The container says how long it is; a second less than that is not the rounding of a table. */
static ae_status check_end(const av_reader *s, const ae_codec *codec, ae_error *err)
{
    double promised = s->promised;

    if (s->in.format->start_time > 0 && s->in.format->start_time != AV_NOPTS_VALUE)
        promised += (double)s->in.format->start_time / AV_TIME_BASE;
    if (promised < INFINITY && s->in.format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE &&
        promised - s->last_seconds > 1 + 0.02 * promised)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated: the header claims %.1f s, %.1f s are there", codec->description,
                       promised, s->last_seconds);
    return AE_OK;
}

ae_status aei_av_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows, ae_error *err)
{
    av_reader *s = reader->state;
    size_t row = ae_row_bytes(&reader->info);
    uint8_t *to = rows;
    ae_status st;

    *n_rows = 0;
    while (*n_rows < capacity && !s->ended) {
        uint32_t room = capacity - *n_rows;
        int n;

        if (s->silence) {
            n = s->silence < room ? (int)s->silence : (int)room;
            memset(to, 0, (size_t)n * row);
            s->silence -= (uint64_t)n;
        } else if (s->used < s->frame->nb_samples) {
            n = s->frame->nb_samples - s->used;
            n = (uint32_t)n < room ? n : (int)room;
            if (s->most && s->produced >= s->most && s->produced < s->most + 8192) {
                s->used = s->frame->nb_samples;
                continue;
            }
            if (s->most && s->produced < s->most && s->produced + (uint64_t)n > s->most)
                n = (int)(s->most - s->produced);
            if (s->frame->ch_layout.nb_channels != (int)reader->info.channels || s->frame->sample_rate != s->decoder->sample_rate ||
                s->frame->format != s->decoder->sample_fmt || reader->info.rate != s->frame->sample_rate)
                return ae_fail(err, AE_ERR_UNSUPPORTED, "%s: the sound changes its kind after %.1f s", reader->codec->description,
                               (double)s->produced / reader->info.rate);
            give(s, &reader->info, to, n);
            s->used += n;
        } else {
            if ((st = decode(s, reader->codec, err)) != AE_OK || (s->ended && (st = check_end(s, reader->codec, err)) != AE_OK))
                return st;
            if (!s->ended && !(s->most && s->produced >= s->most))
                find_gap(s);
            continue;
        }
        to += (size_t)n * row;
        *n_rows += (uint32_t)n;
        s->produced += (uint64_t)n;
    }
    return AE_OK;
}

void aei_av_close(ae_reader *reader)
{
    free_reader(reader->state);
}

/* ---- writing ---- */

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
    input_close(&s->in);
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
    return ae_fail(err, code == AVERROR(ENOMEM) ? AE_ERR_NOMEM : AE_ERR_UNSUPPORTED, "%s: %s", writer->codec->description, text);
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

static AVCodecContext *make_context(const av_writer *s, const AVCodec *encoder, const ae_signal_info *info)
{
    AVCodecContext *c = avcodec_alloc_context3(encoder);

    if (!c)
        return NULL;
    c->sample_rate = (int)info->rate;
    c->time_base = (AVRational){1, (int)info->rate};
    c->sample_fmt = choose_samples(encoder, info->sample);
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_BITEXACT | (s->format->oformat->flags & AVFMT_GLOBALHEADER ? AV_CODEC_FLAG_GLOBAL_HEADER : 0);
    if (info->sample == AE_S24)
        c->bits_per_raw_sample = 24;
    if (!info->layout || av_channel_layout_from_mask(&c->ch_layout, info->layout) < 0 ||
        c->ch_layout.nb_channels != (int)info->channels)
        av_channel_layout_default(&c->ch_layout, (int)info->channels);
    return c;
}

static ae_status open_encoder(av_writer *s, const ae_writer *writer, const av_class *like, const ae_write_options *options,
                              ae_error *err)
{
    const ae_signal_info *info = &writer->info;
    const AVCodec *encoder = find_encoder(container_of_codec(writer->codec), like);
    double kbps = 0;
    int code;

    if (!encoder)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s: no coder of sound for it", writer->codec->description);
    if (!options->quality && like && options->like->quality[0])
        (void)sscanf(options->like->quality, "%lf", &kbps);
    if (!(kbps > 0))
        kbps = options->quality ? 16 * pow(2, options->quality / 25.0) * info->channels : SPEECH_KBPS * info->channels;
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
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s (%s) cannot hold %u channels at %g Hz (--format names another)",
                       writer->codec->description, encoder->name, info->channels, info->rate);
    return AE_OK;
}

static ae_status open_frame(av_writer *s, const ae_writer *writer, ae_error *err)
{
    int size = s->encoder->frame_size > 0 && !(s->encoder->codec->capabilities & AV_CODEC_CAP_VARIABLE_FRAME_SIZE)
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
    else if (format->codec_tag && av_codec_get_id(format->codec_tag, from->codecpar->codec_tag) != from->codecpar->codec_id)
        to->codecpar->codec_tag = 0;
    to->time_base = from->time_base;
    to->sample_aspect_ratio = from->sample_aspect_ratio;
    to->avg_frame_rate = from->avg_frame_rate;
    to->r_frame_rate = from->r_frame_rate;
    for (int i = 0; i < from->nb_side_data && code >= 0; i++) {
        uint8_t *data = av_stream_new_side_data(to, from->side_data[i].type, from->side_data[i].size);

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

static void av_accepts(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

static ae_status begin(av_writer *s, ae_writer *writer, const ae_meta *meta, const ae_write_options *options, const av_class *like,
                       ae_error *err)
{
    uint8_t *buffer = av_malloc(IO_BYTES);
    ae_status st;
    int code;

    s->io = buffer ? avio_alloc_context(buffer, IO_BYTES, 1, s, NULL, sink_write, sink_seek) : NULL;
    if (!s->io) {
        av_free(buffer);
        return writer_failed(s, writer, AVERROR(ENOMEM), err);
    }
    if ((code = avformat_alloc_output_context2(&s->format, NULL, container_of_codec(writer->codec)->muxer, NULL)) < 0)
        return writer_failed(s, writer, code, err);
    s->format->pb = s->io;
    s->format->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    if (like) {
        if ((st = input_open(&s->in, options->like->source, writer->codec, err)) != AE_OK)
            return st;
        if (s->in.format->nb_streams != like->n_streams || like->track >= like->n_streams)
            return ae_fail(err, AE_ERR_MALFORMED, "%s: another number of streams at the second reading",
                           writer->codec->description);
        if (!(s->places = ae_alloc(s->in.format->nb_streams, sizeof(*s->places))))
            return writer_failed(s, writer, AVERROR(ENOMEM), err);
        s->start = like->start;
    }
    if ((st = open_encoder(s, writer, like, options, err)) != AE_OK || (st = open_frame(s, writer, err)) != AE_OK)
        return st;
    if ((code = add_streams(s, like)) >= 0 && !like)
        for (size_t i = 0; i < meta->n_items && code >= 0; i++)
            if (meta->items[i].kind == AE_META_TAG)
                code =
                    av_dict_set(&s->format->metadata, strcmp(meta->items[i].key, "TRACKNUMBER") == 0 ? "track" : meta->items[i].key,
                                (const char *)meta->items[i].value, 0);
    /* The usual thousandths of a second would cut the sound short or fill it up. */
    if (code >= 0 && av_opt_find(s->format->priv_data, "movie_timescale", NULL, 0, 0))
        code = av_opt_set_int(s->format->priv_data, "movie_timescale", (int64_t)writer->info.rate, 0);
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

static ae_status av_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta, const ae_write_options *options,
                           ae_writer *writer, ae_error *err)
{
    const ae_reader *from = options->like;
    bool same = from && from->codec && from->codec->read_some == aei_av_read_some &&
                container_of_codec(from->codec) == container_of_codec(writer->codec);
    av_writer *s;
    ae_status st;

    if (info->rate != floor(info->rate) || info->rate > INT32_MAX)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s cannot hold a rate of %g Hz", writer->codec->description, info->rate);
    if (!(s = ae_alloc(1, sizeof(*s))))
        return ae_fail(err, AE_ERR_NOMEM, "%s encoder", writer->codec->description);
    av_log_set_level(AV_LOG_QUIET);
    if ((st = aei_spool_open(&s->spool, sink, true, err)) == AE_OK)
        st = begin(s, writer, meta, options, same ? aei_kept(from, from->codec, sizeof(av_class)) : NULL, err);
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
        if ((unsigned)s->other->stream_index >= s->in.format->nb_streams || s->places[s->other->stream_index] == s->track) {
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
        if (code >= 0 && (code = copy_others(s, (double)s->packet->dts / s->encoder->sample_rate)) >= 0)
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

static ae_status av_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    av_writer *s = writer->state;
    const ae_signal_info *info = &writer->info;
    enum AVSampleFormat type = av_get_packed_sample_fmt(s->encoder->sample_fmt);
    bool planar = av_sample_fmt_is_planar(s->encoder->sample_fmt);
    size_t bytes = (size_t)av_get_bytes_per_sample(type), from_bytes = ae_sample_bytes(info->sample);
    uint32_t left_out = (uint32_t)s->drop < n_rows ? (uint32_t)s->drop : n_rows;
    const uint8_t *from = (const uint8_t *)rows + left_out * ae_row_bytes(info);

    s->drop -= (int)left_out;
    for (uint32_t i = left_out; i < n_rows; i++) {
        for (uint32_t c = 0; c < info->channels; c++, from += from_bytes)
            store(type, info->sample, from,
                  planar ? s->frame->extended_data[c] + (size_t)s->n_in_frame * bytes
                         : s->frame->data[0] + ((size_t)s->n_in_frame * info->channels + c) * bytes);
        if (++s->n_in_frame == s->frame->nb_samples) {
            int code = send_frame(s);

            if (code < 0)
                return writer_failed(s, writer, code, err);
        }
    }
    return AE_OK;
}

static ae_status av_finish(ae_writer *writer, ae_error *err)
{
    av_writer *s = writer->state;
    static const uint8_t silence[MAX_CHANNELS * sizeof(double)];
    int code;
    ae_status st = AE_OK;

    for (s->drop = 0; s->late > 0 && st == AE_OK; s->late--)
        st = av_write(writer, silence, 1, err);
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

static void av_abandon(ae_writer *writer)
{
    free_writer(writer->state);
}

/* ---- the formats ---- */

static bool has(const uint8_t *head, size_t n, size_t at, const char *text)
{
    size_t length = strlen(text);

    return at + length <= n && memcmp(head + at, text, length) == 0;
}

static int mp4_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 4, "ftyp") ? has(h, n, 8, "qt  ") || has(h, n, 8, "M4A ") || has(h, n, 8, "M4B ") ? 40 : 50
           : has(h, n, 4, "moov") || has(h, n, 4, "mdat") || has(h, n, 4, "wide") ? 30
                                                                                  : 0;
}

static int m4a_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 4, "ftypM4A ") || has(h, n, 4, "ftypM4B ") ? 60 : 0;
}

static int mov_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 4, "ftypqt  ") ? 60 : 0;
}

static int mkv_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, "\x1a\x45\xdf\xa3") ? 70 : 0;
}

static int webm_probe(const uint8_t *h, size_t n)
{
    for (size_t i = 4; mkv_probe(h, n) && i < 60; i++)
        if (has(h, n, i, "webm"))
            return 80;
    return 0;
}

static int wma_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11") ? 100 : 0;
}

static int avi_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, "RIFF") && has(h, n, 8, "AVI ") ? 100 : 0;
}

/* MPEG-4 AAC in ADTS: a head and another where the first frame ends. */
static int aac_probe(const uint8_t *h, size_t n)
{
    size_t at = 0;

    for (int frames = 0; frames < 2; frames++) {
        if (at + 6 > n || h[at] != 0xff || (h[at + 1] & 0xf6) != 0xf0)
            return 0;
        at += (size_t)(h[at + 3] & 3) << 11 | (size_t)h[at + 4] << 3 | h[at + 5] >> 5;
    }
    return 55;
}

static int ts_probe(const uint8_t *h, size_t n)
{
    return n >= 4 * 188 && h[0] == 0x47 && h[188] == 0x47 && h[376] == 0x47 && h[564] == 0x47 ? 60 : 0;
}

#define AV_CODEC(symbol, text, muxer_, usual_, ...)                                                                                \
    static const char *const symbol##_suffixes[] = {__VA_ARGS__, NULL};                                                            \
    static const av_container symbol##_container = {muxer_, usual_};                                                               \
    const ae_codec aei_codec_##symbol = {.name = #symbol,                                                                          \
                                         .description = text,                                                                      \
                                         .suffixes = symbol##_suffixes,                                                            \
                                         .kind = AE_KIND_AUDIO,                                                                    \
                                         .probe = symbol##_probe,                                                                  \
                                         .open = av_open,                                                                          \
                                         .read_some = aei_av_read_some,                                                            \
                                         .close = aei_av_close,                                                                    \
                                         .accepts = av_accepts,                                                                    \
                                         .create = av_create,                                                                      \
                                         .write = av_write,                                                                        \
                                         .finish = av_finish,                                                                      \
                                         .abandon = av_abandon};

AV_CODEC(m4a, "MPEG-4 sound", "ipod", AV_CODEC_ID_AAC, "m4a", "m4b")
AV_CODEC(mp4, "MP4", "mp4", AV_CODEC_ID_AAC, "mp4", "m4v")
AV_CODEC(mov, "QuickTime", "mov", AV_CODEC_ID_AAC, "mov", "qt")
AV_CODEC(mkv, "Matroska", "matroska", AV_CODEC_ID_OPUS, "mkv", "mka")
AV_CODEC(webm, "WebM", "webm", AV_CODEC_ID_OPUS, "webm")
AV_CODEC(wma, "Windows Media", "asf", AV_CODEC_ID_WMAV2, "wma", "wmv", "asf")
AV_CODEC(avi, "AVI", "avi", AV_CODEC_ID_MP3, "avi")
AV_CODEC(aac, "AAC", "adts", AV_CODEC_ID_AAC, "aac")
AV_CODEC(ts, "MPEG transport stream", "mpegts", AV_CODEC_ID_AAC, "ts", "m2ts")

static const av_container *container_of_codec(const ae_codec *codec)
{
    static const struct {
        const ae_codec *codec;
        const av_container *container;
    } all[] = {{&aei_codec_m4a, &m4a_container}, {&aei_codec_mp4, &mp4_container},   {&aei_codec_mov, &mov_container},
               {&aei_codec_mkv, &mkv_container}, {&aei_codec_webm, &webm_container}, {&aei_codec_wma, &wma_container},
               {&aei_codec_avi, &avi_container}, {&aei_codec_aac, &aac_container},   {&aei_codec_ts, &ts_container}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].codec == codec)
            return all[i].container;
    return NULL;
}
