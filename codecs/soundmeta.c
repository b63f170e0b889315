/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands in sound files beside the samples, found. Files of one family keep their chunks byte
 * for byte; between families tags and covers travel. soundtags.c makes it again for the file that
 * is written. */
#include <string.h>

#include "soundfile.h"

enum { MAX_CHUNKS = 1000, MAX_COMMENTS = 10000 };

typedef struct walk {
    ae_source *source;
    const ae_limits *limits;
    ae_meta *meta;
    sound_layout *layout;
    char *note;
    ae_error *err;
    uint64_t taken; /* bytes of metadata */
} walk;

static bool take(walk *w, uint64_t at, void *to, size_t n)
{
    return ae_source_seek(w->source, at) && ae_source_read(w->source, to, n) == n;
}

/* A block of the file from ae_alloc, NULL with *st AE_OK where it is damaged or too much. */
static uint8_t *load(walk *w, uint64_t at, uint64_t n, ae_status *st)
{
    uint8_t *data;

    if (n > w->limits->max_meta - w->taken || n > ae_source_size(w->source) ||
        at > ae_source_size(w->source) - n) {
        aei_note(w->note, AEI_DAMAGED_META);
        return NULL;
    }
    data = ae_alloc((size_t)n + 1, 1);
    if (!data) {
        *st = ae_fail(w->err, AE_ERR_NOMEM, "metadata of %llu bytes", (unsigned long long)n);
    } else if (!take(w, at, data, (size_t)n)) {
        ae_free(data);
        data = NULL;
        aei_note(w->note, AEI_DAMAGED_META);
    } else {
        w->taken += n;
    }
    return data;
}

static ae_status keep(walk *w, const char *family, const char name[5], uint64_t at, uint64_t n)
{
    ae_status st = AE_OK;
    uint8_t *data;
    char key[16];

    if (w->meta->n_items >= MAX_CHUNKS) {
        aei_note(w->note, AEI_DAMAGED_META);
        return AE_OK;
    }
    if (!(data = load(w, at, n, &st)))
        return st;
    snprintf(key, sizeof(key), "%s %s", family, name);
    st = ae_meta_add(w->meta, AE_META_CHUNK, key, data, (size_t)n, w->err);
    ae_free(data);
    return st;
}

/* RIFF, AIFF and CAF: name and size, then content. What describes the samples, fills gaps or draws
 * the waveform as it was is left out. */
static ae_status walk_chunks(walk *w, sound_family family)
{
    static const char *const riff[] = {"fmt ", "data", "fact", "PEAK", "ds64", "JUNK",
                                       "junk", "PAD ", "FLLR", "levl", NULL},
                             *const aiff[] = {"COMM", "SSND", "FVER", "PEAK", "CHAN", "FLLR", NULL},
                             *const caf[] = {"desc", "data", "pakt", "chan", "kuki",
                                             "free", "peak", "ovvw", NULL};
    const char *const *left_out = family == SOUND_AIFF ? aiff : family == SOUND_CAF ? caf : riff;
    const char *name_of = family == SOUND_AIFF   ? "AIFF"
                          : family == SOUND_CAF  ? "CAF"
                          : family == SOUND_RIFX ? "RIFX"
                                                 : "RIFF";
    bool big_endian = family != SOUND_RIFF, caff = family == SOUND_CAF;
    uint64_t at = caff ? 8 : 12, size = ae_source_size(w->source), data64 = 0, n;
    unsigned head = caff ? 12 : 8;
    ae_status st = AE_OK;

    for (uint8_t h[28]; st == AE_OK && at + head <= size && take(w, at, h, head);
         at += n + (!caff && n % 2)) {
        char name[5] = {(char)h[0], (char)h[1], (char)h[2], (char)h[3], 0};
        bool text = true;

        n = aei_sound_number(h + 4, caff ? 8 : 4, big_endian);
        at += head;
        for (int i = 0; i < 4; i++)
            text = text && (name[i] & 0x7f) >= ' ';
        if (strcmp(name, "ds64") == 0 && n >= 24 && take(w, at, h, 24))
            data64 = aei_sound_number(h + 8, 8, false);
        if (strcmp(name, caff || family != SOUND_AIFF ? "data" : "SSND") == 0) {
            bool open = caff ? n == UINT64_MAX : n == 0xffffffff || n == 0x7fffffff || n == 0;

            if (n == 0xffffffff && data64 && !caff) {
                n = data64;
                open = n == UINT64_MAX;
            }
            w->layout->found = true;
            w->layout->present = size - at;
            w->layout->claimed = open ? 0 : n;
            if (open && at < size) { /* written to a pipe: up to the end */
                w->layout->patch_at = caff || family == SOUND_AIFF || data64 || size > UINT32_MAX
                                          ? 0
                                          : at - 4;
                break;
            }
        } else if (strcmp(name, "COMM") == 0 && n >= 6 && take(w, at, h, 6)) {
            w->layout->counted = true;
            w->layout->frames = aei_sound_number(h + 2, 4, true);
        } else if (!text) {
            aei_note(w->note, AEI_DAMAGED_META);
            break;
        } else if (n <= size - at && !aei_is_one_of(name, left_out)) {
            st = keep(w, name_of, name, at, n);
        }
        if (n > size - at) {
            if (!w->layout->claimed || w->layout->claimed <= w->layout->present)
                aei_note(w->note, AEI_DAMAGED_META);
            break;
        }
    }
    return st;
}

