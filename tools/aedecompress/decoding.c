/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An item is decoded straight into the encoder of its output, by rows. A tile that is lost is told
 * of by its place and leaves its place empty; the output is written all the same, and the item
 * counts as damaged. */
#define _GNU_SOURCE
#include "decoding.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/progress.h"
#include "common/text.h"
#include "waveform.h"

void decompress_place(const ae_item *item, uint32_t index, char text[80])
{
    uint64_t across = (item->info.width + AE_CODER_TILE - 1) / AE_CODER_TILE,
             x = index % across * AE_CODER_TILE;
    uint64_t y = index / across * AE_CODER_TILE, w = item->info.width - x,
             h = item->info.height - y;
    char from[32], to[32];

    if (item->info.kind == AE_KIND_AUDIO) {
        uint64_t first = (uint64_t)index * item->tile, end = first + item->tile;

        end = end < item->info.height ? end : item->info.height;
        snprintf(text, 80, "%s to %s", sound_time((double)first / item->info.rate, from),
                 sound_time((double)end / item->info.rate, to));
        return;
    }
    if (item->info.kind == AE_KIND_TENSOR) {
        uint64_t first = (uint64_t)index * item->tile, last = first + item->tile - 1;
        uint64_t n = item->info.width * item->info.height;

        last = last < n ? last : n - 1;
        first /= item->info.width;
        last /= item->info.width;
        if (first == last)
            snprintf(text, 80, "row %llu", (unsigned long long)first);
        else
            snprintf(text, 80, "rows %llu to %llu", (unsigned long long)first,
                     (unsigned long long)last);
        return;
    }
    w = w < AE_CODER_TILE ? w : AE_CODER_TILE;
    h = h < AE_CODER_TILE ? h : AE_CODER_TILE;
    snprintf(text, 80, "tile at %llu,%llu of %llux%llu", (unsigned long long)x,
             (unsigned long long)y, (unsigned long long)w, (unsigned long long)h);
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    return ae_encoder_write(&((decoding *)opaque)->encoder, rows, n_rows, err);
}

static void lose(void *opaque, uint32_t index, const char *why)
{
    decoding *d = opaque;
    char place[80];

    decompress_place(d->what, index, place);
    cli_message("%s: %s%s%s %s lost: %s", d->item->input, d->what->name, *d->what->name ? ": " : "",
                place, strncmp(place, "rows ", 5) ? "is" : "are", why);
    d->n_lost++;
}

static void show(void *opaque, double done)
{
    const decoding *d = opaque;

    if (!d->many) /* of those the items are counted */
        cli_item_progress(d->item, d->done + done * d->share, 0);
}

ae_status decoding_encode(decoding *d, aecfile *f, const ae_codec *codec, ae_sink *to,
                          ae_error *err)
{
    const decompress_options *o = d->o;
    const cli_item *item = d->item;
    bool checked;
    ae_archive_options how = decompress_how(o, d->what);
    ae_signal_info result = ae_archive_result(d->what, &how), sound = result;
    bool drawn = o->preview && sound.kind == AE_KIND_AUDIO;
    waveform wave = {0};
    ae_write_options options = {.quality = (int)o->picture.quality,
                                .lossless = o->picture.lossless};
    ae_row_sink sink = {d, write_rows};
    ae_item_reader *reader = NULL;
    ae_meta meta = {0};
    ae_error why = {0};
    ae_status st;

    how.control = (ae_control){d->threads, &cli_cancel, d, show, lose};
    if ((st = ae_archive_check_range(d->what, &how, err)) != AE_OK ||
        (st = ae_item_open(f->container, d->what, &reader, err)) != AE_OK)
        return st;
    if (ae_item_meta(reader, NULL, &meta, &why) == AE_ERR_IO) {
        st = ae_fail(err, why.status, "%s", why.message);
        goto done;
    }
    if (why.status != AE_OK) {
        cli_message("%s: %s: metadata are lost: %s", item->input, d->what->name, why.message);
        d->n_lost++;
    }
    if (drawn) {
        result = waveform_picture(&sound);
        sink = (ae_row_sink){&wave, waveform_write};
        ae_meta_clear(&meta); /* tags are the sound's */
        if ((st = waveform_open(&wave, &sound, err)) != AE_OK)
            goto done;
    } else if (result.kind == AE_KIND_IMAGE && (o->region.width || o->preview)) {
        ae_meta_resize(&meta, result.width, result.height);
    }
    if ((st = ae_encoder_open(codec, to, &result, &meta, &options, &d->encoder, err)) != AE_OK)
        goto done;
    if (*d->encoder.writer.note)
        cli_item_note(item, "%s", d->encoder.writer.note);
    st = ae_archive_decode(f->archive, d->what, &how, &sink, &checked, err);
    if (st == AE_OK && drawn)
        st = waveform_draw(&wave, &d->encoder, err);
    if (st == AE_OK)
        st = ae_encoder_finish(&d->encoder, err);
done:
    waveform_close(&wave);
    ae_encoder_abandon(&d->encoder);
    ae_meta_clear(&meta);
    ae_item_free(reader);
    return st;
}

ae_status decoding_write(decoding *d, aecfile *f, int directory, const char *path, ae_error *err)
{
    const decompress_options *o = d->o;
    bool standard = directory == AT_FDCWD && strcmp(path, "-") == 0;
    unsigned flags = picture_output_flags(&o->picture.batch) | (d->many ? AE_OUTPUT_LATER : 0u);
    ae_output *output = NULL;
    const ae_codec *codec;
    ae_status st;

    if ((st = picture_codec(&o->picture, path, decompress_standard(o, d->what), &codec, err)) !=
            AE_OK ||
        (st = cli_output_open_at(directory, path, standard ? NULL : d->item->input, flags, &output,
                                 err)) != AE_OK)
        return st;
    if ((st = decoding_encode(d, f, codec, ae_output_sink(output), err)) == AE_OK) {
        if (d->fields->has_changed)
            ae_output_stamp(output, d->fields->changed, d->fields->mode);
        return ae_output_commit(output, err);
    }
    ae_output_discard(output);
    return st;
}
