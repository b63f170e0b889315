/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Many pictures into one file. Several are coded at the same time and written in the order of the
 * inputs: what is in the file does not depend on the number of threads. A worker takes an input
 * and, when its turn has come, decides whether the picture waits for others of its kind; what is
 * now to be written gets a ticket. That is coded, and written when all tickets before it are. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aecfile.h"
#include "common/idx.h"
#include "common/names.h"
#include "common/progress.h"
#include "archive_file.h"
#include "compress.h"
#include "gather.h"
#include "labels.h"

/* Pixels, or samples of sound, from which one is not coded in memory, but by all threads when its
 * ticket has come. */
enum { LARGE = 1 << 23 };

typedef struct archive {
    compress_options *o;
    ae_container_writer *writer; /* of who holds the ticket that is up */
    archive_file file;
    bool appended; /* to a finished one: where this fails it stays as it was */
    bool ending;   /* what was taken is written, even where more was to come */
    ae_sink sink;  /* to the file */
    ae_status sink_status;
    uint32_t threads; /* for one picture */

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    cli_inputs inputs;
    size_t next, step; /* of the inputs */
    idx_file idx;      /* being read, of the input before next */
    uint32_t idx_done;
    item_label *labels; /* NULL: not given */
    size_t labelled;    /* items that have theirs */
    uint64_t n_taken, turn, n_tickets, ticket;
    gathered kinds[GATHER_KINDS];
    name_set names, found; /* all that are taken; those that a run that broke off had written */
    FILE *json;
    size_t failed, done, n_found;
    bool broken; /* the file itself cannot be written any more */
} archive;

/* What a worker takes: a picture file, or some pictures of an IDX file that lie in `pack` already.
 */
typedef struct job {
    const cli_input *in;
    uint64_t turn;
    uint32_t first;
    const char *label; /* of a file, or NULL */
    gathered pack;     /* to be written; n = 0: a file */
} job;

/* Keeps in mind whether it was the archive that failed, or an input. */
static ae_status write_archive(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    archive *a = opaque;

    return a->sink_status = a->file.sink->write(a->file.sink->opaque, data, n_bytes, err);
}

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

static bool stopped(const archive *a)
{
    return (cli_cancel.requested && !a->ending) || a->broken;
}

/* What is written with a ticket: code it, wait, write it. */
typedef struct writing {
    archive *a;
    uint64_t ticket, n_bytes;
    ae_status st;
} writing;

/* Waits for the ticket. Between this and end_writing the container is the caller's, who leaves it
 * alone where false is returned. */
