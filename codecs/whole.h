/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What adapters share whose libraries take files and give pictures as a whole. */
#ifndef AEI_WHOLE_H
#define AEI_WHOLE_H

#include "adapter.h"

/* Reader state: the picture in hand and, while there may be others, what they are read with. */
typedef struct aei_whole {
    uint8_t *pixels; /* rows of the reader's info, from ae_alloc */
    size_t row_bytes;
    uint64_t y;
    void *more; /* from ae_alloc, or NULL */
    void (*end)(void *more);
} aei_whole;

/* The file in memory from ae_alloc. */
ae_status aei_whole_file(ae_source *source, const ae_limits *limits, uint8_t **data,
                         size_t *n_bytes, ae_error *err);
/* For files of several pictures: a state with so many zeroed bytes for what they are read with,
 * which are returned. Before they are freed `end` lets go of what is in them. NULL: no memory. */
void *aei_whole_begin(ae_reader *reader, size_t n_bytes, void (*end)(void *more), ae_error *err);
/* Once the first is read: tells of the others, or frees what they would be read with if none is. */
void aei_whole_further(ae_reader *reader, uint64_t n);
/* Sets reader->info and its state, with zeroed pixels, once its size has been found to be within
 * the limits; the pixels of another picture are freed. */
ae_status aei_whole_create(ae_reader *reader, const ae_limits *limits, const ae_signal_info *info,
                           ae_error *err);
/* Turns the picture as an EXIF orientation says; what EXIF says of it is then 1, since these
 * formats have other means. */
ae_status aei_whole_turn(ae_reader *reader, unsigned orientation, ae_error *err);
ae_status aei_whole_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err);
void aei_whole_close(ae_reader *reader);

/* Samples of so many bits to the whole range of 16, and back. What libraries do there may err by
 * one. */
void aei_stretch(uint16_t *v, size_t n, unsigned bits);
void aei_reduce(uint16_t *v, size_t n, unsigned bits);

/* EXIF as HEIF and JPEG XL hold it, behind four bytes that tell where it begins. */
ae_status aei_add_boxed_exif(ae_meta *meta, const uint8_t *box, size_t n_bytes, ae_error *err);
/* Colour as the numbers of H.273, unless they tell nothing. */
ae_status aei_add_cicp(ae_meta *meta, unsigned primaries, unsigned transfer, ae_error *err);

/* Writer state: the picture as it comes. */
typedef struct aei_canvas {
    ae_sink *sink;
    const ae_meta *meta;
    aei_profile icc;
    uint8_t *made; /* the profile, where it was made for this format */
    int quality;
    bool lossless;
    uint8_t *pixels;
    size_t row_bytes;
    uint64_t y;
} aei_canvas;
/* colours: descriptions of colour that the format holds; what else of the metadata it does not
 * hold, as formats that have ICC, EXIF and XMP do not, is named. */
ae_status aei_canvas_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const char *colours, const ae_write_options *options, ae_writer *writer,
                            ae_error *err);
ae_status aei_canvas_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
void aei_canvas_free(ae_writer *writer);

#endif
