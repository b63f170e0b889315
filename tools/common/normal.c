/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Codes of normal items are taken for a normal distribution, whose covariance is factorised
 * (Cholesky) with a little added to its diagonal; up to WIDEST numbers it is kept whole, beyond
 * that its diagonal alone. Quantiles of the scores of the same items give thresholds. As bytes, all
 * is of fixed width, little-endian, and checked when read. */
#include "common/normal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double normal_shares[NORMAL_SHARES] = {0,    0.25, 0.5,   0.75,  0.9,   0.95,
                                             0.98, 0.99, 0.995, 0.998, 0.999, 1};

enum {
    VERSION = 1,
    WIDEST = 512, /* codes whose covariance is kept whole */
    HEAD = 16 + NORMAL_NAME + 8,
    TABLE = 8 * NORMAL_SHARES * (1 + NORMAL_WAYS)
};

static size_t n_factor(const normal_record *n)
{
    return n->full ? n->width * (n->width + 1) / 2 : n->width;
}

static ae_status make_room(normal_record *n, ae_error *err)
{
    n->full = n->width <= WIDEST;
    n->mean = ae_alloc(n->width + n_factor(n), sizeof(*n->mean));
    n->factor = n->mean + n->width;
    return n->mean ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a covariance of %zu latents", n->width);
}

void normal_free(normal_record *n)
{
    ae_free(n->mean);
    *n = (normal_record){0};
}

/* A little of the mean variance on the diagonal keeps latents that hardly vary from deciding
 * everything. */