static bool begin_writing(writing *w, ae_error *err)
{
    wait_for(w->a, &w->a->ticket, w->ticket);
    pthread_mutex_unlock(&w->a->mutex);
    if (w->st == AE_OK && stopped(w->a))
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

static ae_status write_pack(writing *w, gathered *g, ae_error *err)
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

/* ---- pictures coded in memory ---- as a container of one item, which is then copied */

typedef struct memory {
    uint8_t *data;
    size_t n, room;
} memory;

static ae_status write_memory(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    memory *m = opaque;

    if (n_bytes > m->room - m->n) {
        size_t room = 2 * m->room + n_bytes;
        uint8_t *grown = ae_realloc(m->data, m->n, room);

        if (!grown)
            return ae_fail(err, AE_ERR_NOMEM, "a coded picture");
        m->data = grown;
        m->room = room;
    }
    memcpy(m->data + m->n, data, n_bytes);
    m->n += n_bytes;
    return AE_OK;
}

static size_t read_memory(void *opaque, uint64_t offset, void *to, size_t n_bytes)
{
    const memory *m = opaque;
    size_t left = offset < m->n ? m->n - (size_t)offset : 0;

    n_bytes = n_bytes < left ? n_bytes : left;
    memcpy(to, m->data + offset, n_bytes);
    return n_bytes;
}

static ae_status code_in_memory(compressed *c, const archive *a, const char *name, memory *m,
                                ae_error *err)
{
    ae_sink sink = {.opaque = m, .write = write_memory};
    ae_container_writer *w = NULL;
    ae_status st = ae_container_create(&sink, &w, err);

    if (st == AE_OK && (st = compress_item(c, a->o, NULL, a->threads, name, w, err)) == AE_OK)
        st = ae_container_finish(w, err);
    ae_container_writer_free(w);
    return st;
}

static ae_status copy_from_memory(memory *m, const char *name, ae_container_writer *to,
                                  ae_error *err)
{
    ae_bytes bytes = {m, m->n, read_memory};
    ae_container *c = NULL;
    ae_item item = {0};
    ae_status st = ae_container_open(&bytes, NULL, &c, err);

    if (st == AE_OK && (st = ae_container_find(c, name, &item, err)) == AE_OK)
        st = aecfile_copy(c, &item, to, NULL, err);
    ae_item_clear(&item);
    ae_container_free(c);
    return st;
}

static ae_status write_picture(writing *w, compressed *c, const char *name, ae_error *err)
{
    archive *a = w->a;
    bool unknown = c->sound && !c->info.height; /* how long it is */
    bool large = unknown ||
                 c->info.width * c->info.height * (c->sound ? c->info.channels : 1) >= LARGE;
    memory m = {0};

    w->st = large ? AE_OK : code_in_memory(c, a, name, &m, err);
    if (begin_writing(w, err)) {
        w->st = large ? compress_item(c, a->o, NULL, a->o->batch.jobs, name, a->writer, err)
                      : copy_from_memory(&m, name, a->writer, err);
        if (w->st != AE_OK)
            ae_container_drop(a->writer);
    }
    end_writing(w);
    ae_free(m.data);
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

    if (stopped(a))
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
        cli_progress_show("%zu of %zu files", a->next / a->step, a->inputs.n / a->step);
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

static void run_file(archive *a, job *j)
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
        st = write_pack(&w, &ready, &err);
    else if (ticket)
        st = write_picture(&w, &c, name, &err);
    if (st == AE_OK && added)
        compress_report(&c, a->o, &json, w.n_bytes, ae_source_size(c.source));
    finish(a, j->in, &json, start, st, st == AE_OK && !added, &err);
    ae_free(samples);
    compress_close(&c);
}

/* Of an IDX file; those whose name is taken are left out. */
static void run_pack(archive *a, job *j)
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
    if (n && write_pack(&w, g, &why) != AE_OK)
        st = ae_fail(&err, w.st, "%s", why.message);
    gathered_clear(g);
    cli_json_number(&json, "bytes", (double)w.n_bytes);
    finish(a, j->in, &json, start, st, st == AE_OK && !n, &err);
}

/* ---- IDX files ---- */

/* train-images-idx3-ubyte.gz becomes train-images. */
static size_t stem_of(const char *below)
{
    static const char *const ends[] = {".gz", "-ubyte", ".idx", "-idx3", "-idx4"};
    size_t n = strlen(below);

    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        size_t length = strlen(ends[i]);

        if (n > length && memcmp(below + n - length, ends[i], length) == 0)
            n -= length;
    }
    return n;
}

/* The pictures of an IDX file are samples: without loss, or as --near-lossless or a quality above
 * the network's says. */
static ae_status take_pictures(archive *a, job *j, ae_error *err)
{
    const cli_input *in = j->in;
    idx_file *x = &a->idx;
    size_t n_each = (size_t)x->height * x->width * x->channels;
    ae_item like = {.info = {.kind = AE_KIND_IMAGE,
                             .sample = AE_U8,
                             .bits = 8,
                             .channels = x->channels,
                             .width = x->width,
                             .height = x->height},
                    .quality = compress_bound(a->o)};
    int digits = snprintf(NULL, 0, "%u", x->n - 1);
    gathered *g = &j->pack;
    ae_status st;

    if (n_each > AE_PACK_BYTES)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "its pictures have more than %d samples",
                       AE_PACK_BYTES);
    if ((st = gathered_begin(g, &like, n_each, err)) != AE_OK)
        return st;
    g->most = g->most < x->n - a->idx_done ? g->most : x->n - a->idx_done;
    st = idx_next(x, g->most, g->samples, err);
    while (st == AE_OK && g->n < g->most) {
        char *name = NULL;

        if (asprintf(&name, "%.*s/%0*u", (int)stem_of(in->below), in->below, digits,
                     a->idx_done++) < 0)
            return ae_fail(err, AE_ERR_NOMEM, "a name");
        g->names[g->n] = ae_strdup(name);
        free(name);
        if (!g->names[g->n])
            return ae_fail(err, AE_ERR_NOMEM, "a name");
        if (a->labels)
            strcpy(g->fields[g->n].label, a->labels[a->labelled++]);
        g->n++;
    }
    return st;
}

