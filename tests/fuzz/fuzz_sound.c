/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Files of sounds: what stands beside the samples is read by our own code, and what was read is
 * written again, into the same format and another one. */
#include <stdlib.h>

#include "ae/output.h"
#include "ae/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const ae_limits limits = {.max_memory = 1 << 22, .max_meta = 1 << 16};

static void write_again(const ae_codec *codec, const ae_reader *reader, const void *rows,
                        uint32_t n_rows)
{
    ae_write_options options = {.like = reader};
    ae_memory_output memory;
    ae_encoder encoder;
    ae_error err = {0};
    ae_status st;

    ae_memory_output_init(&memory);
    st = ae_encoder_open(codec, &memory.sink, &reader->info, &reader->meta, &options, &encoder,
                         &err);
    if (st == AE_OK)
        st = ae_encoder_write(&encoder, rows, n_rows, &err);
    if (st == AE_OK)
        st = ae_encoder_finish(&encoder, &err);
    else
        ae_encoder_abandon(&encoder);
    if (st != err.status || (st != AE_OK && !err.message[0]))
        abort();
    ae_free(memory.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { BLOCK = 512, MOST = 1 << 14 };
    static const char *const others[] = {"wav", "aiff", "caf", "flac", "w64"};
    ae_source *source = NULL;
    ae_reader reader = {0};
    ae_error err = {0};
    ae_status st = ae_source_memory(data, n_bytes, &source, &err);
    void *rows = NULL;
    uint32_t n = 0, first = 0;

    if (st == AE_OK)
        st = ae_reader_open(source, &limits, &reader, &err);
    if (st == AE_OK && reader.info.kind == AE_KIND_AUDIO &&
        (rows = malloc(BLOCK * ae_row_bytes(&reader.info)))) {
        for (uint32_t done = 0; st == AE_OK && done < MOST; done += n) {
            st = ae_reader_read_some(&reader, rows, BLOCK, &n, &err);
            if (st == AE_OK && n > BLOCK)
                abort();
            first = done ? first : n;
            if (st == AE_OK && !n)
                break;
        }
        if (st == AE_OK && reader.info.channels <= 32) {
            write_again(reader.codec, &reader, rows, n ? n : first);
            write_again(ae_codec_for_name(others[n_bytes % 5]), &reader, rows, n ? n : first);
        }
    }
    if (st != err.status || (st != AE_OK && !err.message[0]))
        abort();
    free(rows);
    ae_reader_close(&reader);
    ae_source_free(source);
    return 0;
}
