/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands in sound files beside the samples: found here, and made again for the file that is written. Files of one family keep
 * their chunks byte for byte; between families tags and covers travel. */
#include <sndfile.h>
#include <string.h>

#include "soundfile.h"

enum { MAX_CHUNKS = 1000, MAX_COMMENTS = 10000 };

const sound_tag aei_sound_tags[] = {
    {SF_STR_TITLE, "TITLE", "INAM", "NAME", "title", "TIT2"},
    {SF_STR_ARTIST, "ARTIST", "IART", "AUTH", "artist", "TPE1"},
    {SF_STR_ALBUM, "ALBUM", "IPRD", NULL, "album", "TALB"},
    {SF_STR_DATE, "DATE", "ICRD", NULL, NULL, "TDRC"},
    {SF_STR_COMMENT, "COMMENT", "ICMT", "ANNO", "comment", "COMM"},
    {SF_STR_COPYRIGHT, "COPYRIGHT", "ICOP", "(c) ", "copyright", "TCOP"},
    {SF_STR_GENRE, "GENRE", "IGNR", NULL, "genre", "TCON"},
    {SF_STR_TRACKNUMBER, "TRACKNUMBER", "ITRK", NULL, "tracknumber", "TRCK"},
    {SF_STR_LICENSE, "LICENSE", NULL, NULL, NULL, NULL},
    {SF_STR_SOFTWARE, "ENCODER", "ISFT", NULL, NULL, "TSSE"},
    {0},
};

/* ---- reading ---- */

typedef struct walk {
    ae_source *source;
    const ae_limits *limits;
    ae_meta *meta;
    sound_layout *layout;
    char *note;
    ae_error *err;
    uint64_t taken; /* bytes of metadata */
} walk;

static uint64_t number(const uint8_t *p, unsigned n, bool big_endian)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * (big_endian ? n - 1 - i : i);
    return v;
}

static bool take(walk *w, uint64_t at, void *to, size_t n)
{
    return ae_source_seek(w->source, at) && ae_source_read(w->source, to, n) == n;
}

