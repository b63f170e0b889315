/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Noisy photographs by cameras that smooth nothing, to measure with: not those that models are
 * trained on.
 *
 *   cameras ISO FOLDER PICTURE...   FOLDER/NAME_real.ppm and NAME_mean.ppm of each
 *
 * Six kinds of camera take turns, by the picture's place: a picture is brought to linear light
 * (sRGB), through an inverse colour matrix and white balance behind a Bayer mosaic; photon noise,
 * of variance ISO a x, and read noise, of variance ISO^2 b, are added, clipped where the sensor is
 * full; then white balance, demosaicking (bilinear, or gradient-corrected after Malvar, He and
 * Cutler 2004, written here anew), matrix, tone curve, 8 bits. The mean is the same without noise.
 */
#include <math.h>
#include <string.h>

#include "picture.h"

typedef struct kind {
    bool corrected;        /* demosaicking */
    float balance[3], mix; /* gains; how far the colour matrix is from the identity */
    float steep;           /* S-curve after sRGB's, 0: none */
    float read;            /* variance of read noise, by that of an ordinary camera */
} kind;

static const kind kinds[6] = {
    {false, {1, 1, 1}, 0, 0, 1},
    {true, {2.0f, 1, 1.6f}, 0.5f, 0, 1},
    {false, {1.6f, 1, 2.2f}, 0.5f, 0.4f, 3},
    {true, {1, 1, 1}, 0, 0.4f, 0.3f},
    {false, {2.2f, 1, 1.4f}, 0.8f, 0, 3},
    {true, {1.5f, 1, 1.9f}, 0.3f, 0.2f, 1},
};

static uint64_t mix64(uint64_t *s)
{
    uint64_t x = *s += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static double normal(uint64_t *s)
{
    double u = ((double)(mix64(s) >> 11) + 0.5) * 0x1p-53, v = (double)(mix64(s) >> 11) * 0x1p-53;

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static float to_linear(float v)
{
    return v <= 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f);
}

static float to_encoded(float v, float steep)
{
    v = v > 0 ? (v < 1 ? v : 1) : 0;
    v = v <= 0.0031308f ? 12.92f * v : 1.055f * powf(v, 1 / 2.4f) - 0.055f;
    return (1 - steep) * v + steep * v * v * (3 - 2 * v);
}

/* Inverse of the S-curve by bisection. */
static float unsteepen(float v, float steep)
{
    float lo = 0, hi = 1;

    for (int i = 0; i < 24; i++) {
        float m = 0.5f * (lo + hi);

        *((1 - steep) * m + steep * m * m * (3 - 2 * m) < v ? &lo : &hi) = m;
    }
    return 0.5f * (lo + hi);
}

/* Rows sum to 1: the neighbour in the spectrum is taken away. */
static void colours(const float in[3], float m, float out[3])
{
    out[0] = (1 + m) * in[0] - m * in[1];
    out[1] = (1 + m) * in[1] - 0.5f * m * (in[0] + in[2]);
    out[2] = (1 + m) * in[2] - m * in[1];
}

/* Solves colours() for its input: green first, since the sum of the outer rows depends on it and
 * their inputs alone. */
static void sensor_colours(const float in[3], float m, float out[3])
{
    float sum = in[0] + in[2], a = 1 + m;

    /* r + b = (sum + 2 m g) / a;  g' = a g - m (r + b) / 2 */
    out[1] = (in[1] + 0.5f * m * sum / a) / (a - m * m / a);
    out[0] = (in[0] + m * out[1]) / a;
    out[2] = (in[2] + m * out[1]) / a;
}

static float at(const float *mosaic, int64_t y, int64_t x, int64_t h, int64_t w)
{
    y = y < 0 ? -y : y >= h ? 2 * h - 2 - y : y;
    x = x < 0 ? -x : x >= w ? 2 * w - 2 - x : x;
    return mosaic[y * w + x];
}

/* 0 red, 1 green, 2 blue: RGGB */
static int colour_of(int64_t y, int64_t x)
{
    return (int)((y & 1) + (x & 1));
}

static void demosaic(const float *m, int64_t y, int64_t x, int64_t h, int64_t w, bool corrected,
                     float rgb[3])
{
#define M(dy, dx) at(m, y + (dy), x + (dx), h, w)
    float here = M(0, 0), across = M(0, -1) + M(0, 1), down = M(-1, 0) + M(1, 0);
    float corners = M(-1, -1) + M(-1, 1) + M(1, -1) + M(1, 1), far_across = M(0, -2) + M(0, 2),
          far_down = M(-2, 0) + M(2, 0);
    int own = colour_of(y, x);

    if (own == 1) {
        int beside = colour_of(y, x + 1), above = 2 - beside;

        rgb[1] = here;
        rgb[beside] = corrected
                          ? (5 * here + 4 * across - corners - far_across + 0.5f * far_down) / 8
                          : across / 2;
        rgb[above] = corrected ? (5 * here + 4 * down - corners - far_down + 0.5f * far_across) / 8
                               : down / 2;
    } else {
        rgb[own] = here;
        rgb[1] = corrected ? (4 * here + 2 * (across + down) - far_across - far_down) / 8
                           : (across + down) / 4;
        rgb[2 - own] = corrected ? (6 * here + 2 * corners - 1.5f * (far_across + far_down)) / 8
                                 : corners / 4;
    }
#undef M
}

static void write_ppm(const char *path, const uint8_t *bytes, uint64_t w, uint64_t h)
{
    FILE *f = fopen(path, "wb");

    if (!f || fprintf(f, "P6\n%u %u\n255\n", (unsigned)w, (unsigned)h) < 0 ||
        fwrite(bytes, 3 * (size_t)w, h, f) != h || fclose(f)) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(1);
    }
}

