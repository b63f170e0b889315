/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Products of two row-major matrices of fixed shapes, single-threaded, over oneDNN. */
#ifndef AEI_MATMUL_H
#define AEI_MATMUL_H

#include "ae/model.h"

typedef struct aei_matmul aei_matmul;

/* c (m x n, f32) = a (m x k) b (k x n), or a bᵀ with b n x k where `transposed`. a and b are f32, or bf16 where precision, which is
 * resolved, says so. One thread at a time may run it. */
ae_status aei_matmul_create(uint32_t m, uint32_t k, uint32_t n, bool transposed, ae_precision precision, aei_matmul **out,
                            ae_error *err);
void aei_matmul_free(aei_matmul *matmul); /* NULL is fine */
bool aei_matmul_run(aei_matmul *matmul, const void *a, const void *b, float *c); /* false: oneDNN refused */

#endif
