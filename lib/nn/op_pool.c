/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pooling and upsampling: operators over small neighbourhoods, each channel by itself. */
#include <float.h>
#include <string.h>

#include "nn/graph_check.h"
#include "nn/live.h"

static const uint8_t *pixel(const aei_tensor *t, const void *data, size_t n, size_t y, size_t x)
{
    return (const uint8_t *)data + ((n * t->shape.h + y) * t->shape.w + x) * t->cp * t->element;
}

static float *row(const aei_run *run, uint32_t n, uint32_t width)
{
    return (float *)aei_at(run, AEI_SCRATCH) + (size_t)n * width;
}

static ae_status plan_rows(aei_plan *plan, aei_step *s, ae_error *err)
{
    (void)err;
    aei_scratch(plan, (size_t)4 * s->t.cp * sizeof(float) + aei_live_room(plan, s));
    aei_scratch(plan, (size_t)4 * s->t.cp * sizeof(float) +
                          aei_pixels(&plan->steps[s->node->from[0]].t) * s->t.cp * sizeof(float));
    return AE_OK;
}

/* The part of the window of output position o that lies within [0, size): [*a, *b). */
static void window(uint32_t o, uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t size,
                   uint32_t *a, uint32_t *b)
{
    int64_t first = (int64_t)o * stride - pad, last = first + kernel;

    *a = (uint32_t)(first > 0 ? first : 0);
    *b = (uint32_t)(last < size ? last : size);
}

/* What a pool reads: its input, behind the rows kept from before where it is live. */
typedef struct pooled {
    aei_tensor t;
    const uint8_t *data;
    uint32_t first; /* row that counts */
} pooled;

static pooled pooled_of(aei_run *run, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    pooled in = {f->t, aei_value(run, f), 0};

    if (s->look) {
        uint8_t *room = (uint8_t *)row(run, 4, s->t.cp);

        in.first = s->look - aei_live_join(run, s, room);
        in.t.shape.h += s->look;
        in.data = room;
    }
    return in;
}

static void pool_windows(const aei_step *s, const pooled *in, uint32_t y, uint32_t x, uint32_t w[4])
{
    const ae_node *n = s->node;

    window(y, n->kernel[0], n->stride[0], aei_pad_before(n, 0) - s->look, in->t.shape.h, &w[0],
           &w[1]);
    window(x, n->kernel[1], n->stride[1], aei_pad_before(n, 1), in->t.shape.w, &w[2], &w[3]);
    w[0] = w[0] < in->first ? in->first : w[0];
}

/* Gradients are summed in f32 over the whole input, then stored. */
static float *sum_space(const aei_run *run, const aei_step *s, const aei_tensor *in)
{
    float *sum = row(run, 4, s->t.cp);

    memset(sum, 0, aei_pixels(in) * in->cp * sizeof(float));
    return sum;
}

static void max_forward(aei_run *run, const aei_weights *weights, const aei_step *s)
{
    const pooled in = pooled_of(run, s);
    uint32_t cp = s->t.cp, w[4];
    float *best = row(run, 0, cp), *v = row(run, 1, cp);
    uint8_t *to = aei_target(run, s);

    (void)weights;
    for (uint32_t n = 0; n < s->t.shape.n; n++)
        for (uint32_t y = 0; y < s->t.shape.h; y++)
            for (uint32_t x = 0; x < s->t.shape.w; x++, to += (size_t)cp * s->t.element) {
                pool_windows(s, &in, y, x, w);
                for (uint32_t c = 0; c < cp; c++)
                    best[c] = -FLT_MAX;
                for (uint32_t i = w[0]; i < w[1]; i++)
                    for (uint32_t j = w[2]; j < w[3]; j++) {
                        aei_to_f32(pixel(&in.t, in.data, n, i, j), in.t.element, v, cp);
                        for (uint32_t c = 0; c < cp; c++)
                            best[c] = v[c] <= best[c] ? best[c] : v[c]; /* NaN wins */
                    }
                aei_from_f32(best, to, s->t.element, cp);
            }
}

