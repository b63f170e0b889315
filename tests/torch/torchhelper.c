/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the C library makes of a model and a batch, for test_torch.py to compare with.
 *
 *   identity MODEL                     prints it
 *   rates MODEL STEPS                  prints the learning rate of each step of such a schedule,
 *                                      and beyond
 *   resave MODEL OUT                   reads and writes a model
 *   round MODEL OUT                    OUT: its parameters as integer fine-tuning uses them
 *   gradients MODEL N H W IN OUT       IN: inputs, gradients of the outputs; OUT: outputs in
 *                                      training, gradients of the parameters,
 *                                      outputs at inference
 *   step MODEL UPDATES RATE IN OUT     one step of the trainer after so many. IN: moments (first,
 *                                      second) and average of the
 *                                      parameters, inputs, target, base where residual; OUT: loss,
 *                                          norm, parameters, moments,
 *                                      average
 *   batches MODEL N H W STEPS IN OUT   the loader's batches from so many pictures of three channels
 *                                      in 0..255; OUT: inputs and
 *                                      target of each
 *   cameras N OUT                      draws so many; OUT: their parameters in the order of
 *                                      models/torch/camera.py
 *   camera SEED LUMINANCE GREY H W IN OUT  a photograph of IN by a camera drawn from the seed; OUT:
 *       its parameters, the unit
 *                                      normals that the noise is made of, the pictures without and
 *                                          with noise
 *   pattern SEED INDEX H W OUT         a synthetic pattern
 *
 * IN and OUT are f32 without header, pictures N x H x W x C. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ae/model.h"
#include "image/camera.h"
#include "nn/exec.h"
#include "train/integer.h"
#include "train/optimizer.h"
#include "train/patterns.h"
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

    parts.values = ae_model_all_values(m, &parts.n_floats);
    must(ae_model_save(path, &parts, &error));
}

static void round_parameters(const ae_model *m, FILE *out)
{
    const ae_graph *g = ae_model_graph(m);
    ae_param *params;
    uint32_t n;
    size_t n_floats;
    const float *values = ae_model_values(m, &n_floats);
    aei_integer *integer;
    aei_pool *pool;

    must(ae_graph_params(g, &params, &n, &n_floats, &error));
    must(aei_pool_create(2, &pool, &error));
    must(aei_integer_create(g, params, n, &integer, &error));
    give(out, aei_integer_round(integer, pool, values), n_floats);
    aei_integer_free(integer);
    aei_pool_free(pool);
    ae_free(params);
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
                take(in, inputs[i] = floats(count(aei_plan_input_shape(plan, i))),
                     count(aei_plan_input_shape(plan, i)));
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

            must(aei_run_backward(run, weights, (const float *const *)d_outputs, native, NULL,
                                  &error));
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
    memcpy(s->value, ae_model_all_values(m, &n_floats), s->n_floats * sizeof(float));
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
        if (!strcmp(r->networks[0].graph.nodes[n].name, AE_INPUT_QUALITY))
            batch.quality = memory[n];
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

typedef struct pictures {
    const float *samples;
    uint32_t h, w;
} pictures;

static ae_status load_picture(void *opaque, size_t i, ae_signal_info *info, void **pixels,
                              ae_error *err)
{
    const pictures *p = opaque;
    size_t n = 3 * (size_t)p->h * p->w;
    uint8_t *to = ae_alloc(n, 1);

    (void)err;
    check(to, "out of memory");
    for (size_t k = 0; k < n; k++)
        to[k] = (uint8_t)p->samples[i * n + k];
    *pixels = to;
    *info = (ae_signal_info){.kind = AE_KIND_IMAGE,
                             .sample = AE_U8,
                             .bits = 8,
                             .channels = 3,
                             .width = p->w,
                             .height = p->h};
    return AE_OK;
}

static const char *name_picture(void *opaque, size_t i)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    (void)opaque;
    return names[i % 4];
}

static void batches(const ae_model *m, char **args, FILE *in, FILE *out)
{
    const ae_recipe *r = ae_model_recipe(m);
    const ae_graph *g = ae_model_graph(m);
    uint32_t n = (uint32_t)atoi(args[0]), steps = (uint32_t)atoi(args[3]), h, w, n_inputs = 0;
    pictures p = {.h = (uint32_t)atoi(args[1]), .w = (uint32_t)atoi(args[2])};
    size_t size = 3 * (size_t)n * p.h * p.w, pixels;
    float *samples = floats(size);
    ae_dataset data = {.opaque = &p, .n_items = n, .load = load_picture, .name = name_picture};
    aei_loader_config config = {.recipe = r, .data = &data, .seed = 5, .threads = 1};
    aei_loader *l;

    take(in, samples, size);
    p.samples = samples;
    aei_loader_input_size(r, &h, &w);
    pixels = (size_t)r->batch * h * w;
    must(aei_loader_create(&config, &l, &error));
    for (uint32_t s = 0; s < steps; s++) {
        aei_batch batch;

        must(aei_loader_next(l, &batch, NULL, &error));
        n_inputs = 0;
        for (uint32_t i = 0; i < g->n_nodes; i++)
            if (g->nodes[i].op == AE_OP_INPUT)
                give(out, batch.inputs[n_inputs++], pixels * g->nodes[i].out);
        give(out, batch.target, pixels * 3 * r->scale * r->scale);
    }
    aei_loader_free(l);
    ae_free(samples);
}

