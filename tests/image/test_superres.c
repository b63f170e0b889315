/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Enlarging: same bytes for every tile size and thread count, the base as defined, alpha without
 * fringes, 16 bits that stay 16 bits. */
#include "picture.h"

#include "ae/superres.h"
#include "image/resize.h"

#define RECIPE(name, scale, inputs, first, channels)                                               \
    "recipe: 1\nname: " name "\ntask: superres\nresidual: true\nscale: " scale                     \
    "\nnetworks:\n  - name: net\n    inputs:\n"                                                    \
    "      - {name: image, channels: " channels "}\n" inputs "    layers:\n" first                 \
    "      - {name: top, op: conv, out: 16, act: relu}\n      - {op: conv, out: 16, kernel: 2, "   \
    "stride: 2, pad: 0}\n"                                                                         \
    "      - {op: residual}\n      - {op: conv, out: 64, kernel: 1}\n      - {op: shuffle}\n     " \
    " - {op: add, from: [previous, "                                                               \
    "top]}\n"
#define LEVEL "      - {name: level, channels: 1}\n"
#define TOLD "      - {op: concat, from: [image, level]}\n"
#define END(out, scale, init)                                                                      \
    "      - {name: detail, op: conv, out: " out init "}\n      - {op: shuffle, factor: " scale    \
    "}\n"

static const char x2[] = RECIPE("x2", "2", LEVEL, TOLD, "3")
    END("12", "2", "") "data: {strength: [0, 1]}\n";
static const char x3[] = RECIPE("x3", "3", "", "", "3") END("27", "3", "");
static const char x4[] = RECIPE("x4", "4", "", "", "3") END("48", "4", "");
static const char grey_x2[] = RECIPE("grey-x2", "2", "", "", "1") END("4", "2", "");
/* nothing but the bicubic base */
static const char plain_x2[] = RECIPE("plain-x2", "2", "", "", "3") END("12", "2", ", init: zero");
static const char plain_x3[] = RECIPE("plain-x3", "3", "", "", "3") END("27", "3", ", init: zero");
static const char denoiser[] =
    "recipe: 1\nname: denoiser\ntask: denoise\nnetworks:\n  - name: net\n    inputs:\n"
    "      - {name: image, channels: 3}\n    layers:\n      - {op: conv}\n";
static const char fixed[] =
    "recipe: 1\nname: fixed\ntask: superres\nscale: 2\nnetworks:\n  - name: net\n    inputs:\n"
    "      - {name: image, channels: 3, width: 20, height: 20}\n    layers:\n      - {op: conv, "
    "out: 12}\n"
    "      - {op: shuffle}\n";

static ae_status enlarge(const ae_model *model, picture *p, ae_superres_options options,
                         ae_error *err)
{
    ae_row_source source = {p->info, p, read_rows};
    ae_row_sink sink = {p, write_rows};

    p->rows_read = p->rows_written = 0;
    memset(p->result, 0xaa, p->out.height * ae_row_bytes(&p->out));
    return ae_superres(model, &options, &source, &sink, NULL, err);
}

static const ae_superres_options plain = {
    .denoise = 0.7f, .control.threads = 1, .precision = AE_PRECISION_F32};

