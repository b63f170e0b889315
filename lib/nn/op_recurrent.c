/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Recurrent layers along the height, which is time, each column of each sample by itself, from
 * zeros: gru (Cho et al. 2014, with the reset gate after the product, as PyTorch and cuDNN have it)
 * and lstm (Hochreiter and Schmidhuber 1997).
 *
 *   gru   r, z = sigmoid(W x + U h + b),  n = tanh(W x + b + r (U h + c)),  h' = (1 - z) n + z h
 *         gates r, z, n; their b, then the c of n
 *   lstm  i, f, o = sigmoid(W x + U h + b),  g = tanh(W x + U h + b),  c' = f c + i g,  h' = o
 *         tanh(c')
 *         gates i, f, g, o
 *
 * All in f32, whatever the plan's precision, and in rows of time, so that a step is a block: (t,
 * sample, column), channels filled up to 16. W x is one product over all rows; U h one a step.
 * Backward walks the steps in reverse and leaves the gradients of all gates, from which one product
 * each gives those of W, U and x. oneDNN's own recurrent primitives do the same with other kernels;
 * theirs compute in bf16 on few processors only and sum in an order that depends on the batch. */
#include <string.h>

#include "core/clones.h"
#include "core/fastmath.h"
#include "nn/linear.h"

#define FORCE_INLINE static inline __attribute__((always_inline))

enum { MOST_GATES = 4 };

typedef struct recurrent {
    aei_linear input, step; /* W, U */
    bool lstm;
    uint32_t gates, in, out;  /* channels as stored here */
    size_t block, rows, room; /* rows of a step; of all; and those that products touch */
    size_t bias_offset;       /* among prepared weights: gates, then gru's c */
    size_t plain_offset;      /* in the weights' scratch */
    size_t native_step, native_bias;
    /* kept from forward to backward (inference: scratch), in floats: a flag, activated gates, h of
     * each step from the initial one on, and c likewise, or gru's U h + c of n */
    size_t gates_at, h_at, extra_at, kept_floats;
    /* scratch, in floats */
    size_t x_at, product_at, d_gates_at, d_step_at, d_h_at, pad_at, scratch_floats;
} recurrent;

static const recurrent *own(const aei_step *s)
{
    return s->own;
}

static size_t aligned(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static size_t take(size_t *at, size_t floats)
{
    size_t first = *at;

    *at += aligned(floats);
    return first;
}

static uint32_t up(uint32_t channels)
{
    return (channels + 15) / 16 * 16;
}

static void lay_out(recurrent *r, bool train)
{
    size_t kept = 16, scratch = 0, wide = (size_t)r->gates * r->out;

    r->gates_at = take(&kept, r->room * wide);
    r->h_at = take(&kept, (r->room + r->block) * r->out);
    r->extra_at = take(&kept, (r->room + r->block) * r->out);
    r->kept_floats = kept;
    if (!train)
        scratch = kept;
    r->x_at = take(&scratch, r->room * r->in);
    r->product_at = take(&scratch, aei_linear_rows(r->block) * wide);
    if (train) {
        r->d_gates_at = take(&scratch, (r->room + r->block) * wide);
        /* by U h: gru's n differs */
        r->d_step_at = r->lstm ? r->d_gates_at : take(&scratch, (r->room + r->block) * wide);
        r->d_h_at = take(&scratch, 3 * aei_linear_rows(r->block) * r->out);
    }
    r->pad_at = scratch;
    r->scratch_floats = scratch + (r->input.pad_bytes > r->step.pad_bytes ? r->input.pad_bytes
                                                                          : r->step.pad_bytes) /
                                      sizeof(float);
}

static ae_status recurrent_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    const aei_tensor *from = &plan->steps[s->node->from[0]].t;
    ae_shape in = from->shape;
    bool train = plan->config.train, back = train && s->needs_grad,
         data = back && plan->steps[s->node->from[0]].needs_grad,
         params = back && !plan->config.refine;
    recurrent *r = s->own = ae_alloc(1, sizeof(*r));
    size_t all, step;

    if (!r)
        return ae_fail(err, AE_ERR_NOMEM, "layer '%s'", s->node->name);
    r->lstm = s->node->op == AE_OP_LSTM;
    r->gates = r->lstm ? 4 : 3;
    r->in = up(in.c);
    r->out = up(s->node->out);
    r->block = (size_t)in.n * in.w;
    r->rows = r->block * in.h;
    r->room = aei_linear_rows(r->rows);
    all = r->rows;
    step = r->block;
    if (!aei_linear_plan(plan, &r->input, r->in, r->gates * r->out,
                         (size_t[]){all, data ? all : 0, params ? all : 0}) ||
        !aei_linear_plan(plan, &r->step, r->out, r->gates * r->out,
                         (size_t[]){step, back ? step : 0, params ? all : 0}))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "layer '%s': oneDNN cannot compute this shape here",
                       s->node->name);
    r->bias_offset = plan->prepared_bytes;
    plan->prepared_bytes += aligned((size_t)(MOST_GATES)*r->out) * sizeof(float);
    r->plain_offset = plan->scratch_bytes;
    plan->scratch_bytes += aligned((size_t)r->gates * r->out * (r->in > r->out ? r->in : r->out)) *
                           sizeof(float);
    if (params) {
        r->native_step = r->input.native_floats;
        r->native_bias = r->native_step + r->step.native_floats;
        s->native_floats = r->native_bias + (size_t)MOST_GATES * r->out;
    }
    lay_out(r, train);
    if (train) {
        s->aux = aei_span_new(plan, r->kept_floats * sizeof(float), s->index,
                              2 * plan->n_steps - s->index);
        if (s->aux < 0)
            return ae_fail(err, AE_ERR_NOMEM, "layer '%s'", s->node->name);
    }
    if (plan->config.live) { /* the state, of lstm both */
        s->state = plan->state_bytes;
        plan->state_bytes += r->block * r->out * sizeof(float) * (r->lstm ? 2 : 1);
    }
    aei_scratch(plan, r->scratch_floats * sizeof(float));
    return AE_OK;
}

