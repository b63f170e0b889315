/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Preloaded: files whose n-th operation fails. BAD_FILES is "N KIND": 'e' fails with EIO; 's' with
 * ENOSPC where something is written or made, else with EIO; 'h' does half, of every read and write.
 * Operations of a process and what it forks count together, and reach the disk late: nothing waits
 * for it. At the end the count goes to the file that BAD_FILES_COUNT names. A temporary file that
 * is put in its place without its lock, so that who cleans there might have removed it, ends the
 * process. */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS /* both names of each function are needed */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static long *count;
static long wanted;
static char kind;
static pid_t first;

/* POSIX has pointers to functions fit where others do, ISO C does not say so. */
#pragma GCC diagnostic ignored "-Wpedantic"
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void start(void)
{
    const char *what = getenv("BAD_FILES");

    count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    first = getpid();
    if (!what || sscanf(what, "%ld %c", &wanted, &kind) != 2)
        wanted = 0;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("BAD_FILES_COUNT");
    FILE *f;
    long n = *count;

    if (!path || getpid() != first)
        return;
    wanted = 0;
    if ((f = fopen(path, "w")) != NULL) {
        fprintf(f, "%ld\n", n);
        fclose(f);
    }
}

/* Whether this operation fails, with errno set. */
static int fails(int writes)
{
    /* libraries that are being loaded go free */
    long n = count ? __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST) : 0;

    if (kind == 'h' || n != wanted)
        return 0;
    errno = kind == 's' && writes ? ENOSPC : EIO;
    return 1;
}

static int is_file(int fd)
{
    struct stat s;
    int before = errno;
    int result = fstat(fd, &s) == 0 && S_ISREG(s.st_mode);

    errno = before;
    return result;
}

static size_t share(size_t n)
{
    return kind == 'h' && n > 1 ? n / 2 : n;
}

/* Files of the system and of a model beside the tool are none of the job's. */
static int counts(const char *path)
{
    return strncmp(path, "/proc", 5) != 0 && strncmp(path, "/sys", 4) != 0 &&
           strncmp(path, "/dev", 4) != 0 && strncmp(path, "/etc", 4) != 0;
}

#define OPEN(name, parameters, arguments)                                                          \
    int name parameters                                                                            \
    {                                                                                              \
        mode_t mode = 0;                                                                           \
        va_list rest;                                                                              \
                                                                                                   \
        va_start(rest, flags);                                                                     \
        if (flags & (O_CREAT | O_TMPFILE))                                                         \
            mode = va_arg(rest, mode_t);                                                           \
        va_end(rest);                                                                              \
        return counts(path) && fails(flags & O_CREAT) ? -1 : REAL(name) arguments;                 \
    }
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))

#define MOVE(name, writes, parameters, arguments)                                                  \
    ssize_t name parameters                                                                        \
    {                                                                                              \
        if (!is_file(fd))                                                                          \
            return REAL(name) arguments;                                                           \
        if (fails(writes))                                                                         \
            return -1;                                                                             \
        n = share(n);                                                                              \
        return REAL(name) arguments;                                                               \
    }
MOVE(read, 0, (int fd, void *to, size_t n), (fd, to, n))
MOVE(pread, 0, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
MOVE(pread64, 0, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
MOVE(write, 1, (int fd, const void *from, size_t n), (fd, from, n))
MOVE(pwrite, 1, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))
MOVE(pwrite64, 1, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))

int fsync(int fd)
{
    (void)fd;
    return -fails(1);
}

int fdatasync(int fd)
{
    (void)fd;
    return -fails(1);
}

int syncfs(int fd)
{
    (void)fd;
    return -fails(1);
}

int close(int fd)
{
    int file = is_file(fd), result = REAL(close)(fd);

    return file && fails(1) ? -1 : result;
}

int fflush(FILE *f)
{
    return f && is_file(fileno(f)) && fails(1) ? EOF : REAL(fflush)(f);
}

int fclose(FILE *f)
{
    int file = is_file(fileno(f)), result = REAL(fclose)(f);

    return file && fails(1) ? EOF : result;
}

int ftruncate(int fd, off_t length)
{
    return fails(1) ? -1 : REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off_t length)
{
    return fails(1) ? -1 : REAL(ftruncate64)(fd, length);
}

/* Another open file cannot have the lock that somebody holds. */
static void must_be_locked(int at, const char *name)
{
    int fd = strstr(name, ".ae-") ? REAL(openat)(at, name, O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        fprintf(stderr, "%s is renamed without its lock\n", name);
        abort();
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
}

int rename(const char *from, const char *to)
{
    must_be_locked(AT_FDCWD, from);
    return fails(1) ? -1 : REAL(rename)(from, to);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    must_be_locked(from_at, from);
    return fails(1) ? -1 : REAL(renameat)(from_at, from, to_at, to);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    return fails(1) ? -1 : REAL(renameat2)(from_at, from, to_at, to, flags);
}

int link(const char *from, const char *to)
{
    return fails(1) ? -1 : REAL(link)(from, to);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    must_be_locked(from_at, from);
    return fails(1) ? -1 : REAL(linkat)(from_at, from, to_at, to, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(1) ? -1 : REAL(mkdir)(path, mode);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    return fails(1) ? -1 : REAL(mkdirat)(at, path, mode);
}

long syscall(long number, ...)
{
    long a[6];
    va_list rest;

    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
#ifdef SYS_openat2
    if (number == SYS_openat2 && fails(1))
        return -1;
#endif
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
