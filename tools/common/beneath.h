/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing below a directory and nowhere else, whatever links lie there. */
#ifndef CLI_BENEATH_H
#define CLI_BENEATH_H

#include "ae/status.h"

/* Opens the directory in which `path`, relative to `base`, lies, and makes what is missing of both.
 * Below base no link is followed: one in the way is an error that names it. *fd is the caller's to
 * close, -1 on failure. */
ae_status cli_open_beneath(const char *base, const char *path, int *fd, ae_error *err);
/* Makes the directories that lead to a file. */
ae_status cli_make_directories(const char *path, ae_error *err);

#endif
