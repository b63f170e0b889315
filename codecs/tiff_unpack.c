/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Samples of TIFF files to samples of signals: from any number of bits, signed, half and double, of
 * Lab and XYZ. */
#include <math.h>
#include <string.h>

#include "tiff.h"

static bool is_lab(const tiff_state *s)
{
    return s->photometric == PHOTOMETRIC_CIELAB || s->photometric == PHOTOMETRIC_ICCLAB;
}

static bool is_log(const tiff_state *s)
{
    return s->photometric == PHOTOMETRIC_LOGLUV || s->photometric == PHOTOMETRIC_LOGL;
}

bool aei_tiff_is_special(const tiff_state *s)
{
    return is_lab(s) || s->photometric == PHOTOMETRIC_LOGLUV || s->format == SAMPLEFORMAT_INT ||
           (s->bits == 32 && s->format != SAMPLEFORMAT_IEEEFP);
}

static uint32_t get_sample(const tiff_state *s, const uint8_t *raw, size_t i)
{
    uint64_t at = (uint64_t)i * s->bits;
    uint32_t v = 0;

    if (s->bits == 8)
        return raw[i];
    if (s->bits == 16)
        return ((const uint16_t *)(const void *)raw)[i];
    if (s->bits == 32)
        return ((const uint32_t *)(const void *)raw)[i];
    for (unsigned k = 0; k < s->bits; k++, at++)
        v = v << 1 | (raw[at / 8] >> (7 - at % 8) & 1);
    return v;
}

static float from_half(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    float v = exponent == 31 ? (mantissa ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + mantissa), exponent - 25)
                             : ldexpf((float)mantissa, -24);

    return h & 0x8000 ? -v : v;
}

/* On a scale where full is 1. */
static float get_float(const tiff_state *s, const uint8_t *raw, size_t i)
{
    if (s->format == SAMPLEFORMAT_IEEEFP)
        return s->bits == 16   ? from_half(((const uint16_t *)(const void *)raw)[i])
               : s->bits == 64 ? (float)((const double *)(const void *)raw)[i]
                               : ((const float *)(const void *)raw)[i];
    if (s->format == SAMPLEFORMAT_INT)
        return (float)((double)(int32_t)get_sample(s, raw, i) / INT32_MAX);
    return (float)(get_sample(s, raw, i) / (double)((UINT64_C(1) << s->bits) - 1));
}

/* ---- colours ---- */

/* CIE XYZ of the white D65, Y of white 1, to linear RGB of the primaries of sRGB. */
static void to_linear(const double xyz[3], double rgb[3])
{
    static const double m[3][3] = {{3.2404542, -1.5371385, -0.4985314},
                                   {-0.9692660, 1.8760108, 0.0415560},
                                   {0.0556434, -0.2040259, 1.0572252}};

    for (int i = 0; i < 3; i++)
        rgb[i] = m[i][0] * xyz[0] + m[i][1] * xyz[1] + m[i][2] * xyz[2];
}

