/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An item that is coded before its turn has come: its chunks are kept without frames and without
 * the number that every chunk of an item begins with, which is known once it is written. */
#include <string.h>

#include "container_write.h"

ae_status ae_container_hold(ae_container_writer **out, ae_error *err)
{
    *out = ae_alloc(1, sizeof(**out));
    return *out ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "container");
}

ae_status ae_container_write_held(ae_container_writer *w, const ae_container_writer *held,
                                  ae_error *err)
{
    aei_cursor c = {held->held.data, held->held.data + held->held.n_bytes, false};
    ae_item item;
    ae_status st;

    if (w->open || held->open || held->n_items != 1 || held->items[0].packed)
        return ae_fail(err, AE_ERR_ARGUMENT, "%zu items held", held->n_items);
    item = held->items[0];
    item.number = w->next_number;
    item.offset = w->offset;
    if ((st = aei_add_item(w, &item, item.name, false, err)) != AE_OK)
        return st;
    w->next_number++;
    w->open = true;
    while (c.at < c.end && st == AE_OK) {
        uint8_t type = (uint8_t)aei_take_u8(&c);
        uint64_t n = aei_take_number(&c);

        aei_put_number(&w->scratch, item.number);
        st = aei_put_chunk(w, type, aei_take(&c, n), (size_t)n, err);
    }
    return st == AE_OK ? ae_container_end(w, NULL, err) : st;
}
