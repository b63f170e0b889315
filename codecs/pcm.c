/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Samples without any header, for pipes: the name of the adapter says type and order of bytes, the
 * user says rate and channels. Reading takes what a pipe has to give, so that a live filter waits
 * for no block to fill; such an adapter finds no file by itself. */
#include "ae/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter.h"

typedef struct pcm_format {
    ae_sample sample;
    bool offset;  /* without sign: silence is 128 */
    bool swapped; /* of the other byte order than this machine's */
} pcm_format;

typedef struct pcm_writer {
    ae_sink *sink;
    uint8_t block[1 << 14];
} pcm_writer;

typedef struct pcm_reader {
    int fd;
} pcm_reader;

static pcm_format format_of(const ae_codec *codec)
{
    static const char *const names[] = {[AE_S8] = "s8",   [AE_S16] = "s16", [AE_S24] = "s24",
                                        [AE_S32] = "s32", [AE_F32] = "f32", [AE_F64] = "f64"};
    pcm_format f = {AE_S8, strcmp(codec->name, "u8") == 0, false};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i] && strncmp(codec->name, names[i], strlen(names[i])) == 0) {
            f.sample = (ae_sample)i;
            f.swapped = strstr(codec->name, "be") != NULL
                            ? __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
                            : __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
        }
    return f;
}

/* The same both ways. */
static void convert(pcm_format f, uint8_t *samples, size_t n)
{
    size_t bytes = ae_sample_bytes(f.sample);

    if (f.offset)
        for (size_t i = 0; i < n; i++)
            samples[i] ^= 0x80;
    if (f.swapped)
        for (size_t i = 0; i < n; i++, samples += bytes)
            for (size_t k = 0; k < bytes / 2; k++) {
                uint8_t v = samples[k];

                samples[k] = samples[bytes - 1 - k];
                samples[bytes - 1 - k] = v;
            }
}

static ae_status pcm_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                               ae_error *err)
{
    pcm_reader *s = reader->state;
    size_t row = ae_row_bytes(&reader->info), wanted = capacity * row, got = 0;

    *n_rows = 0;
    while (got < wanted) {
        ssize_t n = read(s->fd, (uint8_t *)rows + got, wanted - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ae_fail(err, AE_ERR_IO, "read: %s", strerror(errno));
        if (n == 0)
            break;
        got += (size_t)n;
    }
    if (got % row)
        aei_note(reader->note, "the last bytes are no whole frame");
    *n_rows = (uint32_t)(got / row);
    convert(format_of(reader->codec), rows, *n_rows * (size_t)reader->info.channels);
    return AE_OK;
}

static void pcm_close(ae_reader *reader)
{
    pcm_reader *s = reader->state;

    close(s->fd);
    ae_free(s);
}

ae_status ae_pcm_open(const char *path, const ae_codec *codec, double rate, uint32_t channels,
                      ae_reader *reader, ae_error *err)
{
    pcm_format f = format_of(codec);
    bool standard = strcmp(path, "-") == 0;
    ae_status st = AE_OK;
    pcm_reader *s;
    struct stat file;

    *reader = (ae_reader){0};
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "input");
    s->fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &file) != 0)
        st = ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    else if (S_ISDIR(file.st_mode))
        st = ae_fail(err, AE_ERR_IO, "is a directory");
    if (st != AE_OK) {
        if (s->fd >= 0)
            close(s->fd);
        ae_free(s);
        return st;
    }
    reader->codec = codec;
    reader->info = (ae_signal_info){.kind = AE_KIND_AUDIO,
                                    .sample = f.sample,
                                    .bits = 8 * (uint32_t)ae_sample_bytes(f.sample),
                                    .channels = channels,
                                    .width = 1,
                                    .rate = rate};
    if (!standard && S_ISREG(file.st_mode))
        reader->info.height = (uint64_t)file.st_size / ae_row_bytes(&reader->info);
    reader->state = s;
    return AE_OK;
}

/* ---- writing ---- */

