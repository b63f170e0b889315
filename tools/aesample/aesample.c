/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures and data out of a model's latent space. Where the network draws its code itself (layer
 * `gaussian`, Kingma & Welling 2014) codes come from the standard normal distribution that it was
 * trained against; elsewhere from the normal distribution that fits the codes of given data. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/latents.h"
#include "common/progress.h"

static struct {
    latents_options latents;
    const char *output, *codes;
    uint32_t n, steps, across, seed;
    double spread;
    bool interpolate, traverse;
} o = {.n = 64, .steps = 8, .seed = 1, .spread = 1};

/* clang-format off */
static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "What to make", 0, 0},
    {'n', "number", CLI_INT, &o.n, "N", "so many samples", 1, 1000000},
    {0, "seed", CLI_INT, &o.seed, "N", "of the draws; the same seed gives the same samples", 0, 0},
    {0, "spread", CLI_NUMBER, &o.spread, "X",
     "deviation of the draws, in those of the distribution", 0, 10},
    {0, "interpolate", CLI_FLAG, &o.interpolate, NULL, "from each item of DATA to the next instead",
     0, 0},
    {0, "traverse", CLI_FLAG, &o.traverse, NULL,
     "each latent of the first item of DATA changed alone instead", 0, 0},
    {0, "steps", CLI_INT, &o.steps, "N", "so many items for each of --interpolate and --traverse",
     2, 1000},
    {0, "codes", CLI_STRING, &o.codes, "FILE",
     "what these codes stand for instead (.npy, .csv, .tsv, as aefeatures writes them)", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "Output", 0, 0},
    {'o', "output", CLI_STRING, &o.output, "FILE",
     "a sheet of pictures (.png ...), or numbers (.npy, .csv, .tsv)", 0, 0},
    {0, "across", CLI_INT, &o.across, "N", "pictures in a row of the sheet", 1, 10000},
    LATENTS_OPTIONS(o.latents),
    {0},
};
/* clang-format on */

static const cli_tool tool = {
    "aesample",
    "-m MODEL [OPTION]... [DATA...] -o FILE",
    "Makes samples, interpolations and traversals of an autoencoder's latent space, and what codes "
    "stand for. A variational model "
    "needs no data; for another one DATA says where its codes lie.",
    options,
    "Examples:\n"
    "  aesample -m digits-vae -n 100 -o sheet.png\n"
    "  aesample -m digits.aem --interpolate 3.png 8.png -o between.png\n"
    "  aesample -m digits.aem --codes codes.npy -o back.npy\n",
};

/* SplitMix64 (Steele et al. 2014), and normal numbers from it by Box and Muller. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static double normal(uint64_t *state)
{
    double u = ((double)(next(state) >> 11) + 0.5) * 0x1p-53,
           v = ((double)(next(state) >> 11) + 0.5) * 0x1p-53;

    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* The lower triangle of a covariance in place of which its Cholesky factor stands afterwards; what
 * is not positive counts as none. */
static void factorise(double *c, size_t n)
{
    for (size_t j = 0; j < n; j++)
        for (size_t i = j; i < n; i++) {
            double sum = c[i * n + j];

            for (size_t k = 0; k < j; k++)
                sum -= c[i * n + k] * c[j * n + k];
            if (i == j)
                c[j * n + j] = sum > 1e-12 ? sqrt(sum) : 0;
            else
                c[i * n + j] = c[j * n + j] > 0 ? sum / c[j * n + j] : 0;
        }
}

/* given: codes of data, or NULL for the standard normal distribution. */
static ae_status draw(const matrix *given, size_t width, matrix *codes, ae_error *err)
{
    double *mean = ae_alloc(width * width + 2 * width, sizeof(*mean)), *c = mean + width,
           *z = c + width * width;
    uint64_t state = o.seed;
    ae_status st = mean ? matrix_create(o.n, width, codes, err)
                        : ae_fail(err, AE_ERR_NOMEM, "%zu latents", width);

    if (st != AE_OK) {
        ae_free(mean);
        return st;
    }
    for (size_t k = 0; k < width; k++)
        c[k * width + k] = given ? 0 : 1;
    for (size_t i = 0; given && i < given->n; i++)
        for (size_t k = 0; k < width; k++)
            mean[k] += (double)given->values[i * width + k] / (double)given->n;
    for (size_t i = 0; given && i < given->n; i++)
        for (size_t k = 0; k < width; k++)
            for (size_t j = 0; j <= k; j++)
                c[k * width + j] += ((double)given->values[i * width + k] - mean[k]) *
                                    ((double)given->values[i * width + j] - mean[j]) /
                                    (double)given->n;
    factorise(c, width);
    for (size_t i = 0; i < o.n; i++) {
        for (size_t k = 0; k < width; k++)
            z[k] = o.spread * normal(&state);
        for (size_t k = 0; k < width; k++) {
            double v = mean[k];

            for (size_t j = 0; j <= k; j++)
                v += c[k * width + j] * z[j];
            codes->values[i * width + k] = (float)v;
        }
    }
    ae_free(mean);
    return AE_OK;
}