static void factorise(const normal_record *n, double *c)
{
    size_t w = n->width;
    double trace = 0;

    for (size_t i = 0; i < w; i++)
        trace += c[n->full ? i * (i + 1) / 2 + i : i] / (double)w;
    for (size_t i = 0; i < w; i++)
        c[n->full ? i * (i + 1) / 2 + i : i] += 1e-3 * trace + 1e-12;
    for (size_t i = 0; i < w && !n->full; i++)
        c[i] = sqrt(c[i]);
    for (size_t i = 0; i < w && n->full; i++) {
        double *row = c + i * (i + 1) / 2;

        for (size_t j = 0; j <= i; j++) {
            const double *above = c + j * (j + 1) / 2;
            double sum = row[j];

            for (size_t k = 0; k < j; k++)
                sum -= row[k] * above[k];
            row[j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / above[j];
        }
    }
}

/* |L^-1 (x - mean)|^2 by forward substitution. */
static double distance(const normal_record *n, const float *x, double *work)
{
    const float *row = n->factor;
    double sum = 0;

    for (size_t i = 0; i < n->width; i++) {
        double v = (double)x[i] - (double)n->mean[i];

        for (size_t k = 0; n->full && k < i; k++)
            v -= (double)row[k] * work[k];
        work[i] = v / (double)row[n->full ? i : 0];
        sum += work[i] * work[i];
        row += n->full ? i + 1 : 1;
    }
    return sum;
}

double normal_score(const normal_record *n, normal_by by, const float *code, double error,
                    double *work)
{
    double score = by != NORMAL_LATENT ? error / n->error : 0;

    return score + (by != NORMAL_ERROR ? distance(n, code, work) / (double)n->width : 0);
}

double normal_threshold(const normal_record *n, normal_by by, double share)
{
    const double *q = n->quantiles[by];
    size_t i = 1;

    while (i + 1 < NORMAL_SHARES && normal_shares[i] < share)
        i++;
    return q[i - 1] + (q[i] - q[i - 1]) * (fmin(share, 1) - normal_shares[i - 1]) /
                          (normal_shares[i] - normal_shares[i - 1]);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x < y ? -1 : x > y;
}

void normal_rank(normal_record *n, normal_by by, float *scores, size_t n_scores)
{
    qsort(scores, n_scores, sizeof(*scores), by_value);
    for (size_t k = 0; k < NORMAL_SHARES; k++) {
        double at = normal_shares[k] * (double)(n_scores - 1), below = floor(at);
        size_t first = (size_t)below, second = first + 1 < n_scores ? first + 1 : first;

        n->quantiles[by][k] = (double)scores[first] +
                              (at - below) * (double)(scores[second] - scores[first]);
    }
}

static void measure(normal_record *n, normal_by by, const matrix *codes, const float *errors,
                    float *scores, double *work)
{
    for (size_t i = 0; i < codes->n; i++)
        scores[i] = (float)normal_score(n, by, codes->values + i * codes->width, (double)errors[i],
                                        work);
    normal_rank(n, by, scores, codes->n);
}

static void add_covariance(const normal_record *n, const matrix *codes, double *mean, double *c)
{
    size_t w = n->width;

    for (size_t i = 0; i < codes->n; i++)
        for (size_t k = 0; k < w; k++)
            mean[k] += (double)codes->values[i * w + k] / (double)codes->n;
    for (size_t i = 0; i < codes->n; i++)
        for (size_t k = 0; k < w; k++) {
            const float *x = codes->values + i * w;
            double d = ((double)x[k] - mean[k]) / (double)codes->n;

            if (!n->full)
                c[k] += d * ((double)x[k] - mean[k]);
            for (size_t j = 0; n->full && j <= k; j++)
                c[k * (k + 1) / 2 + j] += d * ((double)x[j] - mean[j]);
        }
}

ae_status normal_learn(const char *layer, const matrix *codes, const float *errors,
                       normal_record *out, ae_error *err)
{
    double *work = NULL;
    float *scores = NULL;
    ae_status st;

    *out = (normal_record){.width = codes->width};
    if (codes->n < 2)
        return ae_fail(err, AE_ERR_ARGUMENT, "%zu normal items: what varies takes two or more",
                       codes->n);
    for (size_t i = 0; i < codes->n * codes->width; i++)
        if (!isfinite(codes->values[i]))
            return ae_fail(err, AE_ERR_ARGUMENT, "item %zu: its latents are not finite",
                           i / codes->width);
    for (size_t i = 0; i < codes->n; i++)
        out->error += (double)errors[i] / (double)codes->n;
    if (!isfinite(out->error))
        return ae_fail(err, AE_ERR_ARGUMENT, "normal items whose error is not finite");
    out->error = fmax(out->error, 1e-12);
    strncpy(out->layer, layer, sizeof(out->layer) - 1);
    if ((st = make_room(out, err)) != AE_OK)
        return st;
    work = ae_alloc(2 * out->width + n_factor(out), sizeof(*work));
    scores = ae_alloc(codes->n, sizeof(*scores));
    if (work && scores) {
        double *mean = work + out->width, *c = mean + out->width;

        add_covariance(out, codes, mean, c);
        factorise(out, c);
        for (size_t k = 0; k < out->width; k++)
            out->mean[k] = (float)mean[k];
        for (size_t k = 0; k < n_factor(out); k++)
            out->factor[k] = (float)c[k];
        for (normal_by by = 0; by < NORMAL_WAYS; by++)
            measure(out, by, codes, errors, scores, work);
    } else {
        st = ae_fail(err, AE_ERR_NOMEM, "%zu scores", codes->n);
        normal_free(out);
    }
    ae_free(work);
    ae_free(scores);
    return st;
}

/* ---- as bytes ---- */

static void put(uint8_t **at, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        *(*at)++ = (uint8_t)(v >> 8 * i);
}

static uint64_t get(const uint8_t **at, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++)
        v |= (uint64_t) * (*at)++ << 8 * i;
    return v;
}

static void put_double(uint8_t **at, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, 8);
    put(at, bits, 8);
}

static double get_double(const uint8_t **at)
{
    uint64_t bits = get(at, 8);
    double v;

    memcpy(&v, &bits, 8);
    return v;
}

