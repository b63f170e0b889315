/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Between libsndfile and the file. FLAC's and Ogg's metadata stand before the samples, and
 * libsndfile writes ten kinds of tags and no pictures: its own are replaced on the way by what was
 * read (FLAC: the blocks behind STREAMINFO, all that follows comes later by the difference; Ogg:
 * the comment packet, pages are numbered anew). An ID3 tag goes before everything. Chunks of RIFF,
 * AIFF and CAF are appended, and the size that the file states of itself is put right. */
#include <ogg/ogg.h>
#include <string.h>

#include "soundfile.h"

enum { STREAMINFO_END = 42, SERIAL = 0x61657375 };

typedef struct ogg_state {
    ogg_sync_state sync;
    ogg_stream_state in, out;
    bool begun;
    unsigned n_packets, n_headers;
    uint32_t n_pages;
} ogg_state;

static void put(sound_sink *s, uint64_t at, const void *data, size_t n)
{
    if (s->status == AE_OK && at != s->placed)
        s->status = aei_spool_seek(&s->spool, at, &s->error);
    if (s->status == AE_OK)
        s->status = aei_spool_write(&s->spool, data, n, &s->error);
    s->placed = at + n;
}

static void fail(sound_sink *s, ae_status st, const char *what)
{
    if (s->status == AE_OK)
        s->status = ae_fail(&s->error, st, "%s", what);
}

ae_status aei_sound_sink_open(sound_sink *s, sound_family family, ae_sink *sink,
                              const ae_meta *meta, bool seeks, ae_error *err)
{
    ae_status st;

    *s = (sound_sink){.family = family, .meta = meta};
    ae_memory_output_init(&s->held);
    if ((st = aei_spool_open(&s->spool, sink, seeks, err)) != AE_OK)
        return st;
    if (family == SOUND_OGG) {
        ogg_state *o = s->ogg = ae_alloc(1, sizeof(*o));

        if (!o)
            st = ae_fail(err, AE_ERR_NOMEM, "Ogg writer");
        else
            ogg_sync_init(&o->sync);
    } else if (family == SOUND_MPEG &&
               (st = aei_sound_head(family, meta, &s->held, err)) == AE_OK) {
        s->begun = true;
        s->shift = s->held.n_bytes;
        put(s, 0, s->held.data, s->held.n_bytes);
        if ((st = s->status) != AE_OK && err)
            *err = s->error;
    }
    s->begun = s->begun || family == SOUND_OGG;
    if (st != AE_OK)
        aei_sound_sink_close(s);
    return st;
}

/* ---- FLAC ---- */

/* Once libsndfile's own metadata have come to their end, what shall stand there. */
static void try_begin_flac(sound_sink *s)
{
    const uint8_t *p = s->held.data;
    ae_memory_output blocks;
    uint8_t first;
    uint64_t at = 4;
    bool last = false;

    while (!last) {
        if (at + 4 > s->held.n_bytes)
            return;
        last = p[at] & 0x80;
        at += 4 + ((uint64_t)p[at + 1] << 16 | (uint64_t)p[at + 2] << 8 | p[at + 3]);
    }
    if (at > s->held.n_bytes)
        return;
    ae_memory_output_init(&blocks);
    if ((s->status = aei_sound_head(SOUND_FLAC, s->meta, &blocks, &s->error)) == AE_OK) {
        s->begun = true;
        s->head = STREAMINFO_END;
        s->shift = blocks.n_bytes - (at - STREAMINFO_END);
        first = 0; /* STREAMINFO is not the last block */
        put(s, 0, p, 4);
        put(s, 4, &first, 1);
        put(s, 5, p + 5, STREAMINFO_END - 5);
        blocks.data[blocks.n_bytes - 8] |= 0x80; /* the padding is */
        put(s, STREAMINFO_END, blocks.data, blocks.n_bytes);
        put(s, s->placed, p + at, s->held.n_bytes - (size_t)at);
    }
    ae_free(blocks.data);
}

/* ---- Ogg ---- */

