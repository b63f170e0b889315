/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Threads take the steps in turn and fill a ring of batches. Everything drawn for a sample comes
 * from a generator seeded with the run's seed, the step and the sample's place in the batch. */
#include "train/loader_parts.h"
#include "audio/spectrum.h"
#include "core/rng.h"
#include "image/levels.h"
#include "image/resize.h"
#include "train/corrupt.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

enum {
    AHEAD = 3,                /* batches prepared beyond the one in use */
    SOUND_VALIDATION = 64,    /* mixtures */
    MIN_EDGE = 16,            /* smaller pictures are not worth learning from */
    MAX_HOLDOUT = 32,         /* items, */
    HOLDOUT_PIXELS = 1 << 19, /* or more while their crops stay below this */
    FEW_HOLDOUT = 16,         /* fewer items than this give several crops each */
    CROPS_A_VISIT = 64        /* crops taken from an item while it is in the window */
};

/* Purposes of the generators, beside steps. */
#define SEED_ORDER UINT64_C(0x6f72646572)
#define SEED_HOLDOUT UINT64_C(0x686f6c646f7574)
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
    aei_rng rng = aei_rng_make(SEED_HOLDOUT, SEED_HOLDOUT, index);
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

/* ---- making and unmaking ---- */

static const ae_node *find_input(const ae_graph *g, const char *name)
{
    int32_t i = -1;

    for (uint32_t k = 0; k < g->n_nodes; k++)
        if (g->nodes[k].op == AE_OP_INPUT && !strcmp(g->nodes[k].name, name))
            i = (int32_t)k;
    return i < 0 ? NULL : &g->nodes[i];
}

void aei_loader_input_size(const ae_recipe *recipe, uint32_t *height, uint32_t *width)
{
    const ae_node *image = find_input(&recipe->networks[0].graph, AE_INPUT_IMAGE);
    uint32_t scale = recipe->task == AE_TASK_SUPERRES ? recipe->scale : 1;

    *height = image && image->height ? image->height : recipe->crop / scale;
    *width = image && image->width ? image->width : recipe->crop / scale;
}

static ae_status read_inputs(aei_loader *l, ae_error *err)
{
    const ae_graph *g = &l->recipe->networks[0].graph;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const ae_node *node = &g->nodes[i];

        if (node->op != AE_OP_INPUT)
            continue;
        if (l->n_inputs == AE_MAX_FROM)
            return ae_fail(err, AE_ERR_UNSUPPORTED, "more than %d inputs", AE_MAX_FROM);
        if (!strcmp(node->name, AE_INPUT_IMAGE) && (node->out == 1 || node->out == 3)) {
            l->image_input = l->n_inputs++;
            l->c = node->out;
        } else if (!strcmp(node->name, AE_INPUT_LEVEL) && (node->out == 1 || node->out == 2)) {
            l->level_input = l->n_inputs++;
            l->level_c = node->out;
        } else if (!strcmp(node->name, AE_INPUT_PLACE) && l->recipe->sound.bands) {
            l->level_input = l->n_inputs++;
            l->level_c = 1;
        } else if (!strcmp(node->name, AE_INPUT_QUALITY) && l->recipe->task == AE_TASK_COMPRESS) {
            l->quality_input = l->n_inputs++;
            l->has_quality = true;
        } else {
            return ae_fail(err, AE_ERR_UNSUPPORTED,
                           "nothing is known to feed input '%s' of %u channels with", node->name,
                           node->out);
        }
    }
    if (!l->c)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "network '%s' has no input '%s' of 1 or 3 channels",
                       l->recipe->networks[0].name, AE_INPUT_IMAGE);
    return AE_OK;
}

