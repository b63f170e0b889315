/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds in tiles: every type, odd signals, bounded errors, parts, damage. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ae/container.h"

static void ok(ae_status st, const ae_error *err)
{
    if (st != AE_OK)
        fail_msg("%s", err->message);
}

static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* ---- a sound in memory, and its tiles ---- */

typedef struct sound {
    ae_signal_info info;
    uint8_t *frames, *decoded;
    size_t bytes, at, decoded_at;
    uint32_t tile, most; /* most: frames that a read gives */
    struct {
        uint8_t *data;
        size_t n;
    } tiles[64];
    uint32_t n_tiles, n_lost, lost, n_read;
    uint8_t block; /* by spectra */
    double quality;
    uint8_t *told; /* by the encoder, what decoding will give */
    size_t told_at;
} sound;

static sound make(ae_sample sample, uint32_t channels, uint64_t frames, uint32_t tile)
{
    sound s = {.info = {.kind = AE_KIND_AUDIO,
                        .sample = sample,
                        .bits = 8 * (uint32_t)ae_sample_bytes(sample),
                        .channels = channels,
                        .width = 1,
                        .height = frames,
                        .rate = 8000},
               .tile = tile,
               .most = 1000};

    s.bytes = ae_row_bytes(&s.info) * (size_t)frames;
    s.frames = calloc(1, s.bytes + 1);
    s.decoded = calloc(1, s.bytes + 1);
    assert_non_null(s.frames);
    assert_non_null(s.decoded);
    return s;
}

static void clear(sound *s)
{
    for (uint32_t i = 0; i < s->n_tiles; i++)
        free(s->tiles[i].data);
    free(s->frames);
    free(s->decoded);
    free(s->told);
}

static void set(sound *s, size_t i, double v)
{
    double full = s->info.sample == AE_F32 || s->info.sample == AE_F64
                      ? 1
                      : ldexp(1, (int)s->info.bits - 1);
    int64_t whole = llrint(fmax(fmin(v * full, full - 1), -full));
    float f = (float)v;

    if (s->info.sample == AE_F32)
        memcpy(s->frames + 4 * i, &f, 4);
    else if (s->info.sample == AE_F64)
        memcpy(s->frames + 8 * i, &v, 8);
    else
        memcpy(s->frames + i * ae_sample_bytes(s->info.sample), &whole,
               ae_sample_bytes(s->info.sample));
}

static ae_status read_frames(void *opaque, void *frames, uint32_t capacity, uint32_t *n,
                             ae_error *err)
{
    sound *s = opaque;
    size_t frame = ae_row_bytes(&s->info);

    (void)err;
    *n = capacity < s->most ? capacity : s->most;
    if (*n > (s->bytes - s->at) / frame)
        *n = (uint32_t)((s->bytes - s->at) / frame);
    memcpy(frames, s->frames + s->at, *n * frame);
    s->at += *n * frame;
    return AE_OK;
}

static ae_status keep_tile(void *opaque, uint32_t index, const void *data, size_t n, ae_error *err)
{
    sound *s = opaque;

    (void)err;
    assert_int_equal(index, s->n_tiles);
    assert_true(index < 64);
    s->tiles[index].data = malloc(n + 1);
    assert_non_null(s->tiles[index].data);
    memcpy(s->tiles[index].data, data, n);
    s->tiles[index].n = n;
    s->n_tiles++;
    return AE_OK;
}

static ae_status get_tile(void *opaque, uint32_t index, const void **data, size_t *n, ae_error *err)
{
    sound *s = opaque;

    (void)err;
    s->n_read++;
    *data = s->tiles[index].data;
    *n = s->tiles[index].n;
    return AE_OK;
}

static ae_status take_frames(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    sound *s = opaque;
    size_t bytes = n * ae_row_bytes(&s->info);

    (void)err;
    assert_true(bytes <= s->bytes - s->decoded_at);
    memcpy(s->decoded + s->decoded_at, rows, bytes);
    s->decoded_at += bytes;
    return AE_OK;
}

