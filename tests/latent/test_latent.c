/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "latent/surprise.h"
#include "latent/preview.h"
#include "latent/walk.h"
#include "model/format.h"
#include "tiny_program.h"

static tiny shared;

static aei_program *load_tiny(void)
{
    ae_error err = {0};
    aei_program *p;

    if (tiny_load(&shared, &p, &err) != AE_OK)
        fail_msg("%s", err.message);
    return p;
}

/* ---- programs ---- */

static void program_round_trip(void **state)
{
    aei_program *p = load_tiny();
    uint8_t *bytes;
    size_t n;

    (void)state;
    assert_int_equal(aei_program_pack(p->ops, p->n_ops, p->scales, p->n_scales, &bytes, &n, NULL),
                     AE_OK);
    assert_int_equal(n, p->n_bytes);
    assert_memory_equal(bytes, p->bytes, n);
    assert_int_equal(p->stride, 16);
    assert_int_equal(p->n_entropy, 18);
    assert_int_equal(p->n_sources, 2);
    ae_free(bytes);
    aei_program_free(p);
}

static ae_status load_changed(const aei_program *p, size_t n, size_t at, uint8_t value)
{
    uint8_t *copy = ae_alloc(p->n_bytes + 1, 1);
    aei_program *again = NULL;
    ae_error err = {0};
    ae_status st;

    memcpy(copy, p->bytes, p->n_bytes);
    copy[at] = value;
    st = aei_program_load(copy, n, &again, &err);
    assert_true((st == AE_OK) == (again != NULL));
    if (st != AE_OK)
        assert_true(err.message[0] != 0);
    aei_program_free(again);
    ae_free(copy);
    return st;
}

static void program_rejects(void **state)
{
    static const struct {
        uint32_t op, byte;
        uint8_t value;
    } wrong[] = {
        {3, 0, 0},    {3, 0, 10},   {3, 1, 0},   {3, 2, 0},    {3, 3, 255},  {3, 4, 3},
        {3, 4, 200},  {3, 6, 1},    {3, 20, 0},  {3, 20, 5},   {3, 20, 255}, {3, 21, 0},
        {3, 21, 2},   {3, 22, 0},   {3, 22, 3},  {3, 23, 32},  {3, 28, 1},   {3, 29, 1},
        {3, 32, 2},   {3, 34, 1},   {3, 36, 8},  {3, 63, 1},   {5, 32, 3},   {5, 32, 32},
        {5, 32, 0},   {5, 24, 255}, {7, 23, 32}, {7, 28, 31},  {9, 34, 4},   {10, 34, 4},
        {11, 29, 3},  {11, 36, 9},  {11, 36, 0}, {11, 28, 16}, {11, 31, 16}, {11, 43, 127},
        {13, 2, 12},  {13, 6, 8},   {17, 29, 0}, {17, 4, 8},   {17, 8, 2},   {23, 1, 1},
        {23, 28, 31}, {24, 28, 15}, {24, 28, 3}, {24, 4, 20},  {24, 2, 1},   {23, 0, 9},
        {24, 0, 3},
    };
    aei_program *p = load_tiny();
    size_t first_data = AEI_PROGRAM_HEADER + (size_t)p->n_ops * AEI_PROGRAM_OP;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (load_changed(p, p->n_bytes,
                         AEI_PROGRAM_HEADER + wrong[i].op * AEI_PROGRAM_OP + wrong[i].byte,
                         wrong[i].value) == AE_OK)
            fail_msg("operator %u, byte %u = %u was accepted", wrong[i].op, wrong[i].byte,
                     wrong[i].value);
    for (size_t n = 0; n < p->n_bytes; n += n < first_data ? 1 : 509)
        assert_int_not_equal(load_changed(p, n, 0, p->bytes[0]), AE_OK);
    assert_int_not_equal(load_changed(p, p->n_bytes + 1, 0, p->bytes[0]), AE_OK);
    assert_int_equal(load_changed(p, p->n_bytes, 4, AEI_PROGRAM_VERSION + 1), AE_ERR_TOO_NEW);
    assert_int_equal(load_changed(p, p->n_bytes, 4, AEI_PROGRAM_VERSION - 1), AE_ERR_UNSUPPORTED);
    /* whatever a byte becomes, it is either accepted or refused with a message */
    for (size_t at = 0; at < first_data; at++)
        for (uint32_t value = 0; value < 256; value += 51)
            (void)load_changed(p, p->n_bytes, at, (uint8_t)value);
    for (size_t at = first_data; at < p->n_bytes; at += 97)
        (void)load_changed(p, p->n_bytes, at, 0x80);
    aei_program_free(p);
}

