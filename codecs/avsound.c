/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The formats of sounds that avread.c and avwrite.c know, as the registry sees them: how each is
 * known by its first bytes. The rest is in a module. */
#include <string.h>

#include "module.h"
#include "soundfile.h"

static bool has(const uint8_t *head, size_t n, size_t at, const char *text)
{
    size_t length = strlen(text);

    return at + length <= n && memcmp(head + at, text, length) == 0;
}

static int mp4_probe(const uint8_t *h, size_t n)
{
    return has(h, n, 4, "ftyp")
               ? has(h, n, 8, "qt  ") || has(h, n, 8, "M4A ") || has(h, n, 8, "M4B ") ? 40 : 50
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
    return n >= 4 * 188 && h[0] == 0x47 && h[188] == 0x47 && h[376] == 0x47 && h[564] == 0x47 ? 60
                                                                                              : 0;
}

/* MP3 is written by libsndfile, whose decoder speaks its mind on stderr about files that are
 * damaged. */
ae_status aei_mp3_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    sound_layout layout = {0};
    ae_status st = aei_sound_meta(source, SOUND_MPEG, limits, &reader->meta, &layout, reader->note,
                                  err);

    return st == AE_OK ? aei_module_open(source, limits, reader, err) : st;
}

/* The coder is chosen by the input: nothing is known yet. */
static void accepts(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

#define AV_CODEC(symbol, text, ...)                                                                \
    static const char *const symbol##_suffixes[] = {__VA_ARGS__, NULL};                            \
    const ae_codec aei_codec_##symbol = {.name = #symbol,                                          \
                                         .description = text,                                      \
                                         .suffixes = symbol##_suffixes,                            \
                                         .kind = AE_KIND_AUDIO,                                    \
                                         .probe = symbol##_probe,                                  \
                                         .open = aei_module_open,                                  \
                                         .read_some = aei_module_read_some,                        \
                                         .close = aei_module_close,                                \
                                         .accepts = accepts,                                       \
                                         .create = aei_module_create,                              \
                                         .write = aei_module_write,                                \
                                         .finish = aei_module_finish,                              \
                                         .abandon = aei_module_abandon};

AV_CODEC(m4a, "MPEG-4 sound", "m4a", "m4b")
AV_CODEC(mp4, "MP4", "mp4", "m4v")
AV_CODEC(mov, "QuickTime", "mov", "qt")
AV_CODEC(mkv, "Matroska", "mkv", "mka")
AV_CODEC(webm, "WebM", "webm")
AV_CODEC(wma, "Windows Media", "wma", "wmv", "asf")
AV_CODEC(avi, "AVI", "avi")
AV_CODEC(aac, "AAC", "aac")
AV_CODEC(ts, "MPEG transport stream", "ts", "m2ts")
