/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Small pictures of an archive that wait for others of their kind, to share a tile; and the names
 * that are taken. */
#ifndef GATHER_H
#define GATHER_H

#include "ae/container.h"

/* bytes of a picture that waits, at most */
enum { GATHER_KINDS = 8, GATHER_SMALL = AE_PACK_BYTES / 4 };

/* Pictures of one kind; zeroed: none. */
typedef struct gathered {
    ae_item like;
    uint8_t *samples;
    size_t n_each;
    uint32_t n, most;
    char **names;
    ae_item_fields *fields;
} gathered;

ae_status gathered_begin(gathered *g, const ae_item *like, size_t n_each, ae_error *err);
/* Room must be there. */
ae_status gathered_add(gathered *g, const void *samples, const char *name,
                       const ae_item_fields *fields, ae_error *err);
void gathered_clear(gathered *g);

/* Takes one in. *ready gets what is now to be written: a full pack, the fullest where there was no
 * room for another kind, or none. */
ae_status gather(gathered kinds[GATHER_KINDS], const ae_item *item, size_t n_each,
                 const void *samples, const char *name, const ae_item_fields *fields,
                 gathered *ready, ae_error *err);

typedef struct name_set {
    char **slots;
    size_t n, room; /* a power of two */
} name_set;
/* *added: false where it is there already. */
ae_status name_set_add(name_set *set, const char *name, bool *added, ae_error *err);
bool name_set_has(const name_set *set, const char *name);
void name_set_clear(name_set *set);

#endif
