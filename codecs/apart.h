/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files of strangers are decoded apart: by processes that have no rights but to read the file that
 * is handed to them.
 *
 * A keeper is forked before the tool has threads. Whenever a reader is opened and no process is
 * idle, the keeper forks one, which gives up its rights. Tool and process talk over a socket; rows
 * come through shared memory, decoded ahead of the reader. A process serves one file after another
 * until one fails or is left before its end. Nothing that it says is taken for granted.
 *
 * What is written after the likeness of such a file, with whatever else that holds copied, is made
 * there, too: rows go over the socket, and what is to be written comes back.
 *
 * A process can load no module (module.h). One that lacks some for a file fails and says which; the
 * keeper, which hears of nothing but orders, loads them and forks another. */
#ifndef AEI_APART_H
#define AEI_APART_H

#include <stddef.h>

#include "adapter.h"

/* Sanitizers tell of faults on standard error, and look for leaks by tracing their process. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define AEI_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define AEI_SANITIZED 1
#endif
#endif
#ifndef AEI_SANITIZED
#define AEI_SANITIZED 0
#endif

enum { APART_PROCESSES = 1100, APART_SLOTS = 2, APART_SLOT_BYTES = 1 << 17 };

/* Memory that all these processes share. */
typedef struct apart_ledger {
    uint64_t taken; /* of the one budget, ae_memory_share */
    struct apart_entry {
        uint64_t own; /* of that, by this process */
    } entries[APART_PROCESSES];
} apart_ledger;
/* And memory for rows, of which each process keeps only its own. Nothing of it is a file: limits of
 * a file's size do not count. */
typedef uint8_t apart_slots[APART_SLOTS][APART_SLOT_BYTES];

enum {
    APART_OPEN = 1,
    APART_READ,
    APART_NEXT,
    APART_CLOSE,
    APART_PICTURE,
    APART_CREATE,
    APART_WRITE,
    APART_FINISH
};
enum { APART_PLACE = 1, APART_BYTES, APART_DONE };

/* What a process is asked to do. OPEN comes with the file and is followed by its name; PICTURE asks
 * for another of the same file, by its number in `track`, before any row was asked for or after the
 * last. CREATE, which comes with the file that a new one shall be like, is followed by its name and
 * an apart_creation; WRITE by `size` bytes of rows, as many as a slot has at most. */
typedef struct apart_request {
    uint32_t what, n_name, track;
    uint64_t size; /* of the file */
    ae_limits limits;
} apart_request;

/* A new file, and what was kept of the one that it shall be like. */
typedef struct apart_creation {
    uint32_t codec; /* of both: its place in ae_codecs */
    int32_t quality;
    bool lossless;
    ae_signal_info info;
    char like_quality[sizeof(((ae_reader *)0)->quality)];
    uint32_t n_kept;
    _Alignas(16) uint8_t kept[64];
} apart_creation;

/* What CREATE, WRITE and FINISH are answered with: places to go to and bytes to write there, which
 * follow, and then what came of it. */
typedef struct apart_output {
    uint32_t what; /* APART_PLACE, APART_BYTES, APART_DONE */
    uint32_t n_bytes;
    uint64_t place;
    ae_error error;
    char note[sizeof(((ae_writer *)0)->note)];
} apart_output;

/* The answer to OPEN and PICTURE, and to READ for each slot of whole rows, or a piece of one that
 * is longer than a slot, as long as no more than APART_SLOTS are full; NEXT says that one is free
 * again. What follows it are n_meta bytes of metadata and n_kept of what a writer takes over. */
typedef struct apart_answer {
    ae_error error;
    ae_signal_info info;
    uint32_t codec; /* its place in ae_codecs */
    uint32_t n_further;
    uint32_t n_bytes; /* in the slot */
    uint32_t ended;   /* nothing follows */
    uint32_t missed;  /* modules for lack of which it failed: module.h */
    uint64_t n_meta, n_kept;
    char quality[sizeof(((ae_reader *)0)->quality)];
    char note[sizeof(((ae_reader *)0)->note)];
} apart_answer;

/* A metadata item on its way, followed by key and value; n_key is 0 where there is none, else with
 * its NUL. */
typedef struct apart_meta {
    uint32_t kind, n_key;
    uint64_t n_bytes;
} apart_meta;

/* All of it or false; *fd, where not NULL, is what came along, or -1. */
bool aei_apart_send(int socket, const void *data, size_t n_bytes, int fd);
bool aei_apart_receive(int socket, void *data, size_t n_bytes, int *fd);

/* What the keeper says first, and what it is then asked for: a process with that entry, and with
 * those modules, which serves the socket that comes along; or to end the one of that entry, and
 * answer with an int, its wait status. */
typedef struct apart_rights {
    bool files, calls;
} apart_rights; /* taken away */
typedef struct apart_order {
    uint32_t entry, end, modules;
} apart_order;
/* The keeper's life; it ends with the socket. */
_Noreturn void aei_apart_keep(int socket, apart_ledger *ledger, apart_slots *slots);

/* A process that decodes, idle or at work for a reader. */
typedef struct apart_process {
    int socket;
    uint32_t entry;
    uint32_t slot;       /* in hand */
    const uint8_t *rows; /* what has not been given of it */
    uint32_t n_bytes;
    bool started, ended;
    uint32_t modules, missed; /* what it has, and what it lacked for its last file: module.h */
    struct apart_process *next;
} apart_process;

ae_status aei_apart_start(apart_process **out, ae_error *err);
/* Ends a process and gives back what it had of the budget; returns its wait status. The struct is
 * left, to say that it has gone. */
int aei_apart_end(apart_process *process);
/* Says of one that has gone how, and of one that it says what cannot be. */
ae_status aei_apart_gone(apart_process *process, ae_error *err);
ae_status aei_apart_lies(ae_error *err, const char *what);

/* Opening, reading and closing a reader apart. Nothing is opened, and *done is false, where
 * ae_decode_apart has not been called and where the source is memory. */
ae_status aei_apart_open(ae_source *source, const ae_limits *limits, uint32_t track, bool *done,
                         ae_reader *reader, ae_error *err);
ae_status aei_apart_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                              ae_error *err);
void aei_apart_close(ae_reader *reader);
/* Whether the process can be asked for another picture; that picture, as ae_reader_picture has it.
 */
bool aei_apart_is_ready(const ae_reader *reader);
ae_status aei_apart_picture(ae_reader *reader, uint32_t n, ae_error *err);

/* As `create` of ae_codec has it, where options->like is read apart, is of the same format and is
 * read again for it. */
bool aei_apart_can_create(const ae_write_options *options, const ae_writer *writer);
ae_status aei_apart_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                           const ae_write_options *options, ae_writer *writer, ae_error *err);

#endif
