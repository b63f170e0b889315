/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Operators that only move samples: nothing here computes, so one loop serves every sample type. */
#include <string.h>

#include "nn/plan.h"

/* Copies n runs of `bytes` at the given strides, all in bytes. Most runs are a pixel's few
 * channels: constant sizes compile to moves. */
static void copy_runs(uint8_t *restrict to, size_t to_stride, const uint8_t *restrict from,
                      size_t from_stride, size_t bytes, size_t n)
{
    if (bytes == to_stride && bytes == from_stride) {
        memcpy(to, from, bytes * n);
        return;
    }
/* clang-format off */
#define RUNS(size) \
    case size: \
        for (size_t i = 0; i < n; i++) \
            memcpy(to + i * to_stride, from + i * from_stride, size); \
        return
    /* clang-format on */
    switch (bytes) {
        RUNS(2);
        RUNS(4);
        RUNS(6);
        RUNS(8);
        RUNS(12);
        RUNS(16);
        RUNS(24);
        RUNS(32);
        RUNS(64);
        RUNS(96);
        RUNS(128);
    }
#undef RUNS
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * to_stride, from + i * from_stride, bytes);
}

static void clear_padding(const aei_tensor *t, uint8_t *data)
{
    size_t used = (size_t)t->shape.c * t->element, stride = (size_t)t->cp * t->element;

    if (used < stride)
        for (size_t i = 0, n = aei_pixels(t); i < n; i++)
            memset(data + i * stride + used, 0, stride - used);
}

static size_t stride_of(const aei_tensor *t)
{
    return (size_t)t->cp * t->element;
}

/* ---- input ---- filled by the run */
const aei_operator aei_op_input = {0};

/* ---- concat, crop ---- */
static void concat_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    uint8_t *to = aei_target(run, s);
    size_t at = 0;

    (void)w;
    for (uint32_t k = 0; k < s->node->n_from; k++) {
        const aei_step *f = aei_from(run, s, k);
        size_t bytes = (size_t)f->t.shape.c * f->t.element;

        copy_runs(to + at, stride_of(&s->t), aei_value(run, f), stride_of(&f->t), bytes,
                  aei_pixels(&s->t));
        at += bytes;
    }
    clear_padding(&s->t, to);
}

static void concat_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                            void *to)
{
    const aei_tensor *t = &aei_from(run, s, slot)->t;
    size_t at = 0;

    (void)w;
    for (uint32_t k = 0; k < slot; k++)
        at += (size_t)aei_from(run, s, k)->t.shape.c * s->t.element;
    copy_runs(to, stride_of(t), (uint8_t *)aei_grad(run, s) + at, stride_of(&s->t),
              (size_t)t->shape.c * t->element, aei_pixels(t));
    clear_padding(t, to);
}

const aei_operator aei_op_concat = {.forward = concat_forward, .backward = concat_backward};

/* The part's rows within the whole's, to or from. */
static void crop(const aei_step *s, const aei_tensor *whole, uint8_t *whole_data,
                 uint8_t *part_data, bool back)
{
    size_t ws = stride_of(whole), ps = stride_of(&s->t),
           bytes = (size_t)s->t.shape.c * s->t.element;
    const uint32_t *pad = s->node->pad;

    for (uint32_t n = 0; n < s->t.shape.n; n++)
        for (uint32_t y = 0; y < s->t.shape.h; y++) {
            size_t row = (size_t)n * whole->shape.h + y + pad[0];
            uint8_t *a = whole_data + (row * whole->shape.w + pad[1]) * ws +
                         (size_t)s->node->first * s->t.element;
            uint8_t *b = part_data + ((size_t)n * s->t.shape.h + y) * s->t.shape.w * ps;

            copy_runs(back ? a : b, back ? ws : ps, back ? b : a, back ? ps : ws, bytes,
                      s->t.shape.w);
        }
}

static void crop_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);

    (void)w;
    crop(s, &f->t, aei_value(run, f), aei_target(run, s), false);
    clear_padding(&s->t, aei_target(run, s));
}

static void crop_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                          void *to)
{
    const aei_tensor *t = &aei_from(run, s, slot)->t;

    (void)w;
    memset(to, 0, aei_tensor_bytes(t));
    crop(s, t, to, aei_grad(run, s), true);
}

const aei_operator aei_op_crop = {.forward = crop_forward, .backward = crop_backward};

