/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The file that an archive is written to. A new one is written where it belongs, so that a run that
 * is killed leaves what it did, and the same command goes on; one writer at a time, by a lock. One
 * that replaces another, a pipe or a device goes by ae_output. */
#ifndef ARCHIVE_FILE_H
#define ARCHIVE_FILE_H

#include "ae/codec.h"
#include "ae/output.h"

typedef struct archive_file {
    const char *path;
    ae_output *output; /* NULL: in place */
    int fd;            /* in place */
    bool fresh;        /* in place: there was nothing */
    uint64_t old_size; /* in place: what failing leaves; set by archive_file_cut */
    ae_sink in_place;
    ae_sink *sink; /* to write to */
} archive_file;

/* append: goes on with a finished file, too, and waits where another program writes to it; else
 * only one that is new, empty or not finished may be there (which the caller sees to), unless force
 * is given. Zeroes *file first; close it whatever happens. */
ae_status archive_file_open(archive_file *file, const char *path, bool append, bool force,
                            ae_error *err);
/* What lies at `size` or behind goes; there the writing begins. */
ae_status archive_file_cut(archive_file *file, uint64_t size, ae_error *err);
/* All that was written is on the disk; before what names it is written, and after that. */
ae_status archive_file_sync(archive_file *file, ae_error *err);
/* For reading what was written; -1: it cannot be read. */
int archive_file_descriptor(archive_file *file);
/* All is well: what was written counts. */
ae_status archive_file_commit(archive_file *file, ae_error *err);
/* Nothing of what was begun stays, unless it was committed. Fine on zeroes with fd = -1. */
void archive_file_close(archive_file *file);

#endif
