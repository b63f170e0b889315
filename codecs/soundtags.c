/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands in sound files beside the samples, made for the file that is written: chunks of its
 * own family, tags and covers. */
#include <sndfile.h>
#include <string.h>

#include "soundfile.h"

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

static const char *const families[] = {
    [SOUND_RIFF] = "RIFF ", [SOUND_RIFX] = "RIFX ", [SOUND_W64] = "W64 ",   [SOUND_AIFF] = "AIFF ",
    [SOUND_AU] = "AU ",     [SOUND_CAF] = "CAF ",   [SOUND_FLAC] = "FLAC ", [SOUND_OGG] = "OGG ",
    [SOUND_MPEG] = "MPEG ", [SOUND_AV] = "AV "};

/* The chunk's own name, or NULL where another family's is meant. */
static const char *own_chunk(sound_family family, const ae_meta_item *item)
{
    size_t n = strlen(families[family]);

    if (family == SOUND_AV || item->kind != AE_META_CHUNK || !item->key ||
        strncmp(item->key, families[family], n) != 0)
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
    static const char *const tags[] = {
        "RIFF LIST", "RIFX LIST", "RIFF id3 ", "RIFF ID3 ", "AIFF ID3 ", "AIFF NAME", "AIFF AUTH",
        "AIFF ANNO", "AIFF (c) ", "CAF info",  "MPEG ID3v", "MPEG TAG ", NULL};
    bool comments = family == SOUND_FLAC || family == SOUND_OGG || family == SOUND_MPEG,
         streams = family == SOUND_AV;
    bool own = !comments && has_own(family, meta);
    char text[80];

    for (size_t i = 0; i < meta->n_items; i++) {
        const ae_meta_item *item = &meta->items[i];

        if (item->kind == AE_META_CHUNK && !own_chunk(family, item) &&
            !aei_is_one_of(item->key, tags)) {
            if (strncmp(item->key, "AV ", 3) == 0)
                snprintf(text, sizeof(text), "%.60s dropped", item->key + 3);
            else
                snprintf(text, sizeof(text), "chunk %.4s dropped", strchr(item->key, ' ') + 1);
            aei_note(note, text);
        } else if (item->kind == AE_META_TAG && !comments && !streams && !own &&
                   !tag_place(family, item)) {
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

ae_status aei_sound_tail(sound_family family, const ae_meta *meta, ae_memory_output *tail,
                         ae_error *err)
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
            put_chunk(&b, family, own_chunk(family, &meta->items[i]), meta->items[i].value,
                      meta->items[i].n_bytes);
    if (!own)
        put_tags(&b, family, meta);
    return b.st;
}

static void put_base64(builder *b, const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
                     (i + 2 < n ? p[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                        i + 1 < n ? digits[v >> 6 & 63] : '=', i + 2 < n ? digits[v & 63] : '='};

        put(b, four, 4);
    }
}

/* Without a vendor: who wrote the file is not what wrote it first. */
static void put_comments(builder *b, const ae_meta *meta, bool covers)
{
    static const char cover[] = "METADATA_BLOCK_PICTURE=";
    uint32_t count = 0;

    for (size_t i = 0; i < meta->n_items; i++)
        count += meta->items[i].kind == AE_META_TAG ||
                 (covers && meta->items[i].kind == AE_META_COVER);
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

/* A frame of ID3v2.4: name, size in sevens of bits, flags, content that begins with the encoding,
 * which is UTF-8. */
static void put_id3_frame(builder *b, const char *name, const char *before, size_t n_before,
                          const void *value, size_t n)
{
    put(b, name, 4);
    for (int shift = 21; shift >= 0; shift -= 7)
        put_number(b, (1 + n_before + n) >> shift & 127, 1, true);
    put(b, "\0\0\3", 3);
    put(b, before, n_before);
    put(b, value, n);
}

/* FLAC's picture: kind, type of file, description, width, height, depth, colours, data; ID3's:
 * type, kind, description, data. */
static void put_id3_cover(builder *b, const ae_meta_item *item)
{
    const uint8_t *p = item->value;
    uint64_t n_type, n_text, n_data;
    char head[300];
    size_t n;

    if (item->n_bytes < 32 || (n_type = aei_sound_number(p + 4, 4, true)) > 100 ||
        item->n_bytes < 32 + n_type ||
        (n_text = aei_sound_number(p + 8 + n_type, 4, true)) > item->n_bytes - 32 - n_type ||
        (n_data = aei_sound_number(p + 28 + n_type + n_text, 4, true)) >
            item->n_bytes - 32 - n_type - n_text)
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
            put_id3_frame(&list, "TXXX", item->key, strlen(item->key) + 1, item->value,
                          item->n_bytes);
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

ae_status aei_sound_head(sound_family family, const ae_meta *meta, ae_memory_output *head,
                         ae_error *err)
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
        /* a little padding, which ends the list whatever stood in it */
        put_block(&b, 1, "\0\0\0\0", 4);
    } else if (family == SOUND_MPEG) {
        for (size_t i = 0; i < meta->n_items; i++)
            if (own_chunk(family, &meta->items[i]) && strcmp(meta->items[i].key, "MPEG ID3v") == 0)
                put(&b, meta->items[i].value, meta->items[i].n_bytes);
        if (!has_own(family, meta))
            put_id3(&b, meta);
    }
    return b.st;
}
