/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which tiles a network codes, and which are coded as samples because they cost less so or because
 * the network would break the word that a quality gives (doc/codec.md, "The word of a quality"). */
#ifndef CHOOSE_H
#define CHOOSE_H

#include "trial.h"

/* What the picture looks like; marks tiles of equal channels. */
ae_status choose_survey(compressed *c, const compress_options *o, uint32_t threads, survey *out,
                        ae_error *err);
/* Looks at a picture before the network does: tiles that are to be coded as samples get a patch in
 * c->patches, those whose channels are equal are marked so. *network: how many are left. *drawn:
 * all tiles look drawn. */
ae_status choose_tiles(compressed *c, const compress_options *o, uint32_t threads,
                       uint32_t *network, bool *drawn, ae_error *err);
/* Whether the network has kept the word in all tiles that are its own. */
bool choose_is_kept(const compressed *c, const error_map *map);
/* After the network: tiles that break the word become samples, too. *broken: how many. */
ae_status choose_broken(compressed *c, const compress_options *o, uint32_t threads,
                        const error_map *map, uint32_t *broken, ae_error *err);

#endif
