/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A GRU layer's time over that of oneDNN's primitive alone, f32, one thread, in turns:
 * recurrent [CHANNELS [TIME [BATCH]]] */
#include <dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ae/recipe.h"
#include "nn/exec.h"

enum { ROUNDS = 40 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "recurrent: %s\n", what);
        exit(1);
    }
}

/* ---- the layer ---- */

typedef struct layer {
    ae_recipe *recipe;
    aei_plan *plan;
    aei_weights *weights;
    aei_run *run;
    float *in, *out, *native;
} layer;

static layer layer_of(int c, int t, int n, bool train)
{
    char text[512];
    layer l = {0};
    ae_error err = {0};
    aei_plan_config config = {
        .n = (uint32_t)n, .precision = AE_PRECISION_F32, .train = train, .input_gradients = train};
    float *flat;

    snprintf(
        text, sizeof(text),
        "recipe: 1\nname: r\ntask: autoencode\nnetworks:\n  - name: net\n    inputs: [{name: "
        "image, "
        "channels: %d, height: %d, width: 1}]\n    layers: [{op: gru, out: %d}]\nloss: [{kind: "
        "mse}]\ntrain: {optimizer: adam, batch: 1}\n",
        c, t, c);
    need(ae_recipe_parse(text, strlen(text), "recipe", &l.recipe, &err) == AE_OK &&
             aei_plan_create(&l.recipe->networks[0].graph, &config, &l.plan, &err) == AE_OK &&
             aei_weights_create(l.plan, &l.weights, &err) == AE_OK &&
             aei_run_create(l.plan, &l.run, &err) == AE_OK,
         err.message);
    l.in = ae_alloc((size_t)c * (size_t)t * (size_t)n, sizeof(float));
    l.out = ae_alloc((size_t)c * (size_t)t * (size_t)n, sizeof(float));
    l.native = ae_alloc(aei_plan_native_floats(l.plan) + 16, sizeof(float));
    flat = ae_alloc(aei_plan_n_floats(l.plan), sizeof(float));
    need(l.in && l.out && l.native && flat, "out of memory");
    l.native = (float *)(((uintptr_t)l.native + 63) & ~(uintptr_t)63);
    for (size_t i = 0; i < aei_plan_n_floats(l.plan); i++)
        flat[i] = 0.01f * (float)((i * 7919) % 17) - 0.08f;
    for (int i = 0; i < c * t * n; i++)
        l.in[i] = 0.1f * (float)(i % 13) - 0.6f;
    aei_weights_set(l.weights, flat);
    return l;
}

static double run_layer(const layer *l, bool train)
{
    const float *in[] = {l->in}, *d_out[] = {l->in};
    float *out[] = {l->out};
    double begun = now();

    need(aei_run_forward(l->run, l->weights, in, out, 0, NULL) == AE_OK, "forward");
    if (train)
        need(aei_run_backward(l->run, l->weights, d_out, l->native, out, NULL) == AE_OK,
             "backward");
    return now() - begun;
}

/* ---- oneDNN's ---- */

typedef struct primitive {
    dnnl_primitive_t run;
    dnnl_exec_arg_t args[32];
    int n_args;
} primitive;

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void describe(dnnl_memory_desc_t *d, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    need(dnnl_memory_desc_init_by_tag(d, rank, dims, dnnl_f32, tag) == dnnl_success, "memory");
}

static void add_memory(primitive *p, const_dnnl_primitive_desc_t pd, int arg, dnnl_query_t query)
{
    const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(
        pd, query == dnnl_query_undef ? dnnl_query_exec_arg_md : query,
        query == dnnl_query_undef ? arg : 0);
    dnnl_memory_t m;
    void *at;

    if (!d || !dnnl_memory_desc_get_size(d))
        return;
    need(dnnl_memory_create(&m, d, engine, DNNL_MEMORY_ALLOCATE) == dnnl_success, "memory");
    p->args[p->n_args++] = (dnnl_exec_arg_t){arg, m};
    dnnl_memory_get_data_handle(m, &at);
    memset(at, 0, dnnl_memory_desc_get_size(d));
}

