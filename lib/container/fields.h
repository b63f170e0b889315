/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fields of items in their chunk. */
#ifndef AEI_FIELDS_H
#define AEI_FIELDS_H

#include "read.h"

/* What follows the number of the first item in the chunk. False, and nothing is put, where no field
 * is told. */
bool aei_put_fields(aei_buffer *b, const ae_item_fields *fields, uint32_t n);
/* Where the fields of an item, or of its pack, lie; 0: there are none. */
uint64_t aei_fields_at(const ae_container *c, const ae_item *item);

#endif
