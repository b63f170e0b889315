/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The report: one HTML file with curves and pictures inside, which needs nothing else. */
#ifndef AEI_REPORT_H
#define AEI_REPORT_H

#include "train/checkpoint.h"

/* A row of pictures, samples of one validation batch. */
typedef struct aei_gallery {
    const char *title;
    const float *pixels; /* N x H x W x C, 1 or at least 3 channels, of which the first 1 or 3 are shown; NULL: left out */
    ae_shape shape;
} aei_gallery;

typedef struct aei_report {
    const ae_recipe *recipe;
    const char *recipe_text, *card;
    const char *score_name;  /* "PSNR (dB)" */
    const aei_progress *progress;
    uint64_t steps;
    aei_gallery galleries[3];
} aei_report;

ae_status aei_report_write(const char *path, const aei_report *report, ae_error *err);

#endif
