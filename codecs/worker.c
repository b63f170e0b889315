/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The keeper and the processes that decode, as apart.h describes them. Before a process looks at
 * the first byte of a stranger's file it gives up all that it need not have (confine.h). */
#define _GNU_SOURCE
#include "apart.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "module.h"
#include "ae/files.h"

typedef struct process {
    int socket;
    ae_source *source;
    ae_reader reader;
    size_t n_meta; /* items that have been told */
    apart_slots *slots;
    ae_writer writer; /* of a file like the source */
    uint8_t *row;     /* one that is longer than a slot, or NULL */
    size_t row_at;    /* of it, what has been given; its length: all */
} process;

/* ---- the socket, for both sides ---- */

bool aei_apart_send(int socket, const void *data, size_t n_bytes, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {(void *)data, n_bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    }
    while (part.iov_len) {
        ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        part.iov_base = (char *)part.iov_base + n;
        part.iov_len -= (size_t)n;
        message.msg_control = NULL; /* it went with the first bytes */
        message.msg_controllen = 0;
    }
    return true;
}

bool aei_apart_receive(int socket, void *data, size_t n_bytes, int *fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {data, n_bytes};

    if (fd)
        *fd = -1;
    while (part.iov_len) {
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = fd ? &control : NULL,
                                 .msg_controllen = fd ? sizeof(control) : 0};
        ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        if (c && fd && *fd < 0 && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            c->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(fd, CMSG_DATA(c), sizeof(*fd));
        part.iov_base = (char *)part.iov_base + n;
        part.iov_len -= (size_t)n;
    }
    return true;
}

/* ---- a process that decodes ---- */

/* Items that have not been told yet, in one block from ae_alloc. */
static uint8_t *pack_meta(process *p, uint64_t *n_bytes)
{
    const ae_meta *meta = &p->reader.meta;
    uint64_t n = 0;
    uint8_t *all, *to;

    for (size_t i = p->n_meta; i < meta->n_items; i++)
        n += sizeof(apart_meta) + (meta->items[i].key ? strlen(meta->items[i].key) + 1 : 0) +
             meta->items[i].n_bytes;
    *n_bytes = n;
    if (!n || !(all = to = ae_alloc(n, 1)))
        return NULL;
    for (size_t i = p->n_meta; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];
        apart_meta head = {item->kind, item->key ? (uint32_t)strlen(item->key) + 1 : 0,
                           item->n_bytes};

        memcpy(to, &head, sizeof(head));
        to += sizeof(head);
        if (item->key)
            memcpy(to, item->key, head.n_key);
        to += head.n_key;
        memcpy(to, item->value, item->n_bytes);
        to += item->n_bytes;
    }
    p->n_meta = meta->n_items;
    return all;
}

/* An answer with all that the reader has to tell. */
static bool answer(process *p, apart_answer *a)
{
    uint8_t *meta = NULL;
    bool sent;

    if (a->error.status == AE_OK) {
        const ae_reader *r = &p->reader;

        a->info = r->info;
        a->n_further = r->n_further;
        while (ae_codecs[a->codec] && ae_codecs[a->codec] != r->codec)
            a->codec++;
        memcpy(a->quality, r->quality, sizeof(a->quality));
        memcpy(a->note, r->note, sizeof(a->note));
        meta = pack_meta(p, &a->n_meta);
        if (a->n_meta && !meta)
            ae_fail(&a->error, AE_ERR_NOMEM, "metadata");
        a->n_kept = a->n_bytes || a->ended ? 0 : r->n_kept;
    }
    if (a->error.status != AE_OK) {
        a->n_meta = a->n_kept = 0;
        a->missed = aei_module_missed();
    }
    sent = aei_apart_send(p->socket, a, sizeof(*a), -1) &&
           aei_apart_send(p->socket, meta, a->n_meta, -1) &&
           aei_apart_send(p->socket, p->reader.kept, a->n_kept, -1);
    ae_free(meta);
    return sent;
}

static void close_file(process *p)
{
    aei_close_here(&p->reader);
    ae_source_free(p->source);
    ae_free(p->row);
    p->source = NULL;
    p->row = NULL;
    p->n_meta = 0;
}

static bool open_file(process *p, const apart_request *request, int fd)
{
    char *name = ae_alloc((size_t)request->n_name + 1, 1);
    apart_answer a = {.ended = 0};
    ae_status st;
    bool heard = name && aei_apart_receive(p->socket, name, request->n_name, NULL);

    close_file(p);
    if (!heard || fd < 0) {
        ae_free(name);
        return false;
    }
    st = aei_source_adopt(fd, name, request->size, &p->source, &a.error);
    if (st != AE_OK)
        close(fd);
    else
        st = aei_open_here(p->source, &request->limits, request->track, &p->reader, &a.error);
    a.error.status = st;
    ae_free(name);
    return answer(p, &a);
}

