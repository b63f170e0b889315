/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Noisy versions of the pictures that are learned from, each with what is found out about its
 * noise. Safe from any thread. */
#ifndef AEI_PAIRS_H
#define AEI_PAIRS_H

#include "ae/denoise.h"
#include "train/items.h"

typedef struct aei_pairs aei_pairs;

/* Item i of `noisy` is the noisy version of item i of the clean ones, n_clean many. `warning` as
 * for aei_items_create. */
ae_status aei_pairs_create(const ae_dataset *noisy, size_t n_clean, uint64_t cache_bytes,
                           void *opaque, void (*warning)(void *opaque, const char *message),
                           aei_pairs **out, ae_error *err);
void aei_pairs_free(aei_pairs *pairs); /* NULL is fine */

/* What the network is shown in the place of a corrupted picture. */
typedef struct aei_noisy {
    const aei_picture *picture;
    ae_noise noise; /* as tools estimate it */
} aei_noisy;

/* Of item i, whose clean version is given; it must have the same size. To be put back.
 * AE_ERR_MALFORMED: there is none to use. */
ae_status aei_pairs_get(aei_pairs *pairs, size_t i, const aei_picture *clean, aei_noisy *out,
                        ae_error *err);
void aei_pairs_put(aei_pairs *pairs, size_t i);

#endif
