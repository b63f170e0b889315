/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ae_train from end to end on pictures made by formula: that it learns, that its result depends on
 * neither threads nor interruptions, and what it says when things go wrong. */
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

#include "ae/compress.h"
#include "ae/train.h"

#define HEAD "recipe: 1\nname: test\n"
#define NETWORK                                                                                    \
    "networks:\n"                                                                                  \
    "  - name: net\n"                                                                              \
    "    inputs: [{name: image, channels: 3}, {name: level, channels: 1}]\n"                       \
    "    layers:\n"                                                                                \
    "      - {op: concat, from: [image, level]}\n"                                                 \
    "      - {name: top, op: conv, out: 16}\n"                                                     \
    "      - {op: batchnorm, act: relu}\n"                                                         \
    "      - {op: dropout, value: 0.1}\n"                                                          \
    "      - {name: body, op: conv, out: 16, act: relu}\n"                                         \
    "      - {name: end, op: conv, out: 3, init: zero}\n"

static const char denoise[] = HEAD
    "task: denoise\nresidual: true\n" NETWORK "data: {crop: 16}\n"
    "corruption: [{kind: gaussian, sigma: [25, 25]}]\n"
    "loss: [{kind: mse}]\n"
    "train: {optimizer: adamw, rate: 5.0e-3, steps: 60, warmup: 5, batch: 8, shards: 4, ema: 0.9,\n"
    "  validate_every: 10, holdout: 0.2}\n";

/* Validates at each step and stops when three validations in a row were no better. */
static const char impatient[] = HEAD "task: denoise\nresidual: true\n" NETWORK "data: {crop: 16}\n"
                                     "corruption: [{kind: gaussian, sigma: [25, 25]}]\n"
                                     "loss: [{kind: l1}]\n"
                                     "train: {optimizer: sgd, rate: 0.1, clip: 0.5, ema: 0, steps: "
                                     "500, warmup: 0, batch: 8, shards: 4, validate_every: 1,\n"
                                     "  patience: 3, holdout: 0.2}\n";

/* Beside the transform that it begins as, something to learn: steps, a mean and a scale for each
 * quality. */
static const char codec[] = HEAD
    "task: compress\n"
    "networks:\n"
    "  - name: net\n"
    "    inputs: [{name: image, channels: 3}, {name: quality, channels: 1, height: 1, width: 1}]\n"
    "    layers:\n"
    "      - {op: unshuffle, factor: 4, from: [image]}\n"
    "      - {name: y, op: conv, out: 48, kernel: 1, init: dct}\n"
    "      - {name: step, op: embed, out: 48, factor: 3, value: -1, slope: -2, init: dct, from: "
    "[quality]}\n"
    "      - {name: mean, op: embed, out: 48, factor: 2, from: [quality]}\n"
    "      - {name: scale, op: embed, out: 48, factor: 2, value: 1, from: [quality]}\n"
    "      - {name: q, op: quantise, from: [y, mean, step]}\n"
    "      - {name: rate, op: bits, from: [y, mean, scale, step]}\n"
    "      - {op: conv, out: 48, kernel: 1, init: dct_inverse, from: [q]}\n"
    "      - {name: picture, op: shuffle, factor: 4}\n"
    "    outputs: [picture, rate]\n"
    "data: {crop: 16}\n"
    "loss: [{kind: rate_distortion, lambda: [0.001, 0.1]}]\n"
    "train: {optimizer: adamw, rate: 2.0e-2, steps: 60, warmup: 5, batch: 8, shards: 4, ema: 0.9, "
    "validate_every: 20, "
    "patience: 5, holdout: 0.2}\n";

