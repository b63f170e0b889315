/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Products of rows by a matrix, y = x W^T, inside operators: in f32, as convolutions of single
 * pixels, which give a row the same bytes wherever it stands. */
#ifndef AEI_LINEAR_H
#define AEI_LINEAR_H

#include "nn/plan.h"

enum { AEI_LINEAR_FORWARD, AEI_LINEAR_DATA, AEI_LINEAR_WEIGHTS, AEI_LINEAR_KINDS };

typedef struct aei_linear {
    uint32_t in, out; /* stored: multiples of 16 */
    dnnl_primitive_t prim[AEI_LINEAR_KINDS], pack[2], unpack;
    dnnl_memory_desc_t src[AEI_LINEAR_KINDS], dst[AEI_LINEAR_KINDS], weights[AEI_LINEAR_KINDS],
        pad[AEI_LINEAR_KINDS];
    dnnl_memory_desc_t plain, pack_pad;
    size_t prepared[2]; /* where the weights lie among the prepared ones */
    size_t pad_offset;  /* in the weights' scratch */
    size_t pad_bytes;   /* of the run's scratch */
    size_t native_floats;
} aei_linear;

/* As many rows as are computed for so many: those beyond must be there. */
size_t aei_linear_rows(size_t rows);
/* rows: of each kind of product; 0: it is not wanted. False: oneDNN cannot. */
bool aei_linear_plan(aei_plan *plan, aei_linear *l, uint32_t in, uint32_t out,
                     const size_t rows[AEI_LINEAR_KINDS]);
void aei_linear_free(aei_linear *l);
/* plain: out x in. */
void aei_linear_prepare(const aei_weights *w, const aei_linear *l, float *plain);
void aei_linear_unpack(const aei_weights *w, const aei_linear *l, float *native, float *plain);

/* One kind of product in a run, many times: memory handles. */
typedef struct aei_product {
    aei_run *run;
    const aei_linear *l;
    int kind;
    dnnl_memory_t src, dst, weights, pad;
} aei_product;

/* pad: l->pad_bytes. Failures are latched in the run. */
aei_product aei_product_begin(aei_run *run, const aei_weights *w, const aei_linear *l, int kind,
                              void *pad);
/* FORWARD writes y, DATA writes x from the gradient y, WEIGHTS writes native from both. */
void aei_product_run(aei_product *p, float *x, float *y, float *native);
void aei_product_end(aei_product *p);

#endif
