/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Labels come from files of numbers, through the library's adapters, or from text: then the last
 * cell of each line counts, as spreadsheets write them, quoted or not. There must be exactly one
 * for each item, since a label too many or too few would move all behind it. */
#include "labels.h"

#include <stdio.h>
#include <string.h>

#include "ae/files.h"

static ae_status load_numbers(ae_reader *reader, size_t n, item_label *out, ae_error *err)
{
    const ae_signal_info *info = &reader->info;
    void *all = NULL;
    ae_status st;

    if (info->width != 1 || info->height != n)
        return ae_fail(err, AE_ERR_MISMATCH, "%llu labels of %llu numbers for %zu items",
                       (unsigned long long)info->height, (unsigned long long)info->width, n);
    if ((st = ae_reader_read_all(reader, &all, err)) != AE_OK)
        return st;
    for (size_t i = 0; i < n; i++)
        snprintf(out[i], AE_LABEL_BYTES, "%.17g", ae_sample_number(info->sample, all, i));
    ae_free(all);
    return AE_OK;
}

/* The last cell of a line, without quotes around it. */
static ae_status take_line(char *line, size_t number, char *label, ae_error *err)
{
    char *cell = line, quote = 0;
    size_t n;

    for (char *c = line; *c; c++) {
        if (*c == '"')
            quote ^= 1;
        else if (!quote && strchr(",;\t", *c))
            cell = c + 1;
    }
    n = strlen(cell);
    if (n > 1 && cell[0] == '"' && cell[n - 1] == '"') {
        char *to = cell;

        for (size_t i = 1; i + 1 < n; i++) {
            *to++ = cell[i];
            i += cell[i] == '"' && cell[i + 1] == '"' && i + 2 < n; /* doubled within quotes */
        }
        *to = 0;
        n = (size_t)(to - cell);
    }
    if (n >= AE_LABEL_BYTES)
        return ae_fail(err, AE_ERR_LIMIT, "line %zu: a label of %zu bytes, at most %d are kept",
                       number, n, AE_LABEL_BYTES - 1);
    memcpy(label, cell, n + 1);
    return AE_OK;
}

static size_t count_lines(const char *text, size_t n)
{
    size_t lines = 0;

    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n' || i + 1 == n;
    return lines;
}

static ae_status load_text(ae_source *source, size_t n, item_label *out, ae_error *err)
{
    uint64_t size = ae_source_size(source);
    char *text = ae_alloc((size_t)size + 1, 1), *at = text;
    size_t lines, header;
    ae_status st = AE_OK;

    if (!text)
        return ae_fail(err, AE_ERR_NOMEM, "labels");
    if (!ae_source_seek(source, 0) || ae_source_read(source, text, (size_t)size) != size)
        st = ae_fail(err, AE_ERR_IO, "cannot be read");
    lines = count_lines(text, (size_t)size);
    header = lines == n + 1;
    if (st == AE_OK && lines != n + header)
        st = ae_fail(err, AE_ERR_MISMATCH, "%zu lines of labels for %zu items", lines, n);
    for (size_t i = 0; i < lines && st == AE_OK; i++) {
        size_t length = strcspn(at, "\n"),
               kept = length && at[length - 1] == '\r' ? length - 1 : length;

        at[kept] = 0;
        if (i >= header)
            st = take_line(at, i + 1, out[i - header], err);
        at += length + 1;
    }
    ae_free(text);
    return st;
}

ae_status labels_load(const char *path, size_t n, item_label **out, ae_error *err)
{
    ae_source *source = NULL;
    ae_reader reader = {0};
    ae_error ignored;
    item_label *labels = ae_alloc(n, sizeof(*labels));
    ae_status st = labels ? ae_source_open(path, &source, err)
                          : ae_fail(err, AE_ERR_NOMEM, "%zu labels", n);

    if (st == AE_OK && ae_reader_open(source, NULL, &reader, &ignored) == AE_OK &&
        reader.info.kind == AE_KIND_TENSOR && strcmp(reader.codec->name, "csv") != 0 &&
        strcmp(reader.codec->name, "tsv") != 0) {
        st = load_numbers(&reader, n, labels, err);
    } else if (st == AE_OK) {
        ae_reader_close(&reader);
        st = load_text(source, n, labels, err);
    }
    ae_reader_close(&reader);
    ae_source_free(source);
    if (st != AE_OK) {
        ae_free(labels);
        labels = NULL;
    }
    *out = labels;
    return st;
}
