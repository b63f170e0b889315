/* SPDX-License-Identifier: BSD-2-Clause
 *
 * zlib reads plain files as well as those of gzip. Memory grows with what is really there, whatever
 * a header claims; files of labels, which hold no pictures, are left to the adapters of arrays. */
#include "common/idx.h"

#include <fnmatch.h>
#include <string.h>
#include <zlib.h>

bool idx_named(const char *path)
{
    static const char *const patterns[] = {"*-ubyte", "*.idx", "*-ubyte.gz", "*.idx.gz"};

    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        if (!fnmatch(patterns[i], path, 0))
            return true;
    return false;
}

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Dimensions: N x H x W, or N x H x W x C of 1 or 3 channels. */
static ae_status read_header(gzFile f, idx *x, bool *is_idx, ae_error *err)
{
    uint8_t head[4], dims[4 * 4] = {0};
    uint64_t bytes;

    if (gzread(f, head, 4) != 4 || head[0] || head[1] || head[2] < 8 || head[2] > 14 || !head[3])
        return AE_OK;
    *is_idx = true;
    if (head[2] != 8)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "IDX file whose samples are not unsigned bytes");
    if (head[3] != 3 && head[3] != 4)
        return AE_OK;
    if (gzread(f, dims, 4u * head[3]) != 4 * head[3])
        return ae_fail(err, AE_ERR_MALFORMED, "IDX file ends in its header");
    x->height = big_endian(dims + 4);
    x->width = big_endian(dims + 8);
    x->channels = head[3] == 4 ? big_endian(dims + 12) : 1;
    if (!x->height || !x->width || x->height > 1 << 14 || x->width > 1 << 14 ||
        (x->channels != 1 && x->channels != 3))
        return ae_fail(err, AE_ERR_UNSUPPORTED, "IDX file of %ux%ux%u pictures", x->width,
                       x->height, x->channels);
    bytes = (uint64_t)x->height * x->width * x->channels * big_endian(dims);
    if (bytes > UINT64_C(1) << 32)
        return ae_fail(err, AE_ERR_LIMIT, "IDX file of more than 4 GiB");
    x->n = big_endian(dims);
    return AE_OK;
}

/* Grows with what is really there, so that a header alone cannot ask for gigabytes. */
static ae_status read_pixels(gzFile f, idx *x, ae_error *err)
{
    size_t wanted = (size_t)x->n * x->height * x->width * x->channels, have = 0, room = 0;

    while (have < wanted) {
        size_t more = room ? room : 1 << 20, n;
        uint8_t *grown;
        int got;

        if (more > wanted - have)
            more = wanted - have;
        n = more < 1 << 30 ? more : 1 << 30;
        grown = ae_realloc(x->pixels, have, have + n);
        if (!grown)
            return ae_fail(err, AE_ERR_NOMEM, "IDX file of %zu bytes", wanted);
        x->pixels = grown;
        room = have + n;
        while (have < room && (got = gzread(f, x->pixels + have, (unsigned)(room - have))) > 0)
            have += (size_t)got;
        if (have < room)
            return ae_fail(err, AE_ERR_MALFORMED, "IDX file is truncated: %zu bytes of %zu", have,
                           wanted);
    }
    return AE_OK;
}

ae_status idx_read(const char *path, idx *out, bool *is_idx, ae_error *err)
{
    gzFile f = gzopen(path, "rb");
    ae_status st;

    *out = (idx){0};
    *is_idx = false;
    if (!f)
        return AE_OK; /* whoever opens it next says why */
    st = read_header(f, out, is_idx, err);
    if (st == AE_OK && out->n)
        st = read_pixels(f, out, err);
    gzclose(f);
    if (st != AE_OK) {
        ae_free(out->pixels);
        *out = (idx){0};
    }
    return st;
}

ae_status idx_open(const char *path, idx_file *out, ae_error *err)
{
    gzFile f = gzopen(path, "rb");
    bool is_idx = false;
    idx x = {0};
    ae_status st;

    *out = (idx_file){0};
    if (!f)
        return ae_fail(err, AE_ERR_IO, "cannot be opened");
    st = read_header(f, &x, &is_idx, err);
    if (st == AE_OK && x.n)
        *out = (idx_file){f, x.n, x.height, x.width, x.channels};
    else
        gzclose(f);
    return st;
}

ae_status idx_next(idx_file *x, uint32_t n, void *pixels, ae_error *err)
{
    size_t n_bytes = (size_t)n * x->height * x->width * x->channels;

    if (n_bytes > INT32_MAX || gzread(x->file, pixels, (unsigned)n_bytes) != (int)n_bytes)
        return ae_fail(err, AE_ERR_MALFORMED, "IDX file is truncated");
    return AE_OK;
}

void idx_close(idx_file *x)
{
    if (x->file)
        gzclose(x->file);
    *x = (idx_file){0};
}
