/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Latents on a plane: their two first principal components, a dot an item. */
#ifndef PLOT_H
#define PLOT_H

#include "common/latents.h"

/* .svg, or .html, which is that with the item's name under the pointer. labels (NULL: none) give the colours. */
ae_status plot_write(const char *path, const matrix *codes, const uint32_t *labels, const ae_dataset *items, bool force,
                     ae_error *err);

#endif
