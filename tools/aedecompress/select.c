/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which items of a file are meant. A name that is an item's is that item, whatever characters it
 * has; only others are patterns, so that no item is out of reach. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/progress.h"
#include "decompress.h"

/* An array becomes what its name says that it was, if that can be written. */
static const ae_codec *array_standard(const decompress_options *o, const ae_item *item)
{
    const ae_codec *named = ae_codec_for_path(item->name);

    if (o->picture.codec && o->picture.codec->kind == AE_KIND_TENSOR)
        return o->picture.codec;
    return named && named->kind == AE_KIND_TENSOR ? named : ae_codec_for_name("npy");
}

const ae_codec *decompress_standard(const decompress_options *o, const ae_item *item)
{
    const ae_signal_info *info = &item->info;
    bool flac = info->sample != AE_S32 && info->sample != AE_F32 && info->sample != AE_F64 &&
                info->channels <= 8 && info->rate <= 655350;

    if (info->kind == AE_KIND_TENSOR)
        return array_standard(o, item);
    if (info->kind != AE_KIND_AUDIO || o->preview)
        return o->standard;
    return o->picture.codec && o->picture.codec->kind == AE_KIND_AUDIO
               ? o->picture.codec
               : ae_codec_for_name(flac ? "flac" : "wav");
}

/* A place in frames or rows, at most the end. */
static uint64_t place_in(const decompress_options *o, const ae_item *item, double place)
{
    double unit = o->in_frames || item->info.kind == AE_KIND_TENSOR ? 1 : item->info.rate;
    double at = floor(place * unit + 0.5);

    return at < (double)item->info.height ? (uint64_t)at : item->info.height;
}

ae_archive_options decompress_how(const decompress_options *o, const ae_item *item)
{
    uint64_t first = place_in(o, item, o->from), end = o->to > 0 ? place_in(o, item, o->to) : 0;

    return (ae_archive_options){.model = o->model,
                                .coders = o->coders,
                                .region = o->region,
                                .preview = o->preview,
                                .first = first,
                                .n_frames = end > first ? end - first : o->to > 0};
}

/* Nothing but * and ? is special, brackets and backslashes are letters like others. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *from = NULL;

    while (*name || *pattern) {
        if (*pattern == '*') {
            star = ++pattern;
            from = name;
        } else if (*name && (*pattern == '?' || *pattern == *name)) {
            pattern++;
            name++;
        } else if (star && *from) {
            pattern = star;
            name = ++from;
        } else {
            return false;
        }
    }
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const ae_item *)a)->number, y = ((const ae_item *)b)->number;

    return (x > y) - (x < y);
}

/* The items called exactly so, in order and each once; patterns[i]: the i-th name is none's and may
 * be a pattern. */
static ae_status find_named(const decompress_options *o, aecfile *f, ae_item *items, size_t *n,
                            bool *patterns, ae_error *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < o->names.n; i++) {
        ae_error why;
        ae_status st = ae_container_find(f->container, o->names.items[i], &items[*n], &why);

        *n += st == AE_OK;
        patterns[i] = st == AE_ERR_ARGUMENT;
        if (st != AE_OK && st != AE_ERR_ARGUMENT)
            return ae_fail(err, st, "%s", why.message);
    }
    qsort(items, *n, sizeof(*items), by_number);
    for (size_t i = 0; i < *n; i++) {
        if (kept && items[kept - 1].number == items[i].number) {
            ae_item_clear(&items[i]);
        } else if (kept++ != i) {
            items[kept - 1] = items[i];
            items[i].name = NULL;
        }
    }
    *n = kept;
    return AE_OK;
}

/* Of all items those that are called so or match; patterns[i] becomes false where something does.
 */
static void keep_wanted(const decompress_options *o, ae_item *items, size_t *n,
                        const ae_item *named, size_t n_named, bool *patterns, const bool *open)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < *n; i++) {
        bool wanted = at < n_named && named[at].number == items[i].number;

        at += wanted;
        for (size_t k = 0; k < o->names.n; k++)
            if (open[k] && matches(o->names.items[k], items[i].name)) {
                wanted = true;
                patterns[k] = false;
            }
        if (!wanted) {
            ae_item_clear(&items[i]);
        } else if (kept++ != i) {
            items[kept - 1] = items[i];
            items[i].name = NULL;
        }
    }
    *n = kept;
}

static ae_status select_named(const decompress_options *o, const char *path, aecfile *f,
                              ae_item **out, size_t *n, uint32_t *n_missing, ae_error *err)
{
    ae_item *named = ae_alloc(o->names.n, sizeof(*named));
    bool *patterns = ae_alloc(o->names.n, 1), *open = ae_alloc(o->names.n, 1), any = false;
    size_t n_named = 0;
    ae_status st = named && patterns && open ? find_named(o, f, named, &n_named, patterns, err)
                                             : ae_fail(err, AE_ERR_NOMEM, "%zu names", o->names.n);

    for (size_t i = 0; i < o->names.n && st == AE_OK; i++)
        any |= open[i] = patterns[i] && strpbrk(o->names.items[i], "*?") != NULL;
    if (st == AE_OK && any && (st = ae_container_list(f->container, out, n, err)) == AE_OK) {
        keep_wanted(o, *out, n, named, n_named, patterns, open);
    } else if (st == AE_OK) {
        *out = named;
        *n = n_named;
        named = NULL;
    }
    for (size_t i = 0; i < o->names.n && st == AE_OK && *n; i++)
        if (patterns[i]) {
            cli_message("%s: no item %s %s", path, open[i] ? "matches" : "is called",
                        o->names.items[i]);
            ++*n_missing;
        }
    if (st == AE_OK && !*n) {
        ae_items_free(*out, 0);
        *out = NULL;
        st = ae_fail(err, AE_ERR_ARGUMENT, "no item %s %s", open[0] ? "matches" : "is called",
                     o->names.items[0]);
    }
    ae_items_free(named, named ? n_named : 0);
    ae_free(patterns);
    ae_free(open);
    return st;
}

ae_status decompress_select(const decompress_options *o, const char *path, aecfile *f,
                            ae_item **out, size_t *n, uint32_t *n_missing, ae_error *err)
{
    ae_status st;

    *out = NULL;
    *n = 0;
    *n_missing = 0;
    if (o->names.n)
        return select_named(o, path, f, out, n, n_missing, err);
    if ((st = ae_container_list(f->container, out, n, err)) == AE_OK && !*n) {
        ae_items_free(*out, 0);
        *out = NULL;
        st = ae_fail(err, AE_ERR_ARGUMENT, "nothing is in it");
    }
    return st;
}
