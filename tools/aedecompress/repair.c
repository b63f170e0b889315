/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An .aec file of what is whole in a damaged one: heads, tiles and metadata are taken over as they are. */
#include <string.h>

#include "common/progress.h"
#include "decompress.h"

static bool has_tile(const aecfile *f, const ae_item *what, uint64_t n_tiles)
{
    ae_item_reader *r = NULL;
    bool found = false;
    const void *data;
    size_t n;

    if (ae_item_open(f->container, what, &r, NULL) == AE_OK)
        for (uint64_t i = 0; i < n_tiles && !found; i++)
            found = ae_item_tile(r, AE_TILE_COLOURS, (uint32_t)i, &data, &n, NULL) == AE_OK;
    ae_item_free(r);
    return found;
}

static ae_status copy_item(const aecfile *f, const ae_item *what, ae_container_writer *w, uint32_t *n_lost, ae_error *err)
{
    uint64_t across = (what->info.width + AE_CODER_TILE - 1) / AE_CODER_TILE;
    uint64_t n_tiles = across * ((what->info.height + AE_CODER_TILE - 1) / AE_CODER_TILE);

    if (has_tile(f, what, n_tiles))
        return aecfile_copy(f->container, what, w, n_lost, err);
    cli_message("%s: left out, nothing of it is whole", what->name);
    *n_lost += (uint32_t)n_tiles;
    return AE_OK;
}

/* Packed items become packs of one: what they share may be damaged, and they are small. */
static ae_status copy_packed(aecfile *f, const ae_item *what, ae_container_writer *w, uint32_t *n_lost, ae_error *err)
{
    void *samples = ae_alloc((size_t)what->info.height, ae_row_bytes(&what->info));
    const char *name = what->name;
    ae_item like = *what;
    ae_item_reader *r = NULL;
    ae_error why;
    ae_status st;

    if (!samples)
        return ae_fail(err, AE_ERR_NOMEM, "a packed item");
    like.quality = 0; /* they are what they were decoded to */
    if ((st = ae_item_open(f->container, what, &r, err)) == AE_OK) {
        if (ae_item_unpack(r, what->position, samples, &why) == AE_OK)
            st = ae_container_write_pack(w, &like, &name, 1, samples, err);
        else
            ++*n_lost;
    }
    ae_item_free(r);
    ae_free(samples);
    return st;
}

ae_status repair_file(const decompress_options *o, const cli_item *item, ae_error *err)
{
    ae_container_writer *w = NULL;
    ae_output *output = NULL;
    ae_item *items = NULL;
    void *program = NULL;
    uint32_t n_lost = 0;
    size_t n = 0, n_program;
    ae_error why;
    aecfile f;
    ae_status st;

    if ((st = aecfile_open(&f, item->input, err)) != AE_OK || (st = decompress_select(o, &f, &items, &n, err)) != AE_OK)
        goto done;
    if ((st = ae_output_open(item->output, item->input, o->picture.batch.force ? AE_OUTPUT_FORCE : 0, &output, err)) != AE_OK ||
        (st = ae_container_create(ae_output_sink(output), &w, err)) != AE_OK)
        goto done;
    if (ae_container_model(f.container, &program, &n_program, &why) == AE_OK)
        st = ae_container_write_model(w, program, n_program, err);
    for (size_t i = 0; i < n && st == AE_OK; i++) {
        if (ae_container_has_name(w, items[i].name) || (*items[i].name && !ae_item_name_is_safe(items[i].name))) {
            cli_message("%s: %s: left out, its name is there already or unsafe", item->input, items[i].name);
            n_lost++;
        } else {
            st = items[i].packed ? copy_packed(&f, &items[i], w, &n_lost, err) : copy_item(&f, &items[i], w, &n_lost, err);
        }
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
