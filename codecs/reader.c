/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Readers: in this process or in one of their own. */
#include "ae/files.h"

#include <string.h>

#include "apart.h"

ae_status ae_reader_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                         ae_error *err)
{
    return ae_reader_open_track(source, limits, 0, reader, err);
}

ae_status ae_reader_open_track(ae_source *source, const ae_limits *limits, uint32_t track,
                               ae_reader *reader, ae_error *err)
{
    ae_limits resolved = ae_limits_resolve(limits);
    bool apart;
    ae_status st;

    st = aei_apart_open(source, &resolved, track, &apart, reader, err);
    return st == AE_OK && !apart ? aei_open_here(source, &resolved, track, reader, err) : st;
}

ae_status ae_reader_picture(ae_reader *reader, uint32_t n, ae_error *err)
{
    ae_source *source = reader->source;
    ae_limits limits = reader->limits;

    if (reader->apart && aei_apart_is_ready(reader))
        return aei_apart_picture(reader, n, err);
    if (!reader->apart && reader->codec->open) /* else it is turned */
        return aei_picture_here(reader, n, err);
    ae_reader_close(reader);
    return ae_reader_open_track(source, &limits, n, reader, err);
}

ae_status ae_reader_expect(const ae_reader *reader, ae_kind kind, ae_error *err)
{
    static const char *const names[] = {[AE_KIND_IMAGE] = "a picture",
                                        [AE_KIND_AUDIO] = "a sound",
                                        [AE_KIND_TENSOR] = "a data set"};

    if (reader->info.kind == kind)
        return AE_OK;
    return ae_fail(err, AE_ERR_UNSUPPORTED, "is %s (%s), not %s", names[reader->info.kind],
                   reader->codec->description, names[kind]);
}

ae_status ae_reader_read_some(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                              ae_error *err)
{
    return reader->apart ? aei_apart_read_some(reader, rows, capacity, n_rows, err)
                         : aei_read_some_here(reader, rows, capacity, n_rows, err);
}

ae_status ae_reader_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    size_t row = ae_row_bytes(&reader->info);
    ae_status st;

    if (!reader->apart)
        return aei_read_here(reader, rows, n_rows, err);
    for (uint32_t done = 0, n; done < n_rows; done += n) {
        if ((st = aei_apart_read_some(reader, (uint8_t *)rows + done * row, n_rows - done, &n,
                                      err)) != AE_OK)
            return st;
        if (!n)
            return ae_fail(err, AE_ERR_ARGUMENT, "%u rows where %u are left", n_rows, done);
    }
    return AE_OK;
}

/* Grows with what is really there: a few bytes that name gigabytes do not get them. */
ae_status ae_reader_read_all(ae_reader *reader, void **pixels, ae_error *err)
{
    enum { AT_ONCE = 1 << 26 };
    uint64_t height = reader->info.height, room = 0, done = 0;
    size_t row = ae_row_bytes(&reader->info);
    uint8_t *all = NULL;
    ae_status st = AE_OK;

    *pixels = NULL;
    if (reader->info.kind == AE_KIND_AUDIO)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "a sound is not read as a whole");
    while (row && done < height && st == AE_OK) {
        uint64_t more = room ? room : AT_ONCE / row + 1, n = 1024;

        if (done == room) {
            uint64_t rows = more < height - room ? room + more : height;
            uint8_t *grown = rows <= SIZE_MAX / row
                                 ? ae_realloc(all, (size_t)room * row, (size_t)rows * row)
                                 : NULL;

            if (!grown)
                break;
            all = grown;
            room = rows;
        }
        n = n < room - done ? n : room - done;
        st = ae_reader_read(reader, all + done * row, (uint32_t)n, err);
        done += n;
    }
    if (st == AE_OK && (done < height || !all))
        st = ae_fail(err, AE_ERR_NOMEM, "%llu x %llu samples",
                     (unsigned long long)reader->info.width, (unsigned long long)height);
    if (st != AE_OK) {
        ae_free(all);
        return st;
    }
    *pixels = all;
    return AE_OK;
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    return ae_reader_read(opaque, rows, n_rows, err);
}

ae_row_source ae_reader_rows(ae_reader *reader)
{
    return (ae_row_source){reader->info, reader, read_rows};
}

void ae_reader_close(ae_reader *reader)
{
    if (reader->apart)
        aei_apart_close(reader);
    aei_close_here(reader);
}
