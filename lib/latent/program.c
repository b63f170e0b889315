/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs from bytes and to bytes, and the checks between. The layout is in doc/model-format.md.
 */
#include "latent/program.h"

#include <limits.h>
#include <string.h>

#include "model/format.h"

static const char magic[4] = {'A', 'E', 'P', 'R'};

enum {
    MAX_DATA = 1 << 28,
    MAX_MACS = 1 << 20 /* per pixel */,
    MAX_GRID = AE_CODER_TILE,
    MAX_SAMPLES = 512 /* of all tensors, per pixel */
};

const char *aei_kind_name(aei_kind kind)
{
    static const char *const names[] = {"?",       "embed",  "conv", "add",    "mul",
                                        "shuffle", "concat", "crop", "latent", "output"};

    return names[kind <= AEI_OUTPUT ? kind : 0];
}

void aei_program_free(aei_program *p)
{
    if (!p)
        return;
    ae_free(p->ops);
    ae_free(p->scales);
    ae_free(p->bytes);
    ae_free(p);
}

static size_t align4(size_t n)
{
    return (n + 3) / 4 * 4;
}

/* Bytes of an operator's data: of convolutions biases, weights, shifts; of tables their rows. */
static uint64_t data_bytes(const aei_op *op, uint32_t in_channels)
{
    switch (op->kind) {
    case AEI_CONV:
        return (uint64_t)op->channels * (5 + 2 * (uint64_t)op->kernel * op->kernel * in_channels);
    case AEI_EMBED: return (uint64_t)AEI_EMBED_ROWS * op->channels * 2;
    case AEI_LATENT: return (uint64_t)AEI_EMBED_ROWS * op->channels * 4;
    default: return 0;
    }
}

/* ---- checks ---- */

static int32_t magnitude(const aei_op *op)
{
    return -op->lo > op->hi ? -op->lo : op->hi;
}

static bool power_of_two(uint32_t n)
{
    return n && !(n & (n - 1));
}

/* What a result may be as long as no intermediate value leaves int32. */
static bool fits(int64_t largest)
{
    return largest < (int64_t)1 << 31;
}

/* The activation adds at most half of what it divides by. */
static int64_t leak_room(const aei_op *op)
{
    return op->leak != AEI_NO_LEAK && op->leak != AEI_RELU ? (int64_t)1 << (op->leak - 1) : 0;
}

static ae_status bad(const aei_op *op, uint32_t index, const char *what, ae_error *err)
{
    return ae_fail(err, AE_ERR_MALFORMED, "decoder program: operator %u (%s): %s", index,
                   aei_kind_name(op->kind), what);
}

static ae_status check_conv(const aei_program *p, aei_op *op, uint32_t index, ae_error *err)
{
    const aei_op *in = &p->ops[op->in[0]];
    size_t per_output = (size_t)op->kernel * op->kernel * in->channels;
    int64_t largest = magnitude(in);

    if (op->n_in > 2 || !op->kernel || op->kernel > 15 || !power_of_two(op->stride) ||
        op->stride > op->kernel || op->pad >= op->kernel)
        return bad(op, index, "kernel, stride or padding", err);
    /* so that the result covers the picture: floor((n + 2 pad - kernel) / stride) + 1 = n / stride
     * for multiples of the stride */
    if (2 * op->pad >= op->kernel || 2 * op->pad + op->stride < op->kernel)
        return bad(op, index, "its result is not as large as its input", err);
    if (!in->grid && op->kernel != 1)
        return bad(op, index, "a kernel on a 1 x 1 tensor", err);
    op->grid = in->grid * op->stride;
    if (op->n_in == 2 &&
        (p->ops[op->in[1]].channels != op->channels || p->ops[op->in[1]].grid != op->grid))
        return bad(op, index, "the shape of what is added", err);
    for (uint32_t o = 0; o < op->channels; o++) {
        int64_t sum = op->bias[o] < 0 ? -(int64_t)op->bias[o] : op->bias[o];

        if (op->shifts[o] > 30)
            return bad(op, index, "a shift above 30", err);
        if (op->shifts[o])
            sum += (int64_t)1 << (op->shifts[o] - 1);
        for (size_t i = 0; i < per_output; i++) {
            int64_t w = op->weights[o * per_output + i];

            if (w == INT16_MIN)
                return bad(op, index, "a weight of -32768", err);
            sum += (w < 0 ? -w : w) * largest;
        }
        if (!fits(sum) ||
            !fits((sum >> op->shifts[o]) + 1 + (op->n_in == 2 ? magnitude(&p->ops[op->in[1]]) : 0) +
                  leak_room(op)))
            return bad(op, index, "sums may overflow", err);
    }
    return AE_OK;
}

