/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Demosaicing and colours are linear, so noise goes through them by itself; the tone curve acts on
 * it through its slope. Noise is smoothed with wrap-around, which keeps it stationary up to the
 * borders; pictures are mirrored there. */
#include "image/camera.h"

#include "core/clones.h"
#include "core/fastmath.h"
#include "image/camerafilter.h"

#include <math.h>
#include <string.h>

/* ---- tone curve ---- */

typedef struct tone {
    float gamma, toe, contrast, a, b;
} tone;

static tone make_tone(const aei_camera *k)
{
    tone t = {k->gamma, k->toe, k->contrast, 0, 0};

    t.b = aei_pow(t.toe, 1 / t.gamma);
    t.a = aei_pow(1 + t.toe, 1 / t.gamma) - t.b;
    return t;
}

/* Encoded samples to linear light. */
AEI_CLONES
static void to_linear(const tone *t, const float *restrict from, float *restrict to, size_t n)
{
    float k = t->contrast, a = t->a, b = t->b, gamma = t->gamma, toe = t->toe;

    for (size_t i = 0; i < n; i++) {
        float e = from[i] > 0 ? (from[i] < 1 ? from[i] : 1.0f) : 0.0f, g = e;

        for (int step = 0; step < 4; step++) /* Newton's, on the S */
            g -= (g * (1 - k + k * g * (3 - 2 * g)) - e) / (1 - k + 6 * k * g * (1 - g));
        to[i] = aei_pow(g * a + b, gamma) - toe;
    }
}

/* Linear light to encoded samples, in place, and the curve's slope there. */
AEI_CLONES
static void to_encoded(const tone *t, float *restrict v, float *restrict slope, size_t n)
{
    float k = t->contrast, a = t->a, b = t->b, p = 1 / t->gamma, toe = t->toe;

    for (size_t i = 0; i < n; i++) {
        float x = (v[i] > 0 ? (v[i] < 1 ? v[i] : 1.0f) : 0.0f) + toe, y = aei_pow(x, p),
              g = (y - b) / a;

        v[i] = g * (1 - k + k * g * (3 - 2 * g));
        slope[i] = (1 - k + 6 * k * g * (1 - g)) * p * y / (x * a);
    }
}

/* ---- mosaic ---- */

/* 0 red, 1 green, 2 blue */
static inline uint32_t colour_at(uint32_t phase, uint32_t y, uint32_t x)
{
    uint32_t row = (y ^ (phase >> 1)) & 1, column = (x ^ phase) & 1;

    return row + column;
}

/* One row of the mosaic: the combination of the planes that the filter over each pixel gives. */
AEI_CLONES
static void mosaic_row(const float *restrict r, const float *restrict g, const float *restrict b,
                       const float *even, const float *odd, float *restrict to, size_t n)
{
    float e0 = even[0], e1 = even[1], e2 = even[2], o0 = odd[0], o1 = odd[1], o2 = odd[2];

    for (size_t x = 0; x < n; x++)
        to[x] = x & 1 ? o0 * r[x] + o1 * g[x] + o2 * b[x] : e0 * r[x] + e1 * g[x] + e2 * b[x];
}

/* to = deviation * unit normal (in `to` before) under a mosaic row of values. */
AEI_CLONES
static void noise_row(const float *restrict value, const float *photon, const float *read,
                      float *restrict to, size_t n)
{
    float p0 = photon[0], p1 = photon[1], r0 = read[0], r1 = read[1];

    for (size_t x = 0; x < n; x++) {
        float v = value[x] > 0 ? value[x] : 0;

        to[x] *= sqrtf(x & 1 ? p1 * v + r1 : p0 * v + r0);
    }
}

/* One row of the three planes from five padded mosaic rows. `own` is the colour that shares the row
 * with green. */
