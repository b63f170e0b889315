/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Planes in units of 0..255, padded to whole blocks by repeating the edge. For the transform they
 * are rearranged: the samples at one place of all blocks stand together, 64 times n blocks, so that
 * every loop runs over blocks and vectorises. */
#include "image/jpegloss.h"

#include "core/clones.h"
#include "core/fastmath.h"

#include <string.h>

static const uint8_t QUANT[2][64] = {
    {16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
     14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
     18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
     49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99},
    {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
     99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
     99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99}};

/* cos(k pi / 16) / 2; the DC row has C4 */
#define C1 0.490392640201615225f
#define C2 0.461939766255643378f
#define C3 0.415734806151272619f
#define C4 0.353553390593273762f
#define C5 0.277785116509801112f
#define C6 0.191341716182544886f
#define C7 0.097545161008064134f

/* Orthonormal DCT of n octuples, in place. */
AEI_CLONES
static void dct(float *restrict v0, float *restrict v1, float *restrict v2, float *restrict v3,
                float *restrict v4, float *restrict v5, float *restrict v6, float *restrict v7,
                size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float s0 = v0[i] + v7[i], d0 = v0[i] - v7[i], s1 = v1[i] + v6[i], d1 = v1[i] - v6[i];
        float s2 = v2[i] + v5[i], d2 = v2[i] - v5[i], s3 = v3[i] + v4[i], d3 = v3[i] - v4[i];
        float a = s0 + s3, e = s0 - s3, c = s1 + s2, f = s1 - s2;

        v0[i] = C4 * (a + c);
        v4[i] = C4 * (a - c);
        v2[i] = C2 * e + C6 * f;
        v6[i] = C6 * e - C2 * f;
        v1[i] = C1 * d0 + C3 * d1 + C5 * d2 + C7 * d3;
        v3[i] = C3 * d0 - C7 * d1 - C1 * d2 - C5 * d3;
        v5[i] = C5 * d0 - C1 * d1 + C7 * d2 + C3 * d3;
        v7[i] = C7 * d0 - C5 * d1 + C3 * d2 - C1 * d3;
    }
}

AEI_CLONES
static void inverse_dct(float *restrict v0, float *restrict v1, float *restrict v2,
                        float *restrict v3, float *restrict v4, float *restrict v5,
                        float *restrict v6, float *restrict v7, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float f1 = v1[i], f3 = v3[i], f5 = v5[i], f7 = v7[i];
        float a = C4 * (v0[i] + v4[i]), c = C4 * (v0[i] - v4[i]);
        float e = C2 * v2[i] + C6 * v6[i], f = C6 * v2[i] - C2 * v6[i];
        float s0 = a + e, s3 = a - e, s1 = c + f, s2 = c - f;
        float d0 = C1 * f1 + C3 * f3 + C5 * f5 + C7 * f7,
              d1 = C3 * f1 - C7 * f3 - C1 * f5 - C5 * f7;
        float d2 = C5 * f1 - C1 * f3 + C7 * f5 + C3 * f7,
              d3 = C7 * f1 - C5 * f3 + C3 * f5 - C1 * f7;

        v0[i] = s0 + d0;
        v7[i] = s0 - d0;
        v1[i] = s1 + d1;
        v6[i] = s1 - d1;
        v2[i] = s2 + d2;
        v5[i] = s2 - d2;
        v3[i] = s3 + d3;
        v4[i] = s3 - d3;
    }
}

AEI_CLONES
static void quantise(float *v, size_t n, float step)
{
    float inverse = 1.0f / step;

    for (size_t i = 0; i < n; i++)
        v[i] = aei_round(v[i] * inverse) * step;
}

/* A row of n blocks' worth of samples to eight runs of n, and back. */
AEI_CLONES
static void deal(const float *restrict row, size_t n, float *restrict to, size_t step)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 8; k++)
            to[k * step + i] = row[8 * i + k];
}

