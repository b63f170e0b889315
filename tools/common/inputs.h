/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From what was named on the command line to a list of files. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include <sys/types.h>
#include <time.h>

#include "ae/status.h"

typedef struct cli_input {
    char *path;
    /* within path: what follows the directory that was named, or the file's own name */
    const char *below;
    bool named; /* itself, rather than a directory above it */
    bool exists;
    dev_t device; /* where it exists */
    ino_t inode;
    struct timespec changed;
    mode_t mode;
} cli_input;

typedef struct cli_inputs {
    cli_input *items;
    size_t n, capacity;
    size_t n_others; /* files below directories that were of other kinds */
    char *other;     /* the first of them, or NULL */
    size_t n_links;  /* below directories, to other directories or to nothing: left out */
    char *link;      /* likewise */
} cli_inputs;

/* What becomes of a file below a directory. */
typedef enum cli_taken {
    CLI_OTHER, /* it is of another kind, which is counted */
    CLI_TAKEN,
    CLI_PASSED /* an earlier run made it */
} cli_taken;

typedef struct cli_walk {
    bool
        /* directories stand for the files below them, sorted by name; hidden ones and linked
         * directories are left out */
        recursive;
    void *opaque;
    cli_taken (*wanted)(void *opaque, const char *path); /* NULL: all are taken */
    const char *leave_out; /* a directory not to enter (the one written to), or NULL */
} cli_walk;

/* Appends a file, "-", or what is below a directory. Files named are taken as they are, missing
 * ones too. A directory without `recursive` is an error that names it. So is one that cannot be
 * read, after the rest of the tree was taken: of several all but the last are told at once. On
 * failure *inputs holds what it held and perhaps more. */
ae_status cli_inputs_add(cli_inputs *inputs, const char *operand, const cli_walk *walk,
                         ae_error *err);
/* Calls `take` for each name in a file ("-": standard input) that lists them, one a line, whatever
 * system's lines these are, or ended by NUL if there is one; empty ones are left out. Ends where
 * `take` returns false. */
ae_status cli_inputs_read_list(const char *path, void *opaque,
                               bool (*take)(void *opaque, const char *name), ae_error *err);
/* Counts a file as one of another kind, also after it was taken for one of these. */
void cli_inputs_count_other(cli_inputs *inputs, const char *path);
/* One message about what was left out, if anything was. */
void cli_inputs_say_others(const cli_inputs *inputs);
void cli_inputs_clear(cli_inputs *inputs);

#endif
