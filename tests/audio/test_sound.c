/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Spectra that come back as the signal, and recordings that stream: equal lengths, no shift, the
 * same bytes for every cut. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ae/sound.h"
#include "audio/spectrum.h"
#include "core/rng.h"

#define HEAD                                                                                       \
    "recipe: 1\nname: tiny\ntask: denoise\nsound: {bands: 128, linear: 96}\nnetworks:\n  - name: " \
    "net\n    inputs:\n"
#define IMAGE "      - {name: image, channels: 1, width: 128}\n"
/* out = the magnitudes */
static const char same[] = HEAD IMAGE
    "    layers:\n      - {op: conv, kernel: 1, bias: false, init: identity}\n";
static const char half[] = HEAD IMAGE "    layers:\n      - {op: scale, value: 0.5}\n";
/* gains that depend on the past, on place and on neighbours */
static const char deep[] = HEAD IMAGE
    "      - {name: place, channels: 1, width: 128}\n    layers:\n      - {op: concat, from: "
    "[image, place]}\n"
    "      - {op: conv, out: 16, kernel: [3, 5], pad: causal, act: relu}\n"
    "      - {op: conv, out: 16, kernel: [3, 1], dilation: [4, 1], pad: causal, act: relu, gate: "
    "last}\n"
    "      - {op: conv, out: 1, kernel: [2, 3], pad: causal, act: sigmoid}\n      - {op: mul, "
    "from: [previous, image]}\n";

static const ae_sound_options plain = {.strength = 1, .level = 1};

static ae_model *make_model(const char *text)
{
    char path[] = "/tmp/ae-test-sound-XXXXXX";
    ae_recipe *recipe = NULL;
    ae_error error = {0};
    ae_model *model = NULL;
    ae_param *params = NULL;
    uint32_t n_params;
    size_t n = 0;
    float *values;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    if (ae_recipe_parse(text, strlen(text), NULL, &recipe, &error) != AE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(ae_graph_params(&recipe->networks[0].graph, &params, &n_params, &n, NULL),
                     AE_OK);
    values = ae_alloc(n + 1, sizeof(*values));
    assert_int_equal(ae_graph_init(&recipe->networks[0].graph, 3, values, NULL), AE_OK);
    if (ae_model_save(
            path,
            &(ae_model_parts){.recipe_text = text, .card = "", .values = values, .n_floats = n},
            &error) != AE_OK)
        fail_msg("%s", error.message);
    if (ae_model_open(path, NULL, &model, &error) != AE_OK)
        fail_msg("%s", error.message);
    unlink(path);
    ae_free(params);
    ae_free(values);
    ae_recipe_free(recipe);
    return model;
}

/* Tones that come and go over noise. */
static float *make_sound(double rate, uint32_t channels, size_t frames)
{
    aei_rng rng = aei_rng_make(7, channels, frames);
    float *to = ae_alloc(frames * channels + 1, sizeof(*to));

    assert_non_null(to);
    for (size_t i = 0; i < frames; i++)
        for (uint32_t c = 0; c < channels; c++) {
            double t = (double)i / rate;

            to[i * channels + c] = (float)(0.2 * sin(2 * M_PI * (300 + 40 * c) * t) *
                                               (sin(9 * t) > 0) +
                                           0.02 * ((double)aei_rng_float(&rng) - 0.5));
        }
    return to;
}

/* In calls of `cut` frames; the output is as long as what came, that of live mode with the latency
 * before it. */
static float *run(const ae_model *model, double rate, uint32_t channels, const ae_sound_options *o,
                  const float *in, size_t frames, size_t cut, size_t *n_out)
{
    ae_sound_denoiser *d = NULL;
    ae_error error = {0};
    size_t most, done = 0, written;
    float *out, *part;

    if (ae_sound_denoiser_new(model, rate, channels, o, &d, &error) != AE_OK)
        fail_msg("%s", error.message);
    most = frames + ae_sound_latency(d);
    out = ae_alloc(most * channels + 1, sizeof(*out));
    part = ae_alloc((ae_sound_room(d, cut) + 1) * channels, sizeof(*part));
    assert_non_null(out);
    assert_non_null(part);
    for (size_t at = 0; at < frames; at += cut) {
        size_t n = frames - at < cut ? frames - at : cut;

        if (ae_sound_process(d, in + at * channels, n, part, ae_sound_room(d, n), &written,
                             &error) != AE_OK)
            fail_msg("%s", error.message);
        if (o->live)
            assert_int_equal(written, n);
        assert_true(done + written <= most);
        memcpy(out + done * channels, part, written * channels * sizeof(*out));
        done += written;
    }
    do {
        assert_int_equal(ae_sound_finish(d, part, cut, &written, &error), AE_OK);
        assert_true(done + written <= most);
        memcpy(out + done * channels, part, written * channels * sizeof(*out));
        done += written;
    } while (written);
    *n_out = done;
    ae_free(part);
    ae_sound_denoiser_free(d);
    return out;
}

static double largest_difference(const float *a, const float *b, size_t n, double k)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        double e = fabs(k * a[i] - b[i]);

        most = e > most || isnan(e) ? e : most;
    }
    return most;
}

