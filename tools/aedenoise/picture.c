/* SPDX-License-Identifier: BSD-2-Clause */
#include "picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/progress.h"
#include "compare.h"

typedef struct picture {
    const picture_options *options;
    const cli_item *item;
    ae_source *source;
    ae_reader reader;
    ae_meta meta;        /* of the first pass, when all rows have been seen */
    ae_output *output;
    ae_encoder encoder;
    compare compare;
    double megapixels;
} picture;

/* Messages about outputs name them, since the batch puts the input's name before all. */
static ae_status name_file(const char *path, ae_status st, ae_error *err)
{
    ae_error inner = *err;

    return st == AE_OK || st == AE_ERR_CANCELLED ? st : ae_fail(err, st, "%s: %s", path, inner.message);
}

static ae_status read_rows(void *opaque, void *rows, uint32_t n_rows, ae_error *err)
{
    picture *p = opaque;
    ae_status st = ae_reader_read(&p->reader, rows, n_rows, err);

    return st == AE_OK && p->compare.output ? compare_before(&p->compare, rows, n_rows, err) : st;
}

static ae_status write_rows(void *opaque, const void *rows, uint32_t n_rows, ae_error *err)
{
    picture *p = opaque;
    ae_status st = name_file(p->item->output, ae_encoder_write(&p->encoder, rows, n_rows, err), err);

    return st == AE_OK && p->compare.output ? name_file(p->options->compare, compare_after(&p->compare, rows, n_rows, err), err) : st;
}

static void show_progress(void *opaque, double done)
{
    const picture *p = opaque;

    cli_item_progress(p->item, done, done * p->megapixels);
}

static ae_status open_reader(picture *p, ae_error *err)
{
    ae_status st = ae_reader_open(p->source, NULL, &p->reader, err);

    if (st == AE_OK && p->reader.info.kind != AE_KIND_IMAGE) {
        ae_reader_close(&p->reader);
        st = ae_fail(err, AE_ERR_UNSUPPORTED, "not a picture");
    }
    return st;
}

/* The noise that the network is told of: what --sigma says, white and independent in all channels, or what a first pass over the
 * picture finds. That pass also brings the metadata that stand behind the pixels. */
static ae_status find_noise(picture *p, ae_noise *noise, ae_error *err)
{
    const picture_options *o = p->options;
    bool grey = p->reader.info.channels < 3;
    ae_row_source rows = {p->reader.info, p, read_rows};
    ae_status st;

    if (o->sigma >= 0) {
        float sigma = (float)o->sigma;

        *noise = (ae_noise){.luminance = grey ? sigma : sigma * sqrtf(1.0f / 3.0f), .chroma = grey ? 0 : sigma, .white = sigma};
        return AE_OK;
    }
    if ((st = ae_noise_estimate(&rows, &cli_cancel, noise, err)) != AE_OK)
        return st;
    noise->luminance *= (float)o->level;
    noise->chroma *= (float)o->level;
    noise->white *= (float)o->level;
    p->meta = p->reader.meta;
    p->reader.meta = (ae_meta){0};
    ae_reader_close(&p->reader);
    return open_reader(p, err);
}

static ae_status open_outputs(picture *p, ae_error *err)
{
    const picture_options *o = p->options;
    const cli_item *item = p->item;
    bool standard = strcmp(item->output, "-") == 0;
    const ae_codec *codec = o->codec ? o->codec : standard ? p->reader.codec : ae_codec_for_path(item->output);
    ae_write_options options = {.quality = (int)o->quality, .like = &p->reader, .lossless = o->lossless};
    unsigned flags = o->batch.force ? AE_OUTPUT_FORCE : 0;
    ae_status st;

    if (!codec)
        return ae_fail(err, AE_ERR_ARGUMENT, "%s: no format that can be written has this suffix (--format names one)", item->output);
    if (!codec->create)
        return ae_fail(err, AE_ERR_UNSUPPORTED, "%s can only be read (--format names another)", codec->description);
    if ((st = ae_output_open(item->output, standard ? NULL : item->input, flags, &p->output, err)) != AE_OK)
        return name_file(item->output, st, err);
    st = ae_encoder_open(codec, ae_output_sink(p->output), &p->reader.info, p->meta.n_items ? &p->meta : &p->reader.meta, &options,
                         &p->encoder, err);
    if (st == AE_OK && o->compare)
        st = name_file(o->compare, compare_open(&p->compare, o->compare, item->input, o->batch.force, &p->reader, err), err);
    if (st == AE_OK && *p->reader.note)
        cli_item_note(item, "%s", p->reader.note);
    if (st == AE_OK && *p->encoder.writer.note)
        cli_item_note(item, "%s", p->encoder.writer.note);
    return st;
}

