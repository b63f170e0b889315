/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Weight gradients of convolutions in bf16 on AMX: those of oneDNN 2.6 run at a third of what its
 * other kernels reach.
 *
 * With rows of the padded input end to end, p = y * pitch + x, a tap is a shift: dW[ky][kx] = sum
 * over p of dY[p] times X[p + ky * pitch + kx], where dY is zero between its rows. So a strip of
 * rows is packed once for all taps: the gradient transposed, in tiles of 16 channels x 32 pixels;
 * the input in pairs of pixels, as the second operand of the tile product wants it, once beginning
 * with an even pixel and once with an odd one. Then every tap finds whole cache lines (tiles that
 * cross them load three times as slowly). Sums are f32, in an order that depends on nothing but the
 * shapes. */
#include "nn/wgrad.h"

#include <dnnl.h>
#include <string.h>

enum {
    LANES = 16,
    DEPTH = 32,
    TILE = LANES * DEPTH /* elements */,
    STRIP = 1024 /* pixels */,
    ROOM = 3 << 19 /* bytes */
};

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* How the rows of the result are cut into strips, and how many strips are packed before they are
 * multiplied: as many as stay in the second cache, so that sums leave the tiles seldom. */
typedef struct cutting {
    uint32_t rows, n_strips, at_once; /* of a strip; an image's; packed at a time */
    /* pixels: between rows, of the gradient, of the input with what its taps reach */
    size_t pitch, depth, span;
    /* elements: a strip's input, of which the odd copy begins so far in; its gradient */
    size_t x, odd, dy;
} cutting;

static cutting cut(const aei_wgrad *g)
{
    cutting c = {.pitch = round_up(g->w + 2 * (size_t)g->pad[1], 2)};
    size_t bytes;

    c.rows = (uint32_t)(c.pitch > STRIP ? 1 : STRIP / c.pitch);
    c.n_strips = (g->out_h + c.rows - 1) / c.rows;
    c.rows = (g->out_h + c.n_strips - 1) / c.n_strips;
    c.depth = round_up(c.rows * c.pitch, DEPTH);
    c.span = round_up(c.depth + (g->kernel[0] - 1) * c.pitch + g->kernel[1], 2);
    c.odd = g->kernel[1] > 1 ? c.span * g->in : 0;
    c.x = c.span * g->in + c.odd;
    c.dy = c.depth * g->out;
    bytes = (c.x + c.dy) * sizeof(uint16_t);
    c.at_once = bytes > ROOM ? 1 : (uint32_t)(ROOM / bytes);
    c.at_once = c.at_once < g->n * c.n_strips ? c.at_once : g->n * c.n_strips;
    return c;
}

size_t aei_wgrad_scratch(const aei_wgrad *g)
{
    cutting c = cut(g);

    return (c.x + c.dy) * c.at_once * sizeof(uint16_t);
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq")))

/* 16 channels of two pixels (NULL: zero), in pairs. */
AMX static inline __m512i pair(const uint16_t *a, const uint16_t *b)
{
    __m512i x = a ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)a))
                  : _mm512_setzero_si512();
    __m512i y = b ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)b))
                  : _mm512_setzero_si512();

    return _mm512_or_si512(x, _mm512_slli_epi32(y, 16));
}

AMX static inline void transpose16(__m512i r[16])
{
    __m512i t[16];

    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int k = 0; k < 2; k++) {
            r[i + 2 * k] = _mm512_unpacklo_epi64(t[i + k], t[i + k + 2]);
            r[i + 2 * k + 1] = _mm512_unpackhi_epi64(t[i + k], t[i + k + 2]);
        }
    for (int i = 0; i < 16; i += 8)
        for (int k = 0; k < 4; k++) {
            t[i + k] = _mm512_shuffle_i32x4(r[i + k], r[i + k + 4], 0x88);
            t[i + k + 4] = _mm512_shuffle_i32x4(r[i + k], r[i + k + 4], 0xdd);
        }
    for (int k = 0; k < 8; k++) {
        r[k] = _mm512_shuffle_i32x4(t[k], t[k + 8], 0x88);
        r[k + 8] = _mm512_shuffle_i32x4(t[k], t[k + 8], 0xdd);
    }
}

/* Where the channels of the strip's pixels lie, NULL for zeros; pixels are asked for in order. */
typedef struct walker {
    const uint16_t *at;       /* of row 0, column 0; rows and columns from there */
    ptrdiff_t row, column;    /* elements between them */
    int64_t first_y, first_x; /* of the strip, before the picture where padded */
    uint32_t h, w;
    size_t pitch, x, y;
} walker;

static inline const uint16_t *next_pixel(walker *k)
{
    int64_t y = k->first_y + (int64_t)k->y, x = k->first_x + (int64_t)k->x;

    if (++k->x == k->pitch) {
        k->x = 0;
        k->y++;
    }
    return y >= 0 && y < k->h && x >= 0 && x < k->w ? k->at + y * k->row + x * k->column : NULL;
}

