/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Arrays into .aec: read once, some rows at a time, whatever their length. */
#ifndef ARRAYITEM_H
#define ARRAYITEM_H

#include "compress.h"

/* c was opened by compress_open, and is an array. */
ae_status array_item(compressed *c, const compress_options *o, const cli_item *progress,
                     uint32_t threads, const char *name, ae_container_writer *writer,
                     ae_error *err);
/* Fields of a record: shape, type, bytes. */
void array_report(const compressed *c, cli_json *json, uint64_t n_bytes, uint64_t n_input);

#endif
