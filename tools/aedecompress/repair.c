/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An .aec file of what is whole in a damaged one: heads, tiles and metadata are taken over as they
 * are. */
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "common/progress.h"
#include "decompress.h"

static bool has_tile(const aecfile *f, const ae_item *what, uint32_t n_tiles)
{
    ae_item_reader *r = NULL;
    bool found = false;
    const void *data;
    size_t n;
    ae_error why = {0};

    if (ae_item_open(f->container, what, &r, NULL) == AE_OK)
        for (uint32_t i = 0; i < n_tiles && !found; i++)
            /* nobody knows */
            found = ae_item_tile(r, AE_TILE_COLOURS, i, &data, &n, &why) == AE_OK ||
                    why.status == AE_ERR_IO;
    ae_item_free(r);
    return found;
}

static ae_status copy_item(const aecfile *f, const ae_item *what, ae_container_writer *w,
                           uint32_t *n_lost, ae_error *err)
{
    uint32_t n_tiles = ae_item_tiles(what);

    if (!n_tiles || has_tile(f, what, n_tiles))
        return aecfile_copy(f->container, what, w, n_lost, err);
    cli_message("%s: left out, nothing of it is whole", what->name);
    *n_lost += n_tiles;
    return AE_OK;
}

/* Whether the archive may have this item, too; says so where not. */
static bool acceptable(const cli_item *item, const ae_item *what, bool again,
                       const ae_container_writer *w, uint32_t *n_lost)
{
    if (!again && !ae_container_has_name(w, what->name) &&
        (!*what->name || ae_item_name_is_safe(what->name)))
        return true;
    cli_message("%s: %s: left out, its name is there already or unsafe", item->input, what->name);
    ++*n_lost;
    return false;
}

static int by_name(const void *a, const void *b)
{
    const ae_item *x = *(const ae_item *const *)a, *y = *(const ae_item *const *)b;
    int order = strcmp(x->name, y->name);

    return order ? order : (x > y) - (x < y);
}

/* again[i]: an item before the i-th has its name. */
static bool find_repeated(const ae_item *items, size_t n, bool *again)
{
    const ae_item **sorted = ae_alloc(n, sizeof(*sorted));

    if (!sorted)
        return false;
    for (size_t i = 0; i < n; i++)
        sorted[i] = &items[i];
    qsort(sorted, n, sizeof(*sorted), by_name);
    for (size_t i = 1; i < n; i++)
        again[sorted[i] - items] = strcmp(sorted[i]->name, sorted[i - 1]->name) == 0;
    ae_free(sorted);
    return true;
}

/* The n items, all of one pack, become a pack: the same where they are all of it, one that is coded
 * anew where some are left out. */
static ae_status copy_pack(const aecfile *f, const cli_item *item, const ae_item *items, size_t n,
                           ae_container_writer *w, uint32_t *n_lost, ae_error *err)
{
    size_t bytes = ae_row_bytes(&items->info) * (size_t)items->info.height;
    const char **names = ae_alloc(n, sizeof(*names));
    ae_item_fields *fields = ae_alloc(n, sizeof(*fields));
    bool *again = ae_alloc(n, sizeof(*again));
    uint8_t *samples = NULL;
    ae_item like = *items;
    ae_item_reader *r = NULL;
    ae_packed packed;
    uint32_t kept = 0;
    bool all = n == items->packed;
    ae_error why;
    ae_status st = names && again && fields && find_repeated(items, n, again)
                       ? ae_item_open(f->container, items, &r, err)
                       : ae_fail(err, AE_ERR_NOMEM, "%zu names", n);

    if (st == AE_OK)
        st = ae_container_fields(f->container, items, n, fields, err);
    for (size_t i = 0; i < n && st == AE_OK; i++) {
        bool good = acceptable(item, &items[i], again[i], w, n_lost);

        all &= good && items[i].position == i;
        names[i] = good ? items[i].name : NULL;
    }
    if (st != AE_OK)
        goto done;
    if (all && ae_item_packed(r, &packed, &why) == AE_OK) {
        st = ae_container_write_packed(w, &like, names, (uint32_t)n, &packed, err);
        kept = (uint32_t)n;
        goto done;
    }
    if (!(samples = ae_alloc(n, bytes))) {
        st = ae_fail(err, AE_ERR_NOMEM, "a pack of %zu items", n);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        if (!names[i])
            continue;
        if (ae_item_unpack(r, items[i].position, samples + kept * bytes, &why) == AE_OK) {
            fields[kept] = fields[i];
            names[kept++] = names[i];
        } else if (why.status == AE_ERR_IO) {
            st = ae_fail(err, why.status, "%s", why.message);
            goto done;
        } else {
            cli_message("%s: %s: left out: %s", item->input, names[i], why.message);
            ++*n_lost;
        }
    }
    like.quality = 0; /* they are what they were decoded to */
    if (kept)
        st = ae_container_write_pack(w, &like, names, kept, samples, err);
done:
    if (st == AE_OK && kept)
        st = ae_container_write_fields(w, fields, kept, err);
    ae_item_free(r);
    ae_free(names);
    ae_free(fields);
    ae_free(again);
    ae_free(samples);
    return st;
}

ae_status repair_file(const decompress_options *o, const cli_item *item, ae_error *err)
{
    ae_container_writer *w = NULL;
    ae_output *output = NULL;
    ae_item *items = NULL;
    void *program = NULL;
    uint32_t n_lost = 0, n_missing;
    size_t n = 0, n_program;
    ae_error why;
    aecfile f;
    ae_status st;

    if ((st = aecfile_open(&f, item->input, err)) != AE_OK ||
        (st = decompress_select(o, item->input, &f, &items, &n, &n_missing, err)) != AE_OK)
        goto done;
    if ((st = cli_output_open(item->output, item->input, o->picture.batch.force, &output, err)) !=
            AE_OK ||
        (st = ae_container_create(ae_output_sink(output), &w, err)) != AE_OK)
        goto done;
    if (ae_container_model(f.container, &program, &n_program, &why) == AE_OK)
        st = ae_container_write_model(w, program, n_program, err);
    else if (why.status == AE_ERR_IO)
        st = ae_fail(err, why.status, "%s", why.message);
    for (size_t i = 0, end; i < n && st == AE_OK; i = end) {
        end = i + 1;
        while (items[i].packed && end < n && items[end].packed &&
               items[end].offset == items[i].offset)
            end++;
        cli_item_progress(item, (double)i / (double)n, 0);
        if (cli_cancel.requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else if (items[i].packed)
            st = copy_pack(&f, item, items + i, end - i, w, &n_lost, err);
        else if (acceptable(item, &items[i], false, w, &n_lost))
            st = copy_item(&f, &items[i], w, &n_lost, err);
    }
    if (st == AE_OK && (st = ae_container_finish(w, err)) == AE_OK) {
        st = ae_output_commit(output, err);
        output = NULL;
    }
    if (st == AE_OK)
        cli_item_note(item, "%zu items, %u tiles lost", n, n_lost);
done:
    ae_free(program);
    ae_container_writer_free(w);
    ae_output_discard(output);
    ae_items_free(items, n);
    aecfile_close(&f);
    return st;
}