static ae_status check_pointwise(const aei_program *p, aei_op *op, uint32_t index, ae_error *err)
{
    int64_t sum = 0, product = 1;

    if (op->kind == AEI_MUL && op->n_in != 2)
        return bad(op, index, "not two operands", err);
    for (uint32_t i = 0; i < op->n_in; i++)
        op->grid = p->ops[op->in[i]].grid ? p->ops[op->in[i]].grid : op->grid;
    for (uint32_t i = 0; i < op->n_in; i++) {
        const aei_op *in = &p->ops[op->in[i]];

        if (in->channels != op->channels || (in->grid && in->grid != op->grid))
            return bad(op, index, "shapes that do not agree", err);
        sum += magnitude(in);
        product *= i < 2 ? magnitude(in) : 1;
    }
    if (op->shift > 30 || !fits((op->kind == AEI_MUL ? product : sum) +
                                (op->shift ? (int64_t)1 << (op->shift - 1) : 0) + leak_room(op)))
        return bad(op, index, "results may overflow", err);
    return AE_OK;
}

/* Where samples are only moved, the range is that of what is moved. */
static ae_status check_move(const aei_program *p, aei_op *op, uint32_t index, ae_error *err)
{
    const aei_op *in = &p->ops[op->in[0]];
    uint32_t channels = 0;

    op->grid = in->grid;
    for (uint32_t i = 0; i < op->n_in; i++) {
        if (p->ops[op->in[i]].lo < op->lo || p->ops[op->in[i]].hi > op->hi ||
            p->ops[op->in[i]].grid != in->grid)
            return bad(op, index, "range or shape of its input", err);
        channels += p->ops[op->in[i]].channels;
    }
    if (op->kind != AEI_CONCAT && op->n_in != 1)
        return bad(op, index, "more than one input", err);
    switch (op->kind) {
    case AEI_SHUFFLE:
        if (!power_of_two(op->factor) || op->factor < 2 || !in->grid || in->grid % op->factor ||
            (uint64_t)op->channels * op->factor * op->factor != channels)
            return bad(op, index, "its factor", err);
        op->grid = in->grid / op->factor;
        break;
    case AEI_CROP:
        if (op->first > channels || op->channels > channels - op->first)
            return bad(op, index, "channels that are not there", err);
        break;
    default:
        if (op->channels != channels)
            return bad(op, index, "its channels are not the sum", err);
    }
    return AE_OK;
}

static ae_status check_latent(const aei_program *p, const aei_op *op, uint32_t index, ae_error *err)
{
    size_t n = (size_t)AEI_EMBED_ROWS * op->channels;

    if (op->n_in < 2 || op->n_in > 3 || op->parity > AE_PARITY_ODD || !power_of_two(op->grid) ||
        op->grid > MAX_GRID || !p->n_scales)
        return bad(op, index, "inputs, parity, grid or no distributions", err);
    if (op->n_in == 3 && op->parity == AE_PARITY_ALL)
        return bad(op, index, "nothing is left for what it takes over", err);
    for (uint32_t i = 0; i < op->n_in; i++)
        if (p->ops[op->in[i]].channels != op->channels ||
            (p->ops[op->in[i]].grid != op->grid && (i == 2 || p->ops[op->in[i]].grid)))
            return bad(op, index, "shapes that do not agree", err);
    if (op->n_in == 3 && (p->ops[op->in[2]].lo < op->lo || p->ops[op->in[2]].hi > op->hi))
        return bad(op, index, "the range of what it takes over", err);
    for (size_t i = 0; i < n; i++)
        if (op->table[i] < 1)
            return bad(op, index, "a step below 1", err);
    if (op->shift > 15 || op->unit > 15 || op->index_shift > 15 || op->index_offset < -(1 << 24) ||
        op->index_offset > 1 << 24)
        return bad(op, index, "shifts", err);
    /* |mean| + ((|q| * step + rounding) >> shift), with |q|, step <= 2^15, is below 2^31 */
    return AE_OK;
}