static const double rates[] = {8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000};

static void test_bands(void **state)
{
    ae_model *model = make_model(same);
    const ae_sound_features *f = &ae_model_recipe(model)->sound;

    (void)state;
    for (size_t r = 0; r < 9; r++) {
        aei_spectrum *s = NULL;
        float bins[4096], bands[128], *samples, spectrum[8192];
        uint32_t n, bin;

        assert_int_equal(aei_spectrum_create(f, rates[r], &s, NULL), AE_OK);
        n = aei_spectrum_window(s);
        assert_true(fabs(n / rates[r] - 0.032) < 0.0002 &&
                    fabs(aei_spectrum_hop(s) / rates[r] - 0.01) < 0.0001);
        for (uint32_t k = 0; k < aei_spectrum_bins(s); k++)
            bins[k] = 3;
        aei_spectrum_to_bands(s, bins, bands);
        for (uint32_t b = 0; b < 128; b++) /* those above half the rate are empty */
            assert_true(fabsf(bands[b] - 3) < 1e-5f ||
                        (bands[b] == 0 && b > 96 && rates[r] < 48000));
        assert_true(bands[90] > 2.9f);
        for (uint32_t b = 0; b < 128; b++)
            bands[b] = (float)b;
        aei_spectrum_to_bins(s, bands, bins);
        for (uint32_t k = 1; k < aei_spectrum_bins(s); k++)
            assert_true(bins[k] >= bins[k - 1] && bins[k] <= 127);
        /* a sine of full scale has magnitude 1 in its bin, at any rate */
        samples = ae_alloc(n, sizeof(*samples));
        bin = 20;
        for (uint32_t i = 0; i < n; i++)
            samples[i] = (float)sin(2 * M_PI * bin * (i + 0.5) / n);
        aei_spectrum_forward(s, samples, spectrum);
        assert_true(fabs(hypot(spectrum[2 * bin], spectrum[2 * bin + 1]) - 1) < 0.01);
        ae_free(samples);
        aei_spectrum_free(s);
    }
    ae_model_free(model);
}

static void test_unchanged(void **state)
{
    ae_model *model = make_model(same);
    ae_sound_options keep = plain;

    (void)state;
    keep.keep_steady = true;
    for (size_t r = 0; r < 9; r++)
        for (size_t frames = 0; frames < 3; frames++) {
            uint32_t channels = r % 3 == 0 ? 1 : r % 3 == 1 ? 2 : 6;
            size_t n = frames == 0 ? 1 : frames == 1 ? 777 : (size_t)(2.7 * rates[r]), n_out;
            float *in = make_sound(rates[r], channels, n),
                  *out = run(model, rates[r], channels, &keep, in, n, 4096, &n_out);

            assert_int_equal(n_out, n);
            /* rounding of two transforms in f32 */
            assert_true(largest_difference(in, out, n * channels, 1) < 1e-5);
            ae_free(in);
            ae_free(out);
        }
    ae_model_free(model);
}

