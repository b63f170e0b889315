/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What adapters share: limits, what is kept for a writer of the same format, notes, metadata as
 * text. */
#include "adapter.h"

#include <math.h>
#include <string.h>

ae_status aei_check_size(const ae_limits *limits, uint64_t width, uint64_t height, ae_error *err)
{
    ae_limits l = ae_limits_resolve(limits);
    uint64_t pixels;

    if (width == 0 || height == 0)
        return ae_fail(err, AE_ERR_MALFORMED, "the picture is empty (%llu x %llu)",
                       (unsigned long long)width, (unsigned long long)height);
    if (width > l.max_edge || height > l.max_edge)
        return ae_fail(err, AE_ERR_LIMIT, "%llu x %llu pixels: an edge exceeds max_edge (%llu)",
                       (unsigned long long)width, (unsigned long long)height,
                       (unsigned long long)l.max_edge);
    if (__builtin_mul_overflow(width, height, &pixels) || pixels > l.max_pixels)
        return ae_fail(err, AE_ERR_LIMIT,
                       "%llu x %llu pixels exceed max_pixels (%llu, set by --max-pixels)",
                       (unsigned long long)width, (unsigned long long)height,
                       (unsigned long long)l.max_pixels);
    return AE_OK;
}

ae_status aei_check_memory(const ae_limits *limits, uint64_t bytes, ae_error *err)
{
    ae_limits l = ae_limits_resolve(limits);

    if (bytes > l.max_memory)
        return ae_fail(err, AE_ERR_LIMIT, "decoding takes %llu bytes, more than max_memory (%llu)",
                       (unsigned long long)bytes, (unsigned long long)l.max_memory);
    return AE_OK;
}

ae_status aei_charge(uint64_t *charged, const ae_limits *limits, uint64_t bytes,
                     const ae_codec *codec, ae_error *err)
{
    ae_status st = aei_check_memory(limits, bytes, err);

    if (st == AE_OK && (st = ae_memory_take(bytes, codec->description, err)) == AE_OK)
        *charged += bytes;
    return st;
}

void aei_give(uint64_t *charged)
{
    ae_memory_give(*charged);
    *charged = 0;
}

ae_signal_info aei_image_info(uint64_t width, uint64_t height, ae_sample sample, uint32_t channels)
{
    return (ae_signal_info){.kind = AE_KIND_IMAGE,
                            .sample = sample,
                            .bits = 8 * (uint32_t)ae_sample_bytes(sample),
                            .channels = channels,
                            .alpha = channels == 2 || channels == 4,
                            .width = width,
                            .height = height};
}

