/* SPDX-License-Identifier: BSD-2-Clause
 *
 * --list and --test. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/inputs.h"
#include "common/progress.h"
#include "common/text.h"
#include "decompress.h"

typedef struct look {
    const decompress_options *o;
    const char *path;
    const ae_item *item;
    uint32_t n_bad;
} look;

static void say_damage(void *opaque, uint64_t offset, const char *why)
{
    look *l = opaque;

    cli_message("%s: byte %" PRIu64 ": %s", l->path, offset, why);
    l->n_bad++;
}

static void say_lost(void *opaque, uint32_t index, const char *why)
{
    look *l = opaque;
    char place[80];

    decompress_place(l->item, index, place);
    cli_message("%s: %s: %s: %s", l->path, l->item->name, place, why);
    l->n_bad++;
}

static const char *coding_of(const ae_item *item, char text[40])
{
    if (item->coding == AE_ITEM_NETWORK)
        snprintf(text, 40, "quality %.1f", item->quality <= AE_QUALITY_ONE ? item->quality * 85.0 / AE_QUALITY_ONE
                                                                           : 85 + (item->quality - AE_QUALITY_ONE) * 5.0 / 256);
    else if (item->quality)
        snprintf(text, 40, "within %.2f", item->quality / 3.0 / (item->info.sample == AE_U8 ? 1 : 257));
    else
        snprintf(text, 40, "lossless");
    return text;
}

static void list_item(const look *l)
{
    const ae_item *it = l->item;
    char coding[40], name[4 * AE_ITEM_MAX_NAME + 1];

    if (l->o->picture.batch.json) {
        cli_json json = {0};

        cli_json_string(&json, "file", l->path);
        cli_json_string(&json, "item", it->name);
        cli_json_number(&json, "width", (double)it->info.width);
        cli_json_number(&json, "height", (double)it->info.height);
        cli_json_number(&json, "channels", it->info.channels);
        cli_json_number(&json, "bits", it->info.bits);
        cli_json_string(&json, "coding", coding_of(it, coding));
        cli_json_number(&json, "bytes", (double)it->span / (it->packed ? it->packed : 1));
        cli_json_write(&json, stdout);
        cli_json_clear(&json);
        return;
    }
    printf("%10" PRIu64 "  %" PRIu64 " x %" PRIu64 " x %u, %u bit  %-12s %s\n", it->packed ? it->span / it->packed : it->span,
           it->info.width, it->info.height, it->info.channels, it->info.bits, coding_of(it, coding),
           cli_escape(it->name, name, sizeof(name)));
}

static void test_item(look *l, aecfile *f)
{
    aecfile_options how = {.model = l->o->model, .control = {l->o->picture.batch.jobs, NULL, l, NULL, say_lost}};
    bool checked;
    ae_error err;

    if (aecfile_decode(f, l->item, &how, NULL, &checked, &err) != AE_OK) {
        cli_message("%s: %s: %s", l->path, l->item->name, err.message);
        l->n_bad++;
    }
}

/* Whether all is well. */
static bool look_at(const decompress_options *o, const char *path)
{
    look l = {.o = o, .path = path};
    ae_item *items = NULL;
    size_t n = 0;
    uint32_t n_missing = 0;
    ae_error err;
    aecfile f;
    ae_status st = aecfile_open(&f, path, &err);

    if (st == AE_OK && ae_container_complaint(f.container)) {
        cli_message("%s: %s", path, ae_container_complaint(f.container));
        l.n_bad++;
    }
    if (st == AE_OK && o->test)
        st = ae_container_check(f.container, &l, say_damage, &err);
    if (st == AE_OK)
        st = decompress_select(o, path, &f, &items, &n, &n_missing, &err);
    l.n_bad += n_missing;
    if (st == AE_OK && !l.n_bad && ae_container_complaint(f.container)) {
        cli_message("%s: %s", path, ae_container_complaint(f.container));
        l.n_bad++;
    }
    for (size_t i = 0; i < n && !cli_cancel.requested; i++) {
        l.item = &items[i];
        if (o->list)
            list_item(&l);
        else
            test_item(&l, &f);
    }
    if (st != AE_OK)
        cli_message("%s: %s", path, err.message);
    else if (o->test && !l.n_bad && !o->picture.batch.quiet && !cli_cancel.requested)
        printf("%s: %zu items, all well\n", path, n);
    ae_items_free(items, n);
    aecfile_close(&f);
    return st == AE_OK && !l.n_bad;
}

int look_run(const decompress_options *o, char **operands, int n, bool (*wanted)(void *opaque, const char *path))
{
    cli_walk walk = {o->picture.batch.recursive, NULL, wanted, NULL};
    char *standard[] = {"-"};
    cli_inputs inputs = {0};
    bool well = true;
    ae_error err;

    if (!n) {
        operands = standard;
        n = 1;
    }
    for (int i = 0; i < n; i++)
        if (cli_inputs_add(&inputs, operands[i], &walk, &err) != AE_OK) {
            cli_message("%s", err.message);
            well = false;
        }
    for (size_t i = 0; i < inputs.n && !cli_cancel.requested; i++)
        well = look_at(o, inputs.items[i].path) && well;
    cli_inputs_clear(&inputs);
    if (fflush(stdout) != 0)
        well = false;
    return cli_cancel.requested ? cli_interrupted() : well ? CLI_OK : CLI_FAILED;
}
