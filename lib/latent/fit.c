/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fits distributions to counts: the weights of a few fixed shapes by expectation maximisation
 * (Dempster, Laird and Rubin 1977), and from them integer tables whose sums are exact, for the
 * entropy coder. */
#include "latent/fit.h"

#include <math.h>
#include <string.h>

enum {
    MOST_SYMBOLS = 256,
    NORMAL = 2 /* of the ratios */,
    PRIOR = 300 /* occurrences */,
    ROUNDS = 60
};
static const double reach = 5, least_escape = 2.0 / 65536;
const double aei_fit_ratios[AEI_MIXED] = {0.5, 0.71, 1, 1.41, 2.2, 5};

/* Mass of a unit normal in [a, b]. */
static double mass(double a, double b)
{
    if (b <= 0)
        return mass(-b, -a);
    return a >= 0 ? 0.5 * (erfc(a * M_SQRT1_2) - erfc(b * M_SQRT1_2))
                  : 1 - 0.5 * (erfc(-a * M_SQRT1_2) + erfc(b * M_SQRT1_2));
}

static double mixed_mass(const double *weights, double deviation, double a, double b)
{
    double sum = 0;

    for (int j = 0; j < AEI_MIXED; j++)
        if (weights[j] > 0)
            sum += weights[j] *
                   mass(a / (deviation * aei_fit_ratios[j]), b / (deviation * aei_fit_ratios[j]));
    return sum;
}

/* Expectation maximisation (Dempster, Laird and Rubin 1977) of the weights alone. */
static void fit_one(const uint32_t *counts, double deviation, double *weights)
{
    for (int j = 0; j < AEI_MIXED; j++)
        weights[j] = j == NORMAL ? 0.9 : 0.1 / (AEI_MIXED - 1);
    for (int round = 0; round < ROUNDS; round++) {
        double share[AEI_MIXED] = {0}, total = PRIOR;

        share[NORMAL] = PRIOR;
        for (uint32_t v = 0; v < AEI_COUNTED; v++) {
            double part[AEI_MIXED], sum = 1e-300;

            if (!counts[v])
                continue;
            for (int j = 0; j < AEI_MIXED; j++)
                sum += part[j] = weights[j] *
                                 (v + 1 == AEI_COUNTED
                                      ? mass((v - 0.5) / (deviation * aei_fit_ratios[j]), 1e9)
                                      : mass((v - 0.5) / (deviation * aei_fit_ratios[j]),
                                             (v + 0.5) / (deviation * aei_fit_ratios[j])));
            for (int j = 0; j < AEI_MIXED; j++)
                share[j] += counts[v] * part[j] / sum;
            total += counts[v];
        }
        for (int j = 0; j < AEI_MIXED; j++)
            weights[j] = share[j] / total;
    }
}

void aei_fit(aei_counts *counts, double least, uint32_t per_octave, uint32_t n,
             aei_weights_of *weights)
{
    for (uint32_t i = 0; i < n; i++)
        fit_one(counts[i], least * exp2((double)i / per_octave), weights[i]);
}

/* Symbols k stand for values [k, k + 1) * 2^raw; few enough that each deserves its 1/65536. */
static void make_table(const double *weights, double deviation, aei_scale *s, uint16_t *start)
{
    double width, inside = 0;
    uint32_t sizes[MOST_SYMBOLS + 1], sum = 0, largest = 0, at = 0;
    int32_t last;

    for (s->raw = 0; deviation >= 16.0 * (1 << s->raw); s->raw++)
        ;
    width = 1 << s->raw;
    last = (int32_t)floor((reach * deviation + 0.5) / width);
    last = last < 1 ? 1 : last;
    s->first = s->raw ? -last - 1 : -last;
    s->n = (uint32_t)(last - s->first + 1);
    for (uint32_t k = 0; k <= s->n; k++) {
        double from = (s->first + (double)k) * width - 0.5;
        double m = k < s->n ? mixed_mass(weights, deviation, from, from + width)
                            : fmax(1 - inside, least_escape);

        inside += m;
        sizes[k] = (uint32_t)lrint(m * 65536);
        sizes[k] = sizes[k] ? sizes[k] : 1;
        sum += sizes[k];
        largest = sizes[k] > sizes[largest] ? k : largest;
    }
    sizes[largest] += 65536 - sum;
    for (uint32_t k = 0; k <= s->n; k++, at += sizes[k - 1])
        start[k] = (uint16_t)at;
    start[s->n + 1] = 0;
    s->start = start;
}

ae_status aei_fit_tables(aei_weights_of *weights, double least, uint32_t per_octave, uint32_t n,
                         aei_scale *scales, uint16_t **starts, ae_error *err)
{
    static const aei_weights_of normal = {[NORMAL] = 1};

    *starts = ae_alloc((size_t)n * (MOST_SYMBOLS + 2), sizeof(**starts));
    if (!*starts)
        return ae_fail(err, AE_ERR_NOMEM, "%u distributions", n);
    for (uint32_t i = 0; i < n; i++)
        make_table(weights ? weights[i] : normal, least * exp2((double)i / per_octave), &scales[i],
                   *starts + (size_t)i * (MOST_SYMBOLS + 2));
    return AE_OK;
}
