/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Synthetic patterns as PNG:  patterns FOLDER [COUNT [SEED [SIZE]]]  (200, 1, 192). Names are
 * KIND-INDEX.png. */
#include "picture.h"

#include "ae/output.h"
#include "train/patterns.h"

static ae_status write_picture(const char *path, uint32_t size, const float *rgb, uint8_t *row,
                               ae_error *err)
{
    ae_signal_info info = {.kind = AE_KIND_IMAGE,
                           .sample = AE_U8,
                           .bits = 8,
                           .channels = 3,
                           .width = size,
                           .height = size};
    ae_output *output = NULL;
    ae_encoder encoder = {0};
    ae_status st = ae_output_open(path, NULL, AE_OUTPUT_FORCE, &output, err);

    if (st == AE_OK)
        st = ae_encoder_open(ae_codec_for_path(path), ae_output_sink(output), &info, NULL, NULL,
                             &encoder, err);
    for (uint32_t y = 0; y < size && st == AE_OK; y++) {
        ae_samples_from_f32(AE_U8, rgb + (size_t)y * size * 3, row, (size_t)size * 3);
        st = ae_encoder_write(&encoder, row, 1, err);
    }
    if (st == AE_OK)
        st = ae_encoder_finish(&encoder, err);
    ae_encoder_abandon(&encoder);
    if (st == AE_OK)
        return ae_output_commit(output, err);
    ae_output_discard(output);
    return st;
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? atoi(argv[2]) : 200, size = argc > 4 ? atoi(argv[4]) : 192;
    unsigned long long seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    ae_error err = {0};
    ae_status st = AE_OK;
    float *rgb;
    uint8_t *row;

    if (argc < 2 || argc > 5 || n < 1 || size < 8 || size > 1 << 14) {
        fprintf(stderr, "usage: patterns FOLDER [COUNT [SEED [SIZE]]]\n");
        return 2;
    }
    rgb = ae_alloc((size_t)size * (size_t)size, 3 * sizeof(float));
    row = ae_alloc((size_t)size, 3);
    if (!rgb || !row)
        st = ae_fail(&err, AE_ERR_NOMEM, "a picture of %d x %d pixels", size, size);
    for (int i = 0; i < n && st == AE_OK; i++) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/%s-%03d.png", argv[1], aei_pattern_name((uint64_t)i), i);
        aei_pattern_draw(seed, (uint64_t)i, (uint32_t)size, (uint32_t)size, rgb);
        st = write_picture(path, (uint32_t)size, rgb, row, &err);
    }
    if (st != AE_OK)
        fprintf(stderr, "patterns: %s\n", err.message);
    ae_free(row);
    ae_free(rgb);
    return st != AE_OK;
}