static ae_status read_sizes(aei_loader *l, ae_error *err)
{
    const ae_recipe *r = l->recipe;
    uint32_t scale = r->task == AE_TASK_SUPERRES ? r->scale : 1;
    uint32_t stride;
    double largest;

    aei_loader_input_size(r, &l->h, &l->w);
    l->n = r->batch;
    if (!l->n || !l->h || !l->w || !scale || l->h > 1u << 14 || l->w > 1u << 14 || scale > 16 ||
        l->n > 1u << 20)
        return ae_fail(err, AE_ERR_ARGUMENT, "batches of %u crops of %u x %u pixels at scale %u",
                       l->n, l->w, l->h, scale);
    ae_graph_field(&r->networks[0].graph, &stride, &(uint32_t){0});
    if (stride && (l->h % stride || l->w % stride))
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "crops of %u x %u pixels do not suit a network of stride %u", l->w, l->h,
                       stride);
    if (l->config.noisy_only && r->patterns > 0)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "synthetic patterns, which are clean, among noisy pictures only");
    if (l->config.noisy && (l->config.noisy_only || r->strength_max > 0 ||
                            r->task == AE_TASK_SUPERRES || r->task == AE_TASK_COMPRESS))
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "pairs of clean and noisy pictures are for recipes that denoise");
    if (l->config.noisy_only && r->strength_max > 0)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "a strength with noisy pictures only");
    if (l->config.noisy_only && (r->task == AE_TASK_SUPERRES || r->task == AE_TASK_COMPRESS))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s from noisy pictures only",
                       r->task == AE_TASK_SUPERRES ? "super-resolution" : "compression");
    if (r->task == AE_TASK_SUPERRES) {
        l->margin = 4 * scale;
    }
    l->out_h = l->h * scale;
    l->out_w = l->w * scale;
    if (!(r->scale_min > 0.1f && r->scale_max >= r->scale_min && r->scale_max <= 64))
        return ae_fail(err, AE_ERR_ARGUMENT, "scales from %g to %g", (double)r->scale_min,
                       (double)r->scale_max);
    largest = r->scale_max > 1 ? r->scale_max : 1;
    l->region_h = (uint32_t)ceil((l->out_h + 2 * l->margin) * largest) + 1;
    l->region_w = (uint32_t)ceil((l->out_w + 2 * l->margin) * largest) + 1;
    return AE_OK;
}

/* Every order is drawn from a seed of its own: the hold-out is the same whatever the run's. */
static ae_status split(aei_loader *l, ae_error *err)
{
    size_t n = l->config.data->n_items, wanted,
           most = HOLDOUT_PIXELS / ((size_t)l->out_h * l->out_w), bad = 0;
    aei_rng rng = aei_rng_make(SEED_HOLDOUT, n, 0);
    double bytes = 0, pixels = 0, room; /* of a held-out item: so many crops do not overlap */
    ae_error why = {0};

    l->training = ae_alloc(n, sizeof(*l->training));
    l->holdout = ae_alloc(n, sizeof(*l->holdout));
    if (!l->training || !l->holdout)
        return ae_fail(err, AE_ERR_NOMEM, "order of %zu items", n);
    for (size_t i = 0; i < n; i++) {
        size_t j = (size_t)(aei_rng_u64(&rng) % (i + 1));

        l->training[i] = l->training[j];
        l->training[j] = i;
    }
    wanted = (size_t)((double)l->recipe->holdout * (double)n);
    most = most > MAX_HOLDOUT ? most : MAX_HOLDOUT;
    wanted = wanted > most ? most : wanted ? wanted : 1;
    if (l->config.all)
        wanted = n;
    while (l->n_holdout < wanted && l->n_holdout + bad < n) {
        size_t i = l->training[l->n_holdout + bad];
        const aei_picture *p;
        ae_status st = aei_items_get(l->items, i, &p, &why);

        if (st == AE_ERR_MALFORMED) {
            bad++;
            continue;
        }
        if (st != AE_OK)
            return ae_fail(err, st, "%s", why.message);
        bytes += (double)ae_row_bytes(&p->info) * (double)p->info.height;
        pixels += (double)p->info.width * (double)p->info.height;
        aei_items_put(l->items, i);
        l->holdout[l->n_holdout++] = i;
    }
    if (!l->n_holdout)
        return ae_fail(err, AE_ERR_MALFORMED, "none of the %zu items can be learned from%s%s", n,
                       n ? "; the last one: " : "", why.message);
    l->n_training = n - l->n_holdout - bad;
    memmove(l->training, l->training + l->n_holdout + bad, l->n_training * sizeof(*l->training));
    if (!l->n_training) /* a single usable item */
        l->training[l->n_training++] = l->holdout[0];
    l->crops_each = l->n_holdout >= FEW_HOLDOUT || l->config.all
                        ? 1
                        : FEW_HOLDOUT / (uint32_t)l->n_holdout;
    room = fmax(4, pixels / (double)l->n_holdout / ((double)l->out_h * l->out_w));
    if (l->crops_each > room)
        l->crops_each = (uint32_t)room;
    l->n_validation = (uint32_t)l->n_holdout * l->crops_each;
    l->window = (size_t)(0.8 * (double)l->config.cache_bytes / (bytes / (double)l->n_holdout));
    l->window = l->window < 4 ? 4 : l->window;
    l->window = l->window > l->n_training ? l->n_training : l->window;
    return AE_OK;
}

