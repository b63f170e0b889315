/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How unlike the normal an item is. The score is the negative log-likelihood of a linear-Gaussian
 * model around the network, up to constants (Tipping & Bishop 1999): squared reconstruction error
 * over its mean for normal items, plus the squared Mahalanobis distance of the code, each divided
 * by its number of dimensions, so that a normal item scores about two. The threshold is a quantile
 * of normal items' scores (common/normal.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/lines.h"
#include "common/progress.h"
#include "common/text.h"

static struct {
    latents_options latents;
    const char *normal, *detector, *scores, *heat, *labels, *json;
    double quantile;
    uint32_t by;
    bool only;
} o = {.quantile = 0.99};

enum { STEPS = 8 /* a line of a series is looked at in so many windows */ };

/* clang-format off */
static const cli_option options[] = {
    {0, NULL, CLI_HEADING, NULL, NULL, "What is normal", 0, 0},
    {'n', "normal", CLI_STRING, &o.normal, "DATA",
     "a file or directory of normal items; without it or --detector the data that the model was "
     "trained on", 0, 0},
    {'d', "detector", CLI_STRING, &o.detector, "FILE",
     "what was learnt of them: written with --normal, read without", 0, 0},
    {0, "quantile", CLI_NUMBER, &o.quantile, "X", "share of normal items below the threshold", 0.5,
     1},
    {0, "by", CLI_CHOICE, &o.by, "both|error|latent",
     "what counts: error of reconstruction, distance of the code, or both", 0, 0},
    {0, NULL, CLI_HEADING, NULL, NULL, "Output", 0, 0},
    {0, "only", CLI_FLAG, &o.only, NULL, "print anomalies alone", 0, 0},
    {0, "scores", CLI_STRING, &o.scores, "FILE", "the scores also as numbers: .npy, .csv, .tsv", 0,
     0},
    {0, "heat", CLI_STRING, &o.heat, "FILE",
     "where items differ from what the model makes of them: a sheet, .png, or .npy, .csv", 0, 0},
    {0, "labels", CLI_STRING, &o.labels, "FILE",
     "say how well scores tell items of label 0 from the others: area under the ROC curve, average "
     "precision", 0, 0},
    {0, "json", CLI_OPTIONAL, &o.json, "FILE",
     "one JSON object a line for each item, on standard output or added to FILE", 0, 0},
    LATENTS_OPTIONS(o.latents),
    {0},
};
/* clang-format on */

static const cli_tool tool = {
    "aeanomaly",
    "-m MODEL [--normal DATA | --detector FILE] [OPTION]... DATA...",
    "Scores how unlike the normal pictures and items of data sets are, by an autoencoder that was "
    "trained on normal ones. Prints a "
    "line "
    "for each: item, score, and anomaly or normal, separated by tabs; of tables for each of their "
    "lines, with the column that most of it is due to, and its share. Exit status 0 whether there "
    "are anomalies or not.",
    options,
    "Examples:\n"
    "  aeanomaly -m parts.aem line3/\n"
    "  aeanomaly -m parts.aem --normal good/ --detector parts.detector line3/\n"
    "  aeanomaly -m parts.aem --detector parts.detector --heat heat.png --only line4/\n",
};

/* What is scored: items, or the lines of tables, which have a column that most of it is due to. */
typedef struct scored {
    float *scores;
    size_t n;
    line_errors lines; /* n 0: items */
    const dataset *data;
    const table *table;
} scored;

static const char *name_of(const scored *s, size_t i, char text[DATASET_NAME])
{
    const ae_dataset *items = dataset_items(s->data);

    return s->lines.n ? dataset_line_name(s->data, i, text) : items->name(items->opaque, i);
}

