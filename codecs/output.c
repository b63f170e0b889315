/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files that appear whole: written beside their target, flushed and renamed; and pipes, devices,
 * memory. */
#include "ae/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter.h"
#include "ae/temporary.h"

enum { BUFFER_BYTES = 1 << 16, MAX_PENDING = 128 };

/* Names that a signal handler can read at any time: a slot's text changes only while it is not
 * live. */
static struct {
    atomic_int state; /* 0 free, 1 taken, 2 live */
    int directory;
    char path[PATH_MAX];
} pending[MAX_PENDING];

struct ae_output {
    ae_sink sink;
    int fd;
    int directory; /* that path and temp are relative to */
    char *path;    /* the target; NULL where bytes go there directly */
    char *temp;
    struct timespec times[2]; /* for the file, once it is complete */
    bool preserve, timed, later;
    int slot; /* in pending, or -1 */
    bool replace;
    ae_status status; /* of the first failed write */
    size_t n_buffered;
    uint8_t buffer[BUFFER_BYTES];
};

static int add_pending(int directory, const char *path)
{
    if (strlen(path) >= PATH_MAX)
        return -1;
    for (int i = 0; i < MAX_PENDING; i++) {
        int expected = 0;

        if (atomic_compare_exchange_strong(&pending[i].state, &expected, 1)) {
            pending[i].directory = directory;
            strcpy(pending[i].path, path);
            atomic_store(&pending[i].state, 2);
            return i;
        }
    }
    return -1;
}

void ae_output_remove_pending(void)
{
    for (int i = 0; i < MAX_PENDING; i++)
        if (atomic_load(&pending[i].state) == 2)
            unlinkat(pending[i].directory, pending[i].path, 0);
}

static ae_status flush_buffer(ae_output *o, ae_error *err)
{
    if (o->status == AE_OK && o->n_buffered)
        o->status = aei_write_all(o->fd, o->buffer, o->n_buffered, err);
    o->n_buffered = 0;
    return o->status;
}

static ae_status output_write(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    ae_output *o = opaque;

    if (o->status != AE_OK)
        return ae_fail(err, o->status, "writing failed before");
    if (n_bytes > BUFFER_BYTES - o->n_buffered && flush_buffer(o, err) != AE_OK)
        return o->status;
    if (n_bytes >= BUFFER_BYTES)
        return o->status = aei_write_all(o->fd, data, n_bytes, err);
    memcpy(o->buffer + o->n_buffered, data, n_bytes);
    o->n_buffered += n_bytes;
    return AE_OK;
}

static ae_status output_seek(void *opaque, uint64_t offset, ae_error *err)
{
    ae_output *o = opaque;

    if (flush_buffer(o, err) == AE_OK && lseek(o->fd, (off_t)offset, SEEK_SET) < 0)
        o->status = ae_fail(err, AE_ERR_IO, "seek: %s", strerror(errno));
    return o->status;
}

/* A new file in the target's directory. */
static ae_status make_temp(ae_output *o, ae_error *err)
{
    ae_status st = ae_temporary_create(o->directory, o->path, &o->fd, &o->temp, err);

    if (st == AE_OK)
        o->slot = add_pending(o->directory, o->temp);
    return st;
}

/* The mode of the file that is replaced, or that of a new one, less what the input denies to its
 * group and to others. That a file system knows no modes is no failure. */
static void set_mode(const ae_output *o, const struct stat *replaced, const struct stat *input)
{
    struct stat made;
    mode_t mode;

    if (fstat(o->fd, &made) != 0)
        return;
    mode = (replaced ? replaced->st_mode : made.st_mode) & 07777;
    if (input && S_ISREG(input->st_mode))
        mode = o->preserve ? input->st_mode & 07777 : mode & ((input->st_mode & 0777) | 0700);
    if (mode != (made.st_mode & 07777))
        (void)!fchmod(o->fd, mode);
}

ae_status ae_output_open(const char *path, const char *input, unsigned flags, ae_output **out,
                         ae_error *err)
{
    return ae_output_open_at(AT_FDCWD, path, input, flags, out, err);
}

