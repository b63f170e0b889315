/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Noise that stays the same for seconds is no speech and no music, whatever a network takes it for:
 * a bound on the gains of bands where all that is kept has been such noise.
 *
 * Of each band the least and the greatest smoothed power of the last seconds are followed, as in
 * estimates of noise by minimum statistics (Martin 2001). Where they lie as near to each other as
 * those of steady noise do, that is the noise's power, and how far the moment exceeds it tells how
 * likely something else is there (Gerkmann and Hendriks 2012). Notes that are held are as steady;
 * but the power of noise differs from moment to moment, that of tones does not. And since music may
 * have noise in it, the bound counts only as far as nearly all that would be kept is steady noise.
 */
#ifndef AEI_STEADY_H
#define AEI_STEADY_H

#include "audio/spectrum.h"

typedef struct aei_steady aei_steady;

/* hop: seconds from frame to frame; deepest: the least gain that the bound comes to. */
ae_status aei_steady_create(const aei_spectrum *spectrum, uint32_t bands, double hop, float deepest,
                            aei_steady **out, ae_error *err);
void aei_steady_free(aei_steady *s); /* NULL is fine */
/* A frame: power of each band, and the gains that are bounded. */
void aei_steady_bound(aei_steady *s, const float *power, float *gains);

#endif