static ae_status check_op(const aei_program *p, aei_op *op, uint32_t index, ae_error *err)
{
    if (!op->channels || op->channels > AEI_MAX_WIDTH || op->lo > 0 || op->hi < 0 ||
        op->lo == INT16_MIN)
        return bad(op, index, "channels or range", err);
    if (op->leak > AEI_RELU ||
        (op->leak != AEI_NO_LEAK && op->kind != AEI_CONV && op->kind != AEI_ADD))
        return bad(op, index, "activation", err);
    switch (op->kind) {
    case AEI_EMBED:
        for (size_t i = 0; i < (size_t)AEI_EMBED_ROWS * op->channels; i++)
            if (op->table[i] < op->lo || op->table[i] > op->hi)
                return bad(op, index, "entries beyond its range", err);
        return AE_OK;
    case AEI_CONV: return check_conv(p, op, index, err);
    case AEI_ADD:
    case AEI_MUL: return check_pointwise(p, op, index, err);
    case AEI_SHUFFLE:
    case AEI_CONCAT:
    case AEI_CROP: return check_move(p, op, index, err);
    case AEI_LATENT: return check_latent(p, op, index, err);
    case AEI_OUTPUT: break;
    }
    if (index != p->n_ops - 1 || op->n_in != 1 || p->ops[op->in[0]].channels != op->channels ||
        p->ops[op->in[0]].grid != 1 || (op->channels != 1 && op->channels != 3) || op->shift < 4 ||
        op->shift > 14)
        return bad(op, index, "it must come last and take a picture", err);
    op->grid = 1;
    op->lo = p->ops[op->in[0]].lo;
    op->hi = p->ops[op->in[0]].hi;
    if (!fits((int64_t)magnitude(op) * 65535 + (1 << 13)))
        return bad(op, index, "its range", err);
    return AE_OK;
}

/* ---- from bytes ---- */

static bool zeros(const uint8_t *p, size_t n)
{
    while (n)
        if (p[--n])
            return false;
    return true;
}

static ae_status read_op(aei_program *p, uint32_t index, const uint8_t *b, ae_error *err)
{
    aei_op *op = &p->ops[index];

    op->kind = b[0];
    op->n_in = b[1];
    op->channels = aei_load16(b + 2);
    op->kernel = b[20];
    op->stride = b[21];
    op->pad = b[22];
    op->leak = b[23];
    op->lo = (int16_t)aei_load16(b + 24);
    op->hi = (int16_t)aei_load16(b + 26);
    op->shift = b[28];
    op->parity = b[29];
    op->source = b[30];
    op->index_shift = b[31];
    op->factor = aei_load16(b + 32);
    op->first = aei_load16(b + 34);
    op->grid = aei_load16(b + 36);
    op->source_first = aei_load16(b + 38);
    op->index_offset = (int32_t)aei_load32(b + 40);
    op->unit = b[44];
    if (!op->kind || op->kind > AEI_OUTPUT)
        return ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "decoder program: operator %u is of kind %u, which this program does not know", index,
            b[0]);
    if (op->n_in > AEI_MAX_IN || (op->kind == AEI_EMBED) != !op->n_in || !zeros(b + 45, 19) ||
        !zeros(b + 4 + 2 * op->n_in, 16 - 2 * op->n_in) || (op->kind == AEI_LATENT && op->n_in < 2))
        return bad(op, index, "number of inputs or reserved bytes in use", err);
    for (uint32_t i = 0; i < op->n_in; i++) {
        op->in[i] = aei_load16(b + 4 + 2 * i);
        if (op->in[i] >= index)
            return bad(op, index, "an input that does not stand before it", err);
    }
    /* fields of other kinds */
    if ((op->kind != AEI_CONV && (op->kernel || op->stride || op->pad)) ||
        (op->kind != AEI_SHUFFLE && op->factor) || (op->kind != AEI_CROP && op->first) ||
        (op->kind != AEI_LATENT && (op->grid || op->parity || op->source || op->source_first ||
                                    op->index_shift || op->index_offset || op->unit)) ||
        (op->shift && (op->kind == AEI_CONV || op->kind == AEI_EMBED ||
                       (op->kind >= AEI_SHUFFLE && op->kind <= AEI_CROP))))
        return bad(op, index, "fields that it does not have", err);
    return AE_OK;
}

