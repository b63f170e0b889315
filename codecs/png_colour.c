/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Chunks of PNG that say what samples mean. libpng judges profiles, refuses those it dislikes,
 * which millions of files have, and does not know all of these chunks; so they are read and written
 * here, as they are. */
#include <string.h>

#include <zlib.h>

#include "png_colour.h"

/* A stream of zlib's, an ae_alloc array; *data is NULL where it is damaged. */
static ae_status inflate_all(const uint8_t *from, size_t n_from, uint64_t max_bytes, uint8_t **data,
                             size_t *n_bytes, ae_error *err)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)from, .avail_in = (uInt)n_from};
    size_t room = 4096;
    uint8_t *out = ae_alloc(room, 1);
    ae_status st = AE_OK;
    int code;

    *data = NULL;
    *n_bytes = 0;
    if (!out || inflateInit(&z) != Z_OK) {
        ae_free(out);
        return ae_fail(err, AE_ERR_NOMEM, "PNG: a profile");
    }
    for (;;) {
        uint8_t *more;

        z.next_out = out + *n_bytes;
        z.avail_out = (uInt)(room - *n_bytes);
        code = inflate(&z, Z_NO_FLUSH);
        *n_bytes = room - z.avail_out;
        if (code != Z_OK || z.avail_out)
            break;
        if (room > max_bytes / 2) {
            st = ae_fail(err, AE_ERR_LIMIT, "PNG: a colour profile exceeds max_meta (%llu)",
                         (unsigned long long)max_bytes);
            break;
        }
        if (!(more = ae_realloc(out, room, 2 * room))) {
            st = ae_fail(err, AE_ERR_NOMEM, "PNG: a profile");
            break;
        }
        out = more;
        room *= 2;
    }
    inflateEnd(&z);
    if (st != AE_OK || code != Z_STREAM_END)
        ae_free(out);
    else
        *data = out;
    return st;
}

/* Name, method of compression, stream. */
static ae_status take_profile(const uint8_t *p, size_t n, const ae_limits *limits,
                              ae_reader *reader, ae_error *err)
{
    const uint8_t *end = memchr(p, 0, n < 80 ? n : 80);
    size_t head = end ? (size_t)(end - p) + 2 : n, n_bytes;
    uint8_t *data = NULL;
    ae_status st = AE_OK;

    if (ae_meta_find(&reader->meta, AE_META_ICC))
        return AE_OK;
    if (head < n && end[1] == 0)
        st = inflate_all(p + head, n - head, limits->max_meta, &data, &n_bytes, err);
    if (st == AE_OK && !data)
        aei_note(reader->note, AEI_DAMAGED_META);
    if (data)
        st = ae_meta_add(&reader->meta, AE_META_ICC, NULL, data, n_bytes, err);
    ae_free(data);
    return st;
}

/* As of its type, which the chunk's checksum covers. */
static bool is_whole(const uint8_t *type, const uint8_t *data, uint32_t n)
{
    uint32_t crc = (uint32_t)crc32(crc32(0, type, 4), data, n);

    return data[n] == (uint8_t)(crc >> 24) && data[n + 1] == (uint8_t)(crc >> 16) &&
           data[n + 2] == (uint8_t)(crc >> 8) && data[n + 3] == (uint8_t)crc;
}

ae_status aei_png_take_colour(ae_source *source, const uint8_t *type, uint32_t n,
                              const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    bool profile = memcmp(type, "iCCP", 4) == 0;
    uint8_t *data;
    ae_status st = AE_OK;

    if (!profile && !strstr(AEI_PNG_COLOURS, (const char[]){(char)type[0], (char)type[1],
                                                            (char)type[2], (char)type[3], 0}))
        return AE_OK;
    if (n > limits->max_meta)
        return ae_fail(err, AE_ERR_LIMIT, "PNG: %u bytes of metadata exceed max_meta (%llu)", n,
                       (unsigned long long)limits->max_meta);
    if (!profile && n > 32) {
        aei_note(reader->note, AEI_DAMAGED_META);
        return AE_OK;
    }
    data = ae_alloc((size_t)n + 4, 1);
    if (!data)
        return ae_fail(err, AE_ERR_NOMEM, "PNG: metadata of %u bytes", n);
    if (ae_source_read(source, data, (size_t)n + 4) != (size_t)n + 4)
        st = ae_fail(err, AE_ERR_IO, "read error");
    else if (!is_whole(type, data, n))
        aei_note(reader->note, AEI_DAMAGED_META);
    else
        st = profile ? take_profile(data, n, limits, reader, err)
                     : aei_add_colour(&reader->meta, type, data, n, err);
    ae_free(data);
    return st;
}

