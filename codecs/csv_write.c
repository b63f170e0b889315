/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tables written: commas or tabulators, points, and as many digits as bring the number back. */
#include "csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void aei_csv_accepts(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

static ae_status write_cell_text(ae_sink *sink, const char *text, char separator, ae_error *err)
{
    bool quote = strpbrk(text, "\"\n\r") || strchr(text, separator);
    ae_status st = quote ? sink->write(sink->opaque, "\"", 1, err) : AE_OK;

    for (; *text && st == AE_OK; text++)
        st = sink->write(sink->opaque, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1, err);
    return st == AE_OK && quote ? sink->write(sink->opaque, "\"", 1, err) : st;
}

static char separator_of(const ae_writer *writer)
{
    return strcmp(writer->codec->name, "tsv") == 0 ? '\t' : ',';
}

ae_status aei_csv_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                         const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    char separator = separator_of(writer);
    uint64_t n = 0;
    ae_status st = AE_OK;

    (void)options;
    writer->state = sink;
    for (size_t i = 0; i < meta->n_items; i++)
        n += meta->items[i].kind == AE_META_TEXT && strcmp(meta->items[i].key, "Column") == 0;
    if (n != info->width * info->channels)
        return AE_OK;
    for (size_t i = 0; i < meta->n_items && st == AE_OK; i++) {
        const ae_meta_item *m = &meta->items[i];

        if (m->kind != AE_META_TEXT || strcmp(m->key, "Column") != 0)
            continue;
        st = write_cell_text(sink, (const char *)m->value, separator, err);
        if (st == AE_OK)
            st = sink->write(sink->opaque, --n ? &separator : "\n", 1, err);
    }
    return st;
}

/* An empty cell for what is missing. The shortest text that brings the value back; f32 need fewer
 * digits. */
static int format_number(const ae_signal_info *info, double v, char text[40])
{
    int digits = info->sample == AE_F64 ? 15 : 6, most = digits + 3;
    double back;

    if (isnan(v))
        return text[0] = 0, 0;
    do {
        snprintf(text, 40, "%.*g", digits, v);
        back = strtod(text, NULL);
    } while (digits++ < most && !(info->sample == AE_F64 ? back == v : (double)(float)back == v));
    return (int)strlen(text);
}

ae_status aei_csv_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    ae_sink *sink = writer->state;
    size_t width = (size_t)writer->info.width * writer->info.channels;
    char text[48];
    ae_status st = AE_OK;

    for (size_t i = 0; i < n_rows * width && st == AE_OK; i++) {
        int n = format_number(&writer->info, ae_sample_number(writer->info.sample, rows, i), text);

        text[n] = (i + 1) % width ? separator_of(writer) : '\n';
        st = sink->write(sink->opaque, text, (size_t)n + 1, err);
    }
    return st;
}

ae_status aei_csv_finish(ae_writer *writer, ae_error *err)
{
    (void)writer;
    (void)err;
    return AE_OK;
}

void aei_csv_abandon(ae_writer *writer)
{
    (void)writer;
}
