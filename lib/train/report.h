/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The report: one HTML file with curves and pictures inside, which needs nothing else. */
#ifndef AEI_REPORT_H
#define AEI_REPORT_H

#include "train/checkpoint.h"

/* A column of pictures, samples of one validation batch. */
typedef struct aei_gallery {
    const char *title;
    double score; /* under the title; NaN: none */
    /* N x H x W x C, 1 or at least 3 channels, of which the first 1 or 3 are shown; NULL: left out
     */
    const float *pixels;
    ae_shape shape;
} aei_gallery;

enum { AEI_REPORT_SOUNDS = 4, AEI_REPORT_VERSIONS = 3 };

/* Versions of a sound side by side, n samples each: a mixture, what comes of it, the clean one. */
typedef struct aei_heard {
    float *samples[AEI_REPORT_VERSIONS]; /* NULL: no more sounds */
    size_t n;
} aei_heard;

typedef struct aei_report {
    const ae_recipe *recipe;
    const char *recipe_text, *card;
    const char *score_name; /* "PSNR (dB)" */
    const char *unit;       /* "dB", or "" */
    /* of the input, of what training began with and of the model; NaN: none */
    double input_score, first_score, score;
    const aei_progress *progress;
    uint64_t steps;  /* of the whole run */
    bool noisy_only; /* the score is taken against noise */
    aei_gallery galleries[4];
    aei_heard sounds[AEI_REPORT_SOUNDS];
} aei_report;

ae_status aei_report_write(const char *path, const aei_report *report, ae_error *err);

#endif
