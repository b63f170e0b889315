/* SPDX-License-Identifier: BSD-2-Clause */
#include "ae/status.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

ae_status ae_fail(ae_error *err, ae_status status, const char *format, ...)
{
    if (err) {
        va_list args;

        va_start(args, format);
        vsnprintf(err->message, sizeof(err->message), format, args);
        va_end(args);
        for (char *c = err->message; *c; c++)
            if (*c == '\n' || *c == '\r')
                *c = ' ';
        err->status = status;
    }
    return status;
}

const char *ae_status_name(ae_status status)
{
    switch (status) {
    case AE_OK: return "ok";
    case AE_ERR_ARGUMENT: return "bad argument";
    case AE_ERR_NOMEM: return "out of memory";
    case AE_ERR_CANCELLED: return "cancelled";
    case AE_ERR_IO: return "input/output error";
    case AE_ERR_MALFORMED: return "malformed input";
    case AE_ERR_CHECKSUM: return "checksum mismatch";
    case AE_ERR_TOO_NEW: return "made by a newer version";
    case AE_ERR_UNSUPPORTED: return "not supported";
    case AE_ERR_LIMIT: return "limit exceeded";
    case AE_ERR_MISMATCH: return "mismatch";
    case AE_ERR_INTERNAL: return "internal error";
    }
    return "unknown status";
}

const char *ae_version(void)
{
    return AE_VERSION;
}

ae_limits ae_limits_resolve(const ae_limits *limits)
{
    ae_limits l = {0};

    if (limits)
        l = *limits;
    if (!l.max_pixels)
        l.max_pixels = UINT64_C(1) << 28;
    if (!l.max_edge)
        l.max_edge = (UINT64_C(1) << 20) - 1;
    if (!l.max_meta)
        l.max_meta = UINT64_C(64) << 20;
    if (!l.max_file)
        l.max_file = UINT64_C(1) << 30;
    if (!l.max_memory)
        l.max_memory = UINT64_C(4) << 30;
    return l;
}

enum { LARGE_PAGE = 1 << 21 };

static atomic_ullong fail_at;

void ae_alloc_fail_at(uint64_t n)
{
    atomic_store(&fail_at, n);
}

/* Counts down to the failing allocation; true for that one. */
static bool injected_failure(void)
{
    unsigned long long left = atomic_load(&fail_at);

    while (left && !atomic_compare_exchange_weak(&fail_at, &left, left - 1))
        ;
    return left == 1;
}

void *ae_alloc(size_t count, size_t size)
{
    size_t bytes;
    void *memory;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2 || injected_failure())
        return NULL;
    bytes = bytes ? (bytes + 63) / 64 * 64 : 64;
    if (posix_memalign(&memory, bytes < LARGE_PAGE ? 64 : LARGE_PAGE, bytes))
        return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= LARGE_PAGE) /* spares address translations; advice that fails does no harm */
        madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    memset(memory, 0, bytes);
    return memory;
}

void *ae_realloc(void *old, size_t old_bytes, size_t new_bytes)
{
    void *memory = ae_alloc(new_bytes, 1);

    if (memory && old) {
        memcpy(memory, old, old_bytes < new_bytes ? old_bytes : new_bytes);
        ae_free(old);
    }
    return memory;
}

char *ae_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = ae_alloc(n, 1);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

void ae_free(void *memory)
{
    free(memory);
}