static void recurrent_free(aei_step *s)
{
    recurrent *r = s->own;

    if (!r)
        return;
    aei_linear_free(&r->input);
    aei_linear_free(&r->step);
    ae_free(r);
}

/* ---- parameters ---- */

/* Gate by gate, out x columns as they are <-> stored. to_plain: plain = flat; otherwise flat +=
 * plain. */
static void map(const recurrent *r, uint32_t n_out, uint32_t columns, uint32_t stored, float *plain,
                float *flat, bool to_plain)
{
    if (to_plain)
        memset(plain, 0, (size_t)r->gates * r->out * stored * sizeof(float));
    for (uint32_t g = 0; g < r->gates; g++)
        for (uint32_t o = 0; o < n_out; o++) {
            float *p = plain + ((size_t)g * r->out + o) * stored,
                  *f = flat + ((size_t)g * n_out + o) * columns;

            for (uint32_t i = 0; i < columns; i++)
                if (to_plain)
                    p[i] = f[i];
                else
                    f[i] += p[i];
        }
}

static void recurrent_prepare(const aei_weights *w, const aei_step *s, const float *flat)
{
    const recurrent *r = own(s);
    const ae_param *params = w->plan->params;
    float *plain = (float *)(w->scratch + r->plain_offset),
          *bias = (float *)(w->block + r->bias_offset);
    float *values = (float *)flat; /* only read */
    uint32_t n = s->node->out;

    map(r, n, params[s->param[0]].dims[1], r->in, plain, values + params[s->param[0]].offset, true);
    aei_linear_prepare(w, &r->input, plain);
    map(r, n, n, r->out, plain, values + params[s->param[1]].offset, true);
    aei_linear_prepare(w, &r->step, plain);
    memset(bias, 0, (size_t)MOST_GATES * r->out * sizeof(float));
    for (uint32_t g = 0; g < MOST_GATES && s->node->bias; g++)
        memcpy(bias + (size_t)g * r->out, values + params[s->param[2]].offset + (size_t)g * n,
               n * sizeof(float));
}

static void recurrent_collect(const aei_weights *w, const aei_step *s, float *native, float *flat)
{
    const recurrent *r = own(s);
    const ae_param *params = w->plan->params;
    float *plain = (float *)(w->scratch + r->plain_offset), *to;
    uint32_t n = s->node->out;

    aei_linear_unpack(w, &r->input, native, plain);
    map(r, n, params[s->param[0]].dims[1], r->in, plain, flat + params[s->param[0]].offset, false);
    aei_linear_unpack(w, &r->step, native + r->native_step, plain);
    map(r, n, n, r->out, plain, flat + params[s->param[1]].offset, false);
    if (!s->node->bias)
        return;
    to = flat + params[s->param[2]].offset;
    for (uint32_t g = 0; g < MOST_GATES; g++)
        for (uint32_t o = 0; o < n; o++)
            to[(size_t)g * n + o] += native[r->native_bias + (size_t)g * r->out + o];
}

