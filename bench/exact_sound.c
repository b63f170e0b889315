/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exact_sound TILES THREADS: decodes sounds and prints a digest of the samples of each;
 * bench/exact_sound.py builds it with several compilers, of no more than the decoder, and compares.
 * TILES holds 32-bit numbers of the machine's own order: sounds; then for each type, bits,
 * channels, cell, frames of a tile, frames, tiles, the size of every tile, and the tiles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ae/container.h"
#include "model/format.h"

enum { HEAD = 7 };

typedef struct sound {
    ae_signal_info info;
    const uint8_t *next;
    const uint32_t *sizes;
    uint8_t *samples;
    size_t at;
} sound;

static ae_status read_tile(void *opaque, uint32_t i, const void **data, size_t *n, ae_error *err)
{
    sound *s = opaque;

    (void)err;
    *data = s->next;
    *n = s->sizes[i];
    s->next += *n;
    return AE_OK;
}

static ae_status write_frames(void *opaque, const void *frames, uint32_t n, ae_error *err)
{
    sound *s = opaque;
    size_t bytes = n * ae_row_bytes(&s->info);

    (void)err;
    memcpy(s->samples + s->at, frames, bytes);
    s->at += bytes;
    return AE_OK;
}

static ae_status decode(const uint32_t *head, uint32_t threads, const uint8_t **end, ae_error *err)
{
    sound s = {.info = {.kind = AE_KIND_AUDIO,
                        .sample = (ae_sample)head[0],
                        .bits = head[1],
                        .channels = head[2],
                        .width = 1,
                        .height = head[5],
                        .rate = 48000},
               .next = (const uint8_t *)(head + HEAD + head[6]),
               .sizes = head + HEAD};
    ae_sounds_options o = {.block = (uint8_t)head[3], .control.threads = threads};
    ae_tile_source source = {&s, read_tile};
    ae_row_sink sink = {&s, write_frames};
    size_t size = ae_row_bytes(&s.info) * head[5];
    uint8_t digest[16];
    ae_status st;

    if (!(s.samples = ae_alloc(size, 1)))
        return ae_fail(err, AE_ERR_NOMEM, "a sound");
    st = ae_sounds_decode(&s.info, head[4], &o, &source, &sink, err);
    if (st == AE_OK) {
        aei_digest(s.samples, size, digest);
        for (int k = 0; k < 16; k++)
            printf("%02x", digest[k]);
        printf("\n");
    }
    ae_free(s.samples);
    *end = s.next;
    return st;
}

int main(int argc, char **argv)
{
    ae_error err = {0};
    FILE *f = argc == 3 ? fopen(argv[1], "rb") : NULL;
    long n = f && !fseek(f, 0, SEEK_END) ? ftell(f) : 0;
    uint8_t *tiles = n > 0 ? ae_alloc((size_t)n, 1) : NULL;
    const uint8_t *at = tiles;
    ae_status st = AE_OK;

    if (tiles)
        rewind(f);
    if (!tiles || fread(tiles, 1, (size_t)n, f) != (size_t)n)
        st = ae_fail(&err, AE_ERR_IO, "exact_sound TILES THREADS");
    for (uint32_t i = 0, sounds = 0; st == AE_OK && i <= sounds; i++) {
        if (!i) {
            sounds = *(const uint32_t *)tiles;
            at += sizeof(sounds);
            continue;
        }
        st = decode((const uint32_t *)at, (uint32_t)atoi(argv[2]), &at, &err);
        at += (size_t)(tiles - at) % 4;
    }
    if (st != AE_OK)
        fprintf(stderr, "exact_sound: %s\n", err.message);
    if (f)
        fclose(f);
    ae_free(tiles);
    return st != AE_OK;
}