static void lose(void *opaque, uint32_t index, const char *why)
{
    sound *s = opaque;

    assert_true(strlen(why) > 0);
    s->n_lost++;
    s->lost = index;
}

static void hear(void *opaque, const void *frames, uint32_t n)
{
    sound *s = opaque;
    size_t bytes = n * ae_row_bytes(&s->info);

    if (!s->told)
        s->told = malloc(s->bytes + 1);
    assert_non_null(s->told);
    assert_true(bytes <= s->bytes - s->told_at);
    memcpy(s->told + s->told_at, frames, bytes);
    s->told_at += bytes;
}

static void encode(sound *s, uint32_t bound, uint32_t threads)
{
    ae_sounds_options o = {.block = s->block,
                           .quality = s->quality,
                           .bound = bound,
                           .decoded = s->block ? hear : NULL,
                           .control = {.threads = threads, .opaque = s}};
    ae_frame_source source = {s->info, s, read_frames};
    ae_tile_sink sink = {s, keep_tile};
    uint64_t n = 0;
    ae_error err;

    source.info.height = 0; /* not known beforehand */
    ok(ae_sounds_encode(&o, &source, s->tile, &sink, &n, &err), &err);
    assert_int_equal(n, s->info.height);
    assert_int_equal(s->n_tiles, (n + s->tile - 1) / s->tile);
}

static ae_status decode(sound *s, uint64_t first, uint64_t n, uint32_t threads, bool tell,
                        ae_error *err)
{
    ae_sounds_options o = {
        .block = s->block,
        .first = first,
        .n_frames = n,
        .control = {.threads = threads, .opaque = s, .lost = tell ? lose : NULL}};
    ae_tile_source source = {s, get_tile};
    ae_row_sink sink = {s, take_frames};

    s->decoded_at = 0;
    s->n_read = s->n_lost = 0;
    return ae_sounds_decode(&s->info, s->tile, &o, &source, &sink, err);
}

static size_t coded_bytes(const sound *s)
{
    size_t n = 0;

    for (uint32_t i = 0; i < s->n_tiles; i++)
        n += s->tiles[i].n;
    return n;
}

/* Without loss, there and back. */
static void check(sound *s, const char *what)
{
    ae_error err;

    encode(s, 0, 1);
    ok(decode(s, 0, 0, 2, false, &err), &err);
    assert_int_equal(s->decoded_at, s->bytes);
    if (memcmp(s->frames, s->decoded, s->bytes) != 0)
        fail_msg("%s: type %d, %u channels, %llu frames", what, s->info.sample, s->info.channels,
                 (unsigned long long)s->info.height);
    assert_true(coded_bytes(s) <= s->bytes + 8 * s->n_tiles);
}

static const ae_sample types[] = {AE_S8, AE_S16, AE_S24, AE_S32, AE_F32, AE_F64};
enum { N_TYPES = sizeof(types) / sizeof(*types) };

typedef enum signal { TONE, NOISE, SQUARE, SILENCE, STEPS, IMPULSES, PATTERNS, N_SIGNALS } signal;

static void fill(sound *s, signal kind, uint32_t seed)
{
    size_t n = (size_t)s->info.height * s->info.channels;

    for (size_t i = 0; i < n; i++) {
        size_t t = i / s->info.channels, c = i % s->info.channels;
        double noise = draw(&seed) / 16777216.0 * 2 - 1;

        if (kind == TONE)
            set(s, i,
                0.4 * sin(0.05 * (double)t + (double)c) + 0.2 * sin(0.31 * (double)t) +
                    0.01 * noise);
        else if (kind == NOISE)
            set(s, i, noise);
        else if (kind == SQUARE)
            set(s, i, t / 37 % 2 ? 1 : -1);
        else if (kind == STEPS)
            set(s, i, floor(3 * sin(0.01 * (double)t)) / 4);
        else if (kind == IMPULSES)
            set(s, i, draw(&seed) % 97 ? 0 : noise);
    }
    /* of floats: every kind of number, and what is none */
    for (size_t i = 0; kind == PATTERNS && i < s->bytes; i++)
        s->frames[i] = (uint8_t)draw(&seed);
}

