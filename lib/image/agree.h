/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An enlarged picture that is made to agree with the small one: what it lacks of that when it is
 * made small again is enlarged and added (back-projection, Irani and Peleg 1991), within the range
 * of the small picture's pixels around. */
#ifndef AEI_AGREE_H
#define AEI_AGREE_H

#include "ae/signal.h"

/* In parts of what is lacking, how much is given back: of what all channels share, and of the rest
 * of each. */
typedef struct aei_shares {
    float luminance, chroma;
} aei_shares;

/* Where luminance has noise of this deviation, of 255: what is lacking then is noise as well. */
aei_shares aei_agree_shares(float noise);

typedef struct aei_agree aei_agree;
/* *rows is to be read instead of `source`, from its start once, and *result takes the picture
 * `scale` times as wide and high of it in f32, rows in order; `sink` receives it in source's
 * sample type, or in f32. source and sink must outlive *out. */
ae_status aei_agree_create(uint32_t scale, aei_shares shares, const ae_row_source *source,
                           ae_sample sample, const ae_row_sink *sink, ae_row_source *rows,
                           ae_row_sink *result, aei_agree **out, ae_error *err);
void aei_agree_free(aei_agree *a);

/* Ranges of neighbours become what results there may be. Where one of them lies beyond black or
 * white, a lamp in a float picture, nothing leaves the range: its ringing would be seen far. */
void aei_leave_room(float *low, float *high, size_t n);

#endif
