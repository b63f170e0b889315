/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPORT_H
#define EXPORT_H

#include "ae/train.h"

/* Gives the codec `model` its decoder program, made and measured on crops of the pictures, and
 * saves it as `output`; says unless quiet what the integers cost beside floating point. */
ae_status export_codec(const char *model, const ae_dataset *data, const char *output, bool half,
                       bool quiet, ae_error *err);

#endif
