/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A temporary file is called .ae-PID-N.tmp and locked (flock) by who writes it for as long as it is
 * open. The kernel drops the lock with the process however that ends, so what can be locked is
 * nobody's. Names with a process number alone would not tell: numbers are used again, and other
 * machines may write to the same directory. */
#define _GNU_SOURCE
#include "ae/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REMEMBERED = 64 };

static bool is_ours(const char *name)
{
    unsigned long process, number;
    int end = 0;

    return sscanf(name, ".ae-%lu-%lu.tmp%n", &process, &number, &end) == 2 && end && !name[end];
}

/* False for a directory that was cleaned lately: its number is kept, the oldest of REMEMBERED is
 * forgotten. */
static bool is_new_directory(const struct stat *s)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct {
        dev_t device;
        ino_t inode;
    } seen[REMEMBERED];
    static unsigned n;
    bool found = false;

    pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < REMEMBERED && i < n && !found; i++)
        found = seen[i].device == s->st_dev && seen[i].inode == s->st_ino;
    if (!found) {
        seen[n % REMEMBERED].device = s->st_dev;
        seen[n++ % REMEMBERED].inode = s->st_ino;
    }
    pthread_mutex_unlock(&mutex);
    return !found;
}

static void remove_unlocked(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat s;

    if (fd < 0)
        return;
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(directory, name, 0);
    close(fd);
}

/* What cannot be read or removed stays: it is no part of the work at hand. */
static void clean(int at, const char *path, int n_directory)
{
    char directory[4096];
    int fd;
    struct stat s;
    DIR *d = NULL;

    if (snprintf(directory, sizeof(directory), "%.*s", n_directory, n_directory ? path : "") >=
        (int)sizeof(directory))
        return;
    fd = openat(at, *directory ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &s) == 0 && is_new_directory(&s))
        d = fdopendir(fd);
    if (!d) {
        close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (is_ours(entry->d_name))
            remove_unlocked(fd, entry->d_name);
    closedir(d);
}

/* Whether the new file is ours and still there: between its making and its locking someone who
 * cleans may have come. A file system without locks is as good as it can be. */
static bool lock(int fd)
{
    struct stat s;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return false;
    return fstat(fd, &s) != 0 || s.st_nlink > 0;
}

ae_status ae_temporary_create(int at, const char *path, int *fd, char **name, ae_error *err)
{
    static atomic_uint counter;
    const char *slash = strrchr(path, '/');
    int n_directory = slash ? (int)(slash - path) + 1 : 0;
    size_t n = (size_t)n_directory + 48;
    int reason;

    *fd = -1;
    if (!(*name = ae_alloc(n, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a file name");
    clean(at, path, n_directory);
    for (;;) {
        snprintf(*name, n, "%.*s.ae-%ld-%u.tmp", n_directory, path, (long)getpid(),
                 atomic_fetch_add(&counter, 1));
        *fd = openat(at, *name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (*fd >= 0 && lock(*fd))
            return AE_OK;
        reason = errno;
        if (*fd >= 0)
            close(*fd); /* another process removes it */
        else if (reason != EEXIST)
            break;
        *fd = -1;
    }
    ae_free(*name);
    *name = NULL;
    return ae_fail(err, AE_ERR_IO, "cannot write there: %s", strerror(reason));
}

ae_status ae_temporary_written(int fd, ae_error *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    /* each close of a file reports, its lock goes with the last */
    return copy >= 0 && close(copy) == 0 ? AE_OK
                                         : ae_fail(err, AE_ERR_IO, "write: %s", strerror(errno));
}

/* ---- to the disk ---- */

static atomic_bool no_sync;

void ae_sync_enable(bool on)
{
    atomic_store(&no_sync, !on);
}

bool ae_sync_enabled(void)
{
    return !atomic_load(&no_sync);
}

ae_status ae_sync_file(int fd, ae_error *err)
{
    if (atomic_load(&no_sync) || fsync(fd) == 0 || errno == EINVAL || errno == EROFS ||
        errno == ENOTSUP)
        return AE_OK;
    return ae_fail(err, AE_ERR_IO, "write: %s", strerror(errno));
}

ae_status ae_sync_filesystem(const char *path, ae_error *err)
{
    int fd = atomic_load(&no_sync) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ae_status st = AE_OK;

    /* there may be nothing, or it may not be read: then nobody has asked for more than writing */
    if (fd < 0)
        return AE_OK;
    if (syncfs(fd) != 0)
        st = ae_fail(err, AE_ERR_IO, "write: %s", strerror(errno));
    close(fd);
    return st;
}

ae_status ae_sync_directory(int at, const char *path, ae_error *err)
{
    const char *slash = strrchr(path, '/');
    char directory[4096] = ".";
    ae_status st;
    int fd;

    if (atomic_load(&no_sync))
        return AE_OK;
    if (slash && snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path) >=
                     (int)sizeof(directory))
        return ae_fail(err, AE_ERR_IO, "%s", strerror(ENAMETOOLONG));
    if ((fd = openat(at, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return AE_OK; /* one that may be written to, but not read */
    st = ae_sync_file(fd, err);
    close(fd);
    return st;
}
