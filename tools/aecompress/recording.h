/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recordings into .aec: read once, a tile of about a second at a time, whatever their length. */
#ifndef RECORDING_H
#define RECORDING_H

#include "compress.h"

enum { RECORDING_BEST = 99 /* the quality below that without loss */ };

/* c was opened by compress_open, and is a sound. */
ae_status recording_item(compressed *c, const compress_options *o, const cli_item *progress,
                         uint32_t threads, const char *name, ae_container_writer *writer,
                         ae_error *err);
/* Fields of a record: length, type, kbit/s. */
void recording_report(const compressed *c, cli_json *json, uint64_t n_bytes, uint64_t n_input);
double recording_seconds(const compressed *c);

#endif
