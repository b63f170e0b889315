/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds through libsndfile: samples as they are stored, nothing scaled, nothing clipped. What stands beside them is soundmeta.c's.
 */
#include <sndfile.h>
#include <math.h>
#include <string.h>

#include "soundfile.h"

enum { BLOCK_SAMPLES = 1 << 14, MAX_CHANNELS = 1024 };

typedef struct sound_format {
    sound_family family;
    int major;
    unsigned max_channels;
    bool lossy;
} sound_format;

/* What a writer takes over. */
typedef struct sound_class {
    int format;
    int map[MAX_CHANNELS]; /* where the channels stand, as libsndfile names the places */
    bool has_map;
} sound_class;

typedef struct sound_reader {
    ae_source *source;
    uint64_t patch_at; /* bytes of the file that libsndfile shall see otherwise; 0: none */
    uint8_t patch[4];
    SNDFILE *file;
    sound_class class;
    const uint8_t *order; /* of the channels as they come; NULL: as they should */
    uint64_t left;        /* frames that the header promises, if it does */
    bool counted;
    union {
        int32_t i[BLOCK_SAMPLES];
        int16_t s[BLOCK_SAMPLES];
        double d[BLOCK_SAMPLES];
        float f[BLOCK_SAMPLES];
    } block;
} sound_reader;

typedef struct sound_writer {
    sound_sink sink;
    SNDFILE *file;
    const uint8_t *order;
    union {
        int32_t i[BLOCK_SAMPLES];
        int16_t s[BLOCK_SAMPLES];
        float f[BLOCK_SAMPLES];
    } block;
} sound_writer;

static const sound_format *format_of(const ae_codec *codec);

/* ---- places of channels ---- */

/* libsndfile's names in the order of WAVEFORMATEXTENSIBLE's bits. */
static const int places[] = {SF_CHANNEL_MAP_LEFT,
                             SF_CHANNEL_MAP_RIGHT,
                             SF_CHANNEL_MAP_CENTER,
                             SF_CHANNEL_MAP_LFE,
                             SF_CHANNEL_MAP_REAR_LEFT,
                             SF_CHANNEL_MAP_REAR_RIGHT,
                             SF_CHANNEL_MAP_FRONT_LEFT_OF_CENTER,
                             SF_CHANNEL_MAP_FRONT_RIGHT_OF_CENTER,
                             SF_CHANNEL_MAP_REAR_CENTER,
                             SF_CHANNEL_MAP_SIDE_LEFT,
                             SF_CHANNEL_MAP_SIDE_RIGHT,
                             SF_CHANNEL_MAP_TOP_CENTER,
                             SF_CHANNEL_MAP_TOP_FRONT_LEFT,
                             SF_CHANNEL_MAP_TOP_FRONT_CENTER,
                             SF_CHANNEL_MAP_TOP_FRONT_RIGHT,
                             SF_CHANNEL_MAP_TOP_REAR_LEFT,
                             SF_CHANNEL_MAP_TOP_REAR_CENTER,
                             SF_CHANNEL_MAP_TOP_REAR_RIGHT};
enum { N_PLACES = sizeof(places) / sizeof(places[0]) };

/* 0 where the places are unknown or in another order than the bits'. */
static uint64_t layout_of_map(const int *map, unsigned n)
{
    uint64_t layout = 0;

    for (unsigned i = 0; i < n; i++) {
        int name = map[i] == SF_CHANNEL_MAP_FRONT_LEFT     ? SF_CHANNEL_MAP_LEFT
                   : map[i] == SF_CHANNEL_MAP_FRONT_RIGHT  ? SF_CHANNEL_MAP_RIGHT
                   : map[i] == SF_CHANNEL_MAP_FRONT_CENTER ? SF_CHANNEL_MAP_CENTER
                   : map[i] == SF_CHANNEL_MAP_MONO         ? SF_CHANNEL_MAP_CENTER
                                                           : map[i];
        unsigned k = 0;

        while (k < N_PLACES && places[k] != name)
            k++;
        if (k == N_PLACES || layout >> k)
            return 0;
        layout |= (uint64_t)1 << k;
    }
    return layout;
}