/* The condition for sums is exact. */
static void program_overflow(void **state)
{
    tiny *t = ae_alloc(1, sizeof(*t));
    aei_program *p;
    int64_t sum = 0;

    (void)state;
    assert_int_equal(tiny_make(t, 5, NULL), AE_OK);
    for (uint32_t i = 0; i < 12; i++)
        sum += (t->ops[4].weights[i] < 0 ? -1 : 1) * t->ops[4].weights[i] * 4095;
    t->shifts[12] = 10; /* of operator 4, behind 12 outputs of operator 3 */
    t->biases[12] = (int32_t)(-INT32_MAX + 512 + sum);
    assert_int_equal(tiny_load(t, &p, NULL), AE_OK);
    aei_program_free(p);
    t->biases[12]--;
    assert_int_equal(tiny_load(t, &p, NULL), AE_ERR_MALFORMED);
    ae_free(t->starts);
    ae_free(t);
}

/* ---- entropy coding ---- */

static void rans_round_trip(void **state)
{
    enum { N = 20000 };
    aei_rng rng = aei_rng_make(3, 0, 0);
    aei_rans_writer w = {0};
    aei_rans_reader r;
    aei_rans_tables tables;
    int32_t *values = ae_alloc(N, sizeof(*values));
    uint8_t *indices = ae_alloc(N, 1), *bytes = NULL;
    size_t n_allocated = 0, n_bytes;
    uint32_t n_flips = 0, n_unseen = 0;
    double bits = 0;

    (void)state;
    for (uint32_t i = 0; i < TINY_SCALES; i++) {
        assert_true(shared.scales[i].n > 0);
        assert_int_equal(shared.scales[i].start[shared.scales[i].n + 1], 0);
    }
    assert_int_equal(aei_rans_tables_make(shared.scales, TINY_SCALES, &tables, NULL), AE_OK);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            double deviation;

            indices[i] = (uint8_t)aei_rng_below(&rng, TINY_SCALES);
            deviation = 0.11 * exp2(indices[i] / 8.0);
            values[i] = round && i % 50 == 0 ? (int32_t)aei_rng_below(&rng, 65536) - 32768
                                             : (int32_t)lrint(deviation * aei_rng_normal(&rng));
            bits += aei_rans_cost(&shared.scales[indices[i]], values[i]);
            assert_int_equal(aei_rans_put(&w, &shared.scales[indices[i]], values[i], NULL), AE_OK);
        }
        assert_int_equal(aei_rans_finish(&w, &bytes, &n_allocated, &n_bytes, NULL), AE_OK);
        if (!(fabs((double)n_bytes * 8 - bits) <= 0.0005 * bits + 160))
            fail_msg("%zu bytes for %.1f bits", n_bytes, bits);
        aei_rans_begin(&r, bytes, n_bytes);
        for (int i = 0; i < N; i++)
            assert_int_equal(aei_rans_get(&r, &tables, indices[i]), values[i]);
        assert_true(aei_rans_complete(&r));
        bits = 0;
    }
    /* Flipped bits leave other states at the end, but for those that fall into the raw bits of one
     * value. Truncation is always seen. */
    for (size_t bit = 0; bit < n_bytes * 8; bit += 131, n_flips++) {
        uint32_t n_other = 0;

        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        aei_rans_begin(&r, bytes, n_bytes);
        for (int i = 0; i < N; i++)
            n_other += aei_rans_get(&r, &tables, indices[i]) != values[i];
        if (aei_rans_complete(&r)) {
            assert_int_equal(n_other, 1);
            n_unseen++;
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(n_unseen * 10 < n_flips);
    for (size_t n = 0; n < n_bytes; n += 501) {
        aei_rans_begin(&r, bytes, n);
        for (int i = 0; i < N; i++)
            (void)aei_rans_get(&r, &tables, indices[i]);
        assert_false(aei_rans_complete(&r));
    }
    aei_rans_writer_free(&w);
    aei_rans_tables_free(&tables);
    ae_free(bytes);
    ae_free(values);
    ae_free(indices);
}

/* Coding with the tables costs next to nothing beyond the entropy of what they describe. */
static void rans_tables_fit(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < TINY_SCALES; i++) {
        double deviation = 0.11 * exp2(i / 8.0), cost = 0, entropy = 0;

        for (int v = -4000; v <= 4000; v++) {
            double p = 0.5 * (erfc((v - 0.5) / deviation * M_SQRT1_2) -
                              erfc((v + 0.5) / deviation * M_SQRT1_2));

            if (p > 1e-12) {
                cost += p * aei_rans_cost(&shared.scales[i], v);
                entropy -= p * log2(p);
            }
        }
        if (!(cost - entropy < 0.0015))
            fail_msg("distribution %u: %.5f bits, entropy %.5f", i, cost, entropy);
    }
}

