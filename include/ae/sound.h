/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sound: recordings freed of noise as a stream (doc/sound.md).
 *
 * A denoiser takes interleaved frames of f32, 1.0 = full scale, which may exceed it. Samples that
 * are no numbers are taken for silence and counted. Every channel is multiplied by the same gains,
 * so that a stereo image stands still. What comes out does not depend on how the recording is cut
 * into calls.
 *
 * In file mode frames come out as blocks are completed, later than they went in, but none before
 * the first and as many in all: frame k of the output belongs to frame k of the input. In live mode
 * every call gives as many frames as it takes, ae_sound_latency() frames later. */
#ifndef AE_SOUND_H
#define AE_SOUND_H

#include "ae/model.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { AE_SOUND_MAX_CHANNELS = 32 };
#define AE_SOUND_MIN_RATE 8000.0
#define AE_SOUND_MAX_RATE 192000.0

typedef struct ae_sound_options {
    /* 0..1: how much of the suppression is applied; 0 gives the input back, 1 all */
    double strength;
    /* dB by which any band may be turned down at most; 0: as it comes, 26 dB times the level */
    double max_attenuation;
    double level; /* of the noise, as a multiple of what is found: above 1 more is removed; 1 */
    bool live;
    /* Noise that stays as it is for seconds and hum of the mains go even where the network would
     * keep them, unless this is set: for models that shall keep such. */
    bool keep_steady;
    /* a stretch of nothing but noise, interleaved like the recording, or NULL */
    const float *profile;
    size_t profile_frames;
    ae_control control; /* cancel alone counts: a stream runs in its caller's thread, without end */
} ae_sound_options;

typedef struct ae_sound_stats {
    double seconds;
    double level_in_db, level_out_db; /* mean power, of a full-scale square wave 0 */
    double noise_db;                  /* power of the quietest tenth of the moments of the input */
    /* of the loudest twentieth of the moments over the quietest tenth */
    double snr_before_db, snr_after_db;
    /* samples that were no numbers, and the frame of the first of them */
    uint64_t bad_samples, first_bad;
} ae_sound_stats;

typedef struct ae_sound_denoiser ae_sound_denoiser;

/* The model must outlive the denoiser and be one of sound: AE_ERR_MISMATCH otherwise.
 * AE_ERR_ARGUMENT for rates and channels out of bounds. The profile is read at once. options may be
 * NULL: all of the suppression, file mode. */
AE_API AE_NODISCARD ae_status ae_sound_denoiser_new(const ae_model *model, double rate,
                                                    uint32_t channels,
                                                    const ae_sound_options *options,
                                                    ae_sound_denoiser **out, ae_error *err);
/* Frames that a call of ae_sound_process with so many may give at most. */
AE_API size_t ae_sound_room(const ae_sound_denoiser *denoiser, size_t frames);
/* capacity: frames that `out` holds; AE_ERR_ARGUMENT, with nothing taken, where it is below
 * ae_sound_room. `out` may not be `in`. */
AE_API AE_NODISCARD ae_status ae_sound_process(ae_sound_denoiser *denoiser, const float *in,
                                               size_t frames, float *out, size_t capacity,
                                               size_t *written, ae_error *err);
/* After the last frame: the rest, in parts of at most `capacity`, until *written is 0. Live mode:
 * what is still on its way. */
AE_API AE_NODISCARD ae_status ae_sound_finish(ae_sound_denoiser *denoiser, float *out,
                                              size_t capacity, size_t *written, ae_error *err);
AE_API size_t ae_sound_latency(const ae_sound_denoiser *denoiser); /* frames; 0 in file mode */
AE_API void ae_sound_stats_get(const ae_sound_denoiser *denoiser, ae_sound_stats *stats);
AE_API void ae_sound_denoiser_free(ae_sound_denoiser *denoiser); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
