/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IDX, the format of MNIST: 00 00, type, number of dimensions, these as big-endian u32, then the samples. Plain or gzip. */
#ifndef IDX_H
#define IDX_H

#include "ae/status.h"

typedef struct idx {
    uint32_t n, height, width, channels; /* of u8 samples */
    uint8_t *pixels;                     /* ae_alloc */
} idx;

bool idx_named(const char *path); /* by its name */
/* *out: n 0 and nothing allocated where the file is sound but holds no pictures. Not an IDX file: *is_idx false and AE_OK. */
ae_status idx_read(const char *path, idx *out, bool *is_idx, ae_error *err);

#endif
