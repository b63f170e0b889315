/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures and sounds from .aec files. */
#ifndef DECOMPRESS_H
#define DECOMPRESS_H

#include "common/aecfile.h"
#include "common/picture.h"

typedef struct decompress_options {
    picture_options picture;
    const char *model, *region_text, *labels;
    cli_strings names; /* of items, or patterns; none: all */
    ae_region region;
    /* bytes of samples; 0: as many as a file of this size is believed to hold */
    uint64_t max_output;
    const char *range_text;
    double from, to; /* of sounds, in seconds or frames; to 0: to the end */
    bool in_frames;
    bool list, test, repair, preview, keep_links, raw_names;

    ae_coders *coders;        /* of all files */
    const ae_codec *standard; /* of pictures, for output whose name does not tell */
} decompress_options;

/* The codec for output whose name does not tell. */
const ae_codec *decompress_standard(const decompress_options *o, const ae_item *item);
/* What an item is decoded with, and how much of it. */
ae_archive_options decompress_how(const decompress_options *o, const ae_item *item);

ae_status decompress_file(void *opaque, const cli_item *item, ae_error *err);
/* The items of a file that --item names, each once and in the file's order; *out to be freed with
 * ae_items_free. Names that none has are told of and counted; where nothing is left it is an error.
 */
ae_status decompress_select(const decompress_options *o, const char *path, aecfile *file,
                            ae_item **out, size_t *n, uint32_t *n_missing, ae_error *err);
ae_status repair_file(const decompress_options *o, const cli_item *item, ae_error *err);
/* --list and --test: the exit status. */
int look_run(const decompress_options *o, char **operands, int n,
             bool (*wanted)(void *opaque, const char *path));
/* "tile at X,Y of WxH"; of sounds "0:01.25 to 0:02.50", of arrays "rows 0 to 99". */
void decompress_place(const ae_item *item, uint32_t index, char text[80]);

#endif
