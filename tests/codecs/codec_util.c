/* SPDX-License-Identifier: BSD-2-Clause */
#include "codec_util.h"

#include <math.h>

ae_error util_err;

void check_ok(ae_status st, const ae_error *err, const char *file, int line)
{
    if (st != AE_OK) {
        print_error("%s: %s\n", ae_status_name(st), err->message);
        _fail(file, line);
    }
}

uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

ae_signal_info make_info(uint32_t width, uint32_t height, ae_sample sample, uint32_t channels)
{
    return (ae_signal_info){.kind = AE_KIND_IMAGE,
                            .sample = sample,
                            .bits = 8 * (uint32_t)ae_sample_bytes(sample),
                            .channels = channels,
                            .alpha = channels % 2 == 0,
                            .width = width,
                            .height = height};
}

void check_info(const ae_signal_info *found, const ae_signal_info *expected)
{
    assert_int_equal(found->kind, expected->kind);
    assert_int_equal(found->sample, expected->sample);
    assert_int_equal(found->bits, expected->bits);
    assert_int_equal(found->channels, expected->channels);
    assert_int_equal(found->alpha, expected->alpha);
    assert_int_equal(found->width, expected->width);
    assert_int_equal(found->height, expected->height);
    assert_true(found->rate == expected->rate);
}

void *make_noise(const ae_signal_info *info, uint32_t seed)
{
    size_t n = (size_t)(info->width * info->height * info->channels);
    void *pixels = ae_alloc(n, ae_sample_bytes(info->sample));

    assert_non_null(pixels);
    for (size_t i = 0; i < n; i++) {
        uint32_t v = next_random(&seed);

        if (info->sample == AE_U8)
            ((uint8_t *)pixels)[i] = (uint8_t)v;
        else if (info->sample == AE_U16)
            ((uint16_t *)pixels)[i] = (uint16_t)v;
        else
            ((float *)pixels)[i] = (float)v / 8388608.0f - 0.5f;
    }
    return pixels;
}

void *make_smooth(const ae_signal_info *info)
{
    size_t n = (size_t)(info->width * info->height);
    float *pixels = ae_alloc(n * info->channels, sizeof(float));
    void *out = ae_alloc(n * info->channels, ae_sample_bytes(info->sample));

    assert_non_null(pixels);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        for (uint32_t c = 0; c < info->channels; c++) {
            float x = (float)(i % info->width) / (float)info->width,
                  y = (float)(i / info->width) / (float)info->height;

            pixels[i * info->channels + c] = 0.5f + 0.4f * sinf(3 * x + 2 * y + (float)c);
        }
    ae_samples_from_f32(info->sample, pixels, out, n * info->channels);
    ae_free(pixels);
    return out;
}

ae_status encode(const char *name, const ae_signal_info *info, const void *pixels,
                 const ae_meta *meta, const ae_write_options *options, uint32_t band,
                 file_bytes *out, char note[160], ae_error *err)
{
    const ae_codec *codec = ae_codec_for_name(name);
    ae_memory_output memory;
    ae_encoder encoder;
    size_t row = ae_row_bytes(info);
    ae_status st;

    assert_non_null(codec);
    ae_memory_output_init(&memory);
    st = ae_encoder_open(codec, &memory.sink, info, meta, options, &encoder, err);
    for (uint64_t y = 0; y < info->height && st == AE_OK; y += band) {
        uint32_t n = (uint32_t)(info->height - y < band ? info->height - y : band);

        st = ae_encoder_write(&encoder, (const uint8_t *)pixels + y * row, n, err);
    }
    if (st == AE_OK)
        st = ae_encoder_finish(&encoder, err);
    else
        ae_encoder_abandon(&encoder);
    if (note)
        memcpy(note, encoder.writer.note, sizeof(encoder.writer.note));
    if (st != AE_OK) {
        ae_free(memory.data);
        memory.data = NULL;
        memory.n_bytes = 0;
    }
    *out = (file_bytes){memory.data, memory.n_bytes};
    return st;
}

ae_status decode_open(file_bytes file, const ae_limits *limits, decoded *d, ae_error *err)
{
    ae_status st;

    *d = (decoded){0};
    st = ae_source_memory(file.data, file.n_bytes, &d->source, err);
    if (st == AE_OK)
        st = ae_reader_open(d->source, limits, &d->reader, err);
    if (st != AE_OK)
        decode_close(d);
    return st;
}

ae_status decode_pixels(decoded *d, uint32_t band, ae_error *err)
{
    const ae_signal_info *info = &d->reader.info;
    size_t row = ae_row_bytes(info);
    ae_status st = AE_OK;

    d->pixels = ae_alloc(info->height, row);
    if (!d->pixels)
        return ae_fail(err, AE_ERR_NOMEM, "pixels");
    for (uint64_t y = 0; y < info->height && st == AE_OK; y += band) {
        uint32_t n = (uint32_t)(info->height - y < band ? info->height - y : band);

        st = ae_reader_read(&d->reader, (uint8_t *)d->pixels + y * row, n, err);
    }
    return st;
}

ae_status decode(file_bytes file, const ae_limits *limits, uint32_t band, decoded *d, ae_error *err)
{
    ae_status st = decode_open(file, limits, d, err);

    if (st == AE_OK && (st = decode_pixels(d, band, err)) != AE_OK)
        decode_close(d);
    return st;
}

void decode_close(decoded *d)
{
    ae_reader_close(&d->reader);
    ae_source_free(d->source);
    ae_free(d->pixels);
    *d = (decoded){0};
}

static void add(ae_meta *meta, ae_meta_kind kind, const char *key, const void *value,
                size_t n_bytes)
{
    assert_ok(ae_meta_add(meta, kind, key, value, n_bytes, &util_err));
}

