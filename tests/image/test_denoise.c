/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tile engine: same bytes for every tile size and thread count, untouched alpha, 16 bits that
 * stay 16 bits, levels as told. */
#include "ae/denoise.h"
#include "picture.h"

/* Strides, skips, dilation and pooling; a field of some 40 pixels and a stride of 8. */
static const char network[] =
    "recipe: 1\nname: tiny\ntask: denoise\nresidual: true\n"
    "networks:\n  - name: net\n    inputs:\n      - {name: image, channels: 3}\n      - {name: "
    "level, channels: 2}\n"
    "    layers:\n      - {op: concat, from: [image, level]}\n      - {op: unshuffle, factor: 2}\n"
    "      - {name: top, op: conv, out: 16, act: relu}\n      - {op: conv, out: 16, kernel: 2, "
    "stride: 2, pad: 0}\n"
    "      - {name: mid, op: residual}\n      - {op: maxpool}\n      - {op: conv, out: 16, "
    "dilation: 2, act: leaky}\n"
    "      - {op: bilinear}\n      - {op: add, from: [previous, mid]}\n      - {op: conv, out: "
    "64}\n"
    "      - {op: shuffle, factor: 2}\n      - {op: add, from: [previous, top]}\n      - {op: "
    "conv, out: 12}\n"
    "      - {op: shuffle, factor: 2}\n";
/* output = 1 * luminance level in red, 10 * chroma level in green, nothing in blue; with a bias of
 * one in `pointwise` */
static const char told[] =
    "recipe: 1\nname: told\ntask: denoise\nresidual: true\nnetworks:\n  - name: net\n    inputs:\n"
    "      - {name: image, channels: 3}\n      - {name: level, channels: 2}\n    layers:\n"
    "      - {op: conv, from: [level], name: mix, kernel: 1, out: 3}\n      - {op: conv, from: "
    "[image], name: none, kernel: 1, "
    "out: 3, init: zero}\n      - {op: add, from: [previous, mix]}\n";
static const char absolute[] = "recipe: 1\nname: absolute\ntask: denoise\nresidual: "
                               "false\nnetworks:\n  - name: net\n    inputs:\n"
                               "      - {name: image, channels: 3}\n    layers:\n      - {op: "
                               "conv, name: same, init: identity}\n";
static const char grey_network[] =
    "recipe: 1\nname: grey\ntask: denoise\nresidual: true\nnetworks:\n  - name: net\n    inputs:\n"
    "      - {name: image, channels: 1}\n    layers:\n      - {op: conv, out: 16, act: relu}\n"
    "      - {op: conv, out: 1}\n";

static float *find_values(const ae_graph *graph, float *values, const char *name)
{
    ae_param *params = NULL;
    uint32_t n;
    size_t n_floats, at = SIZE_MAX;

    assert_int_equal(ae_graph_params(graph, &params, &n, &n_floats, NULL), AE_OK);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(params[i].name, name) == 0)
            at = params[i].offset;
    ae_free(params);
    assert_true(at != SIZE_MAX);
    return values + at;
}

static void tell_levels(const ae_graph *graph, float *values)
{
    static const float weight[] = {1, 0, 0, 10, 0, 0};

    memcpy(find_values(graph, values, "mix.weight"), weight, sizeof(weight));
}

static ae_status denoise(const ae_model *model, picture *p, ae_denoise_options options,
                         ae_error *err)
{
    ae_row_source source = {p->info, p, read_rows};
    ae_row_sink sink = {p, write_rows};

    p->rows_read = p->rows_written = 0;
    memset(p->result, 0xaa, picture_bytes(p));
    return ae_denoise(model, &options, &source, &sink, NULL, err);
}

static const ae_denoise_options plain = {
    .noise = {8, 12, 15}, .strength = 1, .control.threads = 1, .precision = AE_PRECISION_F32};

