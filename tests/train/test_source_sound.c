/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Mixtures of sound: everything follows from the generator, targets lie below what is heard, the
 * hold-out stays out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ae/recipe.h"
#include "train/loader.h"
#include "train/mix.h"
#include "train/source_sound.h"

enum { FRAMES = 40, BANDS = 128, CELLS = FRAMES * BANDS };

static const char text[] =
    "recipe: 1\nname: tiny\ntask: denoise\nsound: {bands: 128, linear: 96%s}\nnetworks:\n  - name: "
    "net\n    inputs:\n"
    "      - {name: image, channels: 1, width: 128}\n      - {name: place, channels: 1, width: "
    "128}\n    layers:\n"
    "      - {op: concat, from: [image, place]}\n      - {op: conv, out: 1, kernel: [3, 3], pad: "
    "causal, act: sigmoid}\n"
    "      - {op: mul, from: [previous, image]}\ndata: {crop: 40%s}\nloss:\n  - {kind: mse}\n"
    "train: {batch: 4, shards: 2, steps: 30, holdout: 0.25}\n";

/* A set of recordings by formula: voices are tones that come and go, noises are noise, rooms decay.
 */
typedef struct fake {
    char kind;
    size_t n, bad;
    atomic_uint used;
} fake;

static ae_status fake_load(void *opaque, size_t i, ae_signal_info *info, void **frames,
                           ae_error *err)
{
    fake *f = opaque;
    aei_rng rng = aei_rng_make(1, i, (uint64_t)f->kind);
    size_t n = f->kind == 'r' ? 8000 : 30000 + 4000 * i;
    int16_t *to;

    atomic_fetch_or(&f->used, 1u << i);
    if (i == f->bad)
        return ae_fail(err, AE_ERR_MALFORMED, "no sound");
    *info = (ae_signal_info){.kind = AE_KIND_AUDIO,
                             .sample = AE_S16,
                             .bits = 16,
                             .channels = 1 + i % 2,
                             .width = 1,
                             .height = n,
                             .rate = i % 3 ? 16000 : 48000};
    *frames = to = ae_alloc(n * info->channels, sizeof(*to));
    assert_non_null(to);
    for (size_t k = 0; k < n * info->channels; k++) {
        double t = (double)k, v = aei_rng_float(&rng) - 0.5;

        if (f->kind == 'v')
            v = 0.001 * v + 0.4 * sin((0.05 + 0.01 * (double)i) * t) * (sin(t / 3000) > 0);
        else if (f->kind == 'r')
            v *= exp(-t / 500);
        to[k] = (int16_t)(30000 * v);
    }
    return AE_OK;
}

static const char *fake_name(void *opaque, size_t i)
{
    static _Thread_local char name[16];

    snprintf(name, sizeof(name), "%c%zu", ((fake *)opaque)->kind, i);
    return name;
}

typedef struct world {
    fake voices, noises, rooms, music;
    ae_dataset sets[4];
    ae_recipe *recipe;
} world;

static void make_world(world *w, const char *sound, const char *data)
{
    char full[2048];
    ae_error error = {0};

    *w = (world){.voices = {.kind = 'v', .n = 8, .bad = SIZE_MAX},
                 .noises = {.kind = 'n', .n = 6, .bad = SIZE_MAX},
                 .rooms = {.kind = 'r', .n = 3, .bad = SIZE_MAX},
                 .music = {.kind = 'm', .n = 2, .bad = SIZE_MAX}};
    snprintf(full, sizeof(full), text, sound, data);
    if (ae_recipe_parse(full, strlen(full), NULL, &w->recipe, &error) != AE_OK)
        fail_msg("%s", error.message);
    for (int i = 0; i < 4; i++) {
        fake *f = &w->voices + i;

        w->sets[i] = (ae_dataset){
            .opaque = f, .n_items = f->n, .load = fake_load, .name = fake_name};
    }
}

static aei_source_sound *open_source(world *w)
{
    aei_source_sound_config c = {w->recipe, &w->sets[0], &w->sets[1], &w->sets[2], &w->sets[3],
                                 FRAMES,    1 << 24,     NULL,        NULL};
    aei_source_sound *s = NULL;
    ae_error error = {0};

    if (aei_source_sound_create(&c, &s, &error) != AE_OK)
        fail_msg("%s", error.message);
    return s;
}

static void sample(aei_source_sound *s, aei_mixer *m, uint64_t k, bool held, float *to)
{
    aei_rng rng = aei_rng_make(5, k, 0);
    ae_error error = {0};

    if (aei_source_sound_sample(s, m, &rng, held, to, to + CELLS, to + 2 * CELLS, &error) != AE_OK)
        fail_msg("%s", error.message);
}

