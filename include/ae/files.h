/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signals from files and to files: finds the adapter for a file, reads rows, writes rows. */
#ifndef AE_FILES_H
#define AE_FILES_H

#include "ae/codec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All adapters, NULL-terminated; those without `create` only read. */
AE_API extern const ae_codec *const ae_codecs[];

/* The adapter of that name or suffix ("png", "jpg", without dot, any case) that can write, or NULL.
 */
AE_API const ae_codec *ae_codec_for_name(const char *name);
/* Likewise for the suffix of a path; NULL where it has none or an unknown one. */
AE_API const ae_codec *ae_codec_for_path(const char *path);

/* Before there are threads: from now on readers of files decode in processes of their own, which
 * have no rights but to read the file in hand; if one crashes, that is its reader's failure. What
 * the kernel takes away from them stands in `what`, or, where this returns false and all stays as
 * it was, why not. */
AE_API bool ae_decode_apart(char what[160]);
/* For programs, after that and before there are threads: from now on the process can start no
 * program, not fork, reach no network and look into no other process, for good. False where that
 * cannot be had. */
AE_API bool ae_confine(void);
/* For programs, before there are threads: from now on files are written, made and removed only in
 * and below the directories of these paths (where those are not there yet, of what is there of
 * them) and where temporary files go, for good; what is open stays so. False where that cannot be
 * had. */
AE_API bool ae_confine_writes(const char *const *paths, size_t n);

/* Recognises the format by content, then by the suffix of the source's name, and opens the reader,
 * whatever *reader held. On failure *reader is zero. limits may be NULL. The source must outlive
 * the reader and serves one at a time; it can be opened again after a reader is closed. */
AE_API AE_NODISCARD ae_status ae_reader_open(ae_source *source, const ae_limits *limits,
                                             ae_reader *reader, ae_error *err);
/* Likewise; of files with several sounds or pictures the track-th, from 1 on, or for 0 the first.
 * Formats of one sound take no notice. */
AE_API AE_NODISCARD ae_status ae_reader_open_track(ae_source *source, const ae_limits *limits,
                                                   uint32_t track, ae_reader *reader,
                                                   ae_error *err);
/* Has a reader of pictures stand at the first row of its file's n-th, 1 to 1 + n_further, as if it
 * had been opened anew for that one: info and metadata are that one's. Going from one to the next
 * costs no more than reading them. On failure *reader is zero. */
AE_API AE_NODISCARD ae_status ae_reader_picture(ae_reader *reader, uint32_t n, ae_error *err);
/* Fails where the file holds another kind of signal, and says what it is. */
AE_API AE_NODISCARD ae_status ae_reader_expect(const ae_reader *reader, ae_kind kind,
                                               ae_error *err);
/* The next n_rows rows, at most as many as remain. After a failure only ae_reader_close is left. */
AE_API AE_NODISCARD ae_status ae_reader_read(ae_reader *reader, void *rows, uint32_t n_rows,
                                             ae_error *err);
/* Up to `capacity` rows; *n_rows is 0 at the end only. For sounds, whose length is not always
 * known; others are read so, too. */
AE_API AE_NODISCARD ae_status ae_reader_read_some(ae_reader *reader, void *rows, uint32_t capacity,
                                                  uint32_t *n_rows, ae_error *err);
/* All rows of a reader that stands at its first one and is none of sound, into an ae_alloc array
 * that the caller frees. */
AE_API AE_NODISCARD ae_status ae_reader_read_all(ae_reader *reader, void **pixels, ae_error *err);
/* Its rows as a source, which is good for as long as the reader. */
AE_API ae_row_source ae_reader_rows(ae_reader *reader);
/* Frees state and metadata and zeroes *reader; a zero reader is fine. */
AE_API void ae_reader_close(ae_reader *reader);

/* How finely a JPEG file was quantised: its table of luminance, row by row, and the nearest of
 * libjpeg's qualities 1 to 100. False: another format, or no luminance. */
