/* SPDX-License-Identifier: BSD-2-Clause
 *
 * JPEG: what its reading and writing share. */
#ifndef AEI_JPEG_H
#define AEI_JPEG_H

#include <setjmp.h>
#include <stdio.h> /* for jpeglib.h, which forgets it */

#include <jpeglib.h>

#include "adapter.h"

enum { AEI_JPEG_BUFFER = 1 << 15, AEI_JPEG_SEGMENT = 65533 /* bytes of a segment at most */ };

/* What segments begin with, and a NUL. */
#define AEI_JPEG_EXIF "Exif\0"
#define AEI_JPEG_XMP "http://ns.adobe.com/xap/1.0/"
#define AEI_JPEG_XMP_MORE "http://ns.adobe.com/xmp/extension/"
#define AEI_JPEG_PHOTOSHOP "Photoshop 3.0"

/* Quantisation and sampling: what makes the quality class of a file. */
typedef struct jpeg_class {
    J_COLOR_SPACE space;
    int n_components;
    UINT16 tables[3][DCTSIZE2];
    int h[3], v[3];
    int ijg; /* the nearest of libjpeg's 1..100 */
} jpeg_class;

typedef struct jpeg_state {
    union {
        struct jpeg_common_struct common;
        struct jpeg_decompress_struct in;
        struct jpeg_compress_struct out;
    } c;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr from;
    struct jpeg_destination_mgr to;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    ae_error *err;    /* of the call in progress */
    ae_status status; /* first failure */
    ae_source *source;
    ae_sink *sink;
    jpeg_class quality;
    uint64_t charged; /* for the coefficients */
    bool started;
    bool ended; /* the file ended without its end marker, which was put there */
    size_t row_bytes;
    uint8_t *cmyk; /* one row */
    uint8_t buffer[AEI_JPEG_BUFFER];
} jpeg_state;

/* jpeg_io.c: what is wrong is in s->status, s->err, and ends in a jump to s->jump. */
void aei_jpeg_begin(jpeg_state *s, ae_error *err);
void aei_jpeg_error(j_common_ptr c); /* does not return */
void aei_jpeg_free(jpeg_state *s);

int aei_jpeg_probe(const uint8_t *head, size_t n_bytes);
ae_status aei_jpeg_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                        ae_error *err);
ae_status aei_jpeg_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err);
void aei_jpeg_close(ae_reader *reader);
/* What a reader of JPEG keeps, where it makes sense. */
const jpeg_class *aei_jpeg_class(const ae_reader *reader);

void aei_jpeg_accepts(ae_signal_info *info, char note[160]);
ae_status aei_jpeg_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                          const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_jpeg_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_jpeg_finish(ae_writer *writer, ae_error *err);
void aei_jpeg_abandon(ae_writer *writer);

#endif