static void test_round_trips(void **state)
{
    static const uint64_t lengths[] = {1, 2, 63, 1000, 2049};

    (void)state;
    for (int type = 0; type < N_TYPES; type++)
        for (int kind = 0; kind < N_SIGNALS; kind++)
            for (uint32_t i = 0; i < 5; i++) {
                sound s = make(types[type], 1 + (i * 3 + (uint32_t)kind) % 8, lengths[i], 1024);

                fill(&s, (signal)kind, 17 * i + 3);
                check(&s, "signal");
                clear(&s);
            }
}

/* It is worth something: a tone with a little noise takes far fewer bytes, and two equal channels
 * hardly more than one. */
static void test_gain(void **state)
{
    sound one = make(AE_S16, 1, 8000, 8192), two = make(AE_S16, 2, 8000, 8192),
          quiet = make(AE_S16, 2, 8000, 8192);

    (void)state;
    fill(&one, TONE, 1);
    for (size_t t = 0; t < 8000; t++)
        for (size_t c = 0; c < 2; c++)
            memcpy(two.frames + 4 * t + 2 * c, one.frames + 2 * t, 2);
    check(&one, "one");
    check(&two, "two");
    check(&quiet, "quiet");
    assert_true(coded_bytes(&one) < 8000 * 11 / 8);
    assert_true(coded_bytes(&two) < coded_bytes(&one) + 16);
    assert_true(coded_bytes(&quiet) < 32);
    clear(&one);
    clear(&two);
    clear(&quiet);
}

/* Bits that are never used cost nothing; floats that were whole numbers cost what these do. */
static void test_scales(void **state)
{
    sound s16 = make(AE_S16, 1, 4000, 4096), s24 = make(AE_S24, 1, 4000, 4096),
          f32 = make(AE_F32, 1, 4000, 4096), f64 = make(AE_F64, 1, 4000, 4096),
          odd = make(AE_F32, 1, 4000, 4096);
    static const uint32_t odds[] = {0x7fc00001, 0xff800000, 0x80000000,
                                    0x00000001, 0x7f7fffff, 0xffffffff};

    (void)state;
    fill(&s16, TONE, 5);
    for (size_t t = 0; t < 4000; t++) {
        int16_t v;
        float f;
        double d;

        memcpy(&v, s16.frames + 2 * t, 2);
        f = (float)v / 32768, d = v / 32768.0;
        memcpy(s24.frames + 3 * t + 1, &v, 2);
        memcpy(f32.frames + 4 * t, &f, 4);
        memcpy(f64.frames + 8 * t, &d, 8);
        memcpy(odd.frames + 4 * t, t % 1000 == 999 ? (const void *)&odds[t / 1000] : &f, 4);
    }
    check(&s16, "s16");
    check(&s24, "s24");
    check(&f32, "f32");
    check(&f64, "f64");
    check(&odd, "odd");
    assert_true(coded_bytes(&s24) < coded_bytes(&s16) + 8);
    assert_true(coded_bytes(&f32) < coded_bytes(&s16) + 16);
    assert_true(coded_bytes(&f64) < coded_bytes(&s16) + 16);
    assert_true(coded_bytes(&odd) < coded_bytes(&s16) + 80);
    clear(&s16);
    clear(&s24);
    clear(&f32);
    clear(&f64);
    clear(&odd);
}