static void put_page(sound_sink *s, ogg_state *o, ogg_page *page)
{
    for (int i = 0; i < 4; i++) {
        page->header[14 + i] = (uint8_t)(SERIAL >> 8 * i);
        page->header[18 + i] = (uint8_t)(o->n_pages >> 8 * i);
    }
    o->n_pages++;
    ogg_page_checksum_set(page);
    put(s, s->placed, page->header, (size_t)page->header_len);
    put(s, s->placed, page->body, (size_t)page->body_len);
}

static void put_header(sound_sink *s, ogg_state *o, ogg_packet *packet)
{
    ae_memory_output comments;
    ogg_page page;

    ae_memory_output_init(&comments);
    if (o->n_packets == 0) {
        o->n_headers = packet->bytes > 8 && memcmp(packet->packet, "OpusHead", 8) == 0 ? 2 : 3;
    } else if (o->n_packets == 1) {
        bool opus = o->n_headers == 2;

        s->status = comments.sink.write(&comments, opus ? "OpusTags" : "\3vorbis", opus ? 8 : 7,
                                        &s->error);
        if (s->status == AE_OK)
            s->status = aei_sound_head(SOUND_OGG, s->meta, &comments, &s->error);
        if (s->status == AE_OK && !opus)
            s->status = comments.sink.write(&comments, "\1", 1, &s->error);
        packet->packet = comments.data;
        packet->bytes = (long)comments.n_bytes;
    }
    o->n_packets++;
    if (s->status == AE_OK && ogg_stream_packetin(&o->out, packet) != 0)
        fail(s, AE_ERR_NOMEM, "Ogg writer");
    while (s->status == AE_OK && (o->n_packets == 1 || o->n_packets == o->n_headers) &&
           ogg_stream_flush(&o->out, &page))
        put_page(s, o, &page);
    ae_free(comments.data);
}

static void write_ogg(sound_sink *s, const void *data, size_t n)
{
    ogg_state *o = s->ogg;
    char *buffer = ogg_sync_buffer(&o->sync, (long)n);
    ogg_packet packet;
    ogg_page page;

    if (!buffer) {
        fail(s, AE_ERR_NOMEM, "Ogg writer");
        return;
    }
    memcpy(buffer, data, n);
    ogg_sync_wrote(&o->sync, (long)n);
    while (s->status == AE_OK && ogg_sync_pageout(&o->sync, &page) == 1) {
        if (o->begun && o->n_packets == o->n_headers) {
            put_page(s, o, &page);
            continue;
        }
        if (!o->begun && (ogg_stream_init(&o->in, ogg_page_serialno(&page)) != 0 ||
                          ogg_stream_init(&o->out, SERIAL) != 0)) {
            fail(s, AE_ERR_NOMEM, "Ogg writer");
            return;
        }
        o->begun = true;
        if (ogg_stream_pagein(&o->in, &page) != 0)
            fail(s, AE_ERR_INTERNAL, "an Ogg page that is none");
        while (s->status == AE_OK && ogg_stream_packetout(&o->in, &packet) == 1)
            put_header(s, o, &packet);
    }
}

/* ---- AIFF ---- libsndfile counts the byte that fills up an odd number of samples of 8 bits as one
 * of them */

static void correct_aiff(sound_sink *s, uint8_t *head, size_t n)
{
    uint8_t bytes[4];

    for (size_t at = 12, length; at + 18 <= n; at += 8 + length + length % 2) {
        length = (size_t)head[at + 4] << 24 | (size_t)head[at + 5] << 16 |
                 (size_t)head[at + 6] << 8 | head[at + 7];
        if (memcmp(head + at, "COMM", 4) == 0) {
            for (int i = 0; i < 4; i++)
                bytes[i] = (uint8_t)(s->frames >> 8 * (3 - i));
            memcpy(head + at + 10, bytes, 4);
        } else if (memcmp(head + at, "SSND", 4) == 0) {
            /* the size counts another 8 bytes, so that it is odd as the samples are */
            head[at + 7] &= 0xfe;
            for (int i = 3, borrow = 1; i >= 0 && borrow; i--)
                borrow = head[at + 4 + (size_t)i]-- == 0;
            return;
        }
    }
}

/* ---- the whole ---- */

/* A header is written when the file is opened, and may be a shorter one by the time the first
 * sample comes. */
