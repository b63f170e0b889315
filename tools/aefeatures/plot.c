/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The principal components are eigenvectors of the covariance, found one after another by power iteration with the earlier ones
 * projected out (Jolliffe 2002). */
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

enum { SIZE = 900, BORDER = 20, ROUNDS = 200 };

static void covariance(const matrix *m, double *mean, double *c)
{
    size_t w = m->width;

    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < w; k++)
            mean[k] += (double)m->values[i * w + k] / (double)m->n;
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < w; k++) {
            double d = (double)m->values[i * w + k] - mean[k];

            for (size_t j = 0; j <= k; j++)
                c[k * w + j] += d * ((double)m->values[i * w + j] - mean[j]) / (double)m->n;
        }
    for (size_t k = 0; k < w; k++)
        for (size_t j = k + 1; j < w; j++)
            c[k * w + j] = c[j * w + k];
}

static void normalise(double *v, size_t n)
{
    double norm = 0;

    for (size_t k = 0; k < n; k++)
        norm += v[k] * v[k];
    norm = sqrt(norm);
    for (size_t k = 0; k < n; k++)
        v[k] = norm > 0 ? v[k] / norm : 0;
}

/* The largest component that is orthogonal to `before` (NULL: none). */
static void component(const double *c, size_t n, const double *before, double *v, double *next)
{
    for (size_t k = 0; k < n; k++)
        v[k] = 1 + (double)(k * 7 % 11);
    for (int round = 0; round < ROUNDS; round++) {
        double along = 0;

        for (size_t k = 0; before && k < n; k++)
            along += before[k] * v[k];
        for (size_t k = 0; before && k < n; k++)
            v[k] -= along * before[k];
        for (size_t k = 0; k < n; k++) {
            next[k] = 0;
            for (size_t j = 0; j < n; j++)
                next[k] += c[k * n + j] * v[j];
        }
        memcpy(v, next, n * sizeof(*v));
        normalise(v, n);
    }
}

static ae_status project(const matrix *m, double *xy, ae_error *err)
{
    size_t w = m->width;
    double *work = ae_alloc(w * w + 4 * w, sizeof(*work)), *mean = work + w * w, *first = mean + w, *second = first + w;

    if (!work)
        return ae_fail(err, AE_ERR_NOMEM, "components of %zu numbers", w);
    covariance(m, mean, work);
    component(work, w, NULL, first, second + w);
    component(work, w, first, second, second + w);
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < w; k++) {
            double d = (double)m->values[i * w + k] - mean[k];

            xy[2 * i] += d * first[k];
            xy[2 * i + 1] += d * second[k];
        }
    ae_free(work);
    return AE_OK;
}

/* Text for SVG and HTML. */
static void put_text(FILE *f, const char *text)
{
    char escaped[2048];

    for (const char *c = cli_escape(text, escaped, sizeof(escaped)); *c; c++)
        switch (*c) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        default:
            fputc(*c, f);
        }
}

static void draw(FILE *f, const double *xy, size_t n, const uint32_t *labels, const ae_dataset *items)
{
    static const char *const colours[10] = {"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee",
                                            "#aa3377", "#997700", "#222255", "#ee8866", "#777777"};
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};

    for (size_t i = 0; i < 2 * n; i++) {
        low[i % 2] = fmin(low[i % 2], xy[i]);
        high[i % 2] = fmax(high[i % 2], xy[i]);
    }
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
            SIZE, SIZE, SIZE, SIZE);
    for (size_t i = 0; i < n; i++) {
        double at[2];

        for (int k = 0; k < 2; k++)
            at[k] = BORDER + (SIZE - 2 * BORDER) * (high[k] > low[k] ? (xy[2 * i + (size_t)k] - low[k]) / (high[k] - low[k]) : 0.5);
        fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\" fill-opacity=\".6\"><title>", at[0], SIZE - at[1],
                colours[labels ? labels[i] % 10 : 0]);
        put_text(f, items->name(items->opaque, i));
        if (labels)
            fprintf(f, ": %u", labels[i]);
        fputs("</title></circle>\n", f);
    }
    fputs("</svg>\n", f);
}

static ae_status write_text(const char *path, const char *text, size_t n, bool force, ae_error *err)
{
    ae_output *output;
    ae_status st = ae_output_open(path, NULL, force ? AE_OUTPUT_FORCE : 0, &output, err);

    if (st != AE_OK)
        return st;
    if ((st = ae_output_sink(output)->write(ae_output_sink(output)->opaque, text, n, err)) == AE_OK)
        return ae_output_commit(output, err);
    ae_output_discard(output);
    return st;
}

ae_status plot_write(const char *path, const matrix *codes, const uint32_t *labels, const ae_dataset *items, bool force,
                     ae_error *err)
{
    const char *dot = strrchr(path, '.');
    bool html = dot && strcmp(dot, ".html") == 0;
    double *xy = ae_alloc(2 * codes->n, sizeof(*xy));
    char *text = NULL;
    size_t n = 0;
    FILE *f;
    ae_status st;

    if (!xy)
        return ae_fail(err, AE_ERR_NOMEM, "a map");
    st = html || (dot && strcmp(dot, ".svg") == 0) ? project(codes, xy, err)
                                                   : ae_fail(err, AE_ERR_ARGUMENT, "a map is an .svg or an .html");
    if (st == AE_OK && !(f = open_memstream(&text, &n)))
        st = ae_fail(err, AE_ERR_NOMEM, "a map");
    if (st == AE_OK) {
        fputs(html ? "<!DOCTYPE html><meta charset=\"utf-8\"><title>Latents</title><style>svg{max-height:95vh}</style>\n" : "", f);
        draw(f, xy, codes->n, labels, items);
        st = fclose(f) == 0 ? write_text(path, text, n, force, err) : ae_fail(err, AE_ERR_NOMEM, "a map");
    }
    free(text);
    ae_free(xy);
    if (st != AE_OK && err) {
        ae_error inner = *err;

        ae_fail(err, st, "%s: %s", path, inner.message);
    }
    return st;
}
