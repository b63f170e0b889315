/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sounds in blocks of f32, whatever the file holds; on the way out they pass the limiter
 * (limiter.h). The output has the input's format unless its name or an option says another, and
 * what that cannot hold is noted once. */
#include "common/sound.h"

#include <math.h>
#include <string.h>

#include "common/progress.h"
#include "ae/files.h"

enum { FILE_BLOCK = 8192 };

int sound_check(sound_options *s, const filter_options *o)
{
    const char *format = o->picture.format;

    s->raw = format && s->rate ? ae_pcm_codec(format) : NULL;
    if (s->rate && !s->raw)
        return cli_usage(
            "--rate is for raw samples: --format names their type, s16le or f32le for instance");
    if (s->channels && !s->rate)
        return cli_usage("--channels is for raw samples, and needs --rate");
    if (s->live && !s->raw)
        return cli_usage("--live takes raw samples: --format s16le --rate 48000 for instance");
    if (s->raw && !s->channels)
        s->channels = 1;
    return CLI_GO_ON;
}

ae_status sound_open(sound_file *s, const filter_options *options, const sound_options *sound,
                     const cli_item *item, filter_input *in, ae_error *err)
{
    const ae_signal_info *info = &s->in.reader.info;

    *s = (sound_file){
        .options = options, .sound = sound, .item = item, .start = cli_seconds(), .in = *in};
    *in = (filter_input){0};
    s->block = sound->live ? (uint32_t)fmax(ceil(info->rate / 100), 1) : FILE_BLOCK;
    s->rows = ae_alloc(s->block, info->channels * sizeof(double));
    return s->rows ? AE_OK : ae_fail(err, AE_ERR_NOMEM, "a block of sound");
}

ae_status sound_reopen(sound_file *s, ae_error *err)
{
    const ae_codec *raw = s->in.source ? NULL : s->in.reader.codec;

    s->read = 0;
    if (raw && strcmp(s->item->input, "-") == 0)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "raw samples from a pipe cannot be read twice");
    ae_reader_close(&s->in.reader);
    return raw ? ae_pcm_open(s->item->input, raw, s->sound->rate, s->sound->channels, &s->in.reader,
                             err)
               : ae_reader_open_track(s->in.source, NULL, s->sound->track, &s->in.reader, err);
}

/* Of raw input the output is raw, too, unless its name says otherwise. */
static ae_status choose_codec(const sound_file *s, const ae_codec **codec, ae_error *err)
{
    picture_options o = s->options->picture;
    const char *output = s->item->output;
    const ae_codec *named = strcmp(output, "-") == 0 ? NULL : ae_codec_for_path(output);

    if (s->sound->raw && named && named->kind == AE_KIND_AUDIO)
        o.codec = NULL;
    return picture_codec(&o, output, s->in.reader.codec, codec, err);
}

static void say_notes(sound_file *s)
{
    if (!s->noted && *s->in.reader.note) {
        s->noted = true;
        cli_item_note(s->item, "%s", s->in.reader.note);
    }
}

ae_status sound_begin(sound_file *s, ae_error *err)
{
    const cli_item *item = s->item;
    const picture_options *o = &s->options->picture;
    bool standard = strcmp(item->output, "-") == 0;
    ae_write_options options = {
        .quality = (int)o->quality, .like = &s->in.reader, .lossless = o->lossless};
    const ae_codec *codec;
    char note[160] = "";
    ae_status st;

    if ((st = choose_codec(s, &codec, err)) != AE_OK)
        return st;
    s->result = s->in.reader.info;
    if (codec->kind == AE_KIND_AUDIO)
        codec->accepts(&s->result, note);
    if ((st = ae_output_open(item->output, standard ? NULL : item->input,
                             picture_output_flags(&o->batch), &s->output, err)) != AE_OK)
        return picture_name_file(item->output, st, err);
    st = ae_encoder_open(codec, ae_output_sink(s->output), &s->result, &s->in.reader.meta, &options,
                         &s->encoder, err);
    if (st == AE_OK)
        st = limiter_init(&s->limiter, &s->result, s->sound->live, err);
    say_notes(s);
    if (st == AE_OK && *note)
        cli_item_note(item, "%s", note);
    if (st == AE_OK && *s->encoder.writer.note)
        cli_item_note(item, "%s", s->encoder.writer.note);
    return st;
}

ae_status sound_read(sound_file *s, float *frames, uint32_t *n, ae_error *err)
{
    const ae_signal_info *info = &s->in.reader.info;
    ae_status st = ae_reader_read_some(&s->in.reader, s->rows, s->block, n, err);

    if (st == AE_OK && cli_cancel.requested)
        st = AE_ERR_CANCELLED;
    if (st == AE_OK)
        ae_samples_to_f32(info->sample, s->rows, frames, (size_t)*n * info->channels);
    s->read += *n;
    return st;
}

static ae_status store(void *opaque, const float *frames, uint32_t n, ae_error *err)
{
    sound_file *s = opaque;
    size_t row = s->result.channels;
    ae_status st = AE_OK;

    for (uint32_t part; n && st == AE_OK; n -= part, frames += part * row) {
        part = n < s->block ? n : s->block;
        ae_samples_from_f32(s->result.sample, frames, s->rows, part * row);
        st = ae_encoder_write(&s->encoder, s->rows, part, err);
        s->written += part;
    }
    return picture_name_file(s->item->output, st, err);
}

static void show_progress(const sound_file *s)
{
    const ae_signal_info *info = &s->in.reader.info;

    cli_item_progress_sound(s->item, info->height ? (double)s->read / (double)info->height : 0,
                            (double)s->read / info->rate / 3600);
}

ae_status sound_write(sound_file *s, const float *frames, size_t n, ae_error *err)
{
    ae_status st = AE_OK;

    for (size_t part; n && st == AE_OK; n -= part, frames += part * s->result.channels) {
        part = n < s->limiter.block ? n : s->limiter.block;
        st = limiter_write(&s->limiter, frames, (uint32_t)part, store, s, err);
    }
    if (st == AE_OK && s->sound->live)
        st = picture_name_file(s->item->output, ae_output_flush(s->output, err), err);
    show_progress(s);
    return st;
}

ae_status sound_finish(sound_file *s, ae_error *err)
{
    ae_status st = limiter_finish(&s->limiter, store, s, err);

    if (st == AE_OK)
        st = picture_name_file(s->item->output, ae_encoder_finish(&s->encoder, err), err);
    if (st == AE_OK) {
        st = picture_name_file(s->item->output, ae_output_commit(s->output, err), err);
        s->output = NULL;
    }
    say_notes(s);
    return st;
}

void sound_close(sound_file *s)
{
    limiter_clear(&s->limiter);
    ae_encoder_abandon(&s->encoder);
    ae_output_discard(s->output);
    filter_input_close(&s->in);
    ae_free(s->rows);
}
