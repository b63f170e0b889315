/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whole files: reading, mapping, and replacing them so that no reader ever sees half of one. */
#ifndef AEI_FILE_H
#define AEI_FILE_H

#include "ae/status.h"

/* *bytes: an ae_alloc array with a NUL behind the n_bytes. Messages do not repeat the path. */
ae_status aei_file_read(const char *path, uint64_t max_bytes, uint8_t **bytes, size_t *n_bytes, ae_error *err);

/* Mapped read-only; unmapped by aei_file_unmap. */
ae_status aei_file_map(const char *path, uint64_t max_bytes, const uint8_t **bytes, size_t *n_bytes, ae_error *err);
void aei_file_unmap(const uint8_t *bytes, size_t n_bytes); /* NULL is fine */

typedef struct aei_part { const void *data; size_t n_bytes; } aei_part;
/* Writes the parts beside `path`, flushes them to the disk and renames. On failure the old file stands as it was. */
ae_status aei_file_replace(const char *path, const aei_part *parts, uint32_t n_parts, ae_error *err);

#endif
