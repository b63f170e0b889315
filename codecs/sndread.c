/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads sounds through libsndfile: samples as they are stored, nothing scaled, nothing clipped.
 * libsndfile sees the file through callbacks, which show it the sizes that the file has where the
 * header's are left open. */
#include <string.h>

#include "sndcodec.h"

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
        int32_t i[AEI_SOUND_BLOCK];
        int16_t s[AEI_SOUND_BLOCK];
        double d[AEI_SOUND_BLOCK];
        float f[AEI_SOUND_BLOCK];
    } block;
} sound_reader;

static sf_count_t source_length(void *reader)
{
    return (sf_count_t)ae_source_size(((sound_reader *)reader)->source);
}

static sf_count_t source_seek(sf_count_t offset, int whence, void *reader)
{
    ae_source *source = ((sound_reader *)reader)->source;
    uint64_t base = whence == SEEK_SET   ? 0
                    : whence == SEEK_CUR ? ae_source_tell(source)
                                         : ae_source_size(source);
    sf_count_t at;

    if (__builtin_add_overflow((sf_count_t)base, offset, &at) || at < 0 ||
        !ae_source_seek(source, (uint64_t)at))
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
    case SF_FORMAT_DPCM_8: return AE_S8;
    case SF_FORMAT_PCM_24:
    case SF_FORMAT_ALAC_20:
    case SF_FORMAT_ALAC_24: return AE_S24;
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_ALAC_32: return AE_S32;
    case SF_FORMAT_DOUBLE: return AE_F64;
    case SF_FORMAT_FLOAT:
    case SF_FORMAT_VORBIS:
    case SF_FORMAT_OPUS:
    case SF_FORMAT_MPEG_LAYER_I:
    case SF_FORMAT_MPEG_LAYER_II:
    case SF_FORMAT_MPEG_LAYER_III: return AE_F32;
    default: return AE_S16;
    }
}

static ae_status check_claim(const ae_reader *reader, const sound_layout *layout, ae_error *err)
{
    if (layout->claimed > layout->present)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "%s: truncated: the header claims %llu bytes of samples, %llu are there",
                       reader->codec->name, (unsigned long long)layout->claimed,
                       (unsigned long long)layout->present);
    if (!layout->found)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated: there are no samples",
                       reader->codec->name);
    if (layout->unfinished)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated: the stream's last page is missing",
                       reader->codec->name);
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

static void find_layout(sound_reader *s, const sound_format *f, ae_reader *reader)
{
    ae_signal_info *info = &reader->info;

    s->order = aei_sound_order(f, info->channels);
    if (f->family == SOUND_FLAC || f->family == SOUND_OGG) {
        info->layout = aei_sound_usual(info->channels);
        for (size_t i = 0; i < reader->meta.n_items; i++) {
            const ae_meta_item *item = &reader->meta.items[i];
            unsigned long long mask;

            if (item->kind == AE_META_TAG &&
                strcmp(item->key, "WAVEFORMATEXTENSIBLE_CHANNEL_MASK") == 0 &&
                sscanf((const char *)item->value, "%llx", &mask) == 1 &&
                __builtin_popcountll(mask) == (int)info->channels)
                info->layout = mask;
        }
        return;
    }
    s->class.has_map = sf_command(s->file, SFC_GET_CHANNEL_MAP_INFO, s->class.map,
                                  (int)(info->channels * sizeof(int))) == SF_TRUE;
    for (unsigned i = 0; i < info->channels; i++)
        s->class.has_map = s->class.has_map && aei_sound_is_place(s->class.map[i]);
    if (s->class.has_map)
        info->layout = aei_sound_layout_of(s->class.map, info->channels);
}

