/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The loader: turns a data set and a recipe into batches, in threads of its own. What sample k of
 * step s holds depends on the seed, s and k alone, never on threads or time. */
#ifndef AEI_LOADER_H
#define AEI_LOADER_H

#include "ae/train.h"

typedef struct aei_loader aei_loader;

/* Dense f32, N x H x W x C with N = the recipe's batch; owned by the loader, valid until the next
 * call of the function that gave it. */
typedef struct aei_batch {
    uint32_t n;
    /* in the order of the first network's input nodes: image (corrupted), level, ... */
    const float *inputs[AE_MAX_FROM];
    const float *target; /* the clean picture; its shape is output_shape */
    /* what the output is added to where the recipe is residual: the corrupted picture or its
     * bicubic enlargement; NULL otherwise */
    const float *base;
    const float *quality; /* N, task compress; NULL otherwise */
    const float *label;   /* N: classes, -1 where one is not known; NULL: the data have none */
    /* N x H x W, weights of the pixels in the loss (noisy-only training); NULL: all 1 */
    const float *weight;
} aei_batch;

typedef struct aei_loader_config {
    const ae_recipe *recipe;
    const ae_dataset *data;                  /* recipes of sound: the clean sound */
    const ae_dataset *noise, *rooms, *music; /* of sound; may be NULL */
    /* the data with noise, item by item, instead of the recipe's corruptions; NULL: none */
    const ae_dataset *noisy;
    uint64_t seed;
    uint32_t threads;
    uint64_t first_step; /* resume: the next batch is this step's */
    bool noisy_only;
    bool all; /* for validation alone: every item is held out */
    /* decoded pictures kept; 0: 2 GiB. Where not all fit, crops come from a window of items that
     * moves on slowly, so that what is drawn depends on this number too */
    uint64_t cache_bytes;
    void *opaque;
    /* may be NULL; called from the loader's threads, one at a time */
    void (*warning)(void *opaque, const char *message);
} aei_loader_config;

/* The picture that the first network is fed with: its input's size where that is fixed, else the
 * crop; for super-resolution the crop is the enlarged picture's. */
void aei_loader_input_size(const ae_recipe *recipe, uint32_t *height, uint32_t *width);

/* Splits off the hold-out, which the seed does not change, reads it and starts the threads (0:
 * one). Other items are read when they are first drawn; unusable ones are warned of and others
 * taken in their place. No usable item: AE_ERR_MALFORMED. recipe and data must outlive the loader.
 */
ae_status aei_loader_create(const aei_loader_config *config, aei_loader **out, ae_error *err);
void aei_loader_free(aei_loader *loader);
/* The next batch, waiting for it if need be; *waited (may be NULL) is increased by the seconds
 * spent waiting. */
ae_status aei_loader_next(aei_loader *loader, aei_batch *batch, double *waited, ae_error *err);
/* Batch i of the fixed validation set (hold-out items, the same draws every time), valid until the
 * next call of this function; the last one is filled up by repetition. */
uint32_t aei_loader_n_validation(const aei_loader *loader);
ae_status aei_loader_validation(aei_loader *loader, uint32_t i, aei_batch *batch, ae_error *err);
/* The sounds of sample i of the validation set, a mixture and the clean sound in it, at the
 * recipe's rate; valid until the next call of this function or the last one. */
ae_status aei_loader_sounds(aei_loader *loader, uint32_t i, const float **mixture,
                            const float **clean, size_t *n, ae_error *err);
/* XXH3-64 over the names of the items, for checkpoint and card; and how many there are. */
uint64_t aei_loader_fingerprint(const aei_loader *loader, size_t *n_items);

#endif