static void take(const float *rgb, uint64_t w, uint64_t h, const kind *k, float iso, uint64_t seed,
                 uint8_t *bytes)
{
    float *mosaic = ae_alloc(w * h, sizeof(float)), photon = iso * 2.2e-7f,
          read = k->read * iso * iso * 1.6e-13f;

    if (!mosaic) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    for (uint64_t i = 0; i < w * h; i++) {
        int c = colour_of((int64_t)(i / w), (int64_t)(i % w));
        float linear[3], sensor[3], v;

        for (int j = 0; j < 3; j++)
            linear[j] = to_linear(unsteepen(rgb[3 * i + (uint64_t)j], k->steep));
        sensor_colours(linear, k->mix, sensor);
        v = sensor[c] / k->balance[c];
        if (photon > 0) {
            v += sqrtf(photon * (v > 0 ? v : 0) + read) * (float)normal(&seed);
            v = v < 1 ? v : 1;
        }
        mosaic[i] = v * k->balance[c];
    }
    for (uint64_t y = 0; y < h; y++)
        for (uint64_t x = 0; x < w; x++) {
            float camera[3], out[3];

            demosaic(mosaic, (int64_t)y, (int64_t)x, (int64_t)h, (int64_t)w, k->corrected, camera);
            colours(camera, k->mix, out);
            for (int c = 0; c < 3; c++)
                bytes[3 * (y * w + x) + (uint64_t)c] = (uint8_t)lrintf(
                    255 * to_encoded(out[c], k->steep));
        }
    ae_free(mosaic);
}

int main(int argc, char **argv)
{
    double iso = argc > 3 ? atof(argv[1]) : 0;

    if (!(iso > 0)) {
        fprintf(stderr, "usage: cameras ISO FOLDER PICTURE...\n");
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        ae_signal_info info;
        size_t n;
        float *rgb = load_picture(argv[i], &info, &n);
        uint8_t *bytes = ae_alloc(n, 1);
        const char *name = strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i],
                   *end = strrchr(name, '.');
        char path[4096];

        if (info.channels != 3 || info.width < 3 || info.height < 3 || !bytes) {
            fprintf(stderr, "%s: not three channels of at least 3 x 3 pixels\n", argv[i]);
            return 1;
        }
        for (int noisy = 0; noisy < 2; noisy++) {
            take(rgb, info.width, info.height, &kinds[(i - 3) % 6], noisy ? (float)iso : 0,
                 (uint64_t)i, bytes);
            snprintf(path, sizeof(path), "%s/%.*s_%s.ppm", argv[2],
                     end ? (int)(end - name) : (int)strlen(name), name, noisy ? "real" : "mean");
            write_ppm(path, bytes, info.width, info.height);
        }
        ae_free(rgb);
        ae_free(bytes);
    }
    return 0;
}
