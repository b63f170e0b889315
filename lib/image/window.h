/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between rows of a picture in their own sample type and rows of a network's window in f32. */
#ifndef AEI_WINDOW_H
#define AEI_WINDOW_H

#include "ae/signal.h"

typedef struct aei_window_format {
    ae_sample sample;  /* AE_U8, AE_U16 or AE_F32 */
    uint32_t width;    /* of the picture */
    uint32_t channels; /* of the picture, alpha included */
    uint32_t colours;  /* without alpha: 1 or 3 */
    /* channels of the network: 1 or 3. A grey picture fills all; of a colour picture with planes =
     * 1 ... */
    uint32_t planes;
    uint32_t plane; /* ... this channel goes through */
    float slack;    /* AE_F32: how far beyond 0..1 noise alone takes samples (aei_calm) */
} aei_window_format;

/* Pixel y of an axis of n >= 1 pixels that is continued by mirroring, without repeating the edge,
 * as far as need be. */
uint64_t aei_mirror(int64_t y, uint64_t n);

/* n pixels from column x on, mirrored at the edges: `to` receives n * planes floats, 1.0 = white.
 * Columns beyond the mirror image of [x, x + n) within the picture repeat the last one; NaN and
 * infinities become 0, so that a bad pixel stays alone. */
void aei_window_load(const aei_window_format *f, const void *row, int64_t x, uint32_t n, float *to);

/* Light beyond white and below black, as networks are shown it: what lies in 0..1 or no farther
 * from there than `slack`, as far as noise reaches, stays, and nothing comes farther than half of
 * white more. */
void aei_calm(float *values, size_t n, float slack);
/* What a network's correction of such a value comes to: far beyond white it is a share of the
 * light; what stays takes it whole. */
float aei_correction(float value, float correction, float slack);

/* n pixels from column x on of the picture's `row` plus strength * correction -> out, a row of the
 * same type. net: n * planes values, the correction itself where `residual`, else the clean
 * picture. A grey picture takes the mean over the planes. Integer samples are clipped and rounded
 * to nearest even; for f32 the network was shown calm values (aei_calm). Only what goes through the
 * network is written: alpha and other planes are the caller's. */
void aei_window_store(const aei_window_format *f, const void *row, const float *net, uint32_t x,
                      uint32_t n, float strength, bool residual, void *out);

#endif
