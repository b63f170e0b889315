/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a JPEG file holds of a picture are numbers of quantisation steps for each frequency of each
 * block. Whatever a denoiser makes of the decoded picture, the truth lies within half a step of
 * those, and most often nearer. So the change that it makes is taken to the file's own blocks and
 * each frequency of it held within a share of its step (Zakhor 1992, projection onto what the file
 * allows). */
#include "ae/denoise.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum { EDGE = 8, LEAST_HELD = 64 };
#define SHARE 0.25f /* of a step */
#define LEVEL 20.0f /* told of steps of ... */
/* ... at the low frequencies, as quality 10 has them; measured on Kodak there and at 20 and 40 */
#define STEPS 67.0f
#define GROWTH 0.33f

struct ae_deblock {
    const ae_row_source *source;
    const ae_row_sink *sink;
    ae_signal_info info;
    float limits[EDGE][EDGE];
    float cosines[EDGE][EDGE]; /* frequency, place */
    size_t row_bytes;
    uint8_t *band, *before; /* EDGE rows of the result, and the same as they were */
    uint32_t n_band;
    pthread_mutex_t mutex; /* of what follows: rows are read by one thread and written by another */
    uint8_t *held;         /* those read and not yet written: a ring */
    uint64_t capacity, n_read, n_written;
};

float ae_deblock_level(const uint16_t table[64])
{
    static const uint8_t low[] = {0, 1, 2, 3, 8, 9, 10, 16, 17, 24};
    float sum = 0;

    for (size_t i = 0; i < sizeof(low); i++)
        sum += fminf(table[low[i]], 255);
    return LEVEL * powf(sum / sizeof(low) / STEPS, GROWTH);
}

static uint8_t *held_row(const ae_deblock *d, uint64_t y)
{
    return d->held + y % d->capacity * d->row_bytes;
}

/* Room for n more rows; with the mutex held. */
static ae_status make_room(ae_deblock *d, uint32_t n, ae_error *err)
{
    uint64_t need = d->n_read - d->n_written + n, old = d->capacity;
    uint8_t *larger;

    if (need <= old)
        return AE_OK;
    need += need / 2;
    larger = ae_alloc(need, d->row_bytes);
    if (!larger)
        return ae_fail(err, AE_ERR_NOMEM, "%llu rows of %zu bytes", (unsigned long long)need,
                       d->row_bytes);
    for (uint64_t y = d->n_written; y < d->n_read; y++)
        memcpy(larger + y % need * d->row_bytes, d->held + y % old * d->row_bytes, d->row_bytes);
    ae_free(d->held);
    d->held = larger;
    d->capacity = need;
    return AE_OK;
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n, ae_error *err)
{
    ae_deblock *d = opaque;
    ae_status st = d->source->read(d->source->opaque, rows, n, err);

    if (st != AE_OK)
        return st;
    pthread_mutex_lock(&d->mutex);
    st = make_room(d, n, err);
    for (uint32_t i = 0; i < n && st == AE_OK; i++, d->n_read++)
        memcpy(held_row(d, d->n_read), (const uint8_t *)rows + i * d->row_bytes, d->row_bytes);
    pthread_mutex_unlock(&d->mutex);
    return st;
}

/* a * b, or the transpose of a times b. */
static void multiply(float a[EDGE][EDGE], float b[EDGE][EDGE], bool transposed,
                     float out[EDGE][EDGE])
{
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++) {
            float sum = 0;

            for (int k = 0; k < EDGE; k++)
                sum += (transposed ? a[k][i] : a[i][k]) * b[k][j];
            out[i][j] = sum;
        }
}

static void transpose(float v[EDGE][EDGE])
{
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < i; j++) {
            float t = v[i][j];

            v[i][j] = v[j][i];
            v[j][i] = t;
        }
}

/* v -> C v C^T, or C^T v C */
static void transform(ae_deblock *d, float v[EDGE][EDGE], bool inverse)
{
    float half[EDGE][EDGE];

    multiply(d->cosines, v, inverse, half);
    transpose(half);
    multiply(d->cosines, half, inverse, v);
    transpose(v);
}

static float luma(const uint8_t *p, uint32_t channels)
{
    return channels == 1 ? p[0] : 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
}

