/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Status codes, error messages, version, allocation and logging: what every other header stands on.
 * Library calls never print, never exit and keep no global error state. */
#ifndef AE_STATUS_H
#define AE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define AE_API __attribute__((visibility("default")))
#define AE_NODISCARD __attribute__((warn_unused_result))
#define AE_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define AE_API
#define AE_NODISCARD
#define AE_PRINTF(f, a)
#endif

/* Named by what the caller can do about it; the message carries the rest. The values are ABI. */
typedef enum ae_status {
    AE_OK = 0,
    AE_ERR_ARGUMENT = 1,     /* the call itself is wrong */
    AE_ERR_NOMEM = 2,
    AE_ERR_CANCELLED = 3,    /* a callback or ae_cancel() asked to stop */
    AE_ERR_IO = 10,          /* read, write, open, disk full */
    AE_ERR_MALFORMED = 20,   /* the input is damaged or is not what it says it is */
    AE_ERR_CHECKSUM = 21,
    AE_ERR_TOO_NEW = 22,     /* made by a later version */
    AE_ERR_UNSUPPORTED = 23, /* well formed, but not handled here */
    AE_ERR_LIMIT = 30,       /* exceeds an ae_limits entry, named in the message */
    AE_ERR_MISMATCH = 40,    /* two valid things that do not belong together */
    AE_ERR_INTERNAL = 90
} ae_status;

/* Owned by the caller, who may pass NULL wherever one is taken. Unchanged on success. */
typedef struct ae_error {
    ae_status status;
    char message[504]; /* what, where, expected, found; one line, no newline */
} ae_error;

/* Fills *err (NULL is fine) and returns `status`: `return ae_fail(err, AE_ERR_IO, "...")`.
 * Only the code that detects a fault calls it; whoever passes it on stays silent. */
AE_API ae_status ae_fail(ae_error *err, ae_status status, const char *format, ...) AE_PRINTF(3, 4);
AE_API const char *ae_status_name(ae_status status); /* "out of memory", ...; static storage */

#define AE_VERSION "0.1.0"
AE_API const char *ae_version(void); /* tools compare it with AE_VERSION at start */

/* Refusal thresholds, chosen by the caller. Zero in any field means its default. */
typedef struct ae_limits {
    uint64_t max_pixels;    /* width * height of one picture; default 2^28 */
    uint64_t max_edge;      /* longest edge in pixels; default 2^20 - 1 */
    uint64_t max_meta;      /* bytes of metadata of one item; default 64 MiB */
    uint64_t max_file;      /* bytes of a model or recipe file; default 1 GiB */
    uint64_t max_memory;    /* bytes one decoder may take for a whole picture; default 4 GiB */
} ae_limits;
AE_API ae_limits ae_limits_resolve(const ae_limits *limits); /* NULL: all defaults */

/* The one allocation shim. Zeroed, 64-byte aligned, overflow-checked; NULL when out of memory.
 * ae_free(NULL) is fine. Memory from ae_alloc goes to ae_free and to nothing else. */
AE_API void *ae_alloc(size_t count, size_t size);
AE_API void *ae_realloc(void *old, size_t old_bytes, size_t new_bytes); /* keeps old on failure; new bytes zeroed */
AE_API char *ae_strdup(const char *text);
AE_API void ae_free(void *memory);
/* Testing: the n-th allocation from now on (1 = next) fails, once; 0 switches it off. Process-wide. */
AE_API void ae_alloc_fail_at(uint64_t n);

/* A cooperative stop flag, safe to set from a signal handler; long work polls it. NULL means never. */
typedef struct ae_cancel { volatile int requested; } ae_cancel;

#ifdef __cplusplus
}
#endif
#endif