static void test_repeats(void **state)
{
    world w;
    aei_source_sound *s, *again;
    aei_mixer *m = NULL, *other = NULL;
    float *a = ae_alloc(3 * CELLS, sizeof(float)), *b = ae_alloc(3 * CELLS, sizeof(float));
    double less = 0, total = 0;

    (void)state;
    make_world(&w, ", rooms: 0.5, limits: 0.5, clipped: 0.3", "");
    s = open_source(&w);
    again = open_source(&w);
    assert_int_equal(aei_mixer_create(s, &m, NULL), AE_OK);
    assert_int_equal(aei_mixer_create(again, &other, NULL), AE_OK);
    for (uint64_t k = 0; k < 16; k++) {
        sample(s, m, k, false, a);
        sample(again, other, k + 1, false, b); /* what came before does not matter */
        sample(again, other, k, false, b);
        assert_memory_equal(a, b, 3 * CELLS * sizeof(float));
        for (size_t i = 0; i < CELLS; i++) {
            assert_true(a[i] >= 0 && a[i] < 100 && a[CELLS + i] >= 0 && a[CELLS + i] <= a[i]);
            assert_true(a[2 * CELLS + i] >= 0.5f && a[2 * CELLS + i] <= 4.5f);
            less += a[i] - a[CELLS + i];
            total += a[i];
        }
    }
    /* some of what is heard is noise, some is not */
    assert_true(less > 0.2 * total && less < 0.9 * total);
    aei_mixer_free(m);
    aei_mixer_free(other);
    aei_source_sound_free(s);
    aei_source_sound_free(again);
    ae_recipe_free(w.recipe);
    ae_free(a);
    ae_free(b);
}

static void test_silence_and_cleanness(void **state)
{
    int n_kept = 0;
    world w;
    aei_source_sound *s;
    aei_mixer *m = NULL;
    float *a = ae_alloc(3 * CELLS, sizeof(float));

    (void)state;
    make_world(&w, ", silent: 1", "");
    s = open_source(&w);
    assert_int_equal(aei_mixer_create(s, &m, NULL), AE_OK);
    for (uint64_t k = 0; k < 8; k++) {
        double most = 0, sum = 0;

        sample(s, m, k, false, a);
        for (size_t i = 0; i < CELLS; i++) {
            most = fmax(most, a[CELLS + i]);
            sum += a[i];
        }
        assert_true(most < 0.01 && sum / CELLS > 0.3); /* nothing of it is to stay */
    }
    aei_mixer_free(m);
    aei_source_sound_free(s);
    ae_recipe_free(w.recipe);
    make_world(&w, ", silent: 0, music: 0, clipped: 0", ", clean: 1");
    s = open_source(&w);
    assert_int_equal(aei_mixer_create(s, &m, NULL), AE_OK);
    for (uint64_t k = 0; k < 12; k++) {
        double kept = 0, sum = 0;

        sample(s, m, k, false, a);
        for (size_t i = 0; i < CELLS; i++) {
            kept += a[i] > 2 ? a[CELLS + i] : 0;
            sum += a[i] > 2 ? a[i] : 0;
        }
        /* a pause may last as long as these short samples */
        assert_true(kept > 0.9 * sum || kept <= 0.01 * sum);
        n_kept += kept > 0.98 * sum;
    }
    assert_true(n_kept >= 6);
    aei_mixer_free(m);
    aei_source_sound_free(s);
    ae_recipe_free(w.recipe);
    ae_free(a);
}

static void test_holdout(void **state)
{
    world w;
    aei_source_sound *s;
    aei_mixer *m = NULL;
    float *a = ae_alloc(3 * CELLS, sizeof(float));
    uint32_t seen[2][4];

    (void)state;
    make_world(&w, ", rooms: 1, babble: 0.3", "");
    for (int held = 0; held < 2; held++) {
        for (int i = 0; i < 4; i++)
            atomic_store(&(&w.voices + i)->used, 0);
        s = open_source(&w); /* nothing is cached */
        assert_int_equal(aei_mixer_create(s, &m, NULL), AE_OK);
        for (uint64_t k = 0; k < 45; k++)
            sample(s, m, k, held, a);
        for (int i = 0; i < 4; i++)
            seen[held][i] = atomic_load(&(&w.voices + i)->used);
        aei_mixer_free(m);
        aei_source_sound_free(s);
    }
    for (int i = 0; i < 4; i++) {
        assert_true(seen[0][i] && seen[1][i]);
        assert_int_equal(seen[0][i] & seen[1][i], 0);
    }
    assert_int_equal(seen[0][0] | seen[1][0], 255);
    ae_recipe_free(w.recipe);
    ae_free(a);
}

