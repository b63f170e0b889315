/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TIFF: what its reading and writing halves share. */
#ifndef AEI_TIFF_H
#define AEI_TIFF_H

#include <tiffio.h>

#include "adapter.h"
#include "exif.h"

/* What a writer takes over. */
typedef struct tiff_class {
    uint16_t compression, predictor;
} tiff_class;

typedef struct tiff_state {
    TIFF *tif;
    ae_error *err;     /* of the call in progress */
    ae_status status;  /* first failure seen by a callback */
    uint64_t at, size; /* position in and length of the file */
    ae_source *source;
    aei_spool spool;
    uint64_t spool_at; /* where the spool stands */

    /* How samples lie in the file. */
    uint16_t bits, samples, format, photometric, planar, compression, predictor;
    ae_sample sample;           /* that they become */
    bool whole_pixels;          /* bands come from libtiff as pixels (YCbCr) */
    bool premultiplied, simple; /* simple: rows are in the file as they are here */
    uint32_t n_colours;         /* samples of a pixel that are colour */
    uint16_t *palette[3];
    aei_ifd_view pages; /* reading: the directories; `first` is that of the picture in hand */
    uint32_t page;      /* its number, from 1 on */
    unsigned steps;     /* left to look for further ones */
    uint64_t y;
    size_t row_bytes;
    uint8_t *raw;     /* one row, or for tiles and planes a band of rows */
    size_t raw_bytes; /* of one row */
    uint32_t band_rows, tile_width, tile_height; /* 0: by rows; tile_width 0: strips */
    uint8_t *tile;                               /* one tile or strip */

    ae_meta_item exif; /* writing: points into the caller's metadata */
} tiff_state;

/* Sets s->tif, which stays NULL on failure; s->err, and the source or the spool, are set. */
void aei_tiff_open(tiff_state *s, const char *mode, uint64_t max_alloc);
/* The first failure that libtiff reported, or this one. */
ae_status aei_tiff_failed(tiff_state *s, const char *what);
void aei_tiff_free(tiff_state *s);
/* Appends to the file that is being written; s->size is its length. */
bool aei_tiff_append(tiff_state *s, const void *data, size_t n_bytes);

int aei_tiff_probe(const uint8_t *head, size_t n_bytes);
ae_status aei_tiff_reader_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                               ae_error *err);
ae_status aei_tiff_reader_picture(ae_reader *reader, uint32_t n, ae_error *err);
ae_status aei_tiff_reader_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err);
void aei_tiff_reader_close(ae_reader *reader);
/* Whether samples have to be computed, not only moved. */
bool aei_tiff_is_special(const tiff_state *s);
/* A row as it is in the file to one of the signal. */
void aei_tiff_unpack(const tiff_state *s, const uint8_t *raw, const ae_signal_info *info,
                     uint8_t *row);

void aei_tiff_accepts(ae_signal_info *info, char note[160]);
ae_status aei_tiff_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                          const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_tiff_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_tiff_finish(ae_writer *writer, ae_error *err);
void aei_tiff_abandon(ae_writer *writer);

#endif