static ae_status read_data(aei_program *p, uint32_t index, size_t *at, ae_error *err)
{
    aei_op *op = &p->ops[index];
    uint64_t n = data_bytes(op, op->n_in ? p->ops[op->in[0]].channels : 0);
    const uint8_t *data = p->bytes + *at;

    if (n > p->n_bytes - *at || align4((size_t)n) > p->n_bytes - *at)
        return bad(op, index, "its data exceed the program", err);
    if (!zeros(data + n, align4((size_t)n) - (size_t)n))
        return bad(op, index, "padding that is not zero", err);
    *at += align4((size_t)n);
    /* the buffer is aligned, and so are all parts: biases come before weights, shifts last */
    if (op->kind == AEI_CONV) {
        op->bias = (const int32_t *)(const void *)data;
        op->weights = (const int16_t *)(const void *)(data + 4 * (size_t)op->channels);
        op->shifts = data + (size_t)n - op->channels;
    } else if (n) {
        op->table = (const int16_t *)(const void *)data;
        op->log_steps = op->kind == AEI_LATENT ? op->table + (size_t)AEI_EMBED_ROWS * op->channels
                                               : NULL;
    }
    return AE_OK;
}

static ae_status read_scales(aei_program *p, size_t *at, ae_error *err)
{
    const uint8_t *head = p->bytes + *at;

    if ((size_t)p->n_scales * AEI_PROGRAM_SCALE > p->n_bytes - *at)
        return ae_fail(err, AE_ERR_MALFORMED, "decoder program: truncated distributions");
    *at += (size_t)p->n_scales * AEI_PROGRAM_SCALE;
    for (uint32_t i = 0; i < p->n_scales; i++) {
        aei_scale *s = &p->scales[i];
        const uint8_t *b = head + (size_t)i * AEI_PROGRAM_SCALE;
        size_t n_bytes;

        s->first = (int16_t)aei_load16(b);
        s->n = aei_load16(b + 2);
        s->raw = b[4];
        n_bytes = align4(2 * ((size_t)s->n + 2));
        if (!s->n || s->n > 4096 || s->raw > 15 || !zeros(b + 5, 3) || n_bytes > p->n_bytes - *at)
            return ae_fail(err, AE_ERR_MALFORMED, "decoder program: distribution %u", i);
        if (s->first * (1 << s->raw) < -32767 || (s->first + (int32_t)s->n) * (1 << s->raw) > 32767)
            return ae_fail(err, AE_ERR_MALFORMED, "decoder program: distribution %u leaves 16 bits",
                           i);
        s->start = (const uint16_t *)(const void *)(p->bytes + *at);
        *at += n_bytes;
        if (s->start[0] || s->start[s->n + 1] || (s->n % 2 && s->start[s->n + 2]))
            return ae_fail(err, AE_ERR_MALFORMED,
                           "decoder program: distribution %u does not span 0 to 65536", i);
        for (uint32_t k = 0; k < s->n; k++)
            if (s->start[k + 1] <= s->start[k])
                return ae_fail(err, AE_ERR_MALFORMED,
                               "decoder program: distribution %u has an impossible symbol", i);
    }
    return AE_OK;
}

/* Sizes, costs and the parts; every tensor but the output must be used. */
static ae_status finish(aei_program *p, ae_error *err)
{
    bool used[AEI_MAX_OPS] = {0};
    double samples = 0;

    p->stride = 1;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        aei_op *op = &p->ops[i];
        ae_status st = check_op(p, op, i, err);
        double area = op->grid ? 1.0 / ((double)op->grid * op->grid) : 1e-6;

        if (st != AE_OK)
            return st;
        if (op->grid > MAX_GRID)
            return bad(op, i, "its grid is wider than a tile", err);
        for (uint32_t k = 0; k < op->n_in; k++)
            used[op->in[k]] = true;
        if (op->kind == AEI_CONV)
            p->macs += area * op->channels * op->kernel * op->kernel * p->ops[op->in[0]].channels;
        samples += area * op->channels;
        if (op->kind == AEI_LATENT) {
            p->n_entropy = i + 1;
            p->n_sources = op->source + 1 > p->n_sources ? op->source + 1 : p->n_sources;
        }
        p->stride = op->grid > p->stride ? op->grid : p->stride;
    }
    for (uint32_t i = 0; i + 1 < p->n_ops; i++)
        if (!used[i])
            return bad(&p->ops[i], i, "its result is not used", err);
    if (p->ops[p->n_ops - 1].kind != AEI_OUTPUT || !p->n_entropy)
        return ae_fail(err, AE_ERR_MALFORMED, "decoder program: without latents or output");
    if (p->macs > MAX_MACS || samples > MAX_SAMPLES)
        return ae_fail(err, AE_ERR_LIMIT,
                       "decoder program: %.0f multiply-accumulates and %.0f samples a pixel, the "
                       "limits are %d and %d",
                       p->macs, samples, MAX_MACS, MAX_SAMPLES);
    return AE_OK;
}

