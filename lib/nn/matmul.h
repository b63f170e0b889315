/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Products of two row-major matrices of fixed shapes, single-threaded, over oneDNN. */
#ifndef AEI_MATMUL_H
#define AEI_MATMUL_H

#include "ae/model.h"

typedef struct aei_matmul aei_matmul;

typedef enum aei_turned { AEI_AS_IS, AEI_A_TURNED, AEI_B_TURNED } aei_turned;

/* c (m x n) = a (m x k) b (k x n); a lies transposed, k x m, or b, n x k, where `turned` says so. a
 * and b are f32 or bf16, as `from` says, which is resolved; likewise c and `to`. One thread at a
 * time may run it. */
ae_status aei_matmul_create(uint32_t m, uint32_t k, uint32_t n, aei_turned turned,
                            ae_precision from, ae_precision to, aei_matmul **out, ae_error *err);
void aei_matmul_free(aei_matmul *matmul); /* NULL is fine */
/* false: oneDNN refused */
bool aei_matmul_run(aei_matmul *matmul, const void *a, const void *b, void *c);

#endif