/* ---- kernels ---- */

static void kernels_agree(void **state)
{
    static const uint32_t widths[] = {1, 2, 5, 16, 31, 32, 33, 70};
    enum { MOST = 70 * 5 * 5 * 72, PICTURE = 72 * 24 * 12 };
    aei_rng rng = aei_rng_make(9, 0, 0);
    int16_t *weights = ae_alloc(MOST, 2), *in = ae_alloc(PICTURE + AEI_SLACK, 2),
            *add = ae_alloc(PICTURE, 2);
    int16_t *out[2] = {ae_alloc(PICTURE, 2), ae_alloc(PICTURE, 2)};
    int32_t bias[72];
    uint8_t shifts[72];

    (void)state;
    for (int round = 0; round < 160; round++) {
        uint32_t n_in = widths[aei_rng_below(&rng, 8)], n_out = widths[aei_rng_below(&rng, 8)],
                 kernel = 1 + 2 * aei_rng_below(&rng, 3), n, lines;
        int32_t most = round % 4 ? 4095 : 32767, w_most;
        bool ends = round % 3 == 0;
        aei_op op = {.kind = AEI_CONV,
                     .channels = n_out,
                     .kernel = kernel,
                     .stride = 1 + aei_rng_below(&rng, 2),
                     .pad = kernel / 2,
                     .bias = bias,
                     .weights = weights,
                     .shifts = shifts,
                     .lo = -(int32_t)aei_rng_below(&rng, 32768),
                     .hi = (int32_t)aei_rng_below(&rng, 32768)};
        aei_iconv conv;
        aei_iconv_area area;

        if (op.stride == 2)
            op.kernel = kernel = 2, op.pad = 0;
        op.leak = (uint32_t[]){AEI_NO_LEAK, AEI_RELU, 1, 3}[aei_rng_below(&rng, 4)];
        w_most = (int32_t)(((int64_t)1 << 31) / ((int64_t)most * kernel * kernel * n_in + 1)) - 1;
        w_most = w_most > 32767 ? 32767 : w_most < 1 ? 1 : w_most;
        for (size_t i = 0; i < (size_t)n_out * kernel * kernel * n_in; i++)
            weights[i] = (int16_t)(ends ? (aei_rng_below(&rng, 2) ? w_most : -w_most)
                                        : (int32_t)aei_rng_below(&rng, 2 * (uint32_t)w_most + 1) -
                                              w_most);
        for (uint32_t i = 0; i < n_out; i++) {
            bias[i] = (int32_t)aei_rng_below(&rng, 2000) - 1000;
            shifts[i] = (uint8_t)(1 + aei_rng_below(&rng, 20));
        }
        for (size_t i = 0; i < PICTURE; i++) {
            in[i] = (int16_t)(ends ? (aei_rng_below(&rng, 2) ? most : -most)
                                   : (int32_t)aei_rng_below(&rng, 2 * (uint32_t)most + 1) - most);
            add[i] = (int16_t)((int32_t)aei_rng_below(&rng, 65535) - 32767);
        }
        /* the rounding and the bias may add to sums at their limit: keep what the checker would */
        if (ends)
            memset(bias, 0, sizeof(bias));
        assert_int_equal(aei_iconv_prepare(&op, n_in, &conv, NULL), AE_OK);
        lines = 1 + aei_rng_below(&rng, 3);
        n = 1 + aei_rng_below(&rng, 9);
        area = (aei_iconv_area){.in = in,
                                .add = round % 2 ? add : NULL,
                                .in_step = (size_t)op.stride * aei_pitch(n_in),
                                .in_row = (size_t)24 * aei_pitch(n_in),
                                .in_line = (size_t)24 * op.stride * aei_pitch(n_in),
                                .add_step = aei_pitch(n_out),
                                .add_line = (size_t)20 * aei_pitch(n_out),
                                .out_step = aei_pitch(n_out),
                                .out_line = (size_t)20 * aei_pitch(n_out),
                                .n = n * lines,
                                .width = n,
                                .staggered = round % 5 == 0,
                                .odd = round % 2};
        if (op.stride == 2)
            area.staggered = false;
        for (aei_cpu cpu = AEI_CPU_SCALAR; cpu <= AEI_CPU_VNNI; cpu++) {
            if (!aei_iconv_kernel_of(cpu))
                continue;
            area.out = out[cpu != AEI_CPU_SCALAR];
            memset(area.out, 0x55, PICTURE * sizeof(int16_t));
            aei_iconv_kernel_of(cpu)(&conv, &area);
            if (cpu && memcmp(out[0], out[1], PICTURE * sizeof(int16_t)))
                fail_msg("%s differs: %u -> %u channels, kernel %u, %u pixels", aei_cpu_name(cpu),
                         n_in, n_out, kernel, area.n);
        }
        aei_iconv_free(&conv);
    }
    ae_free(weights);
    ae_free(in);
    ae_free(add);
    ae_free(out[0]);
    ae_free(out[1]);
}

