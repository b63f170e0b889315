/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Layers that died or explode are found, each told once, and healthy ones are not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ae/recipe.h"
#include "train/watch.h"

enum { N = 64, EDGE = 4, MOST = 8 };

static const char text[] =
    "recipe: 1\nname: watched\ntask: autoencode\nnetworks:\n  - name: net\n    inputs:\n"
    "      - {name: image, channels: 1, height: 4, width: 4}\n    layers:\n"
    "      - {name: a, op: dense, out: 8, act: %s}\n      - {name: b, op: dense, out: 4}\n"
    "      - {name: c, op: dense, out: 16, act: sigmoid}\n      - {op: reshape, height: 4, width: "
    "4, channels: 1}\n"
    "loss: [{kind: mse}]\n";

typedef struct heard {
    aei_ailing what[MOST];
    uint32_t n;
} heard;

static void hear(void *opaque, const aei_ailing *what)
{
    heard *h = opaque;

    assert_true(h->n < MOST);
    h->what[h->n++] = *what;
}

/* Looks twice at a network whose layer a has this activation and bias and whose layer b has weights
 * of this size. */
static heard look(const char *act, float bias, float size)
{
    char recipe_text[1024];
    float picture[N * EDGE * EDGE];
    const float *inputs[1] = {picture};
    bool known[16] = {false};
    heard first = {.n = 0}, second = {.n = 0};
    ae_recipe *recipe;
    ae_param *params;
    uint32_t n_params;
    size_t n_floats;
    ae_error err;
    float *values;
    const ae_graph *g;

    snprintf(recipe_text, sizeof(recipe_text), text, act);
    assert_int_equal(ae_recipe_parse(recipe_text, strlen(recipe_text), "test", &recipe, &err),
                     AE_OK);
    g = &recipe->networks[0].graph;
    assert_int_equal(ae_graph_params(g, &params, &n_params, &n_floats, &err), AE_OK);
    values = ae_alloc(n_floats, sizeof(*values));
    assert_non_null(values);
    assert_int_equal(ae_graph_init(g, 1, values, &err), AE_OK);
    for (uint32_t i = 0; i < n_params; i++)
        for (size_t k = 0; k < params[i].count; k++) {
            float *v = values + params[i].offset + k;

            if (strcmp(params[i].name, "a.bias") == 0)
                *v = bias;
            else if (strcmp(params[i].name, "b.weight") == 0)
                *v *= size;
            else if (strcmp(params[i].name, "c.weight") == 0)
                *v = -size; /* what comes out may be black all over */
        }
    for (int i = 0; i < N * EDGE * EDGE; i++)
        picture[i] = (float)(i * 37 % 101) / 101;
    assert_int_equal(
        aei_watch(g, AE_PRECISION_F32, N, EDGE, EDGE, values, inputs, known, &first, hear, &err),
        AE_OK);
    assert_int_equal(
        aei_watch(g, AE_PRECISION_F32, N, EDGE, EDGE, values, inputs, known, &second, hear, &err),
        AE_OK);
    assert_int_equal(second.n, 0);
    for (uint32_t i = 0; i < first.n; i++)
        first.what[i].node -= 1; /* behind the input: a is 0 */
    ae_free(values);
    ae_free(params);
    ae_recipe_free(recipe);
    return first;
}

static void healthy_layers_are_left_alone(void **state)
{
    (void)state;
    assert_int_equal(look("relu", 0, 1).n, 0);
    assert_int_equal(look("sigmoid", 2, 1).n, 0);
    assert_int_equal(look("leaky", -100, 1).n, 0); /* a slope below zero lets gradients through */
}

static void dead_layers_are_named(void **state)
{
    static const struct {
        const char *act;
        float bias;
    } dead[] = {{"relu", -100}, {"sigmoid", -100}, {"sigmoid", 100}, {"tanh", 100}, {"clip", 100}};

    (void)state;
    for (size_t i = 0; i < sizeof(dead) / sizeof(*dead); i++) {
        heard h = look(dead[i].act, dead[i].bias, 1);

        assert_int_equal(h.n, 1);
        assert_int_equal(h.what[0].node, 0);
        assert_false(h.what[0].exploded);
        assert_int_equal(h.what[0].n_dead, 8);
        assert_int_equal(h.what[0].n_units, 8);
    }
}

static void exploding_layers_are_named(void **state)
{
    heard h = look("relu", 0, 1e6f);

    (void)state;
    assert_int_equal(h.n, 1);
    assert_int_equal(h.what[0].node, 1);
    assert_true(h.what[0].exploded && h.what[0].size > 1e5);
    h = look("relu", 0, 1e38f);
    assert_true(h.n > 0 && h.what[0].exploded && !(h.what[0].size < 1e30));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_layers_are_left_alone),
        cmocka_unit_test(dead_layers_are_named),
        cmocka_unit_test(exploding_layers_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
