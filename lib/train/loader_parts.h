/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the ring of batches and the making of their samples share. */
#ifndef AEI_LOADER_PARTS_H
#define AEI_LOADER_PARTS_H

#include "core/rng.h"
#include "train/items.h"
#include "train/loader.h"
#include "train/pairs.h"
#include "train/source_sound.h"

#include <pthread.h>

/* Purpose of the generators of what is held out, beside steps. */
#define AEI_SEED_HOLDOUT UINT64_C(0x686f6c646f7574)

enum { AEI_CUT_ROWS = 16 }; /* of a region that are turned at a time */

typedef struct aei_batch_slot {
    float *image, *level, *quality, *target, *base, *weight, *label;
    bool ready;
    ae_status status;
    ae_error error;
} aei_batch_slot;

/* One thread's buffers. */
typedef struct aei_sample_bench {
    float *row; /* one converted row of the widest picture so far, and AEI_CUT_ROWS of a region */
    size_t row_floats;
    float *region;  /* cut from the picture, before scaling */
    float *scene;   /* at target size, with margins */
    float *pattern; /* of three channels, where the network has one */
    /* super-resolution: shrunken, corrupted, enlarged, each with margins */
    float *small, *noisy, *large;
    void *scratch;
    aei_mixer *mixer; /* of sound; then all else is NULL */
} aei_sample_bench;

struct aei_loader {
    aei_loader_config config;
    const ae_recipe *recipe;
    aei_items *items;
    aei_pairs *pairs;        /* NULL: the recipe corrupts */
    aei_source_sound *sound; /* NULL: pictures */
    size_t *training, *holdout;
    size_t n_training, n_holdout, window;
    uint32_t n_validation, crops_each;
    uint32_t n, h, w, c;           /* the network's picture */
    uint32_t out_h, out_w, margin; /* the target, and what is cut around it */
    uint32_t n_inputs, level_c;    /* level_c 0: no such input */
    uint32_t image_input, level_input, quality_input;
    bool has_quality;
    uint32_t region_h, region_w; /* the largest */
    uint32_t n_slots, n_threads, n_started;
    aei_batch_slot *slots;     /* n_slots, then that of the validation */
    aei_sample_bench *benches; /* that of the validation, then n_threads */
    pthread_t *threads;
    pthread_mutex_t mutex;
    pthread_cond_t ready, room;
    uint64_t oldest, next; /* steps: first one not given back, first one not taken by a thread */
    bool lent, stop;
};

/* Fills sample `at` of the slot from a picture and, unless that is NULL, its noisy version, or
 * where there is no picture from pattern number `pattern`. crop < 0: of training, place, scale and
 * turn being drawn; else which of the validation's crops of this picture. All draws are rng's. */
ae_status aei_picture_sample(aei_loader *loader, aei_sample_bench *bench, aei_batch_slot *slot,
                             uint32_t at, const aei_picture *picture, const aei_noisy *noisy,
                             uint64_t pattern, aei_rng *rng, int crop, ae_error *err);

/* Starts the threads, once all else is set; those that were are told to end, and joined, by
 * aei_loader_free. */
ae_status aei_loader_start(aei_loader *loader, ae_error *err);

#endif