/* One block of the band, n_rows x n_columns of it within the picture. */
static void hold_block(ae_deblock *d, uint64_t x, int n_rows, int n_columns)
{
    uint32_t c = d->info.channels;
    float change[EDGE][EDGE], held[EDGE][EDGE];
    bool held_back = false;

    for (int i = 0; i < EDGE; i++)
        /* beyond the picture its edge goes on, as encoders do it */
        for (int j = 0; j < EDGE; j++) {
            int column = j < n_columns ? j : n_columns - 1;
            size_t at = (size_t)(i < n_rows ? i : n_rows - 1) * d->row_bytes +
                        (x + (uint64_t)column) * c;

            change[i][j] = luma(d->band + at, c) - luma(d->before + at, c);
        }
    memcpy(held, change, sizeof(held));
    transform(d, held, false);
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++) {
            float v = fminf(fmaxf(held[i][j], -d->limits[i][j]), d->limits[i][j]);

            held_back = held_back || v != held[i][j];
            held[i][j] = v;
        }
    if (!held_back)
        return;
    transform(d, held, true);
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_columns; j++)
            for (uint32_t k = 0; k < c; k++) {
                uint8_t *p = d->band + (size_t)i * d->row_bytes + (x + (uint64_t)j) * c + k;

                *p = (uint8_t)rintf(fminf(fmaxf((float)*p + held[i][j] - change[i][j], 0), 255));
            }
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    ae_deblock *d = opaque;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < n && st == AE_OK; i++) {
        memcpy(d->band + d->n_band++ * d->row_bytes, (const uint8_t *)rows + i * d->row_bytes,
               d->row_bytes);
        if (d->n_band < EDGE && d->n_written + d->n_band < d->info.height)
            continue;
        pthread_mutex_lock(&d->mutex);
        for (uint32_t k = 0; k < d->n_band; k++)
            memcpy(d->before + k * d->row_bytes, held_row(d, d->n_written + k), d->row_bytes);
        d->n_written += d->n_band;
        pthread_mutex_unlock(&d->mutex);
        for (uint64_t x = 0; x < d->info.width; x += EDGE)
            hold_block(d, x, (int)d->n_band,
                       d->info.width - x < EDGE ? (int)(d->info.width - x) : EDGE);
        st = d->sink->write(d->sink->opaque, d->band, d->n_band, err);
        d->n_band = 0;
    }
    return st;
}

ae_status ae_deblock_create(const uint16_t table[64], const ae_row_source *source,
                            const ae_row_sink *sink, ae_row_source *rows, ae_row_sink *result,
                            ae_deblock **out, ae_error *err)
{
    const ae_signal_info *info = &source->info;
    ae_deblock *d;

    *out = NULL;
    if (info->sample != AE_U8 || (info->channels != 1 && info->channels != 3))
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "pictures of %u channels of this type come from no JPEG file",
                       info->channels);
    d = ae_alloc(1, sizeof(*d));
    if (!d)
        return ae_fail(err, AE_ERR_NOMEM, "deblocking");
    d->source = source;
    d->sink = sink;
    d->info = *info;
    d->row_bytes = ae_row_bytes(info);
    d->capacity = LEAST_HELD;
    pthread_mutex_init(&d->mutex, NULL);
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++) {
            d->limits[i][j] = SHARE * (float)table[i * EDGE + j];
            d->cosines[i][j] = (float)(sqrt((i ? 2 : 1) / 8.0) *
                                       cos(3.14159265358979324 * i * (2 * j + 1) / 16));
        }
    d->held = ae_alloc(d->capacity, d->row_bytes);
    d->band = ae_alloc(EDGE, d->row_bytes);
    d->before = ae_alloc(EDGE, d->row_bytes);
    if (!d->held || !d->band || !d->before) {
        ae_deblock_free(d);
        return ae_fail(err, AE_ERR_NOMEM, "rows of %zu bytes", d->row_bytes);
    }
    *rows = (ae_row_source){*info, d, read_rows};
    *result = (ae_row_sink){d, write_rows};
    *out = d;
    return AE_OK;
}

void ae_deblock_free(ae_deblock *d)
{
    if (!d)
        return;
    ae_free(d->held);
    ae_free(d->band);
    ae_free(d->before);
    pthread_mutex_destroy(&d->mutex);
    ae_free(d);
}
