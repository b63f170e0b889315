/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The linear probe (Alain & Bengio 2016): what a representation tells is what a linear classifier
 * can read from it. */
#ifndef PROBE_H
#define PROBE_H

#include "common/latents.h"

typedef struct probe_result {
    double accuracy; /* share of the tested items that are told right */
    double purity;   /* share of all items whose group, by k-means, is mostly of their label */
    uint32_t n_classes;
    size_t n_learnt, n_tested;
} probe_result;

/* Softmax regression, learnt from the first n_learnt items, tested on the others. The same every
 * time. */
ae_status probe_run(const matrix *codes, const uint32_t *labels, size_t n_learnt, probe_result *out,
                    ae_error *err);

#endif
