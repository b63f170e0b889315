/* SPDX-License-Identifier: BSD-2-Clause */
#include "image/quiet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/levels.h"
#include "image/window.h"

enum {
    EDGE = 16,
    MAX_BLOCKS = 1 << 14, /* spread over the picture */
    GROUPS = 5,           /* at most, of equal size, by brightness */
    LEAST_BLOCKS = 12     /* of a group */
};

/* Shares of the pixels of a block: beyond the first, it is only looked at where others are too few;
 * beyond the second, never. */
static const float much_clipped = 0.05f, most_clipped = 0.5f;
static const float quiet_share = 0.03f;    /* of a group's blocks */
static const float least_deviation = 0.1f; /* below, there is neither noise nor a photograph */
static const float slack = 1.05f;
/* that much do levels change at most from a group to the next */
static const float most_step = 1.3f;

typedef struct block {
    float brightness, deviation[2]; /* of 0..255; luminance, chroma */
    float clipped;
} block;

struct aei_quiet {
    aei_window_format format;
    size_t row_bytes;
    uint32_t n_x, n_y, step; /* every step-th block of every step-th row of blocks */
    uint64_t y;
    float *rows; /* EDGE of them */
    block *blocks;
    size_t n;
    /* once the picture has been read */
    int n_groups;
    float brightness[GROUPS], least[2][GROUPS], middle[2];
};

ae_status aei_quiet_create(aei_quiet **quiet, const ae_signal_info *info, ae_error *err)
{
    aei_quiet *q = *quiet = ae_alloc(1, sizeof(*q));

    if (!q)
        return ae_fail(err, AE_ERR_NOMEM, "a picture's quiet parts");
    q->format = (aei_window_format){.sample = info->sample,
                                    .width = (uint32_t)info->width,
                                    .channels = info->channels,
                                    .colours = 3,
                                    .planes = 3};
    q->n_x = (uint32_t)info->width / EDGE;
    q->n_y = (uint32_t)(info->height / EDGE);
    q->step = 1;
    while ((uint64_t)((q->n_x + q->step - 1) / q->step) * ((q->n_y + q->step - 1) / q->step) >
           MAX_BLOCKS)
        q->step++;
    q->rows = ae_alloc((size_t)info->width * EDGE, 3 * sizeof(float));
    q->blocks = ae_alloc(MAX_BLOCKS, sizeof(block));
    return q->rows && q->blocks
               ? AE_OK
               : ae_fail(err, AE_ERR_NOMEM, "%u rows of a picture", (unsigned)EDGE);
}

void aei_quiet_free(aei_quiet *quiet)
{
    if (!quiet)
        return;
    ae_free(quiet->rows);
    ae_free(quiet->blocks);
    ae_free(quiet);
}

/* Variance of what is left of EDGE x EDGE values beside a plane through them. */
static float beside_plane(const float *v)
{
    const float n = EDGE * EDGE, across = n * (EDGE * EDGE - 1) / 12; /* sum of squares of x */
    float sum = 0, square = 0, by_x = 0, by_y = 0;

    for (int y = 0; y < EDGE; y++)
        for (int x = 0; x < EDGE; x++) {
            float at = v[y * EDGE + x] - v[0];

            sum += at;
            square += at * at;
            by_x += at * ((float)x - (EDGE - 1) / 2.0f);
            by_y += at * ((float)y - (EDGE - 1) / 2.0f);
        }
    square -= sum * sum / n + (by_x * by_x + by_y * by_y) / across;
    return fmaxf(square, 0) / (n - 3);
}

static void measure(aei_quiet *q, const float *corner)
{
    float planes[3][EDGE * EDGE], brightness = 0;
    int clipped = 0;
    block *b = &q->blocks[q->n];

    for (int y = 0; y < EDGE; y++)
        for (int x = 0; x < EDGE; x++) {
            const float *p = corner + 3 * ((size_t)y * q->format.width + (size_t)x);
            float r = 255 * p[0], g = 255 * p[1], blue = 255 * p[2];
            int i = y * EDGE + x;

            clipped += fminf(fminf(r, g), blue) < 0.5f || fmaxf(fmaxf(r, g), blue) > 254.5f;
            planes[0][i] = (r + g + blue) * (1 / 3.0f);
            planes[1][i] = (r - blue) * 0.70710678f;
            planes[2][i] = (r - 2 * g + blue) * 0.40824829f;
            brightness += planes[0][i];
        }
    b->clipped = (float)clipped / (EDGE * EDGE);
    b->brightness = brightness / (EDGE * EDGE);
    b->deviation[0] = sqrtf(beside_plane(planes[0]));
    b->deviation[1] = sqrtf((beside_plane(planes[1]) + beside_plane(planes[2])) / 2);
    q->n += b->clipped <= most_clipped &&
            (b->deviation[0] >= least_deviation || b->deviation[1] >= least_deviation);
}

