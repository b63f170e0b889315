/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading the tracks of MP4, Matroska, ASF and their like: one of them is decoded, in its place in
 * time. */
#include <math.h>
#include <string.h>

#include "avsound.h"

#define MAX_GAP 60.0 /* seconds of silence that stand for what is missing between two frames */
#define LEAST_GAP 0.05

typedef struct av_reader {
    av_input in;
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
    /* frames that the container says there are, 0: none; what follows only fills the last packet */
    uint64_t most;
} av_reader;

static void free_reader(av_reader *s)
{
    if (!s)
        return;
    avcodec_free_context(&s->decoder);
    av_packet_free(&s->packet);
    av_frame_free(&s->frame);
    aei_av_input_close(&s->in);
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
    case AV_SAMPLE_FMT_U8: return AE_S8;
    case AV_SAMPLE_FMT_S16: return AE_S16;
    case AV_SAMPLE_FMT_S32:
        *packed24 = decoder->bits_per_raw_sample > 0 && decoder->bits_per_raw_sample <= 24;
        return *packed24 ? AE_S24 : AE_S32;
    case AV_SAMPLE_FMT_DBL: return AE_F64;
    default: return AE_F32;
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
        return aei_av_failed(codec, AVERROR(ENOMEM), err);
    if ((code = avcodec_parameters_to_context(s->decoder, stream->codecpar)) < 0)
        return aei_av_failed(codec, code, err);
    s->decoder->pkt_timebase = stream->time_base;
    s->decoder->thread_count = 1;
    return (code = avcodec_open2(s->decoder, decoder, NULL)) < 0 ? aei_av_failed(codec, code, err)
                                                                 : AE_OK;
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
            return aei_av_failed(codec, code, err);
        do {
            av_packet_unref(s->packet);
            code = av_read_frame(s->in.format, s->packet);
            if (code >= 0) {
                const AVStream *stream = s->in.format->streams[s->packet->stream_index];
                int64_t end = s->packet->pts == AV_NOPTS_VALUE
                                  ? 0
                                  : s->packet->pts + s->packet->duration;

                s->last_seconds = fmax(s->last_seconds, (double)end * av_q2d(stream->time_base));
            }
        } while (code >= 0 && s->packet->stream_index != s->track);
        if (code < 0 && code != AVERROR_EOF)
            return aei_av_failed(codec, code, err);
        if (code >= 0 && s->packet->flags & AV_PKT_FLAG_CORRUPT)
            return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated or damaged after %.1f s",
                           codec->description, (double)s->produced / s->decoder->sample_rate);
        code = avcodec_send_packet(s->decoder, code < 0 ? NULL : s->packet);
        if (code < 0 && code != AVERROR_EOF && code != AVERROR(EAGAIN))
            return aei_av_failed(codec, code, err);
    }
}

/* Where the frame lies in time: silence stands for a gap before it, so that sound and picture stay
 * together. */
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
    if (gap > LEAST_GAP && gap < MAX_GAP &&
        (double)(at - s->start) / s->decoder->sample_rate < s->promised + 1)
        s->silence = (uint64_t)(at - s->start) - s->produced;
}

/* As FLAC stores pictures: kind (3: of the front), type, no description, measures that decoders
 * find out, data. */
