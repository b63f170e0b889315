/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The convolution ceiling of one core: GFLOP/s of a 3 x 3 convolution of 64 channels at 56 x 56, batch 16, forward:  ceiling [bf16] */
#include <stdio.h>
#include <string.h>

#include "nn/exec.h"

int main(int argc, char **argv)
{
    ae_node nodes[2] = {
        {.name = "input", .op = AE_OP_INPUT, .add = -1, .out = 64},
        {.name = "conv", .param = "conv", .op = AE_OP_CONV, .add = -1, .n_from = 1, .out = 64, .kernel = {3, 3}, .stride = {1, 1},
         .dilation = {1, 1}, .pad = {1, 1}, .groups = 1, .bias = true},
    };
    ae_graph graph = {.nodes = nodes, .n_nodes = 2, .n_outputs = 1, .outputs = {1}};
    ae_precision wanted = argc > 1 && !strcmp(argv[1], "bf16") ? AE_PRECISION_BF16 : AE_PRECISION_F32;
    aei_plan_config config = {.n = 16, .h = 56, .w = 56, .precision = ae_precision_resolve(wanted)};
    double best = 0, seconds, operations;
    ae_error err = {0};
    aei_plan *plan = NULL;

    if (ae_graph_check(&graph, &err) != AE_OK || aei_plan_create(&graph, &config, &plan, &err) != AE_OK) {
        fprintf(stderr, "ceiling: %s\n", err.message);
        return 1;
    }
    for (int i = 0; i < 5; i++) {
        if (aei_plan_bench(plan, &seconds, &operations, &err) != AE_OK) {
            fprintf(stderr, "ceiling: %s\n", err.message);
            return 1;
        }
        best = operations / seconds > best ? operations / seconds : best;
    }
    printf("%.1f\n", best * 1e-9);
    aei_plan_free(plan);
    return 0;
}
