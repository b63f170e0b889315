/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DENOISE_SOUND_H
#define DENOISE_SOUND_H

#include "ae/sound.h"
#include "common/sound.h"

typedef struct denoise_sound_options {
    sound_options file;
    double max_attenuation; /* dB; 0: unlimited */
    const char *profile;    /* FROM-TO */
    const char *spectrogram;
    bool keep_steady;

    double from, to; /* of the profile, seconds */
} denoise_sound_options;

/* CLI_GO_ON, or CLI_USAGE after saying why. */
int denoise_sound_check(denoise_sound_options *options, const filter_options *filter, bool many);
/* Takes *in over. */
ae_status denoise_sound(const denoise_sound_options *options, const filter_options *filter,
                        const ae_model *model, double strength, double level, const cli_item *item,
                        filter_input *in, ae_error *err);

#endif
