/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Denoising pictures of any size with bounded memory. The result does not depend on tile size or
 * thread count. */
#ifndef AE_DENOISE_H
#define AE_DENOISE_H

#include "ae/model.h"
#include "ae/signal.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { AE_NOISE_BINS = 16 };

/* Noise found in a picture, deviations on the 0..255 scale whatever the depth. */
typedef struct ae_noise {
    /* of (R+G+B)/3 and of either orthonormal colour difference, (R-B)/sqrt2 and (2G-R-B)/sqrt6;
     * grey pictures: chroma 0. White noise of deviation s has s/sqrt3 and s */
    float luminance, chroma;
    float white; /* deviation per channel if the noise were white and equal in all */
    /* 0: the same at every brightness; AE_NOISE_BINS: the curves below hold, and those above are
     * means */
    uint32_t n_bins;
    /* where the mean of the channels is i / (AE_NOISE_BINS - 1) of white; linear between */
    float luminance_at[AE_NOISE_BINS], chroma_at[AE_NOISE_BINS];
    float confidence; /* 0..1, of what was found; no part of what the network is told */
    /* found the same at every brightness, of each pixel and channel its own, as people add it:
     * networks that learned that alone do best */
    bool is_white;
} ae_noise;

/* One pass over all rows of `source` on a fixed grid. */
AE_API AE_NODISCARD ae_status ae_noise_estimate(const ae_row_source *source,
                                                const ae_cancel *cancel, ae_noise *out,
                                                ae_error *err);

/* A second look, through the network: *noise, as it was estimated, is corrected by what a model
 * that was trained with cameras takes from up to 16 patches of 96 x 96 pixels when it is told twice
 * as much. Reads all rows of source, or none where nothing is to be gained: pictures that are grey
 * or small, noise that is white or weak, other models. */
AE_API AE_NODISCARD ae_status ae_noise_look_again(const ae_model *model,
                                                  const ae_row_source *source,
                                                  ae_precision precision, const ae_control *control,
                                                  ae_noise *noise, ae_error *err);

/* What a network is told of the noise at each pixel, as rows of 8 bits and three channels: red 4
 * times the chroma deviation, green 4 times that of the luminance, blue 0. Reads every row of
 * source, writes as many. */
AE_API AE_NODISCARD ae_status ae_noise_map(const ae_row_source *source, const ae_noise *noise,
                                           const ae_row_sink *sink, const ae_cancel *cancel,
                                           ae_error *err);

/* What a sensor adds that is no noise: single pixels that are hot or dead, and offsets that whole
 * rows or columns have. A first pass looks for them; where they are, and nowhere else, a second
 * pass mends the rows before they are denoised. Alpha stays. */
typedef struct ae_defects ae_defects;
typedef struct ae_defects_found {
    uint64_t pixels;     /* hot or dead; of more than two megapixels an estimate */
    float rows, columns; /* deviation of their offsets, of 255; 0: none */
} ae_defects_found;
AE_API AE_NODISCARD ae_status ae_defects_create(const ae_signal_info *info, ae_defects **out,
                                                ae_error *err);
AE_API void ae_defects_free(ae_defects *defects);
/* all rows, in order */
AE_API void ae_defects_look(ae_defects *defects, const void *rows, uint32_t n_rows);
AE_API ae_defects_found ae_defects_settle(ae_defects *defects); /* after the last */
/* A source of the rows of `source`, mended; it and *out live no longer than defects. After
 * settling; reading begins anew. */
AE_API AE_NODISCARD ae_status ae_defects_mend(ae_defects *defects, const ae_row_source *source,
                                              ae_row_source *out, ae_error *err);

typedef struct ae_denoise_options {
    ae_noise noise; /* what the network is told, level included */
    /* 0..1: blend of input and output before rounding; 0 returns the input's samples */
    float strength;
    uint32_t tile; /* edge of the tiles, >= 32; 0: 640 */
    ae_precision precision;
    ae_control control;
} ae_denoise_options;

/* Reads every row of source, writes as many of the same type to sink. Alpha passes untouched. stats
 * may be NULL. */
AE_API AE_NODISCARD ae_status ae_denoise(const ae_model *model, const ae_denoise_options *options,
                                         const ae_row_source *source, const ae_row_sink *sink,
                                         ae_run_stats *stats, ae_error *err);

/* JPEG's blocks away: a denoiser that is told white noise of ae_deblock_level, between `rows` and
 * `result`, changes the luminance of each of the file's own 8 x 8 blocks by no more than a share of
 * its quantisation steps. table: those of luminance, row by row; 8 bits, 1 or 3 channels. `rows` is
 * to be read from its start once; source and sink must outlive *out. */
typedef struct ae_deblock ae_deblock;
AE_API float ae_deblock_level(const uint16_t table[64]);
AE_API AE_NODISCARD ae_status ae_deblock_create(const uint16_t table[64],
                                                const ae_row_source *source,
                                                const ae_row_sink *sink, ae_row_source *rows,
                                                ae_row_sink *result, ae_deblock **out,
                                                ae_error *err);
AE_API void ae_deblock_free(ae_deblock *deblock);

#ifdef __cplusplus
}
#endif
#endif
