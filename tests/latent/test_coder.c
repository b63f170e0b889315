/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small codec from recipe to pictures: exported, encoded, decoded whole and in parts, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ae/compress.h"
#include "core/rng.h"
#include "latent/coder.h"
#include "model/format.h"

static const char recipe_text[] =
    "recipe: 1\nname: small\ntask: compress\nnetworks:\n  - name: codec\n    inputs:\n      - "
    "{name: image, channels: 3}\n"
    "      - {name: quality, channels: 1, height: 1, width: 1}\n    layers:\n"
    "      - {name: pixels, op: unshuffle, factor: 4, from: [image]}\n"
    "      - {name: base, op: conv, out: 24, kernel: 2, stride: 2, pad: 0, init: dct}\n"
    "      - {name: a1, op: conv, out: 9, act: leaky, slope: 0.125, from: [pixels]}\n"
    "      - {name: y, op: conv, out: 24, kernel: 2, stride: 2, pad: 0, init: zero, add: base}\n"
    "      - {name: z, op: conv, out: 5, kernel: 2, stride: 2, pad: 0}\n"
    "      - {name: step_a, op: embed, out: 7, factor: 4, value: -1, slope: -3, from: [quality]}\n"
    "      - {name: step_b, op: embed, out: 17, factor: 4, value: -1, slope: -3, from: [quality]}\n"
    "      - {name: step_z, op: embed, out: 5, factor: 4, from: [quality]}\n"
    "      - {name: mean_z, op: embed, out: 5, factor: 4, from: [quality]}\n"
    "      - {name: scale_z, op: embed, out: 5, factor: 4, from: [quality]}\n"
    "      - {name: zq, op: quantise, from: [z, mean_z, step_z]}\n"
    "      - {name: bits_z, op: bits, from: [z, mean_z, scale_z, step_z]}\n"
    "      - {name: g1, op: conv, out: 36, kernel: 1, act: leaky, slope: 0.125, from: [zq]}\n"
    "      - {name: g2, op: shuffle, factor: 2}\n"
    "      - {name: tone, op: embed, out: 9, factor: 4, from: [quality]}\n"
    "      - {op: add, from: [g2, tone]}\n"
    "      - {name: g, op: conv, out: 9, act: relu}\n"
    "      - {name: ya, op: crop, first: 0, out: 7, from: [y]}\n"
    "      - {name: qa0, op: conv, out: 14, from: [g]}\n"
    "      - {name: ma0, op: crop, first: 0, out: 7, from: [qa0]}\n"
    "      - {name: sa0, op: crop, first: 7, out: 7, from: [qa0]}\n"
    "      - {name: a0, op: quantise, parity: even, from: [ya, ma0, step_a]}\n"
    "      - {name: bits_a0, op: bits, parity: even, from: [ya, ma0, sa0, step_a]}\n"
    "      - {name: ca1, op: conv, out: 8, kernel: 5, from: [a0]}\n"
    "      - {op: concat, from: [g, ca1]}\n"
    "      - {name: qa1, op: conv, out: 14, kernel: 1}\n"
    "      - {name: ma1, op: crop, first: 0, out: 7, from: [qa1]}\n"
    "      - {name: sa1, op: crop, first: 7, out: 7, from: [qa1]}\n"
    "      - {name: a1q, op: quantise, parity: odd, from: [ya, ma1, step_a]}\n"
    "      - {name: bits_a1, op: bits, parity: odd, from: [ya, ma1, sa1, step_a]}\n"
    "      - {name: ahat, op: add, from: [a0, a1q]}\n"
    "      - {name: yb, op: crop, first: 7, out: 17, from: [y]}\n"
    "      - {name: cb, op: conv, out: 34, from: [ahat]}\n"
    "      - {name: mb, op: crop, first: 0, out: 17, from: [cb]}\n"
    "      - {name: sb, op: crop, first: 17, out: 17, from: [cb]}\n"
    "      - {name: bhat, op: quantise, from: [yb, mb, step_b]}\n"
    "      - {name: bits_b, op: bits, from: [yb, mb, sb, step_b]}\n"
    "      - {name: yhat, op: concat, from: [ahat, bhat]}\n"
    "      - {name: back, op: conv, out: 192, kernel: 1, init: dct_inverse}\n"
    "      - {name: plain, op: shuffle, factor: 8}\n"
    "      - {name: r1, op: conv, out: 16, act: leaky, slope: 0.125, from: [yhat]}\n"
    "      - {name: gate, op: conv, out: 16, kernel: 1, from: [yhat]}\n"
    "      - {name: gated, op: mul, from: [r1, gate]}\n"
    "      - {name: r2, op: residual, act: leaky, slope: 0.125, gate: all, gate_act: clip}\n"
    "      - {name: r3, op: conv, out: 192, init: zero}\n"
    "      - {name: detail, op: shuffle, factor: 8}\n"
    "      - {name: picture, op: add, from: [plain, detail]}\n"
    "    outputs: [picture, bits_z, bits_a0, bits_a1, bits_b]\n"
    "loss:\n  - {kind: rate_distortion, lambda: [0.002, 0.05]}\n";

