/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rows of numbers with one owner; sizes are multiplied with a check, since both may come from
 * files. */
#include "common/matrix.h"

ae_status matrix_create(size_t n, size_t width, matrix *out, ae_error *err)
{
    size_t all;

    *out = (matrix){NULL, n, width};
    if (__builtin_mul_overflow(n, width, &all) || !(out->values = ae_alloc(all, sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "%zu rows of %zu numbers", n, width);
    return AE_OK;
}

void matrix_free(matrix *m)
{
    ae_free(m->values);
    *m = (matrix){0};
}
