/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A file read whole, within limits: its size is compared with the limit before memory is taken,
 * and what is no regular file is refused, since a pipe or a device could go on for ever. */
#include "model/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ae_status open_regular(const char *path, uint64_t max_bytes, int *fd, size_t *n_bytes,
                              ae_error *err)
{
    struct stat s;
    ae_status st = AE_OK;

    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hang */
    if (*fd < 0)
        return ae_fail(err, AE_ERR_IO, "cannot open: %s", strerror(errno));
    if (fstat(*fd, &s) != 0)
        st = ae_fail(err, AE_ERR_IO, "cannot read: %s", strerror(errno));
    else if (!S_ISREG(s.st_mode))
        st = ae_fail(err, AE_ERR_IO, "%s",
                     S_ISDIR(s.st_mode) ? "is a directory" : "is not a regular file");
    else if (!s.st_size)
        st = ae_fail(err, AE_ERR_MALFORMED, "empty file");
    else if ((uint64_t)s.st_size > max_bytes)
        st = ae_fail(err, AE_ERR_LIMIT, "%lld bytes, limit max_file is %llu", (long long)s.st_size,
                     (unsigned long long)max_bytes);
    if (st == AE_OK) {
        *n_bytes = (size_t)s.st_size;
        return AE_OK;
    }
    close(*fd);
    return st;
}

ae_status aei_file_read(const char *path, uint64_t max_bytes, uint8_t **bytes, size_t *n_bytes,
                        ae_error *err)
{
    size_t size = 0, done = 0;
    uint8_t *to;
    int fd;
    ae_status st = open_regular(path, max_bytes, &fd, &size, err);

    *bytes = NULL;
    *n_bytes = 0;
    if (st != AE_OK)
        return st;
    to = ae_alloc(size + 1, 1);
    if (!to) {
        st = ae_fail(err, AE_ERR_NOMEM, "file of %zu bytes", size);
        goto done;
    }
    while (done < size) {
        ssize_t got = read(fd, to + done, size - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            st = ae_fail(err, AE_ERR_IO, "cannot read: %s",
                         got ? strerror(errno) : "the file became shorter");
            goto done;
        }
        done += (size_t)got;
    }
    *bytes = to;
    *n_bytes = size;
    to = NULL;
done:
    ae_free(to);
    close(fd);
    return st;
}

const char *aei_file_name(const char *path)
{
    size_t n = strlen(path), most = 240;

    if (n <= most)
        return path;
    path += n - most;
    while (((uint8_t)*path & 0xc0) == 0x80) /* not in the middle of a character */
        path++;
    return path;
}

ae_status aei_file_blame(const char *path, ae_status status, ae_error *err)
{
    char message[sizeof(err->message)];

    if (err) {
        memcpy(message, err->message, sizeof(message));
        ae_fail(err, status, "%s: %s", aei_file_name(path), message);
    }
    return status;
}
