/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A ring of rows that grows when the reader runs far ahead of who looks rows up, and never shrinks.
 * Rows make room once they have been dropped. */
#include "image/held.h"

#include <string.h>

enum { LEAST_HELD = 64 };

ae_status aei_held_create(aei_held *h, const ae_row_source *source, ae_error *err)
{
    h->source = source;
    h->row_bytes = ae_row_bytes(&source->info);
    h->capacity = LEAST_HELD;
    h->rows = ae_alloc(h->capacity, h->row_bytes);
    pthread_mutex_init(&h->mutex, NULL);
    return h->rows ? AE_OK
                   : ae_fail(err, AE_ERR_NOMEM, "%d rows of %zu bytes", LEAST_HELD, h->row_bytes);
}

void aei_held_free(aei_held *h)
{
    if (!h->source)
        return;
    ae_free(h->rows);
    pthread_mutex_destroy(&h->mutex);
}

static uint8_t *held_row(const aei_held *h, uint64_t y)
{
    return h->rows + y % h->capacity * h->row_bytes;
}

/* Room for n more rows; with the mutex held. */
static ae_status make_room(aei_held *h, uint32_t n, ae_error *err)
{
    uint64_t need = h->n_read - h->first + n;
    uint8_t *larger;

    if (need <= h->capacity)
        return AE_OK;
    need += need / 2;
    larger = ae_alloc(need, h->row_bytes);
    if (!larger)
        return ae_fail(err, AE_ERR_NOMEM, "%llu rows of %zu bytes", (unsigned long long)need,
                       h->row_bytes);
    for (uint64_t y = h->first; y < h->n_read; y++)
        memcpy(larger + y % need * h->row_bytes, held_row(h, y), h->row_bytes);
    ae_free(h->rows);
    h->rows = larger;
    h->capacity = need;
    return AE_OK;
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n, ae_error *err)
{
    aei_held *h = opaque;
    ae_status st = h->source->read(h->source->opaque, rows, n, err);

    if (st != AE_OK)
        return st;
    pthread_mutex_lock(&h->mutex);
    st = make_room(h, n, err);
    for (uint32_t i = 0; i < n && st == AE_OK; i++, h->n_read++)
        memcpy(held_row(h, h->n_read), (const uint8_t *)rows + i * h->row_bytes, h->row_bytes);
    pthread_mutex_unlock(&h->mutex);
    return st;
}

ae_row_source aei_held_source(aei_held *h)
{
    return (ae_row_source){h->source->info, h, read_rows};
}

void aei_held_copy(aei_held *h, uint64_t y, uint32_t n, void *rows)
{
    pthread_mutex_lock(&h->mutex);
    for (uint32_t i = 0; i < n; i++)
        memcpy((uint8_t *)rows + i * h->row_bytes, held_row(h, y + i), h->row_bytes);
    pthread_mutex_unlock(&h->mutex);
}

void aei_held_drop(aei_held *h, uint64_t y)
{
    pthread_mutex_lock(&h->mutex);
    h->first = y > h->first ? y : h->first;
    pthread_mutex_unlock(&h->mutex);
}
