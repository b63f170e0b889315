/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whole files, read. Messages do not name the file; aei_file_blame does. */
#ifndef AEI_FILE_H
#define AEI_FILE_H

#include "ae/status.h"

/* *bytes: an ae_alloc array with a NUL behind the n_bytes. */
ae_status aei_file_read(const char *path, uint64_t max_bytes, uint8_t **bytes, size_t *n_bytes,
                        ae_error *err);

/* The path, or the end of a very long one, so that it leaves room for the message behind it. */
const char *aei_file_name(const char *path);
/* Puts "PATH: " before the message of a failure and returns its status. */
ae_status aei_file_blame(const char *path, ae_status status, ae_error *err);

#endif
