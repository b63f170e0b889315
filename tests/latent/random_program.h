/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Random decoder programs, valid by construction: every operator, strides, halos, latents of every
 * parity; and streams for their tiles. Choices come from bytes, so that a fuzzer can steer them;
 * when these are used up, from a generator seeded by them. */
#ifndef RANDOM_PROGRAM_H
#define RANDOM_PROGRAM_H

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "latent/coder.h"

enum { RANDOM_OPS = 48, RANDOM_POOL = 1 << 19, RANDOM_OUTPUTS = 1 << 13, RANDOM_SCALES = 24 };

typedef struct random_program {
    const uint8_t *bytes, *end;
    aei_rng rng;
    aei_op ops[RANDOM_OPS];
    uint32_t n_ops;
    int16_t numbers[RANDOM_POOL];
    int32_t biases[RANDOM_OUTPUTS];
    uint8_t shifts[RANDOM_OUTPUTS];
    size_t n_numbers, n_outputs;
    bool full; /* the program has no room for what was asked: give up */
} random_program;

/* In lo ... hi. */
static inline int32_t random_draw(random_program *r, int32_t lo, int32_t hi)
{
    uint32_t n = (uint32_t)(hi - lo + 1);

    return lo + (int32_t)(r->bytes < r->end ? *r->bytes++ % n : aei_rng_below(&r->rng, n));
}

static inline const int16_t *random_numbers(random_program *r, size_t n, int32_t lo, int32_t hi)
{
    int16_t *at = r->numbers + r->n_numbers;

    if (n > RANDOM_POOL - r->n_numbers) {
        r->full = true;
        return r->numbers;
    }
    for (size_t i = 0; i < n; i++)
        at[i] = (int16_t)(lo + (int32_t)aei_rng_below(&r->rng, (uint32_t)(hi - lo + 1)));
    r->n_numbers += n;
    return at;
}

static inline aei_op *random_op(random_program *r, aei_kind kind, uint32_t channels, uint32_t n_in,
                                uint32_t a, uint32_t b, uint32_t grid)
{
    aei_op *op = &r->ops[r->n_ops < RANDOM_OPS - 1 ? r->n_ops++ : r->n_ops];

    r->full |= r->n_ops == RANDOM_OPS - 1;
    *op = (aei_op){.kind = kind,
                   .channels = channels,
                   .n_in = n_in,
                   .in = {a, b},
                   .lo = -2047,
                   .hi = 2047,
                   .grid = grid};
    return op;
}

static inline uint32_t random_embed(random_program *r, uint32_t channels, int32_t lo, int32_t hi)
{
    random_op(r, AEI_EMBED, channels, 0, 0, 0, 0)->table = random_numbers(
        r, (size_t)AEI_EMBED_ROWS * channels, lo, hi);
    return r->n_ops - 1;
}

static inline uint32_t random_conv(random_program *r, uint32_t channels, uint32_t in,
                                   uint32_t kernel, uint32_t stride, uint32_t pad)
{
    size_t per_output = (size_t)kernel * kernel * r->ops[in].channels;
    int32_t most = (int32_t)(400000 / per_output);
    aei_op *op = random_op(r, AEI_CONV, channels, 1, in, 0, r->ops[in].grid * stride);

    if (channels > RANDOM_OUTPUTS - r->n_outputs) {
        r->full = true;
        return r->n_ops - 1;
    }
    op->kernel = kernel;
    op->stride = stride;
    op->pad = pad;
    most = most > 3000 ? 3000 : most < 1 ? 1 : most;
    op->weights = random_numbers(r, channels * per_output, -most, most);
    op->bias = r->biases + r->n_outputs;
    op->shifts = r->shifts + r->n_outputs;
    for (uint32_t i = 0; i < channels; i++, r->n_outputs++) {
        r->biases[r->n_outputs] = (int32_t)aei_rng_below(&r->rng, 2000001) - 1000000;
        r->shifts[r->n_outputs] = (uint8_t)(8 + aei_rng_below(&r->rng, 5));
    }
    op->leak = (uint32_t[]){AEI_NO_LEAK, AEI_RELU, 1, 3}[random_draw(r, 0, 3)];
    return r->n_ops - 1;
}