static bool map_of_layout(uint64_t layout, unsigned n, int *map)
{
    unsigned filled = 0;

    for (unsigned k = 0; k < N_PLACES && filled < n; k++)
        if (layout >> k & 1)
            map[filled++] = places[k];
    return filled == n && !(layout >> N_PLACES) && __builtin_popcountll(layout) == (int)n;
}

/* What FLAC, Vorbis and Opus take so many channels for. */
static uint64_t usual_layout(unsigned channels)
{
    static const uint64_t layouts[] = {0, 0x4, 0x3, 0x7, 0x33, 0x37, 0x3f, 0x70f, 0x63f};

    return channels <= 8 ? layouts[channels] : 0;
}

/* Vorbis and Opus put the centre second and the bass last. channel_order[n][i]: which of theirs is our i-th. */
static const uint8_t *channel_order(const sound_format *f, unsigned channels)
{
    static const uint8_t orders[9][8] = {[3] = {0, 2, 1},
                                         [5] = {0, 2, 1, 3, 4},
                                         [6] = {0, 2, 1, 5, 3, 4},
                                         [7] = {0, 2, 1, 6, 5, 3, 4},
                                         [8] = {0, 2, 1, 7, 5, 6, 3, 4}};

    return f->family == SOUND_OGG && channels <= 8 && orders[channels][1] ? orders[channels] : NULL;
}

/* ---- reading ---- */

/* Vorbis states a nominal rate in its first packet, which says better than a file's size how it was made. */
enum { VORBIS_NOMINAL = 48, VORBIS_HEAD = 52 };

static double nominal_kbps(const uint8_t head[VORBIS_HEAD])
{
    const uint8_t *p = head + VORBIS_NOMINAL;

    return ((double)(p[0] | p[1] << 8 | p[2] << 16) + (double)p[3] * 16777216) * 1e-3;
}

static sf_count_t source_length(void *reader)
{
    return (sf_count_t)ae_source_size(((sound_reader *)reader)->source);
}

static sf_count_t source_seek(sf_count_t offset, int whence, void *reader)
{
    ae_source *source = ((sound_reader *)reader)->source;
    uint64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? ae_source_tell(source) : ae_source_size(source);
    sf_count_t at;

    if (__builtin_add_overflow((sf_count_t)base, offset, &at) || at < 0 || !ae_source_seek(source, (uint64_t)at))
        return -1;
    return at;
}

static sf_count_t source_read(void *to, sf_count_t n, void *reader)
{
    sound_reader *s = reader;
    uint64_t at = ae_source_tell(s->source);
    size_t got = n > 0 ? ae_source_read(s->source, to, (size_t)n) : 0;

    for (unsigned i = 0; s->patch_at && i < 4; i++)
        if (s->patch_at + i >= at && s->patch_at + i < at + got)
            ((uint8_t *)to)[s->patch_at + i - at] = s->patch[i];
    return (sf_count_t)got;
}

static sf_count_t source_write(const void *data, sf_count_t n, void *reader)
{
    (void)data;
    (void)n;
    (void)reader;
    return 0;
}

static sf_count_t source_tell(void *reader)
{
    return (sf_count_t)ae_source_tell(((sound_reader *)reader)->source);
}

static ae_sample sample_of(int format)
{
    switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8:
    case SF_FORMAT_DPCM_8:
        return AE_S8;
    case SF_FORMAT_PCM_24:
    case SF_FORMAT_ALAC_20:
    case SF_FORMAT_ALAC_24:
        return AE_S24;
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_ALAC_32:
        return AE_S32;
    case SF_FORMAT_DOUBLE:
        return AE_F64;
    case SF_FORMAT_FLOAT:
    case SF_FORMAT_VORBIS:
    case SF_FORMAT_OPUS:
    case SF_FORMAT_MPEG_LAYER_I:
    case SF_FORMAT_MPEG_LAYER_II:
    case SF_FORMAT_MPEG_LAYER_III:
        return AE_F32;
    default:
        return AE_S16;
    }
}

static ae_status check_claim(const ae_reader *reader, const sound_layout *layout, ae_error *err)
{
    if (layout->claimed > layout->present)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated: the header claims %llu bytes of samples, %llu are there",
                       reader->codec->name, (unsigned long long)layout->claimed, (unsigned long long)layout->present);
    if (!layout->found)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated: there are no samples", reader->codec->name);
    if (layout->unfinished)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated: the stream's last page is missing", reader->codec->name);
    return AE_OK;
}

