/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The index of a container: one item by its name, or all. */
#include <stdlib.h>
#include <string.h>

#include "read.h"

/* An entry that names a pack gets the rest from there: from its first bytes, or after all of it was
 * checked. */
static ae_status complete(const ae_container *c, ae_item *item, bool check, ae_error *err)
{
    uint8_t *buffer = NULL, begin[2 * 10 + AEI_AEC_MAX_HEAD], type;
    size_t capacity = 0;
    uint32_t n;
    ae_item own = {0};
    aei_cursor at;
    ae_status st;

    if (!item->packed)
        return aei_check_item_size(c, item, err);
    if (check) {
        st = aei_load_pack(c, item->offset, &type, &buffer, &capacity, &n, err);
        at = (aei_cursor){buffer, st == AE_OK ? buffer + n : buffer, false};
    } else if (aei_chunk_at(c, item->offset, &type, &n) && aei_is_pack(type)) {
        at = (aei_cursor){begin, begin + (n < sizeof(begin) ? n : sizeof(begin)), false};
        st = aei_read_at(c, item->offset + AEI_AEC_CHUNK, begin, (size_t)(at.end - at.at))
                 ? AE_OK
                 : ae_fail(err, AE_ERR_IO, "read error");
    } else {
        st = ae_fail(err, AE_ERR_MALFORMED, "no pack at byte %llu",
                     (unsigned long long)item->offset);
    }
    if (st == AE_OK)
        st = aei_pack_head(c, &at, &own, err);
    if (st == AE_OK && item->position >= own.packed)
        st = ae_fail(err, AE_ERR_MALFORMED, "item %u of a pack of %u", item->position, own.packed);
    if (st == AE_OK) {
        own.name = item->name;
        own.position = item->position;
        own.number += item->position;
        own.offset = item->offset;
        own.span = n + AEI_AEC_EXTRA;
        *item = own;
    }
    ae_free(buffer);
    return st;
}

ae_status aei_root_open(const ae_container *c, uint64_t offset, aei_root *r, ae_error *err)
{
    uint32_t n;
    uint64_t chain;
    ae_status st = aei_load_chunk(c, offset, AEI_CHUNK_INDEX, AEI_AEC_MAX_ROOT, &r->buffer,
                                  &r->capacity, &n, err);

    if (st != AE_OK)
        return st;
    r->begin = offset;
    r->end = offset + n + AEI_AEC_EXTRA;
    r->rest = (aei_cursor){r->buffer, r->buffer + n, false};
    r->previous = aei_take_number(&r->rest);
    chain = aei_take_number(&r->rest);
    r->next_number = aei_take_number(&r->rest);
    r->model = aei_take_number(&r->rest);
    r->n_items = aei_take_number(&r->rest);
    r->n_pages = aei_take_number(&r->rest);
    if (r->rest.bad || chain < 1 || chain > AEI_AEC_MAX_CHAIN ||
        (chain > 1) != (r->previous != 0) || r->previous >= offset)
        return ae_fail(err, AE_ERR_MALFORMED, "the index at byte %llu is damaged",
                       (unsigned long long)offset);
    r->chain = (uint32_t)chain;
    return AE_OK;
}

typedef struct page {
    uint64_t offset, n_bytes, n_name;
    const uint8_t *name;
} page;

static bool take_page(aei_cursor *c, page *p)
{
    p->offset = aei_take_number(c);
    p->n_bytes = aei_take_number(c);
    p->n_name = aei_take_number(c);
    p->name = aei_take(c, p->n_name);
    return p->name && p->n_bytes <= AEI_AEC_MAX_PAGE;
}

/* What to do with an item that the index names. */
static ae_status take_item(const ae_container *c, const ae_item *item, const char *name,
                           aei_search *s, ae_error *err)
{
    if (s->name) {
        if (strcmp(name, s->name) != 0 || s->found.name)
            return AE_OK;
        s->found = *item;
        s->found.name = ae_strdup(name);
        return s->found.name ? complete(c, &s->found, false, err) : aei_out_of_memory(err);
    }
    /* an entry has at least five bytes, so more of them are not in the file but in pages read
     * twice; its name may be long all the same */
    if (s->into->n > c->bytes.size / 5)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "an index of more entries than the file has room for");
    if ((s->n_names += strlen(name)) > AEI_AEC_MAX_NAMES + AEI_AEC_MAX_EXPANSION * c->bytes.size)
        return ae_fail(err, AE_ERR_LIMIT,
                       "an index whose names are more than %d times as long as the file",
                       AEI_AEC_MAX_EXPANSION);
    return aei_items_append(s->into, item, name, strlen(name), err);
}

