/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The word of a quality (doc/codec.md), in units of 8-bit samples, and errors by tile. */
#ifndef PROMISE_H
#define PROMISE_H

#include "encoding.h"

/* What became of a tile, in units of 8-bit samples. */
typedef struct tile_error {
    double squares; /* sum over all its samples */
    double worst;   /* largest mean square error of a block of it */
} tile_error;

/* Errors of the rows of a picture, taken one after another, by tile. */
typedef struct error_map {
    tile_error *tiles;
    double *blocks; /* sums of the row of blocks in hand */
    uint32_t width, height, channels, across, y;
} error_map;
ae_status error_map_open(error_map *m, uint32_t width, uint32_t height, uint32_t channels,
                         ae_error *err);
void error_map_close(error_map *m);
/* of the pixels of a row, summed over their channels */
void error_map_add(error_map *m, const double *squares);

/* -q, and what an item stores of it. */
double promise_q(uint32_t quality);
uint32_t promise_quality(double q);
/* Bits that a pixel's mean square error of 1 is worth; the error and the bits a pixel that
 * photographs have on average. */
double promise_price(double q);
double promise_usual_error(double q);
double promise_usual_rate(double q);
/* Whether a tile of so many samples keeps the word. */
bool promise_is_kept(double q, const tile_error *error, double samples);

#endif
