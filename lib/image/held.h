/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The rows of a source as they were, kept while others make something of them: one thread reads
 * the source, another looks rows up. */
#ifndef AEI_HELD_H
#define AEI_HELD_H

#include <pthread.h>

#include "ae/signal.h"

typedef struct aei_held {
    const ae_row_source *source;
    size_t row_bytes;
    pthread_mutex_t mutex; /* of what follows */
    uint8_t *rows;         /* those from `first` on that were read: a ring */
    uint64_t capacity, n_read, first;
} aei_held;

/* Of zeros; `source` outlives it. aei_held_free whatever comes of it. */
ae_status aei_held_create(aei_held *h, const ae_row_source *source, ae_error *err);
void aei_held_free(aei_held *h);
/* the source, to be read from its start once */
ae_row_source aei_held_source(aei_held *h);
/* n rows from y on, which were read and not dropped */
void aei_held_copy(aei_held *h, uint64_t y, uint32_t n, void *rows);
/* all before y */
void aei_held_drop(aei_held *h, uint64_t y);

#endif
