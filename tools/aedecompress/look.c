/* SPDX-License-Identifier: BSD-2-Clause
 *
 * --list and --test: nothing is written. A list comes from the index and the heads of items alone;
 * a test decodes everything and compares it with the checksums and the digest that were stored. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/arrays.h"
#include "common/inputs.h"
#include "common/progress.h"
#include "common/text.h"
#include "decompress.h"

typedef struct look {
    const decompress_options *o;
    const char *path;
    const ae_item *item;
    const ae_item_fields *fields; /* of it */
    FILE *json;
    uint32_t n_bad;
    double begun;
    uint64_t bytes, done; /* of the items, coded */
    size_t n_unchecked;   /* items without a hash */
} look;

static uint64_t coded_bytes(const ae_item *item)
{
    return item->packed ? item->span / item->packed : item->span;
}

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

static const char *coding_of(const ae_item *item, char text[ARRAY_TEXT])
{
    if (item->info.kind == AE_KIND_TENSOR)
        return array_coding(item, text);
    if (item->coding == AE_ITEM_NETWORK)
        snprintf(text, 40, "quality %.1f",
                 item->quality <= AE_QUALITY_ONE
                     ? item->quality * 85.0 / AE_QUALITY_ONE
                     : 85 + (item->quality - AE_QUALITY_ONE) * 5.0 / 256);
    else if (item->coding == AE_ITEM_SPECTRA)
        snprintf(text, 40, "quality %g", item->quality / (double)AE_SOUNDS_QUALITY);
    else if (item->quality && item->info.kind == AE_KIND_AUDIO)
        snprintf(text, 40, "within %u", item->quality);
    else if (item->quality)
        snprintf(text, 40, "within %.2f",
                 item->quality / 3.0 / (item->info.sample == AE_U8 ? 1 : 257));
    else
        snprintf(text, 40, "lossless");
    return text;
}

/* With -v: when the file was changed, before what else is said. */
static void print_time(const look *l)
{
    time_t changed = (time_t)l->fields->changed;
    char text[40] = "";
    struct tm local;

    if (!l->o->picture.batch.verbose)
        return;
    if (l->fields->has_changed && localtime_r(&changed, &local))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &local);
    printf("%-16s  ", text);
}

/* "  (its label)", or nothing. */
static const char *label_of(const look *l, char text[4 * AE_LABEL_BYTES + 16])
{
    char escaped[4 * AE_LABEL_BYTES + 1];

    text[0] = 0;
    if (*l->fields->label)
        snprintf(text, 4 * AE_LABEL_BYTES + 16, "  (%s)",
                 cli_escape(l->fields->label, escaped, sizeof(escaped)));
    return text;
}

static void list_item(const look *l)
{
    const ae_item *it = l->item;
    char label[4 * AE_LABEL_BYTES + 16], coding[ARRAY_TEXT], shape[ARRAY_TEXT],
        name[4 * AE_ITEM_MAX_NAME + 1];

    if (l->json) {
        cli_json json = {0};

        cli_json_string(&json, "file", l->path);
        cli_json_string(&json, "item", it->name);
        if (it->info.kind == AE_KIND_AUDIO) {
            double duration = (double)it->info.height / it->info.rate;

            cli_json_number(&json, "frames", (double)it->info.height);
            cli_json_number(&json, "duration", duration);
            cli_json_number(&json, "rate", it->info.rate);
            cli_json_number(&json, "kbps", duration > 0 ? 8e-3 * (double)it->span / duration : NAN);
        } else if (it->info.kind == AE_KIND_TENSOR) {
            array_describe(it, &json);
        } else {
            cli_json_number(&json, "width", (double)it->info.width);
            cli_json_number(&json, "height", (double)it->info.height);
        }
        if (it->info.kind != AE_KIND_TENSOR)
            cli_json_number(&json, "channels", it->info.channels);
        cli_json_number(&json, "bits", it->info.bits);
        cli_json_string(&json, "coding", coding_of(it, coding));
        cli_json_number(&json, "bytes", (double)coded_bytes(it));
        if (l->fields->has_changed)
            cli_json_number(&json, "mtime", (double)l->fields->changed);
        if (*l->fields->label)
            cli_json_string(&json, "label", l->fields->label);
        if (l->fields->mode) {
            snprintf(coding, sizeof(coding), "%03o", l->fields->mode);
            cli_json_string(&json, "mode", coding);
        }
        cli_json_write(&json, l->json);
        cli_json_clear(&json);
        return;
    }
    print_time(l);
    if (it->info.kind == AE_KIND_AUDIO) {
        char length[32];

        printf("%10" PRIu64 "  %s, %g Hz x %u, %u bit%s  %-12s %s%s\n", it->span,
               sound_time((double)it->info.height / it->info.rate, length), it->info.rate,
               it->info.channels, it->info.bits,
               it->info.sample == AE_F32 || it->info.sample == AE_F64 ? " float" : "",
               coding_of(it, coding), cli_escape(it->name, name, sizeof(name)), label_of(l, label));
        return;
    }
    if (it->info.kind == AE_KIND_TENSOR) {
        printf("%10" PRIu64 "  %s, %s  %-12s %s%s\n", coded_bytes(it),
               array_shape(&it->info, shape), array_type(it->info.sample), coding_of(it, coding),
               cli_escape(it->name, name, sizeof(name)), label_of(l, label));
        return;
    }
    printf("%10" PRIu64 "  %" PRIu64 " x %" PRIu64 " x %u, %u bit  %-12s %s%s\n", coded_bytes(it),
           it->info.width, it->info.height, it->info.channels, it->info.bits, coding_of(it, coding),
           cli_escape(it->name, name, sizeof(name)), label_of(l, label));
}

