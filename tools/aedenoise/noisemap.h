/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef NOISEMAP_H
#define NOISEMAP_H

#include "ae/denoise.h"

/* Writes what the network is told of the noise as a picture; reads all rows of `rows`. like: the
 * input's name. */
ae_status noisemap_write(const char *path, const char *input, bool force, const ae_row_source *rows,
                         const ae_noise *noise, const ae_cancel *cancel, ae_error *err);

#endif
