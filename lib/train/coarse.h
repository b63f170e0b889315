/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_COARSE_H
#define AEI_COARSE_H

#include "ae/train.h"

/* How alike the noise of neighbouring pixels is, -1..1, in luminance or colour, whichever is more:
 * about 0 where every pixel has noise of its own, more where a camera or a JPEG file has smoothed
 * it. Means over the calmest blocks of some of the pictures; NaN where there are none to judge by.
 */
ae_status aei_noise_coarseness(const ae_dataset *data, double *coarseness, ae_error *err);

#endif
