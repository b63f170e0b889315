/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How unlike the normal an item is. The score is the negative log-likelihood of a linear-Gaussian model around the network, up to
 * constants (Tipping & Bishop 1999): squared reconstruction error over its mean for normal items, plus the squared Mahalanobis
 * distance of the code, each divided by its number of dimensions, so that a normal item scores about two. The threshold is a
 * quantile of normal items' scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/latents.h"
#include "common/progress.h"
#include "common/text.h"

static struct {
    latents_options latents;
    const char *normal, *detector, *scores, *heat, *labels, *json;
    double quantile;
    uint32_t by;
    bool only;
} o = {.quantile = 0.99};

static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "What is normal", 0, 0},
    {'n', "normal", CLI_STRING, &o.normal, "DATA", "a file or directory of normal items: what the model was trained on, or like it",
     0, 0},
    {'d', "detector", CLI_STRING, &o.detector, "FILE", "what was learnt of them: written with --normal, read without", 0, 0},
    {0, "quantile", CLI_NUMBER, &o.quantile, "X", "share of normal items below the threshold", 0.5, 1},
    {0, "by", CLI_CHOICE, &o.by, "both|error|latent", "what counts: error of reconstruction, distance of the code, or both", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "Output", 0, 0},
    {0, "only", CLI_FLAG, &o.only, NULL, "print anomalies alone", 0, 0},
    {0, "scores", CLI_STRING, &o.scores, "FILE", "the scores also as numbers: .npy, .csv, .tsv", 0, 0},
    {0, "heat", CLI_STRING, &o.heat, "FILE", "where items differ from what the model makes of them: a sheet, .png, or .npy, .csv",
     0, 0},
    {0, "labels", CLI_STRING, &o.labels, "FILE",
     "say how well scores tell items of label 0 from the others: area under the ROC curve, average precision", 0, 0},
    {0, "json", CLI_OPTIONAL, &o.json, "FILE", "one JSON object a line for each item, on standard output or added to FILE", 0, 0},
    LATENTS_OPTIONS(o.latents),
    {0},
};

static const cli_tool tool = {
    "aeanomaly",
    "-m MODEL (--normal DATA | --detector FILE) [OPTION]... DATA...",
    "Scores how unlike the normal pictures and items of data sets are, by an autoencoder that was trained on normal ones. Prints a "
    "line "
    "for each: item, score, and anomaly or normal, separated by tabs. Exit status 0 whether there are anomalies or not.",
    options,
    "Examples:\n"
    "  aeanomaly -m parts.aem --normal good/ --detector parts.detector line3/\n"
    "  aeanomaly -m parts.aem --detector parts.detector --heat heat.png --only line4/\n",
};

/* What is known of normal items. */
typedef struct detector {
    double error, threshold;
    double *mean, *inverse; /* of the codes: mean, Cholesky factor of the covariance */
    size_t width;
} detector;

static ae_status detector_alloc(detector *d, size_t width, ae_error *err)
{
    d->width = width;
    d->mean = ae_alloc(width + width * width, sizeof(double));
    d->inverse = d->mean + width;
    return d->mean ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a covariance of %zu latents", width);
}

/* A little of the mean variance on the diagonal keeps latents that hardly vary from deciding everything. */
static void factorise(double *c, size_t n)
{
    double trace = 0;

    for (size_t i = 0; i < n; i++)
        trace += c[i * n + i] / (double)n;
    for (size_t i = 0; i < n; i++)
        c[i * n + i] += 1e-3 * trace + 1e-12;
    for (size_t j = 0; j < n; j++)
        for (size_t i = j; i < n; i++) {
            double sum = c[i * n + j];

            for (size_t k = 0; k < j; k++)
                sum -= c[i * n + k] * c[j * n + k];
            c[i * n + j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / c[j * n + j];
        }
}

/* |L^-1 (x - mean)|^2 by forward substitution. */
static double distance(const detector *d, const float *x, double *work)
{
    double sum = 0;

    for (size_t i = 0; i < d->width; i++) {
        double v = (double)x[i] - d->mean[i];

        for (size_t k = 0; k < i; k++)
            v -= d->inverse[i * d->width + k] * work[k];
        work[i] = v / d->inverse[i * d->width + i];
        sum += work[i] * work[i];
    }
    return sum;
}

static double score_of(const detector *d, const float *code, double error, double *work)
{
    double by_error = o.by != 2 ? error / d->error : 0;

    return by_error + (o.by != 1 ? distance(d, code, work) / (double)d->width : 0);
}

static ae_status score_all(const detector *d, const matrix *codes, const float *errors, float **out, ae_error *err)
{
    double *work = ae_alloc(d->width, sizeof(*work));

    *out = ae_alloc(codes->n, sizeof(**out));
    for (size_t i = 0; work && *out && i < codes->n; i++)
        (*out)[i] = (float)score_of(d, codes->values + i * codes->width, (double)errors[i], work);
    ae_free(work);
    return work && *out ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "%zu scores", codes->n);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x < y ? -1 : x > y;
}

