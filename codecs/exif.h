/* SPDX-License-Identifier: BSD-2-Clause
 *
 * EXIF is a TIFF structure; in TIFF files its entries lie among those of the picture. Here they are
 * copied out and in, byte for byte and in the byte order that they have. */
#ifndef AEI_EXIF_H
#define AEI_EXIF_H

#include "ae/codec.h"

enum {
    AEI_TAG_DESCRIPTION = 0x010e,
    AEI_TAG_ORIENTATION = 0x0112,
    AEI_TAG_EXIF = 0x8769,
    AEI_TAG_GPS = 0x8825,
};

/* A growing byte array; `failed` latches on lack of memory, `damaged` where entries that could not
 * be read were left out. Free data with ae_free. */
typedef struct aei_bytes {
    uint8_t *data;
    size_t n_bytes, capacity;
    bool failed, damaged;
} aei_bytes;

/* A TIFF structure in memory or in a file. */
typedef struct aei_ifd_view {
    ae_source *source; /* NULL: memory */
    const uint8_t *data;
    uint64_t n_bytes;
    bool big_endian, big; /* big: BigTIFF */
    uint64_t first;       /* offset of the first directory */
} aei_ifd_view;

typedef struct aei_ifd_entry {
    uint16_t tag, type;
    uint64_t count, n_bytes, at; /* where the value lies */
} aei_ifd_entry;

/* Fills the rest of a view of which source or data and n_bytes are set; false where it is no TIFF.
 */
bool aei_ifd_view_open(aei_ifd_view *view);
/* in the first directory */
bool aei_ifd_find(const aei_ifd_view *view, uint16_t tag, aei_ifd_entry *entry);
bool aei_ifd_read(const aei_ifd_view *view, const aei_ifd_entry *entry, void *to, size_t n_bytes);
/* The number at the start of an entry of whole numbers; 0 where it has none. */
uint64_t aei_ifd_number(const aei_ifd_view *view, const aei_ifd_entry *entry);

/* The next directory of a TIFF file behind the one at `ifd` that is no small copy (thumbnails,
 * pyramids) and no mask; 0: none. *steps, AEI_IFD_STEPS at first, is how far to look, since
 * directories may stand in a circle. */
enum { AEI_IFD_STEPS = UINT16_MAX };
uint64_t aei_ifd_next(const aei_ifd_view *view, uint64_t ifd, unsigned *steps);

/* Adds the descriptive entries of a TIFF file's directory at `ifd` (0: the first) as AE_META_EXIF,
 * the rest of its directories being the picture's business. */
ae_status aei_exif_extract(ae_source *source, uint64_t ifd, uint64_t max_bytes, ae_reader *reader,
                           ae_error *err);
/* Appends the directory that `pointer` (AEI_TAG_EXIF or AEI_TAG_GPS) names. The first byte of out
 * is to lie at the even offset `base` of a classic TIFF file in the view's byte order. False where
 * there is none, or no memory (out->failed). */
bool aei_exif_directory(const aei_ifd_view *view, uint16_t pointer, uint64_t base, aei_bytes *out);

#endif
