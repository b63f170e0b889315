/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the C library makes of a model and a batch, for test_torch.py to compare with.
 *
 *   identity MODEL                     prints it
 *   rates MODEL STEPS                  prints the learning rate of each step of such a schedule, and beyond
 *   resave MODEL OUT                   reads and writes a model
 *   gradients MODEL N H W IN OUT       IN: inputs, gradients of the outputs; OUT: outputs in training, gradients of the parameters,
 *                                      outputs at inference
 *   step MODEL UPDATES RATE IN OUT     one step of the trainer after so many. IN: moments (first, second) and average of the
 *                                      parameters, inputs, target, base where residual; OUT: loss, norm, parameters, moments, average
 *
 * IN and OUT are f32 without header, pictures N x H x W x C. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ae/model.h"
#include "nn/exec.h"
#include "train/optimizer.h"
#include "train/trainer.h"

static ae_error error;

static void must(ae_status st)
{
    if (st != AE_OK) {
        fprintf(stderr, "torchhelper: %s\n", error.message);
        exit(1);
    }
}

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "torchhelper: %s\n", what);
        exit(1);
    }
}

static float *floats(size_t n)
{
    float *v = ae_alloc(n, sizeof(*v));

    check(v, "out of memory");
    return v;
}

static void take(FILE *f, float *to, size_t n)
{
    check(fread(to, sizeof(*to), n, f) == n, "the input file is too short");
}

static void give(FILE *f, const float *from, size_t n)
{
    check(fwrite(from, sizeof(*from), n, f) == n, "cannot write");
}

static FILE *open_file(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);

    check(f, path);
    return f;
}

static size_t count(ae_shape s)
{
    return (size_t)s.n * s.h * s.w * s.c;
}

static void print_identity(const ae_model *m)
{
    uint8_t id[16];

    ae_model_identity(m, id);
    for (int i = 0; i < 16; i++)
        printf("%02x", id[i]);
    printf("\n");
}

static void print_rates(const ae_model *m, uint64_t steps)
{
    for (uint64_t i = 0; i < steps + 2; i++)
        printf("%.9g\n", (double)aei_rate(ae_model_recipe(m), i, steps));
}

static void resave(const ae_model *m, const char *path)
{
    ae_model_parts parts = {.recipe_text = ae_model_recipe_text(m), .card = ae_model_card(m)};

    parts.values = ae_model_values(m, &parts.n_floats);
    must(ae_model_save(path, &parts, &error));
}

/* Runs a plan over inputs from `in`, or those in `inputs` already; outputs go to `out`. */
static void gradients(const ae_model *m, aei_plan_config config, FILE *in, FILE *out)
{
    size_t n_floats, n_in = 0, n_out = 0;
    const float *values = ae_model_values(m, &n_floats);
    float *inputs[AE_MAX_FROM], *outputs[AE_MAX_FROM], *d_outputs[AE_MAX_FROM];

    for (int train = 1; train >= 0; train--) {
        aei_plan *plan;
        aei_weights *weights;
        aei_run *run;

        config.train = train;
        must(aei_plan_create(ae_model_graph(m), &config, &plan, &error));
        must(aei_weights_create(plan, &weights, &error));
        must(aei_run_create(plan, &run, &error));
        aei_weights_set(weights, values);
        if (train) {
            n_in = aei_plan_n_inputs(plan);
            n_out = aei_plan_n_outputs(plan);
            for (uint32_t i = 0; i < n_in; i++)
                take(in, inputs[i] = floats(count(aei_plan_input_shape(plan, i))), count(aei_plan_input_shape(plan, i)));
            for (uint32_t i = 0; i < n_out; i++) {
                size_t n = count(aei_plan_output_shape(plan, i));

                outputs[i] = floats(n);
                take(in, d_outputs[i] = floats(n), n);
            }
        }
        must(aei_run_forward(run, weights, (const float *const *)inputs, outputs, 1, &error));
        for (uint32_t i = 0; i < n_out; i++)
            give(out, outputs[i], count(aei_plan_output_shape(plan, i)));
        if (train) {
            float *native = floats(aei_plan_native_floats(plan)), *flat = floats(n_floats);

            must(aei_run_backward(run, weights, (const float *const *)d_outputs, native, NULL, &error));
            aei_weights_collect(weights, native, flat);
            give(out, flat, n_floats);
            ae_free(native);
            ae_free(flat);
        }
        aei_run_free(run);
        aei_weights_free(weights);
        aei_plan_free(plan);
    }
    for (uint32_t i = 0; i < n_in; i++)
        ae_free(inputs[i]);
    for (uint32_t i = 0; i < n_out; i++) {
        ae_free(outputs[i]);
        ae_free(d_outputs[i]);
    }
}

