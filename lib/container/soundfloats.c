/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Floats without loss. A tile has a scale, in which most of its samples are whole numbers, and
 * these are predicted as samples of whole numbers are. The bits below them are told beside them,
 * and so are samples that no such number stands for, NaN and infinities among them: every bit
 * comes back. */
#include "soundfloats.h"

#include <string.h>

enum {
    MOST_BITS = 31, /* of whole numbers without anything below them */
    BITS = 24,      /* of others */
    PLACES = 2200   /* for exponents and places of last bits, of f64 from -1074 to 1024 */
};

/* f32 and f64 alike: their pattern in the low bits. */
typedef struct layout {
    uint32_t bytes, mantissa, exponent;
    int32_t bias;
} layout;

static layout layout_of(const ae_signal_info *info)
{
    return info->sample == AE_F32 ? (layout){4, 23, 8, 127} : (layout){8, 52, 11, 1023};
}

static uint64_t pattern_at(const layout *l, const void *samples, size_t i)
{
    uint64_t u = 0;

    /* little-endian, as soundtile.c makes sure */
    memcpy(&u, (const uint8_t *)samples + i * l->bytes, l->bytes);
    return u;
}

/* A number that is not 0, denormal, infinite or none: magnitude * 2^place, magnitude with all bits
 * of a mantissa. */
typedef struct number {
    bool negative;
    uint64_t magnitude;
    int32_t place;
} number;

static bool take_apart(const layout *l, uint64_t pattern, number *out)
{
    uint64_t exponent = pattern >> l->mantissa & ((1ull << l->exponent) - 1);

    *out = (number){.negative = pattern >> (l->mantissa + l->exponent) & 1,
                    .magnitude = (pattern & ((1ull << l->mantissa) - 1)) | 1ull << l->mantissa,
                    .place = (int32_t)exponent - l->bias - (int32_t)l->mantissa};
    return exponent && exponent != (1ull << l->exponent) - 1;
}

/* ---- bits ---- */

void aei_put_bits(aei_bit_writer *b, uint64_t v, uint32_t n)
{
    for (uint32_t part; n; n -= part, v >>= part) {
        part = n < 16 ? n : 16;
        b->held |= (uint32_t)(v & ((1u << part) - 1)) << b->n;
        for (b->n += part; b->n >= 8; b->n -= 8, b->held >>= 8)
            aei_put_u8(b->to, b->held & 255);
    }
}

void aei_end_bits(aei_bit_writer *b)
{
    if (b->n)
        aei_put_u8(b->to, b->held);
    b->held = b->n = 0;
}

uint64_t aei_get_bits(const uint8_t *bytes, size_t n_bytes, uint64_t at, uint32_t n)
{
    uint64_t v = 0;

    for (uint32_t done = 0, part; done < n; done += part, at += part) {
        uint32_t byte = at / 8 < n_bytes ? bytes[at / 8] : 0;

        part = 8 - (uint32_t)(at & 7) < n - done ? 8 - (uint32_t)(at & 7) : n - done;
        v |= (uint64_t)(byte >> (at & 7) & ((1u << part) - 1)) << done;
    }
    return v;
}

/* ---- to whole numbers ---- */

/* Where the largest numbers begin and where the last bits lie; a few that are far from all others
 * do not count. */
static bool survey(const layout *l, const void *samples, size_t n, int32_t *top, int32_t *last)
{
    static const int32_t offset = 1100;
    uint32_t tops[PLACES] = {0}, lasts[PLACES] = {0};
    size_t numbers = 0, beyond = 0;
    number v;

    for (size_t i = 0; i < n; i++)
        if (take_apart(l, pattern_at(l, samples, i), &v)) {
            tops[v.place + (int32_t)l->mantissa + 1 + offset]++;
            lasts[v.place + __builtin_ctzll(v.magnitude) + offset]++;
            numbers++;
        }
    *top = *last = 0;
    if (!numbers)
        return false;
    for (*top = PLACES - 1; beyond + tops[*top] <= numbers / 1024; --*top)
        beyond += tops[*top];
    beyond = 0;
    for (*last = 0; beyond + lasts[*last] <= numbers / 256; ++*last)
        beyond += lasts[*last];
    *top -= offset;
    *last -= offset;
    return true;
}

/* The whole number of a sample and the bits below it; false where it must be told apart. */
static bool to_whole(const layout *l, uint64_t pattern, int32_t scale, bool exact, int32_t *whole,
                     uint64_t *low, uint32_t *n_low)
{
    number v;
    int32_t shift;

    *low = 0;
    *n_low = 0;
    *whole = 0;
    if (!pattern)
        return true;
    if (!take_apart(l, pattern, &v))
        return false;
    shift = v.place + scale;
    if (shift > 0) {
        if (shift > MOST_BITS - 1 || v.magnitude >> (MOST_BITS - shift))
            return false;
        v.magnitude <<= shift;
    } else if (shift < 0) {
        if (-shift > (int32_t)l->mantissa)
            return false;
        *n_low = (uint32_t)-shift;
        *low = v.magnitude & ((1ull << *n_low) - 1);
        v.magnitude >>= *n_low;
        if (exact && *low)
            return false;
    }
    if (v.magnitude >> MOST_BITS)
        return false;
    *whole = v.negative ? -(int32_t)v.magnitude : (int32_t)v.magnitude;
    return true;
}

