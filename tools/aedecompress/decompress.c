/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A file of items to its outputs: one item to one file, many below a directory, by workers that
 * have the file open each for itself, or all of them as one tar. */
#define _GNU_SOURCE
#include "decompress.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/beneath.h"
#include "common/names.h"
#include "ae/temporary.h"
#include "common/options.h"
#include "common/progress.h"
#include "common/text.h"
#include "decoding.h"
#include "tar.h"

/* The directory for the items of an archive: that of -o, or one named like the archive. An ae_alloc
 * string or NULL. */
static char *items_directory(const decompress_options *o, const cli_item *item)
{
    const char *base = o->picture.batch.output ? o->picture.batch.output : item->output;
    size_t n = o->picture.batch.output ? strlen(base) : (size_t)(strrchr(base, '.') - base);
    char *directory = ae_strdup(base);

    while (n > 1 && base[n - 1] == '/')
        n--;
    if (directory)
        directory[n] = 0;
    return directory;
}

/* Items whose outputs are being named, from the first to the last. */
typedef struct named_items {
    const decompress_options *o;
    const ae_item *items;
    const cli_inputs *names;
    size_t at;
} named_items;

static const char *standard_suffix(void *opaque, const char *name)
{
    named_items *n = opaque;

    for (size_t i = 0; i < n->names->n && n->names->items[n->at].path != name; i++)
        n->at = (n->at + 1) % n->names->n;
    return decompress_standard(n->o, &n->items[n->at])->suffixes[0];
}

/* Where each item goes, by the rules that hold for the outputs of many inputs. */
static cli_target *name_items(const decompress_options *o, const char *directory,
                              const ae_item *items, size_t n)
{
    cli_inputs names = {.items = ae_alloc(n, sizeof(*names.items)), .n = n};
    named_items named = {o, items, &names, 0};
    cli_naming naming = {.output = directory,
                         .to_directory = true,
                         .under = "%n.%e",
                         .opaque = &named,
                         .suffix = standard_suffix};
    bool good = names.items;
    cli_target *targets = NULL;

    for (size_t i = 0; i < n && good; i++) {
        char number[32];

        snprintf(number, sizeof(number), "item-%llu", (unsigned long long)items[i].number);
        names.items[i].path = ae_strdup(*items[i].name ? items[i].name : number);
        names.items[i].below = names.items[i].path;
        names.items[i].exists = true;
        good = names.items[i].path;
    }
    if (good)
        targets = cli_names_make(&naming, &names);
    cli_inputs_clear(&names);
    return targets;
}

/* Items of an archive, shared by workers, each of which has the file open for itself. */
typedef struct many {
    const decompress_options *o;
    const cli_item *item;
    const ae_item *items;
    const ae_item_fields *fields;
    const char *directory;     /* below which all is written */
    const cli_target *targets; /* of each item, within it */
    size_t n;
    uint32_t threads; /* of a worker */

    pthread_mutex_t mutex; /* of all below */
    size_t next, finished, failed;
    uint64_t bytes, done; /* of the items as they are coded */
    double begun;
    uint32_t n_lost;
} many;

static uint64_t coded_bytes(const ae_item *item)
{
    return item->packed ? item->span / item->packed : item->span;
}

static void show_many(const many *m)
{
    double share = m->bytes ? (double)m->done / (double)m->bytes : 0,
           passed = cli_seconds() - m->begun;
    char left[24];

    if (cli_progress_due())
        cli_progress_show("%zu of %zu items  %.1f of %.1f MB  %s left  %s", m->finished, m->n,
                          1e-6 * (double)m->done, 1e-6 * (double)m->bytes,
                          cli_format_time(share > 0 ? passed * (1 - share) / share : 0, left),
                          cli_base_name(m->item->input));
}

static void print_plan(const decompress_options *o, const char *input, const char *name,
                       const char *path)
{
    char a[8192], b[8192], c[16384];

    if (!o->picture.batch.json || *o->picture.batch.json) /* its records are all that goes there */
        printf("%s: %s -> %s\n", cli_escape(input, a, sizeof(a)), cli_escape(name, b, sizeof(b)),
               cli_escape(path, c, sizeof(c)));
}

/* path: relative to base, below which no link is followed. */
static ae_status write_beneath(decoding *d, aecfile *f, const char *base, const char *path,
                               ae_error *err)
{
    int directory;
    ae_status st = cli_open_beneath(base, path, &directory, err);

    if (st != AE_OK)
        return st;
    st = decoding_write(d, f, directory, cli_base_name(path), err);
    close(directory);
    return st;
}

