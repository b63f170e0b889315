/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The step as a whole: what it subtracts from the parameters is the gradient of the loss that it
 * reports. */
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

#include "core/rng.h"
#include "train/trainer.h"

#define HEAD "recipe: 1\nname: test\n"
#define PLAIN                                                                                      \
    "train: {optimizer: sgd, beta1: 0, rate: 1, decay: 0, clip: 0, ema: 0, steps: 100, batch: 4, " \
    "shards: 2}\n"

static const char dense[] = HEAD "task: autoencode\n"
                                 "networks:\n"
                                 "  - name: net\n"
                                 "    inputs: [{name: image, channels: 1, height: 6, width: 5}]\n"
                                 "    layers:\n"
                                 "      - {op: dense, out: 12, act: tanh}\n"
                                 "      - {name: code, op: dense, out: 5, act: sigmoid}\n"
                                 "      - {op: dense, out: 30, act: sigmoid}\n"
                                 "      - {op: reshape, height: 6, width: 5, channels: 1}\n"
                                 "loss: [{kind: mse}, {kind: bce, weight: 0.1}]\n"
                                 "penalties: [{kind: kl_sparse, weight: 0.01, target: 0.1, node: "
                                 "code}, {kind: l2, weight: 0.5},\n"
                                 "  {kind: l1, weight: 0.1, node: code}]\n" PLAIN;

static const char residual[] = HEAD
    "task: denoise\n"
    "residual: true\n"
    "networks:\n"
    "  - name: net\n"
    "    inputs: [{name: image, channels: 3}, {name: level, channels: 1}]\n"
    "    layers:\n"
    "      - {op: concat, from: [image, level]}\n"
    "      - {op: unshuffle}\n"
    "      - {op: conv, out: 8, act: silu}\n"
    "      - {op: residual, act: tanh}\n"
    "      - {op: conv, out: 12}\n"
    "      - {op: shuffle}\n"
    "data: {crop: 8}\n"
    "corruption: [{kind: gaussian, sigma: [0, 50]}]\n"
    "loss: [{kind: charbonnier}, {kind: tv, weight: 0.1}]\n"
    "penalties: [{kind: l1, weight: 0.05}]\n" PLAIN;

/* Outputs reach far beyond the bound, 2/3 of the deviation. */
static const char bounded[] = HEAD
    "task: denoise\n"
    "residual: true\n"
    "bound: 0.67\n"
    "networks:\n"
    "  - name: net\n"
    "    inputs: [{name: image, channels: 3}, {name: level, channels: 2}]\n"
    "    layers:\n"
    "      - {op: concat, from: [image, level]}\n"
    "      - {op: conv, out: 8, act: tanh}\n"
    "      - {op: conv, out: 3}\n"
    "data: {crop: 8}\n"
    "corruption: [{kind: camera, sigma: [0, 50]}]\n"
    "loss: [{kind: mse}]\n" PLAIN;

static const char normalised[] = HEAD "task: autoencode\n"
                                      "networks:\n"
                                      "  - name: net\n"
                                      "    inputs: [{name: image, channels: 3}]\n"
                                      "    layers:\n"
                                      "      - {name: norm, op: batchnorm}\n"
                                      "      - {name: a, op: conv, out: 8}\n"
                                      "      - {name: b, op: conv, out: 3}\n"
                                      "data: {crop: 8}\n"
                                      "loss: [{kind: l1}]\n" PLAIN;

static const char given[] = HEAD "task: autoencode\n"
                                 "networks:\n"
                                 "  - name: net\n"
                                 "    inputs: [{name: image, channels: 3}]\n"
                                 "    layers:\n"
                                 "      - {op: normalise, param: data}\n"
                                 "      - {op: conv, out: 8, act: relu}\n"
                                 "      - {op: conv, out: 3}\n"
                                 "      - {op: denormalise, param: data}\n"
                                 "data: {crop: 8}\n"
                                 "loss: [{kind: mse}]\n" PLAIN;

/* Serves as a model of features; the other recipe compares pictures by them. %s: its file. */
static const char features[] = HEAD
    "task: autoencode\n"
    "networks:\n"
    "  - name: net\n"
    "    inputs: [{name: image, channels: 3}, {name: level, channels: 1}]\n"
    "    layers:\n"
    "      - {op: concat, from: [image, level]}\n"
    "      - {op: conv, out: 8, act: tanh}\n"
    "      - {name: seen, op: conv, out: 4, act: sigmoid, stride: 2}\n"
    "      - {op: conv, out: 12}\n"
    "      - {op: shuffle}\n"
    "data: {crop: 8}\n" PLAIN;

