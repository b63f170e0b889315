/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages of errors, names of results, limits. A failure is told once, by whoever finds it; where
 * memory was refused by the budget, the message says so by itself. */
#include "ae/status.h"

#include <stdio.h>

#include "core/memory.h"

ae_status ae_fail(ae_error *err, ae_status status, const char *format, ...)
{
    if (err) {
        va_list args;

        va_start(args, format);
        vsnprintf(err->message, sizeof(err->message), format, args);
        va_end(args);
        if (status == AE_ERR_NOMEM)
            aei_memory_explain(err->message, sizeof(err->message));
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
