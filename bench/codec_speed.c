/* SPDX-License-Identifier: BSD-2-Clause
 *
 * codec_speed MODEL.aem PICTURE...: processor seconds a megapixel that encoding and decoding take
 * on one thread, at three qualities, with the rate and the error. AE_CPU limits the decoder's
 * kernels. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ae/compress.h"
#include "ae/files.h"

typedef struct job {
    ae_signal_info info;
    uint8_t *pixels, *decoded, *tiles[4096];
    size_t n_bytes[4096], at, n_total;
} job;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n, ae_error *err)
{
    job *j = opaque;
    size_t bytes = n * ae_row_bytes(&j->info);

    (void)err;
    memcpy(rows, j->pixels + j->at, bytes);
    j->at += bytes;
    return AE_OK;
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    job *j = opaque;
    size_t bytes = n * ae_row_bytes(&j->info);

    (void)err;
    memcpy(j->decoded + j->at, rows, bytes);
    j->at += bytes;
    return AE_OK;
}

static ae_status write_tile(void *opaque, uint32_t i, const void *data, size_t n, ae_error *err)
{
    job *j = opaque;

    ae_free(j->tiles[i]);
    j->tiles[i] = ae_alloc(n, 1);
    if (!j->tiles[i])
        return ae_fail(err, AE_ERR_NOMEM, "tile");
    memcpy(j->tiles[i], data, n);
    j->n_bytes[i] = n;
    j->n_total += n;
    return AE_OK;
}

static ae_status read_tile(void *opaque, uint32_t i, const void **data, size_t *n, ae_error *err)
{
    job *j = opaque;

    (void)err;
    *data = j->tiles[i];
    *n = j->n_bytes[i];
    return AE_OK;
}

static ae_status load(const char *path, job *j, ae_error *err)
{
    ae_source *source = NULL;
    ae_reader reader = {0};
    void *pixels = NULL;
    ae_status st;

    if ((st = ae_source_open(path, &source, err)) == AE_OK &&
        (st = ae_reader_open(source, NULL, &reader, err)) == AE_OK) {
        j->info = reader.info;
        st = ae_reader_read_all(&reader, &pixels, err);
        j->pixels = pixels;
    }
    if (st == AE_OK && (j->info.alpha || j->info.sample != AE_U8))
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "%s: not 8 bits without alpha", path);
    ae_reader_close(&reader);
    ae_source_free(source);
    return st;
}

static ae_status measure(const ae_coder *coder, job *j, uint32_t quality, double sums[4],
                         ae_error *err)
{
    ae_encode_options e = {.quality = quality, .effort = 4, .control.threads = 1};
    ae_decode_options d = {.quality = quality, .control.threads = 1};
    ae_coder_picture p = {(uint32_t)j->info.width, (uint32_t)j->info.height, j->info.channels,
                          AE_U8, 8};
    ae_row_source source = {j->info, j, read_rows};
    ae_row_sink sink = {j, write_rows};
    ae_tile_sink tile_sink = {j, write_tile};
    ae_tile_source tile_source = {j, read_tile};
    size_t n = ae_row_bytes(&j->info) * j->info.height;
    double t0 = seconds(), t1, error = 0,
           megapixels = 1e-6 * (double)(j->info.width * j->info.height);
    ae_status st;

    j->at = j->n_total = 0;
    if ((st = ae_encode(coder, &e, &source, &tile_sink, err)) != AE_OK)
        return st;
    t1 = seconds();
    j->at = 0;
    if ((st = ae_decode(coder, &p, &d, &tile_source, &sink, err)) != AE_OK)
        return st;
    sums[0] += (t1 - t0) / megapixels;
    sums[1] += (seconds() - t1) / megapixels;
    for (size_t i = 0; i < n; i++)
        error += (j->pixels[i] - j->decoded[i]) * (double)(j->pixels[i] - j->decoded[i]);
    sums[2] += 8e-6 * (double)j->n_total / megapixels;
    sums[3] += 10 * log10(255.0 * 255 * (double)n / error);
    return AE_OK;
}

int main(int argc, char **argv)
{
    ae_error err = {0};
    ae_model *model = NULL;
    ae_coder *coder = NULL;
    ae_status st = ae_model_open(argc > 1 ? argv[1] : "", NULL, &model, &err);

    if (st == AE_OK)
        st = ae_coder_open(model, &coder, &err);
    for (uint32_t quality = 0; st == AE_OK && quality <= AE_QUALITY_ONE;
         quality += AE_QUALITY_ONE / 2) {
        double sums[4] = {0};

        for (int i = 2; st == AE_OK && i < argc; i++) {
            job j = {0};

            if ((st = load(argv[i], &j, &err)) == AE_OK) {
                j.decoded = ae_alloc(j.info.height, ae_row_bytes(&j.info));
                st = j.decoded ? measure(coder, &j, quality, sums, &err)
                               : ae_fail(&err, AE_ERR_NOMEM, "picture");
            }
            for (uint32_t k = 0; k < 4096; k++)
                ae_free(j.tiles[k]);
            ae_free(j.pixels);
            ae_free(j.decoded);
        }
        if (st == AE_OK)
            printf("quality %4u: encode %.3f s/MP, decode %.3f s/MP, %.4f bpp, %.3f dB\n", quality,
                   sums[0] / (argc - 2), sums[1] / (argc - 2), sums[2] / (argc - 2),
                   sums[3] / (argc - 2));
    }
    if (st != AE_OK)
        fprintf(stderr, "codec_speed: %s\n", err.message);
    ae_coder_free(coder);
    ae_model_free(model);
    return st != AE_OK;
}