/* Half of magnitudes to the power 0.3 is a tenth of the magnitudes. */
static void test_gains(void **state)
{
    static const struct {
        ae_sound_options o;
        double gain;
    } cases[] = {
        {{.strength = 1, .level = 1}, 0.099213},
        {{.strength = 0, .level = 1}, 1},
        {{.strength = 0.5, .level = 1}, 0.549606},
        {{.strength = 1, .level = 2}, 0.009843},
        {{.strength = 1, .level = 1, .max_attenuation = 12}, 0.251189},
    };
    ae_model *model = make_model(half);
    size_t n = 30000, n_out;
    float *in = ae_alloc(2 * n, sizeof(*in));
    aei_rng rng = aei_rng_make(5, 2, n);

    (void)state;
    aei_rng_normals(&rng, in, 2 * n);
    for (size_t k = 0; k < 5; k++) {
        float *out = run(model, 44100, 2, &cases[k].o, in, n, 1000, &n_out);

        assert_true(largest_difference(in, out, 2 * n, cases[k].gain) < 5e-5);
        ae_free(out);
    }
    ae_free(in);
    ae_model_free(model);
}

/* A flag stops a denoiser before its next block, and while the rest is fetched. */
static void test_cancel(void **state)
{
    ae_cancel cancel = {0};
    ae_sound_options o = {.strength = 1, .level = 1, .control = {.cancel = &cancel}};
    ae_model *model = make_model(half);
    ae_sound_denoiser *d = NULL;
    size_t n = 60000, room, written;
    float *in = make_sound(44100, 1, n), *out;
    ae_error error = {0};

    (void)state;
    assert_int_equal(ae_sound_denoiser_new(model, 44100, 1, &o, &d, &error), AE_OK);
    room = ae_sound_room(d, n);
    out = ae_alloc(room, sizeof(*out));
    assert_int_equal(ae_sound_process(d, in, n, out, room, &written, &error), AE_OK);
    cancel.requested = 1;
    assert_int_equal(ae_sound_process(d, in, n, out, room, &written, &error), AE_ERR_CANCELLED);
    ae_sound_denoiser_free(d);
    ae_free(in);
    ae_free(out);
    ae_model_free(model);
}

static void test_cuts_and_live(void **state)
{
    static const size_t cuts[] = {480, 1, 997, 200000};
    ae_sound_options live = plain;
    ae_model *model = make_model(deep);
    size_t n = 48000 * 3 + 123, n_out, latency;
    float *in = make_sound(48000, 2, n), *want = run(model, 48000, 2, &plain, in, n, 48000, &n_out),
          *out;
    ae_sound_denoiser *d = NULL;

    (void)state;
    assert_true(largest_difference(in, want, 2 * n, 1) > 0.01);
    for (size_t k = 0; k < 4; k++) {
        out = run(model, 48000, 2, &plain, in, n, cuts[k], &n_out);
        assert_int_equal(n_out, n);
        assert_memory_equal(out, want, 2 * n * sizeof(*out));
        ae_free(out);
    }
    live.live = true;
    assert_int_equal(ae_sound_denoiser_new(model, 48000, 2, &live, &d, NULL), AE_OK);
    latency = ae_sound_latency(d);
    assert_true(latency > 0 && latency <= 1920); /* 40 ms */
    ae_sound_denoiser_free(d);
    n = 48000 + 77;
    for (size_t k = 0; k < 3; k += 2) {
        out = run(model, 48000, 2, &live, in, n, cuts[k], &n_out);
        assert_int_equal(n_out, n + latency);
        for (size_t i = 0; i < 2 * latency; i++)
            assert_true(out[i] == 0);
        /* the end of file mode differs */
        assert_true(largest_difference(out + 2 * latency, want, 2 * (n - 1600), 1) < 1e-4);
        ae_free(out);
    }
    ae_free(in);
    ae_free(want);
    ae_model_free(model);
}

