/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Decoder programs: lists of integer operators, doc/exact-decoder.md. Operator number i makes
 * tensor number i. Programs come from strangers: aei_program_load checks everything that the
 * kernels and the walk rely upon. */
#ifndef AEI_PROGRAM_H
#define AEI_PROGRAM_H

#include "ae/compress.h"
#include "ae/graph.h"

enum {
    AEI_PROGRAM_VERSION = 3,
    AEI_PROGRAM_HEADER = 32, /* bytes */
    AEI_PROGRAM_OP = 64,     /* bytes of an operator */
    AEI_PROGRAM_SCALE = 8,   /* bytes of a distribution, without its frequencies */
    AEI_MAX_OPS = 512,
    AEI_MAX_IN = 8,
    AEI_MAX_WIDTH = 4096, /* channels */
    AEI_MAX_SCALES = 256,
    AEI_EMBED_ROWS = 65,
    AEI_NO_LEAK = 0,
    AEI_RELU = 31
};

typedef enum aei_kind {
    AEI_EMBED = 1, /* 1 x 1: a row of a table, interpolated at the quality */
    AEI_CONV = 2,
    AEI_ADD = 3, /* of 1 to 8; those that are 1 x 1 are broadcast */
    AEI_MUL = 4,
    AEI_SHUFFLE = 5,
    AEI_CONCAT = 6,
    AEI_CROP = 7,
    /* takes symbols: mean, log2 scale[, what stands at the positions of the other parity] */
    AEI_LATENT = 8,
    AEI_OUTPUT = 9 /* the picture; always last */
} aei_kind;

typedef struct aei_op {
    aei_kind kind;
    uint32_t n_in, in[AEI_MAX_IN];
    uint32_t channels;
    int32_t lo, hi;               /* of the result */
    uint32_t shift;               /* ADD, MUL; LATENT: of q * step; OUTPUT: white is 2^shift */
    uint32_t leak;                /* ADD, CONV: a < 0 becomes r(a, leak); AEI_NO_LEAK, AEI_RELU */
    uint32_t kernel, stride, pad; /* CONV; n_in = 2: in[1] is added before the activation */
    uint32_t factor;              /* SHUFFLE */
    uint32_t first;               /* CROP */
    uint32_t grid; /* pixels from sample to sample, 0: 1 x 1. LATENT declares it, else derived */
    uint32_t parity, source; /* LATENT; source: the tensor of the analysis and ... */
    uint32_t source_first;   /* ... its first channel */
    uint32_t unit;           /* LATENT: 1.0 is 2^unit, which only encoders need */
    /* index = clamp((log2 scale - log2 step + index_offset) >> index_shift) */
    uint32_t index_shift;
    int32_t index_offset;
    /* In the program's data: */
    const int32_t *bias;      /* CONV, O */
    const int16_t *weights;   /* CONV, O x KH x KW x I */
    const uint8_t *shifts;    /* CONV, O */
    const int16_t *table;     /* EMBED, LATENT: 65 x C (of LATENT: steps) */
    const int16_t *log_steps; /* LATENT, 65 x C */
} aei_op;

/* Symbols first, first + 1, ... first + n - 1, then the escape. A value v >> raw is coded by it,
 * the lower bits as they are. */
typedef struct aei_scale {
    int32_t first;
    uint32_t n, raw;
    /* n + 2 entries of the cumulative distribution; the last stands for 65536 and is stored as 0 */
    const uint16_t *start;
} aei_scale;

typedef struct aei_program {
    uint8_t *bytes; /* canonical; everything points into them */
    size_t n_bytes;
    uint8_t identity[16]; /* XXH3-128 of the bytes */
    uint32_t n_ops, n_scales, n_sources;
    uint32_t n_entropy; /* operators up to the last latent; the others are the synthesis */
    uint32_t stride;    /* pixels; tensors cover pictures edge-padded to multiples of it */
    double macs;        /* per pixel */
    aei_op *ops;
    aei_scale *scales;
} aei_program;

/* data are copied. */
ae_status aei_program_load(const void *data, size_t n_bytes, aei_program **out, ae_error *err);
void aei_program_free(aei_program *program); /* NULL is fine */
/* The canonical bytes of ops and scales, whose pointers may point anywhere; nothing is checked.
 * *bytes: to be freed with ae_free. */
ae_status aei_program_pack(const aei_op *ops, uint32_t n_ops, const aei_scale *scales,
                           uint32_t n_scales, uint8_t **bytes, size_t *n_bytes, ae_error *err);
const char *aei_kind_name(aei_kind kind);

/* r(x, s): halves round upward. */
static inline int32_t aei_rescale(int32_t x, uint32_t s)
{
    return s ? (x + (1 << (s - 1))) >> s : x;
}

static inline int32_t aei_saturate(int32_t x, int32_t lo, int32_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static inline int32_t aei_leak(int32_t a, uint32_t leak)
{
    return a >= 0 || leak == AEI_NO_LEAK ? a : leak == AEI_RELU ? 0 : aei_rescale(a, leak);
}

/* Entry c of a table of C columns at a quality, of which the last row serves all that are higher.
 */
static inline int32_t aei_embed(const int16_t *table, uint32_t n_channels, uint32_t c,
                                uint32_t quality)
{
    uint32_t within = quality < AE_QUALITY_ONE ? quality : AE_QUALITY_ONE;
    uint32_t row = within >> 4 < AEI_EMBED_ROWS - 2 ? within >> 4 : AEI_EMBED_ROWS - 2;
    int32_t part = (int32_t)(within - (row << 4));

    return aei_rescale(
        table[row * n_channels + c] * (16 - part) + table[(row + 1) * n_channels + c] * part, 4);
}

/* How far a latent's steps go beyond the trained qualities. Those of the hyper-latent do not:
 * finer, it would tell no more. */
static inline uint32_t aei_beyond(const aei_program *p, const aei_op *latent, uint32_t quality)
{
    return quality > AE_QUALITY_ONE && p->ops[latent->in[1]].grid ? quality - AE_QUALITY_ONE : 0;
}

/* Half of a step for every 256 beyond, and straight between. */
static inline int32_t aei_finer(int32_t step, uint32_t beyond)
{
    int32_t finer = aei_rescale(step * (int32_t)(512 - (beyond & 255)), 9 + (beyond >> 8));

    return finer > 1 ? finer : 1;
}

#endif
