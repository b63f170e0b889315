/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For operators that load a pixel's channels to f32, compute, and store: op_ends.c, op_math.c,
 * op_norm.c, op_random.c. */
#ifndef AEI_ROWS_H
#define AEI_ROWS_H

#include <string.h>

#include "nn/plan.h"

/* Pixel i of a tensor as f32 in `to`, all stored channels. */
static inline void aei_load_pixel(const aei_tensor *t, const void *data, size_t i, float *to)
{
    aei_to_f32((const uint8_t *)data + i * t->cp * t->element, t->element, to, t->cp);
}

static inline void aei_store_pixel(const aei_tensor *t, void *data, size_t i, const float *from)
{
    aei_from_f32(from, (uint8_t *)data + i * t->cp * t->element, t->element, t->cp);
}

/* n-th row of f32 scratch, each of `width` floats. */
static inline float *aei_scratch_row(const aei_run *run, uint32_t n, uint32_t width)
{
    return (float *)aei_at(run, AEI_SCRATCH) + (size_t)n * width;
}

/* Rows of stored channels that an operator's loops need. */
static inline ae_status aei_plan_rows(aei_plan *plan, aei_step *s, ae_error *err)
{
    (void)err;
    for (int i = 0; i < 4; i++)
        s->native_floats += s->param[i] < 0 ? 0 : s->t.shape.c;
    aei_scratch(plan, (size_t)8 * s->t.cp * sizeof(float));
    return AE_OK;
}

/* The gradient of parameter `which`, a value for each channel. */
static inline void aei_deliver(const aei_step *s, uint32_t which, const float *sum, float *native)
{
    memcpy(native + which * s->t.shape.c, sum, s->t.shape.c * sizeof(float));
}

static inline ae_status aei_no_memory(const aei_step *s, ae_error *err)
{
    return ae_fail(err, AE_ERR_NOMEM, "layer '%s'", s->node->name);
}

#endif