static double decibels_of(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return 10 * log10(sum / (double)n + 1e-20);
}

static double difference_db(const float *x, const float *y, size_t n)
{
    float *d = ae_alloc(n, sizeof(*d));
    double db;

    for (size_t i = 0; i < n; i++)
        d[i] = x[i] - y[i];
    db = decibels_of(d, n);
    ae_free(d);
    return db;
}

/* Steady noise goes even where the network keeps everything; chords stay, and noise beneath them;
 * live as in file mode. */
static void test_steady(void **state)
{
    ae_model *model = make_model(same);
    size_t rate = 16000, n = 6 * rate, tail = n - rate, n_out, latency;
    float *x = ae_alloc(n, sizeof(*x)), *noise = ae_alloc(n, sizeof(*noise)), *y, *z;
    ae_sound_options live = plain, keep = plain;
    aei_rng rng = aei_rng_make(7, 8, 9);

    (void)state;
    live.live = true;
    keep.keep_steady = true;
    aei_rng_normals(&rng, noise, n);
    y = run(model, (double)rate, 1, &plain, noise, n, 4000, &n_out);
    assert_true(decibels_of(y + tail, rate) < decibels_of(noise + tail, rate) - 14);
    assert_true(largest_difference(y, noise, 2 * rate, 1) < 1e-5);
    z = run(model, (double)rate, 1, &live, noise, n, 160, &n_out);
    latency = n_out - n;
    assert_true(largest_difference(z + latency, y, n - 600, 1) < 1e-4);
    ae_free(y);
    ae_free(z);
    y = run(model, (double)rate, 1, &keep, noise, n, 4000, &n_out);
    assert_true(largest_difference(y, noise, n, 1) < 1e-5);
    ae_free(y);
    for (int k = 0; k < 2; k++) { /* a chord for six seconds; notes, with noise 20 dB below */
        for (size_t i = 0; i < n; i++) {
            double t = (double)i / (double)rate, f = k ? 220 * pow(2, floor(3 * t) / 6) : 220;

            x[i] = (float)(sin(2 * M_PI * f * t) + sin(2.5 * M_PI * f * t) +
                           sin(3 * M_PI * f * t)) +
                   (k ? 0.12f * noise[i] : 0);
        }
        y = run(model, (double)rate, 1, &plain, x, n, 4000, &n_out);
        assert_true(largest_difference(y, x, n, 1) < (k ? 0.05 : 1e-3));
        ae_free(y);
    }
    ae_free(x);
    ae_free(noise);
    ae_model_free(model);
}

/* What is one tone or a few stays where the network takes all for noise, however it glides; hum,
 * noise and narrow noise go, and so does a faint tone after something loud. */
static void test_tones(void **state)
{
    ae_model *model = make_model(half);
    size_t rate = 16000, n = 4 * rate, n_out, latency;
    float *x = ae_alloc(n, sizeof(*x)), *y, *z;
    ae_sound_options live = plain;
    aei_rng rng = aei_rng_make(3, 1, 4);

    (void)state;
    live.live = true;
    for (int kind = 0; kind < 6; kind++) {
        double phase = 0, low = 0, lower = 0;

        for (size_t i = 0; i < n; i++) {
            double t = (double)i / (double)rate, hum = 0;

            phase += 2 * M_PI * (kind == 0 ? 200 * pow(35, t / 4) : 900 + 500 * sin(18 * t)) /
                     (double)rate;
            for (int k = 1; k < 20; k++)
                hum += sin(2 * M_PI * 60 * k * t + k) / k;
            low += 0.1 * (aei_rng_normal(&rng) - low);
            lower += 0.1 * (low - lower);
            x[i] = (float)(kind < 2    ? 0.3 * sin(phase) + 0.003 * aei_rng_normal(&rng)
                           : kind == 2 ? (fmod(t, 0.5) < 0.1 ? 0.3 * sin(5278 * t) : 0) +
                                             (fmod(t, 0.5) < 0.1 ? 0.3 * sin(8394 * t) : 0)
                           : kind == 3 ? 0.1 * hum
                           : kind == 4 ? lower
                                       : (t < 1 ? 0.5 * aei_rng_normal(&rng) : 0.01 * sin(phase)));
        }
        y = run(model, (double)rate, 1, &plain, x, n, 4000, &n_out);
        if (kind < 3) { /* the moment when a tone begins may be lost */
            assert_true(difference_db(y, x, n) < decibels_of(x, n) - (kind < 2 ? 30 : 7));
        } else {
            size_t from = kind == 5 ? 5 * rate / 4 : rate / 4, most = kind == 5 ? rate / 4 : n / 2;

            assert_true(decibels_of(y + from, most) < decibels_of(x + from, most) - 17);
        }
        z = run(model, (double)rate, 1, &live, x, n, 160, &n_out);
        latency = n_out - n;
        assert_true(largest_difference(z + latency, y, n - 600, 1) < 1e-4);
        ae_free(y);
        ae_free(z);
    }
    ae_free(x);
    ae_model_free(model);
}