/* The gradient goes to the first of the largest. */
static void max_backward(aei_run *run, const aei_weights *weights, const aei_step *s, uint32_t slot,
                         void *to)
{
    const aei_step *f = aei_from(run, s, slot);
    const pooled in = pooled_of(run, s);
    uint32_t cp = s->t.cp, w[4];
    float *best = row(run, 0, cp), *v = row(run, 1, cp), *g = row(run, 2, cp),
          *sum = sum_space(run, s, &f->t);
    float *at = row(run, 3, cp);

    (void)weights;
    for (uint32_t n = 0; n < s->t.shape.n; n++)
        for (uint32_t y = 0; y < s->t.shape.h; y++)
            for (uint32_t x = 0; x < s->t.shape.w; x++) {
                pool_windows(s, &in, y, x, w);
                aei_to_f32(pixel(&s->t, aei_grad(run, s), n, y, x), s->t.element, g, cp);
                for (uint32_t c = 0; c < cp; c++)
                    best[c] = -FLT_MAX, at[c] = 0;
                for (uint32_t i = w[0]; i < w[1]; i++)
                    for (uint32_t j = w[2]; j < w[3]; j++) {
                        aei_to_f32(pixel(&in.t, in.data, n, i, j), in.t.element, v, cp);
                        for (uint32_t c = 0; c < cp; c++)
                            if (v[c] > best[c]) {
                                best[c] = v[c];
                                at[c] = (float)((i - w[0]) * (w[3] - w[2]) + j - w[2]);
                            }
                    }
                for (uint32_t c = 0; c < cp; c++) {
                    uint32_t k = (uint32_t)at[c], i = w[0] + k / (w[3] - w[2]),
                             j = w[2] + k % (w[3] - w[2]);

                    sum[(((size_t)n * f->t.shape.h + i) * f->t.shape.w + j) * cp + c] += g[c];
                }
            }
    aei_from_f32(sum, to, f->t.element, aei_pixels(&f->t) * cp);
}

const aei_operator aei_op_maxpool = {
    .plan = plan_rows, .forward = max_forward, .backward = max_backward};

/* Windows that tile the picture: whole rows at a time. */
static void average_tiles(aei_run *run, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    uint32_t cp = s->t.cp, kh = s->node->kernel[0], kw = s->node->kernel[1], e = s->t.element;
    size_t n = (size_t)f->t.shape.w * cp;
    float *rows = row(run, 4, cp), k = 1 / (float)(kh * kw);
    uint8_t *to = aei_target(run, s);

    for (size_t y = 0; y < (size_t)s->t.shape.n * s->t.shape.h;
         y++, to += (size_t)s->t.shape.w * cp * e) {
        for (uint32_t i = 0; i < kh; i++)
            aei_to_f32((uint8_t *)aei_value(run, f) + (y * kh + i) * n * e, e, rows + i * n, n);
        for (uint32_t i = 1; i < kh; i++)
            aei_add_to(rows, rows + i * n, 4, n);
        for (size_t x = 0; x < s->t.shape.w; x++)
            for (uint32_t c = 0; c < cp; c++) {
                float sum = rows[x * kw * cp + c];

                for (uint32_t j = 1; j < kw; j++)
                    sum += rows[(x * kw + j) * cp + c];
                rows[x * cp + c] = sum * k;
            }
        aei_from_f32(rows, to, e, (size_t)s->t.shape.w * cp);
    }
}

static void average_forward(aei_run *run, const aei_weights *weights, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    const ae_node *node = s->node;
    pooled in;
    uint32_t cp = s->t.cp, w[4];
    float *sum = row(run, 0, cp), *v = row(run, 1, cp);
    uint8_t *to = aei_target(run, s);

    (void)weights;
    if (node->kernel[0] == node->stride[0] && node->kernel[1] == node->stride[1] && !node->pad[0] &&
        !node->pad[1] && f->t.shape.h % node->kernel[0] == 0 &&
        f->t.shape.w % node->kernel[1] == 0) {
        average_tiles(run, s);
        return;
    }
    in = pooled_of(run, s);
    for (uint32_t n = 0; n < s->t.shape.n; n++)
        for (uint32_t y = 0; y < s->t.shape.h; y++)
            for (uint32_t x = 0; x < s->t.shape.w; x++, to += (size_t)cp * s->t.element) {
                float k;

                pool_windows(s, &in, y, x, w);
                k = 1 / (float)((w[1] - w[0]) * (w[3] - w[2]));
                memset(sum, 0, cp * sizeof(float));
                for (uint32_t i = w[0]; i < w[1]; i++)
                    for (uint32_t j = w[2]; j < w[3]; j++) {
                        aei_to_f32(pixel(&in.t, in.data, n, i, j), in.t.element, v, cp);
                        for (uint32_t c = 0; c < cp; c++)
                            sum[c] += v[c];
                    }
                for (uint32_t c = 0; c < cp; c++)
                    sum[c] *= k;
                aei_from_f32(sum, to, s->t.element, cp);
            }
}

