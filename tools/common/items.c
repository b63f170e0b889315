/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures and sounds whole, and sets of numbers as pictures, in which what is missing of a line
 * becomes the mean of its column. */
#include "common/items.h"

#include <math.h>
#include <string.h>

/* Closes the gaps that the last channel leaves. */
static void drop_alpha(ae_signal_info *info, uint8_t *pixels)
{
    size_t from = ae_sample_bytes(info->sample) * info->channels,
           to = from - ae_sample_bytes(info->sample);

    for (size_t i = 1; i < info->width * info->height; i++)
        memmove(pixels + i * to, pixels + i * from, to);
    info->channels--;
    info->alpha = false;
}

/* A reader of sound may not know its length beforehand. */
static ae_status read_sound(ae_reader *reader, ae_signal_info *info, void **frames, ae_error *err)
{
    enum { PIECE = 1 << 16 };
    size_t row = ae_row_bytes(info), bytes = 0;
    uint32_t got;

    info->height = 0;
    do {
        size_t done = (size_t)info->height * row;
        ae_status st;

        if (bytes - done < PIECE * row) {
            size_t more = bytes ? 2 * bytes : 16 * PIECE * row;
            void *all = ae_realloc(*frames, bytes, more);

            if (!all)
                return ae_fail(err, AE_ERR_NOMEM, "%llu frames", (unsigned long long)(more / row));
            *frames = all;
            bytes = more;
        }
        if ((st = ae_reader_read_some(reader, (uint8_t *)*frames + done, PIECE, &got, err)) !=
            AE_OK)
            return st;
        info->height += got;
    } while (got);
    if (info->height) {
        void *all = ae_realloc(*frames, bytes, (size_t)info->height * row);

        *frames = all ? all : *frames;
    }
    return AE_OK;
}

ae_status items_read_one(bool sound, const char *path, ae_signal_info *info, void **pixels,
                         ae_error *err)
{
    ae_source *source = NULL;
    ae_reader reader = {0};
    ae_status st;

    if ((st = ae_source_open(path, &source, err)) != AE_OK ||
        (st = ae_reader_open(source, NULL, &reader, err)) != AE_OK)
        goto done;
    *info = reader.info;
    if ((st = ae_reader_expect(&reader, sound ? AE_KIND_AUDIO : AE_KIND_IMAGE, err)) == AE_OK)
        st = sound ? read_sound(&reader, info, pixels, err)
                   : ae_reader_read_all(&reader, pixels, err);
    if (st == AE_OK && info->alpha)
        drop_alpha(info, *pixels);
done:
    ae_reader_close(&reader);
    ae_source_free(source);
    return st;
}

/* What an item of a data set looks like as a picture. */
ae_status items_shape(const ae_signal_info *set, ae_signal_info *item, ae_error *err)
{
    bool samples = set->rank > 1 && (set->sample == AE_U8 || set->sample == AE_U16);

    *item = (ae_signal_info){.kind = AE_KIND_IMAGE,
                             .sample = samples ? set->sample : AE_F32,
                             .channels = 1,
                             .height = 1,
                             .width = set->rank ? set->dims[0] : 1};
    item->bits = (uint32_t)(8 * ae_sample_bytes(item->sample));
    if (set->rank > 1) {
        item->height = set->dims[0];
        item->width = set->dims[1];
    }
    if (set->rank > 2)
        item->channels = set->dims[2];
    if (set->rank > 3 || (item->channels != 1 && item->channels != 3))
        return ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "items of %u dimensions (%u channels): up to three are known, with 1 or 3 channels",
            set->rank, item->channels);
    return AE_OK;
}

/* A number of the k-th item that no network can take: all but finite ones, where it is f32, and
 * those missing of a line, whose column has others. */
static ae_status refuse_number(const ae_signal_info *item, size_t k, size_t i, double v,
                               ae_error *err)
{
    size_t wide = (size_t)item->width * item->channels;

    if (item->height == 1 && item->channels == 1)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "row %zu, column %zu holds %g, which is no finite number of 32 bits", k + 1,
                       i + 1, v);
    return ae_fail(err, AE_ERR_MALFORMED,
                   "item %zu: row %zu, column %zu holds %g, which is no finite number of 32 bits",
                   k, i / wide + 1, i % wide / item->channels + 1, v);
}

/* Numbers of a set become f32; one that is missing of a line becomes the mean of its column. */
static ae_status read_numbers(ae_reader *reader, const ae_signal_info *item, float *to, size_t n,
                              ae_error *err)
{
    size_t width = (size_t)reader->info.width, n_missing = 0;
    uint8_t *row = ae_alloc(1, ae_row_bytes(&reader->info));
    double *sums = ae_alloc(2 * width, sizeof(*sums)), *counts = sums + width;
    bool lines = item->height == 1 && item->channels == 1;
    ae_status st = row && sums ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a row of %zu numbers", width);

    for (size_t k = 0; k < n && st == AE_OK; k++)
        if ((st = ae_reader_read(reader, row, 1, err)) == AE_OK)
            for (size_t i = 0; i < width && st == AE_OK; i++) {
                double v = ae_sample_number(reader->info.sample, row, i);

                to[k * width + i] = (float)v;
                if (!isfinite((float)v) && !(lines && isnan(v)))
                    st = refuse_number(item, k, i, v, err);
                n_missing += isnan(v);
                sums[i] += isnan(v) ? 0 : v;
                counts[i] += !isnan(v);
            }
    for (size_t k = 0; n_missing && k < n && st == AE_OK; k++)
        for (size_t i = 0; i < width; i++)
            if (isnan(to[k * width + i]))
                to[k * width + i] = counts[i] > 0 ? (float)(sums[i] / counts[i]) : 0;
    ae_free(row);
    ae_free(sums);
    return st;
}

ae_status items_read(ae_reader *reader, ae_signal_info *item, uint8_t **rows, size_t *n,
                     ae_error *err)
{
    size_t row;
    ae_status st = items_shape(&reader->info, item, err);

    if (st != AE_OK)
        return st;
    *n = (size_t)reader->info.height;
    row = (size_t)reader->info.width * ae_sample_bytes(item->sample);
    if (item->sample == reader->info.sample && item->sample != AE_F32)
        return ae_reader_read_all(reader, (void **)rows, err);
    if (!(*rows = ae_alloc(*n, row)))
        return ae_fail(err, AE_ERR_NOMEM, "%zu items of %zu bytes", *n, row);
    return read_numbers(reader, item, (float *)(void *)*rows, *n, err);
}
