/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The items of a data set in memory: each is loaded when it is first asked for, by whichever thread
 * asks, and those used longest ago are let go once the cache is full. */
#include "train/items.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

typedef enum item_state { ITEM_ABSENT, ITEM_LOADING, ITEM_READY, ITEM_BAD } item_state;

enum { NONE = -1 };

typedef struct item {
    aei_picture picture;
    int64_t older, newer; /* among the ready ones, by last use */
    uint32_t pins;
    item_state state;
} item;

struct aei_items {
    const ae_dataset *data;
    uint64_t limit, bytes;
    uint32_t min_height, min_width;
    bool gaps;
    void *opaque;
    void (*warning)(void *, const char *);
    pthread_mutex_t mutex;
    pthread_cond_t loaded;
    item *items;
    int64_t oldest, newest;
};

ae_status aei_items_create(const ae_dataset *data, uint64_t cache_bytes, uint32_t min_height,
                           uint32_t min_width, bool gaps, void *opaque,
                           void (*warning)(void *opaque, const char *message), aei_items **out,
                           ae_error *err)
{
    aei_items *s = ae_alloc(1, sizeof(*s));

    *out = NULL;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "cache of %zu items", data->n_items);
    *s = (aei_items){.data = data,
                     .limit = cache_bytes,
                     .min_height = min_height,
                     .min_width = min_width,
                     .gaps = gaps,
                     .opaque = opaque,
                     .warning = warning,
                     .oldest = NONE,
                     .newest = NONE};
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->loaded, NULL);
    s->items = ae_alloc(data->n_items, sizeof(*s->items));
    if (!s->items) {
        aei_items_free(s);
        return ae_fail(err, AE_ERR_NOMEM, "cache of %zu items", data->n_items);
    }
    *out = s;
    return AE_OK;
}

void aei_items_free(aei_items *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->items && i < s->data->n_items; i++)
        ae_free(s->items[i].picture.pixels);
    ae_free(s->items);
    pthread_cond_destroy(&s->loaded);
    pthread_mutex_destroy(&s->mutex);
    ae_free(s);
}

static uint64_t picture_bytes(const aei_picture *p)
{
    return ae_row_bytes(&p->info) * p->info.height;
}

static void unlink_item(aei_items *s, size_t i)
{
    item *it = &s->items[i];

    *(it->older == NONE ? &s->oldest : &s->items[it->older].newer) = it->newer;
    *(it->newer == NONE ? &s->newest : &s->items[it->newer].older) = it->older;
}

static void link_newest(aei_items *s, size_t i)
{
    item *it = &s->items[i];

    it->older = s->newest;
    it->newer = NONE;
    *(s->newest == NONE ? &s->oldest : &s->items[s->newest].newer) = (int64_t)i;
    s->newest = (int64_t)i;
}

/* Lets go of what was not used for longest; with the mutex held. */
static void shrink(aei_items *s)
{
    for (int64_t i = s->oldest, newer; i != NONE && s->bytes > s->limit; i = newer) {
        item *it = &s->items[i];

        newer = it->newer;
        if (it->pins)
            continue;
        unlink_item(s, (size_t)i);
        s->bytes -= picture_bytes(&it->picture);
        ae_free(it->picture.pixels);
        it->picture = (aei_picture){0};
        it->state = ITEM_ABSENT;
    }
}