static ae_status check_name(const decoding *d, const cli_target *target, const ae_item *items,
                            ae_error *err)
{
    if (*d->what->name && !ae_item_name_is_safe(d->what->name))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "this name would lead out of the directory, or hides what it is");
    if (!d->o->raw_names && cli_has_control(d->what->name))
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "this name holds control characters (--raw-names writes it)");
    if (target->clash != CLI_NO_CLASH)
        return ae_fail(err, AE_ERR_ARGUMENT, "would be written to %s, as %s is", target->path,
                       items[target->clash].name);
    return AE_OK;
}

static ae_status write_one(decoding *d, const char *directory, const cli_target *target,
                           const ae_item *items, aecfile *f)
{
    const decompress_options *o = d->o;
    const char *path = target->path;
    struct stat s;
    ae_error why = {0};
    ae_status st = check_name(d, target, items, &why);

    if (st == AE_OK && (!o->picture.batch.skip_existing || stat(path, &s) != 0)) {
        if (o->picture.batch.dry_run)
            print_plan(o, d->item->input, d->what->name, path);
        else if (o->keep_links && (st = cli_make_directories(path, &why)) == AE_OK)
            st = decoding_write(d, f, AT_FDCWD, path, &why);
        else if (!o->keep_links)
            st = write_beneath(d, f, directory,
                               path + strlen(directory) + (directory[strlen(directory) - 1] != '/'),
                               &why);
    }
    if (st != AE_OK && st != AE_ERR_CANCELLED)
        cli_message("%s: %s: %s", d->item->input, d->what->name, why.message);
    return st;
}

/* Takes what follows of one pack at once, since it is decoded whole. */
static void run_items(many *m, aecfile *f)
{
    pthread_mutex_lock(&m->mutex);
    while (m->next < m->n && !cli_cancel.requested) {
        size_t first = m->next++, end;

        while (m->next < m->n && m->items[m->next].packed &&
               m->items[m->next].offset == m->items[first].offset)
            m->next++;
        end = m->next;
        for (size_t i = first; i < end && !cli_cancel.requested; i++) {
            decoding d = {.o = m->o,
                          .item = m->item,
                          .what = &m->items[i],
                          .fields = &m->fields[i],
                          .many = true,
                          .threads = m->threads,
                          .share = 1.0 / (double)m->n,
                          .done = (double)m->finished / (double)m->n};
            ae_status st;

            pthread_mutex_unlock(&m->mutex);
            st = write_one(&d, m->directory, &m->targets[i], m->items, f);
            pthread_mutex_lock(&m->mutex);
            m->finished++;
            m->done += coded_bytes(&m->items[i]);
            show_many(m);
            m->failed += st != AE_OK;
            m->n_lost += d.n_lost;
        }
    }
    pthread_mutex_unlock(&m->mutex);
}

static void *run_worker(void *opaque)
{
    many *m = opaque;
    ae_error err;
    aecfile f;

    if (aecfile_open(&f, m->item->input, &err) == AE_OK) /* where not, the others do its part */
        run_items(m, &f);
    aecfile_close(&f);
    return NULL;
}

static ae_status write_many(decoding *d, aecfile *f, const ae_item *items, size_t n, ae_error *err)
{
    uint32_t workers = f->fd < 0 || d->o->picture.batch.dry_run ? 1
                       : d->threads < n                         ? d->threads
                                                                : (uint32_t)n,
             started = 0;
    many m = {.o = d->o,
              .item = d->item,
              .items = items,
              .fields = d->fields,
              .n = n,
              .threads = d->threads / workers,
              .mutex = PTHREAD_MUTEX_INITIALIZER,
              .begun = cli_seconds()};
    ae_status st = AE_OK;
    pthread_t *threads;
    char *directory = items_directory(d->o, d->item);
    cli_target *targets = directory ? name_items(d->o, directory, items, n) : NULL;

    if (!targets) {
        ae_free(directory);
        return ae_fail(err, AE_ERR_NOMEM, "%zu file names", n);
    }
    m.directory = directory;
    m.targets = targets;
    for (size_t i = 0; i < n; i++)
        m.bytes += coded_bytes(&items[i]);
    threads = ae_alloc(workers, sizeof(*threads));
    while (threads && started + 1 < workers &&
           pthread_create(&threads[started], NULL, run_worker, &m) == 0)
        started++;
    run_items(&m, f);
    while (started)
        pthread_join(threads[--started], NULL);
    ae_free(threads);
    cli_names_free(targets, n);
    if (!d->o->picture.batch.dry_run)
        st = ae_sync_filesystem(directory, err);
    ae_free(directory);
    d->n_lost += m.n_lost;
    if (st != AE_OK)
        return st;
    return m.failed ? ae_fail(err, AE_ERR_MALFORMED, "%zu of %zu items failed", m.failed, n)
                    : AE_OK;
}

