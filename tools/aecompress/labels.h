/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the items of an archive are, told by a file. */
#ifndef LABELS_H
#define LABELS_H

#include "ae/container.h"

typedef char item_label[AE_LABEL_BYTES];

/* Exactly n labels, in order, into an ae_alloc array: the numbers of an IDX or NPY file, or of a
 * text the last cell of each line, where one line more than n begins with a header. */
ae_status labels_load(const char *path, size_t n, item_label **out, ae_error *err);

#endif
