/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The file of an archive while it is written: locked, cut back to what is whole, or replaced at the
 * end. */
#define _GNU_SOURCE
#include "archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ae/temporary.h"
#include "common/options.h"
#include "common/progress.h"

static ae_status write_in_place(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    const archive_file *f = opaque;
    const uint8_t *p = data;

    while (n_bytes) {
        ssize_t n = write(f->fd, p, n_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ae_fail(err, AE_ERR_IO, "write: %s", strerror(errno));
        p += n;
        n_bytes -= (size_t)n;
    }
    return AE_OK;
}

/* A file system that knows no locks is as good as it can be. */
static ae_status lock(int fd, bool wait, const char *path, ae_error *err)
{
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK; tries++) {
        if (!wait)
            return ae_fail(err, AE_ERR_IO, "another program writes to it");
        if (cli_cancel.requested)
            return ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        if (tries == 100)
            cli_message("%s: waiting for another program that writes to it", path);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return AE_OK;
}

/* Opens and locks what is at the path, or makes it. Who had the lock before may have removed it, or
 * renamed another over it: then the lock is that of a file that is not there any more. */
static ae_status open_in_place(archive_file *f, bool append, ae_error *err)
{
    struct stat ours, theirs;

    for (;;) {
        ae_status st;

        f->fd = open(f->path, O_RDWR | O_CLOEXEC);
        if (f->fd < 0 && errno == ENOENT)
            f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd < 0 && errno == EEXIST)
            continue;
        if (f->fd < 0)
            return ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
        if ((st = lock(f->fd, append, f->path, err)) != AE_OK)
            return st;
        if (fstat(f->fd, &ours) != 0)
            return ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
        if (stat(f->path, &theirs) == 0 && theirs.st_dev == ours.st_dev &&
            theirs.st_ino == ours.st_ino)
            break;
        close(f->fd);
    }
    f->fresh = ours.st_size == 0;
    f->in_place = (ae_sink){.opaque = f, .write = write_in_place};
    f->sink = &f->in_place;
    return AE_OK;
}

ae_status archive_file_open(archive_file *f, const char *path, bool append, bool force,
                            ae_error *err)
{
    struct stat s;
    bool regular = strcmp(path, "-") != 0 && (stat(path, &s) != 0 || S_ISREG(s.st_mode));
    ae_status st;

    *f = (archive_file){.path = path, .fd = -1};
    if (regular && (append || !force))
        return open_in_place(f, append, err);
    if ((st = ae_output_open(path, NULL, force ? AE_OUTPUT_FORCE : 0, &f->output, err)) == AE_OK)
        f->sink = ae_output_sink(f->output);
    return st;
}

ae_status archive_file_cut(archive_file *f, uint64_t size, ae_error *err)
{
    f->old_size = size;
    if (ftruncate(f->fd, (off_t)size) != 0 || lseek(f->fd, (off_t)size, SEEK_SET) < 0)
        return ae_fail(err, AE_ERR_IO, "%s", strerror(errno));
    return AE_OK;
}

ae_status archive_file_sync(archive_file *f, ae_error *err)
{
    if (f->output)
        return ae_output_flush(f->output, err); /* committing syncs */
    return ae_sync_file(f->fd, err);
}

int archive_file_descriptor(archive_file *f)
{
    return f->output ? ae_output_descriptor(f->output) : f->fd;
}

ae_status archive_file_commit(archive_file *f, ae_error *err)
{
    ae_status st = AE_OK;

    if (f->output) {
        st = ae_output_commit(f->output, err);
        f->output = NULL;
        return st;
    }
    if ((st = ae_sync_file(f->fd, err)) == AE_OK && f->fresh)
        st = ae_sync_directory(AT_FDCWD, f->path, err);
    if (st != AE_OK)
        return st;
    close(f->fd);
    f->fd = -1;
    return AE_OK;
}

void archive_file_close(archive_file *f)
{
    ae_output_discard(f->output);
    if (f->fd >= 0 && f->fresh)
        unlink(f->path); /* ours as long as it is locked */
    else if (f->fd >= 0 && f->old_size && ftruncate(f->fd, (off_t)f->old_size) != 0)
        cli_message("%s: %s", f->path, strerror(errno));
    if (f->fd >= 0)
        close(f->fd);
    *f = (archive_file){.fd = -1};
}
