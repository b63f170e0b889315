/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BENCH_CEILING_H
#define BENCH_CEILING_H

#include <stdio.h>
#include <stdlib.h>

#include "nn/exec.h"

/* The convolution ceiling of one core: operations a second of a 3 x 3 convolution of 64 channels at
 * 56 x 56, batch 16, forward. */
static inline double measure_ceiling(ae_precision wanted)
{
    ae_node nodes[2] = {
        {.name = "input", .op = AE_OP_INPUT, .add = -1, .out = 64},
        {.name = "conv",
         .param = "conv",
         .op = AE_OP_CONV,
         .add = -1,
         .n_from = 1,
         .out = 64,
         .kernel = {3, 3},
         .stride = {1, 1},
         .dilation = {1, 1},
         .pad = {1, 1},
         .groups = 1,
         .bias = true},
    };
    ae_graph graph = {.nodes = nodes, .n_nodes = 2, .n_outputs = 1, .outputs = {1}};
    aei_plan_config config = {.n = 16, .h = 56, .w = 56, .precision = ae_precision_resolve(wanted)};
    double best = 0, seconds, operations;
    ae_error err = {0};
    aei_plan *plan = NULL;

    if (ae_graph_check(&graph, &err) != AE_OK ||
        aei_plan_create(&graph, &config, &plan, &err) != AE_OK) {
        fprintf(stderr, "ceiling: %s\n", err.message);
        exit(1);
    }
    for (int i = 0; i < 5; i++) {
        if (aei_plan_bench(plan, 6, &seconds, &operations, &err) != AE_OK) {
            fprintf(stderr, "ceiling: %s\n", err.message);
            exit(1);
        }
        best = operations / seconds > best ? operations / seconds : best;
    }
    aei_plan_free(plan);
    return best;
}

#endif