/* A buzz of the mains, a little off, goes from the pauses of something else, which stays; drones of
 * notes beside these frequencies stay. */
static void test_hum(void **state)
{
    static const double hertz[] = {99.9, 60.1, 98, 123.47, 61.74};
    ae_model *model = make_model(same);
    size_t rate = 16000, n = 6 * rate, n_out, latency;
    float *x = ae_alloc(n, 2 * sizeof(*x)), *y, *z;
    ae_sound_options live = plain;
    aei_rng rng = aei_rng_make(5, 6, 7);

    (void)state;
    live.live = true;
    for (int kind = 0; kind < 5; kind++) {
        for (size_t i = 0; i < n; i++) { /* out of phase in the other channel */
            double t = (double)i / (double)rate, buzz = 0, burst = fmod(t, 1) < 0.6 ? 1 : 0;

            for (int k = 1; k < 20; k++)
                buzz += 0.02 * sin(2 * M_PI * hertz[kind] * k * t + k * k) / sqrt(k);
            burst *= aei_rng_normal(&rng);
            x[2 * i] = (float)(burst + buzz);
            x[2 * i + 1] = (float)(burst - buzz);
        }
        y = run(model, (double)rate, 2, &plain, x, n, 4000, &n_out);
        for (size_t at = 4 * rate; at < n; at += rate) {
            size_t pause = 2 * (at + rate * 7 / 10), burst = 2 * (at + rate / 10), d = rate / 4;
            double change = decibels_of(y + pause, 2 * d) - decibels_of(x + pause, 2 * d);

            assert_true(kind < 2 ? change < -20 : fabs(change) < 0.1);
            assert_true(difference_db(y + burst, x + burst, 2 * d) <
                        decibels_of(x + burst, 2 * d) - 12);
        }
        z = run(model, (double)rate, 2, &live, x, n, 160, &n_out);
        latency = n_out - n;
        assert_true(largest_difference(z + 2 * latency, y, 2 * (n - 600), 1) < 1e-4);
        ae_free(y);
        ae_free(z);
    }
    ae_free(x);
    ae_model_free(model);
}

static void test_bad_samples_and_silence(void **state)
{
    ae_model *model = make_model(deep);
    ae_sound_denoiser *d = NULL;
    ae_sound_stats stats;
    size_t n = 100000, written;
    float *in = ae_alloc(n, sizeof(*in)), *out = ae_alloc(4 * n, sizeof(*out));
    ae_error error;

    (void)state;
    in[777] = NAN;
    in[778] = INFINITY;
    in[90000] = -INFINITY;
    assert_int_equal(ae_sound_denoiser_new(model, 16000, 1, NULL, &d, NULL), AE_OK);
    assert_int_equal(ae_sound_process(d, in, n, out, ae_sound_room(d, n) - 1, &written, &error),
                     AE_ERR_ARGUMENT);
    assert_int_equal(ae_sound_process(d, in, n, out, 4 * n, &written, NULL), AE_OK);
    for (size_t i = 0; i < written; i++)
        assert_true(out[i] == 0);
    assert_int_equal(ae_sound_finish(d, out, 4 * n, &written, NULL), AE_OK);
    for (size_t i = 0; i < written; i++)
        assert_true(out[i] == 0);
    ae_sound_stats_get(d, &stats);
    assert_int_equal(stats.bad_samples, 3);
    assert_int_equal(stats.first_bad, 777);
    assert_true(stats.level_in_db == -140 && stats.level_out_db == -140 && stats.seconds == 6.25);
    ae_sound_denoiser_free(d);
    ae_free(in);
    ae_free(out);
    ae_model_free(model);
}

