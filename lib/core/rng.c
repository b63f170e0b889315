/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unit normals by Box and Muller: (cos a, sin a) * sqrt(-2 log u). Logarithm, sine and cosine are the polynomials of Cephes
 * (Moshier 1989), made of correctly rounded operations only: the same numbers on every machine, and loops that vectorise. */
#include "core/rng.h"

#include "core/clones.h"

enum { PAIRS = 128 };

/* Even bits of the pairs become a radius, odd ones an angle within +-pi/4, whose quarter the two highest bits choose. Every pair
 * gives a cosine in to[i] and a sine in to[n + i]. */
AEI_CLONES
static void box_muller(const uint32_t *restrict radius, const uint32_t *restrict angle, float *restrict first,
                       float *restrict second, int n)
{
    for (int i = 0; i < n; i++) {
        union { float f; int32_t i; } u = {((float)(int32_t)(radius[i] >> 1) + 0.5f) * 0x1p-31f}, m;
        /* u = 2^e * (1 + x), x in [sqrt(1/2) - 1, sqrt(2) - 1) */
        int32_t shifted = u.i - 0x3f3504f3;
        float e = (float)(shifted >> 23), x, z, y, r, c, s;

        m.i = (shifted & 0x7fffff) + 0x3f3504f3;
        x = m.f - 1.0f;
        z = x * x;
        y = 7.0376836292e-2f;
        y = y * x - 1.1514610310e-1f;
        y = y * x + 1.1676998740e-1f;
        y = y * x - 1.2420140846e-1f;
        y = y * x + 1.4249322787e-1f;
        y = y * x - 1.6668057665e-1f;
        y = y * x + 2.0000714765e-1f;
        y = y * x - 2.4999993993e-1f;
        y = y * x + 3.3333331174e-1f;
        y = y * x * z - 2.12194440e-4f * e - 0.5f * z;
        r = -2.0f * (x + y + 0.693359375f * e);
        r = sqrtf(r > 0 ? r : 0);

        x = (float)((int32_t)(angle[i] << 2) >> 2) * (float)(0x1p-31 * 3.14159265358979323846);
        z = x * x;
        s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x;
        c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
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
