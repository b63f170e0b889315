/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Each pixel of the result is looked up in a copy of the picture at the place that the map sends it
 * to, between its four neighbours. */
#include "train/warp.h"

#include <string.h>

/* The pixels on both sides of a place, held at the edges, and the share of the second. */
typedef struct between {
    uint32_t first, second;
    float share;
} between;

static between place(float at, uint32_t n)
{
    float last = (float)(n - 1), held = at > 0 ? (at < last ? at : last) : 0;
    uint32_t first = (uint32_t)held;

    return (between){first, first + 1 < n ? first + 1 : first, held - (float)first};
}

void aei_warp(aei_rng *rng, float *picture, uint32_t h, uint32_t w, uint32_t c, float amount,
              float *scratch)
{
    float draws[6], middle_y = 0.5f * (float)(h - 1), middle_x = 0.5f * (float)(w - 1);
    float per_row = amount / (0.5f * (float)h), per_column = amount / (0.5f * (float)w);

    aei_rng_normals(rng, draws, 6);
    memcpy(scratch, picture, (size_t)h * w * c * sizeof(*scratch));
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            float down = per_row * ((float)y - middle_y),
                  along = per_column * ((float)x - middle_x);
            between v = place((float)y + amount * draws[0] + draws[1] * down + draws[2] * along, h);
            between u = place((float)x + amount * draws[3] + draws[4] * down + draws[5] * along, w);

            for (uint32_t k = 0; k < c; k++) {
                const float *above = scratch + (size_t)v.first * w * c + k,
                            *below = scratch + (size_t)v.second * w * c + k;
                float a = above[(size_t)u.first * c], b = below[(size_t)u.first * c];

                a += u.share * (above[(size_t)u.second * c] - a);
                b += u.share * (below[(size_t)u.second * c] - b);
                picture[((size_t)y * w + x) * c + k] = a + v.share * (b - a);
            }
        }
}
