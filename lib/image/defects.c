/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A pixel stands out by as many times the middle spread of the 24 around it, or .15 of the whole
 * where that is more, as it lies beyond all of them. Pictures have such pixels, too: glints, specks
 * and grain. But there they become rarer step by step, while broken ones stand beyond a gap. So
 * scores are counted, and without a gap nothing is touched; nor where most pixels equal their
 * neighbours, as in what was drawn; nor what is white on a night sky. */
#include "ae/denoise.h"

#include "core/clones.h"
#include "image/banding.h"

#include <math.h>
#include <string.h>

enum {
    STEPS = 8, /* scores, in powers of 1.4 */
    REACH = 2,
    RING = 2 * REACH + 1, /* rows in view */
    N_AROUND = RING * RING - 1,
    MIDDLE = 2, /* the row that is looked at */
    LEAST_EDGE = 32,
    LEAST_PIXELS = 6,      /* so many must be broken */
    GAP = 8,               /* times two: above to just below */
    MOST_LINES = 16384,    /* of more, offsets are not looked for: memory */
    SAMPLES = 1024,        /* of a line */
    STRIP = 32,            /* rows: of large pictures some strips are enough to look for pixels, */
    STRIP_PIXELS = 1 << 21 /* so that they are about so many */
};
#define STEP 1.4f
#define GRAIN 6.0f  /* of 255: spread that counts everywhere */
#define OUTER 0.15f /* of the range of all: letters are few among what is around them */
#define FEWEST 3e-5 /* shares of the pixels: */
#define MOST 1e-3
#define DRAWN 0.3
#define NIGHT 24.0f /* of 255: */
#define CLIPPED 254.5f
#define DARK 0.5

struct ae_defects {
    ae_signal_info info;
    uint32_t colours;
    float *rows[RING];             /* width x colours each, of 255 */
    float *beyond;                 /* a row's */
    uint64_t n_rows;               /* that came */
    uint64_t counts[2][STEPS + 1]; /* of scores from STEP^(k - 1) on; those that are white */
    uint64_t n_seen, n_looked, n_same, n_dark;
    float threshold; /* 0: no broken pixels */
    bool night;
    aei_banding *row_bands, *column_bands;
    const float *row_offsets, *column_offsets; /* NULL: none */
    uint32_t row_stride, column_stride, strip_stride;

    const ae_row_source *source; /* mending: */
    uint8_t *raw[RING];
    uint64_t n_read, n_given;
};

/* ---- looking at a pixel ---- */

static void push_row(ae_defects *d, const void *row)
{
    size_t width = d->info.width, n = width * d->colours;
    float *to = d->rows[0];

    memmove(d->rows, d->rows + 1, (RING - 1) * sizeof(d->rows[0]));
    d->rows[RING - 1] = to;
    if (d->colours == d->info.channels) {
        ae_samples_to_f32(d->info.sample, row, to, n);
    } else {
        size_t bytes = ae_sample_bytes(d->info.sample);

        for (size_t x = 0; x < width; x++)
            ae_samples_to_f32(d->info.sample, (const uint8_t *)row + x * d->info.channels * bytes,
                              to + x * d->colours, d->colours);
    }
    for (size_t i = 0; i < n; i++)
        to[i] *= 255;
}

/* How far each sample lies beyond the eight around it, where that is worth a second look; else 0.
 */
AEI_CLONES
static void glance(const float *restrict above, const float *restrict row,
                   const float *restrict below, uint32_t step, size_t n, float *restrict beyond)
{
    for (size_t i = step; i < n - step; i++) {
        const float *a = above + i, *r = row + i, *b = below + i;
        float low = a[0] < b[0] ? a[0] : b[0], high = a[0] < b[0] ? b[0] : a[0], up, down;

        for (int k = -1; k <= 1; k += 2) {
            int at = k * (int)step;

            low = a[at] < low ? a[at] : low;
            low = b[at] < low ? b[at] : low;
            low = r[at] < low ? r[at] : low;
            high = a[at] > high ? a[at] : high;
            high = b[at] > high ? b[at] : high;
            high = r[at] > high ? r[at] : high;
        }
        up = r[0] - high;
        down = low - r[0];
        beyond[i] = up > down ? up : down;
    }
}

