/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds through their adapters: samples bit for bit, what stands beside them, and damage. */
#include <math.h>
#include <stdlib.h>

#include "codec_util.h"

static ae_signal_info sound_info(ae_sample sample, uint32_t channels, double rate)
{
    return (ae_signal_info){.kind = AE_KIND_AUDIO,
                            .sample = sample,
                            .bits = 8 * (uint32_t)ae_sample_bytes(sample),
                            .channels = channels,
                            .width = 1,
                            .rate = rate};
}

/* Floats between -1.5 and 1.5, integers over their whole range. */
static uint8_t *make_sound(const ae_signal_info *info, size_t n_frames)
{
    size_t n = n_frames * info->channels, bytes = ae_sample_bytes(info->sample);
    uint8_t *p = ae_alloc(n + 1, bytes);
    uint32_t seed = 7;

    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        uint32_t v = next_random(&seed) ^ next_random(&seed) << 16;

        if (info->sample == AE_F32)
            ((float *)p)[i] = (float)((double)v / 4294967296.0 * 3 - 1.5);
        else if (info->sample == AE_F64)
            ((double *)p)[i] = (double)v / 4294967296.0 * 3 - 1.5;
        else
            memcpy(p + i * bytes, &v, bytes);
    }
    return p;
}

static file_bytes write_sound(const char *codec, const ae_signal_info *info, const void *samples,
                              size_t n_frames, const ae_meta *meta, const ae_write_options *options,
                              char note[160])
{
    ae_memory_output memory;
    ae_encoder encoder;

    ae_memory_output_init(&memory);
    assert_non_null(ae_codec_for_name(codec));
    assert_ok(ae_encoder_open(ae_codec_for_name(codec), &memory.sink, info, meta, options, &encoder,
                              &util_err));
    for (size_t at = 0; at < n_frames; at += 1000)
        assert_ok(ae_encoder_write(&encoder, (const uint8_t *)samples + at * ae_row_bytes(info),
                                   n_frames - at < 1000 ? (uint32_t)(n_frames - at) : 1000,
                                   &util_err));
    assert_ok(ae_encoder_finish(&encoder, &util_err));
    if (note)
        strcpy(note, encoder.writer.note);
    return (file_bytes){memory.data, memory.n_bytes};
}

typedef struct heard {
    ae_source *source;
    ae_reader reader;
    uint8_t *samples;
    size_t n_frames;
} heard;

static void heard_close(heard *h)
{
    ae_reader_close(&h->reader);
    ae_source_free(h->source);
    ae_free(h->samples);
    *h = (heard){0};
}

static ae_status hear(file_bytes file, heard *h, ae_error *err)
{
    size_t row, capacity = 0;
    ae_status st = AE_OK;
    uint32_t n = 1;

    *h = (heard){0};
    if ((st = ae_source_memory(file.data, file.n_bytes, &h->source, err)) == AE_OK)
        st = ae_reader_open(h->source, NULL, &h->reader, err);
    row = st == AE_OK ? ae_row_bytes(&h->reader.info) : 1;
    while (st == AE_OK && n) {
        if (capacity - h->n_frames < 777) {
            uint8_t *grown = ae_realloc(h->samples, h->n_frames * row, (2 * capacity + 777) * row);

            if (!grown) {
                st = ae_fail(err, AE_ERR_NOMEM, "test");
                break;
            }
            h->samples = grown;
            capacity = 2 * capacity + 777;
        }
        st = ae_reader_read_some(&h->reader, h->samples + h->n_frames * row, 777, &n, err);
        h->n_frames += n;
    }
    if (st != AE_OK)
        heard_close(h);
    return st;
}

static const ae_meta_item *find_item(const ae_meta *meta, ae_meta_kind kind, const char *key)
{
    for (size_t i = 0; i < meta->n_items; i++)
        if (meta->items[i].kind == kind && (!key || strcmp(meta->items[i].key, key) == 0))
            return &meta->items[i];
    return NULL;
}

