/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Equal channels in, equal channels out: networks see three channels and would tint what is grey.
 */
#ifndef AEI_GREYS_H
#define AEI_GREYS_H

#include "image/tiles.h"

enum { AEI_GREY_REACH = 4 }; /* pixels: a single grey one may be an accident of noise */

/* Gives what the network has made of pixels equal channels, their mean, where the picture's are
 * equal there and around (as far as the tile's margin goes): everywhere in grey pictures. rows: a
 * byte for each of the tile's columns. */
void aei_keep_grey(const aei_tile *tile, uint8_t *rows);

#endif
