/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/progress.h"
#include "common/idx.h"
#include "registry.h"

/* One file: a picture, or the many of an IDX file. */
typedef struct part {
    const cli_input *file;
    size_t first; /* item */
    idx many;     /* n 0: a picture */
} part;

struct dataset {
    ae_dataset items;
    cli_inputs files;
    part *parts;
    size_t n_parts;
};

static bool wanted(void *opaque, const char *path)
{
    const char *dot = strrchr(path, '.');

    (void)opaque;
    if (idx_named(path))
        return true;
    for (const ae_codec *const *c = ae_codecs; dot && *c; c++)
        for (const char *const *s = (*c)->suffixes; (*c)->kind == AE_KIND_IMAGE && *s; s++)
            if (!strcasecmp(*s, dot + 1))
                return true;
    return false;
}

static const part *find_part(const dataset *d, size_t i)
{
    size_t lo = 0, hi = d->n_parts;

    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;

        if (d->parts[mid].first <= i)
            lo = mid;
        else
            hi = mid;
    }
    return &d->parts[lo];
}

static ae_status load_many(const idx *x, size_t k, ae_signal_info *info, void **pixels, ae_error *err)
{
    size_t n = (size_t)x->height * x->width * x->channels;

    *info = (ae_signal_info){.kind = AE_KIND_IMAGE, .sample = AE_U8, .bits = 8, .channels = x->channels, .width = x->width,
                             .height = x->height};
    *pixels = ae_alloc(n, 1);
    if (!*pixels)
        return ae_fail(err, AE_ERR_NOMEM, "%ux%u pixels", x->width, x->height);
    memcpy(*pixels, x->pixels + k * n, n);
    return AE_OK;
}

/* Closes the gaps that the last channel leaves. */
static void drop_alpha(ae_signal_info *info, uint8_t *pixels)
{
    size_t from = ae_sample_bytes(info->sample) * info->channels, to = from - ae_sample_bytes(info->sample);

    for (size_t i = 1; i < info->width * info->height; i++)
        memmove(pixels + i * to, pixels + i * from, to);
    info->channels--;
    info->alpha = false;
}

static ae_status load_picture(const char *path, ae_signal_info *info, void **pixels, ae_error *err)
{
    ae_source *source = NULL;
    ae_reader reader = {0};
    ae_status st;

    if ((st = ae_source_open(path, &source, err)) != AE_OK || (st = ae_reader_open(source, NULL, &reader, err)) != AE_OK)
        goto done;
    *info = reader.info;
    if ((st = ae_reader_expect(&reader, AE_KIND_IMAGE, err)) == AE_OK)
        st = ae_reader_read_all(&reader, pixels, err);
    if (st == AE_OK && info->alpha)
        drop_alpha(info, *pixels);
done:
    ae_reader_close(&reader);
    ae_source_free(source);
    return st;
}

static ae_status load(void *opaque, size_t i, ae_signal_info *info, void **pixels, ae_error *err)
{
    const part *p = find_part(opaque, i);

    *pixels = NULL;
    return p->many.n ? load_many(&p->many, i - p->first, info, pixels, err) : load_picture(p->file->path, info, pixels, err);
}

static const char *name(void *opaque, size_t i)
{
    static _Thread_local char text[512];
    const part *p = find_part(opaque, i);

    if (!p->many.n)
        return p->file->below;
    snprintf(text, sizeof(text), "%s[%zu]", p->file->below, i - p->first);
    return text;
}

static ae_status add_parts(dataset *d, ae_error *err)
{
    d->parts = ae_alloc(d->files.n, sizeof(*d->parts));
    if (!d->parts)
        return ae_fail(err, AE_ERR_NOMEM, "%zu files", d->files.n);
    for (size_t i = 0; i < d->files.n; i++) {
        const cli_input *file = &d->files.items[i];
        ae_error why = {0};
        bool is_idx;
        part *p = &d->parts[d->n_parts];

        *p = (part){.file = file, .first = d->items.n_items};
        if (idx_read(file->path, &p->many, &is_idx, &why) != AE_OK)
            cli_message("%s: %s", file->path, why.message);
        if (is_idx && !p->many.n)
            continue;
        d->items.n_items += is_idx ? p->many.n : 1;
        d->n_parts++;
    }
    return d->items.n_items ? AE_OK : ae_fail(err, AE_ERR_MALFORMED, "no picture among the data");
}

ae_status dataset_open(char **operands, int n_operands, dataset **out, ae_error *err)
{
    cli_walk walk = {.recursive = true, .wanted = wanted};
    dataset *d = ae_alloc(1, sizeof(*d));
    ae_status st = d ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "data set");

    *out = NULL;
    for (int i = 0; i < n_operands && st == AE_OK; i++)
        st = cli_inputs_add(&d->files, operands[i], &walk, err);
    if (st == AE_OK)
        st = add_parts(d, err);
    if (st != AE_OK) {
        dataset_free(d);
        return st;
    }
    d->items.opaque = d;
    d->items.load = load;
    d->items.name = name;
    *out = d;
    return AE_OK;
}

void dataset_free(dataset *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_parts; i++)
        ae_free(d->parts[i].many.pixels);
    ae_free(d->parts);
    cli_inputs_clear(&d->files);
    ae_free(d);
}

const ae_dataset *dataset_items(const dataset *d)
{
    return &d->items;
}

const cli_inputs *dataset_files(const dataset *d)
{
    return &d->files;
}
