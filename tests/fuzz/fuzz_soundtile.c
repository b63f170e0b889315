/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile of sound from a stranger: one byte of type and channels, the tile. */
#include <stdlib.h>

#include "container/soundtile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { MOST = 4096 };
    static const ae_sample types[] = {AE_S8,  AE_S16, AE_S24, AE_S32,
                                      AE_F32, AE_F64, AE_S16, AE_S24};
    static aei_sound_coder *coder;
    ae_signal_info info = {.kind = AE_KIND_AUDIO, .width = 1, .rate = 48000};
    uint32_t frames;
    uint8_t *samples;

    if (!n_bytes || (!coder && !(coder = aei_sound_coder_create())))
        return 0;
    info.sample = types[data[0] & 7];
    info.bits = 8 * (uint32_t)ae_sample_bytes(info.sample);
    info.channels = 1 + (data[0] >> 3);
    frames = aei_sound_tile_frames(data + 1, n_bytes - 1);
    frames = frames < MOST ? frames : MOST; /* one of another length is refused, too */
    if (!(samples = ae_alloc(frames + 1, ae_row_bytes(&info))))
        return 0;
    (void)!aei_sound_tile_decode(coder, &info, data + 1, n_bytes - 1, samples, frames, NULL);
    ae_free(samples);
    return 0;
}
