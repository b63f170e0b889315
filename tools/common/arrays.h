/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is said of arrays. */
#ifndef CLI_ARRAYS_H
#define CLI_ARRAYS_H

#include "ae/container.h"
#include "common/json.h"

enum { ARRAY_TEXT = 128 };

const char *array_type(ae_sample sample);                                   /* "f32" */
const char *array_shape(const ae_signal_info *info, char text[ARRAY_TEXT]); /* "100 x 28 x 28" */
/* "lossless", "within 0.1", "within 1e-3 of each" */
const char *array_coding(const ae_item *item, char text[ARRAY_TEXT]);
/* Fields of a record: shape and type. */
void array_describe(const ae_item *item, cli_json *json);

#endif
