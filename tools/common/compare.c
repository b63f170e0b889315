/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A picture before and after, side by side. Rows of the input wait here until those that were made
 * of them come, and since no engine reads far ahead, few do: neither picture is held whole. */
#include "common/compare.h"

#include <string.h>

#include "common/options.h"

static void release(compare *c)
{
    ae_free(c->waiting);
    ae_free(c->row);
    ae_turner_free(c->turned[0]);
    ae_turner_free(c->turned[1]);
    ae_meta_clear(&c->meta);
    if (c->row_bytes)
        pthread_mutex_destroy(&c->mutex);
    *c = (compare){0};
}

/* White, opaque. */
static void paint_divider(const ae_signal_info *info, uint8_t *to, size_t n_pixels)
{
    if (info->sample == AE_F32)
        for (size_t i = 0; i < n_pixels * info->channels; i++)
            ((float *)to)[i] = 1;
    else
        memset(to, 255, n_pixels * info->channels * ae_sample_bytes(info->sample));
}

/* Turns are done to the pixels, so all that goes along says what colours mean. */
static ae_status keep_meta(compare *c, const ae_meta *meta, ae_error *err)
{
    ae_status st = AE_OK;

    for (size_t i = 0; i < meta->n_items && st == AE_OK; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (item->kind == AE_META_ICC || item->kind == AE_META_COLOUR)
            st = ae_meta_add(&c->meta, item->kind, NULL, item->value, item->n_bytes, err);
    }
    return st;
}

ae_status compare_open(compare *c, const char *path, const char *input, bool force,
                       const ae_reader *like, const ae_signal_info *result, ae_error *err)
{
    const ae_codec *codec = ae_codec_for_path(path);
    ae_signal_info info = *result;
    ae_write_options options = {.like = like};
    unsigned orientation = ae_meta_orientation(&like->meta);
    uint64_t divider;
    ae_status st;

    *c = (compare){0};
    if (!codec)
        return ae_fail(err, AE_ERR_ARGUMENT, "no format that can be written has this suffix");
    if ((st = cli_output_open(path, input, force, &c->output, err)) != AE_OK)
        return st;
    if ((st = keep_meta(c, &like->meta, err)) != AE_OK ||
        (orientation > 1 &&
         ((st = ae_turner_create(result, orientation, &c->turned[0], err)) != AE_OK ||
          (st = ae_turner_create(result, orientation, &c->turned[1], err)) != AE_OK))) {
        compare_abandon(c);
        return st;
    }
    if (orientation > 1)
        info = *ae_turner_info(c->turned[0]);
    c->half_bytes = ae_row_bytes(&info);
    divider = 2 + info.width / 200;
    info.width = 2 * info.width + divider;
    c->row = ae_alloc(1, ae_row_bytes(&info));
    if (!c->row) {
        st = ae_fail(err, AE_ERR_NOMEM, "a row of the comparison");
    } else if ((st = ae_encoder_open(codec, ae_output_sink(c->output), &info, &c->meta, &options,
                                     &c->encoder, err)) == AE_OK) {
        c->row_bytes = ae_row_bytes(result);
        c->divider_bytes = divider * info.channels * ae_sample_bytes(info.sample);
        paint_divider(&info, c->row + c->half_bytes, divider);
        pthread_mutex_init(&c->mutex, NULL);
        return AE_OK;
    }
    compare_abandon(c);
    return st;
}

/* Room for n more rows. The engine reads a bounded number of rows ahead, so this stops growing. */
static ae_status make_room(compare *c, uint32_t n, ae_error *err)
{
    uint32_t capacity = c->n + n + c->capacity / 4;
    uint8_t *waiting;

    if (c->n + n <= c->capacity)
        return AE_OK;
    waiting = ae_alloc(capacity, c->row_bytes);
    if (!waiting)
        return ae_fail(err, AE_ERR_NOMEM, "%u rows for the comparison", capacity);
    for (uint32_t i = 0; i < c->n; i++)
        memcpy(waiting + i * c->row_bytes, c->waiting + (c->first + i) % c->capacity * c->row_bytes,
               c->row_bytes);
    ae_free(c->waiting);
    c->waiting = waiting;
    c->capacity = capacity;
    c->first = 0;
    return AE_OK;
}

ae_status compare_before(compare *c, const void *rows, uint32_t n_rows, ae_error *err)
{
    ae_status st;

    if (c->turned[0]) {
        ae_turner_write(c->turned[0], rows, n_rows);
        return AE_OK;
    }
    pthread_mutex_lock(&c->mutex);
    if ((st = make_room(c, n_rows, err)) == AE_OK)
        for (uint32_t i = 0; i < n_rows; i++)
            memcpy(c->waiting + (c->first + c->n++) % c->capacity * c->row_bytes,
                   (const uint8_t *)rows + i * c->row_bytes, c->row_bytes);
    pthread_mutex_unlock(&c->mutex);
    return st;
}

ae_status compare_after(compare *c, const void *rows, uint32_t n_rows, ae_error *err)
{
    ae_status st = AE_OK;

    if (c->turned[1]) {
        ae_turner_write(c->turned[1], rows, n_rows);
        return AE_OK;
    }
    for (uint32_t i = 0; i < n_rows && st == AE_OK; i++) {
        pthread_mutex_lock(&c->mutex);
        memcpy(c->row, c->waiting + c->first * c->row_bytes, c->row_bytes);
        c->first = (c->first + 1) % c->capacity;
        c->n--;
        pthread_mutex_unlock(&c->mutex);
        memcpy(c->row + c->row_bytes + c->divider_bytes, (const uint8_t *)rows + i * c->row_bytes,
               c->row_bytes);
        st = ae_encoder_write(&c->encoder, c->row, 1, err);
    }
    return st;
}

ae_status compare_finish(compare *c, ae_error *err)
{
    uint64_t height = c->turned[0] ? ae_turner_info(c->turned[0])->height : 0;
    ae_status st = AE_OK;

    for (uint64_t y = 0; y < height && st == AE_OK; y++) {
        ae_turner_read(c->turned[0], y, 1, c->row);
        ae_turner_read(c->turned[1], y, 1, c->row + c->half_bytes + c->divider_bytes);
        st = ae_encoder_write(&c->encoder, c->row, 1, err);
    }
    if (st == AE_OK)
        st = ae_encoder_finish(&c->encoder, err);
    if (st == AE_OK) {
        st = ae_output_commit(c->output, err);
        c->output = NULL;
    }
    compare_abandon(c);
    return st;
}

void compare_abandon(compare *c)
{
    ae_encoder_abandon(&c->encoder);
    ae_output_discard(c->output);
    release(c);
}