/* A block of the file from ae_alloc, NULL with *st AE_OK where it is damaged or too much. */
static uint8_t *load(walk *w, uint64_t at, uint64_t n, ae_status *st)
{
    uint8_t *data;

    if (n > w->limits->max_meta - w->taken || n > ae_source_size(w->source) || at > ae_source_size(w->source) - n) {
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

static bool is_one_of(const char *name, const char *const *list)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list;
}

/* RIFF, AIFF and CAF: name and size, then content. What describes the samples, fills gaps or draws the waveform as it was is left
 * out. */
static ae_status walk_chunks(walk *w, sound_family family)
{
    static const char *const riff[] = {"fmt ", "data", "fact", "PEAK", "ds64", "JUNK", "junk", "PAD ", "FLLR", "levl", NULL},
                             *const aiff[] = {"COMM", "SSND", "FVER", "PEAK", "CHAN", "FLLR", NULL}, *const caf[] = {"desc", "data",
                                                                                                                     "pakt", "chan",
                                                                                                                     "kuki", "free",
                                                                                                                     "peak", "ovvw",
                                                                                                                     NULL};
    const char *const *left_out = family == SOUND_AIFF ? aiff : family == SOUND_CAF ? caf : riff;
    const char *name_of = family == SOUND_AIFF ? "AIFF" : family == SOUND_CAF ? "CAF" : family == SOUND_RIFX ? "RIFX" : "RIFF";
    bool big_endian = family != SOUND_RIFF, caff = family == SOUND_CAF;
    uint64_t at = caff ? 8 : 12, size = ae_source_size(w->source), data64 = 0, n;
    unsigned head = caff ? 12 : 8;
    ae_status st = AE_OK;

    for (uint8_t h[28]; st == AE_OK && at + head <= size && take(w, at, h, head); at += n + (!caff && n % 2)) {
        char name[5] = {(char)h[0], (char)h[1], (char)h[2], (char)h[3], 0};
        bool text = true;

        n = number(h + 4, caff ? 8 : 4, big_endian);
        at += head;
        for (int i = 0; i < 4; i++)
            text = text && (name[i] & 0x7f) >= ' ';
        if (strcmp(name, "ds64") == 0 && n >= 24 && take(w, at, h, 24))
            data64 = number(h + 8, 8, false);
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
                w->layout->patch_at = caff || family == SOUND_AIFF || data64 || size > UINT32_MAX ? 0 : at - 4;
                break;
            }
        } else if (strcmp(name, "COMM") == 0 && n >= 6 && take(w, at, h, 6)) {
            w->layout->counted = true;
            w->layout->frames = number(h + 2, 4, true);
        } else if (!text) {
            aei_note(w->note, AEI_DAMAGED_META);
            break;
        } else if (n <= size - at && !is_one_of(name, left_out)) {
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

/* Sony's Wave64: a chunk is named by 16 bytes, its size counts them, and begins at multiples of 8. */
static ae_status walk_w64(walk *w)
{
    uint64_t at = 40, size = ae_source_size(w->source), n;

    for (uint8_t h[24]; at + 24 <= size && take(w, at, h, 24); at += (n + 7) & ~(uint64_t)7) {
        n = number(h + 16, 8, false);
        if (memcmp(h, "data", 4) == 0) {
            w->layout->found = true;
            w->layout->present = size - at - 24;
            w->layout->claimed = n > 24 && n < UINT64_MAX / 2 ? n - 24 : 0;
        } else if (memcmp(h, "fmt ", 4) != 0 && memcmp(h, "fact", 4) != 0 && memcmp(h, "junk", 4) != 0) {
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
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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
    st = q - out < 32 ? AE_OK : ae_meta_add(w->meta, AE_META_COVER, NULL, out, (size_t)(q - out), w->err);
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
        uint64_t length = n - at < 4 ? UINT64_MAX : number(p + at, 4, false);
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
            count = (size_t)number(p + at, 4, false);
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
    return memcmp(h, "ID3", 3) == 0 ? 10 + ((uint64_t)(h[6] & 127) << 21 | (h[7] & 127) << 14 | (h[8] & 127) << 7 | (h[9] & 127))
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
        n = number(h + 1, 3, true);
        if (h[0] != APPLICATION && h[0] != COMMENTS && h[0] != CUES && h[0] != PICTURE)
            continue;
        if (w->meta->n_items >= MAX_CHUNKS || !(data = load(w, at + 4, n, &st)))
            continue;
        if (h[0] == COMMENTS)
            st = add_comments(w, data, (size_t)n);
        else if (h[0] == PICTURE)
            st = ae_meta_add(w->meta, AE_META_COVER, NULL, data, (size_t)n, w->err);
        else
            st = ae_meta_add(w->meta, AE_META_CHUNK, h[0] == CUES ? "FLAC 5" : "FLAC 2", data, (size_t)n, w->err);
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
    while (st == AE_OK && n_packets < 2 && packet.n_bytes <= w->limits->max_meta && take(w, at, h, 27) &&
           memcmp(h, "OggS", 4) == 0 && take(w, at + 27, h + 27, h[26])) {
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
    n = packet.n_bytes > 8 && memcmp(packet.data, "OpusTags", 8) == 0 ? 8 : packet.n_bytes > 7 && packet.data[0] == 3 ? 7 : 0;
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

ae_status aei_sound_meta(ae_source *source, sound_family family, const ae_limits *limits, ae_meta *meta, sound_layout *layout,
                         char note[160], ae_error *err)
{
    walk w = {source, limits, meta, layout, note, err, 0};

    layout->found = family == SOUND_FLAC || family == SOUND_OGG || family == SOUND_MPEG || family == SOUND_AU;
    switch (family) {
    case SOUND_W64:
        return walk_w64(&w);
    case SOUND_FLAC:
        return walk_flac(&w);
    case SOUND_OGG:
        return walk_ogg(&w);
    case SOUND_MPEG:
        return walk_mpeg(&w);
    case SOUND_AU:
        return AE_OK;
    default:
        return walk_chunks(&w, family);
    }
}

/* ---- writing ---- */

static const char *const families[] = {
    [SOUND_RIFF] = "RIFF ", [SOUND_RIFX] = "RIFX ", [SOUND_W64] = "W64 ", [SOUND_AIFF] = "AIFF ", [SOUND_AU] = "AU ",
    [SOUND_CAF] = "CAF ",   [SOUND_FLAC] = "FLAC ", [SOUND_OGG] = "OGG ", [SOUND_MPEG] = "MPEG ", [SOUND_AV] = "AV "};

/* The chunk's own name, or NULL where another family's is meant. */
static const char *own_chunk(sound_family family, const ae_meta_item *item)
{
    size_t n = strlen(families[family]);

    if (family == SOUND_AV || item->kind != AE_META_CHUNK || !item->key || strncmp(item->key, families[family], n) != 0)
        return NULL;
    return item->key + n;
}

static bool has_own(sound_family family, const ae_meta *meta)
{
    for (size_t i = 0; i < meta->n_items; i++)
        if (own_chunk(family, &meta->items[i]))
            return true;
    return false;
}

static const sound_tag *find_tag(const char *name)
{
    const sound_tag *t = aei_sound_tags;

    while (t->name && strcmp(t->name, name) != 0)
        t++;
    return t->name ? t : NULL;
}

static const char *tag_place(sound_family family, const ae_meta_item *item)
{
    const sound_tag *t = item->kind == AE_META_TAG && item->key ? find_tag(item->key) : NULL;

    if (!t)
        return NULL;
    return family == SOUND_RIFF || family == SOUND_RIFX ? t->riff
           : family == SOUND_AIFF                       ? t->aiff
           : family == SOUND_CAF                        ? t->caf
                                                        : NULL;
}

void aei_sound_dropped(sound_family family, const ae_meta *meta, char note[160])
{
    /* What is in these has travelled as tags. */
    static const char *const tags[] = {"RIFF LIST", "RIFX LIST", "RIFF id3 ", "RIFF ID3 ", "AIFF ID3 ", "AIFF NAME", "AIFF AUTH",
                                       "AIFF ANNO", "AIFF (c) ", "CAF info",  "MPEG ID3v", "MPEG TAG ", NULL};
    bool comments = family == SOUND_FLAC || family == SOUND_OGG || family == SOUND_MPEG, streams = family == SOUND_AV;
    bool own = !comments && has_own(family, meta);
    char text[80];

    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (item->kind == AE_META_CHUNK && !own_chunk(family, item) && !is_one_of(item->key, tags)) {
            if (strncmp(item->key, "AV ", 3) == 0)
                snprintf(text, sizeof(text), "%.60s dropped", item->key + 3);
            else
                snprintf(text, sizeof(text), "chunk %.4s dropped", strchr(item->key, ' ') + 1);
            aei_note(note, text);
        } else if (item->kind == AE_META_TAG && !comments && !streams && !own && !tag_place(family, item)) {
            snprintf(text, sizeof(text), "tag %.40s dropped", item->key);
            aei_note(note, text);
        } else if (item->kind == AE_META_COVER && !comments && !own) {
            aei_note(note, "cover picture dropped");
        }
    }
}

typedef struct builder {
    ae_memory_output *out;
    ae_error *err;
    ae_status st;
} builder;

static void put(builder *b, const void *data, size_t n)
{
    if (b->st == AE_OK)
        b->st = b->out->sink.write(b->out, data, n, b->err);
}

static void put_number(builder *b, uint64_t v, unsigned n, bool big_endian)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < n; i++)
        bytes[i] = (uint8_t)(v >> 8 * (big_endian ? n - 1 - i : i));
    put(b, bytes, n);
}

static void put_chunk(builder *b, sound_family family, const char *name, const void *data, size_t n)
{
    put(b, name, 4);
    put_number(b, n, family == SOUND_CAF ? 8 : 4, family != SOUND_RIFF);
    put(b, data, n);
    if (n % 2 && family != SOUND_CAF)
        put(b, "", 1);
}

static void put_tags(builder *b, sound_family family, const ae_meta *meta)
{
    ae_memory_output inner;
    builder list = {&inner, b->err, b->st};
    uint32_t count = 0;

    ae_memory_output_init(&inner);
    if (family != SOUND_CAF)
        put(&list, "INFO", 4);
    for (size_t i = 0; i < meta->n_items; i++)
        count += tag_place(family, &meta->items[i]) != NULL;
    if (family == SOUND_CAF)
        put_number(&list, count, 4, true);
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];
        const char *place = tag_place(family, item);

        if (!place)
            continue;
        if (family == SOUND_AIFF) {
            put_chunk(b, family, place, item->value, item->n_bytes);
        } else if (family == SOUND_CAF) {
            put(&list, place, strlen(place) + 1);
            put(&list, item->value, strlen((const char *)item->value) + 1);
        } else {
            put_chunk(&list, family, place, item->value, item->n_bytes + 1);
        }
    }
    if (list.st != AE_OK)
        b->st = list.st;
    else if (count && family != SOUND_AIFF)
        put_chunk(b, family, family == SOUND_CAF ? "info" : "LIST", inner.data, inner.n_bytes);
    ae_free(inner.data);
}

ae_status aei_sound_tail(sound_family family, const ae_meta *meta, ae_memory_output *tail, ae_error *err)
{
    builder b = {tail, err, AE_OK};
    bool own = has_own(family, meta);

    if (family == SOUND_MPEG) {
        for (size_t i = 0; i < meta->n_items; i++)
            if (own_chunk(family, &meta->items[i]) && strcmp(meta->items[i].key, "MPEG TAG ") == 0)
                put(&b, meta->items[i].value, meta->items[i].n_bytes);
        return b.st;
    }
    if (family != SOUND_RIFF && family != SOUND_RIFX && family != SOUND_AIFF && family != SOUND_CAF)
        return AE_OK;
    for (size_t i = 0; i < meta->n_items; i++)
        if (own_chunk(family, &meta->items[i]))
            put_chunk(&b, family, own_chunk(family, &meta->items[i]), meta->items[i].value, meta->items[i].n_bytes);
    if (!own)
        put_tags(&b, family, meta);
    return b.st;
}

static void put_base64(builder *b, const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
                        i + 2 < n ? digits[v & 63] : '='};

        put(b, four, 4);
    }
}

