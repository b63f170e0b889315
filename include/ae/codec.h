/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The adapter contract: how one file family becomes a signal and a signal becomes a file. Programs
 * find and use adapters through ae/files.h and ae/output.h. */
#ifndef AE_CODEC_H
#define AE_CODEC_H

#include "ae/signal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- bytes in ---- a seekable byte source. Pipes are spooled to an unlinked temporary file when
 * opened. */
typedef struct ae_source ae_source;
/* path "-" is standard input. A directory, a missing or an empty file is an error that says so. */
AE_API AE_NODISCARD ae_status ae_source_open(const char *path, ae_source **out, ae_error *err);
/* data must outlive the source. */
AE_API AE_NODISCARD ae_status ae_source_memory(const void *data, size_t n_bytes, ae_source **out,
                                               ae_error *err);
AE_API void ae_source_free(ae_source *source); /* NULL is fine */
/* short at the end or on error */
AE_API size_t ae_source_read(ae_source *source, void *to, size_t n_bytes);
AE_API bool ae_source_seek(ae_source *source, uint64_t offset);
AE_API uint64_t ae_source_tell(const ae_source *source);
AE_API uint64_t ae_source_size(const ae_source *source);
AE_API const char *ae_source_name(const ae_source *source); /* for messages */

/* ---- bytes out ---- */
typedef struct ae_sink {
    void *opaque;
    /* Writes all n_bytes or fails (AE_ERR_IO with the system's reason). */
    ae_status (*write)(void *opaque, const void *data, size_t n_bytes, ae_error *err);
    /* NULL where the sink cannot seek (a pipe); adapters that need it then spool. */
    ae_status (*seek)(void *opaque, uint64_t offset, ae_error *err);
} ae_sink;

/* ---- reading ---- */
typedef struct ae_codec ae_codec;
typedef struct ae_reader {
    const ae_codec *codec;
    ae_signal_info info;
    ae_meta meta; /* does not grow once opened: what a PNG has behind its samples is left out */
    /* what a writer of the same format needs to keep the quality class, "" if nothing;
     * adapter-defined */
    char quality[64];
    /* one line about what was lost or converted in reading ("CMYK converted to RGB"), or "" */
    char note[160];
    /* pages or frames of the file beside the one that is read; small copies of it do not count */
    uint32_t n_further;
    void *state;
    /* what a writer of the same format takes over beside the quality: adapter-defined numbers, or
     * NULL */
    void *kept;
    size_t n_kept;
    ae_source *source; /* set by the registry, like those below */
    uint64_t n_read;   /* rows */
    void *apart;       /* the process that decodes, or NULL: then state is set */
    /* which of several sounds or pictures this is, from 1 on; 0: the first. Set before opening */
    uint32_t track;
    ae_limits limits; /* all of them set */
} ae_reader;

/* Writing options; zero means default. */
typedef struct ae_write_options {
    /* 1..100 for lossy formats; 0: the source's class if `like` is of this format, else 95 */
    int quality;
    /* the input this output is made from, or NULL; must stay open until the writer is closed */
    const ae_reader *like;
    bool lossless; /* for formats that offer both */
} ae_write_options;

typedef struct ae_writer {
    const ae_codec *codec;
    ae_signal_info info;
    char note[160]; /* what this format could not hold of the metadata or samples, or "" */
    void *state;
} ae_writer;

/* One adapter. All functions leave nothing behind on failure. */
struct ae_codec {
    const char *name;        /* "png" */
    const char *description; /* "Portable Network Graphics" */
    /* NULL-terminated, without dot, lower case; the first is the usual one */
    const char *const *suffixes;
    ae_kind kind;
    /* 0: not this format; 100: certain. head holds the first n_bytes (at most 4096) of the source.
     */
    int (*probe)(const uint8_t *head, size_t n_bytes);
    /* The source stands at 0, outlives the reader and serves no other at the same time; `reader` is
     * zeroed but for codec. On failure the caller clears reader->meta. */
    ae_status (*open)(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err);
    /* The next n_rows rows, never more than remain. NULL where there is read_some. */
    ae_status (*read)(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err);
    void (*close)(ae_reader *reader); /* frees the state; the caller clears the metadata */
    /* Writers, NULL for read-only formats. accepts: rewrites *info to the nearest thing the format
     * holds (a JPEG has neither alpha nor 16 bits) and says in note what is lost; the caller
     * converts its rows to that. */
    void (*accepts)(ae_signal_info *info, char note[160]);
    /* whether `create` reads the source of options->like once more where that is of this format */
    bool rereads;
    ae_status (*create)(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                        const ae_write_options *options, ae_writer *writer, ae_error *err);
    ae_status (*write)(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err);
    /* Completes the file; all rows must have been written. Frees the state whether it succeeds or
     * not. */
    ae_status (*finish)(ae_writer *writer, ae_error *err);
    void (*abandon)(ae_writer *writer); /* frees the state without completing */
    /* Sound, whose length is not always known: up to `capacity` rows; *n_rows is 0 at the end and
     * only there. What is missing because the file was cut short is an error. */
    ae_status (*read_some)(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                           ae_error *err);
    /* Of formats whose pictures beyond the first are read, else NULL: has a reader stand at the
     * first row of its n-th, with that one's info and metadata. n is at least 2 and at least the
     * last one asked for, at most 1 + n_further. A reader for which this fails is closed. */
    ae_status (*picture)(ae_reader *reader, uint32_t n, ae_error *err);
};

#ifdef __cplusplus
}
#endif
#endif
