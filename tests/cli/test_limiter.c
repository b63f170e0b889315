/* SPDX-License-Identifier: BSD-2-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/limiter.h"

enum { N = 20000, RATE = 48000 };

typedef struct taken {
    float samples[2 * N];
    size_t n;
} taken;

static ae_status take(void *opaque, const float *frames, uint32_t n, ae_error *err)
{
    taken *t = opaque;

    (void)err;
    assert_true(t->n + n <= N);
    memcpy(t->samples + 2 * t->n, frames, 2 * n * sizeof(float));
    t->n += n;
    return AE_OK;
}

static void run(ae_sample sample, bool at_once, const float *in, uint32_t cut, taken *out,
                uint64_t *turned_down)
{
    ae_signal_info info = {
        .kind = AE_KIND_AUDIO, .sample = sample, .channels = 2, .width = 1, .rate = RATE};
    limiter l;

    out->n = 0;
    assert_int_equal(limiter_init(&l, &info, at_once, NULL), AE_OK);
    assert_true(cut <= l.block);
    for (uint32_t at = 0; at < N; at += cut)
        assert_int_equal(
            limiter_write(&l, in + 2 * at, N - at < cut ? N - at : cut, take, out, NULL), AE_OK);
    assert_int_equal(limiter_finish(&l, take, out, NULL), AE_OK);
    assert_int_equal(out->n, N);
    *turned_down = l.turned_down;
    limiter_clear(&l);
}

static void test_limiter(void **state)
{
    static float in[2 * N];
    static taken one, other;
    uint64_t turned_down;

    (void)state;
    for (size_t i = 0; i < N; i++)
        for (size_t c = 0; c < 2; c++)
            in[2 * i + c] = sinf((float)i * 0.05f) * (i > 9000 && i < 9100 && c ? 2.5f
                                                      : i == N - 1              ? 40.0f
                                                                                : 1.0f);

    /* what is out of reach of the peaks stays, bit for bit; nothing exceeds what 16 bits hold; cuts
     * change nothing */
    run(AE_S16, false, in, 480, &one, &turned_down);
    assert_true(turned_down > 0 && turned_down < 3000);
    for (size_t i = 0; i < 2 * N; i++)
        assert_true(fabsf(one.samples[i]) <= 1.0f);
    assert_memory_equal(one.samples, in, 2 * 7900 * sizeof(float));
    assert_memory_equal(one.samples + 2 * 10200, in + 2 * 10200,
                        2 * (18500 - 10200) * sizeof(float));
    /* both channels by the same gain, without steps */
    for (size_t i = 8000; i < 10200; i++)
        if (fabsf(in[2 * i]) > 0.1f) {
            float left = one.samples[2 * i] / in[2 * i],
                  right = one.samples[2 * i + 1] / in[2 * i + 1];

            assert_true(fabsf(left - right) < 1e-5f && left > 0.3f && left <= 1.0f);
        }
    run(AE_S16, false, in, 77, &other, &turned_down);
    assert_memory_equal(one.samples, other.samples, sizeof(one.samples));
    run(AE_S16, true, in, 480, &other, &turned_down);
    for (size_t i = 0; i < 2 * N; i++)
        assert_true(fabsf(other.samples[i]) <= 1.0f);
    /* floats are left alone */
    run(AE_F32, false, in, 480, &other, &turned_down);
    assert_memory_equal(other.samples, in, sizeof(in));
    assert_int_equal(turned_down, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limiter)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
