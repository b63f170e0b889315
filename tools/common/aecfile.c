/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "common/aecfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/options.h"

static size_t read_fd(void *opaque, uint64_t offset, void *to, size_t n_bytes)
{
    const aecfile *f = opaque;
    size_t done = 0;

    while (done < n_bytes) {
        ssize_t n = pread(f->fd, (uint8_t *)to + done, n_bytes - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static size_t read_source(void *opaque, uint64_t offset, void *to, size_t n_bytes)
{
    const aecfile *f = opaque;

    return ae_source_seek(f->source, offset) ? ae_source_read(f->source, to, n_bytes) : 0;
}

ae_status aecfile_open(aecfile *f, const char *path, ae_error *err)
{
    ae_bytes bytes = {.opaque = f};
    struct stat s;
    ae_status st;

    *f = (aecfile){.fd = -1};
    if (strcmp(path, "-") != 0 && (f->fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0 && fstat(f->fd, &s) == 0 && S_ISREG(s.st_mode)) {
        bytes.size = (uint64_t)s.st_size;
        bytes.read = read_fd;
    } else {
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        if ((st = ae_source_open(path, &f->source, err)) != AE_OK)
            return st;
        bytes.size = ae_source_size(f->source);
        bytes.read = read_source;
    }
    return ae_container_open(&bytes, NULL, &f->container, err);
}

void aecfile_close(aecfile *f)
{
    ae_container_free(f->container);
    ;
    ae_model_free(f->model);
    ae_source_free(f->source);
    if (f->fd > 0)
        close(f->fd);
    *f = (aecfile){.fd = -1};
}

ae_signal_info aecfile_result(const ae_item *item, const aecfile_options *o)
{
    ae_signal_info info = item->info;

    if (o->width) {
        info.width = o->width;
        info.height = o->height;
    }
    if (o->preview) {
        info.width = (info.width + 7) / 8;
        info.height = (info.height + 7) / 8;
    }
    return info;
}

/* ---- decoding ---- */

typedef struct decoding {
    const aecfile_options *options;
    const ae_row_sink *sink;
    ae_item_reader *reader;
    ae_sample_hash *hash;
    size_t row_bytes;
    uint32_t n_lost;
} decoding;

static ae_status read_tile(void *opaque, uint32_t index, const void **data, size_t *n_bytes, ae_error *err)
{
    decoding *d = opaque;

    return ae_item_tile(d->reader, false, index, data, n_bytes, err);
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    decoding *d = opaque;

    if (d->hash)
        ae_sample_hash_add(d->hash, rows, n_rows * d->row_bytes);
    return d->sink ? d->sink->write(d->sink->opaque, rows, n_rows, err) : AE_OK;
}

static void lose(void *opaque, uint32_t index, const char *why)
{
    decoding *d = opaque;

    d->n_lost++;
    d->options->lost(d->options->opaque, index, why);
}

static void show(void *opaque, double done)
{
    const decoding *d = opaque;

    if (d->options->progress)
        d->options->progress(d->options->opaque, done);
}

static ae_status decode_samples(decoding *d, const ae_item *item, ae_error *err)
{
    const aecfile_options *o = d->options;
    ae_samples_options options = {.threads = o->threads, .x = o->x, .y = o->y, .width = o->width, .height = o->height, .preview = o->preview,
                                  .cancel = &cli_cancel, .opaque = d, .progress = show, .lost = o->lost ? lose : NULL};
    ae_tile_source source = {d, read_tile};
    ae_row_sink sink = {d, write_rows};

    return ae_samples_decode(&item->info, &options, &source, &sink, err);
}

/* The whole of a packed item, of which a part may be wanted. */
static ae_status decode_packed(decoding *d, const ae_item *item, ae_error *err)
{
    const aecfile_options *o = d->options;
    uint64_t w = o->width ? o->width : item->info.width, h = o->width ? o->height : item->info.height;
    size_t row = ae_row_bytes(&item->info), sample = row / (size_t)item->info.width;
    uint8_t *samples;
    ae_status st;

    if (o->preview)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "a packed item is too small for a preview");
    if (o->x > item->info.width || w > item->info.width - o->x || o->y > item->info.height || h > item->info.height - o->y)
        return ae_fail(err, AE_ERR_ARGUMENT, "a region outside the picture, which has %llu x %llu pixels",
                       (unsigned long long)item->info.width, (unsigned long long)item->info.height);
    if (!(samples = ae_alloc((size_t)item->info.height, row)))
        return ae_fail(err, AE_ERR_NOMEM, "a packed item");
    st = ae_item_unpack(d->reader, samples, err);
    for (uint64_t y = 0; y < h && st == AE_OK; y++)
        st = write_rows(d, samples + (o->y + y) * row + o->x * sample, 1, err);
    ae_free(samples);
    return st;
}

ae_status aecfile_decode(aecfile *f, const ae_item *item, const aecfile_options *o, const ae_row_sink *sink, bool *checked, ae_error *err)
{
    ae_signal_info result = aecfile_result(item, o);
    decoding d = {.options = o, .sink = sink, .row_bytes = ae_row_bytes(&result)};
    uint8_t want[16], got[16];
    ae_status st;

    *checked = false;
    if ((st = ae_item_open(f->container, item, &d.reader, err)) != AE_OK)
        return st;
    if (!item->packed && !o->width && !o->preview && ae_item_hash(d.reader, want) && !(d.hash = ae_sample_hash_create())) {
        st = ae_fail(err, AE_ERR_NOMEM, "a hash");
        goto done;
    }
    if (item->packed)
        st = decode_packed(&d, item, err);
    else if (item->coding == AE_ITEM_SAMPLES)
        st = decode_samples(&d, item, err);
    else
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "coded by a network");
    if (st == AE_OK && d.hash && !d.n_lost) {
        ae_sample_hash_get(d.hash, got);
        *checked = memcmp(got, want, 16) == 0;
        if (!*checked)
            st = ae_fail(err, AE_ERR_CHECKSUM, "the samples are not those that were stored");
    }
    *checked = st == AE_OK && (*checked || item->packed);
done:
    ae_sample_hash_free(d.hash);
    ae_item_free(d.reader);
    return st;
}
