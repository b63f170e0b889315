/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures of every format: read within small limits, then written with their metadata. */
#include <stdlib.h>
#include <string.h>

#include "ae/output.h"
#include "ae/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const ae_limits limits = {
    .max_pixels = 1 << 14, .max_edge = 2048, .max_meta = 1 << 16, .max_memory = 1 << 22};

/* What came from a stranger's file must be written without harm, though not always with success. */
static void write_again(ae_reader *reader, const void *pixels, const char *format)
{
    ae_write_options options = {.like = reader};
    ae_memory_output memory;
    ae_encoder encoder;
    ae_error err = {0};
    ae_status st;

    ae_memory_output_init(&memory);
    st = ae_encoder_open(ae_codec_for_name(format), &memory.sink, &reader->info, &reader->meta,
                         &options, &encoder, &err);
    if (st == AE_OK)
        st = ae_encoder_write(&encoder, pixels, (uint32_t)reader->info.height, &err);
    if (st == AE_OK)
        st = ae_encoder_finish(&encoder, &err);
    else
        ae_encoder_abandon(&encoder);
    if (st != err.status)
        abort();
    ae_free(memory.data);
}

/* Those behind the first, some of them. */
static void try_further(ae_reader *reader)
{
    uint32_t n = 1 + reader->n_further < 4 ? 1 + reader->n_further : 4;
    ae_status st = AE_OK;

    for (uint32_t k = 2; k <= n && st == AE_OK; k++) {
        void *pixels = NULL;
        ae_error err = {0};

        st = ae_reader_picture(reader, k, &err);
        if (st == AE_OK)
            st = ae_reader_read_all(reader, &pixels, &err);
        if (st != err.status || (st != AE_OK && !err.message[0]))
            abort();
        if (st == AE_OK)
            write_again(reader, pixels, "png");
        ae_free(pixels);
    }
}

static void try_read(const uint8_t *data, size_t n_bytes)
{
    static const char *const formats[] = {"png", "jpeg", "tiff", "webp"};
    ae_source *source = NULL;
    ae_reader reader = {0};
    void *pixels = NULL;
    ae_error err = {0};
    ae_status st = ae_source_memory(data, n_bytes, &source, &err);

    if (st == AE_OK)
        st = ae_reader_open(source, &limits, &reader, &err);
    if (st == AE_OK)
        st = ae_reader_read_all(&reader, &pixels, &err);
    if (st != err.status || (st != AE_OK && !err.message[0]))
        abort();
    if (st == AE_OK && reader.info.kind == AE_KIND_IMAGE)
        write_again(&reader, pixels, formats[n_bytes % 4]);
    if (st == AE_OK && reader.n_further)
        try_further(&reader);
    ae_free(pixels);
    ae_reader_close(&reader);
    ae_source_free(source);
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* PNG's checksums put right, which no mutation would find. */
static void seal_png(uint8_t *p, size_t n_bytes)
{
    for (size_t at = 8; n_bytes - at >= 12;) {
        size_t n = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 |
                   p[at + 3];
        uint32_t crc;

        if (n > n_bytes - at - 12)
            return;
        crc = crc32_of(p + at + 4, n + 4);
        for (unsigned i = 0; i < 4; i++)
            p[at + 8 + n + i] = (uint8_t)(crc >> (24 - 8 * i));
        at += n + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    uint8_t *sealed;

    try_read(data, n_bytes);
    if (n_bytes < 8 || memcmp(data, "\x89PNG\r\n\x1a\n", 8) != 0 || !(sealed = malloc(n_bytes)))
        return 0;
    memcpy(sealed, data, n_bytes);
    seal_png(sealed, n_bytes);
    try_read(sealed, n_bytes);
    free(sealed);
    return 0;
}
