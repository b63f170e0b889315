/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A picture of a sound before and after: time to the right, frequency upwards, level as brightness.
 */
#ifndef CLI_SPECTROGRAM_H
#define CLI_SPECTROGRAM_H

#include "ae/codec.h"

typedef struct spectrogram spectrogram;

AE_NODISCARD ae_status spectrogram_new(double rate, uint32_t channels, spectrogram **out,
                                       ae_error *err);
/* The next frames of the sound before (0) or after (1). Memory does not grow with their number. */
void spectrogram_feed(spectrogram *s, int which, const float *frames, size_t n);
/* As a PNG. */
AE_NODISCARD ae_status spectrogram_write(spectrogram *s, ae_sink *sink, ae_error *err);
void spectrogram_free(spectrogram *s); /* NULL is fine */

#endif
