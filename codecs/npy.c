/* SPDX-License-Identifier: BSD-2-Clause
 *
 * NPY, NumPy's format of one array (NumPy Enhancement Proposal 1): a magic, a version, a header
 * that is the text of a Python dictionary, then the elements. The first dimension counts items; an
 * item is a row. Fortran order is read in C order. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapter.h"

enum { MAX_HEADER = 1 << 16, BLOCK = 1 << 16 };

static const struct {
    char code[3];
    ae_sample sample;
} elements[] = {
    {"u1", AE_U8},  {"b1", AE_BOOL}, {"i1", AE_S8},  {"u2", AE_U16}, {"i2", AE_S16}, {"u4", AE_U32},
    {"i4", AE_S32}, {"u8", AE_U64},  {"i8", AE_S64}, {"f2", AE_F16}, {"f4", AE_F32}, {"f8", AE_F64},
};
enum { N_ELEMENTS = sizeof(elements) / sizeof(*elements) };

typedef struct reading {
    ae_source *source;
    ae_sample type;
    bool swap;           /* elements stand in the other byte order */
    bool fortran;        /* the first dimension changes fastest */
    uint64_t begin, row; /* of the elements; the next one to be read */
    uint8_t *block;
} reading;

/* ---- the header ---- */

/* What follows a key of the dictionary, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);

    if (!at)
        return NULL;
    at += strlen(key);
    while (*at == '\'' || *at == '"' || isspace((unsigned char)*at))
        at++;
    if (*at++ != ':')
        return NULL;
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

static ae_status parse_type(const char *text, reading *r, ae_error *err)
{
    char order = text && (*text == '\'' || *text == '"') ? text[1] : 0;

    for (int i = 0; order && i < N_ELEMENTS; i++)
        if (strncmp(text + 2, elements[i].code, 2) == 0 && text[4] == *text) {
            size_t bytes = ae_sample_bytes(elements[i].sample);

            r->type = elements[i].sample;
            r->swap = bytes > 1 && (order == '>') == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
            return order == '<' || order == '>' || order == '=' || (order == '|' && bytes == 1)
                       ? AE_OK
                       : ae_fail(err, AE_ERR_MALFORMED, "NPY: byte order '%c'", order);
        }
    if (order && text[2] == 'c')
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "NPY: complex numbers (%.6s): view them as pairs of floats, as "
                       "numpy's a.view(float) does",
                       text);
    return ae_fail(err, AE_ERR_UNSUPPORTED,
                   "NPY: elements of type %.12s (numbers and truth values are read)",
                   text ? text : "none");
}

static ae_status parse_shape(const char *text, ae_signal_info *info, ae_error *err)
{
    uint64_t dims[AE_MAX_RANK + 1];
    unsigned n = 0;

    if (!text || *text++ != '(')
        return ae_fail(err, AE_ERR_MALFORMED, "NPY: no shape in the header");
    while (*text && *text != ')') {
        char *end;

        if (!isdigit((unsigned char)*text)) {
            text++;
            continue;
        }
        if (n == AE_MAX_RANK + 1)
            return ae_fail(err, AE_ERR_UNSUPPORTED, "NPY: more than %d dimensions",
                           AE_MAX_RANK + 1);
        dims[n++] = strtoull(text, &end, 10);
        text = end;
    }
    info->height = n ? dims[0] : 1;
    info->width = 1;
    for (unsigned i = 1; i < n; i++) {
        if (dims[i] > UINT32_MAX || __builtin_mul_overflow(info->width, dims[i], &info->width))
            return ae_fail(err, AE_ERR_MALFORMED, "NPY: dimensions beyond all measure");
        info->dims[info->rank++] = (uint32_t)dims[i];
    }
    return info->height && info->width ? AE_OK
                                       : ae_fail(err, AE_ERR_MALFORMED, "NPY: an empty array");
}

static ae_status read_header(ae_source *source, char **header, ae_error *err)
{
    uint8_t head[12];
    size_t n, n_head = 10;

    if (ae_source_read(source, head, 10) != 10 || memcmp(head, "\x93NUMPY", 6) != 0)
        return ae_fail(err, AE_ERR_MALFORMED, "not an NPY file");
    if (head[6] < 1 || head[6] > 3)
        return ae_fail(err, AE_ERR_TOO_NEW, "NPY: version %u.%u, 1 to 3 are known", head[6],
                       head[7]);
    n = head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) {
        if (ae_source_read(source, head + 10, 2) != 2)
            return ae_fail(err, AE_ERR_MALFORMED, "NPY: truncated header");
        n |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
        n_head = 12;
    }
    if (n > MAX_HEADER)
        return ae_fail(err, AE_ERR_LIMIT, "NPY: a header of %zu bytes, at most %d are read", n,
                       MAX_HEADER);
    if (!(*header = ae_alloc(n + 1, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "NPY header");
    if (ae_source_read(source, *header, n) == n)
        return AE_OK;
    ae_free(*header);
    *header = NULL;
    return ae_fail(err, AE_ERR_MALFORMED, "NPY: truncated header of %zu bytes at byte %zu", n,
                   n_head);
}

static ae_status npy_open(ae_source *source, const ae_limits *limits, ae_reader *reader,
                          ae_error *err)
{
    ae_signal_info info = {.kind = AE_KIND_TENSOR, .channels = 1};
    reading *r = ae_alloc(1, sizeof(*r));
    char *header = NULL;
    const char *order;
    uint64_t needed, there;
    size_t each = 0;
    ae_status st;

    if (!r)
        return ae_fail(err, AE_ERR_NOMEM, "NPY reader");
    r->source = source;
    if ((st = read_header(source, &header, err)) != AE_OK ||
        (st = parse_type(value_of(header, "descr"), r, err)) != AE_OK ||
        (st = parse_shape(value_of(header, "shape"), &info, err)) != AE_OK)
        goto done;
    order = value_of(header, "fortran_order");
    r->begin = ae_source_tell(source);
    r->fortran = order && strncmp(order, "True", 4) == 0 && info.rank;
    there = ae_source_size(source) - r->begin;
    each = ae_sample_bytes(r->type);
    if (info.width > limits->max_pixels)
        st = ae_fail(err, AE_ERR_LIMIT,
                     "NPY: items of %" PRIu64 " elements exceed max_pixels (%" PRIu64 ")",
                     info.width, limits->max_pixels);
    else if (__builtin_mul_overflow(info.height, info.width, &needed) ||
             __builtin_mul_overflow(needed, each, &needed) || needed > there)
        st = ae_fail(err, AE_ERR_MALFORMED,
                     "NPY: truncated: %" PRIu64
                     " bytes of elements where the header promises %" PRIu64,
                     there, needed);
    else if (!(r->block = ae_alloc(r->fortran ? BLOCK : 1, 1)))
        st = ae_fail(err, AE_ERR_NOMEM, "NPY reader");
done:
    ae_free(header);
    if (st != AE_OK) {
        ae_free(r);
        return st;
    }
    info.sample = r->type;
    info.bits = (uint32_t)(8 * each);
    reader->info = info;
    reader->state = r;
    return AE_OK;
}

/* ---- elements ---- */

