/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IDX, the format of MNIST and its like: 00 00, type, number of dimensions, these as big-endian
 * u32, then the elements, big-endian. Items become rows: height = the first dimension, width = the
 * product of the others. Read plain or gzipped (RFC 1952), written plain. */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "adapter.h"

enum { BUFFER = 1 << 16, BLOCK = 1024 /* elements written at once */ };

typedef struct reading {
    ae_source *source;
    bool packed;
    z_stream z;
    uint8_t type;
    uint8_t in[BUFFER];
} reading;

static ae_sample sample_of(uint8_t type)
{
    switch (type) {
    case 8: return AE_U8;
    case 9: return AE_S8;
    case 11: return AE_S16;
    case 12: return AE_S32;
    case 13: return AE_F32;
    case 14: return AE_F64;
    default: return 0;
    }
}

/* Short at the end or on damage. */
static size_t get(reading *r, void *to, size_t n)
{
    if (!r->packed)
        return ae_source_read(r->source, to, n);
    r->z.next_out = to;
    r->z.avail_out = 0;
    for (size_t left = n; left;) {
        uInt some = left < 1 << 30 ? (uInt)left : 1 << 30;
        int state;

        if (!r->z.avail_in) {
            r->z.next_in = r->in;
            r->z.avail_in = (uInt)ae_source_read(r->source, r->in, BUFFER);
        }
        r->z.avail_out = some;
        state = inflate(&r->z, Z_NO_FLUSH);
        left -= some - r->z.avail_out;
        if (state == Z_STREAM_END || (state != Z_OK && state != Z_BUF_ERROR) ||
            (r->z.avail_out && !r->z.avail_in &&
             ae_source_tell(r->source) == ae_source_size(r->source)))
            return n - left;
    }
    return n;
}

static ae_status begin(ae_source *source, reading *r, ae_error *err)
{
    uint8_t magic[2];

    r->source = source;
    r->packed = ae_source_read(source, magic, 2) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    if (!ae_source_seek(source, 0))
        return ae_fail(err, AE_ERR_IO, "IDX: seek");
    if (r->packed && inflateInit2(&r->z, 15 + 16) != Z_OK)
        return ae_fail(err, AE_ERR_NOMEM, "IDX: gzip");
    return AE_OK;
}

static ae_status read_header(reading *r, const ae_limits *limits, ae_signal_info *info,
                             ae_error *err)
{
    uint8_t head[4 + 4 * (AE_MAX_RANK + 1)];
    unsigned n_dims;

    if (get(r, head, 4) != 4 || head[0] || head[1])
        return ae_fail(err, AE_ERR_MALFORMED, "not an IDX file");
    r->type = head[2];
    n_dims = head[3];
    if (!sample_of(r->type))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "IDX: elements of type %u", r->type);
    if (n_dims < 1 || n_dims > AE_MAX_RANK + 1)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "IDX of %u dimensions: 1 to %d are read", n_dims,
                       AE_MAX_RANK + 1);
    if (get(r, head + 4, 4 * n_dims) != 4 * n_dims)
        return ae_fail(err, AE_ERR_MALFORMED, "IDX: truncated header");
    info->width = 1;
    for (unsigned i = 0; i < n_dims; i++) {
        const uint8_t *p = head + 4 + 4 * i;
        uint32_t n = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];

        if (i == 0)
            info->height = n;
        else
            info->dims[info->rank++] = n;
        if (n == 0 || (i && __builtin_mul_overflow(info->width, n, &info->width)))
            return ae_fail(err, AE_ERR_MALFORMED, "IDX: impossible dimensions");
    }
    return info->width <= limits->max_pixels
               ? AE_OK
               : ae_fail(err, AE_ERR_LIMIT,
                         "IDX: items of %" PRIu64 " samples exceed max_pixels (%" PRIu64 ")",
                         info->width, limits->max_pixels);
}

static void free_reading(reading *r)
{
    if (r->packed)
        inflateEnd(&r->z);
    ae_free(r);
}

static ae_status idx_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    ae_signal_info info = {.kind = AE_KIND_TENSOR, .channels = 1};
    reading *r = ae_alloc(1, sizeof(*r));
    uint64_t needed;
    ae_status st = r ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "IDX reader");

    if (!r || (st = begin(source, r, err)) != AE_OK ||
        (st = read_header(r, limits, &info, err)) != AE_OK)
        goto failed;
    if (__builtin_mul_overflow(info.height, info.width, &needed) ||
        __builtin_mul_overflow(needed, ae_sample_bytes(sample_of(r->type)), &needed) ||
        (!r->packed && ae_source_size(source) - ae_source_tell(source) < needed)) {
        st = ae_fail(err, AE_ERR_MALFORMED, "IDX: truncated");
        goto failed;
    }
    info.sample = sample_of(r->type);
    info.bits = (uint32_t)(8 * ae_sample_bytes(info.sample));
    reader->info = info;
    reader->state = r;
    return AE_OK;
failed:
    if (r)
        free_reading(r);
    return st;
}