static void check_item(const ae_meta *meta, ae_meta_kind kind, const char *key, const void *value,
                       size_t n)
{
    const ae_meta_item *item = find_item(meta, kind, key);

    if (!item)
        print_error("no %s\n", key ? key : "cover");
    assert_non_null(item);
    assert_int_equal(item->n_bytes, n);
    assert_memory_equal(item->value, value, n);
}

/* ---- samples ---- */

static void test_exact(void **state)
{
    static const struct {
        const char *codec;
        int types;
        unsigned max_channels;
    } formats[] = {{"wav", 63, 40}, {"w64", 63, 40}, {"aiff", 63, 40},
                   {"au", 63, 40},  {"caf", 63, 40}, {"flac", 7, 8}};
    static const ae_sample samples[] = {AE_S8, AE_S16, AE_S24, AE_S32, AE_F32, AE_F64};
    static const double rates[] = {8000, 11025, 44100, 192000};
    static const uint32_t channels[] = {1, 2, 6, 32};
    static const size_t lengths[] = {0, 1, 4801};

    (void)state;
    for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++)
        for (size_t t = 0; t < 6; t++)
            for (size_t k = 0; k < 4 * 4 * 3; k++) {
                ae_signal_info info = sound_info(samples[t], channels[k / 4 % 4], rates[k % 4]);
                size_t n = lengths[k / 16];
                uint8_t *data;
                file_bytes file, again;
                heard h;

                if (!(formats[f].types >> t & 1) || info.channels > formats[f].max_channels)
                    continue;
                data = make_sound(&info, n);
                file = write_sound(formats[f].codec, &info, data, n, NULL, NULL, NULL);
                again = write_sound(formats[f].codec, &info, data, n, NULL, NULL, NULL);
                assert_int_equal(file.n_bytes, again.n_bytes);
                assert_memory_equal(file.data, again.data, file.n_bytes);
                assert_ok(hear(file, &h, &util_err));
                assert_string_equal(h.reader.codec->name, formats[f].codec);
                assert_int_equal(h.reader.info.kind, AE_KIND_AUDIO);
                assert_int_equal(h.reader.info.sample, info.sample);
                assert_int_equal(h.reader.info.channels, info.channels);
                assert_true(h.reader.info.rate == info.rate);
                assert_int_equal(h.reader.info.height, n);
                assert_int_equal(h.n_frames, n);
                if (n)
                    assert_memory_equal(h.samples, data, n * ae_row_bytes(&info));
                heard_close(&h);
                ae_free(file.data);
                ae_free(again.data);
                ae_free(data);
            }
}