/* A stretch of noise of its own: what is like it goes, what is far above it stays. */
static void test_profile(void **state)
{
    ae_model *model = make_model(same);
    size_t n = 48000, n_out;
    float *in = make_sound(48000, 1, n), *noise = ae_alloc(n, sizeof(*noise)), *out;
    aei_rng rng = aei_rng_make(1, 2, 3);
    ae_sound_options o = plain;
    double before = 0, after = 0;

    (void)state;
    for (size_t i = 0; i < n; i++)
        in[i] = noise[i] = 0.1f * (aei_rng_float(&rng) - 0.5f);
    for (size_t i = n / 2; i < n; i++)
        in[i] += 0.5f * (float)sin(0.1 * (double)i);
    o.profile = noise;
    o.profile_frames = n;
    out = run(model, 48000, 1, &o, in, n, n, &n_out);
    for (size_t i = 2000; i < n / 2 - 2000; i++) {
        before += in[i] * in[i];
        after += out[i] * out[i];
    }
    assert_true(after < 0.3 * before);
    before = after = 0;
    for (size_t i = n / 2 + 2000; i < n - 2000; i++) {
        before += in[i] * in[i];
        after += out[i] * out[i];
    }
    assert_true(after > 0.9 * before);
    ae_free(in);
    ae_free(noise);
    ae_free(out);
    ae_model_free(model);
}

static void test_refusals(void **state)
{
    static const char picture[] =
        "recipe: 1\nname: p\ntask: denoise\nnetworks:\n  - name: net\n    inputs:\n"
        "      - {name: image, channels: 1}\n    layers:\n      - {op: conv, kernel: 1}\n";
    ae_model *model = make_model(same), *other = make_model(picture);
    ae_sound_options o = plain;
    ae_sound_denoiser *d;
    ae_error error;

    (void)state;
    assert_int_equal(ae_sound_denoiser_new(other, 48000, 1, NULL, &d, &error), AE_ERR_MISMATCH);
    assert_int_equal(ae_sound_denoiser_new(model, 4000, 1, NULL, &d, &error), AE_ERR_ARGUMENT);
    assert_int_equal(ae_sound_denoiser_new(model, NAN, 1, NULL, &d, &error), AE_ERR_ARGUMENT);
    assert_int_equal(ae_sound_denoiser_new(model, 400000, 1, NULL, &d, &error), AE_ERR_ARGUMENT);
    assert_int_equal(ae_sound_denoiser_new(model, 48000, 0, NULL, &d, &error), AE_ERR_ARGUMENT);
    assert_int_equal(ae_sound_denoiser_new(model, 48000, 33, NULL, &d, &error), AE_ERR_ARGUMENT);
    o.strength = 1.5;
    assert_int_equal(ae_sound_denoiser_new(model, 48000, 1, &o, &d, &error), AE_ERR_ARGUMENT);
    ae_model_free(other);
    ae_model_free(model);
}

static void test_memory_failures(void **state)
{
    ae_model *model = make_model(same);
    ae_status st = AE_ERR_NOMEM;

    (void)state;
    for (uint64_t k = 1; st != AE_OK; k++) {
        ae_sound_denoiser *d = NULL;

        assert_true(k < 1000);
        ae_alloc_fail_at(k);
        st = ae_sound_denoiser_new(model, 16000, 2, NULL, &d, NULL);
        ae_alloc_fail_at(0);
        assert_true((st == AE_OK) == (d != NULL));
        assert_true(st == AE_OK || st == AE_ERR_NOMEM);
        ae_sound_denoiser_free(d);
    }
    ae_model_free(model);
}

