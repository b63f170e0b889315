/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures that no camera took: drawn from numbers alone, to train on and to measure with. */
#ifndef AEI_PATTERNS_H
#define AEI_PATTERNS_H

#include <stdint.h>

enum { AEI_PATTERN_KINDS = 10 };

/* What kind of picture an index is: index % AEI_PATTERN_KINDS. A string without spaces, for ever.
 */
const char *aei_pattern_name(uint64_t index);
/* Draws pattern `index` of a seed: height x width x 3, dense, multiples of 1/255 in 0..1. All that
 * is drawn follows from the four numbers; of another size it is another picture of the same kind.
 * Height and width: 1 to 2^14. */
void aei_pattern_draw(uint64_t seed, uint64_t index, uint32_t height, uint32_t width, float *rgb);

#endif