/* Tags that libsndfile reads, where no list of all has been read. */
static ae_status add_strings(SNDFILE *file, ae_meta *meta, ae_error *err)
{
    ae_status st = AE_OK;

    for (const sound_tag *t = aei_sound_tags; t->name && st == AE_OK; t++) {
        const char *text = sf_get_string(file, t->sndfile);

        if (text && *text)
            st = aei_add_tag(meta, t->name, text, strlen(text), err);
    }
    return st;
}

static bool is_place(int place)
{
    return place > SF_CHANNEL_MAP_INVALID && place < SF_CHANNEL_MAP_MAX;
}

static void find_layout(sound_reader *s, const sound_format *f, ae_reader *reader)
{
    ae_signal_info *info = &reader->info;

    s->order = channel_order(f, info->channels);
    if (f->family == SOUND_FLAC || f->family == SOUND_OGG) {
        info->layout = usual_layout(info->channels);
        for (size_t i = 0; i < reader->meta.n_items; i++) {
            const ae_meta_item *item = &reader->meta.items[i];
            unsigned long long mask;

            if (item->kind == AE_META_TAG && strcmp(item->key, "WAVEFORMATEXTENSIBLE_CHANNEL_MASK") == 0 &&
                sscanf((const char *)item->value, "%llx", &mask) == 1 && __builtin_popcountll(mask) == (int)info->channels)
                info->layout = mask;
        }
        return;
    }
    s->class.has_map = sf_command(s->file, SFC_GET_CHANNEL_MAP_INFO, s->class.map, (int)(info->channels * sizeof(int))) == SF_TRUE;
    for (unsigned i = 0; i < info->channels; i++)
        s->class.has_map = s->class.has_map && is_place(s->class.map[i]);
    if (s->class.has_map)
        info->layout = layout_of_map(s->class.map, info->channels);
}

static ae_status sound_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    static const SF_VIRTUAL_IO io = {source_length, source_seek, source_read, source_write, source_tell};
    const sound_format *f = format_of(reader->codec);
    sound_family family = f->family;
    sound_reader *s = ae_alloc(1, sizeof(*s));
    SF_INFO info = {0};
    sound_layout layout = {0};
    uint8_t head[VORBIS_HEAD] = {0};
    double kbps = 0;
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
    s->source = source;
    (void)ae_source_read(source, head, sizeof(head));
    if (family == SOUND_RIFF && memcmp(head, "RIFX", 4) == 0)
        family = SOUND_RIFX;
    if ((st = aei_sound_meta(source, family, limits, &reader->meta, &layout, reader->note, err)) != AE_OK ||
        (st = check_claim(reader, &layout, err)) != AE_OK)
        goto done;
    s->patch_at = layout.patch_at;
    for (int i = 0; i < 4; i++)
        s->patch[i] = (uint8_t)(layout.present >> 8 * (family == SOUND_RIFX ? 3 - i : i));
    if (!ae_source_seek(source, 0) || !(s->file = sf_open_virtual((SF_VIRTUAL_IO *)&io, SFM_READ, &info, s))) {
        const char *why = sf_strerror(NULL);
        int code = sf_error(NULL);

        st = ae_fail(
            err, code == SF_ERR_UNSUPPORTED_ENCODING || code == SF_ERR_UNRECOGNISED_FORMAT ? AE_ERR_UNSUPPORTED : AE_ERR_MALFORMED,
            "%s: %s", reader->codec->name, why);
        goto done;
    }
    if (info.channels < 1 || info.channels > MAX_CHANNELS || info.samplerate < 1 || info.frames < 0) {
        st = ae_fail(err, AE_ERR_MALFORMED, "%s: impossible: %d channels at %d Hz", reader->codec->name, info.channels,
                     info.samplerate);
        goto done;
    }
    s->class.format = info.format;
    reader->info = (ae_signal_info){.kind = AE_KIND_AUDIO,
                                    .sample = sample_of(info.format),
                                    .channels = (uint32_t)info.channels,
                                    .width = 1,
                                    .rate = info.samplerate};
    reader->info.bits = 8 * (uint32_t)ae_sample_bytes(reader->info.sample);
    if (info.frames < SF_COUNT_MAX / 2)
        reader->info.height = layout.counted && layout.frames < (uint64_t)info.frames ? layout.frames : (uint64_t)info.frames;
    /* The length of streams of frames of MPEG is an estimate. */
    s->counted = info.frames < SF_COUNT_MAX / 2 && f->family != SOUND_MPEG;
    s->left = reader->info.height;
    if (f->lossy && info.frames)
        kbps = 8e-3 * (double)ae_source_size(source) * info.samplerate / (double)info.frames;
    if (reader->codec == &aei_codec_vorbis && nominal_kbps(head) > 0 && nominal_kbps(head) < 4000)
        kbps = nominal_kbps(head);
    if (kbps > 0)
        snprintf(reader->quality, sizeof(reader->quality), "%g kbit/s", kbps);
    find_layout(s, f, reader);
    if (f->family != SOUND_FLAC && f->family != SOUND_OGG)
        st = add_strings(s->file, &reader->meta, err);
    if (st == AE_OK)
        st = aei_keep(reader, &s->class, sizeof(s->class), err);