/* ---- walks ---- */

typedef struct tile {
    int16_t *data;
    aei_view view;
} tile;

static void fetch_tile(void *context, uint32_t index, const aei_view *to)
{
    const tile *from = (const tile *)context + index;

    for (int32_t y = to->rect.y0; y < to->rect.y1; y++)
        for (int32_t x = to->rect.x0; x < to->rect.x1; x++) {
            const aei_rect *r = &from->view.rect;
            bool inside = x >= r->x0 && x < r->x1 && y >= r->y0 && y < r->y1;

            for (uint32_t c = 0; c < to->pitch; c++)
                aei_view_at(to, x, y)[c] = inside ? aei_view_at(&from->view, x, y)[c] : 0;
        }
}

static tile keep(aei_view v, int32_t w, int32_t h)
{
    tile t = {.data = ae_alloc((size_t)w * (size_t)h * v.pitch, 2),
              .view = {.rect = {0, 0, w, h}, .pitch = v.pitch}};

    t.view.data = t.data;
    for (int32_t y = 0; y < h; y++)
        memcpy(aei_view_at(&t.view, 0, y), aei_view_at(&v, 0, y), (size_t)w * v.pitch * 2);
    return t;
}

/* Whatever the kernels, the tile decodes to what the encoder saw, and parts of the picture are
 * parts of the whole. */