static int pcm_probe(const uint8_t *head, size_t n_bytes)
{
    (void)head;
    (void)n_bytes;
    return 0;
}

/* Nothing in a file makes it raw: ae_pcm_open is the way. */
static ae_status pcm_refuse(ae_source *source, const ae_limits *limits, ae_reader *reader,
                            ae_error *err)
{
    (void)source;
    (void)limits;
    return ae_fail(err, AE_ERR_UNSUPPORTED, "%s: raw samples of an unknown rate",
                   reader->codec->name);
}

static ae_status pcm_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    pcm_writer *s = ae_alloc(1, sizeof(*s));

    (void)info;
    (void)meta;
    (void)options;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "output");
    s->sink = sink;
    writer->state = s;
    return AE_OK;
}

static ae_status pcm_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    pcm_writer *s = writer->state;
    pcm_format f = format_of(writer->codec);
    size_t bytes = ae_sample_bytes(f.sample), left = (size_t)n_rows * writer->info.channels, n;
    const uint8_t *from = rows;
    ae_status st = AE_OK;

    for (; left && st == AE_OK; left -= n, from += n * bytes) {
        n = left < sizeof(s->block) / bytes ? left : sizeof(s->block) / bytes;
        memcpy(s->block, from, n * bytes);
        convert(f, s->block, n);
        st = s->sink->write(s->sink->opaque, s->block, n * bytes, err);
    }
    return st;
}

static void pcm_abandon(ae_writer *writer)
{
    ae_free(writer->state);
}

static ae_status pcm_finish(ae_writer *writer, ae_error *err)
{
    (void)err;
    pcm_abandon(writer);
    return AE_OK;
}

static const char *const no_suffix[] = {NULL};

#define PCM_CODEC(symbol, type)                                                                    \
    static void symbol##_accepts(ae_signal_info *info, char note[160])                             \
    {                                                                                              \
        (void)note;                                                                                \
        info->sample = type;                                                                       \
        info->bits = 8 * (uint32_t)ae_sample_bytes(type);                                          \
    }                                                                                              \
    const ae_codec aei_codec_##symbol = {.name = #symbol,                                          \
                                         .description = "raw samples (" #symbol ")",               \
                                         .suffixes = no_suffix,                                    \
                                         .kind = AE_KIND_AUDIO,                                    \
                                         .probe = pcm_probe,                                       \
                                         .open = pcm_refuse,                                       \
                                         .close = pcm_close,                                       \
                                         .accepts = symbol##_accepts,                              \
                                         .create = pcm_create,                                     \
                                         .write = pcm_write,                                       \
                                         .finish = pcm_finish,                                     \
                                         .abandon = pcm_abandon,                                   \
                                         .read_some = pcm_read_some};

PCM_CODEC(u8, AE_S8)
PCM_CODEC(s8, AE_S8)
PCM_CODEC(s16le, AE_S16)
PCM_CODEC(s16be, AE_S16)
PCM_CODEC(s24le, AE_S24)
PCM_CODEC(s24be, AE_S24)
PCM_CODEC(s32le, AE_S32)
PCM_CODEC(s32be, AE_S32)
PCM_CODEC(f32le, AE_F32)
PCM_CODEC(f32be, AE_F32)
PCM_CODEC(f64le, AE_F64)
PCM_CODEC(f64be, AE_F64)

static const ae_codec *const pcm_codecs[] = {&aei_codec_u8,    &aei_codec_s8,    &aei_codec_s16le,
                                             &aei_codec_s16be, &aei_codec_s24le, &aei_codec_s24be,
                                             &aei_codec_s32le, &aei_codec_s32be, &aei_codec_f32le,
                                             &aei_codec_f32be, &aei_codec_f64le, &aei_codec_f64be};

const ae_codec *ae_pcm_codec(const char *name)
{
    for (size_t i = 0; i < sizeof(pcm_codecs) / sizeof(pcm_codecs[0]); i++)
        if (strcmp(pcm_codecs[i]->name, name) == 0)
            return pcm_codecs[i];
    return NULL;
}
