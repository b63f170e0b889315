/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files that are written beside their target and renamed once complete. */
#ifndef AE_TEMPORARY_H
#define AE_TEMPORARY_H

#include "ae/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes an empty file in the directory of `path` (relative to the open directory `at`, or
 * AT_FDCWD), as any new file is made, and opens it for reading and writing. It is made exclusively:
 * neither another program nor a planted link can share it. *name (ae_alloc) is its name, beside
 * path; *fd is the caller's to close. The first call for a directory removes from it what killed
 * processes have left: files of this naming that nobody has locked any more. On failure *name is
 * NULL and *fd is -1. */
AE_API AE_NODISCARD ae_status ae_temporary_create(int at, const char *path, int *fd, char **name,
                                                  ae_error *err);
/* What closing the file would report of its writing, with the file still open: it has to be renamed
 * before it is closed, for whoever cleans the directory takes a closed one for left over. */
AE_API AE_NODISCARD ae_status ae_temporary_written(int fd, ae_error *err);

/* Whether files are brought to the disk before they count: as they are unless somebody switches it
 * off for the process. */
AE_API void ae_sync_enable(bool on);
AE_API bool ae_sync_enabled(void);
/* All that was written to the file, or the entry of `path` (relative to `at`) in its directory, is
 * on the disk. Nothing is done where it is switched off; that a file system cannot do it is no
 * failure. */
AE_API AE_NODISCARD ae_status ae_sync_file(int fd, ae_error *err);
AE_API AE_NODISCARD ae_status ae_sync_directory(int at, const char *path, ae_error *err);
/* All that was written to the file system that the path is on. */
AE_API AE_NODISCARD ae_status ae_sync_filesystem(const char *path, ae_error *err);

#ifdef __cplusplus
}
#endif
#endif
