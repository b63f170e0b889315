/* SPDX-License-Identifier: BSD-2-Clause
 *
 * aefeatures: latents of items to files, a map of them, and how well labels can be read from them.
 * The items are encoded once, and what was asked for is made of the codes, one after another. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/latents.h"
#include "common/progress.h"
#include "plot.h"
#include "probe.h"

static struct {
    latents_options latents;
    const char *output, *reconstruct, *error, *map, *labels, *probe;
    uint32_t map_by;
} o;

/* clang-format off */
static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "What to write", 0, 0},
    {'o', "output", CLI_STRING, &o.output, "FILE",
     "latents, a row an item: .npy, .csv or .tsv; - is CSV on standard output", 0, 0},
    {0, "reconstruct", CLI_STRING, &o.reconstruct, "FILE",
     "also what the network makes of each item: .npy, .csv, or a sheet, .png", 0, 0},
    {0, "error", CLI_STRING, &o.error, "FILE",
     "also the mean squared error of each item: .npy, .csv or .tsv", 0, 0},
    {0, "map", CLI_STRING, &o.map, "FILE",
     "also the latents on a plane: .svg, .html (items are shown under the pointer) or a picture, "
     "such as .png", 0, 0},
    {0, "map-by", CLI_CHOICE, &o.map_by, "neighbours|components",
     "so that neighbours stay near (t-SNE), or by principal components", 0, 0},
    {0, "labels", CLI_STRING, &o.labels, "FILE",
     "colours of the map, one label an item: IDX, .npy, or the last column of .csv", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "What to find out", 0, 0},
    {0, "probe", CLI_STRING, &o.probe, "LABELS[,LABELS]",
     "how well a linear classifier tells these labels from the latents: learnt from the items of "
     "the first file, tested on those of the second; of one file learnt from the first four fifths",
     0, 0},
    LATENTS_OPTIONS(o.latents),
    {0},
};
/* clang-format on */

static const cli_tool tool = {
    "aefeatures",
    "-m MODEL [OPTION]... DATA...",
    "Computes the latents of pictures and data sets: the values of a layer of an autoencoder, for "
    "other programs, for a map, or to "
    "see "
    "what they tell.",
    options,
    "Examples:\n"
    "  aefeatures -m digits.aem train-images-idx3-ubyte.gz -o codes.npy\n"
    "  aefeatures -m digits.aem --probe train-labels-idx1-ubyte.gz,t10k-labels-idx1-ubyte.gz "
    "train-images-idx3-ubyte.gz \\\n"
    "             t10k-images-idx3-ubyte.gz\n"
    "  aefeatures -m mine.aem --map map.html --labels labels.csv pictures/\n",
};

/* Rows as the network gives them: dimensions of 1 in front go. */
static ae_status write_items(const char *path, const matrix *m, ae_shape shape, ae_error *err)
{
    const uint32_t dims[3] = {shape.h, shape.w, shape.c};
    const ae_codec *codec = ae_codec_for_path(path);
    uint32_t first = shape.h == 1 ? shape.w == 1 ? 2 : 1 : 0,
             rank = 3 - first - (shape.c == 1 && first < 2);

    if (codec && codec->kind == AE_KIND_IMAGE)
        return sheet_write(path, m, shape, (uint32_t)ceil(sqrt((double)m->n)), o.latents.force,
                           err);
    return matrix_write(path, m, dims + first, rank, NULL, o.latents.force, err);
}

static ae_status read_labels(const char *path, size_t n, uint32_t **out, ae_error *err)
{
    size_t found;
    ae_status st = labels_read(path, out, &found, err);

    if (st == AE_OK && found != n) {
        ae_free(*out);
        *out = NULL;
        st = ae_fail(err, AE_ERR_MISMATCH, "%s: %zu labels for %zu items", path, found, n);
    }
    return st;
}

