/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The definition of the operators of codecs (doc/codec.md), as reference_ops.c has those of the
 * others. */
#include <math.h>
#include <string.h>

#include "nn/graph_check.h"
#include "nn/reference.h"

/* Mass of the unit normal beyond x, and its density there. */
static double normal_upper(double x)
{
    return 0.5 * erfc(x * 0.70710678118654752440);
}

static double normal_density(double x)
{
    return 0.39894228040143267794 * exp(-0.5 * x * x);
}

static const double LEAST_SCALE = 0.11, MOST_SCALE = 32768, LEAST_MASS = 0x1p-24;

/* Where position p of a table lies: row *low and the share of the next one. */
static double table_place(const aei_ref_node *v, double p, uint32_t *low)
{
    double at = fmin(fmax(p, 0), 1) * (v->node->factor - 1);

    *low = at < v->node->factor - 2 ? (uint32_t)at : v->node->factor - 2;
    return at - *low;
}

void aei_ref_embed_forward(const aei_ref_node *v)
{
    for (size_t k = 0, c = v->out.c; k < aei_ref_count(v->out); k++) {
        uint32_t low;
        double share = table_place(v, v->x[0][k / c], &low);

        v->y[k] = v->weight[low * c + k % c] * (1 - share) +
                  v->weight[(low + 1) * c + k % c] * share;
    }
}

void aei_ref_embed_backward(const aei_ref_node *v)
{
    for (size_t k = 0, c = v->out.c; k < aei_ref_count(v->out); k++) {
        uint32_t low;
        double p = v->x[0][k / c], share = table_place(v, p, &low);

        v->d_weight[low * c + k % c] += v->dy[k] * (1 - share);
        v->d_weight[(low + 1) * c + k % c] += v->dy[k] * share;
        if (p >= 0 && p <= 1)
            v->dx[0][k / c] += v->dy[k] * (v->node->factor - 1) *
                               (v->weight[(low + 1) * c + k % c] - v->weight[low * c + k % c]);
    }
}

/* y at the nearest mean + step * integer; the gradient passes straight through to y. */
static void quantise(const aei_ref_node *v, bool backward)
{
    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++)
            for (uint32_t x = 0; x < v->out.w; x++)
                for (uint32_t c = 0; c < v->out.c; c++) {
                    size_t o = aei_ref_at(v->out, n, y, x, c),
                           m = aei_ref_broadcast(v, 1, n, y, x, c);
                    size_t q = aei_ref_broadcast(v, 2, n, y, x, c);
                    double mean = v->x[1][m], step = exp2(v->x[2][q]),
                           w = (v->x[0][o] - mean) / step;
                    bool counts = aei_ref_counts(v->node->parity, y, x);

                    if (!backward) {
                        v->y[o] = counts ? mean + step * nearbyint(w) : 0;
                    } else if (counts) {
                        v->dx[0][o] += v->dy[o];
                        v->dx[2][q] += v->dy[o] * (nearbyint(w) - w) * step * log(2);
                    }
                }
}

void aei_ref_quantise_forward(const aei_ref_node *v)
{
    quantise(v, false);
}

void aei_ref_quantise_backward(const aei_ref_node *v)
{
    quantise(v, true);
}

/* -log2 of the mass of N(0, s) between |x| - 1/2 and |x| + 1/2, all in steps. */
static void bits(const aei_ref_node *v, bool backward)
{
    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++)
            for (uint32_t x = 0; x < v->out.w; x++)
                for (uint32_t c = 0; c < v->out.c; c++) {
                    size_t o = aei_ref_at(v->out, n, y, x, c), i[4] = {o};
                    double in[4], step, w, t, scale, s, a, b, mass, by_t, by_scale;

                    for (uint32_t f = 0; f < 4; f++)
                        in[f] = v->x[f][i[f] = aei_ref_broadcast(v, f, n, y, x, c)];
                    step = exp2(in[3]);
                    w = (in[0] - in[1]) / step;
                    t = v->train ? w + (double)v->draw[o] : nearbyint(w);
                    scale = exp2(in[2]) / step;
                    s = fmin(fmax(scale, LEAST_SCALE), MOST_SCALE);
                    a = (fabs(t) - 0.5) / s;
                    b = (fabs(t) + 0.5) / s;
                    mass = fmax(normal_upper(a) - normal_upper(b), LEAST_MASS);
                    if (!aei_ref_counts(v->node->parity, y, x)) {
                        v->y[o] = 0;
                        continue;
                    }
                    if (!backward) {
                        v->y[o] = -log2(mass);
                        continue;
                    }
                    by_t = v->dy[o] * (normal_density(a) - normal_density(b)) /
                           (mass * s * log(2)) * (t > 0 ? 1 : -1);
                    /* by log2 of it */
                    by_scale = v->dy[o] * (b * normal_density(b) - a * normal_density(a)) / mass;
                    if ((scale < LEAST_SCALE && by_scale > 0) ||
                        (scale > MOST_SCALE && by_scale < 0))
                        by_scale = 0;
                    v->dx[0][i[0]] += by_t / step;
                    v->dx[1][i[1]] -= by_t / step;
                    v->dx[2][i[2]] += by_scale;
                    v->dx[3][i[3]] -= by_t * w * log(2) + by_scale;
                }
}

void aei_ref_bits_forward(const aei_ref_node *v)
{
    bits(v, false);
}

void aei_ref_bits_backward(const aei_ref_node *v)
{
    bits(v, true);
}