static const char perceptual[] = HEAD "task: autoencode\n"
                                      "networks:\n"
                                      "  - name: net\n"
                                      "    inputs: [{name: image, channels: 3}]\n"
                                      "    layers:\n"
                                      "      - {op: conv, out: 8, act: tanh}\n"
                                      "      - {op: conv, out: 3}\n"
                                      "data: {crop: 8}\n"
                                      "loss: [{kind: perceptual, model: %s, node: %s}]\n" PLAIN;

/* Nothing is rounded in it, so that differences tell the gradient. */
static const char codec[] = HEAD
    "task: compress\n"
    "networks:\n"
    "  - name: net\n"
    "    inputs: [{name: image, channels: 3}, {name: quality, channels: 1, height: 1, width: 1}]\n"
    "    layers:\n"
    "      - {op: unshuffle, factor: 4, from: [image]}\n"
    "      - {name: y, op: conv, out: 20, kernel: 1, init: dct}\n"
    "      - {name: step, op: embed, out: 20, factor: 3, value: -1, slope: -1, init: dct, from: "
    "[quality]}\n"
    "      - {name: scale, op: embed, out: 20, factor: 2, value: 1, from: [quality]}\n"
    "      - {name: mean, op: conv, out: 20, kernel: 1, from: [y]}\n"
    "      - {name: even, op: bits, parity: even, from: [y, mean, scale, step]}\n"
    "      - {name: odd, op: bits, parity: odd, from: [y, mean, scale, step]}\n"
    "      - {op: conv, out: 48, kernel: 1, init: dct_inverse, from: [y]}\n"
    "      - {name: picture, op: shuffle, factor: 4}\n"
    "    outputs: [picture, even, odd]\n"
    "data: {crop: 8}\n"
    "loss: [{kind: rate_distortion, weight: 0.1, lambda: [0.001, 0.01]}]\n" PLAIN;

/* A side network that shares parameters, a head with classes, a critic, and terms on layers. %s:
 * the phases. */
static const char terms[] = HEAD
    "task: autoencode\n"
    "networks:\n"
    "  - name: net\n"
    "    inputs: [{name: image, channels: 1, height: 6, width: 5}]\n"
    "    layers:\n"
    "      - {name: seen, op: flip}\n"
    "      - {name: wide, op: dense, out: 12, act: sigmoid}\n"
    "      - {name: code, op: dense, out: 5, act: tanh}\n"
    "      - {name: back, op: dense, out: 30, act: sigmoid}\n"
    "      - {op: reshape, height: 6, width: 5, channels: 1}\n"
    "  - name: side\n"
    "    inputs: [{name: x, channels: 5, height: 1, width: 1, from: code}]\n"
    "    layers:\n"
    "      - {name: out, op: dense, out: 30, act: sigmoid, param: back}\n"
    "  - name: head\n"
    "    inputs: [{name: x, channels: 12, height: 1, width: 1, from: wide}]\n"
    "    layers:\n"
    "      - {name: logits, op: dense, out: 3}\n"
    "  - name: critic\n"
    "    inputs: [{name: x, channels: 5, height: 1, width: 1}]\n"
    "    layers:\n"
    "      - {op: dense, out: 8, act: tanh}\n"
    "      - {op: dense, out: 1}\n"
    "terms:\n"
    "  - {kind: mse, mask: seen}\n"
    "  - {name: sums, kind: bce, weight: 0.01, over: sum}\n"
    "  - {name: inner, kind: mse, on: side.out, to: seen, weight: 0.3}\n"
    "  - {name: small, kind: l1, on: code, to: 0.25, weight: 0.1}\n"
    "  - {name: decay, kind: mse, on: weights, weight: 0.1}\n"
    "  - {name: classes, kind: cross_entropy, on: head.logits, to: label, weight: 0.5}\n"
    "  - {name: tell, kind: adversary, on: code, by: critic}\n"
    "  - {name: fool, kind: adversary, on: code, by: critic, aim: fool, weight: 0.5}\n"
    "%s"
    "train: {optimizer: %s, beta1: 0, rate: %s, decay: 0, clip: 0, ema: 0, batch: 4, shards: 2}\n";

static void assert_near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.9g is not within %g of %.9g", a, tolerance, b);
}

typedef struct fixture {
    ae_recipe *recipe;
    aei_trainer *trainer;
    aei_batch batch;
    float *memory[8];
    int n_memory;
} fixture;

