/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files written beside their target and renamed once complete, so that whoever reads the target
 * finds the old or the new one whole, whatever happens in between. What an end by force leaves is
 * a temporary file, which a later run removes (temporary.h). */
#include "core/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ae/temporary.h"

static void clear(aei_replace *r)
{
    ae_free(r->path);
    ae_free(r->temporary);
    *r = (aei_replace){0};
}

ae_status aei_replace_open(const char *path, aei_replace *out, ae_error *err)
{
    ae_status st;
    int fd = -1;

    *out = (aei_replace){.path = ae_strdup(path)};
    st = out->path ? ae_temporary_create(AT_FDCWD, path, &fd, &out->temporary, err)
                   : ae_fail(err, AE_ERR_NOMEM, "a file name");
    if (st == AE_OK && (out->file = fdopen(fd, "wb")) != NULL)
        return AE_OK;
    if (st == AE_OK)
        st = ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    if (fd >= 0) {
        close(fd);
        unlink(out->temporary);
    }
    if (err && out->path) {
        ae_error inner = *err;

        ae_fail(err, st, "%s: %s", path, inner.message);
    }
    clear(out);
    return st;
}

ae_status aei_replace_commit(aei_replace *r, ae_error *err)
{
    int fd = fileno(r->file);
    ae_error inner = {0};
    ae_status st = AE_OK;

    if (ferror(r->file) || fflush(r->file) || (ae_sync_enabled() && fsync(fd)))
        st = ae_fail(&inner, AE_ERR_IO, "%s", strerror(errno));
    if (st == AE_OK)
        st = ae_temporary_written(fd, &inner);
    if (st == AE_OK && rename(r->temporary, r->path))
        st = ae_fail(&inner, AE_ERR_IO, "%s", strerror(errno));
    if (st != AE_OK) {
        ae_fail(err, st, "%s: cannot write: %s", r->path, inner.message);
        aei_replace_abandon(r);
        return st;
    }
    fclose(r->file);
    st = ae_sync_directory(AT_FDCWD, r->path, err);
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
