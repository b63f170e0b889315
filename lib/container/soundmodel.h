/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The samples of a tile of sound one after another, all channels of a moment before the next
 * moment: each is predicted from what is decoded, and what it differs by is decided (decision.h).
 * doc/container.md, "Sounds". */
#ifndef AEI_SOUNDMODEL_H
#define AEI_SOUNDMODEL_H

#include "decision.h"

enum {
    AEI_MODEL_BITS = 24, /* samples are within +-2^24 */
    AEI_MODEL_CHANNELS = 32,
    AEI_MODEL_MAX_FRAMES = 1 << 20
};

/* What the coder is told of a tile. */
typedef struct aei_model_shape {
    uint32_t frames, channels;
    /* samples of a channel are within these */
    int32_t lo[AEI_MODEL_CHANNELS], hi[AEI_MODEL_CHANNELS];
    uint32_t bound; /* of errors */
    /* samples of the channel and of the one before that least squares predict from: at most 32, 16
     */
    uint32_t own, other;
    uint32_t block;  /* frames between two solutions of these, 8 to 256 */
    uint32_t memory; /* 1 / 2^memory of the sums fades in a block: 0 to 6 */
} aei_model_shape;

/* Whether all of it is within what the coder knows. */
bool aei_model_shape_is_sound(const aei_model_shape *shape);

typedef struct aei_sound_model aei_sound_model;
aei_sound_model *aei_sound_model_create(void); /* NULL: out of memory */
void aei_sound_model_free(aei_sound_model *m);
/* values: channels after each other, frames each; they become what decoding will give. *bytes
 * belongs to the model until its next use. *n_bytes = 0 where more than `most` bytes would be
 * needed. */
ae_status aei_sound_model_encode(aei_sound_model *m, const aei_model_shape *shape, int32_t *values,
                                 size_t most, const uint8_t **bytes, size_t *n_bytes,
                                 ae_error *err);
ae_status aei_sound_model_decode(aei_sound_model *m, const aei_model_shape *shape,
                                 const uint8_t *bytes, size_t n_bytes, int32_t *values,
                                 ae_error *err);

#endif