static ae_status load(aei_program *p, ae_error *err)
{
    const uint8_t *b = p->bytes;
    size_t at = AEI_PROGRAM_HEADER;
    ae_status st = AE_OK;

    if (p->n_bytes < AEI_PROGRAM_HEADER || memcmp(b, magic, 4) != 0)
        return ae_fail(err, AE_ERR_MALFORMED, "not a decoder program");
    if (aei_load32(b + 4) > AEI_PROGRAM_VERSION)
        return ae_fail(err, AE_ERR_TOO_NEW,
                       "decoder program of version %u, this program knows up to %d",
                       aei_load32(b + 4), AEI_PROGRAM_VERSION);
    if (aei_load32(b + 4) < AEI_PROGRAM_VERSION)
        return ae_fail(
            err, AE_ERR_UNSUPPORTED,
            "decoder program of version %u, from before the first release; version %d is "
            "made by aetrain --export",
            aei_load32(b + 4), AEI_PROGRAM_VERSION);
    p->n_ops = aei_load32(b + 8);
    p->n_scales = aei_load32(b + 12);
    if (!p->n_ops || p->n_ops > AEI_MAX_OPS || p->n_scales > AEI_MAX_SCALES ||
        aei_load64(b + 16) != p->n_bytes || !zeros(b + 24, 8) ||
        (size_t)p->n_ops * AEI_PROGRAM_OP > p->n_bytes - at)
        return ae_fail(err, AE_ERR_MALFORMED, "decoder program: header");
    p->ops = ae_alloc(p->n_ops, sizeof(*p->ops));
    p->scales = ae_alloc(p->n_scales + 1, sizeof(*p->scales));
    if (!p->ops || !p->scales)
        return ae_fail(err, AE_ERR_NOMEM, "decoder program");
    for (uint32_t i = 0; st == AE_OK && i < p->n_ops; i++, at += AEI_PROGRAM_OP)
        st = read_op(p, i, b + at, err);
    for (uint32_t i = 0; st == AE_OK && i < p->n_ops; i++)
        st = read_data(p, i, &at, err);
    if (st == AE_OK)
        st = read_scales(p, &at, err);
    if (st == AE_OK && at != p->n_bytes)
        st = ae_fail(err, AE_ERR_MALFORMED, "decoder program: %zu bytes left over",
                     p->n_bytes - at);
    if (st == AE_OK)
        st = finish(p, err);
    return st;
}

ae_status aei_program_load(const void *data, size_t n_bytes, aei_program **out, ae_error *err)
{
    aei_program *p = ae_alloc(1, sizeof(*p));
    ae_status st;

    *out = NULL;
    if (n_bytes > MAX_DATA) {
        ae_free(p);
        return ae_fail(err, AE_ERR_LIMIT, "decoder program of %zu bytes, the limit is %d", n_bytes,
                       MAX_DATA);
    }
    if (!p || !(p->bytes = ae_alloc(n_bytes, 1))) {
        ae_free(p);
        return ae_fail(err, AE_ERR_NOMEM, "decoder program of %zu bytes", n_bytes);
    }
    if (n_bytes)
        memcpy(p->bytes, data, n_bytes);
    p->n_bytes = n_bytes;
    aei_digest(p->bytes, n_bytes, p->identity);
    if ((st = load(p, err)) == AE_OK)
        *out = p;
    else
        aei_program_free(p);
    return st;
}

/* ---- to bytes ---- */

