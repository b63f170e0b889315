/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static ae_status open_regular(const char *path, uint64_t max_bytes, int *fd, size_t *n_bytes, ae_error *err)
{
    struct stat s;
    ae_status st = AE_OK;

    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hang */
    if (*fd < 0)
        return ae_fail(err, AE_ERR_IO, "cannot open: %s", strerror(errno));
    if (fstat(*fd, &s) != 0)
        st = ae_fail(err, AE_ERR_IO, "cannot read: %s", strerror(errno));
    else if (!S_ISREG(s.st_mode))
        st = ae_fail(err, AE_ERR_IO, "%s", S_ISDIR(s.st_mode) ? "is a directory" : "is not a regular file");
    else if (!s.st_size)
        st = ae_fail(err, AE_ERR_MALFORMED, "empty file");
    else if ((uint64_t)s.st_size > max_bytes)
        st = ae_fail(err, AE_ERR_LIMIT, "%lld bytes, limit max_file is %llu", (long long)s.st_size, (unsigned long long)max_bytes);
    if (st == AE_OK) {
        *n_bytes = (size_t)s.st_size;
        return AE_OK;
    }
    close(*fd);
    return st;
}

ae_status aei_file_read(const char *path, uint64_t max_bytes, uint8_t **bytes, size_t *n_bytes, ae_error *err)
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
            st = ae_fail(err, AE_ERR_IO, "cannot read: %s", got ? strerror(errno) : "the file became shorter");
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

ae_status aei_file_map(const char *path, uint64_t max_bytes, const uint8_t **bytes, size_t *n_bytes, ae_error *err)
{
    size_t size = 0;
    void *at;
    int fd;
    ae_status st = open_regular(path, max_bytes, &fd, &size, err);

    *bytes = NULL;
    *n_bytes = 0;
    if (st != AE_OK)
        return st;
    at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) {
        st = ae_fail(err, AE_ERR_IO, "cannot map: %s", strerror(errno));
    } else {
        *bytes = at;
        *n_bytes = size;
    }
    close(fd);
    return st;
}

void aei_file_unmap(const uint8_t *bytes, size_t n_bytes)
{
    if (bytes)
        munmap((void *)(uintptr_t)bytes, n_bytes);
}

static bool write_all(int fd, const uint8_t *data, size_t n)
{
    while (n) {
        ssize_t wrote = write(fd, data, n);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        data += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

ae_status aei_file_replace(const char *path, const aei_part *parts, uint32_t n_parts, ae_error *err)
{
    size_t length = strlen(path) + 32;
    char *beside = ae_alloc(length, 1);
    bool good = true;
    int fd;

    if (!beside)
        return ae_fail(err, AE_ERR_NOMEM, "file name");
    snprintf(beside, length, "%s.%ld.part", path, (long)getpid());
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        ae_status st = ae_fail(err, AE_ERR_IO, "cannot write: %s", strerror(errno));

        ae_free(beside);
        return st;
    }
    for (uint32_t i = 0; good && i < n_parts; i++)
        good = write_all(fd, parts[i].data, parts[i].n_bytes);
    good = good && fsync(fd) == 0;
    int reason = good ? 0 : errno;
    if (close(fd) != 0 && good) {
        good = false;
        reason = errno;
    }
    if (good && rename(beside, path) != 0) {
        good = false;
        reason = errno;
    }
    if (!good)
        unlink(beside);
    ae_free(beside);
    return good ? AE_OK : ae_fail(err, AE_ERR_IO, "cannot write: %s", strerror(reason));
}
