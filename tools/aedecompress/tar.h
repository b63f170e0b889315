/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tar archive (POSIX ustar; pax headers for long or non-ASCII names and large files), written
 * front to back. */
#ifndef TAR_H
#define TAR_H

#include "ae/codec.h"

/* changed: seconds since 1970. */
ae_status tar_write(ae_sink *sink, const char *name, int64_t changed, const void *data,
                    uint64_t n_bytes, ae_error *err);
ae_status tar_finish(ae_sink *sink, ae_error *err);

#endif
