/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads take the steps in turn and fill a ring of batches. Everything drawn for a sample comes
 * from a generator seeded with the run's seed, the step and the sample's place in the batch. */
#include "train/loader_parts.h"
#include "core/rng.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

enum { CROPS_A_VISIT = 64 /* crops taken from an item while it is in the window */ };

/* Purposes of the generators, beside steps. */
#define SEED_ORDER UINT64_C(0x6f72646572)
#define SEED_PATTERNS UINT64_C(0x7061747465726e73)
#define SEED_QUALITY UINT64_C(0x7175616c697479)

typedef struct worker {
    aei_loader *loader;
    uint32_t index;
} worker;

/* ---- batches ---- */

/* Which training item a place in the endless sequence of items names: every round has an order of
 * its own. */
static size_t item_at(const aei_loader *l, uint64_t place)
{
    uint64_t n = l->n_training, round = place / n, a, b, x = place % n, y, t;
    aei_rng rng = aei_rng_make(l->config.seed, SEED_ORDER, round);

    b = aei_rng_u64(&rng) % n;
    do { /* a multiplier without common divisor makes a permutation */
        a = 1 + aei_rng_u64(&rng) % n;
        for (y = n, t = a; t;) {
            uint64_t rest = y % t;

            y = t;
            t = rest;
        }
    } while (y != 1);
    return l->training[(a * x + b) % n];
}

static ae_status sound_sample(aei_loader *l, aei_sample_bench *b, aei_batch_slot *s, uint32_t at,
                              aei_rng rng, bool held, ae_error *err)
{
    size_t n = (size_t)l->h * l->w;

    return aei_source_sound_sample(l->sound, b->mixer, &rng, held, s->image + at * n,
                                   s->target + at * n, s->weight + at * n, err);
}

/* Sample `at` is of item i. */
static void label(const aei_loader *l, aei_batch_slot *s, uint32_t at, size_t i)
{
    if (s->label)
        s->label[at] = l->config.data->labels[i];
}

/* Of item i, whose picture is p, and its noisy version where there are such. */
static ae_status item_sample(aei_loader *l, aei_sample_bench *b, aei_batch_slot *s, uint32_t at,
                             size_t i, const aei_picture *p, aei_rng *rng, int crop, ae_error *err)
{
    aei_noisy noisy;
    ae_status st;

    if (!l->pairs)
        return aei_picture_sample(l, b, s, at, p, NULL, 0, rng, crop, err);
    if ((st = aei_pairs_get(l->pairs, i, p, &noisy, err)) != AE_OK)
        return st;
    st = aei_picture_sample(l, b, s, at, p, &noisy, 0, rng, crop, err);
    aei_pairs_put(l->pairs, i);
    return st;
}

static ae_status training_sample(aei_loader *l, aei_sample_bench *b, aei_batch_slot *s,
                                 uint64_t step, uint32_t at, ae_error *err)
{
    aei_rng rng = aei_rng_make(l->config.seed, step, at),
            batch = aei_rng_make(l->config.seed, SEED_QUALITY, step);
    uint64_t draw;
    ae_status st = AE_ERR_MALFORMED;

    if (l->sound)
        return sound_sample(l, b, s, at, rng, false, err);
    draw = aei_rng_u64(&rng);

    /* evenly spread over a batch, from a point drawn for it */
    if (l->has_quality)
        s->quality[at] = fmodf(aei_rng_float(&batch) + (float)at / (float)l->n, 1);

    /* from a generator of its own: a recipe without them draws what it always drew */
    if (l->recipe->patterns > 0) {
        aei_rng other = aei_rng_make(l->config.seed ^ SEED_PATTERNS, step, at);

        if (s->label)
            s->label[at] = -1;
        if (aei_rng_float(&other) < l->recipe->patterns)
            return aei_picture_sample(l, b, s, at, NULL, NULL, aei_rng_u64(&other), &rng, -1, err);
    }
    for (size_t tries = 0; tries < l->n_training && st == AE_ERR_MALFORMED; tries++) {
        const aei_picture *p;
        size_t i;

        if (l->window == l->n_training)
            i = l->training[(draw + tries) % l->n_training];
        else
            i = item_at(l, step * l->n / CROPS_A_VISIT + draw % l->window + tries);
        st = aei_items_get(l->items, i, &p, err);
        if (st == AE_OK) {
            st = item_sample(l, b, s, at, i, p, &rng, -1, err);
            aei_items_put(l->items, i);
            label(l, s, at, i);
        }
    }
    return st;
}

static ae_status validation_sample(aei_loader *l, uint32_t index, uint32_t at, ae_error *err)
{
    aei_batch_slot *s = &l->slots[l->n_slots];
    aei_rng rng = aei_rng_make(AEI_SEED_HOLDOUT, AEI_SEED_HOLDOUT, index);
    const aei_picture *p;
    size_t i;
    ae_status st;

    if (l->sound)
        return sound_sample(l, &l->benches[0], s, at, rng, true, err);
    i = l->holdout[index / l->crops_each];
    st = aei_items_get(l->items, i, &p, err);
    if (l->has_quality)
        s->quality[at] = ((float)index + 0.5f) / (float)l->n_validation;
    if (st == AE_OK) {
        st = item_sample(l, &l->benches[0], s, at, i, p, &rng, (int)(index % l->crops_each), err);
        aei_items_put(l->items, i);
        label(l, s, at, i);
    }
    return st;
}