static void test_tiles_and_threads(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {7, 5}, {33, 65}, {90, 70}, {3, 100}};
    static const uint32_t tiles[] = {32, 40, 1000}, threads[] = {1, 2, 5};
    static const ae_sample samples[] = {AE_U8, AE_U16, AE_F32, AE_U8, AE_U16};
    static const double factors[] = {0, 1.5, 0, 3.3, 0};
    static const char *const recipes[] = {x2, x3, x4, x4, grey_x2};

    (void)state;
    for (size_t s = 0; s < 20; s++) {
        uint32_t scale = (uint32_t)(recipes[s % 5] == x3 ? 3 : recipes[s % 5] == x4 ? 4 : 2);
        ae_model *model = make_model(recipes[s % 5], 3, NULL);
        picture p = make_scaled_picture(sizes[s / 4][0], sizes[s / 4][1], (uint32_t)(4 - s % 4),
                                        samples[s % 5], scale);
        ae_superres_options options = plain;
        uint8_t *want;
        size_t bytes;

        options.factor = factors[s % 5];
        options.precision = s % 2 ? AE_PRECISION_BF16 : AE_PRECISION_F32;
        if (options.factor != 0)
            assert_int_equal(ae_superres_result(&p.info, options.factor, NULL, &p.out, NULL),
                             AE_OK);
        bytes = p.out.height * ae_row_bytes(&p.out);
        want = ae_alloc(bytes, 1);
        options.tile = 1 << 20;
        assert_int_equal(enlarge(model, &p, options, NULL), AE_OK);
        memcpy(want, p.result, bytes);
        for (size_t t = 0; t < 9; t++) {
            options.tile = tiles[t % 3];
            options.control.threads = threads[t / 3];
            assert_int_equal(enlarge(model, &p, options, NULL), AE_OK);
            assert_int_equal(p.rows_written, p.out.height);
            if (memcmp(want, p.result, bytes) != 0)
                fail_msg("%llu x %llu: tile %u, %u threads differ",
                         (unsigned long long)p.info.width, (unsigned long long)p.info.height,
                         options.tile, options.control.threads);
        }
        ae_free(want);
        free_picture(&p);
        ae_model_free(model);
    }
}

static int reflect(int i, int n)
{
    i = abs(i);
    return i < n ? i : 2 * (n - 1) - i;
}

static float cubic(float x)
{
    x = fabsf(x);
    return x <= 1  ? (1.5f * x - 2.5f) * x * x + 1
           : x < 2 ? ((-0.5f * x + 2.5f) * x - 4) * x + 2
                   : 0;
}

/* The bicubic enlargement of channel c at (y, x), by definition. */
static float base_at(const float *in, int w, int h, int channels, int scale, int y, int x, int c)
{
    float v = ((float)y + 0.5f) / (float)scale - 0.5f, u = ((float)x + 0.5f) / (float)scale - 0.5f,
          sum = 0;

    for (int i = (int)floorf(v) - 1; i <= (int)floorf(v) + 2; i++)
        for (int k = (int)floorf(u) - 1; k <= (int)floorf(u) + 2; k++)
            sum += cubic(v - (float)i) * cubic(u - (float)k) *
                   in[(reflect(i, h) * w + reflect(k, w)) * channels + c];
    return sum;
}

/* What results there may be at pixel y, x of the small picture. */
static void range_at(const float *in, int w, int h, int y, int x, int c, float *low, float *high)
{
    float least = 1, most = 0;

    for (int i = 0; i < 25; i++) {
        float v = in[(reflect(y + i / 5 - 2, h) * w + reflect(x + i % 5 - 2, w)) * 3 + c];

        least = fminf(least, v);
        most = fmaxf(most, v);
    }
    *low = least - (most - least) / 2;
    *high = most + (most - least) / 2;
}

/* What `large`, made small by two, lacks of `in`, w x h pixels of three channels. */
static float *lack_of(const float *in, int w, int h, const float *large)
{
    uint32_t n = (uint32_t)w, m = (uint32_t)h;
    float *lack = ae_alloc((size_t)w * (size_t)h, 3 * sizeof(float));
    void *scratch = ae_alloc(aei_resize_scratch(2 * m, 2 * n, 3, m, n), 1);

    aei_resize(AE_BICUBIC, large, 2 * m, 2 * n, 3, lack, m, n, scratch);
    for (int i = 0; i < 3 * w * h; i++)
        lack[i] = in[i] - lack[i];
    ae_free(scratch);
    return lack;
}

/* The engine against its definition: the network over the whole mirrored picture at once, added to
 * the bicubic enlargement; then what that lacks, enlarged, of noise 3.2 half of what channels share
 * and an 82nd of the rest. */