ae_status aei_keep(ae_reader *reader, const void *data, size_t n_bytes, ae_error *err)
{
    ae_free(reader->kept);
    reader->n_kept = 0;
    if (!(reader->kept = ae_alloc(n_bytes, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "%s decoder", reader->codec->description);
    memcpy(reader->kept, data, n_bytes);
    reader->n_kept = n_bytes;
    return AE_OK;
}

const void *aei_kept(const ae_reader *reader, const ae_codec *codec, size_t n_bytes)
{
    return reader && reader->codec == codec && reader->n_kept == n_bytes ? reader->kept : NULL;
}

void aei_note(char note[160], const char *text)
{
    size_t n = strlen(note);

    if (!strstr(note, text))
        snprintf(note + n, 160 - n, "%s%s", n ? ", " : "", text);
}

void aei_further(ae_reader *reader, uint64_t n)
{
    reader->n_further = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX - 1;
}

ae_status aei_add_exif(ae_meta *meta, const uint8_t *data, size_t n_bytes, ae_error *err)
{
    if (n_bytes >= 6 && memcmp(data, "Exif\0", 5) == 0) {
        data += 6;
        n_bytes -= 6;
    }
    if (n_bytes < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0) ||
        ae_meta_find(meta, AE_META_EXIF))
        return AE_OK;
    return ae_meta_add(meta, AE_META_EXIF, NULL, data, n_bytes, err);
}

ae_status aei_add_density(ae_meta *meta, double x_per_metre, double y_per_metre, ae_error *err)
{
    uint8_t value[8];
    double d[2] = {x_per_metre, y_per_metre};

    for (int i = 0; i < 2; i++) {
        uint32_t v;

        if (!(d[i] >= 0.5 && d[i] < 2147483647.0))
            return AE_OK;
        v = (uint32_t)lround(d[i]);
        for (int k = 0; k < 4; k++)
            value[4 * i + k] = (uint8_t)(v >> 8 * k);
    }
    return ae_meta_add(meta, AE_META_DENSITY, NULL, value, sizeof(value), err);
}

bool aei_get_density(const ae_meta *meta, uint32_t *x_per_metre, uint32_t *y_per_metre)
{
    const ae_meta_item *item = ae_meta_find(meta, AE_META_DENSITY);
    uint32_t v[2] = {0, 0};

    if (!item || item->n_bytes != 8)
        return false;
    for (int i = 0; i < 8; i++)
        v[i / 4] |= (uint32_t)item->value[i] << 8 * (i % 4);
    *x_per_metre = v[0];
    *y_per_metre = v[1];
    return true;
}

/* "8BIM", id, padded Pascal name, length, padded data. */
ae_status aei_add_photoshop(ae_meta *meta, const uint8_t *p, size_t n, ae_error *err)
{
    while (n >= 12 && memcmp(p, "8BIM", 4) == 0 && !ae_meta_find(meta, AE_META_IPTC)) {
        uint32_t id = (uint32_t)p[4] << 8 | p[5];
        size_t at = 6 + (((size_t)p[6] + 2) & ~(size_t)1), length;

        if (at > n - 4)
            break;
        length = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
        at += 4;
        if (length > n - at)
            break;
        if (id == 0x0404 && length)
            return ae_meta_add(meta, AE_META_IPTC, NULL, p + at, length, err);
        length += length & 1;
        if (length > n - at)
            break;
        p += at + length;
        n -= at + length;
    }
    return AE_OK;
}

void aei_photoshop_head(size_t n_bytes, uint8_t head[AEI_PHOTOSHOP_HEAD])
{
    memcpy(head, "8BIM\x04\x04\0\0", 8);
    for (unsigned i = 0; i < 4; i++)
        head[8 + i] = (uint8_t)(n_bytes >> 8 * (3 - i));
}

static bool is_utf8(const uint8_t *p, size_t n)
{
    while (n) {
        size_t more = *p < 0x80                 ? 0
                      : *p >= 0xc2 && *p < 0xe0 ? 1
                      : *p >= 0xe0 && *p < 0xf0 ? 2
                      : *p >= 0xf0 && *p < 0xf5 ? 3
                                                : 4;

        if (more == 4 || more >= n)
            return false;
        for (size_t i = 1; i <= more; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        p += more + 1;
        n -= more + 1;
    }
    return true;
}

/* An ae_alloc copy in UTF-8, NUL-terminated, or NULL. */
static char *to_utf8(const uint8_t *text, size_t n_bytes, size_t *n_out)
{
    bool copy = is_utf8(text, n_bytes);
    uint8_t *out = ae_alloc(n_bytes + 1, 2), *p = out;

    *n_out = 0;
    if (!out)
        return NULL;
    for (size_t i = 0; i < n_bytes; i++) {
        if (copy || text[i] < 0x80) {
            *p++ = text[i];
        } else {
            *p++ = (uint8_t)(0xc0 | text[i] >> 6);
            *p++ = (uint8_t)(0x80 | (text[i] & 0x3f));
        }
    }
    *n_out = (size_t)(p - out);
    return (char *)out;
}

static ae_status add_utf8(ae_meta *meta, ae_meta_kind kind, const char *key, const void *text,
                          size_t n_bytes, ae_error *err)
{
    size_t n_key, n_value;
    char *key8 = to_utf8((const uint8_t *)key, strlen(key), &n_key),
         *value = to_utf8(text, n_bytes, &n_value);
    ae_status st;

    if (key8 && value)
        st = ae_meta_add(meta, kind, key8, value, n_value, err);
    else
        st = ae_fail(err, AE_ERR_NOMEM, "text");
    ae_free(key8);
    ae_free(value);
    return st;
}

ae_status aei_add_text(ae_meta *meta, const char *key, const void *text, size_t n_bytes,
                       ae_error *err)
{
    return add_utf8(meta, AE_META_TEXT, key, text, n_bytes, err);
}

ae_status aei_add_tag(ae_meta *meta, const char *key, const void *text, size_t n_bytes,
                      ae_error *err)
{
    return add_utf8(meta, AE_META_TAG, key, text, n_bytes, err);
}

bool aei_is_text(const ae_meta_item *item, const char *key)
{
    return item->kind == AE_META_TEXT && item->key && strcmp(item->key, key) == 0;
}

ae_status aei_check_image(const ae_signal_info *info, ae_error *err)
{
    if (info->kind != AE_KIND_IMAGE || info->channels < 1 || info->channels > 4 ||
        info->alpha != (info->channels % 2 == 0) || !info->width || !info->height ||
        !ae_row_bytes(info))
        return ae_fail(
            err, AE_ERR_ARGUMENT, "not a picture that can be written (%u channels, %llu x %llu)",
            info->channels, (unsigned long long)info->width, (unsigned long long)info->height);
    return AE_OK;
}

ae_status aei_check_sound(const ae_signal_info *info, ae_error *err)
{
    bool good = info->sample == AE_S8 || info->sample == AE_S16 || info->sample == AE_S24 ||
                info->sample == AE_S32 || info->sample == AE_F32 || info->sample == AE_F64;

    if (info->kind != AE_KIND_AUDIO || !good || info->channels < 1 || info->width != 1 ||
        !ae_row_bytes(info) || !(info->rate > 0))
        return ae_fail(err, AE_ERR_ARGUMENT,
                       "not a sound that can be written (%u channels at %g Hz)", info->channels,
                       info->rate);
    return AE_OK;
}
