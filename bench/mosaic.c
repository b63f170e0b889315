/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A large picture out of a small one, mirrored at each edge:  mosaic WIDTH HEIGHT IN OUT  (8 bits,
 * format by suffix). */
#include "picture.h"

#include "ae/output.h"

static size_t mirror(size_t i, size_t n)
{
    size_t k = i % (2 * n);

    return k < n ? k : 2 * n - 1 - k;
}

int main(int argc, char **argv)
{
    ae_signal_info in, out;
    ae_output *output = NULL;
    ae_encoder encoder = {0};
    ae_error err = {0};
    const ae_codec *codec;
    float *pixels, *row = NULL;
    uint8_t *bytes = NULL;
    size_t n;
    ae_status st;

    if (argc != 5 || atoi(argv[1]) < 1 || atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: mosaic WIDTH HEIGHT IN OUT\n");
        return 2;
    }
    pixels = load_picture(argv[3], &in, &n);
    out = in;
    out.width = (uint64_t)atoi(argv[1]);
    out.height = (uint64_t)atoi(argv[2]);
    out.sample = AE_U8;
    out.bits = 8;
    codec = ae_codec_for_path(argv[4]);
    row = ae_alloc(out.width * in.channels, sizeof(float));
    bytes = ae_alloc(out.width, in.channels);
    if (!codec || !row || !bytes)
        st = ae_fail(&err, AE_ERR_ARGUMENT, "no format for this suffix, or out of memory");
    else if ((st = ae_output_open(argv[4], argv[3], AE_OUTPUT_FORCE, &output, &err)) == AE_OK)
        st = ae_encoder_open(codec, ae_output_sink(output), &out, NULL, NULL, &encoder, &err);
    for (uint64_t y = 0; y < out.height && st == AE_OK; y++) {
        const float *from = pixels + mirror(y, in.height) * in.width * in.channels;

        for (uint64_t x = 0; x < out.width; x++)
            for (uint32_t c = 0; c < in.channels; c++)
                row[x * in.channels + c] = from[mirror(x, in.width) * in.channels + c];
        ae_samples_from_f32(AE_U8, row, bytes, out.width * in.channels);
        st = ae_encoder_write(&encoder, bytes, 1, &err);
    }
    if (st == AE_OK)
        st = ae_encoder_finish(&encoder, &err);
    ae_encoder_abandon(&encoder);
    if (st == AE_OK)
        st = ae_output_commit(output, &err);
    else
        ae_output_discard(output);
    ae_free(bytes);
    ae_free(row);
    ae_free(pixels);
    if (st != AE_OK)
        fprintf(stderr, "mosaic: %s: %s\n", argv[4], err.message);
    return st != AE_OK;
}