static void test_tiles_and_threads(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {7, 5}, {33, 65}, {200, 150}, {3, 300}};
    static const uint32_t tiles[] = {32, 40, 64, 1000}, threads[] = {1, 2, 5};
    static const ae_sample samples[] = {AE_U8, AE_U16, AE_F32, AE_U8, AE_U16};
    static const ae_precision precisions[] = {AE_PRECISION_F32, AE_PRECISION_BF16};
    ae_model *model = make_model(network, 3, NULL);

    (void)state;
    for (size_t s = 0; s < 5; s++) {
        picture p = make_picture(sizes[s][0], sizes[s][1], (uint32_t)(4 - s % 4), samples[s]);
        uint8_t *want = ae_alloc(picture_bytes(&p), 1);

        for (size_t k = 0; k < 2; k++) {
            ae_denoise_options options = plain;

            options.precision = precisions[k];
            options.tile = 1 << 20;
            assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
            memcpy(want, p.result, picture_bytes(&p));
            assert_memory_not_equal(want, p.pixels, picture_bytes(&p));
            for (size_t t = 0; t < 12; t++) {
                options.tile = tiles[t % 4];
                options.control.threads = threads[t / 4];
                assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
                assert_int_equal(p.rows_written, p.info.height);
                if (memcmp(want, p.result, picture_bytes(&p)) != 0)
                    fail_msg("%u x %u: tile %u, %u threads differ", sizes[s][0], sizes[s][1],
                             options.tile, options.control.threads);
            }
        }
        ae_free(want);
        free_picture(&p);
    }
    ae_model_free(model);
}

/* The engine against its definition: the network over the whole mirrored picture at once. */
static void test_whole_picture(void **state)
{
    enum { W = 70, H = 50 };
    ae_model *model = make_model(network, 5, NULL);
    picture p = make_picture(W, H, 3, AE_F32);
    ae_denoise_options options = plain;
    const float *in = (const float *)p.pixels, *inputs[2];
    float *image, *level, *outputs[1];
    ae_session *session = NULL;
    uint32_t stride, field, w, h;

    (void)state;
    clip_picture(&p);
    ae_graph_field(ae_model_graph(model), &stride, &field);
    assert_true(stride == 8 && field >= 16 && field % stride == 0);
    w = (W + stride - 1) / stride * stride + 2 * field;
    h = (H + stride - 1) / stride * stride + 2 * field;
    image = ae_alloc((size_t)w * h, 3 * sizeof(float));
    level = ae_alloc((size_t)w * h, 2 * sizeof(float));
    outputs[0] = ae_alloc((size_t)w * h, 3 * sizeof(float));
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            int sx = abs((int)x - (int)field), sy = abs((int)y - (int)field);

            sx = sx < W ? sx : 2 * (W - 1) - sx;
            sy = sy < H ? sy : 2 * (H - 1) - sy;
            memcpy(image + 3 * ((size_t)y * w + x), in + 3 * (abs(sy) * W + abs(sx)),
                   3 * sizeof(float));
            level[2 * ((size_t)y * w + x)] = 8 / 255.0f;
            level[2 * ((size_t)y * w + x) + 1] = 12 / 255.0f;
        }
    inputs[0] = image;
    inputs[1] = level;
    assert_int_equal(ae_session_create(model, 1, h, w, AE_PRECISION_F32, &session, NULL), AE_OK);
    assert_int_equal(ae_session_run(session, inputs, outputs, NULL), AE_OK);
    options.tile = 32;
    options.strength = 0.5f;
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    for (uint32_t y = 0; y < H; y++)
        for (uint32_t x = 0; x < W * 3; x++) {
            float want = in[y * W * 3 + x] +
                         0.5f * outputs[0][((size_t)(y + field) * w + field) * 3 + x];

            assert_true(((const float *)p.result)[y * W * 3 + x] == want);
        }
    ae_session_free(session);
    ae_free(image);
    ae_free(level);
    ae_free(outputs[0]);
    free_picture(&p);
    ae_model_free(model);
}

static void test_strength_zero(void **state)
{
    ae_model *model = make_model(network, 3, NULL);
    ae_denoise_options options = plain;

    (void)state;
    options.strength = 0;
    for (uint32_t c = 1; c <= 4; c++)
        for (ae_sample s = AE_U8; s <= AE_F32; s = s == AE_U8    ? AE_U16
                                                   : s == AE_U16 ? AE_F32
                                                                 : s + 1) {
            picture p = make_picture(61, 83, c, s);

            if (s == AE_F32)
                ((float *)p.pixels)[17] = NAN;
            assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
            assert_memory_equal(p.pixels, p.result, picture_bytes(&p));
            free_picture(&p);
        }
    options.strength = 1.5f;
    {
        picture p = make_picture(8, 8, 3, AE_U8);

        assert_int_equal(denoise(model, &p, options, NULL), AE_ERR_ARGUMENT);
        options.strength = NAN;
        assert_int_equal(denoise(model, &p, options, NULL), AE_ERR_ARGUMENT);
        free_picture(&p);
    }
    ae_model_free(model);
}