/* Without a vendor: who wrote the file is not what wrote it first. */
static void put_comments(builder *b, const ae_meta *meta, bool covers)
{
    static const char cover[] = "METADATA_BLOCK_PICTURE=";
    uint32_t count = 0;

    for (size_t i = 0; i < meta->n_items; i++)
        count += meta->items[i].kind == AE_META_TAG || (covers && meta->items[i].kind == AE_META_COVER);
    put_number(b, 7, 4, false);
    put(b, "aesuite", 7);
    put_number(b, count, 4, false);
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (item->kind == AE_META_TAG) {
            size_t n = strlen(item->key);

            put_number(b, n + 1 + item->n_bytes, 4, false);
            put(b, item->key, n);
            put(b, "=", 1);
            put(b, item->value, item->n_bytes);
        } else if (covers && item->kind == AE_META_COVER) {
            put_number(b, sizeof(cover) - 1 + (item->n_bytes + 2) / 3 * 4, 4, false);
            put(b, cover, sizeof(cover) - 1);
            put_base64(b, item->value, item->n_bytes);
        }
    }
}

static void put_block(builder *b, unsigned type, const void *data, size_t n)
{
    if (n >= 1 << 24)
        return; /* what FLAC cannot hold; comments of that size are past max_meta's purpose */
    put_number(b, type, 1, true);
    put_number(b, n, 3, true);
    put(b, data, n);
}

