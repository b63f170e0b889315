/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One tile of an array, without loss or within an error (doc/container.md, "Arrays"): its elements
 * become whole numbers in one of several ways, those that no such number gives back are told apart,
 * and the numbers go through the model. */
#ifndef AEI_ARRAYTILE_H
#define AEI_ARRAYTILE_H

#include "arraymodel.h"
#include "arraymap.h"
#include "frame.h"

aei_array_coder *aei_array_coder_create(void); /* NULL: out of memory */
void aei_array_coder_free(aei_array_coder *coder);

/* elements: n of them, as signals have them, of which the first is the `first`-th of the array;
 * they become what decoding will give. item: the type, dimensions and error. out is emptied first.
 */
ae_status aei_array_tile_encode(aei_array_coder *coder, const ae_item *item, uint64_t first,
                                void *elements, uint32_t n, aei_buffer *out, ae_error *err);
/* The tile must have n elements. */
ae_status aei_array_tile_decode(aei_array_coder *coder, const ae_item *item, uint64_t first,
                                const void *data, size_t n_bytes, void *elements, uint32_t n,
                                ae_error *err);

#endif