/* A kernel, stride and padding whose result covers its input. */
static inline uint32_t random_window(random_program *r, uint32_t in)
{
    uint32_t stride = 1u << random_draw(r, 0, 3), kernel, least;

    while (stride > 1 && r->ops[in].grid * stride > AE_CODER_TILE)
        stride /= 2;
    kernel = stride + (uint32_t)random_draw(r, 0, 15 - (int32_t)stride);
    least = (kernel - stride + 1) / 2;
    if (least > (kernel - 1) / 2) /* even kernels have no such padding */
        return random_conv(r, (uint32_t)random_draw(r, 1, 6), in, stride, stride, 0);
    return random_conv(r, (uint32_t)random_draw(r, 1, 6), in, kernel, stride,
                       (uint32_t)random_draw(r, (int32_t)least, (int32_t)(kernel - 1) / 2));
}

/* To a grid `factor` times as fine. */
static inline uint32_t random_finer(random_program *r, uint32_t in, uint32_t factor,
                                    uint32_t channels)
{
    uint32_t wide = random_conv(r, channels * factor * factor, in, 1, 1, 0);

    r->ops[wide].leak = AEI_NO_LEAK; /* where it comes last, a preview can be made from it */
    random_op(r, AEI_SHUFFLE, channels, 1, wide, 0, r->ops[in].grid / factor)->factor = factor;
    return r->n_ops - 1;
}

static inline uint32_t random_latent(random_program *r, uint32_t channels, uint32_t mean,
                                     uint32_t scale, uint32_t grid, uint32_t source,
                                     uint32_t before)
{
    aei_op *op = random_op(r, AEI_LATENT, channels, 2, mean, scale, grid);

    op->source = source;
    op->unit = 6;
    op->shift = 3;
    op->table = random_numbers(r, (size_t)AEI_EMBED_ROWS * channels, 100, 2000);
    op->log_steps = random_numbers(r, (size_t)AEI_EMBED_ROWS * channels, -500, 500);
    op->index_shift = 5;
    op->index_offset = 500;
    op->parity = (uint32_t)random_draw(r, AE_PARITY_ALL, AE_PARITY_ODD);
    if (op->parity && before && r->ops[before].channels == channels &&
        r->ops[before].grid == grid) {
        op->n_in = 3;
        op->in[2] = before;
    }
    return r->n_ops - 1;
}

/* One step of a synthesis, from tensor `now`; the tensor that it leads to. */
static inline uint32_t random_step(random_program *r, uint32_t now)
{
    uint32_t channels = r->ops[now].channels, grid = r->ops[now].grid, other, kernel;
    aei_op *op;

    switch (random_draw(r, 0, 5)) {
    case 0:
    case 1: return random_window(r, now);
    case 2:
        if (grid < 2 || channels > 16)
            return now;
        return random_finer(r, now, grid >= 8 && random_draw(r, 0, 1) ? 8 : 2,
                            (uint32_t)random_draw(r, 1, 3));
    case 3: /* a residual */
        kernel = 1 + 2 * (uint32_t)random_draw(r, 0, 3);
        other = random_conv(r, channels, now, kernel, 1, kernel / 2);
        if (random_draw(r, 0, 1)) {
            r->ops[other].n_in = 2;
            r->ops[other].in[1] = now;
            return other;
        }
        random_op(r, AEI_ADD, channels, 2, other, now, grid)->shift = 1;
        return r->n_ops - 1;
    case 4: /* a vector, for every place */
        other = random_embed(r, channels, -300, 300);
        op = random_op(r, random_draw(r, 0, 1) ? AEI_MUL : AEI_ADD, channels, 2, now, other, grid);
        op->shift = op->kind == AEI_MUL ? 7 : 0;
        return r->n_ops - 1;
    default: /* some channels, and all of them again */
        if (channels > 8)
            return now;
        op = random_op(r, AEI_CROP, 1, 1, now, 0, grid);
        op->first = (uint32_t)random_draw(r, 0, (int32_t)channels - 1);
        random_op(r, AEI_CONCAT, channels + 1, 2, now, r->n_ops - 1, grid);
        return r->n_ops - 1;
    }
}

