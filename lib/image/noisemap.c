/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The levels that a network is told, drawn: rows pass in strips, each with as many above and below
 * as the map of levels looks at (levels.h), and show their deviations, PER_DEVIATION steps for each
 * of 255: of chroma in red, of luminance in green. */
#include "ae/denoise.h"

#include <string.h>

#include "image/levels.h"
#include "image/window.h"

enum { STRIP = 64, WINDOW = STRIP + 2 * AEI_LEVEL_REACH, PER_DEVIATION = 4 };

typedef struct mapper {
    aei_window_format format;
    size_t row_bytes, row_floats;
    uint8_t *rows, *out;
    float *image, *level, *scratch;
} mapper;

static ae_status prepare(mapper *m, const ae_signal_info *info, ae_error *err)
{
    uint32_t colours = info->channels < 3 ? 1 : 3;

    if (!info->width || !info->height || info->width > UINT32_MAX / 4 || info->channels < 1 ||
        info->channels > 4 ||
        (info->sample != AE_U8 && info->sample != AE_U16 && info->sample != AE_F32))
        return ae_fail(err, AE_ERR_ARGUMENT, "no map of %llu x %llu x %u samples of this type",
                       (unsigned long long)info->width, (unsigned long long)info->height,
                       info->channels);
    m->format = (aei_window_format){.sample = info->sample,
                                    .width = (uint32_t)info->width,
                                    .channels = info->channels,
                                    .colours = colours,
                                    .planes = colours};
    m->row_bytes = ae_row_bytes(info);
    m->row_floats = (size_t)info->width * colours;
    m->rows = ae_alloc(STRIP, m->row_bytes);
    m->image = ae_alloc(WINDOW, m->row_floats * sizeof(float));
    m->level = ae_alloc(2 * (size_t)WINDOW, info->width * sizeof(float));
    m->scratch = ae_alloc(aei_level_scratch(WINDOW, (uint32_t)info->width), sizeof(float));
    /* the last strip brings the rows with it that wait for those below */
    m->out = ae_alloc(WINDOW, 3 * (size_t)info->width);
    if (!m->rows || !m->image || !m->level || !m->scratch || !m->out)
        return ae_fail(err, AE_ERR_NOMEM, "%d rows of %llu pixels", WINDOW,
                       (unsigned long long)info->width);
    return AE_OK;
}

static uint8_t shown(float deviation)
{
    float v = 255 * PER_DEVIATION * deviation + 0.5f;

    return v < 255 ? (uint8_t)v : 255;
}

/* Rows [first, first + n) of the window become rows of the map. */
static ae_status write_strip(mapper *m, const ae_noise *noise, uint32_t n_window, uint32_t first,
                             uint32_t n, const ae_row_sink *sink, ae_error *err)
{
    uint32_t width = m->format.width;

    aei_level_map(noise, m->image, n_window, width, m->format.planes, 2, m->level, m->scratch);
    for (size_t i = 0; i < (size_t)n * width; i++) {
        const float *level = m->level + 2 * ((size_t)first * width + i);

        m->out[3 * i] = shown(level[1]);
        m->out[3 * i + 1] = shown(level[0]);
        m->out[3 * i + 2] = 0;
    }
    return sink->write(sink->opaque, m->out, n, err);
}

ae_status ae_noise_map(const ae_row_source *source, const ae_noise *noise, const ae_row_sink *sink,
                       const ae_cancel *cancel, ae_error *err)
{
    uint64_t height = source->info.height;
    uint32_t have = 0, above = 0; /* rows in the window, and of those the ones that were written */
    mapper m = {0};
    ae_status st = prepare(&m, &source->info, err);

    for (uint64_t y = 0; st == AE_OK && y < height;) {
        uint32_t n = height - y < STRIP ? (uint32_t)(height - y) : STRIP, ready, keep;

        if (cancel && cancel->requested)
            st = ae_fail(err, AE_ERR_CANCELLED, "interrupted");
        else
            st = source->read(source->opaque, m.rows, n, err);
        if (st != AE_OK)
            break;
        for (uint32_t i = 0; i < n; i++)
            aei_window_load(&m.format, m.rows + i * m.row_bytes, 0, m.format.width,
                            m.image + (have + i) * m.row_floats);
        have += n;
        y += n;
        ready = y == height ? have : have > AEI_LEVEL_REACH ? have - AEI_LEVEL_REACH : 0;
        if (ready > above)
            st = write_strip(&m, noise, have, above, ready - above, sink, err);
        above = ready > above ? ready : above;
        keep = have - above + AEI_LEVEL_REACH < have ? have - above + AEI_LEVEL_REACH : have;
        memmove(m.image, m.image + (have - keep) * m.row_floats,
                keep * m.row_floats * sizeof(float));
        above -= have - keep;
        have = keep;
    }
    ae_free(m.rows);
    ae_free(m.image);
    ae_free(m.level);
    ae_free(m.scratch);
    ae_free(m.out);
    return st;
}