static float *draw(fixture *f, size_t n, float lo, float hi)
{
    float *x = ae_alloc(n, sizeof(float));
    aei_rng rng = aei_rng_make(3, (uint64_t)f->n_memory, 0);

    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = aei_rng_range(&rng, lo, hi);
    return f->memory[f->n_memory++] = x;
}

static const float labels[] = {2, -1, 0, 1};

static void open_fixture(fixture *f, const char *text, uint32_t n_threads)
{
    ae_error err = {0};
    uint32_t h, w;
    ae_shape in, picture;

    *f = (fixture){0};
    if (ae_recipe_parse(text, strlen(text), "test", &f->recipe, &err) != AE_OK)
        fail_msg("%s", err.message);
    aei_loader_input_size(f->recipe, &h, &w);
    if (aei_trainer_create(f->recipe, h, w, AE_PRECISION_F32, n_threads, 5, &f->trainer, &err) !=
        AE_OK)
        fail_msg("%s", err.message);
    in = aei_trainer_input(f->trainer, 0);
    picture = aei_trainer_picture(f->trainer);
    f->batch.n = in.n;
    f->batch.inputs[0] = draw(f, (size_t)in.n * in.h * in.w * in.c, 0.1f, 0.9f);
    f->batch.target = draw(f, (size_t)in.n * picture.h * picture.w * picture.c, 0.1f, 0.9f);
    if (f->recipe->residual) {
        f->batch.inputs[1] = draw(
            f, (size_t)in.n * in.h * in.w * aei_trainer_input(f->trainer, 1).c, 0.1f, 0.2f);
        f->batch.base = f->batch.inputs[0];
        f->batch.weight = draw(f, (size_t)in.n * in.h * in.w, 0, 1);
    }
    for (uint32_t i = 0; i < f->recipe->n_terms; i++)
        if (f->recipe->terms[i].against == AE_AGAINST_LABEL)
            f->batch.label = labels;
    if (f->recipe->task == AE_TASK_COMPRESS)
        f->batch.quality = f->batch.inputs[1] = draw(f, in.n, 0, 1);
}

static void close_fixture(fixture *f)
{
    aei_trainer_free(f->trainer);
    ae_recipe_free(f->recipe);
    for (int i = 0; i < f->n_memory; i++)
        ae_free(f->memory[i]);
}

static aei_step_result step(fixture *f, uint64_t index, float rate)
{
    aei_step_result r;
    ae_error err = {0};

    if (aei_trainer_step(f->trainer, &f->batch, index, rate, &r, &err) != AE_OK)
        fail_msg("%s", err.message);
    return r;
}

/* The loss with one parameter set to x. */
static double loss_at(fixture *f, size_t i, float x)
{
    aei_state *s = aei_trainer_state(f->trainer);
    float old = s->value[i];
    aei_step_result r;

    s->value[i] = x;
    aei_trainer_refresh(f->trainer);
    r = step(f, 0, 0);
    s->value[i] = old;
    return r.loss;
}

/* A step of rate 1 of plain SGD subtracts the gradient. */
static bool is_transform(const fixture *f, size_t at)
{
    const ae_graph *g = &f->recipe->networks[0].graph;
    uint32_t n;
    const ae_param *p = aei_trainer_params(f->trainer, &n);

    while (at >= p->offset + p->count)
        p++;
    return g->nodes[p->node].op == AE_OP_CONV && g->nodes[p->node].init >= AE_INIT_DCT;
}

static void check_step(const char *text)
{
    fixture f;
    aei_state *s;
    float *before;
    aei_step_result r;
    double squares = 0;

    open_fixture(&f, text, 2);
    s = aei_trainer_state(f.trainer);
    before = draw(&f, s->n_floats, 0, 1);
    memcpy(before, s->value, s->n_floats * sizeof(float));
    r = step(&f, 0, 1);
    assert_true(r.applied);
    for (size_t i = 0; i < s->n_floats; i++)
        squares += pow(before[i] - s->value[i], 2);
    assert_near(sqrt(squares), r.gradient_norm, 1e-4 * r.gradient_norm);
    for (size_t i = 0; i < s->n_floats; i += 1 + s->n_floats / 150) {
        double gradient = (double)before[i] - s->value[i], up, down;
        float *after;

        if (is_transform(&f, i)) { /* these stay as they are */
            assert_true(gradient == 0);
            continue;
        }
        after = draw(&f, s->n_floats, 0, 1);

        memcpy(after, s->value, s->n_floats * sizeof(float));
        memcpy(s->value, before, s->n_floats * sizeof(float));
        up = loss_at(&f, i, before[i] + 2e-3f);
        down = loss_at(&f, i, before[i] - 2e-3f);
        memcpy(s->value, after, s->n_floats * sizeof(float));
        ae_free(f.memory[--f.n_memory]);
        assert_near(gradient, (up - down) / 4e-3, 2e-2 * fabs(gradient) + 1e-4 * r.gradient_norm);
    }
    close_fixture(&f);
}

