/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_NOISE_H
#define AEI_NOISE_H

#include "ae/denoise.h"

enum {
    AEI_NOISE_SUMMARY = 84,
    AEI_NOISE_FEATURES = 2 * AEI_NOISE_SUMMARY + 2,
    AEI_NOISE_GROUPS = 5
};

/* What the noise estimator's network judges by: the blocks of a picture in groups of equal size by
 * their brightness.
 *
 * A summary of blocks: for each scale (4), luminance then colour (2), along one direction then both
 * (2), quantile (4) the logarithm of (deviation + 1/4) of second differences, 0..255 scale. Then of
 * the calmest blocks and of all (2), means: for each scale (4) how directed luminance is and how
 * alike luminance and colour are; brightness, and its spread.
 *
 * The features of a group: its summary, that of all blocks, and the shares of blocks that no camera
 * could have made, in both. */
typedef struct aei_noise_groups {
    uint32_t n;
    float drawn; /* share of all blocks that are flat or of few levels far apart */
    float lines; /* of blocks that are so, or whose spectra are of lines */
    float seen;  /* share of all blocks that are neither, and hardly clipped */
    float brightness[AEI_NOISE_GROUPS]; /* mean of the channels, 1.0 = white; ascending */
    float features[AEI_NOISE_GROUPS][AEI_NOISE_FEATURES];
} aei_noise_groups;

ae_status aei_noise_measure(const ae_row_source *source, const ae_cancel *cancel,
                            aei_noise_groups *out, ae_error *err);

#endif
