/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The .aec file (doc/container.md): items of coded tiles, with checksums, an index and metadata.
 * What is inside the tiles of a network's item is the business of compress.h; tiles of samples,
 * without loss or with bounded error, are coded here. */
#ifndef AE_CONTAINER_H
#define AE_CONTAINER_H

#include "ae/codec.h"
#include "ae/compress.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    AE_ITEM_SAMPLES = 0, /* without loss, or no error above `quality` thirds (ae_samples_options) */
    /* colours by the network `identity` at `quality`, in 1/1024; alpha as samples without loss */
    AE_ITEM_NETWORK = 1,
    /* sound by its spectra at `quality`, in 1/AE_SOUNDS_QUALITY, -q 100 being 100 */
    AE_ITEM_SPECTRA = 2,
    AE_ARRAY_ABSOLUTE = 1, /* an array's `quality`: no element differs by more than `error`; */
    AE_ARRAY_RELATIVE = 2, /* by more than `error` times its own size. 0: none does */
    AE_ITEM_MAX_NAME = 4096,
    AE_PACK_BYTES = 65536 /* samples of a packed tile, at most */
};

/* The tiles of an item. A patch stands beside a network's tile: a byte of AE_PATCH_..., then what
 * that says. */
typedef enum ae_tile_kind {
    AE_TILE_COLOURS = 0,
    AE_TILE_ALPHA = 1,
    AE_TILE_PATCH = 2,
    AE_TILE_KINDS = 3
} ae_tile_kind;
enum {
    AE_PATCH_GREY = 1, /* each of the three planes becomes their mean, (r + g + b + 1) / 3 */
    /* a tile of samples follows, which takes the place of the network's colours */
    AE_PATCH_SAMPLES = 2
};

/* One picture, sound or array of a file. A packed item shares its tile with others of its size and
 * type, which stand below each other. */
typedef struct ae_item {
    char *name; /* relative path with '/', "" where none was given */
    /* pictures: AE_U8, AE_U16 or, without loss, AE_F32. Sounds: rows are frames; 0 in a head that
     * was written before their number was known */
    ae_signal_info info;
    /* of sounds: frames of a tile, of arrays elements, of the last one at most so many; else 0 */
    uint32_t tile;
    uint8_t coding; /* AE_ITEM_... */
    /* of AE_ITEM_SPECTRA: log2 of the frames that a cell of the spectra lasts; else 0 */
    uint8_t block;
    uint8_t orientation; /* as EXIF has it, 0: not told */
    uint16_t quality;
    double error; /* of arrays: AE_ARRAY_... */
    uint8_t identity[16];
    uint64_t number;           /* in order of writing, 0 the first */
    uint64_t offset, span;     /* where its chunks lie; of a packed one, its pack */
    uint32_t position, packed; /* the position-th of `packed` items; packed = 0: not packed */
} ae_item;

enum { AE_LABEL_BYTES = 64 };

/* What an item's file was like, and what it is a picture of; zeroes tell nothing. */
typedef struct ae_item_fields {
    bool has_changed;
    int64_t changed;            /* when it was changed last, in seconds since 1970 */
    uint32_t mode;              /* its permissions, at most 0777; 0: not told */
    char label[AE_LABEL_BYTES]; /* UTF-8, ended by NUL */
} ae_item_fields;

/* Whether a name may be written below a directory: no "..", no empty part, not absolute, no control
 * characters. */
AE_API bool ae_item_name_is_safe(const char *name);

/* ---- writing ---- one pass from front to back */

typedef struct ae_container_writer ae_container_writer;
typedef struct ae_container ae_container;
/* sink must outlive the writer. On failure of any call only freeing is left. */
AE_API AE_NODISCARD ae_status ae_container_create(ae_sink *sink, ae_container_writer **out,
                                                  ae_error *err);
/* Goes on with a file that has been read; what is written belongs at *offset, and what lies there
 * is to be cut off. `old` is needed only for this call. Items behind the last whole index, left
 * there by an append that broke off or in front of an index that is damaged, are taken over where
 * they have been ended; half an item is not, and lies behind *offset. */
AE_API AE_NODISCARD ae_status ae_container_append(ae_container *old, ae_sink *sink,
                                                  ae_container_writer **out, uint64_t *offset,
                                                  ae_error *err);
/* The i-th of the items taken over so; whole: nothing of it is damaged. False where there are not
 * so many. The name lives until the next call for the writer. */
AE_API bool ae_container_recovered(const ae_container_writer *writer, size_t i, const char **name,
                                   bool *whole);
