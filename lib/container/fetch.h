/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A coded tile from its source, for decoders of samples, sounds and arrays. */
#ifndef AEI_FETCH_H
#define AEI_FETCH_H

#include "ae/compress.h"
#include "core/lost.h"
#include "frame.h"

/* data: becomes a copy of the tile. *st and why: of the tile alone. Returns what costs the item. */
ae_status aei_fetch_tile(const ae_tile_source *source, uint32_t index, const ae_control *control,
                         aei_buffer *data, ae_status *st, ae_error *why, ae_error *err);

#endif