/* ---- rows of time ---- */

/* Pixels (sample, t, column) of a tensor <-> rows (t, sample, column). */
static void turn(const aei_tensor *t, uint8_t *pixels, float *rows, uint32_t stored, bool to_rows)
{
    uint32_t c = t->shape.c, e = t->element;
    size_t pixel = (size_t)t->cp * e;

    for (size_t n = 0; n < t->shape.n; n++)
        for (size_t y = 0; y < t->shape.h; y++)
            for (size_t x = 0; x < t->shape.w; x++, pixels += pixel) {
                float *row = rows + ((y * t->shape.n + n) * t->shape.w + x) * stored;

                if (to_rows) {
                    aei_to_f32(pixels, e, row, c);
                    memset(row + c, 0, (stored - c) * sizeof(float));
                } else {
                    aei_from_f32(row, pixels, e, c);
                    memset(pixels + (size_t)c * e, 0, pixel - (size_t)c * e);
                }
            }
}

FORCE_INLINE float sigmoid(float x)
{
    float power = -1.44269504f * x;

    power = power < -120 ? -120 : power > 120 ? 120 : power; /* NaN stays NaN */
    return 1 / (1 + aei_exp2(power));
}

/* Near 0 as exact as its size allows. */
FORCE_INLINE float hyperbolic(float x)
{
    float square = x * x,
          near = x * (1 + square * (-0.33333333f + square * (0.13333333f - square * 0.053968254f)));
    float far = 2 * sigmoid(2 * x) - 1;

    return square < 0.04f ? near : far;
}

/* One row: w, u: W x and U h of all gates; w becomes the gates. */
AEI_CLONES static void gru_row(float *restrict w, const float *restrict u, const float *restrict b,
                               const float *restrict h, float *restrict to, float *restrict hidden,
                               size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float r = sigmoid(w[i] + u[i] + b[i]), z = sigmoid(w[n + i] + u[n + i] + b[n + i]);
        float part = u[2 * n + i] + b[3 * n + i],
              new = hyperbolic(w[2 * n + i] + b[2 * n + i] + r * part);

        w[i] = r;
        w[n + i] = z;
        w[2 * n + i] = new;
        hidden[i] = part;
        to[i] = (1 - z) * new + z *h[i];
    }
}

AEI_CLONES static void lstm_row(float *restrict w, const float *restrict u, const float *restrict b,
                                const float *restrict c, float *restrict to, float *restrict to_c,
                                size_t n)
{
    for (size_t k = 0; k < n; k++) {
        float i = sigmoid(w[k] + u[k] + b[k]), f = sigmoid(w[n + k] + u[n + k] + b[n + k]);
        float g = hyperbolic(w[2 * n + k] + u[2 * n + k] + b[2 * n + k]);
        float o = sigmoid(w[3 * n + k] + u[3 * n + k] + b[3 * n + k]), next = f * c[k] + i * g;

        w[k] = i;
        w[n + k] = f;
        w[2 * n + k] = g;
        w[3 * n + k] = o;
        to_c[k] = next;
        to[k] = o * hyperbolic(next);
    }
}

static float *kept_of(const aei_run *run, const aei_step *s)
{
    return aei_at(run, s->aux >= 0 ? s->aux : AEI_SCRATCH);
}

/* Live: the state before the first step, h then c. */
static void load_state(const aei_run *run, const aei_step *s, float *h, float *c)
{
    const recurrent *r = own(s);
    size_t n = r->block * r->out;

    memset(h, 0, n * sizeof(float));
    if (r->lstm)
        memset(c, 0, n * sizeof(float));
    if (run->plan->config.live) {
        memcpy(h, run->state + s->state, n * sizeof(float));
        if (r->lstm)
            memcpy(c, run->state + s->state + n * sizeof(float), n * sizeof(float));
    }
}

static void save_state(aei_run *run, const aei_step *s, const float *h, const float *c)
{
    const recurrent *r = own(s);
    size_t n = r->block * r->out;

    if (!run->plan->config.live)
        return;
    memcpy(run->state + s->state, h, n * sizeof(float));
    if (r->lstm)
        memcpy(run->state + s->state + n * sizeof(float), c, n * sizeof(float));
}