AE_API void ae_container_writer_free(ae_container_writer *writer); /* NULL is fine */
/* A writer of one item that writes nothing: the item is held in memory, until another takes it over
 * as if it had been written there, any number of times. */
AE_API AE_NODISCARD ae_status ae_container_hold(ae_container_writer **out, ae_error *err);
AE_API AE_NODISCARD ae_status ae_container_write_held(ae_container_writer *writer,
                                                      const ae_container_writer *held,
                                                      ae_error *err);

/* The decoder program of the model that items name; at most once a file, before the items. */
AE_API AE_NODISCARD ae_status ae_container_write_model(ae_container_writer *writer,
                                                       const void *program, size_t n_bytes,
                                                       ae_error *err);
AE_API bool ae_container_has_model(const ae_container_writer *writer);
AE_API bool ae_container_has_name(const ae_container_writer *writer, const char *name);
/* Begins an item: name, info, coding, quality, identity and orientation are taken. A name that is
 * there already, or is not safe, is AE_ERR_ARGUMENT. */
AE_API AE_NODISCARD ae_status ae_container_begin(ae_container_writer *writer, const ae_item *item,
                                                 ae_error *err);
AE_API AE_NODISCARD ae_status ae_container_write_tile(ae_container_writer *writer,
                                                      ae_tile_kind kind, uint32_t index,
                                                      const void *data, size_t n_bytes,
                                                      ae_error *err);
AE_API AE_NODISCARD ae_status ae_container_write_meta(ae_container_writer *writer,
                                                      const ae_meta *meta, ae_error *err);
/* Right after an item was begun (n = 1) or a pack was written (an entry for each item of it). */
AE_API AE_NODISCARD ae_status ae_container_write_fields(ae_container_writer *writer,
                                                        const ae_item_fields *fields, uint32_t n,
                                                        ae_error *err);
/* Of a sound: how many frames it turned out to have; what it began with is taken back, so that the
 * index is right. */
AE_API void ae_container_set_frames(ae_container_writer *writer, uint64_t frames);
/* Ends an item; hash: of its decoded samples, or NULL. */
AE_API AE_NODISCARD ae_status ae_container_end(ae_container_writer *writer, const uint8_t hash[16],
                                               ae_error *err);
/* Gives up the item begun: what was written of it stays in the file, outside the index. */
AE_API void ae_container_drop(ae_container_writer *writer);
/* n items of one size and type, coded as one picture of the height of all; quality: thirds.
 * samples: interleaved, native endian; they become what decoding will give. */
/* data: an ae_alloc array */
typedef struct ae_packed {
    void *data;
    size_t n_bytes;
    uint8_t hash[16];
} ae_packed;
AE_API AE_NODISCARD ae_status ae_pack(const ae_item *like, uint32_t n, void *samples,
                                      ae_packed *out, ae_error *err);
AE_API AE_NODISCARD ae_status ae_container_write_packed(ae_container_writer *writer,
                                                        const ae_item *like,
                                                        const char *const *names, uint32_t n_names,
                                                        const ae_packed *packed, ae_error *err);
/* Both at once. */
AE_API AE_NODISCARD ae_status ae_container_write_pack(ae_container_writer *writer,
                                                      const ae_item *like, const char *const *names,
                                                      uint32_t n_names, void *samples,
                                                      ae_error *err);
/* Index and footer. */
AE_API AE_NODISCARD ae_status ae_container_finish(ae_container_writer *writer, ae_error *err);
/* The same, and readers can tell that more was to come. */
AE_API AE_NODISCARD ae_status ae_container_interrupt(ae_container_writer *writer, ae_error *err);
/* the number that the next item gets */
AE_API uint64_t ae_container_next(const ae_container_writer *writer);
/* bytes so far, the old part included */
AE_API uint64_t ae_container_written(const ae_container_writer *writer);

/* ---- reading ---- */

/* Bytes at any place; read returns how many it got, less only at the end or on error. Called from
 * one thread at a time. */
typedef struct ae_bytes {
    void *opaque;
    uint64_t size;
    size_t (*read)(void *opaque, uint64_t offset, void *to, size_t n_bytes);
} ae_bytes;

/* bytes is copied, what it points to must outlive the container. Where index or footer are damaged
 * or missing, the file is scanned; ae_container_complaint then says so. limits may be NULL. */
AE_API AE_NODISCARD ae_status ae_container_open(const ae_bytes *bytes, const ae_limits *limits,
                                                ae_container **out, ae_error *err);
AE_API void ae_container_free(ae_container *container);
/* NULL where all is well: one line about what is damaged in the frame of the file (not in its
 * tiles). */
