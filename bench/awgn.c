/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PSNR on white Gaussian noise by the field's protocol: float noise added to pixel / 255, neither
 * clipped nor quantised, one seed a picture; output clipped to [0, 1] and rounded to 8 bits; PSNR
 * over all samples; mean over the pictures.
 *
 *   awgn MODEL PICTURE...          sigma 15, 25 and 50 */
#include <math.h>
#include <string.h>

#include "ae/denoise.h"
#include "picture.h"

typedef struct picture {
    ae_signal_info info;
    float *clean, *noisy, *result;
    size_t n, at;
} picture;

static uint64_t mix(uint64_t *s)
{
    uint64_t x = *s += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static double normal(uint64_t *s)
{
    double u = ((double)(mix(s) >> 11) + 0.5) * 0x1p-53, v = (double)(mix(s) >> 11) * 0x1p-53;

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    picture *p = opaque;
    size_t n = (size_t)n_rows * p->info.width * p->info.channels;

    (void)err;
    memcpy(rows, p->noisy + p->at, n * sizeof(float));
    p->at += n;
    return AE_OK;
}

typedef struct output {
    float *at;
    size_t row;
} output;

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    output *o = opaque;

    (void)err;
    memcpy(o->at, rows, n_rows * o->row * sizeof(float));
    o->at += n_rows * o->row;
    return AE_OK;
}

static double psnr(const picture *p)
{
    double sum = 0;

    for (size_t i = 0; i < p->n; i++) {
        float v = p->result[i];
        double d = rint((v > 0 ? (v < 1 ? v : 1) : 0) * 255.0) / 255.0 - p->clean[i];

        sum += d * d;
    }
    return 10 * log10((double)p->n / sum);
}

int main(int argc, char **argv)
{
    static const float sigmas[] = {15, 25, 50};
    double mean[3] = {0};
    ae_model *model = NULL;
    ae_error err = {0};
    char path[4096];
    ae_status st = AE_OK;

    if (argc < 3) {
        fprintf(stderr, "usage: awgn MODEL PICTURE...\n");
        return 2;
    }
    if ((st = ae_model_find(argv[1], path, sizeof(path), &err)) == AE_OK)
        st = ae_model_open(path, NULL, &model, &err);
    for (int i = 2; i < argc && st == AE_OK; i++) {
        picture p = {0};

        p.clean = load_picture(argv[i], &p.info, &p.n);
        p.info.sample = AE_F32;
        p.noisy = ae_alloc(p.n, sizeof(float));
        p.result = ae_alloc(p.n, sizeof(float));
        if (!p.noisy || !p.result)
            st = ae_fail(&err, AE_ERR_NOMEM, "%s: out of memory", argv[i]);
        for (int k = 0; k < 3 && st == AE_OK; k++) {
            ae_denoise_options options = {
                .noise = {.luminance = sigmas[k], .chroma = sigmas[k], .white = sigmas[k]},
                .strength = 1};
            uint64_t seed = (uint64_t)(i - 2);
            output out = {p.result, (size_t)p.info.width * p.info.channels};
            ae_row_source source = {.info = p.info, .opaque = &p, .read = read_rows};
            ae_row_sink sink = {.opaque = &out, .write = write_rows};

            for (size_t q = 0; q < p.n; q++)
                p.noisy[q] = p.clean[q] + (float)(sigmas[k] / 255 * normal(&seed));
            p.at = 0;
            if ((st = ae_denoise(model, &options, &source, &sink, NULL, &err)) == AE_OK)
                mean[k] += psnr(&p) / (argc - 2);
        }
        ae_free(p.clean);
        ae_free(p.noisy);
        ae_free(p.result);
    }
    ae_model_free(model);
    if (st != AE_OK) {
        fprintf(stderr, "awgn: %s\n", err.message);
        return 1;
    }
    printf("%s: %d pictures, sigma 15 / 25 / 50: %.2f / %.2f / %.2f dB\n", argv[1], argc - 2,
           mean[0], mean[1], mean[2]);
    return 0;
}
