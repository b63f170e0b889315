/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds for the tests of tools:
 *   soundtool make CODEC SAMPLE RATE CHANNELS FRAMES noise|silence|dc|nan|loud OUT   with a title
 *       and an artist
 *   soundtool show FILE...   of each a line: format, type, rate, channels, frames, layout, tags,
 *                            chunks
 *   soundtool least FILE     the least and the greatest sample */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ae/output.h"
#include "ae/files.h"

static const char *const samples[] = {[AE_S8] = "s8",   [AE_S16] = "s16", [AE_S24] = "s24",
                                      [AE_S32] = "s32", [AE_F32] = "f32", [AE_F64] = "f64"};

static void check(ae_status st, const ae_error *err, const char *what)
{
    if (st == AE_OK)
        return;
    fprintf(stderr, "soundtool: %s: %s\n", what, err->message);
    exit(1);
}

static float value(const char *kind, size_t i, uint32_t c)
{
    static uint32_t state = 1;

    state = state * 1664525u + 1013904223u;
    if (strcmp(kind, "silence") == 0)
        return 0;
    if (strcmp(kind, "dc") == 0)
        return 0.5f;
    if (strcmp(kind, "nan") == 0 && i % 1000 == 777)
        return i % 2000 > 1000 ? INFINITY : NAN;
    if (strcmp(kind, "loud") == 0)
        return sinf((float)i * 0.05f) > 0 ? 1 : -1;
    return 0.3f * sinf((float)i * 0.05f * (float)(c + 1)) +
           0.05f * ((float)(state >> 8) / 8388608.0f - 1);
}

static void make(char **argv)
{
    ae_signal_info info = {.kind = AE_KIND_AUDIO,
                           .width = 1,
                           .rate = atof(argv[2]),
                           .channels = (uint32_t)atoi(argv[3])};
    size_t frames = strtoul(argv[4], NULL, 10), n = info.channels;
    float *block = ae_alloc(n + 1, sizeof(float));
    double *row = ae_alloc(n + 1, sizeof(double));
    ae_output *output;
    ae_encoder encoder;
    ae_meta meta = {0};
    ae_error err;

    for (size_t i = 1; i < sizeof(samples) / sizeof(samples[0]); i++)
        if (samples[i] && strcmp(samples[i], argv[1]) == 0)
            info.sample = (ae_sample)i;
    info.bits = 8 * (uint32_t)ae_sample_bytes(info.sample);
    if (info.channels == 6)
        info.layout = 0x3f;
    check(ae_meta_add(&meta, AE_META_TAG, "TITLE", "A title", 7, &err), &err, "tag");
    check(ae_meta_add(&meta, AE_META_TAG, "ARTIST", "An artist", 9, &err), &err, "tag");
    check(ae_output_open(argv[6], NULL, AE_OUTPUT_FORCE, &output, &err), &err, argv[6]);
    check(ae_encoder_open(ae_codec_for_name(argv[0]), ae_output_sink(output), &info, &meta, NULL,
                          &encoder, &err),
          &err, argv[6]);
    for (size_t i = 0; i < frames; i++) {
        for (uint32_t c = 0; c < n; c++)
            block[c] = value(argv[5], i, c);
        ae_samples_from_f32(info.sample, block, row, n);
        check(ae_encoder_write(&encoder, row, 1, &err), &err, argv[6]);
    }
    check(ae_encoder_finish(&encoder, &err), &err, argv[6]);
    check(ae_output_commit(output, &err), &err, argv[6]);
    ae_meta_clear(&meta);
    ae_free(block);
    ae_free(row);
}

static void show(const char *path, bool range)
{
    enum { BLOCK = 1000 };
    ae_source *source;
    ae_reader reader;
    ae_error err;
    uint64_t frames = 0;
    float least = INFINITY, most = -INFINITY, *values;
    void *rows;
    uint32_t n = 1;

    check(ae_source_open(path, &source, &err), &err, path);
    check(ae_reader_open(source, NULL, &reader, &err), &err, path);
    rows = ae_alloc(BLOCK, ae_row_bytes(&reader.info));
    values = ae_alloc(BLOCK, reader.info.channels * sizeof(float));
    while (n) {
        check(ae_reader_read_some(&reader, rows, BLOCK, &n, &err), &err, path);
        ae_samples_to_f32(reader.info.sample, rows, values, (size_t)n * reader.info.channels);
        for (size_t i = 0; i < (size_t)n * reader.info.channels; i++) {
            least = values[i] < least ? values[i] : least;
            most = values[i] > most ? values[i] : most;
        }
        frames += n;
    }
    if (range) {
        printf("%.5f %.5f\n", (double)least, (double)most);
    } else {
        printf("%s %s %g Hz x %u, %llu frames, layout %llx", reader.codec->name,
               samples[reader.info.sample], reader.info.rate, reader.info.channels,
               (unsigned long long)frames, (unsigned long long)reader.info.layout);
        for (size_t i = 0; i < reader.meta.n_items; i++)
            if (reader.meta.items[i].kind == AE_META_TAG)
                printf(", %s=%s", reader.meta.items[i].key,
                       (const char *)reader.meta.items[i].value);
            else if (reader.meta.items[i].kind == AE_META_CHUNK)
                printf(", %s: %zu", reader.meta.items[i].key, reader.meta.items[i].n_bytes);
        printf("\n");
    }
    ae_free(rows);
    ae_free(values);
    ae_reader_close(&reader);
    ae_source_free(source);
}

int main(int argc, char **argv)
{
    if (argc == 9 && strcmp(argv[1], "make") == 0)
        make(argv + 2);
    else if (argc >= 3 && (strcmp(argv[1], "show") == 0 || strcmp(argv[1], "least") == 0))
        for (int i = 2; i < argc; i++)
            show(argv[i], argv[1][0] == 'l');
    else
        return 2;
    return 0;
}