static void test_whole_picture(void **state)
{
    enum { W = 45, H = 38 };
    ae_model *model = make_model(x2, 5, NULL);
    picture p = make_scaled_picture(W, H, 3, AE_F32, 2);
    ae_superres_options options = plain;
    const float *in = (const float *)p.pixels, *inputs[2];
    float *image, *level, *outputs[1];
    float *want = ae_alloc(4 * W * H, 3 * sizeof(float)),
          *more = ae_alloc(4 * W * H, 3 * sizeof(float));
    void *scratch = ae_alloc(aei_resize_scratch(H, W, 3, 2 * H, 2 * W), 1);
    ae_session *session = NULL;
    uint32_t stride, field, w, h;

    (void)state;
    clip_picture(&p);
    ae_graph_field(ae_model_graph(model), &stride, &field);
    w = W + 1 + 2 * field;
    h = H + 2 * field;
    image = ae_alloc((size_t)w * h, 3 * sizeof(float));
    level = ae_alloc((size_t)w * h, sizeof(float));
    outputs[0] = ae_alloc((size_t)w * h, 12 * sizeof(float));
    for (int y = 0; y < (int)h; y++)
        for (int x = 0; x < (int)w; x++) {
            memcpy(image + 3 * (y * (int)w + x),
                   in + 3 * (reflect(y - (int)field, H) * W + reflect(x - (int)field, W)),
                   3 * sizeof(float));
            level[y * (int)w + x] = options.denoise;
        }
    inputs[0] = image;
    inputs[1] = level;
    assert_int_equal(ae_session_create(model, 1, h, w, AE_PRECISION_F32, &session, NULL), AE_OK);
    assert_int_equal(ae_session_run(session, inputs, outputs, NULL), AE_OK);
    options.tile = 32;
    for (int noisy = 0; noisy <= 1; noisy++) {
        float *lack;

        for (int i = 0; i < 12 * W * H; i++) {
            int y = i / 3 / (2 * W), x = i / 3 % (2 * W), c = i % 3;
            float low, high;

            range_at(in, W, H, y / 2, x / 2, c, &low, &high);
            want[i] = base_at(in, W, H, 3, 2, y, x, c) +
                      outputs[0][((y + 2 * (int)field) * 2 * (int)w + x + 2 * (int)field) * 3 + c];
            want[i] = fminf(fmaxf(want[i], low), high);
        }
        lack = lack_of(in, W, H, want);
        for (int i = 0; i < W * H && noisy; i++) {
            float *v = lack + 3 * i, mean = (v[0] + v[1] + v[2]) / 3;

            for (int c = 0; c < 3; c++)
                v[c] = mean / 2 + (v[c] - mean) / 82;
        }
        aei_resize(AE_BICUBIC, lack, H, W, 3, more, 2 * H, 2 * W, scratch);
        options.noise = noisy ? 3.2f / options.denoise : 0;
        assert_int_equal(enlarge(model, &p, options, NULL), AE_OK);
        for (int i = 0; i < 12 * W * H; i++) {
            float low, high;

            range_at(in, W, H, i / 3 / (2 * W) / 2, i / 3 % (2 * W) / 2, i % 3, &low, &high);
            assert_true(fabsf(((float *)p.result)[i] -
                              fminf(fmaxf(want[i] + more[i], low), high)) <= 4e-5f);
        }
        ae_free(lack);
    }
    ae_session_free(session);
    ae_free(image);
    ae_free(level);
    ae_free(outputs[0]);
    ae_free(want);
    ae_free(more);
    ae_free(scratch);
    free_picture(&p);
    ae_model_free(model);
}

/* Made small again the result agrees with the picture, the less the noisier that is, and wholly
 * where nothing is to be removed. */
static void test_agreement(void **state)
{
    static const float noises[] = {0, 2, 4, 1e6f}, shares[] = {0.3f, 0.85f, 0.99f, 1.001f};
    enum { W = 60, H = 50 };
    ae_model *model = make_model(x2, 5, NULL);
    picture p = make_scaled_picture(W, H, 3, AE_F32, 2);
    ae_superres_options options = plain;
    double lacks[4] = {0};

    (void)state;
    clip_picture(&p);
    options.denoise = 1;
    for (int k = 3; k >= 0; k--) {
        float *lack;

        options.noise = noises[k];
        assert_int_equal(enlarge(model, &p, options, NULL), AE_OK);
        lack = lack_of((float *)p.pixels, W, H, (float *)p.result);
        for (int i = 0; i < 3 * W * H; i++)
            lacks[k] += (double)lack[i] * (double)lack[i];
        ae_free(lack);
        if (!(lacks[k] <= (double)shares[k] * lacks[3]) || (k < 3 && !(lacks[k] < lacks[k + 1])))
            fail_msg("noise %g: lacks %g, wholly noisy %g", (double)noises[k], lacks[k], lacks[3]);
    }
    free_picture(&p);
    ae_model_free(model);
}

