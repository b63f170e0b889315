/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A picture of a sound: channels below each other, in each column the least and the largest sample
 * of its share of the time, from -1 to 1. */
#ifndef WAVEFORM_H
#define WAVEFORM_H

#include "ae/files.h"

enum { WAVEFORM_COLUMNS = 1024, WAVEFORM_ROWS = 128 /* of a channel */ };

typedef struct waveform {
    ae_signal_info sound; /* height: frames that come */
    uint32_t columns;
    uint64_t at;                        /* frames that came */
    float *least, *largest, *converted; /* of columns x channels; a few frames */
} waveform;

/* sound: of the frames that waveform_write is given. waveform_close whatever happens. */
ae_status waveform_open(waveform *w, const ae_signal_info *sound, ae_error *err);
void waveform_close(waveform *w);
/* The picture: grey, 8 bits. */
ae_signal_info waveform_picture(const ae_signal_info *sound);
/* Of an ae_row_sink whose opaque is the waveform. */
ae_status waveform_write(void *opaque, const void *frames, uint32_t n, ae_error *err);
ae_status waveform_draw(const waveform *w, ae_encoder *to, ae_error *err);

#endif
