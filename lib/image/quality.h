/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_QUALITY_H
#define AEI_QUALITY_H

#include "ae/status.h"

/* Both pictures are clipped to 0..1 and rounded to 8 bits first, as results are published. Interleaved, dense. */

/* Peak signal to noise ratio over n samples in dB; infinite where nothing differs. */
double aei_psnr(const float *a, const float *b, size_t n);
/* Structural similarity (Wang et al. 2004) of the luma of two h x w pictures of 1 or 3 channels: mean over all whole windows of
 * 11 x 11, Gaussian of deviation 1.5. Edges of at least 11. */
ae_status aei_ssim(const float *a, const float *b, uint32_t h, uint32_t w, uint32_t c, double *out, ae_error *err);

#endif
