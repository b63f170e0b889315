/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Byte sources: a buffered file descriptor or a block of memory. What cannot seek is copied to an
 * unlinked temporary file. */
#include "ae/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter.h"

enum { BUFFER_BYTES = 1 << 15 };

struct ae_source {
    int fd; /* -1: memory */
    const uint8_t *memory;
    char *name;
    uint64_t size, position;
    uint8_t *buffer; /* holds [buffered_at, buffered_at + n_buffered) of the file */
    uint64_t buffered_at;
    size_t n_buffered;
};

static ae_status spool(int from, int *to, ae_error *err)
{
    ae_status st = AE_OK;
    uint8_t *buffer = ae_alloc(BUFFER_BYTES, 1);
    int fd = -1;

    if (!buffer) {
        st = ae_fail(err, AE_ERR_NOMEM, "input buffer");
        goto done;
    }
    if ((fd = aei_temporary_file(err)) < 0) {
        st = AE_ERR_IO;
        goto done;
    }
    for (;;) {
        ssize_t n = read(from, buffer, BUFFER_BYTES);

        if (n == 0)
            break;
        if (n < 0) {
            if (errno == EINTR)
                continue;
            st = ae_fail(err, AE_ERR_IO, "read: %s", strerror(errno));
            goto done;
        }
        if ((st = aei_write_all(fd, buffer, (size_t)n, err)) != AE_OK)
            goto done;
    }
    *to = fd;
    fd = -1;
done:
    if (fd >= 0)
        close(fd);
    ae_free(buffer);
    return st;
}

int aei_source_descriptor(const ae_source *source)
{
    return source->fd;
}

ae_status aei_source_adopt(int fd, const char *name, uint64_t n_bytes, ae_source **out,
                           ae_error *err)
{
    ae_source *s = ae_alloc(1, sizeof(*s));

    *out = NULL;
    if (s) {
        s->fd = fd;
        s->size = n_bytes;
        s->name = ae_strdup(name);
        s->buffer = ae_alloc(BUFFER_BYTES, 1);
    }
    if (!s || !s->name || !s->buffer) {
        ae_source_free(s);
        return ae_fail(err, AE_ERR_NOMEM, "input buffer");
    }
    *out = s;
    return AE_OK;
}

ae_status ae_source_open(const char *path, ae_source **out, ae_error *err)
{
    ae_status st = AE_OK;
    bool standard = strcmp(path, "-") == 0;
    ae_source *s = ae_alloc(1, sizeof(*s));
    struct stat info;
    char first;

    *out = NULL;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "input");
    s->fd = -1;
    s->name = ae_strdup(standard ? "standard input" : path);
    s->buffer = ae_alloc(BUFFER_BYTES, 1);
    if (!s->name || !s->buffer) {
        st = ae_fail(err, AE_ERR_NOMEM, "input buffer");
        goto done;
    }
    s->fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &info) != 0) {
        st = ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
        goto done;
    }
    if (S_ISDIR(info.st_mode)) {
        st = ae_fail(err, AE_ERR_IO, "is a directory");
        goto done;
    }
    /* such as /dev/zero, a copy of which would fill the disk; /dev/null is merely empty */
    if (S_ISCHR(info.st_mode) && !isatty(s->fd) && read(s->fd, &first, 1) == 1) {
        st = ae_fail(err, AE_ERR_IO, "is a device, which may have no end");
        goto done;
    }
    /* A regular file on standard input may stand in the middle, and others may share its position:
     * only at its start is it the whole input. It is read with pread, which moves nothing. */
    if (!S_ISREG(info.st_mode) || (standard && lseek(s->fd, 0, SEEK_CUR) != 0)) {
        int spooled = -1;

        if ((st = spool(s->fd, &spooled, err)) != AE_OK)
            goto done;
        close(s->fd);
        s->fd = spooled;
        if (fstat(s->fd, &info) != 0) {
            st = ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
            goto done;
        }
    }
    s->size = (uint64_t)info.st_size;
    if (s->size == 0) {
        st = ae_fail(err, AE_ERR_MALFORMED, "is empty");
        goto done;
    }
    *out = s;
    s = NULL;
done:
    ae_source_free(s);
    return st;
}

ae_status ae_source_memory(const void *data, size_t n_bytes, ae_source **out, ae_error *err)
{
    ae_source *s;

    *out = NULL;
    if (n_bytes == 0)
        return ae_fail(err, AE_ERR_MALFORMED, "is empty");
    s = ae_alloc(1, sizeof(*s));
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "input");
    s->fd = -1;
    s->memory = data;
    s->size = n_bytes;
    *out = s;
    return AE_OK;
}

void ae_source_free(ae_source *source)
{
    if (!source)
        return;
    if (source->fd >= 0)
        close(source->fd);
    ae_free(source->buffer);
    ae_free(source->name);
    ae_free(source);
}

/* At least one byte of the file at the position into to; large requests go past the buffer. */
static size_t read_some(ae_source *s, uint8_t *to, size_t n)
{
    /* wraps where the position lies before the buffer */
    uint64_t ahead = s->position - s->buffered_at;
    ssize_t got;

    if (ahead >= s->n_buffered) {
        bool direct = n >= BUFFER_BYTES;

        do
            got = pread(s->fd, direct ? to : s->buffer, direct ? n : BUFFER_BYTES,
                        (off_t)s->position);
        while (got < 0 && errno == EINTR);
        if (got <= 0)
            return 0;
        if (direct)
            return (size_t)got;
        s->buffered_at = s->position;
        s->n_buffered = (size_t)got;
        ahead = 0;
    }
    if (n > s->n_buffered - ahead)
        n = s->n_buffered - (size_t)ahead;
    memcpy(to, s->buffer + ahead, n);
    return n;
}

size_t ae_source_read(ae_source *source, void *to, size_t n_bytes)
{
    size_t done = 0;

    if (n_bytes > source->size - source->position)
        n_bytes = (size_t)(source->size - source->position);
    while (done < n_bytes) {
        size_t n = n_bytes - done;

        if (source->memory)
            memcpy(to, source->memory + source->position, n);
        else
            n = read_some(source, (uint8_t *)to + done, n);
        if (n == 0)
            break;
        done += n;
        source->position += n;
    }
    return done;
}

bool ae_source_seek(ae_source *source, uint64_t offset)
{
    if (offset > source->size)
        return false;
    source->position = offset;
    return true;
}

uint64_t ae_source_tell(const ae_source *source)
{
    return source->position;
}

uint64_t ae_source_size(const ae_source *source)
{
    return source->size;
}

const char *ae_source_name(const ae_source *source)
{
    return source->name ? source->name : "memory";
}