static void to_native(const reading *r, uint8_t *p, size_t n)
{
    size_t each = ae_sample_bytes(r->type);

    for (size_t i = 0; i < n && r->swap; i++, p += each)
        for (size_t k = 0; k < each / 2; k++) {
            uint8_t t = p[k];

            p[k] = p[each - 1 - k];
            p[each - 1 - k] = t;
        }
    for (size_t i = 0; i < n && r->type == AE_BOOL; i++)
        p[i] = p[i] != 0;
}

/* Rows of an array in Fortran order lie apart: a run of the rows' elements at one place of the
 * items for each such place. */
static ae_status read_apart(const ae_reader *reader, reading *r, uint8_t *rows, uint32_t n_rows,
                            ae_error *err)
{
    const ae_signal_info *info = &reader->info;
    size_t each = ae_sample_bytes(r->type), width = (size_t)info->width;

    for (size_t k = 0; k < width; k++) {
        size_t at = 0, rest = k, stride = width; /* of that place in C order */

        for (uint32_t d = 0; d < info->rank; d++) {
            stride /= info->dims[d];
            at += rest % info->dims[d] * stride;
            rest /= info->dims[d];
        }
        if (!ae_source_seek(r->source, r->begin + (k * info->height + r->row) * each))
            return ae_fail(err, AE_ERR_IO, "NPY: seek");
        for (size_t done = 0, some; done < n_rows; done += some) {
            some = n_rows - done < BLOCK / each ? n_rows - done : BLOCK / each;
            if (ae_source_read(r->source, r->block, some * each) != some * each)
                return ae_fail(err, AE_ERR_IO, "NPY: read error");
            for (size_t i = 0; i < some; i++)
                memcpy(rows + ((done + i) * width + at) * each, r->block + i * each, each);
        }
    }
    return AE_OK;
}

