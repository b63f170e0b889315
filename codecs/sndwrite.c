/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writes sounds through libsndfile: samples as they come, in the class of samples of the file they
 * were read from where the format is the same, else in the one that holds them. What libsndfile
 * writes passes a sink that puts tags and chunks where they belong (soundsink.c). */
#include <math.h>
#include <string.h>

#include "sndcodec.h"

typedef struct sound_writer {
    sound_sink sink;
    SNDFILE *file;
    const uint8_t *order;
    union {
        int32_t i[AEI_SOUND_BLOCK];
        int16_t s[AEI_SOUND_BLOCK];
        float f[AEI_SOUND_BLOCK];
    } block;
} sound_writer;

static sf_count_t sink_length(void *sink)
{
    return (sf_count_t)((sound_sink *)sink)->end;
}

static sf_count_t sink_seek(sf_count_t offset, int whence, void *sink)
{
    sound_sink *s = sink;

    s->at = (uint64_t)((sf_count_t)(whence == SEEK_SET   ? 0
                                    : whence == SEEK_CUR ? s->at
                                                         : s->end) +
                       offset);
    return (sf_count_t)s->at;
}

static sf_count_t sink_read(void *to, sf_count_t n, void *sink)
{
    (void)to;
    (void)n;
    (void)sink;
    return 0;
}

static sf_count_t sink_write(const void *data, sf_count_t n, void *sink)
{
    /* failures are looked up there: libsndfile would leave things behind */
    aei_sound_sink_write(sink, data, (size_t)n);
    return n;
}

static sf_count_t sink_tell(void *sink)
{
    return (sf_count_t)((sound_sink *)sink)->at;
}

