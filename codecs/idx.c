/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IDX, the format of MNIST and its like: 00 00, type, number of dimensions, these as big-endian
 * u32, then the elements, big-endian. Items become rows: height = the first dimension, width = the
 * product of the others. Plain or gzipped (RFC 1952). */
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "adapter.h"

enum { BUFFER = 1 << 16 };

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

static void to_native(size_t bytes, void *rows, size_t n)
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
    to_native(ae_sample_bytes(sample_of(r->type)), rows, n);
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
};