static ae_status make_slot(const aei_loader *l, aei_batch_slot *s, ae_error *err)
{
    size_t in = (size_t)l->n * l->h * l->w, out = (size_t)l->n * l->out_h * l->out_w;
    bool base = l->recipe->task == AE_TASK_SUPERRES && l->recipe->residual;

    s->image = ae_alloc(in, l->c * sizeof(float));
    s->target = ae_alloc(out, l->c * sizeof(float));
    if (l->level_c)
        s->level = ae_alloc(in, l->level_c * sizeof(float));
    if (l->has_quality)
        s->quality = ae_alloc(l->n, sizeof(float));
    if (base)
        s->base = ae_alloc(out, l->c * sizeof(float));
    if (l->config.noisy_only || l->sound)
        s->weight = ae_alloc(in, sizeof(float));
    if (l->config.data->labels && !(s->label = ae_alloc(l->n, sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "labels of %u samples", l->n);
    if (!s->image || !s->target || (l->level_c && !s->level) || (l->has_quality && !s->quality) ||
        (base && !s->base) || ((l->config.noisy_only || l->sound) && !s->weight))
        return ae_fail(err, AE_ERR_NOMEM, "a batch of %u crops of %u x %u pixels", l->n, l->out_w,
                       l->out_h);
    for (size_t i = 0; l->sound && l->level_c && i < in; i += l->w)
        aei_sound_place(l->w, s->level + i);
    return AE_OK;
}

static ae_status make_bench(const aei_loader *l, aei_sample_bench *b, ae_error *err)
{
    uint32_t th = l->out_h + 2 * l->margin, tw = l->out_w + 2 * l->margin, c = l->c;
    size_t scene = (size_t)th * tw * c, scratch = aei_corrupt_scratch(th, tw), more;
    bool superres = l->recipe->task == AE_TASK_SUPERRES, ok;

    if (l->sound)
        return aei_mixer_create(l->sound, &b->mixer, err);
    more = aei_resize_scratch(l->region_h, l->region_w, c, th, tw);
    scratch = scratch > more ? scratch : more;
    more = aei_level_scratch(th, tw) * sizeof(float);
    scratch = scratch > more ? scratch : more;
    if (superres) {
        uint32_t scale = l->recipe->scale;

        more = aei_resize_scratch(th, tw, c, th / scale, tw / scale);
        scratch = scratch > more ? scratch : more;
        more = aei_resize_scratch(th / scale, tw / scale, c, th, tw);
        scratch = scratch > more ? scratch : more;
    }
    b->region = ae_alloc((size_t)l->region_h * l->region_w * c, sizeof(float));
    b->scratch = ae_alloc(scratch, 1);
    ok = b->region && b->scratch;
    if (l->recipe->patterns > 0 && c == 1) {
        b->pattern = ae_alloc((size_t)th * tw, 3 * sizeof(float));
        ok = ok && b->pattern;
    }
    if (superres) {
        b->scene = ae_alloc(scene, sizeof(float));
        b->small = ae_alloc(scene, sizeof(float));
        b->noisy = ae_alloc(scene, sizeof(float));
        b->large = ae_alloc(scene, sizeof(float));
        ok = ok && b->scene && b->small && b->noisy && b->large;
    }
    return ok ? AE_OK
              : ae_fail(err, AE_ERR_NOMEM, "buffers for crops of %u x %u pixels", l->region_w,
                        l->region_h);
}

static ae_status start_threads(aei_loader *l, ae_error *err)
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

static ae_status open_pictures(aei_loader *l, ae_error *err)
{
    const aei_loader_config *c = &l->config;
    ae_status st = aei_items_create(c->data, c->cache_bytes, l->h < MIN_EDGE ? l->h : MIN_EDGE,
                                    l->w < MIN_EDGE ? l->w : MIN_EDGE, c->opaque, c->warning,
                                    &l->items, err);

    if (st == AE_OK && c->noisy)
        st = aei_pairs_create(c->noisy, c->data->n_items, c->cache_bytes, c->opaque, c->warning,
                              &l->pairs, err);
    return st == AE_OK ? split(l, err) : st;
}

static ae_status open_sound(aei_loader *l, ae_error *err)
{
    const aei_loader_config *c = &l->config;
    aei_source_sound_config sound = {l->recipe, c->data,        c->noise,  c->rooms,  c->music,
                                     l->h,      c->cache_bytes, c->opaque, c->warning};

    if (c->noisy)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "sound in pairs: noises are mixed with it");
    if (c->noisy_only)
        return ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "sound from noisy recordings only: what is noise in them is learned from noises");
    l->n_validation = SOUND_VALIDATION;
    return aei_source_sound_create(&sound, &l->sound, err);
}