static ae_status interpolate(const matrix *given, matrix *codes, ae_error *err)
{
    size_t w = given->width;
    ae_status st;

    if (given->n < 2)
        return ae_fail(err, AE_ERR_ARGUMENT, "--interpolate needs two items or more");
    if ((st = matrix_create((given->n - 1) * o.steps, w, codes, err)) != AE_OK)
        return st;
    for (size_t i = 0; i + 1 < given->n; i++)
        for (uint32_t s = 0; s < o.steps; s++)
            for (size_t k = 0; k < w; k++) {
                float t = (float)s / (float)(o.steps - 1);

                codes->values[(i * o.steps + s) * w + k] = (1 - t) * given->values[i * w + k] +
                                                           t * given->values[(i + 1) * w + k];
            }
    return AE_OK;
}

/* From -3 to 3 around the item, in the latents' own units. */
static ae_status traverse(const matrix *given, matrix *codes, ae_error *err)
{
    size_t w = given->width;
    ae_status st = matrix_create(w * o.steps, w, codes, err);

    for (size_t k = 0; st == AE_OK && k < w; k++)
        for (uint32_t s = 0; s < o.steps; s++) {
            float *to = codes->values + (k * o.steps + s) * w;

            memcpy(to, given->values, w * sizeof(*to));
            to[k] += (float)(o.spread * 3 * (2.0 * s / (o.steps - 1) - 1));
        }
    return st;
}

static bool is_variational(const latents *l)
{
    const ae_graph *g = ae_model_graph(l->model);

    return g->nodes[ae_graph_find(g, l->layer)].op == AE_OP_GAUSSIAN;
}

static ae_status find_codes(const latents *l, char **operands, int n, matrix *codes, ae_error *err)
{
    matrix given = {0};
    dataset *data = NULL;
    ae_status st = AE_OK;

    if (o.codes)
        return matrix_read(o.codes, codes, err);
    if (n && (st = latents_open(l, &o.latents, operands, n, &data, err)) == AE_OK)
        st = latents_encode(l, &o.latents, data, &given, NULL, NULL, err);
    if (st == AE_OK && !n && (o.interpolate || o.traverse || !is_variational(l)))
        st = ae_fail(err, AE_ERR_ARGUMENT, "DATA is needed: the items to %s",
                     o.interpolate ? "go between"
                     : o.traverse  ? "change"
                                   : "draw codes like those of");
    if (st == AE_OK)
        st = o.interpolate ? interpolate(&given, codes, err)
             : o.traverse  ? traverse(&given, codes, err)
                           : draw(n ? &given : NULL, l->code.h * l->code.w * l->code.c, codes, err);
    matrix_free(&given);
    dataset_free(data);
    return st;
}

static ae_status run(const latents *l, char **operands, int n, ae_error *err)
{
    const ae_codec *codec = ae_codec_for_path(o.output);
    const uint32_t dims[3] = {l->input.h, l->input.w, l->input.c};
    uint32_t across = o.across;
    matrix codes = {0}, items = {0};
    ae_status st = find_codes(l, operands, n, &codes, err);

    if (st == AE_OK && (st = latents_decode(l, &o.latents, &codes, &items, err)) == AE_OK) {
        if (!across)
            across = o.interpolate || o.traverse ? o.steps : (uint32_t)ceil(sqrt((double)items.n));
        st = codec && codec->kind == AE_KIND_IMAGE
                 ? sheet_write(o.output, &items, l->input, across, o.latents.force, err)
                 : matrix_write(o.output, &items, dims, 3, NULL, o.latents.force, err);
    }
    matrix_free(&codes);
    matrix_free(&items);
    return st;
}

static int check(int n)
{
    (void)n;
    if (!o.output)
        return cli_usage("no output named (-o)");
    if (o.interpolate + o.traverse + (o.codes != NULL) > 1)
        return cli_usage("--interpolate, --traverse and --codes exclude each other");
    return CLI_GO_ON;
}

int main(int argc, char **argv)
{
    return latents_main(&tool, &o.latents, check, run, argc, argv);
}
