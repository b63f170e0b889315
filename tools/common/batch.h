/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Many inputs, each to its output: names, refusals, shards, threads, progress, records and the exit
 * status, alike in all filters. */
#ifndef CLI_BATCH_H
#define CLI_BATCH_H

#include "common/json.h"
#include "common/options.h"

typedef struct cli_batch_options {
    const char *output;     /* FILE, DIR or NULL: beside the input */
    const char *shard;      /* "K/N" or NULL */
    const char *json;       /* NULL, "" or FILE */
    const char *files_from; /* a list of inputs, "-" or NULL */
    uint32_t jobs;          /* threads in all */
    uint32_t verbose;
    bool recursive, skip_existing, newer, preserve, force, dry_run, quiet;
} cli_batch_options;

/* Rows of an option table; `b` is a cli_batch_options whose jobs is set to the number of
 * processors. */
/* clang-format off */
#define CLI_BATCH_OPTIONS(b) \
    {0, NULL, CLI_HEADING, NULL, NULL, "Files", 0, 0}, \
    {'o', "output", CLI_STRING, &(b).output, "FILE|DIR", \
     "where to write; - is standard output; a directory mirrors trees", 0, 0}, \
    {'r', "recursive", CLI_FLAG, &(b).recursive, NULL, "take the files below directories", 0, 0}, \
    {'f', "force", CLI_FLAG, &(b).force, NULL, "overwrite existing output", 0, 0}, \
    {0, "skip-existing", CLI_FLAG, &(b).skip_existing, NULL, \
     "leave inputs alone whose output exists", 0, 0}, \
    {0, "newer", CLI_FLAG, &(b).newer, NULL, \
     "only inputs that changed after their output was written, or have none", 0, 0}, \
    {0, "files-from", CLI_STRING, &(b).files_from, "FILE", \
     "also take the inputs listed there, one a line or ended by NUL", 0, 0}, \
    {0, "preserve", CLI_FLAG, &(b).preserve, NULL, \
     "give outputs the modes and times of their inputs", 0, 0}, \
    {0, "shard", CLI_STRING, &(b).shard, "K/N", \
     "take every N-th input only, beginning with the K-th", 0, 0}, \
    {0, "dry-run", CLI_FLAG, &(b).dry_run, NULL, "only print what would be written", 0, 0}, \
    {0, NULL, CLI_HEADING, NULL, NULL, "General", 0, 0}, \
    {'j', "jobs", CLI_JOBS, &(b).jobs, "N|auto", \
     "threads in all, given to files first; auto: the idle processors", 1, 1024}, \
    {0, "json", CLI_OPTIONAL, &(b).json, "FILE", \
     "one JSON object a line for each input, on standard output (standard error where that " \
     "carries data), or added to FILE", 0, 0}, \
    {'v', "verbose", CLI_COUNT, &(b).verbose, NULL, "say what was found and done", 0, 0}, \
    {0, "quiet", CLI_FLAG, &(b).quiet, NULL, "no progress and no notes, only errors", 0, 0}
/* clang-format on */

typedef struct cli_batch cli_batch;

typedef struct cli_item {
    const char *input, *output; /* "-": standard input, standard output */
    uint32_t threads;           /* for this item */
    cli_json *json;             /* of this item's record: the tool adds its own fields */
    cli_batch *batch;
    uint32_t worker;
    size_t index; /* of the input */
    /* of a part: what of the whole is done before it, and what it is; share 0: it is the whole */
    double before, share;
    double amount_before;
} cli_item;

/* A file that a run writes beside the outputs. */
typedef struct cli_side {
    const char *option, *path; /* "compare", its argument or NULL */
} cli_side;

enum { CLI_MAX_SIDES = 6 };

typedef struct cli_job {
    const cli_batch_options *options;
    /* names beside the input and under -o DIR: %n is the input's name without suffix, %e its suffix
     */
    const char *beside, *under;
    const char *unit;              /* of the amounts reported, "MP" */
    cli_side sides[CLI_MAX_SIDES]; /* must be neither inputs nor outputs; --json's is added */
    void *opaque;
    const char *together; /* how several inputs go into one file, to be said where -o names one */
    /* The suffix (without dot) that output made from this path gets; NULL for the input's own. May
     * be NULL. */
    const char *(*suffix)(void *opaque, const char *input);
    bool (*wanted)(void *opaque, const char *path); /* which files below directories are inputs */
    bool anywhere;                                  /* outputs lie where links lead, too */
    bool refuses; /* process itself refuses an output that is there, when it knows what for */
    bool plans; /* process is called under --dry-run, too, and prints itself what it would write */
    /* Called from several threads. The message on failure does not name the input. */
    ae_status (*process)(void *opaque, const cli_item *item, ae_error *err);
} cli_job;

/* Runs the whole batch and returns the exit status. */
int cli_batch_run(const cli_job *job, char **operands, int n_operands);
/* One of several pictures of an item's file, which goes to a numbered file of its own: an item with
 * its own record. */
typedef struct cli_part {
    cli_item item;
    cli_json json;
    char *output;
    double start;
} cli_part;
/* Whether parts have somewhere to go: what was named with -o is a directory. */
bool cli_item_divides(const cli_item *item);
/* The k-th of n, from 1 on. *skip: its output is there, and that is fine. End it whatever is
 * returned; a failure is told of. */
ae_status cli_part_begin(cli_part *part, const cli_item *whole, uint32_t k, uint32_t n, bool *skip,
                         ae_error *err);
void cli_part_end(cli_part *part, ae_status st, bool skip, const ae_error *err);

/* Of one item: done in 0..1, amount in units so far. */
void cli_item_progress(const cli_item *item, double done, double amount);
/* Of a sound: hours of it so far. */
void cli_item_progress_sound(const cli_item *item, double done, double hours);
/* "aedenoise: photo.jpg: ..." unless --quiet. */
void cli_item_note(const cli_item *item, const char *format, ...) AE_PRINTF(2, 3);

#endif