/* ---- reshape ---- same samples in the same order: repack where padding differs */
static void repack(const aei_tensor *a, const uint8_t *from, const aei_tensor *b, uint8_t *to)
{
    uint32_t e = a->element;
    size_t n = aei_pixels(a) * a->shape.c;

    if (a->cp == a->shape.c && b->cp == b->shape.c) {
        memcpy(to, from, n * e);
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(to + (i / b->shape.c * b->cp + i % b->shape.c) * e,
               from + (i / a->shape.c * a->cp + i % a->shape.c) * e, e);
    clear_padding(b, to);
}

static void reshape_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);

    (void)w;
    repack(&f->t, aei_value(run, f), &s->t, aei_target(run, s));
}

static void reshape_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                             void *to)
{
    (void)w;
    repack(&s->t, aei_grad(run, s), &aei_from(run, s, slot)->t, to);
}

const aei_operator aei_op_reshape = {.forward = reshape_forward, .backward = reshape_backward};

/* ---- time: rows are moved whole ---- */
static size_t row_of(const aei_tensor *t)
{
    return (size_t)t->shape.w * t->cp * t->element;
}

/* The row of sample n that `last` takes; -1: none counts. */
static int64_t last_row(const aei_run *run, const aei_step *s, uint32_t n)
{
    const aei_step *mask = s->node->n_from > 1 ? aei_from(run, s, 1) : NULL;
    int64_t y = aei_from(run, s, 0)->t.shape.h;
    float value = 1;

    while (y-- > 0) {
        if (mask)
            aei_to_f32((uint8_t *)aei_value(run, mask) +
                           (n * mask->t.shape.h + (size_t)y) * stride_of(&mask->t),
                       mask->t.element, &value, 1);
        if (value > 0.5f)
            return y;
    }
    return -1;
}

static void last_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    size_t row = row_of(&s->t);

    (void)w;
    for (uint32_t n = 0; n < s->t.shape.n; n++) {
        int64_t y = last_row(run, s, n);
        uint8_t *to = (uint8_t *)aei_target(run, s) + n * row;

        if (y < 0)
            memset(to, 0, row);
        else
            memcpy(to, (uint8_t *)aei_value(run, f) + (n * f->t.shape.h + (size_t)y) * row, row);
    }
}

static void last_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                          void *to)
{
    const aei_tensor *t = &aei_from(run, s, slot)->t;
    size_t row = row_of(&s->t);

    (void)w;
    memset(to, 0, aei_tensor_bytes(t));
    for (uint32_t n = 0; n < s->t.shape.n && !slot; n++) {
        int64_t y = last_row(run, s, n);

        if (y >= 0)
            memcpy((uint8_t *)to + (n * t->shape.h + (size_t)y) * row,
                   (uint8_t *)aei_grad(run, s) + n * row, row);
    }
}

const aei_operator aei_op_last = {.forward = last_forward, .backward = last_backward};

static void repeat_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    size_t row = row_of(&s->t);
    uint8_t *to = aei_target(run, s), *from = aei_value(run, aei_from(run, s, 0));

    (void)w;
    for (uint32_t n = 0; n < s->t.shape.n; n++, from += row)
        for (uint32_t y = 0; y < s->t.shape.h; y++, to += row)
            memcpy(to, from, row);
}

/* Sums in f32 over the rows; nothing reaches the layer that only lends its height. */
static ae_status repeat_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    (void)err;
    aei_scratch(plan, (size_t)2 * s->t.shape.w * s->t.cp * sizeof(float));
    return AE_OK;
}

static void repeat_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                            void *to)
{
    const aei_tensor *t = &aei_from(run, s, slot)->t;
    size_t width = (size_t)s->t.shape.w * s->t.cp;
    float *sum = aei_at(run, AEI_SCRATCH), *g = sum + width;

    (void)w;
    if (slot) {
        memset(to, 0, aei_tensor_bytes(t));
        return;
    }
    for (uint32_t n = 0; n < s->t.shape.n; n++) {
        memset(sum, 0, width * sizeof(float));
        for (uint32_t y = 0; y < s->t.shape.h; y++) {
            aei_to_f32((uint8_t *)aei_grad(run, s) + ((size_t)n * s->t.shape.h + y) * row_of(&s->t),
                       s->t.element, g, width);
            aei_add_to(sum, g, sizeof(float), width);
        }
        aei_from_f32(sum, (uint8_t *)to + n * row_of(t), t->element, width);
    }
}

