/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unit normals by Box and Muller: (cos a, sin a) * sqrt(-2 log u). Logarithm, sine and cosine are
 * polynomials (fastmath.h), so that the numbers are the same on every machine and the loop
 * vectorises. */
#include "core/rng.h"

#include "core/clones.h"
#include "core/fastmath.h"

enum { PAIRS = 128 };

/* Low words become radii, high words angles within +-pi/4, whose two highest bits choose the
 * quarter of the circle. */
AEI_CLONES
static void box_muller(const uint32_t *restrict radius, const uint32_t *restrict angle,
                       float *restrict first, float *restrict second, int n)
{
    for (int i = 0; i < n; i++) {
        float u = ((float)(int32_t)(radius[i] >> 1) + 0.5f) * 0x1p-31f, r = -2.0f * aei_log(u), x,
              z, c, s;

        r = sqrtf(r > 0 ? r : 0);
        x = (float)((int32_t)(angle[i] << 2) >> 2) * (float)(0x1p-31 * 3.14159265358979323846);
        z = x * x;
        s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x;
        c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z *
                z -
            0.5f * z + 1.0f;
        r = angle[i] & 0x80000000u ? -r : r;
        first[i] = r * (angle[i] & 0x40000000u ? s : c);
        second[i] = r * (angle[i] & 0x40000000u ? c : s);
    }
}

void aei_rng_normals(aei_rng *r, float *to, uint64_t n)
{
    while (n) {
        uint32_t radius[PAIRS], angle[PAIRS];
        int pairs = n < 2 * PAIRS ? (int)(n + 1) / 2 : PAIRS;

        for (int i = 0; i < pairs; i++) {
            uint64_t u = aei_rng_u64(r);

            radius[i] = (uint32_t)u;
            angle[i] = (uint32_t)(u >> 32);
        }
        if (n >= 2 * (uint64_t)pairs) {
            box_muller(radius, angle, to, to + pairs, pairs);
            to += 2 * pairs;
            n -= 2 * (uint64_t)pairs;
        } else {
            float last[PAIRS];

            box_muller(radius, angle, to, last, pairs);
            for (int i = 0; i + pairs < (int)n; i++)
                to[pairs + i] = last[i];
            n = 0;
        }
    }
}
