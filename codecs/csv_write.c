/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tables written: as their metadata say that they were (csv_form.c), else with commas or
 * tabulators, points, and as many digits as bring the number back. */
#include "csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct writing {
    ae_sink *sink;
    aei_csv_form form;
    uint64_t n_rows; /* written */
} writing;

void aei_csv_accepts(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

static ae_status put(const writing *w, const void *text, size_t n, ae_error *err)
{
    return w->sink->write(w->sink->opaque, text, n, err);
}

static ae_status put_cell(const writing *w, const char *text, bool quoted, ae_error *err)
{
    ae_status st;

    if (!quoted && !strpbrk(text, "\"\n\r") && !strchr(text, w->form.separator))
        return put(w, text, strlen(text), err);
    st = put(w, "\"", 1, err);
    for (; *text && st == AE_OK; text++)
        st = put(w, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1, err);
    return st == AE_OK ? put(w, "\"", 1, err) : st;
}

static ae_status put_end(const writing *w, bool of_line, ae_error *err)
{
    return of_line ? put(w, w->form.crlf ? "\r\n" : "\n", w->form.crlf ? 2 : 1, err)
                   : put(w, &w->form.separator, 1, err);
}

static ae_status put_names(const writing *w, const ae_meta *meta, uint64_t n_columns, ae_error *err)
{
    uint64_t n = 0;
    ae_status st = AE_OK;

    for (size_t i = 0; i < meta->n_items; i++)
        n += meta->items[i].kind == AE_META_TEXT && strcmp(meta->items[i].key, "Column") == 0;
    if (n != n_columns)
        return AE_OK;
    for (size_t i = 0; i < meta->n_items && st == AE_OK; i++) {
        const ae_meta_item *m = &meta->items[i];

        if (m->kind != AE_META_TEXT || strcmp(m->key, "Column") != 0)
            continue;
        if ((st = put_cell(w, (const char *)m->value, w->form.names_quoted, err)) == AE_OK)
            st = put_end(w, !--n, err);
    }
    return st;
}

ae_status aei_csv_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                         const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    uint64_t n_columns = info->width * info->channels;
    bool tabs = strcmp(writer->codec->name, "tsv") == 0;
    writing *w = ae_alloc(1, sizeof(*w));
    ae_status st;

    (void)options;
    if (!w)
        return ae_fail(err, AE_ERR_NOMEM, "CSV writer");
    w->sink = sink;
    st = n_columns <= UINT32_MAX ? aei_csv_take(&w->form, meta, (uint32_t)n_columns, err)
                                 : ae_fail(err, AE_ERR_LIMIT, "CSV: too many columns");
    w->form.separator = tabs ? '\t' : w->form.separator;
    if (st == AE_OK && w->form.mark)
        st = put(w, "\xef\xbb\xbf", 3, err);
    if (st == AE_OK)
        st = put_names(w, meta, n_columns, err);
    writer->state = w;
    if (st != AE_OK)
        aei_csv_abandon(writer);
    return st;
}

/* What is missing is an empty cell, unless the table says otherwise; the only one of a line is
 * quoted, since an empty line is none. */
static ae_status put_value(const writing *w, ae_sample sample, double v, uint32_t k, bool only,
                           ae_error *err)
{
    static const aei_csv_column plain = {.kind = 'n'};
    const aei_csv_column *c = w->form.columns ? &w->form.columns[k] : &plain;
    char text[AEI_CSV_CELL];

    if (isnan(v))
        return put_cell(w, w->form.missing, only && !*w->form.missing, err);
    if (c->kind == 'w' && v >= 0 && v < c->n_known && v == floor(v))
        return put_cell(w, c->words[(uint32_t)v], c->quoted, err);
    aei_csv_cell(c, v, sample == AE_F64, w->form.decimal, text);
    return put_cell(w, text, c->quoted && c->kind != 'w', err);
}

ae_status aei_csv_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    writing *w = writer->state;
    const ae_sample sample = writer->info.sample;
    size_t width = (size_t)writer->info.width * writer->info.channels;
    ae_status st = AE_OK;

    for (uint32_t y = 0; y < n_rows; y++) {
        w->n_rows++;
        for (size_t k = 0; k < width && st == AE_OK; k++) {
            st = put_value(w, sample, ae_sample_number(sample, rows, y * width + k), (uint32_t)k,
                           width == 1, err);
            if (st == AE_OK &&
                (k + 1 < width || !w->form.unended || w->n_rows < writer->info.height))
                st = put_end(w, k + 1 == width, err);
        }
    }
    return st;
}

ae_status aei_csv_finish(ae_writer *writer, ae_error *err)
{
    (void)err;
    aei_csv_abandon(writer);
    return AE_OK;
}

void aei_csv_abandon(ae_writer *writer)
{
    writing *w = writer->state;

    if (w)
        aei_csv_free(&w->form);
    ae_free(w);
    writer->state = NULL;
}
