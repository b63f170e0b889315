/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The picture codec without its container (doc/codec.md): pictures to entropy-coded tiles and back.
 * Decoding is exact: the same samples on every machine, for every number of threads. */
#ifndef AE_COMPRESS_H
#define AE_COMPRESS_H

#include "ae/model.h"
#include "ae/signal.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    AE_CODER_TILE = 512,   /* pixels, edge */
    AE_QUALITY_ONE = 1024, /* quality is told in 1/1024 of the trained range */
    AE_QUALITY_MOST = 1536 /* beyond the range steps go on to fall, by half every 256 */
};

/* The decoder program of a model, checked and prepared; shareable between threads. AE_ERR_MISMATCH
 * where the model holds none. The model must outlive the coder. */
typedef struct ae_coder ae_coder;
AE_API AE_NODISCARD ae_status ae_coder_open(const ae_model *model, ae_coder **out, ae_error *err);
/* From the bytes of a program alone (a model embedded in a compressed file): decodes, cannot
 * encode. Data are copied. */
AE_API AE_NODISCARD ae_status ae_coder_open_program(const void *data, size_t n_bytes,
                                                    ae_coder **out, ae_error *err);
AE_API const void *ae_coder_program(const ae_coder *coder,
                                    /* its canonical bytes; they live as long as the coder */
                                    size_t *n_bytes);
AE_API void ae_coder_identity(const ae_coder *coder, uint8_t identity[16]); /* XXH3-128 of those */
AE_API void ae_coder_free(ae_coder *coder);

/* The decoder program of a trained codec, to be saved with its model. pictures: n of edge x edge x
 * the channels of the image, 1.0 = white, edge a multiple of the network's stride, on which ranges
 * of activations are measured; some tens of varied ones. *bytes is an ae_alloc array.
 * AE_ERR_UNSUPPORTED names a layer that has no integer form. */
AE_API AE_NODISCARD ae_status ae_export(const ae_graph *graph, const float *values,
                                        const float *pictures, uint32_t n, uint32_t edge,
                                        uint8_t **bytes, size_t *n_bytes, ae_error *err);

/* What the codec sees of a picture: colours only, 1 (grey) or 3 planes; alpha is coded elsewhere.
 */
typedef struct ae_coder_picture {
    uint32_t width, height, planes;
    ae_sample sample;
    uint32_t bits;
} ae_coder_picture;

/* Tiles of AE_CODER_TILE from the top left corner, in raster order; those at the right and bottom
 * edge are smaller. */
AE_API uint32_t ae_coder_tiles(const ae_coder_picture *picture);

/* From the first on symbols are chosen by what they cost, from the second on the latents themselves
 * are refined for the very quality. */
enum { AE_EFFORT_CHOOSES = 5, AE_EFFORT_REFINES = 6 };

typedef struct ae_encode_options {
    uint32_t quality; /* 0..AE_QUALITY_MOST */
    uint32_t effort;  /* 1..9 */
    ae_precision precision;
    ae_control control;
} ae_encode_options;

/* Called once for each tile in raster order, from one thread at a time. */
typedef struct ae_tile_sink {
    void *opaque;
    ae_status (*write)(void *opaque, uint32_t index, const void *data, size_t n_bytes,
                       ae_error *err);
} ae_tile_sink;

/* source: u8, u16 or f32, 1..4 channels; alpha is ignored. */
AE_API AE_NODISCARD ae_status ae_encode(const ae_coder *coder, const ae_encode_options *options,
                                        const ae_row_source *source, const ae_tile_sink *sink,
                                        ae_error *err);

/* The same in two halves, the second of which can be had at many qualities: the latents of a
 * picture before they are quantised, 5 bytes a pixel with the shipped codec. Of a picture of more
 * than most_tiles tiles, those of some that are spread over it. */
typedef struct ae_analysis ae_analysis;
AE_API AE_NODISCARD ae_status ae_analyse(const ae_coder *coder, const ae_encode_options *options,
                                         const ae_row_source *source, uint32_t most_tiles,
                                         ae_analysis **out, ae_error *err);
AE_API void ae_analysis_free(ae_analysis *analysis);
AE_API bool ae_analysis_complete(const ae_analysis *analysis);
/* Of the tiles that are there, one in `every`, 1 or more; of an incomplete analysis, all. */
AE_API AE_NODISCARD ae_status ae_encode_analysis(const ae_analysis *analysis,
                                                 const ae_encode_options *options, uint32_t every,
                                                 const ae_tile_sink *sink, ae_error *err);

/* Called from one thread at a time, for the tiles that are needed, in ascending order. *data stays
 * valid until the next call; *data = NULL: the tile is lost, its latents become 0 and `lost` tells.
 * So it is on failure, where `lost` is there to be told, unless it is AE_ERR_NOMEM,
 * AE_ERR_CANCELLED or AE_ERR_TOO_NEW. */
typedef struct ae_tile_source {
    void *opaque;
    ae_status (*read)(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                      ae_error *err);
} ae_tile_source;

typedef struct ae_decode_options {
    uint32_t quality;
    ae_region region;
    /* 1/8 of the size, rounded up; about means of 8 x 8 pixels, counted from the picture's corner
     */
    bool preview;
    ae_control control; /* lost: a tile that could not be decoded */
} ae_decode_options;

/* Writes the rows of the region, planes interleaved, of the sample type of `picture`, to sink. */
AE_API AE_NODISCARD ae_status ae_decode(const ae_coder *coder, const ae_coder_picture *picture,
                                        const ae_decode_options *options,
                                        const ae_tile_source *source, const ae_row_sink *sink,
                                        ae_error *err);

#ifdef __cplusplus
}
#endif
#endif