/* False where it came out too large. */
static inline bool random_make(random_program *r, const uint8_t *bytes, size_t n_bytes)
{
    uint32_t n_latents, channels, grid, mean, scale, now = 0;
    uint64_t seed = n_bytes;

    for (size_t i = 0; i < n_bytes; i++)
        seed = aei_mix64(seed ^ bytes[i]);
    r->bytes = bytes;
    r->end = bytes + n_bytes;
    r->rng = aei_rng_make(seed, 1, 0);
    r->n_ops = 0;
    r->n_numbers = r->n_outputs = 0;
    r->full = false;
    n_latents = (uint32_t)random_draw(r, 1, 3);
    channels = (uint32_t)random_draw(r, 1, 4);
    grid = 4u << random_draw(r, 0, 7);
    mean = random_embed(r, channels, -300, 300);
    scale = random_embed(r, channels, -1000, 2000);
    for (uint32_t i = 0; i < n_latents; i++) {
        now = random_latent(r, channels, mean, scale, grid, i, now);
        if (i + 1 < n_latents) { /* what the next one goes by is made from all before it */
            uint32_t kernel = 1 + 2 * (uint32_t)random_draw(r, 0, 2);
            uint32_t both = random_conv(r, 2 * channels, now, kernel, 1, kernel / 2);

            random_op(r, AEI_CROP, channels, 1, both, 0, grid);
            random_op(r, AEI_CROP, channels, 1, both, 0, grid)->first = channels;
            mean = r->n_ops - 2;
            scale = r->n_ops - 1;
            if (r->full)
                return false;
        }
    }
    for (int32_t steps = random_draw(r, 0, 7); steps && !r->full; steps--)
        now = random_step(r, now);
    while (r->ops[now].grid > 1 && !r->full)
        now = random_finer(r, now, r->ops[now].grid > 16 ? 16 : r->ops[now].grid, 1);
    if (r->ops[now].channels != 1 && !r->full)
        now = random_conv(r, 1, now, 1, 1, 0);
    random_op(r, AEI_OUTPUT, 1, 1, now, 0, 1)->shift = 10;
    return !r->full;
}

/* The canonical bytes of a program that was made, or NULL. */
static inline uint8_t *random_pack(const random_program *r, size_t *n_bytes)
{
    aei_scale scales[RANDOM_SCALES];
    uint16_t *starts = NULL;
    uint8_t *bytes = NULL;

    if (aei_fit_tables(NULL, 0.11, 2, RANDOM_SCALES, scales, &starts, NULL) != AE_OK ||
        aei_program_pack(r->ops, r->n_ops, scales, RANDOM_SCALES, &bytes, n_bytes, NULL) != AE_OK)
        abort();
    ae_free(starts);
    return bytes;
}

/* The stream of a tile of w x h pixels, multiples of the stride, of random latents. */
static inline uint8_t *random_stream(random_program *r, const aei_engine *engine, aei_walk *walk,
                                     uint32_t w, uint32_t h, size_t *n_bytes)
{
    const aei_program *p = engine->program;
    float *from[RANDOM_OPS] = {0};
    uint32_t n_channels[RANDOM_OPS] = {0};
    aei_rans_writer writer = {0};
    aei_latents latents = {.sources = (const float *const *)from,
                           .n_channels = n_channels,
                           .writer = &writer,
                           .visible_w = w,
                           .visible_h = h};
    uint8_t *stream = NULL;
    size_t room = 0;
    ae_error err;

    for (uint32_t i = 0; i < p->n_entropy; i++) {
        const aei_op *op = &p->ops[i];
        size_t n = op->kind == AEI_LATENT ? (size_t)(w / op->grid) * (h / op->grid) * op->channels
                                          : 0;

        if (!n)
            continue;
        n_channels[op->source] = op->channels;
        if (!(from[op->source] = ae_alloc(n, sizeof(float))))
            abort();
        for (size_t k = 0; k < n; k++)
            from[op->source][k] = (float)((int32_t)aei_rng_below(&r->rng, 33) - 16);
    }
    if (aei_walk_entropy(walk, w, h, &latents, &err) != AE_OK ||
        aei_rans_finish(&writer, &stream, &room, n_bytes, &err) != AE_OK)
        abort();
    aei_rans_writer_free(&writer);
    for (uint32_t i = 0; i < p->n_sources; i++)
        ae_free(from[i]);
    return stream;
}

#endif