static double encode_srgb(double v)
{
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static double lab_inverse(double t)
{
    return t > 6.0 / 29 ? t * t * t : 3 * (6.0 / 29) * (6.0 / 29) * (t - 4.0 / 29);
}

/* L of 0..100, a and b of the white D50, to sRGB. */
static void lab_to_srgb(const double lab[3], double rgb[3])
{
    static const double white[3] = {0.96422, 1, 0.82521};
    static const double to_d65[3][3] = {{0.9555766, -0.0230393, 0.0631636},
                                        {-0.0282895, 1.0099416, 0.0210077},
                                        {0.0122982, -0.0204830, 1.3299098}}; /* Bradford */
    double fy = (lab[0] + 16) / 116, f[3] = {fy + lab[1] / 500, fy, fy - lab[2] / 200}, d50[3],
           d65[3];

    for (int i = 0; i < 3; i++)
        d50[i] = white[i] * lab_inverse(f[i]);
    for (int i = 0; i < 3; i++)
        d65[i] = to_d65[i][0] * d50[0] + to_d65[i][1] * d50[1] + to_d65[i][2] * d50[2];
    to_linear(d65, rgb);
    for (int i = 0; i < 3; i++)
        rgb[i] = encode_srgb(rgb[i]);
}

/* L fills its samples; a and b are signed, in CIELAB as two's complement, in ICCLAB with an offset.
 */
static void unpack_lab(const tiff_state *s, const uint8_t *raw, size_t x,
                       const ae_signal_info *info, uint16_t *out)
{
    double full = s->bits == 8 ? 255 : 65535, unit = s->bits == 8 ? 1 : 256, lab[3] = {0}, rgb[3];
    size_t at = x * s->samples;

    lab[0] = get_sample(s, raw, at) * 100 / full;
    for (uint32_t c = 1; c < s->n_colours; c++) {
        uint32_t v = get_sample(s, raw, at + c);
        double centre = s->bits == 8 ? 128 : 32768;

        lab[c] = (s->photometric == PHOTOMETRIC_ICCLAB ? v - centre
                  : v >= centre                        ? v - 2 * centre
                                                       : v) /
                 unit;
    }
    lab_to_srgb(lab, rgb);
    for (uint32_t c = 0; c < s->n_colours; c++)
        out[c] = (uint16_t)lround(65535 * rgb[c]);
    if (info->alpha)
        out[s->n_colours] = (uint16_t)(get_sample(s, raw, at + s->n_colours) *
                                       (s->bits == 8 ? 257 : 1));
}

/* One pixel of integer samples, stretched to 8 or 16 bits; straight alpha. */
static void unpack_pixel(const tiff_state *s, const uint8_t *raw, size_t x,
                         const ae_signal_info *info, uint32_t out[4])
{
    uint32_t max = (1u << s->bits) - 1, full = info->sample == AE_U16 ? 65535 : 255, v[5] = {0};

    for (uint32_t c = 0; c < s->n_colours + info->alpha; c++) {
        uint32_t sample = get_sample(s, raw, x * s->samples + c);

        if (s->format == SAMPLEFORMAT_INT)
            sample ^= max / 2 + 1;
        v[c] = s->palette[0] && c == 0 ? sample
                                       : (uint32_t)(((uint64_t)sample * full + max / 2) / max);
    }
    if (s->palette[0]) {
        for (int c = 0; c < 3; c++)
            out[c] = s->palette[c][v[0]] >> 8;
    } else if (s->n_colours == 4) {
        for (int c = 0; c < 3; c++)
            out[c] = (uint32_t)(((uint64_t)(full - v[c]) * (full - v[3]) + full / 2) / full);
    } else {
        for (uint32_t c = 0; c < s->n_colours; c++)
            out[c] = s->photometric == PHOTOMETRIC_MINISWHITE ? full - v[c] : v[c];
    }
    if (info->alpha)
        out[info->channels - 1] = v[s->n_colours];
    for (uint32_t c = 0; s->premultiplied && c + 1 < info->channels; c++) {
        uint32_t a = out[info->channels - 1];

        out[c] = a == 0        ? 0
                 : out[c] >= a ? full
                               : (uint32_t)(((uint64_t)out[c] * full + a / 2) / a);
    }
}

static void unpack_float(const tiff_state *s, const uint8_t *raw, size_t x,
                         const ae_signal_info *info, float *out)
{
    for (uint32_t c = 0; c < info->channels; c++) {
        float v = get_float(s, raw, x * s->samples + c),
              a = info->alpha ? get_float(s, raw, x * s->samples + s->n_colours) : 1;

        if (c < s->n_colours && s->photometric == PHOTOMETRIC_MINISWHITE)
            v = 1 - v;
        out[c] = c < s->n_colours && s->premultiplied && a > 0 ? v / a : v;
    }
    if (is_log(s) && s->n_colours == 3) {
        double xyz[3] = {(double)out[0], (double)out[1], (double)out[2]}, rgb[3];

        to_linear(xyz, rgb);
        for (int c = 0; c < 3; c++)
            out[c] = (float)rgb[c];
    }
}

void aei_tiff_unpack(const tiff_state *s, const uint8_t *raw, const ae_signal_info *info,
                     uint8_t *row)
{
    if (s->simple) {
        memcpy(row, raw, s->row_bytes);
        return;
    }
    for (size_t x = 0; x < info->width; x++) {
        uint32_t v[4];

        if (info->sample == AE_F32) {
            unpack_float(s, raw, x, info, (float *)(void *)row + x * info->channels);
            continue;
        }
        if (is_lab(s)) {
            unpack_lab(s, raw, x, info, (uint16_t *)(void *)row + x * info->channels);
            continue;
        }
        unpack_pixel(s, raw, x, info, v);
        for (uint32_t c = 0; c < info->channels; c++)
            if (info->sample == AE_U16)
                ((uint16_t *)(void *)row)[x * info->channels + c] = (uint16_t)v[c];
            else
                row[x * info->channels + c] = (uint8_t)v[c];
    }
}