static ae_status score_lines(const latents *l, const normal_record *d, const matrix *codes,
                             const matrix *items, scored *out, ae_error *err)
{
    line_errors *e = &out->lines;
    ae_status st = lines_measure(&l->table, &o.latents, out->data, l->input, codes, items, d, e,
                                 err);

    if (st != AE_OK)
        return st;
    out->n = e->n;
    if (!(out->scores = ae_alloc(e->n, sizeof(*out->scores))))
        return ae_fail(err, AE_ERR_NOMEM, "%zu scores", e->n);
    for (size_t i = 0; i < e->n; i++)
        out->scores[i] = (float)lines_score(e, &l->table, d, i, (normal_by)o.by);
    return AE_OK;
}

static ae_status score_all(const normal_record *d, const matrix *codes, const float *errors,
                           float **out, ae_error *err)
{
    double *work = ae_alloc(d->width, sizeof(*work));

    *out = ae_alloc(codes->n, sizeof(**out));
    for (size_t i = 0; work && *out && i < codes->n; i++)
        (*out)[i] = (float)normal_score(d, (normal_by)o.by, codes->values + i * codes->width,
                                        (double)errors[i], work);
    ae_free(work);
    return work && *out ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "%zu scores", codes->n);
}

/* ---- the detector's file ---- what it belongs to, then what is normal */

enum { HEAD = 52 }; /* "aesuite detector 2 ", the model's identity, a newline */

static void head_of(const latents *l, char text[HEAD + 1])
{
    uint8_t identity[16];
    int n = snprintf(text, HEAD + 1, "aesuite detector 2 ");

    ae_model_identity(l->model, identity);
    for (size_t i = 0; i < 16; i++)
        n += snprintf(text + n, (size_t)(HEAD + 1 - n), "%02x", identity[i]);
    snprintf(text + n, (size_t)(HEAD + 1 - n), "\n");
}

static ae_status write_detector(const latents *l, const normal_record *d, ae_error *err)
{
    ae_output *output;
    ae_sink *sink;
    char head[HEAD + 1];
    uint8_t *bytes;
    size_t n;
    ae_status st = normal_pack(d, &bytes, &n, err);

    if (st != AE_OK)
        return st;
    head_of(l, head);
    if ((st = cli_output_open(o.detector, NULL, o.latents.force, &output, err)) == AE_OK) {
        sink = ae_output_sink(output);
        if ((st = sink->write(sink->opaque, head, strlen(head), err)) == AE_OK &&
            (st = sink->write(sink->opaque, bytes, n, err)) == AE_OK)
            st = ae_output_commit(output, err);
        else
            ae_output_discard(output);
    }
    ae_free(bytes);
    return st;
}

static ae_status read_all(const char *path, uint8_t **bytes, size_t *n, ae_error *err)
{
    FILE *f = fopen(path, "rb");
    long end = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    ae_status st = AE_OK;

    *bytes = NULL;
    *n = end > 0 ? (size_t)end : 0;
    if (end < 0 || fseek(f, 0, SEEK_SET) != 0)
        st = ae_fail(err, AE_ERR_IO, "%s: cannot be opened", path);
    else if (!(*bytes = ae_alloc(*n + 1, 1)))
        st = ae_fail(err, AE_ERR_NOMEM, "%s: %zu bytes", path, *n);
    else if (fread(*bytes, 1, *n, f) != *n)
        st = ae_fail(err, AE_ERR_IO, "%s: cannot be read", path);
    if (f)
        fclose(f);
    return st;
}

