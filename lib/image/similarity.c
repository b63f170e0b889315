/* SPDX-License-Identifier: BSD-2-Clause
 *
 * MS-SSIM (Wang et al. 2003) of two pictures that come row by row, on luma. */
#include "ae/similarity.h"

#include <math.h>
#include <string.h>

#include "core/clones.h"

enum { SCALES = 5, WINDOW = 11 };
enum { A, B, AA, BB, AB, MOMENTS };

static const float kernel[WINDOW] = {0.00102838f, 0.00759876f, 0.03600077f, 0.10936069f,
                                     0.21300554f, 0.26601172f, 0.21300554f, 0.10936069f,
                                     0.03600077f, 0.00759876f, 0.00102838f};

typedef struct scale {
    uint32_t width, n_windows; /* in a row */
    uint64_t n_rows;
    /* the moments of the last WINDOW rows, each smoothed along the row: [row][moment][x] */
    float *smooth;
    float *row[MOMENTS];  /* of one row */
    float *waiting[2];    /* of two rows that the next scale makes one of, the first */
    double contrast, all; /* sums over windows: contrast and structure; times luminance */
} scale;

struct ae_similarity {
    float *memory;
    scale scales[SCALES];
};

ae_status ae_similarity_create(uint32_t width, ae_similarity **out, ae_error *err)
{
    ae_similarity *s = *out = ae_alloc(1, sizeof(*s));
    size_t per_pixel = (WINDOW + 1) * MOMENTS + 2;
    float *at;

    if (!s || !(at = s->memory = ae_alloc(2 * (size_t)width + 2, per_pixel * sizeof(float)))) {
        ae_similarity_free(s);
        *out = NULL;
        return ae_fail(err, AE_ERR_NOMEM, "structural similarity of rows of %u pixels", width);
    }
    for (uint32_t k = 0; k < SCALES; k++, width /= 2) {
        scale *c = &s->scales[k];

        *c = (scale){
            .width = width, .n_windows = width < WINDOW ? 0 : width - WINDOW + 1, .smooth = at};
        at += (size_t)WINDOW * MOMENTS * width;
        for (uint32_t m = 0; m < MOMENTS; m++, at += width)
            c->row[m] = at;
        for (uint32_t m = 0; m < 2; m++, at += width)
            c->waiting[m] = at;
    }
    return AE_OK;
}

void ae_similarity_free(ae_similarity *s)
{
    if (s)
        ae_free(s->memory);
    ae_free(s);
}

AEI_CLONES static void smooth_along(const float *restrict row, uint32_t n, float *restrict to)
{
    memset(to, 0, n * sizeof(*to));
    for (uint32_t i = 0; i < WINDOW; i++)
        for (uint32_t x = 0; x < n; x++)
            to[x] += kernel[i] * row[x + i];
}

/* Sums over the windows of which the newest row is the last; `row` is overwritten. */
AEI_CLONES static void compare_windows(scale *c)
{
    static const float C1 = 0.01f * 255 * 0.01f * 255, C2 = 0.03f * 255 * 0.03f * 255;
    float *restrict contrast = c->row[A], *restrict all = c->row[B];
    const float *restrict aa = c->row[AA], *restrict bb = c->row[BB], *restrict ab = c->row[AB];

    for (uint32_t m = 0; m < MOMENTS; m++) {
        memset(c->row[m], 0, c->n_windows * sizeof(float));
        for (uint32_t i = 0; i < WINDOW; i++) {
            const float *restrict from = c->smooth +
                                         ((c->n_rows + i) % WINDOW * MOMENTS + m) * c->width;
            float *restrict to = c->row[m];

            for (uint32_t x = 0; x < c->n_windows; x++)
                to[x] += kernel[i] * from[x];
        }
    }
    for (uint32_t x = 0; x < c->n_windows; x++) {
        float a = contrast[x], b = all[x];

        contrast[x] = (2 * (ab[x] - a * b) + C2) / (aa[x] - a * a + bb[x] - b * b + C2);
        a += 128;
        b += 128;
        all[x] = contrast[x] * ((2 * a * b + C1) / (a * a + b * b + C1));
    }
    for (uint32_t x = 0; x < c->n_windows; x++) {
        c->contrast += (double)contrast[x];
        c->all += (double)all[x];
    }
}

/* The mean of blocks of 2 x 2 is the next scale. */
static void add(ae_similarity *s, uint32_t k, const float *a, const float *b)
{
    scale *c = &s->scales[k];

    if (k + 1 < SCALES && c->n_rows % 2) {
        for (uint32_t x = 0; x < c->width / 2; x++) {
            c->waiting[0][x] = (c->waiting[0][2 * x] + c->waiting[0][2 * x + 1] + a[2 * x] +
                                a[2 * x + 1]) /
                               4;
            c->waiting[1][x] = (c->waiting[1][2 * x] + c->waiting[1][2 * x + 1] + b[2 * x] +
                                b[2 * x + 1]) /
                               4;
        }
        add(s, k + 1, c->waiting[0], c->waiting[1]);
    } else {
        memcpy(c->waiting[0], a, c->width * sizeof(*a));
        memcpy(c->waiting[1], b, c->width * sizeof(*b));
    }
    for (uint32_t x = 0; x < c->width; x++) { /* about 128, which keeps variances precise */
        float va = a[x] - 128, vb = b[x] - 128;

        c->row[A][x] = va;
        c->row[B][x] = vb;
        c->row[AA][x] = va * va;
        c->row[BB][x] = vb * vb;
        c->row[AB][x] = va * vb;
    }
    for (uint32_t m = 0; m < MOMENTS; m++)
        smooth_along(c->row[m], c->n_windows,
                     c->smooth + (c->n_rows % WINDOW * MOMENTS + m) * c->width);
    if (++c->n_rows >= WINDOW)
        compare_windows(c);
}

void ae_similarity_add(ae_similarity *s, const float *a, const float *b)
{
    add(s, 0, a, b);
}

double ae_similarity_value(const ae_similarity *s)
{
    static const double weights[SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
    double product = 1;

    for (uint32_t k = 0; k < SCALES; k++) {
        const scale *c = &s->scales[k];

        if (!c->n_windows || c->n_rows < WINDOW)
            return NAN;
        product *= pow(fmax((k + 1 < SCALES ? c->contrast : c->all) /
                                ((double)c->n_windows * (double)(c->n_rows - WINDOW + 1)),
                            0),
                       weights[k]);
    }
    return product;
}
