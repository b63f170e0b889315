/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What all tools for pictures share: how they begin, which files they take, the formats of their
 * output. */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include "common/batch.h"
#include "ae/output.h"
#include "ae/files.h"

typedef struct picture_options {
    cli_batch_options batch;
    const char *format;
    uint32_t quality; /* 0: not given */
    bool lossless;
    unsigned kinds; /* that --format may name, a bit for each ae_kind; 0: pictures */

    const ae_codec *codec; /* of `format`, or NULL */
} picture_options;

/* Rows of an option table; `p` is a picture_options. */
/* clang-format off */
#define PICTURE_OPTIONS(p) \
    {'q', "quality", CLI_INT, &(p).quality, "N", \
     "quality of lossy output, 1 to 100; if not given like the input's", 1, 100}, \
    {0, "lossless", CLI_FLAG, &(p).lossless, NULL, \
     "write without loss where the format offers both", 0, 0}, \
    {0, "format", CLI_STRING, &(p).format, "NAME", "format of the output, whatever its name says", \
     0, 0}, \
    CLI_BATCH_OPTIONS((p).batch)
/* clang-format on */

/* cli_start, with all processors for the default of --jobs, and files being written removed by a
 * second signal. */
int picture_start(const cli_tool *tool, cli_batch_options *batch, int argc, char **argv,
                  char ***operands, int *n_operands);
/* Of ae_output_open, as --force and --preserve say. */
unsigned picture_output_flags(const cli_batch_options *batch);
/* Finds the codec of --format; CLI_GO_ON, or CLI_USAGE after saying why not. */
int picture_format(picture_options *options);
/* The codec to write `output` with: that of --format, if it is of the kind of `standard`; of
 * standard output `standard`; else by the suffix. */
ae_status picture_codec(const picture_options *options, const char *output,
                        const ae_codec *standard, const ae_codec **out, ae_error *err);
bool picture_has_suffix(const ae_codec *codec, const char *path);
/* whether its suffix is one of these kinds of signal, a bit for each */
bool picture_is_named(const char *path, unsigned kinds);
/* The same of a file below a directory: far more files are called .ts that are programs than that
 * are transport streams, so those are taken only where they are named. */
bool picture_in_tree(const char *path, unsigned kinds);
/* which files below directories are pictures: cli_job's `wanted` */
bool picture_wanted(void *opaque, const char *path);
/* --first-picture: of files of several pages or frames, all of which are taken without it; and
 * --max-pixels. */
#define PICTURE_FIRST(flag)                                                                        \
    {0,        "first-picture",                                                                    \
     CLI_FLAG, &(flag),                                                                            \
     NULL,     "of files of several pages or frames take the first",                               \
     0,        0},                                                                                 \
    {                                                                                              \
        0, "max-pixels", CLI_SIZE, &picture_limits.max_pixels, "N",                                \
            "refuse pictures of more pixels; 256M where not given", 0, 0                           \
    }
extern ae_limits picture_limits; /* for reading */
/* How many pictures are to be made of what a file holds: one where it was opened at one beyond the
 * first; of those that are left out its reader's note tells. Several where there is no room for
 * more than one, or where they cannot be read, are an error. */
ae_status picture_count(ae_reader *reader, bool first, bool room, uint32_t *n, ae_error *err);
/* Puts the file's name before the message, as is needed where the batch names another one. */
ae_status picture_name_file(const char *path, ae_status st, ae_error *err);

#endif
