/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Landlock takes away files, seccomp calls. Both are asked what they know before anything is given
 * up, since kernels differ; the headers of the machine that builds may be older than the kernel
 * that runs, so later rights are named by number. */
#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#endif
#if AEI_CONFINES_CALLS
#include <seccomp.h>
#endif

#if defined(LANDLOCK_CREATE_RULESET_VERSION) && defined(SYS_landlock_create_ruleset)

/* Later versions of the kernel's interface than the headers need know; what an older kernel does
 * not know is left out. */
enum { REFER = 13, TRUNCATE = 14, IOCTL = 15 }; /* bits of rights that headers may not have */

typedef struct landlock_rights {
    uint64_t files, ports, scopes;
} landlock_rights;

static size_t rights_of(long version, landlock_rights *rights)
{
    enum { OLDEST_FILE_RIGHTS = 13 };

    *rights = (landlock_rights){.files = (UINT64_C(1) << OLDEST_FILE_RIGHTS) - 1};
    if (version >= 2)
        rights->files |= UINT64_C(1) << REFER;
    if (version >= 3)
        rights->files |= UINT64_C(1) << TRUNCATE;
    if (version >= 5)
        rights->files |= UINT64_C(1) << IOCTL;
    if (version >= 4)
        rights->ports = 3; /* to bind and to connect */
    if (version >= 6)
        rights->scopes = 3; /* abstract sockets and signals beyond those confined alike */
    return version >= 6   ? sizeof(*rights)
           : version >= 4 ? offsetof(landlock_rights, scopes)
                          : offsetof(landlock_rights, ports);
}

static long kernel_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

bool aei_can_confine_files(void)
{
    return kernel_version() >= 1;
}