/* Coded with loss: as long as before, and alike; six channels stay where they are. */
static void test_lossy(void **state)
{
    static const char *const codecs[] = {"vorbis", "opus", "mp3"};

    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (uint32_t channels = 1; channels <= (f < 2 ? 8u : 2u); channels++) {
            enum { N = 48000 };
            ae_signal_info info = sound_info(AE_F32, channels, 48000);
            float *sound = ae_alloc((size_t)N * channels, sizeof(float));
            file_bytes file, again;
            heard h;

            assert_non_null(sound);
            /* a tone of its own for each, but of the bass, which loses its highs */
            for (size_t i = 0; i < N * channels; i++)
                sound[i] = 0.4f * sinf((float)(i / channels) *
                                       (i % channels == 3 ? 0.01f
                                                          : 0.02f + 0.01f * (float)(i % channels)));
            file = write_sound(codecs[f], &info, sound, N, NULL, &(ae_write_options){.quality = 90},
                               NULL);
            again = write_sound(codecs[f], &info, sound, N, NULL,
                                &(ae_write_options){.quality = 90}, NULL);
            assert_int_equal(file.n_bytes, again.n_bytes);
            assert_memory_equal(file.data, again.data, file.n_bytes);
            ae_free(again.data);
            assert_ok(hear(file, &h, &util_err));
            assert_string_equal(h.reader.codec->name, codecs[f]);
            assert_int_equal(h.n_frames, N);
            assert_int_equal(h.reader.info.channels, channels);
            assert_true(h.reader.info.rate == 48000);
            for (uint32_t c = 0; c < channels; c++) {
                double error = 0, energy = 0;

                for (size_t i = 4800; i < N - 4800; i++) {
                    double d = (double)((float *)h.samples)[i * channels + c] -
                               (double)sound[i * channels + c];

                    error += d * d;
                    energy += (double)sound[i * channels + c] * (double)sound[i * channels + c];
                }
                if (!(error < 0.2 * energy)) /* the bass comes back with less */
                    print_error("%s, channel %u of %u: error %g of %g\n", codecs[f], c, channels,
                                error, energy);
                assert_true(error < 0.2 * energy);
            }
            /* the rate of bits is about kept when it is written anew */
            again = write_sound(codecs[f], &info, sound, N, NULL,
                                &(ae_write_options){.like = &h.reader}, NULL);
            if (!((double)again.n_bytes < 1.6 * (double)file.n_bytes &&
                  (double)again.n_bytes > 0.6 * (double)file.n_bytes))
                print_error("%s, %u channels: %zu bytes, then %zu\n", codecs[f], channels,
                            file.n_bytes, again.n_bytes);
            assert_true((double)again.n_bytes < 1.6 * (double)file.n_bytes &&
                        (double)again.n_bytes > 0.6 * (double)file.n_bytes);
            ae_free(again.data);
            heard_close(&h);
            ae_free(file.data);
            ae_free(sound);
        }
}

static void test_layout(void **state)
{
    static const struct {
        const char *codec;
        uint64_t layout;
        uint32_t channels;
    } cases[] = {{"wav", 0x3f, 6},  {"wav", 0x60f, 6},   {"wav", 0x107, 4},
                 {"flac", 0x3f, 6}, {"vorbis", 0x3f, 6}, {"caf", 0x3f, 6}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ae_signal_info info = sound_info(AE_S16, cases[i].channels, 48000);
        uint8_t *data = make_sound(&info, 1000);
        file_bytes file;
        heard h;

        info.layout = cases[i].layout;
        file = write_sound(cases[i].codec, &info, data, 1000, NULL, NULL, NULL);
        assert_ok(hear(file, &h, &util_err));
        assert_int_equal(h.reader.info.layout, cases[i].layout);
        heard_close(&h);
        ae_free(file.data);
        ae_free(data);
    }
}

/* ---- what stands beside them ---- */

static void fill_tags(ae_meta *meta)
{
    static const char *const tags[][2] = {{"TITLE", "Der kalte Fluß"},
                                          {"ARTIST", "Somebody"},
                                          {"ALBUM", "An album"},
                                          {"DATE", "2024"},
                                          {"COMMENT", "recorded in the rain"},
                                          {"GENRE", "Speech"},
                                          {"TRACKNUMBER", "7"},
                                          {"COPYRIGHT", "nobody's"}};

    *meta = (ae_meta){0};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
        assert_ok(
            ae_meta_add(meta, AE_META_TAG, tags[i][0], tags[i][1], strlen(tags[i][1]), &util_err));
}

static const uint8_t cover[70] = {0,   0,   0,  3, 0, 0, 0, 9, 'i', 'm', 'a', 'g',  'e', '/', 'p',
                                  'n', 'g', 0,  0, 0, 0, 0, 0, 0,   1,   0,   0,    0,   1,   0,
                                  0,   0,   24, 0, 0, 0, 0, 0, 0,   0,   29,  0x89, 'P', 'N', 'G'};

