/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small decoder program with every operator, odd numbers of channels and random weights. */
#ifndef TINY_PROGRAM_H
#define TINY_PROGRAM_H

#include "core/rng.h"
#include "latent/fit.h"
#include "latent/rans.h"

#include <string.h>

enum { TINY_OPS = 25, TINY_SCALES = 96, TINY_POOL = 1 << 17 };

typedef struct tiny {
    aei_op ops[TINY_OPS];
    aei_scale scales[TINY_SCALES];
    uint16_t *starts;
    aei_rng rng;
    int16_t numbers[TINY_POOL];
    int32_t biases[4096];
    uint8_t shifts[4096];
    size_t n_numbers, n_biases;
    uint32_t n_ops;
} tiny;

static inline int32_t tiny_draw(tiny *t, int32_t lo, int32_t hi)
{
    return lo + (int32_t)aei_rng_below(&t->rng, (uint32_t)(hi - lo + 1));
}

static inline int16_t *tiny_numbers(tiny *t, size_t n, int32_t lo, int32_t hi)
{
    int16_t *at = t->numbers + t->n_numbers;

    for (size_t i = 0; i < n; i++)
        at[i] = (int16_t)tiny_draw(t, lo, hi);
    t->n_numbers += n;
    return at;
}

static inline aei_op *tiny_op(tiny *t, aei_kind kind, uint32_t channels, uint32_t n_in, uint32_t a,
                              uint32_t b)
{
    aei_op *op = &t->ops[t->n_ops++];

    *op = (aei_op){
        .kind = kind, .channels = channels, .n_in = n_in, .in = {a, b}, .lo = -4095, .hi = 4095};
    return op;
}

static inline uint32_t tiny_embed(tiny *t, uint32_t channels, int32_t lo, int32_t hi)
{
    tiny_op(t, AEI_EMBED, channels, 0, 0, 0)->table = tiny_numbers(
        t, (size_t)AEI_EMBED_ROWS * channels, lo, hi);
    return t->n_ops - 1;
}

static inline aei_op *tiny_conv(tiny *t, uint32_t channels, uint32_t in, uint32_t kernel,
                                uint32_t stride, uint32_t pad, int32_t most)
{
    aei_op *op = tiny_op(t, AEI_CONV, channels, 1, in, 0);

    op->kernel = kernel;
    op->stride = stride;
    op->pad = pad;
    op->weights = tiny_numbers(t, (size_t)channels * kernel * kernel * t->ops[in].channels, -most,
                               most);
    op->bias = t->biases + t->n_biases;
    op->shifts = t->shifts + t->n_biases;
    for (uint32_t o = 0; o < channels; o++, t->n_biases++) {
        t->biases[t->n_biases] = tiny_draw(t, -1000000, 1000000);
        t->shifts[t->n_biases] = (uint8_t)tiny_draw(t, 9, 12);
    }
    return op;
}

static inline uint32_t tiny_latent(tiny *t, uint32_t channels, uint32_t mean, uint32_t scale,
                                   uint32_t grid, ae_parity parity, uint32_t source)
{
    aei_op *op = tiny_op(t, AEI_LATENT, channels, 2, mean, scale);

    op->grid = grid;
    op->parity = parity;
    op->source = source;
    op->unit = 8;
    op->shift = 3;
    op->table = tiny_numbers(t, (size_t)AEI_EMBED_ROWS * channels, 100, 2000);
    op->log_steps = tiny_numbers(t, (size_t)AEI_EMBED_ROWS * channels, -500, 500);
    op->index_shift = 5;
    op->index_offset = 1000;
    return t->n_ops - 1;
}

/* Latents at 1/16 (5 channels) and at 1/8 (3 channels, even then odd positions), a picture of 3
 * planes. */
static inline ae_status tiny_make(tiny *t, uint64_t seed, ae_error *err)
{
    uint32_t gate;

    memset(t, 0, sizeof(*t));
    t->rng = aei_rng_make(seed, 1, 0);
    tiny_embed(t, 5, -300, 300);                     /* 0: mean of z */
    tiny_embed(t, 5, -1000, 2000);                   /* 1: its scale */
    tiny_latent(t, 5, 0, 1, 16, AE_PARITY_ALL, 0);   /* 2 */
    tiny_conv(t, 12, 2, 3, 1, 1, 300)->leak = 3;     /* 3 */
    tiny_conv(t, 28, 3, 1, 1, 0, 3000);              /* 4 */
    tiny_op(t, AEI_SHUFFLE, 7, 1, 4, 0)->factor = 2; /* 5 */
    tiny_embed(t, 7, -500, 500);                     /* 6 */
    tiny_op(t, AEI_ADD, 7, 2, 5, 6)->leak = 2;       /* 7 */
    tiny_conv(t, 6, 7, 3, 1, 1, 300);                /* 8 */
    tiny_op(t, AEI_CROP, 3, 1, 8, 0);                /* 9 */
    tiny_op(t, AEI_CROP, 3, 1, 8, 0)->first = 3;     /* 10 */
    tiny_latent(t, 3, 9, 10, 8, AE_PARITY_EVEN, 1);  /* 11 */
    tiny_conv(t, 6, 11, 5, 1, 2, 300);               /* 12 */
    tiny_op(t, AEI_CONCAT, 13, 2, 7, 12);            /* 13 */
    tiny_conv(t, 6, 13, 1, 1, 0, 1000);              /* 14 */
    tiny_op(t, AEI_CROP, 3, 1, 14, 0);               /* 15 */
    tiny_op(t, AEI_CROP, 3, 1, 14, 0)->first = 3;    /* 16 */
    tiny_latent(t, 3, 15, 16, 8, AE_PARITY_ODD, 1);  /* 17 */
    t->ops[17].n_in = 3;
    t->ops[17].in[2] = 11;
    tiny_conv(t, 33, 17, 3, 1, 1, 500)->leak = AEI_RELU; /* 18 */
    tiny_conv(t, 33, 18, 3, 1, 1, 200);                  /* 19 */
    t->ops[19].n_in = 2;
    t->ops[19].in[1] = 18;
    tiny_conv(t, 192, 19, 1, 1, 0, 500);              /* 20 */
    tiny_op(t, AEI_SHUFFLE, 3, 1, 20, 0)->factor = 8; /* 21 */
    gate = tiny_embed(t, 3, 200, 300);                /* 22 */
    tiny_op(t, AEI_MUL, 3, 2, 21, gate)->shift = 8;   /* 23 */
    tiny_op(t, AEI_OUTPUT, 3, 1, 23, 0)->shift = 11;  /* 24 */
    return aei_fit_tables(NULL, 0.11, 8, TINY_SCALES, t->scales, &t->starts, err);
}

static inline ae_status tiny_load(const tiny *t, aei_program **out, ae_error *err)
{
    uint8_t *bytes;
    size_t n_bytes;
    ae_status st = aei_program_pack(t->ops, t->n_ops, t->scales, TINY_SCALES, &bytes, &n_bytes,
                                    err);

    *out = NULL;
    if (st == AE_OK)
        st = aei_program_load(bytes, n_bytes, out, err);
    ae_free(bytes);
    return st;
}

#endif
