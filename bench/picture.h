/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whole small pictures for benchmarks. */
#ifndef BENCH_PICTURE_H
#define BENCH_PICTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "ae/files.h"

/* The samples of a picture as f32, owned by the caller (ae_free); the program ends with a message
 * where it cannot be read. */
static inline float *load_picture(const char *path, ae_signal_info *info, size_t *n)
{
    ae_error err = {0};
    ae_source *source = NULL;
    ae_reader reader = {0};
    void *pixels = NULL;
    float *samples = NULL;

    if (ae_source_open(path, &source, &err) != AE_OK ||
        ae_reader_open(source, NULL, &reader, &err) != AE_OK ||
        ae_reader_read_all(&reader, &pixels, &err) != AE_OK) {
        fprintf(stderr, "%s: %s\n", path, err.message);
        exit(1);
    }
    *info = reader.info;
    *n = (size_t)reader.info.width * reader.info.height * reader.info.channels;
    samples = ae_alloc(*n, sizeof(float));
    if (!samples) {
        fprintf(stderr, "%s: out of memory\n", path);
        exit(1);
    }
    ae_samples_to_f32(reader.info.sample, pixels, samples, *n);
    ae_free(pixels);
    ae_reader_close(&reader);
    ae_source_free(source);
    return samples;
}

#endif