static void step(const ae_model *m, uint64_t n_updates, float rate, FILE *in, FILE *out)
{
    const ae_recipe *r = ae_model_recipe(m);
    aei_trainer *t;
    aei_state *s;
    aei_step_result result;
    aei_batch batch = {0};
    float *memory[AE_MAX_FROM + 2];
    uint32_t h, w, n_inputs = 0, n = 0;
    size_t n_floats, n_out;

    aei_loader_input_size(r, &h, &w);
    must(aei_trainer_create(r, h, w, AE_PRECISION_F32, 1, 1, &t, &error));
    s = aei_trainer_state(t);
    memcpy(s->value, ae_model_values(m, &n_floats), s->n_floats * sizeof(float));
    take(in, s->first, s->n_floats);
    take(in, s->second, s->n_floats);
    take(in, s->average, s->n_floats);
    s->n_updates = n_updates;
    aei_trainer_refresh(t);
    for (uint32_t i = 0; i < r->networks[0].graph.n_nodes; i++)
        n_inputs += r->networks[0].graph.nodes[i].op == AE_OP_INPUT;
    for (; n < n_inputs; n++) {
        memory[n] = floats(count(aei_trainer_input(t, n)));
        take(in, memory[n], count(aei_trainer_input(t, n)));
        batch.inputs[n] = memory[n];
    }
    n_out = count(aei_trainer_picture(t));
    batch.n = r->batch;
    batch.target = memory[n++] = floats(n_out);
    take(in, memory[n - 1], n_out);
    if (r->residual) {
        batch.base = memory[n++] = floats(n_out);
        take(in, memory[n - 1], n_out);
    }
    must(aei_trainer_step(t, &batch, 0, rate, &result, &error));
    check(result.applied, result.fault);
    give(out, (float[]){(float)result.loss, (float)result.gradient_norm}, 2);
    give(out, s->value, s->n_floats);
    give(out, s->first, s->n_floats);
    give(out, s->second, s->n_floats);
    give(out, s->average, s->n_floats);
    while (n)
        ae_free(memory[--n]);
    aei_trainer_free(t);
}

int main(int argc, char **argv)
{
    const char *job = argc > 2 ? argv[1] : "";
    bool two = false;
    ae_model *m = NULL;
    FILE *in = NULL, *out = NULL;

    if ((!strcmp(job, "gradients") && argc == 8) || (!strcmp(job, "step") && argc == 7)) {
        in = open_file(argv[argc - 2], "rb");
        out = open_file(argv[argc - 1], "wb");
        two = true;
    }
    check(two || (!strcmp(job, "identity") && argc == 3) || ((!strcmp(job, "resave") || !strcmp(job, "rates")) && argc == 4),
          "see the head of torchhelper.c");
    must(ae_model_open(argv[2], NULL, &m, &error));
    if (job[0] == 'i')
        print_identity(m);
    else if (!strcmp(job, "rates"))
        print_rates(m, strtoull(argv[3], NULL, 10));
    else if (job[0] == 'r')
        resave(m, argv[3]);
    else if (job[0] == 'g')
        gradients(m, (aei_plan_config){.n = (uint32_t)atoi(argv[3]), .h = (uint32_t)atoi(argv[4]), .w = (uint32_t)atoi(argv[5]),
                                       .precision = AE_PRECISION_F32}, in, out);
    else
        step(m, strtoull(argv[3], NULL, 10), strtof(argv[4], NULL), in, out);
    ae_model_free(m);
    if (in)
        fclose(in);
    check(!out || !fclose(out), "cannot write");
    return 0;
}