ae_status normal_pack(const normal_record *n, uint8_t **bytes, size_t *n_bytes, ae_error *err)
{
    uint8_t *at;

    *n_bytes = HEAD + TABLE + 4 * (n->width + n_factor(n));
    if (!(*bytes = at = ae_alloc(*n_bytes, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a record of %zu bytes", *n_bytes);
    put(&at, VERSION, 4);
    put(&at, n->width, 4);
    put(&at, n->full, 4);
    put(&at, NORMAL_SHARES, 4);
    memcpy(at, n->layer, NORMAL_NAME);
    at += NORMAL_NAME;
    put_double(&at, n->error);
    for (size_t k = 0; k < NORMAL_SHARES; k++)
        put_double(&at, normal_shares[k]);
    for (size_t by = 0; by < NORMAL_WAYS; by++)
        for (size_t k = 0; k < NORMAL_SHARES; k++)
            put_double(&at, n->quantiles[by][k]);
    for (size_t k = 0; k < n->width + n_factor(n); k++) {
        uint32_t bits;

        memcpy(&bits, &n->mean[k], 4);
        put(&at, bits, 4);
    }
    return AE_OK;
}

/* Numbers behind the head. */
static bool read_numbers(const uint8_t *at, normal_record *n)
{
    const float *factor = n->factor;
    bool good;

    n->error = get_double(&at);
    good = n->error > 0 && isfinite(n->error);
    for (size_t k = 0; k < NORMAL_SHARES; k++)
        good = good && get_double(&at) == normal_shares[k];
    for (size_t by = 0; by < NORMAL_WAYS; by++)
        for (size_t k = 0; k < NORMAL_SHARES; k++) {
            n->quantiles[by][k] = get_double(&at);
            good = good && isfinite(n->quantiles[by][k]) &&
                   (!k || n->quantiles[by][k] >= n->quantiles[by][k - 1]);
        }
    for (size_t k = 0; k < n->width + n_factor(n); k++) {
        uint32_t bits = (uint32_t)get(&at, 4);

        memcpy(&n->mean[k], &bits, 4);
        good = good && isfinite(n->mean[k]);
    }
    for (size_t i = 0; i < n->width; factor += n->full ? i + 1 : 1, i++)
        good = good && factor[n->full ? i : 0] > 0;
    return good;
}

ae_status normal_unpack(const void *bytes, size_t n_bytes, normal_record *out, ae_error *err)
{
    const uint8_t *at = bytes;
    uint64_t version, full, shares;
    ae_status st;

    *out = (normal_record){0};
    if (n_bytes < HEAD + TABLE)
        return ae_fail(err, AE_ERR_MALFORMED, "what is normal: cut off after %zu bytes", n_bytes);
    version = get(&at, 4);
    out->width = get(&at, 4);
    full = get(&at, 4);
    shares = get(&at, 4);
    if (version != VERSION || shares != NORMAL_SHARES)
        return ae_fail(err, version > VERSION ? AE_ERR_TOO_NEW : AE_ERR_MALFORMED,
                       "what is normal: version %llu, %llu quantiles", (unsigned long long)version,
                       (unsigned long long)shares);
    out->full = full;
    memcpy(out->layer, at, NORMAL_NAME);
    at += NORMAL_NAME;
    if (!out->width || full != (out->width <= WIDEST) || out->layer[NORMAL_NAME - 1] ||
        n_bytes != HEAD + TABLE + 4 * (out->width + n_factor(out)))
        st = ae_fail(err, AE_ERR_MALFORMED, "what is normal: %zu bytes for codes of %zu numbers",
                     n_bytes, out->width);
    else if ((st = make_room(out, err)) == AE_OK && !read_numbers(at, out))
        st = ae_fail(err, AE_ERR_MALFORMED, "what is normal: its numbers are damaged");
    if (st != AE_OK)
        normal_free(out);
    return st;
}
