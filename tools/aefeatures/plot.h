/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Latents on a plane, a dot an item: by their first two principal components, or so that neighbours
 * stay near (tsne.h). */
#ifndef PLOT_H
#define PLOT_H

#include "common/latents.h"

typedef enum plot_way { PLOT_NEIGHBOURS, PLOT_COMPONENTS } plot_way;

/* .svg, a picture, or .html, which shows an item's name under the pointer, and the item where it is
 * a small picture: `shape` is that of one. labels (NULL: none), one a row of `codes`, give the
 * colours. Of many items only some are drawn, evenly spread. */
ae_status plot_write(const char *path, const matrix *codes, const uint32_t *labels,
                     const dataset *data, ae_shape shape, plot_way way, bool force, ae_error *err);

#endif
