/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What codes tell without labels: groups by k-means (Lloyd 1982), begun far from one another
 * (Arthur & Vassilvitskii 2007). */
#ifndef CLUSTERS_H
#define CLUSTERS_H

#include "common/matrix.h"

/* Groups rows into n_classes, the best of a few beginnings, and holds labels (below n_classes)
 * against the groups: *purity is the share of items whose group is mostly of their label. The same
 * every time. */
ae_status clusters_purity(const matrix *rows, const uint32_t *labels, uint32_t n_classes,
                          double *purity, ae_error *err);

#endif
