/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Super-resolution by the field's protocol: pictures cut to a multiple of the scale, made small by
 * MATLAB's antialiased bicubic filter, rounded to 8 bits, enlarged in f32, rounded; PSNR on Y
 * (BT.601 as rgb2ycbcr; files of one channel as they are), a border of `scale` pixels left out;
 * mean over the pictures.
 *
 *   superres [OPTION]... MODEL PICTURE...    a line a picture, bicubic and the model
 *     -f FILTER   makes small with lanczos, area or bilinear instead
 *     -q N        the small picture goes through a JPEG file of quality N, 4:2:0
 *     -s N        scale, where it is not the model's
 *     -d X        how much to denoise; 1 unless given
 *     -b          in bf16
 *   superres [-b] [-t TILE] MODEL            speed on one thread, beside the convolution ceiling */
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ae/superres.h"
#include "ceiling.h"
#include "image/resize.h"
#include "picture.h"

typedef struct picture {
    ae_signal_info info;
    uint8_t *pixels;
    uint64_t row;
} picture;

static void check(ae_status st, const ae_error *err, const char *what)
{
    if (st == AE_OK)
        return;
    fprintf(stderr, "superres: %s: %s\n", what, err->message);
    exit(1);
}

static void *get(size_t count, size_t size)
{
    ae_error err = {.message = "out of memory"};
    void *p = ae_alloc(count, size);

    check(p ? AE_OK : AE_ERR_NOMEM, &err, "a picture");
    return p;
}

static picture make(uint64_t w, uint64_t h)
{
    picture p = {.info = {.kind = AE_KIND_IMAGE,
                          .sample = AE_U8,
                          .bits = 8,
                          .channels = 3,
                          .width = w,
                          .height = h}};

    p.pixels = get((size_t)(w * h), 3);
    return p;
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    picture *p = opaque;
    size_t bytes = ae_row_bytes(&p->info);

    (void)err;
    memcpy(rows, p->pixels + p->row * bytes, n_rows * bytes);
    p->row += n_rows;
    return AE_OK;
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    picture *p = opaque;
    size_t bytes = ae_row_bytes(&p->info);

    (void)err;
    memcpy(p->pixels + p->row * bytes, rows, n_rows * bytes);
    p->row += n_rows;
    return AE_OK;
}

/* Cut to whole multiples of the scale, in three channels. */
static picture load(const char *path, uint32_t scale, bool *grey)
{
    ae_signal_info info;
    size_t n;
    float *samples = load_picture(path, &info, &n);
    picture p = make(info.width / scale * scale, info.height / scale * scale);

    for (uint64_t y = 0; y < p.info.height; y++)
        for (uint64_t x = 0; x < p.info.width; x++)
            for (uint32_t k = 0; k < 3; k++) {
                const float *from = samples + (y * info.width + x) * info.channels +
                                    (info.channels < 3 ? 0 : k);

                ae_samples_from_f32(AE_U8, from, p.pixels + (y * p.info.width + x) * 3 + k, 1);
            }
    *grey = info.channels < 3;
    ae_free(samples);
    return p;
}

static picture resize(ae_filter filter, const picture *from, uint64_t w, uint64_t h)
{
    picture p = make(w, h);
    uint32_t fw = (uint32_t)from->info.width, fh = (uint32_t)from->info.height;
    size_t n = (size_t)fw * fh * 3, n_to = (size_t)(w * h) * 3;
    float *a = get(n, sizeof(*a)), *b = get(n_to, sizeof(*b));
    void *scratch = get(aei_resize_scratch(fh, fw, 3, (uint32_t)h, (uint32_t)w), 1);

    ae_samples_to_f32(AE_U8, from->pixels, a, n);
    aei_resize(filter, a, fh, fw, 3, b, (uint32_t)h, (uint32_t)w, scratch);
    ae_samples_from_f32(AE_U8, b, p.pixels, n_to);
    ae_free(a);
    ae_free(b);
    ae_free(scratch);
    return p;
}

typedef struct buffer {
    uint8_t *data;
    size_t n, capacity;
} buffer;

static ae_status append(void *opaque, const void *data, size_t n, ae_error *err)
{
    buffer *b = opaque;

    if (b->n + n > b->capacity)
        return ae_fail(err, AE_ERR_LIMIT, "more than %zu bytes", b->capacity);
    memcpy(b->data + b->n, data, n);
    b->n += n;
    return AE_OK;
}

/* What a tool would find in the file: its noise (ae_superres_noise). */
static float through_jpeg(picture *p, int quality)
{
    size_t bytes = (size_t)p->info.height * ae_row_bytes(&p->info);
    buffer b = {.data = get(bytes + 65536, 2), .capacity = 2 * bytes + 131072};
    ae_sink sink = {&b, append, NULL};
    ae_write_options options = {.quality = quality};
    ae_encoder encoder = {0};
    ae_reader reader = {0};
    ae_source *source = NULL;
    ae_error err = {0};
    uint16_t table[64];

    check(
        ae_encoder_open(ae_codec_for_name("jpeg"), &sink, &p->info, NULL, &options, &encoder, &err),
        &err, "JPEG");
    check(ae_encoder_write(&encoder, p->pixels, (uint32_t)p->info.height, &err), &err, "JPEG");
    check(ae_encoder_finish(&encoder, &err), &err, "JPEG");
    check(ae_source_memory(b.data, b.n, &source, &err), &err, "JPEG");
    check(ae_reader_open(source, NULL, &reader, &err), &err, "JPEG");
    check(ae_reader_quantisation(&reader, table, &quality) ? AE_OK : AE_ERR_UNSUPPORTED, &err,
          "JPEG's steps");
    check(ae_reader_read(&reader, p->pixels, (uint32_t)p->info.height, &err), &err, "JPEG");
    ae_reader_close(&reader);
    ae_source_free(source);
    ae_free(b.data);
    return ae_superres_noise(table, NULL);
}