void aei_sound_accepts_all(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

void aei_sound_accepts_float(ae_signal_info *info, char note[160])
{
    (void)note;
    info->sample = AE_F32;
    info->bits = 32;
}

void aei_sound_accepts_flac(ae_signal_info *info, char note[160])
{
    if (info->sample != AE_S32 && info->sample != AE_F32 && info->sample != AE_F64)
        return;
    aei_note(note, info->sample == AE_S32 ? "32 bits rounded to 24"
                                          : "floating point rounded to 24 bits");
    info->sample = AE_S24;
    info->bits = 24;
}

/* As the input was stored where that is possible, else plainly. */
static const sound_class *class_of(const ae_reader *like)
{
    bool sound = like && like->codec && like->codec->read_some == aei_sound_read_some;

    return sound ? aei_kept(like, like->codec, sizeof(sound_class)) : NULL;
}

static int choose_format(const sound_format *f, const ae_signal_info *info, const ae_reader *like)
{
    static const int types[] = {
        [AE_S8] = SF_FORMAT_PCM_S8,  [AE_S16] = SF_FORMAT_PCM_16, [AE_S24] = SF_FORMAT_PCM_24,
        [AE_S32] = SF_FORMAT_PCM_32, [AE_F32] = SF_FORMAT_FLOAT,  [AE_F64] = SF_FORMAT_DOUBLE};
    const sound_class *from = class_of(like);
    int type = types[info->sample], major = f->major;
    bool riff = f->family == SOUND_RIFF;

    if (f->lossy)
        return major | (f->family == SOUND_MPEG  ? SF_FORMAT_MPEG_LAYER_III
                        : major == SF_FORMAT_OGG ? SF_FORMAT_VORBIS
                                                 : 0);
    if (info->sample == AE_S8 && (riff || f->family == SOUND_W64))
        type = SF_FORMAT_PCM_U8;
    if (from && aei_sound_format(like->codec) == f) {
        SF_INFO probe = {
            .samplerate = (int)info->rate, .channels = (int)info->channels, .format = from->format};

        if (like->info.sample == info->sample && sf_format_check(&probe))
            return from->format;
    }
    if (riff && info->channels > 2 && info->layout)
        major = SF_FORMAT_WAVEX;
    /* What would exceed a plain file; a shorter one is made plain again at the end. */
    if (riff && (uint64_t)ae_row_bytes(info) * info->height > UINT32_MAX - (1 << 20))
        major = SF_FORMAT_RF64;
    return major | type;
}

/* Bits per second of a coder with loss: as the input's, or by quality from 16 to 256 thousand a
 * channel. */
static double choose_kbps(const ae_writer *writer, const ae_write_options *options)
{
    const ae_reader *like = options->like;
    double quality = options->quality ? options->quality : 75, kbps;

    if (!options->quality && like && like->codec == writer->codec &&
        sscanf(like->quality, "%lf kbit/s", &kbps) == 1 && kbps > 0)
        return kbps;
    return 16 * pow(2, quality / 25) * writer->info.channels;
}

/* The quality at which libvorbis states that rate for such sounds: tried, since nothing tells.
 * Below 0 where memory fails. */
static double vorbis_quality(const ae_signal_info *info, double kbps)
{
    static const SF_VIRTUAL_IO io = {sink_length, sink_seek, sink_read, sink_write, sink_tell};
    static const ae_meta none;
    double best = 0.5, least = INFINITY;

    for (int q = 0; q <= 10; q++) {
        SF_INFO to = {.samplerate = (int)info->rate,
                      .channels = (int)info->channels,
                      .format = SF_FORMAT_OGG | SF_FORMAT_VORBIS};
        ae_memory_output memory;
        sound_sink sink;
        SNDFILE *file;
        double quality = q / 10.0, found;
        bool failed;

        ae_memory_output_init(&memory);
        if (aei_sound_sink_open(&sink, SOUND_OGG, &memory.sink, &none, false, NULL) != AE_OK)
            return -1;
        if ((file = sf_open_virtual((SF_VIRTUAL_IO *)&io, SFM_WRITE, &to, &sink)) != NULL) {
            sf_command(file, SFC_SET_VBR_ENCODING_QUALITY, &quality, sizeof(quality));
            sf_close(file);
        }
        found = memory.n_bytes >= AEI_VORBIS_HEAD ? aei_vorbis_kbps(memory.data) : 0;
        if (found > 0 && found < 4000 && fabs(log(found / kbps)) < least) {
            least = fabs(log(found / kbps));
            best = quality;
        }
        failed = sink.status != AE_OK;
        aei_sound_sink_close(&sink);
        ae_free(memory.data);
        if (failed)
            return -1;
    }
    return best;
}

/* What each coder calls a quality of 0 (least compressed) to 1, by the rates that it then has. */
static bool set_quality(sound_writer *s, const sound_format *f, const ae_signal_info *info,
                        double kbps)
{
    double level;

    if (f->family == SOUND_MPEG) {
        int constant = SF_BITRATE_MODE_CONSTANT;
        bool low = info->rate < 32000;

        sf_command(s->file, SFC_SET_BITRATE_MODE, &constant, sizeof(constant));
        level = 1 - (kbps - (low ? 8 : 32)) / ((low ? 160 : 320) - (low ? 8 : 32));
    } else if (f->major == SF_FORMAT_OGG) {
        double quality = vorbis_quality(info, kbps);

        if (quality < 0)
            return false;
        level = 1 - quality;
    } else {
        level = 1 - (kbps / info->channels - 6) / 250;
    }
    level = fmin(fmax(level, 0), 1);
    sf_command(s->file, SFC_SET_COMPRESSION_LEVEL, &level, sizeof(level));
    return true;
}

static ae_status check_channels(const ae_codec *codec, const sound_format *f,
                                const ae_signal_info *info, ae_error *err)
{
    if (info->channels > f->max_channels)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "%s holds at most %u channels, not %u (--format names another)",
                       codec->description, f->max_channels, info->channels);
    if (info->rate != floor(info->rate) || info->rate > INT32_MAX)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s cannot hold a rate of %g Hz",
                       codec->description, info->rate);
    return AE_OK;
}