/* Layer by layer, then all with a critic in turn, then the classes. */
static const char phased[] = HEAD
    "task: autoencode\n"
    "networks:\n"
    "  - name: net\n"
    "    inputs: [{name: image, channels: 3, height: 8, width: 8}]\n"
    "    layers:\n"
    "      - {name: a, op: dense, out: 24, act: sigmoid}\n"
    "      - {name: code, op: dense, out: 8}\n"
    "      - {name: c, op: dense, out: 24, act: sigmoid}\n"
    "      - {name: d, op: dense, out: 192, act: sigmoid}\n"
    "      - {name: picture, op: reshape, height: 8, width: 8, channels: 3}\n"
    "      - {name: logits, op: dense, out: 2, from: [code]}\n"
    "    outputs: [picture]\n"
    "  - name: outer\n"
    "    inputs: [{name: x, channels: 24, height: 1, width: 1, from: a}]\n"
    "    layers: [{name: y, op: dense, out: 192, act: sigmoid, param: d}]\n"
    "  - name: critic\n"
    "    inputs: [{name: x, channels: 8, height: 1, width: 1}]\n"
    "    layers: [{op: dense, out: 8, act: leaky}, {op: dense, out: 1}]\n"
    "terms:\n"
    "  - {name: outer, kind: mse, on: outer.y, to: image}\n"
    "  - {kind: mse}\n"
    "  - {name: tell, kind: adversary, on: code, by: critic}\n"
    "  - {name: fool, kind: adversary, on: code, by: critic, aim: fool, weight: 0.02, warmup: 10}\n"
    "  - {name: class, kind: cross_entropy, on: logits, to: label}\n"
    "phases:\n"
    "  - {train: [a, d], terms: [outer], steps: 12}\n"
    "  - {train: [net], terms: [mse, fool], steps: 14, every: 1}\n"
    "  - {train: [critic], terms: [tell], steps: 14, every: 1}\n"
    "  - {train: [logits, code], terms: [class], steps: 20, rate: 2.0e-2}\n"
    "train: {optimizer: adamw, rate: 5.0e-3, warmup: 2, batch: 8, shards: 4, ema: 0.9, "
    "validate_every: 10, holdout: 0.2}\n";

typedef struct fixture {
    char folder[40], model[64], checkpoint[64], report[64];
    ae_recipe *recipe;
    const char *text;
    ae_dataset data;
    ae_cancel cancel;
    bool all_bad, nan;
    uint64_t cancel_at; /* step; 0: never */
    ae_train_progress last;
    double first_score, done;
    char warnings[2000];
} fixture;

static ae_status load(void *opaque, size_t i, ae_signal_info *info, void **pixels, ae_error *err)
{
    fixture *f = opaque;
    float *p;

    if (f->all_bad)
        return ae_fail(err, AE_ERR_MALFORMED, "not a picture");
    *info = (ae_signal_info){.kind = AE_KIND_IMAGE,
                             .sample = AE_F32,
                             .bits = 32,
                             .channels = 3,
                             .width = 24,
                             .height = 24};
    *pixels = p = ae_alloc(24 * 24 * 3, sizeof(float));
    if (!p)
        return ae_fail(err, AE_ERR_NOMEM, "picture");
    for (int k = 0; k < 24 * 24 * 3; k++)
        p[k] = f->nan ? NAN
                      : 0.5f + 0.3f * sinf(0.2f * (float)(k / 72) + (float)i) *
                                   cosf(0.15f * (float)(k / 3 % 24));
    return AE_OK;
}

static const char *name(void *opaque, size_t i)
{
    static _Thread_local char text[16];

    (void)opaque;
    snprintf(text, sizeof(text), "item %zu", i);
    return text;
}

static void on_share(void *opaque, double done)
{
    fixture *f = opaque;

    assert_true(done >= f->done && done <= 1);
    f->done = done;
}

static void on_progress(void *opaque, const ae_train_progress *p)
{
    fixture *f = opaque;

    if (p->validated && !f->first_score)
        f->first_score = p->score;
    f->last = *p;
}

/* Progress comes by the clock; validations come with the step. */
static void stop_at_step(void *opaque, const ae_train_progress *p)
{
    fixture *f = opaque;

    on_progress(opaque, p);
    if (p->validated && p->step >= f->cancel_at)
        f->cancel.requested = 1;
}