static ae_status npy_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    reading *r = reader->state;
    size_t n = n_rows * (size_t)reader->info.width, n_bytes = n * ae_sample_bytes(r->type);

    if (r->fortran) {
        ae_status st = read_apart(reader, r, rows, n_rows, err);

        if (st != AE_OK)
            return st;
    } else if (ae_source_read(r->source, rows, n_bytes) != n_bytes) {
        return ae_fail(err, AE_ERR_IO, "NPY: read error");
    }
    r->row += n_rows;
    to_native(r, rows, n);
    return AE_OK;
}

static void npy_close(ae_reader *reader)
{
    reading *r = reader->state;

    if (r)
        ae_free(r->block);
    ae_free(r);
}

static int npy_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 10 && memcmp(head, "\x93NUMPY", 6) == 0 ? 100 : 0;
}

/* ---- writing ---- */

static void type_code(ae_sample sample, char code[4])
{
    memcpy(code + 1, "f4", 3);
    for (int i = 0; i < N_ELEMENTS; i++)
        if (elements[i].sample == sample)
            memcpy(code + 1, elements[i].code, 3);
    code[0] = ae_sample_bytes(sample) == 1                ? '|'
              : __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<'
                                                          : '>';
}

static void npy_accepts(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

static ae_status npy_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta,
                            const ae_write_options *options, ae_writer *writer, ae_error *err)
{
    char text[512], code[4];
    uint8_t head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    int n;
    ae_status st;

    (void)meta;
    (void)options;
    type_code(info->sample, code);
    n = snprintf(text, sizeof(text),
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu64 ",", code,
                 info->height);
    for (uint32_t i = 0; i < info->rank; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%u", i ? ", " : " ", info->dims[i]);
    n += snprintf(text + n, sizeof(text) - (size_t)n, "), }");
    while ((n + 11) % 64)
        text[n++] = ' ';
    text[n++] = '\n';
    head[8] = (uint8_t)n;
    head[9] = (uint8_t)(n >> 8);
    writer->state = sink;
    st = sink->write(sink->opaque, head, sizeof(head), err);
    return st == AE_OK ? sink->write(sink->opaque, text, (size_t)n, err) : st;
}

static ae_status npy_write(ae_writer *writer, const void *rows, uint32_t n_rows, ae_error *err)
{
    ae_sink *sink = writer->state;

    return sink->write(sink->opaque, rows, n_rows * ae_row_bytes(&writer->info), err);
}

static ae_status npy_finish(ae_writer *writer, ae_error *err)
{
    (void)writer;
    (void)err;
    return AE_OK;
}

static void npy_abandon(ae_writer *writer)
{
    (void)writer;
}

static const char *const suffixes[] = {"npy", NULL};

const ae_codec aei_codec_npy = {
    .name = "npy",
    .description = "NumPy array",
    .suffixes = suffixes,
    .kind = AE_KIND_TENSOR,
    .probe = npy_probe,
    .open = npy_open,
    .read = npy_read,
    .close = npy_close,
    .accepts = npy_accepts,
    .create = npy_create,
    .write = npy_write,
    .finish = npy_finish,
    .abandon = npy_abandon,
};