static void test_denoise_is_told(void **state)
{
    ae_model *model = make_model(x2, 5, NULL);
    picture p = make_scaled_picture(20, 20, 3, AE_F32, 2);
    ae_superres_options options = plain;
    float first;

    (void)state;
    assert_int_equal(enlarge(model, &p, options, NULL), AE_OK);
    first = ((float *)p.result)[0];
    options.denoise = 0;
    assert_int_equal(enlarge(model, &p, options, NULL), AE_OK);
    assert_true(((float *)p.result)[0] != first);
    free_picture(&p);
    ae_model_free(model);
}

/* One channel through three planes, and three through one. */
static void test_grey(void **state)
{
    enum { W = 50, H = 40 };
    ae_model *model = make_model(x3, 2, NULL);
    picture grey = make_scaled_picture(W, H, 1, AE_F32, 4),
            colour = make_scaled_picture(W, H, 3, AE_F32, 4);

    (void)state;
    for (int i = 0; i < W * H * 3; i++)
        ((float *)colour.pixels)[i] = ((float *)grey.pixels)[i / 3];
    grey.out.width = colour.out.width = 3 * W;
    grey.out.height = colour.out.height = 3 * H;
    assert_int_equal(enlarge(model, &grey, plain, NULL), AE_OK);
    assert_int_equal(enlarge(model, &colour, plain, NULL), AE_OK);
    for (int i = 0; i < 9 * W * H; i++) {
        const float *v = (float *)colour.result + 3 * i;

        assert_true(v[0] == v[1] && v[1] == v[2]);
        assert_true(fabsf(((float *)grey.result)[i] - v[0]) <= 1e-5f);
    }
    ae_model_free(model);

    model = make_model(grey_x2, 2, NULL);
    grey.out.width = colour.out.width = 2 * W;
    grey.out.height = colour.out.height = 2 * H;
    for (int i = 0; i < W * H; i++)
        ((float *)colour.pixels)[3 * i + 1] = 0.3f;
    assert_int_equal(enlarge(model, &grey, plain, NULL), AE_OK);
    assert_int_equal(enlarge(model, &colour, plain, NULL), AE_OK);
    for (int i = 0; i < 4 * W * H; i++) {
        assert_true(((float *)grey.result)[i] == ((float *)colour.result)[3 * i]);
        assert_true(((float *)grey.result)[i] == ((float *)colour.result)[3 * i + 2]);
    }
    free_picture(&grey);
    free_picture(&colour);
    ae_model_free(model);
}

/* A red disc, its rim half transparent, on green that nobody sees. */
static picture make_disc(uint32_t size, uint32_t scale, uint8_t hidden)
{
    picture p = make_scaled_picture(size, size, 4, AE_U8, scale);

    for (uint32_t i = 0; i < size * size; i++) {
        float y = (float)(i / size) - 0.5f * (float)size,
              x = (float)(i % size) - 0.5f * (float)size;
        float alpha = fminf(fmaxf(0.35f * (float)size - sqrtf(y * y + x * x), 0), 1);
        uint8_t *v = p.pixels + 4 * i;

        v[0] = alpha > 0 ? 255 : 0;
        v[1] = alpha > 0 ? 0 : hidden;
        v[2] = 0;
        v[3] = (uint8_t)lrintf(alpha * 255);
        if (!v[3]) {
            v[0] = 0;
            v[1] = hidden;
        }
    }
    return p;
}

