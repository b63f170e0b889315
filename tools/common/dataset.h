/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Items to learn from and to look at: pictures of every format that the adapters read, one a file,
 * and data sets of many items in a file (IDX, NPY, CSV, TSV, text). */
#ifndef DATASET_H
#define DATASET_H

#include "ae/train.h"
#include "common/inputs.h"
#include "common/table.h"

typedef struct dataset dataset;

/* What an item must be at least: rows and pixels a row; or of so many numbers (0: any), for a
 * network of one shape. */
typedef struct dataset_need {
    uint32_t height, width;
    uint64_t numbers;
    /* 0: no tables; else items are so many successive lines of one, each beginning `step` lines
     * after the one before, as `table` has them (NULL: it is learnt of them) */
    uint32_t lines, step;
    const table *table;
    ae_text text; /* items are text of `numbers` bytes */
} dataset_need;
/* Of a recipe's first network; NULL: of one that takes pictures of any size. */
dataset_need dataset_need_of(const ae_recipe *recipe);

/* Files are taken as they are, directories with everything below them that looks like a picture or
 * a data set by its name and is of the kind needed: no tables where an item has several rows, and
 * no pictures where it has one. IDX files of labels are left out where they are not named
 * themselves, as are test sets (t10k..., test...) that lie beside a train... in a directory; that
 * is said, and how many files of other kinds there were, unless `quiet`, and which files cannot be
 * used. Nothing at all: AE_ERR_MALFORMED. An item of a data set is a picture of its dimensions:
 * height, height x width (channels 1) or height x width x 1 or 3; a line of a table one of height
 * 1. Elements of 8 and 16 bits without sign are pictures' samples where an item has two dimensions
 * or more; all other numbers stay what they are. What is missing is its column's mean, in
 * training a gap that does not count.
 * Text is any file that is named, and below directories what is called so. */
ae_status dataset_open(char **operands, int n_operands, dataset_need need, bool quiet,
                       dataset **out, ae_error *err);
/* A recording, or a directory with everything below it that looks like one by its name. */
ae_status dataset_open_sounds(const char *path, bool quiet, dataset **out, ae_error *err);
void dataset_free(dataset *data);                     /* NULL is fine */
const ae_dataset *dataset_items(const dataset *data); /* of NULL: NULL */
const cli_inputs *dataset_files(const dataset *data);
/* Of tables (else NULL, 0): their columns; how many lines they have together; the line that item i
 * begins with; and the name of a line. */
enum { DATASET_NAME = 512 };
const table *dataset_table(const dataset *data);
size_t dataset_lines(const dataset *data);
size_t dataset_line(const dataset *data, size_t i);
const char *dataset_line_name(const dataset *data, size_t line, char text[DATASET_NAME]);
/* Item i in f32, pictures in 0..1, as `shape` wants it (channels: grey becomes colour and colour
 * grey); `to` holds its elements. */
ae_status dataset_item(const dataset *data, size_t i, ae_shape shape, float *to, ae_error *err);
/* The same, but what is missing in a line of a table is NaN, not 0. */
ae_status dataset_item_as_is(const dataset *data, size_t i, ae_shape shape, float *to,
                             ae_error *err);

#endif