static void hold_head(sound_sink *s, const void *data, size_t n)
{
    if (s->family != SOUND_FLAC && s->at == 0)
        s->held.n_bytes = s->end = 0;
    if ((s->status = s->held.sink.seek(&s->held, s->at, &s->error)) == AE_OK &&
        (s->status = s->held.sink.write(&s->held, data, n, &s->error)) == AE_OK &&
        s->family == SOUND_FLAC)
        try_begin_flac(s);
}

static void release_head(sound_sink *s)
{
    s->begun = true;
    memcpy(s->form, s->held.data, s->held.n_bytes < 4 ? s->held.n_bytes : 4);
    put(s, 0, s->held.data, s->held.n_bytes);
}

void aei_sound_sink_write(sound_sink *s, const void *data, size_t n)
{
    uint8_t head[512];

    if (s->status != AE_OK) { /* where things stand is still to be right for who asks */
        s->at += n;
        s->end = s->at > s->end ? s->at : s->end;
        return;
    }
    if (!n)
        return;
    if (!s->begun && s->family != SOUND_FLAC && s->at > 0)
        release_head(s);
    if (!s->begun) {
        hold_head(s, data, n);
    } else if (s->family == SOUND_OGG) {
        write_ogg(s, data, n);
    } else {
        if (s->at == 0 && n >= 4)
            memcpy(s->form, data, 4);
        if (s->at == 0 && s->odd && s->family == SOUND_AIFF && n <= sizeof(head)) {
            memcpy(head, data, n);
            correct_aiff(s, head, n);
            data = head;
        }
        put(s, s->at + (s->at < s->head ? 0 : s->shift), data, n);
    }
    s->at += n;
    s->end = s->at > s->end ? s->at : s->end;
}

/* Chunks, behind all others. The size at the front counts them too; that of a chunk itself has been
 * written. */
static void append_chunks(sound_sink *s)
{
    ae_memory_output tail;
    uint64_t at = s->end, length;
    uint8_t number[8];
    bool caff = s->family == SOUND_CAF,
         big_endian = s->family == SOUND_AIFF || s->family == SOUND_RIFX;

    ae_memory_output_init(&tail);
    s->status = aei_sound_tail(s->family, s->meta, &tail, &s->error);
    if (s->status == AE_OK && tail.n_bytes) {
        if (caff && s->odd)
            at--; /* libsndfile fills up here too, where nothing must stand between chunks */
        else if (at % 2 && !caff && s->family != SOUND_MPEG)
            put(s, at++, "", 1);
        put(s, at + s->shift, tail.data, tail.n_bytes);
        length = at + tail.n_bytes - 8;
        if (caff || s->family == SOUND_MPEG) {
            /* no size of the whole */
        } else if (memcmp(s->form, "RF64", 4) == 0) {
            for (int i = 0; i < 8; i++)
                number[i] = (uint8_t)(length >> 8 * i);
            put(s, 20, number, 8);
        } else if (length > UINT32_MAX) {
            fail(s, AE_ERR_LIMIT, "with its metadata the file would exceed 4 GiB");
        } else {
            for (int i = 0; i < 4; i++)
                number[i] = (uint8_t)(length >> 8 * (big_endian ? 3 - i : i));
            put(s, 4, number, 4);
        }
    }
    ae_free(tail.data);
}

ae_status aei_sound_sink_finish(sound_sink *s, ae_error *err)
{
    ae_status st;

    if (s->status == AE_OK && !s->begun)
        release_head(s);
    if (s->status == AE_OK)
        append_chunks(s);
    if ((st = s->status) != AE_OK) {
        if (err)
            *err = s->error;
    } else {
        st = aei_spool_finish(&s->spool, err);
    }
    aei_sound_sink_close(s);
    return st;
}

void aei_sound_sink_close(sound_sink *s)
{
    ogg_state *o = s->ogg;

    if (o) {
        ogg_sync_clear(&o->sync);
        if (o->begun) {
            ogg_stream_clear(&o->in);
            ogg_stream_clear(&o->out);
        }
        ae_free(o);
    }
    s->ogg = NULL;
    ae_free(s->held.data);
    s->held.data = NULL;
    aei_spool_close(&s->spool);
}
