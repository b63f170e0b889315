/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Latents, labels and sheets of pictures, from files and to files, by the library's adapters: each
 * row of a file of numbers is taken as doubles, whatever its type. */
#include "common/latents.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Calls back with each row of a data set as numbers. */
static ae_status read_rows(const char *path, void *opaque,
                           ae_status (*take)(void *opaque, const ae_signal_info *info, uint64_t row,
                                             const double *values, ae_error *err),
                           ae_error *err)
{
    ae_source *source = NULL;
    ae_reader reader = {0};
    uint8_t *row = NULL;
    double *values = NULL;
    ae_status st = ae_source_open(path, &source, err);

    if (st == AE_OK && (st = ae_reader_open(source, NULL, &reader, err)) == AE_OK)
        st = ae_reader_expect(&reader, AE_KIND_TENSOR, err);
    if (st == AE_OK && (!(row = ae_alloc(1, ae_row_bytes(&reader.info))) ||
                        !(values = ae_alloc((size_t)reader.info.width, sizeof(*values)))))
        st = ae_fail(err, AE_ERR_NOMEM, "a row");
    for (uint64_t k = 0; st == AE_OK && k < reader.info.height; k++)
        if ((st = ae_reader_read(&reader, row, 1, err)) == AE_OK) {
            for (size_t i = 0; i < (size_t)reader.info.width; i++)
                values[i] = ae_sample_number(reader.info.sample, row, i);
            st = take(opaque, &reader.info, k, values, err);
        }
    ae_reader_close(&reader);
    ae_source_free(source);
    ae_free(row);
    ae_free(values);
    if (st != AE_OK && err) {
        ae_error inner = *err;

        ae_fail(err, st, "%s: %s", path, inner.message);
    }
    return st;
}

static ae_status take_matrix_row(void *opaque, const ae_signal_info *info, uint64_t k,
                                 const double *values, ae_error *err)
{
    matrix *m = opaque;
    ae_status st = k ? AE_OK : matrix_create((size_t)info->height, (size_t)info->width, m, err);

    for (size_t i = 0; st == AE_OK && i < m->width; i++)
        m->values[k * m->width + i] = (float)values[i];
    return st;
}

ae_status matrix_read(const char *path, matrix *out, ae_error *err)
{
    ae_status st;

    *out = (matrix){0};
    if ((st = read_rows(path, out, take_matrix_row, err)) != AE_OK)
        matrix_free(out);
    return st;
}

typedef struct labels {
    uint32_t *values;
    size_t n;
} labels;

static ae_status take_label(void *opaque, const ae_signal_info *info, uint64_t k,
                            const double *values, ae_error *err)
{
    labels *l = opaque;
    double v = values[info->width - 1];

    if (!k && !(l->values = ae_alloc((size_t)info->height, sizeof(*l->values))))
        return ae_fail(err, AE_ERR_NOMEM, "labels");
    if (!(v >= 0 && v < 65536 && v == floor(v)))
        return ae_fail(err, AE_ERR_MALFORMED,
                       "item %llu: %g is no label (a whole number from 0 to 65535)",
                       (unsigned long long)k, v);
    l->values[k] = (uint32_t)v;
    l->n = (size_t)k + 1;
    return AE_OK;
}

ae_status labels_read(const char *path, uint32_t **out, size_t *n, ae_error *err)
{
    labels l = {0};
    ae_status st = read_rows(path, &l, take_label, err);

    if (st != AE_OK) {
        ae_free(l.values);
        l = (labels){0};
    }
    *out = l.values;
    *n = l.n;
    return st;
}

static ae_status blame(const char *path, ae_status st, ae_error *err)
{
    ae_error inner = *err;

    return ae_fail(err, st, "%s: %s", path, inner.message);
}