static void walks_agree(void **state)
{
    enum { W = 80, H = 48 };
    aei_rng rng = aei_rng_make(11, 0, 0);
    float *sources[2] = {ae_alloc(W / 16 * H / 16 * 5, 4), ae_alloc(W / 8 * H / 8 * 3, 4)};
    const uint32_t n_channels[2] = {5, 3};
    int16_t *whole = ae_alloc(W * H * 4, 2);
    uint8_t *bytes = NULL;
    size_t n_allocated = 0, n_bytes;
    tile encoded[1] = {{0}};

    (void)state;
    for (size_t i = 0; i < W / 16 * H / 16 * 5; i++)
        sources[0][i] = 3 * aei_rng_normal(&rng);
    for (size_t i = 0; i < W / 8 * H / 8 * 3; i++)
        sources[1][i] = 3 * aei_rng_normal(&rng);
    for (int pass = 0; pass <= 1 + (int)AEI_CPU_VNNI; pass++) {
        aei_cpu cpu = pass ? (aei_cpu)(pass - 1) : AEI_CPU_SCALAR;
        aei_engine *e;
        aei_walk *walk;
        aei_rans_reader reader;
        aei_rans_writer writer = {0};
        aei_latents latents = {.sources = (const float *const *)sources,
                               .n_channels = n_channels,
                               .visible_w = W,
                               .visible_h = H};
        aei_view picture;

        if (!aei_iconv_kernel_of(cpu))
            continue;
        assert_int_equal(aei_engine_create(load_tiny(), cpu, &e, NULL), AE_OK);
        assert_int_equal(e->n_crossings, 1);
        assert_int_equal(aei_engine_reach(e), 16);
        assert_int_equal(aei_walk_create(e, &walk, NULL), AE_OK);
        aei_walk_quality(walk, 700);
        if (pass) {
            aei_rans_begin(&reader, bytes, n_bytes);
            latents.reader = &reader;
        } else {
            latents.writer = &writer;
        }
        assert_int_equal(aei_walk_entropy(walk, W, H, &latents, NULL), AE_OK);
        if (!pass) {
            encoded[0] = keep(aei_walk_crossing(walk, 0), W / 8, H / 8);
            assert_int_equal(aei_rans_finish(&writer, &bytes, &n_allocated, &n_bytes, NULL), AE_OK);
            assert_int_equal(aei_walk_synthesis(walk, W, H, (aei_rect){0, 0, W, H}, fetch_tile,
                                                encoded, &picture, NULL),
                             AE_OK);
            memcpy(whole, picture.data, (size_t)W * H * picture.pitch * 2);
            assert_int_equal(picture.pitch, 4);
        } else {
            tile decoded = keep(aei_walk_crossing(walk, 0), W / 8, H / 8);

            assert_true(aei_rans_complete(&reader));
            for (int32_t i = 0; i < W / 8 * H / 8; i++)
                assert_memory_equal(decoded.data + i * 4, encoded[0].data + i * 4, 3 * 2);
            for (int k = 0; k < 12; k++) {
                int32_t x = (int32_t)aei_rng_below(&rng, W - 9),
                        y = (int32_t)aei_rng_below(&rng, H - 9);
                aei_rect r = {x, y, x + 1 + (int32_t)aei_rng_below(&rng, (uint32_t)(W - x)),
                              y + 1 + (int32_t)aei_rng_below(&rng, (uint32_t)(H - y))};

                assert_int_equal(
                    aei_walk_synthesis(walk, W, H, r, fetch_tile, &decoded, &picture, NULL), AE_OK);
                for (int32_t j = r.y0; j < r.y1; j++)
                    for (int32_t i = r.x0; i < r.x1; i++)
                        assert_memory_equal(aei_view_at(&picture, i, j), whole + (j * W + i) * 4,
                                            3 * 2);
            }
            ae_free(decoded.data);
        }
        aei_rans_writer_free(&writer);
        aei_walk_free(walk);
        aei_engine_free(e);
    }
    for (int i = 0; i < 2; i++)
        ae_free(sources[i]);
    ae_free(encoded[0].data);
    ae_free(whole);
    ae_free(bytes);
}

/* Latents that fill the ranges well. */
static void fetch_waves(void *context, uint32_t index, const aei_view *to)
{
    (void)context;
    (void)index;
    for (int32_t y = to->rect.y0; y < to->rect.y1; y++)
        for (int32_t x = to->rect.x0; x < to->rect.x1; x++)
            for (uint32_t c = 0; c < to->pitch; c++)
                aei_view_at(to, x, y)[c] = (int16_t)((x * 331 + y * 127 + (int32_t)c * 479) % 500);
}

