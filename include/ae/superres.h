/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Enlarging pictures of any size with bounded memory. The result does not depend on tile size or
 * thread count. */
#ifndef AE_SUPERRES_H
#define AE_SUPERRES_H

#include "ae/denoise.h"
#include "ae/model.h"
#include "ae/signal.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ae_superres_options {
    /* above 1, at most the model's scale; 0: that. What the network makes is scaled down to it */
    double factor;
    /* 0..1: how much of noise and coding artefacts to remove, told to models that ask for it */
    float denoise;
    /* Luminance deviation, of 255, of the noise and artefacts that are to be removed. The result,
     * made small again, agrees with the picture: wholly where that is 0, where it is 3.2 by half of
     * what it lacks */
    float noise;
    uint32_t tile; /* edge of the tiles in pixels of the source, >= 32; 0: 256 */
    ae_precision precision;
    ae_control control;
} ae_superres_options;

/* What to set `noise` to: of a JPEG file with these steps of luminance (NULL: none), in which this
 * noise was found (NULL: none looked for). */
AE_API float ae_superres_noise(const uint16_t table[64], const ae_noise *noise);

/* The picture that comes of enlarging `info`; AE_ERR_LIMIT, naming the limit, where that is too
 * large. limits may be NULL. */
AE_API AE_NODISCARD ae_status ae_superres_result(const ae_signal_info *info, double factor,
                                                 const ae_limits *limits, ae_signal_info *result,
                                                 ae_error *err);

/* Reads every row of source and writes the enlarged picture (ae_superres_result), of the same
 * sample type, to sink. Alpha is enlarged bicubically; transparent pixels take no part in what is
 * visible. stats may be NULL. */
AE_API AE_NODISCARD ae_status ae_superres(const ae_model *model, const ae_superres_options *options,
                                          const ae_row_source *source, const ae_row_sink *sink,
                                          ae_run_stats *stats, ae_error *err);

/* Pictures of another size by a filter alone, row by row; colours weighted with alpha. `to` is
 * `from` but for width, height, sample. */
typedef struct ae_rescaler ae_rescaler;
AE_API AE_NODISCARD ae_status ae_rescaler_create(ae_filter filter, const ae_signal_info *from,
                                                 const ae_signal_info *to, const ae_row_sink *sink,
                                                 ae_rescaler **out, ae_error *err);
/* Takes the next rows; the sink receives all that can be made of those that came. */
AE_API AE_NODISCARD ae_status ae_rescaler_write(ae_rescaler *rescaler, const void *rows,
                                                uint32_t n_rows, ae_error *err);
AE_API void ae_rescaler_free(ae_rescaler *rescaler);

#ifdef __cplusplus
}
#endif
#endif