static ae_status add_cover(const AVStream *stream, ae_meta *meta, ae_error *err)
{
    const char *type = stream->codecpar->codec_id == AV_CODEC_ID_PNG     ? "image/png"
                       : stream->codecpar->codec_id == AV_CODEC_ID_MJPEG ? "image/jpeg"
                                                                         : NULL;
    size_t n = stream->attached_pic.size > 0 ? (size_t)stream->attached_pic.size : 0,
           n_type = type ? strlen(type) : 0;
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
    static const char *const names[][2] = {
        {"track", "TRACKNUMBER"},  {"disc", "DISCNUMBER"}, {"album_artist", "ALBUMARTIST"},
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
    /* What else there is is named, so that writers of other formats can say that they leave it out.
     */
    for (unsigned i = 0; i < f->nb_streams && st == AE_OK; i++) {
        const AVCodecParameters *p = f->streams[i]->codecpar;
        const char *kind = av_get_media_type_string(p->codec_type);
        char text[80];

        if ((int)i == track || f->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC)
            continue;
        snprintf(text, sizeof(text), "AV %s %s", kind ? kind : "stream",
                 avcodec_get_name(p->codec_id));
        st = ae_meta_add(meta, AE_META_CHUNK, text, "", 0, err);
    }
    return st;
}

ae_status aei_av_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    av_reader *s = ae_alloc(1, sizeof(*s));
    const AVStream *stream;
    av_class class;
    ae_status st;

    (void)limits;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
    s->start = INT64_MIN;
    if ((st = aei_av_input_open(&s->in, source, reader->codec, err)) != AE_OK ||
        (st = choose_track(s, reader, err)) != AE_OK ||
        (st = open_decoder(s, reader->codec, err)) != AE_OK ||
        (st = decode(s, reader->codec, err)) != AE_OK)
        goto failed;
    if (s->decoder->ch_layout.nb_channels < 1 ||
        s->decoder->ch_layout.nb_channels > AEI_AV_CHANNELS || s->decoder->sample_rate < 1) {
        st = ae_fail(err, AE_ERR_MALFORMED, "%s: impossible: %d channels at %d Hz",
                     reader->codec->description, s->decoder->ch_layout.nb_channels,
                     s->decoder->sample_rate);
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
        reader->info.height = (uint64_t)fmax(
            (double)stream->duration * av_q2d(stream->time_base) * reader->info.rate, 0);
    else if (s->in.format->duration > 0)
        reader->info.height = (uint64_t)((double)s->in.format->duration / AV_TIME_BASE *
                                         reader->info.rate);
    if (stream->duration > 0 && strstr(s->in.format->iformat->name, "mp4"))
        s->most = reader->info.height;
    if (stream->codecpar->bit_rate > 0)
        snprintf(reader->quality, sizeof(reader->quality), "%g kbit/s",
                 (double)stream->codecpar->bit_rate * 1e-3);
    s->promised = s->in.format->duration > 0 ? (double)s->in.format->duration / AV_TIME_BASE
                                             : INFINITY;
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

static void give(const av_reader *s, const ae_signal_info *info, uint8_t *to, int n)
{
    bool planar = av_sample_fmt_is_planar((enum AVSampleFormat)s->frame->format);
    size_t from_bytes = (size_t)av_get_bytes_per_sample((enum AVSampleFormat)s->frame->format),
           bytes = ae_sample_bytes(info->sample);

    for (int i = s->used; i < s->used + n; i++)
        for (uint32_t c = 0; c < info->channels; c++, to += bytes) {
            const uint8_t *from = planar ? s->frame->extended_data[c] + (size_t)i * from_bytes
                                         : s->frame->data[0] +
                                               ((size_t)i * info->channels + c) * from_bytes;

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
    if (promised < INFINITY &&
        s->in.format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE &&
        promised - s->last_seconds > 1 + 0.02 * promised)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "%s: truncated: the header claims %.1f s, %.1f s are there",
                       codec->description, promised, s->last_seconds);
    return AE_OK;
}

ae_status aei_av_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                           ae_error *err)
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
            if (s->frame->ch_layout.nb_channels != (int)reader->info.channels ||
                s->frame->sample_rate != s->decoder->sample_rate ||
                s->frame->format != s->decoder->sample_fmt ||
                reader->info.rate != s->frame->sample_rate)
                return ae_fail(err, AE_ERR_UNSUPPORTED,
                               "%s: the sound changes its kind after %.1f s",
                               reader->codec->description, (double)s->produced / reader->info.rate);
            give(s, &reader->info, to, n);
            s->used += n;
        } else {
            if ((st = decode(s, reader->codec, err)) != AE_OK ||
                (s->ended && (st = check_end(s, reader->codec, err)) != AE_OK))
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
