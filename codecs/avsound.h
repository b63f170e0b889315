/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds that libsndfile does not know, through libavformat and libavcodec: what their reading and
 * writing share. */
#ifndef AEI_AVSOUND_H
#define AEI_AVSOUND_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "soundfile.h"

enum { AEI_AV_IO_BYTES = 1 << 15, AEI_AV_CHANNELS = 1024 };

/* What is behind an AVIOContext: each has its own place in the source. */
typedef struct av_input {
    ae_source *source;
    uint64_t at;
    AVFormatContext *format;
} av_input;

/* What a writer takes over: the coder of one stream among others. */
typedef struct av_class {
    uint32_t n_streams, track;
    enum AVCodecID id;
    int64_t start; /* of the first sample, in frames */
} av_class;

/* avinput.c: opens the container, which must be one of `formats`; nothing else that the file names
 * is opened. */
ae_status aei_av_input_begin(av_input *in, ae_source *source, const char *formats,
                             const ae_codec *codec, ae_error *err);
/* Of the containers with sound, and looks at its streams. */
ae_status aei_av_input_open(av_input *in, ae_source *source, const ae_codec *codec, ae_error *err);
void aei_av_input_close(av_input *in);
ae_status aei_av_failed(const ae_codec *codec, int code, ae_error *err);

/* avread.c and avwrite.c, of ae_codec (ae/codec.h) */
ae_status aei_av_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err);
ae_status aei_av_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                           ae_error *err);
void aei_av_close(ae_reader *reader);
ae_status aei_av_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                        const ae_write_options *options, ae_writer *writer, ae_error *err);
ae_status aei_av_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
ae_status aei_av_finish(ae_writer *writer, ae_error *err);
void aei_av_abandon(ae_writer *writer);

#endif