ae_status aei_sound_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                           const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    static const SF_VIRTUAL_IO io = {sink_length, sink_seek, sink_read, sink_write, sink_tell};
    const sound_format *f = aei_sound_format(writer->codec);
    sound_family family = f->family;
    SF_INFO to = {.samplerate = (int)info->rate,
                  .channels = (int)info->channels,
                  .format = choose_format(f, info, options->like)};
    sound_writer *s;
    const sound_class *from = class_of(options->like);
    int map[AEI_SOUND_CHANNELS], off = SF_FALSE;
    bool has_map, same;
    ae_status st;

    if ((st = check_channels(writer->codec, f, info, err)) != AE_OK)
        return st;
    if (!sf_format_check(&to))
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "%s cannot hold %u channels at %g Hz (--format names another)",
                       writer->codec->description, info->channels, info->rate);
    if (!(s = ae_alloc(1, sizeof(*s))))
        return ae_fail(err, AE_ERR_NOMEM, "%s encoder", writer->codec->description);
    if (family == SOUND_RIFF && (to.format & SF_FORMAT_ENDMASK) == SF_ENDIAN_BIG)
        family = SOUND_RIFX;
    if ((st = aei_sound_sink_open(&s->sink, family, sink, meta, family != SOUND_OGG, err)) !=
        AE_OK) {
        ae_free(s);
        return st;
    }
    aei_sound_dropped(family, meta, writer->note);
    s->file = sf_open_virtual((SF_VIRTUAL_IO *)&io, SFM_WRITE, &to, &s->sink);
    if (!s->file || s->sink.status != AE_OK) {
        if ((st = s->sink.status) != AE_OK && err)
            *err = s->sink.error;
        if (st == AE_OK)
            st = ae_fail(err, AE_ERR_UNSUPPORTED, "%s cannot hold %u channels at %g Hz: %s",
                         writer->codec->description, info->channels, info->rate, sf_strerror(NULL));
        sf_close(s->file);
        aei_sound_sink_close(&s->sink);
        ae_free(s);
        return st;
    }
    sf_command(s->file, SFC_SET_ADD_PEAK_CHUNK, NULL, off); /* it holds the time of day */
    if ((to.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_RF64)
        sf_command(s->file, SFC_RF64_AUTO_DOWNGRADE, NULL,
                   !(from && options->like->codec == writer->codec &&
                     (from->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_RF64));
    if (f->lossy && !set_quality(s, f, info, choose_kbps(writer, options))) {
        s->sink.status = AE_ERR_NOMEM;
        sf_close(s->file);
        aei_sound_sink_close(&s->sink);
        ae_free(s);
        return ae_fail(err, AE_ERR_NOMEM, "%s encoder", writer->codec->description);
    }
    /* A map in another order than the bits' is known to the reader only. */
    same = from && from->has_map && options->like->info.channels == info->channels;
    for (uint32_t i = 0; same && i < info->channels; i++)
        same = aei_sound_is_place(map[i] = from->map[i]);
    has_map = same || (info->layout && aei_sound_places(info->layout, info->channels, map));
    if (has_map && (f->family == SOUND_RIFF || f->family == SOUND_AIFF || f->family == SOUND_CAF) &&
        info->channels > 1)
        sf_command(s->file, SFC_SET_CHANNEL_MAP_INFO, map, (int)(info->channels * sizeof(int)));
    s->order = aei_sound_order(f, info->channels);
    writer->state = s;
    return AE_OK;
}

static sf_count_t write_block(sound_writer *s, ae_sample sample, const uint8_t *from,
                              sf_count_t frames, size_t n_samples, uint32_t channels)
{
    switch (sample) {
    case AE_F32:
        if (!s->order)
            return sf_writef_float(s->file, (const float *)from, frames);
        for (size_t i = 0; i < n_samples; i++)
            s->block.f[i - i % channels + s->order[i % channels]] = ((const float *)from)[i];
        return sf_writef_float(s->file, s->block.f, frames);
    case AE_F64: return sf_writef_double(s->file, (const double *)from, frames);
    case AE_S16: return sf_writef_short(s->file, (const int16_t *)from, frames);
    case AE_S32: return sf_writef_int(s->file, (const int32_t *)from, frames);
    case AE_S8:
        for (size_t i = 0; i < n_samples; i++)
            s->block.s[i] = (int16_t)(uint16_t)(from[i] << 8);
        return sf_writef_short(s->file, s->block.s, frames);
    default:
        for (size_t i = 0; i < n_samples; i++)
            s->block.i[i] = (int32_t)((uint32_t)from[3 * i] << 8 | (uint32_t)from[3 * i + 1] << 16 |
                                      (uint32_t)from[3 * i + 2] << 24);
        return sf_writef_int(s->file, s->block.i, frames);
    }
}

/* file: as long as it is open. libsndfile has no text for errors of what it writes to, and says so
 * on stderr. */
static ae_status write_failed(const sound_writer *s, const ae_writer *writer, SNDFILE *file,
                              ae_error *err)
{
    if (s->sink.status == AE_OK)
        return ae_fail(err, AE_ERR_IO, "%s: %s", writer->codec->description,
                       file ? sf_strerror(file) : "cannot be completed");
    if (err)
        *err = s->sink.error;
    return s->sink.status;
}

ae_status aei_sound_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    sound_writer *s = writer->state;
    uint32_t channels = writer->info.channels, most = AEI_SOUND_BLOCK / channels;
    size_t row = ae_row_bytes(&writer->info);
    const uint8_t *from = rows;

    while (n_rows) {
        uint32_t n = n_rows < most ? n_rows : most;

        if (write_block(s, writer->info.sample, from, n, (size_t)n * channels, channels) != n ||
            s->sink.status != AE_OK)
            return write_failed(s, writer, s->file, err);
        s->sink.frames += n;
        s->sink.odd = writer->info.sample == AE_S8 && s->sink.frames % 2 && channels % 2;
        from += n * row;
        n_rows -= n;
    }
    return AE_OK;
}

