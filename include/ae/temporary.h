/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files that are written beside their target and renamed once complete. */
#ifndef AE_TEMPORARY_H
#define AE_TEMPORARY_H

#include "ae/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes an empty file in the directory of `path` (relative to the open directory `at`, or AT_FDCWD), as any new file is made, and
 * opens it for reading and writing. It is made exclusively: neither another program nor a planted link can share it.
 * *name (ae_alloc) is its name, beside path; *fd is the caller's to close. The first call for a directory removes from it what
 * killed processes have left: files of this naming that nobody has locked any more. On failure *name is NULL and *fd is -1. */
AE_API AE_NODISCARD ae_status ae_temporary_create(int at, const char *path, int *fd, char **name, ae_error *err);

#ifdef __cplusplus
}
#endif
#endif
