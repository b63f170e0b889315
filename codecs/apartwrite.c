/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tool's side of writing apart. */
#include <string.h>

#include "apart.h"

typedef struct apart_writer {
    apart_process *process;
    aei_spool spool;
    uint64_t place, end; /* in the output, and how long that is */
    ae_codec codec;      /* the format's, but for what is done here */
} apart_writer;

static void free_writer(apart_writer *w)
{
    if (w->process && w->process->socket >= 0)
        aei_apart_end(w->process);
    ae_free(w->process);
    aei_spool_close(&w->spool);
    ae_free(w);
}

/* One thing that a process wants to be done with the output. */
static ae_status take_output(apart_writer *w, const apart_output *o, ae_error *err)
{
    uint8_t bytes[1 << 14];
    ae_status st = AE_OK;

    if (o->what == APART_PLACE) {
        if (o->place > w->end)
            return aei_apart_lies(err, "a place in the output");
        w->place = o->place;
        return aei_spool_seek(&w->spool, o->place, err);
    }
    if (o->what != APART_BYTES)
        return aei_apart_lies(err, "output");
    for (uint32_t left = o->n_bytes, n; left && st == AE_OK; left -= n) {
        n = left < sizeof(bytes) ? left : (uint32_t)sizeof(bytes);
        if (!aei_apart_receive(w->process->socket, bytes, n, NULL))
            return aei_apart_gone(w->process, err);
        st = aei_spool_write(&w->spool, bytes, n, err);
        w->place += n;
    }
    w->end = w->place > w->end ? w->place : w->end;
    return st;
}

/* Does what the process wants until it has done what it was asked for. */
static ae_status follow(apart_writer *w, char note[160], ae_error *err)
{
    for (;;) {
        apart_output o;
        ae_status st;

        if (!aei_apart_receive(w->process->socket, &o, sizeof(o), NULL))
            return aei_apart_gone(w->process, err);
        if (o.what == APART_DONE) {
            o.error.message[sizeof(o.error.message) - 1] = o.note[sizeof(o.note) - 1] = 0;
            if (o.note[0])
                aei_note(note, o.note);
            return o.error.status == AE_OK ? AE_OK
                                           : ae_fail(err, o.error.status, "%s", o.error.message);
        }
        if ((st = take_output(w, &o, err)) != AE_OK) {
            if (w->process->socket >= 0)
                aei_apart_end(w->process);
            return st;
        }
    }
}

/* Asks for something, with request->size bytes that belong to it. */
static ae_status ask(apart_writer *w, const apart_request *request, const void *data,
                     char note[160], ae_error *err)
{
    int socket = w->process->socket;

    if (socket < 0)
        return ae_fail(err, AE_ERR_INTERNAL, "its encoder has ended");
    if (!aei_apart_send(socket, request, sizeof(*request), -1) ||
        !aei_apart_send(socket, data, (size_t)request->size, -1))
        return aei_apart_gone(w->process, err);
    return follow(w, note, err);
}

static ae_status apart_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    size_t row = ae_row_bytes(&writer->info);
    uint32_t most = (uint32_t)(APART_SLOT_BYTES / row);
    ae_status st = AE_OK;

    for (uint32_t done = 0, n; done < n_rows && st == AE_OK; done += n) {
        apart_request request = {.what = APART_WRITE};

        n = n_rows - done < most ? n_rows - done : most;
        request.size = n * row;
        st = ask(writer->state, &request, (const uint8_t *)rows + done * row, writer->note, err);
    }
    return st;
}

static ae_status apart_finish(ae_writer *writer, ae_error *err)
{
    apart_writer *w = writer->state;
    ae_status st = ask(w, &(apart_request){.what = APART_FINISH}, NULL, writer->note, err);

    if (st == AE_OK)
        st = aei_spool_finish(&w->spool, err);
    free_writer(w);
    writer->state = NULL;
    return st;
}

static void apart_abandon(ae_writer *writer)
{
    free_writer(writer->state);
    writer->state = NULL;
}

bool aei_apart_can_create(const ae_write_options *options, const ae_writer *writer)
{
    const ae_reader *like = options->like;

    return writer->codec->rereads && like && like->apart && like->codec == writer->codec &&
           like->kept && like->n_kept <= sizeof(((apart_creation *)0)->kept);
}

ae_status aei_apart_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                           const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    const ae_reader *like = options->like;
    const char *name = ae_source_name(like->source);
    apart_request request = {.what = APART_CREATE,
                             .n_name = (uint32_t)strlen(name),
                             .size = ae_source_size(like->source),
                             .limits = like->limits};
    apart_creation creation = {.quality = options->quality,
                               .lossless = options->lossless,
                               .info = *info,
                               .n_kept = (uint32_t)like->n_kept};
    apart_writer *w = ae_alloc(1, sizeof(*w));
    ae_status st;

    (void)meta; /* the file that it is like has them */
    if (!w)
        return ae_fail(err, AE_ERR_NOMEM, "%s encoder", writer->codec->description);
    w->spool.fd = -1;
    w->codec = *writer->codec;
    w->codec.write = apart_write;
    w->codec.finish = apart_finish;
    w->codec.abandon = apart_abandon;
    while (ae_codecs[creation.codec] != writer->codec)
        creation.codec++;
    memcpy(creation.like_quality, like->quality, sizeof(creation.like_quality));
    memcpy(creation.kept, like->kept, like->n_kept);
    if ((st = aei_spool_open(&w->spool, sink, true, err)) == AE_OK &&
        (st = aei_apart_start(&w->process, err)) == AE_OK)
        st = aei_apart_send(w->process->socket, &request, sizeof(request),
                            aei_source_descriptor(like->source)) &&
                     aei_apart_send(w->process->socket, name, request.n_name, -1) &&
                     aei_apart_send(w->process->socket, &creation, sizeof(creation), -1)
                 ? follow(w, writer->note, err)
                 : aei_apart_gone(w->process, err);
    if (st != AE_OK) {
        free_writer(w);
        return st;
    }
    writer->codec = &w->codec;
    writer->state = w;
    return AE_OK;
}
