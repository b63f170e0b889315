/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Below a directory each component is opened by itself, relative to the one above and without
 * following links, so that nobody who writes there meanwhile can lead the way out. */
#define _GNU_SOURCE
#include "common/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ae_status cli_make_directories(const char *path, ae_error *err)
{
    char *copy = ae_strdup(path);
    ae_status st = copy ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a file name");
    struct stat s;

    for (char *c = copy ? copy + 1 : NULL; c && *c && st == AE_OK; c++)
        if (*c == '/') {
            *c = 0;
            if (mkdir(copy, 0777) != 0 && errno != EEXIST &&
                !(stat(copy, &s) == 0 && S_ISDIR(s.st_mode)))
                st = ae_fail(err, AE_ERR_IO, "%s: cannot make this directory: %s", copy,
                             strerror(errno));
            *c = '/';
        }
    ae_free(copy);
    return st;
}

/* The base itself may be reached by links: whoever named it meant it. */
static ae_status open_base(const char *base, int *fd, ae_error *err)
{
    ae_status st = cli_make_directories(base, err);

    if (st == AE_OK && mkdir(base, 0777) != 0 && errno != EEXIST)
        st = ae_fail(err, AE_ERR_IO, "%s: cannot make this directory: %s", base, strerror(errno));
    if (st == AE_OK && (*fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        st = ae_fail(err, AE_ERR_IO, "%s: %s", base, strerror(errno));
    return st;
}

ae_status cli_open_beneath(const char *base, const char *path, int *fd, ae_error *err)
{
    const char *slash;
    ae_status st;

    *fd = -1;
    st = open_base(base, fd, err);
    for (; st == AE_OK && (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char *name = ae_alloc((size_t)(slash - path) + 1, 1);
        int next = -1;

        if (!name)
            st = ae_fail(err, AE_ERR_NOMEM, "a file name");
        else if (memcpy(name, path, (size_t)(slash - path)), strcmp(name, "..") == 0)
            st = ae_fail(err, AE_ERR_ARGUMENT, "%s: leads out of the directory", path);
        else if ((mkdirat(*fd, name, 0777) != 0 && errno != EEXIST) ||
                 (next = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
            st = ae_fail(err, AE_ERR_IO, "%s: %s", name,
                         errno == ENOTDIR || errno == ELOOP
                             ? "no directory, or a link to one (--keep-links follows it)"
                             : strerror(errno));
        ae_free(name);
        if (st == AE_OK) {
            close(*fd);
            *fd = next;
        }
    }
    if (st != AE_OK && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return st;
}
