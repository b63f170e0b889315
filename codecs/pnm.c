/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The Netpbm family, by rows: PBM, PGM and PPM in text and binary, PAM, and PFM (float, stored from
 * the bottom up). Samples of maxval other than 255 and 65535 are stretched to full scale; writing
 * uses 2^bits - 1. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapter.h"

typedef struct pnm_state {
    ae_source *source;
    uint8_t type; /* '1'..'7', 'f' and 'F' */
    uint32_t maxval;
    bool big_endian;    /* PFM */
    uint64_t pixels_at; /* the first sample's offset */
    size_t row_samples, file_row_bytes;
    uint8_t *row; /* as in the file */
    uint64_t y, height;

    aei_spool spool; /* writing */
} pnm_state;

/* ---- reading ---- */

static int get_byte(ae_source *source)
{
    uint8_t c;

    return ae_source_read(source, &c, 1) == 1 ? c : -1;
}

/* The next word after white space and comments; the byte behind it is consumed. False where it is
 * too long or missing. */
static bool get_word(ae_source *source, char *word, size_t size)
{
    size_t n = 0;
    int c = get_byte(source);

    while (c == '#' || (c >= 0 && isspace(c))) {
        if (c == '#')
            while (c >= 0 && c != '\n')
                c = get_byte(source);
        c = get_byte(source);
    }
    while (c >= 0 && !isspace(c)) {
        if (n == size - 1)
            return false;
        word[n++] = (char)c;
        c = get_byte(source);
    }
    word[n] = 0;
    return n > 0;
}

static bool get_number(ae_source *source, uint64_t *value)
{
    char word[16], *end;

    if (!get_word(source, word, sizeof(word)) || !isdigit((unsigned char)word[0]))
        return false;
    *value = strtoull(word, &end, 10);
    return !*end;
}

static bool read_pam_header(ae_source *source, uint64_t *width, uint64_t *height, uint64_t *depth,
                            uint64_t *maxval)
{
    char word[64];
    bool known;

    for (;;) {
        if (!get_word(source, word, sizeof(word)))
            return false;
        if (strcmp(word, "ENDHDR") == 0)
            return *width && *height && *depth && *maxval;
        known = strcmp(word, "WIDTH") == 0    ? get_number(source, width)
                : strcmp(word, "HEIGHT") == 0 ? get_number(source, height)
                : strcmp(word, "DEPTH") == 0  ? get_number(source, depth)
                : strcmp(word, "MAXVAL") == 0
                    ? get_number(source, maxval)
                    : strcmp(word, "TUPLTYPE") == 0 && get_word(source, word, sizeof(word));
        if (!known)
            return false;
    }
}

static ae_status read_header(pnm_state *s, const ae_limits *limits, ae_reader *reader,
                             ae_error *err)
{
    uint64_t width = 0, height = 0, depth = 1, maxval = 1, needed;
    char word[32];
    bool good;
    ae_status st;
    ae_sample sample;

    if (get_byte(s->source) != 'P')
        return ae_fail(err, AE_ERR_MALFORMED, "not a PNM file");
    s->type = (uint8_t)get_byte(s->source);
    if (s->type == '7') {
        depth = maxval = 0;
        good = read_pam_header(s->source, &width, &height, &depth, &maxval);
    } else {
        good = get_number(s->source, &width) && get_number(s->source, &height);
        if (good && (s->type == 'f' || s->type == 'F')) {
            double scale = 0;
            char *end = word;

            if (get_word(s->source, word, sizeof(word)))
                scale = strtod(word, &end);
            good = end != word && !*end && isfinite(scale) && scale != 0;
            s->big_endian = scale > 0;
        } else if (good && s->type != '1' && s->type != '4') {
            good = get_number(s->source, &maxval);
        }
        if (s->type == '3' || s->type == '6' || s->type == 'F')
            depth = 3;
    }
    if (!good || maxval < 1 || maxval > 65535)
        return ae_fail(err, AE_ERR_MALFORMED, "PNM: damaged header");
    if (depth < 1 || depth > 4)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "PAM of %llu channels", (unsigned long long)depth);
    if ((st = aei_check_size(limits, width, height, err)) != AE_OK)
        return st;
    s->maxval = (uint32_t)maxval;
    sample = s->type == 'f' || s->type == 'F' ? AE_F32 : maxval > 255 ? AE_U16 : AE_U8;
    reader->info = aei_image_info(width, height, sample, (uint32_t)depth);
    while (sample == AE_U16 && reader->info.bits > 9 &&
           maxval <= (UINT64_C(1) << (reader->info.bits - 1)) - 1)
        reader->info.bits--;
    s->row_samples = (size_t)(width * depth);
    s->file_row_bytes = s->type == '4' ? (size_t)((width + 7) / 8)
                                       : s->row_samples * ae_sample_bytes(sample);
    s->height = height;
    s->pixels_at = ae_source_tell(s->source);
    if (s->type >= '1' && s->type <= '3')
        return AE_OK;
    needed = height * s->file_row_bytes; /* at most 2^40 rows by 2^23 bytes */
    if (ae_source_size(s->source) - s->pixels_at < needed)
        return ae_fail(err, AE_ERR_MALFORMED,
                       "PNM: truncated: %llu bytes of samples instead of %llu",
                       (unsigned long long)(ae_source_size(s->source) - s->pixels_at),
                       (unsigned long long)needed);
    s->row = ae_alloc(s->file_row_bytes, 1);
    return s->row ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a row of %zu bytes", s->file_row_bytes);
}

