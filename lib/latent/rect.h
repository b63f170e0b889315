/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rectangles on the grids of a program: what an operator computes, and what of its inputs it reads
 * for that. */
#ifndef AEI_RECT_H
#define AEI_RECT_H

#include "latent/program.h"

typedef struct aei_rect {
    int32_t x0, y0, x1, y1;
} aei_rect;

static inline int32_t aei_min_i32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t aei_max_i32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline bool aei_rect_is_empty(aei_rect r)
{
    return r.x0 >= r.x1 || r.y0 >= r.y1;
}

static inline aei_rect aei_rect_join(aei_rect a, aei_rect b)
{
    if (aei_rect_is_empty(a) || aei_rect_is_empty(b))
        return aei_rect_is_empty(a) ? b : a;
    return (aei_rect){aei_min_i32(a.x0, b.x0), aei_min_i32(a.y0, b.y0), aei_max_i32(a.x1, b.x1),
                      aei_max_i32(a.y1, b.y1)};
}

static inline aei_rect aei_rect_meet(aei_rect a, aei_rect b)
{
    return (aei_rect){aei_max_i32(a.x0, b.x0), aei_max_i32(a.y0, b.y0), aei_min_i32(a.x1, b.x1),
                      aei_min_i32(a.y1, b.y1)};
}

static inline int32_t aei_floor_div(int32_t a, int32_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* To a grid `factor` times as coarse, outward. */
static inline aei_rect aei_rect_coarser(aei_rect r, int32_t factor)
{
    return (aei_rect){aei_floor_div(r.x0, factor), aei_floor_div(r.y0, factor),
                      aei_floor_div(r.x1 + factor - 1, factor),
                      aei_floor_div(r.y1 + factor - 1, factor)};
}

/* What an operator reads of input k to compute r. */
static inline aei_rect aei_rect_field(const aei_op *op, uint32_t k, aei_rect r)
{
    int32_t s = (int32_t)op->stride, pad = (int32_t)op->pad, size = (int32_t)op->kernel;

    if (op->kind == AEI_CONV && k == 0)
        return (aei_rect){r.x0 * s - pad, r.y0 * s - pad, (r.x1 - 1) * s - pad + size,
                          (r.y1 - 1) * s - pad + size};
    return op->kind == AEI_SHUFFLE ? aei_rect_coarser(r, (int32_t)op->factor) : r;
}

#endif