static inline const uint16_t *channels(const uint16_t *pixel, uint32_t first)
{
    return pixel ? pixel + first : NULL;
}

/* `span` pixels to [in / 16][span / 2][16][2], and where `odd` is given the same from the second
 * pixel on. */
AMX static void pack_input(walker k, uint32_t in, size_t span, uint16_t *even, uint16_t *odd)
{
    const uint16_t *a = next_pixel(&k), *b, *next;

    for (size_t p = 0; p < span; p += 2, a = next) {
        b = next_pixel(&k);
        next = next_pixel(&k);
        for (uint32_t c = 0; c < in; c += LANES) {
            _mm512_store_si512(even + c * span + p * LANES, pair(channels(a, c), channels(b, c)));
            if (odd)
                _mm512_store_si512(odd + c * span + p * LANES,
                                   pair(channels(b, c), channels(next, c)));
        }
    }
}

/* `depth` pixels to [out / 16][depth / 32][16][32]; adds them to the bias's gradient. */
AMX static void pack_gradient(walker k, uint32_t out, size_t depth, uint16_t *to, float *bias)
{
    const uint16_t *pixel[DEPTH];

    for (size_t p = 0; p < depth; p += DEPTH) {
        for (int i = 0; i < DEPTH; i++)
            pixel[i] = next_pixel(&k);
        for (uint32_t c = 0; c < out; c += LANES) {
            __m512 sum = bias ? _mm512_loadu_ps(bias + c) : _mm512_setzero_ps();
            __m512i r[LANES];

            for (int i = 0; i < LANES; i++) {
                r[i] = pair(channels(pixel[2 * i], c), channels(pixel[2 * i + 1], c));
                sum = _mm512_add_ps(sum, _mm512_castsi512_ps(_mm512_slli_epi32(r[i], 16)));
                sum = _mm512_add_ps(sum, _mm512_castsi512_ps(_mm512_and_si512(
                                             r[i], _mm512_set1_epi32((int)0xffff0000))));
            }
            if (bias)
                _mm512_storeu_ps(bias + c, sum);
            transpose16(r);
            for (int i = 0; i < LANES; i++)
                _mm512_store_si512(to + c * depth + p * LANES + i * DEPTH, r[i]);
        }
    }
}

/* Adds to, or writes, a block of `rows` x `columns` tiles (1 or 2 each) of a tap's gradient, from n
 * strips. */
#define BLOCK_OF(rows, columns)                                                                    \
    AMX static void block_##rows##columns(const cutting *c, uint32_t n, const uint16_t *dy,        \
                                          const uint16_t *x, float *to, size_t in, bool fresh)     \
    {                                                                                              \
        if (fresh) {                                                                               \
            _tile_zero(0);                                                                         \
            if (columns > 1)                                                                       \
                _tile_zero(1);                                                                     \
            if (rows > 1)                                                                          \
                _tile_zero(2);                                                                     \
            if (rows > 1 && columns > 1)                                                           \
                _tile_zero(3);                                                                     \
        } else {                                                                                   \
            _tile_loadd(0, to, in * 4);                                                            \
            if (columns > 1)                                                                       \
                _tile_loadd(1, to + LANES, in * 4);                                                \
            if (rows > 1)                                                                          \
                _tile_loadd(2, to + LANES * in, in * 4);                                           \
            if (rows > 1 && columns > 1)                                                           \
                _tile_loadd(3, to + LANES * in + LANES, in * 4);                                   \
        }                                                                                          \
        for (uint32_t i = 0; i < n; i++, dy += c->dy, x += c->x)                                   \
            for (size_t p = 0; p < c->depth * LANES; p += TILE) {                                  \
                _tile_loadd(4, dy + p, 64);                                                        \
                _tile_loadd(6, x + p, 64);                                                         \
                _tile_dpbf16ps(0, 4, 6);                                                           \
                if (rows > 1) {                                                                    \
                    _tile_loadd(5, dy + c->depth * LANES + p, 64);                                 \
                    _tile_dpbf16ps(2, 5, 6);                                                       \
                }                                                                                  \
                if (columns > 1) {                                                                 \
                    _tile_loadd(7, x + c->span * LANES + p, 64);                                   \
                    _tile_dpbf16ps(1, 4, 7);                                                       \
                }                                                                                  \
                if (rows > 1 && columns > 1)                                                       \
                    _tile_dpbf16ps(3, 5, 7);                                                       \
            }                                                                                      \
        _tile_stored(0, to, in * 4);                                                               \
        if (columns > 1)                                                                           \
            _tile_stored(1, to + LANES, in * 4);                                                   \
        if (rows > 1)                                                                              \
            _tile_stored(2, to + LANES * in, in * 4);                                              \
        if (rows > 1 && columns > 1)                                                               \
            _tile_stored(3, to + LANES * in + LANES, in * 4);                                      \
    }

