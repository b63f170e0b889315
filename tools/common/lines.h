/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How unlike the normal each line of a table is, and in which of its columns, where a network looks
 * at a line, or at several successive ones at a time. */
#ifndef LINES_H
#define LINES_H

#include "common/latents.h"

typedef struct line_errors {
    size_t n; /* lines */
    uint32_t columns;
    bool series; /* items are several lines */
    /* n x columns: mean squares of what the reconstruction is off by, over all items that a line is
     * part of, of a series also over the lines around it; NaN where there is no item */
    float *squares;
    /* squared distances of the codes, over their number of dimensions, likewise; n; NULL: not asked
     * for */
    float *distances;
} line_errors;

/* codes, items: what latents_encode made of the data with these options. normal NULL: no
 * distances. */
ae_status lines_measure(const table *t, const latents_options *options, const dataset *data,
                        ae_shape shape, const matrix *codes, const matrix *items,
                        const normal_record *normal, line_errors *out, ae_error *err);
void lines_free(line_errors *e);

/* Of the squares of the columns of a line, each over its own mean of training data (t->error), the
 * mean; of a series the largest, since faults of sensors come one at a time. *most (may be NULL):
 * the column with the largest, *share of the sum. */
double lines_error(const line_errors *e, const table *t, size_t line, uint32_t *most,
                   double *share);
/* As normal_score of that error; of a series BOTH means the error alone, since codes of windows say
 * little of a moment. */
double lines_score(const line_errors *e, const table *t, const normal_record *normal, size_t line,
                   normal_by by);

#endif
