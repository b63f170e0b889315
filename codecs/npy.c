/* SPDX-License-Identifier: BSD-2-Clause
 *
 * NPY, NumPy's format of one array (NumPy Enhancement Proposal 1): a magic, a version, a header that is the text of a Python
 * dictionary, then the elements in C order. The first dimension counts items; an item is a row. Element types that ae_sample has
 * not are read as the next larger one that holds them. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "adapter.h"

enum { MAX_HEADER = 1 << 16, BLOCK = 1 << 16 };

typedef enum element { U1, B1, I1, U2, I2, U4, I4, U8, I8, F2, F4, F8, N_ELEMENTS } element;

static const struct {
    char code[3];
    uint8_t bytes;
    ae_sample sample;
} elements[N_ELEMENTS] = {
    [U1] = {"u1", 1, AE_U8},  [B1] = {"b1", 1, AE_U8},  [I1] = {"i1", 1, AE_S16}, [U2] = {"u2", 2, AE_U16},
    [I2] = {"i2", 2, AE_S16}, [U4] = {"u4", 4, AE_F64}, [I4] = {"i4", 4, AE_S32}, [U8] = {"u8", 8, AE_F64},
    [I8] = {"i8", 8, AE_F64}, [F2] = {"f2", 2, AE_F32}, [F4] = {"f4", 4, AE_F32}, [F8] = {"f8", 8, AE_F64},
};

typedef struct reading {
    ae_source *source;
    element type;
    bool swap; /* elements stand in the other byte order */
    uint8_t block[BLOCK];
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
            r->type = (element)i;
            r->swap = elements[i].bytes > 1 && (order == '>') == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
            return order == '<' || order == '>' || order == '=' || (order == '|' && elements[i].bytes == 1)
                       ? AE_OK
                       : ae_fail(err, AE_ERR_MALFORMED, "NPY: byte order '%c'", order);
        }
    return ae_fail(err, AE_ERR_UNSUPPORTED, "NPY: elements of type %.12s (numbers and truth values are read)",
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
            return ae_fail(err, AE_ERR_UNSUPPORTED, "NPY: more than %d dimensions", AE_MAX_RANK + 1);
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
    return info->height && info->width ? AE_OK : ae_fail(err, AE_ERR_MALFORMED, "NPY: an empty array");
}

