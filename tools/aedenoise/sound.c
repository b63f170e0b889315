/* SPDX-License-Identifier: BSD-2-Clause
 *
 * aedenoise on sounds, in blocks, from files and pipes. */
#include "sound.h"

#include <math.h>
#include <string.h>

#include "common/progress.h"
#include "common/spectrogram.h"

#define MAX_PROFILE 60.0 /* seconds */

typedef struct job {
    const denoise_sound_options *o;
    sound_file file;
    ae_sound_denoiser *denoiser;
    spectrogram *picture;
    ae_output *picture_output;
    float *in, *out, *profile;
    size_t room, n_profile;
} job;

int denoise_sound_check(denoise_sound_options *o, const filter_options *filter, bool many)
{
    char from[32];
    const char *dash = o->profile ? strchr(o->profile, '-') : NULL;
    size_t n = dash ? (size_t)(dash - o->profile) : 0;

    if (o->profile) {
        snprintf(from, sizeof(from), "%.*s", (int)(n < sizeof(from) ? n : 0), o->profile);
        if (!dash || !cli_parse_duration(from, &o->from) || !cli_parse_duration(dash + 1, &o->to) ||
            !(o->to > o->from))
            return cli_usage("--profile: '%s' is not FROM-TO, as 0.5-2 or 1:10-1:12", o->profile);
        if (o->to - o->from > MAX_PROFILE)
            return cli_usage("--profile: at most %.0f seconds, not %g", MAX_PROFILE,
                             o->to - o->from);
        if (o->file.live)
            return cli_usage("--profile reads the recording twice, which --live cannot");
    }
    if (o->spectrogram && many)
        return cli_usage("--spectrogram takes one input");
    return sound_check(&o->file, filter);
}

