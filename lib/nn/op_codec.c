/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What codecs are made of (doc/codec.md): tables looked up by a position, quantisation, and its
 * price in bits. All arithmetic is in f32, whatever the plan's precision; pixels that a node's
 * parity does not count cost nothing. */
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "core/fastmath.h"
#include "core/rng.h"
#include "nn/plan.h"

#define FORCE_INLINE static inline __attribute__((always_inline))

static const float least_scale = 0.11f, most_scale = 32768, least_mass = 0x1p-24f,
                   ln2 = 0.69314718f;

/* n-th row of f32 scratch. */
static float *row_of(const aei_run *run, const aei_step *s, uint32_t n)
{
    return (float *)aei_at(run, AEI_SCRATCH) + (size_t)n * s->t.cp;
}

/* Pixel i of a tensor as f32 in `to`, all stored channels. */
static void load(const aei_tensor *t, const void *data, size_t i, float *to)
{
    aei_to_f32((const uint8_t *)data + i * t->cp * t->element, t->element, to, t->cp);
}

static void store(const aei_tensor *t, void *data, size_t i, const float *from)
{
    aei_from_f32(from, (uint8_t *)data + i * t->cp * t->element, t->element, t->cp);
}

/* ---- embed ---- */

static ae_status embed_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    (void)err;
    s->native_floats = (size_t)s->node->factor * s->node->out;
    aei_scratch(plan, s->t.cp * sizeof(float));
    return AE_OK;
}

/* Where sample n's position lies in the table: a row and the share of the next one. */
static uint32_t table_place(const aei_run *run, const aei_step *s, size_t n, float *position,
                            float *share)
{
    const aei_step *f = aei_from(run, s, 0);
    uint32_t rows = s->node->factor, low;
    float at;

    aei_to_f32((const uint8_t *)aei_value(run, f) + n * f->t.cp * f->t.element, f->t.element,
               position, 1);
    at = fminf(fmaxf(*position, 0), 1) * (float)(rows - 1); /* NaN: 0 */
    low = (uint32_t)at < rows - 2 ? (uint32_t)at : rows - 2;
    *share = at - (float)low;
    return low;
}

static void embed_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    float *y = row_of(run, s, 0), position, share;
    uint32_t c = s->t.shape.c;

    memset(y, 0, s->t.cp * sizeof(float));
    for (size_t n = 0; n < s->t.shape.n; n++) {
        const float *row = aei_param(w, s, 0) +
                           (size_t)table_place(run, s, n, &position, &share) * c;

        for (uint32_t k = 0; k < c; k++)
            y[k] = row[k] * (1 - share) + row[c + k] * share;
        store(&s->t, aei_target(run, s), n, y);
    }
}

static void embed_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                           void *to)
{
    const aei_step *f = aei_from(run, s, slot);
    float *g = row_of(run, s, 0), position, share;
    uint32_t c = s->t.shape.c;

    memset(to, 0, aei_tensor_bytes(&f->t));
    for (size_t n = 0; n < s->t.shape.n; n++) {
        const float *row = aei_param(w, s, 0) +
                           (size_t)table_place(run, s, n, &position, &share) * c;
        float sum = 0;

        load(&s->t, aei_grad(run, s), n, g);
        for (uint32_t k = 0; k < c; k++)
            sum += g[k] * (row[c + k] - row[k]);
        sum *= position >= 0 && position <= 1 ? (float)(s->node->factor - 1) : 0;
        aei_from_f32(&sum, (uint8_t *)to + n * f->t.cp * f->t.element, f->t.element, 1);
    }
}

static void embed_params(aei_run *run, const aei_weights *w, const aei_step *s, float *native)
{
    float *g = row_of(run, s, 0), position, share;
    uint32_t c = s->t.shape.c;

    (void)w;
    memset(native, 0, s->native_floats * sizeof(float));
    for (size_t n = 0; n < s->t.shape.n; n++) {
        float *row = native + (size_t)table_place(run, s, n, &position, &share) * c;

        load(&s->t, aei_grad(run, s), n, g);
        for (uint32_t k = 0; k < c; k++) {
            row[k] += g[k] * (1 - share);
            row[c + k] += g[k] * share;
        }
    }
}

const aei_operator aei_op_embed = {.plan = embed_plan,
                                   .forward = embed_forward,
                                   .backward = embed_backward,
                                   .backward_params = embed_params};

/* ---- what quantise and bits share ---- */

enum { MAX_OPERANDS = 4, ROWS = MAX_OPERANDS + 2 };

/* One pixel of n channels: x, the operands. Forward (slot < 0) fills g with the result, backward
 * turns it from the gradient of the result into that of operand `slot`. noise: NULL at inference.
 */
typedef void (*row_function)(float *const x[MAX_OPERANDS], const float *noise, int slot, float *g,
                             uint32_t n);

