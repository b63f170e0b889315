/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An .aec file from disk or standard input. */
#ifndef CLI_AECFILE_H
#define CLI_AECFILE_H

#include "ae/archive.h"

typedef struct aecfile {
    ae_archive *archive;
    ae_container *container; /* its */
    int fd; /* of a regular file, read without going through a buffer; -1: source */
    ae_source *source;
    uint64_t size; /* bytes */
} aecfile;

/* Zeroes *file first; close it whatever happens. */
ae_status aecfile_open(aecfile *file, const char *path, ae_error *err);
/* of a regular file, which stays the caller's */
ae_status aecfile_open_descriptor(aecfile *file, int fd, ae_error *err);
void aecfile_close(aecfile *file);

/* Copies an item that is not packed, with its tiles, metadata and hash. n_lost: counts tiles that
 * cannot be read; NULL: they are an error. */
ae_status aecfile_copy(const ae_container *from, const ae_item *item, ae_container_writer *to,
                       uint32_t *n_lost, ae_error *err);

#endif