static void pnm_free_state(pnm_state *s)
{
    if (!s)
        return;
    aei_spool_close(&s->spool);
    ae_free(s->row);
    ae_free(s);
}

static ae_status pnm_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    pnm_state *s = ae_alloc(1, sizeof(*s));
    ae_status st;

    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "PNM decoder");
    s->spool.fd = -1;
    s->source = source;
    if ((st = read_header(s, limits, reader, err)) != AE_OK) {
        pnm_free_state(s);
        return st;
    }
    reader->state = s;
    return AE_OK;
}

/* In text the samples of a bitmap need no space between them. */
static bool get_text_sample(pnm_state *s, uint64_t *v)
{
    int c;

    if (s->type != '1')
        return get_number(s->source, v);
    do {
        c = get_byte(s->source);
        while (c == '#') {
            while (c >= 0 && c != '\n')
                c = get_byte(s->source);
            c = get_byte(s->source);
        }
    } while (c >= 0 && isspace(c));
    *v = c == '0'; /* 1 is black */
    return c == '0' || c == '1';
}

static void put_sample(const pnm_state *s, void *row, size_t i, uint32_t v)
{
    uint32_t full = s->maxval > 255 ? 65535 : 255;

    if (v > s->maxval)
        v = s->maxval;
    if (s->maxval != full)
        v = (uint32_t)(((uint64_t)v * full + s->maxval / 2) / s->maxval);
    if (full == 255)
        ((uint8_t *)row)[i] = (uint8_t)v;
    else
        ((uint16_t *)row)[i] = (uint16_t)v;
}

static void put_floats(const pnm_state *s, float *row)
{
    for (size_t i = 0; i < s->row_samples; i++) {
        const uint8_t *p = s->row + 4 * i;
        uint32_t v = s->big_endian
                         ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
                         : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];

        memcpy(&row[i], &v, 4);
    }
}

static ae_status read_row(pnm_state *s, void *row, ae_error *err)
{
    bool is_float = s->type == 'f' || s->type == 'F';

    if (s->type >= '1' && s->type <= '3') {
        for (size_t i = 0; i < s->row_samples; i++) {
            uint64_t v;

            if (!get_text_sample(s, &v))
                return ae_fail(err, AE_ERR_MALFORMED, "PNM: damaged or truncated in row %llu",
                               (unsigned long long)s->y);
            put_sample(s, row, i, v < UINT32_MAX ? (uint32_t)v : UINT32_MAX);
        }
        return AE_OK;
    }
    if (!ae_source_seek(s->source, s->pixels_at + (is_float ? s->height - 1 - s->y : s->y) *
                                                      s->file_row_bytes) ||
        ae_source_read(s->source, s->row, s->file_row_bytes) != s->file_row_bytes)
        return ae_fail(err, AE_ERR_IO, "read error");
    if (is_float)
        put_floats(s, row);
    else if (s->type == '4')
        for (size_t i = 0; i < s->row_samples; i++)
            put_sample(s, row, i, !(s->row[i / 8] >> (7 - i % 8) & 1));
    else if (s->maxval > 255)
        for (size_t i = 0; i < s->row_samples; i++)
            put_sample(s, row, i, (uint32_t)s->row[2 * i] << 8 | s->row[2 * i + 1]);
    else
        for (size_t i = 0; i < s->row_samples; i++)
            put_sample(s, row, i, s->row[i]);
    return AE_OK;
}

