/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rows from one type of picture or sound to another, in pieces that stay in the cache. */
#include <string.h>

#include "ae/files.h"

enum { CHUNK = 512 }; /* pixels */

/* The single-precision detour is exact: u8 and u16 come back as they were, and 257 v is where u8
 * meets u16. */
static void convert_pixels(const float *in, uint32_t from, float *out, uint32_t to, size_t n)
{
    bool from_colour = from >= 3, to_colour = to >= 3, from_alpha = from % 2 == 0,
         to_alpha = to % 2 == 0;

    for (size_t i = 0; i < n; i++, in += from, out += to) {
        float v[3] = {in[0], in[from_colour ? 1 : 0], in[from_colour ? 2 : 0]};
        float alpha = from_alpha ? in[from - 1] : 1.0f;

        if (from_alpha && !to_alpha)
            for (int c = 0; c < 3; c++)
                v[c] = v[c] * alpha + (1.0f - alpha);
        if (to_colour)
            memcpy(out, v, sizeof(v));
        else
            out[0] = from_colour ? 0.299f * v[0] + 0.587f * v[1] + 0.114f * v[2] : v[0];
        if (to_alpha)
            out[to - 1] = alpha;
    }
}

void ae_rows_convert(const ae_signal_info *from, const void *rows, const ae_signal_info *to,
                     void *out, size_t n_rows)
{
    float in[4 * CHUNK], converted[4 * CHUNK];
    size_t in_bytes = ae_sample_bytes(from->sample) * from->channels,
           out_bytes = ae_sample_bytes(to->sample) * to->channels;
    size_t left = (size_t)from->width * n_rows;
    const uint8_t *p = rows;
    uint8_t *q = out;

    if (from->sample == to->sample && from->channels == to->channels) {
        memcpy(out, rows, left * in_bytes);
        return;
    }
    if (from->channels == to->channels) { /* of which sounds may have many */
        in_bytes = ae_sample_bytes(from->sample);
        out_bytes = ae_sample_bytes(to->sample);
        for (left *= from->channels; left;) {
            size_t n = left < 4 * CHUNK ? left : 4 * CHUNK;

            ae_samples_to_f32(from->sample, p, in, n);
            ae_samples_from_f32(to->sample, in, q, n);
            p += n * in_bytes;
            q += n * out_bytes;
            left -= n;
        }
        return;
    }
    while (left) {
        size_t n = left < CHUNK ? left : CHUNK;

        ae_samples_to_f32(from->sample, p, in, n * from->channels);
        convert_pixels(in, from->channels, converted, to->channels, n);
        ae_samples_from_f32(to->sample, converted, q, n * to->channels);
        p += n * in_bytes;
        q += n * out_bytes;
        left -= n;
    }
}