/* libFLAC writes nothing at all before the first sample: the head of a sound of no length. */
static void write_empty_flac(sound_sink *s, const ae_signal_info *info)
{
    uint32_t rate = (uint32_t)info->rate, bits = 8 * (uint32_t)ae_sample_bytes(info->sample) - 1;
    uint8_t head[42] = {'f', 'L', 'a', 'C', 0x80, 0, 0, 34, 0x10, 0, 0x10, 0};

    head[18] = (uint8_t)(rate >> 12);
    head[19] = (uint8_t)(rate >> 4);
    head[20] = (uint8_t)(rate << 4 | (info->channels - 1) << 1 | bits >> 4);
    head[21] = (uint8_t)(bits << 4);
    s->at = 0;
    aei_sound_sink_write(s, head, sizeof(head));
}

ae_status aei_sound_finish(ae_writer *writer, ae_error *err)
{
    sound_writer *s = writer->state;
    int code = sf_close(s->file);
    ae_status st = AE_OK;

    if (!s->sink.frames && s->sink.family == SOUND_FLAC)
        write_empty_flac(&s->sink, &writer->info);
    if (!s->sink.end && s->sink.status == AE_OK)
        s->sink.status = ae_fail(&s->sink.error, AE_ERR_UNSUPPORTED,
                                 "%s cannot hold a sound of no length", writer->codec->description);
    if (code != 0 || s->sink.status != AE_OK) {
        st = write_failed(s, writer, NULL, err);
        aei_sound_sink_close(&s->sink);
    } else {
        st = aei_sound_sink_finish(&s->sink, err);
    }
    ae_free(s);
    writer->state = NULL;
    return st;
}

void aei_sound_abandon(ae_writer *writer)
{
    sound_writer *s = writer->state;

    s->sink.status = AE_ERR_CANCELLED; /* nothing more is written */
    sf_close(s->file);
    aei_sound_sink_close(&s->sink);
    ae_free(s);
}
