/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Each part of each line has a histogram of differences, whose median ignores what lies in the
 * picture. Medians add up to a walk from line to line; its fine part, what is left without the mean
 * of the lines around, is the picture's in one part and the sensor's where all parts agree. */
#include "image/banding.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    PARTS = AEI_BANDING_PARTS,
    REACH = 24,
    BINS = 2 * REACH + 1,
    AROUND = 8,
    LEAST_LINES = 48,
    LEAST_COUNT = 12
};

/* a line whose differences are equal in so many places was drawn: it tells nothing */
#define FLAT 0.8f
#define MANY_FLAT 0.3f
#define LARGEST 14.0f /* beyond it is a picture's edge */
#define LEAST 1.0f    /* deviations worth mending */
#define AGREE 0.5f    /* of the parts, beyond what noise explains */
#define RHYTHM 0.4f   /* sensors' offsets are independent; blinds and ruled paper are not */
#define WALK 3.0f     /* how much a median's error grows in a walk without its slow part */

struct aei_banding {
    uint32_t n, channels;
    uint16_t *counts; /* n x channels x PARTS x BINS */
    float *walk;      /* of one channel: PARTS x n; the same without the slow part; their mean */
    float *offsets;
};

ae_status aei_banding_create(uint32_t n, uint32_t channels, aei_banding **out, ae_error *err)
{
    aei_banding *b = ae_alloc(1, sizeof(*b));

    *out = b;
    if (b) {
        b->n = n;
        b->channels = channels;
        b->counts = ae_alloc((size_t)n * channels * PARTS, BINS * sizeof(*b->counts));
        b->walk = ae_alloc((size_t)n, (2 * PARTS + 1) * sizeof(*b->walk));
        b->offsets = ae_alloc((size_t)n * channels, sizeof(*b->offsets));
    }
    if (b && b->counts && b->walk && b->offsets)
        return AE_OK;
    aei_banding_free(b);
    *out = NULL;
    return ae_fail(err, AE_ERR_NOMEM, "differences of %u lines", n);
}

void aei_banding_free(aei_banding *b)
{
    if (!b)
        return;
    ae_free(b->counts);
    ae_free(b->walk);
    ae_free(b->offsets);
    ae_free(b);
}

void aei_banding_add(aei_banding *b, uint32_t line, uint32_t channel, uint32_t part,
                     float difference)
{
    float bin = rintf(fminf(fmaxf(difference, -REACH), REACH)) + REACH;
    uint16_t *count =
        &b->counts[(((size_t)line * b->channels + channel) * PARTS + part) * BINS + (size_t)bin];

    *count += *count < UINT16_MAX;
}

/* The median, its bin taken for a span, and the variance of its error. False: nothing is known. */
static bool median(const uint16_t *counts, float *at, float *variance)
{
    uint32_t total = 0, below = 0, most = 0, first = BINS, last = 0;
    float spread;

    for (uint32_t i = 0; i < BINS; i++) {
        total += counts[i];
        most = counts[i] > most ? counts[i] : most;
    }
    *at = *variance = 0;
    if (total < LEAST_COUNT || (float)most > FLAT * (float)total)
        return false;
    for (uint32_t i = 0; i < BINS; below += counts[i++]) {
        uint32_t up_to = below + counts[i];

        if (first == BINS && 4 * up_to >= total)
            first = i;
        if (4 * up_to < 3 * total)
            last = i + 1;
        if (2 * below < total && 2 * up_to >= total)
            *at = (float)i - REACH - 0.5f + ((float)total / 2 - (float)below) / (float)counts[i];
    }
    spread = fmaxf(1, (float)(last - first)) / 1.35f;
    *variance = 1.57f * spread * spread / (float)total;
    return true;
}

/* Takes the mean of the lines around away. */
static void keep_fine(const float *walk, uint32_t n, float *fine)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t reach = i < AROUND ? i : AROUND;
        double sum = 0;

        reach = n - 1 - i < reach ? n - 1 - i : reach;
        for (uint32_t k = i - reach; k <= i + reach; k++)
            sum += walk[k];
        fine[i] = (float)(walk[i] - sum / (2 * reach + 1));
    }
}

/* Whether offsets follow from those of other lines. */
static bool has_rhythm(const float *v, uint32_t n, double square)
{
    for (uint32_t lag = 1; lag <= AROUND; lag++) {
        double sum = 0;

        for (uint32_t i = lag; i < n; i++)
            sum += v[i] * v[i - lag];
        if (fabs(sum) > RHYTHM * square)
            return true;
    }
    return false;
}

/* One channel: the variance of its offsets, 0 where it has none. */
static double settle_channel(aei_banding *b, uint32_t channel, float *mean)
{
    uint32_t n = b->n, n_unknown = 0, n_used = 0;
    float *fine = b->walk + (size_t)PARTS * n;
    double noise = 0, own = 0, common = 0, square = 0;

    for (uint32_t p = 0; p < PARTS; p++) {
        double at = 0;

        for (uint32_t i = 0; i < n; i++) {
            float step, variance;

            if (i && !median(b->counts + (((size_t)i * b->channels + channel) * PARTS + p) * BINS,
                             &step, &variance))
                n_unknown++;
            else if (i) {
                at += step;
                noise += variance;
            }
            b->walk[(size_t)p * n + i] = (float)at;
        }
        keep_fine(b->walk + (size_t)p * n, n, fine + (size_t)p * n);
    }
    if (n_unknown > MANY_FLAT * PARTS * n)
        return 0;
    noise *= WALK / ((double)PARTS * n);
    for (uint32_t i = 0; i < n; i++) {
        float v[PARTS], sum = 0;
        bool edge = false;

        for (uint32_t p = 0; p < PARTS; p++) {
            v[p] = fine[(size_t)p * n + i];
            edge = edge || fabsf(v[p]) > LARGEST;
            sum += v[p];
        }
        mean[i] = edge ? 0 : sum / PARTS;
        if (edge)
            continue;
        n_used++;
        square += mean[i] * mean[i];
        for (uint32_t p = 0; p < PARTS; p++) {
            own += v[p] * v[p] / PARTS;
            common += v[p] * (sum - v[p]) / (PARTS * (PARTS - 1));
        }
    }
    if (n_used < 0.8 * n)
        return 0;
    own /= n_used;
    common /= n_used;
    if (!(common > LEAST * LEAST) || common < AGREE * (own - noise) || has_rhythm(mean, n, square))
        return 0;
    for (uint32_t i = 0; i < n; i++)
        mean[i] *= (float)(common / (common + noise / PARTS));
    return common;
}

float aei_banding_settle(aei_banding *b, const float **offsets)
{
    double sum = 0;
    float *mean = b->walk + (size_t)2 * PARTS * b->n;

    *offsets = b->offsets;
    if (b->n < LEAST_LINES)
        return 0;
    for (uint32_t c = 0; c < b->channels; c++) {
        double variance = settle_channel(b, c, mean);

        sum += variance / b->channels;
        for (uint32_t i = 0; variance > 0 && i < b->n; i++)
            b->offsets[(size_t)i * b->channels + c] = mean[i];
    }
    return (float)sqrt(sum);
}
