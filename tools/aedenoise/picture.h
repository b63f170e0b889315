/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One picture through the denoiser, from file to file. */
#ifndef PICTURE_H
#define PICTURE_H

#include "ae/denoise.h"
#include "common/batch.h"
#include "registry.h"

typedef struct picture_options {
    cli_batch_options batch;
    const char *model, *compare, *format;
    double sigma;       /* below 0: estimated */
    double level, strength;
    uint32_t precision; /* an ae_precision */
    uint32_t tile;
    uint32_t quality;   /* 0: like the input */
    bool lossless;

    const ae_codec *codec; /* of `format`, or NULL */
    ae_model *loaded;
} picture_options;

ae_status picture_denoise(void *opaque /* picture_options */, const cli_item *item, ae_error *err);

#endif