static void *worker_main(void *argument)
{
    worker w = *(worker *)argument;
    aei_loader *l = w.loader;

    ae_free(argument);
    pthread_mutex_lock(&l->mutex);
    while (!l->stop) {
        uint64_t step = l->next;
        aei_batch_slot *s = &l->slots[step % l->n_slots];

        if (step >= l->oldest + l->n_slots) {
            pthread_cond_wait(&l->room, &l->mutex);
            continue;
        }
        l->next++;
        pthread_mutex_unlock(&l->mutex);
        s->status = AE_OK;
        for (uint32_t i = 0; i < l->n && s->status == AE_OK; i++)
            s->status = training_sample(l, &l->benches[1 + w.index], s, step, i, &s->error);
        pthread_mutex_lock(&l->mutex);
        s->ready = true;
        pthread_cond_broadcast(&l->ready);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

static void describe(const aei_loader *l, const aei_batch_slot *s, aei_batch *batch)
{
    *batch = (aei_batch){.n = l->n, .target = s->target, .weight = s->weight, .label = s->label};
    batch->inputs[l->image_input] = s->image;
    if (l->level_c)
        batch->inputs[l->level_input] = s->level;
    if (l->has_quality)
        batch->inputs[l->quality_input] = batch->quality = s->quality;
    if (l->recipe->residual)
        batch->base = l->recipe->task == AE_TASK_SUPERRES ? s->base : s->image;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

ae_status aei_loader_next(aei_loader *l, aei_batch *batch, double *waited, ae_error *err)
{
    ae_status st;
    aei_batch_slot *s;

    pthread_mutex_lock(&l->mutex);
    if (l->lent) {
        l->slots[l->oldest % l->n_slots].ready = false;
        l->oldest++;
        pthread_cond_broadcast(&l->room);
    }
    l->lent = true;
    s = &l->slots[l->oldest % l->n_slots];
    if (!s->ready) {
        double start = now();

        while (!s->ready)
            pthread_cond_wait(&l->ready, &l->mutex);
        if (waited)
            *waited += now() - start;
    }
    pthread_mutex_unlock(&l->mutex);
    st = s->status;
    if (st != AE_OK)
        return ae_fail(err, st, "%s", s->error.message);
    describe(l, s, batch);
    return AE_OK;
}

uint32_t aei_loader_n_validation(const aei_loader *l)
{
    return (l->n_validation + l->n - 1) / l->n;
}

ae_status aei_loader_validation(aei_loader *l, uint32_t i, aei_batch *batch, ae_error *err)
{
    ae_status st = AE_OK;

    for (uint32_t k = 0; k < l->n && st == AE_OK; k++)
        st = validation_sample(l, (i * l->n + k) % l->n_validation, k, err);
    if (st == AE_OK)
        describe(l, &l->slots[l->n_slots], batch);
    return st;
}

ae_status aei_loader_sounds(aei_loader *l, uint32_t i, const float **mixture, const float **clean,
                            size_t *n, ae_error *err)
{
    ae_status st = validation_sample(l, i % l->n_validation, 0, err);

    if (st == AE_OK)
        *n = aei_mixer_sounds(l->sound, l->benches[0].mixer, mixture, clean);
    return st;
}

uint64_t aei_loader_fingerprint(const aei_loader *l, size_t *n_items)
{
    const ae_dataset *d = l->config.data;
    uint64_t hash = 0;

    if (l->sound)
        return aei_source_sound_fingerprint(l->sound, n_items);
    for (size_t i = 0; i < d->n_items; i++) {
        const char *name = d->name(d->opaque, i);

        hash = XXH3_64bits_withSeed(name, strlen(name), hash);
    }
    for (size_t i = 0; l->config.noisy && i < l->config.noisy->n_items; i++) {
        const char *name = l->config.noisy->name(l->config.noisy->opaque, i);

        hash = XXH3_64bits_withSeed(name, strlen(name), hash);
    }
    if (d->labels)
        hash = XXH3_64bits_withSeed(d->labels, d->n_items * sizeof(*d->labels), hash);
    *n_items = d->n_items;
    return hash;
}

ae_status aei_loader_start(aei_loader *l, ae_error *err)
{
    while (l->n_started < l->n_threads) {
        worker *w = ae_alloc(1, sizeof(*w));

        if (!w)
            return ae_fail(err, AE_ERR_NOMEM, "loader thread %u", l->n_started + 1);
        *w = (worker){l, l->n_started};
        if (pthread_create(&l->threads[l->n_started], NULL, worker_main, w)) {
            ae_free(w);
            return ae_fail(err, AE_ERR_NOMEM, "loader thread %u could not be started",
                           l->n_started + 1);
        }
        l->n_started++;
    }
    return AE_OK;
}
