/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MATRIX_H
#define MATRIX_H

#include "ae/status.h"

/* n rows of `width` numbers. */
typedef struct matrix {
    float *values;
    size_t n, width;
} matrix;
ae_status matrix_create(size_t n, size_t width, matrix *out, ae_error *err);
void matrix_free(matrix *m);

#endif
