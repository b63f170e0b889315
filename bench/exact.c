/* SPDX-License-Identifier: BSD-2-Clause
 *
 * exact PROGRAM TILES THREADS N: decodes pictures, every Nth, with a decoder program and prints a
 * digest of the samples of each; bench/exact.py builds it with several compilers, of no more than
 * the decoder, and compares. TILES holds 32-bit numbers of the machine's own order: pictures; then
 * for each width, height, planes, quality, tiles, the size of every tile, and the tiles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ae/compress.h"
#include "model/format.h"

typedef struct picture {
    ae_signal_info info;
    const uint8_t *next;
    const uint32_t *sizes;
    uint8_t *samples;
    size_t at;
} picture;

static void *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = NULL;

    if (f && !fseek(f, 0, SEEK_END)) {
        *n = (size_t)ftell(f);
        bytes = ae_alloc(*n, 1);
        rewind(f);
        if (bytes && fread(bytes, 1, *n, f) != *n) {
            ae_free(bytes);
            bytes = NULL;
        }
    }
    if (f)
        fclose(f);
    return bytes;
}

static ae_status read_tile(void *opaque, uint32_t i, const void **data, size_t *n, ae_error *err)
{
    picture *p = opaque;

    (void)err;
    *data = p->next;
    *n = p->sizes[i];
    p->next += *n;
    return AE_OK;
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n, ae_error *err)
{
    picture *p = opaque;
    size_t bytes = n * ae_row_bytes(&p->info);

    (void)err;
    memcpy(p->samples + p->at, rows, bytes);
    p->at += bytes;
    return AE_OK;
}

int main(int argc, char **argv)
{
    ae_error err = {0};
    size_t n_program = 0, n_tiles = 0;
    uint8_t *program = argc == 5 ? read_file(argv[1], &n_program) : NULL,
            *tiles = program ? read_file(argv[2], &n_tiles) : NULL;
    const uint32_t *at = (const uint32_t *)tiles;
    ae_coder *coder = NULL;
    ae_status st = tiles ? ae_coder_open_program(program, n_program, &coder, &err)
                         : ae_fail(&err, AE_ERR_IO, "exact PROGRAM TILES THREADS N");

    for (uint32_t i = 0, every = argc == 5 ? (uint32_t)atoi(argv[4]) : 1,
                  n = st == AE_OK ? *at++ : 0;
         st == AE_OK && i < n; i++) {
        ae_coder_picture p = {at[0], at[1], at[2], AE_U8, 8};
        ae_decode_options options = {.quality = at[3], .control.threads = (uint32_t)atoi(argv[3])};
        picture to = {.info = {.kind = AE_KIND_IMAGE,
                               .sample = AE_U8,
                               .bits = 8,
                               .channels = p.planes,
                               .width = p.width,
                               .height = p.height},
                      .next = (const uint8_t *)(at + 5 + at[4]),
                      .sizes = at + 5};
        ae_row_sink sink = {&to, write_rows};
        ae_tile_source source = {&to, read_tile};
        size_t size = ae_row_bytes(&to.info) * p.height;
        uint8_t digest[16];

        for (uint32_t k = 0; i % every && k < at[4]; k++)
            to.next += at[5 + k];
        if (i % every) {
            at = (const uint32_t *)(to.next + (size_t)(tiles - to.next) % 4);
            continue;
        }
        to.samples = ae_alloc(size, 1);
        st = to.samples ? ae_decode(coder, &p, &options, &source, &sink, &err)
                        : ae_fail(&err, AE_ERR_NOMEM, "picture %u", i);
        if (st == AE_OK) {
            aei_digest(to.samples, size, digest);
            for (int k = 0; k < 16; k++)
                printf("%02x", digest[k]);
            printf("\n");
        }
        ae_free(to.samples);
        at = (const uint32_t *)(to.next + (size_t)(tiles - to.next) % 4);
    }
    if (st != AE_OK)
        fprintf(stderr, "exact: %s\n", err.message);
    ae_coder_free(coder);
    ae_free(program);
    ae_free(tiles);
    return st != AE_OK;
}