static void test_unusable(void **state)
{
    world w;
    aei_source_sound *s = NULL;
    aei_source_sound_config c;
    aei_mixer *m = NULL;
    float *a = ae_alloc(3 * CELLS, sizeof(float));
    ae_error error;
    int n_refused = 0;

    (void)state;
    make_world(&w, ", music: 0", "");
    w.voices.bad = 3;
    w.noises.bad = 0;
    s = open_source(&w);
    assert_int_equal(aei_mixer_create(s, &m, NULL), AE_OK);
    for (uint64_t k = 0; k < 30; k++) {
        sample(s, m, k, false, a);
        sample(s, m, k, true, a);
    }
    aei_mixer_free(m);
    aei_source_sound_free(s);
    w.sets[0].n_items = 0;
    c = (aei_source_sound_config){w.recipe, &w.sets[0], NULL, NULL, NULL,
                                  FRAMES,   1 << 24,    NULL, NULL};
    assert_int_equal(aei_source_sound_create(&c, &s, &error), AE_ERR_MALFORMED);
    w.sets[0].n_items = 1;
    w.voices.bad = 0;
    assert_int_equal(aei_source_sound_create(&c, &s, &error), AE_OK);
    assert_int_equal(aei_mixer_create(s, &m, NULL), AE_OK);
    for (uint64_t k = 0; k < 20; k++) { /* samples that are one pause need no recording */
        aei_rng rng = aei_rng_make(1, 2, k);
        ae_status st = aei_source_sound_sample(s, m, &rng, false, a, a + CELLS, a + 2 * CELLS,
                                               &error);

        assert_true(st == AE_OK || st == AE_ERR_MALFORMED);
        n_refused += st == AE_ERR_MALFORMED;
    }
    assert_true(n_refused >= 8);
    aei_mixer_free(m);
    aei_source_sound_free(s);
    ae_recipe_free(w.recipe);
    ae_free(a);
}

/* Through the loader: batches do not depend on the number of threads, and a network trained on them
 * gets better. */
static void test_loader_and_training(void **state)
{
    world w;
    aei_loader *l[2] = {NULL, NULL};
    aei_batch batch[2];
    ae_error error = {0};

    (void)state;
    make_world(&w, "", "");
    for (uint32_t i = 0; i < 2; i++) {
        aei_loader_config c = {.recipe = w.recipe,
                               .data = &w.sets[0],
                               .noise = &w.sets[1],
                               .seed = 9,
                               .threads = 1 + 2 * i};

        if (aei_loader_create(&c, &l[i], &error) != AE_OK)
            fail_msg("%s", error.message);
    }
    for (int step = 0; step < 5; step++) {
        for (int i = 0; i < 2; i++)
            assert_int_equal(aei_loader_next(l[i], &batch[i], NULL, NULL), AE_OK);
        assert_memory_equal(batch[0].inputs[0], batch[1].inputs[0], 4 * CELLS * sizeof(float));
        assert_memory_equal(batch[0].inputs[1], batch[1].inputs[1], 4 * CELLS * sizeof(float));
        assert_memory_equal(batch[0].target, batch[1].target, 4 * CELLS * sizeof(float));
        assert_memory_equal(batch[0].weight, batch[1].weight, 4 * CELLS * sizeof(float));
        assert_true(batch[0].inputs[1][0] == -1 && batch[0].inputs[1][BANDS - 1] == 1);
    }
    for (int i = 0; i < 2; i++)
        aei_loader_free(l[i]);
    {
        aei_loader_config c = {.recipe = w.recipe, .data = &w.sets[0], .noisy_only = true};

        assert_int_equal(aei_loader_create(&c, &l[0], &error), AE_ERR_UNSUPPORTED);
    }
    ae_recipe_free(w.recipe);
}

