/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An archive being made, as its parts see it: the file (archive.c), the jobs that workers take
 * (archive_jobs.c), and the items that they become (archive_items.c).
 *
 * Several pictures are coded at the same time and written in the order of the inputs: what is in
 * the file does not depend on the number of threads. A worker takes an input and, when its turn has
 * come, decides whether the picture waits for others of its kind; what is now to be written gets a
 * ticket. That is coded, and written when all tickets before it are. */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <pthread.h>
#include <stdio.h>

#include "common/idx.h"
#include "common/plan.h"
#include "archive_file.h"
#include "compress.h"
#include "gather.h"
#include "labels.h"

typedef struct archive {
    compress_options *o;
    ae_container_writer *writer; /* of who holds the ticket that is up */
    archive_file file;
    bool appended; /* to a finished one: where this fails it stays as it was */
    bool ending;   /* what was taken is written, even where more was to come */
    ae_sink sink;  /* to the file */
    ae_status sink_status;
    uint32_t threads; /* for one picture */

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    cli_plan plan;
    size_t next;  /* of the inputs */
    idx_file idx; /* being read, of the input before next */
    uint32_t idx_done;
    item_label *labels; /* NULL: not given */
    size_t labelled;    /* items that have theirs */
    uint64_t n_taken, turn, n_tickets, ticket;
    gathered kinds[GATHER_KINDS];
    name_set names, found; /* all that are taken; those that a run that broke off had written */
    FILE *json;
    size_t failed, done, n_found;
    bool broken; /* the file itself cannot be written any more */
} archive;

/* What a worker takes: a picture file, or some pictures of an IDX file that lie in `pack` already.
 */
typedef struct job {
    const cli_input *in;
    uint64_t turn;
    uint32_t first;
    const char *label; /* of a file, or NULL */
    gathered pack;     /* to be written; n = 0: a file */
} job;

/* What is written with a ticket: code it, wait, write it. */
typedef struct writing {
    archive *a;
    uint64_t ticket, n_bytes;
    ae_status st;
} writing;

static inline bool archive_stopped(const archive *a)
{
    return (cli_cancel.requested && !a->ending) || a->broken;
}

/* ---- archive_items.c ---- */

/* A worker's job: the item, or the items, of a file; some pictures of an IDX file. How it went is
 * told, and counted. */
void archive_run_file(archive *a, job *j);
void archive_run_pack(archive *a, job *j);
/* Writes a pack with its ticket, and clears it. */
ae_status archive_write_pack(writing *w, gathered *g, ae_error *err);

/* ---- archive_jobs.c ---- */

/* All of the shard, by as many threads as there are. */
void archive_run_jobs(archive *a);
/* One label for each item that the inputs will be: each file is one, an IDX file as many as it has
 * pictures. */
ae_status archive_read_labels(archive *a, ae_error *err);
/* --dry-run */
void archive_show_plan(const archive *a);

#endif