AE_API const char *ae_container_complaint(const ae_container *container);
/* Whether who wrote it was interrupted, or killed before there was any index. */
AE_API bool ae_container_unfinished(const ae_container *container);
/* The item of that name, by the index; its strings are freed by ae_item_clear. AE_ERR_ARGUMENT
 * where there is none. */
AE_API AE_NODISCARD ae_status ae_container_find(const ae_container *container, const char *name,
                                                ae_item *out, ae_error *err);
/* All items in order of number; to be freed with ae_items_free. Packs that are damaged are left
 * out, of which ae_container_complaint then speaks. */
AE_API AE_NODISCARD ae_status ae_container_list(ae_container *container, ae_item **items,
                                                size_t *n_items, ae_error *err);
/* Of n items in the order of ae_container_list; damage tells nothing. */
AE_API AE_NODISCARD ae_status ae_container_fields(const ae_container *container,
                                                  const ae_item *items, size_t n,
                                                  ae_item_fields *fields, ae_error *err);
/* how many it has, of each kind, if it is not packed */
AE_API uint32_t ae_item_tiles(const ae_item *item);
AE_API void ae_item_clear(ae_item *item);
AE_API void ae_items_free(ae_item *items, size_t n_items);
/* The embedded program, an ae_alloc array; AE_ERR_ARGUMENT where there is none. */
AE_API AE_NODISCARD ae_status ae_container_model(const ae_container *container, void **program,
                                                 size_t *n_bytes, ae_error *err);
/* Reads every chunk of the file and calls back for each that is damaged (why) at its offset; AE_OK
 * where the reading itself worked. */
AE_API AE_NODISCARD ae_status ae_container_check(const ae_container *container, void *opaque,
                                                 void (*damaged)(void *opaque, uint64_t offset,
                                                                 const char *why),
                                                 ae_error *err);

/* One item opened: where its chunks lie. The container must outlive it. */
typedef struct ae_item_reader ae_item_reader;
AE_API AE_NODISCARD ae_status ae_item_open(const ae_container *container, const ae_item *item,
                                           ae_item_reader **out, ae_error *err);
AE_API void ae_item_free(ae_item_reader *reader);
/* AE_ERR_CHECKSUM or AE_ERR_MALFORMED where the tile is damaged or missing; a patch that there is
 * not is *data = NULL. *data lives until the next call. */
AE_API AE_NODISCARD ae_status ae_item_tile(ae_item_reader *reader, ae_tile_kind kind,
                                           uint32_t index, const void **data, size_t *n_bytes,
                                           ae_error *err);
AE_API AE_NODISCARD ae_status ae_item_meta(ae_item_reader *reader, const ae_limits *limits,
                                           ae_meta *meta, ae_error *err);
/* of packed items: of the whole pack */
AE_API bool ae_item_hash(ae_item_reader *reader, uint8_t hash[16]);
/* The item's pack as it is coded, whose data live as long as the reader: what
 * ae_container_write_packed takes. */
AE_API AE_NODISCARD ae_status ae_item_packed(ae_item_reader *reader, ae_packed *out, ae_error *err);

/* ---- tiles of samples ---- */

enum { AE_BOUND_ONE = 48 };

typedef struct ae_samples_options {
    /* largest error of a sample of 255 or 65535, times AE_BOUND_ONE; 0: none. Rounded up in some
     * rows and channels and down in others, so that any part makes a difference; never any in alpha
     */
    uint32_t bound;
    const uint32_t *bounds; /* encoding: of each tile, in place of `bound`; may be NULL */
    bool alpha_only;        /* only the last channel */
    ae_region region;       /* decoding */
    bool preview;           /* decoding: means of 8 x 8 samples, sizes rounded up */
    /* Encoding: the rows as decoding will give them, with the opaque of `control`; may be NULL. */
    void (*decoded)(void *opaque, const void *rows, uint32_t n_rows);
    ae_control control; /* lost: decoding, a tile that is damaged and becomes 0 */
} ae_samples_options;

/* Tiles are those of compress.h. source: u8 or u16, 1..4 channels. */
AE_API AE_NODISCARD ae_status ae_samples_encode(const ae_samples_options *options,
                                                const ae_row_source *source,
                                                const ae_tile_sink *sink, ae_error *err);
/* info: of the whole picture, all its channels, or with alpha_only of one. */
AE_API AE_NODISCARD ae_status ae_samples_decode(const ae_signal_info *info,
                                                const ae_samples_options *options,
                                                const ae_tile_source *source,
                                                const ae_row_sink *sink, ae_error *err);
/* The samples, ae_row_bytes x height, of the position-th item of the reader's pack, which is
 * decoded once. */
