/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals: pictures, recordings and data sets as streams of rows.
 *
 * A signal is read and written in bands of rows, in order, in its own sample type, never as a
 * whole. A row is one line of a picture, one frame of a recording (width 1) or one item of a data
 * set; within a row samples are interleaved, native endian, without padding, alpha last. */
#ifndef AE_SIGNAL_H
#define AE_SIGNAL_H

#include "ae/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ae_kind { AE_KIND_IMAGE = 1, AE_KIND_AUDIO = 2, AE_KIND_TENSOR = 3 } ae_kind;

typedef enum ae_sample {
    AE_U8 = 1,
    AE_U16 = 2,
    AE_S16 = 3,
    AE_S24 = 4, /* packed, three bytes */
    AE_S32 = 5,
    /* pictures: as encoded, 1.0 = white, never clipped; sound: full scale is +-1, and more is kept
     */
    AE_F32 = 6,
    AE_F64 = 7,  /* sound */
    AE_S8 = 8,   /* sound of 8 bits, whether its file has a sign or an offset */
    AE_BOOL = 9, /* data sets, like those that follow: a byte of 0 or 1 */
    AE_U32 = 10,
    AE_S64 = 11,
    AE_U64 = 12,
    AE_F16 = 13 /* IEEE 754 binary16 */
} ae_sample;

enum { AE_MAX_RANK = 7 }; /* of an item of a data set */

typedef struct ae_signal_info {
    ae_kind kind;
    ae_sample sample;
    /* significant bits of an integer sample, MSB-justified to the full range of `sample` (a 10-bit
     * picture arrives as AE_U16 with bits = 10 and 65535 = white) */
    uint32_t bits;
    /* interleaved, alpha included: 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha; sound: 1.. */
    uint32_t channels;
    bool alpha;     /* the last channel is alpha, not premultiplied */
    uint64_t width; /* samples per channel and row; 1 for sound */
    /* rows; of sounds sometimes an estimate, and 0 where they do not say beforehand or have none */
    uint64_t height;
    double rate;                /* frames per second of sound; 0 for others */
    uint32_t rank;              /* data sets: the dimensions of an item, 0 for a single number */
    uint32_t dims[AE_MAX_RANK]; /* the outermost first; their product is width */
    /* sound: a bit for each channel's place, in their order, as WAVEFORMATEXTENSIBLE counts them (1
     * front left, 2 front right, 4 centre, 8 bass ...); 0 where that is not known */
    uint64_t layout;
} ae_signal_info;

AE_API size_t ae_sample_bytes(ae_sample sample);
/* Bytes of one row, 0 on overflow. */
AE_API size_t ae_row_bytes(const ae_signal_info *info);

/* Metadata travels as the blobs that the formats carry, without container framing. */
typedef enum ae_meta_kind {
    AE_META_ICC = 1,     /* the bare profile */
    AE_META_EXIF = 2,    /* the TIFF structure, starting with "II" or "MM" */
    AE_META_XMP = 3,     /* the packet, UTF-8 */
    AE_META_IPTC = 4,    /* the IIM data of the Photoshop 8BIM resource 0x0404 */
    AE_META_TEXT = 5,    /* key and UTF-8 value; comments have key "Comment" */
    AE_META_DENSITY = 6, /* value: two little-endian u32, pixels per metre in x and y */
    /* what samples mean where no profile says: type and data of a PNG chunk, one of cICP, gAMA,
     * cHRM, sRGB, sBIT, mDCV, cLLI; an item for each */
    AE_META_COLOUR = 7,
    /* of a sound: key as in Vorbis comments ("TITLE", "ARTIST", ...), UTF-8 value */
    AE_META_TAG = 8,
    AE_META_COVER = 9, /* a picture that goes with a sound: the body of FLAC's PICTURE block */
    /* a chunk of a sound file that only its own family understands: key is the family and the
     * chunk's name ("RIFF bext"), value its content */
    AE_META_CHUNK = 10
} ae_meta_kind;

typedef struct ae_meta_item {
    ae_meta_kind kind;
    char *key;      /* AE_META_TEXT, _TAG and _CHUNK only, else NULL */
    uint8_t *value; /* n_bytes, followed by a NUL that does not count */
    size_t n_bytes;
} ae_meta_item;

typedef struct ae_meta {
    ae_meta_item *items;
    size_t n_items;
} ae_meta;

/* Copies key (NULL is fine) and value in; on failure *meta is as before. */
AE_API AE_NODISCARD ae_status ae_meta_add(ae_meta *meta, ae_meta_kind kind, const char *key,
                                          const void *value, size_t n_bytes, ae_error *err);
/* first of its kind or NULL */
AE_API const ae_meta_item *ae_meta_find(const ae_meta *meta, ae_meta_kind kind);
AE_API AE_NODISCARD ae_status ae_meta_copy(const ae_meta *from, ae_meta *to, ae_error *err);
AE_API void ae_meta_clear(ae_meta *meta); /* frees the items; *meta is then empty */

/* A part of a picture; width 0: all of it. */
typedef struct ae_region {
    uint32_t x, y, width, height;
} ae_region;

/* Where rows come from and go to, for code that knows no file format. Both return AE_OK or the
 * first error, and are called from one thread at a time. read: exactly n_rows rows into `rows`,
 * which holds n_rows * ae_row_bytes. */
typedef struct ae_row_source {
    ae_signal_info info;
    void *opaque;
    ae_status (*read)(void *opaque, void *rows, uint32_t n_rows, ae_error *err);
} ae_row_source;

typedef struct ae_row_sink {
    void *opaque;
    ae_status (*write)(void *opaque, const void *rows, uint32_t n_rows, ae_error *err);
} ae_row_sink;

/* Sample i as the number that it is. */
AE_API double ae_sample_number(ae_sample sample, const void *samples, size_t i);

/* Samples to f32 in units where integer full scale is 1.0, and back (clipped, rounded to nearest,
 * ties to even). n counts samples. Floating point is never clipped. */
AE_API void ae_samples_to_f32(ae_sample sample, const void *from, float *to, size_t n);
AE_API void ae_samples_from_f32(ae_sample sample, const float *from, void *to, size_t n);

#ifdef __cplusplus
}
#endif
#endif
