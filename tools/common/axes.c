/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Eigenvectors of the covariance by Jacobi's rotations, each of which makes one element off the
 * diagonal zero (Golub & Van Loan 2013, 8.5): slow for large matrices, exact for small ones, and
 * short. */
#include "common/axes.h"

#include <math.h>
#include <string.h>

enum { SWEEPS = 30, WIDEST = 256 };

void axes_free(axes *a)
{
    ae_free(a->mean);
    *a = (axes){0};
}

static void covariance(const matrix *m, axes *a, double *c)
{
    size_t w = m->width;
    bool whole = !a->own;

    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < w; k++)
            a->mean[k] += (double)m->values[i * w + k] / (double)m->n;
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < w; k++) {
            double d = ((double)m->values[i * w + k] - a->mean[k]) / (double)m->n;

            for (size_t j = whole ? 0 : k; j <= k; j++)
                c[whole ? k * w + j : k] += d * ((double)m->values[i * w + j] - a->mean[j]);
        }
    for (size_t k = 0; whole && k < w; k++)
        for (size_t j = k + 1; j < w; j++)
            c[k * w + j] = c[j * w + k];
}

/* Rows p and q of a matrix turned by an angle. */
static void turn(double *p, double *q, size_t n, double cosine, double sine)
{
    for (size_t k = 0; k < n; k++) {
        double x = p[k], y = q[k];

        p[k] = cosine * x - sine * y;
        q[k] = sine * x + cosine * y;
    }
}

static void rotate(double *c, double *axis, size_t w, size_t p, size_t q)
{
    double theta = (c[q * w + q] - c[p * w + p]) / (2 * c[p * w + q]);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1)),
           cosine = 1 / sqrt(t * t + 1), sine = t * cosine;

    turn(c + p * w, c + q * w, w, cosine, sine);
    for (size_t k = 0; k < w; k++) {
        double x = c[k * w + p], y = c[k * w + q];

        c[k * w + p] = cosine * x - sine * y;
        c[k * w + q] = sine * x + cosine * y;
    }
    turn(axis + p * w, axis + q * w, w, cosine, sine);
}

static void diagonalise(double *c, double *axis, size_t w)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0, on = 0;

        for (size_t p = 0; p < w; p++)
            for (size_t q = 0; q < w; q++)
                *(p == q ? &on : &off) += c[p * w + q] * c[p * w + q];
        if (off <= 1e-20 * on)
            break;
        for (size_t p = 0; p < w; p++)
            for (size_t q = p + 1; q < w; q++)
                if (c[p * w + q] * c[p * w + q] > 1e-24 * on / (double)(w * w))
                    rotate(c, axis, w, p, q);
    }
}

/* By falling variance. */
static void sort(axes *a, double *spare)
{
    size_t w = a->width;

    for (size_t i = 0; i < w; i++) {
        size_t most = i;
        double v;

        for (size_t k = i + 1; k < w; k++)
            most = a->variance[k] > a->variance[most] ? k : most;
        if (most == i)
            continue;
        v = a->variance[i];
        a->variance[i] = a->variance[most];
        a->variance[most] = v;
        memcpy(spare, a->axis + i * w, w * sizeof(*spare));
        memcpy(a->axis + i * w, a->axis + most * w, w * sizeof(*spare));
        memcpy(a->axis + most * w, spare, w * sizeof(*spare));
    }
}

ae_status axes_find(const matrix *rows, axes *out, ae_error *err)
{
    size_t w = rows->width, n = w <= WIDEST ? w * w : w;
    double *c = ae_alloc(n, sizeof(*c));

    *out = (axes){.width = w, .own = w > WIDEST, .mean = ae_alloc(2 * w + n, sizeof(*out->mean))};
    if (!c || !out->mean) {
        ae_free(c);
        axes_free(out);
        return ae_fail(err, AE_ERR_NOMEM, "axes of %zu numbers", w);
    }
    out->variance = out->mean + w;
    covariance(rows, out, c);
    if (!out->own) {
        out->axis = out->variance + w;
        for (size_t k = 0; k < w; k++)
            out->axis[k * w + k] = 1;
        diagonalise(c, out->axis, w);
    }
    for (size_t k = 0; k < w; k++)
        out->variance[k] = fmax(c[out->own ? k : k * w + k], 0);
    if (!out->own)
        sort(out, c);
    ae_free(c);
    return AE_OK;
}

void axes_place(const axes *a, const float *row, double *place)
{
    for (size_t k = 0; k < a->width; k++) {
        double sum = a->own ? (double)row[k] - a->mean[k] : 0;

        for (size_t c = 0; !a->own && c < a->width; c++)
            sum += a->axis[k * a->width + c] * ((double)row[c] - a->mean[c]);
        place[k] = sum;
    }
}
