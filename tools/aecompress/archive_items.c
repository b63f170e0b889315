/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From an input to its items: turns, in which names are taken and small pictures are gathered, and
 * tickets, with which what was coded is written. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "common/names.h"
#include "common/notes.h"
#include "common/progress.h"
#include "archive.h"

/* Pixels, or samples of sound, from which one is not coded in memory, but by all threads when its
 * ticket has come. */
enum { LARGE = 1 << 23 };

/* ---- turns and tickets ---- */

static void wait_for(archive *a, const uint64_t *counter, uint64_t value)
{
    pthread_mutex_lock(&a->mutex);
    while (*counter != value)
        pthread_cond_wait(&a->changed, &a->mutex);
}

/* The next one's turn; gives up the mutex. */
static void pass_on(archive *a, uint64_t *counter)
{
    ++*counter;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->mutex);
}

/* Waits for the ticket. Between this and end_writing the container is the caller's, who leaves it
 * alone where false is returned. */
static bool begin_writing(writing *w, ae_error *err)
{
    wait_for(w->a, &w->a->ticket, w->ticket);
    pthread_mutex_unlock(&w->a->mutex);
    if (w->st == AE_OK && archive_stopped(w->a))
        w->st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
    w->n_bytes = ae_container_written(w->a->writer);
    return w->st == AE_OK;
}

static void end_writing(writing *w)
{
    w->n_bytes = ae_container_written(w->a->writer) - w->n_bytes;
    pthread_mutex_lock(&w->a->mutex);
    w->a->broken |= w->a->sink_status != AE_OK;
    pass_on(w->a, &w->a->ticket);
}

ae_status archive_write_pack(writing *w, gathered *g, ae_error *err)
{
    ae_packed packed = {0};

    w->st = ae_pack(&g->like, g->n, g->samples, &packed, err);
    if (begin_writing(w, err))
        w->st = ae_container_write_packed(w->a->writer, &g->like, (const char *const *)g->names,
                                          g->n, &packed, err);
    if (w->st == AE_OK)
        w->st = ae_container_write_fields(w->a->writer, g->fields, g->n, err);
    end_writing(w);
    ae_free(packed.data);
    gathered_clear(g);
    return w->st;
}

/* ---- pictures ---- coded before their turn, and held until then */

static ae_status code_ahead(compressed *c, const archive *a, const char *name,
                            ae_container_writer **held, ae_error *err)
{
    ae_status st = ae_container_hold(held, err);

    return st == AE_OK ? compress_item(c, a->o, NULL, a->threads, name, *held, err) : st;
}

static ae_status write_picture(writing *w, compressed *c, const char *name, ae_error *err)
{
    archive *a = w->a;
    bool unknown = c->sound && !c->info.height; /* how long it is */
    bool large = unknown ||
                 c->info.width * c->info.height * (c->sound ? c->info.channels : 1) >= LARGE;
    ae_container_writer *held = NULL;

    w->st = large ? AE_OK : code_ahead(c, a, name, &held, err);
    if (begin_writing(w, err)) {
        w->st = large ? compress_item(c, a->o, NULL, a->o->batch.jobs, name, a->writer, err)
                      : ae_container_write_held(a->writer, held, err);
        if (w->st != AE_OK)
            ae_container_drop(a->writer);
    }
    end_writing(w);
    ae_container_writer_free(held);
    return w->st;
}

/* ---- one input ---- */

static bool has_kept_meta(const compressed *c, const compress_options *o)
{
    for (size_t i = 0; i < c->reader.meta.n_items; i++)
        if (o->meta_kinds >> c->reader.meta.items[i].kind & 1 &&
            c->reader.meta.items[i].kind != AE_META_DENSITY)
            return true;
    return false;
}

/* False where the item is there already, which is an error unless those are to be skipped or it is
 * what a run that broke off had done. The mutex is held. */