AE_API AE_NODISCARD ae_status ae_item_unpack(ae_item_reader *reader, uint32_t position,
                                             void *samples, ae_error *err);

/* ---- tiles of sound ---- without loss, with bounded error, or by spectra */

enum { AE_SOUNDS_QUALITY = 100 };

typedef struct ae_sounds_options {
    uint8_t block;  /* as the item has it: 0: without loss or within `bound` */
    double quality; /* encoding with a block: 0 to 100 */
    /* encoding: largest error of a sample, in steps of its `bits`; 0: none. Floats are always exact
     */
    uint32_t bound;
    uint64_t first, n_frames; /* decoding: the part wanted; n_frames 0: all */
    /* Encoding: frames as decoding will give them, with the opaque of `control`; may be NULL. */
    void (*decoded)(void *opaque, const void *frames, uint32_t n);
    ae_control control; /* lost: decoding, a tile that is damaged and becomes silence */
} ae_sounds_options;

/* Frames as they come: up to `capacity`; *n is 0 at the end and only there. info.height may be 0
 * where it is not known. */
typedef struct ae_frame_source {
    ae_signal_info info;
    void *opaque;
    ae_status (*read)(void *opaque, void *frames, uint32_t capacity, uint32_t *n, ae_error *err);
} ae_frame_source;

/* Frames of a tile: about a second's. */
AE_API uint32_t ae_sounds_tile(const ae_signal_info *info);
/* The block that suits spectra of such a sound in such tiles. */
AE_API uint8_t ae_sounds_block(const ae_signal_info *info, uint32_t tile);
/* source: AE_S8, S16, S24, S32, F32, F64 of up to 32 channels. One pass; tiles go to the sink in
 * order. */
AE_API AE_NODISCARD ae_status ae_sounds_encode(const ae_sounds_options *options,
                                               const ae_frame_source *source, uint32_t tile,
                                               const ae_tile_sink *sink, uint64_t *n_frames,
                                               ae_error *err);
/* info, tile: of the item. Only the tiles that are needed are asked for. */
AE_API AE_NODISCARD ae_status ae_sounds_decode(const ae_signal_info *info, uint32_t tile,
                                               const ae_sounds_options *options,
                                               const ae_tile_source *source,
                                               const ae_row_sink *sink, ae_error *err);

/* ---- tiles of arrays ---- without loss or within an error that no element exceeds; what cannot be
 * brought within it is kept */

typedef struct ae_arrays_options {
    uint64_t first, n_rows; /* decoding: the rows wanted; n_rows 0: all */
    /* Encoding: elements as decoding will give them, with the opaque of `control`; may be NULL. */
    void (*decoded)(void *opaque, const void *elements, uint32_t n);
    ae_control control; /* lost: decoding, a tile that is damaged and becomes 0, of floats NaN */
} ae_arrays_options;

/* Whether the container knows this type of elements and so many of them. */
AE_API bool ae_arrays_known(const ae_signal_info *info);
/* Sets item->tile, the elements of a tile: some rows, or a part of one, as few as cost little.
 * item: info, quality and error. elements: the first n of the array, n at least 1, at best all or
 * AE_ARRAYS_TRIAL. */
enum { AE_ARRAYS_TRIAL = 1 << 16 };
AE_API AE_NODISCARD ae_status ae_arrays_choose_tile(ae_item *item, const void *elements, uint32_t n,
                                                    ae_error *err);
/* item: info, tile, quality and error are taken. source: AE_KIND_TENSOR. */
AE_API AE_NODISCARD ae_status ae_arrays_encode(const ae_item *item,
                                               const ae_arrays_options *options,
                                               const ae_row_source *source,
                                               const ae_tile_sink *sink, ae_error *err);
/* Only the tiles that are needed are asked for. */
AE_API AE_NODISCARD ae_status ae_arrays_decode(const ae_item *item,
                                               const ae_arrays_options *options,
                                               const ae_tile_source *source,
                                               const ae_row_sink *sink, ae_error *err);

/* XXH3-128 of samples as they come, in rows (little-endian, interleaved, alpha last). */
typedef struct ae_sample_hash ae_sample_hash;
AE_API ae_sample_hash *ae_sample_hash_create(void); /* NULL: out of memory */
AE_API void ae_sample_hash_add(ae_sample_hash *hash, const void *rows, size_t n_bytes);
AE_API void ae_sample_hash_get(const ae_sample_hash *hash, uint8_t digest[16]);
AE_API void ae_sample_hash_free(ae_sample_hash *hash);

#ifdef __cplusplus
}
#endif
#endif
