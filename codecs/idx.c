/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IDX, the format of MNIST and its like: big-endian dimensions, then bytes. Items become rows: height = the first dimension,
 * width = the product of the others. */
#include <string.h>

#include "adapter.h"

static ae_status idx_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    uint8_t head[4 + 4 * 4];
    uint64_t size[2] = {1, 1}, needed;
    unsigned n_dims;

    if (ae_source_read(source, head, 4) != 4 || head[0] || head[1])
        return ae_fail(err, AE_ERR_MALFORMED, "not an IDX file");
    n_dims = head[3];
    if (head[2] != 8 || n_dims < 1 || n_dims > 4)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "IDX of type %u and %u dimensions: bytes of 1 to 4 dimensions are read", head[2],
                       n_dims);
    if (ae_source_read(source, head + 4, 4 * n_dims) != 4 * n_dims)
        return ae_fail(err, AE_ERR_MALFORMED, "IDX: truncated header");
    for (unsigned i = 0; i < n_dims; i++) {
        const uint8_t *p = head + 4 + 4 * i;
        uint64_t n = (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];

        if (n == 0 || __builtin_mul_overflow(size[i > 0], n, &size[i > 0]))
            return ae_fail(err, AE_ERR_MALFORMED, "IDX: impossible dimensions");
    }
    if (size[1] > limits->max_pixels)
        return ae_fail(err, AE_ERR_LIMIT, "IDX: items of %llu samples exceed max_pixels (%llu)", (unsigned long long)size[1],
                       (unsigned long long)limits->max_pixels);
    if (__builtin_mul_overflow(size[0], size[1], &needed) || ae_source_size(source) - ae_source_tell(source) < needed)
        return ae_fail(err, AE_ERR_MALFORMED, "IDX: truncated");
    reader->info = (ae_signal_info){
        .kind = AE_KIND_TENSOR, .sample = AE_U8, .bits = 8, .channels = 1, .width = size[1], .height = size[0]};
    reader->state = source;
    return AE_OK;
}

static ae_status idx_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    size_t n = n_rows * ae_row_bytes(&reader->info);

    return ae_source_read(reader->state, rows, n) == n ? AE_OK : ae_fail(err, AE_ERR_IO, "read error");
}

static void idx_close(ae_reader *reader)
{
    (void)reader;
}

static int idx_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 8 && !head[0] && !head[1] && head[2] == 8 && head[3] >= 1 && head[3] <= 4 ? 40 : 0;
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
