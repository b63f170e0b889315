/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Colours for places where nobody will see them, so that they cost nothing. */
#ifndef SPREAD_H
#define SPREAD_H

#include "ae/signal.h"

/* width x height pixels (at most AE_CODER_TILE each) of rows that lie `stride` bytes apart. Scratch
 * is the caller's, made by spread_create. */
typedef struct spread spread;
spread *spread_create(void); /* NULL: out of memory */
void spread_free(spread *s);

/* Gives pixels of alpha 0 colours that go over smoothly from those of the visible ones around. */
void spread_hidden(spread *s, const ae_signal_info *info, uint8_t *rows, size_t stride,
                   uint32_t width, uint32_t height);

/* Fills the colours of all of it from the pixels beside it: each of the three may be NULL. above:
 * what lies over the first row; left and right: columns of `height` pixels, `stride` bytes apart.
 */
void spread_over(spread *s, const ae_signal_info *info, uint8_t *rows, size_t stride,
                 uint32_t width, uint32_t height, const uint8_t *above, const uint8_t *left,
                 const uint8_t *right);

#endif
