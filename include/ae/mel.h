/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How far two recordings are apart to the ear, roughly: by the logarithms of their energies in time
 * and pitch (doc/sound.md). */
#ifndef AE_MEL_H
#define AE_MEL_H

#include "ae/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ae_mel ae_mel;
AE_API AE_NODISCARD ae_status ae_mel_create(double rate, uint32_t channels, ae_mel **out,
                                            ae_error *err);
AE_API void ae_mel_free(ae_mel *mel); /* NULL is allowed */
/* The next n frames of both, channels interleaved, full scale being 1. */
AE_API void ae_mel_add(ae_mel *mel, const float *a, const float *b, size_t n);
/* Mean distance in dB of all so far; NAN where that is less than 2048 frames. */
AE_API double ae_mel_value(const ae_mel *mel);

#ifdef __cplusplus
}
#endif

#endif