/* Items go where they would lie below a directory, in a tar archive on standard output. Each is
 * held whole, since its size comes first. */
static ae_status write_tar(decoding *d, aecfile *f, const ae_item *items, size_t n, ae_error *err)
{
    static const char within[] = "tar"; /* stands for the directory, and is cut off again */
    cli_target *targets = name_items(d->o, within, items, n);
    ae_output *output = NULL;
    struct stat file;
    int64_t changed = f->fd >= 0 && fstat(f->fd, &file) == 0 ? file.st_mtime : time(NULL);
    size_t n_failed = 0;
    ae_status st = targets ? ae_output_open("-", NULL, 0, &output, err)
                           : ae_fail(err, AE_ERR_NOMEM, "%zu file names", n);

    for (size_t i = 0; i < n && st == AE_OK; i++) {
        ae_memory_output held;
        const ae_codec *codec;
        ae_error why;
        ae_status one;

        d->what = &items[i];
        d->done = (double)i / (double)n;
        ae_memory_output_init(&held);
        if (cli_cancel.requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else if ((one = check_name(d, &targets[i], items, &why)) == AE_OK &&
                 (one = picture_codec(&d->o->picture, targets[i].path,
                                      decompress_standard(d->o, &items[i]), &codec, &why)) ==
                     AE_OK &&
                 (one = decoding_encode(d, f, codec, &held.sink, &why)) == AE_OK)
            st = tar_write(ae_output_sink(output), targets[i].path + sizeof(within),
                           d->fields[i].has_changed ? d->fields[i].changed : changed, held.data,
                           held.n_bytes, err);
        else if (one == AE_ERR_CANCELLED)
            st = ae_fail(err, one, "%s", why.message);
        else {
            cli_message("%s: %s: %s", d->item->input, items[i].name, why.message);
            n_failed++;
        }
        ae_free(held.data);
    }
    if (st == AE_OK)
        st = tar_finish(ae_output_sink(output), err);
    if (st == AE_OK)
        st = ae_output_commit(output, err);
    else
        ae_output_discard(output);
    if (targets)
        cli_names_free(targets, n);
    if (st == AE_OK && n_failed)
        st = ae_fail(err, AE_ERR_MALFORMED, "%zu of %zu items failed", n_failed, n);
    return st;
}

static bool names_directory(const char *path)
{
    struct stat s;

    return path && (stat(path, &s) == 0 ? S_ISDIR(s.st_mode) : path[strlen(path) - 1] == '/');
}

/* Whether a path that is no directory looks like a picture, a sound or an archive rather than like
 * one. */
static bool names_file(const char *path)
{
    return path && !names_directory(path) &&
           (picture_is_named(path, 1u << AE_KIND_IMAGE | 1u << AE_KIND_AUDIO) ||
            strcmp(cli_name_suffix(path), "tar") == 0);
}

/* Files of few bytes may name many large pictures, or one many times. */
static ae_status check_output(const decompress_options *o, const aecfile *f, const ae_item *items,
                              size_t n, ae_error *err)
{
    uint64_t most = o->max_output ? o->max_output : ((uint64_t)4 << 30) + 1024 * f->size, total = 0;

    for (size_t i = 0; i < n; i++) {
        ae_archive_options how = decompress_how(o, &items[i]);
        ae_signal_info info = ae_archive_result(&items[i], &how);

        total += ae_row_bytes(&info) * info.height;
        if (total > most)
            return ae_fail(
                err, AE_ERR_LIMIT,
                "its %zu items would become more than max_output (%llu bytes of samples, set by "
                "--max-output)",
                n, (unsigned long long)most);
    }
    return AE_OK;
}

/* A cell in quotes where it needs them. */
static ae_status put_cell(ae_sink *sink, const char *text, const char *behind, ae_error *err)
{
    bool quote = strpbrk(text, ",\"\n\r") != NULL;
    ae_status st = quote ? sink->write(sink->opaque, "\"", 1, err) : AE_OK;

    for (; *text && st == AE_OK; text++)
        st = sink->write(sink->opaque, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1, err);
    if (st == AE_OK && quote)
        st = sink->write(sink->opaque, "\"", 1, err);
    return st == AE_OK ? sink->write(sink->opaque, behind, 1, err) : st;
}

static ae_status write_labels(const decompress_options *o, const ae_item *items,
                              const ae_item_fields *fields, size_t n, ae_error *err)
{
    static const char header[] = "item,label\n";
    ae_output *output = NULL;
    ae_sink *sink;
    ae_status st = cli_output_open(o->labels, NULL, o->picture.batch.force, &output, err);

    if (st != AE_OK)
        return picture_name_file(o->labels, st, err);
    sink = ae_output_sink(output);
    st = sink->write(sink->opaque, header, sizeof(header) - 1, err);
    for (size_t i = 0; i < n && st == AE_OK; i++)
        if (*fields[i].label && (st = put_cell(sink, items[i].name, ",", err)) == AE_OK)
            st = put_cell(sink, fields[i].label, "\n", err);
    if (st == AE_OK)
        return picture_name_file(o->labels, ae_output_commit(output, err), err);
    ae_output_discard(output);
    return st;
}

ae_status decompress_file(void *opaque, const cli_item *item, ae_error *err)
{
    const decompress_options *o = opaque;
    decoding d = {.o = o, .item = item, .threads = item->threads ? item->threads : 1};
    ae_item_fields *fields = NULL;
    ae_item *items = NULL;
    size_t n = 0;
    uint32_t n_missing = 0;
    bool directory;
    aecfile f;
    ae_status st;

    if (o->repair && o->picture.batch.dry_run)
        print_plan(o, item->input, "", item->output);
    if (o->repair)
        return o->picture.batch.dry_run ? AE_OK : repair_file(o, item, err);
    if ((st = aecfile_open(&f, item->input, err)) != AE_OK)
        goto done;
    if (ae_container_complaint(f.container)) {
        cli_message("%s: %s", item->input, ae_container_complaint(f.container));
        d.n_lost++;
    }
    if ((st = decompress_select(o, item->input, &f, &items, &n, &n_missing, err)) != AE_OK ||
        (st = check_output(o, &f, items, n, err)) != AE_OK)
        goto done;
    if (!(fields = ae_alloc(n, sizeof(*fields))))
        st = ae_fail(err, AE_ERR_NOMEM, "%zu items", n);
    if (st != AE_OK || (st = ae_container_fields(f.container, items, n, fields, err)) != AE_OK)
        goto done;
    if (o->labels && !o->picture.batch.dry_run &&
        (st = write_labels(o, items, fields, n, err)) != AE_OK)
        goto done;
    d.fields = fields;
    d.share = 1.0 / (double)n;
    /* an archive goes into a directory even where one item of it is asked for by a pattern; a
     * picture alone does not */
    directory = n > 1 || (o->names.n && names_directory(o->picture.batch.output));
    d.what = items;
    if (n > 1 && names_file(o->picture.batch.output)) {
        st = ae_fail(
            err, AE_ERR_ARGUMENT,
            "%zu items do not go into one file %s: %s/ is a directory, -o - writes a tar archive",
            n, o->picture.batch.output, o->picture.batch.output);
        goto done;
    }
    if (o->picture.batch.dry_run && (!directory || strcmp(item->output, "-") == 0))
        for (size_t i = 0; i < n; i++)
            print_plan(o, item->input, items[i].name, item->output);
    else if (directory && strcmp(item->output, "-") == 0)
        st = write_tar(&d, &f, items, n, err);
    else
        st = directory ? write_many(&d, &f, items, n, err)
                       : decoding_write(&d, &f, AT_FDCWD, item->output, err);
    cli_json_number(item->json, "items", (double)n);
    if (st == AE_OK && d.n_lost)
        st = ae_fail(err, AE_ERR_CHECKSUM, "is damaged; what could be read was written");
    if (st == AE_OK && n_missing)
        st = ae_fail(err, AE_ERR_ARGUMENT,
                     "%u of the names given are not in it; the others were written", n_missing);
done:
    ae_free(fields);
    ae_items_free(items, n);
    aecfile_close(&f);
    return st;
}
