/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One item of a .aec file to one file. */
#ifndef DECODING_H
#define DECODING_H

#include "ae/output.h"
#include "decompress.h"

typedef struct decoding {
    const decompress_options *o;
    const cli_item *item;
    const ae_item *what;
    const ae_item_fields *fields; /* of it */
    uint32_t threads;
    ae_encoder encoder;
    double done, share; /* of the whole file */
    uint32_t n_lost;
    bool many; /* one of many files, that are brought to the disk together */
} decoding;

/* Decodes d->what for a codec, into a sink. */
ae_status decoding_encode(decoding *d, aecfile *f, const ae_codec *codec, ae_sink *to,
                          ae_error *err);
/* The same into a file; directory: that `path` is relative to, or AT_FDCWD. */
ae_status decoding_write(decoding *d, aecfile *f, int directory, const char *path, ae_error *err);

#endif