/* The stretch of noise, read beforehand. */
static ae_status read_profile(job *j, ae_error *err)
{
    sound_file *f = &j->file;
    const ae_signal_info *info = &f->in.reader.info;
    uint64_t from = (uint64_t)(j->o->from * info->rate),
             wanted = (uint64_t)((j->o->to - j->o->from) * info->rate), at = 0;
    ae_status st = AE_OK;
    uint32_t n = 1;

    if (!(j->profile = ae_alloc((size_t)wanted + 1, info->channels * sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "a profile of %g seconds", j->o->to - j->o->from);
    while (st == AE_OK && n && j->n_profile < wanted) {
        uint64_t begin, end;

        if ((st = sound_read(f, j->in, &n, err)) != AE_OK)
            break;
        begin = from > at ? from - at : 0;
        end = from + wanted - at < n ? from + wanted - at : n;
        if (begin < end) {
            memcpy(j->profile + j->n_profile * info->channels, j->in + begin * info->channels,
                   (size_t)(end - begin) * info->channels * sizeof(float));
            j->n_profile += (size_t)(end - begin);
        }
        at += n;
    }
    if (st == AE_OK && j->n_profile < wanted)
        st = ae_fail(err, AE_ERR_ARGUMENT,
                     "--profile: the sound ends after %.2f seconds, before %g",
                     (double)at / info->rate, j->o->to);
    return st == AE_OK ? sound_reopen(f, err) : st;
}

static ae_status start(job *j, const ae_model *model, double strength, double level, ae_error *err)
{
    sound_file *f = &j->file;
    const ae_signal_info *info = &f->in.reader.info;
    ae_sound_options options = {.strength = strength,
                                .level = level,
                                .max_attenuation = j->o->max_attenuation,
                                .live = j->o->file.live,
                                .keep_steady = j->o->keep_steady,
                                .control = {.cancel = &cli_cancel}};
    ae_status st = AE_OK;

    if (info->channels > AE_SOUND_MAX_CHANNELS || info->rate < AE_SOUND_MIN_RATE ||
        info->rate > AE_SOUND_MAX_RATE)
        return ae_fail(err, AE_ERR_UNSUPPORTED,
                       "%u channels at %g Hz: from 1 to %d channels and %g to %g Hz are cleaned",
                       info->channels, info->rate, AE_SOUND_MAX_CHANNELS, AE_SOUND_MIN_RATE,
                       AE_SOUND_MAX_RATE);
    if (!(j->in = ae_alloc(f->block, info->channels * sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "a block of sound");
    if (j->o->profile && (st = read_profile(j, err)) != AE_OK)
        return st;
    options.profile = j->profile;
    options.profile_frames = j->n_profile;
    if ((st = ae_sound_denoiser_new(model, info->rate, info->channels, &options, &j->denoiser,
                                    err)) != AE_OK)
        return st;
    j->room = ae_sound_room(j->denoiser, f->block);
    if (!(j->out = ae_alloc(j->room + 1, info->channels * sizeof(float))))
        return ae_fail(err, AE_ERR_NOMEM, "a block of sound");
    if (j->o->spectrogram &&
        (st = cli_output_open(j->o->spectrogram, f->item->input, f->options->picture.batch.force,
                              &j->picture_output, err)) != AE_OK)
        return picture_name_file(j->o->spectrogram, st, err);
    if (j->o->spectrogram)
        st = spectrogram_new(info->rate, info->channels, &j->picture, err);
    if (st == AE_OK && j->o->file.live && !f->options->picture.batch.quiet)
        cli_message("latency %zu frames, %.1f ms", ae_sound_latency(j->denoiser),
                    1e3 * (double)ae_sound_latency(j->denoiser) / info->rate);
    return st;
}

static ae_status deliver(job *j, size_t n, ae_error *err)
{
    if (j->picture)
        spectrogram_feed(j->picture, 1, j->out, n);
    return sound_write(&j->file, j->out, n, err);
}

static ae_status run(job *j, ae_error *err)
{
    size_t written;
    uint32_t n = 1;
    ae_status st = AE_OK;

    while (st == AE_OK && n) {
        if ((st = sound_read(&j->file, j->in, &n, err)) != AE_OK || !n)
            break;
        if (j->picture)
            spectrogram_feed(j->picture, 0, j->in, n);
        if ((st = ae_sound_process(j->denoiser, j->in, n, j->out, j->room, &written, err)) == AE_OK)
            st = deliver(j, written, err);
    }
    do { /* the rest */
        if (st == AE_OK &&
            (st = ae_sound_finish(j->denoiser, j->out, j->room, &written, err)) == AE_OK)
            st = deliver(j, written, err);
    } while (st == AE_OK && written);
    return st;
}

static ae_status write_spectrogram(job *j, ae_error *err)
{
    ae_status st = spectrogram_write(j->picture, ae_output_sink(j->picture_output), err);

    if (st == AE_OK) {
        st = ae_output_commit(j->picture_output, err);
        j->picture_output = NULL;
    }
    return picture_name_file(j->o->spectrogram, st, err);
}

static void report(const job *j, const ae_model *model)
{
    const sound_file *f = &j->file;
    const ae_signal_info *info = &f->in.reader.info;
    const char *name = ae_model_recipe(model)->name;
    cli_json *json = f->item->json;
    double seconds = cli_seconds() - f->start;
    ae_sound_stats s;
    char time[32];

    ae_sound_stats_get(j->denoiser, &s);
    if (s.bad_samples)
        cli_item_note(
            f->item, "%llu samples are no numbers, the first at frame %llu (%s); taken for silence",
            (unsigned long long)s.bad_samples, (unsigned long long)s.first_bad,
            sound_time((double)s.first_bad / info->rate, time));
    if (f->options->picture.batch.verbose) {
        cli_item_note(f->item,
                      "%s, %u x %u bit, %g Hz, %s; level %.1f -> %.1f dB, noise %.1f dB, SNR %.1f "
                      "-> %.1f dB; model %s on %s; "
                      "%.2f s, %.0f times its speed",
                      f->in.reader.codec->name, info->channels, info->bits, info->rate,
                      sound_time(s.seconds, time), s.level_in_db, s.level_out_db, s.noise_db,
                      s.snr_before_db, s.snr_after_db, name, ae_cpu_isa(), seconds,
                      s.seconds / seconds);
        if (f->limiter.turned_down)
            cli_item_note(f->item,
                          "turned down for %.2f s, where it would have exceeded full scale",
                          (double)f->limiter.turned_down / info->rate);
    }
    cli_json_number(json, "duration", s.seconds);
    cli_json_number(json, "frames", (double)f->read);
    cli_json_number(json, "rate", info->rate);
    cli_json_number(json, "channels", info->channels);
    cli_json_number(json, "bits", info->bits);
    cli_json_string(json, "model", name);
    cli_json_number(json, "level_before", s.level_in_db);
    cli_json_number(json, "level_after", s.level_out_db);
    cli_json_number(json, "noise", s.noise_db);
    cli_json_number(json, "snr_before", s.snr_before_db);
    cli_json_number(json, "snr_after", s.snr_after_db);
    cli_json_number(json, "bad_samples", (double)s.bad_samples);
    if (j->o->file.live)
        cli_json_number(json, "latency", (double)ae_sound_latency(j->denoiser) / info->rate);
}

ae_status denoise_sound(const denoise_sound_options *o, const filter_options *filter,
                        const ae_model *model, double strength, double level, const cli_item *item,
                        filter_input *in, ae_error *err)
{
    job j = {.o = o};
    ae_status st = sound_open(&j.file, filter, &o->file, item, in, err);

    if (st == AE_OK && filter->compare)
        st = ae_fail(err, AE_ERR_ARGUMENT,
                     "--compare is for pictures (--spectrogram shows a sound before and after)");
    if (st == AE_OK && (st = start(&j, model, strength, level, err)) == AE_OK &&
        (st = sound_begin(&j.file, err)) == AE_OK && (st = run(&j, err)) == AE_OK &&
        (!j.picture || (st = write_spectrogram(&j, err)) == AE_OK) &&
        (st = sound_finish(&j.file, err)) == AE_OK)
        report(&j, model);
    ae_output_discard(j.picture_output);
    spectrogram_free(j.picture);
    ae_sound_denoiser_free(j.denoiser);
    ae_free(j.in);
    ae_free(j.out);
    ae_free(j.profile);
    sound_close(&j.file);
    return st;
}