static void test_tags(void **state)
{
    static const char *const codecs[] = {"wav", "aiff", "caf", "flac", "vorbis", "opus", "mp3"};

    (void)state;
    for (size_t f = 0; f < sizeof(codecs) / sizeof(codecs[0]); f++) {
        ae_signal_info info = sound_info(AE_S16, 2, 48000);
        uint8_t *data = make_sound(&info, 5001);
        bool all = f >= 3 && f < 6, id3 = f == 6;
        ae_meta meta;
        file_bytes file;
        char note[160];
        heard h;

        fill_tags(&meta);
        assert_ok(ae_meta_add(&meta, AE_META_TAG, "DISCNUMBER", "2", 1, &util_err));
        assert_ok(ae_meta_add(&meta, AE_META_COVER, NULL, cover, sizeof(cover), &util_err));
        file = write_sound(codecs[f], &info, data, 5001, &meta, NULL, note);
        assert_ok(hear(file, &h, &util_err));
        if (f < 4)
            assert_memory_equal(h.samples, data, 5001 * 4);
        for (size_t i = 0; i < meta.n_items; i++) {
            const ae_meta_item *item = &meta.items[i];
            const char *key = item->key ? item->key : "DISCNUMBER";
            bool lost = strcmp(key, "DISCNUMBER") == 0 ||
                        (f == 1 && !strstr("TITLE ARTIST COMMENT COPYRIGHT", key)) ||
                        (f == 2 && strcmp(key, "DATE") == 0);

            if (all || !lost) {
                if (!find_item(&h.reader.meta, item->kind, item->key))
                    print_error("%s: %s is lost\n", codecs[f], key);
                check_item(&h.reader.meta, item->kind, item->key, item->value, item->n_bytes);
            }
        }
        if (all || id3)
            assert_string_equal(note, "");
        else
            assert_non_null(strstr(note, "cover picture dropped"));
        heard_close(&h);
        ae_free(file.data);
        ae_meta_clear(&meta);
        ae_free(data);
    }
}

/* Chunks that only their own family understands come back byte for byte, with odd lengths and
 * larger than any header buffer. */
static void test_chunks(void **state)
{
    static const struct {
        const char *codec;
        const char *keys[3];
        const char *other;
    } cases[] = {{"wav", {"RIFF bext", "RIFF cue ", "RIFF iXML"}, "aiff"},
                 {"aiff", {"AIFF MARK", "AIFF COMT", "AIFF APPL"}, "wav"},
                 {"caf", {"CAF mark", "CAF inst", "CAF uuid"}, "flac"},
                 {"flac", {"FLAC 2", "FLAC 2", "FLAC 2"}, "wav"}};

    (void)state;
    for (size_t f = 0; f < 4; f++)
        for (uint32_t channels = 1; channels < 3; channels++) {
            ae_signal_info info = sound_info(AE_S8, channels, 22050);
            uint8_t *data = make_sound(&info, 1001), *chunk = ae_alloc(200001, 1);
            ae_meta meta = {0};
            file_bytes file;
            char note[160];
            heard h;

            assert_non_null(chunk);
            for (size_t i = 0; i < 200001; i++)
                chunk[i] = (uint8_t)(i * 7 >> 3);
            memset(chunk, 0, 800);
            for (int i = 0; i < 3; i++)
                assert_ok(ae_meta_add(&meta, AE_META_CHUNK, cases[f].keys[i], chunk,
                                      i < 2 ? 602 + (size_t)i : 200001, &util_err));
            file = write_sound(cases[f].codec, &info, data, 1001, &meta, NULL, note);
            assert_string_equal(note, "");
            assert_ok(hear(file, &h, &util_err));
            assert_string_equal(h.reader.note, "");
            assert_memory_equal(h.samples, data, 1001 * channels);
            assert_int_equal(h.reader.meta.n_items, 3);
            for (size_t i = 0; i < 3; i++) {
                assert_string_equal(h.reader.meta.items[i].key, meta.items[i].key);
                assert_int_equal(h.reader.meta.items[i].n_bytes, meta.items[i].n_bytes);
                assert_memory_equal(h.reader.meta.items[i].value, meta.items[i].value,
                                    meta.items[i].n_bytes);
            }
            ae_free(file.data);
            file = write_sound(cases[f].other, &info, data, 1001, &h.reader.meta, NULL, note);
            assert_non_null(strstr(note, "dropped"));
            ae_free(file.data);
            heard_close(&h);
            ae_meta_clear(&meta);
            ae_free(chunk);
            ae_free(data);
        }
}