static void average_backward(aei_run *run, const aei_weights *weights, const aei_step *s,
                             uint32_t slot, void *to)
{
    const aei_step *f = aei_from(run, s, slot);
    const pooled in = pooled_of(run, s);
    uint32_t cp = s->t.cp, w[4];
    float *g = row(run, 0, cp), *sum = sum_space(run, s, &f->t);

    (void)weights;
    for (uint32_t n = 0; n < s->t.shape.n; n++)
        for (uint32_t y = 0; y < s->t.shape.h; y++)
            for (uint32_t x = 0; x < s->t.shape.w; x++) {
                float k;

                pool_windows(s, &in, y, x, w);
                k = 1 / (float)((w[1] - w[0]) * (w[3] - w[2]));
                aei_to_f32(pixel(&s->t, aei_grad(run, s), n, y, x), s->t.element, g, cp);
                for (uint32_t i = w[0]; i < w[1]; i++)
                    for (uint32_t j = w[2]; j < w[3]; j++)
                        for (uint32_t c = 0; c < cp; c++)
                            sum[(((size_t)n * f->t.shape.h + i) * f->t.shape.w + j) * cp + c] +=
                                g[c] * k;
            }
    aei_from_f32(sum, to, f->t.element, aei_pixels(&f->t) * cp);
}

const aei_operator aei_op_avgpool = {
    .plan = plan_rows, .forward = average_forward, .backward = average_backward};

/* Interpolation by a factor: output o lies at (o + 0.5) / factor - 0.5 of the input; nearest takes
 * o / factor. Two taps a and b of weights 1 - t and t. */
static void taps(const aei_step *s, uint32_t o, uint32_t size, uint32_t *a, uint32_t *b, float *t)
{
    uint32_t f = s->node->factor;
    /* not of o itself: tiles must round alike wherever they lie */
    float phase = ((float)(o % f) + 0.5f) / (float)f - 0.5f;

    *a = *b = o / f;
    *t = 0;
    if (s->node->op == AE_OP_NEAREST)
        return;
    if (phase >= 0) {
        *b = *a + 1 < size ? *a + 1 : *a;
        *t = phase;
    } else if (*a > 0) {
        --*a;
        *t = phase + 1;
    }
}

static void upsample_forward(aei_run *run, const aei_weights *weights, const aei_step *s)
{
    const aei_step *f = aei_from(run, s, 0);
    uint32_t cp = s->t.cp, y0, y1, x0, x1;
    float *p[4], ty, tx;
    uint8_t *to = aei_target(run, s);

    (void)weights;
    for (int i = 0; i < 4; i++)
        p[i] = row(run, (uint32_t)i, cp);
    for (uint32_t n = 0; n < s->t.shape.n; n++)
        for (uint32_t y = 0; y < s->t.shape.h; y++)
            for (uint32_t x = 0; x < s->t.shape.w; x++, to += (size_t)cp * s->t.element) {
                taps(s, y, f->t.shape.h, &y0, &y1, &ty);
                taps(s, x, f->t.shape.w, &x0, &x1, &tx);
                for (int i = 0; i < 4; i++)
                    aei_to_f32(pixel(&f->t, aei_value(run, f), n, i & 2 ? y1 : y0, i & 1 ? x1 : x0),
                               f->t.element, p[i], cp);
                for (uint32_t c = 0; c < cp; c++)
                    p[0][c] = (1 - ty) * ((1 - tx) * p[0][c] + tx * p[1][c]) +
                              ty * ((1 - tx) * p[2][c] + tx * p[3][c]);
                aei_from_f32(p[0], to, s->t.element, cp);
            }
}

static void upsample_backward(aei_run *run, const aei_weights *weights, const aei_step *s,
                              uint32_t slot, void *to)
{
    const aei_step *f = aei_from(run, s, slot);
    uint32_t cp = s->t.cp, y0, y1, x0, x1;
    float *g = row(run, 0, cp), *sum = sum_space(run, s, &f->t), ty, tx;

    (void)weights;
    for (uint32_t n = 0; n < s->t.shape.n; n++)
        for (uint32_t y = 0; y < s->t.shape.h; y++)
            for (uint32_t x = 0; x < s->t.shape.w; x++) {
                taps(s, y, f->t.shape.h, &y0, &y1, &ty);
                taps(s, x, f->t.shape.w, &x0, &x1, &tx);
                aei_to_f32(pixel(&s->t, aei_grad(run, s), n, y, x), s->t.element, g, cp);
                for (int i = 0; i < 4; i++) {
                    float k = (i & 2 ? ty : 1 - ty) * (i & 1 ? tx : 1 - tx);
                    float *at = sum +
                                (((size_t)n * f->t.shape.h + (i & 2 ? y1 : y0)) * f->t.shape.w +
                                 (i & 1 ? x1 : x0)) *
                                    cp;

                    for (uint32_t c = 0; c < cp; c++)
                        at[c] += k * g[c];
                }
            }
    aei_from_f32(sum, to, f->t.element, aei_pixels(&f->t) * cp);
}

const aei_operator aei_op_nearest = {
    .plan = plan_rows, .forward = upsample_forward, .backward = upsample_backward};
const aei_operator aei_op_bilinear = {
    .plan = plan_rows, .forward = upsample_forward, .backward = upsample_backward};
