/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a JPEG file holds of a picture are numbers of quantisation steps for each frequency of each
 * block. Whatever a denoiser makes of the decoded picture, the truth lies within half a step of
 * those, and most often nearer. So the change that it makes is taken to the file's own blocks and
 * each frequency of it held within a share of its step (Zakhor 1992, projection onto what the file
 * allows). */
#include "ae/denoise.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "image/held.h"
#include "image/jpegloss.h"

enum { EDGE = 8 };
#define SHARE 0.25f /* of a step */
#define LEVEL 20.0f /* told of steps of ... */
/* ... at the low frequencies, as quality 10 has them; measured on Kodak there and at 20 and 40 */
#define STEPS 67.0f
#define GROWTH 0.33f

struct ae_deblock {
    const ae_row_sink *sink;
    ae_signal_info info;
    float limits[EDGE][EDGE];
    float cosines[EDGE][EDGE]; /* frequency, place */
    size_t row_bytes;
    uint8_t *band, *before; /* EDGE rows of the result, and the same as they were */
    uint32_t n_band;
    uint64_t n_written;
    aei_held held; /* what was read and is not yet written */
};

float ae_deblock_level(const uint16_t table[64])
{
    return LEVEL * powf(aei_jpeg_low_steps(table) / STEPS, GROWTH);
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
        aei_held_copy(&d->held, d->n_written, d->n_band, d->before);
        d->n_written += d->n_band;
        aei_held_drop(&d->held, d->n_written);
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
    ae_status st;

    *out = NULL;
    if (info->sample != AE_U8 || (info->channels != 1 && info->channels != 3))
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "pictures of %u channels of this type come from no JPEG file",
                       info->channels);
    d = ae_alloc(1, sizeof(*d));
    if (!d)
        return ae_fail(err, AE_ERR_NOMEM, "deblocking");
    d->sink = sink;
    d->info = *info;
    d->row_bytes = ae_row_bytes(info);
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++) {
            d->limits[i][j] = SHARE * (float)table[i * EDGE + j];
            d->cosines[i][j] = (float)(sqrt((i ? 2 : 1) / 8.0) *
                                       cos(3.14159265358979324 * i * (2 * j + 1) / 16));
        }
    d->band = ae_alloc(EDGE, d->row_bytes);
    d->before = ae_alloc(EDGE, d->row_bytes);
    st = d->band && d->before ? aei_held_create(&d->held, source, err)
                              : ae_fail(err, AE_ERR_NOMEM, "rows of %zu bytes", d->row_bytes);
    if (st != AE_OK) {
        ae_deblock_free(d);
        return st;
    }
    *rows = aei_held_source(&d->held);
    *result = (ae_row_sink){d, write_rows};
    *out = d;
    return AE_OK;
}

void ae_deblock_free(ae_deblock *d)
{
    if (!d)
        return;
    aei_held_free(&d->held);
    ae_free(d->band);
    ae_free(d->before);
    ae_free(d);
}