static void on_warning(void *opaque, const char *message)
{
    fixture *f = opaque;

    strncat(f->warnings, message, sizeof(f->warnings) - strlen(f->warnings) - 2);
    strcat(f->warnings, "\n");
}

static void use_recipe(fixture *f, const char *text)
{
    ae_error err = {0};

    ae_recipe_free(f->recipe);
    f->text = text;
    if (ae_recipe_parse(text, strlen(text), "test", &f->recipe, &err) != AE_OK)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    strcpy(f->folder, "/tmp/aetest-train-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->model, sizeof(f->model), "%s/m.aem", f->folder);
    snprintf(f->checkpoint, sizeof(f->checkpoint), "%s/m.ckpt", f->folder);
    snprintf(f->report, sizeof(f->report), "%s/m.html", f->folder);
    f->data = (ae_dataset){.opaque = f, .n_items = 20, .load = load, .name = name};
    use_recipe(f, denoise);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    unlink(f->model);
    unlink(f->checkpoint);
    unlink(f->report);
    rmdir(f->folder);
    ae_recipe_free(f->recipe);
    free(f);
    return 0;
}

static ae_train_options options(fixture *f, uint32_t threads)
{
    return (ae_train_options){.seed = 7,
                              .precision = AE_PRECISION_F32,
                              .control = {.threads = threads, .cancel = &f->cancel, .opaque = f},
                              .watch = on_progress,
                              .warning = on_warning};
}

static ae_status run(fixture *f, const ae_train_options *o, ae_error *err)
{
    *err = (ae_error){0};
    return ae_train(f->recipe, f->text, &f->data, o, f->model, err);
}

static void run_well(fixture *f, const ae_train_options *o)
{
    ae_error err;

    if (run(f, o, &err) != AE_OK)
        fail_msg("%s", err.message);
}

/* The parameters of the model that was written; freed by the caller. */
static float *take_model(const fixture *f, size_t *n)
{
    ae_model *m;
    ae_error err = {0};
    float *copy;

    if (ae_model_open(f->model, NULL, &m, &err) != AE_OK)
        fail_msg("%s", err.message);
    ae_model_values(m, n);
    copy = malloc(*n * sizeof(*copy));
    memcpy(copy, ae_model_values(m, n), *n * sizeof(*copy));
    ae_model_free(m);
    unlink(f->model);
    return copy;
}

static bool contains(const char *path, const char *text)
{
    static char all[1 << 21];
    FILE *file = fopen(path, "rb");
    size_t n;

    if (!file)
        return false;
    n = fread(all, 1, sizeof(all) - 1, file);
    fclose(file);
    all[n] = 0;
    return strstr(all, text) != NULL;
}

static void test_learns(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    ae_model *m;

    o.control.progress = on_share;
    o.report = f->report;
    o.checkpoint = f->checkpoint;
    o.command = "test \"quoted\"";
    o.card_extra = "licence: none";
    run_well(f, &o);
    assert_int_equal(f->last.step, 60);
    assert_true(f->done == 1);
    assert_true(f->last.score > 22.5); /* the noise has 20.2 dB */
    assert_true(f->last.score > f->first_score + 0.5);
    assert_true(f->last.gflops > 0 && f->last.samples_per_second > 0);
    assert_int_equal(access(f->checkpoint, F_OK), -1);
    assert_true(contains(f->report, "<polyline") && contains(f->report, ">step 60"));
    assert_true(contains(f->report, "data:image/bmp;base64,Qk"));
    assert_true(contains(f->report, "kind: mse"));
    assert_int_equal(ae_model_open(f->model, NULL, &m, NULL), AE_OK);
    assert_non_null(strstr(ae_model_card(m), "command: \"test \\\"quoted\\\"\"\n"));
    assert_non_null(strstr(ae_model_card(m), "seed: 7\n"));
    assert_non_null(strstr(ae_model_card(m), "validation_psnr: "));
    assert_non_null(strstr(ae_model_card(m), "licence: none\n"));
    assert_string_equal(ae_model_recipe_text(m), denoise);
    ae_model_free(m);
}

static void test_codec_learns(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    double first;
    ae_model *m;
    ae_coder *coder;

    use_recipe(f, codec);
    o.report = f->report;
    o.steps = 20;
    run_well(f, &o);
    first = f->last.score;
    assert_true(f->last.bpp > 0 && f->last.psnr > 15 && f->last.psnr < 80 && f->last.score < 0);
    o.steps = 60;
    run_well(f, &o);
    if (!(f->last.score > 0.8 * first)) /* both are negative */
        fail_msg("score %g after 20 steps, %g after 60", first, f->last.score);
    assert_true(contains(f->report, "data:image/bmp;base64,Qk"));
    assert_int_equal(ae_model_open(f->model, NULL, &m, NULL), AE_OK);
    assert_non_null(strstr(ae_model_card(m), "validation_score: -"));
    assert_int_equal(ae_coder_open(m, &coder, NULL), AE_OK);
    ae_coder_free(coder);
    ae_model_free(m);
}

/* The model after one uninterrupted run, and whether others equal it. */
static void check_same(fixture *f, const float *expected, size_t n)
{
    size_t m;
    float *got = take_model(f, &m);

    assert_int_equal(m, n);
    assert_memory_equal(got, expected, n * sizeof(*got));
    free(got);
}

static void test_threads_do_not_matter(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 1);
    size_t n, m;
    float *expected, *other;

    o.steps = 12;
    run_well(f, &o);
    expected = take_model(f, &n);
    for (uint32_t threads = 2; threads <= 6; threads += 2) {
        o.control.threads = threads;
        run_well(f, &o);
        check_same(f, expected, n);
    }
    o.seed = 8;
    run_well(f, &o);
    other = take_model(f, &m);
    assert_memory_not_equal(other, expected, n * sizeof(*other));
    free(other);
    free(expected);
}

