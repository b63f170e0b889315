/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A picture through a network, tile by tile with bounded memory. What a task does with a network's
 * output is its `store`. */
#ifndef AEI_TILES_H
#define AEI_TILES_H

#include "ae/model.h"
#include "image/window.h"

/* One tile. `image` and `net`, what the network saw and made of it, begin at the first pixel that
 * is kept; their rows are window_w and net_w pixels of format.planes floats apart, and `margin`
 * more pixels lie around the image on all sides. */
typedef struct aei_tile {
    const struct aei_tiles *job;
    aei_window_format format; /* of the source; its plane is the one in hand */
    uint32_t x, y, w, h;      /* pixels of the source to keep */
    uint32_t window_w, window_h, margin;
    float *image;
    float *net; /* `store` may change it */
    uint32_t net_w;
    /* level_channels floats a pixel of the whole window, dense; the job's unless `load` sets others
     */
    float *level;
    uint32_t level_channels;
    void *scratch; /* of this thread */
    uint8_t *band; /* rows scale * y ... of the result, whole ones */
    const uint8_t *ring;
    uint32_t ring_rows;
} aei_tile;

typedef struct aei_tiles {
    const ae_model *model;
    const ae_row_source *source;
    const ae_row_sink *sink;
    ae_signal_info result; /* of the sink's rows: the source's size times `scale` */
    uint32_t scale;
    float level[2];  /* what the network is told everywhere */
    uint32_t reach;  /* how far beyond a pixel `load` looks */
    uint32_t margin; /* the least that `store` wants */
    float slack;     /* aei_window_format's */
    ae_precision precision;
    uint32_t tile; /* 0: the default */
    ae_control control;
    const void *context; /* of the functions below */
    /* bytes for the other two; may be NULL */
    size_t (*scratch)(const struct aei_tiles *job, uint32_t window_w, uint32_t window_h);
    /* may change the image, margin included, before the network sees it, and the levels; may be
     * NULL */
    void (*load)(const aei_tile *tile);
    /* writes the tile's columns of its rows to the band; called for each plane */
    void (*store)(const aei_tile *tile);
} aei_tiles;

ae_status aei_tiles_run(const aei_tiles *job, ae_run_stats *stats /* may be NULL */, ae_error *err);

/* Row y of the source, which the tile reaches, mirrored at the edges. */
const uint8_t *aei_tile_row(const aei_tile *tile, int64_t y);

#endif