static ae_status read_detector(const latents *l, normal_record *d, ae_error *err)
{
    char head[HEAD + 1];
    uint8_t *bytes;
    size_t n;
    ae_error inner;
    ae_status st = read_all(o.detector, &bytes, &n, err);

    head_of(l, head);
    if (st == AE_OK && (n < 17 || memcmp(bytes, head, 17) != 0))
        st = ae_fail(err, AE_ERR_MALFORMED, "%s: no detector", o.detector);
    else if (st == AE_OK && (n < HEAD || memcmp(bytes, head, HEAD) != 0))
        st = ae_fail(err, AE_ERR_MISMATCH, "%s: belongs to another model", o.detector);
    else if (st == AE_OK && (st = normal_unpack(bytes + HEAD, n - HEAD, d, &inner)) != AE_OK)
        ae_fail(err, st, "%s: %s", o.detector, inner.message);
    else if (st == AE_OK && (strcmp(d->layer, l->layer) != 0 ||
                             d->width != (size_t)l->code.h * l->code.w * l->code.c))
        st = ae_fail(err, AE_ERR_MISMATCH, "%s: belongs to another layer, %s", o.detector,
                     d->layer);
    ae_free(bytes);
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

/* Area under the ROC curve (ties count half) and average precision, from the scores in falling
 * order. */
static ae_status judge(const float *scores, size_t n, ae_error *err)
{
    ranked *r = ae_alloc(n, sizeof(*r));
    double above = 0, area = 0, precision = 0, positive = 0, negative;
    uint32_t *labels = NULL;
    size_t n_labels = 0, seen = 0;
    ae_status st = r ? labels_read(o.labels, &labels, &n_labels, err)
                     : ae_fail(err, AE_ERR_NOMEM, "%zu scores", n);

    if (st == AE_OK && n_labels != n)
        st = ae_fail(err, AE_ERR_MISMATCH, "%s: %zu labels for %zu items", o.labels, n_labels, n);
    for (size_t i = 0; st == AE_OK && i < n; i++) {
        r[i] = (ranked){scores[i], labels[i] != 0};
        positive += r[i].anomaly;
    }
    negative = (double)n - positive;
    if (st == AE_OK && (positive == 0 || negative == 0))
        st = ae_fail(err, AE_ERR_ARGUMENT,
                     "%s: labels of both kinds are needed, 0 for normal items", o.labels);
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
        printf("area under the ROC curve %.4f, average precision %.4f, %.0f of %zu items are "
               "anomalies\n",
               area / (positive * negative), precision / positive, positive, n);
    ae_free(labels);
    ae_free(r);
    return st;
}

/* ---- the whole ---- */

static void print_line(const scored *s, size_t i, bool anomaly)
{
    char name[8192], own[DATASET_NAME];

    printf("%s\t%.6g\t%s", cli_escape(name_of(s, i, own), name, sizeof(name)), (double)s->scores[i],
           anomaly ? "anomaly" : "normal");
    if (s->lines.n) {
        uint32_t most = 0;
        double share;

        lines_error(&s->lines, s->table, i, &most, &share);
        printf("\t%s\t%.2f", cli_escape(s->table->columns[most].name, name, sizeof(name)), share);
    }
    putchar('\n');
}

static void write_json(const scored *s, size_t i, double threshold, FILE *to)
{
    char own[DATASET_NAME];
    cli_json line = {0};

    cli_json_string(&line, "item", name_of(s, i, own));
    cli_json_number(&line, "score", (double)s->scores[i]);
    cli_json_number(&line, "threshold", threshold);
    cli_json_bool(&line, "anomaly", (double)s->scores[i] > threshold);
    if (s->lines.n) {
        uint32_t most = 0;
        double share;

        lines_error(&s->lines, s->table, i, &most, &share);
        cli_json_string(&line, "column", s->table->columns[most].name);
        cli_json_number(&line, "share", share);
    }
    cli_json_write(&line, to);
    cli_json_clear(&line);
}

static ae_status print_scores(const scored *s, double threshold, ae_error *err)
{
    FILE *json = !o.json ? NULL : !*o.json ? stdout : fopen(o.json, "a");

    if (o.json && !json)
        return ae_fail(err, AE_ERR_IO, "--json: %s: cannot be opened", o.json);
    for (size_t i = 0; i < s->n; i++) {
        bool anomaly = (double)s->scores[i] > threshold;

        if (o.only && !anomaly)
            continue;
        if (json)
            write_json(s, i, threshold, json);
        else if (!o.labels)
            print_line(s, i, anomaly);
    }
    if (json && json != stdout && fclose(json) != 0)
        return ae_fail(err, AE_ERR_IO, "--json: %s: cannot be written", o.json);
    return AE_OK;
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
        st = sheet_write(o.heat, items, l->input, (uint32_t)ceil(sqrt((double)items->n)),
                         o.latents.force, err);
    } else if (st == AE_OK) {
        st = matrix_write(o.heat, items, dims, 3, NULL, o.latents.force, err);
    }
    ae_free(given);
    return st;
}

