/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Each item has its nearest neighbours, whose shares add up to one: a normal distribution of the
 * distance, so wide that its entropy is that of PERPLEXITY equal neighbours. On the map an item is
 * drawn to those neighbours and pushed away by all items, by Student's distribution with one degree
 * of freedom. */
#include "tsne.h"

#include <math.h>
#include <string.h>

#include "common/options.h"
#include "common/progress.h"

#define PERPLEXITY 30.0
#define THETA 0.6         /* a cell whose width is below this share of its distance counts as one */
#define EXAGGERATION 12.0 /* of the shares at first, so that groups come together */

enum { ROUNDS = 600, EARLY = 200, DEEPEST = 24 };

typedef struct near {
    float distance;
    uint32_t item;
} near;

typedef struct cell {
    double x, y, size; /* its middle and the length of its edge */
    double sum_x, sum_y, count;
    uint32_t inside[4]; /* 0: none */
    bool leaf;          /* what it holds lies at one place, or so it is taken */
} cell;

typedef struct map {
    size_t n, k;
    const near *neighbours; /* k for each item, and */
    const float *shares;
    double *xy, *force, *speed, *gain;
    cell *cells;
    size_t n_cells;
} map;

/* ---- neighbours ---- */

static void insert(near *list, size_t k, near h)
{
    size_t at = k - 1;

    while (at && list[at - 1].distance > h.distance) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = h;
}

static void find_neighbours(const matrix *rows, size_t k, near *all)
{
    size_t w = rows->width;

    for (size_t i = 0; i < rows->n * k; i++)
        all[i] = (near){INFINITY, 0};
    for (size_t i = 0; i < rows->n && !cli_cancel.requested; i++) {
        const float *a = rows->values + i * w;

        for (size_t j = 0; j < i; j++) {
            const float *b = rows->values + j * w;
            float sum = 0;

            for (size_t c = 0; c < w; c++)
                sum += (a[c] - b[c]) * (a[c] - b[c]);
            if (sum < all[i * k + k - 1].distance)
                insert(all + i * k, k, (near){sum, (uint32_t)j});
            if (sum < all[j * k + k - 1].distance)
                insert(all + j * k, k, (near){sum, (uint32_t)i});
        }
    }
}

/* The shares of one item's neighbours, by bisection of the width. */
static void share(const near *list, size_t k, float *shares)
{
    double low = 0, high = INFINITY, beta = 1 / fmax((double)list[k - 1].distance, 1e-30);
    double want = log(fmin(PERPLEXITY, (double)k / 2));

    for (int round = 0; round < 60; round++) {
        double sum = 0, energy = 0;

        for (size_t i = 0; i < k; i++) {
            double d = (double)(list[i].distance - list[0].distance), p = exp(-beta * d);

            sum += p;
            energy += p * d;
            shares[i] = (float)p;
        }
        for (size_t i = 0; i < k; i++)
            shares[i] /= (float)sum;
        if (log(sum) + beta * energy / sum > want) {
            low = beta;
            beta = isinf(high) ? 2 * beta : (low + high) / 2;
        } else {
            high = beta;
            beta = (low + high) / 2;
        }
    }
}

/* ---- the quadtree ---- */

static uint32_t new_cell(map *m, double x, double y, double size)
{
    m->cells[m->n_cells] = (cell){.x = x, .y = y, .size = size, .leaf = true};
    return (uint32_t)m->n_cells++;
}

static uint32_t child_of(map *m, uint32_t parent, double x, double y)
{
    cell *c = &m->cells[parent];
    int which = (x >= c->x) + 2 * (y >= c->y);

    if (!c->inside[which]) {
        double quarter = c->size / 4;
        uint32_t made = new_cell(m, c->x + (which & 1 ? quarter : -quarter),
                                 c->y + (which & 2 ? quarter : -quarter), c->size / 2);

        m->cells[parent].inside[which] = made;
    }
    return m->cells[parent].inside[which];
}

/* Adds an item at a place, from the root down to a cell that holds no other place: DEEPEST + 2 new
 * cells at most. */
static void add(map *m, double x, double y)
{
    uint32_t at = 0;

    for (int depth = 0;; depth++) {
        cell *c = &m->cells[at];
        bool alone = c->count == 0,
             same = c->leaf && c->count > 0 && c->sum_x == x * c->count && c->sum_y == y * c->count;

        if (c->leaf && !alone && !same && depth < DEEPEST) { /* what was here moves down */
            double old_x = c->sum_x / c->count, old_y = c->sum_y / c->count, old_count = c->count;
            cell *below = &m->cells[child_of(m, at, old_x, old_y)];

            below->sum_x = old_x * old_count;
            below->sum_y = old_y * old_count;
            below->count = old_count;
            m->cells[at].leaf = false;
        }
        c = &m->cells[at];
        c->sum_x += x;
        c->sum_y += y;
        c->count++;
        if (c->leaf)
            return;
        at = child_of(m, at, x, y);
    }
}

static void plant(map *m)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};

    for (size_t i = 0; i < 2 * m->n; i++) {
        low[i % 2] = fmin(low[i % 2], m->xy[i]);
        high[i % 2] = fmax(high[i % 2], m->xy[i]);
    }
    m->n_cells = 0;
    new_cell(m, (low[0] + high[0]) / 2, (low[1] + high[1]) / 2,
             fmax(high[0] - low[0], high[1] - low[1]) * 1.001 + 1e-9);
    for (size_t i = 0; i < m->n; i++)
        add(m, m->xy[2 * i], m->xy[2 * i + 1]);
}