/* Whether whoever decodes the item gets its metadata; flipped bits have been told of. */
static void test_meta(look *l, aecfile *f)
{
    ae_item_reader *reader = NULL;
    ae_meta meta = {0};
    ae_error err;

    if (ae_item_open(f->container, l->item, &reader, &err) != AE_OK)
        return;
    if (ae_item_meta(reader, NULL, &meta, &err) != AE_OK && err.status != AE_ERR_CHECKSUM) {
        cli_message("%s: %s: metadata are lost: %s", l->path, l->item->name, err.message);
        l->n_bad++;
    }
    ae_meta_clear(&meta);
    ae_item_free(reader);
}

static void test_item(look *l, aecfile *f)
{
    ae_archive_options how = {
        .model = l->o->model,
        .coders = l->o->coders,
        .control = {l->o->picture.batch.jobs, &cli_cancel, l, NULL, say_lost}};
    uint32_t before = l->n_bad;
    bool checked;
    ae_error err;

    if (ae_archive_decode(f->archive, l->item, &how, NULL, &checked, &err) != AE_OK) {
        cli_message("%s: %s: %s", l->path, l->item->name, err.message);
        l->n_bad++;
    } else if (!checked && l->n_bad == before) {
        /* of what has lost tiles nothing is left to compare */
        l->n_unchecked++;
        if (l->o->picture.batch.verbose)
            cli_message(
                "%s: %s: has no hash of its samples: only what it is coded as could be checked",
                l->path, l->item->name);
    }
    if (l->n_bad == before && !l->item->packed)
        test_meta(l, f);
}

static const char *unchecked(const look *l, char note[80])
{
    note[0] = 0;
    if (l->n_unchecked)
        snprintf(note, 80, ", %zu of them without a hash of their samples (-v names them)",
                 l->n_unchecked);
    return note;
}

static void show_progress(const look *l, size_t i, size_t n)
{
    double share = l->bytes ? (double)l->done / (double)l->bytes : 0,
           passed = cli_seconds() - l->begun;
    char left[24];

    if (cli_progress_due())
        cli_progress_show("%zu of %zu items  %.1f of %.1f MB  %s left  %s", i, n,
                          1e-6 * (double)l->done, 1e-6 * (double)l->bytes,
                          cli_format_time(share > 0 ? passed * (1 - share) / share : 0, left),
                          l->path);
}

/* The file as a whole: always where it was tested, where it was listed only if that failed. */
static void record(const look *l, size_t n, const char *error)
{
    cli_json json = {0};

    cli_json_string(&json, "file", l->path);
    cli_json_number(&json, "items", (double)n);
    cli_json_number(&json, "damaged", l->n_bad);
    cli_json_number(&json, "without_hash", (double)l->n_unchecked);
    cli_json_string(&json, "status", error || l->n_bad ? "failed" : "done");
    if (error)
        cli_json_string(&json, "error", error);
    cli_json_write(&json, l->json);
    cli_json_clear(&json);
}

