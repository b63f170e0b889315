/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What reader and writer of .aec share: numbers, checksums, chunks, heads and index entries
 * (doc/container.md). */
#ifndef AEI_FRAME_H
#define AEI_FRAME_H

#include "ae/container.h"

enum {
    AEI_AEC_VERSION = 1,
    AEI_AEC_HEADER = 16, /* bytes of the file header */
    AEI_AEC_CHUNK = 12,  /* of a chunk's header */
    AEI_AEC_FOOTER = 16,
    AEI_AEC_EXTRA = AEI_AEC_CHUNK + 4, /* of a chunk beside its payload */
    AEI_AEC_PAGE = 8192,               /* index pages grow to about this */
    AEI_AEC_MAX_HEAD = 96,             /* of a head without number and name */
    AEI_AEC_MAX_PAGE = 1 << 16,
    AEI_AEC_MAX_ROOT = 1 << 26,
    AEI_AEC_MAX_TILE = 1 << 24,
    AEI_AEC_MAX_MODEL = 1 << 28,
    AEI_AEC_MAX_META = 1 << 14,        /* entries of metadata of an item */
    AEI_AEC_MAX_SOUND_TILES = 1 << 22, /* and of an array */
    AEI_AEC_MAX_CHAIN = 8,             /* appends before the index is written anew */
    AEI_AEC_SHORT = 4 /* tiles of a picture that is told of by its head alone, if all else is so */
};
extern const uint8_t aei_aec_magic[8], aei_aec_sync[3], aei_aec_end[4];

/* Chunk types. Capitals are critical: who does not know one must not read on. */
#define AEI_CRITICAL_TYPES "HTASPNMI"
enum {
    AEI_CHUNK_HEAD = 'H',
    AEI_CHUNK_TILE = 'T',
    AEI_CHUNK_ALPHA = 'A',
    AEI_CHUNK_PATCH = 'S',
    AEI_CHUNK_PACK = 'P',
    AEI_CHUNK_NAMED_PACK = 'N',
    AEI_CHUNK_MODEL = 'M',
    AEI_CHUNK_INDEX = 'I',
    AEI_CHUNK_META = 'm',
    AEI_CHUNK_HASH = 'h',
    AEI_CHUNK_UNFINISHED = 'u',
    AEI_CHUNK_PAGE = 'i',
    AEI_CHUNK_FIELDS = 'f'
};

uint32_t aei_crc32c(uint32_t crc, const void *data, size_t n_bytes); /* begin with 0 */
/* Bytes and, behind them, their checksum: where one byte of these is wrong it is put right. Whether
 * they are whole then. */
bool aei_mend(uint8_t *bytes, size_t n_bytes);

/* Bytes being made; running out of memory latches. */
typedef struct aei_buffer {
    uint8_t *data;
    size_t n_bytes, capacity;
    bool failed;
} aei_buffer;
void aei_put(aei_buffer *b, const void *data, size_t n_bytes);
void aei_put_u8(aei_buffer *b, uint32_t v);
void aei_put_number(aei_buffer *b, uint64_t v); /* 7 bits a byte, the low ones first */

/* Bytes being read; reading past the end latches `bad`. */
typedef struct aei_cursor {
    const uint8_t *at, *end;
    bool bad;
} aei_cursor;
const uint8_t *aei_take(aei_cursor *c, uint64_t n_bytes); /* NULL where there are not so many */
uint32_t aei_take_u8(aei_cursor *c);
uint64_t aei_take_number(aei_cursor *c);

/* Whether the container knows this type of samples, of so many bits. */
bool aei_samples_known(const ae_signal_info *info);
/* Whether sounds of this type, of so many bits, channels and frames a second can be stored. */
bool aei_sound_known(const ae_signal_info *info);
/* Whether there are few enough tiles of a sound or an array. */
bool aei_tiles_believed(const ae_item *item);
/* The frames that a tile of sound says it has; 0: it is none. */
uint32_t aei_sound_tile_frames(const void *data, size_t n_bytes);
/* A head without number and name. Reading checks everything that does not need the caller's limits.
 */
void aei_put_head(aei_buffer *b, const ae_item *item);
ae_status aei_take_head(aei_cursor *c, ae_item *item, ae_error *err);
/* Of a whole item or a pack (the last `packed` of them: see ae_item). */
uint32_t aei_item_tiles(const ae_item *item);

/* A name that shares its beginning with the one before. name: of AE_ITEM_MAX_NAME + 1 bytes, the
 * last one's; false: damage. */
void aei_put_name(aei_buffer *b, const char *previous, const char *name);
bool aei_take_name(aei_cursor *c, char *name);
/* An index entry begins with such a name. */
void aei_put_entry(aei_buffer *b, const char *previous, const ae_item *item);
ae_status aei_take_entry(aei_cursor *c, char *name, ae_item *item, ae_error *err);

/* Into so many bytes metadata may be compressed to n: what claims more is not unpacked, and not
 * written. */
static inline uint64_t aei_meta_believed(size_t n)
{
    return 256ull * (1024 + n);
}

void aei_make_chunk(uint8_t header[AEI_AEC_CHUNK], uint8_t type, uint32_t n_bytes);
/* False where these are no whole header. */
bool aei_parse_chunk(const uint8_t header[AEI_AEC_CHUNK], uint8_t *type, uint32_t *n_bytes);

/* What an append needs to know of a file. */
typedef struct aei_tail {
    uint64_t end;  /* behind the last whole footer */
    uint64_t root; /* offset of its index, 0: none */
    uint64_t next_number;
    uint64_t model;  /* offset of the model chunk, 0: none */
    uint32_t chain;  /* indices that hang on it, itself included */
    bool unfinished; /* who wrote it was interrupted and meant to go on */
} aei_tail;
const aei_tail *aei_container_tail(const ae_container *container);

#endif