static void test_alpha(void **state)
{
    ae_model *model = make_model(plain_x3, 1, NULL), *some = make_model(x4, 1, NULL);
    picture p = make_disc(60, 3, 255), a = make_disc(60, 4, 255), b = make_disc(60, 4, 7),
            rgb = make_scaled_picture(60, 60, 3, AE_U8, 4);
    float alpha[60 * 60];
    size_t clear = 0, half = 0;

    (void)state;
    for (int i = 0; i < 3600; i++)
        alpha[i] = (float)p.pixels[4 * i + 3] / 255;
    assert_int_equal(enlarge(model, &p, plain, NULL), AE_OK);
    for (int i = 0; i < 180 * 180; i++) {
        const uint8_t *v = p.result + 4 * i;
        float want = base_at(alpha, 60, 60, 1, 3, i / 180, i % 180, 0);

        clear += !v[3];
        half += v[3] > 0 && v[3] < 255;
        assert_true(fabsf(fminf(fmaxf(want, 0), 1) * 255 - v[3]) <= 0.51f);
        if (v[3] > 0 && (v[0] < 254 || v[1] > 1 || v[2] > 1))
            fail_msg("pixel %d is %u %u %u at alpha %u", i, v[0], v[1], v[2], v[3]);
    }
    assert_true(clear > 1000 && half > 200);

    /* what is hidden has no influence, whatever the network */
    assert_int_equal(enlarge(some, &a, plain, NULL), AE_OK);
    assert_int_equal(enlarge(some, &b, plain, NULL), AE_OK);
    assert_memory_equal(a.result, b.result, 240 * 240 * 4);

    /* opaque pictures are as without alpha */
    for (int i = 0; i < 3600; i++) {
        a.pixels[4 * i + 3] = 255;
        memcpy(rgb.pixels + 3 * i, a.pixels + 4 * i, 3);
    }
    assert_int_equal(enlarge(some, &a, plain, NULL), AE_OK);
    assert_int_equal(enlarge(some, &rgb, plain, NULL), AE_OK);
    for (int i = 0; i < 240 * 240; i++) {
        assert_memory_equal(a.result + 4 * i, rgb.result + 3 * i, 3);
        assert_int_equal(a.result[4 * i + 3], 255);
    }
    free_picture(&p);
    free_picture(&a);
    free_picture(&b);
    free_picture(&rgb);
    ae_model_free(model);
    ae_model_free(some);
}

/* A fine ramp of 16 bits keeps being one. */
static void test_sixteen_bits(void **state)
{
    enum { W = 64, H = 40 };
    ae_model *model = make_model(plain_x2, 9, NULL);
    picture p = make_scaled_picture(W, H, 1, AE_U16, 2);
    ae_superres_options options = plain;
    const uint16_t *out = (const uint16_t *)p.result;

    (void)state;
    options.precision = AE_PRECISION_BF16;
    for (int i = 0; i < W * H; i++)
        ((uint16_t *)p.pixels)[i] = (uint16_t)(30000 + 4 * (i % W));
    assert_int_equal(enlarge(model, &p, options, NULL), AE_OK);
    for (int x = 4; x < 2 * W - 4; x++)
        assert_true(abs(out[20 * 2 * W + x] - (30000 + 2 * x - 1)) <= 1);
    free_picture(&p);
    ae_model_free(model);
}

static void test_not_a_number(void **state)
{
    ae_model *model = make_model(x2, 9, NULL);
    picture p = make_scaled_picture(80, 60, 4, AE_F32, 2);

    (void)state;
    ((float *)p.pixels)[(30 * 80 + 40) * 4] = NAN;
    ((float *)p.pixels)[(35 * 80 + 20) * 4 + 3] = INFINITY;
    assert_int_equal(enlarge(model, &p, plain, NULL), AE_OK);
    for (size_t i = 0; i < 4 * 80 * 60 * 4; i++)
        assert_true(isfinite(((float *)p.result)[i]));
    free_picture(&p);
    ae_model_free(model);
}

