/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the parts of the reader share: the container, bytes and chunks, packs, and looking through
 * the index or the whole file. Every byte is a stranger's. */
#ifndef AEI_READ_H
#define AEI_READ_H

#include "frame.h"
#include "model/format.h"

enum {
    AEI_AEC_WINDOW = 1 << 16,
    AEI_AEC_MAX_PACK = 1 << 20,
    /* of names that share their beginnings */
    AEI_AEC_MAX_NAMES = 1 << 24,
    AEI_AEC_MAX_EXPANSION = 64
};

typedef struct aei_item_list {
    ae_item *all;
    size_t n, capacity;
} aei_item_list;

struct ae_container {
    ae_bytes bytes;
    ae_limits limits;
    aei_tail tail;
    aei_item_list scanned; /* where there is no index to go by */
    uint64_t n_names;      /* bytes of their names */
    bool by_scan;
    uint64_t needs;            /* bytes that a chunk needs that is cut off; 0: none is */
    bool *unread, unread_flag; /* a read failed since the last call was settled */
    char complaint[504];       /* "": none */
};

ae_status aei_out_of_memory(ae_error *err);
void aei_complain(ae_container *c, const char *text); /* the first one stays */

/* ---- bytes ---- */

/* What a call returns that has read: where a read failed, that is its failure, and not what was
 * made of the missing bytes. */
ae_status aei_settle(const ae_container *c, ae_status st, ae_error *err);

bool aei_read_at(const ae_container *c, uint64_t offset, void *to, size_t n_bytes);
/* The header of the chunk at offset; false where none is, or where it runs past the end. */
bool aei_chunk_at(const ae_container *c, uint64_t offset, uint8_t *type, uint32_t *n_bytes);
uint64_t aei_chunk_end(const ae_container *c, uint64_t offset); /* behind the chunk at offset */
/* A payload of n_bytes at offset into a buffer that grows, checked against the checksum that
 * follows it. */
ae_status aei_load(const ae_container *c, uint64_t offset, uint32_t n_bytes, uint8_t **buffer,
                   size_t *capacity, ae_error *err);
/* The whole chunk of that type at offset. */
ae_status aei_load_chunk(const ae_container *c, uint64_t offset, uint8_t type, uint32_t most,
                         uint8_t **buffer, size_t *capacity, uint32_t *n_bytes, ae_error *err);
/* The head of an item at offset, and its name, of AE_ITEM_MAX_NAME + 1 bytes. A wrong byte of it is
 * mended, since all of a short file hangs on it. */
ae_status aei_load_head(const ae_container *c, uint64_t offset, ae_item *item, char *name,
                        ae_error *err);
/* What was read last in looking for chunks. Zeroes begin it; bytes are to be freed. */
typedef struct aei_window {
    uint8_t *bytes;
    uint64_t at;
    size_t n;
} aei_window;
/* The next place at or behind offset where there is a whole header of a chunk, or the end of the
 * file. */
uint64_t aei_next_chunk(const ae_container *c, uint64_t offset, aei_window *window);
bool aei_is_footer(const uint8_t footer[AEI_AEC_FOOTER]);

/* ---- items ---- */

ae_status aei_check_item_size(const ae_container *c, const ae_item *item, ae_error *err);
ae_status aei_items_append(aei_item_list *l, const ae_item *item, const char *name, size_t n_name,
                           ae_error *err);

typedef struct aei_pack {
    ae_item like;     /* without name */
    aei_cursor names; /* as they stand in the chunk */
    bool shared;      /* each shares its beginning with the one before */
    uint8_t hash[16];
    const uint8_t *coded;
    size_t n_coded;
} aei_pack;
/* What a pack begins with: number of the first item, count, head. */
ae_status aei_pack_head(const ae_container *c, aei_cursor *at, ae_item *like, ae_error *err);
/* The whole chunk of a pack at offset, of either type. */
ae_status aei_load_pack(const ae_container *c, uint64_t offset, uint8_t *type, uint8_t **buffer,
                        size_t *capacity, uint32_t *n_bytes, ae_error *err);
/* payload: whole and checked; the pack points into it. */
ae_status aei_pack_parse(const ae_container *c, uint8_t type, const uint8_t *payload,
                         size_t n_bytes, aei_pack *p, ae_error *err);
/* The next name of a pack, of AE_ITEM_MAX_NAME + 1 bytes, where the one before stands; false:
 * damage. */
bool aei_pack_name(aei_pack *p, char *name);

static inline bool aei_is_pack(uint8_t type)
{
    return type == AEI_CHUNK_PACK || type == AEI_CHUNK_NAMED_PACK;
}

/* What is there of an item that is not packed. */
typedef struct aei_item_whole {
    uint64_t end; /* behind its last chunk */
    bool whole;   /* every tile that it has to have, and all that it has */
    bool some;    /* one at least */
    bool ended;   /* its hash is there, which comes last */
} aei_item_whole;
ae_status aei_item_state(ae_item_reader *reader, aei_item_whole *out, ae_error *err);

/* ---- index ---- */

typedef struct aei_root {
    uint8_t *buffer;
    size_t capacity;
    uint64_t previous, next_number, model, n_items, n_pages, begin, end; /* of its chunk */
    uint32_t chain;
    aei_cursor rest; /* entries, or pages */
} aei_root;
/* r->buffer is to be freed whatever happens. */
ae_status aei_root_open(const ae_container *c, uint64_t offset, aei_root *r, ae_error *err);

/* What entries are for: all are collected, or one name is looked for. */
typedef struct aei_search {
    aei_item_list *into;
    uint64_t n_names; /* bytes of all names collected */
    const char *name; /* NULL: all */
    ae_item found;    /* its name NULL: not found */
} aei_search;
ae_status aei_search_chain(const ae_container *c, aei_search *s, ae_error *err);

/* Finds heads, packs and the model from there on, without an index. */
ae_status aei_scan(ae_container *c, uint64_t offset, ae_error *err);

#endif