void aei_png_ignore_colour(png_structp png)
{
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER,
                                (png_const_bytep) "iCCP\0cICP\0gAMA\0cHRM\0sRGB\0sBIT", 6);
}

/* Significant bits of just these channels, or NULL. *misfit: there are such as say something, of
 * others. */
static const uint8_t *find_significant(const ae_meta *meta, const ae_signal_info *info,
                                       bool *misfit)
{
    uint32_t depth = info->sample == AE_U16 ? 16 : 8;
    size_t n;
    const uint8_t *p = aei_find_colour(meta, "sBIT", &n);
    bool fits = p && n == info->channels, says = false;

    for (size_t i = 0; p && i < n; i++) {
        fits &= p[i] > 0 && p[i] <= depth;
        says |= p[i] != 8 && p[i] != 16;
    }
    if (misfit)
        *misfit = says && !fits;
    return fits ? p : NULL;
}

ae_status aei_png_pack_profile(const ae_meta *meta, ae_writer *writer, aei_packed_profile *out,
                               ae_error *err)
{
    /* its name, ended by a NUL, and the method of compression */
    static const char head[] = "ICC profile\0";
    aei_profile icc;
    uLongf n;
    bool misfit;

    *out = (aei_packed_profile){0};
    find_significant(meta, &writer->info, &misfit);
    if (misfit)
        aei_note(writer->note, "sBIT dropped");
    if (!aei_fitting_icc(meta, &writer->info, &icc, writer->note))
        return AE_OK;
    n = compressBound((uLong)icc.n_bytes);
    out->data = ae_alloc(sizeof(head) + n, 1);
    if (!out->data ||
        compress2(out->data + sizeof(head), &n, icc.data, (uLong)icc.n_bytes, 9) != Z_OK)
        return ae_fail(err, AE_ERR_NOMEM, "a colour profile of %zu bytes", icc.n_bytes);
    memcpy(out->data, head, sizeof(head));
    out->n_bytes = sizeof(head) + n;
    return AE_OK;
}

/* Those of the metadata where they fit these channels, else what the samples' type tells. */
static void write_significant(png_structp png, const ae_meta *meta, const ae_signal_info *info)
{
    uint32_t depth = info->sample == AE_U16 ? 16 : 8;
    const uint8_t *p = find_significant(meta, info, NULL);
    uint8_t bits[4];

    memset(bits, (int)info->bits, sizeof(bits));
    if (p)
        png_write_chunk(png, (png_const_bytep) "sBIT", p, info->channels);
    else if (depth == 16 && info->bits < 16)
        png_write_chunk(png, (png_const_bytep) "sBIT", bits, info->channels);
}

void aei_png_write_colour(png_structp png, const ae_meta *meta, const aei_packed_profile *profile,
                          const ae_signal_info *info)
{
    static const char types[][5] = {"cICP", "mDCV", "cLLI", "gAMA", "cHRM", "sRGB"};

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        size_t n;
        const uint8_t *p = aei_find_colour(meta, types[i], &n);

        /* which excludes a profile */
        if (p && !(profile->n_bytes && strcmp(types[i], "sRGB") == 0))
            png_write_chunk(png, (png_const_bytep)types[i], p, n);
    }
    if (profile->n_bytes)
        png_write_chunk(png, (png_const_bytep) "iCCP", profile->data, profile->n_bytes);
    write_significant(png, meta, info);
}