static void test_levels_and_alpha(void **state)
{
    ae_model *model = make_model(told, 1, tell_levels);
    ae_denoise_options options = plain;
    picture p = make_picture(45, 37, 4, AE_U16);
    uint16_t *in = (uint16_t *)p.pixels, *out = (uint16_t *)p.result;

    (void)state;
    for (size_t i = 0; i < 45 * 37; i += 3) /* not grey, where it is black or white */
        in[4 * i] ^= 1;
    options.noise = (ae_noise){.luminance = 3, .chroma = 0.5f, .white = 99};
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    for (size_t i = 0; i < 45 * 37; i++) {
        long red = in[4 * i] + 3 * 257, green = in[4 * i + 1] + 5 * 257;

        assert_true(labs(out[4 * i] - (red < 65535 ? red : 65535)) <= 1);
        assert_true(labs(out[4 * i + 1] - (green < 65535 ? green : 65535)) <= 1);
        assert_int_equal(out[4 * i + 2], in[4 * i + 2]);
        assert_int_equal(out[4 * i + 3], in[4 * i + 3]);
    }
    free_picture(&p);

    /* a grey picture takes the mean of the three corrections */
    p = make_picture(45, 37, 2, AE_F32);
    clip_picture(&p);
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    for (size_t i = 0; i < 45 * 37; i++) {
        assert_true(fabsf(((float *)p.result)[2 * i] - ((float *)p.pixels)[2 * i] - 8 / 765.0f) <=
                    1e-6f);
        assert_true(((float *)p.result)[2 * i + 1] == ((float *)p.pixels)[2 * i + 1]);
    }
    free_picture(&p);
    ae_model_free(model);
}

/* Levels that follow the brightness depend on no tile; where none is told nothing changes, and
 * elsewhere no more than the bound. */
static void test_curve_and_bound(void **state)
{
    static const char head[] =
        "recipe: 1\nname: bounded\ntask: denoise\nresidual: true\nbound: 2\nnetworks:\n"
        "  - name: net\n    inputs:\n"
        "      - {name: image, channels: 3}\n      - {name: level, channels: 2}\n    layers:\n"
        "      - {op: concat, from: [image, level]}\n      - {op: conv, out: 12, act: relu}\n"
        "      - {op: conv, out: 3, kernel: 5}\n";
    ae_model *model = make_model(head, 7, NULL);
    picture p = make_picture(203, 171, 3, AE_U8);
    ae_denoise_options options = plain;
    uint8_t *whole = malloc(picture_bytes(&p));
    int most = 0;

    (void)state;
    options.noise = (ae_noise){.n_bins = AE_NOISE_BINS};
    for (int b = AE_NOISE_BINS / 2; b < AE_NOISE_BINS; b++)
        options.noise.luminance_at[b] = options.noise.chroma_at[b] = (float)(b - AE_NOISE_BINS / 2);
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    memcpy(whole, p.result, picture_bytes(&p));
    for (size_t i = 0; i < picture_bytes(&p); i++)
        most = abs(whole[i] - p.pixels[i]) > most ? abs(whole[i] - p.pixels[i]) : most;
    assert_true(most > 2 &&
                most <= 1 + 2 * sqrt(5 / 3.0) * (AE_NOISE_BINS - 1 - AE_NOISE_BINS / 2));
    options.tile = 48;
    options.control.threads = 2;
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    assert_memory_equal(whole, p.result, picture_bytes(&p));
    for (int b = 0; b < AE_NOISE_BINS; b++)
        options.noise.luminance_at[b] = options.noise.chroma_at[b] = 0;
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    assert_memory_equal(p.pixels, p.result, picture_bytes(&p));
    free(whole);
    free_picture(&p);
    ae_model_free(model);
}

/* Equal channels in, equal channels out, whatever the network and the tiles; not where they are
 * equal by accident. */
static void test_equal_channels(void **state)
{
    static const char head[] =
        "recipe: 1\nname: tint\ntask: denoise\nresidual: true\nnetworks:\n"
        "  - name: net\n    inputs:\n      - {name: image, channels: 3}\n    layers:\n"
        "      - {op: conv, out: 12, act: relu}\n      - {op: conv, out: 3, kernel: 7}\n";
    ae_model *model = make_model(head, 9, NULL);
    picture p = make_picture(203, 90, 3, AE_U8);
    ae_denoise_options options = plain;
    uint8_t *whole = malloc(picture_bytes(&p));
    size_t tinted = 0;

    (void)state;
    for (size_t i = 0; i < 203 * 90; i++)
        if (i % 203 < 100 || i % 1000 == 0)
            p.pixels[3 * i + 1] = p.pixels[3 * i + 2] = p.pixels[3 * i];
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    for (size_t i = 0; i < 203 * 90; i++) {
        const uint8_t *v = p.result + 3 * i;

        if (i % 203 < 96)
            assert_true(v[0] == v[1] && v[1] == v[2]);
        else
            tinted += v[0] != v[1] || v[1] != v[2];
    }
    assert_true(tinted > 100 * 90);
    memcpy(whole, p.result, picture_bytes(&p));
    options.tile = 48;
    options.control.threads = 2;
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    assert_memory_equal(whole, p.result, picture_bytes(&p));
    free(whole);
    free_picture(&p);
    ae_model_free(model);
}

