/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How libtiff reaches the bytes, and says what is wrong with them. */
#include "tiff.h"

static tmsize_t on_read(thandle_t handle, void *to, tmsize_t n_bytes)
{
    tiff_state *s = handle;
    size_t n;

    if (!s->source || s->at > s->size || !ae_source_seek(s->source, s->at))
        return 0;
    n = ae_source_read(s->source, to, (size_t)n_bytes);
    s->at += n;
    return (tmsize_t)n;
}

static tmsize_t on_write(thandle_t handle, void *data, tmsize_t n_bytes)
{
    tiff_state *s = handle;

    if (s->source)
        return 0;
    if (s->status == AE_OK && s->spool_at != s->at)
        s->status = aei_spool_seek(&s->spool, s->at, s->err);
    if (s->status == AE_OK)
        s->status = aei_spool_write(&s->spool, data, (size_t)n_bytes, s->err);
    if (s->status != AE_OK)
        return -1;
    s->at += (uint64_t)n_bytes;
    s->spool_at = s->at;
    if (s->at > s->size)
        s->size = s->at;
    return n_bytes;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence)
{
    tiff_state *s = handle;

    s->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? s->at + offset : s->size + offset;
    return s->at;
}

static int on_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle)
{
    return ((tiff_state *)handle)->size;
}

static int on_error(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    tiff_state *s = user;
    char text[300];

    (void)tif;
    (void)module;
    if (s->status != AE_OK)
        return 1;
    vsnprintf(text, sizeof(text), format, args);
    s->status = ae_fail(s->err, AE_ERR_MALFORMED, "TIFF: %s", text);
    return 1;
}

static int on_warning(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    (void)tif;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

void aei_tiff_open(tiff_state *s, const char *mode, uint64_t max_alloc)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();

    if (!options)
        return;
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, s);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, s);
    if (max_alloc < INT64_MAX)
        TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)max_alloc);
    s->tif = TIFFClientOpenExt("", mode, s, on_read, on_write, on_seek, on_close, on_size, NULL,
                               NULL, options);
    TIFFOpenOptionsFree(options);
}

bool aei_tiff_append(tiff_state *s, const void *data, size_t n_bytes)
{
    on_seek(s, s->size, SEEK_SET);
    return on_write(s, (void *)data, (tmsize_t)n_bytes) == (tmsize_t)n_bytes;
}

ae_status aei_tiff_failed(tiff_state *s, const char *what)
{
    if (s->status == AE_OK)
        s->status = ae_fail(s->err, AE_ERR_MALFORMED, "TIFF: %s", what);
    return s->status;
}

void aei_tiff_free(tiff_state *s)
{
    if (!s)
        return;
    s->status = AE_ERR_CANCELLED; /* TIFFCleanup flushes: no more writing, no more messages */
    if (s->tif)
        TIFFCleanup(s->tif);
    aei_spool_close(&s->spool);
    ae_free(s->raw);
    ae_free(s->tile);
    ae_free(s);
}
