/* SPDX-License-Identifier: BSD-2-Clause */
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

#include "train/checkpoint.h"

enum { N = 37 };

typedef struct fixture {
    char path[64];
    float values[4 * N], best[N];
    uint64_t skipped[2];
    aei_state state;
    aei_progress progress;
    aei_run_key key;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    int fd;

    strcpy(f->path, "/tmp/aetest-checkpoint-XXXXXX");
    fd = mkstemp(f->path);
    close(fd);
    for (int i = 0; i < 4 * N; i++)
        f->values[i] = (float)i * 0.37f;
    for (int i = 0; i < N; i++)
        f->best[i] = (float)-i;
    f->state = (aei_state){
        N, f->values, f->values + N, f->values + 2 * N, f->values + 3 * N, 41, f->skipped, 2};
    f->skipped[0] = 7;
    f->skipped[1] = 11;
    f->progress = (aei_progress){.step = 42,
                                 .faults = 1,
                                 .stale = 2,
                                 .score = 30.5,
                                 .best_score = 31,
                                 .seconds = 12,
                                 .has_best = true,
                                 .best = f->best,
                                 .n_points = 3};
    for (int i = 0; i < 3; i++)
        f->progress.points[i] = (aei_point){i, 0.5 * i, 1e-3, i ? NAN : 30};
    f->key = (aei_run_key){1, 2, 3, 100, 1, 0, 0};
    *state = f;
    return aei_checkpoint_save(f->path, &f->key, &f->state, &f->progress, NULL) != AE_OK;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    unlink(f->path);
    free(f);
    return 0;
}

/* Loads into other memory; `to` then holds what was read. */
static ae_status load(const fixture *f, fixture *to, aei_run_key key, bool *found, ae_error *err)
{
    memset(to, 0, sizeof(*to));
    to->state = (aei_state){
        N, to->values, to->values + N, to->values + 2 * N, to->values + 3 * N, 0, to->skipped, 2};
    to->progress.best = to->best;
    to->key = key;
    return aei_checkpoint_load(f->path, &to->key, &to->state, &to->progress, found, err);
}

static void test_round_trip(void **state)
{
    fixture *f = *state;
    static fixture got;
    aei_run_key key = f->key;
    bool found;

    key.data = 99; /* reported, not compared */
    assert_int_equal(load(f, &got, key, &found, NULL), AE_OK);
    assert_true(found);
    assert_memory_equal(got.values, f->values, sizeof(f->values));
    assert_memory_equal(got.best, f->best, sizeof(f->best));
    assert_memory_equal(got.progress.points, f->progress.points, sizeof(f->progress.points));
    assert_int_equal(got.key.data, 2);
    assert_int_equal(got.state.n_updates, 41);
    assert_true(got.skipped[0] == 7 && got.skipped[1] == 11);
    assert_int_equal(got.progress.step, 42);
    assert_int_equal(got.progress.faults, 1);
    assert_int_equal(got.progress.stale, 2);
    assert_true(got.progress.score == 30.5 && got.progress.best_score == 31 &&
                got.progress.seconds == 12);
    assert_true(got.progress.has_best);

    unlink(f->path);
    assert_int_equal(load(f, &got, f->key, &found, NULL), AE_OK);
    assert_false(found);
    assert_int_equal(got.progress.step, 0);
}

static void test_other_run(void **state)
{
    fixture *f = *state;
    static fixture got;
    bool found;
    const size_t words[] = {0, 2, 3, 4, 5, 6};
    const char *const names[] = {"recipe",    "seed",       "number of steps",
                                 "precision", "noisy-only", "cache"};

    for (int i = 0; i < 6; i++) {
        aei_run_key key = f->key;
        ae_error err = {0};

        ((uint64_t *)&key)[words[i]]++;
        assert_int_equal(load(f, &got, key, &found, &err), AE_ERR_MISMATCH);
        assert_non_null(strstr(err.message, names[i]));
        assert_non_null(strstr(err.message, "delete"));
        assert_int_equal(got.progress.step, 0);
    }
}

/* Every single damaged byte and every truncation is found, and nothing is taken over. */
static void test_damage(void **state)
{
    fixture *f = *state;
    static fixture got;
    static uint8_t all[65536];
    size_t n;
    bool found;
    FILE *file = fopen(f->path, "rb");

    n = fread(all, 1, sizeof(all), file);
    fclose(file);
    for (size_t i = 0; i <= n; i++) {
        /* whole with one byte changed, longer by one, or cut */
        const size_t keep = i % 2 || i == n ? n + (i == n) : i;
        ae_error err = {0};

        all[i] ^= 0x10;
        file = fopen(f->path, "wb");
        fwrite(all, 1, keep, file);
        fclose(file);
        all[i] ^= 0x10;
        assert_int_not_equal(load(f, &got, f->key, &found, &err), AE_OK);
        assert_non_null(strstr(err.message, keep ? "delete" : "empty"));
        assert_int_equal(got.state.n_updates, 0);
    }
}

static void test_unwritable(void **state)
{
    fixture *f = *state;
    ae_error err = {0};

    assert_int_equal(
        aei_checkpoint_save("/no/such/place/x.ckpt", &f->key, &f->state, &f->progress, &err),
        AE_ERR_IO);
    assert_int_equal(aei_checkpoint_save("/tmp", &f->key, &f->state, &f->progress, &err),
                     AE_ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unwritable, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
