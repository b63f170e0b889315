/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The samples of a tile one after another: each is predicted from decoded neighbours, and what it
 * differs by is decided. */
#ifndef AEI_PREDICT_H
#define AEI_PREDICT_H

#include "ae/container.h"
#include "decision.h"

enum {
    AEI_PAD = 4, /* samples beside a row */
    N_PREDICTORS = 16,
    N_TAPS = 24,
    N_FILTERS = 2,
    N_LEVELS = 96, /* of activity, four an octave */
    N_TEXTURES = 256
};

typedef struct aei_geometry {
    uint32_t width, height, channels;
    int32_t lo[4], hi[4]; /* of the values of a channel */
    uint32_t bound[4];    /* of errors, in 1/AE_BOUND_ONE */
} aei_geometry;

/* No sample of row y and channel c errs by more than this: some rows take one more than others, so
 * that bounds may be fractions. */
static inline int32_t aei_row_bound(uint32_t bound, uint32_t c, uint32_t y)
{
    return (int32_t)((bound + 16 * ((c + y) % 3) + y / 3 * 7 % 16) / AE_BOUND_ONE);
}

/* What is learnt about one channel. */
typedef struct aei_channel {
    int32_t filters[N_FILTERS][N_TAPS];
    int32_t mean_error[2][N_LEVELS][16]; /* |sample - prediction| by activity; 1/4096 */
    int32_t bias[N_TEXTURES], bias_n[N_TEXTURES];
} aei_channel;

typedef struct aei_predictor {
    aei_decider decider;
    aei_channel channels[4];
    int32_t *rows;       /* three rows of every channel */
    int32_t *errors;     /* two rows of N_PREDICTORS errors of every channel */
    int32_t *residual;   /* two rows of 1/16 of every channel */
    size_t room, stride; /* of all channels, of one */
} aei_predictor;

/* Makes room, and forgets what was learnt. */
ae_status aei_predictor_reset(aei_predictor *p, const aei_geometry *g, ae_error *err);
void aei_predictor_clear(aei_predictor *p);
/* values: interleaved. False where the output has no room left. */
bool aei_predictor_encode(aei_predictor *p, const aei_geometry *g, int32_t *values);
void aei_predictor_decode(aei_predictor *p, const aei_geometry *g, int32_t *values);

/* Four levels an octave. */
static inline int level_of(uint32_t v)
{
    int e;

    if (v < 4)
        return (int)v;
    e = log2_floor(v);
    e = 4 * (e - 1) + (int)(v >> (e - 2) & 3);
    return e < N_LEVELS ? e : N_LEVELS - 1;
}

static inline int32_t middle_of(int32_t a, int32_t b, int32_t c)
{
    int32_t least = a < b ? a : b, most = a < b ? b : a;

    return c < least ? least : c > most ? most : c;
}

static inline uint32_t magnitude(int32_t v)
{
    return (uint32_t)(v < 0 ? -v : v);
}

#endif