done:
    if (st != AE_OK) {
        sf_close(s->file);
        ae_free(s);
        return st;
    }
    reader->state = s;
    return AE_OK;
}

/* Samples of libsndfile's types to those of the file; integers stand in the upper bits. */
static sf_count_t read_block(sound_reader *s, ae_sample sample, void *rows, sf_count_t frames, size_t n_samples)
{
    uint8_t *to = rows;
    sf_count_t n;

    switch (sample) {
    case AE_F32:
        return sf_readf_float(s->file, rows, frames);
    case AE_F64:
        return sf_readf_double(s->file, rows, frames);
    case AE_S16:
        return sf_readf_short(s->file, rows, frames);
    case AE_S32:
        return sf_readf_int(s->file, rows, frames);
    case AE_S8:
        n = sf_readf_short(s->file, s->block.s, frames);
        for (size_t i = 0; i < n_samples; i++)
            to[i] = (uint8_t)((uint16_t)s->block.s[i] >> 8);
        return n;
    default:
        n = sf_readf_int(s->file, s->block.i, frames);
        for (size_t i = 0; i < n_samples; i++)
            for (int k = 0; k < 3; k++)
                to[3 * i + (size_t)k] = (uint8_t)((uint32_t)s->block.i[i] >> 8 * (k + 1));
        return n;
    }
}

static ae_status sound_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows, ae_error *err)
{
    sound_reader *s = reader->state;
    uint32_t channels = reader->info.channels;
    sf_count_t frames = BLOCK_SAMPLES / channels, n;

    *n_rows = 0;
    frames = frames < capacity ? frames : capacity;
    if (s->counted && (uint64_t)frames > s->left)
        frames = (sf_count_t)s->left;
    if (!frames)
        return AE_OK;
    n = read_block(s, reader->info.sample, rows, frames, (size_t)frames * channels);
    if (sf_error(s->file) != SF_ERR_NO_ERROR)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: damaged after %llu frames: %s", reader->codec->name,
                       (unsigned long long)reader->n_read, sf_strerror(s->file));
    n = n < 0 ? 0 : n;
    if (n < frames && s->counted && (uint64_t)n < s->left)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated: %llu of %llu frames are there", reader->codec->name,
                       (unsigned long long)(reader->info.height - s->left + (uint64_t)n), (unsigned long long)reader->info.height);
    if (s->order) { /* the type is float */
        float *f = rows, frame[8];

        for (sf_count_t i = 0; i < n; i++, f += channels) {
            memcpy(frame, f, channels * sizeof(float));
            for (uint32_t c = 0; c < channels; c++)
                f[c] = frame[s->order[c]];
        }
    }
    s->left -= s->counted ? (uint64_t)n : 0;
    *n_rows = (uint32_t)n;
    return AE_OK;
}

static void sound_close(ae_reader *reader)
{
    sound_reader *s = reader->state;

    sf_close(s->file);
    ae_free(s);
}

/* ---- writing ---- */

static sf_count_t sink_length(void *sink)
{
    return (sf_count_t)((sound_sink *)sink)->end;
}