static ae_status write_all(const char *path, const ae_codec *codec, const ae_signal_info *info,
                           const void *rows, const ae_meta *meta, bool force, ae_error *err)
{
    ae_output *output = NULL;
    ae_encoder encoder = {0};
    ae_status st = cli_output_open(path, NULL, force, &output, err);

    if (st == AE_OK &&
        (st = ae_encoder_open(codec, ae_output_sink(output), info, meta, NULL, &encoder, err)) ==
            AE_OK &&
        (st = ae_encoder_write(&encoder, rows, (uint32_t)info->height, err)) == AE_OK)
        st = ae_encoder_finish(&encoder, err);
    ae_encoder_abandon(&encoder);
    if (st == AE_OK)
        st = ae_output_commit(output, err);
    else
        ae_output_discard(output);
    return st == AE_OK ? st : blame(path, st, err);
}

ae_status matrix_write(const char *path, const matrix *m, const uint32_t *dims, uint32_t rank,
                       const ae_meta *meta, bool force, ae_error *err)
{
    const ae_codec *codec = strcmp(path, "-") == 0 ? ae_codec_for_name("csv")
                                                   : ae_codec_for_path(path);
    ae_signal_info info = {.kind = AE_KIND_TENSOR,
                           .sample = AE_F32,
                           .bits = 32,
                           .channels = 1,
                           .width = m->width,
                           .height = m->n,
                           .rank = rank};

    if (!codec || codec->kind != AE_KIND_TENSOR)
        return ae_fail(err, AE_ERR_ARGUMENT, "%s: numbers are written as .npy, .csv or .tsv", path);
    for (uint32_t i = 0; i < rank; i++)
        info.dims[i] = dims[i];
    return write_all(path, codec, &info, m->values, meta, force, err);
}

ae_status sheet_encode(const ae_codec *codec, ae_sink *sink, const matrix *items, ae_shape shape,
                       uint32_t across, ae_error *err)
{
    uint32_t down = (uint32_t)((items->n + across - 1) / across);
    ae_signal_info info = {.kind = AE_KIND_IMAGE,
                           .sample = AE_U8,
                           .bits = 8,
                           .channels = shape.c,
                           .width = across * (shape.w + 1ull) + 1,
                           .height = down * (shape.h + 1ull) + 1};
    size_t row = (size_t)info.width * shape.c;
    uint8_t *pixels = ae_alloc((size_t)info.height, row);
    ae_encoder encoder = {0};
    ae_status st;

    if (!pixels)
        return ae_fail(err, AE_ERR_NOMEM, "a sheet of %zu items", items->n);
    memset(pixels, 96, (size_t)info.height * row);
    for (size_t k = 0; k < items->n; k++)
        for (uint32_t y = 0; y < shape.h; y++)
            ae_samples_from_f32(AE_U8, items->values + (k * shape.h + y) * shape.w * shape.c,
                                pixels + ((k / across) * (shape.h + 1) + 1 + y) * row +
                                    ((k % across) * (shape.w + 1) + 1) * shape.c,
                                shape.w * shape.c);
    if ((st = ae_encoder_open(codec, sink, &info, NULL, NULL, &encoder, err)) == AE_OK &&
        (st = ae_encoder_write(&encoder, pixels, (uint32_t)info.height, err)) == AE_OK)
        st = ae_encoder_finish(&encoder, err);
    ae_encoder_abandon(&encoder);
    ae_free(pixels);
    return st;
}

ae_status sheet_write(const char *path, const matrix *items, ae_shape shape, uint32_t across,
                      bool force, ae_error *err)
{
    const ae_codec *codec = strcmp(path, "-") == 0 ? ae_codec_for_name("png")
                                                   : ae_codec_for_path(path);
    ae_output *output = NULL;
    ae_status st;

    if (!codec || codec->kind != AE_KIND_IMAGE)
        return ae_fail(err, AE_ERR_ARGUMENT, "%s: a sheet is a picture, such as .png", path);
    if ((st = cli_output_open(path, NULL, force, &output, err)) == AE_OK &&
        (st = sheet_encode(codec, ae_output_sink(output), items, shape, across, err)) == AE_OK) {
        st = ae_output_commit(output, err);
        output = NULL;
    }
    ae_output_discard(output);
    return st == AE_OK ? st : blame(path, st, err);
}
