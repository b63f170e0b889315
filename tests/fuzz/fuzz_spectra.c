/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile of lossy sound from a stranger: a byte of type and channels, one of its cells, the tile.
 */
#include <stdlib.h>

#include "container/soundlossy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { TILE = 4096 };
    static const ae_sample types[] = {AE_S8,  AE_S16, AE_S24, AE_S32,
                                      AE_F32, AE_F64, AE_S16, AE_S24};
    ae_signal_info info = {.kind = AE_KIND_AUDIO, .width = 1, .rate = 48000};
    aei_lossy_join join = {0};
    aei_lossy lossy = {0};
    uint32_t frames, log2n;
    uint8_t *samples = NULL;

    if (n_bytes < 2)
        return 0;
    info.sample = types[data[0] & 7];
    info.bits = 8 * (uint32_t)ae_sample_bytes(info.sample);
    info.channels = 1 + (data[0] >> 3 & 7);
    log2n = AEI_BANDS_LEAST + data[1] % (AEI_BANDS_LARGEST - AEI_BANDS_LEAST + 1);
    frames = aei_sound_tile_frames(data + 2, n_bytes - 2);
    frames = frames < TILE ? frames : TILE; /* one of another length is refused, too */
    if (aei_lossy_open(&lossy, &info, log2n, TILE, NULL) == AE_OK &&
        aei_lossy_join_open(&join, &lossy, NULL) == AE_OK &&
        (samples = ae_alloc(3 * TILE, ae_row_bytes(&info))) != NULL &&
        aei_lossy_decode(&lossy, data + 2, n_bytes - 2, frames, true, data[1] & 128, NULL) ==
            AE_OK) {
        aei_lossy_join_take(&join, &lossy, samples);
        aei_lossy_lose(&lossy, frames, true, false);
        aei_lossy_join_take(&join, &lossy, samples);
    }
    ae_free(samples);
    aei_lossy_join_close(&join);
    aei_lossy_close(&lossy);
    return 0;
}
