/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The loader: turns a data set and a recipe into batches, in threads of its own. What sample k of step s holds depends on the seed,
 * s and k alone, never on threads or time. */
#ifndef AEI_LOADER_H
#define AEI_LOADER_H

#include "ae/train.h"

typedef struct aei_loader aei_loader;

/* Dense f32, N x H x W x C with N = the recipe's batch; owned by the loader, valid until the next call. */
typedef struct aei_batch {
    uint32_t n;
    const float *inputs[AE_MAX_FROM]; /* in the order of the first network's input nodes: image (corrupted), level, ... */
    const float *target;              /* the clean picture; its shape is output_shape */
    const float *base;                /* what the output is added to where the recipe is residual: the corrupted picture or its
                                         bicubic enlargement; NULL otherwise */
    const float *weight;              /* N x H x W, weights of the pixels in the loss (noisy-only training); NULL: all 1 */
} aei_batch;

typedef struct aei_loader_config {
    const ae_recipe *recipe;
    const ae_dataset *data;
    uint64_t seed;
    uint32_t threads;
    uint64_t first_step;              /* resume: the next batch is this step's */
    bool noisy_only;
    uint64_t cache_bytes;
    void *opaque;
    void (*warning)(void *opaque, const char *message);
} aei_loader_config;

/* Reads every item once (sizes; unusable ones are warned of and dropped), splits off the hold-out and starts the threads.
 * No usable item: AE_ERR_MALFORMED. */
ae_status aei_loader_create(const aei_loader_config *config, aei_loader **out, ae_error *err);
void aei_loader_free(aei_loader *loader);
/* The next batch, waiting for it if need be; *waited (may be NULL) is increased by the seconds spent waiting. */
ae_status aei_loader_next(aei_loader *loader, aei_batch *batch, double *waited, ae_error *err);
/* Batch i of the fixed validation set (hold-out items, the same draws every time). */
uint32_t aei_loader_n_validation(const aei_loader *loader);
ae_status aei_loader_validation(aei_loader *loader, uint32_t i, aei_batch *batch, ae_error *err);
/* XXH3-64 over names and sizes of the usable items, for checkpoint and card; and how many there are. */
uint64_t aei_loader_fingerprint(const aei_loader *loader, size_t *n_items);

#endif