/* Another picture of the same file. */
static bool open_picture(process *p, uint32_t n)
{
    apart_answer a = {.ended = 0};

    if (!p->source)
        return false;
    ae_free(p->row);
    p->row = NULL;
    p->n_meta = 0;
    a.error.status = aei_picture_here(&p->reader, n, &a.error);
    return answer(p, &a);
}

/* Rows for a slot; returns their bytes. What went wrong after some waits in *late until these have
 * been given. */
static uint32_t fill_with_rows(process *p, uint8_t *slot, ae_error *late)
{
    size_t row = ae_row_bytes(&p->reader.info);
    uint32_t most = (uint32_t)(APART_SLOT_BYTES / row), done = 0, n = 1;

    while (done < most && n && late->status == AE_OK) {
        late->status = aei_read_some_here(&p->reader, slot + done * row, most - done, &n, late);
        done += n;
    }
    return (uint32_t)(done * row);
}

/* The next piece of a row; 0 where there is no row. */
static uint32_t fill_with_piece(process *p, uint8_t *slot, ae_error *late)
{
    size_t row = ae_row_bytes(&p->reader.info), n_bytes;
    uint32_t n = 1;

    if (!p->row) {
        if (!(p->row = ae_alloc(row, 1)))
            late->status = ae_fail(late, AE_ERR_NOMEM, "a row of %zu bytes", row);
        p->row_at = row;
    }
    if (late->status == AE_OK && p->row_at == row) {
        late->status = aei_read_some_here(&p->reader, p->row, 1, &n, late);
        p->row_at = 0;
    }
    if (late->status != AE_OK || !n)
        return 0;
    n_bytes = row - p->row_at < APART_SLOT_BYTES ? row - p->row_at : APART_SLOT_BYTES;
    memcpy(slot, p->row + p->row_at, n_bytes);
    p->row_at += n_bytes;
    return (uint32_t)n_bytes;
}

/* All rows, as far ahead as there are slots. */
static bool read_file(process *p)
{
    const ae_reader *r = &p->reader;
    size_t row = ae_row_bytes(&r->info);
    ae_error late = {.status = AE_OK};
    uint32_t n_free = APART_SLOTS, next = 0;
    bool ended = !p->source;

    while (!ended) {
        apart_answer a = {.ended = 0};
        apart_request more;

        if (!n_free) {
            if (!aei_apart_receive(p->socket, &more, sizeof(more), NULL) || more.what != APART_NEXT)
                return false;
            n_free++;
            continue;
        }
        if (late.status == AE_OK)
            a.n_bytes = (row > APART_SLOT_BYTES ? fill_with_piece
                                                : fill_with_rows)(p, (*p->slots)[next], &late);
        ended = !a.n_bytes;
        if (ended)
            a.error = late;
        /* of sounds the length is not always known */
        else if (r->info.kind != AE_KIND_AUDIO && late.status == AE_OK)
            ended = r->n_read == r->info.height && (!p->row || p->row_at == row);
        a.ended = ended;
        if (!answer(p, &a))
            return false;
        n_free--;
        next = (next + 1) % APART_SLOTS;
    }
    return true;
}

/* ---- writing ---- */

static ae_status put_bytes(void *opaque, const void *data, size_t n_bytes, ae_error *err)
{
    const process *p = opaque;
    apart_output o = {.what = APART_BYTES, .n_bytes = (uint32_t)n_bytes};

    if (n_bytes != o.n_bytes || !aei_apart_send(p->socket, &o, sizeof(o), -1) ||
        !aei_apart_send(p->socket, data, n_bytes, -1))
        return ae_fail(err, AE_ERR_IO, "the output has gone");
    return AE_OK;
}

static ae_status put_place(void *opaque, uint64_t offset, ae_error *err)
{
    const process *p = opaque;
    apart_output o = {.what = APART_PLACE, .place = offset};

    return aei_apart_send(p->socket, &o, sizeof(o), -1)
               ? AE_OK
               : ae_fail(err, AE_ERR_IO, "the output has gone");
}

static bool say_done(process *p, const ae_error *error)
{
    apart_output o = {.what = APART_DONE, .error = *error};

    memcpy(o.note, p->writer.note, sizeof(o.note));
    return aei_apart_send(p->socket, &o, sizeof(o), -1);
}