static bool take_name(archive *a, const char *name, ae_status *st, ae_error *err)
{
    bool added = false;

    if (archive_stopped(a))
        *st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
    else if (!ae_item_name_is_safe(name))
        *st = ae_fail(err, AE_ERR_ARGUMENT, "%s is no name for an item", name);
    else if ((*st = name_set_add(&a->names, name, &added, err)) == AE_OK && !added &&
             name_set_has(&a->found, name))
        a->n_found++;
    else if (*st == AE_OK && !added && !a->o->batch.skip_existing)
        *st = ae_fail(err, AE_ERR_ARGUMENT, "there is an item %s already", name);
    return added;
}

/* Says how it went. */
static void finish(archive *a, const cli_input *in, cli_json *json, double start, ae_status st,
                   bool skipped, const ae_error *err)
{
    pthread_mutex_lock(&a->mutex);
    if (st != AE_OK && !cli_cancel.requested)
        cli_message("%s: %s", in->path, err->message);
    a->failed += st != AE_OK;
    a->done += st == AE_OK && !skipped;
    if (a->json && !skipped) {
        cli_json_string(json, "status", st == AE_OK ? "done" : "failed");
        if (st != AE_OK)
            cli_json_string(json, "error", err->message);
        cli_json_number(json, "seconds", cli_seconds() - start);
        cli_json_write(json, a->json);
    }
    if (cli_progress_due())
        cli_progress_show("%zu of %zu files", a->next / a->plan.step,
                          a->plan.inputs.n / a->plan.step);
    pthread_mutex_unlock(&a->mutex);
    cli_json_clear(json);
}

static ae_item_fields fields_of(const cli_input *in, const compress_options *o)
{
    if (!o->times || !in->exists)
        return (ae_item_fields){.mode = 0};
    return (ae_item_fields){
        .has_changed = true, .changed = in->changed.tv_sec, .mode = in->mode & 0777};
}

static void left_out(uint32_t n, ae_error *err)
{
    ae_error inner = *err;

    ae_fail(err, inner.status, "%s (%u pictures behind it are left out)", inner.message, n);
}

/* Of a file of several pictures, each an item of its own (scan-1.tif and on). Where one cannot be
 * read the file ends there; what is not written gives up its ticket. */
static void run_pictures(archive *a, const job *j, compressed *c, const char *stem)
{
    struct {
        char *name;
        uint64_t ticket;
        ae_error err;
    } *all = ae_alloc(c->n_pictures, sizeof(*all));
    ae_status file = AE_OK;

    wait_for(a, &a->turn, j->turn);
    for (uint32_t k = 0; k < c->n_pictures && all; k++) {
        bool added = false;

        if (!(all[k].name = cli_name_numbered(stem, k + 1, c->n_pictures)))
            ae_fail(&all[k].err, AE_ERR_NOMEM, "a name");
        else if ((added = take_name(a, all[k].name, &all[k].err.status, &all[k].err)))
            all[k].ticket = ++a->n_tickets;
    }
    pass_on(a, &a->turn);
    if (!all) {
        ae_error err;
        cli_json json = {0};

        file = ae_fail(&err, AE_ERR_NOMEM, "%u names", c->n_pictures);
        finish(a, j->in, &json, cli_seconds(), file, false, &err);
    }
    for (uint32_t k = 0; k < c->n_pictures && all; k++) {
        writing w = {.a = a, .ticket = all[k].ticket - 1, .st = file};
        bool wanted = all[k].ticket && file == AE_OK;
        double start = cli_seconds();
        ae_error *err = &all[k].err;
        cli_json json = {0};

        cli_json_string(&json, "input", j->in->path);
        cli_json_string(&json, "item", all[k].name ? all[k].name : stem);
        cli_json_number(&json, "picture", k + 1);
        if (wanted && k)
            w.st = compress_picture(c, a->o, k + 1, err);
        if (wanted && w.st == AE_OK) {
            if (write_picture(&w, c, all[k].name, err) == AE_OK)
                compress_report(c, a->o, &json, w.n_bytes,
                                ae_source_size(c->source) / c->n_pictures);
        } else if (all[k].ticket) {
            begin_writing(&w, err);
            end_writing(&w);
        }
        if (wanted && (file = w.st) != AE_OK && k + 1 < c->n_pictures)
            left_out(c->n_pictures - k - 1, err);
        if (err->status != AE_OK)
            picture_name_file(all[k].name ? all[k].name : stem, err->status, err);
        finish(a, j->in, &json, start, err->status, err->status == AE_OK && !wanted, err);
        ae_free(all[k].name);
    }
    ae_free(all);
}

