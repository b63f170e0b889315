/* SPDX-License-Identifier: BSD-2-Clause
 *
 * EXIF as bytes: orientation, size, density and colour space, read and set without moving anything.
 */
#include "exif.h"

#include <string.h>

#include "adapter.h"
#include "ae/files.h"

enum { MAX_ENTRIES = 512, TAG_INTEROP = 0xa005, ROOM = 1 << 16 };

static void append(aei_bytes *b, const void *data, size_t n_bytes)
{
    if (!b->failed && n_bytes > b->capacity - b->n_bytes) {
        size_t capacity = b->capacity + b->capacity / 2 + n_bytes + 1024;
        uint8_t *grown = ae_realloc(b->data, b->n_bytes, capacity);

        b->failed = !grown;
        if (grown) {
            b->data = grown;
            b->capacity = capacity;
        }
    }
    if (b->failed)
        return;
    if (data)
        memcpy(b->data + b->n_bytes, data, n_bytes);
    else
        memset(b->data + b->n_bytes, 0, n_bytes);
    b->n_bytes += n_bytes;
}

static bool read_at(const aei_ifd_view *v, uint64_t at, void *to, uint64_t n_bytes)
{
    if (at > v->n_bytes || n_bytes > v->n_bytes - at)
        return false;
    if (v->source)
        return ae_source_seek(v->source, at) &&
               ae_source_read(v->source, to, (size_t)n_bytes) == n_bytes;
    memcpy(to, v->data + at, (size_t)n_bytes);
    return true;
}

static uint64_t get_number(bool big_endian, const uint8_t *p, unsigned n_bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n_bytes; i++)
        v |= (uint64_t)p[i] << 8 * (big_endian ? n_bytes - 1 - i : i);
    return v;
}

static void put_number(bool big_endian, uint8_t *p, unsigned n_bytes, uint64_t v)
{
    for (unsigned i = 0; i < n_bytes; i++)
        p[i] = (uint8_t)(v >> 8 * (big_endian ? n_bytes - 1 - i : i));
}

static unsigned type_bytes(unsigned type)
{
    static const uint8_t bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};

    return type < sizeof(bytes) ? bytes[type] : 0;
}

bool aei_ifd_view_open(aei_ifd_view *v)
{
    uint8_t head[16] = {0};

    if (v->source)
        v->n_bytes = ae_source_size(v->source);
    if (!read_at(v, 0, head, 8) || (memcmp(head, "II", 2) != 0 && memcmp(head, "MM", 2) != 0))
        return false;
    v->big_endian = head[0] == 'M';
    v->big = get_number(v->big_endian, head + 2, 2) == 43;
    if (!v->big && get_number(v->big_endian, head + 2, 2) != 42)
        return false;
    if (v->big && !read_at(v, 0, head, 16))
        return false;
    v->first = v->big ? get_number(v->big_endian, head + 8, 8)
                      : get_number(v->big_endian, head + 4, 4);
    return true;
}

static uint64_t count_entries(const aei_ifd_view *v, uint64_t ifd)
{
    uint8_t p[8];
    unsigned n = v->big ? 8 : 2;

    return read_at(v, ifd, p, n) ? get_number(v->big_endian, p, n) : 0;
}

static bool get_entry(const aei_ifd_view *v, uint64_t ifd, uint64_t i, aei_ifd_entry *e)
{
    uint8_t p[20];
    unsigned word = v->big ? 8 : 4, size = 4 + 2 * word, value = 4 + word;
    uint64_t at = ifd + (v->big ? 8 : 2) + i * size;

    if (i > UINT32_MAX || !read_at(v, at, p, size))
        return false;
    e->tag = (uint16_t)get_number(v->big_endian, p, 2);
    e->type = (uint16_t)get_number(v->big_endian, p + 2, 2);
    e->count = get_number(v->big_endian, p + 4, word);
    if (__builtin_mul_overflow(e->count, type_bytes(e->type), &e->n_bytes))
        return false;
    e->at = e->n_bytes <= word ? at + value : get_number(v->big_endian, p + value, word);
    return true;
}

static bool find_entry(const aei_ifd_view *v, uint64_t ifd, uint16_t tag, aei_ifd_entry *e)
{
    uint64_t n = count_entries(v, ifd);

    for (uint64_t i = 0; i < n && i < MAX_ENTRIES && get_entry(v, ifd, i, e); i++)
        if (e->tag == tag)
            return true;
    return false;
}

bool aei_ifd_find(const aei_ifd_view *view, uint16_t tag, aei_ifd_entry *entry)
{
    return find_entry(view, view->first, tag, entry);
}

bool aei_ifd_read(const aei_ifd_view *view, const aei_ifd_entry *entry, void *to, size_t n_bytes)
{
    return n_bytes <= entry->n_bytes && read_at(view, entry->at, to, n_bytes);
}

