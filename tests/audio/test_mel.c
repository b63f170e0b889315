/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Mel distance against a second implementation, written from doc/sound.md: sums of sines and
 * cosines in doubles. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ae/mel.h"

enum { FRAMES = 4 * 2048 + 77, CHANNELS = 2 };

static float a[FRAMES * CHANNELS], b[FRAMES * CHANNELS];

static double hertz(double mel)
{
    return 700 * (pow(10, mel / 2595) - 1);
}

/* dB of band `which` of `count` in the window that begins at x. */
static double energy(const float *x, unsigned n, unsigned which, unsigned count, double rate)
{
    double top = 2595 * log10(1 + rate / 1400) / (count + 1), edge[3], sum = 0, norm = 0;

    for (unsigned i = 0; i < 3; i++)
        edge[i] = hertz(top * (which + i));
    for (unsigned i = 0; i < n; i++)
        norm += pow(0.5 - 0.5 * cos(2 * M_PI * i / n), 2);
    for (unsigned k = (unsigned)ceil(edge[0] * n / rate); k * rate / n < edge[2] && k <= n / 2;
         k++) {
        double f = k * rate / n, re = 0, im = 0;

        for (unsigned i = 0; i < n; i++) {
            double v = x[i * CHANNELS] * (0.5 - 0.5 * cos(2 * M_PI * i / n)),
                   angle = 2 * M_PI * (double)((uint64_t)i * k % n) / n;

            re += v * cos(angle);
            im += v * sin(angle);
        }
        sum += (re * re + im * im) / norm *
               (f < edge[1] ? (f - edge[0]) / (edge[1] - edge[0])
                            : (edge[2] - f) / (edge[2] - edge[1]));
    }
    return 10 * log10(sum + 1e-10);
}

static double plain(double rate)
{
    double all = 0;

    for (unsigned n = 512; n <= 2048; n *= 2) {
        unsigned count = n / 512 * 20, windows = 0;
        double sum = 0;

        for (unsigned at = 0; at + n <= FRAMES; at += n / 4, windows++)
            for (unsigned c = 0; c < CHANNELS; c++)
                for (unsigned i = 0; i < count; i++)
                    sum += fabs(energy(a + at * CHANNELS + c, n, i, count, rate) -
                                energy(b + at * CHANNELS + c, n, i, count, rate));
        all += sum / windows / CHANNELS / count / 3;
    }
    return all;
}

static void agrees(void **state)
{
    uint32_t seed = 1;
    ae_mel *mel = NULL;

    (void)state;
    for (unsigned i = 0; i < FRAMES * CHANNELS; i++) {
        seed = seed * 1664525 + 1013904223;
        a[i] = 0.3f * sinf(0.03f * (float)i) + ldexpf((float)(seed >> 8), -30);
        b[i] = 0.9f * a[i] + (i > FRAMES ? ldexpf((float)(seed & 0xffff), -26) : 0);
    }
    assert_int_equal(ae_mel_create(16000, CHANNELS, &mel, NULL), AE_OK);
    ae_mel_add(mel, a, b, 1000);
    assert_true(isnan(ae_mel_value(mel)));
    ae_mel_add(mel, a + 1000 * CHANNELS, b + 1000 * CHANNELS, FRAMES - 1000);
    assert_true(ae_mel_value(mel) > 0.5);
    /* floats against doubles */
    assert_true(fabs(ae_mel_value(mel) - plain(16000)) < 1e-3 * ae_mel_value(mel));
    ae_mel_free(mel);
    assert_int_equal(ae_mel_create(16000, CHANNELS, &mel, NULL), AE_OK);
    ae_mel_add(mel, a, a, FRAMES);
    assert_true(ae_mel_value(mel) == 0);
    ae_mel_free(mel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
