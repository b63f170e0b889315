/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where written bytes go: a file that appears whole or not at all, standard output, memory. */
#ifndef AE_OUTPUT_H
#define AE_OUTPUT_H

#include "ae/codec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ae_output ae_output;

enum {
    AE_OUTPUT_FORCE = 1,    /* replace an existing file */
    AE_OUTPUT_IN_PLACE = 2, /* even the input itself */
    AE_OUTPUT_PRESERVE = 4, /* the file gets the input's mode and times */
    /* one of many: who writes them brings them to the disk together; else committing does */
    AE_OUTPUT_LATER = 8
};

/* Bytes for a regular file go to a temporary one beside it until ae_output_commit renames that; a
 * replaced file's mode is kept. "-" is standard output; it and devices are written directly and
 * cannot seek. input (NULL or a path) is what `path` must not be unless AE_OUTPUT_IN_PLACE is
 * given; nobody may do with the output what the input's mode denies them. */
AE_API AE_NODISCARD ae_status ae_output_open(const char *path, const char *input, unsigned flags,
                                             ae_output **out, ae_error *err);
/* The same with `path` relative to an open directory, which the output does not take over. What is
 * there must be a regular file: no link is followed. */
AE_API AE_NODISCARD ae_status ae_output_open_at(int directory, const char *path, const char *input,
                                                unsigned flags, ae_output **out, ae_error *err);
/* all that was written leaves the process */
AE_API AE_NODISCARD ae_status ae_output_flush(ae_output *output, ae_error *err);
/* For reading what was flushed; -1 where bytes go to no file of their own. */
AE_API int ae_output_descriptor(const ae_output *output);
AE_API ae_sink *ae_output_sink(ae_output *output); /* lives as long as the output */
/* The file gets that time, in seconds since 1970, and is for nobody whom those permissions exclude,
 * unless they are 0; to preserve is to have just these, as far as the input's go. Nothing where
 * bytes go to no file of their own. */
AE_API void ae_output_stamp(ae_output *output, int64_t changed, uint32_t mode);
/* Both free the output; a commit that fails leaves no file behind. */
AE_API AE_NODISCARD ae_status ae_output_commit(ae_output *output, ae_error *err);
AE_API void ae_output_discard(ae_output *output); /* NULL is fine */

/* Removes the temporary files of all open outputs. Async-signal-safe, for handlers that end the
 * process. */
AE_API void ae_output_remove_pending(void);

/* A growing block of memory; free data with ae_free. `sink` is to be used while the struct stays
 * where it is. */
typedef struct ae_memory_output {
    ae_sink sink;
    uint8_t *data;
    size_t n_bytes, capacity, position;
} ae_memory_output;
AE_API void ae_memory_output_init(ae_memory_output *memory);

#ifdef __cplusplus
}
#endif
#endif