enum { W = 1100, H = 530, EDGE = 128, N_CROPS = 3, MOST_TILES = 16 };

static struct {
    ae_model *model, *plain;
    ae_coder *coder;
    uint8_t *rgb; /* W x H */
} all;

/* Smooth shapes, edges and some noise. */
static void paint(uint8_t *to, uint32_t w, uint32_t h, uint64_t seed)
{
    aei_rng rng = aei_rng_make(seed, 7, 0);

    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (uint32_t c = 0; c < 3; c++) {
                double v = 120 + 70 * sin(0.02 * x + 0.3 * c + (double)seed) * cos(0.017 * y) +
                           (((x / 37) ^ (y / 23)) & 1 ? 30 : 0) + 3 * (double)aei_rng_normal(&rng);

                to[((size_t)y * w + x) * 3 + c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
}

/* ---- tiles and rows in memory ---- */

typedef struct box {
    const void *from;
    uint8_t *to;
    size_t at, row_bytes;
    uint8_t *tiles[MOST_TILES];
    size_t n_bytes[MOST_TILES];
    uint32_t next, missing, n_lost, lost[MOST_TILES];
    bool gaps;         /* not every tile will come */
    ae_status failure; /* of the missing one; AE_OK: it is NULL */
    char why[64];      /* it was lost */
} box;

static ae_status read_rows(void *opaque, void *rows, uint32_t n, ae_error *err)
{
    box *b = opaque;

    (void)err;
    memcpy(rows, (const uint8_t *)b->from + b->at, n * b->row_bytes);
    b->at += n * b->row_bytes;
    return AE_OK;
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    box *b = opaque;

    (void)err;
    memcpy(b->to + b->at, rows, n * b->row_bytes);
    b->at += n * b->row_bytes;
    return AE_OK;
}

static ae_status write_tile(void *opaque, uint32_t i, const void *data, size_t n, ae_error *err)
{
    box *b = opaque;

    assert_true(b->gaps ? i >= b->next : i == b->next);
    b->next = i + 1;
    b->tiles[i] = ae_alloc(n, 1);
    if (!b->tiles[i])
        return ae_fail(err, AE_ERR_NOMEM, "tile");
    memcpy(b->tiles[i], data, n);
    b->n_bytes[i] = n;
    return AE_OK;
}

static ae_status read_tile(void *opaque, uint32_t i, const void **data, size_t *n, ae_error *err)
{
    box *b = opaque;

    if (i + 1 == b->missing && b->failure != AE_OK)
        return ae_fail(err, b->failure, "the chunk of tile %u", i);
    *data = i + 1 == b->missing ? NULL : b->tiles[i];
    *n = b->n_bytes[i];
    return AE_OK;
}

static void on_lost(void *opaque, uint32_t i, const char *why)
{
    box *b = opaque;

    assert_true(why[0] != 0);
    snprintf(b->why, sizeof(b->why), "%s", why);
    b->lost[b->n_lost++] = i;
}

static void clear(box *b)
{
    for (int i = 0; i < MOST_TILES; i++)
        ae_free(b->tiles[i]);
}

static box encode_at(const ae_coder *coder, const void *pixels, uint32_t w, uint32_t h,
                     uint32_t channels, ae_sample sample, uint32_t quality, uint32_t threads,
                     uint32_t effort)
{
    ae_signal_info info = {.kind = AE_KIND_IMAGE,
                           .sample = sample,
                           .bits = 8,
                           .channels = channels,
                           .alpha = channels % 2 == 0,
                           .width = w,
                           .height = h};
    box b = {.from = pixels, .row_bytes = ae_row_bytes(&info)};
    ae_row_source source = {info, &b, read_rows};
    ae_tile_sink sink = {&b, write_tile};
    ae_encode_options o = {.quality = quality,
                           .effort = effort,
                           .control.threads = threads,
                           .precision = AE_PRECISION_F32};
    ae_error err = {0};

    if (ae_encode(coder, &o, &source, &sink, &err) != AE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(b.next, ae_coder_tiles(&(ae_coder_picture){w, h, 3, sample, 8}));
    return b;
}

static box encode(const ae_coder *coder, const void *pixels, uint32_t w, uint32_t h,
                  uint32_t channels, ae_sample sample, uint32_t quality, uint32_t threads)
{
    return encode_at(coder, pixels, w, h, channels, sample, quality, threads, 1);
}

static uint8_t *decode(const ae_coder *coder, box *b, ae_coder_picture p, ae_decode_options o)
{
    uint32_t w = o.region.width ? o.region.width : p.width,
             h = o.region.width ? o.region.height : p.height;
    ae_tile_source source = {b, read_tile};
    ae_row_sink sink = {b, write_rows};
    ae_error err = {0};

    if (o.preview)
        w = (w + 7) / 8, h = (h + 7) / 8;
    b->row_bytes = (size_t)w * p.planes * ae_sample_bytes(p.sample);
    b->to = ae_alloc(h, b->row_bytes);
    b->at = 0;
    o.control.opaque = b;
    if (ae_decode(coder, &p, &o, &source, &sink, &err) != AE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(b->at, h * b->row_bytes);
    return b->to;
}

/* ---- tests ---- */

static const ae_coder_picture colour = {W, H, 3, AE_U8, 8};

static ae_coder *open_with(const char *cpu)
{
    ae_coder *c;

    setenv("AE_CPU", cpu, 1);
    assert_int_equal(ae_coder_open(all.model, &c, NULL), AE_OK);
    unsetenv("AE_CPU");
    return c;
}

static void same_everywhere(void **state)
{
    static const char *const cpus[] = {"scalar", "avx2", "avx512", "vnni"};
    box b = encode(all.coder, all.rgb, W, H, 3, AE_U8, 600, 2),
        other = encode(all.coder, all.rgb, W, H, 3, AE_U8, 600, 5);
    uint8_t *whole = decode(all.coder, &b, colour,
                            (ae_decode_options){.quality = 600, .control.threads = 1});
    ae_coder *bare;
    const void *program;
    size_t n;

    (void)state;
    assert_int_equal(b.next, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(b.n_bytes[i], other.n_bytes[i]);
        assert_memory_equal(b.tiles[i], other.tiles[i], b.n_bytes[i]);
    }
    for (uint32_t threads = 2; threads <= 8; threads += 6) {
        uint8_t *again = decode(all.coder, &b, colour,
                                (ae_decode_options){.quality = 600, .control.threads = threads});

        assert_memory_equal(whole, again, W * H * 3);
        ae_free(again);
    }
    for (int i = 0; i < 4; i++) {
        ae_coder *c = open_with(cpus[i]);
        uint8_t *again = decode(c, &b, colour,
                                (ae_decode_options){.quality = 600, .control.threads = 2});

        assert_memory_equal(whole, again, W * H * 3);
        ae_free(again);
        ae_coder_free(c);
    }
    program = ae_coder_program(all.coder, &n);
    assert_int_equal(ae_coder_open_program(program, n, &bare, NULL), AE_OK);
    other.to = decode(bare, &b, colour, (ae_decode_options){.quality = 600});
    assert_memory_equal(whole, other.to, W * H * 3);
    ae_free(other.to);
    ae_coder_free(bare);
    for (int i = 0; i < 8; i++) {
        static const uint32_t regions[8][4] = {
            {0, 0, 1, 1},       {511, 511, 2, 2},    {500, 0, 600, 530}, {1099, 529, 1, 1},
            {300, 505, 40, 20}, {512, 512, 512, 18}, {37, 41, 999, 333}, {0, 250, 1100, 280}};
        const uint32_t *r = regions[i];
        uint8_t *part = decode(all.coder, &b, colour,
                               (ae_decode_options){.quality = 600,
                                                   .region = {r[0], r[1], r[2], r[3]},
                                                   .control.threads = 3});

        for (uint32_t y = 0; y < r[3]; y++)
            assert_memory_equal(part + (size_t)y * r[2] * 3,
                                whole + ((size_t)(r[1] + y) * W + r[0]) * 3, r[2] * 3);
        ae_free(part);
    }
    ae_free(whole);
    clear(&b);
    clear(&other);
}

static double psnr(const uint8_t *a, const uint8_t *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (double)(a[i] - b[i]);
    return 10 * log10(255.0 * 255 * (double)n / sum);
}

/* The integers keep to the floating-point network. */
static void like_the_network(void **state)
{
    enum { N = EDGE * EDGE * 3 };
    ae_session *session;
    float *image = ae_alloc(N, 4), quality, *outputs[AE_MAX_FROM] = {0};
    const float *inputs[2] = {image, &quality};
    uint8_t *rgb = ae_alloc(N, 1), *rounded = ae_alloc(N, 1);
    ae_coder *coder;

    (void)state;
    assert_int_equal(ae_coder_open(all.model, &coder, NULL), AE_OK);
    coder->field = 0; /* the network's own zeros around the picture instead of its mirror image */
    paint(rgb, EDGE, EDGE, 77);
    ae_samples_to_f32(AE_U8, rgb, image, N);
    assert_int_equal(ae_session_create(all.model, 1, EDGE, EDGE, AE_PRECISION_F32, &session, NULL),
                     AE_OK);
    for (uint32_t q = 0; q <= AE_QUALITY_ONE; q += 512) {
        box b = encode(coder, rgb, EDGE, EDGE, 3, AE_U8, q, 1);
        uint8_t *exact = decode(all.coder, &b, (ae_coder_picture){EDGE, EDGE, 3, AE_U8, 8},
                                (ae_decode_options){.quality = q});
        double bits = 0;

        quality = (float)q / AE_QUALITY_ONE;
        for (uint32_t i = 0; i < 5; i++) {
            ae_shape s = ae_session_output_shape(session, i);

            outputs[i] = ae_alloc((size_t)s.h * s.w * s.c, 4);
        }
        assert_int_equal(ae_session_run(session, inputs, outputs, NULL), AE_OK);
        ae_samples_from_f32(AE_U8, outputs[0], rounded, N);
        for (uint32_t i = 1; i < 5; i++) {
            ae_shape s = ae_session_output_shape(session, i);

            for (size_t k = 0; k < (size_t)s.h * s.w * s.c; k++)
                bits += (double)outputs[i][k];
        }
        if (!(fabs(psnr(rgb, exact, N) - psnr(rgb, rounded, N)) < 0.1))
            fail_msg("quality %u: %.3f dB, in floating point %.3f", q, psnr(rgb, exact, N),
                     psnr(rgb, rounded, N));
        if (!(8 * (double)b.n_bytes[0] < 1.005 * bits + 8 * AEI_RANS_HEAD))
            fail_msg("quality %u: %.0f bits, in floating point %.0f", q, 8 * (double)b.n_bytes[0],
                     bits);
        for (uint32_t i = 0; i < 5; i++)
            ae_free(outputs[i]);
        ae_free(exact);
        clear(&b);
    }
    ae_session_free(session);
    ae_coder_free(coder);
    ae_free(image);
    ae_free(rgb);
    ae_free(rounded);
}

/* Beyond the trained qualities steps go on to fall: the tile grows. (The network here is not
 * trained and brings back no picture; tests/cli/compress.sh looks at that of the shipped one.) */
static void beyond(void **state)
{
    static const uint32_t qualities[] = {AE_QUALITY_ONE, 1150, 1280, AE_QUALITY_MOST};

    (void)state;
    assert_int_equal(aei_finer(1000, 0), 1000);
    assert_int_equal(aei_finer(1000, 128), 750);
    assert_int_equal(aei_finer(1000, 256), 500);
    assert_int_equal(aei_finer(1000, 512), 250);
    assert_int_equal(aei_finer(1, 512), 1);
    for (uint32_t effort = 1; effort <= 6; effort += 5) {
        size_t last = 0;

        for (uint32_t i = 0; i < 4; i++) {
            box b = encode_at(all.coder, all.rgb, EDGE, EDGE, 3, AE_U8, qualities[i], 1, effort);
            uint8_t *back = decode(all.coder, &b, (ae_coder_picture){EDGE, EDGE, 3, AE_U8, 8},
                                   (ae_decode_options){.quality = qualities[i]});

            if (b.n_bytes[0] <= last)
                fail_msg("quality %u, effort %u: %zu bytes, at the one before %zu", qualities[i],
                         effort, b.n_bytes[0], last);
            last = b.n_bytes[0];
            ae_free(back);
            clear(&b);
        }
    }
}

static void damage(void **state)
{
    box b = encode(all.coder, all.rgb, W, H, 3, AE_U8, 300, 1);
    uint8_t *whole = decode(all.coder, &b, colour, (ae_decode_options){.quality = 300});
    uint32_t reach = aei_engine_reach(all.coder->engine), seen = 0;
    ae_tile_source source = {&b, read_tile};
    ae_row_sink sink = {&b, write_rows};
    ae_error err = {0};

    (void)state;
    for (int i = 0; i < 20; i++) {
        size_t at = (size_t)i * 7919 % b.n_bytes[1];
        uint8_t *part;

        b.n_lost = 0;
        b.missing = i == 7 ? 2 : 0;
        b.tiles[1][at] ^= (uint8_t)(1 << i % 8);
        part = decode(
            all.coder, &b, colour,
            (ae_decode_options){.quality = 300, .control.threads = 2, .control.lost = on_lost});
        b.tiles[1][at] ^= (uint8_t)(1 << i % 8);
        seen += b.n_lost == 1 && b.lost[0] == 1;
        for (uint32_t y = 0; y < H; y++)
            for (uint32_t x = 0; x < W; x++)
                if (x + reach < 512 || x >= 1024 + reach || y >= 512 + reach)
                    if (memcmp(part + ((size_t)y * W + x) * 3, whole + ((size_t)y * W + x) * 3, 3))
                        fail_msg("pixel %u, %u changed", x, y);
        ae_free(part);
    }
    assert_true(seen >= 17); /* the container's checksums see the rest */
    /* a tile that its source cannot give costs no more, in regions and previews either */
    b.missing = 2;
    b.failure = AE_ERR_CHECKSUM;
    for (int i = 0; i < 3; i++) {
        static const ae_decode_options how[] = {
            {.quality = 300, .control.lost = on_lost},
            {.quality = 300, .region = {40, 0, 460, 40}, .control.lost = on_lost},
            {.quality = 300, .preview = true, .control.lost = on_lost}};
        uint32_t x0 = how[i].region.x, w = how[i].region.width ? how[i].region.width : W,
                 unit = how[i].preview ? 8 : 1;
        uint8_t *part, *want;

        b.n_lost = b.missing = 0;
        want = decode(all.coder, &b, colour, how[i]);
        b.missing = 2;
        part = decode(all.coder, &b, colour, how[i]);
        assert_int_equal(b.n_lost, 1);
        assert_string_equal(b.why, "the chunk of tile 1");
        for (uint32_t x = 0; x < w / unit; x++) /* of the first row */
            if ((x0 + (x + 1) * unit + reach <= 512 || x0 + x * unit >= 1024 + reach) &&
                memcmp(part + x * 3, want + x * 3, 3))
                fail_msg("decoding %d: pixel %u changed", i, x);
        ae_free(part);
        ae_free(want);
    }
    b.failure = AE_OK;
    b.at = 0;
    b.to = whole;
    b.row_bytes = W * 3;
    assert_int_equal(
        ae_decode(all.coder, &colour, &(ae_decode_options){.quality = 300}, &source, &sink, &err),
        AE_ERR_MALFORMED);
    assert_non_null(strstr(err.message, "tile 1"));
    b.failure = AE_ERR_CHECKSUM;
    assert_int_equal(
        ae_decode(all.coder, &colour, &(ae_decode_options){.quality = 300}, &source, &sink, &err),
        b.failure);
    b.failure = AE_ERR_NOMEM;
    assert_int_equal(
        ae_decode(all.coder, &colour,
                  &(ae_decode_options){.quality = 300, .control = {0, NULL, &b, NULL, on_lost}},
                  &source, &sink, &err),
        AE_ERR_NOMEM);
    ae_free(whole);
    clear(&b);
}

static void other_pictures(void **state)
{
    uint16_t *wide = ae_alloc(70 * 50 * 4, 2);
    uint8_t *grey = ae_alloc(70 * 50, 1), *out, one[3] = {128, 120, 131};
    box b;

    (void)state;
    /* one pixel */
    b = encode(all.coder, one, 1, 1, 3, AE_U8, 1024, 1);
    out = decode(all.coder, &b, (ae_coder_picture){1, 1, 3, AE_U8, 8},
                 (ae_decode_options){.quality = 1024});
    for (int c = 0; c < 3; c++)
        assert_in_range(out[c] + 60 - one[c], 0, 120);
    ae_free(out);
    clear(&b);
    /* 16 bits and alpha */
    for (int i = 0; i < 70 * 50; i++) {
        for (int c = 0; c < 3; c++)
            wide[4 * i + c] = (uint16_t)(257 * all.rgb[(i / 70 * W + i % 70) * 3 + c]);
        wide[4 * i + 3] = (uint16_t)(i * 977);
        grey[i] = all.rgb[(i / 70 * W + i % 70) * 3];
    }
    b = encode(all.coder, wide, 70, 50, 4, AE_U16, 1024, 1);
    out = decode(all.coder, &b, (ae_coder_picture){70, 50, 3, AE_U16, 16},
                 (ae_decode_options){.quality = 1024});
    for (int i = 0; i < 70 * 50; i++)
        assert_in_range(((uint16_t *)(void *)out)[3 * i + 1] / 257 + 60 - wide[4 * i + 1] / 257, 0,
                        120);
    ae_free(out);
    /* the same stream as f32 is the same picture */
    out = decode(all.coder, &b, (ae_coder_picture){70, 50, 3, AE_F32, 32},
                 (ae_decode_options){.quality = 1024});
    for (int i = 0; i < 70 * 50 * 3; i++)
        assert_true(((float *)(void *)out)[i] > -0.5f && ((float *)(void *)out)[i] < 1.5f);
    ae_free(out);
    clear(&b);
    /* grey */
    b = encode(all.coder, grey, 70, 50, 1, AE_U8, 1024, 1);
    out = decode(all.coder, &b, (ae_coder_picture){70, 50, 1, AE_U8, 8},
                 (ae_decode_options){.quality = 1024});
    for (int i = 0; i < 70 * 50; i++)
        assert_in_range(out[i] + 60 - grey[i], 0, 120);
    ae_free(out);
    out = decode(all.coder, &b, (ae_coder_picture){70, 50, 1, AE_U8, 8},
                 (ae_decode_options){.quality = 1024, .preview = true});
    for (int i = 0; i < 9 * 7; i++)
        assert_in_range(out[i], 1, 254);
    ae_free(out);
    clear(&b);
    ae_free(wide);
    ae_free(grey);
}

/* Latents that were kept give the tiles that the picture gives, at every quality; some of them,
 * some of the tiles. */
static void in_two_halves(void **state)
{
    ae_signal_info info = {
        .kind = AE_KIND_IMAGE, .sample = AE_U8, .bits = 8, .channels = 3, .width = W, .height = H};
    ae_encode_options o = {.effort = 1, .precision = AE_PRECISION_F32};
    ae_analysis *a;

    (void)state;
    for (uint32_t most = 2; most <= 6; most += 4) {
        box from = {.from = all.rgb, .row_bytes = ae_row_bytes(&info)};
        ae_row_source source = {info, &from, read_rows};

        o.control.threads = most / 2;
        o.quality = 0;
        assert_int_equal(ae_analyse(all.coder, &o, &source, most, &a, NULL), AE_OK);
        assert_int_equal(ae_analysis_complete(a), most == 6);
        for (o.quality = 100; o.quality <= 900; o.quality += 400)
            for (uint32_t every = 1; every <= 2; every++) {
                box whole = encode(all.coder, all.rgb, W, H, 3, AE_U8, o.quality, 1),
                    part = {.gaps = true};
                uint32_t n = 0;

                assert_int_equal(
                    ae_encode_analysis(a, &o, every, &(ae_tile_sink){&part, write_tile}, NULL),
                    AE_OK);
                for (uint32_t i = 0; i < 6; i++)
                    if (part.tiles[i]) {
                        n++;
                        assert_int_equal(part.n_bytes[i], whole.n_bytes[i]);
                        assert_memory_equal(part.tiles[i], whole.tiles[i], whole.n_bytes[i]);
                    }
                assert_int_equal(n, most == 2 ? 2 : 6 / every);
                clear(&whole);
                clear(&part);
            }
        ae_analysis_free(a);
    }
}

/* Refined latents lower what refining is about, bits and lambda times errors, and are the same for
 * any number of threads. */
static void refined(void **state)
{
    enum { WIDE = 600, HIGH = 90 };
    ae_coder_picture p = {WIDE, HIGH, 3, AE_U8, 8};
    double cost[2];

    (void)state;
    for (uint32_t k = 0; k < 2; k++) {
        box one = encode_at(all.coder, all.rgb, WIDE, HIGH, 3, AE_U8, 500, 1, k ? 9 : 5),
            two = encode_at(all.coder, all.rgb, WIDE, HIGH, 3, AE_U8, 500, 2, k ? 9 : 5);
        uint8_t *back = decode(all.coder, &one, p,
                               (ae_decode_options){.quality = 500, .control.threads = 1});
        double squares = 0, bytes = 0;

        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(one.n_bytes[i], two.n_bytes[i]);
            assert_memory_equal(one.tiles[i], two.tiles[i], one.n_bytes[i]);
            bytes += (double)one.n_bytes[i];
        }
        for (size_t i = 0; i < WIDE * HIGH * 3; i++)
            squares += (back[i] - all.rgb[i]) * (back[i] - all.rgb[i]);
        cost[k] = 8 * bytes + 0.002 * pow(25, 500.0 / 1024) * squares / 3;
        ae_free(back);
        clear(&one);
        clear(&two);
    }
    if (!(cost[1] < cost[0]))
        fail_msg("refined: %.0f bits and weighted errors, before %.0f", cost[1], cost[0]);
}

static void refusals(void **state)
{
    ae_coder *c = NULL;
    const uint8_t *program;
    size_t n;
    ae_error err = {0};
    box b = {0};
    ae_row_source source = {
        {.kind = AE_KIND_IMAGE, .sample = AE_U8, .bits = 8, .channels = 3, .width = 8, .height = 8},
        &b,
        read_rows};
    ae_tile_sink tiles = {&b, write_tile};
    ae_tile_source from = {&b, read_tile};
    ae_row_sink rows = {&b, write_rows};

    (void)state;
    assert_int_equal(ae_coder_open(all.plain, &c, &err), AE_ERR_MISMATCH);
    program = ae_coder_program(all.coder, &n);
    assert_int_equal(ae_coder_open_program(program, n - 1, &c, &err), AE_ERR_MALFORMED);
    assert_int_equal(ae_coder_open_program(program, n, &c, &err), AE_OK);
    assert_int_equal(ae_encode(c, &(ae_encode_options){.effort = 1}, &source, &tiles, &err),
                     AE_ERR_ARGUMENT);
    assert_int_equal(ae_encode(all.coder, &(ae_encode_options){.quality = AE_QUALITY_MOST + 1},
                               &source, &tiles, &err),
                     AE_ERR_ARGUMENT);
    assert_int_equal(ae_decode(c, &(ae_coder_picture){8, 8, 3, AE_U8, 8},
                               &(ae_decode_options){.quality = AE_QUALITY_MOST + 1}, &from, &rows,
                               &err),
                     AE_ERR_ARGUMENT);
    assert_int_equal(ae_decode(c, &(ae_coder_picture){8, 8, 3, AE_U8, 8},
                               &(ae_decode_options){.region = {8, 0, 1, 1}}, &from, &rows, &err),
                     AE_ERR_ARGUMENT);
    assert_int_equal(ae_decode(c, &(ae_coder_picture){8, 0, 3, AE_U8, 8}, &(ae_decode_options){0},
                               &from, &rows, &err),
                     AE_ERR_ARGUMENT);
    assert_int_equal(ae_decode(c, &(ae_coder_picture){8, 8, 2, AE_U8, 8}, &(ae_decode_options){0},
                               &from, &rows, &err),
                     AE_ERR_UNSUPPORTED);
    ae_coder_free(c);
}

/* Every allocation fails once; nothing is left behind, and nothing but memory is blamed. */
static void no_memory(void **state)
{
    size_t n;
    const void *program = ae_coder_program(all.coder, &n);
    ae_coder_picture p = {70, 50, 3, AE_U8, 8};
    ae_signal_info info = {.kind = AE_KIND_IMAGE,
                           .sample = AE_U8,
                           .bits = 8,
                           .channels = 3,
                           .width = 70,
                           .height = 50};
    box b = encode(all.coder, all.rgb, 70, 50, 3, AE_U8, 500, 1);
    ae_status st;
    uint32_t n_well = 0; /* in a row: some failures are borne */

    (void)state;
    b.to = ae_alloc(70 * 50, 3);
    b.row_bytes = 70 * 3;
    for (uint64_t i = 1; n_well < 8 && i < 1000; i++) {
        ae_coder *c = NULL;
        ae_tile_source source = {&b, read_tile};
        ae_row_sink sink = {&b, write_rows};

        b.at = 0;
        ae_alloc_fail_at(i);
        if ((st = ae_coder_open_program(program, n, &c, NULL)) == AE_OK)
            st = ae_decode(c, &p, &(ae_decode_options){.quality = 500, .control.threads = 1},
                           &source, &sink, NULL);
        ae_alloc_fail_at(0);
        ae_coder_free(c);
        assert_true(st == AE_OK || st == AE_ERR_NOMEM);
        n_well = st == AE_OK ? n_well + 1 : 0;
    }
    assert_int_equal(n_well, 8);
    n_well = 0;
    for (uint64_t i = 1; n_well < 8 && i < 1000; i++) {
        box other = {.from = all.rgb, .row_bytes = 70 * 3};
        ae_row_source source = {info, &other, read_rows};
        ae_tile_sink sink = {&other, write_tile};
        ae_coder *c = NULL;

        ae_alloc_fail_at(i);
        if ((st = ae_coder_open(all.model, &c, NULL)) == AE_OK)
            st = ae_encode(
                c,
                &(ae_encode_options){
                    .quality = 500, .effort = 5, .precision = AE_PRECISION_F32, .control = {1}},
                &source, &sink, NULL);
        ae_alloc_fail_at(0);
        ae_coder_free(c);
        clear(&other);
        assert_true(st == AE_OK || st == AE_ERR_NOMEM);
        n_well = st == AE_OK ? n_well + 1 : 0;
    }
    assert_int_equal(n_well, 8);
    ae_free(b.to);
    clear(&b);
}

/* ---- all of it ---- */

static int setup(void **state)
{
    ae_recipe *recipe = NULL;
    float *values = NULL, *crops = ae_alloc(N_CROPS, EDGE * EDGE * 3 * sizeof(float));
    uint8_t *rgb = ae_alloc(EDGE * EDGE * 3, 1), *program = NULL, *bytes = NULL;
    ae_model_parts parts = {.recipe_text = recipe_text, .card = ""};
    ae_param *params = NULL;
    uint32_t n_params = 0;
    size_t n = 0;
    aei_rng rng = aei_rng_make(4, 0, 0);
    ae_error err = {0};
    bool ok;

    (void)state;
    all.rgb = ae_alloc((size_t)W * H, 3);
    paint(all.rgb, W, H, 1);
    for (uint32_t i = 0; i < N_CROPS; i++) {
        paint(rgb, EDGE, EDGE, 100 + i);
        ae_samples_to_f32(AE_U8, rgb, crops + (size_t)i * EDGE * EDGE * 3, EDGE * EDGE * 3);
    }
    ok = ae_recipe_parse(recipe_text, sizeof(recipe_text) - 1, NULL, &recipe, &err) == AE_OK &&
         ae_graph_params(&recipe->networks[0].graph, &params, &n_params, &parts.n_floats, &err) ==
             AE_OK;
    values = ok ? ae_alloc(parts.n_floats, sizeof(float)) : NULL;
    ok = ok && ae_graph_init(&recipe->networks[0].graph, 3, values, &err) == AE_OK;
    /* so that no part is nothing, though nothing was trained, and gates reach both ends */
    for (uint32_t i = 0; ok && i < n_params; i++) {
        const char *name = params[i].name;
        float some = strstr(name, "step") || strstr(name, "back") ? 0
                     : strstr(name, ".g.")                        ? 8
                                                                  : 0.02f;

        for (size_t k = 0; k < params[i].count; k++)
            values[params[i].offset + k] += some * aei_rng_normal(&rng);
    }
    parts.values = values;
    ok = ok && aei_model_pack(&parts, &bytes, &n, &err) == AE_OK &&
         ae_model_open_memory(bytes, n, NULL, &all.plain, &err) == AE_OK;
    ae_free(bytes);
    bytes = NULL;
    ok = ok && ae_export(&recipe->networks[0].graph, values, crops, N_CROPS, EDGE, &program,
                         &parts.n_program, &err) == AE_OK;
    parts.program = program;
    ok = ok && aei_model_pack(&parts, &bytes, &n, &err) == AE_OK &&
         ae_model_open_memory(bytes, n, NULL, &all.model, &err) == AE_OK &&
         ae_coder_open(all.model, &all.coder, &err) == AE_OK;
    if (!ok)
        print_error("%s\n", err.message);
    ae_free(bytes);
    ae_free(program);
    ae_free(values);
    ae_free(params);
    ae_free(crops);
    ae_free(rgb);
    ae_recipe_free(recipe);
    return !ok;
}

static int teardown(void **state)
{
    (void)state;
    ae_coder_free(all.coder);
    ae_model_free(all.model);
    ae_model_free(all.plain);
    ae_free(all.rgb);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_everywhere), cmocka_unit_test(like_the_network),
        cmocka_unit_test(damage),          cmocka_unit_test(other_pictures),
        cmocka_unit_test(in_two_halves),   cmocka_unit_test(refined),
        cmocka_unit_test(refusals),        cmocka_unit_test(no_memory),
        cmocka_unit_test(beyond),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
