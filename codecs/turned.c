/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A reader that turns what another one reads: all of it goes into a turner (upright.c) when the
 * first row is asked for, since that may be the last of the file's or its first column. From then
 * on it is a reader like others. */
#include "ae/files.h"

#include "adapter.h"

typedef struct turned {
    ae_reader inner; /* its metadata have gone to the outer */
    ae_turner *turner;
    uint64_t n_read, y; /* rows: of the inner one, and given */
} turned;

static ae_status turned_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    turned *t = reader->state;
    uint64_t height = t->inner.info.height;

    while (t->n_read < height) {
        uint32_t n = height - t->n_read < 64 ? (uint32_t)(height - t->n_read) : 64;
        ae_status st = ae_reader_read(&t->inner, aei_turner_next(t->turner, n), n, err);

        if (st != AE_OK)
            return st;
        t->n_read += n;
    }
    ae_turner_read(t->turner, t->y, n_rows, rows);
    t->y += n_rows;
    return AE_OK;
}

static void turned_close(ae_reader *reader)
{
    turned *t = reader->state;

    ae_reader_close(&t->inner);
    ae_turner_free(t->turner);
    ae_free(t);
}

static const ae_codec turned_codec = {
    .name = "turned", .kind = AE_KIND_IMAGE, .read = turned_read, .close = turned_close};

ae_status ae_reader_turn_upright(ae_reader *reader, ae_error *err)
{
    unsigned orientation = ae_meta_orientation(&reader->meta);
    turned *t;
    ae_status st;

    if (orientation < 2)
        return AE_OK;
    if (!(t = ae_alloc(1, sizeof(*t))))
        return ae_fail(err, AE_ERR_NOMEM, "turning a picture");
    if ((st = ae_turner_create(&reader->info, orientation, &t->turner, err)) != AE_OK) {
        ae_free(t);
        return st;
    }
    t->inner = *reader;
    t->inner.meta = (ae_meta){0};
    aei_forget_orientation(&reader->meta);
    reader->info = *ae_turner_info(t->turner);
    ae_meta_resize(&reader->meta, reader->info.width, reader->info.height);
    reader->codec = &turned_codec;
    reader->state = t;
    reader->kept = reader->apart = NULL;
    reader->n_kept = 0;
    return AE_OK;
}