static ae_status learn(detector *d, const matrix *codes, const float *errors, ae_error *err)
{
    size_t w = codes->width;
    float *scores = NULL;
    ae_status st = detector_alloc(d, w, err);

    if (st != AE_OK)
        return st;
    for (size_t i = 0; i < codes->n; i++) {
        d->error += (double)errors[i] / (double)codes->n;
        for (size_t k = 0; k < w; k++)
            d->mean[k] += (double)codes->values[i * w + k] / (double)codes->n;
    }
    d->error = fmax(d->error, 1e-12);
    for (size_t i = 0; i < codes->n; i++)
        for (size_t k = 0; k < w; k++)
            for (size_t j = 0; j <= k; j++)
                d->inverse[k * w + j] += ((double)codes->values[i * w + k] - d->mean[k]) *
                                         ((double)codes->values[i * w + j] - d->mean[j]) / (double)codes->n;
    factorise(d->inverse, w);
    if ((st = score_all(d, codes, errors, &scores, err)) == AE_OK) {
        size_t at = (size_t)(o.quantile * (double)(codes->n - 1) + 0.5);

        qsort(scores, codes->n, sizeof(*scores), by_value);
        d->threshold = (double)scores[at];
    }
    ae_free(scores);
    return st;
}

/* ---- the detector's file ---- text: what it belongs to, then the numbers */

static void head_of(const latents *l, char text[160])
{
    uint8_t identity[16];
    int n = snprintf(text, 160, "aesuite detector 1 ");

    ae_model_identity(l->model, identity);
    for (size_t i = 0; i < 16; i++)
        n += snprintf(text + n, 160 - (size_t)n, "%02x", identity[i]);
    snprintf(text + n, 160 - (size_t)n, " %s", l->layer);
}

static ae_status write_detector(const latents *l, const detector *d, ae_error *err)
{
    ae_output *output = NULL;
    char head[160], *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    ae_status st = f ? ae_output_open(o.detector, NULL, o.latents.force ? AE_OUTPUT_FORCE : 0, &output, err)
                     : ae_fail(err, AE_ERR_NOMEM, "a detector");

    if (f) {
        head_of(l, head);
        fprintf(f, "%s\n%zu\n%.9g\n%.9g\n", head, d->width, d->error, d->threshold);
        for (size_t i = 0; i < d->width * (d->width + 1); i++)
            fprintf(f, "%.9g\n", d->mean[i]);
        if (fclose(f) != 0 && st == AE_OK)
            st = ae_fail(err, AE_ERR_NOMEM, "a detector");
    }
    if (st == AE_OK && (st = ae_output_sink(output)->write(ae_output_sink(output)->opaque, text, n, err)) == AE_OK) {
        st = ae_output_commit(output, err);
        output = NULL;
    }
    ae_output_discard(output);
    free(text);
    return st;
}