/* Sony's Wave64: a chunk is named by 16 bytes, its size counts them, and begins at multiples of 8.
 */
static ae_status walk_w64(walk *w)
{
    uint64_t at = 40, size = ae_source_size(w->source), n;

    for (uint8_t h[24]; at + 24 <= size && take(w, at, h, 24); at += (n + 7) & ~(uint64_t)7) {
        n = aei_sound_number(h + 16, 8, false);
        if (memcmp(h, "data", 4) == 0) {
            w->layout->found = true;
            w->layout->present = size - at - 24;
            w->layout->claimed = n > 24 && n < UINT64_MAX / 2 ? n - 24 : 0;
        } else if (memcmp(h, "fmt ", 4) != 0 && memcmp(h, "fact", 4) != 0 &&
                   memcmp(h, "junk", 4) != 0) {
            aei_note(w->note, "chunks of Wave64 dropped");
        }
        if (n < 24 || n > size - at)
            break;
    }
    return AE_OK;
}

static ae_status add_cover_text(walk *w, const uint8_t *text, size_t n)
{
    uint8_t *out = ae_alloc(n / 4 * 3 + 4, 1), *q = out;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    ae_status st;

    if (!out)
        return ae_fail(w->err, AE_ERR_NOMEM, "a picture");
    for (size_t i = 0; i < n && text[i] != '='; i++) {
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *d = text[i] ? strchr(digits, text[i]) : NULL;

        if (!d)
            continue;
        bits = bits << 6 | (uint32_t)(d - digits);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            *q++ = (uint8_t)(bits >> n_bits);
        }
    }
    st = q - out < 32 ? AE_OK
                      : ae_meta_add(w->meta, AE_META_COVER, NULL, out, (size_t)(q - out), w->err);
    ae_free(out);
    return st;
}

/* Vorbis comments: vendor, count, then texts "NAME=value", all with their lengths. */
static ae_status add_comments(walk *w, const uint8_t *p, size_t n)
{
    static const char cover[] = "METADATA_BLOCK_PICTURE";
    size_t at = 0, count = MAX_COMMENTS + 1;
    ae_status st = AE_OK;

    for (size_t i = 0; i <= count && st == AE_OK; i++) {
        uint64_t length = n - at < 4 ? UINT64_MAX : aei_sound_number(p + at, 4, false);
        const uint8_t *equals;
        char name[64];

        if (length > n - at - 4 || n - at < 4 || i > MAX_COMMENTS) {
            aei_note(w->note, AEI_DAMAGED_META);
            break;
        }
        at += 4;
        equals = memchr(p + at, '=', (size_t)length);
        if (i == 0) {
            at += (size_t)length;
            if (n - at < 4)
                break;
            count = (size_t)aei_sound_number(p + at, 4, false);
            at += 4;
            continue;
        }
        if (equals && equals > p + at && (size_t)(equals - p) - at < sizeof(name)) {
            size_t n_name = (size_t)(equals - p) - at, n_value = (size_t)length - n_name - 1;

            memcpy(name, p + at, n_name);
            name[n_name] = 0;
            for (char *c = name; *c; c++)
                *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
            st = strcmp(name, cover) == 0 ? add_cover_text(w, equals + 1, n_value)
                                          : aei_add_tag(w->meta, name, equals + 1, n_value, w->err);
        }
        at += (size_t)length;
    }
    return st;
}

static uint64_t id3_size(const uint8_t h[10])
{
    return memcmp(h, "ID3", 3) == 0 ? 10 + ((uint64_t)(h[6] & 127) << 21 | (h[7] & 127) << 14 |
                                            (h[8] & 127) << 7 | (h[9] & 127))
                                    : 0;
}

