/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Resampling of rows as they come: a filter widened by the factor where the picture shrinks, first
 * across and then down, with only the rows in memory that the next result needs. */
#include "ae/superres.h"

#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "image/resize.h"

/* Pixel i of the result is the sum of `taps` pixels, from first[i] on. */
typedef struct axis {
    uint32_t n, n_out, taps;
    int64_t *first;
    float *weights;
} axis;

struct ae_rescaler {
    ae_signal_info from, to;
    ae_row_sink sink;
    axis x, y;
    float *in, *out;     /* a row before and after */
    float *ring;         /* y.taps + 1 rows that are filtered along x */
    const float **parts; /* those that a row is made of */
    uint8_t *row;
    uint32_t rows_in, rows_out;
};

static ae_status make_axis(axis *a, ae_filter filter, uint64_t n, uint64_t n_out, ae_error *err)
{
    double *weights;

    if (!n || !n_out || n > 1u << 30 || n_out > 1u << 30)
        return ae_fail(err, AE_ERR_ARGUMENT, "%llu pixels to %llu", (unsigned long long)n,
                       (unsigned long long)n_out);
    *a = (axis){.n = (uint32_t)n,
                .n_out = (uint32_t)n_out,
                .taps = aei_filter_taps(filter, (uint32_t)n, (uint32_t)n_out)};
    a->first = ae_alloc(n_out, sizeof(*a->first));
    a->weights = ae_alloc(n_out, a->taps * sizeof(*a->weights));
    weights = ae_alloc(a->taps, sizeof(*weights));
    for (uint32_t i = 0; a->first && a->weights && weights && i < n_out; i++) {
        a->first[i] = aei_filter_weights(filter, a->n, a->n_out, i, weights);
        for (uint32_t t = 0; t < a->taps; t++)
            a->weights[(size_t)i * a->taps + t] = (float)weights[t];
    }
    ae_free(weights);
    return a->first && a->weights && weights
               ? AE_OK
               : ae_fail(err, AE_ERR_NOMEM, "a filter of %u taps", a->taps);
}

ae_status ae_rescaler_create(ae_filter filter, const ae_signal_info *from, const ae_signal_info *to,
                             const ae_row_sink *sink, ae_rescaler **out, ae_error *err)
{
    ae_rescaler *r = ae_alloc(1, sizeof(*r));
    ae_status st;

    *out = NULL;
    if (!r)
        return ae_fail(err, AE_ERR_NOMEM, "a rescaler");
    r->from = *from;
    r->to = *to;
    r->sink = *sink;
    if ((st = make_axis(&r->x, filter, from->width, to->width, err)) != AE_OK ||
        (st = make_axis(&r->y, filter, from->height, to->height, err)) != AE_OK)
        goto done;
    /* the filter's pixels before the first and after the last lie here, too, and one more */
    r->in = ae_alloc(from->width + 2 * (size_t)r->x.taps + 1, from->channels * sizeof(float));
    r->out = ae_alloc(to->width, to->channels * sizeof(float));
    r->ring = ae_alloc((size_t)r->y.taps + 1, to->width * to->channels * sizeof(float));
    r->parts = ae_alloc(r->y.taps, sizeof(*r->parts));
    r->row = ae_alloc(1, ae_row_bytes(to));
    if (!r->in || !r->out || !r->ring || !r->parts || !r->row || from->channels != to->channels) {
        st = from->channels != to->channels
                 ? ae_fail(err, AE_ERR_ARGUMENT, "%u channels to %u", from->channels, to->channels)
                 : ae_fail(err, AE_ERR_NOMEM, "rows of %llu pixels", (unsigned long long)to->width);
        goto done;
    }
    *out = r;
    r = NULL;
done:
    ae_rescaler_free(r);
    return st;
}

void ae_rescaler_free(ae_rescaler *r)
{
    if (!r)
        return;
    ae_free(r->x.first);
    ae_free(r->x.weights);
    ae_free(r->y.first);
    ae_free(r->y.weights);
    ae_free(r->in);
    ae_free(r->out);
    ae_free(r->ring);
    ae_free(r->parts);
    ae_free(r->row);
    ae_free(r);
}

enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float four __attribute__((vector_size(4 * sizeof(float))));

/* `from` is pixel 0, with mirrored ones on either side. */
AEI_CLONES
static void filter_row(const axis *a, const float *restrict from, float *restrict to, uint32_t c)
{
    for (uint32_t x = 0; x < a->n_out; x++) {
        const float *w = a->weights + (size_t)x * a->taps, *p = from + a->first[x] * c;

        for (uint32_t k = 0; k < c; k++) {
            float sum = 0;

            for (uint32_t t = 0; t < a->taps; t++)
                sum += w[t] * p[(size_t)t * c + k];
            *to++ = sum;
        }
    }
}