static void check_resume(fixture *f, const uint64_t *stops, int n_stops)
{
    ae_train_options o = options(f, 2);
    uint64_t end;
    size_t n;
    float *expected;
    ae_error err;

    run_well(f, &o);
    end = f->last.step;
    expected = take_model(f, &n);
    o.checkpoint = f->checkpoint;
    for (int i = 0; i < n_stops; i++) {
        o.control.threads = (uint32_t)(1 + i % 3);
        o.watch = stop_at_step;
        f->cancel_at = stops[i];
        assert_int_equal(run(f, &o, &err), AE_ERR_CANCELLED);
        assert_int_equal(f->last.step, stops[i]);
        assert_int_equal(access(f->checkpoint, R_OK), 0);
        assert_int_equal(access(f->model, R_OK), 0);
        f->cancel.requested = 0;
    }
    o.watch = on_progress;
    run_well(f, &o);
    assert_int_equal(f->last.step, end);
    assert_non_null(strstr(f->warnings, "resumed at step"));
    assert_int_equal(access(f->checkpoint, F_OK), -1);
    check_same(f, expected, n);
    free(expected);
}

static void test_resume(void **state)
{
    check_resume(*state, (const uint64_t[]){10, 40}, 2);
}

/* Phases in order and in turns, a critic's draws, moments and counts of parts of the network, a
 * ramp, labels: all go on exactly. */
static void test_phases_resume(void **state)
{
    fixture *f = *state;
    float labels[20];
    ae_train_options o = options(f, 2);
    ae_error err;
    ae_model *m;

    for (int i = 0; i < 20; i++)
        labels[i] = i % 7 ? (float)(i % 2) : -1;
    use_recipe(f, phased);
    assert_int_equal(run(f, &o, &err), AE_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "labels"));
    f->data.labels = labels;
    check_resume(f, (const uint64_t[]){10, 30, 50}, 3);
    assert_int_equal(f->last.step, 60);
    /* the share of labels that are right */
    assert_true(f->last.score >= 0.5 && f->last.score <= 1);
    assert_true(isfinite(f->last.terms[4]) && isnan(f->last.terms[1]));
    run_well(f, &o);
    assert_int_equal(ae_model_open(f->model, NULL, &m, NULL), AE_OK);
    assert_non_null(strstr(ae_model_card(m), "validation_accuracy: "));
    ae_model_free(m);
    test_threads_do_not_matter(state);
    labels[5] = 2;
    assert_int_equal(run(f, &o, &err), AE_ERR_MISMATCH);
    assert_non_null(strstr(err.message, "item 5 has label 2"));
}