AEI_CLONES
static void demosaic_row(const float *restrict nn, const float *restrict n, const float *restrict c,
                         const float *restrict s, const float *restrict ss, uint32_t green_first,
                         float gradient, float *restrict own, float *restrict green,
                         float *restrict other, size_t width)
{
    for (size_t x = 0; x < width; x++) {
        float across = c[x + 1] + c[x + 3], down = n[x + 2] + s[x + 2], here = c[x + 2];
        float far_across = c[x] + c[x + 4], far_down = nn[x + 2] + ss[x + 2];
        float corners = n[x + 1] + n[x + 3] + s[x + 1] + s[x + 3],
              level = 0.125f * (5 * here - corners);
        float bend = 4 * here - far_across - far_down;
        float cross = 0.25f * (across + down) + gradient * 0.125f * bend;
        float diagonal = 0.25f * corners + gradient * 0.1875f * bend;
        float beside = 0.5f * across +
                       gradient * (level - 0.125f * far_across + 0.0625f * far_down);
        float above = 0.5f * down + gradient * (level - 0.125f * far_down + 0.0625f * far_across);
        uint32_t at_green = ((uint32_t)x ^ green_first) & 1;

        own[x] = at_green ? beside : here;
        green[x] = at_green ? here : cross;
        other[x] = at_green ? above : diagonal;
    }
}

static void demosaic(const aei_camera *k, const float *mosaic, uint32_t h, uint32_t w, bool wrap,
                     float *const planes[3], float *padded)
{
    size_t row = (size_t)w + 4;

    for (uint32_t y = 0; y < h + 4; y++)
        aei_pad_row(mosaic + (size_t)aei_beyond_edge((int64_t)y - 2, h, wrap) * w, w, 2, wrap,
                    padded + y * row);
    for (uint32_t y = 0; y < h; y++) {
        const float *c = padded + y * row;
        uint32_t red = colour_at(k->phase, y, 0) == 0 || colour_at(k->phase, y, 1) == 0 ? 0 : 2;
        size_t at = (size_t)y * w;

        demosaic_row(c, c + row, c + 2 * row, c + 3 * row, c + 4 * row,
                     colour_at(k->phase, y, 0) == 1, k->gradient, planes[red] + at, planes[1] + at,
                     planes[2 - red] + at, w);
    }
}

AEI_CLONES
static void mix_planes(const float m[3][3], float *restrict r, float *restrict g, float *restrict b,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = r[i], y = g[i], z = b[i];

        r[i] = m[0][0] * x + m[0][1] * y + m[0][2] * z;
        g[i] = m[1][0] * x + m[1][1] * y + m[1][2] * z;
        b[i] = m[2][0] * x + m[2][1] * y + m[2][2] * z;
    }
}

static void invert(const float m[3][3], float to[3][3])
{
    float det = 0;

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            int a = (j + 1) % 3, b = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;

            to[i][j] = m[a][c] * m[b][d] - m[a][d] * m[b][c];
        }
    for (int j = 0; j < 3; j++)
        det += m[0][j] * to[j][0];
    for (int i = 0; i < 9; i++)
        to[i / 3][i % 3] /= det;
}

/* ---- the whole way ---- */

/* Noise on the sensor and what becomes of it and of the picture in linear light: three planes each.
 */