/* Syllables: harmonics of a gliding pitch under moving formants, with pauses. */
static float *make_voice(double rate, size_t n)
{
    float *to = ae_alloc(n, sizeof(*to));
    double phase = 0;

    assert_non_null(to);
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / rate, f0 = 130 + 40 * sin(2.1 * t) + 15 * sin(7 * t), v = 0;
        double loud = fmax(0, sin(2 * M_PI * 3.3 * t)) * (fmod(t, 2.5) < 1.9);
        double formants[3] = {500 + 250 * sin(5 * t), 1500 + 600 * sin(3.7 * t + 1),
                              2600 + 200 * sin(4.4 * t)};

        phase += 2 * M_PI * f0 / rate;
        for (int k = 1; k < 26; k++) {
            double a = 0.03;

            for (int j = 0; j < 3; j++)
                a += exp(-pow((k * f0 - formants[j]) / 120, 2)) / (1 + j);
            v += a * sin(k * phase) / sqrt(k);
        }
        to[i] = (float)(0.05 * loud * v);
    }
    return to;
}

static double si_sdr(const float *clean, const float *x, size_t n)
{
    double cc = 0, cx = 0, target = 0, rest = 0;

    for (size_t i = 0; i < n; i++) {
        cc += (double)clean[i] * clean[i];
        cx += (double)clean[i] * x[i];
    }
    for (size_t i = 0; i < n; i++) {
        double s = cx / cc * clean[i];

        target += s * s;
        rest += (x[i] - s) * (x[i] - s);
    }
    return 10 * log10(target / rest);
}

/* The model that ships: what it must do on sounds that anybody can make, at any level. */
static void test_voice(void **state)
{
    static const double levels[] = {1, 0.03};
    ae_sound_options live = plain;
    ae_model *model = NULL;
    ae_error error = {0};
    char path[4096];
    size_t rate = 16000, n = 6 * rate, n_out;
    float *voice = make_voice((double)rate, n), *noise = ae_alloc(n, sizeof(*noise)),
          *x = ae_alloc(n, sizeof(*x)), *y, *z;
    aei_rng rng = aei_rng_make(4, 5, 6);
    double scale;

    (void)state;
    if (ae_model_find("voice", path, sizeof(path), &error) != AE_OK ||
        ae_model_open(path, NULL, &model, &error) != AE_OK)
        fail_msg("%s", error.message);
    aei_rng_normals(&rng, noise, n);
    scale = pow(10, (decibels_of(voice, n) - decibels_of(noise, n) - 3) / 20);
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(levels[k] * (voice[i] + scale * noise[i]));
        y = run(model, (double)rate, 1, &plain, x, n, 4000, &n_out);
        assert_int_equal(n_out, n);
        assert_true(si_sdr(voice, y, n) > si_sdr(voice, x, n) + 4);
        if (k == 0) {
            live.live = true;
            z = run(model, (double)rate, 1, &live, x, n, 160, &n_out);
            assert_true(largest_difference(z + n_out - n, y, n - 600, 1) < 1e-4);
            ae_free(z);
        }
        ae_free(y);
    }
    y = run(model, (double)rate, 1, &plain, voice, n, 4000, &n_out);
    assert_true(si_sdr(voice, y, n) > 9); /* stranger than any speech, and kept all the same */
    ae_free(y);
    y = run(model, (double)rate, 1, &plain, noise, n, 4000, &n_out);
    assert_true(decibels_of(y, n) < decibels_of(noise, n) - 15);
    ae_free(y);
    ae_free(voice);
    ae_free(noise);
    ae_free(x);
    ae_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bands),
        cmocka_unit_test(test_unchanged),
        cmocka_unit_test(test_gains),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cuts_and_live),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_bad_samples_and_silence),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_tones),
        cmocka_unit_test(test_hum),
        cmocka_unit_test(test_voice),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