/* ---- containers ---- */

/* The sound of a container, exactly where its coder has no loss; made anew from itself it keeps its
 * length. */
static void test_containers(void **state)
{
    static const struct {
        const char *codec;
        unsigned channels;
        bool timed; /* says how long its sound is, so that not even the coder's delay shows */
    } cases[] = {{"m4a", 2, true},  {"mp4", 1, true},   {"mov", 2, true},
                 {"mkv", 2, false}, {"webm", 1, false}, {"wma", 2, false},
                 {"avi", 2, false}, {"aac", 1, false},  {"ts", 2, false}};

    (void)state;
    for (size_t f = 0; f < sizeof(cases) / sizeof(cases[0]); f++) {
        enum { N = 48000 };
        ae_signal_info info = sound_info(AE_S16, cases[f].channels, 48000);
        int16_t *sound = ae_alloc(N, cases[f].channels * sizeof(int16_t));
        ae_meta meta;
        file_bytes file, again;
        char note[160];
        heard h, h2;
        double error = 0, energy = 0;

        assert_non_null(sound);
        for (size_t i = 0; i < N * cases[f].channels; i++)
            sound[i] = (int16_t)(9000 * sin((double)(i / cases[f].channels) * 0.03));
        fill_tags(&meta);
        file = write_sound(cases[f].codec, &info, sound, N, &meta, NULL, note);
        assert_string_equal(note, "");
        again = write_sound(cases[f].codec, &info, sound, N, &meta, NULL, NULL);
        assert_int_equal(file.n_bytes, again.n_bytes);
        assert_memory_equal(file.data, again.data, file.n_bytes);
        ae_free(again.data);
        assert_ok(hear(file, &h, &util_err));
        assert_string_equal(h.reader.codec->name, cases[f].codec);
        assert_int_equal(h.reader.info.channels, cases[f].channels);
        assert_true(h.reader.info.rate == 48000);
        assert_true(h.n_frames + 4096 > N && h.n_frames < N + 8192);
        if (cases[f].timed) {
            assert_int_equal(h.n_frames, N);
            check_item(&h.reader.meta, AE_META_TAG, "TITLE", "Der kalte Fluß",
                       strlen("Der kalte Fluß"));
        }
        /* what is heard is heard when it was, also where the container cannot state the coder's
         * delay */
        if (cases[f].timed || strcmp(cases[f].codec, "avi") == 0 ||
            strcmp(cases[f].codec, "aac") == 0) {
            for (size_t i = 4800 * cases[f].channels; i < (N - 4800) * cases[f].channels; i++) {
                double d = (double)((float *)h.samples)[i] - sound[i] / 32768.0;

                error += d * d;
                energy += sound[i] / 32768.0 * sound[i] / 32768.0;
            }
            assert_true(error < 0.01 * energy);
        }
        again = write_sound(cases[f].codec, &h.reader.info, h.samples, h.n_frames, &h.reader.meta,
                            &(ae_write_options){.like = &h.reader}, note);
        assert_string_equal(note, "");
        assert_ok(hear(again, &h2, &util_err));
        assert_true(h2.n_frames + 4096 > h.n_frames && h2.n_frames < h.n_frames + 4096);
        if (cases[f].timed)
            assert_int_equal(h2.n_frames, N);
        heard_close(&h2);
        heard_close(&h);
        ae_free(again.data);
        ae_free(file.data);
        ae_meta_clear(&meta);
        ae_free(sound);
    }
}

/* ---- damage ---- */