static void sort(float *v, int n)
{
    for (int i = 1; i < n; i++) {
        float t = v[i];
        int k = i;

        for (; k > 0 && v[k - 1] > t; k--)
            v[k] = v[k - 1];
        v[k] = t;
    }
}

/* The score of a sample of the middle row; *median of what is around it. */
static float score(const ae_defects *d, size_t at, float *median)
{
    float v[N_AROUND], value = d->rows[MIDDLE][at], beyond;
    int n = 0;

    for (int y = 0; y < RING; y++)
        for (int x = -REACH; x <= REACH; x++)
            if (y != MIDDLE || x)
                v[n++] = d->rows[y][(ptrdiff_t)at + x * (int)d->colours];
    sort(v, N_AROUND);
    *median = v[N_AROUND / 2];
    beyond = fmaxf(value - v[N_AROUND - 1], v[0] - value);
    if (*median > CLIPPED) /* specks before what is blown out: lace, twigs */
        return 0;
    return v[0] < v[N_AROUND - 1]
               ? beyond / (GRAIN + fmaxf(v[18] - v[5], OUTER * (v[N_AROUND - 1] - v[0])))
               : 0;
}

/* The largest score of a pixel's channels; white: all of them stand out upwards, before a dark
 * ground. */
static float score_pixel(const ae_defects *d, size_t x, float least, bool *white)
{
    float largest = 0, median;

    *white = true;
    for (uint32_t c = 0; c < d->colours; c++) {
        size_t at = x * d->colours + c;
        float s = score(d, at, &median);

        largest = fmaxf(largest, s);
        *white = *white && s > least / 2 && median < NIGHT && d->rows[MIDDLE][at] > median;
    }
    return largest;
}

/* ---- the first pass ---- */

static void look_for_pixels(ae_defects *d)
{
    size_t n = d->info.width * d->colours;

    glance(d->rows[MIDDLE - 1], d->rows[MIDDLE], d->rows[MIDDLE + 1], d->colours, n, d->beyond);
    for (size_t x = REACH; x + REACH < d->info.width; x++) {
        bool candidate = false, white;

        for (uint32_t c = 0; c < d->colours; c++)
            candidate = candidate || d->beyond[x * d->colours + c] > GRAIN / STEP;
        if (candidate) {
            float s = score_pixel(d, x, 1, &white);
            int k = 0;

            for (float t = 1 / STEP; k <= STEPS && s > t; t *= STEP)
                k++;
            if (k)
                d->counts[white][k - 1]++;
        }
    }
    d->n_seen += d->info.width - 2 * REACH;
}

static void look_at_kind(ae_defects *d)
{
    const float *row = d->rows[RING - 1], *last = d->rows[RING - 2];

    for (size_t x = 1; x < d->info.width; x += 3) { /* a third is enough */
        const float *p = row + x * d->colours, *q = last + x * d->colours;
        bool same = true, dark = true;

        for (uint32_t c = 0; c < d->colours; c++) {
            same = same && p[c] == p[(ptrdiff_t)c - (int)d->colours] && p[c] == q[c];
            dark = dark && p[c] < NIGHT;
        }
        d->n_looked++;
        d->n_same += same;
        d->n_dark += dark;
    }
}

static void look_for_bands(ae_defects *d)
{
    const float *row = d->rows[RING - 1], *last = d->rows[RING - 2];
    uint64_t w = d->info.width, h = d->info.height, y = d->n_rows - 1;

    for (uint64_t x = 0; d->row_bands && y && x < w; x += d->row_stride)
        for (uint32_t c = 0; c < d->colours; c++)
            aei_banding_add(d->row_bands, (uint32_t)y, c, (uint32_t)(x * AEI_BANDING_PARTS / w),
                            row[x * d->colours + c] - last[x * d->colours + c]);
    for (uint64_t x = 1; d->column_bands && y % d->column_stride == 0 && x < w; x++)
        for (uint32_t c = 0; c < d->colours; c++)
            aei_banding_add(d->column_bands, (uint32_t)x, c, (uint32_t)(y * AEI_BANDING_PARTS / h),
                            row[x * d->colours + c] - row[(x - 1) * d->colours + c]);
}