/* The same of three channels, all at once; reads one number more. */
AEI_CLONES
static void filter_colours(const axis *a, const float *restrict from, float *restrict to)
{
    for (uint32_t x = 0; x < a->n_out; x++, to += 3) {
        const float *w = a->weights + (size_t)x * a->taps, *p = from + a->first[x] * 3;
        four sum = {0}, v;

        for (uint32_t t = 0; t < a->taps; t++) {
            memcpy(&v, p + (size_t)t * 3, sizeof(v));
            sum += w[t] * v;
        }
        memcpy(to, &sum, 3 * sizeof(*to));
    }
}

/* to = the sum of so many rows, weighted, from the first one on. */
AEI_CLONES
static void sum_rows(float *restrict to, const float *const *rows, const float *weights,
                     uint32_t n_rows, size_t n)
{
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        lanes sum = {0}, v;

        for (uint32_t t = 0; t < n_rows; t++) {
            memcpy(&v, rows[t] + i, sizeof(v));
            sum += weights[t] * v;
        }
        memcpy(to + i, &sum, sizeof(sum));
    }
    for (; i < n; i++) {
        float sum = 0;

        for (uint32_t t = 0; t < n_rows; t++)
            sum += weights[t] * rows[t][i];
        to[i] = sum;
    }
}

static void take_row(ae_rescaler *r, const void *row)
{
    uint32_t c = r->from.channels, n = r->x.n, margin = r->x.taps;
    float *first = r->in + (size_t)margin * c, *to;

    ae_samples_to_f32(r->from.sample, row, first, (size_t)n * c);
    if (r->from.sample == AE_F32)
        for (size_t i = 0; i < (size_t)n * c; i++)
            first[i] = isfinite(first[i]) ? first[i] : 0;
    if (r->from.alpha)
        for (uint32_t x = 0; x < n; x++)
            for (uint32_t k = 0; k + 1 < c; k++)
                first[(size_t)x * c + k] *= first[(size_t)x * c + c - 1];
    for (int64_t i = 1; i <= margin; i++) {
        memcpy(first - i * c, first + (size_t)aei_mirror_whole(-i, n) * c, c * sizeof(*first));
        memcpy(first + (n - 1 + i) * c, first + (size_t)aei_mirror_whole(n - 1 + i, n) * c,
               c * sizeof(*first));
    }
    to = r->ring + r->rows_in % (r->y.taps + 1) * (size_t)r->x.n_out * c;
    if (c == 3)
        filter_colours(&r->x, first, to);
    else
        filter_row(&r->x, first, to, c);
    r->rows_in++;
}

static ae_status give_row(ae_rescaler *r, ae_error *err)
{
    uint32_t c = r->to.channels, y = r->rows_out++;
    size_t n = (size_t)r->x.n_out * c;

    for (uint32_t t = 0; t < r->y.taps; t++)
        r->parts[t] = r->ring + aei_mirror_whole(r->y.first[y] + t, r->y.n) % (r->y.taps + 1) * n;
    sum_rows(r->out, r->parts, r->y.weights + (size_t)y * r->y.taps, r->y.taps, n);
    if (r->to.alpha)
        for (size_t i = 0; i < n; i += c) {
            float alpha = fminf(fmaxf(r->out[i + c - 1], 0), 1);

            for (uint32_t k = 0; k + 1 < c; k++)
                r->out[i + k] = alpha > 0x1p-17f ? r->out[i + k] / r->out[i + c - 1] : 0;
            r->out[i + c - 1] = alpha;
        }
    ae_samples_from_f32(r->to.sample, r->out, r->row, n);
    return r->sink.write(r->sink.opaque, r->row, 1, err);
}

/* Whether all rows are there that row y of the result is made of. */
static bool row_ready(const ae_rescaler *r, uint32_t y)
{
    int64_t last = r->y.first[y] + r->y.taps - 1, before = -1 - r->y.first[y];

    last = last > before ? last : before; /* mirrored at the top */
    return r->rows_in == r->y.n || last < r->rows_in;
}

ae_status ae_rescaler_write(ae_rescaler *r, const void *rows, uint32_t n_rows, ae_error *err)
{
    size_t row_bytes = ae_row_bytes(&r->from);
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < n_rows && st == AE_OK; i++) {
        if (r->rows_in == r->y.n)
            return ae_fail(err, AE_ERR_ARGUMENT, "more than %u rows", r->y.n);
        take_row(r, (const uint8_t *)rows + i * row_bytes);
        while (st == AE_OK && r->rows_out < r->y.n_out && row_ready(r, r->rows_out))
            st = give_row(r, err);
    }
    return st;
}