static void primitives_of(int c, int t, int n, bool train, primitive *forward, primitive *backward)
{
    static const int data[] = {DNNL_ARG_SRC_LAYER, DNNL_ARG_WEIGHTS_LAYER, DNNL_ARG_WEIGHTS_ITER,
                               DNNL_ARG_BIAS, DNNL_ARG_DST_LAYER};
    dnnl_dims_t x = {t, n, c}, w = {1, 1, c, 3, c}, b = {1, 1, 4, c};
    dnnl_memory_desc_t src, weights, bias, none = {0};
    dnnl_rnn_desc_t desc;
    dnnl_primitive_desc_t pd, pd_back;

    describe(&src, 3, x, dnnl_tnc);
    describe(&weights, 5, w, dnnl_format_tag_any);
    describe(&bias, 4, b, dnnl_ldgo);
    need(dnnl_lbr_gru_forward_desc_init(
             &desc, train ? dnnl_forward_training : dnnl_forward_inference,
             dnnl_unidirectional_left2right, &src, &none, &weights, &weights, &bias, &src, &none,
             dnnl_rnn_flags_undef) == dnnl_success &&
             dnnl_primitive_desc_create(&pd, &desc, NULL, engine, NULL) == dnnl_success &&
             dnnl_primitive_create(&forward->run, pd) == dnnl_success,
         "lbr_gru");
    for (int i = 0; i < 5; i++)
        add_memory(forward, pd, data[i], dnnl_query_undef);
    add_memory(forward, pd, DNNL_ARG_WORKSPACE, dnnl_query_workspace_md);
    if (!train)
        return;
    need(dnnl_lbr_gru_backward_desc_init(&desc, dnnl_backward, dnnl_unidirectional_left2right, &src,
                                         &none, &weights, &weights, &bias, &src, &none, &src, &none,
                                         &weights, &weights, &bias, &src, &none,
                                         dnnl_rnn_flags_undef) == dnnl_success &&
             dnnl_primitive_desc_create(&pd_back, &desc, NULL, engine, pd) == dnnl_success &&
             dnnl_primitive_create(&backward->run, pd_back) == dnnl_success,
         "lbr_gru backward");
    for (int i = 0; i < 5; i++) {
        add_memory(backward, pd_back, data[i], dnnl_query_undef);
        add_memory(backward, pd_back,
                   data[i] == DNNL_ARG_SRC_LAYER       ? DNNL_ARG_DIFF_SRC_LAYER
                   : data[i] == DNNL_ARG_WEIGHTS_LAYER ? DNNL_ARG_DIFF_WEIGHTS_LAYER
                   : data[i] == DNNL_ARG_WEIGHTS_ITER  ? DNNL_ARG_DIFF_WEIGHTS_ITER
                   : data[i] == DNNL_ARG_BIAS          ? DNNL_ARG_DIFF_BIAS
                                                       : DNNL_ARG_DIFF_DST_LAYER,
                   dnnl_query_undef);
    }
    for (int i = 0; i < forward->n_args; i++) /* what it kept */
        if (forward->args[i].arg == DNNL_ARG_WORKSPACE)
            backward->args[backward->n_args++] = forward->args[i];
}

static double run_primitives(const primitive *forward, const primitive *backward)
{
    double begun = now();

    need(dnnl_primitive_execute(forward->run, stream, forward->n_args, forward->args) ==
             dnnl_success,
         "forward");
    if (backward->run)
        need(dnnl_primitive_execute(backward->run, stream, backward->n_args, backward->args) ==
                 dnnl_success,
             "backward");
    dnnl_stream_wait(stream);
    return now() - begun;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    int c = argc > 1 ? atoi(argv[1]) : 128, t = argc > 2 ? atoi(argv[2]) : 28,
        n = argc > 3 ? atoi(argv[3]) : 64;

    need(c > 0 && t > 0 && n > 0, "usage: recurrent [CHANNELS [TIME [BATCH]]]");
    aei_single_threaded();
    need(dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success &&
             dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success,
         "oneDNN");
    for (int train = 0; train < 2; train++) {
        layer l = layer_of(c, t, n, train);
        primitive forward = {0}, backward = {0};
        double ours[ROUNDS], theirs[ROUNDS];

        primitives_of(c, t, n, train, &forward, &backward);
        for (int i = 0; i < ROUNDS; i++) {
            ours[i] = run_layer(&l, train);
            theirs[i] = run_primitives(&forward, &backward);
        }
        qsort(ours, ROUNDS, sizeof(*ours), ascending);
        qsort(theirs, ROUNDS, sizeof(*theirs), ascending);
        printf("%s: layer %.3f ms, oneDNN's primitive %.3f ms, ratio %.2f\n",
               train ? "forward and backward" : "forward", 1e3 * ours[ROUNDS / 4],
               1e3 * theirs[ROUNDS / 4], ours[ROUNDS / 4] / theirs[ROUNDS / 4]);
    }
    return 0;
}