static void test_resume_early_stopping(void **state)
{
    fixture *f = *state;

    use_recipe(f, impatient);
    check_resume(f, (const uint64_t[]){1, 3, 10}, 3);
    assert_true(f->last.step < 500);
}

static void test_time_limit(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);

    o.time_limit = 0.3;
    o.steps = 1000000;
    o.checkpoint = f->checkpoint;
    run_well(f, &o);
    assert_true(f->last.step > 0 && f->last.step < 1000000 && f->last.steps == f->last.step);
    assert_true(isfinite(f->last.score) && isfinite(f->last.first_score) &&
                isfinite(f->last.input_score));
    assert_string_equal(f->last.unit, "dB");
    assert_true(f->last.rate < 0.1 * (double)f->recipe->rate); /* the schedule was completed */
    assert_int_not_equal(access(f->checkpoint, R_OK), 0);
    assert_int_equal(access(f->model, R_OK), 0);
}

static void test_init(void **state)
{
    static const char wider[] = HEAD
        "task: denoise\nresidual: true\n"
        "networks:\n"
        "  - name: net\n"
        "    inputs: [{name: image, channels: 3}, {name: level, channels: 2}]\n"
        "    layers:\n"
        "      - {op: concat, from: [image, level]}\n"
        "      - {name: top, op: conv, out: 16}\n"
        "      - {name: other, op: conv, out: 16, act: relu}\n"
        "      - {name: end, op: conv, out: 3, init: zero}\n"
        "data: {crop: 16}\n"
        "corruption: [{kind: gaussian, sigma: [25, 25]}]\n"
        "train: {rate: 0, rate_end: 0, steps: 1, batch: 4, shards: 2, decay: 0, ema: 0}\n";
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    char donor[64];
    size_t n, m;
    float *old, *new;
    ae_error err;

    o.steps = 20;
    run_well(f, &o);
    snprintf(donor, sizeof(donor), "%s/donor.aem", f->folder);
    old = take_model(f, &n);
    run_well(f, &o);
    rename(f->model, donor);

    use_recipe(f, wider);
    o.steps = 0;
    o.init = donor;
    run_well(f, &o);
    assert_non_null(strstr(f->warnings, "4 of 6 tensors taken"));
    new = take_model(f, &m);
    /* top.weight: 16 x 4 x 3 x 3 there, 16 x 5 x 3 x 3 here */
    for (int q = 0; q < 16; q++)
        for (int i = 0; i < 5 * 9; i++)
            assert_true(new[q * 45 + i] == (i < 36 ? old[q * 36 + i] : 0));
    assert_memory_equal(new + 16 * 45, old + 16 * 36, 16 * sizeof(float)); /* top.bias */
    /* end.* */
    assert_memory_equal(new + m - 16 * 27 - 3, old + n - 16 * 27 - 3,
                        (16 * 27 + 3) * sizeof(float));
    o.init = "/no/such/model.aem";
    assert_int_not_equal(run(f, &o, &err), AE_OK);
    unlink(donor);
    free(old);
    free(new);
}

static void test_not_a_number(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    ae_error err;

    f->nan = true;
    assert_int_equal(run(f, &o, &err), AE_ERR_MALFORMED);
    assert_true(strstr(err.message, "not finite") || strstr(err.message, "usable") ||
                strstr(err.message, "cannot be used"));
}

