/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From items to their latents and back: what the tools that look at a model's latent space share.
 */
#ifndef CLI_LATENTS_H
#define CLI_LATENTS_H

#include "ae/model.h"
#include "common/dataset.h"
#include "common/matrix.h"
#include "common/normal.h"
#include "common/options.h"
#include "ae/output.h"
#include "ae/files.h"

typedef struct latents_options {
    /* layer NULL: "code", else one that draws the code, else the one with the fewest numbers */
    const char *model, *layer;
    uint32_t jobs;
    bool force, quiet, verbose;
    bool unwarned; /* nothing is said of items that are unlike what the model was trained on */
    bool misfits;  /* errors are those of common/misfit.h instead of mean squares */
    /* items that cannot be used are left out, silently; with `errors`, and no reconstructions */
    bool usable;
    uint32_t
        step; /* of windows of a series: lines from one to the next; 0: each begins after another */
    size_t first, most; /* the first item to encode, and how many, evenly spread; 0: all */
} latents_options;

/* Rows of an option table; `o` is a latents_options whose jobs is set to the number of processors.
 */
/* clang-format off */
#define LATENTS_OPTIONS(o) \
    {'m', "model", CLI_STRING, &(o).model, "NAME|FILE", "the autoencoder; needed", 0, 0}, \
    {0, "layer", CLI_STRING, &(o).layer, "NAME", \
     "the layer whose values are the latents; code, or else the narrowest", 0, 0}, \
    {'j', "jobs", CLI_JOBS, &(o).jobs, "N|auto", "threads; the result does not depend on them", 1, \
     1024}, \
    {'f', "force", CLI_FLAG, &(o).force, NULL, "overwrite existing output", 0, 0}, \
    {'v', "verbose", CLI_FLAG, &(o).verbose, NULL, "say what was found and done", 0, 0}, \
    { 0, "quiet", CLI_FLAG, &(o).quiet, NULL, "no progress and no notes, only errors", 0, 0 }
/* clang-format on */

typedef struct latents latents;

/* A whole tool. check (may be NULL): after the options were parsed, CLI_GO_ON or the exit status;
 * run: with the model open. */
int latents_main(const cli_tool *tool, latents_options *options, int (*check)(int n_operands),
                 ae_status (*run)(const latents *l, char **operands, int n, ae_error *err),
                 int argc, char **argv);

struct latents {
    ae_model *model;
    char layer[64];
    ae_shape input, code; /* of one item; n is 1 */
    /* of what the model was trained on; width 0: it does not say, or of another layer */
    normal_record normal;
    table table; /* of the tables that it was trained on; n 0: it was not */
};

/* Opens a model, NAME or FILE, with this layer (NULL: as in latents_options). Failing, *out is all
 * zeros. */
ae_status latents_of_model(const char *name, const char *layer, latents *out, ae_error *err);
void latents_close(latents *l);
/* The columns of a model of tables. */
ae_status columns_of_model(const ae_model *model, table *out, ae_error *err);

/* dataset_open of what the model takes. */
ae_status latents_open(const latents *l, const latents_options *options, char **operands, int n,
                       dataset **out, ae_error *err);

/* The code of each item (codes->n = items) and, where reconstructions is not NULL, what the network
 * makes of it, and in `errors` (may be NULL) its mean squared error. Everything is ae_alloc'ed; on
 * failure nothing. */
ae_status latents_encode(const latents *l, const latents_options *options, const dataset *data,
                         matrix *codes, matrix *reconstructions, float **errors, ae_error *err);
/* Which item the i-th of n codes is of. */
size_t latents_item(const latents_options *options, const dataset *data, size_t i, size_t n);
/* Codes to items. */
ae_status latents_decode(const latents *l, const latents_options *options, const matrix *codes,
                         matrix *items, ae_error *err);

/* ---- files ---- latentfiles.c */

/* Reads a matrix of numbers (NPY, CSV, TSV); rows of an NPY of more dimensions are one row each. */
ae_status matrix_read(const char *path, matrix *out, ae_error *err);
/* Writes one; the format is the suffix's, CSV on standard output. rank and dims: of a row, where
 * the format holds them. */
ae_status matrix_write(const char *path, const matrix *m, const uint32_t *dims, uint32_t rank,
                       const ae_meta *meta, bool force, ae_error *err);
/* Labels: one whole number an item, from IDX, NPY, or the last column of CSV. *out: ae_alloc, n of
 * them. */
ae_status labels_read(const char *path, uint32_t **out, size_t *n, ae_error *err);

/* Items as one picture, `across` in a row, with a border of a pixel; pictures in 0..1. */
ae_status sheet_encode(const ae_codec *codec, ae_sink *sink, const matrix *items, ae_shape shape,
                       uint32_t across, ae_error *err);
ae_status sheet_write(const char *path, const matrix *items, ae_shape shape, uint32_t across,
                      bool force, ae_error *err);

#endif
