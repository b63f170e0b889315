/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_ITEMS_H
#define AEI_ITEMS_H

#include "ae/train.h"

/* The decoded items of a data set, kept in their own sample type up to a number of bytes; least
 * recently used ones go first. */
typedef struct aei_items aei_items;

typedef struct aei_picture {
    ae_signal_info info;
    void *pixels;
} aei_picture;

/* data must outlive the cache. Items with an edge below min_height, min_width are refused, and
 * numbers that are not finite, but for NaN with `gaps`, where it is what is missing.
 * `warning` (may be NULL) is called once for each item that turns out to be unusable, by one thread
 * at a time. */
ae_status aei_items_create(const ae_dataset *data, uint64_t cache_bytes, uint32_t min_height,
                           uint32_t min_width, bool gaps, void *opaque,
                           void (*warning)(void *opaque, const char *message), aei_items **out,
                           ae_error *err);
void aei_items_free(aei_items *items);
/* Decodes item i unless it is here. *out stays valid until aei_items_put. AE_ERR_MALFORMED:
 * unusable, now and later; running out of memory and cancelling are other errors, which may pass.
 * Safe from several threads. */
ae_status aei_items_get(aei_items *items, size_t i, const aei_picture **out, ae_error *err);
void aei_items_put(aei_items *items, size_t i);
/* Bytes held at present. */
uint64_t aei_items_bytes(aei_items *items);

#endif
