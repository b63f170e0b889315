/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Bytes that are written out of order, for sinks that cannot seek: held in a temporary file until
 * the end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter.h"

int aei_temporary_file(ae_error *err)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    int fd, n;

    if (!dir || !*dir)
        dir = "/tmp";
    n = snprintf(path, sizeof(path), "%s/aeXXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        ae_fail(err, AE_ERR_IO, "TMPDIR is too long");
        return -1;
    }
    fd = mkstemp(path);
    if (fd < 0) {
        ae_fail(err, AE_ERR_IO, "cannot make a temporary file in %s: %s", dir, strerror(errno));
        return -1;
    }
    unlink(path);
    return fd;
}

ae_status aei_write_all(int fd, const void *data, size_t n_bytes, ae_error *err)
{
    const uint8_t *p = data;

    while (n_bytes) {
        ssize_t n = write(fd, p, n_bytes);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return ae_fail(err, AE_ERR_IO, "write: %s", strerror(errno));
        }
        p += n;
        n_bytes -= (size_t)n;
    }
    return AE_OK;
}

ae_status aei_spool_open(aei_spool *spool, ae_sink *sink, bool needs_seek, ae_error *err)
{
    *spool = (aei_spool){.sink = sink, .fd = -1};
    if (needs_seek && !sink->seek && (spool->fd = aei_temporary_file(err)) < 0)
        return AE_ERR_IO;
    return AE_OK;
}

ae_status aei_spool_write(aei_spool *spool, const void *data, size_t n_bytes, ae_error *err)
{
    return spool->fd < 0 ? spool->sink->write(spool->sink->opaque, data, n_bytes, err)
                         : aei_write_all(spool->fd, data, n_bytes, err);
}

ae_status aei_spool_seek(aei_spool *spool, uint64_t offset, ae_error *err)
{
    if (spool->fd < 0)
        return spool->sink->seek(spool->sink->opaque, offset, err);
    if (lseek(spool->fd, (off_t)offset, SEEK_SET) < 0)
        return ae_fail(err, AE_ERR_IO, "temporary file: %s", strerror(errno));
    return AE_OK;
}

static ae_status copy_out(aei_spool *spool, ae_error *err)
{
    uint8_t block[16384];
    off_t at = 0;

    for (;;) {
        ssize_t n = pread(spool->fd, block, sizeof(block), at);
        ae_status st;

        if (n == 0)
            return AE_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ae_fail(err, AE_ERR_IO, "temporary file: %s", strerror(errno));
        if ((st = spool->sink->write(spool->sink->opaque, block, (size_t)n, err)) != AE_OK)
            return st;
        at += n;
    }
}

ae_status aei_spool_finish(aei_spool *spool, ae_error *err)
{
    ae_status st = spool->fd < 0 ? AE_OK : copy_out(spool, err);

    aei_spool_close(spool);
    return st;
}

void aei_spool_close(aei_spool *spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
}
