/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The definition of operators along time, as reference_ops.c has those of the others. */
#include <math.h>
#include <string.h>

#include "nn/graph_check.h"
#include "nn/reference.h"

static double sigmoid_of(double x)
{
    return 1 / (1 + exp(-x));
}

enum { MOST_UNITS = 256, MOST_STEPS = 64 };

/* One sequence: the states before each step and what its gates were. */
typedef struct sequence {
    double h[MOST_STEPS + 1][MOST_UNITS], c[MOST_STEPS + 1][MOST_UNITS],
        gate[MOST_STEPS][4][MOST_UNITS];
    double part[MOST_STEPS][MOST_UNITS]; /* gru: U h + c of its new value */
} sequence;

static double input_of(const aei_ref_node *v, uint32_t row, const double *x)
{
    double sum = 0;

    for (uint32_t i = 0; i < v->in[0].c; i++)
        sum += v->weight[(size_t)row * v->in[0].c + i] * x[i];
    return sum;
}

static double state_of(const aei_ref_node *v, uint32_t row, const double *h)
{
    double sum = 0;

    for (uint32_t i = 0; i < v->out.c; i++)
        sum += v->recurrent[(size_t)row * v->out.c + i] * h[i];
    return sum;
}

static double bias_of(const aei_ref_node *v, uint32_t row)
{
    return v->bias ? v->bias[row] : 0;
}

static void recur_forward(const aei_ref_node *v, uint32_t n, uint32_t column, sequence *s)
{
    uint32_t units = v->out.c;
    bool lstm = v->node->op == AE_OP_LSTM;

    memset(s, 0, sizeof(*s));
    for (uint32_t t = 0; t < v->out.h; t++) {
        const double *x = v->x[0] + aei_ref_at(v->in[0], n, t, column, 0), *h = s->h[t];

        for (uint32_t u = 0; u < units; u++) {
            double a[4];

            for (uint32_t g = 0; g < (lstm ? 4u : 2u); g++)
                a[g] = input_of(v, g * units + u, x) + state_of(v, g * units + u, h) +
                       bias_of(v, g * units + u);
            if (lstm) {
                for (int g = 0; g < 4; g++)
                    s->gate[t][g][u] = g == 2 ? tanh(a[g]) : sigmoid_of(a[g]);
                s->c[t + 1][u] = s->gate[t][1][u] * s->c[t][u] +
                                 s->gate[t][0][u] * s->gate[t][2][u];
                s->h[t + 1][u] = s->gate[t][3][u] * tanh(s->c[t + 1][u]);
                continue;
            }
            s->gate[t][0][u] = sigmoid_of(a[0]);
            s->gate[t][1][u] = sigmoid_of(a[1]);
            s->part[t][u] = state_of(v, 2 * units + u, h) + bias_of(v, 3 * units + u);
            s->gate[t][2][u] = tanh(input_of(v, 2 * units + u, x) + bias_of(v, 2 * units + u) +
                                    s->gate[t][0][u] * s->part[t][u]);
            s->h[t + 1][u] = (1 - s->gate[t][1][u]) * s->gate[t][2][u] + s->gate[t][1][u] * h[u];
        }
    }
}

/* The gradient d by what gate row `row` is given through W (x) and U (h), each where it is not
 * NULL. */
static void deliver(const aei_ref_node *v, uint32_t row, double d, const double *x, double *dx,
                    const double *h, double *dh)
{
    for (uint32_t i = 0; x && i < v->in[0].c; i++) {
        dx[i] += d * v->weight[(size_t)row * v->in[0].c + i];
        v->d_weight[(size_t)row * v->in[0].c + i] += d * x[i];
    }
    for (uint32_t i = 0; h && i < v->out.c; i++) {
        dh[i] += d * v->recurrent[(size_t)row * v->out.c + i];
        v->d_recurrent[(size_t)row * v->out.c + i] += d * h[i];
    }
}