ae_status ae_defects_create(const ae_signal_info *info, ae_defects **out, ae_error *err)
{
    ae_defects *d = ae_alloc(1, sizeof(*d));
    bool large = info->width >= LEAST_EDGE && info->height >= LEAST_EDGE, complete;
    ae_status st = AE_OK;

    *out = NULL;
    if (!d)
        return ae_fail(err, AE_ERR_NOMEM, "a search for broken pixels");
    d->info = *info;
    d->colours = info->channels < 3 ? 1 : 3;
    d->beyond = ae_alloc(info->width, d->colours * sizeof(float));
    complete = d->beyond;
    for (int i = 0; i < RING; i++) {
        d->rows[i] = ae_alloc(info->width, d->colours * sizeof(float));
        complete = complete && d->rows[i];
    }
    if (!complete)
        st = ae_fail(err, AE_ERR_NOMEM, "%d rows of %llu pixels", RING,
                     (unsigned long long)info->width);
    if (st == AE_OK && large && info->height <= MOST_LINES)
        st = aei_banding_create((uint32_t)info->height, d->colours, &d->row_bands, err);
    if (st == AE_OK && large && info->width <= MOST_LINES)
        st = aei_banding_create((uint32_t)info->width, d->colours, &d->column_bands, err);
    d->strip_stride = 1 + (uint32_t)(info->width * info->height / STRIP_PIXELS);
    d->row_stride = 1 + (uint32_t)((info->width - 1) / SAMPLES);
    d->column_stride = 1 + (uint32_t)((info->height - 1) / SAMPLES);
    if (st != AE_OK) {
        ae_defects_free(d);
        return st;
    }
    *out = d;
    return AE_OK;
}

void ae_defects_free(ae_defects *d)
{
    if (!d)
        return;
    for (int i = 0; i < RING; i++) {
        ae_free(d->rows[i]);
        ae_free(d->raw[i]);
    }
    ae_free(d->beyond);
    aei_banding_free(d->row_bands);
    aei_banding_free(d->column_bands);
    ae_free(d);
}

void ae_defects_look(ae_defects *d, const void *rows, uint32_t n_rows)
{
    size_t bytes = ae_row_bytes(&d->info);

    if (d->info.width < LEAST_EDGE || d->info.height < LEAST_EDGE)
        return;
    for (uint32_t i = 0; i < n_rows; i++) {
        push_row(d, (const uint8_t *)rows + i * bytes);
        d->n_rows++;
        look_for_bands(d);
        if (d->n_rows / STRIP % d->strip_stride)
            continue;
        if (d->n_rows > 1)
            look_at_kind(d);
        if (d->n_rows >= RING)
            look_for_pixels(d);
    }
}

ae_defects_found ae_defects_settle(ae_defects *d)
{
    ae_defects_found found = {0};
    uint64_t above = 0, least = (uint64_t)(FEWEST * (double)d->n_seen);
    double looked = (double)d->n_looked;
    bool drawn = (double)d->n_same > DRAWN * looked;

    if (drawn || !d->n_seen)
        return found;
    d->night = (double)d->n_dark > DARK * looked;
    least = least > LEAST_PIXELS ? least : LEAST_PIXELS;
    for (int k = STEPS; k > 0; k--) {
        uint64_t below = d->counts[0][k - 1] + (d->night ? 0 : d->counts[1][k - 1]);

        above += d->counts[0][k] + (d->night ? 0 : d->counts[1][k]);
        if (above >= least && 2 * above >= GAP * below &&
            (double)above <= MOST * (double)d->n_seen) {
            d->threshold = powf(STEP, (float)k - 1);
            found.pixels = above * d->strip_stride;
        }
    }
    if (d->row_bands && (found.rows = aei_banding_settle(d->row_bands, &d->row_offsets)) == 0)
        d->row_offsets = NULL;
    if (d->column_bands &&
        (found.columns = aei_banding_settle(d->column_bands, &d->column_offsets)) == 0)
        d->column_offsets = NULL;
    return found;
}

