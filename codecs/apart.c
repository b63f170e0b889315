/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tool's side of decoding apart, as apart.h describes it: the processes that decode, idle or
 * at work for a reader, the orders to the keeper, and rows taken from memory that is shared. A
 * process that dies costs the item that it was at, and nothing else. */
#define _GNU_SOURCE
#include "apart.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ae/files.h"
#include "confine.h"

typedef apart_process helper;

static int keeper = -1;
static apart_ledger *ledger;
static apart_slots *slots;
/* of the three below, and of the keeper's socket */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static helper *idle;
static bool in_use[APART_PROCESSES];
static uint32_t modules; /* that processes start with: what has been lacking so far */

bool ae_decode_apart(char what[160])
{
    int pair[2];
    apart_rights taken;
    pid_t child;

    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    slots = mmap(NULL, APART_PROCESSES * sizeof(*slots), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ledger == MAP_FAILED || slots == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        snprintf(what, 160, "decoders run in this process: %s", strerror(errno));
        return false;
    }
    if ((child = fork()) == 0) {
        close(pair[0]);
        aei_apart_keep(pair[1], ledger, slots);
    }
    close(pair[1]);
    if (child < 0 || !aei_apart_receive(pair[0], &taken, sizeof(taken), NULL)) {
        close(pair[0]);
        snprintf(what, 160, "decoders run in this process: no process for them");
        return false;
    }
    ae_memory_share(&ledger->taken, NULL);
    keeper = pair[0];
    snprintf(what, 160, "decoders run apart: %s, %s",
             taken.files ? "no file can be opened (Landlock)"
                         : "files are open to them (no Landlock)",
             taken.calls ? "system calls are restricted (seccomp)"
                         : "system calls are not restricted (no seccomp)");
    return true;
}

bool ae_confine(void)
{
    return !AEI_SANITIZED && aei_confine_tool();
}

bool ae_confine_writes(const char *const *paths, size_t n)
{
    return !AEI_SANITIZED && aei_confine_writes(paths, n);
}

/* ---- processes ---- */

int aei_apart_end(helper *h)
{
    apart_order order = {.entry = h->entry, .end = 1};
    int status = 0;

    pthread_mutex_lock(&mutex);
    if (!aei_apart_send(keeper, &order, sizeof(order), -1) ||
        !aei_apart_receive(keeper, &status, sizeof(status), NULL))
        status = 0;
    ae_memory_give(ledger->entries[h->entry].own);
    in_use[h->entry] = false;
    pthread_mutex_unlock(&mutex);
    close(h->socket);
    h->socket = -1;
    return status;
}

ae_status aei_apart_start(helper **out, ae_error *err)
{
    helper *h = ae_alloc(1, sizeof(*h));
    int pair[2];
    bool sent;

    if (!h)
        return ae_fail(err, AE_ERR_NOMEM, "a process to decode");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        ae_free(h);
        return ae_fail(err, AE_ERR_IO, "a process to decode: %s", strerror(errno));
    }
    pthread_mutex_lock(&mutex);
    while (h->entry < APART_PROCESSES && in_use[h->entry])
        h->entry++;
    sent = h->entry < APART_PROCESSES;
    if (sent) {
        apart_order order = {.entry = h->entry, .modules = modules};

        h->modules = modules;
        ledger->entries[h->entry].own = 0;
        sent = aei_apart_send(keeper, &order, sizeof(order), pair[1]);
        in_use[h->entry] = sent;
    }
    pthread_mutex_unlock(&mutex);
    close(pair[1]);
    if (!sent) {
        close(pair[0]);
        ae_free(h);
        return ae_fail(err, AE_ERR_IO, "no further process to decode");
    }
    h->socket = pair[0];
    *out = h;
    return AE_OK;
}

static ae_status acquire(helper **out, ae_error *err)
{
    pthread_mutex_lock(&mutex);
    if ((*out = idle))
        idle = idle->next;
    pthread_mutex_unlock(&mutex);
    return *out ? AE_OK : aei_apart_start(out, err);
}

ae_status aei_apart_gone(helper *h, ae_error *err)
{
    int status = aei_apart_end(h);

    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        return ae_fail(err, AE_ERR_INTERNAL, "its decoder crashed (%s)",
                       strsignal(WTERMSIG(status)));
    return ae_fail(err, AE_ERR_INTERNAL, "its decoder ended before its time");
}

/* ---- what they say ---- */

ae_status aei_apart_lies(ae_error *err, const char *what)
{
    return ae_fail(err, AE_ERR_INTERNAL, "its decoder says what cannot be (%s)", what);
}