static ae_status read_detector(const latents *l, detector *d, ae_error *err)
{
    FILE *f = fopen(o.detector, "r");
    char head[160], line[200] = "";
    size_t width = 0, expected = (size_t)l->code.h * l->code.w * l->code.c, at = 0;
    ae_status st = AE_OK;

    if (!f)
        return ae_fail(err, AE_ERR_IO, "%s: cannot be opened", o.detector);
    head_of(l, head);
    if (!fgets(line, sizeof(line), f) || strncmp(line, "aesuite detector ", 17) != 0)
        st = ae_fail(err, AE_ERR_MALFORMED, "%s: no detector", o.detector);
    else if (strncmp(line, head, strlen(head)) != 0 || line[strlen(head)] != '\n')
        st = ae_fail(err, AE_ERR_MISMATCH, "%s: belongs to another model or layer", o.detector);
    else if (fscanf(f, "%zu %lf %lf", &width, &d->error, &d->threshold) != 3 || width != expected || !(d->error > 0))
        st = ae_fail(err, AE_ERR_MALFORMED, "%s: damaged", o.detector);
    else if ((st = detector_alloc(d, width, err)) == AE_OK)
        while (at < width * (width + 1) && fscanf(f, "%lf", &d->mean[at]) == 1)
            at++;
    fclose(f);
    if (st == AE_OK && at < width * (width + 1))
        st = ae_fail(err, AE_ERR_MALFORMED, "%s: damaged, %zu of %zu numbers", o.detector, at, width * (width + 1));
    return st;
}

/* ---- how good ---- */

typedef struct ranked {
    float score;
    bool anomaly;
} ranked;

static int by_score(const void *a, const void *b)
{
    float x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;

    return x > y ? -1 : x < y;
}

/* Area under the ROC curve (ties count half) and average precision, from the scores in falling order. */
static ae_status judge(const float *scores, size_t n, ae_error *err)
{
    ranked *r = ae_alloc(n, sizeof(*r));
    double above = 0, area = 0, precision = 0, positive = 0, negative;
    uint32_t *labels = NULL;
    size_t n_labels = 0, seen = 0;
    ae_status st = r ? labels_read(o.labels, &labels, &n_labels, err) : ae_fail(err, AE_ERR_NOMEM, "%zu scores", n);

    if (st == AE_OK && n_labels != n)
        st = ae_fail(err, AE_ERR_MISMATCH, "%s: %zu labels for %zu items", o.labels, n_labels, n);
    for (size_t i = 0; st == AE_OK && i < n; i++) {
        r[i] = (ranked){scores[i], labels[i] != 0};
        positive += r[i].anomaly;
    }
    negative = (double)n - positive;
    if (st == AE_OK && (positive == 0 || negative == 0))
        st = ae_fail(err, AE_ERR_ARGUMENT, "%s: labels of both kinds are needed, 0 for normal items", o.labels);
    if (st == AE_OK)
        qsort(r, n, sizeof(*r), by_score);
    for (size_t first = 0, end; st == AE_OK && first < n; first = end) {
        double here = 0;

        for (end = first; end < n && r[end].score == r[first].score; end++)
            here += r[end].anomaly;
        area += ((double)(end - first) - here) * (above + here / 2);
        above += here;
        seen = end;
        precision += here * above / (double)seen;
    }
    if (st == AE_OK)
        printf("area under the ROC curve %.4f, average precision %.4f, %.0f of %zu items are anomalies\n",
               area / (positive * negative), precision / positive, positive, n);
    ae_free(labels);
    ae_free(r);
    return st;
}

/* ---- the whole ---- */

static ae_status print_scores(const float *scores, size_t n, const detector *d, const ae_dataset *items, ae_error *err)
{
    FILE *json = !o.json ? NULL : !*o.json ? stdout : fopen(o.json, "a");
    ae_status st = AE_OK;
    char name[8192];

    if (o.json && !json)
        return ae_fail(err, AE_ERR_IO, "--json: %s: cannot be opened", o.json);
    for (size_t i = 0; i < n; i++) {
        bool anomaly = (double)scores[i] > d->threshold;

        if (o.only && !anomaly)
            continue;
        if (json) {
            cli_json line = {0};

            cli_json_string(&line, "item", items->name(items->opaque, i));
            cli_json_number(&line, "score", (double)scores[i]);
            cli_json_number(&line, "threshold", d->threshold);
            cli_json_bool(&line, "anomaly", anomaly);
            cli_json_write(&line, json);
            cli_json_clear(&line);
        } else if (!o.labels) {
            printf("%s\t%.6g\t%s\n", cli_escape(items->name(items->opaque, i), name, sizeof(name)), (double)scores[i],
                   anomaly ? "anomaly" : "normal");
        }
    }
    if (json && json != stdout && fclose(json) != 0)
        st = ae_fail(err, AE_ERR_IO, "--json: %s: cannot be written", o.json);
    return st;
}

