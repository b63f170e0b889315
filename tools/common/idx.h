/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IDX, the format of MNIST: 00 00, type, number of dimensions, these as big-endian u32, then the
 * samples. Plain or gzip. */
#ifndef CLI_IDX_H
#define CLI_IDX_H

#include "ae/status.h"

typedef struct idx {
    uint32_t n, height, width, channels; /* of u8 samples */
    uint8_t *pixels;                     /* ae_alloc */
} idx;

bool idx_named(const char *path); /* by its name */

/* A file being read: pictures one after another. `file` is NULL where it is no IDX file or holds no
 * pictures. */
typedef struct idx_file {
    void *file;
    uint32_t n, height, width, channels;
} idx_file;
ae_status idx_open(const char *path, idx_file *out, ae_error *err);
ae_status idx_next(idx_file *x, uint32_t n, void *pixels, ae_error *err);
void idx_close(idx_file *x); /* a zeroed one is fine */

/* *out: n 0 and nothing allocated where the file is sound but holds no pictures. Not an IDX file:
 * *is_idx false and AE_OK. */
ae_status idx_read(const char *path, idx *out, bool *is_idx, ae_error *err);

#endif