static ae_status read_header(ae_source *source, char **header, ae_error *err)
{
    uint8_t head[12];
    size_t n, n_head = 10;

    if (ae_source_read(source, head, 10) != 10 || memcmp(head, "\x93NUMPY", 6) != 0)
        return ae_fail(err, AE_ERR_MALFORMED, "not an NPY file");
    if (head[6] < 1 || head[6] > 3)
        return ae_fail(err, AE_ERR_TOO_NEW, "NPY: version %u.%u, 1 to 3 are known", head[6], head[7]);
    n = head[8] | (size_t)head[9] << 8;
    if (head[6] > 1) {
        if (ae_source_read(source, head + 10, 2) != 2)
            return ae_fail(err, AE_ERR_MALFORMED, "NPY: truncated header");
        n |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
        n_head = 12;
    }
    if (n > MAX_HEADER)
        return ae_fail(err, AE_ERR_LIMIT, "NPY: a header of %zu bytes, at most %d are read", n, MAX_HEADER);
    if (!(*header = ae_alloc(n + 1, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "NPY header");
    if (ae_source_read(source, *header, n) == n)
        return AE_OK;
    ae_free(*header);
    *header = NULL;
    return ae_fail(err, AE_ERR_MALFORMED, "NPY: truncated header of %zu bytes at byte %zu", n, n_head);
}

static ae_status npy_open(ae_source *source, const ae_limits *limits, ae_reader *reader, ae_error *err)
{
    ae_signal_info info = {.kind = AE_KIND_TENSOR, .channels = 1};
    reading *r = ae_alloc(1, sizeof(*r));
    char *header = NULL;
    const char *order;
    uint64_t needed, there;
    ae_status st;

    if (!r)
        return ae_fail(err, AE_ERR_NOMEM, "NPY reader");
    r->source = source;
    if ((st = read_header(source, &header, err)) != AE_OK || (st = parse_type(value_of(header, "descr"), r, err)) != AE_OK ||
        (st = parse_shape(value_of(header, "shape"), &info, err)) != AE_OK)
        goto done;
    order = value_of(header, "fortran_order");
    there = ae_source_size(source) - ae_source_tell(source);
    if (order && strncmp(order, "True", 4) == 0 && info.rank)
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "NPY: Fortran order (numpy.ascontiguousarray brings the usual one)");
    else if (info.width > limits->max_pixels)
        st = ae_fail(err, AE_ERR_LIMIT, "NPY: items of %" PRIu64 " elements exceed max_pixels (%" PRIu64 ")", info.width,
                     limits->max_pixels);
    else if (__builtin_mul_overflow(info.height, info.width, &needed) ||
             __builtin_mul_overflow(needed, elements[r->type].bytes, &needed) || needed > there)
        st = ae_fail(err, AE_ERR_MALFORMED, "NPY: truncated: %" PRIu64 " bytes of elements where the header promises %" PRIu64,
                     there, needed);
done:
    ae_free(header);
    if (st != AE_OK) {
        ae_free(r);
        return st;
    }
    info.sample = elements[r->type].sample;
    info.bits = (uint32_t)(8 * ae_sample_bytes(info.sample));
    reader->info = info;
    reader->state = r;
    return AE_OK;
}

/* ---- elements ---- */

static double from_half(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double v =
        exponent == 31 ? (mantissa ? NAN : INFINITY) : ldexp(exponent ? mantissa + 1024 : mantissa, (exponent ? exponent : 1) - 25);

    return h >> 15 ? -v : v;
}

static uint64_t get_bits(const reading *r, const uint8_t *p)
{
    unsigned n = elements[r->type].bytes;
    bool big = r->swap == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * (big ? n - 1 - i : i);
    return v;
}

static void put_element(const reading *r, uint64_t bits, void *to, size_t i)
{
    uint32_t low = (uint32_t)bits;

    switch (r->type) {
    case U1:
        ((uint8_t *)to)[i] = (uint8_t)bits;
        break;
    case B1:
        ((uint8_t *)to)[i] = bits != 0;
        break;
    case I1:
        ((int16_t *)to)[i] = (int8_t)bits;
        break;
    case U2:
        ((uint16_t *)to)[i] = (uint16_t)bits;
        break;
    case I2:
        ((int16_t *)to)[i] = (int16_t)bits;
        break;
    case U4:
        ((double *)to)[i] = (double)low;
        break;
    case I4:
        ((int32_t *)to)[i] = (int32_t)low;
        break;
    case U8:
        ((double *)to)[i] = (double)bits;
        break;
    case I8:
        ((double *)to)[i] = (double)(int64_t)bits;
        break;
    case F2:
        ((float *)to)[i] = (float)from_half((uint16_t)bits);
        break;
    case F4:
        memcpy((float *)to + i, &low, 4);
        break;
    case F8:
        memcpy((double *)to + i, &bits, 8);
        break;
    case N_ELEMENTS:
        break;
    }
}

static ae_status npy_read(ae_reader *reader, void *rows, uint32_t n_rows, ae_error *err)
{
    reading *r = reader->state;
    size_t n = n_rows * (size_t)reader->info.width, each = elements[r->type].bytes;

    for (size_t done = 0, some; done < n; done += some) {
        some = n - done < BLOCK / each ? n - done : BLOCK / each;
        if (ae_source_read(r->source, r->block, some * each) != some * each)
            return ae_fail(err, AE_ERR_IO, "NPY: read error");
        for (size_t i = 0; i < some; i++)
            put_element(r, get_bits(r, r->block + i * each), rows, done + i);
    }
    return AE_OK;
}

static void npy_close(ae_reader *reader)
{
    ae_free(reader->state);
}

static int npy_probe(const uint8_t *head, size_t n_bytes)
{
    return n_bytes >= 10 && memcmp(head, "\x93NUMPY", 6) == 0 ? 100 : 0;
}

/* ---- writing ---- */

static const char *type_code(ae_sample sample)
{
    switch (sample) {
    case AE_U8:
        return "|u1";
    case AE_S8:
        return "|i1";
    case AE_U16:
        return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "<u2" : ">u2";
    case AE_S16:
        return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "<i2" : ">i2";
    case AE_S32:
        return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "<i4" : ">i4";
    case AE_F64:
        return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "<f8" : ">f8";
    case AE_F32:
    case AE_S24:
        break;
    }
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "<f4" : ">f4";
}

static void npy_accepts(ae_signal_info *info, char note[160])
{
    (void)info;
    (void)note;
}

static ae_status npy_create(ae_sink *sink, const ae_signal_info *info, const ae_meta *meta, const ae_write_options *options,
                            ae_writer *writer, ae_error *err)
{
    char text[512];
    uint8_t head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    int n;
    ae_status st;

    (void)meta;
    (void)options;
    n = snprintf(text, sizeof(text), "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu64 ",", type_code(info->sample),
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
