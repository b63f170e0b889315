/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the reading and the writing of sounds through libsndfile share. */
#ifndef AEI_SNDCODEC_H
#define AEI_SNDCODEC_H

#include <sndfile.h>

#include "soundfile.h"

enum { AEI_SOUND_BLOCK = 1 << 14 /* samples */, AEI_SOUND_CHANNELS = 1024 };

typedef struct sound_format {
    const char *name; /* as ae_codec has it */
    sound_family family;
    int major;
    unsigned max_channels;
    bool lossy;
} sound_format;

/* What a writer takes over. */
typedef struct sound_class {
    int format;
    int map[AEI_SOUND_CHANNELS]; /* where the channels stand, as libsndfile names the places */
    bool has_map;
} sound_class;

/* NULL: not one of these. */
const sound_format *aei_sound_format(const ae_codec *codec);

/* ---- places of channels ---- */

/* The bits of WAVEFORMATEXTENSIBLE for places that libsndfile names; 0 where they are unknown or in
 * another order. */
uint64_t aei_sound_layout_of(const int *map, unsigned n);
/* The reverse; false: these are not the places of n channels. */
bool aei_sound_places(uint64_t layout, unsigned n, int *map);
/* What FLAC, Vorbis and Opus take so many channels for. */
uint64_t aei_sound_usual(unsigned channels);
/* order[i]: which of the file's channels is our i-th; NULL: they stand as they should. */
const uint8_t *aei_sound_order(const sound_format *format, unsigned channels);
bool aei_sound_is_place(int place);

/* Vorbis states a nominal rate in its first packet, which says better than a file's size how it was
 * made. */
enum { AEI_VORBIS_HEAD = 52 };
double aei_vorbis_kbps(const uint8_t head[AEI_VORBIS_HEAD]);

/* ---- of ae_codec (ae/codec.h) ---- */

ae_status aei_sound_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                         ae_error *err);
ae_status aei_sound_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                              ae_error *err);
void aei_sound_close(ae_reader *reader);

void aei_sound_accepts_all(ae_signal_info *info, char note[160]);
void aei_sound_accepts_float(ae_signal_info *info, char note[160]);
void aei_sound_accepts_flac(ae_signal_info *info, char note[160]);
ae_status aei_sound_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                           const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_sound_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_sound_finish(ae_writer *writer, ae_error *err);
void aei_sound_abandon(ae_writer *writer);

#endif
