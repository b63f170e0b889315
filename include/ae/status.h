/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Status codes, error messages, version, limits and allocation: what every other header stands on.
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
    AE_ERR_ARGUMENT = 1, /* the call itself is wrong */
    AE_ERR_NOMEM = 2,
    AE_ERR_CANCELLED = 3,  /* a callback or ae_cancel() asked to stop */
    AE_ERR_IO = 10,        /* read, write, open, disk full */
    AE_ERR_MALFORMED = 20, /* the input is damaged or is not what it says it is */
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
    uint64_t max_pixels; /* width * height of one picture; default 2^28 */
    uint64_t max_edge;   /* longest edge in pixels; default 2^20 - 1 */
    uint64_t max_meta;   /* bytes of metadata of one item; default 64 MiB */
    uint64_t max_file;   /* bytes of a model or recipe file; default 1 GiB */
    uint64_t max_memory; /* bytes one decoder may take for a whole picture; default 4 GiB */
} ae_limits;
AE_API ae_limits ae_limits_resolve(const ae_limits *limits); /* NULL: all defaults */

/* The one allocation shim. Zeroed, 64-byte aligned, overflow-checked; NULL when out of memory.
 * ae_free(NULL) is fine. Memory from ae_alloc goes to ae_free and to nothing else. */
AE_API void *ae_alloc(size_t count, size_t size);
/* keeps old on failure; new bytes zeroed */
AE_API void *ae_realloc(void *old, size_t old_bytes, size_t new_bytes);
AE_API char *ae_strdup(const char *text);
AE_API void ae_free(void *memory);
/* The budget of the process: what ae_alloc gives and what is taken below, together, may not exceed
 * it. Where it would, ae_alloc returns NULL, and a failure of AE_ERR_NOMEM told by the same thread
 * says so. Without a call of ae_memory_limit there is none. */
AE_API void ae_memory_limit(uint64_t n_bytes); /* 0: none */
AE_API uint64_t ae_memory_left(void);          /* bytes; others may take them at the same time */
/* bytes that this process could have at most: memory, control group, RLIMIT_AS */
AE_API uint64_t ae_memory_machine(void);
/* Charges what another library is about to allocate on behalf of a file, before it does.
 * AE_ERR_LIMIT ("what: ...") where that is too much, and then nothing was taken. */
AE_API AE_NODISCARD ae_status ae_memory_take(uint64_t n_bytes, const char *what, ae_error *err);
AE_API void ae_memory_give(uint64_t n_bytes); /* exactly what was taken */
/* For processes that share one budget, before they have threads: from now on *common, in memory
 * that they share, counts what all have taken, and *own what this one has taken since. The first
 * process, whose own is NULL, fills *common. */
AE_API void ae_memory_share(uint64_t *common, uint64_t *own);
/* Testing: the n-th allocation from now on (1 = next) fails, once; 0 switches it off. Process-wide.
 */
AE_API void ae_alloc_fail_at(uint64_t n);

/* A cooperative stop flag, safe to set from a signal handler; long work polls it. NULL means never.
 */
typedef struct ae_cancel {
    volatile int requested;
} ae_cancel;

/* How long work is done, in every structure of options: zero means all processors, no stopping and
 * nobody to tell. */
typedef struct ae_control {
    uint32_t threads;        /* 0: all processors. Results never depend on them */
    const ae_cancel *cancel; /* may be NULL */
    void *opaque;            /* handed to the callbacks */
    void (*progress)(void *opaque, double done); /* 0..1; may be NULL */
    /* a part could not be had, and what stands for it is; NULL: the first is an error */
    void (*lost)(void *opaque, uint32_t index, const char *why);
} ae_control;

#ifdef __cplusplus
}
#endif
#endif