/* From the order of bytes in the file to the machine's, and back. */
static void in_order(size_t bytes, void *rows, size_t n)
{
    uint8_t *p = rows;

    if (bytes > 1 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        for (size_t i = 0; i < n; i++, p += bytes)
            for (size_t k = 0; k < bytes / 2; k++) {
                uint8_t t = p[k];

                p[k] = p[bytes - 1 - k];
                p[bytes - 1 - k] = t;
            }
}

static ae_status idx_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    reading *r = reader->state;
    size_t n = n_rows * (size_t)reader->info.width,
           n_bytes = n * ae_sample_bytes(sample_of(r->type));

    if (get(r, rows, n_bytes) != n_bytes)
        return ae_fail(err, AE_ERR_MALFORMED, "IDX: truncated or damaged");
    in_order(ae_sample_bytes(sample_of(r->type)), rows, n);
    return AE_OK;
}

static void idx_close(ae_reader *reader)
{
    free_reading(reader->state);
}

static bool is_header(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 8 && !head[0] && !head[1] && sample_of(head[2]) && head[3] >= 1 &&
           head[3] <= AE_MAX_RANK + 1;
}

static int idx_probe(const uint8_t *head, size_t n_bytes)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)head, .avail_in = (uInt)n_bytes};
    uint8_t start[8];
    bool found;

    if (n_bytes < 18 || head[0] != 0x1f || head[1] != 0x8b)
        return is_header(head, n_bytes) ? 40 : 0;
    z.next_out = start;
    z.avail_out = sizeof(start);
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return 0;
    inflate(&z, Z_SYNC_FLUSH);
    found = !z.avail_out && is_header(start, sizeof(start));
    inflateEnd(&z);
    return found ? 40 : 0;
}

/* ---- writing ---- */

/* The type that holds all values of another, or, of whole numbers beyond 2^53, the nearest. */
static uint8_t type_of(ae_sample sample)
{
    switch (sample) {
    case AE_U8:
    case AE_BOOL: return 8;
    case AE_S8: return 9;
    case AE_S16: return 11;
    case AE_U16:
    case AE_S32: return 12;
    case AE_F16:
    case AE_F32: return 13;
    default: return 14;
    }
}

static void idx_accepts(ae_signal_info *info, char note[160])
{
    if (info->sample == AE_S64 || info->sample == AE_U64)
        aei_note(note, "whole numbers beyond 2^53 are rounded");
}

static void put_u32(uint8_t *to, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(n >> (24 - 8 * i));
}

static ae_status idx_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    uint8_t head[4 + 4 * (AE_MAX_RANK + 1)] = {0, 0, type_of(info->sample),
                                               (uint8_t)(info->rank + 1)};

    (void)meta;
    (void)options;
    if (info->height > UINT32_MAX)
        return ae_fail(err, AE_ERR_LIMIT, "IDX: %" PRIu64 " items are more than it counts",
                       info->height);
    put_u32(head + 4, (uint32_t)info->height);
    for (uint32_t i = 0; i < info->rank; i++)
        put_u32(head + 8 + 4 * i, info->dims[i]);
    writer->state = sink;
    return sink->write(sink->opaque, head, 8 + 4 * info->rank, err);
}

static void put_element(uint8_t type, ae_sample from, const void *rows, size_t i, void *to)
{
    double v = ae_sample_number(from, rows, i);

    switch (type) {
    case 12: *(int32_t *)to = (int32_t)v; break;
    case 13: *(float *)to = (float)v; break;
    default: *(double *)to = v; break;
    }
}

static ae_status idx_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    ae_sink *sink = writer->state;
    const ae_sample from = writer->info.sample;
    const uint8_t type = type_of(from);
    const size_t each = ae_sample_bytes(sample_of(type)), n = n_rows * (size_t)writer->info.width;
    double block[BLOCK]; /* of elements of any type */
    ae_status st = AE_OK;

    for (size_t i = 0, some; i < n && st == AE_OK; i += some) {
        some = n - i < BLOCK ? n - i : BLOCK;
        if (each == ae_sample_bytes(from) && type != 14)
            memcpy(block, (const uint8_t *)rows + i * each, some * each);
        else
            for (size_t k = 0; k < some; k++)
                put_element(type, from, rows, i + k, (uint8_t *)block + k * each);
        in_order(each, block, some);
        st = sink->write(sink->opaque, block, some * each, err);
    }
    return st;
}

static ae_status idx_finish(ae_writer *writer, ae_error *err)
{
    (void)writer;
    (void)err;
    return AE_OK;
}

static void idx_abandon(ae_writer *writer)
{
    (void)writer;
}

static const char *const suffixes[] = {"idx", "idx1-ubyte", "idx3-ubyte", NULL};

const ae_codec aei_codec_idx = {
    .name = "idx",
    .description = "IDX data set",
    .suffixes = suffixes,
    .kind = AE_KIND_TENSOR,
    .probe = idx_probe,
    .open = idx_open,
    .read = idx_read,
    .close = idx_close,
    .accepts = idx_accepts,
    .create = idx_create,
    .write = idx_write,
    .finish = idx_finish,
    .abandon = idx_abandon,
};
