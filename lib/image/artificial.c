/* SPDX-License-Identifier: BSD-2-Clause */
#include "image/artificial.h"

#include <fftw3.h>
#include <math.h>

#include "core/planner.h"

enum { EDGE = AEI_BLOCK_EDGE, HALF = EDGE / 2 + 1, FIRST_RING = 3, LAST_RING = 17 };

/* Of the frequencies of a ring, those that hold less than a twentieth of its mean: of noise
 * 1 - exp(-1/20) = .05, whatever its spectrum, of noise that was enlarged three times with straight
 * lines, the worst known, .21; of soft halftones .3. Where a ninth is empty and nearly all hold
 * less than a twentieth of the mean of all rings, too, stripes are the only ones left: of noise
 * that was enlarged four times up to .88 do. */
static const float little = 1 / 20.0f, most_empty = 0.26f, some_empty = 0.12f, nearly_all = 0.9f;

float aei_filled(const uint32_t histogram[256], uint32_t *range)
{
    const uint32_t few = EDGE * EDGE / 50;
    uint32_t low = 0, high = 255, sum = 0, used = 0;

    for (sum = histogram[low]; sum <= few; sum += histogram[low])
        low++;
    for (sum = histogram[high]; sum <= few; sum += histogram[high])
        high--;
    *range = high - low > *range ? high - low : *range;
    if (low == high)
        return histogram[low] == EDGE * EDGE ? 0 : -1;
    for (uint32_t i = low; i <= high; i++)
        used += histogram[i] > 0;
    return high - low < 6 ? -1 : (float)used / (float)(high - low + 1);
}

uint32_t aei_most_frequent(const uint32_t colours[EDGE * EDGE])
{
    enum { SLOTS = 4 * EDGE * EDGE };
    struct {
        uint32_t colour, n;
    } table[SLOTS] = {{0}};
    uint32_t most = 0;

    for (size_t i = 0; i < EDGE * EDGE; i++) {
        uint32_t colour = colours[i] + 1, at = colour * UINT32_C(2654435761) % SLOTS;

        if (!colour)
            continue;
        while (table[at].n && table[at].colour != colour)
            at = (at + 1) % SLOTS;
        table[at].colour = colour;
        most = ++table[at].n > most ? table[at].n : most;
    }
    return most;
}

struct aei_lines {
    float window[EDGE];
    int ring[EDGE * HALF];
    float *square;
    fftwf_complex *spectrum;
    fftwf_plan plan;
};

ae_status aei_lines_create(aei_lines **out, ae_error *err)
{
    aei_lines *s = *out = ae_alloc(1, sizeof(*s));

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "a transform");
    s->square = fftwf_alloc_real(EDGE * EDGE);
    s->spectrum = fftwf_alloc_complex(EDGE * HALF);
    if (s->square && s->spectrum) {
        aei_planner_lock();
        s->plan = fftwf_plan_dft_r2c_2d(EDGE, EDGE, s->square, s->spectrum, FFTW_ESTIMATE);
        aei_planner_unlock();
    }
    if (!s->plan)
        return ae_fail(err, AE_ERR_NOMEM, "a transform of %d x %d samples", EDGE, EDGE);
    for (int y = 0; y < EDGE; y++) {
        int up = y < HALF ? y : EDGE - y;

        s->window[y] = 0.5f - 0.5f * cosf(6.2831853f * (float)(y + 1) / (EDGE + 1));
        for (int x = 0; x < HALF; x++) {
            int ring = (int)(sqrtf((float)(x * x + up * up)) + 0.5f);

            s->ring[y * HALF + x] = ring < LAST_RING ? ring : LAST_RING;
        }
    }
    return AE_OK;
}

void aei_lines_free(aei_lines *s)
{
    if (!s)
        return;
    if (s->plan) {
        aei_planner_lock();
        fftwf_destroy_plan(s->plan);
        aei_planner_unlock();
    }
    fftwf_free(s->square);
    fftwf_free(s->spectrum);
    ae_free(s);
}

bool aei_lines_seen(aei_lines *s, const float *square)
{
    float mean = 0, sum[LAST_RING + 1] = {0}, count[LAST_RING + 1] = {0}, all = 0, n = 0, empty = 0,
          low = 0;

    for (int i = 0; i < EDGE * EDGE; i++)
        mean += square[i] / (EDGE * EDGE);
    for (int i = 0; i < EDGE * EDGE; i++)
        s->square[i] = (square[i] - mean) * s->window[i / EDGE] * s->window[i % EDGE];
    fftwf_execute(s->plan);
    for (int i = 0; i < EDGE * HALF; i++) {
        float *at = s->spectrum[i];

        at[0] = at[0] * at[0] + at[1] * at[1];
        sum[s->ring[i]] += at[0];
        count[s->ring[i]]++;
    }
    for (int ring = FIRST_RING; ring <= LAST_RING; ring++) {
        all += sum[ring];
        n += count[ring];
    }
    for (int i = 0; i < EDGE * HALF; i++)
        if (s->ring[i] >= FIRST_RING) {
            empty += s->spectrum[i][0] * count[s->ring[i]] < little * sum[s->ring[i]];
            low += s->spectrum[i][0] * n < little * all;
        }
    return empty > most_empty * n || (empty > some_empty * n && low > nearly_all * n);
}