static void test_dense(void **state)
{
    (void)state;
    check_step(dense);
}

static void test_residual(void **state)
{
    (void)state;
    check_step(residual);
}

static void test_bounded(void **state)
{
    (void)state;
    check_step(bounded);
}

static void test_codec(void **state)
{
    (void)state;
    check_step(codec);
}

/* Validation adds up what the loss is made of. */
static void test_codec_evaluation(void **state)
{
    fixture f;
    aei_evaluation found;
    double loss = 0, psnr = 0;
    ae_error err = {0};

    (void)state;
    open_fixture(&f, codec, 2);
    for (int n = 0; n < 4; n++)
        ((float *)f.batch.quality)[n] = 0.5f; /* all of one weight */
    aei_trainer_freeze(f.trainer, aei_trainer_state(f.trainer)->value);
    if (aei_trainer_evaluate(f.trainer, &f.batch, &found, &err) != AE_OK)
        fail_msg("%s", err.message);
    for (int n = 0; n < 4; n++) {
        double square = 0, clipped = 0;

        for (int i = n * 192; i < (n + 1) * 192; i++) {
            square += pow((double)found.prediction[i] - f.batch.target[i], 2) / 192;
            clipped += pow(fmin(fmax((double)found.prediction[i], 0), 1) - f.batch.target[i], 2) /
                       192;
        }
        loss += 0.001 * pow(10, f.batch.quality[n]) * 255 * 255 * square / 4;
        psnr += -10 * log10(clipped) / 4;
    }
    assert_true(found.bpp > 1 && found.bpp < 40);
    assert_near(found.loss, 0.1 * (loss + found.bpp), 1e-5 * found.loss);
    assert_near(found.psnr, psnr, 1e-4);
    close_fixture(&f);
}

static void test_perceptual(void **state)
{
    char path[] = "/tmp/aetest-features-XXXXXX", text[2000];
    int fd = mkstemp(path);
    ae_recipe *r;
    ae_param *params;
    uint32_t n_params;
    ae_model_parts parts = {.recipe_text = features, .card = ""};
    float *values;
    ae_error err = {0};
    aei_trainer *t;

    (void)state;
    close(fd);
    assert_int_equal(ae_recipe_parse(features, strlen(features), "features", &r, NULL), AE_OK);
    assert_int_equal(
        ae_graph_params(&r->networks[0].graph, &params, &n_params, &parts.n_floats, NULL), AE_OK);
    parts.values = values = ae_alloc(parts.n_floats, sizeof(float));
    assert_int_equal(ae_graph_init(&r->networks[0].graph, 11, values, NULL), AE_OK);
    if (ae_model_save(path, &parts, &err) != AE_OK)
        fail_msg("%s", err.message);
    ae_free(values);
    ae_free(params);
    ae_recipe_free(r);

    snprintf(text, sizeof(text), perceptual, path, "seen");
    check_step(text);

    snprintf(text, sizeof(text), perceptual, path, "missing");
    assert_int_equal(ae_recipe_parse(text, strlen(text), "test", &r, NULL), AE_OK);
    assert_int_equal(aei_trainer_create(r, 8, 8, AE_PRECISION_F32, 1, 1, &t, &err),
                     AE_ERR_MISMATCH);
    assert_non_null(strstr(err.message, "missing"));
    ae_recipe_free(r);
    unlink(path);
}