static void expose(const aei_camera *k, aei_rng *rng, float *const picture[3],
                   float *const noise[3], uint32_t h, uint32_t w, float *mosaic, float *padded)
{
    size_t n = (size_t)h * w;
    float unmix[3][3], read = k->read * 0.18f;

    invert(k->mix, unmix);
    if (!k->mosaic) {
        for (int c = 0; c < 3; c++) {
            float gain_of = k->balance[c], photon[2] = {gain_of, gain_of};
            float reads[2] = {read * gain_of * gain_of, read * gain_of * gain_of};

            aei_rng_normals(rng, noise[c], n);
            mosaic_row(picture[0], picture[1], picture[2], unmix[c], unmix[c], mosaic, n);
            noise_row(mosaic, photon, reads, noise[c], n);
        }
    } else {
        aei_rng_normals(rng, padded, n);
        for (uint32_t y = 0; y < h; y++) {
            uint32_t a = colour_at(k->phase, y, 0), b = colour_at(k->phase, y, 1);
            float photon[2] = {k->balance[a], k->balance[b]};
            float reads[2] = {read * photon[0] * photon[0], read * photon[1] * photon[1]};
            size_t at = (size_t)y * w;

            mosaic_row(picture[0] + at, picture[1] + at, picture[2] + at, unmix[a], unmix[b],
                       mosaic + at, w);
            noise_row(mosaic + at, photon, reads, padded + at, w);
        }
        memcpy(noise[0], padded, n * sizeof(float));
        demosaic(k, mosaic, h, w, false, picture, padded);
        memcpy(mosaic, noise[0], n * sizeof(float));
        demosaic(k, mosaic, h, w, true, noise, padded);
        mix_planes(k->mix, picture[0], picture[1], picture[2], n);
    }
    mix_planes(k->mix, noise[0], noise[1], noise[2], n);
}

AEI_CLONES
static void to_planes(const float *restrict from, float *restrict r, float *restrict g,
                      float *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        r[i] = from[3 * i];
        g[i] = from[3 * i + 1];
        b[i] = from[3 * i + 2];
    }
}

/* Noise under the slopes of the tone curve as luminance and colour differences; and the picture's
 * luminance. */
AEI_CLONES
static void to_differences(float *restrict r, float *restrict g, float *restrict b,
                           const float *restrict sr, const float *restrict sg,
                           const float *restrict sb, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = r[i] * sr[i], y = g[i] * sg[i], z = b[i] * sb[i];

        r[i] = (x + y + z) * (1.0f / 3.0f);
        g[i] = (x - z) * 0.70710678f;
        b[i] = (2 * y - x - z) * 0.40824829f;
    }
}

AEI_CLONES
static void mean_plane(const float *restrict r, const float *restrict g, const float *restrict b,
                       float *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (r[i] + g[i] + b[i]) * (1.0f / 3.0f);
}

/* Mean of the products of noise and slopes; `to` may be one of the slopes. */
AEI_CLONES
static void mean_of_products(const float *restrict r, const float *restrict g,
                             const float *restrict b, const float *sr, const float *sg,
                             const float *sb, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (r[i] * sr[i] + g[i] * sg[i] + b[i] * sb[i]) * (1.0f / 3.0f);
}

/* Without noise reduction: the linear planes of picture and noise become the encoded picture and
 * what the noise does to it. The noise is scaled so that its luminance has the wanted deviation
 * where the curve's slope would hold. n_planes: 1 or 3; spare: 3 planes. */
static void develop(const aei_camera *k, const tone *t, float *const picture[3],
                    float *const noise[3], float *const slope[3], int n_planes, float *spare,
                    size_t n)
{
    int g = n_planes == 3 ? 1 : 0, b = n_planes - 1;
    float scale;

    for (int c = 0; c < n_planes; c++) {
        memcpy(spare + (size_t)c * n, picture[c], n * sizeof(*spare));
        to_encoded(t, picture[c], slope[c], n);
    }
    mean_of_products(noise[0], noise[g], noise[b], slope[0], slope[g], slope[b], slope[0], n);
    scale = aei_plane_gain(aei_plane_power(slope[0], n), (double)k->luminance * k->luminance);
    for (int c = 0; c < n_planes; c++) {
        float *noisy = spare + (size_t)c * n;

        aei_plane_combine(noisy, 1, noise[c], scale, n);
        to_encoded(t, noisy, slope[c], n);
        memcpy(noise[c], noisy, n * sizeof(*noisy));
        aei_plane_combine(noise[c], 1, picture[c], -1, n);
        for (size_t i = 0; i < n; i++)
            slope[c][i] = 1;
    }
}

static inline float unit(float v)
{
    return v > 0 ? (v < 1 ? v : 1.0f) : 0.0f;
}