bool aei_floats_to_whole(const ae_signal_info *info, const void *samples, uint32_t frames,
                         int32_t *values, aei_buffer *out)
{
    const layout l = layout_of(info);
    const size_t n = (size_t)frames * info->channels;
    aei_buffer low = {0}, odd = {0};
    aei_bit_writer bits = {.to = &low};
    int32_t top, last, scale;
    uint64_t n_odd = 0, since = 0;
    bool exact, good;

    if (survey(&l, samples, n, &top, &last) && top - last > MOST_BITS) {
        exact = false;
        scale = BITS - top;
    } else {
        exact = true;
        scale = -last;
    }
    for (uint32_t c = 0; c < info->channels; c++)
        for (uint32_t t = 0; t < frames; t++, since++) {
            uint64_t pattern = pattern_at(&l, samples, (size_t)t * info->channels + c), below;
            int32_t *v = &values[(size_t)c * frames + t];
            uint32_t n_below;

            if (to_whole(&l, pattern, scale, exact, v, &below, &n_below)) {
                if (!exact)
                    aei_put_bits(&bits, below, n_below);
                continue;
            }
            *v = t ? v[-1] : 0; /* what is easily predicted */
            aei_put_number(&odd, since);
            aei_put(&odd, &pattern, l.bytes);
            since = UINT64_MAX;
            n_odd++;
        }
    aei_end_bits(&bits);
    aei_put_number(out, scale < 0 ? 2 * (uint64_t) - (int64_t)scale - 1 : 2 * (uint64_t)scale);
    aei_put_number(out, n_odd);
    aei_put(out, odd.data, odd.n_bytes);
    aei_put_u8(out, !exact);
    if (!exact) {
        aei_put_number(out, low.n_bytes);
        aei_put(out, low.data, low.n_bytes);
    }
    out->failed |= low.failed | odd.failed;
    good = odd.n_bytes + low.n_bytes < n * l.bytes;
    ae_free(low.data);
    ae_free(odd.data);
    return good;
}

/* ---- and back ---- */

ae_status aei_floats_take(const ae_signal_info *info, uint32_t frames, aei_cursor *at,
                          aei_float_tile *f, ae_error *err)
{
    const layout l = layout_of(info);
    uint64_t scale = aei_take_number(at), n = (uint64_t)frames * info->channels, place = 0;

    *f = (aei_float_tile){.n_odd = aei_take_number(at)};
    f->odd.at = at->at;
    for (uint64_t i = 0; i < f->n_odd && !at->bad; i++) {
        uint64_t between = aei_take_number(at);

        aei_take(at, l.bytes);
        at->bad |= between >= n - place;
        place += at->bad ? 0 : between + 1;
    }
    f->odd.end = at->at;
    if (aei_take_u8(at) & 1) {
        f->n_low = (size_t)aei_take_number(at);
        f->low = aei_take(at, f->n_low);
    }
    if (at->bad || scale > 2 * PLACES)
        return ae_fail(err, AE_ERR_MALFORMED, "damaged floats in a tile of sound");
    f->scale = scale & 1 ? -(int32_t)(scale / 2) - 1 : (int32_t)(scale / 2);
    return AE_OK;
}

/* false where no float is that. */
static bool from_whole(const layout *l, const aei_float_tile *f, int32_t whole, uint64_t *bit,
                       uint64_t *pattern)
{
    uint64_t magnitude = whole < 0 ? (uint64_t) - (int64_t)whole : (uint64_t)whole;
    int32_t place = -f->scale, length, more, exponent;

    *pattern = 0;
    if (!whole)
        return true;
    length = 64 - __builtin_clzll(magnitude);
    more = (int32_t)l->mantissa + 1 - length;
    if (more > 0) {
        magnitude <<= more;
        if (f->low) {
            magnitude |= aei_get_bits(f->low, f->n_low, *bit, (uint32_t)more);
            *bit += (uint32_t)more;
        }
    } else if (magnitude & ((1ull << -more) - 1)) {
        return false;
    } else {
        magnitude >>= -more;
    }
    exponent = place - more + (int32_t)l->mantissa + l->bias;
    if (exponent < 1 || exponent >= (1 << l->exponent) - 1)
        return false;
    *pattern = (magnitude & ((1ull << l->mantissa) - 1)) | (uint64_t)exponent << l->mantissa |
               (uint64_t)(whole < 0) << (l->mantissa + l->exponent);
    return true;
}

ae_status aei_floats_from_whole(const ae_signal_info *info, const aei_float_tile *f,
                                const int32_t *values, uint32_t frames, void *samples,
                                ae_error *err)
{
    const layout l = layout_of(info);
    aei_cursor odd = f->odd;
    uint64_t left = f->n_odd, next = left ? aei_take_number(&odd) : UINT64_MAX, bit = 0;

    for (uint32_t c = 0; c < info->channels; c++)
        for (uint32_t t = 0; t < frames; t++) {
            uint64_t pattern = 0;
            uint8_t *to = (uint8_t *)samples + ((size_t)t * info->channels + c) * l.bytes;

            if (!next) {
                memcpy(&pattern, aei_take(&odd, l.bytes), l.bytes);
                next = --left ? aei_take_number(&odd) : UINT64_MAX;
            } else {
                if (!from_whole(&l, f, values[(size_t)c * frames + t], &bit, &pattern))
                    return ae_fail(err, AE_ERR_MALFORMED,
                                   "a number in a tile of sound that no float is");
                next--;
            }
            memcpy(to, &pattern, l.bytes);
        }
    return AE_OK;
}