static bool counts(const aei_step *s, uint32_t y, uint32_t x)
{
    ae_parity parity = s->node->parity;

    return !parity || (y + x) % 2 == (parity == AE_PARITY_ODD);
}

static bool is_single(const aei_tensor *t)
{
    return t->shape.h * t->shape.w == 1;
}

/* Loads the operands of a pixel, of those that are 1 x 1 or of the others. */
static void load_operands(const aei_run *run, const aei_step *s, bool single, size_t i,
                          float *const x[MAX_OPERANDS])
{
    for (uint32_t f = 0; f < s->node->n_from; f++) {
        const aei_step *from = aei_from(run, s, f);

        if (is_single(&from->t) == single)
            load(&from->t, aei_value(run, from), i, x[f]);
    }
}

/* All pixels that count; the others stay 0, and so does the gradient there. Gradients of operands
 * of 1 x 1 are summed. */
static void sweep(aei_run *run, const aei_step *s, row_function row, int slot, void *to)
{
    const aei_tensor *t = slot < 0 ? &s->t : &aei_from(run, s, (uint32_t)slot)->t;
    uint32_t h = s->t.shape.h, w = s->t.shape.w, cp = s->t.cp;
    const float *noise = s->aux < 0 ? NULL : aei_at(run, s->aux);
    float *x[MAX_OPERANDS], *g = row_of(run, s, MAX_OPERANDS),
                            *sum = row_of(run, s, MAX_OPERANDS + 1);
    bool summed = slot >= 0 && is_single(t);

    for (uint32_t f = 0; f < MAX_OPERANDS; f++)
        x[f] = row_of(run, s, f);
    memset(to, 0, aei_tensor_bytes(t));
    for (size_t n = 0; n < s->t.shape.n; n++) {
        memset(sum, 0, cp * sizeof(float));
        load_operands(run, s, true, n, x);
        for (uint32_t k = 0; k < h * w; k++) {
            size_t i = n * h * w + k;

            if (!counts(s, k / w, k % w))
                continue;
            load_operands(run, s, false, i, x);
            if (slot >= 0)
                load(&s->t, aei_grad(run, s), i, g);
            row(x, noise ? noise + i * cp : NULL, slot, g, cp);
            if (!summed)
                store(t, to, i, g);
            for (uint32_t c = 0; c < cp && summed; c++)
                sum[c] += g[c];
        }
        if (summed)
            store(t, to, n, sum);
    }
}

FORCE_INLINE float step_of(float log_step)
{
    log_step = log_step < -60 ? -60 : log_step > 60 ? 60 : log_step; /* NaN stays NaN */
    return aei_exp2(log_step);
}

static ae_status codec_plan(aei_plan *plan, aei_step *s, ae_error *err)
{
    aei_scratch(plan, (size_t)ROWS * s->t.cp * sizeof(float));
    if (s->node->op == AE_OP_BITS && plan->config.train) { /* the noise, of all stored samples */
        s->aux = aei_span_new(plan, aei_pixels(&s->t) * s->t.cp * sizeof(float), s->index,
                              2 * plan->n_steps - s->index);
        if (s->aux < 0)
            return ae_fail(err, AE_ERR_NOMEM, "layer '%s'", s->node->name);
    }
    return AE_OK;
}

/* ---- quantise ---- */

AEI_CLONES static void quantise_row(float *const x[MAX_OPERANDS], const float *noise, int slot,
                                    float *restrict g, uint32_t n)
{
    const float *restrict y = x[0], *restrict mean = x[1], *restrict log_step = x[2];

    (void)noise;
    for (uint32_t i = 0; i < n && slot < 0; i++) {
        float step = step_of(log_step[i]);

        g[i] = mean[i] + step * rintf((y[i] - mean[i]) / step);
    }
    for (uint32_t i = 0; i < n && slot == 2; i++) {
        float step = step_of(log_step[i]), v = (y[i] - mean[i]) / step;

        g[i] *= (rintf(v) - v) * step * ln2;
    }
    if (slot == 1)
        memset(g, 0, n * sizeof(float));
}

static void quantise_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    (void)w;
    sweep(run, s, quantise_row, -1, aei_target(run, s));
}

static void quantise_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                              void *to)
{
    (void)w;
    sweep(run, s, quantise_row, (int)slot, to);
}

const aei_operator aei_op_quantise = {
    .plan = codec_plan, .forward = quantise_forward, .backward = quantise_backward};

/* ---- bits ---- */

/* exp(-x^2 / 2) */
FORCE_INLINE float bell(float x)
{
    float power = -0.72134752f * x * x; /* of 2 */

    return aei_exp2(power < -120 ? -120 : power);
}

/* Mass of the unit normal beyond x, whose bell(x) is given: exp(-z^2) times a polynomial in 1 / (1
 * + z / 2), z = |x| / sqrt 2, fitted to erfc (relative error below 4e-7 for z < 6). */