/* Planes to the two pictures. add: what sharpening adds to the luminance. */
AEI_CLONES
static void to_pictures(const float *restrict r, const float *restrict g, const float *restrict b,
                        const float *restrict add, const float *restrict y, const float *restrict u,
                        const float *restrict v, float *restrict clean, float *restrict noisy,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float red = r[i] + add[i], green = g[i] + add[i], blue = b[i] + add[i],
              p = u[i] * 0.70710678f, q = v[i] * 0.40824829f;

        clean[3 * i] = unit(red);
        clean[3 * i + 1] = unit(green);
        clean[3 * i + 2] = unit(blue);
        noisy[3 * i] = unit(red + y[i] + p - q);
        noisy[3 * i + 1] = unit(green + y[i] + 2 * q);
        noisy[3 * i + 2] = unit(blue + y[i] - p - q);
    }
}

/* The same where the channels are equal. */
static void to_grey_pictures(const float *r, const float *add, const float *y, float *clean,
                             float *noisy, uint32_t c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < c; k++) {
            clean[c * i + k] = unit(r[i] + add[i]);
            noisy[c * i + k] = unit(r[i] + add[i] + y[i]);
        }
}

AEI_CLONES
static void round_to_bytes(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = aei_round(v[i] * 255.0f) * (1.0f / 255.0f);
}

/* Keys' cubic, a = -1/2, at four neighbours of a place `f` beyond the second. */
static void cubic_weights(float f, float to[4])
{
    for (int i = 0; i < 4; i++) {
        float x = f + 1 - (float)i;

        x = x < 0 ? -x : x;
        to[i] = x <= 1 ? (1.5f * x - 2.5f) * x * x + 1 : ((-0.5f * x + 2.5f) * x - 4) * x + 2;
    }
}

/* The samples among n, and their weights, of place i of as many in a window of n / zoom. */
static void zoom_taps(float zoom, float at, uint32_t n, uint32_t i, uint32_t index[4],
                      float weight[4])
{
    float u = ((float)i + 0.5f) / zoom - 0.5f + at * ((float)n - (float)n / zoom), low = floorf(u);

    cubic_weights(u - low, weight);
    for (int t = 0; t < 4; t++) {
        int64_t v = (int64_t)low + t - 1;

        index[t] = (uint32_t)(v < 0 ? 0 : v < n ? v : n - 1);
    }
}

/* In place; spare: as large. */
static void enlarge(const aei_camera *k, float *picture, uint32_t h, uint32_t w, uint32_t c,
                    float *spare)
{
    size_t row = (size_t)w * c;
    uint32_t at[4];
    float weight[4];

    for (uint32_t x = 0; x < w; x++) {
        zoom_taps(k->zoom, k->at_x, w, x, at, weight);
        for (uint32_t y = 0; y < h; y++)
            for (uint32_t i = 0; i < c; i++) {
                const float *from = picture + y * row + i;

                spare[y * row + x * c + i] = weight[0] * from[at[0] * c] +
                                             weight[1] * from[at[1] * c] +
                                             weight[2] * from[at[2] * c] +
                                             weight[3] * from[at[3] * c];
            }
    }
    for (uint32_t y = 0; y < h; y++) {
        zoom_taps(k->zoom, k->at_y, h, y, at, weight);
        aei_plane_set(picture + y * row, spare + at[0] * row, weight[0], row);
        for (int t = 1; t < 4; t++)
            aei_plane_combine(picture + y * row, 1, spare + at[t] * row, weight[t], row);
        for (size_t x = 0; x < row; x++)
            picture[y * row + x] = unit(picture[y * row + x]);
    }
}

size_t aei_camera_scratch(uint32_t h, uint32_t w)
{
    size_t planes = (15 * (size_t)h * w + 4 * ((size_t)h + w + 4) + 2 * AEI_CAMERA_RADIUS) *
                    sizeof(float);
    size_t jpeg = aei_jpeg_loss_scratch(h, w);

    return planes > jpeg ? planes : jpeg;
}

