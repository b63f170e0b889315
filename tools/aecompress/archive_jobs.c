/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What there is to do for an archive, one job after another: a file is one, an IDX file as many as
 * its pictures fill packs. A worker for each thread takes them. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "common/progress.h"
#include "archive.h"

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
    while (!archive_stopped(a)) {
        ae_status st = AE_OK;

        if (a->idx.file && a->idx_done < a->idx.n) {
            j->in = &a->plan.inputs.items[a->next - a->plan.step];
            if ((st = take_pictures(a, j, &err)) == AE_OK) {
                j->turn = a->n_taken++;
                return true;
            }
            gathered_clear(&j->pack);
            a->idx_done = a->idx.n;
        } else {
            idx_close(&a->idx);
            if (a->next >= a->plan.inputs.n)
                return false;
            j->in = &a->plan.inputs.items[a->next];
            a->next += a->plan.step;
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
            archive_run_pack(a, &j);
        else if (more)
            archive_run_file(a, &j);
    }
    return NULL;
}

void archive_run_jobs(archive *a)
{
    uint32_t jobs = a->o->batch.jobs, n = 0;
    size_t n_inputs = a->plan.inputs.n / a->plan.step + 1;
    pthread_t *threads;
    bool many = false;

    for (size_t i = 0; i < a->plan.inputs.n; i++)
        many |= idx_named(a->plan.inputs.items[i].path);
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

ae_status archive_read_labels(archive *a, ae_error *err)
{
    size_t n = 0;
    ae_status st = AE_OK;
    ae_error why;

    for (size_t i = 0; i < a->plan.inputs.n && st == AE_OK; i++) {
        idx_file x = {0};

        if (!idx_named(a->plan.inputs.items[i].path))
            n++;
        else if ((st = idx_open(a->plan.inputs.items[i].path, &x, &why)) == AE_OK)
            n += x.file ? x.n : 1;
        else
            st = ae_fail(err, st, "%s: %s", a->plan.inputs.items[i].path, why.message);
        idx_close(&x);
    }
    if (st == AE_OK && (st = labels_load(a->o->labels, n, &a->labels, &why)) != AE_OK)
        st = ae_fail(err, st, "--labels: %s: %s", a->o->labels, why.message);
    return st;
}

void archive_show_plan(const archive *a)
{
    for (size_t i = a->next; i < a->plan.inputs.n; i += a->plan.step) {
        const cli_input *in = &a->plan.inputs.items[i];

        if (idx_named(in->path))
            printf("%s -> %s: %.*s/...\n", in->path, a->o->archive, (int)stem_of(in->below),
                   in->below);
        else
            printf("%s -> %s: %s\n", in->path, a->o->archive,
                   strcmp(in->path, "-") == 0 ? "stdin" : in->below);
    }
}
