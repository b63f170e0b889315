/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEFECTS_H
#define DEFECTS_H

#include "ae/denoise.h"
#include "common/filter.h"

/* Broken pixels and banding of one picture on its way. */
typedef struct picture_defects {
    ae_defects *all; /* NULL: not looked for */
    ae_defects_found found;
} picture_defects;

/* The noise of a picture, all of whose rows are read; defects are looked for on the way, and where
 * lines have offsets the picture is read again without them. */
ae_status defects_estimate(picture_defects *d, filter_picture *p, ae_noise *noise, ae_error *err);
/* The rows to denoise: p's, mended where need be. */
ae_status defects_rows(const picture_defects *d, const filter_picture *p, ae_row_source *rows,
                       ae_error *err);
void defects_report(const picture_defects *d, const filter_picture *p);

#endif