static ae_status go_through(const ae_container *c, aei_cursor entries, aei_search *s, ae_error *err)
{
    char name[AE_ITEM_MAX_NAME + 1] = "";
    ae_item item;
    ae_status st = AE_OK;

    while (entries.at < entries.end && st == AE_OK)
        if ((st = aei_take_entry(&entries, name, &item, err)) == AE_OK)
            st = take_item(c, &item, name, s, err);
    return st;
}

/* The item of a short file, which has no entry. */
static ae_status only_item(const ae_container *c, const aei_root *r, aei_search *s, ae_error *err)
{
    uint64_t offset = r->model ? aei_chunk_end(c, r->model) : AEI_AEC_HEADER;
    char name[AE_ITEM_MAX_NAME + 1];
    ae_item item;
    ae_status st;

    if (offset >= r->begin)
        return ae_fail(err, AE_ERR_MALFORMED, "an index of an item that is not there");
    if ((st = aei_load_head(c, offset, &item, name, err)) != AE_OK)
        return st;
    item.span = r->begin - offset;
    return take_item(c, &item, name, s, err);
}

static ae_status search_page(const ae_container *c, const page *p, aei_search *s, ae_error *err)
{
    uint8_t *buffer = NULL;
    size_t capacity = 0;
    uint32_t n;
    ae_status st = aei_load_chunk(c, p->offset, AEI_CHUNK_PAGE, AEI_AEC_MAX_PAGE, &buffer,
                                  &capacity, &n, err);

    if (st == AE_OK && n != p->n_bytes)
        st = ae_fail(err, AE_ERR_MALFORMED, "a page of the index of %u bytes, not %llu", n,
                     (unsigned long long)p->n_bytes);
    if (st == AE_OK)
        st = go_through(c, (aei_cursor){buffer, buffer + n, false}, s, err);
    ae_free(buffer);
    return st;
}

static ae_status search_root(const ae_container *c, const aei_root *r, aei_search *s, ae_error *err)
{
    aei_cursor at = r->rest;
    page p, best = {0};
    uint64_t end = 0; /* of the page before: they do not lie in each other */
    ae_status st = AE_OK;

    if (!r->n_pages)
        return r->n_items == 1 && at.at == at.end ? only_item(c, r, s, err)
                                                  : go_through(c, at, s, err);
    for (uint64_t i = 0; i < r->n_pages && st == AE_OK; i++) {
        if (!take_page(&at, &p) || p.offset < end || p.offset > c->bytes.size)
            return ae_fail(err, AE_ERR_MALFORMED, "a damaged index");
        end = p.offset + p.n_bytes + AEI_AEC_EXTRA;
        if (!s->name) {
            st = search_page(c, &p, s, err);
        } else {
            size_t n = strlen(s->name), least = n < p.n_name ? n : (size_t)p.n_name;
            int order = memcmp(p.name, s->name, least);

            if (order > 0 || (order == 0 && p.n_name > n))
                break;
            best = p;
        }
    }
    return s->name && best.name && st == AE_OK ? search_page(c, &best, s, err) : st;
}

ae_status aei_search_chain(const ae_container *c, aei_search *s, ae_error *err)
{
    uint64_t offset = c->tail.root;
    uint32_t chain = c->tail.chain;
    ae_status st = AE_OK;

    for (; offset && st == AE_OK && !s->found.name; chain--) {
        aei_root r = {0};

        st = aei_root_open(c, offset, &r, err);
        if (st == AE_OK && r.chain != chain)
            st = ae_fail(err, AE_ERR_MALFORMED, "the index at byte %llu is damaged",
                         (unsigned long long)offset);
        if (st == AE_OK)
            st = search_root(c, &r, s, err);
        offset = r.previous;
        ae_free(r.buffer);
    }
    return st;
}

/* ---- for callers ---- */

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_place(const void *a, const void *b)
{
    const ae_item *x = a, *y = b;

    return x->offset != y->offset ? compare(x->offset, y->offset)
                                  : compare(x->position, y->position);
}