/* Squared differences, of pictures relative to a half of the range. */
static ae_status write_heat(const latents *l, const dataset *data, matrix *items, ae_error *err)
{
    const uint32_t dims[3] = {l->input.h, l->input.w, l->input.c};
    const ae_codec *codec = ae_codec_for_path(o.heat);
    float *given = ae_alloc(items->width, sizeof(*given));
    ae_status st = given ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "an item");

    for (size_t i = 0; i < items->n && st == AE_OK; i++)
        if ((st = dataset_item(data, i, l->input, given, err)) == AE_OK)
            for (size_t k = 0; k < items->width; k++) {
                float e = items->values[i * items->width + k] - given[k];

                items->values[i * items->width + k] = e * e;
            }
    if (st == AE_OK && codec && codec->kind == AE_KIND_IMAGE) {
        for (size_t k = 0; k < items->n * items->width; k++)
            items->values[k] = sqrtf(items->values[k]) * 2;
        st = sheet_write(o.heat, items, l->input, (uint32_t)ceil(sqrt((double)items->n)), o.latents.force, err);
    } else if (st == AE_OK) {
        st = matrix_write(o.heat, items, dims, 3, NULL, o.latents.force, err);
    }
    ae_free(given);
    return st;
}

static ae_status get_detector(const latents *l, detector *d, ae_error *err)
{
    char *operands[1] = {(char *)(uintptr_t)o.normal};
    dataset *data = NULL;
    matrix codes = {0};
    float *errors = NULL;
    ae_status st;

    if (!o.normal)
        return read_detector(l, d, err);
    if ((st = latents_open(l, &o.latents, operands, 1, &data, err)) == AE_OK &&
        (st = latents_encode(l, &o.latents, data, &codes, NULL, &errors, err)) == AE_OK)
        st = learn(d, &codes, errors, err);
    if (st == AE_OK && o.latents.verbose)
        cli_message("%zu normal items: mean error %.4g, threshold %.4g", codes.n, d->error, d->threshold);
    dataset_free(data);
    matrix_free(&codes);
    ae_free(errors);
    return st == AE_OK && o.detector ? write_detector(l, d, err) : st;
}

static ae_status run(const latents *l, char **operands, int n, ae_error *err)
{
    detector d = {0};
    dataset *data = NULL;
    matrix codes = {0}, items = {0}, rows;
    float *errors = NULL, *scores = NULL;
    ae_status st = get_detector(l, &d, err);

    if (st == AE_OK && n && (st = latents_open(l, &o.latents, operands, n, &data, err)) == AE_OK &&
        (st = latents_encode(l, &o.latents, data, &codes, o.heat ? &items : NULL, &errors, err)) == AE_OK &&
        (st = score_all(&d, &codes, errors, &scores, err)) == AE_OK)
        st = print_scores(scores, codes.n, &d, dataset_items(data), err);
    rows = (matrix){scores, codes.n, 1};
    if (st == AE_OK && n && o.scores)
        st = matrix_write(o.scores, &rows, NULL, 0, NULL, o.latents.force, err);
    if (st == AE_OK && n && o.labels)
        st = judge(scores, codes.n, err);
    if (st == AE_OK && n && o.heat)
        st = write_heat(l, data, &items, err);
    ae_free(d.mean);
    dataset_free(data);
    matrix_free(&codes);
    matrix_free(&items);
    ae_free(errors);
    ae_free(scores);
    return st;
}

static int check(int n)
{
    if (!o.normal && !o.detector)
        return cli_usage("--normal or --detector is needed");
    if (!n && !(o.normal && o.detector))
        return cli_usage("no data named");
    return CLI_GO_ON;
}

int main(int argc, char **argv)
{
    return latents_main(&tool, &o.latents, check, run, argc, argv);
}