static sf_count_t sink_seek(sf_count_t offset, int whence, void *sink)
{
    sound_sink *s = sink;

    s->at = (uint64_t)((sf_count_t)(whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->at : s->end) + offset);
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
    aei_sound_sink_write(sink, data, (size_t)n); /* failures are looked up there: libsndfile would leave things behind */
    return n;
}

static sf_count_t sink_tell(void *sink)
{
    return (sf_count_t)((sound_sink *)sink)->at;
}

static void accepts_all(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

static void accepts_float(ae_signal_info *info, char note[160])
{
    (void)note;
    info->sample = AE_F32;
    info->bits = 32;
}

static void accepts_flac(ae_signal_info *info, char note[160])
{
    if (info->sample != AE_S32 && info->sample != AE_F32 && info->sample != AE_F64)
        return;
    aei_note(note, info->sample == AE_S32 ? "32 bits rounded to 24" : "floating point rounded to 24 bits");
    info->sample = AE_S24;
    info->bits = 24;
}

/* As the input was stored where that is possible, else plainly. */
static const sound_class *class_of(const ae_reader *like)
{
    bool sound = like && like->codec && like->codec->read_some == sound_read_some;

    return sound ? aei_kept(like, like->codec, sizeof(sound_class)) : NULL;
}

static int choose_format(const sound_format *f, const ae_signal_info *info, const ae_reader *like)
{
    static const int types[] = {[AE_S8] = SF_FORMAT_PCM_S8,  [AE_S16] = SF_FORMAT_PCM_16, [AE_S24] = SF_FORMAT_PCM_24,
                                [AE_S32] = SF_FORMAT_PCM_32, [AE_F32] = SF_FORMAT_FLOAT,  [AE_F64] = SF_FORMAT_DOUBLE};
    const sound_class *from = class_of(like);
    int type = types[info->sample], major = f->major;
    bool riff = f->family == SOUND_RIFF;

    if (f->lossy)
        return major | (f->family == SOUND_MPEG ? SF_FORMAT_MPEG_LAYER_III : major == SF_FORMAT_OGG ? SF_FORMAT_VORBIS : 0);
    if (info->sample == AE_S8 && (riff || f->family == SOUND_W64))
        type = SF_FORMAT_PCM_U8;
    if (from && format_of(like->codec) == f) {
        SF_INFO probe = {.samplerate = (int)info->rate, .channels = (int)info->channels, .format = from->format};

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

/* Bits per second of a coder with loss: as the input's, or by quality from 16 to 256 thousand a channel. */
static double choose_kbps(const ae_writer *writer, const ae_write_options *options)
{
    const ae_reader *like = options->like;
    double quality = options->quality ? options->quality : 75, kbps;

    if (!options->quality && like && like->codec == writer->codec && sscanf(like->quality, "%lf kbit/s", &kbps) == 1 && kbps > 0)
        return kbps;
    return 16 * pow(2, quality / 25) * writer->info.channels;
}

/* The quality at which libvorbis states that rate for such sounds: tried, since nothing tells. Below 0 where memory fails. */
static double vorbis_quality(const ae_signal_info *info, double kbps)
{
    static const SF_VIRTUAL_IO io = {sink_length, sink_seek, sink_read, sink_write, sink_tell};
    static const ae_meta none;
    double best = 0.5, least = INFINITY;

    for (int q = 0; q <= 10; q++) {
        SF_INFO to = {.samplerate = (int)info->rate, .channels = (int)info->channels, .format = SF_FORMAT_OGG | SF_FORMAT_VORBIS};
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
        found = memory.n_bytes >= VORBIS_HEAD ? nominal_kbps(memory.data) : 0;
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
static bool set_quality(sound_writer *s, const sound_format *f, const ae_signal_info *info, double kbps)
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

static ae_status check_channels(const ae_codec *codec, const sound_format *f, const ae_signal_info *info, ae_error *err)
{
    if (info->channels > f->max_channels)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s holds at most %u channels, not %u (--format names another)", codec->description,
                       f->max_channels, info->channels);
    if (info->rate != floor(info->rate) || info->rate > INT32_MAX)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s cannot hold a rate of %g Hz", codec->description, info->rate);
    return AE_OK;
}

static ae_status sound_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta, const ae_write_options *options,
                              ae_writer *writer, ae_error *err)
{
    static const SF_VIRTUAL_IO io = {sink_length, sink_seek, sink_read, sink_write, sink_tell};
    const sound_format *f = format_of(writer->codec);
    sound_family family = f->family;
    SF_INFO to = {.samplerate = (int)info->rate, .channels = (int)info->channels, .format = choose_format(f, info, options->like)};
    sound_writer *s;
    const sound_class *from = class_of(options->like);
    int map[MAX_CHANNELS], off = SF_FALSE;
    bool has_map, same;
    ae_status st;

    if ((st = check_channels(writer->codec, f, info, err)) != AE_OK)
        return st;
    if (!sf_format_check(&to))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s cannot hold %u channels at %g Hz (--format names another)",
                       writer->codec->description, info->channels, info->rate);
    if (!(s = ae_alloc(1, sizeof(*s))))
        return ae_fail(err, AE_ERR_NOMEM, "%s encoder", writer->codec->description);
    if (family == SOUND_RIFF && (to.format & SF_FORMAT_ENDMASK) == SF_ENDIAN_BIG)
        family = SOUND_RIFX;
    if ((st = aei_sound_sink_open(&s->sink, family, sink, meta, family != SOUND_OGG, err)) != AE_OK) {
        ae_free(s);
        return st;
    }
    aei_sound_dropped(family, meta, writer->note);
    s->file = sf_open_virtual((SF_VIRTUAL_IO *)&io, SFM_WRITE, &to, &s->sink);
    if (!s->file || s->sink.status != AE_OK) {
        if ((st = s->sink.status) != AE_OK && err)
            *err = s->sink.error;
        if (st == AE_OK)
            st = ae_fail(err, AE_ERR_UNSUPPORTED, "%s cannot hold %u channels at %g Hz: %s", writer->codec->description,
                         info->channels, info->rate, sf_strerror(NULL));
        sf_close(s->file);
        aei_sound_sink_close(&s->sink);
        ae_free(s);
        return st;
    }
    sf_command(s->file, SFC_SET_ADD_PEAK_CHUNK, NULL, off); /* it holds the time of day */
    if ((to.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_RF64)
        sf_command(s->file, SFC_RF64_AUTO_DOWNGRADE, NULL,
                   !(from && options->like->codec == writer->codec && (from->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_RF64));
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
        same = is_place(map[i] = from->map[i]);
    has_map = same || (info->layout && map_of_layout(info->layout, info->channels, map));
    if (has_map && (f->family == SOUND_RIFF || f->family == SOUND_AIFF || f->family == SOUND_CAF) && info->channels > 1)
        sf_command(s->file, SFC_SET_CHANNEL_MAP_INFO, map, (int)(info->channels * sizeof(int)));
    s->order = channel_order(f, info->channels);
    writer->state = s;
    return AE_OK;
}

static sf_count_t write_block(sound_writer *s, ae_sample sample, const uint8_t *from, sf_count_t frames, size_t n_samples,
                              uint32_t channels)
{
    switch (sample) {
    case AE_F32:
        if (!s->order)
            return sf_writef_float(s->file, (const float *)from, frames);
        for (size_t i = 0; i < n_samples; i++)
            s->block.f[i - i % channels + s->order[i % channels]] = ((const float *)from)[i];
        return sf_writef_float(s->file, s->block.f, frames);
    case AE_F64:
        return sf_writef_double(s->file, (const double *)from, frames);
    case AE_S16:
        return sf_writef_short(s->file, (const int16_t *)from, frames);
    case AE_S32:
        return sf_writef_int(s->file, (const int32_t *)from, frames);
    case AE_S8:
        for (size_t i = 0; i < n_samples; i++)
            s->block.s[i] = (int16_t)(uint16_t)(from[i] << 8);
        return sf_writef_short(s->file, s->block.s, frames);
    default:
        for (size_t i = 0; i < n_samples; i++)
            s->block.i[i] =
                (int32_t)((uint32_t)from[3 * i] << 8 | (uint32_t)from[3 * i + 1] << 16 | (uint32_t)from[3 * i + 2] << 24);
        return sf_writef_int(s->file, s->block.i, frames);
    }
}

/* file: as long as it is open. libsndfile has no text for errors of what it writes to, and says so on stderr. */
static ae_status write_failed(const sound_writer *s, const ae_writer *writer, SNDFILE *file, ae_error *err)
{
    if (s->sink.status == AE_OK)
        return ae_fail(err, AE_ERR_IO, "%s: %s", writer->codec->description, file ? sf_strerror(file) : "cannot be completed");
    if (err)
        *err = s->sink.error;
    return s->sink.status;
}

static ae_status sound_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    sound_writer *s = writer->state;
    uint32_t channels = writer->info.channels, most = BLOCK_SAMPLES / channels;
    size_t row = ae_row_bytes(&writer->info);
    const uint8_t *from = rows;

    while (n_rows) {
        uint32_t n = n_rows < most ? n_rows : most;

        if (write_block(s, writer->info.sample, from, n, (size_t)n * channels, channels) != n || s->sink.status != AE_OK)
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

static ae_status sound_finish(ae_writer *writer, ae_error *err)
{
    sound_writer *s = writer->state;
    int code = sf_close(s->file);
    ae_status st = AE_OK;

    if (!s->sink.frames && s->sink.family == SOUND_FLAC)
        write_empty_flac(&s->sink, &writer->info);
    if (!s->sink.end && s->sink.status == AE_OK)
        s->sink.status =
            ae_fail(&s->sink.error, AE_ERR_UNSUPPORTED, "%s cannot hold a sound of no length", writer->codec->description);
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

static void sound_abandon(ae_writer *writer)
{
    sound_writer *s = writer->state;

    s->sink.status = AE_ERR_CANCELLED; /* nothing more is written */
    sf_close(s->file);
    aei_sound_sink_close(&s->sink);
    ae_free(s);
}

/* ---- the formats ---- */

static bool has(const uint8_t *head, size_t n, size_t at, const char *text)
{
    size_t length = strlen(text);

    return at + length <= n && memcmp(head + at, text, length) == 0;
}

static int wav_probe(const uint8_t *h, size_t n)
{
    return (has(h, n, 0, "RIFF") || has(h, n, 0, "RF64") || has(h, n, 0, "RIFX")) && has(h, n, 8, "WAVE") ? 100 : 0;
}

static int w64_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, "riff\x2e\x91\xcf\x11") ? 100 : 0;
}

static int aiff_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, "FORM") && (has(h, n, 8, "AIFF") || has(h, n, 8, "AIFC")) ? 100 : 0;
}

static int au_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, ".snd") || has(h, n, 0, "dns.") ? 100 : 0;
}