BLOCK_OF(1, 1)
BLOCK_OF(1, 2)
BLOCK_OF(2, 1)
BLOCK_OF(2, 2)

/* The share of n packed strips in the gradients of all taps. */
static void multiply(const aei_wgrad *g, const cutting *c, uint32_t n, const uint16_t *x,
                     const uint16_t *dy, float *weights, bool fresh)
{
    for (uint32_t i = 0; i < g->in; i += 2 * LANES)
        for (uint32_t o = 0; o < g->out; o += 2 * LANES)
            for (uint32_t tap = 0; tap < g->kernel[0] * g->kernel[1]; tap++) {
                uint32_t ky = tap / g->kernel[1], kx = tap % g->kernel[1];
                bool tall = o + LANES < g->out, wide = i + LANES < g->in;

                (tall   ? wide ? block_22 : block_21
                 : wide ? block_12
                        : block_11)(c, n, dy + o * c->depth,
                                    x + (kx % 2 ? c->odd : 0) + i * c->span +
                                        (ky * c->pitch + kx / 2 * 2) * LANES,
                                    weights + ((size_t)tap * g->out + o) * g->in + i, g->in, fresh);
            }
}

/* Constant: gcc 12 believes the instruction to read its first eight bytes only. */
static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} whole_tiles = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

AMX static void configure(void)
{
    _tile_loadconfig(&whole_tiles);
}

AMX static void release(void)
{
    _tile_release();
}

static walker walk_gradient(const aei_wgrad *g, const cutting *c, uint32_t strip,
                            const uint16_t *dy)
{
    uint32_t n = strip / c->n_strips, y = strip % c->n_strips * c->rows;

    return (walker){.at = dy + (size_t)n * g->out_h * g->out_w * g->out,
                    .row = (ptrdiff_t)g->out_w * g->out,
                    .column = g->out,
                    .first_y = y,
                    .h = y + c->rows < g->out_h ? y + c->rows : g->out_h,
                    .w = g->out_w,
                    .pitch = c->pitch};
}

/* Of every stride-th pixel in every stride-th row, from the one of this tap on. */
static walker walk_input(const aei_wgrad *g, const cutting *c, uint32_t strip, uint32_t tap,
                         const uint16_t *x)
{
    uint32_t n = strip / c->n_strips, y = strip % c->n_strips * c->rows;
    size_t row = (size_t)g->w * g->stride,
           at = (size_t)n * g->h * g->stride * row + tap / g->stride * row + tap % g->stride;

    return (walker){.at = x + at * g->in,
                    .row = (ptrdiff_t)(row * g->stride * g->in),
                    .column = (ptrdiff_t)g->stride * g->in,
                    .first_y = (int64_t)y - g->pad[0],
                    .first_x = -(int64_t)g->pad[1],
                    .h = g->h,
                    .w = g->w,
                    .pitch = c->pitch};
}

void aei_wgrad_run(const aei_wgrad *g, const uint16_t *x, const uint16_t *dy, float *weights,
                   float *bias, void *scratch)
{
    cutting c = cut(g);
    uint16_t *packed_x = scratch, *packed_dy = packed_x + c.x * c.at_once;
    uint32_t total = g->n * c.n_strips;

    if (bias)
        memset(bias, 0, g->out * sizeof(*bias));
    configure();
    for (uint32_t first = 0; first < total; first += c.at_once) {
        uint32_t n = total - first < c.at_once ? total - first : c.at_once;

        for (uint32_t k = 0; k < n; k++)
            pack_gradient(walk_gradient(g, &c, first + k, dy), g->out, c.depth,
                          packed_dy + k * c.dy, bias);
        for (uint32_t tap = 0; tap < g->stride * g->stride; tap++) {
            for (uint32_t k = 0; k < n; k++) {
                uint16_t *even = packed_x + k * c.x;

                pack_input(walk_input(g, &c, first + k, tap, x), g->in, c.span, even,
                           c.odd ? even + c.odd : NULL);
            }
            multiply(g, &c, n, packed_x, packed_dy, weights + (size_t)tap * g->in * g->out, !first);
        }
    }
    release();
}

bool aei_wgrad_fits(const aei_wgrad *g)
{
    return dnnl_get_effective_cpu_isa() == dnnl_cpu_isa_avx512_core_amx && g->in % LANES == 0 &&
           g->out % LANES == 0;
}
#else
void aei_wgrad_run(const aei_wgrad *g, const uint16_t *x, const uint16_t *dy, float *weights,
                   float *bias, void *scratch)
{
    (void)g, (void)x, (void)dy, (void)weights, (void)bias, (void)scratch;
}

bool aei_wgrad_fits(const aei_wgrad *g)
{
    return (void)g, false;
}
#endif
