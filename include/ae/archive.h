/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Items of .aec files decoded, whatever codes them: samples, packs, spectra, arrays, and networks
 * with patches and alpha beside them, whose models are found by their identities. */
#ifndef AE_ARCHIVE_H
#define AE_ARCHIVE_H

#include "ae/container.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Installed codecs that were opened, and stay so, for any number of archives and threads. */
typedef struct ae_coders ae_coders;
AE_API AE_NODISCARD ae_status ae_coders_create(ae_coders **out, ae_error *err);
AE_API void ae_coders_free(ae_coders *coders); /* NULL is fine */

/* A container and what decoding its items has opened. It belongs to one thread; several may be open
 * on one file. */
typedef struct ae_archive ae_archive;
/* As ae_container_open. */
AE_API AE_NODISCARD ae_status ae_archive_open(const ae_bytes *bytes, const ae_limits *limits,
                                              ae_archive **out, ae_error *err);
/* Of a regular file, whose descriptor stays the caller's and may be closed. */
AE_API AE_NODISCARD ae_status ae_archive_open_descriptor(int descriptor, const ae_limits *limits,
                                                         ae_archive **out, ae_error *err);
AE_API void ae_archive_free(ae_archive *archive); /* NULL is fine */
/* lives as long as the archive */
AE_API ae_container *ae_archive_container(ae_archive *archive);

/* How many packs stay decoded, each of up to AE_PACK_BYTES: 1 is enough for items in their order,
 * and is what an archive begins with; who takes them at random wants many. */
AE_API AE_NODISCARD ae_status ae_archive_keep_packs(ae_archive *archive, uint32_t n, ae_error *err);

typedef struct ae_archive_options {
    /* a codec to decode with, by name or path; NULL: the embedded one, or an installed one */
    const char *model;
    ae_coders *coders;        /* where it is opened; NULL: the archive's own */
    ae_region region;         /* of pictures */
    bool preview;             /* of pictures: means of 8 x 8 samples, sizes rounded up */
    uint64_t first, n_frames; /* of sounds, of arrays rows: the part wanted; n_frames 0: the rest */
    ae_control control;       /* lost: a tile that is damaged */
} ae_archive_options;

/* The type of the rows that decoding gives, and how many there are; of a part that the item does
 * not have, none. options may be NULL, here and below. */
AE_API ae_signal_info ae_archive_result(const ae_item *item, const ae_archive_options *options);
/* AE_ERR_ARGUMENT where the part wanted of a sound or an array begins behind its end; what ends
 * behind it ends with it. */
AE_API AE_NODISCARD ae_status ae_archive_check_range(const ae_item *item,
                                                     const ae_archive_options *options,
                                                     ae_error *err);
/* Decodes an item and, where it is whole and has a hash, checks that: *checked tells, and may be
 * NULL, as may sink. */
AE_API AE_NODISCARD ae_status ae_archive_decode(ae_archive *archive, const ae_item *item,
                                                const ae_archive_options *options,
                                                const ae_row_sink *sink, bool *checked,
                                                ae_error *err);
/* Likewise into memory of ae_row_bytes * height of ae_archive_result, which n_bytes must be. */
AE_API AE_NODISCARD ae_status ae_archive_read(ae_archive *archive, const ae_item *item,
                                              const ae_archive_options *options, void *samples,
                                              size_t n_bytes, ae_error *err);

/* What a network's item has beside it for some tiles (doc/container.md, "Patches"), for programs
 * that decode tiles themselves: zeroes but for what comes first. */
typedef struct ae_patches {
    ae_signal_info info; /* of the whole picture's colours, as the network makes them */
    ae_region region;    /* that the rows are of */
    bool preview;
    ae_control control; /* no progress */
    /* Patch `index`; *data = NULL where there is none. *data lives until the next call. */
    ae_status (*read)(void *opaque, uint32_t index, const void **data, size_t *n_bytes,
                      ae_error *err);

    uint8_t *band, *flags; /* samples of a row of tiles; what each has */
    size_t band_size;
    uint32_t n_flags, first, row; /* tiles, the first of them, their row; n_flags 0: none yet */
    ae_error damage;              /* of one of them, where `lost` is NULL */
    uint64_t done;                /* rows taken so far */
    size_t filled;                /* bytes of the band */
} ae_patches;
/* Lays them over the next n_rows rows; begins at the region's first. */
AE_API AE_NODISCARD ae_status ae_patches_apply(ae_patches *patches, void *rows, uint32_t n_rows,
                                               ae_error *err);
AE_API void ae_patches_clear(ae_patches *patches); /* and begins again */

#ifdef __cplusplus
}
#endif
#endif
