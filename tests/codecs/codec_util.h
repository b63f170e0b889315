/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Pictures and files for the tests of the adapters. */
#ifndef CODEC_UTIL_H
#define CODEC_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* after those */
#include <cmocka.h>

#include "ae/output.h"
#include "ae/files.h"

#define assert_ok(call) check_ok((call), &util_err, __FILE__, __LINE__)
/* Give calls under assert_ok this one. */
extern ae_error util_err;
void check_ok(ae_status st, const ae_error *err, const char *file, int line);

/* Repeatable noise. */
uint32_t next_random(uint32_t *state);

ae_signal_info make_info(uint32_t width, uint32_t height, ae_sample sample, uint32_t channels);
void check_info(const ae_signal_info *found, const ae_signal_info *expected);
/* ae_alloc array of noise over the whole range of the sample type. */
void *make_noise(const ae_signal_info *info, uint32_t seed);
/* Smooth colours, so that lossy formats come near. */
void *make_smooth(const ae_signal_info *info);

/* free data with ae_free */
typedef struct file_bytes {
    uint8_t *data;
    size_t n_bytes;
} file_bytes;

/* Writes rows in bands of `band`. */
ae_status encode(const char *codec, const ae_signal_info *info, const void *pixels,
                 const ae_meta *meta, const ae_write_options *options, uint32_t band,
                 file_bytes *out, char note[160], ae_error *err);

/* A file opened from memory. */
typedef struct decoded {
    ae_source *source;
    ae_reader reader;
    void *pixels; /* NULL until decode_pixels */
} decoded;
ae_status decode_open(file_bytes file, const ae_limits *limits, decoded *d, ae_error *err);
ae_status decode_pixels(decoded *d, uint32_t band, ae_error *err);
ae_status decode(file_bytes file, const ae_limits *limits, uint32_t band, decoded *d,
                 ae_error *err);
void decode_close(decoded *d);

/* Metadata of every kind, with a profile for so many channels. */
void fill_meta(ae_meta *meta, uint32_t channels);
void check_meta(const ae_meta *found, const ae_meta *expected, ae_meta_kind kind);
const ae_meta_item *find_text(const ae_meta *meta, const char *key);

#endif
