/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures turned as their EXIF orientation says: held whole, since the first row may be a column.
 */
#include <string.h>

#include "adapter.h"
#include "exif.h"
#include "ae/files.h"

struct ae_turner {
    ae_signal_info from, to;
    unsigned orientation;
    size_t row_bytes, pixel_bytes;
    uint8_t *pixels;
    uint64_t y;
};

static bool find_orientation(const ae_meta *meta, aei_ifd_view *view, aei_ifd_entry *entry)
{
    const ae_meta_item *exif = ae_meta_find(meta, AE_META_EXIF);

    if (!exif)
        return false;
    *view = (aei_ifd_view){.data = exif->value, .n_bytes = exif->n_bytes};
    return aei_ifd_view_open(view) && aei_ifd_find(view, AEI_TAG_ORIENTATION, entry);
}

unsigned ae_meta_orientation(const ae_meta *meta)
{
    aei_ifd_view view;
    aei_ifd_entry entry;
    uint64_t v = find_orientation(meta, &view, &entry) ? aei_ifd_number(&view, &entry) : 0;

    return v <= 8 ? (unsigned)v : 0;
}

/* The value lies in the entry itself, a SHORT or, in odd files, of another type. */
void aei_forget_orientation(ae_meta *meta)
{
    aei_ifd_view view;
    aei_ifd_entry entry;

    if (!find_orientation(meta, &view, &entry) || !entry.count || entry.n_bytes > 4)
        return;
    for (ae_meta_item *item = meta->items; item < meta->items + meta->n_items; item++)
        if (item->value == view.data) {
            memset(item->value + entry.at, 0, (size_t)entry.n_bytes);
            item->value[entry.at +
                        (view.big_endian ? (size_t)entry.n_bytes / (size_t)entry.count - 1 : 0)] =
                1;
        }
}

ae_status ae_turner_create(const ae_signal_info *from, unsigned orientation, ae_turner **out,
                           ae_error *err)
{
    ae_turner *t = ae_alloc(1, sizeof(*t));

    *out = NULL;
    if (!t)
        return ae_fail(err, AE_ERR_NOMEM, "turning a picture");
    *t = (ae_turner){.from = *from,
                     .to = *from,
                     .orientation = orientation,
                     .row_bytes = ae_row_bytes(from),
                     .pixel_bytes = ae_sample_bytes(from->sample) * from->channels};
    if (orientation >= 5) {
        t->to.width = from->height;
        t->to.height = from->width;
    }
    if (!(t->pixels = ae_alloc(from->height, t->row_bytes))) {
        ae_turner_free(t);
        return ae_fail(err, AE_ERR_NOMEM, "turning %llu x %llu pixels",
                       (unsigned long long)from->width, (unsigned long long)from->height);
    }
    *out = t;
    return AE_OK;
}

void ae_turner_free(ae_turner *t)
{
    if (!t)
        return;
    ae_free(t->pixels);
    ae_free(t);
}

const ae_signal_info *ae_turner_info(const ae_turner *t)
{
    return &t->to;
}

void *aei_turner_next(ae_turner *t, uint32_t n_rows)
{
    uint8_t *next = t->pixels + t->y * t->row_bytes;

    t->y += n_rows;
    return next;
}

void ae_turner_write(ae_turner *t, const void *rows, uint32_t n_rows)
{
    memcpy(aei_turner_next(t, n_rows), rows, n_rows * t->row_bytes);
}

void ae_turner_read(const ae_turner *t, uint64_t first, uint32_t n_rows, void *rows)
{
    uint64_t w = t->from.width, h = t->from.height;
    uint8_t *out = rows;

    for (uint64_t y = first; y < first + n_rows; y++)
        for (uint64_t x = 0; x < t->to.width; x++, out += t->pixel_bytes) {
            uint64_t sx = t->orientation >= 5 ? y : x, sy = t->orientation >= 5 ? x : y;

            if (t->orientation == 2 || t->orientation == 3 || t->orientation == 7 ||
                t->orientation == 8)
                sx = w - 1 - sx;
            if (t->orientation == 3 || t->orientation == 4 || t->orientation == 6 ||
                t->orientation == 7)
                sy = h - 1 - sy;
            memcpy(out, t->pixels + sy * t->row_bytes + sx * t->pixel_bytes, t->pixel_bytes);
        }
}
