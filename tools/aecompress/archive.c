/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Many pictures, sounds and arrays into one file: what is there already, the file's beginning and
 * its end, and what becomes of it where a run breaks off. */
#include <string.h>

#include "common/aecfile.h"
#include "common/names.h"
#include "common/notes.h"
#include "common/progress.h"
#include "archive.h"

/* Keeps in mind whether it was the archive that failed, or an input. */
static ae_status write_archive(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    archive *a = opaque;

    return a->sink_status = a->file.sink->write(a->file.sink->opaque, data, n_bytes, err);
}

/* The names that are taken. What a run has left that broke off is no clash: the same command goes
 * on. */
static ae_status take_names(archive *a, ae_container *c, ae_error *err)
{
    name_set damaged = {0};
    ae_item *items = NULL;
    size_t n = 0;
    const char *name;
    bool added, whole;
    ae_status st = ae_container_list(c, &items, &n, err);

    for (size_t i = 0; st == AE_OK && ae_container_recovered(a->writer, i, &name, &whole); i++)
        st = name_set_add(whole ? &a->found : &damaged, name, &added, err);
    for (size_t i = 0; i < n && st == AE_OK; i++) {
        if (ae_container_has_name(a->writer, items[i].name))
            st = name_set_add(&a->names, items[i].name, &added, err);
        if (st == AE_OK && ae_container_unfinished(c) && !name_set_has(&damaged, items[i].name))
            st = name_set_add(&a->found, items[i].name, &added, err);
    }
    name_set_clear(&damaged);
    ae_items_free(items, n);
    return st;
}

/* Goes on with what is there, by the lock that was taken. */
static ae_status go_on(archive *a, ae_error *err)
{
    uint64_t offset = 0;
    aecfile f;
    ae_status st = aecfile_open_descriptor(&f, a->file.fd, err);

    if (st != AE_OK && !a->o->append)
        st = ae_fail(err, AE_ERR_ARGUMENT, "exists already");
    else if (st == AE_OK && !a->o->append && !ae_container_unfinished(f.container))
        st = ae_fail(err, AE_ERR_ARGUMENT, "exists already (--append adds to it, -f replaces it)");
    if (st == AE_OK)
        st = ae_container_append(f.container, &a->sink, &a->writer, &offset, err);
    if (st == AE_OK)
        st = take_names(a, f.container, err);
    a->appended = st == AE_OK && !ae_container_unfinished(f.container);
    /* half an item is left of a run that broke off */
    if (st == AE_OK)
        st = archive_file_cut(&a->file, offset, err);
    aecfile_close(&f);
    return st;
}

static ae_status begin(archive *a, ae_error *err)
{
    ae_status st = archive_file_open(&a->file, a->o->archive, a->o->append, a->o->batch.force, err);

    a->sink = (ae_sink){.opaque = a, .write = write_archive};
    if (st == AE_OK && !a->file.output && !a->file.fresh)
        st = go_on(a, err);
    else if (st == AE_OK)
        st = ae_container_create(&a->sink, &a->writer, err);
    if (st == AE_OK && !ae_container_next(a->writer) && !ae_container_has_model(a->writer))
        st = compress_model(a->o, a->writer, err);
    return st;
}

/* Writes what is left and the index. Data are on the disk before an index names them, and what was
 * written is looked at before it takes the place of anything. */
static ae_status end(archive *a, uint64_t first, ae_error *err)
{
    ae_status st = AE_OK;

    a->ending = true;
    for (size_t i = 0; i < GATHER_KINDS && st == AE_OK; i++)
        if (a->kinds[i].n)
            st = archive_write_pack(&(writing){.a = a, .ticket = a->n_tickets++}, &a->kinds[i],
                                    err);
    if (st == AE_OK && (st = archive_file_sync(&a->file, err)) == AE_OK)
        st = cli_cancel.requested ? ae_container_interrupt(a->writer, err)
                                  : ae_container_finish(a->writer, err);
    if (st == AE_OK && a->o->verify && !cli_cancel.requested &&
        archive_file_descriptor(&a->file) >= 0 && (st = archive_file_sync(&a->file, err)) == AE_OK)
        st = compress_verify(archive_file_descriptor(&a->file), first, a->o, a->o->batch.jobs, err);
    return st == AE_OK ? archive_file_commit(&a->file, err) : st;
}

/* Whether an interrupted run leaves what it did: in a file of its own. */
static bool leaves(const archive *a)
{
    return !a->file.output && a->file.fd >= 0 && !a->appended && !a->broken &&
           ae_container_next(a->writer) > 0;
}

/* Whether nothing is in it, and nothing is gathered for it. */
static bool is_empty(const archive *a)
{
    bool empty = !ae_container_next(a->writer);

    for (size_t i = 0; i < GATHER_KINDS; i++)
        empty &= !a->kinds[i].n;
    return empty;
}