static const ae_param *find(const fixture *f, const char *name)
{
    uint32_t n;
    const ae_param *p = aei_trainer_params(f->trainer, &n);

    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(p[i].name, name))
            return &p[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

/* Statistics of the data are the mean over the first steps' batches, in the average as well, and
 * stay what they are then. */
static void test_given_statistics(void **state)
{
    fixture f;
    const float *x;
    aei_state *s;
    uint32_t pixels;
    double mean = 0, variance = 0;
    size_t at[2];

    (void)state;
    open_fixture(&f, given, 2);
    x = f.batch.inputs[0];
    s = aei_trainer_state(f.trainer);
    pixels = aei_trainer_input(f.trainer, 0).n * 64;
    at[0] = find(&f, "data.mean")->offset;
    at[1] = find(&f, "data.variance")->offset;
    assert_true(s->value[at[0]] == 0 && s->value[at[1]] == 1);
    for (uint32_t i = 0; i < pixels; i++)
        mean += (double)x[i * 3] / pixels;
    step(&f, 0, 0);
    assert_near(s->value[at[0]], mean, 1e-5);
    assert_near(s->average[at[0]], mean, 1e-5);
    variance = (double)s->value[at[1]];
    assert_true(variance > 0 && variance < 0.9);
    step(&f, 1, 0); /* of the same batch: no other */
    assert_near(s->value[at[0]], mean, 1e-5);
    assert_near(s->value[at[1]], variance, 1e-5);
    s->value[at[0]] = 7;
    s->n_updates = 3; /* a quarter of the mean so far */
    step(&f, 2, 0);
    assert_near(s->value[at[0]], 7 + (mean - 7) / 4, 1e-4);
    s->value[at[0]] = 7;
    s->n_updates = 100;
    step(&f, 3, 0);
    assert_true(s->value[at[0]] == 7);
    close_fixture(&f);
}

/* Running statistics move a tenth of the way to the batch's, whose shards count alike. */
static void test_running_statistics(void **state)
{
    fixture f;
    const float *x;
    const aei_state *s;
    uint32_t pixels;

    (void)state;
    open_fixture(&f, normalised, 2);
    x = f.batch.inputs[0];
    s = aei_trainer_state(f.trainer);
    pixels = aei_trainer_input(f.trainer, 0).n * 64;
    step(&f, 0, 0);
    for (uint32_t c = 0; c < 3; c++) {
        double mean = 0, variance = 0;

        for (uint32_t half = 0; half < 2; half++) {
            double sum = 0, squares = 0, n = pixels / 2;

            for (uint32_t i = half * pixels / 2; i < (half + 1) * pixels / 2; i++) {
                sum += x[i * 3 + c];
                squares += x[i * 3 + c] * x[i * 3 + c];
            }
            mean += sum / n / 2;
            variance += (squares / n - sum / n * sum / n) / 2;
        }
        assert_near(s->value[find(&f, "norm.mean")->offset + c], 0.1 * mean, 1e-5);
        assert_near(s->value[find(&f, "norm.variance")->offset + c], 0.9 + 0.1 * variance,
                    0.02 * variance);
    }
    close_fixture(&f);
}

/* A fault leaves the parameters alone and says where it began. */
static void test_faults(void **state)
{
    fixture f;
    aei_state *s;
    aei_step_result r;
    float *before, *input;

    (void)state;
    open_fixture(&f, normalised, 2);
    s = aei_trainer_state(f.trainer);
    before = draw(&f, s->n_floats, 0, 1);
    memcpy(before, s->value, s->n_floats * sizeof(float));

    input = (float *)f.batch.target;
    input[5] = NAN;
    r = step(&f, 0, 1);
    assert_false(r.applied);
    assert_non_null(strstr(r.fault, "loss"));
    assert_memory_equal(before, s->value, s->n_floats * sizeof(float));
    input[5] = 0;

    /* Layer b multiplies by 1e30 what layer a has made 1e-30: only the gradient of a overflows. */
    for (size_t i = 0; i < find(&f, "a.weight")->count; i++)
        s->value[find(&f, "a.weight")->offset + i] *= 1e-30f;
    for (size_t i = 0; i < find(&f, "b.weight")->count; i++)
        s->value[find(&f, "b.weight")->offset + i] *= 1e38f;
    memset(&s->value[find(&f, "norm.weight")->offset], 0, 3 * sizeof(float));
    for (int c = 0; c < 3; c++)
        s->value[find(&f, "norm.bias")->offset + c] = 1e3f;
    aei_trainer_refresh(f.trainer);
    r = step(&f, 0, 1);
    assert_false(r.applied);
    if (!strstr(r.fault, "a.weight (layer a)"))
        fail_msg("%s", r.fault);
    close_fixture(&f);
}

static void test_terms(void **state)
{
    char text[4000];

    (void)state;
    snprintf(text, sizeof(text), terms, "", "sgd", "1");
    check_step(text);
}

/* What no phase named stays as it is, to the bit; what was left out counts its own updates. */
static void test_phases(void **state)
{
    static const char phases[] =
        "phases:\n"
        "  - {train: [side, back], terms: [inner], steps: 3}\n"
        "  - {train: [net, head], terms: [mse, fool, classes], steps: 4, every: 1, rate: 0.5}\n"
        "  - {train: [critic], terms: [tell], steps: 4, every: 1}\n";
    static const char *const moving[] = {"back.weight", "code.weight", "critic.dense.1.weight",
                                         "head.logits.bias"};
    static const int moves[][4] = {{1, 0, 0, 0}, {1, 1, 0, 1}, {0, 0, 1, 0}};
    static const uint32_t phase_of[] = {0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1};
    char text[4000];
    fixture f;
    aei_state *s;
    uint32_t n;

    (void)state;
    snprintf(text, sizeof(text), terms, phases, "adam", "0.01");
    open_fixture(&f, text, 2);
    s = aei_trainer_state(f.trainer);
    assert_true(f.recipe->steps == 11 && s->n_skipped > 0);
    aei_trainer_params(f.trainer, &n);
    for (uint64_t i = 0; i < 11; i++) {
        aei_moment m = aei_moment_of(f.recipe, i, 11, i);
        float before[4];
        aei_step_result r;

        assert_int_equal(m.phase, phase_of[i]);
        for (int k = 0; k < 4; k++)
            before[k] = s->value[find(&f, moving[k])->offset];
        aei_trainer_at(f.trainer, &m);
        r = step(&f, i, m.rate);
        assert_true(r.applied);
        for (uint32_t k = 0; k < f.recipe->n_terms; k++)
            assert_int_equal(isnan(r.terms[k]), !(f.recipe->phases[m.phase].terms >> k & 1));
        for (int k = 0; k < 4; k++)
            assert_int_equal(before[k] != s->value[find(&f, moving[k])->offset], moves[m.phase][k]);
        if (i == 4) /* the first update by Adam is of the size of the rate, however late it comes */
            assert_near(fabs((double)before[1] - s->value[find(&f, moving[1])->offset]), m.rate,
                        1e-3 * m.rate);
    }
    assert_int_equal(s->skipped[find(&f, "back.weight") - aei_trainer_params(f.trainer, &n)], 4);
    assert_int_equal(
        s->skipped[find(&f, "critic.dense.1.weight") - aei_trainer_params(f.trainer, &n)], 7);
    /* schedules: of the first phase alone, then of those that take turns together; by another
     * length of the run in proportion */
    assert_near(aei_moment_of(f.recipe, 0, 1100, 0).rate, 0.01 / 30, 1e-6);
    assert_near(aei_moment_of(f.recipe, 299, 1100, 299).rate, 1e-6, 1e-5);
    assert_int_equal(aei_moment_of(f.recipe, 300, 1100, 300).steps, 800);
    close_fixture(&f);
}

/* Evaluation says each term apart, and how many labels are right. */
static void test_terms_evaluated(void **state)
{
    char text[4000];
    fixture f;
    aei_evaluation found;
    ae_error err = {0};
    double error = 0;

    (void)state;
    snprintf(text, sizeof(text), terms, "", "sgd", "1");
    open_fixture(&f, text, 2);
    aei_trainer_freeze(f.trainer, aei_trainer_state(f.trainer)->value);
    if (aei_trainer_evaluate(f.trainer, &f.batch, &found, &err) != AE_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < 120; i++) {
        int row = i / 5 % 6, mask = i - 5 * row + 5 * (5 - row);

        error += (double)f.batch.inputs[0][mask] *
                 pow((double)found.prediction[i] - f.batch.target[i], 2) / 120;
    }
    assert_near(found.terms[0], error, 1e-6);
    assert_true(found.terms[1] > 5 && found.terms[1] < 60); /* nats of 30 samples */
    assert_true(isnan(found.terms[4]));                     /* of parameters: not measured */
    assert_true(found.terms[6] > 0.3 && found.terms[6] < 1.5);
    assert_true(found.hit_share >= 0 && found.hit_share <= 1);
    assert_near(remainder(3 * found.hit_share, 1), 0, 1e-9); /* of the three that are known */
    f.batch.label = NULL;
    if (aei_trainer_evaluate(f.trainer, &f.batch, &found, &err) != AE_OK)
        fail_msg("%s", err.message);
    assert_true(isnan(found.hit_share) && isnan(found.terms[5]));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_codec),
        cmocka_unit_test(test_codec_evaluation),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_perceptual),
        cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_given_statistics),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_terms_evaluated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