AE_API bool ae_reader_quantisation(const ae_reader *reader, uint16_t table[64], int *quality);

/* A writer that takes rows of any type of its kind of signal and converts them to what the format
 * holds. Sounds may have any length, whatever info->height says. */
typedef struct ae_encoder {
    ae_writer writer;    /* its note says what was lost */
    ae_signal_info info; /* of the rows that it takes */
    void *band;          /* converted rows, NULL where none need converting */
    uint32_t band_rows;
    uint64_t rows_left;
} ae_encoder;

/* Begins a file. meta may be NULL, options too; sink, and options->like, must stay until the end.
 * On failure *encoder is zero. */
AE_API AE_NODISCARD ae_status ae_encoder_open(const ae_codec *codec, ae_sink *sink,
                                              const ae_signal_info *info, const ae_meta *meta,
                                              const ae_write_options *options, ae_encoder *encoder,
                                              ae_error *err);
AE_API AE_NODISCARD ae_status ae_encoder_write(ae_encoder *encoder, const void *rows,
                                               uint32_t n_rows, ae_error *err);
/* A sink of its rows, which is good for as long as the encoder. */
AE_API ae_row_sink ae_encoder_rows(ae_encoder *encoder);
/* Completes the file and frees everything but the note, whether it succeeds or not. */
AE_API AE_NODISCARD ae_status ae_encoder_finish(ae_encoder *encoder, ae_error *err);
/* frees everything without completing; a zero or finished encoder is fine */
AE_API void ae_encoder_abandon(ae_encoder *encoder);

/* What EXIF says of how a picture is to be turned to be looked at, 1 to 8; 0: nothing. */
AE_API unsigned ae_meta_orientation(const ae_meta *meta);

/* A picture held whole, to be read again turned as an orientation says. Write all rows, then read
 * any. NULL may be freed. */
typedef struct ae_turner ae_turner;
AE_API AE_NODISCARD ae_status ae_turner_create(const ae_signal_info *from, unsigned orientation,
                                               ae_turner **out, ae_error *err);
AE_API const ae_signal_info *ae_turner_info(const ae_turner *turner); /* of what is read */
AE_API void ae_turner_write(ae_turner *turner, const void *rows, uint32_t n_rows);
AE_API void ae_turner_read(const ae_turner *turner, uint64_t first, uint32_t n_rows, void *rows);
AE_API void ae_turner_free(ae_turner *turner);

/* Has a reader that stands at its first row deliver the picture upright, whose orientation is then
 * 1; it is held whole unless it is so already. Afterwards the reader cannot be the `like` of a
 * writer. On failure it is as before. */
AE_API AE_NODISCARD ae_status ae_reader_turn_upright(ae_reader *reader, ae_error *err);

/* Sets the dimensions where the EXIF data state them. */
AE_API void ae_meta_resize(ae_meta *meta, uint64_t width, uint64_t height);

/* Rows from one picture type to another of the same width: sample types by full scale (rounded to
 * nearest), grey to three equal channels, colour to grey by Rec. 601 luma, new alpha opaque, alpha
 * dropped by laying the picture on white. Of sounds, which keep their channels, only the sample
 * type. */
AE_API void ae_rows_convert(const ae_signal_info *from, const void *rows, const ae_signal_info *to,
                            void *out, size_t n_rows);

/* ---- raw samples ---- as they come from and go to pipes: nothing in them says what they are */

/* The adapter of that name, u8, s8, or s16le to f64be; NULL: none. They are also in the registry,
 * for their writers. */
AE_API const ae_codec *ae_pcm_codec(const char *name);
/* Opens a file, or "-" for standard input, which is read as it comes and not spooled.
 * ae_reader_close closes it. */
AE_API AE_NODISCARD ae_status ae_pcm_open(const char *path, const ae_codec *codec, double rate,
                                          uint32_t channels, ae_reader *reader, ae_error *err);

#ifdef __cplusplus
}
#endif
#endif
