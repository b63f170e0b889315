/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/replace.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void clear(aei_replace *r)
{
    ae_free(r->path);
    ae_free(r->temporary);
    *r = (aei_replace){0};
}

ae_status aei_replace_open(const char *path, aei_replace *out, ae_error *err)
{
    size_t n = strlen(path) + sizeof(".part");
    ae_status st;

    *out = (aei_replace){.path = ae_strdup(path), .temporary = ae_alloc(n, 1)};
    if (!out->path || !out->temporary) {
        clear(out);
        return ae_fail(err, AE_ERR_NOMEM, "%s: file name", path);
    }
    snprintf(out->temporary, n, "%s.part", path);
    out->file = fopen(out->temporary, "wb");
    if (out->file)
        return AE_OK;
    st = ae_fail(err, AE_ERR_IO, "%s: cannot create: %s", out->temporary, strerror(errno));
    clear(out);
    return st;
}

ae_status aei_replace_commit(aei_replace *r, ae_error *err)
{
    ae_status st = AE_OK;
    bool failed = ferror(r->file) || fflush(r->file) || fsync(fileno(r->file));
    int reason = errno;

    if (fclose(r->file) && !failed) {
        failed = true;
        reason = errno;
    }
    r->file = NULL;
    if (!failed && rename(r->temporary, r->path)) {
        failed = true;
        reason = errno;
    }
    if (failed) {
        st = ae_fail(err, AE_ERR_IO, "%s: cannot write: %s", r->path, strerror(reason));
        unlink(r->temporary);
    }
    clear(r);
    return st;
}

void aei_replace_abandon(aei_replace *r)
{
    if (!r->file)
        return;
    fclose(r->file);
    unlink(r->temporary);
    clear(r);
}