static int64_t whole_at(const sound *s, const uint8_t *frames, size_t i)
{
    size_t bytes = ae_sample_bytes(s->info.sample);
    uint64_t v = 0;

    memcpy(&v, frames + i * bytes, bytes);
    return (int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static void test_near(void **state)
{
    (void)state;
    for (int type = 0; type < 4; type++)
        for (uint32_t bound = 1; bound < 100; bound *= 5) {
            sound s = make(types[type], 2, 3000, 1024);
            int64_t worst = 0, most = (int64_t)bound;
            size_t exact;
            ae_error err;

            if (types[type] == AE_S24) { /* twenty bits of it */
                s.info.bits = 20;
                most <<= 4;
            }
            fill(&s, TONE, bound);
            for (size_t i = 0; types[type] == AE_S24 && i < 6000; i++)
                memmove(s.frames + 3 * i,
                        (uint8_t[]){(uint8_t)(s.frames[3 * i] << 4), s.frames[3 * i + 1],
                                    s.frames[3 * i + 2]},
                        3);
            check(&s, "exact");
            exact = coded_bytes(&s);
            for (; s.n_tiles; s.n_tiles--)
                free(s.tiles[s.n_tiles - 1].data);
            s.at = 0;
            encode(&s, bound, 1);
            ok(decode(&s, 0, 0, 1, false, &err), &err);
            for (size_t i = 0; i < 6000; i++) {
                int64_t e = llabs(whole_at(&s, s.frames, i) - whole_at(&s, s.decoded, i));

                worst = e > worst ? e : worst;
            }
            assert_true(worst <= most);
            if (types[type] != AE_S32)
                assert_true(worst > 0 && coded_bytes(&s) < exact);
            clear(&s);
        }
}

/* The same bytes with any number of threads, however the frames come, and any part is that part of
 * the whole. */
static void test_parts(void **state)
{
    sound s = make(AE_S16, 2, 10000, 1024), t = make(AE_S16, 2, 10000, 1024);
    uint32_t seed = 9;
    ae_error err;

    (void)state;
    fill(&s, TONE, 2);
    memcpy(t.frames, s.frames, s.bytes);
    t.most = 77;
    encode(&s, 0, 1);
    encode(&t, 0, 3);
    for (uint32_t i = 0; i < s.n_tiles; i++) {
        assert_int_equal(s.tiles[i].n, t.tiles[i].n);
        assert_memory_equal(s.tiles[i].data, t.tiles[i].data, s.tiles[i].n);
    }
    for (int i = 0; i < 40; i++) {
        uint64_t first = draw(&seed) % 10000, n = 1 + draw(&seed) % (10000 - first);

        ok(decode(&s, first, n, 1 + i % 3, false, &err), &err);
        assert_int_equal(s.decoded_at, 4 * n);
        assert_memory_equal(s.decoded, s.frames + 4 * first, s.decoded_at);
        assert_int_equal(s.n_read, (first + n - 1) / 1024 - first / 1024 + 1);
    }
    assert_int_equal(decode(&s, 9999, 2, 1, false, &err), AE_ERR_ARGUMENT);
    clear(&s);
    clear(&t);
}

/* Whatever becomes of a tile's bytes: an error or other samples, never more; and a tile that is
 * lost is told and silent. */
static void test_damage(void **state)
{
    uint32_t seed = 4;
    ae_error err;

    (void)state;
    for (int type = 0; type < N_TYPES; type++) {
        sound s = make(types[type], 3, 600, 256);

        fill(&s, type % 2 ? TONE : IMPULSES, 6);
        encode(&s, 0, 1);
        for (int i = 0; i < 300; i++) {
            uint32_t at = draw(&seed) % s.n_tiles;
            size_t n = s.tiles[at].n, byte = draw(&seed) % (i % 3 ? n < 24 ? n : 24 : n);
            uint8_t was = s.tiles[at].data[byte];

            s.tiles[at].data[byte] ^= (uint8_t)(1u << draw(&seed) % 8);
            if (i % 5 == 0)
                s.tiles[at].n = draw(&seed) % n;
            if (decode(&s, 0, 0, 1, false, &err) != AE_OK)
                assert_true(err.status == AE_ERR_MALFORMED || err.status == AE_ERR_TOO_NEW);
            s.tiles[at].data[byte] = was;
            s.tiles[at].n = n;
        }
        s.tiles[1].n = 3;
        ok(decode(&s, 0, 0, 2, true, &err), &err);
        assert_int_equal(s.n_lost, 1);
        assert_int_equal(s.lost, 1);
        memset(s.frames + 256 * ae_row_bytes(&s.info), 0, 256 * ae_row_bytes(&s.info));
        assert_memory_equal(s.decoded, s.frames, s.bytes);
        clear(&s);
    }
}

/* ---- in a file ---- */

typedef struct file {
    uint8_t *data;
    size_t n, room;
} file;

static ae_status file_write(void *opaque, const void *data, size_t n, ae_error *err)
{
    file *f = opaque;

    (void)err;
    if (f->n + n > f->room) {
        f->room = 2 * f->room + n;
        f->data = realloc(f->data, f->room);
        assert_non_null(f->data);
    }
    memcpy(f->data + f->n, data, n);
    f->n += n;
    return AE_OK;
}

static size_t file_read(void *opaque, uint64_t at, void *to, size_t n)
{
    const file *f = opaque;

    if (at > f->n)
        return 0;
    n = n < f->n - at ? n : f->n - (size_t)at;
    memcpy(to, f->data + at, n);
    return n;
}

static ae_status write_tile(void *opaque, uint32_t index, const void *data, size_t n, ae_error *err)
{
    return ae_container_write_tile(opaque, AE_TILE_COLOURS, index, data, n, err);
}

static file write_file(sound *s, uint64_t told)
{
    file f = {0};
    ae_sink sink = {.opaque = &f, .write = file_write};
    char name[] = "a/b";
    ae_item item = {.name = name, .info = s->info, .tile = s->tile};
    ae_sounds_options o = {.control.threads = 1};
    ae_frame_source source = {s->info, s, read_frames};
    ae_container_writer *w = NULL;
    ae_tile_sink tiles = {NULL, write_tile};
    ae_meta meta = {0};
    uint64_t n;
    ae_error err;

    item.info.height = told;
    ok(ae_meta_add(&meta, AE_META_TAG, "TITLE", "x", 1, &err), &err);
    ok(ae_meta_add(&meta, AE_META_CHUNK, "RIFF bext", "abc", 3, &err), &err);
    ok(ae_container_create(&sink, &w, &err), &err);
    ok(ae_container_begin(w, &item, &err), &err);
    tiles.opaque = w;
    ok(ae_sounds_encode(&o, &source, s->tile, &tiles, &n, &err), &err);
    ok(ae_container_write_meta(w, &meta, &err), &err);
    ae_container_set_frames(w, n);
    ok(ae_container_end(w, NULL, &err), &err);
    ok(ae_container_finish(w, &err), &err);
    ae_container_writer_free(w);
    ae_meta_clear(&meta);
    return f;
}

static void check_item(const ae_item *item, const sound *s, uint64_t frames)
{
    assert_string_equal(item->name, "a/b");
    assert_int_equal(item->info.kind, AE_KIND_AUDIO);
    assert_int_equal(item->info.sample, s->info.sample);
    assert_int_equal(item->info.bits, s->info.bits);
    assert_int_equal(item->info.channels, s->info.channels);
    assert_true(item->info.rate == s->info.rate);
    assert_int_equal(item->info.layout, s->info.layout);
    assert_int_equal(item->info.height, frames);
    assert_int_equal(item->tile, s->tile);
    assert_int_equal(ae_item_tiles(item), (frames + s->tile - 1) / s->tile);
}

/* The length stands in the index, whether the head knew it or not; without an index it follows from
 * the tiles. */
static void test_file(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        sound s = make(AE_S16, 2, 5000, 1024);
        ae_container *c = NULL;
        ae_item_reader *r = NULL;
        ae_item item, *items;
        ae_meta meta;
        ae_bytes bytes;
        size_t n;
        ae_error err;
        file f;

        s.info.layout = 3;
        s.info.rate = 44100.5;
        fill(&s, TONE, 8);
        f = write_file(&s, told ? s.info.height : 0);
        bytes = (ae_bytes){&f, f.n, file_read};
        ok(ae_container_open(&bytes, NULL, &c, &err), &err);
        assert_null(ae_container_complaint(c));
        ok(ae_container_find(c, "a/b", &item, &err), &err);
        check_item(&item, &s, 5000);
        ok(ae_item_open(c, &item, &r, &err), &err);
        ok(ae_item_meta(r, NULL, &meta, &err), &err);
        assert_int_equal(meta.n_items, 2);
        assert_string_equal(meta.items[0].key, "TITLE");
        assert_string_equal(meta.items[1].key, "RIFF bext");
        ae_meta_clear(&meta);
        ae_item_free(r);
        ae_item_clear(&item);
        ae_container_free(c);

        f.n -= 16; /* no footer: all is found by looking through the file */
        for (int cut = 0; cut < 2; cut++) {
            bytes.size = f.n;
            ok(ae_container_open(&bytes, NULL, &c, &err), &err);
            ok(ae_container_list(c, &items, &n, &err), &err);
            assert_int_equal(n, 1);
            check_item(items, &s, cut && !told ? 3072 : 5000);
            ae_items_free(items, n);
            ae_container_free(c);
            f.n = f.n * 4 / 5 * 9 / 10; /* within the fourth tile */
        }
        free(f.data);
        clear(&s);
    }
}

/* ---- by spectra ---- */

static sound make_spectra(ae_sample sample, uint32_t channels, uint64_t frames, uint32_t tile,
                          uint8_t block, double quality)
{
    sound s = make(sample, channels, frames, tile);

    s.block = block;
    s.quality = quality;
    return s;
}

static double value_at(const sound *s, const uint8_t *frames, size_t i)
{
    float f;
    double d;

    if (s->info.sample == AE_F32)
        return memcpy(&f, frames + 4 * i, 4), (double)f;
    if (s->info.sample == AE_F64)
        return memcpy(&d, frames + 8 * i, 8), d;
    return (double)whole_at(s, frames, i) / ldexp(1, 8 * (int)ae_sample_bytes(s->info.sample) - 1);
}

/* Signal to noise in dB. */
static double quality_of(const sound *s)
{
    double power = 1e-60, noise = 1e-60;

    for (size_t i = 0; i < (size_t)s->info.height * s->info.channels; i++) {
        double a = value_at(s, s->frames, i), b = value_at(s, s->decoded, i);

        power += a * a;
        noise += (a - b) * (a - b);
    }
    return 10 * log10(power / noise);
}

/* Every type and odd lengths: what the encoder says decoding gives is what any number of threads
 * gives, and it is near. */
static void test_spectra(void **state)
{
    static const uint64_t lengths[] = {1, 63, 1023, 1024, 1025, 5000};

    (void)state;
    for (int type = 0; type < N_TYPES; type++)
        for (int kind = 0; kind < PATTERNS + (type >= 4); kind++)
            for (uint32_t i = 0; i < 6; i++) {
                sound s = make_spectra(types[type], 1 + (i + (uint32_t)kind) % 3, lengths[i], 1024,
                                       (uint8_t)(7 + i % 4), 95);
                ae_error err;

                fill(&s, (signal)kind, 17 * i + 3);
                encode(&s, 0, 1 + i % 3);
                ok(decode(&s, 0, 0, 3 - i % 3, false, &err), &err);
                assert_int_equal(s.decoded_at, s.bytes);
                assert_int_equal(s.told_at, s.bytes);
                assert_memory_equal(s.told, s.decoded, s.bytes);
                if (kind == SILENCE)
                    assert_memory_equal(s.frames, s.decoded, s.bytes);
                if (kind == TONE && lengths[i] > 1000 &&
                    !(quality_of(&s) > (types[type] == AE_S8 ? 20 : 30)))
                    fail_msg("type %d, %llu frames: %.1f dB", types[type],
                             (unsigned long long)lengths[i], quality_of(&s));
                clear(&s);
            }
}

/* More quality: more bytes, and nearer. */
static void test_spectra_qualities(void **state)
{
    double last = -1;
    size_t bytes = 0;

    (void)state;
    for (int q = 40; q <= 99; q += 59 / 3) { /* below, what is loud gets more of the bits */
        sound s = make_spectra(AE_S16, 2, 20000, 8192, 9, q);
        ae_error err;

        fill(&s, TONE, 5);
        encode(&s, 0, 1);
        ok(decode(&s, 0, 0, 1, false, &err), &err);
        assert_true(quality_of(&s) > last + 3);
        assert_true(coded_bytes(&s) > bytes);
        last = quality_of(&s);
        bytes = coded_bytes(&s);
        clear(&s);
    }
    assert_true(bytes < 20000 * 4);
}

/* Any part is as in the whole, and asks for its tiles and, at the end of one, for the next. */
static void test_spectra_parts(void **state)
{
    static const struct part {
        uint64_t first, n;
        uint32_t tiles;
    } parts[] = {{0, 1, 1},     {0, 900, 1},  {0, 1024, 2},    {1000, 100, 2},
                 {1024, 10, 1}, {2047, 1, 2}, {3000, 1999, 3}, {4999, 1, 1}};
    sound s = make_spectra(AE_S16, 2, 5000, 1024, 9, 70);
    uint8_t *whole = malloc(s.bytes);
    ae_error err;

    (void)state;
    assert_non_null(whole);
    fill(&s, TONE, 9);
    encode(&s, 0, 2);
    ok(decode(&s, 0, 0, 1, false, &err), &err);
    memcpy(whole, s.decoded, s.bytes);
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        ok(decode(&s, parts[i].first, parts[i].n, 1 + i % 2, false, &err), &err);
        assert_int_equal(s.decoded_at, 4 * parts[i].n);
        assert_memory_equal(s.decoded, whole + 4 * parts[i].first, s.decoded_at);
        assert_int_equal(s.n_read, parts[i].tiles);
    }
    free(whole);
    clear(&s);
}