uint64_t aei_ifd_number(const aei_ifd_view *view, const aei_ifd_entry *entry)
{
    uint8_t p[8];
    unsigned n = type_bytes(entry->type);

    return entry->count && aei_ifd_read(view, entry, p, n) ? get_number(view->big_endian, p, n) : 0;
}

uint64_t aei_ifd_next(const aei_ifd_view *v, uint64_t ifd, unsigned *steps)
{
    /* entries are sorted, and this has the lowest number */
    enum { KIND = 0x00fe, REDUCED = 1, MASK = 4, FEW = 4 };
    unsigned word = v->big ? 8 : 4;

    while (*steps) {
        uint64_t entries = count_entries(v, ifd), kind = 0;
        aei_ifd_entry e;
        uint8_t p[8];

        --*steps;
        if (entries > UINT16_MAX ||
            !read_at(v, ifd + (v->big ? 8 : 2) + entries * (4 + 2 * word), p, word))
            return 0;
        ifd = get_number(v->big_endian, p, word);
        if (!ifd || ifd == v->first)
            return 0;
        entries = count_entries(v, ifd);
        for (uint64_t i = 0; i < entries && i < FEW && get_entry(v, ifd, i, &e); i++)
            if (e.tag == KIND)
                kind = aei_ifd_number(v, &e);
        if (entries && !(kind & (REDUCED | MASK)))
            return ifd;
    }
    return 0;
}

/* Entries of a picture's directory that describe the photograph and not the way it is stored. */
static bool is_descriptive(uint16_t tag)
{
    static const uint16_t tags[] = {AEI_TAG_DESCRIPTION,
                                    0x010f,
                                    0x0110,
                                    AEI_TAG_ORIENTATION,
                                    0x0131,
                                    0x0132,
                                    0x013b,
                                    0x013c,
                                    0x4746,
                                    0x4749,
                                    0x8298,
                                    AEI_TAG_EXIF,
                                    AEI_TAG_GPS,
                                    0x9c9b,
                                    0x9c9c,
                                    0x9c9d,
                                    0x9c9e,
                                    0x9c9f};

    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
        if (tags[i] == tag)
            return true;
    return false;
}

static bool is_pointer(uint16_t tag, unsigned depth)
{
    return depth == 0 ? tag == AEI_TAG_EXIF || tag == AEI_TAG_GPS
                      : depth == 1 && tag == TAG_INTEROP;
}

static bool is_kept(const aei_ifd_view *v, const aei_ifd_entry *e, unsigned depth,
                    uint64_t max_bytes)
{
    if ((depth == 0 && !is_descriptive(e->tag)) || e->n_bytes > max_bytes ||
        e->n_bytes > v->n_bytes)
        return false;
    return is_pointer(e->tag, depth) || (e->type >= 1 && e->type <= 13 && e->n_bytes);
}

/* Appends the directory at `ifd` as a classic one; out's first byte will lie at offset base.
 * Damaged entries are left out. Returns the number of entries. */
static unsigned copy_directory(const aei_ifd_view *v, uint64_t ifd, unsigned depth, uint64_t base,
                               uint64_t max_bytes, aei_bytes *out)
{
    aei_ifd_entry e;
    uint64_t n = count_entries(v, ifd);
    size_t start = out->n_bytes, at, room = 0;
    unsigned kept = 0, followed = 0;

    n = n < MAX_ENTRIES ? n : MAX_ENTRIES;
    /* No more than the whole of it, however often values are named. */
    if (max_bytes > v->n_bytes + ROOM)
        max_bytes = v->n_bytes + ROOM;
    for (uint64_t i = 0; i < n && get_entry(v, ifd, i, &e); i++)
        room += is_kept(v, &e, depth, max_bytes);
    append(out, NULL, 2 + 12 * room + 4);
    for (uint64_t i = 0; i < n && !out->failed && get_entry(v, ifd, i, &e); i++) {
        uint8_t entry[12] = {0};
        bool pointer = is_pointer(e.tag, depth);

        /* Each directory is there once: who names more of them makes one that is never done. */
        if (!is_kept(v, &e, depth, max_bytes) || out->n_bytes > max_bytes ||
            (pointer && followed >> (e.tag & 15) & 1)) {
            out->damaged = out->damaged || depth > 0 || is_descriptive(e.tag);
            continue;
        }
        at = out->n_bytes;
        put_number(v->big_endian, entry, 2, e.tag);
        put_number(v->big_endian, entry + 2, 2, pointer ? 4 : e.type);
        put_number(v->big_endian, entry + 4, 4, pointer ? 1 : e.count);
        if (pointer) {
            followed |= 1u << (e.tag & 15);
            if (!copy_directory(v, aei_ifd_number(v, &e), depth + 1, base, max_bytes, out)) {
                out->n_bytes = at;
                out->damaged = true;
                continue;
            }
            put_number(v->big_endian, entry + 8, 4, base + at);
        } else if (e.n_bytes <= 4) {
            if (!read_at(v, e.at, entry + 8, e.n_bytes))
                continue; /* cannot be: it is within the entry */
        } else {
            append(out, NULL, (size_t)(e.n_bytes + (e.n_bytes & 1)));
            if (out->failed || !read_at(v, e.at, out->data + at, e.n_bytes)) {
                out->n_bytes = at;
                out->damaged = true;
                continue;
            }
            put_number(v->big_endian, entry + 8, 4, base + at);
        }
        if (!out->failed)
            memcpy(out->data + start + 2 + 12 * kept++, entry, 12);
    }
    if (out->failed)
        return 0;
    put_number(v->big_endian, out->data + start, 2, kept);
    memset(out->data + start + 2 + 12 * kept, 0, 4); /* no directory follows */
    return kept;
}