static void recurrent_forward(aei_run *run, const aei_weights *weights, const aei_step *s)
{
    const recurrent *r = own(s);
    const aei_step *f = aei_from(run, s, 0);
    float *scratch = aei_at(run, AEI_SCRATCH), *kept = kept_of(run, s), *x = scratch + r->x_at,
          *u = scratch + r->product_at;
    float *gates = kept + r->gates_at, *h = kept + r->h_at, *extra = kept + r->extra_at;
    const float *bias = (const float *)(weights->block + r->bias_offset);
    size_t wide = (size_t)r->gates * r->out, step = r->block * r->out;
    aei_product input = aei_product_begin(run, weights, &r->input, AEI_LINEAR_FORWARD,
                                          scratch + r->pad_at);
    aei_product recur = aei_product_begin(run, weights, &r->step, AEI_LINEAR_FORWARD,
                                          scratch + r->pad_at);

    memset(kept, 0, sizeof(float)); /* not differentiated yet */
    turn(&f->t, aei_value(run, f), x, r->in, true);
    memset(x + r->rows * r->in, 0, (r->room - r->rows) * r->in * sizeof(float));
    memset(h + (r->rows + r->block) * r->out, 0, (r->room - r->rows) * r->out * sizeof(float));
    aei_product_run(&input, x, gates, NULL);
    load_state(run, s, h, extra);
    for (uint32_t t = 0; t < s->t.shape.h;
         t++, h += step, extra += step, gates += r->block * wide) {
        aei_product_run(&recur, h, u, NULL);
        for (size_t i = 0; i < r->block; i++)
            if (r->lstm)
                lstm_row(gates + i * wide, u + i * wide, bias, extra + i * r->out,
                         h + step + i * r->out, extra + step + i * r->out, r->out);
            else
                gru_row(gates + i * wide, u + i * wide, bias, h + i * r->out, h + step + i * r->out,
                        extra + i * r->out, r->out);
    }
    save_state(run, s, h, extra);
    aei_product_end(&input);
    aei_product_end(&recur);
    turn(&s->t, aei_target(run, s), kept + r->h_at + step, r->out, false);
}

/* ---- backward ---- */

/* d: gradient by h', becomes that by h as far as it does not pass through U. */
AEI_CLONES static void gru_row_back(const float *restrict gates, const float *restrict hidden,
                                    const float *restrict h, float *restrict d,
                                    float *restrict by_w, float *restrict by_u, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float r = gates[i], z = gates[n + i], new = gates[2 * n + i],
              by_new = d[i] * (1 - z) * (1 - new *new);

        by_w[i] = by_u[i] = by_new * hidden[i] * r * (1 - r);
        by_w[n + i] = by_u[n + i] = d[i] * (h[i] - new) * z * (1 - z);
        by_w[2 * n + i] = by_new;
        by_u[2 * n + i] = by_new * r;
        d[i] *= z;
    }
}

/* d_c: gradient by c' from later steps, becomes that by c. */
AEI_CLONES static void lstm_row_back(const float *restrict gates, const float *restrict c,
                                     const float *restrict next, const float *restrict d,
                                     float *restrict d_c, float *restrict by_w, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        float i = gates[k], f = gates[n + k], g = gates[2 * n + k], o = gates[3 * n + k],
              t = hyperbolic(next[k]);
        float by_c = d_c[k] + d[k] * o * (1 - t * t);

        by_w[k] = by_c * g * i * (1 - i);
        by_w[n + k] = by_c * c[k] * f * (1 - f);
        by_w[2 * n + k] = by_c * i * (1 - g * g);
        by_w[3 * n + k] = d[k] * t * o * (1 - o);
        d_c[k] = by_c * f;
    }
}

/* The gradients of all gates, in the scratch, where they stay for the other half of this step's
 * backward pass. */
