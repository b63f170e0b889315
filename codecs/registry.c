/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All adapters, and what programs do with them: recognise a file, read rows. */
#include "ae/files.h"

#include <string.h>
#include <strings.h>

#include "adapter.h"

const ae_codec *const ae_codecs[] = {
    &aei_codec_png,   &aei_codec_jpeg,  &aei_codec_tiff,
    &aei_codec_webp,  &aei_codec_pnm,   &aei_codec_pgm,
    &aei_codec_ppm,   &aei_codec_pam,   &aei_codec_pfm,
    &aei_codec_bmp,   &aei_codec_gif,   &aei_codec_jp2,
    &aei_codec_exr,   &aei_codec_qoi,   &aei_codec_tga,
    &aei_codec_idx,   &aei_codec_raw,   &aei_codec_heic,
    &aei_codec_avif,  &aei_codec_jxl,   &aei_codec_wav,
    &aei_codec_w64,   &aei_codec_aiff,  &aei_codec_au,
    &aei_codec_caf,   &aei_codec_flac,  &aei_codec_vorbis,
    &aei_codec_opus,  &aei_codec_mp3,   &aei_codec_m4a,
    &aei_codec_mp4,   &aei_codec_mov,   &aei_codec_mkv,
    &aei_codec_webm,  &aei_codec_wma,   &aei_codec_avi,
    &aei_codec_aac,   &aei_codec_ts,    &aei_codec_u8,
    &aei_codec_s8,    &aei_codec_s16le, &aei_codec_s16be,
    &aei_codec_s24le, &aei_codec_s24be, &aei_codec_s32le,
    &aei_codec_s32be, &aei_codec_f32le, &aei_codec_f32be,
    &aei_codec_f64le, &aei_codec_f64be, &aei_codec_npy,
    &aei_codec_csv,   &aei_codec_tsv,   NULL,
};

static const ae_codec *find_suffix(const char *suffix, bool writes)
{
    for (const ae_codec *const *c = ae_codecs; *c; c++) {
        if (writes && !(*c)->create)
            continue;
        for (const char *const *s = (*c)->suffixes; *s; s++)
            if (strcasecmp(*s, suffix) == 0)
                return *c;
    }
    return NULL;
}

static const char *suffix_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');

    return dot ? dot + 1 : "";
}

const ae_codec *ae_codec_for_name(const char *name)
{
    for (const ae_codec *const *c = ae_codecs; *c; c++)
        if ((*c)->create && strcasecmp((*c)->name, name) == 0)
            return *c;
    return find_suffix(name, true);
}

const ae_codec *ae_codec_for_path(const char *path)
{
    return find_suffix(suffix_of(path), true);
}

/* All together, with what a container adds to each: what is read from one file can be read from
 * another. */
static ae_status check_meta(const ae_meta *meta, uint64_t max_meta, ae_error *err)
{
    uint64_t n = 0;

    for (size_t i = 0; i < meta->n_items; i++)
        n += meta->items[i].n_bytes + (meta->items[i].key ? strlen(meta->items[i].key) : 0) + 16;
    return n <= max_meta
               ? AE_OK
               : ae_fail(err, AE_ERR_LIMIT, "%llu bytes of metadata exceed max_meta (%llu)",
                         (unsigned long long)n, (unsigned long long)max_meta);
}

static ae_status open_first(ae_source *source, const ae_limits *limits, uint32_t track,
                            ae_reader *reader, ae_error *err)
{
    uint8_t head[4096];
    const ae_codec *best = NULL, *suffix;
    int best_score = 0;
    size_t n;
    ae_status st;

    *reader = (ae_reader){.source = source, .track = track, .limits = *limits};
    if (!ae_source_seek(source, 0) || (n = ae_source_read(source, head, sizeof(head))) == 0 ||
        !ae_source_seek(source, 0))
        return ae_fail(err, AE_ERR_IO, "cannot be read");
    for (const ae_codec *const *c = ae_codecs; *c; c++) {
        int score = (*c)->probe(head, n);

        if (score > best_score) {
            best = *c;
            best_score = score;
        }
    }
    suffix = find_suffix(suffix_of(ae_source_name(source)), false);
    /* Many camera raw files are TIFF files that begin with a thumbnail: there the suffix counts. */
    if (!best || (best == &aei_codec_tiff && suffix == &aei_codec_raw))
        best = suffix;
    if (!best)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "not a format that is known here");
    reader->codec = best;
    st = best->open(source, limits, reader, err);
    if (st == AE_OK && (st = check_meta(&reader->meta, limits->max_meta, err)) != AE_OK)
        best->close(reader);
    if (st != AE_OK) {
        reader->codec = NULL; /* which has nothing more to close */
        aei_close_here(reader);
    }
    return st;
}

ae_status aei_open_here(ae_source *source, const ae_limits *limits, uint32_t track,
                        ae_reader *reader, ae_error *err)
{
    ae_status st = open_first(source, limits, track, reader, err);

    if (st != AE_OK || reader->info.kind != AE_KIND_IMAGE)
        return st;
    reader->track = 1;
    return track > 1 ? aei_picture_here(reader, track, err) : AE_OK;
}

/* Forward by the adapter, back by beginning again. */
ae_status aei_picture_here(ae_reader *reader, uint32_t n, ae_error *err)
{
    ae_source *source = reader->source;
    ae_limits limits = reader->limits;
    ae_status st;

    if (n < 2 || n < reader->track) {
        aei_close_here(reader);
        return aei_open_here(source, &limits, n, reader, err);
    }
    if (n > 1 + (uint64_t)reader->n_further)
        st = ae_fail(err, AE_ERR_ARGUMENT, "picture %u of %llu", n,
                     1 + (unsigned long long)reader->n_further);
    else if (!reader->codec->picture)
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "%s: pictures beyond the first are not read",
                     reader->codec->description);
    else if ((st = reader->codec->picture(reader, n, err)) == AE_OK)
        st = check_meta(&reader->meta, limits.max_meta, err);
    if (st != AE_OK) {
        aei_close_here(reader);
        return st;
    }
    reader->track = n;
    reader->n_read = 0;
    return AE_OK;
}

void aei_close_here(ae_reader *reader)
{
    if (reader->codec)
        reader->codec->close(reader);
    ae_meta_clear(&reader->meta);
    ae_free(reader->kept);
    *reader = (ae_reader){0};
}

ae_status aei_read_here(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    size_t row = ae_row_bytes(&reader->info);
    ae_status st;

    reader->n_read += n_rows;
    if (reader->codec->read)
        return reader->codec->read(reader, rows, n_rows, err);
    for (uint32_t done = 0, n; done < n_rows; done += n) {
        if ((st = reader->codec->read_some(reader, (uint8_t *)rows + done * row, n_rows - done, &n,
                                           err)) != AE_OK)
            return st;
        if (!n)
            return ae_fail(err, AE_ERR_ARGUMENT, "%u frames where %u are left", n_rows, done);
    }
    return AE_OK;
}

ae_status aei_read_some_here(ae_reader *reader, void *rows, uint32_t capacity, uint32_t *n_rows,
                             ae_error *err)
{
    uint64_t left = reader->info.height - reader->n_read;
    ae_status st;

    *n_rows = 0;
    if (reader->codec->read_some)
        return reader->codec->read_some(reader, rows, capacity, n_rows, err);
    if (!(capacity = left < capacity ? (uint32_t)left : capacity))
        return AE_OK;
    if ((st = aei_read_here(reader, rows, capacity, err)) == AE_OK)
        *n_rows = capacity;
    return st;
}