static ae_status pnm_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    pnm_state *s = reader->state;
    size_t row_bytes = ae_row_bytes(&reader->info);
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < n_rows && st == AE_OK; i++, s->y++)
        st = read_row(s, (uint8_t *)rows + i * row_bytes, err);
    return st;
}

static void pnm_close(ae_reader *reader)
{
    pnm_free_state(reader->state);
}

static int pnm_probe(const uint8_t *head, size_t n_bytes)
{
    if (n_bytes < 3 || head[0] != 'P' || (!isspace(head[2]) && head[2] != '#'))
        return 0;
    return (head[1] >= '1' && head[1] <= '7') || head[1] == 'f' || head[1] == 'F' ? 90 : 0;
}

static int never(const uint8_t *head, size_t n_bytes)
{
    (void)head;
    (void)n_bytes;
    return 0;
}

/* ---- writing ---- */

static void no_float(ae_signal_info *info, char note[160])
{
    if (info->sample == AE_U8 || info->sample == AE_U16)
        return;
    aei_note(note, "float samples rounded to 16 bits");
    info->sample = AE_U16;
    info->bits = 16;
}

static void no_alpha(ae_signal_info *info, char note[160])
{
    if (!info->alpha)
        return;
    aei_note(note, "alpha laid on white");
    info->alpha = false;
    info->channels--;
}

static void pgm_accepts(ae_signal_info *info, char note[160])
{
    no_float(info, note);
    no_alpha(info, note);
    if (info->channels == 3)
        aei_note(note, "colour reduced to grey");
    info->channels = 1;
}

static void ppm_accepts(ae_signal_info *info, char note[160])
{
    no_float(info, note);
    no_alpha(info, note);
    info->channels = 3;
}

static void pfm_accepts(ae_signal_info *info, char note[160])
{
    no_alpha(info, note);
    info->sample = AE_F32;
    info->bits = 32;
}

static ae_status pnm_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    static const char *const pam_types[] = {"", "GRAYSCALE", "GRAYSCALE_ALPHA", "RGB", "RGB_ALPHA"};
    unsigned long long width = info->width, height = info->height;
    pnm_state *s = ae_alloc(1, sizeof(*s));
    char head[160];
    int n;
    ae_status st;

    (void)options;
    if (!s)
        return ae_fail(err, AE_ERR_NOMEM, "PNM encoder");
    s->spool.fd = -1;
    s->height = height;
    s->row_samples = (size_t)width * info->channels;
    s->file_row_bytes = s->row_samples * ae_sample_bytes(info->sample);
    s->maxval = info->sample == AE_U16
                    ? (1u << (info->bits > 8 && info->bits < 16 ? info->bits : 16)) - 1
                    : 255;
    if (info->sample == AE_F32)
        n = snprintf(head, sizeof(head), "P%c\n%llu %llu\n-1.0\n", info->channels == 3 ? 'F' : 'f',
                     width, height);
    else if (info->alpha || writer->codec == &aei_codec_pam)
        n = snprintf(head, sizeof(head),
                     "P7\nWIDTH %llu\nHEIGHT %llu\nDEPTH %u\nMAXVAL %u\nTUPLTYPE %s\nENDHDR\n",
                     width, height, info->channels, s->maxval, pam_types[info->channels]);
    else
        n = snprintf(head, sizeof(head), "P%c\n%llu %llu\n%u\n", info->channels == 3 ? '6' : '5',
                     width, height, s->maxval);
    s->pixels_at = (uint64_t)n;
    s->row = ae_alloc(s->file_row_bytes, 1);
    if (!s->row)
        st = ae_fail(err, AE_ERR_NOMEM, "a row of %zu bytes", s->file_row_bytes);
    else
        st = aei_spool_open(&s->spool, sink, info->sample == AE_F32, err);
    if (st == AE_OK)
        st = aei_spool_write(&s->spool, head, (size_t)n, err);
    if (st != AE_OK) {
        pnm_free_state(s);
        return st;
    }
    aei_note_dropped(meta, 0, writer->note);
    writer->state = s;
    return AE_OK;
}