/* What pushes a place away, before it is divided by the sum over all pairs, to which this adds. */
static void push(const map *m, const double *place, double *force, double *pairs)
{
    uint32_t stack[4 * DEEPEST + 8];
    size_t n = 1;

    stack[0] = 0;
    while (n) {
        const cell *c = &m->cells[stack[--n]];
        double dx = place[0] - c->sum_x / c->count, dy = place[1] - c->sum_y / c->count,
               square = dx * dx + dy * dy, q;

        if (!c->leaf && c->size * c->size > THETA * THETA * square) {
            for (int k = 0; k < 4; k++)
                if (c->inside[k])
                    stack[n++] = c->inside[k];
            continue;
        }
        q = 1 / (1 + square);
        *pairs += c->count * q;
        force[0] += c->count * q * q * dx;
        force[1] += c->count * q * q * dy;
    }
}

/* ---- the rounds ---- */

static void pull(const map *m, double factor)
{
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->k; k++) {
            size_t j = m->neighbours[i * m->k + k].item;
            double dx = m->xy[2 * i] - m->xy[2 * j], dy = m->xy[2 * i + 1] - m->xy[2 * j + 1];
            double f = factor * (double)m->shares[i * m->k + k] / (2 * (double)m->n) /
                       (1 + dx * dx + dy * dy);

            m->force[2 * i] -= f * dx;
            m->force[2 * i + 1] -= f * dy;
            m->force[2 * j] += f * dx;
            m->force[2 * j + 1] += f * dy;
        }
}

static void move(map *m, int round)
{
    bool early = round < EARLY;
    double rate = fmax((double)m->n / EXAGGERATION / 4, 50), keep = early ? 0.5 : 0.8,
           pairs = -(double)m->n;

    plant(m);
    memset(m->force, 0, 2 * m->n * sizeof(*m->force));
    for (size_t i = 0; i < m->n; i++)
        push(m, m->xy + 2 * i, m->force + 2 * i, &pairs);
    for (size_t i = 0; i < 2 * m->n; i++)
        m->force[i] /= fmax(pairs, 1e-12);
    pull(m, early ? EXAGGERATION : 1);
    for (size_t i = 0; i < 2 * m->n; i++) {
        m->gain[i] = fmax(
            (m->force[i] > 0) == (m->speed[i] > 0) ? m->gain[i] + 0.2 : 0.8 * m->gain[i], 0.01);
        m->speed[i] = keep * m->speed[i] + 4 * rate * m->gain[i] * m->force[i];
        m->xy[i] += m->speed[i];
    }
}

/* The places to begin with, small and around the middle; those of equal items apart. */
static void begin(map *m)
{
    double mean[2] = {0, 0}, square = 0;

    for (size_t i = 0; i < 2 * m->n; i++) {
        mean[i % 2] += m->xy[i] / (double)m->n;
        m->gain[i] = 1;
    }
    for (size_t i = 0; i < 2 * m->n; i++)
        square += (m->xy[i] - mean[i % 2]) * (m->xy[i] - mean[i % 2]) / (double)m->n;
    square = square > 0 ? 1e-2 / sqrt(square) : 0;
    for (size_t i = 0; i < 2 * m->n; i++)
        m->xy[i] = square * (m->xy[i] - mean[i % 2]) + 1e-5 * (double)(i * 7919 % 1009) / 1009;
}

ae_status tsne_run(const matrix *rows, double *xy, ae_error *err)
{
    map m = {.n = rows->n,
             .k = rows->n - 1 < 3 * PERPLEXITY ? rows->n - 1 : (size_t)(3 * PERPLEXITY),
             .xy = xy};
    near *neighbours;
    float *shares;
    double *work;
    ae_status st = AE_OK;

    if (rows->n < 4)
        return AE_OK;
    neighbours = ae_alloc(m.n * m.k, sizeof(*neighbours));
    shares = ae_alloc(m.n * m.k, sizeof(*shares));
    work = ae_alloc(6 * m.n, sizeof(*work));
    m.cells = ae_alloc((DEEPEST + 2) * m.n + 1, sizeof(*m.cells));
    if (neighbours && shares && work && m.cells) {
        m.neighbours = neighbours;
        m.shares = shares;
        m.force = work;
        m.speed = work + 2 * m.n;
        m.gain = work + 4 * m.n;
        find_neighbours(rows, m.k, neighbours);
        for (size_t i = 0; i < m.n; i++)
            share(neighbours + i * m.k, m.k, shares + i * m.k);
        begin(&m);
        for (int round = 0; round < ROUNDS && !cli_cancel.requested; round++) {
            if (cli_progress_due())
                cli_progress_show("map: round %d of %d", round + 1, ROUNDS);
            move(&m, round);
        }
        cli_progress_clear();
        if (cli_cancel.requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
    } else {
        st = ae_fail(err, AE_ERR_NOMEM, "a map of %zu items", rows->n);
    }
    ae_free(neighbours);
    ae_free(shares);
    ae_free(work);
    ae_free(m.cells);
    return st;
}
