/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What reading and writing must know of a format of sounds: what libsndfile calls it, how many
 * channels it takes, and in which order and places it has them. */
#include <string.h>

#include "sndcodec.h"

static const sound_format formats[] = {
    {"wav", SOUND_RIFF, SF_FORMAT_WAV, AEI_SOUND_CHANNELS, false},
    {"w64", SOUND_W64, SF_FORMAT_W64, AEI_SOUND_CHANNELS, false},
    {"aiff", SOUND_AIFF, SF_FORMAT_AIFF, AEI_SOUND_CHANNELS, false},
    {"au", SOUND_AU, SF_FORMAT_AU, AEI_SOUND_CHANNELS, false},
    {"caf", SOUND_CAF, SF_FORMAT_CAF, AEI_SOUND_CHANNELS, false},
    {"flac", SOUND_FLAC, SF_FORMAT_FLAC, 8, false},
    {"vorbis", SOUND_OGG, SF_FORMAT_OGG, 8, true},
    {"opus", SOUND_OGG, SF_FORMAT_OGG | SF_FORMAT_OPUS, 8, true},
    {"mp3", SOUND_MPEG, SF_FORMAT_MPEG, 2, true},
};

const sound_format *aei_sound_format(const ae_codec *codec)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        if (strcmp(formats[i].name, codec->name) == 0)
            return &formats[i];
    return NULL;
}

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
uint64_t aei_sound_layout_of(const int *map, unsigned n)
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

bool aei_sound_places(uint64_t layout, unsigned n, int *map)
{
    unsigned filled = 0;

    for (unsigned k = 0; k < N_PLACES && filled < n; k++)
        if (layout >> k & 1)
            map[filled++] = places[k];
    return filled == n && !(layout >> N_PLACES) && __builtin_popcountll(layout) == (int)n;
}

/* What FLAC, Vorbis and Opus take so many channels for. */
uint64_t aei_sound_usual(unsigned channels)
{
    static const uint64_t layouts[] = {0, 0x4, 0x3, 0x7, 0x33, 0x37, 0x3f, 0x70f, 0x63f};

    return channels <= 8 ? layouts[channels] : 0;
}

/* Vorbis and Opus put the centre second and the bass last. channel_order[n][i]: which of theirs is
 * our i-th. */
const uint8_t *aei_sound_order(const sound_format *f, unsigned channels)
{
    static const uint8_t orders[9][8] = {[3] = {0, 2, 1},
                                         [5] = {0, 2, 1, 3, 4},
                                         [6] = {0, 2, 1, 5, 3, 4},
                                         [7] = {0, 2, 1, 6, 5, 3, 4},
                                         [8] = {0, 2, 1, 7, 5, 6, 3, 4}};

    return f->family == SOUND_OGG && channels <= 8 && orders[channels][1] ? orders[channels] : NULL;
}

bool aei_sound_is_place(int place)
{
    return place > SF_CHANNEL_MAP_INVALID && place < SF_CHANNEL_MAP_MAX;
}

double aei_vorbis_kbps(const uint8_t head[AEI_VORBIS_HEAD])
{
    enum { VORBIS_NOMINAL = 48 };
    const uint8_t *p = head + VORBIS_NOMINAL;

    return ((double)(p[0] | p[1] << 8 | p[2] << 16) + (double)p[3] * 16777216) * 1e-3;
}
