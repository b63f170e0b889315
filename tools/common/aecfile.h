/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An .aec file from disk or standard input, and what is needed to decode its items. */
#ifndef CLI_AECFILE_H
#define CLI_AECFILE_H

#include "common/codecs.h"

typedef struct aecfile {
    ae_container *container;
    int fd; /* of a regular file, read without going through a buffer; -1: source */
    ae_source *source;
    uint64_t size;        /* bytes */
    codecs codecs;        /* of network items */
    ae_item_reader *pack; /* of the last packed item */
    uint64_t pack_offset;
} aecfile;

/* Zeroes *file first; close it whatever happens. */
ae_status aecfile_open(aecfile *file, const char *path, ae_error *err);
/* of a regular file, which stays the caller's */
ae_status aecfile_open_descriptor(aecfile *file, int fd, ae_error *err);
void aecfile_close(aecfile *file);

typedef struct aecfile_options {
    /* a codec to decode with, NULL: the embedded one, or one found by its identity */
    const char *model;
    ae_region region;
    bool preview;
    /* of sounds: the part wanted, in seconds or in frames, of arrays in rows; to 0: to the end */
    double from, to;
    bool in_frames;
    ae_control control; /* cancel is cli_cancel, whatever it says */
} aecfile_options;

/* The type of the rows that aecfile_decode writes, and how many there are. */
ae_signal_info aecfile_result(const ae_item *item, const aecfile_options *options);
/* Fails where the part wanted of a sound or an array begins behind its end; what ends behind it
 * ends with it. */
ae_status aecfile_check_range(const ae_item *item, const aecfile_options *options, ae_error *err);
/* Decodes an item and, where it is whole and has a hash, checks that: *checked tells. */
ae_status aecfile_decode(aecfile *file, const ae_item *item, const aecfile_options *options,
                         const ae_row_sink *sink, bool *checked, ae_error *err);

/* Copies an item that is not packed, with its tiles, metadata and hash. n_lost: counts tiles that
 * cannot be read; NULL: they are an error. */
ae_status aecfile_copy(const ae_container *from, const ae_item *item, ae_container_writer *to,
                       uint32_t *n_lost, ae_error *err);

#endif
