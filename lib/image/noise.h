/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_NOISE_H
#define AEI_NOISE_H

#include "ae/denoise.h"

enum { AEI_NOISE_FEATURES = 84 };

/* What the noise estimator's network judges by: for each scale (4), luminance then colour (2), along one direction then both (2),
 * quantile (4) the logarithm of (deviation + 1/4) of second differences, 0..255 scale. Then of the calmest blocks and of all (2),
 * means: for each scale (4) how directed luminance is and how alike luminance and colour are; brightness, and its spread. */
ae_status aei_noise_features(const ae_row_source *source, const ae_cancel *cancel, float features[AEI_NOISE_FEATURES],
                             ae_error *err);

#endif