/* A lost tile costs itself and at most a cell before it. */
static void test_spectra_damage(void **state)
{
    sound s = make_spectra(AE_S16, 1, 5000, 1024, 9, 80);
    uint8_t *whole = malloc(s.bytes);
    ae_error err;

    (void)state;
    assert_non_null(whole);
    fill(&s, TONE, 11);
    encode(&s, 0, 1);
    ok(decode(&s, 0, 0, 1, false, &err), &err);
    memcpy(whole, s.decoded, s.bytes);
    s.tiles[2].n = 5;
    assert_true(decode(&s, 0, 0, 2, false, &err) != AE_OK);
    ok(decode(&s, 0, 0, 2, true, &err), &err);
    assert_int_equal(s.n_lost, 1);
    assert_int_equal(s.lost, 2);
    assert_memory_equal(s.decoded, whole, 2 * (2048 - 64));
    assert_memory_equal(s.decoded + 2 * 3072, whole + 2 * 3072, 2 * (5000 - 3072));
    for (size_t i = 2048; i < 3072 - 64; i++)
        assert_int_equal(whole_at(&s, s.decoded, i), 0);
    free(whole);
    clear(&s);
}

/* Tiles that take fewer bytes as samples are exact, with what spectra before them leave open; also
 * in parts, and where a neighbour is lost. */