/* Whether all is well. */
static bool look_at(const decompress_options *o, const char *path, FILE *json)
{
    look l = {.o = o, .path = path, .json = json, .begun = cli_seconds()};
    ae_item_fields *fields = NULL;
    ae_item *items = NULL;
    size_t n = 0;
    uint32_t n_missing = 0;
    char note[80];
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
    if (st == AE_OK && !(fields = ae_alloc(n, sizeof(*fields))))
        st = ae_fail(&err, AE_ERR_NOMEM, "%zu items", n);
    if (st == AE_OK && o->list)
        st = ae_container_fields(f.container, items, n, fields, &err);
    if (st == AE_OK && !l.n_bad && ae_container_complaint(f.container)) {
        cli_message("%s: %s", path, ae_container_complaint(f.container));
        l.n_bad++;
    }
    for (size_t i = 0; i < n; i++)
        l.bytes += coded_bytes(&items[i]);
    for (size_t i = 0; i < n && st == AE_OK && !cli_cancel.requested; i++) {
        l.item = &items[i];
        l.fields = &fields[i];
        if (o->list)
            list_item(&l);
        else
            test_item(&l, &f);
        l.done += coded_bytes(&items[i]);
        if (o->test)
            show_progress(&l, i + 1, n);
    }
    cli_progress_clear();
    if (st != AE_OK)
        cli_message("%s: %s", path, err.message);
    else if (!json && o->test && !l.n_bad && !o->picture.batch.quiet && !cli_cancel.requested)
        printf("%s: %zu items, all well%s\n", path, n, unchecked(&l, note));
    if (json && (st != AE_OK || l.n_bad || (o->test && !cli_cancel.requested)))
        record(&l, n, st != AE_OK ? err.message : NULL);
    ae_free(fields);
    ae_items_free(items, n);
    aecfile_close(&f);
    return st == AE_OK && !l.n_bad;
}

typedef struct collecting {
    cli_inputs inputs;
    cli_walk walk;
    bool (*wanted)(void *opaque, const char *path);
    bool well;
} collecting;

static cli_taken wanted_in_tree(void *opaque, const char *path)
{
    const collecting *c = opaque;

    return c->wanted(NULL, path) ? CLI_TAKEN : CLI_OTHER;
}

static bool take_operand(void *opaque, const char *name)
{
    collecting *c = opaque;
    ae_error err;

    if (cli_inputs_add(&c->inputs, name, &c->walk, &err) != AE_OK) {
        cli_message("%s", err.message);
        c->well = false;
    }
    return true;
}

int look_run(const decompress_options *o, char **operands, int n,
             bool (*wanted)(void *opaque, const char *path))
{
    const cli_batch_options *b = &o->picture.batch;
    collecting c = {
        .walk = {b->recursive, &c, wanted_in_tree, NULL}, .wanted = wanted, .well = true};
    FILE *json = b->json ? *b->json ? fopen(b->json, "a") : stdout : NULL;
    ae_error err;

    if (b->json && !json) {
        cli_message("--json: %s: %s", b->json, strerror(errno));
        return CLI_FAILED;
    }
    if (!n && !b->files_from)
        take_operand(&c, "-");
    for (int i = 0; i < n; i++)
        take_operand(&c, operands[i]);
    if (b->files_from && cli_inputs_read_list(b->files_from, &c, take_operand, &err) != AE_OK) {
        cli_message("--files-from: %s", err.message);
        c.well = false;
    }
    if (!b->quiet) {
        cli_inputs_say_others(&c.inputs);
        cli_progress_on();
    }
    for (size_t i = 0; i < c.inputs.n && !cli_cancel.requested; i++)
        c.well = look_at(o, c.inputs.items[i].path, json) && c.well;
    cli_inputs_clear(&c.inputs);
    if (!cli_printed()) {
        cli_message("standard output cannot be written");
        c.well = false;
    }
    if (json && json != stdout) {
        bool lost = fflush(json) != 0 || ferror(json);

        if (fclose(json) != 0 || lost) {
            cli_message("--json: %s cannot be written", b->json);
            c.well = false;
        }
    }
    return cli_cancel.requested ? cli_interrupted() : c.well ? CLI_OK : CLI_FAILED;
}