/* Where the picture is a linear map of latents, its previews are means of 8 x 8 pixels but for
 * rounding, whatever the kernels. */
static void previews_are_means(void **state)
{
    enum { W = 80, H = 48 };
    tiny t = shared;
    double largest = 0;
    aei_program *p, *map;
    ae_error err;

    (void)state;
    assert_int_equal(aei_preview_program(p = load_tiny(), &map, NULL), AE_OK);
    assert_null(map); /* its picture is a product */
    aei_program_free(p);
    /* latents, a convolution, a shuffle, a sum that halves, the picture */
    t.ops[18] = t.ops[20];
    t.ops[18].in[0] = 17;
    t.ops[19] = t.ops[21];
    t.ops[19].in[0] = 18;
    t.ops[20] = t.ops[23];
    t.ops[20].kind = AEI_ADD;
    t.ops[20].n_in = t.ops[20].shift = 1;
    t.ops[20].in[0] = 19;
    t.ops[21] = t.ops[24];
    t.ops[21].in[0] = 20;
    t.n_ops = 22;
    for (aei_cpu cpu = AEI_CPU_SCALAR; cpu <= AEI_CPU_VNNI; cpu++) {
        aei_engine *engines[2];
        aei_walk *walks[2];
        aei_view whole, small;

        if (!aei_iconv_kernel_of(cpu))
            continue;
        if (tiny_load(&t, &p, &err) != AE_OK)
            fail_msg("%s", err.message);
        assert_int_equal(aei_preview_program(p, &map, NULL), AE_OK);
        assert_non_null(map);
        assert_int_equal(map->ops[map->n_ops - 1].shift, 12);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(aei_engine_create(i ? map : p, cpu, &engines[i], NULL), AE_OK);
            assert_int_equal(aei_walk_create(engines[i], &walks[i], NULL), AE_OK);
            aei_walk_quality(walks[i], 700);
        }
        assert_int_equal(aei_engine_reach(engines[1]), 0);
        assert_int_equal(aei_walk_synthesis(walks[0], W, H, (aei_rect){0, 0, W, H}, fetch_waves,
                                            NULL, &whole, NULL),
                         AE_OK);
        assert_int_equal(aei_walk_synthesis(walks[1], W, H, (aei_rect){0, 0, W / 8, H / 8},
                                            fetch_waves, NULL, &small, NULL),
                         AE_OK);
        for (int32_t y = 0; y < H / 8; y++)
            for (int32_t x = 0; x < W / 8; x++)
                for (int c = 0; c < 3; c++) {
                    int32_t sum = 0;

                    for (int32_t i = 0; i < 64; i++)
                        sum += aei_view_at(&whole, 8 * x + i % 8, 8 * y + i / 8)[c];
                    if (!(fabs(aei_view_at(&small, x, y)[c] / 2.0 - sum / 64.0) <= 1))
                        fail_msg("%s: %d,%d: %d is not twice %g", aei_cpu_name(cpu), x, y,
                                 aei_view_at(&small, x, y)[c], sum / 64.0);
                    largest = fmax(largest, fabs(sum / 64.0));
                }
        for (int i = 0; i < 2; i++) {
            aei_walk_free(walks[i]);
            aei_engine_free(engines[i]);
        }
    }
    if (!(largest > 50))
        fail_msg("means up to %g show little", largest);
}