ae_status aei_exif_extract(ae_source *source, uint64_t ifd, uint64_t max_bytes, ae_reader *reader,
                           ae_error *err)
{
    aei_ifd_view v = {.source = source};
    aei_ifd_entry e;
    aei_bytes out = {0};
    ae_status st = AE_OK;
    uint8_t head[8];
    unsigned kept;
    bool upright;

    if (!aei_ifd_view_open(&v))
        return AE_OK;
    v.first = ifd ? ifd : v.first;
    upright = aei_ifd_find(&v, AEI_TAG_ORIENTATION, &e) && aei_ifd_number(&v, &e) == 1;
    memcpy(head, v.big_endian ? "MM" : "II", 2);
    put_number(v.big_endian, head + 2, 2, 42);
    put_number(v.big_endian, head + 4, 4, 8);
    append(&out, head, 8);
    if (max_bytes > UINT32_MAX / 4)
        max_bytes = UINT32_MAX / 4;
    kept = copy_directory(&v, v.first, 0, 0, max_bytes, &out);
    if (kept > (upright ? 1 : 0)) /* most files say that they are upright, and nothing else */
        st = ae_meta_add(&reader->meta, AE_META_EXIF, NULL, out.data, out.n_bytes, err);
    else if (out.failed)
        st = ae_fail(err, AE_ERR_NOMEM, "EXIF");
    if (out.damaged)
        aei_note(reader->note, AEI_DAMAGED_META);
    ae_free(out.data);
    return st;
}

bool aei_exif_directory(const aei_ifd_view *view, uint16_t pointer, uint64_t base, aei_bytes *out)
{
    aei_ifd_entry e;
    size_t start = out->n_bytes;

    if (!aei_ifd_find(view, pointer, &e) || base > UINT32_MAX / 2)
        return false;
    if (copy_directory(view, aei_ifd_number(view, &e), 1, base, UINT32_MAX / 4, out))
        return true;
    out->n_bytes = start;
    return false;
}

/* A dimension becomes a LONG whatever it was: both lie in the entry itself. */
static void set_dimension(const aei_ifd_view *v, uint8_t *data, uint64_t ifd, uint16_t tag,
                          uint64_t value)
{
    enum { SHORT = 3, LONG = 4 };
    aei_ifd_entry e;

    if (!find_entry(v, ifd, tag, &e) || e.count != 1 || (e.type != SHORT && e.type != LONG) ||
        value > UINT32_MAX)
        return;
    put_number(v->big_endian, data + e.at - 6, 2, LONG);
    put_number(v->big_endian, data + e.at, 4, value);
}

void ae_meta_resize(ae_meta *meta, uint64_t width, uint64_t height)
{
    enum { WIDTH = 0x0100, HEIGHT = 0x0101, PIXEL_WIDTH = 0xa002, PIXEL_HEIGHT = 0xa003 };

    for (size_t i = 0; i < meta->n_items; i++) {
        uint8_t *data = meta->items[i].value;
        aei_ifd_view v = {.data = data, .n_bytes = meta->items[i].n_bytes};
        aei_ifd_entry e;

        if (meta->items[i].kind != AE_META_EXIF || !aei_ifd_view_open(&v) || v.big)
            continue;
        set_dimension(&v, data, v.first, WIDTH, width);
        set_dimension(&v, data, v.first, HEIGHT, height);
        if (aei_ifd_find(&v, AEI_TAG_EXIF, &e)) {
            uint64_t ifd = aei_ifd_number(&v, &e);

            set_dimension(&v, data, ifd, PIXEL_WIDTH, width);
            set_dimension(&v, data, ifd, PIXEL_HEIGHT, height);
        }
    }
}
