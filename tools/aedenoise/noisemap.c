/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What was found of the noise, drawn as a picture: a pixel for each of the input's, coloured by
 * the library (ae_noise_map) and written as files always are, whole or not at all. */
#include "noisemap.h"

#include "ae/files.h"
#include "ae/output.h"
#include "common/options.h"

ae_status noisemap_write(const char *path, const char *input, bool force, const ae_row_source *rows,
                         const ae_noise *noise, const ae_cancel *cancel, ae_error *err)
{
    const ae_codec *codec = ae_codec_for_path(path);
    ae_signal_info info = {.kind = AE_KIND_IMAGE,
                           .sample = AE_U8,
                           .bits = 8,
                           .channels = 3,
                           .width = rows->info.width,
                           .height = rows->info.height};
    ae_write_options options = {0};
    ae_output *output = NULL;
    ae_encoder encoder = {0};
    ae_row_sink sink = ae_encoder_rows(&encoder);
    ae_meta meta = {0};
    ae_status st;

    if (!codec)
        return ae_fail(err, AE_ERR_ARGUMENT, "no format that can be written has this suffix");
    if ((st = cli_output_open(path, input, force, &output, err)) == AE_OK &&
        (st = ae_encoder_open(codec, ae_output_sink(output), &info, &meta, &options, &encoder,
                              err)) == AE_OK &&
        (st = ae_noise_map(rows, noise, &sink, cancel, err)) == AE_OK &&
        (st = ae_encoder_finish(&encoder, err)) == AE_OK) {
        st = ae_output_commit(output, err);
        output = NULL;
    }
    ae_encoder_abandon(&encoder);
    ae_output_discard(output);
    return st;
}