static int caf_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, "caff") ? 100 : 0;
}

/* Where an ID3 tag ends, as far as the head shows it. */
static size_t behind_id3(const uint8_t *h, size_t n)
{
    return n >= 10 && memcmp(h, "ID3", 3) == 0
               ? 10 + ((size_t)(h[6] & 127) << 21 | (size_t)(h[7] & 127) << 14 | (size_t)(h[8] & 127) << 7 | (h[9] & 127))
               : 0;
}

static int flac_probe(const uint8_t *h, size_t n)
{
    return has(h, n, behind_id3(h, n), "fLaC") ? 100 : 0;
}

static int vorbis_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, "OggS") && has(h, n, 28, "\x01vorbis") ? 100 : 0;
}

static int opus_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 0, "OggS") && has(h, n, 28, "OpusHead") ? 100 : 0;
}

/* A tag, or a frame's head (of layer 1 to 3) and another where the first one ends: the head alone is found in anything. */
static int mp3_probe(const uint8_t *h, size_t n)
{
    static const uint16_t rates[2][3][16] = {{{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
                                              {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
                                              {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}},
                                             {{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
                                              {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
                                              {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}}};
    static const unsigned hertz[3] = {44100, 48000, 32000};
    size_t at = 0;

    if (has(h, n, 0, "ID3"))
        return 60;
    for (int frames = 0; frames < 2; frames++) {
        unsigned version, layer, rate, kbps, length;

        if (at + 4 > n || h[at] != 0xff || (h[at + 1] & 0xe0) != 0xe0)
            return 0;
        version = h[at + 1] >> 3 & 3;
        layer = 4 - (h[at + 1] >> 1 & 3);
        rate = h[at + 2] >> 2 & 3;
        kbps = h[at + 2] >> 4;
        if (version == 1 || layer == 4 || rate == 3 || kbps == 0 || kbps == 15)
            return 0;
        kbps = rates[version != 3][layer - 1][kbps];
        rate = hertz[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
        length = layer == 1 ? (12000 * kbps / rate + (h[at + 2] >> 1 & 1)) * 4
                            : (layer == 3 && version != 3 ? 72000 : 144000) * kbps / rate + (h[at + 2] >> 1 & 1);
        at += length;
    }
    return 50;
}

#define SNDFILE_READS sound_open, sound_read_some, sound_close
/* The indirection lets SNDFILE_READS stand for three. */
#define SOUND_CODEC(...) SOUND_CODEC_(__VA_ARGS__)
#define SOUND_CODEC_(symbol, text, family_, major_, channels_, lossy_, takes, opens, reads, closes, ...)                           \
    static const char *const symbol##_suffixes[] = {__VA_ARGS__, NULL};                                                            \
    static const sound_format symbol##_format = {family_, major_, channels_, lossy_};                                              \
    const ae_codec aei_codec_##symbol = {.name = #symbol,                                                                          \
                                         .description = text,                                                                      \
                                         .suffixes = symbol##_suffixes,                                                            \
                                         .kind = AE_KIND_AUDIO,                                                                    \
                                         .probe = symbol##_probe,                                                                  \
                                         .open = opens,                                                                            \
                                         .read_some = reads,                                                                       \
                                         .close = closes,                                                                          \
                                         .accepts = takes,                                                                         \
                                         .create = sound_create,                                                                   \
                                         .write = sound_write,                                                                     \
                                         .finish = sound_finish,                                                                   \
                                         .abandon = sound_abandon};

SOUND_CODEC(wav, "WAV", SOUND_RIFF, SF_FORMAT_WAV, MAX_CHANNELS, false, accepts_all, SNDFILE_READS, "wav", "wave", "rf64", "bwf")
SOUND_CODEC(w64, "Wave64", SOUND_W64, SF_FORMAT_W64, MAX_CHANNELS, false, accepts_all, SNDFILE_READS, "w64")
SOUND_CODEC(aiff, "AIFF", SOUND_AIFF, SF_FORMAT_AIFF, MAX_CHANNELS, false, accepts_all, SNDFILE_READS, "aiff", "aif", "aifc")
SOUND_CODEC(au, "AU", SOUND_AU, SF_FORMAT_AU, MAX_CHANNELS, false, accepts_all, SNDFILE_READS, "au", "snd")
SOUND_CODEC(caf, "Core Audio", SOUND_CAF, SF_FORMAT_CAF, MAX_CHANNELS, false, accepts_all, SNDFILE_READS, "caf")
SOUND_CODEC(flac, "FLAC", SOUND_FLAC, SF_FORMAT_FLAC, 8, false, accepts_flac, SNDFILE_READS, "flac")
SOUND_CODEC(vorbis, "Ogg Vorbis", SOUND_OGG, SF_FORMAT_OGG, 8, true, accepts_float, SNDFILE_READS, "ogg", "oga")
SOUND_CODEC(opus, "Ogg Opus", SOUND_OGG, SF_FORMAT_OGG | SF_FORMAT_OPUS, 8, true, accepts_float, SNDFILE_READS, "opus")
SOUND_CODEC(mp3, "MP3", SOUND_MPEG, SF_FORMAT_MPEG, 2, true, accepts_float, aei_mp3_open, aei_av_read_some, aei_av_close, "mp3",
            "mp2")

static const sound_format *format_of(const ae_codec *codec)
{
    static const struct {
        const ae_codec *codec;
        const sound_format *format;
    } all[] = {{&aei_codec_wav, &wav_format},       {&aei_codec_w64, &w64_format},   {&aei_codec_aiff, &aiff_format},
               {&aei_codec_au, &au_format},         {&aei_codec_caf, &caf_format},   {&aei_codec_flac, &flac_format},
               {&aei_codec_vorbis, &vorbis_format}, {&aei_codec_opus, &opus_format}, {&aei_codec_mp3, &mp3_format}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].codec == codec)
            return all[i].format;
    return NULL;
}