static void test_truncated(void **state)
{
    static const char *const codecs[] = {"wav", "w64", "aiff", "caf", "flac", "vorbis", "opus"};

    (void)state;
    for (size_t f = 0; f < sizeof(codecs) / sizeof(codecs[0]); f++) {
        ae_signal_info info = sound_info(AE_S16, 2, 48000);
        uint8_t *data = make_sound(&info, 9000);
        file_bytes file = write_sound(codecs[f], &info, data, 9000, NULL, NULL, NULL);

        for (size_t n = 1; n < file.n_bytes; n += n < 200 || n > file.n_bytes - 40 ? 1 : 997) {
            uint8_t *exact = malloc(n);
            ae_error err = {0};
            heard h;
            ae_status st;

            assert_non_null(exact);
            memcpy(exact, file.data, n);
            st = hear((file_bytes){exact, n}, &h, &err);
            free(exact);
            if (st == AE_OK)
                print_error("%s is read when cut to %zu of %zu bytes\n", codecs[f], n,
                            file.n_bytes);
            assert_true(st == AE_ERR_MALFORMED || st == AE_ERR_UNSUPPORTED);
            assert_int_equal(st, err.status);
        }
        ae_free(file.data);
        ae_free(data);
    }
}

/* Sizes as a program leaves them that writes to a pipe: up to the end. */
static void test_open_ended(void **state)
{
    static const uint8_t sizes[3][4] = {
        {0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0}, {0xff, 0xff, 0xff, 0x7f}};
    ae_signal_info info = sound_info(AE_S16, 1, 16000);
    uint8_t *data = make_sound(&info, 3000);

    (void)state;
    for (int i = 0; i < 3; i++) {
        file_bytes file = write_sound("wav", &info, data, 3000, NULL, NULL, NULL);
        heard h;

        memcpy(file.data + 4, sizes[i], 4);
        memcpy(file.data + 40, sizes[i], 4);
        assert_ok(hear(file, &h, &util_err));
        assert_int_equal(h.n_frames, 3000);
        assert_memory_equal(h.samples, data, 6000);
        heard_close(&h);
        ae_free(file.data);
    }
    ae_free(data);
}

/* Any byte changed: an error or a sound. */
static void test_damaged(void **state)
{
    static const char *const codecs[] = {"wav",  "w64", "aiff", "au",  "caf", "flac", "vorbis",
                                         "opus", "mp3", "m4a",  "mkv", "wma", "avi"};

    (void)state;
    for (size_t f = 0; f < sizeof(codecs) / sizeof(codecs[0]); f++) {
        ae_signal_info info = sound_info(AE_S16, 2, 48000);
        uint8_t *data = make_sound(&info, 200);
        ae_meta meta;
        file_bytes file;

        fill_tags(&meta);
        file = write_sound(codecs[f], &info, data, 200, &meta, NULL, NULL);
        for (size_t k = 0; k < file.n_bytes; k += k < 700 ? 1 : 31) {
            ae_error err = {0};
            heard h;
            ae_status st;

            file.data[k] ^= (uint8_t)(1 << k % 8 | 0x80);
            st = hear(file, &h, &err);
            assert_int_equal(st, err.status);
            if (st == AE_OK)
                heard_close(&h);
            file.data[k] ^= (uint8_t)(1 << k % 8 | 0x80);
        }
        ae_free(file.data);
        ae_meta_clear(&meta);
        ae_free(data);
    }
}

/* Every allocation of ours fails once, in reading and in writing: an error, and under a leak
 * checker nothing left. */
