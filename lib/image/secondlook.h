/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef AEI_SECONDLOOK_H
#define AEI_SECONDLOOK_H

#include "ae/denoise.h"
#include "image/quiet.h"

enum { AEI_LOOK_FEATURES = 4 * 5 + 2 * 5 + AEI_QUIET_FEATURES };

/* The first half of ae_noise_look_again: *noise is corrected by what is flat and bounded by what is
 * quiet. *doubt: how far it has to be judged, 0 (where a camera has smoothed, or nothing is seen)
 * to 1; then features are what the part of the levels that is best told is judged by.
 *
 * Of the blocks of the patches by how flat they are, in four groups (the flattest sixth, the next,
 * the next two, the rest): logarithms of what the network takes, told what was found, of luminance
 * and of colour, and told twice that, in parts of what was found; and how much is left in them. Of
 * luminance and colour (2): how much was found; then of what is taken, told so much once and twice
 * (2): how alike neighbours are in luminance and in colour, how alike luminance is to the edges
 * that are left, and how heavy its tails are. Then those of aei_quiet_bound. */
ae_status aei_noise_look(const ae_model *model, const ae_row_source *source, ae_precision precision,
                         const ae_control *control, ae_noise *noise, float *doubt,
                         float features[AEI_LOOK_FEATURES], ae_error *err);

/* Takes the noise for y times as much luminance and c times as much chroma. */
void aei_scale_levels(ae_noise *noise, float y, float c);

#endif
