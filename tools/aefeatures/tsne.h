/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A map that keeps neighbours (t-SNE; van der Maaten & Hinton 2008), with a quadtree for what is
 * far (van der Maaten 2014). */
#ifndef TSNE_H
#define TSNE_H

#include "common/matrix.h"

/* xy: 2 x n numbers, the places of the items to begin with (their principal components), moved so
 * that items whose rows are alike are near one another. The same every time. AE_ERR_CANCELLED where
 * cli_cancel was requested. */
ae_status tsne_run(const matrix *rows, double *xy, ae_error *err);

#endif
