/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/prose.h"

#include <string.h>

#include "ae/codec.h"

enum { PIECE = 1 << 20 };

void prose_free(prose *p)
{
    ae_free(p->bytes);
    ae_free(p->items);
    *p = (prose){0};
}

static ae_status read_all(const char *path, prose *p, ae_error *err)
{
    ae_source *source;
    size_t room = 0, got = 1;
    ae_status st = ae_source_open(path, &source, err);

    while (st == AE_OK && got) {
        if (p->n_bytes == room) {
            uint8_t *more = ae_realloc(p->bytes, room, room ? 2 * room : PIECE);

            if (!more) {
                st = ae_fail(err, AE_ERR_NOMEM, "a text of %zu bytes", room);
                break;
            }
            p->bytes = more;
            room = room ? 2 * room : PIECE;
        }
        got = ae_source_read(source, p->bytes + p->n_bytes, room - p->n_bytes);
        p->n_bytes += got;
    }
    ae_source_free(source);
    return st;
}

static const uint8_t *end_of_line(const prose *p, size_t first)
{
    const uint8_t *end = memchr(p->bytes + first, '\n', p->n_bytes - first);

    return end ? end : p->bytes + p->n_bytes;
}

static bool is_blank(const uint8_t *from, const uint8_t *to)
{
    while (from < to && (*from == ' ' || *from == '\t' || *from == '\r'))
        from++;
    return from == to;
}

/* Fills the list of lines that have anything; without one only counts them. */
static void find_lines(prose *p)
{
    size_t n = 0, line = 1;

    for (size_t at = 0; at < p->n_bytes; line++) {
        const uint8_t *end = end_of_line(p, at);

        if (!is_blank(p->bytes + at, end)) {
            if (p->items)
                p->items[n] = (prose_item){at, line};
            n++;
        }
        at = (size_t)(end - p->bytes) + 1;
    }
    p->n = n;
}

ae_status prose_read(const char *path, ae_text by, uint32_t length, prose *out, ae_error *err)
{
    prose p = {.by = by};
    ae_status st = read_all(path, &p, err);

    *out = (prose){0};
    if (st == AE_OK && by != AE_TEXT_BYTES)
        find_lines(&p);
    else if (st == AE_OK)
        p.n = (p.n_bytes + length - 1) / length;
    if (st == AE_OK && !p.n)
        st = ae_fail(err, AE_ERR_MALFORMED, "holds no text");
    if (st == AE_OK && !(p.items = ae_alloc(p.n, sizeof(*p.items))))
        st = ae_fail(err, AE_ERR_NOMEM, "%zu pieces of text", p.n);
    if (st != AE_OK) {
        prose_free(&p);
        return st;
    }
    if (by != AE_TEXT_BYTES)
        find_lines(&p);
    for (size_t i = 0; by == AE_TEXT_BYTES && i < p.n; i++)
        p.items[i].first = i * length;
    *out = p;
    return AE_OK;
}

static bool is_letter(uint8_t b)
{
    return b >= 0x80 || b == '\'' || (b >= '0' && b <= '9') ||
           ((b | 0x20) >= 'a' && (b | 0x20) <= 'z');
}

/* The number of the next word (FNV-1a of its letters in lower case); -1: there is none. */
static float next_word(const uint8_t **at, const uint8_t *end)
{
    uint32_t hash = 2166136261u;

    while (*at < end && !is_letter(**at))
        ++*at;
    if (*at == end)
        return -1;
    for (; *at < end && is_letter(**at); ++*at)
        hash = (hash ^ (**at >= 'A' && **at <= 'Z' ? **at | 0x20 : **at)) * 16777619u;
    return (float)(1 + (hash ^ hash >> 16) % (AE_WORDS - 1));
}

void prose_item_read(const prose *p, size_t i, uint32_t length, float *to)
{
    const uint8_t *at = p->bytes + p->items[i].first, *end = p->bytes + p->n_bytes;

    if (p->by != AE_TEXT_BYTES) {
        end = end_of_line(p, p->items[i].first);
        end -= end > at && end[-1] == '\r';
    }
    for (uint32_t k = 0; k < length; k++)
        if (p->by == AE_TEXT_WORDS)
            to[k] = next_word(&at, end);
        else
            to[k] = at < end ? *at++ : -1;
}
