/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What libjpeg finds wrong. Data that it would patch up with grey (a premature end, bad codes) are
 * errors here. */
#include "jpeg.h"

#include <jerror.h>

static ae_status status_of(int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY: return AE_ERR_NOMEM;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_NOT_COMPILED: return AE_ERR_UNSUPPORTED;
    default: return AE_ERR_MALFORMED;
    }
}

void aei_jpeg_error(j_common_ptr c)
{
    jpeg_state *s = c->client_data;
    char text[JMSG_LENGTH_MAX];

    if (s->status == AE_OK) {
        c->err->format_message(c, text);
        s->status = ae_fail(s->err, status_of(c->err->msg_code), "JPEG: %s", text);
    }
    longjmp(s->jump, 1);
}

static void on_message(j_common_ptr c, int level)
{
    if (level >= 0)
        return;
    switch (c->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: aei_jpeg_error(c); break;
    default: /* stray bytes between segments and the like */ break;
    }
}

void aei_jpeg_begin(jpeg_state *s, ae_error *err)
{
    s->c.common.err = jpeg_std_error(&s->errors);
    s->errors.error_exit = aei_jpeg_error;
    s->errors.emit_message = on_message;
    s->c.common.client_data = s;
    s->err = err;
}

void aei_jpeg_free(jpeg_state *s)
{
    if (!s)
        return;
    jpeg_destroy(&s->c.common);
    aei_give(&s->charged);
    ae_free(s->cmyk);
    ae_free(s);
}
