/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A training step of a small dense network, 784-32-784, in samples a CPU second:  small [bce|mse]
 * [BATCH] [bf16] bench/small.py measures the same with PyTorch. */
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char form[] =
    "recipe: 1\nname: small\ntask: autoencode\nnetworks:\n  - name: net\n"
    "    inputs: [{name: image, channels: 1, height: 28, width: 28}]\n    layers:\n"
    "      - {op: dense, out: 32, act: relu}\n      - {op: dense, out: 784, act: sigmoid}\n"
    "      - {op: reshape, height: 28, width: 28, channels: 1}\n"
    "loss: [{kind: %s}]\ntrain: {optimizer: adam, batch: %u, shards: 1, decay: 0, ema: 0, clip: "
    "0}\n";

int main(int argc, char **argv)
{
    enum { ROUNDS = 30, STEPS = 10 };
    const char *loss = argc > 1 ? argv[1] : "bce";
    uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 128;
    ae_precision precision = argc > 3 && !strcmp(argv[3], "bf16") ? AE_PRECISION_BF16
                                                                  : AE_PRECISION_F32;
    char text[1024];
    ae_recipe *recipe = NULL;
    aei_trainer *t = NULL;
    aei_batch batch = {.n = n};
    aei_step_result result;
    float *x = ae_alloc((size_t)n * 784, sizeof(*x));
    double best = 1e9;
    ae_error err = {0};

    snprintf(text, sizeof(text), form, loss, n);
    if (!x || ae_recipe_parse(text, strlen(text), NULL, &recipe, &err) != AE_OK ||
        aei_trainer_create(recipe, 28, 28, precision, 1, 1, &t, &err) != AE_OK)
        goto done;
    for (size_t i = 0; i < (size_t)n * 784; i++)
        x[i] = (float)(i * 7919 % 1000) / 1000;
    batch.inputs[0] = batch.target = x;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        double start = now();

        for (uint64_t i = 0; i < STEPS; i++)
            if (aei_trainer_step(t, &batch, round * STEPS + i, 1e-3f, &result, &err) != AE_OK)
                goto done;
        start = (now() - start) / STEPS;
        best = start < best ? start : best;
    }
    printf("%s, batch %u: %.0f samples a CPU second, %.3f ms a step\n", loss, n, n / best,
           best * 1e3);
done:
    aei_trainer_free(t);
    ae_recipe_free(recipe);
    ae_free(x);
    if (err.status != AE_OK)
        fprintf(stderr, "small: %s\n", err.message);
    return err.status != AE_OK;
}
