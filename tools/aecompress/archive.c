/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Many pictures into one file. Small ones of one size and type are gathered and share tiles. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/aecfile.h"
#include "common/inputs.h"
#include "common/progress.h"
#include "compress.h"

enum { MAX_PACKS = 8, SMALL = AE_PACK_BYTES / 4 /* bytes of a picture that is packed, at most */, MAX_NAMES = 4096 };

/* Pictures of one kind that wait for others. */
typedef struct pending {
    ae_item like;
    uint8_t *samples;
    size_t n_each;
    uint32_t n, most;
    char **names;
} pending;

typedef struct archive {
    compress_options *o;
    ae_container_writer *writer;
    ae_output *output;   /* of a new file */
    int fd;              /* of one that is appended to */
    uint64_t old_size;
    ae_sink sink, fd_sink;
    pending packs[MAX_PACKS];
    FILE *json;
    size_t failed, done;
    ae_sink *to;         /* where sink writes */
    ae_status sink_status;
    bool broken;         /* the file itself cannot be written any more */
} archive;

/* Keeps in mind whether it was the archive that failed, or an input. */
static ae_status write_archive(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    archive *a = opaque;

    return a->sink_status = a->to->write(a->to->opaque, data, n_bytes, err);
}

static ae_status write_fd(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    const archive *a = opaque;
    const uint8_t *p = data;

    while (n_bytes) {
        ssize_t n = write(a->fd, p, n_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ae_fail(err, AE_ERR_IO, "write: %s", strerror(errno));
        p += n;
        n_bytes -= (size_t)n;
    }
    return AE_OK;
}

/* ---- packs ---- */

static ae_status flush_pack(archive *a, pending *p, ae_error *err)
{
    ae_status st = AE_OK;

    if (p->n)
        st = ae_container_write_pack(a->writer, &p->like, (const char *const *)p->names, p->n, p->samples, err);
    for (uint32_t i = 0; i < p->n; i++)
        ae_free(p->names[i]);
    ae_free(p->names);
    ae_free(p->samples);
    *p = (pending){0};
    return st;
}

static bool waits(const archive *a, const char *name)
{
    for (size_t i = 0; i < MAX_PACKS; i++)
        for (uint32_t j = 0; j < a->packs[i].n; j++)
            if (strcmp(a->packs[i].names[j], name) == 0)
                return true;
    return false;
}

static bool same_kind(const ae_item *a, const ae_item *b)
{
    const ae_signal_info *x = &a->info, *y = &b->info;

    return x->width == y->width && x->height == y->height && x->channels == y->channels && x->sample == y->sample && x->bits == y->bits &&
           a->quality == b->quality && a->orientation == b->orientation;
}

/* Where pictures like this one wait; the fullest is written where there is no room for another kind. */
static ae_status find_pack(archive *a, const ae_item *item, size_t n_each, pending **out, ae_error *err)
{
    pending *p = a->packs;
    ae_status st;

    for (size_t i = 0; i < MAX_PACKS; i++)
        if (a->packs[i].n && same_kind(&a->packs[i].like, item)) {
            *out = &a->packs[i];
            return AE_OK;
        }
    for (size_t i = 0; i < MAX_PACKS; i++)
        if (!a->packs[i].n || (p->n && a->packs[i].n > p->n))
            p = &a->packs[i];
    if ((st = flush_pack(a, p, err)) != AE_OK)
        return st;
    *p = (pending){.like = *item, .n_each = n_each, .most = (uint32_t)(AE_PACK_BYTES / n_each)};
    p->most = p->most < MAX_NAMES ? p->most : MAX_NAMES;
    p->like.name = NULL;
    p->samples = ae_alloc(p->most, n_each);
    p->names = ae_alloc(p->most, sizeof(*p->names));
    *out = p;
    return p->samples && p->names ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a pack of items");
}

static bool has_kept_meta(const compressed *c, const compress_options *o)
{
    for (size_t i = 0; i < c->reader.meta.n_items; i++)
        if (o->meta_kinds >> c->reader.meta.items[i].kind & 1 && c->reader.meta.items[i].kind != AE_META_DENSITY)
            return true;
    return false;
}

static ae_status pack(archive *a, compressed *c, const char *name, ae_error *err)
{
    size_t n_each = c->row_bytes * (size_t)c->info.height;
    pending *p = NULL;
    uint8_t *to;
    ae_status st;

    if (!ae_item_name_is_safe(name))
        return ae_fail(err, AE_ERR_ARGUMENT, "%s is no name for an item", name);
    if (waits(a, name) || ae_container_has_name(a->writer, name))
        return ae_fail(err, AE_ERR_ARGUMENT, "there is an item %s already", name);
    if ((st = find_pack(a, &c->item, n_each, &p, err)) != AE_OK)
        return st;
    to = p->samples + p->n * n_each;
    if ((st = ae_reader_read(&c->reader, to, (uint32_t)c->info.height, err)) != AE_OK)
        return st;
    if (!(p->names[p->n] = ae_strdup(name)))
        return ae_fail(err, AE_ERR_NOMEM, "a name");
    return ++p->n == p->most ? flush_pack(a, p, err) : AE_OK;
}

/* ---- one input ---- */

static ae_status add(archive *a, const cli_input *in, const char *name, cli_json *json, ae_error *err)
{
    const compress_options *o = a->o;
    uint64_t before = ae_container_written(a->writer);
    compressed c;
    ae_status st = compress_open(&c, o, in->path, err);

    if (st != AE_OK)
        goto done;
    /* what waits for its pack counts as being there */
    if (waits(a, name))
        st = ae_fail(err, AE_ERR_ARGUMENT, "there is an item %s already", name);
    else if (c.item.coding == AE_ITEM_SAMPLES && !c.read_band && c.row_bytes * c.info.height <= SMALL && !has_kept_meta(&c, o))
        st = pack(a, &c, name, err);
    else if (!ae_item_name_is_safe(name) || ae_container_has_name(a->writer, name))
        st = ae_fail(err, AE_ERR_ARGUMENT, ae_item_name_is_safe(name) ? "there is an item %s already" : "%s is no name for an item", name);
    else if ((st = compress_item(&c, o, NULL, o->batch.jobs, name, a->writer, err)) != AE_OK)
        ae_container_drop(a->writer);
    a->broken |= a->sink_status != AE_OK;
    if (st == AE_OK)
        compress_report(&c, o, json, ae_container_written(a->writer) - before, ae_source_size(c.source));
done:
    compress_close(&c);
    return st;
}

static void run_one(archive *a, const cli_input *in, size_t i, size_t n)
{
    const compress_options *o = a->o;
    const char *name = strcmp(in->path, "-") == 0 ? "stdin" : in->below;
    double start = cli_seconds();
    cli_json json = {0};
    ae_error err = {0};
    ae_status st;

    cli_json_string(&json, "input", in->path);
    cli_json_string(&json, "item", name);
    if (o->batch.dry_run) {
        printf("%s -> %s: %s\n", in->path, o->archive, name);
        cli_json_clear(&json);
        a->done++;
        return;
    }
    if (o->batch.skip_existing && (waits(a, name) || ae_container_has_name(a->writer, name))) {
        cli_json_clear(&json);
        return;
    }
    st = add(a, in, name, &json, &err);
    if (st != AE_OK && !cli_cancel.requested)
        cli_message("%s: %s", in->path, err.message);
    a->failed += st != AE_OK;
    a->done += st == AE_OK;
    if (a->json) {
        cli_json_string(&json, "status", st == AE_OK ? "done" : "failed");
        if (st != AE_OK)
            cli_json_string(&json, "error", err.message);
        cli_json_number(&json, "seconds", cli_seconds() - start);
        cli_json_write(&json, a->json);
    }
    cli_json_clear(&json);
    if (cli_progress_due())
        cli_progress_show("%zu of %zu files", i + 1, n);
}

/* ---- the file ---- */

static ae_status begin_append(archive *a, ae_error *err)
{
    uint64_t offset = 0;
    struct stat s;
    aecfile f;
    ae_status st = aecfile_open(&f, a->o->archive, err);

    if (st == AE_OK && (a->fd = open(a->o->archive, O_RDWR | O_CLOEXEC)) < 0)
        st = ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    if (st == AE_OK && (flock(a->fd, LOCK_EX | LOCK_NB) != 0 || fstat(a->fd, &s) != 0))
        st = ae_fail(err, AE_ERR_IO, "another program writes to it");
    a->to = &a->fd_sink;
    a->fd_sink = (ae_sink){.opaque = a, .write = write_fd};
    a->sink = (ae_sink){.opaque = a, .write = write_archive};
    if (st == AE_OK)
        st = ae_container_append(f.container, &a->sink, &a->writer, &offset, err);
    a->old_size = offset;
    /* what lies behind the last footer is left of an append that broke off */
    if (st == AE_OK && (ftruncate(a->fd, (off_t)offset) != 0 || lseek(a->fd, (off_t)offset, SEEK_SET) < 0))
        st = ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    aecfile_close(&f);
    return st;
}

static ae_status begin(archive *a, ae_error *err)
{
    ae_status st;

    a->fd = -1;
    if (a->o->batch.dry_run)
        return AE_OK;
    if (a->o->append && access(a->o->archive, F_OK) == 0)
        return begin_append(a, err);
    st = ae_output_open(a->o->archive, NULL, a->o->batch.force ? AE_OUTPUT_FORCE : 0, &a->output, err);
    if (st != AE_OK)
        return st;
    a->to = ae_output_sink(a->output);
    a->sink = (ae_sink){.opaque = a, .write = write_archive};
    st = ae_container_create(&a->sink, &a->writer, err);
    return st == AE_OK ? compress_model(a->o, a->writer, err) : st;
}

static ae_status end(archive *a, ae_error *err)
{
    ae_status st = AE_OK;

    if (a->o->batch.dry_run)
        return AE_OK;
    for (size_t i = 0; i < MAX_PACKS && st == AE_OK; i++)
        st = flush_pack(a, &a->packs[i], err);
    if (st == AE_OK && (st = ae_container_finish(a->writer, err)) == AE_OK && a->output) {
        st = ae_output_commit(a->output, err);
        a->output = NULL;
    } else if (st == AE_OK && fsync(a->fd) != 0 && errno != EINVAL && errno != EROFS) {
        st = ae_fail(err, AE_ERR_IO, "write: %s", strerror(errno));
    }
    return st;
}

/* Nothing of what was begun stays. */
static void give_up(archive *a)
{
    for (size_t i = 0; i < MAX_PACKS; i++) {
        a->packs[i].like.name = NULL;
        for (uint32_t j = 0; j < a->packs[i].n; j++)
            ae_free(a->packs[i].names[j]);
        ae_free(a->packs[i].names);
        ae_free(a->packs[i].samples);
    }
    if (a->fd >= 0 && a->writer && ftruncate(a->fd, (off_t)a->old_size) != 0)
        cli_message("%s: %s", a->o->archive, strerror(errno));
    ae_output_discard(a->output);
    a->output = NULL;
}

int archive_run(compress_options *o, char **operands, int n_operands)
{
    archive a = {.o = o, .fd = -1};
    cli_walk walk = {o->batch.recursive, NULL, picture_wanted, NULL};
    unsigned long k = 1, step = 1;
    cli_inputs inputs = {0};
    uint64_t first = 0;
    ae_error err = {0};
    ae_status st = AE_OK;
    char more;

    if (!n_operands)
        return cli_usage("no input named");
    if (o->batch.output)
        return cli_usage("--archive names the output already");
    if (o->batch.shard && (sscanf(o->batch.shard, "%lu/%lu%c", &k, &step, &more) != 2 || k < 1 || k > step))
        return cli_usage("--shard: '%s' is not K/N with 1 <= K <= N", o->batch.shard);
    for (int i = 0; i < n_operands && st != AE_ERR_NOMEM; i++)
        if ((st = cli_inputs_add(&inputs, operands[i], &walk, &err)) != AE_OK) {
            cli_message("%s", err.message);
            a.failed++;
        }
    if (o->batch.json)
        a.json = !*o->batch.json ? (strcmp(o->archive, "-") == 0 ? stderr : stdout) : fopen(o->batch.json, "w");
    if (o->batch.json && !a.json) {
        cli_message("--json: %s: %s", o->batch.json, strerror(errno));
        cli_inputs_clear(&inputs);
        return CLI_FAILED;
    }
    if ((st = begin(&a, &err)) != AE_OK) {
        cli_message("%s: %s", o->archive, err.message);
        a.failed++;
        goto done;
    }
    if (!o->batch.quiet && !o->batch.dry_run)
        cli_progress_on();
    first = a.writer ? ae_container_next(a.writer) : 0;
    for (size_t i = k - 1; i < inputs.n && !cli_cancel.requested && !a.broken; i += step)
        run_one(&a, &inputs.items[i], i, inputs.n);
    cli_progress_clear();
    if (cli_cancel.requested || a.broken || (st = end(&a, &err)) != AE_OK) {
        if (st != AE_OK)
            cli_message("%s: %s", o->archive, err.message);
        a.failed++;
        give_up(&a);
    } else if (o->verify && !o->batch.dry_run && (st = compress_verify(o->archive, first, o, o->batch.jobs, &err)) != AE_OK) {
        cli_message("%s: %s", o->archive, err.message);
        a.failed++;
    } else if (o->batch.verbose && a.writer) {
        cli_message("%s: %zu items added, %llu bytes", o->archive, a.done, (unsigned long long)ae_container_written(a.writer));
    }
done:
    if (a.fd >= 0)
        close(a.fd);
    if (a.json && *o->batch.json && fclose(a.json) != 0)
        a.failed++;
    ae_output_discard(a.output);
    ae_container_writer_free(a.writer);
    cli_inputs_clear(&inputs);
    return cli_cancel.requested ? CLI_INTERRUPTED : a.failed ? CLI_FAILED : CLI_OK;
}