static void differentiate(aei_run *run, const aei_weights *weights, const aei_step *s)
{
    const recurrent *r = own(s);
    float *scratch = aei_at(run, AEI_SCRATCH), *kept = aei_at(run, s->aux);
    size_t wide = (size_t)r->gates * r->out, step = r->block * r->out,
           padded = aei_linear_rows(r->block) * r->out;
    float *d = scratch + r->d_h_at, *carry = d + padded, *d_c = carry + padded;
    aei_product recur = aei_product_begin(run, weights, &r->step, AEI_LINEAR_DATA,
                                          scratch + r->pad_at);
    const aei_tensor *t = &s->t;
    const uint8_t *pixels = aei_grad(run, s);

    memset(carry, 0, 2 * padded * sizeof(float));
    for (uint32_t y = t->shape.h; y-- > 0;) {
        const float *gates = kept + r->gates_at + y * r->block * wide,
                    *h = kept + r->h_at + y * step;
        const float *extra = kept + r->extra_at + y * step;
        float *by_w = scratch + r->d_gates_at + y * r->block * wide,
              *by_u = scratch + r->d_step_at + y * r->block * wide;

        for (size_t i = 0; i < r->block; i++) {
            size_t n = i / t->shape.w, x = i % t->shape.w,
                   pixel = (n * t->shape.h + y) * t->shape.w + x;
            float *row = d + i * r->out, *back = carry + i * r->out;

            aei_to_f32(pixels + pixel * t->cp * t->element, t->element, row, t->shape.c);
            memset(row + t->shape.c, 0, (r->out - t->shape.c) * sizeof(float));
            aei_add_to(row, back, sizeof(float), r->out);
            if (r->lstm)
                lstm_row_back(gates + i * wide, extra + i * r->out, extra + step + i * r->out, row,
                              d_c + i * r->out, by_w + i * wide, r->out);
            else
                gru_row_back(gates + i * wide, extra + i * r->out, h + i * r->out, row,
                             by_w + i * wide, by_u + i * wide, r->out);
        }
        if (!y)
            break;
        aei_product_run(&recur, carry, by_u, NULL);
        if (!r->lstm)
            aei_add_to(carry, d, sizeof(float), step);
    }
    memset(scratch + r->d_gates_at + r->rows * wide, 0, (r->room - r->rows) * wide * sizeof(float));
    memset(scratch + r->d_step_at + r->rows * wide, 0, (r->room - r->rows) * wide * sizeof(float));
    aei_product_end(&recur);
    kept[0] = 1;
}

static void recurrent_backward(aei_run *run, const aei_weights *weights, const aei_step *s,
                               uint32_t slot, void *to)
{
    const recurrent *r = own(s);
    float *scratch = aei_at(run, AEI_SCRATCH), *kept = aei_at(run, s->aux);
    aei_product input = aei_product_begin(run, weights, &r->input, AEI_LINEAR_DATA,
                                          scratch + r->pad_at);

    if (kept[0] == 0)
        differentiate(run, weights, s);
    aei_product_run(&input, scratch + r->x_at, scratch + r->d_gates_at, NULL);
    aei_product_end(&input);
    turn(&aei_from(run, s, slot)->t, to, scratch + r->x_at, r->in, false);
}

static void sum_rows(const float *rows, size_t n, size_t wide, size_t columns, float *to)
{
    for (size_t i = 0; i < n; i++, rows += wide)
        aei_add_to(to, rows, sizeof(float), columns);
}

static void recurrent_params(aei_run *run, const aei_weights *weights, const aei_step *s,
                             float *native)
{
    const recurrent *r = own(s);
    const aei_step *f = aei_from(run, s, 0);
    float *scratch = aei_at(run, AEI_SCRATCH), *kept = aei_at(run, s->aux), *x = scratch + r->x_at,
          *bias = native + r->native_bias;
    size_t wide = (size_t)r->gates * r->out;
    aei_product input = aei_product_begin(run, weights, &r->input, AEI_LINEAR_WEIGHTS,
                                          scratch + r->pad_at);
    aei_product recur = aei_product_begin(run, weights, &r->step, AEI_LINEAR_WEIGHTS,
                                          scratch + r->pad_at);

    if (kept[0] == 0)
        differentiate(run, weights, s);
    turn(&f->t, aei_value(run, f), x, r->in, true);
    memset(x + r->rows * r->in, 0, (r->room - r->rows) * r->in * sizeof(float));
    aei_product_run(&input, x, scratch + r->d_gates_at, native);
    aei_product_run(&recur, kept + r->h_at, scratch + r->d_step_at, native + r->native_step);
    aei_product_end(&input);
    aei_product_end(&recur);
    memset(bias, 0, (size_t)MOST_GATES * r->out * sizeof(float));
    sum_rows(scratch + r->d_gates_at, r->rows, wide, wide, bias);
    if (!r->lstm)
        sum_rows(scratch + r->d_step_at + 2 * r->out, r->rows, wide, r->out, bias + 3 * r->out);
}

#define RECURRENT                                                                                  \
    {                                                                                              \
        .plan = recurrent_plan, .forward = recurrent_forward, .backward = recurrent_backward,      \
        .backward_params = recurrent_params, .collect = recurrent_collect,                         \
        .prepare = recurrent_prepare, .free = recurrent_free                                       \
    }
const aei_operator aei_op_gru = RECURRENT, aei_op_lstm = RECURRENT;