/* What reading found, of all pictures of the file. */
static void say_note(const archive *a, const job *j, const compressed *c)
{
    if (*c->reader.note && !a->o->batch.quiet)
        cli_note(j->in->path, c->reader.note);
}

void archive_run_file(archive *a, job *j)
{
    const char *name = strcmp(j->in->path, "-") == 0 ? "stdin" : j->in->below;
    writing w = {.a = a};
    double start = cli_seconds();
    gathered ready = {0};
    cli_json json = {0};
    ae_error err = {0};
    uint8_t *samples = NULL;
    size_t n = 0;
    bool small = false, added = false, ticket = false;
    compressed c;
    ae_status st = compress_open(&c, a->o, j->in->path, &err);

    c.fields = fields_of(j->in, a->o);
    if (j->label)
        strcpy(c.fields.label, j->label);
    if (st == AE_OK && c.n_pictures > 1) {
        run_pictures(a, j, &c, name);
        say_note(a, j, &c);
        compress_close(&c);
        return;
    }
    cli_json_string(&json, "input", j->in->path);
    cli_json_string(&json, "item", name);
    if (st == AE_OK) {
        n = c.row_bytes * (size_t)c.info.height;
        small = c.info.kind == AE_KIND_IMAGE && c.item.coding == AE_ITEM_SAMPLES && !c.read_band &&
                n <= GATHER_SMALL && !has_kept_meta(&c, a->o);
    }
    if (small && !(samples = ae_alloc(n, 1)))
        st = ae_fail(&err, AE_ERR_NOMEM, "a picture");
    else if (small)
        st = ae_reader_read(&c.reader, samples, (uint32_t)c.info.height, &err);
    wait_for(a, &a->turn, j->turn);
    if (st == AE_OK && (added = take_name(a, name, &st, &err)) && small)
        st = gather(a->kinds, &c.item, n, samples, name, &c.fields, &ready, &err);
    if ((ticket = ready.n || (added && !small)))
        w.ticket = a->n_tickets++;
    pass_on(a, &a->turn);
    if (ready.n)
        st = archive_write_pack(&w, &ready, &err);
    else if (ticket)
        st = write_picture(&w, &c, name, &err);
    if (st == AE_OK && added)
        compress_report(&c, a->o, &json, w.n_bytes, ae_source_size(c.source));
    finish(a, j->in, &json, start, st, st == AE_OK && !added, &err);
    if (st == AE_OK && added)
        say_note(a, j, &c);
    ae_free(samples);
    compress_close(&c);
}

/* Of an IDX file; those whose name is taken are left out. */
void archive_run_pack(archive *a, job *j)
{
    writing w = {.a = a};
    gathered *g = &j->pack;
    double start = cli_seconds();
    ae_error err = {0}, why;
    ae_status st = AE_OK;
    cli_json json = {0};
    uint32_t n = 0;

    cli_json_string(&json, "input", j->in->path);
    cli_json_string(&json, "item", g->names[0]);
    cli_json_number(&json, "items", g->n);
    wait_for(a, &a->turn, j->turn);
    for (uint32_t i = 0; i < g->n; i++) {
        ae_status one = AE_OK;

        if (!take_name(a, g->names[i], &one, &why)) {
            ae_free(g->names[i]);
            if (one != AE_OK)
                st = ae_fail(&err, one, "%s", why.message);
            continue;
        }
        if (n != i)
            memcpy(g->samples + n * g->n_each, g->samples + i * g->n_each, g->n_each);
        g->fields[n] = g->fields[i];
        g->names[n++] = g->names[i];
    }
    g->n = n;
    if (n)
        w.ticket = a->n_tickets++;
    pass_on(a, &a->turn);
    if (n && archive_write_pack(&w, g, &why) != AE_OK)
        st = ae_fail(&err, w.st, "%s", why.message);
    gathered_clear(g);
    cli_json_number(&json, "bytes", (double)w.n_bytes);
    finish(a, j->in, &json, start, st, st == AE_OK && !n, &err);
}