/* Of packed items, by that of the first: whatever numbers packs claim, each stays together and is
 * decoded once. */
static int by_number(const void *a, const void *b)
{
    const ae_item *x = a, *y = b;
    int order = compare(x->number - x->position, y->number - y->position);

    return order ? order : by_place(a, b);
}

/* The rest of what the entries of an index name, in order of place, so that each pack is looked at
 * once, and no byte of the file belongs to two items. What is damaged is dropped. */
static ae_status complete_all(ae_container *c, aei_item_list *l, ae_error *err)
{
    /* the last pack that was not whole; bytes of packs looked at, which may overlap */
    uint64_t bad = UINT64_MAX, spent = 0;
    size_t kept = 0;

    if (l->n)
        qsort(l->all, l->n, sizeof(*l->all), by_place);
    for (size_t i = 0; i < l->n; i++) {
        ae_item *item = &l->all[i], *before = kept ? &l->all[kept - 1] : NULL;
        bool together = before && before->offset == item->offset;
        ae_status st = AE_OK;
        ae_error why = {0};
        uint8_t type;
        uint32_t n;

        if (together && (!before->packed || !item->packed || before->position == item->position)) {
            st = ae_fail(&why, AE_ERR_MALFORMED, "the index names the place at byte %llu twice",
                         (unsigned long long)item->offset);
        } else if (together && item->position < before->packed) {
            ae_item own = *before;

            own.name = item->name;
            own.number = before->number - before->position + item->position;
            own.position = item->position;
            *item = own;
        } else if (item->packed && item->offset == bad) {
            st = AE_ERR_MALFORMED; /* complained of already */
        } else {
            if (item->packed && aei_chunk_at(c, item->offset, &type, &n) &&
                (spent += n) > 2 * c->bytes.size + AEI_AEC_MAX_PACK)
                return ae_fail(err, AE_ERR_MALFORMED, "an index of packs that lie in each other");
            st = complete(c, item, true, &why);
            bad = st != AE_OK && item->packed ? item->offset : bad;
        }
        if (st == AE_ERR_NOMEM)
            return aei_out_of_memory(err);
        if (st != AE_OK) {
            if (*why.message)
                aei_complain(c, why.message);
            ae_item_clear(item);
            continue;
        }
        if (before && !before->packed && before->span > item->offset - before->offset)
            before->span = item->offset - before->offset;
        if (kept++ != i) {
            l->all[kept - 1] = *item;
            item->name = NULL;
        }
    }
    l->n = kept;
    return AE_OK;
}

ae_status ae_container_list(ae_container *c, ae_item **out, size_t *n_items, ae_error *err)
{
    aei_item_list all = {0};
    aei_search s = {.into = &all};
    ae_status st = AE_OK;

    *out = NULL;
    *n_items = 0;
    for (size_t i = 0; i < c->scanned.n && st == AE_OK; i++)
        st = aei_items_append(&all, &c->scanned.all[i], c->scanned.all[i].name,
                              strlen(c->scanned.all[i].name), err);
    if (st == AE_OK && !c->by_scan)
        st = aei_search_chain(c, &s, err);
    if (st == AE_OK && !c->by_scan)
        st = complete_all(c, &all, err);
    if ((st = aei_settle(c, st, err)) != AE_OK) {
        ae_items_free(all.all, all.n);
        return st;
    }
    if (all.n)
        qsort(all.all, all.n, sizeof(*all.all), by_number);
    *out = all.all;
    *n_items = all.n;
    return AE_OK;
}

ae_status ae_container_find(const ae_container *c, const char *name, ae_item *out, ae_error *err)
{
    aei_search s = {.name = name};
    ae_status st = AE_OK;

    *out = (ae_item){0};
    for (size_t i = 0; i < c->scanned.n && !s.found.name; i++)
        if (strcmp(c->scanned.all[i].name, name) == 0) {
            s.found = c->scanned.all[i];
            if (!(s.found.name = ae_strdup(name)))
                return aei_out_of_memory(err);
        }
    if (!c->by_scan)
        st = aei_search_chain(c, &s, err);
    if (st == AE_OK && !s.found.name)
        st = ae_fail(err, AE_ERR_ARGUMENT, "there is no item %s", name);
    if ((st = aei_settle(c, st, err)) != AE_OK)
        ae_item_clear(&s.found);
    *out = s.found;
    return st;
}