static ae_status take_meta(ae_reader *reader, const uint8_t *p, uint64_t n, ae_error *err)
{
    while (n) {
        apart_meta head;
        const char *key;
        ae_status st;

        if (n < sizeof(head))
            return aei_apart_lies(err, "metadata");
        memcpy(&head, p, sizeof(head));
        p += sizeof(head);
        n -= sizeof(head);
        key = head.n_key ? (const char *)p : NULL;
        if (head.kind < AE_META_ICC || head.kind > AE_META_CHUNK || head.n_key > n ||
            head.n_bytes > n - head.n_key || (key && p[head.n_key - 1]))
            return aei_apart_lies(err, "metadata");
        if (!key &&
            (head.kind == AE_META_TEXT || head.kind == AE_META_TAG || head.kind == AE_META_CHUNK))
            return aei_apart_lies(err, "metadata");
        if ((st = ae_meta_add(&reader->meta, (ae_meta_kind)head.kind, key, p + head.n_key,
                              (size_t)head.n_bytes, err)) != AE_OK)
            return st;
        p += head.n_key + head.n_bytes;
        n -= head.n_key + head.n_bytes;
    }
    return AE_OK;
}

static ae_status check_info(const ae_limits *limits, const ae_reader *reader, ae_error *err)
{
    const ae_signal_info *info = &reader->info;
    uint64_t items = 1;
    ae_status st;

    if (info->kind != reader->codec->kind || !ae_row_bytes(info) || info->bits > 64 ||
        info->rank > AE_MAX_RANK)
        return aei_apart_lies(err, "samples");
    for (uint32_t i = 0; i < info->rank; i++)
        if (__builtin_mul_overflow(items, info->dims[i], &items))
            return aei_apart_lies(err, "dimensions");
    if (info->kind == AE_KIND_TENSOR && items != info->width)
        return aei_apart_lies(err, "dimensions");
    st = info->kind == AE_KIND_IMAGE   ? aei_check_image(info, err)
         : info->kind == AE_KIND_AUDIO ? aei_check_sound(info, err)
                                       : AE_OK;
    if (st == AE_OK && info->kind == AE_KIND_AUDIO && !isfinite(info->rate))
        return aei_apart_lies(err, "rate");
    return st == AE_OK && info->kind == AE_KIND_IMAGE
               ? aei_check_size(limits, info->width, info->height, err)
               : st;
}

/* The next answer, with its metadata taken over; AE_ERR_INTERNAL where there is none. */
static ae_status hear(ae_reader *reader, apart_answer *a, ae_error *err)
{
    enum { KEPT_MAX = 1 << 16 };
    helper *h = reader->apart;
    uint8_t *meta = NULL;
    ae_status st;

    if (!aei_apart_receive(h->socket, a, sizeof(*a), NULL))
        return aei_apart_gone(reader->apart, err);
    h->missed = a->missed;
    a->error.message[sizeof(a->error.message) - 1] = 0;
    a->quality[sizeof(a->quality) - 1] = a->note[sizeof(a->note) - 1] = 0;
    if (a->error.status != AE_OK)
        return ae_fail(err, a->error.status, "%s", a->error.message);
    if (a->n_meta > reader->limits.max_meta || a->n_kept > KEPT_MAX)
        return aei_apart_lies(err, "lengths");
    if (!(meta = ae_alloc((size_t)a->n_meta, 1)) ||
        (a->n_kept && !(reader->kept = ae_alloc((size_t)a->n_kept, 1)))) {
        ae_free(meta);
        return ae_fail(err, AE_ERR_NOMEM, "metadata");
    }
    reader->n_kept = a->n_kept ? (size_t)a->n_kept : reader->n_kept;
    if (!aei_apart_receive(h->socket, meta, (size_t)a->n_meta, NULL) ||
        !aei_apart_receive(h->socket, reader->kept, (size_t)a->n_kept, NULL))
        st = aei_apart_gone(reader->apart, err);
    else
        st = take_meta(reader, meta, a->n_meta, err);
    ae_free(meta);
    return st;
}

/* ---- readers ---- */

/* A process that is in the middle of a file, or that failed, is not asked again. */
void aei_apart_close(ae_reader *reader)
{
    apart_request request = {.what = APART_CLOSE};
    helper *h = reader->apart;

    reader->apart = NULL;
    reader->codec = NULL; /* which has nothing to close here */
    if (h->socket >= 0 && (!h->started || h->ended) &&
        aei_apart_send(h->socket, &request, sizeof(request), -1)) {
        pthread_mutex_lock(&mutex);
        h->next = idle;
        idle = h;
        pthread_mutex_unlock(&mutex);
        return;
    }
    if (h->socket >= 0)
        aei_apart_end(h);
    ae_free(h);
}

/* What stands in the answer to OPEN and PICTURE. */
static ae_status hear_info(ae_reader *reader, ae_error *err)
{
    apart_answer a;
    uint32_t codec = 0;
    ae_status st = hear(reader, &a, err);

    if (st != AE_OK)
        return st;
    while (ae_codecs[codec] && codec < a.codec)
        codec++;
    if (!(reader->codec = ae_codecs[codec]))
        return aei_apart_lies(err, "format");
    reader->info = a.info;
    reader->n_further = a.n_further;
    memcpy(reader->quality, a.quality, sizeof(a.quality));
    memcpy(reader->note, a.note, sizeof(a.note));
    return check_info(&reader->limits, reader, err);
}

