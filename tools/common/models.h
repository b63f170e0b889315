/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Models as command lines name them. */
#ifndef CLI_MODELS_H
#define CLI_MODELS_H

#include "ae/model.h"

/* Finds and opens the model of that name or path. What the error says does not begin with the name,
 * which the caller puts before it. */
ae_status cli_model_open(const char *name, ae_model **out, ae_error *err);

#endif
