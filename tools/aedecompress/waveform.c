/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames are sorted into columns by their share of the length as they are decoded, so that only the
 * least and the largest of each column are held; ink goes from the one to the other, over an axis.
 */
#include "waveform.h"

#include <math.h>

enum { BLOCK = 1024 /* frames converted at once */, PAPER = 255, AXIS = 192, INK = 48 };

ae_signal_info waveform_picture(const ae_signal_info *sound)
{
    uint64_t n = sound->height;

    return (ae_signal_info){.kind = AE_KIND_IMAGE,
                            .sample = AE_U8,
                            .bits = 8,
                            .channels = 1,
                            .width = !n                     ? 1
                                     : n < WAVEFORM_COLUMNS ? n
                                                            : WAVEFORM_COLUMNS,
                            .height = (uint64_t)WAVEFORM_ROWS * sound->channels};
}

ae_status waveform_open(waveform *w, const ae_signal_info *sound, ae_error *err)
{
    size_t n;

    *w = (waveform){.sound = *sound, .columns = (uint32_t)waveform_picture(sound).width};
    n = (size_t)w->columns * sound->channels;
    w->least = ae_alloc(n, sizeof(float)); /* zeroed, as silence is */
    w->largest = ae_alloc(n, sizeof(float));
    w->converted = ae_alloc((size_t)BLOCK * sound->channels, sizeof(float));
    return w->least && w->largest && w->converted ? AE_OK
                                                  : ae_fail(err, AE_ERR_NOMEM, "a waveform");
}

void waveform_close(waveform *w)
{
    ae_free(w->least);
    ae_free(w->largest);
    ae_free(w->converted);
    *w = (waveform){0};
}

ae_status waveform_write(void *opaque, const void *frames, uint32_t n, ae_error *err)
{
    waveform *w = opaque;
    uint32_t channels = w->sound.channels;
    const uint8_t *from = frames;

    (void)err;
    for (uint32_t done = 0, part; done < n; done += part) {
        part = n - done < BLOCK ? n - done : BLOCK;
        ae_samples_to_f32(w->sound.sample, from + done * ae_row_bytes(&w->sound), w->converted,
                          (size_t)part * channels);
        for (uint32_t i = 0; i < part; i++, w->at++) {
            size_t column = (size_t)((double)w->at / (double)w->sound.height * w->columns);
            size_t at = (column < w->columns ? column : w->columns - 1) * channels;

            for (uint32_t c = 0; c < channels; c++) {
                float v = w->converted[i * channels + c];

                w->least[at + c] = fminf(w->least[at + c], v);
                w->largest[at + c] = fmaxf(w->largest[at + c], v);
            }
        }
    }
    return AE_OK;
}

/* The row of a channel that shows v. */
static uint32_t row_of(float v)
{
    double row = (1 - (double)fminf(fmaxf(v, -1), 1)) / 2 * (WAVEFORM_ROWS - 1);

    return (uint32_t)lrint(row);
}

ae_status waveform_draw(const waveform *w, ae_encoder *to, ae_error *err)
{
    uint8_t *row = ae_alloc(w->columns, 1);
    ae_status st = row ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a waveform");

    for (uint32_t y = 0; y < WAVEFORM_ROWS * w->sound.channels && st == AE_OK; y++) {
        uint32_t c = y / WAVEFORM_ROWS, line = y % WAVEFORM_ROWS;

        for (uint32_t x = 0; x < w->columns; x++) {
            size_t at = (size_t)x * w->sound.channels + c;
            bool inside = line >= row_of(w->largest[at]) && line <= row_of(w->least[at]);

            row[x] = inside ? INK : line == row_of(0) ? AXIS : PAPER;
        }
        st = ae_encoder_write(to, row, 1, err);
    }
    ae_free(row);
    return st;
}
