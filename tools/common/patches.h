/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an item of a network has beside it for some tiles (doc/container.md, "Patches"), laid over
 * the rows that the network makes. */
#ifndef CLI_PATCHES_H
#define CLI_PATCHES_H

#include "ae/container.h"

typedef struct patches {
    ae_signal_info info; /* of the whole picture's colours, as the network makes them */
    ae_region region;    /* that the rows are of */
    bool preview;
    ae_control control; /* no progress */
    /* Patch `index`; *data = NULL where there is none. *data lives until the next call. */
    ae_status (*read)(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                      ae_error *err);

    uint8_t *band, *flags; /* samples of a row of tiles; what each has */
    size_t band_size;
    uint32_t n_flags, first, row; /* tiles, the first of them, their row; n_flags 0: none yet */
    ae_error damage;              /* of one of them, where `lost` is NULL */
    uint64_t done;                /* rows taken so far */
    size_t filled;                /* bytes of the band */
} patches;

/* Changes the next n_rows rows; begins at the region's first. */
ae_status patches_apply(patches *p, void *rows, uint32_t n_rows, ae_error *err);
void patches_clear(patches *p); /* and begins again */

#endif
