/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One tile of sound, without loss or with bounded error (doc/container.md, "Sounds"): what its
 * samples have in common is taken out (bits that are never used, channels that are alike), and the
 * rest goes through the model. */
#ifndef AEI_SOUNDTILE_H
#define AEI_SOUNDTILE_H

#include "frame.h"
#include "soundmodel.h"

/* What coding a tile needs; reusable, one for each thread. */
typedef struct aei_sound_coder aei_sound_coder;
aei_sound_coder *aei_sound_coder_create(void); /* NULL: out of memory */
void aei_sound_coder_free(aei_sound_coder *coder);

/* samples: interleaved, as signals have them; they become what decoding will give. info: type,
 * bits, channels, rate of the sound. bound: of errors, in steps of the samples' own bits. out is
 * emptied first, and stays so where more than `most` bytes would be needed. */
ae_status aei_sound_tile_encode(aei_sound_coder *coder, const ae_signal_info *info, uint32_t bound,
                                void *samples, uint32_t frames, size_t most, aei_buffer *out,
                                ae_error *err);
/* The tile must have `frames` frames. */
ae_status aei_sound_tile_decode(aei_sound_coder *coder, const ae_signal_info *info,
                                const void *data, size_t n_bytes, void *samples, uint32_t frames,
                                ae_error *err);
#endif