/* Row by row as the whole at once, however the rows come. */
static void test_rescaler(void **state)
{
    static const uint32_t sizes[][4] = {
        {40, 30, 27, 55}, {40, 30, 80, 60}, {9, 7, 3, 2}, {1, 1, 5, 4}, {64, 48, 48, 36}};
    enum { MOST = 80 * 60 * 3 };

    (void)state;
    for (size_t s = 0; s < 5; s++)
        for (ae_filter filter = AE_BICUBIC; filter <= AE_BILINEAR; filter++)
            for (uint32_t band = 1; band < 40; band += 13) {
                uint32_t w = sizes[s][0], h = sizes[s][1], to_w = sizes[s][2], to_h = sizes[s][3];
                picture p = make_scaled_picture(w, h, 3, AE_F32, 10);
                ae_row_sink sink = {&p, write_rows};
                ae_rescaler *r = NULL;
                float *want = ae_alloc(MOST, sizeof(*want));
                void *scratch = ae_alloc(aei_resize_scratch(h, w, 3, to_h, to_w), 1);

                p.out.width = to_w;
                p.out.height = to_h;
                aei_resize(filter, (float *)p.pixels, h, w, 3, want, to_h, to_w, scratch);
                assert_int_equal(ae_rescaler_create(filter, &p.info, &p.out, &sink, &r, NULL),
                                 AE_OK);
                for (uint32_t y = 0; y < h; y += band)
                    assert_int_equal(ae_rescaler_write(r, (float *)p.pixels + y * w * 3,
                                                       y + band < h ? band : h - y, NULL),
                                     AE_OK);
                assert_int_equal(p.rows_written, to_h);
                for (size_t i = 0; i < (size_t)to_w * to_h * 3; i++)
                    assert_true(fabsf(((float *)p.result)[i] - want[i]) <= 2e-6f);
                assert_int_equal(ae_rescaler_write(r, p.pixels, 1, NULL), AE_ERR_ARGUMENT);
                ae_rescaler_free(r);
                ae_free(want);
                ae_free(scratch);
                free_picture(&p);
            }
}

static void test_rescaled_alpha(void **state)
{
    picture p = make_disc(60, 2, 255);
    ae_row_sink sink = {&p, write_rows};
    ae_rescaler *r = NULL;

    (void)state;
    p.out.width = p.out.height = 41;
    assert_int_equal(ae_rescaler_create(AE_BICUBIC, &p.info, &p.out, &sink, &r, NULL), AE_OK);
    assert_int_equal(ae_rescaler_write(r, p.pixels, 60, NULL), AE_OK);
    for (int i = 0; i < 41 * 41; i++)
        assert_true(!p.result[4 * i + 3] || (p.result[4 * i] >= 254 && p.result[4 * i + 1] <= 1));
    ae_rescaler_free(r);
    free_picture(&p);
}

static void test_result(void **state)
{
    ae_signal_info info = {.kind = AE_KIND_IMAGE,
                           .sample = AE_U16,
                           .channels = 3,
                           .width = 1001,
                           .height = 3},
                   out;
    ae_limits limits = {.max_pixels = 4004 * 12, .max_edge = 4004};
    ae_error err = {0};

    (void)state;
    assert_int_equal(ae_superres_result(&info, 1.5, NULL, &out, NULL), AE_OK);
    assert_true(out.width == 1502 && out.height == 5 && out.sample == AE_U16 && out.channels == 3);
    assert_int_equal(ae_superres_result(&info, 4, &limits, &out, NULL), AE_OK);
    limits.max_pixels--;
    assert_int_equal(ae_superres_result(&info, 4, &limits, &out, &err), AE_ERR_LIMIT);
    assert_non_null(strstr(err.message, "max_pixels"));
    limits.max_edge--;
    assert_int_equal(ae_superres_result(&info, 4, &limits, &out, &err), AE_ERR_LIMIT);
    assert_non_null(strstr(err.message, "max_edge"));
    assert_int_equal(ae_superres_result(&info, NAN, NULL, &out, &err), AE_ERR_ARGUMENT);
    assert_int_equal(ae_superres_result(&info, 0, NULL, &out, &err), AE_ERR_ARGUMENT);
    info.width = info.height = UINT64_MAX;
    assert_int_equal(ae_superres_result(&info, 2, NULL, &out, &err), AE_ERR_LIMIT);
}

/* One colour comes back as itself, whatever the network adds; around a lamp nothing rings, and its
 * light stays. */
