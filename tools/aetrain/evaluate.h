/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Labels of data, what a model is worth on them, and which recipes there are. */
#ifndef EVALUATE_H
#define EVALUATE_H

#include <stdio.h>

#include "ae/train.h"

/* *to: `from` with the labels in a file, one an item, which stay in *labels (ae_alloc). */
ae_status labels_attach(const char *path, const ae_dataset *from, ae_dataset *to, float **labels,
                        ae_error *err);
/* Prints each term of the model's recipe and the score of its task, to `json` (may be NULL) as an
 * object. */
ae_status evaluate_model(const ae_model *model, const ae_dataset *data,
                         const ae_train_options *options, FILE *json, ae_error *err);
/* Prints name, task and purpose of every recipe that is found by name. */
ae_status list_recipes(ae_error *err);

#endif