static void give_camera(FILE *out, const aei_camera *k)
{
    give(out, k->balance, 3);
    give(out, k->mix[0], 9);
    give(out,
         (float[]){k->gamma,
                   k->toe,
                   k->contrast,
                   k->mosaic,
                   (float)k->phase,
                   k->gradient,
                   k->read,
                   k->luminance,
                   k->colour,
                   k->fine,
                   k->keep,
                   k->edge,
                   k->coarse,
                   k->coarse_share,
                   k->colour_fine,
                   k->colour_coarse,
                   k->colour_share,
                   k->sharpen,
                   k->radius,
                   k->raw,
                   k->has_jpeg,
                   (float)k->jpeg.quality,
                   k->jpeg.halve_chroma,
                   (float)k->jpeg.y,
                   (float)k->jpeg.x,
                   k->zoom,
                   k->at_y,
                   k->at_x,
                   k->again,
                   (float)k->second.quality,
                   k->second.halve_chroma,
                   (float)k->second.y,
                   (float)k->second.x},
         33);
}

static void cameras(uint32_t n, FILE *out)
{
    aei_rng rng = aei_rng_make(1, 0, 0);

    for (uint32_t i = 0; i < n; i++) {
        aei_camera k;

        aei_camera_draw(&rng, &k);
        give_camera(out, &k);
    }
}

static void camera(char **args, FILE *in, FILE *out)
{
    aei_rng rng = aei_rng_make(strtoull(args[0], NULL, 10), 0, 0), same;
    bool grey = atoi(args[2]);
    uint32_t h = (uint32_t)atoi(args[3]), w = (uint32_t)atoi(args[4]), n = h * w;
    float *clean = floats(3 * (size_t)n), *noisy = floats(3 * (size_t)n),
          *normals = floats(3 * (size_t)n);
    void *scratch = ae_alloc(aei_camera_scratch(h, w), 1);
    aei_camera k;

    check(scratch, "out of memory");
    take(in, clean, 3 * (size_t)n);
    aei_camera_draw(&rng, &k);
    k.luminance = strtof(args[1], NULL);
    same = rng;
    for (int i = 0; i < (k.mosaic || grey ? 1 : 3); i++)
        aei_rng_normals(&same, normals + (size_t)i * n, n);
    aei_camera_take(&k, &rng, clean, noisy, h, w, 3, grey, scratch);
    give_camera(out, &k);
    give(out, normals, 3 * (size_t)n);
    give(out, clean, 3 * (size_t)n);
    give(out, noisy, 3 * (size_t)n);
    ae_free(clean);
    ae_free(noisy);
    ae_free(normals);
    ae_free(scratch);
}

static void pattern(char **args, FILE *out)
{
    uint32_t h = (uint32_t)atoi(args[2]), w = (uint32_t)atoi(args[3]);
    float *rgb = floats(3 * (size_t)h * w);

    aei_pattern_draw(strtoull(args[0], NULL, 10), strtoull(args[1], NULL, 10), h, w, rgb);
    give(out, rgb, 3 * (size_t)h * w);
    ae_free(rgb);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int n_args;
        bool model, in, out;
    } jobs[] = {
        {"identity", 1, true, false, false}, {"rates", 2, true, false, false},
        {"resave", 2, true, false, false},   {"gradients", 6, true, true, true},
        {"step", 5, true, true, true},       {"batches", 7, true, true, true},
        {"camera", 7, false, true, true},    {"cameras", 2, false, false, true},
        {"round", 2, true, false, true},     {"pattern", 5, false, false, true},
    };
    enum {
        IDENTITY,
        RATES,
        RESAVE,
        GRADIENTS,
        STEP,
        BATCHES,
        CAMERA,
        CAMERAS,
        ROUND,
        PATTERN,
        N_JOBS
    };
    char **args = argv + 2;
    int job = 0;
    ae_model *m = NULL;
    FILE *in = NULL, *out = NULL;

    while (job < N_JOBS && (argc < 2 || strcmp(argv[1], jobs[job].name) != 0))
        job++;
    check(job < N_JOBS && argc - 2 == jobs[job].n_args, "see the head of torchhelper.c");
    if (jobs[job].model)
        must(ae_model_open(args[0], NULL, &m, &error));
    if (jobs[job].in)
        in = open_file(argv[argc - 2], "rb");
    if (jobs[job].out)
        out = open_file(argv[argc - 1], "wb");
    switch (job) {
    case IDENTITY: print_identity(m); break;
    case RATES: print_rates(m, strtoull(args[1], NULL, 10)); break;
    case RESAVE: resave(m, args[1]); break;
    case GRADIENTS:
        gradients(m,
                  (aei_plan_config){.n = (uint32_t)atoi(args[1]),
                                    .h = (uint32_t)atoi(args[2]),
                                    .w = (uint32_t)atoi(args[3]),
                                    .precision = AE_PRECISION_F32},
                  in, out);
        break;
    case STEP: step(m, strtoull(args[1], NULL, 10), strtof(args[2], NULL), in, out); break;
    case BATCHES: batches(m, args + 1, in, out); break;
    case ROUND: round_parameters(m, out); break;
    case CAMERA: camera(args, in, out); break;
    case PATTERN: pattern(args, out); break;
    default: cameras((uint32_t)atoi(args[0]), out);
    }
    ae_model_free(m);
    if (in)
        fclose(in);
    check(!out || !fclose(out), "cannot write");
    return 0;
}
