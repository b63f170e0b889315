/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Small pictures of one kind that share a tile, and the names that an archive has already. */
#include "gather.h"

#include <string.h>

enum { MAX_NAMES = 4096 };

ae_status gathered_begin(gathered *g, const ae_item *like, size_t n_each, ae_error *err)
{
    size_t most = AE_PACK_BYTES / n_each;

    *g = (gathered){
        .like = *like, .n_each = n_each, .most = most < MAX_NAMES ? (uint32_t)most : MAX_NAMES};
    g->like.name = NULL;
    g->samples = ae_alloc(g->most, n_each);
    g->names = ae_alloc(g->most, sizeof(*g->names));
    g->fields = ae_alloc(g->most, sizeof(*g->fields));
    if (g->samples && g->names && g->fields)
        return AE_OK;
    gathered_clear(g);
    return ae_fail(err, AE_ERR_NOMEM, "a pack of items");
}

ae_status gathered_add(gathered *g, const void *samples, const char *name,
                       const ae_item_fields *fields, ae_error *err)
{
    if (!(g->names[g->n] = ae_strdup(name)))
        return ae_fail(err, AE_ERR_NOMEM, "a name");
    g->fields[g->n] = *fields;
    memcpy(g->samples + g->n++ * g->n_each, samples, g->n_each);
    return AE_OK;
}

void gathered_clear(gathered *g)
{
    for (uint32_t i = 0; i < g->n; i++)
        ae_free(g->names[i]);
    ae_free(g->names);
    ae_free(g->fields);
    ae_free(g->samples);
    *g = (gathered){0};
}

static bool same_kind(const ae_item *a, const ae_item *b)
{
    const ae_signal_info *x = &a->info, *y = &b->info;

    return x->width == y->width && x->height == y->height && x->channels == y->channels &&
           x->sample == y->sample && x->bits == y->bits && a->quality == b->quality &&
           a->orientation == b->orientation;
}

ae_status gather(gathered kinds[GATHER_KINDS], const ae_item *item, size_t n_each,
                 const void *samples, const char *name, const ae_item_fields *fields,
                 gathered *ready, ae_error *err)
{
    gathered *g = NULL;
    ae_status st;

    *ready = (gathered){0};
    for (size_t i = 0; i < GATHER_KINDS && !g; i++)
        if (kinds[i].n && same_kind(&kinds[i].like, item))
            g = &kinds[i];
    for (size_t i = 0; i < GATHER_KINDS && !g; i++)
        if (!kinds[i].n)
            g = &kinds[i];
    if (!g) {
        g = kinds;
        for (size_t i = 1; i < GATHER_KINDS; i++)
            g = kinds[i].n > g->n ? &kinds[i] : g;
        *ready = *g;
        *g = (gathered){0};
    }
    if (!g->n && (st = gathered_begin(g, item, n_each, err)) != AE_OK)
        return st;
    if ((st = gathered_add(g, samples, name, fields, err)) != AE_OK) {
        if (!g->n)
            gathered_clear(g);
        return st;
    }
    if (g->n == g->most) { /* not where another was evicted: a new one holds four or more */
        *ready = *g;
        *g = (gathered){0};
    }
    return AE_OK;
}

/* ---- names ---- */

static uint64_t hash_name(const char *name)
{
    uint64_t h = 14695981039346656037u;

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211u;
    return h ^ h >> 32;
}

static char **find_slot(const name_set *s, const char *name)
{
    size_t i = hash_name(name) & (s->room - 1);

    while (s->slots[i] && strcmp(s->slots[i], name) != 0)
        i = (i + 1) & (s->room - 1);
    return &s->slots[i];
}

static ae_status grow(name_set *s, ae_error *err)
{
    name_set larger = {.n = s->n, .room = s->room ? 2 * s->room : 256};

    if (!(larger.slots = ae_alloc(larger.room, sizeof(*larger.slots))))
        return ae_fail(err, AE_ERR_NOMEM, "names");
    for (size_t i = 0; i < s->room; i++)
        if (s->slots[i])
            *find_slot(&larger, s->slots[i]) = s->slots[i];
    ae_free(s->slots);
    *s = larger;
    return AE_OK;
}

ae_status name_set_add(name_set *s, const char *name, bool *added, ae_error *err)
{
    ae_status st;
    char **slot;

    *added = false;
    if (2 * s->n >= s->room && (st = grow(s, err)) != AE_OK)
        return st;
    slot = find_slot(s, name);
    if (*slot)
        return AE_OK;
    if (!(*slot = ae_strdup(name)))
        return ae_fail(err, AE_ERR_NOMEM, "a name");
    s->n++;
    *added = true;
    return AE_OK;
}

bool name_set_has(const name_set *s, const char *name)
{
    return s->n && *find_slot(s, name);
}

void name_set_clear(name_set *s)
{
    for (size_t i = 0; i < s->room; i++)
        ae_free(s->slots[i]);
    ae_free(s->slots);
    *s = (name_set){0};
}