static void shout(const ae_graph *graph, float *values)
{
    static const float weight[] = {100, -100, 100};

    memcpy(find_values(graph, values, "mix.weight"), weight, sizeof(weight));
}

/* What learned white noise without a bound is held to four deviations. */
static void test_default_bound(void **state)
{
    static const char head[] =
        "recipe: 1\nname: free\ntask: denoise\nresidual: true\nnetworks:\n  - name: net\n    "
        "inputs:\n"
        "      - {name: image, channels: 3}\n      - {name: level, channels: 1}\n    layers:\n"
        "      - {op: conv, from: [level], name: mix, kernel: 1, out: 3}\n"
        "corruption:\n  - {kind: gaussian, sigma: [0, 50]}\n";
    ae_model *model = make_model(head, 1, shout);
    picture p = make_picture(61, 40, 3, AE_U16);
    ae_denoise_options options = plain;
    float most = 0;

    (void)state;
    options.noise = (ae_noise){.white = 10};
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    for (size_t i = 0; i < 61 * 40 * 3; i++)
        most = fmaxf(most, fabsf(((uint16_t *)p.result)[i] / 65535.0f -
                                 ((uint16_t *)p.pixels)[i] / 65535.0f));
    assert_true(fabsf(most - 40 / 255.0f) < 1e-3f);
    free_picture(&p);
    ae_model_free(model);
}

static void test_absolute_and_grey_models(void **state)
{
    ae_model *model = make_model(absolute, 1, NULL);
    ae_denoise_options options = plain;
    picture p = make_picture(90, 70, 3, AE_U16), single;

    (void)state;
    options.tile = 40;
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    for (size_t i = 0; i < 90 * 70 * 3; i++)
        assert_true(abs(((uint16_t *)p.result)[i] - ((uint16_t *)p.pixels)[i]) <= 1);
    free_picture(&p);
    ae_model_free(model);

    /* colour through a network for grey: each channel as if it were a grey picture */
    model = make_model(grey_network, 2, NULL);
    p = make_picture(90, 70, 3, AE_U8);
    single = make_picture(90, 70, 1, AE_U8);
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 90 * 70; i++)
            single.pixels[i] = p.pixels[3 * i + c];
        assert_int_equal(denoise(model, &single, options, NULL), AE_OK);
        for (int i = 0; i < 90 * 70; i++)
            assert_int_equal(single.result[i], p.result[3 * i + c]);
    }
    free_picture(&single);
    free_picture(&p);
    ae_model_free(model);
}