static ae_status check(const aei_items *s, const aei_picture *p, ae_error *err)
{
    const ae_signal_info *f = &p->info;

    if (f->kind == AE_KIND_AUDIO) {
        if (!(f->rate >= 4000 && f->rate <= 384000) || !f->channels || f->channels > 64 ||
            !f->height)
            return ae_fail(err, AE_ERR_MALFORMED,
                           "%llu frames of %u channels at a rate of %g cannot be learned from",
                           (unsigned long long)f->height, f->channels, f->rate);
    } else if ((f->sample != AE_U8 && f->sample != AE_U16 && f->sample != AE_F32) ||
               (f->channels != 1 && f->channels != 3) || f->alpha) {
        return ae_fail(err, AE_ERR_MALFORMED,
                       "a picture of %u channels of this type cannot be learned from", f->channels);
    } else if (f->height < s->min_height || f->width < s->min_width || f->height > INT32_MAX ||
               f->width > INT32_MAX / 16) {
        return f->height == 1 && f->sample == AE_F32
                   ? ae_fail(err, AE_ERR_MALFORMED,
                             "a line of %llu numbers; pictures of at least %u x %u are needed",
                             (unsigned long long)f->width, s->min_width, s->min_height)
                   : ae_fail(err, AE_ERR_MALFORMED,
                             "%llu x %llu pixels; at least %u x %u are needed",
                             (unsigned long long)f->width, (unsigned long long)f->height,
                             s->min_width, s->min_height);
    }
    if (f->sample == AE_F32) {
        const float *v = p->pixels;
        size_t n = ae_row_bytes(f) / sizeof(float) * f->height;

        for (size_t k = 0; k < n; k++)
            if (!(v[k] > -1e30f && v[k] < 1e30f) && !(s->gaps && isnan(v[k])))
                return ae_fail(err, AE_ERR_MALFORMED, "holds samples that are no finite numbers");
    }
    return AE_OK;
}

static void warn(const aei_items *s, size_t i, const char *why)
{
    char message[sizeof(((ae_error *)0)->message) + 256];

    snprintf(message, sizeof(message), "%s: %s", s->data->name(s->data->opaque, i), why);
    if (s->warning)
        s->warning(s->opaque, message);
}

static ae_status load(aei_items *s, size_t i, aei_picture *p, ae_error *err)
{
    ae_status st = s->data->load(s->data->opaque, i, &p->info, &p->pixels, err);

    if (st == AE_OK)
        st = check(s, p, err);
    if (st != AE_OK) {
        ae_free(p->pixels);
        p->pixels = NULL;
    }
    return st;
}

ae_status aei_items_get(aei_items *s, size_t i, const aei_picture **out, ae_error *err)
{
    item *it = &s->items[i];
    ae_status st = AE_OK;

    *out = NULL;
    pthread_mutex_lock(&s->mutex);
    while (it->state == ITEM_LOADING)
        pthread_cond_wait(&s->loaded, &s->mutex);
    if (it->state == ITEM_ABSENT) {
        aei_picture p = {0};
        ae_error why = {0};

        it->state = ITEM_LOADING;
        pthread_mutex_unlock(&s->mutex);
        st = load(s, i, &p, &why);
        pthread_mutex_lock(&s->mutex);
        if (st == AE_OK) {
            it->picture = p;
            it->state = ITEM_READY;
            it->pins++;
            s->bytes += picture_bytes(&p);
            link_newest(s, i);
            shrink(s);
            it->pins--;
        } else if (st == AE_ERR_NOMEM || st == AE_ERR_CANCELLED) {
            it->state = ITEM_ABSENT;
            ae_fail(err, st, "%s", why.message);
        } else {
            it->state = ITEM_BAD;
            warn(s, i, why.message);
        }
        pthread_cond_broadcast(&s->loaded);
    }
    if (it->state == ITEM_READY) {
        it->pins++;
        unlink_item(s, i);
        link_newest(s, i);
        *out = &it->picture;
    } else if (it->state == ITEM_BAD) {
        st = ae_fail(err, AE_ERR_MALFORMED, "%s cannot be used", s->data->name(s->data->opaque, i));
    }
    pthread_mutex_unlock(&s->mutex);
    return st;
}

void aei_items_put(aei_items *s, size_t i)
{
    pthread_mutex_lock(&s->mutex);
    s->items[i].pins--;
    shrink(s);
    pthread_mutex_unlock(&s->mutex);
}

uint64_t aei_items_bytes(aei_items *s)
{
    uint64_t bytes;

    pthread_mutex_lock(&s->mutex);
    bytes = s->bytes;
    pthread_mutex_unlock(&s->mutex);
    return bytes;
}
