/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds from file to file, in blocks of f32: formats, depths, limits, what is said on the way. */
#ifndef CLI_SOUND_H
#define CLI_SOUND_H

#include "common/filter.h"
#include "common/limiter.h"
#include "common/text.h"

typedef struct sound_options {
    uint32_t rate, channels; /* of raw samples; 0: not given */
    uint32_t track;          /* of files with several; 0: the first */
    bool live;
    const ae_codec *raw; /* the input is raw samples of this format, or NULL */
} sound_options;

/* Rows of an option table; `s` is a sound_options. */
/* clang-format off */
#define SOUND_OPTIONS(s) \
    {0, "rate", CLI_INT, &(s).rate, "HZ", \
     "input is raw samples of this rate; --format says of which type (s16le, f32le, ...)", 1, \
     INT32_MAX}, \
    {0, "channels", CLI_INT, &(s).channels, "N", "and of so many channels; 1 if not given", 1, \
     1024}, \
    {0, "track", CLI_INT, &(s).track, "N", \
     "of files with several sounds or pictures the N-th; the first if not given", 1, 1000}
/* clang-format on */

/* After the options were parsed and picture_format: CLI_GO_ON, or CLI_USAGE after saying what does
 * not go together. */
int sound_check(sound_options *sound, const filter_options *options);

/* One sound on its way. */
typedef struct sound_file {
    const filter_options *options;
    const sound_options *sound;
    const cli_item *item;
    double start;
    filter_input in;
    ae_signal_info result; /* as it is written */
    uint64_t read, written;

    ae_output *output;
    ae_encoder encoder;
    limiter limiter;
    uint8_t *rows;  /* a block as it is stored */
    uint32_t block; /* frames */
    bool noted;
} sound_file;

/* In this order; whatever fails, sound_close comes last. sound_open takes *in over. */
ae_status sound_open(sound_file *s, const filter_options *options, const sound_options *sound,
                     const cli_item *item, filter_input *in, ae_error *err);
/* from the beginning; not of pipes that are not spooled */
ae_status sound_reopen(sound_file *s, ae_error *err);
/* opens the output; fails where it cannot hold the sound */
ae_status sound_begin(sound_file *s, ae_error *err);
/* Up to s->block frames; *n is 0 at the end. */
ae_status sound_read(sound_file *s, float *frames, uint32_t *n, ae_error *err);
ae_status sound_write(sound_file *s, const float *frames, size_t n, ae_error *err);
ae_status sound_finish(sound_file *s, ae_error *err);
void sound_close(sound_file *s);

#endif