/* A frame of ID3v2.4: name, size in sevens of bits, flags, content that begins with the encoding, which is UTF-8. */
static void put_id3_frame(builder *b, const char *name, const char *before, size_t n_before, const void *value, size_t n)
{
    put(b, name, 4);
    for (int shift = 21; shift >= 0; shift -= 7)
        put_number(b, (1 + n_before + n) >> shift & 127, 1, true);
    put(b, "\0\0\3", 3);
    put(b, before, n_before);
    put(b, value, n);
}

/* FLAC's picture: kind, type of file, description, width, height, depth, colours, data; ID3's: type, kind, description, data. */
static void put_id3_cover(builder *b, const ae_meta_item *item)
{
    const uint8_t *p = item->value;
    uint64_t n_type, n_text, n_data;
    char head[300];
    size_t n;

    if (item->n_bytes < 32 || (n_type = number(p + 4, 4, true)) > 100 || item->n_bytes < 32 + n_type ||
        (n_text = number(p + 8 + n_type, 4, true)) > item->n_bytes - 32 - n_type ||
        (n_data = number(p + 28 + n_type + n_text, 4, true)) > item->n_bytes - 32 - n_type - n_text)
        return;
    memcpy(head, p + 8, (size_t)n_type);
    n = (size_t)n_type;
    head[n++] = 0;
    head[n++] = (char)p[3];
    head[n++] = 0; /* no description */
    put_id3_frame(b, "APIC", head, n, p + 32 + n_type + n_text, (size_t)n_data);
}