AEI_CLONES
static void gather(float *restrict row, size_t n, const float *restrict from, size_t step)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 8; k++)
            row[8 * i + k] = from[k * step + i];
}

static void transform(void (*of)(float *, float *, float *, float *, float *, float *, float *,
                                 float *, size_t),
                      float *v, size_t step, size_t n)
{
    of(v, v + step, v + 2 * step, v + 3 * step, v + 4 * step, v + 5 * step, v + 6 * step,
       v + 7 * step, n);
}

/* blocks: as many floats as the plane. */
static void lose_plane(float *plane, uint32_t h, uint32_t w, const uint8_t *table, int quality,
                       float *blocks)
{
    int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    size_t across = w / 8, n = h / 8 * across;

    for (uint32_t y = 0; y < h; y++)
        deal(plane + (size_t)y * w, across, blocks + y % 8 * 8 * n + y / 8 * across, n);
    for (uint32_t k = 0; k < 8; k++)
        transform(dct, blocks + k * 8 * n, n, n);
    transform(dct, blocks, 8 * n, 8 * n);
    for (uint32_t i = 0; i < 64; i++) {
        int q = (table[i] * scale + 50) / 100;

        quantise(blocks + i * n, n, (float)(q < 1 ? 1 : q > 255 ? 255 : q));
    }
    transform(inverse_dct, blocks, 8 * n, 8 * n);
    for (uint32_t k = 0; k < 8; k++)
        transform(inverse_dct, blocks + k * 8 * n, n, n);
    for (uint32_t y = 0; y < h; y++)
        gather(plane + (size_t)y * w, across, blocks + y % 8 * 8 * n + y / 8 * across, n);
}

static inline float byte_of(float v)
{
    v *= 255.0f;
    return aei_round(v > 0 ? (v < 255.0f ? v : 255.0f) : 0);
}

static inline float from_byte(float v)
{
    v = aei_round(v);
    return (v > 0 ? (v < 255.0f ? v : 255.0f) : 0) * (1.0f / 255.0f);
}

/* Rows of interleaved pixels to rows of planes, centred at 0. */
AEI_CLONES
static void split_row(const float *restrict row, uint32_t w, uint32_t c, float *restrict y,
                      float *restrict cb, float *restrict cr)
{
    if (c == 1)
        for (size_t x = 0; x < w; x++)
            y[x] = byte_of(row[x]) - 128.0f;
    else
        for (size_t x = 0; x < w; x++) {
            float r = byte_of(row[3 * x]), g = byte_of(row[3 * x + 1]), b = byte_of(row[3 * x + 2]);

            y[x] = aei_round(0.299f * r + 0.587f * g + 0.114f * b) - 128.0f;
            cb[x] = aei_round(-0.168736f * r - 0.331264f * g + 0.5f * b);
            cr[x] = aei_round(0.5f * r - 0.418688f * g - 0.081312f * b);
        }
}

AEI_CLONES
static void join_row(float *restrict row, uint32_t w, uint32_t c, const float *restrict y,
                     const float *restrict cb, const float *restrict cr)
{
    if (c == 1)
        for (size_t x = 0; x < w; x++)
            row[x] = from_byte(y[x] + 128.0f);
    else
        for (size_t x = 0; x < w; x++) {
            float l = y[x] + 128.0f;

            row[3 * x] = from_byte(l + 1.402f * cr[x]);
            row[3 * x + 1] = from_byte(l - 0.344136f * cb[x] - 0.714136f * cr[x]);
            row[3 * x + 2] = from_byte(l + 1.772f * cb[x]);
        }
}

/* Repeats the edges of the w samples that follow the first `before`. */
static void pad_row(float *row, uint32_t before, uint32_t w, uint32_t width)
{
    for (uint32_t x = 0; x < before; x++)
        row[x] = row[before];
    for (uint32_t x = before + w; x < width; x++)
        row[x] = row[before + w - 1];
}

