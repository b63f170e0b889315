/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Encoders: writers that convert the rows they are given, here or in a process of their own. */
#include "ae/files.h"

#include "apart.h"

ae_status ae_encoder_open(const ae_codec *codec, ae_sink *sink, const ae_signal_info *info,
                          const ae_meta *meta, const ae_write_options *options, ae_encoder *encoder,
                          ae_error *err)
{
    static const ae_meta no_meta;
    static const ae_write_options no_options;
    ae_writer *writer = &encoder->writer;
    ae_status (*create)(ae_sink *, const ae_signal_info *, const ae_meta *,
                        const ae_write_options *, ae_writer *, ae_error *);
    ae_status st;

    *encoder = (ae_encoder){.info = *info, .rows_left = info->height};
    writer->codec = codec;
    writer->info = *info;
    if (codec->kind != info->kind)
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "%s holds another kind of signal",
                     codec->description);
    else
        st = info->kind == AE_KIND_AUDIO    ? aei_check_sound(info, err)
             : info->kind == AE_KIND_TENSOR ? AE_OK
                                            : aei_check_image(info, err);
    if (st != AE_OK)
        goto failed;
    codec->accepts(&writer->info, writer->note);
    if (writer->info.sample != info->sample || writer->info.channels != info->channels) {
        size_t row = ae_row_bytes(&writer->info);

        encoder->band_rows = row < (1 << 16) ? (uint32_t)((1 << 16) / row) : 1;
        encoder->band = ae_alloc(encoder->band_rows, row);
        if (!encoder->band) {
            st = ae_fail(err, AE_ERR_NOMEM, "conversion buffer");
            goto failed;
        }
    }
    if (!options)
        options = &no_options;
    create = aei_apart_can_create(options, writer) ? aei_apart_create : codec->create;
    st = create(sink, &writer->info, meta ? meta : &no_meta, options, writer, err);
    if (st == AE_OK)
        return AE_OK;
failed:
    ae_free(encoder->band);
    *encoder = (ae_encoder){0};
    return st;
}

ae_status ae_encoder_write(ae_encoder *encoder, const void *rows, uint32_t n_rows, ae_error *err)
{
    ae_writer *writer = &encoder->writer;
    const uint8_t *p = rows;
    ae_status st = AE_OK;

    if (encoder->info.kind == AE_KIND_AUDIO)
        encoder->rows_left = n_rows;
    if (n_rows > encoder->rows_left)
        return ae_fail(err, AE_ERR_ARGUMENT, "%u rows where %llu are left", n_rows,
                       (unsigned long long)encoder->rows_left);
    encoder->rows_left -= n_rows;
    if (!encoder->band)
        return writer->codec->write(writer, rows, n_rows, err);
    while (n_rows && st == AE_OK) {
        uint32_t n = n_rows < encoder->band_rows ? n_rows : encoder->band_rows;

        ae_rows_convert(&encoder->info, p, &writer->info, encoder->band, n);
        st = writer->codec->write(writer, encoder->band, n, err);
        p += n * ae_row_bytes(&encoder->info);
        n_rows -= n;
    }
    return st;
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    return ae_encoder_write(opaque, rows, n_rows, err);
}

ae_row_sink ae_encoder_rows(ae_encoder *encoder)
{
    return (ae_row_sink){encoder, write_rows};
}

ae_status ae_encoder_finish(ae_encoder *encoder, ae_error *err)
{
    ae_status st;

    if (encoder->rows_left && encoder->info.kind != AE_KIND_AUDIO) {
        st = ae_fail(err, AE_ERR_ARGUMENT, "%llu rows are missing",
                     (unsigned long long)encoder->rows_left);
        ae_encoder_abandon(encoder);
        return st;
    }
    st = encoder->writer.codec->finish(&encoder->writer, err);
    encoder->writer.codec = NULL;
    ae_encoder_abandon(encoder);
    return st;
}

void ae_encoder_abandon(ae_encoder *encoder)
{
    if (encoder->writer.codec)
        encoder->writer.codec->abandon(&encoder->writer);
    encoder->writer.codec = NULL;
    ae_free(encoder->band);
    encoder->band = NULL;
}