void aei_quiet_row(aei_quiet *quiet, const void *row)
{
    uint64_t y = quiet->y++;

    if (y / EDGE >= quiet->n_y || y / EDGE % quiet->step)
        return;
    aei_window_load(&quiet->format, row, 0, quiet->format.width,
                    quiet->rows + y % EDGE * quiet->format.width * 3);
    for (uint32_t i = 0; y % EDGE == EDGE - 1 && i < quiet->n_x; i += quiet->step)
        measure(quiet, quiet->rows + (size_t)i * EDGE * 3);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* The deviations settle the order of equals. */
static int compare_rest(const block *x, const block *y)
{
    int by = compare_floats(&x->brightness, &y->brightness);

    for (int k = 0; k < 2 && !by; k++)
        by = compare_floats(&x->deviation[k], &y->deviation[k]);
    return by;
}

static int compare_brightness(const void *a, const void *b)
{
    return compare_rest(a, b);
}

static int compare_clipped(const void *a, const void *b)
{
    const block *x = a, *y = b;
    int by = compare_floats(&x->clipped, &y->clipped);

    return by ? by : compare_rest(x, y);
}

/* The quantile of a deviation over n blocks. */
static float quantile(const block *blocks, size_t n, int k, float share, float *values)
{
    for (size_t i = 0; i < n; i++)
        values[i] = blocks[i].deviation[k];
    qsort(values, n, sizeof(*values), compare_floats);
    return values[(size_t)(share * (float)(n - 1) + 0.5f)];
}

/* false: too little is seen. */
static bool group(aei_quiet *q)
{
    float values[MAX_BLOCKS];
    size_t n = 0;

    if (q->n_groups || q->n < LEAST_BLOCKS)
        return q->n_groups;
    qsort(q->blocks, q->n, sizeof(*q->blocks), compare_clipped);
    while (n < q->n && (n < GROUPS * LEAST_BLOCKS || q->blocks[n].clipped <= much_clipped))
        n++;
    q->n_groups = n / LEAST_BLOCKS < GROUPS ? (int)(n / LEAST_BLOCKS) : GROUPS;
    for (int k = 0; k < 2; k++)
        q->middle[k] = quantile(q->blocks, n, k, 0.5f, values);
    qsort(q->blocks, n, sizeof(*q->blocks), compare_brightness);
    for (int g = 0; g < q->n_groups; g++) {
        size_t at = n * (size_t)g / (size_t)q->n_groups,
               end = n * (size_t)(g + 1) / (size_t)q->n_groups;
        double sum = 0;

        for (size_t i = at; i < end; i++)
            sum += (double)q->blocks[i].brightness;
        q->brightness[g] = (float)(sum / (double)(end - at));
        for (int k = 0; k < 2; k++)
            q->least[k][g] = quantile(q->blocks + at, end - at, k, quiet_share, values);
    }
    return true;
}

/* Linear between the n points, constant beyond. */
static float between(const float *at, const float *value, size_t n, float x)
{
    size_t i = 0;

    if (x <= at[0])
        return value[0];
    while (i + 1 < n && at[i + 1] <= x)
        i++;
    if (i + 1 == n)
        return value[i];
    return value[i] + (value[i + 1] - value[i]) * (x - at[i]) / (at[i + 1] - at[i]);
}

static float told(const float curve[AE_NOISE_BINS], float brightness)
{
    float at[AE_NOISE_BINS];

    for (int i = 0; i < AE_NOISE_BINS; i++)
        at[i] = 255.0f * (float)i / (AE_NOISE_BINS - 1);
    return between(at, curve, AE_NOISE_BINS, brightness) + 1e-3f;
}

static float ramp(float x, float from, float to)
{
    return fminf(fmaxf((x - from) / (to - from), 0), 1);
}

float aei_quiet_unsmoothed(aei_quiet *q, const ae_noise *noise)
{
    float seen[GROUPS];

    if (!group(q))
        return 0;
    for (int g = 0; g < q->n_groups; g++)
        seen[g] = q->least[1][g] / told(noise->chroma_at, q->brightness[g]);
    qsort(seen, (size_t)q->n_groups, sizeof(*seen), compare_floats);
    return ramp(seen[q->n_groups / 2], 0.5f, 0.6f);
}

void aei_quiet_bound(aei_quiet *q, float unsmoothed, ae_noise *noise,
                     float features[AEI_QUIET_FEATURES])
{
    float share = unsmoothed * (1 - ramp(noise->luminance, 4, 8));

    memset(features, 0, AEI_QUIET_FEATURES * sizeof(*features));
    if (!group(q))
        return;
    for (int k = 0; k < 2; k++) {
        float *curve = k ? noise->chroma_at : noise->luminance_at, part[GROUPS], seen[GROUPS];
        double before = 1e-6, after = 1e-6;

        for (int g = 0; g < q->n_groups; g++) {
            float here = told(curve, q->brightness[g]), most = here;

            for (int h = 0; h < q->n_groups; h++)
                most = fminf(most, slack * q->least[k][h] * powf(most_step, fabsf((float)(h - g))));
            part[g] = 1 - share + share * most / here;
            seen[g] = q->least[k][g] / (part[g] * here + 0.01f);
            before += (double)(here * here);
            after += (double)(part[g] * here * part[g] * here);
        }
        for (int i = 0; i < AE_NOISE_BINS; i++)
            curve[i] *= between(q->brightness, part, (size_t)q->n_groups,
                                255.0f * (float)i / (AE_NOISE_BINS - 1));
        qsort(seen, (size_t)q->n_groups, sizeof(*seen), compare_floats);
        features[4 * k] = logf(seen[0] + 0.05f);
        features[4 * k + 1] = logf(seen[q->n_groups / 2] + 0.05f);
        features[4 * k + 2] = logf(q->middle[k] / (float)sqrt(after / q->n_groups) + 0.05f);
        features[4 * k + 3] = (float)(0.5 * log(after / before));
        *(k ? &noise->chroma : &noise->luminance) *= (float)sqrt(after / before);
    }
    noise->white = sqrtf(noise->luminance * noise->luminance +
                         noise->chroma * noise->chroma * (2 / 3.0f));
}
