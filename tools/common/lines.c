/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How unlike the normal lines of a table are: the squares of what a network errs by in each
 * column, averaged over the lines around, since faults last and noise does not, and beside them,
 * where a model says what is normal, how far the codes are from that (normal.h). */
#include "common/lines.h"

#include <math.h>
#include <string.h>

enum { REACH = 12 /* part of a window over which errors are smoothed, either way */ };

void lines_free(line_errors *e)
{
    ae_free(e->squares);
    ae_free(e->distances);
    *e = (line_errors){0};
}

static void add_item(const table *t, const float *given, const float *made, uint32_t h,
                     float *squares)
{
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t k = 0; k < t->n; k++) {
            const table_column *c = &t->columns[k];
            size_t at = (size_t)y * t->wide + c->first;

            for (uint32_t i = 0; i < c->wide; i++) {
                float d = made[at + i] - given[at + i];

                squares[(size_t)y * t->n + k] += isnan(given[at + i])
                                                     ? 0
                                                     : d * d; /* missing is no fault */
            }
        }
}

/* The mean over so many lines before and after, too: faults last, noise does not. Lines of several
 * series that follow one another are taken for neighbours. */
static bool smooth(line_errors *e, size_t reach)
{
    float *column;

    if (!reach)
        return true;
    if (!(column = ae_alloc(e->n, sizeof(*column))))
        return false;
    for (uint32_t k = 0; k < e->columns; k++) {
        for (size_t i = 0; i < e->n; i++)
            column[i] = e->squares[i * e->columns + k];
        for (size_t i = 0; i < e->n; i++) {
            size_t first = i > reach ? i - reach : 0,
                   last = i + reach < e->n ? i + reach : e->n - 1;
            float sum = 0, times = 0;

            for (size_t j = first; j <= last; j++)
                if (!isnan(column[j])) {
                    sum += column[j];
                    times++;
                }
            if (!isnan(column[i]))
                e->squares[i * e->columns + k] = sum / times;
        }
    }
    ae_free(column);
    return true;
}

ae_status lines_measure(const table *t, const latents_options *o, const dataset *data,
                        ae_shape shape, const matrix *codes, const matrix *items,
                        const normal_record *normal, line_errors *out, ae_error *err)
{
    float *given = ae_alloc(items->width, sizeof(*given));
    double *work = ae_alloc(codes->width, sizeof(*work));
    uint32_t *times;
    ae_status st = AE_OK;

    *out = (line_errors){.n = dataset_lines(data), .columns = t->n};
    out->squares = ae_alloc(out->n, t->n * sizeof(*out->squares));
    out->distances = normal ? ae_alloc(out->n, sizeof(*out->distances)) : NULL;
    times = ae_alloc(out->n, sizeof(*times));
    if (!given || !work || !times || !out->squares || (normal && !out->distances))
        st = ae_fail(err, AE_ERR_NOMEM, "errors of %zu lines", out->n);
    for (size_t i = 0; i < items->n && st == AE_OK; i++) {
        size_t item = latents_item(o, data, i, items->n), line = dataset_line(data, item);
        float distance = 0;

        if ((st = dataset_item_as_is(data, item, shape, given, err)) != AE_OK)
            break;
        add_item(t, given, items->values + i * items->width, shape.h, out->squares + line * t->n);
        if (normal)
            distance = (float)normal_score(normal, NORMAL_LATENT, codes->values + i * codes->width,
                                           0, work);
        for (uint32_t y = 0; y < shape.h; y++) {
            times[line + y]++;
            if (normal)
                out->distances[line + y] += distance;
        }
    }
    out->series = shape.h > 1;
    for (size_t line = 0; line < out->n && st == AE_OK; line++) {
        float by = times[line] ? 1 / (float)times[line] : NAN;

        for (uint32_t k = 0; k < t->n; k++)
            out->squares[line * t->n + k] *= by;
        if (normal)
            out->distances[line] *= by;
    }
    if (st == AE_OK && !smooth(out, shape.h / REACH))
        st = ae_fail(err, AE_ERR_NOMEM, "errors of %zu lines", out->n);
    ae_free(given);
    ae_free(work);
    ae_free(times);
    if (st != AE_OK)
        lines_free(out);
    return st;
}

double lines_error(const line_errors *lines, const table *t, size_t line, uint32_t *most,
                   double *share)
{
    const float *squares = lines->squares + line * lines->columns;
    double sum = 0, largest = -1;

    for (uint32_t k = 0; k < t->n; k++) {
        double e = (double)squares[k] / fmax(t->columns[k].error, 1e-6);

        sum += e;
        if (e > largest) {
            largest = e;
            if (most)
                *most = k;
        }
    }
    if (share)
        *share = sum > 0 ? largest / sum : 0;
    return lines->series && !isnan(sum) ? largest : sum / t->n;
}

double lines_score(const line_errors *e, const table *t, const normal_record *normal, size_t line,
                   normal_by by)
{
    bool distance = by == NORMAL_LATENT || (by == NORMAL_BOTH && !e->series);
    double error = by != NORMAL_LATENT ? lines_error(e, t, line, NULL, NULL) / normal->error : 0;

    return error + (distance ? (double)e->distances[line] : 0);
}
