/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The quiet parts of a picture bound its noise: what a camera adds is everywhere, and nowhere is
 * there more of it than all that is seen. That does not hold of cameras that smooth, for they leave
 * next to nothing where the picture is flat; but there the colours are gone as well. */
#ifndef AEI_QUIET_H
#define AEI_QUIET_H

#include "ae/denoise.h"

enum { AEI_QUIET_FEATURES = 8 };

typedef struct aei_quiet aei_quiet;

ae_status aei_quiet_create(aei_quiet **quiet, const ae_signal_info *info, ae_error *err);
/* The next row of the picture, in its own samples. */
void aei_quiet_row(aei_quiet *quiet, const void *row);
/* After the last row: how far noise as it is told is found in quiet parts, too: 0, as a camera that
 * smooths leaves them, to 1, and only as far does what follows hold. */
float aei_quiet_unsmoothed(aei_quiet *quiet, const ae_noise *noise);
/* Lowers levels to what quiet parts of about that brightness allow; what is strong anyway is left,
 * for there the noise is what is seen. features, of luminance and of colour: logarithms of how much
 * is seen in quiet parts, in parts of what is told: where it is least and where it is middling; of
 * what is seen in middling parts, likewise; and of what was taken away. */
void aei_quiet_bound(aei_quiet *quiet, float unsmoothed, ae_noise *noise,
                     float features[AEI_QUIET_FEATURES]);
void aei_quiet_free(aei_quiet *quiet);

#endif
