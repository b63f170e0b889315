/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Of BEGINNINGS attempts, each improved ROUNDS times at most, the one whose rows lie nearest their
 * centres counts. Draws come from a generator with a fixed seed, so that a score is the same every
 * time. */
#include "clusters.h"

#include <math.h>
#include <string.h>

#include "common/options.h"

enum { BEGINNINGS = 4, ROUNDS = 50 };

typedef struct groups {
    const matrix *rows;
    uint32_t k, *of; /* the group of each row */
    float *centres;  /* k rows */
    float *nearest;  /* squared distance of each row to its centre */
    double *sums;    /* k rows, and their numbers */
    uint64_t seed;
} groups;

static double draw(groups *g)
{
    g->seed = g->seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(g->seed >> 11) * 0x1p-53;
}

static float squared_distance(const float *a, const float *b, size_t w)
{
    float sum = 0;

    for (size_t i = 0; i < w; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* Each centre is a row drawn by the square of its distance to the centres before. */
static void begin(groups *g)
{
    size_t n = g->rows->n, w = g->rows->width;

    for (size_t i = 0; i < n; i++)
        g->nearest[i] = INFINITY;
    for (uint32_t c = 0; c < g->k; c++) {
        size_t at = (size_t)(draw(g) * (double)n);
        double all = 0, want;

        for (size_t i = 0; c && i < n; i++)
            all += (double)g->nearest[i];
        want = draw(g) * all;
        if (c && all > 0)
            for (at = 0; at + 1 < n && (want -= (double)g->nearest[at]) > 0; at++)
                ;
        memcpy(g->centres + c * w, g->rows->values + at * w, w * sizeof(float));
        for (size_t i = 0; i < n; i++)
            g->nearest[i] = fminf(g->nearest[i],
                                  squared_distance(g->rows->values + i * w, g->centres + c * w, w));
    }
}

/* One round; the sum of squared distances before the centres move. */
static double improve(groups *g)
{
    size_t n = g->rows->n, w = g->rows->width;
    double total = 0, *counts = g->sums + g->k * w;

    memset(g->sums, 0, g->k * (w + 1) * sizeof(*g->sums));
    for (size_t i = 0; i < n; i++) {
        const float *x = g->rows->values + i * w;
        float best = INFINITY;

        for (uint32_t c = 0; c < g->k; c++) {
            float d = squared_distance(x, g->centres + c * w, w);

            if (d < best) {
                best = d;
                g->of[i] = c;
            }
        }
        total += (double)best;
        counts[g->of[i]]++;
        for (size_t k = 0; k < w; k++)
            g->sums[g->of[i] * w + k] += (double)x[k];
    }
    for (uint32_t c = 0; c < g->k; c++)
        for (size_t k = 0; k < w && counts[c] > 0; k++)
            g->centres[c * w + k] = (float)(g->sums[c * w + k] / counts[c]);
    return total;
}

static double purity_of(const groups *g, const uint32_t *labels, size_t *table)
{
    size_t right = 0;

    memset(table, 0, (size_t)g->k * g->k * sizeof(*table));
    for (size_t i = 0; i < g->rows->n; i++)
        table[g->of[i] * (size_t)g->k + labels[i]]++;
    for (uint32_t c = 0; c < g->k; c++) {
        size_t most = 0;

        for (uint32_t k = 0; k < g->k; k++)
            most = table[c * (size_t)g->k + k] > most ? table[c * (size_t)g->k + k] : most;
        right += most;
    }
    return (double)right / (double)g->rows->n;
}

ae_status clusters_purity(const matrix *rows, const uint32_t *labels, uint32_t n_classes,
                          double *purity, ae_error *err)
{
    size_t n = rows->n, w = rows->width, k = n_classes;
    groups g = {.rows = rows, .k = n_classes, .seed = 1};
    size_t *table = ae_alloc(k * k, sizeof(*table));
    double best = INFINITY;
    ae_status st = AE_OK;

    g.of = ae_alloc(n, sizeof(*g.of));
    g.centres = ae_alloc(k * w, sizeof(*g.centres));
    g.nearest = ae_alloc(n, sizeof(*g.nearest));
    g.sums = ae_alloc(k * (w + 1), sizeof(*g.sums));
    if (!table || !g.of || !g.centres || !g.nearest || !g.sums)
        st = ae_fail(err, AE_ERR_NOMEM, "groups of %zu items", n);
    for (int beginning = 0; beginning < BEGINNINGS && st == AE_OK; beginning++) {
        double before = INFINITY, now;

        begin(&g);
        for (int round = 0; round < ROUNDS && !cli_cancel.requested; round++, before = now)
            if ((now = improve(&g)) >= before * (1 - 1e-6))
                break;
        if ((now = improve(&g)) < best) {
            best = now;
            *purity = purity_of(&g, labels, table);
        }
    }
    ae_free(table);
    ae_free(g.of);
    ae_free(g.centres);
    ae_free(g.nearest);
    ae_free(g.sums);
    return st;
}
