/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures, recordings and arrays into .aec: one a file, or many in an archive. */
#ifndef COMPRESS_H
#define COMPRESS_H

#include "ae/container.h"
#include "ae/similarity.h"
#include "common/picture.h"
#include "spread.h"

typedef struct compress_options {
    cli_batch_options batch;
    const char *model, *archive, *metadata, *labels;
    double near_lossless;           /* below 0: not given */
    double max_error, max_relative; /* of arrays; 0: not given */
    const char *target_size;
    double target_bpp, target_psnr, target_bitrate;
    uint32_t quality, effort;
    bool times; /* of files are kept in archives, and permissions */
    bool lossless, append, verify, embed;
    bool first; /* of several pages or frames */

    bool all_meta;
    uint32_t meta_kinds; /* bit 1 << ae_meta_kind: kept */
    uint64_t target_bytes;
    double target_percent;
    ae_model *loaded;
    ae_coder *coder;
} compress_options;

enum {
    COMPRESS_TRAINED = 85,     /* the highest quality that the network was trained for */
    COMPRESS_NETWORK_MAX = 90, /* above it near-lossless coding takes over */
    COMPRESS_FURTHER = 256     /* of AE_QUALITY_ONE, from the one to the other */
};

/* One picture or recording on its way. */
typedef struct compressed {
    ae_source *source;
    ae_reader reader;
    uint32_t n_pictures; /* of the file that are to be coded, one after the other */
    uint32_t picture;    /* the one in hand, from 1 on */
    bool sound;          /* a recording: recording.h has what follows */
    bool array;          /* arrayitem.h */
    bool upright;        /* read turned as EXIF says, which is not stored */
    ae_signal_info info; /* of the rows that are stored */
    ae_item item;
    /* of the error of samples that no network codes, in 1/AE_BOUND_ONE of theirs; of sound in steps
     */
    uint32_t bound;
    void *read_band; /* rows as they come, where they need converting */
    /* rows 0 to kept_rows of the picture, which is read several times; NULL: it is decoded anew */
    uint8_t *kept;
    uint64_t kept_rows, kept_at; /* kept_at: the next one that is read */
    uint8_t *original;           /* the rows last read, where decoding will give others */
    size_t row_bytes;
    ae_sample_hash *hash;
    /* of a network, kept to be decoded again */
    struct coded_tile {
        uint8_t *data;
        size_t n;
    } * tiles;
    struct coded_tile *patches; /* beside them; n = 0: none */
    uint32_t *bounds;           /* of those with samples, in 1/AE_BOUND_ONE */
    bool by_tile;               /* samples: those are their bounds */
    uint32_t n_tiles;
    bool lossy;     /* by a network: what is fully transparent may change */
    bool flat;      /* reading: tiles that the network need not see are made flat */
    spread *spread; /* where either is to happen */
    /* a row of tiles of the picture as it is coded, and the last row of the one before */
    uint8_t *band, *above;
    uint32_t band_rows, band_at; /* rows in it, of those taken */
    uint64_t band_y;             /* of the picture, behind it */
    /* of the errors, of 255, in colours; of sound energies of the errors and of itself */
    double squares, samples;
    double mel;                /* distance of a recording from what decoding gives */
    ae_similarity *similarity; /* NULL: not asked for */
    float *luma;               /* two rows */
    uint8_t digest[16];
    ae_item_fields fields;
} compressed;

/* Opens the picture, of several the first, and decides how it is coded. Close it whatever happens.
 */
ae_status compress_open(compressed *c, const compress_options *o, const char *path, ae_error *err);
/* Goes on to the n-th picture of the file. */
ae_status compress_picture(compressed *c, const compress_options *o, uint32_t n, ae_error *err);
/* Has samples err by at most that, of 255. */
void compress_within(compressed *c, double bound);
/* Begins, fills and ends an item. */
ae_status compress_item(compressed *c, const compress_options *o, const cli_item *progress,
                        uint32_t threads, const char *name, ae_container_writer *writer,
                        ae_error *err);
void compress_close(compressed *c);
/* What an item's quality says of the error of 8-bit samples that no network codes. */
uint16_t compress_bound(const compress_options *o);
/* Fields of a record: sizes, bits per pixel, PSNR. */
void compress_report(const compressed *c, const compress_options *o, cli_json *json,
                     uint64_t n_bytes, uint64_t n_input);

/* Embeds the codec where that is asked for; before the items. */
ae_status compress_model(const compress_options *o, ae_container_writer *writer, ae_error *err);
/* Finds and opens the codec if one is needed, which sounds do not: CLI_GO_ON or the exit status. */
int compress_load(compress_options *o, char **operands, int n_operands);

/* Which files below directories are pictures, sounds or arrays. */
bool compress_wanted(void *opaque, const char *path);
ae_status compress_file(void *opaque, const cli_item *item, ae_error *err);
/* Decodes what was written to the file again; first: the number of the first item looked at. */
ae_status compress_verify(int fd, uint64_t first, const compress_options *o, uint32_t threads,
                          ae_error *err);

int archive_run(compress_options *o, char **operands, int n_operands);

#endif