/* By data named, by a file, or as the model has it. *own: that must be freed. */
static ae_status get_normal(const latents *l, normal_record *own, const normal_record **out,
                            ae_error *err)
{
    char *operands[1] = {(char *)(uintptr_t)o.normal};
    dataset *data = NULL;
    matrix codes = {0};
    float *errors = NULL;
    ae_status st = AE_OK;

    *out = own;
    if (!o.normal && !o.detector) {
        *out = &l->normal;
        if (!l->normal.width)
            st = ae_fail(
                err, AE_ERR_ARGUMENT,
                "the model does not say what its training data were like at layer %s: --normal or "
                "--detector is needed",
                l->layer);
        return st;
    }
    if (!o.normal)
        return read_detector(l, own, err);
    if (l->table.n)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "--normal: what is normal of tables is what the model was trained on");
    if ((st = latents_open(l, &o.latents, operands, 1, &data, err)) == AE_OK &&
        (st = latents_encode(l, &o.latents, data, &codes, NULL, &errors, err)) == AE_OK)
        st = normal_learn(l->layer, &codes, errors, own, err);
    dataset_free(data);
    matrix_free(&codes);
    ae_free(errors);
    return st == AE_OK && o.detector ? write_detector(l, own, err) : st;
}

static ae_status score(const latents *l, const normal_record *d, char **operands, int n,
                       dataset **data, matrix *items, scored *out, ae_error *err)
{
    bool keeps = o.heat || l->table.n;
    matrix codes = {0};
    float *errors = NULL;
    ae_status st = latents_open(l, &o.latents, operands, n, data, err);

    out->data = *data;
    out->table = &l->table;
    if (st == AE_OK && (st = latents_encode(l, &o.latents, *data, &codes, keeps ? items : NULL,
                                            &errors, err)) == AE_OK) {
        out->n = codes.n;
        st = l->table.n ? score_lines(l, d, &codes, items, out, err)
                        : score_all(d, &codes, errors, &out->scores, err);
    }
    matrix_free(&codes);
    ae_free(errors);
    return st;
}

static ae_status run(const latents *l, char **operands, int n, ae_error *err)
{
    normal_record own = {0};
    const normal_record *d;
    double threshold;
    dataset *data = NULL;
    matrix items = {0}, rows;
    scored s = {0};
    ae_status st;

    o.latents.step = (l->input.h + STEPS - 1) / STEPS;
    if ((st = get_normal(l, &own, &d, err)) != AE_OK)
        return st;
    threshold = normal_threshold(d, (normal_by)o.by, o.quantile);
    if (o.latents.verbose)
        cli_message("normal items: mean error %.4g, threshold %.4g", d->error, threshold);
    if (n && (st = score(l, d, operands, n, &data, &items, &s, err)) == AE_OK)
        st = print_scores(&s, threshold, err);
    rows = (matrix){s.scores, s.n, 1};
    if (st == AE_OK && n && o.scores)
        st = matrix_write(o.scores, &rows, NULL, 0, NULL, o.latents.force, err);
    if (st == AE_OK && n && o.labels)
        st = judge(s.scores, s.n, err);
    if (st == AE_OK && n && o.heat)
        st = write_heat(l, data, &items, err);
    normal_free(&own);
    dataset_free(data);
    matrix_free(&items);
    lines_free(&s.lines);
    ae_free(s.scores);
    return st;
}

static int check(int n)
{
    o.latents.unwarned = true; /* scores say more */
    o.latents.misfits = true;
    if (!n && !(o.normal && o.detector))
        return cli_usage("no data named");
    return CLI_GO_ON;
}

int main(int argc, char **argv)
{
    return latents_main(&tool, &o.latents, check, run, argc, argv);
}