static bool create_file(process *p, const apart_request *request, int fd)
{
    static ae_sink sink = {.write = put_bytes, .seek = put_place};
    char *name = ae_alloc((size_t)request->n_name + 1, 1);
    apart_creation c;
    ae_reader like = {.limits = request->limits};
    ae_write_options options = {.like = &like};
    ae_error error = {.status = AE_OK};
    ae_status st;
    bool heard = name && aei_apart_receive(p->socket, name, request->n_name, NULL) &&
                 aei_apart_receive(p->socket, &c, sizeof(c), NULL);

    if (!heard || fd < 0) {
        ae_free(name);
        return false;
    }
    if ((st = aei_source_adopt(fd, name, request->size, &p->source, &error)) == AE_OK) {
        like.codec = p->writer.codec = ae_codecs[c.codec];
        like.source = p->source;
        like.kept = c.kept;
        like.n_kept = c.n_kept;
        memcpy(like.quality, c.like_quality, sizeof(c.like_quality));
        options.quality = c.quality;
        options.lossless = c.lossless;
        p->writer.info = c.info;
        sink.opaque = p;
        st = p->writer.codec->create(&sink, &c.info, &like.meta, &options, &p->writer, &error);
    }
    error.status = st;
    ae_free(name);
    return say_done(p, &error);
}

static bool write_rows(process *p, size_t n_bytes)
{
    static uint8_t rows[APART_SLOT_BYTES];
    ae_error error = {.status = AE_OK};

    if (n_bytes > sizeof(rows) || !aei_apart_receive(p->socket, rows, n_bytes, NULL))
        return false;
    error.status = p->writer.codec->write(
        &p->writer, rows, (uint32_t)(n_bytes / ae_row_bytes(&p->writer.info)), &error);
    return say_done(p, &error);
}

static bool finish_file(process *p)
{
    ae_error error = {.status = AE_OK};

    error.status = p->writer.codec->finish(&p->writer, &error);
    return say_done(p, &error);
}

_Noreturn static void serve(int socket, apart_ledger *ledger, apart_slots *slots, uint32_t number,
                            apart_rights given_up)
{
    process p = {.socket = socket, .slots = slots + number};
    apart_request request;
    bool going = true;
    int fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* a crash is foreseen */
    ae_memory_share(&ledger->taken, &ledger->entries[number].own);
    munmap(slots, number * sizeof(*slots)); /* the others' */
    munmap(slots + number + 1, (APART_PROCESSES - 1 - number) * sizeof(*slots));
    aei_module_forbid();
    if ((given_up.files && !aei_confine_files()) || (given_up.calls && !aei_confine_calls()))
        _exit(1);
    while (going && aei_apart_receive(socket, &request, sizeof(request), &fd))
        switch (request.what) {
        case APART_OPEN: going = open_file(&p, &request, fd); break;
        case APART_READ: going = read_file(&p); break;
        case APART_PICTURE: going = open_picture(&p, request.track); break;
        case APART_CLOSE: close_file(&p); break;
        case APART_CREATE: going = create_file(&p, &request, fd); break;
        case APART_WRITE: going = write_rows(&p, (size_t)request.size); break;
        case APART_FINISH: going = finish_file(&p); break;
        default: break; /* the slots of a file that has ended */
        }
    _exit(0);
}

/* ---- the keeper ---- */

/* Of what the tool has open nothing is left but the socket, which becomes descriptor 3. */
static void close_others(int *socket)
{
    enum { SOCKET = 3 };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; null >= 0 && fd < (AEI_SANITIZED ? STDERR_FILENO : SOCKET); fd++)
        dup2(null, fd);
    if (*socket != SOCKET)
        dup2(*socket, SOCKET);
    *socket = SOCKET;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, SOCKET + 1, ~0u, 0) == 0)
        return;
#endif
    for (int fd = SOCKET + 1, n = (int)sysconf(_SC_OPEN_MAX); fd < n; fd++)
        close(fd);
}

_Noreturn void aei_apart_keep(int socket, apart_ledger *ledger, apart_slots *slots)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    static pid_t processes[APART_PROCESSES];
    apart_rights taken;
    apart_order order;
    int fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        signal(ignored[i], SIG_IGN);
    close_others(&socket);
    taken.files = aei_can_confine_files();
    taken.calls = AEI_CONFINES_CALLS && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != 0 &&
                  errno == EFAULT;
    if (!aei_apart_send(socket, &taken, sizeof(taken), -1))
        _exit(0);
    while (aei_apart_receive(socket, &order, sizeof(order), &fd)) {
        pid_t *child = &processes[order.entry];

        if (order.end) {
            int status = 0;

            if (*child > 0) {
                kill(*child, SIGKILL); /* unless it has ended by itself */
                waitpid(*child, &status, 0);
            }
            *child = 0;
            aei_apart_send(socket, &status, sizeof(status), -1);
            continue;
        }
        aei_module_load(order.modules);
        if ((*child = fork()) == 0) {
            close(socket);
            serve(fd, ledger, slots, order.entry, taken);
        }
        close(fd);
    }
    _exit(0);
}