static void test_divergence(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    ae_error err;

    f->recipe->optimizer = AE_SGD;
    f->recipe->rate = f->recipe->rate_end = 1e12f;
    f->recipe->clip = 0;
    f->recipe->validate_every = 1000;
    assert_int_equal(run(f, &o, &err), AE_ERR_MALFORMED);
    assert_non_null(strstr(err.message, "not finite"));
    assert_non_null(strstr(err.message, "step "));
    assert_non_null(strstr(f->warnings, "step skipped"));
}

static void test_refusals(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    ae_error err;
    FILE *file;

    f->all_bad = true;
    assert_int_equal(run(f, &o, &err), AE_ERR_MALFORMED);
    f->all_bad = false;

    f->recipe->shards = 3;
    assert_int_equal(run(f, &o, &err), AE_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "batch of 8"));
    f->recipe->shards = 4;

    o.steps = 2;
    o.checkpoint = f->checkpoint;
    file = fopen(f->checkpoint, "wb");
    fputs("nonsense", file);
    fclose(file);
    assert_int_equal(run(f, &o, &err), AE_ERR_MALFORMED);
    assert_non_null(strstr(err.message, "m.ckpt"));
    o.checkpoint = NULL;

    f->recipe->terms[0].kind = AE_LOSS_BCE;
    assert_int_equal(run(f, &o, &err), AE_ERR_MISMATCH);
    assert_non_null(strstr(err.message, "sigmoid"));
    f->recipe->terms[0].kind = AE_LOSS_MSE;

    assert_int_equal(ae_train(f->recipe, f->text, &f->data, &o, "/no/such/place/m.aem", &err),
                     AE_ERR_IO);
    assert_int_equal(ae_train(NULL, f->text, &f->data, &o, f->model, &err), AE_ERR_ARGUMENT);
}

/* A run that is continued with other data or another recipe must say so. */
static void test_other_data(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    ae_error err;

    o.checkpoint = f->checkpoint;
    o.watch = stop_at_step;
    f->cancel_at = 10;
    assert_int_equal(run(f, &o, &err), AE_ERR_CANCELLED);
    f->cancel.requested = 0;
    f->data.n_items = 19;
    assert_int_equal(run(f, &o, &err), AE_ERR_MISMATCH);
    assert_non_null(strstr(err.message, "data set"));
    f->data.n_items = 20;
    f->text = impatient;
    assert_int_equal(run(f, &o, &err), AE_ERR_MISMATCH);
    assert_non_null(strstr(err.message, "recipe"));
}

/* Every n-th allocation fails once (of many, some): an error, or a run that got by without it, but
 * never a crash. */
static void test_out_of_memory(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    uint64_t n = 1;
    int failed = 0, passed = 0;

    o.steps = 2;
    o.report = f->report;
    o.checkpoint = f->checkpoint;
    for (; passed < 3; n += n < 40 ? 1 : n / 12) {
        ae_error err;
        ae_status st;

        ae_alloc_fail_at(n);
        st = run(f, &o, &err);
        ae_alloc_fail_at(0);
        unlink(f->checkpoint);
        if (st == AE_OK) {
            passed++;
            continue;
        }
        failed++;
        passed = 0; /* only runs that come after the last allocation count */
        assert_true(err.message[0]);
    }
    assert_true(failed > 30);
    run_well(f, &o);
}

static void test_bench(void **state)
{
    fixture *f = *state;
    ae_train_options o = options(f, 2);
    ae_train_timing t;

    assert_int_equal(ae_train_bench(f->recipe, &f->data, &o, 3, &t, NULL), AE_OK);
    assert_true(t.step > 0 && t.layers > 0 && t.gflops > 0 && t.shards > 0);
    assert_true(t.wait + t.shards + t.update + t.weights <= t.step * 1.001);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_learns),       CASE(test_codec_learns),  CASE(test_threads_do_not_matter),
        CASE(test_resume),       CASE(test_phases_resume), CASE(test_resume_early_stopping),
        CASE(test_time_limit),   CASE(test_init),          CASE(test_divergence),
        CASE(test_not_a_number), CASE(test_refusals),      CASE(test_other_data),
        CASE(test_bench),        CASE(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