/* Means of 2 x 2. */
static void halve(const float *restrict from, uint32_t h, uint32_t w, float *restrict to)
{
    for (uint32_t y = 0; y < h / 2; y++)
        for (uint32_t x = 0; x < w / 2; x++) {
            const float *v = from + (size_t)2 * y * w + 2 * x;

            to[(size_t)y * (w / 2) + x] = 0.25f * (v[0] + v[1] + v[w] + v[w + 1]);
        }
}

/* Back by the triangle filter, weights 3/4 and 1/4. */
static void enlarge(const float *restrict from, uint32_t h, uint32_t w, float *restrict to,
                    float *restrict row)
{
    for (uint32_t y = 0; y < 2 * h; y++) {
        const float *near = from + (size_t)(y / 2) * w;
        const float *far = y & 1 ? (y / 2 + 1 < h ? near + w : near) : (y > 0 ? near - w : near);
        float *out = to + (size_t)y * 2 * w;

        for (uint32_t x = 0; x < w; x++)
            row[x] = 0.75f * near[x] + 0.25f * far[x];
        out[0] = row[0];
        for (uint32_t x = 0; x + 1 < w; x++) {
            out[2 * x + 1] = 0.75f * row[x] + 0.25f * row[x + 1];
            out[2 * x + 2] = 0.75f * row[x + 1] + 0.25f * row[x];
        }
        out[2 * w - 1] = row[w - 1];
    }
}

static uint32_t padded(uint32_t n, uint32_t before, uint32_t block)
{
    return (n + before + block - 1) / block * block;
}

size_t aei_jpeg_loss_scratch(uint32_t h, uint32_t w)
{
    return 5 * (size_t)padded(h, 15, 16) * padded(w, 15, 16) * sizeof(float);
}

void aei_jpeg_lose(const aei_jpeg_loss *loss, float *picture, uint32_t h, uint32_t w, uint32_t c,
                   void *scratch)
{
    uint32_t block = loss->halve_chroma ? 16 : 8, top = loss->y % block, left = loss->x % block;
    uint32_t height = padded(h, top, block), width = padded(w, left, block);
    size_t size = (size_t)height * width;
    float *plane[3], *other, *small;

    for (int k = 0; k < 3; k++)
        plane[k] = (float *)scratch + (size_t)k * size;
    other = plane[2] + size;
    small = other + size;
    for (uint32_t y = 0; y < height; y++) {
        uint32_t from = y < top ? 0 : y - top < h ? y - top : h - 1;
        size_t at = (size_t)y * width;

        split_row(picture + (size_t)from * w * c, w, c, plane[0] + at + left, plane[1] + at + left,
                  plane[2] + at + left);
        for (int k = 0; k < 3; k++)
            pad_row(plane[k] + at, left, w, width);
    }
    lose_plane(plane[0], height, width, QUANT[0], loss->quality, other);
    for (int k = 1; k < 3 && c == 3; k++) {
        if (loss->halve_chroma) {
            halve(plane[k], height, width, small);
            lose_plane(small, height / 2, width / 2, QUANT[1], loss->quality, other);
            enlarge(small, height / 2, width / 2, plane[k], other);
        } else {
            lose_plane(plane[k], height, width, QUANT[1], loss->quality, other);
        }
    }
    for (uint32_t y = 0; y < h; y++) {
        size_t at = (size_t)(y + top) * width + left;

        join_row(picture + (size_t)y * w * c, w, c, plane[0] + at, plane[1] + at, plane[2] + at);
    }
}

float aei_jpeg_low_steps(const uint16_t table[64])
{
    static const uint8_t low[] = {0, 1, 2, 3, 8, 9, 10, 16, 17, 24};
    float sum = 0;

    for (size_t i = 0; i < sizeof(low); i++)
        sum += table[low[i]] < 255 ? table[low[i]] : 255;
    return sum / sizeof(low);
}