static ae_status walk_flac(walk *w)
{
    enum { APPLICATION = 2, COMMENTS = 4, CUES = 5, PICTURE = 6 };
    uint8_t h[10] = {0};
    ae_status st = AE_OK;
    uint64_t at, n;
    bool last = false;

    if (!take(w, 0, h, sizeof(h)))
        return AE_OK;
    at = id3_size(h) + 4;
    for (; st == AE_OK && !last && take(w, at, h, 4); at += 4 + n) {
        uint8_t *data;

        last = h[0] & 0x80;
        h[0] &= 0x7f;
        n = aei_sound_number(h + 1, 3, true);
        if (h[0] != APPLICATION && h[0] != COMMENTS && h[0] != CUES && h[0] != PICTURE)
            continue;
        if (w->meta->n_items >= MAX_CHUNKS || !(data = load(w, at + 4, n, &st)))
            continue;
        if (h[0] == COMMENTS)
            st = add_comments(w, data, (size_t)n);
        else if (h[0] == PICTURE)
            st = ae_meta_add(w->meta, AE_META_COVER, NULL, data, (size_t)n, w->err);
        else
            st = ae_meta_add(w->meta, AE_META_CHUNK, h[0] == CUES ? "FLAC 5" : "FLAC 2", data,
                             (size_t)n, w->err);
        ae_free(data);
    }
    return st;
}

/* The second packet of the stream holds the comments; its pages stand at the file's beginning. */
static ae_status walk_ogg(walk *w)
{
    uint64_t at = 0, size = ae_source_size(w->source), begin;
    uint8_t h[27 + 255], tail[1 << 16];
    ae_memory_output packet;
    unsigned n_packets = 0;
    ae_status st = AE_OK;
    size_t n;

    ae_memory_output_init(&packet);
    while (st == AE_OK && n_packets < 2 && packet.n_bytes <= w->limits->max_meta &&
           take(w, at, h, 27) && memcmp(h, "OggS", 4) == 0 && take(w, at + 27, h + 27, h[26])) {
        at += 27u + h[26];
        for (unsigned i = 0; i < h[26] && n_packets < 2 && st == AE_OK; i++) {
            uint8_t piece[255];

            if (!take(w, at, piece, h[27 + i]))
                break;
            at += h[27 + i];
            if (n_packets == 1)
                st = packet.sink.write(&packet, piece, h[27 + i], w->err);
            n_packets += h[27 + i] < 255;
        }
    }
    n = packet.n_bytes > 8 && memcmp(packet.data, "OpusTags", 8) == 0 ? 8
        : packet.n_bytes > 7 && packet.data[0] == 3                   ? 7
                                                                      : 0;
    if (st == AE_OK && n && n_packets == 2)
        st = add_comments(w, packet.data + n, packet.n_bytes - n);
    ae_free(packet.data);

    /* Does a last page with the mark of the stream's end reach to the end of the file? */
    begin = size > sizeof(tail) ? size - sizeof(tail) : 0;
    n = (size_t)(size - begin);
    w->layout->unfinished = true;
    if (take(w, begin, tail, n))
        for (size_t i = 0; i + 27 <= n; i++) {
            size_t length = 27u + tail[i + 26];

            if (memcmp(tail + i, "OggS", 4) != 0 || i + length > n)
                continue;
            for (unsigned k = 0; k < tail[i + 26]; k++)
                length += tail[i + 27 + k];
            if (i + length == n && tail[i + 5] & 4)
                w->layout->unfinished = false;
        }
    return st;
}

/* The tag before the frames and the one behind them, as they are. */
static ae_status walk_mpeg(walk *w)
{
    uint64_t size = ae_source_size(w->source), n;
    uint8_t h[10];
    ae_status st = AE_OK;

    if (take(w, 0, h, sizeof(h)) && (n = id3_size(h)) > 10)
        st = keep(w, "MPEG", "ID3v", 0, n);
    if (st == AE_OK && size > 128 && take(w, size - 128, h, 3) && memcmp(h, "TAG", 3) == 0)
        st = keep(w, "MPEG", "TAG ", size - 128, 128);
    return st;
}

ae_status aei_sound_meta(ae_source *source, sound_family family, const ae_limits *limits,
                         ae_meta *meta, sound_layout *layout, char note[160], ae_error *err)
{
    walk w = {source, limits, meta, layout, note, err, 0};

    layout->found = family == SOUND_FLAC || family == SOUND_OGG || family == SOUND_MPEG ||
                    family == SOUND_AU;
    switch (family) {
    case SOUND_W64: return walk_w64(&w);
    case SOUND_FLAC: return walk_flac(&w);
    case SOUND_OGG: return walk_ogg(&w);
    case SOUND_MPEG: return walk_mpeg(&w);
    case SOUND_AU: return AE_OK;
    default: return walk_chunks(&w, family);
    }
}