ae_status aei_loader_create(const aei_loader_config *config, aei_loader **out, ae_error *err)
{
    aei_loader *l = ae_alloc(1, sizeof(*l));
    ae_status st;

    *out = NULL;
    if (!l)
        return ae_fail(err, AE_ERR_NOMEM, "loader");
    l->config = *config;
    l->recipe = config->recipe;
    l->oldest = l->next = config->first_step;
    l->n_threads = config->threads ? config->threads : 1;
    l->n_slots = AHEAD + l->n_threads;
    if (!l->config.cache_bytes)
        l->config.cache_bytes = UINT64_C(2) << 30;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->ready, NULL);
    pthread_cond_init(&l->room, NULL);
    if ((st = read_inputs(l, err)) != AE_OK || (st = read_sizes(l, err)) != AE_OK ||
        (!config->noisy_only && (st = aei_corrupt_check(l->recipe, l->h, l->w, err)) != AE_OK))
        goto done;
    if ((st = l->recipe->sound.bands ? open_sound(l, err) : open_pictures(l, err)) != AE_OK)
        goto done;
    l->slots = ae_alloc(l->n_slots + 1, sizeof(*l->slots));
    l->benches = ae_alloc(l->n_threads + 1, sizeof(*l->benches));
    l->threads = ae_alloc(l->n_threads, sizeof(*l->threads));
    if (!l->slots || !l->benches || !l->threads) {
        st = ae_fail(err, AE_ERR_NOMEM, "loader of %u threads", l->n_threads);
        goto done;
    }
    for (uint32_t i = 0; i <= l->n_slots; i++)
        if ((st = make_slot(l, &l->slots[i], err)) != AE_OK)
            goto done;
    for (uint32_t i = 0; i <= l->n_threads; i++)
        if ((st = make_bench(l, &l->benches[i], err)) != AE_OK)
            goto done;
    if ((st = start_threads(l, err)) != AE_OK)
        goto done;
    *out = l;
    l = NULL;
done:
    aei_loader_free(l);
    return st;
}

void aei_loader_free(aei_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->mutex);
    l->stop = true;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->mutex);
    for (uint32_t i = 0; i < l->n_started; i++)
        pthread_join(l->threads[i], NULL);
    for (uint32_t i = 0; l->slots && i <= l->n_slots; i++) {
        aei_batch_slot *s = &l->slots[i];

        ae_free(s->image);
        ae_free(s->level);
        ae_free(s->quality);
        ae_free(s->target);
        ae_free(s->base);
        ae_free(s->weight);
        ae_free(s->label);
    }
    for (uint32_t i = 0; l->benches && i <= l->n_threads; i++) {
        aei_sample_bench *b = &l->benches[i];

        ae_free(b->row);
        ae_free(b->region);
        ae_free(b->pattern);
        ae_free(b->scene);
        ae_free(b->small);
        ae_free(b->noisy);
        ae_free(b->large);
        ae_free(b->scratch);
        aei_mixer_free(b->mixer);
    }
    ae_free(l->slots);
    ae_free(l->benches);
    ae_free(l->threads);
    ae_free(l->training);
    ae_free(l->holdout);
    aei_items_free(l->items);
    aei_pairs_free(l->pairs);
    aei_source_sound_free(l->sound);
    pthread_cond_destroy(&l->room);
    pthread_cond_destroy(&l->ready);
    pthread_mutex_destroy(&l->mutex);
    ae_free(l);
}
