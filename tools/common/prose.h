/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A file of text as items of so many bytes, one piece after another, or of the bytes or words of a
 * line each. */
#ifndef PROSE_H
#define PROSE_H

#include "ae/recipe.h"

typedef struct prose_item {
    size_t first, line; /* byte; from 1 on */
} prose_item;

typedef struct prose {
    uint8_t *bytes;
    size_t n_bytes, n;
    prose_item *items;
    ae_text by;
} prose;

/* Any bytes are text. path "-": standard input. Lines end with LF, before which a CR is left out;
 * those without anything but blanks are no items. None at all: AE_ERR_MALFORMED. Failing, *out is
 * all zeros. */
ae_status prose_read(const char *path, ae_text by, uint32_t length, prose *out, ae_error *err);
void prose_free(prose *text);
/* Item i as `length` numbers, -1 after its last byte or word; what a line has beyond them is cut
 * off. */
void prose_item_read(const prose *text, size_t i, uint32_t length, float *to);

#endif
