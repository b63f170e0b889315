/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Running decoder programs. An engine is a program prepared for kernels, shared; a walk is one
 * thread's memory. A tensor is computed over the rectangle that is asked of it; outside its extent
 * (the tile in the entropy part, the padded picture in the synthesis) it is zero. Coordinates are
 * in samples of the tensor's own grid. */
#ifndef AEI_WALK_H
#define AEI_WALK_H

#include "ae/compress.h"
#include "latent/fit.h"
#include "latent/kernels.h"
#include "latent/rans.h"
#include "latent/rect.h"

/* pixels, edge: what the synthesis computes at a time */
enum { AEI_LEAST_BLOCK = AE_CODER_TILE / 2 };

typedef struct aei_view {
    int16_t *data;
    aei_rect rect;  /* what is stored, rows without gaps */
    uint32_t pitch; /* samples from pixel to pixel */
} aei_view;

static inline int16_t *aei_view_at(const aei_view *v, int32_t x, int32_t y)
{
    return v->data + ((size_t)(y - v->rect.y0) * (size_t)(v->rect.x1 - v->rect.x0) +
                      (size_t)(x - v->rect.x0)) *
                         v->pitch;
}

typedef struct aei_engine {
    aei_program *program;
    aei_iconv *convs; /* by operator */
    aei_iconv_kernel kernel;
    aei_rans_tables tables;
    /* of tensors of the entropy part: the positions that are ever looked at, even 1, odd 2 */
    uint8_t *parities;
    uint32_t *crossings; /* tensors of the entropy part that the synthesis reads */
    uint32_t n_crossings;
} aei_engine;
/* program: owned by the engine from now on, freed on failure too. */
ae_status aei_engine_create(aei_program *program, aei_cpu cpu, aei_engine **out, ae_error *err);
void aei_engine_free(aei_engine *engine);

/* What latents are made from: a stream, or the analysis whose symbols go to a writer. */

typedef struct aei_latents {
    aei_rans_reader *reader;
    /* by number of the source: the tile's extent, dense, channels last ... */
    const float *const *sources;
    const uint32_t *n_channels; /* ... with so many */
    aei_rans_writer *writer;
    aei_counts *counts; /* with it symbols are counted, by distribution, instead of written */
    /* with it what the decoder will see, laid out as the sources, and the sum of bits ... */
    float *const *decoded;
    double bits;                   /* ... take the place of writing */
    uint32_t visible_w, visible_h; /* pixels; what lies beyond is made cheap */
    uint32_t effort;
} aei_latents;

typedef struct aei_walk aei_walk;
ae_status aei_walk_create(const aei_engine *engine, aei_walk **out, ae_error *err);
void aei_walk_free(aei_walk *walk);
/* 0..AE_QUALITY_ONE; before the first of those below */
void aei_walk_quality(aei_walk *walk, uint32_t quality);
/* looked at between operators; NULL: never */
void aei_walk_cancel(aei_walk *walk, const ae_cancel *cancel);

/* The entropy part of a tile of w x h pixels, multiples of the program's stride. Afterwards
 * aei_walk_crossing shows its results, which last until the next call; they cover the tile or more.
 */
ae_status aei_walk_entropy(aei_walk *walk, uint32_t w, uint32_t h, aei_latents *latents,
                           ae_error *err);
aei_view aei_walk_crossing(const aei_walk *walk, uint32_t index);

/* The synthesis of `wanted`, pixels of a picture of w x h, multiples of the stride. fetch fills the
 * whole of a view of crossing `index`, with zeros outside the picture. *picture lasts until the
 * next call. */
ae_status aei_walk_synthesis(aei_walk *walk, uint32_t w, uint32_t h, aei_rect wanted,
                             void (*fetch)(void *context, uint32_t index, const aei_view *to),
                             void *context, aei_view *picture, ae_error *err);
/* Multiply-accumulates that decoding costs a pixel, as kernels do them and with what blocks of the
 * synthesis compute twice. */
double aei_engine_work(const aei_engine *engine);
/* How far, in pixels, the synthesis looks beyond what is wanted. */
uint32_t aei_engine_reach(const aei_engine *engine);

#endif
