/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sessions of parts of networks, and live ones. */
#include "ae/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define HEAD                                                                                       \
    "recipe: 1\nname: t\ntask: autoencode\nnetworks:\n  - name: net\n    inputs: [{name: image, "  \
    "channels: 2}]\n    layers:\n"

static const char flat_recipe[] =
    "recipe: 1\nname: t\ntask: autoencode\nnetworks:\n  - name: net\n"
    "    inputs: [{name: image, channels: 1, height: 6, width: 5}]\n    layers:\n"
    "      - {name: hidden, op: dense, out: 20, act: relu}\n      - {name: code, op: dense, out: "
    "3, act: tanh}\n"
    "      - {op: dense, out: 20, act: relu}\n      - {op: dense, out: 30, act: sigmoid}\n"
    "      - {name: picture, op: reshape, height: 6, width: 5, channels: 1}\n";
static const char skip_recipe[] = HEAD
    "      - {name: top, op: conv, out: 16, act: relu}\n      - {name: code, op: conv, out: 4, "
    "kernel: 2, stride: 2, pad: 0}\n"
    "      - {op: deconv, out: 16}\n      - {name: up, op: add, from: [previous, top]}\n      - "
    "{op: conv, out: 2, param: shared}\n"
    "      - {op: conv, out: 16}\n      - {name: picture, op: conv, out: 2, param: shared}\n";
static const char live_recipe[] = HEAD
    "      - {op: conv, out: 16, pad: causal, act: relu}\n"
    "      - {name: low, op: conv, out: 16, kernel: [4, 3], stride: [2, 1], pad: causal, act: "
    "relu}\n"
    "      - {op: residual, kernel: [3, 1], dilation: [4, 1], pad: causal}\n"
    "      - {op: deconv, out: 8, kernel: [4, 1], stride: [2, 1], pad: causal}\n      - {op: conv, "
    "out: 2}\n";

/* A model whose parameters are no symmetric ones. */
static ae_model *make(const char *recipe)
{
    char path[64];
    ae_recipe *r;
    ae_param *params;
    uint32_t n_params;
    ae_model_parts parts = {.recipe_text = recipe, .card = ""};
    float *values;
    ae_model *m = NULL;
    ae_error err = {0};

    snprintf(path, sizeof(path), "/tmp/ae-session-%ld.aem", (long)getpid());
    if (ae_recipe_parse(recipe, strlen(recipe), "t", &r, &err) != AE_OK ||
        ae_graph_params(&r->networks[0].graph, &params, &n_params, &parts.n_floats, &err) != AE_OK)
        fail_msg("%s", err.message);
    values = ae_alloc(parts.n_floats, sizeof(*values));
    assert_non_null(values);
    assert_int_equal(ae_graph_init(&r->networks[0].graph, 7, values, NULL), AE_OK);
    for (size_t i = 0; i < parts.n_floats; i++)
        values[i] += 0.02f * (float)((int)(i % 7) - 3);
    parts.values = values;
    if (ae_model_save(path, &parts, &err) != AE_OK || ae_model_open(path, NULL, &m, &err) != AE_OK)
        fail_msg("%s", err.message);
    unlink(path);
    ae_free(values);
    ae_free(params);
    ae_recipe_free(r);
    return m;
}

static size_t count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

static ae_session *open_part(const ae_model *m, uint32_t h, uint32_t w, const char *const *from,
                             uint32_t n_from, const char *const *to, uint32_t n_to)
{
    ae_session_options o = {.n = 2,
                            .h = h,
                            .w = w,
                            .precision = AE_PRECISION_F32,
                            .from = from,
                            .n_from = n_from,
                            .to = to,
                            .n_to = n_to};
    ae_session *s = NULL;
    ae_error err = {0};

    if (ae_session_open(m, &o, &s, &err) != AE_OK)
        fail_msg("%s", err.message);
    return s;
}

static void run(ae_session *s, const float *const *inputs, float *const *outputs)
{
    ae_error err = {0};

    if (ae_session_run(s, inputs, outputs, &err) != AE_OK)
        fail_msg("%s", err.message);
}

/* Encoded and decoded it is what the whole makes of it; a code of one's own can be decoded as well.
 */