FORCE_INLINE float upper(float x, float bell_x)
{
    float t = 1 / (1 + 0.35355339f * fabsf(x)), q;

    q = -5.455708876e-02f;
    q = q * t + 2.618797421e-01f;
    q = q * t - 4.385150671e-01f;
    q = q * t + 2.200219035e-01f;
    q = q * t + 1.534812711e-02f;
    q = q * t + 1.838795841e-01f;
    q = q * t + 2.481918186e-01f;
    q = q * t + 2.816168964e-01f;
    q = q * t + 2.821340263e-01f;
    q = 0.5f * q * t * bell_x;
    return x < 0 ? 1 - q : q;
}

/* noisy, slot: constants where this is called. */
FORCE_INLINE void bits_of(float *const x[MAX_OPERANDS], const float *restrict noise, bool noisy,
                          int slot, float *restrict g, uint32_t n)
{
    const float *restrict y = x[0], *restrict mean = x[1], *restrict log_scale = x[2],
                          *restrict log_step = x[3];

    for (uint32_t i = 0; i < n; i++) {
        float inverse = 1 / step_of(log_step[i]), v = (y[i] - mean[i]) * inverse,
              t = noisy ? v + noise[i] : rintf(v);
        float scale = step_of(log_scale[i] - log_step[i]);
        float s = scale < least_scale  ? least_scale
                  : scale > most_scale ? most_scale
                                       : scale,
              narrow = 1 / s;
        float a = (fabsf(t) - 0.5f) * narrow, b = (fabsf(t) + 0.5f) * narrow, bell_a = bell(a),
              bell_b = bell(b);
        float mass = upper(a, bell_a) - upper(b, bell_b), outer, by_t, by_scale, low, high;

        mass = mass < least_mass ? least_mass : mass;
        if (slot < 0) {
            g[i] = -1.44269504f * aei_log(mass);
            continue;
        }
        outer = 0.39894228f * g[i] / mass;
        by_t = outer * (bell_a - bell_b) * narrow * (t < 0 ? -1.44269504f : 1.44269504f);
        by_scale = outer * (b * bell_b - a * bell_a); /* by its log2 */
        low = by_scale < 0 ? by_scale : 0;            /* selections in this form vectorise */
        high = by_scale - low;
        by_scale = (scale > most_scale ? 0 : low) + (scale < least_scale ? 0 : high);
        g[i] = slot == 0   ? by_t * inverse
               : slot == 1 ? -by_t * inverse
               : slot == 2 ? by_scale
                           : -(by_t * v * ln2 + by_scale);
    }
}

AEI_CLONES static void bits_row(float *const x[MAX_OPERANDS], const float *noise, int slot,
                                float *g, uint32_t n)
{
    if (slot < 0 && noise)
        bits_of(x, noise, true, -1, g, n);
    else if (slot < 0)
        bits_of(x, NULL, false, -1, g, n);
    else if (slot == 0)
        bits_of(x, noise, true, 0, g, n);
    else if (slot == 1)
        bits_of(x, noise, true, 1, g, n);
    else if (slot == 2)
        bits_of(x, noise, true, 2, g, n);
    else
        bits_of(x, noise, true, 3, g, n);
}

/* Channels that only fill up the storage cost nothing. */
static void bits_forward(aei_run *run, const aei_weights *w, const aei_step *s)
{
    uint32_t c = s->t.shape.c, cp = s->t.cp, e = s->t.element;
    aei_rng rng = aei_rng_make(run->seed, s->origin, 0);

    (void)w;
    for (size_t i = 0; s->aux >= 0 && i < aei_pixels(&s->t); i++) {
        float *noise = (float *)aei_at(run, s->aux) + i * cp;

        memset(noise + c, 0, (cp - c) * sizeof(float));
        if (counts(s, (uint32_t)(i / s->t.shape.w % s->t.shape.h), (uint32_t)(i % s->t.shape.w)))
            for (uint32_t k = 0; k < c; k++)
                noise[k] = run->plan->config.refine ? 0 : aei_rng_float(&rng) - 0.5f;
    }
    sweep(run, s, bits_row, -1, aei_target(run, s));
    for (size_t i = 0; cp > c && i < aei_pixels(&s->t); i++)
        memset((uint8_t *)aei_target(run, s) + (i * cp + c) * e, 0, (size_t)(cp - c) * e);
}

static void bits_backward(aei_run *run, const aei_weights *w, const aei_step *s, uint32_t slot,
                          void *to)
{
    (void)w;
    if (slot == 0 && run->plan->config.refine && !is_single(&aei_from(run, s, 1)->t))
        memset(to, 0, aei_tensor_bytes(&aei_from(run, s, 0)->t));
    else
        sweep(run, s, bits_row, (int)slot, to);
}

const aei_operator aei_op_bits = {
    .plan = codec_plan, .forward = bits_forward, .backward = bits_backward};
