/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A tile of lossy sound (doc/container.md, "Lossy sound"): samples to spectra and bits, and back to
 * the very same samples everywhere. Tiles are coded each for itself; where two meet, the last
 * samples of the one are put together with the first of the next. Where that takes fewer bytes, a
 * tile is its samples. */
#ifndef AEI_SOUNDLOSSY_H
#define AEI_SOUNDLOSSY_H

#include "soundbands.h"
#include "soundtile.h"

/* What a tile is decoded to; reusable, one for each thread. */
typedef struct aei_lossy {
    ae_signal_info info;
    uint32_t log2n, tile; /* of a cell; frames of a tile */
    aei_bands_coder *coder;
    /* from overlap / 2 before the tile on, room for overlap / 2 more on both sides */
    int32_t *samples[AEI_BANDS_CHANNELS];
    int32_t *room, *work;
    uint8_t *splits, *mid;
    int32_t lift;
    uint32_t cells; /* that are decoded */
    /* of a tile that is samples: its frames, behind those of the overlap where it has them, too */
    const uint8_t *plain; /* else NULL */
    uint8_t *plain_room;
    uint32_t n; /* frames */
    bool last;  /* of the sound */
    bool led;   /* plain begins with the overlap */
    aei_sound_coder *samples_coder;
    /* encoding: the tile as samples where these take fewer bytes; those before it */
    aei_buffer as_samples, before;
} aei_lossy;

/* Samples in which a tile and the next overlap, before the border of the tiles. */
static inline uint32_t aei_lossy_overlap(uint32_t log2n)
{
    return 1u << (log2n - AEI_BANDS_SPLITS);
}

/* log2 of the samples of a cell that lasts about 20 ms. */
uint32_t aei_lossy_block(const ae_signal_info *info, uint32_t tile);
/* Whether sound of the type can be coded in such cells and tiles. */
static inline bool aei_lossy_fits(const ae_signal_info *info, uint32_t log2n, uint32_t tile)
{
    return log2n >= AEI_BANDS_LEAST && log2n <= AEI_BANDS_LARGEST && tile >= 1u << log2n &&
           tile % (1u << log2n) == 0 && info->channels <= AEI_BANDS_CHANNELS;
}
ae_status aei_lossy_open(aei_lossy *l, const ae_signal_info *info, uint32_t log2n, uint32_t tile,
                         ae_error *err);
void aei_lossy_close(aei_lossy *l);

/* frames: overlap frames from before the tile, then n; the last tile of a sound has as many cells
 * as its frames need. quality: 0 to 100. What decoding gives is left in l. out is emptied first. */
ae_status aei_lossy_encode(aei_lossy *l, double quality, const void *frames, uint32_t n, bool last,
                           aei_buffer *out, ae_error *err);
/* Puts samples into out where they take fewer bytes; tiles are settled in their order. frames are
 * those that were encoded, and stay until l was joined. after_plain: the tile before became
 * samples, or there is none. */
ae_status aei_lossy_settle(aei_lossy *l, bool after_plain, uint8_t *frames, aei_buffer *out,
                           ae_error *err);
/* The tile must have n frames. begin: only its first cell is wanted. */
ae_status aei_lossy_decode(aei_lossy *l, const void *data, size_t n_bytes, uint32_t n, bool last,
                           bool begin, ae_error *err);
/* A tile that is lost: silence. */
void aei_lossy_lose(aei_lossy *l, uint32_t n, bool last, bool begin);

/* Tiles one after another become frames. */
typedef struct aei_lossy_join {
    int32_t *tail[AEI_BANDS_CHANNELS], *room; /* overlap / 2 samples each */
    int32_t lift;
    uint8_t *held; /* the last frames of a tile of samples, as many as overlap */
    bool running, plain;
} aei_lossy_join;
ae_status aei_lossy_join_open(aei_lossy_join *j, const aei_lossy *like, ae_error *err);
void aei_lossy_join_close(aei_lossy_join *j);
/* frames: room for a tile's and overlap more. They begin overlap before the tile, or where it is
 * the first one taken, with it; returns how many they are, which the caller cuts where the sound
 * ends. */
uint32_t aei_lossy_join_take(aei_lossy_join *j, aei_lossy *l, void *frames);

#endif