static void test_allocation(void **state)
{
    static const char *const codecs[] = {"wav",    "aiff", "caf", "w64", "au", "flac",
                                         "vorbis", "opus", "mp3", "m4a", "mkv"};

    (void)state;
    for (size_t f = 0; f < sizeof(codecs) / sizeof(codecs[0]); f++) {
        ae_signal_info info = sound_info(AE_S16, 2, 48000);
        uint8_t *data = make_sound(&info, 300);
        ae_status st = AE_ERR_NOMEM;
        ae_meta meta;
        file_bytes file;
        heard h;

        fill_tags(&meta);
        assert_ok(ae_meta_add(&meta, AE_META_COVER, NULL, cover, sizeof(cover), &util_err));
        file = write_sound(codecs[f], &info, data, 300, &meta, NULL, NULL);
        for (uint64_t n = 1; st != AE_OK; n++) {
            ae_error err = {0};

            ae_alloc_fail_at(n);
            st = hear(file, &h, &err);
            ae_alloc_fail_at(0);
            assert_true(st == AE_OK || st == AE_ERR_NOMEM);
            assert_int_equal(st, err.status);
        }
        heard_close(&h);
        st = AE_ERR_NOMEM;
        for (uint64_t n = 1; st != AE_OK; n++) {
            ae_memory_output memory;
            ae_encoder encoder;
            ae_error err = {0};

            ae_memory_output_init(&memory);
            ae_alloc_fail_at(n);
            st = ae_encoder_open(ae_codec_for_name(codecs[f]), &memory.sink, &info, &meta, NULL,
                                 &encoder, &err);
            if (st == AE_OK)
                st = ae_encoder_write(&encoder, data, 300, &err);
            if (st == AE_OK)
                st = ae_encoder_finish(&encoder, &err);
            else
                ae_encoder_abandon(&encoder);
            ae_alloc_fail_at(0);
            assert_true(st == AE_OK || st == AE_ERR_NOMEM);
            assert_int_equal(st, err.status);
            if (st == AE_OK) {
                assert_int_equal(memory.n_bytes, file.n_bytes);
                assert_memory_equal(memory.data, file.data, file.n_bytes);
            }
            ae_free(memory.data);
        }
        ae_free(file.data);
        ae_meta_clear(&meta);
        ae_free(data);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *codec;
        uint32_t channels;
        double rate;
        const char *says;
    } cases[] = {
        {"flac", 9, 48000, "at most 8 channels"}, {"mp3", 6, 48000, "at most 2 channels"},
        {"mp3", 2, 192000, "192000 Hz"},          {"opus", 2, 44100, "44100 Hz"},
        {"wav", 2, 44100.5, "44100.5 Hz"},        {"png", 2, 48000, "another kind of signal"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ae_signal_info info = sound_info(AE_S16, cases[i].channels, cases[i].rate);
        ae_memory_output memory;
        ae_encoder encoder;
        ae_error err = {0};

        ae_memory_output_init(&memory);
        assert_int_equal(ae_encoder_open(ae_codec_for_name(cases[i].codec), &memory.sink, &info,
                                         NULL, NULL, &encoder, &err),
                         AE_ERR_UNSUPPORTED);
        if (!strstr(err.message, cases[i].says))
            print_error("%s: %s\n", cases[i].codec, err.message);
        assert_non_null(strstr(err.message, cases[i].says));
        ae_free(memory.data);
    }
}

/* The tools ask for the kind that they are for. */
static void test_kinds(void **state)
{
    ae_signal_info info = sound_info(AE_S16, 1, 16000);
    uint8_t *data = make_sound(&info, 100);
    file_bytes file = write_sound("wav", &info, data, 100, NULL, NULL, NULL);
    ae_error err = {0};
    void *all = NULL;
    heard h;

    (void)state;
    assert_ok(hear(file, &h, &util_err));
    assert_ok(ae_reader_expect(&h.reader, AE_KIND_AUDIO, &util_err));
    assert_int_equal(ae_reader_expect(&h.reader, AE_KIND_IMAGE, &err), AE_ERR_UNSUPPORTED);
    assert_string_equal(err.message, "is a sound (WAV), not a picture");
    assert_int_equal(ae_reader_read_all(&h.reader, &all, &err), AE_ERR_UNSUPPORTED);
    assert_null(all);
    heard_close(&h);
    ae_free(file.data);
    ae_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),      cmocka_unit_test(test_lossy),
        cmocka_unit_test(test_layout),     cmocka_unit_test(test_tags),
        cmocka_unit_test(test_chunks),     cmocka_unit_test(test_containers),
        cmocka_unit_test(test_truncated),  cmocka_unit_test(test_open_ended),
        cmocka_unit_test(test_damaged),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_allocation), cmocka_unit_test(test_kinds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