/* A minimal valid matrix (or grey) profile: header, white point and curves. */
static size_t make_profile(uint8_t icc[1024], bool grey)
{
    static const char *const rgb_tags[] = {"wtpt", "rXYZ", "gXYZ", "bXYZ", "rTRC",
                                           "gTRC", "bTRC", "cprt", "desc"};
    static const char *const grey_tags[] = {"wtpt", "kTRC", "cprt", "desc"};
    static const uint32_t xyz[4][3] = {{0xf6d6, 0x10000, 0xd32d},
                                       {0x6fa2, 0x38f5, 0x0390},
                                       {0x6299, 0xb785, 0x18da},
                                       {0x24a0, 0x0f84, 0xb6cf}};
    const char *const *tags = grey ? grey_tags : rgb_tags;
    uint32_t n_tags = grey ? 4 : 9, at = 128 + 4 + 12 * n_tags;

    memset(icc, 0, 1024);
#define PUT32(o, v)                                                                                \
    do {                                                                                           \
        for (unsigned k_ = 0; k_ < 4; k_++)                                                        \
            icc[(o) + k_] = (uint8_t)((uint32_t)(v) >> (24 - 8 * k_));                             \
    } while (0)
    PUT32(8, 0x02400000);
    memcpy(icc + 12, "mntr", 4);
    memcpy(icc + 16, grey ? "GRAY" : "RGB ", 4);
    memcpy(icc + 20, "XYZ ", 4);
    for (unsigned i = 0; i < 6; i++)
        icc[24 + 2 * i + 1] = 1; /* a date */
    memcpy(icc + 36, "acsp", 4);
    PUT32(68, 0xf6d6);
    PUT32(72, 0x10000);
    PUT32(76, 0xd32d);
    PUT32(128, n_tags);
    for (uint32_t i = 0; i < n_tags; i++) {
        uint32_t n = 20, x = strncmp(tags[i] + 1, "XYZ", 3) == 0 ? i : 0;

        memcpy(icc + 132 + 12 * i, tags[i], 4);
        PUT32(132 + 12 * i + 4, at);
        if (strcmp(tags[i] + 1, "TRC") == 0) {
            memcpy(icc + at, "curv", 4);
            PUT32(at + 8, 1);
            icc[at + 12] = 2; /* gamma 2.0 */
            n = 14;
        } else if (strcmp(tags[i], "cprt") == 0) {
            memcpy(icc + at, "text", 4);
            memcpy(icc + at + 8, "none", 4);
        } else if (strcmp(tags[i], "desc") == 0) {
            memcpy(icc + at, "desc", 4);
            PUT32(at + 8, 5);
            memcpy(icc + at + 12, "test", 4);
            n = 12 + 5 + 12 + 67 + 6;
        } else {
            memcpy(icc + at, "XYZ ", 4);
            for (unsigned k = 0; k < 3; k++)
                PUT32(at + 8 + 4 * k, xyz[x][k]);
        }
        PUT32(132 + 12 * i + 8, n);
        at += (n + 3) / 4 * 4;
    }
    PUT32(0, at);
#undef PUT32
    return at;
}

void fill_meta(ae_meta *meta, uint32_t channels)
{
    /* Little-endian TIFF, orientation 6, and a maker's string. */
    static const uint8_t exif[] = {
        'I',  'I',  42, 0, 8, 0, 0, 0, 2, 0, 0x0f, 0x01, 2, 0, 6, 0, 0,   0,   38,  0,   0,   0,
        0x12, 0x01, 3,  0, 1, 0, 0, 0, 6, 0, 0,    0,    0, 0, 0, 0, 'M', 'a', 'k', 'e', 'r', 0};
    static const char xmp[] =
        "<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta "
        "xmlns:x='adobe:ns:meta/'>"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/></x:xmpmeta><?xpacket "
        "end='w'?>";
    static const uint8_t iptc[] = {0x1c, 2, 0, 0,   2,   0,   4,   0x1c, 2,
                                   5,    0, 5, 'T', 'i', 't', 'l', 'e'};
    /* 72 and 144 to the inch */
    static const uint8_t density[] = {0x13, 0x0b, 0, 0, 0x25, 0x16, 0, 0};
    uint8_t icc[1024];

    *meta = (ae_meta){0};
    add(meta, AE_META_ICC, NULL, icc, make_profile(icc, channels < 3));
    add(meta, AE_META_EXIF, NULL, exif, sizeof(exif));
    add(meta, AE_META_XMP, NULL, xmp, sizeof(xmp) - 1);
    add(meta, AE_META_IPTC, NULL, iptc, sizeof(iptc));
    add(meta, AE_META_DENSITY, NULL, density, sizeof(density));
    add(meta, AE_META_TEXT, "Comment", "gr\xc3\xbc\xc3\x9f dich", 11);
}

void check_meta(const ae_meta *found, const ae_meta *expected, ae_meta_kind kind)
{
    const ae_meta_item *f = ae_meta_find(found, kind), *e = ae_meta_find(expected, kind);

    assert_non_null(e);
    if (!f) {
        print_error("metadata kind %d is missing\n", kind);
        fail();
    }
    assert_int_equal(f->n_bytes, e->n_bytes);
    assert_memory_equal(f->value, e->value, e->n_bytes);
    if (e->key)
        assert_string_equal(f->key, e->key);
}

const ae_meta_item *find_text(const ae_meta *meta, const char *key)
{
    for (size_t i = 0; i < meta->n_items; i++)
        if (meta->items[i].kind == AE_META_TEXT && strcmp(meta->items[i].key, key) == 0)
            return &meta->items[i];
    return NULL;
}
