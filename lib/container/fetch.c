/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Decoders lose a tile that is damaged or missing and go on; an error of the disk, memory or the
 * user's wish to stop ends the item instead. That difference is made here, once for all of them. */
#include "fetch.h"

ae_status aei_fetch_tile(const ae_tile_source *source, uint32_t index, const ae_control *control,
                         aei_buffer *data, ae_status *st, ae_error *why, ae_error *err)
{
    const void *bytes = NULL;
    size_t n = 0;

    data->n_bytes = 0;
    *st = source->read(source->opaque, index, &bytes, &n, why);
    if (*st == AE_OK && !bytes)
        *st = ae_fail(why, AE_ERR_MALFORMED, "tile %u is lost", index);
    if (*st == AE_OK)
        aei_put(data, bytes, n);
    if (data->failed)
        return ae_fail(err, AE_ERR_NOMEM, "a coded tile");
    return aei_costs_item(control, *st) ? ae_fail(err, *st, "%s", why->message) : AE_OK;
}
