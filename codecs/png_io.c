/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What libpng is given to work with: its errors become ours, and its memory is counted, so that
 * metadata cannot take more than their limit however small they are packed. */
#include <string.h>

#include "module.h"
#include "pngstate.h"

enum {
    HEAD = 64,      /* bytes before a block of libpng's, which hold its length */
    ROOM = 1 << 22, /* what libpng takes for itself */
};

void aei_png_error(png_structp png, png_const_charp message)
{
    png_state *s = png_get_error_ptr(png);

    if (s->status == AE_OK)
        s->status = ae_fail(s->err, AE_ERR_MALFORMED, "PNG: %s", message);
    png_longjmp(png, 1);
}

void aei_png_warning(png_structp png, png_const_charp message)
{
    png_state *s = png_get_error_ptr(png);

    (void)message;
    s->damaged_meta = true;
}

png_voidp aei_png_malloc(png_structp png, png_alloc_size_t n_bytes)
{
    png_state *s = png_get_mem_ptr(png);
    uint8_t *memory = n_bytes < SIZE_MAX / 2 ? ae_alloc(HEAD + n_bytes, 1) : NULL;

    if (!memory) {
        if (s->status == AE_OK)
            s->status = ae_fail(s->err, AE_ERR_NOMEM, "PNG: %zu bytes", (size_t)n_bytes);
        return NULL;
    }
    memcpy(memory, &n_bytes, sizeof(n_bytes));
    s->n_taken += n_bytes;
    if (!s->max_meta || s->n_taken <= 2 * s->max_meta + ROOM)
        return memory + HEAD;
    /* libpng limits each text alone, and holds two copies of the one it reads */
    s->n_taken -= n_bytes;
    ae_free(memory);
    s->status = ae_fail(s->err, AE_ERR_LIMIT, "PNG: metadata exceed max_meta (%llu)",
                        (unsigned long long)s->max_meta);
    png_error(png, "limit");
}

void aei_png_release(png_structp png, png_voidp memory)
{
    png_state *s = png_get_mem_ptr(png);
    png_alloc_size_t n_bytes;

    if (!memory)
        return;
    memcpy(&n_bytes, (uint8_t *)memory - HEAD, sizeof(n_bytes));
    s->n_taken -= n_bytes;
    ae_free((uint8_t *)memory - HEAD);
}

void aei_png_free_state(png_state *s)
{
    if (!s)
        return;
    if (s->png && s->source)
        png_destroy_read_struct(&s->png, &s->info, NULL);
    else if (s->png)
        png_destroy_write_struct(&s->png, &s->info);
    if (s->frames.state)
        aei_codec_apng.close(&s->frames);
    ae_free(s->whole);
    ae_free(s->iptc);
    ae_free(s->profile.data);
    ae_free(s);
}