/* ---- workers ---- */

/* The next thing to do; false: nothing is left. The mutex is held. */
static bool take_job(archive *a, job *j)
{
    ae_error err;

    *j = (job){0};
    while (!stopped(a)) {
        ae_status st = AE_OK;

        if (a->idx.file && a->idx_done < a->idx.n) {
            j->in = &a->inputs.items[a->next - a->step];
            if ((st = take_pictures(a, j, &err)) == AE_OK) {
                j->turn = a->n_taken++;
                return true;
            }
            gathered_clear(&j->pack);
            a->idx_done = a->idx.n;
        } else {
            idx_close(&a->idx);
            if (a->next >= a->inputs.n)
                return false;
            j->in = &a->inputs.items[a->next];
            a->next += a->step;
            a->idx_done = 0;
            if (idx_named(j->in->path))
                st = idx_open(j->in->path, &a->idx, &err);
            /* a file, or an IDX file without pictures, which is an array */
            if (st == AE_OK && !a->idx.file) {
                j->turn = a->n_taken++;
                j->label = a->labels ? a->labels[a->labelled++] : NULL;
                return true;
            }
        }
        if (st != AE_OK) {
            cli_message("%s: %s", j->in->path, err.message);
            a->failed++;
        }
    }
    return false;
}

static void *run_worker(void *opaque)
{
    archive *a = opaque;
    bool more = true;

    while (more) {
        job j;

        pthread_mutex_lock(&a->mutex);
        more = take_job(a, &j);
        pthread_mutex_unlock(&a->mutex);
        if (more && j.pack.n)
            run_pack(a, &j);
        else if (more)
            run_file(a, &j);
    }
    return NULL;
}

static void run_all(archive *a)
{
    uint32_t jobs = a->o->batch.jobs, n = 0;
    size_t n_inputs = a->inputs.n / a->step + 1;
    pthread_t *threads;
    bool many = false;

    for (size_t i = 0; i < a->inputs.n; i++)
        many |= idx_named(a->inputs.items[i].path);
    a->threads = many || n_inputs >= jobs ? 1 : jobs / (uint32_t)n_inputs;
    jobs = many || n_inputs >= jobs ? jobs : (uint32_t)n_inputs;
    threads = ae_alloc(jobs, sizeof(*threads));
    while (threads && n + 1 < jobs && pthread_create(&threads[n], NULL, run_worker, a) == 0)
        n++;
    run_worker(a);
    while (n)
        pthread_join(threads[--n], NULL);
    ae_free(threads);
    idx_close(&a->idx);
}

/* One label for each item that the inputs will be: each file is one, an IDX file as many as it has
 * pictures. */
static ae_status read_labels(archive *a, ae_error *err)
{
    size_t n = 0;
    ae_status st = AE_OK;
    ae_error why;

    for (size_t i = 0; i < a->inputs.n && st == AE_OK; i++) {
        idx_file x = {0};

        if (!idx_named(a->inputs.items[i].path))
            n++;
        else if ((st = idx_open(a->inputs.items[i].path, &x, &why)) == AE_OK)
            n += x.file ? x.n : 1;
        else
            st = ae_fail(err, st, "%s: %s", a->inputs.items[i].path, why.message);
        idx_close(&x);
    }
    if (st == AE_OK && (st = labels_load(a->o->labels, n, &a->labels, &why)) != AE_OK)
        st = ae_fail(err, st, "--labels: %s: %s", a->o->labels, why.message);
    return st;
}

static void show_plan(const archive *a)
{
    for (size_t i = a->next; i < a->inputs.n; i += a->step) {
        const cli_input *in = &a->inputs.items[i];

        if (idx_named(in->path))
            printf("%s -> %s: %.*s/...\n", in->path, a->o->archive, (int)stem_of(in->below),
                   in->below);
        else
            printf("%s -> %s: %s\n", in->path, a->o->archive,
                   strcmp(in->path, "-") == 0 ? "stdin" : in->below);
    }
}