static void test_spectra_as_samples(void **state)
{
    enum { TILE = 2048, OVERLAP = 64, FRAMES = 7 * TILE + 33 };
    static const int plain[] = {0, 1, 1, 0, 1, 0, 0, 1}, kinds[] = {3, 4, 1, 3, 4, 3, 3, 4};
    static const ae_sample of[] = {AE_S16, AE_F32};
    uint8_t *whole = malloc(FRAMES * 8);
    ae_error err;

    (void)state;
    assert_non_null(whole);
    for (size_t type = 0; type < 2; type++) {
        sound s = make_spectra(of[type], 2, FRAMES, TILE, 9, 95);
        size_t row = ae_row_bytes(&s.info);

        for (size_t t = 0, seed = 1; t < FRAMES; t++)
            for (size_t c = 0; c < 2; c++) {
                seed = seed * 1664525 + 1013904223;
                set(&s, 2 * t + c,
                    plain[t / TILE] ? 0.25 * (double)(seed >> 20 & 1)
                                    : (double)(seed >> 8 & 65535) / 65536 - 0.5);
            }
        encode(&s, 0, 3);
        for (size_t i = 0; i < 8; i++) {
            int kind = s.tiles[i].data[i < 7 ? 2 : 1];

            if (type && kind == 2)
                kind = 1; /* floats */
            if (kind != kinds[i])
                fail_msg("tile %zu is of kind %d: %zu bytes", i, kind, s.tiles[i].n);
        }
        ok(decode(&s, 0, 0, 2, false, &err), &err);
        assert_memory_equal(s.told, s.decoded, s.bytes);
        memcpy(whole, s.decoded, s.bytes);
        for (size_t i = 0; i < 8; i++)
            if (plain[i]) {
                size_t from = i * TILE - (plain[i - 1] ? 0 : OVERLAP),
                       to = i < 7 ? (i + 1) * TILE : FRAMES;

                assert_memory_equal(whole + from * row, s.frames + from * row, (to - from) * row);
            }
        for (uint64_t from = 0; from + 3 * OVERLAP < FRAMES; from += OVERLAP / 2 + 1) {
            ok(decode(&s, from, OVERLAP / 2 + from % (2 * OVERLAP), 1, false, &err), &err);
            assert_memory_equal(s.decoded, whole + from * row, s.decoded_at);
        }
        for (size_t i = 0; i < 8; i++) {
            size_t n = s.tiles[i].n, from = i * TILE - (i ? OVERLAP : 0), to = (i + 1) * TILE;

            s.tiles[i].n = 1;
            ok(decode(&s, 0, 0, 2, true, &err), &err);
            s.tiles[i].n = n;
            assert_memory_equal(s.decoded, whole, from * row);
            if (i < 7)
                assert_memory_equal(s.decoded + to * row, whole + to * row, (FRAMES - to) * row);
        }
        clear(&s);
    }
    free(whole);
}

/* Floats of any size keep their scale; what is no number is silence. */
static void test_spectra_scales(void **state)
{
    static const double scales[] = {1e-20, 1e-6, 3, 1e6, 1e30};

    (void)state;
    for (size_t k = 0; k < 5; k++) {
        sound s = make_spectra(AE_F32, 1, 4000, 1024, 9, 95);
        ae_error err;

        fill(&s, TONE, 3);
        for (size_t i = 0; i < 4000; i++) {
            float v = (float)(value_at(&s, s.frames, i) * scales[k]);

            memcpy(s.frames + 4 * i, &v, 4);
        }
        encode(&s, 0, 1);
        ok(decode(&s, 0, 0, 1, false, &err), &err);
        if (!(quality_of(&s) > 25))
            fail_msg("at %g: %.1f dB", scales[k], quality_of(&s));
        clear(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spectra_as_samples),
        cmocka_unit_test(test_spectra),
        cmocka_unit_test(test_spectra_qualities),
        cmocka_unit_test(test_spectra_parts),
        cmocka_unit_test(test_spectra_damage),
        cmocka_unit_test(test_spectra_scales),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_gain),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_near),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
