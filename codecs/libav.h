/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures through libavcodec: what still ones and the frames of animations share. */
#ifndef AEI_LIBAV_H
#define AEI_LIBAV_H

#include <libavcodec/avcodec.h>

#include "adapter.h"

typedef struct aei_av_picture {
    const ae_limits *limits; /* while decoding */
    ae_error *err;
    ae_status status; /* of the limits */
    const ae_codec *codec;
    uint64_t charged; /* for frames, while decoding */
    bool damaged;
    uint8_t *pixels; /* of the picture, once converted */
    size_t row_bytes;
    uint64_t y;
} aei_av_picture;

/* ---- frames ---- avframe.c */

/* A context whose frames are held to the limits of s, which outlives it; NULL: no memory. */
AVCodecContext *aei_av_context(aei_av_picture *s, const AVCodec *decoder);
/* What libavcodec's code says, in words. */
ae_status aei_av_picture_failed(aei_av_picture *s, int code);
/* A frame becomes s->pixels, and *info says what they are. */
ae_status aei_av_convert(aei_av_picture *s, const AVFrame *frame, ae_signal_info *info);

/* ---- still pictures, of ae_codec (ae/codec.h) ---- libav.c */

ae_status aei_av_still_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                            ae_error *err);
ae_status aei_av_still_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_av_gif_picture(ae_reader *reader, uint32_t n, ae_error *err);
void aei_av_still_close(ae_reader *reader);

/* ---- animations ---- frames.c */

/* The frames of a GIF or APNG file ("gif", "apng") from the first on, each as it is seen: on the
 * whole canvas. */
typedef struct aei_frames aei_frames;
/* The source, which stands anywhere, outlives it. */
ae_status aei_frames_open(ae_source *source, const char *format, const ae_codec *codec,
                          const ae_limits *limits, aei_frames **out, ae_error *err);
/* Goes on to the n-th, at least the last one asked for. */
ae_status aei_frames_go(aei_frames *f, uint32_t n, ae_signal_info *info, ae_error *err);
void aei_frames_read(aei_frames *f, void *rows, uint32_t n_rows); /* of that one */
void aei_frames_free(aei_frames *f);

#endif