static int compare_u16(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* A ramp of 16 bits through a network whose arithmetic is bf16 keeps its levels, since only the
 * correction passes through it. */
static void test_sixteen_bits(void **state)
{
    enum { W = 256, H = 64 };
    ae_model *model = make_model(network, 9, NULL);
    picture p = make_picture(W, H, 1, AE_U16);
    uint16_t *in = (uint16_t *)p.pixels, *out = (uint16_t *)p.result;
    size_t levels = 1;
    ae_denoise_options options = plain;

    (void)state;
    options.precision = AE_PRECISION_BF16;
    options.strength = 0.01f;
    for (size_t i = 0; i < W * H; i++)
        in[i] = (uint16_t)(8192 + i * 3);
    assert_int_equal(denoise(model, &p, options, NULL), AE_OK);
    qsort(out, W * H, sizeof(*out), compare_u16);
    for (size_t i = 1; i < W * H; i++)
        levels += out[i] != out[i - 1];
    assert_true(levels > W * H * 3 / 4);
    free_picture(&p);
    ae_model_free(model);
}

/* One bad pixel of a float picture spoils nothing but itself. */
static void test_not_a_number(void **state)
{
    ae_model *model = make_model(network, 3, NULL);
    picture p = make_picture(64, 64, 3, AE_F32);
    float *in = (float *)p.pixels, *out = (float *)p.result;

    (void)state;
    in[3 * (20 * 64 + 30)] = NAN;
    in[3 * (40 * 64 + 30)] = INFINITY;
    assert_int_equal(denoise(model, &p, plain, NULL), AE_OK);
    for (size_t i = 0; i < 64 * 64 * 3; i++)
        if (i != 3 * (20 * 64 + 30) && i != 3 * (40 * 64 + 30))
            assert_true(isfinite(out[i]));
    free_picture(&p);
    ae_model_free(model);
}

/* Light beyond white, and below black: away from it little changes, whatever its strength; and it
 * stays what it is but for a share of itself. A share of pixels that are far brighter would do the
 * same to a picture that networks see as it is. */
static void test_lamps(void **state)
{
    static const float lamps[] = {1.5f, 16, 1e4f, 1e30f, -3, -1e6f, INFINITY};
    enum { W = 90, H = 60, AT = 24, SIZE = 8 };

    (void)state;
    for (size_t k = 0; k < sizeof(lamps) / sizeof(lamps[0]); k++) {
        ae_model *model = make_model(network, 5, NULL);
        picture dark = make_picture(W, H, 3, AE_F32), lit = make_picture(W, H, 3, AE_F32);
        float *in = (float *)lit.pixels;
        const float *a = (const float *)dark.result, *b = (const float *)lit.result;

        clip_picture(&dark);
        clip_picture(&lit);
        for (int y = AT; y < AT + SIZE; y++)
            for (int i = 3 * AT; i < 3 * (AT + SIZE); i++) {
                in[y * W * 3 + i] = lamps[k];
                ((float *)dark.pixels)[y * W * 3 + i] = lamps[k] > 0 ? 1 : 0;
            }
        assert_int_equal(denoise(model, &dark, plain, NULL), AE_OK);
        assert_int_equal(denoise(model, &lit, plain, NULL), AE_OK);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                for (int c = 0; c < 3; c++) {
                    size_t i = ((size_t)y * W + (size_t)x) * 3 + (size_t)c;
                    bool lamp = y >= AT && y < AT + SIZE && x >= AT && x < AT + SIZE;

                    if (lamp && isinf(lamps[k]))
                        assert_true(b[i] == lamps[k]);
                    else if (lamp)
                        assert_true(fabsf(b[i] / lamps[k] - 1) < 0.4f);
                    else
                        assert_true(fabsf(a[i] - b[i]) < 1.5f);
                }
        free_picture(&dark);
        free_picture(&lit);
        ae_model_free(model);
    }
}

static void test_failures(void **state)
{
    ae_model *model = make_model(network, 3, NULL);
    picture p = make_picture(100, 200, 3, AE_U8);
    ae_denoise_options options = plain;
    ae_cancel cancel = {1};
    ae_error err;

    (void)state;
    options.tile = 32;
    for (options.control.threads = 1; options.control.threads <= 3; options.control.threads++) {
        p.fail_read_at = 120;
        assert_int_equal(denoise(model, &p, options, &err), AE_ERR_MALFORMED);
        assert_string_equal(err.message, "damaged in row 120");
        p.fail_read_at = 0;
        p.fail_write_at = 40;
        assert_int_equal(denoise(model, &p, options, &err), AE_ERR_IO);
        assert_string_equal(err.message, "disk full");
        p.fail_write_at = 0;
    }
    options.control.threads = 2;
    for (uint64_t n = 1; n < 200; n++) {
        ae_status st;

        ae_alloc_fail_at(n);
        st = denoise(model, &p, options, &err);
        ae_alloc_fail_at(0);
        if (st == AE_OK)
            break;
        assert_int_equal(st, AE_ERR_NOMEM);
        assert_true(n < 199);
    }
    options.control.cancel = &cancel;
    assert_int_equal(denoise(model, &p, options, &err), AE_ERR_CANCELLED);
    options.control.cancel = NULL;
    p.info.sample = AE_S32;
    p.info.width = 25; /* the same bytes */
    assert_int_equal(denoise(model, &p, options, &err), AE_ERR_UNSUPPORTED);
    p.info.sample = AE_U8;
    p.info.width = 100;
    p.info.height = 0;
    assert_int_equal(denoise(model, &p, options, &err), AE_ERR_ARGUMENT);
    p.info.height = 200;
    free_picture(&p);
    ae_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles_and_threads),
        cmocka_unit_test(test_whole_picture),
        cmocka_unit_test(test_strength_zero),
        cmocka_unit_test(test_levels_and_alpha),
        cmocka_unit_test(test_curve_and_bound),
        cmocka_unit_test(test_default_bound),
        cmocka_unit_test(test_equal_channels),
        cmocka_unit_test(test_absolute_and_grey_models),
        cmocka_unit_test(test_sixteen_bits),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_lamps),
        cmocka_unit_test(test_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
