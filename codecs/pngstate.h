/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PNG: what its reading and writing share. */
#ifndef AEI_PNGSTATE_H
#define AEI_PNGSTATE_H

#include "png_colour.h"

#define AEI_PNG_XMP "XML:com.adobe.xmp" /* the key of its text */

typedef struct span {
    uint64_t offset, n_bytes;
} span;

typedef struct png_state {
    png_structp png;
    png_infop info;
    ae_error *err;     /* of the call in progress */
    ae_status status;  /* first failure seen by a callback */
    bool damaged_meta; /* libpng warned */
    uint64_t n_taken;  /* bytes that libpng has */
    uint64_t max_meta; /* 0: not reading metadata */

    ae_source *source;
    span spans[4];
    int span;
    uint64_t span_done;
    uint8_t *whole; /* interlaced pictures; of those that are written the first rows, for a while */
    size_t row_bytes;
    uint64_t row, height; /* of what is read, or of the rows in `whole` when writing */
    bool alone;           /* the picture that is seen without animation is none of its frames */
    ae_reader frames;     /* those behind it; its state is NULL until one was asked for */

    ae_sink *sink;
    char *iptc; /* as a text */
    aei_packed_profile profile;
} png_state;

/* png_io.c, for libpng: what is wrong is in s->status, s->err. */
void aei_png_error(png_structp png, png_const_charp message); /* does not return */
void aei_png_warning(png_structp png, png_const_charp message);
png_voidp aei_png_malloc(png_structp png, png_alloc_size_t n_bytes);
void aei_png_release(png_structp png, png_voidp memory);
void aei_png_free_state(png_state *s);

/* png_write.c, of ae_codec (ae/codec.h) */
void aei_png_accepts(ae_signal_info *info, char note[160]);
ae_status aei_png_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                         const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_png_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_png_finish(ae_writer *writer, ae_error *err);
void aei_png_abandon(ae_writer *writer);

#endif
