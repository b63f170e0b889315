/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_CODER_H
#define AEI_CODER_H

#include "ae/compress.h"
#include "latent/export.h"
#include "latent/walk.h"

struct ae_coder {
    aei_engine *engine;
    bool encodes;
    /* Of codecs that came with a model: */
    const ae_model *model;
    ae_graph analysis; /* its outputs are the sources of the program's latents */
    float *values;
    uint32_t source_channels[AEI_MAX_SOURCES];
    uint32_t field, planes;
};

/* Edges of what tensors cover: multiples of the program's stride. */
static inline uint32_t aei_round_up(uint32_t n, uint32_t to)
{
    return (n + to - 1) / to * to;
}

static inline uint32_t aei_tiles_along(uint32_t n)
{
    return (n + AE_CODER_TILE - 1) / AE_CODER_TILE;
}

/* Pixels of tile i along an axis of n. */
static inline uint32_t aei_tile_size(uint32_t n, uint32_t i)
{
    return n - i * AE_CODER_TILE < AE_CODER_TILE ? n - i * AE_CODER_TILE : AE_CODER_TILE;
}

ae_status aei_coder_check_picture(const ae_coder *coder, uint64_t width, uint64_t height,
                                  uint32_t planes, ae_sample sample, ae_error *err);

#endif