static ae_status finish_outputs(picture *p, ae_error *err)
{
    ae_status st = name_file(p->item->output, ae_encoder_finish(&p->encoder, err), err);

    if (st == AE_OK && p->compare.output)
        st = name_file(p->options->compare, compare_finish(&p->compare, err), err);
    if (st == AE_OK) {
        st = name_file(p->item->output, ae_output_commit(p->output, err), err);
        p->output = NULL;
    }
    return st;
}

static const char *precision_name(const picture_options *o)
{
    return ae_precision_resolve((ae_precision)o->precision) == AE_PRECISION_BF16 ? "bf16" : "f32";
}

static void report(const picture *p, const ae_noise *noise, const ae_denoise_stats *stats, double seconds)
{
    const picture_options *o = p->options;
    const ae_signal_info *info = &p->reader.info;
    const char *name = ae_model_recipe(o->loaded)->name;
    cli_json *json = p->item->json;

    if (o->batch.verbose)
        cli_item_note(p->item,
                      "%s, %llu x %llu, %u x %u bit; noise %s: luminance %.2f, chroma %.2f (of 255); model %s in %s on %s; %.2f s, %.2f MP/s",
                      p->reader.codec->name, (unsigned long long)info->width, (unsigned long long)info->height, info->channels,
                      info->bits, o->sigma >= 0 ? "given" : "found", (double)noise->luminance, (double)noise->chroma, name,
                      precision_name(o), ae_cpu_isa(), seconds, p->megapixels / seconds);
    cli_json_number(json, "width", (double)info->width);
    cli_json_number(json, "height", (double)info->height);
    cli_json_string(json, "model", name);
    cli_json_string(json, "precision", precision_name(o));
    cli_json_number(json, "noise_luminance", (double)noise->luminance);
    cli_json_number(json, "noise_chroma", (double)noise->chroma);
    cli_json_number(json, "noise_white", (double)noise->white);
    cli_json_number(json, "network_seconds", stats->network_seconds);
}

ae_status picture_denoise(void *opaque, const cli_item *item, ae_error *err)
{
    const picture_options *o = opaque;
    picture p = {.options = o, .item = item};
    double start = cli_seconds();
    ae_denoise_stats stats;
    ae_denoise_options options = {.strength = (float)o->strength, .tile = o->tile, .threads = item->threads,
                                  .precision = (ae_precision)o->precision, .cancel = &cli_cancel, .opaque = &p,
                                  .progress = show_progress};
    ae_row_source rows = {.opaque = &p, .read = read_rows};
    ae_row_sink sink = {&p, write_rows};
    ae_status st;

    if ((st = ae_source_open(item->input, &p.source, err)) != AE_OK || (st = open_reader(&p, err)) != AE_OK ||
        (st = find_noise(&p, &options.noise, err)) != AE_OK || (st = open_outputs(&p, err)) != AE_OK)
        goto done;
    p.megapixels = (double)p.reader.info.width * (double)p.reader.info.height * 1e-6;
    rows.info = p.reader.info;
    if ((st = ae_denoise(o->loaded, &options, &rows, &sink, &stats, err)) != AE_OK || (st = finish_outputs(&p, err)) != AE_OK)
        goto done;
    cli_item_progress(item, 1, p.megapixels);
    report(&p, &options.noise, &stats, cli_seconds() - start);
done:
    compare_abandon(&p.compare);
    ae_encoder_abandon(&p.encoder);
    ae_output_discard(p.output);
    ae_reader_close(&p.reader);
    ae_meta_clear(&p.meta);
    ae_source_free(p.source);
    return st;
}