/* The labels of one file, or of two with a comma between; *n_first: of the first. */
static ae_status read_two(const char *paths, size_t n, uint32_t **out, size_t *n_first,
                          ae_error *err)
{
    const char *comma = strchr(paths, ',');
    uint32_t *second = NULL;
    size_t n_second = 0;
    char first[4096];
    ae_status st;

    *n_first = n * 4 / 5;
    if (!comma || access(paths, F_OK) == 0)
        return read_labels(paths, n, out, err);
    snprintf(first, sizeof(first), "%.*s", (int)(comma - paths), paths);
    if ((st = labels_read(first, out, n_first, err)) != AE_OK)
        return st;
    if ((st = labels_read(comma + 1, &second, &n_second, err)) == AE_OK) {
        uint32_t *both = ae_realloc(*out, *n_first * sizeof(*both),
                                    (*n_first + n_second) * sizeof(*both));

        if (both && *n_first + n_second == n)
            memcpy(both + *n_first, second, n_second * sizeof(*both));
        else
            st = both ? ae_fail(err, AE_ERR_MISMATCH, "%s: %zu labels and %zu for %zu items", paths,
                                *n_first, n_second, n)
                      : ae_fail(err, AE_ERR_NOMEM, "labels");
        *out = both ? both : *out;
    }
    ae_free(second);
    if (st != AE_OK) {
        ae_free(*out);
        *out = NULL;
    }
    return st;
}

static ae_status probe(const matrix *codes, ae_error *err)
{
    uint32_t *labels = NULL;
    size_t n_first;
    probe_result r;
    ae_status st = read_two(o.probe, codes->n, &labels, &n_first, err);

    if (st == AE_OK && (st = probe_run(codes, labels, n_first, &r, err)) == AE_OK)
        printf("linear probe: %.4f of %zu items right, %u classes, learnt from %zu\n"
               "k-means: %.4f of %zu items in groups that are mostly of their label\n",
               r.accuracy, r.n_tested, r.n_classes, r.n_learnt, r.purity, codes->n);
    ae_free(labels);
    return st;
}

static ae_status draw(const latents *l, const matrix *codes, const dataset *data, ae_error *err)
{
    uint32_t *labels = NULL;
    ae_status st = o.labels ? read_labels(o.labels, codes->n, &labels, err) : AE_OK;

    if (st == AE_OK)
        st = plot_write(o.map, codes, labels, data, l->input, (plot_way)o.map_by, o.latents.force,
                        err);
    ae_free(labels);
    return st;
}

static ae_status run(const latents *l, char **operands, int n, ae_error *err)
{
    matrix codes = {0}, items = {0}, error_rows = {0};
    dataset *data = NULL;
    float *errors = NULL;
    ae_status st = latents_open(l, &o.latents, operands, n, &data, err);

    if (st == AE_OK)
        st = latents_encode(l, &o.latents, data, &codes, o.reconstruct ? &items : NULL,
                            o.error ? &errors : NULL, err);
    if (st == AE_OK && o.output)
        st = write_items(o.output, &codes, l->code, err);
    if (st == AE_OK && o.reconstruct)
        st = write_items(o.reconstruct, &items, l->input, err);
    error_rows = (matrix){errors, codes.n, 1};
    if (st == AE_OK && o.error)
        st = matrix_write(o.error, &error_rows, NULL, 0, NULL, o.latents.force, err);
    if (st == AE_OK && o.map)
        st = draw(l, &codes, data, err);
    if (st == AE_OK && o.probe)
        st = probe(&codes, err);
    if (st == AE_OK && o.latents.verbose)
        cli_message("%zu items, %zu numbers each", codes.n, codes.width);
    matrix_free(&codes);
    matrix_free(&items);
    ae_free(errors);
    dataset_free(data);
    return st;
}

static int check(int n)
{
    if (!n)
        return cli_usage("no data named");
    if (!o.output && !o.reconstruct && !o.error && !o.map && !o.probe) {
        if (isatty(STDOUT_FILENO))
            return cli_usage("nothing to write or to find out (-o, --map, --probe ...)");
        o.output = "-";
    }
    return CLI_GO_ON;
}

int main(int argc, char **argv)
{
    return latents_main(&tool, &o.latents, check, run, argc, argv);
}
