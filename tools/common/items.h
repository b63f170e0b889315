/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Items in memory, as data sets hand them out. */
#ifndef CLI_ITEMS_H
#define CLI_ITEMS_H

#include "ae/files.h"

/* A picture without its alpha, or a sound; *pixels is an ae_alloc array, also on failure. */
ae_status items_read_one(bool sound, const char *path, ae_signal_info *info, void **pixels,
                         ae_error *err);
/* What an item of a set looks like as a picture. */
ae_status items_shape(const ae_signal_info *set, ae_signal_info *item, ae_error *err);
/* All n items of a set, one after the other, in an ae_alloc array. */
ae_status items_read(ae_reader *reader, ae_signal_info *item, uint8_t **rows, size_t *n,
                     ae_error *err);

#endif
