/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The module of all that libavcodec and libavformat do: still pictures (libav.c), frames
 * (frames.c), sounds (avread.c, avwrite.c). */
#include "avsound.h"
#include "libav.h"
#include "module.h"

static ae_status apng_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                           ae_error *err)
{
    aei_frames *frames;
    ae_status st = aei_frames_open(source, "apng", reader->codec, limits, &frames, err);

    reader->state = frames;
    return st;
}

static ae_status apng_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    return aei_frames_go(reader->state, n, &reader->info, err);
}

static ae_status apng_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    (void)err;
    aei_frames_read(reader->state, rows, n_rows);
    return AE_OK;
}

static void apng_close(ae_reader *reader)
{
    aei_frames_free(reader->state);
}

#define STILL(symbol, ...)                                                                         \
    {                                                                                              \
        .name = symbol, .open = aei_av_still_open, .read = aei_av_still_read,                      \
        .close = aei_av_still_close, __VA_ARGS__                                                   \
    }
#define SOUND(symbol)                                                                              \
    {                                                                                              \
        .name = symbol, .open = aei_av_open, .read_some = aei_av_read_some, .close = aei_av_close, \
        .create = aei_av_create, .write = aei_av_write, .finish = aei_av_finish,                   \
        .abandon = aei_av_abandon                                                                  \
    }

static const ae_codec codecs[] = {
    STILL("bmp", .picture = NULL),
    STILL("exr", .picture = NULL),
    STILL("gif", .picture = aei_av_gif_picture),
    STILL("jp2", .picture = NULL),
    STILL("qoi", .picture = NULL),
    STILL("tga", .picture = NULL),
    {.name = "apng",
     .open = apng_open,
     .picture = apng_picture,
     .read = apng_read,
     .close = apng_close},
    SOUND("aac"),
    SOUND("avi"),
    SOUND("m4a"),
    SOUND("mkv"),
    SOUND("mov"),
    SOUND("mp3"),
    SOUND("mp4"),
    SOUND("ts"),
    SOUND("webm"),
    SOUND("wma"),
    {0},
};

AEI_MODULE aei_module_av = {AE_VERSION, codecs};