/* ---- the file ---- */

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
            st = write_pack(&(writing){.a = a, .ticket = a->n_tickets++}, &a->kinds[i], err);
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

typedef struct collecting {
    archive *a;
    cli_walk walk;
} collecting;

static bool take_operand(void *opaque, const char *name)
{
    collecting *c = opaque;
    ae_error err;
    ae_status st = cli_inputs_add(&c->a->inputs, name, &c->walk, &err);

    if (st != AE_OK) {
        cli_message("%s", err.message);
        c->a->failed++;
    }
    return st != AE_ERR_NOMEM;
}

/* Neither the archive nor the record of what was done may be an input, or each other. */
static int check_files(const archive *a)
{
    const char *json = a->o->batch.json;
    bool has_json = json && *json;

    if (has_json && cli_same_file(json, a->o->archive))
        return cli_usage("--json: %s is the archive", json);
    for (size_t i = 0; i < a->inputs.n; i++) {
        if (cli_same_file(a->o->archive, a->inputs.items[i].path))
            return cli_usage("--archive: %s is an input", a->o->archive);
        if (has_json && cli_same_file(json, a->inputs.items[i].path))
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
    collecting c = {&a, {o->batch.recursive, o, wanted, NULL}};
    unsigned long k = 1, step = 1;
    uint64_t first = 0;
    ae_error err = {0};
    ae_status st = AE_OK;
    char more;

    if (!n_operands && !o->batch.files_from)
        return cli_usage("no input named");
    if (o->batch.output)
        return cli_usage("--archive names the output already");
    if (o->batch.shard &&
        (sscanf(o->batch.shard, "%lu/%lu%c", &k, &step, &more) != 2 || k < 1 || k > step))
        return cli_usage("--shard: '%s' is not K/N with 1 <= K <= N", o->batch.shard);
    for (int i = 0; i < n_operands; i++)
        take_operand(&c, operands[i]);
    if (o->batch.files_from &&
        cli_inputs_read_list(o->batch.files_from, &c, take_operand, &err) != AE_OK) {
        cli_message("--files-from: %s", err.message);
        a.failed++;
    }
    if (!o->batch.quiet)
        cli_inputs_say_others(&a.inputs);
    if (check_files(&a) != CLI_GO_ON || (!a.inputs.n && a.failed)) {
        cli_inputs_clear(&a.inputs);
        return a.failed ? CLI_FAILED : CLI_USAGE;
    }
    if (o->batch.json)
        a.json = !*o->batch.json ? (strcmp(o->archive, "-") == 0 ? stderr : stdout)
                                 : fopen(o->batch.json, "a");
    if (o->batch.json && !a.json) {
        cli_message("--json: %s: %s", o->batch.json, strerror(errno));
        cli_inputs_clear(&a.inputs);
        return CLI_FAILED;
    }
    a.next = k - 1;
    a.step = step;
    if (o->batch.dry_run) {
        show_plan(&a);
        goto done;
    }
    if (o->labels && (st = read_labels(&a, &err)) != AE_OK) {
        cli_message("%s", err.message);
        a.failed++;
        goto done;
    }
    if ((st = begin(&a, &err)) != AE_OK) {
        cli_message("%s: %s", o->archive, err.message);
        a.failed++;
        goto done;
    }
    if (!o->batch.quiet)
        cli_progress_on();
    first = ae_container_next(a.writer);
    run_all(&a);
    cli_progress_clear();
    if (a.n_found && !o->batch.quiet)
        cli_message("%s: %zu items were there, left by a run that broke off", o->archive,
                    a.n_found);
    if (strcmp(o->archive, "-") != 0 && is_empty(&a) && !a.broken && !cli_cancel.requested) {
        /* as where there is nothing for an output each */
        a.failed += !a.inputs.n && !o->batch.files_from;
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
    if (a.json && *o->batch.json && fclose(a.json) != 0)
        a.failed++;
    for (size_t i = 0; i < GATHER_KINDS; i++)
        gathered_clear(&a.kinds[i]);
    name_set_clear(&a.names);
    name_set_clear(&a.found);
    ae_free(a.labels);
    ae_container_writer_free(a.writer);
    cli_inputs_clear(&a.inputs);
    return cli_cancel.requested ? cli_interrupted() : a.failed ? CLI_FAILED : CLI_OK;
}