static void recur_backward(const aei_ref_node *v, uint32_t n, uint32_t column, const sequence *s)
{
    uint32_t units = v->out.c;
    bool lstm = v->node->op == AE_OP_LSTM;
    double by_h[MOST_UNITS] = {0}, by_c[MOST_UNITS] = {0};

    for (uint32_t t = v->out.h; t-- > 0;) {
        const double *x = v->x[0] + aei_ref_at(v->in[0], n, t, column, 0), *h = s->h[t];
        double *dx = v->dx[0] + aei_ref_at(v->in[0], n, t, column, 0), next[MOST_UNITS] = {0};

        for (uint32_t u = 0; u < units; u++) {
            double d = by_h[u] + v->dy[aei_ref_at(v->out, n, t, column, u)], a[4], gate[4];

            for (int g = 0; g < 4; g++)
                gate[g] = s->gate[t][g][u];
            if (lstm) {
                double c = tanh(s->c[t + 1][u]), dc = by_c[u] + d * gate[3] * (1 - c * c);

                a[0] = dc * gate[2] * gate[0] * (1 - gate[0]);
                a[1] = dc * s->c[t][u] * gate[1] * (1 - gate[1]);
                a[2] = dc * gate[0] * (1 - gate[2] * gate[2]);
                a[3] = d * c * gate[3] * (1 - gate[3]);
                by_c[u] = dc * gate[1];
                for (uint32_t g = 0; g < 4; g++) {
                    deliver(v, g * units + u, a[g], x, dx, h, next);
                    if (v->bias)
                        v->d_bias[g * units + u] += a[g];
                }
                continue;
            }
            a[2] = d * (1 - gate[1]) * (1 - gate[2] * gate[2]);
            a[0] = a[2] * s->part[t][u] * gate[0] * (1 - gate[0]);
            a[1] = d * (h[u] - gate[2]) * gate[1] * (1 - gate[1]);
            a[3] = a[2] * gate[0];
            deliver(v, u, a[0], x, dx, h, next);
            deliver(v, units + u, a[1], x, dx, h, next);
            deliver(v, 2 * units + u, a[2], x, dx, NULL, NULL);
            deliver(v, 2 * units + u, a[3], NULL, NULL, h, next);
            next[u] += d * gate[1];
            for (uint32_t g = 0; g < 4 && v->bias; g++)
                v->d_bias[g * units + u] += a[g];
        }
        memcpy(by_h, next, sizeof(by_h));
    }
}

static void recur(const aei_ref_node *v, bool backward)
{
    sequence *s = ae_alloc(1, sizeof(*s));

    for (uint32_t n = 0; s && v->out.h <= MOST_STEPS && v->out.c <= MOST_UNITS && n < v->out.n; n++)
        for (uint32_t x = 0; x < v->out.w; x++) {
            recur_forward(v, n, x, s);
            for (uint32_t t = 0; t < v->out.h && !backward; t++)
                memcpy(v->y + aei_ref_at(v->out, n, t, x, 0), s->h[t + 1],
                       v->out.c * sizeof(double));
            if (backward)
                recur_backward(v, n, x, s);
        }
    ae_free(s);
}

void aei_ref_recurrent_forward(const aei_ref_node *v)
{
    recur(v, false);
}

void aei_ref_recurrent_backward(const aei_ref_node *v)
{
    recur(v, true);
}

/* The row that `last` takes of sample n, SIZE_MAX: none. */
static size_t last_row(const aei_ref_node *v, uint32_t n)
{
    for (size_t y = v->in[0].h; y-- > 0;)
        if (v->node->n_from < 2 || v->x[1][n * v->in[1].h + y] > 0.5)
            return y;
    return SIZE_MAX;
}

static void rows_in_time(const aei_ref_node *v, bool backward)
{
    size_t row = (size_t)v->out.w * v->out.c;

    for (uint32_t n = 0; n < v->out.n; n++)
        for (uint32_t y = 0; y < v->out.h; y++) {
            size_t from = v->node->op == AE_OP_LAST    ? last_row(v, n)
                          : v->node->op == AE_OP_FLIP  ? v->out.h - 1 - y
                          : v->node->op == AE_OP_SHIFT ? y - (size_t)1
                                                       : 0;

            for (size_t i = 0; i < row; i++) {
                size_t a = ((size_t)n * v->out.h + y) * row + i,
                       b = ((size_t)n * v->in[0].h + from) * row + i;

                if (!backward)
                    v->y[a] = from == SIZE_MAX ? 0 : v->x[0][b];
                else if (from != SIZE_MAX)
                    v->dx[0][b] += v->dy[a];
            }
        }
}

void aei_ref_time_forward(const aei_ref_node *v)
{
    rows_in_time(v, false);
}

void aei_ref_time_backward(const aei_ref_node *v)
{
    rows_in_time(v, true);
}
