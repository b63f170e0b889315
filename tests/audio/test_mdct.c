/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The transform of sound: against its definition in doubles, back to the signal across borders of
 * every width, and to the bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audio/mdct.h"

enum { MOST = 1 << AEI_MDCT_MOST };

static uint64_t draw(uint64_t seed, uint64_t i)
{
    uint64_t v = (seed + i * 0x9e3779b97f4a7c15) ^ seed >> 31;

    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
    v = (v ^ v >> 27) * 0x94d049bb133111eb;
    return v ^ v >> 31;
}

static void cosines_are_rounded(void **state)
{
    int32_t work[16] = {0}, x[16] = {0};

    (void)state;
    aei_mdct_dct4(x, work, 4); /* makes the tables */
    for (uint32_t i = 0; i <= 1 << AEI_MDCT_UNIT; i++)
        assert_true(fabsl((long double)aei_mdct_cos(i) -
                          cosl(acosl(-1) * i / (1 << AEI_MDCT_UNIT)) * 1073741824.0L) <=
                    0.5000001L);
}

static void equals_the_definition(void **state)
{
    static int32_t x[MOST], work[MOST];
    static double in[MOST], cosines[8 * MOST];

    (void)state;
    for (uint32_t l = AEI_MDCT_LEAST; l <= AEI_MDCT_MOST; l++) {
        uint32_t n = 1u << l, stride = n > 256 ? n / 64 + 1 : 1;
        double most = 0;

        for (uint32_t i = 0; i < 8 * n; i++)
            cosines[i] = cos(M_PI * i / (4.0 * n));
        for (uint32_t i = 0; i < n; i++)
            in[i] = x[i] = (int32_t)(draw(l, i) & 0x1ffffff) - 0x1000000;
        aei_mdct_dct4(x, work, l);
        for (uint32_t k = 0; k < n; k += stride) {
            double sum = 0;

            for (uint32_t i = 0; i < n; i++)
                sum += in[i] * cosines[(2 * i + 1) * (2 * k + 1) % (8 * n)];
            most = fmax(most, fabs(sum * sqrt(2.0 / n) - x[k]));
        }
        assert_true(most < 4); /* of 2^24; there are up to 7 roundings */
    }
}

static void comes_back(void **state)
{
    static int32_t x[4 * MOST], original[4 * MOST], work[MOST];
    static const uint32_t sizes[] = {12, 11, 4, 4, 5, 9, 12, 6, 7, 10, 8};

    (void)state;
    for (uint32_t i = 0; i < 4 * MOST; i++)
        x[i] = original[i] = (int32_t)(draw(7, i) & 0xffffff) - 0x800000;
    for (int back = 0; back < 2; back++) {
        uint32_t at = MOST / 2;

        for (uint32_t i = 0; back && i < sizeof(sizes) / sizeof(*sizes); at += 1u << sizes[i++])
            aei_mdct_dct4(x + at, work, sizes[i]);
        at = MOST / 2;
        for (uint32_t i = 1; i < sizeof(sizes) / sizeof(*sizes); i++) {
            uint32_t width = sizes[i] < sizes[i - 1] ? sizes[i] : sizes[i - 1];

            at += 1u << sizes[i - 1];
            (back ? aei_mdct_unlap : aei_mdct_lap)(x + at, width);
        }
        at = MOST / 2;
        for (uint32_t i = 0; !back && i < sizeof(sizes) / sizeof(*sizes); at += 1u << sizes[i++])
            aei_mdct_dct4(x + at, work, sizes[i]);
    }
    for (uint32_t i = 0; i < 4 * MOST; i++)
        assert_true(abs(x[i] - original[i]) <= 8);
}

/* The bits are part of the format. */
static void has_these_bits(void **state)
{
    static int32_t x[MOST], work[MOST];
    uint64_t hash = 0;

    (void)state;
    for (uint32_t l = AEI_MDCT_LEAST; l <= AEI_MDCT_MOST; l++) {
        for (uint32_t i = 0; i < 1u << l; i++)
            x[i] = (int32_t)draw(l + 100, i); /* large ones, too: they wrap */
        aei_mdct_dct4(x, work, l);
        aei_mdct_unlap(x + (1u << (l - 1)), l);
        for (uint32_t i = 0; i < 1u << l; i++)
            hash = draw(hash, (uint32_t)x[i]);
    }
    assert_true(hash == 0x74217a4ef5c91ae9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosines_are_rounded),
        cmocka_unit_test(equals_the_definition),
        cmocka_unit_test(comes_back),
        cmocka_unit_test(has_these_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