/* What a stored program and stream give must never change, whatever compiled this. */
static void golden(void **state)
{
    static const char expected[] = "1d92b32b9f9789ddadfab83e31c2c8bd";
    FILE *f = fopen(GOLDEN "/operators", "rb");
    uint8_t bytes[8192], digest[16];
    char text[33];
    size_t n = f ? fread(bytes, 1, sizeof(bytes), f) : 0, n_program = aei_load16(bytes);
    aei_program *p;
    aei_rans_reader reader;
    aei_latents latents = {.reader = &reader};
    tile crossings[2];
    int16_t picture[32 * 32];
    aei_view v;

    (void)state;
    if (f)
        fclose(f);
    assert_true(n > 5000 && n < sizeof(bytes));
    for (aei_cpu cpu = AEI_CPU_SCALAR; cpu <= AEI_CPU_VNNI; cpu++) {
        aei_engine *e;
        aei_walk *walk;

        if (!aei_iconv_kernel_of(cpu))
            continue;
        assert_int_equal(aei_program_load(bytes + 2, n_program, &p, NULL), AE_OK);
        assert_int_equal(aei_engine_create(p, cpu, &e, NULL), AE_OK);
        assert_int_equal(aei_walk_create(e, &walk, NULL), AE_OK);
        assert_true(e->n_crossings <= 2);
        aei_walk_quality(walk, 517);
        aei_rans_begin(&reader, bytes + 2 + n_program, n - 2 - n_program);
        assert_int_equal(aei_walk_entropy(walk, 32, 32, &latents, NULL), AE_OK);
        assert_true(aei_rans_complete(&reader));
        for (uint32_t i = 0; i < e->n_crossings; i++) {
            int32_t size = 32 / (int32_t)p->ops[e->crossings[i]].grid;

            crossings[i] = keep(aei_walk_crossing(walk, i), size, size);
        }
        assert_int_equal(aei_walk_synthesis(walk, 32, 32, (aei_rect){0, 0, 32, 32}, fetch_tile,
                                            crossings, &v, NULL),
                         AE_OK);
        for (int32_t y = 0; y < 32; y++)
            for (int32_t x = 0; x < 32; x++)
                picture[32 * y + x] = *aei_view_at(&v, x, y);
        aei_digest(picture, sizeof(picture), digest);
        for (int i = 0; i < 16; i++)
            snprintf(text + 2 * i, 3, "%02x", digest[i]);
        assert_string_equal(text, expected);
        for (uint32_t i = 0; i < e->n_crossings; i++)
            ae_free(crossings[i].data);
        aei_walk_free(walk);
        aei_engine_free(e);
    }
}

/* Distributions move where magnitudes are not what was expected, six an octave at most, and stay
 * where they are. */
static void surprise(void **state)
{
    enum { ONE = AEI_MAGNITUDE_ONE };
    aei_surprise beside = {0}, before = {0}, around = {0};
    int32_t last = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        aei_surprise_add(&beside, 3 * ONE, 3 * ONE);
        aei_surprise_add(&before, 3 * ONE, 3 * ONE);
        around.came = around.expected = 4 * aei_remember(3 * ONE);
        assert_int_equal(aei_surprise_shift(&beside, &before, &around), 0);
    }
    around.came = 4 * aei_remember(12 * ONE);
    assert_in_range(aei_surprise_shift(&beside, &before, &around), 1, 2);
    for (int i = 0; i < 200; i++) {
        aei_surprise_add(&beside, 12 * ONE, 3 * ONE);
        aei_surprise_add(&before, 12 * ONE, 3 * ONE);
        assert_true(aei_surprise_shift(&beside, &before, &around) >= last);
        last = aei_surprise_shift(&beside, &before, &around);
    }
    assert_in_range(last, 11, 12); /* two octaves */
    for (int i = 0; i < 200; i++)
        aei_surprise_add(&beside, AEI_MOST_MAGNITUDE * ONE, 0);
    around.came = 4 * aei_remember(AEI_MOST_MAGNITUDE * ONE);
    assert_int_equal(around.came, 4 * UINT16_MAX);
    assert_true(aei_surprise_shift(&beside, &before, &around) > last);
}

static int setup(void **state)
{
    (void)state;
    return tiny_make(&shared, 1, NULL) != AE_OK;
}

static int teardown(void **state)
{
    (void)state;
    ae_free(shared.starts);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_round_trip),
        cmocka_unit_test(program_rejects),
        cmocka_unit_test(program_overflow),
        cmocka_unit_test(rans_round_trip),
        cmocka_unit_test(rans_tables_fit),
        cmocka_unit_test(kernels_agree),
        cmocka_unit_test(walks_agree),
        cmocka_unit_test(previews_are_means),
        cmocka_unit_test(golden),
        cmocka_unit_test(surprise),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
