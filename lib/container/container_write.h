/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What writing .aec and holding items for it share. */
#ifndef AEI_CONTAINER_WRITE_H
#define AEI_CONTAINER_WRITE_H

#include "frame.h"

struct ae_container_writer {
    ae_sink *sink; /* NULL: items are held */
    uint64_t offset;
    ae_item *items; /* those of the file that is appended to first */
    /* n_old that the old index names, then those it does not */
    size_t n_items, capacity, n_old, n_recovered;
    bool *recovered; /* of those: whole */
    uint32_t *names; /* open hash of item indices + 1 */
    size_t n_names;  /* slots, a power of two */
    uint64_t next_number, model, previous;
    uint64_t first; /* where the first item stands in a file that is new */
    uint32_t chain;
    bool open; /* within an item, the last of `items` */
    aei_buffer scratch;
    aei_buffer held; /* each chunk: type, length of what follows the item's number, that */
};

/* A chunk whose payload is that of scratch, which is emptied, and then data. */
ae_status aei_put_chunk(ae_container_writer *w, uint8_t type, const void *data, size_t n_bytes,
                        ae_error *err);
/* The item with a name of its own; old: one that may be there already. */
ae_status aei_add_item(ae_container_writer *w, const ae_item *item, const char *name, bool old,
                       ae_error *err);

#endif
