/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Steps of coding one picture, of which some are taken several times. Each file calls only those
 * named before it: reading.c, choose.c, encoding.c, word.c, target.c, compress.c. */
#ifndef ENCODING_H
#define ENCODING_H

#include "ae/compress.h"
#include "compress.h"

typedef struct encoding {
    compressed *c;
    const cli_item *progress;
    ae_container_writer *writer; /* NULL: a trial, bytes are only counted */
    uint64_t n_bytes;            /* of tiles */
    uint64_t frames;             /* of sound, done so far */
    struct listener *listener;   /* compares it with what decoding gives; NULL: not asked for */
    ae_tile_kind kind;           /* of those being written */
    struct error_map *map;       /* of what decoding gives; NULL: not asked for */
    struct ae_patches *patches;  /* while comparing */
    uint8_t *made;               /* a row of colours */
    double *squares;
} encoding;

/* Rows as they are to be coded. */
ae_status compress_read(compressed *c, void *rows, uint32_t n_rows, ae_error *err);
ae_status compress_read_again(compressed *c, ae_error *err);
bool compress_is_patched(const compressed *c, uint32_t index); /* by samples */
bool compress_has_target(const compress_options *o);
/* What samples may err by, of 255, 0 for nothing; -1: the network's business. */
double compress_bound_of(const compress_options *o);
void compress_free_tiles(struct coded_tile **tiles, uint32_t n); /* *tiles is NULL then */
/* The picture from its first row on; its hash and errors, too. */
ae_status compress_start_again(compressed *c, ae_error *err);
ae_status compress_analyse(encoding *e, const compress_options *o, uint32_t threads,
                           uint32_t most_tiles, ae_analysis **out, ae_error *err);
/* Colours by the network into c->tiles, from the picture or, one tile in `every`, from its
 * analysis. */
ae_status compress_colours(encoding *e, const compress_options *o, uint32_t threads,
                           const ae_analysis *analysis, uint32_t every, ae_error *err);
/* Chooses what codes each tile, so that the quality's word is kept: into c->tiles and c->patches,
 * or the item becomes one of samples. */
ae_status compress_by_word(encoding *e, const compress_options *o, uint32_t threads, ae_error *err);
void compress_forget_patches(compressed *c);
/* Writes those that are there, or counts their bytes. */
ae_status compress_write_coded(encoding *e, const struct coded_tile *tiles, ae_tile_kind kind,
                               ae_error *err);
double compress_share(const compressed *c); /* of the pixels, in c->tiles that are there */
/* Decodes c->tiles beside the picture. */
ae_status compress_compare(encoding *e, const compress_options *o, uint32_t threads, ae_error *err);
ae_status compress_alpha(encoding *e, uint32_t threads, ae_error *err);
ae_status compress_samples(encoding *e, uint32_t threads, ae_error *err);
ae_status compress_write_meta(const compressed *c, const compress_options *o,
                              ae_container_writer *writer, ae_error *err);

/* Chooses the item's coding and quality. *coded: the network's tiles lie in c->tiles already. */
ae_status target_choose(compressed *c, const compress_options *o, uint32_t threads,
                        const char *name, bool *coded, ae_error *err);

#endif
