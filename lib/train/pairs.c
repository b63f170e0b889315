/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Noisy pictures are kept like the clean ones (items.h), beside what the estimator finds of their
 * noise, which is found when a pair is first used and then remembered. A pair that does not fit
 * (another size, a file that cannot be read) is warned of once and left out. */
#include "train/pairs.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct aei_pairs {
    const ae_dataset *noisy;
    aei_items *items;
    pthread_mutex_t mutex; /* of all below */
    ae_noise *found;
    enum { UNKNOWN, FOUND, UNFIT } * state;
    void *opaque;
    void (*warning)(void *opaque, const char *message);
};

ae_status aei_pairs_create(const ae_dataset *noisy, size_t n_clean, uint64_t cache_bytes,
                           void *opaque, void (*warning)(void *opaque, const char *message),
                           aei_pairs **out, ae_error *err)
{
    aei_pairs *p;
    ae_status st;

    *out = NULL;
    if (noisy->n_items != n_clean)
        return ae_fail(
            err, AE_ERR_MISMATCH,
            "%zu clean pictures, but %zu noisy ones: they must be pairs, in the same order",
            n_clean, noisy->n_items);
    if (!(p = ae_alloc(1, sizeof(*p))))
        return ae_fail(err, AE_ERR_NOMEM, "pairs of pictures");
    p->noisy = noisy;
    p->opaque = opaque;
    p->warning = warning;
    pthread_mutex_init(&p->mutex, NULL);
    p->found = ae_alloc(n_clean, sizeof(*p->found));
    p->state = ae_alloc(n_clean, sizeof(*p->state));
    st = p->found && p->state
             ? aei_items_create(noisy, cache_bytes, 1, 1, false, opaque, warning, &p->items, err)
             : ae_fail(err, AE_ERR_NOMEM, "%zu pairs of pictures", n_clean);
    if (st != AE_OK) {
        aei_pairs_free(p);
        return st;
    }
    *out = p;
    return AE_OK;
}

void aei_pairs_free(aei_pairs *p)
{
    if (!p)
        return;
    aei_items_free(p->items);
    ae_free(p->found);
    ae_free(p->state);
    pthread_mutex_destroy(&p->mutex);
    ae_free(p);
}

typedef struct reading {
    const aei_picture *picture;
    size_t row;
} reading;

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    reading *r = opaque;
    size_t n = ae_row_bytes(&r->picture->info);

    (void)err;
    memcpy(rows, (const uint8_t *)r->picture->pixels + r->row * n, n_rows * n);
    r->row += n_rows;
    return AE_OK;
}

/* Two threads that come at once find the same. */
static ae_status find_noise(aei_pairs *p, size_t i, aei_noisy *out, ae_error *err)
{
    reading r = {out->picture, 0};
    ae_row_source source = {out->picture->info, &r, read_rows};
    bool known;
    ae_status st;

    pthread_mutex_lock(&p->mutex);
    known = p->state[i] == FOUND;
    out->noise = p->found[i];
    pthread_mutex_unlock(&p->mutex);
    if (known || (st = ae_noise_estimate(&source, NULL, &out->noise, err)) != AE_OK)
        return known ? AE_OK : st;
    pthread_mutex_lock(&p->mutex);
    p->found[i] = out->noise;
    p->state[i] = FOUND;
    pthread_mutex_unlock(&p->mutex);
    return AE_OK;
}

/* Once. */
static void warn(aei_pairs *p, size_t i, const char *why)
{
    char message[sizeof(((ae_error *)0)->message) + 256];
    bool first;

    pthread_mutex_lock(&p->mutex);
    first = p->state[i] != UNFIT;
    p->state[i] = UNFIT;
    pthread_mutex_unlock(&p->mutex);
    snprintf(message, sizeof(message), "%s: %s", p->noisy->name(p->noisy->opaque, i), why);
    if (first && p->warning)
        p->warning(p->opaque, message);
}

ae_status aei_pairs_get(aei_pairs *p, size_t i, const aei_picture *clean, aei_noisy *out,
                        ae_error *err)
{
    const ae_signal_info *c = &clean->info, *n;
    ae_status st = aei_items_get(p->items, i, &out->picture, err);

    if (st != AE_OK)
        return st;
    n = &out->picture->info;
    if (c->width != n->width || c->height != n->height) {
        ae_error why;

        st = ae_fail(&why, AE_ERR_MALFORMED,
                     "has %llu x %llu pixels, its clean version %llu x %llu",
                     (unsigned long long)n->width, (unsigned long long)n->height,
                     (unsigned long long)c->width, (unsigned long long)c->height);
        warn(p, i, why.message);
        ae_fail(err, st, "%s: %s", p->noisy->name(p->noisy->opaque, i), why.message);
    } else {
        st = find_noise(p, i, out, err);
    }
    if (st != AE_OK)
        aei_items_put(p->items, i);
    return st;
}

void aei_pairs_put(aei_pairs *p, size_t i)
{
    aei_items_put(p->items, i);
}
