/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The formats of sounds that libsndfile reads and writes, as the registry sees them: how each is
 * known by its first bytes, and what does its work. Reading is in sndread.c, writing in sndwrite.c;
 * what stands beside the samples is soundmeta.c's. */
#include <string.h>

#include "module.h"
#include "sndcodec.h"

static int wav_probe(const uint8_t *h, size_t n)
{
    return (aei_has_text(h, n, 0, "RIFF") || aei_has_text(h, n, 0, "RF64") ||
            aei_has_text(h, n, 0, "RIFX")) &&
                   aei_has_text(h, n, 8, "WAVE")
               ? 100
               : 0;
}

static int w64_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, "riff\x2e\x91\xcf\x11") ? 100 : 0;
}

static int aiff_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, "FORM") &&
                   (aei_has_text(h, n, 8, "AIFF") || aei_has_text(h, n, 8, "AIFC"))
               ? 100
               : 0;
}

static int au_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, ".snd") || aei_has_text(h, n, 0, "dns.") ? 100 : 0;
}

static int caf_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, "caff") ? 100 : 0;
}

/* Where an ID3 tag ends, as far as the head shows it. */
static size_t behind_id3(const uint8_t *h, size_t n)
{
    return n >= 10 && memcmp(h, "ID3", 3) == 0
               ? 10 + ((size_t)(h[6] & 127) << 21 | (size_t)(h[7] & 127) << 14 |
                       (size_t)(h[8] & 127) << 7 | (h[9] & 127))
               : 0;
}

static int flac_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, behind_id3(h, n), "fLaC") ? 100 : 0;
}

static int vorbis_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, "OggS") && aei_has_text(h, n, 28, "\x01vorbis") ? 100 : 0;
}

static int opus_probe(const uint8_t *h, size_t n)
{
    return aei_has_text(h, n, 0, "OggS") && aei_has_text(h, n, 28, "OpusHead") ? 100 : 0;
}

/* A tag, or a frame's head (of layer 1 to 3) and another where the first one ends: the head alone
 * is found in anything. */
static int mp3_probe(const uint8_t *h, size_t n)
{
    static const uint16_t rates[2][3][16] = {
        {{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
         {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
         {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}},
        {{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
         {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
         {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}}};
    static const unsigned hertz[3] = {44100, 48000, 32000};
    size_t at = 0;

    if (aei_has_text(h, n, 0, "ID3"))
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
                            : (layer == 3 && version != 3 ? 72000 : 144000) * kbps / rate +
                                  (h[at + 2] >> 1 & 1);
        at += length;
    }
    return 50;
}

#define WRITES(takes)                                                                              \
    .accepts = takes, .create = aei_sound_create, .write = aei_sound_write,                        \
    .finish = aei_sound_finish, .abandon = aei_sound_abandon
#define SNDFILE(takes)                                                                             \
    .open = aei_sound_open, .read_some = aei_sound_read_some, .close = aei_sound_close,            \
    WRITES(takes)
#define MP3                                                                                        \
    .open = aei_mp3_open, .read_some = aei_module_read_some, .close = aei_module_close,            \
    WRITES(aei_sound_accepts_float)

AEI_SOUND_CODEC(wav, "WAV", SNDFILE(aei_sound_accepts_all), "wav", "wave", "rf64", "bwf")
AEI_SOUND_CODEC(w64, "Wave64", SNDFILE(aei_sound_accepts_all), "w64")
AEI_SOUND_CODEC(aiff, "AIFF", SNDFILE(aei_sound_accepts_all), "aiff", "aif", "aifc")
AEI_SOUND_CODEC(au, "AU", SNDFILE(aei_sound_accepts_all), "au", "snd")
AEI_SOUND_CODEC(caf, "Core Audio", SNDFILE(aei_sound_accepts_all), "caf")
AEI_SOUND_CODEC(flac, "FLAC", SNDFILE(aei_sound_accepts_flac), "flac")
AEI_SOUND_CODEC(vorbis, "Ogg Vorbis", SNDFILE(aei_sound_accepts_float), "ogg", "oga")
AEI_SOUND_CODEC(opus, "Ogg Opus", SNDFILE(aei_sound_accepts_float), "opus")
AEI_SOUND_CODEC(mp3, "MP3", MP3, "mp3", "mp2")
