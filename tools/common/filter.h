/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures from file to file through a network that may change their size: what the tools for that
 * share. */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include "ae/model.h"
#include "ae/superres.h"
#include "common/compare.h"
#include "common/picture.h"

typedef struct filter_options {
    picture_options picture;
    const char *compare, *noise_map; /* the latter is aedenoise's */
    uint32_t precision;              /* an ae_precision */
    uint32_t tile;
    bool first; /* --first-picture */
} filter_options;

/* Rows of an option table; `f` is a filter_options. */
#define FILTER_OPTIONS(f)                                                                          \
    {0,                                                                                            \
     "precision",                                                                                  \
     CLI_CHOICE,                                                                                   \
     &(f).precision,                                                                               \
     "auto|f32|bf16",                                                                              \
     "arithmetic; auto takes bf16 where the processor computes in it",                             \
     0,                                                                                            \
     0},                                                                                           \
        {0,       "tile",                                                                          \
         CLI_INT, &(f).tile,                                                                       \
         "N",     "edge of the tiles in pixels of the input; more memory, less time, same result", \
         32,      16384},                                                                          \
        PICTURE_FIRST((f).first),                                                                  \
        {'c',        "compare",                                                                    \
         CLI_STRING, &(f).compare,                                                                 \
         "FILE",     "also write a picture of before and after, side by side",                     \
         0,          0},                                                                           \
        PICTURE_OPTIONS((f).picture)

/* A file that has been opened and recognised, or raw samples, which have no source. */
typedef struct filter_input {
    ae_source *source;
    ae_reader reader;
    bool shared; /* by several pictures: whoever takes it gives it back */
} filter_input;
ae_status filter_input_open(filter_input *in, const char *path, uint32_t track, ae_error *err);
void filter_input_close(filter_input *in);

/* What a tool does with a kind of signal. process takes *in over, whatever it returns. */
typedef struct filter_kind {
    ae_kind kind;
    ae_status (*process)(const cli_item *item, filter_input *in, ae_error *err);
} filter_kind;
/* By the kind of what is in the file; kinds ends with a zero. Of several pictures each goes to a
 * numbered file. */
ae_status filter_by_kind(const filter_kind *kinds, const filter_options *options,
                         const cli_item *item, filter_input *in, ae_error *err);

/* One picture on its way. */
typedef struct filter_picture {
    const filter_options *options;
    const cli_item *item;
    double start;
    ae_row_source rows; /* for the filter */
    ae_row_sink sink;
    ae_signal_info result; /* of the rows that it writes */
    uint32_t quality;      /* of lossy output where none is asked for; 0: like the input's */

    filter_input *shared; /* to be given back, or NULL */
    ae_source *source;
    ae_reader reader;
    ae_meta meta; /* of the output */
    bool has_meta;
    ae_output *output;
    ae_encoder encoder;
    compare compare;
    ae_rescaler *before; /* of the comparison, where the size changes */
} filter_picture;

/* In this order; whatever fails, filter_close comes last. */
void filter_take(filter_picture *p, const filter_options *options, const cli_item *item,
                 filter_input *in);
/* after all rows were read, to read them again */
ae_status filter_reopen(filter_picture *p, ae_error *err);
/* opens the outputs */
ae_status filter_begin(filter_picture *p, const ae_signal_info *result, ae_error *err);
void filter_progress(void *picture, double done);
ae_status filter_finish(filter_picture *p, ae_error *err);
void filter_close(filter_picture *p);
/* --verbose and --json; what: the tool's own part of the line. */
void filter_report(const filter_picture *p, const char *what, const ae_model *model,
                   const ae_run_stats *stats);

/* Finds and opens a model. */
ae_status filter_find(const char *name, ae_model **out, ae_error *err);
/* The same, or says why not and returns CLI_FAILED; else CLI_GO_ON. */
int filter_load(const char *name, ae_model **out);

/* A whole tool: job->opaque begins with a filter_options; of the job, process, opaque and, once
 * `prepare` has returned CLI_GO_ON, the names are set, and `wanted` where it is NULL. prepare:
 * after the options were parsed. */
int filter_main(const cli_tool *tool, cli_job *job, int (*prepare)(int n_operands), int argc,
                char **argv);

#endif