ae_status aei_sound_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                         ae_error *err)
{
    static const SF_VIRTUAL_IO io = {source_length, source_seek, source_read, source_write,
                                     source_tell};
    const sound_format *f = aei_sound_format(reader->codec);
    sound_family family = f->family;
    sound_reader *s = ae_alloc(1, sizeof(*s));
    SF_INFO info = {0};
    sound_layout layout = {0};
    uint8_t head[AEI_VORBIS_HEAD] = {0};
    double kbps = 0;
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
    s->source = source;
    (void)ae_source_read(source, head, sizeof(head));
    if (family == SOUND_RIFF && memcmp(head, "RIFX", 4) == 0)
        family = SOUND_RIFX;
    if ((st = aei_sound_meta(source, family, limits, &reader->meta, &layout, reader->note, err)) !=
            AE_OK ||
        (st = check_claim(reader, &layout, err)) != AE_OK)
        goto done;
    s->patch_at = layout.patch_at;
    for (int i = 0; i < 4; i++)
        s->patch[i] = (uint8_t)(layout.present >> 8 * (family == SOUND_RIFX ? 3 - i : i));
    if (!ae_source_seek(source, 0) ||
        !(s->file = sf_open_virtual((SF_VIRTUAL_IO *)&io, SFM_READ, &info, s))) {
        const char *why = sf_strerror(NULL);
        int code = sf_error(NULL);

        st = ae_fail(err,
                     code == SF_ERR_UNSUPPORTED_ENCODING || code == SF_ERR_UNRECOGNISED_FORMAT
                         ? AE_ERR_UNSUPPORTED
                         : AE_ERR_MALFORMED,
                     "%s: %s", reader->codec->name, why);
        goto done;
    }
    if (info.channels < 1 || info.channels > AEI_SOUND_CHANNELS || info.samplerate < 1 ||
        info.frames < 0) {
        st = ae_fail(err, AE_ERR_MALFORMED, "%s: impossible: %d channels at %d Hz",
                     reader->codec->name, info.channels, info.samplerate);
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
        reader->info.height = layout.counted && layout.frames < (uint64_t)info.frames
                                  ? layout.frames
                                  : (uint64_t)info.frames;
    /* The length of streams of frames of MPEG is an estimate. */
    s->counted = info.frames < SF_COUNT_MAX / 2 && f->family != SOUND_MPEG;
    s->left = reader->info.height;
    if (f->lossy && info.frames)
        kbps = 8e-3 * (double)ae_source_size(source) * info.samplerate / (double)info.frames;
    if (f->major == SF_FORMAT_OGG && aei_vorbis_kbps(head) > 0 && aei_vorbis_kbps(head) < 4000)
        kbps = aei_vorbis_kbps(head);
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
static sf_count_t read_block(sound_reader *s, ae_sample sample, void *rows, sf_count_t frames,
                             size_t n_samples)
{
    uint8_t *to = rows;
    sf_count_t n;

    switch (sample) {
    case AE_F32: return sf_readf_float(s->file, rows, frames);
    case AE_F64: return sf_readf_double(s->file, rows, frames);
    case AE_S16: return sf_readf_short(s->file, rows, frames);
    case AE_S32: return sf_readf_int(s->file, rows, frames);
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

ae_status aei_sound_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                              ae_error *err)
{
    sound_reader *s = reader->state;
    uint32_t channels = reader->info.channels;
    sf_count_t frames = AEI_SOUND_BLOCK / channels, n;

    *n_rows = 0;
    frames = frames < capacity ? frames : capacity;
    if (s->counted && (uint64_t)frames > s->left)
        frames = (sf_count_t)s->left;
    if (!frames)
        return AE_OK;
    n = read_block(s, reader->info.sample, rows, frames, (size_t)frames * channels);
    if (sf_error(s->file) != SF_ERR_NO_ERROR)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: damaged after %llu frames: %s",
                       reader->codec->name, (unsigned long long)reader->n_read,
                       sf_strerror(s->file));
    n = n < 0 ? 0 : n;
    if (n < frames && s->counted && (uint64_t)n < s->left)
        return ae_fail(err, AE_ERR_MALFORMED, "%s: truncated: %llu of %llu frames are there",
                       reader->codec->name,
                       (unsigned long long)(reader->info.height - s->left + (uint64_t)n),
                       (unsigned long long)reader->info.height);
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

void aei_sound_close(ae_reader *reader)
{
    sound_reader *s = reader->state;

    sf_close(s->file);
    ae_free(s);
}