static void put_id3(builder *b, const ae_meta *meta)
{
    ae_memory_output inner;
    builder list = {&inner, b->err, b->st};

    ae_memory_output_init(&inner);
    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];
        const sound_tag *t = item->kind == AE_META_TAG ? find_tag(item->key) : NULL;

        if (item->kind == AE_META_COVER)
            put_id3_cover(&list, item);
        else if (t && t->id3 && strcmp(t->id3, "COMM") == 0)
            put_id3_frame(&list, t->id3, "und", 4, item->value, item->n_bytes);
        else if (t && t->id3)
            put_id3_frame(&list, t->id3, "", 0, item->value, item->n_bytes);
        else if (item->kind == AE_META_TAG)
            put_id3_frame(&list, "TXXX", item->key, strlen(item->key) + 1, item->value, item->n_bytes);
    }
    b->st = list.st;
    if (inner.n_bytes) {
        put(b, "ID3\4\0\0", 6);
        for (int shift = 21; shift >= 0; shift -= 7)
            put_number(b, inner.n_bytes >> shift & 127, 1, true);
        put(b, inner.data, inner.n_bytes);
    }
    ae_free(inner.data);
}

ae_status aei_sound_head(sound_family family, const ae_meta *meta, ae_memory_output *head, ae_error *err)
{
    builder b = {head, err, AE_OK};

    if (family == SOUND_OGG) {
        put_comments(&b, meta, true);
    } else if (family == SOUND_FLAC) {
        ae_memory_output comments;
        builder c = {&comments, err, AE_OK};

        ae_memory_output_init(&comments);
        put_comments(&c, meta, false);
        if ((b.st = c.st) == AE_OK)
            put_block(&b, 4, comments.data, comments.n_bytes);
        ae_free(comments.data);
        for (size_t i = 0; i < meta->n_items; i++) {
            const ae_meta_item *item = &meta->items[i];
            const char *own = own_chunk(family, item);

            if (item->kind == AE_META_COVER)
                put_block(&b, 6, item->value, item->n_bytes);
            else if (own)
                put_block(&b, (unsigned)(*own - '0'), item->value, item->n_bytes);
        }
        put_block(&b, 1, "\0\0\0\0", 4); /* a little padding, which ends the list whatever stood in it */
    } else if (family == SOUND_MPEG) {
        for (size_t i = 0; i < meta->n_items; i++)
            if (own_chunk(family, &meta->items[i]) && strcmp(meta->items[i].key, "MPEG ID3v") == 0)
                put(&b, meta->items[i].value, meta->items[i].n_bytes);
        if (!has_own(family, meta))
            put_id3(&b, meta);
    }
    return b.st;
}