static void test_bounds(void **state)
{
    static const float lamps[] = {8, 1e4f, -2};
    enum { W = 40, H = 30, AT = 14, SIZE = 6 };
    ae_model *model = make_model(x2, 6, NULL);
    picture p = make_scaled_picture(W, H, 3, AE_F32, 2);
    float *in = (float *)p.pixels;
    const float *out = (const float *)p.result;

    (void)state;
    for (size_t i = 0; i < 3 * W * H; i++)
        in[i] = 0.2f * (float)(1 + i % 3);
    assert_int_equal(enlarge(model, &p, plain, NULL), AE_OK);
    for (size_t i = 0; i < 3 * 4 * W * H; i++)
        assert_true(out[i] == 0.2f * (float)(1 + i % 3));
    for (size_t k = 0; k < sizeof(lamps) / sizeof(lamps[0]); k++) {
        for (int y = 0; y < H; y++)
            for (int x = 0; x < 3 * W; x++)
                in[y * 3 * W + x] = y >= AT && y < AT + SIZE && x / 3 >= AT && x / 3 < AT + SIZE
                                        ? lamps[k]
                                        : 0.3f;
        assert_int_equal(enlarge(model, &p, plain, NULL), AE_OK);
        for (int y = 0; y < 2 * H; y++)
            for (int x = 0; x < 6 * W; x++) {
                int dy = abs(y / 2 - AT - SIZE / 2), dx = abs(x / 6 - AT - SIZE / 2);
                float v = out[y * 6 * W + x];

                assert_true(v >= fminf(0.3f, lamps[k]) && v <= fmaxf(0.3f, lamps[k]));
                if (dy > SIZE || dx > SIZE)
                    assert_true(v == 0.3f);
            }
    }
    free_picture(&p);
    ae_model_free(model);
}

static void test_failures(void **state)
{
    ae_model *model = make_model(x2, 3, NULL), *wrong = make_model(denoiser, 3, NULL),
             *whole = make_model(fixed, 3, NULL);
    picture p = make_scaled_picture(100, 120, 4, AE_U8, 2);
    ae_superres_options options = plain;
    ae_cancel cancel = {1};
    ae_error err;

    (void)state;
    options.tile = 32;
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        options.control.threads = threads;
        p.fail_read_at = 70;
        assert_int_equal(enlarge(model, &p, options, &err), AE_ERR_MALFORMED);
        p.fail_read_at = 0;
        p.fail_write_at = 100;
        assert_int_equal(enlarge(model, &p, options, &err), AE_ERR_IO);
        p.fail_write_at = 0;
    }
    options.factor = 1.7;
    assert_int_equal(ae_superres_result(&p.info, options.factor, NULL, &p.out, NULL), AE_OK);
    for (uint64_t n = 1; n < 300; n++) {
        ae_status st;

        ae_alloc_fail_at(n);
        st = enlarge(model, &p, options, &err);
        ae_alloc_fail_at(0);
        if (st == AE_OK)
            break;
        assert_int_equal(st, AE_ERR_NOMEM);
        assert_true(n < 299);
    }
    for (int i = 0; i < 4; i++) {
        static const double factors[] = {1, 2.5, -2, NAN};

        options.factor = factors[i];
        assert_int_not_equal(enlarge(model, &p, options, &err), AE_OK);
    }
    options.factor = 0;
    options.denoise = NAN;
    assert_int_equal(enlarge(model, &p, options, &err), AE_ERR_ARGUMENT);
    options.denoise = 1;
    assert_int_equal(enlarge(wrong, &p, options, &err), AE_ERR_MISMATCH);
    assert_int_not_equal(enlarge(whole, &p, options, &err), AE_OK);
    options.control.cancel = &cancel;
    assert_int_equal(enlarge(model, &p, options, &err), AE_ERR_CANCELLED);
    free_picture(&p);
    ae_model_free(model);
    ae_model_free(wrong);
    ae_model_free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles_and_threads),
        cmocka_unit_test(test_whole_picture),
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_denoise_is_told),
        cmocka_unit_test(test_grey),
        cmocka_unit_test(test_alpha),
        cmocka_unit_test(test_sixteen_bits),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_rescaler),
        cmocka_unit_test(test_rescaled_alpha),
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
