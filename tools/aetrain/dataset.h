/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Training data from files: pictures of every format that the adapters read, and IDX files of many small ones (MNIST). */
#ifndef DATASET_H
#define DATASET_H

#include "ae/train.h"
#include "common/inputs.h"

typedef struct dataset dataset;

/* Files are taken as they are, directories with everything below them that looks like a picture or an IDX file by its name.
 * IDX files that hold no pictures (labels) are left out. Nothing at all: AE_ERR_MALFORMED. */
ae_status dataset_open(char **operands, int n_operands, dataset **out, ae_error *err);
void dataset_free(dataset *data); /* NULL is fine */
const ae_dataset *dataset_items(const dataset *data);
const cli_inputs *dataset_files(const dataset *data);

#endif
