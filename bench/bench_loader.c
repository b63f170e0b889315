/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Processor time that one thread of the loader takes for a batch of 16 crops of 128 x 128 RGB
 * pixels. */
#include "train/loader.h"

#include <stdio.h>
#include <time.h>

enum { W = 1120, H = 750, WARM = 20, BATCHES = 100 };

static ae_status load(void *opaque, size_t i, ae_signal_info *info, void **pixels, ae_error *err)
{
    uint8_t *p = ae_alloc((size_t)W * H, 3);
    uint32_t noise = (uint32_t)i;

    (void)opaque;
    if (!p)
        return ae_fail(err, AE_ERR_NOMEM, "picture");
    for (size_t k = 0; k < (size_t)W * H * 3; k++) {
        noise = noise * 1664525u + 1013904223u;
        p[k] = (uint8_t)(60 + (noise >> 28) + k / 7 % 100);
    }
    *info = (ae_signal_info){
        .kind = AE_KIND_IMAGE, .sample = AE_U8, .bits = 8, .channels = 3, .width = W, .height = H};
    *pixels = p;
    return AE_OK;
}

static const char *name(void *opaque, size_t i)
{
    (void)opaque;
    (void)i;
    return "picture";
}

static bool measure(const char *what, ae_task task, const ae_corruption *corruption, float scale)
{
    static ae_recipe recipe; /* large */
    ae_node nodes[2] = {{.name = AE_INPUT_IMAGE, .op = AE_OP_INPUT, .out = 3},
                        {.name = AE_INPUT_LEVEL, .op = AE_OP_INPUT, .out = 2}};
    ae_dataset data = {.n_items = 20, .load = load, .name = name};
    aei_loader_config config = {.recipe = &recipe, .data = &data, .threads = 1};
    aei_loader *loader;
    aei_batch batch;
    ae_error err = {0};
    clock_t start = 0;
    ae_status st;

    recipe = (ae_recipe){.task = task,
                         .residual = true,
                         .scale = task == AE_TASK_SUPERRES ? 2 : 1,
                         .n_networks = 1,
                         .crop = 128,
                         .augment = true,
                         .scale_min = 1,
                         .scale_max = scale,
                         .grey = 0.05f,
                         .batch = 16,
                         .holdout = 0.05f};
    recipe.networks[0].graph = (ae_graph){.nodes = nodes, .n_nodes = 2};
    if (corruption)
        recipe.corruptions[recipe.n_corruptions++] = *corruption;
    st = aei_loader_create(&config, &loader, &err);
    for (int i = 0; i < WARM + BATCHES && st == AE_OK; i++) {
        if (i == WARM)
            start = clock();
        st = aei_loader_next(loader, &batch, NULL, &err);
    }
    if (st == AE_OK)
        printf("%-28s %6.2f ms a batch\n", what,
               1e3 * (double)(clock() - start) / CLOCKS_PER_SEC / BATCHES);
    else
        fprintf(stderr, "%s: %s\n", what, err.message);
    aei_loader_free(loader);
    return st != AE_OK;
}

int main(void)
{
    ae_corruption gaussian = {
        .kind = AE_CORRUPT_GAUSSIAN, .max = 75, .probability = 1, .jitter_min = 1, .jitter_max = 1};
    ae_corruption camera = {.kind = AE_CORRUPT_CAMERA,
                            .min = 1,
                            .max = 12,
                            .probability = 1,
                            .jitter_min = 1,
                            .jitter_max = 1};
    ae_corruption jpeg = {.kind = AE_CORRUPT_JPEG,
                          .min = 30,
                          .max = 95,
                          .probability = 1,
                          .jitter_min = 1,
                          .jitter_max = 1};
    bool failed = measure("white noise", AE_TASK_DENOISE, &gaussian, 1);

    failed |= measure("white noise, scaled down", AE_TASK_DENOISE, &gaussian, 2);
    failed |= measure("camera", AE_TASK_DENOISE, &camera, 1);
    failed |= measure("JPEG", AE_TASK_DENOISE, &jpeg, 1);
    failed |= measure("super-resolution by 2", AE_TASK_SUPERRES, NULL, 1);
    return failed;
}