static void write_op(const aei_op *op, uint8_t *b)
{
    b[0] = (uint8_t)op->kind;
    b[1] = (uint8_t)op->n_in;
    aei_store16(b + 2, (uint16_t)op->channels);
    for (uint32_t i = 0; i < op->n_in; i++)
        aei_store16(b + 4 + 2 * i, (uint16_t)op->in[i]);
    b[20] = (uint8_t)op->kernel;
    b[21] = (uint8_t)op->stride;
    b[22] = (uint8_t)op->pad;
    b[23] = (uint8_t)op->leak;
    aei_store16(b + 24, (uint16_t)op->lo);
    aei_store16(b + 26, (uint16_t)op->hi);
    b[28] = (uint8_t)op->shift;
    b[29] = (uint8_t)op->parity;
    b[30] = (uint8_t)op->source;
    b[31] = (uint8_t)op->index_shift;
    aei_store16(b + 32, (uint16_t)op->factor);
    aei_store16(b + 34, (uint16_t)op->first);
    aei_store16(b + 36, (uint16_t)(op->kind == AEI_LATENT ? op->grid : 0));
    aei_store16(b + 38, (uint16_t)op->source_first);
    aei_store32(b + 40, (uint32_t)op->index_offset);
    b[44] = (uint8_t)op->unit;
}

static void write_data(const aei_op *op, uint32_t in_channels, uint8_t *b)
{
    size_t n_weights = op->kind == AEI_CONV
                           ? (size_t)op->channels * op->kernel * op->kernel * in_channels
                           : 0;
    size_t n_table = (size_t)AEI_EMBED_ROWS * op->channels;

    if (op->kind == AEI_CONV) {
        for (uint32_t i = 0; i < op->channels; i++, b += 4)
            aei_store32(b, (uint32_t)op->bias[i]);
        for (size_t i = 0; i < n_weights; i++, b += 2)
            aei_store16(b, (uint16_t)op->weights[i]);
        memcpy(b, op->shifts, op->channels);
    } else if (op->kind == AEI_EMBED || op->kind == AEI_LATENT) {
        for (size_t i = 0; i < n_table; i++, b += 2)
            aei_store16(b, (uint16_t)op->table[i]);
        for (size_t i = 0; op->kind == AEI_LATENT && i < n_table; i++, b += 2)
            aei_store16(b, (uint16_t)op->log_steps[i]);
    }
}

ae_status aei_program_pack(const aei_op *ops, uint32_t n_ops, const aei_scale *scales,
                           uint32_t n_scales, uint8_t **out, size_t *n_out, ae_error *err)
{
    size_t n = AEI_PROGRAM_HEADER + (size_t)n_ops * AEI_PROGRAM_OP +
               (size_t)n_scales * AEI_PROGRAM_SCALE,
           at;
    uint8_t *b;

    *out = NULL;
    *n_out = 0;
    for (uint32_t i = 0; i < n_ops; i++)
        n += align4((size_t)data_bytes(&ops[i], ops[i].n_in ? ops[ops[i].in[0]].channels : 0));
    for (uint32_t i = 0; i < n_scales; i++)
        n += align4(2 * ((size_t)scales[i].n + 2));
    b = ae_alloc(n, 1);
    if (!b)
        return ae_fail(err, AE_ERR_NOMEM, "decoder program of %zu bytes", n);
    memcpy(b, magic, 4);
    aei_store32(b + 4, AEI_PROGRAM_VERSION);
    aei_store32(b + 8, n_ops);
    aei_store32(b + 12, n_scales);
    aei_store64(b + 16, n);
    at = AEI_PROGRAM_HEADER;
    for (uint32_t i = 0; i < n_ops; i++, at += AEI_PROGRAM_OP)
        write_op(&ops[i], b + at);
    for (uint32_t i = 0; i < n_ops; i++) {
        uint32_t in_channels = ops[i].n_in ? ops[ops[i].in[0]].channels : 0;

        write_data(&ops[i], in_channels, b + at);
        at += align4((size_t)data_bytes(&ops[i], in_channels));
    }
    for (uint32_t i = 0; i < n_scales; i++, at += AEI_PROGRAM_SCALE) {
        aei_store16(b + at, (uint16_t)scales[i].first);
        aei_store16(b + at + 2, (uint16_t)scales[i].n);
        b[at + 4] = (uint8_t)scales[i].raw;
    }
    for (uint32_t i = 0; i < n_scales; i++) {
        for (uint32_t k = 0; k < scales[i].n + 2; k++)
            aei_store16(b + at + 2 * k, scales[i].start[k]);
        at += align4(2 * ((size_t)scales[i].n + 2));
    }
    *out = b;
    *n_out = n;
    return AE_OK;
}