static picture enlarge(const ae_model *model, ae_superres_options *options, picture *from)
{
    uint32_t scale = (uint32_t)options->factor;
    picture p = make(from->info.width * scale, from->info.height * scale);
    ae_row_source source = {from->info, from, read_rows};
    ae_row_sink sink = {&p, write_rows};
    ae_error err = {0};

    from->row = 0;
    check(ae_superres(model, options, &source, &sink, NULL, &err), &err, "enlarging");
    return p;
}

static double luma(const uint8_t *p)
{
    return 16 + (65.481 * p[0] + 128.553 * p[1] + 24.966 * p[2]) / 255;
}

static double psnr(const picture *a, const picture *b, bool grey, uint32_t border)
{
    uint64_t w = a->info.width, h = a->info.height;
    double sum = 0;

    for (uint64_t y = border; y < h - border; y++)
        for (uint64_t x = border; x < w - border; x++) {
            const uint8_t *p = a->pixels + (y * w + x) * 3, *q = b->pixels + (y * w + x) * 3;
            double d = grey ? p[0] - q[0] : luma(p) - luma(q);

            sum += d * d;
        }
    return 10 * log10(255.0 * 255.0 * (double)((w - 2 * border) * (h - 2 * border)) / sum);
}

/* One run with the ceiling measured before and after. */
static int speed(const ae_model *model, ae_superres_options *options)
{
    enum { W = 1024, H = 768 };
    double scale = ae_model_recipe(model)->scale, mp = W * H * scale * scale * 1e-6;
    double gigaflop = 2e-9 * W * H * ae_graph_macs(ae_model_graph(model), &(bool){0}), before,
           after, ceiling, seconds;
    picture p = make(W, H), large;
    clock_t start;

    for (size_t i = 0; i < (size_t)W * H * 3; i++)
        p.pixels[i] = (uint8_t)(i * i >> 7);
    before = measure_ceiling(options->precision) * 1e-9;
    start = clock();
    large = enlarge(model, options, &p);
    seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    after = measure_ceiling(options->precision) * 1e-9;
    ceiling = 0.5 * (before + after);
    printf("%.2f kMAC per output pixel; %.2f output MP per CPU second; %.0f GFLOP/s, %.0f %% of "
           "the ceiling of %.0f (before %.0f, "
           "after %.0f)\n",
           gigaflop / mp * 500 * 1e-3, mp / seconds, gigaflop / seconds,
           100 * gigaflop / seconds / ceiling, ceiling, before, after);
    ae_free(p.pixels);
    ae_free(large.pixels);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"", "bicubic", "lanczos", "area", "bilinear"};
    ae_superres_options options = {
        .denoise = 1, .precision = AE_PRECISION_F32, .control.threads = 1};
    ae_filter filter = AE_BICUBIC;
    ae_model *model = NULL;
    ae_error err = {0};
    char path[4096];
    double mean[2] = {0};
    int quality = 0, option, n;
    uint32_t scale;

    while ((option = getopt(argc, argv, "f:q:s:d:t:b")) != -1) {
        if (option == 'q')
            quality = atoi(optarg);
        else if (option == 's')
            options.factor = atoi(optarg);
        else if (option == 'd')
            options.denoise = (float)atof(optarg);
        else if (option == 't')
            options.tile = (uint32_t)atoi(optarg);
        else if (option == 'b')
            options.precision = AE_PRECISION_BF16;
        else if (option == 'f')
            for (filter = AE_BILINEAR; filter > AE_BICUBIC && strcmp(names[filter], optarg) != 0;
                 filter--)
                ;
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: superres [-f FILTER] [-q QUALITY] [-s SCALE] [-d DENOISE] [-b] [-t "
                        "TILE] MODEL [PICTURE...]\n");
        return 2;
    }
    check(ae_model_find(argv[optind], path, sizeof(path), &err), &err, argv[optind]);
    check(ae_model_open(path, NULL, &model, &err), &err, path);
    if (options.factor == 0)
        options.factor = ae_model_recipe(model)->scale;
    scale = (uint32_t)options.factor;
    n = argc - ++optind;
    if (!n)
        return speed(model, &options);
    for (int i = optind; i < argc; i++) {
        bool grey;
        picture clean = load(argv[i], scale, &grey), plain, result;
        picture small = resize(filter, &clean, clean.info.width / scale, clean.info.height / scale);
        double db[2];

        if (quality)
            options.noise = through_jpeg(&small, quality);
        plain = resize(AE_BICUBIC, &small, clean.info.width, clean.info.height);
        result = enlarge(model, &options, &small);
        db[0] = psnr(&clean, &plain, grey, scale);
        db[1] = psnr(&clean, &result, grey, scale);
        printf("%.2f %.2f %s\n", db[0], db[1], argv[i]);
        mean[0] += db[0] / n;
        mean[1] += db[1] / n;
        ae_free(clean.pixels);
        ae_free(small.pixels);
        ae_free(plain.pixels);
        ae_free(result.pixels);
    }
    printf("mean of %d at x%u: bicubic %.3f dB, %s %.3f dB\n", n, scale, mean[0],
           ae_model_recipe(model)->name, mean[1]);
    ae_model_free(model);
    return 0;
}