static ae_status write_row(pnm_state *s, const ae_signal_info *info, const uint8_t *row,
                           ae_error *err)
{
    ae_status st;

    for (size_t i = 0; info->sample == AE_U16 && i < s->row_samples; i++) {
        uint32_t v = ((const uint16_t *)row)[i];

        if (s->maxval != 65535)
            v = (v * s->maxval + 32767) / 65535;
        s->row[2 * i] = (uint8_t)(v >> 8);
        s->row[2 * i + 1] = (uint8_t)v;
    }
    for (size_t i = 0; info->sample == AE_F32 && i < s->row_samples; i++) {
        uint32_t v;

        memcpy(&v, row + 4 * i, 4);
        for (int k = 0; k < 4; k++)
            s->row[4 * i + (size_t)k] = (uint8_t)(v >> 8 * k);
    }
    if (info->sample == AE_F32 &&
        (st = aei_spool_seek(&s->spool, s->pixels_at + (s->height - 1 - s->y) * s->file_row_bytes,
                             err)) != AE_OK)
        return st;
    s->y++;
    return aei_spool_write(&s->spool, info->sample == AE_U8 ? row : s->row, s->file_row_bytes, err);
}

static ae_status pnm_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    pnm_state *s = writer->state;
    ae_status st = AE_OK;

    for (uint32_t i = 0; i < n_rows && st == AE_OK; i++)
        st = write_row(s, &writer->info, (const uint8_t *)rows + i * s->file_row_bytes, err);
    return st;
}

static ae_status pnm_finish(ae_writer *writer, ae_error *err)
{
    pnm_state *s = writer->state;
    ae_status st = aei_spool_finish(&s->spool, err);

    pnm_free_state(s);
    return st;
}

static void pnm_abandon(ae_writer *writer)
{
    pnm_free_state(writer->state);
}

static const char
    *const pnm_suffixes[] = {"pnm", "pbm", NULL},
           *const pgm_suffixes[] = {"pgm", NULL}, *const ppm_suffixes[] = {"ppm", NULL},
           *const pam_suffixes[] = {"pam", NULL}, *const pfm_suffixes[] = {"pfm", NULL};

#define PNM_CODEC(symbol, text, suffix_list, prober, acceptor)                                     \
    const ae_codec aei_codec_##symbol = {.name = #symbol,                                          \
                                         .description = text,                                      \
                                         .suffixes = suffix_list,                                  \
                                         .kind = AE_KIND_IMAGE,                                    \
                                         .probe = prober,                                          \
                                         .open = pnm_open,                                         \
                                         .read = pnm_read,                                         \
                                         .close = pnm_close,                                       \
                                         .accepts = acceptor,                                      \
                                         .create = pnm_create,                                     \
                                         .write = pnm_write,                                       \
                                         .finish = pnm_finish,                                     \
                                         .abandon = pnm_abandon}

/* One reader for all; what is written depends on the name. "pnm" takes PAM for alpha. */
PNM_CODEC(pnm, "Netpbm, any", pnm_suffixes, pnm_probe, no_float);
PNM_CODEC(pgm, "Netpbm grey", pgm_suffixes, never, pgm_accepts);
PNM_CODEC(ppm, "Netpbm colour", ppm_suffixes, never, ppm_accepts);
PNM_CODEC(pam, "Netpbm with alpha", pam_suffixes, never, no_float);
PNM_CODEC(pfm, "Portable float map", pfm_suffixes, never, pfm_accepts);
