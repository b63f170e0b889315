/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Data sets: the first byte says of which format, the rest is the file. What was read is written
 * again. */
#include <stdlib.h>
#include <string.h>

#include "ae/files.h"
#include "ae/output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const ae_limits limits = {.max_memory = 1 << 24, .max_meta = 1 << 16};
enum { MOST_ROWS = 64, MOST_BYTES = 1 << 20 };

static void check(ae_status st, const ae_error *err)
{
    if (st != err->status || (st != AE_OK && !err->message[0]))
        abort();
}

static void write_again(const ae_codec *codec, const ae_reader *reader, const void *rows,
                        uint32_t n_rows)
{
    ae_signal_info info = reader->info;
    ae_memory_output memory;
    ae_encoder encoder;
    ae_error err = {0};
    ae_status st;

    info.height = n_rows;
    ae_memory_output_init(&memory);
    st = ae_encoder_open(codec, &memory.sink, &info, &reader->meta, NULL, &encoder, &err);
    if (st == AE_OK)
        st = ae_encoder_write(&encoder, rows, n_rows, &err);
    if (st == AE_OK)
        st = ae_encoder_finish(&encoder, &err);
    else
        ae_encoder_abandon(&encoder);
    check(st, &err);
    ae_free(memory.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const char *const names[] = {"npy", "csv", "tsv", "idx"};
    ae_reader reader = {.limits = limits};
    ae_error err = {0};
    void *rows = NULL;
    size_t row;
    ae_status st;

    if (!n_bytes)
        return 0;
    for (const ae_codec *const *c = ae_codecs; *c; c++)
        if (strcmp((*c)->name, names[data[0] % 4]) == 0)
            reader.codec = *c;
    st = ae_source_memory(data + 1, n_bytes - 1, &reader.source, &err);
    if (st == AE_OK && (st = reader.codec->open(reader.source, &limits, &reader, &err)) == AE_OK) {
        uint32_t n = reader.info.height < MOST_ROWS ? (uint32_t)reader.info.height : MOST_ROWS;

        row = ae_row_bytes(&reader.info);
        if (!row || reader.info.rank > AE_MAX_RANK)
            abort();
        if (row <= MOST_BYTES && (rows = malloc(n * row + 1)) &&
            (st = reader.codec->read(&reader, rows, n, &err)) == AE_OK) {
            write_again(ae_codec_for_name("csv"), &reader, rows, n);
            write_again(ae_codec_for_name("npy"), &reader, rows, n);
        }
        reader.codec->close(&reader);
    }
    check(st, &err);
    free(rows);
    ae_meta_clear(&reader.meta);
    ae_source_free(reader.source);
    return 0;
}