bool aei_confine_files(void)
{
    long version = kernel_version();
    landlock_rights rights;
    size_t n;
    int fd;
    bool done;

    if (version < 1 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    n = rights_of(version, &rights);
    if ((fd = (int)syscall(SYS_landlock_create_ruleset, &rights, n, 0)) < 0)
        return false;
    done = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close(fd);
    return done;
}

/* Length of what leads to a path's last part, without the slash; 0 where nothing does. */
static size_t parent_of(const char *path, size_t n)
{
    while (n && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n;
}

/* Writing in or below what is open there, which is closed; true for -1, where nobody could write,
 * either. */
static bool allow(int ruleset, uint64_t handled, int fd)
{
    const uint64_t to_files = UINT64_C(1) << TRUNCATE | LANDLOCK_ACCESS_FS_WRITE_FILE,
                   below = to_files | UINT64_C(1) << REFER | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                           LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR;
    struct landlock_path_beneath_attr rule = {.parent_fd = fd};
    struct stat s;
    bool done;

    if (fd < 0)
        return true;
    rule.allowed_access = handled & (fstat(fd, &s) == 0 && S_ISDIR(s.st_mode) ? below : to_files);
    done = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    close(fd);
    return done;
}

/* The directory of a path, of which n bytes lead there, or of those around it the first that is
 * there. */
static bool allow_around(int ruleset, uint64_t handled, const char *path, size_t n)
{
    char directory[PATH_MAX];
    int fd = -1;

    if (n >= sizeof(directory))
        return true; /* which no call takes */
    do {
        memcpy(directory, path, n);
        directory[n] = 0;
        fd = open(n ? directory : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (!n || (n == 1 && *path == '/'))
            break;
        n = parent_of(path, n);
    } while (fd < 0 && errno == ENOENT);
    return allow(ruleset, handled, fd);
}

static bool allow_path(int ruleset, uint64_t handled, const char *path)
{
    char real[PATH_MAX];
    struct stat s;
    bool there = lstat(path, &s) == 0;

    if (there && S_ISDIR(s.st_mode))
        return allow_around(ruleset, handled, path, strlen(path));
    if (there && S_ISLNK(s.st_mode) && realpath(path, real) && stat(real, &s) == 0 &&
        !allow_around(ruleset, handled, real, parent_of(real, strlen(real))))
        return false;
    if (there && !S_ISREG(s.st_mode) && !S_ISLNK(s.st_mode))
        return allow(ruleset, handled, open(path, O_PATH | O_CLOEXEC)); /* a device, a pipe */
    return allow_around(ruleset, handled, path, parent_of(path, strlen(path)));
}

bool aei_confine_writes(const char *const *paths, size_t n)
{
    const uint64_t reading = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                             LANDLOCK_ACCESS_FS_READ_DIR | UINT64_C(1) << IOCTL;
    const char *temporary = getenv("TMPDIR");
    long version = kernel_version();
    landlock_rights rights;
    bool done;
    int fd;

    if (version < 1 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    rights_of(version, &rights);
    rights.files &= ~reading;
    fd = (int)syscall(SYS_landlock_create_ruleset, &rights, sizeof(rights.files), 0);
    if (fd < 0)
        return false;
    temporary = temporary && *temporary ? temporary : "/tmp";
    done = allow(fd, rights.files, open(temporary, O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (size_t i = 0, last = 0; i < n && done; i++) {
        size_t around = parent_of(paths[i], strlen(paths[i]));
        struct stat s;

        /* of a directory full of files once is enough */
        if (i && around == parent_of(paths[last], strlen(paths[last])) &&
            memcmp(paths[i], paths[last], around) == 0 &&
            (lstat(paths[i], &s) != 0 || S_ISREG(s.st_mode)))
            continue;
        done = allow_path(fd, rights.files, paths[i]);
        last = i;
    }
    done = done && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close(fd);
    return done;
}

#else

bool aei_confine_writes(const char *const *paths, size_t n)
{
    (void)paths;
    (void)n;
    return false;
}

bool aei_can_confine_files(void)
{
    return false;
}

bool aei_confine_files(void)
{
    return false;
}

#endif

#if AEI_CONFINES_CALLS

/* A new mapping, or new rights for an old one, must not be for code. */
static bool allow_data(scmp_filter_ctx filter, int call)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
}

static bool fill(scmp_filter_ctx filter)
{
    static const int calls[] = {
        SCMP_SYS(read),
        SCMP_SYS(readv),
        SCMP_SYS(pread64),
        SCMP_SYS(write),
        SCMP_SYS(writev),
        SCMP_SYS(lseek),
        SCMP_SYS(close),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(recvmsg),
        SCMP_SYS(recvfrom),
        SCMP_SYS(sendmsg),
        SCMP_SYS(sendto),
        SCMP_SYS(brk),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        SCMP_SYS(futex),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(rseq),
        SCMP_SYS(sched_yield),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(getcpu),
        SCMP_SYS(gettid),
        SCMP_SYS(getpid),
        SCMP_SYS(getrandom),
        SCMP_SYS(uname),
        SCMP_SYS(sysinfo),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_getres),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(nanosleep),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
    };

    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
            return false;
    /* clone3 hides its flags in memory: libraries that hear that it does not exist take clone. */
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM,
                                    CLONE_THREAD | CLONE_VM)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                            SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0 &&
           allow_data(filter, SCMP_SYS(mmap)) && allow_data(filter, SCMP_SYS(mprotect));
}

/* Loads a filter, for nothing but itself: kernels before 5.16 would make the processor guess less,
 * which costs time everywhere. */
static bool load(scmp_filter_ctx filter, bool (*fill_in)(scmp_filter_ctx))
{
    bool done = filter && fill_in(filter) &&
                seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1) == 0 && seccomp_load(filter) == 0;

    if (filter)
        seccomp_release(filter);
    return done;
}

bool aei_confine_calls(void)
{
    return load(seccomp_init(SCMP_ACT_ERRNO(EPERM)), fill);
}

static bool fill_for_tool(scmp_filter_ctx filter)
{
    static const int calls[] = {
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(fork),
        SCMP_SYS(vfork),
        SCMP_SYS(socket),
        SCMP_SYS(connect),
        SCMP_SYS(bind),
        SCMP_SYS(listen),
        SCMP_SYS(accept),
        SCMP_SYS(accept4),
        SCMP_SYS(ptrace),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(pidfd_open),
        SCMP_SYS(pidfd_getfd),
        SCMP_SYS(bpf),
        SCMP_SYS(perf_event_open),
        SCMP_SYS(io_uring_setup),
        SCMP_SYS(userfaultfd),
        SCMP_SYS(keyctl),
        SCMP_SYS(add_key),
        SCMP_SYS(request_key),
        SCMP_SYS(mount),
        SCMP_SYS(umount2),
        SCMP_SYS(pivot_root),
        SCMP_SYS(chroot),
        SCMP_SYS(unshare),
        SCMP_SYS(setns),
        SCMP_SYS(open_by_handle_at),
        SCMP_SYS(init_module),
        SCMP_SYS(finit_module),
        SCMP_SYS(delete_module),
        SCMP_SYS(kexec_load),
        SCMP_SYS(personality),
        SCMP_SYS(reboot),
        SCMP_SYS(clock_settime),
        SCMP_SYS(settimeofday),
    };

    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0) != 0)
            return false;
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

bool aei_confine_tool(void)
{
    return load(seccomp_init(SCMP_ACT_ALLOW), fill_for_tool);
}

#else

bool aei_confine_calls(void)
{
    return false;
}

bool aei_confine_tool(void)
{
    return false;
}

#endif