/* Which files below directories are pictures or sounds, or hold some. */
static cli_taken wanted(void *opaque, const char *path)
{
    return compress_wanted(opaque, path) || (idx_named(path) && !strstr(path, "idx1")) ? CLI_TAKEN
                                                                                       : CLI_OTHER;
}

/* Neither the archive nor the record of what was done may be an input, or each other. */
static int check_files(const archive *a)
{
    const char *json = a->o->batch.json;
    bool has_json = json && *json;

    if (has_json && cli_same_file(json, a->o->archive))
        return cli_usage("--json: %s is the archive", json);
    for (size_t i = 0; i < a->plan.inputs.n; i++) {
        if (cli_same_file(a->o->archive, a->plan.inputs.items[i].path))
            return cli_usage("--archive: %s is an input", a->o->archive);
        if (has_json && cli_same_file(json, a->plan.inputs.items[i].path))
            return cli_usage("--json: %s is an input", json);
    }
    return CLI_GO_ON;
}

int archive_run(compress_options *o, char **operands, int n_operands)
{
    archive a = {.o = o,
                 .file = {.fd = -1},
                 .mutex = PTHREAD_MUTEX_INITIALIZER,
                 .changed = PTHREAD_COND_INITIALIZER};
    cli_walk walk = {o->batch.recursive, o, wanted, NULL};
    uint64_t first = 0;
    ae_error err = {0};
    ae_status st = AE_OK;
    int status;

    if (o->batch.output)
        return cli_usage("--archive names the output already");
    status = cli_plan_inputs(&a.plan, &o->batch, &walk, operands, n_operands);
    a.failed = a.plan.named_wrongly + (status == CLI_FAILED);
    if (status != CLI_USAGE)
        status = cli_plan_shard(&a.plan, &o->batch);
    if (status == CLI_GO_ON)
        status = check_files(&a);
    if (status == CLI_GO_ON && !a.plan.inputs.n && a.failed)
        status = CLI_FAILED;
    if (status == CLI_GO_ON)
        status = cli_plan_open_json(&o->batch, strcmp(o->archive, "-") == 0, &a.json);
    if (status != CLI_GO_ON) {
        cli_plan_clear(&a.plan);
        return status;
    }
    a.next = a.plan.first;
    if (o->batch.dry_run) {
        archive_show_plan(&a);
        goto done;
    }
    if (o->labels && (st = archive_read_labels(&a, &err)) != AE_OK) {
        cli_message("%s", err.message);
        a.failed++;
        goto done;
    }
    cli_confine_writes(&(const char *){o->archive}, 1);
    if ((st = begin(&a, &err)) != AE_OK) {
        cli_message("%s: %s", o->archive, err.message);
        a.failed++;
        goto done;
    }
    if (!o->batch.quiet)
        cli_progress_on();
    cli_notes_all = o->batch.verbose;
    first = ae_container_next(a.writer);
    archive_run_jobs(&a);
    cli_progress_clear();
    cli_notes_end();
    if (a.n_found && !o->batch.quiet)
        cli_message("%s: %zu items were there, left by a run that broke off", o->archive,
                    a.n_found);
    if (strcmp(o->archive, "-") != 0 && is_empty(&a) && !a.broken && !cli_cancel.requested) {
        /* as where there is nothing for an output each */
        a.failed += !a.plan.inputs.n && !o->batch.files_from;
        if (!o->batch.quiet)
            cli_message("%s: not written, there is nothing to put into it", o->archive);
    } else if (a.broken || (cli_cancel.requested && !leaves(&a)) ||
               (st = end(&a, first, &err)) != AE_OK) {
        if (st != AE_OK)
            cli_message("%s: %s", o->archive, err.message);
        a.failed++;
    } else if (cli_cancel.requested) {
        cli_message("%s: %llu items are in it; the same command goes on", o->archive,
                    (unsigned long long)ae_container_next(a.writer));
    } else if (o->batch.verbose) {
        cli_message("%s: %llu items added, %llu bytes", o->archive,
                    (unsigned long long)(ae_container_next(a.writer) - first),
                    (unsigned long long)ae_container_written(a.writer));
    }
done:
    archive_file_close(&a.file);
    a.failed += !cli_plan_close_json(&o->batch, a.json);
    for (size_t i = 0; i < GATHER_KINDS; i++)
        gathered_clear(&a.kinds[i]);
    name_set_clear(&a.names);
    name_set_clear(&a.found);
    ae_free(a.labels);
    ae_container_writer_free(a.writer);
    cli_plan_clear(&a.plan);
    return cli_cancel.requested ? cli_interrupted() : a.failed ? CLI_FAILED : CLI_OK;
}