/* ---- the second pass ---- */

/* Copies the median of the samples around over a broken one. */
static void mend_pixels(ae_defects *d, uint8_t *row)
{
    size_t n = d->info.width * d->colours, bytes = ae_sample_bytes(d->info.sample);

    glance(d->rows[MIDDLE - 1], d->rows[MIDDLE], d->rows[MIDDLE + 1], d->colours, n, d->beyond);
    for (size_t x = REACH; x + REACH < d->info.width; x++) {
        bool candidate = false, white;

        for (uint32_t c = 0; c < d->colours; c++)
            candidate = candidate || d->beyond[x * d->colours + c] > GRAIN / STEP;
        if (!candidate || !(score_pixel(d, x, d->threshold, &white) > d->threshold) ||
            (white && d->night))
            continue;
        for (uint32_t c = 0; c < d->colours; c++) {
            float median, v;

            if (score(d, x * d->colours + c, &median) > d->threshold / 2) {
                v = median / 255;
                ae_samples_from_f32(d->info.sample, &v, row + (x * d->info.channels + c) * bytes,
                                    1);
            }
        }
    }
}

static void mend_bands(const ae_defects *d, uint64_t y, uint8_t *row)
{
    size_t bytes = ae_sample_bytes(d->info.sample);

    for (size_t x = 0; x < d->info.width; x++)
        for (uint32_t c = 0; c < d->colours; c++) {
            uint8_t *at = row + (x * d->info.channels + c) * bytes;
            float v;

            ae_samples_to_f32(d->info.sample, at, &v, 1);
            v -= ((d->row_offsets ? d->row_offsets[y * d->colours + c] : 0) +
                  (d->column_offsets ? d->column_offsets[x * d->colours + c] : 0)) /
                 255;
            ae_samples_from_f32(d->info.sample, &v, at, 1);
        }
}

/* Rows wait in a ring until two more have come; above the first and below the last nothing is
 * looked for. */
static ae_status read_mended(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    ae_defects *d = opaque;
    size_t bytes = ae_row_bytes(&d->info);
    ae_status st;

    for (uint32_t i = 0; i < n_rows; i++, d->n_given++) {
        uint8_t *to = (uint8_t *)rows + i * bytes;

        while (d->n_read < d->info.height && d->n_read <= d->n_given + REACH) {
            uint8_t *raw = d->raw[d->n_read % RING];

            if ((st = d->source->read(d->source->opaque, raw, 1, err)) != AE_OK)
                return st;
            push_row(d, raw);
            d->n_read++;
        }
        memcpy(to, d->raw[d->n_given % RING], bytes);
        if (d->threshold > 0 && d->n_given >= REACH && d->n_given + REACH < d->info.height)
            mend_pixels(d, to);
        if (d->row_offsets || d->column_offsets)
            mend_bands(d, d->n_given, to);
    }
    return AE_OK;
}

ae_status ae_defects_mend(ae_defects *d, const ae_row_source *source, ae_row_source *out,
                          ae_error *err)
{
    for (int i = 0; i < RING; i++)
        if (!d->raw[i] && !(d->raw[i] = ae_alloc(1, ae_row_bytes(&d->info))))
            return ae_fail(err, AE_ERR_NOMEM, "%d rows of %zu bytes", RING, ae_row_bytes(&d->info));
    d->source = source;
    d->n_read = d->n_given = 0;
    *out = (ae_row_source){source->info, d, read_mended};
    return AE_OK;
}
