/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The principal axes of rows of numbers (Jolliffe 2002). */
#ifndef AXES_H
#define AXES_H

#include "common/matrix.h"

typedef struct axes {
    size_t width;
    /* rows were too wide: the axes are the numbers' own, in their order, and `axis` is NULL */
    bool own;
    double *mean, *variance, *axis; /* axis: width rows, by falling variance */
} axes;

/* Failing, *out is all zeros. */
ae_status axes_find(const matrix *rows, axes *out, ae_error *err);
/* The place of a row of numbers along the axes, seen from the mean. */
void axes_place(const axes *a, const float *row, double *place);
void axes_free(axes *a);

#endif