ae_status ae_output_open_at(int directory, const char *path, const char *input, unsigned flags,
                            ae_output **out, ae_error *err)
{
    ae_status st = AE_OK;
    bool below = directory != AT_FDCWD, standard = !below && strcmp(path, "-") == 0, exists,
         has_input;
    ae_output *o = ae_alloc(1, sizeof(*o));
    struct stat target, in;
    char *real = NULL;

    *out = NULL;
    if (!o)
        return ae_fail(err, AE_ERR_NOMEM, "output");
    o->fd = o->slot = -1;
    o->directory = directory;
    o->sink = (ae_sink){.opaque = o, .write = output_write};
    exists = standard ? fstat(STDOUT_FILENO, &target) == 0
                      : fstatat(directory, path, &target, below ? AT_SYMLINK_NOFOLLOW : 0) == 0;
    has_input = input && stat(input, &in) == 0;
    if (standard && !exists) {
        st = ae_fail(err, AE_ERR_IO, "standard output: %s", strerror(errno));
        goto done;
    }
    if (exists && S_ISDIR(target.st_mode)) {
        st = ae_fail(err, AE_ERR_IO, "is a directory");
        goto done;
    }
    if (exists && below && !S_ISREG(target.st_mode)) {
        st = ae_fail(err, AE_ERR_IO, "there is something that is no regular file");
        goto done;
    }
    if (exists && has_input && !(flags & AE_OUTPUT_IN_PLACE) && S_ISREG(target.st_mode) &&
        in.st_dev == target.st_dev && in.st_ino == target.st_ino) {
        st = ae_fail(err, AE_ERR_ARGUMENT, "input and output are the same file");
        goto done;
    }
    if (standard || (exists && !S_ISREG(target.st_mode))) {
        o->fd = standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                         : open(path, O_WRONLY | O_CLOEXEC);
        if (o->fd < 0)
            st = ae_fail(err, AE_ERR_IO, "cannot be written: %s", strerror(errno));
        goto done;
    }
    o->replace = flags & (AE_OUTPUT_FORCE | AE_OUTPUT_IN_PLACE);
    if (exists && !o->replace) {
        st = ae_fail(err, AE_ERR_ARGUMENT, "exists already");
        goto done;
    }
    /* A link is followed, not replaced. */
    real = exists && !below ? realpath(path, NULL) : NULL;
    o->path = ae_strdup(real ? real : path);
    if (!o->path) {
        st = ae_fail(err, AE_ERR_NOMEM, "output");
        goto done;
    }
    if ((st = make_temp(o, err)) != AE_OK)
        goto done;
    o->later = flags & AE_OUTPUT_LATER;
    o->preserve = flags & AE_OUTPUT_PRESERVE && has_input && S_ISREG(in.st_mode);
    if ((o->timed = o->preserve)) {
        o->times[0] = in.st_atim;
        o->times[1] = in.st_mtim;
    }
    set_mode(o, exists ? &target : NULL, has_input ? &in : NULL);
    o->sink.seek = output_seek;
done:
    free(real);
    if (st != AE_OK) {
        ae_output_discard(o);
        return st;
    }
    *out = o;
    return AE_OK;
}

ae_status ae_output_flush(ae_output *output, ae_error *err)
{
    return output->status == AE_OK ? flush_buffer(output, err)
                                   : ae_fail(err, output->status, "writing failed before");
}

int ae_output_descriptor(const ae_output *output)
{
    return output->path ? output->fd : -1;
}

ae_sink *ae_output_sink(ae_output *output)
{
    return &output->sink;
}

void ae_output_stamp(ae_output *output, int64_t changed, uint32_t mode)
{
    struct stat made;

    if (!output->path || fstat(output->fd, &made) != 0)
        return;
    output->timed = true;
    output->times[0] = output->times[1] = (struct timespec){.tv_sec = (time_t)changed};
    if (mode)
        (void)!fchmod(output->fd, output->preserve ? mode & ((made.st_mode & 0777) | 0700)
                                                   : made.st_mode & (mode | 0700));
}

/* Without `replace`, link() refuses a target that has appeared meanwhile; not all file systems have
 * it. */
static ae_status publish(ae_output *o, ae_error *err)
{
    if (!o->replace) {
        if (linkat(o->directory, o->temp, o->directory, o->path, 0) == 0)
            return AE_OK; /* discarding removes the other name */
        if (errno == EEXIST)
            return ae_fail(err, AE_ERR_ARGUMENT, "exists already");
    }
    if (renameat(o->directory, o->temp, o->directory, o->path) != 0)
        return ae_fail(err, AE_ERR_IO, "cannot be renamed into place: %s", strerror(errno));
    return AE_OK;
}

ae_status ae_output_commit(ae_output *output, ae_error *err)
{
    ae_status st = output->status == AE_OK ? flush_buffer(output, err)
                                           : ae_fail(err, output->status, "writing failed before");

    if (st == AE_OK && output->timed)
        (void)!futimens(output->fd, output->times); /* no reason to fail */
    if (st == AE_OK && output->path && !output->later)
        st = ae_sync_file(output->fd, err);
    if (st == AE_OK)
        st = ae_temporary_written(output->fd, err);
    if (st == AE_OK && output->path)
        st = publish(output, err);
    if (st == AE_OK && output->path && !output->later)
        st = ae_sync_directory(output->directory, output->path, err);
    ae_output_discard(output);
    return st;
}

void ae_output_discard(ae_output *output)
{
    if (!output)
        return;
    if (output->fd >= 0)
        close(output->fd);
    if (output->temp)
        unlinkat(output->directory, output->temp, 0); /* gone already after a rename */
    if (output->slot >= 0)
        atomic_store(&pending[output->slot].state, 0);
    ae_free(output->temp);
    ae_free(output->path);
    ae_free(output);
}

/* ---- memory ---- */

static ae_status memory_write(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    ae_memory_output *m = opaque;
    size_t end;

    if (__builtin_add_overflow(m->position, n_bytes, &end))
        return ae_fail(err, AE_ERR_NOMEM, "output of more than memory");
    if (end > m->capacity) {
        size_t capacity = end < 4096 ? 4096 : end + end / 2;
        uint8_t *data2 = ae_realloc(m->data, m->n_bytes, capacity);

        if (!data2)
            return ae_fail(err, AE_ERR_NOMEM, "output of %zu bytes", end);
        m->data = data2;
        m->capacity = capacity;
    }
    if (n_bytes)
        memcpy(m->data + m->position, data, n_bytes);
    m->position = end;
    if (end > m->n_bytes)
        m->n_bytes = end;
    return AE_OK;
}

static ae_status memory_seek(void *opaque, uint64_t offset, ae_error *err)
{
    ae_memory_output *m = opaque;

    if (offset > SIZE_MAX / 2)
        return ae_fail(err, AE_ERR_NOMEM, "output of more than memory");
    m->position = (size_t)offset;
    return AE_OK;
}

void ae_memory_output_init(ae_memory_output *memory)
{
    *memory = (ae_memory_output){
        .sink = {.opaque = memory, .write = memory_write, .seek = memory_seek}};
}
