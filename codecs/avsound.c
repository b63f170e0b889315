/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The formats of sounds that avread.c and avwrite.c know, as the registry sees them: how each is
 * known by its first bytes. The rest is in a module. */
#include <string.h>

#include "module.h"
#include "soundfile.h"

static int mp4_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 4, "ftyp")
               ? aei_has_text(h, n, 8, "qt  ") || aei_has_text(h, n, 8, "M4A ") ||
                         aei_has_text(h, n, 8, "M4B ")
                     ? 40
                     : 50
           : aei_has_text(h, n, 4, "moov") || aei_has_text(h, n, 4, "mdat") ||
                   aei_has_text(h, n, 4, "wide")
               ? 30
               : 0;
}

static int m4a_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 4, "ftypM4A ") || aei_has_text(h, n, 4, "ftypM4B ") ? 60 : 0;
}

static int mov_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 4, "ftypqt  ") ? 60 : 0;
}

static int mkv_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, "\x1a\x45\xdf\xa3") ? 70 : 0;
}

static int webm_probe(const uint8_t *h, size_t n)
{
    for (size_t i = 4; mkv_probe(h, n) && i < 60; i++)
        if (aei_has_text(h, n, i, "webm"))
            return 80;
    return 0;
}

static int wma_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11") ? 100 : 0;
}

static int avi_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, "RIFF") && aei_has_text(h, n, 8, "AVI ") ? 100 : 0;
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

#define AV                                                                                         \
    .open = aei_module_open, .read_some = aei_module_read_some, .close = aei_module_close,         \
    .accepts = accepts, .rereads = true, .create = aei_module_create, .write = aei_module_write,   \
    .finish = aei_module_finish, .abandon = aei_module_abandon

AEI_SOUND_CODEC(m4a, "MPEG-4 sound", AV, "m4a", "m4b")
AEI_SOUND_CODEC(mp4, "MP4", AV, "mp4", "m4v")
AEI_SOUND_CODEC(mov, "QuickTime", AV, "mov", "qt")
AEI_SOUND_CODEC(mkv, "Matroska", AV, "mkv", "mka")
AEI_SOUND_CODEC(webm, "WebM", AV, "webm")
AEI_SOUND_CODEC(wma, "Windows Media", AV, "wma", "wmv", "asf")
AEI_SOUND_CODEC(avi, "AVI", AV, "avi")
AEI_SOUND_CODEC(aac, "AAC", AV, "aac")
AEI_SOUND_CODEC(ts, "MPEG transport stream", AV, "ts", "m2ts")