static void encode_decode(void **state)
{
    ae_model *m = make(flat_recipe);
    const char *code[] = {"code"};
    ae_session *whole, *encoder = open_part(m, 6, 5, NULL, 0, code, 1),
                       *decoder = open_part(m, 6, 5, code, 1, NULL, 0);
    float x[60], expected[60], found[60], latent[6], *out;
    const float *in = x;

    (void)state;
    for (int i = 0; i < 60; i++)
        x[i] = (float)(i % 9) / 9;
    assert_int_equal(ae_session_create(m, 2, 6, 5, AE_PRECISION_F32, &whole, NULL), AE_OK);
    assert_string_equal(ae_session_input_name(whole, 0), "image");
    assert_string_equal(ae_session_input_name(encoder, 0), "image");
    assert_string_equal(ae_session_input_name(decoder, 0), "code");
    assert_string_equal(ae_session_input_name(decoder, 1), "");
    assert_true(count(ae_session_output_shape(encoder, 0)) == 6 &&
                ae_session_output_shape(encoder, 0).c == 3);
    assert_true(ae_session_n_inputs(decoder) == 1 && ae_session_n_outputs(decoder) == 1);
    assert_true(ae_session_input_shape(decoder, 0).c == 3 &&
                ae_session_output_shape(decoder, 0).h == 6);
    out = expected;
    run(whole, &in, &out);
    out = latent;
    run(encoder, &in, &out);
    in = latent;
    out = found;
    run(decoder, &in, &out);
    for (int i = 0; i < 60; i++)
        assert_true(fabsf(found[i] - expected[i]) <= 1e-6f);
    latent[0] += 0.5f;
    run(decoder, &in, &out);
    assert_true(fabsf(found[0] - expected[0]) > 1e-4f && fabsf(found[30] - expected[30]) <= 1e-6f);
    ae_session_free(encoder);
    ae_session_free(decoder);
    ae_session_free(whole);
    ae_model_free(m);
}

/* Between layers inside: what is given stands where it did in the network, skips and shared
 * parameters included. */
static void inner_parts(void **state)
{
    enum {
        H = 4,
        W = 6,
        PICTURE = 2 * H * W * 2,
        TOP = 2 * H * W * 16,
        CODE = 2 * H / 2 * W / 2 * 4
    };
    static float x[PICTURE], top[TOP], code[CODE], expected[PICTURE], found[PICTURE], up[TOP];
    ae_model *m = make(skip_recipe);
    const char *names[] = {"code", "top"}, *wanted[] = {"picture", "up"},
               *all[] = {"top", "code", "picture"};
    ae_session *whole = open_part(m, H, W, NULL, 0, all, 3),
               *part = open_part(m, H, W, names, 2, wanted, 2);
    const float *in[] = {x};
    float *out[] = {top, code, expected};
    ae_session *copy;

    (void)state;
    for (int i = 0; i < PICTURE; i++)
        x[i] = sinf((float)i);
    run(whole, in, out);
    assert_string_equal(ae_session_input_name(part, 0), "top"); /* the network's order */
    assert_string_equal(ae_session_input_name(part, 1), "code");
    assert_true(ae_session_input_shape(part, 1).h == H / 2 &&
                ae_session_input_shape(part, 1).w == W / 2);
    assert_int_equal(ae_session_clone(part, &copy, NULL), AE_OK);
    ae_session_free(part);
    assert_string_equal(ae_session_input_name(copy, 1), "code");
    run(copy, (const float *[]){top, code}, (float *[]){found, up});
    for (int i = 0; i < PICTURE; i++)
        assert_true(fabsf(found[i] - expected[i]) <= 1e-5f);
    ae_session_free(copy);
    ae_session_free(whole);
    ae_model_free(m);
}

static void refuse(const ae_model *m, const ae_session_options *o, ae_status status,
                   const char *message)
{
    ae_error err = {0};
    ae_session *s;

    assert_int_equal(ae_session_open(m, o, &s, &err), status);
    assert_null(s);
    if (!strstr(err.message, message))
        fail_msg("'%s' lacks '%s'", err.message, message);
}

