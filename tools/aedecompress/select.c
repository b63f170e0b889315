/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which items of a file are meant. */
#include <fnmatch.h>
#include <string.h>

#include "decompress.h"

ae_status decompress_select(const decompress_options *o, aecfile *f, ae_item **out, size_t *n, ae_error *err)
{
    ae_item *items;
    size_t kept = 0;
    ae_status st;

    *out = NULL;
    *n = 0;
    if (o->item && !strpbrk(o->item, "*?[\\")) {
        if (!(items = ae_alloc(1, sizeof(*items))))
            return ae_fail(err, AE_ERR_NOMEM, "an item");
        if ((st = ae_container_find(f->container, o->item, items, err)) != AE_OK) {
            ae_free(items);
            return st;
        }
        *out = items;
        *n = 1;
        return AE_OK;
    }
    if ((st = ae_container_list(f->container, out, n, err)) != AE_OK)
        return st;
    items = *out;
    for (size_t i = 0; i < *n; i++) {
        if (o->item && fnmatch(o->item, items[i].name, 0) != 0) {
            ae_item_clear(&items[i]);
        } else if (kept++ != i) {
            items[kept - 1] = items[i];
            items[i].name = NULL;
        }
    }
    *n = kept;
    if (!kept) {
        ae_items_free(items, kept);
        *out = NULL;
        return ae_fail(err, AE_ERR_ARGUMENT, o->item ? "no item matches %s" : "nothing is in it", o->item);
    }
    return AE_OK;
}