const aei_operator aei_op_repeat_time = {
    .plan = repeat_plan, .forward = repeat_forward, .backward = repeat_backward};

static void flip(const aei_tensor *t, const uint8_t *from, uint8_t *to)
{
    size_t row = row_of(t), h = t->shape.h;

    for (size_t n = 0; n < t->shape.n; n++)
        for (size_t y = 0; y < h; y++)
            memcpy(to + (n * h + y) * row, from + (n * h + h - 1 - y) * row, row);
}

static void flip_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    (void)w;
    flip(&s->t, aei_value(run, aei_from(run, s, 0)), aei_target(run, s));
}

static void flip_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                          void *to)
{
    (void)w;
    (void)slot;
    flip(&s->t, aei_grad(run, s), to);
}

const aei_operator aei_op_flip = {.forward = flip_forward, .backward = flip_backward};

/* Rows one down, where `down`, or one up; zeros come in. */
static void shift(const aei_tensor *t, bool down, const uint8_t *from, uint8_t *to)
{
    size_t row = row_of(t), item = row * t->shape.h;

    for (size_t n = 0; n < t->shape.n; n++, from += item, to += item) {
        memcpy(to + (down ? row : 0), from + (down ? 0 : row), item - row);
        memset(to + (down ? 0 : item - row), 0, row);
    }
}

static void shift_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    (void)w;
    shift(&s->t, true, aei_value(run, aei_from(run, s, 0)), aei_target(run, s));
}

static void shift_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                           void *to)
{
    (void)w;
    (void)slot;
    shift(&s->t, false, aei_grad(run, s), to);
}

const aei_operator aei_op_shift = {.forward = shift_forward, .backward = shift_backward};

/* ---- pixel shuffle ---- deep: H x W x (C f f), wide: H f x W f x C. Where the deep tensor is
 * stored permuted, (d, c) with d = dy f + dx, whole runs of C move; plan.c arranges that wherever
 * only layers with weights touch it. */
static void shuffle(const aei_tensor *deep, uint8_t *deep_data, const aei_tensor *wide,
                    uint8_t *wide_data, uint32_t f, bool to_wide)
{
    uint32_t e = deep->element, c = wide->shape.c, ff = f * f;
    size_t ds = stride_of(deep), ws = stride_of(wide), rows = (size_t)deep->shape.n * deep->shape.h;

    for (size_t y = 0; y < rows; y++)
        for (uint32_t d = 0; d < ff; d++) {
            uint8_t *p = deep_data + y * deep->shape.w * ds;
            uint8_t *q = wide_data + ((y * f + d / f) * wide->shape.w + d % f) * ws;

            /* one run of c channels where permuted, otherwise c runs of one */
            for (uint32_t k = 0; k < (deep->perm ? 1 : c); k++) {
                uint8_t *pk = p + (deep->perm ? (size_t)d * c : (size_t)k * ff + d) * e,
                        *qk = q + (size_t)k * e;
                size_t bytes = deep->perm ? (size_t)c * e : e;

                copy_runs(to_wide ? qk : pk, to_wide ? ws * f : ds, to_wide ? pk : qk,
                          to_wide ? ds : ws * f, bytes, deep->shape.w);
            }
        }
    clear_padding(to_wide ? wide : deep, to_wide ? wide_data : deep_data);
}

static void shuffle_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);

    (void)w;
    shuffle(&f->t, aei_value(run, f), &s->t, aei_target(run, s), s->node->factor, true);
}

static void shuffle_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                             void *to)
{
    (void)w;
    shuffle(&aei_from(run, s, slot)->t, to, &s->t, aei_grad(run, s), s->node->factor, false);
}

const aei_operator aei_op_shuffle = {.forward = shuffle_forward, .backward = shuffle_backward};

static void unshuffle_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);

    (void)w;
    shuffle(&s->t, aei_target(run, s), &f->t, aei_value(run, f), s->node->factor, false);
}

static void unshuffle_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                               void *to)
{
    (void)w;
    shuffle(&s->t, aei_grad(run, s), &aei_from(run, s, slot)->t, to, s->node->factor, true);
}

const aei_operator aei_op_unshuffle = {.forward = unshuffle_forward,
                                       .backward = unshuffle_backward};