/* What files do to the pictures: JPEG, once or twice, or 8 bits; enlarged in between. */
static void save(const aei_camera *k, float *clean, float *noisy, uint32_t h, uint32_t w,
                 uint32_t c, void *scratch)
{
    size_t n = (size_t)h * w;

    if (k->has_jpeg) {
        aei_jpeg_lose(&k->jpeg, clean, h, w, c, scratch);
        aei_jpeg_lose(&k->jpeg, noisy, h, w, c, scratch);
    } else {
        round_to_bytes(noisy, n * c);
    }
    if (k->zoom > 1) {
        enlarge(k, clean, h, w, c, scratch);
        enlarge(k, noisy, h, w, c, scratch);
        round_to_bytes(noisy, n * c);
    }
    if (k->again) {
        aei_jpeg_lose(&k->second, clean, h, w, c, scratch);
        aei_jpeg_lose(&k->second, noisy, h, w, c, scratch);
    }
}

void aei_camera_take(const aei_camera *k, aei_rng *rng, float *clean, float *noisy, uint32_t h,
                     uint32_t w, uint32_t c, bool grey, void *scratch)
{
    size_t n = (size_t)h * w;
    float *next = scratch, *picture[3], *noise[3], *slope[3], *light, *add, *spare, *work;
    tone t = make_tone(k);

    for (int i = 0; i < 3; i++, next += 3 * n) {
        picture[i] = next;
        noise[i] = next + n;
        slope[i] = next + 2 * n;
    }
    light = next;
    add = light + n;
    spare = add + n;
    work = spare + 3 * n; /* a plane, and a margin or a padded row */
    grey = grey || c == 1;
    if (grey) {
        float photon[2] = {1, 1}, read[2] = {0.18f * k->read, 0.18f * k->read};

        for (size_t i = 0; i < n; i++)
            light[i] = clean[c * i];
        to_linear(&t, light, picture[0], n);
        aei_rng_normals(rng, noise[0], n);
        noise_row(picture[0], photon, read, noise[0], n);
        if (k->raw)
            develop(k, &t, picture, noise, slope, 1, spare, n);
        else
            to_encoded(&t, picture[0], slope[0], n);
        for (size_t i = 0; i < n; i++)
            noise[0][i] *= slope[0][i];
        memcpy(light, picture[0], n * sizeof(*light));
    } else {
        to_planes(clean, slope[0], slope[1], slope[2], n);
        for (int i = 0; i < 3; i++)
            to_linear(&t, slope[i], picture[i], n);
        expose(k, rng, picture, noise, h, w, light, work);
        if (k->raw)
            develop(k, &t, picture, noise, slope, 3, spare, n);
        else
            for (int i = 0; i < 3; i++)
                to_encoded(&t, picture[i], slope[i], n);
        to_differences(noise[0], noise[1], noise[2], slope[0], slope[1], slope[2], n);
        mean_plane(picture[0], picture[1], picture[2], light, n);
        if (k->raw) {
            aei_camera_blur(noise[1], noise[1], h, w, k->fine, true, work);
            aei_camera_blur(noise[2], noise[2], h, w, k->fine, true, work);
        } else {
            aei_camera_smooth_colour(k, light, noise[1], noise[2], h, w, slope[1], slope[2], work);
        }
    }
    if (k->raw) {
        aei_camera_blur(noise[0], noise[0], h, w, k->fine, true, work);
        aei_camera_sharpen(k, noise[0], h, w, slope[0], work);
    } else {
        aei_camera_smooth(k, light, noise[0], h, w, slope[0], work);
    }
    memset(add, 0, n * sizeof(*add));
    if (k->sharpen > 0) {
        aei_camera_blur(light, add, h, w, k->radius, false, work);
        aei_plane_combine(add, -k->sharpen, light, k->sharpen, n);
    }
    if (grey)
        to_grey_pictures(picture[0], add, noise[0], clean, noisy, c, n);
    else
        to_pictures(picture[0], picture[1], picture[2], add, noise[0], noise[1], noise[2], clean,
                    noisy, n);
    save(k, clean, noisy, h, w, c, scratch);
}