static ae_status open_file(ae_source *source, const ae_limits *limits, ae_reader *reader,
                           ae_error *err)
{
    const char *name = ae_source_name(source);
    apart_request request = {.what = APART_OPEN,
                             .n_name = (uint32_t)strlen(name),
                             .track = reader->track,
                             .size = ae_source_size(source),
                             .limits = *limits};
    helper *h = reader->apart;

    if (!aei_apart_send(h->socket, &request, sizeof(request), aei_source_descriptor(source)) ||
        !aei_apart_send(h->socket, name, request.n_name, -1))
        return aei_apart_gone(reader->apart, err);
    return hear_info(reader, err);
}

/* Who failed is not asked again. True where another process, which will have the modules that this
 * one lacked, may not fail. */
static bool give_up(ae_reader *reader, ae_error *err)
{
    helper *h = reader->apart;
    uint32_t lacking = h->missed & ~h->modules;

    pthread_mutex_lock(&mutex);
    modules |= lacking;
    pthread_mutex_unlock(&mutex);
    h->started = true;
    aei_apart_close(reader);
    aei_close_here(reader);
    if (lacking && err)
        *err = (ae_error){.status = AE_OK}; /* nothing has failed yet */
    return lacking;
}

static ae_status try_open(ae_source *source, const ae_limits *limits, uint32_t track, bool *again,
                          ae_reader *reader, ae_error *err)
{
    helper *h;
    ae_status st = acquire(&h, err);

    *again = false;
    *reader = (ae_reader){.source = source, .track = track, .limits = *limits};
    if (st != AE_OK)
        return st;
    h->started = h->ended = false;
    h->n_bytes = h->missed = 0;
    reader->apart = h;
    if ((st = open_file(source, limits, reader, err)) != AE_OK)
        *again = give_up(reader, err);
    else if (reader->info.kind == AE_KIND_IMAGE)
        reader->track = track ? track : 1;
    return st;
}

ae_status aei_apart_open(ae_source *source, const ae_limits *limits, uint32_t track, bool *done,
                         ae_reader *reader, ae_error *err)
{
    bool again;
    ae_status st;

    *reader = (ae_reader){.source = source, .track = track, .limits = *limits};
    *done = keeper >= 0 && aei_source_descriptor(source) >= 0;
    if (!*done)
        return AE_OK;
    do
        st = try_open(source, limits, track, &again, reader, err);
    while (again);
    return st;
}

bool aei_apart_is_ready(const ae_reader *reader)
{
    const helper *h = reader->apart;

    return h->socket >= 0 && (!h->started || (h->ended && !h->n_bytes));
}

ae_status aei_apart_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    apart_request request = {.what = APART_PICTURE, .track = n};
    helper *h = reader->apart;
    ae_source *source = reader->source;
    ae_limits limits = reader->limits;
    bool done;
    ae_status st;

    ae_meta_clear(&reader->meta);
    ae_free(reader->kept);
    reader->kept = NULL;
    reader->n_kept = 0;
    h->started = h->ended = false;
    h->missed = 0;
    st = aei_apart_send(h->socket, &request, sizeof(request), -1)
             ? hear_info(reader, err)
             : aei_apart_gone(reader->apart, err);
    if (st == AE_OK)
        reader->track = n;
    else if (give_up(reader, err))
        return aei_apart_open(source, &limits, n, &done, reader, err);
    return st;
}

/* The next slot, once the last one has been given. */
static ae_status next_slot(ae_reader *reader, ae_error *err)
{
    helper *h = reader->apart;
    apart_request request = {.what = h->started ? APART_NEXT : APART_READ};
    apart_answer a;
    ae_status st;

    h->slot = h->started ? (h->slot + 1) % APART_SLOTS : 0;
    h->started = true;
    if (!aei_apart_send(h->socket, &request, sizeof(request), -1))
        return aei_apart_gone(reader->apart, err);
    if ((st = hear(reader, &a, err)) != AE_OK)
        return st;
    if (a.n_bytes > APART_SLOT_BYTES || (!a.n_bytes && !a.ended))
        return aei_apart_lies(err, "rows");
    if (!strstr(reader->note, a.note))
        memcpy(reader->note, a.note, sizeof(a.note));
    h->rows = slots[h->entry][h->slot];
    h->n_bytes = a.n_bytes;
    h->ended = a.ended;
    return AE_OK;
}

ae_status aei_apart_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                              ae_error *err)
{
    helper *h = reader->apart;
    size_t row = ae_row_bytes(&reader->info), done = 0;
    ae_status st;

    *n_rows = 0;
    if (h->socket < 0)
        return ae_fail(err, AE_ERR_INTERNAL, "its decoder has ended");
    do {
        size_t n = capacity * row - done;

        if (!h->n_bytes && h->ended)
            return done ? aei_apart_lies(err, "rows") : AE_OK;
        if (!h->n_bytes && (st = next_slot(reader, err)) != AE_OK)
            return st;
        n = n < h->n_bytes ? n : h->n_bytes;
        memcpy((uint8_t *)rows + done, h->rows, n);
        h->rows += n;
        h->n_bytes -= (uint32_t)n;
        done += n;
    } while (done % row || !done);
    *n_rows = (uint32_t)(done / row);
    return AE_OK;
}