/* A report holds mixtures, what comes of them and the clean sound, to be seen and heard. */
static void test_report(void **state)
{
    static char all[1 << 21];
    char folder[] = "/tmp/ae-test-heard-XXXXXX", model[64], report[64], full[2048];
    world w;
    ae_error error = {0};
    ae_train_options o = {.steps = 3, .control = {.threads = 1}, .report = report};
    uint32_t players = 0, pictures = 0;
    FILE *file;

    (void)state;
    make_world(&w, "", "");
    snprintf(full, sizeof(full), text, "", "");
    assert_non_null(mkdtemp(folder));
    snprintf(model, sizeof(model), "%s/m.aem", folder);
    snprintf(report, sizeof(report), "%s/m.html", folder);
    o.noise = &w.sets[1];
    if (ae_train(w.recipe, full, &w.sets[0], &o, model, &error) != AE_OK)
        fail_msg("%s", error.message);
    file = fopen(report, "rb");
    assert_non_null(file);
    all[fread(all, 1, sizeof(all) - 1, file)] = 0;
    fclose(file);
    /* "RIFF", a size */
    for (const char *at = all;
         (at = strstr(at, "<audio controls src=\"data:audio/wav;base64,UklGR")); at++)
        players++;
    for (const char *at = all; (at = strstr(at, "data:image/bmp;base64,Qk")); at++)
        pictures++;
    assert_int_equal(players, 3 * 4);
    assert_int_equal(pictures, players);
    assert_non_null(strstr(all, "0 to 24 kHz"));
    unlink(model);
    unlink(report);
    rmdir(folder);
    ae_recipe_free(w.recipe);
}

static void test_rooms_and_noises(void **state)
{
    enum { N = 24000 };
    aei_mix *m = NULL;
    float *x = ae_alloc(N, sizeof(*x)), *y = ae_alloc(N, sizeof(*y)), *room;
    aei_path path = {0};
    size_t n;

    (void)state;
    assert_int_equal(aei_mix_create(48000, N, &m, NULL), AE_OK);
    room = ae_alloc(aei_mix_room(m), sizeof(*room));
    for (int i = 0; i < N; i++)
        x[i] = y[i] = (float)(0.3 * sin(0.02 * i) + 0.3 * sin(1.5 * i)); /* 153 Hz and 11.5 kHz */
    aei_mix_pass(m, &path, y);                                           /* nothing on the way */
    for (int i = 0; i < N; i++)
        assert_true(fabsf(x[i] - y[i]) < 1e-4f);
    path.high = 4000;
    aei_mix_pass(m, &path, y);
    for (int i = 2000; i < N - 2000; i++)
        assert_true(fabsf(y[i] - (float)(0.3 * sin(0.02 * i))) < 0.01f);
    for (uint64_t k = 0; k < 10; k++) {
        aei_rng rng = aei_rng_make(k, 1, 2);

        n = aei_mix_room_draw(&rng, 48000, room, aei_mix_room(m));
        assert_true(n > 0 && n <= aei_mix_room(m) && room[0] == 1);
        for (size_t i = 1; i < n; i++)
            assert_true(fabsf(room[i]) < 1);
        aei_mix_noise(m, &rng, x);
        assert_true(aei_mix_power(x, N) > 0 && isfinite(aei_mix_power(x, N)));
        aei_mix_music(m, &rng, x);
        assert_true(aei_mix_power(x, N) > 0 && aei_mix_power(x, N) < 100);
    }
    memset(x, 0, N * sizeof(*x));
    assert_true(aei_mix_active_power(x, N, 48000) == 0);
    for (int i = 0; i < N / 4; i++)
        x[i] = 0.5f;
    assert_true(fabs(aei_mix_active_power(x, N, 48000) - 0.25) < 0.03 &&
                fabs(aei_mix_power(x, N) - 0.0625) < 1e-6);
    aei_mix_free(m);
    ae_free(x);
    ae_free(y);
    ae_free(room);
}

/* Whichever allocation fails, what was made before is unmade. */
static void test_memory_failures(void **state)
{
    world w;
    ae_status st = AE_ERR_NOMEM;
    uint64_t k;

    (void)state;
    make_world(&w, "", "");
    for (k = 1; st != AE_OK; k++) {
        aei_source_sound_config c = {w.recipe, &w.sets[0], &w.sets[1], &w.sets[2], &w.sets[3],
                                     FRAMES,   1 << 24,    NULL,       NULL};
        aei_source_sound *s = NULL;
        aei_mixer *m = NULL;

        assert_true(k < 200);
        ae_alloc_fail_at(k);
        st = aei_source_sound_create(&c, &s, NULL);
        if (st == AE_OK)
            st = aei_mixer_create(s, &m, NULL);
        ae_alloc_fail_at(0);
        assert_true(st == AE_OK || st == AE_ERR_NOMEM);
        aei_mixer_free(m);
        aei_source_sound_free(s);
    }
    assert_true(k > 20);
    ae_recipe_free(w.recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_silence_and_cleanness),
        cmocka_unit_test(test_holdout),
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_rooms_and_noises),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_loader_and_training),
        cmocka_unit_test(test_memory_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