static void refusals(void **state)
{
    ae_model *m = make(skip_recipe);
    const char *code[] = {"code"}, *none[] = {"kode"}, *picture[] = {"picture"};
    ae_session_options o = {.n = 1, .h = 4, .w = 4, .to = none, .n_to = 1};

    (void)state;
    refuse(m, &o, AE_ERR_ARGUMENT, "no layer 'kode'");
    o = (ae_session_options){
        .n = 1, .h = 4, .w = 4, .from = picture, .n_from = 1, .to = code, .n_to = 1};
    refuse(m, &o, AE_ERR_ARGUMENT, "layer picture: nothing that is wanted depends on it");
    o = (ae_session_options){.n = 1, .h = 4, .w = 4, .from = code, .n_from = AE_MAX_FROM + 1};
    refuse(m, &o, AE_ERR_ARGUMENT, "9 layers");
    o = (ae_session_options){.n = 1, .h = 3, .w = 4, .from = code, .n_from = 1};
    refuse(m, &o, AE_ERR_MALFORMED, "");
    o = (ae_session_options){.n = 1, .h = 4, .w = 4, .live = true};
    refuse(m, &o, AE_ERR_UNSUPPORTED, "conv looks at what comes later");
    ae_model_free(m);
    m = make(live_recipe);
    /* the last one, in the width's way of padding */
    refuse(m, &o, AE_ERR_UNSUPPORTED, "layer conv.5: conv looks");
    o.h = 3;
    o.to = (const char *const[]){"low"};
    o.n_to = 1;
    refuse(m, &o, AE_ERR_ARGUMENT, "blocks of 3 rows, expected a multiple of 2");
    for (uint64_t nth = 1; nth < 6; nth++) {
        ae_session *s = NULL;

        o.h = 4;
        ae_alloc_fail_at(nth);
        assert_int_equal(ae_session_open(m, &o, &s, NULL), AE_ERR_NOMEM);
        ae_alloc_fail_at(0);
        assert_null(s);
    }
    ae_model_free(m);
}

/* Blocks of different height in turn, from the beginning twice. */
static void live(void **state)
{
    enum { ROWS = 24, W = 5, ROW = W * 2 };
    static float x[ROWS * ROW], expected[ROWS / 2 * W * 16], found[ROWS / 2 * W * 16];
    static const int blocks[] = {4, 10, 10};
    ae_model *m = make(live_recipe);
    const char *to[] = {"residual.3"};
    ae_session_options o = {
        .n = 1, .h = ROWS, .w = W, .precision = AE_PRECISION_F32, .to = to, .n_to = 1};
    ae_session *whole, *small, *large, *copy;
    ae_error err = {0};

    (void)state;
    for (int i = 0; i < ROWS * ROW; i++)
        x[i] = sinf((float)i * 0.37f);
    assert_int_equal(ae_session_open(m, &o, &whole, NULL), AE_OK);
    run(whole, (const float *[]){x}, (float *[]){expected});
    o.live = true;
    o.h = 4;
    assert_int_equal(ae_session_open(m, &o, &small, NULL), AE_OK);
    o.h = 10;
    assert_int_equal(ae_session_open(m, &o, &large, NULL), AE_OK);
    assert_int_equal(ae_session_clone(small, &copy, NULL), AE_OK);
    for (int turn = 0; turn < 2; turn++) {
        int at = 0;

        ae_session_rewind(small);
        for (int i = 0; i < 3; i++) {
            if (i == 1)
                assert_int_equal(ae_session_continue(large, small, &err), AE_OK);
            run(i ? large : small, (const float *[]){x + at * ROW},
                (float *[]){found + at / 2 * W * 16});
            at += blocks[i];
        }
        for (int i = 0; i < ROWS / 2 * W * 16; i++)
            assert_true(fabsf(found[i] - expected[i]) <= 1e-5f);
    }
    run(copy, (const float *[]){x}, (float *[]){found}); /* at the beginning still */
    for (int i = 0; i < 2 * W * 16; i++)
        assert_true(fabsf(found[i] - expected[i]) <= 1e-5f);
    assert_int_equal(ae_session_continue(small, whole, &err), AE_ERR_ARGUMENT);
    ae_session_free(copy);
    ae_session_free(large);
    o.w = W + 1;
    assert_int_equal(ae_session_open(m, &o, &large, NULL), AE_OK);
    assert_int_equal(ae_session_continue(large, small, &err), AE_ERR_ARGUMENT);
    ae_session_free(small);
    ae_session_free(large);
    ae_session_free(whole);
    ae_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(encode_decode),
                                       cmocka_unit_test(inner_parts), cmocka_unit_test(refusals),
                                       cmocka_unit_test(live)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
