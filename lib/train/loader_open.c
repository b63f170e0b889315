/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Making the ring and unmaking it: what the recipe's network takes, how large samples are, which
 * items are held out for validation, and the buffers of all threads. */
#include "train/loader_parts.h"
#include "audio/spectrum.h"
#include "core/rng.h"
#include "image/levels.h"
#include "image/resize.h"
#include "train/corrupt.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum {
    AHEAD = 3,                /* batches prepared beyond the one in use */
    SOUND_VALIDATION = 64,    /* mixtures */
    MIN_EDGE = 16,            /* smaller pictures are not worth learning from */
    MAX_HOLDOUT = 32,         /* items, */
    HOLDOUT_PIXELS = 1 << 19, /* or more while their crops stay below this */
    FEW_HOLDOUT = 16          /* fewer items than this give several crops each */
};

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
           most = HOLDOUT_PIXELS / ((size_t)l->out_h * l->out_w), bad = 0,
           overlap = l->config.data->overlap, apart;
    aei_rng rng = aei_rng_make(AEI_SEED_HOLDOUT, n, 0);
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
    if (overlap)
        for (size_t i = 0; i < n; i++)
            l->training[i] = n - 1 - i;
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
    apart = l->n_holdout + bad + overlap < n ? l->n_holdout + bad + overlap : n;
    l->n_training = n - apart;
    memmove(l->training, l->training + apart, l->n_training * sizeof(*l->training));
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
    bool base = l->recipe->task == AE_TASK_SUPERRES && l->recipe->residual,
         weight = l->config.noisy_only || l->sound || l->recipe->columns;

    s->image = ae_alloc(in, l->c * sizeof(float));
    s->target = ae_alloc(out, l->c * sizeof(float));
    if (l->level_c)
        s->level = ae_alloc(in, l->level_c * sizeof(float));
    if (l->has_quality)
        s->quality = ae_alloc(l->n, sizeof(float));
    if (base)
        s->base = ae_alloc(out, l->c * sizeof(float));
    if (weight)
        s->weight = ae_alloc(in, sizeof(float));
    if (l->config.data->labels && !(s->label = ae_alloc(l->n, sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "labels of %u samples", l->n);
    if (!s->image || !s->target || (l->level_c && !s->level) || (l->has_quality && !s->quality) ||
        (base && !s->base) || (weight && !s->weight))
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

static ae_status open_pictures(aei_loader *l, ae_error *err)
{
    const aei_loader_config *c = &l->config;
    ae_status st = aei_items_create(c->data, c->cache_bytes, l->h < MIN_EDGE ? l->h : MIN_EDGE,
                                    l->w < MIN_EDGE ? l->w : MIN_EDGE, l->recipe->columns > 0,
                                    c->opaque, c->warning, &l->items, err);

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
    if ((st = aei_loader_start(l, err)) != AE_OK)
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
